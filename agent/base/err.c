// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Error objects: fixed size, no allocation, so that reporting "out of memory" can't fail.
 */
#include "weft/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void weft_text_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* U+0080 to U+009F: CSI and the like */
			p[0] = p[1] = '?';
	}
}

static int normal_code(int code)
{
	if (code == 0)
		return -EINVAL;
	return code > 0 ? -code : code;
}

__attribute__((format(printf, 3, 0))) static void fill(struct weft_err *err, int code, const char *fmt,
                                                       va_list ap)
{
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	weft_text_clean(err->text);
}

int weft_err_set(struct weft_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	code = normal_code(code);
	if (!err)
		return code;
	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int weft_err_errno(struct weft_err *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	code = normal_code(code);
	if (!err)
		return code;
	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(-code));
	return code;
}

int weft_err_wrap(struct weft_err *err, const char *fmt, ...)
{
	char context[WEFT_ERR_TEXT];
	va_list ap;
	size_t text_len, context_len;

	if (!err)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context) - 2, fmt, ap);
	va_end(ap);
	weft_text_clean(context);
	strcat(context, ": ");
	/* The innermost cause matters most: context is what gets cut. */
	text_len = strlen(err->text);
	context_len = strlen(context);
	if (context_len > sizeof(err->text) - 1 - text_len)
		context_len = sizeof(err->text) - 1 - text_len;
	memmove(err->text + context_len, err->text, text_len + 1);
	memcpy(err->text, context, context_len);
	return err->code ? err->code : -EINVAL;
}
