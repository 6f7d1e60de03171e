// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * v1 Secret: data (base64) and stringData (plain; wins over data, as in the API).
 *
 * Values go straight into guarded memory. No message here quotes one.
 */
#include "agent/source/kinds.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ITEMS 256
#define MAX_VALUE ((size_t)64 << 10)

static struct weft_secret_item *find_item(struct weft_secret *s, const char *key)
{
	for (size_t i = 0; i < s->n_items; i++)
		if (!strcmp(s->items[i].key, key))
			return &s->items[i];
	return NULL;
}

/* Guarded room for a value under this key, replacing a former one. */
static int make_item(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_secret *s, size_t size,
                     struct weft_secret_item **out)
{
	struct weft_secret_item *item = find_item(s, v->string);

	if (!item) {
		item = &s->items[s->n_items];
		if (weft_decode_copy(ctx, v, v->string, &item->key) < 0)
			return ctx->err.code;
		s->n_items++;
	}
	sodium_free(item->value);
	item->len = 0;
	item->value = sodium_malloc(size ? size : 1);
	if (!item->value)
		return weft_decode_fail(ctx, v, "no guarded memory is left; raise RLIMIT_MEMLOCK");
	*out = item;
	return 0;
}

static int plain_item(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_secret *s)
{
	size_t len = strlen(v->valuestring);
	struct weft_secret_item *item;

	if (len > MAX_VALUE)
		return weft_decode_fail(ctx, v, "is longer than %zu bytes", MAX_VALUE);
	if (make_item(ctx, v, s, len, &item) < 0)
		return ctx->err.code;
	memcpy(item->value, v->valuestring, len);
	item->len = len;
	return 0;
}

static int base64_item(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_secret *s)
{
	size_t len = strlen(v->valuestring), got;
	struct weft_secret_item *item;
	const char *end;

	if (len / 4 * 3 > MAX_VALUE)
		return weft_decode_fail(ctx, v, "is longer than %zu bytes", MAX_VALUE);
	if (make_item(ctx, v, s, len, &item) < 0)
		return ctx->err.code;
	if (sodium_base642bin(item->value, len, v->valuestring, len, NULL, &got, &end,
	                      sodium_base64_VARIANT_ORIGINAL) < 0 ||
	    *end)
		return weft_decode_fail(ctx, v,
		                        "is not base64 (RFC 4648, padded, without line breaks); "
		                        "plain text belongs in stringData");
	item->len = got;
	return 0;
}

static int items(struct weft_decode_ctx *ctx, const cJSON *map, struct weft_secret *s,
                 int (*one)(struct weft_decode_ctx *, const cJSON *, struct weft_secret *))
{
	const cJSON *v;

	if (!map || cJSON_IsNull(map))
		return 0;
	if (!cJSON_IsObject(map))
		return weft_decode_fail(ctx, map, "must be a mapping, not %s", weft_json_type(map));
	cJSON_ArrayForEach (v, map) {
		size_t len;
		int r;

		if (!weft_secret_key_valid(v->string))
			return weft_decode_fail(ctx, v, "\"%.80s\" is not a key of a Secret", v->string);
		len = weft_path_push(ctx, v->string);
		r = cJSON_IsString(v)
		            ? one(ctx, v, s)
		            : weft_decode_fail(ctx, v, "must be a string, not %s", weft_json_type(v));
		if (r < 0)
			return r;
		weft_path_pop(ctx, len);
	}
	return 0;
}

int weft_decode_secret(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(json, "data");
	const cJSON *plain = cJSON_GetObjectItemCaseSensitive(json, "stringData");
	size_t n = (size_t)cJSON_GetArraySize(data) + (size_t)cJSON_GetArraySize(plain);
	size_t len;
	int r;

	if (sodium_init() < 0)
		return weft_decode_fail(ctx, json, "libsodium can't start");
	if (n > MAX_ITEMS)
		return weft_decode_fail(ctx, json, "has more than %d values", MAX_ITEMS);
	r = weft_decode_array(ctx, json, n, sizeof(struct weft_secret_item), (void **)&obj->secret.items);
	if (r < 0)
		return r;
	len = weft_path_push(ctx, "data");
	r = items(ctx, data, &obj->secret, base64_item);
	if (r < 0)
		return r;
	weft_path_pop(ctx, len);
	weft_path_push(ctx, "stringData");
	r = items(ctx, plain, &obj->secret, plain_item);
	weft_path_pop(ctx, len);
	return r;
}
