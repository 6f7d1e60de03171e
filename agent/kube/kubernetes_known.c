// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last known state: what is kept of it, and how it is told when the API server is away.
 *
 * It is told only if an earlier process had all of it: half a state, left by one that died while it listed
 * for the first time, would say that the other half is gone.
 */
#include <sodium.h>
#include <string.h>

#include "agent/kube/kubernetes_priv.h"
#include "agent/source/yaml.h"
#include "weft/log.h"

/* --- keeping --- */

static void copy_item(cJSON *to, const cJSON *from, const char *key)
{
	cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);

	if (item)
		cJSON_AddItemReferenceToObject(to, key, item);
}

/* Of a Node, what decoding reads: its list of images and volumes is most of its size. */
static char *node_text(const cJSON *json)
{
	cJSON *out = cJSON_CreateObject(), *status = cJSON_AddObjectToObject(out, "status");
	char *text;

	copy_item(out, json, "metadata");
	copy_item(out, json, "spec");
	copy_item(status, cJSON_GetObjectItemCaseSensitive(json, "status"), "addresses");
	text = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
	return text;
}

void kubernetes_keep(struct kubernetes_collection *c, const char *key, const char *text, size_t len,
                     const cJSON *json)
{
	char *shorter;

	if (!c->k->known)
		return;
	if (c->kind != WEFT_NODE) {
		lastknown_put(c->k->known, c->kind, key, text, len);
		return;
	}
	shorter = node_text(json);
	if (shorter)
		lastknown_put(c->k->known, c->kind, key, shorter, strlen(shorter));
	free(shorter);
}

/* --- telling --- */

static void tell_one(void *ctx, enum weft_kind kind, const char *key, const char *text, size_t len)
{
	struct kubernetes *k = ctx;
	struct kubernetes_collection *c = kubernetes_collection_of(k, kind, key);
	cJSON *json;

	if (!c || !c->watch || c->complete || kubernetes_find(c, key))
		return;
	json = cJSON_ParseWithLength(text, len);
	if (json)
		kubernetes_take(c, NULL, 0, json);
	if (kind == WEFT_SECRET)
		weft_json_wipe(json);
	else
		cJSON_Delete(json);
}

void kubernetes_tell_known(struct kubernetes *k)
{
	if (!k->known_whole)
		return;
	log_warning(
	        "the API server has not told everything yet: going on with the last known state, %zu objects",
	        lastknown_count(k->known));
	lastknown_each(k->known, tell_one, k);
	/* Only now it is known whether a pool needs them. */
	if (kubernetes_collection_of(k, WEFT_NAMESPACE, "")->watch)
		lastknown_each(k->known, tell_one, k);
}

/* --- purging --- */

static bool alive(void *ctx, enum weft_kind kind, const char *key)
{
	const struct kubernetes_collection *c = kubernetes_collection_of(ctx, kind, key);

	return c && c->watch && kubernetes_find(c, key);
}

/* What was deleted while we did not run, or is not followed any more. */
void kubernetes_purge_known(struct kubernetes *k)
{
	if (k->known)
		lastknown_sweep(k->known, alive, k);
}
