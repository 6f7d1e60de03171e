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

void handover_node(struct handover *h, const char *name, bool drained, const struct weft_addr *ip4,
                   uint64_t now)
{
	size_t i = place(h, name);
	bool known = i < h->n && !strcmp(h->list[i].name, name);

	if (!weft_addr_is_set(ip4)) {
		if (known)
			remove_at(h, i);
		return;
	}
	if (!drained) {
		if (known && h->list[i].until == HANDOVER_NEVER)
			h->list[i].until = now + HANDOVER_LINGER_MS;
		return;
	}
	if (!known) {
		if (h->n == HANDOVER_NODES)
			return;
		insert_at(h, i, name);
	}
	h->list[i].ip4 = *ip4;
	h->list[i].until = HANDOVER_NEVER;
}

void handover_turn(struct handover *h, uint64_t now)
{
	for (size_t i = h->n; i > 0; i--)
		if (h->list[i - 1].until <= now)
			remove_at(h, i - 1);
}

uint64_t handover_deadline(const struct handover *h)
{
	uint64_t at = HANDOVER_NEVER;

	for (size_t i = 0; i < h->n; i++)
		if (h->list[i].until < at)
			at = h->list[i].until;
	return at;
}

struct handover_targets handover_targets(const struct handover *h, const char *self)
{
	size_t at = place(h, self);
	bool in = at < h->n && !strcmp(h->list[at].name, self);
	size_t first = in && at == 0 ? 1 : 0, next = at + 1;
	struct handover_targets t;

	memset(&t, 0, sizeof(t));
	if (first < h->n)
		t.first = h->list[first].ip4;
	if (in && next < h->n)
		t.next = h->list[next].ip4;
	t.last = in && next == h->n;
	return t;
}
