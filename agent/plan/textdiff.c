// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines that each text has once, in the order that both have most of ("patience diff"), hold the texts together: a
 * section that is inserted is shown as such, and not as others that became each other. Between them Myers' greedy
 * algorithm ("An O(ND) Difference Algorithm", 1986): the furthest points of every number of edits are kept, and the way
 * is walked back through them.
 */
#include "agent/plan/textdiff.h"

#include <string.h>

#include "weft/keyhash.h"

#define EDITS_MAX 2000
#define CONTEXT   3

struct line {
	const char *text;
	size_t len;
};

struct lines {
	struct line *list;
	size_t n;
};

struct diff {
	struct lines a, b;
	bool *gone, *new; /* by line of a, of b */
};

static struct lines split(const char *text)
{
	struct lines l = {0};
	size_t n = 0;

	for (const char *p = text; *p; p++)
		n += *p == '\n';
	l.list = must_alloc(n + 1, sizeof(*l.list));
	while (*text) {
		size_t len = strcspn(text, "\n");

		l.list[l.n++] = (struct line){text, len};
		text += len + (text[len] == '\n');
	}
	return l;
}

static bool same(const struct diff *d, size_t x, size_t y)
{
	const struct line *a = &d->a.list[x], *b = &d->b.list[y];

	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* A part of both texts. */
struct window {
	size_t x0, y0;
	long n, m;
};

/* Take what is common off both ends. */
static void trim(const struct diff *d, struct window *w)
{
	while (w->n && w->m && same(d, w->x0, w->y0)) {
		w->x0++;
		w->y0++;
		w->n--;
		w->m--;
	}
	while (w->n && w->m && same(d, w->x0 + (size_t)w->n - 1, w->y0 + (size_t)w->m - 1)) {
		w->n--;
		w->m--;
	}
}

/* v[k] of `edits` edits begins at trail[edits]; k from -edits to edits. */
static long *furthest(long **trail, long edits, long k)
{
	return &trail[edits][k + edits];
}

/* Did the best way to diagonal k come by a new line (down), not by one that is gone? */
static bool came_down(long **trail, long edits, long k)
{
	return k == -edits ||
	       (k != edits && *furthest(trail, edits - 1, k - 1) < *furthest(trail, edits - 1, k + 1));
}

static void walk_back(struct diff *d, const struct window *w, long **trail, long edits)
{
	long x = w->n, y = w->m;

	for (; edits > 0; edits--) {
		long k = x - y, from;
		bool down = came_down(trail, edits, k);

		from = *furthest(trail, edits - 1, down ? k + 1 : k - 1);
		x = from;
		y = x - (down ? k + 1 : k - 1);
		if (down)
			d->new[w->y0 + (size_t)y] = true;
		else
			d->gone[w->x0 + (size_t)x] = true;
	}
}

/* Extend the ways by one edit; true: one of them is at the end. */
static bool extend(const struct diff *d, const struct window *w, long **trail, long edits)
{
	for (long k = -edits; k <= edits; k += 2) {
		long x = 0, y;

		if (edits > 0)
			x = came_down(trail, edits, k) ? *furthest(trail, edits - 1, k + 1)
			                               : *furthest(trail, edits - 1, k - 1) + 1;
		y = x - k;
		while (x < w->n && y >= 0 && y < w->m && same(d, w->x0 + (size_t)x, w->y0 + (size_t)y)) {
			x++;
			y++;
		}
		*furthest(trail, edits, k) = x;
		if (x >= w->n && y >= w->m)
			return true;
	}
	return false;
}

static void mark_window(struct diff *d, struct window w)
{
	long **trail = must_alloc(EDITS_MAX + 1, sizeof(*trail));
	long edits = 0;
	bool found = false;

	trim(d, &w);
	for (; edits <= EDITS_MAX && !found; edits++) {
		trail[edits] = must_alloc((size_t)(2 * edits + 1), sizeof(**trail));
		found = extend(d, &w, trail, edits);
	}
	if (found)
		walk_back(d, &w, trail, edits - 1);
	for (long i = 0; !found && i < w.n; i++)
		d->gone[w.x0 + (size_t)i] = true;
	for (long i = 0; !found && i < w.m; i++)
		d->new[w.y0 + (size_t)i] = true;
	for (long i = 0; i < edits; i++)
		free(trail[i]);
	free(trail);
}

/* --- anchors: lines that each text has once --- */

struct anchor {
	size_t x, y;
	size_t before; /* the anchor before it in the longest chain that ends here */
};

static int by_text(const void *a, const void *b)
{
	const struct line *x = *(const struct line *const *)a, *y = *(const struct line *const *)b;
	size_t len = x->len < y->len ? x->len : y->len;
	int r = len ? memcmp(x->text, y->text, len) : 0;

	return r ? r : (x->len > y->len) - (x->len < y->len);
}

static int by_x(const void *a, const void *b)
{
	const struct anchor *x = a, *y = b;

	return (x->x > y->x) - (x->x < y->x);
}

/* Pointers to the lines of a text that it has once, sorted. */
static const struct line **once(const struct lines *l, size_t *n)
{
	const struct line **list = must_alloc(l->n + 1, sizeof(*list));

	for (size_t i = 0; i < l->n; i++)
		list[i] = &l->list[i];
	if (l->n)
		qsort(list, l->n, sizeof(*list), by_text);
	*n = 0;
	for (size_t i = 0, end; i < l->n; i = end) {
		for (end = i + 1; end < l->n && by_text(&list[i], &list[end]) == 0;)
			end++;
		if (end == i + 1)
			list[(*n)++] = list[i];
	}
	return list;
}

static struct anchor *find_anchors(const struct diff *d, size_t *n)
{
	size_t na, nb, i = 0, k = 0;
	const struct line **a = once(&d->a, &na), **b = once(&d->b, &nb);
	struct anchor *list = must_alloc(na + 1, sizeof(*list));

	*n = 0;
	while (i < na && k < nb) {
		int r = by_text(&a[i], &b[k]);

		if (r == 0)
			list[(*n)++] = (struct anchor){.x = (size_t)(a[i] - d->a.list),
			                               .y = (size_t)(b[k] - d->b.list)};
		i += r <= 0;
		k += r >= 0;
	}
	if (*n)
		qsort(list, *n, sizeof(*list), by_x);
	free(a);
	free(b);
	return list;
}

/* The longest chain of anchors whose y grows, too. ends[i]: the anchor with the least y that ends one of length i + 1.
 * Returns how many are left in the list. */
static size_t longest_chain(struct anchor *list, size_t n)
{
	size_t *ends = must_alloc(n + 1, sizeof(*ends)), length = 0, at;

	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = length;

		while (low < high) {
			size_t middle = (low + high) / 2;

			if (list[ends[middle]].y < list[i].y)
				low = middle + 1;
			else
				high = middle;
		}
		list[i].before = low ? ends[low - 1] : 0;
		ends[low] = i;
		length += low == length;
	}
	at = length ? ends[length - 1] : 0;
	for (size_t i = length; i > 0; i--) {
		ends[i - 1] = at;
		at = list[at].before;
	}
	for (size_t i = 0; i < length; i++)
		list[i] = list[ends[i]];
	free(ends);
	return length;
}

