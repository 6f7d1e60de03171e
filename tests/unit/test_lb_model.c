// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LoadBalancer IPs under thousands of random changes, checked after each one against rules that are written
 * down naively: every Service and address is walked. The sequence is the same in every run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/lb_objects.h"

#define SERVICES 14
#define POOLS    4
#define STEPS    6000
#define NET      "10.0.0."

/* What was put last. Addresses are numbers 1..NUMBERS of both families: 10.0.0.N and fd00::N. */
#define NUMBERS 24

struct model_pool {
	bool there;
	int first[2], last[2]; /* per family; 0 = none */
	uint32_t priority;
	bool auto_assign, disabled;
	int wants_tier; /* label of Services, 0 = any */
};

struct model_service {
	bool there, ours;
	bool want[2];
	enum weft_family_policy policy;
	int asks[2]; /* number, 0 = none */
	int pool;    /* asked for by name, -1 = none */
	int share;   /* sharing key, 0 = none */
	int port;
	bool local;
	int app, tier;
	/* Read from the answer. */
	int held[2];
	enum lb_state state;
};

struct model {
	struct lb *lb;
	uint64_t seed;
	struct model_pool pools[POOLS];
	struct model_service services[SERVICES], before[SERVICES];
	struct lb_service told[SERVICES];
	bool known[SERVICES];
};

static unsigned roll(struct model *m, unsigned sides)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(m->seed >> 33) % sides;
}

static const char *address(int family, int number, char buf[WEFT_ADDR_STR])
{
	snprintf(buf, WEFT_ADDR_STR, family ? "fd00::%x" : NET "%d", (unsigned)number);
	return buf;
}

static int number_of(const struct weft_addr *a)
{
	return a->bytes[a->family == AF_INET6 ? 15 : 3];
}

static const char *key_of(int i, char buf[16])
{
	snprintf(buf, 16, "x/s%02d", i);
	return buf;
}

/* --- the rules --- */

static bool pool_has(const struct model_pool *p, int family, int number)
{
	return p->there && number >= p->first[family] && number <= p->last[family];
}

static bool pool_selects(const struct model_pool *p, const struct model_service *s)
{
	return !p->wants_tier || p->wants_tier == s->tier;
}

static bool may_share(const struct model_service *a, const struct model_service *b)
{
	if (!a->share || a->share != b->share || a->port == b->port || a->local != b->local)
		return false;
	return !a->local || (a->app && a->app == b->app);
}

/* Could s get this address now, by the owners? */
static bool available(const struct model *m, int s, int family, int number)
{
	for (int i = 0; i < SERVICES; i++)
		if (i != s && m->services[i].there && m->services[i].held[family] == number &&
		    !may_share(&m->services[i], &m->services[s]))
			return false;
	return true;
}

/* May this pool give s an address for which it did not ask by name? */
static bool eligible(const struct model *m, int s, int pool)
{
	const struct model_service *svc = &m->services[s];
	const struct model_pool *p = &m->pools[pool];

	return p->there && !p->disabled && pool_selects(p, svc) &&
	       (svc->pool >= 0 ? svc->pool == pool : p->auto_assign);
}

static bool asked_can_be_had(const struct model *m, int s, int family)
{
	const struct model_service *svc = &m->services[s];

	for (int p = 0; p < POOLS; p++)
		if (pool_has(&m->pools[p], family, svc->asks[family]) && !m->pools[p].disabled &&
		    pool_selects(&m->pools[p], svc) && (svc->pool < 0 || svc->pool == p))
			return available(m, s, family, svc->asks[family]);
	return false;
}

static bool any_can_be_had(const struct model *m, int s, int family)
{
	for (int p = 0; p < POOLS; p++)
		for (int n = 1; eligible(m, s, p) && n <= NUMBERS; n++)
			if (pool_has(&m->pools[p], family, n) && available(m, s, family, n))
				return true;
	return false;
}

static bool in_conflict(const struct model *m, int s, int family)
{
	const struct model_service *svc = &m->services[s];
	int number = svc->held[family];
	bool selected = false;

	for (int i = 0; i < s; i++)
		if (m->services[i].there && m->services[i].held[family] == number &&
		    !may_share(&m->services[i], svc))
			return true;
	for (int p = 0; p < POOLS; p++)
		selected |= pool_has(&m->pools[p], family, number) && pool_selects(&m->pools[p], svc);
	return !selected || (svc->pool >= 0 && !pool_has(&m->pools[svc->pool], family, number));
}

