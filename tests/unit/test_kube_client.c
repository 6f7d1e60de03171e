// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls to the API server: requests as they arrive, servers tried in turn, limits, bodies. Against a real
 * server on loopback, see kube_server.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/tcp.h>

#include "tests/unit/kube_bed.h"

/* The unused port of a listener that is gone again. */
static char *closed_url(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *url;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	assert_true(asprintf(&url, "https://127.0.0.1:%u", ntohs(a.sin_port)) > 0);
	return url;
}

/* Requests */

static void test_get(void **state)
{
	const struct bed_result *r;
	struct kube_health health;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_get(&bed, "/echo/api/v1/nodes?limit=500&labelSelector=a%21%3Db");
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->status, 200);
	bed_has(r->body,
	        "\"method\": \"GET\", \"path\": \"/echo/api/v1/nodes?limit=500&labelSelector=a%21%3Db\"");
	bed_has(r->body, "\"user-agent\": \"weftd/0.1\"");
	bed_has(r->body, "\"accept\": \"application/json\"");
	bed_has(r->body, "\"accept-encoding\": \"gzip\"");
	bed_has_not(r->body, "authorization");
	bed_has_not(r->body, "content-type");
	kube_health(bed.kube, &health);
	assert_int_equal(health.requests, 1);
	assert_int_equal(health.failures, 0);
	assert_true(health.bytes_in > r->len);
	assert_string_equal(health.server, bed.access.servers[0]);
	bed_close(&bed);
}

static void test_methods_and_bodies(void **state)
{
	static const struct kube_request requests[] = {
	        {.method = "POST", .path = "/echo/1", .body = "{\"a\":1}", .len = 7},
	        {.method = "PUT", .path = "/echo/2", .body = "{\"a\":1}", .len = 7, .secret = true},
	        {.method = "PATCH",
	         .path = "/echo/3",
	         .body = "{\"a\":1}",
	         .len = 7,
	         .content_type = "application/merge-patch+json"},
	        {.method = "DELETE", .path = "/echo/4", .body = "{\"a\":1}", .len = 7},
	};
	struct bed bed;
	char want[64];

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < 4; i++) {
		const struct bed_result *r = bed_ask(&bed, requests[i]);

		bed_expect(r, KUBE_OK);
		snprintf(want, sizeof(want), "\"method\": \"%s\"", requests[i].method);
		bed_has(r->body, want);
		bed_has(r->body, "\"body\": \"{\\\"a\\\":1}\"");
		bed_has(r->body, requests[i].content_type
		                         ? "\"content-type\": \"application/merge-patch+json\""
		                         : "\"content-type\": \"application/json\"");
		bed_has(r->body, "\"connection\": ");
	}
	bed_expect(bed_ask(&bed, (struct kube_request){.method = "DELETE", .path = "/echo"}), KUBE_OK);
	bed_expect(bed_ask(&bed, (struct kube_request){.method = "POST", .path = "/echo"}), KUBE_OK);
	bed_close(&bed);
}

/* Larger than what libcurl would ask 100-continue for. */
static void test_large_body(void **state)
{
	size_t len = (size_t)2 << 20;
	char *body = malloc(len + 1);
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	memset(body, 'x', len);
	body[len] = '\0';
	bed_open_on(&bed, "tls");
	r = bed_ask(&bed,
	            (struct kube_request){.method = "POST", .path = "/code/413", .body = body, .len = len});
	bed_expect(r, KUBE_REFUSED);
	free(body);
	bed_close(&bed);
}

static void test_keep_alive(void **state)
{
	struct bed bed;
	char first[32];
	const char *at;

	(void)state;
	bed_open_on(&bed, "tls");
	at = strstr(bed_get(&bed, "/echo")->body, "\"connection\": ");
	assert_non_null(at);
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(at, ","), at);
	for (int i = 0; i < 3; i++)
		bed_has(bed_get(&bed, "/echo")->body, first);
	bed_close(&bed);
}

