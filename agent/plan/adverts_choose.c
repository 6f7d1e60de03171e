// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which BGPAdvertisements choose a prefix, and as what it is announced. Those that ask for one aggregation length
 * form one class: a Service that is announced as /32 to the rack and as /24 to the world has two routes in table
 * 179, each with its own class.
 */
#include <string.h>

#include "agent/plan/adverts.h"
#include "weft/cleanup.h"
#include "weft/keyhash.h"

static const char no_pool[] =
        "announced as a single address: no IPPool has it, so an aggregate has no bounds";
static const char too_wide[] =
        "announced as a single address: the aggregate would reach beyond the IPPool's addresses";
static const char too_many[] = "announced as a single address: too many different aggregation lengths";

/* --- does it choose? --- */

static bool selects(const struct weft_selector *s, const struct weft_meta *m)
{
	return !s->n_reqs || (m && weft_selector_matches(s, m->labels, m->n_labels));
}

static bool has_pool(const struct weft_bgpadvertisement *b, const struct weft_object *pool)
{
	for (size_t i = 0; pool && i < b->n_pools; i++)
		if (!strcmp(b->pools[i], pool->meta.name))
			return true;
	return !b->n_pools;
}

bool advert_chooses(const struct weft_bgpadvertisement *b, const struct advert_subject *s)
{
	return (b->types & s->type) && has_pool(b, s->pool) && selects(&b->service_selector, s->service) &&
	       selects(&b->namespace_selector, s->ns);
}

unsigned adverts_announced(const struct cluster *c)
{
	const struct weft_object *config = cluster_get(c, WEFT_BGPCONFIG, "default");

	return config ? config->bgpconfig.announce : WEFT_ANNOUNCE_DEFAULT;
}

const char *advert_type_name(unsigned type)
{
	return type == WEFT_ADVERT_LOADBALANCER ? "LoadBalancerIP"
	       : type == WEFT_ADVERT_EXTERNAL   ? "ExternalIP"
	       : type == WEFT_ADVERT_CLUSTER    ? "ClusterIP"
	                                        : "PodBlock";
}

/* --- pools --- */

static bool range_covers(const struct weft_range *r, const struct weft_prefix *p)
{
	struct weft_addr last = weft_prefix_last(p);

	return r->first.family == p->addr.family && weft_addr_cmp(&r->first, &p->addr) <= 0 &&
	       weft_addr_cmp(&last, &r->last) <= 0;
}

/* The pool has all of the prefix: in its cidr, or in one of its ranges. */
static bool pool_covers(const struct weft_ippool *pool, const struct weft_prefix *p)
{
	if (!pool->n_ranges)
		return weft_prefix_covers(&pool->cidr, p);
	for (size_t i = 0; i < pool->n_ranges; i++)
		if (range_covers(&pool->ranges[i], p))
			return true;
	return false;
}

struct search {
	struct weft_prefix host;
	const struct weft_object *found;
};

static bool has_address(void *ctx, const struct weft_object *pool)
{
	struct search *s = ctx;

	if (pool->ippool.use != WEFT_USE_LOADBALANCER || !pool_covers(&pool->ippool, &s->host))
		return false;
	s->found = pool;
	return true;
}

const struct weft_object *adverts_pool_of(const struct cluster *c, const struct weft_addr *addr)
{
	struct search s = {.host = weft_prefix_host(addr)};

	cluster_each(c, WEFT_IPPOOL, has_address, &s);
	return s.found;
}

struct advert_subject adverts_of_block(const struct cluster *c, const struct weft_prefix *cidr)
{
	struct advert_subject s = {.type = WEFT_ADVERT_PODBLOCK, .prefix = *cidr};
	struct cluster_block b;

	if (cluster_block(c, cidr, &b) && b.pool)
		s.pool = cluster_get(c, WEFT_IPPOOL, b.pool_name);
	return s;
}

/* --- choosing --- */

struct chosen {
	const char *name;
	uint8_t length; /* of the aggregate; the subject's own if there is none */
	bool weight;
};

