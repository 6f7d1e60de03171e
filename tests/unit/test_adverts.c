// SPDX-License-Identifier: GPL-2.0-or-later
/* Classes of announcement (agent/plan/adverts.h): the book of numbers, and which BGPAdvertisements choose what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/plan/adverts.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"
#include "weft/keyhash.h"

#define LB  WEFT_ADVERT_LOADBALANCER
#define POD WEFT_ADVERT_PODBLOCK
#define NAMES(...) \
	(const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* --- the book --- */

static void a_set_has_one_number(void **state)
{
	struct adverts *a = adverts_new();
	uint64_t version = adverts_version(a);

	(void)state;
	assert_int_equal(adverts_take(a, LB, NAMES("a")), 1000);
	assert_true(adverts_version(a) > version);
	version = adverts_version(a);
	assert_int_equal(adverts_find(a, 1000)->since, version);
	assert_int_equal(adverts_take(a, LB, NAMES("a")), 1000);
	assert_int_equal(adverts_version(a), version);
	assert_int_equal(adverts_take(a, WEFT_ADVERT_EXTERNAL, NAMES("a")), 1001);
	assert_int_equal(adverts_take(a, LB, NAMES("a", "b")), 1002);
	assert_int_equal(adverts_take(a, LB, NAMES("b")), 1003);
	adverts_free(a);
}

static void the_plain_ones_have_fixed_numbers(void **state)
{
	struct adverts *a = adverts_new();
	const struct advert_class *list;
	size_t n;

	(void)state;
	assert_int_equal(adverts_take(a, POD, NULL, 0), 100);
	assert_int_equal(adverts_take(a, LB, NULL, 0), 200);
	assert_int_equal(adverts_take(a, WEFT_ADVERT_EXTERNAL, NULL, 0), 201);
	assert_int_equal(adverts_take(a, WEFT_ADVERT_CLUSTER, NULL, 0), 202);
	assert_int_equal(adverts_version(a), 0);
	adverts_take(a, LB, NAMES("a", "b"));
	list = adverts_classes(a, &n);
	assert_int_equal(n, 5);
	assert_int_equal(list[0].metric, 100);
	assert_int_equal(list[0].since, 0);
	assert_int_equal(list[4].metric, 1000);
	assert_int_equal(list[4].type, LB);
	assert_int_equal(list[4].n_names, 2);
	assert_string_equal(list[4].names[1], "b");
	assert_true(adverts_name(a, "a") && adverts_name(a, "b"));
	assert_false(adverts_name(a, "c"));
	assert_null(adverts_find(a, 1001));
	assert_null(adverts_find(a, 7));
	adverts_free(a);
}

static void what_nobody_uses_is_collected(void **state)
{
	struct adverts *a = adverts_new();
	uint64_t version;

	(void)state;
	adverts_take(a, LB, NAMES("a"));
	adverts_take(a, LB, NAMES("b"));
	adverts_hold(a, 1000);
	adverts_release(a, 1000);
	version = adverts_version(a);
	assert_false(adverts_collect(a));
	assert_int_equal(adverts_version(a), version);
	adverts_release(a, 1000);
	assert_non_null(adverts_find(a, 1000)); /* until it is collected */
	assert_true(adverts_collect(a));
	assert_true(adverts_version(a) > version);
	assert_null(adverts_find(a, 1000));
	assert_non_null(adverts_find(a, 1001));
	assert_int_equal(adverts_take(a, LB, NAMES("c")), 1000);
	assert_int_equal(adverts_find(a, 1000)->since, adverts_version(a));
	adverts_free(a);
}

