// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whom the client trusts and who it says it is: authorities, names, client certificates, tokens, and what
 * happens when their files are replaced; HTTP/2. Against a real server on loopback, see kube_server.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "tests/unit/kube_bed.h"
#include "weft/cleanup.h"

/* "connection": 7 */
static unsigned connection_of(const struct bed_result *r)
{
	const char *at;

	bed_expect(r, KUBE_OK);
	at = strstr(r->body, "\"connection\": ");
	assert_non_null(at);
	return (unsigned)strtoul(at + strlen("\"connection\": "), NULL, 10);
}

static void put(const char *name, const char *text)
{
	weft_autofree char *path = bed_path(name);

	assert_int_equal(weft_file_replace(path, text, strlen(text), 0600, NULL), 0);
}

static void copy_file(const char *from, const char *to)
{
	weft_autofree char *path = bed_path(from), *text = NULL;

	assert_int_equal(weft_file_read(path, 1 << 20, &text, NULL, NULL), 0);
	put(to, text);
}

/* The server's certificate */

static void set_ca(struct bed *bed, const char *name)
{
	free(bed->access.ca.file);
	bed->access.ca.file = name ? bed_path(name) : NULL;
}

static void refused(const char *listener, const char *ca, const char *tls_name, const char *why)
{
	const struct bed_result *r;
	struct bed bed;

	bed_init(&bed, listener);
	set_ca(&bed, ca);
	bed.access.tls_server_name = tls_name ? strdup(tls_name) : NULL;
	bed.access.token.text = sodium_malloc(7);
	memcpy(bed.access.token.text, "sesame", 7);
	bed.access.token.len = 6;
	bed_open(&bed);
	r = bed_get(&bed, "/echo");
	bed_expect(r, KUBE_NO_ANSWER);
	assert_int_equal(r->status, 0);
	bed_has(r->err, why);
	bed_has_not(r->err, "sesame");
	bed_close(&bed);
}

static void test_wrong_servers(void **state)
{
	(void)state;
	refused("foreign", "ca.crt", NULL, "SSL certificate problem");
	refused("tls", "ca2.crt", NULL, "SSL certificate problem");
	refused("tls", NULL, NULL, "SSL certificate problem"); /* the system's authorities */
	refused("name", "ca.crt", NULL, "127.0.0.1");
	refused("tls", "ca.crt", "other.test", "other.test");
	refused("name", "ca.crt", "api.test", "api.test");
}

static void test_right_servers(void **state)
{
	static const struct {
		const char *listener, *ca, *tls_name, *sni;
	} cases[] = {
	        {"tls", "ca.crt", NULL, "\"sni\": null"},
	        {"tls6", "ca.crt", NULL, "\"sni\": null"},
	        {"foreign", "ca2.crt", NULL, "\"sni\": null"},
	        {"tls", "ca.crt", "api.test", "\"sni\": \"api.test\""},
	        {"tls6", "ca.crt", "api.test", "\"sni\": \"api.test\""},
	        {"name", "ca.crt", "other.test", "\"sni\": \"other.test\""},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_autofree char *host = NULL;
		const struct bed_result *r;
		struct bed bed;

		bed_init(&bed, cases[i].listener);
		set_ca(&bed, cases[i].ca);
		bed.access.tls_server_name = cases[i].tls_name ? strdup(cases[i].tls_name) : NULL;
		bed_open(&bed);
		r = bed_get(&bed, "/echo");
		bed_expect(r, KUBE_OK);
		bed_has(r->body, cases[i].sni);
		assert_true(asprintf(&host, "\"host\": \"%s\"", bed.access.servers[0] + strlen("https://")) >
		            0);
		bed_has(r->body, host);
		bed_close(&bed);
	}
}

static void test_inline_authority(void **state)
{
	weft_autofree char *path = bed_path("ca.crt"), *text = NULL;
	struct bed bed;

	(void)state;
	assert_int_equal(weft_file_read(path, 1 << 20, &text, NULL, NULL), 0);
	bed_init(&bed, "tls");
	set_ca(&bed, NULL);
	bed.access.ca.len = strlen(text);
	bed.access.ca.text = sodium_malloc(bed.access.ca.len + 1);
	memcpy(bed.access.ca.text, text, bed.access.ca.len + 1);
	bed_open(&bed);
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
}