/* A peer that is gone is noticed by the kernel, on an idle connection too. */
static void test_socket_options(void **state)
{
	struct bed bed;
	int found = 0;

	(void)state;
	bed_open_on(&bed, "tls");
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	for (int fd = 3; fd < 100; fd++) {
		int timeout = 0, alive = 0;
		socklen_t len = sizeof(int);

		if (getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &len) < 0)
			continue;
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &alive, &len), 0);
		assert_int_equal(timeout, 30000);
		assert_int_equal(alive, 1);
		found++;
	}
	assert_int_equal(found, 1);
	bed_close(&bed);
}

static void test_bad_paths(void **state)
{
	static const char *const paths[] = {"api", "", "/a b", "/a\r\nX-Evil: 1", "/a#b", "/\xc3\xa4"};
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < 6; i++) {
		const struct bed_result *r = bed_get(&bed, paths[i]);

		bed_expect(r, KUBE_NO_ANSWER);
		bed_has(r->err, "the path is not encoded");
	}
	bed_close(&bed);
}

static void test_proxy_of_the_environment(void **state)
{
	char *proxy;
	struct bed bed;

	(void)state;
	proxy = bed_url("mute");
	setenv("https_proxy", proxy, 1);
	setenv("ALL_PROXY", proxy, 1);
	bed_open_on(&bed, "tls");
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	free(proxy);
}

/* Servers in turn */

static void test_next_server(void **state)
{
	struct kube_health health;
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_init(&bed, "tls");
	bed.access.servers[1] = bed.access.servers[0];
	bed.access.servers[0] = closed_url();
	bed.access.n_servers = 2;
	bed_open(&bed);
	r = bed_get(&bed, "/echo");
	bed_expect(r, KUBE_NO_ANSWER);
	assert_int_equal(r->status, 0);
	bed_has(r->err, "GET /echo at https://127.0.0.1:");
	kube_health(bed.kube, &health);
	assert_int_equal(health.failures, 1);
	assert_string_equal(health.error, r->err);
	assert_string_equal(health.server, bed.access.servers[1]);
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	kube_health(bed.kube, &health);
	assert_string_equal(health.error, "");
	assert_string_equal(health.server, bed.access.servers[1]);
	bed_close(&bed);
}

/* Several calls fail at the same server: one step, not one each. */
static void test_one_step_for_many(void **state)
{
	struct bed_result *r[3];
	struct kube_health health;
	struct bed bed;

	(void)state;
	bed_init(&bed, "tls");
	bed.access.servers[1] = bed.access.servers[0];
	bed.access.servers[0] = closed_url();
	bed.access.servers[2] = closed_url();
	bed.access.n_servers = 3;
	bed_open(&bed);
	for (int i = 0; i < 3; i++) {
		r[i] = bed_result_new(&bed);
		bed_send(r[i], (struct kube_request){.path = "/echo"});
	}
	for (int i = 0; i < 3; i++) {
		bed_wait(r[i]);
		bed_expect(r[i], KUBE_NO_ANSWER);
		free(r[i]);
	}
	kube_health(bed.kube, &health);
	assert_string_equal(health.server, bed.access.servers[1]);
	bed_close(&bed);
}

/* The number of a connection that is opened now; the server counts them all. */
static unsigned next_connection(void)
{
	const char *at;
	struct bed bed;
	unsigned n;

	bed_open_on(&bed, "tls");
	at = strstr(bed_get(&bed, "/echo")->body, "\"connection\": ");
	assert_non_null(at);
	n = (unsigned)strtoul(at + strlen("\"connection\": "), NULL, 10);
	bed_close(&bed);
	return n;
}

/* Calls that wait for a connection which then fails do not try the same server one after another. */
static void test_waiting_calls(void **state)
{
	struct bed_result *r[4];
	struct bed bed;
	unsigned before;

	(void)state;
	before = next_connection();
	bed_open_on(&bed, "reset");
	for (int i = 0; i < 4; i++) {
		r[i] = bed_result_new(&bed);
		bed_send(r[i], (struct kube_request){.path = "/echo"});
	}
	for (int i = 0; i < 4; i++) {
		bed_wait(r[i]);
		bed_expect(r[i], KUBE_NO_ANSWER);
		free(r[i]);
	}
	bed_close(&bed);
	assert_int_equal(next_connection(), before + 2);
}

