// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BGPPeers that select this node: where each of them is, and whether it can be there.
 *
 * One with an address makes one session. One with an interface alone, or with the default gateway, makes one for
 * each router that was seen there; while none is, it stays in the model with that as its reason.
 */
#include "agent/plan/bgp_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "weft/keyhash.h"

void bgp_refuse(struct bgp_peer *p, const char *fmt, ...)
{
	va_list ap;

	if (*p->reason) /* the first says enough */
		return;
	va_start(ap, fmt);
	vsnprintf(p->reason, sizeof(p->reason), fmt, ap);
	va_end(ap);
}

void bgp_warn(struct bgp_model *m, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < m->n_warnings; i++)
		if (!strcmp(m->warnings[i], text))
			return;
	m->warnings = must_grow(m->warnings, m->n_warnings + 1, sizeof(*m->warnings));
	m->warnings[m->n_warnings++] = must_strdup(text);
}

const struct weft_addr *bgp_on_link(const struct bgp_build *b, const struct weft_addr *a)
{
	const struct weft_addr *internal_ip = a->family == AF_INET6 ? &b->m->ip6 : &b->m->ip4;
	const struct weft_addr *found = NULL;
	uint8_t len = 0;

	for (size_t i = 0; i < b->params->n_links; i++) {
		const struct routes_link *l = &b->params->links[i];

		if (!weft_prefix_contains(&l->prefix, a))
			continue;
		if (!weft_addr_cmp(&l->addr, internal_ip))
			return &l->addr;
		if (!found || l->prefix.len >= len) {
			found = &l->addr;
			len = l->prefix.len;
		}
	}
	return found;
}

/* The peers before this one have precedence. */
static void refuse_twin(const struct bgp_model *m, struct bgp_peer *p)
{
	for (size_t i = 0; i < m->n_peers && !*p->reason; i++) {
		const struct bgp_peer *q = &m->peers[i];
		const char *kind = q->origin == BGP_PEER_OBJECT ? "BGPPeer" : "the session with Node";

		if (!strcmp(q->protocol, p->protocol))
			bgp_refuse(p, "its protocol name %s is that of %s %.150s", p->protocol, kind,
			           q->name);
		else if (!*q->reason && !weft_addr_cmp(&q->address, &p->address) &&
		         !strcmp(q->interface, p->interface))
			bgp_refuse(p, "%s %.200s has the same address", kind, q->name);
	}
}

static void set_drain(const struct bgp_params *params, struct bgp_peer *p)
{
	p->drain = params->drain;
	for (size_t i = 0; i < params->n_peer_drains; i++)
		if (p->origin == BGP_PEER_OBJECT && !strcmp(params->peer_drains[i].peer, p->name) &&
		    params->peer_drains[i].stage > p->drain)
			p->drain = params->peer_drains[i].stage;
}

void bgp_peer_add(struct bgp_build *b, struct bgp_peer *p)
{
	refuse_twin(b->m, p);
	if (*p->reason) {
		p->password = NULL;
		p->password_len = 0;
	} else {
		set_drain(b->params, p);
		bgp_exports(b, p);
	}
	if (b->m->n_peers == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 4;
		b->m->peers = must_grow(b->m->peers, b->cap, sizeof(*b->m->peers));
	}
	b->m->peers[b->m->n_peers++] = *p;
}

/* BIRD knows our end of a link-local session by the interface. */
static void set_local(const struct bgp_build *b, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	int v6 = p->address.family == AF_INET6;
	const struct weft_addr *link = bgp_on_link(b, &p->address);

	if (p->interface[0])
		p->local = spec->source;
	else if (weft_addr_is_set(&spec->source))
		p->local = spec->source;
	else if (weft_addr_is_set(&b->m->listen_address[v6]))
		p->local = b->m->listen_address[v6];
	else
		p->local = link ? *link : v6 ? b->m->ip6 : b->m->ip4;
}

static void check_local(const struct bgp_build *b, struct bgp_peer *p)
{
	unsigned version = p->address.family == AF_INET6 ? 6 : 4;
	char text[WEFT_ADDR_STR];

	weft_addr_str(&p->local, text);
	if (p->interface[0] && weft_addr_is_set(&b->m->listen_address[1]))
		bgp_refuse(
		        p,
		        "BGPConfig's listenAddresses name an IPv6 address: BIRD does not listen for link-local peers");
	else if (p->interface[0] && weft_addr_is_set(&p->local) && !weft_addr_is_link_local(&p->local))
		bgp_refuse(p, "its source address %s is not link-local, as the peer's is", text);
	else if (!p->interface[0] && !weft_addr_is_set(&p->local))
		bgp_refuse(p, "its address %s is IPv%u and our Node has no IPv%u InternalIP",
		           weft_addr_str(&p->address, text), version, version);
	else if (weft_addr_is_set(&p->local) && p->local.family != p->address.family)
		bgp_refuse(p, "its source address %s is not of the peer's family", text);
	else if (!weft_addr_cmp(&p->address, &p->local))
		bgp_refuse(p, "its address %s is our own", weft_addr_str(&p->address, text));
}

