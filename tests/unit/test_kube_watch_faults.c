// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watcher when things break: streams cut at every byte, a server that stops, is silent or asks for
 * patience; and the watcher's own end, in each of its callbacks. Times are only ever compared from below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/kube_watch_bed.h"

/* --- cut at every byte --- */

/* How many lines of `body` are whole in the first `cut` bytes of the answer, but for their newlines. */
static size_t lines_before(const struct turn *t, size_t cut)
{
	size_t len, n = 0, at;
	char *text = server_text(t, &len);

	for (at = 0; at + 1 < len; at++)
		n += at < cut && text[at] == '}' && text[at + 1] == '\n';
	free(text);
	return n;
}

static size_t length_of(const struct turn *t)
{
	size_t len;

	free(server_text(t, &len));
	return len;
}

/* Each event once, and the next watch from the last one, wherever the connection breaks. */
static void test_watch_cut_everywhere(void **state)
{
	static const char *const lines[] = {EVENT("ADDED", "a", "6"), BOOKMARK("7"),
	                                    EVENT("DELETED", "a", "8")};
	static const char *const versions[] = {WATCH("5"), WATCH("6"), WATCH("7"), WATCH("8")};
	struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", "")},
	        {.want = WATCH("5"),
	         .chunked = true,
	         .body = EVENT("ADDED", "a", "6") BOOKMARK("7") EVENT("DELETED", "a", "8")},
	        {.chunked = true, .hold = true},
	};
	size_t len = length_of(&turns[2]);

	(void)state;
	for (size_t cut = 1; cut <= len; cut++) {
		size_t whole = lines_before(&turns[2], cut);
		char rest[1024] = "";

		for (size_t i = whole; i < WEFT_ARRAY_LEN(lines); i++)
			strcat(rest, lines[i]);
		turns[2].cut = cut;
		turns[3].want = versions[whole];
		turns[3].body = rest;
		RUN(turns, "begin complete 5 +a@6 -a@8");
	}
}

/* A listing by a stream is whole by its end mark only. */
static void test_stream_cut_everywhere(void **state)
{
	struct turn turns[] = {
	        {.want = STREAM(""),
	         .chunked = true,
	         .body = EVENT("ADDED", "a", "3") END_MARK("5") EVENT("ADDED", "b", "6")},
	        {0},
	};
	size_t len = length_of(&turns[0]);

	(void)state;
	for (size_t cut = 1; cut <= len; cut++) {
		static const struct turn again = {.want = STREAM(""),
		                                  .chunked = true,
		                                  .hold = true,
		                                  .body = END_MARK("9")},
		                         five = {.want = WATCH("5"),
		                                 .chunked = true,
		                                 .hold = true,
		                                 .body = EVENT("ADDED", "b", "6")},
		                         six = {.want = WATCH("6"), .chunked = true, .hold = true};
		static const struct {
			const struct turn *next;
			const char *log;
		} then[] = {{&again, "begin complete 9"},
		            {&again, "begin +a@3 begin complete 9"},
		            {&five, "begin +a@3 complete 5 +b@6"},
		            {&six, "begin +a@3 complete 5 +b@6"}};
		size_t whole = lines_before(&turns[0], cut);

		turns[0].cut = cut;
		turns[1] = *then[whole].next;
		RUN(turns, then[whole].log);
	}
}

static void test_list_cut_everywhere(void **state)
{
	struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", OBJECT("a", "1") "," OBJECT("b", "2"))},
	        {.want = PAGE("0"), .body = ITEMS("6", "")},
	        FOLLOWED("6"),
	};
	size_t len = length_of(&turns[1]);

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		struct bed b;

		turns[1].cut = cut;
		bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
		bed_watch(&b);
		while (!strstr(weft_buf_text(&b.log), "complete"))
			uv_run(&b.loop, UV_RUN_ONCE);
		assert_non_null(strstr(weft_buf_text(&b.log), "begin complete 6"));
		assert_null(strstr(weft_buf_text(&b.log), "complete 5"));
		bed_stop(&b);
	}
}

/* --- its end --- */

/* In each call of each callback; nothing is told after it, nothing leaks (ASan), every handle closes. */
static void free_in_each(const struct turn *turns, size_t n, const char *log, size_t calls)
{
	for (size_t at = 1; at <= calls; at++) {
		size_t requests;
		struct bed b;

		bed_start(&b, turns, n);
		b.free_at = at;
		bed_watch(&b);
		while (b.watch)
			uv_run(&b.loop, UV_RUN_ONCE);
		requests = b.server.at;
		for (int i = 0; i < 20; i++)
			uv_run(&b.loop, UV_RUN_NOWAIT);
		assert_int_equal(b.server.at, requests); /* nothing is asked any more */
		if (strncmp(log, weft_buf_text(&b.log), b.log.len) != 0)
			fail_msg("told:\n%s\nnot:\n%s", weft_buf_text(&b.log), log);
		bed_stop(&b);
	}
}

