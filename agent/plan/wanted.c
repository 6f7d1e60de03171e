// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/wanted.h"

#include <errno.h>

#include "weft/keyhash.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

_Static_assert(sizeof(struct weft_route_key) == 28, "weft_route_key must have no padding: it is a hash key");

/*
 * A claim is one owner's wish for one key. Claims hang in two lists: of their owner, and of their slot (the
 * key), in order of arrival; the first claim of a slot is in force.
 */
struct claim {
	struct weft_route route;
	struct owner *owner;
	struct slot *slot;
	bool seen; /* scratch of wanted_set() */
	struct claim *owner_prev, *owner_next;
	struct claim *slot_prev, *slot_next;
};

struct owner {
	UT_hash_handle hh;
	struct claim *claims;
	char name[];
};

struct slot {
	UT_hash_handle hh;
	struct weft_route_key key;
	struct claim *claims;
};

struct wanted {
	struct wanted_ops ops;
	struct keyhash hash;
	struct owner *owners;
	struct slot *slots;
};

struct wanted *wanted_new(const struct wanted_ops *ops)
{
	struct wanted *w = must_alloc(1, sizeof(*w));

	keyhash_init(&w->hash);
	w->ops = *ops;
	return w;
}

static struct owner *owner_find(const struct wanted *w, const char *name, size_t len)
{
	unsigned hash = keyhash(&w->hash, name, len);
	struct owner *o;

	HASH_FIND_BYHASHVALUE(hh, w->owners, name, (unsigned)len, hash, o);
	return o;
}

static struct owner *owner_add(struct wanted *w, const char *name, size_t len)
{
	struct owner *o = must_alloc(1, sizeof(*o) + len + 1);
	unsigned hash = keyhash(&w->hash, name, len);

	memcpy(o->name, name, len + 1);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, w->owners, o->name, (unsigned)len, hash, o);
	return o;
}

static struct slot *slot_find(const struct wanted *w, const struct weft_route_key *key)
{
	unsigned hash = keyhash(&w->hash, key, sizeof(*key));
	struct slot *s;

	HASH_FIND_BYHASHVALUE(hh, w->slots, key, sizeof(*key), hash, s);
	return s;
}

static struct slot *slot_need(struct wanted *w, const struct weft_route_key *key)
{
	struct slot *s = slot_find(w, key);
	unsigned hash;

	if (s)
		return s;
	s = must_alloc(1, sizeof(*s));
	s->key = *key;
	hash = keyhash(&w->hash, &s->key, sizeof(s->key));
	HASH_ADD_BYHASHVALUE(hh, w->slots, key, sizeof(s->key), hash, s);
	return s;
}

static struct claim *claim_of(const struct owner *o, const struct weft_route_key *key)
{
	struct claim *c;

	DL_FOREACH2(o->claims, c, owner_next)
	{
		if (!memcmp(&c->slot->key, key, sizeof(*key)))
			return c;
	}
	return NULL;
}

/* The owner wants this route: true when it is in force. */
static bool claim_put(struct wanted *w, struct owner *o, const struct weft_route *r)
{
	struct claim *c = claim_of(o, &r->key);
	bool tell;

	if (!c) {
		c = must_alloc(1, sizeof(*c));
		c->owner = o;
		c->slot = slot_need(w, &r->key);
		DL_APPEND2(o->claims, c, owner_prev, owner_next);
		DL_APPEND2(c->slot->claims, c, slot_prev, slot_next);
		tell = c->slot->claims == c;
	} else {
		tell = c->slot->claims == c && !weft_route_equal(&c->route, r);
	}
	c->route = *r;
	c->seen = true;
	if (tell)
		w->ops.want(w->ops.ctx, &c->route);
	return c->slot->claims == c;
}

static void claim_drop(struct wanted *w, struct claim *c)
{
	struct slot *s = c->slot;
	bool held = s->claims == c;

	DL_DELETE2(c->owner->claims, c, owner_prev, owner_next);
	DL_DELETE2(s->claims, c, slot_prev, slot_next);
	if (held && !s->claims)
		w->ops.unwant(w->ops.ctx, &s->key);
	else if (held && !weft_route_equal(&s->claims->route, &c->route))
		w->ops.want(w->ops.ctx, &s->claims->route);
	if (!s->claims) {
		HASH_DEL(w->slots, s);
		free(s);
	}
	free(c);
}

static void clash(const struct wanted *w, const struct owner *o, const struct weft_route *r,
                  struct weft_err *err)
{
	char text[WEFT_ROUTE_STR];

	weft_err_set(err, EEXIST, "%s: the route %s waits: %s has it", o->name, weft_route_str(r, text),
	             wanted_holder(w, &r->key));
}

int wanted_set(struct wanted *w, const char *owner, const struct weft_route *routes, size_t n,
               struct weft_err *err)
{
	size_t len = strnlen(owner, WANTED_OWNER_MAX);
	struct claim *c, *next;
	struct owner *o;
	int r = 0;

	if (!len || len == WANTED_OWNER_MAX)
		return weft_err_set(err, EINVAL, "a route owner's name must have 1 to %d bytes",
		                    WANTED_OWNER_MAX - 1);
	o = owner_find(w, owner, len);
	if (!o && !n)
		return 0;
	if (!o)
		o = owner_add(w, owner, len);
	DL_FOREACH2(o->claims, c, owner_next)
	c->seen = false;
	for (size_t i = 0; i < n; i++) {
		if (claim_put(w, o, &routes[i]) || r)
			continue;
		r = -EEXIST;
		clash(w, o, &routes[i], err);
	}
	DL_FOREACH_SAFE2(o->claims, c, next, owner_next)
	{
		if (!c->seen)
			claim_drop(w, c);
	}
	if (!o->claims) {
		HASH_DEL(w->owners, o);
		free(o);
	}
	return r;
}

const char *wanted_holder(const struct wanted *w, const struct weft_route_key *key)
{
	const struct slot *s = slot_find(w, key);

	return s ? s->claims->owner->name : NULL;
}

size_t wanted_count(const struct wanted *w)
{
	return HASH_COUNT(w->slots);
}

void wanted_each(const struct wanted *w, void (*fn)(void *ctx, const struct weft_route *r), void *ctx)
{
	for (const struct slot *s = w->slots; s; s = s->hh.next)
		fn(ctx, &s->claims->route);
}

void wanted_free(struct wanted *w)
{
	struct owner *o, *o_next;
	struct slot *s, *s_next;
	struct claim *c, *c_next;

	if (!w)
		return;
	HASH_ITER (hh, w->owners, o, o_next) {
		DL_FOREACH_SAFE2(o->claims, c, c_next, owner_next)
		free(c);
		HASH_DEL(w->owners, o);
		free(o);
	}
	HASH_ITER (hh, w->slots, s, s_next) {
		HASH_DEL(w->slots, s);
		free(s);
	}
	free(w);
}
