// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the rules of Services do to packets, with and without IPVS behind them, in both families.
 *
 *	client 10.1.1.100 --+                           +-- one  10.244.0.7
 *	remote 10.244.1.9 --+-- far/eth0  node 10.1.1.1 +-- two  10.244.0.8
 *
 * The node is this process's namespace; client and remote (a pod of another node) live in one more, each pod
 * in its own. A socket belongs to the namespace that its maker was in, so one process plays all of them.
 * Without IPVS in the kernel the tests that need it are left out and named;
 * tests/lab/test_kernel.py runs them on one that has it, with WEFT_TEST_IPVS=1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "tests/unit/nft_fixture.h"

#define PATIENCE_MS 10000 /* before a test fails; nothing waits that long when it passes */
#define MARK        0x57000001

enum place { NODE, OUTSIDE, ONE, TWO, PLACES };

/* One family's addresses. */
struct world {
	int af;
	const char *node, *client, *remote, *one, *two;
	const char *cluster_ip, *unallocated, *balancer, *local; /* local: externalTrafficPolicy Local */
	const char *any, *client_range;
};

static const struct world worlds[] = {
        {AF_INET, "10.1.1.1", "10.1.1.100", "10.244.1.9", "10.244.0.7", "10.244.0.8", "10.96.0.10",
         "10.96.7.7", "10.20.0.1", "10.20.0.2", "0.0.0.0", "10.1.1.96/28"},
        {AF_INET6, "fd01::1", "fd01::64", "fd44:0:0:1::9", "fd44::7", "fd44::8", "fd96::10", "fd96::77",
         "fd20::1", "fd20::2", "::", "fd01::60/124"},
};

static int spaces[PLACES];
static bool ipvs;
static struct nft *nft;
static const struct world *w;

/* --- the scene --- */

static void enter(enum place p)
{
	assert_int_equal(setns(spaces[p], CLONE_NEWNET), 0);
}

static int run_in(enum place p, const char *command)
{
	int status;

	enter(p);
	status = netns_run(command, NULL, 0);
	enter(NODE);
	return status;
}

static void new_space(enum place p)
{
	if (p != NODE)
		assert_int_equal(unshare(CLONE_NEWNET), 0);
	spaces[p] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(spaces[p] >= 0);
	enter(NODE);
}

static void link_pod(enum place p, int number, const char *name)
{
	char command[1024];

	snprintf(
	        command, sizeof(command),
	        "ip link add weft%d type veth peer name eth0 netns /proc/%d/fd/%d && exec ip -batch - <<END\n"
	        "link set weft%d up\naddr add 169.254.1.1/32 dev weft%d\naddr add fe80::1/64 dev weft%d nodad\n"
	        "route add 10.244.0.%d dev weft%d\nroute add fd44::%d dev weft%d\nEND\n",
	        number, (int)getpid(), spaces[p], number, number, number, number, number, number, number);
	assert_int_equal(netns_run(command, NULL, 0), 0);
	snprintf(
	        command, sizeof(command),
	        "exec ip -batch - <<END\nlink set lo up\nlink set eth0 up\naddr add 10.244.0.%d/32 dev eth0\n"
	        "addr add fd44::%d/128 dev eth0 nodad\nroute add 169.254.1.1 dev eth0\n"
	        "route add default via 169.254.1.1\nroute add default via fe80::1 dev eth0\nEND\n",
	        number, number);
	if (run_in(p, command))
		fail_msg("pod %s", name);
}

