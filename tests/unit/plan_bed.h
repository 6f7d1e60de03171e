// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node "a" (10.1.1.1, fd01::1; also 10.2.2.1) of a cluster with node "b" (10.1.1.2), on which one Service
 * is planned; the plan comes out as lines of text.
 */
#ifndef TESTS_UNIT_PLAN_BED_H
#define TESTS_UNIT_PLAN_BED_H

#include "agent/plan/services.h"
#include "tests/unit/service_objects.h"
#include "weft/buf.h"
#include "weft/marks.h"

struct plan_bed {
	struct svc_env env;
	struct weft_addr node_addrs[4];
	struct weft_prefix cidrs[2], external_ips[2];
	const struct weft_object *adverts[2], *pool;
	char marks[8][128]; /* names, in the order in which they were asked for */
	size_t n_marks;
	bool no_mark_left;
	struct services *services;
};

static inline const char *bed_node_with(void *ctx, const struct weft_addr *a)
{
	struct weft_addr b = addr("10.1.1.2"), own = addr("10.1.1.1");

	(void)ctx;
	return !weft_addr_cmp(a, &b) ? "b" : !weft_addr_cmp(a, &own) ? "a" : NULL;
}

/* 10.244.0.0/24 is this node's, whatever a slice says. */
static inline bool bed_own_pod(void *ctx, const struct weft_addr *a)
{
	struct weft_prefix own = prefix("10.244.0.0/24");

	(void)ctx;
	return weft_prefix_contains(&own, a);
}

static inline uint32_t bed_mark(void *ctx, const char *name)
{
	struct plan_bed *b = ctx;
	size_t i;

	if (b->no_mark_left)
		return 0;
	for (i = 0; i < b->n_marks; i++)
		if (!strcmp(b->marks[i], name))
			return WEFT_FWMARK_BASE + 1 + (uint32_t)i;
	if (i == WEFT_ARRAY_LEN(b->marks))
		abort();
	snprintf(b->marks[b->n_marks++], sizeof(b->marks[0]), "%s", name);
	return WEFT_FWMARK_BASE + (uint32_t)b->n_marks;
}

static inline const struct weft_meta *bed_ns(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return NULL;
}

static inline const struct weft_object *bed_pool(void *ctx, const struct weft_addr *a)
{
	struct plan_bed *b = ctx;

	return b->pool && weft_prefix_contains(&b->pool->ippool.cidr, a) ? b->pool : NULL;
}

static inline void bed_init(struct plan_bed *b)
{
	memset(b, 0, sizeof(*b));
	b->node_addrs[0] = addr("10.1.1.1");
	b->node_addrs[1] = addr("fd01::1");
	b->node_addrs[2] = addr("10.2.2.1");
	b->cidrs[0] = prefix("10.96.0.0/16");
	b->cidrs[1] = prefix("fd96::/112");
	b->external_ips[0] = prefix("0.0.0.0/0");
	b->external_ips[1] = prefix("::/0");
	b->env = (struct svc_env){.local = {.node = "a", .zone = "z1"},
	                          .ip4 = addr("10.1.1.1"),
	                          .ip6 = addr("fd01::1"),
	                          .node_addrs = b->node_addrs,
	                          .n_node_addrs = 3,
	                          .cidrs = b->cidrs,
	                          .n_cidrs = 2,
	                          .external_ips = b->external_ips,
	                          .n_external_ips = 2,
	                          .scheduler = "rr",
	                          .adverts = b->adverts,
	                          .node_with = bed_node_with,
	                          .own_pod = bed_own_pod,
	                          .announce = WEFT_ANNOUNCE_DEFAULT,
	                          .ns = bed_ns,
	                          .pool = bed_pool,
	                          .mark = bed_mark,
	                          .ctx = b};
	b->services = services_new();
}

static inline void bed_free(struct plan_bed *b)
{
	services_free(b->services);
}

/* The Service ns/web of these words, and one slice with these endpoints of the port 8080/TCP. */
static inline void bed_put(struct plan_bed *b, const char *words, const char *ports, const char *endpoints)
{
	services_put(b->services, service("ns/web", words));
	services_put(b->services, slice("ns/web-1", "web", ports, endpoints));
}

static inline void bed_plan(struct plan_bed *b, struct svc_plan *out)
{
	struct services_view v;

	if (!services_get(b->services, "ns/web", &v))
		abort();
	svc_plan(&v, &b->env, out);
}

/* --- a plan as text --- */

