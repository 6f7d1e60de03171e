// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "weft/object.h"

#define SUGGEST_MAX 32 /* longest word that suggestions are made for */

/* By hand: this runs for every value of every manifest, and printf() was a tenth of reading them. */
static size_t append(struct weft_decode_ctx *ctx, size_t len, const char *text, size_t n)
{
	size_t room = sizeof(ctx->path) - 1 - len;

	n = n < room ? n : room;
	memcpy(ctx->path + len, text, n);
	ctx->path[len + n] = '\0';
	return len + n;
}

size_t weft_path_push(struct weft_decode_ctx *ctx, const char *key)
{
	size_t len = strlen(ctx->path);

	/* 64: a key is as hostile as a value; the path is only text for people. */
	append(ctx, len ? append(ctx, len, ".", 1) : 0, key, strnlen(key, 64));
	return len;
}

size_t weft_path_push_index(struct weft_decode_ctx *ctx, size_t index)
{
	char text[24], *p = text + sizeof(text);
	size_t len = strlen(ctx->path);

	*--p = ']';
	do
		*--p = (char)('0' + index % 10);
	while (index /= 10);
	*--p = '[';
	append(ctx, len, p, (size_t)(text + sizeof(text) - p));
	return len;
}

void weft_path_pop(struct weft_decode_ctx *ctx, size_t len)
{
	ctx->path[len] = '\0';
}

int weft_decode_fail(struct weft_decode_ctx *ctx, const cJSON *at, const char *fmt, ...)
{
	char text[WEFT_ERR_TEXT];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctx->at = at;
	r = ctx->path[0] ? weft_err_set(&ctx->err, EINVAL, "%s: %s", ctx->path, text)
	                 : weft_err_set(&ctx->err, EINVAL, "%s", text);
	if (ctx->report) {
		if (!ctx->failed)
			ctx->failed = r;
		ctx->report(ctx);
	}
	return r;
}

const char *weft_json_type(const cJSON *v)
{
	if (!v || cJSON_IsNull(v))
		return "nothing";
	if (cJSON_IsBool(v))
		return "a boolean";
	if (cJSON_IsNumber(v))
		return "a number";
	if (cJSON_IsString(v))
		return "a string";
	return cJSON_IsArray(v) ? "a list" : "a mapping";
}

/* Levenshtein distance without regard to case; both at most SUGGEST_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[SUGGEST_MAX + 1];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < n; j++) {
			unsigned cost =
			        diagonal + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
			diagonal = row[j + 1];
			cost = row[j] + 1 < cost ? row[j] + 1 : cost;
			row[j + 1] = diagonal + 1 < cost ? diagonal + 1 : cost;
		}
	}
	return row[n];
}

const char *weft_suggest(const char *text, const char *const *names)
{
	size_t len = strlen(text);
	const char *best = NULL;
	unsigned least = 3;

	if (len > SUGGEST_MAX)
		return NULL;
	for (; *names; names++) {
		unsigned d;
		if (strlen(*names) > SUGGEST_MAX)
			continue;
		d = distance(text, *names);
		if (d < least && d * 2 < strlen(*names)) { /* else "a" would suggest any short word */
			least = d;
			best = *names;
		}
	}
	return best;
}

static int unknown_key(struct weft_decode_ctx *ctx, const struct weft_field_table *table, const cJSON *member)
{
	const char *names[64];
	const char *hint;
	size_t n = 0;
	size_t len = strlen(ctx->path);
	int r;

	for (; n < table->n && n < 63; n++)
		names[n] = table->fields[n].key;
	names[n] = NULL;
	hint = weft_suggest(member->string, names);
	/* "unknown field spec.blocksize" reads better than "spec.blocksize: unknown field". */
	char path[WEFT_FIELD_PATH];
	memcpy(path, ctx->path, len + 1);
	ctx->path[0] = '\0';
	r = weft_decode_fail(ctx, member, "unknown field %s%s%.64s%s%s%s", path, len ? "." : "",
	                     member->string, hint ? "; did you mean " : "", hint ? hint : "",
	                     hint ? "?" : "");
	memcpy(ctx->path, path, len + 1);
	return r;
}

