// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPVS and connection tracking messages: encoders byte for byte (little-endian layout of linux/ip_vs.h and
 * nfnetlink_conntrack.h), decoders on what encoders and hostile hands make; then conntrack_flush_udp() with a
 * stand-in for the kernel's table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/conntrack.h"
#include "agent/kernel/ct_msg.h"
#include "agent/kernel/ipvs_msg.h"
#include "agent/kernel/netlink.h"
#include "weft/cleanup.h"

#define FAMILY   33
#define AUTO_MSG weft_auto(netlink_msg_cleanup) struct nl_msg

static struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

/* The bytes behind the netlink header; the nested flag (0x80) is libnl's affair. */
static void assert_body(struct nl_msg *msg, uint16_t type, const uint8_t *want, size_t n)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);

	assert_int_equal(h->nlmsg_type, type);
	assert_int_equal(h->nlmsg_len, NLMSG_HDRLEN + n);
	assert_memory_equal(nlmsg_data(h), want, n);
}
#define BODY(msg, type, ...) \
	assert_body(msg, type, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Attribute head: length, type; nests carry NLA_F_NESTED. */
#define A(len, type) (len), 0, (type), 0
#define N(len, type) (len), 0, (type), 0x80

static struct ipvs_msg_key key(const char *text, uint8_t proto, uint16_t port)
{
	return (struct ipvs_msg_key){.addr = addr(text), .proto = proto, .port = port};
}

/* S24: ports in network order, a whole address for a netmask, the flags under a full mask. */
static void service_bytes(void **state)
{
	AUTO_MSG *msg = netlink_msg_new();
	struct ipvs_msg_service s = {.key = key("10.96.0.10", IPPROTO_UDP, 53), .scheduler = "mh"};

	(void)state;
	s.sched_flags = 8;
	s.persistence_s = 0x1234;
	assert_int_equal(ipvs_msg_service(msg, FAMILY, IPVS_MSG_NEW, &s), 0);
	BODY(msg, FAMILY, IPVS_CMD_NEW_SERVICE, 1, 0, 0, N(84, IPVS_CMD_ATTR_SERVICE), A(6, IPVS_SVC_ATTR_AF),
	     2, 0, 0, 0, A(6, IPVS_SVC_ATTR_PROTOCOL), 17, 0, 0, 0, A(20, IPVS_SVC_ATTR_ADDR), 10, 96, 0, 10,
	     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, A(6, IPVS_SVC_ATTR_PORT), 0, 53, 0, 0,
	     A(7, IPVS_SVC_ATTR_SCHED_NAME), 'm', 'h', 0, 0, A(12, IPVS_SVC_ATTR_FLAGS), 9, 0, 0, 0, 0xff,
	     0xff, 0xff, 0xff, A(8, IPVS_SVC_ATTR_TIMEOUT), 0x34, 0x12, 0, 0, A(8, IPVS_SVC_ATTR_NETMASK),
	     0xff, 0xff, 0xff, 0xff);
	netlink_msg_reset(msg);
	assert_int_equal(ipvs_msg_service(msg, FAMILY, IPVS_MSG_DEL, &s), 0); /* the key alone */
	BODY(msg, FAMILY, IPVS_CMD_DEL_SERVICE, 1, 0, 0, N(48, IPVS_CMD_ATTR_SERVICE), A(6, IPVS_SVC_ATTR_AF),
	     2, 0, 0, 0, A(6, IPVS_SVC_ATTR_PROTOCOL), 17, 0, 0, 0, A(20, IPVS_SVC_ATTR_ADDR), 10, 96, 0, 10,
	     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, A(6, IPVS_SVC_ATTR_PORT), 0, 53, 0, 0);
}

/* H7: a fwmark service has neither address, port nor protocol; IPv6 has a prefix length for a netmask. */
static void fwmark_bytes(void **state)
{
	AUTO_MSG *msg = netlink_msg_new();
	struct ipvs_msg_service s = {.key = {.addr = {.family = AF_INET6}, .fwmark = 0x57000001},
	                             .scheduler = "sh"};

	(void)state;
	assert_int_equal(ipvs_msg_service(msg, FAMILY, IPVS_MSG_SET, &s), 0);
	BODY(msg, FAMILY, IPVS_CMD_SET_SERVICE, 1, 0, 0, N(56, IPVS_CMD_ATTR_SERVICE), A(6, IPVS_SVC_ATTR_AF),
	     10, 0, 0, 0, A(8, IPVS_SVC_ATTR_FWMARK), 1, 0, 0, 0x57, A(7, IPVS_SVC_ATTR_SCHED_NAME), 's', 'h',
	     0, 0, A(12, IPVS_SVC_ATTR_FLAGS), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
	     A(8, IPVS_SVC_ATTR_TIMEOUT), 0, 0, 0, 0, A(8, IPVS_SVC_ATTR_NETMASK), 128, 0, 0, 0);
}

static void dest_bytes(void **state)
{
	AUTO_MSG *msg = netlink_msg_new();
	struct ipvs_msg_key k = {.addr = {.family = AF_INET}, .fwmark = 5};
	struct ipvs_msg_dest d = {.addr = addr("10.244.1.2"), .port = 0x1234, .weight = 3};

	(void)state;
	assert_int_equal(ipvs_msg_dest(msg, FAMILY, IPVS_MSG_SET, &k, &d), 0);
	BODY(msg, FAMILY, IPVS_CMD_SET_DEST, 1, 0, 0, N(20, IPVS_CMD_ATTR_SERVICE), A(6, IPVS_SVC_ATTR_AF), 2,
	     0, 0, 0, A(8, IPVS_SVC_ATTR_FWMARK), 5, 0, 0, 0, N(72, IPVS_CMD_ATTR_DEST),
	     A(6, IPVS_DEST_ATTR_ADDR_FAMILY), 2, 0, 0, 0, A(20, IPVS_DEST_ATTR_ADDR), 10, 244, 1, 2, 0, 0, 0,
	     0, 0, 0, 0, 0, 0, 0, 0, 0, A(6, IPVS_DEST_ATTR_PORT), 0x12, 0x34, 0, 0,
	     A(8, IPVS_DEST_ATTR_FWD_METHOD), 0, 0, 0, 0, A(8, IPVS_DEST_ATTR_WEIGHT), 3, 0, 0, 0,
	     A(8, IPVS_DEST_ATTR_U_THRESH), 0, 0, 0, 0, A(8, IPVS_DEST_ATTR_L_THRESH), 0, 0, 0, 0);
}

/* As if it had been encoded alone, whatever the message held of the former destination. */
static void next_dest_bytes(void **state)
{
	static const enum ipvs_msg_op ops[] = {IPVS_MSG_NEW, IPVS_MSG_SET, IPVS_MSG_DEL};
	const struct ipvs_msg_key keys[] = {
	        {.addr = {.family = AF_INET}, .fwmark = 5}, key("10.96.0.1", 6, 80), key("fd00::1", 17, 53)};
	const struct ipvs_msg_dest first = {.addr = addr("10.244.1.2"), .port = 1, .weight = 3},
	                           next = {.addr = addr("fd00::2"), .port = 0x1234};

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (size_t o = 0; o < 3; o++) {
			AUTO_MSG *msg = netlink_msg_new(), *alone = netlink_msg_new();

			assert_int_equal(ipvs_msg_dest(msg, FAMILY, ops[o], &keys[k], &first), 0);
			assert_int_equal(ipvs_msg_dest_next(msg, ops[o], &next), 0);
			assert_int_equal(ipvs_msg_dest_next(msg, ops[o], &first), 0);
			assert_int_equal(ipvs_msg_dest_next(msg, ops[o], &next), 0);
			ipvs_msg_dest(alone, FAMILY, ops[o], &keys[k], &next);
			assert_int_equal(nlmsg_hdr(msg)->nlmsg_len, nlmsg_hdr(alone)->nlmsg_len);
			assert_memory_equal(nlmsg_hdr(msg), nlmsg_hdr(alone), nlmsg_hdr(alone)->nlmsg_len);
		}
}

static void unencodable(void **state)
{
	AUTO_MSG *msg = netlink_msg_new();
	struct ipvs_msg_service s = {.scheduler = "rr"};
	struct ct_flow f = {.src = {.addr = addr("10.0.0.1")}, .dst = {.addr = addr("fd00::1")}};

	(void)state;
	assert_int_equal(ipvs_msg_service(msg, FAMILY, IPVS_MSG_NEW, &s), -EINVAL);
	s.key = key("10.96.0.1", 6, 80);
	memset(s.scheduler, 'x', sizeof(s.scheduler));
	netlink_msg_reset(msg);
	assert_int_equal(ipvs_msg_service(msg, FAMILY, IPVS_MSG_NEW, &s), -EINVAL);
	netlink_msg_reset(msg);
	assert_int_equal(ct_msg_delete(msg, &f),
	                 -EINVAL); /* never a message without a tuple: it empties the table */
	memset(&f, 0, sizeof(f));
	assert_int_equal(ct_msg_delete(msg, &f), -EINVAL);
	assert_int_equal(nlmsg_hdr(msg)->nlmsg_len, NLMSG_HDRLEN);
}

static void there_and_back(void **state)
{
	const char *const addrs[] = {"10.96.0.1", "fd00::1"};
	AUTO_MSG *msg = netlink_msg_new();

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct ipvs_msg_service s = {.key = key(addrs[k], IPPROTO_TCP, 80), .scheduler = "wrr"}, s2;
		struct ipvs_msg_dest d = {.addr = addr(addrs[k]), .port = 8080, .weight = 70000}, d2;

		s.sched_flags = 0x10;
		s.persistence_s = 10800;
		netlink_msg_reset(msg);
		ipvs_msg_service(msg, FAMILY, IPVS_MSG_NEW, &s);
		assert_int_equal(ipvs_msg_service_parse(nlmsg_hdr(msg), &s2), 0);
		assert_memory_equal(&s, &s2, sizeof(s));
		netlink_msg_reset(msg);
		ipvs_msg_dest(msg, FAMILY, IPVS_MSG_NEW, &s.key, &d);
		assert_int_equal(ipvs_msg_dest_parse(nlmsg_hdr(msg), &d2), 0);
		assert_memory_equal(&d, &d2, sizeof(d));
	}
}

