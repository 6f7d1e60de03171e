// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One turn: what happened -> what is wanted -> what is written.
 *
 * Order is part of correctness: sysctls and devices before the routes that use them; routes before the
 * readiness that promises them; leftovers of an earlier life are removed last, when the plan is complete.
 */
#include "agent/daemon/agent.h"

#include <stdio.h>
#include <string.h>

#include "weft/log.h"
#include "weft/marks.h"

#define FAREWELL_MS 1000

/* What a plan has in table 179 is the announcer's: it knows in which class. */
static bool take_advert(struct routes_plan *plan)
{
	size_t kept = 0, n = plan->n;

	for (size_t i = 0; i < n; i++)
		if (plan->routes[i].key.table != WEFT_TABLE_ADVERT)
			plan->routes[kept++] = plan->routes[i];
	plan->n = kept;
	return kept < n;
}

static void announce_block(struct agent *a, const struct weft_prefix *cidr, bool wanted)
{
	struct advert_subject subject = adverts_of_block(a->cluster, cidr);

	announcer_put(a->announcer, cidr, wanted ? &subject : NULL);
}

static void plan_block(struct agent *a, const struct weft_prefix *cidr)
{
	char owner[WANTED_OWNER_MAX], text[WEFT_PREFIX_STR];
	struct weft_err err = WEFT_ERR_INIT;
	struct routes_plan plan;

	routes_plan_block(a->cluster, &a->env, cidr, &plan);
	announce_block(a, cidr, take_advert(&plan));
	snprintf(owner, sizeof(owner), "block/%s", weft_prefix_str(cidr, text));
	if (wanted_set(a->wanted, owner, plan.routes, plan.n, &err) < 0)
		log_warning("routes of block %s: %s", text, err.text);
}

static bool plan_own_block(void *ctx, const struct cluster_block *b)
{
	plan_block(ctx, &b->cidr);
	return false;
}

/*
 * Ours, or ours until now (given to another node): then its file is for holdings to see. Or gone, whoever had
 * it: a node that is short of addresses can claim it.
 */
static bool concerns_holdings(const struct agent *a, const struct weft_prefix *cidr)
{
	struct cluster_block b;

	return !cluster_block(a->cluster, cidr, &b) || b.own || pods_know(a->pods, cidr);
}

static void take_self(struct agent *a)
{
	const struct weft_object *self = cluster_self(a->cluster);

	/* A Node that was deleted (to be registered anew, perhaps) takes nothing down: what runs goes on. */
	if (self) {
		a->env.ip4 = self->node.ip4;
		a->env.ip6 = self->node.ip6;
	}
	a->tunnels_dirty = a->holdings_dirty = a->bgp_dirty = a->underlay_dirty = a->services_dirty = true;
	a->adverts_dirty = true;
	if (!self && !a->no_self)
		log_warning(
		        "there is no Node object named %s: what is there stays, nothing new is programmed",
		        a->cfg.node_name);
	a->no_self = !self;
}

static void drain_cluster(struct agent *a)
{
	struct cluster_dirty d;

	while (cluster_dirty_next(a->cluster, &d)) {
		switch (d.kind) {
		case CLUSTER_DIRTY_BLOCK:
			plan_block(a, &d.block);
			if (concerns_holdings(a, &d.block))
				a->holdings_dirty = a->tunnels_dirty = true;
			break;
		case CLUSTER_DIRTY_NODE:
			tunnels_peers_update(a->tunnel_peers, a->cluster, d.name);
			serving_node_changed(a->serving, d.name);
			agent_handover_node(a, d.name);
			break;
		case CLUSTER_DIRTY_POOLS:
			a->tunnels_dirty = a->holdings_dirty = a->services_dirty = true;
			agent_handover_config(a);
			break;
		case CLUSTER_DIRTY_BGP:
			a->bgp_dirty = a->services_dirty = a->adverts_dirty = true;
			agent_handover_config(a);
			break;
		case CLUSTER_DIRTY_NAMESPACE:
			serving_namespace_changed(a->serving, d.name);
			break;
		case CLUSTER_DIRTY_SELF:
			take_self(a);
			break;
		case CLUSTER_DIRTY_SERVICES:
			a->services_dirty = a->bgp_dirty = a->adverts_dirty = true;
			break;
		}
	}
}

static bool serves_address(void *ctx, const struct cluster_block *b)
{
	const struct weft_addr **addr = ctx;

	if (b->state == CLUSTER_BLOCK_OUTSIDE || b->state == CLUSTER_BLOCK_OVERLAP ||
	    !weft_prefix_contains(&b->cidr, *addr))
		return false;
	*addr = NULL;
	return true;
}

