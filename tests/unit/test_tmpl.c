// SPDX-License-Identifier: GPL-2.0-or-later
/* Templates: the language, rule by rule of the Mustache specification, in tables; and its bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/tmpl_example.h"

static const struct tmpl_options html = {.escape = TMPL_HTML};
static const struct tmpl_options bird = {.escape = TMPL_BIRD, .strict = true};

static void values_are_interpolated(void **state)
{
	static const struct example list[] = {
	        IS("no { tags } here } }", "{}", "no { tags } here } }"),
	        IS("", "{}", ""),
	        IS("a {{city}} b", "{\"city\":\"Brno\"}", "a Brno b"),
	        IS("{{x}}", "{\"x\":\"{{y}}\",\"y\":1}", "{{y}}"),
	        IS("{{x}}|{{{x}}}|{{&x}}", "{\"x\":\"a&b\\\"<c>\"}",
	           "a&amp;b&quot;&lt;c&gt;|a&b\"<c>|a&b\"<c>"),
	        IS("{{x}},{{{x}}},{{&x}}", "{\"x\":179}", "179,179,179"),
	        IS("{{x}} {{y}} {{z}}", "{\"x\":2.50,\"y\":-0.0,\"z\":0.1}", "2.5 0 0.1"),
	        IS("{{x}} {{y}}", "{\"x\":4294967295,\"y\":-65536}", "4294967295 -65536"),
	        IS("{{x}}", "{\"x\":0.30000000000000004}", "0.30000000000000004"),
	        IS("{{t}} {{f}}", "{\"t\":true,\"f\":false}", "true false"),
	        IS("({{x}}{{{x}}}{{&x}})", "{\"x\":null}", "()"),
	        IS("({{x}}{{{x}}}{{&x}})", "{}", "()"),
	        IS("({{x}})", NULL, "()"),
	        IS("({{.}})", NULL, "()"),
	        IS("|{{ x }}|{{{  x\t}}}|{{& x}}|{{\n x \n}}|", "{\"x\":1}", "|1|1|1|1|"),
	        IS("  {{x}}  \n", "{\"x\":1}", "  1  \n"),
	        IS("  {{{x}}}\n{{&x}}\n", "{\"x\":1}", "  1\n1\n"),
	        FAILS("{{x}}", "{\"x\":[1]}", "t:1:1: the value of {{x}} is a list"),
	        FAILS("{{x}}", "{\"x\":{}}", "{{x}} is an object"),
	};

	(void)state;
	CHECK(&html, list);
}

static void dotted_names_resolve_first_outwards_then_down(void **state)
{
	static const struct example list[] = {
	        IS("{{a.b.c.d}}", "{\"a\":{\"b\":{\"c\":{\"d\":\"deep\"}}}}", "deep"),
	        IS("{{{a.b}}} {{&a.b}}", "{\"a\":{\"b\":1}}", "1 1"),
	        IS("({{a.b.c}})", "{\"a\":{}}", "()"),
	        IS("({{a.b.c}})", "{\"a\":{\"b\":5}}", "()"),
	        IS("({{a.x.name}})", "{\"a\":{\"x\":{}},\"name\":\"no\",\"x\":{\"name\":\"no\"}}", "()"),
	        IS("{{#a}}{{b.c}}{{/a}}", "{\"a\":{\"b\":{\"c\":\"in\"}},\"b\":{\"c\":\"out\"}}", "in"),
	        IS("{{#a}}({{b.c}}){{/a}}", "{\"a\":{\"b\":{}},\"b\":{\"c\":\"out\"}}", "()"),
	        IS("{{#a}}({{b}}){{/a}}", "{\"a\":{\"b\":null},\"b\":\"out\"}", "()"),
	        IS("({{a.b}})", "{\"a.b\":1}", "()"),
	        IS("({{a.b}})", "{\"a.b\":1,\"a\":{\"b\":2}}", "(2)"),
	        IS("({{A}})", "{\"a\":1}", "()"),
	        IS("({{a.0}})", "{\"a\":[1]}", "()"),
	};

	(void)state;
	CHECK(&html, list);
}

static void sections_repeat_and_choose(void **state)
{
	static const struct example list[] = {
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":true}", "[yes]"),
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":false}", "[]"),
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":null}", "[]"),
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":\"\"}", "[]"),
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":0}", "[yes]"),
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":{}}", "[yes]"),
	        IS("[{{#x}}yes{{/x}}]", "{\"x\":[]}", "[]"),
	        IS("[{{#x}}yes{{/x}}]", "{}", "[]"),
	        IS("[{{#x}}yes{{/x}}]", NULL, "[]"),
	        IS("{{#p}}{{n}}.{{/p}}", "{\"p\":[{\"n\":1},{\"n\":2},{\"n\":3}]}", "1.2.3."),
	        IS("{{#p}}{{n}}{{/p}}", "{\"p\":{\"n\":1}}", "1"),
	        IS("{{#p}}{{a}}{{b}}{{c.d}} {{/p}}", "{\"a\":1,\"b\":2,\"c\":{\"d\":3},\"p\":[{\"b\":9},{}]}",
	           "193 123 "),
	        IS("{{#x}}{{.}}={{x}}{{/x}}", "{\"x\":\"v\"}", "v=v"),
	        IS("{{#l}}<{{.}}>{{/l}}", "{\"l\":[\"a\",1,2.5,\"&\"]}", "<a><1><2.5><&amp;>"),
	        IS("{{#l}}{{{.}}}{{&.}}{{/l}}", "{\"l\":[\"&\"]}", "&&"),
	        IS("{{#l}}({{#.}}{{.}}{{/.}}){{/l}}", "{\"l\":[[1,2],[],[3]]}", "(12)()(3)"),
	        IS("{{#.}}{{n}}{{/.}}", "[{\"n\":1},{\"n\":2}]", "12"),
	        IS("{{.}}", "\"root\"", "root"),
	        IS("{{#a}}{{#b}}{{#c}}{{x}}{{y}}{{z}}{{/c}}{{x}}{{y}}{{/b}}{{/a}}",
	           "{\"a\":{\"x\":1},\"b\":{\"y\":2},\"c\":{\"z\":3}}", "12312"),
	        IS("{{#x}}1{{/x}}{{#x}}2{{/x}}{{#x}}{{#x}}3{{/x}}{{/x}}", "{\"x\":true}", "123"),
	        IS("{{#a.b}}{{c}}{{/a.b}}", "{\"a\":{\"b\":{\"c\":7}}}", "7"),
	        IS("[{{#a.b.c}}no{{/a.b.c}}]", "{\"a\":{}}", "[]"),
	        IS("{{# x }}=\n{{/\tx }}", "{\"x\":1}", "=\n"),
	        IS("[{{^x}}no{{/x}}]", "{\"x\":false}", "[no]"),
	        IS("[{{^x}}no{{/x}}]", "{\"x\":true}", "[]"),
	        IS("[{{^x}}no{{/x}}]", "{\"x\":null}", "[no]"),
	        IS("[{{^x}}no{{/x}}]", "{\"x\":[]}", "[no]"),
	        IS("[{{^x}}no{{/x}}]", "{\"x\":[0]}", "[]"),
	        IS("[{{^x}}no{{/x}}]", "{\"x\":{}}", "[]"),
	        IS("[{{^x}}no{{/x}}]", "{}", "[no]"),
	        IS("[{{^a.b}}no{{/a.b}}]", "{\"a\":{}}", "[no]"),
	        IS("{{^x}}1{{^x}}2{{/x}}3{{/x}}", "{}", "123"),
	        IS("{{#l}}{{n}}{{^last}}, {{/last}}{{/l}}", "{\"l\":[{\"n\":1},{\"n\":2,\"last\":true}]}",
	           "1, 2"),
	};

	(void)state;
	CHECK(&html, list);
}

static void tags_alone_on_a_line_take_the_line(void **state)
{
	static const struct example list[] = {
	        IS("a\n{{#x}}\nb\n{{/x}}\nc\n", "{\"x\":1}", "a\nb\nc\n"),
	        IS("a\n  {{#x}}\t\nb\n\t{{/x}}  \nc", "{\"x\":1}", "a\nb\nc"),
	        IS("a\n  {{^x}}\nb\n  {{/x}}\nc", "{}", "a\nb\nc"),
	        IS("a\r\n{{#x}}\r\nb\r\n{{/x}}\r\nc", "{\"x\":1}", "a\r\nb\r\nc"),
	        IS(" {{#x}}\nb{{/x}}\nc", "{\"x\":1}", "b\nc"),
	        IS("a{{#x}}\nb\n {{/x}}", "{\"x\":1}", "a\nb\n"),
	        IS("{{#x}}\nb\n{{/x}}\n", "{\"x\":[1,2]}", "b\nb\n"),
	        IS(" {{#x}}b{{/x}}\n {{^y}}c{{/y}}\n", "{\"x\":1}", " b\n c\n"),
	        IS(" | {{#x}}\t|\t{{/x}} | \n", "{\"x\":1}", " | \t|\t | \n"),
	        IS(" {{#x}} {{! two tags }}\n{{/x}}", "{\"x\":1}", "  \n"),
	        IS("{{#x}}{{/x}}\n", "{\"x\":1}", "\n"),
	        IS("{{#x}}\n\n{{/x}}\n", "{\"x\":1}", "\n"),
	        IS("{{#x}}\r{{/x}}", "{\"x\":1}", "\r"),
	        IS("a{{! c }}b", "{}", "ab"),
	        IS("a {{! c }} b\n", "{}", "a  b\n"),
	        IS("a\n{{! c }}\nb", "{}", "a\nb"),
	        IS("a\n  {{! c\n more }}  \nb", "{}", "a\nb"),
	        IS("a {{! c\n more }}\nb", "{}", "a \nb"),
	        IS("a\n {{!}}", "{}", "a\n"),
	        IS("{{!x}}{{! {{ }}", "{\"!x\":1}", ""),
	        IS("a\n{{!\n}}b\n", "{}", "a\nb\n"),
	};

	(void)state;
	CHECK(&html, list);
}

static void partials_are_rendered_in_place(void **state)
{
	static const struct example list[] = {
	        IS_WITH("[{{>p}}]", "{}", "{\"p\":\"text\"}", "[text]"),
	        IS_WITH("[{{>none}}]", "{}", "{}", "[]"),
	        IS_WITH("[{{> p }}]", "{\"v\":\"<\"}", "{\"p\":\"{{v}}\"}", "[&lt;]"),
	        IS_WITH("{{#l}}{{>p}}{{/l}}", "{\"l\":[{\"v\":1},{\"v\":2}]}", "{\"p\":\"{{v}};\"}", "1;2;"),
	        IS_WITH("{{>a}}", "{\"v\":1}", "{\"a\":\"<{{>b}}>\",\"b\":\"{{v}}\"}", "<1>"),
	        IS_WITH("{{>n}}", "{\"v\":1,\"l\":[{\"v\":2,\"l\":[]},{\"v\":3,\"l\":[]}]}",
	                "{\"n\":\"{{v}}({{#l}}{{>n}}{{/l}})\"}", "1(2()3())"),
	        IS_WITH("| {{>p}} |", "{}", "{\"p\":\"\\t|\\t\"}", "| \t|\t |"),
	        IS_WITH("  {{v}} {{>p}}\n", "{\"v\":1}", "{\"p\":\"a\\nb\"}", "  1 a\nb\n"),
	        IS_WITH("a\r\n{{>p}}\r\nb", "{}", "{\"p\":\"x\"}", "a\r\nxb"),
	        IS_WITH("  {{>p}}\nb", "{}", "{\"p\":\"x\\ny\"}", "  x\n  yb"),
	        IS_WITH("a\n  {{>p}}", "{}", "{\"p\":\"x\\ny\"}", "a\n  x\n  y"),
	        IS_WITH("a\n {{>p}}\nb\n", "{\"v\":\"1\\n2\"}", "{\"p\":\"<\\n{{v}}\\n>\\n\"}",
	                "a\n <\n 1\n2\n >\nb\n"),
	        /* Lines that begin with a tag, blank lines, lines of standalone tags inside a partial. */
	        IS_WITH("\t{{>p}}\n", "{\"l\":[1,2]}", "{\"p\":\"[\\n{{#l}}\\n{{.}},\\n{{/l}}\\n]\\n\"}",
	                "\t[\n\t1,\n\t2,\n\t]\n"),
	        IS_WITH(" {{>p}}\n", "{\"x\":1}", "{\"p\":\"{{#x}}a\\n{{/x}}b\\n\"}", " a\n b\n"),
	        IS_WITH(" {{>p}}\n", "{}", "{\"p\":\"{{#x}}a\\n{{/x}}b\\n\"}", " b\n"),
	        IS_WITH(" {{>p}}\n", "{\"x\":1}", "{\"p\":\"a\\n\\n{{!c}}b\\n\"}", " a\n \n b\n"),
	        IS_WITH(" {{>p}}\n", "{}", "{\"p\":\"{{!c\\n}}b\\n\"}", " b\n"),
	        /* Nested: indentations add up; an inline partial starts from none, and its end restores. */
	        IS_WITH(" {{>a}}\n", "{}", "{\"a\":\"a\\n  {{>b}}\\na2\\n\",\"b\":\"b\\nb2\\n\"}",
	                " a\n   b\n   b2\n a2\n"),
	        IS_WITH(" {{>a}}\n", "{}",
	                "{\"a\":\"a:{{>b}}\\na2\\n\",\"b\":\"b\\nb2\\n  {{>c}}\\n\",\"c\":\"c\\n\"}",
	                " a:b\nb2\n  c\n\n a2\n"),
	        FAILS_WITH("{{>p}}", "{}", "{\"p\":\"ok\\n {{#x}}\"}",
	                   "template p:2:2: the section {{#x}} is not closed"),
	        FAILS_WITH("{{>p}}", "{}", "{\"p\":false}", "partial p: disk on fire"),
	        FAILS("{{>../etc}}", "{}", "a partial's name is"),
	        FAILS("{{>UP}}", "{}", "a partial's name is"),
	        FAILS("{{>*dynamic}}", "{}", "a partial's name is"),
	        FAILS("{{>}}", "{}", "the tag has no name"),
	};

	(void)state;
	CHECK(&html, list);
}

