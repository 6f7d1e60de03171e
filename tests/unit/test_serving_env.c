// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What Services depend on besides themselves: service CIDRs, this node's addresses, Nodes, BGPAdvertisements,
 * the configuration; and which virtual services in the kernel are ours.
 */
#include "agent/daemon/services_private.h"
#include "tests/unit/serving_bed.h"

static void web(struct bed *b, const char *words, const char *endpoints)
{
	services_put(b->services, service("ns/web", words));
	WEB_SLICE(b, endpoints);
}

/* --- service CIDRs --- */

/* The route opens every port of every address in the range: nftables closes them first. */
static void a_cidr_comes_after_the_dataplane(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "ip=10.96.0.1 port=80/TCP", "10.244.0.1@b");
	turn(b);
	wrote("nft\n"
	      "ipvs + 10.96.0.1:80/TCP\n"
	      "ipvs + 10.96.0.1:80/TCP 10.244.0.1:8080 w1\n"
	      "route + local 10.96.0.0/16\n"
	      "route + 179 10.96.0.0/16 1000\n");
	assert_false(serving_waits(b->serving));
	del(b->cluster, WEFT_BGPADVERTISEMENT, "all");
	turn(b);
	wrote("route - 179 10.96.0.0/16 1000\n");
}

static void a_cidr_waits_while_answers_are_lost(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "ip=10.96.0.1 port=80/TCP", "10.244.0.1@b");
	b->ipvs_kernel.send_error = ENOBUFS;
	assert_true(one_turn(b) < 0);
	assert_false(is_local(b, "10.96.0.0/16"));
	assert_true(serving_waits(b->serving));
	b->now += 2000;
	turn(b);
	assert_true(is_announced(b, "10.96.0.0/16"));
}

static void a_cidr_is_announced_with_its_route_only(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	b->routes.refuse = -EINVAL;
	turn(b);
	assert_false(is_announced(b, "10.96.0.0/16"));
	assert_false(serving_waits(b->serving));
	b->routes.refuse = 0;
	b->now += 2000;
	turn(b);
	turn(b);
	assert_true(is_announced(b, "10.96.0.0/16"));
}

/* A LoadBalancer IP in the range needs no route of its own, but that of the range. */
static void a_vip_in_a_cidr_waits_for_its_route(void **state)
{
	struct bed *b = *state;

	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	b->routes.refuse = -EINVAL;
	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=10.96.0.9", "10.244.0.1@b");
	turn(b);
	assert_false(is_announced(b, "10.96.0.9/32"));
	b->routes.refuse = 0;
	b->now += 2000;
	turn(b);
	turn(b);
	assert_true(is_announced(b, "10.96.0.9/32"));
	assert_false(is_local(b, "10.96.0.9/32"));
}

/* Its announcement ends first; its route when the VIPs in it have their own. */
static void a_cidr_leaves(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "ip=10.96.0.1 port=80/TCP", "10.244.0.1@b");
	turn(b);
	forget();
	del(b->cluster, WEFT_SERVICECIDR, "main");
	turn(b);
	wrote("route - 179 10.96.0.0/16 1000\n"
	      "nft\n"
	      "route + local 10.96.0.1/32\n"
	      "read 10.96.0.1:80/TCP\n"
	      "route + 179 10.96.0.1/32 1000\n"
	      "route - local 10.96.0.0/16\n");
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	turn(b);
	assert_true(is_local(b, "10.96.0.0/16"));
	assert_false(is_local(b, "10.96.0.1/32"));
	assert_true(is_announced(b, "10.96.0.0/16"));
	assert_false(is_announced(b, "10.96.0.1/32"));
}

/* It leaves and is back before its VIPs could be moved. */
static void a_cidr_that_is_back_stays(void **state)
{
	struct bed *b = *state;

	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "ip=10.96.0.1 port=80/TCP", "10.244.0.1@b");
	turn(b);
	del(b->cluster, WEFT_SERVICECIDR, "main");
	b->ipvs_kernel.send_error = ENOBUFS;
	WEB_SLICE(b, "10.244.0.1@b 10.244.0.2@b");
	assert_true(one_turn(b) < 0);
	assert_true(is_local(b, "10.96.0.0/16"));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	b->now += 2000;
	turn(b);
	assert_true(is_local(b, "10.96.0.0/16"));
	assert_false(is_local(b, "10.96.0.1/32"));
}

