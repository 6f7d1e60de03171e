// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does this node need another block of addresses, or can it give one back? The next single step, as data.
 *
 * A family is served when some usable pool offers it: use Pods, not disabled, not refused, selecting our
 * Node. Per served family (v4 first): fewer than `spare` free addresses in blocks of usable pools -> claim
 * the next block of the first pool, in name order, that has one; no pool has one -> exhausted. Otherwise a
 * block that has been empty for `release_after` is released if the family's other usable blocks keep at least
 * `spare` free; the last block of a family is never released. One that lies in no pool any more is of no use
 * to anybody: it is released after the same while, whatever else there is.
 *
 * Time is an argument: seconds of any monotonic clock.
 */
#ifndef AGENT_PLAN_BLOCKS_H
#define AGENT_PLAN_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/state/cluster.h"

/* One of our blocks, with the counts of ipam/. */
struct blocks_own {
	struct weft_prefix cidr;
	uint64_t free, used;  /* addresses to give now (cooling ones are neither); in use */
	uint64_t empty_since; /* when `used` became 0; meaningful while used == 0 */
};

struct blocks_config {
	uint64_t spare;         /* ipam.spareAddresses */
	uint64_t release_after; /* ipam.releaseEmptyAfter, seconds */
};

enum blocks_step { BLOCKS_NONE, BLOCKS_CLAIM, BLOCKS_RELEASE, BLOCKS_EXHAUSTED };

struct blocks_action {
	enum blocks_step step;
	struct weft_prefix cidr;      /* CLAIM, RELEASE */
	char pool[WEFT_NAME_MAX + 1]; /* CLAIM: the pool of cidr */
	uint8_t family;               /* CLAIM, RELEASE, EXHAUSTED */
	char text[CLUSTER_TEXT];      /* EXHAUSTED: which pools are full, and what to do */
	uint64_t again_at; /* NONE, EXHAUSTED: ask again at this time; 0 = only when something changes */
};

/* own: every block of ours, both families, any order. */
void blocks_plan(const struct cluster *c, const struct blocks_own *own, size_t n_own,
                 const struct blocks_config *cfg, uint64_t now, struct blocks_action *out);

/*
 * A pod needs an address and no block has room: a claim for this family (AF_INET, AF_INET6) whatever is
 * spare, from this pool or (pool = NULL) any. step is CLAIM, or EXHAUSTED with the reason.
 */
void blocks_claim(const struct cluster *c, uint8_t family, const char *pool, struct blocks_action *out);

#endif
