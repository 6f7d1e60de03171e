// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As what VIPs are announced (agent/daemon/announce.h, services_announce.c): classes, the gate, aggregates, weights.
 * The kernel's records show that a prefix is never without a route on the way from one class to another.
 */
#include "tests/unit/serving_bed.h"

#define LB(n) "type=LoadBalancer ip=10.96.0." #n " port=80/TCP lb=192.0.2." #n

static void begin(struct bed *b)
{
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	turn(b);
	forget();
}

static void lb_service(struct bed *b, const char *key, const char *words, const char *endpoints)
{
	const char *name = strchr(key, '/') + 1;
	char slice_key[64];

	snprintf(slice_key, sizeof(slice_key), "%s-1", key);
	services_put(b->services, service(key, words));
	services_put(b->services, slice(slice_key, name, "8080/TCP", endpoints));
}

/* What was written to table 179 since the last look. */
static void wrote_adverts(const char *want)
{
	weft_autofree char *text = strdup(recorded()), *got = calloc(1, strlen(text) + 1);
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n"));)
		if (!strncmp(line, "route ", 6) && !strncmp(line + 8, "179 ", 4))
			sprintf(got + strlen(got), "%c %s\n", line[6], line + 12);
	assert_string_equal(got, want);
	forget();
}

static struct weft_object *selecting(const char *name, const char *app)
{
	struct weft_object *o = advertisement(name, WEFT_ADVERT_LOADBALANCER);

	require(&o->bgpadvertisement.service_selector, "app", app);
	return o;
}

static struct weft_object *lb_pool(const char *cidr)
{
	struct weft_object *o = pool("front", cidr, 32, WEFT_TUNNEL_NEVER);

	o->ippool.use = WEFT_USE_LOADBALANCER;
	return o;
}

static struct weft_object *aggregated(const char *name, uint8_t length)
{
	struct weft_object *o = advertisement(name, WEFT_ADVERT_LOADBALANCER);

	o->bgpadvertisement.aggregate[0] = length;
	return o;
}

static uint64_t version(const struct bed *b)
{
	return adverts_version(announcer_book(b->announcer));
}

/* A class that BIRD's filters do not know is not used: the VIP stays in its former one until they do. */
static void a_new_class_waits_for_the_filters(void **state)
{
	struct bed *b = *state;

	begin(b);
	put(b->cluster, selecting("gold", "web"));
	lb_service(b, "ns/web", LB(1), "10.244.0.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 200\n");
	b->bird_away = true;
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	wrote_adverts("");
	assert_true(serving_waits(b->serving)); /* left-overs stay */
	assert_true(is_announced(b, "192.0.2.1/32"));
	bird_loads(b);
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000\n- 192.0.2.1/32 200\n");
	assert_false(serving_waits(b->serving));
	/* Known now: another VIP of the class needs nobody, and so does the way back. */
	lb_service(b, "ns/two", LB(2) " label=web", "10.244.0.1@b");
	lb_service(b, "ns/web", LB(1), "10.244.0.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 200\n- 192.0.2.1/32 1000\n+ 192.0.2.2/32 1000\n");
}

static void the_first_announcement_waits_too(void **state)
{
	struct bed *b = *state;

	begin(b);
	put(b->cluster, selecting("gold", "web"));
	b->bird_away = true;
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	wrote_adverts("");
	assert_false(serving_announced(b->serving, &(struct weft_addr[]){addr("192.0.2.1")}[0]));
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	assert_false(serving_waits(b->serving));
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	bird_loads(b);
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000\n");
}

/* Membership costs no configuration: not even when a Service has no endpoint for a while. */
static void a_class_outlives_its_endpoints(void **state)
{
	struct bed *b = *state;
	uint64_t v;

	begin(b);
	put(b->cluster, selecting("gold", "web"));
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	v = version(b);
	forget();
	lb_service(b, "ns/web", LB(1) " label=web", "");
	turn(b);
	wrote_adverts("- 192.0.2.1/32 1000\n");
	announcer_collect(b->announcer);
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000\n");
	assert_int_equal(version(b), v);
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	announcer_collect(b->announcer);
	assert_true(version(b) > v);
}

