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

#define THINGS "/apis/x/v1/things?"

#define STREAM(version)                                                                   \
	THINGS "watch=1&allowWatchBookmarks=true&timeoutSeconds=1&sendInitialEvents=true" \
	       "&resourceVersionMatch=NotOlderThan&resourceVersion=" version
#define WATCH(version) THINGS "watch=1&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=" version
#define LIST(version)  THINGS "resourceVersion=" version
#define PAGE(version)  THINGS "limit=500&resourceVersion=" version
#define MORE(token)    THINGS "limit=500&continue=" token
#define OLD_SERVER(version)                                                              \
	{                                                                                \
		.want = STREAM(version), .recorded = "1.26-26-watchlist.2.bin" /* 422 */ \
	}
#define FOLLOWED(version)                                             \
	{                                                             \
		.want = WATCH(version), .chunked = true, .hold = true \
	}

#define OBJECT(name, version)                                                 \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version \
	"\",\"managedFields\":[]},\"spec\":null}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
#define BOOKMARK(version)                                                                 \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version \
	"\"},\"spec\":null}}\n"
#define END_MARK(version)                                                                       \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version "\"," \
	"\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define ITEMS(version, items) "{\"items\":[" items "],\"metadata\":{\"resourceVersion\":\"" version "\"}}"
#define ITEMS_MORE(version, token, items)                                                                  \
	"{\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" token "\"},\"items\":[" items \
	"]}"
#define STATUS(code, reason)                                                                 \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"m\",\"reason\":\"" reason \
	"\",\"code\":" #code "}"
#define ERROR_EVENT(code, reason) "{\"type\":\"ERROR\",\"object\":" STATUS(code, reason) "}\n"

static void run(const struct turn *turns, size_t n, const char *log)
{
	struct bed b;

	bed_start(&b, turns, n);
	bed_watch(&b);
	bed_expect(&b, log);
	bed_stop(&b);
}

#define RUN(turns, log) run(turns, WEFT_ARRAY_LEN(turns), log)

/* --- listings --- */

/* 1.36: a stream that begins with a listing and goes on as a watch. */
static void test_stream(void **state)
{
	static const struct turn turns[] = {
	        {.want = STREAM(""),
	         .chunked = true,
	         .hold = true,
	         .body = EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "2") END_MARK("7")
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
	RUN(turns,
	    "begin +cip-9hk59@823 +gen-b5rjk@401 +hl-nzpqh@821 +page-0@361 +page-1@270 +page-2@271 +page-3@272 +page-4@273 +page-5@274 +page-6@275 +put-1@399 complete 853");
}

/* Nothing there: the end mark alone. */
static void test_stream_empty(void **state)
{
	static const struct turn turns[] = {{.want = STREAM(""), .recorded = "1.36-26-watchlist.7.bin"},
	                                    FOLLOWED("860")};

	(void)state;
	RUN(turns, "begin complete 860");
}

/* 1.26 answers 422 to the stream: LIST, from the server's cache. */
static void test_list_recorded(void **state)
{
	static const struct turn turns[] = {
	        OLD_SERVER(""),
	        {.want = PAGE("0"), .recorded = "1.26-02-list-limit-continue.3.bin"},
	        FOLLOWED("259")};

	(void)state;
	RUN(turns, "begin +page-6@259 complete 259");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_stream),
	        cmocka_unit_test(test_stream_recorded),
	        cmocka_unit_test(test_stream_empty),
	        cmocka_unit_test(test_list_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
