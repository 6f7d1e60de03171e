// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/claims.h"

#include "weft/keyhash.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

struct waiter {
	struct waiter *next; /* the head holds the key, the others wait in the order of rank and name */
	unsigned rank;
	char name[];
};

struct slot {
	UT_hash_handle hh;
	struct svc_virtual_key key;
	struct waiter *list;
};

struct claims {
	struct keyhash hash;
	struct slot *slots;
};

struct claims *claims_new(void)
{
	struct claims *c = must_alloc(1, sizeof(*c));

	keyhash_init(&c->hash);
	return c;
}

static struct slot *find(const struct claims *c, const struct svc_virtual_key *key)
{
	unsigned hash = keyhash(&c->hash, key, sizeof(*key));
	struct slot *s;

	HASH_FIND_BYHASHVALUE(hh, c->slots, key, sizeof(*key), hash, s);
	return s;
}

static struct slot *need(struct claims *c, const struct svc_virtual_key *key)
{
	unsigned hash = keyhash(&c->hash, key, sizeof(*key));
	struct slot *s;

	HASH_FIND_BYHASHVALUE(hh, c->slots, key, sizeof(*key), hash, s);
	if (s)
		return s;
	s = must_alloc(1, sizeof(*s));
	s->key = *key;
	HASH_ADD_BYHASHVALUE(hh, c->slots, key, sizeof(s->key), hash, s);
	return s;
}

static struct waiter *waiter_find(const struct slot *s, const char *owner)
{
	struct waiter *w;

	LL_FOREACH (s->list, w)
		if (!strcmp(w->name, owner))
			break;
	return w;
}

static bool before(const struct waiter *a, const char *name, unsigned rank)
{
	return a->rank != rank ? a->rank < rank : strcmp(a->name, name) < 0;
}

static void queue(struct waiter **at, struct waiter *w)
{
	while (*at && before(*at, w->name, w->rank))
		at = &(*at)->next;
	w->next = *at;
	*at = w;
}

/* The holder gives way to a lower rank only, and waits then like the others. */
static void insert(struct slot *s, struct waiter *w)
{
	struct waiter *held = s->list;

	if (held && held->rank <= w->rank) {
		queue(&held->next, w);
		return;
	}
	w->next = held ? held->next : NULL;
	s->list = w;
	if (held)
		queue(&w->next, held);
}

/* With another rank it may lose the key to the first that waits. */
static void move(struct slot *s, struct waiter *w, unsigned rank)
{
	const struct waiter *second = w->next;

	w->rank = rank;
	if (s->list == w && (!second || second->rank >= rank))
		return;
	LL_DELETE(s->list, w);
	insert(s, w);
}

bool claims_take(struct claims *c, const struct svc_virtual_key *key, const char *owner, unsigned rank,
                 const char **other)
{
	struct slot *s = need(c, key);
	const struct waiter *held = s->list;
	struct waiter *w = waiter_find(s, owner);

	if (!w) {
		w = must_alloc(1, sizeof(*w) + strlen(owner) + 1);
		strcpy(w->name, owner);
		w->rank = rank;
		insert(s, w);
	} else if (w->rank != rank) {
		move(s, w, rank);
	}
	*other = NULL;
	if (s->list != held && held)
		*other = s->list == w ? held->name : s->list->name;
	return s->list == w;
}

const char *claims_holder(const struct claims *c, const struct svc_virtual_key *key)
{
	const struct slot *s = find(c, key);

	return s ? s->list->name : NULL;
}

const char *claims_release(struct claims *c, const struct svc_virtual_key *key, const char *owner)
{
	struct slot *s = find(c, key);
	struct waiter *w = s ? waiter_find(s, owner) : NULL;
	bool held;

	if (!w)
		return NULL;
	held = s->list == w;
	LL_DELETE(s->list, w);
	free(w);
	if (s->list)
		return held ? s->list->name : NULL;
	HASH_DEL(c->slots, s);
	free(s);
	return NULL;
}

void claims_free(struct claims *c)
{
	struct slot *s, *next;
	struct waiter *w, *w_next;

	HASH_ITER (hh, c->slots, s, next) {
		LL_FOREACH_SAFE(s->list, w, w_next)
		free(w);
		HASH_DEL(c->slots, s);
		free(s);
	}
	free(c);
}
