// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watcher against recorded answers and faults: what it asks (the resourceVersions above all), what it
 * tells, and what it concludes from what breaks off: nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/kube_watch_bed.h"

/* --- listings --- */

/* 1.36: a stream that begins with a listing and goes on as a watch. */
static void test_stream(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""),
	         .chunked = true,
	         .hold = true,
	         .body = EVENT("ADDED", "a", "3") BOOKMARK("4") EVENT("ADDED", "b", "2") END_MARK("7")
	                 EVENT("MODIFIED", "a", "8") EVENT("DELETED", "b", "9")},
	};

	(void)state;
	RUN(turns, "begin +a@3 +b@2 complete 7 +a@8 -b@9");
}

static void test_stream_recorded(void **state)
{
	static const struct turn turns[] = {{.want = STREAM(""), .recorded = "1.36-26-watchlist.1.bin"},
	                                    FOLLOWED("853")};

	(void)state;
	RUN(turns, "begin +cip-9hk59@823 +gen-b5rjk@401 +hl-nzpqh@821 +page-0@361 +page-1@270 +page-2@271 "
	           "+page-3@272 +page-4@273 +page-5@274 +page-6@275 +put-1@399 complete 853");
}

/* Nothing there: the end mark alone. */
static void test_stream_empty(void **state)
{
	static const struct turn turns[] = {{.want = STREAM(""), .recorded = "1.36-26-watchlist.7.bin"},
	                                    FOLLOWED("860")};

	(void)state;
	RUN(turns, "begin complete 860");
}

/* 1.26 answers 422 to the stream: LIST, at first from the server's cache; pages if it has some. */
static void test_list_recorded(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .recorded = "1.26-02-list-limit-continue.1.bin"},
	        {.want = MORE("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjU5LCJzdGFydCI6InBhZ2UtMlx1MDAwMCJ9"),
	         .recorded = "1.26-02-list-limit-continue.2.bin"},
	        {.want = MORE("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjU5LCJzdGFydCI6InBhZ2UtNVx1MDAwMCJ9"),
	         .recorded = "1.26-02-list-limit-continue.3.bin"},
	        FOLLOWED("259"),
	};

	(void)state;
	RUN(turns, "begin +page-0@253 +page-1@254 +page-2@255 +page-3@256 +page-4@257 +page-5@258 "
	           "+page-6@259 complete 259");
}

/* Tokens are opaque, so they are encoded; the first page's version is the one to go on from. */
static void test_page_and_selector(void **state)
{
#define SELECTED THINGS "labelSelector=a%3Db&"
	static const struct turn turns[] = {
	        {.want = SELECTED "watch=1&allowWatchBookmarks=true&sendInitialEvents=true"
	                          "&resourceVersionMatch=NotOlderThan&resourceVersion=",
	         .status = 400},
	        {.want = SELECTED "limit=2&resourceVersion=0",
	         .body = ITEMS_MORE("5", "a/b=&\xc3\xa4", OBJECT("a", "1"))},
	        {.want = SELECTED "limit=2&continue=a%2Fb%3D%26%C3%A4", .body = ITEMS("6", OBJECT("b", "2"))},
	        {.want = SELECTED "watch=1&allowWatchBookmarks=true&resourceVersion=5",
	         .chunked = true,
	         .hold = true},
	};
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	b.options.selector = "labelSelector=a%3Db";
	b.options.page = 2;
	bed_watch(&b);
	bed_expect(&b, "begin +a@1 +b@2 complete 5");
	bed_stop(&b);
}

/* A listing that breaks off is begun anew, and on_complete is not told. */
static void test_list_breaks_off(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS_MORE("5", "t", OBJECT("a", "1"))},
	        {.want = MORE("t"), .body = ITEMS("5", OBJECT("b", "1") "," OBJECT("c", "1")), .cut = 190},
	        {.want = PAGE("0"), .body = ITEMS("6", OBJECT("b", "2")), .hold = true, .cut = 300},
	        {.want = PAGE("0"), .body = ITEMS("7", OBJECT("c", "3"))},
	        FOLLOWED("7"),
	};

	(void)state;
	RUN(turns, "begin +a@1 +b@1 begin +b@2 trouble begin +c@3 well complete 7");
}

