// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The splitter of the API server's JSON: real answers whole, cut everywhere and byte by byte against what
 * cJSON says of the whole; hand-made ones for what servers may do but these did not; malformed ones by table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <glob.h>

#include "agent/kube/split.h"
#include "weft/cleanup.h"

#include "tests/unit/recorded_answers.h"

/* What was handed over: each text and, of a watch, its parts, a line each. */
struct heard {
	enum kube_shape shape;
	struct kube_split *split;
	struct weft_buf all;
	size_t count, stop_at;
	char *version, *more;
};

static int hear(void *ctx, char *text, size_t len)
{
	struct heard *h = ctx;
	struct kube_split_event ev;

	assert_int_equal(strlen(text), len);
	weft_buf_add(&h->all, text, len);
	weft_buf_char(&h->all, '\n');
	if (h->shape == KUBE_WATCH) {
		kube_split_event(h->split, &ev);
		weft_buf_add(&h->all, ev.type, ev.type_len);
		weft_buf_char(&h->all, '\n');
		weft_buf_add(&h->all, ev.object, ev.object_len);
		weft_buf_char(&h->all, '\n');
	}
	memset(text, 'x', len); /* allowed */
	return ++h->count == h->stop_at ? 7 : 0;
}

static void heard_free(struct heard *h)
{
	weft_buf_free(&h->all);
	free(h->version);
	free(h->more);
}

/* In copies of their exact size, so that a sanitizer sees a read behind the end. */
static int feed_piece(struct kube_split *s, const char *data, size_t len, struct weft_err *err)
{
	char *copy = malloc(len ? len : 1);
	int ret;

	memcpy(copy, data, len);
	ret = kube_split_feed(s, copy, len, err);
	free(copy);
	return ret;
}

/* Two pieces, or pieces of `step` bytes. */
static int split(enum kube_shape shape, const char *data, size_t len, size_t cut, size_t step,
                 struct heard *h, struct weft_err *err)
{
	struct kube_split *s = kube_split_new(shape, hear, h);
	int ret = 0;

	h->shape = shape;
	h->split = s;
	for (size_t at = 0, n; at < len && !ret; at += n) {
		n = step ? step : at ? len - at : cut;
		n = n < len - at ? n : len - at;
		ret = feed_piece(s, data + at, n, err);
		if (!n)
			break;
	}
	if (!ret && !step && !cut)
		ret = feed_piece(s, data, len, err);
	if (!ret)
		ret = kube_split_end(s, err);
	if (kube_split_version(s))
		h->version = strdup(kube_split_version(s));
	if (kube_split_continue(s))
		h->more = strdup(kube_split_continue(s));
	kube_split_free(s);
	return ret;
}

static void whole(enum kube_shape shape, const char *data, struct heard *h)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (split(shape, data, strlen(data), 0, 0, h, &err) != 0)
		fail_msg("%s\n%.200s", err.text, data);
}

/* --- against cJSON --- */

static void expect_print(struct weft_buf *to, const cJSON *json)
{
	weft_autofree char *text = cJSON_PrintUnformatted(json);

	weft_buf_str(to, text);
	weft_buf_char(to, '\n');
}

static void strip(cJSON *object)
{
	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, "metadata"),
	                                        "managedFields");
}

static void expect_list(const char *data, struct heard *want)
{
	cJSON *json = cJSON_Parse(data), *item;
	const cJSON *meta = cJSON_GetObjectItem(json, "metadata");
	const char *more = cJSON_GetStringValue(cJSON_GetObjectItem(meta, "continue"));

	assert_non_null(json);
	want->version = strdup(cJSON_GetStringValue(cJSON_GetObjectItem(meta, "resourceVersion")));
	want->more = strdup(more ? more : "");
	cJSON_ArrayForEach (item, cJSON_GetObjectItem(json, "items")) {
		strip(item);
		expect_print(&want->all, item);
	}
	cJSON_Delete(json);
}

