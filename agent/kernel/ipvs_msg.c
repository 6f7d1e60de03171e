// SPDX-License-Identifier: GPL-2.0-or-later
/* IPVS services and destinations as generic netlink messages: ipvs_msg.h. */
#include "agent/kernel/ipvs_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>

#define NETMASK_V4 0xffffffffu
#define NETMASK_V6 128u /* for IPv6 the kernel takes a prefix length, in host order */
#define FLAGS_OWN  (IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_HASHED)

#define TRY(expr)                       \
	do {                            \
		if ((expr) < 0)         \
			return -ENOSPC; \
	} while (0)

/* union nf_inet_addr: 16 bytes whatever the family. */
struct inet_addr {
	uint8_t bytes[16];
};

static int put_head(struct nl_msg *msg, uint16_t family, uint8_t cmd, uint8_t version, uint16_t flags)
{
	struct genlmsghdr h = {.cmd = cmd, .version = version};

	if (!nlmsg_put(msg, 0, 0, family, 0, flags))
		return -ENOSPC;
	TRY(nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO));
	return 0;
}

int ipvs_msg_family(struct nl_msg *msg)
{
	TRY(put_head(msg, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0));
	TRY(nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME));
	return 0;
}

/* The attributes behind the generic header. */
static int attributes(const struct nlmsghdr *nlh, struct nlattr *tb[], int max, struct nla_policy *policy)
{
	if (nlmsg_datalen(nlh) < (int)GENL_HDRLEN ||
	    nlmsg_parse((struct nlmsghdr *)nlh, GENL_HDRLEN, tb, max, policy) < 0)
		return -EINVAL;
	return 0;
}

int ipvs_msg_family_parse(const struct nlmsghdr *nlh)
{
	struct nla_policy policy[CTRL_ATTR_MAX + 1] = {[CTRL_ATTR_FAMILY_ID] = {.type = NLA_U16}};
	struct nlattr *tb[CTRL_ATTR_MAX + 1];

	if (nlh->nlmsg_type != GENL_ID_CTRL || attributes(nlh, tb, CTRL_ATTR_MAX, policy) ||
	    !tb[CTRL_ATTR_FAMILY_ID])
		return -ENOENT;
	return nla_get_u16(tb[CTRL_ATTR_FAMILY_ID]);
}

static int put_key(struct nl_msg *msg, const struct ipvs_msg_key *k)
{
	struct inet_addr addr;

	TRY(nla_put_u16(msg, IPVS_SVC_ATTR_AF, k->addr.family));
	if (k->fwmark) {
		TRY(nla_put_u32(msg, IPVS_SVC_ATTR_FWMARK, k->fwmark));
		return 0;
	}
	memcpy(addr.bytes, k->addr.bytes, sizeof(addr.bytes));
	TRY(nla_put_u16(msg, IPVS_SVC_ATTR_PROTOCOL, k->proto));
	TRY(nla_put(msg, IPVS_SVC_ATTR_ADDR, sizeof(addr), &addr));
	TRY(nla_put_u16(msg, IPVS_SVC_ATTR_PORT, htons(k->port)));
	return 0;
}

/* What the kernel wants of a whole service. The mask says that all flags are ours to set. */
static int put_shape(struct nl_msg *msg, const struct ipvs_msg_service *s)
{
	struct ip_vs_flags flags = {.flags = s->sched_flags & ~FLAGS_OWN, .mask = UINT32_MAX};

	if (s->persistence_s)
		flags.flags |= IP_VS_SVC_F_PERSISTENT;
	if (strnlen(s->scheduler, sizeof(s->scheduler)) == sizeof(s->scheduler))
		return -EINVAL;
	TRY(nla_put_string(msg, IPVS_SVC_ATTR_SCHED_NAME, s->scheduler));
	TRY(nla_put(msg, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags));
	TRY(nla_put_u32(msg, IPVS_SVC_ATTR_TIMEOUT, s->persistence_s));
	TRY(nla_put_u32(msg, IPVS_SVC_ATTR_NETMASK,
	                s->key.addr.family == AF_INET6 ? NETMASK_V6 : NETMASK_V4));
	return 0;
}

static int put_service(struct nl_msg *msg, const struct ipvs_msg_key *key,
                       const struct ipvs_msg_service *full)
{
	struct nlattr *nest;
	int rc;

	if (!weft_addr_size(key->addr.family))
		return -EINVAL;
	nest = nla_nest_start(msg, IPVS_CMD_ATTR_SERVICE);
	if (!nest)
		return -ENOSPC;
	rc = put_key(msg, key);
	if (!rc && full)
		rc = put_shape(msg, full);
	nla_nest_end(msg, nest);
	return rc;
}

