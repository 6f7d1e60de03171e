// SPDX-License-Identifier: GPL-2.0-or-later
/* What weftctl does with texts, rows and tables; the program itself is in test_ctl_program.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "weft/cleanup.h"

static void unsafe_text_is_cleaned_and_utf8_kept(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"plain", "plain"},
	        {"", ""},
	        {"gr\xc3\xbc\xc3\x9f \xe6\x9d\xb1 \xf0\x9f\x98\x80",
	         "gr\xc3\xbc\xc3\x9f \xe6\x9d\xb1 \xf0\x9f\x98\x80"},
	        {"a\033[31mred\033[0m", "a?[31mred?[0m"},
	        {"a\r\n\tb\x7f", "a???b?"},
	        {"c1\xc2\x9b"
	         "31m",
	         "c1?31m"}, /* CSI as one code point */
	        {"\x9b"
	         "31m",
	         "?31m"},                     /* the same byte alone: not UTF-8 */
	        {"\xc0\x9b", "??"},           /* overlong escape */
	        {"\xe0\x80\x9b", "???"},      /* overlong, too */
	        {"\xed\xa0\x80", "???"},      /* a surrogate */
	        {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
	        {"cut\xe6\x9d", "cut??"},
	        {"evil\xe2\x80\xaetxt", "evil?txt"},  /* right-to-left override */
	        {"\xe2\x81\xa6x\xe2\x81\xa9", "?x?"}, /* isolates */
	        {"line\xe2\x80\xa8sep", "line?sep"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_autofree char *text = strdup(cases[i].in);

		ctl_text_clean(text);
		assert_string_equal(text, cases[i].out);
	}
}

static void width_counts_columns_not_bytes(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};

	(void)state;
	assert_int_equal(ctl_text_width("abc"), 3);
	assert_int_equal(ctl_text_width("gr\xc3\xbc\xc3\x9f"), 4);
	assert_int_equal(ctl_text_width("\xe6\x9d\xb1\xe4\xba\xac"), 4);
	ctl_text_cut("\xe6\x9d\xb1\xe4\xba\xac", 3, &out);
	weft_buf_char(&out, '|');
	ctl_text_cut("abcdef", 4, &out);
	weft_buf_char(&out, '|');
	ctl_text_cut("abc", 3, &out);
	assert_string_equal(out.data, "\xe6\x9d\xb1…|abc…|abc");
}

static cJSON *parse(const char *text)
{
	cJSON *value = cJSON_Parse(text);

	assert_non_null(value);
	return value;
}

static void assert_rows(cJSON *rows, const char *key, const char *joined)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	cJSON *row;

	cJSON_ArrayForEach (row, rows) {
		ctl_fmt_text(ctl_get(row, key), &out);
		weft_buf_char(&out, ' ');
	}
	assert_string_equal(weft_buf_text(&out), joined);
	cJSON_Delete(rows);
}

static void rows_sort_by_what_they_mean(void **state)
{
	static const char *const by_a[CTL_SORT_KEYS] = {"a"};
	static const char *const by_ab[CTL_SORT_KEYS] = {"a", "b"};
	cJSON *rows;

	(void)state;
	rows = parse("[{\"a\":\"10.244.10.0/26\"},{\"a\":\"fd00::/122\"},{\"a\":\"10.244.2.0/26\"},{},"
	             "{\"a\":\"10.244.2.0/24\"}]");
	ctl_rows_sort(rows, by_a);
	assert_rows(rows, "a", "10.244.2.0/24 10.244.2.0/26 10.244.10.0/26 fd00::/122 - ");
	rows = parse("[{\"a\":\"node10\"},{\"a\":\"node9\"},{\"a\":\"node1\"}]");
	ctl_rows_sort(rows, by_a);
	assert_rows(rows, "a", "node1 node9 node10 ");
	rows = parse(
	        "[{\"a\":179,\"b\":1},{\"a\":\"main\",\"b\":10},{\"a\":\"main\",\"b\":9},{\"a\":20,\"b\":3}]");
	ctl_rows_sort(rows, by_ab);
	assert_rows(rows, "b", "9 10 3 1 ");
	rows = parse("[]");
	ctl_rows_sort(rows, by_a);
	assert_rows(rows, "a", "");
	rows = parse("[5,\"x\",null]");
	ctl_rows_sort(rows, by_a);
	assert_rows(rows, "a", "- - - ");
}

static void rows_filter_by_pattern_and_address(void **state)
{
	const char *blocks =
	        "[{\"a\":\"10.244.1.0/26\"},{\"a\":\"10.244.1.64/26\"},{\"a\":\"fd00::40/122\"},{\"a\":7}]";
	static const struct {
		const char *match, *left;
	} cases[] = {
	        {"10.244.1.70", "10.244.1.64/26 "},
	        {"10.244.1.0/26", "10.244.1.0/26 "},
	        {"10.244.1.0/28", "10.244.1.0/26 "},
	        {"10.244.1.0/24", ""},
	        {"10.244.*", "10.244.1.0/26 10.244.1.64/26 "},
	        {"fd00::41", "fd00::40/122 "},
	        {"nothing", ""},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		cJSON *rows = parse(blocks);

		ctl_rows_filter(rows, "a", cases[i].match);
		assert_rows(rows, "a", cases[i].left);
	}
}

