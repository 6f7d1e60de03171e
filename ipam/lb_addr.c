// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which address has which owners, and the runs of used addresses.
 *
 * The runs hold both families in one order, and are as long as they go: the lowest free address behind a used
 * one is the end of its run plus one, found by bisection. Addresses are given from the bottom, so that there
 * are few runs, however many addresses are used.
 */
#include "ipam/lb_int.h"

uint64_t lb_hash(const struct lb_hash *h, const void *data, size_t len)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t value;

	crypto_shorthash(out, data, len, h->key);
	memcpy(&value, out, sizeof(value));
	return value;
}

void *lb_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

void *lb_grow(void *p, size_t n, size_t size)
{
	void *grown = reallocarray(p, n ? n : 1, size);

	if (!grown)
		abort();
	return grown;
}

char *lb_strdup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

/* Runs */

size_t lb_runs_from(const struct lb_runs *r, const struct weft_addr *a)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (weft_addr_cmp(&r->list[mid].last, a) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Does b come right behind a? Not around the end of the family. */
static bool adjacent(const struct weft_addr *a, const struct weft_addr *b)
{
	struct weft_addr next = weft_addr_add(a, 1);

	return weft_addr_cmp(a, b) < 0 && !weft_addr_cmp(&next, b);
}

static void insert_run(struct lb_runs *r, size_t at, const struct weft_addr *first,
                       const struct weft_addr *last)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 16;
		r->list = lb_grow(r->list, r->cap, sizeof(*r->list));
	}
	memmove(&r->list[at + 1], &r->list[at], (r->n - at) * sizeof(*r->list));
	r->list[at] = (struct weft_range){*first, *last};
	r->n++;
}

static void remove_run(struct lb_runs *r, size_t at)
{
	r->n--;
	memmove(&r->list[at], &r->list[at + 1], (r->n - at) * sizeof(*r->list));
}

void lb_runs_add(struct lb_runs *r, const struct weft_addr *a)
{
	size_t at = lb_runs_from(r, a);
	bool joins_left = at > 0 && adjacent(&r->list[at - 1].last, a);
	bool joins_right = at < r->n && adjacent(a, &r->list[at].first);

	if (joins_left && joins_right) {
		r->list[at - 1].last = r->list[at].last;
		remove_run(r, at);
	} else if (joins_left) {
		r->list[at - 1].last = *a;
	} else if (joins_right) {
		r->list[at].first = *a;
	} else {
		insert_run(r, at, a, a);
	}
}

static struct weft_addr one_less(const struct weft_addr *a)
{
	struct weft_addr out = *a;

	for (size_t i = weft_addr_size(a->family); i-- > 0 && out.bytes[i]-- == 0;)
		;
	return out;
}

void lb_runs_del(struct lb_runs *r, const struct weft_addr *a)
{
	size_t at = lb_runs_from(r, a);
	struct weft_range was = r->list[at];
	struct weft_addr next = weft_addr_add(a, 1), before = one_less(a);

	if (!weft_addr_cmp(&was.first, a) && !weft_addr_cmp(&was.last, a)) {
		remove_run(r, at);
	} else if (!weft_addr_cmp(&was.first, a)) {
		r->list[at].first = next;
	} else if (!weft_addr_cmp(&was.last, a)) {
		r->list[at].last = before;
	} else {
		r->list[at].last = before;
		insert_run(r, at + 1, &next, &was.last);
	}
}

bool lb_runs_gap(const struct lb_runs *r, const struct weft_addr *from, const struct weft_addr *last,
                 struct weft_addr *out)
{
	size_t at = lb_runs_from(r, from);

	*out = *from;
	if (at == r->n || weft_addr_cmp(&r->list[at].first, from) > 0)
		return weft_addr_cmp(from, last) <= 0;
	if (weft_addr_cmp(&r->list[at].last, last) >= 0)
		return false;
	*out = weft_addr_add(&r->list[at].last, 1);
	return true;
}

/* Owners */

struct lb_addr *lb_addr_find(const struct lb *lb, const struct weft_addr *a)
{
	struct lb_addr *found;

	LB_FIND(lb, lb->addrs, a, sizeof(*a), found);
	return found;
}

/* The figures of every pool that has it change. */
static void pools_changed(struct lb *lb, const struct weft_addr *a)
{
	for (size_t i = 0; i < lb->n_spaces; i++)
		if (lb_space_has(lb->by_name[i], a))
			lb->by_name[i]->dirty = true;
}

static struct lb_addr *need(struct lb *lb, const struct weft_addr *a)
{
	struct lb_addr *x = lb_addr_find(lb, a);

	if (x)
		return x;
	x = lb_alloc(1, sizeof(*x));
	x->addr = *a;
	LB_ADD(lb, lb->addrs, &x->addr, sizeof(x->addr), x);
	lb_runs_add(&lb->used, a);
	pools_changed(lb, a);
	return x;
}

void lb_addr_changed(struct lb *lb, const struct lb_svc *s, const struct weft_addr *a)
{
	const struct lb_addr *x = lb_addr_find(lb, a);

	for (size_t i = 0; x && i < x->n_owners; i++)
		if (x->owners[i] != s)
			lb_mark(lb, x->owners[i]);
	if (!lb->waiting)
		return;
	if (lb->n_changed == lb->cap_changed) {
		lb->cap_changed = lb->cap_changed ? 2 * lb->cap_changed : 16;
		lb->changed = lb_grow(lb->changed, lb->cap_changed, sizeof(*lb->changed));
	}
	lb->changed[lb->n_changed++] = *a;
}

void lb_hold(struct lb *lb, struct lb_svc *s, const struct weft_addr *a, const char *pool)
{
	struct lb_addr *x = need(lb, a);
	size_t at = x->n_owners;

	x->owners = lb_grow(x->owners, x->n_owners + 1, sizeof(struct lb_svc *));
	for (; at > 0 && strcmp(x->owners[at - 1]->key, s->key) > 0; at--)
		x->owners[at] = x->owners[at - 1];
	x->owners[at] = s;
	x->n_owners++;
	s->held[lb_index(a)] = *a;
	s->given[lb_index(a)] = pool ? lb_strdup(pool) : NULL;
	if (x->n_owners > 1 || s->share)
		lb_addr_changed(lb, s, a);
}

void lb_release(struct lb *lb, struct lb_svc *s, int family)
{
	struct weft_addr a = s->held[family];
	struct lb_addr *x;
	size_t at = 0;

	if (!weft_addr_is_set(&a))
		return;
	x = lb_addr_find(lb, &a);
	while (x->owners[at] != s)
		at++;
	x->n_owners--;
	memmove(&x->owners[at], &x->owners[at + 1], (x->n_owners - at) * sizeof(struct lb_svc *));
	s->held[family] = (struct weft_addr){0};
	free(s->given[family]);
	s->given[family] = NULL;
	if (!x->n_owners) {
		HASH_DEL(lb->addrs, x);
		free(x->owners);
		free(x);
		lb_runs_del(&lb->used, &a);
		pools_changed(lb, &a);
	}
	lb_addr_changed(lb, s, &a);
}

const struct lb_svc *lb_rival(const struct lb *lb, const struct lb_svc *s, const struct weft_addr *a,
                              bool before)
{
	const struct lb_addr *x = lb_addr_find(lb, a);

	for (size_t i = 0; x && i < x->n_owners; i++) {
		if (x->owners[i] == s && before)
			return NULL;
		if (x->owners[i] != s && !lb_may_share(x->owners[i], s))
			return x->owners[i];
	}
	return NULL;
}
