// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What Services need of the daemon besides planning: their part of the events, health listeners, IPVS's
 * settings once its module is there, reading IPVS again now and then (it tells of no change), and the
 * controller role.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/controller.h"
#include "agent/kernel/legacy_filter.h"
#include "weft/log.h"

#define UPDATE_MAX_MS   60000 /* S26 */
#define HEALTH_RETRY_MS 60000
#define MODULE_RETRY_MS 60000
#define IPVS_TCP_S      86400 /* S28: IPVS's own 900 s cut idle connections */
#define IPVS_TCP_FIN_S  120
#define IPVS_UDP_S      300

/* --- events --- */

static bool of_services(enum weft_kind kind)
{
	return kind == WEFT_SERVICE || kind == WEFT_ENDPOINTSLICE || kind == WEFT_SERVICESTATUS;
}

bool agent_services_event(struct agent *a, const struct weft_event *ev)
{
	if (a->controller)
		controller_on_event(a->controller, ev);
	if ((ev->type != WEFT_EV_UPSERT && ev->type != WEFT_EV_DELETE) || !of_services(ev->kind))
		return false;
	counters_event(&a->counters, ev, cluster_synced(a->cluster));
	if (a->cfg.services.enabled)
		return services_handle(a->services, ev);
	weft_object_free(ev->obj);
	return true;
}

/* --- health --- */

static void on_health(void *ctx, struct health_proxy *out)
{
	const struct agent *a = ctx;
	const struct weft_object *self = cluster_self(a->cluster);
	uint64_t since = serving_oldest_pending(a->serving);

	out->live = !since || uv_hrtime() / 1000000 - since < UPDATE_MAX_MS;
	out->node_eligible = self && !self->meta.deleting && !self->node.autoscaler_taint;
	out->last_update_ms = a->services_applied_ms;
}

static void listen_health(struct agent *a)
{
	const struct weft_config_services *c = &a->cfg.services;
	struct weft_err err = WEFT_ERR_INIT;

	a->health_retry_at = 0;
	if (!c->enabled || !c->health_port)
		return;
	if (health_listen(a->health, &c->health_addr, c->health_port, &err) < 0) {
		if (!a->health_fault[0])
			log_warning("%s", err.text);
		a->health_retry_at = uv_now(a->loop) + HEALTH_RETRY_MS;
	}
	snprintf(a->health_fault, sizeof(a->health_fault), "%s", err.text);
}

/* --- IPVS --- */

static void set_up_ipvs(struct agent *a)
{
	char record[WEFT_PATH_MAX + 32];
	struct weft_err err = WEFT_ERR_INIT;

	if (a->ipvs_ready == ipvs_available(a->ipvs, NULL))
		return;
	a->ipvs_ready = !a->ipvs_ready;
	if (!a->ipvs_ready || !a->cfg.services.enabled)
		return;
	agent_want_sysctls(a);
	sysctl_resync(a->sysctl); /* its settings are there only now */
	snprintf(record, sizeof(record), "%s/" IPVS_TIMEOUTS, a->cfg.state_dir);
	agent_legacy_drop(a);
	if (ipvs_set_timeouts(a->ipvs, IPVS_TCP_S, IPVS_TCP_FIN_S, IPVS_UDP_S, record, &err) < 0)
		log_warning("timeouts of IPVS: %s", err.text);
}

static void audit(struct agent *a)
{
	uint64_t now = uv_now(a->loop), every = a->cfg.services.audit_ms;
	struct weft_err err = WEFT_ERR_INIT;

	if (!ipvs_available(a->ipvs, NULL) && (!every || every > MODULE_RETRY_MS))
		every = MODULE_RETRY_MS;
	if (!every || !ipvs_wanted(a->ipvs)) {
		a->audit_at = 0;
		return;
	}
	if (a->audit_at && now >= a->audit_at) {
		if (ipvs_resync(a->ipvs, now, &err) < 0)
			log_warning("reading IPVS: %s", err.text);
		serving_handover_audit(a->serving);
	}
	if (!a->audit_at || now >= a->audit_at)
		a->audit_at = now + every;
}

