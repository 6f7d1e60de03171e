// SPDX-License-Identifier: GPL-2.0-or-later
/* LoadBalancer IPs: what is asked for, families, sharing, and what a pool has. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/lb_bed.h"

static void dual_stack(void **state)
{
	struct lb *lb = *state;
	struct weft_object *s = lb_service("x/require", "46");

	s->service.family_policy = WEFT_REQUIRE_DUAL_STACK;
	put_pool(lb, lb_pool("v4", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, lb_service("x/prefer", "46"), "");
	put_service(lb, s, "");
	put_service(lb, lb_service("x/six", "6"), "");
	expect(lb, "x/prefer", "NoPool 10.1.0.1");
	expect_message(lb, "x/prefer", "no IPPool gives IPv6 addresses to this Service; it has 10.1.0.1");
	expect(lb, "x/require", "NoPool");
	expect(lb, "x/six", "NoPool");
	put_pool(lb, lb_pool("v6", "fd00::1-fd00::9"));
	expect(lb, "x/prefer", "Assigned 10.1.0.1 fd00::1");
	expect(lb, "x/require", "Assigned 10.1.0.2 fd00::2");
	expect(lb, "x/six", "Assigned fd00::3");
	put_service(lb, lb_service("x/prefer", "6"), "10.1.0.1 fd00::1"); /* single stack now */
	expect(lb, "x/prefer", "Assigned fd00::1");
	put_service(lb, annotated(lb_service("x/both", "46"), IPS, "fd00::7,10.1.0.7"), "");
	expect(lb, "x/both", "Assigned 10.1.0.7 fd00::7");
	put_service(lb, annotated(lb_service("x/one", "46"), IPS, "fd00::8"), "");
	expect(lb, "x/one", "Assigned 10.1.0.1 fd00::8");
	s = lb_service("x/none", "");
	put_service(lb, s, "");
	expect(lb, "x/none", "NoClusterIP");
}

static void malformed_requests(void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
	        {IPS, ""},
	        {IPS, "10.1.0.1,"},
	        {IPS, "web"},
	        {IPS, "10.1.0.300"},
	        {IPS, "0.0.0.0"},
	        {IPS, "10.1.0.1,10.1.0.2"},
	        {IPS, "10.1.0.1/32"},
	        {IPS, "127.0.0.1"},
	        {POOL, ""},
	        {POOL, "a/b"},
	        {POOL, "A"},
	        {POOL, "../p"},
	        {SHARE, ""},
	        {SHARE, "   "},
	};
	struct lb *lb = *state;
	struct weft_object *s;

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_service(lb, annotated(lb_service("x/a", "4"), cases[i].key, cases[i].value), "");
		expect(lb, "x/a", "InvalidAnnotation");
		expect_message(lb, "x/a", cases[i].key);
	}
	s = annotated(lb_service("x/a", "4"), IPS, "10.1.0.1");
	s->service.load_balancer_ip = addr("10.1.0.2");
	put_service(lb, s, "");
	expect(lb, "x/a", "InvalidAnnotation");
	put_service(lb, lb_service("x/a", "4"), "");
	expect(lb, "x/a", "Assigned 10.1.0.1");
	put_service(lb, annotated(lb_service("x/a", "4"), IPS, "x"), "10.1.0.1"); /* keeps it */
	expect(lb, "x/a", "InvalidAnnotation 10.1.0.1");
}