static void write_setting(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static int build(void **state)
{
	char command[256];

	(void)state;
	netns_enter();
	for (int p = NODE; p < PLACES; p++)
		new_space((enum place)p);
	snprintf(command, sizeof(command), "ip link add eth0 type veth peer name far netns /proc/%d/fd/%d",
	         (int)getpid(), spaces[OUTSIDE]);
	netns_sh(command);
	write_setting("ipv4/ip_forward", "1");
	write_setting("ipv6/conf/all/forwarding", "1");
	netns_sh("exec ip -batch - <<END\nlink set lo up\nlink set eth0 up\naddr add 10.1.1.1/24 dev eth0\n"
	         "addr add fd01::1/64 dev eth0 nodad\nroute add 10.244.1.0/24 via 10.1.1.100\n"
	         "route add fd44:0:0:1::/64 via fd01::64\n"
	         "route add local 10.96.0.0/16 dev lo src 10.1.1.1 table local\n"
	         "route add local 10.20.0.0/24 dev lo src 10.1.1.1 table local\n"
	         "route add local fd96::/112 dev lo src fd01::1 table local\n"
	         "route add local fd20::/64 dev lo src fd01::1 table local\nEND\n");
	assert_int_equal(run_in(OUTSIDE,
	                        "exec ip -batch - <<END\nlink set lo up\nlink set far up\n"
	                        "addr add 10.1.1.100/24 dev far\naddr add fd01::64/64 dev far nodad\n"
	                        "addr add 10.244.1.9/32 dev far\naddr add fd44:0:0:1::9/128 dev far nodad\n"
	                        "route add default via 10.1.1.1 src 10.1.1.100\n"
	                        "route add default via fd01::1 src fd01::64\nEND\n"),
	                 0);
	link_pod(ONE, 7, "one");
	link_pod(TWO, 8, "two");
	ipvs = netns_run("exec ipvsadm -C 2>/dev/null", NULL, 0) == 0;
	if (ipvs)
		write_setting("ipv4/vs/conntrack", "1");
	return 0;
}

static struct nft_shape shape_of_services(void)
{
	struct nft_shape s = {.services = true,
	                      .node4 = addr("10.1.1.1"),
	                      .node6 = addr("fd01::1"),
	                      .n_service_cidrs = 2,
	                      .n_pod_cidrs = 2};

	s.service_cidrs[0] = prefix("10.96.0.0/16");
	s.service_cidrs[1] = prefix("fd96::/112");
	s.pod_cidrs[0] = prefix("10.244.0.0/16");
	s.pod_cidrs[1] = prefix("fd44::/48");
	return s;
}

static int setup(void **state)
{
	struct nft_shape shape = shape_of_services();

	(void)state;
	nft = nft_new(NULL, NULL);
	assert_non_null(nft);
	nft_want(nft, &shape);
	for (int i = 0; i < 2; i++) {
		want(nft, element(SVC_SET_VIP, worlds[i].balancer, 0));
		want(nft, element(SVC_SET_VIP, worlds[i].local, 0));
	}
	apply(nft);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nft_free(nft);
	return netns_run(ipvs ? "nft flush ruleset; ipvsadm -C" : "nft flush ruleset", NULL, 0);
}

/* --- sockets --- */

struct sock_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

static struct sock_addr socket_address(const char *text, uint16_t port)
{
	struct sock_addr a = {0};

	if (w->af == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		inet_pton(AF_INET, text, &in->sin_addr);
		a.len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a.sa;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(port);
		inet_pton(AF_INET6, text, &in->sin6_addr);
		a.len = sizeof(*in);
	}
	return a;
}

static int new_socket(enum place p, int type, const char *from, uint16_t port)
{
	struct sock_addr a = socket_address(from ? from : w->any, port);
	int fd, one = 1;

	enter(p);
	fd = socket(w->af, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enter(NODE);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (w->af == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&a.sa, a.len), 0);
	return fd;
}

static int serve(enum place p, uint16_t port)
{
	int fd = new_socket(p, SOCK_STREAM, NULL, port);

	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int dial(enum place p, int type, const char *from, const char *to, uint16_t port)
{
	struct sock_addr a = socket_address(to, port);
	int fd = new_socket(p, type, from, 0);

	if (connect(fd, (struct sockaddr *)&a.sa, a.len) < 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
		fail_msg("connect to %s: %s", to, strerror(errno));
	return fd;
}

static int ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, PATIENCE_MS);
}

/* The errno that a connection ends with; ETIMEDOUT = no answer. */
static int outcome(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (ready(fd, POLLOUT) != 1)
		return ETIMEDOUT;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error;
}

static void refused_tcp(enum place p, const char *from, const char *to, uint16_t port)
{
	struct sock_addr a = socket_address(to, port);
	int fd = new_socket(p, SOCK_STREAM, from, 0), error = 0;

	if (connect(fd, (struct sockaddr *)&a.sa, a.len) < 0)
		error = errno;
	if (error == EINPROGRESS)
		error = outcome(fd);
	close(fd);
	if (error != ECONNREFUSED)
		fail_msg("%s port %u from %d: %s", to, port, p, strerror(error));
}

static void refused_udp(enum place p, const char *to, uint16_t port)
{
	int fd = dial(p, SOCK_DGRAM, NULL, to, port);
	char c;

	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(ready(fd, POLLIN), 1);
	assert_int_equal(recv(fd, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void refused(enum place p, const char *to, uint16_t port)
{
	refused_tcp(p, NULL, to, port);
	refused_udp(p, to, port);
}

/* How many packets did the rules with this text in this chain count? */
static unsigned counted(const char *chain, const char *text)
{
	char command[128], *line, *save = NULL;
	static char out[16 * 1024];
	unsigned sum = 0, packets;

	snprintf(command, sizeof(command), "nft list chain inet weft %s", chain);
	netns_run(command, out, sizeof(out));
	for (line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(line, "counter packets ");

		if (at && strstr(line, text) && sscanf(at, "counter packets %u", &packets) == 1)
			sum += packets;
	}
	return sum;
}

/* A packet is sent, and counted where it is dropped; nobody hears of it. */
static void dropped(enum place p, const char *to, uint16_t port, const char *text)
{
	unsigned before = counted("judge", text);
	int fd = dial(p, SOCK_STREAM, NULL, to, port);
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	for (int i = 0; i < PATIENCE_MS && counted("judge", text) == before; i++)
		;
	assert_true(counted("judge", text) > before);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	close(fd);
}

/* Who does the listener see? Keeps the connection in *kept, if that is asked for. */
static const char *seen_source(int listener, enum place p, const char *from, const char *to, uint16_t port,
                               int kept[2])
{
	static char text[INET6_ADDRSTRLEN];
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	int fd = dial(p, SOCK_STREAM, from, to, port), peer, error = outcome(fd);

	if (error)
		fail_msg("%s port %u from %s: %s", to, port, from, strerror(error));
	if (ready(listener, POLLIN) != 1)
		fail_msg("%s port %u from %s came to another listener", to, port, from);
	peer = accept(listener, (struct sockaddr *)&sa, &len);
	assert_true(peer >= 0);
	inet_ntop(w->af,
	          w->af == AF_INET ? (void *)&((struct sockaddr_in *)&sa)->sin_addr
	                           : (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr,
	          text, sizeof(text));
	if (kept) {
		kept[0] = fd;
		kept[1] = peer;
	} else {
		close(fd);
		close(peer);
	}
	return text;
}

#define SEES(listener, place, from, to, port, source) \
	assert_string_equal(seen_source(listener, place, from, to, port, NULL), source)

#define FOR_BOTH_FAMILIES for (w = worlds; w < worlds + 2; w++)

/* --- without IPVS: what nobody serves --- */

static void daemons_of_the_host_are_on_no_vip(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int daemon = serve(NODE, 8080), udp = new_socket(NODE, SOCK_DGRAM, NULL, 8080);
		const char *vips[] = {w->cluster_ip, w->unallocated, w->balancer};

		SEES(daemon, OUTSIDE, w->client, w->node, 8080, w->client);
		SEES(daemon, NODE, w->node, w->node, 8080, w->node);
		SEES(daemon, ONE, w->one, w->node, 8080, w->one);
		for (size_t i = 0; i < 3; i++) { /* H1, S16, S17, S14 */
			refused(OUTSIDE, vips[i], 8080);
			refused(NODE, vips[i], 8080);
			refused(ONE, vips[i], 8080);
		}
		close(daemon);
		close(udp);
	}
}

static void vips_answer_to_ping(void **state)
{
	char command[128];

	(void)state;
	FOR_BOTH_FAMILIES
	{
		snprintf(command, sizeof(command), "exec ping -nqc 1 -W 10 %s >/dev/null", w->cluster_ip);
		assert_int_equal(run_in(OUTSIDE, command), 0);
		assert_int_equal(run_in(ONE, command), 0);
		snprintf(command, sizeof(command), "exec ping -nqc 1 -W 10 %s >/dev/null", w->balancer);
		assert_int_equal(run_in(NODE, command), 0);
	}
}

/* The node's neighbours are found anew with the table in place, and a VIP may be asked for. */
static void neighbours_are_found(void **state)
{
	(void)state;
	w = &worlds[1];
	netns_sh("ip neigh flush all");
	assert_int_equal(run_in(OUTSIDE, "ip neigh flush all; exec ping -nqc 1 -W 10 fd44::7 >/dev/null"), 0);
}

static void local_policy_without_local_endpoints_drops(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int daemon = serve(NODE, 30001);

		want(nft, element(SVC_SET_DROP, w->local, 80));
		want(nft, element(SVC_SET_DROP, w->node, 30001));
		apply(nft);
		dropped(OUTSIDE, w->local, 80, "policy Local"); /* S15 */
		dropped(ONE, w->local, 80, "policy Local");
		dropped(NODE, w->local, 80, "policy Local");
		dropped(OUTSIDE, w->node, 30001, "policy Local");
		refused(OUTSIDE, w->local, 81); /* on that policy's destinations only */
		refused_udp(OUTSIDE, w->local, 80);
		close(daemon);
	}
}

static void node_ports_without_endpoints_are_refused(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int daemon = serve(NODE, 30002);

		SEES(daemon, OUTSIDE, w->client, w->node, 30002, w->client);
		want(nft, element(SVC_SET_REFUSE, w->node, 30002)); /* S14 */
		apply(nft);
		refused_tcp(OUTSIDE, NULL, w->node, 30002);
		refused_tcp(NODE, NULL, w->node, 30002);
		refused_tcp(ONE, NULL, w->node, 30002);
		close(daemon);
	}
}

/* Without a backend, who is let in is refused, and who is not hears nothing. */
static void source_ranges(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		const char *refusing = "not in loadBalancerSourceRanges";

		want(nft, element(SVC_SET_RANGED, w->balancer, 80)); /* S20 */
		apply(nft);
		dropped(OUTSIDE, w->balancer, 80, refusing);
		want(nft, range(w->balancer, 80, w->client_range));
		apply(nft);
		refused_tcp(OUTSIDE, w->client, w->balancer, 80);
		dropped(ONE, w->balancer, 80, refusing);  /* pods, too */
		dropped(NODE, w->balancer, 80, refusing); /* and the node itself */
		refused_tcp(ONE, NULL, w->balancer, 81);
		want(nft, range(w->balancer, 80, w->af == AF_INET ? "10.1.1.1/32" : "fd01::1/128"));
		apply(nft);
		refused_tcp(NODE, NULL, w->balancer, 80);
		want(nft, range(w->balancer, 80, w->af == AF_INET ? "0.0.0.0/0" : "::/0"));
		apply(nft);
		refused_tcp(ONE, NULL, w->balancer, 80);
	}
}

/* --- with IPVS --- */

static void ipvsadm(const char *fmt, const char *vip, uint16_t port, const char *rest)
{
	const char *open = w->af == AF_INET ? "" : "[", *close = w->af == AF_INET ? "" : "]";
	char command[256];

	snprintf(command, sizeof(command), "exec ipvsadm %s %s%s%s:%u %s", fmt, open, vip, close, port, rest);
	if (netns_run(command, NULL, 0))
		fail_msg("%s", command);
}

/* A service with one destination, port 8080. */
static void balance(const char *protocol, const char *vip, uint16_t port, const char *to, unsigned weight)
{
	const char *open = w->af == AF_INET ? "" : "[", *close = w->af == AF_INET ? "" : "]";
	char option[8], rest[128];

	snprintf(option, sizeof(option), "-A %s", protocol);
	ipvsadm(option, vip, port, "-s rr");
	snprintf(option, sizeof(option), "-a %s", protocol);
	snprintf(rest, sizeof(rest), "-r %s%s%s:8080 -m -w %u", open, to, close, weight);
	ipvsadm(option, vip, port, rest);
}

/* The cluster set of a destination with policy Local. */
static void balance_mark(const char *to)
{
	const char *six = w->af == AF_INET ? "" : "-6";
	char command[256];

	snprintf(command, sizeof(command),
	         w->af == AF_INET ? "ipvsadm -A -f %u %s -s rr && exec ipvsadm -a -f %u %s -r %s:8080 -m"
	                          : "ipvsadm -A -f %u %s -s rr && exec ipvsadm -a -f %u %s -r [%s]:8080 -m",
	         MARK, six, MARK, six, to);
	netns_sh(command);
}

static void cluster_ip(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080), daemon = serve(NODE, 81);

		balance("-t", w->cluster_ip, 80, w->two, 1);
		SEES(two, ONE, w->one, w->cluster_ip, 80, w->one); /* S21: pods of the cluster */
		SEES(two, OUTSIDE, w->remote, w->cluster_ip, 80, w->remote);
		SEES(two, NODE, w->node, w->cluster_ip, 80, w->node);
		SEES(two, OUTSIDE, w->client, w->cluster_ip, 80, w->node);
		refused(OUTSIDE, w->cluster_ip, 81); /* S16 */
		refused(NODE, w->cluster_ip, 81);
		close(two);
		close(daemon);
	}
}

