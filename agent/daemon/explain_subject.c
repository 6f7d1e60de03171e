// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/explain.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "weft/marks.h"

#include "agent/daemon/views.h"
#include "agent/plan/bgp_words.h"

void explain_step(cJSON *steps, const char *step, const char *fmt, ...)
{
	cJSON *item = cJSON_CreateObject();
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON_AddStringToObject(item, "step", step);
	cJSON_AddStringToObject(item, "text", text);
	cJSON_AddItemToArray(steps, item);
}

/* --- table 179 --- */

struct route_search {
	const struct weft_prefix *prefix;
	struct explain_route *out;
	size_t n;
};

static bool find_route(void *ctx, const struct fib_view *v)
{
	const struct weft_route_key *key = &v->route->key;
	struct route_search *s = ctx;

	if (key->table == WEFT_TABLE_ADVERT && v->state != FIB_STALE &&
	    weft_prefix_covers(&key->dst, s->prefix))
		s->out[s->n++] = (struct explain_route){key->dst, key->metric, v->state == FIB_INSTALLED};
	return s->n < EXPLAIN_ROUTES;
}

size_t explain_routes(const struct agent *a, const struct weft_prefix *prefix,
                      struct explain_route out[EXPLAIN_ROUTES])
{
	struct route_search s = {.prefix = prefix, .out = out};

	fib_foreach(a->fib, find_route, &s);
	return s.n;
}

/* The BGPAdvertisements of a class, as the filters name them; "" = none. */
static const char *advertisements(const struct bgp_model *m, uint32_t metric, unsigned *type)
{
	const char *comment = "";

	for (size_t i = 0; i < m->n_peers; i++) {
		const struct bgp_export *e = bgp_export_of(&m->peers[i], metric);

		if (!e)
			continue;
		*type = e->type;
		if (e->comment && strlen(e->comment) > strlen(comment))
			comment = e->comment;
	}
	return comment;
}

static void kernel_steps(struct agent *a, const struct bgp_model *m, struct explain_target *t)
{
	struct explain_route routes[EXPLAIN_ROUTES];
	size_t n = explain_routes(a, &t->prefix, routes);
	char text[WEFT_PREFIX_STR];

	for (size_t i = 0; i < n; i++) {
		unsigned type = 0;
		const char *by = advertisements(m, routes[i].metric, &type);
		bool same = !weft_prefix_cmp(&routes[i].prefix, &t->prefix);

		explain_step(t->steps, "kernel", "table %d has %s%s, metric %u: %s%s%s%s", WEFT_TABLE_ADVERT,
		             weft_prefix_str(&routes[i].prefix, text), same ? "" : ", which contains it",
		             routes[i].metric, type ? bgp_words_type(type) : "no peer is told of this class",
		             by[0] ? ", by BGPAdvertisement " : "", by,
		             routes[i].installed ? "" : " (not written yet)");
	}
	if (!n)
		explain_step(t->steps, "kernel", "table %d has no route for it", WEFT_TABLE_ADVERT);
}

/* --- targets --- */

static struct explain_target *begin(struct explain_targets *out, const struct weft_prefix *prefix, bool own,
                                    const char *kind)
{
	struct explain_target *t;

	if (out->n == EXPLAIN_TARGETS)
		return NULL;
	t = &out->list[out->n++];
	*t = (struct explain_target){.prefix = *prefix, .own = own, .item = cJSON_CreateObject()};
	view_prefix(t->item, "prefix", prefix);
	cJSON_AddStringToObject(t->item, "kind", kind);
	cJSON_AddBoolToObject(t->item, "own", own);
	t->steps = cJSON_AddArrayToObject(t->item, "steps");
	return t;
}

static void wanted(struct explain_target *t)
{
	if (t->why[0])
		explain_step(t->steps, "wanted", "no: %s", t->why);
	else
		explain_step(t->steps, "wanted", "yes: this node announces it");
}

static void add_vip(struct agent *a, const struct bgp_model *m, const char *key, const struct svc_vip *vip,
                    bool of_many, struct explain_targets *out)
{
	static const char *const kinds[] = {"ClusterIP", "external IP", "LoadBalancer IP"};
	struct weft_prefix host = weft_prefix_host(&vip->addr);
	struct explain_target *t = begin(out, &host, true, kinds[vip->kind]);
	struct explain_route routes[EXPLAIN_ROUTES];

	if (!t)
		return;
	explain_step(t->steps, "object", "%s of Service %s, its local route is %s", kinds[vip->kind], key,
	             serving_route_state(a->serving, &vip->addr));
	if (vip->why_not)
		snprintf(t->why, sizeof(t->why), "%s", vip->why_not);
	else if (!explain_routes(a, &host, routes))
		snprintf(t->why, sizeof(t->why),
		         "it waits for the dataplane, or another Service has its ports");
	t->optional = of_many && vip->kind != SVC_VIP_LB && t->why[0];
	wanted(t);
	kernel_steps(a, m, t);
}

