// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/services.h"

#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <uv.h>

#include "agent/daemon/services_private.h"
#include "weft/log.h"
#include "weft/marks.h"

/* --- one Service --- */

struct served *served_find(const struct serving *s, const char *key)
{
	unsigned hash = keyhash(&s->hash, key, strlen(key));
	struct served *v;

	HASH_FIND_BYHASHVALUE(hh, s->services, key, strlen(key), hash, v);
	return v;
}

static struct served *served_need(struct serving *s, const char *key)
{
	unsigned hash = keyhash(&s->hash, key, strlen(key));
	struct served *v;

	HASH_FIND_BYHASHVALUE(hh, s->services, key, strlen(key), hash, v);
	if (v)
		return v;
	v = must_alloc(1, sizeof(*v));
	v->key = must_strdup(key);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->services, v->key, strlen(v->key), hash, v);
	return v;
}

static void free_marks(char **marks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(marks[i]);
	free(marks);
}

static void served_free(struct serving *s, struct served *v)
{
	if (v->listed)
		DL_DELETE(s->troubled, v);
	HASH_DEL(s->services, v);
	free(v->virtuals);
	free(v->elements);
	free(v->claimed);
	free(v->vips);
	free(v->problems);
	flows_forget(s, v);
	free_marks(v->marks, v->n_marks);
	free(v->key);
	free(v);
}

static void add_problem(struct served *v, const char *text)
{
	v->problems = must_grow(v->problems, v->n_problems + 1, sizeof(*v->problems));
	snprintf(v->problems[v->n_problems++], SVC_PROBLEM, "%s", text);
}

/* Logged when it is new, kept for status. */
static void take_problems(struct serving *s, struct served *v, const struct svc_plan *p)
{
	char(*old)[SVC_PROBLEM] = v->problems;
	size_t n_old = v->n_problems;
	bool news = false, changed;

	v->problems = NULL;
	v->n_problems = 0;
	for (size_t i = 0; i < p->n_problems; i++) {
		bool known = false;

		add_problem(v, p->problems[i]);
		for (size_t k = 0; k < n_old && !known; k++)
			known = !strcmp(old[k], p->problems[i]);
		if (!known)
			log_warning("Service %s: %s", v->key, p->problems[i]);
		news |= !known;
	}
	changed = news || n_old != v->n_problems;
	free(old);
	if (v->n_problems && !v->listed)
		DL_APPEND(s->troubled, v);
	else if (!v->n_problems && v->listed)
		DL_DELETE(s->troubled, v);
	v->listed = v->n_problems > 0;
	if (changed && s->o.on_problems)
		s->o.on_problems(s->o.ctx, v->key);
}

/* --- from plan to wants --- */

/* A mark's service is one Service's own; of the others claims tell, when nobody stands for them any more. */
static void unwant_virtuals(struct serving *s, const struct served *v, const struct svc_virtual_key *keys,
                            size_t n)
{
	for (size_t i = 0; i < v->n_virtuals; i++)
		if (v->virtuals[i].fwmark && !claims_listed(keys, n, &v->virtuals[i]))
			ipvs_unwant(s->o.ipvs, &v->virtuals[i]);
	for (size_t i = 0; i < v->n_claimed; i++)
		if (!claims_listed(keys, n, &v->claimed[i]) && claims_held(s, v, &v->claimed[i]))
			ipvs_unwant(s->o.ipvs, &v->claimed[i]);
}

static void want_virtuals(struct serving *s, struct served *v, const struct svc_plan *p)
{
	struct svc_virtual_key *keys = must_alloc(p->n_virtuals, sizeof(*keys));
	struct weft_err err = WEFT_ERR_INIT;

	for (size_t i = 0; i < p->n_virtuals; i++) {
		const struct svc_virtual *w = &p->virtuals[i];

		keys[i] = w->key;
		if (ipvs_want(s->o.ipvs, w, &p->dests[w->first], w->n, &err) < 0)
			log_error("Service %s: %s", v->key, err.text);
	}
	if (p->n_virtuals)
		qsort(keys, p->n_virtuals, sizeof(*keys), claims_by_key);
	unwant_virtuals(s, v, keys, p->n_virtuals);
	free(v->virtuals);
	v->virtuals = keys;
	v->n_virtuals = p->n_virtuals;
}

