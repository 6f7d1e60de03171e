// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CNI ADD + DEL: weft-cni, its rival ptp + host-local, and the floor, in turn in one run.
 *
 *	cni WEFT_CNI CNI_PATH STATE_DIR ROUNDS
 *
 * STATE_DIR/ipam holds a block already. Runs in a network namespace of its own and makes another for the pod,
 * passed as /proc/PID/fd/N. The floor is what nobody can save: a veth pair with its peer born in the pod's
 * namespace, both ends up, an address, a route, and the pair's removal, by rtnetlink in this process, with no
 * program started. A second floor is the start of a program that does nothing (/bin/true), twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cni/request.h"
#include "agent/kernel/addr_msg.h"
#include "agent/kernel/route_msg.h"
#include "weft/route.h"

#define ROUNDS_MAX 10000

enum contender { WEFT, RIVAL, START, FLOOR, CONTENDERS };
static const char *const names[CONTENDERS] = {
        [WEFT] = "weft-cni",
        [RIVAL] = "ptp + host-local",
        [START] = "start of /bin/true, twice",
        [FLOOR] = "bare veth + route by netlink",
};

struct series {
	double add[ROUNDS_MAX], del[ROUNDS_MAX], both[ROUNDS_MAX];
};

struct bench {
	const char *weft_cni, *cni_path;
	char netns[64];
	int host_fd, pod_fd;
	int conf[2]; /* memory files: WEFT, RIVAL */
	struct netlink *host, *pod;
};

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int memory_file(const char *text)
{
	int fd = memfd_create("conf", 0);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("memfd: %m");
	return fd;
}

/* Run a program with this file as stdin; its stdout is shown only when it fails. */
static void run(const char *program, int input, char *const env[])
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {(char *)program, NULL};
	char out[4096] = "";
	int output = memfd_create("out", 0), status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, output, 1);
	lseek(input, 0, SEEK_SET);
	if (posix_spawn(&pid, program, &actions, NULL, argv, env) != 0)
		die("can't start %s", program);
	waitpid(pid, &status, 0);
	posix_spawn_file_actions_destroy(&actions);
	if (status != 0) {
		if (pread(output, out, sizeof(out) - 1, 0) < 0)
			out[0] = '\0';
		die("%s failed (status %d): %s", program, status, out);
	}
	close(output);
}

static void run_cni(const struct bench *b, const char *program, int conf, const char *command, unsigned i)
{
	char cmd[32], id[32], ns[80], path[512];
	char *env[] = {
	        cmd, id, ns, path, (char *)"CNI_IFNAME=eth0", (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	        NULL};

	snprintf(cmd, sizeof(cmd), "CNI_COMMAND=%s", command);
	snprintf(id, sizeof(id), "CNI_CONTAINERID=bench%u", i);
	snprintf(ns, sizeof(ns), "CNI_NETNS=%s", b->netns);
	snprintf(path, sizeof(path), "CNI_PATH=%s", b->cni_path);
	run(program, conf, env);
}

static void check(int r, const struct weft_err *err)
{
	if (r)
		die("floor: %s", err->text);
}

static void floor_add(const struct bench *b)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct link_veth veth = {
	        .name = "floor0", .peer_name = "eth0", .mtu = 1480, .peer_netns = b->pod_fd, .up = true};
	struct weft_route route = {.key = {.table = RT_TABLE_MAIN},
	                           .type = RTN_UNICAST,
	                           .scope = RT_SCOPE_LINK,
	                           .protocol = 119};
	struct cni_request host, pod;
	struct cni_link l;

	weft_prefix_parse("10.9.9.9/32", &route.key.dst, NULL);
	check(cni_request_init(&host, b->host, &err) || cni_request_init(&pod, b->pod, &err), &err);
	cni_request_add(&host, link_msg_veth(host.msg, &veth), "veth");
	check(cni_request_send(&host, &err), &err);
	check(cni_link_get(&host, "floor0", &l, &err), &err);
	cni_request_add(&host, route_msg_put(host.msg, RTM_NEWROUTE, NLM_F_CREATE, &route, l.link.index),
	                "route");
	check(cni_request_send(&host, &err), &err);
	cni_request_add(&pod, linkconf_msg_up(pod.msg, l.link.peer, NULL), "up");
	cni_request_add(&pod, addr_msg_put(pod.msg, RTM_NEWADDR, l.link.peer, &route.key.dst.addr, 32, true),
	                "address");
	check(cni_request_send(&pod, &err), &err);
	cni_request_free(&host);
	cni_request_free(&pod);
}

static void floor_del(const struct bench *b)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct cni_request q;
	struct cni_link l;

	check(cni_request_init(&q, b->host, &err), &err);
	check(cni_link_get(&q, "floor0", &l, &err), &err);
	cni_request_add(&q, link_msg_del(q.msg, l.link.index), "remove");
	check(cni_request_send(&q, &err), &err);
	cni_request_free(&q);
}

