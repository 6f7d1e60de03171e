// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In which order Services come into the kernel and leave it, and what happens when a part of it fails:
 * nftables and IPVS first, then the VIP's route, then its announcement; what goes away goes in reverse.
 */
#include "tests/unit/serving_bed.h"

#define LB "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=192.0.2.1"

static void web(struct bed *b, const char *words, const char *endpoints)
{
	services_put(b->services, service("ns/web", words));
	WEB_SLICE(b, endpoints);
}

static void begin(struct bed *b)
{
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	turn(b);
	forget();
}

static void first_the_dataplane_then_route_then_announcement(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	wrote("nft\n"
	      "ipvs + 10.96.0.1:80/TCP\n"
	      "ipvs + 10.96.0.1:80/TCP 10.244.0.1:8080 w1\n"
	      "ipvs + 192.0.2.1:80/TCP\n"
	      "ipvs + 192.0.2.1:80/TCP 10.244.0.1:8080 w1\n"
	      "route + local 192.0.2.1/32\n"
	      "read 192.0.2.1:80/TCP\n"
	      "route + 179 192.0.2.1/32 200\n");
	assert_true(serving_announced(b->serving, &(struct weft_addr[]){addr("192.0.2.1")}[0]));
	turn(b);
	wrote("");
}

static void what_goes_away_goes_in_reverse(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	forget();
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	wrote("route - 179 192.0.2.1/32 200\n"
	      "route - local 192.0.2.1/32\n"
	      "ipvs - 10.96.0.1:80/TCP\n"
	      "ipvs - 192.0.2.1:80/TCP\n"
	      "nft\n");
	assert_int_equal(serving_stats(b->serving).services, 0);
	assert_int_equal(serving_stats(b->serving).vips, 0);
}

static void no_endpoints_end_the_announcement_first(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	forget();
	WEB_SLICE(b, "");
	turn(b);
	wrote("route - 179 192.0.2.1/32 200\n"
	      "ipvs - 10.96.0.1:80/TCP\n"
	      "ipvs - 192.0.2.1:80/TCP\n"
	      "nft\n");
	assert_true(is_local(b, "192.0.2.1/32")); /* S14: it refuses there */
}

/* S15: the DROP is there before IPVS ends, and ends when IPVS has its successor. */
static void a_drop_covers_the_change(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB " etp=Local", "10.244.0.1@a");
	turn(b);
	assert_false(set_has("drop4", "192.0.2.1"));
	forget();
	WEB_SLICE(b, "10.244.1.1@b");
	turn(b);
	assert_true(set_has("drop4", "192.0.2.1"));
	assert_non_null(strstr(recorded(), "nft\nipvs"));
	assert_non_null(strstr(recorded(), "ipvs - 192.0.2.1:80/TCP\n"));
	assert_memory_equal(recorded(), "route - 179 192.0.2.1/32 200\nnft\n", 33);
	forget();
	WEB_SLICE(b, "10.244.0.1@a 10.244.1.1@b");
	b->ipvs_kernel.send_error = ENOBUFS;
	assert_true(one_turn(b) < 0);
	assert_true(set_has("drop4", "192.0.2.1"));
	b->now += 2000;
	turn(b);
	assert_false(set_has("drop4", "192.0.2.1"));
	assert_true(is_announced(b, "192.0.2.1/32"));
}

/* What draws packets here is there still: nothing that serves them may go. */
static void nothing_else_is_written_before_a_withdrawal(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	forget();
	services_del(b->services, WEFT_SERVICE, "ns/web");
	b->routes.send_error = ENOMEM;
	assert_true(one_turn(b) < 0);
	wrote("");
	assert_int_equal(fib_resync(b->fib, b->now, NULL), 0);
	turn(b);
	wrote("route - 179 192.0.2.1/32 200\n"
	      "route - local 192.0.2.1/32\n"
	      "ipvs - 10.96.0.1:80/TCP\n"
	      "ipvs - 192.0.2.1:80/TCP\n"
	      "nft\n");
}

static void announced_only_with_its_route(void **state)
{
	struct bed *b = *state;

	begin(b);
	b->routes.refuse = -EINVAL;
	web(b, LB, "10.244.0.1@b");
	turn(b);
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_false(serving_waits(b->serving)); /* the kernel's refusal holds up no sweep */
	b->routes.refuse = 0;
	b->now += 2000;
	turn(b);
	turn(b);
	assert_true(is_local(b, "192.0.2.1/32"));
	assert_true(is_announced(b, "192.0.2.1/32"));
}

