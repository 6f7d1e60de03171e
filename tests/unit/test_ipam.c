// SPDX-License-Identifier: GPL-2.0-or-later
/* Allocation inside blocks: order, cooldown (the clock is injected), ownership, exhaustion, errors. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ipam/host.h"
#include "tests/unit/tmpdir.h"
#include "weft/cleanup.h"

struct fixture {
	char dir[TMPDIR_SIZE];
	uint64_t now;
	struct weft_ipam *ipam;
	struct weft_err err;
	struct weft_ipam_result got;
};

static uint64_t test_now(void *ctx)
{
	return ((struct fixture *)ctx)->now;
}

static void reopen(struct fixture *f, uint64_t cooldown_ms)
{
	struct weft_ipam_options opt = {
	        .cooldown_ms = cooldown_ms, .lock_timeout_ms = 200, .now_ms = test_now, .ctx = f};

	weft_ipam_close(f->ipam);
	assert_int_equal(weft_ipam_open(f->dir, &opt, &f->ipam, &f->err), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tmpdir_make(f->dir);
	f->now = UINT64_C(1700000000000);
	reopen(f, 60000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tmpdir_remove(f->dir);
	weft_ipam_close(f->ipam);
	free(f);
	return 0;
}

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

static void add(struct fixture *f, const char *cidr, const char *pool)
{
	struct weft_prefix p = prefix(cidr);

	if (weft_ipam_add_block(f->ipam, &p, pool, &f->err) < 0)
		fail_msg("%s", f->err.text);
}

static int alloc(struct fixture *f, const char *id, unsigned families)
{
	struct weft_ipam_request req = {.families = families, .owner = {id, "eth0", "weft0123456789a"}};

	return weft_ipam_alloc(f->ipam, &req, &f->got, &f->err);
}

static int release(struct fixture *f, const char *id)
{
	return weft_ipam_release(f->ipam, &(struct weft_ipam_owner){.container_id = id, .ifname = "eth0"},
	                         &f->err);
}

static void expect(struct fixture *f, const char *v4, const char *v6)
{
	char text[WEFT_ADDR_STR];

	assert_string_equal(weft_addr_str(&f->got.addr[0], text), v4);
	assert_string_equal(weft_addr_str(&f->got.addr[1], text), v6);
}

static struct weft_ipam_counts counts(struct fixture *f, const char *name)
{
	struct weft_ipam_block b;

	assert_int_equal(weft_ipam_read(f->ipam, name, &b, &f->err), 0);
	struct weft_ipam_counts c = b.counts;
	assert_int_equal(c.used + c.free + c.cooling + c.reserved + c.corrupt, b.n);
	weft_ipam_block_clear(&b);
	return c;
}

static void addresses_come_in_order_and_are_kept(void **state)
{
	struct fixture *f = *state;

	add(f, "10.244.1.0/30", "default");
	add(f, "fd00:244::40/126", "six");
	assert_int_equal(alloc(f, "a", 3), 0);
	expect(f, "10.244.1.0", "fd00:244::41"); /* the first v6 address is the anycast one */
	assert_int_equal(alloc(f, "a", 3), 0);
	expect(f, "10.244.1.0", "fd00:244::41");
	assert_int_equal(f->got.block[1].len, 126);
	assert_int_equal(alloc(f, "a", WEFT_IPAM_V6), 0);
	expect(f, "", "fd00:244::41");
	assert_int_equal(alloc(f, "b", WEFT_IPAM_V4), 0);
	expect(f, "10.244.1.1", "");
	assert_int_equal(
	        weft_ipam_find(f->ipam, &(struct weft_ipam_owner){"a", "eth0", NULL}, &f->got, &f->err), 0);
	expect(f, "10.244.1.0", "fd00:244::41");
	assert_int_equal(
	        weft_ipam_find(f->ipam, &(struct weft_ipam_owner){"a", "eth1", NULL}, &f->got, &f->err), 0);
	expect(f, "", "");
	assert_int_equal(release(f, "a"), 2);
	assert_int_equal(release(f, "a"), 0);
	assert_int_equal(counts(f, "10.244.1.0-30").used, 1);
	assert_int_equal(counts(f, "10.244.1.0-30").cooling, 1);
	assert_int_equal(counts(f, "10.244.1.0-30").free, 2);
	assert_int_equal(counts(f, "fd00-244--40-126").reserved, 1);
}

