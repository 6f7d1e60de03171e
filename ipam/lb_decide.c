// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One Service's answer: what it keeps, what it gets, and the sentence about it; then those whom that
 * concerns.
 *
 * What a Service holds stays with it. It gets something new for a family of which it has no address, or when
 * it itself asks for another address or pool than it has; then the old one goes only when the new one is
 * there.
 */
#include <stdio.h>

#include "ipam/lb_int.h"

/* What is about to be given. */
struct choice {
	struct weft_addr ip[LB_FAMILIES];
	const char *pool[LB_FAMILIES];
};

void lb_mark(struct lb *lb, struct lb_svc *s)
{
	if (s->dirty || !lb->ready)
		return;
	s->dirty = true;
	DL_APPEND2(lb->dirty, s, dirty_prev, dirty_next);
}

void lb_mark_waiting(struct lb *lb)
{
	struct lb_svc *s;

	DL_FOREACH2(lb->waiting, s, wait_next)
	lb_mark(lb, s);
}

static void set_waiting(struct lb *lb, struct lb_svc *s, bool waiting)
{
	if (waiting && !s->waiting)
		DL_APPEND2(lb->waiting, s, wait_prev, wait_next);
	else if (!waiting && s->waiting)
		DL_DELETE2(lb->waiting, s, wait_prev, wait_next);
	s->waiting = waiting;
}

static void set_telling(struct lb *lb, struct lb_svc *s, bool telling)
{
	if (telling && !s->telling)
		DL_APPEND2(lb->telling, s, tell_prev, tell_next);
	else if (!telling && s->telling)
		DL_DELETE2(lb->telling, s, tell_prev, tell_next);
	s->telling = telling;
}

static void set_conflict(struct lb *lb, struct lb_svc *s, bool conflict)
{
	if (conflict && !s->conflict)
		DL_APPEND2(lb->clashes, s, clash_prev, clash_next);
	else if (!conflict && s->conflict)
		DL_DELETE2(lb->clashes, s, clash_prev, clash_next);
	for (int f = 0; f < LB_FAMILIES && (conflict || s->conflict); f++) {
		struct lb_space *p = s->given[f] ? lb_space_find(lb, s->given[f]) : NULL;

		if (p)
			p->dirty = true;
	}
	s->conflict = conflict;
}

void lb_out_of_lists(struct lb *lb, struct lb_svc *s)
{
	set_waiting(lb, s, false);
	set_telling(lb, s, false);
	set_conflict(lb, s, false);
	if (s->dirty)
		DL_DELETE2(lb->dirty, s, dirty_prev, dirty_next);
	s->dirty = false;
}

void lb_answer(struct lb *lb, struct lb_svc *s, enum lb_state state, const char *reason, const char *message)
{
	char ip[LB_FAMILIES][WEFT_ADDR_STR], all[512];
	uint64_t hash;

	snprintf(all, sizeof(all), "%d %s %s %s %s", (int)state, weft_addr_str(&s->held[LB_V4], ip[LB_V4]),
	         weft_addr_str(&s->held[LB_V6], ip[LB_V6]), reason, message);
	hash = lb_hash(&lb->hash, all, strlen(all));
	lb->count[s->state]--;
	lb->count[state]++;
	s->state = state;
	s->reason = reason;
	free(s->message);
	s->message = lb_strdup(message);
	s->hash = hash;
	set_telling(lb, s, !s->told || s->told_hash != hash);
}

/* --- getting an address --- */

static bool holds_any(const struct lb_svc *s)
{
	return weft_addr_is_set(&s->held[LB_V4]) || weft_addr_is_set(&s->held[LB_V6]);
}

/* The pool that may give the address, which the Service asks for by name. */
static const struct lb_space *pool_for(const struct lb *lb, const struct lb_svc *s, const struct weft_addr *a,
                                       struct lb_problem *problem)
{
	const struct lb_space *has = NULL, *selects = NULL;
	char ip[WEFT_ADDR_STR];

