// SPDX-License-Identifier: GPL-2.0-or-later
/* Objects: equality sees every field that matters; selectors; names. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/object.h"

#define OURS(kind, name, spec) \
	"apiVersion: weft.dev/v1alpha1\nkind: " kind "\nmetadata: {name: " name "}\nspec: " spec "\n"
#define NODE(meta, status) \
	"apiVersion: v1\nkind: Node\nmetadata: " meta "\nstatus: {addresses: [" status "]}\n"
#define SECRET(body) "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: " body "\n"

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

#define CORE(kind, name, rest) "apiVersion: v1\nkind: " kind "\nmetadata: {name: " name "}\n" rest "\n"
#define SERVICE(spec)          CORE("Service", "s", "spec: {ports: [{port: 80}]" spec "}")
#define PORTS(ports)           CORE("Service", "s", "spec: {ports: [" ports "]}")
#define INGRESS(ips) \
	CORE("Service", "s", "spec: {ports: [{port: 80}]}\nstatus: {loadBalancer: {ingress: [" ips "]}}")
#define SLICE(labels, rest)                                                                          \
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: {" labels \
	"}}\n" rest "\n"
#define ENDPOINT(rest) SLICE("", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]" rest "}]")
#define EPORTS(ports)  SLICE("", "addressType: IPv4\nports: [" ports "]")
#define CIDRS(cidrs)                                                                                      \
	"apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: k}\nspec: {cidrs: [" cidrs \
	"]}\n"
#define STATUS(ips)                                                                 \
	"apiVersion: weft.dev/v1alpha1\nkind: ServiceStatus\nmetadata: {name: s}\n" \
	"status: {loadBalancer: {ingress: [" ips "]}}\n"
#define LBPOOL(rest) OURS("IPPool", "l", "{use: LoadBalancer, " rest "}")

#define PEER(rest)   OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65001, " rest "}")
#define ADVERT(rest) OURS("BGPAdvertisement", "a", "{types: [ClusterIP], " rest "}")
#define REFLECTORS(labels, rest)     \
	OURS("BGPConfig", "default", \
	     "{nodeMesh: true, routeReflectors: {nodeSelector: {matchLabels: " labels "}" rest "}}")

/* All of these differ from each other in one thing. */
static const char *const distinct[] = {
        NODE("{name: a}", ""),
        NODE("{name: b}", ""),
        NODE("{name: a, labels: {x: y}}", ""),
        NODE("{name: a, labels: {x: z}}", ""),
        NODE("{name: a, labels: {x: y, z: \"\"}}", ""),
        NODE("{name: a, annotations: {weft.dev/x: y}}", ""),
        NODE("{name: a, annotations: {weft.dev/as-number: \"65001\"}}", ""),
        NODE("{name: a}", "{type: InternalIP, address: 10.0.0.1}"),
        NODE("{name: a}", "{type: InternalIP, address: 10.0.0.2}"),
        NODE("{name: a}", "{type: InternalIP, address: fd00::1}"),
        SECRET("{a: b}"),
        SECRET("{a: c}"),
        SECRET("{a: bc}"),
        SECRET("{b: b}"),
        SECRET("{a: b, c: d}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/17}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16, blockSize: 27}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16, use: LoadBalancer}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16, ipip: Never}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16, disabled: true}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16, nodeSelector: {matchLabels: {x: y}}}"),
        OURS("IPPool", "a", "{cidr: 10.0.0.0/16, nodeSelector: {matchLabels: {x: z}}}"),
        OURS("IPPool", "a",
             "{cidr: 10.0.0.0/16, nodeSelector: {matchExpressions: [{key: x, operator: Exists}]}}"),
        OURS("IPPool", "a",
             "{cidr: 10.0.0.0/16, nodeSelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}}"),
        OURS("IPBlock", "10.0.0.0-26", "{cidr: 10.0.0.0/26, node: a, pool: b}"),
        OURS("IPBlock", "10.0.0.0-26", "{cidr: 10.0.0.0/26, node: b, pool: b}"),
        OURS("IPBlock", "10.0.0.0-26", "{cidr: 10.0.0.0/26, node: a, pool: c}"),
        OURS("IPBlock", "10.0.0.0-27", "{cidr: 10.0.0.0/27, node: a, pool: b}"),
        OURS("BGPConfig", "default", "{}"),
        OURS("BGPConfig", "default", "{asNumber: 65001}"),
        OURS("BGPConfig", "default", "{routerID: 10.0.0.1}"),
        OURS("BGPConfig", "default", "{listenPort: 180}"),
        OURS("BGPConfig", "default", "{importPrefixes: [10.0.0.0/8]}"),
        OURS("BGPConfig", "default", "{importPrefixes: [{cidr: 10.0.0.0/8, le: 9}]}"),
        OURS("BGPConfig", "default", "{importPrefixes: [{cidr: 10.0.0.0/8, ge: 9, le: 9}]}"),
        OURS("BGPConfig", "default", "{listenAddresses: [10.0.0.1]}"),
        OURS("BGPConfig", "default", "{listenAddresses: [fd00::1]}"),
        OURS("BGPConfig", "default", "{announce: []}"),
        OURS("BGPConfig", "default", "{announce: [PodBlock]}"),
        OURS("BGPConfig", "default", "{nodeMesh: true}"),
        REFLECTORS("{x: y}", ""),
        REFLECTORS("{x: z}", ""),
        REFLECTORS("{x: y}", ", clusterID: 10.0.0.1"),
        OURS("BGPConfig", "default", "{communities: [{name: a, value: '1:2'}]}"),
        OURS("BGPConfig", "default", "{communities: [{name: b, value: '1:2'}]}"),
        OURS("BGPConfig", "default", "{communities: [{name: a, value: '1:3'}]}"),
        OURS("BGPConfig", "default", "{communities: [{name: a, value: '1:2:0'}]}"),
        OURS("BGPConfig", "default", "{communities: [{name: a, value: '1:2:3'}]}"),
        OURS("BGPConfig", "default", "{communities: [{name: a, value: '1:2'}, {name: b, value: '1:2'}]}"),
        OURS("BGPConfig", "default", "{drain: {waitSeconds: 31}}"),
        OURS("BGPConfig", "default", "{drain: {onCordon: true}}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65001}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.2, asNumber: 65001}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65002}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65001, port: 180}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65001, description: x}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65001, description: \"\"}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: 65001, nodeSelector: {matchLabels: {x: y}}}"),
        OURS("BGPPeer", "a",
             "{address: 10.0.0.1, asNumber: 65001, password: {secretKeyRef: {name: a, key: b}}}"),
        OURS("BGPPeer", "a",
             "{address: 10.0.0.1, asNumber: 65001, password: {secretKeyRef: {name: a, key: c}}}"),
        PEER("localASNumber: 65002"),
        PEER("sourceAddress: 10.0.0.2"),
        PEER("sourceAddress: 10.0.0.3"),
        PEER("multihop: 2"),
        PEER("multihop: 3"),
        PEER("ttlSecurity: true"),
        PEER("passive: true"),
        PEER("timers: {holdSeconds: 30}"),
        PEER("timers: {keepaliveSeconds: 3}"),
        PEER("timers: {connectRetrySeconds: 7}"),
        PEER("bfd: {enabled: true}"),
        PEER("bfd: {enabled: false}"),
        PEER("bfd: {receiveMilliseconds: 50}"),
        PEER("bfd: {transmitMilliseconds: 50}"),
        PEER("bfd: {multiplier: 5}"),
        PEER("gracefulRestart: {mode: Disabled}"),
        PEER("gracefulRestart: {mode: Aware}"),
        PEER("gracefulRestart: {mode: Enabled}"),
        PEER("gracefulRestart: {restartSeconds: 7}"),
        PEER("gracefulRestart: {longLived: true}"),
        PEER("gracefulRestart: {longLivedSeconds: 7}"),
        PEER("maxPrefixes: {count: 7}"),
        PEER("maxPrefixes: {count: 7, action: Warn}"),
        PEER("maxPrefixes: {count: 7, action: Disable}"),
        PEER("import: [{action: Accept}]"),
        PEER("export: [{action: Accept}]"),
        PEER("import: [{action: Reject}]"),
        PEER("import: [{action: Accept}, {action: Reject}]"),
        PEER("import: [{action: Accept, match: {prefixes: [10.0.0.0/8]}}]"),
        PEER("import: [{action: Accept, match: {prefixes: [{cidr: 10.0.0.0/8, le: 9}]}}]"),
        PEER("import: [{action: Accept, match: {communities: [a]}}]"),
        PEER("import: [{action: Accept, match: {communities: ['1:1']}}]"),
        PEER("import: [{action: Accept, match: {asPathPrefix: [1]}}]"),
        PEER("import: [{action: Accept, match: {asPathPrefix: [1, 2]}}]"),
        PEER("import: [{action: Accept, set: {localPref: 0}}]"),
        PEER("import: [{action: Accept, set: {localPref: 1}}]"),
        PEER("import: [{action: Accept, set: {addCommunities: [a]}}]"),
        PEER("export: [{action: Accept, set: {prepend: 1}}]"),
        PEER("export: [{action: Accept, set: {prepend: 2}}]"),
        PEER("allowOwnAS: 1"),
        PEER("nextHop: Keep"),
        PEER("addPath: Receive"),
        PEER("addPath: Send"),
        PEER("addPath: Both"),
        PEER("routeReflector: {client: true}"),
        PEER("routeReflector: {clusterID: 10.0.0.1}"),
        PEER("families: [IPv4]"),
        PEER("families: [IPv6]"),
        PEER("families: [IPv4, IPv6]"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: internal}"),
        OURS("BGPPeer", "a", "{address: 10.0.0.1, asNumber: external}"),
        OURS("BGPPeer", "a", "{interface: eth0, asNumber: 65001}"),
        OURS("BGPPeer", "a", "{interface: eth1, asNumber: 65001}"),
        OURS("BGPPeer", "a", "{interface: eth0, address: fe80::1, asNumber: 65001}"),
        OURS("BGPPeer", "a", "{autodiscover: DefaultGateway, asNumber: 65001}"),
        NODE("{name: a, deletionTimestamp: \"2024-01-01T00:00:00Z\"}", ""),
        CORE("Node", "a", "spec: {unschedulable: true}"),
        NODE("{name: a, annotations: {weft.dev/drain: \"true\"}}", ""),
        CORE("Node", "a", "spec: {taints: [{key: ToBeDeletedByClusterAutoscaler}]}"),
        CORE("Node", "a", "status: {conditions: [{type: weft.dev/Draining, status: \"True\"}]}"),
        CORE("Namespace", "a", ""),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: y}}\n",
        SERVICE(""),
        "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: x}\nspec: {ports: [{port: 80}]}\n",
        SERVICE(", type: NodePort"),
        SERVICE(", type: LoadBalancer"),
        SERVICE(", type: ExternalName"),
        SERVICE(", clusterIP: None"),
        SERVICE(", clusterIP: 10.0.0.1"),
        SERVICE(", clusterIP: 10.0.0.2"),
        SERVICE(", clusterIP: fd00::1"),
        SERVICE(", clusterIPs: [10.0.0.1, fd00::1]"),
        SERVICE(", ipFamilies: [IPv4]"),
        SERVICE(", ipFamilies: [IPv6]"),
        SERVICE(", ipFamilies: [IPv4, IPv6]"),
        SERVICE(", ipFamilies: [IPv6, IPv4]"),
        SERVICE(", ipFamilyPolicy: PreferDualStack"),
        SERVICE(", externalIPs: [192.0.2.1]"),
        SERVICE(", externalIPs: [192.0.2.1, 192.0.2.2]"),
        SERVICE(", loadBalancerIP: 192.0.2.1"),
        SERVICE(", loadBalancerClass: a"),
        SERVICE(", loadBalancerClass: b"),
        SERVICE(", loadBalancerSourceRanges: [10.0.0.0/8]"),
        SERVICE(", loadBalancerSourceRanges: [10.0.0.0/9]"),
        SERVICE(", internalTrafficPolicy: Local"),
        SERVICE(", externalTrafficPolicy: Local"),
        SERVICE(", sessionAffinity: ClientIP"),
        SERVICE(", sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 1}}"),
        SERVICE(", healthCheckNodePort: 1"),
        SERVICE(", selector: {x: y}"),
        SERVICE(", selector: {x: z}"),
        INGRESS("{ip: 192.0.2.1}"),
        INGRESS("{ip: 192.0.2.2}"),
        INGRESS("{ip: 192.0.2.1}, {ip: 192.0.2.2}"),
        PORTS("{port: 81}"),
        PORTS("{port: 80, name: a}"),
        PORTS("{port: 80, name: b}"),
        PORTS("{port: 80, protocol: UDP}"),
        PORTS("{port: 80, nodePort: 30000}"),
        PORTS("{port: 80, name: a}, {port: 81}"),
        SLICE("", "addressType: FQDN"),
        SLICE("", "addressType: IPv4"),
        SLICE("", "addressType: IPv6"),
        SLICE("kubernetes.io/service-name: s", "addressType: IPv4"),
        SLICE("kubernetes.io/service-name: t", "addressType: IPv4"),
        SLICE("service.kubernetes.io/headless: \"\"", "addressType: IPv4"),
        EPORTS("{name: \"\", port: 80}"),
        EPORTS("{name: a, port: 80}"),
        EPORTS("{name: a, port: 81}"),
        EPORTS("{name: a, port: 80, protocol: SCTP}"),
        ENDPOINT(""),
        SLICE("", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.2]}]"),
        SLICE("", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]"),
        ENDPOINT(", nodeName: a"),
        ENDPOINT(", nodeName: b"),
        ENDPOINT(", conditions: {ready: false}"),
        ENDPOINT(", conditions: {serving: false}"),
        ENDPOINT(", conditions: {terminating: true}"),
        ENDPOINT(", hints: {forZones: [{name: a}]}"),
        ENDPOINT(", hints: {forZones: [{name: b}]}"),
        ENDPOINT(", hints: {forZones: [{name: a}, {name: b}]}"),
        ENDPOINT(", hints: {forNodes: [{name: a}]}"),
        ENDPOINT(", hints: {forZones: [{name: a}], forNodes: [{name: b}]}"),
        CIDRS("10.0.0.0/16"),
        CIDRS("10.0.0.0/17"),
        CIDRS("10.0.0.0/16, fd00::/112"),
        LBPOOL("cidr: 192.0.2.0/24"),
        LBPOOL("ranges: [192.0.2.0/24]"),
        LBPOOL("ranges: [192.0.2.0-192.0.2.9]"),
        LBPOOL("ranges: [192.0.2.0-192.0.2.8]"),
        LBPOOL("ranges: [192.0.2.0-192.0.2.8, 192.0.2.9-192.0.2.9]"),
        LBPOOL("cidr: 192.0.2.0/24, serviceSelector: {matchLabels: {x: y}}"),
        LBPOOL("cidr: 192.0.2.0/24, namespaceSelector: {matchLabels: {x: y}}"),
        LBPOOL("cidr: 192.0.2.0/24, priority: 99"),
        LBPOOL("cidr: 192.0.2.0/24, autoAssign: false"),
        LBPOOL("cidr: 192.0.2.0/24, avoidBuggyIPs: true"),
        OURS("BGPAdvertisement", "a", "{types: [LoadBalancerIP]}"),
        OURS("BGPAdvertisement", "a", "{types: [ExternalIP]}"),
        OURS("BGPAdvertisement", "a", "{types: [ClusterIP]}"),
        OURS("BGPAdvertisement", "a", "{types: [ClusterIP, ExternalIP]}"),
        OURS("BGPAdvertisement", "a", "{types: [ClusterIP], nodeSelector: {matchLabels: {x: y}}}"),
        OURS("BGPAdvertisement", "a", "{types: [ClusterIP], serviceSelector: {matchLabels: {x: y}}}"),
        ADVERT("namespaceSelector: {matchLabels: {x: y}}"),
        ADVERT("pools: [a]"),
        ADVERT("peers: [a]"),
        ADVERT("pools: [a, b]"),
        ADVERT("communities: [a]"),
        ADVERT("communities: [no-export]"),
        ADVERT("communities: ['1:2']"),
        ADVERT("localPref: 0"),
        ADVERT("localPref: 1"),
        ADVERT("prepend: 1"),
        ADVERT("aggregationLength: 24"),
        ADVERT("aggregationLengthIPv6: 24"),
        ADVERT("endpointWeight: true"),
        OURS("BGPAdvertisement", "a", "{types: [PodBlock]}"),
        STATUS(""),
        STATUS("{ip: 192.0.2.1}"),
        STATUS("{ip: 192.0.2.2}"),
};

