// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An API server in the test's own loop, real TCP on 127.0.0.1. A script says, turn by turn, which request
 * must come next (its path, exactly) and what is answered: a recorded answer byte for byte, or a text; whole,
 * cut off at a byte, or left open. A request that is not in the script fails the test.
 */
#ifndef TESTS_UNIT_KUBE_SCRIPT_H
#define TESTS_UNIT_KUBE_SCRIPT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "weft/buf.h"
#include "weft/cleanup.h"

#include "tests/unit/recorded_answers.h"

struct turn {
	const char *want;     /* path and query */
	const char *recorded; /* answers with this file; else: */
	int status;           /* 0 = 200 */
	const char *header;   /* further lines, each with CR LF */
	const char *body;     /* of a watch: lines, a chunk each */
	bool chunked;         /* a watch */
	bool hold;            /* the answer has no end */
	size_t cut;           /* hang up behind so many bytes of it; 0 = all of it */
	bool hangup;          /* hang up without an answer */
	bool mute;            /* say nothing */
};

struct server {
	uv_loop_t *loop;
	uv_tcp_t listener;
	int port; /* 0 = any; the same one after a restart */
	const struct turn *turns;
	size_t n_turns, at;
	uint64_t asked_ms[16]; /* uv_now() of the first requests */
	char last_path[1024];
	struct connection *connections;
};

struct connection {
	struct server *server;
	uv_tcp_t tcp;
	struct weft_buf in;
	char buffer[4096];
	struct connection *next;
};

struct reply {
	uv_write_t write;
	struct connection *connection;
	char *text;
	bool hangup;
};

static void server_on_connection_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	weft_buf_free(&c->in);
	free(c);
}

static void server_drop(struct connection *c)
{
	struct connection **at = &c->server->connections;

	while (*at && *at != c)
		at = &(*at)->next;
	if (!*at)
		return; /* closing already */
	*at = c->next;
	uv_close((uv_handle_t *)&c->tcp, server_on_connection_closed);
}

static void server_on_written(uv_write_t *write, int status)
{
	struct reply *r = write->data;

	(void)status;
	if (r->hangup)
		server_drop(r->connection);
	free(r->text);
	free(r);
}

static char *server_text(const struct turn *t, size_t *len)
{
	const char *body = t->body ? t->body : "";
	struct weft_buf b = {0};

	if (t->recorded) {
		struct answer a = answer_read(t->recorded);
		char *raw = WEFT_TAKE_PTR(a.raw);

		*len = a.raw_len;
		answer_free(&a);
		return raw;
	}
	weft_buf_printf(&b, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s",
	                t->status ? t->status : 200, t->header ? t->header : "");
	if (!t->chunked) {
		weft_buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body) + t->hold, body);
	} else {
		weft_buf_str(&b, "Transfer-Encoding: chunked\r\n\r\n");
		for (size_t n; *body; body += n) {
			n = strcspn(body, "\n");
			n += body[n] == '\n';
			weft_buf_printf(&b, "%zx\r\n%.*s\r\n", n, (int)n, body);
		}
		weft_buf_str(&b, t->hold ? "" : "0\r\n\r\n");
	}
	*len = b.len;
	return weft_buf_take(&b);
}

static void server_answer(struct connection *c, const struct turn *t)
{
	struct reply *r = calloc(1, sizeof(*r));
	uv_buf_t out;
	size_t len;

	r->connection = c;
	r->text = server_text(t, &len);
	r->hangup = t->cut > 0;
	r->write.data = r;
	out = uv_buf_init(r->text, (unsigned)(t->cut && t->cut < len ? t->cut : len));
	uv_write(&r->write, (uv_stream_t *)&c->tcp, &out, 1, server_on_written);
}

/* It is drawn by lot. */
static void server_take_timeout(char *path)
{
	char *at = strstr(path, "timeoutSeconds=");
	size_t n = at ? strcspn(at, "&") + 1 : 0;

	if (at)
		memmove(at, at + n, strlen(at + n) + 1);
}

static void server_request(struct connection *c, char *path)
{
	struct server *s = c->server;
	const struct turn *t = &s->turns[s->at];

	snprintf(s->last_path, sizeof(s->last_path), "%s", path);
	server_take_timeout(path);
	if (s->at == s->n_turns)
		fail_msg("one request too many: %s", path);
	if (t->want && strcmp(path, t->want) != 0)
		fail_msg("request %zu is\n%s, not\n%s", s->at, path, t->want);
	if (s->at < 16)
		s->asked_ms[s->at] = uv_now(s->loop);
	s->at++;
	if (t->hangup)
		server_drop(c);
	else if (!t->mute)
		server_answer(c, t);
}

static void server_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = stream->data;
	char path[1024], *end;

	if (n < 0) {
		server_drop(c);
		return;
	}
	weft_buf_add(&c->in, buf->base, (size_t)n);
	end = strstr(c->in.data ? c->in.data : "", "\r\n\r\n");
	if (!end)
		return;
	assert_int_equal(sscanf(c->in.data, "GET %1023s HTTP/1.1\r\n", path), 1);
	assert_string_equal(end, "\r\n\r\n"); /* one at a time */
	weft_buf_free(&c->in);
	server_request(c, path);
}

static void server_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct connection *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init(c->buffer, sizeof(c->buffer));
}

static void server_on_connection(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct connection *c = calloc(1, sizeof(*c));

	assert_int_equal(status, 0);
	c->server = s;
	c->tcp.data = c;
	c->next = s->connections;
	s->connections = c;
	uv_tcp_init(s->loop, &c->tcp);
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
	uv_read_start((uv_stream_t *)&c->tcp, server_alloc, server_on_read);
}

static void server_start(struct server *s, uv_loop_t *loop)
{
	struct sockaddr_in a;
	int len = sizeof(a);

	s->loop = loop;
	uv_ip4_addr("127.0.0.1", s->port, &a);
	uv_tcp_init(loop, &s->listener);
	s->listener.data = s;
	assert_int_equal(uv_tcp_bind(&s->listener, (struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, server_on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
}

static void server_on_closed(uv_handle_t *handle)
{
	*(bool *)handle->data = true;
}

/* It dies: nothing more comes, on no connection. */
static void server_stop(struct server *s)
{
	bool closed = false;

	while (s->connections)
		server_drop(s->connections);
	s->listener.data = &closed;
	uv_close((uv_handle_t *)&s->listener, server_on_closed);
	while (!closed)
		uv_run(s->loop, UV_RUN_NOWAIT);
}

#endif
