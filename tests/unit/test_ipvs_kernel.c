// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPVS and stale UDP flows against the real kernel, in a network namespace of its own. A kernel without
 * ip_vs (some build machines) shows that weft says so and goes on; the rest is named as not run.
 * tests/lab/test_kernel.py runs this same program on a kernel that has it, with WEFT_TEST_IPVS=1: then it
 * must. What is in the kernel is told by ipvsadm, not by our own reading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/apply/conntrack.h"
#include "agent/apply/ipvs.h"
#include "agent/kernel/ct_msg.h"
#include "tests/unit/netns.h"
#include "tests/unit/tmpdir.h"
#include "weft/cleanup.h"
#include "weft/log.h"

static bool owns(void *ctx, const struct svc_virtual_key *key)
{
	(void)ctx;
	if (key->fwmark)
		return key->fwmark >> 24 == 0x57;
	return key->addr.bytes[0] == 10 || key->addr.bytes[0] == 0xfd;
}

static struct ipvs *start(void)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct ipvs *i = ipvs_new(owns, NULL, &err);

	if (!i)
		fail_msg("%s", err.text);
	assert_int_equal(ipvs_resync(i, 0, &err), 0);
	return i;
}

static void apply(struct ipvs *i)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc, turns = 0;

	do {
		rc = ipvs_apply(i, 0, &err);
		assert_true(turns++ < 100);
	} while (rc == 1);
	if (rc)
		fail_msg("%s", err.text);
}

static struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

static struct svc_virtual virtual(const char *text, uint8_t proto, uint16_t port)
{
	struct svc_virtual v = {.scheduler = "rr"};

	memset(&v.key, 0, sizeof(v.key));
	v.key.addr = addr(text);
	v.key.proto = proto;
	v.key.port = port;
	return v;
}

static struct svc_dest dest(const char *text, uint16_t port, uint16_t weight)
{
	return (struct svc_dest){.addr = addr(text), .port = port, .weight = weight};
}

static void want(struct ipvs *i, struct svc_virtual v, const struct svc_dest *d, size_t n)
{
	assert_int_equal(ipvs_want(i, &v, d, n, NULL), 0);
}

#define WANT(i, v, ...)                              \
	want(i, v, (struct svc_dest[]){__VA_ARGS__}, \
	     sizeof((struct svc_dest[]){__VA_ARGS__}) / sizeof(struct svc_dest))

/* `ipvsadm -Sn` prints exactly this. */
static void shows(const char *expected)
{
	char out[8192];

	assert_int_equal(netns_run("ipvsadm -Sn | sed 's/ *$//' | sort", out, sizeof(out)), 0);
	assert_string_equal(out, expected);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(netns_underlay("addr add 10.1.1.5/24 dev eth0\naddr add fd01::5/64 dev eth0 nodad"),
	                 0);
	return 0;
}