/* An expired continue: all in one answer, which can't expire. */
static void test_continue_expired(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS_MORE("5", "t", OBJECT("a", "1"))},
	        {.want = MORE("t"), .recorded = "1.26-02-list-limit-continue.9.bin"},
	        {.want = LIST("0"), .body = ITEMS("6", OBJECT("b", "2"))},
	        {.want = WATCH("6"), .chunked = true, .body = ERROR_EVENT(410, "Expired")},
	        {.want = LIST("6"), .status = 410, .body = STATUS(410, "Expired")},
	        {.want = PAGE(""), .body = ITEMS("8", "")},
	        FOLLOWED("8"),
	};

	(void)state;
	RUN(turns, "begin +a@1 begin +b@2 complete 6 begin complete 8");
}

/* The known version is not to be had any more: the newest, page by page. */
static void test_version_gone(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", "")},
	        {.want = WATCH("5"), .status = 410, .body = STATUS(410, "Expired")},
	        {.want = LIST("5"), .status = 410, .body = STATUS(410, "Expired")},
	        {.want = PAGE(""), .body = ITEMS_MORE("2", "t", "")},
	        {.want = MORE("t"), .body = ITEMS("2", OBJECT("a", "1"))},
	        {.want = WATCH("2"), .chunked = true, .body = ERROR_EVENT(410, "Expired")},
	        {.want = LIST("2"), .body = ITEMS("9", "")},
	        FOLLOWED("9"),
	};

	(void)state;
	RUN(turns, "begin complete 5 begin +a@1 complete 2 begin complete 9");
}

/* etcd was set back: 504 ResourceVersionTooLarge to what was seen before. */
static void test_version_too_new(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("500", "")},
	        {.want = WATCH("500"), .chunked = true, .body = ERROR_EVENT(410, "Gone")},
	        {.want = LIST("500"), .recorded = "1.36-03-list-resourceversion.6.bin"},
	        {.want = PAGE(""), .body = ITEMS("7", "")},
	        {.want = WATCH("7"), .recorded = "1.36-03-list-resourceversion.6.bin"},
	        {.want = PAGE(""), .body = ITEMS("8", "")},
	        FOLLOWED("8"),
	};

	(void)state;
	RUN(turns, "begin complete 500 begin complete 7 begin complete 8");
}

/* The same by streams. */
static void test_stream_versions(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("5") ERROR_EVENT(410, "Expired")},
	        {.want = STREAM("5"),
	         .chunked = true,
	         .body = EVENT("ADDED", "a", "6") ERROR_EVENT(410, "Gone")},
	        {.want = STREAM(""), .chunked = true, .body = EVENT("ADDED", "a", "6") END_MARK("6")},
	        {.want = WATCH("6"), .chunked = true, .body = ERROR_EVENT(410, "Expired")},
	        {.want = STREAM("6"), .status = 504, .body = STATUS(504, "Timeout")},
	        {.want = STREAM("6"), .recorded = "1.36-03-list-resourceversion.6.bin"},
	        {.want = STREAM(""), .chunked = true, .hold = true, .body = END_MARK("2")},
	};
	struct kube_watch_state now;
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	bed_watch(&b);
	bed_expect(&b,
	           "begin complete 5 begin +a@6 begin +a@6 complete 6 trouble trouble begin well complete 2");
	kube_watch_state(b.watch, &now);
	assert_int_equal(now.expired, 3);
	assert_int_equal(now.lists, 6);
	bed_stop(&b);
}

/* The server ignores what it does not know: ADDEDs, but no end mark, and after a while the end. */
static void test_no_end_mark(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .recorded = "1.26-26-watchlist.4.bin"},
	        {.want = PAGE("0"), .recorded = "1.36-03-list-resourceversion.1.bin"},
	        {.want = WATCH("278"), .chunked = true, .body = ERROR_EVENT(410, "Expired")},
	        {.want = LIST("278"), .body = ITEMS("300", "")}, /* it is remembered */
	        FOLLOWED("300"),
	};
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	bed_watch(&b);
	bed_expect(&b, "begin +put-1@351 +page-6@259 +page-2@255 +gen-zckl8@353 +page-5@258 +page-3@256 "
	               "+hl-m8j5f@774 +page-0@324 +page-1@254 +page-4@257 +cip-kzzf6@772 "
	               "begin +kubernetes@205 complete 278 begin complete 300");
	bed_stop(&b);
}

/* ... or no end either: not waited for. */
static void test_no_end_mark_ever(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .hold = true, .body = EVENT("ADDED", "a", "1")},
	        {.want = PAGE("0"), .body = ITEMS("3", OBJECT("a", "1"))},
	        FOLLOWED("3"),
	};

	(void)state;
	RUN_IMPATIENT(turns, "begin +a@1 begin +a@1 complete 3");
}

