// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller: what it writes for what the stores have, when it leads and when it does not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/controller_bed.h"

static void nothing_is_written_before_it_leads(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	have(b, lb_service("x/a", "4"));
	expect(b, "");
	assert_int_equal(b->stands, 0);
	sync_all(b);
	assert_int_equal(b->stands, 1);
	have(b, lb_service("x/b", "4"));
	expect(b, "");
	b->on_change(b->ctx, true);
	expect(b, "Service x/a 10.1.0.1 Assigned\nService x/b 10.1.0.2 Assigned\nIPPool p 2/9/0");
	have(b, lb_service("x/c", "4"));
	expect(b, "Service x/c 10.1.0.3 Assigned\nIPPool p 3/9/0");
	b->on_change(b->ctx, false);
	have(b, lb_service("x/d", "4"));
	expect(b, "");
}

static void a_reign_begins_with_what_the_statuses_hold(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lead(b);
	have(b, lb_service("x/b", "4"));
	expect(b, "IPPool p 0/9/0\nService x/b 10.1.0.1 Assigned\nIPPool p 1/9/0");
	b->on_change(b->ctx, false);
	/* Another process led meanwhile: what it wrote arrived here. */
	have(b, status_of("x/b", "10.1.0.1"));
	have(b, lb_service("x/a", "4"));
	have(b, status_of("x/a", "10.1.0.5"));
	have(b, lb_service("x/c", "4"));
	expect(b, "");
	b->on_change(b->ctx, true);
	expect(b, "Service x/a 10.1.0.5 Assigned\nService x/b 10.1.0.1 Assigned\n"
	          "Service x/c 10.1.0.2 Assigned\nIPPool p 3/9/0");
}

static void troubles_are_told_and_taken_back(void **state)
{
	struct bed *b = *state;
	struct weft_object *plain = lb_service("x/plain", "4");

	plain->service.type = WEFT_SERVICE_CLUSTERIP;
	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	have(b, plain);
	b->troubled = "x/plain";
	b->trouble = "annotation weft.dev/scheduler: \"x\" is no scheduler";
	lead(b);
	controller_retell(b->c, "x/plain");
	turn(b);
	assert_non_null(strstr(b->writes[b->n - 1].status, "is no scheduler"));
	assert_null(strstr(b->writes[b->n - 1].status, "loadBalancer"));
	expect(b, "IPPool p 0/9/0\nService x/plain NotAsWritten");
	assert_int_equal(b->n_told, 1);
	assert_string_equal(b->told,
	                    "x/plain NotAsWritten: annotation weft.dev/scheduler: \"x\" is no scheduler");
	controller_retell(b->c, "x/other");
	expect(b, "");
	/* A new reign tells it again, though not by an Event. */
	b->on_change(b->ctx, false);
	controller_retell(b->c, "x/plain");
	expect(b, "");
	b->on_change(b->ctx, true);
	expect(b, "Service x/plain NotAsWritten\nIPPool p 0/9/0\nService x/plain NotAsWritten");
	assert_int_equal(b->n_told, 1);
	b->trouble = "something else";
	controller_retell(b->c, "x/plain");
	expect(b, "Service x/plain NotAsWritten");
	assert_int_equal(b->n_told, 2);
	b->troubled = NULL;
	controller_retell(b->c, "x/plain");
	expect(b, "Service x/plain removed");
	assert_int_equal(b->n_told, 2);
	controller_retell(b->c, "x/plain");
	expect(b, "");
}

static void the_whole_status(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "fd00::-fd00:1::"));
	have(b, lb_service("x/a", "46"));
	lead(b);
	assert_int_equal(b->n, 2);
	assert_string_equal(
	        b->writes[0].status,
	        "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"fd00::\"}]},\"conditions\":[{\"type\":\"weft.dev/LoadBalancer\","
	        "\"status\":\"False\",\"reason\":\"NoPool\",\"message\":\"no IPPool gives IPv4 addresses to this Service; "
	        "it has fd00::\"}]}");
	assert_string_equal(
	        b->writes[1].status,
	        "{\"capacity\":9223372036854775807,\"used\":1,\"conflicts\":0,\"conditions\":[{\"type\":"
	        "\"weft.dev/AddressesAvailable\",\"status\":\"True\",\"reason\":\"Available\",\"message\":"
	        "\"1 of 18446744073709551615 addresses are used\"},{\"type\":\"weft.dev/Conflict\",\"status\":\"False\","
	        "\"reason\":\"None\",\"message\":\"\"}]}");
	answer(b, 0);
}

static void a_service_that_goes_takes_its_status_with_it(void **state)
{
	struct bed *b = *state;
	struct weft_object *plain = lb_service("x/b", "4");

	plain->service.type = WEFT_SERVICE_CLUSTERIP;
	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	have(b, lb_service("x/a", "4"));
	have(b, lb_service("x/b", "4"));
	lead(b);
	expect(b, "Service x/a 10.1.0.1 Assigned\nService x/b 10.1.0.2 Assigned\nIPPool p 2/9/0");
	gone(b, WEFT_SERVICE, "x/a");
	expect(b, "Service x/a removed\nIPPool p 1/9/0");
	have(b, plain);
	expect(b, "Service x/b removed\nIPPool p 0/9/0");
	gone(b, WEFT_SERVICE, "x/b");
	expect(b, "");
	gone(b, WEFT_SERVICE, "x/never");
	expect(b, "");
	gone(b, WEFT_IPPOOL, "p");
	expect(b, "IPPool p removed");
}

