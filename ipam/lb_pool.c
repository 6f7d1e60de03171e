// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pools: which addresses they have, whom they select, their figures. There are few pools; they are looked at
 * in order of rank (priority, then name).
 */
#include "ipam/lb_int.h"

static int by_first(const void *a, const void *b)
{
	return weft_addr_cmp(&((const struct weft_range *)a)->first, &((const struct weft_range *)b)->first);
}

static int rank(const struct lb_space *a, const struct lb_space *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int by_rank(const void *a, const void *b)
{
	return rank(*(struct lb_space *const *)a, *(struct lb_space *const *)b);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct lb_space *const *)a)->name, (*(struct lb_space *const *)b)->name);
}

struct lb_space *lb_space_find(const struct lb *lb, const char *name)
{
	size_t low = 0, high = lb->n_spaces;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = strcmp(lb->by_name[mid]->name, name);

		if (d == 0)
			return lb->by_name[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static void sort_spaces(struct lb *lb)
{
	if (!lb->n_spaces)
		return;
	qsort(lb->by_name, lb->n_spaces, sizeof(*lb->by_name), by_name);
	memcpy(lb->by_rank, lb->by_name, lb->n_spaces * sizeof(*lb->by_rank));
	qsort(lb->by_rank, lb->n_spaces, sizeof(*lb->by_rank), by_rank);
}

static void copy_selector(const struct weft_selector *from, struct weft_selector *to)
{
	to->n_reqs = from->n_reqs;
	to->reqs = lb_alloc(from->n_reqs, sizeof(*to->reqs));
	for (size_t i = 0; i < from->n_reqs; i++) {
		const struct weft_requirement *r = &from->reqs[i];

		to->reqs[i] = (struct weft_requirement){
		        .key = lb_strdup(r->key),
		        .op = r->op,
		        .values = lb_alloc(r->n_values, sizeof(char *)),
		        .n_values = r->n_values,
		};
		for (size_t v = 0; v < r->n_values; v++)
			to->reqs[i].values[v] = lb_strdup(r->values[v]);
	}
}

static void free_selector(struct weft_selector *s)
{
	for (size_t i = 0; i < s->n_reqs; i++) {
		for (size_t v = 0; v < s->reqs[i].n_values; v++)
			free(s->reqs[i].values[v]);
		free(s->reqs[i].values);
		free(s->reqs[i].key);
	}
	free(s->reqs);
	*s = (struct weft_selector){0};
}

static struct weft_range range_of(const struct weft_prefix *p)
{
	struct weft_range r = {p->addr, p->addr};

	for (unsigned bit = p->len; bit < weft_addr_bits(p->addr.family); bit++)
		r.last.bytes[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
	return r;
}

/* Sorted; ranges that overlap become one, so that no address counts twice. */
static void fill_ranges(struct lb_space *p, const struct weft_ippool *spec)
{
	size_t n = spec->n_ranges, kept = 0;

	if (!n && weft_addr_is_set(&spec->cidr.addr))
		n = 1;
	free(p->ranges);
	p->ranges = lb_alloc(n, sizeof(*p->ranges));
	if (spec->n_ranges)
		memcpy(p->ranges, spec->ranges, n * sizeof(*p->ranges));
	else if (n)
		p->ranges[0] = range_of(&spec->cidr);
	if (n)
		qsort(p->ranges, n, sizeof(*p->ranges), by_first);
	for (size_t i = 0; i < n; i++) {
		struct weft_range *last = kept ? &p->ranges[kept - 1] : NULL;

		if (!last || weft_addr_cmp(&last->last, &p->ranges[i].first) < 0)
			p->ranges[kept++] = p->ranges[i];
		else if (weft_addr_cmp(&last->last, &p->ranges[i].last) < 0)
			last->last = p->ranges[i].last;
	}
	p->n_ranges = kept;
}

/* An address that some equipment takes for a network's own or its broadcast. */
static bool is_buggy(const struct weft_addr *a)
{
	return a->family == AF_INET && (a->bytes[3] == 0 || a->bytes[3] == 255);
}

static uint64_t add_up(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint32_t number(const struct weft_addr *a)
{
	return (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 | (uint32_t)a->bytes[2] << 8 |
	       a->bytes[3];
}

/* How many addresses the pool can give between two of its own. */
static uint64_t count(const struct lb_space *p, const struct weft_addr *first, const struct weft_addr *last)
{
	uint64_t n = add_up(weft_addr_diff(first, last), 1), low, high;

	if (!p->avoid_buggy || first->family != AF_INET)
		return n;
	low = number(first);
	high = number(last);
	n -= (high >> 8) - ((low + 255) >> 8) + 1; /* .0 */
	n -= ((high + 1) >> 8) - (low >> 8);       /* .255 */
	return n;
}

static uint64_t count_all(const struct lb_space *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->n_ranges; i++)
		n = add_up(n, count(p, &p->ranges[i].first, &p->ranges[i].last));
	return n;
}

struct lb_space *lb_space_put(struct lb *lb, const struct weft_object *obj)
{
	const struct weft_ippool *spec = &obj->ippool;
	struct lb_space *p = lb_space_find(lb, obj->meta.name);

	if (!p) {
		p = lb_alloc(1, sizeof(*p));
		p->name = lb_strdup(obj->meta.name);
		lb->by_name = lb_grow(lb->by_name, lb->n_spaces + 1, sizeof(struct lb_space *));
		lb->by_rank = lb_grow(lb->by_rank, lb->n_spaces + 1, sizeof(struct lb_space *));
		lb->by_name[lb->n_spaces++] = p;
	}
	free_selector(&p->services);
	free_selector(&p->namespaces);
	copy_selector(&spec->service_selector, &p->services);
	copy_selector(&spec->namespace_selector, &p->namespaces);
	fill_ranges(p, spec);
	p->priority = spec->priority;
	p->auto_assign = spec->auto_assign;
	p->disabled = spec->disabled;
	p->avoid_buggy = spec->avoid_buggy_ips;
	p->capacity = count_all(p);
	p->dirty = true;
	sort_spaces(lb);
	return p;
}

void lb_space_free(struct lb_space *p)
{
	free_selector(&p->services);
	free_selector(&p->namespaces);
	free(p->ranges);
	free(p->name);
	free(p);
}

/* Out of the order; it is not freed. */
void lb_space_del(struct lb *lb, struct lb_space *p)
{
	size_t at = 0;

	while (lb->by_name[at] != p)
		at++;
	lb->n_spaces--;
	memmove(&lb->by_name[at], &lb->by_name[at + 1], (lb->n_spaces - at) * sizeof(struct lb_space *));
	sort_spaces(lb);
}

bool lb_space_has(const struct lb_space *p, const struct weft_addr *a)
{
	if (p->avoid_buggy && is_buggy(a))
		return false;
	for (size_t i = 0; i < p->n_ranges; i++)
		if (weft_addr_cmp(&p->ranges[i].first, a) <= 0 && weft_addr_cmp(a, &p->ranges[i].last) <= 0)
			return true;
	return false;
}

bool lb_space_offers(const struct lb_space *p, int family)
{
	for (size_t i = 0; i < p->n_ranges; i++)
		if (lb_index(&p->ranges[i].first) == family)
			return true;
	return false;
}

bool lb_space_selects(const struct lb_space *p, const struct lb_svc *s)
{
	return weft_selector_matches(&p->services, s->labels, s->n_labels) &&
	       weft_selector_matches(&p->namespaces, s->ns->labels, s->ns->n_labels);
}

static bool free_in_range(const struct lb *lb, const struct lb_space *p, const struct weft_range *range,
                          struct weft_addr *out)
{
	struct weft_addr from = range->first;

	while (lb_runs_gap(&lb->used, &from, &range->last, out)) {
		if (!p->avoid_buggy || !is_buggy(out))
			return true;
		if (!weft_addr_cmp(out, &range->last))
			return false;
		from = weft_addr_add(out, 1);
	}
	return false;
}

bool lb_space_free_addr(const struct lb *lb, const struct lb_space *p, int family, struct weft_addr *out)
{
	for (size_t i = 0; i < p->n_ranges; i++)
		if (lb_index(&p->ranges[i].first) == family && free_in_range(lb, p, &p->ranges[i], out))
			return true;
	return false;
}

/* Part by part, what is used in the pool. */
typedef void (*used_fn)(void *ctx, const struct weft_addr *first, const struct weft_addr *last);

static void each_used(const struct lb *lb, const struct lb_space *p, used_fn fn, void *ctx)
{
	for (size_t i = 0; i < p->n_ranges; i++) {
		const struct weft_range *range = &p->ranges[i], *run;

		for (size_t at = lb_runs_from(&lb->used, &range->first); at < lb->used.n; at++) {
			run = &lb->used.list[at];
			if (weft_addr_cmp(&run->first, &range->last) > 0)
				break;
			fn(ctx, weft_addr_cmp(&run->first, &range->first) < 0 ? &range->first : &run->first,
			   weft_addr_cmp(&run->last, &range->last) > 0 ? &range->last : &run->last);
		}
	}
}

struct usage {
	const struct lb_space *p;
	uint64_t n;
};

static void add_usage(void *ctx, const struct weft_addr *first, const struct weft_addr *last)
{
	struct usage *u = ctx;

	u->n += count(u->p, first, last);
}

void lb_space_figures(const struct lb *lb, const struct lb_space *p, struct lb_pool *out)
{
	struct usage u = {.p = p};
	const struct lb_svc *s;

	*out = (struct lb_pool){.name = p->name, .capacity = p->capacity};
	each_used(lb, p, add_usage, &u);
	out->used = u.n;
	DL_FOREACH2(lb->clashes, s, clash_next)
	out->conflicts += (s->given[LB_V4] && !strcmp(s->given[LB_V4], p->name)) ||
	                  (s->given[LB_V6] && !strcmp(s->given[LB_V6], p->name));
}

static void touch_part(void *ctx, const struct weft_addr *first, const struct weft_addr *last)
{
	struct lb *lb = ctx;
	struct weft_addr a = *first;

	for (;; a = weft_addr_add(&a, 1)) {
		const struct lb_addr *x = lb_addr_find(lb, &a);

		for (size_t i = 0; x && i < x->n_owners; i++)
			lb_mark(lb, x->owners[i]);
		if (!weft_addr_cmp(&a, last))
			return;
	}
}

void lb_space_touch(struct lb *lb, const struct lb_space *p)
{
	each_used(lb, p, touch_part, lb);
}
