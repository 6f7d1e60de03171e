// SPDX-License-Identifier: GPL-2.0-or-later
/* Permanent neighbour entries as rtnetlink messages: neigh_msg.h. */
#include "agent/kernel/neigh_msg.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

int neigh_msg_put(struct nl_msg *msg, uint32_t index, const struct weft_addr *addr, const uint8_t mac[6])
{
	size_t size = weft_addr_size(addr->family);
	struct ndmsg ndm = {
	        .ndm_family = addr->family, .ndm_ifindex = (int)index, .ndm_state = NUD_PERMANENT};

	if (!size)
		return -EINVAL;
	if (!nlmsg_put(msg, 0, 0, RTM_NEWNEIGH, 0, NLM_F_CREATE | NLM_F_REPLACE) ||
	    nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO) ||
	    nla_put(msg, NDA_DST, (int)size, addr->bytes) || nla_put(msg, NDA_LLADDR, 6, mac))
		return -ENOSPC;
	return 0;
}
