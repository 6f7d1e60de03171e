// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weftd: one event loop that joins the modules.
 *
 *	source --event--> cluster --dirty keys--+
 *	ipam files --inotify--> pods, holdings --+--> agent_wake() --> reconcile.c: plan per key, want, apply
 *	kernel --netlink--> links, fib, ... -----+
 *	source --event--> services --dirty keys--> services.c: IPVS, nftables, VIPs, announcements
 *	BIRD --control socket--> bird_apply
 *	Prometheus --HTTP--> metrics.c, metrics_node.c, metrics_bird.c
 *	weftctl, weft-cni --socket--> views.c, status.c, views_services.c, trace.c
 *
 * Nothing is planned before the source has delivered everything once. A wake coalesces whatever happened in
 * one turn of the loop. Four things are periodic: the audit of IPVS, which tells of no change; with Kubernetes
 * the note on disk of how old the state is; while Prometheus scrapes, a look at BIRD's sessions; and where a
 * BIRD before 2.14 has peers without BFD, one at their hold timers. Other timers run while something is tried again.
 */
#ifndef AGENT_DAEMON_AGENT_H
#define AGENT_DAEMON_AGENT_H

#include <stdbool.h>
#include <uv.h>

#include "weft/source.h"

#include "agent/apply/bird.h"
#include "agent/apply/fib.h"
#include "agent/apply/ipvs.h"
#include "agent/apply/link.h"
#include "agent/apply/nft.h"
#include "agent/apply/routers.h"
#include "agent/apply/sysctl.h"
#include "agent/apply/tunnel.h"
#include "agent/config/config.h"
#include "agent/daemon/counters.h"
#include "agent/daemon/draining.h"
#include "agent/daemon/announce.h"
#include "agent/daemon/hold_watch.h"
#include "agent/daemon/holdings.h"
#include "agent/daemon/metrics.h"
#include "agent/daemon/metrics_bird.h"
#include "agent/daemon/pods.h"
#include "agent/daemon/services.h"
#include "agent/daemon/views_services.h"
#include "agent/kernel/monitor.h"
#include "agent/kernel/netlink.h"
#include "agent/plan/bgp.h"
#include "agent/plan/routes.h"
#include "agent/plan/tunnels.h"
#include "agent/plan/wanted.h"
#include "agent/serve/health.h"
#include "agent/serve/server.h"
#include "agent/state/cluster.h"
#include "agent/state/services.h"

#define AGENT_LINKS_MAX 256 /* underlay prefixes that planning looks at */

/* What the conflist says that can change. */
struct agent_conflist {
	bool v4, v6, portmap, bandwidth;
	uint32_t mtu;
};

struct agent {
	struct weft_config cfg;
	uv_loop_t *loop;
	uint64_t started; /* uv_hrtime() */

	struct weft_source *source;
	struct cluster *cluster;
	struct services *services;
	struct weft_ipam *ipam;
	struct pods *pods;
	struct holdings *holdings;

	struct wanted *wanted;
	struct announcer *announcer;
	struct tunnels_peers *tunnel_peers;
	struct tunnels_plan tunnels_plan;

	struct netlink *nl;
	struct monitor *monitor;
	struct links *links;
	struct fib *fib;
	struct tunnel *tunnel;
	struct nft *nft;
	struct sysctl *sysctl;
	struct ipvs *ipvs;
	struct netlink *conntrack;
	struct health *health;
	struct serving *serving;
	struct services_views services_views;
	struct controller *controller; /* NULL without the role */
	struct bird_apply *bird;
	struct routers routers; /* for BGPPeers that name no address */
	bool follows_routers;   /* there are such BGPPeers */
	struct draining *draining;
	struct handover *handover;
	bool hands_over; /* some node is drained: IPVS takes up connections in their middle */
	bool cordon_drains, tunnels_wanted; /* as they were when all nodes were looked at */
	bool told_drain;                    /* others were told by our Node's condition: */
	unsigned told_reasons;
	struct serve_server *server;
	struct agent_counters counters;
	struct metrics_bird *metrics_bird;
	struct hold_watch *hold_watch;
	struct metrics *metrics;

	/* What planning sees of this node; env.links points to underlay. */
	struct routes_env env;
	struct routes_link underlay[AGENT_LINKS_MAX];
	uint32_t underlay_mtu;

