// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/announce.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/keyhash.h"
#include "weft/log.h"
#include "weft/marks.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

#define FILE_MAX ((size_t)16 << 20)

/* How many stand behind a prefix in one class, and their weights together. Holds one use of the class. */
struct backing {
	uint32_t metric;
	size_t count;
	uint64_t weight;
};

struct entry {
	UT_hash_handle hh;
	struct weft_prefix prefix;
	struct backing *list;
	size_t n;
	uint32_t fixed;  /* of announcer_put(): one of those in the list; 0 = none */
	uint32_t class;  /* where it belongs: holds a use; 0 = not settled */
	uint32_t metric; /* wanted in table 179: holds a use; 0 = none */
	uint32_t window;
	bool touched, gated;
	struct entry *touched_prev, *touched_next, *gated_prev, *gated_next;
};

struct announcer {
	struct announcer_options o;
	char *path;
	struct keyhash hash;
	struct adverts *book;
	struct entry *entries, *touched, *gated;
	uint64_t known, saved;
};

/* --- entries --- */

static struct entry *find(const struct announcer *an, const struct weft_prefix *prefix)
{
	unsigned hash = keyhash(&an->hash, prefix, sizeof(*prefix));
	struct entry *e;

	HASH_FIND_BYHASHVALUE(hh, an->entries, prefix, sizeof(*prefix), hash, e);
	return e;
}

static struct entry *need(struct announcer *an, const struct weft_prefix *prefix)
{
	struct entry *e = find(an, prefix);
	unsigned hash = keyhash(&an->hash, prefix, sizeof(*prefix));

	if (e)
		return e;
	e = must_alloc(1, sizeof(*e));
	e->prefix = *prefix;
	HASH_ADD_BYHASHVALUE(hh, an->entries, prefix, sizeof(e->prefix), hash, e);
	return e;
}

static void touch(struct announcer *an, struct entry *e)
{
	if (e->touched)
		return;
	e->touched = true;
	DL_APPEND2(an->touched, e, touched_prev, touched_next);
}

static void set_gated(struct announcer *an, struct entry *e, bool gated)
{
	if (e->gated == gated)
		return;
	e->gated = gated;
	if (gated)
		DL_APPEND2(an->gated, e, gated_prev, gated_next);
	else
		DL_DELETE2(an->gated, e, gated_prev, gated_next);
}

/* --- who stands behind it --- */

static struct backing *backing_of(struct entry *e, uint32_t metric)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->list[i].metric == metric)
			return &e->list[i];
	return NULL;
}

static void back(struct announcer *an, struct entry *e, uint32_t metric, uint32_t weight)
{
	struct backing *b = backing_of(e, metric);

	if (!b) {
		e->list = must_grow(e->list, e->n + 1, sizeof(*e->list));
		b = &e->list[e->n++];
		*b = (struct backing){.metric = adverts_hold(an->book, metric)};
	}
	b->count++;
	b->weight += weight;
	touch(an, e);
}

static void unback(struct announcer *an, struct entry *e, uint32_t metric, uint32_t weight)
{
	struct backing *b = backing_of(e, metric);

	if (!b)
		return;
	b->weight -= weight;
	touch(an, e);
	if (--b->count)
		return;
	adverts_release(an->book, metric);
	*b = e->list[--e->n];
}

void announcer_add(struct announcer *an, const struct advert_choice *choice, uint32_t weight)
{
	back(an, need(an, &choice->prefix), choice->metric, choice->weight ? weight : 0);
}

void announcer_drop(struct announcer *an, const struct advert_choice *choice, uint32_t weight)
{
	struct entry *e = find(an, &choice->prefix);

	if (e)
		unback(an, e, choice->metric, choice->weight ? weight : 0);
}

static void fix(struct announcer *an, const struct weft_prefix *prefix, uint32_t metric)
{
	struct entry *e = metric ? need(an, prefix) : find(an, prefix);
	uint32_t old = e ? e->fixed : 0;

	if (old == metric)
		return;
	e->fixed = metric;
	if (metric)
		back(an, e, metric, 0);
	if (old)
		unback(an, e, old, 0);
}

