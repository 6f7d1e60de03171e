// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPBlocks made of Node.spec.podCIDRs: podcidrs.h.
 *
 * Each Node has at most two wants, one per family; a table says which Node holds what. A want that another
 * Node holds waits: it is looked for when that one lets go.
 */
#include "agent/source/podcidrs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/log.h"

#define SHORTEST4 20 /* what an allocation file can hold (ipam/pool.h) */
#define SHORTEST6 116

struct node {
	UT_hash_handle hh;
	struct weft_prefix given[2]; /* the podCIDRs, AF_UNSPEC = none */
	struct weft_prefix want[2];  /* the blocks made of them */
	bool gone;                   /* ours only: what it held stays */
	char *report;                /* the one that stands, or NULL */
	char name[];
};

struct held {
	UT_hash_handle hh;
	struct weft_prefix cidr;
	struct node *by;
};

struct name { /* of a LoadBalancer pool that was told */
	UT_hash_handle hh;
	char text[];
};

struct write { /* to be answered */
	struct write *next;
	int code;
	struct weft_prefix cidr;
	weft_write_done_fn done;
	void *ctx;
};

struct podcidrs {
	struct weft_source source;
	struct weft_source_ops ops;
	struct weft_source *inner;
	char *self;
	struct weft_prefix *clusters;
	size_t n_clusters;
	enum weft_tunnel_mode tunnel;
	struct keyhash hash;
	struct node *nodes;
	struct held *held;
	struct name *pools;
	bool warned;
	weft_sink_fn sink;
	void *ctx;
	uv_timer_t timer;
	struct write *writes;
};

#define FIND(p, table, key, len, out) \
	HASH_FIND_BYHASHVALUE(hh, table, key, len, keyhash(&(p)->hash, key, len), out)
#define ADD(p, table, key, len, item) \
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, table, key, len, keyhash(&(p)->hash, key, len), item)

/* ---- what is told ---- */

static void tell(struct podcidrs *p, enum weft_event_type type, enum weft_kind kind, const char *key,
                 struct weft_object *obj)
{
	p->sink(p->ctx, &(struct weft_event){.type = type, .kind = kind, .key = key, .obj = obj});
}

static void pool_name(const struct weft_prefix *cluster, char out[WEFT_PREFIX_STR + 8])
{
	char block[WEFT_PREFIX_STR];

	snprintf(out, WEFT_PREFIX_STR + 8, "cluster-%s", weft_block_name(cluster, block));
}

static uint8_t shortest(const struct weft_prefix *cidr)
{
	return cidr->addr.family == AF_INET ? SHORTEST4 : SHORTEST6;
}

static uint8_t longest(const struct weft_prefix *cidr)
{
	return cidr->addr.family == AF_INET ? WEFT_PODCIDR_LONGEST4 : WEFT_PODCIDR_LONGEST6;
}

static void tell_pool(struct podcidrs *p, const struct weft_prefix *cluster)
{
	struct weft_object *obj = must_alloc(1, sizeof(*obj));
	char name[WEFT_PREFIX_STR + 8];

	pool_name(cluster, name);
	obj->kind = WEFT_IPPOOL;
	obj->meta.name = must_strdup(name);
	obj->ippool = (struct weft_ippool){
	        .cidr = *cluster,
	        .block_size = cluster->len > shortest(cluster) ? cluster->len : shortest(cluster),
	        .longest_block = longest(cluster),
	        .tunnel = p->tunnel,
	        .disabled = true,
	};
	tell(p, WEFT_EV_UPSERT, WEFT_IPPOOL, name, obj);
}

static const struct weft_prefix *cluster_of(const struct podcidrs *p, const struct weft_prefix *cidr)
{
	for (size_t i = 0; i < p->n_clusters; i++)
		if (weft_prefix_covers(&p->clusters[i], cidr))
			return &p->clusters[i];
	return NULL;
}

