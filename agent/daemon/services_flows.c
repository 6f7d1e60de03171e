// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP flows to endpoints that are gone (S27): found while Services are planned, flushed in one go when IPVS
 * has followed, by the endpoints that serve then. Pods and this node use the cluster's endpoints of a Service
 * with externalTrafficPolicy Local (S18): there the fwmark service's endpoints count, which include the local
 * ones.
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

static void know(struct served *v, const struct svc_virtual_key *key, const struct svc_virtual *who)
{
	if (!who->n)
		return;
	v->flows = must_grow(v->flows, v->n_flows + 1, sizeof(*v->flows));
	v->flows[v->n_flows++] =
	        (struct known_flow){.addr = key->addr, .port = key->port, .first = who->first, .n = who->n};
}

static int by_place(const struct svc_dest *a, const struct svc_dest *b)
{
	int c = weft_addr_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->port - (int)b->port;
}

/* Do all of these serve still? Both lists are sorted, as endpoints are. */
static bool all_serve(const struct svc_dest *was, size_t n_was, const struct svc_dest *is, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n_was; i++) {
		while (k < n && by_place(&is[k], &was[i]) < 0)
			k++;
		if (k == n || by_place(&is[k], &was[i]))
			return false;
	}
	return true;
}

/*
 * Is it to be flushed: new, or without an endpoint that it had, or still to be flushed? Plans list the same
 * addresses in the same order, as long as they have them.
 */
static bool is_due(const struct served *old, const struct served *v, const struct known_flow *k, size_t *at)
{
	for (size_t tries = 0; tries < old->n_flows; tries++, ++*at) {
		const struct known_flow *o = &old->flows[*at % old->n_flows];

		if (o->port == k->port && !weft_addr_cmp(&o->addr, &k->addr))
			return o->due ||
			       !all_serve(&old->flow_dests[o->first], o->n, &v->flow_dests[k->first], k->n);
	}
	return true;
}

static void put_off(struct serving *s, struct served *v)
{
	if (!v->flushes)
		DL_APPEND2(s->flushes, v, flush_prev, flush_next);
	v->flushes = true;
}

void flows_forget(struct serving *s, struct served *v)
{
	if (v->flushes)
		DL_DELETE2(s->flushes, v, flush_prev, flush_next);
	v->flushes = false;
	free(v->flows);
	free(v->flow_dests);
	v->flows = NULL;
	v->n_flows = 0;
	v->flow_dests = NULL;
}

static void know_flows(struct served *v, const struct svc_plan *p)
{
	for (size_t i = 0; i < p->n_virtuals; i++) {
		const struct svc_virtual *w = &p->virtuals[i], *all;

		if (w->key.proto != IPPROTO_UDP)
			continue;
		all = marked(p, &w->key.addr, w->key.port);
		know(v, &w->key, all ? all : w);
	}
	if (!v->n_flows)
		return;
	v->flow_dests = must_alloc(p->n_dests, sizeof(*v->flow_dests));
	memcpy(v->flow_dests, p->dests, p->n_dests * sizeof(*v->flow_dests));
}

/* Reading the kernel's connections costs more than all else: only for those who lost an endpoint, or are new.
 */
void flows_collect(struct serving *s, struct served *v, const struct svc_plan *p)
{
	struct served old = {.flows = v->flows, .n_flows = v->n_flows, .flow_dests = v->flow_dests};
	size_t at = 0;

	v->flows = NULL;
	v->flow_dests = NULL;
	flows_forget(s, v);
	know_flows(v, p);
	for (size_t i = 0; i < v->n_flows; i++) {
		v->flows[i].due = is_due(&old, v, &v->flows[i], &at);
		if (v->flows[i].due)
			put_off(s, v);
	}
	flows_forget(s, &old);
}

static size_t take_due(struct served *v, struct conntrack_service *list)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_flows; i++) {
		struct known_flow *f = &v->flows[i];

		if (f->due && list)
			list[n] = (struct conntrack_service){.addr = f->addr,
			                                     .port = f->port,
			                                     .serving = &v->flow_dests[f->first],
			                                     .n_serving = f->n};
		n += f->due ? 1 : 0;
		f->due = f->due && !list;
	}
	return n;
}

void flows_flush(struct serving *s)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct conntrack_service *list;
	struct served *v, *next;
	size_t n = 0, gone = 0;

	if (!s->flushes)
		return;
	DL_FOREACH2(s->flushes, v, flush_next)
	n += take_due(v, NULL);
	list = must_alloc(n, sizeof(*list));
	n = 0;
	DL_FOREACH_SAFE2(s->flushes, v, next, flush_next)
	{
		n += take_due(v, &list[n]);
		v->flushes = false;
	}
	s->flushes = NULL;
	if (conntrack_flush_udp(s->o.conntrack, list, n, &gone, &err) < 0)
		log_warning("UDP flows to endpoints that are gone: %s", err.text);
	else if (gone)
		log_debug("ended %zu UDP flows to endpoints that are gone", gone);
	free(list);
}
