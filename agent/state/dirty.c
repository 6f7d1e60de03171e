// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queue of dirty keys: first in, first out, each key once. uthash keeps insertion order, so that one
 * structure is both the set and the queue.
 */
#include "agent/state/cluster_int.h"

struct dirty_entry {
	UT_hash_handle hh;
	enum cluster_dirty_kind kind;
	size_t len;
	unsigned char key[]; /* kind, then the prefix or the name without NUL */
};

static void mark(struct cluster *c, enum cluster_dirty_kind kind, const void *what, size_t what_len)
{
	unsigned char key[1 + WEFT_NAME_MAX + 1];
	struct dirty_entry *d;
	unsigned hash;

	if (what_len > sizeof(key) - 1)
		what_len = sizeof(key) - 1;
	key[0] = (unsigned char)kind;
	if (what_len)
		memcpy(key + 1, what, what_len);
	hash = keyhash(&c->hash, key, what_len + 1);
	HASH_FIND_BYHASHVALUE(hh, c->dirty, key, what_len + 1, hash, d);
	if (d)
		return;
	d = must_alloc(1, sizeof(*d) + what_len + 1);
	d->kind = kind;
	d->len = what_len;
	memcpy(d->key, key, what_len + 1);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->dirty, d->key, what_len + 1, hash, d);
}

void dirty_block(struct cluster *c, const struct weft_prefix *cidr)
{
	mark(c, CLUSTER_DIRTY_BLOCK, cidr, sizeof(*cidr));
}

void dirty_node(struct cluster *c, const char *name)
{
	mark(c, CLUSTER_DIRTY_NODE, name, strlen(name));
}

void dirty_namespace(struct cluster *c, const char *name)
{
	mark(c, CLUSTER_DIRTY_NAMESPACE, name, strlen(name));
}

void dirty_mark(struct cluster *c, enum cluster_dirty_kind kind)
{
	mark(c, kind, NULL, 0);
}

bool cluster_dirty_next(struct cluster *c, struct cluster_dirty *out)
{
	struct dirty_entry *d = c->dirty;

	if (!d)
		return false;
	*out = (struct cluster_dirty){.kind = d->kind};
	if (d->kind == CLUSTER_DIRTY_BLOCK)
		memcpy(&out->block, d->key + 1, sizeof(out->block));
	else if (d->kind == CLUSTER_DIRTY_NODE || d->kind == CLUSTER_DIRTY_NAMESPACE)
		memcpy(out->name, d->key + 1, d->len < sizeof(out->name) ? d->len : sizeof(out->name) - 1);
	HASH_DEL(c->dirty, d);
	free(d);
	return true;
}

size_t cluster_dirty_count(const struct cluster *c)
{
	return HASH_COUNT(c->dirty);
}

static bool mark_block(void *ctx, const struct weft_prefix *p, void *value)
{
	(void)value;
	dirty_block(ctx, p);
	return false;
}

void cluster_dirty_all(struct cluster *c)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	dirty_mark(c, CLUSTER_DIRTY_SELF);
	for (struct node_entry *n = c->nodes; n; n = n->hh.next)
		if (n->obj)
			dirty_node(c, n->key);
	dirty_mark(c, CLUSTER_DIRTY_POOLS);
	dirty_mark(c, CLUSTER_DIRTY_BGP);
	dirty_mark(c, CLUSTER_DIRTY_SERVICES);
	for (size_t i = 0; i < 2; i++) {
		struct weft_prefix all = {.addr.family = families[i]};

		trie_below(&c->by_cidr, &all, mark_block, c);
	}
}

void dirty_free(struct cluster *c)
{
	struct dirty_entry *d, *next;

	HASH_ITER (hh, c->dirty, d, next) {
		HASH_DEL(c->dirty, d);
		free(d);
	}
}
