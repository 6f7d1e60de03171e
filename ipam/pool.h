// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pool arithmetic: which blocks a pool has, and which one a node should try to claim next.
 *
 * A pool is a CIDR cut into blocks of one size, numbered from 0 in address order. Nothing here reads a clock
 * or a file: who owns a block is told by the caller. Addresses are in network order (weft/addr.h).
 *
 * Block sizes: a block file holds at most WEFT_BLOCK_RECORDS addresses, so a block is /20 to /32 for IPv4 and
 * /116 to /128 for IPv6. A pool may be as large as its family allows, but has at most 2^WEFT_POOL_BITS
 * blocks: more could not be walked when the pool is nearly full.
 */
#ifndef WEFT_IPAM_POOL_H
#define WEFT_IPAM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/addr.h"
#include "weft/err.h"

#define WEFT_BLOCK_RECORDS 4096 /* addresses in one block */
#define WEFT_POOL_BLOCKS   (UINT64_C(1) << 32)

struct weft_pool {
	const char *name; /* for error texts; owned by the caller */
	struct weft_prefix cidr;
	uint8_t block_len; /* prefix length of a block */
};

/*
 * -EINVAL with the reason: the CIDR is not canonical or not made of host addresses (multicast, loopback,
 * link-local ...), or the block size is out of range or shorter than the pool's length.
 */
int weft_pool_check(const struct weft_pool *pool, struct weft_err *err);

/* The functions below expect a pool that weft_pool_check() accepted. */

uint64_t weft_pool_blocks(const struct weft_pool *pool); /* at most WEFT_POOL_BLOCKS */
struct weft_prefix weft_pool_block(const struct weft_pool *pool,
                                   uint64_t index); /* index < weft_pool_blocks() */

/* Is this one of the pool's blocks: inside, and of the pool's block size? */
bool weft_pool_has(const struct weft_pool *pool, const struct weft_prefix *block);

/* The number of a block; -ENOENT when it is none of the pool's, -ERANGE when it is behind the claimed ones.
 */
int64_t weft_pool_index(const struct weft_pool *pool, const struct weft_prefix *block);

/*
 * The first block that `taken` does not hold, from a start that depends on the node's name (so that nodes do
 * not all race for the same block), then in order, around the end. -ENOSPC naming the pool when all are
 * taken. `taken` is asked at most once for each block; a claim that then loses its race is reported by it
 * next time.
 */
typedef bool weft_pool_taken_fn(void *ctx, const struct weft_prefix *block);
int weft_pool_candidate(const struct weft_pool *pool, const char *node, weft_pool_taken_fn *taken, void *ctx,
                        struct weft_prefix *out, struct weft_err *err);

/* -EEXIST naming both when two pools share addresses; a pool does not conflict with itself (same name). */
int weft_pool_check_overlap(const struct weft_pool *a, const struct weft_pool *b, struct weft_err *err);

/* -EADDRINUSE naming both when a node's own address lies in the pool. An unset address is never inside. */
int weft_pool_check_node(const struct weft_pool *pool, const char *node, const struct weft_addr *addr,
                         struct weft_err *err);

#endif