/* Every length that a message can be cut to, and each byte turned: an answer, and no read beyond the end. */
static void mutilate(struct nl_msg *msg)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);

	for (uint32_t len = NLMSG_HDRLEN; len < h->nlmsg_len; len++) {
		for (int turn = 0; turn < 2; turn++) {
			weft_autofree struct nlmsghdr *copy = malloc(len);
			struct ipvs_msg_service s;
			struct ipvs_msg_dest d;
			struct ct_flow f;

			memcpy(copy, h, len);
			copy->nlmsg_len = len;
			if (turn && len > NLMSG_HDRLEN)
				((uint8_t *)copy)[len - 1] ^= 0xff;
			ipvs_msg_service_parse(copy, &s);
			ipvs_msg_dest_parse(copy, &d);
			ct_msg_parse(copy, &f);
			ipvs_msg_family_parse(copy);
		}
	}
}

static struct ct_flow flow(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct ct_flow){.src = {addr(src), sport}, .dst = {addr(dst), dport}, .id = 0x01020304};
}

static void put_tuple(struct nl_msg *msg, int type, uint8_t proto, const struct ct_end *src,
                      const struct ct_end *dst)
{
	struct nlattr *tuple = nla_nest_start(msg, type), *part = nla_nest_start(msg, CTA_TUPLE_IP);
	bool v4 = src->addr.family == AF_INET;

	nla_put(msg, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, v4 ? 4 : 16, src->addr.bytes);
	nla_put(msg, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, v4 ? 4 : 16, dst->addr.bytes);
	nla_nest_end(msg, part);
	part = nla_nest_start(msg, CTA_TUPLE_PROTO);
	nla_put_u8(msg, CTA_PROTO_NUM, proto);
	nla_put_u16(msg, CTA_PROTO_SRC_PORT, htons(src->port));
	nla_put_u16(msg, CTA_PROTO_DST_PORT, htons(dst->port));
	nla_nest_end(msg, part);
	nla_nest_end(msg, tuple);
}

