// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Kubernetes source on a client and watches that the test plays itself: no wire, no clock. Since a test
 * program has these functions, the library's own are not linked.
 */
#ifndef TESTS_UNIT_FAKE_KUBE_H
#define TESTS_UNIT_FAKE_KUBE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <sodium.h>
#include <uv.h>

#include "agent/kube/events.h"
#include "agent/kube/kubernetes.h"
#include "agent/kube/lease.h"
#include "agent/kube/watch.h"
#include "tests/unit/tmpdir.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#define FAKES 64

struct kube_call {
	struct kube_request r;
	char *method, *path, *type, *body;
	bool over;
};

struct kube_watch {
	struct kube_watch_options o;
	char *path, *selector;
	unsigned nudges;
	bool freed;
	struct kube_watch_state state;
};

struct kube_lease {
	struct kube_lease_options o;
	char *name, *namespace, *identity;
	bool leading, freed;
};

struct fake {
	uv_loop_t loop;
	uv_timer_t guard;
	bool late;
	char dir[TMPDIR_SIZE];
	struct kubernetes_options o;
	struct kube_access access;
	struct weft_source *source;
	struct weft_buf log; /* one line per event */
	struct kube_call calls[FAKES];
	size_t n_calls;
	struct kube_watch watches[FAKES];
	size_t n_watches;
	struct kube_lease lease;
	struct weft_buf told; /* Events */
	struct kube_health health;
};

/* The functions below have no context of their own. */
static struct fake *fake;

/* --- client --- */

int kube_new(uv_loop_t *loop, const struct kube_access *access, const char *user_agent, struct kube **out,
             struct weft_err *err)
{
	(void)loop;
	(void)access;
	(void)user_agent;
	(void)err;
	*out = (struct kube *)fake;
	return 0;
}

void kube_free(struct kube *k)
{
	(void)k;
}

struct kube_call *kube_send(struct kube *k, const struct kube_request *r)
{
	struct kube_call *c = &fake->calls[fake->n_calls++];

	(void)k;
	assert_true(fake->n_calls <= FAKES);
	*c = (struct kube_call){.r = *r,
	                        .method = strdup(r->method),
	                        .path = strdup(r->path),
	                        .type = r->content_type ? strdup(r->content_type) : NULL,
	                        .body = r->body ? strndup(r->body, r->len) : NULL};
	return c;
}

void kube_cancel(struct kube_call *c)
{
	c->over = true;
}

void kube_health(const struct kube *k, struct kube_health *out)
{
	(void)k;
	*out = fake->health;
}

uint64_t kube_backoff(struct kube_backoff *b, const struct kube_answer *a)
{
	(void)a;
	b->failures++;
	return 1;
}

char *kube_credential_read(const struct kube_credential *c, size_t *len, struct weft_err *err)
{
	(void)c;
	(void)len;
	(void)err;
	return NULL;
}

/* --- watches --- */

struct kube_watch *kube_watch_new(const struct kube_watch_options *o)
{
	struct kube_watch *w = &fake->watches[fake->n_watches++];

	assert_true(fake->n_watches <= FAKES);
	*w = (struct kube_watch){.o = *o,
	                         .path = strdup(o->path),
	                         .selector = strdup(o->selector ? o->selector : ""),
	                         .state = {.version = "", .trouble = ""}};
	return w;
}

void kube_watch_nudge(struct kube_watch *w)
{
	w->nudges++;
}

void kube_watch_free(struct kube_watch *w)
{
	w->freed = true;
}

void kube_watch_state(const struct kube_watch *w, struct kube_watch_state *out)
{
	*out = w->state;
}

/* --- lease, Events --- */

struct kube_lease *kube_lease_new(const struct kube_lease_options *o)
{
	struct kube_lease *l = &fake->lease;

	*l = (struct kube_lease){.o = *o,
	                         .name = strdup(o->name),
	                         .namespace = strdup(o->namespace),
	                         .identity = strdup(o->identity)};
	return l;
}

bool kube_lease_leading(const struct kube_lease *l)
{
	return l->leading;
}

const char *kube_lease_holder(const struct kube_lease *l)
{
	return l->leading ? l->identity : "";
}

const char *kube_lease_trouble(const struct kube_lease *l)
{
	(void)l;
	return "";
}

void kube_lease_free(struct kube_lease *l)
{
	l->freed = true;
}

struct kube_events *kube_events_new(struct kube *client, uv_loop_t *loop, const char *component,
                                    const char *host)
{
	(void)client;
	(void)loop;
	weft_buf_printf(&fake->told, "%s on %s\n", component, host);
	return (struct kube_events *)fake;
}

void kube_events_tell(struct kube_events *e, const struct kube_event_about *about, bool warning,
                      const char *reason, const char *message)
{
	(void)e;
	weft_buf_printf(&fake->told, "%s %s %s/%s %s %s %s: %s\n", about->api, about->kind,
	                about->namespace ? about->namespace : "-", about->name, about->uid ? about->uid : "-",
	                warning ? "Warning" : "Normal", reason, message);
}

