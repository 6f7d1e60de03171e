// SPDX-License-Identifier: GPL-2.0-or-later
/* S27: which UDP flows end, when, and when the kernel's connections are not even read. */
#include "tests/unit/serving_bed.h"

#define DNS "ip=10.96.0.1 port=53/UDP"

static void dns(struct bed *b, const char *endpoints)
{
	services_put(b->services, slice("ns/dns-1", "dns", "5353/UDP", endpoints));
}

/* A Service with two endpoints, of which each answers a client. */
static void begin(struct bed *b, const char *words, const char *endpoints)
{
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	services_put(b->services, service("ns/dns", words));
	dns(b, endpoints);
	turn(b);
	has_flow(b, "10.96.0.1", 53, "10.244.0.1", 5353);
	has_flow(b, "10.96.0.1", 53, "10.244.0.2", 5353);
	forget();
}

static const char *flows(void)
{
	const char *text = strstr(recorded(), "flows");

	return text ? text : "";
}

static void after_ipvs_those_of_the_lost_endpoint(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b 10.244.0.2@b");
	dns(b, "10.244.0.1@b");
	turn(b);
	wrote("ipvs - 10.96.0.1:53/UDP 10.244.0.2:5353 w0\n"
	      "flows\n"
	      "flows - 10.244.0.2:5353\n");
}

/* From before the Service was there: of an endpoint that an earlier life knew, perhaps. */
static void of_a_new_service(void **state)
{
	struct bed *b = *state;

	has_flow(b, "10.96.0.1", 53, "10.244.0.9", 5353);
	begin(b, DNS, "");
	dns(b, "10.244.0.1@b 10.244.0.2@b");
	turn(b);
	assert_string_equal(flows(), "flows\nflows - 10.244.0.9:5353\n");
}

/* Reading the connections costs more than all the rest. */
static void not_read_without_a_loss(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b 10.244.0.2@b");
	dns(b, "10.244.0.1@b 10.244.0.2@b 10.244.0.3@b");
	turn(b);
	dns(b, "10.244.0.0@b 10.244.0.1@b 10.244.0.2@b 10.244.0.3@b");
	turn(b);
	services_put(b->services, service("ns/dns", DNS " label=x"));
	turn(b);
	services_mark_all(b->services);
	turn(b);
	assert_string_equal(flows(), "");
	services_del(b->services, WEFT_SERVICE, "ns/dns");
	turn(b);
	assert_string_equal(flows(), "");
}

static void not_read_for_tcp(void **state)
{
	struct bed *b = *state;

	services_put(b->services, service("ns/web", "ip=10.96.0.2 port=80/TCP"));
	WEB_SLICE(b, "10.244.0.1@b 10.244.0.2@b");
	turn(b);
	WEB_SLICE(b, "10.244.0.1@b");
	turn(b);
	assert_string_equal(flows(), "");
}

/* An address that is new, beside those that are known. */
static void of_a_new_address(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b");
	b->conntrack.n = 0;
	has_flow(b, "192.0.2.1", 53, "10.244.0.9", 5353);
	services_put(b->services, service("ns/dns", DNS " ext=192.0.2.1"));
	turn(b);
	assert_string_equal(flows(), "flows\nflows - 10.244.0.9:5353\n");
}

/* Nobody serves: flows stay, for they would find nobody else. They end when somebody serves again. */
static void not_while_nobody_serves(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b 10.244.0.2@b");
	dns(b, "");
	turn(b);
	assert_string_equal(flows(), "");
	dns(b, "10.244.0.1@b");
	turn(b);
	assert_string_equal(flows(), "flows\nflows - 10.244.0.2:5353\n");
}

/* One that terminates but serves keeps its flows; one that does not serve any more loses them. */
static void while_an_endpoint_terminates(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b 10.244.0.2@b");
	dns(b, "10.244.0.1@b 10.244.0.2@b/st");
	turn(b);
	assert_string_equal(flows(), "");
	dns(b, "10.244.0.1@b 10.244.0.2@b/t");
	turn(b);
	assert_string_equal(flows(), "flows\nflows - 10.244.0.2:5353\n");
}

/* Another plan comes before IPVS could follow the first: who serves then keeps its flows. */
static void put_off_until_ipvs_follows(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b 10.244.0.2@b");
	has_flow(b, "10.96.0.1", 53, "10.244.0.3", 5353);
	dns(b, "10.244.0.1@b");
	b->ipvs_kernel.send_error = ENOBUFS;
	assert_true(one_turn(b) < 0);
	assert_string_equal(flows(), "");
	dns(b, "10.244.0.1@b 10.244.0.3@b");
	b->now += 2000;
	turn(b);
	assert_string_equal(flows(), "flows\nflows - 10.244.0.2:5353\n");
	forget();
	services_mark_all(b->services);
	turn(b);
	assert_string_equal(flows(), "");
}

static void deleted_while_they_are_put_off(void **state)
{
	struct bed *b = *state;

	begin(b, DNS, "10.244.0.1@b 10.244.0.2@b");
	dns(b, "10.244.0.1@b");
	b->ipvs_kernel.send_error = ENOBUFS;
	assert_true(one_turn(b) < 0);
	services_del(b->services, WEFT_SERVICE, "ns/dns");
	b->now += 2000;
	turn(b);
	assert_string_equal(flows(), "");
}

/* S18: pods and this node reach the cluster's endpoints behind the same address; .2 has ready without
 * serving, as publishNotReadyAddresses makes it. */
static void of_external_policy_local(void **state)
{
	struct bed *b = *state;

	begin(b, "type=LoadBalancer " DNS " lb=192.0.2.1 etp=Local",
	      "10.244.0.1@a 10.244.0.2@b/r 10.244.0.3@b");
	b->conntrack.n = 0;
	has_flow(b, "192.0.2.1", 53, "10.244.0.1", 5353);
	has_flow(b, "192.0.2.1", 53, "10.244.0.2", 5353);
	has_flow(b, "192.0.2.1", 53, "10.244.0.3", 5353);
	dns(b, "10.244.0.1@a 10.244.0.2@b/r");
	turn(b);
	assert_string_equal(flows(), "flows\nflows - 10.244.0.3:5353\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(after_ipvs_those_of_the_lost_endpoint),
	        TEST(of_a_new_service),
	        TEST(not_read_without_a_loss),
	        TEST(not_read_for_tcp),
	        TEST(of_a_new_address),
	        TEST(not_while_nobody_serves),
	        TEST(while_an_endpoint_terminates),
	        TEST(put_off_until_ipvs_follows),
	        TEST(deleted_while_they_are_put_off),
	        TEST(of_external_policy_local),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
