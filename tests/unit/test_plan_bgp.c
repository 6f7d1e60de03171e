// SPDX-License-Identifier: GPL-2.0-or-later
/* The BGP model: what is rendered, what isn't and why, names, ranges, sameness. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/plan/bgp.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

static const struct bgp_params fast = {.profile = BGP_FAST};

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rack", "1"));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	put(c, pool("pods6", "fd44::/64", 122, WEFT_TUNNEL_FALLBACK));
	synced(c);
	return c;
}

static struct weft_object *config(uint32_t as, const char *router_id)
{
	struct weft_object *o = object(WEFT_BGPCONFIG, "default");

	o->bgpconfig.as_number = as;
	o->bgpconfig.router_id = addr(router_id);
	o->bgpconfig.listen_port = 179;
	return o;
}

static struct weft_object *with_password(struct weft_object *o, const char *name, const char *key)
{
	o->bgppeer.secret = strdup(name);
	o->bgppeer.secret_key = strdup(key);
	return o;
}

static const char *ranges(const struct bgp_range *v, size_t n, char *buf, size_t size)
{
	char cidr[WEFT_PREFIX_STR];
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s{%u,%u}", i ? " " : "",
		                       weft_prefix_str(&v[i].cidr, cidr), v[i].ge, v[i].le);
	return buf;
}

static void numbers_come_from_node_config_default(void **state)
{
	struct cluster *c = made();
	struct weft_object *self = node("a", "10.1.1.1", NULL);
	struct bgp_model m;
	char text[WEFT_ADDR_STR];

	(void)state;
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.local_as, 64512);
	assert_int_equal(m.listen_port, 179);
	assert_string_equal(weft_addr_str(&m.router_id, text), "10.1.1.1");
	bgp_model_free(&m);
	put(c, config(65001, "9.9.9.9"));
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.local_as, 65001);
	assert_string_equal(weft_addr_str(&m.router_id, text), "9.9.9.9");
	bgp_model_free(&m);
	self->node.as_number = 65002;
	put(c, self);
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.local_as, 65002);
	bgp_model_free(&m);
	del(c, WEFT_BGPCONFIG, "default");
	put(c, node("a", NULL, "fd01::1")); /* v6 only: an id all the same, and a stable one */
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.router_id.family, AF_INET);
	assert_int_not_equal(m.router_id.bytes[0], 0);
	struct weft_addr id = m.router_id;
	bgp_model_free(&m);
	bgp_plan(c, &fast, &m);
	assert_int_equal(weft_addr_cmp(&id, &m.router_id), 0);
	bgp_model_free(&m);
	cluster_free(c);
}

/* As long as BGPPeer takes it. */
static void a_description_is_whole(void **state)
{
	struct cluster *c = made();
	struct weft_object *p = peer("tor", "10.1.1.254", 65000);
	char text[256];
	struct bgp_model m;

	(void)state;
	memset(text, 'x', 255);
	text[255] = '\0';
	p->bgppeer.description = strdup(text);
	put(c, p);
	bgp_plan(c, &fast, &m);
	assert_string_equal(m.peers[0].description, text);
	bgp_model_free(&m);
	cluster_free(c);
}

static void peers_are_chosen_by_selector_and_sorted(void **state)
{
	struct cluster *c = made();
	struct weft_object *other = peer("tor-b", "10.1.2.254", 65000),
	                   *ours = peer("tor-a", "fd01::fe", 65000);
	struct bgp_model m;

	(void)state;
	require(&other->bgppeer.node_selector, "rack", "2");
	require(&ours->bgppeer.node_selector, "rack", "1");
	ours->bgppeer.description = strdup("top of \"rack\"\n\303\251 1");
	put(c, peer("z", "10.1.1.254", 65000));
	put(c, other);
	put(c, ours);
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.n_peers, 2);
	assert_string_equal(m.peers[0].name, "tor-a");
	assert_string_equal(m.peers[0].protocol, "peer_tor_a");
	assert_string_equal(m.peers[0].description, "top of ?rack???? 1");
	assert_string_equal(m.peers[0].reason, "");
	assert_int_equal(m.peers[0].local.family, AF_INET6);
	assert_string_equal(m.peers[1].name, "z");
	assert_int_equal(m.peers[1].as_number, 65000);
	bgp_model_free(&m);
	del(c, WEFT_NODE, "a"); /* who are we? nobody's peer */
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.n_peers, 0);
	bgp_model_free(&m);
	cluster_free(c);
}