#define SHOW_VIPS     0x1u
#define SHOW_VIRTUALS 0x2u
#define SHOW_ELEMENTS 0x4u /* without those below */
#define SHOW_PLACES   0x8u /* VIP and HAIRPIN */
#define SHOW_PROBLEMS 0x10u
#define SHOW_WHY      0x20u /* why a VIP is not announced */

static inline void show_vip(struct weft_buf *b, const struct svc_vip *v, unsigned what)
{
	static const char *const kinds[] = {"cluster", "external", "lb"};
	char ip[WEFT_ADDR_STR];

	weft_buf_printf(b, "vip %s %s%s%s", weft_addr_str(&v->addr, ip), kinds[v->kind],
	                v->route ? " route" : "", v->advertise ? " announced" : "");
	if ((what & SHOW_WHY) && v->why_not)
		weft_buf_printf(b, " (%s)", v->why_not);
	weft_buf_char(b, '\n');
}

static inline void show_virtual(struct weft_buf *b, const struct svc_plan *p, const struct svc_virtual *v)
{
	char key[SVC_KEY_STR], ip[WEFT_ADDR_STR];

	weft_buf_printf(b, "%s %s%s", svc_virtual_str(&v->key, key), v->scheduler,
	                v->sched_flags & SVC_SCHED_FALLBACK ? "+fallback" : "");
	if (v->sched_flags & SVC_SCHED_PORT)
		weft_buf_str(b, "+port");
	if (v->persistence_s)
		weft_buf_printf(b, " for %us", v->persistence_s);
	weft_buf_str(b, " ->");
	for (size_t i = v->first; i < v->first + v->n; i++) {
		const struct svc_dest *d = &p->dests[i];
		const char *sure = d->weight == 1 && !d->keep_only  ? ""
		                   : d->weight == 0 && d->keep_only ? "~"
		                                                    : "BAD";

		weft_buf_printf(b, " %s%s:%u", sure, weft_addr_str(&d->addr, ip), d->port);
	}
	weft_buf_char(b, '\n');
}

static inline void show_element(struct weft_buf *b, const struct svc_element *e)
{
	static const char *const sets[] = {"set",    "masq",   "etpl",   "drop",
	                                   "refuse", "ranged", "source", "hairpin"};
	struct svc_virtual_key k;
	char key[SVC_KEY_STR], ip[WEFT_ADDR_STR], cidr[WEFT_PREFIX_STR];

	memset(&k, 0, sizeof(k));
	k.addr = e->addr;
	k.proto = e->proto;
	k.port = e->port;
	weft_buf_printf(b, "%s %s", sets[e->set],
	                e->proto ? svc_virtual_str(&k, key) : weft_addr_str(&e->addr, ip));
	if (e->set == SVC_SET_SOURCE)
		weft_buf_printf(b, " from %s", weft_prefix_str(&e->source, cidr));
	if (e->mark)
		weft_buf_printf(b, " = %#x", e->mark);
	weft_buf_char(b, '\n');
}

static inline char *plan_text(const struct svc_plan *p, unsigned what)
{
	struct weft_buf b = {0};

	for (size_t i = 0; i < p->n_vips && (what & SHOW_VIPS); i++)
		show_vip(&b, &p->vips[i], what);
	for (size_t i = 0; i < p->n_virtuals && (what & SHOW_VIRTUALS); i++)
		show_virtual(&b, p, &p->virtuals[i]);
	for (size_t i = 0; i < p->n_elements; i++) {
		uint8_t set = p->elements[i].set;
		unsigned kind = set == SVC_SET_VIP || set == SVC_SET_HAIRPIN ? SHOW_PLACES : SHOW_ELEMENTS;

		if (what & kind)
			show_element(&b, &p->elements[i]);
	}
	for (size_t i = 0; i < p->n_problems && (what & SHOW_PROBLEMS); i++)
		weft_buf_printf(&b, "! %s\n", p->problems[i]);
	weft_buf_str(&b, "");
	return weft_buf_take(&b);
}

/* Plan what lies in the bed and compare. */
static inline void bed_expect(struct plan_bed *b, const char *rule, unsigned what, const char *want)
{
	weft_autofree char *got = NULL;
	struct svc_plan p;

	bed_plan(b, &p);
	got = plan_text(&p, what);
	svc_plan_free(&p);
	if (strcmp(got, want))
		fail_msg("%s\n--- got\n%s--- want\n%s", rule, got, want);
}

#endif
