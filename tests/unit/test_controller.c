// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller: what it writes for what the stores have, when it leads and when it does not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <errno.h>

#include "agent/daemon/controller.h"
#include "tests/unit/lb_objects.h"
#include "weft/log.h"

#define WRITES_MAX 64

/* A datastore that notes what is written, and answers when the test wants it to. */
struct written {
	enum weft_kind kind;
	char key[WEFT_KEY_MAX];
	char *status; /* JSON; NULL = removed */
	weft_write_done_fn done;
	void *ctx;
};

struct bed {
	struct weft_source source; /* first */
	uv_loop_t loop;
	struct cluster *cluster;
	struct services *services;
	struct controller *c;
	void (*on_change)(void *ctx, bool leading);
	void *ctx;
	unsigned stands;
	int stand_error;
	const char *troubled, *trouble; /* a Service that is not served as written, and why */
	char told[1200];                /* the last Event */
	unsigned n_told;
	struct written writes[WRITES_MAX];
	size_t n, counted;
	bool counting; /* writes are not answered */
};

static void fake_put(struct weft_source *s, enum weft_kind kind, const char *key, const struct cJSON *status,
                     weft_write_done_fn done, void *ctx)
{
	struct bed *b = (struct bed *)s;
	struct written *w = &b->writes[b->n];

	b->counted++;
	if (b->counting)
		return;
	assert_true(++b->n <= WRITES_MAX);
	*w = (struct written){.kind = kind, .done = done, .ctx = ctx};
	snprintf(w->key, sizeof(w->key), "%s", key);
	w->status = status ? cJSON_PrintUnformatted(status) : NULL;
}

static int fake_stand(struct weft_source *s, const char *role, const char *identity,
                      void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err)
{
	struct bed *b = (struct bed *)s;

	assert_string_equal(role, "controller");
	assert_string_equal(identity, "node1");
	b->stands++;
	b->on_change = on_change;
	b->ctx = ctx;
	return b->stand_error ? weft_err_set(err, b->stand_error, "can't stand here") : 0;
}

static void trouble_of(void *ctx, const char *key, char text[CONTROLLER_TEXT])
{
	const struct bed *b = ctx;
	bool it = b->troubled && !strcmp(key, b->troubled);

	snprintf(text, CONTROLLER_TEXT, "%s", it ? b->trouble : "");
}

static void fake_tell(struct weft_source *s, enum weft_kind kind, const char *key, bool warning,
                      const char *reason, const char *message)
{
	struct bed *b = (struct bed *)s;

	assert_int_equal(kind, WEFT_SERVICE);
	assert_true(warning);
	snprintf(b->told, sizeof(b->told), "%s %s: %s", key, reason, message);
	b->n_told++;
}

static const struct weft_source_ops fake_ops = {
        .put_status = fake_put, .stand = fake_stand, .tell = fake_tell};

/* As the daemon passes it on. */
static void event(struct bed *b, const struct weft_event *ev)
{
	bool service = ev->kind == WEFT_SERVICE || ev->kind == WEFT_SERVICESTATUS;

	controller_on_event(b->c, ev);
	if (service && ev->type != WEFT_EV_SYNCED)
		assert_true(services_handle(b->services, ev));
	else
		cluster_handle(b->cluster, ev);
}

static void have(struct bed *b, struct weft_object *o)
{
	char key[WEFT_KEY_MAX];

	event(b, &(struct weft_event){
	                 .type = WEFT_EV_UPSERT, .kind = o->kind, .key = weft_object_key(o, key), .obj = o});
}

static void gone(struct bed *b, enum weft_kind kind, const char *key)
{
	event(b, &(struct weft_event){.type = WEFT_EV_DELETE, .kind = kind, .key = key});
}

static void sync_all(struct bed *b)
{
	event(b, &(struct weft_event){.type = WEFT_EV_SYNCED});
}

