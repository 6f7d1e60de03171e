// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/marks.h"

#include "agent/daemon/status_parts.h"
#include "agent/plan/bgp.h"

static void block_problem(void *ctx, const char *text)
{
	status_problem(ctx, "pod addresses", "", text);
}

static void add_ipam(struct agent *a, cJSON *root)
{
	struct weft_ipam_block *blocks = NULL;
	double used = 0, unused = 0;
	size_t n = 0;
	cJSON *item;

	if (weft_ipam_list(a->ipam, &blocks, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			used += blocks[i].counts.used;
			unused += blocks[i].counts.free;
		}
	weft_ipam_blocks_free(blocks, n);
	item = cJSON_AddObjectToObject(root, "ipam");
	cJSON_AddNumberToObject(item, "used", used);
	cJSON_AddNumberToObject(item, "free", unused);
	item = cJSON_AddObjectToObject(root, "blocks");
	cJSON_AddNumberToObject(item, "own", (double)n);
	cJSON_AddNumberToObject(item, "total", (double)cluster_count(a->cluster, WEFT_IPBLOCK));
}

struct conflict_walk {
	cJSON *problems;
	size_t shown;
};

static bool route_problem(void *ctx, const struct fib_view *v)
{
	struct conflict_walk *w = ctx;
	char text[WEFT_ROUTE_STR + 300], route[WEFT_ROUTE_STR];

	if (v->state != FIB_CONFLICT && v->state != FIB_FAILED)
		return true;
	snprintf(text, sizeof(text), "%s: %s", weft_route_str(v->route, route), v->text);
	status_problem(w->problems, "route", "", text);
	return ++w->shown < 20;
}

static void add_routes(const struct agent *a, cJSON *root, cJSON *problems)
{
	struct fib_stats s = fib_stats(a->fib);
	struct conflict_walk w = {.problems = problems};
	cJSON *item = cJSON_AddObjectToObject(root, "routes");

	cJSON_AddNumberToObject(item, "wanted", (double)wanted_count(a->wanted));
	cJSON_AddNumberToObject(item, "installed", (double)s.count[FIB_INSTALLED]);
	cJSON_AddNumberToObject(item, "pending", (double)(s.count[FIB_PENDING] + s.count[FIB_FAILED]));
	cJSON_AddNumberToObject(item, "notReady", (double)s.count[FIB_NOT_READY]);
	cJSON_AddNumberToObject(item, "conflicts", (double)s.count[FIB_CONFLICT]);
	if (s.count[FIB_CONFLICT] || s.count[FIB_FAILED])
		fib_foreach(a->fib, route_problem, &w);
}

static void add_tunnels(const struct agent *a, cJSON *root, cJSON *problems)
{
	static const char *const names[] = {[TUNNEL_IPIP] = WEFT_DEV_IPIP, [TUNNEL_SIT] = WEFT_DEV_SIT};
	cJSON *list = cJSON_AddArrayToObject(root, "tunnels");

	for (int type = 0; type < TUNNEL_TYPES; type++) {
		const struct link_info *link = links_by_name(a->links, names[type]);
		const char *fault = tunnel_fault(a->tunnel, (enum tunnel_type)type);
		cJSON *item;

		if (type == TUNNEL_IPIP ? !a->env.ipip_ready : !a->env.sit_ready)
			continue;
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "dev", names[type]);
		view_addr(item, "address", type == TUNNEL_IPIP ? &a->env.tunnel4 : &a->env.tunnel6);
		cJSON_AddNumberToObject(item, "mtu", link ? link->mtu : a->tunnels_plan.mtu);
		cJSON_AddStringToObject(item, "state",
		                        fault[0]           ? "failed"
		                        : link && link->up ? "up"
		                                           : "pending");
		cJSON_AddItemToArray(list, item);
		if (fault[0])
			status_problem(problems, names[type], "", fault);
	}
	if (a->tunnels_plan.reason[0])
		status_problem(problems, "tunnels", "", a->tunnels_plan.reason);
}

struct service_walk {
	cJSON *problems;
	size_t shown;
};

static void service_problem(void *ctx, const char *service, const char *text)
{
	struct service_walk *w = ctx;
	char object[WEFT_KEY_MAX + 16];

	if (w->shown++ >= 20)
		return;
	snprintf(object, sizeof(object), "Service %s", service);
	status_problem(w->problems, object, "", text);
}

