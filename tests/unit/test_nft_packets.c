// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the rules of Services do to packets, with and without IPVS behind them, in both families. Without IPVS
 * in the kernel the tests that need it are left out and named; tests/lab/test_kernel.py runs them on one that
 * has it, with WEFT_TEST_IPVS=1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/nft_scene.h"

#define MARK 0x57000001

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

/* What the node began itself, with such an address, comes back to it. */
static void replies_to_own_flows_are_let_in(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int server = serve(OUTSIDE, 8080);

		SEES(server, NODE, w->balancer, w->client, 8080, w->balancer);
		close(server);
	}
}

/* Fabrics drop pod sources that come from elsewhere: own traffic has the tunnel's address there. */
static void own_traffic_into_a_tunnel(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int server = serve(OUTSIDE, 8080);

		SEES(server, NODE, w->node, w->far_pod, 8080, w->tunnel);
		SEES(server, ONE, w->one, w->far_pod, 8080, w->one);
		close(server);
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
		SEES(two, NODE, w->second, w->balancer, 80, w->second);
		udp_is_masqueraded(udp, w->balancer);
		close(two);
		close(udp);
	}
}

static void endpoints_behind_a_tunnel(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int far = serve(OUTSIDE, 8080);

		balance("-t", w->balancer, 80, w->far_pod, 1);
		balance("-t", w->cluster_ip, 80, w->far_pod, 1);
		want(nft, element(SVC_SET_MASQ, w->balancer, 80));
		apply(nft);
		SEES(far, OUTSIDE, w->client, w->balancer, 80, w->tunnel);
		SEES(far, OUTSIDE, w->client, w->cluster_ip, 80, w->tunnel);
		SEES(far, NODE, w->node, w->cluster_ip, 80, w->tunnel);
		SEES(far, ONE, w->one, w->balancer, 80, w->one);
		close(far);
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

/* S18, H7: the node and its pods have all endpoints, others the local one, and all keep their source. */
static void local_policy(void **state)
{
	(void)state;
	FOR_BOTH_FAMILIES
	{
		int two = serve(TWO, 8080), remote = serve(OUTSIDE, 8080), pod[2], own[2];

		balance("-t", w->local, 80, w->two, 1);
		balance_mark(w->remote);
		want(nft, etpl(w->local, 80, MARK));
		apply(nft);
		SEES(two, OUTSIDE, w->client, w->local, 80, w->client);
		SEES(two, OUTSIDE, w->remote, w->local, 80, w->remote);
		SEES(remote, ONE, w->one, w->local, 80, w->one);
		SEES(remote, NODE, w->node, w->local, 80, w->node);
		/* The mark is for those that begin: the others go on where they are. */
		seen_source(remote, ONE, w->one, w->local, 80, pod);
		seen_source(remote, NODE, w->node, w->local, 80, own);
		talk(pod);
		talk(own);
		/* None is left here: that concerns those from outside. */
		ipvsadm("-D -t", w->local, 80, "");
		want(nft, element(SVC_SET_DROP, w->local, 80));
		apply(nft);
		dropped(OUTSIDE, w->local, 80, "policy Local"); /* S15 */
		SEES(remote, ONE, w->one, w->local, 80, w->one);
		SEES(remote, NODE, w->node, w->local, 80, w->node);
		talk(pod);
		talk(own);
		close(two);
		close(remote);
		for (int i = 0; i < 2; i++) {
			close(pod[i]);
			close(own[i]);
		}
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
	         " chain after { type filter hook input priority 0; meta mark 0x42 counter; }\n"
	         " chain ours { type filter hook input priority 0; meta mark 0x57000001 counter; }\n"
	         "}\nEND\n");
	FOR_BOTH_FAMILIES
	{
		want(nft, etpl(w->local, 80, MARK));
		apply(nft);
		refused_tcp(ONE, NULL, w->local, 81);
		refused_tcp(OUTSIDE, NULL, w->local, 80); /* not a pod of this node */
		refused_tcp(OUTSIDE, w->far_node, w->local,
		            80); /* nor this one, whatever its device's name */
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
	        T(replies_to_own_flows_are_let_in),
	        T(own_traffic_into_a_tunnel),
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
	        T(endpoints_behind_a_tunnel),
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