void announcer_put(struct announcer *an, const struct weft_prefix *prefix,
                   const struct advert_subject *subject)
{
	uint32_t metric;

	if (subject && !cluster_self(an->o.cluster))
		return; /* which BGPAdvertisements select us is not known */
	metric = subject ? adverts_class(an->book, an->o.cluster, subject) : 0;
	fix(an, prefix, metric);
	adverts_release(an->book, metric);
}

/* --- its class --- */

/* What is several things is announced as the first of them. */
static unsigned rank(unsigned type)
{
	return type == WEFT_ADVERT_LOADBALANCER ? 0
	       : type == WEFT_ADVERT_EXTERNAL   ? 1
	       : type == WEFT_ADVERT_CLUSTER    ? 2
	                                        : 3;
}

static unsigned rank_of(const struct announcer *an, uint32_t metric)
{
	const struct advert_class *c = adverts_find(an->book, metric);

	return c ? rank(c->type) : UINT32_MAX;
}

/* The union of the classes that stand behind it; takes a use of it. */
static uint32_t class_of(struct announcer *an, const struct entry *e, uint32_t *window)
{
	weft_autofree uint32_t *metrics = must_alloc(e->n, sizeof(*metrics));
	unsigned best = UINT32_MAX;
	uint64_t weight = 0;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		unsigned r = rank_of(an, e->list[i].metric);

		best = r < best ? r : best;
	}
	for (size_t i = 0; i < e->n; i++) {
		if (rank_of(an, e->list[i].metric) != best)
			continue;
		metrics[n++] = e->list[i].metric;
		weight += e->list[i].weight;
	}
	*window = weight < UINT32_MAX ? (uint32_t)weight : UINT32_MAX;
	return n ? adverts_union(an->book, metrics, n) : 0;
}

static struct weft_route route_of(const struct weft_prefix *prefix, uint32_t metric, uint32_t window)
{
	struct weft_route r;

	memset(&r, 0, sizeof(r));
	r.key.table = WEFT_TABLE_ADVERT;
	r.key.metric = metric;
	r.key.dst = *prefix;
	r.type = RTN_BLACKHOLE;
	r.scope = RT_SCOPE_UNIVERSE;
	r.protocol = WEFT_RTPROT;
	r.window = window;
	return r;
}

static bool is_open(const struct announcer *an, const struct weft_prefix *prefix, uint32_t metric)
{
	const struct advert_class *c = adverts_find(an->book, metric);
	struct weft_route_key key = route_of(prefix, metric, 0).key;
	enum fib_state state;

	return (c && c->since <= an->known) || (fib_state_of(an->o.fib, &key, &state) && state == FIB_STALE);
}

bool announcer_open(const struct announcer *an, const struct advert_choice *choice)
{
	return is_open(an, &choice->prefix, choice->metric);
}

/* --- to the kernel --- */

/* What draws packets for addresses that nobody has: they must not go back to where they came from. */
static bool is_aggregate(const struct entry *e)
{
	return !e->fixed && e->prefix.len < weft_addr_bits(e->prefix.addr.family);
}

static void want(struct announcer *an, struct entry *e, uint32_t metric, uint32_t window)
{
	struct weft_route routes[] = {route_of(&e->prefix, metric, window),
	                              route_of(&e->prefix, WEFT_METRIC_AGGREGATE, 0)};
	size_t n = !metric ? 0 : is_aggregate(e) ? 2 : 1;
	char owner[WANTED_OWNER_MAX], text[WEFT_PREFIX_STR];
	struct weft_err err = WEFT_ERR_INIT;
	uint32_t old = e->metric;

	snprintf(owner, sizeof(owner), "announce/%s", weft_prefix_str(&e->prefix, text));
	routes[1].key.table = RT_TABLE_MAIN;
	if (wanted_set(an->o.wanted, owner, routes, n, &err) < 0)
		log_warning("announcing %s: %s", text, err.text);
	e->metric = metric ? adverts_hold(an->book, metric) : 0;
	e->window = window;
	adverts_release(an->book, old);
}

static void forget(struct announcer *an, struct entry *e)
{
	set_gated(an, e, false);
	adverts_release(an->book, e->class);
	HASH_DEL(an->entries, e);
	free(e->list);
	free(e);
}

