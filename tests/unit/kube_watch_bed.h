// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A watcher, its client and a scripted server on one loop. What the watcher tells is kept as a text:
 *
 *	begin  +NAME@VERSION  -NAME@VERSION (deleted)  complete VERSION  missing  found  trouble  well
 */
#ifndef TESTS_UNIT_KUBE_WATCH_BED_H
#define TESTS_UNIT_KUBE_WATCH_BED_H

#include "agent/kube/watch_private.h"
#include "weft/cleanup.h"

#include "tests/unit/kube_script.h"

#define GUARD_MS 25000 /* a test that hangs fails */

/* What is asked; the server takes timeoutSeconds away */

#define THINGS "/apis/x/v1/things?"

#define STREAM(version)                                                  \
	THINGS "watch=1&allowWatchBookmarks=true&sendInitialEvents=true" \
	       "&resourceVersionMatch=NotOlderThan&resourceVersion=" version
#define WATCH(version) THINGS "watch=1&allowWatchBookmarks=true&resourceVersion=" version
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

/* What is answered */

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

struct bed {
	uv_loop_t loop;
	uv_timer_t guard;
	struct server server;
	struct server other; /* the client's second one; loop NULL = there is none */
	struct kube *client;
	struct kube_watch *watch;
	struct kube_watch_options options;
	struct weft_buf log;
	const char *trouble;   /* must be in the next one */
	size_t calls, free_at; /* free the watcher in this call of a callback, from 1 on */
	bool secret_check;
	const char *last_text;
	size_t last_len;
};

static void bed_line(struct bed *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void bed_line(struct bed *b, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	assert_non_null(b->watch); /* nothing is told after kube_watch_free() */
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	weft_buf_printf(&b->log, "%s%s", b->log.len ? " " : "", line);
	if (++b->calls == b->free_at) {
		kube_watch_free(b->watch);
		b->watch = NULL;
	}
}

static void bed_on_begin(void *ctx)
{
	bed_line(ctx, "begin");
}

static void bed_on_object(void *ctx, bool deleted, const char *text, size_t len, const cJSON *json)
{
	const cJSON *meta = cJSON_GetObjectItem(json, "metadata");
	struct bed *b = ctx;

	assert_int_equal(strlen(text), len);
	assert_true(text[0] == '{' && text[len - 1] == '}');
	assert_null(strstr(text, "managedFields"));
	b->last_text = text;
	b->last_len = len;
	bed_line(b, "%s%s@%s", deleted ? "-" : "+", cJSON_GetStringValue(cJSON_GetObjectItem(meta, "name")),
	         cJSON_GetStringValue(cJSON_GetObjectItem(meta, "resourceVersion")));
}

static void bed_on_complete(void *ctx, const char *version)
{
	struct bed *b = ctx;

	if (b->secret_check && b->last_text)
		for (size_t i = 32; i < b->last_len; i++) /* the splitter has put other texts before */
			assert_int_equal(b->last_text[i], 0);
	bed_line(b, "complete %s", version);
}

static void bed_on_missing(void *ctx, bool missing)
{
	bed_line(ctx, missing ? "missing" : "found");
}

static void bed_on_trouble(void *ctx, const char *text)
{
	struct bed *b = ctx;

	if (*text && b->trouble && !strstr(text, b->trouble))
		fail_msg("%s, not %s", text, b->trouble);
	bed_line(ctx, *text ? "trouble" : "well");
}

static void bed_on_guard(uv_timer_t *timer)
{
	struct bed *b = timer->data;

	fail_msg("it hangs; %zu of %zu requests came; told so far:\n%s", b->server.at, b->server.n_turns,
	         weft_buf_text(&b->log));
}

/* Pauses of 1 ms; silence for longer than the guard's time. A test may change b->options before bed_watch().
 */
static void bed_start_two(struct bed *b, const struct turn *turns, size_t n, const struct turn *other,
                          size_t n_other)
{
	struct kube_access access = {.n_servers = other ? 2 : 1};
	struct weft_err err = WEFT_ERR_INIT;
	char url[64], other_url[64];

	memset(b, 0, sizeof(*b));
	uv_loop_init(&b->loop);
	uv_timer_init(&b->loop, &b->guard);
	b->guard.data = b;
	uv_timer_start(&b->guard, bed_on_guard, GUARD_MS, 0);
	b->server.turns = turns;
	b->server.n_turns = n;
	server_start(&b->server, &b->loop);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", b->server.port);
	access.servers[0] = url;
	if (other) {
		b->other.turns = other;
		b->other.n_turns = n_other;
		server_start(&b->other, &b->loop);
		snprintf(other_url, sizeof(other_url), "http://127.0.0.1:%d", b->other.port);
		access.servers[1] = other_url;
	}
	if (kube_new(&b->loop, &access, "weftd/test", &b->client, &err) < 0)
		fail_msg("%s", err.text);
	b->options = (struct kube_watch_options){.client = b->client,
	                                         .loop = &b->loop,
	                                         .path = "/apis/x/v1/things",
	                                         .cb = {.on_begin = bed_on_begin,
	                                                .on_object = bed_on_object,
	                                                .on_complete = bed_on_complete,
	                                                .on_missing = bed_on_missing,
	                                                .on_trouble = bed_on_trouble},
	                                         .ctx = b,
	                                         .watch_s = 30,
	                                         .retry_ms = 1};
}

static void bed_start(struct bed *b, const struct turn *turns, size_t n)
{
	bed_start_two(b, turns, n, NULL, 0);
}

static void bed_watch(struct bed *b)
{
	b->watch = kube_watch_new(&b->options);
	assert_int_equal(b->log.len, 0);
}

/* Until all of this has been told, and all requests of the script came. */
static void bed_expect(struct bed *b, const char *log)
{
	while (b->server.at < b->server.n_turns || b->other.at < b->other.n_turns ||
	       strcmp(weft_buf_text(&b->log), log) != 0) {
		if (b->log.len > strlen(log) || strncmp(log, weft_buf_text(&b->log), b->log.len) != 0)
			fail_msg("told:\n%s\nnot:\n%s", weft_buf_text(&b->log), log);
		uv_run(&b->loop, UV_RUN_ONCE);
	}
	for (int i = 0; i < 5; i++)
		uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_string_equal(weft_buf_text(&b->log), log);
}

/* Until the watcher pauses. */
static inline void bed_until_pause(struct bed *b, size_t requests)
{
	while (b->server.at < requests || b->watch->call)
		uv_run(&b->loop, UV_RUN_ONCE);
}

/* uv_loop_close() says whether every handle is closed. */
static void bed_stop(struct bed *b)
{
	kube_watch_free(b->watch);
	b->watch = NULL;
	kube_free(b->client);
	server_stop(&b->server);
	if (b->other.loop)
		server_stop(&b->other);
	uv_close((uv_handle_t *)&b->guard, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	weft_buf_free(&b->log);
}

static inline void bed_run(const struct turn *turns, size_t n, unsigned watch_s, const char *log)
{
	struct bed b;

	bed_start(&b, turns, n);
	b.options.watch_s = watch_s;
	bed_watch(&b);
	bed_expect(&b, log);
	bed_stop(&b);
}

#define RUN(turns, log)           bed_run(turns, WEFT_ARRAY_LEN(turns), 30, log)
#define RUN_IMPATIENT(turns, log) bed_run(turns, WEFT_ARRAY_LEN(turns), 1, log) /* of silence */

#endif
