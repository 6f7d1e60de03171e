// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What planning sees of this node: addresses that answer on node ports, service CIDRs, zone, announcements. A
 * change makes every Service dirty, and happens when an operator changes the node or the cluster, not when
 * pods come and go.
 */
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/daemon/services_private.h"
#include "weft/log.h"
#include "weft/marks.h"

#define ZONE_LABEL "topology.kubernetes.io/zone"

static const char *node_with(void *ctx, const struct weft_addr *addr)
{
	const struct serving *s = ctx;
	const struct weft_object *node = cluster_node_by_ip(s->o.cluster, addr);

	return node ? node->meta.name : NULL;
}

static bool own_pod(void *ctx, const struct weft_addr *addr)
{
	const struct serving *s = ctx;

	return cluster_self_has(s->o.cluster, addr);
}

static uint32_t mark_of(void *ctx, const char *name)
{
	struct serving *s = ctx;
	struct served *v = s->planning;

	if (v) {
		v->marks = must_grow(v->marks, v->n_marks + 1, sizeof(*v->marks));
		v->marks[v->n_marks++] = must_strdup(name);
	}
	return fwmarks_get(s->marks, name);
}

static const struct weft_meta *ns_of(void *ctx, const char *name)
{
	const struct serving *s = ctx;
	const struct weft_object *ns = name ? cluster_get(s->o.cluster, WEFT_NAMESPACE, name) : NULL;

	return ns ? &ns->meta : NULL;
}

static const struct weft_object *pool_of(void *ctx, const struct weft_addr *addr)
{
	const struct serving *s = ctx;

	return adverts_pool_of(s->o.cluster, addr);
}

void env_init(struct serving *s)
{
	const struct weft_config_services *c = &s->o.cfg->services;

	s->env = (struct svc_env){.external_ips = c->external_ips.cidr,
	                          .n_external_ips = c->external_ips.n,
	                          .scheduler = c->scheduler,
	                          .node_with = node_with,
	                          .own_pod = own_pod,
	                          .mark = mark_of,
	                          .ns = ns_of,
	                          .pool = pool_of,
	                          .ctx = s};
	s->env.local.node = cluster_self_name(s->o.cluster);
}

void env_free(struct serving *s)
{
	free(s->node_addrs);
	free(s->adverts);
}

/* --- node addresses (S22) --- */

struct addrs {
	struct serving *s;
	struct weft_addr *list;
	size_t n;
};

static bool answers(const struct serving *s, const struct weft_addr *a)
{
	const struct weft_config_services *c = &s->o.cfg->services;

	if (c->node_ports == WEFT_NODE_PORTS_PRIMARY)
		return !weft_addr_cmp(a, &s->ip4) || !weft_addr_cmp(a, &s->ip6);
	if (c->node_ports == WEFT_NODE_PORTS_ALL)
		return true;
	for (size_t i = 0; i < c->node_port_cidrs.n; i++)
		if (weft_prefix_contains(&c->node_port_cidrs.cidr[i], a))
			return true;
	return false;
}

static void add_addr(struct addrs *l, const struct weft_addr *a)
{
	if (!weft_addr_is_set(a) || !answers(l->s, a))
		return;
	for (size_t i = 0; i < l->n; i++)
		if (!weft_addr_cmp(&l->list[i], a))
			return;
	l->list = must_grow(l->list, l->n + 1, sizeof(*l->list));
	l->list[l->n++] = *a;
}

static bool add_net(void *ctx, const struct link_net *net)
{
	add_addr(ctx, &net->addr);
	return true;
}

static int by_addr(const void *a, const void *b)
{
	return weft_addr_cmp(a, b);
}

static bool refresh_addrs(struct serving *s)
{
	struct addrs l = {.s = s};
	bool same;

	links_underlay(s->o.links, add_net, &l);
	add_addr(&l, &s->ip4);
	add_addr(&l, &s->ip6);
	if (l.n)
		qsort(l.list, l.n, sizeof(*l.list), by_addr);
	same = l.n == s->n_node_addrs && (!l.n || !memcmp(l.list, s->node_addrs, l.n * sizeof(*l.list)));
	free(s->node_addrs);
	s->node_addrs = l.list;
	s->n_node_addrs = l.n;
	return !same;
}

