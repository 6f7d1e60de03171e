// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drains: traffic leaves this node, or one of its peers, before something is done to it. Pure: reasons and the
 * time in, stages out.
 *
 *	a reason begins     -> (notice)      other nodes learn of it first: agent/plan/handover.h
 *	                    -> LAST_RESORT   everything is announced with GRACEFUL_SHUTDOWN (RFC 8326)
 *	the wait is over    -> WITHDRAWN     VIPs are announced no more; pod blocks are: pods here go on
 *	no reason is left   -> (notice)      as it is: others learn first that it ends, too
 *	                    -> NONE          everything is announced as before
 *
 * Of a peer's drain no other node needs to know: it has no notice.
 *
 * The node as a whole has several reasons at a time, a peer one: the command. A stage is only as old as its first
 * reason: more reasons do not prolong the wait. drain_save() is kept over a restart, so that a drained node whose
 * agent starts again stays drained and does not begin to wait anew.
 *
 * Times are milliseconds of the wall clock: the wait is compared with a clock that may jump, so that it lasts
 * at most as long as it was asked for, whatever the clock says.
 */
#ifndef AGENT_PLAN_DRAIN_H
#define AGENT_PLAN_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/plan/bgp.h"
#include "weft/buf.h"
#include "weft/err.h"

enum drain_reason {
	DRAIN_COMMAND = 0x1,    /* weftctl drain */
	DRAIN_ANNOTATION = 0x2, /* WEFT_ANNOTATION_DRAIN */
	DRAIN_CORDON = 0x4,     /* spec.unschedulable, if BGPConfig's drain.onCordon says so */
	DRAIN_EXCLUDED = 0x8,   /* node.kubernetes.io/exclude-from-external-load-balancers */
	DRAIN_AUTOSCALER = 0x10,
	DRAIN_STOPPING = 0x20, /* SIGTERM, with drainOnStop; not kept over a restart */
};

/* Between the node's first reason, or the end of its last, and what routers are told. */
#define DRAIN_NOTICE_MS 1000

#define DRAIN_NEVER    UINT64_MAX
#define DRAIN_WAIT_MAX (UINT64_C(3600) * 1000)
#define DRAIN_PEERS    256 /* drained by name at a time */

struct drain;

struct drain *drain_new(void); /* aborts when memory ends */
void drain_free(struct drain *d);

/* The reasons that a Node object gives. */
unsigned drain_reasons_of(const struct weft_object *node, const struct weft_bgpconfig *cfg);

/* The wait of BGPConfig or its default. */
uint64_t drain_wait_of(const struct weft_bgpconfig *cfg);

/*
 * Of the reasons in `mask` exactly those in `reasons` are there now. wait_ms counts if this is the first one.
 * True: something changed that drain_save() keeps.
 */
bool drain_node(struct drain *d, unsigned mask, unsigned reasons, uint64_t wait_ms, uint64_t now);

/* The command for one peer, by its BGPPeer's name. -ENOSPC, -EINVAL for what can't be a name. 1: changed. */
int drain_peer(struct drain *d, const char *peer, bool on, uint64_t wait_ms, uint64_t now,
               struct weft_err *err);

/* Move on what is due. True: some stage changed. */
bool drain_turn(struct drain *d, uint64_t now);
uint64_t drain_deadline(const struct drain *d); /* of the next stage; DRAIN_NEVER = none */

struct drain_state {
	enum bgp_drain stage;
	unsigned reasons;   /* 0 while the drain ends; a peer's is DRAIN_COMMAND */
	uint64_t since, at; /* when the first reason came; when WITHDRAWN is or was due */
};

struct drain_state drain_state(const struct drain *d);
const char *drain_stage_name(enum bgp_drain stage); /* "none", "last resort", "withdrawn" */
bool drain_begins(const struct drain_state *s);     /* in the notice before the first stage */
bool drain_ends(const struct drain_state *s);       /* in the notice after the last reason */
const char *drain_reason_text(unsigned one);        /* "weftctl drain", ... */
const struct bgp_peer_drain *drain_peers(const struct drain *d,
                                         size_t *n); /* by name; until the next change */
bool drain_peer_state(const struct drain *d, const char *peer, struct drain_state *out);

/* As lines, and back. A damaged text is refused as a whole; then nothing is drained. */
void drain_save(const struct drain *d, struct weft_buf *out);
int drain_load(struct drain *d, const char *text, size_t len, uint64_t now, struct weft_err *err);

#endif
