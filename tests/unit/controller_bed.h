// SPDX-License-Identifier: GPL-2.0-or-later
/* A controller with real stores, and a datastore that notes what is written. Included after cmocka.h. */
#ifndef TESTS_UNIT_CONTROLLER_BED_H
#define TESTS_UNIT_CONTROLLER_BED_H

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

static inline void fake_put(struct weft_source *s, enum weft_kind kind, const char *key,
                            const struct cJSON *status, weft_write_done_fn done, void *ctx)
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

static inline int fake_stand(struct weft_source *s, const char *role, const char *identity,
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

static inline void trouble_of(void *ctx, const char *key, char text[CONTROLLER_TEXT])
{
	const struct bed *b = ctx;
	bool it = b->troubled && !strcmp(key, b->troubled);

	snprintf(text, CONTROLLER_TEXT, "%s", it ? b->trouble : "");
}

static inline void fake_tell(struct weft_source *s, enum weft_kind kind, const char *key, bool warning,
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
static inline void event(struct bed *b, const struct weft_event *ev)
{
	bool service = ev->kind == WEFT_SERVICE || ev->kind == WEFT_SERVICESTATUS;

	controller_on_event(b->c, ev);
	if (service && ev->type != WEFT_EV_SYNCED)
		assert_true(services_handle(b->services, ev));
	else
		cluster_handle(b->cluster, ev);
}

static inline void have(struct bed *b, struct weft_object *o)
{
	char key[WEFT_KEY_MAX];

	event(b, &(struct weft_event){
	                 .type = WEFT_EV_UPSERT, .kind = o->kind, .key = weft_object_key(o, key), .obj = o});
}

static inline void gone(struct bed *b, enum weft_kind kind, const char *key)
{
	event(b, &(struct weft_event){.type = WEFT_EV_DELETE, .kind = kind, .key = key});
}

static inline void sync_all(struct bed *b)
{
	event(b, &(struct weft_event){.type = WEFT_EV_SYNCED});
}

static inline struct weft_object *status_of(const char *key, const char *ips)
{
	const char *slash = strchr(key, '/');
	struct weft_object *o = object(WEFT_SERVICESTATUS, slash + 1);

	o->meta.namespace = strndup(key, (size_t)(slash - key));
	o->servicestatus.ingress = calloc(8, sizeof(struct weft_addr));
	o->servicestatus.n_ingress = addrs(ips, o->servicestatus.ingress);
	return o;
}

static inline void turn(struct bed *b)
{
	uv_run(&b->loop, UV_RUN_NOWAIT);
}

static inline void lead(struct bed *b)
{
	sync_all(b);
	b->on_change(b->ctx, true);
}

/* Every write since the last time, in any order of services and pools: "svc a/b ips reason", "pool p
 * used/cap". */
static inline void describe_write(const struct written *w, char *out, size_t size)
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

static inline void answer(struct bed *b, int code)
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

static inline void expect_code(struct bed *b, const char *want, int code)
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

static inline void expect(struct bed *b, const char *want)
{
	turn(b);
	expect_code(b, want, 0);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
