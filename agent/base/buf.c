// SPDX-License-Identifier: GPL-2.0-or-later
#include "weft/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX ((size_t)64 << 20)

static bool reserve(struct weft_buf *b, size_t extra)
{
	size_t max = b->max ? b->max : DEFAULT_MAX;
	size_t cap = b->cap ? b->cap : 64;
	char *data;

	if (b->failed || extra > max || b->len > max - extra) {
		b->failed = true;
		return false;
	}
	if (b->data && b->len + extra < b->cap)
		return true;
	while (cap <= b->len + extra)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void weft_buf_add(struct weft_buf *b, const void *data, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void weft_buf_str(struct weft_buf *b, const char *text)
{
	weft_buf_add(b, text, strlen(text));
}

void weft_buf_char(struct weft_buf *b, char c)
{
	weft_buf_add(b, &c, 1);
}

void weft_buf_printf(struct weft_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void weft_buf_truncate(struct weft_buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

void weft_buf_free(struct weft_buf *b)
{
	free(b->data);
	*b = (struct weft_buf){.max = b->max};
}

const char *weft_buf_text(const struct weft_buf *b)
{
	return b->data ? b->data : "";
}

char *weft_buf_take(struct weft_buf *b)
{
	char *text;

	if (!b->failed && !b->data)
		weft_buf_add(b, "", 0);
	text = b->failed ? NULL : b->data;
	if (b->failed)
		free(b->data);
	*b = (struct weft_buf){.max = b->max};
	return text;
}
