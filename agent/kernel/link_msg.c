// SPDX-License-Identifier: GPL-2.0-or-later
/* Network devices to and from rtnetlink messages: link_msg.h. */
#include "agent/kernel/link_msg.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <string.h>

#define TRY(expr)                       \
	do {                            \
		if ((expr) < 0)         \
			return -ENOSPC; \
	} while (0)

bool link_name_valid(const char *name)
{
	size_t n = strnlen(name, IFNAMSIZ);

	if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c >= 127 || c == '/' || c == ':')
			return false;
	}
	return true;
}

static int put_header(struct nl_msg *msg, uint16_t type, uint16_t flags, const struct ifinfomsg *ifi)
{
	if (!nlmsg_put(msg, 0, 0, type, 0, flags))
		return -ENOSPC;
	TRY(nlmsg_append(msg, (void *)ifi, sizeof(*ifi), NLMSG_ALIGNTO));
	return 0;
}

int link_msg_dump(struct nl_msg *msg)
{
	return put_header(msg, RTM_GETLINK, NLM_F_DUMP, &(struct ifinfomsg){0});
}

int link_msg_get(struct nl_msg *msg, const char *name)
{
	TRY(put_header(msg, RTM_GETLINK, 0, &(struct ifinfomsg){0}));
	TRY(nla_put_string(msg, IFLA_IFNAME, name));
	return 0;
}

int link_msg_del(struct nl_msg *msg, uint32_t index)
{
	return put_header(msg, RTM_DELLINK, 0, &(struct ifinfomsg){.ifi_index = (int)index});
}

static int put_common(struct nl_msg *msg, const char *name, uint32_t mtu, const uint8_t *mac)
{
	if (name)
		TRY(nla_put_string(msg, IFLA_IFNAME, name));
	if (mtu)
		TRY(nla_put_u32(msg, IFLA_MTU, mtu));
	if (mac)
		TRY(nla_put(msg, IFLA_ADDRESS, 6, mac));
	return 0;
}

/* VETH_INFO_PEER holds an ifinfomsg and then attributes, like a message within the message. */
static int put_veth_peer(struct nl_msg *msg, const struct link_veth *v)
{
	struct nlattr *peer = nla_nest_start(msg, VETH_INFO_PEER);
	struct ifinfomsg ifi = {0};

	if (!peer)
		return -ENOSPC;
	TRY(nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO));
	TRY(put_common(msg, v->peer_name, v->mtu, v->peer_mac));
	if (v->peer_netns >= 0)
		TRY(nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)v->peer_netns));
	nla_nest_end(msg, peer);
	return 0;
}

int link_msg_veth(struct nl_msg *msg, const struct link_veth *v)
{
	struct ifinfomsg ifi = {.ifi_flags = v->up ? IFF_UP : 0, .ifi_change = v->up ? IFF_UP : 0};
	struct nlattr *info, *data;

	TRY(put_header(msg, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi));
	TRY(put_common(msg, v->name, v->mtu, v->mac));
	info = nla_nest_start(msg, IFLA_LINKINFO);
	if (!info)
		return -ENOSPC;
	TRY(nla_put_string(msg, IFLA_INFO_KIND, "veth"));
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	if (!data)
		return -ENOSPC;
	TRY(put_veth_peer(msg, v));
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return 0;
}

static int put_tunnel_data(struct nl_msg *msg, const struct link_tunnel *t)
{
	struct nlattr *data = nla_nest_start(msg, IFLA_INFO_DATA);
	uint32_t any = 0;

	if (!data)
		return -ENOSPC;
	TRY(nla_put(msg, IFLA_IPTUN_LOCAL, 4, t->local.bytes));
	TRY(nla_put(msg, IFLA_IPTUN_REMOTE, 4, &any));
	TRY(nla_put_u8(msg, IFLA_IPTUN_TTL, t->ttl));
	TRY(nla_put_u8(msg, IFLA_IPTUN_PMTUDISC, 1));
	nla_nest_end(msg, data);
	return 0;
}

int link_msg_tunnel(struct nl_msg *msg, const struct link_tunnel *t, uint32_t index)
{
	struct ifinfomsg ifi = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	uint16_t flags = index ? 0 : NLM_F_CREATE | NLM_F_EXCL;
	struct nlattr *info;

	TRY(put_header(msg, RTM_NEWLINK, flags, &ifi));
	TRY(put_common(msg, index ? NULL : t->name, t->mtu, NULL));
	info = nla_nest_start(msg, IFLA_LINKINFO);
	if (!info)
		return -ENOSPC;
	TRY(nla_put_string(msg, IFLA_INFO_KIND, t->kind));
	TRY(put_tunnel_data(msg, t));
	nla_nest_end(msg, info);
	return 0;
}

int link_msg_change(struct nl_msg *msg, uint32_t index, const struct link_change *c)
{
	struct ifinfomsg ifi = {.ifi_index = (int)index,
	                        .ifi_flags = c->up ? IFF_UP : 0,
	                        .ifi_change = c->up || c->down ? IFF_UP : 0};

	TRY(put_header(msg, RTM_NEWLINK, 0, &ifi));
	return put_common(msg, c->name, c->mtu, NULL);
}

