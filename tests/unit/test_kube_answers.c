// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers on the wire: what a real API server said (data/apiserver), the same cut off anywhere, and what only
 * a broken or hostile server says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/kube_bed.h"
#include "weft/cleanup.h"

static const struct {
	const char *file;
	enum kube_result result;
	int status;
	uint64_t retry_after_ms;
	const char *says;
} recorded[] = {
        {"02-list-limit-continue.1.bin", KUBE_OK, 200, 0, ""},
        {"02-list-limit-continue.4.bin", KUBE_OK, 200, 0, ""},
        {"10-put-post-conflict.1.bin", KUBE_OK, 201, 0, ""},
        {"12-delete.3.bin", KUBE_OK, 200, 0, ""},
        {"08-errors.1.bin", KUBE_UNAUTHORIZED, 401, 0, "401 Unauthorized: Unauthorized"},
        {"08-errors.2.bin", KUBE_FORBIDDEN, 403, 0, "403 Forbidden: "},
        {"08-errors.7.bin", KUBE_NOT_FOUND, 404, 0, "404 NotFound: services \"absent\" not found"},
        {"08-errors.10.bin", KUBE_NOT_FOUND, 404, 0, "404 NotFound: 404 page not found"},
        {"08-errors.13.bin", KUBE_REFUSED, 405, 0, "405 MethodNotAllowed: "},
        {"08-errors.14.bin", KUBE_REFUSED, 400, 0, "400 BadRequest: "},
        {"08-errors.17.bin", KUBE_REFUSED, 400, 0, "400 BadRequest: "},
        {"08-errors.18.bin", KUBE_REFUSED, 415, 0, "415 UnsupportedMediaType: "},
        {"08-errors.19.bin", KUBE_REFUSED, 415, 0, "415 UnsupportedMediaType: "},
        {"08-errors.20.bin", KUBE_REFUSED, 422, 0, "422 Invalid: "},
        {"08-errors.27.bin", KUBE_REFUSED, 413, 0,
         "413 RequestEntityTooLarge: Request entity too large: limit is 3145728"},
        {"08-errors.29.bin", KUBE_SERVER_ERROR, 500, 0,
         "500 InternalError: etcdserver: request is too large"},
        {"08-errors.30.bin", KUBE_REFUSED, 400, 0, "400 BadRequest: 400 Bad Request"},
        {"08-errors.32.bin", KUBE_NOT_FOUND, 404, 0, "404 NotFound: 404 page not found"},
        {"08-errors.33.bin", KUBE_NOT_FOUND, 404, 0,
         "404 NotFound: the server could not find the requested resource"},
        {"10-put-post-conflict.3.bin", KUBE_CONFLICT, 409, 0, "409 Conflict: "},
        {"10-put-post-conflict.8.bin", KUBE_ALREADY_EXISTS, 409, 0, "409 AlreadyExists: "},
        {"12-delete.1.bin", KUBE_CONFLICT, 409, 0, "409 Conflict: "},
        {"1.26-03-list-resourceversion.4.bin", KUBE_EXPIRED, 410, 0, "410 Expired: "},
        {"03-list-resourceversion.6.bin", KUBE_TOO_NEW, 504, 1000,
         "504 Timeout: Timeout: Too large resource version: 100278, current: 279"},
        {"03-list-resourceversion.9.bin", KUBE_REFUSED, 422, 0, "422 Invalid: "},
        {"19-crd.13.bin", KUBE_THROTTLED, 429, 1000, "429 TooManyRequests: storage is (re)initializing"},
        {"33-too-many-requests.bin", KUBE_THROTTLED, 429, 1000,
         "429 TooManyRequests: Too many requests, please try again later."},
};

static const struct bed_result *replay(struct bed *bed, const char *file, bool stream)
{
	char path[128];

	snprintf(path, sizeof(path), "/file/%s", file);
	return bed_ask(bed, (struct kube_request){.path = path, .on_data = stream ? bed_on_data : NULL});
}

static void test_recorded_answers(void **state)
{
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(recorded); i++) {
		for (int stream = 0; stream < 2; stream++) {
			const struct bed_result *r = replay(&bed, recorded[i].file, stream);

			if (r->result != recorded[i].result)
				fail_msg("%s: %s, %s", recorded[i].file, kube_result_name(r->result), r->err);
			assert_int_equal(r->status, recorded[i].status);
			assert_int_equal(r->retry_after_ms, recorded[i].retry_after_ms);
			bed_has(r->err, recorded[i].says);
			assert_int_equal(r->has_body, !stream || r->result != KUBE_OK);
			assert_int_equal(r->pieces > 0, stream && r->result == KUBE_OK);
		}
	}
	bed_close(&bed);
}

/* The body of a recorded answer, without its chunks. */
static char *body_of(const char *file, size_t *len)
{
	char path[128], *raw, *out, *at, *end;
	size_t n;

	snprintf(path, sizeof(path), "tests/unit/data/apiserver/%s", file);
	assert_int_equal(weft_file_read(path, 1 << 20, &raw, &n, NULL), 0);
	at = strstr(raw, "\r\n\r\n") + 4;
	out = calloc(1, n);
	*len = 0;
	if (!strstr(raw, "chunked")) {
		*len = (size_t)(raw + n - at);
		memcpy(out, at, *len);
	} else {
		for (size_t size; (size = strtoul(at, &end, 16)) > 0; at = end + 2 + size + 2) {
			memcpy(out + *len, end + 2, size);
			*len += size;
		}
	}
	free(raw);
	return out;
}

