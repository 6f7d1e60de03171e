// SPDX-License-Identifier: GPL-2.0-or-later
/* Framing of BIRD's control socket: whole sessions of three versions, in pieces, and what is not BIRD. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/transcript.h"
#include "weft/buf.h"

static const char *const versions[] = {"2.0.12", "2.0.12-many", "2.17.6", "3.3.2"};

static void expect_line(const struct bird_reply *r, size_t i, unsigned code, const char *text)
{
	assert_true(i < r->count);
	assert_int_equal(r->lines[i].code, code);
	assert_string_equal(r->lines[i].text, text);
	assert_int_equal(r->lines[i].len, strlen(text));
}

static void lines_keep_or_repeat_their_code(void **state)
{
	const struct bird_reply *r =
	        parse_reply(*state, "1000-BIRD 2.0.12\n1011-Router ID is 10.0.1.10\n"
	                            " Hostname is n1  \n \n0013 Daemon is up and running\n");

	assert_int_equal(r->count, 5);
	expect_line(r, 0, 1000, "BIRD 2.0.12");
	expect_line(r, 1, 1011, "Router ID is 10.0.1.10");
	expect_line(r, 2, 1011, "Hostname is n1");
	expect_line(r, 3, 1011, "");
	expect_line(r, 4, 13, "Daemon is up and running");
	assert_int_equal(bird_reply_code(r), 13);
	assert_string_equal(bird_reply_text(r), "Daemon is up and running");
}

static void asynchronous_lines_belong_to_no_reply(void **state)
{
	const struct bird_reply *r;

	r = parse_reply(*state, "+log line\n1002-a\n+another\n b\n+\n0000 \n");
	assert_int_equal(r->count, 3);
	expect_line(r, 1, 1002, "b");
	expect_line(r, 2, 0, "");
}

static void replies_come_one_by_one(void **state)
{
	static const char text[] = "0001 BIRD 3.3.2 ready.\n0003-x\n0000 \n0016 Access";
	struct weft_err err = WEFT_ERR_INIT;
	size_t used, at = 0;

	assert_null(bird_parser_reply(*state));
	assert_int_equal(bird_parser_feed(*state, text, strlen(text), &used, &err), 1);
	assert_int_equal(used, 23);
	expect_line(bird_parser_reply(*state), 0, BIRD_WELCOME, "BIRD 3.3.2 ready.");
	assert_false(bird_parser_pending(*state));
	at += used;
	assert_int_equal(bird_parser_feed(*state, text + at, strlen(text + at), &used, &err), 1);
	assert_int_equal(bird_parser_reply(*state)->count, 2);
	at += used;
	assert_int_equal(bird_parser_feed(*state, text + at, strlen(text + at), &used, &err), 0);
	assert_int_equal(at + used, strlen(text));
	assert_null(bird_parser_reply(*state));
	assert_true(bird_parser_pending(*state));
	assert_int_equal(bird_parser_feed(*state, " restricted\n", 12, &used, &err), 1);
	expect_line(bird_parser_reply(*state), 0, 16, "Access restricted");
}

/* A hash of all that a session says, so that two ways to feed it can be compared. */
static uint64_t digest(struct bird_parser *p, const char *text, size_t len, size_t chunk, unsigned *replies)
{
	struct weft_err err = WEFT_ERR_INIT;
	uint64_t hash = 14695981039346656037u;
	size_t used;
	int rc;

	*replies = 0;
	for (size_t at = 0; at < len; at += used) {
		rc = bird_parser_feed(p, text + at, len - at < chunk ? len - at : chunk, &used, &err);
		if (rc < 0)
			fail_msg("%s", err.text);
		if (rc == 0)
			continue;
		(*replies)++;
		for (size_t i = 0; i < bird_parser_reply(p)->count; i++) {
			const struct bird_line *l = &bird_parser_reply(p)->lines[i];

			hash = (hash ^ l->code) * 1099511628211u;
			for (size_t k = 0; k <= l->len; k++)
				hash = (hash ^ (unsigned char)l->text[k]) * 1099511628211u;
		}
	}
	assert_false(bird_parser_pending(p));
	return hash;
}

static void sessions_of_all_versions_parse_in_any_pieces(void **state)
{
	static const size_t chunks[] = {1, 2, 3, 7, 64, 1000, SIZE_MAX};

	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		weft_auto(weft_buf_free) struct weft_buf session = {0};
		weft_autofree char *text = NULL;
		unsigned commands = 0, replies;
		uint64_t whole = 0;
		char path[256], *line, *rest;
		size_t len;

		snprintf(path, sizeof(path), "tests/unit/data/bird/%s.txt", versions[v]);
		assert_int_equal(weft_file_read(path, 1 << 20, &text, &len, NULL), 0);
		for (line = text; *line; line = rest) {
			rest = strchr(line, '\n') + 1;
			if (*line == '>')
				commands++;
			else
				weft_buf_add(&session, line, (size_t)(rest - line));
		}
		for (size_t c = 0; c < WEFT_ARRAY_LEN(chunks); c++) {
			uint64_t d = digest(*state, session.data, session.len, chunks[c], &replies);

			assert_int_equal(replies, commands);
			assert_true(c == 0 || d == whole);
			whole = d;
		}
	}
}

static void unprintable_bytes_are_replaced(void **state)
{
	static const char text[] = "1006-  Message:        a\x1b[31m\tb\xc3\xa9\r\n \0x\n0000 \n";
	struct weft_err err;
	size_t used;

	assert_int_equal(bird_parser_feed(*state, text, sizeof(text) - 1, &used, &err), 1);
	expect_line(bird_parser_reply(*state), 0, 1006, "  Message:        a?[31m\tb???");
	expect_line(bird_parser_reply(*state), 1, 1006, "?x");
}

