// SPDX-License-Identifier: GPL-2.0-or-later
/* The Kubernetes source as a whole, against the test API server: outages, storms, races, rotation, election.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/apiserver_bed.h"

#define ANYWHERE "127.0.0.1:0"
#define NODE(name, ip)                                                            \
	"{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"" name \
	"\"},\"status\":{\"addresses\":["                                         \
	"{\"type\":\"InternalIP\",\"address\":\"" ip "\"}]}}"
#define POOL(spec)                                                                                                \
	"{\"apiVersion\":\"weft.dev/v1alpha1\",\"kind\":\"IPPool\",\"metadata\":{\"name\":\"p\"},\"spec\":{" spec \
	"}}"
#define BLOCK(name, cidr)                                                                           \
	"{\"apiVersion\":\"weft.dev/v1alpha1\",\"kind\":\"IPBlock\",\"metadata\":{\"name\":\"" name \
	"\"},\"spec\":"                                                                             \
	"{\"cidr\":\"" cidr "\",\"node\":\"x\",\"pool\":\"p\"}}"
#define LEASE(holder)                                                                                               \
	"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"namespace\":" \
	"\"default\"},\"spec\":{\"holderIdentity\":\"" holder "\"}}"
#define SERVICE(status)                                                                                          \
	"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"}," \
	"\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":80}]},\"status\":" status "}"
static struct agent_bed *begin(struct api_bed *b)
{
	struct agent_bed *a = agent(b, 0);

	api_start(&b->api, ANYWHERE, "1.36");
	agent_start(a);
	UNTIL(b, strstr(weft_buf_text(&a->log), "synced\n"));
	weft_buf_truncate(&a->log, 0);
	return a;
}

static void objects_become_events(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);

	change(b, "create", NODE("x", "10.0.0.1"));
	expect(a, "+Node/x\n");
	change(b, "apply", NODE("x", "10.0.0.2"));
	expect(a, "+Node/x\n");
	change(b, "create", POOL("\"cidr\":\"10.1.0.0/16\""));
	change(b, "create", SERVICE("{}"));
	expect(a, "+IPPool/p\n+Service/default/web\n");
	erase(b, "nodes", "x");
	erase(b, "services", "web");
	expect(a, "-Node/x\n-Service/default/web\n");
}

/* All collections are followed, and each of them got a 410 so many times. */
static bool expired(const struct agent_bed *a, int times)
{
	cJSON *json = a->source->ops->describe(a->source);
	const cJSON *c;
	bool all = true;

	cJSON_ArrayForEach (c, cJSON_GetObjectItem(json, "collections"))
		all &= cJSON_IsTrue(cJSON_GetObjectItem(c, "following")) &&
		       cJSON_GetObjectItem(c, "expired")->valuedouble >= times;
	cJSON_Delete(json);
	return all;
}

/* Relists again and again; and nothing to tell. */
static void storms_of_410_are_silent(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);

	change(b, "create", NODE("x", "10.0.0.1"));
	expect(a, "+Node/x\n");
	for (int i = 0; i < 5; i++) {
		UNTIL(b, expired(a, i));
		/* What nobody here follows makes the server's version move on. */
		change(b, "apply", i % 2 ? LEASE("odd") : LEASE("even"));
		tell(b, "expire resourceVersions");
		tell(b, "end watches");
	}
	UNTIL(b, expired(a, 5));
	fence(a, "fence");
}

static void a_restart_of_the_server_is_silent(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);

	change(b, "create", NODE("x", "10.0.0.1"));
	change(b, "create", NODE("y", "10.0.0.2"));
	expect(a, "+Node/x\n+Node/y\n");
	tell(b, "stop abruptly");
	erase(b, "nodes", "y"); /* while nobody can see it */
	tell(b, "start");
	expect(a, "-Node/y\n");
	tell(b, "restart with new history");
	fence(a, "fence");
}

static void the_last_known_state_without_a_server(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);

	cJSON *json;

	change(b, "create", NODE("x", "10.0.0.1"));
	change(b, "create", NODE("y", "10.0.0.2"));
	expect(a, "+Node/x\n+Node/y\n");
	agent_stop(a);
	uv_run(&b->loop, UV_RUN_NOWAIT);
	tell(b, "stop");
	a->o.patience_ms = 300;
	agent_start(a);
	expect(a, "+Node/x\n+Node/y\nsynced\n");
	json = a->source->ops->describe(a->source);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "stale")));
	assert_true(*cJSON_GetObjectItem(json, "error")->valuestring);
	cJSON_Delete(json);
	erase(b, "nodes", "x");
	change(b, "create", NODE("z", "10.0.0.3"));
	tell(b, "start");
	expect(a, "-Node/x\n+Node/z\n");
}

/* 1.26 has no WatchList and no ServiceCIDRs. */
static void an_old_server(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = agent(b, 0);

	api_start(&b->api, ANYWHERE, "1.26");
	agent_start(a);
	expect(a, "synced\n");
	fence(a, "fence");
}

/* --- writes --- */

