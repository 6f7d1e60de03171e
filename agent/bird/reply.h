// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Framing of BIRD's control socket (BIRD: nest/cli.c). No socket here: bytes in, replies out.
 *
 * A reply is a run of lines. "NNNN-text" goes on, "NNNN text" is the last line, " text" repeats the code of
 * the line before, "+text" is asynchronous and belongs to no reply. Codes: 0xxx done, 1xxx table entry, 2xxx
 * table heading, 8xxx run-time error, 9xxx parse error. The connection starts with one unasked reply, 0001.
 *
 * Replies are matched to commands by order alone. So a client sends one command at a time, and a reply that
 * arrives while none is outstanding means that the stream is out of step: close it.
 */
#ifndef WEFT_BIRD_REPLY_H
#define WEFT_BIRD_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

#define BIRD_LINE_MAX       4096               /* bytes of one line; BIRD's own limit is 512 */
#define BIRD_REPLY_MAX      ((size_t)16 << 20) /* bytes of text in one reply */
#define BIRD_REPLY_LINE_MAX 1000000            /* lines in one reply */

enum {
	BIRD_OK = 0,
	BIRD_WELCOME = 1,
	BIRD_CODE_RUNTIME_ERROR = 8000, /* the first of its class */
	BIRD_CODE_PARSE_ERROR = 9000,
};

struct bird_line {
	unsigned code;    /* 0..9999 */
	const char *text; /* printable ASCII and tabs, anything else is now '?'; trailing blanks removed */
	size_t len;
};

struct bird_reply {
	const struct bird_line *lines;
	size_t count; /* at least 1 */
};

struct bird_parser;

/* NULL when out of memory. */
struct bird_parser *bird_parser_new(void);

/*
 * Hand on every line as it comes and keep only the last one of a reply, which has then one line however long it
 * was. False from fn: enough; bird_parser_feed() returns -ECANCELED.
 */
typedef bool (*bird_line_fn)(void *ctx, const struct bird_line *line);
void bird_parser_stream(struct bird_parser *p, bird_line_fn fn, void *ctx);

void bird_parser_free(struct bird_parser *p); /* NULL is fine */

/*
 * Feed bytes as they were read. Takes up to and including the end of the first complete reply, sets *used to
 * the number of bytes taken, and returns 1 when a reply is complete, 0 when more bytes are needed. The
 * reply (bird_parser_reply) is valid until the next feed. -EPROTO: not BIRD's protocol, -EMSGSIZE: a limit,
 * -ENOMEM; after an error close the connection and start a new parser.
 */
int bird_parser_feed(struct bird_parser *p, const void *data, size_t len, size_t *used, struct weft_err *err);

/* The complete reply, NULL when there is none. */
const struct bird_reply *bird_parser_reply(const struct bird_parser *p);

/* True inside a reply: the end of the connection here is a crash of BIRD or a cut. */
bool bird_parser_pending(const struct bird_parser *p);

/* Code and text of the last line: what the command came to. */
unsigned bird_reply_code(const struct bird_reply *r);
const char *bird_reply_text(const struct bird_reply *r);

/*
 * 0, or for a reply of class 8xxx or 9xxx anywhere in it -EREMOTEIO (8007 access denied: -EACCES, 8003 and
 * 8001 nothing matched: -ENOENT) with BIRD's text in err.
 */
int bird_reply_check(const struct bird_reply *r, struct weft_err *err);

#endif
