// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Services for weftctl: docs/reference/weftctl.md defines the answers. Each Service is planned anew, as it is
 * now; of the kernel only the services of the one that is asked for are read. Nothing is kept.
 */
#include "agent/daemon/views_services.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#include "agent/daemon/views.h"
#include "agent/plan/endpoints.h"

/* One Service with its plan, while it is shown. */
struct shown {
	const struct services_views *v;
	const struct services_view *view;
	const struct weft_service *spec;
	struct svc_plan plan;
};

static const char *type_name(enum weft_service_type t)
{
	static const char *const names[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};

	return names[t];
}

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "TCP" : protocol == IPPROTO_UDP ? "UDP" : "SCTP";
}

static const char *policy_name(enum weft_traffic_policy p)
{
	return p == WEFT_POLICY_LOCAL ? "Local" : "Cluster";
}

/* --- counting --- */

static int compare_addrs(const void *a, const void *b)
{
	return weft_addr_cmp(a, b);
}

static size_t count_distinct(struct weft_addr *list, size_t n)
{
	size_t distinct = 0;

	if (n)
		qsort(list, n, sizeof(*list), compare_addrs);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || weft_addr_cmp(&list[i - 1], &list[i]) != 0;
	return distinct;
}

static size_t count_known(const struct services_view *view)
{
	weft_autofree struct weft_addr *list = NULL;
	size_t n = 0, room = 0;

	for (size_t i = 0; i < view->n_slices; i++)
		room += view->slices[i]->n_endpoints;
	list = calloc(room ? room : 1, sizeof(*list));
	for (size_t i = 0; list && i < view->n_slices; i++)
		for (size_t k = 0; k < view->slices[i]->n_endpoints; k++)
			list[n++] = view->slices[i]->endpoints[k].addr;
	return count_distinct(list, n);
}

static size_t count_used(const struct svc_plan *p)
{
	weft_autofree struct weft_addr *list = calloc(p->n_dests ? p->n_dests : 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; list && i < p->n_dests; i++)
		if (p->dests[i].weight)
			list[n++] = p->dests[i].addr;
	return count_distinct(list, n);
}

/* --- state --- */

static const char *why_not_served(const struct weft_service *spec)
{
	if (spec->type == WEFT_SERVICE_EXTERNALNAME)
		return "ExternalName: only DNS answers for it";
	if (spec->headless)
		return "headless: it has no address";
	if (!weft_addr_is_set(&spec->cluster_ips[0]) && !weft_addr_is_set(&spec->cluster_ips[1]))
		return "it has no clusterIP yet";
	return "label service.kubernetes.io/service-proxy-name: another proxy serves it";
}

static const char *taken_by(const struct shown *s, const struct svc_virtual_key *key)
{
	return serving_taken_by(s->v->serving, s->view->key, key);
}

/* Of something that is taken; false when nothing is. */
static bool is_taken(const struct shown *s, char *why, size_t size)
{
	char key[SVC_KEY_STR];

	for (size_t i = 0; i < s->plan.n_virtuals; i++) {
		const char *holder = taken_by(s, &s->plan.virtuals[i].key);

		if (!holder)
			continue;
		snprintf(why, size, "%s belongs to Service %s",
		         svc_virtual_str(&s->plan.virtuals[i].key, key), holder);
		return true;
	}
	return false;
}

/* Of something that the kernel doesn't have yet; false when it has all. */
static bool is_pending(const struct shown *s, char *why, size_t size)
{
	char key[SVC_KEY_STR], addr[WEFT_ADDR_STR];

	for (size_t i = 0; i < s->plan.n_virtuals; i++) {
		const char *text = "";
		enum ipvs_state state = ipvs_state_of(s->v->ipvs, &s->plan.virtuals[i].key, &text);

		if (state == IPVS_INSTALLED)
			continue;
		snprintf(why, size, "%s: %s", svc_virtual_str(&s->plan.virtuals[i].key, key),
		         text && text[0] ? text : ipvs_state_name(state));
		return true;
	}
	for (size_t i = 0; i < s->plan.n_vips; i++) {
		const struct svc_vip *v = &s->plan.vips[i];
		const char *state = serving_route_state(s->v->serving, &v->addr);

		if (!strcmp(state, "installed") || !strcmp(state, "covered"))
			continue;
		snprintf(why, size, "route of %s: %s", weft_addr_str(&v->addr, addr), state);
		return true;
	}
	return false;
}

