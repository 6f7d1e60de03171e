// SPDX-License-Identifier: GPL-2.0-or-later
/* Templates of BIRD configuration: which values are refused, and that no string grows long. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "tests/unit/tmpl_example.h"

static const struct tmpl_options bird = {.escape = TMPL_BIRD, .strict = true};

static void bird_values_are_refused_not_escaped(void **state)
{
	static const struct example list[] = {
	        /* In code: one token. */
	        IS("local as {{x}};", "{\"x\":64512}", "local as 64512;"),
	        IS("neighbor {{x}};", "{\"x\":\"fd00:0:1::1%eth0.5\"}", "neighbor fd00:0:1::1%eth0.5;"),
	        IS("[ {{{x}}} ]", "{\"x\":\"10.244.0.0/16\"}", "[ 10.244.0.0/16 ]"),
	        IS("bfd {{x}};", "{\"x\":true}", "bfd true;"),
	        FAILS("{{x}}", "{\"x\":\"1.1.1.1; debug all\"}", "is not one plain token"),
	        FAILS("{{x}}", "{\"x\":\"a b\"}", "is not one plain token"),
	        FAILS("{{x}}", "{\"x\":\"a#b\"}", "is not one plain token"),
	        FAILS("{{x}}", "{\"x\":\"'\"}", "is not one plain token"),
	        FAILS("{{x}}* c", "{\"x\":\"1/\"}", "could open a comment"),
	        FAILS("{{x}}", "{\"x\":1.5}", "is not a whole number"),
	        FAILS("{{x}}", "{\"x\":1e300}", "is not a whole number"),
	        /* In strings: printable ASCII without quotes. */
	        IS("description \"{{x}}\";", "{\"x\":\"rack 1; } # {it's} \\\\n\"}",
	           "description \"rack 1; } # {it's} \\n\";"),
	        FAILS("\n description \"{{d.x}}\";", "{\"d\":{\"x\":\"a\\\"b\"}}",
	              "template t:2:15: the value of {{d.x}} has a double quote"),
	        FAILS("\"{{{x}}}\"", "{\"x\":\"a\\\"b\"}", "has a double quote"),
	        FAILS("\"{{x}}\"", "{\"x\":\"a\\nb\"}", "not printable ASCII"),
	        FAILS("\"{{x}}\"", "{\"x\":\"a\\tb\"}", "not printable ASCII"),
	        FAILS("\"{{x}}\"", "{\"x\":\"\\u00e9\"}", "not printable ASCII"),
	        FAILS("\"{{x}}\"", "{\"x\":\"\\u007f\"}", "not printable ASCII"),
	        FAILS("\"{{x}}\"", "{\"x\":\"\\u001b[31m\"}", "not printable ASCII"),
	        FAILS("\"{{x}}\"", "{\"x\":[]}", "is a list"),
	        /* In comments: nothing that ends them. */
	        IS("# {{x}}\n", "{\"x\":\"it's 5 * 3; }\"}", "# it's 5 * 3; }\n"),
	        FAILS("/* {{x}} */", "{\"x\":\"*/ x\"}", "could end the comment"),
	        FAILS("/* *{{x}} */", "{\"x\":\"/\"}", "would end the comment"),
	        IS("/* \"{{x}}\" */ \"{{y}}\"", "{\"x\":\"a\",\"y\":\"b\"}", "/* \"a\" */ \"b\""),
	        IS("neighbor fe80::1%'{{x}}'", "{\"x\":\"eth0.5\"}", "neighbor fe80::1%'eth0.5'"),
	        FAILS("%'{{x}}'", "{\"x\":\"a b\"}", "in a quoted name"),
	        FAILS("%'{{x}}'", "{\"x\":\"a'b\"}", "in a quoted name"),
	        /* The text itself. */
	        FAILS("\"{{x}}", "{\"x\":\"a\"}", "template t: the text ends inside a string"),
	        FAILS("'abc", "{}", "ends inside a quoted name"),
	        FAILS("/* {{x}}", "{\"x\":\"a\"}", "ends inside a comment"),
	        FAILS("{{x}}\n\"a\nb\"", "{\"x\":1}",
	              "t:1:6: the text from here has a line break inside a string"),
	        IS("# end", "{}", "# end"),
	};

	(void)state;
	CHECK(&bird, list);
}

static void raw_text_may_have_lines_but_keeps_the_bounds(void **state)
{
	static const struct tmpl_options raw = {.escape = TMPL_BIRD, .raw_text = true, .strict = true};
	static const struct example list[] = {
	        IS("{{{x}}}\n", "{\"x\":\"filter f {\\n\\taccept; # \\\"yes\\\"\\n}\"}",
	           "filter f {\n\taccept; # \"yes\"\n}\n"),
	        IS("{{&x}}", "{\"x\":\"a \\\"b\\\" c\"}", "a \"b\" c"),
	        FAILS("{{x}}", "{\"x\":\"a \\\"b\\\" c\"}", "has a double quote"),
	        FAILS("{{{x}}}", "{\"x\":\"\\u00e9\"}", "not printable ASCII, a tab or a newline"),
	        FAILS("{{{x}}}", "{\"x\":\"\\r\\n\"}", "not printable ASCII, a tab or a newline"),
	        FAILS("{{{x}}}", "{\"x\":\"\\\"a\\nb\\\"\"}", "has a line break inside a string"),
	        FAILS("{{{x}}}", "{\"x\":\"\\\"a\"}", "the text ends inside a string"),
	        IS("\"{{{x}}}\" # {{y}}", "{\"x\":\"a\\\" b \\\"c\",\"y\":\"ok then\"}",
	           "\"a\" b \"c\" # ok then"),
	};

	(void)state;
	CHECK(&raw, list);
}

