// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events: events.h.
 *
 *	tell --> the Event of the same words, or a new one --> has its object a token? --> queue --> request
 *	                    |                                                                ^
 *	                    +-- told again: counted; a minute after its last write ----------+
 *
 * One request at a time: a POST for a new Event, a PATCH of the count for a known one.
 *
 * An Event is known here for ten minutes after it was told last. All of it is bounded: Events known, objects
 * with tokens, the queue, and the texts, which come from objects that anybody may have written.
 */
#include "agent/kube/events.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "agent/source/fields.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/log.h"
#include "weft/object.h"

#define SAME_MS      (10 * 60 * UINT64_C(1000))
#define PATCH_MS     (60 * UINT64_C(1000))
#define BURST        25
#define TOKEN_MS     (5 * 60 * UINT64_C(1000))
#define MAX_KNOWN    1024
#define MAX_TRIES    4
#define MAX_MESSAGE  1024 /* bytes; the API's limits */
#define MAX_REASON   128
#define MAX_INSTANCE 128
#define DIGEST       16

struct event {
	UT_hash_handle hh; /* in order of the last telling */
	uint8_t digest[DIGEST];
	struct kube_event_about about; /* its texts are ours */
	char *reason, *message;
	bool warning, created, queued;
	char name[WEFT_NAME_MAX + 1];
	time_t first, last;
	unsigned count, written; /* times told; as the API server knows */
	uint64_t told_ms, written_ms;
	struct event *next; /* in the queue */
};

/* How much more may be said of an object. */
struct object {
	UT_hash_handle hh; /* in order of the last use */
	uint8_t digest[DIGEST];
	unsigned spent;       /* of BURST */
	uint64_t refilled_ms; /* when the last token came back */
};

struct kube_events {
	struct kube *client;
	uv_loop_t *loop;
	char *component, *host;
	uint8_t key[crypto_generichash_KEYBYTES];
	struct event *events;
	struct object *objects;

	struct event *first, **end; /* the queue; the first is on its way */
	size_t queued;
	struct kube_call *call;
	unsigned sending; /* the count that is on its way */
	unsigned tries;
	struct kube_backoff backoff;
	uv_timer_t pause, due;
	uint64_t due_ms; /* uv_now() of `due`; 0 = it does not run */
	int handles;
	uint64_t dropped;
};

static void send_first(struct kube_events *e);

static const char *namespace_of(const struct kube_event_about *about)
{
	return about->namespace ? about->namespace : "default";
}

static void start_timer(struct kube_events *e, uv_timer_t *t, uv_timer_cb fn, uint64_t ms)
{
	uv_update_time(e->loop);
	uv_timer_start(t, fn, ms, 0);
}

/* ---- texts ---- */

/* At most max bytes of whole, printable characters; others become '?'. */
static char *clean_text(const char *text, size_t max)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	while (*text) {
		size_t len = weft_char_printable(text);

		if (b.len + (len ? len : 1) > max)
			break;
		weft_buf_add(&b, len ? text : "?", len ? len : 1);
		text += len ? len : 1;
	}
	return must_strdup(weft_buf_text(&b));
}

/* "OBJECT.1a2b3c...", unique, and a name of the API's whatever the object is called. */
static void make_name(struct event *ev)
{
	char number[2 * 8 + 1];
	uint8_t random[8];
	int keep = (int)strlen(ev->about.name);

	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(number, sizeof(number), random, sizeof(random));
	if (keep > WEFT_NAME_MAX - (int)sizeof(number))
		keep = WEFT_NAME_MAX - (int)sizeof(number);
	while (keep > 0 && (ev->about.name[keep - 1] == '.' || ev->about.name[keep - 1] == '-'))
		keep--;
	snprintf(ev->name, sizeof(ev->name), "%.*s.%s", keep, ev->about.name, number);
}

static void digest(const struct kube_events *e, const struct kube_event_about *about,
                   const char *const *words, size_t n, uint8_t out[DIGEST])
{
	const char *const of[] = {about->api, about->kind, about->namespace ? about->namespace : "",
	                          about->name, about->uid ? about->uid : ""};
	crypto_generichash_state h;

	crypto_generichash_init(&h, e->key, sizeof(e->key), DIGEST);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(of) + n; i++) {
		const char *text = i < WEFT_ARRAY_LEN(of) ? of[i] : words[i - WEFT_ARRAY_LEN(of)];

		crypto_generichash_update(&h, (const unsigned char *)text, strlen(text) + 1);
	}
	crypto_generichash_final(&h, out, DIGEST);
}

