// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routers on links, as the real kernel tells of them: what ip(8) does in a namespace of the test's own comes by the
 * monitor, and nothing else makes anybody look.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "agent/apply/routers.h"
#include "tests/unit/netns.h"

struct world {
	struct netlink *nl;
	struct monitor *monitor;
	struct links *links;
	struct routers routers;
	unsigned
	        deaf; /* to events of these types, by bit: eth0's own link-local address comes when it comes */
};

#define OF_LINKS (1U << MONITOR_LINK_NEW | 1U << MONITOR_LINK_DEL)
#define OF_ADDRS (1U << MONITOR_ADDR_NEW | 1U << MONITOR_ADDR_DEL)

static void on_event(void *ctx, const struct monitor_event *ev)
{
	struct world *w = ctx;

	links_on_event(w->links, ev);
	if (!(w->deaf & 1U << ev->type))
		routers_on_event(&w->routers, w->links, ev);
}

/* eth0, eth1 with a network each, and a pod's device. */
static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct weft_err err = WEFT_ERR_INIT;

	assert_int_equal(
	        netns_underlay("link add eth1 type veth peer name far1\nlink set far1 up\nlink set eth1 up\n"
	                       "link add weft1 type veth peer name pod\nlink set pod up\nlink set weft1 up\n"
	                       "addr add 10.0.0.9/24 dev eth0\naddr add fd00::9/64 dev eth0 nodad\n"
	                       "addr add 10.0.1.9/24 dev eth1\naddr add fd01::9/64 dev eth1 nodad"),
	        0);
	w->nl = netlink_open(&err);
	w->monitor = monitor_open(&err);
	w->links = links_new();
	assert_true(w->nl && w->monitor && w->links);
	assert_int_equal(links_resync(w->links, w->nl, &err), 0);
	assert_int_equal(monitor_follow_routers(w->monitor, true, &err), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	links_free(w->links);
	monitor_close(w->monitor);
	netlink_close(w->nl);
	free(w);
	return 0;
}

/* Lines of ip(8)'s batch language, and the events that come of them. */
static void happens(struct world *w, const char *lines)
{
	struct weft_err err = WEFT_ERR_INIT;
	char command[1024];

	snprintf(command, sizeof(command), "exec ip -batch - <<END\n%s\nEND\n", lines);
	if (netns_run(command, NULL, 0) != 0)
		fail_msg("ip refuses:\n%s", lines);
	assert_int_equal(monitor_read(w->monitor, 0, on_event, w, &err), 0);
}

/* Nobody looks unless an event asks for it. */
static int after(struct world *w, const char *lines)
{
	struct weft_err err = WEFT_ERR_INIT;
	int r;

	happens(w, lines);
	r = routers_look(&w->routers, w->nl, w->links, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	return r;
}

/* "eth0 10.0.0.1 gateway, eth1 fe80::1" */
static void sees(const struct world *w, const char *expected)
{
	char text[4096] = "", addr[WEFT_ADDR_STR];
	size_t at = 0;

	for (size_t i = 0; i < w->routers.n; i++) {
		const struct bgp_neighbour *n = &w->routers.seen[i];

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %s%s", i ? ", " : "", n->dev,
		                       weft_addr_str(&n->addr, addr), n->gateway ? " gateway" : "");
	}
	assert_string_equal(text, expected);
}

static void turns_into(struct world *w, const char *lines, const char *expected)
{
	int r = after(w, lines);

	sees(w, expected);
	assert_int_equal(r, 1);
}

static void leaves(struct world *w, const char *lines, const char *expected)
{
	int r = after(w, lines);

	sees(w, expected);
	assert_int_equal(r, 0);
}

#define BOTH "eth0 10.0.0.1 gateway, eth1 10.0.1.1 gateway"