/* Returns whether it is withdrawn. */
static bool settle(struct announcer *an, struct entry *e)
{
	uint32_t window = 0, old = e->class;
	bool was = e->metric;

	if (!e->n) {
		if (was)
			want(an, e, 0, 0);
		forget(an, e);
		return was;
	}
	e->class = class_of(an, e, &window);
	adverts_release(an->book, old);
	set_gated(an, e, e->class != e->metric && !is_open(an, &e->prefix, e->class));
	if (!e->gated)
		want(an, e, e->class, window);
	return false;
}

bool announcer_settle(struct announcer *an)
{
	struct entry *e, *next;
	bool withdrawn = false;

	DL_FOREACH_SAFE2(an->touched, e, next, touched_next)
	{
		e->touched = false;
		withdrawn |= settle(an, e);
	}
	an->touched = NULL;
	announcer_save(an);
	return withdrawn;
}

/* --- the gate --- */

bool announcer_known(struct announcer *an, uint64_t version)
{
	struct entry *e;

	if (version <= an->known)
		return false;
	an->known = version;
	DL_FOREACH2(an->gated, e, gated_next)
	touch(an, e);
	return true;
}

bool announcer_waits(const struct announcer *an)
{
	return an->gated;
}

void announcer_collect(struct announcer *an)
{
	adverts_collect(an->book);
}

struct adverts *announcer_book(const struct announcer *an)
{
	return an->book;
}

bool announcer_find(const struct announcer *an, const struct weft_prefix *prefix, struct announced *out)
{
	const struct entry *e = find(an, prefix);

	if (!e)
		return false;
	*out = (struct announced){.metric = e->metric, .class = e->class, .weight = e->window};
	for (size_t i = 0; i < e->n; i++)
		out->backers += e->list[i].count;
	return true;
}

/* --- the book's file --- */

void announcer_save(struct announcer *an)
{
	weft_autofree char *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;

	if (!an->path || an->saved == adverts_version(an->book))
		return;
	an->saved = adverts_version(an->book);
	text = adverts_save(an->book);
	if (!text || weft_file_replace(an->path, text, strlen(text), 0644, &err) < 0)
		log_error("the numbers of announcements can't be kept: %s", text ? err.text : "no memory");
}

/* An own block has a route in table main too; what has none is a Service's. */
static unsigned type_of(const struct announcer *an, const struct weft_prefix *prefix)
{
	struct weft_route r = route_of(prefix, WEFT_METRIC_OWN_BLOCK, 0);
	enum fib_state state;

	r.key.table = RT_TABLE_MAIN;
	return fib_state_of(an->o.fib, &r.key, &state) ? WEFT_ADVERT_PODBLOCK : WEFT_ADVERT_LOADBALANCER;
}

static bool keep_number(void *ctx, const struct fib_view *view)
{
	const struct weft_route_key *key = &view->route->key;
	struct announcer *an = ctx;

	if (key->table == WEFT_TABLE_ADVERT)
		adverts_keep(an->book, key->metric, type_of(an, &key->dst));
	return true;
}

static void load(struct announcer *an)
{
	weft_autofree char *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	size_t len;
	int r = weft_file_read(an->path, FILE_MAX, &text, &len, &err);

	if (r == 0)
		r = adverts_load(an->book, text, len, &err);
	if (r < 0 && r != -ENOENT)
		log_warning("%s: %s; they are given anew", an->path, err.text);
	an->saved = r < 0 ? 0 : adverts_version(an->book);
}

static struct announcer *make(const struct announcer_options *o)
{
	struct announcer *an = must_alloc(1, sizeof(*an));

	an->o = *o;
	an->book = adverts_new();
	keyhash_init(&an->hash);
	return an;
}

struct announcer *announcer_new(const struct announcer_options *o)
{
	struct announcer *an = make(o);

	if (o->path) {
		an->path = must_strdup(o->path);
		load(an);
	}
	fib_foreach(o->fib, keep_number, an);
	return an;
}

struct announcer *announcer_ahead(const struct announcer *an, struct wanted *wanted)
{
	struct announcer *ahead = make(&an->o);

	ahead->o.wanted = wanted;
	ahead->known = UINT64_MAX;
	adverts_copy(ahead->book, an->book);
	return ahead;
}

void announcer_free(struct announcer *an)
{
	struct entry *e, *next;

	if (!an)
		return;
	HASH_ITER (hh, an->entries, e, next)
		forget(an, e);
	adverts_free(an->book);
	free(an->path);
	free(an);
}
