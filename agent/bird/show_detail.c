// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bird/show_detail.h"

#include <string.h>

#include "agent/bird/show_int.h"

enum { CODE_ROW = 1002, CODE_DETAIL = 1006 };

/* The lines about one protocol: [*i, end) */
static size_t find(const struct bird_reply *r, const char *protocol, size_t *end)
{
	size_t i = 0, len = strlen(protocol);

	while (i < r->count && !(r->lines[i].code == CODE_ROW && show_word(r->lines[i].text) == len &&
	                         !strncmp(r->lines[i].text, protocol, len)))
		i++;
	for (*end = i + 1; *end < r->count && r->lines[*end].code == CODE_DETAIL;)
		++*end;
	return i + 1;
}

static size_t indent(const char *text)
{
	return (size_t)(show_blanks(text) - text);
}

void bird_each_capability(const struct bird_reply *r, const char *protocol,
                          void (*fn)(void *ctx, const char *text), void *ctx)
{
	size_t end, i = find(r, protocol, &end), level;

	while (i < end && strcmp(show_blanks(r->lines[i].text), "Neighbor capabilities") != 0)
		i++;
	if (i >= end)
		return;
	level = indent(r->lines[i].text);
	for (i++; i < end && indent(r->lines[i].text) > level; i++)
		fn(ctx, show_blanks(r->lines[i].text));
}

bool bird_neighbor_restarts(const struct bird_reply *r, const char *protocol)
{
	size_t end, i = find(r, protocol, &end);

	for (; i < end; i++)
		if (!strcmp(show_blanks(r->lines[i].text), "Neighbor graceful restart active"))
			return true;
	return false;
}
