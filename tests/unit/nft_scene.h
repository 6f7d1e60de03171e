// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node with two pods and a network, and sockets in all of them, for tests of what happens to packets.
 *
 *	client 10.1.1.100 --+                           +-- one  10.244.0.7
 *	remote 10.244.1.9 --+-- far/eth0  node 10.1.1.1 +-- two  10.244.0.8
 *
 * Devices with the names of the tunnels lead to the far pod and the far node.
 *
 * The node is this process's namespace; client and remote (a pod of another node) live in one more, each pod
 * in its own. A socket belongs to the namespace that its maker was in, so one process plays all of them.
 */
#ifndef WEFT_TESTS_NFT_SCENE_H
#define WEFT_TESTS_NFT_SCENE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "tests/unit/nft_fixture.h"
#include "weft/marks.h"

#define PATIENCE_MS 10000 /* before a test fails; nothing waits that long when it passes */

enum place { NODE, OUTSIDE, ONE, TWO, PLACES };

/* One family's addresses. */
struct world {
	int af;
	const char *node, *client, *remote, *one, *two;
	const char *cluster_ip, *unallocated, *balancer, *local; /* local: externalTrafficPolicy Local */
	const char *any, *client_range, *second;                 /* another address of the node */
	const char *tunnel, *far_pod, *far_node; /* behind weft.ipip or weft.sit, which are no tunnels here */
};

static const struct world worlds[] = {
        {AF_INET, "10.1.1.1", "10.1.1.100", "10.244.1.9", "10.244.0.7", "10.244.0.8", "10.96.0.10",
         "10.96.7.7", "10.20.0.1", "10.20.0.2", "0.0.0.0", "10.1.1.96/28", "10.1.1.2", "10.244.0.1",
         "10.244.2.9", "10.1.3.9"},
        {AF_INET6, "fd01::1", "fd01::64", "fd44:0:0:1::9", "fd44::7", "fd44::8", "fd96::10", "fd96::77",
         "fd20::1", "fd20::2", "::", "fd01::60/124", "fd01::2", "fd44::1", "fd44:0:0:2::9", "fd03::9"},
};

static int spaces[PLACES];
static bool ipvs;
static struct nft *nft;
static const struct world *w;

/* --- the scene --- */

static inline void enter(enum place p)
{
	assert_int_equal(setns(spaces[p], CLONE_NEWNET), 0);
}

static inline int run_in(enum place p, const char *command)
{
	int status;

	enter(p);
	status = netns_run(command, NULL, 0);
	enter(NODE);
	return status;
}

static inline void new_space(enum place p)
{
	if (p != NODE)
		assert_int_equal(unshare(CLONE_NEWNET), 0);
	spaces[p] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(spaces[p] >= 0);
	enter(NODE);
}

static inline void link_pod(enum place p, int number, const char *name)
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

/* A device with a tunnel's name, and what is behind it. */
static inline void link_tunnel(const char *dev, const char *far_dev, const char *far, const char *near,
                               const char *tunnel, const char *net, const char *pod)
{
	const char *family = strchr(far, ':') ? "-6" : "-4", *nodad = strchr(far, ':') ? "nodad" : "";
	int near_len = (int)strcspn(near, "/");
	char command[1024];

	snprintf(
	        command, sizeof(command),
	        "ip link add %s type veth peer name %s netns /proc/%d/fd/%d && exec ip -batch - <<END\n"
	        "link set %s up\naddr add %s dev %s %s\naddr add %s dev %s %s\nroute add %s via %s dev %s\nEND\n",
	        dev, far_dev, (int)getpid(), spaces[OUTSIDE], dev, near, dev, nodad, tunnel, dev, nodad, net,
	        far, dev);
	assert_int_equal(netns_run(command, NULL, 0), 0);
	snprintf(command, sizeof(command),
	         "exec ip %s -batch - <<END\nlink set %s up\naddr add %s%s dev %s %s\naddr add %s dev %s %s\n"
	         "route add default via %.*s dev %s table 100\nrule add from %s lookup 100\nEND\n",
	         family, far_dev, far, near + near_len, far_dev, nodad, pod, far_dev, nodad, near_len, near,
	         far_dev, far);
	assert_int_equal(run_in(OUTSIDE, command), 0);
}

