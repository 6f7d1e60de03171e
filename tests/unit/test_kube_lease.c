// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leader election by a Lease, in a simulated world: what is written, and who leads from when to when.
 * test_kube_lease_chaos.c has the same in trouble, test_kube_wire.c on the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/lease_sim.h"

/* ---- what is written ---- */

static void created_and_renewed(void **state)
{
	(void)state;
	start(0);
	assert_false(leads(0));
	sim_run(10);
	assert_true(leads(0));
	assert_int_equal(server.posts, 1);
	assert_string_equal(spec_text("holderIdentity"), "node-0_1");
	assert_int_equal((int)spec_number("leaseDurationSeconds"), 15);
	assert_int_equal((int)spec_number("leaseTransitions"), 0);
	assert_string_equal(spec_text("renewTime"), spec_text("acquireTime"));

	char acquired[64];
	snprintf(acquired, sizeof(acquired), "%s", spec_text("acquireTime"));
	sim_run(60000);
	/* Every 2 to 2.4 seconds one request, and no other. */
	assert_in_range(server.puts, 60000 / 2400, 60000 / 2000);
	assert_int_equal(server.gets, 1);
	assert_int_equal(server.conflicts, 0);
	assert_string_equal(spec_text("acquireTime"), acquired);
	assert_string_not_equal(spec_text("renewTime"), acquired);
	assert_int_equal((int)spec_number("leaseTransitions"), 0);
	assert_int_equal(candidates[0].changes, 1);
	assert_string_equal(kube_lease_holder(candidates[0].lease), "node-0_1");
	assert_string_equal(kube_lease_trouble(candidates[0].lease), "");
}

/* What others wrote into the object stays in it. */
static void foreign_fields_stay(void **state)
{
	(void)state;
	server.lease = cJSON_Parse(
	        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"weft-controller\","
	        "\"namespace\":\"kube-system\",\"resourceVersion\":\"7\",\"uid\":\"u\",\"labels\":{\"a\":\"b\"}},"
	        "\"spec\":{\"holderIdentity\":\"\",\"leaseTransitions\":4,\"strategy\":\"x\",\"acquireTime\":\"2020-01-01T00:00:00.000000Z\"}}");
	start(0);
	sim_run(10);
	assert_true(leads(0));
	assert_int_equal((int)spec_number("leaseTransitions"), 5);
	assert_string_equal(spec_text("strategy"), "x");
	assert_string_equal(spec_text("acquireTime"), spec_text("renewTime"));
	assert_string_equal(member(server.lease, "metadata", "uid"), "u");
	assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(server.lease, "metadata"), "labels"));
}

static void released(void **state)
{
	(void)state;
	start(0);
	start(1);
	sim_run(5000);
	int first = leads(0) ? 0 : 1;
	leave(first);
	sim_run(1);
	assert_string_equal(spec_text("holderIdentity"), "");
	assert_int_equal((int)spec_number("leaseDurationSeconds"), 1);
	assert_int_equal((int)spec_number("leaseTransitions"), 0);
	sim_run(2500); /* the next look at it, not the whole duration */
	assert_true(leads(1 - first));
	assert_int_equal((int)spec_number("leaseTransitions"), 1);
}

/* Who does not lead releases nothing. */
static void left_by_another(void **state)
{
	(void)state;
	start(0);
	sim_run(100);
	start(1);
	sim_run(5000);
	leave(1);
	sim_run(100);
	assert_string_equal(spec_text("holderIdentity"), "node-0_1");
	assert_true(leads(0));
}

/* ---- who takes it, and when ---- */

/* For a minute at most. */
#define run_while(condition)                                  \
	do {                                                  \
		uint64_t end_ = sim.now + UINT64_C(60000000); \
		while (condition) {                           \
			assert_true(sim.now < end_);          \
			sim_run(10);                          \
		}                                             \
	} while (0)

static void one_of_two(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		start(i);
	sim_run(60000);
	assert_int_equal(leads(0) + leads(1), 1);
	assert_int_equal(candidates[0].changes + candidates[1].changes, 1);
	assert_string_equal(kube_lease_holder(candidates[0].lease), kube_lease_holder(candidates[1].lease));
}

/* Both read the same free Lease: one PUT is too late. */
static void lost_race(void **state)
{
	(void)state;
	start(2);
	sim_run(100);
	leave(2);
	sim_run(100);
	start(0);
	start(1);
	sim_run(100);
	assert_int_equal(server.conflicts, 1);
	assert_int_equal(leads(0) + leads(1), 1);
	sim_run(10000);
	assert_int_equal(leads(0) + leads(1), 1);
}

