// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libmicrohttpd keeps everything that it waits for in one epoll descriptor. We poll that, and call MHD_run()
 * when it is readable, or when the timer says so: MHD may have work that no descriptor announces, and
 * connections have a deadline. That deadline is ours: MHD's own time-out counts from the last byte, so that a
 * client which sends one now and then would never be done.
 *
 * A late connection is shut down, not closed: the descriptor is MHD's, which sees the end and forgets it.
 */
#include "agent/serve/http.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "weft/cleanup.h"

#define BACKLOG 128

struct connection {
	struct connection *prev, *next;
	struct MHD_Connection *mhd;
	int fd;
	bool waits;        /* suspended: its answer comes later */
	uint64_t deadline; /* uv_now(); all have the same time, so the list is in order */
};

struct http_server {
	uv_loop_t *loop;
	struct MHD_Daemon *mhd;
	uv_poll_t poll;
	uv_timer_t timer;
	int handles; /* of poll and timer, not yet closed */
	struct connection *connections;
	unsigned count; /* of them */
	bool full;      /* the limit was reached: MHD doesn't look at the listening socket */
	bool closing;
	struct http_config config;
};

/* --- requests --- */

static enum MHD_Result add_headers(struct MHD_Response *r, const struct http_answer *a)
{
	return MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type) &&
	                       MHD_add_response_header(r, "X-Content-Type-Options", "nosniff") &&
	                       MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close") &&
	                       (!a->name || MHD_add_response_header(r, a->name, a->value))
	               ? MHD_YES
	               : MHD_NO;
}

static enum MHD_Result wait_for_answer(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct connection *c = info ? info->socket_context : NULL;

	if (!c)
		return MHD_NO;
	c->waits = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

/* Called first when the headers are there: answered at once, whatever body may follow, or suspended and called
 * again, as if for the first time. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
	struct http_server *s = cls;
	weft_auto(weft_buf_free) struct weft_buf body = {0};
	struct http_answer a = {
	        .status = MHD_HTTP_INTERNAL_SERVER_ERROR, .type = "text/plain", .body = &body};
	struct MHD_Response *r;
	enum MHD_Result ret;

	(void)method, (void)version, (void)upload, (void)upload_size, (void)state;
	if (s->closing)
		return MHD_NO;
	s->config.answer(s->config.ctx, url, &a);
	if (a.later)
		return wait_for_answer(connection);
	if (body.failed)
		return MHD_NO;
	r = MHD_create_response_from_buffer(body.len, (void *)weft_buf_text(&body), MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	ret = add_headers(r, &a) == MHD_YES ? MHD_queue_response(connection, a.status, r) : MHD_NO;
	MHD_destroy_response(r);
	return ret;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_server *s = cls;
	struct connection *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		s->count--;
		if (c)
			DL_DELETE(s->connections, c);
		free(c);
		*context = NULL;
		return;
	}
	s->full |= ++s->count == HTTP_CONNECTIONS;
	c = info ? calloc(1, sizeof(*c)) : NULL;
	*context = c;
	if (!c) {
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	c->mhd = connection;
	c->fd = info->connect_fd;
	c->deadline = uv_now(s->loop) + s->config.limit_ms;
	DL_APPEND(s->connections, c);
}

/* --- the loop --- */

static void on_timer(uv_timer_t *timer);

static void end_late(struct http_server *s)
{
	uint64_t now = uv_now(s->loop);
	struct connection *c;

	while ((c = s->connections) && c->deadline <= now) {
		shutdown(c->fd, SHUT_RDWR);
		c->deadline = UINT64_MAX;
		DL_DELETE(s->connections, c);
		DL_APPEND(s->connections, c);
	}
}

/* When a connection of a full server ends, MHD listens again in its next run, which nothing would start. */
static void run_mhd(struct http_server *s)
{
	bool again;

	do {
		MHD_run(s->mhd);
		again = s->full && s->count < HTTP_CONNECTIONS;
		s->full &= !again;
	} while (again);
}

static void run(struct http_server *s)
{
	uint64_t now = uv_now(s->loop), wait = UINT64_MAX;
	MHD_UNSIGNED_LONG_LONG mhd_wait;

	end_late(s);
	run_mhd(s);
	if (s->connections && s->connections->deadline != UINT64_MAX)
		wait = s->connections->deadline > now ? s->connections->deadline - now : 0;
	if (MHD_get_timeout(s->mhd, &mhd_wait) == MHD_YES && mhd_wait < wait)
		wait = mhd_wait;
	if (wait == UINT64_MAX)
		uv_timer_stop(&s->timer);
	else
		uv_timer_start(&s->timer, on_timer, wait, 0);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	run(poll->data);
}

static void resume(struct http_server *s)
{
	struct connection *c;

	DL_FOREACH (s->connections, c) {
		if (c->waits)
			MHD_resume_connection(c->mhd);
		c->waits = false;
	}
}

void http_resume(struct http_server *s)
{
	resume(s);
	run(s);
}

/* --- opening and closing --- */

static socklen_t fill_address(const struct weft_addr *addr, uint16_t port, bool v4,
                              struct sockaddr_storage *out)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)out;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (v4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, addr->bytes, sizeof(sin->sin_addr));
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, addr->bytes, sizeof(sin6->sin6_addr));
	return sizeof(*sin6);
}

