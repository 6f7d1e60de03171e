// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/bird_render.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "weft/cleanup.h"

#include "agent/apply/bird_secrets.h"

#define PEERS_MAX 1000

struct secret_paths {
	const struct bgp_model *m;
	char (*paths)[PATH_MAX]; /* by peer */
};

static const char *secret_path(void *ctx, const struct bgp_peer *peer)
{
	struct secret_paths *s = ctx;

	return s->paths[peer - s->m->peers];
}

int bird_render(const struct bird_render *b, const struct bgp_model *m, struct weft_buf *out,
                struct weft_err *err)
{
	struct secret_paths s = {.m = m};
	struct bird_conf_params params = {
	        .node = b->node, .custom_dir = b->custom_dir, .secret_path = secret_path, .ctx = &s};
	weft_autofree void *memory = NULL;

	if (m->n_peers > PEERS_MAX)
		return weft_err_set(err, E2BIG, "%zu BGPPeers select this node, more than %d", m->n_peers,
		                    PEERS_MAX);
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
