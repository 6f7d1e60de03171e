// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weft/log.h"

#include "agent/daemon/datastore.h"
#include "agent/daemon/lock.h"

/* A weft-cni that hangs with the lock held must not hold up the loop for long; what failed is tried again. */
#define IPAM_LOCK_MS 1000

static void on_wake(uv_timer_t *t)
{
	agent_reconcile(t->data);
}

void agent_wake(struct agent *a)
{
	if (!a->stopping && !uv_is_active((uv_handle_t *)&a->wake))
		uv_timer_start(&a->wake, on_wake, 0, 0);
}

static void tell_synced(const struct agent *a)
{
	size_t n = 0;

	for (int kind = 0; kind < WEFT_KIND_COUNT; kind++)
		n += cluster_count(a->cluster, (enum weft_kind)kind);
	n += services_count(a->services) + services_slice_count(a->services);
	log_info("the datastore has been read: %zu objects, %llu ms after the start", n,
	         (unsigned long long)((uv_hrtime() - a->started) / 1000000));
}

static void on_source(void *ctx, const struct weft_event *ev)
{
	struct agent *a = ctx;

	if (ev->type == WEFT_EV_INVALID && ev->text[0])
		log_error("%s: %s", ev->where, ev->text);
	if (!agent_services_event(a, ev))
		cluster_handle(a->cluster, ev);
	if (ev->type == WEFT_EV_SYNCED)
		tell_synced(a);
	agent_wake(a);
}

static void on_holdings(void *ctx)
{
	struct agent *a = ctx;

	a->holdings_dirty = true;
	agent_wake(a);
}

static void on_bird_again(void *ctx)
{
	struct agent *a = ctx;

	a->bgp_dirty = true;
	agent_wake(a);
}

/* Announcements may wait for its filters. */
static void on_bird_config(void *ctx)
{
	struct agent *a = ctx;

	hold_watch_look(a->hold_watch);
	agent_wake(a);
}

static int on_bird_stale(void *ctx)
{
	struct agent *a = ctx;
	struct weft_err err = WEFT_ERR_INIT;
	size_t n = 0;

	if (agent_flush_bird_routes(a, &n, &err) < 0) {
		log_error("removing the routes of a dead BIRD: %s", err.text);
		return err.code;
	}
	if (n)
		log_warning("BIRD has been away for %llu s: removed the %zu routes it left",
		            (unsigned long long)(a->cfg.bird.stale_routes_ms / 1000), n);
	return 0;
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct agent *a = s->data;

	if (signum == SIGTERM && a->cfg.drain_on_stop && cluster_synced(a->cluster) &&
	    draining_stop(a->draining)) {
		log_info("SIGTERM: draining first; a second one stops at once");
		return;
	}
	log_info("%s: stopping; routes, pods and BIRD stay as they are",
	         signum == SIGTERM ? "SIGTERM" : "SIGINT");
	uv_stop(a->loop);
}

static void on_drain_stage(void *ctx)
{
	struct agent *a = ctx;

	a->bgp_dirty = a->services_dirty = true;
	agent_wake(a);
}

static void on_drain_wake(void *ctx)
{
	agent_wake(ctx);
}

static int open_draining(struct agent *a, struct weft_err *err)
{
	struct draining_options o = {.loop = a->loop,
	                             .cluster = a->cluster,
	                             .state_dir = a->cfg.state_dir,
	                             .on_change = on_drain_stage,
	                             .on_wake = on_drain_wake,
	                             .ctx = a};

	a->handover = handover_new();
	return draining_new(&o, &a->draining, err);
}

static void begin_handles(struct agent *a)
{
	uv_timer_init(a->loop, &a->wake);
	uv_timer_init(a->loop, &a->deadline);
	uv_timer_init(a->loop, &a->farewell);
	uv_signal_init(a->loop, &a->sigterm);
	uv_signal_init(a->loop, &a->sigint);
	a->wake.data = a->deadline.data = a->farewell.data = a;
	a->sigterm.data = a->sigint.data = a;
	uv_signal_start(&a->sigterm, on_signal, SIGTERM);
	uv_signal_start(&a->sigint, on_signal, SIGINT);
}

/* A block is given up with the cooldowns of its addresses: not before they are over. */
static uint64_t release_after_s(const struct weft_config *cfg)
{
	uint64_t ms = cfg->ipam.release_empty_after_ms;

	if (ms < cfg->ipam.cooldown_ms)
		ms = cfg->ipam.cooldown_ms;
	return (ms + 999) / 1000;
}

