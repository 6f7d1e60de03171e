// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside of agent/daemon/services*.c:
 *
 *	services.c       Services: planning, claims, wants; the order of writing
 *	services_claims.c who has an address, protocol and port
 *	services_env.c   what planning sees of this node
 *	services_vips.c  VIPs: routes and announcements, once the dataplane holds them
 *	services_announce.c what a VIP is announced as
 *	services_shown.c what views are told
 *	services_flows.c UDP flows to endpoints that are gone
 */
#ifndef AGENT_DAEMON_SERVICES_PRIVATE_H
#define AGENT_DAEMON_SERVICES_PRIVATE_H

#include "agent/daemon/services.h"
#include "agent/plan/claims.h"
#include "agent/plan/fwmarks.h"
#include "weft/keyhash.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

#define SERVING_CIDRS   (2 * WEFT_CONFIG_CIDRS)
#define SERVED_PROBLEMS 64 /* of one Service: others that have its keys are not named beyond that */

/* Where UDP packets of a Service go, and who serves them: a part of the dests beside it. */
struct known_flow {
	struct weft_addr addr;
	uint16_t port;
	size_t first, n;
	bool due; /* to be flushed of those whom none of them serves */
};

/* A Service and what is wanted for it now. */
struct served {
	UT_hash_handle hh;
	char *key;
	struct svc_virtual_key *virtuals;
	size_t n_virtuals;
	struct svc_element *elements;
	size_t n_elements;
	struct svc_virtual_key *claimed; /* what it stands for, held or waited for */
	size_t n_claimed;
	struct weft_addr *vips;
	size_t n_vips;
	char **marks;
	size_t n_marks;
	char (*problems)[SVC_PROBLEM];
	size_t n_problems;
	struct known_flow *flows; /* of the last plan */
	size_t n_flows;
	struct svc_dest *flow_dests;
	struct served *flush_prev, *flush_next; /* in the list of those with flows that are due */
	struct served *prev, *next;             /* in the list of those with problems */
	bool listed, flushes;
	bool no_local[2];
	uint16_t health; /* its healthCheckNodePort, 0 = none */
};

struct vip_user {
	struct served *service;
	enum svc_vip_kind kind;
	bool route, advertise;
	uint32_t weight;
	struct advert_choices choices; /* has a use of each class, advertised or not */
	struct vip_user *next;
};

/* One prefix by which a VIP is announced. */
struct vip_said {
	struct advert_choice choice;
	uint32_t weight;
};

struct vip {
	UT_hash_handle hh;
	struct weft_addr addr;
	struct vip_user *users;
	bool routed;           /* its local route is wanted */
	struct vip_said *said; /* what the announcer was told */
	size_t n_said;
	bool pending; /* in the list of those whose route or announcement may follow */
	bool gated; /* in the list of those that wait for BIRD's filters to be announced as something else */
	struct vip *prev, *next, *gated_prev, *gated_next;
	bool touched; /* in the list of those whose users changed in this plan */
	struct vip *touched_prev, *touched_next;
};

struct released { /* elements that go once IPVS has followed */
	struct svc_element *elements;
	size_t n;
	struct released *next;
};

struct serving {
	struct serving_options o;
	struct keyhash hash;
	struct claims *claims;
	struct fwmarks *marks;
	struct served *services;
	struct served *troubled;
	struct vip *vips, *pending, *gated, *touched;
	struct released *released;
	struct served *flushes;
	bool withdrew;
	size_t n_announced, no_local[2]; /* VIPs; Services (of svc_plan) */
	uint64_t pending_since;          /* ms of uv_hrtime(); 0 = nothing waits */
	struct served *planning;         /* whose marks are asked for just now; NULL = a preview */

	/* services_handover.c */
	struct handover_targets handover;
	uint32_t hand_mark;                        /* 0 = IPVS was not read yet */
	struct weft_addr hand_kept[HANDOVER_RING]; /* they get nothing new; what IPVS knows of goes on */
	size_t n_hand_kept;

