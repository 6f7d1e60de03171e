// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of calls to the API server: requests as they arrive, servers tried in turn, limits, streams,
 * cancelling and freeing at any moment. Against a real server on loopback, see kube_server.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/kube_bed.h"

static void open_on(struct bed *bed, const char *listener)
{
	bed_init(bed, listener);
	bed_open(bed);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no `%s` in `%.2000s`", part, text);
}

static void has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("`%s` in `%.2000s`", part, text);
}

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
	open_on(&bed, "tls");
	r = bed_get(&bed, "/echo/api/v1/nodes?limit=500&labelSelector=a%21%3Db");
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->status, 200);
	has(r->body,
	    "\"method\": \"GET\", \"path\": \"/echo/api/v1/nodes?limit=500&labelSelector=a%21%3Db\"");
	has(r->body, "\"user-agent\": \"weftd/0.1\"");
	has(r->body, "\"accept\": \"application/json\"");
	has(r->body, "\"accept-encoding\": \"gzip\"");
	has_not(r->body, "authorization");
	has_not(r->body, "content-type");
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
	open_on(&bed, "tls");
	for (size_t i = 0; i < 4; i++) {
		const struct bed_result *r = bed_ask(&bed, requests[i]);

		bed_expect(r, KUBE_OK);
		snprintf(want, sizeof(want), "\"method\": \"%s\"", requests[i].method);
		has(r->body, want);
		has(r->body, "\"body\": \"{\\\"a\\\":1}\"");
		has(r->body, requests[i].content_type ? "\"content-type\": \"application/merge-patch+json\""
		                                      : "\"content-type\": \"application/json\"");
		has(r->body, "\"connection\": ");
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
	open_on(&bed, "tls");
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
	open_on(&bed, "tls");
	at = strstr(bed_get(&bed, "/echo")->body, "\"connection\": ");
	assert_non_null(at);
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(at, ","), at);
	for (int i = 0; i < 3; i++)
		has(bed_get(&bed, "/echo")->body, first);
	bed_close(&bed);
}

