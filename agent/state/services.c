// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/state/services.h"

#include <stdio.h>

#include "weft/keyhash.h"

/* An allocation that fails inside uthash ends the process, as must_alloc() does. */
#define uthash_fatal(msg) abort()
#include <uthash.h>

/* What belongs to one Service. It can exist without the object: slices or a status came first, or stayed. */
struct entry {
	UT_hash_handle hh;
	struct weft_object *obj, *status;
	const struct weft_endpointslice **slices; /* inside their objects, by name */
	size_t n_slices;
	char key[];
};

/* A slice that is bound to a Service; others are not kept. Its own key leads to it when it moves or goes. */
struct slice {
	UT_hash_handle hh;
	struct weft_object *obj;
	struct entry *entry;
	char key[];
};

/* uthash keeps insertion order, so that one structure is both the set and the queue. */
struct dirty {
	UT_hash_handle hh;
	char key[];
};

struct services {
	struct keyhash hash;
	struct entry *entries;
	struct slice *slices;
	struct dirty *dirty;
	size_t count; /* Services, not placeholders */
	struct services_changes changes;
};

#define FIND(s, head, text, out)                                                   \
	do {                                                                       \
		size_t len_ = strlen(text);                                        \
		unsigned hash_ = keyhash(&(s)->hash, text, len_);                  \
		HASH_FIND_BYHASHVALUE(hh, head, text, (unsigned)len_, hash_, out); \
	} while (0)

#define ADD(s, head, text, out)                                                                \
	do {                                                                                   \
		size_t len_ = strlen(text);                                                    \
		unsigned hash_ = keyhash(&(s)->hash, text, len_);                              \
		(out) = must_alloc(1, sizeof(*(out)) + len_ + 1);                              \
		memcpy((out)->key, text, len_ + 1);                                            \
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, (out)->key, (unsigned)len_, hash_, out); \
	} while (0)

struct services *services_new(void)
{
	struct services *s = must_alloc(1, sizeof(*s));

	keyhash_init(&s->hash);
	return s;
}

/* --- the queue --- */

void services_mark(struct services *s, const char *key)
{
	struct dirty *d;

	FIND(s, s->dirty, key, d);
	if (!d)
		ADD(s, s->dirty, key, d);
}

void services_mark_all(struct services *s)
{
	for (const struct entry *e = s->entries; e; e = e->hh.next)
		if (e->obj)
			services_mark(s, e->key);
}

bool services_next(struct services *s, char key[WEFT_KEY_MAX])
{
	struct dirty *d = s->dirty;
	size_t len;

	if (!d)
		return false;
	len = d->hh.keylen < WEFT_KEY_MAX ? d->hh.keylen : WEFT_KEY_MAX - 1;
	memcpy(key, d->key, len);
	key[len] = '\0';
	HASH_DEL(s->dirty, d);
	free(d);
	return true;
}

size_t services_dirty_count(const struct services *s)
{
	return HASH_COUNT(s->dirty);
}

/* Without its Service nothing can be planned. */
static void touch(struct services *s, const struct entry *e)
{
	if (e->obj)
		services_mark(s, e->key);
}

/* --- entries --- */

static struct entry *find(const struct services *s, const char *key)
{
	struct entry *e;

	FIND(s, s->entries, key, e);
	return e;
}

static struct entry *need(struct services *s, const char *key)
{
	struct entry *e = find(s, key);

	if (!e)
		ADD(s, s->entries, key, e);
	return e;
}

static void drop_if_unused(struct services *s, struct entry *e)
{
	if (e->obj || e->status || e->n_slices)
		return;
	HASH_DEL(s->entries, e);
	free(e->slices);
	free(e);
}

/* obj NULL removes, here and below. */
static void put_service(struct services *s, const char *key, struct weft_object *obj)
{
	struct entry *e = obj ? need(s, key) : find(s, key);
	struct weft_object *old = e ? e->obj : NULL;

	if (!e || (!obj && !old))
		return;
	s->count += (size_t)(obj != NULL) - (size_t)(old != NULL);
	services_mark(s, key);
	e->obj = obj;
	weft_object_free(old);
	drop_if_unused(s, e);
}

static void put_status(struct services *s, const char *key, struct weft_object *obj)
{
	struct entry *e = obj ? need(s, key) : find(s, key);
	struct weft_object *old = e ? e->status : NULL;

	if (!e || (!obj && !old))
		return;
	e->status = obj;
	touch(s, e);
	weft_object_free(old);
	drop_if_unused(s, e);
}

/* --- slices --- */

static const char *name_of(const struct weft_endpointslice *slice)
{
	const char *object = (const char *)slice - offsetof(struct weft_object, endpointslice);

	return ((const struct weft_object *)object)->meta.name;
}

