// SPDX-License-Identifier: GPL-2.0-or-later
/* Options of peers in the BGP model: defaults, combinations refused, routers discovered, mesh. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/plan/bgp.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

static struct bgp_params params(enum bgp_profile profile)
{
	static struct routes_link link = {.dev = "eth0"};

	link.prefix = prefix("10.1.1.0/24");
	link.addr = addr("10.1.1.1");
	return (struct bgp_params){.profile = profile, .links = &link, .n_links = 1};
}

static struct weft_object *config(void)
{
	struct weft_object *o = object(WEFT_BGPCONFIG, "default");

	o->bgpconfig.as_number = 64600;
	o->bgpconfig.communities = calloc(1, sizeof(*o->bgpconfig.communities));
	o->bgpconfig.n_communities = 1;
	o->bgpconfig.communities[0] = (struct weft_community_ref){strdup("blue"), {.part = {64600, 7}}};
	return o;
}

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rr", "1"));
	put(c, config());
	synced(c);
	return c;
}

/* --- defaults --- */

static void defaults_follow_profile_and_link(void **state)
{
	static const struct {
		enum bgp_profile profile;
		const char *address;
		uint32_t as;
		uint8_t multihop;
		bool bfd;
		enum weft_gr_mode restart;
	} table[] = {
	        {BGP_FAST, "10.1.1.254", 65000, 0, true, WEFT_GR_AWARE},
	        {BGP_GRACEFUL, "10.1.1.254", 65000, 0, false, WEFT_GR_ON},
	        {BGP_FAST, "10.1.1.254", 64600, 0, true, WEFT_GR_AWARE}, /* iBGP on the link */
	        {BGP_FAST, "10.9.9.9", 64600, 64, false, WEFT_GR_AWARE}, /* iBGP from afar */
	        {BGP_GRACEFUL, "10.9.9.9", 64600, 64, false, WEFT_GR_ON},
	        {BGP_FAST, "10.9.9.9", 65000, 0, true, WEFT_GR_AWARE},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(table); i++) {
		struct bgp_params p = params(table[i].profile);
		struct cluster *c = made();
		struct bgp_model m;

		put(c, peer("tor", table[i].address, table[i].as));
		bgp_plan(c, &p, &m);
		assert_string_equal(m.peers[0].reason, "");
		assert_int_equal(m.peers[0].multihop, table[i].multihop);
		assert_int_equal(m.peers[0].bfd, table[i].bfd);
		assert_int_equal(m.peers[0].bfd_rx_ms, table[i].bfd ? 300 : 0);
		assert_int_equal(m.peers[0].restart, table[i].restart);
		assert_int_equal(m.peers[0].restart_s, table[i].restart == WEFT_GR_ON ? 30 : 0);
		assert_int_equal(m.peers[0].ibgp, table[i].as == 64600);
		assert_int_equal(m.peers[0].hold_s, 9);
		assert_int_equal(m.peers[0].keepalive_s, 3);
		assert_int_equal(m.peers[0].connect_retry_s, 5);
		assert_int_equal(m.peers[0].max_prefixes, 10000);
		assert_true(m.peers[0].channels[0].on && !m.peers[0].channels[1].on);
		assert_int_equal(m.n_warnings, 0);
		bgp_model_free(&m);
		cluster_free(c);
	}
}

/* Who asks for BFD gets it, and is not made to ask for graceful restart by the profile. */
static void bfd_goes_before_the_profile(void **state)
{
	struct bgp_params p = params(BGP_GRACEFUL);
	struct cluster *c = made();
	struct weft_object *o = peer("tor", "10.1.1.254", 65000);
	struct bgp_model m;

	(void)state;
	o->bgppeer.bfd = 1;
	o->bgppeer.bfd_tx_ms = 50;
	put(c, o);
	bgp_plan(c, &p, &m);
	assert_string_equal(m.peers[0].reason, "");
	assert_true(m.peers[0].bfd);
	assert_int_equal(m.peers[0].bfd_rx_ms, 300);
	assert_int_equal(m.peers[0].bfd_tx_ms, 50);
	assert_int_equal(m.peers[0].restart, WEFT_GR_AWARE);
	bgp_model_free(&m);
	cluster_free(c);
}

