// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside of agent/plan/services*.c. Nobody else includes this.
 *
 *	services.c        svc_plan(): the order of things, the lists of a plan, schedulers, names of keys
 *	services_vips.c   which addresses a Service has here, and which of them are announced
 *	services_ports.c  virtuals and elements of one port in one family
 *
 * A job is one call of svc_plan(). VIPs come first (ports need them), then the ports of each family, which
 * leave in the job what announcing and health need to know; then everything is sorted, so that a plan depends
 * on objects and not on the order in which they came.
 */
#ifndef AGENT_PLAN_SERVICES_INT_H
#define AGENT_PLAN_SERVICES_INT_H

#include "agent/plan/services.h"
#include "weft/keyhash.h"

#define SVC_FAMILIES 2 /* index 0 is IPv4, 1 is IPv6, as in weft_service.cluster_ips */

/* A growing list of the plan: its room. */
struct svc_room {
	size_t vips, virtuals, dests, elements, problems, ready;
};

struct svc_job {
	const struct services_view *view;
	const struct weft_service *svc;
	const struct svc_env *env;
	struct svc_plan *out;
	struct svc_room room;

	const char *scheduler;
	uint32_t sched_flags;
	struct weft_prefix *ranges; /* S20: sorted, none inside another; NULL = none */
	size_t n_ranges;
	bool ranged[SVC_FAMILIES]; /* only what the ranges contain may come in */

	/* Of all ports. */
	bool chosen[SVC_FAMILIES]; /* an endpoint by policy Cluster */
	struct weft_addr *ready;   /* local ready addresses, of each port anew */
	size_t n_ready;
	uint32_t local_ready[SVC_FAMILIES]; /* how many distinct ones */
};

static inline int svc_index(uint8_t family)
{
	return family == AF_INET6;
}

/* Room for one more; returns the list. */
static inline void *svc_grow(void *list, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return list;
	*room = n ? 2 * n : 8;
	return must_grow(list, *room, size);
}

/* A sentence for whoever asks why. */
__attribute__((format(printf, 2, 3))) void svc_problem(struct svc_job *j, const char *fmt, ...);

/* services_vips.c */
void svc_vips(struct svc_job *j);
void svc_advertise(struct svc_job *j);

/* services_ports.c */
void svc_vip_elements(struct svc_job *j);
void svc_ranges(struct svc_job *j);
void svc_port(struct svc_job *j, const struct weft_service_port *port, uint8_t family);

#endif
