// SPDX-License-Identifier: GPL-2.0-or-later
/* What two Services can't both have: an address, protocol and port; a health port; a VIP's announcement. */
#include "tests/unit/serving_bed.h"

static void problems(struct bed *b, const char *key, const char *expected)
{
	char text[1024];

	serving_problems_of(b->serving, key, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void first_and_second(struct bed *b, const char *first, const char *second)
{
	services_put(b->services, service("ns/first", first));
	services_put(b->services, slice("ns/first-1", "first", "8080/TCP", "10.244.0.1@b"));
	turn(b);
	services_put(b->services, service("ns/second", second));
	services_put(b->services, slice("ns/second-1", "second", "8080/TCP", "10.244.0.2@b"));
	turn(b);
}

#define FIRST  "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=192.0.2.1"
#define SECOND "type=LoadBalancer ip=10.96.0.2 port=80/TCP lb=192.0.2.1"
#define TAKEN  "192.0.2.1:80/TCP is not served: Service ns/first has it"

static void the_first_has_it_the_other_is_told(void **state)
{
	struct bed *b = *state;
	struct svc_virtual_key k;

	memset(&k, 0, sizeof(k));
	k.addr = addr("192.0.2.1");
	k.proto = IPPROTO_TCP;
	k.port = 80;
	first_and_second(b, FIRST, SECOND);
	assert_true(leads_to(b, "192.0.2.1", 80, "10.244.0.1"));
	assert_true(leads_to(b, "10.96.0.2", 80, "10.244.0.2"));
	problems(b, "ns/first", "");
	problems(b, "ns/second", TAKEN);
	assert_string_equal(serving_taken_by(b->serving, "ns/second", &k), "ns/first");
	assert_null(serving_taken_by(b->serving, "ns/first", &k));
}

static void the_other_takes_over(void **state)
{
	struct bed *b = *state;

	first_and_second(b, FIRST, SECOND);
	forget();
	services_del(b->services, WEFT_SERVICE, "ns/first");
	turn(b);
	assert_true(leads_to(b, "192.0.2.1", 80, "10.244.0.2"));
	assert_null(strstr(recorded(), "ipvs - 192.0.2.1:80/TCP\n")); /* never gone */
	assert_true(is_announced(b, "192.0.2.1/32"));
	assert_null(strstr(recorded(), "route - 179 192.0.2.1/32"));
	assert_null(virtual_at(b, "10.96.0.1", IPPROTO_TCP, 80));
	problems(b, "ns/second", "");
	services_del(b->services, WEFT_SERVICE, "ns/second");
	turn(b);
	assert_null(virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80));
}

/* The one that it was passed on to has gone as well, before it was planned. */
static void the_last_one_takes_it_away(void **state)
{
	struct bed *b = *state;

	first_and_second(b, FIRST, SECOND);
	services_del(b->services, WEFT_SERVICE, "ns/first");
	services_del(b->services, WEFT_SERVICE, "ns/second");
	turn(b);
	assert_null(virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80));
	assert_int_equal(ipvs_wanted(b->ipvs), 0);
}

static void the_one_that_waited_lets_go_quietly(void **state)
{
	struct bed *b = *state;

	first_and_second(b, FIRST, SECOND);
	services_del(b->services, WEFT_SERVICE, "ns/second");
	turn(b);
	assert_true(leads_to(b, "192.0.2.1", 80, "10.244.0.1"));
}

/* S15: the successor has the key for its DROP alone. */
static void the_other_takes_over_without_endpoints_here(void **state)
{
	struct bed *b = *state;

	first_and_second(b, FIRST, SECOND " etp=Local");
	assert_false(set_has("drop4", "192.0.2.1"));
	services_del(b->services, WEFT_SERVICE, "ns/first");
	turn(b);
	assert_null(virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80));
	assert_true(set_has("drop4", "192.0.2.1"));
}

/* Anybody may write an external IP; a ClusterIP is the cluster's. */
static void a_cluster_ip_goes_before_an_external_one(void **state)
{
	struct bed *b = *state;

	first_and_second(b, "ip=10.96.0.1 port=80/TCP ext=10.96.0.2", "ip=10.96.0.2 port=80/TCP");
	assert_true(leads_to(b, "10.96.0.2", 80, "10.244.0.2"));
	problems(b, "ns/first", "10.96.0.2:80/TCP is not served: Service ns/second has it");
	problems(b, "ns/second", "");
}

/* Where others hold all its ports it draws nothing: they may have no endpoint for it here. */
static void announced_only_by_who_holds_a_port(void **state)
{
	struct bed *b = *state;

	first_and_second(b, FIRST " etp=Local", SECOND);
	problems(b, "ns/second", TAKEN);
	assert_false(is_announced(b, "192.0.2.1/32"));
	services_put(b->services, service("ns/second", SECOND " port=81/TCP"));
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
	services_put(b->services, service("ns/second", SECOND));
	turn(b);
	assert_false(is_announced(b, "192.0.2.1/32"));
	services_del(b->services, WEFT_SERVICE, "ns/first");
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
}

static void not_every_port_is_told(void **state)
{
	struct bed *b = *state;
	struct weft_object *first = service("ns/first", FIRST " itp=Local etp=Local");
	struct weft_object *second = service("ns/second", SECOND " itp=Local etp=Local");
	char port[32];

	for (unsigned i = 0; i < 200; i++) {
		snprintf(port, sizeof(port), "%u/TCP", 1000 + i);
		MORE(first->service.ports, first->service.n_ports) = port_of(port);
		MORE(second->service.ports, second->service.n_ports) = port_of(port);
	}
	services_put(b->services, slice("ns/first-1", "first", "8080/TCP", "10.244.0.1@b"));
	services_put(b->services, slice("ns/second-1", "second", "8080/TCP", "10.244.0.2@b"));
	services_put(b->services, first);
	turn(b);
	services_put(b->services, second);
	turn(b);
	assert_int_equal(serving_stats(b->serving).problems, 64);
}

/* S25 */
static void a_health_port_that_becomes_free(void **state)
{
	struct bed *b = *state;

	first_and_second(b, FIRST " etp=Local health=32000",
	                 "type=LoadBalancer ip=10.96.0.2 port=80/TCP lb=192.0.2.2 etp=Local health=32000");
	assert_int_equal(serving_stats(b->serving).problems, 1);
	services_put(b->services, service("ns/first", FIRST " etp=Local health=32001"));
	turn(b);
	assert_int_equal(serving_stats(b->serving).problems, 0);
	services_put(b->services, service("ns/second", SECOND " etp=Local health=32001"));
	turn(b);
	assert_true(serving_stats(b->serving).problems > 0);
	services_del(b->services, WEFT_SERVICE, "ns/first");
	turn(b);
	problems(b, "ns/second", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_first_has_it_the_other_is_told),
	        TEST(the_other_takes_over),
	        TEST(the_last_one_takes_it_away),
	        TEST(the_one_that_waited_lets_go_quietly),
	        TEST(the_other_takes_over_without_endpoints_here),
	        TEST(a_cluster_ip_goes_before_an_external_one),
	        TEST(announced_only_by_who_holds_a_port),
	        TEST(not_every_port_is_told),
	        TEST(a_health_port_that_becomes_free),
	};

	netns_enter();
	netns_sh("ip link set lo up");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
