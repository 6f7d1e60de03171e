// SPDX-License-Identifier: GPL-2.0-or-later
/* Neighbour entries as rtnetlink messages: neigh_msg.h. */
#include "agent/kernel/neigh_msg.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <string.h>

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

int neigh_msg_dump(struct nl_msg *msg, uint8_t family)
{
	struct ndmsg ndm = {.ndm_family = family};

	if (!nlmsg_put(msg, 0, 0, RTM_GETNEIGH, 0, NLM_F_DUMP) ||
	    nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO))
		return -ENOSPC;
	return 0;
}

uint32_t neigh_msg_router(const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = nlmsg_data(nlh);

	if (nlmsg_datalen(nlh) < (int)sizeof(*ndm) || ndm->ndm_family != AF_INET6 ||
	    !(ndm->ndm_flags & NTF_ROUTER))
		return 0;
	return (uint32_t)ndm->ndm_ifindex;
}

int neigh_msg_parse(const struct nlmsghdr *nlh, struct neigh_info *out)
{
	struct nlattr *tb[NDA_MAX + 1];
	struct ndmsg ndm;
	size_t size;

	if (nlmsg_datalen(nlh) < (int)sizeof(ndm))
		return -EINVAL;
	memcpy(&ndm, nlmsg_data(nlh), sizeof(ndm));
	if (nlh->nlmsg_type != RTM_NEWNEIGH || (ndm.ndm_family != AF_INET && ndm.ndm_family != AF_INET6))
		return -ENOENT;
	size = weft_addr_size(ndm.ndm_family);
	if (nlmsg_parse((struct nlmsghdr *)nlh, sizeof(ndm), tb, NDA_MAX, NULL) < 0)
		return -EINVAL;
	if (!tb[NDA_DST])
		return -ENOENT;
	if ((size_t)nla_len(tb[NDA_DST]) != size)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->index = (uint32_t)ndm.ndm_ifindex;
	out->addr.family = ndm.ndm_family;
	memcpy(out->addr.bytes, nla_data(tb[NDA_DST]), size);
	out->router = ndm.ndm_flags & NTF_ROUTER;
	out->failed = ndm.ndm_state == NUD_NONE || (ndm.ndm_state & (NUD_FAILED | NUD_INCOMPLETE));
	return 0;
}