static void delimiters_can_be_set(void **state)
{
	static const struct example list[] = {
	        IS("{{=<% %>=}}<%x%>{{x}}", "{\"x\":1}", "1{{x}}"),
	        IS("({{=[ ]=}}[x])", "{\"x\":1}", "(1)"),
	        IS("{{=| |=}}|#x||&x||/x||={{ }}=|{{x}}", "{\"x\":1}", "11"),
	        IS("{{=<% %>=}}<%{x}%>", "{\"x\":\"<\"}", "<"),
	        IS("{{= |   | =}}|x|", "{\"x\":1}", "1"),
	        IS("a\n  {{=@ @=}}\nb@x@", "{\"x\":1}", "a\nb1"),
	        IS("a {{=@ @=}}\nb", "{}", "a \nb"),
	        IS_WITH("[{{>p}}]{{=| |=}}[|>p|]", "{\"x\":1}", "{\"p\":\"{{x}}\"}", "[1][1]"),
	        IS_WITH("{{>p}}{{x}}|x|", "{\"x\":1}", "{\"p\":\"{{=| |=}}|x|\"}", "11|x|"),
	        FAILS("{{=<%=}}", "{}", "t:1:1: delimiters are two words"),
	        FAILS("{{=a b c=}}", "{}", "delimiters are two words"),
	        FAILS("{{==}}", "{}", "delimiters are two words"),
	        FAILS("{{=a= b=}}", "{}", "delimiters are two words"),
	        FAILS("{{=<% %>}}", "{}", "not closed by =}}"),
	        FAILS("{{=12345678901234567 x=}}", "{}", "delimiters are two words"),
	};

	(void)state;
	CHECK(&html, list);
}

