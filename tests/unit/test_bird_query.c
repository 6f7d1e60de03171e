// SPDX-License-Identifier: GPL-2.0-or-later
/* Questions to BIRD on their own connection, against a thread that answers as it is told to. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/bird/query.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

/* What it says first, and to each line that comes; NULL: it hangs up. */
struct script {
	const char *says[8];
	char asked[8][BIRD_QUERY_COMMAND_MAX + 2];
	size_t n;
	int fd;
	char path[64];
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct script *s = arg;
	weft_autoclose int fd = accept(s->fd, NULL, NULL);
	FILE *f = fdopen(dup(fd), "r");

	for (size_t i = 0; s->says[i]; i++) {
		if (write(fd, s->says[i], strlen(s->says[i])) < 0)
			break;
		if (!fgets(s->asked[i], sizeof(s->asked[i]), f))
			break;
		s->n++;
	}
	fclose(f);
	return NULL;
}

struct heard {
	struct weft_buf text;
	size_t enough; /* lines; 0 = all */
	struct weft_err err;
	int done;
};

static bool on_line(void *ctx, size_t command, const struct bird_line *line)
{
	struct heard *h = ctx;

	weft_buf_printf(&h->text, "%zu:%u:%s;", command, line->code, line->text);
	return !h->enough || --h->enough;
}

static void on_done(void *ctx, const struct weft_err *err)
{
	struct heard *h = ctx;

	h->done++;
	if (err)
		h->err = *err;
}

static void ask_at(const char *path, bool restricted, const char *const *commands, size_t n, struct heard *h)
{
	uv_loop_t loop;

	uv_loop_init(&loop);
	bird_query(&(struct bird_query_options){.loop = &loop,
	                                        .socket = path,
	                                        .commands = commands,
	                                        .n_commands = n,
	                                        .restricted = restricted,
	                                        .timeout_ms = 60000,
	                                        .on_line = on_line,
	                                        .on_done = on_done,
	                                        .ctx = h});
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(h->done, 1);
}

static void ask(struct script *s, bool restricted, const char *const *commands, size_t n, struct heard *h)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/weft-query-XXXXXX";

	assert_non_null(mkdtemp(dir));
	snprintf(s->path, sizeof(s->path), "%s/ctl", dir);
	strcpy(sa.sun_path, s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	ask_at(s->path, restricted, commands, n, h);
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
	rmdir(dir);
}

#define WELCOME    "0001 BIRD 2.0.12 ready.\n"
#define RESTRICTED "0016 Access restricted\n"

static const char *const two[] = {"show a", "show b"};

static void commands_are_asked_one_after_another(void **state)
{
	struct script s = {.says = {WELCOME, RESTRICTED, "1007-x\n y\n0000 \n", "8001 no\n"}};
	struct heard h = {.done = 0};

	(void)state;
	ask(&s, true, two, 2, &h);
	assert_int_equal(h.err.code, 0);
	assert_string_equal(weft_buf_text(&h.text), "0:1007:x;0:1007:y;0:0:;1:8001:no;");
	assert_int_equal(s.n, 3);
	assert_string_equal(s.asked[0], "restrict\n");
	assert_string_equal(s.asked[1], "show a\n");
	assert_string_equal(s.asked[2], "show b\n");
	weft_buf_free(&h.text);
}

static void without_a_restriction_nothing_is_asked(void **state)
{
	struct script s = {.says = {WELCOME, "9001 syntax error\n", "0000 \n"}};
	struct heard h = {.done = 0};

	(void)state;
	ask(&s, true, two, 2, &h);
	assert_int_equal(h.err.code, -EPROTO);
	assert_int_equal(s.n, 1);
	assert_int_equal(h.text.len, 0);
}

static void writing_needs_no_restriction(void **state)
{
	struct script s = {.says = {WELCOME, "0009-p: disabled\n0000 \n"}};
	struct heard h = {.done = 0};

	(void)state;
	ask(&s, false, two, 1, &h);
	assert_int_equal(h.err.code, 0);
	assert_string_equal(s.asked[0], "show a\n");
	weft_buf_free(&h.text);
}

static void enough_ends_it_well(void **state)
{
	struct script s = {.says = {WELCOME, RESTRICTED, "1007-1\n 2\n 3\n0000 \n", "0000 \n"}};
	struct heard h = {.enough = 2};

	(void)state;
	ask(&s, true, two, 2, &h);
	assert_int_equal(h.err.code, 0);
	assert_string_equal(weft_buf_text(&h.text), "0:1007:1;0:1007:2;");
	assert_int_equal(s.n, 2);
	weft_buf_free(&h.text);
}

static void a_daemon_that_is_none_or_goes_away(void **state)
{
	static const char *const openings[] = {"HTTP/1.1 200 OK\n", "0000 BIRD\n",
	                                       WELCOME RESTRICTED "1007-x\n"};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(openings); i++) {
		struct script s = {.says = {openings[i]}};

		h = (struct heard){.done = 0};
		ask(&s, true, two, 2, &h);
		assert_true(h.err.code < 0);
		weft_buf_free(&h.text);
	}
	h = (struct heard){.done = 0};
	ask_at("/nowhere/bird.ctl", true, two, 2, &h);
	assert_int_equal(h.err.code, -ENOENT);
}

/* A quoted text that kills a BIRD, or a second command behind a newline, is never sent. */
static void commands_that_are_none(void **state)
{
	char longer[BIRD_QUERY_COMMAND_MAX + 2], quoted[400] = "show protocols \"";
	const char *const bad[] = {"", "a\nconfigure", "a\tb", "a \"b", longer, quoted, "gr\xc3\xbc"};
	struct weft_err err;
	struct heard h = {.done = 0};

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	memset(quoted + 16, 'y', 256);
	strcat(quoted, "\"");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		assert_int_equal(bird_query_check(bad[i], &err), -EINVAL);
	quoted[16 + 255] = '"';
	quoted[16 + 256] = '\0';
	assert_int_equal(bird_query_check(quoted, &err), 0);
	assert_int_equal(bird_query_check("show route \"a\" \"b\"", &err), 0);
	ask_at("/nowhere/bird.ctl", true, bad + 1, 1, &h);
	assert_int_equal(h.err.code, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(commands_are_asked_one_after_another),
	        cmocka_unit_test(without_a_restriction_nothing_is_asked),
	        cmocka_unit_test(writing_needs_no_restriction),
	        cmocka_unit_test(enough_ends_it_well),
	        cmocka_unit_test(a_daemon_that_is_none_or_goes_away),
	        cmocka_unit_test(commands_that_are_none),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
