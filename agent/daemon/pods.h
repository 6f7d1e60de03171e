// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pods of this node, as the files of ipam/ tell them: each used address with a host device is one wanted
 * route.
 *
 * weft-cni writes those files without asking anyone; we follow by inotify and read just the block that
 * changed. So a pod's route that somebody deletes comes back, and one whose address was released goes.
 */
#ifndef AGENT_DAEMON_PODS_H
#define AGENT_DAEMON_PODS_H

#include <uv.h>

#include "weft/err.h"

#include "agent/plan/wanted.h"
#include "ipam/host.h"

struct pods;

struct pods_options {
	uv_loop_t *loop;
	struct weft_ipam *ipam; /* borrowed */
	const char *dir;        /* its folder */
	struct wanted *wanted;  /* borrowed */
	/* Some block's file changed: counts are new. Called from the loop. */
	void (*on_change)(void *ctx);
	void *ctx;
};

/* Begins to watch and reads all blocks once. */
int pods_new(const struct pods_options *o, struct pods **out, struct weft_err *err);
void pods_free(struct pods *p);

/* Is there a file of this block? */
bool pods_know(const struct pods *p, const struct weft_prefix *cidr);

/* Read every block again (an inotify overflow, a repair). */
void pods_rescan(struct pods *p);

#endif
