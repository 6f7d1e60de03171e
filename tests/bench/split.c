// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cutting a LIST of EndpointSlices into objects, against parsing the same objects with cJSON, and against
 * memcpy() of the same bytes: split SLICES ENDPOINTS. Fed in pieces of 16 KiB, as libcurl does. The best of
 * seven rounds each, in processor time.
 *
 *	split: SLICES slices of ENDPOINTS, BYTES bytes   split NS   cJSON NS   memcpy NS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "agent/kube/split.h"
#include "weft/buf.h"

#define ROUNDS 7
#define PIECE  16384

static const char slice[] =
        "{\"metadata\":{\"name\":\"svc-%u-abcde\",\"generateName\":\"svc-%u-\",\"namespace\":\"prod\",\"uid\":"
        "\"4bbe570c-951d-421d-bf1f-1264a13ed23f\",\"resourceVersion\":\"%u\",\"generation\":1,"
        "\"creationTimestamp\":\"2026-11-20T12:10:51Z\",\"labels\":{\"endpointslice.kubernetes.io/managed-by\":"
        "\"endpointslice-controller.k8s.io\",\"kubernetes.io/service-name\":\"svc-%u\"},\"managedFields\":[{"
        "\"manager\":\"kube-controller-manager\",\"operation\":\"Update\",\"apiVersion\":\"discovery.k8s.io/v1\","
        "\"time\":\"2026-11-20T12:10:51Z\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:addressType\":{},"
        "\"f:endpoints\":{},\"f:metadata\":{\"f:generateName\":{},\"f:labels\":{\".\":{},"
        "\"f:endpointslice.kubernetes.io/managed-by\":{},\"f:kubernetes.io/service-name\":{}}},\"f:ports\":{}}}]},"
        "\"addressType\":\"IPv4\",\"endpoints\":[";
static const char endpoint[] =
        "%s{\"addresses\":[\"10.%u.%u.%u\"],\"conditions\":{\"ready\":true,\"serving\":true,\"terminating\":false},"
        "\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"prod\",\"name\":\"web-7d9f8b6c5d-%05u\",\"uid\":"
        "\"8c2c2968-0eec-4853-b042-dc0bfc891eb6\"},\"nodeName\":\"node-%u\",\"zone\":\"z1\"}";

static char *make_list(unsigned slices, unsigned endpoints, size_t *len)
{
	struct weft_buf b = {.max = (size_t)1 << 30};

	weft_buf_str(&b,
	             "{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":"
	             "{\"resourceVersion\":\"9\"},\"items\":[");
	for (unsigned i = 0; i < slices; i++) {
		weft_buf_str(&b, i ? "," : "");
		weft_buf_printf(&b, slice, i, i, i, i);
		for (unsigned k = 0; k < endpoints; k++)
			weft_buf_printf(&b, endpoint, k ? "," : "", i / 250 % 250, i % 250, k % 250, k,
			                k % 100);
		weft_buf_str(&b, "],\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080}]}");
	}
	weft_buf_str(&b, "]}");
	*len = b.len;
	return weft_buf_take(&b);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct taken {
	bool parse;
	size_t count;
};

static int take(void *ctx, char *text, size_t len)
{
	struct taken *t = ctx;

	if (t->parse)
		cJSON_Delete(cJSON_ParseWithLength(text, len));
	t->count++;
	return 0;
}

/* The time; 0 when something is wrong. */
static uint64_t split(const char *list, size_t len, unsigned slices, bool parse)
{
	struct taken taken = {.parse = parse};
	uint64_t start = now();
	struct kube_split *s = kube_split_new(KUBE_LIST, take, &taken);
	int ret = 0;

	for (size_t at = 0; at < len && !ret; at += PIECE)
		ret = kube_split_feed(s, list + at, len - at < PIECE ? len - at : PIECE, NULL);
	ret = ret ? ret : kube_split_end(s, NULL);
	kube_split_free(s);
	return ret || taken.count != slices ? 0 : now() - start;
}

static uint64_t copy(const char *list, size_t len, char *to)
{
	uint64_t start = now();

	memcpy(to, list, len);
	__asm__ volatile("" : : "r"(to) : "memory");
	return now() - start;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int main(int argc, char **argv)
{
	unsigned slices = argc > 1 ? (unsigned)atoi(argv[1]) : 10000,
	         endpoints = argc > 2 ? (unsigned)atoi(argv[2]) : 10;
	uint64_t alone = UINT64_MAX, parsed = UINT64_MAX, copied = UINT64_MAX;
	size_t len;
	char *list = make_list(slices, endpoints, &len), *to = calloc(1, len);

	if (!list || !to)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		alone = least(alone, split(list, len, slices, false));
		parsed = least(parsed, split(list, len, slices, true));
		copied = least(copied, copy(list, len, to));
	}
	printf("split: %u slices of %u, %zu bytes   split %llu   cJSON %llu   memcpy %llu\n", slices,
	       endpoints, len, (unsigned long long)alone, (unsigned long long)(parsed - alone),
	       (unsigned long long)copied);
	free(list);
	free(to);
	return !alone || parsed <= alone;
}
