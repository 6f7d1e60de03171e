// SPDX-License-Identifier: GPL-2.0-or-later
/* What `configure` came to: each result, and the place of a mistake. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/bird/show.h"
#include "tests/unit/transcript.h"

static void configure_has_a_result(void **state)
{
	static const struct {
		const char *version, *command;
		enum bird_configure_result result;
		bool undo_scheduled;
		unsigned code;
	} cases[] = {
	        {"2.17.6", "configure check \"/etc/bird/b5.conf\"", BIRD_CONF_CHECKED, false, 20},
	        {"2.17.6", "configure \"/etc/bird/b5.conf\"", BIRD_CONF_RECONFIGURED, false, 3},
	        {"2.17.6", "configure timeout 5", BIRD_CONF_RECONFIGURED, true, 3},
	        {"2.17.6", "configure confirm", BIRD_CONF_CONFIRMED, false, 18},
	        {"2.17.6", "configure status", BIRD_CONF_RECONFIGURED, false, 3},
	        {"2.17.6", "configure", BIRD_CONF_ERROR, false, 8007},
	        {"3.3.2", "configure check \"/etc/bird/b5.conf\"", BIRD_CONF_CHECKED, false, 20},
	        {"3.3.2", "configure \"/etc/bird/b5.conf\"", BIRD_CONF_IN_PROGRESS, false, 4},
	        {"3.3.2", "configure timeout 5", BIRD_CONF_IN_PROGRESS, true, 4},
	        {"3.3.2", "configure status", BIRD_CONF_RECONFIGURED, false, 3},
	        {"2.0.12-many", "configure", BIRD_CONF_RECONFIGURED, false, 3},
	        {"2.0.12-many", "configure status", BIRD_CONF_RECONFIGURED, true, 3},
	        {"2.0.12-many", "configure undo", BIRD_CONF_UNDONE, false, 3},
	};
	struct bird_configure c;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		const struct bird_reply *r = recorded(state, cases[i].version, cases[i].command);

		assert_int_equal(bird_configure_result(r, &c, NULL), 0);
		if (c.result != cases[i].result)
			fail_msg("%s, %s: %s", cases[i].version, cases[i].command,
			         bird_configure_name(c.result));
		assert_int_equal(c.undo_scheduled, cases[i].undo_scheduled);
		assert_int_equal(c.code, cases[i].code);
	}
	assert_int_equal(bird_configure_result(parse_reply(*state, "0002-x\n0005 queueing\n"), &c, NULL), 0);
	assert_int_equal(c.result, BIRD_CONF_QUEUED);
	assert_int_equal(bird_configure_result(parse_reply(*state, "0021-x\n0017 removing\n"), &c, NULL), 0);
	assert_int_equal(c.result, BIRD_CONF_UNDONE);
	assert_int_equal(bird_configure_result(parse_reply(*state, "0021-x\n0019 Nothing\n"), &c, NULL), 0);
	assert_int_equal(c.result, BIRD_CONF_NOTHING);
	assert_int_equal(bird_configure_result(parse_reply(*state, "0002-x\n0006 shutting\n"), &c, NULL), 0);
	assert_int_equal(c.result, BIRD_CONF_SHUTDOWN);
	assert_int_equal(bird_configure_result(parse_reply(*state, "0013 Daemon is up\n"), &c, NULL),
	                 -EPROTO);
	assert_int_equal(bird_configure_result(parse_reply(*state, "0002-x\n0000 \n"), &c, NULL), -EPROTO);
}

static void configure_errors_name_their_place(void **state)
{
	static const struct {
		const char *text;
		const char *file;
		unsigned line, column;
		const char *message;
	} cases[] = {
	        {"8002 /etc/b:1.conf:20:24 syntax error: a:1:2 b\n", "/etc/b:1.conf", 20, 24,
	         "syntax error: a:1:2 b"},
	        {"8002 /etc/none.conf: No such file or directory\n", "", 0, 0,
	         "/etc/none.conf: No such file or directory"},
	        {"9001 syntax error, unexpected CF_SYM_UNDEFINED\n", "", 0, 0,
	         "syntax error, unexpected CF_SYM_UNDEFINED"},
	        {"8007 Access denied\n", "", 0, 0, "Access denied"},
	        {"8002 f:1:99999999999999999999 x\n", "", 0, 0, "f:1:99999999999999999999 x"},
	        {"8002 :1:2 x\n", "", 1, 2, "x"},
	        {"8002 :::\n", "", 0, 0, ":::"},
	        {"8002 \n", "", 0, 0, ""},
	};
	static const char *const recordings[] = {"2.17.6", "3.3.2"};
	struct bird_configure c;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(recordings); i++) {
		const struct bird_reply *r =
		        recorded(state, recordings[i], "configure \"/etc/bird/n1-bad.conf\"");

		assert_int_equal(bird_configure_result(r, &c, NULL), 0);
		assert_int_equal(c.result, BIRD_CONF_ERROR);
		assert_int_equal(c.code, 8002);
		assert_string_equal(c.file, "/etc/bird/n1-bad.conf");
		assert_int_equal(c.line, 20);
		assert_int_equal(c.column, 24);
		assert_string_equal(c.message, "syntax error, unexpected CF_SYM_UNDEFINED, expecting TIME");
	}
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		assert_int_equal(bird_configure_result(parse_reply(*state, cases[i].text), &c, NULL), 0);
		assert_int_equal(c.result, BIRD_CONF_ERROR);
		assert_string_equal(c.file, cases[i].file);
		assert_int_equal(c.line, cases[i].line);
		assert_int_equal(c.column, cases[i].column);
		assert_string_equal(c.message, cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(configure_has_a_result),
	        TEST(configure_errors_name_their_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
