// SPDX-License-Identifier: GPL-2.0-or-later
/* Routes to and from rtnetlink messages: route_msg.h. */
#include "agent/kernel/route_msg.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <string.h>

#define TRY(expr)                       \
	do {                            \
		if ((expr) < 0)         \
			return -ENOSPC; \
	} while (0)

static int put_addr(struct nl_msg *msg, int attr, const struct weft_addr *a)
{
	return weft_addr_is_set(a) ? nla_put(msg, attr, (int)weft_addr_size(a->family), a->bytes) : 0;
}

static int put_window(struct nl_msg *msg, uint32_t window)
{
	struct nlattr *metrics;

	if (!window)
		return 0;
	metrics = nla_nest_start(msg, RTA_METRICS);
	if (!metrics || nla_put_u32(msg, RTAX_WINDOW, window))
		return -ENOSPC;
	nla_nest_end(msg, metrics);
	return 0;
}

/* A v6 route in a v4 message, or a v4 gateway for a v6 route, has no encoding here. */
static bool families_fit(const struct weft_route *r)
{
	uint8_t family = r->key.dst.addr.family;

	return (family == AF_INET || family == AF_INET6) && r->key.dst.len <= weft_addr_bits(family) &&
	       (!r->gateway.family || r->gateway.family == family) &&
	       (!r->src.family || r->src.family == family);
}

int route_msg_put(struct nl_msg *msg, uint16_t type, uint16_t flags, const struct weft_route *r, uint32_t oif)
{
	uint8_t family = r->key.dst.addr.family;
	struct rtmsg rtm = {
	        .rtm_family = family,
	        .rtm_dst_len = r->key.dst.len,
	        .rtm_table = r->key.table < 256 ? (unsigned char)r->key.table : RT_TABLE_COMPAT,
	        .rtm_protocol = r->protocol,
	        .rtm_scope = family == AF_INET ? r->scope : RT_SCOPE_UNIVERSE,
	        .rtm_type = r->type,
	        .rtm_flags = r->onlink ? RTNH_F_ONLINK : 0,
	};

	if (!families_fit(r))
		return -EINVAL;
	if (!nlmsg_put(msg, 0, 0, type, 0, flags))
		return -ENOSPC;
	TRY(nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO));
	TRY(nla_put(msg, RTA_DST, (int)weft_addr_size(family), r->key.dst.addr.bytes));
	TRY(nla_put_u32(msg, RTA_TABLE, r->key.table));
	if (r->key.metric)
		TRY(nla_put_u32(msg, RTA_PRIORITY, r->key.metric));
	TRY(put_addr(msg, RTA_GATEWAY, &r->gateway));
	if (oif)
		TRY(nla_put_u32(msg, RTA_OIF, oif));
	TRY(put_addr(msg, RTA_PREFSRC, &r->src));
	TRY(put_window(msg, r->window));
	return 0;
}

int route_msg_dump(struct nl_msg *msg, uint8_t family, uint32_t table)
{
	struct rtmsg rtm = {.rtm_family = family, .rtm_table = table < 256 ? (unsigned char)table : 0};

	if (!nlmsg_put(msg, 0, 0, RTM_GETROUTE, 0, NLM_F_DUMP))
		return -ENOSPC;
	TRY(nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO));
	if (table)
		TRY(nla_put_u32(msg, RTA_TABLE, table));
	return 0;
}

/* Address attribute of the expected size -> out; 0 or -EINVAL. A missing one leaves out alone. */
static int get_addr(const struct nlattr *a, uint8_t family, struct weft_addr *out)
{
	if (!a)
		return 0;
	if ((size_t)nla_len(a) < weft_addr_size(family))
		return -EINVAL;
	*out = weft_addr_from_bytes(family, nla_data(a));
	return 0;
}

static int get_metrics(struct nlattr *nest, struct route_info *out)
{
	struct nlattr *a;
	int rem;

	nla_for_each_nested(a, nest, rem)
	{
		if (nla_type(a) == RTAX_WINDOW && nla_len(a) >= 4)
			out->route.window = nla_get_u32(a);
		else
			out->foreign_attributes = true;
	}
	return 0;
}

/* The kernel gives every v6 route that discards packets the device lo (net/ipv6/route.c). */
static bool discards(uint8_t type)
{
	return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT || type == RTN_THROW;
}

static int parse_attributes(struct nlattr *tb[], const struct rtmsg *rtm, struct route_info *out)
{
	struct weft_route *r = &out->route;
	uint8_t family = rtm->rtm_family;

	r->key.dst.addr.family = family;
	if (get_addr(tb[RTA_DST], family, &r->key.dst.addr) ||
	    get_addr(tb[RTA_GATEWAY], family, &r->gateway) || get_addr(tb[RTA_PREFSRC], family, &r->src))
		return -EINVAL;
	r->key.table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : rtm->rtm_table;
	if (tb[RTA_PRIORITY])
		r->key.metric = nla_get_u32(tb[RTA_PRIORITY]);
	if (tb[RTA_OIF] && !discards(r->type))
		out->oif = nla_get_u32(tb[RTA_OIF]);
	if (tb[RTA_METRICS])
		get_metrics(tb[RTA_METRICS], out);
	if (tb[RTA_MULTIPATH] || tb[RTA_NH_ID] || tb[RTA_ENCAP] || tb[RTA_VIA] || tb[RTA_SRC])
		out->foreign_attributes = true;
	return 0;
}

