// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stand-ins for the kernel's IPVS, routes and connection tracking, which keep one record of all that is
 * written, and of every virtual service that is read back, in the order in which it happens:
 *
 *	nft                                  the table or elements of it
 *	ipvs + 10.96.0.1:80/TCP              a service; with `10.244.0.1:8080 w1` behind it a destination
 *	read 192.0.2.1:80/TCP                one service
 *	route + local 192.0.2.1/32           in table local; `179 ... 200`: in table 179, with its metric
 *	flows                                the UDP entries are dumped
 *	- 10.244.0.1:5353                    one of them is deleted
 */
#ifndef TESTS_UNIT_SERVING_KERNEL_H
#define TESTS_UNIT_SERVING_KERNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>

#include "agent/apply/nft.h"
#include "agent/kernel/ct_msg.h"
#include "agent/kernel/route_msg.h"
#include "tests/unit/fake_ipvs.h"
#include "tests/unit/service_objects.h"
#include "weft/buf.h"
#include "weft/log.h"
#include "weft/marks.h"

#define BED_ROUTES 64
#define BED_FLOWS  8

struct bed_routes {
	struct netlink base;
	struct route_info route[BED_ROUTES];
	size_t n;
	int refuse;     /* a new route in table local gets this answer */
	int send_error; /* the next send loses its answers */
};

struct bed_conntrack {
	struct netlink base;
	struct ct_flow flow[BED_FLOWS];
	size_t n;
};

/* What was written, in its order. */
static struct {
	struct weft_buf text;
	const struct nft *nft;
	uint64_t nft_writes;
} record;

/* nftables is written by a library, without a seam: what it wrote since is seen when the next one writes. */
static inline void record_nft(void)
{
	struct nft_stats s = nft_stats(record.nft);

	if (s.replacements + s.element_updates != record.nft_writes)
		weft_buf_str(&record.text, "nft\n");
	record.nft_writes = s.replacements + s.element_updates;
}

#define RECORD(...)                                         \
	do {                                                \
		record_nft();                               \
		weft_buf_printf(&record.text, __VA_ARGS__); \
	} while (0)

static inline const char *place_text(const struct weft_addr *a, unsigned port, char buf[64])
{
	char ip[WEFT_ADDR_STR];

	weft_addr_str(a, ip);
	snprintf(buf, 64, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
	return buf;
}

/* --- IPVS --- */

static inline const char *key_text(const struct ipvs_msg_key *k, char buf[SVC_KEY_STR])
{
	struct svc_virtual_key key;

	memset(&key, 0, sizeof(key));
	key.addr = k->addr;
	key.proto = k->proto;
	key.port = k->port;
	key.fwmark = k->fwmark;
	return svc_virtual_str(&key, buf);
}

static inline void record_ipvs(const struct nlmsghdr *h)
{
	uint8_t cmd = ((const struct genlmsghdr *)nlmsg_data(h))->cmd;
	struct ipvs_msg_service s;
	struct ipvs_msg_dest d;
	char key[SVC_KEY_STR], dest[64];

	if (cmd > IPVS_CMD_DEL_DEST || ipvs_msg_service_parse(h, &s))
		return;
	key_text(&s.key, key);
	if (cmd <= IPVS_CMD_DEL_SERVICE) {
		RECORD("ipvs %c %s\n", "?+=-"[cmd], key);
		return;
	}
	assert_int_equal(ipvs_msg_dest_parse(h, &d), 0);
	RECORD("ipvs %c %s %s w%u\n", "?????+=-"[cmd], key, place_text(&d.addr, d.port, dest), d.weight);
}

static inline int bed_ipvs_send(struct netlink *nl, struct netlink_batch *batch, struct weft_err *err)
{
	for (size_t i = 0; i < netlink_batch_count(batch); i++)
		record_ipvs(netlink_batch_message(batch, i));
	return fake_send(nl, batch, err);
}

static inline int bed_ipvs_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                                struct weft_err *err)
{
	const struct nlmsghdr *h = nlmsg_hdr(req);
	struct ipvs_msg_service s;
	char key[SVC_KEY_STR];

	if (h->nlmsg_type == FAKE_FAMILY && (h->nlmsg_flags & NLM_F_ACK) &&
	    ((const struct genlmsghdr *)nlmsg_data(h))->cmd == IPVS_CMD_GET_SERVICE &&
	    !ipvs_msg_service_parse(h, &s))
		RECORD("read %s\n", key_text(&s.key, key));
	return fake_dump(nl, req, sink, err);
}

static const struct netlink_ops bed_ipvs_ops = {
        .send = bed_ipvs_send, .dump = bed_ipvs_dump, .close = fake_close};

/* --- routes --- */

static inline struct route_info *route_find(struct bed_routes *k, const struct weft_route_key *key)
{
	for (size_t i = 0; i < k->n; i++)
		if (!memcmp(&k->route[i].route.key, key, sizeof(*key)))
			return &k->route[i];
	return NULL;
}