static void what_is_not_bird_is_refused(void **state)
{
	static const char *const bad[] = {
	        "\n",
	        " no code before\n",
	        "HTTP/1.1 400 Bad Request\n",
	        "000 \n",
	        "0000\n",
	        "00000 \n",
	        "0000_x\n",
	        "-001 x\n",
	        "1002-a\n\n",
	        "1002-a\nb\n",
	        "12a4-x\n",
	        "<7 messages lost>\n",
	        "0000 \n continued\n",
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++) {
		struct bird_parser *p = bird_parser_new();
		struct weft_err err = WEFT_ERR_INIT;
		size_t used = 0, at = 0, len = strlen(bad[i]);
		int rc;

		do {
			rc = bird_parser_feed(p, bad[i] + at, len - at, &used, &err);
			at += used;
		} while (rc == 1 && at < len);
		if (rc != -EPROTO)
			fail_msg("%s: %d", bad[i], rc);
		assert_int_equal(err.code, -EPROTO);
		assert_null(bird_parser_reply(p));
		bird_parser_free(p);
	}
}

static void lines_are_bounded(void **state)
{
	char line[BIRD_LINE_MAX + 2];
	struct weft_err err;
	size_t used;

	memset(line, 'x', sizeof(line));
	memcpy(line, "1002-", 5);
	line[BIRD_LINE_MAX - 1] = '\n';
	assert_int_equal(bird_parser_feed(*state, line, BIRD_LINE_MAX, &used, &err), 0);
	line[BIRD_LINE_MAX - 1] = 'x';
	line[BIRD_LINE_MAX] = '\n';
	assert_int_equal(bird_parser_feed(*state, line, BIRD_LINE_MAX + 1, &used, &err), -EMSGSIZE);
	/* The same in small pieces. */
	for (size_t i = 0; i < BIRD_LINE_MAX - 1; i++)
		assert_int_equal(bird_parser_feed(*state, "x", 1, &used, &err), 0);
	assert_int_equal(bird_parser_feed(*state, "x", 1, &used, &err), -EMSGSIZE);
}

static void replies_are_bounded(void **state)
{
	struct bird_parser *p = bird_parser_new();
	char line[2001];
	struct weft_err err;
	size_t used, n;
	int rc = 0;

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "1002-", 5);
	line[1999] = '\n';
	for (n = 0; n <= BIRD_REPLY_MAX / 1900 && rc == 0; n++)
		rc = bird_parser_feed(*state, line, 2000, &used, &err);
	assert_int_equal(rc, -EMSGSIZE);
	assert_true(n > BIRD_REPLY_MAX / 2000);
	rc = bird_parser_feed(p, "1002-\n", 6, &used, &err);
	for (n = 0; n <= BIRD_REPLY_LINE_MAX && rc == 0; n++)
		rc = bird_parser_feed(p, " \n", 2, &used, &err);
	assert_int_equal(rc, -EMSGSIZE);
	assert_int_equal(n, BIRD_REPLY_LINE_MAX);
	bird_parser_free(p);
}

static void a_parser_outlives_a_large_reply(void **state)
{
	struct weft_err err;
	size_t used;

	for (int round = 0; round < 2; round++) {
		assert_int_equal(bird_parser_feed(*state, "1002-\n", 6, &used, &err), 0);
		for (int i = 0; i < 20000; i++)
			assert_int_equal(bird_parser_feed(*state, " some text in a line\n", 21, &used, &err),
			                 0);
		assert_int_equal(bird_parser_feed(*state, "0000 \n", 6, &used, &err), 1);
		assert_int_equal(bird_parser_reply(*state)->count, 20002);
		expect_line(bird_parser_reply(*state), 20000, 1002, "some text in a line");
		expect_line(parse_reply(*state, "0016 Access restricted\n"), 0, 16, "Access restricted");
	}
}

static void errors_are_found_anywhere_in_a_reply(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *message;
	} cases[] = {
	        {"0000 \n", 0, NULL},
	        {"1002-x\n0000 \n", 0, NULL},
	        {"8003 No protocols match\n", -ENOENT, "BIRD answers 8003: No protocols match"},
	        {"8001 Network not found\n", -ENOENT, "8001"},
	        {"8007 Access denied\n", -EACCES, "Access denied"},
	        {"9001 syntax error\n", -EREMOTEIO, "9001: syntax error"},
	        {"8006-tor1: reload failed\n0000 \n", -EREMOTEIO, "tor1: reload failed"},
	};

	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_err err = WEFT_ERR_INIT;
		const struct bird_reply *r = parse_reply(*state, cases[i].text);

		assert_int_equal(bird_reply_check(r, &err), cases[i].rc);
		if (cases[i].message)
			assert_non_null(strstr(err.text, cases[i].message));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(lines_keep_or_repeat_their_code),
	        TEST(asynchronous_lines_belong_to_no_reply),
	        TEST(replies_come_one_by_one),
	        TEST(sessions_of_all_versions_parse_in_any_pieces),
	        TEST(unprintable_bytes_are_replaced),
	        TEST(what_is_not_bird_is_refused),
	        TEST(lines_are_bounded),
	        TEST(replies_are_bounded),
	        TEST(a_parser_outlives_a_large_reply),
	        TEST(errors_are_found_anywhere_in_a_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
