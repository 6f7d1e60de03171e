// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocation of addresses inside the blocks that this node owns, on its own disk: no daemon, no API server.
 *
 * weftd adds and removes blocks (when it has claimed or given them up) and takes the node's own addresses;
 * weft-cni allocates and releases for pods. Both call this library; a lock file serialises them. The files
 * are in one folder (stateDir/ipam): `lock`, and one text file for each block, named like the IPBlock object
 * (10.244.1.0-26). ipam/block.h tells their format and why a crash at any instant leaves them whole.
 *
 * Times are milliseconds of CLOCK_REALTIME since 1970: a release must be comparable across reboots. A release
 * time in the future (the clock was set back) counts as the moment at which an allocation first sees it.
 *
 * Watching from weftd: inotify on the folder with IN_MODIFY | IN_CREATE | IN_DELETE, skip names that
 * weft_ipam_block_cidr() refuses, and call weft_ipam_read() for the block that changed. Nothing else in the
 * folder is ever written to: the lock file is opened read-only.
 *
 * All functions return 0 (or a count) or a negative errno with a text in err. A handle may be used by one
 * thread at a time and holds neither a lock nor an open file between calls. Functions that take the lock wait
 * for lock_timeout_ms and then fail with -ETIMEDOUT and a text that names the process holding it.
 */
#ifndef WEFT_IPAM_HOST_H
#define WEFT_IPAM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/addr.h"
#include "weft/err.h"

#define WEFT_IPAM_COOLDOWN_MS 60000 /* the default of ipam.cooldown */
#define WEFT_IPAM_LOCK_MS     10000
#define WEFT_IPAM_ID_STR      73 /* a container ID as stored, and NUL */
#define WEFT_IPAM_IF_STR      16 /* IFNAMSIZ */

/* Bits of `families`; the index of a family in arrays of two is 0 for IPv4, 1 for IPv6. */
#define WEFT_IPAM_V4 1u
#define WEFT_IPAM_V6 2u

/* Owner of the node's own addresses: container ID "weft", interface "tunnel4" or "tunnel6". */
#define WEFT_IPAM_NODE_ID "weft"
#define WEFT_IPAM_TUNNEL4 "tunnel4"
#define WEFT_IPAM_TUNNEL6 "tunnel6"

struct weft_ipam;

struct weft_ipam_options {
	uint64_t cooldown_ms;          /* a released address is not handed out before; 0 = at once */
	unsigned lock_timeout_ms;      /* 0 = WEFT_IPAM_LOCK_MS */
	uint64_t (*now_ms)(void *ctx); /* NULL = CLOCK_REALTIME */
	void *ctx;
};

/*
 * Who holds an address: one attachment of a container. The container ID is [A-Za-z0-9][A-Za-z0-9_.-]* (CNI);
 * one longer than 64 characters is stored as "blake2b:" and its hash, and found by the full ID as before.
 * ifname is the interface in the pod; host_dev the device on the host, for information ("" or NULL = none).
 */
struct weft_ipam_owner {
	const char *container_id;
	const char *ifname;
	const char *host_dev;
};

enum weft_ipam_state {
	WEFT_IPAM_FREE, /* never used, or released (then released_ms is set) */
	WEFT_IPAM_USED,
	WEFT_IPAM_RESERVED, /* never handed out: an IPv6 block's anycast address (RFC 4291 2.6.1) */
	WEFT_IPAM_CORRUPT,  /* the record can't be read: treated as used by someone unknown */
};

struct weft_ipam_entry {
	struct weft_addr addr;
	enum weft_ipam_state state;
	uint64_t seq;         /* number of the last release, 0 = never used; lower was released earlier */
	uint64_t released_ms; /* of the last release */
	char container_id[WEFT_IPAM_ID_STR]; /* as stored; "" unless used */
	char ifname[WEFT_IPAM_IF_STR];
	char host_dev[WEFT_IPAM_IF_STR];
};

struct weft_ipam_counts {
	unsigned used;    /* by pods and the node */
	unsigned node;    /* of them, the node's own */
	unsigned free;    /* can be handed out now; 0 in a retired or damaged block */
	unsigned cooling; /* released less than the cooldown ago */
	unsigned reserved;
	unsigned corrupt;
};

struct weft_ipam_block {
	struct weft_prefix cidr;
	char *pool;   /* "" when the header is damaged: nothing is allocated until weft_ipam_add_block() */
	bool retired; /* see weft_ipam_retire_block() */
	struct weft_ipam_counts counts;
	struct weft_ipam_entry *entries; /* all addresses, in order */
	size_t n;
};

/* Makes the folder (0700) when it is missing. opt is copied; NULL = defaults. */
int weft_ipam_open(const char *dir, const struct weft_ipam_options *opt, struct weft_ipam **out,
                   struct weft_err *err);
void weft_ipam_close(struct weft_ipam *ipam);