/* What the Service no longer needs goes when IPVS has followed: a DROP must not end before its successor
 * works. */
static void release_elements(struct serving *s, struct svc_element *elements, size_t n)
{
	struct released *r;

	if (!n) {
		free(elements);
		return;
	}
	r = must_alloc(1, sizeof(*r));
	r->elements = elements;
	r->n = n;
	LL_PREPEND(s->released, r);
}

static void want_elements(struct serving *s, struct served *v, const struct svc_plan *p)
{
	struct svc_element *copy = p->n_elements ? must_alloc(p->n_elements, sizeof(*copy)) : NULL;

	for (size_t i = 0; i < p->n_elements; i++) {
		copy[i] = p->elements[i];
		nft_want_element(s->o.nft, &copy[i]);
	}
	release_elements(s, v->elements, v->n_elements);
	v->elements = copy;
	v->n_elements = p->n_elements;
}

static int by_addr(const void *a, const void *b)
{
	return weft_addr_cmp(a, b);
}

/* meta may be NULL when there are none. */
static void want_vips(struct serving *s, struct served *v, const struct weft_meta *meta,
                      const struct svc_plan *p)
{
	struct weft_addr *old = v->vips;
	size_t n_old = v->n_vips;

	v->vips = must_alloc(p->n_vips, sizeof(*v->vips));
	v->n_vips = p->n_vips;
	for (size_t i = 0; i < p->n_vips; i++) {
		v->vips[i] = p->vips[i].addr;
		vips_put(s, v, meta, &p->vips[i]);
	}
	for (size_t i = 0; i < n_old; i++)
		if (!v->n_vips || !bsearch(&old[i], v->vips, v->n_vips, sizeof(old[i]), by_addr))
			vips_drop(s, v, &old[i]);
	free(old);
}

static void split_key(const char *key, char ns[WEFT_NAME_MAX + 1], const char **name)
{
	const char *slash = strchr(key, '/');
	size_t len = slash ? (size_t)(slash - key) : 0;

	snprintf(ns, WEFT_NAME_MAX + 1, "%.*s", (int)len, key);
	*name = slash ? slash + 1 : key;
}

static void mark_troubled(struct serving *s)
{
	for (const struct served *v = s->troubled; v; v = v->next)
		services_mark(s->o.services, v->key);
}

static void want_health(struct serving *s, struct served *v, struct svc_plan *p)
{
	char ns[WEFT_NAME_MAX + 1];
	struct weft_err err = WEFT_ERR_INIT;
	const char *name;

	if (!p->health_port && !v->health)
		return;
	split_key(v->key, ns, &name);
	if (!p->health_port && v->health)
		health_unwant(s->o.health, ns, name);
	if (v->health && p->health_port != v->health)
		mark_troubled(s); /* one of them may wait for this port */
	v->health = p->health_port;
	if (!p->health_port || health_want(s->o.health, ns, name, p->health_port, p->health_local, &err) == 0)
		return;
	p->problems = must_grow(p->problems, p->n_problems + 1, sizeof(*p->problems));
	snprintf(p->problems[p->n_problems++], SVC_PROBLEM, "%.*s", SVC_PROBLEM - 1, err.text);
}

static bool mark_listed(const struct served *v, const char *name)
{
	for (size_t i = 0; i < v->n_marks; i++)
		if (!strcmp(v->marks[i], name))
			return true;
	return false;
}

void served_drop_marks(struct serving *s, const struct served *v, char **old, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!mark_listed(v, old[i]))
			fwmarks_put(s->marks, old[i]);
	free_marks(old, n);
}

static void count_no_local(struct serving *s, struct served *v, const struct svc_plan *p)
{
	for (int i = 0; i < 2; i++) {
		s->no_local[i] += p->no_local[i];
		s->no_local[i] -= v->no_local[i];
		v->no_local[i] = p->no_local[i];
	}
}

