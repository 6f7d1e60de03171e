// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The marks by which weft knows what is its own, and the numbers that operators see in `ip route`.
 * docs/architecture.md has the ownership matrix these belong to.
 */
#ifndef WEFT_MARKS_H
#define WEFT_MARKS_H

/* rtnetlink protocol of every route and rule that weft makes: "weft" in /etc/iproute2/rt_protos.d. */
#define WEFT_RTPROT 119

/* The kernel table that BIRD learns: a prefix here is advertised; the metric is the class of policy. */
#define WEFT_TABLE_ADVERT     179
#define WEFT_METRIC_POD_BLOCK 100
#define WEFT_METRIC_LB        200 /* LoadBalancer IPs */
#define WEFT_METRIC_EXTERNAL  201 /* external IPs, by a BGPAdvertisement */
#define WEFT_METRIC_CLUSTER \
	202 /* service CIDRs, or single ClusterIPs where none is known; by a BGPAdvertisement */

/*
 * Metrics in table main, lowest wins. BIRD's stand between ours, so that the fabric's withdrawal alone moves
 * traffic to the fallback (architecture.md, "Failover is a metric").
 */
#define WEFT_METRIC_DIRECT    16   /* the node is on-link */
#define WEFT_METRIC_TUNNEL    16   /* pool mode Always, or CrossSubnet off-link */
#define WEFT_METRIC_BIRD      32   /* written by BIRD, protocol bird */
#define WEFT_METRIC_FALLBACK  4096 /* pool mode Fallback */
#define WEFT_METRIC_OWN_BLOCK 8192 /* blackhole for our own blocks: no loops for unused addresses */
#define WEFT_METRIC_AGGREGATE 8193 /* the same for aggregates of VIPs */

/* Devices: whatever begins with the prefix is ours. IFNAMSIZ leaves 11 characters after "weft". */
#define WEFT_DEV_PREFIX "weft"
#define WEFT_DEV_IPIP   "weft.ipip"
#define WEFT_DEV_SIT    "weft.sit"

#define WEFT_NFT_TABLE "weft"

/* Firewall marks of IPVS services: 0x57000001 to 0x57ffffff are ours ("W"). */
#define WEFT_FWMARK_BASE 0x57000000u
#define WEFT_FWMARK_MASK 0xff000000u

#endif
