// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transcripts of BIRD's control socket, tests/unit/data/bird/VERSION.txt: what real daemons answered.
 * "> COMMAND" (empty for the welcome) and then the bytes of the reply as they came. No line of a reply
 * begins with '>'. Trailing blanks are part of what the daemon sent.
 */
#ifndef WEFT_TEST_TRANSCRIPT_H
#define WEFT_TEST_TRANSCRIPT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/reply.h"
#include "weft/cleanup.h"
#include "weft/file.h"

/* The raw reply to the first such command; malloc'd. The test fails when there is none. */
static inline char *transcript(const char *version, const char *command)
{
	weft_autofree char *text = NULL;
	char path[256], heading[256];
	struct weft_err err;
	size_t len;
	char *start, *end;

	snprintf(path, sizeof(path), "tests/unit/data/bird/%s.txt", version);
	if (weft_file_read(path, 1 << 20, &text, &len, &err) != 0)
		fail_msg("%s (run from the top of the tree)", err.text);
	snprintf(heading, sizeof(heading), "\n> %s\n", command);
	/* The welcome is first and has no newline before it. */
	start = *command ? strstr(text, heading) : text;
	if (!start)
		fail_msg("%s has no command %s", path, command);
	start += strlen(heading) - !*command;
	end = strstr(start, "\n> ");
	return end ? strndup(start, (size_t)(end + 1 - start)) : strdup(start);
}

/* Feed text that is exactly one reply. */
static inline const struct bird_reply *parse_reply(struct bird_parser *p, const char *text)
{
	struct weft_err err = WEFT_ERR_INIT;
	size_t used;

	if (bird_parser_feed(p, text, strlen(text), &used, &err) != 1 || used != strlen(text))
		fail_msg("not one reply: %s\n%s", err.text, text);
	return bird_parser_reply(p);
}

/* Each test has a parser as its state; a reply lives until the next one. */
static inline int setup(void **state)
{
	*state = bird_parser_new();
	return *state ? 0 : -1;
}

static inline int teardown(void **state)
{
	bird_parser_free(*state);
	return 0;
}

static inline const struct bird_reply *recorded(void **state, const char *version, const char *command)
{
	weft_autofree char *text = transcript(version, command);

	return parse_reply(*state, text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
