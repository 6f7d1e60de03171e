// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Handlers behind weftd's socket. views.c: lists that the daemon knows by itself; status.c: status;
 * views_peers.c, views_bird.c: the ones that show what BIRD has.
 */
#ifndef AGENT_DAEMON_VIEWS_H
#define AGENT_DAEMON_VIEWS_H

#include <cjson/cJSON.h>

#include "agent/daemon/agent.h"

#define BIRD_VIEW_MS 9000 /* weftctl waits 10 s */

/* Nothing is added for an address that isn't set. */
void view_addr(cJSON *to, const char *name, const struct weft_addr *a);
void view_prefix(cJSON *to, const char *name, const struct weft_prefix *p);

int view_status(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                struct weft_err *err);
int view_peers(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err);
/* args.received or args.advertised: a peer; also args.prefix, args.limit. */
int view_bird_routes(struct agent *a, struct serve_request *req, const cJSON *args, struct weft_err *err);
int view_bird(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err);
int view_claim(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err);

#endif