static void add_time(cJSON *to, const char *key, time_t t)
{
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	cJSON_AddStringToObject(to, key, text);
}

static char *whole_body(const struct kube_events *e, const struct event *ev)
{
	cJSON *body = cJSON_CreateObject(), *part;
	char *text;

	cJSON_AddStringToObject(body, "apiVersion", "v1");
	cJSON_AddStringToObject(body, "kind", "Event");
	part = cJSON_AddObjectToObject(body, "metadata");
	cJSON_AddStringToObject(part, "namespace", namespace_of(&ev->about));
	cJSON_AddStringToObject(part, "name", ev->name);
	part = cJSON_AddObjectToObject(body, "involvedObject");
	cJSON_AddStringToObject(part, "apiVersion", ev->about.api);
	cJSON_AddStringToObject(part, "kind", ev->about.kind);
	if (ev->about.namespace)
		cJSON_AddStringToObject(part, "namespace", ev->about.namespace);
	cJSON_AddStringToObject(part, "name", ev->about.name);
	if (ev->about.uid)
		cJSON_AddStringToObject(part, "uid", ev->about.uid);
	cJSON_AddStringToObject(body, "reason", ev->reason);
	cJSON_AddStringToObject(body, "message", ev->message);
	cJSON_AddStringToObject(body, "type", ev->warning ? "Warning" : "Normal");
	cJSON_AddNumberToObject(body, "count", ev->count);
	add_time(body, "firstTimestamp", ev->first);
	add_time(body, "lastTimestamp", ev->last);
	part = cJSON_AddObjectToObject(body, "source");
	cJSON_AddStringToObject(part, "component", e->component);
	cJSON_AddStringToObject(part, "host", e->host);
	cJSON_AddStringToObject(body, "reportingComponent", e->component);
	cJSON_AddStringToObject(body, "reportingInstance", e->host);
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	return text;
}

static char *patch_body(const struct event *ev)
{
	cJSON *body = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(body, "count", ev->count);
	add_time(body, "lastTimestamp", ev->last);
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	return text;
}

/* ---- what is known ---- */

static void free_about(struct kube_event_about *about)
{
	free((char *)(uintptr_t)about->api);
	free((char *)(uintptr_t)about->kind);
	free((char *)(uintptr_t)about->namespace);
	free((char *)(uintptr_t)about->name);
	free((char *)(uintptr_t)about->uid);
}

static void forget(struct kube_events *e, struct event *ev)
{
	HASH_DEL(e->events, ev);
	free_about(&ev->about);
	free(ev->reason);
	free(ev->message);
	free(ev);
}

/* Those that are too old to be the same, and the oldest when there are too many. */
static void forget_old(struct kube_events *e)
{
	uint64_t now = uv_now(e->loop);
	struct event *ev, *tmp;

	HASH_ITER (hh, e->events, ev, tmp) {
		if (now - ev->told_ms < SAME_MS && HASH_COUNT(e->events) < MAX_KNOWN)
			return;
		if (!ev->queued)
			forget(e, ev);
	}
}

static struct event *known_event(struct kube_events *e, const uint8_t id[DIGEST])
{
	struct event *ev = NULL;

	forget_old(e);
	HASH_FIND(hh, e->events, id, DIGEST, ev);
	if (ev) { /* the youngest from now on */
		HASH_DEL(e->events, ev);
		HASH_ADD(hh, e->events, digest, DIGEST, ev);
	}
	return ev;
}

static struct event *new_event(struct kube_events *e, const uint8_t id[DIGEST],
                               const struct kube_event_about *about)
{
	struct event *ev = must_alloc(1, sizeof(*ev));

	memcpy(ev->digest, id, DIGEST);
	ev->about = (struct kube_event_about){.api = must_strdup(about->api),
	                                      .kind = must_strdup(about->kind),
	                                      .namespace =
	                                              about->namespace ? must_strdup(about->namespace) : NULL,
	                                      .name = must_strdup(about->name),
	                                      .uid = about->uid ? must_strdup(about->uid) : NULL};
	HASH_ADD(hh, e->events, digest, DIGEST, ev);
	return ev;
}