static bool better(const struct model *m, int a, int b)
{
	const struct model_pool *x = &m->pools[a], *y = &m->pools[b];

	return x->priority != y->priority ? x->priority < y->priority : a < b;
}

/* --- checks --- */

static void read_answers(struct model *m)
{
	struct lb_service out;
	char key[16];

	for (int i = 0; i < SERVICES; i++) {
		struct model_service *s = &m->services[i];

		s->held[0] = s->held[1] = 0;
		assert_int_equal(lb_get(m->lb, key_of(i, key), &out), s->there);
		if (!s->there)
			continue;
		s->state = out.state;
		for (size_t n = 0; n < out.n_ips; n++)
			s->held[out.ips[n].family == AF_INET6] = number_of(&out.ips[n]);
	}
}

/* It moves only if it asks for something else itself; it is freed with its need. */
static void check_kept(const struct model *m, int i, int family)
{
	const struct model_service *was = &m->before[i], *is = &m->services[i];
	bool asks_other;

	if (!was->there || !is->there || !was->held[family])
		return;
	if (!is->ours || !is->want[family]) {
		assert_int_equal(is->held[family], 0);
		return;
	}
	asks_other = is->asks[family] ? is->asks[family] != was->held[family]
	                              : is->pool >= 0 && (is->pool != was->pool || was->state == LB_PENDING);
	if (!asks_other)
		assert_int_equal(is->held[family], was->held[family]);
	assert_int_not_equal(is->held[family], 0);
}

/* An address that is new since the last step is the one asked for, or the lowest of the best pool. */
static void check_new(const struct model *m, int i, int family, bool lowest)
{
	const struct model_service *is = &m->services[i];
	int number = is->held[family], pool = -1;

	if (!number || (m->before[i].there && m->before[i].held[family] == number))
		return;
	assert_true(available(m, i, family, number));
	if (is->asks[family]) {
		assert_int_equal(number, is->asks[family]);
		return;
	}
	for (int p = 0; p < POOLS; p++)
		if (eligible(m, i, p) && pool_has(&m->pools[p], family, number) &&
		    (pool < 0 || better(m, p, pool)))
			pool = p;
	assert_true(pool >= 0);
	if (!lowest || is->share)
		return;
	for (int p = 0; p < POOLS; p++)
		for (int n = 1; n <= NUMBERS; n++)
			if (eligible(m, i, p) && pool_has(&m->pools[p], family, n) &&
			    (p == pool ? n < number : better(m, p, pool)))
				assert_false(available(m, i, family, n));
}

/* Who waits has nothing to be had; who does not has all. */
static void check_complete(const struct model *m, int i)
{
	const struct model_service *s = &m->services[i];
	bool missing = false, hopeless = false, mismatch = false, conflict = false;

	for (int f = 0; f < 2; f++) {
		bool need = s->asks[f] ? s->asks[f] != s->held[f] : !s->held[f];
		bool can = s->asks[f] ? asked_can_be_had(m, i, f) : any_can_be_had(m, i, f);

		mismatch |= s->asks[f] && !s->want[f];
		if (!s->want[f])
			continue;
		missing |= need;
		hopeless |= need && !can;
		conflict |= s->held[f] && in_conflict(m, i, f);
	}
	if (mismatch) {
		assert_int_equal(s->state, LB_PENDING);
		return;
	}
	if (missing) {
		assert_int_equal(s->state, LB_PENDING);
		assert_true(hopeless);
	} else if (s->pool < 0) { /* with a pool by name it may be waiting to move there */
		assert_int_equal(s->state, conflict ? LB_CONFLICT : LB_ASSIGNED);
	} else if (s->state != LB_PENDING) {
		assert_int_equal(s->state, conflict ? LB_CONFLICT : LB_ASSIGNED);
	}
	if (s->policy == WEFT_REQUIRE_DUAL_STACK && !(m->before[i].held[0] + m->before[i].held[1]))
		assert_int_equal(!s->held[0], !s->held[1]);
}

static void check_pools(const struct model *m)
{
	struct lb_pool out;
	size_t at = 0;

	for (int p = 0; p < POOLS; p++) {
		uint64_t used = 0, capacity = 0;

		if (!m->pools[p].there)
			continue;
		assert_true(lb_pool_at(m->lb, at++, &out));
		for (int f = 0; f < 2; f++)
			for (int n = 1; n <= NUMBERS; n++) {
				bool held = false;

				for (int i = 0; i < SERVICES; i++)
					held |= m->services[i].there && m->services[i].held[f] == n;
				capacity += pool_has(&m->pools[p], f, n);
				used += held && pool_has(&m->pools[p], f, n);
			}
		assert_int_equal(out.used, used);
		assert_int_equal(out.capacity, capacity);
	}
	assert_false(lb_pool_at(m->lb, at, &out));
}