static void mark(struct diff *d)
{
	size_t n, x = 0, y = 0;
	struct anchor *list = find_anchors(d, &n);

	n = longest_chain(list, n);
	for (size_t i = 0; i <= n; i++) {
		size_t end_x = i < n ? list[i].x : d->a.n, end_y = i < n ? list[i].y : d->b.n;

		mark_window(d, (struct window){x, y, (long)(end_x - x), (long)(end_y - y)});
		x = end_x + 1;
		y = end_y + 1;
	}
	free(list);
}

static void put(const struct line *l, char mark_char, struct weft_buf *out)
{
	weft_buf_char(out, mark_char);
	weft_buf_add(out, l->text, l->len);
	weft_buf_char(out, '\n');
}

/* Where a hunk that begins with the change at (x, y) ends: at CONTEXT common lines after its last change. */
static void hunk_end(const struct diff *d, size_t *x, size_t *y)
{
	size_t common = 0;

	while ((*x < d->a.n || *y < d->b.n) && common <= 2 * CONTEXT) {
		if (*x < d->a.n && d->gone[*x]) {
			++*x;
			common = 0;
		} else if (*y < d->b.n && d->new[*y]) {
			++*y;
			common = 0;
		} else {
			++*x;
			++*y;
			common++;
		}
	}
	if (common > CONTEXT) {
		*x -= common - CONTEXT;
		*y -= common - CONTEXT;
	}
}

static void put_hunk(const struct diff *d, size_t x, size_t y, size_t end_x, size_t end_y,
                     struct weft_buf *out)
{
	weft_buf_printf(out, "@@ -%zu,%zu +%zu,%zu @@\n", x + (end_x > x), end_x - x, y + (end_y > y),
	                end_y - y);
	while (x < end_x || y < end_y) {
		if (x < end_x && d->gone[x])
			put(&d->a.list[x++], '-', out);
		else if (y < end_y && d->new[y])
			put(&d->b.list[y++], '+', out);
		else
			put(&d->a.list[(y++, x++)], ' ', out);
	}
}

static void put_hunks(const struct diff *d, struct weft_buf *out)
{
	size_t x = 0, y = 0;

	while (x < d->a.n || y < d->b.n) {
		size_t lead = x < CONTEXT ? x : CONTEXT, end_x = x, end_y = y;

		if (!(x < d->a.n && d->gone[x]) && !(y < d->b.n && d->new[y])) {
			x++;
			y++;
			continue;
		}
		hunk_end(d, &end_x, &end_y);
		put_hunk(d, x - lead, y - lead, end_x, end_y, out);
		x = end_x;
		y = end_y;
	}
}

void textdiff(const char *before, const char *after, struct weft_buf *out)
{
	struct diff d = {.a = split(before), .b = split(after)};

	d.gone = must_alloc(d.a.n + 1, sizeof(*d.gone));
	d.new = must_alloc(d.b.n + 1, sizeof(*d.new));
	mark(&d);
	put_hunks(&d, out);
	free(d.gone);
	free(d.new);
	free(d.a.list);
	free(d.b.list);
}
