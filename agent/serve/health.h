// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HTTP answers for load balancers and probes (S25, S26), by libmicrohttpd on the daemon's own loop.
 *
 * - One listener per Service with a healthCheckNodePort, on all addresses: any path; 200 if it has local
 * ready endpoints and the proxy is healthy, else 503; headers and body as S25 says.
 * - The proxy's own: /healthz and /livez as S26 says, other paths 404.
 *
 * No thread, no timer of its own while nobody asks. A connection may take 10 s and 8 KiB of headers at most;
 * at most 64 connections per listener.
 */
#ifndef AGENT_SERVE_HEALTH_H
#define AGENT_SERVE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "weft/addr.h"
#include "weft/err.h"

/* Asked for each answer. */
struct health_proxy {
	bool live;               /* no queued update is older than 60 s */
	bool node_eligible;      /* the node is known, not being deleted, without the autoscaler's taint */
	uint64_t last_update_ms; /* Unix time of the last update that was applied */
};
typedef void (*health_proxy_fn)(void *ctx, struct health_proxy *out);

struct health;

int health_new(uv_loop_t *loop, health_proxy_fn proxy, void *ctx, struct health **out, struct weft_err *err);
void health_free(struct health *h); /* run the loop once more afterwards */

/* The proxy's own server. addr AF_UNSPEC: all addresses. */
int health_listen(struct health *h, const struct weft_addr *addr, uint16_t port, struct weft_err *err);

/* How often the proxy's own server answered what. */
struct health_counts {
	uint64_t healthz_ok, healthz_unavailable, livez_ok, livez_unavailable;
};
struct health_counts health_counts(const struct health *h);

/*
 * A Service's listener; called again it changes port or count. A port that can't be bound is an error that
 * names the Service and the port; it is tried again at the next call.
 */
int health_want(struct health *h, const char *ns, const char *name, uint16_t port, uint32_t local_endpoints,
                struct weft_err *err);
void health_unwant(struct health *h, const char *ns, const char *name);

#endif
