// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon's side of drains (agent/plan/drain.h): where the reasons come from, what follows from a stage, the
 * file that keeps them over a restart, and the commands of weftctl.
 *
 *	own Node, BGPConfig ---+
 *	weftctl drain, undrain-+--> plan/drain --stage--> LAST_RESORT: BIRD's filters, by bgp_params
 *	SIGTERM ---------------+                          WITHDRAWN: the node's VIPs leave table 179, by serving;
 *	                                                  a peer's by its filter alone
 *
 * A node that starts with a reason that no file knows has nothing to say goodbye to: it is withdrawn at once.
 */
#ifndef AGENT_DAEMON_DRAINING_H
#define AGENT_DAEMON_DRAINING_H

#include <cjson/cJSON.h>
#include <uv.h>

#include "agent/plan/drain.h"
#include "agent/serve/server.h"
#include "agent/state/cluster.h"
#include "weft/err.h"

struct draining;

struct draining_options {
	uv_loop_t *loop;
	const struct cluster *cluster;
	const char *state_dir;
	void (*on_change)(void *ctx); /* a stage changed: plan BGP and Services again */
	void (*on_wake)(void *ctx);   /* call draining_turn() soon */
	void *ctx;
};

/* Reads the file; one that can't be read is told in the log, and nothing is drained. */
int draining_new(const struct draining_options *o, struct draining **out, struct weft_err *err);
void draining_free(struct draining *d); /* NULL is fine; run the loop once more */

/* Take the reasons of our Node as it is now, and move on what is due. Cheap. */
void draining_turn(struct draining *d);

/* SIGTERM with drainOnStop: false when it is being stopped already (a second signal). */
bool draining_stop(struct draining *d);
/* After draining_stop(): withdrawn, and whoever wants to exit may. */
bool draining_stopped(const struct draining *d);

struct drain_state draining_state(const struct draining *d);
const struct bgp_peer_drain *draining_peers(const struct draining *d, size_t *n);

/* Why the node is drained, separated by commas; "" = it is not. */
void draining_reasons(const struct draining *d, struct weft_buf *out);

/* {"stage":..,"reasons":[..],"since":..,"withdrawnIn":SECONDS,"peers":[{"name":..,"stage":..}]}; the node's stage is
 * "beginning" or "ending" in a notice. */
cJSON *draining_view(const struct draining *d);

/* Commands `drain`, `undrain` ({"args":{"peer":NAME,"waitSeconds":N}}) and `draining` of the socket. */
int draining_register(struct draining *d, struct serve_server *server);

#endif
