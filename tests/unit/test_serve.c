// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's socket: real sockets, a real loop, clients of every bad kind. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/serve_fixture.h"

static int dial_path(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static int dial(const struct fixture *f)
{
	return dial_path(f->path);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One reply line without its newline, "" at the end of the connection; fails after 5 s. free() it. */
static char *hear(int fd)
{
	struct weft_buf line = {0};
	char c;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		assert_int_equal(poll(&p, 1, 5000), 1);
		if (recv(fd, &c, 1, 0) <= 0 || c == '\n')
			return weft_buf_take(&line);
		weft_buf_char(&line, c);
	}
}

static void expect(int fd, const char *reply)
{
	weft_autofree char *line = hear(fd);

	assert_string_equal(line, reply);
}

static void expect_part(int fd, const char *part)
{
	weft_autofree char *line = hear(fd);

	if (!strstr(line, part))
		fail_msg("\"%s\" is not in: %s", part, line);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define ECHO_A       "{\"cmd\":\"echo\",\"a\":1}\n"
#define ECHO_A_REPLY "{\"ok\":true,\"result\":{\"cmd\":\"echo\",\"a\":1}}"

static void requests_are_answered_in_order(void **state)
{
	weft_autofree char *help = NULL;
	struct fixture *f;
	int fd;

	(void)state;
	f = fix_start(NULL, NULL, 0);
	fd = dial(f);
	say(fd, ECHO_A "{\"cmd\":\"later\",\"ms\":50}\n" ECHO_A "{\"cmd\":\"fail\"}\r\n");
	expect(fd, ECHO_A_REPLY);
	expect(fd, "{\"ok\":true,\"result\":\"late\"}");
	expect(fd, ECHO_A_REPLY);
	expect(fd, "{\"ok\":false,\"error\":\"it is there?already\",\"code\":17}");
	for (const char *p = ECHO_A; *p; p++)
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
	expect(fd, ECHO_A_REPLY);
	say(fd, "{\"cmd\":\"help\"}\n");
	help = hear(fd);
	assert_non_null(strstr(help, "{\"name\":\"later\",\"help\":\"answer later\"}"));
	close(fd);
	fix_stop(f);
}

static void half_closed_client_gets_its_answer(void **state)
{
	struct fixture *f;
	int fd;

	(void)state;
	f = fix_start(NULL, NULL, 0);
	fd = dial(f);
	say(fd, "{\"cmd\":\"later\",\"ms\":20}\n" ECHO_A "{\"cmd\":\"ec");
	shutdown(fd, SHUT_WR);
	expect(fd, "{\"ok\":true,\"result\":\"late\"}");
	expect(fd, ECHO_A_REPLY);
	expect(fd, "");
	close(fd);
	fix_stop(f);
}

static void malformed_requests_get_an_error(void **state)
{
	static const char *const bad[] = {"\n",
	                                  "[]\n",
	                                  "\"echo\"\n",
	                                  "{\"cmd\":5}\n",
	                                  "{\"cmd\":\"\"}\n",
	                                  "{\"cmd\":\"echo\\n\"}\n",
	                                  "{\"cmd\":\"echo\"} x\n",
	                                  "{\"CMD\":\"echo\"}\n",
	                                  "{\"cmd\":\"0123456789012345678901234567890123\"}\n",
	                                  "{\"cmd\":\"echo\"\n"};
	struct fixture *f;
	int fd;

	(void)state;
	f = fix_start(NULL, NULL, 0);
	fd = dial(f);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++) {
		say(fd, bad[i]);
		expect_part(fd, "\"ok\":false");
	}
	assert_int_equal(send(fd, "{\"cmd\":\"echo\"}\0x\n", 17, MSG_NOSIGNAL), 17);
	expect_part(fd, "NUL");
	say(fd, "{\"cmd\":\"nothing\"}\n");
	expect_part(fd, "knows no command nothing");
	say(fd, ECHO_A);
	expect(fd, ECHO_A_REPLY);
	close(fd);
	fix_stop(f);
}

static void long_request_is_refused(void **state)
{
	const struct serve_limits limits = {.request = 100000};
	weft_autofree char *text = malloc(200000);
	struct fixture *f;
	int fd;

	(void)state;
	memset(text, ' ', 200000);
	memcpy(text + 100000 - (sizeof(ECHO_A) - 2), ECHO_A, sizeof(ECHO_A) - 1);
	f = fix_start(&limits, NULL, 0);
	fd = dial(f);
	assert_int_equal(send(fd, text, 100001, MSG_NOSIGNAL), 100001);
	expect(fd, ECHO_A_REPLY); /* exactly the limit */
	assert_int_equal(send(fd, " ", 1, MSG_NOSIGNAL), 1);
	(void)!send(fd, text, 100001, MSG_NOSIGNAL);
	expect_part(fd, "more than 100000 bytes");
	expect(fd, "");
	close(fd);
	fd = dial(f);
	memset(text, 'x', 200000);
	(void)!send(fd, text, 200000, MSG_NOSIGNAL); /* no newline at all */
	expect_part(fd, "more than 100000 bytes");
	close(fd);
	fix_stop(f);
}

static void long_answer_waits_for_its_reader_only(void **state)
{
	enum { BYTES = 20 << 20 };
	weft_autofree char *chunk = malloc(1 << 20);
	struct fixture *f;
	size_t got = 0;
	int slow, fd;
	ssize_t n;

	(void)state;
	f = fix_start(NULL, NULL, 0);
	slow = dial(f);
	say(slow, "{\"cmd\":\"big\",\"bytes\":20971520}\n" ECHO_A);
	fd = dial(f);
	for (int i = 0; i < 10; i++) {
		say(fd, ECHO_A);
		expect(fd, ECHO_A_REPLY);
	}
	while (got < BYTES + sizeof("{\"ok\":true,\"result\":\"\"}") + sizeof(ECHO_A_REPLY)) {
		n = recv(slow, chunk, 1 << 20, 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(got, BYTES + sizeof("{\"ok\":true,\"result\":\"\"}") + sizeof(ECHO_A_REPLY));
	close(slow);
	close(fd);
	fix_stop(f);
}

static void clients_that_leave_harm_nobody(void **state)
{
	struct fixture *f;
	int fd;

	(void)state;
	f = fix_start(NULL, NULL, 0);
	for (int i = 0; i < 20; i++) {
		fd = dial(f);
		say(fd, i % 2 ? "{\"cmd\":\"later\",\"ms\":10}\n" : "{\"cmd\":\"big\",\"bytes\":3000000}\n");
		close(fd);
	}
	fd = dial(f);
	say(fd, "{\"cmd\":\"later\",\"ms\":60}\n");
	expect(fd, "{\"ok\":true,\"result\":\"late\"}");
	say(fd, "{\"cmd\":\"never\"}\n"); /* held while the server goes */
	usleep(20000);
	fix_stop(f);
	expect(fd, "");
	close(fd);
}

static void handler_that_takes_too_long_is_given_up(void **state)
{
	const struct serve_limits limits = {.handler_ms = 100};
	struct fixture *f;
	int fd;

	(void)state;
	f = fix_start(&limits, NULL, 0);
	fd = dial(f);
	say(fd, "{\"cmd\":\"later\",\"ms\":200}\n" ECHO_A);
	expect_part(fd, "\"code\":110");
	expect(fd, ECHO_A_REPLY);
	usleep(150000); /* the late completion goes nowhere */
	say(fd, ECHO_A);
	expect(fd, ECHO_A_REPLY);
	close(fd);
	fix_stop(f);
}

static void idle_and_dribbling_clients_are_dropped(void **state)
{
	const struct serve_limits limits = {.idle_ms = 200};
	struct fixture *f;
	double start;
	int idle, dribble, deaf;
	char c;

	(void)state;
	f = fix_start(&limits, NULL, 0);
	idle = dial(f);
	dribble = dial(f);
	deaf = dial(f);
	say(deaf, "{\"cmd\":\"big\",\"bytes\":3000000}\n");
	start = seconds();
	while (send(dribble, "x", 1, MSG_NOSIGNAL) == 1) {
		usleep(20000);
		assert_true(seconds() - start < 3);
	}
	assert_true(seconds() - start >= 0.15);
	expect(idle, "");
	assert_int_equal(poll(&(struct pollfd){.fd = deaf}, 1, 5000), 1); /* hung up */
	while (recv(deaf, &c, 1, 0) == 1 && c != '\n')
		;
	assert_int_not_equal(c, '\n');
	close(idle);
	close(dribble);
	close(deaf);
	fix_stop(f);
}

static void one_client_too_many_is_refused(void **state)
{
	const struct serve_limits limits = {.clients = 3};
	struct fixture *f;
	int fd[4];

	(void)state;
	f = fix_start(&limits, NULL, 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = dial(f);
		say(fd[i], ECHO_A);
		expect(fd[i], ECHO_A_REPLY);
	}
	fd[3] = dial(f);
	expect_part(fd[3], "\"code\":16");
	expect(fd[3], "");
	close(fd[3]);
	close(fd[0]);
	usleep(50000);
	fd[3] = dial(f);
	say(fd[3], ECHO_A);
	expect(fd[3], ECHO_A_REPLY);
	for (int i = 1; i < 4; i++)
		close(fd[i]);
	fix_stop(f);
}

static void files_have_tight_modes(void **state)
{
	struct fixture *f;
	struct stat st;
	char run[96];

	(void)state;
	umask(0);
	f = fix_start(NULL, NULL, 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(stat(run, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	fix_stop(f);
	umask(022);
	assert_int_equal(access(f->path, F_OK), -1);
}

/* Connect as user nobody, the file's mode notwithstanding. */
static void other_users_are_refused(void **state)
{
	struct fixture *f;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char run[96];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		fail_msg("this test becomes another user and must run as root");
	f = fix_start(NULL, NULL, 0);
	assert_int_equal(chmod(f->path, 0666) | chmod(f->dir, 0755), 0);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(chmod(run, 0755), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", f->path);
	pid = fork();
	if (pid == 0) {
		char reply[256] = "";
		int fd;

		alarm(10);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (setuid(65534) != 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
			_exit(2);
		(void)!send(fd, ECHO_A, sizeof(ECHO_A) - 1, MSG_NOSIGNAL);
		(void)!recv(fd, reply, sizeof(reply) - 1, 0);
		_exit(strstr(reply, "permission denied") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fix_stop(f);
}

static void dead_socket_is_replaced_living_daemon_is_not(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct serve_server *second = NULL;
	struct fixture *f;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char pid[32], path[128];
	uv_loop_t loop;
	int fd;

	(void)state;
	f = fix_start(NULL, NULL, 0);
	uv_loop_init(&loop);
	assert_int_equal(serve_open(&second, &loop, f->path, NULL, &err), -EADDRINUSE);
	snprintf(pid, sizeof(pid), "pid %d:", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	fd = dial(f);
	say(fd, ECHO_A);
	expect(fd, ECHO_A_REPLY);
	close(fd);

	/* What kill -9 leaves: a bound socket that nobody has open. */
	snprintf(path, sizeof(path), "%s/dead.sock", f->dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(serve_open(&second, &loop, path, NULL, &err), 0);

	/* A file that was put in its place is not ours to remove. */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	serve_close(second);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(serve_open(&second, &loop, path, NULL, &err), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	unlink(path);
	fix_stop(f);
}

static void bad_paths_and_registrations_are_errors(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct serve_server *s = NULL;
	char path[300];
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(serve_open(&s, &loop, path, NULL, &err), -ENAMETOOLONG);
	assert_int_equal(serve_open(&s, &loop, "relative/path", NULL, &err), -EINVAL);
	assert_int_equal(serve_open(&s, &loop, "/dev/null/x/weftd.sock", NULL, &err), -ENOTDIR);
	snprintf(path, sizeof(path), "/tmp/weft-serve-%d.sock", (int)getpid());
	assert_int_equal(serve_open(&s, &loop, path, NULL, &err), 0);
	assert_int_equal(serve_register(s, "a", fix_echo, NULL, ""), 0);
	assert_int_equal(serve_register(s, "a", fix_echo, NULL, ""), -EEXIST);
	serve_close(s);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static int stop_server(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                       struct weft_err *err)
{
	(void)req, (void)args, (void)result, (void)err;
	serve_close(*(struct serve_server **)ctx);
	return 0;
}

static void handler_may_close_the_server(void **state)
{
	struct serve_server *s = NULL;
	char path[64];
	uv_loop_t loop;
	int fd;

	(void)state;
	uv_loop_init(&loop);
	snprintf(path, sizeof(path), "/tmp/weft-serve-%d.sock", (int)getpid());
	assert_int_equal(serve_open(&s, &loop, path, NULL, NULL), 0);
	serve_register(s, "stop", stop_server, &s, "");
	fd = dial_path(path);
	say(fd, "{\"cmd\":\"stop\"}\n");
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	expect(fd, "");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(requests_are_answered_in_order),
	        cmocka_unit_test(half_closed_client_gets_its_answer),
	        cmocka_unit_test(malformed_requests_get_an_error),
	        cmocka_unit_test(long_request_is_refused),
	        cmocka_unit_test(long_answer_waits_for_its_reader_only),
	        cmocka_unit_test(clients_that_leave_harm_nobody),
	        cmocka_unit_test(handler_that_takes_too_long_is_given_up),
	        cmocka_unit_test(idle_and_dribbling_clients_are_dropped),
	        cmocka_unit_test(one_client_too_many_is_refused),
	        cmocka_unit_test(files_have_tight_modes),
	        cmocka_unit_test(other_users_are_refused),
	        cmocka_unit_test(dead_socket_is_replaced_living_daemon_is_not),
	        cmocka_unit_test(bad_paths_and_registrations_are_errors),
	        cmocka_unit_test(handler_may_close_the_server),
	};

	alarm(120); /* rather killed than hung */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