static void expect_watch(const char *data, struct heard *want)
{
	const char *end;
	cJSON *json;

	for (; (json = cJSON_ParseWithOpts(data, &end, 0)); data = end) {
		strip(cJSON_GetObjectItem(json, "object"));
		expect_print(&want->all, json);
		weft_buf_printf(&want->all, "%s\n", cJSON_GetStringValue(cJSON_GetObjectItem(json, "type")));
		expect_print(&want->all, cJSON_GetObjectItem(json, "object"));
		cJSON_Delete(json);
	}
	assert_int_equal(data[strspn(data, "\n")], '\0');
}

/* What was handed over, as cJSON prints it. */
static char *printed(const struct heard *h)
{
	struct weft_buf b = {0};
	char *text = strdup(weft_buf_text(&h->all)), *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		cJSON *json = *line == '{' ? cJSON_ParseWithOpts(line, NULL, 1) : NULL;

		if (json)
			expect_print(&b, json);
		else
			weft_buf_printf(&b, "%s\n", line);
		cJSON_Delete(json);
	}
	free(text);
	return b.len ? weft_buf_take(&b) : strdup("");
}

static void same(const struct heard *a, const struct heard *b)
{
	assert_string_equal(weft_buf_text(&a->all), weft_buf_text(&b->all));
	assert_string_equal(a->version ? a->version : "none", b->version ? b->version : "none");
	assert_string_equal(a->more ? a->more : "none", b->more ? b->more : "none");
}

/* However it is cut, the same comes out. */
static void cut_everywhere(enum kube_shape shape, const char *data, size_t len)
{
	weft_auto(heard_free) struct heard once = {0};

	whole(shape, data, &once);
	for (size_t cut = 1; cut < len; cut++) {
		weft_auto(heard_free) struct heard two = {0};

		assert_int_equal(split(shape, data, len, cut, 0, &two, NULL), 0);
		same(&two, &once);
	}
	for (size_t step = 1; step <= 7; step++) {
		weft_auto(heard_free) struct heard many = {0};

		assert_int_equal(split(shape, data, len, 0, step, &many, NULL), 0);
		same(&many, &once);
	}
}

static void check_answer(enum kube_shape shape, const struct answer *a)
{
	weft_auto(heard_free) struct heard want = {0};
	weft_auto(heard_free) struct heard got = {0};
	weft_autofree char *text = NULL;

	(shape == KUBE_LIST ? expect_list : expect_watch)(a->body, &want);
	whole(shape, a->body, &got);
	text = printed(&got);
	assert_string_equal(text, weft_buf_text(&want.all));
	if (shape == KUBE_LIST) {
		assert_string_equal(got.version, want.version);
		assert_string_equal(got.more, want.more);
	}
	assert_null(strstr(weft_buf_text(&got.all), "managedFields"));
	cut_everywhere(shape, a->body, a->len);
}

