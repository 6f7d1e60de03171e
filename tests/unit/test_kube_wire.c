// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leases and Events on the test API server: real TLS and HTTP, and its rules for what is written. Who leads
 * when, and what is said how often, is in test_kube_lease.c and test_kube_events.c, where time can be told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/kube/events.h"
#include "agent/kube/lease.h"
#include "tests/unit/apiserver_bed.h"

#define CANDIDATES 3

static struct candidate {
	struct kube *client;
	struct kube_lease *lease;
	struct kube_access access;
	bool told;
	unsigned changes;
} candidates[CANDIDATES];

static unsigned led; /* times that anybody was told to lead */

static void on_change(void *ctx, bool leading)
{
	struct candidate *c = ctx;

	assert_int_not_equal(c->told, leading);
	c->told = leading;
	c->changes++;
	led += leading;
	for (int i = 0; leading && i < CANDIDATES; i++)
		assert_true(&candidates[i] == c || !candidates[i].told);
}

static struct candidate *open_client(struct api_bed *b, int i)
{
	struct candidate *c = &candidates[i];
	struct weft_err err = WEFT_ERR_INIT;
	char path[96];

	snprintf(path, sizeof(path), "%s/tls/kubeconfig", b->api.dir);
	if (kube_access_load(&(struct kube_access_options){.kubeconfig = path}, &c->access, &err) ||
	    kube_new(&b->loop, &c->access, "weftd/test", &c->client, &err))
		fail_msg("%s", err.text);
	return c;
}

/* Hasty: a fifteenth of the usual times. A busy machine may then cost the role at any time. */
static struct candidate *stand(struct api_bed *b, int i, bool hasty)
{
	struct candidate *c = candidates[i].client ? &candidates[i] : open_client(b, i);
	char identity[16];

	snprintf(identity, sizeof(identity), "node-%d", i);
	c->lease = kube_lease_new(&(struct kube_lease_options){.client = c->client,
	                                                       .loop = &b->loop,
	                                                       .namespace = "default",
	                                                       .name = "weft-controller",
	                                                       .identity = identity,
	                                                       .duration_s = hasty ? 1 : 15,
	                                                       .renew_deadline_ms = hasty ? 600 : 10000,
	                                                       .retry_ms = 100,
	                                                       .on_change = on_change,
	                                                       .ctx = c});
	return c;
}

static void leave(struct candidate *c)
{
	if (c->lease)
		kube_lease_free(c->lease);
	c->lease = NULL;
	c->told = false;
}

static struct candidate *leader(void)
{
	struct candidate *found = NULL;

	for (int i = 0; i < CANDIDATES; i++)
		if (candidates[i].lease && kube_lease_leading(candidates[i].lease)) {
			assert_null(found);
			found = &candidates[i];
		}
	return found;
}

static int setup(void **state)
{
	struct api_bed *b;

	memset(candidates, 0, sizeof(candidates));
	led = 0;
	if (bed_setup(state))
		return -1;
	b = *state;
	api_start(&b->api, "127.0.0.1:0", "1.36");
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < CANDIDATES; i++) {
		leave(&candidates[i]);
		if (candidates[i].client) {
			kube_free(candidates[i].client);
			kube_access_free(&candidates[i].access);
		}
	}
	return bed_teardown(state);
}

static const char *spec_text(struct api_bed *b, const char *key, char out[64])
{
	cJSON *answer;
	const cJSON *spec = cJSON_GetObjectItem(fetch(b, "leases", "weft-controller", &answer), "spec");
	const cJSON *value = cJSON_GetObjectItem(spec, key);

	if (cJSON_IsString(value))
		snprintf(out, 64, "%s", value->valuestring);
	else
		snprintf(out, 64, "%d", value ? value->valueint : -1);
	cJSON_Delete(answer);
	return out;
}

