// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lexer's skeleton: which of BIRD's five lexical states each byte is in. Whatever produces the text feeds
 * it through here, so the bounds hold for the text that BIRD will read, not for the pieces it was made of.
 */
#include "agent/bird/guard.h"

#include <stdbool.h>
#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_printable(char c)
{
	return c >= 0x20 && c <= 0x7e;
}

static void enter(struct bird_guard *g, enum bird_lex state)
{
	g->state = state;
	g->last = 0;
	g->length = 0;
}

static void code_byte(struct bird_guard *g, char c)
{
	if (c == '"')
		enter(g, BIRD_LEX_STRING);
	else if (c == '\'')
		enter(g, BIRD_LEX_SYMBOL);
	else if (c == '#')
		enter(g, BIRD_LEX_LINE_COMMENT);
	else if (c == '*' && g->last == '/')
		enter(g, BIRD_LEX_C_COMMENT);
	else
		g->last = c;
}

static const char *quoted_byte(struct bird_guard *g, char c, char quote, size_t max)
{
	bool string = g->state == BIRD_LEX_STRING;

	if (c == quote)
		enter(g, BIRD_LEX_CODE);
	else if (c == '\n')
		return string ? "has a line break inside a string" : "has a line break inside a quoted name";
	else if (++g->length > max)
		return string ? "makes a string longer than 255 bytes"
		              : "makes a quoted name longer than 64 bytes";
	return NULL;
}

static void c_comment_byte(struct bird_guard *g, char c)
{
	if (c == '/' && g->last == '*')
		enter(g, BIRD_LEX_CODE);
	else
		g->last = c;
}

static const char *feed(struct bird_guard *g, char c)
{
	if (c == '\0')
		return "has a NUL byte";
	switch (g->state) {
	case BIRD_LEX_CODE:
		code_byte(g, c);
		return NULL;
	case BIRD_LEX_STRING:
		return quoted_byte(g, c, '"', BIRD_STRING_MAX);
	case BIRD_LEX_SYMBOL:
		return quoted_byte(g, c, '\'', BIRD_SYMBOL_MAX);
	case BIRD_LEX_LINE_COMMENT:
		if (c == '\n')
			enter(g, BIRD_LEX_CODE);
		return NULL;
	case BIRD_LEX_C_COMMENT:
		c_comment_byte(g, c);
		return NULL;
	}
	return "met an unknown state";
}

const char *bird_guard_text(struct bird_guard *g, const char *text, size_t len)
{
	const char *why = NULL;

	for (size_t i = 0; i < len && !why; i++)
		why = feed(g, text[i]);
	return why;
}

/* What a value may hold at this place, beyond being printable and without a double quote. */
static const char *check_place(enum bird_lex state, const char *text, size_t len)
{
	const char *extra = state == BIRD_LEX_CODE ? "_.:/%@-" : "_.:-";

	if (state == BIRD_LEX_C_COMMENT && memchr(text, '*', len))
		return "has a '*', which could end the comment it stands in";
	if (state != BIRD_LEX_CODE && state != BIRD_LEX_SYMBOL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && !strchr(extra, text[i]))
			return state == BIRD_LEX_CODE
			               ? "is not one plain token (A-Z a-z 0-9 _ . : / % @ -) and does not stand "
			                 "inside quotes"
			               : "has a character that BIRD does not take in a quoted name (A-Z a-z 0-9 _ "
			                 ". : -)";
	if (state == BIRD_LEX_CODE && len && text[len - 1] == '/')
		return "ends with '/', which could open a comment";
	return NULL;
}

const char *bird_guard_value(struct bird_guard *g, const char *text, size_t len)
{
	enum bird_lex before = g->state;
	const char *why;

	if (len > BIRD_STRING_MAX)
		return "is longer than 255 bytes";
	for (size_t i = 0; i < len; i++) {
		if (!is_printable(text[i]))
			return "has a byte that is not printable ASCII";
		if (text[i] == '"')
			return "has a double quote";
	}
	why = check_place(g->state, text, len);
	if (!why)
		why = bird_guard_text(g, text, len);
	if (!why && g->state != before)
		why = "would end the comment or name it stands in";
	return why;
}

const char *bird_guard_end(const struct bird_guard *g)
{
	switch (g->state) {
	case BIRD_LEX_STRING:
		return "ends inside a string";
	case BIRD_LEX_SYMBOL:
		return "ends inside a quoted name";
	case BIRD_LEX_C_COMMENT:
		return "ends inside a comment";
	case BIRD_LEX_CODE:
	case BIRD_LEX_LINE_COMMENT:
		break;
	}
	return NULL;
}
