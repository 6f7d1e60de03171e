// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Passing over strings and over the values of members that don't matter: nearly all bytes. Per byte there is
 * one look into a table; no grammar but quotes, escapes and the kinds of brackets.
 */
#include "agent/kube/split_private.h"

#include <errno.h>

enum class {
	PLAIN,
	QUOTE,
	OPEN,
	CLOSE,
	BACKSLASH,
	WRONG,
};

#define CONTROLS_BUT_BLANKS \
	[0 ... 8] = WRONG, [11] = WRONG, [12] = WRONG, [14 ... 31] = WRONG, [127 ... 255] = WRONG

/* Between strings. */
static const uint8_t outside[256] = {
        CONTROLS_BUT_BLANKS, ['"'] = QUOTE, ['{'] = OPEN,   ['['] = OPEN,
        ['}'] = CLOSE,       [']'] = CLOSE, ['\\'] = WRONG,
};

/* In a string. */
static const uint8_t inside[256] = {[0 ... 31] = WRONG, ['"'] = QUOTE, ['\\'] = BACKSLASH};

uint64_t kube_split_position(const struct kube_split *s, const struct feed *f)
{
	return s->before + (uint64_t)(f->p - f->begin);
}

int kube_split_fail(const struct kube_split *s, const struct feed *f, int code, const char *what)
{
	return weft_err_set(f->err, code, "JSON of a %s, byte %llu: %s",
	                    s->shape == KUBE_LIST ? "list" : "watch",
	                    (unsigned long long)kube_split_position(s, f), what);
}

static int bad(const struct kube_split *s, const struct feed *f, const char *what)
{
	return kube_split_fail(s, f, EBADMSG, what);
}

int kube_split_pass_string(struct kube_split *s, struct feed *f)
{
	const char *p = f->p;

	for (;;) {
		if (!s->escaped)
			while (p < f->end && inside[(uint8_t)*p] == PLAIN)
				p++;
		f->p = p;
		if (p == f->end)
			return 0;
		if (inside[(uint8_t)*p] == WRONG)
			return bad(s, f, "a control character in a string");
		if (*p == '"' && !s->escaped)
			break;
		s->escaped = !s->escaped && *p == '\\';
		p++;
	}
	f->p++;
	return 1;
}

static int skip_bracket(struct kube_split *s, const struct feed *f, char c)
{
	bool brace = c == '{' || c == '}';

	if (outside[(uint8_t)c] == OPEN) {
		if (s->nest + s->n_frames - 1 >= KUBE_DEPTH_MAX)
			return kube_split_fail(s, f, EMSGSIZE, "nested deeper than 64");
		s->kinds = s->kinds << 1 | brace;
		s->nest++;
		return 0;
	}
	if (!s->nest || (s->kinds & 1) != brace)
		return bad(s, f, "a bracket is closed that is not open");
	s->kinds >>= 1;
	s->nest--;
	return 0;
}

/* What stopped skip() between strings. */
static int skip_special(struct kube_split *s, struct feed *f)
{
	int ret = 0;

	switch (outside[(uint8_t)*f->p]) {
	case QUOTE:
		s->in_string = true;
		break;
	case OPEN:
	case CLOSE:
		ret = skip_bracket(s, f, *f->p);
		break;
	default:
		return bad(s, f, "a byte that can't be in JSON");
	}
	f->p++;
	return ret;
}

static int skip_between(struct kube_split *s, struct feed *f)
{
	const char *p = f->p;

	while (p < f->end && outside[(uint8_t)*p] == PLAIN)
		p++;
	f->p = p;
	return p < f->end ? skip_special(s, f) : 0;
}

int kube_split_pass(struct kube_split *s, struct feed *f)
{
	int ret = 0;

	while (f->p < f->end && ret >= 0) {
		if (s->in_string) {
			ret = kube_split_pass_string(s, f);
			s->in_string = ret <= 0;
		} else {
			ret = skip_between(s, f);
		}
		if (ret >= 0 && !s->nest && !s->in_string)
			return 1;
	}
	return ret < 0 ? ret : 0;
}