static void unions(void **state)
{
	struct adverts *a = adverts_new();
	uint32_t ab = adverts_take(a, LB, NAMES("a", "b")), bc = adverts_take(a, LB, NAMES("b", "c"));
	uint32_t plain = adverts_take(a, LB, NULL, 0), u;

	(void)state;
	u = adverts_union(a, (const uint32_t[]){ab, bc}, 2);
	assert_int_equal(adverts_find(a, u)->n_names, 3);
	assert_string_equal(adverts_find(a, u)->names[2], "c");
	assert_int_equal(adverts_union(a, (const uint32_t[]){bc, ab, u}, 3), u);
	assert_int_equal(adverts_union(a, (const uint32_t[]){plain, ab}, 2), ab);
	assert_int_equal(adverts_union(a, (const uint32_t[]){plain, plain}, 2), plain);
	assert_int_equal(adverts_union(a, (const uint32_t[]){bc}, 1), bc);
	adverts_release(a, u);
	assert_false(adverts_collect(a)); /* two uses of u */
	adverts_release(a, u);
	assert_true(adverts_collect(a));
	adverts_free(a);
}

/* Numbers end: sets without use give theirs, else there is none; a union is its lowest class then. */
static void exhaustion(void **state)
{
	struct adverts *a = adverts_new();
	const char *last[] = {"n1000", "n1001"};
	char name[32];

	(void)state;
	for (uint32_t i = ADVERT_METRIC_FIRST; i <= ADVERT_METRIC_LAST; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(adverts_take(a, LB, NAMES(name)), i);
	}
	assert_int_equal(adverts_take(a, LB, NAMES("more")), 0);
	assert_int_equal(adverts_take(a, LB, NULL, 0), 200);
	assert_int_equal(adverts_take(a, LB, NAMES("n5000")), 5000);
	assert_int_equal(adverts_union(a, (const uint32_t[]){1001, 1000}, 2), 1000);
	adverts_release(a, 7000);
	assert_int_equal(adverts_take(a, LB, last, 2), 7000);
	assert_int_equal(adverts_find(a, 7000)->since, adverts_version(a));
	assert_int_equal(adverts_take(a, LB, NAMES("n7000")), 0);
	adverts_free(a);
}

/* A number of table 179 that the book does not know is announced plainly, and nobody else's. */
static void kept_numbers(void **state)
{
	struct adverts *a = adverts_new();
	weft_autofree char *text = NULL;

	(void)state;
	adverts_keep(a, 1000, LB);
	adverts_keep(a, 200, LB);
	adverts_keep(a, 10000, LB);
	assert_int_equal(adverts_find(a, 1000)->n_names, 0);
	assert_int_equal(adverts_find(a, 1000)->type, LB);
	assert_int_equal(adverts_take(a, LB, NAMES("a")), 1001);
	adverts_keep(a, 1001, POD);
	assert_int_equal(adverts_find(a, 1001)->type, LB);
	text = adverts_save(a);
	assert_string_equal(text, "weft adverts 1\n1001 1 a\nend 1\n");
	assert_true(adverts_collect(a));
	assert_null(adverts_find(a, 1000));
	adverts_free(a);
}

/* --- its text --- */

static void a_restart_keeps_numbers(void **state)
{
	struct adverts *a = adverts_new(), *b = adverts_new();
	weft_autofree char *text = NULL, *again = NULL;

	(void)state;
	adverts_take(a, LB, NAMES("a"));
	adverts_take(a, POD, NAMES("a", "b.c"));
	adverts_take(a, LB, NAMES("z"));
	adverts_release(a, 1000);
	adverts_collect(a);
	text = adverts_save(a);
	assert_string_equal(text, "weft adverts 1\n1001 8 a b.c\n1002 1 z\nend 2\n");
	assert_int_equal(adverts_load(b, text, strlen(text), NULL), 0);
	assert_int_equal(adverts_take(b, LB, NAMES("z")), 1002);
	assert_int_equal(adverts_take(b, LB, NAMES("new")), 1000);
	assert_int_equal(adverts_take(b, POD, NAMES("a", "b.c")), 1001);
	again = adverts_save(b);
	assert_string_equal(again, "weft adverts 1\n1000 1 new\n1001 8 a b.c\n1002 1 z\nend 3\n");
	adverts_free(a);
	adverts_free(b);
}

