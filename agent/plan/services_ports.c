// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One port of a Service in one family: for each address and port that leads to it the verdict of the table in
 * services.h.
 *
 * All destinations of one policy have the same endpoints, so the plan's list of destinations has each set
 * once and the virtuals share it.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "agent/plan/services_int.h"
#include "weft/cleanup.h"

enum way { TO_CLUSTER_IP, TO_EXTERNAL, TO_NODE_PORT };

struct part { /* of the plan's dests */
	size_t first, n;
	bool made;
};

struct port_job {
	struct svc_job *j;
	const struct weft_service_port *port;
	uint8_t family;
	struct endpoints endpoints;
	struct part cluster, local;
	/* The fwmark service of S18. */
	uint32_t mark;
	bool asked;  /* for the mark: once */
	bool remaps; /* an endpoint's port is not the one that it is reached by */
};

/* --- elements --- */

static struct svc_element *add_element(struct svc_job *j, enum svc_set set, const struct weft_addr *addr)
{
	struct svc_plan *p = j->out;
	struct svc_element *e;

	p->elements = svc_grow(p->elements, p->n_elements, &j->room.elements, sizeof(*p->elements));
	e = &p->elements[p->n_elements++];
	memset(e, 0, sizeof(*e));
	e->set = (uint8_t)set;
	e->addr = *addr;
	return e;
}

static struct svc_element *add_port_element(const struct port_job *p, enum svc_set set,
                                            const struct weft_addr *addr, uint16_t number)
{
	struct svc_element *e = add_element(p->j, set, addr);

	e->proto = p->port->protocol;
	e->port = number;
	return e;
}

void svc_vip_elements(struct svc_job *j)
{
	for (size_t i = 0; i < j->out->n_vips; i++)
		if (j->out->vips[i].route)
			add_element(j, SVC_SET_VIP, &j->out->vips[i].addr);
}

/* --- destinations --- */

/* S27: what would get a UDP datagram must serve; a TCP connection to an endpoint that is unready goes on. */
static bool may_stay(const struct port_job *p, const struct endpoints_item *e)
{
	return p->port->protocol != IPPROTO_UDP || (e->conditions & WEFT_ENDPOINT_SERVING);
}

static void add_dest(struct svc_job *j, const struct endpoints_item *e, bool chosen)
{
	struct svc_plan *p = j->out;

	p->dests = svc_grow(p->dests, p->n_dests, &j->room.dests, sizeof(*p->dests));
	p->dests[p->n_dests++] =
	        (struct svc_dest){.addr = e->addr, .port = e->port, .weight = chosen, .keep_only = !chosen};
}

static const struct part *part_of(struct port_job *p, bool local)
{
	struct part *part = local ? &p->local : &p->cluster;

	if (part->made)
		return part;
	part->made = true;
	part->first = p->j->out->n_dests;
	for (size_t i = 0; i < p->endpoints.n; i++) {
		const struct endpoints_item *e = &p->endpoints.items[i];
		bool chosen = local ? e->in_local : e->in_cluster;

		if (chosen || may_stay(p, e))
			add_dest(p->j, e, chosen);
		if (chosen && (e->local || p->j->env->own_pod(p->j->env->ctx, &e->addr)))
			add_element(p->j, SVC_SET_HAIRPIN, &e->addr);
	}
	part->n = p->j->out->n_dests - part->first;
	return part;
}

/* --- virtuals --- */

static struct svc_virtual *add_virtual(const struct port_job *p, const struct part *part)
{
	struct svc_job *j = p->j;
	struct svc_plan *out = j->out;
	struct svc_virtual *v;

	out->virtuals = svc_grow(out->virtuals, out->n_virtuals, &j->room.virtuals, sizeof(*out->virtuals));
	v = &out->virtuals[out->n_virtuals++];
	memset(v, 0, sizeof(*v));
	v->key.addr.family = p->family;
	memcpy(v->scheduler, j->scheduler, strnlen(j->scheduler, sizeof(v->scheduler) - 1));
	v->sched_flags = j->sched_flags;
	v->persistence_s = j->svc->affinity_s;
	v->first = part->first;
	v->n = part->n;
	return v;
}

