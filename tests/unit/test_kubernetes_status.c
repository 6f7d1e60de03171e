// SPDX-License-Identifier: GPL-2.0-or-later
/* The Kubernetes source: statuses, who may write them, Events; request by request. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/fake_kube.h"

/* --- statuses --- */

#define WEB "/api/v1/namespaces/d/services/web"
#define WANTED                                                                           \
	"{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.9.0.1\"}]},\"conditions\":[" COND( \
	        "weft.dev/LoadBalancer", "True", "Assigned") "]}"

static void put(struct fake *f, struct outcome *o, enum weft_kind kind, const char *key, const char *status)
{
	cJSON *json = status ? cJSON_Parse(status) : NULL;

	*o = (struct outcome){.times = 0};
	assert_true(!status || json);
	f->source->ops->put_status(f->source, kind, key, json, on_outcome, o);
	cJSON_Delete(json);
}

/* The patch that comes after reading this; its times of now are "NOW". */
static struct kube_call *patch_of(struct fake *f, const char *object, const char *want)
{
	struct kube_call *c;
	char *at;

	answer(f, "GET " WEB, KUBE_OK, object);
	c = asked(f, "PATCH " WEB "/status");
	assert_string_equal(c->type, "application/merge-patch+json");
	for (at = c->body; (at = strstr(at, "Time\":\"20")); at += 7) {
		if (!strncmp(at + 7, THEN, strlen(THEN)))
			continue;
		memmove(at + 7 + 3, at + 7 + strlen(THEN), strlen(at + 7 + strlen(THEN)) + 1);
		memcpy(at + 7, "NOW", 3);
	}
	assert_string_equal(c->body, want);
	return c;
}

static void a_status_is_merged_with_what_others_wrote(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	c = patch_of(
	        f, SERVICE("web", "2", "{\"conditions\":[" FOREIGN "]}"),
	        "{\"metadata\":{\"resourceVersion\":\"2\"},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":"
	        "\"10.9.0.1\"}]},\"conditions\":[" FOREIGN
	        "," COND_AT("weft.dev/LoadBalancer", "True", "Assigned", "NOW") "]}}");
	assert_int_equal(o.times, 0);
	answer_one(c, KUBE_OK, SERVICE("web", "3", WANTED));
	expect_outcome(&o, 0);
}

static void a_conflict_is_read_again(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "1", "{}"));
	answer(f, "PATCH " WEB "/status", KUBE_CONFLICT, "");
	answer_one(
	        patch_of(
	                f, SERVICE("web", "5", "{\"conditions\":[" FOREIGN "]}"),
	                "{\"metadata\":{\"resourceVersion\":\"5\"},\"status\":{\"loadBalancer\":{\"ingress\":["
	                "{\"ip\":\"10.9.0.1\"}]},\"conditions\":[" FOREIGN
	                "," COND_AT("weft.dev/LoadBalancer", "True", "Assigned", "NOW") "]}}"),
	        KUBE_OK, SERVICE("web", "6", WANTED));
	expect_outcome(&o, 0);
}

#define PRESENT(more)                                                                                          \
	"{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.9.0.1\",\"ipMode\":\"VIP\"}]},\"conditions\":[" COND_AT( \
	        "weft.dev/LoadBalancer", "True", "Assigned", THEN) more "]}"

/* A new controller puts what all Services have already. */
static void what_the_server_has_costs_no_request(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", PRESENT("," FOREIGN)), SERVICE("plain", "2", "{}"), NULL);
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	asked(f, "");
	expect_outcome(&o, 0);
	put(f, &o, WEFT_SERVICE, "d/plain", NULL);
	asked(f, "");
	expect_outcome(&o, 0);
	/* The order of conditions says nothing. */
	say(f, "/services", false,
	    SERVICE("plain", "3",
	            "{\"conditions\":[" COND("weft.dev/Served", "False", "A") "," FOREIGN "," COND(
	                    "weft.dev/LoadBalancer", "True", "B") "]}"));
	put(f, &o, WEFT_SERVICE, "d/plain",
	    "{\"conditions\":[" COND("weft.dev/LoadBalancer", "True", "B") "," COND("weft.dev/Served",
	                                                                            "False", "A") "]}");
	asked(f, "");
	expect_outcome(&o, 0);
}

