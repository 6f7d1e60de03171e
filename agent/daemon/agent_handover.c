// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hand-over of connections, the agent's side: which nodes are drained, and that others learn that we are.
 *
 *	Node objects, BGPConfig --+
 *	our own reasons ----------+--> plan/handover --targets--> services_handover.c: nftables, IPVS
 *	       |
 *	       +--> condition weft.dev/Draining of our Node (Kubernetes), which the others read
 *
 * What others know of our drain without that condition stands in the Node object itself: annotation, cordon, label,
 * taint. Our own condition is only written, never read back: it would keep a drain alive for ever.
 */
#include <string.h>

#include "agent/daemon/agent.h"
#include "weft/cleanup.h"

#define NODES_LOOKED_AT 64 /* with more of them, a ring of all is not even tried */

static const struct weft_bgpconfig *bgpconfig(const struct agent *a)
{
	const struct weft_object *obj = cluster_get(a->cluster, WEFT_BGPCONFIG, "default");

	return obj ? &obj->bgpconfig : NULL;
}

static bool is_drained(const struct agent *a, const struct weft_object *node)
{
	if (!strcmp(node->meta.name, a->cfg.node_name))
		return draining_state(a->draining).reasons;
	return node->node.draining || drain_reasons_of(node, bgpconfig(a));
}

/* The tunnel to a node must end somewhere: there is a pool with tunnels. */
void agent_handover_node(struct agent *a, const char *name)
{
	static const struct weft_addr nowhere;
	const struct weft_object *node = cluster_get(a->cluster, WEFT_NODE, name);
	bool there = node && cluster_wants_tunnel(a->cluster, AF_INET);

	handover_node(a->handover, name, there && is_drained(a, node), there ? &node->node.ip4 : &nowhere,
	              drain_wait_of(bgpconfig(a)), uv_now(a->loop));
}

static bool note_each(void *ctx, const struct weft_object *node)
{
	agent_handover_node(ctx, node->meta.name);
	return false;
}

void agent_handover_config(struct agent *a)
{
	const struct weft_bgpconfig *cfg = bgpconfig(a);
	bool cordon = cfg && cfg->drain_on_cordon, tunnels = cluster_wants_tunnel(a->cluster, AF_INET);

	if (cordon != a->cordon_drains || tunnels != a->tunnels_wanted)
		cluster_each(a->cluster, WEFT_NODE, note_each, a);
	a->cordon_drains = cordon;
	a->tunnels_wanted = tunnels;
}

void agent_handover_tell(struct agent *a)
{
	weft_auto(weft_buf_free) struct weft_buf why = {0};
	unsigned reasons = draining_state(a->draining).reasons;
	const struct weft_source_ops *ops = a->source->ops;

	if (a->told_drain && reasons == a->told_reasons)
		return;
	a->told_drain = true;
	a->told_reasons = reasons;
	agent_handover_node(a, a->cfg.node_name);
	if (!ops->node_condition)
		return;
	draining_reasons(a->draining, &why);
	ops->node_condition(a->source, WEFT_NODE_DRAINING, reasons, reasons ? "Drained" : "NotDrained",
	                    reasons ? weft_buf_text(&why) : "announced as ever");
}

/* Nodes that can be asked. One without blocks runs no weft, or has no tunnel. */
struct members {
	const struct agent *a;
	struct handover_member list[HANDOVER_RING + 1]; /* one more than a ring: too many */
	size_t n;
};

static bool is_any(void *ctx, const struct cluster_block *b)
{
	(void)b;
	return *(bool *)ctx = true;
}

static bool add_member(void *ctx, const struct weft_object *node)
{
	struct members *m = ctx;
	bool has_block = false;

	cluster_each_block_of(m->a->cluster, node->meta.name, is_any, &has_block);
	if (has_block && weft_addr_is_set(&node->node.ip4))
		m->list[m->n++] = (struct handover_member){node->meta.name, node->node.ip4};
	return m->n == WEFT_ARRAY_LEN(m->list);
}

static struct handover_targets targets(const struct agent *a)
{
	uint64_t now = uv_now(a->loop);
	struct members all = {.a = a};

	if (handover_moves(a->handover, now) && cluster_count(a->cluster, WEFT_NODE) <= NODES_LOOKED_AT &&
	    cluster_wants_tunnel(a->cluster, AF_INET))
		cluster_each(a->cluster, WEFT_NODE, add_member, &all);
	return handover_targets(a->handover, a->cfg.node_name, all.list, all.n, now);
}

bool agent_handover_ahead(struct agent *a)
{
	struct handover_targets t;

	cluster_each(a->cluster, WEFT_NODE, note_each, a);
	t = targets(a);
	return weft_addr_is_set(&t.next);
}

void agent_handover_plan(struct agent *a)
{
	struct handover_targets t;

	handover_turn(a->handover, uv_now(a->loop));
	t = targets(a);
	if (!serving_handover(a->serving, &t))
		return;
	a->hands_over = weft_addr_is_set(&t.next);
	agent_want_sysctls(a);
	agent_want_table(a);
}
