// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who wants which kernel route. Re-planning one owner (a block, a pod) yields exactly the difference.
 *
 * wanted_set() replaces the whole set of one owner: routes that are new or changed are announced by want(),
 * those it no longer has by unwant(). When two owners want one key the first keeps it; the other waits and
 * takes over when the first lets go (one want(), no unwant() between them). Cost: the routes of that owner.
 */
#ifndef AGENT_PLAN_WANTED_H
#define AGENT_PLAN_WANTED_H

#include <stddef.h>

#include "weft/err.h"
#include "weft/route.h"

#define WANTED_OWNER_MAX 320 /* bytes of an owner's name, with NUL; longer ones are refused */

struct wanted_ops {
	void (*want)(void *ctx, const struct weft_route *r);
	void (*unwant)(void *ctx, const struct weft_route_key *k);
	void *ctx;
};

struct wanted;

struct wanted *wanted_new(const struct wanted_ops *ops);

/* Forgets without telling anyone. */
void wanted_free(struct wanted *w);

/*
 * owner wants exactly these routes (n = 0: none; the owner is forgotten). Returns 0; -EEXIST when some key is
 * held by another owner (err names the first such route and its holder; the rest is in force); -EINVAL for an
 * owner's name that is empty or too long (nothing changed).
 */
int wanted_set(struct wanted *w, const char *owner, const struct weft_route *routes, size_t n,
               struct weft_err *err);

/* The owner whose route is in force for this key, NULL = nobody. Valid until the next wanted_set(). */
const char *wanted_holder(const struct wanted *w, const struct weft_route_key *key);

size_t wanted_count(const struct wanted *w); /* keys in force */

/* Every route in force, in no order (for a resync). */
void wanted_each(const struct wanted *w, void (*fn)(void *ctx, const struct weft_route *r), void *ctx);

#endif
