// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of Services and what belongs to them: rules S1 to S6, S9, S20, S23, S24. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

#define META(kind, api) "apiVersion: " api "\nkind: " kind "\nmetadata: {name: s, namespace: n}\n"
#define SERVICE(rest)   META("Service", "v1") rest "\n"
#define SPEC(rest)      SERVICE("spec: {ports: [{port: 80}], " rest "}")
#define SLICE(rest)     META("EndpointSlice", "discovery.k8s.io/v1") rest "\n"
#define V4(endpoints)   SLICE("addressType: IPv4\nendpoints: [" endpoints "]")

static struct weft_object *decode(const char *text, struct weft_err *err)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	struct weft_decoded got;

	assert_int_equal(weft_yaml_parse(text, strlen(text), false, &yaml, NULL), 0);
	assert_int_equal(yaml.docs[0].err.code, 0);
	weft_decode(yaml.docs[0].root, &got, err);
	return got.obj;
}

static struct weft_object *good(const char *text)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_object *obj = decode(text, &err);

	if (!obj)
		fail_msg("%s\n%s", text, err.text);
	return obj;
}

static void expect_addr(const struct weft_addr *a, const char *want)
{
	char text[WEFT_ADDR_STR];

	assert_string_equal(weft_addr_str(a, text), want);
}

static void expect_prefix(const struct weft_prefix *p, const char *want)
{
	char text[WEFT_PREFIX_STR];

	assert_string_equal(weft_prefix_str(p, text), want);
}

static void a_service_gets_the_defaults_of_the_api(void **state)
{
	struct weft_object *o = good(SPEC("x: y"));
	const struct weft_service *s = &o->service;

	(void)state;
	assert_int_equal(s->type, WEFT_SERVICE_CLUSTERIP);
	assert_false(s->headless);
	assert_int_equal(s->cluster_ips[0].family, 0);
	assert_int_equal(s->cluster_ips[1].family, 0);
	assert_int_equal(s->families[0], 0);
	assert_int_equal(s->family_policy, WEFT_SINGLE_STACK);
	assert_int_equal(s->internal_policy, WEFT_POLICY_CLUSTER);
	assert_int_equal(s->external_policy, WEFT_POLICY_CLUSTER);
	assert_int_equal(s->n_ports, 1);
	assert_string_equal(s->ports[0].name, "");
	assert_int_equal(s->ports[0].protocol, IPPROTO_TCP);
	assert_int_equal(s->ports[0].port, 80);
	assert_int_equal(s->ports[0].node_port, 0); /* S23 */
	assert_int_equal(s->affinity_s, 0);
	assert_int_equal(s->health_port, 0);
	assert_null(s->load_balancer_class);
	assert_false(o->meta.deleting);
	weft_object_free(o);
}

/* Explicit empty texts and nulls are what is not given. */
static void empty_fields_are_not_given(void **state)
{
	struct weft_object *o =
	        good(SPEC("type: \"\", clusterIP: \"\", clusterIPs: null, sessionAffinity: \"\", "
	                  "externalTrafficPolicy: \"\", internalTrafficPolicy: null, "
	                  "loadBalancerIP: \"\", loadBalancerClass: \"\", ipFamilyPolicy: \"\", "
	                  "externalIPs: null, selector: null, sessionAffinityConfig: null"));

	(void)state;
	assert_int_equal(o->service.type, WEFT_SERVICE_CLUSTERIP);
	assert_false(o->service.headless);
	assert_null(o->service.load_balancer_class);
	weft_object_free(o);
}

