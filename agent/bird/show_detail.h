// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parts of `show protocols all` that are lists by indentation, and differ between versions: capabilities, and
 * whether a graceful restart of the neighbour is going on. What is not recognised is not there.
 */
#ifndef WEFT_BIRD_SHOW_DETAIL_H
#define WEFT_BIRD_SHOW_DETAIL_H

#include <stdbool.h>

#include "agent/bird/reply.h"

/* Every capability that the neighbour announced: "Route refresh", "AF announced: ipv4 ipv6". */
void bird_each_capability(const struct bird_reply *r, const char *protocol,
                          void (*fn)(void *ctx, const char *text), void *ctx);

bool bird_neighbor_restarts(const struct bird_reply *r, const char *protocol);

#endif
