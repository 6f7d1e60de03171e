// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CONNECTING -> the welcome -> [restrict] -> commands in order -> closed. One allocation, freed when the loop has
 * closed both handles; on_done is called once, when the end is known.
 */
#include "agent/bird/query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/bird/guard.h"
#include "agent/bird/show.h"

#define RESTRICT        "restrict\n"
#define CODE_RESTRICTED 16
#define NO_COMMAND      SIZE_MAX

struct query {
	struct bird_query_options o;
	char **text; /* with newlines */
	size_t count;
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_connect_t connect;
	struct bird_parser *parser;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool greeted, done;
	size_t at; /* the command whose reply comes; NO_COMMAND before the first */
	int handles;
	char in[16384];
};

int bird_query_check(const char *command, struct weft_err *err)
{
	size_t len = strlen(command), quoted = 0;
	bool quote = false;

	if (!len)
		return weft_err_set(err, EINVAL, "an empty command");
	if (len > BIRD_QUERY_COMMAND_MAX)
		return weft_err_set(err, EINVAL, "a command has at most %d bytes", BIRD_QUERY_COMMAND_MAX);
	for (size_t i = 0; i < len; i++) {
		if (command[i] < ' ' || command[i] > '~')
			return weft_err_set(err, EINVAL, "a command is printable ASCII in one line");
		quoted = quote && command[i] != '"' ? quoted + 1 : 0;
		quote ^= command[i] == '"';
		if (quoted > BIRD_STRING_MAX)
			return weft_err_set(err, EINVAL, "a quoted text has at most %d bytes",
			                    BIRD_STRING_MAX);
	}
	return quote ? weft_err_set(err, EINVAL, "a quoted text has no end") : 0;
}

static void release(struct query *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->count; i++)
		free(q->text[i]);
	free(q->text);
	bird_parser_free(q->parser);
	free(q);
}

static void on_closed(uv_handle_t *handle)
{
	struct query *q = handle->data;

	if (--q->handles == 0)
		release(q);
}

static void finish(struct query *q, const struct weft_err *err)
{
	if (q->done)
		return;
	q->done = true;
	uv_close((uv_handle_t *)&q->pipe, on_closed);
	uv_close((uv_handle_t *)&q->timer, on_closed);
	q->o.on_done(q->o.ctx, err);
}

static void fail(struct query *q, int code, const char *what)
{
	struct weft_err err = WEFT_ERR_INIT;

	weft_err_set(&err, code, "BIRD's control socket %s: %s", q->path, what);
	finish(q, &err);
}

static void on_timeout(uv_timer_t *timer)
{
	fail(timer->data, ETIMEDOUT, "no whole answer in time");
}

/* Commands are short, and each waits for the reply to the one before: there is always room for it. */
static void send_text(struct query *q, const char *text)
{
	uv_buf_t buf = uv_buf_init((char *)text, (unsigned)strlen(text));

	if (uv_try_write((uv_stream_t *)&q->pipe, &buf, 1) != (int)buf.len)
		fail(q, EPIPE, "it can't be written to");
}

static void send_next(struct query *q)
{
	q->at = q->at == NO_COMMAND ? 0 : q->at + 1;
	if (q->at == q->count)
		finish(q, NULL);
	else
		send_text(q, q->text[q->at]);
}

static bool on_line(void *ctx, const struct bird_line *line)
{
	struct query *q = ctx;

	return q->at == NO_COMMAND || q->o.on_line(q->o.ctx, q->at, line);
}

/* The welcome, the answer to `restrict`, or the last line of a command's. */
static void replied(struct query *q, const struct bird_reply *reply)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_version version;

	if (!q->greeted) {
		q->greeted = true;
		if (bird_welcome(reply, &version, &err) < 0)
			finish(q, &err);
		else if (q->o.restricted)
			send_text(q, RESTRICT);
		else
			send_next(q);
	} else if (q->at == NO_COMMAND && bird_reply_code(reply) != CODE_RESTRICTED) {
		fail(q, EPROTO, "it can't be restricted, so nothing is asked");
	} else {
		send_next(q);
	}
}

static void feed(struct query *q, const char *data, size_t len)
{
	struct weft_err err = WEFT_ERR_INIT;

	while (len && !q->done) {
		size_t used = 0;
		int r = bird_parser_feed(q->parser, data, len, &used, &err);

		if (r < 0) {
			finish(q, r == -ECANCELED ? NULL : &err);
			return;
		}
		data += used;
		len -= used;
		if (r > 0)
			replied(q, bird_parser_reply(q->parser));
	}
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct query *q = h->data;

	(void)suggested;
	*buf = uv_buf_init(q->in, sizeof(q->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct query *q = stream->data;

	if (n < 0)
		fail(q, ECONNRESET, "BIRD hung up");
	else
		feed(q, buf->base, (size_t)n);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct query *q = req->data;

	if (status == UV_ECANCELED || q->done)
		return;
	if (status < 0)
		fail(q, -status, uv_strerror(status));
	else
		uv_read_start((uv_stream_t *)&q->pipe, on_alloc, on_read);
}

static int prepare(struct query *q, struct weft_err *err)
{
	if (strlen(q->o.socket) >= sizeof(q->path))
		return weft_err_set(err, ENAMETOOLONG, "the path of BIRD's control socket is too long");
	strcpy(q->path, q->o.socket);
	if (q->o.n_commands > BIRD_QUERY_COMMANDS)
		return weft_err_set(err, E2BIG, "more than %d questions to BIRD at a time",
		                    BIRD_QUERY_COMMANDS);
	q->text = calloc(q->o.n_commands + 1, sizeof(*q->text));
	if (!q->text)
		return weft_err_errno(err, ENOMEM, "asking BIRD");
	for (size_t i = 0; i < q->o.n_commands; i++) {
		int r = bird_query_check(q->o.commands[i], err);

		if (r == 0 && asprintf(&q->text[i], "%s\n", q->o.commands[i]) < 0)
			r = weft_err_errno(err, ENOMEM, "asking BIRD");
		if (r < 0)
			return r;
		q->count++;
	}
	return 0;
}

void bird_query(const struct bird_query_options *o)
{
	struct query *q = calloc(1, sizeof(*q));
	struct weft_err err = WEFT_ERR_INIT;
	int r = q ? 0 : weft_err_errno(&err, ENOMEM, "asking BIRD");

	if (q) {
		q->o = *o;
		q->at = NO_COMMAND;
		q->parser = bird_parser_new();
		r = q->parser ? prepare(q, &err) : weft_err_errno(&err, ENOMEM, "asking BIRD");
	}
	if (r < 0) {
		release(q);
		o->on_done(o->ctx, &err);
		return;
	}
	bird_parser_stream(q->parser, on_line, q);
	uv_pipe_init(o->loop, &q->pipe, 0);
	uv_timer_init(o->loop, &q->timer);
	q->handles = 2;
	q->pipe.data = q->timer.data = q->connect.data = q;
	uv_timer_start(&q->timer, on_timeout, o->timeout_ms, 0);
	uv_pipe_connect(&q->connect, &q->pipe, q->path, on_connect);
}