static void what_was_just_written_is_not_what_was_last_seen(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "1", "{}"));
	answer(f, "PATCH " WEB "/status", KUBE_OK, SERVICE("web", "2", PRESENT("")));
	/* The event of version 2 has not come: the entry still says that there is no status. */
	put(f, &o, WEFT_SERVICE, "d/web", NULL);
	answer_one(
	        patch_of(
	                f, SERVICE("web", "2", PRESENT("")),
	                "{\"metadata\":{\"resourceVersion\":\"2\"},\"status\":{\"loadBalancer\":{\"ingress\":null},"
	                "\"conditions\":null}}"),
	        KUBE_OK, SERVICE("web", "3", "{}"));
	expect_outcome(&o, 0);
	say(f, "/services", false, SERVICE("web", "2", PRESENT("")));
	say(f, "/services", false, SERVICE("web", "3", "{}"));
	put(f, &o, WEFT_SERVICE, "d/web", NULL);
	asked(f, "");
	expect_outcome(&o, 0);
}

static void times_change_with_the_status_only(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services",
	     SERVICE("web", "1", PRESENT("," COND_AT("weft.dev/Served", "False", "Other", THEN))), NULL);
	put(f, &o, WEFT_SERVICE, "d/web",
	    "{\"loadBalancer\":{\"ingress\":[]},\"conditions\":[" COND(
	            "weft.dev/LoadBalancer", "False", "Other") "," COND("weft.dev/Served", "False",
	                                                                "NotAsWritten") "]}");
	answer_one(
	        patch_of(
	                f,
	                SERVICE("web", "1", PRESENT("," COND_AT("weft.dev/Served", "False", "Other", THEN))),
	                "{\"metadata\":{\"resourceVersion\":\"1\"},\"status\":{\"loadBalancer\":{\"ingress\":null},"
	                "\"conditions\":[" COND_AT("weft.dev/LoadBalancer", "False", "Other",
	                                           "NOW") "," COND_AT("weft.dev/Served", "False",
	                                                              "NotAsWritten", THEN) "]}}"),
	        KUBE_OK, SERVICE("web", "2", "{}"));
	expect_outcome(&o, 0);
}

/* Another controller's ingress is none of ours: we wrote no condition about it. */
static void a_foreign_ingress_is_left_alone(void **state)
{
	struct fake *f = *state;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.9\"}]}}"),
	     NULL);
	put(f, &o, WEFT_SERVICE, "d/web",
	    "{\"conditions\":[" COND("weft.dev/Served", "False", "NotAsWritten") "]}");
	answer_one(patch_of(f,
	                    SERVICE("web", "1", "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.9\"}]}}"),
	                    "{\"metadata\":{\"resourceVersion\":\"1\"},\"status\":{\"conditions\":[" COND_AT(
	                            "weft.dev/Served", "False", "NotAsWritten", "NOW") "]}}"),
	           KUBE_OK, SERVICE("web", "2", "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.9\"}]}}"));
	put(f, &o, WEFT_SERVICE, "d/web", NULL);
	answer_one(
	        patch_of(
	                f,
	                SERVICE("web", "2",
	                        "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.9\"}]},\"conditions\":[" COND(
	                                "weft.dev/Served", "False", "NotAsWritten") "," FOREIGN "]}"),
	                "{\"metadata\":{\"resourceVersion\":\"2\"},\"status\":{\"conditions\":[" FOREIGN
	                "]}}"),
	        KUBE_OK, SERVICE("web", "3", "{}"));
	expect_outcome(&o, 0);
}

#define GIVEN(ip) "\"loadBalancer\":{\"ingress\":[{\"ip\":\"" ip "\"}]}"
#define SAYS(why)                                                                                           \
	"{\"type\":\"weft.dev/LoadBalancer\",\"status\":\"False\",\"reason\":\"NoPool\",\"message\":\"" why \
	"\"}"
#define NO_POOL      "{\"loadBalancer\":{\"ingress\":[]},\"conditions\":[" SAYS("no IPPool") "]}"
#define HAS(ip, why) "{" GIVEN(ip) ",\"conditions\":[" SAYS(why) "]}"

