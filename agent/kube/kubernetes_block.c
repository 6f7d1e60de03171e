// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claims and releases of blocks.
 *
 * Claim: POST of the IPBlock; of any number of agents one gets 201, the others 409. A 409 may also be our own
 * block, when the answer to a former POST got lost: so it is read, and counts as claimed if it names us.
 *
 * Release: GET, then DELETE on condition that it is still the one we read (uid and resourceVersion).
 *
 * The object comes as an event before `done` is called: what the answer holds is taken as if a watch had
 * brought it, since whoever claimed goes on with what the sink has. A watch that brings it later brings
 * nothing new; one that has already told of its end is believed.
 *
 * A watch may be behind an answer: what was released is buried by its uid until the watch has told of its end, too, or
 * else a block that was claimed and released would come up once more, and the end of a former one of the
 * same name would end its successor.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>
#include <utlist.h>

#include "agent/kube/kubernetes_priv.h"
#include "agent/source/fields.h"

#define TRIES 4

struct kubernetes_block {
	struct kubernetes_block *prev, *next;
	struct kubernetes *k;
	bool release;
	bool gone; /* an event said that the object is deleted, since we began */
	unsigned tries;
	char node[WEFT_NAME_MAX + 1], pool[WEFT_NAME_MAX + 1];
	char cidr[WEFT_PREFIX_STR], name[WEFT_PREFIX_STR];
	struct kube_call *call;
	struct kubernetes_later later;
	struct kube_backoff backoff;
	struct weft_err err;
	weft_write_done_fn done;
	void *ctx;
};

struct kubernetes_buried {
	struct kubernetes_buried *prev, *next;
	uint8_t uid[16];
	unsigned generation; /* of the collection, when it was buried */
};

static void begin(void *ctx);
static void read_block(void *ctx);

static struct kubernetes_collection *blocks(struct kubernetes *k)
{
	return kubernetes_collection_of(k, WEFT_IPBLOCK, "");
}

static void free_block(struct kubernetes_block *b)
{
	DL_DELETE(b->k->blocks, b);
	kubernetes_not_later(b->k, &b->later);
	if (b->call)
		kube_cancel(b->call);
	free(b);
}

static void finish(void *ctx)
{
	struct kubernetes_block *b = ctx;
	weft_write_done_fn done = b->done;
	struct weft_err err = b->err;
	void *done_ctx = b->ctx;

	free_block(b);
	done(done_ctx, err.code ? &err : NULL);
}

/* Once more after a pause, or the end. */
static void again(struct kubernetes_block *b, const struct kube_answer *a, void (*fn)(void *ctx))
{
	bool passing = kubernetes_passing(a) || a->result == KUBE_CONFLICT || a->result == KUBE_NOT_FOUND;

	if (++b->tries < TRIES && passing) {
		kubernetes_later(b->k, &b->later, kubernetes_pause(b->k, &b->backoff, a), fn, b);
		return;
	}
	weft_err_set(&b->err, a->result == KUBE_FORBIDDEN ? EACCES : EIO, "%s the block %s: %s",
	             b->release ? "releasing" : "claiming", b->cidr, a->err ? a->err->text : "no answer");
	finish(b);
}

static void ask(struct kubernetes_block *b, const char *method, bool of_collection, const cJSON *body,
                void (*on_done)(void *ctx, const struct kube_answer *a))
{
	char *text = body ? cJSON_PrintUnformatted(body) : NULL, path[KUBERNETES_PATH];
	struct kube_request r = {.method = method,
	                         .path = path,
	                         .body = text,
	                         .len = text ? strlen(text) : 0,
	                         .on_done = on_done,
	                         .ctx = b};

	if (of_collection)
		snprintf(path, sizeof(path), "%s", blocks(b->k)->paths[0]);
	else
		kubernetes_object_path(blocks(b->k), b->name, path);
	b->call = kube_send(b->k->client, &r);
	cJSON_free(text);
}

