// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Table-driven decoding of JSON objects into structs.
 *
 * A table row says: this key is decoded by this function into this offset. The walker finds each key's row,
 * refuses keys without one, checks that required ones are there, and keeps the path ("spec.cidr") and the
 * JSON node of the first error. A null value counts as absent. Decoders bound and validate: what they store
 * is safe to use anywhere.
 */
#ifndef WEFT_SOURCE_FIELDS_H
#define WEFT_SOURCE_FIELDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

#define WEFT_FIELD_PATH 256

struct weft_decode_ctx {
	char path[WEFT_FIELD_PATH]; /* of the value being decoded */
	const cJSON *at;            /* the node that err is about */
	struct weft_err err;        /* without the path; see weft_decode_fail() */
	/* Called for each error when set, and decoding goes on; otherwise the first error ends it. */
	void (*report)(struct weft_decode_ctx *ctx);
	void *report_ctx;
	int failed; /* the first error's code, once reported */
};

struct weft_field;
typedef int (*weft_field_fn)(struct weft_decode_ctx *ctx, const struct weft_field *field, const cJSON *value,
                             void *out);

#define WEFT_FIELD_REQUIRED 0x1u

struct weft_field {
	const char *key;
	weft_field_fn decode; /* NULL: known, not read */
	size_t offset;
	unsigned flags;
	const void *arg; /* limits, see each decoder */
};

struct weft_field_table {
	const struct weft_field *fields;
	size_t n;     /* at most 64 */
	bool lenient; /* unknown keys are ignored */
};

#define WEFT_FIELD_TABLE(name, array) \
	static const struct weft_field_table name = {.fields = array, .n = sizeof(array) / sizeof((array)[0])}
/* For kinds of which weft reads a part. */
#define WEFT_FIELD_TABLE_LENIENT(name, array)         \
	static const struct weft_field_table name = { \
	        .fields = array, .n = sizeof(array) / sizeof((array)[0]), .lenient = true}

/* Decode the members of a JSON object into base. */
int weft_fields_decode(struct weft_decode_ctx *ctx, const struct weft_field_table *table, const cJSON *object,
                       void *base);

/* Fail at a node, unless a deeper failure is there: "PATH: text" in ctx->err. Returns a negative errno. */
int weft_decode_fail(struct weft_decode_ctx *ctx, const cJSON *at, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Go down one step, "key" or "[n]"; the returned length goes to weft_path_pop(). */
size_t weft_path_push(struct weft_decode_ctx *ctx, const char *key);
size_t weft_path_push_index(struct weft_decode_ctx *ctx, size_t index);
void weft_path_pop(struct weft_decode_ctx *ctx, size_t len);

/* "string", "number", ... for messages. */
const char *weft_json_type(const cJSON *value);

/*
 * The name out of a NULL-terminated list that `text` was probably meant to be (other case, at most two
 * letters wrong), or NULL.
 */
const char *weft_suggest(const char *text, const char *const *names);

/* Limits for whole numbers. */
struct weft_limits {
	uint64_t min, max;
};

/* Names of an enum in the order of its values, NULL-terminated; stored as int. */
struct weft_enum {
	const char *const *names;
};

/* Shared decoders. `out` is what the name says; arg is in brackets. */
int weft_field_object(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                      void *out); /* [struct weft_field_table]; out is the base of the nested struct */
int weft_field_bool(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);
int weft_field_u8(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                  void *out); /* [struct weft_limits] */
int weft_field_u16(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                   void *out); /* [struct weft_limits] */
int weft_field_u32(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                   void *out); /* [struct weft_limits] */
int weft_field_enum(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                    void *out); /* [struct weft_enum]; int */

/* A list: each entry is decoded by `one` (with arg) into an element of an array that the field is the pointer of. */
struct weft_list {
	weft_field_fn one;
	size_t size;  /* of an element */
	size_t count; /* offset of the size_t with the number of elements, in the same struct as the field */
	size_t min, max; /* entries */
	const void *arg;
};
int weft_field_list(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                    void *out); /* [struct weft_list]; a pointer to a calloc'd array */

/* Whole, 0 <= value <= 2^53, within the limits. */
int weft_decode_uint(struct weft_decode_ctx *ctx, const cJSON *v, const struct weft_limits *limits,
                     uint64_t *out);

/* Bytes of the first character if it is well-formed UTF-8 (RFC 3629) and no control character, else 0. */
size_t weft_char_printable(const char *text);

/* Valid UTF-8 without control characters. */
bool weft_text_printable(const char *text);

/* The text of a string of at most max bytes, valid UTF-8, without control characters; NULL after a failure.
 */
const char *weft_decode_text(struct weft_decode_ctx *ctx, const cJSON *v, size_t max);

/* The text of a string that is such a name; NULL after a failure. */
const char *weft_decode_name(struct weft_decode_ctx *ctx, const cJSON *v);

#endif
