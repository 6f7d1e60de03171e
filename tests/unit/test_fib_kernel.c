// SPDX-License-Identifier: GPL-2.0-or-later
/* The route reconciler against the real kernel, in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "agent/apply/fib.h"
#include "tests/unit/netns.h"
#include "weft/marks.h"

struct world {
	struct netlink *nl;
	struct monitor *monitor;
	struct links *links;
	struct fib *fib;
	uint64_t now;
};

static void on_event(void *ctx, const struct monitor_event *ev)
{
	struct world *w = ctx;

	links_on_event(w->links, ev);
	fib_on_event(w->fib, ev);
}

/* What the daemon's loop does: events, then apply until there is nothing left. */
static void turn(struct world *w)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(monitor_read(w->monitor, 0, on_event, w, &err), 0);
		rc = fib_apply(w->fib, w->now, &err);
		assert_true(rc >= 0);
		if (rc == 0 && fib_deadline(w->fib) > w->now)
			return;
	}
	fail_msg("no rest after 20 turns");
}

static void daemon_start(struct world *w)
{
	struct weft_err err = WEFT_ERR_INIT;

	w->nl = netlink_open(&err);
	w->monitor = monitor_open(&err);
	w->links = links_new();
	assert_true(w->nl && w->monitor && w->links);
	w->fib = fib_new(w->nl, w->links);
	assert_non_null(w->fib);
	assert_int_equal(links_resync(w->links, w->nl, &err), 0);
	assert_int_equal(fib_resync(w->fib, w->now, &err), 0);
}

static void daemon_stop(struct world *w)
{
	fib_free(w->fib);
	links_free(w->links);
	monitor_close(w->monitor);
	netlink_close(w->nl);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(netns_underlay("addr add 10.1.1.5/24 dev eth0\naddr add fd01::5/64 dev eth0 nodad"),
	                 0);
	w->now = 1000000;
	daemon_start(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	daemon_stop(w);
	free(w);
	return 0;
}

static struct weft_route route(const char *dst, const char *gw, const char *dev, uint32_t metric)
{
	struct weft_route r = {.key = {.table = RT_TABLE_MAIN, .metric = metric}, .type = RTN_UNICAST};

	assert_int_equal(weft_prefix_parse(dst, &r.key.dst, NULL), 0);
	if (gw)
		assert_int_equal(weft_addr_parse(gw, &r.gateway, NULL), 0);
	else if (r.key.dst.addr.family == AF_INET)
		r.scope = RT_SCOPE_LINK;
	strcpy(r.dev, dev);
	return r;
}

static struct weft_route blackhole(const char *dst, uint32_t table, uint32_t metric)
{
	struct weft_route r = route(dst, NULL, "", metric);

	r.key.table = table;
	r.type = RTN_BLACKHOLE;
	r.scope = RT_SCOPE_UNIVERSE;
	return r;
}

static void want(struct world *w, struct weft_route r)
{
	assert_int_equal(fib_want(w->fib, &r, NULL), 0);
}

/* `ip route` prints exactly this for a prefix (trailing blanks aside). */
static void shows(const char *prefix, const char *expected)
{
	char command[256], out[4096];

	snprintf(command, sizeof(command),
	         "ip %s route show table all %s | sed 's/ *$//; s/ pref medium//; s/proto weft/proto 119/'",
	         strchr(prefix, ':') ? "-6" : "-4", prefix);
	netns_run(command, out, sizeof(out));
	if (out[0])
		out[strcspn(out, "\n")] = strlen(expected) && strchr(out, '\n')[1] ? '|' : '\0';
	assert_string_equal(out, expected);
}

struct lookup {
	const struct weft_route_key *key;
	enum fib_state state;
	char text[1024];
	bool found;
};

static bool look(void *ctx, const struct fib_view *v)
{
	struct lookup *l = ctx;

	if (memcmp(&v->route->key, l->key, sizeof(*l->key)) != 0)
		return true;
	l->found = true;
	l->state = v->state;
	snprintf(l->text, sizeof(l->text), "%s", v->text);
	return false;
}

static const char *reason(struct world *w, const struct weft_route_key *key, enum fib_state *state)
{
	static struct lookup l;

	l = (struct lookup){.key = key};
	fib_foreach(w->fib, look, &l);
	assert_true(l.found);
	*state = l.state;
	return l.text;
}

static void installs_both_families(void **state)
{
	struct world *w = *state;

	want(w, route("10.244.1.0/26", "10.1.1.2", "eth0", 16));
	want(w, route("fd44:1::/64", "fd01::2", "eth0", 16));
	want(w, blackhole("10.244.2.0/26", WEFT_TABLE_ADVERT, 100));
	want(w, blackhole("fd44:2::/64", RT_TABLE_MAIN, 8192));
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 metric 16");
	shows("fd44:1::/64", "fd44:1::/64 via fd01::2 dev eth0 proto 119 metric 16");
	shows("10.244.2.0/26", "blackhole 10.244.2.0/26 table 179 proto 119 metric 100");
	shows("fd44:2::/64", "blackhole fd44:2::/64 dev lo proto 119 metric 8192");
	assert_int_equal(fib_stats(w->fib).count[FIB_INSTALLED], 4);
	assert_int_equal(fib_stats(w->fib).writes, 4);
}

static void changes_and_removes(void **state)
{
	struct world *w = *state;
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "eth0", 16);

	want(w, r);
	turn(w);
	want(w, route("10.244.1.0/26", "10.1.1.3", "eth0", 16));
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.3 dev eth0 proto 119 metric 16");
	fib_unwant(w->fib, &r.key);
	turn(w);
	shows("10.244.1.0/26", "");
	assert_int_equal(fib_stats(w->fib).writes, 3);
}