	/* Which parts the next reconcile looks at, besides the cluster's dirty keys. */
	bool underlay_dirty, tunnels_dirty, holdings_dirty, bgp_dirty, services_dirty, adverts_dirty, resync;
	uint64_t adverts_told;          /* the version of the classes in the model that BIRD was given last */
	bool swept;                     /* the first complete plan is in the kernel, leftovers are gone */
	bool sweep_waits;               /* they stay for now, and the log says so */
	bool ready;                     /* the conflist is written */
	struct agent_conflist conflist; /* as it was written */
	uint64_t ready_retry_at;        /* uv_now(): writing it failed; 0 = it didn't */
	bool no_self;                   /* our Node object is missing, and the log says so */
	char ready_why[256];            /* what readiness waits for */
	char sysctl_fault[WEFT_ERR_TEXT], nft_fault[WEFT_ERR_TEXT];
	char address_fault[2][WEFT_ERR_TEXT]; /* why a tunnel has no address: v4, v6 */
	char repair[WEFT_ERR_TEXT];           /* why kernel work is being tried again, "" = it isn't */

	bool ipvs_read;           /* once: what in IPVS is ours is known since */
	bool ipvs_ready;          /* its settings are made */
	uint64_t audit_at;        /* uv_now(): when IPVS is read again; 0 = not planned */
	uint64_t health_retry_at; /* its port could not be bound; 0 = it could */
	char health_fault[WEFT_ERR_TEXT];
	bool firewall_dirty;          /* somebody changed nftables since input_drop was found out */
	char input_drop[256];         /* a foreign chain that drops what comes in (H11) */
	char legacy_drop[256];        /* the same of iptables-legacy, as it was read last */
	uint64_t services_applied_ms; /* Unix time of the last turn that left nothing waiting */

	uv_poll_t monitor_poll, nft_poll;
	uv_timer_t wake, deadline, farewell;
	uv_signal_t sigterm, sigint;
	int lock_fd;
	bool stopping;
};

/* Everything in order; on failure what was begun is undone by agent_close(). */
int agent_open(struct agent *a, const struct weft_config *cfg, uv_loop_t *loop, struct weft_err *err);

/* Leaves the dataplane as it is. Run the loop once more afterwards. */
void agent_close(struct agent *a);

/* Reconcile before the loop sleeps again. Cheap, callable from anywhere on the loop. */
void agent_wake(struct agent *a);

/* reconcile.c */
void agent_reconcile(struct agent *a);
void agent_want_table(struct agent *a); /* the nftables table's shape may be another */

/* bgp.c */
void agent_plan_bgp(struct agent *a);
void agent_follow_bird(struct agent *a);    /* announce what its configuration has come to know */
void agent_follow_classes(struct agent *a); /* sets of BGPAdvertisements came or went: plan anew */
void agent_follow_deleted(
        struct agent *a); /* BGPAdvertisements, once nothing is announced by them. After that */
/* What BIRD is to do now. Free with bgp_model_free(). */
void agent_bgp_model(struct agent *a, struct bgp_model *out);

/* kernel.c: opening, following and repairing kernel state. */
int agent_kernel_open(struct agent *a, struct weft_err *err);
void agent_kernel_close(struct agent *a);
int agent_kernel_resync(struct agent *a, struct weft_err *err);
void agent_underlay_refresh(struct agent *a);
/* Follow the routers on our links as long as there is a BGPPeer that names no address. */
void agent_follow_routers(struct agent *a);
int agent_flush_bird_routes(struct agent *a, size_t *removed, struct weft_err *err);

/* agent_handover.c: what feeds agent/plan/handover, and what others learn of our own drain. */
void agent_handover_node(struct agent *a, const char *name); /* a Node changed, or is gone */
void agent_handover_config(struct agent *a);                 /* BGPConfig or the pools changed */
void agent_handover_tell(struct agent *a);                   /* after draining_turn() */
void agent_handover_plan(struct agent *a);
bool agent_handover_ahead(struct agent *a); /* would connections be handed over, as the Nodes are now? */

/* sysctls.c */
void agent_want_sysctls(struct agent *a);

/* serve_services.c: what Services need of the daemon besides planning. */
int agent_services_open(struct agent *a, struct weft_err *err);
void agent_services_close(struct agent *a);
bool agent_services_event(struct agent *a, const struct weft_event *ev); /* true: taken */
void agent_services_ready(struct agent *a); /* IPVS settings, audit, health listener: what is due */
uint64_t agent_services_deadline(const struct agent *a);
const char *agent_input_drop(struct agent *a); /* "" = none */
const char *agent_legacy_drop(struct agent *a);

/* metrics_node.c: what Prometheus scrapes. */
int agent_metrics_open(struct agent *a, struct weft_err *err);
void agent_metrics_close(struct agent *a);

/* ready.c: writes the conflist once pods can work. */
void agent_check_ready(struct agent *a);

/* views.c: handlers of weftctl and weft-cni. */
int agent_views_register(struct agent *a);

#endif