static void mistakes_are_named_with_their_place(void **state)
{
	static const struct example list[] = {
	        FAILS("ab\n c {{x", "{}", "template t:2:4: the tag is not closed by }}"),
	        FAILS("{{{x}}", "{}", "not closed by }}}"),
	        FAILS("{{!x", "{}", "not closed"),
	        FAILS("a{{}}", "{}", "t:1:2: the tag has no name"),
	        FAILS("{{ \n}}", "{}", "has no name"),
	        FAILS("{{a b}}", "{}", "{{a b}}: a name has no spaces inside"),
	        FAILS("{{.a}}", "{}", "{{.a}}: an empty part between dots"),
	        FAILS("{{a.}}", "{}", "an empty part"),
	        FAILS("{{a..b}}", "{}", "{{a..b}}: an empty part"),
	        FAILS("\n{{#x}}\n{{y}}", "{}", "template t:2:1: the section {{#x}} is not closed"),
	        FAILS("{{/x}}", "{}", "{{/x}} closes a section that is not open"),
	        FAILS("\n{{#a.b}}\n  {{/a.c}}", "{}",
	              "template t:3:3: {{/a.c}} where {{/a.b}} is due, opened on line 2"),
	        FAILS("{{#a}}{{#b}}{{/a}}{{/b}}", "{}", "{{/a}} where {{/b}} is due"),
	        FAILS("{{#a}}{{/}}", "{}", "{{/}} where {{/a}} is due"),
	        FAILS("{{<parent}}", "{}", "inheritance is not supported"),
	        FAILS("{{$block}}", "{}", "inheritance is not supported"),
	        FAILS("{{a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q}}", "{}", "more than 16 parts"),
	};

	(void)state;
	CHECK(&html, list);
}