static void values_show_sensibly(void **state)
{
	static const struct {
		ctl_format_fn format;
		const char *json, *text;
	} cases[] = {
	        {ctl_fmt_text, "\"x\"", "x"},
	        {ctl_fmt_text, "\"\"", "-"},
	        {ctl_fmt_text, "null", "-"},
	        {ctl_fmt_text, "{}", "-"},
	        {ctl_fmt_text, "4294967295", "4294967295"},
	        {ctl_fmt_text, "-1.5", "-1.5"},
	        {ctl_fmt_text, "1e300", "1e+300"},
	        {ctl_fmt_text, "true", "yes"},
	        {ctl_fmt_text, "[\"a\",2,[3],null]", "a, 2, [...], -"},
	        {ctl_fmt_text, "[]", "-"},
	        {ctl_fmt_mark, "true", "*"},
	        {ctl_fmt_mark, "false", ""},
	        {ctl_fmt_mark, "\"true\"", ""},
	        {ctl_fmt_duration, "0", "0s"},
	        {ctl_fmt_duration, "59.9", "59s"},
	        {ctl_fmt_duration, "3600", "1h"},
	        {ctl_fmt_duration, "93784", "1d 2h"},
	        {ctl_fmt_duration, "-5", "-"},
	        {ctl_fmt_duration, "1e400", "-"},
	        {ctl_fmt_duration, "\"5\"", "-"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf out = {0};
		cJSON *value = parse(cases[i].json);

		cases[i].format(value, &out);
		assert_string_equal(weft_buf_text(&out), cases[i].text);
		cJSON_Delete(value);
	}
}

static const struct ctl_column columns[] = {
        {.header = "", .path = "self", .format = ctl_fmt_mark, .optional = true},
        {.header = "NAME", .path = "name", .shrink = 5},
        {.header = "STATE", .path = "s.word", .state = true},
        {.header = "N", .path = "n", .right = true},
        {.header = "NOTE", .path = "note", .optional = true},
};

static void assert_table(const char *json, struct ctl_style style, const char *text)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	cJSON *rows = parse(json);

	ctl_table(rows, columns, WEFT_ARRAY_LEN(columns), &style, &out);
	assert_false(out.failed);
	assert_string_equal(weft_buf_text(&out), text);
	cJSON_Delete(rows);
}

static void tables_line_up(void **state)
{
	const char *rows = "[{\"self\":true,\"name\":\"a-long-name\",\"s\":{\"word\":\"up\"},\"n\":5},"
	                   "{\"name\":\"b\",\"s\":{\"word\":\"conflict\"},\"n\":1234}]";
	const char *plain = "   NAME         STATE        N\n"
	                    "*  a-long-name  up           5\n"
	                    "   b            conflict  1234\n";

	(void)state;
	assert_table(rows, (struct ctl_style){0}, plain);
	assert_table(rows, (struct ctl_style){.width = 30}, plain);
	assert_table(rows, (struct ctl_style){.width = 26},
	             "   NAME     STATE        N\n"
	             "*  a-long…  up           5\n"
	             "   b        conflict  1234\n");
	assert_table(rows, (struct ctl_style){.width = 5}, /* never narrower than `shrink` */
	             "   NAME   STATE        N\n"
	             "*  a-lo…  up           5\n"
	             "   b      conflict  1234\n");
	assert_table(rows, (struct ctl_style){.colour = true},
	             "   NAME         STATE        N\n"
	             "*  a-long-name  \033[32mup\033[0m           5\n"
	             "   b            \033[31mconflict\033[0m  1234\n");
	assert_table("[{\"name\":\"a\",\"note\":\"x\"},7]", (struct ctl_style){0},
	             "NAME  STATE  N  NOTE\n"
	             "a     -      -  x\n"
	             "-     -      -  -\n");
}

static void yaml_keeps_types(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	cJSON *value =
	        parse("{\"a\":[1,2.5,4294967296,true,null,\"true\",\"No\",\"12\",\"1e3\",\"\",\"x: y\",\"~\","
	              "\"fd00::1\",\"10.0.0.1\",\"- x\",\"a #b\",\"multi\\nline\"],\"on\":{},\"e\":[]}");

	(void)state;
	assert_int_equal(ctl_yaml(value, &out, NULL), 0);
	assert_string_equal(out.data,
	                    "a:\n- 1\n- 2.5\n- 4294967296\n- true\n- null\n- 'true'\n- 'No'\n- '12'\n"
	                    "- '1e3'\n- ''\n- 'x: y'\n- '~'\n- fd00::1\n- '10.0.0.1'\n- '- x'\n"
	                    "- 'a #b'\n- 'multi\n\n  line'\n'on': {}\ne: []\n");
	cJSON_Delete(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(unsafe_text_is_cleaned_and_utf8_kept),
	        cmocka_unit_test(width_counts_columns_not_bytes),
	        cmocka_unit_test(rows_sort_by_what_they_mean),
	        cmocka_unit_test(rows_filter_by_pattern_and_address),
	        cmocka_unit_test(values_show_sensibly),
	        cmocka_unit_test(tables_line_up),
	        cmocka_unit_test(yaml_keeps_types),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
