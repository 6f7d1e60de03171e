// SPDX-License-Identifier: GPL-2.0-or-later
/* YAML and JSON text to trees: types, documents, lines, limits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/yaml.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

static struct weft_yaml parse(const char *text)
{
	struct weft_yaml yaml;

	assert_int_equal(weft_yaml_parse(text, strlen(text), false, &yaml, NULL), 0);
	return yaml;
}

static void scalars_follow_the_core_schema(void **state)
{
	static const struct {
		const char *yaml, *json;
	} cases[] = {
	        {"1", "1"},
	        {"-12", "-12"},
	        {"+3", "3"},
	        {"0x1f", "31"},
	        {"0o17", "15"},
	        {"017", "17"},
	        {"1.5", "1.5"},
	        {".5", "0.5"},
	        {"1e3", "1000"},
	        {"true", "true"},
	        {"FALSE", "false"},
	        {"null", "null"},
	        {"~", "null"},
	        {"", "null"},
	        {"yes", "\"yes\""},
	        {"off", "\"off\""},
	        {"1.2.3", "\"1.2.3\""},
	        {"10.0.0.0/8", "\"10.0.0.0/8\""},
	        {"0x", "\"0x\""},
	        {"1_000", "\"1_000\""},
	        {"12:30:45", "\"12:30:45\""},
	        {".", "\".\""},
	        {"1e", "\"1e\""},
	        {"nan", "\"nan\""},
	        {"\"1\"", "\"1\""},
	        {"'true'", "\"true\""},
	        {"|-\n  1", "\"1\""},
	        {"!!str 1", "\"1\""},
	        {"! 1", "\"1\""},
	        {"!!int \"7\"", "7"},
	        {"!!float 2", "2"},
	        {"!!null ''", "null"},
	        {"[1, a]", "[1,\"a\"]"},
	        {"{a: {b: }}", "{\"a\":{\"b\":null}}"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf text = {0};
		weft_autofree char *json = NULL;

		weft_buf_printf(&text, "x: %s\n", cases[i].yaml);
		struct weft_yaml yaml = parse(weft_buf_text(&text));
		assert_int_equal(yaml.n_docs, 1);
		assert_string_equal(yaml.docs[0].err.text, "");
		json = cJSON_PrintUnformatted(cJSON_GetObjectItem(yaml.docs[0].root, "x"));
		assert_string_equal(json, cases[i].json);
		weft_yaml_free(&yaml);
	}
}

static void documents_are_independent(void **state)
{
	struct weft_yaml yaml = parse(
	        "a: 1\n--- # two\nb: [\n---\nc: \"x\n---\n--- |\n text ---\n...\njunk: {\n...\n---\nd: 4");

	(void)state;
	assert_int_equal(yaml.n_docs, 6);
	assert_int_equal(yaml.docs[0].err.code, 0);
	assert_int_equal(yaml.docs[0].line, 1);
	assert_int_not_equal(yaml.docs[1].err.code, 0);
	assert_int_equal(yaml.docs[1].line, 4);
	assert_int_not_equal(yaml.docs[2].err.code, 0);
	assert_string_equal(yaml.docs[3].root->valuestring, "text ---\n");
	assert_int_not_equal(yaml.docs[4].err.code, 0);
	assert_int_equal(cJSON_GetObjectItem(yaml.docs[5].root, "d")->valueint, 4);
	assert_int_equal(yaml.docs[5].line, 13);
	for (size_t i = 0; i < 5; i++) { /* one by one, as they have been used */
		weft_yaml_doc_free(&yaml.docs[i]);
		assert_null(yaml.docs[i].root);
		assert_int_equal(cJSON_GetObjectItem(yaml.docs[5].root, "d")->valueint, 4);
	}
	weft_yaml_free(&yaml);
}

