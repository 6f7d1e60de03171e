// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What BIRD does to the sessions when it is given another model.
 *
 * BIRD 2.0.12 compares the protocol's options as a whole: filters, limits, next hop, BFD and descriptions change
 * under a running session, everything else restarts it. tests/unit/test_bird_sessions.c tries each of these on a real
 * session, so this table and BIRD cannot drift apart.
 */
#include "agent/plan/bgp_int.h"

#include <string.h>

/* One side of a comparison. */
struct side {
	const struct bgp_model *m;
	const struct bgp_peer *p;
};

static bool same_addr(const struct weft_addr *a, const struct weft_addr *b)
{
	return !weft_addr_cmp(a, b);
}

static bool same_password(const struct bgp_peer *a, const struct bgp_peer *b)
{
	return a->password_len == b->password_len &&
	       (!a->password_len || !memcmp(a->password, b->password, a->password_len));
}

static bool strict(const struct side *s)
{
	return weft_addr_is_set(&s->m->listen_address[s->p->address.family == AF_INET6]);
}

static const char *place_changed(const struct side *a, const struct side *b)
{
	const struct bgp_peer *p = a->p, *q = b->p;

	if (!same_addr(&p->address, &q->address))
		return "address";
	if (strcmp(p->interface, q->interface))
		return "interface";
	if (!same_addr(&p->local, &q->local))
		return "sourceAddress";
	if (p->port != q->port)
		return "port";
	if (!same_addr(&a->m->router_id, &b->m->router_id))
		return "routerID";
	if (a->m->listen_port != b->m->listen_port)
		return "listenPort";
	return strict(a) != strict(b) ? "listenAddresses" : NULL;
}

static const char *session_changed(const struct bgp_peer *p, const struct bgp_peer *q)
{
	if (p->as_number != q->as_number)
		return "asNumber";
	if (p->local_as != q->local_as)
		return "localASNumber";
	if (p->multihop != q->multihop)
		return "multihop";
	if (p->ttl_security != q->ttl_security)
		return "ttlSecurity";
	if (p->passive != q->passive)
		return "passive";
	if (p->hold_s != q->hold_s || p->keepalive_s != q->keepalive_s ||
	    p->connect_retry_s != q->connect_retry_s)
		return "timers";
	if (!same_password(p, q))
		return "password";
	return p->allow_own_as != q->allow_own_as ? "allowOwnAS" : NULL;
}

static const char *capability_changed(const struct bgp_peer *p, const struct bgp_peer *q)
{
	if (p->restart != q->restart || p->restart_s != q->restart_s || p->long_lived_s != q->long_lived_s)
		return "gracefulRestart";
	if (p->reflector_client != q->reflector_client || !same_addr(&p->cluster_id, &q->cluster_id))
		return "routeReflector";
	if (p->add_path != q->add_path)
		return "addPath";
	for (int f = 0; f < 2; f++)
		if (p->channels[f].on != q->channels[f].on ||
		    p->channels[f].extended_next_hop != q->channels[f].extended_next_hop)
			return "families";
	return NULL;
}

static const char *restarts_for(const struct side *a, const struct side *b)
{
	const char *field = place_changed(a, b);

	field = field ? field : session_changed(a->p, b->p);
	return field ? field : capability_changed(a->p, b->p);
}

/* The rendered session of that name; NULL = none. */
static const struct bgp_peer *find(const struct bgp_model *m, const char *protocol)
{
	for (size_t i = 0; i < m->n_peers; i++)
		if (!m->peers[i].reason[0] && !strcmp(m->peers[i].protocol, protocol))
			return &m->peers[i];
	return NULL;
}

static void compare(const struct side *a, const struct side *b, bool shared, bgp_change_fn fn, void *ctx)
{
	const char *field = restarts_for(a, b);

	if (field)
		fn(ctx, b->p, BGP_SESSION_RESTARTS, field);
	else if (!shared || !bgp_peer_same(a->p, b->p))
		fn(ctx, b->p, BGP_SESSION_SOFT, NULL);
}

void bgp_model_restarts(const struct bgp_model *before, const struct bgp_model *after, bgp_change_fn fn,
                        void *ctx)
{
	bool shared = bgp_ranges_same(before, after);

	for (size_t i = 0; i < after->n_peers; i++) {
		struct side b = {after, &after->peers[i]};
		struct side a = {before, b.p->reason[0] ? NULL : find(before, b.p->protocol)};

		if (a.p)
			compare(&a, &b, shared, fn, ctx);
		else if (!b.p->reason[0])
			fn(ctx, b.p, BGP_SESSION_ADDED, NULL);
	}
	for (size_t i = 0; i < before->n_peers; i++) {
		const struct bgp_peer *p = &before->peers[i];

		if (!p->reason[0] && !find(after, p->protocol))
			fn(ctx, p, BGP_SESSION_REMOVED, NULL);
	}
}
