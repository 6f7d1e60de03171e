// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Services as they are kept here: copies of what matters for addresses, and the lists of their namespace and
 * their sharing key.
 */
#include <stdio.h>

#include "ipam/lb_int.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

void lb_copy_labels(const struct weft_label *from, size_t n, struct weft_label **to, size_t *n_to)
{
	*to = lb_alloc(n, sizeof(**to));
	*n_to = n;
	for (size_t i = 0; i < n; i++)
		(*to)[i] = (struct weft_label){lb_strdup(from[i].key), lb_strdup(from[i].value)};
}

void lb_free_labels(struct weft_label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(labels[i].key);
		free(labels[i].value);
	}
	free(labels);
}

/* Namespaces */

/* An API server gives every Namespace this label; a namespace that only Services name has it here too. */
static void name_label(struct lb_ns *ns)
{
	if (weft_label_get(ns->labels, ns->n_labels, NAME_LABEL))
		return;
	ns->labels = lb_grow(ns->labels, ns->n_labels + 1, sizeof(*ns->labels));
	ns->labels[ns->n_labels++] = (struct weft_label){lb_strdup(NAME_LABEL), lb_strdup(ns->name)};
}

static struct lb_ns *ns_need(struct lb *lb, const char *name)
{
	struct lb_ns *ns;

	LB_FIND(lb, lb->namespaces, name, strlen(name), ns);
	if (ns)
		return ns;
	ns = lb_alloc(1, sizeof(*ns));
	ns->name = lb_strdup(name);
	name_label(ns);
	LB_ADD(lb, lb->namespaces, ns->name, strlen(ns->name), ns);
	return ns;
}

static void ns_drop_if_unused(struct lb *lb, struct lb_ns *ns)
{
	if (ns->exists || ns->services)
		return;
	HASH_DEL(lb->namespaces, ns);
	lb_free_labels(ns->labels, ns->n_labels);
	free(ns->name);
	free(ns);
}

void lb_ns_put(struct lb *lb, const char *name, const struct weft_object *obj)
{
	struct lb_ns *ns = ns_need(lb, name);
	struct lb_svc *s;

	lb_free_labels(ns->labels, ns->n_labels);
	ns->labels = NULL;
	ns->n_labels = 0;
	ns->exists = obj;
	if (obj)
		lb_copy_labels(obj->meta.labels, obj->meta.n_labels, &ns->labels, &ns->n_labels);
	name_label(ns);
	DL_FOREACH2(ns->services, s, ns_next)
	lb_mark(lb, s);
	ns_drop_if_unused(lb, ns);
}

/* Sharing */

static void leave_share(struct lb *lb, struct lb_svc *s)
{
	struct lb_share *share = s->share;

	if (!share)
		return;
	s->share = NULL;
	DL_DELETE2(share->services, s, share_prev, share_next);
	if (share->services)
		return;
	HASH_DEL(lb->shares, share);
	free(share->key);
	free(share);
}

static void join_share(struct lb *lb, struct lb_svc *s)
{
	const char *key = s->req.share;
	struct lb_share *share;

	if (!key || !s->ours)
		return;
	LB_FIND(lb, lb->shares, key, strlen(key), share);
	if (!share) {
		share = lb_alloc(1, sizeof(*share));
		share->key = lb_strdup(key);
		LB_ADD(lb, lb->shares, share->key, strlen(share->key), share);
	}
	s->share = share;
	DL_APPEND2(share->services, s, share_prev, share_next);
}

static bool ports_collide(const struct lb_svc *a, const struct lb_svc *b)
{
	for (size_t i = 0; i < a->n_ports; i++)
		for (size_t j = 0; j < b->n_ports; j++)
			if (a->ports[i].port == b->ports[j].port &&
			    a->ports[i].protocol == b->ports[j].protocol)
				return true;
	return false;
}

