// SPDX-License-Identifier: GPL-2.0-or-later
/* Connection tracking entries as nfnetlink messages: ct_msg.h. */
#include "agent/kernel/ct_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <string.h>

/* Not in the kernel's headers for programs: CTA_FILTER_F_CTA_PROTO_NUM (net/netfilter/nf_internals.h). */
#define FILTER_PROTO_NUM (1u << 3)

#define TRY(expr)                       \
	do {                            \
		if ((expr) < 0)         \
			return -ENOSPC; \
	} while (0)

static int put_head(struct nl_msg *msg, uint8_t type, uint8_t family, uint16_t flags)
{
	struct nfgenmsg h = {.nfgen_family = family, .version = NFNETLINK_V0};

	if (!nlmsg_put(msg, 0, 0, NFNL_SUBSYS_CTNETLINK << 8 | type, 0, flags))
		return -ENOSPC;
	TRY(nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO));
	return 0;
}

int ct_msg_dump(struct nl_msg *msg, uint8_t family)
{
	struct nlattr *nest, *inner;

	TRY(put_head(msg, IPCTNL_MSG_CT_GET, family, NLM_F_DUMP));
	nest = nla_nest_start(msg, CTA_TUPLE_ORIG);
	inner = nest ? nla_nest_start(msg, CTA_TUPLE_PROTO) : NULL;
	if (!inner)
		return -ENOSPC;
	TRY(nla_put_u8(msg, CTA_PROTO_NUM, IPPROTO_UDP));
	nla_nest_end(msg, inner);
	nla_nest_end(msg, nest);
	/* This nest is parsed strictly and must be marked as one, whatever libnl does. */
	nest = nla_nest_start(msg, CTA_FILTER | NLA_F_NESTED);
	if (!nest)
		return -ENOSPC;
	TRY(nla_put_u32(msg, CTA_FILTER_ORIG_FLAGS, FILTER_PROTO_NUM));
	nla_nest_end(msg, nest);
	return 0;
}

static int put_tuple_ip(struct nl_msg *msg, const struct ct_flow *f)
{
	bool v4 = f->src.addr.family == AF_INET;
	int size = (int)weft_addr_size(f->src.addr.family);
	struct nlattr *nest = nla_nest_start(msg, CTA_TUPLE_IP);

	if (!nest)
		return -ENOSPC;
	TRY(nla_put(msg, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, size, f->src.addr.bytes));
	TRY(nla_put(msg, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, size, f->dst.addr.bytes));
	nla_nest_end(msg, nest);
	return 0;
}

static int put_tuple_proto(struct nl_msg *msg, const struct ct_flow *f)
{
	struct nlattr *nest = nla_nest_start(msg, CTA_TUPLE_PROTO);

	if (!nest)
		return -ENOSPC;
	TRY(nla_put_u8(msg, CTA_PROTO_NUM, IPPROTO_UDP));
	TRY(nla_put_u16(msg, CTA_PROTO_SRC_PORT, htons(f->src.port)));
	TRY(nla_put_u16(msg, CTA_PROTO_DST_PORT, htons(f->dst.port)));
	nla_nest_end(msg, nest);
	return 0;
}

int ct_msg_delete(struct nl_msg *msg, const struct ct_flow *f)
{
	struct nlattr *nest;

	/* Without a tuple the kernel would empty its table. */
	if (!weft_addr_size(f->src.addr.family) || f->src.addr.family != f->dst.addr.family)
		return -EINVAL;
	TRY(put_head(msg, IPCTNL_MSG_CT_DELETE, f->src.addr.family, 0));
	nest = nla_nest_start(msg, CTA_TUPLE_ORIG);
	if (!nest)
		return -ENOSPC;
	TRY(put_tuple_ip(msg, f));
	TRY(put_tuple_proto(msg, f));
	nla_nest_end(msg, nest);
	if (f->id)
		TRY(nla_put_u32(msg, CTA_ID, f->id));
	return 0;
}