static void deleted_route_comes_back(void **state)
{
	struct world *w = *state;

	want(w, route("10.244.1.0/26", "10.1.1.2", "eth0", 16));
	want(w, route("fd44:1::/64", "fd01::2", "eth0", 16));
	turn(w);
	netns_sh("ip route del 10.244.1.0/26 && ip -6 route del fd44:1::/64");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 metric 16");
	shows("fd44:1::/64", "fd44:1::/64 via fd01::2 dev eth0 proto 119 metric 16");
}

static void altered_route_is_restored(void **state)
{
	struct world *w = *state;

	want(w, route("10.244.1.0/26", "10.1.1.2", "eth0", 16));
	want(w, route("fd44:1::/64", "fd01::2", "eth0", 16));
	turn(w);
	netns_sh("ip route replace 10.244.1.0/26 via 10.1.1.77 metric 16 && "
	         "ip -6 route replace fd44:1::/64 via fd01::77 metric 16");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 metric 16");
	shows("fd44:1::/64", "fd44:1::/64 via fd01::2 dev eth0 proto 119 metric 16");
	netns_sh("ip route change 10.244.1.0/26 via 10.1.1.2 metric 16 proto 119 mtu 1300");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 metric 16");
}

static void foreign_route_is_a_conflict(void **state)
{
	struct world *w = *state;
	struct weft_route r4 = route("10.244.1.0/26", "10.1.1.2", "eth0", 16);
	struct weft_route r6 = route("fd44:1::/64", "fd01::2", "eth0", 16);
	enum fib_state st;

	netns_sh("ip route add 10.244.1.0/26 via 10.1.1.99 metric 16 proto static && "
	         "ip -6 route add fd44:1::/64 via fd01::99 metric 16 proto static");
	want(w, r4);
	want(w, r6);
	turn(w);
	w->now += 5000;
	turn(w);
	w->now += 5000;
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.99 dev eth0 proto static metric 16");
	shows("fd44:1::/64", "fd44:1::/64 via fd01::99 dev eth0 proto static metric 16");
	assert_non_null(strstr(reason(w, &r4.key, &st), "via 10.1.1.99 dev eth0 proto static"));
	assert_int_equal(st, FIB_CONFLICT);
	netns_sh("ip route del 10.244.1.0/26 && ip -6 route del fd44:1::/64");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 metric 16");
	shows("fd44:1::/64", "fd44:1::/64 via fd01::2 dev eth0 proto 119 metric 16");
}

/* A removal must hit ours and not a foreign one that was put in front of it on the same key. */
static void foreign_beside_ours_survives(void **state)
{
	struct world *w = *state;
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "eth0", 16);

	want(w, r);
	turn(w);
	netns_sh("ip route prepend 10.244.1.0/26 via 10.1.1.99 metric 16 proto static");
	turn(w);
	want(w, route("10.244.1.0/26", "10.1.1.3", "eth0", 16));
	turn(w);
	w->now += 5000;
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.99 dev eth0 proto static metric 16");
	fib_unwant(w->fib, &r.key);
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.99 dev eth0 proto static metric 16");
	netns_sh("ip route del 10.244.1.0/26");
}