static void test_bad_paths(void **state)
{
	static const char *const paths[] = {"api", "", "/a b", "/a\r\nX-Evil: 1", "/a#b", "/\xc3\xa4"};
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	for (size_t i = 0; i < 6; i++) {
		const struct bed_result *r = bed_get(&bed, paths[i]);

		bed_expect(r, KUBE_NO_ANSWER);
		has(r->err, "the path is not encoded");
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
	open_on(&bed, "tls");
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
	has(r->err, "GET /echo at https://127.0.0.1:");
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
	struct bed_result *r[4];
	struct kube_health health;
	struct bed bed;

	(void)state;
	bed_init(&bed, "tls");
	bed.access.servers[1] = bed.access.servers[0];
	bed.access.servers[0] = closed_url();
	bed.access.servers[2] = closed_url();
	bed.access.n_servers = 3;
	bed_open(&bed);
	for (int i = 0; i < 4; i++) {
		r[i] = bed_result_new(&bed);
		bed_send(r[i], (struct kube_request){.path = "/echo"});
	}
	for (int i = 0; i < 4; i++) {
		bed_wait(r[i]);
		bed_expect(r[i], KUBE_NO_ANSWER);
		free(r[i]);
	}
	kube_health(bed.kube, &health);
	assert_string_equal(health.server, bed.access.servers[1]);
	bed_close(&bed);
}

/* An error is an answer: no reason to go elsewhere. */
static void test_errors_keep_the_server(void **state)
{
	struct kube_health health;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	bed_add_server(&bed, "tls6");
	kube_free(bed.kube);
	bed_open(&bed);
	bed_expect(bed_get(&bed, "/code/503"), KUBE_SERVER_ERROR);
	bed_expect(bed_get(&bed, "/code/429/Retry-After:/7"), KUBE_THROTTLED);
	bed_expect(bed_ask(&bed, (struct kube_request){.path = "/cut/watch/600",
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
		has(r->err, "silent for 200 ms");
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
	open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/silent", .timeout_ms = 150});
	bed_expect(r, KUBE_NO_ANSWER);
	has(r->err, "no whole answer within 150 ms");
	r = bed_ask(&bed, (struct kube_request){
	                          .path = "/drip/1000/0.02", .timeout_ms = 150, .on_data = bed_on_data});
	bed_expect(r, KUBE_NO_ANSWER);
	has(r->err, "no whole answer within 150 ms");
	assert_int_equal(r->status, 200);
	bed_close(&bed);
}

/* Each byte counts anew: a stream may be longer than idle_ms. */
static void test_idle_counts_from_the_last_byte(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/drip/10/0.1",
	                                        .timeout_ms = UINT64_MAX,
	                                        .idle_ms = 600,
	                                        .on_data = bed_on_data});
	bed_expect(r, KUBE_OK);
	assert_false(r->has_body);
	has(r->stream, "{\"n\":0}\n{\"n\":1}\n");
	has(r->stream, "{\"n\":9}\n");
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

		open_on(&bed, listeners[i]);
		at = strstr(bed_get(&bed, "/echo")->body, "\"connection\": ");
		assert_non_null(at);
		snprintf(stalled, sizeof(stalled), "%.*s", (int)strcspn(at, ",}"), at);
		r = bed_ask(&bed, (struct kube_request){.path = "/stall",
		                                        .timeout_ms = UINT64_MAX,
		                                        .idle_ms = 200,
		                                        .on_data = bed_on_data});
		bed_expect(r, KUBE_NO_ANSWER);
		assert_int_equal(r->status, 200);
		assert_true(r->stream_len > 0);
		has(r->err, "silent for 200 ms");
		has_not(bed_get(&bed, "/echo")->body, stalled);
		bed_close(&bed);
	}
}

static void test_kept_from_running(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	r = bed_result_new(&bed);
	bed_send(r, (struct kube_request){.path = "/drip/3/0.05",
	                                  .timeout_ms = UINT64_MAX,
	                                  .idle_ms = 400,
	                                  .on_data = bed_on_data});
	while (!r->stream_len)
		uv_run(&bed.loop, UV_RUN_ONCE);
	usleep(600000); /* what the loop sees of a long piece of work: its limit is over, and bytes are there
	                 */
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
	open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/large/300000", .max_body = 300000, .secret = true});
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->len, 300000);
	r = bed_ask(&bed, (struct kube_request){.path = "/large/300001", .max_body = 300000});
	bed_expect(r, KUBE_NONSENSE);
	has(r->err, "too large");
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
	open_on(&bed, "tls");
	r = bed_get(&bed, "/gzip/300000");
	bed_expect(r, KUBE_OK);
	assert_int_equal(r->len, 300000);
	assert_int_equal(strspn(r->body, "x"), 300000);
	kube_health(bed.kube, &health);
	r = bed_ask(&bed,
	            (struct kube_request){.path = "/echo", .timeout_ms = UINT64_MAX, .on_data = bed_on_data});
	bed_expect(r, KUBE_OK);
	has_not(r->stream, "accept-encoding");
	bed_close(&bed);
}

/* What a kept connection may repeat, and what not: /once answers once, and hangs up in the next request. */
static void test_nothing_is_sent_twice(void **state)
{
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	bed_expect(bed_get(&bed, "/once/a"), KUBE_OK);
	bed_expect(
	        bed_ask(&bed,
	                (struct kube_request){.method = "POST", .path = "/once/a", .body = "{}", .len = 2}),
	        KUBE_NO_ANSWER);
	has(bed_get(&bed, "/last/times")->body, "\"times\": 1");
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
}

/* Callbacks that end things */

static void test_on_data_refuses(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	r = bed_result_new(&bed);
	r->refuse = -1;
	bed_send(r, (struct kube_request){.path = "/drip/1000/0.01", .on_data = bed_on_data});
	bed_wait(r);
	bed_expect(r, KUBE_NONSENSE);
	assert_int_equal(r->pieces, 1);
	free(r);
	bed_close(&bed);
}

