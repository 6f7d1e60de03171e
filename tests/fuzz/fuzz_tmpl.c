// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz the template compiler and renderer. Input: one byte of options, then template, partial "p" and data
 * (JSON), separated by 0xff, which is in none of them.
 *
 * What must hold besides memory safety: a failure leaves the output as it was; under the BIRD policy no
 * string of the output is over BIRD_STRING_MAX bytes and the output ends outside of strings.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/guard.h"
#include "agent/bird/tmpl.h"

#define SEPARATOR 0xff

struct text {
	const char *data;
	size_t len;
};

static struct text next_text(const uint8_t **data, size_t *left)
{
	const uint8_t *start = *data, *end = *left ? memchr(start, SEPARATOR, *left) : NULL;
	size_t len = end ? (size_t)(end - start) : *left;

	*data += end ? len + 1 : len;
	*left -= end ? len + 1 : len;
	return (struct text){(const char *)start, len};
}

static int load(void *arg, const char *name, char **text, size_t *len, struct weft_err *err)
{
	const struct text *partial = arg;

	(void)err;
	*text = NULL;
	if (strcmp(name, "p") != 0)
		return 0;
	*text = malloc(partial->len + 1);
	if (partial->len)
		memcpy(*text, partial->data, partial->len);
	*len = partial->len;
	return 0;
}

static void check_output(const struct tmpl_options *o, const struct weft_buf *out)
{
	struct bird_guard g = {0};

	if (o->escape == TMPL_BIRD && (bird_guard_text(&g, out->data, out->len) || bird_guard_end(&g)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tmpl_options o = {.max_output = 1 << 16, .max_steps = 10000};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_buf out = {0};
	struct tmpl *t = NULL;
	struct text template, partial, json;
	cJSON *tree;

	if (!size)
		return 0;
	o.escape = *data & 1 ? TMPL_HTML : TMPL_BIRD;
	o.raw_text = *data & 2;
	o.strict = *data & 4;
	o.strict_sections = *data & 8;
	data++;
	size--;
	template = next_text(&data, &size);
	partial = next_text(&data, &size);
	json = next_text(&data, &size);
	tree = cJSON_ParseWithLength(json.data, json.len);
	if (tmpl_compile("fuzz", template.data, template.len, &o, load, &partial, &t, &err) == 0) {
		if (tmpl_render(t, tree, &out, &err) == 0)
			check_output(&o, &out);
		else if (out.len || err.code >= 0)
			abort();
	}
	tmpl_free(t);
	weft_buf_free(&out);
	cJSON_Delete(tree);
	return 0;
}