static bool take_token(struct kube_events *e, const struct kube_event_about *about)
{
	uint64_t now = uv_now(e->loop), back;
	struct object *o = NULL;
	uint8_t id[DIGEST];

	digest(e, about, NULL, 0, id);
	HASH_FIND(hh, e->objects, id, DIGEST, o);
	if (o) {
		HASH_DEL(e->objects, o);
	} else {
		o = must_alloc(1, sizeof(*o));
		memcpy(o->digest, id, DIGEST);
		o->refilled_ms = now;
	}
	HASH_ADD(hh, e->objects, digest, DIGEST, o);
	if (HASH_COUNT(e->objects) > MAX_KNOWN) {
		struct object *oldest = e->objects;

		HASH_DEL(e->objects, oldest);
		free(oldest);
	}
	back = (now - o->refilled_ms) / TOKEN_MS;
	o->refilled_ms += back * TOKEN_MS;
	o->spent = back < o->spent ? o->spent - (unsigned)back : 0;
	if (o->spent == BURST)
		return false;
	o->spent++;
	return true;
}

/* ---- the queue ---- */

static void count_dropped(struct kube_events *e)
{
	if (e->dropped++ == 0)
		log_warning("an Event was not written; how many more is told later");
}

static void enqueue(struct kube_events *e, struct event *ev)
{
	ev->queued = true;
	ev->next = NULL;
	*e->end = ev;
	e->end = &ev->next;
	e->queued++;
	if (e->queued == 1)
		send_first(e);
}

static void dequeue(struct kube_events *e)
{
	struct event *ev = e->first;

	e->first = ev->next;
	if (!e->first)
		e->end = &e->first;
	e->queued--;
	e->tries = 0;
	e->backoff = (struct kube_backoff){0};
	ev->queued = false;
	if (e->first) {
		send_first(e);
	} else if (e->dropped) {
		log_warning("%llu Events were not written", (unsigned long long)e->dropped);
		e->dropped = 0;
	}
}

static void on_due(uv_timer_t *t);

/* Told more often than written: a minute after that it is written again. */
static void wait_until_due(struct kube_events *e, const struct event *ev)
{
	uint64_t now = uv_now(e->loop), at = ev->written_ms + PATCH_MS;

	if (ev->queued || ev->count == ev->written || (e->due_ms && e->due_ms <= at))
		return;
	e->due_ms = at;
	start_timer(e, &e->due, on_due, at > now ? at - now : 0);
}

static void on_due(uv_timer_t *t)
{
	struct kube_events *e = t->data;
	uint64_t now = uv_now(e->loop);
	struct event *ev, *tmp;

	e->due_ms = 0;
	HASH_ITER (hh, e->events, ev, tmp) {
		if (!ev->queued && ev->count != ev->written && now - ev->written_ms >= PATCH_MS) {
			ev->written_ms = now; /* without a token it waits for another minute */
			if (e->queued < KUBE_EVENTS_QUEUE && take_token(e, &ev->about))
				enqueue(e, ev);
		}
		wait_until_due(e, ev);
	}
}

/* ---- writing ---- */

static void on_pause(uv_timer_t *t)
{
	send_first(t->data);
}

static bool worth_a_retry(enum kube_result result)
{
	return result == KUBE_NO_ANSWER || result == KUBE_SERVER_ERROR || result == KUBE_THROTTLED ||
	       result == KUBE_UNAUTHORIZED || result == KUBE_TOO_NEW;
}

