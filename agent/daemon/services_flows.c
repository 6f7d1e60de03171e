// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP flows to endpoints that are gone (S27): collected while Services are planned, flushed in one go when
 * IPVS has followed. Pods and this node use the cluster's endpoints of a Service with externalTrafficPolicy
 * Local (S18): there the fwmark service's endpoints count, which include the local ones.
 */
#include <netinet/in.h>

#include "agent/apply/conntrack.h"
#include "agent/daemon/services_private.h"
#include "weft/log.h"

static const struct svc_virtual *marked(const struct svc_plan *p, const struct weft_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < p->n_elements; i++) {
		const struct svc_element *e = &p->elements[i];

		if (e->set != SVC_SET_ETPL || e->proto != IPPROTO_UDP || e->port != port ||
		    weft_addr_cmp(&e->addr, addr))
			continue;
		for (size_t k = 0; k < p->n_virtuals; k++)
			if (p->virtuals[k].key.fwmark == e->mark &&
			    p->virtuals[k].key.addr.family == addr->family)
				return &p->virtuals[k];
	}
	return NULL;
}

static void add(struct serving *s, const struct svc_plan *p, const struct weft_addr *addr, uint16_t port,
                const struct svc_virtual *v)
{
	struct flow *f;

	if (!v->n)
		return;
	s->flows = must_grow(s->flows, s->n_flows + 1, sizeof(*s->flows));
	f = &s->flows[s->n_flows++];
	*f = (struct flow){.addr = *addr, .port = port, .n = v->n};
	f->serving = must_alloc(v->n, sizeof(*f->serving));
	memcpy(f->serving, &p->dests[v->first], v->n * sizeof(*f->serving));
}

void flows_collect(struct serving *s, const struct svc_plan *p)
{
	for (size_t i = 0; i < p->n_virtuals; i++) {
		const struct svc_virtual *v = &p->virtuals[i], *all;

		if (v->key.proto != IPPROTO_UDP)
			continue;
		all = marked(p, &v->key.addr, v->key.port);
		add(s, p, &v->key.addr, v->key.port, all ? all : v);
	}
}

void flows_flush(struct serving *s)
{
	struct conntrack_service *list;
	struct weft_err err = WEFT_ERR_INIT;
	size_t gone = 0;

	if (!s->n_flows)
		return;
	list = must_alloc(s->n_flows, sizeof(*list));
	for (size_t i = 0; i < s->n_flows; i++)
		list[i] = (struct conntrack_service){.addr = s->flows[i].addr,
		                                     .port = s->flows[i].port,
		                                     .serving = s->flows[i].serving,
		                                     .n_serving = s->flows[i].n};
	if (conntrack_flush_udp(s->o.conntrack, list, s->n_flows, &gone, &err) < 0)
		log_warning("UDP flows to endpoints that are gone: %s", err.text);
	else if (gone)
		log_debug("ended %zu UDP flows to endpoints that are gone", gone);
	free(list);
	flows_free(s);
}

void flows_free(struct serving *s)
{
	for (size_t i = 0; i < s->n_flows; i++)
		free(s->flows[i].serving);
	free(s->flows);
	s->flows = NULL;
	s->n_flows = 0;
}
