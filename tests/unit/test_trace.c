// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weftctl trace: the kernel's routes and nftables sets are real, in a network namespace; IPVS is recorded.
 * This node is 10.1.1.1, its pod 10.244.0.7; 10.244.1.0/26 is behind the fabric, 10.244.2.0/26 nowhere.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/netns.h"
#include "tests/unit/views_stubs.h"

#define V4(last) addr("10.244." last)

static struct links *links;
static struct services_views views;
static struct nft *nft;

static void element(enum svc_set set, const char *a, uint16_t port, uint32_t mark, const char *source)
{
	struct svc_element e;

	memset(&e, 0, sizeof(e));
	e.set = (uint8_t)set;
	e.addr = addr(a);
	e.proto = IPPROTO_TCP;
	e.port = port;
	e.mark = mark;
	if (source)
		e.source = prefix(source);
	nft_want_element(nft, &e);
}

static void make_table(void)
{
	struct nft_shape shape = {0};
	struct weft_err err = WEFT_ERR_INIT;

	nft = nft_new(NULL, NULL);
	assert_non_null(nft);
	serving_shape(NULL, &shape);
	nft_want(nft, &shape);
	element(SVC_SET_DROP, "192.0.2.1", 80, 0, NULL);
	element(SVC_SET_ETPL, "192.0.2.1", 80, 0x57000001, NULL);
	element(SVC_SET_ETPL, "fd20::1", 80, 0x57000002, NULL);
	element(SVC_SET_REFUSE, "10.1.1.1", 30001, 0, NULL);
	element(SVC_SET_MASQ, "192.0.2.2", 80, 0, NULL);
	element(SVC_SET_RANGED, "192.0.2.2", 81, 0, NULL);
	element(SVC_SET_SOURCE, "192.0.2.2", 81, 0, "203.0.113.0/24");
	element(SVC_SET_SOURCE, "192.0.2.2", 81, 0, "10.244.0.7/32");
	if (nft_apply(nft, 1, &err) < 0)
		fail_msg("%s", err.text);
}

static int begin(void **state)
{
	(void)state;
	memset(recorded, 0, sizeof(recorded));
	masquerade_all = false;
	recorded[0] = (struct recorded){.key = "10.96.0.10:80/TCP",
	                                .dests = {{.addr = V4("0.7"), .port = 8080, .weight = 1},
	                                          {.addr = V4("1.5"), .port = 8080, .weight = 1},
	                                          {.addr = V4("1.5"), .port = 8081, .weight = 1},
	                                          {.addr = V4("1.6"), .port = 8080}}};
	recorded[1] = (struct recorded){.key = "fwmark 0x57000001 (IPv4)",
	                                .dests = {{.addr = V4("1.5"), .port = 8080, .weight = 1}}};
	recorded[2] = (struct recorded){.key = "192.0.2.2:80/TCP",
	                                .dests = {{.addr = V4("1.5"), .port = 8080, .weight = 1},
	                                          {.addr = V4("2.5"), .port = 8080, .weight = 1}}};
	recorded[3] =
	        (struct recorded){.key = "192.0.2.2:81/TCP", .dests = {{.addr = V4("1.5"), .port = 8080}}};
	recorded[4] = (struct recorded){.key = "fwmark 0x57000002 (IPv6)",
	                                .dests = {{.addr = addr("fd44::7"), .port = 8080, .weight = 1}}};
	return 0;
}

/* The hops' texts, each in a line after its step, and the verdict in the last. */
static char *walk(const char *src, const char *dst, unsigned port)
{
	struct weft_buf out = {0};
	char args[256], more[64] = "";
	weft_autofree char *text = NULL;
	const cJSON *hop;
	cJSON *root;

	if (port)
		snprintf(more, sizeof(more), ",\"port\":%u,\"protocol\":\"TCP\"", port);
	snprintf(args, sizeof(args), "{\"args\":{\"src\":\"%s\",\"dst\":\"%s\"%s}}", src, dst, more);
	text = ask(view_trace, &views, args);
	root = cJSON_Parse(text);
	if (!root)
		fail_msg("%s", text);
	cJSON_ArrayForEach (hop, cJSON_GetObjectItem(root, "hops"))
		weft_buf_printf(&out, "%s: %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(hop, "step")),
		                cJSON_GetStringValue(cJSON_GetObjectItem(hop, "text")));
	weft_buf_printf(&out, "%s: %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(root, "verdict")),
	                cJSON_GetStringValue(cJSON_GetObjectItem(root, "why")));
	cJSON_Delete(root);
	return weft_buf_take(&out);
}

