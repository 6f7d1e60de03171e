// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pools and the rules between them (cluster.h): overlaps, and pools that contain a node's address. There are
 * few pools: they are looked at together. Nodes and blocks are many: they are only looked up.
 */
#include <stdio.h>

#include "agent/state/cluster_int.h"

struct pool_entry *pools_find(const struct cluster *c, const char *name)
{
	struct pool_entry *p;

	TABLE_FIND(c, c->pools, name, p);
	return p;
}

struct pool_entry *pools_need(struct cluster *c, const char *name)
{
	struct pool_entry *p = pools_find(c, name);

	if (!p)
		TABLE_ADD(c, c->pools, name, p);
	return p;
}

void pools_drop_if_unused(struct cluster *c, struct pool_entry *p)
{
	if (p->obj || p->blocks)
		return;
	free(p->refused);
	TABLE_DEL(c->pools, p);
}

static void vector_add(struct cluster *c, struct pool_entry *p)
{
	size_t n = c->count[WEFT_IPPOOL], at = n;

	c->pools_by_name = must_grow(c->pools_by_name, n + 1, sizeof(*c->pools_by_name));
	while (at > 0 && strcmp(c->pools_by_name[at - 1]->key, p->key) > 0)
		at--;
	memmove(&c->pools_by_name[at + 1], &c->pools_by_name[at], (n - at) * sizeof(*c->pools_by_name));
	c->pools_by_name[at] = p;
	c->count[WEFT_IPPOOL]++;
}

static void vector_del(struct cluster *c, const struct pool_entry *p)
{
	size_t n = --c->count[WEFT_IPPOOL], at = 0;

	while (at < n && c->pools_by_name[at] != p)
		at++;
	memmove(&c->pools_by_name[at], &c->pools_by_name[at + 1], (n - at) * sizeof(*c->pools_by_name));
}

/* --- the rules --- */

static const struct weft_range *ranges_of(const struct pool_entry *p, size_t *n)
{
	const struct weft_ippool *pool = &p->obj->ippool;

	*n = pool->n_ranges ? pool->n_ranges : 1;
	return pool->n_ranges ? pool->ranges : &p->whole;
}

static bool range_has(const struct weft_range *r, const struct weft_addr *a)
{
	return r->first.family == a->family && weft_addr_cmp(&r->first, a) <= 0 &&
	       weft_addr_cmp(a, &r->last) <= 0;
}

struct inside {
	const struct weft_range *range;
	struct node_entry *node;
	struct weft_addr addr;
};

static bool first_node(void *ctx, const struct weft_prefix *ip, void *value)
{
	struct inside *in = ctx;

	if (!range_has(in->range, &ip->addr))
		return false;
	in->node = value;
	in->addr = ip->addr;
	return true;
}

/* The shortest prefix that has all of a range. */
static struct weft_prefix cover(const struct weft_range *r)
{
	uint8_t len = (uint8_t)weft_addr_bits(r->first.family);
	struct weft_prefix p = weft_prefix_mask(&r->first, len);

	while (len > 0 && !weft_prefix_contains(&p, &r->last))
		p = weft_prefix_mask(&r->first, --len);
	return p;
}

/* A node whose address lies in the pool, and that address; NULL if there is none. */
static struct node_entry *node_inside(const struct cluster *c, const struct pool_entry *p,
                                      struct weft_addr *addr)
{
	size_t n;
	const struct weft_range *r = ranges_of(p, &n);

	for (size_t i = 0; i < n; i++) {
		struct inside in = {.range = &r[i]};
		struct weft_prefix all = cover(&r[i]);

		if (!trie_below(&c->by_ip, &all, first_node, &in))
			continue;
		*addr = in.addr;
		return in.node;
	}
	return NULL;
}

/* The first of a's ranges that overlaps one of b's; NULL if none does. */
static const struct weft_range *overlap(const struct pool_entry *a, const struct pool_entry *b)
{
	size_t n, m;
	const struct weft_range *x = ranges_of(a, &n), *y = ranges_of(b, &m);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			if (range_has(&x[i], &y[j].first) || range_has(&y[j], &x[i].first))
				return &x[i];
	return NULL;
}

/* Best first: has blocks, holds no node's address, in force, name. */
static int by_right(const void *x, const void *y)
{
	const struct pool_entry *a = *(struct pool_entry *const *)x, *b = *(struct pool_entry *const *)y;

	if (!a->n_blocks != !b->n_blocks)
		return a->n_blocks ? -1 : 1;
	if (a->has_node != b->has_node)
		return a->has_node ? 1 : -1;
	if (a->in_force != b->in_force)
		return a->in_force ? -1 : 1;
	return strcmp(a->key, b->key);
}

#define RANGE_STR (2 * WEFT_ADDR_STR + 1)

