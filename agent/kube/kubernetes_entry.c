// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the Kubernetes source has told, object by object.
 *
 * An object that comes again with the uid and resourceVersion it had is unchanged, and not even decoded; one
 * whose digest is the same is not told: after a relist only what differs goes to the sink. An object that
 * does not decode is reported under its path, and stays as it was.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "agent/kube/kubernetes_priv.h"
#include "agent/source/decode.h"
#include "weft/log.h"

/* --- what an object says of itself --- */

const char *kubernetes_text(const cJSON *json, const char *a, const char *b)
{
	return cJSON_GetStringValue(
	        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, a), b));
}

uint64_t kubernetes_hash(const struct kubernetes *k, const void *data, size_t len)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t value;

	crypto_shorthash(out, data, len, k->hash.key);
	memcpy(&value, out, sizeof(value));
	return value ? value : 1;
}

uint64_t kubernetes_seen(const struct kubernetes *k, const cJSON *json)
{
	const char *uid = kubernetes_text(json, "metadata", "uid");
	const char *version = kubernetes_text(json, "metadata", "resourceVersion");
	char text[160];
	int n;

	if (!uid || !version)
		return 0;
	n = snprintf(text, sizeof(text), "%s/%s", uid, version);
	return (size_t)n < sizeof(text) ? kubernetes_hash(k, text, (size_t)n) : 0;
}

bool kubernetes_key(const struct kubernetes_collection *c, const cJSON *json, char key[WEFT_KEY_MAX])
{
	const char *name = kubernetes_text(json, "metadata", "name");
	const char *namespace = kubernetes_text(json, "metadata", "namespace");
	int n;

	if (!name || !*name)
		return false;
	/* Where the agent looks for passwords, whatever namespace they are kept in. */
	if (c->kind == WEFT_SECRET)
	namespace = WEFT_SECRET_NAMESPACE;
	else if (!weft_kind_namespaced(c->kind)) namespace = NULL;
	n = snprintf(key, WEFT_KEY_MAX, "%s%s%s", namespace ? namespace : "", namespace ? "/" : "", name);
	return n < WEFT_KEY_MAX;
}

/* 8-4-4-4-12 digits (RFC 9562), as every API server writes them. */
static bool read_uid(const cJSON *json, uint8_t out[16])
{
	const char *text = kubernetes_text(json, "metadata", "uid");
	size_t n = 0;

	memset(out, 0, 16);
	if (text && strlen(text) == 36 && sodium_hex2bin(out, 16, text, 36, "-", &n, NULL) == 0 && n == 16)
		return true;
	memset(out, 0, 16);
	return false;
}

const char *kubernetes_uid(const struct kubernetes_entry *e, char out[37])
{
	char hex[33];

	if (sodium_is_zero(e->uid, sizeof(e->uid)))
		return NULL;
	sodium_bin2hex(hex, sizeof(hex), e->uid, sizeof(e->uid));
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return out;
}

/* --- entries --- */

void kubernetes_tell(struct kubernetes *k, const struct weft_event *ev)
{
	k->sink(k->ctx, ev);
}

struct kubernetes_entry *kubernetes_find(const struct kubernetes_collection *c, const char *key)
{
	size_t len = strlen(key);
	unsigned hash = keyhash(&c->k->hash, key, len);
	struct kubernetes_entry *e;

	HASH_FIND_BYHASHVALUE(hh, c->entries, key, (unsigned)len, hash, e);
	return e;
}

static struct kubernetes_entry *make_entry(struct kubernetes_collection *c, const char *key)
{
	struct kubernetes_entry *e = kubernetes_find(c, key);
	size_t len = strlen(key);

	if (e)
		return e;
	e = must_alloc(1, sizeof(*e));
	e->key = must_strdup(key);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->entries, e->key, (unsigned)len, keyhash(&c->k->hash, key, len), e);
	return e;
}

static void free_entry(struct kubernetes_collection *c, struct kubernetes_entry *e)
{
	HASH_DEL(c->entries, e);
	free(e->key);
	free(e);
}

void kubernetes_free_entries(struct kubernetes_collection *c)
{
	struct kubernetes_entry *e, *next;

	HASH_ITER (hh, c->entries, e, next)
		free_entry(c, e);
}

/* --- reports --- */

static void take_back(struct kubernetes_collection *c, struct kubernetes_entry *e)
{
	char path[KUBERNETES_PATH];

	if (!e->reported)
		return;
	e->reported = 0;
	kubernetes_object_path(c, e->key, path);
	weft_text_clean(path);
	kubernetes_tell(c->k, &(struct weft_event){
	                              .type = WEFT_EV_INVALID, .scope = path, .where = path, .text = ""});
}

static void report(struct kubernetes_collection *c, struct kubernetes_entry *e, const struct weft_err *err)
{
	uint64_t hash = kubernetes_hash(c->k, err->text, strlen(err->text));
	char path[KUBERNETES_PATH];

	if (e->reported == hash)
		return;
	take_back(c, e);
	e->reported = hash;
	kubernetes_object_path(c, e->key, path);
	weft_text_clean(path);
	kubernetes_tell(c->k, &(struct weft_event){.type = WEFT_EV_INVALID,
	                                           .kind = c->kind,
	                                           .key = e->key,
	                                           .scope = path,
	                                           .where = path,
	                                           .text = err->text});
}

/* --- marks: what other parts of this source have to know of an object --- */

/* It selects Services by their namespaces: a pool, for the controller; a BGPAdvertisement, for every agent that has
 * Services. */