	for (size_t i = 0; i < lb->n_spaces; i++) {
		const struct lb_space *p = lb->by_rank[i];

		if ((s->req.pool && strcmp(p->name, s->req.pool)) || !lb_space_has(p, a))
			continue;
		has = has ? has : p;
		if (!lb_space_selects(p, s))
			continue;
		selects = selects ? selects : p;
		if (!p->disabled)
			return p;
	}
	weft_addr_str(a, ip);
	if (selects)
		lb_problem(problem, "PoolDisabled", "%s is asked for, but IPPool %.80s is disabled", ip,
		           selects->name);
	else if (has)
		lb_problem(problem, "PoolNotAllowed",
		           "%s is asked for, but IPPool %.80s does not select this Service", ip, has->name);
	else if (s->req.pool)
		lb_problem(problem, "AddressOutsidePools",
		           "%s is asked for, but IPPool %.80s does not offer it", ip, s->req.pool);
	else
		lb_problem(problem, "AddressOutsidePools", "%s is asked for, but no IPPool offers it", ip);
	return NULL;
}

static void get_by_name(const struct lb *lb, const struct lb_svc *s, int f, struct choice *choice,
                        struct lb_problem *problem)
{
	const struct weft_addr *a = &s->req.ip[f];
	const struct lb_space *p = pool_for(lb, s, a, problem);
	const struct lb_svc *rival = lb_rival(lb, s, a, false);
	char ip[WEFT_ADDR_STR];

	if (!p)
		return;
	if (rival) {
		lb_problem(problem, "AddressInUse", "%s is asked for, but Service %.160s has it%s",
		           weft_addr_str(a, ip), rival->key,
		           rival->share && s->share ? " and can't share it with this one" : "");
		return;
	}
	choice->ip[f] = *a;
	choice->pool[f] = p->name;
}

/* The lowest address of the pool that Services with the same sharing key have and this one may join. */
static bool joinable(struct lb *lb, const struct lb_svc *s, const struct lb_space *p, int f,
                     struct weft_addr *out)
{
	struct weft_addr best = {0};
	const struct lb_svc *other;

	lb->searches++;
	for (other = s->share ? s->share->services : NULL; other; other = other->share_next) {
		const struct weft_addr *a = &other->held[f];
		struct lb_addr *x = weft_addr_is_set(a) ? lb_addr_find(lb, a) : NULL;

		if (!x || x->seen == lb->searches)
			continue;
		x->seen = lb->searches;
		if (other != s && lb_space_has(p, a) && !lb_rival(lb, s, a, false) &&
		    (!weft_addr_is_set(&best) || weft_addr_cmp(a, &best) < 0))
			best = *a;
	}
	*out = best;
	return weft_addr_is_set(&best);
}

/* Why no pool gave an address. */
struct refusals {
	const struct lb_space *full;
	size_t n_full, n_disabled, n_unselected;
};

/* May the Service have an address of this pool without naming the address? */
static bool eligible(const struct lb_svc *s, const struct lb_space *p, int f, struct refusals *no)
{
	if (s->req.pool ? strcmp(p->name, s->req.pool) != 0 : !p->auto_assign)
		return false;
	if (!lb_space_offers(p, f))
		return false;
	if (!lb_space_selects(p, s)) {
		no->n_unselected++;
		return false;
	}
	if (p->disabled) {
		no->n_disabled++;
		return false;
	}
	no->full = p;
	no->n_full++;
	return true;
}

static void refuse(const struct lb *lb, const struct lb_svc *s, int f, const struct refusals *no,
                   struct lb_problem *problem)
{
	const char *family = lb_family_name(f), *pool = s->req.pool;

	if (no->n_full == 1)
		lb_problem(problem, "PoolExhausted", "IPPool %.80s has no free %s address", no->full->name,
		           family);
	else if (no->n_full)
		lb_problem(problem, "PoolExhausted",
		           "the %zu IPPools that select this Service have no free %s address", no->n_full,
		           family);
	else if (pool && !lb_space_find(lb, pool))
		lb_problem(problem, "NoSuchPool", "there is no IPPool %.80s with use LoadBalancer", pool);
	else if (pool && no->n_disabled)
		lb_problem(problem, "PoolDisabled", "IPPool %.80s is disabled", pool);
	else if (pool && no->n_unselected)
		lb_problem(problem, "PoolNotAllowed", "IPPool %.80s does not select this Service", pool);
	else if (pool)
		lb_problem(problem, "NoAddressFamily", "IPPool %.80s has no %s addresses", pool, family);
	else if (no->n_disabled)
		lb_problem(problem, "PoolDisabled", "every IPPool that could give an %s address is disabled",
		           family);
	else
		lb_problem(problem, "NoPool", "no IPPool gives %s addresses to this Service", family);
}