static void masquerade_all(void **state)
{
	struct nft_shape shape = shape_of_services();

	(void)state;
	shape.masquerade_all = true;
	nft_want(nft, &shape);
	apply(nft);
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080);

		balance("-t", w->cluster_ip, 80, w->two, 1);
		balance("-t", w->balancer, 80, w->two, 1);
		SEES(two, ONE, w->one, w->cluster_ip, 80, w->node);
		SEES(two, OUTSIDE, w->remote, w->cluster_ip, 80, w->node);
		SEES(two, NODE, w->node, w->cluster_ip, 80, w->node);
		SEES(two, OUTSIDE, w->client, w->cluster_ip, 80, w->node);
		SEES(two, ONE, w->one, w->balancer, 80, w->one); /* ClusterIPs only */
		close(two);
	}
}

static void udp_is_masqueraded(int listener, const char *to)
{
	struct sockaddr_storage sa = {0};
	struct sock_addr node = socket_address(w->node, 0);
	socklen_t len = sizeof(sa);
	int fd = dial(OUTSIDE, SOCK_DGRAM, w->client, to, 80);
	char c;

	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(ready(listener, POLLIN), 1);
	assert_int_equal(recvfrom(listener, &c, 1, 0, (struct sockaddr *)&sa, &len), 1);
	if (w->af == AF_INET)
		assert_memory_equal(&((struct sockaddr_in *)&sa)->sin_addr,
		                    &((struct sockaddr_in *)&node.sa)->sin_addr, 4);
	else
		assert_memory_equal(&((struct sockaddr_in6 *)&sa)->sin6_addr,
		                    &((struct sockaddr_in6 *)&node.sa)->sin6_addr, 16);
	assert_int_equal(sendto(listener, "y", 1, 0, (struct sockaddr *)&sa, len), 1);
	assert_int_equal(ready(fd, POLLIN), 1);
	assert_int_equal(recv(fd, &c, 1, 0),
	                 1); /* and the answer comes from the VIP: the socket is connected */
	close(fd);
}

