// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/claim.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "weft/cleanup.h"

#define REPLY_MAX 65536

uint64_t cni_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int no_daemon(const char *path, int code, struct weft_err *err)
{
	cni_fail(
	        err, CNI_E_AGAIN,
	        "weftd, which could claim another block, does not answer on %s (%s): start weftd or delete pods",
	        path, strerror(code));
	if (err)
		err->code = -ENOTCONN;
	return CNI_E_AGAIN;
}

/* Wait for an event; false when the deadline has passed. */
static bool wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		uint64_t now = cni_now_ms();
		int n;

		if (now >= deadline)
			return false;
		n = poll(&p, 1, (int)(deadline - now));
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

/* Non-blocking: a daemon that is stopped must not hold us. Returns a connected fd or a negative errno. */
static int dial(const char *path, uint64_t deadline)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	weft_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

		if (errno == EINTR)
			continue;
		if (errno !=
		    EAGAIN) /* EAGAIN: the listener's backlog is full, and poll can't tell when not */
			return -errno;
		if (cni_now_ms() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return WEFT_TAKE_FD(fd);
}

/* One line of at most REPLY_MAX bytes. 0 or a negative errno. */
static int read_line(int fd, char *line, uint64_t deadline)
{
	size_t len = 0;

	while (len < REPLY_MAX) {
		ssize_t n;
		char *end;

		if (!wait_for(fd, POLLIN, deadline))
			return -ETIMEDOUT;
		n = recv(fd, line + len, REPLY_MAX - len, 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		end = memchr(line + len, '\n', (size_t)n);
		len += (size_t)n;
		if (end) {
			*end = '\0';
			return 0;
		}
	}
	return -EMSGSIZE;
}

static void free_json(json_t **json)
{
	json_decref(*json);
}

static int judge(const char *line, struct weft_err *err)
{
	weft_auto(free_json) json_t *reply = json_loads(line, 0, NULL);
	const char *text = json_string_value(json_object_get(reply, "error"));

	if (json_is_true(json_object_get(reply, "ok")))
		return 0;
	return cni_fail(err, CNI_E_AGAIN, "weftd can't claim another block: %s",
	                text ? text : "its answer makes no sense");
}

int cni_claim(const char *socket_path, uint8_t family, uint64_t deadline_ms, struct weft_err *err)
{
	const char *request = family == AF_INET ? "{\"cmd\":\"claim\",\"family\":4}\n"
	                                        : "{\"cmd\":\"claim\",\"family\":6}\n";
	weft_autofree char *line = malloc(REPLY_MAX);
	weft_autoclose int fd = dial(socket_path, deadline_ms);
	int r = fd < 0 ? fd : 0;

	if (!line)
		return no_daemon(socket_path, ENOMEM, err);
	/* A fresh socket's buffer takes so few bytes at once. */
	if (!r && send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		r = -EPIPE;
	if (!r)
		r = read_line(fd, line, deadline_ms);
	return r ? no_daemon(socket_path, -r, err) : judge(line, err);
}
