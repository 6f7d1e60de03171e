// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What answers mean, without a wire: reasons over codes, plain texts, Retry-After, and the pauses between
 * attempts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "agent/kube/status.h"
#include "weft/cleanup.h"

#define STATUS(rest) "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\"," rest "}"

static const struct {
	int http;
	const char *body;
	enum kube_result result;
	uint64_t retry_after_ms;
	const char *reason, *text;
} answers[] = {
        {200, "{}", KUBE_OK, 0, NULL, ""},
        {204, "", KUBE_OK, 0, NULL, ""},
        {299, STATUS("\"reason\":\"NotFound\",\"code\":404"), KUBE_OK, 0, NULL, ""},
        /* By the code. */
        {400, "", KUBE_REFUSED, 0, "BadRequest", ""},
        {401, "", KUBE_UNAUTHORIZED, 0, "Unauthorized", ""},
        {403, "", KUBE_FORBIDDEN, 0, "Forbidden", ""},
        {404, "", KUBE_NOT_FOUND, 0, "NotFound", ""},
        {405, "", KUBE_REFUSED, 0, "refused", ""},
        {408, "", KUBE_SERVER_ERROR, 0, "RequestTimeout", ""},
        {409, "", KUBE_CONFLICT, 0, "Conflict", ""},
        {410, "", KUBE_EXPIRED, 0, "Gone", ""},
        {418, "", KUBE_REFUSED, 0, "refused", ""},
        {429, "", KUBE_THROTTLED, 0, "TooManyRequests", ""},
        {500, "", KUBE_SERVER_ERROR, 0, "InternalError", ""},
        {504, "", KUBE_SERVER_ERROR, 0, "Timeout", ""},
        {599, "", KUBE_SERVER_ERROR, 0, "server error", ""},
        {0, "", KUBE_NONSENSE, 0, "unexpected", ""},
        {101, "", KUBE_NONSENSE, 0, "unexpected", ""},
        {304, "", KUBE_NONSENSE, 0, "unexpected", ""},
        {600, "", KUBE_NONSENSE, 0, "unexpected", ""},
        {302, STATUS("\"reason\":\"NotFound\""), KUBE_NONSENSE, 0, "unexpected", ""},
        /* By the reason. */
        {409, STATUS("\"reason\":\"AlreadyExists\",\"message\":\"m\""), KUBE_ALREADY_EXISTS, 0,
         "AlreadyExists", "m"},
        {409, STATUS("\"reason\":\"Conflict\""), KUBE_CONFLICT, 0, "Conflict", ""},
        {500, STATUS("\"reason\":\"Expired\",\"code\":410"), KUBE_EXPIRED, 0, "Expired", ""},
        {400, STATUS("\"reason\":\"Gone\""), KUBE_EXPIRED, 0, "Gone", ""},
        {500, STATUS("\"reason\":\"ServerTimeout\",\"details\":{\"retryAfterSeconds\":2}"), KUBE_SERVER_ERROR,
         2000, "ServerTimeout", ""},
        {500, STATUS("\"reason\":\"Unheard-of\",\"code\":503"), KUBE_SERVER_ERROR, 0, "ServiceUnavailable",
         ""},
        {403, STATUS("\"reason\":7,\"message\":{},\"code\":\"404\",\"details\":[]"), KUBE_FORBIDDEN, 0,
         "Forbidden", ""},
        {403, STATUS("\"code\":200"), KUBE_FORBIDDEN, 0, "Forbidden", ""},
        {504,
         STATUS("\"reason\":\"Timeout\",\"details\":{\"causes\":[{\"reason\":\"Other\"},{\"reason\":\"ResourceVersionTooLarge\"}],\"retryAfterSeconds\":1}"),
         KUBE_TOO_NEW, 1000, "Timeout", ""},
        {504, STATUS("\"reason\":\"Timeout\",\"details\":{\"causes\":{\"a\":\"ResourceVersionTooLarge\"}}"),
         KUBE_SERVER_ERROR, 0, "Timeout", ""},
        {429, STATUS("\"details\":{\"retryAfterSeconds\":-5}"), KUBE_THROTTLED, 0, "TooManyRequests", ""},
        {429, STATUS("\"details\":{\"retryAfterSeconds\":1e300}"), KUBE_THROTTLED, 0, "TooManyRequests", ""},
        /* Not a Status. */
        {404, "404 page not found\n", KUBE_NOT_FOUND, 0, "NotFound", "404 page not found"},
        {502, "<html>\r\n<body>", KUBE_SERVER_ERROR, 0, "server error", "<html>"},
        {403, "\x1b[2Jyou", KUBE_FORBIDDEN, 0, "Forbidden", "?[2Jyou"},
        {403, "{\"kind\":\"Pod\",\"reason\":\"NotFound\"}", KUBE_FORBIDDEN, 0, "Forbidden", ""},
        {403, "{\"kind\":\"Sta", KUBE_FORBIDDEN, 0, "Forbidden", "{\"kind\":\"Sta"},
        {403, "[]", KUBE_FORBIDDEN, 0, "Forbidden", "[]"},
        {403, STATUS("\"message\":\"a\\u0000b\\u001b\\n\""), KUBE_FORBIDDEN, 0, "Forbidden", NULL},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(answers); i++) {
		struct kube_status s;

		kube_status_answer(answers[i].http, answers[i].body, strlen(answers[i].body), &s);
		if (s.result != answers[i].result)
			fail_msg("%d %s: %s", answers[i].http, answers[i].body, kube_result_name(s.result));
		assert_int_equal(s.retry_after_ms, answers[i].retry_after_ms);
		if (answers[i].reason)
			assert_string_equal(s.reason, answers[i].reason);
		if (answers[i].text)
			assert_string_equal(s.text, answers[i].text);
		for (const char *p = s.text; *p; p++)
			assert_true((unsigned char)*p >= ' ');
	}
}

