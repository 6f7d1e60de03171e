// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server (http.c) per port. What they answer is asked for or kept here when a request comes, so that a
 * change of an endpoint costs a number in memory.
 *
 * "Healthy" beside a Service's count is liveness: a node that is to be drained keeps its connections, and
 * /healthz alone tells load balancers to look elsewhere.
 */
#include "agent/serve/health.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "agent/serve/http.h"
#include "weft/cleanup.h"

#define LIMIT_MS 10000

struct service {
	struct health *health;
	struct http_server *server; /* NULL: its port could not be bound */
	uint16_t port;
	uint32_t local;
	char *ns, *name;
	UT_hash_handle hh; /* by key */
	char key[];        /* NAMESPACE/NAME */
};

struct health {
	uv_loop_t *loop;
	health_proxy_fn proxy;
	void *ctx;
	struct http_server *own;
	struct service *services;
	struct health_counts counts;
};

/* --- answers --- */

/* Print the object into the answer; frees it. */
static void put_json(struct http_answer *out, cJSON *root)
{
	weft_autofree char *text = cJSON_PrintUnformatted(root);

	cJSON_Delete(root);
	out->type = "application/json";
	out->body->failed |= !text;
	weft_buf_str(out->body, text ? text : "");
}

static void answer_service(void *ctx, const char *path, struct http_answer *out)
{
	const struct service *s = ctx;
	struct health_proxy proxy = {0};
	cJSON *root = cJSON_CreateObject(), *which = cJSON_AddObjectToObject(root, "service");

	(void)path;
	s->health->proxy(s->health->ctx, &proxy);
	out->status = s->local && proxy.live ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	out->name = "X-Load-Balancing-Endpoint-Weight";
	snprintf(out->value, sizeof(out->value), "%u", s->local);
	cJSON_AddStringToObject(which, "namespace", s->ns);
	cJSON_AddStringToObject(which, "name", s->name);
	cJSON_AddNumberToObject(root, "localEndpoints", s->local);
	cJSON_AddBoolToObject(root, "serviceProxyHealthy", proxy.live);
	put_json(out, root);
}

static void add_time(cJSON *to, const char *name, uint64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	char day[32] = "", text[48];
	struct tm tm;

	if (gmtime_r(&at, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03uZ", day, (unsigned)(ms % 1000));
	cJSON_AddStringToObject(to, name, text);
}

static uint64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void count(struct health_counts *c, bool live, bool healthy)
{
	uint64_t *n = live ? &c->livez_ok : &c->healthz_ok;

	if (!healthy)
		n = live ? &c->livez_unavailable : &c->healthz_unavailable;
	(*n)++;
}

static void answer_own(void *ctx, const char *path, struct http_answer *out)
{
	struct health *h = ctx;
	bool live = !strcmp(path, "/livez"), healthy;
	struct health_proxy proxy = {0};
	uint64_t now = unix_ms();
	cJSON *root;

	if (!live && strcmp(path, "/healthz") != 0) {
		out->status = MHD_HTTP_NOT_FOUND;
		weft_buf_str(out->body, "404 page not found\n");
		return;
	}
	h->proxy(h->ctx, &proxy);
	healthy = proxy.live && (live || proxy.node_eligible);
	count(&h->counts, live, healthy);
	out->status = healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	root = cJSON_CreateObject();
	/* As with kube-proxy: while all is well, the last update is now, even if nothing had to be updated.
	 */
	add_time(root, "lastUpdated", healthy ? now : proxy.last_update_ms);
	add_time(root, "currentTime", now);
	if (!live)
		cJSON_AddBoolToObject(root, "nodeEligible", proxy.node_eligible);
	put_json(out, root);
}

struct health_counts health_counts(const struct health *h)
{
	return h->counts;
}

/* --- servers --- */

int health_new(uv_loop_t *loop, health_proxy_fn proxy, void *ctx, struct health **out, struct weft_err *err)
{
	struct health *h = calloc(1, sizeof(*h));

	if (!h)
		return weft_err_errno(err, ENOMEM, "health checks");
	h->loop = loop;
	h->proxy = proxy;
	h->ctx = ctx;
	*out = h;
	return 0;
}

int health_listen(struct health *h, const struct weft_addr *addr, uint16_t port, struct weft_err *err)
{
	struct http_server *server = NULL;
	struct http_config config = {
	        .addr = *addr, .port = port, .limit_ms = LIMIT_MS, .answer = answer_own, .ctx = h};
	int ret = http_open(h->loop, &config, &server, err);

	if (ret < 0) {
		weft_err_wrap(err, "health of the proxy");
		return ret;
	}
	http_close(h->own);
	h->own = server;
	return 0;
}

static struct service *find(const struct health *h, const char *ns, const char *name)
{
	weft_auto(weft_buf_free) struct weft_buf key = {0};
	struct service *s = NULL;

	weft_buf_printf(&key, "%s/%s", ns, name);
	HASH_FIND_STR(h->services, weft_buf_text(&key), s);
	return s;
}

static struct service *add(struct health *h, const char *ns, const char *name)
{
	size_t size = strlen(ns) + strlen(name) + 2;
	struct service *s = calloc(1, sizeof(*s) + size);

	if (!s)
		return NULL;
	s->health = h;
	s->ns = strdup(ns);
	s->name = strdup(name);
	if (!s->ns || !s->name) {
		free(s->ns);
		free(s->name);
		free(s);
		return NULL;
	}
	snprintf(s->key, size, "%s/%s", ns, name);
	HASH_ADD_STR(h->services, key, s);
	return s;
}

static void drop(struct health *h, struct service *s)
{
	HASH_DEL(h->services, s);
	http_close(s->server);
	free(s->ns);
	free(s->name);
	free(s);
}

static int open_port(struct service *s, uint16_t port, struct weft_err *err)
{
	struct http_config config = {.port = port, .limit_ms = LIMIT_MS, .answer = answer_service, .ctx = s};
	int ret;

	http_close(s->server);
	s->server = NULL;
	s->port = port;
	ret = http_open(s->health->loop, &config, &s->server, err);
	if (ret < 0)
		weft_err_wrap(err, "Service %s: healthCheckNodePort", s->key);
	return ret;
}

int health_want(struct health *h, const char *ns, const char *name, uint16_t port, uint32_t local_endpoints,
                struct weft_err *err)
{
	struct service *s = find(h, ns, name);

	if (!s)
		s = add(h, ns, name);
	if (!s)
		return weft_err_errno(err, ENOMEM, "Service %s/%s: healthCheckNodePort %u", ns, name,
		                      (unsigned)port);
	s->local = local_endpoints;
	if (s->server && s->port == port)
		return 0;
	return open_port(s, port, err);
}

void health_unwant(struct health *h, const char *ns, const char *name)
{
	struct service *s = find(h, ns, name);

	if (s)
		drop(h, s);
}

void health_free(struct health *h)
{
	struct service *s, *next;

	if (!h)
		return;
	HASH_ITER (hh, h->services, s, next)
		drop(h, s);
	http_close(h->own);
	free(h);
}
