// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of LoadBalancer pools, BGPAdvertisements, ServiceCIDRs, ServiceStatuses, Namespaces; taints. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/decoded.h"

#define POOL(spec)   META("IPPool", "weft.dev/v1alpha1") "spec: {" spec "}\n"
#define ADVERT(spec) META("BGPAdvertisement", "weft.dev/v1alpha1") "spec: {" spec "}\n"
#define CIDR(spec)   META("ServiceCIDR", "networking.k8s.io/v1") "spec: {" spec "}\n"
#define STATUS(rest) META("ServiceStatus", "weft.dev/v1alpha1") rest "\n"

static void expect_range(const struct weft_range *r, const char *want)
{
	char first[WEFT_ADDR_STR], last[WEFT_ADDR_STR], text[2 * WEFT_ADDR_STR + 1];

	snprintf(text, sizeof(text), "%s-%s", weft_addr_str(&r->first, first), weft_addr_str(&r->last, last));
	assert_string_equal(text, want);
}

static void load_balancer_pools(void **state)
{
	struct weft_object *a = good(POOL("use: LoadBalancer, cidr: 192.0.2.0/25"));
	struct weft_object *b = good(POOL(
	        "use: LoadBalancer, ranges: [192.0.2.0/30, 192.0.2.10 - 192.0.2.20, \"fd00::1-fd00::1\", "
	        "\"fd00:1::/120\"], priority: 7, autoAssign: false, avoidBuggyIPs: true, disabled: true, "
	        "serviceSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {c: d}}"));

	(void)state;
	assert_int_equal(a->ippool.n_ranges, 1); /* the cidr is the first of the ranges */
	expect_range(&a->ippool.ranges[0], "192.0.2.0-192.0.2.127");
	assert_int_equal(a->ippool.priority, 100);
	assert_true(a->ippool.auto_assign);
	assert_false(a->ippool.avoid_buggy_ips);
	assert_int_equal(b->ippool.cidr.addr.family, 0);
	assert_int_equal(b->ippool.n_ranges, 4);
	expect_range(&b->ippool.ranges[0], "192.0.2.0-192.0.2.3");
	expect_range(&b->ippool.ranges[1], "192.0.2.10-192.0.2.20");
	expect_range(&b->ippool.ranges[2], "fd00::1-fd00::1");
	expect_range(&b->ippool.ranges[3], "fd00:1::-fd00:1::ff");
	assert_int_equal(b->ippool.priority, 7);
	assert_false(b->ippool.auto_assign);
	assert_true(b->ippool.avoid_buggy_ips);
	assert_true(b->ippool.disabled);
	assert_string_equal(b->ippool.service_selector.reqs[0].key, "a");
	assert_string_equal(b->ippool.namespace_selector.reqs[0].key, "c");
	weft_object_free(a);
	weft_object_free(b);
}

static void namespaces_statuses_cidrs_and_adverts(void **state)
{
	struct weft_object *ns = good("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: y}}\n"
	                              "spec: {finalizers: [kubernetes]}\nstatus: {phase: Active}\n");
	struct weft_object *st = good(STATUS(
	        "status: {loadBalancer: {ingress: [{ip: 192.0.2.1}, {hostname: x}]}, conditions: [{}]}"));
	struct weft_object *beta =
	        good(META("ServiceCIDR", "networking.k8s.io/v1beta1") "spec: {cidrs: [10.96.0.0/12]}\n");
	struct weft_object *two = good(CIDR("cidrs: [10.96.0.0/16, \"fd00::/112\"]"));
	struct weft_object *ad = good(ADVERT("types: [ClusterIP, LoadBalancerIP, ClusterIP], "
	                                     "serviceSelector: {matchLabels: {a: b}}"));

	(void)state;
	assert_int_equal(ns->meta.n_labels, 1);
	assert_string_equal(st->meta.namespace, "n");
	assert_int_equal(st->servicestatus.n_ingress, 1);
	expect_addr(&st->servicestatus.ingress[0], "192.0.2.1");
	assert_int_equal(beta->servicecidr.n_cidrs, 1);
	expect_prefix(&beta->servicecidr.cidrs[0], "10.96.0.0/12");
	assert_int_equal(two->servicecidr.n_cidrs, 2);
	expect_prefix(&two->servicecidr.cidrs[1], "fd00::/112");
	assert_int_equal(ad->bgpadvertisement.types, WEFT_ADVERT_LOADBALANCER | WEFT_ADVERT_CLUSTER);
	assert_int_equal(ad->bgpadvertisement.service_selector.n_reqs, 1);
	assert_int_equal(ad->bgpadvertisement.node_selector.n_reqs, 0);
	weft_object_free(ns);
	weft_object_free(st);
	weft_object_free(beta);
	weft_object_free(two);
	weft_object_free(ad);
}