static struct routes_link on_link(const char *cidr, const char *ours)
{
	struct routes_link l = {.addr = addr(ours)};

	assert_int_equal(weft_prefix_parse(cidr, &l.prefix, NULL), 0);
	return l;
}

static void a_peer_knows_us_by_our_address_on_its_link(void **state)
{
	struct cluster *c = made();
	struct routes_link links[] = {on_link("10.0.1.0/31", "10.0.1.1"), on_link("10.1.1.0/24", "10.1.1.77"),
	                              on_link("10.1.1.0/24", "10.1.1.1")};
	struct bgp_params params = {.links = links, .n_links = 3};
	struct bgp_model m;
	char text[WEFT_ADDR_STR];

	(void)state;
	put(c, peer("a", "10.0.1.0", 65000));   /* a point-to-point link of its own */
	put(c, peer("b", "10.1.1.254", 65000)); /* two addresses on the link: the InternalIP */
	put(c, peer("c", "192.0.2.1", 65000));  /* not on any link */
	bgp_plan(c, &params, &m);
	assert_string_equal(weft_addr_str(&m.peers[0].local, text), "10.0.1.1");
	assert_string_equal(weft_addr_str(&m.peers[1].local, text), "10.1.1.1");
	assert_string_equal(weft_addr_str(&m.peers[2].local, text), "10.1.1.1");
	bgp_model_free(&m);
	cluster_free(c);
}

static void protocol_names_are_safe_and_unique(void **state)
{
	static const struct {
		const char *name, *want;
	} table[] = {
	        {"tor1", "peer_tor1"}, {"rack-1-tor-a", "peer_rack_1_tor_a"},
	        {"a.b", "peer_a_b__"}, {"a--b", "peer_a__b__"},
	        {"A", "peer_a__"},     {"x;} filter all {", "peer_x___filter_all____"},
	};
	struct cluster *c = made();
	struct bgp_model m;
	char name[254], ip[WEFT_ADDR_STR];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(table); i++) {
		put(c, peer(table[i].name, "10.1.1.254", 65000));
		bgp_plan(c, &fast, &m);
		assert_int_equal(m.n_peers, 1);
		if (!strncmp(m.peers[0].protocol, table[i].want, strlen(table[i].want)))
			assert_true(strlen(m.peers[0].protocol) == strlen(table[i].want) + (i < 2 ? 0 : 16));
		else
			assert_string_equal(m.peers[0].protocol, table[i].want);
		bgp_model_free(&m);
		del(c, WEFT_BGPPEER, table[i].name);
	}
	/* long names that differ at the end only, and what a hash must not be mistaken for */
	for (unsigned i = 0; i < 200; i++) {
		struct weft_addr a = addr("10.1.9.1");

		a = weft_addr_add(&a, i);
		memset(name, i % 2 ? 'x' : '-', sizeof(name));
		snprintf(name + 200, sizeof(name) - 200, "%u", i);
		put(c, peer(name + (i % 3) * 60, weft_addr_str(&a, ip), 65000));
	}
	bgp_plan(c, &fast, &m);
	assert_int_equal(m.n_peers, 200);
	for (size_t i = 0; i < m.n_peers; i++) {
		assert_string_equal(m.peers[i].reason, "");
		assert_true(strlen(m.peers[i].protocol) <= BGP_PROTOCOL_NAME_MAX);
		assert_int_equal(strspn(m.peers[i].protocol, "abcdefghijklmnopqrstuvwxyz0123456789_"),
		                 strlen(m.peers[i].protocol));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(m.peers[i].protocol, m.peers[k].protocol);
	}
	bgp_model_free(&m);
	cluster_free(c);
}