static void every_next_hop_of_both_families(void **state)
{
	struct world *w = *state;

	turns_into(w, "route add default nexthop via 10.0.0.1 dev eth0 nexthop via 10.0.1.1 dev eth1", BOTH);
	turns_into(
	        w, "route add ::/0 nexthop via fd00::1 dev eth0 nexthop via fe80::1 dev eth1",
	        "eth0 10.0.0.1 gateway, eth0 fd00::1 gateway, eth1 10.0.1.1 gateway, eth1 fe80::1 gateway");
	turns_into(w, "route del ::/0", BOTH);
	turns_into(w, "route replace default via 10.0.1.1", "eth1 10.0.1.1 gateway");
	turns_into(w, "route del default", "");
}

static void next_hops_by_other_words(void **state)
{
	struct world *w = *state;

	turns_into(w, "route add 0.0.0.0/0 via inet6 fe80::1 dev eth0", "eth0 fe80::1 gateway");
	leaves(w, "route add ::/0 via fe80::1 dev eth0", "eth0 fe80::1 gateway"); /* the same router */
	turns_into(w, "route del 0.0.0.0/0\nroute del ::/0", "");
	turns_into(w,
	           "nexthop add id 1 via 10.0.0.1 dev eth0\nnexthop add id 2 via 10.0.1.1 dev eth1\n"
	           "nexthop add id 3 group 1/2\nroute add default nhid 3",
	           BOTH);
	turns_into(w, "nexthop replace id 3 group 1", "eth0 10.0.0.1 gateway");
}

static void the_best_metric_counts(void **state)
{
	struct world *w = *state;

	turns_into(w, "route add default via 10.0.0.1 metric 200", "eth0 10.0.0.1 gateway");
	turns_into(w, "route add default via 10.0.1.1 metric 100", "eth1 10.0.1.1 gateway");
	leaves(w, "route add default via 10.0.0.2 metric 300", "eth1 10.0.1.1 gateway");
	turns_into(w, "route append default via 10.0.0.1 metric 100",
	           BOTH); /* a second route of this metric */
	turns_into(w, "route del default via 10.0.1.1 metric 100", "eth0 10.0.0.1 gateway");
	turns_into(w, "route add ::/0 via fd01::1 metric 1024", /* each family has its own best */
	           "eth0 10.0.0.1 gateway, eth1 fd01::1 gateway");
}

static void what_a_peer_says_is_no_gateway(void **state)
{
	struct world *w = *state;

	turns_into(w, "route add default via 10.0.0.1 metric 100", "eth0 10.0.0.1 gateway");
	leaves(w, "route add default via 10.0.1.1 metric 32 proto bird", "eth0 10.0.0.1 gateway");
	leaves(w, "route add ::/0 via fd01::1 metric 32 proto bird", "eth0 10.0.0.1 gateway");
	turns_into(w, "route del default via 10.0.0.1", "");
}

static void other_routes_make_nobody_look(void **state)
{
	struct world *w = *state;

	w->deaf = OF_LINKS | OF_ADDRS;
	happens(w, "route add 10.9.0.0/16 via 10.0.0.1\nroute add fd09::/64 via fd00::1\n"
	           "route add default via 10.0.0.1 table 100\nroute add unreachable default metric 4000\n"
	           "route add default via 10.0.0.1 metric 32 proto bird");
	assert_false(w->routers.gateways.due);
	happens(w, "route add default via 10.0.0.1");
	assert_true(w->routers.gateways.due);
	assert_false(w->routers.neighbours.due);
}

static void a_default_route_to_pods_has_no_gateway(void **state)
{
	struct world *w = *state;

	leaves(w,
	       "route add default dev weft1\nroute add ::/0 via fe80::5 dev weft1\nroute add default dev lo metric 9",
	       "");
}

