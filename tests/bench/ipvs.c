// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What programming IPVS costs.
 *
 *	ipvs cold SERVICES DESTS ROUNDS   all from nothing, by the reconciler and by a bare loader in turn
 *	ipvs one SERVICES DESTS           so many are there; one endpoint of one of them is replaced
 *
 * The bare loader sends the same messages in batches of 256 with an ACK on the last, and remembers nothing.
 * After a cold round comes the reconciler's next life, which finds everything. `one` is in user instructions
 * (count.h), the median of several.
 *
 * Each round runs in a process and a network namespace of its own, emptied before it is left: IPVS' hash
 * table is common to all namespaces. What is told:
 *
 *	weft NANOSECONDS
 *	bare NANOSECONDS NANOSECONDS-OF-PROCESSOR-TIME
 *	adopt NANOSECONDS MESSAGES
 *	one COST UNIT MESSAGES
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/genl/genl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/apply/ipvs.h"
#include "agent/kernel/ipvs_msg.h"
#include "agent/kernel/netlink.h"
#include "tests/bench/count.h"

#define CHANGES   5
#define DESTS_MAX 64

struct load {
	unsigned services, dests;
};

static void die(const char *what, const struct weft_err *err)
{
	fprintf(stderr, "ipvs: %s: %s\n", what, err->text);
	exit(1);
}

static struct weft_addr nth(uint8_t a, uint8_t b, unsigned i)
{
	struct weft_addr base = {AF_INET, {a, b, 0, 0}};

	return weft_addr_add(&base, i);
}

static struct svc_virtual virtual_of(unsigned i)
{
	struct svc_virtual v;

	memset(&v, 0, sizeof(v));
	v.key.addr = nth(10, 96, i + 1);
	v.key.proto = IPPROTO_TCP;
	v.key.port = 80;
	strcpy(v.scheduler, "rr");
	return v;
}

static struct svc_dest dest_of(const struct load *l, unsigned i, unsigned k)
{
	return (struct svc_dest){.addr = nth(10, 128, i * l->dests + k), .port = 8080, .weight = 1};
}

/* --- the reconciler --- */

static bool owns(void *ctx, const struct svc_virtual_key *key)
{
	(void)ctx;
	(void)key;
	return true;
}

static struct ipvs *born(void)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct ipvs *i = ipvs_new(owns, NULL, &err);

	if (!i || ipvs_resync(i, 0, &err) || !ipvs_available(i, &err))
		die("start", &err);
	return i;
}

static void want(struct ipvs *i, const struct load *l, unsigned n, unsigned from)
{
	struct svc_virtual v = virtual_of(n);
	struct svc_dest d[DESTS_MAX];
	struct weft_err err = WEFT_ERR_INIT;

	for (unsigned k = 0; k < l->dests; k++)
		d[k] = dest_of(l, n, from + k);
	if (ipvs_want(i, &v, d, l->dests, &err))
		die("want", &err);
}

static void apply(struct ipvs *i)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc;

	do
		rc = ipvs_apply(i, 0, &err);
	while (rc == 1);
	if (rc)
		die("apply", &err);
}

static struct ipvs *live(const struct load *l)
{
	struct ipvs *i = born();

	for (unsigned n = 0; n < l->services; n++)
		want(i, l, n, 0);
	apply(i);
	ipvs_sweep(i);
	apply(i);
	if (ipvs_stats(i).count[IPVS_INSTALLED] != l->services)
		die("services", &(struct weft_err){.text = "not all are installed"});
	return i;
}

/* --- the bare loader --- */

struct bare {
	struct netlink *nl;
	struct netlink_batch *batch;
	struct nl_msg *msg;
	uint16_t family;
};

static int on_family(void *ctx, const struct nlmsghdr *nlh)
{
	struct bare *b = ctx;
	int family = ipvs_msg_family_parse(nlh);

	if (family > 0)
		b->family = (uint16_t)family;
	return 0;
}

static struct bare bare_open(void)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct bare b = {.nl = netlink_open_protocol(NETLINK_GENERIC, &err),
	                 .batch = netlink_batch_new(),
	                 .msg = netlink_msg_new()};
	struct netlink_sink sink = {.msg = on_family, .ctx = &b};

	if (!b.nl || !b.batch || !b.msg || ipvs_msg_family(b.msg) || netlink_get(b.nl, b.msg, &sink, &err) ||
	    !b.family)
		die("bare loader", &err);
	return b;
}

static void bare_close(struct bare *b)
{
	nlmsg_free(b->msg);
	netlink_batch_free(b->batch);
	netlink_close(b->nl);
}

static void bare_flush(struct bare *b)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (netlink_send(b->nl, b->batch, &err))
		die("bare loader", &err);
	for (size_t k = 0; k < netlink_batch_count(b->batch); k++)
		if (netlink_batch_error(b->batch, k))
			die("bare loader", &(struct weft_err){.text = "the kernel refused a message"});
	netlink_batch_reset(b->batch);
}

