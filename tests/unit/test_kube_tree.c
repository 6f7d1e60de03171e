// SPDX-License-Identifier: GPL-2.0-or-later
/* Trees of the API server's objects are what cJSON makes of the same bytes, whatever these are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/kube/tree.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

static bool same_text(const char *a, const char *b)
{
	return !a == !b && (!a || !strcmp(a, b));
}

/* Every field that a reader may look at. */
static bool same(const cJSON *a, const cJSON *b)
{
	const cJSON *x, *y;

	if (!a != !b)
		return false;
	if (!a)
		return true;
	if (a->type != b->type || a->valueint != b->valueint ||
	    memcmp(&a->valuedouble, &b->valuedouble, sizeof(double)) || !same_text(a->string, b->string) ||
	    !same_text(a->valuestring, b->valuestring))
		return false;
	for (x = a->child, y = b->child; x && y; x = x->next, y = y->next)
		if (!same(x, y) || !x->prev || (x != a->child && x->prev->next != x))
			return false;
	/* The first one's prev is the last. */
	return !x && !y && (!a->child || !a->child->prev->next);
}

/* Was it taken without cJSON's help? */
static bool agrees(const char *text, size_t len)
{
	cJSON *json = cJSON_ParseWithLength(text, len);
	struct kube_tree tree;
	bool quick;

	kube_tree_parse(&tree, text, len);
	if (!same(tree.root, json))
		fail_msg("differs from cJSON: %.*s", (int)len, text);
	quick = tree.root && !tree.left;
	kube_tree_free(&tree, true);
	assert_null(tree.root);
	cJSON_Delete(json);
	return quick;
}

static const char object[] =
        "{\"metadata\":{\"name\":\"svc-1\",\"namespace\":\"default\",\"uid\":\"0f\",\"labels\":{\"a\":\"b\",\"c\":\"\"},"
        "\"annotations\":{\"last\":\"{\\\"x\\\":[1,\\n2]}\\/\\\\\\t\\r\\b\\f\",\"u\":\"\\u00e9\\u20AC\\u0041\"}},"
        "\"spec\": {\"ports\" :[ {\"port\":80,\"nodePort\":-1} , {\"port\":2147483648}],\"on\":true,\"off\":false,"
        "\"none\":null,\"list\":[],\"object\":{},\"big\":123456789012345,\"small\":-3000000000}}\n";

static void ordinary_objects_are_quick(void **state)
{
	static const char *const texts[] = {"{}",   "[]",  "0",     "-1",          "\"\"",   " [ 1 , 2 ] ",
	                                    "null", "007", "false", "{\"a\":{}}x", "[[[]]]", object};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(texts); i++)
		assert_true(agrees(texts[i], strlen(texts[i])));
}

static void the_rest_is_left_to_cjson(void **state)
{
	static const char *const texts[] = {
	        "",
	        " ",
	        "{",
	        "[1",
	        "[1,]",
	        "{\"a\"}",
	        "{\"a\":}",
	        "{a:1}",
	        "{\"a\":1,}",
	        "\"",
	        "\"\\",
	        "\"\\\"",
	        "\"\\q\"",
	        "\"\\u12\"",
	        "\"\\u0000\"",
	        "\"\\ud83d\\ude00\"",
	        "\"\\ud83d\"",
	        "\"\\udc00x\"",
	        "-",
	        "--1",
	        "-0",
	        "1.5",
	        "[1e3]",
	        "[12a]",
	        "1-2",
	        "1234567890123456",
	        "-9007199254740993",
	        "1e999",
	        "tru",
	        "nul",
	        "fals",
	        "[\v1]",
	        "\xef\xbb\xbf{}",
	        "nothing",
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(texts); i++)
		assert_false(agrees(texts[i], strlen(texts[i])));
}

/* Each of its beginnings, too: nothing is read behind the end. */
static void ends_anywhere(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(object); len++) {
		char *copy = malloc(len ? len : 1);

		memcpy(copy, object, len);
		agrees(copy, len);
		free(copy);
	}
}

static uint32_t chance(uint32_t below)
{
	static uint64_t seed = 0x9e3779b97f4a7c15;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % below;
}

static void damaged_objects(void **state)
{
	static const char bytes[] = "{}[]\",:\\u0189-.eE tfn\x01\x7f\xc3";
	char text[sizeof(object)];
	size_t len;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		len = sizeof(object) - 1;
		memcpy(text, object, len);
		for (uint32_t n = 1 + chance(3); n; n--) {
			uint32_t at = chance((uint32_t)len);

			if (chance(3) == 0) {
				memmove(text + at, text + at + 1, len - at - 1);
				len--;
			} else {
				text[at] = bytes[chance(sizeof(bytes) - 1)];
			}
		}
		agrees(text, len);
	}
}

static void nested(unsigned depth, bool quick)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	for (unsigned i = 0; i < depth; i++)
		weft_buf_str(&b, i % 2 ? "{\"a\":" : "[");
	weft_buf_str(&b, "1");
	for (unsigned i = depth; i; i--)
		weft_buf_str(&b, i % 2 ? "]" : "}");
	assert_int_equal(agrees(weft_buf_text(&b), b.len), quick);
}

static void depth_is_bounded(void **state)
{
	(void)state;
	nested(64, true);
	nested(65, false);
	nested(900, false);
	nested(1100, false);
}

/* More than one piece of memory. */
static void large_objects(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	(void)state;
	weft_buf_str(&b, "{\"endpoints\":[0");
	for (int i = 0; i < 100000; i++)
		weft_buf_printf(&b, ",%d", i);
	weft_buf_str(&b, ",\"");
	for (int i = 0; i < 1000000; i++)
		weft_buf_char(&b, 'x');
	weft_buf_str(&b, "\",2]}");
	assert_true(agrees(weft_buf_text(&b), b.len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ordinary_objects_are_quick),
	        cmocka_unit_test(the_rest_is_left_to_cjson),
	        cmocka_unit_test(ends_anywhere),
	        cmocka_unit_test(damaged_objects),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(large_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
