// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one changed EndpointSlice costs among few and among many Services: tracker and plan, without the
 * kernel. Every Service is a LoadBalancer with two ports, a node port each, and ten endpoints. In
 * instructions (count.h), median of several.
 *
 *	services SERVICES
 *
 *	one slice, 100 services  N instructions
 *	memory of SERVICES services  N bytes each
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/plan/services.h"
#include "tests/bench/count.h"
#include "tests/unit/service_objects.h"
#include "weft/marks.h"

#define FEW       100
#define ROUNDS    3
#define ENDPOINTS 10

static const char *no_node(void *ctx, const struct weft_addr *a)
{
	(void)ctx;
	(void)a;
	return NULL;
}

static bool own_pod(void *ctx, const struct weft_addr *a)
{
	(void)ctx;
	return a->family == AF_INET && a->bytes[0] == 10 && a->bytes[1] == 250;
}

static uint32_t mark(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return WEFT_FWMARK_BASE + 1;
}

static struct weft_object *service_nth(unsigned i)
{
	char key[32], words[160];

	snprintf(key, sizeof(key), "ns/s%u", i);
	snprintf(words, sizeof(words),
	         "type=LoadBalancer ip=10.96.%u.%u lb=198.18.%u.%u port=a:80/TCP:%u port=b:443/TCP:%u",
	         i / 250, i % 250 + 1, i / 250, i % 250 + 1, 10000 + i * 2, 10001 + i * 2);
	return service(key, words);
}

/* Ten pods in ten nodes; another generation has another first pod. */
static struct weft_object *slice_nth(unsigned i, unsigned generation)
{
	char key[32], name[32], endpoints[ENDPOINTS * 32];
	int n = 0;

	snprintf(key, sizeof(key), "ns/s%u-1", i);
	snprintf(name, sizeof(name), "s%u", i);
	for (unsigned k = 0; k < ENDPOINTS; k++)
		n += snprintf(endpoints + n, sizeof(endpoints) - (size_t)n, "10.%u.%u.%u@n%u ",
		              k ? 100 + k : 200 + generation, i / 250, i % 250 + 1, k);
	return slice(key, name, "a:8080/TCP b:8443/TCP", endpoints);
}

static void plan_dirty(struct services *s, const struct svc_env *env, size_t virtuals)
{
	char key[WEFT_KEY_MAX];
	struct services_view v;
	struct svc_plan p;
	size_t found = 0;

	while (services_next(s, key)) {
		if (!services_get(s, key, &v))
			abort();
		svc_plan(&v, env, &p);
		found += p.n_virtuals;
		svc_plan_free(&p);
	}
	if (found != virtuals) {
		fprintf(stderr, "services: %zu virtual services were planned, not %zu\n", found, virtuals);
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t one_slice(unsigned services, const struct svc_env *env)
{
	struct services *s = services_new();
	size_t before = mallinfo2().uordblks;
	uint64_t cost[ROUNDS];

	for (unsigned i = 0; i < services; i++) {
		services_put(s, service_nth(i));
		services_put(s, slice_nth(i, 0));
	}
	printf("memory of %u services  %zu bytes each\n", services,
	       (mallinfo2().uordblks - before) / services);
	plan_dirty(s, env, services * 6);
	for (unsigned k = 0; k < ROUNDS; k++) {
		struct weft_object *o = slice_nth(services / 2 + k, 1);

		count_start();
		services_put(s, o);
		plan_dirty(s, env, 6);
		cost[k] = count_stop();
	}
	services_free(s);
	qsort(cost, ROUNDS, sizeof(cost[0]), by_value);
	printf("one slice, %u services  %llu %s\n", services, (unsigned long long)cost[ROUNDS / 2],
	       count_unit());
	return cost[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	struct weft_addr node_addr = addr("10.1.0.1");
	struct weft_prefix cidr = prefix("10.96.0.0/16"), all = prefix("0.0.0.0/0");
	struct svc_env env = {.local = {.node = "n0"},
	                      .ip4 = node_addr,
	                      .node_addrs = &node_addr,
	                      .n_node_addrs = 1,
	                      .cidrs = &cidr,
	                      .n_cidrs = 1,
	                      .external_ips = &all,
	                      .n_external_ips = 1,
	                      .scheduler = "rr",
	                      .node_with = no_node,
	                      .own_pod = own_pod,
	                      .mark = mark};

	if (argc != 2 || atoi(argv[1]) < FEW) {
		fprintf(stderr, "usage: services SERVICES\n");
		return 2;
	}
	one_slice(FEW, &env);
	one_slice((unsigned)atoi(argv[1]), &env);
	return 0;
}