/* Where a slice of this name is or belongs. */
static size_t place(const struct entry *e, const char *name)
{
	size_t lo = 0, hi = e->n_slices;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(name_of(e->slices[mid]), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void attach(struct entry *e, const struct weft_object *obj)
{
	size_t at = place(e, obj->meta.name);

	e->slices = must_grow(e->slices, e->n_slices + 1, sizeof(*e->slices));
	memmove(&e->slices[at + 1], &e->slices[at], (e->n_slices - at) * sizeof(*e->slices));
	e->slices[at] = &obj->endpointslice;
	e->n_slices++;
}

static void detach(struct entry *e, const struct weft_object *obj)
{
	size_t at = place(e, obj->meta.name);

	e->n_slices--;
	memmove(&e->slices[at], &e->slices[at + 1], (e->n_slices - at) * sizeof(*e->slices));
}

static void remove_slice(struct services *s, struct slice *slice)
{
	struct entry *e = slice->entry;

	detach(e, slice->obj);
	touch(s, e);
	weft_object_free(slice->obj);
	HASH_DEL(s->slices, slice);
	free(slice);
	drop_if_unused(s, e);
}

/* The key of the Service that it belongs to (S6); false: none, or it is one to ignore (S1). */
static bool service_key(const struct weft_object *obj, char key[WEFT_KEY_MAX])
{
	const struct weft_endpointslice *slice = &obj->endpointslice;

	if (slice->headless || !slice->service || !slice->service[0])
		return false;
	return snprintf(key, WEFT_KEY_MAX, "%s/%s", obj->meta.namespace, slice->service) < WEFT_KEY_MAX;
}

static void put_slice(struct services *s, const char *key, struct weft_object *obj)
{
	char service[WEFT_KEY_MAX];
	bool bound = obj && service_key(obj, service);
	struct entry *e = bound ? need(s, service) : NULL;
	struct slice *slice;

	FIND(s, s->slices, key, slice);
	if (slice && slice->entry == e) { /* the usual case: only its content is new */
		e->slices[place(e, obj->meta.name)] = &obj->endpointslice;
		weft_object_free(slice->obj);
		slice->obj = obj;
		touch(s, e);
		return;
	}
	if (slice)
		remove_slice(s, slice);
	if (!bound) {
		weft_object_free(obj);
		return;
	}
	ADD(s, s->slices, key, slice);
	slice->obj = obj;
	slice->entry = e;
	attach(e, obj);
	touch(s, e);
}

/* --- events --- */

static bool put(struct services *s, enum weft_kind kind, const char *key, struct weft_object *obj)
{
	switch (kind) {
	case WEFT_SERVICE:
		s->changes.services++;
		put_service(s, key, obj);
		return true;
	case WEFT_SERVICESTATUS:
		put_status(s, key, obj);
		return true;
	case WEFT_ENDPOINTSLICE:
		s->changes.slices++;
		put_slice(s, key, obj);
		return true;
	default:
		return false;
	}
}

bool services_handle(struct services *s, const struct weft_event *ev)
{
	char key[WEFT_KEY_MAX]; /* a copy: ev->key may point into what is being replaced */

	if (ev->type == WEFT_EV_UPSERT)
		return put(s, ev->obj->kind, weft_object_key(ev->obj, key), ev->obj);
	if (ev->type != WEFT_EV_DELETE)
		return false;
	snprintf(key, sizeof(key), "%s", ev->key);
	return put(s, ev->kind, key, NULL);
}

/* --- reading --- */

static void view(const struct entry *e, struct services_view *out)
{
	const struct weft_service *service = &e->obj->service;

	*out = (struct services_view){.key = e->key,
	                              .obj = e->obj,
	                              .ingress = service->ingress,
	                              .n_ingress = service->n_ingress,
	                              .slices = e->slices,
	                              .n_slices = e->n_slices};
	if (out->n_ingress || !e->status)
		return;
	out->ingress = e->status->servicestatus.ingress;
	out->n_ingress = e->status->servicestatus.n_ingress;
}

bool services_get(const struct services *s, const char *key, struct services_view *out)
{
	const struct entry *e = find(s, key);

	if (!e || !e->obj)
		return false;
	view(e, out);
	return true;
}

size_t services_count(const struct services *s)
{
	return s->count;
}

size_t services_slice_count(const struct services *s)
{
	return HASH_COUNT(s->slices);
}

struct services_changes services_changes(const struct services *s)
{
	return s->changes;
}

void services_each_key(const struct services *s, enum weft_kind kind, void (*fn)(void *ctx, const char *key),
                       void *ctx)
{
	for (const struct slice *slice = s->slices; slice && kind == WEFT_ENDPOINTSLICE;
	     slice = slice->hh.next)
		fn(ctx, slice->key);
	for (const struct entry *e = s->entries; e; e = e->hh.next)
		if ((kind == WEFT_SERVICE && e->obj) || (kind == WEFT_SERVICESTATUS && e->status))
			fn(ctx, e->key);
}

void services_each(const struct services *s, services_each_fn fn, void *ctx)
{
	struct services_view v;

	for (const struct entry *e = s->entries; e; e = e->hh.next) {
		if (!e->obj)
			continue;
		view(e, &v);
		if (fn(ctx, &v))
			return;
	}
}

/* --- the end --- */

void services_free(struct services *s)
{
	struct entry *e, *e_next;
	struct slice *slice, *slice_next;
	struct dirty *d, *d_next;

	if (!s)
		return;
	HASH_ITER (hh, s->slices, slice, slice_next) {
		HASH_DEL(s->slices, slice);
		weft_object_free(slice->obj);
		free(slice);
	}
	HASH_ITER (hh, s->entries, e, e_next) {
		HASH_DEL(s->entries, e);
		weft_object_free(e->obj);
		weft_object_free(e->status);
		free(e->slices);
		free(e);
	}
	HASH_ITER (hh, s->dirty, d, d_next) {
		HASH_DEL(s->dirty, d);
		free(d);
	}
	free(s);
}