static bool selects_by_namespace(struct kubernetes *k, const struct weft_object *obj)
{
	if (obj->kind == WEFT_IPPOOL)
		return k->controller && obj->ippool.use == WEFT_USE_LOADBALANCER &&
		       obj->ippool.namespace_selector.n_reqs;
	return obj->kind == WEFT_BGPADVERTISEMENT && obj->bgpadvertisement.namespace_selector.n_reqs &&
	       kubernetes_collection_of(k, WEFT_SERVICE, "");
}

static void note_selector(struct kubernetes *k, struct kubernetes_entry *e, bool by_namespace)
{
	if (e->by_namespace == by_namespace)
		return;
	e->by_namespace = by_namespace;
	k->by_namespace += by_namespace ? 1 : (size_t)-1;
	kubernetes_check_namespaces(k);
}

/* Whoever gets to be the controller must know which Services have a status of ours. */
static void mark(struct kubernetes *k, struct kubernetes_entry *e, bool marked)
{
	struct weft_event ev = {
	        .type = marked ? WEFT_EV_UPSERT : WEFT_EV_DELETE, .kind = WEFT_SERVICESTATUS, .key = e->key};
	const char *slash = strchr(e->key, '/');

	if (e->marked == marked)
		return;
	e->marked = marked;
	if (marked) {
		ev.obj = must_alloc(1, sizeof(*ev.obj));
		ev.obj->kind = WEFT_SERVICESTATUS;
		ev.obj->meta.name = must_strdup(slash + 1);
		ev.obj->meta.namespace = must_alloc(1, (size_t)(slash - e->key) + 1);
		memcpy(ev.obj->meta.namespace, e->key, (size_t)(slash - e->key));
	}
	kubernetes_tell(k, &ev);
}

/* Also of an object that does not decode: then the controller says so in its status. */
static void note_status(struct kubernetes_collection *c, struct kubernetes_entry *e, const cJSON *status)
{
	if (!c->k->controller || !weft_kind_has_status(c->kind))
		return;
	e->status = kubernetes_status_hash(c->k, c->kind, status);
	e->ingress = kubernetes_ingress_hash(c->k, status);
	if (e->written == e->seen)
		e->written = 0;
}

/* --- objects --- */

static void deliver(struct kubernetes_collection *c, struct kubernetes_entry *e, struct weft_object *obj,
                    const char *text, size_t len, const cJSON *json)
{
	uint8_t digest[WEFT_DIGEST];

	weft_object_digest(obj, c->k->digest_key, digest);
	if (e->delivered && !memcmp(digest, e->digest, sizeof(digest))) {
		weft_object_free(obj);
		return;
	}
	memcpy(e->digest, digest, sizeof(digest));
	e->delivered = true;
	if (text)
		kubernetes_keep(c, e->key, text, len, json);
	kubernetes_tell(c->k, &(struct weft_event){
	                              .type = WEFT_EV_UPSERT, .kind = c->kind, .key = e->key, .obj = obj});
}

static void rename_secret(struct weft_object *obj)
{
	free(obj->meta.namespace);
	obj->meta.namespace = must_strdup(WEFT_SECRET_NAMESPACE);
}

static void decode(struct kubernetes_collection *c, struct kubernetes_entry *e, const char *text, size_t len,
                   const cJSON *json)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;

	if (weft_decode_as(c->kind, json, &got, &err) < 0) {
		report(c, e, &err);
		return;
	}
	take_back(c, e);
	if (c->kind == WEFT_SECRET)
		rename_secret(got.obj);
	note_selector(c->k, e, selects_by_namespace(c->k, got.obj));
	deliver(c, e, got.obj, text, len, json);
}

/* A watch is behind an answer: it tells of an object whose end we know. */
static bool is_past(struct kubernetes_collection *c, const cJSON *json, bool end)
{
	uint8_t uid[16];

	return c->kind == WEFT_IPBLOCK && c->k->buried && read_uid(json, uid) &&
	       kubernetes_block_buried(c->k, uid, end);
}

void kubernetes_take(struct kubernetes_collection *c, const char *text, size_t len, const cJSON *json)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(json, "status");
	uint64_t seen = kubernetes_seen(c->k, json);
	struct kubernetes_entry *e;
	char key[WEFT_KEY_MAX];

	if (!kubernetes_key(c, json, key)) {
		log_warning("%s: the API server sent an object without a usable name", c->paths[c->at]);
		return;
	}
	if (is_past(c, json, false))
		return;
	e = make_entry(c, key);
	/* What was last known is not what a listing under way has seen. */
	e->generation = text ? c->generation : c->generation - 1;
	if (c->kind == WEFT_NODE && text)
		kubernetes_node_seen(c->k, json);
	if (seen && seen == e->seen)
		return;
	e->seen = seen;
	read_uid(json, e->uid);
	note_status(c, e, status);
	decode(c, e, text, len, json);
	if (c->kind == WEFT_SERVICE && c->k->controller)
		mark(c->k, e, kubernetes_status_marked(status));
}

void kubernetes_remove(struct kubernetes_collection *c, struct kubernetes_entry *e)
{
	take_back(c, e);
	mark(c->k, e, false);
	if (c->kind == WEFT_IPBLOCK)
		kubernetes_block_gone(c->k, e->key);
	if (e->delivered) {
		if (c->k->known)
			lastknown_del(c->k->known, c->kind, e->key);
		kubernetes_tell(c->k,
		                &(struct weft_event){.type = WEFT_EV_DELETE, .kind = c->kind, .key = e->key});
	}
	note_selector(c->k, e, false);
	free_entry(c, e);
}

void kubernetes_drop(struct kubernetes_collection *c, const cJSON *json)
{
	struct kubernetes_entry *e;
	char key[WEFT_KEY_MAX];

	if (!kubernetes_key(c, json, key) || is_past(c, json, true))
		return;
	e = kubernetes_find(c, key);
	if (e)
		kubernetes_remove(c, e);
}
