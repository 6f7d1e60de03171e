// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a call:
 *
 *	kube_send() --> queue --turn()--> running: in a net, libcurl at work --turn()--> on_done, gone
 *
 * libcurl must not be called from its own callbacks, and the caller's on_open and on_data are among them.
 * So nothing but turn() begins, ends or removes a transfer: it runs when libcurl is done with a piece of work
 * (sockets.c's `after`) and when the timer fires, which is set for the earliest limit of a call and for now
 * while something waits. kube_cancel() and kube_free() from within a callback leave a mark that turn() sees.
 *
 * Connections belong to a net. A new one is made, and the old one left to the calls that are in it, when
 * other certificates are to be used, and when a server went silent: with HTTP/2 the next call would otherwise
 * share the dead connection.
 */
#include "agent/kube/client_private.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "weft/keyhash.h"

static void on_timer(uv_timer_t *timer);

/* Memory of calls */

static void call_free(struct kube_call *c)
{
	kube_answer_drop(c);
	if (c->secret && c->body)
		sodium_memzero(c->body, c->body_len);
	free(c->body);
	free(c->content_type);
	free(c->method);
	free(c->path);
	free(c);
}

static void net_remove(struct kube_call *c)
{
	struct kube *k = c->kube;
	struct kube_old_net **o = &k->old;

	kube_net_remove(c->net, c->easy);
	while (*o && (*o)->net != c->net)
		o = &(*o)->next;
	if (*o && kube_net_count(c->net) == 0) {
		struct kube_old_net *gone = *o;

		*o = gone->next;
		kube_net_free(gone->net);
		free(gone);
	}
	c->net = NULL;
}

/* Out of its list and of libcurl. */
static void detach(struct kube_call *c)
{
	struct kube *k = c->kube;

	if (c->net) {
		DL_DELETE(k->running, c);
		net_remove(c);
	} else {
		DL_DELETE(k->queue, c);
	}
	kube_request_drop(c);
}

static void call_drop(struct kube_call *c)
{
	detach(c);
	call_free(c);
}

/* Connections */

static void turn(void *kube);

static void net_retire(struct kube *k, struct kube_net *net)
{
	struct kube_old_net *old;

	if (kube_net_count(net) == 0) {
		kube_net_free(net);
		return;
	}
	old = must_alloc(1, sizeof(*old));
	old->net = net;
	LL_PREPEND(k->old, old);
}

static bool net_renew(struct kube *k)
{
	struct kube_net *net = kube_net_new(k->loop, k->curl, turn, k);

	if (!net)
		return false;
	if (k->net)
		net_retire(k, k->net);
	k->net = net;
	return true;
}

/* End */

/* The server gave nothing at all, or fell silent: the next call goes to the next one. */
static void note_failure(struct kube_call *c)
{
	struct kube *k = c->kube;

	k->health.failures++;
	snprintf(k->health.error, sizeof(k->health.error), "%s", c->err.text);
	if (!c->net)
		return;
	if ((c->status == 0 || c->silent) && c->server == k->server)
		k->server = (k->server + 1) % k->access.n_servers;
	if (c->silent && c->net == k->net)
		net_renew(k);
}

static void doom(struct kube_call *c, const char *why)
{
	c->doomed = true;
	snprintf(c->curl_error, sizeof(c->curl_error), "%s", why);
}

/* A connection could not be made: neither will those calls have one that wait for it. */
static void doom_waiting(struct kube_call *failed)
{
	struct kube_call *c;

	DL_FOREACH (failed->kube->running, c)
		if (c != failed && c->net == failed->net && c->server == failed->server && !c->attempts &&
		    !c->doomed)
			doom(c, failed->curl_error);
}

static void finish(struct kube_call *c, CURLcode code)
{
	struct kube *k = c->kube;
	struct kube_answer a;

	kube_answer_make(c, code, &a);
	if (a.result == KUBE_NO_ANSWER) {
		if (c->net && !c->attempts && !c->doomed)
			doom_waiting(c);
		note_failure(c);
	}
	if (a.result == KUBE_UNAUTHORIZED)
		k->credentials.stale = true;
	detach(c);
	if (c->on_done)
		c->on_done(c->ctx, &a);
	call_free(c);
}

/* Begin */

static bool path_valid(const char *path)
{
	for (const char *p = path; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '#')
			return false;
	return *path == '/';
}

static bool prepare(struct kube_call *c)
{
	struct kube *k = c->kube;
	struct weft_err problem = WEFT_ERR_INIT;
	bool tls_changed = false;

	if (!path_valid(c->path)) {
		doom(c, "the path is not encoded");
		return false;
	}
	if (kube_credentials_refresh(&k->credentials, &tls_changed, &problem) < 0) {
		doom(c, problem.text);
		return false;
	}
	if (tls_changed)
		net_renew(k);
	c->server = k->server;
	c->identity = kube_identity_ref(k->credentials.now);
	return kube_request_prepare(c);
}

static void begin(struct kube_call *c)
{
	struct kube *k = c->kube;

	k->health.requests++;
	c->started_ms = c->heard_ms = uv_now(k->loop);
	if (!prepare(c) || kube_net_add(k->net, c->easy) != CURLM_OK) {
		finish(c, CURLE_FAILED_INIT);
		return;
	}
	DL_DELETE(k->queue, c);
	DL_APPEND(k->running, c);
	c->net = k->net;
}

/* Those that are there now: what a failed one's on_done sends waits for the next turn. */
static void begin_queued(struct kube *k)
{
	struct kube_call *c;
	size_t n;

	DL_COUNT(k->queue, c, n);
	while (n-- && k->queue && !k->dead)
		begin(k->queue);
}

/* Limits */

static uint64_t limit_of(const struct kube_call *c)
{
	uint64_t total = c->timeout_ms == UINT64_MAX ? UINT64_MAX : c->started_ms + c->timeout_ms;
	uint64_t idle = c->idle_ms ? c->heard_ms + c->idle_ms : UINT64_MAX;

	return total < idle ? total : idle;
}

/*
 * When the loop was kept from running, bytes may be waiting that would prove the call alive: sockets are
 * looked at once more, between this timer and the next, before it is ended.
 */
static void check_limit(struct kube_call *c, uint64_t now)
{
	char why[80];
	bool idle = c->idle_ms && now >= c->heard_ms + c->idle_ms;

	if (c->doomed || now < limit_of(c))
		return;
	if (!c->last_chance) {
		c->last_chance = true;
		return;
	}
	c->silent = idle || c->status == 0;
	snprintf(why, sizeof(why), idle ? "silent for %llu ms" : "no whole answer within %llu ms",
	         (unsigned long long)(idle ? c->idle_ms : c->timeout_ms));
	doom(c, why);
}

static void check_limits(struct kube *k)
{
	struct kube_call *c;

	DL_FOREACH (k->running, c)
		check_limit(c, uv_now(k->loop));
}

/* For now is 1 ms: a timer of 0 would fire again before the sockets are looked at. */
static void arm(struct kube *k)
{
	uint64_t now = uv_now(k->loop), due = k->queue ? now : UINT64_MAX;
	const struct kube_call *c;

	DL_FOREACH (k->running, c)
		due = limit_of(c) < due ? limit_of(c) : due;
	if (due == UINT64_MAX)
		uv_timer_stop(&k->timer);
	else
		uv_timer_start(&k->timer, on_timer, due > now ? due - now : 1, 0);
}

/* The turn */

static void drop_cancelled(struct kube *k)
{
	struct kube_call *c, *next;

	DL_FOREACH_SAFE(k->running, c, next)
	if (c->cancelled)
		call_drop(c);
	DL_FOREACH_SAFE(k->queue, c, next)
	if (c->cancelled)
		call_drop(c);
}

/* One at a time: its on_done may cancel others, and a net may go. */
static bool finish_ended(struct kube *k)
{
	const struct kube_old_net *old = k->old;
	struct kube_call *c = NULL;
	CURLcode code = CURLE_OK;
	CURL *easy = kube_net_ended(k->net, &code);

	for (; !easy && old; old = old->next)
		easy = kube_net_ended(old->net, &code);
	if (!easy)
		return false;
	k->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &c);
	finish(c, code);
	return true;
}