/* libcurl has a folder of authorities built in: where ours are given, it must not count. */
static void test_system_authorities(void **state)
{
	weft_autofree char *command = NULL;
	struct bed bed;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	assert_true(
	        asprintf(&command,
	                 "exec >/dev/null; mkdir %s/system && cp %s/ca2.crt %s/system/ca-certificates.crt && "
	                 "openssl rehash %s/system && mount --bind %s/system /etc/ssl/certs",
	                 bed_dir, bed_dir, bed_dir, bed_dir, bed_dir) > 0);
	assert_int_equal(system(command), 0);
	bed_init(&bed, "foreign");
	set_ca(&bed, NULL);
	bed_open(&bed);
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
	refused("foreign", "ca.crt", NULL, "SSL certificate problem");
}

/* Client certificates */

/* Connections that were opened with former files are closed, not kept. */
static void one_connection_left(struct bed *bed)
{
	uint64_t end = uv_hrtime() + (uint64_t)BED_PATIENCE_MS * 1000000;

	while (!strstr(bed_get(bed, "/echo")->body, "\"open\": 1"))
		assert_true(uv_hrtime() < end);
}

static void test_client_certificate(void **state)
{
	struct bed_result *stream;
	unsigned first;
	struct bed bed;

	(void)state;
	copy_file("one.crt", "client.crt");
	copy_file("one.key", "client.key");
	bed_init(&bed, "tls");
	bed.access.cert.file = bed_path("client.crt");
	bed.access.key.file = bed_path("client.key");
	bed_open(&bed);
	first = connection_of(bed_get(&bed, "/echo"));
	bed_has(bed_get(&bed, "/echo")->body, "\"peer\": \"one\"");

	/* The same content anew: no reason to open another connection. */
	copy_file("one.crt", "client.crt");
	assert_int_equal(connection_of(bed_get(&bed, "/echo")), first);

	/* Another certificate counts from the next call on; what is under way goes on. */
	stream = bed_result_new(&bed);
	bed_send(stream, (struct kube_request){.path = "/drip/20/0.02", .on_data = bed_on_data});
	while (!stream->stream_len)
		uv_run(&bed.loop, UV_RUN_ONCE);
	copy_file("two.key", "client.key");
	copy_file("two.crt", "client.crt");
	for (int i = 0; i < 2; i++) {
		const struct bed_result *r = bed_get(&bed, "/echo");

		assert_int_not_equal(connection_of(r), first);
		bed_has(r->body, "\"peer\": \"two\"");
	}
	bed_wait(stream);
	bed_expect(stream, KUBE_OK);
	bed_has(stream->stream, "{\"n\":19}");
	free(stream);
	one_connection_left(&bed);
	bed_close(&bed);
}

static void test_renewed_certificate(void **state)
{
	struct bed bed;

	(void)state;
	copy_file("one.crt", "client.crt");
	bed_init(&bed, "tls");
	bed.access.cert.file = bed_path("client.crt");
	bed.access.key.file = bed_path("one.key");
	bed_open(&bed);
	bed_has(bed_get(&bed, "/echo")->body, "\"peer\": \"one\"");
	copy_file("renewed.crt", "client.crt");
	bed_has(bed_get(&bed, "/echo")->body, "\"peer\": \"renewed\"");
	one_connection_left(&bed);
	bed_close(&bed);
}

/* A replacement that is caught half way, and files that are gone. */
static void test_half_replaced(void **state)
{
	weft_autofree char *key = bed_path("client.key");
	struct bed bed;

	(void)state;
	copy_file("one.crt", "client.crt");
	copy_file("one.key", "client.key");
	bed_init(&bed, "tls");
	bed.access.cert.file = bed_path("client.crt");
	bed.access.key.file = bed_path("client.key");
	bed_open(&bed);
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	copy_file("two.crt", "client.crt");
	bed_expect(bed_get(&bed, "/echo"), KUBE_NO_ANSWER);
	copy_file("two.key", "client.key");
	bed_has(bed_get(&bed, "/echo")->body, "\"peer\": \"two\"");
	unlink(key);
	bed_has(bed_get(&bed, "/echo")->body, "\"peer\": \"two\"");
	put("client.key", "not PEM");
	bed_has(bed_get(&bed, "/echo")->body, "\"peer\": \"two\"");
	bed_close(&bed);
}