static int add_service(struct agent *a, const struct bgp_model *m, const char *key,
                       const struct weft_addr *only, struct explain_targets *out, struct weft_err *err)
{
	struct svc_plan plan;

	if (!serving_preview(a->serving, key, &plan))
		return weft_err_set(err, ENOENT, "there is no Service %.200s", key);
	for (size_t i = 0; i < plan.n_vips; i++)
		if (!only || !weft_addr_cmp(only, &plan.vips[i].addr))
			add_vip(a, m, key, &plan.vips[i], !only, out);
	if (!plan.n_vips && !only)
		weft_err_set(err, ENOENT, "Service %.200s has no address%s%s", key,
		             plan.n_problems ? ": "
		             : plan.served   ? ""
		                             : ": it is not served",
		             plan.n_problems ? plan.problems[0] : "");
	svc_plan_free(&plan);
	return out->n ? 0 : -ENOENT;
}

struct vip_search {
	const struct weft_addr *addr;
	const char *key;
};

static bool has_address(void *ctx, const struct services_view *v)
{
	const struct weft_service *s = &v->obj->service;
	struct vip_search *w = ctx;
	bool found =
	        !weft_addr_cmp(w->addr, &s->cluster_ips[0]) || !weft_addr_cmp(w->addr, &s->cluster_ips[1]);

	for (size_t i = 0; i < v->n_ingress; i++)
		found |= !weft_addr_cmp(w->addr, &v->ingress[i]);
	for (size_t i = 0; i < s->n_external_ips; i++)
		found |= !weft_addr_cmp(w->addr, &s->external_ips[i]);
	if (found)
		w->key = v->key;
	return found;
}

struct block_search {
	const struct weft_prefix *prefix;
	struct cluster_block found;
	bool is;
};

static bool contains_it(void *ctx, const struct cluster_block *b)
{
	struct block_search *w = ctx;

	if (!weft_prefix_covers(&b->cidr, w->prefix))
		return false;
	w->found = *b;
	w->is = true;
	return b->state == CLUSTER_BLOCK_OK;
}

static void add_block(struct agent *a, const struct bgp_model *m, const struct cluster_block *b,
                      struct explain_targets *out)
{
	struct explain_target *t = begin(out, &b->cidr, b->own, "block of pods");
	struct explain_route routes[EXPLAIN_ROUTES];
	struct routes_plan plan;
	bool announced = false;

	explain_step(t->steps, "object", "block of %s%s, pool %s%s%s", b->own ? "this node, " : "node ",
	             b->node_name, b->pool_name, b->problem[0] ? "; " : "", b->problem);
	if (!b->own)
		return;
	routes_plan_block(a->cluster, &a->env, &b->cidr, &plan);
	for (size_t i = 0; i < plan.n; i++)
		announced |= plan.routes[i].key.table == WEFT_TABLE_ADVERT;
	if (!announced)
		snprintf(t->why, sizeof(t->why), "%.255s",
		         plan.reason[0] ? plan.reason : "it is not served here");
	else if (!explain_routes(a, &b->cidr, routes))
		snprintf(
		        t->why, sizeof(t->why),
		        "neither BGPConfig's announce nor a BGPAdvertisement has it, or it waits for BIRD's filters");
	wanted(t);
	kernel_steps(a, m, t);
}

static int add_prefix(struct agent *a, const struct bgp_model *m, const struct weft_prefix *p,
                      struct explain_targets *out, struct weft_err *err)
{
	bool host = p->len == weft_addr_bits(p->addr.family);
	struct vip_search vip = {.addr = &p->addr};
	struct block_search block = {.prefix = p};
	struct explain_route routes[EXPLAIN_ROUTES];
	struct explain_target *t;

	if (host)
		services_each(a->services, has_address, &vip);
	if (vip.key && add_service(a, m, vip.key, &p->addr, out, err) == 0)
		return 0;
	cluster_each_block(a->cluster, contains_it, &block);
	if (block.is) {
		add_block(a, m, &block.found, out);
		return 0;
	}
	t = begin(out, p, explain_routes(a, p, routes) > 0, "prefix");
	explain_step(t->steps, "object",
	             vip.key ? "an address of Service %s, which it does not serve"
	                     : "no address of a Service and in no block%s",
	             vip.key ? vip.key : "");
	if (t->own)
		kernel_steps(a, m, t);
	return 0;
}

int explain_targets(struct agent *a, const struct bgp_model *m, const char *text, struct explain_targets *out,
                    struct weft_err *err)
{
	struct weft_prefix p;
	struct weft_addr addr;

	if (weft_addr_parse(text, &addr, NULL) == 0) {
		p = weft_prefix_host(&addr);
		return add_prefix(a, m, &p, out, err);
	}
	if (weft_prefix_parse(text, &p, err) == 0)
		return add_prefix(a, m, &p, out, err);
	if (!strchr(text, '/') || strchr(text, ':') || strspn(text, "0123456789./") == strlen(text))
		return weft_err_wrap(err, "\"%.80s\" is no CIDR, no address and no NAMESPACE/NAME", text);
	return add_service(a, m, text, NULL, out, err);
}
