// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/log.h"

#define LIMIT_S    25 /* of the child; the socket's own limit is 30 s */
#define ANSWER_MAX ((size_t)64 << 20)

struct child {
	struct serve_request *req;
	pid_t pid;
	uv_pipe_t pipe;
	struct weft_buf text;
	char in[65536];
};

/* --- in the child --- */

static void write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = write(fd, text, left);

		if (n <= 0)
			_exit(1);
		text += n;
		left -= (size_t)n;
	}
}

static void __attribute__((noreturn)) run(struct agent *a, const struct ahead *q, int fd)
{
	const struct rlimit none = {0};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct weft_err err = WEFT_ERR_INIT;
	cJSON *answer = NULL;
	char *text;

	alarm(LIMIT_S);
	signal(SIGTERM, SIG_DFL);
	/* Nothing but the answer leaves this process: no descriptor, no byte to a file, no log. */
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	if (dup2(fd, 3) == 3)
		closefrom(4);
	weft_log_init(WEFT_LOG_ERROR);
	answer = ahead_run(a, q, &err);
	if (!answer) {
		answer = cJSON_CreateObject();
		cJSON_AddStringToObject(answer, "error", err.text);
	}
	text = cJSON_PrintUnformatted(answer);
	if (text)
		write_all(3, text);
	_exit(text ? 0 : 1);
}

/* --- in the parent --- */

static void on_closed(uv_handle_t *handle)
{
	struct child *c = handle->data;

	weft_buf_free(&c->text);
	free(c);
}

static void reply(struct child *c, int status)
{
	cJSON *answer = c->text.failed ? NULL : cJSON_Parse(weft_buf_text(&c->text));
	const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "error"));
	struct weft_err err = WEFT_ERR_INIT;

	if (answer && !error) {
		serve_reply(c->req, answer);
		return;
	}
	if (error)
		weft_err_set(&err, EINVAL, "%s", error);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		weft_err_set(&err, ETIMEDOUT, "plan: not done within %d s", LIMIT_S);
	else
		weft_err_set(&err, EIO, "plan: the planning process ended without an answer (status %d)",
		             status);
	serve_fail(c->req, &err);
	cJSON_Delete(answer);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct child *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init(c->in, sizeof(c->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct child *c = stream->data;
	int status = 0;

	if (n >= 0) {
		weft_buf_add(&c->text, buf->base, (size_t)n);
		return;
	}
	/* It has closed its end: it is about to exit, or was killed. */
	waitpid(c->pid, &status, 0);
	reply(c, status);
	uv_close((uv_handle_t *)stream, on_closed);
}

static int start(struct agent *a, const struct ahead *q, struct serve_request *req, struct weft_err *err)
{
	struct child *c;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return weft_err_errno(err, errno, "plan: a pipe");
	pid = fork();
	if (pid < 0) {
		int r = -errno;

		close(fds[0]);
		close(fds[1]);
		return weft_err_errno(err, r, "plan: another process");
	}
	if (pid == 0)
		run(a, q, fds[1]);
	close(fds[1]);
	c = must_alloc(1, sizeof(*c));
	c->req = req;
	c->pid = pid;
	c->text.max = ANSWER_MAX;
	uv_pipe_init(a->loop, &c->pipe, 0);
	c->pipe.data = c;
	uv_pipe_open(&c->pipe, fds[0]);
	uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
	return SERVE_LATER;
}

static int read_path(const cJSON *args, const char *name, char out[PATH_MAX], struct weft_err *err)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, name));

	if (!text || strlen(text) >= PATH_MAX || !*text)
		return weft_err_set(err, EINVAL, "plan: args.%s must be a path", name);
	strcpy(out, text);
	return 0;
}

int view_plan(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(args, "args");
	struct agent *a = ctx;
	struct ahead q = {.complete = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(inner, "complete")),
	                  .config = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(inner, "config"))};
	int r = read_path(inner, "dir", q.dir, err);

	(void)result;
	if (r == 0)
		r = read_path(inner, "shown", q.shown, err);
	if (r == 0 && q.dir[0] != '/')
		r = weft_err_set(err, EINVAL, "plan: args.dir must be an absolute path");
	if (r == 0 && !cluster_synced(a->cluster))
		r = weft_err_set(err, EAGAIN, "plan: the datastore has not been read yet");
	return r < 0 ? r : start(a, &q, req, err);
}