/* Its route would cut the node off from the network that it is in. */
static void a_cidr_with_our_address_is_not_routed(void **state)
{
	struct bed *b = *state;

	put(b->cluster, service_cidr("main", "10.0.0.0/8"));
	web(b, "ip=10.96.0.1 port=80/TCP", "10.244.0.1@b");
	turn(b);
	assert_false(is_local(b, "10.0.0.0/8"));
	assert_true(is_local(b, "10.96.0.1/32"));
	assert_true(leads_to(b, "10.96.0.1", 80, "10.244.0.1"));
}

static void a_cidr_with_another_network_of_ours(void **state)
{
	struct bed *b = *state;

	b->cfg.services.node_ports = WEFT_NODE_PORTS_PRIMARY;
	put(b->cluster, service_cidr("main", "172.16.0.0/12"));
	turn(b);
	assert_true(is_local(b, "172.16.0.0/12"));
	address(b, MONITOR_ADDR_NEW, "172.16.5.1", 24);
	serving_refresh(b->serving, &b->ip4, &b->ip6);
	turn(b);
	assert_false(is_local(b, "172.16.0.0/12"));
	address(b, MONITOR_ADDR_DEL, "172.16.5.1", 24);
	/* a ClusterIP that another proxy left on a device */
	address(b, MONITOR_ADDR_NEW, "172.16.5.1", 32);
	serving_refresh(b->serving, &b->ip4, &b->ip6);
	turn(b);
	assert_true(is_local(b, "172.16.0.0/12"));
}

/* --- this node --- */

static const struct weft_addr *source_of(struct bed *b, const char *dst)
{
	struct weft_prefix p = prefix(dst);

	for (size_t i = 0; i < b->routes.n; i++)
		if (b->routes.route[i].route.key.table == RT_TABLE_LOCAL &&
		    !weft_prefix_cmp(&b->routes.route[i].route.key.dst, &p))
			return &b->routes.route[i].route.src;
	fail_msg("no local route for %s", dst);
	return NULL;
}

static void has_source(struct bed *b, const char *dst, const char *source)
{
	struct weft_addr a = addr(source);

	assert_int_equal(weft_addr_cmp(source_of(b, dst), &a), 0);
}

static void node_ip(struct bed *b, const char *ip4)
{
	put(b->cluster, node("a", ip4, "fd01::1"));
	b->ip4 = addr(ip4);
}

/* H3, S29 */
static void the_node_ip_changes(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP:30080 lb=192.0.2.1", "10.244.0.1@b");
	turn(b);
	has_source(b, "192.0.2.1/32", "10.1.1.1");
	has_source(b, "10.96.0.0/16", "10.1.1.1");
	forget();
	address(b, MONITOR_ADDR_NEW, "10.1.1.7", 24);
	address(b, MONITOR_ADDR_DEL, "10.1.1.1", 24);
	node_ip(b, "10.1.1.7");
	turn(b);
	has_source(b, "192.0.2.1/32", "10.1.1.7");
	has_source(b, "10.96.0.0/16", "10.1.1.7");
	assert_non_null(virtual_at(b, "10.1.1.7", IPPROTO_TCP, 30080));
	assert_null(virtual_at(b, "10.1.1.1", IPPROTO_TCP, 30080));
	assert_null(strstr(recorded(), "route -")); /* replaced */
	assert_true(is_announced(b, "192.0.2.1/32"));
}

