// SPDX-License-Identifier: GPL-2.0-or-later
/* What weftd answers weftctl about Services: the plan beside what IPVS has. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/views_stubs.h"

#define LB  "type=LoadBalancer ip=10.96.0.10 port=80/TCP:30080 lb=192.0.2.1 etp=Local"
#define ONE "{\"args\":{\"service\":\"ns/web\"}}"

static struct services_views views;

static int begin(void **state)
{
	(void)state;
	bed_init(&bed);
	views = (struct services_views){.services = bed.services};
	memset(recorded, 0, sizeof(recorded));
	ipvs_is = IPVS_INSTALLED;
	ipvs_text = "";
	route_is = "installed";
	holder = NULL;
	announced = true;
	return 0;
}

static int end(void **state)
{
	(void)state;
	bed_free(&bed);
	return 0;
}

static void expect_parts(const char *args, const char *const *parts)
{
	weft_autofree char *text = ask(view_services, &views, args);

	for (; *parts; parts++)
		if (!strstr(text, *parts))
			fail_msg("no %s in: %s", *parts, text);
}

#define EXPECT(args, ...) expect_parts(args, (const char *const[]){__VA_ARGS__, NULL})

static void list_has_one_row_per_service(void **state)
{
	(void)state;
	bed_put(&bed, LB, "8080/TCP", "10.244.0.1@a 10.244.1.1@b 10.244.1.2@b/");
	EXPECT("{}",
	       "[{\"service\":\"ns/web\",\"type\":\"LoadBalancer\",\"vips\":[\"10.96.0.10\",\"192.0.2.1\"],"
	       "\"advertised\":[\"192.0.2.1\"],\"ports\":[\"80/TCP\"],"
	       "\"endpoints\":{\"used\":2,\"known\":3},\"state\":\"ok\"}]");
}

static void states_say_what_is_wrong(void **state)
{
	(void)state;
	bed_put(&bed, LB, "8080/TCP", "10.244.0.1@a");
	route_is = "conflict";
	EXPECT("{}", "\"state\":\"pending\",\"reason\":\"route of 192.0.2.1: conflict\"");
	ipvs_is = IPVS_FAILED;
	ipvs_text = "no memory";
	EXPECT("{}", "\"state\":\"pending\",\"reason\":\"", ": no memory\"");
	holder = "other/svc";
	EXPECT("{}", "\"state\":\"problem\",\"reason\":\"", "belongs to Service other/svc\"");
	bed_put(&bed, "ip=10.96.0.10 port=80/TCP", "8080/TCP", "10.244.0.1@a/");
	holder = NULL;
	ipvs_is = IPVS_INSTALLED;
	EXPECT("{}", "\"endpoints\":{\"used\":0,\"known\":1},\"state\":\"no-endpoints\"}");
}

static void why_a_vip_is_not_announced(void **state)
{
	(void)state;
	bed_put(&bed, LB, "8080/TCP", "10.244.0.1@a");
	announced = false;
	EXPECT(ONE, "\"why\":\"it waits for the dataplane\"");
	holder = "other/svc";
	EXPECT(ONE, "\"why\":\"other Services have its ports\"");
}

static void one_has_wanted_beside_kernel(void **state)
{
	(void)state;
	bed_put(&bed, "ip=10.96.0.10 port=80/TCP", "8080/TCP", "10.244.0.1@a 10.244.1.1@b/ 10.244.1.2@b/st");
	recorded[0] = (struct recorded){
	        .key = "10.96.0.10:80/TCP",
	        .dests = {{.addr = addr("10.244.1.2"), .port = 8080, .active = 5, .inactive = 6},
	                  {.addr = addr("10.244.9.9"), .port = 8080, .weight = 3}}};
	EXPECT(ONE, "\"state\":\"ok\",\"policies\":{\"internal\":\"Cluster\",\"external\":\"Cluster\"}",
	       "{\"address\":\"10.96.0.10\",\"kind\":\"ClusterIP\",\"route\":\"covered\",\"advertised\":false,"
	       "\"why\":\"",
	       "\"key\":\"10.96.0.10:80/TCP\",\"state\":\"installed\",\"endpoints\":["
	       "{\"address\":\"10.244.0.1\",\"port\":8080,\"node\":\"a\",\"conditions\":[\"ready\",\"serving\"],"
	       "\"wanted\":1,\"kernel\":null}",
	       "{\"address\":\"10.244.1.1\",\"port\":8080,\"node\":\"b\",\"conditions\":[],\"wanted\":null,"
	       "\"kernel\":null}",
	       "{\"address\":\"10.244.1.2\",\"port\":8080,\"node\":\"b\",\"conditions\":[\"serving\","
	       "\"terminating\"],\"wanted\":0,\"kernel\":0,\"active\":5,\"inactive\":6}",
	       "{\"address\":\"10.244.9.9\",\"port\":8080,\"wanted\":null,\"kernel\":3,\"active\":0,"
	       "\"inactive\":0}]",
	       "\"scheduler\":\"rr\"");
}

static void virtuals_stand_below_their_port(void **state)
{
	(void)state;
	bed_put(&bed, LB, "8080/TCP", "10.244.0.1@a 10.244.1.1@b");
	ipvs_is = IPVS_NOT_READY;
	EXPECT(ONE, "\"nodePort\":30080,\"scheduler\":\"rr\",\"virtuals\":[",
	       "{\"key\":\"10.1.1.1:30080/TCP\",", "{\"key\":\"192.0.2.1:80/TCP\",\"state\":\"not-ready\"",
	       "{\"key\":\"fwmark 0x57000001 (IPv4)\"");
	holder = "other/svc";
	EXPECT(ONE, "{\"key\":\"192.0.2.1:80/TCP\",\"state\":\"taken\",\"takenBy\":\"other/svc\"",
	       "\"problems\":[\"");
}

static void bad_requests_are_refused(void **state)
{
	static const char *const bad[] = {"{\"args\":5}", "{\"args\":{\"service\":5}}",
	                                  "{\"args\":{\"service\":null}}", "{\"args\":[]}"};
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		EXPECT(bad[i], "!services: args.service must be NAMESPACE/NAME");
	EXPECT(ONE, "!there is no Service ns/web");
	EXPECT("{}", "[]");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(list_has_one_row_per_service),    TEST(states_say_what_is_wrong),
	        TEST(why_a_vip_is_not_announced),      TEST(one_has_wanted_beside_kernel),
	        TEST(virtuals_stand_below_their_port), TEST(bad_requests_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
