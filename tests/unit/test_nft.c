// SPDX-License-Identifier: GPL-2.0-or-later
/* The table inet weft against the real kernel, in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <string.h>

#include "tests/unit/nft_fixture.h"

static int setup(void **state)
{
	struct nft_shape shape = {.ipip = true,
	                          .sit = true,
	                          .local = addr("10.1.1.1"),
	                          .tunnel4 = addr("10.244.0.1"),
	                          .tunnel6 = addr("fd44::1")};
	struct weft_addr one = addr("10.1.1.5"), two = addr("10.1.2.5");
	struct nft *n = nft_new(NULL, NULL);

	assert_non_null(n);
	netns_sh("nft add table inet other; nft add chain inet other c");
	nft_want(n, &shape);
	nft_want_peer(n, &one);
	nft_want_peer(n, &two);
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	nft_free(*state);
	return netns_run("nft flush ruleset", NULL, 0);
}

static const char table[] = "nft list table inet weft 2>&1", set[] = "nft list set inet weft peer4 2>&1";

static void table_as_an_operator_reads_it(void **state)
{
	char out[8192];

	apply(*state);
	netns_run("nft list table inet weft", out, sizeof(out));
	assert_string_equal(
	        out,
	        "table inet weft {\n"
	        "\tcomment \"made by weftd, do not edit: changes are undone\"\n"
	        "\tset peer4 {\n"
	        "\t\ttype ipv4_addr\n"
	        "\t\tcomment \"addresses of the cluster's nodes\"\n"
	        "\t\telements = { 10.1.1.5, 10.1.2.5 }\n"
	        "\t}\n\n"
	        "\tchain decap {\n"
	        "\t\tcomment \"tunnelled packets come from nodes only\"\n"
	        "\t\ttype filter hook input priority filter - 5; policy accept;\n"
	        "\t\tmeta l4proto ipencap ip daddr 10.1.1.1 ip saddr != @peer4 counter packets 0 bytes 0 drop comment \"IP in IP from a host that is not a node\"\n"
	        "\t\tmeta l4proto ipv6 ip daddr 10.1.1.1 ip saddr != @peer4 counter packets 0 bytes 0 drop comment \"IPv6 in IP from a host that is not a node\"\n"
	        "\t}\n\n"
	        "\tchain source {\n"
	        "\t\tcomment \"source addresses: first of what enters a tunnel, then of what goes to endpoints\"\n"
	        "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	        "\t\toifname \"weft.ipip\" fib saddr type local ip saddr != 10.244.0.1 snat ip to 10.244.0.1 fully-random comment \"own traffic leaves with the address of the tunnel\"\n"
	        "\t\toifname \"weft.sit\" fib saddr type local ip6 saddr != fd44::1 snat ip6 to fd44::1 fully-random comment \"own traffic leaves with the address of the tunnel\"\n"
	        "\t}\n"
	        "}\n");
}

static void peers_are_single_elements(void **state)
{
	struct weft_addr three = addr("10.1.3.5"), one = addr("10.1.1.5"), never = addr("10.9.9.9");
	struct nft *n = *state;

	apply(n);
	nft_want_peer(n, &three);
	nft_unwant_peer(n, &one);
	nft_want_peer(n, &never);
	nft_unwant_peer(n, &never);
	apply(n);
	shows(set, "elements = { 10.1.2.5, 10.1.3.5 }", true);
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_stats(n).element_updates, 1);
	assert_int_equal(nft_stats(n).peers, 2);
	apply(n);
	assert_int_equal(nft_stats(n).element_updates, 1);
	assert_true(nft_deadline(n) == NFT_NEVER);
}

static void last_peer_leaves_an_empty_set(void **state)
{
	struct weft_addr one = addr("10.1.1.5"), two = addr("10.1.2.5");
	struct nft *n = *state;

	apply(n);
	nft_unwant_peer(n, &one);
	nft_unwant_peer(n, &two);
	apply(n);
	shows(set, "elements", false);
	assert_int_equal(nft_resync(n, NULL), 0);
	apply(n);
	assert_int_equal(nft_stats(n).replacements, 1);
}

/* Each of these is noticed through the fd, without anybody asking. */
static void alterations_are_undone(void **state)
{
	static const struct {
		const char *command;
		unsigned replacements, updates;
	} deeds[] = {
	        {"nft delete table inet weft", 1, 0},
	        {"nft flush chain inet weft decap", 1, 0},
	        {"nft flush ruleset", 1, 0},
	        {"nft delete element inet weft peer4 '{ 10.1.1.5 }'", 0, 1},
	        {"nft add element inet weft peer4 '{ 6.6.6.6 }'", 0, 1},
	        {"nft add element inet weft peer4 '{ 6.6.6.7 comment \"}\" }'", 1, 0},
	        {"nft flush set inet weft peer4", 0, 1},
	        {"nft add rule inet weft decap accept", 1, 0},
	        {"nft add chain inet weft mine", 1, 0},
	        {"nft add set inet weft mine '{ type ipv4_addr; elements = { 1.2.3.4 }; }'", 1, 0},
	};
	unsigned replacements = 1, updates = 0;
	struct nft *n = *state;
	char before[8192], after[8192];

	apply(n);
	netns_run(table, before, sizeof(before));
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		struct pollfd p = {.fd = nft_fd(n), .events = POLLIN};

		assert_int_equal(poll(&p, 1, 0), 0);
		netns_sh(deeds[i].command);
		assert_int_equal(poll(&p, 1, 1000), 1);
		nft_on_readable(n);
		assert_true(nft_deadline(n) <= now + 1000);
		apply(n);
		netns_run(table, after, sizeof(after));
		assert_string_equal(after, before);
		replacements += deeds[i].replacements;
		updates += deeds[i].updates;
		assert_int_equal(nft_stats(n).replacements, replacements);
		assert_int_equal(nft_stats(n).element_updates, updates);
		assert_int_equal(nft_stats(n).repairs, i + 1);
	}
	assert_int_equal(nft_stats(n).failures, 0);
}