static void plan_service(struct serving *s, const char *key)
{
	struct served *v = served_need(s, key);
	char **marks = v->marks;
	size_t n_marks = v->n_marks;
	struct services_view view;
	struct svc_plan p = {0};
	bool there = services_get(s->o.services, key, &view);

	v->marks = NULL;
	v->n_marks = 0;
	if (there) {
		s->planning = v;
		svc_plan(&view, &s->env, &p);
		s->planning = NULL;
	}
	claims_settle(s, v, &p);
	want_virtuals(s, v, &p);
	want_elements(s, v, &p);
	want_vips(s, v, there ? &view.obj->meta : NULL, &p);
	want_health(s, v, &p);
	take_problems(s, v, &p);
	count_no_local(s, v, &p);
	flows_collect(s, v, &p);
	served_drop_marks(s, v, marks, n_marks);
	svc_plan_free(&p);
	if (!there)
		served_free(s, v);
}

void serving_plan(struct serving *s)
{
	char key[WEFT_KEY_MAX];

	while (services_next(s->o.services, key)) {
		if (!s->pending_since)
			s->pending_since = uv_hrtime() / 1000000;
		plan_service(s, key);
	}
	vips_settle(s);
}

/* --- writing --- */

int serving_withdraw(struct serving *s, uint64_t now, struct weft_err *err)
{
	int r = s->withdrew ? fib_apply(s->o.fib, now, err) : 0;

	s->withdrew = r != 0;
	return r;
}

void serving_sweep(struct serving *s)
{
	s->withdrew = true;
}

static void drop_released(struct serving *s)
{
	struct released *r, *next;

	LL_FOREACH_SAFE(s->released, r, next)
	{
		for (size_t i = 0; i < r->n; i++)
			nft_unwant_element(s->o.nft, &r->elements[i]);
		free(r->elements);
		free(r);
	}
	s->released = NULL;
}

static int follow(struct serving *s, uint64_t now, struct weft_err *err)
{
	int r = 0;

	if (nft_settled(s->o.nft) && env_route_cidrs(s))
		r = fib_apply(s->o.fib, now, err);
	while (r == 0 && vips_follow(s))
		r = fib_apply(s->o.fib, now, err);
	return r;
}

/* The dataplane is as planned, as far as the kernel lets us. */
static void settled(struct serving *s)
{
	bool there = ipvs_available(s->o.ipvs, NULL);

	if (there)
		env_announce_cidrs(s);
	if (!vips_wait(s))
		env_leave_cidrs(s);
	if (there || !ipvs_wanted(s->o.ipvs))
		s->pending_since = 0;
}

int serving_apply(struct serving *s, uint64_t now, struct weft_err *err)
{
	int r = ipvs_apply(s->o.ipvs, now, err);

	if (r || ipvs_unsure(s->o.ipvs))
		return r;
	if (s->released) {
		drop_released(s);
		r = nft_apply(s->o.nft, now, err);
	}
	if (r == 0)
		r = follow(s, now, err);
	if (r == 0)
		flows_flush(s);
	if (r == 0 && nft_settled(s->o.nft))
		settled(s);
	return r;
}

bool serving_waits(const struct serving *s)
{
	bool adverts = s->cidr_adverts_due && !ipvs_available(s->o.ipvs, NULL);

	return s->released || s->cidr_routes_due || adverts || ipvs_unsure(s->o.ipvs) ||
	       !nft_settled(s->o.nft) || vips_wait(s) || s->gated || announcer_waits(s->o.announcer);
}

uint64_t serving_oldest_pending(const struct serving *s)
{
	return s->pending_since;
}

/* --- changes from outside --- */

void serving_drain(struct serving *s, bool drained)
{
	s->drained = drained;
}

void serving_refresh(struct serving *s, const struct weft_addr *ip4, const struct weft_addr *ip6)
{
	if (!env_refresh(s, ip4, ip6))
		return;
	env_want_cidrs(s);
	services_mark_all(s->o.services);
}

static void mark_users(struct serving *s, const struct weft_addr *addr)
{
	const struct vip *v = weft_addr_is_set(addr) ? vips_find(s, addr) : NULL;

	for (const struct vip_user *u = v ? v->users : NULL; u; u = u->next)
		services_mark(s->o.services, u->service->key);
}