/* An end mark without a version to go on from. */
static void test_end_mark_without_version(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .body = EVENT("ADDED", "a", "1") END_MARK("")},
	        {.want = STREAM(""), .chunked = true, .hold = true, .body = END_MARK("3")},
	};

	(void)state;
	RUN(turns, "begin +a@1 begin complete 3");
}

/* What is no list is no empty list. */
static void test_no_list(void **state)
{
	static const char *const bodies[] = {
	        "{}",
	        "{\"items\":[]}",
	        ITEMS("", ""),
	        "{\"metadata\":{\"resourceVersion\":\"5\"}}",
	        "{\"items\":[],\"metadata\":{\"resourceVersion\":\"5\"}",
	        STATUS(200, ""),
	        "[]",
	        "ok",
	        "",
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bodies); i++) {
		const struct turn turns[] = {
		        OLD_SERVER(""),
		        {.want = PAGE("0"), .body = bodies[i]},
		        {.want = PAGE("0"), .body = bodies[i]},
		        {.want = PAGE("0"), .body = ITEMS("7", "")},
		        FOLLOWED("7"),
		};

		RUN(turns, "trouble begin well complete 7");
	}
}

static void test_item_no_json(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", OBJECT("a", "1") ",{\"x\":tru}")},
	        {.want = PAGE("0"), .body = ITEMS("5", OBJECT("a", "1"))},
	        FOLLOWED("5"),
	};

	(void)state;
	RUN(turns, "begin +a@1 begin +a@1 complete 5");
}

/* --- changes --- */

/* Recorded, with the bookmark's version for the next one. */
static void test_changes_recorded(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .recorded = "1.26-03-list-resourceversion.10.bin"},
	        {.want = NULL, .recorded = "1.26-04-watch-basic.6.bin"},
	        {.want = WATCH("269"), .recorded = "1.36-21-nodes.9.bin"},
	        {.want = WATCH("837"), .recorded = "1.36-06-watch-bookmarks.1.bin"},
	        FOLLOWED("324"), /* bookmarks only; opaque, so a smaller number is no matter */
	};
	struct kube_watch_state now;
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	bed_watch(&b);
	bed_expect(&b, "begin complete 262 +w-1@263 +w-1@264 -w-1@266 +w-b0@267 +w-b1@268 +w-b2@269 "
	               "+node-a@828 +node-a@829 +node-a@832 +node-b@833 +node-b@834 +node-a@835 -node-b@836");
	kube_watch_state(b.watch, &now);
	assert_true(now.complete && now.following);
	assert_string_equal(now.version, "324");
	assert_int_equal(now.events, 13);
	assert_int_equal(now.watches, 4);
	assert_int_equal(now.lists, 2);
	assert_string_equal(now.trouble, "");
	bed_stop(&b);
}

/* Error events that are not 410: from where it was; the third time all anew, in case that is the reason. */
static void test_error_events(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .body = ITEMS("5", "")},
	        {.want = WATCH("5"),
	         .chunked = true,
	         .body = EVENT("ADDED", "a", "6") ERROR_EVENT(500, "InternalError")},
	        {.want = WATCH("6"), .chunked = true, .body = ERROR_EVENT(500, "InternalError")},
	        {.want = WATCH("6"), .chunked = true, .body = EVENT("ADDED", "b", "7") ERROR_EVENT(500, "")},
	        {.want = WATCH("7"), .chunked = true, .body = ERROR_EVENT(500, "")},
	        {.want = WATCH("7"), .chunked = true, .body = ERROR_EVENT(500, "")},
	        {.want = LIST("7"), .body = ITEMS("8", "")},
	        FOLLOWED("8"),
	};

	(void)state;
	RUN(turns, "begin complete 5 +a@6 trouble well +b@7 trouble begin well complete 8");
}

