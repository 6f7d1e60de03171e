// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LoadBalancer IPs: what goes in and what comes out. See lb_int.h for the parts.
 */
#include <stdio.h>

#include "ipam/lb_int.h"

struct lb *lb_new(bool default_class)
{
	struct lb *lb = lb_alloc(1, sizeof(*lb));

	if (sodium_init() < 0)
		abort();
	crypto_shorthash_keygen(lb->hash.key);
	lb->default_class = default_class;
	return lb;
}

void lb_free(struct lb *lb)
{
	struct lb_svc *s, *next;
	struct lb_ns *ns, *next_ns;

	if (!lb)
		return;
	lb->ready = false;
	HASH_ITER (hh, lb->services, s, next) {
		lb_release(lb, s, LB_V4);
		lb_release(lb, s, LB_V6);
		lb_svc_drop(lb, s);
	}
	HASH_ITER (hh, lb->namespaces, ns, next_ns)
		lb_ns_put(lb, ns->name, NULL);
	for (size_t i = 0; i < lb->n_spaces; i++)
		lb_space_free(lb->by_name[i]);
	free(lb->by_name);
	free(lb->by_rank);
	free(lb->used.list);
	free(lb->changed);
	free(lb);
}

/* --- Services --- */

/* The first address of each family: weft gives no more. */
static void first_of_each(const struct weft_addr *ingress, size_t n, struct weft_addr out[LB_FAMILIES])
{
	memset(out, 0, LB_FAMILIES * sizeof(*out));
	for (size_t i = n; i-- > 0;)
		if (weft_addr_is_set(&ingress[i]))
			out[lb_index(&ingress[i])] = ingress[i];
}

/* Does the status say what is held? */
static bool says(const struct lb_svc *s, const struct weft_addr *ingress, size_t n)
{
	size_t held = 0, found = 0;

	for (int f = 0; f < LB_FAMILIES; f++) {
		held += weft_addr_is_set(&s->held[f]);
		for (size_t i = 0; i < n; i++)
			if (weft_addr_is_set(&s->held[f]) && !weft_addr_cmp(&ingress[i], &s->held[f])) {
				found++;
				break;
			}
	}
	return held == n && found == n;
}

/* Another pool by name than before is a wish to move; that a pool lost the address is none. */
static bool names_other_pool(const struct lb_svc *s, const char *before)
{
	const char *now = s->req.pool;

	if (!now || s->req.bad)
		return false;
	return s->other_pool || !before || strcmp(now, before) != 0;
}

/* There is nothing to say of what never was ours. */
static void not_ours(struct lb *lb, struct lb_svc *s, bool tell)
{
	tell |= s->telling;
	lb_release(lb, s, LB_V4);
	lb_release(lb, s, LB_V6);
	lb_out_of_lists(lb, s);
	s->other_pool = false;
	s->told = false;
	lb_answer(lb, s, LB_NONE, "", "");
	if (tell)
		return;
	lb_out_of_lists(lb, s);
	s->told = true;
	s->told_hash = s->hash;
}

static void ours(struct lb *lb, struct lb_svc *s, bool before, const struct weft_addr *ingress, size_t n)
{
	struct weft_addr status[LB_FAMILIES];

	first_of_each(ingress, n, status);
	if (!lb->ready) {
		memcpy(s->status, status, sizeof(status));
		lb_answer(lb, s, LB_PENDING, "NotReady", "the Services of the cluster are not all known yet");
		return;
	}
	/* Also later: to one that has nothing of that family another controller may have given something. */
	lb_adopt(lb, s, status);
	s->told = s->told && says(s, ingress, n);
	lb_mark(lb, s);
	/* Whether others may share its addresses may have changed. */
	for (int f = 0; f < LB_FAMILIES; f++)
		if (weft_addr_is_set(&s->held[f]) && before)
			lb_addr_changed(lb, s, &s->held[f]);
}

void lb_put_service(struct lb *lb, const struct weft_object *service, const struct weft_addr *ingress,
                    size_t n)
{
	char key[WEFT_KEY_MAX], *pool;
	struct lb_svc *s = lb_svc_need(lb, weft_object_key(service, key));
	bool was_ours = s->ours;

	pool = s->req.pool ? lb_strdup(s->req.pool) : NULL;
	lb_svc_fill(lb, s, service);
	s->other_pool = was_ours && lb->ready && names_other_pool(s, pool);
	free(pool);
	if (s->ours)
		ours(lb, s, was_ours, ingress, n);
	else
		not_ours(lb, s, was_ours || (service->service.type != WEFT_SERVICE_LOADBALANCER && n));
	lb_settle(lb);
}