static void add_state(const struct shown *s, size_t used, cJSON *to)
{
	char why[SVC_PROBLEM + WEFT_ERR_TEXT] = "";
	const char *state = "ok";

	if (!s->plan.served) {
		state = "not-served";
		snprintf(why, sizeof(why), "%s", why_not_served(s->spec));
	} else if (s->plan.n_problems) {
		state = "problem";
		snprintf(why, sizeof(why), "%s", s->plan.problems[0]);
	} else if (is_taken(s, why, sizeof(why))) {
		state = "problem";
	} else if (is_pending(s, why, sizeof(why))) {
		state = "pending";
	} else if (!used) {
		state = "no-endpoints";
	}
	cJSON_AddStringToObject(to, "state", state);
	if (why[0])
		cJSON_AddStringToObject(to, "reason", why);
}

/* --- the list --- */

static void add_vips(const struct shown *s, cJSON *item)
{
	cJSON *vips = cJSON_AddArrayToObject(item, "vips");
	cJSON *advertised = cJSON_AddArrayToObject(item, "advertised");
	char text[WEFT_ADDR_STR];

	for (size_t i = 0; i < s->plan.n_vips; i++) {
		const struct weft_addr *addr = &s->plan.vips[i].addr;

		cJSON_AddItemToArray(vips, cJSON_CreateString(weft_addr_str(addr, text)));
		if (serving_announced(s->v->serving, addr))
			cJSON_AddItemToArray(advertised, cJSON_CreateString(text));
	}
}

static void add_ports(const struct shown *s, cJSON *item)
{
	cJSON *ports = cJSON_AddArrayToObject(item, "ports");
	char text[16];

	for (size_t i = 0; i < s->spec->n_ports; i++) {
		snprintf(text, sizeof(text), "%u/%s", s->spec->ports[i].port,
		         protocol_name(s->spec->ports[i].protocol));
		cJSON_AddItemToArray(ports, cJSON_CreateString(text));
	}
}

static cJSON *list_item(const struct shown *s)
{
	cJSON *item = cJSON_CreateObject(), *counts;
	size_t used = count_used(&s->plan);

	cJSON_AddStringToObject(item, "service", s->view->key);
	cJSON_AddStringToObject(item, "type", type_name(s->spec->type));
	add_vips(s, item);
	add_ports(s, item);
	counts = cJSON_AddObjectToObject(item, "endpoints");
	cJSON_AddNumberToObject(counts, "used", (double)used);
	cJSON_AddNumberToObject(counts, "known", (double)count_known(s->view));
	add_state(s, used, item);
	return item;
}

struct walk {
	const struct services_views *v;
	cJSON *list;
};

static bool each_service(void *ctx, const struct services_view *view)
{
	struct walk *w = ctx;
	struct shown s = {.v = w->v, .view = view, .spec = &view->obj->service};

	if (serving_preview(w->v->serving, view->key, &s.plan))
		cJSON_AddItemToArray(w->list, list_item(&s));
	svc_plan_free(&s.plan);
	return false;
}

/* --- one Service --- */

static const char *why_not_announced(const struct shown *s, const struct svc_vip *vip)
{
	struct serving_announcement a[SERVING_ANNOUNCEMENTS];

	if (vip->why_not)
		return vip->why_not;
	if (serving_announcements(s->v->serving, &vip->addr, a))
		return "it waits for BIRD to load filters that know its class";
	for (size_t i = 0; i < s->plan.n_virtuals; i++) {
		const struct svc_virtual_key *key = &s->plan.virtuals[i].key;

		if (!key->fwmark && !weft_addr_cmp(&key->addr, &vip->addr) && !taken_by(s, key))
			return "it waits for the dataplane";
	}
	return "other Services have its ports";
}