static void every_field_of_a_service_is_read(void **state)
{
	struct weft_object *o = good(
	        "apiVersion: v1\nkind: Service\n"
	        "metadata: {name: s, namespace: n, deletionTimestamp: \"2024-01-01T00:00:00Z\",\n"
	        "  annotations: {weft.dev/scheduler: \"lc\\n\", other: x}, labels: {a: b}}\n"
	        "spec:\n  type: LoadBalancer\n  clusterIP: fd00::a\n  clusterIPs: [\"fd00::a\", 10.96.0.10]\n"
	        "  ipFamilies: [IPv6, IPv4]\n  ipFamilyPolicy: RequireDualStack\n"
	        "  ports:\n  - {name: dns, protocol: UDP, port: 53, targetPort: dns, nodePort: 30053}\n"
	        "  - {name: dns-tcp, protocol: TCP, port: 53, targetPort: 5353}\n"
	        "  - {name: sigtran, protocol: SCTP, port: 2905}\n"
	        "  externalIPs: [192.0.2.1, \"2001:db8::1\"]\n  loadBalancerIP: 192.0.2.9\n"
	        "  loadBalancerClass: weft.dev/bgp\n  loadBalancerSourceRanges: [198.51.100.0/24, \"2001:db8::/32\"]\n"
	        "  internalTrafficPolicy: Local\n  externalTrafficPolicy: Local\n  sessionAffinity: ClientIP\n"
	        "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 86400}}\n  healthCheckNodePort: 31000\n"
	        "  selector: {z: \"1\", app: web}\n  publishNotReadyAddresses: true\n"
	        "status: {loadBalancer: {ingress: [{ip: 192.0.2.9, ipMode: VIP}]}, conditions: []}\n");
	const struct weft_service *s = &o->service;

	(void)state;
	assert_true(o->meta.deleting);
	assert_string_equal(o->meta.annotations[0].value, "lc?"); /* printable, and still odd */
	assert_int_equal(o->meta.n_annotations, 1);
	assert_int_equal(s->type, WEFT_SERVICE_LOADBALANCER);
	expect_addr(&s->cluster_ips[0], "10.96.0.10");
	expect_addr(&s->cluster_ips[1], "fd00::a");
	assert_int_equal(s->families[0], AF_INET6);
	assert_int_equal(s->families[1], AF_INET);
	assert_int_equal(s->family_policy, WEFT_REQUIRE_DUAL_STACK);
	assert_int_equal(s->n_ports, 3);
	assert_string_equal(s->ports[0].name, "dns");
	assert_int_equal(s->ports[0].protocol, IPPROTO_UDP);
	assert_int_equal(s->ports[0].node_port, 30053);
	assert_int_equal(s->ports[1].protocol, IPPROTO_TCP);
	assert_int_equal(s->ports[2].protocol, IPPROTO_SCTP);
	assert_int_equal(s->n_external_ips, 2);
	expect_addr(&s->external_ips[1], "2001:db8::1");
	expect_addr(&s->load_balancer_ip, "192.0.2.9");
	assert_string_equal(s->load_balancer_class, "weft.dev/bgp");
	assert_int_equal(s->n_source_ranges, 2);
	expect_prefix(&s->source_ranges[1], "2001:db8::/32");
	assert_int_equal(s->internal_policy, WEFT_POLICY_LOCAL);
	assert_int_equal(s->external_policy, WEFT_POLICY_LOCAL);
	assert_int_equal(s->affinity_s, 86400);
	assert_int_equal(s->health_port, 31000);
	assert_int_equal(s->n_selector, 2);
	assert_string_equal(s->selector[0].key, "app");
	assert_int_equal(s->n_ingress, 1);
	expect_addr(&s->ingress[0], "192.0.2.9");
	weft_object_free(o);
}

/* S1: None, empty, ExternalName. */
static void services_without_a_cluster_ip(void **state)
{
	static const struct {
		const char *spec;
		bool headless;
		const char *v4;
	} cases[] = {
	        {SPEC("clusterIP: None"), true, ""},
	        {SPEC("clusterIP: None, clusterIPs: [None]"), true, ""},
	        {SPEC("clusterIPs: [None]"), true, ""},
	        {SERVICE("spec: {clusterIP: None}"), true, ""},
	        {SPEC("clusterIP: \"\", clusterIPs: [\"\"]"), false, ""},
	        {SERVICE("spec: {type: ExternalName, externalName: example.com}"), false, ""},
	        {SERVICE("spec: {type: ExternalName, externalName: example.com, clusterIP: 10.0.0.1}"), false,
	         "10.0.0.1"},
	        {SPEC("clusterIP: 10.0.0.1"), false, "10.0.0.1"},
	        {SPEC("clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1]"), false, "10.0.0.1"},
	        {SPEC("clusterIP: 127.0.0.1"), false, ""}, /* an address that can't be served */
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *o = good(cases[i].spec);

		assert_int_equal(o->service.headless, cases[i].headless);
		expect_addr(&o->service.cluster_ips[0], cases[i].v4);
		weft_object_free(o);
	}
}