static void reuse_is_first_in_first_out_after_the_cooldown(void **state)
{
	struct fixture *f = *state;

	add(f, "10.244.1.0/31", "default");
	add(f, "10.244.2.0/31", "default");
	for (int i = 0; i < 4; i++)
		assert_int_equal(alloc(f, (char[]){(char)('a' + i), 0}, 1), 0);
	expect(f, "10.244.2.1", "");
	assert_int_equal(alloc(f, "e", 1), -ENOSPC);
	assert_int_equal(release(f, "c"), 1); /* 10.244.2.0 */
	assert_int_equal(release(f, "a"), 1); /* 10.244.1.0, at the same millisecond */
	f->now += 10000;
	assert_int_equal(release(f, "d"), 1); /* 10.244.2.1 */
	f->now += 49999;
	assert_int_equal(alloc(f, "e", 1), -ENOSPC);
	assert_non_null(strstr(f->err.text, "3 cooling down (first free in 1 s)"));
	f->now += 1;
	assert_int_equal(alloc(f, "e", 1), 0);
	expect(f, "10.244.2.0", "");
	assert_int_equal(alloc(f, "g", 1), 0);
	expect(f, "10.244.1.0", "");
	assert_int_equal(alloc(f, "h", 1), -ENOSPC);
	assert_int_equal(f->got.missing, WEFT_IPAM_V4);
	f->now += 10000;
	assert_int_equal(alloc(f, "h", 1), 0);
	expect(f, "10.244.2.1", "");
}

static void never_used_goes_before_released(void **state)
{
	struct fixture *f = *state;

	reopen(f, 0);
	add(f, "10.244.1.0/30", "default");
	assert_int_equal(alloc(f, "a", 1), 0);
	assert_int_equal(release(f, "a"), 1);
	assert_int_equal(alloc(f, "b", 1), 0);
	expect(f, "10.244.1.1", "");
	for (int i = 0; i < 2; i++)
		assert_int_equal(alloc(f, (char[]){(char)('c' + i), 0}, 1), 0);
	expect(f, "10.244.1.3", "");
	assert_int_equal(alloc(f, "g", 1), 0);
	expect(f, "10.244.1.0", "");
}

static void a_clock_set_back_delays_by_one_cooldown_only(void **state)
{
	struct fixture *f = *state;

	add(f, "10.244.1.0/32", "default");
	assert_int_equal(alloc(f, "a", 1), 0);
	assert_int_equal(release(f, "a"), 1);
	f->now -= UINT64_C(86400000) * 365;
	assert_int_equal(counts(f, "10.244.1.0-32").cooling, 1);
	assert_int_equal(alloc(f, "b", 1), -ENOSPC);
	assert_non_null(strstr(f->err.text, "first free in 60 s"));
	f->now += 59999;
	assert_int_equal(alloc(f, "b", 1), -ENOSPC);
	f->now += 1;
	assert_int_equal(alloc(f, "b", 1), 0);
	assert_int_equal(release(f, "b"), 1);
	f->now += UINT64_C(86400000) * 365;
	assert_int_equal(alloc(f, "c", 1), 0);
}

static void all_families_or_none(void **state)
{
	struct fixture *f = *state;

	add(f, "10.244.1.0/30", "four");
	add(f, "fd00:244::2/127", "six");
	assert_int_equal(alloc(f, "a", 3), 0);
	expect(f, "10.244.1.0", "fd00:244::2"); /* a /127 has no anycast address (RFC 6164) */
	assert_int_equal(alloc(f, "b", 3), 0);
	assert_int_equal(alloc(f, "c", 3), -ENOSPC);
	assert_int_equal(f->got.missing, WEFT_IPAM_V6);
	expect(f, "", "");
	assert_string_equal(f->err.text, "no free IPv6 address in fd00:244::2/127 (pool six): 2 used");
	assert_int_equal(counts(f, "10.244.1.0-30").used, 2);
	assert_int_equal(alloc(f, "c", 1), 0); /* an incomplete set ... */
	add(f, "fd00:244::8/128", "six");
	assert_int_equal(alloc(f, "c", 3), 0); /* ... is completed */
	expect(f, "10.244.1.2", "fd00:244::8");
	assert_int_equal(counts(f, "10.244.1.0-30").used, 3);
}