static void test_recorded(void **state)
{
	size_t lists = 0, watches = 0;
	glob_t g;

	(void)state;
	assert_int_equal(glob(ANSWERS "*.bin", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct answer a = answer_read(g.gl_pathv[i] + strlen(ANSWERS));

		bool is_watch = !strncmp(a.body, "{\"type\":", 8);

		if (a.status == 200)
			check_answer(is_watch ? KUBE_WATCH : KUBE_LIST, &a);
		*(is_watch ? &watches : &lists) += a.status == 200;
		answer_free(&a);
	}
	globfree(&g);
	assert_true(lists > 9 && watches > 9);
}

/* --- what these servers did not do --- */

static void expect(enum kube_shape shape, const char *data, const char *all)
{
	weft_auto(heard_free) struct heard h = {0};

	whole(shape, data, &h);
	assert_string_equal(weft_buf_text(&h.all), all);
	cut_everywhere(shape, data, strlen(data));
}

#define ITEM(text) "{\"items\":[" text "],\"metadata\":{\"resourceVersion\":\"1\"}}"

/* managedFields goes, and exactly one comma with it. */
static void test_managed_fields(void **state)
{
	static const char *const tables[][2] = {
	        {"{\"metadata\":{\"managedFields\":[]}}", "{\"metadata\":{}}\n"},
	        {"{\"metadata\":{\"managedFields\":[{\"a\":[\"}\\\"\"]}],\"a\":1}}",
	         "{\"metadata\":{\"a\":1}}\n"},
	        {"{\"metadata\":{\"a\":1,\"managedFields\":[]}}", "{\"metadata\":{\"a\":1}}\n"},
	        {"{\"metadata\":{\"a\":1,\"managedFields\":[],\"b\":\"\\u003c\"}}",
	         "{\"metadata\":{\"a\":1,\"b\":\"\\u003c\"}}\n"},
	        {"{\"metadata\":{\"managedFields\":null,\"managedFields\":\"x\\\\\"}}",
	         "{\"metadata\":{}}\n"},
	        {"{\"metadata\":{\"managedFields\":1,\"a\":true,\"managedFields\":{}}}",
	         "{\"metadata\":{\"a\":true}}\n"},
	        {"{\"metadata\":{\"managedFields\":1,\"managedFields\":2,\"a\":3,\"b\":4}}",
	         "{\"metadata\":{\"a\":3,\"b\":4}}\n"},
	        {"{ \"metadata\" : { \"a\" : 1 , \"managedFields\" : [ 1 ] , \"b\" : 2 } }",
	         "{ \"metadata\" : { \"a\" : 1  , \"b\" : 2 } }\n"},
	        /* only there */
	        {"{\"managedFields\":1,\"spec\":{\"managedFields\":2,\"metadata\":{\"managedFields\":3}}}",
	         "{\"managedFields\":1,\"spec\":{\"managedFields\":2,\"metadata\":{\"managedFields\":3}}}\n"},
	        {"{\"metadata\":{\"labels\":{\"managedFields\":\"x\"}}}",
	         "{\"metadata\":{\"labels\":{\"managedFields\":\"x\"}}}\n"},
	        {"{\"metadata\":[{\"managedFields\":1}]}", "{\"metadata\":[{\"managedFields\":1}]}\n"},
	        {"{\"metadata\":{\"managedFieldsX\":1,\"managedField\":2}}",
	         "{\"metadata\":{\"managedFieldsX\":1,\"managedField\":2}}\n"},
	        {"{\"metadata\":{\"a\":1},\"metadata\":{\"managedFields\":1}}",
	         "{\"metadata\":{\"a\":1},\"metadata\":{}}\n"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(tables); i++) {
		char list[512], event[512], want[1024];

		snprintf(list, sizeof(list), ITEM("%s,{\"z\":0}"), tables[i][0]);
		snprintf(want, sizeof(want), "%s{\"z\":0}\n", tables[i][1]);
		expect(KUBE_LIST, list, want);
		snprintf(event, sizeof(event), "{\"type\":\"ADDED\",\"object\":%s}", tables[i][0]);
		snprintf(want, sizeof(want), "{\"type\":\"ADDED\",\"object\":%.*s}\nADDED\n%s",
		         (int)strlen(tables[i][1]) - 1, tables[i][1], tables[i][1]);
		expect(KUBE_WATCH, event, want);
	}
}

static void test_lists(void **state)
{
	static const char *const empty[] = {
	        "{\"items\":[]}",
	        "{\"items\":null,\"metadata\":null}",
	        " \n{ \"items\" : [ ] , \"metadata\" : { } } \r\n\t",
	        "{\"kind\":\"X\",\"a\":[{\"items\":[{}]}],\"b\":{\"items\":[{}]},\"c\":-1.5E+3,\"items\":null}",
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(empty); i++)
		expect(KUBE_LIST, empty[i], "");
	expect(KUBE_LIST, "{\"items\":[{},{ }\n,{\"a\":\"\\\\\\\"]}\"}]}",
	       "{}\n{ }\n{\"a\":\"\\\\\\\"]}\"}\n");
}

static void test_version_and_continue(void **state)
{
	static const struct {
		const char *data, *version, *more;
	} rows[] = {
	        {"{\"items\":[]}", "none", "none"},
	        {"{\"items\":[],\"metadata\":{\"resourceVersion\":7}}", "none", "none"},
	        {"{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}", "7", ""},
	        {"{\"items\":[{\"metadata\":{\"resourceVersion\":\"6\",\"continue\":\"u\"}}],"
	         "\"metadata\":{\"continue\":\"t\",\"x\":{\"continue\":\"v\"},\"resourceVersion\":\"7\"}}",
	         "7", "t"},
	        {"{\"resourceVersion\":\"5\",\"items\":[],\"metadata\":{\"resourceVersion\":\"8\",\"continue\":\"\"}}",
	         "8", ""},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(rows); i++) {
		weft_auto(heard_free) struct heard h = {0};

		whole(KUBE_LIST, rows[i].data, &h);
		assert_string_equal(h.version ? h.version : "none", rows[i].version);
		assert_string_equal(h.more ? h.more : "none", rows[i].more);
		cut_everywhere(KUBE_LIST, rows[i].data, strlen(rows[i].data));
	}
}

static void test_watches(void **state)
{
	(void)state;
	expect(KUBE_WATCH, "", "");
	expect(KUBE_WATCH, "\n\n", "");
	expect(KUBE_WATCH,
	       "{\"object\":{\"a\":[]},\"x\":{\"type\":\"N\"},\"type\":\"T\"}{\"type\":\"\",\"object\":{}}\n",
	       "{\"object\":{\"a\":[]},\"x\":{\"type\":\"N\"},\"type\":\"T\"}\nT\n{\"a\":[]}\n"
	       "{\"type\":\"\",\"object\":{}}\n\n{}\n");
	/* No object, no type: not those of the event before. */
	expect(KUBE_WATCH, "{\"type\":\"T\",\"object\":{\"a\":1}}{\"object\":[],\"type\":3}",
	       "{\"type\":\"T\",\"object\":{\"a\":1}}\nT\n{\"a\":1}\n{\"object\":[],\"type\":3}\n\n\n");
}

/* --- malformed --- */

static const struct {
	enum kube_shape shape;
	const char *data, *text;
} malformed[] = {
        {KUBE_LIST, "", "byte 0: cut off"},
        {KUBE_LIST, "[]", "byte 0: not an object"},
        {KUBE_LIST, "null", "byte 0: not an object"},
        {KUBE_LIST, "404 page not found\n", "byte 0: not an object"},
        {KUBE_LIST, "{}", "byte 2: a list without items"},
        {KUBE_LIST, "{\"kind\":\"Status\",\"metadata\":{}}", "a list without items"},
        {KUBE_LIST, "{\"items\":{}}", "byte 9: items is neither an array nor null"},
        {KUBE_LIST, "{\"items\":\"\"}", "byte 9: items is neither"},
        {KUBE_LIST, "{\"items\":nul}", "items is neither"},
        {KUBE_LIST, "{\"items\":nulll}", "items is neither"},
        {KUBE_LIST, "{\"items\":[null]}", "byte 10: an item that is no object"},
        {KUBE_LIST, "{\"items\":[{},]}", "byte 13: an item that is no object"},
        {KUBE_LIST, "{\"items\":[{}}", "byte 12: ',' or the closing bracket"},
        {KUBE_LIST, "{\"items\":[{}],}", "byte 14: a member's name"},
        {KUBE_LIST, "{\"items\":[{} {}]}", "',' or the closing bracket"},
        {KUBE_LIST, "{\"items\":[]", "byte 11: cut off"},
        {KUBE_LIST, "{\"items\":[]}}", "byte 12: something follows"},
        {KUBE_LIST, "{\"items\":[]}{", "byte 12: something follows"},
        {KUBE_LIST, "{\"items\" []}", "':' is missing"},
        {KUBE_LIST, "{items:[]}", "byte 1: a member's name"},
        {KUBE_LIST, "{\"kind\":,\"items\":[]}", "byte 8: no value begins like this"},
        {KUBE_LIST, "{\"kind\":}", "no value begins like this"},
        {KUBE_LIST, "{\"kind\":X}", "no value begins like this"},
        {KUBE_LIST, "{\"kind\":\"a\nb\"}", "a control character in a string"},
        {KUBE_LIST, "{\"kind\":\"a\\\nb\"}", "a control character in a string"},
        {KUBE_LIST, "{\"ki\tnd\":1}", "a control character in a string"},
        {KUBE_LIST, "{\"x\":[}", "byte 6: a bracket is closed that is not open"},
        {KUBE_LIST, "{\"x\":{\"a\":[1}]}", "a bracket is closed that is not open"},
        {KUBE_LIST, "{\"x\":[\x01]}", "a byte that can't be in JSON"},
        {KUBE_LIST, "{\"x\":[\xff]}", "a byte that can't be in JSON"},
        {KUBE_LIST, "{\"x\":[\\]}", "a byte that can't be in JSON"},
        {KUBE_LIST, "{\"metadata\":{\"resourceVersion\":\"\\u0031\"},\"items\":[]}", "have no escapes"},
        {KUBE_LIST, "{\"metadata\":{\"continue\":\"a\\\\\"},\"items\":[]}", "have no escapes"},
        {KUBE_LIST, "{\"items\":[{\"metadata\":{\"managedFields\":[],}}]}", "a member's name"},
        {KUBE_LIST, "{\"items\":[{\"metadata\":{,\"managedFields\":[]}}]}", "a member's name"},
        {KUBE_LIST, "\xef\xbb\xbf{\"items\":[]}", "byte 0: not an object"},
        {KUBE_WATCH, "{\"type\":\"ADDED\",\"object\":{}", "cut off in an event"},
        {KUBE_WATCH, "{\"type\":\"ADDED\"}]", "byte 16: not an object"},
        {KUBE_WATCH, "404 page not found\n", "not an object"},
        {KUBE_WATCH, "{\"object\":{\"metadata\":{\"a\":1]}}", "',' or the closing bracket"},
        {KUBE_WATCH, "{\"type\":\"ADDED\",\"object\":{]}", "a member's name"},
};

/* Each says where, and says it however it is cut. */
static void test_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(malformed); i++) {
		size_t len = strlen(malformed[i].data);

		for (size_t cut = 0; cut <= len; cut++) {
			weft_auto(heard_free) struct heard h = {0};
			struct weft_err err = WEFT_ERR_INIT;

			assert_int_equal(split(malformed[i].shape, malformed[i].data, len, cut, 0, &h, &err),
			                 -EBADMSG);
			if (!strstr(err.text, malformed[i].text))
				fail_msg("%s: %s, not %s", malformed[i].data, err.text, malformed[i].text);
		}
	}
}

