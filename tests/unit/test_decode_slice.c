// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of EndpointSlices: rules S1, S6, S9. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "tests/unit/decoded.h"

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

/* When what it tells of happened, for metrics: never a reason to refuse it, or to take it for another one. */
static void triggers_of_slices(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} cases[] = {
	        {"\"2030-01-02T03:04:05Z\"", 1893553445000},
	        {"\"2030-01-02T03:04:05.1Z\"", 1893553445100},
	        {"\"2030-01-02T03:04:05.123456789Z\"", 1893553445123},
	        {"\"2030-01-02T03:04:05.Z\"", 1893553445000},
	        {"\"2030-01-02T03:04:05\"", 0},
	        {"\"2030-01-02T03:04:05+01:00\"", 0},
	        {"\"1969-12-31T23:59:59Z\"", 0},
	        {"\"2030-01-02T03:04:05.12x\"", 0},
	        {"\"\"", 0},
	        {"\"soon\"", 0},
	        {"null", 0},
	};
	struct weft_object *first = NULL;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *o;
		char text[512];

		snprintf(
		        text, sizeof(text),
		        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, annotations: "
		        "{endpoints.kubernetes.io/last-change-trigger-time: %s}}\naddressType: IPv4\n"
		        "endpoints: [{addresses: [10.0.0.1]}]\n",
		        cases[i].text);
		o = good(text);
		assert_int_equal(o->endpointslice.trigger_ms, cases[i].want);
		if (!first)
			first = o;
		assert_true(weft_object_equal(o, first));
		if (o != first)
			weft_object_free(o);
	}
	weft_object_free(first);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(conditions_of_endpoints),
	        cmocka_unit_test(slices_keep_what_can_be_reached),
	        cmocka_unit_test(texts_of_endpoints_are_shared),
	        cmocka_unit_test(labels_of_slices),
	        cmocka_unit_test(triggers_of_slices),
	        cmocka_unit_test(bad_slices_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
