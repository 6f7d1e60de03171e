// SPDX-License-Identifier: GPL-2.0-or-later
/* Who holds an address and port (agent/plan/claims.h), and firewall marks by name (agent/plan/fwmarks.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/plan/claims.h"
#include "agent/plan/fwmarks.h"
#include "weft/marks.h"

static const char *other;

static bool take(struct claims *c, const struct svc_virtual_key *k, const char *owner)
{
	bool got = claims_take(c, k, owner, 1, &other);

	assert_null(other);
	return got;
}

static struct svc_virtual_key key(const char *addr, uint16_t port)
{
	struct svc_virtual_key k;

	memset(&k, 0, sizeof(k));
	assert_int_equal(weft_addr_parse(addr, &k.addr, NULL), 0);
	k.proto = 6;
	k.port = port;
	return k;
}

static void first_one_holds(void **state)
{
	struct claims *c = claims_new();
	struct svc_virtual_key k = key("10.96.0.1", 80), second = key("10.96.0.1", 81);

	(void)state;
	assert_true(take(c, &k, "ns/z"));
	assert_false(take(c, &k, "ns/a"));
	assert_true(take(c, &k, "ns/z"));
	assert_string_equal(claims_holder(c, &k), "ns/z");
	assert_true(take(c, &second, "ns/a"));
	assert_null(claims_holder(c, &(struct svc_virtual_key){.port = 1}));
	claims_free(c);
}

static void lowest_name_takes_over(void **state)
{
	struct claims *c = claims_new();
	struct svc_virtual_key k = key("10.96.0.1", 80);

	(void)state;
	take(c, &k, "ns/m");
	take(c, &k, "ns/c");
	take(c, &k, "ns/a");
	take(c, &k, "ns/b");
	take(c, &k, "ns/b");
	assert_null(claims_release(c, &k, "ns/c"));
	assert_null(claims_release(c, &k, "ns/c"));
	assert_string_equal(claims_release(c, &k, "ns/m"), "ns/a");
	assert_string_equal(claims_release(c, &k, "ns/a"), "ns/b");
	assert_null(claims_release(c, &k, "ns/b"));
	assert_null(claims_holder(c, &k));
	assert_true(take(c, &k, "ns/c"));
	claims_free(c);
}

static void lower_rank_displaces(void **state)
{
	struct claims *c = claims_new();
	struct svc_virtual_key k = key("10.96.0.1", 80);

	(void)state;
	assert_true(claims_take(c, &k, "ns/external", 2, &other));
	assert_false(claims_take(c, &k, "ns/another", 2, &other));
	assert_null(other);
	assert_true(claims_take(c, &k, "ns/cluster", 0, &other));
	assert_string_equal(other, "ns/external");
	assert_false(claims_take(c, &k, "ns/balancer", 1, &other));
	assert_string_equal(claims_holder(c, &k), "ns/cluster");
	/* Its ClusterIP becomes an external IP: now the LoadBalancer's claim is better. */
	assert_false(claims_take(c, &k, "ns/cluster", 2, &other));
	assert_string_equal(other, "ns/balancer");
	assert_string_equal(claims_release(c, &k, "ns/balancer"), "ns/another");
	claims_free(c);
}

static void same_name_same_mark(void **state)
{
	struct fwmarks *one = fwmarks_new(), *two = fwmarks_new();
	char name[32];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "ns/web-%d/http/TCP/4", i);
		assert_int_equal(fwmarks_get(one, name), fwmarks_get(one, name));
	}
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "ns/web-%d/http/TCP/4", i);
		assert_int_equal(fwmarks_get(two, name), fwmarks_get(one, name));
		assert_int_equal(fwmarks_get(two, name) & WEFT_FWMARK_MASK, WEFT_FWMARK_BASE);
		assert_int_not_equal(fwmarks_get(two, name), WEFT_FWMARK_BASE);
	}
	assert_int_equal(fwmarks_count(one), 500);
	fwmarks_put(one, "ns/web-7/http/TCP/4");
	fwmarks_put(one, "ns/web-7/http/TCP/4");
	assert_int_equal(fwmarks_count(one), 499);
	fwmarks_free(one);
	fwmarks_free(two);
}

/* 24 bits: among 20,000 names some must meet. */
static void marks_are_distinct(void **state)
{
	static uint8_t seen[1 << 24];
	struct fwmarks *m = fwmarks_new();
	char name[32];

	(void)state;
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 20000; i++) {
		uint32_t mark;

		snprintf(name, sizeof(name), "%d", i);
		mark = fwmarks_get(m, name) & ~WEFT_FWMARK_MASK;
		assert_false(seen[mark]);
		seen[mark] = 1;
	}
	fwmarks_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(first_one_holds),      cmocka_unit_test(lowest_name_takes_over),
	        cmocka_unit_test(lower_rank_displaces), cmocka_unit_test(same_name_same_mark),
	        cmocka_unit_test(marks_are_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
