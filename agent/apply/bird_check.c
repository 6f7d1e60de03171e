// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three handles: the process, the pipe of its standard error, a timer. The result is told when the process
 * has exited and the pipe has ended; memory goes when all three are closed.
 */
#include "agent/apply/bird_check.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MS 20000
#define TEXT_MAX 4096

struct bird_check {
	uv_process_t process;
	uv_pipe_t err;
	uv_timer_t timer;
	int open; /* handles */
	bool exited, drained;
	int result;
	bird_check_fn fn; /* NULL once told or cancelled */
	void *ctx;
	size_t len;
	char text[TEXT_MAX + 1];
	char more[512]; /* beyond TEXT_MAX it is read and dropped */
};

static void on_closed(uv_handle_t *h)
{
	struct bird_check *c = h->data;

	if (--c->open == 0)
		free(c);
}

static void finish(struct bird_check *c)
{
	bird_check_fn fn = c->fn;

	if (!c->exited || !c->drained)
		return;
	uv_close((uv_handle_t *)&c->timer, on_closed);
	c->fn = NULL;
	while (c->len && (c->text[c->len - 1] == '\n' || c->text[c->len - 1] == ' '))
		c->len--;
	c->text[c->len] = '\0';
	if (fn)
		fn(c->ctx, c->result, c->text);
}

static void on_exited(uv_process_t *p, int64_t status, int term_signal)
{
	struct bird_check *c = p->data;

	c->exited = true;
	c->result = term_signal == SIGKILL ? -ETIMEDOUT : status == 0 && term_signal == 0 ? 0 : -EINVAL;
	if (term_signal && !c->len) {
		strcpy(c->text, term_signal == SIGKILL ? "it did not end in time" : "it crashed");
		c->len = strlen(c->text);
	}
	uv_close((uv_handle_t *)p, on_closed);
	finish(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct bird_check *c = h->data;

	(void)suggested;
	if (c->len < TEXT_MAX)
		*buf = uv_buf_init(c->text + c->len, (unsigned)(TEXT_MAX - c->len));
	else
		*buf = uv_buf_init(c->more, sizeof(c->more));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct bird_check *c = s->data;

	if (n >= 0) {
		if (buf->base != c->more)
			c->len += (size_t)n;
		return;
	}
	c->drained = true;
	uv_close((uv_handle_t *)s, on_closed);
	finish(c);
}

static void on_limit(uv_timer_t *t)
{
	struct bird_check *c = t->data;

	if (!c->exited) {
		uv_process_kill(&c->process, SIGKILL);
		return;
	}
	/* Somebody that it left behind holds the pipe. */
	c->drained = true;
	uv_close((uv_handle_t *)&c->err, on_closed);
	finish(c);
}

/* There is no such program: told from the loop like every other result. */
static void on_absent(uv_timer_t *t)
{
	struct bird_check *c = t->data;

	finish(c);
}

int bird_check_start(uv_loop_t *loop, const char *binary, const char *file, bird_check_fn fn, void *ctx,
                     struct bird_check **out, struct weft_err *err)
{
	struct bird_check *c = calloc(1, sizeof(*c));
	char *args[] = {(char *)binary, "-p", "-c", (char *)file, NULL};
	uv_stdio_container_t stdio[3] = {
	        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE}};
	uv_process_options_t o = {
	        .file = binary, .args = args, .stdio = stdio, .stdio_count = 3, .exit_cb = on_exited};
	int r;

	if (!c)
		return weft_err_errno(err, ENOMEM, "checking BIRD's configuration");
	c->fn = fn;
	c->ctx = ctx;
	c->open = 3;
	uv_pipe_init(loop, &c->err, 0);
	uv_timer_init(loop, &c->timer);
	c->process.data = c->err.data = c->timer.data = c;
	stdio[2].data.stream = (uv_stream_t *)&c->err;
	r = uv_spawn(loop, &c->process, &o);
	if (r < 0) {
		c->exited = c->drained = true;
		c->result = r == UV_ENOENT ? -ENOENT : -EINVAL;
		c->len = strlen(uv_strerror(r));
		memcpy(c->text, uv_strerror(r), c->len);
		uv_close((uv_handle_t *)&c->process, on_closed);
		uv_close((uv_handle_t *)&c->err, on_closed);
		uv_timer_start(&c->timer, on_absent, 0, 0);
	} else {
		uv_read_start((uv_stream_t *)&c->err, on_alloc, on_read);
		uv_timer_start(&c->timer, on_limit, LIMIT_MS, 0);
	}
	*out = c;
	return 0;
}

void bird_check_cancel(struct bird_check *c)
{
	c->fn = NULL;
	if (!c->exited)
		uv_process_kill(&c->process, SIGKILL);
}
