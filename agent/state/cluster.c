// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/state/cluster.h"

#include <stdio.h>

#include "agent/state/cluster_int.h"

struct cluster *cluster_new(const char *self)
{
	struct cluster *c = must_alloc(1, sizeof(*c));

	keyhash_init(&c->hash);
	c->self = must_strdup(self);
	c->own = nodes_need(c, self);
	return c;
}

void cluster_own_node_only(struct cluster *c)
{
	c->own_only = true;
}

/* --- secrets and peers --- */

static struct secret_entry *secret_find(const struct cluster *c, const char *key)
{
	struct secret_entry *s;

	TABLE_FIND(c, c->secrets, key, s);
	return s;
}

static struct secret_entry *secret_need(struct cluster *c, const char *key)
{
	struct secret_entry *s = secret_find(c, key);

	if (!s)
		TABLE_ADD(c, c->secrets, key, s);
	return s;
}

static void secret_drop_if_unused(struct cluster *c, struct secret_entry *s)
{
	if (!s->obj && !s->n_peers)
		TABLE_DEL(c->secrets, s);
}

/* A secret is kept before any peer names it: a source sends it once. */
static void secret_set(struct cluster *c, const char *key, struct weft_object *obj)
{
	struct secret_entry *s = obj ? secret_need(c, key) : secret_find(c, key);
	struct weft_object *old = s ? s->obj : NULL;

	if (!s)
		return;
	c->count[WEFT_SECRET] += (obj != NULL) - (old != NULL);
	s->obj = obj;
	if (s->n_peers)
		dirty_mark(c, CLUSTER_DIRTY_BGP);
	weft_object_free(old);
	secret_drop_if_unused(c, s);
}

static const char *secret_key(const struct weft_bgppeer *peer, char buf[WEFT_KEY_MAX])
{
	snprintf(buf, WEFT_KEY_MAX, CLUSTER_SECRET_NAMESPACE "/%s", peer->secret);
	return buf;
}

static void secret_count(struct cluster *c, const struct weft_object *peer, bool more)
{
	char key[WEFT_KEY_MAX];
	struct secret_entry *s;

	if (!peer || !peer->bgppeer.secret)
		return;
	s = secret_need(c, secret_key(&peer->bgppeer, key));
	s->n_peers += more ? 1 : (size_t)-1;
	secret_drop_if_unused(c, s);
}

const struct weft_object *cluster_secret_of(const struct cluster *c, const struct weft_bgppeer *peer)
{
	char key[WEFT_KEY_MAX];
	const struct secret_entry *s = peer->secret ? secret_find(c, secret_key(peer, key)) : NULL;

	return s ? s->obj : NULL;
}

/* Where a peer of this name is or belongs. */
static size_t peer_index(const struct cluster *c, const char *key, bool *found)
{
	size_t lo = 0, hi = c->count[WEFT_BGPPEER];

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->peers_by_name[mid]->meta.name, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < c->count[WEFT_BGPPEER] && !strcmp(c->peers_by_name[lo]->meta.name, key);
	return lo;
}

static bool selects_self(const struct cluster *c, const struct weft_object *peer)
{
	const struct weft_object *self = cluster_self(c);

	return peer && self &&
	       weft_selector_matches(&peer->bgppeer.node_selector, self->meta.labels, self->meta.n_labels);
}

/* obj NULL removes. */
static void peer_set(struct cluster *c, const char *key, struct weft_object *obj)
{
	bool found;
	size_t n = c->count[WEFT_BGPPEER], at = peer_index(c, key, &found);
	struct weft_object *old = found ? c->peers_by_name[at] : NULL;

	if (!old && !obj)
		return;
	if (!old) {
		c->peers_by_name = must_grow(c->peers_by_name, n + 1, sizeof(*c->peers_by_name));
		memmove(&c->peers_by_name[at + 1], &c->peers_by_name[at],
		        (n - at) * sizeof(*c->peers_by_name));
		c->count[WEFT_BGPPEER]++;
	}
	if (obj) {
		c->peers_by_name[at] = obj;
	} else {
		memmove(&c->peers_by_name[at], &c->peers_by_name[at + 1],
		        (n - at - 1) * sizeof(*c->peers_by_name));
		c->count[WEFT_BGPPEER]--;
	}
	secret_count(c, obj, true);
	secret_count(c, old, false);
	if (selects_self(c, old) || selects_self(c, obj))
		dirty_mark(c, CLUSTER_DIRTY_BGP);
	weft_object_free(old);
}