static void test_nul_bytes(void **state)
{
	static const char in_string[] = "{\"items\":[{\"a\":\"\0\"}]}",
	                  escaped[] = "{\"items\":[{\"a\":\"\\\0\"}]}",
	                  between[] = "{\"items\":[{\"a\":[\0]}]}";

	(void)state;
	for (int i = 0; i < 3; i++) {
		weft_auto(heard_free) struct heard h = {0};
		const char *data = i == 0 ? in_string : i == 1 ? escaped : between;
		size_t len = i == 0 ? sizeof(in_string) : i == 1 ? sizeof(escaped) : sizeof(between);

		assert_int_equal(split(KUBE_LIST, data, len - 1, 0, 0, &h, NULL), -EBADMSG);
		assert_int_equal(h.count, 0);
	}
}

/* --- bounds --- */

/* "{"items":[{"a":" + n bytes + '"}]}' */
static int feed_object(size_t n, const char *before, const char *after, struct weft_err *err)
{
	weft_auto(heard_free) struct heard h = {.all.max = 64 << 20};
	weft_auto(weft_buf_free) struct weft_buf b = {.max = 64 << 20};
	char *fill = malloc(n);

	memset(fill, 'y', n);
	weft_buf_str(&b, before);
	weft_buf_add(&b, fill, n);
	weft_buf_str(&b, after);
	free(fill);
	return split(KUBE_LIST, weft_buf_text(&b), b.len, 0, 65536, &h, err);
}