/* An entry as the kernel tells it. */
static void put_entry(struct nl_msg *msg, uint8_t proto, const struct ct_flow *f, int zone)
{
	struct nfgenmsg h = {.nfgen_family = f->src.addr.family};

	netlink_msg_reset(msg);
	nlmsg_put(msg, 0, 0, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, 0, 0);
	nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO);
	put_tuple(msg, CTA_TUPLE_ORIG, proto, &f->src, &f->dst);
	put_tuple(msg, CTA_TUPLE_REPLY, proto, &f->reply_src, &f->src);
	nla_put_u32(msg, CTA_ID, f->id);
	if (zone)
		nla_put_u16(msg, CTA_ZONE, htons((uint16_t)zone));
}

static void conntrack_entries(void **state)
{
	AUTO_MSG *msg = netlink_msg_new();
	struct ct_flow f = flow("10.1.1.5", 40000, "10.96.0.10", 53), f2;

	(void)state;
	f.reply_src = (struct ct_end){addr("10.244.0.1"), 5353};
	put_entry(msg, IPPROTO_UDP, &f, 0);
	assert_int_equal(ct_msg_parse(nlmsg_hdr(msg), &f2), 0);
	assert_memory_equal(&f, &f2, sizeof(f));
	mutilate(msg);
	put_entry(msg, IPPROTO_TCP, &f, 0);
	assert_int_equal(ct_msg_parse(nlmsg_hdr(msg), &f2), -ENOENT);
	put_entry(msg, IPPROTO_UDP, &f, 7);
	assert_int_equal(ct_msg_parse(nlmsg_hdr(msg), &f2), -ENOENT);
	netlink_msg_reset(msg);
	assert_int_equal(ct_msg_delete(msg, &f), 0);
	BODY(msg, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 2, 0, 0, 0, N(52, CTA_TUPLE_ORIG),
	     N(20, CTA_TUPLE_IP), A(8, CTA_IP_V4_SRC), 10, 1, 1, 5, A(8, CTA_IP_V4_DST), 10, 96, 0, 10,
	     N(28, CTA_TUPLE_PROTO), A(5, CTA_PROTO_NUM), 17, 0, 0, 0, A(6, CTA_PROTO_SRC_PORT), 0x9c, 0x40,
	     0, 0, A(6, CTA_PROTO_DST_PORT), 0, 53, 0, 0, A(8, CTA_ID), 4, 3, 2, 1);
}

