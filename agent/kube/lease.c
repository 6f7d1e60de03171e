// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leader election: lease.h.
 *
 *	attempt:  we are written in it, as far as we know --> PUT --ok--> ours from when we asked
 *	          otherwise --> GET --> nobody, us, or unchanged for too long --> PUT
 *	                            --> no such Lease --> POST
 *
 * A conflict of the first PUT goes on with the GET at once; all else waits for the next attempt.
 *
 * Safety rests on two times. Ours begins when a write is sent, which is before the server can have it; the
 * others' begins when they have read it, which is after. Ours is shorter. Both are of CLOCK_BOOTTIME, which
 * goes on while the machine is suspended. kube_lease_leading() looks at the clock, so that a loop that was
 * stopped for long does not act on what it was before.
 *
 * A Lease that vanished (somebody deleted it) does not say that its holder has: whoever has seen the holder
 * waits as if it were still there.
 */
#include "agent/kube/lease.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/log.h"

#define DURATION_S        15
#define RENEW_DEADLINE_MS 10000
#define RETRY_MS          2000
#define RIVAL_MS          1000  /* a pause is so long for each of those who stand */
#define PAUSE_MAX_MS      60000 /* on average */
#define NAME_MAX_SHOWN    256
#define MICRO_TIME        40 /* "2026-01-01T00:00:00.000000Z" */

enum step { STEP_GET, STEP_POST, STEP_PUT, STEP_PUT_AT_ONCE };

struct kube_lease {
	struct kube_lease_options o; /* its texts are ours */
	char *path, *collection;
	struct kube_call *call;
	enum step step;
	uint64_t sent_ms;  /* of the call */
	uint64_t until_ms; /* the role is ours before this, if leading */
	bool leading;

	cJSON *seen;          /* the Lease as the server had it last */
	char *spec;           /* of it, to notice a change */
	uint64_t seen_ms;     /* when it changed last */
	uint64_t looked_ms;   /* when it was read last */
	bool calm;            /* nothing is to be expected of it soon */
	uint64_t duration_ms; /* how long it counts since */
	char holder[NAME_MAX_SHOWN];
	bool ours; /* holder is our identity */

	uv_timer_t attempt, deadline;
	int handles;
	char trouble[WEFT_ERR_TEXT];
};

static void on_attempt(uv_timer_t *t);
static void on_deadline(uv_timer_t *t);
static void send_step(struct kube_lease *l, enum step step);

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void start_timer(struct kube_lease *l, uv_timer_t *t, uv_timer_cb fn, uint64_t ms)
{
	uv_update_time(l->o.loop); /* what the loop did meanwhile is no part of the wait */
	uv_timer_start(t, fn, ms, 0);
}

/* Of many who wait for the same, each can look seldom. 0: no longer than others. */
static uint64_t pause_of_many(const struct kube_lease *l)
{
	size_t rivals = l->calm && !l->ours && l->o.rivals ? l->o.rivals(l->o.ctx) : 0;
	uint64_t mean = rivals < PAUSE_MAX_MS / RIVAL_MS ? rivals * RIVAL_MS : PAUSE_MAX_MS;

	return mean > 2 * l->o.retry_ms ? mean / 2 + randombytes_uniform((uint32_t)mean + 1) : 0;
}

/* retry_ms times 1 to 1.2 after the last attempt began, or more. */
static void next_attempt(struct kube_lease *l)
{
	uint64_t wait = l->o.retry_ms + randombytes_uniform((uint32_t)(l->o.retry_ms / 5) + 1);
	uint64_t gone = now_ms() - l->sent_ms, pause = pause_of_many(l);

	if (pause)
		wait = pause;

	start_timer(l, &l->attempt, on_attempt, gone < wait ? wait - gone : 0);
}

static void set_trouble(struct kube_lease *l, const char *text)
{
	if (strcmp(l->trouble, text) == 0)
		return;
	snprintf(l->trouble, sizeof(l->trouble), "%s", text);
	if (*text)
		log_warning("Lease %s/%s: %s", l->o.namespace, l->o.name, text);
}

/* The last thing its callers do: on_change may free l. */
static void tell(struct kube_lease *l, bool leading)
{
	if (l->leading == leading)
		return;
	l->leading = leading;
	if (!leading)
		uv_timer_stop(&l->deadline);
	l->o.on_change(l->o.ctx, leading);
}

/* ---- the object ---- */

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

static void forget(struct kube_lease *l)
{
	cJSON_Delete(l->seen);
	cJSON_free(l->spec);
	l->seen = NULL;
	l->spec = NULL;
	l->holder[0] = '\0';
	l->ours = false;
}

/* How long its holder may be silent. Nonsense counts as what we would write ourselves. */
static uint64_t duration_of(const struct kube_lease *l, const cJSON *spec)
{
	const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(spec, "leaseDurationSeconds");

	if (cJSON_IsNumber(seconds) && seconds->valuedouble >= 1 && seconds->valuedouble <= INT32_MAX)
		return (uint64_t)seconds->valuedouble * 1000;
	return (uint64_t)l->o.duration_s * 1000;
}