/* Content-Length, one chunk, many chunks: every byte, in order. */
static void test_recorded_bodies(void **state)
{
	static const char *const files[] = {"02-list-limit-continue.1.bin", "02-list-limit-continue.4.bin",
	                                    "04-watch-basic.6.bin", "25-large-events.3.bin",
	                                    "08-errors.7.bin"};
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(files); i++) {
		size_t len;
		weft_autofree char *want = body_of(files[i], &len);
		const struct bed_result *r = replay(&bed, files[i], false);

		assert_int_equal(r->len, len);
		assert_memory_equal(r->body, want, len);
		if (r->result != KUBE_OK)
			continue;
		r = replay(&bed, files[i], true);
		assert_int_equal(r->stream_len, len);
		assert_memory_equal(r->stream, want, len);
	}
	bed_close(&bed);
}

static void test_recorded_gzip(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = replay(&bed, "14-gzip.2.bin", false);
	bed_expect(r, KUBE_OK);
	assert_true(r->len > 128 << 10);
	assert_memory_equal(r->body, "{\"kind\":\"", 9);
	assert_int_equal(r->body[r->len - 2], '}');
	bed_close(&bed);
}

/* A watch that is cut anywhere, without TLS's goodbye: what came is told, and then KUBE_NO_ANSWER. */
static void test_cut_anywhere(void **state)
{
	static const int lengths[] = {0,   5,    17,   200,  341,  343,  346,  347,
	                              348, 1000, 1364, 1366, 1367, 3000, 6782, 6784};
	size_t len;
	weft_autofree char *whole = body_of("04-watch-basic.6.bin", &len);
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(lengths); i++) {
		const struct bed_result *r;
		char path[64];

		snprintf(path, sizeof(path), "/cut/04-watch-basic.6.bin/%d", lengths[i]);
		r = bed_ask(&bed, (struct kube_request){.path = path,
		                                        .timeout_ms = UINT64_MAX,
		                                        .idle_ms = 20000,
		                                        .on_data = bed_on_data});
		bed_expect(r, KUBE_NO_ANSWER);
		assert_int_equal(r->status, lengths[i] < 341 ? 0 : 200);
		assert_true(r->stream_len <= len);
		assert_memory_equal(r->stream, whole, r->stream_len);
		assert_false(r->has_body);
	}
	bed_expect(replay(&bed, "04-watch-basic.6.bin", true), KUBE_OK);
	bed_close(&bed);
}

static void test_cut_error(void **state)
{
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	bed_expect(bed_get(&bed, "/cut/08-errors.7.bin/450"), KUBE_NO_ANSWER);
	bed_expect(bed_get(&bed, "/cut/10-put-post-conflict.1.bin/1000"), KUBE_NO_ANSWER);
	bed_close(&bed);
}

static const struct {
	const char *name;
	enum kube_result result;
} hostile[] = {
        {"http09", KUBE_NONSENSE},          {"version", KUBE_NONSENSE},       {"code", KUBE_NONSENSE},
        {"no-code", KUBE_NONSENSE},         {"informational", KUBE_NONSENSE}, {"many-headers", KUBE_NONSENSE},
        {"long-header", KUBE_NO_ANSWER},    {"nul-header", KUBE_NONSENSE},    {"two-lengths", KUBE_NO_ANSWER},
        {"negative-length", KUBE_NONSENSE}, {"chunk-size", KUBE_NO_ANSWER},   {"huge-chunk", KUBE_NO_ANSWER},
        {"not-gzip", KUBE_NONSENSE},        {"encodings", KUBE_NONSENSE},     {"switch", KUBE_NO_ANSWER},
        {"endless", KUBE_NONSENSE}, /* its end could be a cut */
        {"escape", KUBE_FORBIDDEN},         {"nested", KUBE_SERVER_ERROR},    {"redirect", KUBE_NONSENSE},
};

static void test_hostile_answers(void **state)
{
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(hostile); i++) {
		const struct bed_result *r;
		char path[64];

		snprintf(path, sizeof(path), "/hostile/%s", hostile[i].name);
		r = bed_get(&bed, path);
		if (r->result != hostile[i].result)
			fail_msg("%s: %s, %s", hostile[i].name, kube_result_name(r->result), r->err);
		for (const char *p = r->err; *p; p++)
			assert_true((unsigned char)*p >= ' ');
	}
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
}

static void test_retry_after(void **state)
{
	static const struct {
		const char *path;
		uint64_t ms;
	} cases[] = {
	        {"/code/429/Retry-After/7", 7000},
	        {"/code/503/retry-after/120", 120000},
	        {"/code/429/Retry-After/-1", 0},
	        {"/code/429/Retry-After/soon", 0},
	        {"/code/429/Retry-After/99999999999999999999", 24 * 3600 * 1000},
	        {"/code/429", 0},
	        {"/hostile/early", 0}, /* of a header that was not the last */
	};
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++)
		assert_int_equal(bed_get(&bed, cases[i].path)->retry_after_ms, cases[i].ms);
	bed_close(&bed);
}

/* What a server says to a request with secrets may quote them. */
static void test_secret_requests(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/file/08-errors.20.bin", .secret = true});
	bed_expect(r, KUBE_REFUSED);
	assert_string_equal(r->err + strlen(r->err) - strlen(": 422 Invalid"), ": 422 Invalid");
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_recorded_answers), cmocka_unit_test(test_recorded_bodies),
	        cmocka_unit_test(test_recorded_gzip),    cmocka_unit_test(test_cut_anywhere),
	        cmocka_unit_test(test_cut_error),        cmocka_unit_test(test_hostile_answers),
	        cmocka_unit_test(test_retry_after),      cmocka_unit_test(test_secret_requests),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