static int open_pods(struct agent *a, struct weft_err *err)
{
	struct weft_ipam_options options = {.cooldown_ms = a->cfg.ipam.cooldown_ms,
	                                    .lock_timeout_ms = IPAM_LOCK_MS};
	struct pods_options pods = {.loop = a->loop, .wanted = a->wanted, .on_change = on_holdings, .ctx = a};
	struct holdings_options holdings = {
	        .loop = a->loop,
	        .cluster = a->cluster,
	        .source = a->source,
	        .demand = {.spare = a->cfg.ipam.spare_addresses, .release_after = release_after_s(&a->cfg)},
	        .on_change = on_holdings,
	        .ctx = a,
	};
	char dir[WEFT_PATH_MAX + 8];
	int r;

	snprintf(dir, sizeof(dir), "%s/ipam", a->cfg.state_dir);
	r = weft_ipam_open(dir, &options, &a->ipam, err);
	if (r < 0)
		return r;
	holdings.ipam = pods.ipam = a->ipam;
	pods.dir = dir;
	r = holdings_new(&holdings, &a->holdings, err);
	return r < 0 ? r : pods_new(&pods, &a->pods, err);
}

static int open_bird(struct agent *a, struct weft_err *err)
{
	struct bird_apply_options o = {
	        .loop = a->loop,
	        .node = a->cfg.node_name,
	        .config_dir = a->cfg.bird.config_dir,
	        .socket = a->cfg.bird.socket,
	        .templates = a->cfg.bird.templates,
	        .binary = a->cfg.bird.binary,
	        .stale_ms = a->cfg.bird.stale_routes_ms,
	        .on_stale = on_bird_stale,
	        .on_again = on_bird_again,
	        .on_config = on_bird_config,
	        .ctx = a,
	};

	int r = bird_apply_new(&o, &a->bird, err);

	if (r < 0)
		return r;
	a->hold_watch = hold_watch_new(a->loop, a->bird);
	return a->hold_watch ? 0 : weft_err_errno(err, ENOMEM, "BIRD's hold timers");
}

static int open_server(struct agent *a, struct weft_err *err)
{
	char path[WEFT_PATH_MAX + 16];
	int r;

	snprintf(path, sizeof(path), "%s/weftd.sock", a->cfg.run_dir);
	r = serve_open(&a->server, a->loop, path, NULL, err);
	if (r < 0)
		return r;
	r = agent_views_register(a);
	return r < 0 ? weft_err_errno(err, r, "registering the socket's commands") : 0;
}

int agent_open(struct agent *a, const struct weft_config *cfg, uv_loop_t *loop, struct weft_err *err)
{
	int r;

	*a = (struct agent){.cfg = *cfg, .loop = loop, .started = uv_hrtime(), .lock_fd = -1};
	a->env.links = a->underlay;
	a->env.advertise = true;
	counters_init(&a->counters);
	begin_handles(a);
	a->lock_fd = r = weftd_lock(cfg->state_dir, err);
	if (r < 0)
		return r;
	a->cluster = cluster_new(cfg->node_name);
	if (cfg->datastore.own_node)
		cluster_own_node_only(a->cluster);
	a->services = services_new();
	r = datastore_open(loop, cfg, &a->source, err);
	if (r == 0)
		r = agent_kernel_open(a, err);
	if (r == 0)
		r = open_pods(a, err);
	if (r == 0)
		r = agent_services_open(a, err);
	if (r == 0)
		r = open_draining(a, err);
	if (r == 0)
		r = open_bird(a, err);
	if (r == 0)
		r = agent_metrics_open(a, err);
	if (r == 0)
		r = open_server(a, err);
	if (r == 0)
		r = a->source->ops->start(a->source, on_source, a, err);
	a->underlay_dirty = a->holdings_dirty = a->tunnels_dirty = a->bgp_dirty = a->services_dirty = true;
	return r;
}

void agent_close(struct agent *a)
{
	a->stopping = true;
	agent_metrics_close(a);
	if (a->server)
		serve_close(a->server);
	pods_free(a->pods);
	holdings_free(a->holdings);
	bird_apply_free(a->bird);
	hold_watch_free(a->hold_watch);
	metrics_bird_free(a->metrics_bird);
	draining_free(a->draining);
	handover_free(a->handover);
	agent_services_close(a);
	if (a->source)
		a->source->ops->free(a->source);
	agent_kernel_close(a);
	cluster_free(a->cluster);
	services_free(a->services);
	if (a->ipam)
		weft_ipam_close(a->ipam);
	counters_free(&a->counters);
	uv_close((uv_handle_t *)&a->wake, NULL);
	uv_close((uv_handle_t *)&a->deadline, NULL);
	uv_close((uv_handle_t *)&a->farewell, NULL);
	uv_close((uv_handle_t *)&a->sigterm, NULL);
	uv_close((uv_handle_t *)&a->sigint, NULL);
	if (a->lock_fd >= 0)
		close(a->lock_fd);
}