static void orphans_are_removed_when_a_reign_begins(void **state)
{
	struct bed *b = *state;
	struct weft_object *plain = lb_service("x/plain", "4");

	plain->service.type = WEFT_SERVICE_CLUSTERIP;
	have(b, plain);
	have(b, status_of("x/plain", ""));
	have(b, status_of("x/orphan", "10.1.0.1"));
	have(b, lb_service("x/a", "4"));
	have(b, status_of("x/a", "10.1.0.1"));
	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lead(b);
	assert_int_equal(b->n, 4);
	assert_null(b->writes[0].status);
	assert_null(b->writes[1].status);
	b->writes[1].status = b->writes[0].status = NULL;
	answer(b, 0);
	/* Later a status may come first: a backup is being restored. */
	have(b, status_of("x/restored", "10.1.0.7"));
	expect(b, "");
	have(b, lb_service("x/restored", "4"));
	expect(b, "Service x/restored 10.1.0.7 Assigned\nIPPool p 2/9/0");
}

static void what_somebody_else_wrote_is_put_right(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	have(b, lb_service("x/a", "4"));
	lead(b);
	expect(b, "Service x/a 10.1.0.1 Assigned\nIPPool p 1/9/0");
	have(b, status_of("x/a", "10.1.0.1")); /* our own, back */
	expect(b, "");
	have(b, status_of("x/a", "10.1.0.2"));
	expect(b, "Service x/a 10.1.0.1 Assigned");
	gone(b, WEFT_SERVICESTATUS, "x/a");
	expect(b, "Service x/a 10.1.0.1 Assigned");
}

static void refused_pools_give_nothing_new(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "10.1.0.0-10.1.0.255"));
	b->writes[0].status = NULL;
	lead(b);
	expect(b, "IPPool p 0/256/0");
	have(b, lb_service("x/a", "4"));
	expect(b, "Service x/a 10.1.0.0 Assigned\nIPPool p 1/256/0");
	have(b, node("n", "10.1.0.7", NULL)); /* a node's address lies in it */
	have(b, lb_service("x/b", "4"));
	expect(b, "IPPool p 1/256/0\nService x/b PoolDisabled"); /* its status says that it is refused */
	gone(b, WEFT_NODE, "n");
	expect(b, "IPPool p 2/256/0\nService x/b 10.1.0.1 Assigned\nIPPool p 2/256/0");
}

static void namespaces_count(void **state)
{
	struct bed *b = *state;
	struct weft_object *p = lb_pool("p", "10.1.0.1-10.1.0.9");

	require(&p->ippool.namespace_selector, "tier", "front");
	have(b, p);
	have(b, lb_service("x/a", "4"));
	have(b, labelled(object(WEFT_NAMESPACE, "y"), "tier", "front"));
	have(b, lb_service("y/b", "4"));
	lead(b);
	expect(b, "Service x/a NoPool\nService y/b 10.1.0.1 Assigned\nIPPool p 1/9/0");
	have(b, labelled(object(WEFT_NAMESPACE, "x"), "tier", "front"));
	expect(b, "Service x/a 10.1.0.2 Assigned\nIPPool p 2/9/0");
	gone(b, WEFT_NAMESPACE, "x");
	expect(b, "Service x/a 10.1.0.2 Conflict\nIPPool p 2/9/1");
}

static void standing_that_fails_is_tried_again(void **state)
{
	struct bed *b = *state;
	uint64_t end = uv_hrtime() + UINT64_C(20000000000);
	cJSON *json;

	weft_log_init(-1);
	b->stand_error = -EROFS;
	sync_all(b);
	json = controller_describe(b->c);
	assert_string_equal(cJSON_GetObjectItem(json, "error")->valuestring, "can't stand here");
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "leading")));
	cJSON_Delete(json);
	b->stand_error = 0;
	while (b->stands < 2 && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	assert_int_equal(b->stands, 2);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(b->stands, 2);
}

static void what_it_tells_of_itself(void **state)
{
	struct bed *b = *state;
	cJSON *json;
	char *text;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.1"));
	have(b, lb_service("x/a", "4"));
	have(b, lb_service("x/b", "4"));
	lead(b);
	answer(b, 0);
	json = controller_describe(b->c);
	text = cJSON_PrintUnformatted(json);
	assert_string_equal(
	        text,
	        "{\"leading\":true,\"identity\":\"node1\",\"services\":{\"assigned\":1,\"pending\":1,\"conflict\":0},"
	        "\"problems\":[{\"service\":\"x/b\",\"reason\":\"PoolExhausted\",\"message\":\"IPPool p has no free IPv4 "
	        "address\"}],\"pools\":[{\"name\":\"p\",\"capacity\":1,\"used\":1,\"conflicts\":0}],\"failedWrites\":0}");
	free(text);
	cJSON_Delete(json);
}

static void a_datastore_without_a_place_for_it(void **state)
{
	struct bed *b = *state;
	static const struct weft_source_ops none = {.put_status = NULL};
	struct weft_source source = {.ops = &none};
	struct controller_options o = {.loop = &b->loop, .source = &source, .identity = "a"};
	struct controller *c;

	assert_int_equal(controller_new(&o, &c, NULL), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(nothing_is_written_before_it_leads),
	        TEST(a_reign_begins_with_what_the_statuses_hold),
	        TEST(troubles_are_told_and_taken_back),
	        TEST(the_whole_status),
	        TEST(a_service_that_goes_takes_its_status_with_it),
	        TEST(orphans_are_removed_when_a_reign_begins),
	        TEST(what_somebody_else_wrote_is_put_right),
	        TEST(refused_pools_give_nothing_new),
	        TEST(namespaces_count),
	        TEST(standing_that_fails_is_tried_again),
	        TEST(what_it_tells_of_itself),
	        TEST(a_datastore_without_a_place_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