static int get_addr(const struct nlattr *a, uint8_t family, struct weft_addr *out)
{
	if (!a || (size_t)nla_len(a) < weft_addr_size(family))
		return -EINVAL;
	*out = weft_addr_from_bytes(family, nla_data(a));
	return 0;
}

static int get_ports(const struct nlattr *proto, uint16_t *src, uint16_t *dst)
{
	static struct nla_policy policy[CTA_PROTO_MAX + 1] = {
	        [CTA_PROTO_NUM] = {.type = NLA_U8},
	        [CTA_PROTO_SRC_PORT] = {.type = NLA_U16},
	        [CTA_PROTO_DST_PORT] = {.type = NLA_U16},
	};
	struct nlattr *tb[CTA_PROTO_MAX + 1];

	if (nla_parse_nested(tb, CTA_PROTO_MAX, (struct nlattr *)proto, policy) < 0 || !tb[CTA_PROTO_NUM])
		return -EINVAL;
	if (nla_get_u8(tb[CTA_PROTO_NUM]) != IPPROTO_UDP)
		return -ENOENT;
	if (!tb[CTA_PROTO_SRC_PORT] || !tb[CTA_PROTO_DST_PORT])
		return -EINVAL;
	*src = ntohs(nla_get_u16(tb[CTA_PROTO_SRC_PORT]));
	*dst = ntohs(nla_get_u16(tb[CTA_PROTO_DST_PORT]));
	return 0;
}

static int get_tuple(const struct nlattr *a, uint8_t family, struct ct_end *src, struct ct_end *dst)
{
	static struct nla_policy policy[CTA_TUPLE_MAX + 1] = {
	        [CTA_TUPLE_IP] = {.type = NLA_NESTED},
	        [CTA_TUPLE_PROTO] = {.type = NLA_NESTED},
	};
	struct nlattr *tb[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1];
	bool v4 = family == AF_INET;

	if (!a || nla_parse_nested(tb, CTA_TUPLE_MAX, (struct nlattr *)a, policy) < 0 || !tb[CTA_TUPLE_IP] ||
	    !tb[CTA_TUPLE_PROTO] || nla_parse_nested(ip, CTA_IP_MAX, tb[CTA_TUPLE_IP], NULL) < 0)
		return -EINVAL;
	if (tb[CTA_TUPLE_ZONE])
		return -ENOENT;
	if (get_addr(ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family, &src->addr) ||
	    get_addr(ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], family, &dst->addr))
		return -EINVAL;
	return get_ports(tb[CTA_TUPLE_PROTO], &src->port, &dst->port);
}

int ct_msg_parse(const struct nlmsghdr *nlh, struct ct_flow *out)
{
	static struct nla_policy policy[CTA_MAX + 1] = {
	        [CTA_TUPLE_ORIG] = {.type = NLA_NESTED},
	        [CTA_TUPLE_REPLY] = {.type = NLA_NESTED},
	        [CTA_ID] = {.type = NLA_U32},
	};
	struct nlattr *tb[CTA_MAX + 1];
	struct ct_end reply_dst;
	uint8_t family;
	int rc;

	memset(out, 0, sizeof(*out));
	if (nlmsg_datalen(nlh) < (int)sizeof(struct nfgenmsg) ||
	    nlmsg_parse((struct nlmsghdr *)nlh, sizeof(struct nfgenmsg), tb, CTA_MAX, policy) < 0)
		return -EINVAL;
	family = ((const struct nfgenmsg *)nlmsg_data(nlh))->nfgen_family;
	if (!weft_addr_size(family) || tb[CTA_ZONE])
		return -ENOENT;
	rc = get_tuple(tb[CTA_TUPLE_ORIG], family, &out->src, &out->dst);
	if (!rc)
		rc = get_tuple(tb[CTA_TUPLE_REPLY], family, &out->reply_src, &reply_dst);
	if (!rc && tb[CTA_ID])
		out->id = nla_get_u32(tb[CTA_ID]);
	return rc;
}
