// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GET /metrics while somebody else has to be asked first: requests wait for the answer or the end of patience,
 * share one question, and hold up nobody when they end early. Over real sockets, in a namespace of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/daemon/metrics.h"
#include "tests/unit/netns.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

#define PORT 9179
#define GET  "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define LONG 3600000

struct bed {
	uv_loop_t loop;
	struct weft_config_metrics listen;
	struct metrics *metrics;
	bool wait; /* ask() says that it does */
	unsigned asked, written, in_time;
};

static bool ask(void *ctx)
{
	struct bed *b = ctx;

	b->asked++;
	return b->wait;
}

static void write_page(void *ctx, struct metrics_page *page, bool in_time)
{
	struct bed *b = ctx;

	b->written++;
	b->in_time += in_time;
	metric_single(page, METRIC_BIRD_UP, in_time);
}

static void open_metrics(struct bed *b, uint64_t patience_ms)
{
	struct metrics_options o = {.loop = &b->loop,
	                            .listen = &b->listen,
	                            .ask = ask,
	                            .write = write_page,
	                            .ctx = b,
	                            .patience_ms = patience_ms};

	b->metrics = metrics_new(&o);
	assert_non_null(b->metrics);
	assert_string_equal(metrics_fault(b->metrics), "");
}

static int begin(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	uv_loop_init(&b->loop);
	b->listen = (struct weft_config_metrics){.port = PORT};
	*state = b;
	return 0;
}

static int end(void **state)
{
	struct bed *b = *state;

	metrics_free(b->metrics);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	free(b);
	return 0;
}

static int dial(const char *request)
{
	struct sockaddr_in to = {
	        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 1) > 0;
}

/* All until the server ends the connection. */
static char *hear(struct bed *b, int fd)
{
	struct weft_buf in = {0};
	char chunk[4096];
	ssize_t n;

	do {
		while (!readable(fd))
			uv_run(&b->loop, UV_RUN_NOWAIT);
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0)
			weft_buf_add(&in, chunk, (size_t)n);
	} while (n > 0);
	close(fd);
	weft_buf_str(&in, "");
	return weft_buf_take(&in);
}

static void expect(struct bed *b, int fd, const char *first, const char *last)
{
	weft_autofree char *reply = hear(b, fd);

	if (strncmp(reply, first, strlen(first)) != 0 || !strstr(reply, last))
		fail_msg("not \"%s\" with \"%s\": %s", first, last, reply);
}

static void turn_until_asked(struct bed *b, unsigned n)
{
	while (b->asked < n)
		uv_run(&b->loop, UV_RUN_NOWAIT);
}

#define UP   "weft_bird_up 1\n"
#define DOWN "weft_bird_up 0\n"
#define OK   "HTTP/1.1 200 "

static void nobody_to_ask_is_answered_at_once(void **state)
{
	struct bed *b = *state;

	open_metrics(b, LONG);
	expect(b, dial(GET), OK, UP);
	expect(b, dial(GET), OK, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	expect(b, dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 ", "/metrics");
	assert_int_equal(b->asked, 2);
}

static void a_scrape_waits_for_the_answer(void **state)
{
	struct bed *b = *state;
	int fd;

	open_metrics(b, LONG);
	b->wait = true;
	fd = dial(GET);
	turn_until_asked(b, 1);
	for (int i = 0; i < 5; i++)
		uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_false(readable(fd));
	assert_int_equal(b->written, 0);
	metrics_ready(b->metrics);
	expect(b, fd, OK, UP);
	metrics_ready(b->metrics); /* of no use to anybody */
	fd = dial(GET);
	turn_until_asked(b, 2);
	metrics_ready(b->metrics);
	expect(b, fd, OK, UP);
}

static void an_answer_that_is_late_is_not_waited_for(void **state)
{
	struct bed *b = *state;

	open_metrics(b, 1);
	b->wait = true;
	expect(b, dial(GET), OK, DOWN);
	assert_int_equal(b->in_time, 0);
	metrics_ready(b->metrics); /* now it comes */
	expect(b, dial(GET), OK, DOWN);
	assert_int_equal(b->asked, 2);
}

static void scrapes_at_once_share_a_question(void **state)
{
	struct bed *b = *state;
	int fd[5];

	open_metrics(b, LONG);
	b->wait = true;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(fd); i++)
		fd[i] = dial(GET);
	turn_until_asked(b, 1);
	for (int i = 0; i < 20; i++)
		uv_run(&b->loop, UV_RUN_NOWAIT);
	metrics_ready(b->metrics);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(fd); i++)
		expect(b, fd[i], OK, UP);
	assert_int_equal(b->asked, 1);
	assert_int_equal(b->written, WEFT_ARRAY_LEN(fd));
}

static void a_body_is_passed_over(void **state)
{
	struct bed *b = *state;
	int fd;

	open_metrics(b, LONG);
	b->wait = true;
	fd = dial("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
	turn_until_asked(b, 1);
	metrics_ready(b->metrics);
	assert_int_equal(send(fd, "56789", 5, MSG_NOSIGNAL), 5);
	expect(b, fd, OK, UP);
	assert_int_equal(b->asked, 1);
}

static void one_that_hangs_up_hinders_nobody(void **state)
{
	struct bed *b = *state;
	int fd;

	open_metrics(b, LONG);
	b->wait = true;
	close(dial(GET));
	turn_until_asked(b, 1);
	fd = dial(GET);
	for (int i = 0; i < 5; i++)
		uv_run(&b->loop, UV_RUN_NOWAIT);
	metrics_ready(b->metrics);
	while (!readable(fd)) {
		uv_run(&b->loop, UV_RUN_NOWAIT);
		metrics_ready(b->metrics);
	}
	expect(b, fd, OK, UP);
}

static void the_end_while_one_waits(void **state)
{
	struct bed *b = *state;
	weft_autofree char *reply = NULL;
	int fd;

	open_metrics(b, LONG);
	b->wait = true;
	fd = dial(GET);
	turn_until_asked(b, 1);
	metrics_free(b->metrics);
	b->metrics = NULL;
	reply = hear(b, fd);
	assert_string_equal(reply, "");
	assert_int_equal(b->written, 0);
}

static void a_port_that_is_taken_is_a_fault(void **state)
{
	struct bed *b = *state, other = {.listen = b->listen};
	struct metrics_options o = {
	        .loop = &b->loop, .listen = &other.listen, .write = write_page, .ctx = &other};
	struct metrics *m;

	open_metrics(b, LONG);
	m = metrics_new(&o);
	assert_non_null(strstr(metrics_fault(m), "port 9179"));
	metrics_free(m);
	other.listen.port = 0; /* nowhere */
	m = metrics_new(&o);
	assert_string_equal(metrics_fault(m), "");
	metrics_free(m);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
	        TEST(nobody_to_ask_is_answered_at_once),
	        TEST(a_scrape_waits_for_the_answer),
	        TEST(an_answer_that_is_late_is_not_waited_for),
	        TEST(scrapes_at_once_share_a_question),
	        TEST(a_body_is_passed_over),
	        TEST(one_that_hangs_up_hinders_nobody),
	        TEST(the_end_while_one_waits),
	        TEST(a_port_that_is_taken_is_a_fault),
	};

	netns_enter();
	netns_run("ip link set lo up", NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