static void bare_add(struct bare *b)
{
	if (netlink_batch_add(b->batch, b->msg) >= 0)
		return;
	bare_flush(b);
	netlink_batch_add(b->batch, b->msg);
}

static void bare_service(struct bare *b, const struct load *l, unsigned n)
{
	struct ipvs_msg_service s = {.key = {.addr = nth(10, 96, n + 1), .proto = IPPROTO_TCP, .port = 80},
	                             .scheduler = "rr"};

	netlink_msg_reset(b->msg);
	ipvs_msg_service(b->msg, b->family, IPVS_MSG_NEW, &s);
	bare_add(b);
	for (unsigned k = 0; k < l->dests; k++) {
		struct ipvs_msg_dest d = {.addr = nth(10, 128, n * l->dests + k), .port = 8080, .weight = 1};

		netlink_msg_reset(b->msg);
		ipvs_msg_dest(b->msg, b->family, IPVS_MSG_NEW, &s.key, &d);
		bare_add(b);
	}
}

static void empty_namespace(void)
{
	struct bare b = bare_open();
	struct weft_err err = WEFT_ERR_INIT;

	netlink_msg_reset(b.msg);
	if (!genlmsg_put(b.msg, 0, 0, b.family, 0, 0, IPVS_CMD_FLUSH, IPVS_GENL_VERSION) ||
	    netlink_one(b.nl, b.msg, "flush", &err))
		die("flush", &err);
	bare_close(&b);
}

/* --- what is measured --- */

static uint64_t now(void)
{
	return count_nanoseconds(CLOCK_MONOTONIC);
}

static void by_bare(const struct load *l)
{
	uint64_t start = now(), used = count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	struct bare b = bare_open();

	for (unsigned n = 0; n < l->services; n++)
		bare_service(&b, l, n);
	bare_flush(&b);
	used = count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - used;
	printf("bare %llu %llu\n", (unsigned long long)(now() - start), (unsigned long long)used);
	bare_close(&b);
}

static void by_weft(const struct load *l)
{
	uint64_t start = now();
	struct ipvs *i = live(l);

	printf("weft %llu\n", (unsigned long long)(now() - start));
	ipvs_free(i);
	start = now();
	i = live(l);
	printf("adopt %llu %llu\n", (unsigned long long)(now() - start),
	       (unsigned long long)ipvs_stats(i).writes);
	ipvs_free(i);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Its first endpoint leaves, another one comes. */
static void one(const struct load *l)
{
	struct ipvs *i = live(l);
	uint64_t cost[CHANGES], writes = ipvs_stats(i).writes;

	for (unsigned k = 0; k < CHANGES; k++) {
		count_start();
		want(i, l, l->services / 2 + k, 1);
		apply(i);
		cost[k] = count_stop();
	}
	writes = ipvs_stats(i).writes - writes;
	qsort(cost, CHANGES, sizeof(cost[0]), by_value);
	printf("one %llu %llu %s\n", (unsigned long long)cost[CHANGES / 2],
	       (unsigned long long)writes / CHANGES, count_unit());
	ipvs_free(i);
}

/* As on a node: no estimators, and a local routing table, without which the kernel refuses destinations. */
static void prepare_namespace(void)
{
	struct bare b = bare_open(); /* loads the module */
	FILE *f = fopen("/proc/sys/net/ipv4/vs/run_estimation", "w");
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK};

	if (!f || fputs("0", f) < 0 || fclose(f) || s < 0 || ioctl(s, SIOCSIFFLAGS, &lo)) {
		perror("ipvs: namespace");
		exit(1);
	}
	close(s);
	bare_close(&b);
}

/* In a namespace of its own. */
static void apart(void (*work)(const struct load *l), const struct load *l)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET)) {
			perror("unshare");
			exit(1);
		}
		prepare_namespace();
		work(l);
		fflush(stdout);
		empty_namespace();
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		exit(1);
}

int main(int argc, char **argv)
{
	struct load l = {0};

	if (argc >= 4)
		l = (struct load){(unsigned)atoi(argv[2]), (unsigned)atoi(argv[3])};
	if (l.services <= CHANGES * 2 || l.dests == 0 || l.dests >= DESTS_MAX || argc > 5) {
		fprintf(stderr, "usage: ipvs cold SERVICES DESTS ROUNDS | ipvs bare|one SERVICES DESTS\n");
		return 2;
	}
	if (strcmp(argv[1], "bare") == 0)
		by_bare(&l);
	else if (strcmp(argv[1], "one") == 0)
		apart(one, &l);
	for (int round = 0; argc == 5 && round < atoi(argv[4]); round++) {
		apart(by_weft, &l);
		apart(by_bare, &l);
	}
	return 0;
}