/* What a BGPAdvertisement, `announce`, a Namespace's labels and a pool say is followed. */
static void what_others_say_is_followed(void **state)
{
	struct bed *b = *state;
	struct weft_object *config = object(WEFT_BGPCONFIG, "default"), *o;

	begin(b);
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	lb_service(b, "other/web", LB(2) " label=web", "10.244.0.1@b");
	turn(b);
	forget();
	put(b->cluster, config); /* announces nothing */
	turn(b);
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_false(is_announced(b, "192.0.2.2/32"));
	forget();
	o = advertisement("blue", WEFT_ADVERT_LOADBALANCER);
	require(&o->bgpadvertisement.namespace_selector, "app", "blue");
	put(b->cluster, o);
	turn(b);
	wrote_adverts("");
	put(b->cluster, labelled(object(WEFT_NAMESPACE, "ns"), "app", "blue"));
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000\n");
	put(b->cluster, labelled(object(WEFT_NAMESPACE, "ns"), "app", "red"));
	turn(b);
	wrote_adverts("- 192.0.2.1/32 1000\n");
	o = advertisement("blue", WEFT_ADVERT_LOADBALANCER);
	o->bgpadvertisement.pools = calloc(1, sizeof(char *));
	o->bgpadvertisement.pools[0] = strdup("front");
	o->bgpadvertisement.n_pools = 1;
	put(b->cluster, o);
	turn(b);
	wrote_adverts("");
	put(b->cluster, lb_pool("192.0.2.2/31"));
	turn(b);
	wrote_adverts("+ 192.0.2.2/32 1000\n");
	del(b->cluster, WEFT_BGPADVERTISEMENT, "blue");
	turn(b);
	wrote_adverts("- 192.0.2.2/32 1000\n");
}

/* An unrelated event plans nothing again. */
static void a_namespace_that_nobody_selects_by_costs_nothing(void **state)
{
	struct bed *b = *state;

	begin(b);
	lb_service(b, "ns/web", LB(1), "10.244.0.1@b");
	turn(b);
	put(b->cluster, labelled(object(WEFT_NAMESPACE, "ns"), "app", "red"));
	drain_cluster(b);
	assert_int_equal(services_dirty_count(b->services), 0);
	put(b->cluster, pool("pods", "10.200.0.0/16", 26, WEFT_TUNNEL_NEVER));
	drain_cluster(b);
	assert_int_equal(services_dirty_count(b->services), 0);
}

/* A VIP of two Services is announced by all that choose either of them. */
static void a_shared_vip_has_the_union(void **state)
{
	struct bed *b = *state;
	const struct advert_class *c;

	begin(b);
	put(b->cluster, selecting("gold", "web"));
	put(b->cluster, selecting("silver", "dns"));
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000\n");
	lb_service(b, "ns/dns", "type=LoadBalancer ip=10.96.0.9 port=53/TCP lb=192.0.2.1 label=dns",
	           "10.244.0.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1002\n- 192.0.2.1/32 1000\n");
	c = adverts_find(announcer_book(b->announcer), 1002);
	assert_int_equal(c->n_names, 2);
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1001\n- 192.0.2.1/32 1002\n");
	services_del(b->services, WEFT_SERVICE, "ns/dns");
	turn(b);
	wrote_adverts("- 192.0.2.1/32 1001\n");
	assert_true(adverts_collect(announcer_book(b->announcer)));
	assert_null(adverts_find(announcer_book(b->announcer), 1000));
	assert_null(adverts_find(announcer_book(b->announcer), 1002));
}

/* --- what would be --- */

static void nothing(void *ctx, const struct weft_route *r)
{
	(void)ctx, (void)r;
}

static void nothing_less(void *ctx, const struct weft_route_key *k)
{
	(void)ctx, (void)k;
}

static void would_be(struct bed *b, struct announcer *ahead, const char *key, struct announced *out)
{
	struct services_view view;
	struct weft_prefix said[ADVERT_CHOICES];
	struct svc_plan p;

	assert_true(serving_preview(b->serving, key, &p));
	assert_true(services_get(b->services, key, &view));
	for (size_t i = 0; i < p.n_vips; i++)
		if (serving_preview_vip(b->serving, &view.obj->meta, &p.vips[i], ahead, said))
			assert_int_equal(said[0].len, 32);
	svc_plan_free(&p);
	announcer_settle(ahead);
	assert_true(announcer_find(ahead, &said[0], out));
}