void serving_node_changed(struct serving *s, const char *node)
{
	const struct weft_object *obj = cluster_get(s->o.cluster, WEFT_NODE, node);

	if (obj) {
		mark_users(s, &obj->node.ip4);
		mark_users(s, &obj->node.ip6);
	}
	mark_troubled(s); /* some may have been refused because of what this Node was */
}

static bool asks_for_namespaces(const struct serving *s)
{
	for (size_t i = 0; i < s->n_adverts; i++)
		if (s->adverts[i]->bgpadvertisement.namespace_selector.n_reqs)
			return true;
	return false;
}

void serving_namespace_changed(struct serving *s, const char *ns)
{
	size_t len = strlen(ns);

	env_list_adverts(s);
	for (const struct served *v = asks_for_namespaces(s) ? s->services : NULL; v; v = v->hh.next)
		if (!strncmp(v->key, ns, len) && v->key[len] == '/')
			services_mark(s->o.services, v->key);
}

void serving_filters_known(struct serving *s)
{
	announce_retry(s);
}

void serving_shape(const struct serving *s, struct nft_shape *shape)
{
	shape->services = s->o.cfg->services.enabled;
	shape->node4 = s->ip4;
	shape->node6 = s->ip6;
	shape->masquerade_all = s->o.cfg->services.masquerade_all;
	shape->n_service_cidrs = s->n_cidrs < NFT_CIDRS ? s->n_cidrs : NFT_CIDRS;
	memcpy(shape->service_cidrs, s->cidrs, shape->n_service_cidrs * sizeof(s->cidrs[0]));
	handover_shape(s, shape);
}

/* On any address of the node: which of them answer is a setting, and may have been another one. */
static bool is_node_port(const struct serving *s, const struct svc_virtual_key *key)
{
	const struct weft_config_services *c = &s->o.cfg->services;

	return key->port >= c->node_port_first && key->port <= c->node_port_last &&
	       links_has_addr(s->o.links, &key->addr);
}

/* A local route of ours leads there, from this life or an earlier one. */
static bool has_local_route(const struct serving *s, const struct weft_addr *a)
{
	for (unsigned len = 0; len <= weft_addr_bits(a->family); len++) {
		struct weft_prefix p = weft_prefix_mask(a, (uint8_t)len);
		struct weft_route_key key = vips_route(s, &p).key;
		enum fib_state state;

		if (fib_state_of(s->o.fib, &key, &state))
			return true;
	}
	return false;
}

static bool is_local(void *ctx, const struct fib_view *view)
{
	bool *found = ctx;

	*found = view->route->key.table == RT_TABLE_LOCAL;
	return !*found;
}

/* Where Services are another proxy's, only what an earlier life of ours left behind is ours. */
static bool has_served(struct serving *s)
{
	if (!s->looked_back)
		fib_foreach(s->o.fib, is_local, &s->served_before);
	s->looked_back = true;
	return s->served_before;
}

bool serving_owns(void *ctx, const struct svc_virtual_key *key)
{
	struct serving *s = *(struct serving *const *)ctx;
	bool enabled;

	if (key->fwmark)
		return (key->fwmark & WEFT_FWMARK_MASK) == WEFT_FWMARK_BASE;
	if (!s)
		return false;
	enabled = s->o.cfg->services.enabled;
	if (enabled && (env_in_cidrs(s, &key->addr) || vips_find(s, &key->addr)))
		return true;
	return (is_node_port(s, key) && (enabled || has_served(s))) || has_local_route(s, &key->addr);
}

/* --- life --- */

int serving_new(const struct serving_options *o, struct serving **out, struct weft_err *err)
{
	struct serving *s = calloc(1, sizeof(*s));

	if (!s)
		return weft_err_errno(err, ENOMEM, "Services");
	s->o = *o;
	keyhash_init(&s->hash);
	s->claims = claims_new();
	s->marks = fwmarks_new();
	env_init(s);
	*out = s;
	return 0;
}

void serving_free(struct serving *s)
{
	struct released *r, *r_next;
	struct served *v, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->services, v, next)
		served_free(s, v);
	LL_FOREACH_SAFE(s->released, r, r_next)
	{
		free(r->elements);
		free(r);
	}
	vips_free(s);
	env_free(s);
	claims_free(s->claims);
	fwmarks_free(s->marks);
	free(s);
}