static void who_may_share(void **state)
{
	static const struct {
		const char *key;
		uint16_t port;
		uint8_t protocol;
		bool local;
		const char *selector, *want;
	} cases[] = {
	        {"k", 81, IPPROTO_TCP, false, "b", "Assigned 10.1.0.1"},
	        {"k", 80, IPPROTO_UDP, false, "b", "Assigned 10.1.0.1"},
	        {"k", 80, IPPROTO_TCP, false, "a", "AddressInUse"},
	        {"other", 81, IPPROTO_TCP, false, "a", "AddressInUse"},
	        {"k", 81, IPPROTO_TCP, true, "a", "AddressInUse"}, /* Local with Cluster */
	};
	struct lb *lb = *state;

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, selecting(sharing(lb_service("x/a", "4"), "k", 80), "app", "a"), "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_object *s = sharing(lb_service("y/b", "4"), cases[i].key, cases[i].port);

		s->service.ports[0].protocol = cases[i].protocol;
		s->service.external_policy = cases[i].local ? WEFT_POLICY_LOCAL : WEFT_POLICY_CLUSTER;
		put_service(lb, annotated(selecting(s, "app", cases[i].selector), IPS, "10.1.0.1"), "");
		expect(lb, "y/b", cases[i].want);
		lb_del_service(lb, "y/b");
	}
	put_service(lb, annotated(lb_service("y/b", "4"), IPS, "10.1.0.1"), "");
	expect(lb, "y/b", "AddressInUse");
	expect(lb, "x/a", "Assigned 10.1.0.1");
}

static void local_services_share_with_the_same_selector(void **state)
{
	static const char *const selectors[] = {"a", "b", ""};
	static const char *const want[] = {"Assigned 10.1.0.1", "Assigned 10.1.0.2", "Assigned 10.1.0.2"};
	struct lb *lb = *state;
	struct weft_object *s;

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	for (size_t i = 0; i < 3; i++) {
		s = sharing(lb_service("x/a", "4"), "k", 80);
		s->service.external_policy = WEFT_POLICY_LOCAL;
		put_service(lb, *selectors[i] ? selecting(s, "app", "a") : s, "");
		s = sharing(lb_service("x/b", "4"), "k", 81);
		s->service.external_policy = WEFT_POLICY_LOCAL;
		put_service(lb, *selectors[i] ? selecting(s, "app", selectors[i]) : s, "");
		expect(lb, "x/a", "Assigned 10.1.0.1");
		expect(lb, "x/b", want[i]);
		lb_del_service(lb, "x/a");
		lb_del_service(lb, "x/b");
	}
}

static void sharers_meet_without_naming_an_address(void **state)
{
	struct lb *lb = *state;

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.2"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, sharing(lb_service("x/b", "4"), "k", 1), "");
	put_service(lb, sharing(lb_service("x/c", "4"), "k", 2), "");
	put_service(lb, sharing(lb_service("x/d", "4"), "k", 2), "");
	expect(lb, "x/b", "Assigned 10.1.0.2");
	expect(lb, "x/c", "Assigned 10.1.0.2");
	expect(lb, "x/d", "PoolExhausted"); /* its port is taken, and there is no other address */
	expect_pool(lb, "p", 2, 2, 0);
	put_service(lb, sharing(lb_service("x/c", "4"), "k", 3), "10.1.0.2");
	expect(lb, "x/d", "Assigned 10.1.0.2");
	put_service(lb, sharing(lb_service("x/c", "4"), "k", 2), "10.1.0.2"); /* breaks it again */
	expect(lb, "x/c", "Assigned 10.1.0.2");
	expect(lb, "x/d", "Conflict 10.1.0.2"); /* the later one by name, and nobody moves */
	expect_pool(lb, "p", 2, 2, 1);
	lb_del_service(lb, "x/b");
	lb_del_service(lb, "x/c");
	expect(lb, "x/d", "Assigned 10.1.0.2");
	lb_del_service(lb, "x/d");
	expect_pool(lb, "p", 2, 1, 0);
}

static void buggy_addresses_are_left_out(void **state)
{
	struct lb *lb = *state;
	struct weft_object *p = lb_pool("p", "10.1.0.254-10.1.1.1");

	p->ippool.avoid_buggy_ips = true;
	put_pool(lb, p);
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "");
	put_service(lb, lb_service("x/c", "4"), "");
	put_service(lb, annotated(lb_service("x/d", "4"), IPS, "10.1.0.255"), "");
	expect(lb, "x/a", "Assigned 10.1.0.254");
	expect(lb, "x/b", "Assigned 10.1.1.1");
	expect(lb, "x/c", "PoolExhausted");
	expect(lb, "x/d", "AddressOutsidePools");
	expect_pool(lb, "p", 2, 2, 0);
}

