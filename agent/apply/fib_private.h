// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside of the route reconciler, shared by fib.c (entries, events), fib_write.c (apply) and fib_read.c
 * (resync).
 *
 * An entry is one key with what is wanted on it and what runs on it. It is in exactly one place: idle, the
 * list `set` (to be written), `del` (to be removed) or `faulty` (could not be written; waits).
 * fib_settle() looks at an entry and puts it where it belongs; every change of an entry ends with it.
 */
#ifndef WEFT_APPLY_FIB_PRIVATE_H
#define WEFT_APPLY_FIB_PRIVATE_H

#include <uthash.h>

#include "agent/apply/fib.h"

#define FIB_TEXT_MAX (2 * WEFT_ROUTE_STR)

enum fib_place { FIB_IDLE, FIB_SET, FIB_DEL, FIB_FAULTY };

struct fib_fault {
	enum fib_state state;
	unsigned tries;
	uint64_t retry_at;
	char text[FIB_TEXT_MAX];
};

struct fib_device;

struct fib_entry {
	struct weft_route_key key;
	struct weft_route want, run; /* valid if wanted, running */
	uint32_t run_oif;
	bool wanted;
	bool running;              /* ours, or what became of it, is in the kernel */
	bool altered;              /* ... but it carries another protocol or attributes now: restore it */
	bool stale;                /* found at a restart, not wanted since */
	bool kept;                 /* a pod's route that we learnt and never wanted: weft-cni's */
	bool seen;                 /* by the dump that runs */
	struct weft_route *theirs; /* a foreign route on this key, NULL = none known */
	struct fib_fault *fault;   /* NULL = none */
	enum fib_place place;
	struct fib_entry *prev, *next; /* in the list of that place */
	struct fib_device *dev;        /* of `want`, or else of `run` */
	struct fib_entry *dev_prev, *dev_next;
	UT_hash_handle hh;
};

/* The entries that depend on one device name: a link event touches those and no others. */
struct fib_device {
	char name[IFNAMSIZ];
	struct fib_entry *entries;
	UT_hash_handle hh;
};

struct fib {
	struct netlink *nl;
	const struct links *links;
	struct fib_entry *entries; /* hash by key */
	struct fib_device *devices;
	struct fib_entry *set, *del, *faulty;
	bool swept;
	bool need_resync;
	uint64_t resync_after; /* not before */
	uint64_t next_retry;   /* lower bound of retry_at over `faulty` */
	struct netlink_batch *batch;
	struct nl_msg *msg;
	uint64_t writes, resyncs, repairs;
	size_t wanted[FIB_KINDS];
};

bool fib_our_table(uint32_t table);

/* Find, or make; NULL: no memory. */
struct fib_entry *fib_find(const struct fib *f, const struct weft_route_key *key);
struct fib_entry *fib_entry_make(struct fib *f, const struct weft_route_key *key);

/* Put the entry where it belongs; frees it when neither wanted nor running. It must not be used after that.
 */
void fib_settle(struct fib *f, struct fib_entry *e);
void fib_place(struct fib *f, struct fib_entry *e, enum fib_place place);

/* From `faulty` back to where it is tried again. */
void fib_wake(struct fib *f, struct fib_entry *e);

/* What the kernel told about a route of ours (or an altered one), dev filled in from oif. */
void fib_set_running(struct fib *f, struct fib_entry *e, const struct route_info *info);
void fib_set_theirs(struct fib_entry *e, const struct weft_route *route); /* NULL = gone */

/* Make a decoded route comparable with a planned one. */
void fib_name_device(const struct fib *f, struct route_info *info);

void fib_clear_fault(struct fib_entry *e);

/* fib_tally.c */
enum fib_kind fib_kind_of(const struct weft_route *r);
enum fib_state fib_entry_state(const struct fib_entry *e);

#endif