static void test_services(void **state)
{
	struct ipvs *i = start();
	struct svc_virtual affine = virtual("10.96.0.2", IPPROTO_TCP, 443),
	                   affine6 = virtual("fd00::2", IPPROTO_UDP, 53), mark = {.scheduler = "mh"};

	(void)state;
	affine.persistence_s = 10800;
	affine6.persistence_s = 60;
	memset(&mark.key, 0, sizeof(mark.key));
	mark.key.addr.family = AF_INET;
	mark.key.fwmark = 0x57000001;
	mark.sched_flags = SVC_SCHED_FALLBACK | SVC_SCHED_PORT;
	WANT(i, virtual("10.96.0.1", IPPROTO_TCP, 80), dest("10.244.0.1", 8080, 1),
	     dest("10.244.0.2", 8081, 1));
	WANT(i, virtual("10.96.0.1", IPPROTO_SCTP, 80), dest("10.244.0.1", 8080, 1));
	WANT(i, affine, dest("10.244.0.3", 443, 1));
	WANT(i, affine6, dest("fd44::1", 53, 1));
	WANT(i, mark, dest("10.244.0.1", 8080, 1));
	apply(i);
	assert_int_equal(ipvs_stats(i).count[IPVS_INSTALLED], 5);
	shows("-A --sctp-service 10.96.0.1:80 -s rr\n"
	      "-A -f 1459617793 -s mh -b mh-fallback,mh-port\n"
	      "-A -t 10.96.0.1:80 -s rr\n"
	      "-A -t 10.96.0.2:443 -s rr -p 10800\n"
	      "-A -u [fd00::2]:53 -s rr -p 60\n"
	      "-a --sctp-service 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1\n"
	      "-a -f 1459617793 -r 10.244.0.1:8080 -m -w 1\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.2:8081 -m -w 1\n"
	      "-a -t 10.96.0.2:443 -r 10.244.0.3:443 -m -w 1\n"
	      "-a -u [fd00::2]:53 -r [fd44::1]:53 -m -w 1\n");
	ipvs_free(i);

	/* S29: a new process adopts all of it without a write. */
	i = start();
	WANT(i, virtual("10.96.0.1", IPPROTO_TCP, 80), dest("10.244.0.1", 8080, 1),
	     dest("10.244.0.2", 8081, 1));
	WANT(i, virtual("10.96.0.1", IPPROTO_SCTP, 80), dest("10.244.0.1", 8080, 1));
	WANT(i, affine, dest("10.244.0.3", 443, 1));
	WANT(i, affine6, dest("fd44::1", 53, 1));
	WANT(i, mark, dest("10.244.0.1", 8080, 1));
	apply(i);
	assert_int_equal(ipvs_stats(i).writes, 0);
	assert_int_equal(ipvs_stats(i).count[IPVS_INSTALLED], 5);

	/* Edits in place. */
	affine.persistence_s = 0;
	strcpy(affine.scheduler, "wrr");
	WANT(i, affine, dest("10.244.0.3", 443, 1));
	WANT(i, virtual("10.96.0.1", IPPROTO_TCP, 80),
	     (struct svc_dest){.addr = addr("10.244.0.1"), .port = 8080, .keep_only = true},
	     dest("10.244.0.4", 8080, 1));
	ipvs_sweep(i);
	ipvs_unwant(i, &affine6.key);
	ipvs_unwant(i, &mark.key);
	apply(i);
	shows("-A --sctp-service 10.96.0.1:80 -s rr\n"
	      "-A -t 10.96.0.1:80 -s rr\n"
	      "-A -t 10.96.0.2:443 -s wrr\n"
	      "-a --sctp-service 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 0\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.4:8080 -m -w 1\n"
	      "-a -t 10.96.0.2:443 -r 10.244.0.3:443 -m -w 1\n");
	assert_int_equal(ipvs_stats(i).writes, 6);
	ipvs_free(i);
}

/* ipvsadm's own entries stay; ours that somebody altered are put right; cleanup takes ours only. */
static void test_foreign(void **state)
{
	struct ipvs *i = start();
	size_t removed;

	(void)state;
	WANT(i, virtual("10.96.0.1", IPPROTO_TCP, 80), dest("10.244.0.1", 8080, 1),
	     dest("10.244.0.2", 8080, 1), dest("10.244.0.3", 80, 1));
	apply(i);
	netns_sh("ipvsadm -A -t 192.0.2.1:80 -s lc && ipvsadm -a -t 192.0.2.1:80 -r 192.0.2.2:80 -g -w 3 && "
	         "ipvsadm -A -f 5 -s rr && ipvsadm -E -t 10.96.0.1:80 -s lc -p 5 -M 255.255.255.0 && "
	         "ipvsadm -e -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 65535 -x 10 && "
	         "ipvsadm -e -t 10.96.0.1:80 -r 10.244.0.3:80 -g -w 1 && "
	         "ipvsadm -d -t 10.96.0.1:80 -r 10.244.0.2:8080 && "
	         "ipvsadm -a -t 10.96.0.1:80 -r 10.244.0.9:8080 -m");
	assert_int_equal(ipvs_resync(i, 0, NULL), 0);
	ipvs_sweep(i);
	apply(i);
	shows("-A -f 5 -s rr\n"
	      "-A -t 10.96.0.1:80 -s rr\n"
	      "-A -t 192.0.2.1:80 -s lc\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 1\n"
	      "-a -t 10.96.0.1:80 -r 10.244.0.3:80 -m -w 1\n"
	      "-a -t 192.0.2.1:80 -r 192.0.2.2:80 -g -w 3\n");
	netns_sh("ipvsadm -D -t 10.96.0.1:80"); /* behind our back: found by the answers */
	WANT(i, virtual("10.96.0.1", IPPROTO_TCP, 80), dest("10.244.0.1", 8080, 2));
	apply(i);
	assert_int_equal(ipvs_stats(i).count[IPVS_INSTALLED], 1);
	ipvs_free(i);
	assert_int_equal(ipvs_cleanup(owns, NULL, &removed, NULL), 0);
	assert_int_equal(removed, 1);
	shows("-A -f 5 -s rr\n"
	      "-A -t 192.0.2.1:80 -s lc\n"
	      "-a -t 192.0.2.1:80 -r 192.0.2.2:80 -g -w 3\n");
}