static void hostile(void **state)
{
	AUTO_MSG *msg = netlink_msg_new();
	struct ipvs_msg_key k = key("fd00::1", IPPROTO_UDP, 53);
	struct ipvs_msg_service s = {.key = k, .scheduler = "rr"};
	struct ipvs_msg_dest d = {.addr = addr("fd00::2"), .port = 1};

	(void)state;
	ipvs_msg_service(msg, FAMILY, IPVS_MSG_NEW, &s);
	mutilate(msg);
	netlink_msg_reset(msg);
	ipvs_msg_dest(msg, FAMILY, IPVS_MSG_NEW, &k, &d);
	mutilate(msg);
}

/* --- conntrack_flush_udp() --- */

#define ENTRIES 600

struct table {
	struct netlink base;
	struct ct_flow flow[ENTRIES];
	size_t n;
	int dump_error, refuse;
	int interrupt;       /* so many dumps are interrupted, after telling half */
	uint8_t interrupted; /* of this family; AF_UNSPEC: of any */
	unsigned dumps, sends, messages;
	uint8_t asked; /* the last dump's family */
};

/* Like Linux 6.1, which filters dumps of one family only. */
static int table_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                      struct weft_err *err)
{
	struct table *t = (struct table *)nl;
	AUTO_MSG *msg = netlink_msg_new();
	uint8_t family = ((struct nfgenmsg *)nlmsg_data(nlmsg_hdr(req)))->nfgen_family;
	bool cut = t->interrupt > 0 && (!t->interrupted || t->interrupted == family);
	size_t n = cut ? t->n / 2 : t->n;
	int rc = t->dump_error;

	t->dumps++;
	t->asked = family;
	if (t->asked == AF_UNSPEC)
		rc = -EOPNOTSUPP;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (t->flow[i].src.addr.family != t->asked)
			continue;
		put_entry(msg, IPPROTO_UDP, &t->flow[i], 0);
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	}
	if (cut) {
		t->interrupt--;
		rc = -EINTR;
	}
	return rc ? weft_err_errno(err, rc, "the stand-in says so") : 0;
}