/* An error is an answer: no reason to go elsewhere. */
static void test_errors_keep_the_server(void **state)
{
	struct kube_health health;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	bed_add_server(&bed, "tls6");
	kube_free(bed.kube);
	bed_open(&bed);
	bed_expect(bed_get(&bed, "/code/503"), KUBE_SERVER_ERROR);
	bed_expect(bed_get(&bed, "/code/429/Retry-After/7"), KUBE_THROTTLED);
	bed_expect(bed_ask(&bed, (struct kube_request){.path = "/cut/04-watch-basic.6.bin/600",
	                                               .timeout_ms = UINT64_MAX,
	                                               .on_data = bed_on_data}),
	           KUBE_NO_ANSWER);
	kube_health(bed.kube, &health);
	assert_string_equal(health.server, bed.access.servers[0]);
	bed_close(&bed);
}

/* Limits */

static void test_silence_before_the_answer(void **state)
{
	static const char *const listeners[] = {"tls", "mute"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct bed_result *r;
		struct kube_health health;
		struct bed bed;

		bed_init(&bed, listeners[i]);
		bed_add_server(&bed, "tls6");
		bed_open(&bed);
		r = bed_ask(&bed, (struct kube_request){.path = "/silent", .idle_ms = 200});
		bed_expect(r, KUBE_NO_ANSWER);
		bed_has(r->err, "silent for 200 ms");
		bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
		kube_health(bed.kube, &health);
		assert_string_equal(health.server, bed.access.servers[1]);
		bed_close(&bed);
	}
}

static void test_total_limit(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/silent", .timeout_ms = 1000});
	bed_expect(r, KUBE_NO_ANSWER);
	bed_has(r->err, "no whole answer within 1000 ms");
	r = bed_ask(&bed, (struct kube_request){
	                          .path = "/drip/1000/0.02", .timeout_ms = 1000, .on_data = bed_on_data});
	bed_expect(r, KUBE_NO_ANSWER);
	bed_has(r->err, "no whole answer within 1000 ms");
	assert_int_equal(r->status, 200);
	bed_close(&bed);
}

/* Each byte counts anew: a stream may be longer than idle_ms. */
static void test_idle_counts_from_the_last_byte(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/drip/20/0.1",
	                                        .timeout_ms = UINT64_MAX,
	                                        .idle_ms = 1500,
	                                        .on_data = bed_on_data});
	bed_expect(r, KUBE_OK);
	assert_false(r->has_body);
	bed_has(r->stream, "{\"n\":0}\n{\"n\":1}\n");
	bed_has(r->stream, "{\"n\":19}\n");
	bed_close(&bed);
}

/* A stream that falls silent: its server is left, and so is the connection if the server is the only one. */
static void test_half_open(void **state)
{
	static const char *const listeners[] = {"tls", "h2"};
	struct bed bed;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char stalled[32];
		const struct bed_result *r;
		const char *at;

		bed_open_on(&bed, listeners[i]);
		at = strstr(bed_get(&bed, "/echo")->body, "\"connection\": ");
		assert_non_null(at);
		snprintf(stalled, sizeof(stalled), "%.*s", (int)strcspn(at, ",}"), at);
		r = bed_ask(&bed, (struct kube_request){.path = "/stall",
		                                        .timeout_ms = UINT64_MAX,
		                                        .idle_ms = 800,
		                                        .on_data = bed_on_data});
		bed_expect(r, KUBE_NO_ANSWER);
		assert_int_equal(r->status, 200);
		assert_true(r->stream_len > 0);
		bed_has(r->err, "silent for 800 ms");
		bed_has_not(bed_get(&bed, "/echo")->body, stalled);
		bed_close(&bed);
	}
}

/* What the loop sees of a long piece of work: a limit is over, and bytes are there. */
static void work_for_ms(unsigned ms)
{
	uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000;

	while (uv_hrtime() < end)
		;
}