/* The authority is replaced: nothing is asked over a connection that the former one vouched for. */
static void test_new_authority(void **state)
{
	unsigned first;
	struct bed bed;

	(void)state;
	copy_file("ca.crt", "rotating.crt");
	bed_init(&bed, "tls");
	set_ca(&bed, "rotating.crt");
	bed_open(&bed);
	first = connection_of(bed_get(&bed, "/echo"));
	copy_file("ca2.crt", "rotating.crt");
	bed_expect(bed_get(&bed, "/echo"), KUBE_NO_ANSWER);
	copy_file("ca.crt", "rotating.crt");
	assert_int_not_equal(connection_of(bed_get(&bed, "/echo")), first);
	one_connection_left(&bed);
	bed_close(&bed);
}

/* Tokens */

static void open_with_token(struct bed *bed, const char *listener)
{
	bed_init(bed, listener);
	bed->access.token.file = bed_path("token");
	bed_open(bed);
}

static void test_token(void **state)
{
	weft_autofree char *path = bed_path("token");
	unsigned first;
	struct bed bed;

	(void)state;
	put("token", "  first\n");
	open_with_token(&bed, "tls");
	first = connection_of(bed_get(&bed, "/auth/first"));
	put("token", "second");
	assert_int_equal(connection_of(bed_get(&bed, "/auth/second")), first);
	bed_expect(bed_get(&bed, "/auth/first"), KUBE_UNAUTHORIZED);
	unlink(path);
	bed_expect(bed_get(&bed, "/auth/second"), KUBE_OK);
	put("token", "third\r\nX-Evil: 1");
	bed_expect(bed_get(&bed, "/auth/second"), KUBE_OK);
	put("token", "fourth");
	bed_expect(bed_get(&bed, "/auth/fourth"), KUBE_OK);
	bed_close(&bed);
}

/* A pod's token lies behind a symbolic link that the kubelet turns. */
static void test_token_behind_a_link(void **state)
{
	weft_autofree char *old = bed_path("token.1"), *new = bed_path("token.2"), *link = bed_path("linked"),
	                   *next = bed_path("linked.next");
	struct bed bed;

	(void)state;
	put("token.1", "aaaa");
	put("token.2", "bbbb");
	assert_int_equal(symlink(old, link), 0);
	assert_int_equal(symlink(new, next), 0);
	bed_init(&bed, "tls");
	bed.access.token.file = strdup(link);
	bed_open(&bed);
	bed_expect(bed_get(&bed, "/auth/aaaa"), KUBE_OK);
	assert_int_equal(rename(next, link), 0);
	bed_expect(bed_get(&bed, "/auth/bbbb"), KUBE_OK);
	bed_close(&bed);
}

static void test_no_token_yet(void **state)
{
	weft_autofree char *path = bed_path("token");
	const struct bed_result *r;
	struct kube_health health;
	struct bed bed;

	(void)state;
	unlink(path);
	bed_init(&bed, "tls");
	bed_add_server(&bed, "tls6");
	bed.access.token.file = bed_path("token");
	bed_open(&bed);
	r = bed_get(&bed, "/echo");
	bed_expect(r, KUBE_NO_ANSWER);
	bed_has(r->err, "/token: No such file or directory");
	kube_health(bed.kube, &health);
	assert_string_equal(health.server, bed.access.servers[0]); /* not the server's fault */
	put("token", "t");
	bed_expect(bed_get(&bed, "/auth/t"), KUBE_OK);
	bed_close(&bed);
}

/* In the clear nothing is told, not even to loopback. */
static void test_nothing_over_http(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	put("token", "sesame");
	open_with_token(&bed, "plain");
	r = bed_get(&bed, "/echo");
	bed_expect(r, KUBE_OK);
	bed_has_not(r->body, "authorization");
	bed_has_not(r->body, "sesame");
	bed_close(&bed);
}

/* A change that stat(2) does not show: after a 401 the file is read all the same. A page that is mapped and
 * was written to takes more without a new time. */
static void test_unauthorized_reads_again(void **state)
{
	weft_autofree char *path = bed_path("token");
	struct bed bed;
	char *page;
	int fd;

	(void)state;
	put("token", "none");
	fd = open(path, O_RDWR | O_CLOEXEC);
	page = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	memcpy(page, "aaaa", 4);
	open_with_token(&bed, "tls");
	bed_expect(bed_get(&bed, "/auth/aaaa"), KUBE_OK);
	memcpy(page, "bbbb", 4);
	bed_expect(bed_get(&bed, "/auth/bbbb"), KUBE_UNAUTHORIZED);
	bed_expect(bed_get(&bed, "/auth/bbbb"), KUBE_OK);
	munmap(page, 4);
	close(fd);
	bed_close(&bed);
}