static void add_services(struct agent *a, cJSON *root, cJSON *problems)
{
	struct serving_stats s = serving_stats(a->serving);
	struct service_walk w = {.problems = problems};
	struct weft_err err = WEFT_ERR_INIT;
	cJSON *item = cJSON_AddObjectToObject(root, "services");

	cJSON_AddNumberToObject(item, "total", (double)services_count(a->services));
	cJSON_AddNumberToObject(item, "virtualServices", (double)ipvs_stats(a->ipvs).services);
	cJSON_AddNumberToObject(item, "destinations", (double)ipvs_stats(a->ipvs).dests);
	cJSON_AddNumberToObject(item, "vips", (double)s.vips);
	cJSON_AddNumberToObject(item, "announced", (double)s.announced);
	cJSON_AddNumberToObject(item, "waiting", (double)s.waiting);
	if (a->controller)
		status_controller(a->controller, root, problems);
	if (ipvs_stats(a->ipvs).services && !ipvs_available(a->ipvs, &err))
		status_problem(problems, "IPVS", "", err.text);
	if (s.vips && agent_input_drop(a)[0])
		status_problem(problems, "firewall", "", agent_input_drop(a));
	if (s.vips && agent_legacy_drop(a)[0])
		status_problem(problems, "firewall", "", a->legacy_drop);
	if (a->health_fault[0])
		status_problem(problems, "health listener", "", a->health_fault);
	serving_each_problem(a->serving, service_problem, &w);
}

static cJSON *status_base(struct agent *a)
{
	cJSON *root = cJSON_CreateObject(), *list, *problems = cJSON_CreateArray();
	const struct weft_object *self = cluster_self(a->cluster);
	char text[WEFT_ADDR_STR];

	cJSON_AddStringToObject(root, "node", a->cfg.node_name);
	cJSON_AddStringToObject(root, "version", WEFT_VERSION);
	cJSON_AddNumberToObject(root, "uptimeSeconds", (double)((uv_hrtime() - a->started) / 1000000000));
	list = cJSON_AddArrayToObject(root, "addresses");
	if (self && weft_addr_is_set(&self->node.ip4))
		cJSON_AddItemToArray(list, cJSON_CreateString(weft_addr_str(&self->node.ip4, text)));
	if (self && weft_addr_is_set(&self->node.ip6))
		cJSON_AddItemToArray(list, cJSON_CreateString(weft_addr_str(&self->node.ip6, text)));
	status_datastore(a->source, a->cluster, root, problems);
	cJSON_AddItemToObject(root, "draining", draining_view(a->draining));
	add_routes(a, root, problems);
	add_ipam(a, root);
	add_tunnels(a, root, problems);
	if (a->cfg.services.enabled)
		add_services(a, root, problems);
	if (!self)
		status_problem(problems, "Node", "",
		               "there is no Node object with this node's name: create it, or set nodeName");
	if (a->sysctl_fault[0])
		status_problem(problems, "kernel settings", "", a->sysctl_fault);
	if (a->nft_fault[0])
		status_problem(problems, "nftables", "", a->nft_fault);
	if (metrics_fault(a->metrics)[0])
		status_problem(problems, "metrics", "", metrics_fault(a->metrics));
	if (a->repair[0])
		status_problem(problems, "kernel", "", a->repair);
	if (!a->ready)
		status_problem(problems, "CNI", "",
		               a->ready_why[0] ? a->ready_why : "not ready for pods yet");
	cluster_each_report(a->cluster, status_cluster_problem, problems);
	holdings_each_problem(a->holdings, block_problem, problems);
	cJSON_AddItemToObject(root, "problems", problems);
	return root;
}

/* --- the part that BIRD answers --- */

struct question {
	struct agent *a;
	struct serve_request *req;
	cJSON *root; /* status so far */
};

