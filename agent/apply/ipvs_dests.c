// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of destinations: sorted, wanted and running in one. Pure. See ipvs_private.h. */
#include <stdlib.h>
#include <string.h>

#include "agent/apply/ipvs_private.h"

enum ipvs_todo ipvs_todo(const struct ipvs_dest *d)
{
	bool runs = d->flags & DEST_RUNS;

	if (!(d->flags & DEST_WANTED))
		return runs ? TODO_REMOVE : TODO_NOTHING;
	if (!runs)
		return d->flags & DEST_KEEP ? TODO_NOTHING : TODO_ADD;
	if (d->run == d->want && !(d->flags & DEST_ODD) &&
	    !(d->flags & DEST_TUNNEL) == !(d->flags & DEST_RUNS_TUNNEL))
		return TODO_NOTHING;
	return d->want ? TODO_EDIT : TODO_DRAIN;
}

static int compare(const struct ipvs_dest *a, const struct ipvs_dest *b)
{
	int c = weft_addr_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->port - (int)b->port;
}

static int compare_for_sort(const void *pa, const void *pb)
{
	const struct ipvs_dest *a = pa, *b = pb;
	int c = compare(a, b);

	return c ? c : (int)(a->flags & DEST_KEEP) - (int)(b->flags & DEST_KEEP);
}

/* The usual case: a plan has them in this order. */
static bool sorted(const struct ipvs_dest *d, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare_for_sort(&d[i - 1], &d[i]) > 0)
			return false;
	return true;
}

size_t ipvs_dests_sort(struct ipvs_dest *d, size_t n)
{
	size_t kept = 0;

	if (!sorted(d, n))
		qsort(d, n, sizeof(*d), compare_for_sort);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || compare(&d[kept - 1], &d[i]) != 0)
			d[kept++] = d[i];
	}
	return kept;
}

static struct ipvs_dest wanted_side(const struct ipvs_dest *d)
{
	struct ipvs_dest w = *d;

	w.flags &= DEST_WISH;
	w.run = 0;
	return w;
}

static struct ipvs_dest running_side(const struct ipvs_dest *d)
{
	struct ipvs_dest r = *d;

	r.flags &= DEST_FACT;
	r.want = 0;
	return r;
}

struct ipvs_dest *ipvs_dests_merge(const struct ipvs_dest *want, size_t n_want, const struct ipvs_dest *run,
                                   size_t n_run, size_t *n)
{
	size_t size = n_want + n_run, w = 0, r = 0, k = 0;
	struct ipvs_dest *out = calloc(size ? size : 1, sizeof(*out)), *fit;

	if (!out)
		return NULL;
	while (w < n_want || r < n_run) {
		int c = w == n_want ? 1 : r == n_run ? -1 : compare(&want[w], &run[r]);
		struct ipvs_dest d = {0};

		if (c <= 0)
			d = wanted_side(&want[w++]);
		if (c >= 0) {
			struct ipvs_dest running = running_side(&run[r++]);

			running.flags |= d.flags;
			running.want = d.want;
			d = running;
		}
		if (d.flags & (DEST_WANTED | DEST_RUNS))
			out[k++] = d;
	}
	*n = k;
	fit = realloc(out, (k ? k : 1) * sizeof(*out));
	return fit ? fit : out;
}