static void step(const struct bench *b, enum contender who, const char *command, unsigned i)
{
	char ptp[512];
	char *none[] = {NULL};

	switch (who) {
	case WEFT:
		run_cni(b, b->weft_cni, b->conf[0], command, i);
		break;
	case RIVAL:
		snprintf(ptp, sizeof(ptp), "%s/ptp", b->cni_path);
		run_cni(b, ptp, b->conf[1], command, i);
		break;
	case START:
		run("/bin/true", b->conf[0], none);
		break;
	default:
		(*command == 'A' ? floor_add : floor_del)(b);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(double *values, unsigned n, double p)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[(unsigned)(p * (n - 1) + 0.5)];
}

static void report(struct series *s, unsigned n)
{
	double p50[CONTENDERS];

	printf("ADD + DEL, %u rounds in turn, milliseconds (only ratios of one run mean something)\n", n);
	printf("%-30s %9s %9s %9s %9s\n", "", "p50", "p90", "ADD p50", "DEL p50");
	for (int c = 0; c < CONTENDERS; c++) {
		p50[c] = percentile(s[c].both, n, 0.5);
		printf("%-30s %9.2f %9.2f %9.2f %9.2f\n", names[c], p50[c], percentile(s[c].both, n, 0.9),
		       percentile(s[c].add, n, 0.5), percentile(s[c].del, n, 0.5));
	}
	printf("ratio p50 rival / weft-cni: %.2f\n", p50[RIVAL] / p50[WEFT]);
	printf("ratio p50 weft-cni / floor (netlink and two program starts): %.2f\n",
	       p50[WEFT] / (p50[FLOOR] + p50[START]));
	printf("ratio p50 of ADD alone, rival / weft-cni: %.2f\n",
	       percentile(s[RIVAL].add, n, 0.5) / percentile(s[WEFT].add, n, 0.5));
}

static void prepare(struct bench *b, const char *state)
{
	struct weft_err err = WEFT_ERR_INIT;
	char text[2048];

	if (unshare(CLONE_NEWNET) < 0)
		die("unshare: %m");
	b->pod_fd = open("/proc/self/ns/net", O_RDONLY);
	b->pod = netlink_open(&err);
	if (unshare(CLONE_NEWNET) < 0)
		die("unshare: %m");
	b->host_fd = open("/proc/self/ns/net", O_RDONLY);
	b->host = netlink_open(&err);
	if (!b->pod || !b->host)
		die("%s", err.text);
	snprintf(b->netns, sizeof(b->netns), "/proc/%d/fd/%d", (int)getpid(), b->pod_fd);
	snprintf(
	        text, sizeof(text),
	        "{\"cniVersion\":\"1.0.0\",\"name\":\"weft\",\"type\":\"weft-cni\",\"stateDir\":\"%s\",\"mtu\":1480,"
	        "\"families\":[\"4\"]}",
	        state);
	b->conf[0] = memory_file(text);
	snprintf(
	        text, sizeof(text),
	        "{\"cniVersion\":\"1.0.0\",\"name\":\"ptp\",\"type\":\"ptp\",\"mtu\":1480,\"ipam\":{\"type\":"
	        "\"host-local\",\"dataDir\":\"%s/host-local\",\"subnet\":\"10.245.0.0/16\",\"routes\":[{\"dst\":"
	        "\"0.0.0.0/0\"}]}}",
	        state);
	b->conf[1] = memory_file(text);
}

int main(int argc, char **argv)
{
	static struct series series[CONTENDERS];
	struct bench b = {0};
	unsigned rounds = argc == 5 ? (unsigned)atoi(argv[4]) : 0;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("usage: %s WEFT_CNI CNI_PATH STATE_DIR ROUNDS", argv[0]);
	/*
	 * No address randomisation for any of the programs: an emulated processor keeps its translations of
	 * code by address, and randomisation makes it translate each start anew, which real ones don't do.
	 */
	personality(ADDR_NO_RANDOMIZE);
	b.weft_cni = argv[1];
	b.cni_path = argv[2];
	prepare(&b, argv[3]);
	for (unsigned i = 0; i <= rounds; i++) {
		for (unsigned k = 0; k < CONTENDERS; k++) {
			enum contender who = (enum contender)((i + k) % CONTENDERS);
			double start = now(), middle, end;

			step(&b, who, "ADD", i);
			middle = now();
			step(&b, who, "DEL", i);
			end = now();
			if (i == 0) /* the first round warms the caches */
				continue;
			series[who].add[i - 1] = middle - start;
			series[who].del[i - 1] = end - middle;
			series[who].both[i - 1] = end - start;
		}
	}
	report(series, rounds);
	return 0;
}
