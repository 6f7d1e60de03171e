// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The routers on this node's links, for BGPPeers that name an interface or the default gateway instead of an
 * address: who has said by IPv6 neighbour discovery that it is a router (a router advertisement is enough, also
 * where the kernel takes no routes from it), and the gateways of the default routes that are somebody else's.
 *
 * Neighbours: a router that was seen stays until its device goes down or another one is seen there. An entry of the
 * neighbour table that nobody used for a while is no reason to end a session.
 *
 * Gateways: of each family, every next hop of every default route in table main with the best metric. BIRD's default
 * routes count as none, whatever their metric: what a peer says is no reason to be its peer, or to be it no more.
 *
 * The kernel is read when an event says that something may have changed, each half for itself: default routes change
 * rarely, and with them stand BIRD's routes, thousands perhaps; neighbours change their state all the time, and are few.
 */
#ifndef AGENT_APPLY_ROUTERS_H
#define AGENT_APPLY_ROUTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/apply/link.h"
#include "agent/plan/bgp.h"

#define ROUTERS_MAX \
	64 /* of each half; who floods a link with router advertisements takes no gateway's place */

struct routers_half {
	struct bgp_neighbour seen[ROUTERS_MAX]; /* as they came */
	size_t n;
	bool due; /* to be read by the next routers_look() */
};

struct routers {
	struct bgp_neighbour seen[2 * ROUTERS_MAX]; /* by device, then address; each once */
	size_t n;
	struct routers_half neighbours, gateways;
};

/* Everything is due: at the start, and when events were lost. */
void routers_resync(struct routers *r);

/* After links_on_event(). Needs the monitor to follow routers. Reads nothing. */
void routers_on_event(struct routers *r, const struct links *links, const struct monitor_event *ev);

/*
 * Read what is due. Returns 1 when `seen` has changed, 0 when not, a negative errno when the kernel could not be asked:
 * then what was seen stands, and it is due still.
 */
int routers_look(struct routers *r, struct netlink *nl, const struct links *links, struct weft_err *err);

#endif