/* --- what can't be --- */

typedef void (*edit_fn)(struct weft_bgppeer *p);

static void gtsm_afar(struct weft_bgppeer *p)
{
	p->ttl_security = true;
	p->multihop = 3;
}

static void gtsm_internal_afar(struct weft_bgppeer *p)
{
	p->address = addr("10.9.9.9");
	p->as_mode = WEFT_PEER_AS_INTERNAL;
	p->ttl_security = true;
}

static void bfd_and_restart(struct weft_bgppeer *p)
{
	p->bfd = 1;
	p->restart = WEFT_GR_ON;
}

static void same_as(struct weft_bgppeer *p)
{
	p->local_as = p->as_number;
}

static void internal_elsewhere(struct weft_bgppeer *p)
{
	p->as_mode = WEFT_PEER_AS_INTERNAL;
	p->local_as = 65009;
}

static void bad_interface(struct weft_bgppeer *p)
{
	p->address = addr("fe80::1");
	p->interface = strdup("eth0'; }");
}

static void far_interface(struct weft_bgppeer *p)
{
	p->address = addr("fe80::1");
	p->interface = strdup("eth0");
	p->multihop = 2;
}

static void foreign_source(struct weft_bgppeer *p)
{
	p->source = addr("fd01::1");
}

static void global_source(struct weft_bgppeer *p)
{
	p->address = addr("fe80::1");
	p->interface = strdup("eth0");
	p->source = addr("fd01::1");
}

static void client_outside(struct weft_bgppeer *p)
{
	p->reflector_client = true;
}

static void ipv6_afar(struct weft_bgppeer *p)
{
	p->multihop = 3;
	p->families[0] = p->families[1] = true;
}

static struct weft_bgp_rule *one_rule(struct weft_bgppeer *p)
{
	p->import = calloc(1, sizeof(*p->import));
	p->n_import = 1;
	return p->import;
}

static void unknown_community(struct weft_bgppeer *p)
{
	struct weft_bgp_rule *r = one_rule(p);

	r->add_communities = calloc(1, sizeof(*r->add_communities));
	r->n_add_communities = 1;
	r->add_communities[0].name = strdup("pink");
}

static void empty_range(struct weft_bgppeer *p)
{
	struct weft_bgp_rule *r = one_rule(p);

	r->prefixes = calloc(1, sizeof(*r->prefixes));
	r->n_prefixes = 1;
	r->prefixes[0] = (struct weft_prefix_range){prefix("10.0.0.0/8"), 20, 10};
}

static const struct {
	edit_fn edit;
	const char *reason;
} refusals[] = {
        {gtsm_afar, "ttlSecurity is for a directly connected peer, this one is up to 3 hops away"},
        {gtsm_internal_afar, "ttlSecurity is for a directly connected peer, this one is up to 64 hops away"},
        {bfd_and_restart, "BFD and graceful restart together lose more than either alone: choose one"},
        {same_as,
         "its local AS 65000 is the peer's own, and this node is in AS 64600: no session inside another AS"},
        {internal_elsewhere,
         "its local AS 65009 is the peer's own, and this node is in AS 64600: no session inside another AS"},
        {bad_interface, "\"eth0'; }\" is no interface name that BIRD takes"},
        {far_interface, "a peer on an interface is directly connected: it has no multihop"},
        {foreign_source, "its source address fd01::1 is not of the peer's family"},
        {global_source, "its source address fd01::1 is not link-local, as the peer's is"},
        {client_outside, "only a peer in our own AS can be a route reflector's client"},
        {ipv6_afar, "a multihop IPv4 session has no next hop for IPv6 prefixes: peer over IPv6"},
        {unknown_community, "BGPConfig's communities have no name pink"},
        {empty_range, "a rule has a prefix whose ge and le hold no length"},
};