static void cluster_policy(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080), udp = new_socket(TWO, SOCK_DGRAM, NULL, 8080);
		struct svc_element masq = element(SVC_SET_MASQ, w->balancer, 80);

		balance("-t", w->balancer, 80, w->two, 1);
		balance("-u", w->balancer, 80, w->two, 1);
		balance("-t", w->node, 30003, w->two, 1);
		want(nft, masq);
		want(nft, element(SVC_SET_MASQ, w->node, 30003));
		masq.proto = IPPROTO_UDP;
		want(nft, masq);
		apply(nft);
		SEES(two, OUTSIDE, w->client, w->balancer, 80, w->node); /* S21: from outside, always */
		SEES(two, OUTSIDE, w->remote, w->balancer, 80, w->node);
		SEES(two, OUTSIDE, w->client, w->node, 30003, w->node); /* H2: no DNAT status to look at */
		SEES(two, ONE, w->one, w->balancer, 80, w->one);
		SEES(two, NODE, w->node, w->balancer, 80, w->node);
		udp_is_masqueraded(udp, w->balancer);
		close(two);
		close(udp);
	}
}

/* S18, H7: the node and its pods have all endpoints, others the local one, and all keep their source. */
static void local_policy(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080), remote = serve(OUTSIDE, 8080);

		balance("-t", w->local, 80, w->two, 1);
		balance_mark(w->remote);
		want(nft, etpl(w->local, 80, MARK));
		apply(nft);
		SEES(two, OUTSIDE, w->client, w->local, 80, w->client);
		SEES(two, OUTSIDE, w->remote, w->local, 80, w->remote);
		SEES(remote, ONE, w->one, w->local, 80, w->one);
		SEES(remote, NODE, w->node, w->local, 80, w->node);
		/* None is left here: that concerns those from outside. */
		ipvsadm("-D -t", w->local, 80, "");
		want(nft, element(SVC_SET_DROP, w->local, 80));
		apply(nft);
		dropped(OUTSIDE, w->local, 80, "policy Local"); /* S15 */
		SEES(remote, ONE, w->one, w->local, 80, w->one);
		SEES(remote, NODE, w->node, w->local, 80, w->node);
		close(two);
		close(remote);
	}
}