static void add_address_virtual(struct port_job *p, const struct weft_addr *addr, uint16_t number, bool local)
{
	struct svc_virtual *v = add_virtual(p, part_of(p, local));

	v->key.addr = *addr;
	v->key.proto = p->port->protocol;
	v->key.port = number;
}

/*
 * H7: a persistent fwmark service leaves the destination port as it came. Where that is wrong, hashing the
 * source address keeps a client at its endpoint.
 */
static void add_mark_virtual(struct port_job *p)
{
	struct svc_virtual *v = add_virtual(p, part_of(p, false));

	v->key.fwmark = p->mark;
	if (!v->persistence_s || !p->remaps)
		return;
	v->persistence_s = 0;
	snprintf(v->scheduler, sizeof(v->scheduler), "sh");
	v->sched_flags = SVC_SCHED_FALLBACK;
}

static const char *protocol_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : "SCTP";
}

/* One mark stands for the port, whichever address it is reached by. */
static uint32_t mark_of(struct port_job *p)
{
	weft_autofree char *name = NULL;

	if (p->asked)
		return p->mark;
	p->asked = true;
	if (asprintf(&name, "%s/%s/%s/%d", p->j->view->key, p->port->name, protocol_name(p->port->protocol),
	             p->family == AF_INET6 ? 6 : 4) < 0)
		abort();
	p->mark = p->j->env->mark(p->j->env->ctx, name);
	if (!p->mark)
		svc_problem(p->j,
		            "externalTrafficPolicy: Local: no firewall mark is left for port %u/%s, "
		            "pods on this node reach local endpoints only",
		            p->port->port, protocol_name(p->port->protocol));
	return p->mark;
}

/* S18: pods and processes of this node get the cluster's endpoints. */
static void add_mark(struct port_job *p, const struct weft_addr *addr, uint16_t number)
{
	uint32_t mark = mark_of(p);

	if (!mark)
		return;
	add_port_element(p, SVC_SET_ETPL, addr, number)->mark = mark;
	if (!p->j->svc->affinity_s)
		return;
	for (size_t i = 0; i < p->endpoints.n && !p->remaps; i++)
		p->remaps = p->endpoints.items[i].port != number;
}

/* --- source ranges (S20) --- */

static int by_prefix(const void *a, const void *b)
{
	return weft_prefix_cmp(a, b);
}

/* Sorted, and none inside another: a kernel set of intervals takes no overlap. */
void svc_ranges(struct svc_job *j)
{
	const struct weft_service *s = j->svc;
	bool all[SVC_FAMILIES] = {false};

	if (!s->n_source_ranges)
		return;
	j->ranges = must_alloc(s->n_source_ranges, sizeof(*j->ranges));
	memcpy(j->ranges, s->source_ranges, s->n_source_ranges * sizeof(*j->ranges));
	qsort(j->ranges, s->n_source_ranges, sizeof(*j->ranges), by_prefix);
	for (size_t i = 0; i < s->n_source_ranges; i++) {
		int family = svc_index(j->ranges[i].addr.family);

		all[family] = all[family] || !j->ranges[i].len;
		j->ranged[family] = !all[family];
		if (!j->n_ranges || !weft_prefix_covers(&j->ranges[j->n_ranges - 1], &j->ranges[i]))
			j->ranges[j->n_ranges++] = j->ranges[i];
	}
}

static void add_ranges(const struct port_job *p, const struct weft_addr *addr)
{
	const struct svc_job *j = p->j;

	if (!j->ranged[svc_index(p->family)])
		return;
	add_port_element(p, SVC_SET_RANGED, addr, p->port->port);
	for (size_t i = 0; i < j->n_ranges; i++)
		if (j->ranges[i].addr.family == p->family)
			add_port_element(p, SVC_SET_SOURCE, addr, p->port->port)->source = j->ranges[i];
}

