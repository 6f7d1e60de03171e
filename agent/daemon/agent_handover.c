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
	              uv_now(a->loop));
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

static bool hands_over(const struct handover_targets *t)
{
	return weft_addr_is_set(&t->first) || weft_addr_is_set(&t->next);
}

bool agent_handover_ahead(struct agent *a)
{
	struct handover_targets t;

	cluster_each(a->cluster, WEFT_NODE, note_each, a);
	t = handover_targets(a->handover, a->cfg.node_name);
	return hands_over(&t);
}

void agent_handover_plan(struct agent *a)
{
	struct handover_targets t;

	handover_turn(a->handover, uv_now(a->loop));
	t = handover_targets(a->handover, a->cfg.node_name);
	t.last = t.last && draining_settling(a->draining);
	if (!serving_handover(a->serving, &t))
		return;
	a->hands_over = hands_over(&t);
	agent_want_sysctls(a);
	agent_want_table(a);
}
