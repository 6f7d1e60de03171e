// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPBlocks and the rules between them (cluster.h). Of blocks that overlap at most one is in force; the others
 * are shadowed. Each has a rank from the pool that serves it:
 *
 *	2 the size that its pool cuts, 1 another size, 0 in no pool: never in force, shadows nobody
 *
 * Settling a block looks at those that cover it and those that it covers, by the trie: the cost is the number
 * of overlaps. A block in force gives way to a higher rank only, so that what works is not disturbed by a
 * mistake that comes later. A displaced block has rank 1, hence what it shadowed has rank 1 too and displaces
 * nobody: promotion after a displacement ends after one step.
 */
#include <stdio.h>

#include "agent/state/cluster_int.h"

struct list {
	struct block_entry **v;
	size_t n, cap;
};

static void list_add(struct list *l, struct block_entry *b)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->v = must_grow(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = b;
}

static const struct weft_prefix *cidr_of(const struct block_entry *b)
{
	return &b->obj->ipblock.cidr;
}

static void set_state(struct cluster *c, struct block_entry *b, uint8_t rank, bool in_force)
{
	c->n_shadowed -= b->rank > 0 && !b->in_force;
	b->rank = rank;
	b->in_force = in_force;
	c->n_shadowed += b->rank > 0 && !b->in_force;
}

static uint8_t rank_of(const struct cluster *c, const struct block_entry *b)
{
	const struct pool_entry *p = pools_serving(c, b->pool, cidr_of(b));

	return !p ? 0 : p->obj->ippool.block_size == cidr_of(b)->len ? 2 : 1;
}

/* --- overlaps --- */

struct gather {
	const struct block_entry *except;
	bool in_force;     /* those in force, or those shadowed */
	uint8_t stop_rank; /* stop at one of this rank or higher */
	struct list *list; /* may be NULL */
	struct block_entry *stopped;
};

static bool gather(void *ctx, const struct weft_prefix *p, void *value)
{
	struct gather *g = ctx;

	(void)p;
	for (struct block_entry *b = value; b; b = b->next) {
		if (b == g->except || b->in_force != g->in_force || !b->rank)
			continue;
		if (b->rank >= g->stop_rank) {
			g->stopped = b;
			return true;
		}
		if (g->list)
			list_add(g->list, b);
	}
	return false;
}

static void overlaps(const struct cluster *c, const struct weft_prefix *cidr, struct gather *g)
{
	if (!trie_above(&c->by_cidr, cidr, gather, g))
		trie_below(&c->by_cidr, cidr, gather, g);
}

static struct block_entry *winner_over(const struct cluster *c, const struct block_entry *b)
{
	struct gather g = {.except = b, .in_force = true, .stop_rank = 1};

	overlaps(c, cidr_of(b), &g);
	return g.stopped;
}

static void promote(struct cluster *c, struct block_entry *b);

/* Best first: rank, in force until now, name. */
static int by_right(const void *x, const void *y)
{
	const struct block_entry *a = *(struct block_entry *const *)x, *b = *(struct block_entry *const *)y;

	if (a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	if (a->in_force != b->in_force)
		return a->in_force ? -1 : 1;
	return strcmp(a->key, b->key);
}

static void list_sort(struct list *l)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_right);
}

static void promote_shadowed_by(struct cluster *c, const struct block_entry *was)
{
	struct list shadowed = {0};
	struct gather g = {.except = was, .stop_rank = UINT8_MAX, .list = &shadowed};

	if (!c->n_shadowed)
		return;
	overlaps(c, cidr_of(was), &g);
	list_sort(&shadowed);
	for (size_t i = 0; i < shadowed.n; i++)
		promote(c, shadowed.v[i]);
	free(shadowed.v);
}

