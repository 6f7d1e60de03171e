// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lexical guard over BIRD configuration text, fed in order as it is produced.
 *
 * It follows BIRD's lexer (conf/cf-lex.l: code, "strings", 'symbols', # and C comments) byte by byte and
 * refuses what must never reach the daemon:
 *   - a string over BIRD_STRING_MAX bytes, whatever pieces it is made of: BIRD keeps strings and quoted
 *     symbols in a fixed buffer of 4,096 bytes and dies beyond it, even on `configure check`;
 *   - a newline or the end of the text inside a string, a symbol or a C comment; a NUL anywhere;
 *   - a value that would change where we are: end a string or a comment, or be more than one token.
 */
#ifndef WEFT_BIRD_GUARD_H
#define WEFT_BIRD_GUARD_H

#include <stddef.h>

#define BIRD_STRING_MAX 255 /* bytes between two double quotes */
#define BIRD_SYMBOL_MAX 64  /* bytes of a name (BIRD: SYM_MAX_LEN) */

enum bird_lex {
	BIRD_LEX_CODE, /* also the state of an empty text */
	BIRD_LEX_STRING,
	BIRD_LEX_SYMBOL,
	BIRD_LEX_LINE_COMMENT,
	BIRD_LEX_C_COMMENT,
};

/* Zero-initialise. After a refusal the guard is spent: give up the text. */
struct bird_guard {
	enum bird_lex state;
	char last;     /* previous byte, to see the two-byte comment marks; 0 = none that matters */
	size_t length; /* bytes of the open string or symbol */
};

/*
 * All three return NULL, or the reason of the refusal as a static text that fits after "the value" or
 * "the text": it never quotes the input, which may be a secret.
 */

/* Text made by weft: templates and generated blocks. */
const char *bird_guard_text(struct bird_guard *g, const char *text, size_t len);

/*
 * One untrusted value. Everywhere: printable ASCII, at most BIRD_STRING_MAX bytes, no double quote. In code,
 * outside of quotes, only [A-Za-z0-9_.:/%@-]: a number, a name, an address or a prefix, and no comment mark.
 * In a quoted symbol [A-Za-z0-9_.:-], the characters that BIRD takes there.
 */
const char *bird_guard_value(struct bird_guard *g, const char *text, size_t len);

/* The text ends here. */
const char *bird_guard_end(const struct bird_guard *g);

#endif
