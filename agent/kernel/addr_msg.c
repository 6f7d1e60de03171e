// SPDX-License-Identifier: GPL-2.0-or-later
/* Interface addresses to and from rtnetlink messages: addr_msg.h. */
#include "agent/kernel/addr_msg.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <string.h>

int addr_msg_put(struct nl_msg *msg, uint16_t type, uint32_t index, const struct weft_addr *addr, uint8_t len,
                 bool nodad)
{
	size_t size = weft_addr_size(addr->family);
	struct ifaddrmsg ifa = {.ifa_family = addr->family,
	                        .ifa_prefixlen = len,
	                        .ifa_index = index,
	                        .ifa_flags = nodad && addr->family == AF_INET6 ? IFA_F_NODAD : 0};
	uint16_t flags = type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0;

	if (!size || len > size * 8)
		return -EINVAL;
	if (!nlmsg_put(msg, 0, 0, type, 0, flags) || nlmsg_append(msg, &ifa, sizeof(ifa), NLMSG_ALIGNTO) ||
	    nla_put(msg, IFA_LOCAL, (int)size, addr->bytes) ||
	    nla_put(msg, IFA_ADDRESS, (int)size, addr->bytes))
		return -ENOSPC;
	return 0;
}

int addr_msg_dump(struct nl_msg *msg, uint8_t family)
{
	struct ifaddrmsg ifa = {.ifa_family = family};

	if (!nlmsg_put(msg, 0, 0, RTM_GETADDR, 0, NLM_F_DUMP) ||
	    nlmsg_append(msg, &ifa, sizeof(ifa), NLMSG_ALIGNTO))
		return -ENOSPC;
	return 0;
}

/* IFA_LOCAL is our address, IFA_ADDRESS the prefix's; they differ on point-to-point links, v6 often has only
 * the latter. */
static int parse_addresses(struct nlattr *tb[], uint8_t family, struct addr_info *out)
{
	size_t size = weft_addr_size(family);
	struct nlattr *local = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];

	if (!local || (size_t)nla_len(local) < size ||
	    (tb[IFA_ADDRESS] && (size_t)nla_len(tb[IFA_ADDRESS]) < size))
		return -EINVAL;
	out->addr = weft_addr_from_bytes(family, nla_data(local));
	if (!tb[IFA_ADDRESS])
		return 0;
	out->peer_addr = weft_addr_from_bytes(family, nla_data(tb[IFA_ADDRESS]));
	out->peer = weft_addr_cmp(&out->addr, &out->peer_addr) != 0;
	return 0;
}

int addr_msg_parse(const struct nlmsghdr *nlh, struct addr_info *out)
{
	static const struct nla_policy policy[IFA_MAX + 1] = {[IFA_FLAGS] = {.type = NLA_U32}};
	struct nlattr *tb[IFA_MAX + 1];
	const struct ifaddrmsg *ifa = nlmsg_data(nlh);
	uint32_t flags;

	if (nlmsg_datalen(nlh) < (int)sizeof(*ifa))
		return -EINVAL;
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return -ENOENT;
	if (ifa->ifa_prefixlen > weft_addr_bits(ifa->ifa_family) ||
	    nlmsg_parse((struct nlmsghdr *)nlh, sizeof(*ifa), tb, IFA_MAX, (struct nla_policy *)policy) < 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	flags = tb[IFA_FLAGS] ? nla_get_u32(tb[IFA_FLAGS]) : ifa->ifa_flags;
	out->index = ifa->ifa_index;
	out->len = ifa->ifa_prefixlen;
	out->scope = ifa->ifa_scope;
	out->tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) && !(flags & IFA_F_OPTIMISTIC);
	return parse_addresses(tb, ifa->ifa_family, out);
}
