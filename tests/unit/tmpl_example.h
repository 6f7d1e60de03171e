// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables of templates, data and what comes out, for the tests of the template engine. */
#ifndef WEFT_TEST_TMPL_EXAMPLE_H
#define WEFT_TEST_TMPL_EXAMPLE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/tmpl.h"
#include "weft/cleanup.h"

/* Data and partials are JSON. Exactly one of `want` (the output) and `error` (a part of the message) is set.
 */
struct example {
	const char *template;
	const char *data;
	const char *want;
	const char *partials;
	const char *error;
};

#define IS(text, json, output)                                 \
	{                                                      \
		.template = text, .data = json, .want = output \
	}
#define IS_WITH(text, json, parts, output)                                        \
	{                                                                         \
		.template = text, .data = json, .partials = parts, .want = output \
	}
#define FAILS(text, json, why)                               \
	{                                                    \
		.template = text, .data = json, .error = why \
	}
#define FAILS_WITH(text, json, parts, why)                                      \
	{                                                                       \
		.template = text, .data = json, .partials = parts, .error = why \
	}

static void delete_json(cJSON **j)
{
	cJSON_Delete(*j);
}

static int load_partial(void *arg, const char *name, char **text, size_t *len, struct weft_err *err)
{
	const cJSON *p = cJSON_GetObjectItemCaseSensitive(arg, name);

	if (cJSON_IsFalse(p))
		return weft_err_set(err, EIO, "partial %s: disk on fire", name);
	*text = p ? strdup(p->valuestring) : NULL;
	*len = p ? strlen(p->valuestring) : 0;
	return 0;
}

static inline int render(const struct tmpl_options *options, const struct example *e, struct weft_buf *out,
                         struct weft_err *err)
{
	weft_auto(delete_json) cJSON *data = e->data ? cJSON_Parse(e->data) : NULL;
	weft_auto(delete_json) cJSON *partials = e->partials ? cJSON_Parse(e->partials) : NULL;
	weft_auto(tmpl_cleanup) struct tmpl *t = NULL;
	int rc;

	assert_int_equal(!!data, !!e->data);
	assert_int_equal(!!partials, !!e->partials);
	rc = tmpl_compile("t", e->template, strlen(e->template), options, load_partial, partials, &t, err);
	if (rc) {
		assert_null(t);
		return rc;
	}
	return tmpl_render(t, data, out, err);
}

static void check(const struct tmpl_options *options, const struct example *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		weft_auto(weft_buf_free) struct weft_buf out = {0};
		struct weft_err err = WEFT_ERR_INIT;
		int rc;

		weft_buf_str(&out, "before|");
		rc = render(options, &list[i], &out, &err);
		if (list[i].want && (rc || strcmp(weft_buf_text(&out) + 7, list[i].want) != 0))
			fail_msg("%s\n wanted [%s]\n got    [%s] %s", list[i].template, list[i].want,
			         weft_buf_text(&out) + 7, err.text);
		if (list[i].error && (!rc || err.code != rc || !strstr(err.text, list[i].error)))
			fail_msg("%s\n wanted the error [%s]\n got %d [%s] and the text [%s]",
			         list[i].template, list[i].error, rc, err.text, weft_buf_text(&out));
		if (rc)
			assert_string_equal(weft_buf_text(&out), "before|");
	}
}

#define CHECK(options, list) check(options, list, WEFT_ARRAY_LEN(list))

#endif