/* As the kernel says, not as we remember: somebody took it away meanwhile. */
static void announced_only_after_it_was_read_back(void **state)
{
	struct bed *b = *state;

	begin(b);
	b->routes.refuse = -EINVAL;
	web(b, LB, "10.244.0.1@b");
	turn(b);
	virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80)->dest[0].weight = 0;
	b->routes.refuse = 0;
	b->now += 2000;
	turn(b);
	turn(b);
	assert_non_null(strstr(recorded(), "read 192.0.2.1:80/TCP\n"));
	assert_true(is_local(b, "192.0.2.1/32"));
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_int_equal(ipvs_resync(b->ipvs, b->now, NULL), 0);
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
}

/* What the kernel refuses holds up nothing but itself. */
static void a_refused_service_is_not_announced(void **state)
{
	struct bed *b = *state;

	begin(b);
	b->ipvs_kernel.refuse = -EINVAL;
	b->ipvs_kernel.refuse_cmd = IPVS_CMD_NEW_SERVICE;
	web(b, LB, "10.244.0.1@b");
	turn(b);
	assert_true(is_local(b, "192.0.2.1/32"));
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_false(serving_waits(b->serving));
	assert_int_equal(serving_oldest_pending(b->serving), 0);
	b->ipvs_kernel.refuse = 0;
	b->now += 2000;
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
}

/* Nobody has seen what the kernel has: nothing follows, and nothing of an earlier life goes. */
static void lost_answers_hold_up_everything(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	b->ipvs_kernel.send_error = ENOBUFS;
	assert_true(one_turn(b) < 0);
	b->ipvs_kernel.dump_error = -EIO;
	b->now += 2000;
	assert_true(one_turn(b) < 0);
	b->ipvs_kernel.dump_error = 0;
	forget();
	turn(b); /* before it may read again */
	wrote("");
	assert_true(serving_waits(b->serving));
	assert_int_not_equal(serving_oldest_pending(b->serving), 0);
	b->now += 2000;
	turn(b);
	wrote("route + local 192.0.2.1/32\n"
	      "read 192.0.2.1:80/TCP\n"
	      "route + 179 192.0.2.1/32 200\n");
	assert_false(serving_waits(b->serving));
	assert_int_equal(serving_oldest_pending(b->serving), 0);
}

static void the_module_comes_later(void **state)
{
	struct bed *b = *state;

	b->ipvs_kernel.no_module = true;
	new_life(b);
	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	turn(b);
	wrote("nft\n");
	assert_false(is_announced(b, "10.96.0.0/16"));
	assert_true(serving_waits(b->serving));
	assert_int_not_equal(serving_oldest_pending(b->serving), 0); /* S26 */
	b->ipvs_kernel.no_module = false;
	assert_int_equal(ipvs_resync(b->ipvs, b->now, NULL), 0);
	turn(b);
	wrote("ipvs + 10.96.0.1:80/TCP\n"
	      "ipvs + 10.96.0.1:80/TCP 10.244.0.1:8080 w1\n"
	      "ipvs + 192.0.2.1:80/TCP\n"
	      "ipvs + 192.0.2.1:80/TCP 10.244.0.1:8080 w1\n"
	      "route + local 192.0.2.1/32\n"
	      "read 192.0.2.1:80/TCP\n"
	      "route + 179 192.0.2.1/32 200\n"
	      "route + 179 10.96.0.0/16 1000\n");
	assert_false(serving_waits(b->serving));
	assert_int_equal(serving_oldest_pending(b->serving), 0);
}

/* S26: without the module an update is pending only if there is something for IPVS. */
static void nothing_is_pending_for_ipvs_that_nobody_needs(void **state)
{
	struct bed *b = *state;

	b->ipvs_kernel.no_module = true;
	new_life(b);
	begin(b);
	web(b, LB, "");
	turn(b);
	assert_int_equal(serving_oldest_pending(b->serving), 0);
	WEB_SLICE(b, "10.244.0.1@b");
	turn(b);
	assert_int_not_equal(serving_oldest_pending(b->serving), 0);
	assert_true(serving_waits(b->serving)); /* its VIP, for the module */
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	assert_int_equal(serving_oldest_pending(b->serving), 0);
}

/* --- VIPs of several Services --- */

static void a_shared_vip_stays_with_the_last(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	services_put(b->services,
	             service("ns/dns", "type=LoadBalancer ip=10.96.0.2 port=53/TCP lb=192.0.2.1"));
	services_put(b->services, slice("ns/dns-1", "dns", "5353/TCP", "10.244.0.2@b"));
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
	forget();
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	wrote("ipvs - 10.96.0.1:80/TCP\nipvs - 192.0.2.1:80/TCP\nnft\n");
	assert_true(set_has("vip4", "192.0.2.1"));
	services_put(b->services, slice("ns/dns-1", "dns", "5353/TCP", ""));
	turn(b);
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_true(is_local(b, "192.0.2.1/32"));
	services_del(b->services, WEFT_SERVICE, "ns/dns");
	turn(b);
	assert_false(is_local(b, "192.0.2.1/32"));
	assert_false(set_has("vip4", "192.0.2.1"));
}