/* The holder dies: its role is taken when its Lease has run out, seen from its last renewal, and not before.
 */
static void taken_over_in_time(void **state)
{
	uint64_t died;

	(void)state;
	start(0);
	sim_run(100);
	start(1);
	sim_run(30000);
	sim.dead[0] = true;
	died = sim.now;
	run_while(leads(1) == false);
	assert_in_range((sim.now - died) / 1000, 15000 - 2400, 15000 + 2 * 2400);
	assert_int_equal((int)spec_number("leaseTransitions"), 1);
	assert_string_equal(spec_text("holderIdentity"), "node-1_1");
	sim.dead[0] = false;
	candidates[0].told = false;
}

/* A process started again is another one, even on the same node: it waits like all others. */
static void own_former_life_is_another(void **state)
{
	(void)state;
	start(3);
	sim_run(100);
	sim.dead[3] = true;
	candidates[0].life = 1;
	start(0);
	sim_run(14000);
	assert_false(leads(0));
	sim_run(6000);
	assert_true(leads(0));
	assert_string_equal(spec_text("holderIdentity"), "node-0_2");
}

/* ---- renewals that fail ---- */

static void given_up_before_others_take_it(void **state)
{
	uint64_t began, lost;

	(void)state;
	sim.network = cut_off;
	start(0);
	sim_run(100);
	start(1);
	sim_run(20000);
	cut[0] = true;
	began = sim.now;
	run_while(candidates[0].told);
	lost = sim.now;
	assert_in_range((lost - began) / 1000, 10000 - 2400 - 100, 10000);
	assert_false(leads(1));
	run_while(leads(1) == false);
	assert_true(sim.now - lost > 1000 * SIM_US_PER_MS);
	assert_string_not_equal(kube_lease_trouble(candidates[0].lease), "");

	/* It is one of the others from now on. */
	cut[0] = false;
	sim_run(30000);
	assert_true(leads(1));
	assert_false(leads(0));
	assert_string_equal(kube_lease_holder(candidates[0].lease), "node-1_1");
	assert_string_equal(kube_lease_trouble(candidates[0].lease), "");
}

/* The API server is away for all: nobody leads after ten seconds; who comes first leads then. */
static void nobody_leads_without_server(void **state)
{
	(void)state;
	sim.network = cut_off;
	start(0);
	start(1);
	sim_run(20000);
	cut[0] = cut[1] = true;
	sim_run(10100);
	assert_int_equal(leads(0) + leads(1), 0);
	cut[0] = cut[1] = false;
	sim_run(20000);
	assert_int_equal(leads(0) + leads(1), 1);
}

static unsigned lose_answers;

static void lose_some_answers(struct kube_call *c)
{
	c->lost_down = !strcmp(c->method, "PUT") && lose_answers && lose_answers--;
}

/* The server took the renewal, its answer was lost: the next one conflicts, and reads again. */
static void lost_answer(void **state)
{
	(void)state;
	sim.network = lose_some_answers;
	start(0);
	sim_run(5000);
	lose_answers = 1;
	sim_run(30000);
	assert_true(leads(0));
	assert_int_equal(candidates[0].changes, 1);
	assert_int_equal(server.conflicts, 1);
}

static unsigned lose_requests;

static void lose_some_requests(struct kube_call *c)
{
	c->lost_up = !strcmp(c->method, "PUT") && lose_requests && lose_requests--;
}

/* A server that says nothing is waited for until half the time is gone; then asked again at once. */
static void silence(void **state)
{
	unsigned puts;

	(void)state;
	sim.network = lose_some_requests;
	start(0);
	sim_run(5000);
	lose_requests = 1;
	run_while(lose_requests);
	puts = server.puts;
	sim_run(4900);
	assert_int_equal(server.puts, puts);
	sim_run(200);
	assert_int_equal(server.puts, puts + 1);
	sim_run(30000);
	assert_int_equal(candidates[0].changes, 1);
}

/* Another's name in it (somebody edited it): the role ends with the answer that says so. */
static void taken_away(void **state)
{
	cJSON *spec;

	(void)state;
	start(0);
	sim_run(5000);
	spec = cJSON_GetObjectItem(server.lease, "spec");
	cJSON_ReplaceItemInObject(spec, "holderIdentity", cJSON_CreateString("somebody"));
	store(cJSON_Duplicate(server.lease, true));
	sim_run(2500);
	assert_false(leads(0));
	assert_int_equal(candidates[0].changes, 2);
	assert_string_equal(kube_lease_holder(candidates[0].lease), "somebody");
	sim_run(16000);
	assert_true(leads(0));
}