static void strict_names_what_is_missing(void **state)
{
	static const struct tmpl_options sections = {
	        .escape = TMPL_HTML, .strict = true, .strict_sections = true};
	static const struct tmpl_options values = {.escape = TMPL_HTML, .strict = true};
	static const struct example both[] = {
	        FAILS("\n {{#p}}{{as.number}}{{/p}}", "{\"p\":[{\"as\":{\"number\":1}},{\"as\":{}}]}",
	              "template t:2:8: the value of {{as.number}} is missing"),
	        FAILS("{{x}}", "{\"x\":null}", "the value of {{x}} is null"),
	        FAILS("{{.}}", NULL, "the value of {{.}} is missing"),
	        FAILS_WITH("a\n{{>none}}", "{}", "{}", "template t:2:1: there is no partial none"),
	        IS("{{#x}}1{{/x}}{{^x}}2{{/x}}", "{\"x\":null}", "2"),
	        IS("{{#x}}{{none}}{{/x}}", "{\"x\":false}", ""),
	};
	static const struct example only_values[] = {
	        IS("{{#x}}1{{/x}}{{^x}}2{{/x}}", "{}", "2"),
	};
	static const struct example only_sections[] = {
	        FAILS("{{#x}}1{{/x}}", "{}", "t:1:1: the value of {{x}} is missing"),
	        FAILS("{{^a.b}}1{{/a.b}}", "{\"a\":{}}", "the value of {{a.b}} is missing"),
	};

	(void)state;
	CHECK(&values, both);
	CHECK(&sections, both);
	CHECK(&values, only_values);
	CHECK(&sections, only_sections);
}