/* S2: ipMode Proxy, hostnames and what is no address of a host are skipped; nil is VIP. */
static void ingress_is_what_the_dataplane_serves(void **state)
{
	struct weft_object *o = good(SERVICE(
	        "spec: {ports: [{port: 80}]}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}, "
	        "{ip: 192.0.2.2, ipMode: Proxy}, {hostname: lb.example.com}, {ip: nonsense}, "
	        "{ip: 192.0.2.3, ipMode: VIP}, {ip: 127.0.0.1}, {ip: \"2001:db8::1\"}, 7, "
	        "{ip: 192.0.2.4, ipMode: Later}, {ip: 5}, {ip: 192.0.2.5, hostname: x, ipMode: null}]}}"));
	const struct weft_service *s = &o->service;

	(void)state;
	assert_int_equal(s->n_ingress, 4);
	expect_addr(&s->ingress[0], "192.0.2.1");
	expect_addr(&s->ingress[1], "192.0.2.3");
	expect_addr(&s->ingress[2], "2001:db8::1");
	expect_addr(&s->ingress[3], "192.0.2.5");
	weft_object_free(o);
}

/* What the API server lets through must not be refused. */
static void old_forms_of_addresses_pass(void **state)
{
	struct weft_object *o = good(
	        SPEC("externalIPs: [\"010.000.0.001\", \"::ffff:192.0.2.7\", 240.0.0.1, 203.0.113.0], "
	             "loadBalancerIP: anything, loadBalancerSourceRanges: [\" 10.1.2.3/8 \", "
	             "\"\\t192.0.2.0/024\\n\", \"::ffff:10.0.0.0/104\", \"010.0.0.0/8\", \"2001:db8::1/32\", "
	             "\"::ffff:0:0/90\", 0.0.0.0/0]"));
	const struct weft_service *s = &o->service;
	static const char *const ranges[] = {"10.0.0.0/8",    "192.0.2.0/24",  "10.0.0.0/8", "10.0.0.0/8",
	                                     "2001:db8::/32", "::ffc0:0:0/90", "0.0.0.0/0"};

	(void)state;
	assert_int_equal(s->n_external_ips, 3);
	expect_addr(&s->external_ips[0], "10.0.0.1");
	expect_addr(&s->external_ips[1], "192.0.2.7");
	expect_addr(&s->external_ips[2], "203.0.113.0");
	assert_int_equal(s->load_balancer_ip.family, 0);
	assert_int_equal(s->n_source_ranges, WEFT_ARRAY_LEN(ranges)); /* S20 */
	for (size_t i = 0; i + 2 < WEFT_ARRAY_LEN(ranges); i++)
		expect_prefix(&s->source_ranges[i], ranges[i]);
	assert_int_equal(s->source_ranges[5].addr.family, AF_INET6); /* not all of IPv4 */
	expect_prefix(&s->source_ranges[6], ranges[6]);
	weft_object_free(o);
}

/* S24 */
static void affinity_has_a_timeout(void **state)
{
	static const struct {
		const char *spec;
		uint32_t want;
	} cases[] = {
	        {SPEC("sessionAffinity: None"), 0},
	        {SPEC("sessionAffinity: ClientIP"), 10800},
	        {SPEC("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {}}"), 10800},
	        {SPEC("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 1}}"),
	         1},
	        {SPEC("sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}, sessionAffinity: ClientIP"),
	         5},
	        {SPEC("sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}"), 0},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *o = good(cases[i].spec);

		assert_int_equal(o->service.affinity_s, cases[i].want);
		weft_object_free(o);
	}
}