static struct weft_addr tunnel_end(const struct nlattr *a)
{
	static const uint8_t any[4];

	if (!a || nla_len(a) != 4 || memcmp(nla_data(a), any, 4) == 0)
		return (struct weft_addr){0};
	return weft_addr_from_bytes(AF_INET, nla_data(a));
}

static uint32_t small_uint(const struct nlattr *a)
{
	if (!a)
		return 0;
	return nla_len(a) >= 4   ? nla_get_u32(a)
	       : nla_len(a) >= 2 ? nla_get_u16(a)
	       : nla_len(a) == 1 ? nla_get_u8(a)
	                         : 0;
}

/* The protocol the tunnel carries: ipip can also be made to carry MPLS or anything. 0 and the default are
 * ours. */
static bool own_proto(const char *kind, uint32_t proto)
{
	return proto == 0 || proto == (strcmp(kind, "sit") == 0 ? IPPROTO_IPV6 : IPPROTO_IPIP);
}

static void parse_tunnel(struct nlattr *data, struct link_info *out)
{
	struct nlattr *tb[IFLA_IPTUN_MAX + 1];

	if (nla_parse_nested(tb, IFLA_IPTUN_MAX, data, NULL) < 0)
		return;
	out->has_tunnel = true;
	out->tunnel_local = tunnel_end(tb[IFLA_IPTUN_LOCAL]);
	out->tunnel_remote = tunnel_end(tb[IFLA_IPTUN_REMOTE]);
	out->tunnel_ttl = (uint8_t)small_uint(tb[IFLA_IPTUN_TTL]);
	out->tunnel_pmtudisc = small_uint(tb[IFLA_IPTUN_PMTUDISC]) != 0;
	out->tunnel_extra = tb[IFLA_IPTUN_COLLECT_METADATA] || small_uint(tb[IFLA_IPTUN_ENCAP_TYPE]) ||
	                    small_uint(tb[IFLA_IPTUN_TOS]) || small_uint(tb[IFLA_IPTUN_LINK]) ||
	                    small_uint(tb[IFLA_IPTUN_FWMARK]) ||
	                    !own_proto(out->kind, small_uint(tb[IFLA_IPTUN_PROTO])) ||
	                    small_uint(tb[IFLA_IPTUN_6RD_RELAY_PREFIXLEN]);
}

static void parse_kind(struct nlattr *linkinfo, struct link_info *out)
{
	static const struct nla_policy policy[IFLA_INFO_MAX + 1] = {
	        [IFLA_INFO_KIND] = {.type = NLA_STRING},
	        [IFLA_INFO_DATA] = {.type = NLA_NESTED},
	};
	struct nlattr *tb[IFLA_INFO_MAX + 1];

	if (nla_parse_nested(tb, IFLA_INFO_MAX, linkinfo, (struct nla_policy *)policy) < 0)
		return;
	if (tb[IFLA_INFO_KIND])
		nla_strlcpy(out->kind, tb[IFLA_INFO_KIND], sizeof(out->kind));
	if (tb[IFLA_INFO_DATA] && (strcmp(out->kind, "ipip") == 0 || strcmp(out->kind, "sit") == 0))
		parse_tunnel(tb[IFLA_INFO_DATA], out);
}

int link_msg_parse(const struct nlmsghdr *nlh, struct link_info *out)
{
	static const struct nla_policy policy[IFLA_MAX + 1] = {
	        [IFLA_IFNAME] = {.type = NLA_STRING},
	        [IFLA_MTU] = {.type = NLA_U32},
	        [IFLA_LINK] = {.type = NLA_U32},
	        [IFLA_LINKINFO] = {.type = NLA_NESTED},
	};
	struct nlattr *tb[IFLA_MAX + 1];
	const struct ifinfomsg *ifi = nlmsg_data(nlh);

	if (nlmsg_datalen(nlh) < (int)sizeof(*ifi))
		return -EINVAL;
	if (ifi->ifi_family != AF_UNSPEC)
		return -ENOENT;
	if (nlmsg_parse((struct nlmsghdr *)nlh, sizeof(*ifi), tb, IFLA_MAX, (struct nla_policy *)policy) <
	            0 ||
	    !tb[IFLA_IFNAME] || ifi->ifi_index <= 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->index = (uint32_t)ifi->ifi_index;
	nla_strlcpy(out->name, tb[IFLA_IFNAME], sizeof(out->name));
	out->up = ifi->ifi_flags & IFF_UP;
	out->carrier =
	        ifi->ifi_flags & (1U << 16); /* IFF_LOWER_UP, which clashes between net/if.h and linux/if.h */
	out->loopback = ifi->ifi_flags & IFF_LOOPBACK;
	if (tb[IFLA_MTU])
		out->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_LINK])
		out->peer = nla_get_u32(tb[IFLA_LINK]);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == 6)
		memcpy(out->mac, nla_data(tb[IFLA_ADDRESS]), 6);
	if (tb[IFLA_LINKINFO])
		parse_kind(tb[IFLA_LINKINFO], out);
	return 0;
}
