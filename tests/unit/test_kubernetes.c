// SPDX-License-Identifier: GPL-2.0-or-later
/* The Kubernetes source: what watches say becomes events, and nothing else does. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/fake_kube.h"

static void what_is_followed(void **state)
{
	struct fake *f = *state;
	static const char *const want[] = {
	        "/api/v1/nodes ",
	        "/apis/weft.dev/v1alpha1/ippools ",
	        "/apis/weft.dev/v1alpha1/ipblocks ",
	        "/apis/weft.dev/v1alpha1/bgpconfigs ",
	        "/apis/weft.dev/v1alpha1/bgppeers ",
	        "/apis/weft.dev/v1alpha1/bgpadvertisements ",
	        "/apis/networking.k8s.io/v1/servicecidrs ",
	        "/api/v1/services "
	        "labelSelector=%21service.kubernetes.io%2Fheadless%2C%21service.kubernetes.io%2Fservice-proxy-name",
	        "/apis/discovery.k8s.io/v1/endpointslices "
	        "labelSelector=%21service.kubernetes.io%2Fheadless%2C%21service.kubernetes.io%2Fservice-proxy-name",
	        "/api/v1/namespaces/kube-system/secrets fieldSelector=metadata.name%3Dweft-bgp",
	};

	fake_open(f);
	assert_int_equal(f->n_watches, WEFT_ARRAY_LEN(want));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(want); i++) {
		char got[300];

		snprintf(got, sizeof(got), "%s %s", f->watches[i].path, f->watches[i].selector);
		assert_string_equal(got, want[i]);
		assert_int_equal(f->watches[i].o.secret, i == 9);
	}
}

/* Where the fabric carries all blocks, other Nodes are not even asked for. */
static void only_the_own_node_is_followed(void **state)
{
	struct fake *f = *state;

	f->o.own_node = true;
	f->o.node = "node-7.example";
	fake_open(f);
	assert_string_equal(f->watches[0].path, "/api/v1/nodes");
	assert_string_equal(f->watches[0].selector, "fieldSelector=metadata.name%3Dnode-7.example");
	assert_string_equal(f->watches[1].selector, "");
}

static void without_services_none_is_followed(void **state)
{
	struct fake *f = *state;

	f->o.services = false;
	f->o.n_secrets = 0;
	fake_open(f);
	assert_int_equal(f->n_watches, 6);
	list_others(f, "-");
	expect(f, "synced\n");
}

/* S10: nothing is begun before all is there. */
static void synced_comes_when_all_is_there(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes services");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NODE("b", "2", "10.0.0.2"), NULL);
	begin(f, "/services");
	say(f, "/services", false, SERVICE("web", "3", "{}"));
	expect(f, "+Node/a\n+Node/b\n+Service/d/web\n");
	complete(f, "/services");
	expect(f, "synced\n");
	say(f, "/nodes", true, NODE("a", "4", "10.0.0.1"));
	expect(f, "-Node/a\n");
}

static void a_relist_tells_only_differences(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NODE("b", "2", "10.0.0.2"), NODE("c", "3", "10.0.0.3"),
	     NULL);
	expect(f, "+Node/a\n+Node/b\n+Node/c\nsynced\n");
	for (int storm = 0; storm < 100; storm++)
		list(f, "/nodes", NODE("c", "3", "10.0.0.3"), NODE("a", "9", "10.0.0.1"),
		     NODE("b", "2", "10.0.0.2"), NULL);
	expect(f, "");
	/* A listing that broke off says nothing about what it did not reach. */
	begin(f, "/nodes");
	say(f, "/nodes", false, NODE("a", "9", "10.0.0.1"));
	begin(f, "/nodes");
	say(f, "/nodes", false, NODE("b", "2", "10.0.0.2"));
	expect(f, "");
	say(f, "/nodes", false, NODE("d", "5", "10.0.0.4"));
	complete(f, "/nodes");
	expect(f, "+Node/d\n-Node/a\n-Node/c\n");
	/* What a watch brought after a listing stays in the next one if that has it, too. */
	say(f, "/nodes", false, NODE("e", "6", "10.0.0.5"));
	list(f, "/nodes", NODE("b", "2", "10.0.0.2"), NODE("d", "5", "10.0.0.4"), NODE("e", "6", "10.0.0.5"),
	     NULL);
	expect(f, "+Node/e\n");
}

