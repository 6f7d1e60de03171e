// SPDX-License-Identifier: GPL-2.0-or-later
/* The Kubernetes source: claims and releases, the Node's condition; request by request. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/fake_kube.h"
#include "weft/log.h"

#define BLOCKS  "/apis/weft.dev/v1alpha1/ipblocks"
#define BLOCK_0 BLOCKS "/10.0.0.0-26"
#define OURS    BLOCK("10.0.0.0-26", "7", "10.0.0.0/26", "n1")
#define THEIRS  BLOCK("10.0.0.0-26", "7", "10.0.0.0/26", "n2")

static void claim(struct fake *f, struct outcome *o, const char *cidr)
{
	struct weft_prefix p;

	*o = (struct outcome){.times = 0};
	assert_int_equal(weft_prefix_parse(cidr, &p, NULL), 0);
	f->source->ops->claim_block(f->source, &p, "n1", "p", on_outcome, o);
	assert_int_equal(o->times, 0);
}

static void release(struct fake *f, struct outcome *o, const char *cidr)
{
	struct weft_prefix p;

	*o = (struct outcome){.times = 0};
	assert_int_equal(weft_prefix_parse(cidr, &p, NULL), 0);
	f->source->ops->release_block(f->source, &p, "n1", on_outcome, o);
	assert_int_equal(o->times, 0);
}

/* --- claims --- */

static void a_claim_is_a_post(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "-");
	claim(f, &o, "10.0.0.0/26");
	c = asked(f, "POST " BLOCKS);
	assert_string_equal(
	        c->body, "{\"apiVersion\":\"weft.dev/v1alpha1\",\"kind\":\"IPBlock\",\"metadata\":{\"name\":"
	                 "\"10.0.0.0-26\"},\"spec\":{\"cidr\":\"10.0.0.0/26\",\"node\":\"n1\",\"pool\":"
	                 "\"p\"}}");
	answer_one(c, KUBE_OK, OURS);
	expect(f, "+IPBlock/10.0.0.0-26\n"); /* before done is called: whoever claimed looks for it */
	expect_outcome(&o, 0);
	say(f, "/ipblocks", false, OURS);
	expect(f, "");
	asked(f, "");
}

static void of_two_claims_one_fails(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "-");
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_ALREADY_EXISTS, "");
	answer(f, "GET " BLOCK_0, KUBE_OK, THEIRS);
	expect_outcome(&o, -EEXIST);
	assert_string_equal(o.text, "the block 10.0.0.0/26 belongs to node n2");
	expect(f, "+IPBlock/10.0.0.0-26\n");
}

static void a_lost_answer_is_no_lost_block(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "-");
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_NO_ANSWER, "");
	answer(f, "POST " BLOCKS, KUBE_ALREADY_EXISTS, "");
	answer(f, "GET " BLOCK_0, KUBE_OK, OURS);
	expect_outcome(&o, 0);
	expect(f, "+IPBlock/10.0.0.0-26\n");
}

static void claims_that_fail(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "-");
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_FORBIDDEN, "");
	expect_outcome(&o, -EACCES);
	assert_non_null(strstr(o.text, "the server said so"));
	claim(f, &o, "10.0.0.0/26");
	for (int i = 0; i < 4; i++)
		answer(f, "POST " BLOCKS, KUBE_SERVER_ERROR, "");
	expect_outcome(&o, -EIO);
	/* Deleted between the two requests: once more. */
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_ALREADY_EXISTS, "");
	answer(f, "GET " BLOCK_0, KUBE_NOT_FOUND, "");
	answer(f, "POST " BLOCKS, KUBE_OK, OURS);
	expect_outcome(&o, 0);
}