void lb_del_service(struct lb *lb, const char *key)
{
	struct lb_svc *s = lb_svc_find(lb, key);

	if (!s)
		return;
	lb_release(lb, s, LB_V4);
	lb_release(lb, s, LB_V6);
	lb_svc_drop(lb, s);
	lb_settle(lb);
}

/* --- pools and namespaces --- */

void lb_put_pool(struct lb *lb, const struct weft_object *pool)
{
	struct lb_space *p = lb_space_find(lb, pool->meta.name);

	if (pool->ippool.use != WEFT_USE_LOADBALANCER) {
		lb_del_pool(lb, pool->meta.name);
		return;
	}
	if (p)
		lb_space_touch(lb, p);
	p = lb_space_put(lb, pool);
	lb_space_touch(lb, p);
	lb_mark_waiting(lb);
	lb_settle(lb);
}

void lb_del_pool(struct lb *lb, const char *name)
{
	struct lb_space *p = lb_space_find(lb, name);

	if (!p)
		return;
	lb_space_touch(lb, p);
	lb_space_del(lb, p);
	lb_space_free(p);
	lb_mark_waiting(lb); /* for the reason that they are told */
	lb_settle(lb);
}

void lb_put_namespace(struct lb *lb, const struct weft_object *ns)
{
	lb_ns_put(lb, ns->meta.name, ns);
	lb_settle(lb);
}

void lb_del_namespace(struct lb *lb, const char *name)
{
	lb_ns_put(lb, name, NULL);
	lb_settle(lb);
}

/* --- the start --- */

static int by_key(const struct lb_svc *a, const struct lb_svc *b)
{
	return strcmp(a->key, b->key);
}

void lb_ready(struct lb *lb)
{
	struct lb_svc *s;

	if (lb->ready)
		return;
	HASH_SRT(hh, lb->services, by_key);
	for (s = lb->services; s; s = s->hh.next)
		if (s->ours)
			lb_adopt(lb, s, s->status);
	lb->ready = true;
	lb->telling = NULL; /* anew, in this order */
	for (s = lb->services; s; s = s->hh.next) {
		lb_mark(lb, s);
		if (s->telling)
			DL_APPEND2(lb->telling, s, tell_prev, tell_next);
	}
	lb_settle(lb);
}

/* --- answers --- */

void lb_counts(const struct lb *lb, size_t out[LB_STATES])
{
	memcpy(out, lb->count, sizeof(lb->count));
}

static void fill(const struct lb_svc *s, struct lb_service *out)
{
	*out = (struct lb_service){.key = s->key, .state = s->state, .reason = s->reason};
	for (int f = 0; f < LB_FAMILIES; f++)
		if (weft_addr_is_set(&s->held[f]))
			out->ips[out->n_ips++] = s->held[f];
	snprintf(out->message, sizeof(out->message), "%s", s->message);
}

bool lb_next(struct lb *lb, struct lb_service *out)
{
	struct lb_svc *s = lb->telling;

	if (!s || !lb->ready)
		return false;
	DL_DELETE2(lb->telling, s, tell_prev, tell_next);
	s->telling = false;
	s->told = true;
	s->told_hash = s->hash;
	fill(s, out);
	return true;
}

bool lb_get(const struct lb *lb, const char *key, struct lb_service *out)
{
	const struct lb_svc *s = lb_svc_find(lb, key);

	if (s)
		fill(s, out);
	return s;
}

static bool same_figures(const struct lb_pool *a, const struct lb_pool *b)
{
	return a->capacity == b->capacity && a->used == b->used && a->conflicts == b->conflicts;
}

bool lb_next_pool(struct lb *lb, struct lb_pool *out)
{
	for (size_t i = 0; lb->ready && i < lb->n_spaces; i++) {
		struct lb_space *p = lb->by_name[i];

		if (!p->dirty)
			continue;
		p->dirty = false;
		lb_space_figures(lb, p, out);
		if (p->told && same_figures(&p->last, out))
			continue;
		p->told = true;
		p->last = *out;
		return true;
	}
	return false;
}

bool lb_pool_at(const struct lb *lb, size_t i, struct lb_pool *out)
{
	if (i >= lb->n_spaces)
		return false;
	lb_space_figures(lb, lb->by_name[i], out);
	return true;
}