/* Somebody deleted it: who has seen the holder does not take that for its death. */
static void deleted(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		start(i);
		sim_run(100);
	}
	sim_run(20000);
	for (int i = 0; i < 50; i++) {
		delete_lease();
		sim_run(7777);
		assert_true(leads(0));
	}
	assert_int_equal(candidates[0].changes, 1);
	assert_int_equal(candidates[1].changes + candidates[2].changes, 0);
	sim.dead[0] = true;
	delete_lease();
	sim_run(18000);
	assert_int_equal(leads(1) + leads(2), 1);
	sim.dead[0] = false;
	candidates[0].told = false;
}

/* ---- what is no Lease ---- */

static void malformed(void **state)
{
	static const char *const texts[] = {
	        "",
	        "{",
	        "[]",
	        "null",
	        "{}",
	        "{\"metadata\":{}}",
	        "{\"metadata\":7,\"spec\":{}}",
	        "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"holderIdentity\":{\"a\":1}}}",
	        "{\"metadata\":{\"resourceVersion\":1},\"spec\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(texts); i++) {
		setup(NULL);
		server.lease = *texts[i] ? cJSON_Parse(texts[i]) : NULL;
		if (!server.lease)
			server.lease = cJSON_CreateString("no object");
		start(0);
		sim_run(60000);
		assert_false(leads(0));
		assert_int_equal(server.puts + server.posts, 0);
		assert_in_range(server.gets, 60000 / 2400, 60000 / 2000 + 1);
		assert_string_not_equal(kube_lease_trouble(candidates[0].lease), "");
		teardown(NULL);
	}
	setup(NULL);
}

/* An odd spec: a holder whose duration says nothing counts for as long as ours would; no spec is nobody's. */
static void odd_specs(void **state)
{
	static const struct {
		const char *spec;
		uint64_t free_after_ms;
	} cases[] = {
	        {"null", 0},
	        {"{}", 0},
	        {"{\"holderIdentity\":null}", 0},
	        {"{\"holderIdentity\":\"x\"}", 15000},
	        {"{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":0}", 15000},
	        {"{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":-5}", 15000},
	        {"{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":\"5\"}", 15000},
	        {"{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":1e300}", 15000},
	        {"{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":40,\"leaseTransitions\":\"many\"}",
	         40000},
	        {"{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":5,\"renewTime\":\"2999-01-01T00:00:00.000000Z\"}",
	         5000},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		char text[512];

		setup(NULL);
		snprintf(
		        text, sizeof(text),
		        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"weft-controller\","
		        "\"namespace\":\"kube-system\",\"resourceVersion\":\"1\"},\"spec\":%s}",
		        cases[i].spec);
		server.lease = cJSON_Parse(text);
		assert_non_null(server.lease);
		start(0);
		if (cases[i].free_after_ms)
			sim_run(cases[i].free_after_ms - 1);
		assert_false(leads(0));
		sim_run(2500);
		assert_true(leads(0));
		assert_int_equal((int)spec_number("leaseDurationSeconds"), 15);
		teardown(NULL);
	}
	setup(NULL);
}

/* Control characters of a foreign name do not reach a terminal; a long one is cut. */
static void hostile_holder(void **state)
{
	char text[2048], name[1200];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text),
	         "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"holderIdentity\":\"\\u001b[2J%s\"}}",
	         name);
	server.lease = cJSON_Parse(text);
	start(0);
	sim_run(100);
	assert_non_null(strstr(kube_lease_holder(candidates[0].lease), "?[2Jxxx"));
	assert_true(strlen(kube_lease_holder(candidates[0].lease)) < 300);
}

/* A request that is refused is tried again at the ordinary pace. */
static void refuse(struct kube_call *c)
{
	server.gets++;
	answer_status(c, KUBE_FORBIDDEN, 403);
}

static void refused(void **state)
{
	(void)state;
	sim.serve = refuse;
	start(0);
	sim_run(60000);
	assert_in_range(server.gets, 60000 / 2400, 60000 / 2000 + 1);
	assert_string_not_equal(kube_lease_trouble(candidates[0].lease), "");
	sim.serve = serve;
	sim_run(2500);
	assert_true(leads(0));
	assert_string_equal(kube_lease_trouble(candidates[0].lease), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	        T(created_and_renewed),
	        T(foreign_fields_stay),
	        T(released),
	        T(left_by_another),
	        T(one_of_two),
	        T(lost_race),
	        T(taken_over_in_time),
	        T(own_former_life_is_another),
	        T(given_up_before_others_take_it),
	        T(nobody_leads_without_server),
	        T(lost_answer),
	        T(silence),
	        T(taken_away),
	        T(deleted),
	        T(malformed),
	        T(odd_specs),
	        T(hostile_holder),
	        T(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
