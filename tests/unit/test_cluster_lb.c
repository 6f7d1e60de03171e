// SPDX-License-Identifier: GPL-2.0-or-later
/* Pools of LoadBalancer ranges beside pools of blocks: overlaps, and nodes' addresses (H4). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/lb_objects.h"

static const char *refused(const struct cluster *c, const char *name)
{
	struct cluster_pool p;

	for (size_t i = 0; cluster_pool_at(c, i, &p); i++)
		if (!strcmp(p.name, name))
			return p.refused;
	fail_msg("no pool %s", name);
	return NULL;
}

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, node("a", "10.1.1.1", "fd01::1"));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	synced(c);
	drain(c);
	return c;
}

/* Several pools without a cidr have nothing to do with each other, nor with blocks. */
static void ranges_apart_are_in_force(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, lb_pool("l1", "192.0.2.1-192.0.2.9 fd02::1-fd02::9"));
	put(c, lb_pool("l2", "192.0.2.10-192.0.2.19"));
	put(c, lb_pool("l3", "10.243.255.255-10.243.255.255 10.245.0.0-10.245.0.0"));
	put(c, block("10.244.1.0/26", "a", "pods"));
	assert_null(refused(c, "l1"));
	assert_null(refused(c, "l2"));
	assert_null(refused(c, "l3"));
	assert_null(refused(c, "pods"));
	put(c, lb_pool("l1", "192.0.2.1-192.0.2.8"));
	del(c, WEFT_IPPOOL, "l2");
	drain(c);
	assert_null(refused(c, "l1"));
	cluster_free(c);
}

static void overlapping_ranges_are_refused_by_name(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, lb_pool("l1", "192.0.2.1-192.0.2.9 10.244.255.255-10.245.0.1"));
	assert_string_equal(
	        refused(c, "l1"),
	        "IPPool l1 (10.244.255.255-10.245.0.1) overlaps IPPool pods (10.244.0.0/16), which keeps "
	        "its addresses: no new LoadBalancer IPs from l1 until one of the two is changed");
	assert_null(refused(c, "pods"));
	put(c, lb_pool("l1", "192.0.2.1-192.0.2.9"));
	assert_null(refused(c, "l1"));
	put(c, lb_pool("a", "192.0.2.0-192.0.2.255")); /* one holds the other; the one in force stays */
	assert_string_equal(
	        refused(c, "a"),
	        "IPPool a (192.0.2.0-192.0.2.255) overlaps IPPool l1 (192.0.2.1-192.0.2.9), which keeps "
	        "its addresses: no new LoadBalancer IPs from a until one of the two is changed");
	put(c, lb_pool("l1", "192.0.2.1-192.0.2.9 fd02::1-fd02::2")); /* changed: it must win anew */
	assert_null(refused(c, "a"));
	assert_non_null(refused(c, "l1"));
	del(c, WEFT_IPPOOL, "a");
	assert_null(refused(c, "l1"));
	cluster_free(c);
}

static void a_pool_of_pods_inside_a_range_is_refused(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, lb_pool("l1", "10.0.0.1-10.0.255.255"));
	put(c, pool("more", "10.0.8.0/24", 26, WEFT_TUNNEL_FALLBACK));
	assert_string_equal(
	        refused(c, "more"),
	        "IPPool more (10.0.8.0/24) overlaps IPPool l1 (10.0.0.1-10.0.255.255), which keeps its "
	        "addresses: no new blocks from more until one of the two is changed");
	cluster_free(c);
}

/* H4: the ends belong to the range, their neighbours do not. */
static void a_range_with_a_node_address_is_refused(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, lb_pool("l1", "192.0.2.1-192.0.2.9 10.1.1.1-10.1.1.1"));
	put(c, lb_pool("l2", "10.1.0.255-10.1.1.0 10.1.1.2-10.1.1.9 fd01::2-fd01::ff"));
	assert_string_equal(
	        refused(c, "l1"),
	        "IPPool l1 (10.1.1.1-10.1.1.1) contains 10.1.1.1, the address of node a: no new LoadBalancer "
	        "IPs from it until its ranges are changed");
	assert_null(refused(c, "l2"));
	put(c, node("b", "10.1.1.9", NULL)); /* a node comes into a range */
	assert_non_null(
	        strstr(refused(c, "l2"), "(10.1.1.2-10.1.1.9) contains 10.1.1.9, the address of node b"));
	put(c, node("b", "10.1.1.10", "fd01::100"));
	assert_null(refused(c, "l2"));
	put(c, node("b", "10.1.1.10", "fd01::ff"));
	assert_non_null(
	        strstr(refused(c, "l2"), "(fd01::2-fd01::ff) contains fd01::ff, the address of node b"));
	drain(c);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ranges_apart_are_in_force),
	        cmocka_unit_test(overlapping_ranges_are_refused_by_name),
	        cmocka_unit_test(a_pool_of_pods_inside_a_range_is_refused),
	        cmocka_unit_test(a_range_with_a_node_address_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
