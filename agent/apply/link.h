// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The devices and addresses of this node, mirrored from the kernel: read-only. Tunnels that weft makes are
 * in tunnel.h.
 *
 * Order: links_on_event() sees an event before everybody else does, links_resync() runs before every other
 * resync; so all others find the mirror true.
 */
#ifndef WEFT_APPLY_LINK_H
#define WEFT_APPLY_LINK_H

#include <stddef.h>

#include "agent/kernel/link_msg.h"
#include "agent/kernel/monitor.h"
#include "agent/kernel/netlink.h"

struct links;

struct links *links_new(void); /* NULL: no memory */
void links_free(struct links *l);

/* Replace the mirror by what the kernel has. On failure the old one stays. */
int links_resync(struct links *l, struct netlink *nl, struct weft_err *err);

/* True when the event changed the mirror (other events, and repetitions, do not). */
bool links_on_event(struct links *l, const struct monitor_event *ev);

/* NULL = no such device. Valid until the next event or resync. */
const struct link_info *links_by_name(const struct links *l, const char *name);
const struct link_info *links_by_index(const struct links *l, uint32_t index);

/* Does a device of this node have this address? On which device (index)? 0 = none. */
uint32_t links_has_addr(const struct links *l, const struct weft_addr *addr);

/* The addresses of one device. fn returns false to stop. */
typedef bool (*link_addr_fn)(void *ctx, const struct addr_info *addr);
void links_addrs(const struct links *l, uint32_t index, link_addr_fn fn, void *ctx);

/* A network that this node is connected to: the underlay. */
struct link_net {
	struct weft_prefix net; /* addresses in here are on-link */
	struct weft_addr addr;  /* our address in it */
	char dev[IFNAMSIZ];
	uint32_t mtu;
	bool down; /* the device is down or the address tentative: nothing is sent from it just now */
};

/*
 * Calls fn for each connected network: not those of lo, of weft's own devices, of link-local addresses. fn
 * returns false to stop.
 */
typedef bool (*link_net_fn)(void *ctx, const struct link_net *net);
void links_underlay(const struct links *l, link_net_fn fn, void *ctx);

/* The smallest MTU of the underlay devices that are up and have a link-local address; 0 = there is none. */
uint32_t links_unnumbered_mtu(const struct links *l);

#endif
