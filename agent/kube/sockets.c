// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *	libcurl --"watch fd for ..."--> uv_poll --ready--> curl_multi_socket_action() --> after()
 *	        --"call me in t ms"---> uv_timer --------^
 *
 * A socket's handle is closed when libcurl lets go of the socket, before it closes the descriptor; the number
 * may come back while the old handle is still closing, which is nobody's concern: a stopped uv_poll no longer
 * knows its descriptor. Memory of the net goes with its last handle.
 *
 * For a reset connection libuv reports an error and stops watching. libcurl is told that it may read and
 * write: so it gets the bytes that came before the reset, then the socket's own error.
 */
#include "agent/kube/sockets.h"

#include <stdbool.h>
#include <stdlib.h>
#include <utlist.h>

struct sock {
	struct sock *prev, *next;
	struct kube_net *net;
	uv_poll_t poll;
	curl_socket_t fd;
	int events; /* wanted */
};

struct kube_net {
	uv_loop_t *loop;
	const struct kube_curl *curl;
	CURLM *multi; /* NULL: freed, and handles are closing */
	uv_timer_t timer;
	struct sock *socks;
	size_t handles, transfers;
	void (*after)(void *ctx);
	void *ctx;
};

static void handle_gone(struct kube_net *n)
{
	if (--n->handles == 0)
		free(n);
}

static void on_sock_closed(uv_handle_t *handle)
{
	struct sock *s = handle->data;

	handle_gone(s->net);
	free(s);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

static void sock_close(struct sock *s)
{
	DL_DELETE(s->net->socks, s);
	uv_poll_stop(&s->poll);
	uv_close((uv_handle_t *)&s->poll, on_sock_closed);
}

static void act(struct kube_net *n, curl_socket_t fd, int events)
{
	int running;

	n->curl->multi_socket_action(n->multi, fd, events, &running);
	n->after(n->ctx);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct sock *s = poll->data;

	if (status < 0) {
		events = s->events;
		uv_poll_start(poll, events, on_ready);
	}
	act(s->net, s->fd,
	    (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void on_time(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static struct sock *sock_new(struct kube_net *n, curl_socket_t fd)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (!s || uv_poll_init_socket(n->loop, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->net = n;
	s->fd = fd;
	s->poll.data = s;
	n->handles++;
	DL_APPEND(n->socks, s);
	n->curl->multi_assign(n->multi, fd, s);
	return s;
}

/* CURLMOPT_SOCKETFUNCTION */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
	struct kube_net *n = ctx;
	struct sock *s = assigned;
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_close(s);
		return 0;
	}
	if (!s)
		s = sock_new(n, fd);
	if (!s)
		return -1;
	s->events = events;
	return uv_poll_start(&s->poll, events, on_ready) == 0 ? 0 : -1;
}

/* CURLMOPT_TIMERFUNCTION: not to be served from within libcurl, not even when it is due at once. */
static int on_timeout_wish(CURLM *multi, long ms, void *ctx)
{
	struct kube_net *n = ctx;

	(void)multi;
	if (ms < 0)
		return uv_timer_stop(&n->timer);
	return uv_timer_start(&n->timer, on_time, (uint64_t)ms, 0);
}

struct kube_net *kube_net_new(uv_loop_t *loop, const struct kube_curl *curl, void (*after)(void *ctx),
                              void *ctx)
{
	struct kube_net *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	*n = (struct kube_net){.loop = loop, .curl = curl, .after = after, .ctx = ctx};
	n->multi = curl->multi_init();
	if (!n->multi) {
		free(n);
		return NULL;
	}
	uv_timer_init(loop, &n->timer);
	n->timer.data = n;
	n->handles = 1;
	curl->multi_setopt(n->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl->multi_setopt(n->multi, CURLMOPT_SOCKETDATA, n);
	curl->multi_setopt(n->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wish);
	curl->multi_setopt(n->multi, CURLMOPT_TIMERDATA, n);
	return n;
}

CURLMcode kube_net_add(struct kube_net *n, CURL *easy)
{
	CURLMcode code = n->curl->multi_add_handle(n->multi, easy);

	n->transfers += code == CURLM_OK;
	return code;
}

void kube_net_remove(struct kube_net *n, CURL *easy)
{
	n->curl->multi_remove_handle(n->multi, easy);
	n->transfers--;
}

size_t kube_net_count(const struct kube_net *n)
{
	return n->transfers;
}

CURL *kube_net_ended(struct kube_net *n, CURLcode *code)
{
	const CURLMsg *msg;
	int left;

	while ((msg = n->curl->multi_info_read(n->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		*code = msg->data.result;
		return msg->easy_handle;
	}
	return NULL;
}

void kube_net_free(struct kube_net *n)
{
	struct sock *s, *next;

	n->curl->multi_cleanup(n->multi);
	n->multi = NULL;
	DL_FOREACH_SAFE(n->socks, s, next)
	sock_close(s);
	uv_close((uv_handle_t *)&n->timer, on_timer_closed);
}
