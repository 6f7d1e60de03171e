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

#endif