static void add_page_vips(const struct shown *s, cJSON *root)
{
	static const char *const kinds[] = {"ClusterIP", "ExternalIP", "LoadBalancer"};
	cJSON *list = cJSON_AddArrayToObject(root, "vips");

	for (size_t i = 0; i < s->plan.n_vips; i++) {
		const struct svc_vip *vip = &s->plan.vips[i];
		bool announced = serving_announced(s->v->serving, &vip->addr);
		cJSON *item = cJSON_CreateObject();

		view_addr(item, "address", &vip->addr);
		cJSON_AddStringToObject(item, "kind", kinds[vip->kind]);
		cJSON_AddStringToObject(item, "route", serving_route_state(s->v->serving, &vip->addr));
		cJSON_AddBoolToObject(item, "advertised", announced);
		if (!announced)
			cJSON_AddStringToObject(item, "why", why_not_announced(s, vip));
		cJSON_AddItemToArray(list, item);
	}
}

static cJSON *announcement_item(const struct weft_addr *vip, const struct serving_announcement *a)
{
	cJSON *item = cJSON_CreateObject(), *names;
	char prefix[WEFT_PREFIX_STR];

	view_addr(item, "address", vip);
	cJSON_AddStringToObject(item, "prefix", weft_prefix_str(&a->prefix, prefix));
	cJSON_AddNumberToObject(item, "class", a->class->metric);
	names = cJSON_AddArrayToObject(item, "advertisements");
	for (size_t i = 0; i < a->class->n_names; i++)
		cJSON_AddItemToArray(names, cJSON_CreateString(a->class->names[i]));
	if (a->weight)
		cJSON_AddNumberToObject(item, "weight", a->weight);
	cJSON_AddStringToObject(item, "state",
	                        !a->waits   ? "announced"
	                        : a->metric ? "former-class"
	                                    : "waits");
	return item;
}

static void add_page_announcements(const struct shown *s, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "announcements");

	for (size_t i = 0; i < s->plan.n_vips; i++) {
		const struct weft_addr *vip = &s->plan.vips[i].addr;
		const char *single = serving_single(s->v->serving, s->view->key, vip);
		struct serving_announcement a[SERVING_ANNOUNCEMENTS];
		size_t n = serving_announcements(s->v->serving, vip, a);

		for (size_t k = 0; k < n; k++) {
			cJSON *item = announcement_item(vip, &a[k]);

			if (single)
				cJSON_AddStringToObject(item, "note", single);
			cJSON_AddItemToArray(list, item);
		}
	}
}

/* Is the IPVS service one of this port's? A fwmark's port stands in the element that gives the mark. */
static bool belongs(const struct shown *s, const struct svc_virtual_key *key,
                    const struct weft_service_port *port)
{
	bool vip = false;

	for (size_t i = 0; key->fwmark && i < s->plan.n_elements; i++) {
		const struct svc_element *e = &s->plan.elements[i];

		if (e->set == SVC_SET_ETPL && e->mark == key->fwmark && e->proto == port->protocol &&
		    (e->port == port->port || (port->node_port && e->port == port->node_port)))
			return true;
	}
	if (key->fwmark || key->proto != port->protocol)
		return false;
	for (size_t i = 0; i < s->plan.n_vips; i++)
		vip |= weft_addr_cmp(&s->plan.vips[i].addr, &key->addr) == 0;
	return key->port == (vip ? port->port : port->node_port);
}

/* An endpoint as it is shown: from the slices, the plan and the kernel. */
struct endpoint {
	const struct endpoints_item *item;
	const struct svc_dest *dest;
	const struct ipvs_dest_info *kernel;
};

static void number_or_null(cJSON *to, const char *name, bool is, double number)
{
	if (is)
		cJSON_AddNumberToObject(to, name, number);
	else
		cJSON_AddNullToObject(to, name);
}