/* A string of 4,096 bytes kills BIRD: no combination of pieces may make one over 255. */
static void no_string_grows_long(void **state)
{
	static const struct tmpl_options raw = {.escape = TMPL_BIRD, .raw_text = true, .strict = true};
	char x128[600], x256[600], y127[600], exact[400], literal[400], name[400], quoted[600], list[600];
	char x[300];

	(void)state;
	memset(x, 'x', sizeof(x));
	snprintf(x128, sizeof(x128), "{\"x\":\"%.128s\"}", x);
	snprintf(x256, sizeof(x256), "{\"x\":\"%.256s\"}", x);
	snprintf(y127, sizeof(y127), "{\"x\":\"%.128s\",\"y\":\"%.127s\"}", x, x);
	snprintf(quoted, sizeof(quoted), "{\"x\":\"\\\"%.256s\\\"\"}", x);
	snprintf(exact, sizeof(exact), "\"%.255s\"", x);
	snprintf(literal, sizeof(literal), "\"%.256s\"", x);
	snprintf(name, sizeof(name), "'%.65s'", x);
	snprintf(list, sizeof(list), "{\"l\":[1234567890");
	for (int i = 1; i < 26; i++)
		strcat(list, ",1234567890");
	strcat(list, "]}");
	const struct example bounds[] = {
	        IS("\"{{x}}{{y}}\"", y127, exact),
	        FAILS("\"{{x}}{{x}}\"", x128, "the value of {{x}} makes a string longer than 255 bytes"),
	        FAILS("\"{{x}}\"", x256, "is longer than 255 bytes"),
	        FAILS("\"{{#l}}{{.}}{{/l}}\"", list,
	              "the value of {{.}} makes a string longer than 255 bytes"),
	        FAILS("\"{{x}}{{x}}\"", x128, "makes a string longer than 255 bytes"),
	        IS(exact, "{}", exact),
	        FAILS(literal, "{}", "the text from here makes a string longer than 255 bytes"),
	        FAILS(name, "{}", "makes a quoted name longer than 64 bytes"),
	};
	const struct example generated[] = {
	        FAILS("{{{x}}}", quoted, "makes a string longer than 255 bytes"),
	};
	CHECK(&bird, bounds);
	CHECK(&raw, generated);
}

/* Values can be passwords: they must not come out in messages. */
static void errors_do_not_quote_values(void **state)
{
	static const struct example list[] = {
	        {.template = "password \"{{x}}\";", .data = "{\"x\":\"hunter2\\\"\"}"},
	        {.template = "password {{x}};", .data = "{\"x\":\"hunter2;\"}"},
	        {.template = "password \"{{{x}}}\";", .data = "{\"x\":\"hunter2\\u0001\"}"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(list); i++) {
		weft_auto(weft_buf_free) struct weft_buf out = {0};
		struct weft_err err = WEFT_ERR_INIT;

		assert_int_equal(render(&bird, &list[i], &out, &err), -EINVAL);
		assert_null(strstr(err.text, "hunter2"));
		assert_non_null(strstr(err.text, "{{x}}"));
	}
}

static void a_template_renders_many_times(void **state)
{
	static const char text[] =
	        "{{#peers}}\nprotocol bgp '{{name}}' { neighbor {{addr}} as {{as}}; }\n{{/peers}}\n";
	weft_auto(delete_json) cJSON *data =
	        cJSON_Parse("{\"peers\":[{\"name\":\"tor1\",\"addr\":\"10.0.1.1\",\"as\":65001}]}");
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	weft_auto(tmpl_cleanup) struct tmpl *t = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	cJSON *peer = cJSON_GetArrayItem(cJSON_GetObjectItem(data, "peers"), 0);

	(void)state;
	assert_int_equal(tmpl_compile("t", text, strlen(text), &bird, NULL, NULL, &t, &err), 0);
	for (int i = 0; i < 3; i++) {
		weft_buf_truncate(&out, 0);
		assert_int_equal(tmpl_render(t, data, &out, &err), 0);
		assert_string_equal(weft_buf_text(&out),
		                    "protocol bgp 'tor1' { neighbor 10.0.1.1 as 65001; }\n");
		/* A failure between two renderings leaves no trace. */
		cJSON_SetValuestring(peer->child->next, "x y");
		assert_int_equal(tmpl_render(t, data, &out, &err), -EINVAL);
		cJSON_SetValuestring(peer->child->next, "10.0.1.1");
	}
	cJSON_SetNumberHelper(peer->child->next->next, (double)NAN);
	assert_int_equal(tmpl_render(t, data, &out, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a finite number"));
	out.failed = true;
	assert_int_equal(tmpl_render(t, data, &out, &err), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bird_values_are_refused_not_escaped),
	        cmocka_unit_test(raw_text_may_have_lines_but_keeps_the_bounds),
	        cmocka_unit_test(no_string_grows_long),
	        cmocka_unit_test(errors_do_not_quote_values),
	        cmocka_unit_test(a_template_renders_many_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