static void get_any(struct lb *lb, const struct lb_svc *s, int f, struct choice *choice,
                    struct lb_problem *problem)
{
	struct refusals no = {.full = NULL}, again = {.full = NULL};

	for (size_t i = 0; s->share && i < lb->n_spaces; i++) {
		const struct lb_space *p = lb->by_rank[i];

		if (eligible(s, p, f, &again) && joinable(lb, s, p, f, &choice->ip[f])) {
			choice->pool[f] = p->name;
			return;
		}
	}
	for (size_t i = 0; i < lb->n_spaces; i++) {
		const struct lb_space *p = lb->by_rank[i];

		if (eligible(s, p, f, &no) && lb_space_free_addr(lb, p, f, &choice->ip[f])) {
			choice->pool[f] = p->name;
			return;
		}
	}
	choice->ip[f] = (struct weft_addr){0};
	refuse(lb, s, f, &no, problem);
}

static bool held_in(const struct lb *lb, const struct lb_svc *s, int f, const char *pool)
{
	const struct lb_space *p = lb_space_find(lb, pool);

	return p && lb_space_has(p, &s->held[f]);
}

static void choose(struct lb *lb, const struct lb_svc *s, struct choice *choice, struct lb_problem *problem)
{
	for (int f = 0; f < LB_FAMILIES; f++) {
		bool asks = weft_addr_is_set(&s->req.ip[f]), has = weft_addr_is_set(&s->held[f]);

		if (!s->want[f])
			continue;
		if (asks && weft_addr_cmp(&s->req.ip[f], &s->held[f]))
			get_by_name(lb, s, f, choice, problem);
		else if (!asks && (!has || (s->other_pool && !held_in(lb, s, f, s->req.pool))))
			get_any(lb, s, f, choice, problem);
	}
	/* All or nothing, unless it has one from former times. */
	if (problem->reason && s->families == WEFT_REQUIRE_DUAL_STACK && !holds_any(s))
		*choice = (struct choice){.pool = {NULL, NULL}};
}

static void take(struct lb *lb, struct lb_svc *s, const struct choice *choice)
{
	for (int f = 0; f < LB_FAMILIES; f++) {
		struct weft_addr before = s->held[f];

		if (!weft_addr_is_set(&choice->ip[f]))
			continue;
		lb_release(lb, s, f);
		lb_hold(lb, s, &choice->ip[f], choice->pool[f]);
		s->before[f] = before;
	}
}

void lb_adopt(struct lb *lb, struct lb_svc *s, const struct weft_addr *ingress)
{
	for (int f = 0; f < LB_FAMILIES; f++) {
		const struct weft_addr *a = &ingress[f];
		const struct lb_space *has = NULL;

		/* After the start the tables know better than a status that somebody else's address is in. */
		if (!weft_addr_is_set(a) || weft_addr_is_set(&s->held[f]) ||
		    (lb->ready && lb_rival(lb, s, a, false)))
			continue;
		for (size_t i = 0; i < lb->n_spaces; i++)
			if (lb_space_has(lb->by_rank[i], a) &&
			    (!has || (!lb_space_selects(has, s) && lb_space_selects(lb->by_rank[i], s))))
				has = lb->by_rank[i];
		lb_hold(lb, s, a, has ? has->name : NULL);
		s->before[f] = (struct weft_addr){0};
	}
}

/* --- the answer --- */

/* Does the cluster still say that the Service has this address? */
static void check_held(const struct lb *lb, const struct lb_svc *s, int f, struct lb_problem *conflict)
{
	const struct weft_addr *a = &s->held[f];
	const struct lb_svc *rival = lb_rival(lb, s, a, true);
	const struct lb_space *has = NULL;
	char ip[WEFT_ADDR_STR];
	bool selected = false;

	weft_addr_str(a, ip);
	for (size_t i = 0; i < lb->n_spaces; i++) {
		if (!lb_space_has(lb->by_rank[i], a))
			continue;
		has = has ? has : lb->by_rank[i];
		selected |= lb_space_selects(lb->by_rank[i], s);
	}
	if (rival)
		lb_problem(conflict, "Conflict", "Service %.160s has %s too, and the two may not share it",
		           rival->key, ip);
	else if (!has)
		lb_problem(conflict, "Conflict", "no IPPool has %s, which the Service keeps", ip);
	else if (!selected)
		lb_problem(conflict, "Conflict", "IPPool %.80s does not select this Service, which keeps %s",
		           has->name, ip);
	else if (s->req.pool && !s->req.bad && !held_in(lb, s, f, s->req.pool))
		lb_problem(conflict, "Conflict",
		           "the Service asks for IPPool %.80s, which does not have its address %s",
		           s->req.pool, ip);
}

