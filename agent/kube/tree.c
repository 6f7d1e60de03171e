// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parsing: tree.h. One pass, recursive as cJSON is, but less deep. Every function returns where it stopped,
 * or NULL if this is for cJSON to judge.
 */
#include "agent/kube/tree.h"

#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weft/keyhash.h"

#define DEPTH_MAX  64
#define DIGITS_MAX 15 /* exact in a double */
#define SPARE      1024
#define PIECE_MAX  ((size_t)256 << 10) /* of the first; what does not fit gets others */

struct kube_tree_piece {
	struct kube_tree_piece *next;
	size_t size, used;
	char data[] __attribute__((aligned(16)));
};

struct parse {
	struct kube_tree *tree;
	const char *end;
	unsigned depth;
};

/* --- memory --- */

static void add_piece(struct kube_tree *t, size_t size)
{
	struct kube_tree_piece *p = malloc(sizeof(*p) + size);

	if (!p)
		abort(); /* as must_alloc() */
	p->next = t->pieces;
	p->size = size;
	p->used = 0;
	t->pieces = p;
}

static void *room(struct kube_tree *t, size_t len)
{
	struct kube_tree_piece *p = t->pieces;

	len = (len + 15) & ~(size_t)15;
	if (p->size - p->used < len) {
		add_piece(t, len > p->size ? len : p->size);
		p = t->pieces;
	}
	p->used += len;
	return p->data + p->used - len;
}

/* --- texts --- */

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

static int hex4(const char *at)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		            : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                                   : -1;

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* \uXXXX as UTF-8. NULL: a surrogate, a NUL, no number. */
static char *put_code(char *to, const char *at, const char *end)
{
	int code = end - at >= 4 ? hex4(at) : -1;

	if (code <= 0 || (code >= 0xd800 && code <= 0xdfff))
		return NULL;
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
		*to++ = (char)(0x80 | (code & 0x3f));
	} else {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	}
	return to;
}

static char plain_escape(char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	return at ? to[at - from] : '\0';
}

/* What follows a backslash. */
static const char *escaped(const char *at, const char *end, char **to)
{
	char plain = at < end ? plain_escape(*at) : '\0';

	if (plain) {
		*(*to)++ = plain;
		return at + 1;
	}
	if (at >= end || *at != 'u')
		return NULL;
	*to = put_code(*to, at + 1, end);
	return *to ? at + 5 : NULL;
}

/* Up to the quote; with escapes it only gets shorter. */
static const char *unescape(const char *at, const char *quote, char *to)
{
	while (at && at < quote) {
		if (*at == '\\')
			at = escaped(at + 1, quote, &to);
		else
			*to++ = *at++;
	}
	if (at)
		*to = '\0';
	return at;
}

/* at: behind the opening quote. */
static const char *string(struct parse *p, const char *at, char **out)
{
	const char *quote = at;
	bool escapes = false;

	for (; quote < p->end && *quote != '"'; quote++) {
		if (*quote == '\\') {
			escapes = true;
			quote++;
		}
	}
	if (quote >= p->end)
		return NULL;
	*out = room(p->tree, (size_t)(quote - at) + 1);
	if (!escapes) {
		memcpy(*out, at, (size_t)(quote - at));
		(*out)[quote - at] = '\0';
		return quote + 1;
	}
	return unescape(at, quote, *out) == quote ? quote + 1 : NULL;
}

/* --- values --- */

static const char *value(struct parse *p, const char *at, cJSON *v);

static cJSON *new_value(struct parse *p)
{
	cJSON *v = room(p->tree, sizeof(*v));

	memset(v, 0, sizeof(*v));
	return v;
}

/* As cJSON has it: the first's prev is the last. */
static void append(cJSON *to, cJSON *v)
{
	if (!to->child) {
		to->child = v->prev = v;
		return;
	}
	v->prev = to->child->prev;
	v->prev->next = v;
	to->child->prev = v;
}

static const char *member(struct parse *p, const char *at, cJSON *v)
{
	if (at >= p->end || *at != '"')
		return NULL;
	at = string(p, at + 1, &v->string);
	if (!at)
		return NULL;
	at = skip_space(at, p->end);
	return at < p->end && *at == ':' ? skip_space(at + 1, p->end) : NULL;
}

