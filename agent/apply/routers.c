// SPDX-License-Identifier: GPL-2.0-or-later
/* The routers on this node's links: routers.h. */
#include "agent/apply/routers.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/neigh_msg.h"
#include "agent/kernel/route_msg.h"
#include "weft/cleanup.h"
#include "weft/marks.h"

struct look {
	struct routers_half fresh;
	const struct links *links;
	size_t from;     /* fresh.seen[from] is the first one of this dump */
	uint32_t metric; /* gateways: the best of this dump so far */
};

static void add(struct bgp_neighbour *seen, size_t *n, size_t max, const struct bgp_neighbour *what)
{
	for (size_t i = 0; i < *n; i++) {
		if (!strcmp(seen[i].dev, what->dev) && !weft_addr_cmp(&seen[i].addr, &what->addr)) {
			seen[i].gateway |= what->gateway;
			return;
		}
	}
	if (*n < max)
		seen[(*n)++] = *what;
}

static void saw(struct look *look, const char *dev, const struct weft_addr *addr, bool gateway)
{
	struct bgp_neighbour what = {.addr = *addr, .gateway = gateway};

	memcpy(what.dev, dev, strnlen(dev, IFNAMSIZ - 1));
	add(look->fresh.seen, &look->fresh.n, ROUTERS_MAX, &what);
}

static bool is_own_device(const char *name)
{
	return !strncmp(name, WEFT_DEV_PREFIX, strlen(WEFT_DEV_PREFIX));
}

static bool is_underlay(const struct link_info *link)
{
	return link && link->up && !link->loopback && !is_own_device(link->name);
}

/* --- what events say --- */

void routers_resync(struct routers *r)
{
	r->neighbours.due = r->gateways.due = true;
}

static bool is_default_route(const struct weft_route *route)
{
	return route->key.dst.len == 0 && route->key.table == RT_TABLE_MAIN && route->type == RTN_UNICAST &&
	       route->protocol != RTPROT_BIRD;
}

/* What the kernel does not tell goes with these: IPv4 routes by a device, or with a source, that is no more. */
static void on_underlay(struct routers *r, const struct link_info *link)
{
	if (link && !is_own_device(link->name))
		routers_resync(r);
}

void routers_on_event(struct routers *r, const struct links *links, const struct monitor_event *ev)
{
	switch (ev->type) {
	case MONITOR_ROUTE_NEW:
	case MONITOR_ROUTE_DEL:
		r->gateways.due |= is_default_route(&ev->route.route);
		break;
	case MONITOR_LINK_NEW:
	case MONITOR_LINK_DEL:
		on_underlay(r, &ev->link);
		break;
	case MONITOR_ADDR_NEW:
	case MONITOR_ADDR_DEL:
		on_underlay(r, links_by_index(links, ev->addr.index));
		break;
	case MONITOR_ROUTER:
		r->neighbours.due |= is_underlay(links_by_index(links, ev->router));
		break;
	case MONITOR_OVERFLOW:
		routers_resync(r);
		break;
	}
}

/* --- neighbours --- */

static void restart(void *ctx)
{
	struct look *look = ctx;

	look->fresh.n = look->from;
	look->metric = UINT32_MAX;
}

static int take_neighbour(void *ctx, const struct nlmsghdr *nlh)
{
	struct look *look = ctx;
	struct neigh_info info;
	const struct link_info *link;

	if (neigh_msg_parse(nlh, &info) || !info.router || info.failed)
		return 0;
	link = links_by_index(look->links, info.index);
	if (is_underlay(link) && weft_addr_is_link_local(&info.addr))
		saw(look, link->name, &info.addr, false);
	return 0;
}

static bool has_device(const struct routers_half *half, const char *dev)
{
	for (size_t i = 0; i < half->n; i++)
		if (!strcmp(half->seen[i].dev, dev))
			return true;
	return false;
}