static void impossible_combinations_say_why(void **state)
{
	struct bgp_params p = params(BGP_FAST);

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(refusals); i++) {
		struct cluster *c = made();
		struct weft_object *o = peer("tor", "10.1.1.254", 65000);
		struct bgp_model m;

		refusals[i].edit(&o->bgppeer);
		put(c, o);
		bgp_plan(c, &p, &m);
		assert_int_equal(m.n_peers, 1);
		assert_string_equal(m.peers[0].reason, refusals[i].reason);
		bgp_model_free(&m);
		cluster_free(c);
	}
}

static void families_need_an_address_of_ours(void **state)
{
	struct bgp_params p = params(BGP_FAST);
	struct cluster *c = made();
	struct weft_object *both = peer("tor", "10.1.1.254", 65000),
	                   *unnumbered = peer("ll", "fe80::1", 65000);
	struct bgp_model m;

	(void)state;
	both->bgppeer.families[0] = both->bgppeer.families[1] = true;
	unnumbered->bgppeer.interface = strdup("eth1");
	unnumbered->bgppeer.families[0] = unnumbered->bgppeer.families[1] = true;
	put(c, both);
	put(c, unnumbered);
	bgp_plan(c, &p, &m);
	assert_true(m.peers[0].channels[0].on && m.peers[0].channels[0].extended_next_hop); /* RFC 8950 */
	assert_true(m.peers[0].channels[1].on && !m.peers[0].channels[1].extended_next_hop);
	assert_true(m.peers[1].channels[0].on && !m.peers[1].channels[0].extended_next_hop);
	bgp_model_free(&m);
	put(c, node("a", "10.1.1.1", NULL));
	bgp_plan(c, &p, &m);
	assert_string_equal(m.peers[1].reason, "it shall carry IPv6 and our Node has no IPv6 InternalIP");
	bgp_model_free(&m);
	cluster_free(c);
}

/* --- routers that were seen --- */

static struct bgp_neighbour seen(const char *dev, const char *address, bool gateway)
{
	struct bgp_neighbour n = {.addr = addr(address), .gateway = gateway};

	snprintf(n.dev, sizeof(n.dev), "%s", dev);
	return n;
}

static void an_interface_alone_peers_with_whoever_routes_there(void **state)
{
	struct bgp_neighbour list[] = {seen("eth1", "fe80::1", false), seen("eth1", "fe80::2", true),
	                               seen("eth2", "10.2.2.254", true), seen("eth2", "10.2.2.9", false)};
	struct bgp_params p = params(BGP_FAST);
	struct cluster *c = made();
	struct weft_object *on = peer("rack", NULL, 65000), *gateways = peer("gw", NULL, 65000);
	char name[BGP_PROTOCOL_NAME_MAX + 1];
	struct bgp_model m;

	(void)state;
	on->bgppeer.interface = strdup("eth1");
	gateways->bgppeer.default_gateway = true;
	put(c, on);
	bgp_plan(c, &p, &m);
	assert_string_equal(m.peers[0].reason, "waits for a router on eth1");
	bgp_model_free(&m);
	p.neighbours = list;
	p.n_neighbours = 1;
	bgp_plan(c, &p, &m);
	assert_int_equal(m.n_peers, 1);
	assert_string_equal(m.peers[0].reason, "");
	assert_string_equal(m.peers[0].interface, "eth1");
	assert_int_equal(m.peers[0].local.family, AF_UNSPEC);
	assert_true(m.peers[0].channels[0].on && m.peers[0].channels[1].on);
	strcpy(name, m.peers[0].protocol);
	assert_memory_equal(name, "peer_rack__", 11);
	bgp_model_free(&m);
	/* another one, seen before it in the list too: the session that is there keeps its name */
	p.n_neighbours = 4;
	list[0] = seen("eth1", "fe80::2", false);
	list[1] = seen("eth1", "fe80::1", false);
	bgp_plan(c, &p, &m);
	assert_int_equal(m.n_peers, 2);
	assert_string_not_equal(m.peers[0].protocol, name);
	assert_string_equal(m.peers[1].protocol, name);
	bgp_model_free(&m);
	put(c, gateways);
	bgp_plan(c, &p, &m);
	assert_int_equal(m.n_peers, 3);
	assert_string_equal(m.peers[0].name, "gw");
	assert_int_equal(weft_addr_cmp(&m.peers[0].address, &list[2].addr), 0);
	bgp_model_free(&m);
	/* two ToRs with one link-local address, each on its own link */
	list[2] = seen("eth1", "fe80::1", true);
	list[3] = seen("eth2", "fe80::1", true);
	p.neighbours = list + 2;
	p.n_neighbours = 2;
	del(c, WEFT_BGPPEER, "rack");
	bgp_plan(c, &p, &m);
	assert_int_equal(m.n_peers, 2);
	assert_string_equal(m.peers[0].reason, "");
	assert_string_equal(m.peers[1].reason, "");
	assert_string_not_equal(m.peers[0].protocol, m.peers[1].protocol);
	bgp_model_free(&m);
	cluster_free(c);
}