static void test_kept_from_running(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_result_new(&bed);
	bed_send(r, (struct kube_request){.path = "/drip/20/0.05",
	                                  .timeout_ms = UINT64_MAX,
	                                  .idle_ms = 500,
	                                  .on_data = bed_on_data});
	while (r->pieces <
	       10) /* until libcurl has no timer of its own left, with which it would look at sockets */
		uv_run(&bed.loop, UV_RUN_ONCE);
	work_for_ms(600);
	bed_wait(r);
	bed_expect(r, KUBE_OK);
	free(r);
	bed_close(&bed);
}

/* Bodies */

static void test_largest_body(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/large/300000", .max_body = 300000, .secret = true});
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->len, 300000);
	r = bed_ask(&bed, (struct kube_request){.path = "/large/300001", .max_body = 300000});
	bed_expect(r, KUBE_NONSENSE);
	bed_has(r->err, "too large");
	assert_false(r->has_body);
	r = bed_ask(&bed, (struct kube_request){.path = "/gzip/300001", .max_body = 300000});
	bed_expect(r, KUBE_NONSENSE);
	r = bed_ask(&bed, (struct kube_request){
	                          .path = "/large/300001", .max_body = 300000, .on_data = bed_on_data});
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->stream_len, 300001);
	bed_close(&bed);
}

static void test_gzip(void **state)
{
	const struct bed_result *r;
	struct kube_health health;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_get(&bed, "/gzip/300000");
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->len, 300000);
	assert_int_equal(strspn(r->body, "x"), 300000);
	kube_health(bed.kube, &health);
	r = bed_ask(&bed,
	            (struct kube_request){.path = "/echo", .timeout_ms = UINT64_MAX, .on_data = bed_on_data});
	bed_expect(r, KUBE_OK);
	bed_has_not(r->stream, "accept-encoding");
	bed_close(&bed);
}

/* libcurl repeats what a kept connection took and did not answer; what changes something must not go out
 * twice. /once answers once, and then hangs up. */
static void test_nothing_is_sent_twice(void **state)
{
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	bed_expect(bed_get(&bed, "/once/a"), KUBE_OK);
	bed_expect(
	        bed_ask(&bed,
	                (struct kube_request){.method = "POST", .path = "/once/a", .body = "{}", .len = 2}),
	        KUBE_NO_ANSWER);
	assert_string_equal(bed_get(&bed, "/times/once/a")->body, "2");
	bed_expect(bed_get(&bed, "/once/a"), KUBE_NO_ANSWER);
	assert_true(strtoul(bed_get(&bed, "/times/once/a")->body, NULL, 10) > 3);
	bed_close(&bed);
}

/* A server that closes its kept connections: nobody notices. */
static void test_closed_while_idle(void **state)
{
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (int i = 0; i < 5; i++)
		bed_expect(bed_get(&bed, "/last"), KUBE_OK);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_get),
	        cmocka_unit_test(test_methods_and_bodies),
	        cmocka_unit_test(test_large_body),
	        cmocka_unit_test(test_keep_alive),
	        cmocka_unit_test(test_socket_options),
	        cmocka_unit_test(test_bad_paths),
	        cmocka_unit_test(test_proxy_of_the_environment),
	        cmocka_unit_test(test_next_server),
	        cmocka_unit_test(test_one_step_for_many),
	        cmocka_unit_test(test_waiting_calls),
	        cmocka_unit_test(test_errors_keep_the_server),
	        cmocka_unit_test(test_silence_before_the_answer),
	        cmocka_unit_test(test_total_limit),
	        cmocka_unit_test(test_idle_counts_from_the_last_byte),
	        cmocka_unit_test(test_half_open),
	        cmocka_unit_test(test_kept_from_running),
	        cmocka_unit_test(test_largest_body),
	        cmocka_unit_test(test_gzip),
	        cmocka_unit_test(test_nothing_is_sent_twice),
	        cmocka_unit_test(test_closed_while_idle),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