/* What BIRD takes for an interface's name inside quotes. */
static bool interface_fits(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < IFNAMSIZ &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static void set_address(const struct bgp_build *b, const struct weft_bgppeer *spec, const char *interface,
                        struct bgp_peer *p)
{
	bool link_local = weft_addr_is_link_local(&p->address);
	char text[WEFT_ADDR_STR];

	weft_addr_str(&p->address, text);
	if (link_local && p->address.family == AF_INET6 && interface && interface_fits(interface))
		snprintf(p->interface, sizeof(p->interface), "%s", interface);
	else if (link_local && p->address.family == AF_INET6 && interface)
		bgp_refuse(p, "\"%.50s\" is no interface name that BIRD takes", interface);
	else if (link_local && p->address.family == AF_INET6)
		bgp_refuse(p, "its address %s is link-local: it needs an interface", text);
	else if (!weft_addr_is_host(&p->address))
		bgp_refuse(p, "%s is not a unicast address that a peer can have here", text);
	set_local(b, spec, p);
	check_local(b, p);
}

static void plan_at(struct bgp_build *b, const struct weft_object *obj, const struct weft_addr *address,
                    const char *interface, const char *more)
{
	struct bgp_peer p = {.name = obj->meta.name, .origin = BGP_PEER_OBJECT, .address = *address};

	bgp_protocol_name("peer_", obj->meta.name, more, p.protocol);
	set_address(b, &obj->bgppeer, interface, &p);
	bgp_options(b, obj, &p);
	bgp_peer_add(b, &p);
}

static void plan_waiting(struct bgp_build *b, const struct weft_object *obj)
{
	const struct weft_bgppeer *spec = &obj->bgppeer;
	struct bgp_peer p = {.name = obj->meta.name, .origin = BGP_PEER_OBJECT};

	bgp_protocol_name("peer_", obj->meta.name, NULL, p.protocol);
	bgp_clean(spec->description, p.description, sizeof(p.description));
	if (spec->default_gateway)
		bgp_refuse(&p, "waits for a default gateway%s%.20s", spec->interface ? " on " : "",
		           spec->interface ? spec->interface : "");
	else if (spec->interface)
		bgp_refuse(&p, "waits for a router on %.20s", spec->interface);
	else
		bgp_refuse(&p, "it has neither an address nor an interface");
	bgp_peer_add(b, &p);
}

static bool seen_link_local(const struct bgp_params *params, const char *dev)
{
	for (size_t i = 0; i < params->n_neighbours; i++)
		if (!strcmp(params->neighbours[i].dev, dev) &&
		    weft_addr_is_link_local(&params->neighbours[i].addr))
			return true;
	return false;
}

/* Unnumbered means link-local; a router that has such an address is not taken a second time by another. */
static bool is_meant(const struct bgp_params *params, const struct weft_bgppeer *spec,
                     const struct bgp_neighbour *n)
{
	if (spec->interface && strcmp(spec->interface, n->dev))
		return false;
	if (spec->default_gateway)
		return n->gateway;
	return spec->interface && (weft_addr_is_link_local(&n->addr) || !seen_link_local(params, n->dev));
}

static void plan_discovered(struct bgp_build *b, const struct weft_object *obj)
{
	bool any = false;

	for (size_t i = 0; i < b->params->n_neighbours; i++) {
		const struct bgp_neighbour *n = &b->params->neighbours[i];
		char more[IFNAMSIZ + WEFT_ADDR_STR + 1], text[WEFT_ADDR_STR];

		if (!is_meant(b->params, &obj->bgppeer, n))
			continue;
		snprintf(more, sizeof(more), "%s%%%s", weft_addr_str(&n->addr, text), n->dev);
		plan_at(b, obj, &n->addr, n->dev, more);
		any = true;
	}
	if (!any)
		plan_waiting(b, obj);
}

static bool plan_object(void *ctx, const struct weft_object *obj)
{
	struct bgp_build *b = ctx;
	const struct weft_bgppeer *spec = &obj->bgppeer;

	if (!weft_selector_matches(&spec->node_selector, b->self->meta.labels, b->self->meta.n_labels))
		return false;
	if (weft_addr_is_set(&spec->address))
		plan_at(b, obj, &spec->address, spec->interface, NULL);
	else
		plan_discovered(b, obj);
	return false;
}

void bgp_plan_objects(struct bgp_build *b)
{
	cluster_each(b->c, WEFT_BGPPEER, plan_object, b);
}