/* Put b in force if nobody of its rank or higher is in its way. */
static void promote(struct cluster *c, struct block_entry *b)
{
	struct list weaker = {0};
	struct gather g = {.except = b, .in_force = true, .stop_rank = b->rank, .list = &weaker};

	if (!b->rank || b->in_force)
		return;
	overlaps(c, cidr_of(b), &g);
	if (!g.stopped) {
		for (size_t i = 0; i < weaker.n; i++) {
			set_state(c, weaker.v[i], weaker.v[i]->rank, false);
			dirty_block(c, cidr_of(weaker.v[i]));
		}
		set_state(c, b, b->rank, true);
		dirty_block(c, cidr_of(b));
		for (size_t i = 0; i < weaker.n; i++)
			promote_shadowed_by(c, weaker.v[i]);
	}
	free(weaker.v);
}

static void settle(struct cluster *c, struct list *l)
{
	struct list held = {0};

	for (size_t i = 0; i < l->n; i++) {
		set_state(c, l->v[i], rank_of(c, l->v[i]), l->v[i]->in_force);
		dirty_block(c, cidr_of(l->v[i]));
	}
	list_sort(l);
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i]->in_force)
			list_add(&held, l->v[i]);
		set_state(c, l->v[i], l->v[i]->rank, false);
	}
	for (size_t i = 0; i < l->n; i++)
		promote(c, l->v[i]);
	for (size_t i = 0; i < held.n; i++) /* whose rank may have dropped */
		promote_shadowed_by(c, held.v[i]);
	free(held.v);
}

static void settle_one(struct cluster *c, struct block_entry *b)
{
	struct block_entry *v[] = {b};
	struct list l = {.v = v, .n = 1, .cap = 1};

	if (c->synced)
		settle(c, &l);
	else
		dirty_block(c, cidr_of(b));
}

void ipblocks_settle_all(struct cluster *c)
{
	struct list l = {0};

	for (struct block_entry *b = c->blocks; b; b = b->hh.next)
		list_add(&l, b);
	settle(c, &l);
	free(l.v);
}

/* --- pools' changes --- */

struct inside {
	struct list *list;
	const struct pool_entry *named; /* leave out those that name this pool */
	const struct weft_prefix *seen; /* and those inside this, may be NULL */
};

static bool add_inside(void *ctx, const struct weft_prefix *p, void *value)
{
	struct inside *in = ctx;

	if (in->seen && weft_prefix_covers(in->seen, p))
		return false;
	for (struct block_entry *b = value; b; b = b->next)
		if (b->pool != in->named)
			list_add(in->list, b);
	return false;
}

void ipblocks_pool_changed(struct cluster *c, struct pool_entry *p, const struct weft_prefix *was,
                           const struct weft_prefix *is)
{
	struct list l = {0};
	struct inside in = {.list = &l, .named = p};

	for (struct block_entry *b = p->blocks; b; b = b->pool_next)
		list_add(&l, b);
	if (was)
		trie_below(&c->by_cidr, was, add_inside, &in);
	in.seen = was;
	if (is)
		trie_below(&c->by_cidr, is, add_inside, &in);
	if (c->synced)
		settle(c, &l);
	else
		for (size_t i = 0; i < l.n; i++)
			dirty_block(c, cidr_of(l.v[i]));
	free(l.v);
}

/* --- events --- */

static void link_node(struct cluster *c, struct block_entry *b)
{
	b->node = nodes_need(c, b->obj->ipblock.node);
	DL_APPEND2(b->node->blocks, b, node_prev, node_next);
}

static void unlink_node(struct cluster *c, struct block_entry *b)
{
	DL_DELETE2(b->node->blocks, b, node_prev, node_next);
	nodes_drop_if_unused(c, b->node);
}

static void link_pool(struct cluster *c, struct block_entry *b)
{
	b->pool = pools_need(c, b->obj->ipblock.pool);
	DL_APPEND2(b->pool->blocks, b, pool_prev, pool_next);
	if (++b->pool->n_blocks == 1)
		pools_block_count_changed(c);
}

static void unlink_pool(struct cluster *c, struct block_entry *b)
{
	struct pool_entry *p = b->pool;

	DL_DELETE2(p->blocks, b, pool_prev, pool_next);
	if (--p->n_blocks == 0)
		pools_block_count_changed(c);
	pools_drop_if_unused(c, p);
}

