// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One pass over the bytes, resumable at each of them.
 *
 * Only few objects have members that matter: the answer's envelope, a list's metadata, an event, an object
 * and its metadata. Each of these is a frame, where the grammar is followed token by token (structure()). The
 * value of any other member is passed over by its brackets and strings alone (skip()); that is where nearly
 * all bytes are, so it is a loop over a table.
 *
 * What belongs to an object is copied in runs: from `run`, where the copying began, up to where something
 * happens. A member's name is looked at once it is copied; managedFields is then cut off again, with the
 * comma before it or else the one after it, and nothing is copied until its value is over. Of the envelope,
 * names and the two texts that count are copied one at a time into the same buffer, which no object uses
 * then.
 */
#include "agent/kube/split_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

static const struct known_name {
	enum frame frame;
	enum name name;
	const char *text;
} known_names[] = {
        {ENVELOPE, N_METADATA, "metadata"},
        {ENVELOPE, N_ITEMS, "items"},
        {LIST_META, N_VERSION, "resourceVersion"},
        {LIST_META, N_CONTINUE, "continue"},
        {EVENT, N_TYPE, "type"},
        {EVENT, N_OBJECT, "object"},
        {OBJECT, N_METADATA, "metadata"},
        {META, N_MANAGED_FIELDS, "managedFields"},
};

/* Values that are frames themselves. */
static const struct inner_frame {
	enum frame frame;
	enum name name;
	char bracket;
	enum frame inner;
} inner_frames[] = {
        {ENVELOPE, N_METADATA, '{', LIST_META}, {ENVELOPE, N_ITEMS, '[', ITEMS}, {ITEMS, OTHER, '{', OBJECT},
        {EVENT, N_OBJECT, '{', OBJECT},         {OBJECT, N_METADATA, '{', META},
};

/* --- bytes --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
	       c == 'E';
}

static int bad(const struct kube_split *s, const struct feed *f, const char *what)
{
	return kube_split_fail(s, f, EBADMSG, what);
}

/* --- the buffer --- */

/* realloc() would leave a copy of what may be a Secret. */
static int grow(struct kube_split *s, size_t need)
{
	size_t cap = s->cap ? s->cap : FIRST_CAPACITY;
	char *buf;

	while (cap < need)
		cap *= 2;
	buf = malloc(cap);
	if (!buf)
		return -ENOMEM;
	if (s->buf) {
		memcpy(buf, s->buf, s->len);
		sodium_memzero(s->buf, s->cap);
	}
	free(s->buf);
	s->buf = buf;
	s->cap = cap;
	return 0;
}

/* Copy the run up to `to`; leaves room for a NUL. */
static int flush(struct kube_split *s, struct feed *f, const char *to)
{
	const char *run = f->run;
	size_t n = (size_t)(to - run);

	f->run = to;
	if (!s->copying || !n)
		return 0;
	if (n > KUBE_OBJECT_MAX - s->len)
		return kube_split_fail(s, f, EMSGSIZE, "an object of more than 4 MiB");
	if (s->len + n + 1 > s->cap && grow(s, s->len + n + 1) < 0)
		return kube_split_fail(s, f, ENOMEM, "no memory for an object");
	memcpy(s->buf + s->len, run, n);
	s->len += n;
	return 0;
}

static void copy_from(struct kube_split *s, struct feed *f, const char *from)
{
	s->copying = true;
	f->run = from;
}

/* What was read since the last object and is in no object. */
static int check_rest(const struct kube_split *s, const struct feed *f)
{
	if (kube_split_position(s, f) - s->handed - s->len > KUBE_OBJECT_MAX)
		return kube_split_fail(s, f, EMSGSIZE, "more than 4 MiB that belong to no object");
	return 0;
}

/* --- frames --- */

static enum frame frame(const struct kube_split *s)
{
	return s->frames[s->n_frames - 1];
}

static bool in_object(const struct kube_split *s)
{
	return frame(s) == EVENT || frame(s) == OBJECT || frame(s) == META;
}

/* At its bracket, which is consumed. */
static int open_frame(struct kube_split *s, struct feed *f, enum frame inner)
{
	int ret;

	if (!in_object(s) && (inner == EVENT || inner == OBJECT)) {
		s->len = 0;
		s->has_type = s->has_object = false;
		copy_from(s, f, f->p);
	}
	if (inner == OBJECT) {
		ret = flush(s, f, f->p);
		if (ret < 0)
			return ret;
		s->object_at = s->len;
	}
	f->p++;
	if (inner == META) {
		ret = flush(s, f, f->p);
		if (ret < 0)
			return ret;
		s->open_at = s->len;
		s->has_member = false;
	}
	s->has_items |= inner == ITEMS;
	s->frames[s->n_frames++] = inner;
	s->name = OTHER;
	s->want = inner == ITEMS ? VALUE_OR_END : NAME_OR_END;
	return 0;
}