static const struct {
	const char *address, *secret, *key;
	uint32_t as;
	const char *reason;
} refusals[] = {
        {"10.1.1.254", NULL, NULL, 65000, ""},
        {"10.1.1.254", "good", "k", 65000, ""},
        {"10.1.1.254", "eighty", "k", 65000, ""},
        {"10.1.1.254", NULL, NULL, 0, "AS number 0 is reserved (RFC 7607)"},
        {"10.1.1.1", NULL, NULL, 65000, "its address 10.1.1.1 is our own"},
        {"fd01::fe", NULL, NULL, 65000, "its address fd01::fe is IPv6 and our Node has no IPv6 InternalIP"},
        {"224.0.0.5", NULL, NULL, 65000, "224.0.0.5 is not a unicast address that a peer can have here"},
        {"fe80::1", NULL, NULL, 65000, "its address fe80::1 is link-local: it needs an interface"},
        {"10.1.1.254", "none", "k", 65000,
         "its password's Secret none does not exist in namespace kube-system"},
        {"10.1.1.254", "good", "K", 65000, "the Secret good has no key \"K\""},
        {"10.1.1.254", "long", "k", 65000, "the password in Secret long has 81 bytes; TCP MD5 takes 1 to 80"},
        {"10.1.1.254", "empty", "k", 65000,
         "the password in Secret empty has 0 bytes; TCP MD5 takes 1 to 80"},
        {"10.1.1.254", "line", "k", 65000,
         "the password in Secret line holds a character other than printable ASCII without the double quote (a "
         "newline at its end?)"},
        {"10.1.1.254", "quote", "k", 65000,
         "the password in Secret quote holds a character other than printable ASCII without the double quote (a "
         "newline at its end?)"},
};

static void what_cannot_be_rendered_says_why(void **state)
{
	char eighty[82];

	(void)state;
	memset(eighty, 'p', sizeof(eighty));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(refusals); i++) {
		struct cluster *c = made();
		struct weft_object *p = peer("tor", refusals[i].address, refusals[i].as);
		struct bgp_model m;

		put(c, node("a", "10.1.1.1", NULL));
		put(c, secret("good", "k", "s3cret"));
		eighty[81] = '\0';
		put(c, secret("long", "k", eighty));
		eighty[80] = '\0';
		put(c, secret("eighty", "k", eighty));
		eighty[80] = 'p';
		put(c, secret("empty", "k", ""));
		put(c, secret("line", "k", "s3cret\n"));
		put(c, secret("quote", "k", "s3\"cret"));
		put(c, refusals[i].secret ? with_password(p, refusals[i].secret, refusals[i].key) : p);
		bgp_plan(c, &fast, &m);
		assert_int_equal(m.n_peers, 1);
		assert_string_equal(m.peers[0].reason, refusals[i].reason);
		assert_null(strstr(m.peers[0].reason, "s3"));
		assert_int_equal(m.peers[0].password != NULL, refusals[i].secret && !*refusals[i].reason);
		bgp_model_free(&m);
		cluster_free(c);
	}
}