int ipvs_msg_service(struct nl_msg *msg, uint16_t family, enum ipvs_msg_op op,
                     const struct ipvs_msg_service *s)
{
	static const uint8_t cmd[] = {IPVS_CMD_NEW_SERVICE, IPVS_CMD_SET_SERVICE, IPVS_CMD_DEL_SERVICE};

	TRY(put_head(msg, family, cmd[op], IPVS_GENL_VERSION, 0));
	return put_service(msg, &s->key, op == IPVS_MSG_DEL ? NULL : s);
}

static int put_dest(struct nl_msg *msg, const struct ipvs_msg_dest *d, bool full)
{
	struct nlattr *nest = nla_nest_start(msg, IPVS_CMD_ATTR_DEST);
	struct inet_addr addr;

	if (!nest)
		return -ENOSPC;
	memcpy(addr.bytes, d->addr.bytes, sizeof(addr.bytes));
	TRY(nla_put_u16(msg, IPVS_DEST_ATTR_ADDR_FAMILY, d->addr.family));
	TRY(nla_put(msg, IPVS_DEST_ATTR_ADDR, sizeof(addr), &addr));
	TRY(nla_put_u16(msg, IPVS_DEST_ATTR_PORT, htons(d->port)));
	if (full) {
		TRY(nla_put_u32(msg, IPVS_DEST_ATTR_FWD_METHOD,
		                d->tunnel ? IP_VS_CONN_F_TUNNEL : IP_VS_CONN_F_MASQ));
		TRY(nla_put_u32(msg, IPVS_DEST_ATTR_WEIGHT, d->weight));
		TRY(nla_put_u32(msg, IPVS_DEST_ATTR_U_THRESH, 0));
		TRY(nla_put_u32(msg, IPVS_DEST_ATTR_L_THRESH, 0));
	}
	nla_nest_end(msg, nest);
	return 0;
}

int ipvs_msg_dest(struct nl_msg *msg, uint16_t family, enum ipvs_msg_op op, const struct ipvs_msg_key *key,
                  const struct ipvs_msg_dest *d)
{
	static const uint8_t cmd[] = {IPVS_CMD_NEW_DEST, IPVS_CMD_SET_DEST, IPVS_CMD_DEL_DEST};
	int rc;

	TRY(put_head(msg, family, cmd[op], IPVS_GENL_VERSION, 0));
	rc = put_service(msg, key, NULL);
	return rc ? rc : put_dest(msg, d, op != IPVS_MSG_DEL);
}

int ipvs_msg_dest_next(struct nl_msg *msg, enum ipvs_msg_op op, const struct ipvs_msg_dest *d)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct nlattr *service = nlmsg_attrdata(h, GENL_HDRLEN);

	h->nlmsg_len = (uint32_t)(NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(service->nla_len));
	return put_dest(msg, d, op != IPVS_MSG_DEL);
}

int ipvs_msg_services(struct nl_msg *msg, uint16_t family)
{
	return put_head(msg, family, IPVS_CMD_GET_SERVICE, IPVS_GENL_VERSION, NLM_F_DUMP);
}

int ipvs_msg_get(struct nl_msg *msg, uint16_t family, const struct ipvs_msg_key *key)
{
	TRY(put_head(msg, family, IPVS_CMD_GET_SERVICE, IPVS_GENL_VERSION, 0));
	return put_service(msg, key, NULL);
}

int ipvs_msg_dests(struct nl_msg *msg, uint16_t family, const struct ipvs_msg_key *key)
{
	TRY(put_head(msg, family, IPVS_CMD_GET_DEST, IPVS_GENL_VERSION, NLM_F_DUMP));
	return put_service(msg, key, NULL);
}

static uint32_t get_u32(const struct nlattr *a)
{
	return a ? nla_get_u32((struct nlattr *)a) : 0;
}

static int get_addr(const struct nlattr *a, uint16_t family, struct weft_addr *out)
{
	if (family != AF_INET && family != AF_INET6)
		return -ENOENT;
	if (!a || (size_t)nla_len(a) < weft_addr_size((uint8_t)family))
		return -EINVAL;
	*out = weft_addr_from_bytes((uint8_t)family, nla_data(a));
	return 0;
}