/* Nothing is read behind the end of a body that has no NUL. */
static void test_no_terminator(void **state)
{
	static const char *const bodies[] = {"{\"kind\":\"Status\"}", "page", "{", "\"", "{\"kind\":\"Sta"};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bodies); i++) {
		size_t len = strlen(bodies[i]);
		char *exact = malloc(len);
		struct kube_status s;

		memcpy(exact, bodies[i], len);
		kube_status_answer(404, exact, len, &s);
		assert_int_equal(s.result, KUBE_NOT_FOUND);
		free(exact);
	}
}

static void test_long_texts(void **state)
{
	char body[3000];
	struct kube_status s;

	(void)state;
	memset(body, 'x', sizeof(body));
	kube_status_answer(404, body, sizeof(body), &s);
	assert_int_equal(strlen(s.text), KUBE_STATUS_TEXT - 1);
	memcpy(body, "{\"kind\":\"Status\",\"message\":\"", 28);
	memcpy(body + sizeof(body) - 2, "\"}", 2);
	kube_status_answer(404, body, sizeof(body), &s);
	assert_int_equal(strlen(s.text), KUBE_STATUS_TEXT - 1);
}

static void test_error_event(void **state)
{
	cJSON *json = cJSON_Parse(STATUS(
	        "\"message\":\"too old resource version: 899 (910)\",\"reason\":\"Expired\",\"code\":410"));
	struct kube_status s;

	(void)state;
	kube_status_object(json, 200, &s);
	assert_int_equal(s.result, KUBE_EXPIRED);
	assert_string_equal(s.text, "too old resource version: 899 (910)");
	cJSON_Delete(json);
	kube_status_object(NULL, 500, &s);
	assert_int_equal(s.result, KUBE_SERVER_ERROR);
}

#define NOW 1763640000 /* Thu, 20 Nov 2025 12:00:00 GMT */