static void test_object_size(void **state)
{
	static const char before[] = "{\"items\":[{\"a\":\"", after[] = "\"}]}";
	size_t most = KUBE_OBJECT_MAX - strlen("{\"a\":\"\"}");
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	assert_int_equal(feed_object(most, before, after, &err), 0);
	assert_int_equal(feed_object(most + 1, before, after, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "an object of more than 4 MiB"));
}

/* What is in no object is bounded too: the envelope, and managedFields. */
static void test_rest_size(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	assert_int_equal(feed_object(KUBE_OBJECT_MAX - 100, "{\"x\":[\"", "\"],\"items\":[]}", &err), 0);
	assert_int_equal(feed_object(KUBE_OBJECT_MAX, "{\"x\":[\"", "\"],\"items\":[]}", &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "belong to no object"));
	assert_int_equal(feed_object(KUBE_OBJECT_MAX, "{\"items\":[{\"metadata\":{\"managedFields\":\"",
	                             "\"}}]}", &err),
	                 -EMSGSIZE);
}

/* ... but not over all objects together. */
static void test_rest_of_many(void **state)
{
	static const char item[] = "{\"metadata\":{\"managedFields\":\"%0*d\"}}";
	weft_auto(heard_free) struct heard h = {0};
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	(void)state;
	weft_buf_str(&b, "{\"items\":[");
	for (int i = 0; i < 10; i++) {
		weft_buf_str(&b, i ? "," : "");
		weft_buf_printf(&b, item, 1 << 20, i);
	}
	weft_buf_str(&b, "]}");
	assert_false(b.failed);
	assert_int_equal(split(KUBE_LIST, weft_buf_text(&b), b.len, 0, 16384, &h, NULL), 0);
	assert_int_equal(h.count, 10);
}

