// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/handover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/keyhash.h"
#include "weft/object.h"

struct drained {
	char name[WEFT_NAME_MAX + 1];
	struct weft_addr ip4;
	uint64_t until; /* HANDOVER_NEVER while it is drained */
};

struct handover {
	struct drained *list; /* by name */
	size_t n;
	uint64_t moves_until; /* 0 = they don't */
};

struct handover *handover_new(void)
{
	return must_alloc(1, sizeof(struct handover));
}

void handover_free(struct handover *h)
{
	if (!h)
		return;
	free(h->list);
	free(h);
}

/* Where the name is or would be. */
static size_t place(const struct handover *h, const char *name)
{
	size_t i = 0;

	while (i < h->n && strcmp(h->list[i].name, name) < 0)
		i++;
	return i;
}

static void remove_at(struct handover *h, size_t i)
{
	memmove(&h->list[i], &h->list[i + 1], (h->n - i - 1) * sizeof(*h->list));
	h->n--;
}

static void insert_at(struct handover *h, size_t i, const char *name)
{
	h->list = must_grow(h->list, h->n + 1, sizeof(*h->list));
	memmove(&h->list[i + 1], &h->list[i], (h->n - i) * sizeof(*h->list));
	memset(&h->list[i], 0, sizeof(*h->list));
	snprintf(h->list[i].name, sizeof(h->list[i].name), "%s", name);
	h->n++;
}

static void move_until(struct handover *h, uint64_t until)
{
	if (until > h->moves_until)
		h->moves_until = until;
}

static void forget(struct handover *h, size_t i, uint64_t now)
{
	move_until(h, now + HANDOVER_LINGER_MS);
	remove_at(h, i);
}

void handover_node(struct handover *h, const char *name, bool drained, const struct weft_addr *ip4,
                   uint64_t wait_ms, uint64_t now)
{
	size_t i = place(h, name);
	bool known = i < h->n && !strcmp(h->list[i].name, name);

	if (!weft_addr_is_set(ip4)) {
		if (known)
			forget(h, i, now);
		return;
	}
	if (!drained) {
		if (!known || h->list[i].until != HANDOVER_NEVER)
			return;
		h->list[i].until = now + HANDOVER_LINGER_MS;
		move_until(h, h->list[i].until);
		return;
	}
	if (!known) {
		if (h->n == HANDOVER_DRAINED)
			return;
		insert_at(h, i, name);
	}
	if (h->list[i].until != HANDOVER_NEVER)
		move_until(h, now + wait_ms + HANDOVER_LINGER_MS);
	h->list[i].ip4 = *ip4;
	h->list[i].until = HANDOVER_NEVER;
}

void handover_turn(struct handover *h, uint64_t now)
{
	if (h->moves_until <= now)
		h->moves_until = 0;
	for (size_t i = h->n; i > 0; i--)
		if (h->list[i - 1].until <= now)
			remove_at(h, i - 1);
}

uint64_t handover_deadline(const struct handover *h)
{
	uint64_t at = h->moves_until ? h->moves_until : HANDOVER_NEVER;

	for (size_t i = 0; i < h->n; i++)
		if (h->list[i].until < at)
			at = h->list[i].until;
	return at;
}

bool handover_moves(const struct handover *h, uint64_t now)
{
	return now < h->moves_until;
}

/* The ring as seen from one of its nodes, or from beside it. */
struct view {
	const char *self, *first, *next; /* names: of all, of those after us */
	struct handover_targets t;
	struct weft_addr first_ip4, next_ip4;
};

static void see(struct view *v, const char *name, const struct weft_addr *ip4)
{
	int order = strcmp(name, v->self);

	if (!order)
		return;
	v->t.left++;
	if (!v->first || strcmp(name, v->first) < 0) {
		v->first = name;
		v->first_ip4 = *ip4;
	}
	if (order > 0 && (!v->next || strcmp(name, v->next) < 0)) {
		v->next = name;
		v->next_ip4 = *ip4;
	}
}

struct handover_targets handover_targets(const struct handover *h, const char *self,
                                         const struct handover_member *all, size_t n, uint64_t now)
{
	struct view v = {.self = self, .t.drop = handover_moves(h, now)};

	if (v.t.drop && n && n <= HANDOVER_RING)
		for (size_t i = 0; i < n; i++)
			see(&v, all[i].name, &all[i].ip4);
	else
		for (size_t i = 0; i < h->n; i++)
			see(&v, h->list[i].name, &h->list[i].ip4);
	if (v.t.left)
		v.t.next = v.next ? v.next_ip4 : v.first_ip4;
	return v.t;
}