/* S26 */
static void the_autoscalers_taint_is_seen(void **state)
{
	static const struct {
		const char *text;
		bool taint;
	} cases[] = {
	        {META("Node", "v1") "spec: {taints: null}\n", false},
	        {META("Node", "v1") "spec: {taints: [{key: node.kubernetes.io/unreachable}]}\n", false},
	        {META("Node",
	              "v1") "spec: {taints: [{key: a, effect: NoSchedule}, {key: "
	                    "ToBeDeletedByClusterAutoscaler, value: \"1\", effect: NoSchedule}, {key: b}]}\n",
	         true},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *o = good(cases[i].text);

		assert_int_equal(o->node.autoscaler_taint, cases[i].taint);
		weft_object_free(o);
	}
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	        {POOL("use: LoadBalancer"), "IPPool/s: spec.cidr: is missing; give either cidr or ranges"},
	        {POOL("use: LoadBalancer, cidr: 10.0.0.0/8, ranges: [192.0.2.0/24]"),
	         "IPPool/s: spec.cidr: give either cidr or ranges"},
	        {POOL("ranges: [192.0.2.0/24]"),
	         "IPPool/s: spec.ranges: is for pools with use: LoadBalancer"},
	        {POOL("cidr: 10.0.0.0/8, priority: 1"),
	         "IPPool/s: spec.priority: is for pools with use: LoadBalancer"},
	        {POOL("cidr: 10.0.0.0/8, autoAssign: true"),
	         "IPPool/s: spec.autoAssign: is for pools with use: LoadBalancer"},
	        {POOL("use: LoadBalancer, ranges: []"), "IPPool/s: spec.ranges: needs at least one range"},
	        {POOL("use: LoadBalancer, ranges: [192.0.2.9-192.0.2.1]"),
	         "IPPool/s: spec.ranges[0]: \"192.0.2.9-192.0.2.1\" ends before it begins"},
	        {POOL("use: LoadBalancer, ranges: [\"192.0.2.9-fd00::1\"]"),
	         "IPPool/s: spec.ranges[0]: \"192.0.2.9-fd00::1\" has addresses of two families"},
	        {POOL("use: LoadBalancer, ranges: [192.0.2.9]"),
	         "IPPool/s: spec.ranges[0]: \"192.0.2.9\" is not a CIDR (ADDRESS/LENGTH)"},
	        {POOL("use: LoadBalancer, ranges: [192.0.2.9-]"),
	         "IPPool/s: spec.ranges[0]: an IP address is missing"},
	        {POOL("use: LoadBalancer, ranges: [192.0.2.0/24, 192.0.2.255-192.0.3.1]"),
	         "IPPool/s: spec.ranges[1]: overlaps spec.ranges[0]"},
	        {POOL("use: LoadBalancer, ranges: [126.0.0.0-128.0.0.0]"),
	         "IPPool/s: spec.ranges[0]: 126.0.0.0-128.0.0.0 overlaps 127.0.0.0/8, whose addresses hosts can't "
	         "have"},
	        {POOL("use: LoadBalancer, cidr: 0.0.0.0/0"),
	         "IPPool/s: spec.cidr: 0.0.0.0/0 overlaps 0.0.0.0/8, whose addresses hosts can't have"},
	        {ADVERT("types: []"), "BGPAdvertisement/s: spec.types: needs at least one type"},
	        {ADVERT(""), "BGPAdvertisement/s: spec.types: is missing"},
	        {ADVERT("types: [ClusterIPs]"),
	         "BGPAdvertisement/s: spec.types[0]: \"ClusterIPs\" is not known; did you mean ClusterIP?"},
	        {ADVERT("types: [ClusterIP], colour: []"), "BGPAdvertisement/s: unknown field spec.colour"},
	        {CIDR("cidrs: [0.0.0.0/0]"),
	         "ServiceCIDR/s: spec.cidrs[0]: 0.0.0.0/0 overlaps 0.0.0.0/8, whose addresses hosts can't have"},
	        {CIDR("cidrs: [10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8]"),
	         "ServiceCIDR/s: spec.cidrs: has more than 2 entries"},
	        {CIDR("cidrs: [x]"), "ServiceCIDR/s: spec.cidrs[0]: \"x\" is not a CIDR (ADDRESS/LENGTH)"},
	        {STATUS("spec: {}"), "ServiceStatus/n/s: status: is missing"},
	        {STATUS("status: {}\nstaus: {}"),
	         "ServiceStatus/n/s: unknown field staus; did you mean status?"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		assert_null(decode(cases[i].text, &err));
		assert_string_equal(err.text, cases[i].want);
	}
}

/* Conditions are written by many: nothing odd about them costs the Node. */
static void a_drain_that_weftd_tells_of_is_seen(void **state)
{
#define CONDITIONS(list) META("Node", "v1") "status: {conditions: " list "}\n"
	static const struct {
		const char *text;
		bool draining;
	} cases[] = {
	        {CONDITIONS("null"), false},
	        {CONDITIONS("[7, null, {type: 3}, \"weft.dev/Draining\"]"), false},
	        {CONDITIONS("[{type: Ready, status: \"True\"}, {type: weft.dev/Draining}]"), false},
	        {CONDITIONS("[{type: weft.dev/Draining, status: \"False\"}]"), false},
	        {CONDITIONS("[{type: Ready}, {type: weft.dev/Draining, status: \"True\", reason: Drained}]"),
	         true},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *o = good(cases[i].text);

		assert_int_equal(o->node.draining, cases[i].draining);
		weft_object_free(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(load_balancer_pools),
	        cmocka_unit_test(namespaces_statuses_cidrs_and_adverts),
	        cmocka_unit_test(the_autoscalers_taint_is_seen),
	        cmocka_unit_test(a_drain_that_weftd_tells_of_is_seen),
	        cmocka_unit_test(mistakes_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