static void what_the_api_server_refuses_is_an_error(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	        {SERVICE(""), "spec: is missing"},
	        {SERVICE("spec: {}"), "spec.ports: is missing"},
	        {SERVICE("spec: {ports: []}"), "spec.ports: is missing"},
	        {SERVICE("spec: {ports: {}}"), "spec.ports: must be a list, not a mapping"},
	        {SERVICE("spec: {ports: [{name: a}]}"), "spec.ports[0].port: is missing"},
	        {SERVICE("spec: {ports: [{port: 0}]}"),
	         "spec.ports[0].port: 0 is not a whole number from 1 to 65535"},
	        {SERVICE("spec: {ports: [{port: 80, nodePort: 65536}]}"),
	         "spec.ports[0].nodePort: 65536 is not a whole number from 0 to 65535"},
	        {SERVICE("spec: {ports: [{port: 80, protocol: tcp}]}"),
	         "spec.ports[0].protocol: \"tcp\" is not known; did you mean TCP?"},
	        {SERVICE("spec: {ports: [{port: 80, name: A.b}]}"),
	         "spec.ports[0].name: \"A.b\" is not the name of a port (lower case letters, digits and '-')"},
	        {SERVICE("spec: {ports: [{port: 80}, {port: 81}]}"),
	         "spec.ports: two ports have the name \"\""},
	        {SERVICE("spec: {ports: [{port: 80, name: a}, {port: 81, name: b}, {port: 80, name: c}]}"),
	         "spec.ports: port 80 appears twice for one protocol"},
	        {SPEC("type: Clusterip"), "spec.type: \"Clusterip\" is not known; did you mean ClusterIP?"},
	        {SPEC("clusterIP: x"), "spec.clusterIP: \"x\" is not an IP address"},
	        {SPEC("clusterIPs: [10.0.0.1, 10.0.0.2, 10.0.0.3]"),
	         "spec.clusterIPs: has more than 2 entries"},
	        {SPEC("clusterIPs: [5]"), "spec.clusterIPs[0]: must be a string, not a number"},
	        {SPEC("ipFamilies: [ipv4]"), "spec.ipFamilies[0]: \"ipv4\" is not known; did you mean IPv4?"},
	        {SPEC("externalIPs: [10.0.0.1, ten]"), "spec.externalIPs[1]: \"ten\" is not an IP address"},
	        {SPEC("externalTrafficPolicy: local"),
	         "spec.externalTrafficPolicy: \"local\" is not known; did you mean Local?"},
	        {SPEC("loadBalancerSourceRanges: [10.0.0.0/8, 10.0.0.1]"),
	         "spec.loadBalancerSourceRanges[1]: \"10.0.0.1\" is not a CIDR (ADDRESS/LENGTH)"},
	        {SPEC("loadBalancerSourceRanges: [10.0.0.0/33]"),
	         "spec.loadBalancerSourceRanges[0]: \"10.0.0.0/33\" is not a CIDR (ADDRESS/LENGTH)"},
	        {SPEC("loadBalancerSourceRanges: [\"10.0.0.0/8 x\"]"),
	         "spec.loadBalancerSourceRanges[0]: \"10.0.0.0/8 x\" is not a CIDR (ADDRESS/LENGTH)"},
	        {SPEC("loadBalancerSourceRanges: [\"\"]"),
	         "spec.loadBalancerSourceRanges[0]: \"\" is not a CIDR (ADDRESS/LENGTH)"},
	        {SPEC("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}"),
	         "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not a whole number from 1 to 86400"},
	        {SPEC("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}"),
	         "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not a whole number from 1 to 86400"},
	        {SPEC("selector: {a: [b]}"), "spec.selector.a: must be a string, not a list"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		assert_null(decode(cases[i].text, &err));
		assert_memory_equal(err.text, "Service/n/s: ", 13);
		assert_string_equal(err.text + 13, cases[i].want);
	}
}

static void repeat(struct weft_buf *out, const char *suffix, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		weft_buf_printf(out, "10.0.%u.%u%s, ", i / 256, i % 256, suffix);
}

/* One Service can't ask for millions of entries in the kernel. */
static void the_cost_of_a_service_is_bounded(void **state)
{
	static const struct {
		unsigned ports, ips, ranges;
		bool fits;
	} cases[] = {{1000, 100, 0, true},
	             {10000, 0, 0, true},
	             {10000, 200, 0, false},
	             {10, 10, 500, true},
	             {100, 100, 500, false}};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf text = {0};
		struct weft_err err = WEFT_ERR_INIT;
		struct weft_object *o;

		weft_buf_str(&text, META("Service", "v1") "spec:\n  ports:\n");
		for (unsigned p = 0; p < cases[i].ports; p++)
			weft_buf_printf(&text, "  - {port: %u, name: p%u}\n", p + 1, p);
		weft_buf_str(&text, "  externalIPs: [");
		repeat(&text, "", cases[i].ips);
		weft_buf_str(&text, "]\n  loadBalancerSourceRanges: [");
		repeat(&text, "/32", cases[i].ranges);
		weft_buf_str(&text, "]\n");
		o = decode(weft_buf_text(&text), &err);
		assert_int_equal(o != NULL, cases[i].fits);
		if (!cases[i].fits)
			assert_non_null(strstr(err.text, "make several Services of it"));
		weft_object_free(o);
	}
}

