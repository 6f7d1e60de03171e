// SPDX-License-Identifier: GPL-2.0-or-later
/* Routes of a block in every mode, who wants which route, and both together through a cluster's life. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/plan/routes.h"
#include "agent/plan/wanted.h"
#include "tests/unit/follow.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

/* --- one block --- */

#define ALL_ADDR "10.1.1.1", "fd01::1"

static struct routes_link links[] = {{.dev = "eth0"}, {.dev = "eth1"}, {.dev = "eth0"}};

static struct routes_env environment(void)
{
	links[0].prefix = prefix("10.1.1.0/24");
	links[1].prefix = prefix("10.1.1.128/25");
	links[2].prefix = prefix("fd01::/64");
	return (struct routes_env){.ip4 = addr("10.1.1.1"),
	                           .ip6 = addr("fd01::1"),
	                           .links = links,
	                           .n_links = WEFT_ARRAY_LEN(links),
	                           .ipip_ready = true,
	                           .sit_ready = true,
	                           .tunnel4 = addr("10.244.0.1"),
	                           .tunnel6 = addr("fd44::1"),
	                           .advertise = true};
}

/* The plan as "ROUTE; ROUTE! reason". */
static const char *plan_text(const struct cluster *c, const struct routes_env *env, const char *cidr,
                             char *buf, size_t size)
{
	struct weft_prefix p = prefix(cidr);
	struct routes_plan plan;
	char route[WEFT_ROUTE_STR];
	size_t n = 0;

	buf[0] = '\0';
	routes_plan_block(c, env, &p, &plan);
	for (size_t i = 0; i < plan.n; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? "; " : "",
		                      weft_route_str(&plan.routes[i], route));
	if (*plan.reason)
		snprintf(buf + n, size - n, "! %s", plan.reason);
	return buf;
}

#define NEVER  WEFT_TUNNEL_NEVER
#define CROSS  WEFT_TUNNEL_CROSS_SUBNET
#define FALL   WEFT_TUNNEL_FALLBACK
#define ALWAYS WEFT_TUNNEL_ALWAYS