static void equality_sees_every_field(void **state)
{
	struct weft_object *a[WEFT_ARRAY_LEN(distinct)], *b[WEFT_ARRAY_LEN(distinct)];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(distinct); i++) {
		a[i] = make(distinct[i]);
		b[i] = make(distinct[i]);
	}
	for (size_t i = 0; i < WEFT_ARRAY_LEN(distinct); i++)
		for (size_t j = 0; j < WEFT_ARRAY_LEN(distinct); j++)
			if (weft_object_equal(a[i], b[j]) != (i == j))
				fail_msg("%s\nand\n%s\n%s", distinct[i], distinct[j],
				         i == j ? "differ" : "are equal");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(distinct); i++) {
		weft_object_free(a[i]);
		weft_object_free(b[i]);
	}
}

static void equality_ignores_what_weft_does_not_use(void **state)
{
	struct weft_object *a = make(NODE("{name: a, resourceVersion: \"1\", labels: {x: y, b: c}}", ""));
	struct weft_object *b = make(NODE(
	        "{name: a, resourceVersion: \"2\", labels: {b: c, x: y}, annotations: {heartbeat: \"7\"}}",
	        ""));
	uint8_t key[WEFT_DIGEST_KEY] = {1}, plain[WEFT_DIGEST], keyed[WEFT_DIGEST];

	(void)state;
	assert_true(weft_object_equal(a, b));
	weft_object_digest(a, NULL, plain);
	weft_object_digest(a, key, keyed);
	assert_memory_not_equal(plain, keyed, WEFT_DIGEST);
	weft_object_free(a);
	weft_object_free(b);
}