/* S9: what is not said is ready, serving, not terminating. */
static void conditions_of_endpoints(void **state)
{
	static const struct {
		const char *conditions;
		unsigned want;
	} cases[] = {
	        {V4("{addresses: [10.0.0.1]}"), WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING},
	        {V4("{addresses: [10.0.0.1], conditions: null}"),
	         WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING},
	        {V4("{addresses: [10.0.0.1], conditions: {}}"), WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING},
	        {V4("{addresses: [10.0.0.1], conditions: {ready: null, serving: null, terminating: null}}"),
	         WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING},
	        {V4("{addresses: [10.0.0.1], conditions: {ready: false}}"), WEFT_ENDPOINT_SERVING},
	        {V4("{addresses: [10.0.0.1], conditions: {ready: false, serving: true, terminating: true}}"),
	         WEFT_ENDPOINT_SERVING | WEFT_ENDPOINT_TERMINATING},
	        {V4("{addresses: [10.0.0.1], conditions: {ready: false, serving: false, terminating: true}}"),
	         WEFT_ENDPOINT_TERMINATING},
	        {V4("{addresses: [10.0.0.1], conditions: {ready: true, serving: false}}"),
	         WEFT_ENDPOINT_READY},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *o = good(cases[i].conditions);

		assert_int_equal(o->endpointslice.n_endpoints, 1);
		assert_int_equal(o->endpointslice.endpoints[0].conditions, cases[i].want);
		weft_object_free(o);
	}
}

/* S6: the first address, of the slice's family; ports with a name (which may be empty) and a number. */
static void slices_keep_what_can_be_reached(void **state)
{
	struct weft_object *o = good(SLICE(
	        "addressType: IPv4\n"
	        "endpoints: [{addresses: [10.0.0.1, 10.0.0.2]}, {addresses: [\"fd00::1\"]}, {addresses: []}, "
	        "{}, {addresses: [127.0.0.1]}, {addresses: [10.0.0.3], nodeName: \"\"}, {addresses: null}]\n"
	        "ports: [{name: \"\", port: 80}, {port: 81}, {name: null, port: 82}, {name: a}, "
	        "{name: b, port: 0}, {name: c, port: 70000}, {name: d, port: -1}, {name: e, port: null}, "
	        "{name: f, port: 8080, protocol: UDP}]"));
	const struct weft_endpointslice *s = &o->endpointslice;

	(void)state;
	assert_int_equal(s->family, AF_INET);
	assert_int_equal(s->n_endpoints, 2);
	expect_addr(&s->endpoints[0].addr, "10.0.0.1");
	expect_addr(&s->endpoints[1].addr, "10.0.0.3");
	assert_null(s->endpoints[1].node);
	assert_int_equal(s->n_ports, 2);
	assert_string_equal(s->ports[0].name, "");
	assert_int_equal(s->ports[0].port, 80);
	assert_int_equal(s->ports[0].protocol, IPPROTO_TCP);
	assert_string_equal(s->ports[1].name, "f");
	assert_int_equal(s->ports[1].protocol, IPPROTO_UDP);
	assert_null(s->service);
	weft_object_free(o);
}

static void texts_of_endpoints_are_shared(void **state)
{
	struct weft_object *o = good(V4(
	        "{addresses: [10.0.0.1], nodeName: n1, hints: {forZones: [{name: z1}, {name: z2}]}}, "
	        "{addresses: [10.0.0.2], nodeName: n2, hints: {forZones: [{name: z2}], forNodes: [{name: n1}]}}, "
	        "{addresses: [10.0.0.3], nodeName: n1, hints: null}, "
	        "{addresses: [\"fd00::1\"], nodeName: n9, hints: {forZones: [{name: z9}]}}, "
	        "{addresses: [10.0.0.4], hints: {forNodes: [{name: n2}]}}"));
	const struct weft_endpoint *e = o->endpointslice.endpoints;

	(void)state;
	assert_int_equal(o->endpointslice.n_endpoints, 4);
	assert_string_equal(e[0].node, "n1");
	assert_int_equal(e[0].n_zones, 2);
	assert_string_equal(e[0].zones[0], "z1");
	assert_string_equal(e[0].zones[1], "z2");
	assert_int_equal(e[0].n_nodes, 0);
	assert_string_equal(e[1].node, "n2");
	assert_int_equal(e[1].n_zones, 1);
	assert_ptr_equal(e[1].zones[0], e[0].zones[1]);
	assert_ptr_equal(e[1].nodes[0], e[0].node);
	assert_ptr_equal(e[2].node, e[0].node);
	assert_int_equal(e[2].n_zones + e[2].n_nodes, 0);
	assert_null(e[3].node);
	assert_string_equal(e[3].nodes[0], "n2");
	weft_object_free(o);
}

