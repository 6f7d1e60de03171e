// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel route as weft plans, programs and reads it back: the contract between plan/, apply/fib and
 * kernel/.
 *
 * The kernel's identity of a route is (family, table, dst, metric[, tos=0]) for v4 and, as weft uses it, v6
 * too. Devices are named, not numbered, in what is planned: a device may not exist yet ("not ready" is a
 * normal answer) or be made again with another index.
 */
#ifndef WEFT_ROUTE_H
#define WEFT_ROUTE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/addr.h"

struct weft_route_key {
	uint32_t table;
	uint32_t metric; /* RTA_PRIORITY; v6 metric 0 would become 1024 in the kernel: plan v6 with >= 1 */
	struct weft_prefix dst;
	uint8_t pad[2]; /* zero: the key is hashed as bytes */
};

struct weft_route {
	struct weft_route_key key;
	uint8_t type;             /* RTN_UNICAST, RTN_BLACKHOLE, RTN_LOCAL, ... */
	uint8_t scope;            /* v4 only: RT_SCOPE_UNIVERSE, _LINK, _HOST */
	bool onlink;              /* RTNH_F_ONLINK */
	uint8_t protocol;         /* read back; WEFT_RTPROT in what we plan */
	struct weft_addr gateway; /* AF_UNSPEC = none */
	struct weft_addr src;     /* RTA_PREFSRC, AF_UNSPEC = none */
	char dev[IFNAMSIZ]; /* "" = none (blackhole: the kernel reports lo for v6, the decoder clears it) */
	uint32_t window;    /* RTAX_WINDOW, 0 = none: carries a weight in table 179 */
};

/* Same in every field that weft sets. */
bool weft_route_equal(const struct weft_route *a, const struct weft_route *b);

/* As `ip route` prints it: "10.244.1.0/26 via 10.1.1.2 dev eth0 proto weft metric 16". Returns buf. */
#define WEFT_ROUTE_STR 256
const char *weft_route_str(const struct weft_route *r, char buf[WEFT_ROUTE_STR]);

#endif