static void an_object_that_changes_nothing_is_silent(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NULL);
	expect(f, "+Node/a\nsynced\n");
	say(f, "/nodes", false, NODE("a", "2", "10.0.0.1"));
	expect(f, "");
	say(f, "/nodes", false, NODE("a", "3", "10.0.0.9"));
	expect(f, "+Node/a\n");
	say(f, "/nodes", false, NODE("a", "3", "10.0.0.7")); /* one version has one text: not even decoded */
	expect(f, "");
	say(f, "/nodes", true, NODE("other", "3", "10.0.0.9"));
	say(f, "/nodes", false, "{\"metadata\":{}}");
	say(f, "/nodes", true, "{\"metadata\":{\"name\":7}}");
	expect(f, "");
	/* Deleted and made again with the same text. */
	say(f, "/nodes", true, NODE("a", "3", "10.0.0.9"));
	say(f, "/nodes", false, NODE("a", "3", "10.0.0.9"));
	expect(f, "-Node/a\n+Node/a\n");
}

#define BAD_BLOCK(version) \
	"{" META("10.0.0.0-26", version) ",\"spec\":{\"cidr\":\"x\",\"node\":\"n1\",\"pool\":\"p\"}}"
#define BLOCK_PATH "/apis/weft.dev/v1alpha1/ipblocks/10.0.0.0-26"
#define BLOCK_TEXT " IPBlock/10.0.0.0-26: spec.cidr: \"x\" is not a CIDR (ADDRESS/LENGTH)\n"

static void an_invalid_object_stays_as_it_was(void **state)
{
	struct fake *f = *state;
	const char *where;

	fake_open(f);
	list_others(f, "ipblocks");
	list(f, "/ipblocks", BLOCK("10.0.0.0-26", "1", "10.0.0.0/26", "n1"), NULL);
	expect(f, "+IPBlock/10.0.0.0-26\nsynced\n");
	say(f, "/ipblocks", false, BAD_BLOCK("2"));
	where = weft_buf_text(&f->log);
	assert_ptr_equal(strstr(where, "!" BLOCK_PATH " IPBlock/10.0.0.0-26: spec.cidr: "), where);
	weft_buf_truncate(&f->log, 0);
	say(f, "/ipblocks", false, BAD_BLOCK("3")); /* said already */
	list(f, "/ipblocks", BAD_BLOCK("3"), NULL);
	expect(f, "");
	say(f, "/ipblocks", false, BLOCK("10.0.0.0-26", "4", "10.0.0.0/26", "n1"));
	expect(f, "ok " BLOCK_PATH "\n"); /* and it is what the sink has */
	say(f, "/ipblocks", false, BAD_BLOCK("5"));
	weft_buf_truncate(&f->log, 0);
	say(f, "/ipblocks", true, BAD_BLOCK("5"));
	expect(f, "ok " BLOCK_PATH "\n-IPBlock/10.0.0.0-26\n");
	/* One that never was valid has nothing to delete. */
	say(f, "/ipblocks", false, BAD_BLOCK("6"));
	weft_buf_truncate(&f->log, 0);
	list(f, "/ipblocks", NULL);
	expect(f, "ok " BLOCK_PATH "\n");
}

static void reports_name_namespaced_paths(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "services");
	list(f, "/services", "{" NSMETA("d", "web", "1") ",\"spec\":{\"ports\":7}}", NULL);
	expect(f,
	       "!/api/v1/namespaces/d/services/web Service/d/web: spec.ports: must be a list, not a number\n"
	       "synced\n");
}

static void service_cidrs_come_in_two_versions(void **state)
{
	struct fake *f = *state;
	struct kube_watch *w;

	fake_open(f);
	list_others(f, "servicecidrs");
	expect(f, "");
	w = watch_of(f, "/v1/servicecidrs");
	w->o.cb.on_missing(w->o.ctx, true);
	turn(f);
	assert_true(w->freed);
	assert_null(watch_of(f, "/v1/servicecidrs"));
	list(f, "/v1beta1/servicecidrs", "{" META("k", "1") ",\"spec\":{\"cidrs\":[\"10.96.0.0/16\"]}}",
	     NULL);
	expect(f, "+ServiceCIDR/k\nsynced\n");
}

