// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routes as BIRD has them, for weftctl: parts that `routes` and `bgp explain` share.
 */
#ifndef AGENT_DAEMON_VIEWS_ROUTES_H
#define AGENT_DAEMON_VIEWS_ROUTES_H

#include <cjson/cJSON.h>

#include "agent/bird/routes.h"
#include "agent/plan/bgp_words.h"

/* BIRD's text "65001 65000" to numbers, up to what is no number (a set). Returns how many. */
size_t view_route_path(const char *text, uint32_t *out, size_t max);

/* Its standard and large communities. */
size_t view_route_communities(const struct bird_route *r, struct weft_community *out, size_t max);

/* {"prefix":..,"asPath":..,"nextHop":..,"communities":[..],"hops":[..]}: what BIRD says */
cJSON *view_route_item(const struct bird_route *r);

/* Make an item of what BIRD shows as exported what the peer gets: AS path, next hop, local preference. */
void view_route_announced(cJSON *item, const struct bgp_peer *p, const struct bird_route *r);

/* Why the import filter takes or refuses it, by the model. */
void view_route_why(const struct bgp_model *m, const struct bgp_peer *p, const struct bird_route *r,
                    struct weft_buf *why);

#endif