	/* services_env.c */
	struct weft_addr ip4, ip6;
	struct weft_addr *node_addrs;
	size_t n_node_addrs;
	struct weft_prefix cidrs[SERVING_CIDRS];
	size_t n_cidrs;
	char zone[WEFT_NAME_MAX + 1];
	bool drained, known;
	struct weft_prefix
	        leaving[SERVING_CIDRS]; /* no service CIDRs any more, their routes are still there */
	size_t n_leaving;
	bool cidr_routes_due, cidr_adverts_due; /* the dataplane does not hold the Services yet */
	char cidr_fault[WEFT_ERR_TEXT];
	bool looked_back, served_before; /* for serving_owns() */
	const struct weft_object **adverts;
	size_t n_adverts;
	struct svc_env env;
	uint8_t adverts_digest[WEFT_DIGEST], pools_digest[WEFT_DIGEST];
};

/* services_handover.c */
void handover_shape(const struct serving *s, struct nft_shape *shape);

/* services.c */
struct served *served_find(const struct serving *s, const char *key);
/* Give back the marks of a former plan that it has not any more. */
void served_drop_marks(struct serving *s, const struct served *v, char **old, size_t n);

/* services_claims.c */
/* Stand for what the plan has, let go of the rest; what another Service holds leaves the plan. */
void claims_settle(struct serving *s, struct served *v, struct svc_plan *p);
bool claims_held(const struct serving *s, const struct served *v, const struct svc_virtual_key *k);
/* Lists of keys are sorted by this. */
int claims_by_key(const void *a, const void *b);
bool claims_listed(const struct svc_virtual_key *list, size_t n, const struct svc_virtual_key *k);

/* services_env.c */
void env_init(struct serving *s);
void env_free(struct serving *s);
bool env_refresh(struct serving *s, const struct weft_addr *ip4, const struct weft_addr *ip6);
/* After env_refresh() said that something changed: announcements end, what the service CIDRs need is due. */
void env_want_cidrs(struct serving *s);
/* Want the local routes that are due: nftables and IPVS hold the Services. True: some were. */
bool env_route_cidrs(struct serving *s);
/* Announce what is due, where the local route is in the kernel. */
void env_announce_cidrs(struct serving *s);
/* What is no service CIDR any more lets go of its route: VIPs that were in it have their own by now. */
void env_leave_cidrs(struct serving *s);
/* The BGPAdvertisements that select this node, as the cluster has them now. */
void env_list_adverts(struct serving *s);
/* Without an address of the node in that family no local route has a source: nobody may be drawn here. */
bool env_can_serve(const struct serving *s, uint8_t family);
bool env_in_cidrs(const struct serving *s, const struct weft_addr *a);
/* Is the route of a service CIDR that it lies in in the kernel? */
bool env_routes(const struct serving *s, const struct weft_addr *a);

/* services_vips.c */
void vips_put(struct serving *s, struct served *service, const struct weft_meta *meta,
              const struct svc_vip *v);
void vips_drop(struct serving *s, struct served *service, const struct weft_addr *addr);
struct vip *vips_find(const struct serving *s, const struct weft_addr *addr);
/* After planning: what one Service let go and another took in the same turn was never gone. */
void vips_settle(struct serving *s);
/* Routes and announcements that may be wanted now; true: some were. */
bool vips_follow(struct serving *s);
/* Does one of them wait for what this turn could not write? */
bool vips_wait(const struct serving *s);
void vips_free(struct serving *s);
struct weft_route vips_route(const struct serving *s, const struct weft_prefix *dst);
/* It waits for the dataplane no more, or begins to. */
void vips_wait_for(struct serving *s, struct vip *v, bool pending);

/* services_announce.c */
void announce_choose(struct serving *s, struct vip_user *u, const struct weft_meta *meta,
                     const struct svc_vip *want);
void announce_forget(struct serving *s, struct vip_user *u);
/* Does the announcer have to be told something else than it was? */
bool announce_differs(const struct serving *s, const struct vip *v);
/* Is it to be announced at all? */
bool announce_wanted(const struct serving *s, const struct vip *v);
/* Tell it. False: not before BIRD's filters know the class. */
bool announce_say(struct serving *s, struct vip *v);
void announce_end(struct serving *s, struct vip *v);
/* BIRD's filters are newer. */
void announce_retry(struct serving *s);

/* services_flows.c */
void flows_collect(struct serving *s, struct served *v, const struct svc_plan *p);
void flows_forget(struct serving *s, struct served *v);
void flows_flush(struct serving *s);

#endif