/* --- sessions between nodes --- */

static struct weft_object *mesh(bool reflectors)
{
	struct weft_object *o = config();

	o->bgpconfig.node_mesh = !reflectors;
	o->bgpconfig.reflectors = reflectors;
	o->bgpconfig.cluster_id = addr("1.1.1.1");
	require(&o->bgpconfig.reflector_selector, "rr", "1");
	return o;
}

static struct cluster *members(const char *self, bool reflectors)
{
	struct cluster *c = cluster_new(self);
	struct weft_object *elsewhere = node("e", "10.1.1.5", NULL);

	elsewhere->node.as_number = 65005;
	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rr", "1"));
	put(c, node("c", "10.9.1.3", NULL)); /* off-link */
	put(c, node("b", "10.1.1.2", "fd01::2"));
	put(c, labelled(node("d", "10.1.1.4", NULL), "rr", "1"));
	put(c, elsewhere);
	put(c, mesh(reflectors));
	synced(c);
	return c;
}

static const char *sessions(const struct bgp_model *m, char *text, size_t size)
{
	static const char *const origins[] = {"", "", "*", "+"}; /* reflector, client */
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < m->n_peers; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%s%s", i ? " " : "", m->peers[i].protocol,
		                      origins[m->peers[i].origin]);
	return text;
}

static void nodes_find_each_other(void **state)
{
	static const struct {
		const char *self, *mesh, *reflected;
	} table[] = {
	        {"a", "mesh_b mesh6_b mesh_c mesh_d", "mesh_b+ mesh6_b+ mesh_c+ mesh_d*"},
	        {"b", "mesh_a mesh6_a mesh_c mesh_d", "mesh_a* mesh6_a* mesh_d*"},
	        {"c", "mesh_a mesh_b mesh_d", "mesh_a* mesh_d*"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < 2 * WEFT_ARRAY_LEN(table); i++) {
		bool reflectors = i % 2;
		struct cluster *c = members(table[i / 2].self, reflectors);
		struct bgp_params p = params(BGP_FAST);
		struct bgp_model m;

		bgp_plan(c, &p, &m);
		assert_string_equal(sessions(&m, text, sizeof(text)),
		                    reflectors ? table[i / 2].reflected : table[i / 2].mesh);
		for (size_t k = 0; k < m.n_peers; k++) {
			const struct bgp_peer *q = &m.peers[k];
			bool v6 = q->address.family == AF_INET6;

			assert_string_equal(q->reason, "");
			assert_true(q->ibgp && q->channels[v6].on && !q->channels[!v6].on);
			assert_int_equal(q->multihop, !v6 && q->address.bytes[1] == 1 ? 0 : 64);
			assert_int_equal(q->bfd, !q->multihop);
			assert_int_equal(q->reflector_client, q->origin == BGP_PEER_CLIENT);
			assert_int_equal(weft_addr_is_set(&q->cluster_id), q->reflector_client);
			assert_int_equal(weft_addr_cmp(&q->local, v6 ? &m.ip6 : &m.ip4), 0);
			assert_int_equal(q->n_exports, 1); /* blocks alone */
		}
		assert_int_equal(m.n_warnings, reflectors && i / 2 ? 0 : 1); /* e is in another AS */
		bgp_model_free(&m);
		cluster_free(c);
	}
}

static void a_large_mesh_is_warned_of(void **state)
{
	char name[16], ip[16];

	(void)state;
	for (int reflectors = 0; reflectors < 2; reflectors++) {
		struct cluster *c = made();
		struct bgp_params p = params(BGP_FAST);
		struct bgp_model m;

		put(c, mesh(reflectors));
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "n%d", i);
			snprintf(ip, sizeof(ip), "10.1.1.%d", i + 100);
			put(c, node(name, ip, NULL));
		}
		bgp_plan(c, &p, &m);
		assert_int_equal(m.n_peers, 100);
		assert_int_equal(m.n_warnings, !reflectors);
		bgp_model_free(&m);
		cluster_free(c);
	}
}