static int table_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	struct table *t = (struct table *)nl;

	(void)err;
	t->sends++;
	for (size_t i = 0; i < netlink_batch_count(b); i++) {
		AUTO_MSG *msg = netlink_msg_new();
		size_t k;

		t->messages++;
		for (k = 0; k < t->n; k++) {
			netlink_msg_reset(msg);
			ct_msg_delete(msg, &t->flow[k]);
			if (memcmp(nlmsg_data(nlmsg_hdr(msg)), nlmsg_data(netlink_batch_message(b, i)),
			           (size_t)nlmsg_datalen(nlmsg_hdr(msg))) == 0)
				break;
		}
		if (k == t->n)
			netlink_batch_fail(b, i, -ENOENT, NULL);
		else if (t->refuse)
			netlink_batch_fail(b, i, t->refuse, NULL);
		else
			t->flow[k] = t->flow[--t->n];
	}
	return 0;
}

static void table_close(struct netlink *nl)
{
	(void)nl;
}

static const struct netlink_ops table_ops = {.send = table_send, .dump = table_dump, .close = table_close};

static void entry(struct table *t, uint16_t sport, const char *dst, uint16_t dport, const char *endpoint,
                  uint16_t port)
{
	struct ct_flow *f = &t->flow[t->n++];

	*f = flow(strchr(dst, ':') ? "fd01::5" : "10.1.1.5", sport, dst, dport);
	f->reply_src = (struct ct_end){addr(endpoint), port};
}

static void fill(struct table *t)
{
	memset(t, 0, sizeof(*t));
	t->base.ops = &table_ops;
	entry(t, 1, "10.96.0.10", 53, "10.244.0.1", 5353);   /* serves */
	entry(t, 2, "10.96.0.10", 53, "10.244.0.2", 5353);   /* gone */
	entry(t, 3, "10.96.0.10", 53, "10.244.0.1", 5354);   /* another port: gone */
	entry(t, 4, "10.96.0.10", 54, "10.244.0.2", 5353);   /* another service */
	entry(t, 5, "10.96.0.11", 53, "10.244.0.2", 5353);   /* another service */
	entry(t, 6, "10.244.0.2", 5353, "10.244.0.2", 5353); /* no service */
	entry(t, 7, "fd00::10", 53, "fd44::2", 5353);        /* gone, IPv6 */
	entry(t, 8, "192.0.2.1", 30053, "10.244.0.2", 5353); /* gone, a node port */
}

static const struct svc_dest serving4[] = {{.addr = {AF_INET, {10, 244, 0, 1}}, .port = 5353, .weight = 1}};
static const struct svc_dest serving6[] = {{.addr = {AF_INET6, {0xfd, 0x44, [15] = 1}}, .port = 5353}};

/* S27, H2: by original destination and the reply's source; one dump of each family for all services. */
static void flush(void **state)
{
	struct table t;
	struct conntrack_service s[] = {
	        {addr("192.0.2.1"), 30053, serving4, 1},
	        {addr("10.96.0.11"), 53, NULL, 0}, /* none serving: left alone */
	        {addr("fd00::10"), 53, serving6, 1},
	        {addr("10.96.0.10"), 53, serving4, 1},
	};
	size_t deleted;

	(void)state;
	fill(&t);
	assert_int_equal(conntrack_flush_udp(&t.base, s, 4, &deleted, NULL), 0);
	assert_int_equal(deleted, 4);
	assert_int_equal(t.n, 4);
	for (size_t i = 0; i < t.n; i++)
		assert_true(t.flow[i].src.port == 1 || (t.flow[i].src.port >= 4 && t.flow[i].src.port <= 6));
	assert_int_equal(t.dumps, 2);
	assert_int_equal(t.asked, AF_INET6);
	assert_int_equal(conntrack_flush_udp(&t.base, &s[3], 1, NULL, NULL), 0);
	assert_int_equal(t.dumps, 3);
	assert_int_equal(t.asked, AF_INET);
	assert_int_equal(t.sends, 1); /* nothing more to say */
}

