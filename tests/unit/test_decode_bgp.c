// SPDX-License-Identifier: GPL-2.0-or-later
/* BGPConfig, BGPPeer and BGPAdvertisement: what the values become, and communities' texts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"

#define OURS(kind, name, spec) \
	"apiVersion: weft.dev/v1alpha1\nkind: " kind "\nmetadata: {name: " name "}\nspec: " spec "\n"
#define PEER(rest) OURS("BGPPeer", "t", "{address: 10.0.0.1, asNumber: 65001, " rest "}")

static struct weft_object *make(const char *text)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;

	assert_int_equal(weft_yaml_parse(text, strlen(text), false, &yaml, NULL), 0);
	if (weft_decode(yaml.docs[0].root, &got, &err) < 0)
		fail_msg("%s\n%s", text, err.text);
	return got.obj;
}

static void assert_addr(const struct weft_addr *a, const char *text)
{
	char buf[WEFT_ADDR_STR];

	assert_string_equal(weft_addr_str(a, buf), text);
}

static void assert_community(const struct weft_community_ref *ref, const char *text)
{
	char buf[WEFT_COMMUNITY_STR];

	assert_null(ref->name);
	assert_string_equal(weft_community_str(&ref->value, buf), text);
}

static void a_config_has_its_defaults(void **state)
{
	struct weft_object *obj = make(OURS("BGPConfig", "default", "{}"));
	const struct weft_bgpconfig *c = &obj->bgpconfig;

	(void)state;
	assert_int_equal(c->as_number, 64512);
	assert_int_equal(c->listen_port, 179);
	assert_int_equal(c->announce, WEFT_ADVERT_LOADBALANCER | WEFT_ADVERT_PODBLOCK);
	assert_int_equal(c->drain_wait_s, WEFT_DRAIN_WAIT_DEFAULT_S);
	assert_false(c->node_mesh || c->reflectors || c->drain_on_cordon);
	assert_false(weft_addr_is_set(&c->router_id) || weft_addr_is_set(&c->cluster_id));
	weft_object_free(obj);
}

static void a_config_has_what_it_says(void **state)
{
	struct weft_object *obj = make(
	        OURS("BGPConfig", "default",
	             "{routerID: 0.0.0.9, listenAddresses: [fd00::1, 10.0.0.1], announce: [ClusterIP], "
	             "nodeMesh: true, routeReflectors: {nodeSelector: {matchLabels: {rr: \"1\"}}, "
	             "clusterID: 0.0.0.1}, communities: [{name: a-1, value: \"64512:7\"}, {name: b, value: "
	             "no-export}], drain: {waitSeconds: 0, onCordon: true}}"));
	const struct weft_bgpconfig *c = &obj->bgpconfig;
	char buf[WEFT_COMMUNITY_STR];

	(void)state;
	assert_addr(&c->router_id, "0.0.0.9");
	assert_addr(&c->listen_address[0], "10.0.0.1");
	assert_addr(&c->listen_address[1], "fd00::1");
	assert_int_equal(c->announce, WEFT_ADVERT_CLUSTER);
	assert_true(c->node_mesh && c->reflectors);
	assert_string_equal(c->reflector_selector.reqs[0].key, "rr");
	assert_addr(&c->cluster_id, "0.0.0.1");
	assert_int_equal(c->n_communities, 2);
	assert_string_equal(c->communities[0].name, "a-1");
	assert_string_equal(weft_community_str(&c->communities[0].value, buf), "64512:7");
	assert_string_equal(weft_community_name(&c->communities[1].value), "no-export");
	assert_int_equal(c->drain_wait_s, 0);
	assert_true(c->drain_on_cordon);
	weft_object_free(obj);
}

static void a_peer_leaves_defaults_to_the_model(void **state)
{
	struct weft_object *obj = make(OURS("BGPPeer", "t", "{address: 10.0.0.1, asNumber: external}"));
	const struct weft_bgppeer *p = &obj->bgppeer;

	(void)state;
	assert_int_equal(p->port, 179);
	assert_int_equal(p->as_mode, WEFT_PEER_AS_EXTERNAL);
	assert_int_equal(p->as_number, 0);
	assert_int_equal(p->hold_s + p->keepalive_s + p->connect_retry_s, 0);
	assert_int_equal(p->bfd, 0);
	assert_int_equal(p->restart, WEFT_GR_BY_PROFILE);
	assert_int_equal(p->max_prefixes_action, WEFT_LIMIT_BLOCK);
	assert_int_equal(p->next_hop, WEFT_NEXT_HOP_SELF);
	assert_int_equal(p->add_path, WEFT_ADD_PATH_OFF);
	assert_false(p->families[0] || p->families[1]);
	assert_int_equal(p->n_import + p->n_export, 0);
	weft_object_free(obj);
}

static void a_peer_has_what_it_says(void **state)
{
	struct weft_object *obj = make(PEER(
	        "localASNumber: 65100, sourceAddress: 10.0.0.2, multihop: 255, ttlSecurity: true, passive: true, "
	        "timers: {holdSeconds: 3, keepaliveSeconds: 2, connectRetrySeconds: 1}, bfd: {enabled: false, "
	        "receiveMilliseconds: 10, transmitMilliseconds: 60000, multiplier: 255}, gracefulRestart: {mode: "
	        "Enabled, restartSeconds: 4095, longLived: true, longLivedSeconds: 16777215}, maxPrefixes: "
	        "{count: 5, action: Restart}, allowOwnAS: 10, nextHop: Keep, addPath: Send, "
	        "routeReflector: {client: true, clusterID: 1.2.3.4}, families: [IPv6]"));
	const struct weft_bgppeer *p = &obj->bgppeer;

	(void)state;
	assert_int_equal(p->as_mode, WEFT_PEER_AS_NUMBER);
	assert_int_equal(p->as_number, 65001);
	assert_int_equal(p->local_as, 65100);
	assert_addr(&p->source, "10.0.0.2");
	assert_int_equal(p->multihop, 255);
	assert_true(p->ttl_security && p->passive);
	assert_int_equal(p->hold_s, 3);
	assert_int_equal(p->keepalive_s, 2);
	assert_int_equal(p->connect_retry_s, 1);
	assert_int_equal(p->bfd, -1);
	assert_int_equal(p->bfd_rx_ms, 10);
	assert_int_equal(p->bfd_tx_ms, 60000);
	assert_int_equal(p->bfd_multiplier, 255);
	assert_int_equal(p->restart, WEFT_GR_ON);
	assert_int_equal(p->restart_s, 4095);
	assert_true(p->long_lived);
	assert_int_equal(p->long_lived_s, 16777215);
	assert_int_equal(p->max_prefixes, 5);
	assert_int_equal(p->max_prefixes_action, WEFT_LIMIT_RESTART);
	assert_int_equal(p->allow_own_as, 10);
	assert_int_equal(p->next_hop, WEFT_NEXT_HOP_KEEP);
	assert_int_equal(p->add_path, WEFT_ADD_PATH_SEND);
	assert_true(p->reflector_client);
	assert_addr(&p->cluster_id, "1.2.3.4");
	assert_true(!p->families[0] && p->families[1]);
	weft_object_free(obj);
}

static void a_peer_is_at_one_place(void **state)
{
	struct weft_object *link_local =
	        make(OURS("BGPPeer", "t", "{address: \"fe80::1\", interface: eth0.7, asNumber: internal}"));
	struct weft_object *alone = make(OURS("BGPPeer", "t", "{interface: \"br.1_-\", asNumber: 1}"));
	struct weft_object *gateway =
	        make(OURS("BGPPeer", "t", "{autodiscover: DefaultGateway, asNumber: 1}"));

	(void)state;
	assert_addr(&link_local->bgppeer.address, "fe80::1");
	assert_string_equal(link_local->bgppeer.interface, "eth0.7");
	assert_int_equal(link_local->bgppeer.as_mode, WEFT_PEER_AS_INTERNAL);
	assert_string_equal(alone->bgppeer.interface, "br.1_-");
	assert_false(weft_addr_is_set(&alone->bgppeer.address) || alone->bgppeer.default_gateway);
	assert_true(gateway->bgppeer.default_gateway);
	weft_object_free(link_local);
	weft_object_free(alone);
	weft_object_free(gateway);
}

static void rules_keep_their_order_and_parts(void **state)
{
	struct weft_object *obj = make(
	        PEER("import: [{match: {prefixes: [10.0.0.0/8, {cidr: \"fd00::/8\", ge: 48}], communities: "
	             "[blackhole, \"1:2:3\", rack], asPathPrefix: [65001, 4294967295]}, action: Accept, set: "
	             "{localPref: 0, addCommunities: [\"7:8\"]}}, {action: Reject}], "
	             "export: [{action: Accept, set: {prepend: 16}}]"));
	const struct weft_bgppeer *p = &obj->bgppeer;
	const struct weft_bgp_rule *r = p->import;

	(void)state;
	assert_int_equal(p->n_import, 2);
	assert_int_equal(r[0].n_prefixes, 2);
	assert_int_equal(r[0].prefixes[0].le, 8);
	assert_int_equal(r[0].prefixes[1].ge, 48);
	assert_int_equal(r[0].prefixes[1].le, 128);
	assert_int_equal(r[0].n_communities, 3);
	assert_community(&r[0].communities[0], "65535:666");
	assert_community(&r[0].communities[1], "1:2:3");
	assert_string_equal(r[0].communities[2].name, "rack");
	assert_int_equal(r[0].n_as_path, 2);
	assert_true(r[0].as_path[1] == 4294967295);
	assert_true(!r[0].reject && r[0].has_local_pref && r[0].local_pref == 0);
	assert_community(&r[0].add_communities[0], "7:8");
	assert_true(r[1].reject && !r[1].has_local_pref && !r[1].n_prefixes);
	assert_int_equal(p->n_export, 1);
	assert_int_equal(p->export[0].prepend, 16);
	weft_object_free(obj);
}

static void an_advertisement_has_what_it_says(void **state)
{
	struct weft_object *obj = make(OURS(
	        "BGPAdvertisement", "a",
	        "{types: [PodBlock, LoadBalancerIP, ExternalIP], namespaceSelector: {matchLabels: {a: b}}, "
	        "pools: [p, q], peers: [t], communities: [\"1:2\", rack], localPref: 4294967295, prepend: "
	        "1, aggregationLength: 24, aggregationLengthIPv6: 64, endpointWeight: true}"));
	const struct weft_bgpadvertisement *a = &obj->bgpadvertisement;

	(void)state;
	assert_int_equal(a->types, WEFT_ADVERT_PODBLOCK | WEFT_ADVERT_LOADBALANCER | WEFT_ADVERT_EXTERNAL);
	assert_int_equal(a->namespace_selector.n_reqs, 1);
	assert_int_equal(a->service_selector.n_reqs, 0);
	assert_int_equal(a->n_pools, 2);
	assert_string_equal(a->pools[1], "q");
	assert_int_equal(a->n_peers, 1);
	assert_string_equal(a->peers[0], "t");
	assert_community(&a->communities[0], "1:2");
	assert_string_equal(a->communities[1].name, "rack");
	assert_true(a->has_local_pref && a->local_pref == 4294967295 && a->endpoint_weight);
	assert_int_equal(a->prepend, 1);
	assert_int_equal(a->aggregate[0], 24);
	assert_int_equal(a->aggregate[1], 64);
	weft_object_free(obj);
}

/* The API server fills in the CRDs' defaults, also where they mean nothing. */
static void defaults_that_mean_nothing_are_no_errors(void **state)
{
	weft_object_free(make(OURS("BGPAdvertisement", "a", "{types: [PodBlock], endpointWeight: false}")));
	weft_object_free(make(PEER("gracefulRestart: {mode: Disabled, restartSeconds: 30, longLived: false, "
	                           "longLivedSeconds: 3600}")));
	weft_object_free(make(OURS("BGPPeer", "t",
	                           "{address: 10.0.0.1, asNumber: external, routeReflector: {client: "
	                           "false}, timers: {holdSeconds: 9, connectRetrySeconds: 5}}")));
	(void)state;
}

