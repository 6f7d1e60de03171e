// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The controller: gives LoadBalancer Services their IPs. One process of the cluster does it at a time.
 *
 *	event --> controller_on_event(): which keys to look at --(the loop's next turn)--> stores --> ipam/lb
 *	ipam/lb: what is decided --> source->put_status() of Services and IPPools; what failed is tried again
 *
 * It stands for the role "controller" once the source has delivered everything. Who begins to lead builds
 * ipam/lb anew from the stores, so that every IP in every status is adopted before the first one is given;
 * who ends forgets it. Between the two, other processes' controllers only watch which statuses there are.
 *
 * A status whose Service is gone is removed: when the Service goes, and when a reign begins.
 */
#ifndef AGENT_DAEMON_CONTROLLER_H
#define AGENT_DAEMON_CONTROLLER_H

#include <stdbool.h>
#include <uv.h>

#include "weft/err.h"
#include "weft/source.h"

#include "agent/state/cluster.h"
#include "agent/state/services.h"

struct controller;
struct cJSON;

/* The type of the condition in a Service's status; its reasons are ipam/lb.h's. */
#define CONTROLLER_CONDITION "weft.dev/LoadBalancer"

/* Another: False while a Service, or a part of it, is not served as it is written. */
#define CONTROLLER_SERVED "weft.dev/Served"

/* In the status of weft's own objects, there and False as long as weft refuses the object. */
#define CONTROLLER_ACCEPTED "weft.dev/Accepted"

#define CONTROLLER_TEXT 1024

struct controller_options {
	uv_loop_t *loop;
	struct weft_source *source;
	const struct cluster *cluster;
	const struct services *services;
	bool default_class;   /* Services without loadBalancerClass are ours too */
	const char *identity; /* of this process, for people; copied */
	uint64_t retry_ms;    /* after a write that failed; 0 = 5 s */
	/* Why a Service is not served as it is written, as this node sees it; "" = it is. NULL: nobody knows.
	 */
	void (*problem)(void *ctx, const char *key, char text[CONTROLLER_TEXT]);
	void *ctx;
};

int controller_new(const struct controller_options *o, struct controller **out, struct weft_err *err);
void controller_free(struct controller *c); /* before the source's free, in the same turn of the loop */

/* Every event of the source, before the stores take it: the keys are noted, the rest is read from the stores
 * in the loop's next turn. */
void controller_on_event(struct controller *c, const struct weft_event *ev);

/* What problem() says of a Service may have changed. */
void controller_retell(struct controller *c, const char *key);

/* For metrics: all of it is counted already. */
struct lb;
struct controller_summary {
	bool leading;
	size_t failed_writes;
	const struct lb *lb; /* of whoever leads; else NULL */
};
struct controller_summary controller_summary(const struct controller *c);

/* For status: {"leading":...,"identity":...,"services":{"assigned":..,"pending":..,"conflict":..},
 * "problems":[{"service":..,"reason":..,"message":..}],"pools":[{"name":..,"capacity":..,"used":..,
 * "conflicts":..}],"failedWrites":..,"error":..}; services, problems and pools only while it leads. */
struct cJSON *controller_describe(const struct controller *c);

#endif
