// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When BIRD is asked, so that it wakes up just after a hold timer's end. The clock stands still, and BIRD's answers are
 * played; test_hold_watch_bird has a real one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "agent/daemon/hold_watch.h"

#define NEVER UINT64_MAX

/* The BIRD that is there, and the question that it has not answered. */
static struct bird_version version;
static bool away;
static unsigned questions;
static bird_protocols_fn answer;
static void *answer_ctx;

static uv_loop_t loop;
static struct hold_watch *watch;

const struct bird_version *bird_apply_version(const struct bird_apply *b)
{
	(void)b;
	return away ? NULL : &version;
}

void bird_apply_protocols(struct bird_apply *b, bird_protocols_fn fn, void *ctx)
{
	(void)b;
	assert_null(answer);
	questions++;
	answer = fn;
	answer_ctx = ctx;
}

static struct bird_proto session(const char *name, const char *state, uint32_t left_ms)
{
	return (struct bird_proto){.name = name,
	                           .proto = "BGP",
	                           .bgp_state = state,
	                           .hold_time = strcmp(state, "Established") ? 0 : 9,
	                           .hold_left = left_ms};
}

/* None: BIRD went away. */
static void answers(struct bird_proto *list, size_t n)
{
	struct bird_protos protos = {.list = list, .count = n};
	struct weft_err err = WEFT_ERR_INIT;
	bird_protocols_fn fn = answer;

	assert_non_null(fn);
	answer = NULL;
	fn(answer_ctx, list ? &protos : NULL, &err);
}

static void due_of(uv_handle_t *h, void *out)
{
	if (uv_is_active(h))
		*(uint64_t *)out = uv_timer_get_due_in((uv_timer_t *)h);
}

/* Milliseconds until the next question. */
static uint64_t due(void)
{
	uint64_t ms = NEVER;

	uv_walk(&loop, due_of, &ms);
	return ms;
}

/* A and B have no BFD, C has; D can't be rendered. */
static void take(bool a, bool b)
{
	static struct bgp_peer peers[4];
	struct bgp_model model = {.peers = peers, .n_peers = 4};

	for (int i = 0; i < 4; i++)
		snprintf(peers[i].protocol, sizeof(peers[i].protocol), "peer_%c", "bacd"[i]);
	peers[0].bfd = !b;
	peers[1].bfd = !a;
	peers[2].bfd = true;
	snprintf(peers[3].reason, sizeof(peers[3].reason), "no such address");
	hold_watch_take(watch, &model);
}

static int setup(void **state)
{
	(void)state;
	version = (struct bird_version){.major = 2, .minor = 0, .patch = 12};
	away = false;
	questions = 0;
	answer = NULL;
	uv_loop_init(&loop);
	watch = hold_watch_new(&loop, NULL);
	return watch ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	hold_watch_free(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void asks_after_the_timer_that_ends_first(void **state)
{
	struct bird_proto up[] = {
	        session("peer_c", "Established", 100), session("peer_a", "Established", 7000),
	        session("peer_b", "Established", 4200), session("custom", "Established", 50)};

	(void)state;
	take(true, true);
	assert_int_equal(questions, 1);
	assert_int_equal(due(), NEVER);
	answers(up, 4);
	assert_int_equal(due(), 4205);
	hold_watch_look(watch); /* as when that time has come; it was renewed meanwhile */
	assert_int_equal(questions, 2);
	up[2].hold_left = 8000;
	up[1].hold_left = 2800;
	answers(up, 4);
	assert_int_equal(due(), 2805);
	hold_watch_look(watch);
	up[1].hold_left = 9000;
	answers(up, 4);
	assert_int_equal(due(), 6755); /* renewed in a moment, it may be a quarter shorter */
	hold_watch_look(watch);
	up[1] = session("peer_a", "Connect", 0);
	answers(up, 4);
	assert_int_equal(due(), 2255); /* the next one may last 3 s, less a quarter */
}

/* The question is put again without anybody's doing. */
static void asks_by_itself(void **state)
{
	struct bird_proto up[] = {session("peer_a", "Established", 15)};
	uint64_t begun;

	(void)state;
	take(true, false);
	uv_update_time(&loop);
	begun = uv_now(&loop);
	answers(up, 1);
	while (questions < 2)
		assert_true(uv_run(&loop, UV_RUN_ONCE) || questions == 2);
	assert_true(uv_now(&loop) - begun >= 20);
}

static void asks_nothing_where_bfd_watches(void **state)
{
	struct bird_proto up[] = {session("peer_a", "Established", 15)};

	(void)state;
	take(false, false);
	hold_watch_look(watch);
	assert_int_equal(questions, 0);
	assert_int_equal(due(), NEVER);
	take(true, false);
	answers(up, 1);
	assert_int_equal(due(), 20);
	take(true, false); /* the same: no reason to ask */
	assert_int_equal(questions, 1);
	take(false, false);
	assert_int_equal(due(), NEVER);
	assert_int_equal(questions, 1);
}

/* BFD is turned on while a question is open. */
static void an_answer_that_comes_late_is_the_last(void **state)
{
	struct bird_proto up[] = {session("peer_a", "Established", 15)};

	(void)state;
	take(true, false);
	take(false, false);
	answers(up, 1);
	assert_int_equal(due(), NEVER);
	take(true, false);
	assert_int_equal(questions, 2);
}

static void asks_only_a_bird_that_sleeps_on(void **state)
{
	static const struct {
		struct bird_version version;
		unsigned questions;
	} birds[] = {{{.major = 1, .minor = 6}, 1},  {{.major = 2, .minor = 0, .patch = 12}, 2},
	             {{.major = 2, .minor = 13}, 3}, {{.major = 2, .minor = 14}, 3},
	             {{.major = 2, .minor = 19}, 3}, {{.major = 3, .minor = 0}, 3}};
	struct bird_proto up[] = {session("peer_a", "Established", 15)};

	(void)state;
	away = true;
	take(true, false);
	away = false;
	for (size_t i = 0; i < sizeof(birds) / sizeof(birds[0]); i++) {
		version = birds[i].version;
		hold_watch_look(watch);
		assert_int_equal(questions, birds[i].questions);
		if (answer)
			answers(up, 1);
		else
			assert_int_equal(due(), NEVER);
	}
}

static void no_answer_is_not_the_end(void **state)
{
	struct bird_proto up[] = {session("peer_a", "Established", 900)};

	(void)state;
	take(true, false);
	hold_watch_look(watch); /* one question at a time */
	assert_int_equal(questions, 1);
	away = true;
	answers(NULL, 0);
	assert_int_equal(due(), 5000);
	hold_watch_look(watch);
	assert_int_equal(questions, 1);
	assert_int_equal(due(), 5000);
	away = false;
	hold_watch_look(watch);
	assert_int_equal(questions, 2);
	answers(up, 1);
	assert_int_equal(due(), 905);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(asks_after_the_timer_that_ends_first), TEST(asks_by_itself),
	        TEST(asks_nothing_where_bfd_watches),       TEST(an_answer_that_comes_late_is_the_last),
	        TEST(asks_only_a_bird_that_sleeps_on),      TEST(no_answer_is_not_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