/* A plan of what would be shows the number that a new class would get, and leaves the book as it is. */
static void a_number_is_foreseen(void **state)
{
	static const struct wanted_ops ops = {.want = nothing, .unwant = nothing_less};
	struct bed *b = *state;
	struct wanted *wanted = wanted_new(&ops);
	struct announcer *ahead;
	struct announced is;
	uint64_t was;

	begin(b);
	put(b->cluster, selecting("gold", "web"));
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	was = version(b);
	ahead = announcer_ahead(b->announcer, wanted);
	would_be(b, ahead, "ns/web", &is);
	assert_int_equal(is.class, 1000);
	put(b->cluster, selecting("silver", "dns"));
	lb_service(b, "ns/dns", LB(2) " label=dns", "10.244.0.1@b");
	would_be(b, ahead, "ns/dns", &is);
	assert_int_equal(is.class, 1001);
	assert_int_equal(is.metric, 1001); /* it waits for nobody */
	assert_int_equal(wanted_count(wanted), 2);
	assert_int_equal(version(b), was);
	assert_null(adverts_find(announcer_book(b->announcer), 1001));
	forget();
	turn(b);
	wrote_adverts("+ 192.0.2.2/32 1001\n");
	announcer_free(ahead);
	wanted_free(wanted);
}

/* --- aggregates --- */

static void an_aggregate_stays_as_long_as_one_vip(void **state)
{
	struct bed *b = *state;
	struct serving_announcement a[SERVING_ANNOUNCEMENTS];
	struct announced is;
	struct weft_addr vip = addr("192.0.2.1");

	put(b->cluster, lb_pool("192.0.2.0/24"));
	put(b->cluster, aggregated("agg", 24));
	begin(b);
	lb_service(b, "ns/web", LB(1), "10.244.0.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.0/24 1000\n");
	lb_service(b, "ns/two", LB(2), "10.244.0.1@b");
	lb_service(b, "ns/three", LB(3) " etp=Local", "10.244.0.1@a");
	turn(b);
	wrote_adverts("+ 192.0.2.3/32 1000\n");
	assert_int_equal(serving_announcements(b->serving, &vip, a), 1);
	assert_int_equal(a[0].prefix.len, 24);
	assert_true(announcer_find(b->announcer, &a[0].prefix, &is));
	assert_int_equal(is.backers, 2);
	assert_false(a[0].waits);
	assert_true(has_route(b, RT_TABLE_MAIN, "192.0.2.0/24")); /* no loop for the rest of it */
	assert_false(has_route(b, RT_TABLE_MAIN, "192.0.2.3/32"));
	assert_int_equal(a[0].metric, 1000);
	assert_string_equal(a[0].class->names[0], "agg");
	services_del(b->services, WEFT_SERVICE, "ns/web");
	lb_service(b, "ns/three", LB(3) " etp=Local", "10.244.0.1@b");
	turn(b);
	wrote_adverts("- 192.0.2.3/32 1000\n");
	lb_service(b, "ns/two", LB(2), "");
	turn(b);
	wrote_adverts("- 192.0.2.0/24 1000\n");
	assert_false(has_route(b, RT_TABLE_MAIN, "192.0.2.0/24"));
}

/* From single addresses to the aggregate and back: the new prefix is there before the old ones go. */
static void a_vip_moves_into_an_aggregate(void **state)
{
	struct bed *b = *state;

	put(b->cluster, lb_pool("192.0.2.0/24"));
	begin(b);
	lb_service(b, "ns/web", LB(1), "10.244.0.1@b");
	lb_service(b, "ns/two", LB(2), "10.244.0.1@b");
	turn(b);
	forget();
	b->bird_away = true;
	put(b->cluster, aggregated("agg", 25));
	turn(b);
	wrote_adverts("");
	assert_true(serving_waits(b->serving));
	bird_loads(b);
	turn(b);
	wrote_adverts("+ 192.0.2.0/25 1000\n- 192.0.2.1/32 200\n- 192.0.2.2/32 200\n");
	put(b->cluster, aggregated("agg", 24)); /* the same class */
	turn(b);
	wrote_adverts("+ 192.0.2.0/24 1000\n- 192.0.2.0/25 1000\n");
	del(b->cluster, WEFT_BGPADVERTISEMENT, "agg");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 200\n+ 192.0.2.2/32 200\n- 192.0.2.0/24 1000\n");
	assert_false(serving_waits(b->serving));
}

