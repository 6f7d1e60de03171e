// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making, starting, describing and freeing the Kubernetes source.
 *
 * It is freed in two steps where it held a lease: the request that gives it back goes out first, so that the
 * next one need not wait for its end.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "agent/kube/kubernetes_priv.h"
#include "weft/log.h"

#define PATIENCE_MS 5000
#define TICK_MS     10000
#define STALE_MS    30000
#define FAREWELL_MS 500
#define GLANCE_MS   5

/* --- waiting --- */

bool kubernetes_passing(const struct kube_answer *a)
{
	switch (a->result) {
	case KUBE_TOO_NEW:
	case KUBE_THROTTLED:
	case KUBE_UNAUTHORIZED: /* a token that is being replaced */
	case KUBE_SERVER_ERROR:
	case KUBE_NO_ANSWER:
	case KUBE_NONSENSE:
		return true;
	default:
		return false;
	}
}

uint64_t kubernetes_pause(const struct kubernetes *k, struct kube_backoff *b, const struct kube_answer *a)
{
	uint64_t ms = kube_backoff(b, a);

	return k->retry_ms && ms > k->retry_ms ? k->retry_ms : ms;
}

/* --- the start --- */

static void on_patience(void *ctx)
{
	struct kubernetes *k = ctx;

	k->impatient = true;
	kubernetes_tell_known(k);
	kubernetes_check_synced(k);
}

/* How old the last known state is must be known after a crash too. */
static void on_tick(uv_timer_t *timer)
{
	struct kubernetes *k = timer->data;

	kubernetes_complain(k);
	if (!k->synced || !kubernetes_in_step(k))
		return;
	k->in_step_ms = uv_now(k->loop);
	if (k->known)
		lastknown_in_step(k->known, (uint64_t)time(NULL));
}

static int start(struct weft_source *s, weft_sink_fn sink, void *ctx, struct weft_err *err)
{
	struct kubernetes *k = (struct kubernetes *)s;

	(void)err;
	k->sink = sink;
	k->ctx = ctx;
	k->events = kube_events_new(k->client, k->loop, k->controller ? "weft-controller" : "weft", k->node);
	for (size_t i = 0; i < k->n_collections; i++)
		if (k->collections[i].kind != WEFT_NAMESPACE)
			kubernetes_follow(&k->collections[i]);
	kubernetes_later(k, &k->patience, k->patience_ms, on_patience, k);
	uv_timer_start(&k->tick, on_tick, TICK_MS, TICK_MS);
	return 0;
}

/* --- description --- */

static uint64_t age_s(const struct kubernetes *k)
{
	uint64_t base, now = (uint64_t)time(NULL);

	if (k->in_step_ms)
		return (uv_now(k->loop) - k->in_step_ms) / 1000;
	base = k->known ? lastknown_age_base(k->known) : 0;
	return base && now > base ? now - base : 0;
}

static void add_collection(const struct kubernetes_collection *c, cJSON *list)
{
	struct kube_watch_state state;
	cJSON *item;

	if (!c->watch)
		return;
	kube_watch_state(c->watch, &state);
	item = cJSON_CreateObject();
	cJSON_AddStringToObject(item, "name", c->name);
	cJSON_AddStringToObject(item, "path", c->paths[c->at]);
	cJSON_AddBoolToObject(item, "complete", c->complete);
	cJSON_AddBoolToObject(item, "following", state.following);
	cJSON_AddBoolToObject(item, "missing", c->missing);
	cJSON_AddNumberToObject(item, "objects", HASH_COUNT(c->entries));
	cJSON_AddNumberToObject(item, "lists", (double)state.lists);
	cJSON_AddNumberToObject(item, "watches", (double)state.watches);
	cJSON_AddNumberToObject(item, "events", (double)state.events);
	cJSON_AddNumberToObject(item, "expired", (double)state.expired);
	cJSON_AddStringToObject(item, "trouble", c->missing && c->optional ? "" : state.trouble);
	cJSON_AddItemToArray(list, item);
}

static void add_answers(const struct kube_health *health, cJSON *out)
{
	cJSON *answers = cJSON_AddObjectToObject(out, "answers");
	char code[16];

	for (int i = 0; i < KUBE_CODES; i++) {
		snprintf(code, sizeof(code), "%d", i);
		if (health->answers[i])
			cJSON_AddNumberToObject(answers, code, health->answers[i]);
	}
}

static struct cJSON *describe(struct weft_source *s)
{
	struct kubernetes *k = (struct kubernetes *)s;
	cJSON *out = cJSON_CreateObject(), *list;
	struct kube_health health;
	bool in_step = kubernetes_in_step(k);
	uint64_t age = in_step ? 0 : age_s(k);

	kube_health(k->client, &health);
	cJSON_AddStringToObject(out, "kind", "kubernetes");
	cJSON_AddStringToObject(out, "server", health.server);
	cJSON_AddBoolToObject(out, "synced", k->synced);
	cJSON_AddBoolToObject(out, "stale",
	                      k->synced && !in_step && (!k->in_step_ms || age * 1000 >= STALE_MS));
	cJSON_AddNumberToObject(out, "ageSeconds", (double)age);
	list = cJSON_AddArrayToObject(out, "collections");
	for (size_t i = 0; i < k->n_collections; i++)
		add_collection(&k->collections[i], list);
	kubernetes_describe_stands(k, out);
	cJSON_AddNumberToObject(out, "requests", (double)health.requests);
	cJSON_AddNumberToObject(out, "failures", (double)health.failures);
	add_answers(&health, out);
	cJSON_AddNumberToObject(out, "bytesIn", (double)health.bytes_in);
	cJSON_AddStringToObject(out, "error", health.error);
	if (k->known && *lastknown_error(k->known))
		cJSON_AddStringToObject(out, "lastKnownError", lastknown_error(k->known));
	return out;
}

