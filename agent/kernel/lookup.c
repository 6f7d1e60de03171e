// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kernel/lookup.h"

#include <errno.h>
#include <linux/rtnetlink.h>

#include "weft/cleanup.h"

static int take(void *ctx, const struct nlmsghdr *nlh)
{
	return route_msg_parse(nlh, ctx);
}

static int put_packet(struct nl_msg *msg, const struct lookup_packet *p)
{
	unsigned char bits = (unsigned char)weft_addr_bits(p->dst.family);
	int size = (int)weft_addr_size(p->dst.family);
	bool from = weft_addr_is_set(&p->src);
	struct rtmsg rtm = {.rtm_family = p->dst.family,
	                    .rtm_dst_len = bits,
	                    .rtm_src_len = from ? bits : 0,
	                    .rtm_flags = RTM_F_FIB_MATCH};

	nlmsg_hdr(msg)->nlmsg_type = RTM_GETROUTE;
	if (nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, RTA_DST, size, p->dst.bytes) < 0 ||
	    (from && nla_put(msg, RTA_SRC, size, p->src.bytes) < 0) ||
	    (p->iif && nla_put_u32(msg, RTA_IIF, p->iif) < 0))
		return -ENOMEM;
	return 0;
}

int lookup_packet(struct netlink *nl, const struct lookup_packet *packet, struct route_info *out,
                  struct weft_err *err)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct netlink_sink sink = {.msg = take, .ctx = out};

	if (!msg || put_packet(msg, packet) < 0)
		return weft_err_errno(err, ENOMEM, "route lookup");
	return netlink_get(nl, msg, &sink, err);
}

int lookup_route(struct netlink *nl, const struct weft_addr *dst, struct route_info *out,
                 struct weft_err *err)
{
	struct lookup_packet packet = {.dst = *dst};

	return lookup_packet(nl, &packet, out, err);
}
