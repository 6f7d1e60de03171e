// SPDX-License-Identifier: GPL-2.0-or-later
/* Running weftctl as people do, and what came of it. */
#ifndef TESTS_UNIT_CTL_PROGRAM_H
#define TESTS_UNIT_CTL_PROGRAM_H

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the tests and programs of this build are. */
static char build[PATH_MAX];

struct outcome {
	int code;
	char out[16384], err[4096];
};

static inline void slurp(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
}

/* Run weftctl with these arguments (NULL-terminated); output on a terminal of `columns` columns, or files. */
static inline struct outcome run_on(unsigned short columns, const char *const *args)
{
	struct winsize size = {.ws_row = 25, .ws_col = columns};
	struct outcome o = {0};
	int out[2], err[2], status;
	char *argv[16] = {"weftctl"};
	char program[PATH_MAX + 16];
	pid_t pid;

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = (char *)args[i];
	snprintf(program, sizeof(program), "%s/weftctl", build);
	if (columns)
		assert_int_equal(openpty(&out[0], &out[1], NULL, NULL, &size), 0);
	else
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		dup2(err[1], 2);
		unsetenv("NO_COLOR");
		setenv("TERM", "xterm", 1);
		execv(program, argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	slurp(out[0], o.out, sizeof(o.out));
	slurp(err[0], o.err, sizeof(o.err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	o.code = WEXITSTATUS(status);
	return o;
}

#define RUN(...) run_on(0, (const char *const[]){__VA_ARGS__, NULL})

static inline void assert_outcome(const struct outcome *o, int code, const char *out, const char *err)
{
	if (err)
		assert_string_equal(o->err, err);
	assert_string_equal(o->out, out);
	assert_int_equal(o->code, code);
}

static inline void assert_says(const struct outcome *o, int code, const char *err_part)
{
	assert_string_equal(o->out, "");
	if (!strstr(o->err, err_part))
		fail_msg("\"%s\" is not in: %s", err_part, o->err);
	assert_int_equal(o->code, code);
}

/* First of all in main(); 0 = done. */
static inline int find_build(void)
{
	char self[PATH_MAX] = "";

	/* build/unit/test_NAME -> build */
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -1;
	snprintf(build, sizeof(build), "%s", dirname(dirname(self)));
	alarm(120); /* rather killed than hung */
	return 0;
}

#endif
