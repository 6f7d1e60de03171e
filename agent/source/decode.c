// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which kind a JSON object is, its metadata, and the hand-over to the kind's table (kinds.c).
 */
#include "agent/source/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/fields.h"
#include "agent/source/kinds.h"
#include "weft/cleanup.h"

#define MAX_LABELS     1000
#define MAX_ANNOTATION ((size_t)16 << 10)

static const char *string_item(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

/*
 * Kubernetes' kinds have namesakes in other groups (Knative's Service) that are none of weft's business; who
 * has the name of one of weft's own kinds meant it.
 */
static bool same_group(const char *api, enum weft_kind kind)
{
	const char *want = weft_kind_api(kind);
	const char *end = strchr(want, '/');
	size_t len = end ? (size_t)(end - want) + 1 : 0;

	if (!strncmp(want, WEFT_GROUP "/", strlen(WEFT_GROUP "/")))
		return true;
	return !strncmp(api, want, len) && !strchr(api + len, '/');
}

static bool api_known(const char *api, enum weft_kind kind)
{
	/* Before Kubernetes 1.33 there is no other; the two differ in nothing. */
	if (kind == WEFT_SERVICECIDR && !strcmp(api, "networking.k8s.io/v1beta1"))
		return true;
	return !strcmp(api, weft_kind_api(kind));
}

/* 1: one of ours, in out; 0: not our business; negative: an error. */
static int find_kind(struct weft_decode_ctx *ctx, const cJSON *json, enum weft_kind *out)
{
	const char *names[WEFT_KIND_COUNT + 1];
	const char *kind = string_item(json, "kind"), *api = string_item(json, "apiVersion");
	const cJSON *at = cJSON_GetObjectItemCaseSensitive(json, "kind");
	const char *hint;

	if (!kind || !*kind)
		return weft_decode_fail(ctx, at ? at : json, "kind is missing");
	if (!api || !*api)
		return weft_decode_fail(ctx, json, "apiVersion is missing");
	for (int k = 0; k < WEFT_KIND_COUNT; k++) {
		names[k] = weft_kind_name(k);
		if (strcmp(kind, names[k]))
			continue;
		if (!same_group(api, k))
			return 0;
		if (!api_known(api, k))
			return weft_decode_fail(ctx, cJSON_GetObjectItemCaseSensitive(json, "apiVersion"),
			                        "apiVersion of kind %s must be %s, not \"%.64s\"", kind,
			                        weft_kind_api(k), api);
		*out = k;
		return 1;
	}
	names[WEFT_KIND_COUNT] = NULL;
	hint = strncmp(api, WEFT_GROUP "/", strlen(WEFT_GROUP "/")) ? NULL : weft_suggest(kind, names);
	if (hint)
		return weft_decode_fail(ctx, at, "unknown kind \"%.64s\"; did you mean %s?", kind, hint);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct weft_label *)a)->key, ((const struct weft_label *)b)->key);
}

static int labels_array(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_label **out)
{
	if (!cJSON_IsObject(v))
		return weft_decode_fail(ctx, v, "must be a mapping, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > MAX_LABELS)
		return weft_decode_fail(ctx, v, "has more than %d entries", MAX_LABELS);
	return weft_decode_array(ctx, v, (size_t)cJSON_GetArraySize(v), sizeof(**out), (void **)out);
}

static int decode_label(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_label *out)
{
	const char *value;

	if (!weft_label_key_valid(v->string))
		return weft_decode_fail(ctx, v, "\"%.80s\" is not a label key", v->string);
	value = weft_decode_text(ctx, v, 63);
	if (!value)
		return ctx->err.code;
	if (!weft_label_value_valid(value))
		return weft_decode_fail(ctx, v, "\"%s\" is not a label value", value);
	if (weft_decode_copy(ctx, v, v->string, &out->key) < 0)
		return ctx->err.code;
	return weft_decode_copy(ctx, v, value, &out->value);
}

/*
 * An annotation's value can be any text of any size. It is made printable and short rather than refused: who
 * reads it will find it odd and say so, and the object stays of use.
 */
static int decode_annotation(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_label *out)
{
	if (!weft_label_key_valid(v->string))
		return weft_decode_fail(ctx, v, "\"%.80s\" is not an annotation key", v->string);
	if (!cJSON_IsString(v))
		return weft_decode_fail(ctx, v, "must be a string, not %s", weft_json_type(v));
	out->key = strdup(v->string);
	out->value = strndup(v->valuestring, MAX_ANNOTATION);
	if (!out->key || !out->value)
		return weft_decode_fail(ctx, v, "out of memory");
	weft_text_clean(out->value);
	if (!weft_text_printable(out->value))
		for (char *p = out->value; *p; p++)
			*p = *p & 0x80 ? '?' : *p;
	return 0;
}

int weft_decode_labels(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_label **out, size_t *n)
{
	int r = labels_array(ctx, v, out);

	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push(ctx, c->string);
		r = decode_label(ctx, c, &(*out)[(*n)++]);
		weft_path_pop(ctx, len);
	}
	if (r == 0)
		qsort(*out, *n, sizeof(**out), by_key);
	return r;
}

static int field_labels(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_meta *meta = out;

	(void)f;
	return weft_decode_labels(ctx, v, &meta->labels, &meta->n_labels);
}

static int field_deleting(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)ctx;
	(void)f;
	(void)v;
	*(bool *)out = true;
	return 0;
}

/* The others are foreign texts of any size, and some change every few seconds. */
static bool annotation_is_ours(const cJSON *v)
{
	return !strncmp(v->string, WEFT_GROUP "/", strlen(WEFT_GROUP "/"));
}

