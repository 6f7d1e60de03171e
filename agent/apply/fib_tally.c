// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many routes are wanted for what, and in which state: counted as they come and go, so that nobody has to
 * walk them all. Those that are not installed are in a list.
 */
#include <linux/rtnetlink.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/fib_private.h"
#include "weft/marks.h"

static bool by_tunnel(const struct weft_route *r)
{
	return !strcmp(r->dev, WEFT_DEV_IPIP) || !strcmp(r->dev, WEFT_DEV_SIT);
}

enum fib_kind fib_kind_of(const struct weft_route *r)
{
	if (r->key.table == WEFT_TABLE_ADVERT)
		return FIB_ADVERT;
	if (r->key.table == RT_TABLE_LOCAL)
		return FIB_LOCAL;
	if (r->type == RTN_BLACKHOLE)
		return FIB_BLOCK;
	if (by_tunnel(r))
		return r->key.metric == WEFT_METRIC_FALLBACK ? FIB_FALLBACK : FIB_TUNNEL;
	return weft_addr_is_set(&r->gateway) ? FIB_DIRECT : FIB_POD;
}

const char *fib_kind_name(enum fib_kind kind)
{
	static const char *const names[FIB_KINDS] = {"pod",   "direct", "tunnel", "fallback",
	                                             "block", "local",  "advert"};

	return names[kind];
}

const char *fib_kind_table(enum fib_kind kind)
{
	return kind == FIB_LOCAL ? "local" : kind == FIB_ADVERT ? "179" : "main";
}

static void move(const struct fib_entry *list, struct fib_tally *t)
{
	const struct fib_entry *e;

	DL_FOREACH (list, e) {
		enum fib_kind kind = fib_kind_of(&e->want);

		if (!e->wanted)
			continue;
		t->count[kind][FIB_INSTALLED]--;
		t->count[kind][fib_entry_state(e)]++;
	}
}

struct fib_tally fib_tally(const struct fib *f)
{
	struct fib_tally t = {.writes = f->writes, .resyncs = f->resyncs, .repairs = f->repairs};

	for (int kind = 0; kind < FIB_KINDS; kind++)
		t.count[kind][FIB_INSTALLED] = f->wanted[kind];
	move(f->set, &t);
	move(f->faulty, &t);
	return t;
}
