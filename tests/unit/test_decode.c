// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of manifests: the corpora of tests/unit/data/manifests, and what the values become. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define DATA "tests/unit/data/manifests/"

static struct weft_object *decode_text(const char *text, struct weft_err *err)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	struct weft_decoded got;

	assert_int_equal(weft_yaml_parse(text, strlen(text), false, &yaml, NULL), 0);
	assert_int_equal(yaml.n_docs, 1);
	assert_int_equal(yaml.docs[0].err.code, 0);
	weft_decode(yaml.docs[0].root, &got, err);
	return got.obj;
}

static struct weft_object *decode_good(const char *text)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_object *obj = decode_text(text, &err);

	assert_string_equal(err.text, "");
	assert_non_null(obj);
	return obj;
}

/* "FILE:LINE: text" of each error in a file, one per line. */
static size_t errors_in(const char *folder, const char *name, struct weft_buf *out, size_t *objects)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	char path[512];
	size_t len, errors = 0;

	snprintf(path, sizeof(path), "%s%s/%s", DATA, folder, name);
	assert_int_equal(weft_file_read(path, 1 << 20, &text, &len, NULL), 0);
	assert_int_equal(weft_yaml_parse(text, len, strstr(name, ".json"), &yaml, NULL), 0);
	for (size_t i = 0; i < yaml.n_docs; i++) {
		struct weft_yaml_doc *doc = &yaml.docs[i];
		struct weft_decoded got = {0};
		struct weft_err err = doc->err;
		unsigned line = doc->line;

		if (!err.code && weft_decode(doc->root, &got, &err) < 0)
			line = weft_yaml_line(doc, got.at);
		*objects += got.obj != NULL;
		weft_object_free(got.obj);
		if (!err.code)
			continue;
		weft_buf_printf(out, "%s:%u: %s\n", name, line, err.text);
		errors++;
	}
	return errors;
}

static void each_malformed_file_gives_its_one_error(void **state)
{
	weft_autofree char *expected = NULL;
	weft_autoclosedir DIR *dir = opendir(DATA "malformed");
	struct dirent *e;
	size_t files = 0, rows = 0;

	(void)state;
	assert_non_null(dir);
	assert_int_equal(weft_file_read(DATA "malformed.txt", 1 << 20, &expected, NULL, NULL), 0);
	for (const char *p = expected; *p; p++)
		rows += *p == '\n';
	while ((e = readdir(dir))) {
		weft_auto(weft_buf_free) struct weft_buf got = {0};
		size_t objects = 0;

		if (e->d_name[0] == '.')
			continue;
		files++;
		if (errors_in("malformed", e->d_name, &got, &objects) != 1 || objects)
			fail_msg("%s: not exactly one error:\n%s", e->d_name, weft_buf_text(&got));
		if (!strstr(expected, weft_buf_text(&got)))
			fail_msg("not in malformed.txt: %s", weft_buf_text(&got));
		assert_null(strstr(got.data, "hunter2")); /* the secrets in the corpus */
		assert_null(strchr(got.data, '\x1b'));
		assert_null(strstr(got.data, "\xc2\x9b"));
	}
	assert_true(files >= 60);
	assert_int_equal(files, rows);
}

static void valid_files_decode(void **state)
{
	static const struct {
		const char *name;
		size_t objects;
	} cases[] = {{"all.yaml", 7},       {"anchors.yaml", 1}, {"crlf-bom.yaml", 1}, {"directives.yaml", 1},
	             {"foreign.yaml", 0},   {"tabs.json", 1},    {"empty.yaml", 0},    {"comments.yaml", 0},
	             {"services.yaml", 11}, {"bgp.yaml", 6}};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf got = {0};
		size_t objects = 0;

		errors_in("valid", cases[i].name, &got, &objects);
		assert_string_equal(weft_buf_text(&got), "");
		assert_int_equal(objects, cases[i].objects);
	}
}

#define OURS(kind, name, spec) \
	"apiVersion: weft.dev/v1alpha1\nkind: " kind "\nmetadata: {name: " name "}\nspec: " spec "\n"

