// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The one case in which weft removes routes that are not its own: those that a dead BIRD left behind. They
 * would pin traffic to paths that nobody watches; without them the tunnel fallback takes over.
 */
#ifndef WEFT_APPLY_FOREIGN_H
#define WEFT_APPLY_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

#include "agent/kernel/netlink.h"

/* Remove the routes of both families with exactly this protocol, table and metric. Counts them into *removed.
 */
int foreign_routes_flush(struct netlink *nl, uint8_t protocol, uint32_t table, uint32_t metric,
                         size_t *removed, struct weft_err *err);

#endif
