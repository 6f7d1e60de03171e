// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers of real API servers, byte for byte as they came: tests/unit/data/answers/VERSION-WHAT.N.bin, each
 * with its header and, where the server did so, in chunks.
 */
#ifndef TESTS_UNIT_RECORDED_ANSWERS_H
#define TESTS_UNIT_RECORDED_ANSWERS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/buf.h"
#include "weft/file.h"

#define ANSWERS "tests/unit/data/answers/"

struct answer {
	char *raw; /* all of it */
	size_t raw_len;
	int status;
	char *body; /* without chunks, NUL-terminated */
	size_t len;
};

static void answer_dechunk(struct answer *a, const char *p)
{
	const char *end = a->raw + a->raw_len;
	struct weft_buf b = {0};

	while (p < end) {
		char *data;
		size_t n = strtoul(p, &data, 16);

		data += 2; /* CR LF */
		assert_true(data <= end && n <= (size_t)(end - data));
		weft_buf_add(&b, data, n);
		p = data + n + 2;
	}
	a->len = b.len;
	a->body = b.len ? weft_buf_take(&b) : strdup("");
}

/* `name` without its folder. */
static struct answer answer_read(const char *name)
{
	char path[256];
	struct weft_err err = WEFT_ERR_INIT;
	struct answer a = {0};
	const char *body;

	snprintf(path, sizeof(path), ANSWERS "%s", name);
	if (weft_file_read(path, 1 << 20, &a.raw, &a.raw_len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(sscanf(a.raw, "HTTP/1.1 %d ", &a.status), 1);
	body = strstr(a.raw, "\r\n\r\n");
	assert_non_null(body);
	body += 4;
	if (strstr(a.raw, "Transfer-Encoding: chunked")) {
		answer_dechunk(&a, body);
	} else {
		a.len = a.raw_len - (size_t)(body - a.raw);
		a.body = strdup(body);
	}
	return a;
}

static void answer_free(struct answer *a)
{
	free(a->raw);
	free(a->body);
}

#endif