static inline void write_setting(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static inline int build(void **state)
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
	         "addr add fd01::1/64 dev eth0 nodad\naddr add 10.1.1.2/32 dev eth0\n"
	         "addr add fd01::2/128 dev eth0 nodad\nroute add 10.244.1.0/24 via 10.1.1.100\n"
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
	link_tunnel(WEFT_DEV_IPIP, "tun4", "10.1.3.9", "10.1.3.1/24", "10.244.0.1", "10.244.2.0/24",
	            "10.244.2.9");
	link_tunnel(WEFT_DEV_SIT, "tun6", "fd03::9", "fd03::1/64", "fd44::1", "fd44:0:0:2::/64",
	            "fd44:0:0:2::9");
	link_pod(ONE, 7, "one");
	link_pod(TWO, 8, "two");
	ipvs = netns_run("exec ipvsadm -C 2>/dev/null", NULL, 0) == 0;
	if (ipvs)
		write_setting("ipv4/vs/conntrack", "1");
	return 0;
}

/* --- weft's table --- */

static inline struct nft_shape shape_of_services(void)
{
	struct nft_shape s = {.tunnel4 = addr("10.244.0.1"),
	                      .tunnel6 = addr("fd44::1"),
	                      .services = true,
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

/* A table with the shape and four VIPs, and none. */
static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline struct sock_addr socket_address(const char *text, uint16_t port)
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

static inline int new_socket(enum place p, int type, const char *from, uint16_t port)
{
	struct sock_addr a = socket_address(from ? from : w->any, port);
	int fd, one = 1;

	enter(p);
	fd = socket(w->af, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enter(NODE);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (w->af == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one,
		           sizeof(one)); /* a VIP is no address of the node */
	}
	assert_int_equal(bind(fd, (struct sockaddr *)&a.sa, a.len), 0);
	return fd;
}

static inline int serve(enum place p, uint16_t port)
{
	int fd = new_socket(p, SOCK_STREAM, NULL, port);

	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static inline int dial(enum place p, int type, const char *from, const char *to, uint16_t port)
{
	struct sock_addr a = socket_address(to, port);
	int fd = new_socket(p, type, from, 0);

	if (connect(fd, (struct sockaddr *)&a.sa, a.len) < 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
		fail_msg("connect to %s: %s", to, strerror(errno));
	return fd;
}

static inline int ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, PATIENCE_MS);
}

/* The errno that a connection ends with; ETIMEDOUT = no answer. */
static inline int outcome(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (ready(fd, POLLOUT) != 1)
		return ETIMEDOUT;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error;
}

static inline void refused_tcp(enum place p, const char *from, const char *to, uint16_t port)
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

static inline void refused_udp(enum place p, const char *to, uint16_t port)
{
	int fd = dial(p, SOCK_DGRAM, NULL, to, port);
	char c;

	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(ready(fd, POLLIN), 1);
	assert_int_equal(recv(fd, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static inline void refused(enum place p, const char *to, uint16_t port)
{
	refused_tcp(p, NULL, to, port);
	refused_udp(p, to, port);
}

/* How many packets did the rules with this text in this chain of a table count? */
static inline unsigned counted_in(const char *table, const char *chain, const char *text)
{
	char command[128], *line, *save = NULL;
	static char out[16 * 1024];
	unsigned sum = 0, packets;

	snprintf(command, sizeof(command), "nft list chain inet %s %s", table, chain);
	netns_run(command, out, sizeof(out));
	for (line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(line, "counter packets ");

		if (at && strstr(line, text) && sscanf(at, "counter packets %u", &packets) == 1)
			sum += packets;
	}
	return sum;
}

static inline unsigned counted(const char *chain, const char *text)
{
	return counted_in("weft", chain, text);
}

/* A packet is sent, and counted where it is dropped; nobody hears of it. */
static inline void dropped(enum place p, const char *to, uint16_t port, const char *text)
{
	unsigned before = counted("judge", text);
	int fd = dial(p, SOCK_STREAM, NULL, to, port);
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	for (int i = 0; i < 200 && counted("judge", text) == before; i++) /* each asks nft */
		;
	assert_true(counted("judge", text) > before);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	close(fd);
}

/* Who does the listener see? Keeps the connection in *kept, if that is asked for. */
static inline const char *seen_source(int listener, enum place p, const char *from, const char *to,
                                      uint16_t port, int kept[2])
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

#endif