static void add_conditions(cJSON *to, uint8_t conditions)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {{WEFT_ENDPOINT_READY, "ready"},
	             {WEFT_ENDPOINT_SERVING, "serving"},
	             {WEFT_ENDPOINT_TERMINATING, "terminating"}};
	cJSON *list = cJSON_AddArrayToObject(to, "conditions");

	for (size_t i = 0; i < WEFT_ARRAY_LEN(names); i++)
		if (conditions & names[i].bit)
			cJSON_AddItemToArray(list, cJSON_CreateString(names[i].name));
}

static cJSON *endpoint_item(const struct endpoint *e)
{
	cJSON *item = cJSON_CreateObject();

	view_addr(item, "address", e->dest ? &e->dest->addr : &e->kernel->addr);
	cJSON_AddNumberToObject(item, "port", e->dest ? e->dest->port : e->kernel->port);
	if (e->item && e->item->node)
		cJSON_AddStringToObject(item, "node", e->item->node);
	if (e->item)
		add_conditions(item, e->item->conditions);
	/* One that is only kept is not wanted where the kernel doesn't have it. */
	number_or_null(item, "wanted", e->dest && (!e->dest->keep_only || e->kernel),
	               e->dest ? e->dest->weight : 0);
	number_or_null(item, "kernel", e->kernel, e->kernel ? e->kernel->weight : 0);
	if (e->kernel) {
		cJSON_AddNumberToObject(item, "active", e->kernel->active);
		cJSON_AddNumberToObject(item, "inactive", e->kernel->inactive);
	}
	return item;
}

static const struct endpoints_item *find_item(const struct endpoints *known, const struct weft_addr *addr,
                                              uint16_t port)
{
	for (size_t i = 0; i < known->n; i++)
		if (known->items[i].port == port && weft_addr_cmp(&known->items[i].addr, addr) == 0)
			return &known->items[i];
	return NULL;
}

static const struct svc_dest *find_dest(const struct svc_dest *dests, size_t n,
                                        const struct ipvs_dest_info *kernel)
{
	for (size_t i = 0; i < n; i++)
		if (dests[i].port == kernel->port && weft_addr_cmp(&dests[i].addr, &kernel->addr) == 0)
			return &dests[i];
	return NULL;
}

static const struct ipvs_dest_info *find_kernel(const struct ipvs_service_info *info,
                                                const struct svc_dest *dest)
{
	for (size_t i = 0; i < info->n; i++)
		if (info->dests[i].port == dest->port &&
		    weft_addr_cmp(&info->dests[i].addr, &dest->addr) == 0)
			return &info->dests[i];
	return NULL;
}

static void add_endpoints(const struct shown *s, const struct svc_virtual *v, const struct endpoints *known,
                          cJSON *to)
{
	const struct svc_dest *dests = s->plan.dests + v->first;
	cJSON *list = cJSON_AddArrayToObject(to, "endpoints");
	struct ipvs_service_info info = {0};

	if (ipvs_read(s->v->ipvs, &v->key, &info, NULL) < 0)
		info = (struct ipvs_service_info){0}; /* that it isn't there is what is shown */
	for (size_t i = 0; i < v->n; i++) {
		struct endpoint e = {.item = find_item(known, &dests[i].addr, dests[i].port),
		                     .dest = &dests[i],
		                     .kernel = find_kernel(&info, &dests[i])};

		cJSON_AddItemToArray(list, endpoint_item(&e));
	}
	for (size_t i = 0; i < info.n; i++) {
		struct endpoint e = {.kernel = &info.dests[i]};

		if (!find_dest(dests, v->n, &info.dests[i]))
			cJSON_AddItemToArray(list, endpoint_item(&e));
	}
	ipvs_service_info_free(&info);
}

