// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one event costs in a small and in a large cluster: state, plan and the deltas of wanted routes,
 * without the kernel. Counted in user instructions where the machine lets us (perf_event_open), else in CPU
 * time.
 *
 *	plan: one more block, 100 nodes    N instructions
 *	plan: one more block, 5000 nodes   N instructions   ratio R (at most 1.20; 2.00 for time)
 *
 * Exit status 1 when the ratio is above its limit.
 */
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/plan/routes.h"
#include "agent/plan/wanted.h"
#include "tests/unit/follow.h"
#include "tests/unit/objects.h"

#define ROUNDS 400
/* Caches make time, not instructions, depend on the amount of data. */
#define LIMIT_INSTRUCTIONS 1.20
#define LIMIT_TIME         2.00

struct counter {
	int fd; /* -1: CPU time */
	uint64_t start;
};

static struct counter counter_open(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
	                               .size = sizeof(attr),
	                               .config = PERF_COUNT_HW_INSTRUCTIONS,
	                               .exclude_kernel = 1,
	                               .exclude_hv = 1};

	return (struct counter){.fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0)};
}

static uint64_t counter_read(const struct counter *c)
{
	struct timespec t;
	uint64_t n = 0;

	if (c->fd >= 0)
		return read(c->fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static size_t calls;

static void on_want(void *ctx, const struct weft_route *r)
{
	(void)ctx;
	(void)r;
	calls++;
}

static void on_unwant(void *ctx, const struct weft_route_key *k)
{
	(void)ctx;
	(void)k;
	calls++;
}

static void add_node(struct cluster *c, unsigned i)
{
	struct weft_addr ip = addr("10.2.0.0"), base = addr("10.128.0.0");
	struct weft_prefix p;
	char name[32], ip_text[WEFT_ADDR_STR], cidr[WEFT_PREFIX_STR];

	ip = weft_addr_add(&ip, i + 1);
	base = weft_addr_add(&base, (uint64_t)i * 64);
	p = weft_prefix_mask(&base, 26);
	snprintf(name, sizeof(name), "node-%u", i);
	put(c, node(name, weft_addr_str(&ip, ip_text), NULL));
	put(c, block(weft_prefix_str(&p, cidr), name, "pods"));
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median cost of a block that comes and goes, with so many nodes. */
static uint64_t one_more_block(unsigned nodes, const struct counter *counter)
{
	static uint64_t cost[ROUNDS];
	struct routes_link link = {.dev = "eth0", .prefix = prefix("10.1.0.0/24")};
	struct routes_env env = {.ip4 = addr("10.1.0.1"), .links = &link, .n_links = 1, .ipip_ready = true};
	struct wanted_ops ops = {on_want, on_unwant, NULL};
	struct wanted *w = wanted_new(&ops);
	struct cluster *c = cluster_new("self");

	put(c, node("self", "10.1.0.1", NULL));
	put(c, pool("pods", "10.128.0.0/9", 26, WEFT_TUNNEL_FALLBACK));
	for (unsigned i = 0; i < nodes; i++)
		add_node(c, i);
	synced(c);
	follow(c, &env, w);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char cidr[32], name[32];
		struct weft_object *o;
		uint64_t start;

		snprintf(cidr, sizeof(cidr), "10.250.%u.%u/26", i / 4, i % 4 * 64);
		snprintf(name, sizeof(name), "node-%u", i * 13 % nodes);
		o = block(cidr, name, "pods");
		calls = 0;
		start = counter_read(counter);
		put(c, o);
		follow(c, &env, w);
		cost[i] = counter_read(counter) - start;
		if (calls != 1) {
			fprintf(stderr, "plan: one block made %zu changes\n", calls);
			exit(1);
		}
	}
	wanted_free(w);
	cluster_free(c);
	qsort(cost, ROUNDS, sizeof(cost[0]), by_value);
	return cost[ROUNDS / 2];
}

int main(void)
{
	struct counter counter = counter_open();
	const char *unit = counter.fd >= 0 ? "instructions" : "ns of CPU time";
	uint64_t small = one_more_block(100, &counter), large = one_more_block(5000, &counter);
	double ratio = (double)large / (double)(small ? small : 1);
	double limit = counter.fd >= 0 ? LIMIT_INSTRUCTIONS : LIMIT_TIME;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("plan: one more block, 100 nodes    %llu %s\n", (unsigned long long)small, unit);
	printf("plan: one more block, 5000 nodes   %llu %s   ratio %.2f (at most %.2f)\n",
	       (unsigned long long)large, unit, ratio, limit);
	printf("plan: peak memory with 5000 nodes  %ld KiB\n", usage.ru_maxrss);
	return ratio > limit;
}
