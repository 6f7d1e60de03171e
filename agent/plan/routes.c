// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/routes.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "weft/marks.h"

/* Everything one decision needs, gathered once. */
struct job {
	const struct routes_env *env;
	const struct cluster_block *block;
	struct routes_plan *out;
	bool v6;
};

static struct weft_route *add(struct routes_plan *out, uint32_t table, uint32_t metric,
                              const struct weft_prefix *dst)
{
	struct weft_route *r = &out->routes[out->n++];

	memset(r, 0, sizeof(*r));
	r->key.table = table;
	r->key.metric = metric;
	r->key.dst = *dst;
	r->type = RTN_UNICAST;
	r->scope = RT_SCOPE_UNIVERSE;
	r->protocol = WEFT_RTPROT;
	return r;
}

static void plan_own(const struct job *j)
{
	add(j->out, RT_TABLE_MAIN, WEFT_METRIC_OWN_BLOCK, &j->block->cidr)->type = RTN_BLACKHOLE;
	if (j->env->advertise)
		add(j->out, WEFT_TABLE_ADVERT, WEFT_METRIC_POD_BLOCK, &j->block->cidr)->type = RTN_BLACKHOLE;
}

__attribute__((format(printf, 2, 3))) static void refuse(const struct job *j, const char *fmt, ...)
{
	char prefix[WEFT_PREFIX_STR];
	int n = snprintf(j->out->reason, sizeof(j->out->reason),
	                 "block %s of node %s: ", weft_prefix_str(&j->block->cidr, prefix),
	                 j->block->node_name);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->out->reason + n, sizeof(j->out->reason) - (size_t)n, fmt, ap);
	va_end(ap);
}

const struct routes_link *routes_on_link(const struct routes_env *env, const struct weft_addr *addr)
{
	const struct routes_link *best = NULL;

	for (size_t i = 0; i < env->n_links; i++) {
		const struct routes_link *l = &env->links[i];

		if (!l->down && weft_prefix_contains(&l->prefix, addr) &&
		    (!best || l->prefix.len > best->prefix.len))
			best = l;
	}
	return best;
}

/* The node's address by which its blocks of one family are reached directly: that of the same family. */
static const struct weft_addr *node_addr(const struct weft_node *node, bool v6)
{
	return v6 ? &node->ip6 : &node->ip4;
}

static void plan_direct(const struct job *j, const struct routes_link *link)
{
	struct weft_route *r = add(j->out, RT_TABLE_MAIN, WEFT_METRIC_DIRECT, &j->block->cidr);

	r->gateway = *node_addr(j->block->node, j->v6);
	memcpy(r->dev, link->dev, sizeof(r->dev));
}

/* ::a.b.c.d */
static struct weft_addr v4_compatible(const struct weft_addr *ip4)
{
	struct weft_addr a = {.family = AF_INET6};

	memcpy(a.bytes + 12, ip4->bytes, 4);
	return a;
}

static void plan_tunnel(const struct job *j, uint32_t metric)
{
	const char *dev = j->v6 ? WEFT_DEV_SIT : WEFT_DEV_IPIP;
	const struct weft_addr *remote = &j->block->node->ip4;
	struct weft_route *r;

	if (!weft_addr_is_set(remote)) {
		refuse(j, "no tunnel: the node has no IPv4 InternalIP, and %s travels in IPv4", dev);
		return;
	}
	if (!weft_addr_is_set(&j->env->ip4)) {
		refuse(j, "no tunnel: this node has no IPv4 InternalIP, and %s travels in IPv4", dev);
		return;
	}
	if (!(j->v6 ? j->env->sit_ready : j->env->ipip_ready)) {
		refuse(j, "no tunnel: the device %s is not ready", dev);
		return;
	}
	r = add(j->out, RT_TABLE_MAIN, metric, &j->block->cidr);
	r->gateway = j->v6 ? v4_compatible(remote) : *remote;
	r->onlink = true;
	r->src = j->v6 ? j->env->tunnel6 : j->env->tunnel4;
	snprintf(r->dev, sizeof(r->dev), "%s", dev);
}

/* A remote node that claims an address of ours would make us send its traffic to ourselves. */
static bool has_our_address(const struct job *j)
{
	const struct weft_node *n = j->block->node;
	bool same4 = weft_addr_is_set(&n->ip4) && !weft_addr_cmp(&n->ip4, &j->env->ip4);
	bool same6 = weft_addr_is_set(&n->ip6) && !weft_addr_cmp(&n->ip6, &j->env->ip6);
	char ip[WEFT_ADDR_STR];

	if (same4 || same6)
		refuse(j, "no route: the node claims %s, which is our own InternalIP",
		       weft_addr_str(same4 ? &n->ip4 : &n->ip6, ip));
	return same4 || same6;
}

static void plan_remote(const struct job *j)
{
	const struct weft_node *n = j->block->node;
	enum weft_tunnel_mode mode = j->block->pool->tunnel;
	const struct weft_addr *addr = node_addr(n, j->v6);
	const struct routes_link *link = weft_addr_is_set(addr) ? routes_on_link(j->env, addr) : NULL;

	if (has_our_address(j))
		return;
	if (!weft_addr_is_set(&n->ip4) && !weft_addr_is_set(&n->ip6))
		refuse(j, "no route: the node has no InternalIP");
	else if (mode == WEFT_TUNNEL_ALWAYS)
		plan_tunnel(j, WEFT_METRIC_TUNNEL);
	else if (link)
		plan_direct(j, link);
	else if (mode == WEFT_TUNNEL_CROSS_SUBNET)
		plan_tunnel(j, WEFT_METRIC_TUNNEL);
	else if (mode == WEFT_TUNNEL_FALLBACK)
		plan_tunnel(j, WEFT_METRIC_FALLBACK);
}

void routes_plan_block(const struct cluster *c, const struct routes_env *env, const struct weft_prefix *cidr,
                       struct routes_plan *out)
{
	struct cluster_block block;
	struct job j = {.env = env, .block = &block, .out = out, .v6 = cidr->addr.family == AF_INET6};

	memset(out, 0, sizeof(*out));
	if (!cluster_block(c, cidr, &block))
		return;
	memcpy(out->reason, block.problem, sizeof(out->reason));
	if (block.state == CLUSTER_BLOCK_OUTSIDE || block.state == CLUSTER_BLOCK_OVERLAP)
		return;
	if (block.own)
		plan_own(&j);
	else if (block.node)
		plan_remote(&j);
}

void routes_pod(const struct weft_addr *addr, const char *dev, struct weft_route *out)
{
	struct routes_plan one = {0};
	struct weft_prefix host = weft_prefix_host(addr);
	bool v6 = addr->family == AF_INET6;

	add(&one, RT_TABLE_MAIN, v6 ? 1 : 0, &host);
	*out = one.routes[0];
	out->scope = v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	snprintf(out->dev, sizeof(out->dev), "%s", dev);
}