/* at: behind the opening bracket. */
static const char *members(struct parse *p, const char *at, cJSON *to, bool named)
{
	const char close = named ? '}' : ']';

	at = skip_space(at, p->end);
	if (at < p->end && *at == close)
		return at + 1;
	while (at && at < p->end) {
		cJSON *v = new_value(p);

		if (named)
			at = member(p, at, v);
		if (at)
			at = value(p, at, v);
		if (!at)
			return NULL;
		append(to, v);
		at = skip_space(at, p->end);
		if (at < p->end && *at == close)
			return at + 1;
		if (at >= p->end || *at != ',')
			return NULL;
		at = skip_space(at + 1, p->end);
	}
	return NULL;
}

static const char *container(struct parse *p, const char *at, cJSON *v)
{
	bool named = *at == '{';

	v->type = named ? cJSON_Object : cJSON_Array;
	if (p->depth == DEPTH_MAX)
		return NULL;
	p->depth++;
	at = members(p, at + 1, v, named);
	p->depth--;
	return at;
}

/* Short integers only. */
static const char *number(const struct parse *p, const char *at, cJSON *v)
{
	bool negative = *at == '-';
	const char *first = at + negative;
	int64_t n = 0;

	for (at = first; at < p->end && *at >= '0' && *at <= '9' && at - first <= DIGITS_MAX; at++)
		n = n * 10 + (*at - '0');
	/* A "-0" is not 0, to a double. */
	if (at == first || at - first > DIGITS_MAX || (negative && !n) ||
	    (at < p->end && strchr(".eE+-", *at)))
		return NULL;
	n = negative ? -n : n;
	v->type = cJSON_Number;
	v->valuedouble = (double)n;
	v->valueint = n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : (int)n;
	return at;
}

static const char *word(const struct parse *p, const char *at, cJSON *v)
{
	size_t left = (size_t)(p->end - at);

	if (left >= 4 && !memcmp(at, "true", 4)) {
		v->type = cJSON_True;
		v->valueint = 1;
		return at + 4;
	}
	if (left >= 4 && !memcmp(at, "null", 4)) {
		v->type = cJSON_NULL;
		return at + 4;
	}
	v->type = cJSON_False;
	return left >= 5 && !memcmp(at, "false", 5) ? at + 5 : NULL;
}

static const char *value(struct parse *p, const char *at, cJSON *v)
{
	if (at >= p->end)
		return NULL;
	switch (*at) {
	case '"':
		v->type = cJSON_String;
		return string(p, at + 1, &v->valuestring);
	case '{':
	case '[':
		return container(p, at, v);
	case 't':
	case 'f':
	case 'n':
		return word(p, at, v);
	default:
		return *at == '-' || (*at >= '0' && *at <= '9') ? number(p, at, v) : NULL;
	}
}

/* --- interface --- */

void kube_tree_parse(struct kube_tree *t, const char *text, size_t len)
{
	struct parse p = {.tree = t, .end = text + len};
	cJSON *root;

	*t = (struct kube_tree){0};
	add_piece(t, (6 * len < PIECE_MAX ? 6 * len : PIECE_MAX) + SPARE);
	root = new_value(&p);
	if (value(&p, skip_space(text, p.end), root)) {
		t->root = root;
		return;
	}
	t->left = cJSON_ParseWithLength(text, len);
	t->root = t->left;
}

/* Whoever parses bounds the depth. */
static void wipe_left(cJSON *json)
{
	for (; json; json = json->next) {
		wipe_left(json->child);
		if (json->valuestring)
			sodium_memzero(json->valuestring, strlen(json->valuestring));
	}
}

void kube_tree_free(struct kube_tree *t, bool wipe)
{
	while (t->pieces) {
		struct kube_tree_piece *p = t->pieces;

		t->pieces = p->next;
		if (wipe)
			sodium_memzero(p->data, p->used);
		free(p);
	}
	if (wipe)
		wipe_left(t->left);
	cJSON_Delete(t->left);
	t->left = NULL;
	t->root = NULL;
}
