// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl plan`: what other manifests would change, before they are there.
 *
 * A child process does it: fork() gives it the agent as it is, with all that planning knows of this node. It closes
 * every descriptor but the one for its answer, so that it can reach neither kernel nor BIRD nor anybody else; plans the
 * present state, applies the manifests to its own copy of the state, plans again by the same functions, and tells the
 * difference. The parent waits for the answer on its loop.
 *
 *	ahead.c		the request, the child's life
 *	ahead_state.c	manifests -> events: kinds that the folder has replace those of the state
 *	ahead_plan.c	what is wanted as lines, twice; the difference as JSON
 *	ahead_announce.c announcements among it, and classes that are new
 */
#ifndef AGENT_DAEMON_AHEAD_H
#define AGENT_DAEMON_AHEAD_H

#include <cjson/cJSON.h>
#include <limits.h>

#include "agent/daemon/agent.h"

struct ahead {
	char dir[PATH_MAX];   /* the manifests */
	char shown[PATH_MAX]; /* what the user calls that folder */
	bool complete;        /* they are all there is: kinds that the folder does not have go */
	bool config;          /* dir has a .config: another weft.yaml */
};

/* In the child: the whole answer. NULL: err says why. */
cJSON *ahead_run(struct agent *a, const struct ahead *q, struct weft_err *err);

/* Apply the folder to the agent's state. `kept`: kinds that stay as they are; `invalid`: malformed objects. */
int ahead_apply(struct agent *a, const struct ahead *q, cJSON *kept, cJSON *invalid, struct weft_err *err);

/* --- ahead_announce.c --- */

struct ahead_lines { /* malloc'd, for the life of the process */
	char **list;
	size_t n, cap;
};

void ahead_line(struct ahead_lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct ahead_announced;

/* Before anything is planned: with the numbers that are in use now. */
struct ahead_announced *ahead_announced_new(const struct agent *a);
void ahead_announce_block(struct ahead_announced *d, struct agent *a, const struct weft_prefix *cidr);
void ahead_announce_vip(struct ahead_announced *d, struct agent *a, const struct services_view *v,
                        const struct svc_vip *vip);
/* That was all: a line for each, and agent_bgp_model() has the classes. */
void ahead_announced_end(struct ahead_announced *d, struct agent *a, struct ahead_lines *l);

/* [{change, metric, type, advertisements}] */
void ahead_add_classes(const struct ahead_announced *before, const struct ahead_announced *after,
                       cJSON *list);

/* --- ahead.c --- */

/* The command `plan` of the socket. args: dir, shown, complete, config */
int view_plan(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err);

#endif
