// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * apimachinery's meta/v1 StatusReasons -> kube_result, and when to ask again.
 */
#include "agent/kube/status.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#define RETRY_MAX_S  ((uint64_t)24 * 3600)
#define RETRY_MAX_MS ((uint64_t)5 * 60 * 1000) /* of what is obeyed */

static const struct {
	const char *reason;
	enum kube_result result;
} reasons[] = {
        {"NotFound", KUBE_NOT_FOUND},
        {"AlreadyExists", KUBE_ALREADY_EXISTS},
        {"Conflict", KUBE_CONFLICT},
        {"Expired", KUBE_EXPIRED},
        {"Gone", KUBE_EXPIRED},
        {"TooManyRequests", KUBE_THROTTLED},
        {"Unauthorized", KUBE_UNAUTHORIZED},
        {"Forbidden", KUBE_FORBIDDEN},
        {"BadRequest", KUBE_REFUSED},
        {"Invalid", KUBE_REFUSED},
        {"MethodNotAllowed", KUBE_REFUSED},
        {"NotAcceptable", KUBE_REFUSED},
        {"RequestEntityTooLarge", KUBE_REFUSED},
        {"UnsupportedMediaType", KUBE_REFUSED},
        {"InternalError", KUBE_SERVER_ERROR},
        {"ServerTimeout", KUBE_SERVER_ERROR},
        {"Timeout", KUBE_SERVER_ERROR},
        {"ServiceUnavailable", KUBE_SERVER_ERROR},
        {"StoreReadError", KUBE_SERVER_ERROR},
};

static const struct {
	int http;
	enum kube_result result;
	const char *phrase;
} codes[] = {
        {400, KUBE_REFUSED, "BadRequest"},
        {401, KUBE_UNAUTHORIZED, "Unauthorized"},
        {403, KUBE_FORBIDDEN, "Forbidden"},
        {404, KUBE_NOT_FOUND, "NotFound"},
        {408, KUBE_SERVER_ERROR, "RequestTimeout"},
        {409, KUBE_CONFLICT, "Conflict"},
        {410, KUBE_EXPIRED, "Gone"},
        {429, KUBE_THROTTLED, "TooManyRequests"},
        {500, KUBE_SERVER_ERROR, "InternalError"},
        {503, KUBE_SERVER_ERROR, "ServiceUnavailable"},
        {504, KUBE_SERVER_ERROR, "Timeout"},
};

static void by_code(int http, struct kube_status *out)
{
	*out = (struct kube_status){.result = KUBE_NONSENSE};
	snprintf(out->reason, sizeof(out->reason), "unexpected");
	if (http >= 200 && http < 300)
		out->result = KUBE_OK;
	else if (http >= 400 && http < 600) {
		out->result = http < 500 ? KUBE_REFUSED : KUBE_SERVER_ERROR;
		snprintf(out->reason, sizeof(out->reason), http < 500 ? "refused" : "server error");
	}
	for (size_t i = 0; i < WEFT_ARRAY_LEN(codes); i++) {
		if (codes[i].http != http)
			continue;
		out->result = codes[i].result;
		snprintf(out->reason, sizeof(out->reason), "%s", codes[i].phrase);
	}
}

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : "";
}

static void take_reason(const char *reason, struct kube_status *out)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(reasons); i++) {
		if (strcmp(reasons[i].reason, reason) != 0)
			continue;
		out->result = reasons[i].result;
		snprintf(out->reason, sizeof(out->reason), "%s", reason);
	}
}

static bool has_cause(const cJSON *details, const char *reason)
{
	const cJSON *causes = cJSON_GetObjectItemCaseSensitive(details, "causes"), *c;

	cJSON_ArrayForEach (c, causes)
		if (!strcmp(text_of(c, "reason"), reason))
			return true;
	return false;
}

static uint64_t seconds_of(const cJSON *details)
{
	double s = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(details, "retryAfterSeconds"));

	return s > 0 && s <= (double)RETRY_MAX_S ? (uint64_t)s * 1000 : 0; /* NaN is not */
}