static void a_damaged_text_is_refused_as_a_whole(void **state)
{
	static const char *const texts[] = {
	        "",
	        "weft adverts 2\nend 0\n",
	        "weft adverts 1\n",
	        "weft adverts 1\n1000 1 a\n",
	        "weft adverts 1\n1000 1 a\nend 2\n",
	        "weft adverts 1\n1000 1 a\nend 1",
	        "weft adverts 1\n1000 1 a\nend 1\nmore",
	        "weft adverts 1\n999 1 a\nend 1\n",
	        "weft adverts 1\n10000 1 a\nend 1\n",
	        "weft adverts 1\n-1000 1 a\nend 1\n",
	        "weft adverts 1\n99999999999999999999 1 a\nend 1\n",
	        "weft adverts 1\n1000 3 a\nend 1\n",
	        "weft adverts 1\n1000 0 a\nend 1\n",
	        "weft adverts 1\n1000 1\nend 1\n",
	        "weft adverts 1\n1000 1 \nend 1\n",
	        "weft adverts 1\n1000 1 a  b\nend 1\n",
	        "weft adverts 1\n1000 1 b a\nend 1\n",
	        "weft adverts 1\n1000 1 a a\nend 1\n",
	        "weft adverts 1\n1000 1 a\x7f\nend 1\n",
	        "weft adverts 1\n1000 1 a\n1000 1 b\nend 2\n",
	        "weft adverts 1\n1000 1 a\n1001 1 a\nend 2\n",
	};
	const char good[] = "weft adverts 1\n1000 1 a\nend 1\n";

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(texts); i++) {
		struct adverts *a = adverts_new();
		struct weft_err err = WEFT_ERR_INIT;
		size_t n;

		if (adverts_load(a, texts[i], strlen(texts[i]), &err) >= 0)
			fail_msg("taken: %s", texts[i]);
		adverts_classes(a, &n);
		assert_int_equal(n, 4);
		assert_int_equal(adverts_take(a, LB, NAMES("x")), 1000);
		adverts_free(a);
	}
	for (size_t cut = 0; cut < sizeof(good) - 1; cut++) {
		struct adverts *a = adverts_new();

		assert_int_not_equal(adverts_load(a, good, cut, NULL), 0);
		assert_int_not_equal(adverts_load(a, good, sizeof(good), NULL), 0); /* with its NUL */
		assert_int_equal(adverts_load(a, good, sizeof(good) - 1, NULL), 0);
		adverts_free(a);
	}
}

/* --- choosing --- */

struct bed {
	struct cluster *c;
	struct adverts *a;
	struct weft_object *service, *ns; /* labels app=web, team=blue */
};

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->c = cluster_new("n1");
	b->a = adverts_new();
	b->service = labelled(object(WEFT_SERVICE, "web"), "app", "web");
	b->ns = labelled(object(WEFT_NAMESPACE, "shop"), "team", "blue");
	put(b->c, labelled(node("n1", "10.1.1.1", NULL), "rack", "r1"));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	cluster_free(b->c);
	adverts_free(b->a);
	weft_object_free(b->service);
	weft_object_free(b->ns);
	free(b);
	return 0;
}

static struct weft_object *advert(const char *name, unsigned types)
{
	struct weft_object *o = object(WEFT_BGPADVERTISEMENT, name);

	o->bgpadvertisement.types = types;
	return o;
}

static struct weft_object *of_pool(struct weft_object *o, const char *name)
{
	o->bgpadvertisement.pools = calloc(1, sizeof(char *));
	o->bgpadvertisement.pools[0] = strdup(name);
	o->bgpadvertisement.n_pools = 1;
	return o;
}

static struct weft_object *aggregated(struct weft_object *o, uint8_t v4, uint8_t v6)
{
	o->bgpadvertisement.aggregate[0] = v4;
	o->bgpadvertisement.aggregate[1] = v6;
	return o;
}

static struct weft_object *lb_pool(const char *name, const char *cidr, const char *first, const char *last)
{
	struct weft_object *o = pool(name, cidr, 32, WEFT_TUNNEL_NEVER);