/* The pool's cidr, or this one of its ranges. */
static const char *range_str(const struct pool_entry *p, const struct weft_range *r, char buf[RANGE_STR])
{
	char first[WEFT_ADDR_STR], last[WEFT_ADDR_STR];

	if (weft_addr_is_set(&p->obj->ippool.cidr.addr))
		return weft_prefix_str(&p->obj->ippool.cidr, buf);
	snprintf(buf, RANGE_STR, "%s-%s", weft_addr_str(&r->first, first), weft_addr_str(&r->last, last));
	return buf;
}

static const char *gives(const struct pool_entry *p)
{
	return p->obj->ippool.use == WEFT_USE_PODS ? "blocks" : "LoadBalancer IPs";
}

static char *overlap_text(const struct pool_entry *p, const struct pool_entry *winner)
{
	char a[RANGE_STR], b[RANGE_STR], text[CLUSTER_TEXT];

	snprintf(
	        text, sizeof(text),
	        "IPPool %s (%s) overlaps IPPool %s (%s), which keeps its addresses: no new %s from %s until one "
	        "of the two is changed",
	        p->key, range_str(p, overlap(p, winner), a), winner->key,
	        range_str(winner, overlap(winner, p), b), gives(p), p->key);
	return must_strdup(text);
}

static char *node_text(const struct cluster *c, const struct pool_entry *p)
{
	struct weft_addr addr;
	const struct node_entry *n = node_inside(c, p, &addr);
	const struct weft_range *r;
	char range[RANGE_STR], ip[WEFT_ADDR_STR], text[CLUSTER_TEXT];
	size_t count;

	r = ranges_of(p, &count);
	while (count > 1 && !range_has(r, &addr)) {
		r++;
		count--;
	}
	snprintf(text, sizeof(text),
	         "IPPool %s (%s) contains %s, the address of node %s: no new %s from it until its %s changed",
	         p->key, range_str(p, r, range), weft_addr_str(&addr, ip), n->key, gives(p),
	         p->obj->ippool.n_ranges && !weft_addr_is_set(&p->obj->ippool.cidr.addr) ? "ranges are"
	                                                                                 : "cidr is");
	return must_strdup(text);
}

/* Takes over text. True when the verdict differs from the last one. */
static bool set_refused(struct pool_entry *p, char *text)
{
	bool same = p->refused && text ? !strcmp(p->refused, text) : p->refused == text;

	free(p->refused);
	p->refused = text;
	return !same;
}

void pools_evaluate(struct cluster *c)
{
	size_t n = c->count[WEFT_IPPOOL], n_won = 0;
	struct pool_entry **order = must_alloc(n, sizeof(*order));
	struct weft_addr addr;
	bool differs = false;

	for (size_t i = 0; i < n; i++) {
		order[i] = c->pools_by_name[i];
		order[i]->has_node = node_inside(c, order[i], &addr);
	}
	qsort(order, n, sizeof(*order), by_right);
	c->n_refused = 0;
	for (size_t i = 0; i < n; i++) { /* order[0..n_won) have won */
		struct pool_entry *p = order[i], *rival = NULL;

		for (size_t w = 0; w < n_won && !rival; w++)
			if (overlap(order[w], p))
				rival = order[w];
		p->in_force = !rival;
		if (!rival)
			order[n_won++] = p;
		differs |= set_refused(p, rival         ? overlap_text(p, rival)
		                          : p->has_node ? node_text(c, p)
		                                        : NULL);
		c->n_refused += p->refused != NULL;
	}
	free(order);
	if (differs) {
		dirty_mark(c, CLUSTER_DIRTY_POOLS);
		dirty_mark(c, CLUSTER_DIRTY_BGP);
	}
}

static bool pool_has(const struct pool_entry *p, const struct weft_addr *addr)
{
	size_t n;
	const struct weft_range *r = ranges_of(p, &n);

	for (size_t i = 0; i < n; i++)
		if (range_has(&r[i], addr))
			return true;
	return false;
}

void pools_node_address(struct cluster *c, const struct weft_addr *addr)
{
	if (!c->synced || !weft_addr_is_set(addr))
		return;
	for (size_t i = 0; i < c->count[WEFT_IPPOOL]; i++) {
		if (pool_has(c->pools_by_name[i], addr)) {
			pools_evaluate(c);
			return;
		}
	}
}

void pools_block_count_changed(struct cluster *c)
{
	if (!c->synced || !c->n_refused)
		return;
	pools_evaluate(c);
	dirty_mark(c, CLUSTER_DIRTY_BGP);
}