static void add_virtual(const struct shown *s, const struct svc_virtual *v,
                        const struct weft_service_port *port, cJSON *list)
{
	static const struct endpoints_env nowhere = {.node = ""};
	const char *holder = taken_by(s, &v->key), *text = "";
	enum ipvs_state state = ipvs_state_of(s->v->ipvs, &v->key, &text);
	cJSON *item = cJSON_CreateObject();
	struct endpoints known = {0};
	char key[SVC_KEY_STR];

	cJSON_AddStringToObject(item, "key", svc_virtual_str(&v->key, key));
	cJSON_AddStringToObject(item, "state",
	                        holder                    ? "taken"
	                        : state == IPVS_NOT_READY ? "not-ready"
	                                                  : ipvs_state_name(state));
	if (holder)
		cJSON_AddStringToObject(item, "takenBy", holder);
	else if (text && text[0])
		cJSON_AddStringToObject(item, "reason", text);
	endpoints_choose(s->view->slices, s->view->n_slices, v->key.addr.family, port->name, port->protocol,
	                 &nowhere, &known);
	add_endpoints(s, v, &known, item);
	endpoints_free(&known);
	cJSON_AddItemToArray(list, item);
}

static void add_page_ports(const struct shown *s, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "ports");

	for (size_t i = 0; i < s->spec->n_ports; i++) {
		const struct weft_service_port *port = &s->spec->ports[i];
		cJSON *item = cJSON_CreateObject(), *virtuals;
		const char *scheduler = NULL;

		cJSON_AddStringToObject(item, "name", port->name);
		cJSON_AddStringToObject(item, "protocol", protocol_name(port->protocol));
		cJSON_AddNumberToObject(item, "port", port->port);
		number_or_null(item, "nodePort", port->node_port, port->node_port);
		virtuals = cJSON_CreateArray();
		for (size_t k = 0; k < s->plan.n_virtuals; k++) {
			if (!belongs(s, &s->plan.virtuals[k].key, port))
				continue;
			scheduler = s->plan.virtuals[k].scheduler;
			add_virtual(s, &s->plan.virtuals[k], port, virtuals);
		}
		if (scheduler)
			cJSON_AddStringToObject(item, "scheduler", scheduler);
		cJSON_AddItemToObject(item, "virtuals", virtuals);
		cJSON_AddItemToArray(list, item);
	}
}

static void add_problems(const struct shown *s, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "problems");
	char why[SVC_PROBLEM + WEFT_ERR_TEXT];

	for (size_t i = 0; i < s->plan.n_problems; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(s->plan.problems[i]));
	if (is_taken(s, why, sizeof(why)))
		cJSON_AddItemToArray(list, cJSON_CreateString(why));
}

static cJSON *page(const struct shown *s)
{
	cJSON *root = cJSON_CreateObject(), *policies;

	cJSON_AddStringToObject(root, "service", s->view->key);
	cJSON_AddStringToObject(root, "type", type_name(s->spec->type));
	add_state(s, count_used(&s->plan), root);
	policies = cJSON_AddObjectToObject(root, "policies");
	cJSON_AddStringToObject(policies, "internal", policy_name(s->spec->internal_policy));
	cJSON_AddStringToObject(policies, "external", policy_name(s->spec->external_policy));
	add_page_vips(s, root);
	add_page_announcements(s, root);
	add_page_ports(s, root);
	add_problems(s, root);
	return root;
}

static int view_one(const struct services_views *v, const char *key, cJSON **result, struct weft_err *err)
{
	struct services_view view;
	struct shown s = {.v = v, .view = &view};

	if (!services_get(v->services, key, &view) || !serving_preview(v->serving, key, &s.plan))
		return weft_err_set(err, ENOENT, "there is no Service %s", key);
	s.spec = &view.obj->service;
	*result = page(&s);
	svc_plan_free(&s.plan);
	return 0;
}

int view_services(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                  struct weft_err *err)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(args, "args");
	const cJSON *which = cJSON_GetObjectItemCaseSensitive(inner, "service");
	struct walk w = {.v = ctx};

	(void)req;
	if ((inner && !cJSON_IsObject(inner)) ||
	    (which && (!cJSON_IsString(which) || strlen(which->valuestring) >= WEFT_KEY_MAX)))
		return weft_err_set(err, EINVAL, "services: args.service must be NAMESPACE/NAME");
	if (which)
		return view_one(w.v, which->valuestring, result, err);
	w.list = cJSON_CreateArray();
	services_each(w.v->services, each_service, &w);
	*result = w.list;
	return 0;
}