static void pools_get_their_defaults(void **state)
{
	static const struct {
		const char *text;
		unsigned block_size;
	} cases[] = {
	        {OURS("IPPool", "p", "{cidr: 10.244.0.0/16}"), 26},
	        {OURS("IPPool", "p", "{cidr: 10.244.0.0/28}"), 28},
	        {OURS("IPPool", "p", "{cidr: fd00::/98}"), 122},
	        {OURS("IPPool", "p", "{cidr: fd00::/48, use: LoadBalancer}"), 122},
	        {OURS("IPPool", "p", "{cidr: 10.0.0.0/8, blockSize: 0x1a, disabled: null}"), 26},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_object *obj = decode_good(cases[i].text);
		assert_int_equal(obj->ippool.block_size, cases[i].block_size);
		assert_int_equal(obj->ippool.tunnel, WEFT_TUNNEL_FALLBACK);
		assert_false(obj->ippool.disabled);
		weft_object_free(obj);
	}
}

static void selectors_decode(void **state)
{
	struct weft_object *obj = decode_good(
	        OURS("IPPool", "p",
	             "{cidr: 10.0.0.0/8, ipip: CrossSubnet, nodeSelector: {matchLabels: {rack: a}, "
	             "matchExpressions: [{key: x, operator: NotIn, values: [b, c]}]}}"));
	const struct weft_selector *s = &obj->ippool.node_selector;
	struct weft_label rack = {"rack", "a"}, both[] = {{"rack", "a"}, {"x", "b"}};

	(void)state;
	assert_int_equal(obj->ippool.tunnel, WEFT_TUNNEL_CROSS_SUBNET);
	assert_int_equal(s->n_reqs, 2);
	assert_true(weft_selector_matches(s, &rack, 1));
	assert_false(weft_selector_matches(s, both, 2));
	assert_false(weft_selector_matches(s, NULL, 0));
	weft_object_free(obj);
}

static void bgp_objects_decode(void **state)
{
	struct weft_object *c = decode_good(OURS("BGPConfig", "default",
	                                         "{importPrefixes: [0.0.0.0/0, {cidr: 10.0.0.0/8, le: 24}, "
	                                         "{cidr: fd00::/8, ge: 48}]}"));
	struct weft_object *p = decode_good(
	        OURS("BGPPeer", "t", "{address: fd00::1, asNumber: 4200000000, description: \"it's x\"}"));
	char text[WEFT_ADDR_STR];

	(void)state;
	assert_int_equal(c->bgpconfig.as_number, 64512);
	assert_int_equal(c->bgpconfig.listen_port, 179);
	assert_false(weft_addr_is_set(&c->bgpconfig.router_id));
	assert_int_equal(c->bgpconfig.n_import, 3);
	assert_int_equal(c->bgpconfig.import[0].ge, 0);
	assert_int_equal(c->bgpconfig.import[0].le, 0);
	assert_int_equal(c->bgpconfig.import[1].ge, 8);
	assert_int_equal(c->bgpconfig.import[1].le, 24);
	assert_int_equal(c->bgpconfig.import[2].ge, 48);
	assert_int_equal(c->bgpconfig.import[2].le, 128);
	assert_string_equal(weft_addr_str(&p->bgppeer.address, text), "fd00::1");
	assert_true(p->bgppeer.as_number == 4200000000);
	assert_int_equal(p->bgppeer.port, 179);
	assert_string_equal(p->bgppeer.description, "it's x");
	assert_null(p->bgppeer.secret);
	weft_object_free(c);
	weft_object_free(p);
}

static void nodes_take_the_first_address_of_each_family(void **state)
{
	struct weft_object *n = decode_good(
	        "apiVersion: v1\nkind: Node\nmetadata: {name: n, resourceVersion: \"7\", labels: {b: x, a: y},\n"
	        "  annotations: {weft.dev/as-number: \"65001\", other: \"\\e[31m\"}}\n"
	        "status: {addresses: [{type: ExternalIP, address: nonsense}, {type: InternalIP, address: fd00::1},\n"
	        "  {type: InternalIP, address: 10.0.0.1}, {type: InternalIP, address: 10.0.0.2}]}\nspec: {x: y}\n");
	char text[WEFT_ADDR_STR];

	(void)state;
	assert_string_equal(weft_addr_str(&n->node.ip4, text), "10.0.0.1");
	assert_string_equal(weft_addr_str(&n->node.ip6, text), "fd00::1");
	assert_int_equal(n->node.as_number, 65001);
	assert_int_equal(n->meta.n_annotations, 1);
	assert_string_equal(n->meta.labels[0].key, "a");
	assert_string_equal(n->meta.resource_version, "7");
	weft_object_free(n);
}