static void keep_forgotten(struct look *look, const struct routers_half *before)
{
	struct routers_half now = look->fresh;

	for (size_t i = 0; i < before->n; i++) {
		const struct bgp_neighbour *n = &before->seen[i];

		if (!has_device(&now, n->dev) && is_underlay(links_by_name(look->links, n->dev)))
			saw(look, n->dev, &n->addr, false);
	}
}

static int read_neighbours(struct look *look, struct netlink *nl, struct nl_msg *msg, struct weft_err *err)
{
	struct netlink_sink sink = {.restart = restart, .msg = take_neighbour, .ctx = look};

	if (neigh_msg_dump(msg, AF_INET6) < 0)
		return weft_err_errno(err, ENOMEM, "request");
	return netlink_dump(nl, msg, &sink, err);
}

/* --- gateways --- */

static void take_hop(void *ctx, const struct route_hop *hop)
{
	struct look *look = ctx;
	const struct link_info *link = links_by_index(look->links, hop->oif);

	if (weft_addr_is_set(&hop->gateway) && is_underlay(link))
		saw(look, link->name, &hop->gateway, true);
}

static int take_route(void *ctx, const struct nlmsghdr *nlh)
{
	struct look *look = ctx;
	struct route_info info;

	if (route_msg_protocol(nlh) == RTPROT_BIRD || route_msg_parse(nlh, &info) ||
	    !is_default_route(&info.route) || info.route.key.metric > look->metric)
		return 0;
	if (info.route.key.metric < look->metric)
		restart(look);
	look->metric = info.route.key.metric;
	(void)route_msg_hops(nlh, take_hop, look); /* the kernel's own words: nothing malformed to report */
	return 0;
}

static int read_gateways(struct look *look, struct netlink *nl, struct nl_msg *msg, struct weft_err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct netlink_sink sink = {.restart = restart, .msg = take_route, .ctx = look};

	for (size_t i = 0; i < 2; i++) {
		int rc;

		netlink_msg_reset(msg);
		look->from = look->fresh.n;
		if (route_msg_dump(msg, families[i], RT_TABLE_MAIN) < 0)
			return weft_err_errno(err, ENOMEM, "request");
		rc = netlink_dump(nl, msg, &sink, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* --- both --- */

static int by_place(const void *a, const void *b)
{
	const struct bgp_neighbour *x = a, *y = b;
	int order = strcmp(x->dev, y->dev);

	return order ? order : weft_addr_cmp(&x->addr, &y->addr);
}

_Static_assert(sizeof(struct bgp_neighbour) == IFNAMSIZ + sizeof(struct weft_addr) + 1, "compared as bytes");

/* Returns true when that changed what is seen. */
static bool merge(struct routers *r)
{
	struct bgp_neighbour seen[2 * ROUTERS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < r->neighbours.n; i++)
		add(seen, &n, 2 * ROUTERS_MAX, &r->neighbours.seen[i]);
	for (size_t i = 0; i < r->gateways.n; i++)
		add(seen, &n, 2 * ROUTERS_MAX, &r->gateways.seen[i]);
	qsort(seen, n, sizeof(seen[0]), by_place);
	if (n == r->n && !memcmp(r->seen, seen, n * sizeof(seen[0])))
		return false;
	memcpy(r->seen, seen, n * sizeof(seen[0]));
	r->n = n;
	return true;
}

int routers_look(struct routers *r, struct netlink *nl, const struct links *links, struct weft_err *err)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	int rc;

	if (!msg)
		return weft_err_errno(err, ENOMEM, "looking for routers");
	if (r->neighbours.due) {
		struct look look = {.links = links};

		rc = read_neighbours(&look, nl, msg, err);
		if (rc)
			return weft_err_wrap(err, "reading neighbours"), rc;
		keep_forgotten(&look, &r->neighbours);
		r->neighbours = look.fresh;
	}
	if (r->gateways.due) {
		struct look look = {.links = links};

		rc = read_gateways(&look, nl, msg, err);
		if (rc)
			return weft_err_wrap(err, "reading default routes"), rc;
		r->gateways = look.fresh;
	}
	return merge(r);
}
