// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A growing byte buffer that is always NUL-terminated.
 *
 * Zero-initialise it, append, release with weft_buf_free() (or weft_auto(weft_buf_free)). The first
 * failed allocation or the limit set in `max` (0 = 64 MiB) marks the buffer failed; later appends do
 * nothing, so that a caller checks `failed` once, at the end.
 */
#ifndef WEFT_BUF_H
#define WEFT_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct weft_buf {
	char *data; /* NULL until the first append */
	size_t len; /* bytes without the NUL */
	size_t cap;
	size_t max;
	bool failed;
};

void weft_buf_add(struct weft_buf *b, const void *data, size_t len);
void weft_buf_str(struct weft_buf *b, const char *text);
void weft_buf_char(struct weft_buf *b, char c);
void weft_buf_printf(struct weft_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void weft_buf_truncate(struct weft_buf *b, size_t len);
void weft_buf_free(struct weft_buf *b);

/* The text so far, "" when empty; valid until the next append. */
const char *weft_buf_text(const struct weft_buf *b);

/* Hand the malloc'd text over to the caller and empty the buffer; NULL when it failed. */
char *weft_buf_take(struct weft_buf *b);

#endif
