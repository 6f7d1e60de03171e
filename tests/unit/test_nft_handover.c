// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the rules of hand-over (agent/plan/handover.h) do to packets, in both families: which segments are for the next
 * node, with which TTL, and which address tunnels come from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/tcp.h>

#include "agent/plan/handover.h"
#include "tests/unit/nft_scene.h"

#define MARK 0x57000001

/* One TCP segment of no connection. That of IPv4 has no checksum: "invalid" for conntrack, the other is "new". */
static void segment(enum place p, const char *from, const char *to, uint8_t flags, int ttl)
{
	struct sock_addr src = socket_address(from, 0), dst = socket_address(to, 0);
	struct tcphdr tcp = {.source = htons(7777), .dest = htons(80), .doff = 5, .window = htons(100)};
	int fd, offset = 16;

	tcp.th_flags = flags;
	enter(p);
	fd = socket(w->af, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	enter(NODE);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&src.sa, src.len), 0);
	if (w->af == AF_INET) {
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), 0);
	} else {
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl)), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof(offset)), 0);
	}
	assert_int_equal(sendto(fd, &tcp, sizeof(tcp), 0, (struct sockaddr *)&dst.sa, dst.len), sizeof(tcp));
	close(fd);
}

/* What the hook sees after weft's chain: with our mark and which TTL, or without. */
static void look_after(uint32_t mark)
{
	char command[1024];

	snprintf(command, sizeof(command),
	         "nft -f - <<END\ntable inet probe {\n chain input {\n  type filter hook input priority 0;\n"
	         "  meta mark 0x%08x ip ttl 68 counter comment \"first\"\n"
	         "  meta mark 0x%08x ip6 hoplimit 68 counter comment \"first\"\n"
	         "  meta mark 0x%08x ip ttl 66 counter comment \"next\"\n"
	         "  meta mark 0x%08x ip6 hoplimit 66 counter comment \"next\"\n"
	         "  meta mark 0 tcp sport 7777 counter comment \"other\"\n }\n}\nEND\n",
	         mark, mark, mark, mark);
	netns_sh(command);
}

static void arrives(const char *table, const char *chain, const char *text, enum place p, const char *from,
                    uint8_t flags, int ttl)
{
	unsigned before = counted_in(table, chain, text);

	segment(p, from, w->balancer, flags, ttl);
	for (int i = 0; i < 200 && counted_in(table, chain, text) == before; i++) /* each asks nft */
		;
	if (counted_in(table, chain, text) != before + 1)
		fail_msg("flags %#x, TTL %d from %s: not counted as \"%s\"", flags, ttl, from, text);
}

static void unknown_segments_are_handed_on(void **state)
{
	struct nft_shape shape = shape_of_services();

	(void)state;
	shape.hand_mark = MARK;
	shape.hand_left = 3;
	shape.hand_drop = true;
	look_after(MARK);
	nft_want(nft, &shape);
	apply(nft);
	FOR_BOTH_FAMILIES
	{
		arrives("probe", "input", "first", OUTSIDE, w->client, TH_ACK, 9);
		arrives("probe", "input", "first", OUTSIDE, w->client, TH_ACK | TH_FIN, 255);
		arrives("probe", "input", "next", OUTSIDE, w->far_node, TH_ACK, HANDOVER_TTL + 1);
		arrives("weft", "handed", "sent again", OUTSIDE, w->far_node, TH_ACK, HANDOVER_TTL);
		arrives("probe", "input", "other", OUTSIDE, w->client, TH_SYN, 64);
		arrives("probe", "input", "other", OUTSIDE, w->client, TH_RST, 64);
		arrives("probe", "input", "other", ONE, w->one, TH_ACK, 64);
	}
	/* Routes rest: what nobody knows is refused, as anywhere. */
	shape.hand_drop = false;
	nft_want(nft, &shape);
	apply(nft);
	FOR_BOTH_FAMILIES
	arrives("weft", "refused", "tcp reset", OUTSIDE, w->far_node, TH_ACK, HANDOVER_TTL);
}

/* The address that a tunnelled packet comes from. */
static void tunnelled_from(int listener, int sender, const char *want)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, from;
	socklen_t len = sizeof(from);
	char packet[64], got[INET_ADDRSTRLEN];

	inet_pton(AF_INET, "10.1.1.100", &to.sin_addr);
	assert_int_equal(sendto(sender, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(ready(listener, POLLIN), 1);
	assert_true(recvfrom(listener, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len) > 0);
	assert_string_equal(inet_ntop(AF_INET, &from.sin_addr, got, sizeof(got)), want);
}

/* IPVS takes the address of a link, also where the node's own is on the loopback: other nodes would drop that. */
static void tunnels_come_from_the_address_of_the_node(void **state)
{
	static const int protocols[] = {IPPROTO_IPIP, IPPROTO_IPV6};
	struct nft_shape shape = shape_of_services();
	struct weft_addr peer = addr("10.1.1.100");

	(void)state;
	shape.ipip = shape.sit = true;
	shape.local = addr("10.1.1.1");
	nft_want(nft, &shape);
	apply(nft);
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in from = {.sin_family = AF_INET};
		int sender, listener;

		enter(OUTSIDE);
		listener = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocols[i]);
		enter(NODE);
		sender = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocols[i]);
		inet_pton(AF_INET, "10.1.1.2", &from.sin_addr);
		assert_int_equal(bind(sender, (struct sockaddr *)&from, sizeof(from)), 0);
		tunnelled_from(listener, sender, "10.1.1.2"); /* not to a node: not ours */
		nft_want_peer(nft, &peer);
		apply(nft);
		tunnelled_from(listener, sender, "10.1.1.1");
		nft_unwant_peer(nft, &peer);
		apply(nft);
		close(sender);
		close(listener);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(unknown_segments_are_handed_on),
	        T(tunnels_come_from_the_address_of_the_node),
	};

	return cmocka_run_group_tests(tests, build, NULL);
}