static void tell_block(struct podcidrs *p, const struct weft_prefix *cidr, const struct node *n)
{
	struct weft_object *obj = must_alloc(1, sizeof(*obj));
	char name[WEFT_PREFIX_STR], pool[WEFT_PREFIX_STR + 8];

	pool_name(cluster_of(p, cidr), pool);
	weft_block_name(cidr, name);
	obj->kind = WEFT_IPBLOCK;
	obj->meta.name = must_strdup(name);
	obj->ipblock =
	        (struct weft_ipblock){.cidr = *cidr, .node = must_strdup(n->name), .pool = must_strdup(pool)};
	tell(p, WEFT_EV_UPSERT, WEFT_IPBLOCK, name, obj);
}

/* ---- reports, one per Node ---- */

static struct held *find_held(const struct podcidrs *p, const struct weft_prefix *cidr)
{
	struct held *h = NULL;

	FIND(p, p->held, cidr, sizeof(*cidr), h);
	return h;
}

static bool holds(const struct podcidrs *p, const struct node *n, int i)
{
	const struct held *h = weft_addr_is_set(&n->want[i].addr) ? find_held(p, &n->want[i]) : NULL;

	return h && h->by == n;
}

static bool is_self(const struct podcidrs *p, const char *name)
{
	return !strcmp(name, p->self);
}

/* What is wrong with one podCIDR; false: nothing. */
static bool problem_of(const struct podcidrs *p, const struct node *n, int i, char *out, size_t size)
{
	const struct weft_prefix *cidr = &n->given[i];
	char text[WEFT_PREFIX_STR];
	const struct held *h;

	if (!weft_addr_is_set(&cidr->addr))
		return false;
	weft_prefix_str(cidr, text);
	if (!cluster_of(p, cidr)) {
		snprintf(out, size, "podCIDR %s of Node %s lies in none of ipam.clusterCIDRs", text, n->name);
		return true;
	}
	if (cidr->len > longest(cidr)) {
		snprintf(out, size, "podCIDR %s of Node %s is smaller than /%u", text, n->name,
		         longest(cidr));
		return true;
	}
	h = find_held(p, &n->want[i]);
	if (h && h->by != n)
		snprintf(out, size, "podCIDR %s of Node %s is Node %s's, too", text, n->name, h->by->name);
	return h && h->by != n;
}

static void report(struct podcidrs *p, struct node *n)
{
	char text[WEFT_ERR_TEXT] = "", scope[WEFT_NAME_MAX + 32];
	bool has = weft_addr_is_set(&n->want[0].addr) || weft_addr_is_set(&n->want[1].addr);

	if (!n->gone && !problem_of(p, n, 0, text, sizeof(text)) &&
	    !problem_of(p, n, 1, text, sizeof(text)) && is_self(p, n->name) && !has)
		snprintf(text, sizeof(text),
		         "Node %s has no spec.podCIDRs yet: the controller manager gives it one with "
		         "--allocate-node-cidrs",
		         n->name);
	if (!strcmp(text, n->report ? n->report : ""))
		return;
	free(n->report);
	n->report = *text ? must_strdup(text) : NULL;
	snprintf(scope, sizeof(scope), "Node %s, spec.podCIDRs", n->name);
	p->sink(p->ctx, &(struct weft_event){.type = WEFT_EV_INVALID,
	                                     .key = n->name,
	                                     .scope = scope,
	                                     .where = scope,
	                                     .text = text});
}

/* ---- who holds what ---- */

static void take(struct podcidrs *p, struct node *n, int i)
{
	struct held *h;
	struct node *was;

	if (!weft_addr_is_set(&n->want[i].addr))
		return;
	h = find_held(p, &n->want[i]);
	if (h && !h->by->gone)
		return;
	if (!h) {
		h = must_alloc(1, sizeof(*h));
		h->cidr = n->want[i];
		ADD(p, p->held, &h->cidr, sizeof(h->cidr), h);
	}
	was = h->by;
	h->by = n;
	tell_block(p, &h->cidr, n);
	if (was && was != n) { /* ours, which vanished: others may use its podCIDR now */
		was->given[i] = was->want[i] = (struct weft_prefix){0};
		report(p, was);
	}
}

