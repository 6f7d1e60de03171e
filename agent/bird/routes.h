// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `show route ... all`: lines of a reply, as they come -> one route at a time.
 *
 * Attributes have other names in 3.x (BGP.as_path, bgp_path) and other lines around them; both are known, what is
 * not known is passed over. Texts are cut to the room they have here and then end in "...".
 */
#ifndef WEFT_BIRD_ROUTES_H
#define WEFT_BIRD_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/addr.h"

#include "agent/bird/reply.h"

#define BIRD_ROUTE_TEXT 1024
#define BIRD_ROUTE_HOPS 8

struct bird_hop {
	char via[WEFT_ADDR_STR]; /* "" = none, dev alone */
	char dev[64];
};

struct bird_route {
	struct weft_prefix net;
	char table[72];
	char type[16]; /* unicast, blackhole, unreachable, prohibited */
	char proto[72];
	char since[32];
	bool best; /* the one that BIRD chose */
	uint32_t preference;
	struct bird_hop hops[BIRD_ROUTE_HOPS];
	size_t n_hops;
	/* Attributes; "" = none. */
	char source[16]; /* BGP, inherit, static ... */
	char origin[16], as_path[BIRD_ROUTE_TEXT], next_hop[96], local_pref[16], med[16];
	char communities[BIRD_ROUTE_TEXT], large_communities[BIRD_ROUTE_TEXT],
	        ext_communities[BIRD_ROUTE_TEXT];
	char metric[16]; /* of a kernel route that was learnt */
};

/* False: no more routes are wanted. */
typedef bool (*bird_route_fn)(void *ctx, const struct bird_route *r);

/* Set fn and ctx, zero the rest. */
struct bird_routes {
	bird_route_fn fn;
	void *ctx;
	struct bird_route route; /* the one that is being read */
	bool reading;
	char *last; /* the attribute that a further line goes on with, NULL = none */
	size_t last_size;
};

/* A line of the reply. Returns what fn returned, else true. */
bool bird_routes_line(struct bird_routes *r, const struct bird_line *line);

/* The reply is complete: the last route follows. */
bool bird_routes_end(struct bird_routes *r);

#endif
