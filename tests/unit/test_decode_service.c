// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of Services: rules S1 to S5, S20, S23, S24; and objects that real API servers gave. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/decoded.h"
#include "weft/buf.h"
#include "weft/file.h"

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

/* --- what real API servers answered, as `kubectl get -o json` and `-o yaml` print it --- */

#define RECORDED "tests/unit/data/recorded/"

struct recorded {
	struct weft_object *objs[64];
	size_t n;
};

static void recorded_load(const char *path, struct recorded *out)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	const cJSON *item;
	size_t len;

	*out = (struct recorded){.n = 0};
	assert_int_equal(weft_file_read(path, 1 << 20, &text, &len, NULL), 0);
	assert_int_equal(weft_yaml_parse(text, len, strstr(path, ".json"), &yaml, NULL), 0);
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(yaml.docs[0].root, "items")) {
		struct weft_err err = WEFT_ERR_INIT;
		struct weft_decoded got;

		if (weft_decode(item, &got, &err) < 0 || !got.obj)
			fail_msg("%s: %s", path, err.text);
		out->objs[out->n++] = got.obj;
	}
}

static void recorded_free(struct recorded *rec)
{
	for (size_t i = 0; i < rec->n; i++)
		weft_object_free(rec->objs[i]);
}

static const struct weft_object *recorded_find(const struct recorded *rec, enum weft_kind kind,
                                               const char *key)
{
	char buf[WEFT_KEY_MAX];

	for (size_t i = 0; i < rec->n; i++)
		if (rec->objs[i]->kind == kind && !strcmp(weft_object_key(rec->objs[i], buf), key))
			return rec->objs[i];
	fail_msg("no %s", key);
	return NULL;
}

static void recorded_objects_of_1_26_decode(void **state)
{
	struct recorded rec;
	const struct weft_object *o;

	(void)state;
	recorded_load(RECORDED "kubernetes-1.26.json", &rec);
	assert_int_equal(rec.n, 17);
	o = recorded_find(&rec, WEFT_SERVICE, "default/kubernetes");
	assert_string_equal(o->service.ports[0].name, "https");
	assert_int_equal(o->service.ports[0].port, 443);
	assert_int_equal(o->meta.n_labels, 2);
	assert_int_equal(recorded_find(&rec, WEFT_SERVICE, "rec/en")->service.type,
	                 WEFT_SERVICE_EXTERNALNAME);
	assert_true(recorded_find(&rec, WEFT_SERVICE, "rec/hl")->service.headless);
	o = recorded_find(&rec, WEFT_ENDPOINTSLICE, "default/kubernetes");
	assert_string_equal(o->endpointslice.service, "kubernetes");
	assert_int_equal(o->endpointslice.n_endpoints, 1);
	assert_string_equal(o->endpointslice.ports[0].name, "https");
	o = recorded_find(&rec, WEFT_ENDPOINTSLICE, "rec/cip-kzzf6");
	assert_string_equal(o->endpointslice.service, "cip");
	recorded_find(&rec, WEFT_NAMESPACE, "default");
	recorded_find(&rec, WEFT_NODE, "node-b");
	recorded_free(&rec);
}

static void recorded_objects_of_1_36_decode(void **state)
{
	struct recorded rec;
	const struct weft_service *s;

	(void)state;
	recorded_load(RECORDED "kubernetes-1.36.yaml", &rec);
	assert_int_equal(rec.n, 7);
	s = &recorded_find(&rec, WEFT_SERVICE, "rec/lb")->service;
	expect_addr(&s->cluster_ips[0], "10.96.50.85");
	expect_addr(&s->cluster_ips[1], "fd00:10:96::c057");
	assert_string_equal(s->load_balancer_class, "example.com/l4");
	assert_int_equal(s->affinity_s, 10800);
	assert_int_equal(s->health_port, 30331);
	expect_prefix(&s->source_ranges[0], "192.0.2.0/24");
	assert_int_equal(s->n_ingress, 1);
	expect_addr(&s->ingress[0], "198.51.100.7");
	s = &recorded_find(&rec, WEFT_SERVICE, "rec/np")->service;
	assert_int_equal(s->type, WEFT_SERVICE_NODEPORT);
	assert_int_equal(s->ports[0].node_port, 30080);
	assert_int_equal(s->ports[1].protocol, IPPROTO_UDP);
	s = &recorded_find(&rec, WEFT_SERVICE, "rec/ds")->service;
	assert_int_equal(s->family_policy, WEFT_REQUIRE_DUAL_STACK);
	assert_int_equal(s->families[0], AF_INET6);
	s = &recorded_find(&rec, WEFT_SERVICE, "rec/v6")->service;
	assert_int_equal(s->ports[0].protocol, IPPROTO_SCTP);
	assert_int_equal(s->cluster_ips[0].family, 0);
	s = &recorded_find(&rec, WEFT_SERVICE, "rec/ext")->service;
	assert_int_equal(s->n_external_ips, 1);
	recorded_free(&rec);
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
	        cmocka_unit_test(recorded_objects_of_1_26_decode),
	        cmocka_unit_test(recorded_objects_of_1_36_decode),
	        cmocka_unit_test(namesakes_in_other_groups_are_ignored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
