// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tunnel devices against the real kernel, in a network namespace of its own. A kernel without ipip and sit
 * (some build machines) answers EOPNOTSUPP to a device's creation; there, what can be tested is that weft
 * says so and goes on, and the rest is named as not run. tests/lab/test_kernel.py runs this same program on a
 * kernel that has both, with WEFT_TEST_TUNNELS=1: then it must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/apply/tunnel.h"
#include "tests/unit/netns.h"

struct world {
	struct netlink *nl;
	struct monitor *monitor;
	struct links *links;
	struct tunnel *tunnel;
	uint64_t now;
	unsigned events;
};

static void on_event(void *ctx, const struct monitor_event *ev)
{
	struct world *w = ctx;

	links_on_event(w->links, ev);
	tunnel_on_event(w->tunnel, ev);
	w->events++;
}

/* Events and writes until there is rest; the last error's text, "" if none. */
static const char *turn(struct world *w)
{
	static struct weft_err last;

	last = WEFT_ERR_INIT;
	for (int i = 0; i < 20; i++) {
		struct weft_err err = WEFT_ERR_INIT;

		assert_int_equal(monitor_read(w->monitor, 0, on_event, w, &err), 0);
		if (tunnel_apply(w->tunnel, w->now, &err))
			last = err;
		assert_int_equal(monitor_read(w->monitor, 0, on_event, w, &err), 0);
		if (tunnel_deadline(w->tunnel) > w->now)
			return last.text;
	}
	fail_msg("no rest after 20 turns: %s", last.text);
	return "";
}

static void start(struct world *w)
{
	w->nl = netlink_open(NULL);
	w->monitor = monitor_open(NULL);
	w->links = links_new();
	w->tunnel = tunnel_new(w->nl, w->links);
	assert_true(w->nl && w->monitor && w->links && w->tunnel);
	assert_int_equal(links_resync(w->links, w->nl, NULL), 0);
}

static void stop(struct world *w)
{
	tunnel_free(w->tunnel);
	links_free(w->links);
	monitor_close(w->monitor);
	netlink_close(w->nl);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(netns_underlay("addr add 10.1.1.5/24 dev eth0\naddr add 10.1.1.6/24 dev eth0"), 0);
	w->now = 1000000;
	start(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	stop(*state);
	free(*state);
	return 0;
}

static struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

static struct tunnel_spec spec(const char *local, const char *inner, uint32_t mtu)
{
	return (struct tunnel_spec){.local = addr(local), .addr = addr(inner), .mtu = mtu};
}

static void shows(const char *command, const char *part)
{
	char out[8192];

	netns_run(command, out, sizeof(out));
	if (!strstr(out, part))
		fail_msg("%s: missing \"%s\" in:\n%s", command, part, out);
}

static unsigned index_of(const char *dev)
{
	char command[64], out[16];

	snprintf(command, sizeof(command), "cat /sys/class/net/%s/ifindex", dev);
	netns_run(command, out, sizeof(out));
	return (unsigned)atoi(out);
}

static void made_adopted_removed(void **state)
{
	struct world *w = *state;
	struct tunnel_spec s4 = spec("10.1.1.5", "10.244.0.1", 1480), s6 = spec("10.1.1.5", "fd44::1", 1480);
	unsigned before;

	tunnel_want(w->tunnel, TUNNEL_IPIP, &s4);
	tunnel_want(w->tunnel, TUNNEL_SIT, &s6);
	assert_string_equal(turn(w), "");
	shows("ip -d link show weft.ipip", "ipip ipip remote any local 10.1.1.5 ttl 64 pmtudisc");
	shows("ip -d link show weft.ipip", "mtu 1480");
	shows("ip -d link show weft.ipip", "NOARP,UP,LOWER_UP");
	shows("ip addr show weft.ipip", "inet 10.244.0.1/32 scope global weft.ipip");
	shows("ip -d link show weft.sit", "sit ip6ip remote any local 10.1.1.5 ttl 64 pmtudisc");
	shows("ip addr show weft.sit", "inet6 fd44::1/128 scope global");
	before = index_of("weft.ipip");

	stop(w); /* a restart writes nothing */
	start(w);
	w->events = 0;
	tunnel_want(w->tunnel, TUNNEL_IPIP, &s4);
	tunnel_want(w->tunnel, TUNNEL_SIT, &s6);
	tunnel_sweep(w->tunnel);
	assert_string_equal(turn(w), "");
	assert_int_equal(w->events, 0);
	assert_int_equal(index_of("weft.ipip"), before);

	tunnel_unwant(w->tunnel, TUNNEL_SIT);
	assert_string_equal(turn(w), "");
	assert_int_equal(index_of("weft.sit"), 0);
	assert_int_equal(tunnel_cleanup(w->nl, w->links, NULL), 0);
	assert_int_equal(index_of("weft.ipip"), 0);
}

static void changed_in_place(void **state)
{
	struct world *w = *state;
	struct tunnel_spec s = spec("10.1.1.5", "10.244.0.1", 1480),
	                   changed = spec("10.1.1.6", "10.244.0.65", 1400);
	unsigned before;

	tunnel_want(w->tunnel, TUNNEL_IPIP, &s);
	turn(w);
	before = index_of("weft.ipip");
	netns_sh("ip route add 10.244.9.0/26 via 10.1.1.9 dev weft.ipip onlink");
	tunnel_want(w->tunnel, TUNNEL_IPIP, &changed);
	assert_string_equal(turn(w), "");
	shows("ip -d link show weft.ipip", "local 10.1.1.6 ttl 64 pmtudisc");
	shows("ip -d link show weft.ipip", "mtu 1400");
	shows("ip addr show weft.ipip", "inet 10.244.0.65/32");
	shows("ip -o -4 addr show weft.ipip | wc -l", "1");
	shows("ip route", "10.244.9.0/26 via 10.1.1.9 dev weft.ipip onlink");
	assert_int_equal(index_of("weft.ipip"), before);
}

static void repaired(void **state)
{
	static const char *const deeds[] = {
	        "ip link del weft.ipip",
	        "ip link set weft.ipip down",
	        "ip link set weft.ipip mtu 1300",
	        "ip addr flush dev weft.ipip",
	        "ip addr add 10.99.0.1/32 dev weft.ipip",
	        "ip tunnel change weft.ipip mode ipip local 10.1.1.6 ttl 64",
	        "ip link del weft.ipip; ip link add weft.ipip type ipip local 10.1.1.5 remote 10.1.1.77 ttl 64",
	        "ip link set weft.ipip type ipip local 10.1.1.5 ttl inherit",
	};
	struct world *w = *state;
	struct tunnel_spec s = spec("10.1.1.5", "10.244.0.1", 1480);

	tunnel_want(w->tunnel, TUNNEL_IPIP, &s);
	turn(w);
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		netns_sh(deeds[i]);
		assert_string_equal(turn(w), "");
		shows("ip -d link show weft.ipip", "ipip ipip remote any local 10.1.1.5 ttl 64 pmtudisc");
		shows("ip -d link show weft.ipip", "mtu 1480");
		shows("ip -d link show weft.ipip", "NOARP,UP,LOWER_UP");
		shows("ip -o -4 addr show weft.ipip", "inet 10.244.0.1/32");
		shows("ip -o -4 addr show weft.ipip | wc -l", "1");
		w->now += 100000;
	}
}