/* --- service CIDRs --- */

struct cidrs {
	const struct serving *s;
	struct weft_prefix list[SERVING_CIDRS];
	size_t n;
	char fault[WEFT_ERR_TEXT];
};

/* Told once, though it is found again by each refresh. */
__attribute__((format(printf, 2, 3))) static void cidr_fault(struct cidrs *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->fault, sizeof(l->fault), fmt, ap);
	va_end(ap);
}

/* An address without a network may be a ClusterIP that another proxy has left on a device. */
static bool is_outside(void *ctx, const struct link_net *net)
{
	const struct weft_prefix **p = ctx;

	if (net->net.len == weft_addr_bits(net->addr.family) || !weft_prefix_contains(*p, &net->addr))
		return true;
	*p = NULL;
	return false;
}

/* Its local route would take the network that this node is in away from it. */
static bool takes_us(const struct serving *s, const struct weft_prefix *p)
{
	if (weft_prefix_contains(p, &s->ip4) || weft_prefix_contains(p, &s->ip6))
		return true;
	links_underlay(s->o.links, is_outside, &p);
	return !p;
}

static void add_cidr(struct cidrs *l, const struct weft_prefix *p)
{
	char text[WEFT_PREFIX_STR];

	for (size_t i = 0; i < l->n; i++)
		if (!weft_prefix_cmp(&l->list[i], p))
			return;
	if (takes_us(l->s, p))
		cidr_fault(
		        l,
		        "the service CIDR %s contains an address of this node: it is not served as a whole",
		        weft_prefix_str(p, text));
	else if (l->n == SERVING_CIDRS)
		cidr_fault(l, "more than %d service CIDRs: the rest is served address by address",
		           SERVING_CIDRS);
	else
		l->list[l->n++] = *p;
}

static bool add_object(void *ctx, const struct weft_object *obj)
{
	for (size_t i = 0; i < obj->servicecidr.n_cidrs; i++)
		add_cidr(ctx, &obj->servicecidr.cidrs[i]);
	return false;
}

static int by_prefix(const void *a, const void *b)
{
	return weft_prefix_cmp(a, b);
}

bool env_in_cidrs(const struct serving *s, const struct weft_addr *a)
{
	for (size_t i = 0; i < s->n_cidrs; i++)
		if (weft_prefix_contains(&s->cidrs[i], a))
			return true;
	return false;
}

static void owner_name(const char *what, const struct weft_prefix *p, char buf[WANTED_OWNER_MAX])
{
	char text[WEFT_PREFIX_STR];

	snprintf(buf, WANTED_OWNER_MAX, "%s/%s", what, weft_prefix_str(p, text));
}

bool env_can_serve(const struct serving *s, uint8_t family)
{
	return weft_addr_is_set(family == AF_INET6 ? &s->ip6 : &s->ip4);
}

static void want_cidr(struct serving *s, const struct weft_prefix *p, bool wanted)
{
	struct weft_route route = vips_route(s, p);
	char owner[WANTED_OWNER_MAX];
	struct weft_err err = WEFT_ERR_INIT;

	owner_name("service-cidr", p, owner);
	if (wanted_set(s->o.wanted, owner, &route, wanted && env_can_serve(s, p->addr.family) ? 1 : 0, &err) <
	    0)
		log_warning("route of the service CIDR: %s", err.text);
}

static struct advert_subject cidr_subject(const struct weft_prefix *p)
{
	return (struct advert_subject){.type = WEFT_ADVERT_CLUSTER, .prefix = *p};
}

static bool announces_cidrs(const struct serving *s)
{
	static const struct weft_prefix any;
	struct advert_subject subject = cidr_subject(&any);
	bool asked = s->env.announce & WEFT_ADVERT_CLUSTER;

	for (size_t i = 0; i < s->n_adverts && !asked; i++)
		asked = advert_chooses(&s->adverts[i]->bgpadvertisement, &subject);
	return asked && !s->drained;
}

static void announce_cidr(struct serving *s, const struct weft_prefix *p, bool wanted)
{
	struct advert_subject subject = cidr_subject(p);

	announcer_put(s->o.announcer, p, wanted ? &subject : NULL);
}

