// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stages of drains over time, and over a restart. The clock is an argument.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/plan/drain.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/objects.h"

#define T0 UINT64_C(1700000000000)
#define T1 (T0 + DRAIN_NOTICE_MS)

static int setup(void **state)
{
	*state = drain_new();
	return 0;
}

static int teardown(void **state)
{
	drain_free(*state);
	return 0;
}

static void saves(const struct drain *d, const char *text)
{
	struct weft_buf b = {0};

	drain_save(d, &b);
	assert_string_equal(weft_buf_text(&b), text);
	weft_buf_free(&b);
}

static void test_stages_in_order(void **state)
{
	struct drain *d = *state;

	assert_int_equal(drain_deadline(d), DRAIN_NEVER);
	assert_true(drain_node(d, DRAIN_COMMAND, DRAIN_COMMAND, 10000, T0));
	assert_true(drain_turn(d, T1));
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_LAST_RESORT);
	assert_int_equal(drain_deadline(d), T1 + 10000);
	assert_false(drain_turn(d, T1 + 9999));
	assert_true(drain_turn(d, T1 + 10000));
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
	assert_int_equal(drain_deadline(d), DRAIN_NEVER);
	assert_true(drain_node(d, DRAIN_COMMAND, 0, 10000, T0 + 20000));
	assert_true(drain_turn(d, T1 + 20000));
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_NONE);
	assert_int_equal(drain_deadline(d), DRAIN_NEVER);
}

static void test_another_reason_neither_prolongs_nor_ends_it(void **state)
{
	struct drain *d = *state;

	drain_node(d, DRAIN_COMMAND, DRAIN_COMMAND, 10000, T0);
	assert_true(drain_node(d, DRAIN_CORDON | DRAIN_EXCLUDED, DRAIN_CORDON, 60000, T0 + 5000));
	assert_false(drain_node(d, DRAIN_CORDON | DRAIN_EXCLUDED, DRAIN_CORDON, 60000, T0 + 6000));
	drain_turn(d, T1 + 10000);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
	assert_true(drain_node(d, DRAIN_COMMAND, 0, 0, T0 + 11000));
	assert_false(drain_turn(d, T0 + 11000));
	assert_int_equal(drain_state(d).reasons, DRAIN_CORDON);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
}

/* Other nodes get a second before the routers hear of the drain, whatever its reason, and of its end. */
static void test_others_learn_of_it_first(void **state)
{
	static const unsigned reasons[] = {DRAIN_CORDON, DRAIN_COMMAND, DRAIN_STOPPING};

	(void)state;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		struct drain *d = drain_new();
		struct drain_state s;

		drain_node(d, ~0u, reasons[i], 10000, T0);
		drain_turn(d, T0);
		s = drain_state(d);
		assert_int_equal(s.stage, BGP_DRAIN_NONE);
		assert_true(drain_begins(&s));
		assert_int_equal(drain_deadline(d), T1);
		assert_true(drain_turn(d, T1));
		s = drain_state(d);
		assert_int_equal(s.stage, BGP_DRAIN_LAST_RESORT);
		assert_false(drain_begins(&s));
		assert_int_equal(drain_deadline(d), T1 + 10000);
		drain_node(d, ~0u, 0, 10000, T0 + 5000);
		assert_false(drain_turn(d, T0 + 5000));
		s = drain_state(d);
		assert_int_equal(s.stage, BGP_DRAIN_LAST_RESORT);
		assert_true(drain_ends(&s));
		assert_int_equal(drain_deadline(d), T1 + 5000);
		assert_true(drain_turn(d, T1 + 5000));
		s = drain_state(d);
		assert_int_equal(s.stage, BGP_DRAIN_NONE);
		assert_false(drain_ends(&s));
		drain_free(d);
	}
}