static void test_free_in_callbacks(void **state)
{
	static const struct turn lists[] = {
	        {.want = STREAM(""), .status = 404},
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS_MORE("5", "t", OBJECT("a", "1") "," OBJECT("b", "1"))},
	        {.want = MORE("t"), .body = ITEMS("5", OBJECT("c", "1"))},
	        {.want = WATCH("5"), .status = 403},
	        {.want = WATCH("5"), .status = 500},
	        {.want = WATCH("5"),
	         .chunked = true,
	         .body = EVENT("ADDED", "d", "6") EVENT("DELETED", "e", "7")},
	        {.want = WATCH("7"), .status = 404},
	};
	static const struct turn streams[] = {
	        {.want = STREAM(""), .status = 500},
	        {.want = STREAM(""), .status = 500},
	        {.want = STREAM(""),
	         .chunked = true,
	         .body = EVENT("ADDED", "a", "2") END_MARK("3") EVENT("ADDED", "b", "4")},
	        {.want = WATCH("4"), .status = 404},
	};

	(void)state;
	free_in_each(lists, WEFT_ARRAY_LEN(lists),
	             "missing found begin +a@1 +b@1 +c@1 complete 5 trouble well +d@6 -e@7 missing", 11);
	free_in_each(streams, WEFT_ARRAY_LEN(streams), "trouble begin +a@2 well complete 3 +b@4 missing", 7);
}

/* While it pauses, while it waits for an answer, before it began. */
static void test_free_between(void **state)
{
	static const struct turn mute[] = {{.want = STREAM(""), .mute = true}},
	                         gone[] = {{.want = STREAM(""), .status = 404}};
	struct bed b;

	(void)state;
	bed_start(&b, mute, 0);
	bed_watch(&b);
	bed_stop(&b);

	bed_start(&b, mute, 1);
	bed_watch(&b);
	while (b.server.at < 1)
		uv_run(&b.loop, UV_RUN_ONCE);
	kube_watch_free(b.watch);
	b.watch = NULL;
	while (b.server.connections) /* the call is cancelled: its connection ends */
		uv_run(&b.loop, UV_RUN_ONCE);
	bed_stop(&b);

	bed_start(&b, gone, 1);
	b.options.retry_ms = 0;
	bed_watch(&b);
	bed_until_pause(&b, 1);
	bed_stop(&b);
}

/* --- the server --- */

/* It stops under a watch, is away, and comes back not knowing the version. Nothing is told but that. */
static void test_server_restarts(void **state)
{
	static const struct turn before[] = {{.want = STREAM(""),
	                                      .chunked = true,
	                                      .hold = true,
	                                      .body = EVENT("ADDED", "a", "3") END_MARK("5")}};
	static const struct turn after[] = {
	        {.want = WATCH("5"), .status = 403, .body = STATUS(403, "Forbidden")},
	        {.want = WATCH("5"), .recorded = "1.36-07-watch-expired.5.bin"},
	        {.want = STREAM("5"),
	         .chunked = true,
	         .hold = true,
	         .body = EVENT("ADDED", "a", "3") END_MARK("9")},
	};
	struct kube_watch_state now;
	struct bed b;

	(void)state;
	bed_start(&b, before, 1);
	b.trouble = "/apis/x/v1/things";
	bed_watch(&b);
	bed_expect(&b, "begin +a@3 complete 5");
	server_stop(&b.server);
	while (!strstr(weft_buf_text(&b.log), "trouble"))
		uv_run(&b.loop, UV_RUN_ONCE);
	kube_watch_state(b.watch, &now);
	assert_true(now.complete && !now.following && *now.trouble);
	b.trouble = NULL;
	b.server.turns = after;
	b.server.n_turns = WEFT_ARRAY_LEN(after);
	b.server.at = 0;
	server_start(&b.server, &b.loop);
	while (!strstr(weft_buf_text(&b.log), "complete 9"))
		uv_run(&b.loop, UV_RUN_ONCE);
	assert_non_null(strstr(weft_buf_text(&b.log), "begin +a@3 complete 5 trouble"));
	assert_non_null(strstr(weft_buf_text(&b.log), "begin +a@3 well complete 9"));
	kube_watch_state(b.watch, &now);
	assert_true(now.following && !*now.trouble);
	assert_int_equal(now.expired, 1);
	bed_stop(&b);
}