static void test_retry_after(void **state)
{
	static const struct {
		const char *value, *date;
		uint64_t ms;
	} cases[] = {
	        {"0", NULL, 0},
	        {"1", NULL, 1000},
	        {"86400", NULL, 86400000},
	        {"86401", NULL, 86400000},
	        {"18446744073709551617", NULL, 86400000},
	        {"", NULL, 0},
	        {"1s", NULL, 0},
	        {" 1", NULL, 0},
	        {"-1", NULL, 0},
	        {"1.5", NULL, 0},
	        {"Thu, 20 Nov 2025 12:00:07 GMT", NULL, 7000},
	        {"Thu, 20 Nov 2025 11:59:59 GMT", NULL, 0},
	        {"Thu, 20 Nov 2025 12:00:07 CET", NULL, 0},
	        {"Thu, 20 Nov 2025 12:00:07 GMT, 5", NULL, 0},
	        /* The server's own clock counts, whatever ours is. */
	        {"Fri, 20 Nov 2026 12:00:07 GMT", "Fri, 20 Nov 2026 12:00:02 GMT", 5000},
	        {"Thu, 20 Nov 2025 12:00:07 GMT", "nonsense", 0},
	        {"Thu, 20 Nov 2099 12:00:07 GMT", "Thu, 20 Nov 2025 12:00:07 GMT", 86400000},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++)
		if (kube_retry_after(cases[i].value, cases[i].date, NOW) != cases[i].ms)
			fail_msg("%s: %llu", cases[i].value,
			         (unsigned long long)kube_retry_after(cases[i].value, cases[i].date, NOW));
}

static uint64_t pause_of(unsigned failures, enum kube_result result, uint64_t retry_after_ms)
{
	const struct kube_answer a = {.result = result, .retry_after_ms = retry_after_ms};
	struct kube_backoff b = {.failures = failures};
	uint64_t ms = kube_backoff(&b, &a);

	assert_int_equal(b.failures, failures == UINT32_MAX ? failures : failures + 1);
	return ms;
}

static void between(unsigned failures, enum kube_result result, uint64_t wish, uint64_t min, uint64_t max)
{
	bool lower = false, upper = false;

	for (int i = 0; i < 500; i++) {
		uint64_t ms = pause_of(failures, result, wish);

		assert_in_range(ms, min, max);
		lower |= ms < min + (max - min) / 4;
		upper |= ms > max - (max - min) / 4;
	}
	assert_true(min == max || (lower && upper)); /* the jitter uses its room */
}

static void test_backoff(void **state)
{
	struct kube_backoff b = {.failures = 0};

	(void)state;
	assert_true(sodium_init() >= 0);
	between(0, KUBE_NO_ANSWER, 0, 125, 250);
	between(1, KUBE_NO_ANSWER, 0, 250, 500);
	between(6, KUBE_SERVER_ERROR, 0, 8000, 16000);
	between(7, KUBE_SERVER_ERROR, 0, 15000, 30000);
	between(UINT32_MAX, KUBE_SERVER_ERROR, 0, 15000, 30000);
	between(0, KUBE_FORBIDDEN, 0, 250, 500);
	between(0, KUBE_UNAUTHORIZED, 0, 250, 500);
	between(2, KUBE_FORBIDDEN, 0, 1000, 2000);
	between(0, KUBE_THROTTLED, 1000, 1000, 1000);
	between(2, KUBE_THROTTLED, 1000, 1000, 1000);
	between(7, KUBE_THROTTLED, 1000, 15000, 30000);
	between(0, KUBE_THROTTLED, 86400000, 300000, 300000);
	assert_in_range(kube_backoff(&b, NULL), 125, 250);
	assert_int_equal(b.failures, 1);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(kube_result_name(KUBE_OK), "ok");
	assert_string_equal(kube_result_name(KUBE_NONSENSE), "nonsense");
	assert_string_equal(kube_result_name((enum kube_result)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_answers),     cmocka_unit_test(test_no_terminator),
	        cmocka_unit_test(test_long_texts),  cmocka_unit_test(test_error_event),
	        cmocka_unit_test(test_retry_after), cmocka_unit_test(test_backoff),
	        cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
