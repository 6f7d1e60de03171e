// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To whom packets go whose connection began on a node that is being drained.
 *
 * When the routers take a node out of the next hops of a VIP, they move its connections to other nodes, which know
 * nothing of them and would reset them. Each node therefore knows which nodes are drained, and hands a TCP segment
 * that opens nothing and belongs to no connection it knows on to them, by a tunnel: the drained node has the
 * connection, and answers. Of several drained nodes (in the order of their names) the first one is asked; what it
 * does not know itself goes to the next, and the last one resets: nothing travels in a circle.
 *
 *	not drained         segments from outside -> the first
 *	drained             segments from outside -> the first of the others; from a tunnel -> the next after us
 *
 * While routers move routes about they may for a moment send a connection's packets to nodes that never had it. So the
 * last one does not reset what it does not know until its own drain has settled, but drops it: sent again, it goes where
 * it belongs.
 *
 * A node stays in the list for HANDOVER_LINGER_MS after its drain: routers follow late. Pure.
 */
#ifndef AGENT_PLAN_HANDOVER_H
#define AGENT_PLAN_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/addr.h"

#define HANDOVER_LINGER_MS 60000
#define HANDOVER_NEVER     UINT64_MAX
#define HANDOVER_NODES     64 /* more than so many drained at a time: the rest is not asked */

struct handover;

struct handover *handover_new(void); /* aborts when memory ends */
void handover_free(struct handover *h);

/* What is known of a node now; ip4: where its tunnel ends, AF_UNSPEC = nowhere. */
void handover_node(struct handover *h, const char *name, bool drained, const struct weft_addr *ip4,
                   uint64_t now);

/* Forget those whose time is over. */
void handover_turn(struct handover *h, uint64_t now);
uint64_t handover_deadline(const struct handover *h);

struct handover_targets {
	struct weft_addr first, next; /* AF_UNSPEC = none */
	bool last;                    /* we are drained, and nobody comes after us */
};
struct handover_targets handover_targets(const struct handover *h, const char *self);

#endif
