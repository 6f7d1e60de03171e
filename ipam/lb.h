// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LoadBalancer IPs: which Service gets which address of which pool. No I/O, no clock.
 *
 * Objects go in one by one (pools with use LoadBalancer, Services, Namespaces for their labels); what the
 * controller has to write comes out (lb_next). The rules:
 * - Before lb_ready() nothing is assigned: every assignment that the Services' statuses hold is adopted
 * first.
 * - An assigned IP never moves. If its pool vanished, was edited or does not select the Service any more, the
 * Service keeps it and its condition says "Conflict".
 * - Asked for by name: spec.loadBalancerIP or the annotation weft.dev/load-balancer-ips (a list, one per
 * family); from a pool by name: weft.dev/ip-pool. What was asked for and can't be had is not replaced by
 * something else.
 * - Otherwise from the pools with autoAssign that select the Service and its namespace: lowest priority
 * first, then name order; the lowest free address. With avoidBuggyIPs never .0 or .255.
 * - Families: those of the Service's ClusterIPs.
 * - Sharing: Services with the same weft.dev/allow-shared-ip may have one IP if no protocol and port collide
 * and both have externalTrafficPolicy Cluster, or both Local and the same selector.
 * - An IP is free again when its Service is gone, is of another type, or has another loadBalancerClass.
 *
 * One change costs what it concerns: the Service, or the Services of the pool.
 */
#ifndef WEFT_IPAM_LB_H
#define WEFT_IPAM_LB_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/object.h"

struct lb;

/* default_class: Services without loadBalancerClass are ours too. */
struct lb *lb_new(bool default_class);
void lb_free(struct lb *lb);

/*
 * The objects are borrowed for the call. ingress: what the Service's status says now (services_view). A
 * Service that is no LoadBalancer of ours is given too: it may have been one.
 */
void lb_put_service(struct lb *lb, const struct weft_object *service, const struct weft_addr *ingress,
                    size_t n);
void lb_del_service(struct lb *lb, const char *key);
void lb_put_pool(struct lb *lb, const struct weft_object *pool); /* of any use; those for pods are ignored */
void lb_del_pool(struct lb *lb, const char *name);
void lb_put_namespace(struct lb *lb, const struct weft_object *ns);
void lb_del_namespace(struct lb *lb, const char *name);

/* Everything that exists has been put: from now on IPs are assigned. */
void lb_ready(struct lb *lb);

enum lb_state {
	LB_NONE,     /* not ours, or not a LoadBalancer: no status of ours */
	LB_ASSIGNED, /* has all that it should have */
	LB_PENDING,  /* can't have (all of) it: reason and message say why */
	LB_CONFLICT, /* keeps what it has, though the pools do not say so any more */
};

struct lb_service {
	const char *key; /* borrowed until the next call */
	enum lb_state state;
	struct weft_addr ips[2];
	size_t n_ips;
	const char *reason; /* CamelCase: "Assigned", "PoolExhausted", "NoSuchPool", "AddressInUse", ... */
	char message[320];  /* one sentence with pool, address, other Service as they apply */
};

/* The next Service whose answer differs from what lb_next() said of it last (or from its status when it was
 * put). */
bool lb_next(struct lb *lb, struct lb_service *out);
/* What is decided for one Service; false: unknown. */
bool lb_get(const struct lb *lb, const char *key, struct lb_service *out);

/* How many Services are in each state; counted as they change. */
#define LB_STATES 4
void lb_counts(const struct lb *lb, size_t out[LB_STATES]);

struct lb_pool {
	const char *name;
	uint64_t capacity; /* saturates */
	uint64_t used;     /* addresses */
	size_t conflicts;  /* Services that hold an address which this pool had when it was given */
};
/* The next pool whose figures changed; all pools in name order (i from 0 until false). */
bool lb_next_pool(struct lb *lb, struct lb_pool *out);
bool lb_pool_at(const struct lb *lb, size_t i, struct lb_pool *out);

#endif
