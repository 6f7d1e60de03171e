// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/bgp_int.h"

#include "weft/keyhash.h"
#include <stdlib.h>

/* A node without IPv4 needs 4 octets that are unique in the AS all the same (RFC 6286): from its name. */
static struct weft_addr derived_router_id(const char *name)
{
	unsigned char digest[crypto_generichash_BYTES];
	struct weft_addr id = {.family = AF_INET};

	crypto_generichash(digest, sizeof(digest), (const unsigned char *)name, strlen(name), NULL, 0);
	memcpy(id.bytes, digest, 4);
	id.bytes[0] |= 1; /* never 0.0.0.0 */
	return id;
}

static void plan_ourselves(struct bgp_build *b)
{
	const struct weft_bgpconfig *cfg = b->cfg;
	struct bgp_model *m = b->m;

	m->profile = b->params->profile;
	m->listen_port = cfg && cfg->listen_port ? cfg->listen_port : BGP_DEFAULT_PORT;
	m->local_as = cfg && cfg->as_number ? cfg->as_number : BGP_DEFAULT_AS;
	if (cfg)
		memcpy(m->listen_address, cfg->listen_address, sizeof(m->listen_address));
	if (b->self) {
		m->ip4 = b->self->node.ip4;
		m->ip6 = b->self->node.ip6;
		if (b->self->node.as_number)
			m->local_as = b->self->node.as_number;
	}
	m->router_id = cfg && weft_addr_is_set(&cfg->router_id) ? cfg->router_id
	               : weft_addr_is_set(&m->ip4)              ? m->ip4
	                                                        : derived_router_id(cluster_self_name(b->c));
}

void bgp_plan(const struct cluster *c, const struct bgp_params *params, struct bgp_model *out)
{
	const struct weft_object *cfg = cluster_get(c, WEFT_BGPCONFIG, "default");
	struct bgp_build b = {.c = c,
	                      .params = params,
	                      .self = cluster_self(c),
	                      .cfg = cfg ? &cfg->bgpconfig : NULL,
	                      .m = out};

	*out = (struct bgp_model){0};
	plan_ourselves(&b);
	bgp_plan_classes(&b);
	if (b.self) {
		bgp_plan_objects(&b);
		bgp_plan_mesh(&b);
	}
	bgp_plan_ranges(&b);
}

void bgp_model_free(struct bgp_model *m)
{
	for (size_t i = 0; i < m->n_peers; i++) {
		bgp_rules_free(m->peers[i].import, m->peers[i].n_import);
		bgp_rules_free(m->peers[i].export, m->peers[i].n_export);
		bgp_exports_free(m->peers[i].exports, m->peers[i].n_exports);
	}
	for (size_t i = 0; i < m->n_warnings; i++)
		free(m->warnings[i]);
	free(m->warnings);
	free(m->peers);
	free(m->classes);
	free(m->advertise);
	free(m->import);
	*m = (struct bgp_model){0};
}