/* We had nothing to give, and said so; another controller, of this class or another one, gave 10.9.0.10 then. */
static void what_another_controller_gave_is_not_taken_away(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "2", HAS("10.9.0.10", "no IPPool")), NULL);
	put(f, &o, WEFT_SERVICE, "d/web", NULL);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "2", HAS("10.9.0.10", "no IPPool")));
	c = asked(f, "PATCH " WEB "/status");
	assert_string_equal(c->body,
	                    "{\"metadata\":{\"resourceVersion\":\"2\"},\"status\":{\"conditions\":null}}");
	answer_one(c, KUBE_OK, SERVICE("web", "3", "{" GIVEN("10.9.0.10") "}"));
	expect_outcome(&o, 0);
	/* A part of an address is another address; what the condition names is ours. */
	put(f, &o, WEFT_SERVICE, "d/web", NO_POOL);
	answer(f, "GET " WEB, KUBE_OK,
	       SERVICE("web", "4", HAS("10.9.0.10", "; it has 110.9.0.10 and 10.9.0.100")));
	c = asked(f, "PATCH " WEB "/status");
	assert_null(strstr(c->body, "ingress"));
	answer_one(c, KUBE_OK, SERVICE("web", "5", HAS("10.9.0.10", "no IPPool")));
	expect_outcome(&o, 0);
	put(f, &o, WEFT_SERVICE, "d/web", NO_POOL);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "6", HAS("10.9.0.10", "none; it has 10.9.0.10")));
	c = asked(f, "PATCH " WEB "/status");
	assert_non_null(strstr(c->body, "\"ingress\":null"));
	answer_one(c, KUBE_OK, SERVICE("web", "7", NO_POOL));
	expect_outcome(&o, 0);
}

/* It gave it between our look and our write: that is not written over, whoever decides has to see it first. */
static void a_status_that_was_not_seen_is_not_overwritten(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "2", "{" GIVEN("192.0.2.7") "}"));
	asked(f, "");
	expect_outcome(&o, -EAGAIN);
	/* The event is here before the answer, but not before the status was decided. */
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	c = asked(f, "GET " WEB);
	say(f, "/services", false, SERVICE("web", "2", "{" GIVEN("192.0.2.7") "}"));
	answer_one(c, KUBE_OK, SERVICE("web", "2", "{" GIVEN("192.0.2.7") "}"));
	asked(f, "");
	expect_outcome(&o, -EAGAIN);
	/* After a conflict, too. */
	say(f, "/services", false, SERVICE("web", "3", "{}"));
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "3", "{}"));
	answer(f, "PATCH " WEB "/status", KUBE_CONFLICT, "");
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "4", "{" GIVEN("192.0.2.7") "}"));
	expect_outcome(&o, -EAGAIN);
	/* Decided with it: as decided. */
	say(f, "/services", false, SERVICE("web", "4", "{" GIVEN("192.0.2.7") "}"));
	put(f, &o, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "4", "{" GIVEN("192.0.2.7") "}"));
	c = asked(f, "PATCH " WEB "/status");
	assert_non_null(strstr(c->body, "10.9.0.1"));
	answer_one(c, KUBE_OK, SERVICE("web", "5", WANTED));
	expect_outcome(&o, 0);
}

static void the_latest_status_wins(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome first, second, third;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	put(f, &first, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "1", "{}"));
	c = asked(f, "PATCH " WEB "/status");
	put(f, &second, WEFT_SERVICE, "d/web",
	    "{\"conditions\":[" COND("weft.dev/Served", "False", "A") "]}");
	put(f, &third, WEFT_SERVICE, "d/web", "{\"conditions\":[" COND("weft.dev/Served", "False", "B") "]}");
	answer_one(c, KUBE_OK, SERVICE("web", "2", WANTED));
	expect_outcome(&first, 0);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "2", "{}"));
	c = asked(f, "PATCH " WEB "/status");
	assert_non_null(strstr(c->body, "\"B\""));
	assert_null(strstr(c->body, "\"A\""));
	assert_int_equal(second.times + third.times, 0);
	answer_one(c, KUBE_OK, SERVICE("web", "3", "{}"));
	expect_outcome(&second, 0);
	expect_outcome(&third, 0);
}