/* Of a block that another node has now the replies would go there. */
static bool in_own_block(const struct agent *a, const struct weft_addr *addr)
{
	const struct weft_addr *sought = addr;

	cluster_each_block_of(a->cluster, a->cfg.node_name, serves_address, &sought);
	return !sought;
}

static void release_tunnel_address(struct agent *a, const char *ifname, struct weft_addr *addr)
{
	struct weft_ipam_owner owner = {.container_id = WEFT_IPAM_NODE_ID, .ifname = ifname};
	struct weft_err err = WEFT_ERR_INIT;

	if (weft_ipam_release(a->ipam, &owner, &err) < 0)
		log_warning("address of %s: %s", ifname, err.text);
	*addr = (struct weft_addr){0};
}

/* The node's own address in a block, for a tunnel device. Idempotent: the file keeps it. */
static void take_tunnel_address(struct agent *a, unsigned family, const char *ifname, struct weft_addr *out)
{
	struct weft_ipam_request req = {.families = family,
	                                .owner = {.container_id = WEFT_IPAM_NODE_ID, .ifname = ifname}};
	char *fault = a->address_fault[family == WEFT_IPAM_V6];
	struct weft_ipam_result result = {0};
	struct weft_err err = WEFT_ERR_INIT;

	if (weft_ipam_alloc(a->ipam, &req, &result, &err) < 0) {
		if (strcmp(fault, err.text))
			log_warning("no address for %s: %s", ifname, err.text);
		snprintf(fault, WEFT_ERR_TEXT, "%s", err.text);
		return;
	}
	fault[0] = '\0';
	*out = result.addr[family == WEFT_IPAM_V6];
}

/* A tunnel that is not needed any more gives its address back, or its block could never be released. */
static void tunnel_address(struct agent *a, bool want, bool have_block, unsigned family, const char *ifname,
                           struct weft_addr *addr)
{
	if (!want || !have_block) {
		if (!a->swept || weft_addr_is_set(addr))
			release_tunnel_address(a, ifname, addr);
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (!weft_addr_is_set(addr))
			take_tunnel_address(a, family, ifname, addr);
		if (!weft_addr_is_set(addr) || in_own_block(a, addr))
			return;
		release_tunnel_address(a, ifname, addr); /* its block was lost: one of another block */
	}
}

static bool tunnels_lack_address(const struct agent *a)
{
	return (a->tunnels_plan.want_addr4 && !weft_addr_is_set(&a->env.tunnel4)) ||
	       (a->tunnels_plan.want_addr6 && !weft_addr_is_set(&a->env.tunnel6));
}

static void want_tunnel(struct agent *a, enum tunnel_type type, bool want, const struct weft_addr *addr)
{
	struct tunnel_spec spec = {.local = a->tunnels_plan.local, .addr = *addr, .mtu = a->tunnels_plan.mtu};

	if (want)
		tunnel_want(a->tunnel, type, &spec);
	else
		tunnel_unwant(a->tunnel, type);
}

/* Without our Node or a network no plan is complete: what an earlier one made stays meanwhile. */
static bool knows_itself(const struct agent *a)
{
	return cluster_self(a->cluster) && a->underlay_mtu;
}

static bool add_pod_cidr(void *ctx, const struct weft_object *pool)
{
	struct nft_shape *shape = ctx;

	if (pool->ippool.use == WEFT_USE_PODS)
		shape->pod_cidrs[shape->n_pod_cidrs++] = pool->ippool.cidr;
	return shape->n_pod_cidrs == NFT_CIDRS;
}

/* The table's shape: tunnels, and what Services have to know of the node and the cluster. */
void agent_want_table(struct agent *a)
{
	struct nft_shape shape = {.ipip = a->env.ipip_ready,
	                          .sit = a->env.sit_ready,
	                          .local = a->tunnels_plan.local,
	                          .tunnel4 = a->env.tunnel4,
	                          .tunnel6 = a->env.tunnel6};

	cluster_each(a->cluster, WEFT_IPPOOL, add_pod_cidr, &shape);
	serving_shape(a->serving, &shape);
	nft_want(a->nft, &shape);
}

