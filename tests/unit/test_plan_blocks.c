// SPDX-License-Identifier: GPL-2.0-or-later
/* When a node claims a block, when it gives one back; which tunnels it needs and from whom it takes packets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/plan/blocks.h"
#include "agent/plan/tunnels.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

static const struct blocks_config cfg = {.spare = 16, .release_after = 600};

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rack", "1"));
	put(c, pool("p", "10.244.0.0/24", 26, WEFT_TUNNEL_FALLBACK)); /* four blocks */
	synced(c);
	return c;
}

static struct blocks_own own(const char *cidr, uint64_t free, uint64_t used, uint64_t empty_since)
{
	return (struct blocks_own){prefix(cidr), free, used, empty_since};
}

static struct blocks_action plan(const struct cluster *c, const struct blocks_own *v, size_t n, uint64_t now)
{
	struct blocks_action a;

	blocks_plan(c, v, n, &cfg, now, &a);
	return a;
}

static void a_node_without_blocks_claims_one(void **state)
{
	struct cluster *c = made();
	struct blocks_action a = plan(c, NULL, 0, 1);
	struct weft_prefix pool_cidr = prefix("10.244.0.0/24");

	(void)state;
	assert_int_equal(a.step, BLOCKS_CLAIM);
	assert_int_equal(a.family, AF_INET);
	assert_string_equal(a.pool, "p");
	assert_int_equal(a.cidr.len, 26);
	assert_true(weft_prefix_covers(&pool_cidr, &a.cidr));
	cluster_free(c);
}

static void families_are_served_by_their_pools(void **state)
{
	struct cluster *c = made();
	struct blocks_own v[2] = {own("10.244.0.0/26", 64, 0, 0), own("fd44::/122", 64, 0, 0)};

	(void)state;
	put(c, block("10.244.0.0/26", "a", "p"));
	assert_int_equal(plan(c, v, 1, 1).step, BLOCKS_NONE);
	put(c, pool("p6", "fd44::/64", 122, 0)); /* the cluster goes dual-stack */
	assert_int_equal(plan(c, v, 1, 1).step, BLOCKS_CLAIM);
	assert_int_equal(plan(c, v, 1, 1).family, AF_INET6);
	put(c, block("fd44::/122", "a", "p6"));
	assert_int_equal(plan(c, v, 2, 1).step, BLOCKS_NONE);
	cluster_free(c);
}

static void the_spare_decides(void **state)
{
	struct cluster *c = made();
	struct blocks_own v[2] = {own("10.244.0.0/26", 16, 48, 0), own("10.244.0.64/26", 8, 56, 0)};

	(void)state;
	put(c, block("10.244.0.0/26", "a", "p"));
	put(c, block("10.244.0.64/26", "a", "p"));
	assert_int_equal(plan(c, v, 1, 1).step, BLOCKS_NONE);
	v[0].free = 15;
	assert_int_equal(plan(c, v, 1, 1).step, BLOCKS_CLAIM);
	assert_int_equal(plan(c, v, 2, 1).step, BLOCKS_NONE); /* 15 + 8 */
	cluster_free(c);
}

/* Pools that give nothing, and what the message says about them. */
static void unusable_pools_give_nothing(void **state)
{
	static const char *const why[] = {"IPPool p is disabled", "IPPool p is not for Pods",
	                                  "IPPool p does not select this node", "IPPool p is refused"};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(why); i++) {
		struct cluster *c = made();
		struct weft_object *o = pool("p", i == 3 ? "10.0.0.0/8" : "10.244.0.0/24", 26, 0);
		struct blocks_action a;

		o->ippool.disabled = i == 0;
		o->ippool.use = i == 1 ? WEFT_USE_LOADBALANCER : WEFT_USE_PODS;
		if (i == 2)
			require(&o->ippool.node_selector, "rack", "2");
		put(c, o);
		assert_int_equal(plan(c, NULL, 0, 1).step, BLOCKS_NONE);
		blocks_claim(c, AF_INET, NULL, &a);
		assert_int_equal(a.step, BLOCKS_EXHAUSTED);
		assert_non_null(strstr(a.text, why[i]));
		put(c, pool("q", "10.245.0.0/24", 26, 0));
		assert_string_equal(plan(c, NULL, 0, 1).pool, "q");
		cluster_free(c);
	}
}