static void unreadable_blocks_are_nobodys(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "-");
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_ALREADY_EXISTS, "");
	answer(f, "GET " BLOCK_0, KUBE_OK, "{" META("10.0.0.0-26", "7") ",\"spec\":{}}");
	expect_outcome(&o, -EEXIST);
	assert_ptr_equal(strstr(weft_buf_text(&f->log), "!" BLOCK_0), weft_buf_text(&f->log));
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_ALREADY_EXISTS, "");
	answer(f, "GET " BLOCK_0, KUBE_OK, "nonsense");
	expect_outcome(&o, -EEXIST);
	f->source->ops->claim_block(f->source, &(struct weft_prefix){.addr.family = AF_INET}, "../x", "p",
	                            on_outcome, &o);
	asked(f, "");
	assert_int_equal(o.code, -EINVAL);
}

/* The watch was faster, and has told of the block's end as well: then it has ended. */
static void an_answer_that_is_overtaken(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "-");
	claim(f, &o, "10.0.0.0/26");
	c = asked(f, "POST " BLOCKS);
	say(f, "/ipblocks", false, OURS);
	say(f, "/ipblocks", true, OURS);
	expect(f, "+IPBlock/10.0.0.0-26\n-IPBlock/10.0.0.0-26\n");
	answer_one(c, KUBE_OK, OURS);
	expect(f, "");
	expect_outcome(&o, 0);
}

/* A listing that began before the claim lacks the block. */
static void a_listing_under_way_takes_no_claim_away(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "-");
	begin(f, "/ipblocks");
	claim(f, &o, "10.0.0.0/26");
	answer(f, "POST " BLOCKS, KUBE_OK, OURS);
	complete(f, "/ipblocks");
	expect(f, "+IPBlock/10.0.0.0-26\n");
}

static void a_release_is_a_conditional_delete(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "ipblocks");
	list(f, "/ipblocks", OURS, NULL);
	expect(f, "+IPBlock/10.0.0.0-26\nsynced\n");
	release(f, &o, "10.0.0.0/26");
	answer(f, "GET " BLOCK_0, KUBE_OK, OURS);
	c = asked(f, "DELETE " BLOCK_0);
	assert_string_equal(c->body,
	                    "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":"
	                    "\"00000000-0000-4000-8000-00000000000a\",\"resourceVersion\":\"7\"}}");
	answer_one(c, KUBE_OK, "{\"kind\":\"Status\",\"status\":\"Success\"}");
	expect(f, "-IPBlock/10.0.0.0-26\n");
	expect_outcome(&o, 0);
	say(f, "/ipblocks", true, OURS);
	expect(f, "");
}

static void releases_of_what_is_not_ours(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "ipblocks");
	list(f, "/ipblocks", OURS, NULL);
	expect(f, "+IPBlock/10.0.0.0-26\nsynced\n");
	release(f, &o, "10.0.0.0/26");
	answer(f, "GET " BLOCK_0, KUBE_OK, THEIRS);
	expect_outcome(&o, -EPERM);
	/* Changed between the two requests. */
	release(f, &o, "10.0.0.0/26");
	answer(f, "GET " BLOCK_0, KUBE_OK, OURS);
	answer(f, "DELETE " BLOCK_0, KUBE_CONFLICT, "");
	answer(f, "GET " BLOCK_0, KUBE_OK, THEIRS);
	expect_outcome(&o, -EPERM);
	expect(f, "");
	/* A finalizer keeps it. */
	release(f, &o, "10.0.0.0/26");
	answer(f, "GET " BLOCK_0, KUBE_OK, OURS);
	answer(f, "DELETE " BLOCK_0, KUBE_OK, OURS);
	expect_outcome(&o, 0);
	expect(f, "");
	/* Gone already. */
	release(f, &o, "10.0.0.0/26");
	answer(f, "GET " BLOCK_0, KUBE_NOT_FOUND, "");
	expect_outcome(&o, 0);
	expect(f, "-IPBlock/10.0.0.0-26\n");
}

/* --- the Node's condition --- */

#define NODE_STATUS "/api/v1/nodes/n1/status"
#define NODE_WITH(version, condition)                                                                        \
	"{" META("n1",                                                                                       \
	         version) ",\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}]," \
	                  "\"conditions\":[" FOREIGN condition "]}}"
#define UNAVAILABLE(status, reason, message)                                               \
	",{\"type\":\"NetworkUnavailable\",\"status\":\"" status "\",\"reason\":\"" reason \
	"\",\"message\":\"" message "\",\"lastTransitionTime\":\"" THEN "\"}"