static int feed_depth(enum kube_shape shape, const char *before, size_t n, struct weft_err *err)
{
	weft_auto(heard_free) struct heard h = {0};
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	weft_buf_str(&b, before);
	for (size_t i = 0; i < n; i++)
		weft_buf_char(&b, '[');
	for (size_t i = 0; i < n; i++)
		weft_buf_char(&b, ']');
	weft_buf_str(&b, shape == KUBE_LIST ? "}]}" : "}}");
	return split(shape, weft_buf_text(&b), b.len, 0, 0, &h, err);
}

static void test_depth(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	assert_int_equal(feed_depth(KUBE_LIST, "{\"items\":[{\"a\":", KUBE_DEPTH_MAX - 3, &err), 0);
	assert_int_equal(feed_depth(KUBE_LIST, "{\"items\":[{\"a\":", KUBE_DEPTH_MAX - 2, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "deeper than 64"));
	assert_int_equal(feed_depth(KUBE_WATCH, "{\"object\":{\"a\":", KUBE_DEPTH_MAX - 2, &err), 0);
	assert_int_equal(feed_depth(KUBE_WATCH, "{\"object\":{\"a\":", KUBE_DEPTH_MAX - 1, &err), -EMSGSIZE);
	assert_int_equal(feed_depth(KUBE_WATCH, "{\"object\":{\"a\":", 100000, &err), -EMSGSIZE);
}

/* The callee's code ends the feed, at once. */
static void test_callee_stops(void **state)
{
	weft_auto(heard_free) struct heard h = {.stop_at = 2};

	(void)state;
	assert_int_equal(split(KUBE_LIST, "{\"items\":[{},{},{}]}", 20, 0, 0, &h, NULL), 7);
	assert_int_equal(h.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_recorded),  cmocka_unit_test(test_managed_fields),
	        cmocka_unit_test(test_lists),     cmocka_unit_test(test_version_and_continue),
	        cmocka_unit_test(test_watches),   cmocka_unit_test(test_malformed),
	        cmocka_unit_test(test_nul_bytes), cmocka_unit_test(test_object_size),
	        cmocka_unit_test(test_rest_size), cmocka_unit_test(test_rest_of_many),
	        cmocka_unit_test(test_depth),     cmocka_unit_test(test_callee_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
