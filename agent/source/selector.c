// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Labels and metav1.LabelSelector.
 */
#include "agent/source/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#define MAX_REQUIREMENTS 64
#define MAX_VALUES       256
#define LABEL_MAX        63

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* 1 to 63 of [A-Za-z0-9_.-], beginning and ending with a letter or digit. */
static bool label_syntax(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > LABEL_MAX || !alnum(text[0]) || !alnum(text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alnum(text[i]) && !strchr("-_.", text[i]))
			return false;
	return true;
}

bool weft_label_value_valid(const char *value)
{
	return !*value || label_syntax(value);
}

/* [PREFIX/]NAME, the prefix a DNS-1123 subdomain. */
bool weft_label_key_valid(const char *key)
{
	const char *slash = strchr(key, '/');
	char prefix[WEFT_NAME_MAX + 1];
	size_t len;

	if (!slash)
		return label_syntax(key);
	len = (size_t)(slash - key);
	if (len > WEFT_NAME_MAX)
		return false;
	memcpy(prefix, key, len);
	prefix[len] = '\0';
	return weft_name_valid(prefix) && label_syntax(slash + 1);
}

int weft_decode_copy(struct weft_decode_ctx *ctx, const cJSON *at, const char *text, char **out)
{
	char *copy = strdup(text);

	if (!copy)
		return weft_decode_fail(ctx, at, "out of memory");
	free(*out);
	*out = copy;
	return 0;
}

int weft_decode_array(struct weft_decode_ctx *ctx, const cJSON *at, size_t n, size_t size, void **out)
{
	*out = calloc(n ? n : 1, size);
	return *out ? 0 : weft_decode_fail(ctx, at, "out of memory");
}

static int label_key(struct weft_decode_ctx *ctx, const cJSON *at, const char *key, char **out)
{
	if (!weft_label_key_valid(key))
		return weft_decode_fail(ctx, at, "\"%.80s\" is not a label key", key);
	return weft_decode_copy(ctx, at, key, out);
}

static int label_value(struct weft_decode_ctx *ctx, const cJSON *v, char **out)
{
	const char *text = weft_decode_text(ctx, v, LABEL_MAX);

	if (!text)
		return ctx->err.code;
	if (!weft_label_value_valid(text))
		return weft_decode_fail(ctx, v, "\"%s\" is not a label value", text);
	return weft_decode_copy(ctx, v, text, out);
}

/* Room for n more requirements. */
static int grow(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_selector *s)
{
	size_t n = (size_t)cJSON_GetArraySize(v);
	struct weft_requirement *reqs;

	if (s->n_reqs + n > MAX_REQUIREMENTS)
		return weft_decode_fail(ctx, v, "has more than %d requirements", MAX_REQUIREMENTS);
	reqs = realloc(s->reqs, (s->n_reqs + n + 1) * sizeof(*reqs));
	if (!reqs)
		return weft_decode_fail(ctx, v, "out of memory");
	memset(reqs + s->n_reqs, 0, (n + 1) * sizeof(*reqs));
	s->reqs = reqs;
	return 0;
}

static int match_label(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_requirement *req)
{
	int r = label_key(ctx, v, v->string, &req->key);

	if (r == 0)
		r = weft_decode_array(ctx, v, 1, sizeof(char *), (void **)&req->values);
	if (r < 0)
		return r;
	req->op = WEFT_SEL_IN;
	req->n_values = 1;
	return label_value(ctx, v, &req->values[0]);
}

static int match_labels(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_selector *s = out;
	const cJSON *c;
	int r;

	(void)f;
	if (!cJSON_IsObject(v))
		return weft_decode_fail(ctx, v, "must be a mapping, not %s", weft_json_type(v));
	r = grow(ctx, v, s);
	for (c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push(ctx, c->string);
		r = match_label(ctx, c, &s->reqs[s->n_reqs++]);
		weft_path_pop(ctx, len);
	}
	return r;
}

static int requirement_key(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_NAME_MAX + 1 + LABEL_MAX);

	(void)f;
	return text ? label_key(ctx, v, text, out) : ctx->err.code;
}

static int requirement_values(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                              void *out)
{
	struct weft_requirement *req = out;
	const cJSON *c;
	int r;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > MAX_VALUES)
		return weft_decode_fail(ctx, v, "has more than %d values", MAX_VALUES);
	r = weft_decode_array(ctx, v, (size_t)cJSON_GetArraySize(v), sizeof(char *), (void **)&req->values);
	for (c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, req->n_values);
		r = label_value(ctx, c, &req->values[req->n_values++]);
		weft_path_pop(ctx, len);
	}
	return r;
}

static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
static const struct weft_enum operator_enum = {operators};
_Static_assert(sizeof(enum weft_selector_op) == sizeof(int), "weft_field_enum stores an int");

static const struct weft_field requirement_fields[] = {
        {"key", requirement_key, offsetof(struct weft_requirement, key), WEFT_FIELD_REQUIRED, NULL},
        {"operator", weft_field_enum, offsetof(struct weft_requirement, op), WEFT_FIELD_REQUIRED,
         &operator_enum},
        {"values", requirement_values, 0, 0, NULL},
};
WEFT_FIELD_TABLE(requirement_table, requirement_fields);

static int match_expression(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_requirement *req)
{
	int r = weft_fields_decode(ctx, &requirement_table, v, req);
	bool wants = req->op == WEFT_SEL_IN || req->op == WEFT_SEL_NOT_IN;

	if (r < 0)
		return r;
	if (wants && !req->n_values)
		return weft_decode_fail(ctx, v, "operator %s needs values", operators[req->op]);
	if (!wants && req->n_values)
		return weft_decode_fail(ctx, v, "operator %s takes no values", operators[req->op]);
	return 0;
}

static int match_expressions(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                             void *out)
{
	struct weft_selector *s = out;
	size_t index = 0;
	int r;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	r = grow(ctx, v, s);
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		r = match_expression(ctx, c, &s->reqs[s->n_reqs++]);
		weft_path_pop(ctx, len);
	}
	return r;
}

static const struct weft_field selector_fields[] = {
        {"matchLabels", match_labels, 0, 0, NULL},
        {"matchExpressions", match_expressions, 0, 0, NULL},
};
WEFT_FIELD_TABLE(selector_table, selector_fields);

int weft_field_selector(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	return weft_fields_decode(ctx, &selector_table, v, out);
}