/* A stream that is none: what came before counts, the rest is asked for again. */
static void test_bad_streams(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("5")},
	        {.want = WATCH("5"),
	         .chunked = true,
	         .body = EVENT("ADDED", "a", "6") "{\"type\":\"ADDED\"}\n"},
	        {.want = WATCH("6"),
	         .chunked = true,
	         .body = EVENT("ADDED", "b", "7") "{\"object\":{\"x\":tru}}\n"},
	        {.want = WATCH("7"),
	         .chunked = true,
	         .body = EVENT("ADDED", "c", "8") "{\"object\":{\"x\":1]}}\n"},
	        {.want = WATCH("8"), .chunked = true, .body = EVENT("ADDED", "d", "9") "{\"type\":\"AD"},
	        {.want = WATCH("9"),
	         .chunked = true,
	         .body = EVENT("ADDED", "e", "10") "{\"type\":\"BOOKMARK\",\"object\":{}}\n"},
	        /* A type that is not known is no reason. */
	        {.want = WATCH("10"),
	         .chunked = true,
	         .hold = true,
	         .body = EVENT("RENAMED", "x", "11") EVENT("ADDED", "f", "12")},
	};

	(void)state;
	RUN(turns, "begin complete 5 +a@6 +b@7 +c@8 +d@9 +e@10 +f@12");
}

/* --- answers that are errors --- */

/* A CRD's life: not there, there, gone, there. Told once each. */
static void test_missing(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .recorded = "1.26-19-crd.16.bin"}, /* text/plain */
	        {.want = STREAM(""), .status = 404, .body = STATUS(404, "NotFound")},
	        {.want = STREAM(""), .status = 422, .body = STATUS(422, "Invalid")},
	        {.want = PAGE("0"), .recorded = "1.26-19-crd.16.bin"},
	        {.want = PAGE("0"), .body = ITEMS("5", "")},
	        {.want = WATCH("5"), .recorded = "1.26-19-crd.12.bin"},
	        {.want = WATCH("725"), .recorded = "1.26-19-crd.16.bin"},
	        {.want = PAGE("0"), .body = ITEMS("900", OBJECT("z", "800"))},
	        FOLLOWED("900"),
	};

	(void)state;
	RUN(turns,
	    "missing found begin complete 5 +a@723 +a@724 +a@725 missing found begin +z@800 complete 900");
}

/* A server that starts says 403 to whom it knows; one such answer is no trouble, the second is. */
static void test_starting_server(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .status = 403, .body = STATUS(403, "Forbidden")},
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("5")},
	        {.want = WATCH("5"), .status = 403, .body = STATUS(403, "Forbidden")},
	        {.want = WATCH("5"), .status = 401, .body = STATUS(401, "Unauthorized")},
	        {.want = WATCH("5"), .status = 401, .body = STATUS(401, "Unauthorized")},
	        {.want = WATCH("5"), .status = 500, .body = "oops"},
	        FOLLOWED("5"),
	};
	struct bed b;

	(void)state;
	bed_start(&b, turns, WEFT_ARRAY_LEN(turns));
	bed_watch(&b);
	/* 403, 401, 500: three texts. The watch that opens is the end of it, though it is silent. */
	bed_expect(&b, "begin complete 5 trouble trouble trouble well");
	assert_int_equal(b.watch->backoff.failures, 0); /* the next pause is a first one */
	bed_stop(&b);
}

/* A version that the server can't even read. */
static void test_refused_version(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""), .chunked = true, .body = END_MARK("a b")},
	        {.want = WATCH("a%20b"), .status = 400, .body = STATUS(400, "BadRequest")},
	        {.want = STREAM(""), .chunked = true, .hold = true, .body = END_MARK("5")},
	};

	(void)state;
	RUN(turns, "begin complete a b trouble begin well complete 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_stream),
	        cmocka_unit_test(test_stream_recorded),
	        cmocka_unit_test(test_stream_empty),
	        cmocka_unit_test(test_list_recorded),
	        cmocka_unit_test(test_page_and_selector),
	        cmocka_unit_test(test_list_breaks_off),
	        cmocka_unit_test(test_continue_expired),
	        cmocka_unit_test(test_version_gone),
	        cmocka_unit_test(test_version_too_new),
	        cmocka_unit_test(test_stream_versions),
	        cmocka_unit_test(test_no_end_mark),
	        cmocka_unit_test(test_no_end_mark_ever),
	        cmocka_unit_test(test_end_mark_without_version),
	        cmocka_unit_test(test_no_list),
	        cmocka_unit_test(test_item_no_json),
	        cmocka_unit_test(test_changes_recorded),
	        cmocka_unit_test(test_error_events),
	        cmocka_unit_test(test_bad_streams),
	        cmocka_unit_test(test_missing),
	        cmocka_unit_test(test_starting_server),
	        cmocka_unit_test(test_refused_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
