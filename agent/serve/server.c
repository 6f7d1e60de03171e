// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client goes round three phases, and each has its own deadline on the client's one timer:
 *
 *	READING		until a whole line is there	idle_ms, not prolonged by single bytes
 *	WAITING		an async handler has it		handler_ms, then an error is sent
 *	WRITING		until the reply is out		idle_ms per chunk taken
 *
 * Reading from the socket stops outside READING, so a client that sends without end is held back by its
 * own socket buffer. That a client hung up while it waits is seen when its reply is written.
 *
 * Ownership: the server owns its clients (list), a client its buffers. A held request belongs to the
 * handler; request and client point at each other, and whoever goes first clears the other's pointer. A
 * client's memory goes with its last handle, the server's with its last client and the listening pipe.
 */
#include "agent/serve/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/serve/listen.h"
#include "agent/serve/protocol.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#define COMMANDS_MAX 32
#define CHUNK        ((size_t)64 << 10)

struct command {
	const char *name, *help;
	serve_handler_fn handler;
	void *ctx;
};

enum phase { READING, WAITING, WRITING, CLOSING };

struct client {
	struct client *prev, *next;
	struct serve_server *server;
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	int handles; /* of pipe and timer, still open */
	enum phase phase;
	bool last;        /* close after this reply */
	char chunk[8192]; /* where libuv reads to */
	struct weft_buf in;
	char *out; /* reply being written */
	size_t out_len, out_sent, out_chunk;
	struct serve_request *held;
};

struct serve_request {
	struct client *client; /* NULL: nobody waits any more */
};

struct serve_server {
	uv_loop_t *loop;
	uv_pipe_t pipe;
	struct stat file;
	char *path;
	struct serve_limits limits;
	struct command commands[COMMANDS_MAX];
	unsigned command_count;
	struct client *clients;
	unsigned client_count;
	bool closing, pipe_closed;
};

static void client_next(struct client *c);
static void on_timer(uv_timer_t *timer);

static void server_free_if_done(struct serve_server *s)
{
	if (!s->closing || !s->pipe_closed || s->clients)
		return;
	free(s->path);
	free(s);
}

static void on_client_handle_closed(uv_handle_t *handle)
{
	struct client *c = handle->data;
	struct serve_server *s = c->server;

	if (--c->handles)
		return;
	DL_DELETE(s->clients, c);
	s->client_count--;
	weft_buf_free(&c->in);
	free(c->out);
	free(c);
	server_free_if_done(s);
}

static void client_close(struct client *c)
{
	if (c->phase == CLOSING)
		return;
	c->phase = CLOSING;
	if (c->held)
		c->held->client = NULL;
	c->held = NULL;
	uv_close((uv_handle_t *)&c->pipe, on_client_handle_closed);
	uv_close((uv_handle_t *)&c->timer, on_client_handle_closed);
}

static void client_enter(struct client *c, enum phase phase)
{
	const struct serve_limits *l = &c->server->limits;

	c->phase = phase;
	uv_timer_start(&c->timer, on_timer, phase == WAITING ? l->handler_ms : l->idle_ms, 0);
}

static void on_written(uv_write_t *write, int status);

static void client_write_chunk(struct client *c)
{
	size_t left = c->out_len - c->out_sent;
	uv_buf_t buf;

	c->out_chunk = left < CHUNK ? left : CHUNK;
	buf = uv_buf_init(c->out + c->out_sent, (unsigned)c->out_chunk);
	client_enter(c, WRITING);
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written) < 0)
		client_close(c);
}

static void on_written(uv_write_t *write, int status)
{
	struct client *c = write->data;

	if (c->phase == CLOSING)
		return;
	c->out_sent += c->out_chunk;
	if (status < 0)
		client_close(c);
	else if (c->out_sent < c->out_len)
		client_write_chunk(c);
	else if (c->last)
		client_close(c);
	else {
		free(c->out);
		c->out = NULL;
		client_next(c);
	}
}

/* Send a reply line; takes ownership. */
static void client_send(struct client *c, char *line)
{
	if (c->phase == CLOSING) { /* the handler closed the server */
		free(line);
		return;
	}
	if (!line) {
		log_error("socket: out of memory for a reply, client dropped");
		client_close(c);
		return;
	}
	free(c->out);
	c->out = line;
	c->out_len = strlen(line);
	c->out_sent = 0;
	client_write_chunk(c);
}

static void client_send_error(struct client *c, const struct weft_err *err)
{
	client_send(c, serve_reply_error(err));
}