static void exhaustion_names_family_pools_and_blocks(void **state)
{
	struct fixture *f = *state;
	const char *pools[] = {"gold", "silver"};
	struct weft_ipam_request req = {
	        .families = 3, .owner = {"a", "eth0", NULL}, .pools = pools, .n_pools = 2};

	add(f, "10.244.1.0/32", "default");
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -ENOSPC);
	assert_int_equal(f->got.missing, 3);
	assert_string_equal(f->err.text, "this node has no IPv4 block of pool gold, silver; "
	                                 "this node has no IPv6 block of pool gold, silver");
	add(f, "10.244.2.0/32", "gold");
	req.families = 1;
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
	expect(f, "10.244.2.0", "");
	req.owner.container_id = "b";
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -ENOSPC);
	assert_string_equal(f->err.text, "no free IPv4 address in 10.244.2.0/32 (pool gold): 1 used");
	for (int i = 0; i < 12; i++) {
		char cidr[32];

		snprintf(cidr, sizeof(cidr), "10.250.%d.0/32", i);
		add(f, cidr, "gold");
		req.owner.container_id = (char[]){(char)('c' + i), 0};
		assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
	}
	req.owner.container_id = "last";
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -ENOSPC);
	assert_non_null(strstr(f->err.text, ", ...: 13 used"));
}

static int alloc_want(struct fixture *f, const char *id, const char *want)
{
	struct weft_ipam_request req = {
	        .families = WEFT_IPAM_V4, .owner = {id, "eth0", NULL}, .want = {addr(want)}};

	return weft_ipam_alloc(f->ipam, &req, &f->got, &f->err);
}

static void a_wanted_address_is_given_or_refused_with_its_reason(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_request six = {
	        .families = WEFT_IPAM_V6, .owner = {"s", "eth0", NULL}, .want = {{0}, addr("fd00::40")}};

	add(f, "10.244.1.0/30", "default");
	add(f, "fd00::40/122", "six");
	assert_int_equal(alloc_want(f, "a", "10.244.1.3"), 0);
	expect(f, "10.244.1.3", "");
	assert_int_equal(alloc_want(f, "a", "10.244.1.3"), 0);
	assert_int_equal(alloc_want(f, "a", "10.244.1.2"), -EEXIST);
	assert_int_equal(alloc_want(f, "b", "10.244.1.3"), -EADDRINUSE);
	assert_int_equal(alloc_want(f, "b", "10.244.2.3"), -EADDRNOTAVAIL);
	assert_int_equal(weft_ipam_alloc(f->ipam, &six, &f->got, &f->err), -EADDRNOTAVAIL);
	assert_int_equal(release(f, "a"), 1);
	assert_int_equal(alloc_want(f, "b", "10.244.1.3"), -EAGAIN);
	assert_non_null(strstr(f->err.text, "cools down for 60 s"));
	f->now += 60000;
	assert_int_equal(alloc_want(f, "b", "10.244.1.3"), 0);
	six.families = WEFT_IPAM_V4;
	assert_int_equal(weft_ipam_alloc(f->ipam, &six, &f->got, &f->err), -EINVAL);
	six = (struct weft_ipam_request){
	        .families = 1, .owner = {"s", "eth0", NULL}, .want = {addr("fd00::41")}};
	assert_int_equal(weft_ipam_alloc(f->ipam, &six, &f->got, &f->err), -EINVAL);
}