static void capacity(void **state)
{
	static const struct {
		const char *ranges;
		bool avoid;
		uint64_t want;
	} cases[] = {
	        {"10.0.0.1-10.0.0.1", false, 1},
	        {"10.0.0.0-10.0.0.255", true, 254},
	        {"10.0.0.255-10.0.1.0", true, 0},
	        {"10.0.0.1-10.0.0.254", true, 254},
	        {"0.0.0.0-255.255.255.255", false, UINT64_C(1) << 32},
	        {"0.0.0.0-255.255.255.255", true, (UINT64_C(1) << 32) - (UINT64_C(1) << 25)},
	        {"10.0.0.1-10.0.0.9 10.0.0.5-10.0.0.12", false, 12}, /* counted once */
	        {"10.0.0.1-10.0.0.9 10.0.0.3-10.0.0.5", false, 9},
	        {"fd00::-fd00::ffff:ffff:ffff:fffe", false, UINT64_MAX},
	        {"fd00::-fd00::ffff:ffff:ffff:ffff", false, UINT64_MAX},
	        {"fd00::-fd00:1::", false, UINT64_MAX},
	        {"fd00::-fd00:1:: 10.0.0.1-10.0.0.9", false, UINT64_MAX},
	        {"fd00::ff-fd00::100", true, 2},
	};
	struct lb *lb = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_object *p = lb_pool("p", cases[i].ranges);

		p->ippool.avoid_buggy_ips = cases[i].avoid;
		put_pool(lb, p);
		expect_pool(lb, "p", cases[i].want, 0, 0);
	}
}

static void a_pool_by_its_cidr(void **state)
{
	struct lb *lb = *state;
	struct weft_object *p = object(WEFT_IPPOOL, "p");

	p->ippool.use = WEFT_USE_LOADBALANCER;
	p->ippool.cidr = prefix("10.1.0.0/30");
	p->ippool.auto_assign = true;
	put_pool(lb, p);
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	expect(lb, "x/a", "Assigned 10.1.0.0");
	expect_pool(lb, "p", 4, 1, 0);
}

static void names_of_any_length_fit_the_message(void **state)
{
	struct lb *lb = *state;
	char key[WEFT_KEY_MAX], text[800];
	struct lb_service s;

	memset(key, 'a', sizeof(key) - 1);
	key[WEFT_NAME_MAX] = '/';
	key[sizeof(key) - 1] = '\0';
	memset(text, 'b', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.1"));
	lb_ready(lb);
	put_service(lb, lb_service(key, "4"), "");
	put_service(lb, annotated(lb_service("x/a", "4"), IPS, "10.1.0.1"), "");
	expect(lb, "x/a", "AddressInUse");
	put_service(lb, annotated(lb_service("x/b", "4"), POOL, text), "");
	put_service(lb, annotated(lb_service("x/c", "4"), IPS, text), "");
	put_service(lb, annotated(lb_service("x/d", "4"), SHARE, text), "");
	expect(lb, "x/b", "InvalidAnnotation");
	expect(lb, "x/c", "InvalidAnnotation");
	expect(lb, "x/d", "InvalidAnnotation");
	while (lb_next(lb, &s))
		assert_true(strlen(s.message) < sizeof(s.message));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(dual_stack),
	        TEST(malformed_requests),
	        TEST(who_may_share),
	        TEST(local_services_share_with_the_same_selector),
	        TEST(sharers_meet_without_naming_an_address),
	        TEST(buggy_addresses_are_left_out),
	        TEST(capacity),
	        TEST(a_pool_by_its_cidr),
	        TEST(names_of_any_length_fit_the_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
