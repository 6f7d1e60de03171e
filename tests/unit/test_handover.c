// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is asked about a connection that nobody here knows: in which order, for how long, and never for ever.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "agent/plan/handover.h"
#include "tests/unit/objects.h"

#define WAIT_MS 10000

static void say(struct handover *h, const char *name, const char *ip, bool drained, uint64_t now)
{
	struct weft_addr a = addr(ip);

	handover_node(h, name, drained, &a, WAIT_MS, now);
}

/* next: NULL = nobody. */
static void targets(const struct handover *h, const char *self, uint64_t now, const char *next, unsigned left,
                    bool drop)
{
	struct handover_targets t = handover_targets(h, self, NULL, 0, now);
	struct weft_addr want = addr(next);

	if (weft_addr_cmp(&t.next, &want) || t.left != left || t.drop != drop)
		fail_msg("%s: not %s, %u left, %s", self, next ? next : "-", left, drop ? "drop" : "reset");
}

/* While a drain lasts and routes rest: the drained ones alone, whoever asks. */
static void test_the_drained_ones_in_the_order_of_names(void **state)
{
	struct handover *h = handover_new();
	uint64_t rest = WAIT_MS + HANDOVER_LINGER_MS;

	(void)state;
	targets(h, "n5", 0, NULL, 0, false);
	say(h, "n3", "10.0.0.3", true, 0);
	say(h, "n1", "10.0.0.1", true, 0);
	say(h, "n2", "10.0.0.2", true, 0);
	targets(h, "n5", rest, "10.0.0.1", 3, false);
	targets(h, "n0", rest, "10.0.0.1", 3, false);
	targets(h, "n2a", rest, "10.0.0.3", 3, false);
	targets(h, "n1", rest, "10.0.0.2", 2, false);
	targets(h, "n2", rest, "10.0.0.3", 2, false);
	targets(h, "n3", rest, "10.0.0.1", 2, false);
	handover_free(h);
}

static void make_all(struct handover_member *all, char (*names)[8], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char ip[16];

		snprintf(names[i], 8, "n%02zu", n - 1 - i); /* in any order */
		snprintf(ip, sizeof(ip), "10.0.0.%zu", n - 1 - i);
		all[i] = (struct handover_member){names[i], addr(ip)};
	}
}

/* Follow a segment that nobody knows, as the TTL has it; returns at how many nodes it was. */
static int follow(const struct handover *h, const char *from, const struct handover_member *all, size_t n)
{
	struct handover_targets t = handover_targets(h, from, all, n, 1);
	int ttl = HANDOVER_TTL + t.left, steps = 0;
	bool seen[256] = {false};

	while (weft_addr_is_set(&t.next)) {
		char name[8];

		ttl--; /* IPVS */
		assert_false(seen[t.next.bytes[3]]);
		seen[t.next.bytes[3]] = true;
		snprintf(name, sizeof(name), "n%02d", t.next.bytes[3]);
		assert_string_not_equal(name, from);
		steps++;
		if (ttl <= HANDOVER_TTL)
			break;
		t = handover_targets(h, name, all, n, 1);
	}
	assert_int_equal(ttl, HANDOVER_TTL);
	return steps;
}

/* While routes move each other node is asked once, whoever began, and then it ends. */
static void test_a_ring_of_all_asks_each_once(void **state)
{
	struct handover_member all[HANDOVER_RING];
	struct handover *h = handover_new();
	char names[HANDOVER_RING][8];

	(void)state;
	make_all(all, names, HANDOVER_RING);
	say(h, "n03", "10.0.0.3", true, 0);
	for (size_t i = 0; i < HANDOVER_RING; i++)
		assert_int_equal(follow(h, names[i], all, HANDOVER_RING), HANDOVER_RING - 1);
	assert_true(handover_targets(h, "n05", all, HANDOVER_RING, 1).drop);
	handover_free(h);
}