static bool same_selector(const struct lb_svc *a, const struct lb_svc *b)
{
	/* Without a selector the endpoints are made by hand: nothing tells that they are the same. */
	if (!a->n_selector || a->n_selector != b->n_selector)
		return false;
	for (size_t i = 0; i < a->n_selector; i++) {
		const char *value = weft_label_get(b->selector, b->n_selector, a->selector[i].key);

		if (!value || strcmp(value, a->selector[i].value))
			return false;
	}
	return true;
}

bool lb_may_share(const struct lb_svc *a, const struct lb_svc *b)
{
	if (!a->share || a->share != b->share || a->local != b->local)
		return false;
	return !ports_collide(a, b) && (!a->local || same_selector(a, b));
}

/* Services */

struct lb_svc *lb_svc_find(const struct lb *lb, const char *key)
{
	struct lb_svc *s;

	LB_FIND(lb, lb->services, key, strlen(key), s);
	return s;
}

struct lb_svc *lb_svc_need(struct lb *lb, const char *key)
{
	struct lb_svc *s = lb_svc_find(lb, key);
	char ns[WEFT_NAME_MAX + 1];

	if (s)
		return s;
	s = lb_alloc(1, sizeof(*s));
	s->key = lb_strdup(key);
	snprintf(ns, sizeof(ns), "%.*s", (int)strcspn(key, "/"), key);
	s->ns = ns_need(lb, ns);
	DL_APPEND2(s->ns->services, s, ns_prev, ns_next);
	LB_ADD(lb, lb->services, s->key, strlen(s->key), s);
	lb->count[s->state]++;
	return s;
}

static void empty(struct lb *lb, struct lb_svc *s)
{
	leave_share(lb, s);
	lb_free_labels(s->labels, s->n_labels);
	lb_free_labels(s->selector, s->n_selector);
	free(s->ports);
	lb_request_free(&s->req);
}

void lb_svc_drop(struct lb *lb, struct lb_svc *s)
{
	lb_out_of_lists(lb, s);
	empty(lb, s);
	DL_DELETE2(s->ns->services, s, ns_prev, ns_next);
	ns_drop_if_unused(lb, s->ns);
	lb->count[s->state]--;
	HASH_DEL(lb->services, s);
	free(s->message);
	free(s->key);
	free(s);
}

/* Another loadBalancerClass is another controller's: its Service and its status are not touched. */
static bool is_ours(const struct lb *lb, const struct weft_service *spec)
{
	if (spec->type != WEFT_SERVICE_LOADBALANCER)
		return false;
	return spec->load_balancer_class ? !strcmp(spec->load_balancer_class, WEFT_LB_CLASS)
	                                 : lb->default_class;
}

static void copy_ports(const struct weft_service *spec, struct lb_svc *s)
{
	s->n_ports = spec->n_ports;
	s->ports = lb_alloc(spec->n_ports, sizeof(*s->ports));
	for (size_t i = 0; i < spec->n_ports; i++)
		s->ports[i] = (struct weft_service_port){.protocol = spec->ports[i].protocol,
		                                         .port = spec->ports[i].port};
}

void lb_svc_fill(struct lb *lb, struct lb_svc *s, const struct weft_object *obj)
{
	const struct weft_service *spec = &obj->service;

	empty(lb, s);
	s->ours = is_ours(lb, spec);
	s->deleting = obj->meta.deleting;
	s->families = spec->family_policy;
	s->local = spec->external_policy == WEFT_POLICY_LOCAL;
	for (int f = 0; f < LB_FAMILIES; f++)
		s->want[f] = !spec->headless && weft_addr_is_set(&spec->cluster_ips[f]);
	lb_copy_labels(obj->meta.labels, obj->meta.n_labels, &s->labels, &s->n_labels);
	lb_copy_labels(spec->selector, spec->n_selector, &s->selector, &s->n_selector);
	copy_ports(spec, s);
	lb_request_read(obj, &s->req);
	join_share(lb, s);
}
