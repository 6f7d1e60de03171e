// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one changed element of the nftables table costs: one added and one deleted, in one transaction, while
 * so many are there. In turn with the same written bare, by libnftables with a context that is kept, to a
 * set of the same shape and size in a table of its own: the floor.
 *
 *	nft ELEMENTS ROUNDS
 *
 *	fill NANOSECONDS       all elements from nothing, with the table
 *	change NANOSECONDS     median
 *	bare NANOSECONDS       median
 *
 * Runs in a network namespace of its own.
 */
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft.h"
#include "tests/bench/count.h"
#include "weft/buf.h"

static uint64_t now_ms = 1000000;

static void die(const char *what, const char *text)
{
	fprintf(stderr, "nft: %s: %s\n", what, text);
	exit(1);
}

static struct weft_addr nth(unsigned i)
{
	struct weft_addr base = {AF_INET, {198, 18, 0, 0}};

	return weft_addr_add(&base, i);
}

static struct svc_element element(unsigned i)
{
	struct svc_element e;

	memset(&e, 0, sizeof(e));
	e.set = SVC_SET_MASQ;
	e.addr = nth(i);
	e.proto = IPPROTO_TCP;
	e.port = 80;
	return e;
}

static void want(struct nft *n, unsigned i)
{
	struct svc_element e = element(i);

	nft_want_element(n, &e);
}

static void unwant(struct nft *n, unsigned i)
{
	struct svc_element e = element(i);

	nft_unwant_element(n, &e);
}

static void apply(struct nft *n)
{
	struct weft_err err = WEFT_ERR_INIT;

	now_ms += 1000; /* nothing has to wait */
	if (nft_apply(n, now_ms, &err))
		die("apply", err.text);
	if (!nft_settled(n))
		die("apply", "not settled");
}

static struct nft *filled(unsigned elements)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct nft *n = nft_new(NULL, &err);
	struct nft_shape shape = {.services = true, .node4 = {AF_INET, {10, 1, 0, 1}}};

	if (!n)
		die("start", err.text);
	nft_want(n, &shape);
	for (unsigned i = 0; i < elements; i++)
		want(n, i);
	apply(n);
	nft_sweep(n);
	apply(n);
	return n;
}

static void bare_run(struct nft_ctx *ctx, const char *text)
{
	if (nft_run_cmd_from_buffer(ctx, text))
		die("bare", nft_ctx_get_error_buffer(ctx));
}

static void bare_element(struct weft_buf *b, unsigned i)
{
	struct weft_addr a = nth(i);
	char text[WEFT_ADDR_STR];

	weft_buf_printf(b, "%s . 6 . 80,", weft_addr_str(&a, text));
}

static struct nft_ctx *bare_filled(unsigned elements)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	struct weft_buf b = {0};

	nft_ctx_buffer_error(ctx);
	weft_buf_str(&b,
	             "table inet bare { set s { type ipv4_addr . inet_proto . inet_service; elements = { ");
	for (unsigned i = 0; i < elements; i++)
		bare_element(&b, i);
	weft_buf_str(&b, "}; }; }\n");
	bare_run(ctx, weft_buf_text(&b));
	weft_buf_free(&b);
	return ctx;
}

static void bare_change(struct nft_ctx *ctx, unsigned in, unsigned out)
{
	struct weft_buf b = {0};

	weft_buf_str(&b, "add element inet bare s { ");
	bare_element(&b, in);
	weft_buf_str(&b, "}\ndelete element inet bare s { ");
	bare_element(&b, out);
	weft_buf_str(&b, "}\n");
	bare_run(ctx, weft_buf_text(&b));
	weft_buf_free(&b);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell(const char *what, uint64_t *cost, unsigned n)
{
	qsort(cost, n, sizeof(*cost), by_value);
	printf("%s %llu\n", what, (unsigned long long)cost[n / 2]);
	free(cost);
}

static uint64_t now(void)
{
	return count_nanoseconds(CLOCK_MONOTONIC);
}

static void run(unsigned elements, unsigned rounds)
{
	uint64_t *weft = calloc(rounds, sizeof(*weft)), *bare = calloc(rounds, sizeof(*bare)), start = now();
	struct nft *n = filled(elements);
	struct nft_ctx *ctx;
	uint64_t replaced = nft_stats(n).replacements;

	printf("fill %llu\n", (unsigned long long)(now() - start));
	ctx = bare_filled(elements);
	if (!weft || !bare)
		die("start", "no memory");
	for (unsigned k = 0; k < rounds; k++) {
		start = now();
		want(n, elements + k);
		unwant(n, elements / 2 + k);
		apply(n);
		weft[k] = now() - start;
		start = now();
		bare_change(ctx, elements + k, elements / 2 + k);
		bare[k] = now() - start;
	}
	if (nft_stats(n).replacements != replaced || nft_stats(n).elements != elements)
		die("change", "more was written than the element");
	tell("change", weft, rounds);
	tell("bare", bare, rounds);
	nft_ctx_free(ctx);
	nft_free(n);
}

int main(int argc, char **argv)
{
	if (argc != 3 || atoi(argv[2]) < 1 || atoi(argv[1]) < 2 * atoi(argv[2])) {
		fprintf(stderr, "usage: nft ELEMENTS ROUNDS (at most half as many)\n");
		return 2;
	}
	if (unshare(CLONE_NEWNET)) {
		perror("nft: unshare");
		return 1;
	}
	run((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]));
	return 0;
}
