// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *	1007  Table master4:                                        the table of what follows
 *	1007  10.244.2.0/26  unicast [tor1 12:00:00] * (100) [AS65001i]   a route; without a prefix: of the one before
 *	1007  <tab>via 10.0.1.2 on eth0                             a next hop
 *	1008  <tab>Type: BGP univ
 *	1012  <tab>BGP.as_path: 65001                               an attribute, <tab><tab> goes on with it
 */
#include "agent/bird/routes.h"

#include <stdlib.h>
#include <string.h>

#include "agent/bird/show_int.h"
#include "weft/cleanup.h"

enum { CODE_ROUTE = 1007, CODE_TYPE = 1008, CODE_ATTRIBUTE = 1012 };

#define FIELD(label, member)                                                                         \
	{                                                                                            \
		label, offsetof(struct bird_route, member), sizeof(((struct bird_route *)0)->member) \
	}

static const struct {
	const char *label;
	size_t offset, size;
} fields[] = {
        FIELD("Type", source),
        FIELD("source", source),
        FIELD("BGP.origin", origin),
        FIELD("bgp_origin", origin),
        FIELD("BGP.as_path", as_path),
        FIELD("bgp_path", as_path),
        FIELD("BGP.next_hop", next_hop),
        FIELD("bgp_next_hop", next_hop),
        FIELD("BGP.local_pref", local_pref),
        FIELD("bgp_local_pref", local_pref),
        FIELD("BGP.med", med),
        FIELD("bgp_med", med),
        FIELD("BGP.community", communities),
        FIELD("bgp_community", communities),
        FIELD("BGP.large_community", large_communities),
        FIELD("bgp_large_community", large_communities),
        FIELD("BGP.ext_community", ext_communities),
        FIELD("bgp_ext_community", ext_communities),
        FIELD("Kernel.metric", metric),
        FIELD("krt_metric", metric),
};

/* Put text at out, cut with dots when there is no room. */
static void put(char *out, size_t size, const char *text, size_t len)
{
	bool cut = len >= size;

	if (cut)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = '\0';
	if (cut && size > 4)
		memcpy(out + size - 4, "...", 3);
}

static bool flush(struct bird_routes *r)
{
	bool more = !r->reading || r->fn(r->ctx, &r->route);

	r->reading = false;
	r->last = NULL;
	return more;
}

/* "unicast [tor1 12:00:00.000 from 10.0.0.1] * (100/10) [AS65001i]"; false: it is something else. */
static bool read_row(struct bird_route *to, const char *text)
{
	size_t len = show_word(text);
	uint64_t n;

	put(to->type, sizeof(to->type), text, len);
	text = show_blanks(text + len);
	if (!show_skip(&text, "["))
		return false;
	len = strcspn(text, " ]");
	put(to->proto, sizeof(to->proto), text, len);
	text = show_blanks(text + len);
	len = strcspn(text, "]");
	put(to->since, sizeof(to->since), text, strcspn(text, "] ") < len ? strcspn(text, " ]") : len);
	text += len;
	if (!show_skip(&text, "]"))
		return false;
	text = show_blanks(text);
	to->best = show_skip(&text, "*");
	text = show_blanks(text);
	if (show_skip(&text, "(") && show_number(&text, UINT32_MAX, &n))
		to->preference = (uint32_t)n;
	return true;
}

static bool begin(struct bird_routes *r, const char *text)
{
	struct bird_route *to = &r->route;
	struct weft_prefix net = to->net;
	char table[sizeof(to->table)], word[WEFT_PREFIX_STR] = "";
	bool more = flush(r);

	memcpy(table, to->table, sizeof(table));
	if (*text != ' ') {
		size_t len = show_word(text);

		put(word, sizeof(word), text, len);
		text += len;
		if (weft_prefix_parse(word, &net, NULL) < 0)
			net = (struct weft_prefix){0};
	}
	memset(to, 0, sizeof(*to));
	memcpy(to->table, table, sizeof(table));
	to->net = net;
	r->reading = read_row(to, show_blanks(text)) && net.addr.family;
	return more;
}

/* "via 10.0.1.2 on eth0 onlink weight 2", "dev eth0" */
static void read_hop(struct bird_route *to, const char *text)
{
	struct bird_hop *hop = &to->hops[to->n_hops];
	size_t len;

	if (to->n_hops == BIRD_ROUTE_HOPS)
		return;
	if (show_skip(&text, "via ")) {
		len = show_word(text);
		put(hop->via, sizeof(hop->via), text, len);
		text = show_blanks(text + len);
		show_skip(&text, "on ");
	} else if (!show_skip(&text, "dev ")) {
		return;
	}
	put(hop->dev, sizeof(hop->dev), text, show_word(text));
	to->n_hops++;
}

static void read_attribute(struct bird_routes *r, const char *text)
{
	const char *label = show_blanks(text), *colon = strchr(label, ':'), *value;
	size_t used;

	if (r->last && text[0] == '\t' && text[1] == '\t') {
		used = strlen(r->last);
		if (used + 1 < r->last_size) {
			r->last[used++] = ' ';
			put(r->last + used, r->last_size - used, label, strlen(label));
		}
		return;
	}
	r->last = NULL;
	if (!colon)
		return;
	value = show_blanks(colon + 1);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(fields); i++) {
		if (strlen(fields[i].label) != (size_t)(colon - label) ||
		    strncmp(fields[i].label, label, (size_t)(colon - label)) != 0)
			continue;
		r->last = (char *)&r->route + fields[i].offset;
		r->last_size = fields[i].size;
		put(r->last, r->last_size, value,
		    fields[i].offset == offsetof(struct bird_route, source) ? show_word(value)
		                                                            : strlen(value));
	}
}

bool bird_routes_line(struct bird_routes *r, const struct bird_line *line)
{
	const char *text = line->text;

	if (line->code == CODE_ROUTE && text[0] == '\t') {
		if (r->reading)
			read_hop(&r->route, show_blanks(text));
	} else if (line->code == CODE_ROUTE && show_skip(&text, "Table ")) {
		bool more = flush(r);

		put(r->route.table, sizeof(r->route.table), text, strcspn(text, ":"));
		r->route.net = (struct weft_prefix){0};
		return more;
	} else if (line->code == CODE_ROUTE && line->len) {
		return begin(r, text);
	} else if ((line->code == CODE_TYPE || line->code == CODE_ATTRIBUTE) && r->reading) {
		read_attribute(r, text);
	}
	return true;
}

bool bird_routes_end(struct bird_routes *r)
{
	return flush(r);
}