/* Taken back before anybody but the other nodes knew; begun again before the routers knew that it ended. */
static void test_a_change_of_mind_within_the_notice(void **state)
{
	struct drain *d = *state;

	drain_node(d, DRAIN_COMMAND, DRAIN_COMMAND, 10000, T0);
	drain_turn(d, T0);
	drain_node(d, DRAIN_COMMAND, 0, 10000, T0 + 500);
	assert_false(drain_turn(d, T0 + 500));
	assert_int_equal(drain_deadline(d), DRAIN_NEVER);
	drain_node(d, DRAIN_COMMAND, DRAIN_COMMAND, 10000, T0 + 1000);
	drain_turn(d, T1 + 11000);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
	drain_node(d, DRAIN_COMMAND, 0, 10000, T0 + 20000);
	drain_node(d, DRAIN_CORDON, DRAIN_CORDON, 10000, T0 + 20500);
	assert_false(drain_turn(d, T0 + 30000));
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
	assert_int_equal(drain_state(d).since, T0 + 1000);
}

static void test_no_wait_is_withdrawn_at_once(void **state)
{
	struct drain *d = *state;

	drain_node(d, DRAIN_COMMAND, DRAIN_COMMAND, 0, T0);
	drain_turn(d, T0);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
}

/* Set back an hour in the middle: what is left of the wait is at most the wait. Set forward: it is over. */
static void test_a_clock_that_jumps(void **state)
{
	struct drain *d = *state;

	drain_node(d, DRAIN_COMMAND, DRAIN_COMMAND, 10000, T0);
	drain_turn(d, T1);
	drain_turn(d, T0 - 3600000);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_LAST_RESORT);
	assert_int_equal(drain_deadline(d), T0 - 3600000 + 10000);
	drain_turn(d, T0 + 3600000);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_WITHDRAWN);
	drain_node(d, DRAIN_COMMAND, 0, 0, T0 + 3600000);
	drain_turn(d, T0);
	assert_int_equal(drain_deadline(d), T1);
}

static void test_peers_by_name(void **state)
{
	struct drain *d = *state;
	const struct bgp_peer_drain *list;
	struct weft_err err = WEFT_ERR_INIT;
	struct drain_state s;
	size_t n;

	assert_int_equal(drain_peer(d, "tor2", true, 10000, T0, &err), 1);
	assert_int_equal(drain_peer(d, "tor1", true, 20000, T0, &err), 1);
	assert_int_equal(drain_peer(d, "tor1", true, 50000, T0 + 1000, &err), 0);
	drain_turn(d, T0 + 10000);
	list = drain_peers(d, &n);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].peer, "tor1");
	assert_int_equal(list[0].stage, BGP_DRAIN_LAST_RESORT);
	assert_string_equal(list[1].peer, "tor2");
	assert_int_equal(list[1].stage, BGP_DRAIN_WITHDRAWN);
	assert_int_equal(drain_deadline(d), T0 + 20000);
	assert_int_equal(drain_state(d).stage, BGP_DRAIN_NONE);
	assert_int_equal(drain_peer(d, "tor2", false, 0, T0, &err), 1);
	assert_int_equal(drain_peer(d, "tor2", false, 0, T0, &err), 0);
	assert_false(drain_peer_state(d, "tor2", &s));
	assert_true(drain_peer_state(d, "tor1", &s));
	assert_int_equal(s.at, T0 + 20000);
}

static void test_names_that_are_none(void **state)
{
	struct drain *d = *state;
	struct weft_err err = WEFT_ERR_INIT;

	assert_int_equal(drain_peer(d, "", true, 0, T0, &err), -EINVAL);
	assert_int_equal(drain_peer(d, "a\nnode 31 0 0", true, 0, T0, &err), -EINVAL);
	assert_non_null(strstr(err.text, "is not the name of a BGPPeer"));
	for (int i = 0; i < DRAIN_PEERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		assert_int_equal(drain_peer(d, name, true, 0, T0, &err), 1);
	}
	assert_int_equal(drain_peer(d, "more", true, 0, T0, &err), -ENOSPC);
}

static void test_a_restart_goes_on(void **state)
{
	struct drain *d = *state, *again = drain_new();
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_buf b = {0};
	size_t n;

	drain_node(d, ~0u, DRAIN_COMMAND | DRAIN_STOPPING, 10000, T0);
	drain_peer(d, "tor1", true, 30000, T0 + 1000, &err);
	drain_save(d, &b);
	assert_int_equal(drain_load(again, weft_buf_text(&b), b.len, T0 + 12000, &err), 0);
	assert_int_equal(drain_state(again).stage, BGP_DRAIN_WITHDRAWN);
	assert_int_equal(drain_state(again).reasons, DRAIN_COMMAND);
	assert_int_equal(drain_peers(again, &n)[0].stage, BGP_DRAIN_LAST_RESORT);
	assert_int_equal(drain_deadline(again), T0 + 31000);
	saves(again, weft_buf_text(&b));
	weft_buf_free(&b);
	drain_free(again);
}