void kube_events_free(struct kube_events *e)
{
	(void)e;
}

/* --- the test's part --- */

/* "+Node/a", "-Node/a", "synced", "!PATH text", "ok PATH" */
static void fake_sink(void *ctx, const struct weft_event *ev)
{
	struct fake *f = ctx;
	char key[WEFT_KEY_MAX];

	switch (ev->type) {
	case WEFT_EV_UPSERT:
		assert_string_equal(weft_object_key(ev->obj, key), ev->key);
		assert_int_equal(ev->obj->kind, ev->kind);
		weft_buf_printf(&f->log, "+%s/%s\n", weft_kind_name(ev->kind), ev->key);
		weft_object_free(ev->obj);
		break;
	case WEFT_EV_DELETE:
		weft_buf_printf(&f->log, "-%s/%s\n", weft_kind_name(ev->kind), ev->key);
		break;
	case WEFT_EV_SYNCED:
		weft_buf_str(&f->log, "synced\n");
		break;
	case WEFT_EV_INVALID:
		assert_string_equal(ev->scope, ev->where);
		if (*ev->text)
			weft_buf_printf(&f->log, "!%s %s\n", ev->where, ev->text);
		else
			weft_buf_printf(&f->log, "ok %s\n", ev->scope);
		break;
	}
}

static inline void expect(struct fake *f, const char *want)
{
	assert_string_equal(weft_buf_text(&f->log), want);
	weft_buf_truncate(&f->log, 0);
}

static void fake_late(uv_timer_t *t)
{
	((struct fake *)t->data)->late = true;
}

/* The loop until nothing is due any more: pauses are a millisecond here. */
static inline void turn(struct fake *f)
{
	f->late = false;
	uv_update_time(&f->loop);
	uv_timer_start(&f->guard, fake_late, 5, 0);
	while (!f->late)
		uv_run(&f->loop, UV_RUN_ONCE);
}

/* The live watch of a path that ends so. */
static inline struct kube_watch *watch_of(struct fake *f, const char *end)
{
	for (size_t i = 0; i < f->n_watches; i++) {
		struct kube_watch *w = &f->watches[i];
		size_t len = strlen(w->path), n = strlen(end);

		if (!w->freed && len >= n && !strcmp(w->path + len - n, end))
			return w;
	}
	return NULL;
}

static inline void say(struct fake *f, const char *collection, bool deleted, const char *text)
{
	struct kube_watch *w = watch_of(f, collection);
	cJSON *json = cJSON_Parse(text);

	assert_non_null(w);
	if (!json)
		fail_msg("not JSON: %s", text);
	w->o.cb.on_object(w->o.ctx, deleted, text, strlen(text), json);
	cJSON_Delete(json);
}

static inline void begin(struct fake *f, const char *collection)
{
	struct kube_watch *w = watch_of(f, collection);

	assert_non_null(w);
	w->o.cb.on_begin(w->o.ctx);
}

static inline void complete(struct fake *f, const char *collection)
{
	struct kube_watch *w = watch_of(f, collection);

	assert_non_null(w);
	w->state.complete = w->state.following = true;
	w->o.cb.on_complete(w->o.ctx, "1");
}

/* A whole listing; NULL ends it. */
static inline void list(struct fake *f, const char *collection, ...)
{
	const char *text;
	va_list ap;

	begin(f, collection);
	va_start(ap, collection);
	while ((text = va_arg(ap, const char *)))
		say(f, collection, false, text);
	va_end(ap);
	complete(f, collection);
}

static inline void trouble(struct fake *f, const char *collection, const char *text)
{
	struct kube_watch *w = watch_of(f, collection);

	assert_non_null(w);
	w->state.following = !*text;
	w->state.trouble = text;
	w->o.cb.on_trouble(w->o.ctx, text);
}

/* Every collection is there and empty, except for those named. */
static inline void list_others(struct fake *f, const char *except)
{
	for (size_t i = 0; i < f->n_watches; i++) {
		const char *name = strrchr(f->watches[i].path, '/') + 1;

		if (!f->watches[i].freed && !f->watches[i].state.complete && !strstr(except, name))
			list(f, f->watches[i].path, NULL);
	}
}

/* The request that waits for an answer; it must be this one. */
static inline struct kube_call *asked(struct fake *f, const char *want)
{
	weft_auto(weft_buf_free) struct weft_buf got = {0};
	struct kube_call *found = NULL;

	turn(f);
	for (size_t i = 0; i < f->n_calls; i++) {
		struct kube_call *c = &f->calls[i];

		if (c->over)
			continue;
		weft_buf_printf(&got, "%s%s %s", got.len ? "; " : "", c->method, c->path);
		found = found ? found : c;
	}
	assert_string_equal(weft_buf_text(&got), want);
	return found;
}

static inline void answer_one(struct kube_call *c, enum kube_result result, const char *body)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_answer a = {
	        .result = result, .status = 200, .body = body, .len = strlen(body), .err = NULL};

	if (result != KUBE_OK) {
		weft_err_set(&err, EIO, "%s %s: the server said so", c->method, c->path);
		a.err = &err;
	}
	c->over = true;
	c->r.on_done(c->r.ctx, &a);
}