/* Only the BGPConfig named "default" is read: another name is kept out here, the source reports it. */
static void bgpconfig_set(struct cluster *c, const char *key, struct weft_object *obj)
{
	if (strcmp(key, "default")) {
		weft_object_free(obj);
		return;
	}
	if (!obj && !c->bgpconfig)
		return;
	weft_object_free(c->bgpconfig);
	c->bgpconfig = obj;
	c->count[WEFT_BGPCONFIG] = obj != NULL;
	dirty_mark(c, CLUSTER_DIRTY_BGP);
}

/* --- events --- */

static void upsert(struct cluster *c, const char *key, struct weft_object *obj)
{
	switch (obj->kind) {
	case WEFT_NODE:
		nodes_put(c, key, obj);
		break;
	case WEFT_SECRET:
		secret_set(c, key, obj);
		break;
	case WEFT_IPPOOL:
		pools_put(c, key, obj);
		break;
	case WEFT_IPBLOCK:
		ipblocks_put(c, key, obj);
		break;
	case WEFT_BGPCONFIG:
		bgpconfig_set(c, key, obj);
		break;
	case WEFT_BGPPEER:
		peer_set(c, key, obj);
		break;
	case WEFT_NAMESPACE:
	case WEFT_SERVICECIDR:
	case WEFT_BGPADVERTISEMENT:
		plain_set(c, obj->kind, key, obj);
		break;
	case WEFT_SERVICE:
	case WEFT_ENDPOINTSLICE:
	case WEFT_SERVICESTATUS:
	case WEFT_KIND_COUNT:
		weft_object_free(obj);
		break;
	}
}

static void delete (struct cluster *c, enum weft_kind kind, const char *key)
{
	switch (kind) {
	case WEFT_NODE:
		nodes_del(c, key);
		break;
	case WEFT_SECRET:
		secret_set(c, key, NULL);
		break;
	case WEFT_IPPOOL:
		pools_del(c, key);
		break;
	case WEFT_IPBLOCK:
		ipblocks_del(c, key);
		break;
	case WEFT_BGPCONFIG:
		bgpconfig_set(c, key, NULL);
		break;
	case WEFT_BGPPEER:
		peer_set(c, key, NULL);
		break;
	case WEFT_NAMESPACE:
	case WEFT_SERVICECIDR:
	case WEFT_BGPADVERTISEMENT:
		plain_set(c, kind, key, NULL);
		break;
	case WEFT_SERVICE:
	case WEFT_ENDPOINTSLICE:
	case WEFT_SERVICESTATUS:
	case WEFT_KIND_COUNT:
		break;
	}
}

void cluster_handle(struct cluster *c, const struct weft_event *ev)
{
	char key[WEFT_KEY_MAX];

	switch (ev->type) {
	case WEFT_EV_UPSERT: /* the object's own key: ev->key may point into what is being replaced */
		upsert(c, weft_object_key(ev->obj, key), ev->obj);
		break;
	case WEFT_EV_DELETE:
		snprintf(key, sizeof(key), "%s", ev->key);
		delete (c, ev->kind, key);
		break;
	case WEFT_EV_SYNCED:
		if (c->synced)
			break;
		c->synced = true;
		pools_evaluate(c);
		ipblocks_settle_all(c);
		dirty_mark(c, CLUSTER_DIRTY_POOLS);
		dirty_mark(c, CLUSTER_DIRTY_BGP);
		break;
	case WEFT_EV_INVALID:
		reports_take(c, ev);
		break;
	}
}

void cluster_sink(void *ctx, const struct weft_event *ev)
{
	cluster_handle(ctx, ev);
}

bool cluster_synced(const struct cluster *c)
{
	return c->synced;
}

/* --- reading --- */

const char *cluster_self_name(const struct cluster *c)
{
	return c->self;
}

const struct weft_object *cluster_get(const struct cluster *c, enum weft_kind kind, const char *key)
{
	const struct node_entry *n;
	const struct pool_entry *p;
	const struct secret_entry *s;
	const struct block_entry *b;
	bool found;
	size_t at;

	switch (kind) {
	case WEFT_NODE:
		n = nodes_find(c, key);
		return n ? n->obj : NULL;
	case WEFT_SECRET:
		s = secret_find(c, key);
		return s ? s->obj : NULL;
	case WEFT_IPPOOL:
		p = pools_find(c, key);
		return p ? p->obj : NULL;
	case WEFT_IPBLOCK:
		TABLE_FIND(c, c->blocks, key, b);
		return b ? b->obj : NULL;
	case WEFT_BGPCONFIG:
		return strcmp(key, "default") ? NULL : c->bgpconfig;
	case WEFT_BGPPEER:
		at = peer_index(c, key, &found);
		return found ? c->peers_by_name[at] : NULL;
	case WEFT_NAMESPACE:
	case WEFT_SERVICECIDR:
	case WEFT_BGPADVERTISEMENT:
		return plain_get(c, kind, key);
	case WEFT_SERVICE:
	case WEFT_ENDPOINTSLICE:
	case WEFT_SERVICESTATUS:
	case WEFT_KIND_COUNT:
		break;
	}
	return NULL;
}