/* Without an address of that family there is no route, and nobody is drawn here. S30: IPv6 goes on. */
static void the_node_ip_goes(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	put(b->cluster, service_cidr("six", "fd96::/112"));
	web(b, "type=LoadBalancer ip=10.96.0.1 ip=fd96::1 port=80/TCP lb=192.0.2.1", "10.244.0.1@b");
	turn(b);
	assert_true(is_announced(b, "fd96::/112"));
	address(b, MONITOR_ADDR_DEL, "10.1.1.1", 24);
	node_ip(b, NULL);
	turn(b);
	assert_false(is_announced(b, "10.96.0.0/16"));
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_false(is_local(b, "10.96.0.0/16"));
	assert_false(is_local(b, "192.0.2.1/32"));
	assert_true(is_announced(b, "fd96::/112"));
	address(b, MONITOR_ADDR_NEW, "10.1.1.1", 24);
	node_ip(b, "10.1.1.1");
	turn(b);
	assert_true(is_announced(b, "10.96.0.0/16"));
	assert_true(is_announced(b, "192.0.2.1/32"));
}

/* To be registered anew, perhaps: what runs goes on, and views can be asked for. */
static void our_node_is_deleted(void **state)
{
	struct bed *b = *state;
	struct svc_plan p;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=192.0.2.1", "10.244.0.1@b");
	turn(b);
	forget();
	del(b->cluster, WEFT_NODE, "a");
	turn(b);
	assert_true(serving_preview(b->serving, "ns/web", &p));
	svc_plan_free(&p);
	turn(b);
	wrote("");
	node_ip(b, "10.1.1.1");
	turn(b);
	wrote("");
	assert_true(is_announced(b, "10.96.0.0/16"));
}

/* H4 */
static void a_vip_that_a_node_has(void **state)
{
	struct bed *b = *state;

	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=192.0.2.1", "10.244.0.1@b");
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
	put(b->cluster, node("c", "192.0.2.1", NULL));
	turn(b);
	assert_false(is_announced(b, "192.0.2.1/32"));
	assert_false(is_local(b, "192.0.2.1/32"));
	assert_int_equal(serving_stats(b->serving).problems, 1);
	del(b->cluster, WEFT_NODE, "c");
	turn(b);
	assert_true(is_announced(b, "192.0.2.1/32"));
	assert_int_equal(serving_stats(b->serving).problems, 0);
}

/* --- BGPAdvertisements --- */

/* A view asks between the event, which frees the object, and the turn that looks at it. */
static void previewed_before_the_turn(void **state)
{
	struct bed *b = *state;
	struct svc_plan p;

	put(b->cluster, advertisement("all", WEFT_ADVERT_EXTERNAL));
	web(b, "ip=10.96.0.1 port=80/TCP ext=192.0.2.1", "10.244.0.1@b");
	turn(b);
	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	assert_true(serving_preview(b->serving, "ns/web", &p));
	assert_int_equal(p.n_vips, 2);
	assert_true(p.vips[0].advertise);
	assert_false(p.vips[1].advertise);
	svc_plan_free(&p);
	del(b->cluster, WEFT_BGPADVERTISEMENT, "all");
	assert_true(serving_preview(b->serving, "ns/web", &p));
	assert_false(p.vips[0].advertise);
	svc_plan_free(&p);
	turn(b);
	assert_false(is_announced(b, "192.0.2.1/32"));
}

static void a_preview_keeps_no_mark(void **state)
{
	struct bed *b = *state;
	struct svc_plan p;

	turn(b);
	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=192.0.2.1 etp=Local", "10.244.0.1@a");
	assert_true(serving_preview(b->serving, "ns/web", &p));
	svc_plan_free(&p);
	assert_int_equal(fwmarks_count(b->serving->marks), 0);
	turn(b);
	assert_int_equal(fwmarks_count(b->serving->marks), 1);
	assert_true(serving_preview(b->serving, "ns/web", &p));
	svc_plan_free(&p);
	assert_int_equal(fwmarks_count(b->serving->marks), 1);
	services_del(b->services, WEFT_SERVICE, "ns/web");
	turn(b);
	assert_int_equal(fwmarks_count(b->serving->marks), 0);
}

/* --- Services off --- */

static void off_makes_nothing(void **state)
{
	struct bed *b = *state;

	b->cfg.services.enabled = false;
	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	turn(b);
	sweep(b);
	assert_null(strstr(recorded(), "route"));
	assert_null(strstr(recorded(), "ipvs"));
	assert_int_equal(serving_oldest_pending(b->serving), 0);
}

