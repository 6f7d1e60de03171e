// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ipam.mode: node`: the controller manager gives each Node its CIDRs (spec.podCIDRs); nobody claims blocks.
 *
 * A source around another one. It tells what that one tells, and for all behind it to stay as they are:
 *
 *	ipam.clusterCIDRs   -->  IPPools cluster-CIDR, of which no block can be claimed
 *	Node.spec.podCIDRs  -->  IPBlocks of that node
 *
 * IPPools for pods and IPBlocks of the datastore are not told (one warning); IPPools of LoadBalancer IPs are.
 *
 * Of a podCIDR that is larger than a block can be (/20, /116; the usual IPv6 one is /64) the first addresses
 * are used. Two Nodes with the same podCIDR: the first has it, the other when that one is gone.
 *
 * Our own Node may vanish (to be registered anew) while pods run here: its blocks stay until another Node has
 * the podCIDR, or ours has come back with another one.
 */
#ifndef WEFT_SOURCE_PODCIDRS_H
#define WEFT_SOURCE_PODCIDRS_H

#include <uv.h>

#include "weft/object.h"
#include "weft/source.h"

/* Lengths that a podCIDR may have; clusterCIDRs are no longer. */
#define WEFT_PODCIDR_LONGEST4 28
#define WEFT_PODCIDR_LONGEST6 124

struct weft_podcidrs_options {
	uv_loop_t *loop;
	struct weft_source *source; /* ours, with the success of weft_podcidrs_new() */
	const char *node;
	const struct weft_prefix *clusters; /* copied; they do not overlap */
	size_t n_clusters;
	enum weft_tunnel_mode tunnel;
};

struct weft_source *weft_podcidrs_new(const struct weft_podcidrs_options *o);

#endif