/* What the packet meets, in order, and its fate. */
static const struct {
	const char *src, *dst;
	unsigned port;
	const char *want;
} packets[] = {
        {"10.244.0.7", "10.96.0.10", 80,
         "route: taken by this node: local route 10.96.0.0/16 of weft, a service address\n"
         "ipvs: service 10.96.0.10:80/TCP, scheduler rr: 3 of 4 endpoints get new connections\n"
         "snat: none: the endpoint sees the source\n"
         "snat: if it comes back to the sender: the source becomes this node's address\n"
         "nexthop: 10.244.0.7: pod of this node, dev weft7 (route 10.244.0.7/32 metric 0)\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 2 endpoints\n"},
        {"node", "10.96.0.10", 80,
         "route: taken by this node: local route 10.96.0.0/16 of weft, a service address\n"
         "ipvs: service 10.96.0.10:80/TCP, scheduler rr: 3 of 4 endpoints get new connections\n"
         "snat: none: it has this node's address\n"
         "nexthop: 10.244.0.7: pod of this node, dev weft7 (route 10.244.0.7/32 metric 0)\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 2 endpoints\n"},
        {"10.1.1.1", "10.96.0.10", 80,
         "route: taken by this node: local route 10.96.0.0/16 of weft, a service address\n"
         "ipvs: service 10.96.0.10:80/TCP, scheduler rr: 3 of 4 endpoints get new connections\n"
         "snat: none: it has this node's address\n"
         "nexthop: 10.244.0.7: pod of this node, dev weft7 (route 10.244.0.7/32 metric 0)\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 2 endpoints\n"},
        {"203.0.113.9", "10.96.0.10", 80,
         "route: taken by this node: local route 10.96.0.0/16 of weft, a service address\n"
         "ipvs: service 10.96.0.10:80/TCP, scheduler rr: 3 of 4 endpoints get new connections\n"
         "snat: the source becomes this node's address\n"
         "nexthop: 10.244.0.7: pod of this node, dev weft7 (route 10.244.0.7/32 metric 0)\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 2 endpoints\n"},
        {"node", "10.96.0.10", 81,
         "route: taken by this node: local route 10.96.0.0/16 of weft, a service address\n"
         "ipvs: no service\n"
         "nftables: to a service address, but to no port that IPVS serves: refused\n"
         "refused: no Service has this port with an endpoint for it here\n"},
        {"203.0.113.9", "192.0.2.1", 80,
         "route: taken by this node: local route 192.0.2.1/32 of weft, a service address\n"
         "nftables: set drop: dropped\n"
         "dropped: traffic policy Local, and this node has no endpoint\n"},
        {"10.244.0.7", "192.0.2.1", 80,
         "route: taken by this node: local route 192.0.2.1/32 of weft, a service address\n"
         "nftables: map etpl: mark 0x57000001, so that all endpoints may get it\n"
         "ipvs: service fwmark 0x57000001 (IPv4), scheduler rr: 1 of 1 endpoints get new connections\n"
         "snat: none: the endpoint sees the source\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 1 endpoint\n"},
        {"node", "192.0.2.1", 80,
         "route: taken by this node: local route 192.0.2.1/32 of weft, a service address\n"
         "nftables: map etpl: mark 0x57000001, so that all endpoints may get it\n"
         "ipvs: service fwmark 0x57000001 (IPv4), scheduler rr: 1 of 1 endpoints get new connections\n"
         "snat: none: it has this node's address\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 1 endpoint\n"},
        {"203.0.113.9", "192.0.2.2", 80,
         "route: taken by this node: local route 192.0.2.2/32 of weft, a service address\n"
         "ipvs: service 192.0.2.2:80/TCP, scheduler rr: 2 of 2 endpoints get new connections\n"
         "snat: the source becomes this node's address\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "nexthop: 10.244.2.5: no route\n"
         "delivered: 1 of 2 endpoints can be reached\n"},
        {"203.0.113.9", "192.0.2.2", 81,
         "route: taken by this node: local route 192.0.2.2/32 of weft, a service address\n"
         "nftables: loadBalancerSourceRanges hold the source\n"
         "ipvs: service 192.0.2.2:81/TCP, scheduler rr: 0 of 1 endpoints get new connections\n"
         "refused: no endpoint gets new connections\n"},
        {"198.51.100.9", "192.0.2.2", 81,
         "route: back to 198.51.100.9: no route\n"
         "unreachable: it is not known by which device packets of 198.51.100.9 would come in\n"},
        {"10.244.0.7", "192.0.2.2", 81,
         "route: taken by this node: local route 192.0.2.2/32 of weft, a service address\n"
         "nftables: loadBalancerSourceRanges hold the source\n"
         "ipvs: service 192.0.2.2:81/TCP, scheduler rr: 0 of 1 endpoints get new connections\n"
         "refused: no endpoint gets new connections\n"},
        {"10.1.1.50", "192.0.2.2", 81,
         "route: taken by this node: local route 192.0.2.2/32 of weft, a service address\n"
         "nftables: sets ranged, source: drop\n"
         "dropped: no range of loadBalancerSourceRanges holds the source\n"},
        {"10.244.1.9", "10.96.0.10", 80,
         "route: taken by this node: local route 10.96.0.0/16 of weft, a service address\n"
         "ipvs: service 10.96.0.10:80/TCP, scheduler rr: 3 of 4 endpoints get new connections\n"
         "snat: none: the endpoint sees the source\n"
         "nexthop: 10.244.0.7: pod of this node, dev weft7 (route 10.244.0.7/32 metric 0)\n"
         "nexthop: 10.244.1.5: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to one of 2 endpoints\n"},
        {"node", "10.1.1.77", 0,
         "route: network of this node, dev eth0 (route 10.1.1.0/24 metric 0)\n"
         "delivered: to the next hop; what others do with it is not looked at\n"},
        {"node", "10.1.1.1", 30001,
         "route: taken by this node: local route 10.1.1.1/32\n"
         "nftables: set refuse: refused\n"
         "refused: a node port whose Service has no endpoint\n"},
        {"node", "10.1.1.1", 22,
         "route: taken by this node: local route 10.1.1.1/32\n"
         "ipvs: no service\n"
         "delivered: to this node's own programs: no Service has this port\n"},
        {"node", "10.1.1.1", 0,
         "route: taken by this node: local route 10.1.1.1/32\n"
         "delivered: to this node; name a port to see what happens to it\n"},
        {"node", "10.244.1.5", 0,
         "route: fabric via 10.1.1.254 dev eth0 (route 10.244.1.0/26 metric 32)\n"
         "delivered: to the next hop; what others do with it is not looked at\n"},
        {"node", "10.244.0.7", 80,
         "route: pod of this node, dev weft7 (route 10.244.0.7/32 metric 0)\n"
         "delivered: to a pod of this node\n"},
        {"node", "10.244.2.5", 0,
         "route: no route\n"
         "unreachable: no route\n"},
        {"10.244.0.7", "10.244.3.1", 0,
         "route: a blackhole route, or an address that can't be there: silently dropped\n"
         "dropped: a blackhole route, or an address that can't be there: silently dropped\n"},
        {"node", "10.244.3.1", 0,
         "route: a blackhole route, or an address that can't be there: silently dropped\n"
         "dropped: a blackhole route, or an address that can't be there: silently dropped\n"},
        {"10.244.0.7", "10.244.2.5", 0,
         "route: no route\n"
         "unreachable: no route\n"},
        {"node", "10.244.4.1", 0,
         "route: a prohibit route: refused\n"
         "refused: a prohibit route: refused\n"},
        {"10.244.2.9", "10.96.0.10", 80,
         "route: back to 10.244.2.9: no route\n"
         "unreachable: it is not known by which device packets of 10.244.2.9 would come in\n"},
        {"node", "fd00::1", 0,
         "route: no route\n"
         "unreachable: no route\n"},
        {"node", "fd20::1", 80,
         "route: taken by this node: local route fd20::1/128 of weft, a service address\n"
         "nftables: map etpl: mark 0x57000002, so that all endpoints may get it\n"
         "ipvs: service fwmark 0x57000002 (IPv6), scheduler rr: 1 of 1 endpoints get new connections\n"
         "snat: none: it has this node's address\n"
         "nexthop: fd44::7: pod of this node, dev weft7 (route fd44::7/128 metric 1)\n"
         "delivered: to one of 1 endpoint\n"},
        {"fd44::7", "fd20::1", 80,
         "route: taken by this node: local route fd20::1/128 of weft, a service address\n"
         "nftables: map etpl: mark 0x57000002, so that all endpoints may get it\n"
         "ipvs: service fwmark 0x57000002 (IPv6), scheduler rr: 1 of 1 endpoints get new connections\n"
         "snat: none: the endpoint sees the source\n"
         "snat: if it comes back to the sender: the source becomes this node's address\n"
         "nexthop: fd44::7: pod of this node, dev weft7 (route fd44::7/128 metric 1)\n"
         "delivered: to one of 1 endpoint\n"},
        {"fd44::7", "fd20::1", 81,
         "route: taken by this node: local route fd20::1/128 of weft, a service address\n"
         "ipvs: no service\n"
         "nftables: to a service address, but to no port that IPVS serves: refused\n"
         "refused: no Service has this port with an endpoint for it here\n"},
};