void serving_preview_cidrs(struct serving *s, struct announcer *to,
                           void (*said)(void *ctx, const struct weft_prefix *cidr), void *ctx)
{
	env_list_adverts(s);
	for (size_t i = 0; i < s->n_cidrs && announces_cidrs(s); i++) {
		struct advert_subject subject = cidr_subject(&s->cidrs[i]);

		if (!env_can_serve(s, s->cidrs[i].addr.family))
			continue;
		announcer_put(to, &s->cidrs[i], &subject);
		said(ctx, &s->cidrs[i]);
	}
}

void env_want_cidrs(struct serving *s)
{
	bool announces = announces_cidrs(s);

	if (!s->o.cfg->services.enabled)
		return;
	s->cidr_routes_due = s->n_cidrs;
	s->cidr_adverts_due = announces && s->n_cidrs;
	for (size_t i = 0; i < s->n_cidrs; i++)
		if (!announces || !env_can_serve(s, s->cidrs[i].addr.family))
			announce_cidr(s, &s->cidrs[i], false);
	s->withdrew |= announcer_settle(s->o.announcer);
}

bool env_route_cidrs(struct serving *s)
{
	bool due = s->cidr_routes_due;

	for (size_t i = 0; i < s->n_cidrs && due; i++)
		want_cidr(s, &s->cidrs[i], true);
	s->cidr_routes_due = false;
	return due;
}

static bool is_routed(const struct serving *s, const struct weft_prefix *p)
{
	struct weft_route_key key = vips_route(s, p).key;
	enum fib_state state;

	return fib_state_of(s->o.fib, &key, &state) && state == FIB_INSTALLED;
}

void env_announce_cidrs(struct serving *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_cidrs && s->cidr_adverts_due; i++)
		if (is_routed(s, &s->cidrs[i])) {
			announce_cidr(s, &s->cidrs[i], true);
			n++;
		}
	s->cidr_adverts_due = s->cidr_adverts_due && n < s->n_cidrs;
	s->withdrew |= announcer_settle(s->o.announcer);
}

static bool is_cidr(const struct serving *s, const struct weft_prefix *p)
{
	return s->n_cidrs && bsearch(p, s->cidrs, s->n_cidrs, sizeof(*p), by_prefix);
}

void env_leave_cidrs(struct serving *s)
{
	for (size_t i = 0; i < s->n_leaving; i++)
		if (!is_cidr(s, &s->leaving[i]))
			want_cidr(s, &s->leaving[i], false);
	s->n_leaving = 0;
}

bool env_routes(const struct serving *s, const struct weft_addr *a)
{
	for (size_t i = 0; i < s->n_cidrs; i++)
		if (weft_prefix_contains(&s->cidrs[i], a) && is_routed(s, &s->cidrs[i]))
			return true;
	return false;
}

/* Announcements end now, the route when what was in it has another. */
static void leave(struct serving *s, const struct weft_prefix *p)
{
	announce_cidr(s, p, false);
	if (s->n_leaving < SERVING_CIDRS)
		s->leaving[s->n_leaving++] = *p;
	else
		want_cidr(s, p, false);
}

static bool refresh_cidrs(struct serving *s)
{
	const struct weft_config_cidrs *c = &s->o.cfg->services.cidrs;
	struct cidrs l;

	memset(&l, 0, sizeof(l));
	l.s = s;
	for (size_t i = 0; i < c->n; i++)
		add_cidr(&l, &c->cidr[i]);
	cluster_each(s->o.cluster, WEFT_SERVICECIDR, add_object, &l);
	if (l.fault[0] && strcmp(l.fault, s->cidr_fault))
		log_warning("%s", l.fault);
	memcpy(s->cidr_fault, l.fault, sizeof(s->cidr_fault));
	qsort(l.list, l.n, sizeof(l.list[0]), by_prefix);
	if (l.n == s->n_cidrs && !memcmp(l.list, s->cidrs, l.n * sizeof(l.list[0])))
		return false;
	for (size_t i = 0; i < s->n_cidrs; i++)
		if (!bsearch(&s->cidrs[i], l.list, l.n, sizeof(l.list[0]), by_prefix))
			leave(s, &s->cidrs[i]);
	memcpy(s->cidrs, l.list, sizeof(s->cidrs));
	s->n_cidrs = l.n;
	return true;
}

