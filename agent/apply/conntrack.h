// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stale UDP flows (S27): a client that keeps its source port would stay with an endpoint that is gone.
 *
 * One dump of the UDP entries in the kernel's connection tracking for any number of services, and one message
 * per entry that goes. TCP is never touched. IPVS changes only the reply tuple (H2), so a flow belongs to a
 * service when its original destination is the service's, and its endpoint is the reply's source.
 *
 * Since Linux 5.9 the kernel does this itself for a destination that is removed while expire_nodest_conn is
 * 1, soon but not at once; what is left for us are drained destinations, other kernels, and flows from before
 * the service was there.
 */
#ifndef WEFT_APPLY_CONNTRACK_H
#define WEFT_APPLY_CONNTRACK_H

#include <stddef.h>

#include "agent/kernel/netlink.h"
#include "agent/plan/services.h"

struct conntrack_service {
	struct weft_addr addr; /* original destination */
	uint16_t port;
	const struct svc_dest *serving; /* endpoints whose flows stay; none: the service is left alone */
	size_t n_serving;
};

/* nl is a NETLINK_NETFILTER socket (netlink_open_protocol). *deleted may be NULL. */
int conntrack_flush_udp(struct netlink *nl, const struct conntrack_service *services, size_t n,
                        size_t *deleted, struct weft_err *err);

#endif