/* --- sameness --- */

#define SEES(...)                                               \
	do {                                                    \
		struct bgp_peer was = *p;                       \
		__VA_ARGS__;                                    \
		if (bgp_model_equal(&m, &same))                 \
			fail_msg("not seen: %s", #__VA_ARGS__); \
		*p = was;                                       \
		assert_true(bgp_model_equal(&m, &same));        \
	} while (0)

static void a_fingerprint_sees_every_option(void **state)
{
	struct bgp_params prm = params(BGP_FAST);
	struct cluster *c = made();
	struct bgp_model m, same;
	struct bgp_peer *p;

	(void)state;
	put(c, peer("tor", "10.1.1.254", 65000));
	bgp_plan(c, &prm, &m);
	bgp_plan(c, &prm, &same);
	p = &m.peers[0];
	SEES(strcpy(p->interface, "x"));
	SEES(p->local.bytes[3]++);
	SEES(p->port++);
	SEES(p->as_mode = WEFT_PEER_AS_EXTERNAL);
	SEES(p->local_as++);
	SEES(p->ibgp = true);
	SEES(p->multihop++);
	SEES(p->ttl_security = true);
	SEES(p->passive = true);
	SEES(p->hold_s++);
	SEES(p->keepalive_s++);
	SEES(p->connect_retry_s++);
	SEES(p->bfd = false);
	SEES(p->bfd_rx_ms++);
	SEES(p->bfd_tx_ms++);
	SEES(p->bfd_multiplier++);
	SEES(p->restart = WEFT_GR_OFF);
	SEES(p->restart_s++);
	SEES(p->long_lived_s++);
	SEES(p->max_prefixes++);
	SEES(p->max_prefixes_action = WEFT_LIMIT_WARN);
	SEES(p->allow_own_as++);
	SEES(p->next_hop = WEFT_NEXT_HOP_KEEP);
	SEES(p->add_path = WEFT_ADD_PATH_BOTH);
	SEES(p->reflector_client = true);
	SEES(p->cluster_id = addr("1.1.1.1"));
	SEES(p->channels[1].on = true);
	SEES(p->channels[0].extended_next_hop = true);
	SEES(p->drain = BGP_DRAIN_WITHDRAWN);
	SEES(p->origin = BGP_PEER_MESH);
	SEES(p->n_exports--);
	struct bgp_rule rule = {.reject = true};
	SEES(p->import = &rule; p->n_import = 1);
	SEES(p->export = &rule; p->n_export = 1);
	p->exports[0].weight = true;
	assert_false(bgp_model_equal(&m, &same));
	bgp_model_free(&m);
	bgp_model_free(&same);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(defaults_follow_profile_and_link),
	        cmocka_unit_test(bfd_goes_before_the_profile),
	        cmocka_unit_test(impossible_combinations_say_why),
	        cmocka_unit_test(families_need_an_address_of_ours),
	        cmocka_unit_test(an_interface_alone_peers_with_whoever_routes_there),
	        cmocka_unit_test(nodes_find_each_other),
	        cmocka_unit_test(a_large_mesh_is_warned_of),
	        cmocka_unit_test(a_fingerprint_sees_every_option),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