static int get_key(struct nlattr *tb[], struct ipvs_msg_key *out)
{
	uint16_t family;

	if (!tb[IPVS_SVC_ATTR_AF])
		return -EINVAL;
	family = nla_get_u16(tb[IPVS_SVC_ATTR_AF]);
	if (get_u32(tb[IPVS_SVC_ATTR_FWMARK])) {
		out->fwmark = get_u32(tb[IPVS_SVC_ATTR_FWMARK]);
		out->addr.family = (uint8_t)family;
		return family == AF_INET || family == AF_INET6 ? 0 : -ENOENT;
	}
	if (!tb[IPVS_SVC_ATTR_PROTOCOL] || !tb[IPVS_SVC_ATTR_PORT])
		return -EINVAL;
	if (nla_get_u16(tb[IPVS_SVC_ATTR_PROTOCOL]) > UINT8_MAX)
		return -ENOENT;
	out->proto = (uint8_t)nla_get_u16(tb[IPVS_SVC_ATTR_PROTOCOL]);
	out->port = ntohs(nla_get_u16(tb[IPVS_SVC_ATTR_PORT]));
	return get_addr(tb[IPVS_SVC_ATTR_ADDR], family, &out->addr);
}

static void get_shape(struct nlattr *tb[], struct ipvs_msg_service *out)
{
	struct ip_vs_flags flags = {0};
	uint32_t whole = out->key.addr.family == AF_INET6 ? NETMASK_V6 : NETMASK_V4;

	if (tb[IPVS_SVC_ATTR_SCHED_NAME])
		snprintf(out->scheduler, sizeof(out->scheduler), "%.*s",
		         nla_len(tb[IPVS_SVC_ATTR_SCHED_NAME]),
		         (const char *)nla_data(tb[IPVS_SVC_ATTR_SCHED_NAME]));
	if (tb[IPVS_SVC_ATTR_FLAGS])
		memcpy(&flags, nla_data(tb[IPVS_SVC_ATTR_FLAGS]), sizeof(flags));
	out->sched_flags = flags.flags & ~FLAGS_OWN;
	if (flags.flags & IP_VS_SVC_F_PERSISTENT) {
		out->persistence_s = get_u32(tb[IPVS_SVC_ATTR_TIMEOUT]);
		/* Persistent for no time at all is not the same as not persistent. */
		out->odd = get_u32(tb[IPVS_SVC_ATTR_NETMASK]) != whole || !out->persistence_s;
	}
	if (tb[IPVS_SVC_ATTR_PE_NAME])
		out->odd = true;
}

int ipvs_msg_service_parse(const struct nlmsghdr *nlh, struct ipvs_msg_service *out)
{
	static struct nla_policy top[IPVS_CMD_ATTR_MAX + 1] = {
	        [IPVS_CMD_ATTR_SERVICE] = {.type = NLA_NESTED}};
	static struct nla_policy policy[IPVS_SVC_ATTR_MAX + 1] = {
	        [IPVS_SVC_ATTR_AF] = {.type = NLA_U16},
	        [IPVS_SVC_ATTR_PROTOCOL] = {.type = NLA_U16},
	        [IPVS_SVC_ATTR_PORT] = {.type = NLA_U16},
	        [IPVS_SVC_ATTR_FWMARK] = {.type = NLA_U32},
	        [IPVS_SVC_ATTR_TIMEOUT] = {.type = NLA_U32},
	        [IPVS_SVC_ATTR_NETMASK] = {.type = NLA_U32},
	        [IPVS_SVC_ATTR_FLAGS] = {.minlen = sizeof(struct ip_vs_flags)},
	};
	struct nlattr *tb[IPVS_CMD_ATTR_MAX + 1], *svc[IPVS_SVC_ATTR_MAX + 1];
	int rc;

	memset(out, 0, sizeof(*out));
	if (attributes(nlh, tb, IPVS_CMD_ATTR_MAX, top) || !tb[IPVS_CMD_ATTR_SERVICE] ||
	    nla_parse_nested(svc, IPVS_SVC_ATTR_MAX, tb[IPVS_CMD_ATTR_SERVICE], policy) < 0)
		return -EINVAL;
	rc = get_key(svc, &out->key);
	if (rc)
		return rc;
	get_shape(svc, out);
	return 0;
}