size_t cluster_count(const struct cluster *c, enum weft_kind kind)
{
	return c->count[kind];
}

const struct weft_object *cluster_self(const struct cluster *c)
{
	return c->own->obj;
}

const struct weft_object *cluster_node_by_ip(const struct cluster *c, const struct weft_addr *ip)
{
	struct weft_prefix key = weft_prefix_host(ip);
	const struct node_entry *n = weft_addr_is_set(ip) ? trie_get(&c->by_ip, &key) : NULL;

	return n ? n->obj : NULL;
}

void cluster_each(const struct cluster *c, enum weft_kind kind, cluster_each_fn fn, void *ctx)
{
	if (kind == WEFT_NODE) {
		for (const struct node_entry *n = c->nodes; n; n = n->hh.next)
			if (n->obj && fn(ctx, n->obj))
				return;
	} else if (kind == WEFT_SECRET) {
		for (const struct secret_entry *s = c->secrets; s; s = s->hh.next)
			if (s->obj && fn(ctx, s->obj))
				return;
	} else if (kind == WEFT_IPPOOL) {
		for (size_t i = 0; i < c->count[kind] && !fn(ctx, c->pools_by_name[i]->obj); i++)
			;
	} else if (kind == WEFT_IPBLOCK) {
		for (const struct block_entry *b = c->blocks; b && !fn(ctx, b->obj); b = b->hh.next)
			;
	} else if (kind == WEFT_BGPPEER) {
		for (size_t i = 0; i < c->count[kind] && !fn(ctx, c->peers_by_name[i]); i++)
			;
	} else if (kind == WEFT_BGPCONFIG && c->bgpconfig) {
		fn(ctx, c->bgpconfig);
	} else if (plain_kind(kind)) {
		plain_each(c, kind, fn, ctx);
	}
}

bool cluster_invalid(const struct cluster *c)
{
	return c->n_reports > 0;
}

struct report_to {
	cluster_report_fn fn;
	void *ctx;
};

static bool report_block(void *ctx, const struct cluster_block *b)
{
	struct report_to *to = ctx;

	if (b->problem[0])
		to->fn(to->ctx, "", b->problem);
	return false;
}

void cluster_each_report(const struct cluster *c, cluster_report_fn fn, void *ctx)
{
	struct report_to to = {fn, ctx};

	reports_each(c, fn, ctx);
	for (size_t i = 0; i < c->count[WEFT_IPPOOL]; i++)
		if (c->pools_by_name[i]->refused)
			fn(ctx, "", c->pools_by_name[i]->refused);
	pools_each_untunnelled(c, fn, ctx);
	cluster_each_block(c, report_block, &to);
}

/* --- the end --- */

static void free_tables(struct cluster *c)
{
	struct node_entry *n, *n_next;
	struct pool_entry *p, *p_next;
	struct secret_entry *s, *s_next;

	HASH_ITER (hh, c->nodes, n, n_next) {
		weft_object_free(n->obj);
		TABLE_DEL(c->nodes, n);
	}
	HASH_ITER (hh, c->pools, p, p_next) {
		weft_object_free(p->obj);
		free(p->refused);
		TABLE_DEL(c->pools, p);
	}
	HASH_ITER (hh, c->secrets, s, s_next) {
		weft_object_free(s->obj);
		TABLE_DEL(c->secrets, s);
	}
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	ipblocks_free(c);
	plain_free(c);
	free_tables(c);
	for (size_t i = 0; i < c->count[WEFT_BGPPEER]; i++)
		weft_object_free(c->peers_by_name[i]);
	weft_object_free(c->bgpconfig);
	dirty_free(c);
	reports_free(c);
	trie_free(&c->by_cidr);
	trie_free(&c->by_ip);
	trie_free(&c->unseen);
	free(c->pools_by_name);
	free(c->peers_by_name);
	free(c->self);
	free(c);
}
