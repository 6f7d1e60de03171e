// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Life of a connection: RETRY (timer) -> CONNECTING -> GREETING (waiting for the 0001 welcome) -> READY, and
 * from any of them back to RETRY when something fails. The pipe handle is made anew for each attempt;
 * `generation` of a closed one lives until its close callback, the client until the last of its handles is
 * closed.
 */
#include "agent/bird/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/log.h"

#define RETRY_FIRST_MS   200
#define RETRY_MAX_MS     5000
#define REPLY_TIMEOUT_MS 15000

enum state { RETRY, CONNECTING, GREETING, READY };

struct command {
	struct command *next;
	bird_reply_fn fn;
	void *ctx;
	char text[]; /* with its newline */
};

/* One attempt; its own allocation because uv_close() is asynchronous. */
struct conn {
	uv_pipe_t pipe;
	uv_connect_t connect;
	struct bird_ctl *owner; /* NULL once abandoned */
	char in[16384];
};

struct bird_ctl {
	char *path;
	bird_state_fn on_state;
	void *ctx;
	enum state state;
	struct conn *conn;
	struct bird_parser *parser;
	struct bird_version version;
	struct command *head, **tail; /* head is on the wire while `sent` */
	bool sent;
	bool told_down; /* on_state has heard of the absence */
	bool freed;
	uint64_t retry_ms;
	uv_loop_t *loop;
	uv_timer_t timer; /* next attempt, or the reply's deadline */
};

struct write {
	uv_write_t req;
	char *text;
};

static void start_attempt(uv_timer_t *timer);
static void send_next(struct bird_ctl *c);

static void conn_closed(uv_handle_t *h)
{
	free(h->data);
}

/* Every waiting command fails, in order. New ones that a callback adds wait for the next connection. */
static void fail_commands(struct bird_ctl *c, const struct weft_err *err)
{
	struct command *list = c->head;

	c->head = NULL;
	c->tail = &c->head;
	c->sent = false;
	while (list) {
		struct command *cmd = list;
		list = cmd->next;
		cmd->fn(cmd->ctx, NULL, err);
		free(cmd);
	}
}

static void drop(struct bird_ctl *c, const struct weft_err *err)
{
	bool tell = c->state == READY || !c->told_down;

	if (c->conn) {
		c->conn->owner = NULL;
		uv_close((uv_handle_t *)&c->conn->pipe, conn_closed);
		c->conn = NULL;
	}
	bird_parser_free(c->parser);
	c->parser = NULL;
	c->state = RETRY;
	if (!c->freed) {
		uv_timer_start(&c->timer, start_attempt, c->retry_ms, 0);
		c->retry_ms = c->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : c->retry_ms * 2;
	}
	c->told_down = true;
	if (tell && !c->freed)
		c->on_state(c->ctx, NULL, err);
	fail_commands(c, err);
}

static void on_deadline(uv_timer_t *timer)
{
	struct bird_ctl *c = timer->data;
	struct weft_err err = WEFT_ERR_INIT;

	weft_err_set(&err, ETIMEDOUT, "BIRD does not answer on %s", c->path);
	drop(c, &err);
}

static void on_written(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;

	(void)status; /* a broken connection also ends the reading, which handles it */
	free(w->text);
	free(w);
}

static void send_next(struct bird_ctl *c)
{
	struct write *w;
	uv_buf_t buf;

	if (c->state != READY || c->sent || !c->head)
		return;
	w = calloc(1, sizeof(*w));
	if (w)
		w->text = strdup(c->head->text);
	if (!w || !w->text) {
		struct weft_err err = WEFT_ERR_INIT;
		free(w);
		weft_err_set(&err, ENOMEM, "out of memory for a BIRD command");
		drop(c, &err);
		return;
	}
	c->sent = true;
	buf = uv_buf_init(w->text, (unsigned)strlen(w->text));
	uv_timer_start(&c->timer, on_deadline, REPLY_TIMEOUT_MS, 0);
	if (uv_write(&w->req, (uv_stream_t *)&c->conn->pipe, &buf, 1, on_written) < 0)
		on_written(&w->req, -1);
}

static int greeted(struct bird_ctl *c, const struct bird_reply *reply, struct weft_err *err)
{
	int r = bird_welcome(reply, &c->version, err);

	if (r < 0)
		return r;
	c->state = READY;
	c->retry_ms = RETRY_FIRST_MS;
	c->told_down = false;
	uv_timer_stop(&c->timer);
	c->on_state(c->ctx, &c->version, NULL);
	return 0;
}

static int answered(struct bird_ctl *c, const struct bird_reply *reply, struct weft_err *err)
{
	struct command *cmd = c->head;

	if (!c->sent || !cmd)
		return weft_err_set(err, EPROTO, "BIRD sent a reply that nobody asked for");
	c->head = cmd->next;
	if (!c->head)
		c->tail = &c->head;
	c->sent = false;
	uv_timer_stop(&c->timer);
	cmd->fn(cmd->ctx, reply, NULL);
	free(cmd);
	return 0;
}

