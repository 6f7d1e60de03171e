// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To whom packets go whose connection began on another node.
 *
 * When a node is drained, and when its drain ends, routers move connections of a VIP to other nodes, which know
 * nothing of them and would reset them. While that can happen ("routes move") each node hands a TCP segment that opens
 * nothing and belongs to no connection it knows on to the next one in a ring, by a tunnel, and so on: the node that has
 * the connection answers the client directly.
 *
 *	routes move, at most HANDOVER_RING nodes    ring of all nodes
 *	routes move, more nodes; or a drain lasts   ring of the drained ones; the others hand to the first of it after them
 *
 * The ring is in the order of names, so nodes need not agree on anything. Nothing travels in it for ever: who is the
 * first to know nothing writes into the TTL (hop limit) how many nodes are left to ask; IPVS counts it down with each
 * tunnel. Routers decrement only the outer header's, which IPVS copies from the inner one: therefore the numbers begin
 * above HANDOVER_TTL, enough for any fabric.
 *
 *	first    sets HANDOVER_TTL + left
 *	others   TTL > HANDOVER_TTL: hand on
 *	last     TTL = HANDOVER_TTL: while routes move, drop it. It may have taken a wrong turn; sent again it goes
 *	         where it belongs. Else it is reset
 *
 * Routes move from the beginning of a node's drain until HANDOVER_LINGER_MS after its wait, and as long after its end.
 * Pure.
 */
#ifndef AGENT_PLAN_HANDOVER_H
#define AGENT_PLAN_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/addr.h"

#define HANDOVER_LINGER_MS 60000
#define HANDOVER_NEVER     UINT64_MAX
#define HANDOVER_DRAINED   64 /* more than so many drained at a time: the rest is not asked */
#define HANDOVER_RING      16
#define HANDOVER_TTL       65

struct handover;

struct handover *handover_new(void); /* aborts when memory ends */
void handover_free(struct handover *h);

/* What is known of a node now; ip4: where its tunnel ends, AF_UNSPEC = nowhere. wait_ms: between the beginning of a
 * drain and its last change of routes. */
void handover_node(struct handover *h, const char *name, bool drained, const struct weft_addr *ip4,
                   uint64_t wait_ms, uint64_t now);

/* Forget those whose time is over. */
void handover_turn(struct handover *h, uint64_t now);
uint64_t handover_deadline(const struct handover *h);
bool handover_moves(const struct handover *h, uint64_t now); /* routes do */

struct handover_member {
	const char *name;
	struct weft_addr ip4;
};

struct handover_targets {
	struct weft_addr next; /* AF_UNSPEC = nobody can be asked */
	uint8_t left;          /* nodes to be asked, the next one included */
	bool drop;             /* the last one drops what it does not know */
};

/* all: every node with a tunnel, in any order, ourselves included or not; looked at while routes move, unless it
 * is longer than HANDOVER_RING. */
struct handover_targets handover_targets(const struct handover *h, const char *self,
                                         const struct handover_member *all, size_t n, uint64_t now);

#endif