static int field_annotations(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                             void *out)
{
	struct weft_meta *meta = out;
	int r = labels_array(ctx, v, &meta->annotations);

	(void)f;
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push(ctx, c->string);
		if (annotation_is_ours(c))
			r = decode_annotation(ctx, c, &meta->annotations[meta->n_annotations++]);
		weft_path_pop(ctx, len);
	}
	if (r == 0)
		qsort(meta->annotations, meta->n_annotations, sizeof(*meta->annotations), by_key);
	return r;
}

static int field_resource_version(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                                  void *out)
{
	const char *text = weft_decode_text(ctx, v, 64);

	(void)f;
	return text ? weft_decode_copy(ctx, v, text, out) : ctx->err.code;
}

static const struct weft_field meta_fields[] = {
        {"labels", field_labels, 0, 0, NULL},
        {"annotations", field_annotations, 0, 0, NULL},
        {"resourceVersion", field_resource_version, offsetof(struct weft_meta, resource_version), 0, NULL},
        {"deletionTimestamp", field_deleting, offsetof(struct weft_meta, deleting), 0, NULL},
};
WEFT_FIELD_TABLE_LENIENT(meta_table, meta_fields);

static int copy_name(struct weft_decode_ctx *ctx, const cJSON *meta, const char *key, const char *fallback,
                     char **out)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(meta, key);
	size_t len = weft_path_push(ctx, key);
	const char *text = fallback;
	int r = 0;

	if (v && !cJSON_IsNull(v)) {
		text = weft_decode_name(ctx, v);
		if (!text)
			r = ctx->err.code;
	} else if (!text) {
		r = weft_decode_fail(ctx, meta, "is missing");
	}
	if (r == 0)
		r = weft_decode_copy(ctx, v, text, out);
	weft_path_pop(ctx, len);
	return r;
}

/* The name comes before all else, so that a later error can say whose it is. */
static int decode_identity(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(json, "metadata");
	size_t len = weft_path_push(ctx, "metadata");
	int r;

	if (!cJSON_IsObject(meta))
		return weft_decode_fail(ctx, meta ? meta : json, "must be a mapping, not %s",
		                        weft_json_type(meta));
	r = copy_name(ctx, meta, "name", NULL, &obj->meta.name);
	if (r == 0 && weft_kind_namespaced(obj->kind))
		r = copy_name(ctx, meta, "namespace",
		              obj->kind == WEFT_SECRET ? WEFT_SECRET_NAMESPACE : WEFT_DEFAULT_NAMESPACE,
		              &obj->meta.namespace);
	weft_path_pop(ctx, len);
	return r;
}

static int decode_rest(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(json, "metadata");
	size_t len = weft_path_push(ctx, "metadata");
	int r = weft_fields_decode(ctx, &meta_table, meta, &obj->meta);

	weft_path_pop(ctx, len);
	return r < 0 ? r : weft_kind_decoders[obj->kind].decode(ctx, json, obj);
}

static void free_object(struct weft_object **obj)
{
	weft_object_free(*obj);
}

/* A kind of WEFT_KIND_COUNT is to be found out. */
static int decode(struct weft_decode_ctx *ctx, enum weft_kind kind, const cJSON *json,
                  struct weft_decoded *out)
{
	weft_auto(free_object) struct weft_object *obj = NULL;
	int r = 1;

	if (!cJSON_IsObject(json))
		return weft_decode_fail(ctx, json, "an object must be a mapping, not %s",
		                        weft_json_type(json));
	if (kind == WEFT_KIND_COUNT)
		r = find_kind(ctx, json, &kind);
	if (r <= 0)
		return r;
	out->kind = kind;
	obj = calloc(1, sizeof(*obj));
	if (!obj)
		return weft_decode_fail(ctx, json, "out of memory");
	obj->kind = kind;
	r = decode_identity(ctx, json, obj);
	if (r == 0) {
		weft_object_key(obj, out->key);
		r = decode_rest(ctx, json, obj);
	}
	if (r == 0)
		out->obj = WEFT_TAKE_PTR(obj);
	return r;
}

int weft_decode(const cJSON *json, struct weft_decoded *out, struct weft_err *err)
{
	return weft_decode_as(WEFT_KIND_COUNT, json, out, err);
}

int weft_decode_as(enum weft_kind kind, const cJSON *json, struct weft_decoded *out, struct weft_err *err)
{
	struct weft_decode_ctx ctx = {.err = WEFT_ERR_INIT};
	int r;

	*out = (struct weft_decoded){.kind = WEFT_KIND_COUNT};
	r = decode(&ctx, kind, json, out);
	if (r == 0)
		return 0;
	out->at = ctx.at;
	if (out->kind == WEFT_KIND_COUNT)
		return weft_err_set(err, r, "%s", ctx.err.text);
	return weft_err_set(err, r, "%s%s%s: %s", weft_kind_name(out->kind), *out->key ? "/" : "", out->key,
	                    ctx.err.text);
}

void weft_encode_ipblock(const struct weft_prefix *cidr, const char *node, const char *pool,
                         struct weft_buf *out)
{
	char name[WEFT_PREFIX_STR], text[WEFT_PREFIX_STR];

	/* All four values are of name, address or CIDR syntax: quoted, they need no escapes. */
	weft_buf_printf(out,
	                "apiVersion: %s\nkind: %s\nmetadata:\n  name: \"%s\"\nspec:\n"
	                "  cidr: \"%s\"\n  node: \"%s\"\n  pool: \"%s\"\n",
	                weft_kind_api(WEFT_IPBLOCK), weft_kind_name(WEFT_IPBLOCK),
	                weft_block_name(cidr, name), weft_prefix_str(cidr, text), node, pool);
}