static const struct weft_field *find_field(const struct weft_field_table *table, const char *key)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->fields[i].key[0] == key[0] && !strcmp(table->fields[i].key, key))
			return &table->fields[i];
	return NULL;
}

/* `seen` has a bit for each row: yaml.c refuses duplicate keys, but cJSON's parser does not, and a decoder
 * that runs twice for one field would lose or overrun what it built. */
static int decode_member(struct weft_decode_ctx *ctx, const struct weft_field_table *table,
                         const cJSON *member, uint64_t *seen, void *base)
{
	const struct weft_field *field = find_field(table, member->string);
	uint64_t bit;
	size_t len;
	int r;

	if (!field)
		return table->lenient ? 0 : unknown_key(ctx, table, member);
	if (!field->decode || cJSON_IsNull(member))
		return 0;
	bit = (uint64_t)1 << (field - table->fields);
	len = weft_path_push(ctx, field->key);
	r = *seen & bit ? weft_decode_fail(ctx, member, "appears twice")
	                : field->decode(ctx, field, member, (char *)base + field->offset);
	*seen |= bit;
	weft_path_pop(ctx, len);
	return r;
}

static int check_required(struct weft_decode_ctx *ctx, const struct weft_field_table *table,
                          const cJSON *object)
{
	int first = 0;

	for (size_t i = 0; i < table->n; i++) {
		const struct weft_field *field = &table->fields[i];
		const cJSON *v;
		size_t len;
		int r;

		if (!(field->flags & WEFT_FIELD_REQUIRED))
			continue;
		v = cJSON_GetObjectItemCaseSensitive(object, field->key);
		if (v && !cJSON_IsNull(v))
			continue;
		len = weft_path_push(ctx, field->key);
		r = weft_decode_fail(ctx, v ? v : object, "is missing");
		weft_path_pop(ctx, len);
		first = first ? first : r;
		if (!ctx->report)
			return first;
	}
	return first;
}

int weft_fields_decode(struct weft_decode_ctx *ctx, const struct weft_field_table *table, const cJSON *object,
                       void *base)
{
	const cJSON *member;
	uint64_t seen = 0;
	int first = 0, r;

	if (!cJSON_IsObject(object))
		return weft_decode_fail(ctx, object, "must be a mapping, not %s", weft_json_type(object));
	cJSON_ArrayForEach (member, object) {
		r = decode_member(ctx, table, member, &seen, base);
		if (r < 0 && !ctx->report)
			return r;
		first = first ? first : r;
	}
	r = check_required(ctx, table, object);
	return first ? first : r;
}

int weft_field_object(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	return weft_fields_decode(ctx, f->arg, v, out);
}

int weft_field_bool(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	if (!cJSON_IsBool(v))
		return weft_decode_fail(ctx, v, "must be true or false, not %s", weft_json_type(v));
	*(bool *)out = cJSON_IsTrue(v);
	return 0;
}

int weft_decode_uint(struct weft_decode_ctx *ctx, const cJSON *v, const struct weft_limits *limits,
                     uint64_t *out)
{
	double d;

	if (!cJSON_IsNumber(v))
		return weft_decode_fail(ctx, v, "must be a number, not %s", weft_json_type(v));
	d = v->valuedouble;
	/* Written so that NaN fails it. */
	if (!(d >= (double)limits->min && d <= (double)limits->max) || d != (double)(uint64_t)d)
		return weft_decode_fail(ctx, v, "%.15g is not a whole number from %llu to %llu", d,
		                        (unsigned long long)limits->min, (unsigned long long)limits->max);
	*out = (uint64_t)d;
	return 0;
}

int weft_field_u8(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	uint64_t value = 0;
	int r = weft_decode_uint(ctx, v, f->arg, &value);

	if (r == 0)
		*(uint8_t *)out = (uint8_t)value;
	return r;
}

