// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kernel/lookup.h"

#include <errno.h>
#include <linux/rtnetlink.h>

#include "weft/cleanup.h"

static int take(void *ctx, const struct nlmsghdr *nlh)
{
	return route_msg_parse(nlh, ctx);
}

int lookup_route(struct netlink *nl, const struct weft_addr *dst, struct route_info *out,
                 struct weft_err *err)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct netlink_sink sink = {.msg = take, .ctx = out};
	struct rtmsg rtm = {.rtm_family = dst->family,
	                    .rtm_dst_len = (unsigned char)weft_addr_bits(dst->family),
	                    .rtm_flags = RTM_F_FIB_MATCH};

	if (!msg)
		return weft_err_errno(err, ENOMEM, "route lookup");
	nlmsg_hdr(msg)->nlmsg_type = RTM_GETROUTE;
	if (nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, RTA_DST, (int)weft_addr_size(dst->family), dst->bytes) < 0)
		return weft_err_errno(err, ENOMEM, "route lookup");
	return netlink_get(nl, msg, &sink, err);
}