static bool finish_doomed(struct kube *k)
{
	struct kube_call *c;

	DL_FOREACH (k->running, c) {
		if (!c->doomed)
			continue;
		finish(c, CURLE_OPERATION_TIMEDOUT);
		return true;
	}
	return false;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void destroy(struct kube *k)
{
	while (k->queue)
		call_drop(k->queue);
	while (k->running)
		call_drop(k->running);
	kube_net_free(k->net);
	kube_credentials_free(&k->credentials);
	kube_access_free(&k->access);
	free(k->user_agent);
	uv_close((uv_handle_t *)&k->timer, on_closed);
}

static void turn(void *kube)
{
	struct kube *k = kube;

	k->turning = true;
	if (!k->dead)
		drop_cancelled(k);
	while (!k->dead && finish_ended(k))
		;
	while (!k->dead && finish_doomed(k))
		;
	begin_queued(k);
	k->turning = false;
	if (k->dead)
		destroy(k);
	else
		arm(k);
}

static void on_timer(uv_timer_t *timer)
{
	check_limits(timer->data);
	turn(timer->data);
}

/* The callers' side */

int kube_new(uv_loop_t *loop, const struct kube_access *access, const char *user_agent, struct kube **out,
             struct weft_err *err)
{
	const struct kube_curl *curl = kube_curl(err);
	struct kube *k;
	int r;

	if (!curl)
		return err ? err->code : -ENOENT;
	if (sodium_init() < 0 || !access->n_servers)
		return weft_err_set(err, EINVAL, "no API server is named");
	k = calloc(1, sizeof(*k));
	if (!k)
		return weft_err_errno(err, ENOMEM, "the API client");
	*k = (struct kube){.loop = loop, .curl = curl, .user_agent = strdup(user_agent)};
	r = kube_access_copy(access, &k->access, err);
	if (r == 0 && (!k->user_agent || !net_renew(k)))
		r = weft_err_errno(err, ENOMEM, "the API client");
	if (r < 0) {
		kube_access_free(&k->access);
		free(k->user_agent);
		free(k);
		return r;
	}
	signal(SIGPIPE, SIG_IGN); /* a server hangs up while we write: that is a result, no signal */
	k->credentials.access = &k->access;
	uv_timer_init(loop, &k->timer);
	k->timer.data = k;
	*out = k;
	return 0;
}

static char *copied(const char *text, size_t len)
{
	return memcpy(must_alloc(1, len + 1), text, len);
}

struct kube_call *kube_send(struct kube *k, const struct kube_request *r)
{
	const char *type = r->content_type ? r->content_type : "application/json";
	struct kube_call *c = must_alloc(1, sizeof(*c));

	c->kube = k;
	c->method = must_strdup(r->method);
	c->path = must_strdup(r->path);
	c->content_type = must_strdup(type);
	c->body = r->body ? copied(r->body, r->len) : NULL;
	c->body_len = r->body ? r->len : 0;
	c->max_body = r->max_body ? r->max_body : KUBE_MAX_BODY;
	c->timeout_ms = r->timeout_ms ? r->timeout_ms : KUBE_TIMEOUT_MS;
	c->idle_ms = r->idle_ms;
	c->secret = r->secret;
	c->on_open = r->on_open;
	c->on_data = r->on_data;
	c->on_done = r->on_done;
	c->ctx = r->ctx;
	DL_APPEND(k->queue, c);
	if (!k->turning && !k->in_data)
		uv_timer_start(&k->timer, on_timer, 0, 0);
	return c;
}

void kube_cancel(struct kube_call *c)
{
	if (c->kube->in_data)
		c->cancelled = true;
	else
		call_drop(c);
}

void kube_free(struct kube *k)
{
	k->dead = true;
	if (!k->turning && !k->in_data)
		destroy(k);
}

void kube_health(const struct kube *k, struct kube_health *out)
{
	*out = k->health;
	out->server = k->access.servers[k->server];
}