static void selectors_match_as_in_kubernetes(void **state)
{
	struct weft_label labels[] = {{"a", "1"}, {"b", ""}};
	char *one[] = {"1"}, *two[] = {"2"};
	static const struct {
		const char *key;
		enum weft_selector_op op;
		int values; /* 0 none, 1, 2 */
		bool match;
	} cases[] = {
	        {"a", WEFT_SEL_IN, 1, true},          {"a", WEFT_SEL_IN, 2, false},
	        {"c", WEFT_SEL_IN, 1, false},         {"a", WEFT_SEL_NOT_IN, 1, false},
	        {"a", WEFT_SEL_NOT_IN, 2, true},      {"c", WEFT_SEL_NOT_IN, 1, true},
	        {"b", WEFT_SEL_EXISTS, 0, true},      {"c", WEFT_SEL_EXISTS, 0, false},
	        {"b", WEFT_SEL_NOT_EXISTS, 0, false}, {"c", WEFT_SEL_NOT_EXISTS, 0, true},
	};
	struct weft_selector everything = {0};

	(void)state;
	assert_true(weft_selector_matches(&everything, NULL, 0));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_requirement r = {.key = (char *)(uintptr_t)cases[i].key,
		                             .op = cases[i].op,
		                             .values = cases[i].values == 1 ? one : two,
		                             .n_values = cases[i].values > 0};
		struct weft_selector s = {&r, 1};
		assert_int_equal(weft_selector_matches(&s, labels, 2), cases[i].match);
	}
}