/* v6 keeps routes of one prefix in one list: neighbours by metric must not be hit. */
static void v6_other_metrics_survive(void **state)
{
	struct world *w = *state;
	struct weft_route r = route("fd44:1::/64", "fd01::2", "eth0", 16);

	netns_sh("ip -6 route add fd44:1::/64 via fd01::7 metric 32 proto bird && "
	         "ip -6 route add fd44:1::/64 via fd01::8 metric 1 proto static");
	want(w, r);
	turn(w);
	want(w, route("fd44:1::/64", "fd01::3", "eth0", 16));
	turn(w);
	shows("fd44:1::/64 metric 16", "fd44:1::/64 via fd01::3 dev eth0 proto 119");
	fib_unwant(w->fib, &r.key);
	turn(w);
	shows("fd44:1::/64 proto 119", "");
	shows("fd44:1::/64 proto bird", "fd44:1::/64 via fd01::7 dev eth0 metric 32");
	shows("fd44:1::/64 proto static", "fd44:1::/64 via fd01::8 dev eth0 metric 1");
	netns_sh("ip -6 route flush fd44:1::/64");
}

static void waits_for_its_device(void **state)
{
	struct world *w = *state;
	struct weft_route r = route("10.244.1.0/26", "10.2.0.1", "eth1", 16);
	enum fib_state st;

	r.onlink = true;
	want(w, r);
	turn(w);
	assert_string_equal(reason(w, &r.key, &st), "device eth1 is missing");
	assert_int_equal(st, FIB_NOT_READY);
	assert_true(fib_deadline(w->fib) == FIB_NEVER);
	netns_sh("ip link add eth1 type veth peer name far1");
	turn(w);
	assert_string_equal(reason(w, &r.key, &st), "device eth1 is down");
	netns_sh("ip link set eth1 up");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.2.0.1 dev eth1 proto 119 metric 16 onlink linkdown");
	netns_sh("ip link set eth1 down; ip link set eth1 up");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.2.0.1 dev eth1 proto 119 metric 16 onlink linkdown");
	netns_sh("ip link del eth1; ip link add eth1 type veth peer name far1; ip link set eth1 up");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.2.0.1 dev eth1 proto 119 metric 16 onlink linkdown");
}

static void unreachable_gateway_waits_for_the_address(void **state)
{
	struct world *w = *state;
	struct weft_route r = route("10.244.1.0/26", "10.7.0.1", "eth0", 16);
	enum fib_state st;

	want(w, r);
	turn(w);
	reason(w, &r.key, &st);
	assert_int_equal(st, FIB_NOT_READY);
	assert_true(fib_deadline(w->fib) == w->now + 1000);
	netns_sh("ip addr add 10.7.0.9/24 dev eth0");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.7.0.1 dev eth0 proto 119 metric 16");
}

/* The kernel drops v4 routes with the last address, or with their source address, and tells nobody. */
static void silent_losses_are_found(void **state)
{
	struct world *w = *state;
	struct weft_route r = route("10.244.1.0/26", "10.1.1.2", "eth0", 16);

	netns_sh("ip addr add 10.9.9.9/32 dev lo");
	turn(w);
	assert_int_equal(weft_addr_parse("10.9.9.9", &r.src, NULL), 0);
	want(w, r);
	turn(w);
	w->now += 2000;
	netns_sh("ip addr del 10.9.9.9/32 dev lo; ip addr add 10.9.9.9/32 dev lo");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 src 10.9.9.9 metric 16");
	w->now += 2000;
	netns_sh("ip addr flush dev eth0; ip addr add 10.1.1.5/24 dev eth0");
	turn(w);
	shows("10.244.1.0/26", "10.244.1.0/26 via 10.1.1.2 dev eth0 proto 119 src 10.9.9.9 metric 16");
	netns_sh("ip addr del 10.9.9.9/32 dev lo");
}

static void restart_adopts_without_a_write(void **state)
{
	struct world *w = *state;
	struct weft_route keep = route("10.244.1.0/26", "10.1.1.2", "eth0", 16);
	struct weft_route keep6 = blackhole("fd44:2::/64", RT_TABLE_MAIN, 8192);

	keep.window = 77;
	want(w, keep);
	want(w, keep6);
	want(w, route("10.244.3.0/26", "10.1.1.2", "eth0", 16));
	turn(w);
	netns_sh("ip route add 10.244.7.1/32 dev eth0 proto static metric 5");
	netns_sh(
	        "ip link add weft0123456789a type veth peer name podside && ip link set weft0123456789a up && "
	        "ip route add 10.244.8.1/32 dev weft0123456789a proto 119");
	daemon_stop(w);
	daemon_start(w);
	want(w, keep);
	want(w, keep6);
	turn(w);
	assert_int_equal(fib_stats(w->fib).writes, 0);
	shows("10.244.3.0/26", "10.244.3.0/26 via 10.1.1.2 dev eth0 proto 119 metric 16");
	assert_int_equal(fib_stats(w->fib).count[FIB_STALE], 1);
	fib_sweep(w->fib);
	turn(w);
	assert_int_equal(fib_stats(w->fib).writes, 1);
	shows("10.244.3.0/26", "");
	shows("10.244.7.1", "10.244.7.1 dev eth0 proto static scope link metric 5");
	shows("10.244.8.1", "10.244.8.1 dev weft0123456789a proto 119 scope link linkdown");
	netns_sh("ip link del weft0123456789a");
}