static inline int route_write(struct bed_routes *k, const struct nlmsghdr *h)
{
	struct route_info r, *there;
	char dst[WEFT_PREFIX_STR];
	bool del = h->nlmsg_type == RTM_DELROUTE;

	assert_int_equal(route_msg_parse(h, &r), 0);
	there = route_find(k, &r.route.key);
	weft_prefix_str(&r.route.key.dst, dst);
	if (r.route.key.table == RT_TABLE_LOCAL)
		RECORD("route %c local %s\n", del ? '-' : there ? '=' : '+', dst);
	else if (r.route.window && !del)
		RECORD("route %c %u %s %u weight %u\n", there ? '=' : '+', r.route.key.table, dst,
		       r.route.key.metric, r.route.window);
	else
		RECORD("route %c %u %s %u\n",
		       del     ? '-'
		       : there ? '='
		               : '+',
		       r.route.key.table, dst, r.route.key.metric);
	if (del && !there)
		return -ESRCH;
	if (del) {
		*there = k->route[--k->n];
		return 0;
	}
	if (k->refuse && r.route.key.table == RT_TABLE_LOCAL)
		return k->refuse;
	if (there && (h->nlmsg_flags & NLM_F_EXCL))
		return -EEXIST;
	assert_true(k->n < BED_ROUTES);
	*(there ? there : &k->route[k->n++]) = r;
	return 0;
}

static inline int bed_route_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	struct bed_routes *k = (struct bed_routes *)nl;
	int lost = k->send_error;

	k->send_error = 0;
	if (lost)
		return weft_err_errno(err, lost, "answers");
	for (size_t i = 0; i < netlink_batch_count(b); i++) {
		int rc = route_write(k, netlink_batch_message(b, i));

		if (rc)
			netlink_batch_fail(b, i, rc, "the stand-in says so");
	}
	return 0;
}

static inline int bed_route_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                                 struct weft_err *err)
{
	struct bed_routes *k = (struct bed_routes *)nl;
	const struct rtmsg *want = nlmsg_data(nlmsg_hdr(req));
	struct nl_msg *msg = netlink_msg_new();
	int rc = 0;

	(void)err;
	for (size_t i = 0; i < k->n && rc == 0; i++) {
		const struct weft_route *r = &k->route[i].route;

		if (r->key.table != want->rtm_table || r->key.dst.addr.family != want->rtm_family)
			continue;
		netlink_msg_reset(msg);
		route_msg_put(msg, RTM_NEWROUTE, 0, r, k->route[i].oif);
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	}
	nlmsg_free(msg);
	return rc;
}

static const struct netlink_ops bed_route_ops = {
        .send = bed_route_send, .dump = bed_route_dump, .close = fake_close};

/* --- connection tracking --- */

static inline void ct_tuple(struct nl_msg *msg, int type, const struct ct_end *src, const struct ct_end *dst)
{
	struct nlattr *tuple = nla_nest_start(msg, type | NLA_F_NESTED), *nest;

	nest = nla_nest_start(msg, CTA_TUPLE_IP | NLA_F_NESTED);
	nla_put(msg, CTA_IP_V4_SRC, 4, src->addr.bytes);
	nla_put(msg, CTA_IP_V4_DST, 4, dst->addr.bytes);
	nla_nest_end(msg, nest);
	nest = nla_nest_start(msg, CTA_TUPLE_PROTO | NLA_F_NESTED);
	nla_put_u8(msg, CTA_PROTO_NUM, IPPROTO_UDP);
	nla_put_u16(msg, CTA_PROTO_SRC_PORT, htons(src->port));
	nla_put_u16(msg, CTA_PROTO_DST_PORT, htons(dst->port));
	nla_nest_end(msg, nest);
	nla_nest_end(msg, tuple);
}

static inline int bed_ct_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                              struct weft_err *err)
{
	struct bed_conntrack *k = (struct bed_conntrack *)nl;
	struct nfgenmsg g = {.nfgen_family = AF_INET};
	struct nl_msg *msg = netlink_msg_new();
	int rc = 0;

	(void)err;
	assert_int_equal(((struct nfgenmsg *)nlmsg_data(nlmsg_hdr(req)))->nfgen_family, AF_INET);
	RECORD("flows\n");
	for (size_t i = 0; i < k->n && rc == 0; i++) {
		const struct ct_flow *f = &k->flow[i];

		netlink_msg_reset(msg);
		nlmsg_put(msg, 0, 0, (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, 0, 0);
		nlmsg_append(msg, &g, sizeof(g), NLMSG_ALIGNTO);
		ct_tuple(msg, CTA_TUPLE_ORIG, &f->src, &f->dst);
		ct_tuple(msg, CTA_TUPLE_REPLY, &f->reply_src, &f->src);
		nla_put_u32(msg, CTA_ID, htonl((uint32_t)i + 1));
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	}
	nlmsg_free(msg);
	return rc;
}

/* Deletions name the entry by its id; it stays, so that a test can go on with it. */
static inline int bed_ct_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	struct bed_conntrack *k = (struct bed_conntrack *)nl;
	char text[64];

	(void)err;
	for (size_t i = 0; i < netlink_batch_count(b); i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)netlink_batch_message(b, i);
		const struct nlattr *id = nlmsg_find_attr(h, sizeof(struct nfgenmsg), CTA_ID);
		const struct ct_flow *f = &k->flow[ntohl(nla_get_u32(id)) - 1];

		RECORD("flows - %s\n", place_text(&f->reply_src.addr, f->reply_src.port, text));
	}
	return 0;
}

static const struct netlink_ops bed_ct_ops = {.send = bed_ct_send, .dump = bed_ct_dump, .close = fake_close};

#endif