static void test_more_nodes_ask_the_drained_ones_only(void **state)
{
	struct handover_member all[HANDOVER_RING + 1];
	struct handover *h = handover_new();
	char names[HANDOVER_RING + 1][8];

	(void)state;
	make_all(all, names, HANDOVER_RING + 1);
	say(h, "n03", "10.0.0.3", true, 0);
	say(h, "n07", "10.0.0.7", true, 0);
	assert_int_equal(follow(h, "n05", all, HANDOVER_RING + 1), 2);
	assert_int_equal(follow(h, "n03", all, HANDOVER_RING + 1), 1);
	assert_true(handover_targets(h, "n05", all, HANDOVER_RING + 1, 1).drop);
	handover_free(h);
}

static void test_when_routes_move(void **state)
{
	struct handover *h = handover_new();
	uint64_t begun = 1000 + WAIT_MS + HANDOVER_LINGER_MS, ended = 500000 + HANDOVER_LINGER_MS;

	(void)state;
	assert_false(handover_moves(h, 0));
	assert_int_equal(handover_deadline(h), HANDOVER_NEVER);
	say(h, "n1", "10.0.0.1", true, 1000);
	say(h, "n1", "10.0.0.1", true, 9000); /* said again: no longer */
	assert_int_equal(handover_deadline(h), begun);
	assert_true(handover_moves(h, begun - 1));
	targets(h, "n5", begun - 1, "10.0.0.1", 1, true);
	handover_turn(h, begun);
	assert_false(handover_moves(h, begun));
	assert_int_equal(handover_deadline(h), HANDOVER_NEVER);
	targets(h, "n5", begun, "10.0.0.1", 1, false);
	say(h, "n1", "10.0.0.1", false, 500000);
	say(h, "n1", "10.0.0.1", false, 510000);
	assert_int_equal(handover_deadline(h), ended);
	handover_turn(h, ended - 1);
	targets(h, "n5", ended - 1, "10.0.0.1", 1, true);
	handover_turn(h, ended);
	targets(h, "n5", ended, NULL, 0, false);
	handover_free(h);
}

static void test_drained_again_while_it_lingers(void **state)
{
	struct handover *h = handover_new();

	(void)state;
	say(h, "n1", "10.0.0.1", true, 0);
	say(h, "n1", "10.0.0.1", false, 100000);
	say(h, "n1", "10.0.0.1", true, 110000);
	handover_turn(h, 100000 + HANDOVER_LINGER_MS);
	assert_int_equal(handover_deadline(h), 110000 + WAIT_MS + HANDOVER_LINGER_MS);
	targets(h, "n5", 110000 + WAIT_MS + HANDOVER_LINGER_MS, "10.0.0.1", 1, false);
	handover_free(h);
}

static void test_a_node_that_is_gone_or_has_no_tunnel(void **state)
{
	struct handover *h = handover_new();
	struct weft_addr none = {0};

	(void)state;
	handover_node(h, "n1", true, &none, WAIT_MS, 0);
	targets(h, "n5", 1, NULL, 0, false);
	say(h, "n1", "10.0.0.1", true, 0);
	say(h, "n1", "10.0.0.9", true, 0);
	targets(h, "n5", 1, "10.0.0.9", 1, true);
	handover_node(h, "n1", false, &none, WAIT_MS, 50000);
	targets(h, "n5", 50001, NULL, 0, true);
	assert_int_equal(handover_deadline(h), 50000 + HANDOVER_LINGER_MS);
	for (int i = 0; i < HANDOVER_DRAINED + 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%02d", i);
		say(h, name, "10.0.0.1", true, 60000);
	}
	targets(h, "x64", 60001, "10.0.0.1", HANDOVER_DRAINED, true);
	handover_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_the_drained_ones_in_the_order_of_names),
	        cmocka_unit_test(test_a_ring_of_all_asks_each_once),
	        cmocka_unit_test(test_more_nodes_ask_the_drained_ones_only),
	        cmocka_unit_test(test_when_routes_move),
	        cmocka_unit_test(test_drained_again_while_it_lingers),
	        cmocka_unit_test(test_a_node_that_is_gone_or_has_no_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