static void cleanup_leaves_others_alone(void **state)
{
	struct world *w = *state;
	size_t removed;

	want(w, route("10.244.1.0/26", "10.1.1.2", "eth0", 16));
	want(w, route("fd44:1::/64", "fd01::2", "eth0", 16));
	want(w, blackhole("10.244.2.0/26", WEFT_TABLE_ADVERT, 100));
	for (int i = 0; i < 600; i++) {
		struct weft_route r = blackhole("10.245.0.0/32", RT_TABLE_MAIN, 8192);

		r.key.dst.addr = weft_addr_add(&r.key.dst.addr, (uint64_t)i);
		want(w, r);
	}
	turn(w);
	netns_sh(
	        "ip route add 10.246.0.0/24 via 10.1.1.9 proto static; ip route add 10.247.0.0/24 via 10.1.1.9 proto 119 table 99");
	assert_int_equal(fib_cleanup(w->nl, &removed, NULL), 0);
	assert_int_equal(removed, 603);
	shows("proto 119", "10.247.0.0/24 via 10.1.1.9 dev eth0 table 99");
	shows("10.246.0.0/24", "10.246.0.0/24 via 10.1.1.9 dev eth0 proto static");
}

static void many_routes_bounded_writes(void **state)
{
	struct world *w = *state;
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_route r = route("10.244.0.0/26", "10.1.1.2", "eth0", 16);
	int calls = 0;

	for (int i = 0; i < 10000; i++) {
		want(w, r);
		r.key.dst.addr = weft_addr_add(&r.key.dst.addr, 64);
	}
	while (fib_apply(w->fib, w->now, &err) == 1)
		calls++;
	assert_int_equal(calls, 2); /* 4,096 at a time */
	assert_int_equal(fib_stats(w->fib).count[FIB_INSTALLED], 10000);
	turn(w); /* our own 10,000 notifications change nothing */
	assert_int_equal(fib_stats(w->fib).writes, 10000);
}

struct nets {
	char text[512];
};

static bool add_net(void *ctx, const struct link_net *net)
{
	struct nets *n = ctx;
	char p[WEFT_PREFIX_STR], a[WEFT_ADDR_STR];
	size_t len = strlen(n->text);

	snprintf(n->text + len, sizeof(n->text) - len, "%s %s %s %u%s;", weft_prefix_str(&net->net, p),
	         weft_addr_str(&net->addr, a), net->dev, net->mtu, net->down ? " down" : "");
	return true;
}

static void underlay_is_seen(void **state)
{
	struct world *w = *state;
	struct nets n = {""};

	netns_sh("ip link set eth0 mtu 1400; ip addr add 10.3.0.1 peer 10.3.0.2/32 dev eth0");
	turn(w);
	links_underlay(w->links, add_net, &n);
	assert_string_equal(
	        n.text,
	        "10.1.1.0/24 10.1.1.5 eth0 1400;fd01::/64 fd01::5 eth0 1400;10.3.0.2/32 10.3.0.1 eth0 1400;");
	assert_true(links_has_addr(w->links, &(struct weft_addr){AF_INET, {10, 3, 0, 1}}) != 0);
	netns_sh("ip link set eth0 down");
	turn(w);
	n.text[0] = '\0';
	links_underlay(w->links, add_net, &n);
	assert_non_null(strstr(n.text, "10.1.1.0/24 10.1.1.5 eth0 1400 down;"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        T(installs_both_families),
	        T(changes_and_removes),
	        T(deleted_route_comes_back),
	        T(altered_route_is_restored),
	        T(foreign_route_is_a_conflict),
	        T(foreign_beside_ours_survives),
	        T(v6_other_metrics_survive),
	        T(waits_for_its_device),
	        T(unreachable_gateway_waits_for_the_address),
	        T(silent_losses_are_found),
	        T(restart_adopts_without_a_write),
	        T(cleanup_leaves_others_alone),
	        T(many_routes_bounded_writes),
	        T(underlay_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