static void packets_meet_what_the_kernel_has(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(packets); i++) {
		weft_autofree char *text = walk(packets[i].src, packets[i].dst, packets[i].port);

		assert_string_equal(text, packets[i].want);
	}
}

/* S21 */
static void masquerade_all_concerns_pods(void **state)
{
	weft_autofree char *pod = NULL, *own = NULL;

	(void)state;
	masquerade_all = true;
	pod = walk("10.244.0.7", "10.96.0.10", 80);
	assert_non_null(strstr(pod, "snat: the source becomes this node's address\nnexthop"));
	own = walk("node", "10.96.0.10", 80);
	assert_non_null(strstr(own, "snat: none: it has this node's address\n"));
}

static void bad_requests_are_refused(void **state)
{
	static const char *const bad[] = {
	        "{}",
	        "{\"args\":7}",
	        "{\"args\":{\"src\":\"node\"}}",
	        "{\"args\":{\"dst\":\"10.1.1.1\"}}",
	        "{\"args\":{\"src\":7,\"dst\":\"10.1.1.1\"}}",
	        "{\"args\":{\"src\":\"x\",\"dst\":\"10.1.1.1\"}}",
	        "{\"args\":{\"src\":\"127.0.0.1\",\"dst\":\"10.1.1.1\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"fe80::1\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1; flush ruleset\"}}",
	        "{\"args\":{\"src\":\"fd00::1\",\"dst\":\"10.1.1.1\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"port\":80}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"protocol\":\"TCP\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"port\":0,\"protocol\":\"TCP\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"port\":1.5,\"protocol\":\"TCP\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"port\":65536,\"protocol\":\"TCP\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"port\":80,\"protocol\":\"tcp\"}}",
	        "{\"args\":{\"src\":\"node\",\"dst\":\"10.1.1.1\",\"port\":80,\"protocol\":6}}",
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++) {
		weft_autofree char *text = ask(view_trace, &views, bad[i]);

		if (strncmp(text, "!trace: args.", 13) != 0)
			fail_msg("%s: %s", bad[i], text);
	}
}