static void nodes_are_cordoned_or_not(void **state)
{
	struct weft_object *n =
	        make("apiVersion: v1\nkind: Node\nmetadata: {name: n, annotations: {weft.dev/drain: "
	             "\"true\"}}\nspec: {unschedulable: true}\n");

	(void)state;
	assert_true(n->node.cordoned);
	assert_string_equal(weft_label_get(n->meta.annotations, n->meta.n_annotations, WEFT_ANNOTATION_DRAIN),
	                    "true");
	weft_object_free(n);
}

static void communities_parse_and_print(void **state)
{
	static const char *const good[][2] = {
	        {"0:0", "0:0"},
	        {"65535:65535", "65535:65535"},
	        {"4294967295:0:4294967295", "4294967295:0:4294967295"},
	        {"007:1", "7:1"},
	        {"no-export", "65535:65281"},
	        {"no-advertise", "65535:65282"},
	        {"no-export-subconfed", "65535:65283"},
	        {"no-peer", "65535:65284"},
	        {"graceful-shutdown", "65535:0"},
	        {"blackhole", "65535:666"},
	};
	static const char *const bad[] = {"",
	                                  ":",
	                                  "1",
	                                  "1:",
	                                  ":1",
	                                  "1:2:",
	                                  "1:2:3:4",
	                                  "1::2",
	                                  " 1:2",
	                                  "1:2 ",
	                                  "-1:2",
	                                  "+1:2",
	                                  "1:65536",
	                                  "65536:1",
	                                  "1:2:3:",
	                                  "0x1:2",
	                                  "a:b",
	                                  "blackhole ",
	                                  "Blackhole",
	                                  "1:2:4294967296",
	                                  "1:18446744073709551617",
	                                  "1:2\n"};
	struct weft_community c, again;
	char buf[WEFT_COMMUNITY_STR];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(good); i++) {
		assert_int_equal(weft_community_parse(good[i][0], &c, NULL), 0);
		assert_string_equal(weft_community_str(&c, buf), good[i][1]);
		assert_int_equal(weft_community_parse(buf, &again, NULL), 0);
		assert_memory_equal(&c.part, &again.part, sizeof(c.part));
		assert_int_equal(c.large, again.large);
	}
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		if (weft_community_parse(bad[i], &c, NULL) == 0)
			fail_msg("\"%s\" is a community", bad[i]);
	assert_null(weft_community_name(&(struct weft_community){.large = true, .part = {65535, 666}}));
	assert_null(weft_community_name(&(struct weft_community){.part = {65535, 667}}));
	assert_true(weft_community_name_valid("rack-1"));
	assert_false(weft_community_name_valid("1rack") || weft_community_name_valid("") ||
	             weft_community_name_valid("a_b") || weft_community_name_valid("-a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_config_has_its_defaults),
	        cmocka_unit_test(a_config_has_what_it_says),
	        cmocka_unit_test(a_peer_leaves_defaults_to_the_model),
	        cmocka_unit_test(a_peer_has_what_it_says),
	        cmocka_unit_test(a_peer_is_at_one_place),
	        cmocka_unit_test(rules_keep_their_order_and_parts),
	        cmocka_unit_test(an_advertisement_has_what_it_says),
	        cmocka_unit_test(defaults_that_mean_nothing_are_no_errors),
	        cmocka_unit_test(nodes_are_cordoned_or_not),
	        cmocka_unit_test(communities_parse_and_print),
	};
	return cmocka_run_group_tests_name("decode_bgp", tests, NULL, NULL);
}