static void what_fails_is_tried_until_it_is_superseded(void **state)
{
	struct fake *f = *state;
	struct outcome first, second;
	struct kube_call *c;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	put(f, &first, WEFT_SERVICE, "d/web", "{\"conditions\":[" COND("weft.dev/Served", "False", "A") "]}");
	for (int i = 0; i < 10; i++)
		answer(f, "GET " WEB, i % 2 ? KUBE_NO_ANSWER : KUBE_THROTTLED, "");
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "1", "{}"));
	c = asked(f, "PATCH " WEB "/status");
	put(f, &second, WEFT_SERVICE, "d/web",
	    "{\"conditions\":[" COND("weft.dev/Served", "False", "B") "]}");
	answer_one(c, KUBE_SERVER_ERROR, "");
	assert_int_equal(first.times, 0);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "1", "{}"));
	c = asked(f, "PATCH " WEB "/status");
	assert_non_null(strstr(c->body, "\"B\""));
	answer_one(c, KUBE_OK, SERVICE("web", "2", "{}"));
	expect_outcome(&first, 0);
	expect_outcome(&second, 0);
	/* What came while it was read is what is written. */
	put(f, &first, WEFT_SERVICE, "d/web", "{\"conditions\":[" COND("weft.dev/Served", "False", "A") "]}");
	c = asked(f, "GET " WEB);
	put(f, &second, WEFT_SERVICE, "d/web",
	    "{\"conditions\":[" COND("weft.dev/Served", "False", "B") "]}");
	answer_one(c, KUBE_OK, SERVICE("web", "2", "{}"));
	c = asked(f, "PATCH " WEB "/status");
	assert_non_null(strstr(c->body, "\"B\""));
	answer_one(c, KUBE_OK, SERVICE("web", "3", "{}"));
	expect_outcome(&first, 0);
	expect_outcome(&second, 0);
	/* Superseded, during a pause, by what the server has: nothing is left to do. */
	say(f, "/services", false, SERVICE("web", "3", "{}"));
	put(f, &first, WEFT_SERVICE, "d/web", "{\"conditions\":[" COND("weft.dev/Served", "False", "A") "]}");
	c = asked(f, "GET " WEB);
	put(f, &second, WEFT_SERVICE, "d/web", NULL);
	answer_one(c, KUBE_NO_ANSWER, "");
	asked(f, "");
	expect_outcome(&first, 0);
	expect_outcome(&second, 0);
	put(f, &first, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_FORBIDDEN, "");
	expect_outcome(&first, -EACCES);
	put(f, &first, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_NOT_FOUND, "");
	expect_outcome(&first, 0);
	put(f, &first, WEFT_NODE, "n1", NULL);
	expect_outcome(&first, -EINVAL);
}

#define POOL_PATH "/apis/weft.dev/v1alpha1/ippools/lb"
#define POOL(version, status)                                                                                \
	"{" META("lb",                                                                                       \
	         version) ",\"spec\":{\"use\":\"LoadBalancer\",\"cidr\":\"10.9.0.0/24\"},\"status\":" status \
	                  "}"

static void pools_have_a_status(void **state)
{
	struct fake *f = *state;
	struct kube_call *c;
	struct outcome o;

	open_synced(f, "ippools");
	list(f, "/ippools", POOL("1", "{}"), NULL);
	put(f, &o, WEFT_IPPOOL, "lb", "{\"capacity\":256,\"used\":1}");
	answer(f, "GET " POOL_PATH, KUBE_OK, POOL("1", "{\"capacity\":256,\"old\":3}"));
	c = asked(f, "PATCH " POOL_PATH "/status");
	assert_string_equal(
	        c->body,
	        "{\"metadata\":{\"resourceVersion\":\"1\"},\"status\":{\"old\":null,\"capacity\":256,"
	        "\"used\":1,\"conditions\":null}}");
	answer_one(c, KUBE_OK, POOL("2", "{\"capacity\":256,\"used\":1}"));
	expect_outcome(&o, 0);
	say(f, "/ippools", false, POOL("2", "{\"used\":1,\"capacity\":256}"));
	put(f, &o, WEFT_IPPOOL, "lb", "{\"capacity\":256,\"used\":1}");
	asked(f, "");
	expect_outcome(&o, 0);
}

static void few_statuses_at_a_time(void **state)
{
	struct fake *f = *state;
	struct outcome o[20];
	char key[32], path[80];
	size_t open = 0;

	open_synced(f, "-");
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "d/s%d", i);
		put(f, &o[i], WEFT_SERVICE, key, WANTED);
	}
	turn(f);
	for (size_t i = 0; i < f->n_calls; i++)
		open += !f->calls[i].over;
	assert_int_equal(open, 8);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/api/v1/namespaces/d/services/s%d", i);
		assert_string_equal(f->calls[i].path, path);
		answer_one(&f->calls[i], KUBE_NOT_FOUND, "");
		expect_outcome(&o[i], 0);
	}
	asked(f, "");
}

/* --- the role --- */

struct reign {
	unsigned changes;
	bool leading;
};

static void on_change(void *ctx, bool leading)
{
	struct reign *r = ctx;

	r->changes++;
	r->leading = leading;
}