static void plan_tunnels(struct agent *a)
{
	struct routes_env before = a->env;
	struct tunnels_plan *t = &a->tunnels_plan;

	if (!knows_itself(a))
		return;
	tunnels_plan(a->cluster, a->underlay_mtu, t);
	tunnel_address(a, t->want_addr4, t->have_block4, WEFT_IPAM_V4, WEFT_IPAM_TUNNEL4, &a->env.tunnel4);
	tunnel_address(a, t->want_addr6, t->have_block6, WEFT_IPAM_V6, WEFT_IPAM_TUNNEL6, &a->env.tunnel6);
	a->env.ipip_ready = t->ipip && weft_addr_is_set(&t->local);
	a->env.sit_ready = t->sit && weft_addr_is_set(&t->local);
	want_tunnel(a, TUNNEL_IPIP, a->env.ipip_ready, &a->env.tunnel4);
	want_tunnel(a, TUNNEL_SIT, a->env.sit_ready, &a->env.tunnel6);
	agent_want_table(a);
	if (memcmp(&before, &a->env, sizeof(before)))
		cluster_dirty_all(a->cluster);
}

static bool still_dirty(const struct agent *a)
{
	return cluster_dirty_count(a->cluster) || a->underlay_dirty || a->holdings_dirty || a->tunnels_dirty;
}

static void plan(struct agent *a)
{
	/* Planning one part can make another dirty (a tunnel's address changes every block's source): until
	 * quiet. */
	for (int turn = 0; turn < 8; turn++) {
		drain_cluster(a);
		if (a->underlay_dirty) {
			a->underlay_dirty = false;
			agent_underlay_refresh(a);
			agent_want_sysctls(a);
			a->services_dirty = true;
		}
		if (a->holdings_dirty) {
			a->holdings_dirty = false;
			holdings_run(a->holdings);
			/* The tunnels take their addresses from what we hold. */
			if (tunnels_lack_address(a))
				a->tunnels_dirty = true;
		}
		if (a->tunnels_dirty) {
			a->tunnels_dirty = false;
			plan_tunnels(a);
		}
		if (!still_dirty(a))
			break;
	}
	if (still_dirty(a))
		agent_wake(a); /* in the next turn of the loop, which has others to serve */
	if (a->adverts_dirty) {
		a->adverts_dirty = false;
		cluster_each_block_of(a->cluster, a->cfg.node_name, plan_own_block, a);
	}
	announcer_settle(a->announcer);
	if (a->bgp_dirty) {
		a->bgp_dirty = false;
		agent_plan_bgp(a);
	}
}

static void note_failure(struct agent *a, const char *what, const struct weft_err *err)
{
	if (!a->repair[0])
		log_error("%s: %s; trying again", what, err->text);
	snprintf(a->repair, sizeof(a->repair), "%s: %s", what, err->text);
	a->counters.failures++;
	a->resync = true;
}

static void plan_services(struct agent *a)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (!knows_itself(a))
		return;
	if (a->services_dirty) {
		a->services_dirty = false;
		serving_drain(a->serving, draining_state(a->draining).stage == BGP_DRAIN_WITHDRAWN);
		serving_refresh(a->serving, &a->env.ip4, &a->env.ip6);
		agent_want_table(a);
	}
	/* Not before: service CIDRs, our addresses and our local routes tell which of its services are ours.
	 */
	if (!a->ipvs_read) {
		a->ipvs_read = true;
		if (ipvs_resync(a->ipvs, uv_now(a->loop), &err) < 0)
			note_failure(a, "reading IPVS", &err);
		serving_handover_audit(a->serving);
	}
	agent_handover_plan(a);
	serving_plan(a->serving);
}

/* The fault stays until the table is as wanted: nft_apply() pauses after a failure. */
static void apply_nft(struct agent *a, uint64_t now)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (nft_apply(a->nft, now, &err) < 0) {
		if (strcmp(a->nft_fault, err.text))
			log_error("nftables: %s", err.text);
		snprintf(a->nft_fault, sizeof(a->nft_fault), "%s", err.text);
	} else if (nft_settled(a->nft)) {
		a->nft_fault[0] = '\0';
	}
}