static void pools_are_tried_in_name_order(void **state)
{
	struct cluster *c = made();
	struct blocks_action a;
	char cidr[WEFT_PREFIX_STR];

	(void)state;
	put(c, pool("o", "10.245.0.0/25", 26, 0)); /* two blocks, before p */
	for (int i = 0; i < 6; i++) {
		a = plan(c, NULL, 0, 1);
		assert_int_equal(a.step, BLOCKS_CLAIM);
		assert_string_equal(a.pool, i < 2 ? "o" : "p");
		assert_false(cluster_block_taken(c, &a.cidr));
		put(c, block(weft_prefix_str(&a.cidr, cidr), "b", a.pool));
	}
	a = plan(c, NULL, 0, 1);
	assert_int_equal(a.step, BLOCKS_EXHAUSTED);
	assert_int_equal(a.family, AF_INET);
	assert_non_null(strstr(a.text, "no IPv4 block can be claimed: "));
	assert_non_null(strstr(a.text, "10.245.0.0/25"));
	assert_non_null(strstr(a.text, "10.244.0.0/24"));
	put(c, pool("p6", "fd44::/64", 122, 0)); /* a full family doesn't hold up the other */
	assert_int_equal(plan(c, NULL, 0, 1).step, BLOCKS_CLAIM);
	cluster_free(c);
}

static void a_claim_may_name_its_pool(void **state)
{
	struct cluster *c = made();
	struct blocks_action a;

	(void)state;
	put(c, pool("o", "10.245.0.0/25", 26, 0));
	blocks_claim(c, AF_INET, "p", &a);
	assert_int_equal(a.step, BLOCKS_CLAIM);
	assert_string_equal(a.pool, "p");
	blocks_claim(c, AF_INET, "none", &a);
	assert_string_equal(a.text, "no IPv4 block can be claimed: there is no IPv4 IPPool none");
	blocks_claim(c, AF_INET6, NULL, &a);
	assert_string_equal(a.text, "no IPv6 block can be claimed: there is no IPv6 IPPool");
	cluster_free(c);
}

static void a_block_cut_otherwise_is_in_the_way(void **state)
{
	struct cluster *c = made();
	struct blocks_action a;

	(void)state;
	put(c, block("10.244.0.0/25", "b", "p")); /* wider, and one narrower */
	put(c, block("10.244.0.130/32", "b", "p"));
	blocks_claim(c, AF_INET, NULL, &a);
	assert_int_equal(a.step, BLOCKS_CLAIM);
	assert_int_equal(a.cidr.addr.bytes[3], 192);
	cluster_free(c);
}

static void an_empty_block_is_released_when_it_can_be_spared(void **state)
{
	struct cluster *c = made();
	struct blocks_own v[3] = {own("10.244.0.0/26", 40, 24, 0), own("10.244.0.64/26", 64, 0, 100),
	                          own("10.244.0.128/26", 64, 0, 50)};
	struct blocks_action a;

	(void)state;
	put(c, block("10.244.0.0/26", "a", "p"));
	put(c, block("10.244.0.64/26", "a", "p"));
	put(c, block("10.244.0.128/26", "a", "p"));
	a = plan(c, v, 2, 699);
	assert_int_equal(a.step, BLOCKS_NONE);
	assert_int_equal(a.again_at, 700);
	a = plan(c, v, 2, 700);
	assert_int_equal(a.step, BLOCKS_RELEASE);
	assert_int_equal(weft_prefix_cmp(&a.cidr, &v[1].cidr), 0);
	a = plan(c, v, 3, 700); /* the longest empty first */
	assert_int_equal(weft_prefix_cmp(&a.cidr, &v[2].cidr), 0);
	v[0].free = 15; /* the rest would be short */
	a = plan(c, v, 2, 10000);
	assert_int_equal(a.step, BLOCKS_NONE);
	assert_int_equal(a.again_at, 0);
	a = plan(c, v + 1, 1, 10000); /* never the last */
	assert_int_equal(a.step, BLOCKS_NONE);
	v[0].used = 0;
	v[0].free = 64;
	v[0].empty_since = 0;
	a = plan(c, v, 2, 10000); /* both empty: one goes, one stays */
	assert_int_equal(a.step, BLOCKS_RELEASE);
	assert_int_equal(weft_prefix_cmp(&a.cidr, &v[0].cidr), 0);
	cluster_free(c);
}

