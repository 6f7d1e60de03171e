// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IP addresses and prefixes of both families.
 *
 * Bytes are in network order; an IPv4 address uses bytes[0..3], the rest is zero, so two addresses are
 * equal exactly when their structs are (memcmp is valid: there is no padding). A prefix is canonical
 * when its host bits are zero; every prefix that weft keeps is canonical.
 */
#ifndef WEFT_ADDR_H
#define WEFT_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weft/err.h"

#define WEFT_ADDR_STR   46 /* longest textual IPv6 address and NUL */
#define WEFT_PREFIX_STR 50 /* the same with "/128" */

struct weft_addr {
	uint8_t family; /* AF_INET, AF_INET6; AF_UNSPEC (0) = no address */
	uint8_t bytes[16];
};

struct weft_prefix {
	struct weft_addr addr;
	uint8_t len; /* bits */
};

/* Bytes of an address of this family: 4 or 16; bits: 32 or 128; 0 for AF_UNSPEC. */
size_t weft_addr_size(uint8_t family);
unsigned weft_addr_bits(uint8_t family);

/* Strict: dotted quad without leading zeros or RFC 4291 text, nothing before or after, no zone. */
int weft_addr_parse(const char *text, struct weft_addr *out, struct weft_err *err);

/* ADDR/LEN; host bits set or a missing length are errors that say what was meant. */
int weft_prefix_parse(const char *text, struct weft_prefix *out, struct weft_err *err);

/* Canonical text (RFC 5952). Returns buf. "" for AF_UNSPEC. */
const char *weft_addr_str(const struct weft_addr *a, char buf[WEFT_ADDR_STR]);
const char *weft_prefix_str(const struct weft_prefix *p, char buf[WEFT_PREFIX_STR]);

/* Total order: family, bytes (then length). */
int weft_addr_cmp(const struct weft_addr *a, const struct weft_addr *b);
int weft_prefix_cmp(const struct weft_prefix *a, const struct weft_prefix *b);

bool weft_addr_is_set(const struct weft_addr *a);
bool weft_prefix_contains(const struct weft_prefix *p, const struct weft_addr *a);
bool weft_prefix_covers(const struct weft_prefix *outer, const struct weft_prefix *inner);
bool weft_prefix_overlaps(const struct weft_prefix *a, const struct weft_prefix *b);

/* A unicast address a host can have: not unspecified, loopback, multicast, link-local, v4-mapped or class E.
 */
bool weft_addr_is_host(const struct weft_addr *a);
bool weft_addr_is_link_local(const struct weft_addr *a);

struct weft_prefix weft_prefix_host(const struct weft_addr *a); /* a/32 or a/128 */
struct weft_prefix weft_prefix_mask(const struct weft_addr *a, uint8_t len);

/* The last address of a prefix. */
struct weft_addr weft_prefix_last(const struct weft_prefix *p);

/* a + n, as a big-endian number within its family; wraps at the family's end. */
struct weft_addr weft_addr_add(const struct weft_addr *a, uint64_t n);

/* b - a when that fits 64 bits and b >= a; UINT64_MAX otherwise. */
uint64_t weft_addr_diff(const struct weft_addr *a, const struct weft_addr *b);

/* From bytes as netlink carries them; len must be 4 or 16. */
struct weft_addr weft_addr_from_bytes(uint8_t family, const void *bytes);

#endif
