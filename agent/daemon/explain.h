// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl bgp explain`: why a prefix is, or is not, announced to whom; and of one that peers announce, what became of
 * it here. A chain of what each part says, in the order in which one follows from the other:
 *
 *	object -> wanted -> kernel (table 179) -> BIRD's table adv -> each peer: session, filter, what it gets
 *	peers that offer it -> the one that BIRD chose -> the kernel's route -> the tunnel beside it
 *
 *	explain.c		the request, and the end of the chain: questions to BIRD, the verdict
 *	explain_subject.c	what is asked about, and the chain as far as weft itself knows it
 */
#ifndef AGENT_DAEMON_EXPLAIN_H
#define AGENT_DAEMON_EXPLAIN_H

#include <cjson/cJSON.h>

#include "agent/bird/show.h"
#include "agent/daemon/agent.h"

#define EXPLAIN_TARGETS 8 /* prefixes of one request: a Service has several */

/* One prefix. JSON: {"prefix","kind","own","steps":[{"step","text"}],"peers":[...],"verdict","why"} */
struct explain_target {
	struct weft_prefix prefix;
	bool own;      /* this node's to announce, else something that peers may announce */
	bool optional; /* one of a Service's addresses that need not be announced, and is not wanted */
	char why[256]; /* own: why it is not wanted, "" = it is */
	cJSON *item, *steps;
};

struct explain_targets {
	struct explain_target list[EXPLAIN_TARGETS];
	size_t n;
};

/* Add {"step":..,"text":..} to a list. */
void explain_step(cJSON *steps, const char *step, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Read PREFIX, ADDRESS or NAMESPACE/NAME, and begin a target, with its steps up to the kernel, for each prefix that
 * this means. Items are the caller's. */
int explain_targets(struct agent *a, const struct bgp_model *m, const char *text, struct explain_targets *out,
                    struct weft_err *err);

/* Classes of the target's routes in table 179, the covering ones too. Returns how many. */
struct explain_route {
	struct weft_prefix prefix;
	uint32_t metric;
	bool installed;
};
#define EXPLAIN_ROUTES 8
size_t explain_routes(const struct agent *a, const struct weft_prefix *prefix,
                      struct explain_route out[EXPLAIN_ROUTES]);

/* The command `bgp` of the socket. */
int view_bgp(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err);

#endif
