// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bytes to replies.
 *
 * A line is gathered in a fixed buffer, judged when its newline comes, and its text appended to one buffer
 * for the whole reply, NUL-terminated. Pointers into that buffer are made only when the reply is complete,
 * since until then it can move. Nothing that arrives chooses a size: each line and each reply has its limit.
 */
#include "agent/bird/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/buf.h"

#define KEEP_TEXT  ((size_t)256 << 10) /* memory kept from one reply to the next */
#define KEEP_LINES ((size_t)4096)

struct bird_parser {
	char line[BIRD_LINE_MAX];
	size_t line_len;
	struct weft_buf text;
	struct bird_line *lines;
	size_t count;
	size_t cap;
	unsigned code; /* of the last line; valid when count > 0 */
	bool complete;
	struct bird_reply reply;
	bird_line_fn on_line; /* NULL = replies are kept whole */
	void *ctx;
};

struct bird_parser *bird_parser_new(void)
{
	struct bird_parser *p = calloc(1, sizeof(*p));

	if (p)
		p->text.max = BIRD_REPLY_MAX;
	return p;
}

void bird_parser_free(struct bird_parser *p)
{
	if (!p)
		return;
	weft_buf_free(&p->text);
	free(p->lines);
	free(p);
}

void bird_parser_stream(struct bird_parser *p, bird_line_fn fn, void *ctx)
{
	p->on_line = fn;
	p->ctx = ctx;
}

static void forget_reply(struct bird_parser *p)
{
	p->complete = false;
	p->count = 0;
	weft_buf_truncate(&p->text, 0);
	if (p->text.cap > KEEP_TEXT)
		weft_buf_free(&p->text);
	if (p->cap > KEEP_LINES) {
		free(p->lines);
		p->lines = NULL;
		p->cap = 0;
	}
}

/* Only what can go to a terminal or a log; BIRD passes on what its peers and its configuration say. */
static size_t clean(char *text, size_t len)
{
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	for (size_t i = 0; i < len; i++)
		if ((text[i] < 0x20 || text[i] > 0x7e) && text[i] != '\t')
			text[i] = '?';
	text[len] = '\0';
	return len;
}

static int hand_on(struct bird_parser *p, unsigned code, const char *text, size_t len, struct weft_err *err)
{
	struct bird_line line = {.code = code, .text = text, .len = len};

	if (p->on_line(p->ctx, &line))
		return 0;
	return weft_err_set(err, ECANCELED, "the rest of BIRD's reply is not wanted");
}

static int add_line(struct bird_parser *p, unsigned code, char *text, size_t len, struct weft_err *err)
{
	if (p->on_line) {
		p->count = 0;
		weft_buf_truncate(&p->text, 0);
	}
	if (p->count == BIRD_REPLY_LINE_MAX)
		return weft_err_set(err, EMSGSIZE, "BIRD's reply has more than %d lines",
		                    BIRD_REPLY_LINE_MAX);
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		struct bird_line *grown = realloc(p->lines, cap * sizeof(*grown));

		if (!grown)
			return weft_err_set(err, ENOMEM, "no memory for BIRD's reply");
		p->lines = grown;
		p->cap = cap;
	}
	len = clean(text, len);
	if (p->text.len + len + 1 > BIRD_REPLY_MAX)
		return weft_err_set(err, EMSGSIZE, "BIRD's reply is larger than %zu bytes", BIRD_REPLY_MAX);
	weft_buf_add(&p->text, text, len + 1);
	if (p->text.failed)
		return weft_err_set(err, ENOMEM, "no memory for BIRD's reply");
	p->lines[p->count++] = (struct bird_line){.code = code, .len = len};
	p->code = code;
	return p->on_line ? hand_on(p, code, text, len, err) : 0;
}

static void finish_reply(struct bird_parser *p)
{
	const char *text = p->text.data;

	for (size_t i = 0; i < p->count; i++) {
		p->lines[i].text = text;
		text += p->lines[i].len + 1;
	}
	p->reply = (struct bird_reply){.lines = p->lines, .count = p->count};
	p->complete = true;
}

/* "NNNN-" or "NNNN " */
static bool read_code(const char *line, size_t len, unsigned *code)
{
	*code = 0;
	if (len < 5 || (line[4] != '-' && line[4] != ' '))
		return false;
	for (int i = 0; i < 4; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		*code = *code * 10 + (unsigned)(line[i] - '0');
	}
	return true;
}

/* p->line is whole, without its newline; there is room for a NUL behind it. */
static int judge_line(struct bird_parser *p, struct weft_err *err)
{
	size_t len = p->line_len;
	unsigned code;
	int rc;

	p->line_len = 0;
	if (len && p->line[0] == '+')
		return 0;
	if (len && p->line[0] == ' ' && p->count)
		return add_line(p, p->code, p->line + 1, len - 1, err);
	if (!read_code(p->line, len, &code))
		return weft_err_set(err, EPROTO,
		                    "a line from BIRD has no reply code: is this BIRD's socket?");
	rc = add_line(p, code, p->line + 5, len - 5, err);
	if (!rc && p->line[4] == ' ')
		finish_reply(p);
	return rc;
}

int bird_parser_feed(struct bird_parser *p, const void *data, size_t len, size_t *used, struct weft_err *err)
{
	const char *bytes = data;
	int rc = 0;

	*used = 0;
	if (p->complete)
		forget_reply(p);
	while (*used < len && !p->complete && !rc) {
		const char *from = bytes + *used;
		const char *newline = memchr(from, '\n', len - *used);
		size_t n = newline ? (size_t)(newline - from) : len - *used;

		if (n >= sizeof(p->line) - p->line_len)
			return weft_err_set(err, EMSGSIZE, "a line from BIRD is longer than %d bytes",
			                    BIRD_LINE_MAX - 1);
		memcpy(p->line + p->line_len, from, n);
		p->line_len += n;
		*used += n;
		if (newline) {
			(*used)++;
			rc = judge_line(p, err);
		}
	}
	return rc ? rc : p->complete;
}

const struct bird_reply *bird_parser_reply(const struct bird_parser *p)
{
	return p->complete ? &p->reply : NULL;
}

bool bird_parser_pending(const struct bird_parser *p)
{
	return !p->complete && (p->count || p->line_len);
}

unsigned bird_reply_code(const struct bird_reply *r)
{
	return r->lines[r->count - 1].code;
}

const char *bird_reply_text(const struct bird_reply *r)
{
	return r->lines[r->count - 1].text;
}

static int error_of_code(unsigned code)
{
	switch (code) {
	case 8001:
	case 8003:
		return -ENOENT;
	case 8007:
		return -EACCES;
	default:
		return -EREMOTEIO;
	}
}

int bird_reply_check(const struct bird_reply *r, struct weft_err *err)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct bird_line *l = &r->lines[i];

		if (l->code >= BIRD_CODE_RUNTIME_ERROR)
			return weft_err_set(err, error_of_code(l->code), "BIRD answers %04u: %s", l->code,
			                    l->text);
	}
	return 0;
}