/* HTTP/2 */

/* Calls that begin together share the one connection. */
static void test_http2(void **state)
{
	struct bed_result *r[5];
	struct bed bed;

	(void)state;
	put("token", "t2");
	open_with_token(&bed, "h2");
	for (int i = 0; i < 5; i++) {
		r[i] = bed_result_new(&bed);
		bed_send(r[i], (struct kube_request){.path = "/api"});
	}
	for (int i = 0; i < 5; i++) {
		bed_wait(r[i]);
		bed_expect(r[i], KUBE_OK);
		bed_has(r[i]->body, "\"http\": 2");
		bed_has(r[i]->body, "\"authorization\": \"Bearer t2\"");
		assert_int_equal(connection_of(r[i]), connection_of(r[0]));
	}
	for (int i = 0; i < 5; i++)
		free(r[i]);
	bed_close(&bed);
}

/* A stream that is cancelled leaves the others alone. */
static void test_http2_cancel(void **state)
{
	struct bed_result *stalled[3];
	unsigned first;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "h2");
	first = connection_of(bed_get(&bed, "/api"));
	for (int i = 0; i < 3; i++) {
		stalled[i] = bed_result_new(&bed);
		stalled[i]->cancel_in_data = i == 0;
		bed_send(stalled[i], (struct kube_request){.path = "/stall",
		                                           .timeout_ms = UINT64_MAX,
		                                           .on_data = bed_on_data});
	}
	while (!stalled[0]->done || !stalled[1]->stream_len || !stalled[2]->stream_len)
		uv_run(&bed.loop, UV_RUN_ONCE);
	kube_cancel(stalled[1]->call);
	assert_int_equal(connection_of(bed_get(&bed, "/api")), first);
	bed_close(&bed);
	for (int i = 0; i < 3; i++)
		free(stalled[i]);
}

/* Bytes for both are there at once: the one that is cancelled by the other hears nothing more. */
static void test_http2_cancel_another(void **state)
{
	struct bed_result *r[2];
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "h2");
	bed_expect(bed_get(&bed, "/api"), KUBE_OK);
	r[0] = bed_result_new(&bed);
	r[1] = bed_result_new(&bed);
	r[0]->cancels = r[1];
	r[1]->cancels = r[0];
	for (int i = 0; i < 2; i++)
		bed_send(r[i], (struct kube_request){.path = "/pair", .on_data = bed_on_data});
	bed_wait(r[0]);
	bed_wait(r[1]);
	assert_int_equal(r[0]->pieces + r[1]->pieces, 1);
	bed_expect(bed_get(&bed, "/api"), KUBE_OK);
	free(r[0]);
	free(r[1]);
	bed_close(&bed);
}

/* A server that is to stop sends its clients away (--goaway-chance). */
static void test_http2_goaway(void **state)
{
	struct bed bed;
	unsigned first;

	(void)state;
	bed_open_on(&bed, "h2");
	first = connection_of(bed_get(&bed, "/goaway"));
	assert_int_not_equal(connection_of(bed_get(&bed, "/api")), first);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_wrong_servers),
	        cmocka_unit_test(test_right_servers),
	        cmocka_unit_test(test_inline_authority),
	        cmocka_unit_test(test_client_certificate),
	        cmocka_unit_test(test_renewed_certificate),
	        cmocka_unit_test(test_half_replaced),
	        cmocka_unit_test(test_new_authority),
	        cmocka_unit_test(test_token),
	        cmocka_unit_test(test_token_behind_a_link),
	        cmocka_unit_test(test_no_token_yet),
	        cmocka_unit_test(test_nothing_over_http),
	        cmocka_unit_test(test_unauthorized_reads_again),
	        cmocka_unit_test(test_http2),
	        cmocka_unit_test(test_http2_cancel),
	        cmocka_unit_test(test_http2_cancel_another),
	        cmocka_unit_test(test_http2_goaway),
	        cmocka_unit_test(test_system_authorities), /* last: it changes the process's mounts */
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
