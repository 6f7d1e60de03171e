// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Errors with context.
 *
 * A function that can fail takes a last argument `struct weft_err *err` (may be NULL) and returns 0
 * or a negative errno. On failure it describes what failed, where, and what to do; a caller that
 * knows more wraps the text on its way up. On success the object is untouched. The function that
 * finally handles the error logs it, once.
 */
#ifndef WEFT_ERR_H
#define WEFT_ERR_H

#include <stddef.h>

#define WEFT_ERR_TEXT 768

struct weft_err {
	int code; /* negative errno, 0 = no error */
	char text[WEFT_ERR_TEXT];
};

#define WEFT_ERR_INIT ((struct weft_err){.code = 0, .text = ""})

/*
 * Describe a failure. `code` is an errno value of either sign (0 becomes EINVAL). Returns the
 * negative errno, so `return weft_err_set(err, EINVAL, "...")` reads well. Control characters that
 * arrive through arguments are replaced by '?': the text can go to a terminal or a log as it is.
 */
int weft_err_set(struct weft_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, with ": " and strerror(code) at the end. */
int weft_err_errno(struct weft_err *err, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Put "context: " before the text that is there. Returns err->code (or -EINVAL when err is NULL). */
int weft_err_wrap(struct weft_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Replace control characters (C0, DEL, and C1 in UTF-8) in a NUL-terminated text by '?', in place. */
void weft_text_clean(char *text);

#endif
