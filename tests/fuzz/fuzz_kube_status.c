// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz what is read of an API server's errors. Input: two bytes, the HTTP status; then the body, which is
 * also taken for a Retry-After header.
 *
 * What must hold besides memory safety: texts are terminated and without control characters; 2xx is KUBE_OK
 * and nothing else is; no pause is longer than a day.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kube/status.h"

#define DAY_MS ((uint64_t)24 * 3600 * 1000)

static void require(bool what)
{
	if (!what)
		abort();
}

static void check_text(const char *text, size_t size)
{
	require(memchr(text, '\0', size) != NULL);
	for (; *text; text++)
		require((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_status s;
	char *text;
	int http;

	if (size < 2)
		return 0;
	http = (data[0] << 8 | data[1]) % 1000;
	data += 2;
	size -= 2;
	kube_status_answer(http, (const char *)data, size, &s);
	check_text(s.text, sizeof(s.text));
	check_text(s.reason, sizeof(s.reason));
	require((s.result == KUBE_OK) == (http >= 200 && http < 300));
	require(s.retry_after_ms <= DAY_MS);

	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	require(kube_retry_after(text, NULL, 1763640000) <= DAY_MS);
	require(kube_retry_after("Thu, 20 Nov 2025 12:00:07 GMT", text, 0) <= DAY_MS);
	free(text);
	return 0;
}