static void labels_of_slices(void **state)
{
	struct weft_object *o = good("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	                             "metadata: {name: s, labels: {kubernetes.io/service-name: web, a: b,\n"
	                             "  service.kubernetes.io/headless: \"\"}}\naddressType: FQDN\n"
	                             "endpoints: [{addresses: [example.com]}]\n");

	(void)state;
	assert_string_equal(o->meta.namespace, "default");
	assert_string_equal(o->endpointslice.service, "web");
	assert_true(o->endpointslice.headless); /* S1 */
	assert_int_equal(o->endpointslice.family, 0);
	assert_int_equal(o->endpointslice.n_endpoints, 0);
	assert_int_equal(o->meta.n_labels, 0);
	weft_object_free(o);
}

static void bad_slices_are_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	        {SLICE("endpoints: []"), "addressType: is missing"},
	        {SLICE("addressType: IPV4"), "addressType: \"IPV4\" is not known; did you mean IPv4?"},
	        {SLICE("addressType: IPv4\nendpoints: {}"), "endpoints: must be a list, not a mapping"},
	        {V4("5"), "endpoints[0]: must be a mapping, not a number"},
	        {V4("{addresses: [ten]}"), "endpoints[0].addresses: is not an IP address"},
	        {V4("{addresses: [10.0.0.1], nodeName: A B}"),
	         "endpoints[0].nodeName: \"A B\" is not a name (lower case letters, digits, '-' and '.')"},
	        {V4("{addresses: [10.0.0.1], conditions: {ready: 1}}"),
	         "endpoints[0].conditions.ready: must be true or false, not a number"},
	        {V4("{addresses: [10.0.0.1]}, {addresses: [10.0.0.1], hints: {forZones: [{}]}}"),
	         "endpoints[1].hints[0]: must be a string, not a mapping"},
	        {SLICE("addressType: IPv4\nports: [{name: a, port: http}]"),
	         "ports[0].port: must be a number, not a string"},
	        {SLICE("addressType: IPv4\nports: [{name: a, port: 1}, {name: a, port: 2}]"),
	         "ports: two ports have the name \"a\""},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		assert_null(decode(cases[i].text, &err));
		assert_memory_equal(err.text, "EndpointSlice/n/s: ", 19);
		assert_string_equal(err.text + 19, cases[i].want);
	}
}

static void namesakes_in_other_groups_are_ignored(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: ignored */
	} cases[] = {
	        {META("Service", "serving.knative.dev/v1"), NULL},
	        {META("Namespace", "example.com/v1"), NULL},
	        {META("EndpointSlice", "v1"), NULL},
	        {META("EndpointSlice", "discovery.k8s.io/v1beta1"),
	         "apiVersion of kind EndpointSlice must be discovery.k8s.io/v1, not \"discovery.k8s.io/v1beta1\""},
	        {META("Service", "v2"), "apiVersion of kind Service must be v1, not \"v2\""},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		assert_null(decode(cases[i].text, &err));
		assert_string_equal(err.text, cases[i].want ? cases[i].want : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_service_gets_the_defaults_of_the_api),
	        cmocka_unit_test(empty_fields_are_not_given),
	        cmocka_unit_test(every_field_of_a_service_is_read),
	        cmocka_unit_test(services_without_a_cluster_ip),
	        cmocka_unit_test(ingress_is_what_the_dataplane_serves),
	        cmocka_unit_test(old_forms_of_addresses_pass),
	        cmocka_unit_test(affinity_has_a_timeout),
	        cmocka_unit_test(what_the_api_server_refuses_is_an_error),
	        cmocka_unit_test(the_cost_of_a_service_is_bounded),
	        cmocka_unit_test(conditions_of_endpoints),
	        cmocka_unit_test(slices_keep_what_can_be_reached),
	        cmocka_unit_test(texts_of_endpoints_are_shared),
	        cmocka_unit_test(labels_of_slices),
	        cmocka_unit_test(bad_slices_are_refused),
	        cmocka_unit_test(namesakes_in_other_groups_are_ignored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