static void claim(struct agent_bed *a, struct outcome *o)
{
	struct weft_prefix p;

	*o = (struct outcome){.times = 0};
	assert_int_equal(weft_prefix_parse("10.1.0.0/26", &p, NULL), 0);
	a->source->ops->claim_block(a->source, &p, a->name, "p", on_outcome, o);
}

static void release(struct agent_bed *a, struct outcome *o)
{
	struct weft_prefix p;

	*o = (struct outcome){.times = 0};
	assert_int_equal(weft_prefix_parse("10.1.0.0/26", &p, NULL), 0);
	a->source->ops->release_block(a->source, &p, a->name, on_outcome, o);
	UNTIL(a->bed, o->times);
	assert_int_equal(o->code, 0);
}

static void of_two_claims_one_wins(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *one = begin(b), *two = agent(b, 1);
	struct outcome first, second;

	agent_start(two);
	UNTIL(b, strstr(weft_buf_text(&two->log), "synced\n"));
	weft_buf_truncate(&two->log, 0);
	for (int i = 0; i < 10; i++) {
		struct agent_bed *winner;

		claim(one, &first);
		claim(two, &second);
		UNTIL(b, first.times && second.times);
		assert_true((first.code == 0) != (second.code == 0));
		assert_int_equal(first.code + second.code, -EEXIST);
		expect(one, "+IPBlock/10.1.0.0-26\n");
		expect(two, "+IPBlock/10.1.0.0-26\n");
		winner = first.code ? two : one;
		release(winner, &first);
		expect(one, "-IPBlock/10.1.0.0-26\n");
		expect(two, "-IPBlock/10.1.0.0-26\n");
	}
}

/* What answers said already, in the order it happened, is not undone by a watch that is behind them. */
static void a_watch_behind_the_answers(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);
	struct outcome o;

	tell(b, "lag ipblocks by 300 ms");
	for (int i = 0; i < 2; i++) {
		claim(a, &o);
		UNTIL(b, o.times);
		assert_int_equal(o.code, 0);
		release(a, &o);
	}
	claim(a, &o);
	UNTIL(b, o.times);
	change(b, "create", BLOCK("10.1.0.64-26", "10.1.0.64/26"));
	UNTIL(b, strstr(weft_buf_text(&a->log), "64-26"));
	assert_string_equal(weft_buf_text(&a->log), "+IPBlock/10.1.0.0-26\n-IPBlock/10.1.0.0-26\n"
	                                            "+IPBlock/10.1.0.0-26\n-IPBlock/10.1.0.0-26\n"
	                                            "+IPBlock/10.1.0.0-26\n+IPBlock/10.1.0.64-26\n");
	weft_buf_truncate(&a->log, 0);
	erase(b, "ipblocks", "10.1.0.0-26");
	expect(a, "-IPBlock/10.1.0.0-26\n");
}

static void an_answer_that_is_lost(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);
	struct outcome o;

	tell(b, "cut create ipblocks after 0 bytes abruptly once");
	claim(a, &o);
	UNTIL(b, o.times);
	assert_int_equal(o.code, 0);
	expect(a, "+IPBlock/10.1.0.0-26\n");
	fence(a, "fence");
}

static void a_status_beside_others(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);
	cJSON *status = cJSON_Parse(
	              "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.7\"}]},\"conditions\":[{\"type\":"
	              "\"weft.dev/LoadBalancer\",\"status\":\"True\",\"reason\":\"Assigned\",\"message\":"
	              "\"192.0.2.7 from IPPool front\"}]}"),
	      *answer;
	const cJSON *got, *conditions;
	struct outcome o = {.times = 0};

	change(b, "apply",
	       SERVICE("{\"conditions\":[{\"type\":\"other.io/X\",\"status\":\"True\",\"reason\":\"R\",\"message\":\"\","
	               "\"lastTransitionTime\":\"2020-01-01T00:00:00Z\"}]}"));
	expect(a, "+Service/default/web\n");
	a->source->ops->put_status(a->source, WEFT_SERVICE, "default/web", status, on_outcome, &o);
	UNTIL(b, o.times);
	assert_string_equal(o.text, "");
	expect(a, "+Service/default/web\n+ServiceStatus/default/web\n");
	got = cJSON_GetObjectItem(fetch(b, "services", "web", &answer), "status");
	conditions = cJSON_GetObjectItem(got, "conditions");
	assert_int_equal(cJSON_GetArraySize(conditions), 2);
	assert_string_equal(cJSON_GetObjectItem(conditions->child, "type")->valuestring, "other.io/X");
	cJSON_Delete(answer);
	/* Taken back: what others wrote stays. */
	o.times = 0;
	a->source->ops->put_status(a->source, WEFT_SERVICE, "default/web", NULL, on_outcome, &o);
	UNTIL(b, o.times);
	expect(a, "+Service/default/web\n-ServiceStatus/default/web\n");
	got = cJSON_GetObjectItem(fetch(b, "services", "web", &answer), "status");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(got, "conditions")), 1);
	assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(got, "loadBalancer"), "ingress"));
	cJSON_Delete(answer);
	cJSON_Delete(status);
}

