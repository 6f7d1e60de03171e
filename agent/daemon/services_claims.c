// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An address, protocol and port belong to one Service: a plan stands for all that it has, and what another
 * Service holds is taken out of it.
 */
#include <stdio.h>

#include "agent/daemon/services_private.h"

static bool claimable(const struct svc_element *e)
{
	return e->proto && e->set != SVC_SET_HAIRPIN && e->set != SVC_SET_VIP;
}

static struct svc_virtual_key element_key(const struct svc_element *e)
{
	struct svc_virtual_key k;

	memset(&k, 0, sizeof(k));
	k.addr = e->addr;
	k.proto = e->proto;
	k.port = e->port;
	return k;
}

int claims_by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct svc_virtual_key));
}

/* What the plan stands for, sorted, each once. */
static struct svc_virtual_key *claims_of(const struct svc_plan *p, size_t *n)
{
	struct svc_virtual_key *list = must_alloc(p->n_virtuals + p->n_elements, sizeof(*list));
	size_t all = 0, kept = 0;

	for (size_t i = 0; i < p->n_virtuals; i++)
		if (!p->virtuals[i].key.fwmark)
			list[all++] = p->virtuals[i].key;
	for (size_t i = 0; i < p->n_elements; i++)
		if (claimable(&p->elements[i]))
			list[all++] = element_key(&p->elements[i]);
	if (all)
		qsort(list, all, sizeof(*list), claims_by_key);
	for (size_t i = 0; i < all; i++)
		if (!kept || claims_by_key(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	*n = kept;
	return list;
}

bool claims_listed(const struct svc_virtual_key *list, size_t n, const struct svc_virtual_key *k)
{
	return n && bsearch(k, list, n, sizeof(*k), claims_by_key);
}

/* The next one replaces what is there, or takes it away when it lets go in its turn: so the last one does. */
static void release_claim(struct serving *s, const struct served *v, const struct svc_virtual_key *k)
{
	const char *next = claims_release(s->claims, k, v->key);

	if (next)
		services_mark(s->o.services, next);
	else if (!claims_holder(s->claims, k))
		ipvs_unwant(s->o.ipvs, k);
}

bool claims_held(const struct serving *s, const struct served *v, const struct svc_virtual_key *k)
{
	const char *holder = claims_holder(s->claims, k);

	return holder && !strcmp(holder, v->key);
}

static void tell_taken(const struct serving *s, struct svc_plan *p, const struct svc_virtual_key *k)
{
	char text[SVC_KEY_STR];

	if (p->n_problems >= SERVED_PROBLEMS)
		return;
	p->problems = must_grow(p->problems, p->n_problems + 1, sizeof(*p->problems));
	snprintf(p->problems[p->n_problems++], SVC_PROBLEM, "%s is not served: Service %.120s has it",
	         svc_virtual_str(k, text), claims_holder(s->claims, k));
}

static int vip_by_addr(const void *addr, const void *vip)
{
	return weft_addr_cmp(addr, &((const struct svc_vip *)vip)->addr);
}

/* The cluster gives ClusterIPs and node ports; LoadBalancer IPs the controller; external IPs are anybody's
 * word. */
static unsigned rank_of(const struct svc_plan *p, const struct weft_addr *addr)
{
	const struct svc_vip *vip =
	        p->n_vips ? bsearch(addr, p->vips, p->n_vips, sizeof(*vip), vip_by_addr) : NULL;

	if (!vip || vip->kind == SVC_VIP_CLUSTER)
		return 0;
	return vip->kind == SVC_VIP_LB ? 1 : 2;
}

/* Is it ours? */
static bool take_claim(struct serving *s, const struct served *v, struct svc_plan *p,
                       const struct svc_virtual_key *k)
{
	const char *other;
	bool held = claims_take(s->claims, k, v->key, rank_of(p, &k->addr), &other);

	if (!held)
		tell_taken(s, p, k);
	if (other)
		services_mark(s->o.services, other);
	return held;
}

static int virtual_by_addr(const void *addr, const void *v)
{
	const struct svc_virtual_key *key = &((const struct svc_virtual *)v)->key;

	return key->fwmark ? -1 : weft_addr_cmp(addr, &key->addr); /* those come last */
}

/* Where others hold every port there is nothing to announce for this Service. */
static void announce_what_is_held(struct svc_plan *p)
{
	for (size_t i = 0; i < p->n_vips; i++) {
		struct svc_vip *vip = &p->vips[i];

		vip->advertise = vip->advertise && p->n_virtuals &&
		                 bsearch(&vip->addr, p->virtuals, p->n_virtuals, sizeof(*p->virtuals),
		                         virtual_by_addr);
	}
}

static void leave_out_what_others_hold(const struct serving *s, const struct served *v, struct svc_plan *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_virtuals; i++)
		if (p->virtuals[i].key.fwmark || claims_held(s, v, &p->virtuals[i].key))
			p->virtuals[kept++] = p->virtuals[i];
	p->n_virtuals = kept;
	kept = 0;
	for (size_t i = 0; i < p->n_elements; i++) {
		struct svc_virtual_key k = element_key(&p->elements[i]);

		if (!claimable(&p->elements[i]) || claims_held(s, v, &k))
			p->elements[kept++] = p->elements[i];
	}
	p->n_elements = kept;
}

void claims_settle(struct serving *s, struct served *v, struct svc_plan *p)
{
	struct svc_virtual_key *old = v->claimed;
	size_t n_old = v->n_claimed;
	bool all = true;

	v->claimed = claims_of(p, &v->n_claimed);
	for (size_t i = 0; i < v->n_claimed; i++)
		all &= take_claim(s, v, p, &v->claimed[i]);
	for (size_t i = 0; i < n_old; i++)
		if (!claims_listed(v->claimed, v->n_claimed, &old[i]))
			release_claim(s, v, &old[i]);
	free(old);
	if (!all)
		leave_out_what_others_hold(s, v, p);
	announce_what_is_held(p);
}
