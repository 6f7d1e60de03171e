// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Services on this node: from dirty Services to IPVS, nftables, routes, announcements and health listeners,
 * in an order that no packet can fall through.
 *
 *	source --event--> agent/state/services --dirty keys--> serving_plan(): agent/plan/services, claims
 *	    -> wants in nft, ipvs, health;  VIPs whose route or announcement may follow
 *	serving_withdraw(), nft_apply(), then serving_apply(): IPVS -> what nft no longer needs ->
 *	    local routes -> announcements
 *
 * A VIP gets its local route when nftables and IPVS hold its services, and is announced when that route is
 * in the kernel and IPVS has been read back; a service CIDR likewise, when all Services are there. What goes
 * away goes in reverse. Nothing here walks all Services but a change that all of them depend on (our
 * addresses, zone, service CIDRs, BGPAdvertisements).
 *
 * Two Services that claim the same address, protocol and port: the first one has it, the other is told, and
 * gets it when the first lets go.
 */
#ifndef AGENT_DAEMON_SERVICES_H
#define AGENT_DAEMON_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/apply/fib.h"
#include "agent/apply/ipvs.h"
#include "agent/apply/link.h"
#include "agent/apply/nft.h"
#include "agent/config/config.h"
#include "agent/daemon/announce.h"
#include "agent/plan/handover.h"
#include "agent/plan/services.h"
#include "agent/plan/wanted.h"
#include "agent/serve/health.h"
#include "agent/state/cluster.h"
#include "agent/state/services.h"

struct serving;

struct serving_options { /* all borrowed, and outlive it */
	const struct weft_config *cfg;
	const struct cluster *cluster;
	struct services *services;
	const struct links *links;
	struct wanted *wanted;
	struct announcer *announcer;
	struct fib *fib;
	struct nft *nft;
	struct ipvs *ipvs;
	struct netlink *conntrack; /* NETLINK_NETFILTER */
	struct health *health;
	void (*on_problems)(void *ctx, const char *service); /* its problems changed; may be NULL */
	void *ctx;
};

int serving_new(const struct serving_options *o, struct serving **out, struct weft_err *err);
void serving_free(struct serving *s); /* leaves the kernel as it is */

/* Something that all Services depend on may have changed: our Node, addresses, ServiceCIDRs,
 * BGPAdvertisements. Costs nothing if it did not. ip4, ip6: our InternalIPs. */
void serving_refresh(struct serving *s, const struct weft_addr *ip4, const struct weft_addr *ip6);

/* The node is drained: no VIP and no service CIDR is announced. Takes effect with serving_refresh(). */
void serving_drain(struct serving *s, bool drained);

/* Who gets what belongs to no connection of ours. True: it is other than before, the table's shape too. */
bool serving_handover(struct serving *s, const struct handover_targets *t);
/* After IPVS was read: what was handed over goes on, in a former life's ways too, until nothing of it is left. */
void serving_handover_audit(struct serving *s);

/* A Node came, went or changed its addresses: VIPs must not be one of them (H4). */
void serving_node_changed(struct serving *s, const char *node);

/* A Namespace came, went or has other labels: BGPAdvertisements may select by them. */
void serving_namespace_changed(struct serving *s, const char *ns);

/* After announcer_known(). */
void serving_filters_known(struct serving *s);

/* Fill in what the nftables table has to know of Services. */
void serving_shape(const struct serving *s, struct nft_shape *shape);

/* Plan what is dirty. */
void serving_plan(struct serving *s);

/* Write what is to be withdrawn, before anything else changes: nothing else may be written before this
 * returns 0. As fib_apply(). */
int serving_withdraw(struct serving *s, uint64_t now, struct weft_err *err);

/* After nft_apply(). 0: done; 1: call again soon; negative: a socket failed, read everything back. */
int serving_apply(struct serving *s, uint64_t now, struct weft_err *err);
/* Is something of the plan not in the kernel yet that will be? Left-overs of an earlier life stay as long. */
bool serving_waits(const struct serving *s);

/* After fib_sweep(): left-overs are withdrawn before anything else of them goes. */
void serving_sweep(struct serving *s);

/* For ipvs_new(): is the IPVS service ours? ctx points to the pointer to the module, which may be NULL still.
 */
bool serving_owns(void *ctx, const struct svc_virtual_key *key);

/* When what is waiting longest was queued (uv_hrtime() / 10^6), 0 = nothing waits. S26 */
uint64_t serving_oldest_pending(const struct serving *s);

/* --- for views --- */

/* Every Service that has a problem. */
void serving_each_problem(const struct serving *s,
                          void (*fn)(void *ctx, const char *service, const char *text), void *ctx);

/* The problems of one Service, joined by "; " as far as they fit; "" = none. */
void serving_problems_of(const struct serving *s, const char *key, char *text, size_t size);

/* Plan one Service now, as it is, without doing anything. Free with svc_plan_free(). False: no such Service.
 */
bool serving_preview(struct serving *s, const char *key, struct svc_plan *out);

/* Tell this announcer of what the VIP of a Service would be announced as, of the service CIDRs. */
size_t serving_preview_vip(struct serving *s, const struct weft_meta *service, const struct svc_vip *vip,
                           struct announcer *to, struct weft_prefix said[ADVERT_CHOICES]);
void serving_preview_cidrs(struct serving *s, struct announcer *to,
                           void (*said)(void *ctx, const struct weft_prefix *cidr), void *ctx);

/* Why this Service does not have the key though it is planned: the Service that has it; NULL = it has it. */
const char *serving_taken_by(const struct serving *s, const char *service, const struct svc_virtual_key *key);

/* Is the VIP's route in the kernel; is it announced? "installed", "pending", ...; "covered" = by a service
 * CIDR. */
const char *serving_route_state(const struct serving *s, const struct weft_addr *vip);
bool serving_announced(const struct serving *s, const struct weft_addr *vip);

/* As what it is, or is to be, announced: its first few prefixes. */
#define SERVING_ANNOUNCEMENTS 8
struct serving_announcement {
	struct weft_prefix prefix;
	const struct advert_class *class; /* where it belongs */
	uint32_t metric;                  /* in table 179; 0 = it is not announced yet */
	uint32_t weight;                  /* 0 = none */
	bool waits;                       /* for BIRD to know the class */
};
size_t serving_announcements(const struct serving *s, const struct weft_addr *vip,
                             struct serving_announcement out[SERVING_ANNOUNCEMENTS]);
/* Why the Service's VIP is not aggregated though a BGPAdvertisement asks for it, a constant sentence; or NULL. */
const char *serving_single(const struct serving *s, const char *service, const struct weft_addr *vip);

struct serving_stats {
	size_t services, vips, announced, waiting, problems;
	size_t no_local
	        [2]; /* Services that have endpoints, but none here for their internal, external policy Local */
};
struct serving_stats serving_stats(const struct serving *s);

#endif
