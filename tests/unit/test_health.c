// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * S25, S26: what load balancers and probes are answered, over real sockets in a network namespace of its own.
 * Server and clients share the test's one thread: hear() turns the loop while it waits.
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

#include "agent/serve/health.h"
#include "agent/serve/http.h"
#include "tests/unit/netns.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

#define PORT  30001
#define PORT2 30002
#define OWN   10256

static const struct weft_addr any;

struct bed {
	uv_loop_t loop;
	struct health *health;
	struct health_proxy proxy;
};

static void tell(void *ctx, struct health_proxy *out)
{
	*out = ((struct bed *)ctx)->proxy;
}

static int begin(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	uv_loop_init(&b->loop);
	b->proxy =
	        (struct health_proxy){.live = true, .node_eligible = true, .last_update_ms = 1000000000123};
	assert_int_equal(health_new(&b->loop, tell, b, &b->health, NULL), 0);
	*state = b;
	return 0;
}

static int end(void **state)
{
	struct bed *b = *state;

	health_free(b->health);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	free(b);
	return 0;
}

static void want(struct bed *b, const char *name, uint16_t port, uint32_t count)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (health_want(b->health, "shop", name, port, count, &err) < 0)
		fail_msg("%s", err.text);
}

/* A socket that is connected (or refused: -ECONNREFUSED) before this returns; the kernel's queue takes it. */
static int dial_family(int family, uint16_t port)
{
	struct sockaddr_in v4 = {
	        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {
	        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
	                            : connect(fd, (struct sockaddr *)&v6, sizeof(v6));

	if (ret < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int dial(uint16_t port)
{
	int fd = dial_family(AF_INET, port);

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All until the server ends the connection. */
static char *hear(struct bed *b, int fd)
{
	struct weft_buf in = {0};
	char chunk[4096];
	ssize_t n;

	do {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		uv_run(&b->loop, UV_RUN_NOWAIT);
		if (poll(&p, 1, 5) == 0) {
			n = 1;
			continue;
		}
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0)
			weft_buf_add(&in, chunk, (size_t)n);
	} while (n > 0);
	close(fd);
	weft_buf_str(&in, "");
	return weft_buf_take(&in);
}

static char *ask(struct bed *b, uint16_t port, const char *request)
{
	int fd = dial(port);

	say(fd, request);
	return hear(b, fd);
}

static void expect(const char *reply, const char *first, const char *body, const char *const *headers)
{
	const char *end = strstr(reply, "\r\n\r\n");

	if (!end || strncmp(reply, first, strlen(first)) != 0)
		fail_msg("not \"%s\": %s", first, reply);
	for (; headers && *headers; headers++)
		if (!strcasestr(reply, *headers))
			fail_msg("\"%s\" is not in: %s", *headers, reply);
	if (body)
		assert_string_equal(end + 4, body);
}

#define OK      "HTTP/1.1 200 "
#define DOWN    "HTTP/1.1 503 "
#define GET     "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEALTHZ "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define LIVEZ   "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

static const char *const headers3[] = {"\r\nContent-Type: application/json\r\n",
                                       "\r\nX-Content-Type-Options: nosniff\r\n",
                                       "\r\nX-Load-Balancing-Endpoint-Weight: 3\r\n", NULL};
static const char *const headers0[] = {"\r\nContent-Type: application/json\r\n",
                                       "\r\nX-Content-Type-Options: nosniff\r\n",
                                       "\r\nX-Load-Balancing-Endpoint-Weight: 0\r\n", NULL};

#define BODY(n, healthy)                                                                      \
	"{\"service\":{\"namespace\":\"shop\",\"name\":\"web\"},\"localEndpoints\":" #n ",\"" \
	"serviceProxyHealthy\":" #healthy "}"

static void service_tells_its_local_endpoints_s25(void **state)
{
	struct bed *b = *state;
	weft_autofree char *up = NULL, *none = NULL, *sick = NULL, *again = NULL;

	want(b, "web", PORT, 3);
	up = ask(b, PORT, GET);
	expect(up, OK, BODY(3, true), headers3);
	want(b, "web", PORT, 0);
	none = ask(b, PORT, GET);
	expect(none, DOWN, BODY(0, true), headers0);
	want(b, "web", PORT, 3);
	b->proxy.live = false;
	sick = ask(b, PORT, GET);
	expect(sick, DOWN, BODY(3, false), headers3);
	b->proxy = (struct health_proxy){.live = true}; /* the node does not matter here */
	again = ask(b, PORT, GET);
	expect(again, OK, BODY(3, true), NULL);
}

static void any_path_and_method_is_answered_s25(void **state)
{
	static const char *const requests[] = {
	        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	        "GET /../../%2e%2e/etc?x=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
	        "GET / HTTP/1.0\r\n\r\n",
	        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\n\r\n",
	        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	        "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	struct bed *b = *state;
	weft_autofree char *head = NULL;

	want(b, "web", PORT, 3);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(requests); i++) {
		weft_autofree char *reply = ask(b, PORT, requests[i]);

		assert_true(!strncmp(reply, "HTTP/1.", 7));
		expect(reply + 8, " 200 ", BODY(3, true), headers3);
	}
	head = ask(b, PORT, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(head, OK, "", headers3);
}

static void both_families_are_served(void **state)
{
	struct bed *b = *state;
	weft_autofree char *reply = NULL;
	int fd;

	want(b, "web", PORT, 3);
	fd = dial_family(AF_INET6, PORT);
	assert_true(fd >= 0);
	say(fd, GET);
	reply = hear(b, fd);
	expect(reply, OK, BODY(3, true), NULL);
}

static void one_address_when_told(void **state)
{
	struct bed *b = *state;
	weft_autofree char *four = NULL, *six = NULL;
	struct weft_addr addr;
	int fd;

	assert_int_equal(weft_addr_parse("127.0.0.1", &addr, NULL), 0);
	assert_int_equal(health_listen(b->health, &addr, OWN, NULL), 0);
	assert_int_equal(dial_family(AF_INET6, OWN), -ECONNREFUSED);
	four = ask(b, OWN, LIVEZ);
	expect(four, OK, NULL, NULL);
	assert_int_equal(weft_addr_parse("::1", &addr, NULL), 0);
	assert_int_equal(health_listen(b->health, &addr, PORT, NULL), 0);
	assert_int_equal(dial_family(AF_INET, PORT), -ECONNREFUSED);
	assert_int_equal(dial_family(AF_INET, OWN), -ECONNREFUSED); /* there is one, and it moved */
	fd = dial_family(AF_INET6, PORT);
	say(fd, LIVEZ);
	six = hear(b, fd);
	expect(six, OK, NULL, NULL);
}

static void changed_port_and_no_need_close_the_listener_s25(void **state)
{
	struct bed *b = *state;
	weft_autofree char *reply = NULL;

	want(b, "web", PORT, 3);
	want(b, "web", PORT2, 3);
	assert_int_equal(dial_family(AF_INET, PORT), -ECONNREFUSED);
	reply = ask(b, PORT2, GET);
	expect(reply, OK, BODY(3, true), NULL);
	health_unwant(b->health, "shop", "other");
	health_unwant(b->health, "shop", "web");
	assert_int_equal(dial_family(AF_INET, PORT2), -ECONNREFUSED);
	health_unwant(b->health, "shop", "web");
	want(b, "web", PORT, 1); /* at once: what the connection left in TIME_WAIT is no obstacle */
	want(b, "api", PORT2, 1);
}

static void taken_port_is_an_error_and_tried_again_s25(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct weft_err err = WEFT_ERR_INIT;
	struct bed *b = *state;
	weft_autofree char *reply = NULL;
	const int on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	want(b, "web", PORT2, 3);
	assert_int_equal(health_want(b->health, "shop", "web", PORT, 3, &err), -EADDRINUSE);
	assert_string_equal(err.text, "Service shop/web: healthCheckNodePort: listen on all addresses, port "
	                              "30001: Address already in use");
	assert_int_equal(dial_family(AF_INET, PORT2), -ECONNREFUSED); /* it isn't the Service's any more */
	assert_int_equal(health_want(b->health, "shop", "web", PORT, 3, NULL), -EADDRINUSE);
	assert_int_equal(health_listen(b->health, &any, PORT, NULL), -EADDRINUSE);
	close(fd);
	want(b, "web", PORT, 3);
	reply = ask(b, PORT, GET);
	expect(reply, OK, BODY(3, true), NULL);
	assert_int_equal(health_want(b->health, "shop", "api", PORT, 1, &err), -EADDRINUSE);
	health_unwant(b->health, "shop", "web");
	want(b, "api", PORT, 1);
}

static void hostile_names_stay_json(void **state)
{
	struct bed *b = *state;
	weft_autofree char *reply = NULL;

	assert_int_equal(health_want(b->health, "a\"b", "c\\d\n", PORT, 1, NULL), 0);
	reply = ask(b, PORT, GET);
	expect(reply, OK,
	       "{\"service\":{\"namespace\":\"a\\\"b\",\"name\":\"c\\\\d\\n\"},\"localEndpoints\":1,"
	       "\"serviceProxyHealthy\":true}",
	       NULL);
}

static void own_health_s26(void **state)
{
	static const struct {
		bool live, eligible;
		const char *request, *first, *part;
	} cases[] = {
	        {true, true, HEALTHZ, OK, "\",\"nodeEligible\":true}"},
	        {true, false, HEALTHZ, DOWN, "\"lastUpdated\":\"2001-09-09T01:46:40.123Z\""},
	        {true, false, HEALTHZ, DOWN, "\",\"nodeEligible\":false}"},
	        {false, true, HEALTHZ, DOWN, "\",\"nodeEligible\":true}"},
	        {true, false, LIVEZ, OK, "\"currentTime\":\"2"},
	        {false, true, LIVEZ, DOWN,
	         "\"lastUpdated\":\"2001-09-09T01:46:40.123Z\",\"currentTime\":\"2"},
	};
	struct bed *b = *state;
	weft_autofree char *missing = NULL, *query = NULL;

	assert_int_equal(health_listen(b->health, &any, OWN, NULL), 0);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_autofree char *reply = NULL;

		b->proxy.live = cases[i].live;
		b->proxy.node_eligible = cases[i].eligible;
		reply = ask(b, OWN, cases[i].request);
		expect(reply, cases[i].first, NULL,
		       (const char *const[]){"application/json", "nosniff", cases[i].part, NULL});
		assert_int_equal(strstr(reply, "nodeEligible") != NULL, cases[i].request[5] == 'h');
	}
	b->proxy = (struct health_proxy){.live = true, .node_eligible = true};
	query = ask(b, OWN, "GET /healthz?verbose HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(query, OK, NULL, NULL);
	assert_null(strstr(query, "\"lastUpdated\":\"1970"));
	missing = ask(b, OWN, GET);
	expect(missing, "HTTP/1.1 404 ", NULL, NULL);
}

static void oversized_headers_are_refused(void **state)
{
	char request[HTTP_HEADER_BYTES + 4096];
	struct bed *b = *state;
	weft_autofree char *long_header = NULL, *long_path = NULL, *after = NULL;

	want(b, "web", PORT, 3);
	snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: x\r\nX: %0*d\r\n\r\n", HTTP_HEADER_BYTES,
	         7);
	long_header = ask(b, PORT, request);
	assert_null(strstr(long_header, " 200 "));
	snprintf(request, sizeof(request), "GET /%0*d HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_HEADER_BYTES, 7);
	long_path = ask(b, PORT, request);
	assert_null(strstr(long_path, " 200 "));
	after = ask(b, PORT, GET);
	expect(after, OK, BODY(3, true), NULL);
}

static void slow_and_half_requests_hinder_nobody(void **state)
{
	struct bed *b = *state;
	weft_autofree char *other = NULL, *done = NULL;
	int half;

	want(b, "web", PORT, 3);
	half = dial(PORT);
	say(half, "GET / HT");
	other = ask(b, PORT, GET);
	expect(other, OK, BODY(3, true), NULL);
	say(half, "TP/1.1\r\nHost: x\r\n");
	uv_run(&b->loop, UV_RUN_NOWAIT);
	say(half, "\r\n");
	done = hear(b, half);
	expect(done, OK, BODY(3, true), NULL);
}

static void many_connections_wait_for_their_turn(void **state)
{
	int fds[HTTP_CONNECTIONS + 20];
	struct bed *b = *state;
	size_t at;

	want(b, "web", PORT, 3);
	for (at = 0; at < WEFT_ARRAY_LEN(fds); at++) {
		fds[at] = dial(PORT);
		say(fds[at], "GET / HTTP/1.1\r\n");
	}
	for (int i = 0; i < 200; i++)
		uv_run(&b->loop, UV_RUN_NOWAIT);
	/* What the server took has left the receive queue; the limit leaves the others in it. */
	for (at = 0; at < WEFT_ARRAY_LEN(fds); at++)
		say(fds[at], "Host: x\r\n\r\n");
	for (at = 0; at < WEFT_ARRAY_LEN(fds); at++) {
		weft_autofree char *reply = hear(b, fds[at]);

		expect(reply, OK, BODY(3, true), NULL);
	}
}

static void unwant_ends_open_connections(void **state)
{
	struct bed *b = *state;
	weft_autofree char *reply = NULL;
	int fd;

	want(b, "web", PORT, 3);
	fd = dial(PORT);
	say(fd, "GET / HTTP/1.1\r\n");
	uv_run(&b->loop, UV_RUN_NOWAIT);
	health_unwant(b->health, "shop", "web");
	reply = hear(b, fd);
	assert_string_equal(reply, "");
}

/* --- time: a server with a short limit --- */

static void answer_ok(void *ctx, const char *path, struct http_answer *out)
{
	(void)ctx, (void)path;
	out->status = 200;
}

static bool timer_is_active(uv_loop_t *loop)
{
	uint64_t wait;

	uv_update_time(loop);
	uv_run(loop, UV_RUN_NOWAIT);
	wait = (uint64_t)uv_backend_timeout(loop);
	return wait != UINT64_MAX;
}

static void nonsense_ends_the_connection(void **state)
{
	static const char *const requests[] = {"\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
	                                       "GET / HTTP/9.9\r\n\r\n"};
	struct http_config config = {.port = PORT, .limit_ms = 100, .answer = answer_ok};
	struct bed *b = *state;
	struct http_server *server;

	assert_int_equal(http_open(&b->loop, &config, &server, NULL), 0);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(requests); i++) {
		int fd = dial(PORT);
		weft_autofree char *reply = NULL;

		say(fd, requests[i]);
		shutdown(fd, SHUT_WR);
		reply = hear(b, fd);
		if (strstr(reply, " 200 "))
			fail_msg("answered: %s", requests[i]);
	}
	http_close(server);
}

static void a_trickle_is_cut_off_and_leaves_no_timer(void **state)
{
	struct http_config config = {.port = PORT, .limit_ms = 50, .answer = answer_ok};
	struct bed *b = *state;
	struct http_server *server;
	int fd, sent = 0;

	assert_int_equal(http_open(&b->loop, &config, &server, NULL), 0);
	assert_false(timer_is_active(&b->loop));
	fd = dial(PORT);
	say(fd, "GET / HTTP/1.1\r\nX: ");
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

		uv_run(&b->loop, UV_RUN_NOWAIT);
		if (poll(&p, 1, 1) > 0)
			break;
		assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
		sent++;
	}
	assert_true(sent > 0);
	close(fd);
	assert_false(timer_is_active(&b->loop));
	http_close(server);
}

static void silence_is_cut_off_while_the_loop_sleeps(void **state)
{
	struct http_config config = {.port = PORT, .limit_ms = 30, .answer = answer_ok};
	struct bed *b = *state;
	struct http_server *server;
	struct pollfd p = {.events = POLLIN | POLLRDHUP};
	int fd;

	assert_int_equal(http_open(&b->loop, &config, &server, NULL), 0);
	fd = dial(PORT);
	p.fd = fd;
	while (poll(&p, 1, 0) == 0)
		uv_run(&b->loop, UV_RUN_ONCE); /* sleeps: only a timer can wake it */
	close(fd);
	http_close(server);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(service_tells_its_local_endpoints_s25),
	        TEST(any_path_and_method_is_answered_s25),
	        TEST(both_families_are_served),
	        TEST(one_address_when_told),
	        TEST(changed_port_and_no_need_close_the_listener_s25),
	        TEST(taken_port_is_an_error_and_tried_again_s25),
	        TEST(hostile_names_stay_json),
	        TEST(own_health_s26),
	        TEST(oversized_headers_are_refused),
	        TEST(nonsense_ends_the_connection),
	        TEST(slow_and_half_requests_hinder_nobody),
	        TEST(many_connections_wait_for_their_turn),
	        TEST(unwant_ends_open_connections),
	        TEST(a_trickle_is_cut_off_and_leaves_no_timer),
	        TEST(silence_is_cut_off_while_the_loop_sleeps),
	};

	netns_enter();
	netns_run("ip link set lo up", NULL, 0);
	alarm(120); /* rather killed than hung */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