/* --- claim --- */

/* What the server has, taken as an event. Returns whose it is, "" if that can't be told. */
static void take(struct kubernetes_block *b, const struct kube_answer *a, char owner[WEFT_NAME_MAX + 1])
{
	cJSON *json = cJSON_ParseWithLength(a->body, a->len);
	const char *node = kubernetes_text(json, "spec", "node"),
	           *name = kubernetes_text(json, "metadata", "name");

	snprintf(owner, WEFT_NAME_MAX + 1, "%s", node ? node : "");
	if (name && !strcmp(name, b->name) && !b->gone)
		kubernetes_take(blocks(b->k), a->body, a->len, json);
	cJSON_Delete(json);
}

static void on_owner(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_block *b = ctx;
	char owner[WEFT_NAME_MAX + 1];

	b->call = NULL;
	if (a->result != KUBE_OK) {
		/* Gone again, perhaps. */
		again(b, a, begin);
		return;
	}
	take(b, a, owner);
	if (strcmp(owner, b->node))
		weft_err_set(&b->err, EEXIST, "the block %s belongs to node %s", b->cidr,
		             *owner ? owner : "(unreadable)");
	finish(b);
}

static void on_posted(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_block *b = ctx;
	char owner[WEFT_NAME_MAX + 1];

	b->call = NULL;
	if (a->result == KUBE_OK) {
		take(b, a, owner);
		finish(b);
	} else if (a->result == KUBE_ALREADY_EXISTS) {
		ask(b, "GET", false, NULL, on_owner);
	} else {
		again(b, a, begin);
	}
}

static void post(struct kubernetes_block *b)
{
	cJSON *json = cJSON_CreateObject(), *spec;

	cJSON_AddStringToObject(json, "apiVersion", weft_kind_api(WEFT_IPBLOCK));
	cJSON_AddStringToObject(json, "kind", weft_kind_name(WEFT_IPBLOCK));
	cJSON_AddStringToObject(cJSON_AddObjectToObject(json, "metadata"), "name", b->name);
	spec = cJSON_AddObjectToObject(json, "spec");
	cJSON_AddStringToObject(spec, "cidr", b->cidr);
	cJSON_AddStringToObject(spec, "node", b->node);
	cJSON_AddStringToObject(spec, "pool", b->pool);
	ask(b, "POST", true, json, on_posted);
	cJSON_Delete(json);
}

/* --- release --- */

static void forget(struct kubernetes *k, struct kubernetes_buried *g)
{
	DL_DELETE(k->buried, g);
	free(g);
}

static void bury(struct kubernetes *k, const struct kubernetes_entry *e)
{
	struct kubernetes_buried *g = must_alloc(1, sizeof(*g));

	memcpy(g->uid, e->uid, sizeof(g->uid));
	g->generation = blocks(k)->generation;
	DL_APPEND(k->buried, g);
}

bool kubernetes_block_buried(struct kubernetes *k, const uint8_t uid[16], bool end)
{
	struct kubernetes_buried *g;

	DL_FOREACH (k->buried, g)
		if (!memcmp(g->uid, uid, sizeof(g->uid)))
			break;
	if (!g)
		return false;
	if (end)
		forget(k, g);
	return true;
}

void kubernetes_block_forget(struct kubernetes *k, unsigned generation)
{
	struct kubernetes_buried *g, *next;

	DL_FOREACH_SAFE(k->buried, g, next)
	if (g->generation != generation)
		forget(k, g);
}

static void drop(struct kubernetes_block *b)
{
	struct kubernetes_entry *e = kubernetes_find(blocks(b->k), b->name);

	if (!e || b->gone) /* what is there now is another one */
		return;
	if (!sodium_is_zero(e->uid, sizeof(e->uid)))
		bury(b->k, e);
	kubernetes_remove(blocks(b->k), e);
}