void kube_status_object(const cJSON *status, int http, struct kube_status *out)
{
	const cJSON *details = cJSON_GetObjectItemCaseSensitive(status, "details");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(status, "code");

	if (cJSON_IsNumber(code) && code->valuedouble >= 400 && code->valuedouble < 600)
		http = (int)code->valuedouble;
	by_code(http, out);
	take_reason(text_of(status, "reason"), out);
	if (has_cause(details, "ResourceVersionTooLarge"))
		out->result = KUBE_TOO_NEW;
	out->retry_after_ms = seconds_of(details);
	snprintf(out->text, sizeof(out->text), "%s", text_of(status, "message"));
	weft_text_clean(out->text);
}

/* The first line of a plain text. */
static void take_plain(const char *body, size_t len, struct kube_status *out)
{
	size_t n = 0;

	while (n < len && n < sizeof(out->text) - 1 && body[n] && body[n] != '\n' && body[n] != '\r')
		n++;
	memcpy(out->text, body, n);
	out->text[n] = '\0';
	weft_text_clean(out->text);
}

void kube_status_answer(int http, const char *body, size_t len, struct kube_status *out)
{
	cJSON *json;

	by_code(http, out);
	if (out->result == KUBE_OK || !len)
		return;
	json = *body == '{' ? cJSON_ParseWithLength(body, len) : NULL;
	if (!strcmp(text_of(json, "kind"), "Status") && http >= 400)
		kube_status_object(json, http, out);
	else if (!json)
		take_plain(body, len, out);
	cJSON_Delete(json);
}

/* Retry-After */

static bool parse_date(const char *text, time_t *out)
{
	struct tm tm;
	const char *end;

	memset(&tm, 0, sizeof(tm));
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* RFC 9110, 5.6.7; weftd's locale is C */
	if (!end || *end)
		return false;
	*out = timegm(&tm);
	return true;
}

uint64_t kube_retry_after(const char *value, const char *date, time_t now)
{
	size_t digits = strspn(value, "0123456789");
	uint64_t s = 0;
	time_t then;

	if (digits && !value[digits])
		s = digits <= 9 ? strtoull(value, NULL, 10) : RETRY_MAX_S;
	else if (parse_date(value, &then) && (!date || parse_date(date, &now)))
		s = then > now ? (uint64_t)(then - now) : 0;
	return (s < RETRY_MAX_S ? s : RETRY_MAX_S) * 1000;
}

/* When to ask again */

const char *kube_result_name(enum kube_result r)
{
	static const char *const names[] = {
	        [KUBE_OK] = "ok",
	        [KUBE_NOT_FOUND] = "not found",
	        [KUBE_ALREADY_EXISTS] = "already exists",
	        [KUBE_CONFLICT] = "conflict",
	        [KUBE_EXPIRED] = "expired",
	        [KUBE_TOO_NEW] = "too new",
	        [KUBE_THROTTLED] = "throttled",
	        [KUBE_UNAUTHORIZED] = "unauthorized",
	        [KUBE_FORBIDDEN] = "forbidden",
	        [KUBE_REFUSED] = "refused",
	        [KUBE_SERVER_ERROR] = "server error",
	        [KUBE_NO_ANSWER] = "no answer",
	        [KUBE_NONSENSE] = "nonsense",
	};

	return (size_t)r < WEFT_ARRAY_LEN(names) ? names[r] : "unknown";
}

uint64_t kube_backoff(struct kube_backoff *b, const struct kube_answer *a)
{
	bool denied = a && (a->result == KUBE_FORBIDDEN || a->result == KUBE_UNAUTHORIZED);
	uint64_t wait = KUBE_BACKOFF_FIRST_MS << (denied ? 1 : 0), wish = a ? a->retry_after_ms : 0;

	for (unsigned i = 0; i < b->failures && wait < KUBE_BACKOFF_MAX_MS; i++)
		wait *= 2;
	wait = wait < KUBE_BACKOFF_MAX_MS ? wait : KUBE_BACKOFF_MAX_MS;
	wait = wait / 2 + randombytes_uniform((uint32_t)(wait / 2) + 1);
	wish = wish < RETRY_MAX_MS ? wish : RETRY_MAX_MS;
	if (b->failures < UINT32_MAX)
		b->failures++;
	return wait > wish ? wait : wish;
}
