// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What programming routes costs.
 *
 *   routes fill N FILE   program N remote blocks through the reconciler from nothing, in the namespace it
 *                        runs in, and write the same routes as a batch file for ip(8). Prints milliseconds.
 *   routes one N         N routes are there; program one more. Prints the CPU instructions of that change
 *                        (perf_event_open, user side, the minimum of 51), or its nanoseconds where the
 * machine counts no instructions.
 *
 * The device eth0 must be up and have 10.1.0.1/16. tests/bench/routes.sh compares and judges.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/apply/fib.h"
#include "weft/marks.h"

#define ROUNDS 51

struct bench {
	struct netlink *nl;
	struct links *links;
	struct fib *fib;
};

static void die(const char *what, const struct weft_err *err)
{
	fprintf(stderr, "%s: %s\n", what, err->text);
	exit(1);
}

static void start(struct bench *b)
{
	struct weft_err err = WEFT_ERR_INIT;

	b->nl = netlink_open(&err);
	b->links = links_new();
	if (!b->nl || !b->links)
		die("netlink", &err);
	b->fib = fib_new(b->nl, b->links);
	if (!b->fib || links_resync(b->links, b->nl, &err) || fib_resync(b->fib, 0, &err))
		die("resync", &err);
}

static struct weft_route block(unsigned i)
{
	struct weft_route r = {.key = {.table = RT_TABLE_MAIN, .metric = WEFT_METRIC_DIRECT},
	                       .type = RTN_UNICAST,
	                       .dev = "eth0"};

	r.key.dst = (struct weft_prefix){.addr = {AF_INET, {10, 64, 0, 0}}, .len = 26};
	r.key.dst.addr = weft_addr_add(&r.key.dst.addr, (uint64_t)i * 64);
	r.gateway =
	        (struct weft_addr){AF_INET, {10, 1, (uint8_t)(i / 250 % 250 + 1), (uint8_t)(i % 250 + 2)}};
	return r;
}

static void want(struct bench *b, unsigned i)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_route r = block(i);

	if (fib_want(b->fib, &r, &err))
		die("want", &err);
}

static void apply(struct bench *b)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc;

	do
		rc = fib_apply(b->fib, 0, &err);
	while (rc == 1);
	if (rc)
		die("apply", &err);
}

static void fill(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		want(b, i);
	apply(b);
	if (fib_stats(b->fib).count[FIB_INSTALLED] != n) {
		fprintf(stderr, "only %zu of %u routes are installed\n",
		        fib_stats(b->fib).count[FIB_INSTALLED], n);
		exit(1);
	}
}

static uint64_t nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void write_batch(const char *path, unsigned n)
{
	FILE *f = fopen(path, "w");
	char text[WEFT_ROUTE_STR];

	if (!f)
		die(path, &(struct weft_err){.text = "can't be written"});
	for (unsigned i = 0; i < n; i++) {
		struct weft_route r = block(i);

		r.protocol = 118; /* a number of its own: `proto weft` need not be known to ip */
		fprintf(f, "route add %s\n", weft_route_str(&r, text));
	}
	fclose(f);
}

static int counter(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE,
	                            .size = sizeof(a),
	                            .config = PERF_COUNT_HW_INSTRUCTIONS,
	                            .exclude_kernel = 1,
	                            .exclude_hv = 1};

	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static uint64_t read_counter(int fd)
{
	uint64_t value = 0;

	if (fd < 0)
		return nanoseconds();
	if (read(fd, &value, sizeof(value)) != sizeof(value))
		exit(1);
	return value;
}

/* Callgrind counts what runs in here (--toggle-collect=one_more). */
__attribute__((noinline)) void one_more(struct bench *b, unsigned i);
void one_more(struct bench *b, unsigned i)
{
	want(b, i);
	apply(b);
}

static void one(struct bench *b, unsigned n)
{
	int fd = counter();
	uint64_t best = UINT64_MAX;

	fill(b, n);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = read_counter(fd), cost;
		struct weft_route_key key = block(n).key;

		one_more(b, n);
		cost = read_counter(fd) - before;
		best = cost < best ? cost : best;
		fib_unwant(b->fib, &key);
		apply(b);
	}
	printf("%llu %s\n", (unsigned long long)best, fd < 0 ? "nanoseconds" : "instructions");
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	uint64_t before;

	if (argc < 3 || (strcmp(argv[1], "fill") == 0) != (argc == 4)) {
		fprintf(stderr, "usage: routes fill N FILE | routes one N\n");
		return 2;
	}
	before = nanoseconds();
	start(&b);
	if (argc == 4) {
		fill(&b, (unsigned)atoi(argv[2]));
		printf("%.1f\n", (double)(nanoseconds() - before) / 1e6);
		write_batch(argv[3], (unsigned)atoi(argv[2]));
	} else {
		one(&b, (unsigned)atoi(argv[2]));
	}
	fib_free(b.fib);
	links_free(b.links);
	netlink_close(b.nl);
	return 0;
}