/* What was told last is what is decided, and nothing is told twice. */
static void check_told(struct model *m)
{
	struct lb_service out;
	char key[16];

	while (lb_next(m->lb, &out)) {
		int i = atoi(out.key + 3);

		assert_true(!m->known[i] || out.state != m->told[i].state || out.n_ips != m->told[i].n_ips ||
		            memcmp(out.ips, m->told[i].ips, sizeof(out.ips)) ||
		            strcmp(out.reason, m->told[i].reason) || strcmp(out.message, m->told[i].message));
		m->told[i] = out;
		m->known[i] = true;
	}
	for (int i = 0; i < SERVICES; i++) {
		if (!m->services[i].there || !m->services[i].ours)
			continue;
		assert_true(lb_get(m->lb, key_of(i, key), &out));
		assert_true(m->known[i]);
		assert_int_equal(out.state, m->told[i].state);
		assert_string_equal(out.message, m->told[i].message);
		assert_memory_equal(out.ips, m->told[i].ips, sizeof(out.ips));
	}
}

/* Did nobody give up anything? Then what is free now was free when others chose. */
static bool nothing_freed(const struct model *m)
{
	for (int i = 0; i < SERVICES; i++)
		for (int f = 0; f < 2; f++)
			if (m->before[i].held[f] && m->before[i].held[f] != m->services[i].held[f])
				return false;
	return true;
}

static void check(struct model *m)
{
	bool lowest;

	read_answers(m);
	lowest = nothing_freed(m);
	for (int i = 0; i < SERVICES; i++) {
		if (!m->services[i].there)
			continue;
		for (int f = 0; f < 2; f++) {
			check_kept(m, i, f);
			check_new(m, i, f, lowest);
		}
		if (m->services[i].ours)
			check_complete(m, i);
		else
			assert_int_equal(m->services[i].state, LB_NONE);
	}
	check_pools(m);
	check_told(m);
	memcpy(m->before, m->services, sizeof(m->before));
}

/* --- changes --- */

static void ingress_text(const struct model_service *s, char out[2 * WEFT_ADDR_STR])
{
	char ip[2][WEFT_ADDR_STR] = {"", ""};

	for (int f = 0; f < 2; f++)
		if (s->held[f])
			address(f, s->held[f], ip[f]);
	snprintf(out, 2 * WEFT_ADDR_STR, "%s %s", ip[0], ip[1]);
}

static void give_service(struct model *m, int i)
{
	const struct model_service *s = &m->services[i];
	char key[16], status[2 * WEFT_ADDR_STR], ip[2][WEFT_ADDR_STR], text[2 * WEFT_ADDR_STR + 2];
	struct weft_object *o = lb_service(key_of(i, key), s->want[0] ? s->want[1] ? "46" : "4" : "6");

	o->service.family_policy = s->policy;
	o->service.type = s->ours ? WEFT_SERVICE_LOADBALANCER : WEFT_SERVICE_CLUSTERIP;
	o->service.external_policy = s->local ? WEFT_POLICY_LOCAL : WEFT_POLICY_CLUSTER;
	o->service.ports[0].port = (uint16_t)s->port;
	if (s->app)
		selecting(o, "app", s->app == 1 ? "a" : "b");
	labelled(o, "tier", s->tier == 1 ? "one" : "two");
	if (s->share)
		annotated(o, WEFT_ANNOTATION_LB_SHARE, s->share == 1 ? "k" : "l");
	if (s->pool >= 0)
		annotated(o, WEFT_ANNOTATION_LB_POOL, (char[]){'p', (char)('0' + s->pool), 0});
	for (int f = 0; f < 2; f++)
		ip[f][0] = '\0';
	for (int f = 0; f < 2; f++)
		if (s->asks[f])
			address(f, s->asks[f], ip[f]);
	snprintf(text, sizeof(text), "%s%s%s", ip[0], *ip[0] && *ip[1] ? "," : "", ip[1]);
	if (*text)
		annotated(o, WEFT_ANNOTATION_LB_IPS, text);
	ingress_text(s, status);
	put_service(m->lb, o, status);
}