static void test_unknown_scheduler(void **state)
{
	struct ipvs *i = start();
	struct svc_virtual v = virtual("10.96.0.1", IPPROTO_TCP, 80);
	const char *text;

	(void)state;
	strcpy(v.scheduler, "none-such");
	WANT(i, v, dest("10.244.0.1", 8080, 1));
	apply(i);
	assert_int_equal(ipvs_state_of(i, &v.key, &text), IPVS_FAILED);
	assert_non_null(strstr(text, "modprobe ip_vs_none-such"));
	ipvs_free(i);
}

/* S28, and what weftctl shows of a service. */
static void test_read_and_timeouts(void **state)
{
	struct ipvs *i = start();
	struct ipvs_service_info info;
	struct svc_virtual v = virtual("10.96.0.1", IPPROTO_UDP, 53);
	char out[256], dir[TMPDIR_SIZE], record[TMPDIR_SIZE + 16];

	(void)state;
	tmpdir_make(dir);
	snprintf(record, sizeof(record), "%s/timeouts", dir);
	netns_run("ipvsadm --set 800 100 200", NULL, 0);
	assert_int_equal(ipvs_set_timeouts(i, 86400, 120, 300, record, NULL), 0);
	assert_int_equal(netns_run("ipvsadm -Ln --timeout", out, sizeof(out)), 0);
	assert_string_equal(out, "Timeout (tcp tcpfin udp): 86400 120 300\n");
	assert_int_equal(ipvs_restore_timeouts(i, record, NULL), 1);
	assert_int_equal(netns_run("ipvsadm -Ln --timeout", out, sizeof(out)), 0);
	assert_string_equal(out, "Timeout (tcp tcpfin udp): 800 100 200\n");
	tmpdir_remove(dir);
	assert_int_equal(ipvs_read(i, &v.key, &info, NULL), -ENOENT);
	WANT(i, v, dest("10.244.0.1", 5353, 1), dest("10.244.0.2", 5354, 2));
	apply(i);
	assert_int_equal(ipvs_read(i, &v.key, &info, NULL), 0);
	assert_string_equal(info.service.scheduler, "rr");
	assert_int_equal(info.n, 2);
	assert_int_equal(info.dests[0].weight + info.dests[1].weight, 3);
	ipvs_service_info_free(&info);
	ipvs_free(i);
}

/* More destinations than a batch and a dump's datagram hold. */
static void test_many(void **state)
{
	struct ipvs *i = start();
	struct svc_dest d[1000];

	(void)state;
	for (unsigned n = 0; n < 1000; n++) {
		d[n] = dest("10.244.0.0", 80, 1);
		d[n].addr.bytes[2] = (uint8_t)(n >> 8);
		d[n].addr.bytes[3] = (uint8_t)n;
	}
	for (unsigned n = 0; n < 300; n++)
		want(i, virtual("10.96.0.1", IPPROTO_TCP, (uint16_t)(n + 1)), d, n == 7 ? 1000 : 2);
	apply(i);
	assert_int_equal(ipvs_stats(i).count[IPVS_INSTALLED], 300);
	ipvs_free(i);
	i = start();
	for (unsigned n = 0; n < 300; n++)
		want(i, virtual("10.96.0.1", IPPROTO_TCP, (uint16_t)(n + 1)), d, n == 7 ? 1000 : 2);
	apply(i);
	assert_int_equal(ipvs_stats(i).writes, 0);
	ipvs_free(i);
}

/* --- UDP flows --- */

struct network { /* one family's addresses */
	const char *vip, *other_vip, *a, *b, *client;
};

static const struct network networks[] = {
        {"10.96.0.1", "10.96.0.2", "10.244.0.1", "10.244.0.2", "10.1.1.5"},
        {"fd00::1", "fd00::2", "fd44::1", "fd44::2", "fd01::5"},
};

