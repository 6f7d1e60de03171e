// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/controlling.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "weft/cleanup.h"
#include "weft/log.h"

#include "agent/daemon/controller.h"
#include "agent/daemon/datastore.h"
#include "agent/daemon/lock.h"
#include "agent/daemon/metrics.h"
#include "agent/daemon/status_parts.h"
#include "agent/serve/server.h"
#include "agent/state/cluster.h"
#include "agent/state/services.h"

struct controlling {
	struct weft_config cfg;
	uv_loop_t *loop;
	uint64_t started; /* uv_hrtime() */
	int lock_fd;
	struct cluster *cluster;
	struct services *services;
	struct weft_source *source;
	struct controller *controller;
	struct serve_server *server;
	struct metrics *metrics;
	uv_signal_t sigterm, sigint;
};

/* Nothing here plans from dirty keys. */
static void forget_dirty(struct controlling *c)
{
	char key[WEFT_KEY_MAX];
	struct cluster_dirty dirty;

	while (cluster_dirty_next(c->cluster, &dirty))
		;
	while (services_next(c->services, key))
		;
}

static void on_source(void *ctx, const struct weft_event *ev)
{
	struct controlling *c = ctx;

	if (ev->type == WEFT_EV_INVALID && ev->text[0])
		log_error("%s: %s", ev->where, ev->text);
	controller_on_event(c->controller, ev);
	if (!services_handle(c->services, ev))
		cluster_handle(c->cluster, ev);
	forget_dirty(c);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct controlling *c = s->data;

	log_info("%s: stopping; Services keep their addresses", signum == SIGTERM ? "SIGTERM" : "SIGINT");
	uv_stop(c->loop);
}

static int view_status(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                       struct weft_err *err)
{
	struct controlling *c = ctx;
	cJSON *root = cJSON_CreateObject(), *problems = cJSON_CreateArray();

	(void)req;
	(void)args;
	(void)err;
	cJSON_AddStringToObject(root, "node", c->cfg.node_name);
	cJSON_AddStringToObject(root, "version", WEFT_VERSION);
	cJSON_AddNumberToObject(root, "uptimeSeconds", (double)((uv_hrtime() - c->started) / 1000000000));
	status_datastore(c->source, c->cluster, root, problems);
	status_controller(c->controller, root, problems);
	if (metrics_fault(c->metrics)[0])
		status_problem(problems, "metrics", "", metrics_fault(c->metrics));
	cluster_each_report(c->cluster, status_cluster_problem, problems);
	cJSON_AddItemToObject(root, "problems", problems);
	*result = root;
	return 0;
}

static void write_page(void *ctx, struct metrics_page *p, bool in_time)
{
	const struct controlling *c = ctx;
	struct metrics_common common = {.source = c->source,
	                                .cluster = c->cluster,
	                                .services = services_count(c->services),
	                                .slices = services_slice_count(c->services),
	                                .controller = c->controller};

	(void)in_time;
	metrics_write_common(p, &common);
}

static int open_metrics(struct controlling *c, struct weft_err *err)
{
	struct metrics_options o = {
	        .loop = c->loop, .listen = &c->cfg.metrics, .write = write_page, .ctx = c};

	c->metrics = metrics_new(&o);
	return c->metrics ? 0 : weft_err_errno(err, ENOMEM, "metrics");
}

static int open_parts(struct controlling *c, struct weft_err *err)
{
	struct controller_options o = {.loop = c->loop,
	                               .cluster = c->cluster,
	                               .services = c->services,
	                               .default_class = c->cfg.services.default_class,
	                               .identity = c->cfg.node_name,
	                               .ctx = c};
	char path[WEFT_PATH_MAX + 16];
	int r = c->lock_fd = weftd_lock(c->cfg.state_dir, err);

	if (r < 0)
		return r;
	r = datastore_open(c->loop, &c->cfg, &c->source, err);
	if (r < 0)
		return r;
	o.source = c->source;
	r = controller_new(&o, &c->controller, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/weftd.sock", c->cfg.run_dir);
	r = serve_open(&c->server, c->loop, path, NULL, err);
	if (r == 0)
		r = serve_register(c->server, "status", view_status, c,
		                   "is the controller healthy, and if not, why");
	if (r == 0)
		r = open_metrics(c, err);
	return r < 0 ? r : c->source->ops->start(c->source, on_source, c, err);
}

int controlling_open(const struct weft_config *cfg, uv_loop_t *loop, struct controlling **out,
                     struct weft_err *err)
{
	struct controlling *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return weft_err_errno(err, ENOMEM, "the controller");

	*c = (struct controlling){.cfg = *cfg, .loop = loop, .started = uv_hrtime(), .lock_fd = -1};
	uv_signal_init(loop, &c->sigterm);
	uv_signal_init(loop, &c->sigint);
	c->sigterm.data = c->sigint.data = c;
	uv_signal_start(&c->sigterm, on_signal, SIGTERM);
	uv_signal_start(&c->sigint, on_signal, SIGINT);
	c->cluster = cluster_new(cfg->node_name);
	if (cfg->datastore.own_node)
		cluster_own_node_only(c->cluster);
	c->services = services_new();
	*out = c;
	r = open_parts(c, err);
	if (r < 0)
		controlling_close(c);
	return r;
}

void controlling_close(struct controlling *c)
{
	metrics_free(c->metrics);
	if (c->server)
		serve_close(c->server);
	if (c->controller)
		controller_free(c->controller);
	if (c->source)
		c->source->ops->free(c->source);
	cluster_free(c->cluster);
	services_free(c->services);
	uv_close((uv_handle_t *)&c->sigterm, NULL);
	uv_close((uv_handle_t *)&c->sigint, NULL);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
}

void controlling_free(struct controlling *c)
{
	free(c);
}