/* Without the table nothing is guessed. Last: the table is gone then. */
static void without_the_table_nothing_is_known(void **state)
{
	weft_autofree char *text = NULL;

	(void)state;
	netns_sh("nft delete table inet weft");
	text = walk("node", "10.96.0.10", 80);
	assert_non_null(strstr(text, "\nnftables: weft's table can't be read: "));
	assert_non_null(strstr(text, "\nunreachable: what nftables does with it is not known\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(packets_meet_what_the_kernel_has, begin),
	        cmocka_unit_test_setup(masquerade_all_concerns_pods, begin),
	        cmocka_unit_test(bad_requests_are_refused),
	        cmocka_unit_test_setup(without_the_table_nothing_is_known, begin),
	};
	struct weft_err err = WEFT_ERR_INIT;
	int failed;

	bed_init(&bed);
	if (netns_underlay(
	            "addr add 10.1.1.1/24 dev eth0\n"
	            "link add weft7 type veth peer name pod7\nlink set weft7 up\nlink set pod7 up\n"
	            "route add 10.244.0.7 dev weft7 proto 119\n"
	            "route add 10.244.1.0/26 via 10.1.1.254 proto bird metric 32\n"
	            "route add 203.0.113.0/24 via 10.1.1.254 proto bird metric 32\n"
	            "route add blackhole 10.244.3.0/26 proto 119 metric 8192\n"
	            "route add prohibit 10.244.4.0/26\n"
	            "addr add fd01::1/64 dev eth0 nodad\nroute add fd44::7 dev weft7 proto 119 metric 1\n"
	            "route add local fd20::1 dev lo src fd01::1 table local proto 119\n"
	            "route add local 10.96.0.0/16 dev lo src 10.1.1.1 table local proto 119\n"
	            "route add local 192.0.2.1 dev lo src 10.1.1.1 table local proto 119\n"
	            "route add local 192.0.2.2 dev lo src 10.1.1.1 table local proto 119"))
		return 1;
	if (netns_run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", NULL, 0))
		return 1;
	links = links_new();
	views = (struct services_views){.nl = netlink_open(&err), .links = links};
	if (!views.nl || links_resync(links, views.nl, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	make_table();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	nft_free(nft);
	links_free(links);
	netlink_close(views.nl);
	bed_free(&bed);
	return failed;
}