static void let_go(struct podcidrs *p, struct node *n, int i)
{
	struct weft_prefix cidr = n->want[i];
	struct held *h = holds(p, n, i) ? find_held(p, &cidr) : NULL;
	char name[WEFT_PREFIX_STR];
	struct node *o, *tmp;

	n->want[i] = (struct weft_prefix){0};
	if (!h)
		return;
	HASH_ITER (hh, p->nodes, o, tmp)
		if (o != n && !weft_prefix_cmp(&o->want[i], &cidr)) {
			h->by = o;
			tell_block(p, &cidr, o);
			report(p, o);
			return;
		}
	HASH_DEL(p->held, h);
	free(h);
	tell(p, WEFT_EV_DELETE, WEFT_IPBLOCK, weft_block_name(&cidr, name), NULL);
}

static struct node *find_node(struct podcidrs *p, const char *name, bool make)
{
	size_t len = strlen(name);
	struct node *n = NULL;

	FIND(p, p->nodes, name, len, n);
	if (n || !make)
		return n;
	n = must_alloc(1, sizeof(*n) + len + 1);
	memcpy(n->name, name, len);
	ADD(p, p->nodes, n->name, len, n);
	return n;
}

/* The block that a podCIDR gives; unset when it gives none. */
static struct weft_prefix block_of(const struct podcidrs *p, const struct weft_prefix *cidr)
{
	if (!weft_addr_is_set(&cidr->addr) || !cluster_of(p, cidr) || cidr->len > longest(cidr))
		return (struct weft_prefix){0};
	return cidr->len < shortest(cidr) ? weft_prefix_mask(&cidr->addr, shortest(cidr)) : *cidr;
}

static void node_is(struct podcidrs *p, const char *name, const struct weft_prefix given[2])
{
	bool any = weft_addr_is_set(&given[0].addr) || weft_addr_is_set(&given[1].addr);
	struct node *n = find_node(p, name, any || is_self(p, name));

	if (!n)
		return;
	for (int i = 0; i < 2; i++) {
		struct weft_prefix want = block_of(p, &given[i]);

		n->given[i] = given[i];
		if (is_self(p, name) && !any &&
		    holds(p, n, i)) { /* it is registered, and waits for its CIDRs */
			n->given[i] = n->want[i];
			continue;
		}
		if (weft_prefix_cmp(&n->want[i], &want)) {
			let_go(p, n, i);
			n->want[i] = want;
		}
		if (!holds(p, n, i))
			take(p, n, i);
	}
	n->gone = false;
	report(p, n);
}

static void free_node(struct podcidrs *p, struct node *n)
{
	HASH_DEL(p->nodes, n);
	free(n->report);
	free(n);
}

static void node_is_gone(struct podcidrs *p, const char *name)
{
	struct node *n = find_node(p, name, false), *o, *tmp;

	if (!n)
		return;
	n->gone = true;
	report(p, n);
	if (is_self(p, name)) {
		HASH_ITER (hh, p->nodes, o, tmp)
			for (int i = 0; i < 2; i++)
				if (o != n && !holds(p, o, i)) {
					take(p, o, i);
					report(p, o);
				}
		return;
	}
	let_go(p, n, 0);
	let_go(p, n, 1);
	free_node(p, n);
}

/* ---- events of the source ---- */

static void not_used(struct podcidrs *p, enum weft_kind kind, const char *key)
{
	if (!p->warned)
		log_warning("ipam.mode is node: IPPools for pods and IPBlocks are not used (%s %s)",
		            weft_kind_name(kind), key);
	p->warned = true;
}

