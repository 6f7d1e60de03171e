// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions between nodes, that BGPConfig asks for: iBGP, one per family, between InternalIPs.
 *
 * Without reflectors every node has a session with every other. With them, reflectors have one with every node,
 * the others only with reflectors; a reflector takes the others as its clients. Both ends follow from the same
 * objects, so they agree on addresses and ports with no object for each pair.
 */
#include "agent/plan/bgp_int.h"

#include "weft/keyhash.h"

#define MESH_WARN 100

struct members {
	struct bgp_build *b;
	const struct weft_object **nodes;
	size_t n, cap, other_as;
};

static uint32_t as_of(const struct bgp_build *b, const struct weft_object *node)
{
	return node->node.as_number          ? node->node.as_number
	       : b->cfg && b->cfg->as_number ? b->cfg->as_number
	                                     : BGP_DEFAULT_AS;
}

static bool reflects(const struct bgp_build *b, const struct weft_object *node)
{
	return b->cfg->reflectors &&
	       weft_selector_matches(&b->cfg->reflector_selector, node->meta.labels, node->meta.n_labels);
}

static bool collect(void *ctx, const struct weft_object *node)
{
	struct members *v = ctx;
	struct bgp_build *b = v->b;

	if (!strcmp(node->meta.name, b->self->meta.name))
		return false;
	if (b->cfg->reflectors && !reflects(b, b->self) && !reflects(b, node))
		return false;
	if (as_of(b, node) != b->m->local_as) {
		v->other_as++;
		return false;
	}
	if (v->n == v->cap) {
		v->cap = v->cap ? 2 * v->cap : 16;
		v->nodes = must_grow(v->nodes, v->cap, sizeof(*v->nodes));
	}
	v->nodes[v->n++] = node;
	return false;
}

static int by_name(const void *x, const void *y)
{
	const struct weft_object *const *a = x, *const *b = y;

	return strcmp((*a)->meta.name, (*b)->meta.name);
}

/* The InternalIP, whatever the link: it is the one that the other node knows us by. */
static void plan_session(struct bgp_build *b, const struct weft_object *node, int v6)
{
	static const struct weft_bgppeer defaults;
	const struct weft_addr *theirs = v6 ? &node->node.ip6 : &node->node.ip4;
	const struct weft_addr *ours = v6 ? &b->m->ip6 : &b->m->ip4;
	struct bgp_peer p = {.name = node->meta.name,
	                     .address = *theirs,
	                     .local = *ours,
	                     .port = b->m->listen_port,
	                     .as_mode = WEFT_PEER_AS_NUMBER,
	                     .as_number = b->m->local_as,
	                     .local_as = b->m->local_as,
	                     .ibgp = true,
	                     .max_prefixes_action = WEFT_LIMIT_BLOCK};

	if (!weft_addr_is_set(theirs) || !weft_addr_is_set(ours))
		return;
	p.origin = reflects(b, node)      ? BGP_PEER_REFLECTOR
	           : reflects(b, b->self) ? BGP_PEER_CLIENT
	                                  : BGP_PEER_MESH;
	p.reflector_client = p.origin == BGP_PEER_CLIENT;
	if (p.reflector_client)
		p.cluster_id = b->cfg->cluster_id;
	p.channels[v6].on = true;
	bgp_protocol_name(v6 ? "mesh6_" : "mesh_", node->meta.name, NULL, p.protocol);
	bgp_options_detect(b, &defaults, bgp_on_link(b, theirs) != NULL, &p);
	if (!weft_addr_cmp(theirs, ours))
		bgp_refuse(&p, "Node %.200s has our own InternalIP", node->meta.name);
	bgp_peer_add(b, &p);
}

void bgp_plan_mesh(struct bgp_build *b)
{
	struct members v = {.b = b};

	if (!b->cfg || (!b->cfg->node_mesh && !b->cfg->reflectors))
		return;
	cluster_each(b->c, WEFT_NODE, collect, &v);
	if (v.n > 1)
		qsort(v.nodes, v.n, sizeof(*v.nodes), by_name);
	for (size_t i = 0; i < v.n; i++)
		for (int v6 = 0; v6 < 2; v6++)
			plan_session(b, v.nodes[i], v6);
	if (!b->cfg->reflectors && v.n >= MESH_WARN)
		bgp_warn(
		        b->m,
		        "the mesh has %zu nodes, and each has a session with every other: route reflectors scale",
		        v.n + 1);
	if (v.other_as)
		bgp_warn(b->m, "%zu nodes are in another AS than this one: the mesh leaves them out",
		         v.other_as);
	free(v.nodes);
}
