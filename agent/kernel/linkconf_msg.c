// SPDX-License-Identifier: GPL-2.0-or-later
/* Per-device settings to and from rtnetlink messages: linkconf_msg.h. */
#include "agent/kernel/linkconf_msg.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <string.h>

#define TRY(expr)                       \
	do {                            \
		if ((expr) < 0)         \
			return -ENOSPC; \
	} while (0)

/* IFLA_INET6_CONF: an array of native int32, in the order of linux/ipv6.h. */
static int inet6_conf(struct nlattr *conf, int index)
{
	int32_t value;

	if (!conf || nla_len(conf) < (index + 1) * (int)sizeof(value))
		return 0;
	memcpy(&value, (const char *)nla_data(conf) + index * (int)sizeof(value), sizeof(value));
	return value;
}

static void parse_inet6(struct nlattr *inet6, struct linkconf_info *out)
{
	struct nlattr *tb[IFLA_INET6_MAX + 1];

	if (nla_parse_nested(tb, IFLA_INET6_MAX, inet6, NULL) < 0)
		return;
	out->has_inet6 = true;
	out->disable_ipv6 = inet6_conf(tb[IFLA_INET6_CONF], DEVCONF_DISABLE_IPV6) != 0;
	out->accept_ra = inet6_conf(tb[IFLA_INET6_CONF], DEVCONF_ACCEPT_RA);
	if (tb[IFLA_INET6_ADDR_GEN_MODE] && nla_len(tb[IFLA_INET6_ADDR_GEN_MODE]) >= 1)
		out->no_addr_gen = nla_get_u8(tb[IFLA_INET6_ADDR_GEN_MODE]) == IN6_ADDR_GEN_MODE_NONE;
}

int linkconf_msg_parse(const struct nlmsghdr *nlh, struct linkconf_info *out)
{
	static const struct nla_policy policy[IFLA_MAX + 1] = {
	        [IFLA_IFALIAS] = {.type = NLA_STRING},
	        [IFLA_AF_SPEC] = {.type = NLA_NESTED},
	};
	struct nlattr *tb[IFLA_MAX + 1], *af[AF_MAX];

	if (nlmsg_parse((struct nlmsghdr *)nlh, sizeof(struct ifinfomsg), tb, IFLA_MAX,
	                (struct nla_policy *)policy) < 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	if (tb[IFLA_IFALIAS])
		nla_strlcpy(out->alias, tb[IFLA_IFALIAS], sizeof(out->alias));
	if (tb[IFLA_AF_SPEC] && nla_parse_nested(af, AF_MAX - 1, tb[IFLA_AF_SPEC], NULL) == 0 && af[AF_INET6])
		parse_inet6(af[AF_INET6], out);
	return 0;
}

static int put_header(struct nl_msg *msg, uint32_t index, unsigned flags)
{
	struct ifinfomsg ifi = {.ifi_index = (int)index, .ifi_flags = flags, .ifi_change = flags};

	if (!nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0))
		return -ENOSPC;
	TRY(nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO));
	return 0;
}

static int put_inet(struct nl_msg *msg, const struct linkconf *c)
{
	struct nlattr *inet = nla_nest_start(msg, AF_INET), *conf;

	if (!inet)
		return -ENOSPC;
	conf = nla_nest_start(msg, IFLA_INET_CONF);
	if (!conf)
		return -ENOSPC;
	TRY(nla_put_u32(msg, IPV4_DEVCONF_RP_FILTER, c->rp_filter));
	TRY(nla_put_u32(msg, IPV4_DEVCONF_FORWARDING, c->forwarding));
	TRY(nla_put_u32(msg, IPV4_DEVCONF_ACCEPT_REDIRECTS, c->accept_redirects));
	TRY(nla_put_u32(msg, IPV4_DEVCONF_SEND_REDIRECTS, c->send_redirects));
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	return 0;
}

static int put_inet6(struct nl_msg *msg)
{
	struct nlattr *inet6 = nla_nest_start(msg, AF_INET6);

	if (!inet6)
		return -ENOSPC;
	TRY(nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE));
	nla_nest_end(msg, inet6);
	return 0;
}

int linkconf_msg_put(struct nl_msg *msg, uint32_t index, const struct linkconf *c)
{
	struct nlattr *spec;

	TRY(put_header(msg, index, 0));
	spec = nla_nest_start(msg, IFLA_AF_SPEC);
	if (!spec)
		return -ENOSPC;
	if (c->inet)
		TRY(put_inet(msg, c));
	if (c->no_addr_gen)
		TRY(put_inet6(msg));
	nla_nest_end(msg, spec);
	return 0;
}

int linkconf_msg_up(struct nl_msg *msg, uint32_t index, const char *alias)
{
	TRY(put_header(msg, index, IFF_UP));
	if (alias)
		TRY(nla_put_string(msg, IFLA_IFALIAS, alias));
	return 0;
}