static struct weft_object *status_of(const char *key, const char *ips)
{
	const char *slash = strchr(key, '/');
	struct weft_object *o = object(WEFT_SERVICESTATUS, slash + 1);

	o->meta.namespace = strndup(key, (size_t)(slash - key));
	o->servicestatus.ingress = calloc(8, sizeof(struct weft_addr));
	o->servicestatus.n_ingress = addrs(ips, o->servicestatus.ingress);
	return o;
}

static void turn(struct bed *b)
{
	uv_run(&b->loop, UV_RUN_NOWAIT);
}

static void lead(struct bed *b)
{
	sync_all(b);
	b->on_change(b->ctx, true);
}

/* Every write since the last time, in any order of services and pools: "svc a/b ips reason", "pool p
 * used/cap". */
static void describe_write(const struct written *w, char *out, size_t size)
{
	cJSON *json = w->status ? cJSON_Parse(w->status) : NULL, *ip;
	const cJSON *condition = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "conditions"), 0);
	size_t n = (size_t)snprintf(out, size, "%s %s", weft_kind_name(w->kind), w->key);

	if (!json) {
		snprintf(out + n, size - n, " removed");
	} else if (w->kind == WEFT_IPPOOL) {
		snprintf(out + n, size - n, " %g/%g/%g", cJSON_GetObjectItem(json, "used")->valuedouble,
		         cJSON_GetObjectItem(json, "capacity")->valuedouble,
		         cJSON_GetObjectItem(json, "conflicts")->valuedouble);
	} else {
		cJSON_ArrayForEach (ip,
		                    cJSON_GetObjectItem(cJSON_GetObjectItem(json, "loadBalancer"), "ingress"))
			n += (size_t)snprintf(out + n, size - n, " %s",
			                      cJSON_GetObjectItem(ip, "ip")->valuestring);
		snprintf(out + n, size - n, " %s", cJSON_GetObjectItem(condition, "reason")->valuestring);
	}
	cJSON_Delete(json);
}

static void answer(struct bed *b, int code)
{
	size_t n = b->n;
	struct written writes[WRITES_MAX];
	struct weft_err err = WEFT_ERR_INIT;

	memcpy(writes, b->writes, sizeof(writes));
	b->n = 0;
	if (code)
		weft_err_set(&err, code, "the disk says no");
	for (size_t i = 0; i < n; i++) {
		free(writes[i].status);
		writes[i].done(writes[i].ctx, code ? &err : NULL);
	}
}

static void expect_code(struct bed *b, const char *want, int code)
{
	char got[4096] = "", line[700];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		describe_write(&b->writes[i], line, sizeof(line));
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s", n ? "\n" : "", line);
	}
	assert_string_equal(got, want);
	answer(b, code);
}