/* Returns true when everything that is wanted was handed to the kernel. */
static bool apply(struct agent *a)
{
	uint64_t now = uv_now(a->loop);
	struct weft_err err = WEFT_ERR_INIT;
	int r, services;

	if (sysctl_apply(a->sysctl, &err) < 0 && strcmp(a->sysctl_fault, err.text))
		log_error("kernel settings: %s", err.text);
	snprintf(a->sysctl_fault, sizeof(a->sysctl_fault), "%s", err.text);
	err = WEFT_ERR_INIT;
	r = serving_withdraw(a->serving, now, &err);
	if (r < 0)
		note_failure(a, "withdrawing Services", &err);
	if (r)
		return false; /* what draws packets here is there still */
	/* These two keep what failed dirty and try again by their own deadline. First who may send to a
	 * tunnel. */
	apply_nft(a, now);
	if (tunnel_apply(a->tunnel, now, &err) < 0)
		log_error("tunnel devices: %s", err.text);
	err = WEFT_ERR_INIT;
	services = serving_apply(a->serving, now, &err);
	if (services < 0)
		note_failure(a, "Services", &err);
	else if (services > 0)
		agent_wake(a);
	r = fib_apply(a->fib, now, &err);
	if (r < 0)
		note_failure(a, "routes", &err);
	return r == 0 && services == 0; /* the rest in the next turn: the loop has others to serve */
}

/*
 * Left-overs of an earlier life are nobody's only when all that could want them has spoken: a manifest that
 * can't be read says nothing yet.
 */
static bool may_sweep(const struct agent *a)
{
	return knows_itself(a) && !cluster_invalid(a->cluster) && !serving_waits(a->serving);
}

static void on_deadline(uv_timer_t *t)
{
	agent_wake(t->data);
}

/* The next time something has to be tried again although nothing happens. */
static void arm_deadline(struct agent *a)
{
	uint64_t now = uv_now(a->loop), at = fib_deadline(a->fib);

	if (tunnel_deadline(a->tunnel) < at)
		at = tunnel_deadline(a->tunnel);
	if (nft_deadline(a->nft) < at)
		at = nft_deadline(a->nft);
	if (ipvs_deadline(a->ipvs) < at)
		at = ipvs_deadline(a->ipvs);
	if (handover_deadline(a->handover) < at)
		at = handover_deadline(a->handover);
	if (agent_services_deadline(a) < at)
		at = agent_services_deadline(a);
	if (a->resync && now + 1000 < at)
		at = now + 1000;
	if (a->ready_retry_at && a->ready_retry_at < at)
		at = a->ready_retry_at;
	if (at == FIB_NEVER)
		uv_timer_stop(&a->deadline);
	else
		uv_timer_start(&a->deadline, on_deadline, at > now ? at - now : 1, 0);
}

static void on_farewell(uv_timer_t *t)
{
	struct agent *a = t->data;

	log_info("drained: stopping; routes, pods and BIRD stay as they are");
	uv_stop(a->loop);
}

/* The routers need a moment to follow the withdrawals. */
static void farewell(struct agent *a)
{
	if (!uv_is_active((uv_handle_t *)&a->farewell))
		uv_timer_start(&a->farewell, on_farewell, FAREWELL_MS, 0);
}

static bool reconcile(struct agent *a)
{
	struct weft_err err = WEFT_ERR_INIT;
	bool complete, busy;

	if (a->resync) {
		a->resync = false;
		if (agent_kernel_resync(a, &err) < 0)
			note_failure(a, "reading the kernel's state", &err);
		a->bgp_dirty = true;
	}
	draining_turn(a->draining);
	agent_handover_tell(a);
	agent_follow_bird(a);
	plan(a);
	plan_services(a);
	busy = serving_oldest_pending(a->serving) != 0;
	agent_services_ready(a);
	complete = apply(a);
	agent_follow_classes(a);
	agent_follow_deleted(a);
	if (!a->resync)
		a->repair[0] = '\0';
	if (complete && !a->swept && !a->repair[0] && !may_sweep(a) && !a->sweep_waits) {
		a->sweep_waits = true;
		log_info(
		        "left-overs of an earlier life stay until there are our Node, a network, and no malformed "
		        "manifest");
	}
	if (complete && !a->swept && !a->repair[0] && may_sweep(a)) {
		a->swept = true;
		fib_sweep(a->fib);
		serving_sweep(a->serving);
		ipvs_sweep(a->ipvs);
		nft_sweep(a->nft);
		tunnel_sweep(a->tunnel);
		complete = apply(a);
	}
	if (complete)
		agent_check_ready(a);
	if (complete && draining_stopped(a->draining))
		farewell(a);
	arm_deadline(a);
	return busy;
}

void agent_reconcile(struct agent *a)
{
	uint64_t begun = uv_hrtime();
	struct services_changes changes;
	bool busy;

	if (a->stopping || !cluster_synced(a->cluster))
		return;
	busy = reconcile(a);
	changes = services_changes(a->services);
	counters_turn(&a->counters, uv_hrtime() - begun, busy, serving_oldest_pending(a->serving) != 0,
	              &changes);
}
