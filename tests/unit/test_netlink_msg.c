// SPDX-License-Identifier: GPL-2.0-or-later
/* Encoders byte for byte (little-endian layout of linux/rtnetlink.h), decoders on what the encoders and
 * hostile hands make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/addr_msg.h"
#include "agent/kernel/link_msg.h"
#include "agent/kernel/neigh_msg.h"
#include "agent/kernel/netlink.h"
#include "agent/kernel/route_msg.h"
#include "weft/cleanup.h"
#include "weft/marks.h"

static struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct weft_route route(const char *dst, const char *gw, const char *dev, uint32_t metric)
{
	struct weft_route r = {.key = {.table = RT_TABLE_MAIN, .metric = metric},
	                       .type = RTN_UNICAST,
	                       .protocol = WEFT_RTPROT};

	r.key.dst = prefix(dst);
	if (gw)
		r.gateway = addr(gw);
	strcpy(r.dev, dev);
	return r;
}

static void assert_bytes(struct nl_msg *msg, const void *want, size_t n)
{
	assert_int_equal(nlmsg_hdr(msg)->nlmsg_len, n);
	assert_memory_equal(nlmsg_hdr(msg), want, n);
}

static void route_v4_bytes(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "eth0", 4096);
	static const uint8_t want[] = {
	        76,
	        0,
	        0,
	        0,
	        RTM_NEWROUTE,
	        0,
	        0x00,
	        0x06,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0, /* EXCL | CREATE */
	        AF_INET,
	        26,
	        0,
	        0,
	        RT_TABLE_MAIN,
	        119,
	        0,
	        RTN_UNICAST,
	        RTNH_F_ONLINK,
	        0,
	        0,
	        0, /* rtmsg */
	        8,
	        0,
	        RTA_DST,
	        0,
	        10,
	        244,
	        1,
	        0, /* */
	        8,
	        0,
	        RTA_TABLE,
	        0,
	        254,
	        0,
	        0,
	        0, /* */
	        8,
	        0,
	        RTA_PRIORITY,
	        0,
	        0,
	        16,
	        0,
	        0, /* */
	        8,
	        0,
	        RTA_GATEWAY,
	        0,
	        10,
	        1,
	        1,
	        2, /* */
	        8,
	        0,
	        RTA_OIF,
	        0,
	        7,
	        0,
	        0,
	        0, /* */
	        8,
	        0,
	        RTA_PREFSRC,
	        0,
	        10,
	        244,
	        0,
	        1,
	};

	(void)state;
	r.onlink = true;
	r.src = addr("10.244.0.1");
	assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r, 7), 0);
	assert_bytes(msg, want, sizeof(want));
}

static void route_v6_blackhole_bytes(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_route r = route("fd00:0:0:1::/64", NULL, "", WEFT_METRIC_POD_BLOCK);
	static const uint8_t want[] = {
	        76,
	        0,
	        0,
	        0,
	        RTM_DELROUTE,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0, /* */
	        AF_INET6,
	        64,
	        0,
	        0,
	        179,
	        119,
	        0,
	        RTN_BLACKHOLE,
	        0,
	        0,
	        0,
	        0, /* scope is v4's */
	        20,
	        0,
	        RTA_DST,
	        0,
	        0xfd,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        1,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0, /* */
	        8,
	        0,
	        RTA_TABLE,
	        0,
	        179,
	        0,
	        0,
	        0, /* */
	        8,
	        0,
	        RTA_PRIORITY,
	        0,
	        100,
	        0,
	        0,
	        0, /* */
	        12,
	        0,
	        RTA_METRICS | 0,
	        0x80,
	        8,
	        0,
	        RTAX_WINDOW,
	        0,
	        5,
	        0,
	        0,
	        0,
	};

	(void)state;
	r.key.table = WEFT_TABLE_ADVERT;
	r.type = RTN_BLACKHOLE;
	r.scope = RT_SCOPE_LINK;
	r.window = 5;
	assert_int_equal(route_msg_put(msg, RTM_DELROUTE, 0, &r, 0), 0);
	assert_int_equal(nlmsg_hdr(msg)->nlmsg_len, sizeof(want));
	/* libnl 3.7 marks nests with NLA_F_NESTED, older ones do not: compare without that bit */
	((uint8_t *)nlmsg_hdr(msg))[67] |= 0x80;
	assert_bytes(msg, want, sizeof(want));
}

