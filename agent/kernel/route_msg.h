// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routes to and from rtnetlink messages. Pure: no socket, no memory kept.
 */
#ifndef WEFT_KERNEL_ROUTE_MSG_H
#define WEFT_KERNEL_ROUTE_MSG_H

#include <netlink/msg.h>

#include "weft/route.h"

/* A route as the kernel told it. route.dev is always "" here: the caller knows names, we know indexes. */
struct route_info {
	struct weft_route route;
	uint32_t oif; /* 0 = none; also 0 for the `lo` that the kernel shows on v6 blackholes and the like */
	uint8_t tos;  /* v4: routes that differ in tos are different routes; weft's have 0 */
	bool foreign_attributes; /* carries what weft never sets (several next hops, encapsulation, other
	                            metrics) */
};

/*
 * Fill an empty message with RTM_NEWROUTE or RTM_DELROUTE for r (protocol, type and scope included, so that
 * a delete hits exactly this route and no other with the same key). `flags`: NLM_F_CREATE | NLM_F_EXCL for a
 * new route, NLM_F_REPLACE for a change, 0 for a delete. oif: the index of r->dev, 0 if it has none.
 * 0 or -ENOSPC.
 */
int route_msg_put(struct nl_msg *msg, uint16_t type, uint16_t flags, const struct weft_route *r,
                  uint32_t oif);

/* The request of a dump of one family, limited to one table when table is not 0 (needs
 * NETLINK_GET_STRICT_CHK). */
int route_msg_dump(struct nl_msg *msg, uint8_t family, uint32_t table);

/* Cheap look at the fixed header, before decoding: a v4 or v6 route with an own or foreign protocol. */
static inline uint8_t route_msg_protocol(const struct nlmsghdr *nlh)
{
	return nlmsg_datalen(nlh) < (int)sizeof(struct rtmsg)
	               ? 0
	               : ((const struct rtmsg *)nlmsg_data(nlh))->rtm_protocol;
}

/* One way that a route has: of several with RTA_MULTIPATH, or its only one. */
struct route_hop {
	uint32_t oif;             /* 0 = none */
	struct weft_addr gateway; /* AF_UNSPEC: on-link. May be of the other family (RTA_VIA, RFC 8950) */
};

typedef void (*route_hop_fn)(void *ctx, const struct route_hop *hop);

/*
 * Calls fn for each next hop, in the kernel's order. Of a nexthop object the kernel tells the hops, too, as long as
 * net.ipv4.nexthop_compat_mode is on, which is its default. 0, or -EINVAL: malformed, fn may have had some.
 */
int route_msg_hops(const struct nlmsghdr *nlh, route_hop_fn fn, void *ctx);

/* 0; -EINVAL: malformed; -ENOENT: not a route of the FIB (cache clone, other family). */
int route_msg_parse(const struct nlmsghdr *nlh, struct route_info *out);

#endif