static void others_changes_cost_nothing(void **state)
{
	struct nft *n = *state;

	apply(n);
	netns_sh("nft add rule inet other c accept");
	nft_on_readable(n);
	assert_true(nft_deadline(n) == NFT_NEVER);
	assert_int_equal(nft_stats(n).readbacks, 0);
	assert_int_equal(nft_resync(n, NULL), 0);
	apply(n);
	assert_int_equal(nft_stats(n).readbacks, 1);
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_stats(n).repairs, 0);
	assert_int_equal(nft_stats(n).peers, 2);
}

static void shape_follows(void **state)
{
	struct nft *n = *state;
	struct nft_shape shape = {.ipip = true, .local = addr("10.1.1.2"), .tunnel4 = addr("10.244.0.9")};

	apply(n);
	nft_want(n, &shape);
	apply(n);
	shows(table, "snat ip to 10.244.0.9", true);
	shows(table, "ip daddr 10.1.1.2 ip saddr != @peer4", true);
	shows(table, "weft.sit", false);
	shows(table, "l4proto ipv6", false);
	nft_want(n, &shape);
	assert_true(nft_deadline(n) == NFT_NEVER);
	shape.services = true; /* tunnels are watched where Services are */
	nft_want(n, &shape);
	apply(n);
	shows(table, "chain decap", false);
	shows("nft list chain inet weft services_in", "ip daddr 10.1.1.2 ip saddr != @peer4", true);
	shape.services = false;
	nft_want(n, &shape);
	apply(n);
}

static void many_peers(void **state)
{
	struct nft *n = *state;
	struct weft_addr a = addr("172.16.0.1");

	for (int i = 0; i < 5000; i++) {
		nft_want_peer(n, &a);
		a = weft_addr_add(&a, 3);
	}
	apply(n);
	nft_want_peer(n, &a);
	apply(n);
	assert_int_equal(nft_resync(n, NULL), 0);
	apply(n);
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_stats(n).element_updates, 1);
	assert_int_equal(nft_stats(n).peers, 5003);
}

static void cleanup_is_for_our_table_only(void **state)
{
	apply(*state);
	assert_int_equal(nft_cleanup(NULL), 0);
	assert_int_equal(nft_cleanup(NULL), 0);
	shows("nft list tables", "table inet weft", false);
	shows("nft list tables", "table inet other", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        T(table_as_an_operator_reads_it),
	        T(peers_are_single_elements),
	        T(last_peer_leaves_an_empty_set),
	        T(alterations_are_undone),
	        T(others_changes_cost_nothing),
	        T(shape_follows),
	        T(many_peers),
	        T(cleanup_is_for_our_table_only),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
