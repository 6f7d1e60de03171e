// SPDX-License-Identifier: GPL-2.0-or-later
/* What views are told of Services: plans, problems, states. Nothing changes here. */
#include <stdio.h>

#include "agent/daemon/services_private.h"

void serving_each_problem(const struct serving *s,
                          void (*fn)(void *ctx, const char *service, const char *text), void *ctx)
{
	for (const struct served *v = s->troubled; v; v = v->next)
		for (size_t i = 0; i < v->n_problems; i++)
			fn(ctx, v->key, v->problems[i]);
}

void serving_problems_of(const struct serving *s, const char *key, char *text, size_t size)
{
	const struct served *v = served_find(s, key);
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; v && i < v->n_problems && at + 1 < size; i++) {
		int n = snprintf(text + at, size - at, "%s%s", i ? "; " : "", v->problems[i]);

		at += n > 0 ? (size_t)n : 0;
	}
}

bool serving_preview(struct serving *s, const char *key, struct svc_plan *out)
{
	static const struct served nobody;
	struct served scratch = {0};
	const struct served *v = served_find(s, key);
	struct services_view view;

	if (!services_get(s->o.services, key, &view))
		return false;
	env_list_adverts(s); /* those of the last turn may be gone */
	s->planning = &scratch;
	svc_plan(&view, &s->env, out);
	s->planning = NULL;
	served_drop_marks(s, v ? v : &nobody, scratch.marks, scratch.n_marks);
	return true;
}

const char *serving_taken_by(const struct serving *s, const char *service, const struct svc_virtual_key *key)
{
	const char *holder = key->fwmark ? NULL : claims_holder(s->claims, key);

	return holder && strcmp(holder, service) ? holder : NULL;
}

const char *serving_route_state(const struct serving *s, const struct weft_addr *vip)
{
	struct weft_prefix host = weft_prefix_host(vip);
	struct weft_route_key key = vips_route(s, &host).key;
	enum fib_state state;

	if (fib_state_of(s->o.fib, &key, &state))
		return fib_state_name(state);
	return env_in_cidrs(s, vip) ? "covered" : "none";
}

static bool is_announced(const struct serving *s, const struct vip *v)
{
	struct announced a;

	for (size_t i = 0; i < v->n_said; i++)
		if (announcer_find(s->o.announcer, &v->said[i].choice.prefix, &a) && a.metric)
			return true;
	return false;
}

bool serving_announced(const struct serving *s, const struct weft_addr *vip)
{
	const struct vip *v = vips_find(s, vip);

	return v && is_announced(s, v);
}

/* Two Services with one VIP may say the same. */
static bool is_listed(const struct serving_announcement *list, size_t n, const struct weft_prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (!weft_prefix_cmp(&list[i].prefix, p))
			return true;
	return false;
}

size_t serving_announcements(const struct serving *s, const struct weft_addr *vip,
                             struct serving_announcement out[SERVING_ANNOUNCEMENTS])
{
	const struct vip *v = vips_find(s, vip);
	size_t n = 0;

	for (size_t i = 0; v && i < v->n_said && n < SERVING_ANNOUNCEMENTS; i++) {
		struct serving_announcement *a = &out[n];
		struct announced is;

		if (is_listed(out, n, &v->said[i].choice.prefix) ||
		    !announcer_find(s->o.announcer, &v->said[i].choice.prefix, &is))
			continue;
		*a = (struct serving_announcement){
		        .prefix = v->said[i].choice.prefix,
		        .class = adverts_find(announcer_book(s->o.announcer), is.class),
		        .metric = is.metric,
		        .weight = is.weight,
		        .waits = v->gated || is.class != is.metric};
		n += a->class != NULL;
	}
	return n;
}

const char *serving_single(const struct serving *s, const char *service, const struct weft_addr *vip)
{
	const struct vip *v = vips_find(s, vip);

	for (const struct vip_user *u = v ? v->users : NULL; u; u = u->next)
		if (!strcmp(u->service->key, service))
			return u->choices.why_single;
	return NULL;
}

static size_t count_problems(const struct serving *s)
{
	size_t n = 0;

	for (const struct served *v = s->troubled; v; v = v->next)
		n += v->n_problems;
	return n;
}

struct serving_stats serving_stats(const struct serving *s)
{
	struct serving_stats r = {.services = HASH_COUNT(s->services),
	                          .vips = HASH_COUNT(s->vips),
	                          .announced = s->n_announced,
	                          .problems = count_problems(s),
	                          .no_local = {s->no_local[0], s->no_local[1]}};
	const struct vip *v;

	for (v = s->pending; v; v = v->next)
		r.waiting++;
	return r;
}