/* Served in an earlier life, turned off since: all of it goes. */
static void turned_off_takes_all_away(void **state)
{
	struct bed *b = *state;

	put(b->cluster, advertisement("all", WEFT_ADVERT_CLUSTER));
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP:30080 lb=192.0.2.1", "10.244.0.1@b");
	turn(b);
	assert_int_equal(ipvs_wanted(b->ipvs), 3);
	b->cfg.services.enabled = false;
	new_life(b);
	turn(b);
	sweep(b);
	assert_int_equal(b->routes.n, 0);
	assert_null(virtual_at(b, "10.96.0.1", IPPROTO_TCP, 80));
	assert_null(virtual_at(b, "192.0.2.1", IPPROTO_TCP, 80));
	assert_null(virtual_at(b, "10.1.1.1", IPPROTO_TCP, 30080));
}

/* --- ownership --- */

static bool owns(struct bed *b, const char *ip, uint16_t port, uint32_t mark)
{
	struct svc_virtual_key k;

	memset(&k, 0, sizeof(k));
	k.addr = addr(ip);
	k.proto = mark ? 0 : IPPROTO_TCP;
	k.port = port;
	k.fwmark = mark;
	return serving_owns(&b->serving, &k);
}

static void what_is_ours(void **state)
{
	struct bed *b = *state;

	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "type=LoadBalancer ip=10.97.0.1 port=80/TCP lb=192.0.2.1", "");
	turn(b);
	assert_true(owns(b, "10.96.7.7", 443, 0));
	assert_true(owns(b, "192.0.2.1", 443, 0));
	assert_false(owns(b, "192.0.2.2", 443, 0));
	assert_true(owns(b, "10.1.1.1", 30000, 0));
	assert_false(owns(b, "10.1.1.1", 29999, 0));
	assert_false(owns(b, "10.1.1.2", 30000, 0));
	assert_true(owns(b, "10.1.1.1", 0, WEFT_FWMARK_BASE + 1));
	assert_false(owns(b, "10.1.1.1", 0, 1));
}

/* With Services off they are another proxy's, but for what we left behind. */
static void what_is_ours_with_services_off(void **state)
{
	struct bed *b = *state;

	b->cfg.services.enabled = false;
	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	turn(b);
	assert_false(owns(b, "10.96.7.7", 443, 0));
	assert_false(owns(b, "10.1.1.1", 30000, 0));
	assert_true(owns(b, "10.1.1.1", 0, WEFT_FWMARK_BASE + 1));
}

static void what_an_earlier_life_left_is_ours(void **state)
{
	struct bed *b = *state;

	put(b->cluster, service_cidr("main", "10.96.0.0/16"));
	web(b, "type=LoadBalancer ip=10.96.0.1 port=80/TCP lb=192.0.2.1", "10.244.0.1@b");
	turn(b);
	b->cfg.services.enabled = false;
	del(b->cluster, WEFT_SERVICECIDR, "main");
	new_life(b);
	turn(b);
	assert_true(owns(b, "10.96.7.7", 443, 0));
	assert_true(owns(b, "192.0.2.1", 443, 0));
	assert_false(owns(b, "192.0.2.2", 443, 0));
	assert_true(owns(b, "10.1.1.1", 30000, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_cidr_comes_after_the_dataplane),
	        TEST(a_cidr_waits_while_answers_are_lost),
	        TEST(a_cidr_is_announced_with_its_route_only),
	        TEST(a_vip_in_a_cidr_waits_for_its_route),
	        TEST(a_cidr_leaves),
	        TEST(a_cidr_that_is_back_stays),
	        TEST(a_cidr_with_our_address_is_not_routed),
	        TEST(a_cidr_with_another_network_of_ours),
	        TEST(the_node_ip_changes),
	        TEST(the_node_ip_goes),
	        TEST(our_node_is_deleted),
	        TEST(a_vip_that_a_node_has),
	        TEST(previewed_before_the_turn),
	        TEST(a_preview_keeps_no_mark),
	        TEST(off_makes_nothing),
	        TEST(turned_off_takes_all_away),
	        TEST(what_is_ours),
	        TEST(what_is_ours_with_services_off),
	        TEST(what_an_earlier_life_left_is_ours),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