struct sock {
	struct sockaddr_storage a;
	socklen_t len;
};

static struct sock sock(const char *text, uint16_t port)
{
	struct weft_addr w = addr(text);
	struct sock s = {.len = w.family == AF_INET ? sizeof(struct sockaddr_in)
	                                            : sizeof(struct sockaddr_in6)};

	s.a.ss_family = w.family;
	if (w.family == AF_INET) {
		((struct sockaddr_in *)&s.a)->sin_port = htons(port);
		memcpy(&((struct sockaddr_in *)&s.a)->sin_addr, w.bytes, 4);
	} else {
		((struct sockaddr_in6 *)&s.a)->sin6_port = htons(port);
		memcpy(&((struct sockaddr_in6 *)&s.a)->sin6_addr, w.bytes, 16);
	}
	return s;
}

static int udp(const char *text, uint16_t port)
{
	struct sock s = sock(text, port);
	struct timeval patience = {.tv_usec = 500000};
	int fd = socket(s.a.ss_family, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&s.a, s.len), 0);
	return fd;
}

/* A request from client to text:port that server answers. */
static bool talk(int client, const char *text, uint16_t port, int server)
{
	struct sock s = sock(text, port), from = {.len = sizeof(from.a)};
	char byte = 'x';

	if (sendto(client, &byte, 1, 0, (struct sockaddr *)&s.a, s.len) != 1 ||
	    recvfrom(server, &byte, 1, 0, (struct sockaddr *)&from.a, &from.len) != 1 ||
	    sendto(server, &byte, 1, 0, (struct sockaddr *)&from.a, from.len) != 1)
		return false;
	return recv(client, &byte, 1, 0) == 1;
}

static int count_flow(void *ctx, const struct nlmsghdr *nlh)
{
	struct ct_flow f;

	*(size_t *)ctx += ct_msg_parse(nlh, &f) == 0 ? 1 : 0;
	return 0;
}

static size_t flows(struct netlink *nl, uint8_t family)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	size_t n = 0;
	struct netlink_sink sink = {.msg = count_flow, .ctx = &n};

	assert_int_equal(ct_msg_dump(msg, family), 0);
	assert_int_equal(netlink_dump(nl, msg, &sink, NULL), 0);
	return n;
}

static void prepare(const struct network *n)
{
	char command[512];

	snprintf(command, sizeof(command),
	         "exec ip -batch - <<END\nroute add local %s dev lo\nroute add local %s dev lo\n"
	         "addr add %s/128 dev lo nodad\naddr add %s/128 dev lo nodad\nEND\n",
	         n->vip, n->other_vip, n->a, n->b);
	if (!strchr(n->a, ':'))
		snprintf(command, sizeof(command),
		         "exec ip -batch - <<END\nroute add local %s dev lo\nroute add local %s dev lo\n"
		         "addr add %s/32 dev lo\naddr add %s/32 dev lo\nEND\n",
		         n->vip, n->other_vip, n->a, n->b);
	netns_sh(command);
}

/* Since 5.9 the kernel itself ends the connections of a removed destination, soon: off, to see what we do. */
static void kernel_ends_connections(bool on)
{
	netns_sh(on ? "echo 1 >/proc/sys/net/ipv4/vs/expire_nodest_conn"
	            : "echo 0 >/proc/sys/net/ipv4/vs/expire_nodest_conn");
}