static void a_lease_from_hand_to_hand(void **state)
{
	struct api_bed *b = *state;
	struct candidate *one = stand(b, 0, false), *two;
	char text[64], renewed[64];

	UNTIL(b, one->told);
	assert_string_equal(spec_text(b, "holderIdentity", text), "node-0");
	assert_string_equal(spec_text(b, "leaseDurationSeconds", text), "15");
	spec_text(b, "renewTime", renewed);
	two = stand(b, 1, false);
	UNTIL(b, strcmp(spec_text(b, "renewTime", text), renewed) != 0);
	UNTIL(b, !strcmp(kube_lease_holder(two->lease), "node-0"));
	assert_false(two->told);
	leave(one);
	UNTIL(b, two->told);
	assert_string_equal(spec_text(b, "holderIdentity", text), "node-1");
	assert_string_equal(spec_text(b, "leaseTransitions", text), "1");
	assert_string_equal(kube_lease_trouble(two->lease), "");
}

/* Renewals fail: the role is given up, and somebody has it again when they work. */
static void renewals_that_fail(void **state)
{
	struct api_bed *b = *state;
	unsigned before;

	for (int i = 0; i < CANDIDATES; i++)
		stand(b, i, true);
	UNTIL(b, leader());
	tell(b, "answer 503 to update leases");
	UNTIL(b, !leader());
	before = led;
	tell(b, "clear");
	UNTIL(b, leader());
	assert_true(led > before);
}

/* Connections, answers and the server come and go: there are never two (on_change, leader()). */
static void never_two_on_the_wire(void **state)
{
	static const char *const faults[] = {
	        "cut update leases after 0 bytes abruptly once",
	        "close connections reset",
	        "answer 500 to get leases 3 times",
	        "hang update leases",
	        "cut get leases after 20 bytes orderly 2 times",
	        "restart with new history",
	        "answer 429 to update leases retry after 1 s once",
	        "garbage get leases",
	        "refuse connections",
	        "delay update leases by 700 ms",
	};
	struct api_bed *b = *state;

	for (int i = 0; i < CANDIDATES; i++)
		stand(b, i, true);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(faults); i++) {
		struct candidate *was;
		struct kube_health health, now;

		UNTIL(b, (was = leader()));
		kube_health(was->client, &health);
		tell(b, faults[i]);
		/* What was asked before it, and two requests under it. */
		UNTIL(b, (leader(), kube_health(was->client, &now), now.requests > health.requests + 2));
		if (i % 3 == 0) {
			leave(was);
			stand(b, (int)(was - candidates), true);
		}
		UNTIL(b, (leader(), kube_health(was->client, &now), now.requests > health.requests + 4));
		tell(b, "clear");
		tell(b, "accept connections");
	}
	UNTIL(b, leader());
	assert_true(led > 1);
}

/* ---- Events ---- */

static int count_events(struct api_bed *b)
{
	cJSON *answer =
	        api_do(&b->api, "{\"do\":\"list\",\"resource\":\"events\",\"namespace\":\"default\"}");
	int n = cJSON_GetArraySize(cJSON_GetObjectItem(answer, "items"));

	cJSON_Delete(answer);
	return n;
}

static void events_are_taken(void **state)
{
	static const struct kube_event_about web = {
	        .api = "v1", .kind = "Service", .namespace = "default", .name = "web", .uid = "u-1"};
	static const struct kube_event_about node = {.api = "v1", .kind = "Node", .name = "n1"};
	struct api_bed *b = *state;
	struct candidate *c = open_client(b, 0);
	struct kube_events *events = kube_events_new(c->client, &b->loop, "weft-controller", "node-a");
	char longest[3000];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	kube_events_tell(events, &web, true, "NoAddress", "no pool has a free address");
	kube_events_tell(events, &web, true, "NoAddress", "no pool has a free address");
	kube_events_tell(events, &node, false, "Ready", "it \"works\" \xff\n");
	kube_events_tell(events, &web, true, longest, longest);
	tell(b, "answer 500 to create events 2 times");
	UNTIL(b, count_events(b) == 3);
	kube_events_tell(events, &web, false, "Later", "freed while it is on its way");
	kube_events_free(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WIRE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        WIRE_TEST(a_lease_from_hand_to_hand),
	        WIRE_TEST(renewals_that_fail),
	        WIRE_TEST(never_two_on_the_wire),
	        WIRE_TEST(events_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