/* A holder that renewed since the last look, which is not long ago, lives. */
static void note_change(struct kube_lease *l, bool changed)
{
	uint64_t now = now_ms();

	l->calm = changed && l->spec && now - l->looked_ms < l->duration_ms;
	if (changed)
		l->seen_ms = now;
	l->looked_ms = now;
}

/* What the server has. False: it is no Lease. */
static bool observe(struct kube_lease *l, const struct kube_answer *a)
{
	cJSON *lease = a->body ? cJSON_ParseWithLength(a->body, a->len) : NULL;
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(lease, "metadata");
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(lease, "spec");
	const cJSON *holder = cJSON_GetObjectItemCaseSensitive(spec, "holderIdentity");
	char *text = cJSON_PrintUnformatted(spec);

	if (!*text_of(metadata, "resourceVersion") ||
	    (holder && !cJSON_IsString(holder) && !cJSON_IsNull(holder))) {
		cJSON_free(text);
		cJSON_Delete(lease);
		set_trouble(l, "the API server's answer is no Lease");
		return false;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(metadata, "managedFields");
	note_change(l, !l->spec || !text || strcmp(l->spec, text) != 0);
	forget(l);
	l->seen = lease;
	l->spec = text;
	l->duration_ms = duration_of(l, spec);
	l->ours = strcmp(text_of(spec, "holderIdentity"), l->o.identity) == 0;
	snprintf(l->holder, sizeof(l->holder), "%s", text_of(spec, "holderIdentity"));
	weft_text_clean(l->holder);
	set_trouble(l, "");
	return true;
}

static bool held_by_another(const struct kube_lease *l)
{
	return l->holder[0] && !l->ours && now_ms() - l->seen_ms < l->duration_ms;
}

/* MicroTime: exactly six digits. */
static const char *micro_time(char out[MICRO_TIME])
{
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(out, MICRO_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, MICRO_TIME - n, ".%06ldZ", t.tv_nsec / 1000);
	return out;
}

static void set(cJSON *object, const char *key, cJSON *value)
{
	if (cJSON_GetObjectItemCaseSensitive(object, key))
		cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
	else
		cJSON_AddItemToObject(object, key, value);
}

/* The Lease that is there, or a new one, with us (or, to release it, nobody) as its holder. */
static char *wanted(const struct kube_lease *l, bool release)
{
	cJSON *lease = l->seen ? cJSON_Duplicate(l->seen, true) : cJSON_CreateObject(), *metadata, *spec;
	const cJSON *transitions;
	char now[MICRO_TIME], *text;
	double n;

	if (!l->seen) {
		cJSON_AddStringToObject(lease, "apiVersion", "coordination.k8s.io/v1");
		cJSON_AddStringToObject(lease, "kind", "Lease");
		metadata = cJSON_AddObjectToObject(lease, "metadata");
		cJSON_AddStringToObject(metadata, "namespace", l->o.namespace);
		cJSON_AddStringToObject(metadata, "name", l->o.name);
	}
	if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(lease, "spec")))
		set(lease, "spec", cJSON_CreateObject());
	spec = cJSON_GetObjectItemCaseSensitive(lease, "spec");
	transitions = cJSON_GetObjectItemCaseSensitive(spec, "leaseTransitions");
	n = cJSON_IsNumber(transitions) && transitions->valuedouble >= 0 &&
	                    transitions->valuedouble < INT32_MAX
	            ? transitions->valuedouble
	            : 0;
	set(spec, "leaseTransitions", cJSON_CreateNumber(l->seen && !l->ours ? n + 1 : n));
	set(spec, "holderIdentity", cJSON_CreateString(release ? "" : l->o.identity));
	set(spec, "leaseDurationSeconds", cJSON_CreateNumber(release ? 1 : l->o.duration_s));
	set(spec, "renewTime", cJSON_CreateString(micro_time(now)));
	if (!l->ours || release || !*text_of(spec, "acquireTime"))
		set(spec, "acquireTime", cJSON_CreateString(now));
	text = cJSON_PrintUnformatted(lease);
	cJSON_Delete(lease);
	return text;
}

/* ---- answers ---- */

/* We are written in it since the call was sent at the latest. */
static void won(struct kube_lease *l)
{
	uint64_t now = now_ms(), until = l->sent_ms + l->o.renew_deadline_ms;

	next_attempt(l);
	if (now >= until)
		return; /* it took so long that it says nothing any more */
	l->until_ms = until;
	start_timer(l, &l->deadline, on_deadline, until - now);
	tell(l, true);
}

static void after_get(struct kube_lease *l, const struct kube_answer *a)
{
	if (a->result == KUBE_NOT_FOUND && held_by_another(l)) {
		next_attempt(l);
	} else if (a->result == KUBE_NOT_FOUND) {
		forget(l);
		set_trouble(l, "");
		send_step(l, STEP_POST);
	} else if (!observe(l, a)) {
		next_attempt(l);
	} else if (held_by_another(l)) {
		next_attempt(l);
		tell(l, false);
	} else {
		send_step(l, STEP_PUT);
	}
}