static int feed(struct bird_ctl *c, const char *data, size_t len, struct weft_err *err)
{
	while (len) {
		size_t used = 0;
		int r = bird_parser_feed(c->parser, data, len, &used, err);
		if (r < 0)
			return r;
		data += used;
		len -= used;
		if (r == 0)
			break;
		r = c->state == GREETING ? greeted(c, bird_parser_reply(c->parser), err)
		                         : answered(c, bird_parser_reply(c->parser), err);
		if (r < 0)
			return r;
	}
	send_next(c);
	return 0;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = h->data;

	(void)suggested;
	*buf = uv_buf_init(conn->in, sizeof(conn->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;
	struct bird_ctl *c = conn->owner;
	struct weft_err err = WEFT_ERR_INIT;

	if (!c || n == 0)
		return;
	if (n < 0) {
		weft_err_set(&err, ECONNRESET, "BIRD closed its control socket %s", c->path);
		drop(c, &err);
	} else if (feed(c, buf->base, (size_t)n, &err) < 0) {
		drop(c, &err);
	}
}

static void on_connect(uv_connect_t *req, int status)
{
	struct conn *conn = (struct conn *)((char *)req - offsetof(struct conn, connect));
	struct bird_ctl *c = conn->owner;
	struct weft_err err = WEFT_ERR_INIT;

	if (!c)
		return;
	if (status < 0) {
		weft_err_set(&err, -status, "BIRD's control socket %s: %s", c->path, uv_strerror(status));
		drop(c, &err);
		return;
	}
	c->state = GREETING;
	uv_timer_start(&c->timer, on_deadline, REPLY_TIMEOUT_MS, 0);
	uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read);
}

static void start_attempt(uv_timer_t *timer)
{
	struct bird_ctl *c = timer->data;
	struct weft_err err = WEFT_ERR_INIT;

	c->state = CONNECTING;
	c->parser = bird_parser_new();
	c->conn = c->parser ? calloc(1, sizeof(*c->conn)) : NULL;
	if (!c->conn) {
		weft_err_set(&err, ENOMEM, "out of memory for a connection to BIRD");
		drop(c, &err);
		return;
	}
	c->conn->owner = c;
	uv_pipe_init(c->loop, &c->conn->pipe, 0);
	c->conn->pipe.data = c->conn;
	uv_pipe_connect(&c->conn->connect, &c->conn->pipe, c->path, on_connect);
}

int bird_ctl_new(uv_loop_t *loop, const char *socket_path, bird_state_fn on_state, void *ctx,
                 struct bird_ctl **out, struct weft_err *err)
{
	struct bird_ctl *c;

	if (strlen(socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return weft_err_set(err, ENAMETOOLONG,
		                    "bird.socket: the path %s is too long for a unix socket", socket_path);
	c = calloc(1, sizeof(*c));
	if (c)
		c->path = strdup(socket_path);
	if (!c || !c->path) {
		free(c);
		return weft_err_errno(err, ENOMEM, "BIRD client");
	}
	c->loop = loop;
	c->on_state = on_state;
	c->ctx = ctx;
	c->tail = &c->head;
	c->retry_ms = RETRY_FIRST_MS;
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, start_attempt, 0, 0);
	*out = c;
	return 0;
}

bool bird_ctl_deserted(const char *socket_path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	weft_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(socket_path) >= sizeof(addr.sun_path))
		return false;
	strcpy(addr.sun_path, socket_path);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 &&
	       (errno == ENOENT || errno == ECONNREFUSED);
}

static void timer_closed(uv_handle_t *h)
{
	struct bird_ctl *c = h->data;

	free(c->path);
	free(c);
}

void bird_ctl_free(struct bird_ctl *c)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (!c)
		return;
	c->freed = true;
	weft_err_set(&err, ECANCELED, "the agent is stopping");
	drop(c, &err);
	uv_close((uv_handle_t *)&c->timer, timer_closed);
}

void bird_ctl_command(struct bird_ctl *c, const char *command, bird_reply_fn fn, void *ctx)
{
	size_t len = strlen(command);
	struct command *cmd = calloc(1, sizeof(*cmd) + len + 2);
	struct weft_err err = WEFT_ERR_INIT;

	if (!cmd || c->freed || c->state == RETRY || c->state == CONNECTING) {
		free(cmd);
		weft_err_set(&err, ENOTCONN, "BIRD is not there (control socket %s)", c->path);
		fn(ctx, NULL, &err);
		return;
	}
	memcpy(cmd->text, command, len);
	cmd->text[len] = '\n';
	cmd->fn = fn;
	cmd->ctx = ctx;
	*c->tail = cmd;
	c->tail = &cmd->next;
	send_next(c);
}

const struct bird_version *bird_ctl_version(const struct bird_ctl *c)
{
	return c->state == READY ? &c->version : NULL;
}
