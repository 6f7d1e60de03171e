// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which tunnel devices this node needs, what they look like, and who may send to them.
 *
 * Both tunnels (weft.ipip for v4, weft.sit for v6) travel in IPv4 between the nodes' InternalIPs and cost 20
 * bytes. Each needs one address from a block of our own: without one, rp_filter=2 acts as strict on the
 * device. Encapsulated packets are accepted from known nodes only; the set follows node events one by one.
 */
#ifndef AGENT_PLAN_TUNNELS_H
#define AGENT_PLAN_TUNNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/state/cluster.h"

#define TUNNELS_OVERHEAD 20 /* one IPv4 header without options */

struct tunnels_plan {
	bool ipip, sit;              /* the device is needed */
	struct weft_addr local;      /* outer source: our v4 InternalIP; AF_UNSPEC = no device can be made */
	uint32_t mtu;                /* of both devices: underlay - 20, at least 1280 for sit (RFC 8200, 5) */
	bool want_addr4, want_addr6; /* take an address for the device from one of our blocks */
	bool have_block4, have_block6; /* there is such a block */
	char reason[256];              /* why a tunnel that a pool asks for can't be, "" = it can */
};

void tunnels_plan(const struct cluster *c, uint32_t underlay_mtu, struct tunnels_plan *out);

/* The set of IPv4 addresses that may send us encapsulated packets, as deltas. */
struct tunnels_peers_ops {
	void (*add)(void *ctx, const struct weft_addr *ip4);
	void (*del)(void *ctx, const struct weft_addr *ip4);
	void *ctx;
};

struct tunnels_peers;

struct tunnels_peers *tunnels_peers_new(const struct tunnels_peers_ops *ops);
void tunnels_peers_free(struct tunnels_peers *t);

/* A node was added, re-addressed or removed (a dirty node key): bring the set up to date. Nodes that share an
 * address (a mistake, or a replacement in progress) keep it until the last of them lets go. */
void tunnels_peers_update(struct tunnels_peers *t, const struct cluster *c, const char *node);

size_t tunnels_peers_count(const struct tunnels_peers *t);

#endif
