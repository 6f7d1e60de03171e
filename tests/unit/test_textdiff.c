// SPDX-License-Identifier: GPL-2.0-or-later
/* Differences of texts: known ones, and that applying one gives the other text, for many random ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/plan/textdiff.h"
#include "weft/cleanup.h"

static void known_differences(void **state)
{
	static const struct {
		const char *before, *after, *diff;
	} cases[] = {
	        {"", "", ""},
	        {"a\nb\n", "a\nb\n", ""},
	        {"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
	        {"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
	        {"1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nx\n6\n7\n8\n",
	         "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
	        {"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
	         "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
	        {"a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
	         "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
	        {"a\nb\nc\n", "a\nc\n", "@@ -1,3 +1,2 @@\n a\n-b\n c\n"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf out = {0};

		textdiff(cases[i].before, cases[i].after, &out);
		assert_string_equal(weft_buf_text(&out), cases[i].diff);
	}
}

static void section(int i, struct weft_buf *out)
{
	weft_buf_printf(out, "peer %d {\n\tfilter f%d;\n\thold 9;\n\tipv4;\n}\n\n", i, i);
}

/* Sections that look alike: the new one is shown as new, and no other as changed. */
static void a_section_that_comes_in_between(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf a = {0}, b = {0}, diff = {0};

	(void)state;
	for (int i = 0; i < 6; i++) {
		if (i != 2)
			section(i, &a);
		section(i, &b);
	}
	textdiff(weft_buf_text(&a), weft_buf_text(&b), &diff);
	assert_null(strstr(weft_buf_text(&diff), "\n-"));
	assert_non_null(strstr(weft_buf_text(&diff),
	                       "\n+peer 2 {\n+\tfilter f2;\n+\thold 9;\n+\tipv4;\n+}\n+\n peer 3 {"));
}

/* Apply a diff as patch does. */
static void apply(const char *before, const char *diff, struct weft_buf *out)
{
	size_t line = 1, from, count;

	while (*diff) {
		const char *end = strchr(diff, '\n');

		if (sscanf(diff, "@@ -%zu,%zu", &from, &count) == 2) {
			for (from += !count; line < from; line++) {
				size_t len = strcspn(before, "\n") + 1;

				weft_buf_add(out, before, len);
				before += len;
			}
		} else {
			if (*diff != '-')
				weft_buf_add(out, diff + 1, (size_t)(end - diff));
			if (*diff != '+') {
				assert_memory_equal(before, diff + 1, (size_t)(end - diff));
				before += end - diff;
				line++;
			}
		}
		diff = end + 1;
	}
	weft_buf_str(out, before);
}

static void random_text(struct weft_buf *out, int lines, int words)
{
	for (int i = 0; i < lines; i++)
		weft_buf_printf(out, "line %d\n", rand() % words);
}

static void a_diff_makes_one_text_of_the_other(void **state)
{
	(void)state;
	srand(5);
	for (int round = 0; round < 500; round++) {
		weft_auto(weft_buf_free) struct weft_buf a = {0}, b = {0}, diff = {0}, made = {0};
		int words = 1 + rand() % 20;

		random_text(&a, rand() % 40, words);
		random_text(&b, rand() % 40, words);
		textdiff(weft_buf_text(&a), weft_buf_text(&b), &diff);
		apply(weft_buf_text(&a), weft_buf_text(&diff), &made);
		assert_string_equal(weft_buf_text(&made), weft_buf_text(&b));
	}
}

static void texts_that_share_nothing(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf a = {0}, b = {0}, diff = {0}, made = {0};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		weft_buf_printf(&a, "old %d\n", i);
		weft_buf_printf(&b, "new %d\n", i);
	}
	textdiff(weft_buf_text(&a), weft_buf_text(&b), &diff);
	apply(weft_buf_text(&a), weft_buf_text(&diff), &made);
	assert_string_equal(weft_buf_text(&made), weft_buf_text(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(known_differences),
	        cmocka_unit_test(a_section_that_comes_in_between),
	        cmocka_unit_test(a_diff_makes_one_text_of_the_other),
	        cmocka_unit_test(texts_that_share_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