static inline void answer(struct fake *f, const char *want, enum kube_result result, const char *body)
{
	answer_one(asked(f, want), result, body);
}

/* --- made and freed --- */

struct outcome {
	unsigned times;
	int code;
	char text[WEFT_ERR_TEXT];
};

static inline void on_outcome(void *ctx, const struct weft_err *err)
{
	struct outcome *o = ctx;

	o->times++;
	o->code = err ? err->code : 0;
	snprintf(o->text, sizeof(o->text), "%s", err ? err->text : "");
}

static inline void expect_outcome(const struct outcome *o, int code)
{
	assert_int_equal(o->times, 1);
	assert_int_equal(o->code, code);
}

static inline void fake_open(struct fake *f)
{
	struct weft_err err = WEFT_ERR_INIT;

	assert_int_equal(kubernetes_new(&f->loop, &f->o, &f->source, &err), 0);
	assert_int_equal(f->source->ops->start(f->source, fake_sink, f, &err), 0);
	turn(f);
}

/* All is there, except for some collections. */
static inline void open_synced(struct fake *f, const char *except)
{
	fake_open(f);
	list_others(f, except);
	if (!strcmp(except, "-"))
		expect(f, "synced\n");
}

static inline void fake_close(struct fake *f)
{
	f->source->ops->free(f->source);
	f->source = NULL;
	turn(f);
	for (size_t i = 0; i < f->n_watches; i++) {
		assert_true(f->watches[i].freed);
		free(f->watches[i].path);
		free(f->watches[i].selector);
	}
	for (size_t i = 0; i < f->n_calls; i++) {
		free(f->calls[i].method);
		free(f->calls[i].path);
		free(f->calls[i].type);
		free(f->calls[i].body);
	}
	f->n_watches = f->n_calls = 0;
	free(f->lease.name);
	free(f->lease.namespace);
	free(f->lease.identity);
	f->lease = (struct kube_lease){.name = NULL};
	weft_buf_truncate(&f->log, 0);
}

/* The same agent once more, on the same folder. */
static inline void fake_again(struct fake *f)
{
	fake_close(f);
	fake_open(f);
}

static inline int fake_setup(void **state)
{
	static const char *const secrets[] = {"weft-bgp"};
	struct fake *f = calloc(1, sizeof(*f));

	fake = f;
	weft_log_init(WEFT_LOG_ERROR);
	tmpdir_make(f->dir);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	uv_timer_init(&f->loop, &f->guard);
	f->guard.data = f;
	f->health.server = "https://a";
	f->o = (struct kubernetes_options){.access = &f->access,
	                                   .state_dir = f->dir,
	                                   .node = "n1",
	                                   .namespace = "kube-system",
	                                   .secrets = secrets,
	                                   .n_secrets = 1,
	                                   .services = true,
	                                   .controller = true,
	                                   .patience_ms = 1000000};
	*state = f;
	return 0;
}

static inline int fake_teardown(void **state)
{
	struct fake *f = *state;

	if (f->source)
		fake_close(f);
	uv_close((uv_handle_t *)&f->guard, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	weft_buf_free(&f->log);
	weft_buf_free(&f->told);
	tmpdir_remove(f->dir);
	free(f);
	return 0;
}

#define FAKE_TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

/* --- objects --- */

#define META(name, version)              \
	"\"metadata\":{\"name\":\"" name \
	"\",\"uid\":\"00000000-0000-4000-8000-00000000000a\",\"resourceVersion\":\"" version "\"}"
#define NSMETA(ns, name, version)                                 \
	"\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" ns \
	"\",\"uid\":\"00000000-0000-4000-8000-00000000000b\",\"resourceVersion\":\"" version "\"}"
#define NODE(name, version, ip)                                                                          \
	"{" META(name, version) ",\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"" ip \
	                        "\"}]}}"
#define BLOCK(name, version, cidr, node) \
	"{" META(name, version) ",\"spec\":{\"cidr\":\"" cidr "\",\"node\":\"" node "\",\"pool\":\"p\"}}"
#define THEN "2020-01-01T00:00:00Z"
/* What a condition says, that of an ingress with 10.9.0.1 of ours included. */
#define GAVE "10.9.0.1 from IPPool lb"
#define COND(type, status, reason) \
	"{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"" reason "\",\"message\":\"" GAVE "\"}"
#define COND_AT(type, status, reason, at)                                                                \
	"{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"" reason "\",\"message\":\"" GAVE \
	"\","                                                                                            \
	"\"lastTransitionTime\":\"" at "\"}"
#define FOREIGN COND_AT("other.io/X", "True", "A", THEN)
#define SERVICE(name, version, status)                                                                          \
	"{" NSMETA(                                                                                             \
	        "d", name,                                                                                      \
	        version) ",\"spec\":{\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"port\":80}]},\"status\":" status \
	                 "}"

#endif