static void a_peer_needs_a_place_and_times_that_bgp_has(void **state)
{
	static const struct {
		const char *address;
		uint16_t hold, keepalive;
		const char *reason;
	} table[] = {
	        {"10.1.1.254", 3, 3, ""},
	        {"10.1.1.254", 2, 0, "a hold time of 2 s is shorter than BGP's 3 s"},
	        {"10.1.1.254", 0, 10, "its keepalive time 10 s is longer than its hold time 9 s"},
	        {NULL, 0, 0, "it has neither an address nor an interface"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(table); i++) {
		struct weft_object *p = peer("tor", table[i].address, 65000);
		struct cluster *c = made();
		struct bgp_model m;

		p->bgppeer.hold_s = table[i].hold;
		p->bgppeer.keepalive_s = table[i].keepalive;
		put(c, p);
		bgp_plan(c, &fast, &m);
		assert_string_equal(m.peers[0].reason, table[i].reason);
		bgp_model_free(&m);
		cluster_free(c);
	}
}

static void of_two_peers_at_one_address_the_first_name_wins(void **state)
{
	struct cluster *c = made();
	struct bgp_model m;

	(void)state;
	put(c, peer("b", "10.1.1.254", 65000));
	put(c, peer("a", "10.1.1.254", 65000));
	bgp_plan(c, &fast, &m);
	assert_string_equal(m.peers[0].reason, "");
	assert_string_equal(m.peers[1].reason, "BGPPeer a has the same address");
	bgp_model_free(&m);
	cluster_free(c);
}

static void ranges_follow_pools_and_config(void **state)
{
	struct cluster *c = made();
	struct weft_object *o = config(0, NULL), *lb = pool("lb", "10.7.0.0/24", 32, 0);
	struct bgp_model m;
	char text[512];

	(void)state;
	lb->ippool.use = WEFT_USE_LOADBALANCER;
	put(c, lb);
	put(c, pool("x-all", "10.0.0.0/8", 26, 0)); /* refused, no blocks: must not open the filters */
	o->bgpconfig.import = calloc(4, sizeof(*o->bgpconfig.import));
	o->bgpconfig.n_import = 4;
	o->bgpconfig.import[0] = (struct weft_prefix_range){prefix("0.0.0.0/0"), 0, 0};
	o->bgpconfig.import[1] = (struct weft_prefix_range){prefix("10.244.0.0/16"), 26, 26}; /* twice */
	o->bgpconfig.import[2] = (struct weft_prefix_range){prefix("192.168.0.0/16"), 24, 32};
	o->bgpconfig.import[3] = (struct weft_prefix_range){prefix("192.168.0.0/16"), 8, 40}; /* nonsense */
	put(c, o);
	bgp_plan(c, &fast, &m);
	assert_string_equal(ranges(m.advertise, m.n_advertise, text, sizeof(text)),
	                    "10.244.0.0/16{26,26} fd44::/64{122,122}");
	assert_string_equal(ranges(m.import, m.n_import, text, sizeof(text)),
	                    "0.0.0.0/0{0,0} 10.244.0.0/16{26,26} 192.168.0.0/16{24,32} fd44::/64{122,122}");
	bgp_model_free(&m);
	cluster_free(c);
}

/* Each change is seen, nothing else is. */
static void a_fingerprint_sees_every_change(void **state)
{
	struct cluster *c = made();
	uint8_t seen[16][BGP_FINGERPRINT], again[BGP_FINGERPRINT], other[BGP_FINGERPRINT];
	static const uint8_t key[32] = {1}, key2[32] = {2};
	struct bgp_params params = fast;
	struct bgp_model m;
	size_t n;

	(void)state;
	for (n = 0; n < 9; n++) {
		if (n == 1)
			put(c, peer("tor", "10.1.1.254", 65000));
		else if (n == 2)
			put(c, with_password(peer("tor", "10.1.1.254", 65000), "s", "k"));
		else if (n == 3)
			put(c, secret("s", "k", "one"));
		else if (n == 4)
			put(c, secret("s", "k", "two"));
		else if (n == 5)
			put(c, config(65009, NULL));
		else if (n == 6)
			put(c, pool("pods", "10.244.0.0/16", 27, 0));
		else if (n == 7)
			put(c, node("a", "10.1.1.3", "fd01::1"));
		else if (n == 8)
			params.profile = BGP_GRACEFUL;
		bgp_plan(c, &params, &m);
		bgp_fingerprint(&m, key, seen[n]);
		bgp_fingerprint(&m, key2, other);
		assert_memory_not_equal(seen[n], other, BGP_FINGERPRINT);
		bgp_model_free(&m);
		for (size_t i = 0; i < n; i++)
			assert_memory_not_equal(seen[i], seen[n], BGP_FINGERPRINT);
		put(c, node("other", "10.1.1.7", NULL)); /* nothing to do with us */
		put(c, block("10.244.9.0/27", "other", "pods"));
		bgp_plan(c, &params, &m);
		bgp_fingerprint(&m, key, again);
		assert_memory_equal(seen[n], again, BGP_FINGERPRINT);
		assert_true(bgp_model_equal(&m, &m));
		bgp_model_free(&m);
	}
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(numbers_come_from_node_config_default),
	        cmocka_unit_test(a_description_is_whole),
	        cmocka_unit_test(peers_are_chosen_by_selector_and_sorted),
	        cmocka_unit_test(a_peer_knows_us_by_our_address_on_its_link),
	        cmocka_unit_test(protocol_names_are_safe_and_unique),
	        cmocka_unit_test(what_cannot_be_rendered_says_why),
	        cmocka_unit_test(a_peer_needs_a_place_and_times_that_bgp_has),
	        cmocka_unit_test(of_two_peers_at_one_address_the_first_name_wins),
	        cmocka_unit_test(ranges_follow_pools_and_config),
	        cmocka_unit_test(a_fingerprint_sees_every_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