static void on_timer(uv_timer_t *timer)
{
	struct client *c = timer->data;
	struct weft_err err = WEFT_ERR_INIT;

	if (c->phase != WAITING) {
		client_close(c);
		return;
	}
	c->held->client = NULL;
	c->held = NULL;
	weft_err_set(&err, ETIMEDOUT, "weftd did not finish the request within %u s",
	             c->server->limits.handler_ms / 1000);
	client_send_error(c, &err);
}

static const struct command *find_command(const struct serve_server *s, const char *name)
{
	for (unsigned i = 0; i < s->command_count; i++)
		if (!strcmp(s->commands[i].name, name))
			return &s->commands[i];
	return NULL;
}

static void client_handle(struct client *c, const struct command *command, const cJSON *args)
{
	struct serve_request *req = calloc(1, sizeof(*req));
	struct weft_err err = WEFT_ERR_INIT;
	cJSON *result = NULL;
	int ret;

	if (!req) {
		client_send(c, NULL);
		return;
	}
	req->client = c;
	c->held = req;
	client_enter(c, WAITING);
	ret = command->handler(command->ctx, req, args, &result, &err);
	if (ret == SERVE_LATER)
		return; /* it may have been completed already */
	c->held = NULL;
	free(req);
	if (ret < 0) {
		cJSON_Delete(result);
		if (!err.code)
			weft_err_set(&err, ret, "%s failed: %s", command->name, strerror(-ret));
		client_send_error(c, &err);
	} else {
		client_send(c, serve_reply_ok(result));
	}
}

static void client_request(struct client *c, const char *line, size_t len)
{
	struct weft_err err = WEFT_ERR_INIT;
	const struct command *command;
	const char *name;
	cJSON *args;

	if (serve_request_parse(line, len, &args, &name, &err) < 0) {
		client_send_error(c, &err);
		return;
	}
	command = find_command(c->server, name);
	if (command) {
		client_handle(c, command, args);
	} else {
		weft_err_set(&err, EOPNOTSUPP, "weftd %s knows no command %s", WEFT_VERSION, name);
		client_send_error(c, &err);
	}
	cJSON_Delete(args);
}

/* Take one whole line out of the buffer and answer it. False when there is none. */
static bool client_take_line(struct client *c)
{
	const char *text = weft_buf_text(&c->in);
	const char *end = c->in.len ? memchr(text, '\n', c->in.len) : NULL;
	weft_autofree char *line = NULL;
	size_t len, rest;

	if (!end)
		return false;
	len = (size_t)(end - text);
	rest = c->in.len - len - 1;
	line = malloc(len + 1);
	if (!line) {
		client_send(c, NULL);
		return true;
	}
	memcpy(line, text, len);
	line[len] = '\0';
	memmove(c->in.data, end + 1, rest);
	weft_buf_truncate(&c->in, rest);
	client_request(c, line, len);
	return true;
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct client *c = handle->data;

	(void)hint;
	*buf = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void client_refuse_long(struct client *c)
{
	struct weft_err err = WEFT_ERR_INIT;

	weft_err_set(&err, E2BIG, "request has more than %u bytes", c->server->limits.request);
	c->last = true;
	client_send_error(c, &err);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = stream->data;
	const char *newline;

	if (n == 0 || c->phase == CLOSING)
		return;
	if (n < 0) {
		client_close(
		        c); /* no answer is due while we read: a half-closed client has got all of its own */
		return;
	}
	newline = memchr(buf->base, '\n', (size_t)n);
	weft_buf_add(&c->in, buf->base, (size_t)n);
	if (!newline && c->in.len <= c->server->limits.request)
		return;
	uv_read_stop(stream);
	if (c->in.failed)
		client_close(c);
	else if ((newline ? c->in.len - (size_t)n + (size_t)(newline - buf->base) : c->in.len) >
	         c->server->limits.request)
		client_refuse_long(c);
	else
		client_take_line(c);
}

/* Nothing is due to the client: answer what it sent meanwhile, else read. */
static void client_next(struct client *c)
{
	client_enter(c, READING);
	if (client_take_line(c))
		return;
	if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0)
		client_close(c);
}

/* Why this connection gets no service; 0 when it does. */
static int admission(struct serve_server *s, struct client *c, struct weft_err *err)
{
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&c->pipe, &fd) < 0 || !serve_peer_allowed(fd))
		return weft_err_set(err, EACCES,
		                    "permission denied: only root and the user of weftd may ask");
	if (s->client_count > s->limits.clients)
		return weft_err_set(err, EBUSY, "weftd serves %u clients already: try again",
		                    s->limits.clients);
	return 0;
}