/* --- our Node and the announcements --- */

static bool add_advert(void *ctx, const struct weft_object *obj)
{
	struct serving *s = ctx;
	const struct weft_object *self = cluster_self(s->o.cluster);

	if (!self || !weft_selector_matches(&obj->bgpadvertisement.node_selector, self->meta.labels,
	                                    self->meta.n_labels))
		return false;
	s->adverts = must_grow(s->adverts, s->n_adverts + 1, sizeof(struct weft_object *));
	s->adverts[s->n_adverts++] = obj;
	return false;
}

void env_list_adverts(struct serving *s)
{
	s->n_adverts = 0;
	cluster_each(s->o.cluster, WEFT_BGPADVERTISEMENT, add_advert, s);
	s->env.adverts = s->adverts;
	s->env.n_adverts = s->n_adverts;
}

/* The objects themselves may have changed in place of others: what they hold is what counts. */
static void add_digest(const struct weft_object *obj, uint8_t out[WEFT_DIGEST])
{
	uint8_t one[WEFT_DIGEST];

	weft_object_digest(obj, NULL, one);
	for (size_t k = 0; k < WEFT_DIGEST; k++)
		out[k] ^= one[k];
}

static bool take_digest(uint8_t known[WEFT_DIGEST], const uint8_t is[WEFT_DIGEST])
{
	bool other = memcmp(known, is, WEFT_DIGEST);

	memcpy(known, is, WEFT_DIGEST);
	return other;
}

static bool add_pool(void *ctx, const struct weft_object *obj)
{
	if (obj->ippool.use == WEFT_USE_LOADBALANCER)
		add_digest(obj, ctx);
	return false;
}

/* What BGPAdvertisements say, and the pools they speak of. */
static bool refresh_adverts(struct serving *s)
{
	uint8_t adverts[WEFT_DIGEST] = {0}, pools[WEFT_DIGEST] = {0};
	unsigned announce = adverts_announced(s->o.cluster);
	bool changed = announce != s->env.announce;

	env_list_adverts(s);
	for (size_t i = 0; i < s->n_adverts; i++)
		add_digest(s->adverts[i], adverts);
	if (s->n_adverts)
		cluster_each(s->o.cluster, WEFT_IPPOOL, add_pool, pools);
	s->env.announce = announce;
	changed |= take_digest(s->adverts_digest, adverts);
	changed |= take_digest(s->pools_digest, pools);
	return changed;
}

static bool refresh_self(struct serving *s)
{
	const struct weft_object *self = cluster_self(s->o.cluster);
	const char *zone;
	bool changed;

	if (!self)
		return false; /* gone for a moment: what was known stays */
	zone = weft_label_get(self->meta.labels, self->meta.n_labels, ZONE_LABEL);
	changed = strcmp(s->zone, zone ? zone : "");
	snprintf(s->zone, sizeof(s->zone), "%s", zone ? zone : "");
	return changed;
}

bool env_refresh(struct serving *s, const struct weft_addr *ip4, const struct weft_addr *ip6)
{
	bool changed = weft_addr_cmp(&s->ip4, ip4) || weft_addr_cmp(&s->ip6, ip6) || !s->known ||
	               s->env.drained != s->drained;

	s->ip4 = *ip4;
	s->ip6 = *ip6;
	s->known = true;
	changed |= refresh_self(s);
	changed |= refresh_addrs(s);
	changed |= refresh_cidrs(s);
	changed |= refresh_adverts(s);
	s->env.local.zone = s->zone[0] ? s->zone : NULL;
	s->env.ip4 = s->ip4;
	s->env.ip6 = s->ip6;
	s->env.node_addrs = s->node_addrs;
	s->env.n_node_addrs = s->n_node_addrs;
	s->env.cidrs = s->cidrs;
	s->env.n_cidrs = s->n_cidrs;
	s->env.drained = s->drained;
	return changed;
}