/* The name of a pool that stands for a cluster CIDR. */
static bool is_cluster_pool(const struct podcidrs *p, const char *key)
{
	char name[WEFT_PREFIX_STR + 8];

	for (size_t i = 0; i < p->n_clusters; i++) {
		pool_name(&p->clusters[i], name);
		if (!strcmp(key, name))
			return true;
	}
	return false;
}

static void on_pool(struct podcidrs *p, const struct weft_event *ev)
{
	bool wanted = ev->type == WEFT_EV_UPSERT && ev->obj->ippool.use == WEFT_USE_LOADBALANCER &&
	              !is_cluster_pool(p, ev->key);
	size_t len = strlen(ev->key);
	struct name *told = NULL;

	FIND(p, p->pools, ev->key, len, told);
	if (wanted && !told) {
		told = must_alloc(1, sizeof(*told) + len + 1);
		memcpy(told->text, ev->key, len);
		ADD(p, p->pools, told->text, len, told);
	}
	if (wanted) {
		p->sink(p->ctx, ev);
		return;
	}
	if (told) {
		tell(p, WEFT_EV_DELETE, WEFT_IPPOOL, ev->key, NULL);
		HASH_DEL(p->pools, told);
		free(told);
	}
	if (ev->type == WEFT_EV_UPSERT) {
		not_used(p, WEFT_IPPOOL, ev->key);
		weft_object_free(ev->obj);
	}
}

static void on_event(void *ctx, const struct weft_event *ev)
{
	struct podcidrs *p = ctx;
	bool object = ev->type == WEFT_EV_UPSERT || ev->type == WEFT_EV_DELETE;

	if (object && ev->kind == WEFT_IPPOOL) {
		on_pool(p, ev);
	} else if (object && ev->kind == WEFT_IPBLOCK) {
		if (ev->type == WEFT_EV_UPSERT)
			not_used(p, WEFT_IPBLOCK, ev->key);
		weft_object_free(ev->obj);
	} else if (ev->type == WEFT_EV_UPSERT && ev->kind == WEFT_NODE) {
		struct weft_prefix given[2] = {ev->obj->node.pod_cidr4, ev->obj->node.pod_cidr6};

		p->sink(p->ctx, ev);
		node_is(p, ev->key, given);
	} else {
		if (ev->type == WEFT_EV_DELETE && ev->kind == WEFT_NODE)
			node_is_gone(p, ev->key);
		p->sink(p->ctx, ev);
	}
}

/* ---- the source's operations ---- */

static struct podcidrs *self_of(struct weft_source *s)
{
	return (struct podcidrs *)s;
}

static int start(struct weft_source *s, weft_sink_fn sink, void *ctx, struct weft_err *err)
{
	struct podcidrs *p = self_of(s);

	p->sink = sink;
	p->ctx = ctx;
	for (size_t i = 0; i < p->n_clusters; i++)
		tell_pool(p, &p->clusters[i]);
	return p->inner->ops->start(p->inner, on_event, p, err);
}

static void on_timer(uv_timer_t *t)
{
	struct podcidrs *p = t->data;
	struct write *all = p->writes, *w;

	p->writes = NULL;
	while ((w = all)) {
		struct weft_err err = WEFT_ERR_INIT;
		char cidr[WEFT_PREFIX_STR];

		all = w->next;
		weft_err_set(&err, EEXIST, "block %s: with ipam.mode node, blocks are not claimed",
		             weft_prefix_str(&w->cidr, cidr));
		w->done(w->ctx, w->code ? &err : NULL);
		free(w);
	}
}

static void answer(struct podcidrs *p, const struct weft_prefix *cidr, int code, weft_write_done_fn done,
                   void *ctx)
{
	struct write *w = must_alloc(1, sizeof(*w)), **end = &p->writes;

	*w = (struct write){.code = code, .cidr = *cidr, .done = done, .ctx = ctx};
	while (*end)
		end = &(*end)->next;
	*end = w;
	uv_timer_start(&p->timer, on_timer, 0, 0);
}