	o->ippool.use = WEFT_USE_LOADBALANCER;
	if (!first)
		return o;
	o->ippool.ranges = calloc(1, sizeof(*o->ippool.ranges));
	o->ippool.n_ranges = 1;
	o->ippool.ranges[0] = (struct weft_range){addr(first), addr(last)};
	return o;
}

static struct advert_subject vip(const struct bed *b, const char *ip)
{
	struct weft_addr a = addr(ip);

	return (struct advert_subject){.type = LB,
	                               .prefix = weft_prefix_host(&a),
	                               .service = &b->service->meta,
	                               .ns = &b->ns->meta,
	                               .pool = adverts_pool_of(b->c, &a)};
}

/* "192.0.2.1/32 a b, 192.0.2.0/24 c", "w" before names that carry a weight, "-" for the plain class. */
static const char *choose(struct bed *b, const struct advert_subject *s)
{
	static char text[512];
	struct advert_choices out;
	char cidr[WEFT_PREFIX_STR];
	size_t at = 0;

	adverts_choose(b->a, b->c, s, &out);
	text[0] = '\0';
	for (size_t i = 0; i < out.n; i++) {
		const struct advert_class *c = adverts_find(b->a, out.list[i].metric);

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%s%s", i ? ", " : "",
		                       weft_prefix_str(&out.list[i].prefix, cidr),
		                       out.list[i].weight ? " w" : "", c->n_names ? "" : " -");
		for (size_t k = 0; k < c->n_names; k++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", c->names[k]);
	}
	if (out.why_single)
		snprintf(text + at, sizeof(text) - at, " (%s)", out.why_single);
	adverts_choices_release(b->a, &out);
	assert_int_equal(out.n, 0);
	return text;
}

static void announce_is_for_those_whom_nobody_chooses(void **state)
{
	struct bed *b = *state;
	struct advert_subject s = vip(b, "192.0.2.1");
	struct weft_object *config = object(WEFT_BGPCONFIG, "default");

	assert_string_equal(choose(b, &s), "192.0.2.1/32 -");
	s.type = WEFT_ADVERT_EXTERNAL;
	assert_string_equal(choose(b, &s), "");
	config->bgpconfig.announce = WEFT_ADVERT_EXTERNAL;
	put(b->c, config);
	assert_string_equal(choose(b, &s), "192.0.2.1/32 -");
	s.type = LB;
	assert_string_equal(choose(b, &s), "");
	put(b->c, advert("a", LB));
	assert_string_equal(choose(b, &s), "192.0.2.1/32 a");
}

/* Each of the four types, and no other. */
static void types(void **state)
{
	static const unsigned all[] = {LB, WEFT_ADVERT_EXTERNAL, WEFT_ADVERT_CLUSTER, POD};
	struct bed *b = *state;
	struct weft_object *config = object(WEFT_BGPCONFIG, "default");

	put(b->c, config);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(all); i++) {
		put(b->c, advert("a", all[i]));
		for (size_t k = 0; k < WEFT_ARRAY_LEN(all); k++) {
			struct advert_subject s = {.type = all[k], .prefix = prefix("10.0.0.0/26")};

			assert_string_equal(choose(b, &s), i == k ? "10.0.0.0/26 a" : "");
		}
	}
}