static void nest(struct weft_buf *b, const char *open, const char *close, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		weft_buf_str(b, open);
	for (unsigned i = 0; i < depth; i++)
		weft_buf_str(b, close);
}

static void nesting_is_bounded(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf ok = {0}, deep = {0}, fits = {0}, over = {0};
	const char *recursive = "{\"p\":\"{{#n}}{{>p}}{{/n}}\"}";

	(void)state;
	nest(&ok, "{{#x}}", "{{/x}}", TMPL_NEST_MAX);
	nest(&deep, "{{#x}}", "{{/x}}", TMPL_NEST_MAX + 1);
	/* Each level of data is a section and a partial, on top of the first partial. */
	nest(&fits, "{\"n\":", "", TMPL_NEST_MAX / 2);
	weft_buf_str(&fits, "null");
	nest(&fits, "", "}", TMPL_NEST_MAX / 2);
	nest(&over, "{\"n\":", "", TMPL_NEST_MAX / 2 + 1);
	weft_buf_str(&over, "null");
	nest(&over, "", "}", TMPL_NEST_MAX / 2 + 1);
	const struct example list[] = {
	        IS(weft_buf_text(&ok), "{\"x\":1}", ""),
	        FAILS(weft_buf_text(&deep), "{\"x\":1}", "t:1:385: more than 64 sections inside each other"),
	        IS_WITH("{{>p}}", weft_buf_text(&fits), recursive, ""),
	        FAILS_WITH("{{>p}}", weft_buf_text(&over), recursive,
	                   "template p:1:7: the partial is nested too deep"),
	        FAILS_WITH("{{>p}}", "{}", "{\"p\":\"a{{>p}}\"}",
	                   "template p:1:2: the partial is nested too deep"),
	        FAILS_WITH("{{>p}}", "{}", "{\"p\":\"a{{>q}}\",\"q\":\"{{^x}}{{>p}}{{/x}}\"}",
	                   "is nested too deep"),
	        FAILS_WITH(" {{>p}}", "{}", "{\"p\":\"\\n                                {{>p}}\"}",
	                   "is indented too far"),
	};
	CHECK(&html, list);
}

