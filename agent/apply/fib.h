// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel routes: the reconciler between what is wanted (struct weft_route) and what runs.
 *
 * Verbs, the same for each kernel resource: want / unwant say what should be; apply writes what is dirty;
 * resync reads everything back and repairs; on_event follows what others do. The cost of a change is that
 * of the change: one hash lookup and one netlink message.
 *
 * Ownership. Only routes with protocol WEFT_RTPROT in the tables main, local and WEFT_TABLE_ADVERT are ever
 * changed or deleted. A foreign route on a key that we want is a conflict: reported, not touched. A route of
 * ours that somebody altered in place is restored; a deleted one is added again. Routes to pod devices that
 * nobody wants here are weft-cni's and left alone.
 *
 * Order. Additions and changes go before removals, so that a prefix moves from one metric to another without
 * an instant of having none (and an advertised prefix without being withdrawn).
 *
 * Restart. Routes of ours that the first resync finds and nobody wants (yet) are stale: they stay until
 * fib_sweep(), which the owner calls when all its sources have said everything.
 *
 * Not ready is normal: a route whose device is missing or down waits for the device without a timer; one
 * that the kernel refuses is tried again after 1 s, 2 s, ... 60 s, and when an address or device appears.
 *
 * Times are milliseconds of a monotonic clock, given by the caller. One thread.
 */
#ifndef WEFT_APPLY_FIB_H
#define WEFT_APPLY_FIB_H

#include <stdint.h>

#include "agent/apply/link.h"
#include "agent/kernel/monitor.h"
#include "agent/kernel/netlink.h"
#include "weft/route.h"

#define FIB_NEVER UINT64_MAX

struct fib;

/* nl and links stay the caller's and outlive the fib. NULL: no memory. */
struct fib *fib_new(struct netlink *nl, const struct links *links);
void fib_free(struct fib *f); /* leaves the kernel as it is */

/*
 * Want this route (protocol is set to ours). Replaces what was wanted for the key. -EINVAL: a table that is
 * not ours, v6 with metric 0, families that do not fit. -ENOMEM.
 */
int fib_want(struct fib *f, const struct weft_route *route, struct weft_err *err);
void fib_unwant(struct fib *f, const struct weft_route_key *key);

/*
 * Write what is dirty, a bounded number of messages. 0: nothing left to do now; 1: call again soon; negative
 * errno: the netlink socket failed. Refusals of single routes are logged here and kept with the route.
 */
int fib_apply(struct fib *f, uint64_t now, struct weft_err *err);

/* When fib_apply() has something to do although nothing happened; FIB_NEVER = not before the next event. */
uint64_t fib_deadline(const struct fib *f);

/* Is any route FIB_PENDING? Costs the routes that are not as wanted, unlike fib_stats(). */
bool fib_pending(const struct fib *f);

/* Read all routes of our tables, adopt what is right, mark the rest dirty. Call fib_apply() afterwards. */
int fib_resync(struct fib *f, uint64_t now, struct weft_err *err);

/* From now on our routes that nobody wants are removed. */
void fib_sweep(struct fib *f);

/* After links_on_event(). Events of our own making are recognised and ignored. */
void fib_on_event(struct fib *f, const struct monitor_event *ev);

enum fib_state {
	FIB_INSTALLED, /* in the kernel as wanted */
	FIB_PENDING,   /* will be written by the next fib_apply() */
	FIB_NOT_READY, /* waits for a device or a reachable gateway */
	FIB_CONFLICT,  /* a foreign route has the key */
	FIB_FAILED,    /* refused by the kernel, will be tried again */
	FIB_STALE,     /* ours, in the kernel, not wanted (yet) */
};
const char *fib_state_name(enum fib_state state); /* "installed", "pending", "not ready", ... */

/* The state of one key; false: it is neither wanted nor ours in the kernel. */
bool fib_state_of(const struct fib *f, const struct weft_route_key *key, enum fib_state *state);

struct fib_view {
	const struct weft_route *route; /* wanted, or running if stale */
	enum fib_state state;
	const char *text; /* why it is not installed; "" if it is */
};
typedef bool (*fib_view_fn)(void *ctx, const struct fib_view *view); /* false stops */
void fib_foreach(const struct fib *f, fib_view_fn fn, void *ctx);

struct fib_stats {
	size_t count[FIB_STALE + 1]; /* routes by state */
	uint64_t writes, resyncs;    /* messages sent, dumps made */
};
struct fib_stats fib_stats(const struct fib *f);

/* What a route is for. */
enum fib_kind {
	FIB_POD,      /* to a pod of this node */
	FIB_DIRECT,   /* to another node's block, by the link */
	FIB_TUNNEL,   /* by a tunnel */
	FIB_FALLBACK, /* by a tunnel, when the fabric has no route */
	FIB_BLOCK,    /* blackhole of an own block */
	FIB_LOCAL,    /* to a Service's address */
	FIB_ADVERT,   /* announced by BIRD */
	FIB_KINDS
};

/* Counts for metrics: of what is wanted. Costs the routes that are not as wanted, unlike fib_stats(). */
struct fib_tally {
	size_t count[FIB_KINDS][FIB_STALE]; /* by state */
	uint64_t writes, resyncs;
	uint64_t repairs; /* routes as wanted that others removed or altered */
};
struct fib_tally fib_tally(const struct fib *f);
const char *fib_kind_name(enum fib_kind kind);  /* "pod", "direct", ... */
const char *fib_kind_table(enum fib_kind kind); /* "main", "local", "179" */

/* `weftd cleanup`: remove every route of ours from the three tables, pods' too. Counts them into *removed
 * (may be NULL). */
int fib_cleanup(struct netlink *nl, size_t *removed, struct weft_err *err);

#endif
