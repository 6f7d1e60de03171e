// SPDX-License-Identifier: GPL-2.0-or-later
/* Pool arithmetic: limits, numbering, candidates, overlaps. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipam/pool.h"
#include "weft/cleanup.h"

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct weft_pool pool(const char *cidr, unsigned block_len)
{
	return (struct weft_pool){.name = "p", .cidr = prefix(cidr), .block_len = (uint8_t)block_len};
}

static void pools_are_validated(void **state)
{
	static const struct {
		const char *cidr;
		unsigned len;
		int want;
	} cases[] = {
	        {"10.244.0.0/16", 26, 0},         {"10.0.0.0/8", 32, 0},
	        {"10.244.0.0/20", 20, 0},         {"10.244.0.0/26", 26, 0},
	        {"fd00:244::/48", 122, 0},        {"fd00:244::/112", 116, 0},
	        {"fd00:244::1/128", 128, 0},      {"10.244.0.0/16", 19, -EINVAL},
	        {"10.244.0.0/16", 33, -EINVAL},   {"10.244.0.0/27", 26, -EINVAL},
	        {"fd00:244::/48", 115, -EINVAL},  {"fd00:244::/48", 129, -EINVAL},
	        {"fd00:244::/124", 122, -EINVAL}, {"127.0.0.0/16", 26, -EINVAL},
	        {"169.254.0.0/16", 26, -EINVAL},  {"224.0.0.0/16", 26, -EINVAL},
	        {"0.0.0.0/0", 26, -EINVAL},       {"126.0.0.0/7", 26, -EINVAL},
	        {"fe80::/64", 122, -EINVAL},      {"ff00::/48", 122, -EINVAL},
	        {"::/0", 122, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_pool p = pool(cases[i].cidr, cases[i].len);
		struct weft_err err = WEFT_ERR_INIT;
		int r = weft_pool_check(&p, &err);

		if (r != cases[i].want)
			fail_msg("%s /%u: %d %s", cases[i].cidr, cases[i].len, r, err.text);
		if (r < 0)
			assert_non_null(strstr(err.text, "pool p"));
	}
	struct weft_pool host_bits = {.name = "p", .cidr = prefix("10.0.0.0/8"), .block_len = 26};
	host_bits.cidr.addr.bytes[3] = 1;
	assert_int_equal(weft_pool_check(&host_bits, NULL), -EINVAL);
	struct weft_pool unset = {.name = "p"};
	assert_int_equal(weft_pool_check(&unset, NULL), -EINVAL);
}

static void blocks_are_numbered_in_address_order(void **state)
{
	struct weft_pool p4 = pool("10.244.0.0/16", 26), p6 = pool("fd00:244::/48", 122);
	struct weft_prefix b;

	(void)state;
	assert_int_equal(weft_pool_blocks(&p4), 1024);

	b = prefix("10.244.1.64/26");
	assert_int_equal(weft_pool_index(&p4, &b), 5);
	for (uint64_t i = 0; i < 1024; i++) {
		b = weft_pool_block(&p4, i);
		assert_int_equal(weft_pool_index(&p4, &b), i);
		assert_true(weft_pool_has(&p4, &b));
	}
	b = prefix("10.244.1.64/27");
	assert_int_equal(weft_pool_index(&p4, &b), -ENOENT);
	b = prefix("10.245.0.0/26");
	assert_int_equal(weft_pool_index(&p4, &b), -ENOENT);
	assert_true(weft_pool_blocks(&p6) == WEFT_POOL_BLOCKS);
	b = weft_pool_block(&p6, WEFT_POOL_BLOCKS - 1);
	assert_int_equal(weft_pool_index(&p6, &b), WEFT_POOL_BLOCKS - 1);
	b = prefix("fd00:244:0:ffff::/122");
	assert_true(weft_pool_has(&p6, &b));
	assert_int_equal(weft_pool_index(&p6, &b), -ERANGE);
}

struct taken {
	struct weft_pool *pool;
	bool held[64];
	unsigned asked;
};

static bool is_taken(void *ctx, const struct weft_prefix *block)
{
	struct taken *t = ctx;

	t->asked++;
	return t->held[weft_pool_index(t->pool, block)];
}

static void candidates_start_elsewhere_for_each_node_and_end_with_enospc(void **state)
{
	struct weft_pool p = pool("10.244.0.0/20", 26);
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_prefix got;
	bool start[64] = {0};
	unsigned starts = 0;

	(void)state;
	for (int node = 0; node < 32; node++) {
		struct taken none = {.pool = &p};
		char name[16];

		snprintf(name, sizeof(name), "node-%d", node);
		assert_int_equal(weft_pool_candidate(&p, name, is_taken, &none, &got, &err), 0);
		assert_int_equal(none.asked, 1);
		starts += !start[weft_pool_index(&p, &got)];
		start[weft_pool_index(&p, &got)] = true;
	}
	assert_in_range(starts, 16, 32); /* 25 expected of a good hash */

	struct taken t = {.pool = &p};
	int64_t last = -1;
	for (int i = 0; i < 64; i++) {
		assert_int_equal(weft_pool_candidate(&p, "node-a", is_taken, &t, &got, &err), 0);
		int64_t index = weft_pool_index(&p, &got);
		assert_false(t.held[index]);
		assert_true(last < 0 || index == (last + 1) % 64);
		t.held[index] = true;
		last = index;
	}
	t.asked = 0;
	assert_int_equal(weft_pool_candidate(&p, "node-a", is_taken, &t, &got, &err), -ENOSPC);
	assert_int_equal(t.asked, 64);
	assert_non_null(strstr(err.text, "pool p (10.244.0.0/20)"));
}

static void overlaps_are_refused(void **state)
{
	struct weft_pool a = pool("10.244.0.0/16", 26), b = pool("10.244.128.0/17", 26);
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_addr node;

	(void)state;
	assert_int_equal(weft_pool_check_overlap(&a, &b, &err), 0); /* the same pool, changed */
	b.name = "q";
	assert_int_equal(weft_pool_check_overlap(&a, &b, &err), -EEXIST);
	assert_int_equal(weft_pool_check_overlap(&b, &a, &err), -EEXIST);
	assert_non_null(strstr(err.text, "pool q (10.244.128.0/17) overlaps pool p (10.244.0.0/16)"));
	b.cidr = prefix("10.245.0.0/16");
	assert_int_equal(weft_pool_check_overlap(&a, &b, &err), 0);
	b.cidr = prefix("fd00::/48");
	assert_int_equal(weft_pool_check_overlap(&a, &b, &err), 0);

	assert_int_equal(weft_addr_parse("10.244.3.1", &node, NULL), 0);
	assert_int_equal(weft_pool_check_node(&a, "n1", &node, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "10.244.3.1 of node n1"));
	assert_int_equal(weft_addr_parse("192.0.2.1", &node, NULL), 0);
	assert_int_equal(weft_pool_check_node(&a, "n1", &node, &err), 0);
	assert_int_equal(weft_pool_check_node(&a, "n1", &(struct weft_addr){0}, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pools_are_validated),
	        cmocka_unit_test(blocks_are_numbered_in_address_order),
	        cmocka_unit_test(candidates_start_elsewhere_for_each_node_and_end_with_enospc),
	        cmocka_unit_test(overlaps_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