/* The kernel says nothing of IPv4 routes that go with their device, or with their source address. */
static void a_device_that_goes_down(void **state)
{
	struct world *w = *state;

	turns_into(w, "route add default nexthop via 10.0.0.1 dev eth0 nexthop via 10.0.1.1 dev eth1", BOTH);
	w->deaf = OF_ADDRS;
	turns_into(w, "link set eth1 down", "eth0 10.0.0.1 gateway");
	turns_into(w, "link set eth0 down", "");
	w->deaf = OF_LINKS;
	turns_into(
	        w,
	        "link set eth0 up\naddr add 10.0.0.8/24 dev eth0\nroute add default via 10.0.0.1 src 10.0.0.8",
	        "eth0 10.0.0.1 gateway");
	turns_into(w, "addr del 10.0.0.8/24 dev eth0", "");
}

static void who_said_that_it_is_a_router(void **state)
{
	struct world *w = *state;

	turns_into(w, "neigh add fe80::2 lladdr 2:0:0:0:0:2 router nud stale dev eth1", "eth1 fe80::2");
	turns_into(w, "neigh add fe80::1 lladdr 2:0:0:0:0:1 router nud reachable dev eth0",
	           "eth0 fe80::1, eth1 fe80::2");
	leaves(w, "neigh add fe80::9 lladdr 2:0:0:0:0:9 nud reachable dev eth0", /* a host */
	       "eth0 fe80::1, eth1 fe80::2");
	leaves(w,
	       "neigh add fd00::1 lladdr 2:0:0:0:0:1 router nud stale dev eth0", /* sessions are link-local */
	       "eth0 fe80::1, eth1 fe80::2");
	leaves(w, "neigh add fe80::7 lladdr 2:0:0:0:0:7 router nud stale dev weft1", /* a pod */
	       "eth0 fe80::1, eth1 fe80::2");
	turns_into(w, "route add ::/0 via fe80::1 dev eth0", "eth0 fe80::1 gateway, eth1 fe80::2");
}

/* A pod's neighbour entries change all the time; and so do those of hosts. */
static void other_neighbours_make_nobody_look(void **state)
{
	struct world *w = *state;
	struct weft_err err = WEFT_ERR_INIT;

	w->deaf = OF_LINKS | OF_ADDRS;
	happens(w, "neigh add fe80::7 lladdr 2:0:0:0:0:7 router nud stale dev weft1\n"
	           "neigh add fe80::9 lladdr 2:0:0:0:0:9 nud stale dev eth0");
	assert_false(w->routers.neighbours.due);
	turns_into(w, "neigh add fe80::1 lladdr 2:0:0:0:0:1 router nud stale dev eth0", "eth0 fe80::1");
	assert_int_equal(monitor_follow_routers(w->monitor, false, &err), 0);
	happens(w, "neigh add fe80::2 lladdr 2:0:0:0:0:2 router nud stale dev eth0");
	assert_false(w->routers.neighbours.due);
}

static void a_forgotten_entry_stays(void **state)
{
	struct world *w = *state;

	turns_into(w, "neigh add fe80::1 lladdr 2:0:0:0:0:1 router nud stale dev eth0", "eth0 fe80::1");
	leaves(w, "neigh del fe80::1 dev eth0", "eth0 fe80::1");
	turns_into(w, "neigh add fe80::5 lladdr 2:0:0:0:0:5 router nud stale dev eth0", "eth0 fe80::5");
	leaves(w, "neigh change fe80::5 dev eth0 nud failed", "eth0 fe80::5");
	turns_into(w, "link set eth0 down", "");
}

#define KERNEL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        KERNEL_TEST(every_next_hop_of_both_families),
	        KERNEL_TEST(next_hops_by_other_words),
	        KERNEL_TEST(the_best_metric_counts),
	        KERNEL_TEST(what_a_peer_says_is_no_gateway),
	        KERNEL_TEST(other_routes_make_nobody_look),
	        KERNEL_TEST(a_default_route_to_pods_has_no_gateway),
	        KERNEL_TEST(a_device_that_goes_down),
	        KERNEL_TEST(who_said_that_it_is_a_router),
	        KERNEL_TEST(other_neighbours_make_nobody_look),
	        KERNEL_TEST(a_forgotten_entry_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