static void selectors(void **state)
{
	struct bed *b = *state;
	struct advert_subject s = vip(b, "192.0.2.1"), block = {.type = POD, .prefix = prefix("10.0.0.0/26")};
	struct weft_object *o[] = {advert("node", LB | POD),    advert("othernode", LB | POD),
	                           advert("service", LB | POD), advert("otherservice", LB | POD),
	                           advert("ns", LB | POD),      advert("otherns", LB | POD)};

	require(&o[0]->bgpadvertisement.node_selector, "rack", "r1");
	require(&o[1]->bgpadvertisement.node_selector, "rack", "r2");
	require(&o[2]->bgpadvertisement.service_selector, "app", "web");
	require(&o[3]->bgpadvertisement.service_selector, "app", "db");
	require(&o[4]->bgpadvertisement.namespace_selector, "team", "blue");
	require(&o[5]->bgpadvertisement.namespace_selector, "team", "red");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(o); i++)
		put(b->c, o[i]);
	assert_string_equal(choose(b, &s), "192.0.2.1/32 node ns service");
	assert_string_equal(choose(b, &block), "10.0.0.0/26 node");
	s.ns = NULL; /* not known (yet) */
	assert_string_equal(choose(b, &s), "192.0.2.1/32 node service");
	put(b->c, node("n1", "10.1.1.1", NULL));
	assert_string_equal(choose(b, &s), "192.0.2.1/32 service");
}

static void pools_of_addresses_and_blocks(void **state)
{
	struct bed *b = *state;
	struct advert_subject s, block;
	struct weft_prefix cidr = prefix("10.244.0.0/26");

	put(b->c, lb_pool("front", "192.0.2.0/28", NULL, NULL));
	put(b->c, lb_pool("back", "192.0.2.128/25", "192.0.2.130", "192.0.2.140"));
	put(b->c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_NEVER));
	put(b->c, block_named("x", "10.244.0.0/26", "n1", "pods"));
	synced(b->c);
	put(b->c, of_pool(advert("front", LB | POD), "front"));
	put(b->c, of_pool(advert("back", LB | POD), "back"));
	put(b->c, of_pool(advert("pods", LB | POD), "pods"));
	s = vip(b, "192.0.2.1");
	assert_string_equal(choose(b, &s), "192.0.2.1/32 front");
	s = vip(b, "192.0.2.130");
	assert_string_equal(choose(b, &s), "192.0.2.130/32 back");
	s = vip(b, "192.0.2.129"); /* in its cidr, in none of its ranges */
	assert_string_equal(choose(b, &s), "192.0.2.129/32 -");
	s = vip(b, "10.244.0.1"); /* pods' addresses are not VIPs */
	assert_string_equal(choose(b, &s), "10.244.0.1/32 -");
	block = adverts_of_block(b->c, &cidr);
	assert_string_equal(choose(b, &block), "10.244.0.0/26 pods");
}

static void two_at_once_are_one_class(void **state)
{
	struct bed *b = *state;
	struct advert_subject s = vip(b, "192.0.2.1");
	uint32_t metric;

	put(b->c, advert("b", LB));
	put(b->c, advert("a", LB));
	assert_string_equal(choose(b, &s), "192.0.2.1/32 a b");
	metric = adverts_class(b->a, b->c, &s);
	assert_int_equal(metric, 1000);
	del(b->c, WEFT_BGPADVERTISEMENT, "b");
	assert_string_equal(choose(b, &s), "192.0.2.1/32 a");
	adverts_collect(b->a);
	assert_non_null(adverts_find(b->a, metric)); /* choose() gives back what it took, and no more */
	assert_null(adverts_find(b->a, 1001));
}

static void aggregation(void **state)
{
	struct bed *b = *state;
	struct advert_subject s, block = {.type = POD, .prefix = prefix("10.244.0.0/26")};

	put(b->c, lb_pool("front", "192.0.2.0/24", NULL, NULL));
	put(b->c, lb_pool("six", "2001:db8::/64", NULL, NULL));
	put(b->c, aggregated(advert("agg", LB | POD), 26, 112));
	s = vip(b, "192.0.2.77");
	assert_string_equal(choose(b, &s), "192.0.2.64/26 agg");
	s.local = true; /* its traffic has to come to the nodes with endpoints */
	assert_string_equal(choose(b, &s), "192.0.2.77/32 agg");
	s = vip(b, "2001:db8::1:2");
	assert_string_equal(choose(b, &s), "2001:db8::1:0/112 agg");
	assert_string_equal(choose(b, &block), "10.244.0.0/26 agg");
	/* Each length is a class of its own. */
	put(b->c, advert("host", LB));
	put(b->c, aggregated(advert("agg2", LB), 26, 0));
	s = vip(b, "192.0.2.77");
	assert_string_equal(choose(b, &s), "192.0.2.77/32 host, 192.0.2.64/26 agg agg2");
	s.local = true;
	assert_string_equal(choose(b, &s), "192.0.2.77/32 agg agg2 host");
	put(b->c, aggregated(advert("host", LB), 32, 0));
	s.local = false;
	assert_string_equal(choose(b, &s), "192.0.2.77/32 host, 192.0.2.64/26 agg agg2");
}

