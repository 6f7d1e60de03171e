// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events for people, in a simulated world: the same is one Event, no object says too much, nothing waits
 * without a bound, and what is written is valid whatever the words are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/events_sim.h"

/* ---- what is written ---- */

static void whole(void **state)
{
	const cJSON *about;

	(void)state;
	tell("web", "no pool has a free address");
	sim_run(10);
	assert_int_equal(stored(), 1);
	assert_true(strncmp(nth(0)->string, "/api/v1/namespaces/default/events/web.", 38) == 0);
	assert_string_equal(text(nth(0), "apiVersion"), "v1");
	assert_string_equal(text(nth(0), "kind"), "Event");
	assert_string_equal(text(nth(0), "type"), "Warning");
	assert_string_equal(text(nth(0), "reason"), "NoAddress");
	assert_string_equal(text(nth(0), "message"), "no pool has a free address");
	assert_int_equal(count(nth(0)), 1);
	assert_int_equal(strlen(text(nth(0), "firstTimestamp")), 20);
	assert_string_equal(text(cJSON_GetObjectItem(nth(0), "source"), "component"), "weft-controller");
	assert_string_equal(text(cJSON_GetObjectItem(nth(0), "source"), "host"), "node-a");
	about = cJSON_GetObjectItem(nth(0), "involvedObject");
	assert_string_equal(text(about, "apiVersion"), "v1");
	assert_string_equal(text(about, "kind"), "Service");
	assert_string_equal(text(about, "namespace"), "default");
	assert_string_equal(text(about, "name"), "web");
	assert_string_equal(text(about, "uid"), "u-1");
}

/* Of an object without a namespace: in "default", and said to have none. */
static void cluster_scoped(void **state)
{
	static const struct kube_event_about node = {.api = "v1", .kind = "Node", .name = "n1"};
	const cJSON *about;

	(void)state;
	kube_events_tell(events, &node, false, "Ready", "it works");
	sim_run(10);
	assert_true(strncmp(nth(0)->string, "/api/v1/namespaces/default/events/n1.", 37) == 0);
	assert_string_equal(text(nth(0), "type"), "Normal");
	about = cJSON_GetObjectItem(nth(0), "involvedObject");
	assert_null(cJSON_GetObjectItem(about, "namespace"));
	assert_null(cJSON_GetObjectItem(about, "uid"));
}

/* ---- the same again ---- */

static void counted(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		tell("web", "again");
		sim_run(1000);
	}
	assert_int_equal(stored(), 1);
	assert_int_equal(server.posts, 1);
	assert_int_equal(server.patches, 1); /* once a minute */
	sim_run(60000);
	assert_int_equal(server.patches, 2);
	assert_int_equal(count(nth(0)), 100);
	sim_run(3600000);
	assert_int_equal(server.patches, 2);
}

/* Two of them: each has its own minute. */
static void minutes_of_their_own(void **state)
{
	(void)state;
	tell("a", "x");
	sim_run(50000);
	tell("b", "x");
	sim_run(1000);
	tell("b", "x");
	sim_run(1000);
	tell("a", "x");
	sim_run(8500); /* 60.5 s after a's, 10.5 s after b's */
	assert_int_equal(server.patches, 1);
	assert_int_equal(count(nth(0)), 2);
	assert_int_equal(count(nth(1)), 1);
	sim_run(50000);
	assert_int_equal(count(nth(1)), 2);
}

/* What differs in anything is another Event. */
static void different(void **state)
{
	struct kube_event_about other = web;

	(void)state;
	kube_events_tell(events, &web, true, "A", "bc");
	kube_events_tell(events, &web, true, "Ab", "c");
	kube_events_tell(events, &web, false, "A", "bc");
	other.kind = "IPPool";
	kube_events_tell(events, &other, true, "A", "bc");
	other = web;
	other.uid = "u-2"; /* deleted and created again */
	kube_events_tell(events, &other, true, "A", "bc");
	other.uid = NULL;
	kube_events_tell(events, &other, true, "A", "bc");
	other = web;
	other.namespace = "other";
	kube_events_tell(events, &other, true, "A", "bc");
	sim_run(1000);
	assert_int_equal(stored(), 7);
}

/* After ten minutes of silence it is a new one; every minute keeps it the same. */
static void ten_minutes(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++) {
		tell("web", "x");
		sim_run(9 * 60000);
	}
	assert_int_equal(stored(), 1);
	sim_run(60000);
	tell("web", "x");
	sim_run(1000);
	assert_int_equal(stored(), 2);
	assert_int_equal(count(nth(1)), 1);
}

