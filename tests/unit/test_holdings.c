// SPDX-License-Identifier: GPL-2.0-or-later
/* Claims, requests, releases: blocks that nobody contests. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/holdings_fixture.h"

static void nothing_happens_before_the_datastore_has_spoken(void **state)
{
	struct bed *b = *state;
	struct weft_prefix old = prefix("10.244.9.0/26");

	assert_int_equal(weft_ipam_add_block(b->ipam, &old, "gone", NULL), 0);
	run(b);
	assert_int_equal(b->fake.claims, 0);
	assert_true(file(b, "10.244.9.0/26", NULL, NULL));
	assert_false(holdings_ready(b->h));
	synced(b->c);
	run(b);
	assert_false(file(b, "10.244.9.0/26", NULL, NULL)); /* nobody uses it, nobody owns it */
}

static void the_first_block_is_claimed_and_gets_its_file(void **state)
{
	struct bed *b = *state;
	struct weft_ipam_counts counts;
	char cidr[WEFT_PREFIX_STR];

	synced(b->c);
	run(b);
	assert_true(b->fake.claiming);
	assert_string_equal(b->fake.pool, "p");
	weft_prefix_str(&b->fake.cidr, cidr);
	assert_false(file(b, cidr, NULL, NULL)); /* not before it is ours */
	assert_false(holdings_ready(b->h));
	answer(b, 0);
	assert_true(file(b, cidr, &counts, NULL));
	assert_int_equal(counts.free, 64);
	assert_true(holdings_ready(b->h));
	assert_false(b->fake.claiming);
}

static void a_request_claims_one_block_and_is_answered_when_it_has_room(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR];

	first_block(b, cidr);
	ask(b);
	assert_int_equal(b->answers, 1); /* there is room */
	assert_string_equal(b->answer, "");
	fill(b);
	ask(b);
	assert_int_equal(b->answers, 0);
	assert_true(b->fake.claiming);
	answer(b, 0);
	assert_int_equal(b->answers, 1);
	assert_string_equal(b->answer, "");
	assert_int_equal(b->fake.claims, 2); /* its file counts before another is claimed */
}

static void the_last_block_serves_the_request_for_it(void **state)
{
	struct bed *b = *state;
	char cidr[WEFT_PREFIX_STR];

	first_block(b, cidr);
	for (int left = 3; left > 0; left--) {
		fill(b);
		ask(b);
		assert_int_equal(b->answers, 0);
		answer(b, 0);
		assert_int_equal(b->answers, 1);
		assert_string_equal(b->answer, "");
	}
	assert_int_equal(b->fake.claims, 4);
	fill(b);
	ask(b);
	assert_int_equal(b->answers, 1);
	assert_non_null(strstr(b->answer, "no IPv4 block can be claimed"));
	assert_problem(b, "no IPv4 block can be claimed", true);
	assert_int_equal(b->fake.claims, 4);
}

static void a_failed_claim_is_told_and_tried_again(void **state)
{
	struct bed *b = *state;

	synced(b->c);
	holdings_request(b->h, AF_INET, NULL, on_done, b);
	settle(b);
	assert_true(b->fake.claiming);
	answer(b, EROFS);
	assert_int_equal(b->answers, 1);
	assert_non_null(strstr(b->answer, "the disk says no"));
	assert_problem(b, "the disk says no", true);
	assert_false(b->fake.claiming);
	wait_dirty(b, 7000);
	assert_true(b->fake.claiming);
	answer(b, 0);
	assert_problem(b, "the disk says no", false);
	assert_true(holdings_ready(b->h));
}

static void an_empty_block_is_released_file_first(void **state)
{
	struct bed *b = *state;
	char first[WEFT_PREFIX_STR], second[WEFT_PREFIX_STR];
	struct weft_ipam_result got;

	first_block(b, first);
	assert_int_equal(take(b, "pod", &got), 0); /* the first one is in use and stays */
	put(b->c, block("10.244.0.64/26", "b", "p"));
	strcpy(second, strcmp(first, "10.244.0.0/26") ? "10.244.0.0/26" : "10.244.0.128/26");
	put(b->c, block(second, "a", "p"));
	run(b);
	assert_true(b->fake.releasing);
	assert_int_equal(b->fake.releases, 1);
	assert_string_equal(weft_prefix_str(&b->fake.cidr, first), second);
	assert_false(file(b, second, NULL, NULL));
	run(b);
	assert_false(file(b, second, NULL, NULL)); /* not made again meanwhile */
	answer(b, 0);
	assert_false(file(b, second, NULL, NULL));
	assert_int_equal(b->fake.releases, 1);
	assert_int_equal(b->fake.claims, 1);
}

static void a_failed_release_keeps_the_block_and_fails_no_request(void **state)
{
	struct bed *b = *state;
	char first[WEFT_PREFIX_STR];
	struct weft_ipam_result got;

	first_block(b, first);
	assert_int_equal(take(b, "pod", &got), 0);
	put(b->c, block(strcmp(first, "10.244.0.0/26") ? "10.244.0.0/26" : "10.244.0.128/26", "a", "p"));
	run(b);
	assert_true(b->fake.releasing);
	fill(b);
	ask(b);
	assert_int_equal(b->answers, 0);
	answer(b, EPERM);
	assert_int_equal(b->answers, 1);
	assert_string_equal(b->answer, ""); /* its file is back, with room */
	assert_problem(b, "the disk says no", true);
}

static void a_block_that_cannot_have_a_file_stops_nothing(void **state)
{
	struct bed *b = *state;

	put(b->c, block("10.245.0.0/16", "a", "big")); /* more addresses than a file holds */
	put(b->c, pool("big", "10.245.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	synced(b->c);
	run(b);
	assert_problem(b, "10.245.0.0/16", true);
	assert_true(b->fake.claiming);
	answer(b, 0);
	assert_true(holdings_ready(b->h));
	assert_int_equal(b->fake.claims, 1);
}

static void files_that_cannot_be_made_claim_no_more_blocks(void **state)
{
	struct bed *b = *state;
	char away[96];

	snprintf(away, sizeof(away), "%s.away", b->dir);
	synced(b->c);
	run(b);
	assert_int_equal(rename(b->dir, away), 0);
	answer(b, 0);
	run(b);
	assert_int_equal(b->fake.claims, 1);
	assert_int_equal(rename(away, b->dir), 0);
	wait_dirty(b, 7000); /* looks again by itself */
	assert_true(holdings_ready(b->h));
	assert_int_equal(b->fake.claims, 1);
}

static void who_waits_at_the_end_is_told(void **state)
{
	struct bed *b = *state;

	ask(b); /* before SYNCED */
	assert_int_equal(b->answers, 0);
	holdings_free(b->h);
	b->h = NULL;
	assert_int_equal(b->answers, 1);
	assert_non_null(strstr(b->answer, "stopping"));
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define EAGER(name) cmocka_unit_test_setup_teardown(name, setup_eager, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(nothing_happens_before_the_datastore_has_spoken),
	        TEST(the_first_block_is_claimed_and_gets_its_file),
	        TEST(a_request_claims_one_block_and_is_answered_when_it_has_room),
	        TEST(the_last_block_serves_the_request_for_it),
	        TEST(a_failed_claim_is_told_and_tried_again),
	        EAGER(an_empty_block_is_released_file_first),
	        EAGER(a_failed_release_keeps_the_block_and_fails_no_request),
	        TEST(a_block_that_cannot_have_a_file_stops_nothing),
	        TEST(files_that_cannot_be_made_claim_no_more_blocks),
	        TEST(who_waits_at_the_end_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
