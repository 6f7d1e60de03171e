// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is asked about a connection that nobody here knows: in which order, for how long, and never in a circle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "agent/plan/handover.h"
#include "tests/unit/objects.h"

static void drained(struct handover *h, const char *name, const char *ip, uint64_t now)
{
	struct weft_addr a = addr(ip);

	handover_node(h, name, true, &a, now);
}

static void back(struct handover *h, const char *name, const char *ip, uint64_t now)
{
	struct weft_addr a = addr(ip);

	handover_node(h, name, false, &a, now);
}

static void targets(const struct handover *h, const char *self, const char *first, const char *next)
{
	struct handover_targets t = handover_targets(h, self);
	struct weft_addr f = addr(first), n = addr(next);

	if (weft_addr_cmp(&t.first, &f) || weft_addr_cmp(&t.next, &n))
		fail_msg("%s: not %s and %s", self, first ? first : "-", next ? next : "-");
}

static void test_in_the_order_of_names(void **state)
{
	struct handover *h = handover_new();

	(void)state;
	targets(h, "n5", NULL, NULL);
	drained(h, "n3", "10.0.0.3", 0);
	drained(h, "n1", "10.0.0.1", 0);
	drained(h, "n2", "10.0.0.2", 0);
	targets(h, "n5", "10.0.0.1", NULL);
	targets(h, "n0", "10.0.0.1", NULL);
	targets(h, "n1", "10.0.0.2", "10.0.0.2");
	targets(h, "n2", "10.0.0.1", "10.0.0.3");
	targets(h, "n3", "10.0.0.1", NULL);
	assert_true(handover_targets(h, "n3").last);
	assert_false(handover_targets(h, "n2").last);
	assert_false(handover_targets(h, "n5").last);
	handover_free(h);
}

/* Follow what is handed over from every node: it ends, whoever it starts with. */
static void test_never_in_a_circle(void **state)
{
	struct handover *h = handover_new();
	char name[8], ip[16];

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(ip, sizeof(ip), "10.0.0.%d", i);
		drained(h, name, ip, 0);
	}
	for (int i = 0; i < 6; i++) {
		int steps = 0;
		struct weft_addr at;

		snprintf(name, sizeof(name), "n%d", i);
		for (at = handover_targets(h, name).first; weft_addr_is_set(&at); steps++) {
			assert_true(steps < 5);
			snprintf(name, sizeof(name), "n%d", at.bytes[3]);
			at = handover_targets(h, name).next;
		}
		assert_true(steps >= 4);
	}
	handover_free(h);
}

static void test_lingers_and_is_forgotten(void **state)
{
	struct handover *h = handover_new();

	(void)state;
	drained(h, "n1", "10.0.0.1", 1000);
	assert_int_equal(handover_deadline(h), HANDOVER_NEVER);
	back(h, "n1", "10.0.0.1", 2000);
	back(h, "n1", "10.0.0.1", 9000); /* said again: no longer */
	assert_int_equal(handover_deadline(h), 2000 + HANDOVER_LINGER_MS);
	handover_turn(h, 2000 + HANDOVER_LINGER_MS - 1);
	targets(h, "n5", "10.0.0.1", NULL);
	drained(h, "n1", "10.0.0.1", 3000);
	assert_int_equal(handover_deadline(h), HANDOVER_NEVER);
	back(h, "n1", "10.0.0.1", 4000);
	handover_turn(h, 4000 + HANDOVER_LINGER_MS);
	targets(h, "n5", NULL, NULL);
	handover_free(h);
}

static void test_a_node_that_is_gone_or_has_no_tunnel(void **state)
{
	struct handover *h = handover_new();
	struct weft_addr none = {0};

	(void)state;
	handover_node(h, "n1", true, &none, 0);
	targets(h, "n5", NULL, NULL);
	drained(h, "n1", "10.0.0.1", 0);
	drained(h, "n1", "10.0.0.9", 0);
	targets(h, "n5", "10.0.0.9", NULL);
	handover_node(h, "n1", false, &none, 0);
	targets(h, "n5", NULL, NULL);
	for (int i = 0; i < HANDOVER_NODES + 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%02d", i);
		drained(h, name, "10.0.0.1", 0);
	}
	targets(h, "x64", "10.0.0.1", NULL);
	handover_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_in_the_order_of_names),
	        cmocka_unit_test(test_never_in_a_circle),
	        cmocka_unit_test(test_lingers_and_is_forgotten),
	        cmocka_unit_test(test_a_node_that_is_gone_or_has_no_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