static void after_write(struct kube_lease *l, const struct kube_answer *a, enum step step)
{
	if (a->result == KUBE_OK && observe(l, a) && l->ours)
		won(l);
	else if (step == STEP_PUT_AT_ONCE && (a->result == KUBE_CONFLICT || a->result == KUBE_NOT_FOUND))
		send_step(l, STEP_GET);
	else
		next_attempt(l);
}

static void on_done(void *ctx, const struct kube_answer *a)
{
	struct kube_lease *l = ctx;
	enum step step = l->step;

	l->call = NULL;
	if (a->result != KUBE_OK && a->result != KUBE_NOT_FOUND && a->result != KUBE_CONFLICT &&
	    a->result != KUBE_ALREADY_EXISTS) {
		set_trouble(l, a->err ? a->err->text : kube_result_name(a->result));
		l->calm = true; /* a server in trouble is not pressed by all */
		next_attempt(l);
	} else if (step == STEP_GET) {
		after_get(l, a);
	} else {
		after_write(l, a, step);
	}
}

/* ---- requests ---- */

static void send_step(struct kube_lease *l, enum step step)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PUT"};
	char *body = step == STEP_GET ? NULL : wanted(l, false);

	l->step = step;
	l->sent_ms = now_ms();
	l->call = kube_send(l->o.client,
	                    &(struct kube_request){.method = methods[step],
	                                           .path = step == STEP_POST ? l->collection : l->path,
	                                           .body = body,
	                                           .len = body ? strlen(body) : 0,
	                                           .timeout_ms = l->o.renew_deadline_ms / 2,
	                                           .on_done = on_done,
	                                           .ctx = l});
	cJSON_free(body);
}

static void on_attempt(uv_timer_t *t)
{
	struct kube_lease *l = t->data;

	send_step(l, l->leading && l->ours ? STEP_PUT_AT_ONCE : STEP_GET);
}

/* No renewal came through: the others may take the role soon. */
static void on_deadline(uv_timer_t *t)
{
	tell(t->data, false);
}

/* ---- what others call ---- */

struct kube_lease *kube_lease_new(const struct kube_lease_options *o)
{
	struct kube_lease *l = must_alloc(1, sizeof(*l));
	weft_auto(weft_buf_free) struct weft_buf path = {0};

	l->o = *o;
	l->o.namespace = must_strdup(o->namespace);
	l->o.name = must_strdup(o->name);
	l->o.identity = must_strdup(o->identity);
	l->o.duration_s = o->duration_s ? o->duration_s : DURATION_S;
	l->o.renew_deadline_ms = o->renew_deadline_ms ? o->renew_deadline_ms : RENEW_DEADLINE_MS;
	l->o.retry_ms = o->retry_ms ? o->retry_ms : RETRY_MS;
	weft_buf_printf(&path, "/apis/coordination.k8s.io/v1/namespaces/%s/leases", o->namespace);
	l->collection = must_strdup(weft_buf_text(&path));
	weft_buf_printf(&path, "/%s", o->name);
	l->path = must_strdup(weft_buf_text(&path));
	uv_timer_init(o->loop, &l->attempt);
	uv_timer_init(o->loop, &l->deadline);
	l->attempt.data = l->deadline.data = l;
	l->handles = 2;
	start_timer(l, &l->attempt, on_attempt, 0);
	return l;
}

bool kube_lease_leading(const struct kube_lease *l)
{
	return l->leading && now_ms() < l->until_ms;
}

const char *kube_lease_holder(const struct kube_lease *l)
{
	return l->holder;
}

const char *kube_lease_trouble(const struct kube_lease *l)
{
	return l->trouble;
}

static void on_closed(uv_handle_t *handle)
{
	struct kube_lease *l = handle->data;

	if (--l->handles)
		return;
	forget(l);
	free((char *)(uintptr_t)l->o.namespace);
	free((char *)(uintptr_t)l->o.name);
	free((char *)(uintptr_t)l->o.identity);
	free(l->path);
	free(l->collection);
	free(l);
}

static void on_released(void *ctx, const struct kube_answer *a)
{
	(void)ctx;
	if (a->result != KUBE_OK)
		log_info("the Lease was not given back; others take it when it has run out");
}

void kube_lease_free(struct kube_lease *l)
{
	if (l->call)
		kube_cancel(l->call);
	if (kube_lease_leading(l) && l->ours) {
		char *body = wanted(l, true);

		kube_send(l->o.client, &(struct kube_request){.method = "PUT",
		                                              .path = l->path,
		                                              .body = body,
		                                              .len = strlen(body),
		                                              .timeout_ms = l->o.renew_deadline_ms / 2,
		                                              .on_done = on_released});
		cJSON_free(body);
	}
	uv_close((uv_handle_t *)&l->attempt, on_closed);
	uv_close((uv_handle_t *)&l->deadline, on_closed);
}