struct job {
	const struct weft_object *self;
	const struct advert_subject *s;
	struct advert_choices *out;
	struct chosen *list;
	size_t n;
	uint8_t lengths[ADVERT_CHOICES]; /* so far, of aggregates */
	size_t n_lengths;
};

static bool known_length(struct job *j, uint8_t length)
{
	for (size_t i = 0; i < j->n_lengths; i++)
		if (j->lengths[i] == length)
			return true;
	if (j->n_lengths == ADVERT_CHOICES - 1) /* one is for single addresses */
		return false;
	j->lengths[j->n_lengths++] = length;
	return true;
}

/* The length that this BGPAdvertisement's route has. */
static uint8_t length_of(struct job *j, const struct weft_bgpadvertisement *b)
{
	const struct weft_prefix *p = &j->s->prefix;
	uint8_t length = b->aggregate[p->addr.family == AF_INET6];
	struct weft_prefix wide;

	if (!length || length >= p->len || j->s->local || !j->s->service)
		return p->len;
	wide = weft_prefix_mask(&p->addr, length);
	if (!j->s->pool)
		j->out->why_single = no_pool;
	else if (!pool_covers(&j->s->pool->ippool, &wide))
		j->out->why_single = too_wide;
	else if (!known_length(j, length))
		j->out->why_single = too_many;
	else
		return length;
	return p->len;
}

static bool add(void *ctx, const struct weft_object *obj)
{
	const struct weft_bgpadvertisement *b = &obj->bgpadvertisement;
	struct job *j = ctx;

	if (!j->self || !advert_chooses(b, j->s) || !selects(&b->node_selector, &j->self->meta))
		return false;
	j->list = must_grow(j->list, j->n + 1, sizeof(*j->list));
	j->list[j->n++] = (struct chosen){.name = obj->meta.name,
	                                  .length = length_of(j, b),
	                                  .weight = b->endpoint_weight && j->s->local};
	return false;
}

/* Longest prefix first, then by name: whatever order they came in. */
static int by_length(const void *pa, const void *pb)
{
	const struct chosen *a = pa, *b = pb;

	return a->length != b->length ? (a->length < b->length) - (a->length > b->length)
	                              : strcmp(a->name, b->name);
}

static void put(const struct job *j, uint8_t length, uint32_t metric, bool weight)
{
	if (metric)
		j->out->list[j->out->n++] =
		        (struct advert_choice){.prefix = weft_prefix_mask(&j->s->prefix.addr, length),
		                               .metric = metric,
		                               .weight = weight};
}

/* Those of one length, from the first on; returns how many they are. */
static size_t put_class(struct adverts *a, const struct job *j, const struct chosen *first, size_t n)
{
	weft_autofree const char **names = must_alloc(n, sizeof(*names));
	bool weight = false;
	size_t i;

	for (i = 0; i < n && first[i].length == first->length; i++) {
		names[i] = first[i].name;
		weight |= first[i].weight;
	}
	put(j, first->length, adverts_take(a, j->s->type, names, i), weight);
	return i;
}

void adverts_choose(struct adverts *a, const struct cluster *c, const struct advert_subject *s,
                    struct advert_choices *out)
{
	struct job j = {.self = cluster_self(c), .s = s, .out = out};

	memset(out, 0, sizeof(*out));
	cluster_each(c, WEFT_BGPADVERTISEMENT, add, &j);
	if (j.n)
		qsort(j.list, j.n, sizeof(*j.list), by_length);
	for (size_t i = 0; i < j.n;)
		i += put_class(a, &j, &j.list[i], j.n - i);
	if (!j.n && (adverts_announced(c) & s->type))
		put(&j, s->prefix.len, adverts_take(a, s->type, NULL, 0), false);
	free(j.list);
}

void adverts_choices_release(struct adverts *a, struct advert_choices *choices)
{
	for (size_t i = 0; i < choices->n; i++)
		adverts_release(a, choices->list[i].metric);
	choices->n = 0;
}

uint32_t adverts_class(struct adverts *a, const struct cluster *c, const struct advert_subject *s)
{
	struct advert_subject single = *s;
	struct advert_choices choices;

	single.local = true;
	adverts_choose(a, c, &single, &choices);
	return choices.n ? choices.list[0].metric : 0;
}
