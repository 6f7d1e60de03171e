// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPVS: the reconciler between wanted virtual services and the kernel's. Same verbs as fib.h.
 *
 * IPVS is spoken to by generic netlink (family IPVS, net/netfilter/ipvs/ip_vs_ctl.c), in batches with an ACK
 * on the last message. It sends no notifications: what others change is found by ipvs_resync() only (the
 * daemon audits). A change costs the destinations of one service: a hash lookup, and a message per
 * difference.
 *
 * Destinations are never deleted and added again: a deleted one stays in a trash list that each later add
 * scans. So a service whose scheduler or persistence changes is edited (SET_SERVICE), its destinations are
 * compared one by one, and what the kernel has at a restart is adopted. One that has `keep_only` in the plan
 * is set to weight 0 where the kernel has it and never added.
 *
 * Ownership: unwanted services are removed only if owns() says that the key is ours (once is enough: the
 * address may be forgotten when the service goes) or this process added them. Those that were never wanted
 * in this life are stale until ipvs_sweep(). A foreign service on a key that we want is adopted and made as
 * wanted.
 *
 * Order: additions first, removals last.
 */
#ifndef WEFT_APPLY_IPVS_H
#define WEFT_APPLY_IPVS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/kernel/netlink.h"
#include "agent/plan/services.h"

#define IPVS_NEVER UINT64_MAX

#define IPVS_TIMEOUTS "ipvs.timeouts" /* the record of ipvs_set_timeouts(), in stateDir */

struct ipvs;

typedef bool (*ipvs_owns_fn)(void *ctx, const struct svc_virtual_key *key);

/*
 * In the calling thread's network namespace. Without the ip_vs module it still works: everything wanted is
 * "not ready", and each ipvs_resync() looks for the module again. NULL: no memory.
 */
struct ipvs *ipvs_new(ipvs_owns_fn owns, void *ctx, struct weft_err *err);
void ipvs_free(struct ipvs *i); /* leaves the kernel as it is */

/* For tests: the kernel seam. Borrowed. family_id as the kernel would give it. */
struct ipvs *ipvs_new_on(struct netlink *nl, uint16_t family_id, ipvs_owns_fn owns, void *ctx);

/* Is the kernel's IPVS there? If not, err (may be NULL) says what to do. */
bool ipvs_available(const struct ipvs *i, struct weft_err *err);

/* Want this service with exactly these destinations (v->first and v->n are not read). Replaces what was
 * wanted for the key. -ENOMEM. */
int ipvs_want(struct ipvs *i, const struct svc_virtual *v, const struct svc_dest *dests, size_t n,
              struct weft_err *err);
void ipvs_unwant(struct ipvs *i, const struct svc_virtual_key *key);

/*
 * Write what is dirty, a bounded number of messages. 0: nothing left to do now; 1: call again soon; negative
 * errno: the socket failed or answers were lost; nothing more is written before a resync, which comes by
 * itself at the deadline when the caller makes none. Refusals of single services are logged here, kept with
 * the service, and tried again after 1 s, 2 s, ... 60 s.
 */
int ipvs_apply(struct ipvs *i, uint64_t now, struct weft_err *err);
uint64_t ipvs_deadline(const struct ipvs *i);

/* Read everything back: adopt what is right, mark the rest dirty. */
int ipvs_resync(struct ipvs *i, uint64_t now, struct weft_err *err);
void ipvs_sweep(struct ipvs *i);

/* Answers were lost, so that nothing is known of the kernel before a resync works? */
bool ipvs_unsure(const struct ipvs *i);

size_t ipvs_wanted(const struct ipvs *i); /* services; costs nothing */

/* Has the kernel acknowledged all that is wanted for the key? False also when nothing is wanted. */
bool ipvs_installed(const struct ipvs *i, const struct svc_virtual_key *key);

/*
 * Read one service back from the kernel: its scheduler, persistence and destinations with weight and
 * connections, whoever made it. -ENOENT: there is none.
 */
struct ipvs_dest_info {
	struct weft_addr addr;
	uint16_t port;
	uint32_t weight, active, inactive;
};
struct ipvs_service_info {
	struct svc_virtual service;
	struct ipvs_dest_info *dests; /* free with ipvs_service_info_free() */
	size_t n;
};
int ipvs_read(struct ipvs *i, const struct svc_virtual_key *key, struct ipvs_service_info *out,
              struct weft_err *err);
void ipvs_service_info_free(struct ipvs_service_info *info);

/*
 * Timeouts of TCP, TCP after FIN, UDP in seconds (S28: 86400, 120, 300); written only if they differ. record: a file
 * (stateDir/ipvs.timeouts) to which what was there goes first, unless it exists; without it nothing is changed.
 */
int ipvs_set_timeouts(struct ipvs *i, uint32_t tcp, uint32_t tcp_fin, uint32_t udp, const char *record,
                      struct weft_err *err);
/* What the record says, and remove it. 1: done; 0: there is none; -EINVAL: it is damaged, and stays. */
int ipvs_restore_timeouts(struct ipvs *i, const char *record, struct weft_err *err);

enum ipvs_state { IPVS_INSTALLED, IPVS_PENDING, IPVS_NOT_READY, IPVS_FAILED, IPVS_STALE };
const char *ipvs_state_name(enum ipvs_state state);

/* Why the service is not as wanted; "" if it is. State of a key: IPVS_STALE for one that nobody wants. */
enum ipvs_state ipvs_state_of(const struct ipvs *i, const struct svc_virtual_key *key, const char **text);

struct ipvs_stats {
	size_t services, dests;       /* wanted */
	size_t count[IPVS_STALE + 1]; /* services by state */
	uint64_t writes, resyncs;     /* messages sent, dumps made */
};
struct ipvs_stats ipvs_stats(const struct ipvs *i);

/* The same for metrics: of what is wanted; costs the services that are not as wanted. */
struct ipvs_tally {
	size_t count[IPVS_STALE], dests;
	uint64_t writes, resyncs;
	uint64_t repairs; /* services as wanted that others removed or altered, as readings found them */
};
struct ipvs_tally ipvs_tally(const struct ipvs *i);

/* `weftd cleanup`: remove the services that owns() calls ours. */
int ipvs_cleanup(ipvs_owns_fn owns, void *ctx, size_t *removed, struct weft_err *err);

#endif