static void the_node_gets_its_condition(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	cJSON *json, *condition;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", ""), NULL);
	asked(f, "");
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "it works");
	c = asked(f, "PATCH " NODE_STATUS);
	assert_string_equal(c->type, "application/strategic-merge-patch+json");
	json = cJSON_Parse(c->body);
	condition = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "status"), "conditions");
	assert_int_equal(cJSON_GetArraySize(condition), 1);
	condition = condition->child;
	assert_string_equal(cJSON_GetObjectItem(condition, "type")->valuestring, "NetworkUnavailable");
	assert_string_equal(cJSON_GetObjectItem(condition, "status")->valuestring, "False");
	assert_string_equal(cJSON_GetObjectItem(condition, "reason")->valuestring, "WeftIsReady");
	assert_string_equal(cJSON_GetObjectItem(condition, "message")->valuestring, "it works");
	assert_string_equal(cJSON_GetObjectItem(condition, "lastTransitionTime")->valuestring,
	                    cJSON_GetObjectItem(condition, "lastHeartbeatTime")->valuestring);
	cJSON_Delete(json);
	answer_one(c, KUBE_THROTTLED, "");
	answer(f, "PATCH " NODE_STATUS, KUBE_OK, "{}");
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "it works");
	say(f, "/nodes", false, NODE_WITH("2", UNAVAILABLE("False", "WeftIsReady", "it works")));
	asked(f, "");
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, true, "WeftIsBroken",
	                               "it does not");
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "\"True\""));
}

static void a_condition_that_is_there_is_not_written(void **state)
{
	struct fake *f = *state;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", UNAVAILABLE("False", "WeftIsReady", "it works")), NULL);
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "it works");
	asked(f, "");
}

static void another_text_keeps_the_time_of_transition(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", UNAVAILABLE("False", "RouteCreated", "")), NULL);
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "it works");
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "\"lastTransitionTime\":\"" THEN "\""));
}

static void what_changes_while_it_is_written_is_written_again(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", ""), NULL);
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "it works");
	c = asked(f, "PATCH " NODE_STATUS);
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, true, "WeftIsBroken",
	                               "it does not");
	answer_one(c, KUBE_OK, "{}");
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "WeftIsBroken"));
	answer_one(c, KUBE_OK, "{}");
	asked(f, "");
}

#define DRAINING(status, reason, message)                                                 \
	",{\"type\":\"weft.dev/Draining\",\"status\":\"" status "\",\"reason\":\"" reason \
	"\",\"message\":\"" message "\",\"lastTransitionTime\":\"" THEN "\"}"

static void say_drained(struct fake *f, bool drained)
{
	f->source->ops->node_condition(f->source, WEFT_NODE_DRAINING, drained,
	                               drained ? "Drained" : "NotDrained", drained ? "cordoned" : "");
}

/* Beside the other condition, each in a request of its own. */
static void a_drain_is_said_in_the_nodes_status(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", UNAVAILABLE("False", "WeftIsReady", "it works")), NULL);
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
	                               "it works");
	say_drained(f, false); /* as good as absent */
	asked(f, "");
	say_drained(f, true);
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "\"type\":\"weft.dev/Draining\",\"status\":\"True\",\"reason\":"
	                                "\"Drained\",\"message\":\"cordoned\""));
	assert_null(strstr(c->body, "NetworkUnavailable"));
	answer_one(c, KUBE_OK, "{}");
	say_drained(f, false);
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "\"type\":\"weft.dev/Draining\",\"status\":\"False\""));
	answer_one(c, KUBE_OK, "{}");
	asked(f, "");
}

static void what_a_former_run_said_of_a_drain_is_taken_back(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", DRAINING("True", "Drained", "weftd is being stopped")), NULL);
	say_drained(f, false);
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "\"status\":\"False\",\"reason\":\"NotDrained\""));
}

