// SPDX-License-Identifier: GPL-2.0-or-later
/* The routers on this node's links: routers.h. */
#include "agent/apply/routers.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/lookup.h"
#include "agent/kernel/neigh_msg.h"
#include "weft/cleanup.h"
#include "weft/marks.h"

struct look {
	struct routers fresh;
	const struct links *links;
};

static void add(struct routers *r, const char *dev, const struct weft_addr *addr, bool gateway)
{
	for (size_t i = 0; i < r->n; i++) {
		if (!strcmp(r->seen[i].dev, dev) && !weft_addr_cmp(&r->seen[i].addr, addr)) {
			r->seen[i].gateway |= gateway;
			return;
		}
	}
	if (r->n == ROUTERS_MAX)
		return;
	memcpy(r->seen[r->n].dev, dev, strnlen(dev, IFNAMSIZ - 1));
	r->seen[r->n].addr = *addr;
	r->seen[r->n].gateway = gateway;
	r->n++;
}

static bool is_underlay(const struct link_info *link)
{
	return link && link->up && !link->loopback &&
	       strncmp(link->name, WEFT_DEV_PREFIX, strlen(WEFT_DEV_PREFIX)) != 0;
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
		add(&look->fresh, link->name, &info.addr, false);
	return 0;
}

static void restart(void *ctx)
{
	memset(&((struct look *)ctx)->fresh, 0, sizeof(struct routers));
}

/* The way to an address that no host has is the default route, as long as nobody routes these two on purpose. */
static void take_gateway(struct look *look, struct netlink *nl, const char *nowhere)
{
	struct weft_err ignored = WEFT_ERR_INIT;
	struct weft_addr dst;
	struct route_info route;
	const struct link_info *link;

	if (weft_addr_parse(nowhere, &dst, &ignored) < 0 || lookup_route(nl, &dst, &route, &ignored) < 0)
		return;
	link = links_by_index(look->links, route.oif);
	if (route.route.key.dst.len == 0 && route.route.protocol != RTPROT_BIRD &&
	    weft_addr_is_set(&route.route.gateway) && is_underlay(link))
		add(&look->fresh, link->name, &route.route.gateway, true);
}

static bool has_device(const struct routers *r, const char *dev)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->seen[i].dev, dev) && weft_addr_is_link_local(&r->seen[i].addr))
			return true;
	return false;
}

static void keep_forgotten(struct look *look, const struct routers *before)
{
	struct routers now = look->fresh;

	for (size_t i = 0; i < before->n; i++) {
		const struct bgp_neighbour *n = &before->seen[i];

		if (weft_addr_is_link_local(&n->addr) && !has_device(&now, n->dev) &&
		    is_underlay(links_by_name(look->links, n->dev)))
			add(&look->fresh, n->dev, &n->addr, false);
	}
}

static int by_place(const void *a, const void *b)
{
	const struct bgp_neighbour *x = a, *y = b;
	int order = strcmp(x->dev, y->dev);

	return order ? order : weft_addr_cmp(&x->addr, &y->addr);
}

int routers_look(struct routers *r, struct netlink *nl, const struct links *links, struct weft_err *err)
{
	struct look look;
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	int rc;

	memset(&look, 0, sizeof(look)); /* what is compared below has no padding left to chance */
	look.links = links;
	if (!msg || neigh_msg_dump(msg, AF_INET6))
		return weft_err_errno(err, ENOMEM, "reading neighbours");
	rc = netlink_dump(nl, msg,
	                  &(struct netlink_sink){.restart = restart, .msg = take_neighbour, .ctx = &look},
	                  err);
	if (rc)
		return weft_err_wrap(err, "reading neighbours"), rc;
	take_gateway(&look, nl, "192.0.0.8"); /* RFC 7600 */
	take_gateway(&look, nl, "100::");     /* RFC 6666 */
	keep_forgotten(&look, r);
	qsort(look.fresh.seen, look.fresh.n, sizeof(look.fresh.seen[0]), by_place);
	if (!memcmp(r, &look.fresh, sizeof(*r)))
		return 0;
	*r = look.fresh;
	return 1;
}