struct pool_entry *pools_serving(const struct cluster *c, struct pool_entry *named,
                                 const struct weft_prefix *cidr)
{
	struct pool_entry *best = NULL;

	if (named->obj && weft_prefix_covers(&named->obj->ippool.cidr, cidr))
		return named;
	for (size_t i = 0; i < c->count[WEFT_IPPOOL]; i++) {
		struct pool_entry *p = c->pools_by_name[i];

		if (!weft_prefix_covers(&p->obj->ippool.cidr, cidr))
			continue;
		if (!best || p->obj->ippool.cidr.len > best->obj->ippool.cidr.len)
			best = p;
	}
	return best;
}

/* --- events --- */

static bool same_geometry(const struct weft_object *a, const struct weft_object *b)
{
	return !weft_prefix_cmp(&a->ippool.cidr, &b->ippool.cidr) &&
	       a->ippool.block_size == b->ippool.block_size;
}

static bool same_addresses(const struct weft_ippool *a, const struct weft_ippool *b)
{
	return !weft_prefix_cmp(&a->cidr, &b->cidr) && a->n_ranges == b->n_ranges &&
	       (!a->n_ranges || !memcmp(a->ranges, b->ranges, a->n_ranges * sizeof(*a->ranges)));
}

/* NULL: the pool has ranges, but no cidr that a block could lie in. */
static const struct weft_prefix *cidr_of(const struct weft_object *obj)
{
	return obj && weft_addr_is_set(&obj->ippool.cidr.addr) ? &obj->ippool.cidr : NULL;
}

void pools_put(struct cluster *c, const char *key, struct weft_object *obj)
{
	struct pool_entry *p = pools_need(c, key);
	struct weft_object *old = p->obj;

	p->obj = obj;
	p->whole = (struct weft_range){obj->ippool.cidr.addr, weft_prefix_last(&obj->ippool.cidr)};
	if (!old)
		vector_add(c, p);
	else if (!same_addresses(&old->ippool, &obj->ippool))
		p->in_force = false;
	dirty_mark(c, CLUSTER_DIRTY_POOLS);
	dirty_mark(c, CLUSTER_DIRTY_BGP);
	if (!old || !same_geometry(old, obj) || old->ippool.tunnel != obj->ippool.tunnel)
		ipblocks_pool_changed(c, p, cidr_of(old), cidr_of(obj));
	if (c->synced)
		pools_evaluate(c);
	weft_object_free(old);
}

void pools_del(struct cluster *c, const char *key)
{
	struct pool_entry *p = pools_find(c, key);
	struct weft_object *old = p ? p->obj : NULL;

	if (!old)
		return;
	vector_del(c, p);
	p->obj = NULL;
	p->in_force = false;
	set_refused(p, NULL);
	dirty_mark(c, CLUSTER_DIRTY_POOLS);
	dirty_mark(c, CLUSTER_DIRTY_BGP);
	ipblocks_pool_changed(c, p, cidr_of(old), NULL);
	if (c->synced)
		pools_evaluate(c);
	pools_drop_if_unused(c, p);
	weft_object_free(old);
}

bool cluster_pool_at(const struct cluster *c, size_t i, struct cluster_pool *out)
{
	const struct weft_object *self = cluster_self(c);
	const struct pool_entry *p;

	if (i >= c->count[WEFT_IPPOOL])
		return false;
	p = c->pools_by_name[i];
	*out = (struct cluster_pool){
	        .name = p->key,
	        .spec = &p->obj->ippool,
	        .n_blocks = p->n_blocks,
	        .selects_self = self && weft_selector_matches(&p->obj->ippool.node_selector,
	                                                      self->meta.labels, self->meta.n_labels),
	        .refused = p->refused,
	};
	return true;
}

static bool asks_for_tunnel(const struct weft_ippool *p)
{
	return p->use == WEFT_USE_PODS && p->tunnel != WEFT_TUNNEL_NEVER;
}

bool cluster_wants_tunnel(const struct cluster *c, uint8_t family)
{
	for (size_t i = 0; i < c->count[WEFT_IPPOOL] && !c->own_only; i++) {
		const struct weft_ippool *p = &c->pools_by_name[i]->obj->ippool;

		if (asks_for_tunnel(p) && p->cidr.addr.family == family)
			return true;
	}
	return false;
}

void pools_each_untunnelled(const struct cluster *c, cluster_report_fn fn, void *ctx)
{
	char text[WEFT_NAME_MAX + 160];

	for (size_t i = 0; i < c->count[WEFT_IPPOOL] && c->own_only; i++) {
		if (!asks_for_tunnel(&c->pools_by_name[i]->obj->ippool))
			continue;
		snprintf(
		        text, sizeof(text),
		        "IPPool/%s: no tunnels: they need the other nodes' addresses, and datastore.nodes is own; "
		        "set ipip: Never",
		        c->pools_by_name[i]->key);
		fn(ctx, "", text);
	}
}