/* Asked for when pods still use a block that is not this node's any more: it is somebody else's. */
static void claim_block(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                        const char *pool, weft_write_done_fn done, void *ctx)
{
	(void)node;
	(void)pool;
	answer(self_of(s), cidr, -EEXIST, done, ctx);
}

static void release_block(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                          weft_write_done_fn done, void *ctx)
{
	(void)node;
	answer(self_of(s), cidr, 0, done, ctx);
}

static void put_status(struct weft_source *s, enum weft_kind kind, const char *key,
                       const struct cJSON *status, weft_write_done_fn done, void *ctx)
{
	struct weft_source *inner = self_of(s)->inner;

	inner->ops->put_status(inner, kind, key, status, done, ctx);
}

static int stand(struct weft_source *s, const char *role, const char *identity,
                 void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err)
{
	struct weft_source *inner = self_of(s)->inner;

	return inner->ops->stand(inner, role, identity, on_change, ctx, err);
}

static void tell_people(struct weft_source *s, enum weft_kind kind, const char *key, bool warning,
                        const char *reason, const char *message)
{
	struct weft_source *inner = self_of(s)->inner;

	inner->ops->tell(inner, kind, key, warning, reason, message);
}

static void node_condition(struct weft_source *s, enum weft_node_condition which, bool holds,
                           const char *reason, const char *message)
{
	struct weft_source *inner = self_of(s)->inner;

	inner->ops->node_condition(inner, which, holds, reason, message);
}

static struct cJSON *describe(struct weft_source *s)
{
	struct weft_source *inner = self_of(s)->inner;

	return inner->ops->describe(inner);
}

static void on_closed(uv_handle_t *handle)
{
	struct podcidrs *p = handle->data;

	free(p->clusters);
	free(p->self);
	free(p);
}

static void source_free(struct weft_source *s)
{
	struct podcidrs *p = self_of(s);
	struct name *name, *next_name;
	struct held *h, *next_held;
	struct node *n, *next;

	p->inner->ops->free(p->inner);
	HASH_ITER (hh, p->held, h, next_held) {
		HASH_DEL(p->held, h);
		free(h);
	}
	HASH_ITER (hh, p->nodes, n, next)
		free_node(p, n);
	HASH_ITER (hh, p->pools, name, next_name) {
		HASH_DEL(p->pools, name);
		free(name);
	}
	while (p->writes) {
		struct write *w = p->writes;

		p->writes = w->next;
		free(w);
	}
	uv_close((uv_handle_t *)&p->timer, on_closed);
}

struct weft_source *weft_podcidrs_new(const struct weft_podcidrs_options *o)
{
	struct podcidrs *p = must_alloc(1, sizeof(*p));
	const struct weft_source_ops *inner = o->source->ops;

	keyhash_init(&p->hash);
	p->ops = (struct weft_source_ops){.start = start,
	                                  .claim_block = claim_block,
	                                  .release_block = release_block,
	                                  .put_status = inner->put_status ? put_status : NULL,
	                                  .stand = inner->stand ? stand : NULL,
	                                  .tell = inner->tell ? tell_people : NULL,
	                                  .node_condition = inner->node_condition ? node_condition : NULL,
	                                  .describe = describe,
	                                  .free = source_free};
	p->source.ops = &p->ops;
	p->inner = o->source;
	p->self = must_strdup(o->node);
	p->clusters = must_alloc(o->n_clusters, sizeof(*p->clusters));
	memcpy(p->clusters, o->clusters, o->n_clusters * sizeof(*p->clusters));
	p->n_clusters = o->n_clusters;
	p->tunnel = o->tunnel;
	uv_timer_init(o->loop, &p->timer);
	p->timer.data = p;
	return &p->source;
}