static void add_kept(const struct lb_svc *s, struct lb_problem *problem)
{
	char ip[LB_FAMILIES][WEFT_ADDR_STR];
	size_t n = strlen(problem->text);

	weft_addr_str(&s->held[LB_V4], ip[LB_V4]);
	weft_addr_str(&s->held[LB_V6], ip[LB_V6]);
	if (holds_any(s))
		snprintf(problem->text + n, sizeof(problem->text) - n, "; it has %s%s%s", ip[LB_V4],
		         *ip[LB_V4] && *ip[LB_V6] ? " and " : "", ip[LB_V6]);
}

static void conclude(struct lb *lb, struct lb_svc *s, struct lb_problem *problem)
{
	struct lb_problem conflict = {.reason = NULL};

	for (int f = 0; f < LB_FAMILIES; f++)
		if (weft_addr_is_set(&s->held[f]))
			check_held(lb, s, f, &conflict);
	set_conflict(lb, s, conflict.reason);
	if (problem->reason) {
		add_kept(s, problem);
		lb_answer(lb, s, LB_PENDING, problem->reason, problem->text);
	} else if (conflict.reason) {
		lb_answer(lb, s, LB_CONFLICT, conflict.reason, conflict.text);
	} else {
		lb_text_assigned(s, lb, conflict.text, sizeof(conflict.text));
		lb_answer(lb, s, LB_ASSIGNED, "Assigned", conflict.text);
	}
}

/* What keeps a Service from being given anything, whatever the pools have. */
static void check_request(const struct lb_svc *s, struct lb_problem *problem)
{
	char ip[WEFT_ADDR_STR];

	if (s->req.bad)
		lb_problem(problem, s->req.bad, "%s", s->req.text);
	else if (!s->want[LB_V4] && !s->want[LB_V6])
		lb_problem(problem, "NoClusterIP",
		           "the Service has no ClusterIP, which tells its address families");
	for (int f = 0; f < LB_FAMILIES; f++)
		if (weft_addr_is_set(&s->req.ip[f]) && !s->want[f])
			lb_problem(problem, "FamilyMismatch",
			           "%s is asked for, but the Service has no %s ClusterIP",
			           weft_addr_str(&s->req.ip[f], ip), lb_family_name(f));
	if (s->deleting && !holds_any(s))
		lb_problem(problem, "Deleting", "the Service is being deleted");
}

static void decide(struct lb *lb, struct lb_svc *s)
{
	struct lb_problem problem = {.reason = NULL};
	struct choice choice = {.pool = {NULL, NULL}};
	bool any = s->want[LB_V4] || s->want[LB_V6];

	if (!s->ours)
		return;
	for (int f = 0; f < LB_FAMILIES; f++)
		if (any && !s->want[f])
			lb_release(lb, s, f);
	check_request(s, &problem);
	if (problem.reason || s->deleting) {
		set_waiting(lb, s, false);
	} else {
		choose(lb, s, &choice, &problem);
		take(lb, s, &choice);
		set_waiting(lb, s, problem.reason);
		s->other_pool = s->other_pool && problem.reason;
	}
	conclude(lb, s, &problem);
}

/* An address changed hands: to those who wait, the first one first. */
static void offer(struct lb *lb, const struct weft_addr *a)
{
	struct lb_svc *s, *next;

	DL_FOREACH_SAFE2(lb->waiting, s, next, wait_next)
	{
		decide(lb, s);
		if (!s->share && !weft_addr_cmp(&s->held[lb_index(a)], a))
			return;
	}
}

void lb_settle(struct lb *lb)
{
	while (lb->ready && (lb->dirty || lb->n_changed)) {
		struct lb_svc *s = lb->dirty;

		if (s) {
			DL_DELETE2(lb->dirty, s, dirty_prev, dirty_next);
			s->dirty = false;
			decide(lb, s);
		} else {
			struct weft_addr a = lb->changed[--lb->n_changed];

			offer(lb, &a);
		}
	}
}