/* Over before its beginning was written: the end must be written, too. */
static void a_drain_that_ends_while_it_is_written(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", ""), NULL);
	say_drained(f, true);
	c = asked(f, "PATCH " NODE_STATUS);
	say_drained(f, false);
	answer_one(c, KUBE_OK, "{}");
	c = asked(f, "PATCH " NODE_STATUS);
	assert_non_null(strstr(c->body, "\"status\":\"False\""));
}

/* What is logged meanwhile goes to a file. */
struct warnings {
	int file, stderr_was;
};

static void warnings_begin(struct warnings *w)
{
	w->file = memfd_create("warnings", MFD_CLOEXEC);
	w->stderr_was = dup(STDERR_FILENO);
	assert_true(w->file >= 0 && w->stderr_was >= 0 && dup2(w->file, STDERR_FILENO) >= 0);
	weft_log_init(WEFT_LOG_WARNING);
}

/* Exactly one line, with this text. */
static void warnings_end(struct warnings *w, const char *text)
{
	char got[2048] = "";

	weft_log_init(WEFT_LOG_ERROR);
	assert_true(dup2(w->stderr_was, STDERR_FILENO) >= 0);
	assert_true(pread(w->file, got, sizeof(got) - 1, 0) > 0);
	assert_non_null(strstr(got, text));
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
	close(w->file);
	close(w->stderr_was);
}

/* Forbidden, in conflict, not answered: told once, and tried again. The drain itself asks nobody. */
static void a_drain_that_is_not_written_is_told_and_tried_again(void **state)
{
	static const enum kube_result results[] = {KUBE_FORBIDDEN, KUBE_CONFLICT, KUBE_NO_ANSWER};
	struct fake *f = *state;
	struct warnings w;

	open_synced(f, "nodes");
	list(f, "/nodes", NODE_WITH("1", ""), NULL);
	warnings_begin(&w);
	say_drained(f, true);
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
		answer(f, "PATCH " NODE_STATUS, results[i], "");
	answer(f, "PATCH " NODE_STATUS, KUBE_OK, "{}");
	warnings_end(&w, "the Node's condition weft.dev/Draining is not written: ");
	asked(f, "");
}

static void a_source_that_ends_answers_nobody(void **state)
{
	struct fake *f = *state;
	struct outcome block, status;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	claim(f, &block, "10.0.0.0/26");
	say(f, "/services", false,
	    SERVICE("web", "2", "{\"conditions\":[" COND("weft.dev/Served", "False", "A") "]}"));
	status = (struct outcome){.times = 0};
	f->source->ops->put_status(f->source, WEFT_SERVICE, "d/web", NULL, on_outcome, &status);
	f->source->ops->node_condition(f->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "R", "m");
	asked(f, "POST " BLOCKS "; GET /api/v1/namespaces/d/services/web; PATCH " NODE_STATUS);
	fake_close(f);
	assert_int_equal(block.times + status.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        FAKE_TEST(a_claim_is_a_post),
	        FAKE_TEST(of_two_claims_one_fails),
	        FAKE_TEST(a_lost_answer_is_no_lost_block),
	        FAKE_TEST(claims_that_fail),
	        FAKE_TEST(unreadable_blocks_are_nobodys),
	        FAKE_TEST(an_answer_that_is_overtaken),
	        FAKE_TEST(a_listing_under_way_takes_no_claim_away),
	        FAKE_TEST(a_release_is_a_conditional_delete),
	        FAKE_TEST(releases_of_what_is_not_ours),
	        FAKE_TEST(the_node_gets_its_condition),
	        FAKE_TEST(a_condition_that_is_there_is_not_written),
	        FAKE_TEST(another_text_keeps_the_time_of_transition),
	        FAKE_TEST(what_changes_while_it_is_written_is_written_again),
	        FAKE_TEST(a_drain_is_said_in_the_nodes_status),
	        FAKE_TEST(what_a_former_run_said_of_a_drain_is_taken_back),
	        FAKE_TEST(a_drain_that_ends_while_it_is_written),
	        FAKE_TEST(a_drain_that_is_not_written_is_told_and_tried_again),
	        FAKE_TEST(a_source_that_ends_answers_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
