// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each kind holds, for decode.c: one row per kind, one table per spec.
 */
#ifndef WEFT_SOURCE_KINDS_H
#define WEFT_SOURCE_KINDS_H

#include "agent/source/fields.h"
#include "weft/object.h"

struct weft_kind_decoder {
	/* Decode the object's body; meta is there already. */
	int (*decode)(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
};

extern const struct weft_kind_decoder weft_kind_decoders[WEFT_KIND_COUNT];

/* Name syntaxes of the API, apimachinery/pkg/util/validation. */
bool weft_label_key_valid(const char *key);
bool weft_label_value_valid(const char *value);

/* "LabelSelector" of a field; out is a struct weft_selector. */
int weft_field_selector(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* data and stringData of a Secret. */
int weft_decode_secret(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);

/* strdup() into *out; -ENOMEM is described in ctx. */
int weft_decode_copy(struct weft_decode_ctx *ctx, const cJSON *at, const char *text, char **out);

/* calloc(n, size) into *out, for an array that a decoder is about to fill. */
int weft_decode_array(struct weft_decode_ctx *ctx, const cJSON *at, size_t n, size_t size, void **out);

#endif