/* The API server forgets an Event after an hour: it is created again, with the count it has. */
static void forgotten_by_the_server(void **state)
{
	(void)state;
	tell("web", "x");
	sim_run(1000);
	cJSON_DeleteItemFromObject(server.objects, nth(0)->string);
	tell("web", "x");
	sim_run(61000);
	assert_int_equal(stored(), 1);
	assert_int_equal(count(nth(0)), 2);
	assert_int_equal(server.posts, 2);
	assert_int_equal(server.patches, 1);
}

/* ---- not too much ---- */

/* 25 at once of one object, then one in five minutes; another object has its own. */
static void bucket(void **state)
{
	char message[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(message, sizeof(message), "number %d", i);
		tell("web", message);
	}
	sim_run(1000);
	assert_int_equal(stored(), 25);
	tell("other", "x");
	sim_run(1000);
	assert_int_equal(stored(), 26);
	for (int i = 0; i < 60; i++) {
		snprintf(message, sizeof(message), "later %d", i);
		tell("web", message);
		sim_run(60000);
	}
	assert_in_range(stored(), 26 + 11, 26 + 12);
	sim_run(24 * 3600000);
	for (int i = 0; i < 100; i++) {
		snprintf(message, sizeof(message), "next day %d", i);
		tell("web", message);
	}
	sim_run(1000);
	assert_in_range(stored(), 26 + 11 + 25, 26 + 12 + 25);
}

/* Counting up spends the same tokens, and loses no count for it. */
static void patches_spend_tokens(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++) {
		tell("web", "x");
		sim_run(60000);
	}
	/* 25, and two hours of one in five minutes */
	assert_in_range(server.posts + server.patches, 25 + 23, 25 + 25);
	sim_run(5 * 60000);
	assert_int_equal(stored(), 1);
	assert_int_equal(count(nth(0)), 120);
}

static void queue_bound(void **state)
{
	char name[32];

	(void)state;
	server.fail = KUBE_SERVER_ERROR;
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		tell(name, "x");
	}
	server.fail = KUBE_OK;
	sim_run(1000);
	assert_int_equal(stored(), KUBE_EVENTS_QUEUE);
	/* Room again; one that was dropped is not taken for known. */
	tell("s1999", "x");
	sim_run(1000);
	assert_int_equal(stored(), KUBE_EVENTS_QUEUE + 1);
}

/* One request at a time. */
static unsigned open_calls, most_calls;

static void slow(struct kube_call *c)
{
	open_calls++;
	most_calls = open_calls > most_calls ? open_calls : most_calls;
	c->down_us = 50000;
}

static void serve_slow(struct kube_call *c)
{
	open_calls--;
	serve(c);
}

static void one_at_a_time(void **state)
{
	char name[32];

	(void)state;
	open_calls = most_calls = 0;
	sim.network = slow;
	sim.serve = serve_slow;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		tell(name, "x");
	}
	sim_run(20 * 50 + 10);
	assert_int_equal(stored(), 20);
	assert_int_equal(most_calls, 1);
}

/* Not everything that was ever told is kept in memory. */
static void many(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 2500; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		tell(name, "x");
		sim_run(1);
	}
	assert_int_equal(stored(), 2500);
	tell("s0", "x"); /* forgotten long ago */
	tell("s2499", "x");
	sim_run(61000);
	assert_int_equal(stored(), 2501);
}

/* ---- failures ---- */

static void tried_again(void **state)
{
	static const enum kube_result results[] = {KUBE_NO_ANSWER, KUBE_SERVER_ERROR, KUBE_THROTTLED};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(results); i++) {
		char name[16];
		size_t before = sim.n_calls;

		snprintf(name, sizeof(name), "n%zu", i);
		server.fail = results[i];
		server.fails = 3;
		tell(name, "x");
		tell("after", name);
		sim_run(20000);
		assert_int_equal(sim.n_calls - before, 5);
		assert_int_equal(stored(), 3 * i + 2);
		/* One failure more is the end of it; the next has its own tries. */
		server.fail = results[i];
		server.fails = 4;
		tell(name, "never written");
		tell(name, "written");
		sim_run(20000);
		assert_int_equal(stored(), 3 * i + 3);
		assert_string_equal(text(nth(stored() - 1), "message"), "written");
	}
}

/* A refusal is final, and what comes after it is written. */
static void refused(void **state)
{
	static const enum kube_result results[] = {KUBE_FORBIDDEN, KUBE_REFUSED, KUBE_NOT_FOUND,
	                                           KUBE_NONSENSE};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(results); i++) {
		char name[16];
		size_t before = sim.n_calls;

		snprintf(name, sizeof(name), "n%zu", i);
		server.fail = results[i];
		server.fails = 1;
		tell(name, "x");
		tell(name, "y");
		sim_run(100000);
		assert_int_equal(sim.n_calls - before, 2);
		assert_int_equal(stored(), (int)i + 1);
	}
}