static void route_round_trip(void **state)
{
	static const struct {
		const char *dst, *gw, *src;
		uint32_t table, metric, window;
		uint8_t type;
	} cases[] = {
	        {"10.244.1.0/26", "10.1.1.2", NULL, RT_TABLE_MAIN, 16, 0, RTN_UNICAST},
	        {"0.0.0.0/0", "10.1.1.1", NULL, RT_TABLE_MAIN, 0, 0, RTN_UNICAST},
	        {"10.96.0.0/16", NULL, "10.1.1.5", RT_TABLE_LOCAL, 0, 0, RTN_LOCAL},
	        {"10.244.1.0/26", NULL, NULL, 179, 100, 4000000000U, RTN_BLACKHOLE},
	        {"fd00::/64", "fe80::1", "fd00::1", 70000, 1, 9, RTN_UNICAST},
	        {"::/0", "fd00::2", NULL, RT_TABLE_MAIN, 1024, 0, RTN_UNICAST},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
		struct weft_route r = route(cases[i].dst, cases[i].gw, "", cases[i].metric);
		struct route_info got;

		r.key.table = cases[i].table;
		r.type = cases[i].type;
		r.window = cases[i].window;
		r.scope = cases[i].src && r.key.dst.addr.family == AF_INET ? RT_SCOPE_HOST : 0;
		if (cases[i].src)
			r.src = addr(cases[i].src);
		assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, 0, &r, 3), 0);
		assert_int_equal(route_msg_protocol(nlmsg_hdr(msg)), WEFT_RTPROT);
		assert_int_equal(route_msg_parse(nlmsg_hdr(msg), &got), 0);
		assert_true(weft_route_equal(&got.route, &r));
		assert_int_equal(got.oif, r.type == RTN_BLACKHOLE ? 0 : 3);
		assert_false(got.foreign_attributes);
	}
}

static void route_foreign_attributes(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "", 16);
	struct route_info got;

	(void)state;
	assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, 0, &r, 3), 0);
	nla_put_u32(msg, RTA_NH_ID, 5);
	assert_int_equal(route_msg_parse(nlmsg_hdr(msg), &got), 0);
	assert_true(got.foreign_attributes);
}

static void route_refuses_mixed_families(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_route r = route("10.244.1.0/26", "fd00::1", "", 16);

	(void)state;
	assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, 0, &r, 3), -EINVAL);
}

static void count_hop(void *ctx, const struct route_hop *hop)
{
	(void)hop;
	++*(int *)ctx;
}

/* What route_msg_put() never writes: two next hops, one of them by RTA_VIA. */
static void put_hops(struct nl_msg *msg)
{
	static const uint8_t via[] = {AF_INET6, 0, 0xfe, 0x80, [17] = 1};
	static const uint8_t gateway[] = {10, 1, 1, 2};
	struct rtnexthop nh = {.rtnh_ifindex = 3};
	struct nlattr *several = nla_nest_start(msg, RTA_MULTIPATH);

	nh.rtnh_len = (unsigned short)(sizeof(nh) + NLA_ALIGN(NLA_HDRLEN + sizeof(gateway)));
	nlmsg_append(msg, &nh, sizeof(nh), NLMSG_ALIGNTO);
	nla_put(msg, RTA_GATEWAY, sizeof(gateway), gateway);
	nh.rtnh_len = (unsigned short)(sizeof(nh) + NLA_ALIGN(NLA_HDRLEN + sizeof(via)));
	nlmsg_append(msg, &nh, sizeof(nh), NLMSG_ALIGNTO);
	nla_put(msg, RTA_VIA, sizeof(via), via);
	nla_nest_end(msg, several);
}

/* Every prefix of a valid message, and every single corrupted byte: an error or a value, never a read
 * outside. */
static void decoders_survive_damage(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "", 16);
	struct nlmsghdr *h;
	uint32_t full;
	int hops = 0;

	(void)state;
	r.window = 7;
	assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, 0, &r, 3), 0);
	put_hops(msg);
	h = nlmsg_hdr(msg);
	assert_int_equal(route_msg_hops(h, count_hop, &hops), 0);
	assert_int_equal(hops, 2);
	full = h->nlmsg_len;
	for (uint32_t len = NLMSG_HDRLEN; len <= full; len++) {
		for (uint32_t at = NLMSG_HDRLEN; at < len; at++) {
			struct route_info route_got;
			struct link_info link_got;
			struct addr_info addr_got;
			uint8_t *copy = malloc(len);

			memcpy(copy, h, len);
			((struct nlmsghdr *)(void *)copy)->nlmsg_len = len;
			copy[at] ^= 0xff;
			route_msg_parse((void *)copy, &route_got);
			link_msg_parse((void *)copy, &link_got);
			addr_msg_parse((void *)copy, &addr_got);
			route_msg_hops((void *)copy, count_hop, &hops);
			neigh_msg_router((void *)copy);
			free(copy);
		}
	}
}

static void addr_bytes(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_addr a = addr("10.244.0.1");
	struct addr_info got;
	static const uint8_t want[] = {
	        40,      0,  0,           0, RTM_NEWADDR, 0,   0x00, 0x05,
	        0,       0,  0,           0, 0,           0,   0,    0, /* CREATE | REPLACE */
	        AF_INET, 32, 0,           0, 9,           0,   0,    0, /* ifaddrmsg */
	        8,       0,  IFA_LOCAL,   0, 10,          244, 0,    1, /* */
	        8,       0,  IFA_ADDRESS, 0, 10,          244, 0,    1,
	};

	(void)state;
	assert_int_equal(addr_msg_put(msg, RTM_NEWADDR, 9, &a, 32, true), 0);
	assert_bytes(msg, want, sizeof(want));
	assert_int_equal(addr_msg_parse(nlmsg_hdr(msg), &got), 0);
	assert_int_equal(got.index, 9);
	assert_int_equal(got.len, 32);
	assert_false(got.peer);
	assert_memory_equal(&got.addr, &a, sizeof(a));
}