static void blocks_of_a_pool_that_left_us_are_replaced_then_released(void **state)
{
	struct cluster *c = made();
	struct blocks_own v[2] = {own("10.244.0.0/26", 64, 0, 0), own("10.245.0.0/26", 64, 0, 900)};
	struct weft_object *o = pool("p", "10.244.0.0/24", 26, 0);

	(void)state;
	o->ippool.disabled = true;
	put(c, o);
	put(c, pool("q", "10.245.0.0/24", 26, 0));
	put(c, block("10.244.0.0/26", "a", "p"));
	assert_string_equal(plan(c, v, 1, 1000).pool, "q");
	put(c, block("10.245.0.0/26", "a", "q"));
	assert_int_equal(plan(c, v, 2, 1000).step, BLOCKS_RELEASE);
	assert_int_equal(plan(c, v, 2, 1000).cidr.addr.bytes[1], 244);
	cluster_free(c);
}

static void huge_times_do_not_wrap(void **state)
{
	struct cluster *c = made();
	struct blocks_own v[2] = {own("10.244.0.0/26", 64, 0, UINT64_MAX - 5),
	                          own("10.244.0.64/26", 64, 1, 0)};

	(void)state;
	put(c, block("10.244.0.0/26", "a", "p"));
	put(c, block("10.244.0.64/26", "a", "p"));
	assert_int_equal(plan(c, v, 2, 1000).step, BLOCKS_NONE);
	cluster_free(c);
}

/* --- tunnels --- */

static const struct {
	int mode4, mode6; /* -1: no pool */
	const char *ip4;
	uint32_t mtu;
	bool ipip, sit;
	uint32_t want_mtu;
	const char *reason;
} tunnels[] = {
        {WEFT_TUNNEL_FALLBACK, -1, "10.1.1.1", 1500, true, false, 1480, ""},
        {WEFT_TUNNEL_NEVER, -1, "10.1.1.1", 1500, false, false, 1480, ""},
        {-1, WEFT_TUNNEL_ALWAYS, "10.1.1.1", 9000, false, true, 8980, ""},
        {WEFT_TUNNEL_CROSS_SUBNET, WEFT_TUNNEL_FALLBACK, "10.1.1.1", 1500, true, true, 1480, ""},
        {WEFT_TUNNEL_FALLBACK, WEFT_TUNNEL_FALLBACK, "10.1.1.1", 1299, true, false, 1279,
         "no IPv6 tunnel: an underlay MTU of 1299 leaves 1279 bytes, fewer than IPv6 needs"},
        {WEFT_TUNNEL_FALLBACK, WEFT_TUNNEL_FALLBACK, NULL, 1500, false, false, 1480,
         "no tunnel: our Node has no IPv4 InternalIP, and tunnels travel in IPv4"},
        {WEFT_TUNNEL_NEVER, WEFT_TUNNEL_NEVER, NULL, 1500, false, false, 1480, ""},
        {WEFT_TUNNEL_FALLBACK, -1, "10.1.1.1", 0, false, false, 0,
         "no IPv4 tunnel: an underlay MTU of 0 leaves 0 bytes, fewer than IPv4 needs"},
};

