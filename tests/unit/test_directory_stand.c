// SPDX-License-Identifier: GPL-2.0-or-later
/* Standing for a role in a folder: one leads, an end of any kind hands over, and never two at once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/unit/directory_bed.h"

#define LOCK ".weft-controller.lock"

/* A source that stands, and what it was told: "+" leading, "-" not. */
struct standing {
	struct weft_source *source;
	uv_loop_t *loop;
	struct bed unheard;
	char told[64];
};

static void on_change(void *ctx, bool leading)
{
	struct standing *s = ctx;

	assert_true(strlen(s->told) < sizeof(s->told) - 1);
	strcat(s->told, leading ? "+" : "-");
	uv_stop(s->loop); /* or the loop would wait for the next event before it is looked at */
}

static void stand(struct bed *bed, struct standing *s, const char *identity)
{
	struct weft_err err = WEFT_ERR_INIT;

	memset(s, 0, sizeof(*s));
	s->loop = &bed->loop;
	assert_int_equal(weft_directory_new(&bed->loop, bed->dir, &s->source, &err), 0);
	weft_directory_rescan(s->source, 0);
	assert_int_equal(s->source->ops->start(s->source, on_event, &s->unheard, &err), 0);
	assert_int_equal(s->source->ops->stand(s->source, "controller", identity, on_change, s, &err), 0);
	assert_string_equal(s->told, ""); /* on the loop, later */
}

static void leave(struct standing *s)
{
	s->source->ops->free(s->source);
	weft_buf_free(&s->unheard.log);
}

static void wait_told(struct bed *bed, const struct standing *s, const char *want)
{
	bed->late = false;
	uv_update_time(&bed->loop);
	uv_timer_start(&bed->guard, on_guard, 20000, 0);
	while (!bed->late && strcmp(s->told, want))
		uv_run(&bed->loop, UV_RUN_ONCE);
	assert_string_equal(s->told, want);
}

static void expect_holder(struct bed *bed, const char *want)
{
	char path[512], *text = NULL;

	path_of(bed, LOCK, path);
	assert_int_equal(weft_file_read(path, 4096, &text, NULL, NULL), 0);
	assert_string_equal(text, want);
	free(text);
}

static void one_leads_and_hands_over(void **state)
{
	struct bed *bed = *state;
	struct standing a, b;

	stand(bed, &a, "node-with-a-long-name");
	wait_told(bed, &a, "+");
	expect_holder(bed, "node-with-a-long-name\n");
	stand(bed, &b, "b");
	run_for(bed, 300);
	assert_string_equal(b.told, "");
	leave(&a);
	wait_told(bed, &b, "+");
	expect_holder(bed, "b\n");
	assert_string_equal(a.told, "+"); /* nothing comes after free */
	leave(&b);
}

/* A process that leads until it is killed; it says so through the pipe. */
struct child {
	struct weft_source *source;
	uv_loop_t *loop;
	int pipe;
	bool leading;
};

static void in_child(void *ctx, bool leading)
{
	struct child *c = ctx;

	c->leading = leading;
	if (leading && write(c->pipe, "+", 1) != 1)
		_exit(4);
	uv_stop(c->loop);
}

static void ignore(void *ctx, const struct weft_event *ev)
{
	(void)ctx;
	weft_object_free(ev->obj);
}

static bool stand_in_child(uv_loop_t *loop, const char *dir, struct child *c)
{
	c->loop = loop;
	return uv_loop_init(loop) == 0 && weft_directory_new(loop, dir, &c->source, NULL) == 0 &&
	       c->source->ops->start(c->source, ignore, c, NULL) == 0 &&
	       c->source->ops->stand(c->source, "controller", "child", in_child, c, NULL) == 0;
}

static pid_t leading_child(const char *dir, int *from)
{
	struct child c = {0};
	int ends[2];
	uv_loop_t loop;
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		c.pipe = ends[1];
		for (bool ok = stand_in_child(&loop, dir, &c); ok;)
			uv_run(&loop, UV_RUN_ONCE);
		_exit(3);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	*from = ends[0];
	return pid;
}

static void a_kill_hands_over(void **state)
{
	struct bed *bed = *state;
	struct standing s;
	int from, status;
	pid_t pid = leading_child(bed->dir, &from);

	stand(bed, &s, "me");
	run_for(bed, 300);
	assert_string_equal(s.told, "");
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_told(bed, &s, "+");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(from);
	leave(&s);
}