static void owners_are_validated(void **state)
{
	static const char *const bad_id[] = {"", "-a", "a b", "a/b", "a\n", "../x", "blake2b:00", "ä"};
	static const char *const bad_if[] = {"", ".", "..", "a/b", "a b", "a:b", "a\n", "0123456789abcdef"};
	struct fixture *f = *state;
	char huge[5000];

	add(f, "10.244.1.0/26", "default");
	memset(huge, 'x', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(alloc(f, huge, 1), -EINVAL);
	assert_int_equal(alloc(f, NULL, 1), -EINVAL);
	assert_int_equal(alloc(f, "a", 0), -EINVAL);
	assert_int_equal(alloc(f, "a", 4), -EINVAL);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad_id); i++)
		assert_int_equal(alloc(f, bad_id[i], 1), -EINVAL);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad_if); i++) {
		struct weft_ipam_request req = {.families = 1, .owner = {"a", bad_if[i], NULL}};

		assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -EINVAL);
		req.owner = (struct weft_ipam_owner){"a", "eth0", bad_if[i]};
		if (bad_if[i][0])
			assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -EINVAL);
	}
	assert_int_equal(counts(f, "10.244.1.0-26").used, 0);
}

static void long_container_ids_are_hashed(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_block b;
	char id[200], other[200];

	add(f, "10.244.1.0/26", "default");
	memset(id, 'x', sizeof(id));
	id[150] = '\0';
	strcpy(other, id);
	other[149] = 'y';
	assert_int_equal(alloc(f, id, 1), 0);
	assert_int_equal(alloc(f, other, 1), 0);
	expect(f, "10.244.1.1", "");
	assert_int_equal(alloc(f, id, 1), 0);
	expect(f, "10.244.1.0", "");
	assert_int_equal(weft_ipam_read(f->ipam, "10.244.1.0-26", &b, &f->err), 0);
	assert_memory_equal(b.entries[0].container_id, "blake2b:", 8);
	assert_int_equal(strlen(b.entries[0].container_id), 72);
	assert_string_equal(b.entries[0].host_dev, "weft0123456789a");
	weft_ipam_block_clear(&b);
	assert_int_equal(
	        weft_ipam_gc(f->ipam, &(struct weft_ipam_owner){id, "eth0", NULL}, 1, NULL, NULL, &f->err),
	        1);
	assert_int_equal(release(f, other), 0);
	assert_int_equal(release(f, id), 1);
	id[64] = '\0'; /* the longest plain one */
	assert_int_equal(alloc(f, id, 1), 0);
	assert_int_equal(weft_ipam_read(f->ipam, "10.244.1.0-26", &b, &f->err), 0);
	assert_string_equal(b.entries[2].container_id, id);
	weft_ipam_block_clear(&b);
}

static void gc_frees_what_has_no_owner_and_keeps_the_nodes(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_request tunnel = {.families = 1,
	                                   .owner = {WEFT_IPAM_NODE_ID, WEFT_IPAM_TUNNEL4, "weft.ipip"}};
	const struct weft_ipam_owner valid[] = {
	        {"b", "eth0", NULL}, {"zz", "eth0", NULL}, {"b", "eth0", NULL}, {"a", "eth1", NULL}};

	add(f, "10.244.1.0/29", "default");
	add(f, "fd00::40/122", "six");
	assert_int_equal(weft_ipam_alloc(f->ipam, &tunnel, &f->got, &f->err), 0);
	assert_int_equal(alloc(f, "a", 3), 0);
	assert_int_equal(alloc(f, "b", 3), 0);
	assert_int_equal(alloc(f, "c", 1), 0);
	assert_int_equal(counts(f, "10.244.1.0-29").node, 1);
	assert_int_equal(weft_ipam_gc(f->ipam, valid, 4, NULL, NULL, &f->err), 3);
	assert_int_equal(counts(f, "10.244.1.0-29").used, 2);
	assert_int_equal(release(f, "b"), 2);
	assert_int_equal(weft_ipam_gc(f->ipam, NULL, 0, NULL, NULL, &f->err), 0);
	assert_int_equal(counts(f, "10.244.1.0-29").node, 1);
	struct weft_addr a = addr("10.244.1.0"), out = addr("10.9.9.9");
	assert_int_equal(weft_ipam_release_address(f->ipam, &a, &f->err), 1);
	assert_int_equal(weft_ipam_release_address(f->ipam, &a, &f->err), 0);
	assert_int_equal(weft_ipam_release_address(f->ipam, &out, &f->err), 0);
	a = addr("fd00::40");
	assert_int_equal(weft_ipam_release_address(f->ipam, &a, &f->err), 0);
	assert_int_equal(counts(f, "fd00--40-122").reserved, 1);
}