static void a_server_without_service_cidrs_has_none(void **state)
{
	struct fake *f = *state;
	struct kube_watch *w;

	fake_open(f);
	list_others(f, "servicecidrs");
	w = watch_of(f, "/v1/servicecidrs");
	w->o.cb.on_missing(w->o.ctx, true);
	turn(f);
	expect(f, "");
	w = watch_of(f, "/v1beta1/servicecidrs");
	w->o.cb.on_missing(w->o.ctx, true);
	turn(f);
	expect(f, "synced\n");
	assert_false(w->freed); /* looked for again in minutes */
}

/* A CRD that is not there is not an empty collection. */
static void missing_crds_are_waited_for(void **state)
{
	struct fake *f = *state;
	struct kube_watch *w;

	fake_open(f);
	list_others(f, "ippools");
	w = watch_of(f, "/ippools");
	w->o.cb.on_missing(w->o.ctx, true);
	turn(f);
	expect(f, "");
	list(f, "/ippools", NULL);
	expect(f, "synced\n");
}

#define LB_POOL(version, more) \
	"{" META("lb", version) ",\"spec\":{\"use\":\"LoadBalancer\",\"cidr\":\"10.9.0.0/24\"" more "}}"
#define BY_NAMESPACE ",\"namespaceSelector\":{\"matchLabels\":{\"a\":\"b\"}}"

static void namespaces_are_followed_while_a_pool_needs_them(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "ippools");
	begin(f, "/ippools");
	assert_null(watch_of(f, "/namespaces"));
	say(f, "/ippools", false, LB_POOL("1", BY_NAMESPACE));
	assert_non_null(watch_of(f, "/namespaces"));
	complete(f, "/ippools");
	expect(f, "+IPPool/lb\n");
	list(f, "/namespaces", "{" META("x", "2") "}", NULL);
	expect(f, "+Namespace/x\nsynced\n");
	say(f, "/ippools", false, LB_POOL("3", ""));
	assert_null(watch_of(f, "/namespaces"));
	expect(f, "-Namespace/x\n+IPPool/lb\n");
	say(f, "/ippools", false, LB_POOL("4", BY_NAMESPACE));
	list(f, "/namespaces", "{" META("x", "2") "}", NULL);
	expect(f, "+IPPool/lb\n+Namespace/x\n");
	say(f, "/ippools", true, LB_POOL("5", BY_NAMESPACE));
	expect(f, "-IPPool/lb\n-Namespace/x\n");
	assert_null(watch_of(f, "/namespaces"));
}

static void only_a_controller_needs_namespaces(void **state)
{
	struct fake *f = *state;

	f->o.controller = false;
	fake_open(f);
	list_others(f, "ippools");
	list(f, "/ippools", LB_POOL("1", BY_NAMESPACE), NULL);
	expect(f, "+IPPool/lb\nsynced\n");
	assert_null(watch_of(f, "/namespaces"));
}

/* What a BGPAdvertisement chooses is each node's business. */
static void every_agent_needs_the_namespaces_of_advertisements(void **state)
{
	struct fake *f = *state;

	f->o.controller = false;
	fake_open(f);
	list_others(f, "bgpadvertisements");
	list(f, "/bgpadvertisements",
	     "{" META("gold", "1") ",\"spec\":{\"types\":[\"LoadBalancerIP\"]" BY_NAMESPACE "}}", NULL);
	assert_non_null(watch_of(f, "/namespaces"));
	expect(f, "+BGPAdvertisement/gold\n");
	list(f, "/namespaces", "{" META("x", "2") "}", NULL);
	expect(f, "+Namespace/x\nsynced\n");
	say(f, "/bgpadvertisements", false,
	    "{" META("gold", "3") ",\"spec\":{\"types\":[\"LoadBalancerIP\"]}}");
	assert_null(watch_of(f, "/namespaces"));
	expect(f, "-Namespace/x\n+BGPAdvertisement/gold\n");
}

static void secrets_are_where_the_agent_looks(void **state)
{
	struct fake *f = *state;

	f->o.namespace = "weft";
	fake_open(f);
	list_others(f, "secrets");
	list(f, "/api/v1/namespaces/weft/secrets",
	     "{" NSMETA("weft", "weft-bgp", "1") ",\"data\":{\"a\":\"c2VjcmV0\"}}", NULL);
	expect(f, "+Secret/kube-system/weft-bgp\nsynced\n");
	say(f, "/secrets", true, "{" NSMETA("weft", "weft-bgp", "1") "}");
	expect(f, "-Secret/kube-system/weft-bgp\n");
}

