// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A real socket server in a thread of the test process, with handlers that misbehave on demand:
 *
 *	echo	returns the request		fail	fails with EEXIST
 *	big	{"bytes":N}: a string of N bytes
 *	later	{"ms":N}: answers after N ms	never	held until the fixture stops
 *
 * The test's own thread is the client and may block.
 */
#ifndef TESTS_UNIT_SERVE_FIXTURE_H
#define TESTS_UNIT_SERVE_FIXTURE_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/serve/server.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

#define HELD_MAX 8

struct canned {
	/* json: result, or an error text when it starts with '!'. After a newline: the same for a request
	 * that has `args`. */
	const char *cmd, *json;
};

struct fixture {
	char dir[64], path[96];
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t stop;
	struct serve_server *server;
	struct serve_request *held[HELD_MAX];
	unsigned held_count;
};

struct later {
	uv_timer_t timer;
	struct serve_request *req;
};

static int fix_echo(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                    struct weft_err *err)
{
	(void)ctx, (void)req, (void)err;
	*result = cJSON_Duplicate(args, 1);
	return 0;
}

static int fix_fail(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                    struct weft_err *err)
{
	(void)ctx, (void)req, (void)args, (void)result;
	return weft_err_set(err, EEXIST, "it is there\nalready");
}

static int fix_big(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                   struct weft_err *err)
{
	size_t n = (size_t)cJSON_GetNumberValue(cJSON_GetObjectItem(args, "bytes"));
	weft_autofree char *text = malloc(n + 1);

	(void)ctx, (void)req, (void)err;
	memset(text, 'x', n);
	text[n] = '\0';
	*result = cJSON_CreateString(text);
	return 0;
}

static void fix_later_freed(uv_handle_t *handle)
{
	free(handle->data);
}

static void fix_later_fired(uv_timer_t *timer)
{
	struct later *l = timer->data;

	serve_reply(l->req, cJSON_CreateString("late"));
	uv_close((uv_handle_t *)timer, fix_later_freed);
}

static int fix_later(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                     struct weft_err *err)
{
	struct fixture *f = ctx;
	struct later *l = calloc(1, sizeof(*l));

	(void)result, (void)err;
	l->req = req;
	uv_timer_init(&f->loop, &l->timer);
	l->timer.data = l;
	uv_timer_start(&l->timer, fix_later_fired,
	               (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(args, "ms")), 0);
	return SERVE_LATER;
}

static int fix_never(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                     struct weft_err *err)
{
	struct fixture *f = ctx;

	(void)args, (void)result;
	if (f->held_count == HELD_MAX)
		return weft_err_set(err, EBUSY, "the fixture holds no more");
	f->held[f->held_count++] = req;
	return SERVE_LATER;
}

static int fix_canned(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                      struct weft_err *err)
{
	const struct canned *c = ctx;
	const char *second = strchr(c->json, '\n');
	const char *json = second && cJSON_HasObjectItem(args, "args") ? second + 1 : c->json;

	(void)req;
	if (json[0] == '!')
		return weft_err_set(err, EIO, "%s", json + 1);
	*result = cJSON_Parse(json);
	return *result ? 0 : weft_err_set(err, EINVAL, "the test's JSON is broken");
}

static void fix_on_stop(uv_async_t *async)
{
	struct fixture *f = async->data;

	serve_close(f->server);
	for (unsigned i = 0; i < f->held_count; i++)
		serve_reply(f->held[i], cJSON_CreateString("too late"));
	uv_close((uv_handle_t *)async, NULL);
}

static void *fix_run(void *arg)
{
	struct fixture *f = arg;

	uv_run(&f->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* On the heap: the server of a test that failed lives on beside the next test. */
static struct fixture *fix_start(const struct serve_limits *limits, const struct canned *canned, size_t n)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/weft-serve-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/run/weftd.sock", f->dir);
	uv_loop_init(&f->loop);
	if (serve_open(&f->server, &f->loop, f->path, limits, &err) < 0)
		fail_msg("%s", err.text);
	serve_register(f->server, "echo", fix_echo, f, "say it again");
	serve_register(f->server, "fail", fix_fail, f, "fail");
	serve_register(f->server, "big", fix_big, f, "a long answer");
	serve_register(f->server, "later", fix_later, f, "answer later");
	serve_register(f->server, "never", fix_never, f, "never answer");
	for (size_t i = 0; i < n; i++)
		serve_register(f->server, canned[i].cmd, fix_canned, (void *)&canned[i], "canned");
	uv_async_init(&f->loop, &f->stop, fix_on_stop);
	f->stop.data = f;
	assert_int_equal(pthread_create(&f->thread, NULL, fix_run, f), 0);
	return f;
}

/* Every handle must be closed by then: uv_loop_close() says so. */
static void fix_stop(struct fixture *f)
{
	char run[96];

	uv_async_send(&f->stop);
	pthread_join(f->thread, NULL);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	unlink(f->path);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(rmdir(run), 0);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
}

#endif