/* S27, H2: the flow of an endpoint that is gone goes, and its client is served elsewhere; all others stay. */
static void flush_flows(struct ipvs *i, const struct network *n)
{
	struct netlink *nl = netlink_open_protocol(NETLINK_NETFILTER, NULL);
	struct svc_virtual v = virtual(n->vip, IPPROTO_UDP, 53),
	                   other = virtual(n->other_vip, IPPROTO_UDP, 53);
	struct svc_dest only_b[] = {dest(n->b, 5353, 1)};
	struct conntrack_service none = {.addr = v.key.addr, .port = 53}, gone = none, both[2];
	int a = udp(n->a, 5353), b = udp(n->b, 5353);
	int client = udp(n->client, 40000), client2 = udp(n->client, 40001), client3 = udp(n->client, 40002);
	size_t deleted = 99;
	bool served = false;

	assert_non_null(nl);
	kernel_ends_connections(false);
	WANT(i, v, dest(n->a, 5353, 1));
	WANT(i, other, dest(n->a, 5353, 1));
	apply(i);
	assert_true(talk(client, n->vip, 53, a));
	assert_true(talk(client2, n->other_vip, 53, a));
	assert_true(talk(client3, n->a, 5353, a)); /* not by a service */
	assert_int_equal(flows(nl, v.key.addr.family), 3);
	want(i, v, only_b, 1);
	apply(i);
	assert_int_equal(conntrack_flush_udp(nl, &none, 1, &deleted, NULL), 0);
	assert_int_equal(deleted, 0);
	gone.serving = only_b;
	gone.n_serving = 1;
	both[0] = both[1] = gone;
	both[1].addr = virtual(strchr(n->vip, ':') ? "192.0.2.53" : "2001:db8::53", IPPROTO_UDP, 53).key.addr;
	assert_int_equal(conntrack_flush_udp(nl, both, 2, &deleted, NULL), 0);
	assert_int_equal(deleted, 1);
	assert_int_equal(flows(nl, v.key.addr.family), 2);
	kernel_ends_connections(true);
	for (int k = 0; k < 5 && !served; k++)
		served = talk(client, n->vip, 53, b);
	assert_true(served);
	assert_true(talk(client2, n->other_vip, 53, a));
	assert_int_equal(conntrack_flush_udp(nl, &gone, 1, &deleted, NULL), 0);
	assert_int_equal(deleted, 0); /* now it is with an endpoint that serves */
	close(a);
	close(b);
	close(client);
	close(client2);
	close(client3);
	netlink_close(nl);
}

static void test_flush(void **state)
{
	struct ipvs *i = start();

	(void)state;
	netns_sh(
	        "cd /proc/sys/net/ipv4/vs && echo 1 >conntrack && "
	        "nft 'table inet t { chain c { type filter hook output priority 0; ct state invalid drop; }; }'");
	for (size_t k = 0; k < WEFT_ARRAY_LEN(networks); k++) {
		prepare(&networks[k]);
		flush_flows(i, &networks[k]);
	}
	ipvs_free(i);
}

/* A kernel without IPVS: nothing fails, all waits, and the text says what to do. */
static void test_no_ipvs(void **state)
{
	struct ipvs *i = start();
	struct weft_err err = WEFT_ERR_INIT;
	struct svc_virtual v = virtual("10.96.0.1", IPPROTO_TCP, 80);
	size_t removed = 1;

	(void)state;
	assert_false(ipvs_available(i, &err));
	assert_non_null(strstr(err.text, "modprobe ip_vs"));
	WANT(i, v, dest("10.244.0.1", 8080, 1));
	apply(i);
	assert_int_equal(ipvs_state_of(i, &v.key, NULL), IPVS_NOT_READY);
	assert_int_equal(ipvs_resync(i, 0, NULL), 0);
	ipvs_free(i);
	assert_int_equal(ipvs_cleanup(owns, NULL, &removed, NULL), 0);
	assert_int_equal(removed, 0);
}

static bool kernel_has_ipvs(void)
{
	struct ipvs *i = ipvs_new(owns, NULL, NULL);
	bool there = i && ipvs_available(i, NULL);

	ipvs_free(i);
	return there;
}

int main(void)
{
	const struct CMUnitTest with[] = {
	        cmocka_unit_test_setup(test_services, setup),
	        cmocka_unit_test_setup(test_foreign, setup),
	        cmocka_unit_test_setup(test_unknown_scheduler, setup),
	        cmocka_unit_test_setup(test_read_and_timeouts, setup),
	        cmocka_unit_test_setup(test_many, setup),
	        cmocka_unit_test_setup(test_flush, setup),
	};
	const struct CMUnitTest without[] = {cmocka_unit_test(test_no_ipvs)};
	bool must = getenv("WEFT_TEST_IPVS") != NULL;

	weft_log_init(WEFT_LOG_ERROR);
	netns_enter();
	if (must || kernel_has_ipvs())
		return cmocka_run_group_tests_name("ipvs", with, NULL, NULL) != 0;
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		printf("not run: %s: this kernel has no IPVS\n", with[i].name);
	return cmocka_run_group_tests_name("no ipvs", without, NULL, NULL) != 0;
}
