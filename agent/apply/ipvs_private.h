// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside of the IPVS reconciler, shared by ipvs.c (entries), ipvs_dests.c (lists of destinations),
 * ipvs_write.c (apply) and ipvs_read.c (resync, reading, cleanup).
 *
 * An entry is one service with what is wanted of it and what runs. Its destinations, wanted or running, stand
 * in one sorted array. The entry is in exactly one place: idle, the list `grow` (something to be added or
 * made stronger), `shrink` (only destinations to be drained or removed), `del` (to be removed) or `faulty`
 * (refused; waits). ipvs_settle() looks at an entry and puts it where it belongs; every change of an entry
 * ends with it. So all services have grown before the first one shrinks, and a drained destination's
 * successor is there already.
 */
#ifndef WEFT_APPLY_IPVS_PRIVATE_H
#define WEFT_APPLY_IPVS_PRIVATE_H

#include <sodium.h>
#include <uthash.h>

#include "agent/apply/ipvs.h"
#include "agent/kernel/ipvs_msg.h"

#define IPVS_TEXT_MAX 320

enum {
	DEST_WANTED = 1,
	DEST_KEEP = 2, /* wanted with weight 0, but only while it runs */
	DEST_RUNS = 4,
	DEST_ODD = 8,          /* runs with what weft never sets: to be edited */
	DEST_TUNNEL = 16,      /* wanted by tunnel */
	DEST_RUNS_TUNNEL = 32, /* runs so */
	DEST_WISH = DEST_WANTED | DEST_KEEP | DEST_TUNNEL,
	DEST_FACT = DEST_RUNS | DEST_ODD | DEST_RUNS_TUNNEL,
};

/* 24 bytes without padding: there are a hundred thousand of them, compared as memory. */
struct ipvs_dest {
	struct weft_addr addr;
	uint8_t flags;
	uint16_t port;
	uint16_t want, run; /* weights; a running one above 65535 is odd */
};

struct ipvs_shape { /* zeroed before it is filled: compared as memory */
	char scheduler[SVC_SCHEDULER_MAX];
	uint32_t sched_flags, persistence_s;
};

enum ipvs_place { IPVS_IDLE, IPVS_GROW, IPVS_SHRINK, IPVS_DEL, IPVS_FAULTY, IPVS_PLACES };

struct ipvs_fault {
	unsigned tries;
	uint64_t retry_at;
	char text[IPVS_TEXT_MAX];
};

struct ipvs_entry {
	struct svc_virtual_key key;
	struct ipvs_shape want, run; /* valid if wanted, running */
	struct ipvs_dest *dests;     /* sorted by address and port */
	size_t n;
	bool wanted, running;
	bool odd;         /* runs with what weft never sets */
	bool ours;        /* owns() said so once, or we added it */
	bool spoken_of;   /* was wanted in this life: no left-over */
	bool seen;        /* by the resync that runs */
	bool inflight;    /* has messages in the batch */
	bool reread;      /* the kernel's answers contradict what we know of it */
	bool reread_once; /* done already for this refusal */
	bool refused;     /* a message of the batch was */
	enum ipvs_place place;
	struct ipvs_fault *fault; /* NULL = none */
	struct ipvs_entry *prev, *next;
	UT_hash_handle hh;
};

struct ipvs {
	struct netlink *nl;
	bool own_nl;
	uint16_t family;  /* 0: the kernel has no IPVS */
	bool look_again;  /* the family's number may have changed */
	bool need_resync; /* outcomes are unknown */
	ipvs_owns_fn owns;
	void *ctx;
	struct ipvs_entry *entries; /* hash by key */
	unsigned char hash_key[crypto_shorthash_KEYBYTES];
	struct ipvs_entry *list[IPVS_PLACES]; /* not of IPVS_IDLE */
	bool swept;
	uint64_t resync_after, next_retry;
	size_t wanted, wanted_dests;
	struct netlink_batch *batch;
	struct nl_msg *msg;
	uint64_t writes, resyncs, repairs;
};

struct ipvs_entry *ipvs_find(const struct ipvs *i, const struct svc_virtual_key *key);
struct ipvs_entry *ipvs_entry_make(struct ipvs *i, const struct svc_virtual_key *key); /* NULL: no memory */

/* Put the entry where it belongs; frees it when nothing is left of it. It must not be used after that. */
void ipvs_settle(struct ipvs *i, struct ipvs_entry *e);
void ipvs_place(struct ipvs *i, struct ipvs_entry *e, enum ipvs_place place);
void ipvs_wake(struct ipvs *i, struct ipvs_entry *e); /* from `faulty` back to where it is tried again */
bool ipvs_is_ours(struct ipvs *i, struct ipvs_entry *e);

/* What the kernel has: its shape, or that there is none. Destinations: sorted, DEST_RUNS; -ENOMEM. */
void ipvs_set_running(struct ipvs_entry *e, const struct ipvs_msg_service *s);
void ipvs_set_absent(struct ipvs_entry *e);
int ipvs_set_dests(struct ipvs_entry *e, const struct ipvs_dest *running, size_t n);
bool ipvs_shape_right(const struct ipvs_entry *e);

struct ipvs_msg_key ipvs_to_msg(const struct svc_virtual_key *key);
struct svc_virtual_key ipvs_from_msg(const struct ipvs_msg_key *key);

/* --- ipvs_dests.c: pure --- */

enum ipvs_todo { TODO_NOTHING, TODO_ADD, TODO_EDIT, TODO_DRAIN, TODO_REMOVE };
enum ipvs_todo ipvs_todo(const struct ipvs_dest *d);

/* Sorts; of several with the same address and port the first that is no keep_only stays. Returns how many. */
size_t ipvs_dests_sort(struct ipvs_dest *d, size_t n);

/* The union of the wanted ones of `want` and the running ones of `run`, both sorted. NULL: no memory. */
struct ipvs_dest *ipvs_dests_merge(const struct ipvs_dest *want, size_t n_want, const struct ipvs_dest *run,
                                   size_t n_run, size_t *n);

/* --- ipvs_read.c --- */

/* Read one service and its destinations. The caller settles. */
int ipvs_reread(struct ipvs *i, struct ipvs_entry *e, struct weft_err *err);

#endif
