// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A path-compressed binary trie of prefixes of both families: exact lookup, everything above (covering) and
 * everything below (covered) a prefix. Its depth is bounded by the address length (128), whatever the keys:
 * hostile CIDRs can't degrade it.
 *
 * It stores one pointer per prefix and owns nodes, not values. A stored value is never NULL.
 */
#ifndef AGENT_STATE_TRIE_H
#define AGENT_STATE_TRIE_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/addr.h"

struct trie_node;

struct trie {
	struct trie_node *root[2]; /* v4, v6 */
	size_t count;
};

/* Returns true to stop the walk. May not change the trie. */
typedef bool (*trie_fn)(void *ctx, const struct weft_prefix *p, void *value);

/* Store or replace. Aborts when memory ends (keyhash.h). */
void trie_set(struct trie *t, const struct weft_prefix *p, void *value);

void *trie_get(const struct trie *t, const struct weft_prefix *p);

/* Forget p; nothing happens when it isn't there. */
void trie_del(struct trie *t, const struct weft_prefix *p);

/* The prefixes that cover p, shortest first, without p itself. True when fn stopped the walk. */
bool trie_above(const struct trie *t, const struct weft_prefix *p, trie_fn fn, void *ctx);

/* The prefixes that p covers, with p itself, in address order. True when fn stopped the walk. */
bool trie_below(const struct trie *t, const struct weft_prefix *p, trie_fn fn, void *ctx);

void trie_free(struct trie *t);

#endif