static void sizes_are_bounded(void **state)
{
	static const struct tmpl_options small = {.escape = TMPL_HTML, .max_output = 10};
	static const struct tmpl_options lazy = {.escape = TMPL_HTML, .max_steps = 100};
	static const struct example output[] = {
	        IS("{{x}}{{x}}", "{\"x\":\"12345\"}", "1234512345"),
	        FAILS("{{x}}{{x}}!", "{\"x\":\"12345\"}", "larger than its limit"),
	        FAILS("{{#l}}{{.}}{{/l}}", "{\"l\":[1,2,3,4,5,6,7,8,9,0,1]}", "larger than its limit"),
	};
	/* 3 x 3 x 3 x 3 x 3 elements: few bytes, many steps, no output. */
	static const struct example steps[] = {
	        FAILS("{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}", "{\"l\":[1,2,3]}",
	              "more steps than the limit"),
	};
	weft_auto(tmpl_cleanup) struct tmpl *t = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	weft_autofree char *big = malloc(TMPL_TEXT_MAX + 1);

	(void)state;
	CHECK(&small, output);
	CHECK(&lazy, steps);
	memset(big, 'x', TMPL_TEXT_MAX + 1);
	assert_int_equal(tmpl_compile("t", big, TMPL_TEXT_MAX + 1, &html, NULL, NULL, &t, &err), -E2BIG);
	assert_int_equal(tmpl_compile("t", big, TMPL_TEXT_MAX, &html, NULL, NULL, &t, &err), 0);
	tmpl_cleanup(&t);
	for (size_t i = 0; i + 5 <= TMPL_TEXT_MAX; i += 5)
		memcpy(big + i, "{{x}}", 5);
	assert_int_equal(tmpl_compile("t", big, TMPL_TEXT_MAX / 5 * 5, &html, NULL, NULL, &t, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 100000 tags and texts"));
	assert_int_equal(tmpl_compile("t", "a\0b", 3, &html, NULL, NULL, &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, "NUL"));
}

static int load_another(void *arg, const char *name, char **text, size_t *len, struct weft_err *err)
{
	unsigned *count = arg;

	(void)name;
	(void)err;
	*len = (size_t)asprintf(text, "{{>p%u}}", ++*count);
	return 0;
}

static void partials_are_bounded_and_loaded_once(void **state)
{
	weft_auto(tmpl_cleanup) struct tmpl *t = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	unsigned count = 0;

	(void)state;
	assert_int_equal(tmpl_compile("t", "{{>p}}", 6, &html, load_another, &count, &t, &err), -E2BIG);
	assert_int_equal(count, TMPL_UNITS_MAX);
	assert_non_null(strstr(err.text, "partials"));
	assert_int_equal(tmpl_compile("t", "{{>a}}", 6, &html, NULL, NULL, &t, &err), 0);
	tmpl_cleanup(&t);
	assert_int_equal(tmpl_compile("t", "{{>a}}", 6, &bird, NULL, NULL, &t, &err), -ENOENT);
	assert_null(t);
	/* p1 is wanted three times. */
	count = 0;
	assert_int_equal(
	        tmpl_compile("t", "{{>p1}}{{>p1}}{{>p1}}", 21, &html, load_another, &count, &t, &err), 0);
	assert_int_equal(count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(values_are_interpolated),
	        cmocka_unit_test(dotted_names_resolve_first_outwards_then_down),
	        cmocka_unit_test(sections_repeat_and_choose),
	        cmocka_unit_test(tags_alone_on_a_line_take_the_line),
	        cmocka_unit_test(partials_are_rendered_in_place),
	        cmocka_unit_test(delimiters_can_be_set),
	        cmocka_unit_test(mistakes_are_named_with_their_place),
	        cmocka_unit_test(strict_names_what_is_missing),
	        cmocka_unit_test(nesting_is_bounded),
	        cmocka_unit_test(sizes_are_bounded),
	        cmocka_unit_test(partials_are_bounded_and_loaded_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