/* The mark of a packet that is to none of these destinations is somebody's, and stays (H8). */
static void marks_of_others_stay(void **state)
{
	char out[4096];

	(void)state;
	netns_sh("exec nft -f - <<END\n"
	         "table inet theirs {\n"
	         " chain before { type filter hook prerouting priority -200; meta mark set 0x42; }\n"
	         " chain after { type filter hook prerouting priority 0; meta mark 0x42 counter; }\n"
	         " chain ours { type filter hook prerouting priority 0; meta mark 0x57000001 counter; }\n"
	         "}\nEND\n");
	FOR_BOTH_FAMILIES
	{
		want(nft, etpl(w->local, 80, MARK));
		apply(nft);
		refused_tcp(ONE, NULL, w->local, 81);
		refused_tcp(OUTSIDE, NULL, w->local, 80); /* not a pod of this node */
		netns_run("nft list chain inet theirs ours", out, sizeof(out));
		assert_non_null(strstr(out, "counter packets 0 "));
		refused_tcp(ONE, NULL, w->local, 80); /* IPVS has no service for the mark */
		netns_run("nft list chain inet theirs ours", out, sizeof(out));
		assert_non_null(strstr(out, "counter packets 1 "));
		netns_run("nft list chain inet theirs after", out, sizeof(out));
		assert_null(strstr(out, "counter packets 0 "));
		netns_sh("nft reset counters >/dev/null; nft flush chain inet theirs ours; "
		         "nft add rule inet theirs ours meta mark 0x57000001 counter");
	}
	netns_sh("nft delete table inet theirs");
}