/* --- the end --- */

static void destroy(struct kubernetes *k)
{
	for (size_t i = 0; i < k->n_collections; i++) {
		kubernetes_free_entries(&k->collections[i]);
		free(k->collections[i].paths[0]);
		free(k->collections[i].paths[1]);
		free(k->collections[i].selector);
	}
	if (k->known)
		lastknown_close(k->known);
	sodium_memzero(k->digest_key, sizeof(k->digest_key));
	free(k->node);
	free(k->namespace);
	free(k);
}

static void on_closed(uv_handle_t *handle)
{
	struct kubernetes *k = handle->data;

	if (--k->handles == 0)
		destroy(k);
}

static void close_all(struct kubernetes *k)
{
	kube_free(k->client);
	uv_close((uv_handle_t *)&k->timer, on_closed);
	uv_close((uv_handle_t *)&k->tick, on_closed);
}

/* Until the request is answered that gives the lease back, or it takes too long. */
static void on_farewell(void *ctx)
{
	struct kubernetes *k = ctx;
	struct kube_health health;

	kube_health(k->client, &health);
	if (health.last_answer_ms >= k->farewell_ms || health.failures != k->farewell_failures ||
	    uv_now(k->loop) >= k->farewell_ms + FAREWELL_MS)
		close_all(k);
	else
		kubernetes_later(k, &k->farewell, GLANCE_MS, on_farewell, k);
}

static void source_free(struct weft_source *s)
{
	struct kubernetes *k = (struct kubernetes *)s;
	struct kube_health health;

	k->closing = true;
	for (size_t i = 0; i < k->n_collections; i++)
		kubernetes_unfollow(&k->collections[i]);
	kubernetes_free_blocks(k);
	kubernetes_stop_statuses(k);
	kubernetes_node_close(k);
	kubernetes_not_later(k, &k->patience);
	if (k->events)
		kube_events_free(k->events);
	kube_health(k->client, &health);
	k->farewell_ms = uv_now(k->loop) + 1; /* answers of this turn are older */
	k->farewell_failures = health.failures;
	if (kubernetes_free_stands(k))
		kubernetes_later(k, &k->farewell, GLANCE_MS, on_farewell, k);
	else
		close_all(k);
}

/* --- made --- */

static const struct weft_source_ops ops = {
        .start = start,
        .claim_block = kubernetes_claim,
        .release_block = kubernetes_release,
        .put_status = kubernetes_put_status,
        .stand = kubernetes_stand,
        .tell = kubernetes_tell_people,
        .node_condition = kubernetes_node_condition,
        .describe = describe,
        .free = source_free,
};

/* Tells clusters apart: an agent's folder may outlive the cluster that its node was in. */
static int open_known(struct kubernetes *k, const struct kubernetes_options *o, struct weft_err *err)
{
	unsigned char hash[crypto_generichash_BYTES];
	char name[2 * crypto_generichash_BYTES + 1], *ca;
	size_t len = 0;
	int r;

	if (!o->state_dir)
		return 0;
	ca = kube_credential_read(&o->access->ca, &len, NULL);
	if (ca) {
		crypto_generichash(hash, sizeof(hash), (const unsigned char *)ca, len, NULL, 0);
		sodium_bin2hex(name, sizeof(name), hash, sizeof(hash));
	}
	r = lastknown_open(o->state_dir, ca ? name : NULL, &k->known, err);
	sodium_free(ca);
	k->known_whole = r == 0 && lastknown_age_base(k->known);
	return r;
}

int kubernetes_new(uv_loop_t *loop, const struct kubernetes_options *o, struct weft_source **out,
                   struct weft_err *err)
{
	struct kubernetes *k = must_alloc(1, sizeof(*k));
	int r;

	keyhash_init(&k->hash); /* starts libsodium */
	k->source.ops = &ops;
	k->loop = loop;
	k->node = must_strdup(o->node);
	kubernetes_node_open(k);
	k->namespace = must_strdup(o->namespace);
	k->services = o->services;
	k->controller = o->controller;
	k->own_node = o->own_node;
	k->on_nodes = o->on_nodes;
	k->patience_ms = o->patience_ms ? o->patience_ms : PATIENCE_MS;
	k->retry_ms = o->retry_ms;
	k->watch_s = o->watch_s;
	randombytes_buf(k->digest_key, sizeof(k->digest_key));
	kubernetes_add_collections(k, o);
	r = open_known(k, o, err);
	if (r == 0)
		r = kube_new(loop, o->access, "weftd/" WEFT_VERSION, &k->client, err);
	if (r < 0) {
		destroy(k);
		return r;
	}
	uv_timer_init(loop, &k->timer);
	uv_timer_init(loop, &k->tick);
	k->timer.data = k->tick.data = k;
	k->handles = 2;
	*out = &k->source;
	return 0;
}