/* The condition NetworkUnavailable of n1, NULL if it has none. */
static char *condition_of(struct api_bed *b)
{
	cJSON *answer;
	const cJSON *node = fetch(b, "nodes", "n1", &answer), *c;
	char *text = NULL;

	cJSON_ArrayForEach (c, cJSON_GetObjectItem(cJSON_GetObjectItem(node, "status"), "conditions"))
		if (!strcmp(cJSON_GetObjectItem(c, "type")->valuestring, "NetworkUnavailable"))
			text = strdup(cJSON_GetObjectItem(c, "status")->valuestring);
	cJSON_Delete(answer);
	return text;
}

static bool condition_is(struct api_bed *b, const char *want)
{
	weft_autofree char *got = condition_of(b);

	return got && !strcmp(got, want);
}

static void the_condition_of_the_node(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = begin(b);
	struct weft_err err = WEFT_ERR_INIT;

	change(b, "create", NODE("n1", "10.0.0.1"));
	expect(a, "+Node/n1\n");
	assert_null(condition_of(b));
	a->source->ops->node_condition(a->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "weft routes the pods of this node");
	UNTIL(b, condition_is(b, "False"));
	agent_stop(a);
	assert_int_equal(kubernetes_leave(&a->o, 20000, &err), 0);
	assert_true(condition_is(b, "True"));
	/* No Node, nobody to tell; no server, an error in time. */
	erase(b, "nodes", "n1");
	assert_int_equal(kubernetes_leave(&a->o, 20000, &err), 0);
	tell(b, "stop");
	assert_true(kubernetes_leave(&a->o, 300, &err) < 0);
	assert_true(*err.text);
}

/* --- credentials, election --- */

static void write_file(struct api_bed *b, const char *name, const char *text, char path[160])
{
	snprintf(path, 160, "%s/%s", b->api.dir, name);
	assert_int_equal(weft_file_replace(path, text, strlen(text), 0600, NULL), 0);
}

/* What the collection of Nodes suffers from, "" = nothing. */
static const char *trouble_of_nodes(struct agent_bed *a)
{
	static char text[WEFT_ERR_TEXT];
	cJSON *json = a->source->ops->describe(a->source);
	const cJSON *nodes = cJSON_GetObjectItem(json, "collections")->child;

	snprintf(text, sizeof(text), "%s", cJSON_GetObjectItem(nodes, "trouble")->valuestring);
	cJSON_Delete(json);
	return text;
}

static void tokens_rotate(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *a = agent(b, 0);
	weft_auto(weft_buf_free) struct weft_buf config = {0};
	char token[160], kubeconfig[160];

	api_start(&b->api, ANYWHERE, "1.36");
	tell(b, "add token first of agent-one");
	write_file(b, "agent.token", "first", token);
	weft_buf_printf(
	        &config,
	        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: \"%s\", "
	        "certificate-authority: %s/tls/ca.crt}}]\nusers: [{name: u, user: {tokenFile: %s}}]\n"
	        "contexts: [{name: c, context: {cluster: k, user: u}}]\n",
	        b->api.url, b->api.dir, token);
	write_file(b, "agent.kubeconfig", weft_buf_text(&config), kubeconfig);
	agent_load(a, kubeconfig);
	agent_start(a);
	expect(a, "synced\n");
	tell(b, "add token second of agent-one");
	write_file(b, "agent.token", "second", token);
	tell(b, "revoke token first");
	tell(b, "end watches");
	fence(a, "fence");
	/* Revoked before the new one is there: it comes late, and is taken. */
	tell(b, "revoke token second");
	tell(b, "end watches");
	tell(b, "close connections");
	UNTIL(b, *trouble_of_nodes(a));
	tell(b, "add token third of agent-one");
	write_file(b, "agent.token", "third", token);
	fence(a, "fence2");
}

static void of_two_controllers_one_leads(void **state)
{
	struct api_bed *b = *state;
	struct agent_bed *one = begin(b), *two = agent(b, 1);

	agent_start(two);
	UNTIL(b, strstr(weft_buf_text(&two->log), "synced\n"));
	assert_int_equal(one->source->ops->stand(one->source, "controller", one->name, on_lead, one, NULL),
	                 0);
	UNTIL(b, one->leading);
	assert_int_equal(two->source->ops->stand(two->source, "controller", two->name, on_lead, two, NULL),
	                 0);
	fence(one, "fence");
	assert_false(two->leading);
	/* Given back, not waited for until its end. */
	agent_stop(one);
	UNTIL(b, two->leading);
	assert_int_equal(two->changes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        API_TEST(objects_become_events),
	        API_TEST(storms_of_410_are_silent),
	        API_TEST(a_restart_of_the_server_is_silent),
	        API_TEST(the_last_known_state_without_a_server),
	        API_TEST(an_old_server),
	        API_TEST(of_two_claims_one_wins),
	        API_TEST(a_watch_behind_the_answers),
	        API_TEST(an_answer_that_is_lost),
	        API_TEST(a_status_beside_others),
	        API_TEST(the_condition_of_the_node),
	        API_TEST(tokens_rotate),
	        API_TEST(of_two_controllers_one_leads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
