// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The controller's part of a status, and the patch that makes it so. Nothing but JSON here.
 *
 * A Service belongs to many: of its conditions only those of weft.dev are ours. Its ingress we write when we give it
 * something; what we take away is only what our condition about it says that it has: another controller may have given
 * it something when we had nothing. An IPPool's status is ours, except for conditions of others.
 *
 * A condition's lastTransitionTime changes with its status only. A list can't be patched in part, so the
 * patch has all conditions, and the resourceVersion that they were read with.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/kube/kubernetes_priv.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

#define OURS       "weft.dev/"
#define BALANCED   OURS "LoadBalancer" /* tells of the ingress */
#define MAX_OWN    16
#define MAX_STATUS ((size_t)1 << 20)

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *text_of(const cJSON *json, const char *key)
{
	const char *text = cJSON_GetStringValue(get(json, key));

	return text ? text : "";
}

static bool is_ours(const cJSON *condition)
{
	return !strncmp(text_of(condition, "type"), OURS, strlen(OURS));
}

static const cJSON *find_condition(const cJSON *status, const char *type)
{
	const cJSON *c;

	cJSON_ArrayForEach (c, get(status, "conditions"))
		if (!strcmp(text_of(c, "type"), type))
			return c;
	return NULL;
}

/* Is the ingress of this status our word? */
static bool has_ingress(const cJSON *status)
{
	return find_condition(status, BALANCED);
}

bool kubernetes_status_marked(const cJSON *status)
{
	const cJSON *c;

	cJSON_ArrayForEach (c, get(status, "conditions"))
		if (is_ours(c))
			return true;
	return false;
}

/* --- comparing --- */

static int by_type(const void *a, const void *b)
{
	return strcmp(text_of(*(const cJSON *const *)a, "type"), text_of(*(const cJSON *const *)b, "type"));
}

/* Texts are ended by NUL, which is in none of them. */
static void add_text(struct weft_buf *out, const char *text)
{
	weft_buf_add(out, text, strlen(text) + 1);
}

static void write_conditions(const cJSON *status, struct weft_buf *out)
{
	const cJSON *own[MAX_OWN] = {NULL}, *c;
	size_t n = 0;

	cJSON_ArrayForEach (c, get(status, "conditions"))
		if (is_ours(c) && n < MAX_OWN)
			own[n++] = c;
	qsort(own, n, sizeof(own[0]), by_type);
	for (size_t i = 0; i < n; i++) {
		add_text(out, text_of(own[i], "type"));
		add_text(out, text_of(own[i], "status"));
		add_text(out, text_of(own[i], "reason"));
		add_text(out, text_of(own[i], "message"));
	}
}

static void write_entries(const cJSON *status, struct weft_buf *out)
{
	const cJSON *entry;

	cJSON_ArrayForEach (entry, get(get(status, "loadBalancer"), "ingress")) {
		add_text(out, text_of(entry, "ip"));
		add_text(out, text_of(entry, "hostname"));
	}
}

