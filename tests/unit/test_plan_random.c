// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What holds in every plan, over thousands of random Services: S14, S15, S18, S20 as relations between the
 * parts of a plan, so that no two verdicts meet on one address and port.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/plan_bed.h"

enum { ROUNDS = 4000 };

static unsigned seed;

static bool maybe(unsigned percent)
{
	return (unsigned)rand_r(&seed) % 100 < percent;
}

static const char *one_of(const char *const *list, size_t n)
{
	return list[(size_t)rand_r(&seed) % n];
}

static struct weft_object *random_service(void)
{
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer"};
	static const char *const addrs[] = {"192.0.2.1", "192.0.2.2",   "10.96.0.10", "10.1.1.2",
	                                    "10.2.2.1",  "2001:db8::1", "fd96::10",   "fd01::1",
	                                    "127.0.0.1", "10.96.3.3"};
	static const char *const ranges[] = {"10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0",
	                                     "fd00::/8",   "fd01::/16",   "::/0"};
	struct weft_buf b = {0};
	struct weft_object *o;

	weft_buf_printf(&b, "type=%s port=a:80/TCP:30080 port=b:80/UDP port=c:81/TCP:30081",
	                one_of(types, WEFT_ARRAY_LEN(types)));
	weft_buf_str(&b, maybe(80) ? " ip=10.96.0.10" : "");
	weft_buf_str(&b, maybe(50) ? " ip=fd96::10" : "");
	weft_buf_str(&b, maybe(10) ? " ip=10.2.2.1" : "");
	weft_buf_str(&b, maybe(50) ? " etp=Local" : "");
	weft_buf_str(&b, maybe(30) ? " itp=Local" : "");
	weft_buf_str(&b, maybe(30) ? " affinity=10" : "");
	while (maybe(60))
		weft_buf_printf(&b, " %s=%s", maybe(50) ? "lb" : "ext", one_of(addrs, WEFT_ARRAY_LEN(addrs)));
	while (maybe(30))
		weft_buf_printf(&b, " range=%s", one_of(ranges, WEFT_ARRAY_LEN(ranges)));
	o = service("ns/web", weft_buf_text(&b));
	weft_buf_free(&b);
	return o;
}

static struct weft_object *random_slice(const char *key, bool v6)
{
	static const char *const states[] = {"", "/", "/st", "/s", "/t", "/rst", "~z1", "~z2"};
	static const char *const nodes[] = {"@a", "@b", "@c", ""};
	static const char *const ports[] = {"a:8080/TCP", "a:80/TCP b:80/UDP", "b:53/UDP c:8081/TCP", ""};
	struct weft_buf b = {0};
	struct weft_object *o;

	weft_buf_str(&b, "");
	while (maybe(70))
		weft_buf_printf(&b, " %s%d%s%s", v6 ? "fd44::" : "10.244.0.", 1 + rand_r(&seed) % 6,
		                one_of(nodes, WEFT_ARRAY_LEN(nodes)), one_of(states, WEFT_ARRAY_LEN(states)));
	o = slice(key, "web", one_of(ports, WEFT_ARRAY_LEN(ports)), weft_buf_text(&b));
	weft_buf_free(&b);
	return o;
}

/* --- what holds --- */

static const struct svc_virtual *virtual_of(const struct svc_plan *p, const struct svc_element *e)
{
	for (size_t i = 0; i < p->n_virtuals; i++) {
		const struct svc_virtual_key *k = &p->virtuals[i].key;

		if (!weft_addr_cmp(&k->addr, &e->addr) && k->proto == e->proto && k->port == e->port)
			return &p->virtuals[i];
	}
	return NULL;
}

static bool has_element(const struct svc_plan *p, enum svc_set set, const struct svc_element *like)
{
	for (size_t i = 0; i < p->n_elements; i++) {
		const struct svc_element *e = &p->elements[i];

		if (e->set == set && !weft_addr_cmp(&e->addr, &like->addr) && e->proto == like->proto &&
		    e->port == like->port)
			return true;
	}
	return false;
}

static bool has_mark(const struct svc_plan *p, uint32_t mark, uint8_t family)
{
	for (size_t i = 0; i < p->n_virtuals; i++)
		if (p->virtuals[i].key.fwmark == mark && p->virtuals[i].key.addr.family == family)
			return true;
	return false;
}

