// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens in the kernel's tables, as it happens: devices, addresses and routes of both families; routers in the
 * neighbour table, for who asks.
 *
 * One multicast socket, so that events arrive in the kernel's order. The owner polls monitor_fd() and calls
 * monitor_read() when it is readable. After MONITOR_OVERFLOW events are missing: resync everything.
 *
 * What the kernel does not tell (net/ipv4/fib_frontend.c): v4 routes that vanish because their device went
 * down or away, or because their preferred source address was deleted.
 */
#ifndef WEFT_KERNEL_MONITOR_H
#define WEFT_KERNEL_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/kernel/addr_msg.h"
#include "agent/kernel/link_msg.h"
#include "agent/kernel/route_msg.h"
#include "weft/err.h"

enum monitor_type {
	MONITOR_ROUTE_NEW,
	MONITOR_ROUTE_DEL,
	MONITOR_LINK_NEW, /* new or changed */
	MONITOR_LINK_DEL,
	MONITOR_ADDR_NEW,
	MONITOR_ADDR_DEL,
	MONITOR_ROUTER, /* on a device an IPv6 neighbour that is a router came, changed or went */
	MONITOR_OVERFLOW,
};

struct monitor_event {
	enum monitor_type type;
	bool replace;  /* ROUTE_NEW: it took the place of the route with the same key (NLM_F_REPLACE) */
	uint32_t port; /* who made the change: struct netlink's port for our own; 0 = the kernel */
	union {
		struct route_info route;
		struct link_info link;
		struct addr_info addr;
		uint32_t router; /* index of the device */
	};
};

typedef void (*monitor_fn)(void *ctx, const struct monitor_event *ev);

struct monitor;

/* In the calling thread's network namespace. NULL on failure. */
struct monitor *monitor_open(struct weft_err *err);
void monitor_close(struct monitor *m);
int monitor_fd(const struct monitor *m);

/* From now on MONITOR_ROUTER is delivered, too, or no more. The kernel tells every change of every neighbour, pods
 * included, so nobody gets it unasked. */
int monitor_follow_routers(struct monitor *m, bool follow, struct weft_err *err);

/*
 * Deliver what is waiting, `max` datagrams at most (0: until nothing is left). Routes in other tables than
 * main, local and WEFT_TABLE_ADVERT are dropped undecoded. Returns 1 when more may wait, 0 when not, or a
 * negative errno when the socket is broken.
 */
int monitor_read(struct monitor *m, unsigned max, monitor_fn fn, void *ctx, struct weft_err *err);

#endif