static void names_and_keys(void **state)
{
	static const char *const names[][2] = {{"10.244.1.0/26", "10.244.1.0-26"},
	                                       {"fd00:244::40/122", "fd00-244--40-122"}};
	struct weft_object obj = {.kind = WEFT_SECRET, .meta = {.name = "n", .namespace = "ns"}};
	char buf[WEFT_PREFIX_STR], key[WEFT_KEY_MAX];
	struct weft_prefix p;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(names); i++) {
		assert_int_equal(weft_prefix_parse(names[i][0], &p, NULL), 0);
		assert_string_equal(weft_block_name(&p, buf), names[i][1]);
	}
	assert_string_equal(weft_object_key(&obj, key), "ns/n");
	obj.meta.namespace = NULL;
	assert_string_equal(weft_object_key(&obj, key), "n");
	assert_string_equal(weft_kind_name(WEFT_BGPPEER), "BGPPeer");
	assert_string_equal(weft_kind_api(WEFT_NODE), "v1");
	assert_true(weft_kind_namespaced(WEFT_SECRET));
	assert_false(weft_kind_namespaced(WEFT_IPPOOL));
	weft_object_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(equality_sees_every_field),
	        cmocka_unit_test(equality_ignores_what_weft_does_not_use),
	        cmocka_unit_test(selectors_match_as_in_kubernetes),
	        cmocka_unit_test(names_and_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