/* That a server has no WatchList is remembered of that server alone. Its versions are taken to the next one.
 */
static void test_next_server(void **state)
{
	static const struct turn first[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", OBJECT("a", "1"))},
	        {.want = WATCH("5"), .chunked = true, .body = ERROR_EVENT(410, "Expired")},
	        {.want = LIST("5"), .body = ITEMS("6", OBJECT("a", "1"))},
	        FOLLOWED("6"),
	};
	static const struct turn second[] = {
	        {.want = WATCH("6"), .chunked = true, .body = ERROR_EVENT(410, "Expired")},
	        {.want = STREAM("6"),
	         .chunked = true,
	         .hold = true,
	         .body = EVENT("ADDED", "b", "2") END_MARK("9")},
	};
	struct bed b;

	(void)state;
	bed_start_two(&b, first, WEFT_ARRAY_LEN(first), second, WEFT_ARRAY_LEN(second));
	bed_watch(&b);
	while (b.server.at < b.server.n_turns || !b.watch->settled)
		uv_run(&b.loop, UV_RUN_ONCE);
	server_stop(&b.server);
	bed_expect(&b, "begin +a@1 complete 5 begin +a@1 complete 6 trouble begin +b@2 well complete 9");
	server_start(&b.server, &b.loop);
	bed_stop(&b);
}

/* A server that is there but says nothing: to a request, in a listing, in a watch behind its agreed end. */
static void test_silence(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .mute = true},
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("5")},
	        {.want = WATCH("5"), .chunked = true, .hold = true, .body = EVENT("ADDED", "a", "6")},
	        FOLLOWED("6"),
	};

	(void)state;
	RUN_IMPATIENT(turns, "begin complete 5 +a@6");
}

/* Three requests in vain, and the next one is a LIST, so that the client sees that this server is mute. */
static void test_mute_to_watches(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", "")},
	        {.want = WATCH("5"), .mute = true},
	        {.want = WATCH("5"), .mute = true},
	        {.want = WATCH("5"), .mute = true},
	        {.want = LIST("5"), .body = ITEMS("6", "")},
	        FOLLOWED("6"),
	};

	(void)state;
	RUN_IMPATIENT(turns, "begin complete 5 trouble begin well complete 6");
}

/* Retry-After, of a header and of an error event. */
static void test_retry_after(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .recorded = "1.36-19-crd.13.bin"}, /* 1 s */
	        {.want = STREAM(""),
	         .chunked = true,
	         .body = END_MARK(
	                 "5") "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"reason\":\"TooManyRequests\","
	                      "\"details\":{\"retryAfterSeconds\":2},\"code\":429}}\n"},
	        FOLLOWED("5"),
	};
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	b.options.retry_ms = 0;
	bed_watch(&b);
	bed_until_pause(&b, 1);
	kube_watch_nudge(b.watch); /* its wish counts more */
	bed_expect(&b, "begin complete 5");
	assert_true(b.server.asked_ms[1] - b.server.asked_ms[0] >= 1000);
	assert_true(b.server.asked_ms[2] - b.server.asked_ms[1] >= 2000);
	bed_stop(&b);
}

/* Watches that end well but at once are no busy loop, and trouble in the end. */
static void test_no_busy_loop(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("5")},
	        {.want = WATCH("5"), .chunked = true},
	        {.want = WATCH("5"), .chunked = true},
	        FOLLOWED("5"),
	};
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	b.options.retry_ms = 0;
	b.trouble = "ends as soon as it begins";
	bed_watch(&b);
	bed_expect(&b, "begin complete 5 trouble well");
	assert_true(b.server.asked_ms[1] - b.server.asked_ms[0] >= KUBE_BACKOFF_FIRST_MS / 2);
	assert_true(b.server.asked_ms[2] - b.server.asked_ms[1] >= KUBE_BACKOFF_FIRST_MS);
	assert_true(b.server.asked_ms[3] - b.server.asked_ms[2] >= 2 * KUBE_BACKOFF_FIRST_MS);
	bed_stop(&b);
}

/* --- pauses --- */

