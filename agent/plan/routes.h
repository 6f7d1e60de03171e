// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A block of addresses -> the kernel routes this node wants for it. Pure: state and environment in, routes
 * out.
 *
 *   own block                     blackhole, metric 8192, table main; and blackhole, metric 100, table 179
 * (advert) remote, node on-link          via NODE dev DEV, metric 16           (modes Never, CrossSubnet,
 * Fallback) remote, Always                tunnel, metric 16, on-link or not remote, CrossSubnet, off-link
 * tunnel, metric 16 remote, Fallback, off-link    tunnel, metric 4096: under BIRD's 32, so that losing the
 * fabric's route is enough remote, Never, off-link       none: the fabric's job
 *
 * The tunnel is weft.ipip (via NODEIP4) for v4 and weft.sit (via ::NODEIP4, the v4-compatible form by which
 * an NBMA sit device knows its remote end) for v6. An on-link node gets no fallback beside its direct route:
 * both would use the same link.
 */
#ifndef AGENT_PLAN_ROUTES_H
#define AGENT_PLAN_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/state/cluster.h"
#include "weft/route.h"

/* A prefix that is connected to an underlay device: an address inside it is on-link. */
struct routes_link {
	char dev[IFNAMSIZ];
	struct weft_prefix prefix;
	struct weft_addr addr; /* ours in it */
	bool down;             /* nothing is sent from it just now: no address is on-link there */
};

/* What planning needs to know about this node. Borrowed for the call. */
struct routes_env {
	struct weft_addr ip4, ip6; /* our InternalIPs; AF_UNSPEC = none */
	const struct routes_link *links;
	size_t n_links;
	bool ipip_ready, sit_ready;        /* the tunnel device exists */
	struct weft_addr tunnel4, tunnel6; /* its address, `src` of its routes; AF_UNSPEC = none yet */
	bool advertise;                    /* put own blocks into table 179 */
};

#define ROUTES_MAX 2

struct routes_plan {
	struct weft_route routes[ROUTES_MAX];
	size_t n;
	char reason[CLUSTER_TEXT]; /* "" = all is served; else one sentence: what isn't, and why */
};

/* The routes for the block with this CIDR; none, without a reason, when there is no such block. */
void routes_plan_block(const struct cluster *c, const struct routes_env *env, const struct weft_prefix *cidr,
                       struct routes_plan *out);

/* The route to a local pod's address: a.b.c.d/32 dev DEV scope link, or ::1/128 dev DEV metric 1. */
void routes_pod(const struct weft_addr *addr, const char *dev, struct weft_route *out);

/* The link on which an address is connected (longest prefix), NULL = off-link. */
const struct routes_link *routes_on_link(const struct routes_env *env, const struct weft_addr *addr);

#endif