static void blocks_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct weft_prefix a = prefix("10.244.1.0/26"), wide = prefix("10.244.0.0/20"),
	                   big = prefix("10.0.0.0/19");
	struct weft_ipam_block *blocks;
	size_t n;

	add(f, "fd00::40/122", "six");
	add(f, "10.244.1.64/26", "default");
	add(f, "10.244.1.0/26", "default");
	add(f, "10.244.1.0/26", "default");
	assert_int_equal(weft_ipam_add_block(f->ipam, &a, "other", &f->err), -EEXIST);
	assert_int_equal(weft_ipam_add_block(f->ipam, &wide, "default", &f->err), -EEXIST);
	assert_int_equal(weft_ipam_add_block(f->ipam, &big, "default", &f->err), -EINVAL);
	assert_int_equal(weft_ipam_add_block(f->ipam, &a, "a b", &f->err), -EINVAL);
	assert_int_equal(weft_ipam_add_block(f->ipam, &a, "", &f->err), -EINVAL);
	assert_int_equal(weft_ipam_list(f->ipam, &blocks, &n, &f->err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(weft_prefix_cmp(&blocks[0].cidr, &a), 0);
	assert_string_equal(blocks[2].pool, "six");
	assert_int_equal(blocks[0].counts.free, 64);
	weft_ipam_blocks_free(blocks, n);

	assert_int_equal(alloc(f, "a", 1), 0);
	assert_int_equal(weft_ipam_remove_block(f->ipam, &a, &f->err), -EBUSY);
	assert_non_null(strstr(f->err.text, "10.244.1.0/26 has 1 used"));
	assert_int_equal(release(f, "a"), 1);
	assert_int_equal(weft_ipam_remove_block(f->ipam, &a, &f->err), 0);
	assert_int_equal(weft_ipam_remove_block(f->ipam, &a, &f->err), 0);
	assert_int_equal(alloc(f, "a", 1), 0);
	expect(f, "10.244.1.64", "");
}

static void a_retired_block_keeps_its_owners_and_takes_no_new_ones(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_request req = {.families = WEFT_IPAM_V4,
	                                .owner = {.container_id = "old", .ifname = "eth0"}};
	struct weft_prefix cidr = prefix("10.244.1.0/26"), other = prefix("10.244.2.0/26");
	struct weft_ipam_block *blocks;
	struct weft_addr held;
	size_t n;

	add(f, "10.244.1.0/26", "p");
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
	held = f->got.addr[0];
	assert_int_equal(weft_ipam_retire_block(f->ipam, &cidr, &f->err), 0);
	assert_int_equal(weft_ipam_retire_block(f->ipam, &cidr, &f->err), 0);
	assert_int_equal(weft_ipam_retire_block(f->ipam, &other, &f->err), 0);
	assert_int_equal(weft_ipam_list(f->ipam, &blocks, &n, &f->err), 0);
	assert_true(n == 1 && blocks[0].retired && blocks[0].counts.used == 1 && blocks[0].counts.free == 0);
	assert_string_equal(blocks[0].pool, "p");
	weft_ipam_blocks_free(blocks, n);
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
	assert_int_equal(weft_addr_cmp(&f->got.addr[0], &held), 0);
	req.owner.container_id = "new";
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -ENOSPC);
	req.want[0] = addr("10.244.1.9");
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), -EADDRNOTAVAIL);
	add(f, "10.244.1.0/26", "p");
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
}