static void write_ingress(const cJSON *status, struct weft_buf *out)
{
	if (has_ingress(status))
		write_entries(status, out);
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void write_figures(const cJSON *status, struct weft_buf *out)
{
	const cJSON *own[MAX_OWN] = {NULL}, *item;
	size_t n = 0;

	cJSON_ArrayForEach (item, status)
		if (strcmp(item->string, "conditions") && n < MAX_OWN)
			own[n++] = item;
	qsort(own, n, sizeof(own[0]), by_key);
	for (size_t i = 0; i < n; i++) {
		char *text = cJSON_PrintUnformatted(own[i]);

		add_text(out, own[i]->string);
		add_text(out, text ? text : "");
		cJSON_free(text);
	}
}

/* Our part, as bytes that are equal when it is. */
static void write_own(enum weft_kind kind, const cJSON *status, struct weft_buf *out)
{
	out->max = MAX_STATUS;
	if (kind == WEFT_SERVICE)
		write_ingress(status, out);
	else
		write_figures(status, out);
	write_conditions(status, out);
}

uint64_t kubernetes_status_hash(const struct kubernetes *k, enum weft_kind kind, const cJSON *status)
{
	weft_auto(weft_buf_free) struct weft_buf own = {0};

	write_own(kind, status, &own);
	return kubernetes_hash(k, weft_buf_text(&own), own.len);
}

uint64_t kubernetes_ingress_hash(const struct kubernetes *k, const cJSON *status)
{
	weft_auto(weft_buf_free) struct weft_buf all = {.max = MAX_STATUS};

	write_entries(status, &all);
	return kubernetes_hash(k, weft_buf_text(&all), all.len);
}

static bool same(enum weft_kind kind, const cJSON *a, const cJSON *b)
{
	weft_auto(weft_buf_free) struct weft_buf x = {0}, y = {0};

	write_own(kind, a, &x);
	write_own(kind, b, &y);
	return x.len == y.len && !x.failed && !y.failed && (!x.len || !memcmp(x.data, y.data, x.len));
}

/* --- the patch --- */

void kubernetes_now(char out[32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static cJSON *merged_conditions(const cJSON *there, const cJSON *wanted, const char *now)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *c, *former;

	cJSON_ArrayForEach (c, get(there, "conditions"))
		if (!is_ours(c))
			cJSON_AddItemToArray(out, cJSON_Duplicate(c, true));
	cJSON_ArrayForEach (c, get(wanted, "conditions")) {
		cJSON *own = cJSON_Duplicate(c, true);

		former = find_condition(there, text_of(c, "type"));
		if (former && strcmp(text_of(former, "status"), text_of(c, "status")))
			former = NULL;
		cJSON_DeleteItemFromObjectCaseSensitive(own, "lastTransitionTime");
		cJSON_AddStringToObject(own, "lastTransitionTime",
		                        former && *text_of(former, "lastTransitionTime")
		                                ? text_of(former, "lastTransitionTime")
		                                : now);
		cJSON_AddItemToArray(out, own);
	}
	if (out->child)
		return out;
	cJSON_Delete(out);
	return cJSON_CreateNull();
}

static bool is_part_of_address(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':';
}

/* Does the sentence have this address, and not as a part of a longer one? */
static bool names(const char *text, const char *ip)
{
	size_t len = strlen(ip);

	for (const char *at = text; len && (at = strstr(at, ip)); at++)
		if ((at == text || (!is_part_of_address(at[-1]) && at[-1] != '.')) &&
		    !is_part_of_address(at[len]) && !(at[len] == '.' && is_part_of_address(at[len + 1])))
			return true;
	return false;
}

/* Our condition names every address that the Service has of us, but that of a conflict, which names one of two. */
static bool gave(const cJSON *condition, const cJSON *entry)
{
	return condition && (!strcmp(text_of(condition, "reason"), "Conflict") ||
	                     names(text_of(condition, "message"), text_of(entry, "ip")));
}

/* What is there without what we gave. */
static cJSON *others(const cJSON *there)
{
	const cJSON *condition = find_condition(there, BALANCED), *entry;
	cJSON *out = cJSON_CreateArray();

	cJSON_ArrayForEach (entry, get(get(there, "loadBalancer"), "ingress"))
		if (!gave(condition, entry))
			cJSON_AddItemToArray(out, cJSON_Duplicate(entry, true));
	return out;
}

static void patch_ingress(cJSON *patch, const cJSON *there, const cJSON *wanted)
{
	const cJSON *ingress = get(get(wanted, "loadBalancer"), "ingress");
	cJSON *result = cJSON_GetArraySize(ingress) ? cJSON_Duplicate(ingress, true) : others(there);

	if (cJSON_GetArraySize(ingress) ||
	    cJSON_GetArraySize(result) < cJSON_GetArraySize(get(get(there, "loadBalancer"), "ingress")))
		cJSON_AddItemToObject(cJSON_AddObjectToObject(patch, "loadBalancer"), "ingress",
		                      result->child ? cJSON_Duplicate(result, true) : cJSON_CreateNull());
	cJSON_Delete(result);
}

/* Figures that are there and not wanted go. */
static void patch_figures(cJSON *patch, const cJSON *there, const cJSON *wanted)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, there)
		if (strcmp(item->string, "conditions") && !get(wanted, item->string))
			cJSON_AddNullToObject(patch, item->string);
	cJSON_ArrayForEach (item, wanted)
		if (strcmp(item->string, "conditions"))
			cJSON_AddItemToObject(patch, item->string, cJSON_Duplicate(item, true));
}

cJSON *kubernetes_status_patch(enum weft_kind kind, const cJSON *object, const cJSON *status, const char *now)
{
	const char *version = kubernetes_text(object, "metadata", "resourceVersion");
	const cJSON *there = get(object, "status");
	cJSON *patch, *part;

	if (same(kind, there, status))
		return NULL;
	patch = cJSON_CreateObject();
	cJSON_AddStringToObject(cJSON_AddObjectToObject(patch, "metadata"), "resourceVersion",
	                        version ? version : "");
	part = cJSON_AddObjectToObject(patch, "status");
	if (kind == WEFT_SERVICE)
		patch_ingress(part, there, status);
	else
		patch_figures(part, there, status);
	cJSON_AddItemToObject(part, "conditions", merged_conditions(there, status, now));
	return patch;
}