static void nodes_know_their_lines(void **state)
{
	struct weft_yaml yaml = parse("\n# c\na: 1\n---\nb:\n  c:\n  - 1\n  - x: &z {q: 7}\n  - *z\n");
	struct weft_yaml_doc *doc = &yaml.docs[1];
	cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(doc->root, "b"), "c");

	(void)state;
	assert_int_equal(yaml.docs[0].line, 3);
	assert_int_equal(weft_yaml_line(doc, NULL), 5);
	assert_int_equal(weft_yaml_line(doc, doc->root), 5);
	assert_int_equal(weft_yaml_line(&yaml.docs[0], yaml.docs[0].root), 3);
	assert_int_equal(weft_yaml_line(doc, list), 7);
	assert_int_equal(weft_yaml_line(doc, cJSON_GetArrayItem(list, 1)), 8);
	assert_int_equal(weft_yaml_line(doc, cJSON_GetArrayItem(list, 2)), 9);
	assert_int_equal(weft_yaml_line(doc, cJSON_GetObjectItem(cJSON_GetArrayItem(list, 2), "q")), 9);
	assert_int_equal(weft_yaml_line(doc, list + 1000), 5);
	weft_yaml_free(&yaml);
}

static void json_may_use_tabs_anywhere(void **state)
{
	const char *text = "\n\t{\n\t\t\"a\"\t:\t[1,\t2],\n\"b\":\"\\u00e9\\/\\n\"}\t\n\t";
	struct weft_yaml yaml;
	char *json;

	(void)state;
	assert_int_equal(weft_yaml_parse(text, strlen(text), true, &yaml, NULL), 0);
	assert_string_equal(yaml.docs[0].err.text, "");
	json = cJSON_PrintUnformatted(yaml.docs[0].root);
	assert_string_equal(json, "{\"a\":[1,2],\"b\":\"\xc3\xa9/\\n\"}");
	assert_int_equal(weft_yaml_line(&yaml.docs[0], cJSON_GetObjectItem(yaml.docs[0].root, "b")), 4);
	free(json);
	weft_yaml_free(&yaml);
}

static void huge(struct weft_buf *text, const char *part, size_t n)
{
	for (size_t i = 0; i < n; i++)
		weft_buf_str(text, part);
}

static void limits_hold(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf nodes = {0}, file = {0}, keys = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_yaml yaml;

	(void)state;
	huge(&nodes, "- 1\n", WEFT_YAML_MAX_NODES);
	yaml = parse(weft_buf_text(&nodes));
	assert_string_equal(yaml.docs[0].err.text, "the file has more than 1000000 values");
	weft_yaml_free(&yaml);
	huge(&file, "# 567890\n", WEFT_YAML_MAX_FILE / 9 + 1);
	assert_int_equal(weft_yaml_parse(file.data, file.len, false, &yaml, &err), -EFBIG);
	weft_yaml_free(&yaml);
	for (int i = 0; i < 100000; i++)
		weft_buf_printf(&keys, "k%d: 1\n", i);
	weft_buf_str(&keys, "k77: 1\n");
	yaml = parse(weft_buf_text(&keys));
	assert_string_equal(yaml.docs[0].err.text, "the key \"k77\" appears twice");
	assert_int_equal(yaml.docs[0].line, 100001);
	weft_yaml_free(&yaml);
}

static void an_alias_is_a_copy(void **state)
{
	struct weft_yaml yaml = parse("a: &x {b: 1}\nc: *x\nd: &x 2\ne: *x\n");
	weft_autofree char *json = cJSON_PrintUnformatted(yaml.docs[0].root);

	(void)state;
	assert_string_equal(json, "{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":2,\"e\":2}");
	weft_yaml_free(&yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(scalars_follow_the_core_schema),
	        cmocka_unit_test(documents_are_independent),
	        cmocka_unit_test(nodes_know_their_lines),
	        cmocka_unit_test(json_may_use_tabs_anywhere),
	        cmocka_unit_test(limits_hold),
	        cmocka_unit_test(an_alias_is_a_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