static void lose_answer(struct kube_call *c)
{
	c->lost_down = sim.n_calls == 1;
}

/* It was written, the answer was lost: the second try finds it there. */
static void lost_answer(void **state)
{
	(void)state;
	sim.network = lose_answer;
	tell("web", "x");
	sim_run(60000);
	assert_int_equal(server.posts, 2);
	assert_int_equal(stored(), 1);
	tell("web", "x");
	sim_run(60000);
	assert_int_equal(count(nth(0)), 2);
}

/* Told while it is on its way: not lost. */
static void told_meanwhile(void **state)
{
	(void)state;
	sim.network = slow;
	sim.serve = serve_slow;
	tell("web", "x");
	sim_run(10);
	tell("web", "x");
	tell("web", "x");
	sim_run(70000);
	assert_int_equal(stored(), 1);
	assert_int_equal(count(nth(0)), 3);
}

/* ---- hostile words ---- */

static void hostile(void **state)
{
	static const char *const messages[] = {
	        "",
	        "\"},{\"a\":\"",
	        "\n\r\t\x1b[2J\x7f",
	        "\xc2\x9b",
	        "\xff",
	        "half \xe2\x82",
	        "\xed\xa0\x80",
	        "\xf4\x90\x80\x80",
	        "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80",
	        "\\u0000",
	};
	char longest[5000];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(messages); i++) {
		kube_events_tell(events, &web, true, messages[i], messages[i]);
		sim_run(10);
		assert_int_equal(stored(), (int)i + 1);
	}
	assert_string_equal(text(nth(8), "message"), messages[8]);
	assert_string_equal(text(nth(1), "message"), messages[1]);
	/* A character that does not fit whole is left out. */
	for (int shift = 0; shift < 3; shift++) {
		memset(longest, 'x', 4);
		for (size_t i = (size_t)shift; i + 3 < sizeof(longest); i += 3)
			memcpy(longest + i, "\xe2\x82\xac", 4);
		kube_events_tell(events, &web, true, longest, longest);
		sim_run(10);
		assert_null(strchr(text(nth(stored() - 1), "message"), '?'));
		assert_in_range(strlen(text(nth(stored() - 1), "message")), 1022, 1024);
	}
}

/* Names that are none reach no path; long ones still give valid names. */
static void names(void **state)
{
	static const char *const bad[] = {"", "a/b", "../x", "a?b", "A", "a b", "a%2f", "-a"};
	struct kube_event_about about = web;
	char longest[WEFT_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++) {
		about = web;
		about.name = bad[i];
		kube_events_tell(events, &about, true, "A", "b");
		about = web;
		about.namespace = bad[i];
		kube_events_tell(events, &about, true, "A", "b");
	}
	about = web;
	about.uid = "\xff";
	kube_events_tell(events, &about, true, "A", "b");
	sim_run(1000);
	assert_int_equal(sim.n_calls, 0);
	for (int i = 0; i < 20; i++) {
		memset(longest, 'a', WEFT_NAME_MAX);
		longest[WEFT_NAME_MAX] = '\0';
		longest[WEFT_NAME_MAX - 1 - i] = '.';
		if (i == 0)
			longest[WEFT_NAME_MAX - 1] = 'a';
		tell(longest, "x");
	}
	sim_run(1000);
	assert_int_equal(stored(), 20);
}

/* A long name of the node, as the API takes it. */
static void long_host(void **state)
{
	char host[300];

	(void)state;
	kube_events_free(events);
	memset(host, 'h', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	events = kube_events_new(NULL, NULL, "weft-controller", host);
	tell("web", "x");
	sim_run(10);
	assert_int_equal(stored(), 1);
}

/* In the middle of a request, of a pause, of a minute. */
static void freed_at_any_time(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		sim.network = i == 0 ? slow : NULL;
		server.fail = i == 1 ? KUBE_SERVER_ERROR : KUBE_OK;
		tell("a", "x");
		tell("b", "x");
		sim_run(10);
		tell("a", "x");
		kube_events_free(events);
		sim_run(300000);
		assert_int_equal(server.patches, 0);
		events = kube_events_new(NULL, NULL, "weft-controller", "node-a");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	        T(whole),
	        T(cluster_scoped),
	        T(counted),
	        T(minutes_of_their_own),
	        T(different),
	        T(ten_minutes),
	        T(forgotten_by_the_server),
	        T(bucket),
	        T(patches_spend_tokens),
	        T(queue_bound),
	        T(one_at_a_time),
	        T(many),
	        T(tried_again),
	        T(refused),
	        T(lost_answer),
	        T(told_meanwhile),
	        T(hostile),
	        T(names),
	        T(long_host),
	        T(freed_at_any_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