static void test_errors_do_not_stream(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/auth/other", .on_data = bed_on_data});
	bed_expect(r, KUBE_UNAUTHORIZED);
	assert_int_equal(r->pieces, 0);
	assert_true(r->has_body);
	has(r->err, "401 Unauthorized: it is Unauthorized");
	bed_close(&bed);
}

static void test_cancel_in_data(void **state)
{
	struct bed_result *r, *other;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	r = bed_result_new(&bed);
	other = bed_result_new(&bed);
	r->cancel_in_data = true;
	bed_send(r, (struct kube_request){.path = "/drip/1000/0.01", .on_data = bed_on_data});
	bed_send(other, (struct kube_request){.path = "/drip/10/0.02", .on_data = bed_on_data});
	bed_wait(other);
	assert_true(r->done);
	assert_int_equal(r->pieces, 1);
	bed_expect(other, KUBE_OK);
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	free(r);
	free(other);
	bed_close(&bed);
}

/* In the queue, while the connection is made, in a stream. */
static void test_cancel_at_any_time(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	open_on(&bed, "tls");
	for (int turns = 0; turns < 12; turns++) {
		r = bed_result_new(&bed);
		bed_send(r, (struct kube_request){.path = "/drip/1000/0.01", .on_data = bed_on_data});
		for (int i = 0; i < turns; i++)
			uv_run(&bed.loop, UV_RUN_ONCE);
		kube_cancel(r->call);
		assert_false(r->done);
		free(r);
	}
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
}

static void test_free_in_callbacks(void **state)
{
	struct bed_result *r, *others[3];
	struct bed bed;

	(void)state;
	for (int in_data = 0; in_data < 2; in_data++) {
		open_on(&bed, "tls");
		r = bed_result_new(&bed);
		for (int i = 0; i < 3; i++) {
			others[i] = bed_result_new(&bed);
			bed_send(others[i], (struct kube_request){.path = "/stall",
			                                          .timeout_ms = UINT64_MAX,
			                                          .on_data = bed_on_data});
		}
		while (!others[2]->stream_len)
			uv_run(&bed.loop, UV_RUN_ONCE);
		r->free_in_data = in_data;
		r->free_in_done = !in_data;
		bed_send(r, (struct kube_request){.path = "/drip/3/0.01", .on_data = bed_on_data});
		bed_wait(r);
		bed_close(&bed);
		for (int i = 0; i < 3; i++) {
			assert_false(others[i]->done);
			free(others[i]);
		}
		free(r);
	}
}

static void test_free_at_any_time(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	for (int turns = 0; turns < 10; turns++) {
		open_on(&bed, "tls");
		r = bed_result_new(&bed);
		bed_send(r, (struct kube_request){.path = "/stall", .on_data = bed_on_data});
		for (int i = 0; i < turns; i++)
			uv_run(&bed.loop, UV_RUN_NOWAIT);
		bed_close(&bed);
		assert_false(r->done);
		free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_get),
	        cmocka_unit_test(test_methods_and_bodies),
	        cmocka_unit_test(test_large_body),
	        cmocka_unit_test(test_keep_alive),
	        cmocka_unit_test(test_bad_paths),
	        cmocka_unit_test(test_proxy_of_the_environment),
	        cmocka_unit_test(test_next_server),
	        cmocka_unit_test(test_one_step_for_many),
	        cmocka_unit_test(test_errors_keep_the_server),
	        cmocka_unit_test(test_silence_before_the_answer),
	        cmocka_unit_test(test_total_limit),
	        cmocka_unit_test(test_idle_counts_from_the_last_byte),
	        cmocka_unit_test(test_half_open),
	        cmocka_unit_test(test_kept_from_running),
	        cmocka_unit_test(test_largest_body),
	        cmocka_unit_test(test_gzip),
	        cmocka_unit_test(test_nothing_is_sent_twice),
	        cmocka_unit_test(test_on_data_refuses),
	        cmocka_unit_test(test_errors_do_not_stream),
	        cmocka_unit_test(test_cancel_in_data),
	        cmocka_unit_test(test_cancel_at_any_time),
	        cmocka_unit_test(test_free_in_callbacks),
	        cmocka_unit_test(test_free_at_any_time),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