static void neigh_bytes(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct weft_addr a = addr("169.254.1.1");
	static const uint8_t mac[6] = {2, 3, 4, 5, 6, 7};
	static const uint8_t want[] = {
	        48,
	        0,
	        0,
	        0,
	        RTM_NEWNEIGH,
	        0,
	        0x00,
	        0x05,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0,
	        0, /* */
	        AF_INET,
	        0,
	        0,
	        0,
	        5,
	        0,
	        0,
	        0,
	        NUD_PERMANENT,
	        0,
	        0,
	        0, /* ndmsg */
	        8,
	        0,
	        NDA_DST,
	        0,
	        169,
	        254,
	        1,
	        1, /* */
	        10,
	        0,
	        NDA_LLADDR,
	        0,
	        2,
	        3,
	        4,
	        5,
	        6,
	        7,
	        0,
	        0,
	};

	(void)state;
	assert_int_equal(neigh_msg_put(msg, 5, &a, mac), 0);
	assert_bytes(msg, want, sizeof(want));
}

static void tunnel_round_trip(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct link_tunnel t = {
	        .name = "weft.ipip", .kind = "ipip", .local = addr("10.1.1.5"), .mtu = 1480, .ttl = 64};
	struct link_info got;

	(void)state;
	assert_int_equal(link_msg_tunnel(msg, &t, 0), 0);
	assert_int_equal(nlmsg_hdr(msg)->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL),
	                 NLM_F_CREATE | NLM_F_EXCL);
	((struct ifinfomsg *)nlmsg_data(nlmsg_hdr(msg)))->ifi_index = 4; /* the kernel's answer has one */
	assert_int_equal(link_msg_parse(nlmsg_hdr(msg), &got), 0);
	assert_string_equal(got.name, "weft.ipip");
	assert_string_equal(got.kind, "ipip");
	assert_true(got.up && got.has_tunnel && got.tunnel_pmtudisc && !got.tunnel_extra);
	assert_int_equal(got.tunnel_ttl, 64);
	assert_int_equal(got.mtu, 1480);
	assert_memory_equal(&got.tunnel_local, &t.local, sizeof(t.local));
	assert_int_equal(got.tunnel_remote.family, AF_UNSPEC);
}

static void device_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "a:b", "a b", "a\nb", "sixteen-letters!"};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		assert_false(link_name_valid(bad[i]));
	assert_true(link_name_valid("weft.ipip"));
	assert_true(link_name_valid("fifteen-letters"));
}

static void batch_is_bounded(void **state)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	struct netlink_batch *b = netlink_batch_new();
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "", 16);

	(void)state;
	assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, 0, &r, 3), 0);
	for (int i = 0; i < NETLINK_BATCH_MAX; i++)
		assert_int_equal(netlink_batch_add(b, msg), i);
	assert_int_equal(netlink_batch_add(b, msg), -ENOSPC);
	netlink_batch_reset(b);
	assert_int_equal(netlink_batch_add(b, msg), 0);
	assert_true(netlink_batch_message(b, 0)->nlmsg_flags & NLM_F_REQUEST);
	netlink_batch_fail(b, 0, EEXIST, "File\nexists");
	assert_int_equal(netlink_batch_error(b, 0), -EEXIST);
	assert_string_equal(netlink_batch_text(b, 0), "File?exists");
	netlink_batch_free(b);
}

static void route_text(void **state)
{
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "eth0", 16);
	char buf[WEFT_ROUTE_STR];

	(void)state;
	assert_string_equal(weft_route_str(&r, buf),
	                    "10.244.1.0/26 via 10.1.1.2 dev eth0 proto weft metric 16");
	r = route("fd00::/64", NULL, "", 8192);
	r.type = RTN_BLACKHOLE;
	assert_string_equal(weft_route_str(&r, buf), "blackhole fd00::/64 proto weft metric 8192");
	r = route("10.96.0.0/16", NULL, "lo", 0);
	r.type = RTN_LOCAL;
	r.key.table = RT_TABLE_LOCAL;
	r.scope = RT_SCOPE_HOST;
	r.src = addr("10.1.1.5");
	assert_string_equal(weft_route_str(&r, buf),
	                    "local 10.96.0.0/16 dev lo table local proto weft src 10.1.1.5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(route_v4_bytes),
	        cmocka_unit_test(route_v6_blackhole_bytes),
	        cmocka_unit_test(route_round_trip),
	        cmocka_unit_test(route_foreign_attributes),
	        cmocka_unit_test(route_refuses_mixed_families),
	        cmocka_unit_test(decoders_survive_damage),
	        cmocka_unit_test(addr_bytes),
	        cmocka_unit_test(neigh_bytes),
	        cmocka_unit_test(tunnel_round_trip),
	        cmocka_unit_test(device_names),
	        cmocka_unit_test(batch_is_bounded),
	        cmocka_unit_test(route_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