/* The close is told before the lock is free: as if the holder were held up between the two. */
static void a_lock_that_gets_free_late(void **state)
{
	struct bed *bed = *state;
	struct standing s;
	char path[512];
	int holder, other;

	path_of(bed, LOCK, path);
	holder = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(flock(holder, LOCK_EX | LOCK_NB), 0);
	stand(bed, &s, "me");
	run_for(bed, 50);
	other = open(path, O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	close(other); /* the event; the lock is still held */
	run_for(bed, 100);
	assert_string_equal(s.told, "");
	assert_int_equal(flock(holder, LOCK_UN), 0); /* no event */
	wait_told(bed, &s, "+");
	close(holder);
	leave(&s);
}

static void a_replaced_lock_is_no_lock(void **state)
{
	struct bed *bed = *state;
	struct standing a, b;

	stand(bed, &a, "a");
	wait_told(bed, &a, "+");
	put(bed, LOCK, "somebody restored a backup"); /* renamed over it: nobody has that one's lock */
	wait_told(bed, &a, "+-+");
	expect_holder(bed, "a\n");
	remove_name(bed, LOCK);
	wait_told(bed, &a, "+-+-+");
	stand(bed, &b, "b"); /* and it is the lock that others see */
	run_for(bed, 300);
	assert_string_equal(b.told, "");
	leave(&a);
	wait_told(bed, &b, "+");
	leave(&b);
}

static void who_loses_the_folder_stands_down(void **state)
{
	struct bed *bed = *state;
	struct standing s;
	char aside[512];

	snprintf(aside, sizeof(aside), "%s.aside", bed->dir);
	stand(bed, &s, "a");
	wait_told(bed, &s, "+");
	assert_int_equal(rename(bed->dir, aside), 0);
	wait_told(bed, &s, "+-");
	run_for(bed, 500);
	assert_string_equal(s.told, "+-");
	assert_int_equal(rename(aside, bed->dir), 0);
	wait_told(bed, &s, "+-+");
	leave(&s);
}

/* Where inotify is blind the rescan looks: here the lock gets free without any event. */
static void a_rescan_looks_too(void **state)
{
	struct bed *bed = *state;
	struct standing s = {.loop = &bed->loop};
	char path[512];
	int holder;

	path_of(bed, LOCK, path);
	holder = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(flock(holder, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(weft_directory_new(&bed->loop, bed->dir, &s.source, NULL), 0);
	weft_directory_rescan(s.source, 50);
	assert_int_equal(s.source->ops->start(s.source, on_event, &s.unheard, NULL), 0);
	assert_int_equal(s.source->ops->stand(s.source, "controller", "a", on_change, &s, NULL), 0);
	run_for(bed, 200);
	assert_string_equal(s.told, "");
	assert_int_equal(flock(holder, LOCK_UN), 0);
	wait_told(bed, &s, "+");
	close(holder);
	leave(&s);
}

static void what_can_not_be_stood_for(void **state)
{
	struct bed *bed = *state;
	struct weft_err err = WEFT_ERR_INIT;
	struct standing s = {.loop = &bed->loop};

	assert_int_equal(bed->source->ops->stand(bed->source, "controller", "a", on_change, &s, &err),
	                 -EINVAL); /* not started */
	start(bed);
	assert_int_equal(bed->source->ops->stand(bed->source, "../x", "a", on_change, &s, &err), -EINVAL);
	make_folder(bed, LOCK);
	assert_int_equal(bed->source->ops->stand(bed->source, "controller", "a", on_change, &s, &err),
	                 -EISDIR);
	assert_non_null(strstr(err.text, LOCK));
	assert_int_equal(bed->source->ops->stand(bed->source, "other", "a", on_change, &s, &err), 0);
	wait_told(bed, &s, "+");
}

/* --- several processes take turns --- */

#define PROCESSES 4
#define TURNS     8

static void note(int log, char what, int number)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%c%d\n", what, number);

	if (write(log, line, (size_t)n) != n)
		_exit(5);
}

/* One turn: lead, note the begin and the end, and end in one of three ways. */
static void one_turn(const char *dir, int log, int number, int turn)
{
	struct child c = {.pipe = open("/dev/null", O_WRONLY | O_CLOEXEC)};
	uv_loop_t loop;

	if (!stand_in_child(&loop, dir, &c))
		_exit(3);
	while (!c.leading)
		uv_run(&loop, UV_RUN_ONCE);
	note(log, 'b', number);
	for (int i = 0; i < 20; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		sched_yield();
	}
	if (!c.leading)
		_exit(6);
	note(log, 'e', number);
	if (turn == TURNS - 1)
		raise(SIGKILL);
	c.source->ops->free(c.source);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	close(c.pipe);
}

static void check_turns(const char *text)
{
	int begun = 0, ended = 0, leader = -1;

	for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
		int number = atoi(p + 1);

		if (*p == 'b') {
			assert_int_equal(leader, -1);
			leader = number;
			begun++;
		} else {
			assert_int_equal(leader, number);
			leader = -1;
			ended++;
		}
	}
	assert_int_equal(begun, PROCESSES * TURNS);
	assert_int_equal(ended, begun);
}

static void never_two_at_once(void **state)
{
	struct bed *bed = *state;
	char path[512], *text = NULL;
	pid_t pids[PROCESSES];
	int log, status;

	path_of(bed, "turns.log", path);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (int turn = 0; turn < TURNS; turn++)
			one_turn(bed->dir, log, i, turn);
		_exit(7);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	close(log);
	assert_int_equal(weft_file_read(path, 65536, &text, NULL, NULL), 0);
	check_turns(text);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(one_leads_and_hands_over),         TEST(a_kill_hands_over),
	        TEST(a_lock_that_gets_free_late),       TEST(a_replaced_lock_is_no_lock),
	        TEST(who_loses_the_folder_stands_down), TEST(a_rescan_looks_too),
	        TEST(what_can_not_be_stood_for),        TEST(never_two_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