static void tunnels_follow_pool_modes(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(tunnels); i++) {
		struct cluster *c = cluster_new("a");
		struct tunnels_plan p;

		put(c, node("a", tunnels[i].ip4, "fd01::1"));
		if (tunnels[i].mode4 >= 0)
			put(c, pool("p4", "10.244.0.0/16", 26, (enum weft_tunnel_mode)tunnels[i].mode4));
		if (tunnels[i].mode6 >= 0)
			put(c, pool("p6", "fd44::/64", 122, (enum weft_tunnel_mode)tunnels[i].mode6));
		put(c, block("10.244.0.0/26", "a", "p4"));
		put(c, block("fd44::/122", "b", "p6"));
		synced(c);
		tunnels_plan(c, tunnels[i].mtu, &p);
		assert_int_equal(p.ipip, tunnels[i].ipip);
		assert_int_equal(p.sit, tunnels[i].sit);
		assert_int_equal(p.mtu, tunnels[i].want_mtu);
		assert_string_equal(p.reason, tunnels[i].reason);
		assert_int_equal(p.want_addr4, p.ipip);
		assert_int_equal(p.want_addr6, p.sit);
		assert_int_equal(p.have_block4, tunnels[i].mode4 >= 0);
		assert_false(p.have_block6);
		cluster_free(c);
	}
}

struct log {
	char text[1024];
};

static void say(void *ctx, char sign, const struct weft_addr *a)
{
	struct log *l = ctx;
	char ip[WEFT_ADDR_STR];
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%c%s ", sign, weft_addr_str(a, ip));
}

static void on_add(void *ctx, const struct weft_addr *a)
{
	say(ctx, '+', a);
}

static void on_del(void *ctx, const struct weft_addr *a)
{
	say(ctx, '-', a);
}

static void peer_addresses_follow_nodes(void **state)
{
	static const struct {
		const char *name, *ip4; /* ip4 NULL: v6 only; "" deleted */
		const char *want;
	} steps[] = {
	        {"b", "10.1.1.2", "+10.1.1.2 "},
	        {"b", "10.1.1.2", ""},
	        {"b", "10.1.1.3", "+10.1.1.3 -10.1.1.2 "},
	        {"twin", "10.1.1.3", ""},
	        {"b", "", ""},
	        {"twin", NULL, "-10.1.1.3 "},
	        {"twin", "10.1.1.4", "+10.1.1.4 "},
	        {"a", "10.1.1.1", ""},
	        {"nobody", "", ""},
	        {"last", "10.1.1.5", "+10.1.1.5 "},
	};
	struct cluster *c = cluster_new("a");
	struct log l = {""};
	struct tunnels_peers_ops ops = {on_add, on_del, &l};
	struct tunnels_peers *t = tunnels_peers_new(&ops);

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(steps); i++) {
		if (steps[i].ip4 && !*steps[i].ip4)
			del(c, WEFT_NODE, steps[i].name);
		else
			put(c, node(steps[i].name, steps[i].ip4, "fd01::9"));
		tunnels_peers_update(t, c, steps[i].name);
		assert_string_equal(l.text, steps[i].want);
		l.text[0] = '\0';
	}
	assert_int_equal(tunnels_peers_count(t), 2);
	tunnels_peers_free(t);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_node_without_blocks_claims_one),
	        cmocka_unit_test(families_are_served_by_their_pools),
	        cmocka_unit_test(the_spare_decides),
	        cmocka_unit_test(unusable_pools_give_nothing),
	        cmocka_unit_test(pools_are_tried_in_name_order),
	        cmocka_unit_test(a_claim_may_name_its_pool),
	        cmocka_unit_test(a_block_cut_otherwise_is_in_the_way),
	        cmocka_unit_test(an_empty_block_is_released_when_it_can_be_spared),
	        cmocka_unit_test(blocks_of_a_pool_that_left_us_are_replaced_then_released),
	        cmocka_unit_test(huge_times_do_not_wrap),
	        cmocka_unit_test(tunnels_follow_pool_modes),
	        cmocka_unit_test(peer_addresses_follow_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