/* --- the verdicts --- */

/* The table's rules know ClusterIPs by the service CIDRs (S21); where none is known each is told of. */
static bool in_cidrs(const struct svc_env *env, const struct weft_addr *addr)
{
	for (size_t i = 0; i < env->n_cidrs; i++)
		if (weft_prefix_contains(&env->cidrs[i], addr))
			return true;
	return false;
}

static void add_drop(struct port_job *p, const struct weft_addr *addr, uint16_t number, enum way way)
{
	add_port_element(p, SVC_SET_DROP, addr, number);
	p->j->out->no_local[way != TO_CLUSTER_IP] = true;
}

static void lead_here(struct port_job *p, const struct weft_addr *addr, uint16_t number, enum way way)
{
	const struct weft_service *s = p->j->svc;
	bool local = (way == TO_CLUSTER_IP ? s->internal_policy : s->external_policy) == WEFT_POLICY_LOCAL;
	size_t n = local ? p->endpoints.n_local : p->endpoints.n_cluster;

	if (n)
		add_address_virtual(p, addr, number, local);
	else if (p->endpoints.n_usable)
		add_drop(p, addr, number, way);
	else if (way == TO_NODE_PORT)
		add_port_element(p, SVC_SET_REFUSE, addr, number);
	if (way == TO_CLUSTER_IP) {
		if (n && !in_cidrs(p->j->env, addr))
			add_port_element(p, SVC_SET_MASQ, addr, number);
		return;
	}
	if (n && !local)
		add_port_element(p, SVC_SET_MASQ, addr, number);
	if (local && p->endpoints.n_cluster)
		add_mark(p, addr, number);
	if (way == TO_EXTERNAL)
		add_ranges(p, addr);
}

static bool has_node_port(const struct port_job *p)
{
	enum weft_service_type type = p->j->svc->type;

	return p->port->node_port && (type == WEFT_SERVICE_NODEPORT || type == WEFT_SERVICE_LOADBALANCER);
}

static void lead_all_here(struct port_job *p)
{
	const struct svc_plan *out = p->j->out;
	const struct svc_env *env = p->j->env;

	for (size_t i = 0; i < out->n_vips; i++)
		if (out->vips[i].addr.family == p->family)
			lead_here(p, &out->vips[i].addr, p->port->port,
			          out->vips[i].kind == SVC_VIP_CLUSTER ? TO_CLUSTER_IP : TO_EXTERNAL);
	for (size_t i = 0; i < env->n_node_addrs && has_node_port(p); i++)
		if (env->node_addrs[i].family == p->family)
			lead_here(p, &env->node_addrs[i], p->port->node_port, TO_NODE_PORT);
}

/* What the whole Service needs to know of this port. */
static void report(const struct port_job *p)
{
	struct svc_job *j = p->j;
	int family = svc_index(p->family);

	j->chosen[family] = j->chosen[family] || p->endpoints.n_cluster;
	if (!p->endpoints.n_local_ready)
		return;
	for (size_t i = 0; i < p->endpoints.n; i++) {
		const struct endpoints_item *e = &p->endpoints.items[i];

		if (!e->local || !(e->conditions & WEFT_ENDPOINT_READY))
			continue;
		j->ready = svc_grow(j->ready, j->n_ready, &j->room.ready, sizeof(*j->ready));
		j->ready[j->n_ready++] = e->addr;
	}
}

void svc_port(struct svc_job *j, const struct weft_service_port *port, uint8_t family)
{
	struct port_job p = {.j = j, .port = port, .family = family};

	endpoints_choose(j->view->slices, j->view->n_slices, family, port->name, port->protocol,
	                 &j->env->local, &p.endpoints);
	lead_all_here(&p);
	if (p.mark)
		add_mark_virtual(&p);
	report(&p);
	endpoints_free(&p.endpoints);
}