/* The class of the announcement changes without a moment of none. */
static void the_class_of_a_vip_changes(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_EXTERNAL));
	begin(b);
	web(b, "ip=10.96.0.1 port=80/TCP ext=192.0.2.1", "10.244.0.1@b");
	turn(b);
	assert_non_null(strstr(recorded(), "route + 179 192.0.2.1/32 1000\n"));
	forget();
	services_put(b->services,
	             service("ns/dns", "type=LoadBalancer ip=10.96.0.2 port=53/TCP lb=192.0.2.1"));
	services_put(b->services, slice("ns/dns-1", "dns", "5353/TCP", "10.244.0.2@b"));
	turn(b);
	assert_non_null(strstr(recorded(), "route + 179 192.0.2.1/32 200\nroute - 179 192.0.2.1/32 1000\n"));
}

/* --- lives --- */

static void a_new_life_writes_nothing(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	sweep(b);
	new_life(b);
	web(b, LB, "10.244.0.1@b");
	forget();
	turn(b);
	sweep(b);
	assert_null(strstr(recorded(), "ipvs"));
	assert_null(strstr(recorded(), "route"));
	assert_true(is_announced(b, "192.0.2.1/32"));
	assert_true(is_announced(b, "10.96.0.0/16"));
}

static void left_overs_go_in_reverse(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	new_life(b);
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
	assert_non_null(virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80));
	forget();
	sweep(b);
	wrote("route - 179 192.0.2.1/32 200\n"
	      "route - local 192.0.2.1/32\n"
	      "nft\n"
	      "ipvs - 10.96.0.1:80/TCP\n"
	      "ipvs - 192.0.2.1:80/TCP\n");
}

/* All that it needs was there, but nobody can tell for the moment: what is announced since then is no
 * left-over. */
static void left_overs_stay_while_answers_are_lost(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	new_life(b);
	turn(b);
	b->ipvs_kernel.dump_error = -EIO;
	assert_int_equal(ipvs_resync(b->ipvs, b->now, NULL), -EIO);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	assert_true(serving_waits(b->serving));
	b->ipvs_kernel.dump_error = 0;
	b->now += 2000;
	turn(b);
	forget();
	sweep(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
	assert_null(strstr(recorded(), "route"));
}

/* The sweep may be held up for long by a malformed manifest: what this life had goes without it. */
static void before_the_sweep_a_deleted_service_goes(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	new_life(b);
	web(b, LB, "10.244.0.1@b");
	turn(b);
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	assert_null(virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80));
	assert_false(is_local(b, "192.0.2.1/32"));
}

/* S29 */
static void through_all_types(void **state)
{
	struct bed *b = *state;

	begin(b);
	web(b, "ip=10.96.0.1 port=80/TCP", "10.244.0.1@b");
	turn(b);
	assert_non_null(virtual_at(b, "10.96.0.1", IPPROTO_TCP, 80));
	services_put(b->services, service("ns/web", "type=NodePort ip=10.96.0.1 port=80/TCP:30080"));
	turn(b);
	assert_non_null(virtual_at(b, "10.1.1.1", IPPROTO_TCP, 30080));
	services_put(b->services, service("ns/web", LB));
	turn(b);
	assert_null(virtual_at(b, "10.1.1.1", IPPROTO_TCP, 30080));
	assert_true(is_announced(b, "192.0.2.1/32"));
	services_put(b->services, service("ns/web", "type=ExternalName ip=10.96.0.1 port=80/TCP"));
	turn(b);
	assert_null(virtual_at(b, "10.96.0.1", IPPROTO_TCP, 80));
	assert_false(is_local(b, "192.0.2.1/32"));
	services_put(b->services, service("ns/web", "ip=10.96.0.1 port=80/TCP"));
	turn(b);
	assert_true(leads_to(b, "10.96.0.1", 80, "10.244.0.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(first_the_dataplane_then_route_then_announcement),
	        TEST(what_goes_away_goes_in_reverse),
	        TEST(no_endpoints_end_the_announcement_first),
	        TEST(a_drop_covers_the_change),
	        TEST(nothing_else_is_written_before_a_withdrawal),
	        TEST(announced_only_with_its_route),
	        TEST(announced_only_after_it_was_read_back),
	        TEST(a_refused_service_is_not_announced),
	        TEST(lost_answers_hold_up_everything),
	        TEST(the_module_comes_later),
	        TEST(nothing_is_pending_for_ipvs_that_nobody_needs),
	        TEST(a_shared_vip_stays_with_the_last),
	        TEST(the_class_of_a_vip_changes),
	        TEST(a_new_life_writes_nothing),
	        TEST(left_overs_go_in_reverse),
	        TEST(left_overs_stay_while_answers_are_lost),
	        TEST(before_the_sweep_a_deleted_service_goes),
	        TEST(through_all_types),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