/* Never beyond what the pool has. */
static void aggregates_stay_in_the_pool(void **state)
{
#define BEYOND "(announced as a single address: the aggregate would reach beyond the IPPool's addresses)"
	struct bed *b = *state;
	struct advert_subject s;

	put(b->c, lb_pool("front", "192.0.2.0/25", NULL, NULL));
	put(b->c, lb_pool("back", "198.51.100.0/24", "198.51.100.10", "198.51.100.99"));
	put(b->c, aggregated(advert("wide", LB), 24, 0));
	s = vip(b, "192.0.2.7");
	assert_string_equal(choose(b, &s), "192.0.2.7/32 wide " BEYOND);
	put(b->c, aggregated(advert("wide", LB), 25, 0));
	assert_string_equal(choose(b, &s), "192.0.2.0/25 wide");
	put(b->c, aggregated(advert("wide", LB), 27, 0));
	s = vip(b, "198.51.100.40");
	assert_string_equal(choose(b, &s), "198.51.100.32/27 wide");
	s = vip(b, "198.51.100.11");
	assert_string_equal(choose(b, &s), "198.51.100.11/32 wide " BEYOND);
	s = vip(b, "198.51.100.98");
	assert_string_equal(choose(b, &s), "198.51.100.98/32 wide " BEYOND);
	s = vip(b, "203.0.113.1");
	assert_string_equal(choose(b, &s),
	                    "203.0.113.1/32 wide (announced as a single address: no IPPool has it, so an "
	                    "aggregate has no bounds)");
}

static void more_lengths_than_there_is_room_for(void **state)
{
	struct bed *b = *state;
	struct advert_subject s;
	char name[8];

	put(b->c, lb_pool("front", "192.0.2.0/24", NULL, NULL));
	for (uint8_t i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "a%u", i);
		put(b->c, aggregated(advert(name, LB), (uint8_t)(24 + i), 0));
	}
	s = vip(b, "192.0.2.1");
	assert_non_null(strstr(choose(b, &s), "too many different aggregation lengths"));
}

static void weights_are_for_local_endpoints(void **state)
{
	struct bed *b = *state;
	struct advert_subject s = vip(b, "192.0.2.1");
	struct weft_object *o = advert("weighed", LB);

	o->bgpadvertisement.endpoint_weight = true;
	put(b->c, o);
	put(b->c, advert("plain", LB));
	assert_string_equal(choose(b, &s), "192.0.2.1/32 plain weighed");
	s.local = true;
	assert_string_equal(choose(b, &s), "192.0.2.1/32 w plain weighed");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_set_has_one_number),
	        cmocka_unit_test(the_plain_ones_have_fixed_numbers),
	        cmocka_unit_test(what_nobody_uses_is_collected),
	        cmocka_unit_test(unions),
	        cmocka_unit_test(exhaustion),
	        cmocka_unit_test(kept_numbers),
	        cmocka_unit_test(a_restart_keeps_numbers),
	        cmocka_unit_test(a_damaged_text_is_refused_as_a_whole),
	        TEST(announce_is_for_those_whom_nobody_chooses),
	        TEST(types),
	        TEST(selectors),
	        TEST(pools_of_addresses_and_blocks),
	        TEST(two_at_once_are_one_class),
	        TEST(aggregation),
	        TEST(aggregates_stay_in_the_pool),
	        TEST(more_lengths_than_there_is_room_for),
	        TEST(weights_are_for_local_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