void agent_services_ready(struct agent *a)
{
	struct timespec now;

	audit(a);
	set_up_ipvs(a); /* the audit may have found the module */
	if (a->health_retry_at && uv_now(a->loop) >= a->health_retry_at)
		listen_health(a);
	if (serving_oldest_pending(a->serving))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	a->services_applied_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t agent_services_deadline(const struct agent *a)
{
	uint64_t at = IPVS_NEVER;

	if (a->audit_at)
		at = a->audit_at;
	if (a->health_retry_at && a->health_retry_at < at)
		at = a->health_retry_at;
	return at;
}

/* --- firewalls of others (H11) --- */

const char *agent_input_drop(struct agent *a)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (!a->firewall_dirty)
		return a->input_drop;
	a->firewall_dirty = false;
	if (nft_foreign_input_drop(a->nft, a->input_drop, &err) < 0)
		log_warning("reading the rules of others: %s", err.text);
	return a->input_drop;
}

/* It tells of no change: read each time. The log has what is new. */
const char *agent_legacy_drop(struct agent *a)
{
	struct weft_err err = WEFT_ERR_INIT;
	int v4 = legacy_filter_drops(AF_INET, &err), v6 = legacy_filter_drops(AF_INET6, &err);
	char text[sizeof(a->legacy_drop)] = "";

	if (v4 > 0 || v6 > 0)
		snprintf(text, sizeof(text),
		         "the chain INPUT of %s drops incoming packets by default: what it does not accept "
		         "reaches no Service; accept service addresses and node ports there",
		         v6 <= 0   ? "iptables-legacy"
		         : v4 <= 0 ? "ip6tables-legacy"
		                   : "iptables-legacy and ip6tables-legacy");
	else if (v4 < 0 || v6 < 0)
		snprintf(text, sizeof(text), "%.200s", err.text);
	if (text[0] && strcmp(text, a->legacy_drop))
		log_warning("%s", text);
	memcpy(a->legacy_drop, text, sizeof(text));
	return a->legacy_drop;
}

/* --- life --- */

static void service_problem(void *ctx, const char *key, char text[CONTROLLER_TEXT])
{
	const struct agent *a = ctx;

	serving_problems_of(a->serving, key, text, CONTROLLER_TEXT);
}

static void on_problems(void *ctx, const char *service)
{
	struct agent *a = ctx;

	if (a->controller)
		controller_retell(a->controller, service);
}

static int open_controller(struct agent *a, struct weft_err *err)
{
	struct controller_options o = {.loop = a->loop,
	                               .source = a->source,
	                               .cluster = a->cluster,
	                               .services = a->services,
	                               .default_class = a->cfg.services.default_class,
	                               .identity = a->cfg.node_name,
	                               .problem = service_problem,
	                               .ctx = a};

	if (!a->cfg.services.enabled || !(a->cfg.roles & WEFT_ROLE_CONTROLLER))
		return 0;
	return controller_new(&o, &a->controller, err);
}

int agent_services_open(struct agent *a, struct weft_err *err)
{
	struct serving_options o = {.cfg = &a->cfg,
	                            .cluster = a->cluster,
	                            .services = a->services,
	                            .links = a->links,
	                            .wanted = a->wanted,
	                            .announcer = a->announcer,
	                            .fib = a->fib,
	                            .nft = a->nft,
	                            .ipvs = a->ipvs,
	                            .conntrack = a->conntrack,
	                            .on_problems = on_problems,
	                            .ctx = a};
	int r = health_new(a->loop, on_health, a, &a->health, err);

	o.health = a->health;
	if (r == 0)
		r = serving_new(&o, &a->serving, err);
	if (r < 0)
		return r;
	a->firewall_dirty = true;
	listen_health(a);
	return open_controller(a, err);
}

void agent_services_close(struct agent *a)
{
	if (a->health)
		health_free(a->health);
	if (a->controller)
		controller_free(a->controller);
	a->controller = NULL;
	serving_free(a->serving);
	a->serving = NULL;
}