static void block_names_are_read_back_strictly(void **state)
{
	static const char *const bad[] = {"lock",
	                                  "",
	                                  "-",
	                                  "10.244.1.0",
	                                  "10.244.1.1-26",
	                                  ".10.244.1.0-26.abcdef",
	                                  "10.244.1.0-026",
	                                  "10.244.1.0-26 ",
	                                  "FD00--40-122",
	                                  "fd00-0--40-122",
	                                  "..",
	                                  "10.244.1.0/26",
	                                  "fd00::40-122"};
	static const char *const good[] = {"10.244.1.0-26", "fd00-244--40-122", "fd00---122", "0.0.0.0-0"};
	struct weft_prefix p;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		if (weft_ipam_block_cidr(bad[i], &p) != -EINVAL)
			fail_msg("%s was accepted", bad[i]);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(good); i++)
		if (weft_ipam_block_cidr(good[i], &p) != 0)
			fail_msg("%s was refused", good[i]);
}

static void the_largest_block_works(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_request req = {
	        .families = 1, .owner = {"a", "eth0", NULL}, .want = {addr("10.16.15.255")}};

	add(f, "10.16.0.0/20", "default");
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
	assert_int_equal(counts(f, "10.16.0.0-20").used, 1);
	assert_int_equal(counts(f, "10.16.0.0-20").free, 4095);
}

static void a_held_lock_is_reported_with_its_holder(void **state)
{
	struct fixture *f = *state;
	char path[80], pid_text[32];
	int ready[2];

	snprintf(path, sizeof(path), "%s/lock", f->dir);
	add(f, "10.244.1.0/26", "default");
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when an assertion ends the test */
		int fd = open(path, O_RDONLY);

		if (flock(fd, LOCK_EX) == 0)
			(void)!write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	char c;
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(alloc(f, "a", 1), -ETIMEDOUT);
	snprintf(pid_text, sizeof(pid_text), "test_ipam (process %d)", pid);
	assert_non_null(strstr(f->err.text, pid_text));
	assert_int_equal(counts(f, "10.244.1.0-26").free, 64); /* reading does not wait */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(alloc(f, "a", 1), 0); /* the lock died with its holder */
}

static void foreign_files_are_left_alone_and_leftovers_removed(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"notes.txt", ".10.244.1.0-26.Ab12xY", ".keep.me.abcdef"};
	char path[3][128];

	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%s", f->dir, names[i]);
		close(open(path[i], O_CREAT | O_WRONLY, 0600));
	}
	add(f, "10.244.1.0/26", "default");
	assert_int_equal(access(path[0], F_OK), 0);
	assert_int_equal(access(path[1], F_OK), -1);
	assert_int_equal(access(path[2], F_OK), 0);
	snprintf(path[0], sizeof(path[0]), "%s/10.244.3.0-26", f->dir);
	assert_int_equal(symlink("/etc/passwd", path[0]), 0);
	assert_int_equal(alloc(f, "a", 1), -ELOOP);
	assert_non_null(strstr(f->err.text, path[0]));
	unlink(path[0]);
	assert_int_equal(mkdir(path[0], 0700), 0);
	assert_true(alloc(f, "a", 1) < 0);
	rmdir(path[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(addresses_come_in_order_and_are_kept),
	        TEST(reuse_is_first_in_first_out_after_the_cooldown),
	        TEST(never_used_goes_before_released),
	        TEST(a_clock_set_back_delays_by_one_cooldown_only),
	        TEST(all_families_or_none),
	        TEST(exhaustion_names_family_pools_and_blocks),
	        TEST(a_wanted_address_is_given_or_refused_with_its_reason),
	        TEST(owners_are_validated),
	        TEST(long_container_ids_are_hashed),
	        TEST(gc_frees_what_has_no_owner_and_keeps_the_nodes),
	        TEST(blocks_come_and_go),
	        TEST(a_retired_block_keeps_its_owners_and_takes_no_new_ones),
	        TEST(block_names_are_read_back_strictly),
	        TEST(the_largest_block_works),
	        TEST(a_held_lock_is_reported_with_its_holder),
	        TEST(foreign_files_are_left_alone_and_leftovers_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