/*
 * Make a block's file, with every address free. Idempotent; a damaged header of an existing file is repaired,
 * a retired block is in use again, and what an interrupted call left behind is removed. -EEXIST when the
 * block belongs to another pool or overlaps another block. -EINVAL for a block larger than WEFT_BLOCK_RECORDS
 * or a pool name that is not a DNS-1123 subdomain.
 */
int weft_ipam_add_block(struct weft_ipam *ipam, const struct weft_prefix *cidr, const char *pool,
                        struct weft_err *err);

/*
 * Forget a block; 0 when it is not there. -EBUSY when an address of it is used (also by the node) or
 * unreadable. From here on nothing is allocated from it, so that weftd can give up its claim. Cooldowns are
 * forgotten: give up only blocks that have been empty for longer than that.
 */
int weft_ipam_remove_block(struct weft_ipam *ipam, const struct weft_prefix *cidr, struct weft_err *err);

/*
 * The block is not this node's any more, but its pods still live: from here on nothing new is allocated from
 * it, because another node may give out the same addresses. What is used stays and can be released. 0 when it
 * is not there or retired already; weft_ipam_add_block() takes it back.
 */
int weft_ipam_retire_block(struct weft_ipam *ipam, const struct weft_prefix *cidr, struct weft_err *err);

/* All blocks in order of their addresses; does not wait for the lock unless it meets a damaged record. */
int weft_ipam_list(struct weft_ipam *ipam, struct weft_ipam_block **blocks, size_t *n, struct weft_err *err);
void weft_ipam_blocks_free(struct weft_ipam_block *blocks, size_t n);

/* One block by its file name; -ENOENT when there is none, -EINVAL when it is no block's name. Free with
 * clear(). */
int weft_ipam_read(struct weft_ipam *ipam, const char *name, struct weft_ipam_block *out,
                   struct weft_err *err);
void weft_ipam_block_clear(struct weft_ipam_block *block);

/* The CIDR of a block's file name ("fd00-244--40-122" -> fd00:244::40/122); -EINVAL for any other name. */
int weft_ipam_block_cidr(const char *name, struct weft_prefix *out);

struct weft_ipam_request {
	unsigned families;            /* WEFT_IPAM_V4 | WEFT_IPAM_V6 */
	struct weft_ipam_owner owner; /* borrowed */
	struct weft_addr want[2];     /* this very address; AF_UNSPEC = any */
	const char *const *pools;     /* only from blocks of these pools; n_pools 0 = any */
	size_t n_pools;
};

struct weft_ipam_result {
	struct weft_addr addr[2]; /* AF_UNSPEC for a family that was not asked for */
	struct weft_prefix block[2];
	unsigned missing; /* on -ENOSPC: the families that need another block */
};

/*
 * One address for each family, or none at all. Idempotent: an owner that has an address of a family keeps it,
 * and a set that a killed call left incomplete is completed. Order: never used first, then released longest
 * ago; never within the cooldown. The first and last address of an IPv4 block are used like all others: a pod
 * has a /32 and no broadcast domain.
 *
 * -ENOSPC: nothing is free for the families in result->missing; the text names family, pools and blocks.
 * Claim another block (or wait: the text tells when an address cools down) and try again. Nothing was taken.
 * A wanted address: -EADDRINUSE when another has it, -EAGAIN while it cools down, -EADDRNOTAVAIL when it is
 * in none of the allowed blocks or reserved, -EEXIST when the owner holds another one. -EINVAL: no family,
 * bad owner.
 */
int weft_ipam_alloc(struct weft_ipam *ipam, const struct weft_ipam_request *req,
                    struct weft_ipam_result *result, struct weft_err *err);

/* What an owner has, both families; 0 also when it is nothing (addresses AF_UNSPEC). */
int weft_ipam_find(struct weft_ipam *ipam, const struct weft_ipam_owner *owner,
                   struct weft_ipam_result *result, struct weft_err *err);

/* Number of addresses released; 0 when there was none. Reads nothing but container_id and ifname. */
int weft_ipam_release(struct weft_ipam *ipam, const struct weft_ipam_owner *owner, struct weft_err *err);

/* Release one address whoever has it (1), also one whose record is corrupt; 0 when it was free or is not
 * ours. */
int weft_ipam_release_address(struct weft_ipam *ipam, const struct weft_addr *addr, struct weft_err *err);

/* May an address still be in use (a route to a pod's device exists)? */
typedef bool weft_ipam_in_use_fn(void *ctx, const struct weft_addr *addr);

/*
 * Release whatever belongs to no owner of the list (the node's own addresses stay) and return how many.
 * A corrupt record is freed when in_use says that its address is not in use; without in_use (NULL), when each
 * valid owner has a readable address of the family, so that the lost one can't be theirs.
 */
int weft_ipam_gc(struct weft_ipam *ipam, const struct weft_ipam_owner *valid, size_t n,
                 weft_ipam_in_use_fn *in_use, void *ctx, struct weft_err *err);

#endif
