// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One Service -> all that the kernel needs for it. Pure: the Service with its slices and an environment in,
 * a plan out. Nobody else's Services are looked at; what two of them can't both have is settled by whoever
 * holds the plans (agent/daemon/services.c).
 *
 * How a packet travels (docs/services.md): a VIP is a local route, so the packet comes to INPUT (or OUTPUT,
 * from this node). There nftables judges it, IPVS at priority 99 takes it if it has a service for it, and
 * what is left is refused. So a plan has four parts:
 *
 *   vips      addresses: which need a local route of their own, which are announced
 *   virtuals  IPVS services with their destinations
 *   elements  of the sets in `inet weft`
 *   health    the count that healthCheckNodePort answers with
 *
 * Who gets what (proto and port are the Service's, or the node port on each node address):
 *
 *   destination                      endpoints >= 1 for its policy      none for it, some elsewhere   none at
 * all ClusterIP, iTP Cluster           virtual: cluster set               (can't be) nothing: refused (S14)
 *   ClusterIP, iTP Local             virtual: local set                 DROP (S15)                    nothing
 *   LB, external, eTP Cluster        virtual: cluster set, MASQ         (can't be)                    nothing
 *   LB, external, eTP Local          virtual: local set;                DROP;                         nothing
 *                                    ETPL mark -> fwmark virtual: cluster set, for pods and this node (S18)
 *   node port                        the same by eTP                    the same                      REFUSE
 * (S14)
 *
 * DROP does not concern marked packets. RANGED and SOURCE (S20) go with LB and external IPs of a Service that
 * has ranges of that family. HAIRPIN: one element for each destination address on this node. VIP: each vip
 * that has a route of its own (the service CIDRs are part of the table's shape).
 *
 * A destination has weight 1 if it is chosen. Every other endpoint of the port is listed with weight 0 and
 * `keep_only`: it stays only where the kernel has it already; for UDP only while it is serving (S27).
 */
#ifndef AGENT_PLAN_SERVICES_H
#define AGENT_PLAN_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/plan/adverts.h"
#include "agent/plan/endpoints.h"
#include "agent/state/services.h"
#include "weft/addr.h"

/* --- IPVS --- */

struct svc_virtual_key {       /* hashed as bytes: zero it first */
	struct weft_addr addr; /* of a fwmark service: the family, and zero bytes */
	uint8_t proto;         /* IPPROTO_*; 0 for a fwmark service */
	uint16_t port;         /* host order; 0 for a fwmark service */
	uint32_t fwmark;       /* 0 = by address */
};

#define SVC_SCHEDULER_MAX 16

/* IPVS scheduler flags as the kernel has them (linux/ip_vs.h). */
#define SVC_SCHED_FALLBACK 0x0008u /* IP_VS_SVC_F_SCHED1: sh-fallback, mh-fallback */
#define SVC_SCHED_PORT     0x0010u /* IP_VS_SVC_F_SCHED2: sh-port, mh-port */

struct svc_dest {
	struct weft_addr addr;
	uint16_t port;
	uint16_t weight;
	bool keep_only; /* weight 0, and only where the kernel already has it */
	bool tunnel;    /* packets go there as they are, by IPIP (agent/plan/handover.h); else by NAT */
};

struct svc_virtual {
	struct svc_virtual_key key;
	char scheduler[SVC_SCHEDULER_MAX];
	uint32_t sched_flags;   /* SVC_SCHED_* */
	uint32_t persistence_s; /* 0 = none */
	size_t first, n;        /* its part of dests; several may share one */
};

/* --- nftables --- */

enum svc_set {                  /* each exists for IPv4 and IPv6 */
	       SVC_SET_VIP,     /* addr */
	       SVC_SET_MASQ,    /* addr . proto . port */
	       SVC_SET_ETPL,    /* addr . proto . port : mark */
	       SVC_SET_DROP,    /* addr . proto . port */
	       SVC_SET_REFUSE,  /* addr . proto . port */
	       SVC_SET_RANGED,  /* addr . proto . port */
	       SVC_SET_SOURCE,  /* addr . proto . port . source prefix */
	       SVC_SET_HAIRPIN, /* addr . addr */
	       SVC_SET_COUNT
};

struct svc_element { /* compared and hashed as bytes without the mark: zero it first */
	struct weft_addr addr;
	struct weft_prefix source; /* SOURCE only */
	uint8_t set;               /* enum svc_set */
	uint8_t proto;             /* 0 where the set has none */
	uint16_t port;
	uint32_t mark; /* ETPL: the value */
};
#define SVC_ELEMENT_KEY offsetof(struct svc_element, mark)

/* --- the plan --- */

enum svc_vip_kind { SVC_VIP_CLUSTER, SVC_VIP_EXTERNAL, SVC_VIP_LB };

struct svc_vip {
	struct weft_addr addr;
	enum svc_vip_kind kind;
	bool route;          /* needs a local /32 or /128 of its own; else a service CIDR's route has it */
	bool advertise;      /* announce it from this node (as long as the dataplane holds it) */
	const char *why_not; /* why it is not announced, a constant sentence; NULL if it is */
	unsigned type;       /* WEFT_ADVERT_*: as what it would be announced */
	bool local;          /* its traffic goes to this node's endpoints only */
	uint32_t weight;     /* then: how many ready ones there are */
};

#define SVC_PROBLEM 256

struct svc_plan {
	struct svc_vip *vips;
	size_t n_vips;
	struct svc_virtual *virtuals;
	size_t n_virtuals;
	struct svc_dest *dests;
	size_t n_dests;
	struct svc_element *elements;
	size_t n_elements;
	char (*problems)[SVC_PROBLEM]; /* sentences that name field and value; what they concern is left out
	                                */
	size_t n_problems;
	uint16_t health_port;  /* 0 = none */
	uint32_t health_local; /* distinct local ready addresses */
	bool no_local[2]; /* internal, external policy Local: a port has endpoints, but none here (S15) */
	bool served;      /* false: S1, nothing is done for it */
};

/* What planning sees besides the Service. Borrowed for the call. */
struct svc_env {
	struct endpoints_env local;
	struct weft_addr ip4, ip6;          /* our InternalIPs */
	const struct weft_addr *node_addrs; /* that answer on node ports (S22) */
	size_t n_node_addrs;
	const struct weft_prefix *cidrs; /* service CIDRs: have a route as a whole */
	size_t n_cidrs;
	const struct weft_prefix *external_ips; /* externalIPs are allowed in these */
	size_t n_external_ips;
	const char *scheduler; /* default */
	/* Announcing. */
	bool drained;                             /* nothing is */
	const struct weft_object *const *adverts; /* BGPAdvertisements that select this node */
	size_t n_adverts;
	unsigned announce; /* WEFT_ADVERT_* that need none */
	/* The Namespace of that name, the IPPool that has an address; or NULL. */
	const struct weft_meta *(*ns)(void *ctx, const char *name);
	const struct weft_object *(*pool)(void *ctx, const struct weft_addr *addr);
	/* Does a Node of the cluster have this address? (H4) Its name or NULL. */
	const char *(*node_with)(void *ctx, const struct weft_addr *addr);
	/* Is it a pod address of this node, whatever the slice says? (hairpin) */
	bool (*own_pod)(void *ctx, const struct weft_addr *addr);
	/* The fwmark of a port's cluster set: same name, same mark, until it is given back. 0 = none left. */
	uint32_t (*mark)(void *ctx, const char *name);
	void *ctx;
};

/* Aborts when memory ends. Free with svc_plan_free(), also after served == false. */
void svc_plan(const struct services_view *service, const struct svc_env *env, struct svc_plan *out);
void svc_plan_free(struct svc_plan *p);

/* What a VIP of the Service is to BGPAdvertisements. Borrows from both and from what env's functions give. */
struct advert_subject svc_subject(const struct svc_env *env, const struct weft_meta *service,
                                  const struct svc_vip *v);

/* Is it a scheduler that weft offers? Sets its flags. rr wrr lc wlc sed nq sh dh mh lblc lblcr ovf fo */
bool svc_scheduler(const char *name, uint32_t *flags);

/* "10.96.0.10:53/UDP", "[fd00::1]:80/TCP", "fwmark 0x57000001 (IPv4)". Returns buf. */
#define SVC_KEY_STR 80
const char *svc_virtual_str(const struct svc_virtual_key *k, char buf[SVC_KEY_STR]);

#endif
