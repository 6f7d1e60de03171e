// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One request, one reply, one deadline for all of it.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "weft/cleanup.h"

#define REPLY_MAX ((size_t)256 << 20)

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static enum ctl_exit unreachable(struct weft_err *err, int code, const char *path)
{
	if (code == ENOENT || code == ECONNREFUSED)
		weft_err_set(err, code, "no weftd at %s: start it, or name its socket with --socket", path);
	else if (code == EACCES || code == EPERM)
		weft_err_set(err, code, "no permission for %s: run weftctl as root", path);
	else
		weft_err_errno(err, code, "connect to weftd at %s", path);
	return CTL_UNREACHABLE;
}

static enum ctl_exit no_answer(struct weft_err *err, unsigned timeout_ms)
{
	weft_err_set(err, ETIMEDOUT, "no answer from weftd within %g s: it is busy or hangs",
	             timeout_ms / 1000.0);
	return CTL_UNREACHABLE;
}

static enum ctl_exit dial(const char *path, unsigned timeout_ms, int *out, struct weft_err *err)
{
	/* Also bounds connect(2), which waits while the daemon's backlog is full. */
	struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	weft_autoclose int fd = -1;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		weft_err_set(err, ENAMETOOLONG, "socket path %.40s... is longer than %zu bytes", path,
		             sizeof(sa.sun_path) - 1);
		return CTL_USAGE;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return unreachable(err, errno, path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return errno == EAGAIN ? no_answer(err, timeout_ms) : unreachable(err, errno, path);
	*out = WEFT_TAKE_FD(fd);
	return CTL_OK;
}

/* Read up to the newline. */
static enum ctl_exit read_line(int fd, long long deadline, struct weft_buf *in, unsigned timeout_ms,
                               struct weft_err *err)
{
	char chunk[16384];

	for (;;) {
		long long left = deadline - now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return no_answer(err, timeout_ms);
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) {
			weft_err_set(err, EPIPE, "weftd closed the connection %s: see its log",
			             in->len ? "in the middle of its answer" : "without an answer");
			return CTL_UNREACHABLE;
		}
		weft_buf_add(in, chunk, (size_t)n);
		if (in->failed) {
			weft_err_set(err, E2BIG, "the answer of weftd is too long");
			return CTL_FAILED;
		}
		if (memchr(chunk, '\n', (size_t)n))
			return CTL_OK;
	}
}

static enum ctl_exit nonsense(struct weft_err *err)
{
	weft_err_set(err, EPROTO,
	             "the answer of weftd makes no sense: are weftctl and weftd of one version?");
	return CTL_FAILED;
}

/* Take the result out of a reply line. */
static enum ctl_exit open_reply(const char *line, cJSON **result, struct weft_err *err)
{
	cJSON *reply = cJSON_Parse(line);
	const cJSON *ok = cJSON_GetObjectItemCaseSensitive(reply, "ok");
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply, "error"));
	enum ctl_exit ret = CTL_FAILED;

	if (reply)
		ctl_text_clean_json(reply);
	if (cJSON_IsTrue(ok) && cJSON_HasObjectItem(reply, "result")) {
		*result = cJSON_DetachItemFromObjectCaseSensitive(reply, "result");
		ret = *result ? CTL_OK : nonsense(err);
	} else if (cJSON_IsFalse(ok) && text) {
		weft_err_set(err, EIO, "%s", text);
	} else {
		nonsense(err);
	}
	cJSON_Delete(reply);
	return ret;
}

/* The request line; failed when memory is short. */
static void put_request(const struct ctl_question *q, struct weft_buf *out)
{
	cJSON *root = cJSON_CreateObject();
	weft_autofree char *text = NULL;

	cJSON_AddStringToObject(root, "cmd", q->cmd);
	if (q->args)
		cJSON_AddItemReferenceToObject(root, "args", (cJSON *)q->args);
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	out->failed = !text;
	weft_buf_str(out, text ? text : "");
	weft_buf_char(out, '\n');
}

enum ctl_exit ctl_ask(const char *socket_path, const struct ctl_question *q, cJSON **result,
                      struct weft_err *err)
{
	long long deadline = now_ms() + q->timeout_ms;
	weft_auto(weft_buf_free) struct weft_buf in = {.max = REPLY_MAX}, line = {0};
	weft_autoclose int fd = -1;
	enum ctl_exit ret = dial(socket_path, q->timeout_ms, &fd, err);

	if (ret != CTL_OK)
		return ret;
	put_request(q, &line);
	if (line.failed) {
		weft_err_set(err, ENOMEM, "out of memory");
		return CTL_FAILED;
	}
	/* A daemon that refuses us may have hung up: what it said is still there to read. */
	if (send(fd, line.data, line.len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return unreachable(err, errno, socket_path);
	ret = read_line(fd, deadline, &in, q->timeout_ms, err);
	return ret == CTL_OK ? open_reply(in.data, result, err) : ret;
}