static void secrets_are_decoded_and_the_tree_can_be_wiped(void **state)
{
	struct weft_object *s =
	        decode_good("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	                    "data: {a: aHVudGVyMg==, b: \"\", c: AAECAw==}\nstringData: {a: plain}\n");
	char key[WEFT_KEY_MAX];

	(void)state;
	assert_string_equal(weft_object_key(s, key), "kube-system/s");
	assert_int_equal(s->secret.n_items, 3);
	assert_int_equal(s->secret.items[0].len, 5); /* stringData wins */
	assert_memory_equal(s->secret.items[0].value, "plain", 5);
	assert_int_equal(s->secret.items[1].len, 0);
	assert_memory_equal(s->secret.items[2].value, "\0\1\2\3", 4);
	weft_object_free(s);
}

/* cJSON's own parser, which the Kubernetes source will use, lets duplicate keys through. */
static void duplicate_keys_of_cjson_are_refused(void **state)
{
	cJSON *json = cJSON_Parse(
	        "{\"apiVersion\":\"weft.dev/v1alpha1\",\"kind\":\"BGPConfig\",\"metadata\":{\"name\":"
	        "\"default\"},\"spec\":{\"importPrefixes\":[\"10.0.0.0/8\",\"11.0.0.0/8\"],"
	        "\"importPrefixes\":[\"12.0.0.0/8\"]}}");
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;

	(void)state;
	assert_non_null(json);
	assert_int_equal(weft_decode(json, &got, &err), -EINVAL);
	assert_string_equal(err.text, "BGPConfig/default: spec.importPrefixes: appears twice");
	assert_int_equal(got.kind, WEFT_BGPCONFIG);
	assert_string_equal(got.key, "default");
	cJSON_Delete(json);
}

/* An item of the API server's lists has no kind and no apiVersion. */
static void an_item_of_a_list_is_decoded_as_what_it_is(void **state)
{
	cJSON *json =
	        cJSON_Parse("{\"metadata\":{\"name\":\"10.0.0.0-26\"},\"spec\":{\"cidr\":\"10.0.0.0/26\","
	                    "\"node\":\"n\",\"pool\":\"p\"}}");
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;

	(void)state;
	assert_true(weft_decode(json, &got, &err) < 0);
	assert_int_equal(weft_decode_as(WEFT_IPBLOCK, json, &got, &err), 0);
	assert_int_equal(got.kind, WEFT_IPBLOCK);
	assert_string_equal(got.key, "10.0.0.0-26");
	assert_string_equal(got.obj->ipblock.pool, "p");
	weft_object_free(got.obj);
	assert_true(weft_decode_as(WEFT_SERVICE, json, &got, &err) < 0);
	assert_null(got.obj);
	assert_string_equal(got.key, "default/10.0.0.0-26");
	cJSON_Delete(json);
}

static void a_written_block_reads_back(void **state)
{
	static const char *const cidrs[] = {"10.244.1.0/26", "fd00:244::40/122"};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cidrs); i++) {
		weft_auto(weft_buf_free) struct weft_buf text = {0};
		struct weft_prefix p;
		struct weft_object *obj;

		assert_int_equal(weft_prefix_parse(cidrs[i], &p, NULL), 0);
		weft_encode_ipblock(&p, "1.2", "true",
		                    &text); /* names that YAML would take for something else */
		obj = decode_good(weft_buf_text(&text));
		assert_int_equal(weft_prefix_cmp(&obj->ipblock.cidr, &p), 0);
		assert_string_equal(obj->ipblock.node, "1.2");
		assert_string_equal(obj->ipblock.pool, "true");
		weft_object_free(obj);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_malformed_file_gives_its_one_error),
	        cmocka_unit_test(valid_files_decode),
	        cmocka_unit_test(pools_get_their_defaults),
	        cmocka_unit_test(selectors_decode),
	        cmocka_unit_test(bgp_objects_decode),
	        cmocka_unit_test(nodes_take_the_first_address_of_each_family),
	        cmocka_unit_test(secrets_are_decoded_and_the_tree_can_be_wiped),
	        cmocka_unit_test(duplicate_keys_of_cjson_are_refused),
	        cmocka_unit_test(an_item_of_a_list_is_decoded_as_what_it_is),
	        cmocka_unit_test(a_written_block_reads_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
