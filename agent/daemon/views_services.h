// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Behind `weftctl services` and `weftctl trace`: views_services.c shows what is wanted beside what the kernel
 * has, trace.c follows one packet.
 */
#ifndef AGENT_DAEMON_VIEWS_SERVICES_H
#define AGENT_DAEMON_VIEWS_SERVICES_H

#include <cjson/cJSON.h>

#include "agent/daemon/services.h"
#include "agent/serve/server.h"

struct services_views { /* all borrowed */
	struct serving *serving;
	const struct services *services;
	struct ipvs *ipvs;
	/* for trace */
	struct netlink *nl;
	const struct links *links;
};

/* ctx: struct services_views. args.service: NAMESPACE/NAME; without it, the list. */
int view_services(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                  struct weft_err *err);

/* args: src (an address, or "node"), dst; port and protocol, or none of both. */
int view_trace(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err);

#endif
