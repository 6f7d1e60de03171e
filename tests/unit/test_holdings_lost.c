// SPDX-License-Identifier: GPL-2.0-or-later
/* Blocks that others have, or that nobody can tell whose they are: races, moved and vanished IPBlocks. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/holdings_fixture.h"

static void a_lost_race_goes_on_to_the_next_block(void **state)
{
	struct bed *b = *state;
	struct weft_prefix lost;

	synced(b->c);
	run(b);
	lost = b->fake.cidr;
	answer(b, EEXIST); /* nobody can say whose it is: a malformed manifest */
	assert_false(b->fake.claiming);
	wait_dirty(b, 2000);
	assert_true(b->fake.claiming);
	assert_int_not_equal(weft_prefix_cmp(&lost, &b->fake.cidr), 0);
	answer(b, 0);
	assert_true(holdings_ready(b->h));
}

static void a_hidden_block_counts_as_taken_until_it_is_seen_or_taken_back(void **state)
{
	struct bed *b = *state;
	struct weft_event ev = {.type = WEFT_EV_INVALID, .scope = "x.yaml", .where = "x.yaml", .text = ""};
	struct weft_prefix hidden = prefix("10.244.0.64/26"), inside = prefix("10.244.0.80/28");

	synced(b->c);
	cluster_block_unseen(b->c, &hidden);
	assert_true(cluster_block_taken(b->c, &inside));
	put(b->c, block("10.244.0.64/26", "b", "p"));
	assert_true(cluster_block_taken(b->c, &inside));
	del(b->c, WEFT_IPBLOCK, "10.244.0.64-26");
	assert_false(cluster_block_taken(b->c, &inside));
	cluster_block_unseen(b->c, &hidden);
	cluster_handle(b->c, &ev);
	assert_false(cluster_block_taken(b->c, &inside));
}

static void a_block_given_to_another_node_takes_no_new_pods(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR];
	struct weft_ipam_result got;
	struct weft_prefix p, moved;
	bool retired;

	first_block(b, cidr);
	moved = prefix(cidr);
	assert_int_equal(take(b, "pod", &got), 0);
	put(b->c, block(cidr, "b", "p"));
	run(b);
	assert_true(file(b, cidr, NULL, &retired)); /* the pod keeps its address */
	assert_true(retired);
	assert_problem(b, "names node b", true);
	assert_int_equal(take(b, "new", &got), -ENOSPC);
	assert_int_equal(take(b, "pod", &got), 0);
	p = prefix(cidr);
	assert_true(weft_prefix_contains(&p, &got.addr[0]));
	assert_true(b->fake.claiming);
	answer(b, 0);
	assert_int_equal(take(b, "new", &got), 0);
	assert_false(weft_prefix_contains(&moved, &got.addr[0]));
	/* Given back: it is in use again. */
	put(b->c, block(cidr, "a", "p"));
	run(b);
	assert_true(file(b, cidr, NULL, &retired));
	assert_false(retired);
	assert_problem(b, "names node b", false);
	/* Taken again; with its last pod the file goes. */
	put(b->c, block(cidr, "b", "p"));
	run(b);
	give_back(b, "pod");
	run(b);
	assert_false(file(b, cidr, NULL, NULL));
}

static void a_vanished_claim_is_made_again_while_pods_use_it(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR], claimed[WEFT_PREFIX_STR];
	struct weft_prefix p;
	struct weft_ipam_result got;
	char name[WEFT_PREFIX_STR];
	bool retired;

	first_block(b, cidr);
	p = prefix(cidr);
	assert_int_equal(take(b, "pod", &got), 0);
	del(b->c, WEFT_IPBLOCK, weft_block_name(&p, name));
	run(b);
	assert_true(b->fake.claiming);
	assert_string_equal(weft_prefix_str(&b->fake.cidr, claimed), cidr);
	assert_int_equal(take(b, "new", &got), -ENOSPC); /* another node may have it by now */
	answer(b, 0);
	assert_true(file(b, cidr, NULL, &retired));
	assert_false(retired);
	assert_int_equal(take(b, "new", &got), 0);
}