static void on_deleted(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_block *b = ctx;
	cJSON *json;

	b->call = NULL;
	if (a->result != KUBE_OK && a->result != KUBE_NOT_FOUND) {
		again(b, a, read_block);
		return;
	}
	/* Not a Status: an object that somebody's finalizer keeps; its end comes as an event. */
	json = a->result == KUBE_OK ? cJSON_ParseWithLength(a->body, a->len) : NULL;
	if (!kubernetes_text(json, "spec", "cidr"))
		drop(b);
	cJSON_Delete(json);
	finish(b);
}

static void delete_block(struct kubernetes_block *b, const cJSON *there)
{
	cJSON *json = cJSON_CreateObject(), *conditions;
	const char *uid = kubernetes_text(there, "metadata", "uid");
	const char *version = kubernetes_text(there, "metadata", "resourceVersion");

	cJSON_AddStringToObject(json, "kind", "DeleteOptions");
	cJSON_AddStringToObject(json, "apiVersion", "v1");
	conditions = cJSON_AddObjectToObject(json, "preconditions");
	cJSON_AddStringToObject(conditions, "uid", uid ? uid : "");
	cJSON_AddStringToObject(conditions, "resourceVersion", version ? version : "");
	ask(b, "DELETE", false, json, on_deleted);
	cJSON_Delete(json);
}

static void on_read(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_block *b = ctx;
	const char *node;
	cJSON *json;

	b->call = NULL;
	if (a->result == KUBE_NOT_FOUND) {
		drop(b);
		finish(b);
		return;
	}
	if (a->result != KUBE_OK) {
		again(b, a, read_block);
		return;
	}
	json = cJSON_ParseWithLength(a->body, a->len);
	node = kubernetes_text(json, "spec", "node");
	if (node && !strcmp(node, b->node)) {
		b->gone = false;
		delete_block(b, json);
	} else {
		weft_err_set(&b->err, EPERM, "the block %s belongs to node %s", b->cidr,
		             node ? node : "(unreadable)");
		finish(b);
	}
	cJSON_Delete(json);
}

static void read_block(void *ctx)
{
	ask(ctx, "GET", false, NULL, on_read);
}

/* --- both --- */

static void begin(void *ctx)
{
	struct kubernetes_block *b = ctx;

	if (b->err.code)
		finish(b);
	else if (b->release)
		read_block(b);
	else
		post(b);
}

static void add(struct weft_source *s, const struct weft_prefix *cidr, const char *node, const char *pool,
                weft_write_done_fn done, void *ctx)
{
	struct kubernetes *k = (struct kubernetes *)s;
	struct kubernetes_block *b = must_alloc(1, sizeof(*b));

	b->k = k;
	b->release = !pool;
	b->done = done;
	b->ctx = ctx;
	weft_prefix_str(cidr, b->cidr);
	weft_block_name(cidr, b->name);
	snprintf(b->node, sizeof(b->node), "%s", node);
	snprintf(b->pool, sizeof(b->pool), "%s", pool ? pool : "");
	if (!weft_name_valid(node) || (pool && !weft_name_valid(pool)))
		weft_err_set(&b->err, EINVAL, "a block needs valid names of its node and pool");
	DL_APPEND(k->blocks, b);
	kubernetes_later(k, &b->later, 0, begin, b);
}

void kubernetes_claim(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                      const char *pool, weft_write_done_fn done, void *ctx)
{
	add(s, cidr, node, pool, done, ctx);
}

void kubernetes_release(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                        weft_write_done_fn done, void *ctx)
{
	add(s, cidr, node, NULL, done, ctx);
}

void kubernetes_block_gone(struct kubernetes *k, const char *key)
{
	struct kubernetes_block *b;

	DL_FOREACH (k->blocks, b)
		if (!strcmp(b->name, key))
			b->gone = true;
}

void kubernetes_free_blocks(struct kubernetes *k)
{
	while (k->blocks)
		free_block(k->blocks);
	while (k->buried)
		forget(k, k->buried);
}