static void who_lost_the_lease_writes_nothing_any_more(void **state)
{
	struct fake *f = *state;
	struct reign r = {.leading = false};
	struct outcome under_way, waiting;
	struct kube_call *c;

	open_synced(f, "services");
	list(f, "/services", SERVICE("web", "1", "{}"), SERVICE("b", "1", "{}"), NULL);
	assert_int_equal(f->source->ops->stand(f->source, "controller", "n1", on_change, &r, NULL), 0);
	assert_string_equal(f->lease.name, "weft-controller");
	assert_string_equal(f->lease.namespace, "kube-system");
	assert_memory_equal(f->lease.identity, "n1_", 3);
	assert_int_equal(strlen(f->lease.identity), 3 + 16);
	f->lease.o.on_change(f->lease.o.ctx, true);
	assert_true(r.leading);
	put(f, &under_way, WEFT_SERVICE, "d/web", WANTED);
	answer(f, "GET " WEB, KUBE_OK, SERVICE("web", "1", "{}"));
	c = asked(f, "PATCH " WEB "/status");
	put(f, &waiting, WEFT_SERVICE, "d/b", WANTED);
	f->lease.o.on_change(f->lease.o.ctx, false);
	assert_true(c->over);
	asked(f, "");
	expect_outcome(&under_way, -ECANCELED);
	expect_outcome(&waiting, -ECANCELED);
	assert_int_equal(r.changes, 2);
	f->lease.o.on_change(f->lease.o.ctx, true);
	put(f, &waiting, WEFT_SERVICE, "d/b", WANTED);
	asked(f, "GET /api/v1/namespaces/d/services/b");
	assert_true(f->source->ops->stand(f->source, "A", "n1", on_change, &r, NULL) < 0);
}

/* The request that gives the lease back goes out before the connections close. */
static void a_lease_is_given_back(void **state)
{
	struct fake *f = *state;
	struct reign r = {.leading = false};

	open_synced(f, "-");
	assert_int_equal(f->source->ops->stand(f->source, "controller", "n1", on_change, &r, NULL), 0);
	f->lease.leading = true;
	f->source->ops->free(f->source);
	assert_true(f->lease.freed);
	turn(f);
	assert_true(uv_loop_alive(&f->loop)); /* it waits for the answer */
	f->health.last_answer_ms = UINT64_MAX;
	uv_run(&f->loop, UV_RUN_DEFAULT);
	f->source = NULL;
	for (size_t i = 0; i < f->n_watches; i++) {
		free(f->watches[i].path);
		free(f->watches[i].selector);
	}
	free(f->lease.name);
	free(f->lease.namespace);
	free(f->lease.identity);
}

static void events_name_the_object_by_its_uid(void **state)
{
	struct fake *f = *state;

	open_synced(f, "services nodes");
	list(f, "/services", SERVICE("web", "1", "{}"), NULL);
	list(f, "/nodes", "{\"metadata\":{\"name\":\"n1\",\"uid\":\"odd\",\"resourceVersion\":\"1\"}}", NULL);
	weft_buf_truncate(&f->told, 0);
	f->source->ops->tell(f->source, WEFT_SERVICE, "d/web", true, "NotAsWritten", "no");
	f->source->ops->tell(f->source, WEFT_NODE, "n1", false, "R", "m");
	f->source->ops->tell(f->source, WEFT_SERVICE, "d/nobody", true, "R", "m");
	assert_string_equal(weft_buf_text(&f->told),
	                    "v1 Service d/web 00000000-0000-4000-8000-00000000000b Warning NotAsWritten: no\n"
	                    "v1 Node -/n1 - Normal R: m\n"
	                    "v1 Service d/nobody - Warning R: m\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        FAKE_TEST(a_status_is_merged_with_what_others_wrote),
	        FAKE_TEST(a_conflict_is_read_again),
	        FAKE_TEST(what_the_server_has_costs_no_request),
	        FAKE_TEST(what_was_just_written_is_not_what_was_last_seen),
	        FAKE_TEST(times_change_with_the_status_only),
	        FAKE_TEST(a_foreign_ingress_is_left_alone),
	        FAKE_TEST(what_another_controller_gave_is_not_taken_away),
	        FAKE_TEST(a_status_that_was_not_seen_is_not_overwritten),
	        FAKE_TEST(the_latest_status_wins),
	        FAKE_TEST(what_fails_is_tried_until_it_is_superseded),
	        FAKE_TEST(pools_have_a_status),
	        FAKE_TEST(few_statuses_at_a_time),
	        FAKE_TEST(who_lost_the_lease_writes_nothing_any_more),
	        FAKE_TEST(a_lease_is_given_back),
	        FAKE_TEST(events_name_the_object_by_its_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
