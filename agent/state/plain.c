// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kinds that are kept by key and have no rules between them. What all Services depend on is marked dirty as
 * one key; a Namespace's labels concern its Services, if a BGPAdvertisement selects by them, so it is marked by
 * name, and only when they changed. A BGPAdvertisement that was deleted is kept aside until nobody needs it.
 */
#include "agent/state/cluster_int.h"

bool plain_kind(enum weft_kind kind)
{
	return kind == WEFT_NAMESPACE || kind == WEFT_SERVICECIDR || kind == WEFT_BGPADVERTISEMENT;
}

static struct plain_entry *find(const struct cluster *c, enum weft_kind kind, const char *key)
{
	struct plain_entry *e;

	TABLE_FIND(c, c->plain[kind], key, e);
	return e;
}

static void mark(struct cluster *c, enum weft_kind kind, const char *key, const struct weft_object *old,
                 const struct weft_object *obj)
{
	if (kind != WEFT_NAMESPACE)
		dirty_mark(c, CLUSTER_DIRTY_SERVICES);
	else if (!old || !obj || !weft_object_equal(old, obj))
		dirty_namespace(c, key);
	if (kind == WEFT_BGPADVERTISEMENT)
		dirty_mark(c, CLUSTER_DIRTY_BGP);
}

/* --- BGPAdvertisements that were deleted --- */

static struct plain_entry *find_deleted(const struct cluster *c, const char *key)
{
	struct plain_entry *e;

	TABLE_FIND(c, c->deleted, key, e);
	return e;
}

static void forget(struct cluster *c, struct plain_entry *e)
{
	weft_object_free(e->obj);
	TABLE_DEL(c->deleted, e);
}

/* One that is there again speaks for itself. */
static void keep_aside(struct cluster *c, const char *key, struct weft_object *old,
                       const struct weft_object *obj)
{
	struct plain_entry *e = find_deleted(c, key);

	if (e)
		forget(c, e);
	if (obj || !old) {
		weft_object_free(old);
		return;
	}
	TABLE_ADD(c, c->deleted, key, e);
	e->obj = old;
}

const struct weft_object *cluster_deleted_advertisement(const struct cluster *c, const char *name)
{
	const struct plain_entry *e = find_deleted(c, name);

	return e ? e->obj : NULL;
}

void cluster_forget_deleted(struct cluster *c, bool (*needed)(void *ctx, const char *name), void *ctx)
{
	struct plain_entry *e, *next;

	HASH_ITER (hh, c->deleted, e, next)
		if (!needed || !needed(ctx, e->key))
			forget(c, e);
}

/* --- all of them --- */

void plain_set(struct cluster *c, enum weft_kind kind, const char *key, struct weft_object *obj)
{
	struct plain_entry *e = find(c, kind, key);

	if (!e && !obj)
		return;
	if (!e) {
		TABLE_ADD(c, c->plain[kind], key, e);
		c->count[kind]++;
	}
	mark(c, kind, key, e->obj, obj);
	if (kind == WEFT_BGPADVERTISEMENT)
		keep_aside(c, key, e->obj, obj);
	else
		weft_object_free(e->obj);
	e->obj = obj;
	if (!obj) {
		TABLE_DEL(c->plain[kind], e);
		c->count[kind]--;
	}
}

const struct weft_object *plain_get(const struct cluster *c, enum weft_kind kind, const char *key)
{
	const struct plain_entry *e = find(c, kind, key);

	return e ? e->obj : NULL;
}

void plain_each(const struct cluster *c, enum weft_kind kind, cluster_each_fn fn, void *ctx)
{
	for (const struct plain_entry *e = c->plain[kind]; e && !fn(ctx, e->obj); e = e->hh.next)
		;
}

void plain_free(struct cluster *c)
{
	struct plain_entry *e, *next;

	cluster_forget_deleted(c, NULL, NULL);
	for (int kind = 0; kind < WEFT_KIND_COUNT; kind++)
		HASH_ITER (hh, c->plain[kind], e, next) {
			weft_object_free(e->obj);
			TABLE_DEL(c->plain[kind], e);
		}
}