static struct client *client_new(struct serve_server *s)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = s;
	uv_pipe_init(s->loop, &c->pipe, 0);
	uv_timer_init(s->loop, &c->timer);
	c->write.data = c->pipe.data = c->timer.data = c;
	c->handles = 2;
	DL_APPEND(s->clients, c);
	s->client_count++;
	return c;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct serve_server *s = listener->data;
	struct weft_err err = WEFT_ERR_INIT;
	struct client *c;

	if (status < 0) {
		log_warning("socket %s: accept: %s", s->path, uv_strerror(status));
		return;
	}
	c = client_new(s);
	if (!c) {
		log_error("socket %s: out of memory for a client", s->path);
		return;
	}
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) < 0) {
		client_close(c);
	} else if (admission(s, c, &err) < 0) {
		/* Into the empty socket buffer, and gone: a refused client costs nothing. */
		weft_autofree char *line = serve_reply_error(&err);
		uv_buf_t buf = uv_buf_init(line, line ? (unsigned)strlen(line) : 0);

		if (line)
			uv_try_write((uv_stream_t *)&c->pipe, &buf, 1);
		client_close(c);
	} else {
		client_next(c);
	}
}

static int handle_help(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                       struct weft_err *err)
{
	const struct serve_server *s = ctx;
	cJSON *list = cJSON_CreateArray();

	(void)req, (void)args;
	for (unsigned i = 0; list && i < s->command_count; i++) {
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "name", s->commands[i].name);
		cJSON_AddStringToObject(row, "help", s->commands[i].help);
		cJSON_AddItemToArray(list, row);
	}
	*result = list;
	return list ? 0 : weft_err_set(err, ENOMEM, "out of memory");
}

int serve_register(struct serve_server *s, const char *name, serve_handler_fn handler, void *ctx,
                   const char *help)
{
	if (find_command(s, name))
		return -EEXIST;
	if (s->command_count == COMMANDS_MAX)
		return -ENOSPC;
	s->commands[s->command_count++] = (struct command){name, help, handler, ctx};
	return 0;
}

static struct serve_limits with_defaults(const struct serve_limits *limits)
{
	struct serve_limits l = limits ? *limits : (struct serve_limits){0};

	if (!l.clients)
		l.clients = 64;
	if (!l.request)
		l.request = 64 << 10;
	if (!l.idle_ms)
		l.idle_ms = 60000;
	if (!l.handler_ms)
		l.handler_ms = 30000;
	return l;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct serve_server *s = handle->data;

	s->pipe_closed = true;
	server_free_if_done(s);
}

int serve_open(struct serve_server **out, uv_loop_t *loop, const char *path,
               const struct serve_limits *limits, struct weft_err *err)
{
	struct serve_server *s = calloc(1, sizeof(*s));
	char *copy = strdup(path);
	int fd, ret;

	if (!s || !copy) {
		free(s);
		free(copy);
		return weft_err_set(err, ENOMEM, "out of memory");
	}
	s->path = copy;
	s->loop = loop;
	s->limits = with_defaults(limits);
	fd = serve_listen(path, &s->file, err);
	if (fd < 0) {
		free(copy);
		free(s);
		return fd;
	}
	uv_pipe_init(loop, &s->pipe, 0);
	s->pipe.data = s;
	serve_register(s, "help", handle_help, s, "list the commands of this socket");
	ret = uv_pipe_open(&s->pipe, fd);
	if (ret < 0)
		close(fd);
	else
		ret = uv_listen((uv_stream_t *)&s->pipe, 64, on_connection);
	if (ret < 0) {
		serve_close(s);
		return weft_err_set(err, ret, "listen on %s: %s", path, uv_strerror(ret));
	}
	signal(SIGPIPE, SIG_IGN);
	*out = s;
	return 0;
}

void serve_close(struct serve_server *s)
{
	struct client *c;

	if (!s || s->closing)
		return;
	s->closing = true;
	serve_unlink(s->path, &s->file);
	DL_FOREACH (s->clients, c)
		client_close(c);
	uv_close((uv_handle_t *)&s->pipe, on_listener_closed);
}

bool serve_wanted(const struct serve_request *req)
{
	return req->client != NULL;
}

/* Let go of a held request; its client, or NULL. */
static struct client *release(struct serve_request *req)
{
	struct client *c = req->client;

	if (c)
		c->held = NULL;
	free(req);
	return c;
}

void serve_reply(struct serve_request *req, cJSON *result)
{
	struct client *c = release(req);

	if (c)
		client_send(c, serve_reply_ok(result));
	else
		cJSON_Delete(result);
}

void serve_fail(struct serve_request *req, const struct weft_err *err)
{
	struct client *c = release(req);

	if (c)
		client_send_error(c, err);
}
