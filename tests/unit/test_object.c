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