static void hairpin(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int one = serve(ONE, 8080);

		balance("-t", w->cluster_ip, 80, w->one, 1);
		want(nft, element(SVC_SET_HAIRPIN, w->one, 0));
		apply(nft);
		SEES(one, ONE, w->one, w->cluster_ip, 80, w->node); /* S21 */
		SEES(one, TWO, w->two, w->cluster_ip, 80, w->two);
		close(one);
	}
}

static void talk(const int kept[2])
{
	char c;

	assert_int_equal(send(kept[0], "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(ready(kept[1], POLLIN), 1);
	assert_int_equal(recv(kept[1], &c, 1, 0), 1);
	assert_int_equal(send(kept[1], "y", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(ready(kept[0], POLLIN), 1);
	assert_int_equal(recv(kept[0], &c, 1, 0), 1);
}

/* What is judged is judged when a connection begins (S20); the table may be replaced under it (S29). */
static void established_connections_go_on(void **state)
{
	struct nft_shape other = shape_of_services();

	(void)state;
	other.n_pod_cidrs = 0;
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080), outside[2], pod[2], own[2];

		balance("-t", w->local, 80, w->two, 1);
		seen_source(two, OUTSIDE, w->client, w->local, 80, outside);
		seen_source(two, ONE, w->one, w->local, 80, pod);
		seen_source(two, NODE, w->node, w->local, 80, own);
		want(nft, element(SVC_SET_DROP, w->local, 80));
		want(nft, element(SVC_SET_REFUSE, w->local, 80));
		want(nft, element(SVC_SET_RANGED, w->local, 80));
		apply(nft);
		nft_want(nft, &other);
		apply(nft);
		dropped(OUTSIDE, w->local, 80, "not in");
		talk(outside);
		talk(pod);
		talk(own);
		close(two);
		for (int i = 0; i < 2; i++) {
			close(outside[i]);
			close(pod[i]);
			close(own[i]);
		}
	}
}

/* Endpoints that finish what they have are weight 0: IPVS would refuse, even before the packet is on its way
 * in. */
static void own_connections_are_dropped_before_ipvs(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		balance("-t", w->cluster_ip, 80, w->two, 0);
		want(nft,
		     element(SVC_SET_DROP, w->cluster_ip, 80)); /* internalTrafficPolicy Local (S15, S19) */
		apply(nft);
		dropped(NODE, w->cluster_ip, 80, "policy Local");
		dropped(ONE, w->cluster_ip, 80, "policy Local");
		dropped(OUTSIDE, w->cluster_ip, 80, "policy Local");
	}
}

static void ranges_of_a_served_balancer(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080);

		balance("-t", w->balancer, 80, w->two, 1);
		want(nft, element(SVC_SET_RANGED, w->balancer, 80));
		want(nft, range(w->balancer, 80, w->client_range));
		apply(nft);
		SEES(two, OUTSIDE, w->client, w->balancer, 80, w->client);
		dropped(NODE, w->balancer, 80, "not in"); /* IPVS would take it in output */
		dropped(ONE, w->balancer, 80, "not in");
		close(two);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest any_kernel[] = {
	        T(daemons_of_the_host_are_on_no_vip),
	        T(vips_answer_to_ping),
	        T(neighbours_are_found),
	        T(local_policy_without_local_endpoints_drops),
	        T(node_ports_without_endpoints_are_refused),
	        T(source_ranges),
	        T(marks_of_others_stay),
	};
	const struct CMUnitTest with_ipvs[] = {
	        T(cluster_ip),
	        T(masquerade_all),
	        T(cluster_policy),
	        T(local_policy),
	        T(hairpin),
	        T(established_connections_go_on),
	        T(own_connections_are_dropped_before_ipvs),
	        T(ranges_of_a_served_balancer),
	};
	bool must = getenv("WEFT_TEST_IPVS") != NULL; /* then all of it runs, or fails */
	int failed = cmocka_run_group_tests_name("any kernel", any_kernel, build, NULL);

	if (must || ipvs)
		return failed + cmocka_run_group_tests_name("IPVS", with_ipvs, NULL, NULL);
	for (size_t i = 0; i < sizeof(with_ipvs) / sizeof(with_ipvs[0]); i++)
		printf("not run: %s: this kernel has no IPVS\n", with_ipvs[i].name);
	return failed;
}