static void virtuals_hold(const struct svc_plan *p)
{
	for (size_t i = 0; i < p->n_virtuals; i++) {
		const struct svc_virtual *v = &p->virtuals[i];
		bool traffic = false, marked = false;

		assert_true(v->n && v->first + v->n <= p->n_dests); /* H5: never an empty one */
		assert_false(i && !memcmp(&p->virtuals[i - 1].key, &v->key, sizeof(v->key)));
		for (size_t k = v->first; k < v->first + v->n; k++) {
			const struct svc_dest *d = &p->dests[k];

			assert_int_equal(d->addr.family, v->key.addr.family);
			assert_int_equal(d->weight, !d->keep_only);
			assert_true(k == v->first || weft_addr_cmp(&d[-1].addr, &d->addr) < 0 ||
			            (!weft_addr_cmp(&d[-1].addr, &d->addr) && d[-1].port < d->port));
			traffic = traffic || d->weight;
		}
		assert_true(traffic);
		for (size_t k = 0; k < p->n_elements && !marked; k++)
			marked = p->elements[k].set == SVC_SET_ETPL && p->elements[k].mark == v->key.fwmark;
		assert_int_equal(marked, v->key.fwmark != 0);
	}
}

static void element_holds(const struct svc_plan *p, const struct svc_element *e)
{
	switch ((enum svc_set)e->set) {
	case SVC_SET_MASQ:
		assert_non_null(virtual_of(p, e));
		assert_false(has_element(p, SVC_SET_ETPL, e));
		break;
	case SVC_SET_ETPL: /* traffic from outside has a verdict of its own */
		assert_true(has_mark(p, e->mark, e->addr.family));
		assert_true(virtual_of(p, e) || has_element(p, SVC_SET_DROP, e));
		break;
	case SVC_SET_DROP:
	case SVC_SET_REFUSE:
		assert_null(virtual_of(p, e));
		assert_false(has_element(p, SVC_SET_DROP, e) && has_element(p, SVC_SET_REFUSE, e));
		break;
	case SVC_SET_RANGED:
		assert_true(has_element(p, SVC_SET_SOURCE, e));
		break;
	case SVC_SET_SOURCE:
		assert_true(has_element(p, SVC_SET_RANGED, e));
		assert_true(e->source.len && e->source.addr.family == e->addr.family);
		break;
	case SVC_SET_VIP:
	case SVC_SET_HAIRPIN:
		assert_int_equal(e->proto + e->port, 0);
		break;
	case SVC_SET_COUNT:
		fail();
	}
}

static void elements_hold(const struct svc_plan *p)
{
	for (size_t i = 0; i < p->n_elements; i++) {
		const struct svc_element *e = &p->elements[i];

		assert_false(i && !memcmp(&e[-1], e, SVC_ELEMENT_KEY));
		if (i && e->set == SVC_SET_SOURCE &&
		    !memcmp(&e[-1], e, offsetof(struct svc_element, source)) && e[-1].set == e->set &&
		    e[-1].proto == e->proto && e[-1].port == e->port)
			assert_false(weft_prefix_overlaps(&e[-1].source, &e->source));
		element_holds(p, e);
	}
}

static void vips_hold(const struct svc_plan *p)
{
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct svc_vip *v = &p->vips[i];
		struct svc_element like;

		memset(&like, 0, sizeof(like));
		like.addr = v->addr;
		assert_true(!i || weft_addr_cmp(&v[-1].addr, &v->addr) < 0);
		assert_int_equal(v->advertise, !v->why_not);
		assert_int_equal(v->route, has_element(p, SVC_SET_VIP, &like));
	}
}

static void every_plan_is_consistent(void **state)
{
	size_t virtuals = 0, drops = 0;

	(void)state;
	seed = 11;
	for (int round = 0; round < ROUNDS; round++) {
		struct svc_plan p;
		struct plan_bed b;

		bed_init(&b);
		services_put(b.services, random_service());
		services_put(b.services, random_slice("ns/web-1", false));
		services_put(b.services, random_slice("ns/web-2", false));
		services_put(b.services, random_slice("ns/web-6", true));
		bed_plan(&b, &p);
		virtuals_hold(&p);
		elements_hold(&p);
		vips_hold(&p);
		virtuals += p.n_virtuals;
		for (size_t i = 0; i < p.n_elements; i++)
			drops += p.elements[i].set == SVC_SET_DROP;
		svc_plan_free(&p);
		bed_free(&b);
	}
	assert_true(virtuals > ROUNDS && drops > ROUNDS / 10); /* the rounds were about something */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_plan_is_consistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