int route_msg_parse(const struct nlmsghdr *nlh, struct route_info *out)
{
	static const struct nla_policy policy[RTA_MAX + 1] = {
	        [RTA_OIF] = {.type = NLA_U32},   [RTA_PRIORITY] = {.type = NLA_U32},
	        [RTA_TABLE] = {.type = NLA_U32}, [RTA_METRICS] = {.type = NLA_NESTED},
	        [RTA_NH_ID] = {.type = NLA_U32},
	};
	struct nlattr *tb[RTA_MAX + 1];
	const struct rtmsg *rtm = nlmsg_data(nlh);

	if (nlmsg_datalen(nlh) < (int)sizeof(*rtm))
		return -EINVAL;
	if ((rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) || (rtm->rtm_flags & RTM_F_CLONED))
		return -ENOENT;
	if (rtm->rtm_dst_len > weft_addr_bits(rtm->rtm_family) ||
	    nlmsg_parse((struct nlmsghdr *)nlh, sizeof(*rtm), tb, RTA_MAX, (struct nla_policy *)policy) < 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->tos = rtm->rtm_tos;
	out->route.key.dst.len = rtm->rtm_dst_len;
	out->route.type = rtm->rtm_type;
	out->route.scope = rtm->rtm_family == AF_INET ? rtm->rtm_scope : RT_SCOPE_UNIVERSE;
	out->route.protocol = rtm->rtm_protocol;
	out->route.onlink = rtm->rtm_flags & RTNH_F_ONLINK;
	return parse_attributes(tb, rtm, out);
}

/* RTA_GATEWAY is of the route's family, RTA_VIA says its own (net/ipv4/fib_semantics.c). */
static int get_gateway(const struct nlattr *gateway, const struct nlattr *via, uint8_t family,
                       struct weft_addr *out)
{
	struct rtvia head;
	size_t size;

	if (!via)
		return get_addr(gateway, family, out);
	if ((size_t)nla_len(via) < sizeof(head))
		return -EINVAL;
	memcpy(&head, nla_data(via), sizeof(head));
	size = (size_t)nla_len(via) - sizeof(head);
	if ((head.rtvia_family != AF_INET && head.rtvia_family != AF_INET6) ||
	    size < weft_addr_size((uint8_t)head.rtvia_family))
		return -EINVAL;
	*out = weft_addr_from_bytes((uint8_t)head.rtvia_family,
	                            (const unsigned char *)nla_data(via) + sizeof(head));
	return 0;
}

static int each_of_several(const struct nlattr *several, uint8_t family, route_hop_fn fn, void *ctx)
{
	const char *at = nla_data(several);
	size_t left = (size_t)nla_len(several);

	while (left >= sizeof(struct rtnexthop)) {
		struct nlattr *tb[RTA_MAX + 1];
		struct rtnexthop nh;
		struct route_hop hop = {0};
		size_t step;

		memcpy(&nh, at, sizeof(nh));
		if (nh.rtnh_len < sizeof(nh) || nh.rtnh_len > left ||
		    nla_parse(tb, RTA_MAX, (struct nlattr *)(void *)(at + sizeof(nh)),
		              nh.rtnh_len - (int)sizeof(nh), NULL) < 0 ||
		    get_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], family, &hop.gateway))
			return -EINVAL;
		hop.oif = (uint32_t)nh.rtnh_ifindex;
		fn(ctx, &hop);
		step = RTNH_ALIGN((size_t)nh.rtnh_len);
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	return 0;
}

int route_msg_hops(const struct nlmsghdr *nlh, route_hop_fn fn, void *ctx)
{
	static const struct nla_policy policy[RTA_MAX + 1] = {[RTA_OIF] = {.type = NLA_U32}};
	struct nlattr *tb[RTA_MAX + 1];
	const struct rtmsg *rtm = nlmsg_data(nlh);
	struct route_hop hop = {0};

	if (nlmsg_datalen(nlh) < (int)sizeof(*rtm) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
	    nlmsg_parse((struct nlmsghdr *)nlh, sizeof(*rtm), tb, RTA_MAX, (struct nla_policy *)policy) < 0)
		return -EINVAL;
	if (tb[RTA_MULTIPATH])
		return each_of_several(tb[RTA_MULTIPATH], rtm->rtm_family, fn, ctx);
	if (get_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], rtm->rtm_family, &hop.gateway))
		return -EINVAL;
	if (tb[RTA_OIF])
		hop.oif = nla_get_u32(tb[RTA_OIF]);
	fn(ctx, &hop);
	return 0;
}