/* A 410 comes to all agents at the same time: their listings are spread over two seconds. */
static void test_relists_are_spread(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("5") ERROR_EVENT(410, "Expired")},
	        {.mute = true}};
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		struct bed b;
		uint64_t due;

		bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
		b.options.retry_ms = 0;
		bed_watch(&b);
		while (!b.watch->expired)
			uv_run(&b.loop, UV_RUN_ONCE);
		due = b.watch->call ? 0
		                    : uv_timer_get_due_in(&b.watch->timer); /* a call: it is over already */
		assert_true(due <= 2000);
		least = due < least ? due : least;
		most = due > most ? due : most;
		bed_stop(&b);
	}
	assert_true(most - least > 500); /* of 40 within 1 to 2 s, by chance in no lifetime */
}

/* A nudge ends a pause after silence, and no other. */
static void test_nudge(void **state)
{
	static const struct turn silent[] = {{.want = STREAM(""), .hangup = true},
	                                     {.want = STREAM(""), .mute = true}},
	                         denied[] = {{.want = STREAM(""), .status = 403}},
	                         missing[] = {{.want = STREAM(""), .status = 404}};
	struct bed b;

	(void)state;
	bed_start(&b, silent, 2);
	b.options.retry_ms = 0;
	bed_watch(&b);
	bed_until_pause(&b, 1);
	assert_int_not_equal(uv_timer_get_due_in(&b.watch->timer), 0);
	kube_watch_nudge(b.watch);
	assert_int_equal(uv_timer_get_due_in(&b.watch->timer), 0);
	while (b.server.at < 2)
		uv_run(&b.loop, UV_RUN_ONCE);
	kube_watch_nudge(b.watch); /* while it waits for an answer: nothing */
	assert_int_not_equal(uv_timer_get_due_in(&b.watch->timer), 0);
	bed_stop(&b);
	for (int i = 0; i < 2; i++) {
		bed_start(&b, i ? missing : denied, 1);
		b.options.retry_ms = 0;
		bed_watch(&b);
		bed_until_pause(&b, 1);
		kube_watch_nudge(b.watch);
		assert_true(uv_timer_get_due_in(&b.watch->timer) > 200);
		bed_stop(&b);
	}
}

/* A missing collection is asked for again slowly. */
static void test_missing_is_slow(void **state)
{
	static const struct turn turns[] = {{.want = STREAM(""), .status = 404}};
	struct bed b;

	(void)state;
	bed_start(&b, turns, 1);
	b.options.retry_ms = 0;
	bed_watch(&b);
	bed_until_pause(&b, 1);
	assert_true(uv_timer_get_due_in(&b.watch->timer) > 14000);
	bed_stop(&b);
}

/* Watches are asked for 5 to 10 minutes, not all for the same time. */
static void test_watch_duration(void **state)
{
	static const struct turn turns[] = {{.mute = true}};
	unsigned least = UINT32_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		unsigned seconds = 0;
		struct bed b;

		bed_start(&b, turns, 1);
		b.options.watch_s = 0;
		bed_watch(&b);
		while (b.server.at < 1)
			uv_run(&b.loop, UV_RUN_ONCE);
		assert_int_equal(
		        sscanf(strstr(b.server.last_path, "timeoutSeconds="), "timeoutSeconds=%u&", &seconds),
		        1);
		assert_in_range(seconds, 300, 600);
		least = seconds < least ? seconds : least;
		most = seconds > most ? seconds : most;
		bed_stop(&b);
	}
	assert_true(most - least > 100);
}

/* --- secrets --- */

static void test_secrets_are_wiped(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", OBJECT("a", "1"))},
	        {.want = WATCH("5"), .status = 404},
	        {.want = PAGE("0"), .mute = true},
	};
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	b.options.secret = b.secret_check = true;
	bed_watch(&b);
	bed_expect(&b, "begin +a@1 complete 5 missing");
	bed_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_watch_cut_everywhere),
	        cmocka_unit_test(test_stream_cut_everywhere),
	        cmocka_unit_test(test_list_cut_everywhere),
	        cmocka_unit_test(test_free_in_callbacks),
	        cmocka_unit_test(test_free_between),
	        cmocka_unit_test(test_server_restarts),
	        cmocka_unit_test(test_next_server),
	        cmocka_unit_test(test_silence),
	        cmocka_unit_test(test_mute_to_watches),
	        cmocka_unit_test(test_retry_after),
	        cmocka_unit_test(test_no_busy_loop),
	        cmocka_unit_test(test_relists_are_spread),
	        cmocka_unit_test(test_nudge),
	        cmocka_unit_test(test_missing_is_slow),
	        cmocka_unit_test(test_watch_duration),
	        cmocka_unit_test(test_secrets_are_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