static int hand_over(struct kube_split *s, struct feed *f)
{
	int ret = check_rest(s, f);

	if (ret < 0)
		return ret;
	s->copying = false;
	s->buf[s->len] = '\0';
	ret = s->fn(s->ctx, s->buf, s->len);
	s->handed = kube_split_position(s, f);
	s->len = 0;
	return ret;
}

/* At its bracket, which is consumed. */
static int close_frame(struct kube_split *s, struct feed *f)
{
	enum frame closed = frame(s);
	int ret;

	f->p++;
	s->n_frames--;
	s->name = OTHER;
	s->want = frame(s) != TOP ? NEXT : s->shape == KUBE_LIST ? NOTHING : VALUE;
	if (closed != OBJECT && closed != EVENT)
		return 0;
	ret = flush(s, f, f->p);
	if (ret < 0)
		return ret;
	if (closed == EVENT || frame(s) == ITEMS)
		return hand_over(s, f);
	s->has_object = true;
	s->object_len = s->len - s->object_at;
	return 0;
}

/* Behind a member's value or an item. */
static void value_over(struct kube_split *s, struct feed *f)
{
	s->reader = STRUCTURE;
	s->want = NEXT;
	if (s->dropping) {
		s->dropping = false;
		copy_from(s, f, f->p);
	}
}

/* --- strings and scalars --- */

static enum name find_name(const struct kube_split *s, const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(known_names) / sizeof(known_names[0]); i++) {
		const struct known_name *k = &known_names[i];

		if (k->frame == frame(s) && strlen(k->text) == len && !memcmp(k->text, text, len))
			return k->name;
	}
	return OTHER;
}

static void name_over(struct kube_split *s, const char *text, size_t len)
{
	s->name = find_name(s, text, len);
	s->want = COLON;
	if (frame(s) != META)
		return;
	if (s->name != N_MANAGED_FIELDS) {
		s->has_member = true;
		return;
	}
	s->len = s->has_member ? s->comma_at : s->open_at;
	s->copying = false;
	s->dropping = true;
}

/* resourceVersion and continue are opaque, and sent back as they came. */
static int keep_text(struct kube_split *s, const struct feed *f, const char *text, size_t len)
{
	char **to = s->name == N_VERSION ? &s->version : &s->more;

	if (memchr(text, '\\', len))
		return bad(s, f, "resourceVersion and continue must have no escapes");
	free(*to);
	*to = strndup(text, len);
	return *to ? 0 : kube_split_fail(s, f, ENOMEM, "no memory for the list's version");
}

static int string_over(struct kube_split *s, struct feed *f)
{
	const char *text;
	size_t len;
	int ret = flush(s, f, f->p);

	if (ret < 0)
		return ret;
	text = s->buf + s->string_at + 1;
	len = s->len - s->string_at - 2;
	s->reader = STRUCTURE;
	if (!in_object(s))
		s->copying = false;
	if (s->is_name) {
		name_over(s, text, len);
	} else if (s->name == N_TYPE) {
		s->has_type = true;
		s->type_at = s->string_at + 1;
		s->type_len = len;
		value_over(s, f);
	} else {
		ret = keep_text(s, f, text, len);
		value_over(s, f);
	}
	if (!in_object(s))
		s->len = 0;
	return ret;
}

static int read_string(struct kube_split *s, struct feed *f)
{
	int ret = kube_split_pass_string(s, f);

	return ret > 0 ? string_over(s, f) : ret;
}

static void begin_string(struct kube_split *s, struct feed *f, bool is_name)
{
	if (!in_object(s)) {
		s->len = 0;
		copy_from(s, f, f->p);
	}
	s->string_at = s->len + (size_t)(f->p - f->run);
	s->is_name = is_name;
	s->reader = STRING;
	f->p++;
}

static int read_scalar(struct kube_split *s, struct feed *f)
{
	for (; f->p < f->end && is_scalar(*f->p); f->p++, s->scalar_len++)
		s->is_null &= s->scalar_len < 4 && *f->p == "null"[s->scalar_len];
	if (f->p == f->end)
		return 0;
	if (!s->scalar_len)
		return bad(s, f, "no value begins like this");
	s->is_null &= s->scalar_len == 4;
	if (frame(s) == ENVELOPE && s->name == N_ITEMS) {
		if (!s->is_null)
			return bad(s, f, "items is neither an array nor null");
		s->has_items = true;
	}
	value_over(s, f);
	return 0;
}

static int skip(struct kube_split *s, struct feed *f)
{
	int ret = kube_split_pass(s, f);

	if (ret > 0)
		value_over(s, f);
	return ret < 0 ? ret : 0;
}

/* --- the grammar of frames --- */

