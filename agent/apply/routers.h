// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The routers on this node's links, for BGPPeers that name an interface or the default gateway instead of an
 * address: who has said by IPv6 neighbour discovery that it is a router (a router advertisement is enough, also
 * where the kernel takes no routes from it), and the gateway of the default route that is somebody else's.
 *
 * The owner calls routers_look() from time to time while somebody needs it. A router that was seen stays until its
 * device goes down or another one is seen there: an entry of the neighbour table that nobody used for a while is no
 * reason to end a session.
 */
#ifndef AGENT_APPLY_ROUTERS_H
#define AGENT_APPLY_ROUTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/apply/link.h"
#include "agent/plan/bgp.h"

#define ROUTERS_MAX 64

struct routers {
	struct bgp_neighbour seen[ROUTERS_MAX]; /* by device, then address */
	size_t n;
};

/* Returns 1 when `seen` has changed, 0 when not, a negative errno when the kernel could not be asked. */
int routers_look(struct routers *r, struct netlink *nl, const struct links *links, struct weft_err *err);

#endif