int ipvs_msg_dest_parse(const struct nlmsghdr *nlh, struct ipvs_msg_dest *out)
{
	static struct nla_policy top[IPVS_CMD_ATTR_MAX + 1] = {[IPVS_CMD_ATTR_DEST] = {.type = NLA_NESTED}};
	static struct nla_policy policy[IPVS_DEST_ATTR_MAX + 1] = {
	        [IPVS_DEST_ATTR_ADDR_FAMILY] = {.type = NLA_U16},
	        [IPVS_DEST_ATTR_PORT] = {.type = NLA_U16},
	        [IPVS_DEST_ATTR_FWD_METHOD] = {.type = NLA_U32},
	        [IPVS_DEST_ATTR_WEIGHT] = {.type = NLA_U32},
	        [IPVS_DEST_ATTR_U_THRESH] = {.type = NLA_U32},
	        [IPVS_DEST_ATTR_L_THRESH] = {.type = NLA_U32},
	        [IPVS_DEST_ATTR_ACTIVE_CONNS] = {.type = NLA_U32},
	        [IPVS_DEST_ATTR_INACT_CONNS] = {.type = NLA_U32},
	};
	struct nlattr *tb[IPVS_CMD_ATTR_MAX + 1], *d[IPVS_DEST_ATTR_MAX + 1];
	uint32_t method;

	memset(out, 0, sizeof(*out));
	if (attributes(nlh, tb, IPVS_CMD_ATTR_MAX, top) || !tb[IPVS_CMD_ATTR_DEST] ||
	    nla_parse_nested(d, IPVS_DEST_ATTR_MAX, tb[IPVS_CMD_ATTR_DEST], policy) < 0 ||
	    !d[IPVS_DEST_ATTR_ADDR_FAMILY] || !d[IPVS_DEST_ATTR_PORT])
		return -EINVAL;
	out->port = ntohs(nla_get_u16(d[IPVS_DEST_ATTR_PORT]));
	out->weight = get_u32(d[IPVS_DEST_ATTR_WEIGHT]);
	out->active = get_u32(d[IPVS_DEST_ATTR_ACTIVE_CONNS]);
	out->inactive = get_u32(d[IPVS_DEST_ATTR_INACT_CONNS]);
	method = get_u32(d[IPVS_DEST_ATTR_FWD_METHOD]) & IP_VS_CONN_F_FWD_MASK;
	out->tunnel = method == IP_VS_CONN_F_TUNNEL;
	out->odd = (method != IP_VS_CONN_F_MASQ && !out->tunnel) || get_u32(d[IPVS_DEST_ATTR_U_THRESH]) ||
	           get_u32(d[IPVS_DEST_ATTR_L_THRESH]);
	return get_addr(d[IPVS_DEST_ATTR_ADDR], nla_get_u16(d[IPVS_DEST_ATTR_ADDR_FAMILY]), &out->addr);
}

int ipvs_msg_get_timeouts(struct nl_msg *msg, uint16_t family)
{
	return put_head(msg, family, IPVS_CMD_GET_CONFIG, IPVS_GENL_VERSION, 0);
}

int ipvs_msg_set_timeouts(struct nl_msg *msg, uint16_t family, const struct ipvs_msg_timeouts *t)
{
	TRY(put_head(msg, family, IPVS_CMD_SET_CONFIG, IPVS_GENL_VERSION, 0));
	TRY(nla_put_u32(msg, IPVS_CMD_ATTR_TIMEOUT_TCP, t->tcp));
	TRY(nla_put_u32(msg, IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, t->tcp_fin));
	TRY(nla_put_u32(msg, IPVS_CMD_ATTR_TIMEOUT_UDP, t->udp));
	return 0;
}

int ipvs_msg_timeouts_parse(const struct nlmsghdr *nlh, struct ipvs_msg_timeouts *out)
{
	static struct nla_policy policy[IPVS_CMD_ATTR_MAX + 1] = {
	        [IPVS_CMD_ATTR_TIMEOUT_TCP] = {.type = NLA_U32},
	        [IPVS_CMD_ATTR_TIMEOUT_TCP_FIN] = {.type = NLA_U32},
	        [IPVS_CMD_ATTR_TIMEOUT_UDP] = {.type = NLA_U32},
	};
	struct nlattr *tb[IPVS_CMD_ATTR_MAX + 1];

	if (attributes(nlh, tb, IPVS_CMD_ATTR_MAX, policy))
		return -EINVAL;
	out->tcp = get_u32(tb[IPVS_CMD_ATTR_TIMEOUT_TCP]);
	out->tcp_fin = get_u32(tb[IPVS_CMD_ATTR_TIMEOUT_TCP_FIN]);
	out->udp = get_u32(tb[IPVS_CMD_ATTR_TIMEOUT_UDP]);
	return 0;
}