static void link_cidr(struct cluster *c, struct block_entry *b)
{
	struct block_entry *head = trie_get(&c->by_cidr, cidr_of(b));

	DL_APPEND(head, b);
	trie_set(&c->by_cidr, cidr_of(b), head);
	trie_del(&c->unseen, cidr_of(b));
}

static void unlink_cidr(struct cluster *c, struct block_entry *b)
{
	struct block_entry *head = trie_get(&c->by_cidr, cidr_of(b));

	DL_DELETE(head, b);
	if (head)
		trie_set(&c->by_cidr, cidr_of(b), head);
	else
		trie_del(&c->by_cidr, cidr_of(b));
}

static struct block_entry *find(const struct cluster *c, const char *key)
{
	struct block_entry *b;

	TABLE_FIND(c, c->blocks, key, b);
	return b;
}

static void add(struct cluster *c, const char *key, struct weft_object *obj)
{
	struct block_entry *b;

	TABLE_ADD(c, c->blocks, key, b);
	b->obj = obj;
	c->count[WEFT_IPBLOCK]++;
	link_node(c, b);
	link_pool(c, b);
	link_cidr(c, b);
	settle_one(c, b);
}

/* Same CIDR, perhaps another owner or another pool. */
static void replace(struct cluster *c, struct block_entry *b, struct weft_object *obj)
{
	struct weft_object *old = b->obj;
	bool node = strcmp(old->ipblock.node, obj->ipblock.node) != 0;
	bool pool = strcmp(old->ipblock.pool, obj->ipblock.pool) != 0;

	if (node)
		unlink_node(c, b);
	if (pool)
		unlink_pool(c, b);
	b->obj = obj;
	if (node)
		link_node(c, b);
	if (pool) {
		link_pool(c, b);
		settle_one(c, b);
	}
	dirty_block(c, cidr_of(b));
	weft_object_free(old);
}

static void drop(struct cluster *c, struct block_entry *b)
{
	dirty_block(c, cidr_of(b));
	unlink_cidr(c, b);
	if (c->synced && b->in_force) {
		set_state(c, b, 0, false);
		promote_shadowed_by(c, b);
	}
	set_state(c, b, 0, false);
	unlink_node(c, b);
	unlink_pool(c, b);
	weft_object_free(b->obj);
	c->count[WEFT_IPBLOCK]--;
	TABLE_DEL(c->blocks, b);
}

void ipblocks_put(struct cluster *c, const char *key, struct weft_object *obj)
{
	struct block_entry *b = find(c, key);

	if (b && !weft_prefix_cmp(cidr_of(b), &obj->ipblock.cidr)) {
		replace(c, b, obj);
		return;
	}
	if (b)
		drop(c, b);
	add(c, key, obj);
}

void ipblocks_del(struct cluster *c, const char *key)
{
	struct block_entry *b = find(c, key);

	if (b)
		drop(c, b);
}

void ipblocks_free(struct cluster *c)
{
	struct block_entry *b, *next;

	HASH_ITER (hh, c->blocks, b, next) {
		weft_object_free(b->obj);
		TABLE_DEL(c->blocks, b);
	}
}

/* --- reading --- */

