// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/bird_render.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "weft/cleanup.h"

#include "agent/apply/bird_secrets.h"

/* Of 1,000 sessions BIRD 2.0.12 reads the text in a second, of 2,000 in eight, and answers no keepalive meanwhile. */
#define SESSIONS_MAX 1000

struct secret_paths {
	const struct bgp_model *m;
	char (*paths)[PATH_MAX]; /* by peer */
};

static const char *secret_path(void *ctx, const struct bgp_peer *peer)
{
	struct secret_paths *s = ctx;

	return s->paths[peer - s->m->peers];
}

/* Those that are not rendered cost nothing. */
static int check_sessions(const struct bgp_model *m, struct weft_err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_peers; i++)
		n += !m->peers[i].reason[0];
	return n <= SESSIONS_MAX
	               ? 0
	               : weft_err_set(
	                         err, E2BIG,
	                         "%zu BGP sessions on this node, %d are possible: select fewer nodes by "
	                         "BGPPeers' nodeSelector, or use routers instead of BGPConfig's nodeMesh "
	                         "or routeReflectors",
	                         n, SESSIONS_MAX);
}

int bird_render(const struct bird_render *b, const struct bgp_model *m, struct weft_buf *out,
                struct weft_err *err)
{
	struct secret_paths s = {.m = m};
	struct bird_conf_params params = {
	        .node = b->node, .custom_dir = b->custom_dir, .secret_path = secret_path, .ctx = &s};
	weft_autofree void *memory = NULL;
	int failed = check_sessions(m, err);

	if (failed)
		return failed;
	s.paths = memory = calloc(m->n_peers + 1, PATH_MAX);
	if (!memory)
		return weft_err_errno(err, ENOMEM, "BIRD configuration");
	for (size_t i = 0; i < m->n_peers; i++) {
		const struct bgp_peer *peer = &m->peers[i];
		int r = peer->reason[0] || !peer->password
		                ? 0
		                : bird_secret_put(b->secrets_dir, peer, b->current, b->gid, s.paths[i], err);
		if (r < 0)
			return r;
	}
	return bird_conf_render(b->tmpl, m, &params, out, err);
}

struct preview {
	const struct bird_render *b;
	char path[PATH_MAX];
};

static const char *secret_name(void *ctx, const struct bgp_peer *peer)
{
	struct preview *p = ctx;

	snprintf(p->path, sizeof(p->path), "%s/%s-a.conf", p->b->secrets_dir, peer->protocol);
	return p->path;
}

int bird_render_preview(const struct bird_render *b, const struct bgp_model *m, struct weft_buf *out,
                        struct weft_err *err)
{
	struct preview p = {.b = b};
	struct bird_conf_params params = {
	        .node = b->node, .custom_dir = b->custom_dir, .secret_path = secret_name, .ctx = &p};

	return bird_conf_render(b->tmpl, m, &params, out, err);
}
