// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pool arithmetic. A block's number times its size never exceeds 2^(32+12), so 64 bits hold every offset,
 * also in an IPv6 pool.
 */
#include "ipam/pool.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "weft/cleanup.h"

/* No pod can have these: "this network", loopback, link-local, multicast, class E, the v4-mapped range. */
static const char *const special[] = {"0.0.0.0/8", "127.0.0.0/8",   "169.254.0.0/16", "224.0.0.0/3",
                                      "::/96",     "::ffff:0:0/96", "fe80::/10",      "ff00::/8"};

static unsigned smallest_len(uint8_t family)
{
	return family == AF_INET ? 20 : 116;
}

static unsigned size_bits(const struct weft_pool *pool)
{
	return weft_addr_bits(pool->cidr.addr.family) - pool->block_len;
}

int weft_pool_check(const struct weft_pool *pool, struct weft_err *err)
{
	char text[WEFT_PREFIX_STR];
	const char *name = pool->name;
	uint8_t family = pool->cidr.addr.family;
	struct weft_prefix masked = weft_prefix_mask(&pool->cidr.addr, pool->cidr.len);

	if (!weft_addr_is_set(&pool->cidr.addr) || pool->cidr.len > weft_addr_bits(family))
		return weft_err_set(err, EINVAL, "pool %s has no usable CIDR", name);
	weft_prefix_str(&pool->cidr, text);
	if (weft_prefix_cmp(&masked, &pool->cidr))
		return weft_err_set(err, EINVAL, "pool %s: %s has host bits set", name, text);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(special); i++) {
		struct weft_prefix p;

		if (weft_prefix_parse(special[i], &p, NULL) == 0 && weft_prefix_overlaps(&p, &pool->cidr))
			return weft_err_set(err, EINVAL,
			                    "pool %s: %s contains addresses of %s, which pods can't have",
			                    name, text, special[i]);
	}
	if (pool->block_len < smallest_len(family) || pool->block_len > weft_addr_bits(family))
		return weft_err_set(err, EINVAL, "pool %s: block size /%u is not in /%u to /%u", name,
		                    pool->block_len, smallest_len(family), weft_addr_bits(family));
	if (pool->block_len < pool->cidr.len)
		return weft_err_set(err, EINVAL, "pool %s: a block of size /%u is larger than the pool %s",
		                    name, pool->block_len, text);
	return 0;
}

uint64_t weft_pool_blocks(const struct weft_pool *pool)
{
	unsigned bits = (unsigned)(pool->block_len - pool->cidr.len);

	return bits >= 32 ? WEFT_POOL_BLOCKS : UINT64_C(1) << bits;
}

struct weft_prefix weft_pool_block(const struct weft_pool *pool, uint64_t index)
{
	return (struct weft_prefix){.addr = weft_addr_add(&pool->cidr.addr, index << size_bits(pool)),
	                            .len = pool->block_len};
}

bool weft_pool_has(const struct weft_pool *pool, const struct weft_prefix *block)
{
	return block->len == pool->block_len && weft_prefix_covers(&pool->cidr, block);
}

int64_t weft_pool_index(const struct weft_pool *pool, const struct weft_prefix *block)
{
	if (!weft_pool_has(pool, block))
		return -ENOENT;
	uint64_t index = weft_addr_diff(&pool->cidr.addr, &block->addr) >> size_bits(pool);
	return index < weft_pool_blocks(pool) ? (int64_t)index : -ERANGE;
}

int weft_pool_candidate(const struct weft_pool *pool, const char *node, weft_pool_taken_fn *taken, void *ctx,
                        struct weft_prefix *out, struct weft_err *err)
{
	static const unsigned char key[crypto_shorthash_KEYBYTES] = "weft pool start";
	char text[WEFT_PREFIX_STR];
	uint64_t n = weft_pool_blocks(pool), start;

	crypto_shorthash((unsigned char *)&start, (const unsigned char *)node, strlen(node), key);
	start %= n;
	for (uint64_t i = 0; i < n; i++) {
		struct weft_prefix block = weft_pool_block(pool, (start + i) % n);

		if (!taken(ctx, &block)) {
			*out = block;
			return 0;
		}
	}
	return weft_err_set(
	        err, ENOSPC, "pool %s (%s) is exhausted: all its %llu blocks of size /%u are taken",
	        pool->name, weft_prefix_str(&pool->cidr, text), (unsigned long long)n, pool->block_len);
}

int weft_pool_check_overlap(const struct weft_pool *a, const struct weft_pool *b, struct weft_err *err)
{
	char ta[WEFT_PREFIX_STR], tb[WEFT_PREFIX_STR];

	if (!strcmp(a->name, b->name) || !weft_prefix_overlaps(&a->cidr, &b->cidr))
		return 0;
	return weft_err_set(err, EEXIST, "pool %s (%s) overlaps pool %s (%s)", a->name,
	                    weft_prefix_str(&a->cidr, ta), b->name, weft_prefix_str(&b->cidr, tb));
}

int weft_pool_check_node(const struct weft_pool *pool, const char *node, const struct weft_addr *addr,
                         struct weft_err *err)
{
	char tp[WEFT_PREFIX_STR], ta[WEFT_ADDR_STR];

	if (!weft_prefix_contains(&pool->cidr, addr))
		return 0;
	return weft_err_set(err, EADDRINUSE, "pool %s (%s) contains the address %s of node %s", pool->name,
	                    weft_prefix_str(&pool->cidr, tp), weft_addr_str(addr, ta), node);
}