static void add_bird(struct agent *a, cJSON *root, const struct bird_protos *protos)
{
	struct bird_apply_status s;
	cJSON *item = cJSON_AddObjectToObject(root, "bird"),
	      *problems = cJSON_GetObjectItem(root, "problems");
	size_t up = 0, total = 0;

	bird_apply_status(a->bird, &s);
	for (size_t i = 0; protos && i < protos->count; i++) {
		if (strcmp(protos->list[i].proto, "BGP"))
			continue;
		total++;
		up += bird_proto_established(&protos->list[i]);
	}
	cJSON_AddStringToObject(item, "state", s.up ? "up" : "down");
	if (s.up)
		cJSON_AddStringToObject(item, "version", s.version);
	cJSON_AddNumberToObject(item, "sessionsUp", (double)up);
	cJSON_AddNumberToObject(item, "sessionsTotal", (double)total);
	cJSON_AddStringToObject(item, "configState",
	                        s.config == BIRD_CONFIG_LOADED    ? "ok"
	                        : s.config == BIRD_CONFIG_REFUSED ? "failed"
	                                                          : "pending");
	if (s.error[0]) {
		cJSON_AddStringToObject(item, "lastError", s.error);
		status_problem(problems, "BIRD", "", s.error);
	}
}

static void peer_problem(cJSON *problems, const struct bgp_peer *p, const struct bird_proto *bird)
{
	char object[WEFT_NAME_MAX + 16], text[512];

	snprintf(object, sizeof(object), "%s %s", p->origin == BGP_PEER_OBJECT ? "BGPPeer" : "Node", p->name);
	if (p->reason[0]) {
		status_problem(problems, object, "", p->reason);
	} else if (bird && !bird_proto_established(bird)) {
		snprintf(text, sizeof(text), "session is %s%s%s; `birdc show protocols all %s` tells more",
		         bird->bgp_state[0] ? bird->bgp_state : bird->state, bird->last_error[0] ? ": " : "",
		         bird->last_error, p->protocol);
		status_problem(problems, object, "", text);
	}
}

/* Every peer of this node beside what BIRD has. */
static void add_peers(struct agent *a, const struct bird_protos *protos, cJSON *problems)
{
	struct bgp_model model;

	agent_bgp_model(a, &model);
	for (size_t i = 0; i < model.n_peers; i++) {
		const struct bgp_peer *p = &model.peers[i];

		peer_problem(problems, p,
		             protos && !p->reason[0] ? bird_protos_find(protos, p->protocol) : NULL);
	}
	for (size_t i = 0; i < model.n_warnings; i++)
		status_problem(problems, "BGP", "", model.warnings[i]);
	bgp_model_free(&model);
}

static void on_protocols(void *ctx, const struct bird_protos *protos, const struct weft_err *err)
{
	struct question *q = ctx;

	(void)err; /* its absence is part of the answer: bird.lastError */
	add_bird(q->a, q->root, protos);
	add_peers(q->a, protos, cJSON_GetObjectItem(q->root, "problems"));
	serve_reply(q->req, q->root);
	free(q);
}

static int ask(struct agent *a, struct serve_request *req, cJSON *root, struct weft_err *err)
{
	struct question *q = malloc(sizeof(*q));

	if (!q) {
		cJSON_Delete(root);
		return weft_err_errno(err, ENOMEM, "asking BIRD");
	}
	*q = (struct question){.a = a, .req = req, .root = root};
	bird_apply_protocols(a->bird, on_protocols, q);
	return SERVE_LATER;
}

int view_status(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	(void)args;
	(void)result;
	return ask(ctx, req, status_base(ctx), err);
}

/* --- weft-cni --- */

static void on_claimed(void *ctx, const struct weft_err *err)
{
	if (err)
		serve_fail(ctx, err);
	else
		serve_reply(ctx, cJSON_CreateObject());
}

int view_claim(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	struct agent *a = ctx;
	const cJSON *family = cJSON_GetObjectItemCaseSensitive(args, "family");
	const cJSON *pool = cJSON_GetObjectItemCaseSensitive(args, "pool");

	(void)result;
	if (!cJSON_IsNumber(family) || (family->valueint != 4 && family->valueint != 6))
		return weft_err_set(err, EINVAL, "claim: family must be 4 or 6");
	if (pool && (!cJSON_IsString(pool) || strlen(pool->valuestring) > WEFT_NAME_MAX))
		return weft_err_set(err, EINVAL, "claim: pool must be the name of an IPPool");
	holdings_request(a->holdings, family->valueint == 4 ? AF_INET : AF_INET6,
	                 pool ? pool->valuestring : NULL, on_claimed, req);
	return SERVE_LATER;
}