/* Another device of the same ends, which the operator made: told, not touched, and over when it goes. */
static void a_foreign_tunnel_of_the_same_ends(void **state)
{
	struct world *w = *state;
	struct tunnel_spec s = spec("10.1.1.5", "10.244.0.1", 1480);

	netns_sh("ip link add foreign type ipip local 10.1.1.5 remote any");
	tunnel_want(w->tunnel, TUNNEL_IPIP, &s);
	assert_string_equal(turn(w), "tunnel device weft.ipip: another device is a tunnel of the same ends");
	assert_true(tunnel_deadline(w->tunnel) == w->now + 1000);
	netns_sh("ip link del foreign");
	w->now += 1000;
	assert_string_equal(turn(w), "");
	assert_string_equal(tunnel_fault(w->tunnel, TUNNEL_IPIP), "");
	assert_true(index_of("weft.ipip") > 0);
}

static void another_kind_is_a_conflict(void **state)
{
	struct world *w = *state;
	struct tunnel_spec s = spec("10.1.1.5", "10.244.0.1", 1480);
	unsigned before;

	netns_sh("ip link add weft.ipip type veth peer name other");
	before = index_of("weft.ipip");
	tunnel_want(w->tunnel, TUNNEL_IPIP, &s);
	assert_string_equal(turn(w),
	                    "tunnel device weft.ipip: a device of another kind has this name, and is not "
	                    "weft's to change");
	w->now += 2000;
	assert_string_equal(turn(w), ""); /* said once */
	assert_true(tunnel_fault(w->tunnel, TUNNEL_IPIP)[0]);
	tunnel_unwant(w->tunnel, TUNNEL_IPIP);
	tunnel_sweep(w->tunnel);
	w->now += 100000;
	turn(w);
	assert_int_equal(tunnel_cleanup(w->nl, w->links, NULL), 0);
	assert_int_equal(index_of("weft.ipip"), before);
}

static void a_kernel_without_tunnels_says_so(void **state)
{
	struct world *w = *state;
	struct tunnel_spec s = spec("10.1.1.5", "10.244.0.1", 1480);

	tunnel_want(w->tunnel, TUNNEL_IPIP, &s);
	assert_string_equal(turn(w),
	                    "tunnel device weft.ipip: this kernel has no ipip tunnels (module ipip)");
	assert_true(tunnel_deadline(w->tunnel) == w->now + 1000);
	w->now += 1000;
	assert_string_equal(turn(w), "");
	assert_true(tunnel_deadline(w->tunnel) > w->now + 1000);
}

static bool kernel_has_tunnels(void)
{
	return netns_run("ip link add probe type ipip local 10.1.1.1 2>/dev/null && ip link del probe", NULL,
	                 0) == 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest with[] = {
	        T(made_adopted_removed),
	        T(changed_in_place),
	        T(repaired),
	        T(a_foreign_tunnel_of_the_same_ends),
	};
	const struct CMUnitTest without[] = {
	        T(a_kernel_without_tunnels_says_so),
	};
	const struct CMUnitTest always[] = {
	        T(another_kind_is_a_conflict),
	};
	bool must = getenv("WEFT_TEST_TUNNELS");
	int failed;

	netns_enter();
	if (must || kernel_has_tunnels()) {
		failed = cmocka_run_group_tests_name("tunnels", with, NULL, NULL);
	} else {
		failed = cmocka_run_group_tests_name("no tunnels", without, NULL, NULL);
		for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
			printf("not run: %s: this kernel has no ipip tunnels\n", with[i].name);
	}
	failed += cmocka_run_group_tests_name("any kernel", always, NULL, NULL);
	return failed != 0;
}
