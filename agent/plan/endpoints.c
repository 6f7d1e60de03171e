// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/endpoints.h"

#include <string.h>

#include "weft/keyhash.h"
#include "weft/cleanup.h"

/* An entry of a slice that counts for the port, before duplicates are gone. */
struct candidate {
	const struct weft_endpoint *endpoint;
	size_t seq; /* slices come in name order: decides between equals */
	uint16_t port;
	bool local;
};

static bool has(uint8_t conditions, uint8_t all_of)
{
	return (conditions & all_of) == all_of;
}

static bool ready(uint8_t conditions)
{
	return has(conditions, WEFT_ENDPOINT_READY);
}

/* Goes on serving while it terminates: the second choice (S11). */
static bool draining(uint8_t conditions)
{
	return !ready(conditions) && has(conditions, WEFT_ENDPOINT_SERVING | WEFT_ENDPOINT_TERMINATING);
}

static bool port_matches(const struct weft_service_port *p, const char *name, uint8_t protocol)
{
	return p->port && p->protocol == protocol && !strcmp(p->name, name);
}

/* S8: which of two entries for one address and port describes it. Lower is better. */
static int badness(const struct candidate *c)
{
	uint8_t conditions = c->endpoint->conditions;

	return (has(conditions, WEFT_ENDPOINT_TERMINATING) ? 8 : 0) + (ready(conditions) ? 0 : 4) +
	       (has(conditions, WEFT_ENDPOINT_SERVING) ? 0 : 2) + (c->local ? 0 : 1);
}

static int by_place(const struct candidate *a, const struct candidate *b)
{
	int r = weft_addr_cmp(&a->endpoint->addr, &b->endpoint->addr);

	return r ? r : (a->port > b->port) - (a->port < b->port);
}

static int by_place_best_first(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;
	int r = by_place(a, b);

	if (!r)
		r = badness(a) - badness(b);
	return r ? r : (a->seq > b->seq) - (a->seq < b->seq);
}

struct query {
	uint8_t family, protocol;
	const char *port_name;
	const struct endpoints_env *env;
};

/* An address that no other machine can have must never become a way into this one. */
static bool counts(const struct query *q, const struct weft_endpoint *e)
{
	return e->addr.family == q->family && weft_addr_is_host(&e->addr);
}

static size_t collect_port(const struct query *q, const struct weft_endpointslice *s, uint16_t port,
                           struct candidate **list, size_t n)
{
	*list = must_grow(*list, n + s->n_endpoints, sizeof(**list));
	for (size_t i = 0; i < s->n_endpoints; i++) {
		const struct weft_endpoint *e = &s->endpoints[i];

		if (!counts(q, e))
			continue;
		(*list)[n] = (struct candidate){.endpoint = e,
		                                .seq = n,
		                                .port = port,
		                                .local = e->node && !strcmp(e->node, q->env->node)};
		n++;
	}
	return n;
}

static size_t collect(const struct query *q, const struct weft_endpointslice *const *slices, size_t n_slices,
                      struct candidate **list)
{
	size_t n = 0;

	for (size_t i = 0; i < n_slices; i++) {
		const struct weft_endpointslice *s = slices[i];

		if (s->family != q->family)
			continue;
		for (size_t k = 0; k < s->n_ports; k++)
			if (port_matches(&s->ports[k], q->port_name, q->protocol))
				n = collect_port(q, s, s->ports[k].port, list, n);
	}
	return n;
}

/* Sort and keep the best of each address and port. */
static size_t distinct(struct candidate *c, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(c, n, sizeof(*c), by_place_best_first);
	for (size_t i = 0; i < n; i++)
		if (!kept || by_place(&c[kept - 1], &c[i]))
			c[kept++] = c[i];
	return kept;
}

static bool names(char *const *hints, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(hints[i], what))
			return true;
	return false;
}

/* S12: what the ready endpoints' hints say for this node. */
enum hints { HINTS_NONE, HINTS_NODE, HINTS_ZONE };

static bool hinted(const struct weft_endpoint *e, enum hints by, const struct endpoints_env *env)
{
	switch (by) {
	case HINTS_NODE:
		return names(e->nodes, e->n_nodes, env->node);
	case HINTS_ZONE:
		return env->zone && names(e->zones, e->n_zones, env->zone);
	case HINTS_NONE:
		break;
	}
	return true;
}

static enum hints hints_in_force(const struct candidate *c, size_t n, const struct endpoints_env *env)
{
	bool all_nodes = true, all_zones = true, our_node = false, our_zone = false;

	for (size_t i = 0; i < n; i++) {
		const struct weft_endpoint *e = c[i].endpoint;

		if (!ready(e->conditions))
			continue;
		all_nodes = all_nodes && e->n_nodes;
		all_zones = all_zones && e->n_zones;
		our_node = our_node || hinted(e, HINTS_NODE, env);
		our_zone = our_zone || hinted(e, HINTS_ZONE, env);
	}
	if (all_nodes && our_node)
		return HINTS_NODE;
	return all_zones && our_zone ? HINTS_ZONE : HINTS_NONE;
}

/* S11: ready ones; those that still serve while they terminate if nothing is ready, here or anywhere. */
static void choose(struct endpoints *out, const struct candidate *c, const struct endpoints_env *env)
{
	enum hints by = hints_in_force(c, out->n, env);
	bool any_ready = false, local_ready = false;

	for (size_t i = 0; i < out->n; i++) {
		bool r = ready(out->items[i].conditions);

		any_ready = any_ready || r;
		local_ready = local_ready || (r && out->items[i].local);
	}
	for (size_t i = 0; i < out->n; i++) {
		struct endpoints_item *e = &out->items[i];
		bool r = ready(e->conditions), d = draining(e->conditions);

		e->in_cluster = any_ready ? r && hinted(c[i].endpoint, by, env) : d;
		e->in_local = e->local && (local_ready ? r : d);
		out->n_cluster += e->in_cluster;
		out->n_local += e->in_local;
		out->n_usable += r || d;
	}
}

static size_t count_local_ready(const struct endpoints *e)
{
	const struct weft_addr *last = NULL;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct endpoints_item *it = &e->items[i];

		if (!it->local || !ready(it->conditions) || (last && !weft_addr_cmp(last, &it->addr)))
			continue;
		last = &it->addr;
		n++;
	}
	return n;
}

void endpoints_choose(const struct weft_endpointslice *const *slices, size_t n_slices, uint8_t family,
                      const char *port_name, uint8_t protocol, const struct endpoints_env *env,
                      struct endpoints *out)
{
	struct query q = {.family = family, .protocol = protocol, .port_name = port_name, .env = env};
	weft_autofree struct candidate *c = NULL;
	size_t n = collect(&q, slices, n_slices, &c);

	*out = (struct endpoints){0};
	if (!n)
		return;
	out->n = distinct(c, n);
	out->items = must_alloc(out->n, sizeof(*out->items));
	for (size_t i = 0; i < out->n; i++)
		out->items[i] = (struct endpoints_item){.addr = c[i].endpoint->addr,
		                                        .port = c[i].port,
		                                        .conditions = c[i].endpoint->conditions,
		                                        .local = c[i].local,
		                                        .node = c[i].endpoint->node};
	choose(out, c, env);
	out->n_local_ready = count_local_ready(out);
}

void endpoints_free(struct endpoints *e)
{
	free(e->items);
	*e = (struct endpoints){0};
}