#define CONDITION(type, status, reason, message)                                                            \
	"{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"" reason "\",\"message\":\"" message \
	"\"}"

static void statuses_of_ours_are_known_to_a_controller(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	expect(f, "+Service/d/web\nsynced\n");
	say(f, "/services", false,
	    SERVICE("web", "2", "{\"conditions\":[" CONDITION("other.io/X", "True", "A", "") "]}"));
	expect(f, "");
	say(f, "/services", false,
	    SERVICE("web", "3", "{\"conditions\":[" CONDITION("weft.dev/Served", "False", "A", "") "]}"));
	expect(f, "+ServiceStatus/d/web\n");
	say(f, "/services", true, SERVICE("web", "4", "{}"));
	expect(f, "-ServiceStatus/d/web\n-Service/d/web\n");
}

/* --- outages --- */

static void one_answer_after_an_outage_wakes_the_others(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "-");
	expect(f, "synced\n");
	snprintf(f->health.error, sizeof(f->health.error), "connection refused");
	trouble(f, "/nodes", "connection refused");
	trouble(f, "/services", "connection refused");
	assert_int_equal(watch_of(f, "/services")->nudges, 0);
	expect(f, "");
	f->health.error[0] = '\0';
	list(f, "/nodes", NULL);
	assert_int_equal(watch_of(f, "/nodes")->nudges, 0);
	assert_int_equal(watch_of(f, "/services")->nudges, 1);
	list(f, "/services", NULL);
	assert_int_equal(watch_of(f, "/services")->nudges, 1);
	assert_int_equal(watch_of(f, "/nodes")->nudges, 0);
}

static void the_last_known_state_is_told_when_nobody_answers(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes services secrets");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NODE("b", "2", "10.0.0.2"), NULL);
	list(f, "/services", SERVICE("web", "3", "{}"), NULL);
	list(f, "/secrets", "{" NSMETA("kube-system", "weft-bgp", "1") ",\"data\":{\"a\":\"c2VjcmV0\"}}",
	     NULL);
	f->o.patience_ms = 1;
	fake_again(f);
	expect(f, "+Node/a\n+Node/b\n+Service/d/web\n+Secret/kube-system/weft-bgp\nsynced\n");
	/* The API server is back: only differences, also of what went while nobody looked. */
	list(f, "/services", SERVICE("web", "3", "{}"), NULL);
	list(f, "/nodes", NODE("b", "2", "10.0.0.2"), NODE("c", "7", "10.0.0.3"), NULL);
	expect(f, "+Node/c\n-Node/a\n");
	list_others(f, "nodes services");
	expect(f, "-Secret/kube-system/weft-bgp\n");
	fake_again(f);
	expect(f, "+Node/b\n+Service/d/web\n+Node/c\nsynced\n"); /* as they were written */
}

/* What was told already is told from the server, the rest from the disk. */
static void a_server_that_answers_in_part(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes services");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NULL);
	list(f, "/services", SERVICE("web", "3", "{}"), NULL);
	fake_close(f);
	f->o.patience_ms = 30;
	fake_open(f);
	list(f, "/nodes", NODE("b", "2", "10.0.0.2"), NULL);
	expect(f, "+Node/b\n");
	for (int i = 0; i < 20; i++)
		turn(f);
	expect(f, "+Service/d/web\nsynced\n");
}

/* What went while we were away is noticed also when the listing was half there. */
static void patience_ends_in_a_listing(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NODE("b", "2", "10.0.0.2"), NULL);
	fake_close(f);
	f->o.patience_ms = 30;
	fake_open(f);
	begin(f, "/nodes");
	say(f, "/nodes", false, NODE("b", "2", "10.0.0.2"));
	for (int i = 0; i < 20; i++)
		turn(f);
	expect(f, "+Node/b\n+Node/a\nsynced\n");
	complete(f, "/nodes");
	expect(f, "-Node/a\n");
}

static void without_a_last_known_state_it_waits(void **state)
{
	struct fake *f = *state;

	f->o.patience_ms = 1;
	fake_open(f);
	expect(f, "");
	list_others(f, "secrets servicecidrs");
	expect(f, "synced\n"); /* these it can do without */
}