int weft_field_u16(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	uint64_t value = 0;
	int r = weft_decode_uint(ctx, v, f->arg, &value);

	if (r == 0)
		*(uint16_t *)out = (uint16_t)value;
	return r;
}

int weft_field_u32(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	uint64_t value = 0;
	int r = weft_decode_uint(ctx, v, f->arg, &value);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)value;
	return r;
}

int weft_field_enum(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_enum *e = f->arg;
	const char *text = weft_decode_text(ctx, v, 64);
	char list[256] = "";
	const char *hint;

	if (!text)
		return ctx->err.code;
	for (int i = 0; e->names[i]; i++) {
		size_t len = strlen(list);
		if (!strcmp(text, e->names[i])) {
			*(int *)out = i;
			return 0;
		}
		snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", e->names[i]);
	}
	hint = weft_suggest(text, e->names);
	if (hint)
		return weft_decode_fail(ctx, v, "\"%s\" is not known; did you mean %s?", text, hint);
	return weft_decode_fail(ctx, v, "\"%s\" is not one of %s", text, list);
}

int weft_field_list(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_list *list = f->arg;
	const struct weft_field one = {.key = f->key, .arg = list->arg};
	size_t *n = (size_t *)((char *)out - f->offset + list->count);
	size_t given = (size_t)cJSON_GetArraySize(v);
	char *array;
	int r = 0;

	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (given > list->max)
		return weft_decode_fail(ctx, v, "has more than %zu entries", list->max);
	if (given < list->min)
		return weft_decode_fail(ctx, v, "needs at least %zu entr%s", list->min,
		                        list->min == 1 ? "y" : "ies");
	array = calloc(given ? given : 1, list->size);
	if (!array)
		return weft_decode_fail(ctx, v, "out of memory");
	*(char **)out = array;
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, *n);

		r = list->one(ctx, &one, c, array + (*n)++ * list->size);
		weft_path_pop(ctx, len);
	}
	return r;
}

size_t weft_char_printable(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (p[0] >= 0xc2 && p[0] <= 0xdf && (p[1] & 0xc0) == 0x80)
		return p[0] == 0xc2 && p[1] < 0xa0 ? 0 : 2; /* C1 controls */
	if ((p[0] & 0xf0) == 0xe0 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
		bool overlong = p[0] == 0xe0 && p[1] < 0xa0, surrogate = p[0] == 0xed && p[1] > 0x9f;
		return overlong || surrogate ? 0 : 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
	    (p[3] & 0xc0) == 0x80) {
		bool overlong = p[0] == 0xf0 && p[1] < 0x90, beyond = p[0] == 0xf4 && p[1] > 0x8f;
		return overlong || beyond ? 0 : 4;
	}
	return 0;
}

bool weft_text_printable(const char *text)
{
	size_t step = 1;

	for (; *text && step; text += step)
		step = weft_char_printable(text);
	return step;
}

const char *weft_decode_text(struct weft_decode_ctx *ctx, const cJSON *v, size_t max)
{
	const char *text;

	if (!cJSON_IsString(v)) {
		weft_decode_fail(ctx, v, "must be a string, not %s", weft_json_type(v));
		return NULL;
	}
	text = v->valuestring;
	if (strlen(text) > max) {
		weft_decode_fail(ctx, v, "is longer than %zu bytes", max);
		return NULL;
	}
	if (!weft_text_printable(text)) {
		weft_decode_fail(ctx, v, "holds a control character or bytes that are not UTF-8");
		return NULL;
	}
	return text;
}

const char *weft_decode_name(struct weft_decode_ctx *ctx, const cJSON *v)
{
	const char *text = weft_decode_text(ctx, v, WEFT_NAME_MAX);

	if (text && !weft_name_valid(text)) {
		weft_decode_fail(ctx, v, "\"%.80s\" is not a name (lower case letters, digits, '-' and '.')",
		                 text);
		return NULL;
	}
	return text;
}