/* One that goes while it waits takes its address back, and the gate with it. */
static void a_vip_that_waits_may_go(void **state)
{
	struct bed *b = *state;

	put(b->cluster, lb_pool("192.0.2.0/24"));
	begin(b);
	lb_service(b, "ns/web", LB(1), "10.244.0.1@b");
	turn(b);
	forget();
	b->bird_away = true;
	put(b->cluster, aggregated("agg", 24));
	turn(b);
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	wrote_adverts("- 192.0.2.1/32 200\n");
	assert_false(serving_waits(b->serving));
	bird_loads(b);
	turn(b);
	wrote_adverts("");
}

/* --- weights --- */

/* The weight is that of the ready local endpoints, and changes in place. */
static void a_weight_changes_in_place(void **state)
{
	struct bed *b = *state;
	struct weft_object *o = advertisement("weighed", WEFT_ADVERT_LOADBALANCER);

	o->bgpadvertisement.endpoint_weight = true;
	put(b->cluster, o);
	begin(b);
	lb_service(b, "ns/web", LB(1) " etp=Local", "10.244.0.1@a 10.244.1.1@b");
	lb_service(b, "ns/two", LB(2), "10.244.0.1@a 10.244.1.1@b");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000 weight 1\n+ 192.0.2.2/32 1000\n");
	lb_service(b, "ns/web", LB(1) " etp=Local",
	           "10.244.0.1@a 10.244.0.2@a 10.244.0.3@a/ 10.244.0.4@a/st");
	turn(b);
	wrote_adverts("= 192.0.2.1/32 1000 weight 2\n");
	lb_service(b, "ns/web", LB(1) " etp=Local", "10.244.0.1@b");
	turn(b);
	wrote_adverts("- 192.0.2.1/32 1000\n");
	put(b->cluster, advertisement("weighed", WEFT_ADVERT_LOADBALANCER));
	lb_service(b, "ns/web", LB(1) " etp=Local", "10.244.0.1@a");
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1000\n");
}

/* --- lives --- */

/* In the kernel already: BIRD knows it, whatever it has loaded since. */
static void a_new_life_needs_no_bird(void **state)
{
	struct bed *b = *state;

	put(b->cluster, selecting("a", "none"));
	put(b->cluster, selecting("gold", "web"));
	begin(b);
	lb_service(b, "ns/none", LB(2) " label=none", "10.244.0.1@b");
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	sweep(b);
	forget();
	new_life(b);
	b->bird_away = true;
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	assert_false(serving_waits(b->serving));
	wrote_adverts("");
	assert_int_equal(adverts_find(announcer_book(b->announcer), 1001)->n_names, 1);
	sweep(b);
	wrote_adverts("- 192.0.2.2/32 1000\n");
}

/* Numbers are given anew, but none that table 179 has; the VIP is announced all the while. */
static void a_lost_book_withdraws_nothing(void **state)
{
	struct bed *b = *state;
	const struct advert_class *kept;
	FILE *f;

	put(b->cluster, selecting("gold", "web"));
	begin(b);
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	sweep(b);
	forget();
	f = fopen(b->book, "w");
	assert_non_null(f);
	fputs("weft adverts 1\n1000 1 go", f);
	fclose(f);
	new_life(b);
	b->bird_away = true;
	kept = adverts_find(announcer_book(b->announcer), 1000);
	assert_int_equal(kept->n_names, 0);
	assert_int_equal(kept->type, WEFT_ADVERT_LOADBALANCER);
	lb_service(b, "ns/web", LB(1) " label=web", "10.244.0.1@b");
	turn(b);
	wrote_adverts("");
	assert_true(serving_waits(b->serving));
	bird_loads(b);
	turn(b);
	wrote_adverts("+ 192.0.2.1/32 1001\n");
	sweep(b);
	wrote_adverts("- 192.0.2.1/32 1000\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_new_class_waits_for_the_filters),
	        TEST(the_first_announcement_waits_too),
	        TEST(a_class_outlives_its_endpoints),
	        TEST(what_others_say_is_followed),
	        TEST(a_namespace_that_nobody_selects_by_costs_nothing),
	        TEST(a_shared_vip_has_the_union),
	        TEST(a_number_is_foreseen),
	        TEST(an_aggregate_stays_as_long_as_one_vip),
	        TEST(a_vip_moves_into_an_aggregate),
	        TEST(a_vip_that_waits_may_go),
	        TEST(a_weight_changes_in_place),
	        TEST(a_new_life_needs_no_bird),
	        TEST(a_lost_book_withdraws_nothing),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