static void test_stopping_is_not_kept(void **state)
{
	struct drain *d = *state;

	drain_node(d, DRAIN_STOPPING, DRAIN_STOPPING, 10000, T0);
	saves(d, "weft-drain 1\n");
}

static void test_damaged_text_drains_nothing(void **state)
{
	static const char *const texts[] = {"",
	                                    "node 1 5 5\n",
	                                    "weft-drain 2\n",
	                                    "weft-drain 1\nnode 1 5\n",
	                                    "weft-drain 1\nnode 1 5 5 x\n",
	                                    "weft-drain 1\nnode 32 5 5\n",
	                                    "weft-drain 1\nnode 0 5 5\n",
	                                    "weft-drain 1\nnode 1 5 3600001\n",
	                                    "weft-drain 1\nnode 1 18446744073709551615 5\n",
	                                    "weft-drain 1\nnode 1 5 5\nnode 1 5 5\n",
	                                    "weft-drain 1\npeer a 5 5\npeer a 5 5\n",
	                                    "weft-drain 1\npeer A 5 5\n",
	                                    "weft-drain 1\npeer a 5 5\nnonsense\n"};
	struct drain *d = *state;
	size_t n;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		if (drain_load(d, texts[i], strlen(texts[i]), T0, &err) != -EINVAL)
			fail_msg("accepted: %s", texts[i]);
		assert_int_equal(drain_state(d).reasons, 0);
		drain_peers(d, &n);
		assert_int_equal(n, 0);
	}
	assert_int_equal(drain_load(d, "weft-drain 1\npeer a 5 5\0x", 25, T0, NULL), -EINVAL);
}

static void test_reasons_of_a_node(void **state)
{
	struct weft_label label = {(char *)(uintptr_t)WEFT_LABEL_EXCLUDE, (char *)(uintptr_t) ""};
	struct weft_label annotation = {(char *)(uintptr_t)WEFT_ANNOTATION_DRAIN, (char *)(uintptr_t) "true"};
	struct weft_object node = {.kind = WEFT_NODE};
	struct weft_bgpconfig cfg = {.drain_on_cordon = true, .drain_wait_s = 3};

	(void)state;
	assert_int_equal(drain_reasons_of(&node, NULL), 0);
	node.node.cordoned = true;
	assert_int_equal(drain_reasons_of(&node, NULL), 0);
	assert_int_equal(drain_reasons_of(&node, &cfg), DRAIN_CORDON);
	node.node.autoscaler_taint = true;
	node.meta.labels = &label;
	node.meta.n_labels = 1;
	node.meta.annotations = &annotation;
	node.meta.n_annotations = 1;
	assert_int_equal(drain_reasons_of(&node, &cfg),
	                 DRAIN_CORDON | DRAIN_AUTOSCALER | DRAIN_EXCLUDED | DRAIN_ANNOTATION);
	annotation.value = (char *)(uintptr_t) "false";
	assert_false(drain_reasons_of(&node, &cfg) & DRAIN_ANNOTATION);
	assert_int_equal(drain_wait_of(&cfg), 3000);
	assert_int_equal(drain_wait_of(NULL), 1000 * WEFT_DRAIN_WAIT_DEFAULT_S);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(test_stages_in_order),
	        T(test_another_reason_neither_prolongs_nor_ends_it),
	        T(test_others_learn_of_it_first),
	        T(test_a_change_of_mind_within_the_notice),
	        T(test_no_wait_is_withdrawn_at_once),
	        T(test_a_clock_that_jumps),
	        T(test_peers_by_name),
	        T(test_names_that_are_none),
	        T(test_a_restart_goes_on),
	        T(test_stopping_is_not_kept),
	        T(test_damaged_text_drains_nothing),
	        T(test_reasons_of_a_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
