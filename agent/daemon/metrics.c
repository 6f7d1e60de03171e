// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/log.h"

#include "agent/serve/http.h"

#define LIMIT_MS    10000
#define RETRY_MS    60000
#define PATIENCE_MS 1000

#define FAMILY(id, n, t, l, h) [METRIC_##id] = {.name = (n), .type = METRICS_##t, .labels = (l), .help = (h)},
const struct metrics_family metrics_families[METRIC_COUNT] = {METRICS_ALL(FAMILY)};

struct metrics {
	struct metrics_options o;
	struct http_server *server;
	uv_timer_t patience, retry;
	int handles;
	bool asking;        /* a page is on its way */
	bool done, in_time; /* it can be written now */
	char fault[WEFT_ERR_TEXT];
};

void metric(struct metrics_page *p, enum metric which)
{
	metrics_begin(p, &metrics_families[which]);
}

void metric_single(struct metrics_page *p, enum metric which, double number)
{
	metrics_single(p, &metrics_families[which], number);
}

/* --- requests --- */

static void end(struct metrics *m, bool in_time)
{
	uv_timer_stop(&m->patience);
	m->done = true;
	m->in_time = in_time;
	http_resume(m->server);
	m->asking = m->done = false;
}

static void on_patience(uv_timer_t *t)
{
	end(t->data, false);
}

void metrics_ready(struct metrics *m)
{
	if (m->asking && m->server)
		end(m, true);
}

static bool must_wait(struct metrics *m)
{
	if (m->done)
		return false;
	if (m->asking)
		return true;
	m->in_time = true;
	m->asking = m->o.ask && m->o.ask(m->o.ctx);
	if (m->asking)
		uv_timer_start(&m->patience, on_patience, m->o.patience_ms, 0);
	return m->asking;
}

static void answer(void *ctx, const char *path, struct http_answer *out)
{
	struct metrics *m = ctx;
	struct metrics_page page = {.out = out->body};

	if (strcmp(path, "/metrics") != 0) {
		out->status = 404;
		weft_buf_str(out->body, "404 page not found: it is /metrics\n");
		return;
	}
	out->later = must_wait(m);
	if (out->later)
		return;
	out->status = 200;
	out->type = METRICS_CONTENT_TYPE;
	m->o.write(m->o.ctx, &page, m->in_time);
}

/* --- life --- */

static void on_retry(uv_timer_t *t);

static void listen_on(struct metrics *m)
{
	struct http_config config = {.addr = m->o.listen->addr,
	                             .port = m->o.listen->port,
	                             .limit_ms = LIMIT_MS,
	                             .answer = answer,
	                             .ctx = m,
	                             .later = true};
	struct weft_err err = WEFT_ERR_INIT;

	if (http_open(m->o.loop, &config, &m->server, &err) < 0) {
		m->server = NULL;
		if (!m->fault[0])
			log_warning("metrics: %s", err.text);
		uv_timer_start(&m->retry, on_retry, RETRY_MS, 0);
	}
	snprintf(m->fault, sizeof(m->fault), "%s", err.text);
}

static void on_retry(uv_timer_t *t)
{
	listen_on(t->data);
}

struct metrics *metrics_new(const struct metrics_options *o)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->o = *o;
	if (!m->o.patience_ms)
		m->o.patience_ms = PATIENCE_MS;
	uv_timer_init(o->loop, &m->patience);
	uv_timer_init(o->loop, &m->retry);
	m->patience.data = m->retry.data = m;
	m->handles = 2;
	if (o->listen->port)
		listen_on(m);
	return m;
}

static void on_closed(uv_handle_t *handle)
{
	struct metrics *m = handle->data;

	if (--m->handles == 0)
		free(m);
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	http_close(m->server);
	m->server = NULL;
	uv_close((uv_handle_t *)&m->patience, on_closed);
	uv_close((uv_handle_t *)&m->retry, on_closed);
}

const char *metrics_fault(const struct metrics *m)
{
	return m->fault;
}