static const struct {
	enum weft_tunnel_mode mode;
	const char *ip4, *ip6; /* of the remote node */
	const char *cidr, *want;
} remotes[] = {
        /* v4: on-link, off-link */
        {FALL, "10.1.1.2", NULL, "10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto weft metric 16"},
        {CROSS, "10.1.1.2", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.1.2 dev eth0 proto weft metric 16"},
        {NEVER, "10.1.1.2", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.1.2 dev eth0 proto weft metric 16"},
        {ALWAYS, "10.1.1.2", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.1.2 dev weft.ipip proto weft src 10.244.0.1 metric 16 onlink"},
        {FALL, "10.1.1.200", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.1.200 dev eth1 proto weft metric 16"}, /* the longer prefix */
        {FALL, "10.1.2.2", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.2.2 dev weft.ipip proto weft src 10.244.0.1 metric 4096 onlink"},
        {CROSS, "10.1.2.2", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.2.2 dev weft.ipip proto weft src 10.244.0.1 metric 16 onlink"},
        {ALWAYS, "10.1.2.2", NULL, "10.244.1.0/26",
         "10.244.1.0/26 via 10.1.2.2 dev weft.ipip proto weft src 10.244.0.1 metric 16 onlink"},
        {NEVER, "10.1.2.2", NULL, "10.244.1.0/26", ""},
        /* v6: the same, by sit */
        {FALL, "10.1.1.2", "fd01::2", "fd44::40/122",
         "fd44::40/122 via fd01::2 dev eth0 proto weft metric 16"},
        {NEVER, NULL, "fd01::2", "fd44::40/122", "fd44::40/122 via fd01::2 dev eth0 proto weft metric 16"},
        {FALL, "10.1.2.2", "fd02::2", "fd44::40/122",
         "fd44::40/122 via ::10.1.2.2 dev weft.sit proto weft src fd44::1 metric 4096 onlink"},
        {ALWAYS, "10.1.1.2", "fd01::2", "fd44::40/122",
         "fd44::40/122 via ::10.1.1.2 dev weft.sit proto weft src fd44::1 metric 16 onlink"},
        {CROSS, "10.1.2.2", NULL, "fd44::40/122",
         "fd44::40/122 via ::10.1.2.2 dev weft.sit proto weft src fd44::1 metric 16 onlink"},
        /* what can't be */
        {FALL, NULL, "fd02::2", "fd44::40/122",
         "! block fd44::40/122 of node b: no tunnel: the node has no IPv4 InternalIP, and weft.sit travels in "
         "IPv4"},
        {FALL, NULL, "fd01::2", "10.244.1.0/26",
         "! block 10.244.1.0/26 of node b: no tunnel: the node has no IPv4 InternalIP, and weft.ipip travels in "
         "IPv4"},
        {FALL, NULL, NULL, "10.244.1.0/26",
         "! block 10.244.1.0/26 of node b: no route: the node has no InternalIP"},
        {FALL, "10.1.1.1", NULL, "10.244.1.0/26",
         "! block 10.244.1.0/26 of node b: no route: the node claims 10.1.1.1, which is our own InternalIP"},
        {ALWAYS, "10.1.1.2", "fd01::1", "10.244.1.0/26",
         "! block 10.244.1.0/26 of node b: no route: the node claims fd01::1, which is our own InternalIP"},
};

static struct cluster *cluster_of(enum weft_tunnel_mode mode, const char *ip4, const char *ip6)
{
	struct cluster *c = cluster_new("a");

	put(c, node("a", ALL_ADDR));
	put(c, node("b", ip4, ip6));
	put(c, pool("p4", "10.244.0.0/16", 26, mode));
	put(c, pool("p6", "fd44::/64", 122, mode));
	synced(c);
	return c;
}

static void remote_blocks_by_mode_and_place(void **state)
{
	struct routes_env env = environment();
	char text[2048];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(remotes); i++) {
		struct cluster *c = cluster_of(remotes[i].mode, remotes[i].ip4, remotes[i].ip6);

		put(c, block(remotes[i].cidr, "b", strchr(remotes[i].cidr, ':') ? "p6" : "p4"));
		assert_string_equal(plan_text(c, &env, remotes[i].cidr, text, sizeof(text)), remotes[i].want);
		cluster_free(c);
	}
}

static void own_blocks_are_blackholes(void **state)
{
	struct cluster *c = cluster_of(FALL, "10.1.1.2", NULL);
	struct routes_env env = environment();
	char text[2048];

	(void)state;
	put(c, block("10.244.1.0/26", "a", "p4"));
	put(c, block("fd44::40/122", "a", "p6"));
	assert_string_equal(plan_text(c, &env, "10.244.1.0/26", text, sizeof(text)),
	                    "blackhole 10.244.1.0/26 proto weft metric 8192; "
	                    "blackhole 10.244.1.0/26 table 179 proto weft metric 100");
	del(c, WEFT_NODE, "a"); /* our pods don't wait for our Node object */
	env.advertise = false;
	assert_string_equal(plan_text(c, &env, "fd44::40/122", text, sizeof(text)),
	                    "blackhole fd44::40/122 proto weft metric 8192");
	cluster_free(c);
}

static void a_tunnel_waits_for_its_device(void **state)
{
	struct cluster *c = cluster_of(FALL, "10.1.2.2", "fd02::2");
	struct routes_env env = environment();
	char text[2048];

	(void)state;
	put(c, block("10.244.1.0/26", "b", "p4"));
	put(c, block("fd44::40/122", "b", "p6"));
	env.ipip_ready = false;
	env.tunnel6 = addr(NULL);
	assert_string_equal(plan_text(c, &env, "10.244.1.0/26", text, sizeof(text)),
	                    "! block 10.244.1.0/26 of node b: no tunnel: the device weft.ipip is not ready");
	assert_string_equal(plan_text(c, &env, "fd44::40/122", text, sizeof(text)),
	                    "fd44::40/122 via ::10.1.2.2 dev weft.sit proto weft metric 4096 onlink");
	env.ip4 = addr(NULL);
	assert_non_null(strstr(plan_text(c, &env, "fd44::40/122", text, sizeof(text)),
	                       "this node has no IPv4 InternalIP"));
	cluster_free(c);
}

static void ignored_blocks_get_no_route(void **state)
{
	struct cluster *c = cluster_of(FALL, "10.1.1.2", NULL);
	struct routes_env env = environment();
	char text[2048];

	(void)state;
	put(c, block("10.9.0.0/26", "b", "p4"));
	assert_non_null(
	        strstr(plan_text(c, &env, "10.9.0.0/26", text, sizeof(text)), "! IPBlock 10.9.0.0-26"));
	put(c, block("10.244.1.0/26", "b", "p4"));
	put(c, block("10.244.1.0/27", "b", "p4"));
	assert_string_equal(
	        plan_text(c, &env, "10.244.1.0/27", text, sizeof(text)),
	        "! IPBlock 10.244.1.0-27 (10.244.1.0/27) of node b is ignored: it overlaps IPBlock "
	        "10.244.1.0-26 (10.244.1.0/26) of node b");
	put(c, block("10.244.2.0/26", "x", "p4"));
	assert_string_equal(
	        plan_text(c, &env, "10.244.2.0/26", text, sizeof(text)),
	        "! IPBlock 10.244.2.0-26 (10.244.2.0/26): node unknown: there is no Node x, so no route");
	put(c, block("10.244.3.0/26", "b", "gone"));
	assert_string_equal(
	        plan_text(c, &env, "10.244.3.0/26", text, sizeof(text)),
	        "10.244.3.0/26 via 10.1.1.2 dev eth0 proto weft metric 16! IPBlock 10.244.3.0-26 "
	        "(10.244.3.0/26): its IPPool gone does not exist; treated as a block of IPPool p4");
	assert_string_equal(plan_text(c, &env, "10.244.4.0/26", text, sizeof(text)), "");
	cluster_free(c);
}

static void pods_have_host_routes(void **state)
{
	struct weft_addr a4 = addr("10.244.1.5"), a6 = addr("fd44::45");
	struct weft_route r;
	char text[WEFT_ROUTE_STR];

	(void)state;
	routes_pod(&a4, "weft0123456789a", &r);
	assert_int_equal(r.scope, 253);
	assert_int_equal(r.key.metric, 0);
	assert_string_equal(weft_route_str(&r, text),
	                    "10.244.1.5/32 dev weft0123456789a proto weft scope link");
	routes_pod(&a6, "weft0123456789a", &r);
	assert_string_equal(weft_route_str(&r, text), "fd44::45/128 dev weft0123456789a proto weft metric 1");
}

/* --- wanted --- */

struct log {
	char text[4096];
	size_t calls;
};

static void on_want(void *ctx, const struct weft_route *r)
{
	struct log *l = ctx;
	char route[WEFT_ROUTE_STR];
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "+%s\n", weft_route_str(r, route));
	l->calls++;
}

static void on_unwant(void *ctx, const struct weft_route_key *k)
{
	struct log *l = ctx;
	char cidr[WEFT_PREFIX_STR];
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "-%s %u %u\n", weft_prefix_str(&k->dst, cidr), k->table,
	         k->metric);
	l->calls++;
}

static struct wanted *wanted_log(struct log *l)
{
	struct wanted_ops ops = {on_want, on_unwant, l};

	return wanted_new(&ops);
}

#define SAID(l, want)                                 \
	do {                                          \
		assert_string_equal((l)->text, want); \
		(l)->text[0] = '\0';                  \
	} while (0)

static void an_owner_replaces_its_set_exactly(void **state)
{
	struct log l = {0};
	struct wanted *w = wanted_log(&l);
	struct weft_addr a = addr("10.0.0.1"), b = addr("10.0.0.2"), d = addr("10.0.0.3");
	struct weft_route r[3];

	(void)state;
	routes_pod(&a, "weft1", &r[0]);
	routes_pod(&b, "weft1", &r[1]);
	routes_pod(&d, "weft1", &r[2]);
	assert_int_equal(wanted_set(w, "pod", r, 2, NULL), 0);
	SAID(&l,
	     "+10.0.0.1/32 dev weft1 proto weft scope link\n+10.0.0.2/32 dev weft1 proto weft scope link\n");
	assert_int_equal(wanted_set(w, "pod", r, 2, NULL), 0);
	SAID(&l, "");
	snprintf(r[1].dev, sizeof(r[1].dev), "weft2");
	assert_int_equal(wanted_set(w, "pod", r + 1, 2, NULL), 0);
	SAID(&l,
	     "+10.0.0.2/32 dev weft2 proto weft scope link\n+10.0.0.3/32 dev weft1 proto weft scope link\n"
	     "-10.0.0.1/32 254 0\n");
	assert_int_equal(wanted_count(w), 2);
	assert_int_equal(wanted_set(w, "pod", NULL, 0, NULL), 0);
	SAID(&l, "-10.0.0.2/32 254 0\n-10.0.0.3/32 254 0\n");
	assert_int_equal(wanted_set(w, "nobody", NULL, 0, NULL), 0);
	assert_int_equal(wanted_count(w), 0);
	wanted_free(w);
}

static void the_first_owner_keeps_a_key(void **state)
{
	struct log l = {0};
	struct wanted *w = wanted_log(&l);
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_addr a = addr("10.0.0.1");
	struct weft_route one, two;
	char name[400];

	(void)state;
	routes_pod(&a, "weft1", &one);
	routes_pod(&a, "weft2", &two);
	assert_int_equal(wanted_set(w, "pod one", &one, 1, &err), 0);
	assert_int_equal(wanted_set(w, "pod two", &two, 1, &err), -EEXIST);
	assert_string_equal(
	        err.text,
	        "pod two: the route 10.0.0.1/32 dev weft2 proto weft scope link waits: pod one has it");
	assert_int_equal(wanted_set(w, "pod three", &two, 1, NULL), -EEXIST);
	SAID(&l, "+10.0.0.1/32 dev weft1 proto weft scope link\n");
	assert_string_equal(wanted_holder(w, &one.key), "pod one");
	wanted_set(w, "pod one", NULL, 0, NULL);
	SAID(&l, "+10.0.0.1/32 dev weft2 proto weft scope link\n"); /* takeover without a gap */
	assert_string_equal(wanted_holder(w, &one.key), "pod two");
	wanted_set(w, "pod two", NULL, 0, NULL);
	SAID(&l, ""); /* three wants the very same route */
	wanted_set(w, "pod three", NULL, 0, NULL);
	SAID(&l, "-10.0.0.1/32 254 0\n");
	assert_null(wanted_holder(w, &one.key));
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(wanted_set(w, name, &one, 1, &err), -EINVAL);
	assert_int_equal(wanted_set(w, "", &one, 1, &err), -EINVAL);
	SAID(&l, "");
	wanted_set(w, "left", &one, 1, NULL);
	wanted_free(w);
}

/* --- a cluster's life, event by event: what reaches the kernel --- */

static void a_life_gives_exact_deltas(void **state)
{
	struct cluster *c = cluster_of(FALL, "10.1.1.2", NULL);
	struct routes_env env = environment();
	struct log l = {0};
	struct wanted *w = wanted_log(&l);

	(void)state;
	put(c, block("10.244.1.0/26", "b", "p4"));
	put(c, block("10.244.2.0/26", "new", "p4"));
	follow(c, &env, w);
	SAID(&l, "+10.244.1.0/26 via 10.1.1.2 dev eth0 proto weft metric 16\n");
	put(c, node("new", "10.1.2.9", NULL)); /* node added */
	follow(c, &env, w);
	SAID(&l, "+10.244.2.0/26 via 10.1.2.9 dev weft.ipip proto weft src 10.244.0.1 metric 4096 onlink\n");
	put(c, node("new", "10.1.1.9", NULL)); /* re-addressed: into our subnet */
	follow(c, &env, w);
	SAID(&l, "+10.244.2.0/26 via 10.1.1.9 dev eth0 proto weft metric 16\n-10.244.2.0/26 254 4096\n");
	put(c, pool("p4", "10.244.0.0/16", 26, ALWAYS)); /* pool mode */
	follow(c, &env, w);
	SAID(&l, "+10.244.1.0/26 via 10.1.1.2 dev weft.ipip proto weft src 10.244.0.1 metric 16 onlink\n"
	         "+10.244.2.0/26 via 10.1.1.9 dev weft.ipip proto weft src 10.244.0.1 metric 16 onlink\n");
	put(c, block("10.244.1.0/26", "new", "p4")); /* a block moves */
	follow(c, &env, w);
	SAID(&l, "+10.244.1.0/26 via 10.1.1.9 dev weft.ipip proto weft src 10.244.0.1 metric 16 onlink\n");
	put(c, block("10.244.1.0/26", "a", "p4")); /* to us */
	follow(c, &env, w);
	SAID(&l, "+blackhole 10.244.1.0/26 proto weft metric 8192\n"
	         "+blackhole 10.244.1.0/26 table 179 proto weft metric 100\n-10.244.1.0/26 254 16\n");
	del(c, WEFT_NODE, "new"); /* node removed */
	follow(c, &env, w);
	SAID(&l, "-10.244.2.0/26 254 16\n");
	del(c, WEFT_IPBLOCK, "10.244.1.0-26");
	follow(c, &env, w);
	SAID(&l, "-10.244.1.0/26 254 8192\n-10.244.1.0/26 179 100\n");
	assert_int_equal(wanted_count(w), 0);
	wanted_free(w);
	cluster_free(c);
}

/* 5,000 nodes: one more block, one node's new address: as many messages as there are changed routes. */
static void an_event_among_5000_nodes_touches_its_own_routes(void **state)
{
	struct cluster *c = cluster_of(FALL, "10.1.1.2", NULL);
	struct routes_env env = environment();
	struct log l = {0};
	struct wanted *w = wanted_log(&l);
	char name[32], ip[WEFT_ADDR_STR], cidr[WEFT_PREFIX_STR];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		struct weft_addr a = addr("10.2.0.0"), b = addr("10.244.0.0");
		struct weft_prefix p;

		a = weft_addr_add(&a, i + 1);
		b = weft_addr_add(&b, (uint64_t)i * 8);
		p = weft_prefix_mask(&b, 29);
		snprintf(name, sizeof(name), "node-%u", i);
		put(c, node(name, weft_addr_str(&a, ip), NULL));
		put(c, block(weft_prefix_str(&p, cidr), name, "p4"));
	}
	follow(c, &env, w);
	assert_int_equal(wanted_count(w), 5000);
	l = (struct log){0};
	put(c, block("10.244.255.0/26", "b", "p4"));
	assert_int_equal(cluster_dirty_count(c), 1);
	follow(c, &env, w);
	assert_int_equal(l.calls, 1);
	put(c, node("node-77", "10.3.0.1", NULL));
	assert_int_equal(cluster_dirty_count(c), 2);
	follow(c, &env, w);
	assert_int_equal(l.calls, 2);
	put(c, node("node-78", "10.3.0.1", NULL)); /* an address twice: no harm to others */
	follow(c, &env, w);
	assert_int_equal(l.calls, 3);
	del(c, WEFT_NODE, "node-77");
	follow(c, &env, w);
	assert_int_equal(l.calls, 4);
	wanted_free(w);
	cluster_free(c);
}

static void a_link_that_is_down_reaches_nobody(void **state)
{
	struct routes_env env = environment();
	struct weft_addr near = addr("10.1.1.2"), both = addr("10.1.1.130");

	(void)state;
	assert_string_equal(routes_on_link(&env, &both)->dev, "eth1");
	links[1].down = true;
	assert_string_equal(routes_on_link(&env, &both)->dev, "eth0");
	links[0].down = true;
	assert_null(routes_on_link(&env, &near));
	links[0].down = links[1].down = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_link_that_is_down_reaches_nobody),
	        cmocka_unit_test(remote_blocks_by_mode_and_place),
	        cmocka_unit_test(own_blocks_are_blackholes),
	        cmocka_unit_test(a_tunnel_waits_for_its_device),
	        cmocka_unit_test(ignored_blocks_get_no_route),
	        cmocka_unit_test(pods_have_host_routes),
	        cmocka_unit_test(an_owner_replaces_its_set_exactly),
	        cmocka_unit_test(the_first_owner_keeps_a_key),
	        cmocka_unit_test(a_life_gives_exact_deltas),
	        cmocka_unit_test(an_event_among_5000_nodes_touches_its_own_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