static void a_vanished_claim_that_cannot_be_read_is_not_fought_over(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR], other[WEFT_PREFIX_STR], name[WEFT_PREFIX_STR];
	struct weft_prefix p;
	struct weft_ipam_result got;

	first_block(b, cidr);
	p = prefix(cidr);
	assert_int_equal(take(b, "pod", &got), 0);
	del(b->c, WEFT_IPBLOCK, weft_block_name(&p, name));
	run(b);
	answer(b, EEXIST);
	wait_dirty(b, 2000);
	assert_problem(b, "no readable IPBlock", true);
	assert_true(b->fake.claiming); /* another one, for new pods */
	assert_string_not_equal(weft_prefix_str(&b->fake.cidr, other), cidr);
	answer(b, 0);
	run(b);
	assert_false(b->fake.claiming);
	assert_int_equal(b->fake.claims, 3);
}

static void a_pool_that_goes_retires_its_blocks_in_use(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR];
	struct weft_ipam_result got;
	bool retired;

	first_block(b, cidr);
	assert_int_equal(take(b, "pod", &got), 0);
	del(b->c, WEFT_IPPOOL, "p");
	run(b);
	assert_true(file(b, cidr, NULL, &retired));
	assert_true(retired);
	assert_problem(b, "it lies in no IPPool", true);
	put(b->c, pool("q", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	run(b);
	assert_true(file(b, cidr, NULL, &retired));
	assert_false(retired);
}

/* A deleted pool leaves nothing behind: its empty blocks are given back, after the same while as others. */
static void an_empty_block_of_a_deleted_pool_is_released(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR], released[WEFT_PREFIX_STR];
	struct weft_ipam_result got;

	first_block(b, cidr);
	assert_int_equal(take(b, "pod", &got), 0);
	del(b->c, WEFT_IPPOOL, "p");
	run(b);
	assert_false(b->fake.releasing); /* a pod has an address of it */
	give_back(b, "pod");
	run(b);
	assert_true(b->fake.releasing);
	assert_string_equal(weft_prefix_str(&b->fake.cidr, released), cidr);
	assert_false(file(b, cidr, NULL, NULL));
	answer(b, 0);
	run(b);
	assert_int_equal(b->fake.releases, 1);
	assert_int_equal(b->fake.claims, 1);
}

/* A pool that is replaced by another one within that while takes its blocks over. */
static void a_block_is_kept_while_its_pool_may_come_back(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR];

	first_block(b, cidr);
	del(b->c, WEFT_IPPOOL, "p");
	run(b);
	run(b);
	assert_int_equal(b->fake.releases, 0);
	put(b->c, pool("q", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	run(b);
	assert_true(file(b, cidr, NULL, NULL));
	assert_int_equal(b->fake.releases, 0);
	assert_int_equal(b->fake.claims, 1);
}

/* The datastore refuses: the block is asked about again after another while, and not at once. */
static void a_release_that_fails_is_tried_again_later(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR];

	first_block(b, cidr);
	del(b->c, WEFT_IPPOOL, "p");
	run(b);
	assert_true(b->fake.releasing);
	answer(b, EIO);
	run(b);
	assert_int_equal(b->fake.releases, 1);
	assert_problem(b, "the disk says no", true);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define EAGER(name) cmocka_unit_test_setup_teardown(name, setup_eager, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_lost_race_goes_on_to_the_next_block),
	        TEST(a_hidden_block_counts_as_taken_until_it_is_seen_or_taken_back),
	        TEST(a_block_given_to_another_node_takes_no_new_pods),
	        TEST(a_vanished_claim_is_made_again_while_pods_use_it),
	        TEST(a_vanished_claim_that_cannot_be_read_is_not_fought_over),
	        TEST(a_pool_that_goes_retires_its_blocks_in_use),
	        EAGER(an_empty_block_of_a_deleted_pool_is_released),
	        TEST(a_block_is_kept_while_its_pool_may_come_back),
	        EAGER(a_release_that_fails_is_tried_again_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