static void change_service(struct model *m)
{
	int i = (int)roll(m, SERVICES);
	struct model_service *s = &m->services[i], was = *s;
	unsigned families = roll(m, 4);
	char key[16];

	if (s->there && roll(m, 3) == 0) {
		lb_del_service(m->lb, key_of(i, key));
		*s = (struct model_service){.pool = -1};
		m->known[i] = false;
		return;
	}
	*s = (struct model_service){.there = true, .ours = roll(m, 8) > 0, .pool = -1};
	memcpy(s->held, was.held, sizeof(s->held));
	s->want[0] = families != 0;
	s->want[1] = families != 1;
	s->policy = s->want[0] && s->want[1] ? roll(m, 2) ? WEFT_PREFER_DUAL_STACK : WEFT_REQUIRE_DUAL_STACK
	                                     : WEFT_SINGLE_STACK;
	for (int f = 0; f < 2; f++)
		s->asks[f] = roll(m, 5) ? 0 : 1 + (int)roll(m, NUMBERS);
	s->pool = roll(m, 5) ? -1 : (int)roll(m, POOLS);
	s->share = (int)roll(m, 3);
	s->port = 80 + (int)roll(m, 3);
	s->local = roll(m, 3) == 0;
	s->app = (int)roll(m, 3);
	s->tier = 1 + (int)roll(m, 2);
	give_service(m, i);
	if (!s->ours)
		m->known[i] = false;
}

static void give_pool(struct model *m, int i)
{
	const struct model_pool *p = &m->pools[i];
	char name[] = {'p', (char)('0' + i), 0}, ranges[256] = "", ip[2][WEFT_ADDR_STR];
	struct weft_object *o;
	size_t n = 0;

	if (!p->there)
		return;
	for (int f = 0; f < 2; f++)
		if (p->first[f])
			n += (size_t)snprintf(ranges + n, sizeof(ranges) - n, "%s%s-%s", n ? " " : "",
			                      address(f, p->first[f], ip[0]), address(f, p->last[f], ip[1]));
	o = lb_pool(name, ranges);
	o->ippool.priority = p->priority;
	o->ippool.auto_assign = p->auto_assign;
	o->ippool.disabled = p->disabled;
	if (p->wants_tier)
		require(&o->ippool.service_selector, "tier", p->wants_tier == 1 ? "one" : "two");
	put_pool(m->lb, o);
}

static void change_pool(struct model *m)
{
	int i = (int)roll(m, POOLS);
	struct model_pool *p = &m->pools[i];
	unsigned families = roll(m, 4);

	if (p->there && roll(m, 4) == 0) {
		*p = (struct model_pool){.there = false};
		lb_del_pool(m->lb, (char[]){'p', (char)('0' + i), 0});
		return;
	}
	*p = (struct model_pool){.there = true, .auto_assign = roll(m, 4) > 0, .disabled = roll(m, 8) == 0};
	p->priority = roll(m, 2);
	p->wants_tier = (int)roll(m, 3);
	for (int f = 0; f < 2; f++) {
		p->last[f] = -1;
		if (families == (unsigned)f)
			continue;
		p->first[f] = 1 + (int)roll(m, NUMBERS);
		p->last[f] = p->first[f] + (int)roll(m, 6);
		if (p->last[f] > NUMBERS)
			p->last[f] = NUMBERS;
	}
	give_pool(m, i);
}

/* Another process takes over, and learns everything in another order. */
static void restart(struct model *m)
{
	int shift = (int)roll(m, SERVICES);

	lb_free(m->lb);
	m->lb = lb_new(true);
	memset(m->known, 0, sizeof(m->known));
	for (int i = 0; i < SERVICES; i++)
		if (m->services[(i + shift) % SERVICES].there)
			give_service(m, (i + shift) % SERVICES);
	for (int i = 0; i < POOLS; i++)
		give_pool(m, i);
	lb_ready(m->lb);
}

static void run(uint64_t seed)
{
	struct model m = {.seed = seed, .lb = lb_new(true)};

	for (int i = 0; i < SERVICES; i++)
		m.services[i].pool = m.before[i].pool = -1;
	lb_ready(m.lb);
	for (int step = 0; step < STEPS; step++) {
		unsigned what = roll(&m, 100);

		if (what < 80)
			change_service(&m);
		else if (what < 98)
			change_pool(&m);
		else
			restart(&m);
		check(&m);
	}
	lb_free(m.lb);
}

static void random_changes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_changes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
