// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The blocks this node holds: keeps the cluster's IPBlocks, the allocation files of ipam/ and the demand for
 * addresses in step.
 *
 *	an IPBlock is ours, no file  -> make the file: from now on weft-cni allocates from it
 *	a file, no IPBlock of ours   -> remove it when it is empty; pods still use it: claim it again
 *	plan/blocks says claim       -> source->claim_block(), then the IPBlock arrives as an event
 *	plan/blocks says release     -> remove the file, so that nothing is allocated any more; then the claim
 *	an IPBlock is ours, no pool  -> as if it were not ours; but once it is empty plan/blocks releases it
 *
 * A file that must stay although the block is not ours is retired: its pods live on, but nothing new is
 * allocated from it, because another node may hand out the same addresses.
 *
 * One write to the datastore at a time. weft-cni asks for a block when a pod finds no address: such requests
 * wait here until there is one, or until it is certain that there will be none.
 */
#ifndef AGENT_DAEMON_HOLDINGS_H
#define AGENT_DAEMON_HOLDINGS_H

#include <uv.h>

#include "weft/err.h"
#include "weft/source.h"

#include "agent/plan/blocks.h"
#include "agent/state/cluster.h"
#include "ipam/host.h"

struct holdings;

struct holdings_options {
	uv_loop_t *loop;
	struct cluster *cluster;
	struct weft_ipam *ipam;
	struct weft_source *source;
	struct blocks_config demand;
	/* Something to look at again: call holdings_run() soon. */
	void (*on_change)(void *ctx);
	void *ctx;
};

int holdings_new(const struct holdings_options *o, struct holdings **out, struct weft_err *err);
void holdings_free(struct holdings *h); /* before the source's free */

/* Bring everything one step further. Cheap: it looks at our own blocks only. Nothing happens before SYNCED.
 */
void holdings_run(struct holdings *h);

/* One of our blocks has a free address of this family: done(NULL). Else why there is none. */
void holdings_request(struct holdings *h, uint8_t family, const char *pool,
                      void (*done)(void *ctx, const struct weft_err *err), void *ctx);

/* Has each family that some pool offers us a block? False before the first run. */
bool holdings_ready(const struct holdings *h);

/* What became of claims and releases of blocks, and how many requests of weft-cni wait for one. */
struct holdings_counts {
	uint64_t claimed, lost, failed; /* lost: another node was faster */
	uint64_t released, release_failed;
	size_t waiting;
};
struct holdings_counts holdings_counts(const struct holdings *h);

/* Lasting problems, one sentence each. */
void holdings_each_problem(const struct holdings *h, void (*fn)(void *ctx, const char *text), void *ctx);

#endif