static void on_done(void *ctx, const struct kube_answer *a)
{
	struct kube_events *e = ctx;
	struct event *ev = e->first;
	bool gone =
	        ev->created && a->result == KUBE_NOT_FOUND; /* the API server keeps an Event for an hour */

	e->call = NULL;
	if (a->result == KUBE_OK || (!ev->created && a->result == KUBE_ALREADY_EXISTS)) {
		ev->created = true;
		ev->written = e->sending;
		ev->written_ms = uv_now(e->loop);
		dequeue(e);
		wait_until_due(e, ev);
		return;
	}
	if (++e->tries < MAX_TRIES && (gone || worth_a_retry(a->result))) {
		if (gone)
			ev->created = false;
		start_timer(e, &e->pause, on_pause, gone ? 0 : kube_backoff(&e->backoff, a));
		return;
	}
	log_debug("%s", a->err->text);
	count_dropped(e);
	dequeue(e);
	forget(e, ev);
}

static void send_first(struct kube_events *e)
{
	struct event *ev = e->first;
	weft_auto(weft_buf_free) struct weft_buf path = {0};
	char *body;

	if (!ev->created && e->tries == 0)
		make_name(ev);
	body = ev->created ? patch_body(ev) : whole_body(e, ev);
	weft_buf_printf(&path, "/api/v1/namespaces/%s/events", namespace_of(&ev->about));
	if (ev->created)
		weft_buf_printf(&path, "/%s", ev->name);
	e->sending = ev->count;
	e->call = kube_send(
	        e->client,
	        &(struct kube_request){.method = ev->created ? "PATCH" : "POST",
	                               .path = weft_buf_text(&path),
	                               .content_type = ev->created ? "application/merge-patch+json" : NULL,
	                               .body = body,
	                               .len = strlen(body),
	                               .on_done = on_done,
	                               .ctx = e});
	cJSON_free(body);
}

/* ---- what others call ---- */

static bool usable(const struct kube_event_about *about)
{
	return weft_name_valid(about->name) && (!about->namespace || weft_name_valid(about->namespace)) &&
	       weft_text_printable(about->api) && weft_text_printable(about->kind) &&
	       (!about->uid || weft_text_printable(about->uid));
}

void kube_events_tell(struct kube_events *e, const struct kube_event_about *about, bool warning,
                      const char *reason, const char *message)
{
	weft_autofree char *what = clean_text(reason, MAX_REASON), *words = clean_text(message, MAX_MESSAGE);
	const char *const of[] = {warning ? "Warning" : "Normal", what, words};
	uint8_t id[DIGEST];
	struct event *ev;

	if (!usable(about))
		return;
	digest(e, about, of, WEFT_ARRAY_LEN(of), id);
	ev = known_event(e, id);
	if (!ev) {
		if (e->queued >= KUBE_EVENTS_QUEUE || !take_token(e, about)) {
			count_dropped(e);
			return;
		}
		ev = new_event(e, id, about);
		ev->reason = WEFT_TAKE_PTR(what);
		ev->message = WEFT_TAKE_PTR(words);
		ev->warning = warning;
		ev->first = time(NULL);
	}
	ev->count++;
	ev->last = time(NULL);
	ev->told_ms = uv_now(e->loop);
	if (ev->count == 1)
		enqueue(e, ev);
	else
		wait_until_due(e, ev);
}

struct kube_events *kube_events_new(struct kube *client, uv_loop_t *loop, const char *component,
                                    const char *host)
{
	struct kube_events *e = must_alloc(1, sizeof(*e));

	e->client = client;
	e->loop = loop;
	e->component = clean_text(component, MAX_INSTANCE);
	e->host = clean_text(host, MAX_INSTANCE);
	e->end = &e->first;
	randombytes_buf(e->key, sizeof(e->key));
	uv_timer_init(loop, &e->pause);
	uv_timer_init(loop, &e->due);
	e->pause.data = e->due.data = e;
	e->handles = 2;
	return e;
}

static void on_closed(uv_handle_t *handle)
{
	struct kube_events *e = handle->data;
	struct object *o, *next;
	struct event *ev, *tmp;

	if (--e->handles)
		return;
	HASH_ITER (hh, e->events, ev, tmp)
		forget(e, ev);
	HASH_ITER (hh, e->objects, o, next) {
		HASH_DEL(e->objects, o);
		free(o);
	}
	free(e->component);
	free(e->host);
	free(e);
}

void kube_events_free(struct kube_events *e)
{
	if (e->call)
		kube_cancel(e->call);
	uv_close((uv_handle_t *)&e->pause, on_closed);
	uv_close((uv_handle_t *)&e->due, on_closed);
}