/* Our own socket, not MHD's: it would not tell what failed. */
static int listen_on(const struct weft_addr *addr, uint16_t port)
{
	bool any = !weft_addr_is_set(addr), v4 = addr->family == AF_INET;
	const int on = 1, only = !any;
	struct sockaddr_storage sa;
	socklen_t len;
	weft_autoclose int fd = -1;

	if (!v4)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && any && errno == EAFNOSUPPORT)
		v4 = true;
	if (v4)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	len = fill_address(addr, port, v4, &sa);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0) ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return WEFT_TAKE_FD(fd);
}

/* The socket belongs to MHD from here on, except when it fails before it took it. */
static int start_mhd(struct http_server *s, int fd)
{
	unsigned flags = MHD_USE_EPOLL | (s->config.later ? MHD_ALLOW_SUSPEND_RESUME : 0u);

	s->mhd = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
	                          MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS,
	                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_BYTES,
	                          MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
	if (s->mhd)
		return 0;
	if (fcntl(fd, F_GETFD) >= 0)
		close(fd);
	return -ENOMEM;
}

static void on_closed(uv_handle_t *handle)
{
	struct http_server *s = handle->data;

	if (--s->handles == 0)
		free(s);
}

static int start_polling(struct http_server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int ret = info ? uv_poll_init(s->loop, &s->poll, info->epoll_fd) : -ENOTSUP;

	if (ret < 0)
		return ret;
	uv_timer_init(s->loop, &s->timer);
	s->poll.data = s->timer.data = s;
	s->handles = 2;
	return uv_poll_start(&s->poll, UV_READABLE, on_readable);
}

int http_open(uv_loop_t *loop, const struct http_config *config, struct http_server **out,
              struct weft_err *err)
{
	const struct weft_addr *addr = &config->addr;
	struct http_server *s = calloc(1, sizeof(*s));
	char text[WEFT_ADDR_STR];
	int ret = s ? listen_on(addr, config->port) : -ENOMEM;

	if (s && ret >= 0) {
		s->loop = loop;
		s->config = *config;
		ret = start_mhd(s, ret);
		if (ret == 0)
			ret = start_polling(s);
	}
	if (ret < 0) {
		http_close(s);
		return weft_err_errno(err, ret, "listen on %s, port %u",
		                      weft_addr_is_set(addr) ? weft_addr_str(addr, text) : "all addresses",
		                      (unsigned)config->port);
	}
	*out = s;
	return 0;
}

void http_close(struct http_server *s)
{
	if (!s)
		return;
	if (s->handles) {
		/* libuv must forget the descriptor before MHD closes it. */
		uv_close((uv_handle_t *)&s->poll, on_closed);
		uv_close((uv_handle_t *)&s->timer, on_closed);
	}
	s->closing = true;
	if (s->mhd) {
		resume(s); /* MHD stops no daemon that has a suspended one */
		MHD_stop_daemon(s->mhd);
	}
	s->mhd = NULL;
	if (!s->handles)
		free(s);
}
