// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftd cleanup`: take back everything that weft made on this node, and nothing else.
 */
#ifndef AGENT_DAEMON_CLEANUP_H
#define AGENT_DAEMON_CLEANUP_H

#include "weft/err.h"

#include "agent/config/config.h"
#include "agent/kernel/netlink.h"

#define WEFT_CONFLIST "10-weft.conflist"

/*
 * Conflist first, so that no pod starts any more; then routes, tunnels, pod devices, nftables, kernel
 * settings, BIRD's configuration, state. Goes on after a failure and returns the first one; each is logged.
 * What was removed is printed, a line each. -EBUSY while weftd runs. BIRD's routes go when no BIRD runs, as
 * after bird.staleRoutes.
 */
int cleanup_run(const struct weft_config *cfg, struct weft_err *err);

/* The IPVS services, as long as our routes are there to tell which are ours. */
int cleanup_ipvs(const struct weft_config *cfg, struct netlink *nl, size_t *removed, struct weft_err *err);

#endif