static void what_went_while_we_were_away_leaves_the_disk(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NODE("b", "2", "10.0.0.2"), NULL);
	fake_again(f);
	list_others(f, "nodes");
	list(f, "/nodes", NODE("b", "2", "10.0.0.2"), NULL);
	expect(f, "+Node/b\nsynced\n");
	f->o.patience_ms = 1;
	fake_again(f);
	expect(f, "+Node/b\nsynced\n");
}

/* Neither what this process has just written down, nor what one before it did until it died. */
static void half_a_state_is_none(void **state)
{
	struct fake *f = *state;

	f->o.patience_ms = 20;
	fake_open(f);
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NULL);
	for (int i = 0; i < 10; i++)
		turn(f);
	expect(f, "+Node/a\n");
	f->o.patience_ms = 1;
	fake_again(f);
	expect(f, "");
	list_others(f, "nodes");
	expect(f, "");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NULL);
	expect(f, "+Node/a\nsynced\n");
	fake_again(f);
	expect(f, "+Node/a\nsynced\n");
}

/* A Secret that may not be read holds nothing up, and keeps nothing alive. */
static void one_collection_that_is_never_complete(void **state)
{
	struct fake *f = *state;

	fake_open(f);
	list_others(f, "nodes");
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NODE("b", "2", "10.0.0.2"), NULL);
	f->o.patience_ms = 30;
	fake_again(f);
	list_others(f, "nodes secrets");
	list(f, "/nodes", NODE("b", "2", "10.0.0.2"), NULL);
	for (int i = 0; i < 20; i++)
		turn(f);
	expect(f, "+Node/b\nsynced\n");
	f->o.patience_ms = 1;
	fake_again(f);
	expect(f, "+Node/b\nsynced\n");
}

static void what_it_tells_of_itself(void **state)
{
	struct fake *f = *state;
	cJSON *json;

	fake_open(f);
	list_others(f, "-");
	json = f->source->ops->describe(f->source);
	assert_string_equal(cJSON_GetObjectItem(json, "kind")->valuestring, "kubernetes");
	assert_string_equal(cJSON_GetObjectItem(json, "server")->valuestring, "https://a");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "synced")));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "stale")));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "collections")), 10);
	cJSON_Delete(json);
	f->o.patience_ms = 1;
	list(f, "/nodes", NODE("a", "1", "10.0.0.1"), NULL);
	fake_again(f);
	json = f->source->ops->describe(f->source);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "synced")));
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "stale")));
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        FAKE_TEST(what_is_followed),
	        FAKE_TEST(only_the_own_node_is_followed),
	        FAKE_TEST(without_services_none_is_followed),
	        FAKE_TEST(synced_comes_when_all_is_there),
	        FAKE_TEST(a_relist_tells_only_differences),
	        FAKE_TEST(an_object_that_changes_nothing_is_silent),
	        FAKE_TEST(an_invalid_object_stays_as_it_was),
	        FAKE_TEST(reports_name_namespaced_paths),
	        FAKE_TEST(service_cidrs_come_in_two_versions),
	        FAKE_TEST(a_server_without_service_cidrs_has_none),
	        FAKE_TEST(missing_crds_are_waited_for),
	        FAKE_TEST(namespaces_are_followed_while_a_pool_needs_them),
	        FAKE_TEST(only_a_controller_needs_namespaces),
	        FAKE_TEST(every_agent_needs_the_namespaces_of_advertisements),
	        FAKE_TEST(secrets_are_where_the_agent_looks),
	        FAKE_TEST(statuses_of_ours_are_known_to_a_controller),
	        FAKE_TEST(one_answer_after_an_outage_wakes_the_others),
	        FAKE_TEST(the_last_known_state_is_told_when_nobody_answers),
	        FAKE_TEST(a_server_that_answers_in_part),
	        FAKE_TEST(patience_ends_in_a_listing),
	        FAKE_TEST(without_a_last_known_state_it_waits),
	        FAKE_TEST(what_went_while_we_were_away_leaves_the_disk),
	        FAKE_TEST(half_a_state_is_none),
	        FAKE_TEST(one_collection_that_is_never_complete),
	        FAKE_TEST(what_it_tells_of_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
