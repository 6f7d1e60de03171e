// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Source ranges that lie in others: nft_private.h.
 *
 * The kernel refuses a range that lies in another of the same destination, and with it the whole transaction;
 * users write such lists. So the ranges of one destination are a group, and only those that lie in no other
 * are in the kernel. A group is looked at as a whole, once for all its changes: sorted by address and length,
 * each range follows the ones it lies in.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/nft_private.h"

struct nft_group_key {
	struct weft_addr addr;
	uint8_t proto;
	uint16_t port;
};

struct nft_group {
	struct nft_group_key key;
	struct nft_element *members;
	size_t n;
	bool unsorted;
	struct nft_group *prev, *next; /* in the list of unsorted ones */
	UT_hash_handle hh;
};

void nft_sources_add(struct nft_elements *els, struct nft_element *p)
{
	struct nft_group_key key;
	struct nft_group *g;
	unsigned hash;

	memset(&key, 0, sizeof(key));
	key.addr = p->e.addr;
	key.proto = p->e.proto;
	key.port = p->e.port;
	hash = nft_hash(els, &key, sizeof(key));
	HASH_FIND_BYHASHVALUE(hh, els->groups, &key, sizeof(key), hash, g);
	if (!g) {
		g = nft_alloc(sizeof(*g));
		memcpy(&g->key, &key, sizeof(key));
		HASH_ADD_BYHASHVALUE(hh, els->groups, key, sizeof(g->key), hash, g);
	}
	p->group = g;
	g->n++;
	DL_APPEND2(g->members, p, group_prev, group_next);
}

void nft_sources_del(struct nft_elements *els, struct nft_element *p)
{
	struct nft_group *g = p->group;

	DL_DELETE2(g->members, p, group_prev, group_next);
	if (--g->n)
		return;
	if (g->unsorted)
		DL_DELETE(els->unsorted, g);
	HASH_DEL(els->groups, g);
	free(g);
}

void nft_sources_changed(struct nft_elements *els, struct nft_element *p)
{
	if (p->group->unsorted)
		return;
	p->group->unsorted = true;
	DL_APPEND(els->unsorted, p->group);
}

static int by_range(const void *a, const void *b)
{
	const struct nft_element *const *x = a, *const *y = b;

	return weft_prefix_cmp(&(*x)->e.source, &(*y)->e.source);
}

/* The group is gone afterwards if nothing of it is left. */
static void settle(struct nft_elements *els, struct nft_group *g)
{
	struct nft_element **sorted = nft_alloc(g->n * sizeof(struct nft_element *));
	const struct nft_element *outer = NULL;
	struct nft_element *p;
	size_t n = 0;

	DL_FOREACH2(g->members, p, group_next)
	sorted[n++] = p;
	qsort(sorted, n, sizeof(struct nft_element *), by_range);
	for (size_t i = 0; i < n; i++) {
		p = sorted[i];
		p->covered = outer && weft_prefix_covers(&outer->e.source, &p->e.source);
		if (!p->covered && nft_element_alive(els, p))
			outer = p;
	}
	for (size_t i = 0; i < n; i++)
		nft_element_place(els, sorted[i]);
	free(sorted);
}

void nft_sources_settle(struct nft_elements *els)
{
	struct nft_group *g, *tmp;

	DL_FOREACH_SAFE(els->unsorted, g, tmp)
	{
		DL_DELETE(els->unsorted, g);
		g->unsorted = false;
		settle(els, g);
	}
}
