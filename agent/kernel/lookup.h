// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ask the kernel which way a packet would go: `ip route get fibmatch ADDRESS`.
 */
#ifndef WEFT_KERNEL_LOOKUP_H
#define WEFT_KERNEL_LOOKUP_H

#include "agent/kernel/netlink.h"
#include "agent/kernel/route_msg.h"

/* The kernel's choice for a packet of this host, as the route stands in its table (protocol and metric
 * included). -ENETUNREACH, -EHOSTUNREACH, -EINVAL (blackhole) and -EACCES (prohibit) are answers, too: the
 * kernel would refuse to send. */
int lookup_route(struct netlink *nl, const struct weft_addr *dst, struct route_info *out,
                 struct weft_err *err);

/* The same for a packet from src (AF_UNSPEC: any) that comes in by this device (0: it is this host's own).
 * -EXDEV: the kernel would drop it, because it does not expect src on that device. */
struct lookup_packet {
	struct weft_addr src, dst;
	uint32_t iif;
};
int lookup_packet(struct netlink *nl, const struct lookup_packet *packet, struct route_info *out,
                  struct weft_err *err);

#endif