static void view_problem(const struct cluster *c, const struct block_entry *b, struct cluster_block *out)
{
	const struct weft_ipblock *spec = &b->obj->ipblock;
	const struct block_entry *winner;
	char a[WEFT_PREFIX_STR], w[WEFT_PREFIX_STR];

	if (out->state == CLUSTER_BLOCK_OK) /* the usual case, and asked for each endpoint of a Service */
		return;
	weft_prefix_str(&spec->cidr, a);
	switch (out->state) {
	case CLUSTER_BLOCK_OK:
		break;
	case CLUSTER_BLOCK_WRONG_POOL:
		snprintf(out->problem, sizeof(out->problem),
		         "IPBlock %s (%s): its IPPool %s %s; treated as a block of IPPool %s", b->key, a,
		         spec->pool, b->pool->obj ? "does not contain it" : "does not exist", out->pool_name);
		break;
	case CLUSTER_BLOCK_NODE_UNKNOWN:
		if (c->own_only)
			break;
		snprintf(out->problem, sizeof(out->problem),
		         "IPBlock %s (%s): node unknown: there is no Node %s, so no route", b->key, a,
		         spec->node);
		break;
	case CLUSTER_BLOCK_OUTSIDE:
		snprintf(out->problem, sizeof(out->problem),
		         "IPBlock %s (%s) is ignored: it lies in no IPPool (it names %s)", b->key, a,
		         spec->pool);
		break;
	case CLUSTER_BLOCK_OVERLAP:
		winner = winner_over(c, b);
		snprintf(out->problem, sizeof(out->problem),
		         "IPBlock %s (%s) of node %s is ignored: it overlaps IPBlock %s (%s) of node %s",
		         b->key, a, spec->node, winner ? winner->key : "?",
		         winner ? weft_prefix_str(cidr_of(winner), w) : "?",
		         winner ? winner->obj->ipblock.node : "?");
		break;
	}
}

static void view(const struct cluster *c, const struct block_entry *b, struct cluster_block *out)
{
	const struct weft_ipblock *spec = &b->obj->ipblock;
	const struct pool_entry *p = pools_serving(c, b->pool, &spec->cidr);

	*out = (struct cluster_block){
	        .cidr = spec->cidr,
	        .name = b->key,
	        .node_name = spec->node,
	        .pool_name = p ? p->key : spec->pool,
	        .node = b->node->obj ? &b->node->obj->node : NULL,
	        .pool = p ? &p->obj->ippool : NULL,
	        .own = !strcmp(spec->node, c->self),
	};
	if (!p)
		out->state = CLUSTER_BLOCK_OUTSIDE;
	else if (c->synced && !b->in_force)
		out->state = CLUSTER_BLOCK_OVERLAP;
	else if (!out->node && !out->own)
		out->state = CLUSTER_BLOCK_NODE_UNKNOWN;
	else if (p != b->pool)
		out->state = CLUSTER_BLOCK_WRONG_POOL;
	view_problem(c, b, out);
}

bool cluster_block(const struct cluster *c, const struct weft_prefix *cidr, struct cluster_block *out)
{
	const struct block_entry *head = trie_get(&c->by_cidr, cidr), *b;

	if (!head)
		return false;
	for (b = head; b && !b->in_force; b = b->next)
		;
	view(c, b ? b : head, out);
	return true;
}

static bool any(void *ctx, const struct weft_prefix *p, void *value)
{
	(void)ctx;
	(void)p;
	(void)value;
	return true;
}

bool cluster_block_taken(const struct cluster *c, const struct weft_prefix *cidr)
{
	return trie_above(&c->by_cidr, cidr, any, NULL) || trie_below(&c->by_cidr, cidr, any, NULL) ||
	       trie_above(&c->unseen, cidr, any, NULL) || trie_below(&c->unseen, cidr, any, NULL);
}

void cluster_block_unseen(struct cluster *c, const struct weft_prefix *cidr)
{
	if (!cluster_block_taken(c, cidr))
		trie_set(&c->unseen, cidr, c);
}

void cluster_each_block_of(const struct cluster *c, const char *node, cluster_block_fn fn, void *ctx)
{
	const struct node_entry *n = nodes_find(c, node);
	struct cluster_block out;

	for (const struct block_entry *b = n ? n->blocks : NULL; b; b = b->node_next) {
		view(c, b, &out);
		if (fn(ctx, &out))
			return;
	}
}

bool cluster_self_has(const struct cluster *c, const struct weft_addr *addr)
{
	for (const struct block_entry *b = c->own->blocks; b; b = b->node_next)
		if (weft_prefix_contains(&b->obj->ipblock.cidr, addr))
			return true;
	return false;
}

void cluster_each_block(const struct cluster *c, cluster_block_fn fn, void *ctx)
{
	struct cluster_block out;

	for (const struct block_entry *b = c->blocks; b; b = b->hh.next) {
		view(c, b, &out);
		if (fn(ctx, &out))
			return;
	}
}