static int begin_bracket(struct kube_split *s, struct feed *f, char c)
{
	if (frame(s) == TOP && c == '{')
		return open_frame(s, f, s->shape == KUBE_LIST ? ENVELOPE : EVENT);
	for (size_t i = 0; i < sizeof(inner_frames) / sizeof(inner_frames[0]); i++) {
		const struct inner_frame *in = &inner_frames[i];

		if (in->frame == frame(s) && in->name == s->name && in->bracket == c)
			return open_frame(s, f, in->inner);
	}
	s->reader = SKIP;
	return 0;
}

static int begin_value(struct kube_split *s, struct feed *f, char c)
{
	if (frame(s) == TOP && c != '{')
		return bad(s, f, "not an object");
	if (frame(s) == ITEMS && c != '{')
		return bad(s, f, "an item that is no object");
	if (frame(s) == ENVELOPE && s->name == N_ITEMS && (c == '{' || c == '"'))
		return bad(s, f, "items is neither an array nor null");
	if (c == '{' || c == '[')
		return begin_bracket(s, f, c);
	if (c != '"') {
		s->reader = SCALAR;
		s->scalar_len = 0;
		s->is_null = true;
	} else if (s->name == N_VERSION || s->name == N_CONTINUE || s->name == N_TYPE) {
		begin_string(s, f, false);
	} else {
		s->reader = SKIP;
	}
	return 0;
}

/* In metadata, the comma of a member that goes, goes too. */
static int comma(struct kube_split *s, struct feed *f)
{
	int ret = 0;

	s->want = frame(s) == ITEMS ? VALUE : NAME;
	if (frame(s) == META) {
		ret = flush(s, f, f->p);
		s->comma_at = s->len;
	}
	f->p++;
	if (frame(s) == META && !s->has_member)
		f->run = f->p;
	return ret;
}

static int structure(struct kube_split *s, struct feed *f)
{
	char c = *f->p, end = frame(s) == ITEMS ? ']' : '}';

	if (is_blank(c)) {
		f->p++;
		return 0;
	}
	switch (s->want) {
	case VALUE_OR_END:
		if (c == ']')
			return close_frame(s, f);
		return begin_value(s, f, c);
	case VALUE:
		return begin_value(s, f, c);
	case NAME_OR_END:
	case NAME:
		if (c == '}' && s->want == NAME_OR_END)
			return close_frame(s, f);
		if (c != '"')
			return bad(s, f, "a member's name is missing");
		begin_string(s, f, true);
		return 0;
	case COLON:
		if (c != ':')
			return bad(s, f, "':' is missing");
		s->want = VALUE;
		f->p++;
		return 0;
	case NEXT:
		if (c == ',')
			return comma(s, f);
		if (c == end)
			return close_frame(s, f);
		return bad(s, f, "',' or the closing bracket is missing");
	case NOTHING:
		break;
	}
	return bad(s, f, "something follows the end of the list");
}

/* --- interface --- */

struct kube_split *kube_split_new(enum kube_shape shape, kube_split_fn fn, void *ctx)
{
	struct kube_split *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->shape = shape;
	s->fn = fn;
	s->ctx = ctx;
	s->n_frames = 1; /* TOP */
	return s;
}

void kube_split_free(struct kube_split *s)
{
	if (!s)
		return;
	if (s->buf)
		sodium_memzero(s->buf, s->cap);
	free(s->buf);
	free(s->version);
	free(s->more);
	free(s);
}

int kube_split_feed(struct kube_split *s, const char *data, size_t len, struct weft_err *err)
{
	static int (*const readers[])(struct kube_split * s, struct feed * f) = {
	        [STRUCTURE] = structure, [STRING] = read_string, [SCALAR] = read_scalar, [SKIP] = skip};
	struct feed f = {.p = data, .end = data + len, .run = data, .begin = data, .err = err};
	int ret = 0;

	while (f.p < f.end && !ret)
		ret = readers[s->reader](s, &f);
	if (!ret)
		ret = flush(s, &f, f.end);
	if (!ret)
		ret = check_rest(s, &f);
	s->before += len;
	return ret;
}

int kube_split_end(struct kube_split *s, struct weft_err *err)
{
	struct feed f = {.err = err};

	if (s->shape == KUBE_WATCH)
		return frame(s) == TOP ? 0 : bad(s, &f, "cut off in an event");
	if (s->want != NOTHING)
		return bad(s, &f, "cut off");
	if (!s->has_items)
		return bad(s, &f, "a list without items");
	return 0;
}

void kube_split_event(const struct kube_split *s, struct kube_split_event *out)
{
	memset(out, 0, sizeof(*out));
	if (s->has_type) {
		out->type = s->buf + s->type_at;
		out->type_len = s->type_len;
	}
	if (s->has_object) {
		out->object = s->buf + s->object_at;
		out->object_len = s->object_len;
	}
}

const char *kube_split_version(const struct kube_split *s)
{
	return s->version;
}

const char *kube_split_continue(const struct kube_split *s)
{
	return s->version && !s->more ? "" : s->more;
}