static void expect(struct bed *b, const char *want)
{
	turn(b);
	expect_code(b, want, 0);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct controller_options o = {.loop = &b->loop, .default_class = true, .retry_ms = 20};

	weft_log_init(WEFT_LOG_ERROR);
	b->source.ops = &fake_ops;
	uv_loop_init(&b->loop);
	o.source = &b->source;
	o.cluster = b->cluster = cluster_new("node1");
	o.services = b->services = services_new();
	o.identity = "node1";
	o.problem = trouble_of;
	o.ctx = b;
	assert_int_equal(controller_new(&o, &b->c, NULL), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;
	int r;

	controller_free(b->c);
	for (size_t i = 0; i < b->n; i++)
		free(b->writes[i].status);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	r = uv_loop_close(&b->loop);
	cluster_free(b->cluster);
	services_free(b->services);
	free(b);
	return r;
}

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

/* Somebody else was there first: no failure to speak of, and decided anew with what that one wrote. */
static void another_writer_is_no_failure(void **state)
{
	struct bed *b = *state;
	uint64_t end = uv_hrtime() + UINT64_C(20000000000);
	cJSON *json;

	have(b, lb_service("x/a", "4"));
	weft_log_init(-1);
	lead(b);
	expect_code(b, "Service x/a NoPool", -EAGAIN);
	json = controller_describe(b->c);
	assert_null(cJSON_GetObjectItem(json, "error"));
	cJSON_Delete(json);
	have(b, status_of("x/a", "10.1.0.2"));
	turn(b);
	expect_code(b, "Service x/a 10.1.0.2 Conflict", -EAGAIN);
	while (b->n < 1 && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	expect_code(b, "Service x/a 10.1.0.2 Conflict", 0);
	expect(b, "");
}

static void a_failed_write_is_tried_again(void **state)
{
	struct bed *b = *state;
	uint64_t end = uv_hrtime() + UINT64_C(20000000000);
	cJSON *json;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	have(b, lb_service("x/a", "4"));
	weft_log_init(-1);
	lead(b);
	expect_code(b, "Service x/a 10.1.0.1 Assigned\nIPPool p 1/9/0", -ENOSPC);
	json = controller_describe(b->c);
	assert_int_equal(cJSON_GetObjectItem(json, "failedWrites")->valueint, 2);
	assert_string_equal(cJSON_GetObjectItem(json, "error")->valuestring, "the disk says no");
	cJSON_Delete(json);
	have(b, annotated(lb_service("x/a", "4"), WEFT_ANNOTATION_LB_IPS, "10.1.0.9"));
	turn(b);
	while (b->n < 2 && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	/* The newer one at once; of what failed, what is not under way already. */
	expect_code(b, "Service x/a 10.1.0.9 Assigned\nIPPool p 1/9/0", 0);
	turn(b);
	json = controller_describe(b->c);
	assert_int_equal(cJSON_GetObjectItem(json, "failedWrites")->valueint, 0);
	assert_null(cJSON_GetObjectItem(json, "error"));
	cJSON_Delete(json);
	uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_int_equal(b->n, 0);
}

static void a_new_reign_forgets_failures(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	weft_log_init(-1);
	lead(b);
	expect_code(b, "IPPool p 0/9/0", -ENOSPC);
	b->on_change(b->ctx, false);
	expect(b, "");
	uv_run(&b->loop, UV_RUN_DEFAULT); /* no timer is left */
	b->on_change(b->ctx, true);
	expect(b, "IPPool p 0/9/0");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void malformed(struct bed *b, unsigned i, const char *text)
{
	char key[32];

	snprintf(key, sizeof(key), "bad%u", i);
	event(b, &(struct weft_event){WEFT_EV_INVALID, WEFT_IPPOOL, key, NULL, key, key, text});
}

static void count_told(struct bed *b, size_t want)
{
	size_t before = b->counted;

	turn(b);
	assert_int_equal(b->counted - before, want);
}

/* Objects without number are malformed: so many are told of, and what they say may change. */
static void malformed_objects_are_bounded(void **state)
{
	struct bed *b = *state;

	lead(b);
	b->counting = true;
	for (unsigned i = 0; i < 5000; i++)
		malformed(b, i, "spec.cidr: is missing");
	count_told(b, 4096);
	malformed(b, 7, "spec.cidr: is another one");
	count_told(b, 1);
	malformed(b, 6000, "spec.cidr: is missing");
	count_told(b, 0);
	malformed(b, 7, ""); /* makes room for one */
	for (unsigned i = 6000; i < 6002; i++)
		malformed(b, i, "spec.cidr: is missing");
	count_told(b, 2);
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
	        TEST(another_writer_is_no_failure),
	        TEST(a_failed_write_is_tried_again),
	        TEST(a_new_reign_forgets_failures),
	        TEST(refused_pools_give_nothing_new),
	        TEST(malformed_objects_are_bounded),
	        TEST(namespaces_count),
	        TEST(standing_that_fails_is_tried_again),
	        TEST(what_it_tells_of_itself),
	        TEST(a_datastore_without_a_place_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