/* Nobody serves anywhere: not even a dump. */
static void flush_nothing(void **state)
{
	struct table t;
	struct conntrack_service s = {addr("10.96.0.10"), 53, NULL, 0};

	(void)state;
	fill(&t);
	assert_int_equal(conntrack_flush_udp(&t.base, &s, 1, NULL, NULL), 0);
	assert_int_equal(conntrack_flush_udp(&t.base, NULL, 0, NULL, NULL), 0);
	assert_int_equal(t.dumps, 0);
}

/* One address with two sets of endpoints (S18): either keeps a flow. */
static void flush_twice_given(void **state)
{
	static const struct svc_dest more[] = {{.addr = {AF_INET, {10, 244, 0, 2}}, .port = 5353}};
	struct table t;
	struct conntrack_service s[] = {{addr("10.96.0.10"), 53, serving4, 1},
	                                {addr("10.96.0.10"), 53, more, 1}};
	size_t deleted;

	(void)state;
	fill(&t);
	assert_int_equal(conntrack_flush_udp(&t.base, s, 2, &deleted, NULL), 0);
	assert_int_equal(deleted, 1); /* the one on another port */
}

static void flush_failures(void **state)
{
	struct table t;
	struct conntrack_service s = {addr("10.96.0.10"), 53, serving4, 1};
	struct conntrack_service both[] = {s, {addr("fd00::10"), 53, serving6, 1}};
	struct weft_err err = WEFT_ERR_INIT;
	size_t deleted;

	(void)state;
	fill(&t);
	t.interrupt = 2;
	assert_int_equal(conntrack_flush_udp(&t.base, &s, 1, &deleted, &err), 0);
	assert_int_equal(deleted, 2);
	assert_int_equal(t.messages, 2); /* what an interrupted dump told is void */
	fill(&t);
	t.interrupt = 1;
	t.interrupted = AF_INET6;
	assert_int_equal(conntrack_flush_udp(&t.base, both, 2, &deleted, &err), 0);
	assert_int_equal(deleted, 3); /* and what the family before told is not */
	fill(&t);
	t.refuse = -EBUSY;
	assert_int_equal(conntrack_flush_udp(&t.base, &s, 1, &deleted, &err), -EBUSY);
	assert_int_equal(deleted, 0);
	t.dump_error = -EINVAL;
	assert_int_equal(conntrack_flush_udp(&t.base, &s, 1, &deleted, &err), -EINVAL);
	assert_non_null(strstr(err.text, "modprobe nf_conntrack_netlink"));
	fill(&t);
	while (t.n < ENTRIES) /* more than a batch holds */
		entry(&t, (uint16_t)(1000 + t.n), "10.96.0.10", 53, "10.244.0.2", 5353);
	assert_int_equal(conntrack_flush_udp(&t.base, &s, 1, &deleted, &err), 0);
	assert_int_equal(deleted, ENTRIES - 6);
	assert_int_equal(t.n, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(service_bytes),
	        cmocka_unit_test(fwmark_bytes),
	        cmocka_unit_test(dest_bytes),
	        cmocka_unit_test(next_dest_bytes),
	        cmocka_unit_test(unencodable),
	        cmocka_unit_test(there_and_back),
	        cmocka_unit_test(conntrack_entries),
	        cmocka_unit_test(hostile),
	        cmocka_unit_test(flush),
	        cmocka_unit_test(flush_nothing),
	        cmocka_unit_test(flush_twice_given),
	        cmocka_unit_test(flush_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
