// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each field of the BGP kinds, down to the leaves (data/bgp_fields.yaml), has its way: another value makes another object,
 * another model for this node, and another text for BIRD.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/bird/conf.h"
#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define FILE_PATH "tests/unit/data/bgp_fields.yaml"

/* --- objects --- */

static const cJSON *item_of(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* spec.a.b = value: parents are made where they are missing, and of a list the first entry is meant. */
static void set(cJSON *spec, const char *path, const cJSON *value)
{
	weft_autofree char *copy = strdup(path);
	char *rest = copy, *key = strsep(&rest, ".");

	for (; rest; key = strsep(&rest, ".")) {
		cJSON *next = cJSON_GetObjectItemCaseSensitive(spec, key);

		spec = !next ? cJSON_AddObjectToObject(spec, key) : cJSON_IsArray(next) ? next->child : next;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(spec, key);
	cJSON_AddItemToObject(spec, key, cJSON_Duplicate(value, true));
}

static struct weft_object *decoded(const char *kind, const char *name, cJSON *spec, const char *what)
{
	cJSON *root = cJSON_CreateObject();
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;

	cJSON_AddStringToObject(root, "apiVersion", "weft.dev/v1alpha1");
	cJSON_AddStringToObject(root, "kind", kind);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "metadata"), "name", name);
	cJSON_AddItemToObject(root, "spec", spec);
	if (weft_decode(root, &got, &err) < 0 || !got.obj)
		fail_msg("%s, %s: %s", kind, what, err.text);
	cJSON_Delete(root);
	return got.obj;
}

/* --- what becomes of it --- */

static const char *const chosen[] = {"x"};
static const struct advert_class classes[] = {
        {.metric = 100, .type = WEFT_ADVERT_PODBLOCK},
        {.metric = 1000, .type = WEFT_ADVERT_EXTERNAL, .names = chosen, .n_names = 1},
};
static const struct routes_link links[] = {
        {.dev = "eth0",
         .prefix = {.addr = {.family = AF_INET, .bytes = {10, 1, 1, 0}}, .len = 24},
         .addr = {.family = AF_INET, .bytes = {10, 1, 1, 1}}},
};
static const struct bgp_neighbour neighbours[] = {
        {.dev = "eth0", .addr = {.family = AF_INET, .bytes = {10, 1, 1, 250}}, .gateway = true},
        {.dev = "eth0", .addr = {.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 1}}},
        {.dev = "eth1", .addr = {.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 1}}},
};

/* Sessions of both kinds that a BGPAdvertisement or, by the name of a community, BGPConfig has something to say to. */
static void put_peers(struct cluster *c, enum weft_kind kind)
{
	struct weft_object *inside = peer("inside", "10.1.1.8", 0),
	                   *outside = peer("outside", "10.1.1.9", 65009);

	inside->bgppeer.as_mode = WEFT_PEER_AS_INTERNAL;
	if (kind == WEFT_BGPCONFIG) {
		struct weft_bgp_rule *rule = calloc(1, sizeof(*rule));

		rule->communities = calloc(1, sizeof(*rule->communities));
		rule->n_communities = 1;
		rule->communities->name = strdup("blue");
		outside->bgppeer.import = rule;
		outside->bgppeer.n_import = 1;
	}
	put(c, inside);
	put(c, outside);
}

static struct cluster *cluster_with(struct weft_object *o)
{
	struct cluster *c = cluster_new("a");

	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rack", "1"));
	put(c, node("b", "10.1.1.2", NULL));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	put(c, secret("s1", "k", "one"));
	put(c, secret("s2", "k", "two"));
	if (o->kind != WEFT_BGPPEER)
		put_peers(c, o->kind);
	put(c, o);
	synced(c);
	return c;
}

/* Passwords are not in the text; here the file of one is called after it. */
static const char *secret_path(void *ctx, const struct bgp_peer *p)
{
	char *path = ctx;

	snprintf(path, BGP_PASSWORD_MAX + 8, "/x/%.*s", (int)p->password_len, p->password);
	return path;
}

struct outcome {
	uint8_t fingerprint[BGP_FINGERPRINT];
	char *text;
};

/* Takes the object. */
static void work_out(const struct tmpl *tmpl, struct weft_object *o, struct outcome *out)
{
	static const uint8_t key[32];
	static const struct bgp_params params = {.profile = BGP_FAST,
	                                         .links = links,
	                                         .n_links = 1,
	                                         .neighbours = neighbours,
	                                         .n_neighbours = 3,
	                                         .classes = classes,
	                                         .n_classes = 2};
	char path[BGP_PASSWORD_MAX + 8];
	struct bird_conf_params conf = {
	        .node = "a", .custom_dir = "/custom", .secret_path = secret_path, .ctx = path};
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct cluster *c = cluster_with(o);
	struct bgp_model m;

	bgp_plan(c, &params, &m);
	bgp_fingerprint(&m, key, out->fingerprint);
	if (bird_conf_render(tmpl, &m, &conf, &text, &err) < 0)
		fail_msg("%s", err.text);
	out->text = weft_buf_take(&text);
	bgp_model_free(&m);
	cluster_free(c);
}

static void check_field(const struct tmpl *tmpl, const char *kind, const cJSON *base, const cJSON *field)
{
	const char *name = !strcmp(kind, "BGPConfig") ? "default" : "x", *drop;
	cJSON *specs[2];
	struct weft_object *objects[2];
	struct outcome outcomes[2];
	const cJSON *with;
	bool unseen = cJSON_IsTrue(item_of(field, "unseen"));

	for (int i = 0; i < 2; i++) {
		specs[i] = cJSON_Duplicate(base, true);
		cJSON_ArrayForEach (with, item_of(field, "with"))
			set(specs[i], with->string, with);
	}
	drop = cJSON_GetStringValue(item_of(field, "drop"));
	if (drop)
		cJSON_DeleteItemFromObjectCaseSensitive(specs[1], drop);
	set(specs[1], field->string, item_of(field, "value"));
	for (int i = 0; i < 2; i++)
		objects[i] = decoded(kind, name, specs[i], field->string);
	if (weft_object_equal(objects[0], objects[1]))
		fail_msg("%s: spec.%s is not read", kind, field->string);
	for (int i = 0; i < 2; i++)
		work_out(tmpl, objects[i], &outcomes[i]);
	if (!memcmp(outcomes[0].fingerprint, outcomes[1].fingerprint, BGP_FINGERPRINT) != unseen)
		fail_msg("%s: spec.%s is %s the model", kind, field->string, unseen ? "in" : "not in");
	if (!strcmp(outcomes[0].text, outcomes[1].text) != unseen)
		fail_msg("%s: spec.%s is %s BIRD's configuration", kind, field->string,
		         unseen ? "in" : "not in");
	free(outcomes[0].text);
	free(outcomes[1].text);
}

static void every_field_reaches_bird(void **state)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	const cJSON *entry, *field;
	struct tmpl *tmpl;
	size_t len = 0, n = 0;

	(void)state;
	assert_int_equal(bird_conf_load("bird-templates", &tmpl, &err), 0);
	assert_int_equal(weft_file_read(FILE_PATH, 1 << 20, &text, &len, &err), 0);
	assert_int_equal(weft_yaml_parse(text, len, false, &yaml, &err), 0);
	cJSON_ArrayForEach (entry, yaml.docs[0].root) {
		cJSON_ArrayForEach (field, item_of(entry, "fields")) {
			check_field(tmpl, cJSON_GetStringValue(item_of(entry, "kind")),
			            item_of(entry, "base"), field);
			n++;
		}
	}
	assert_true(n > 70);
	tmpl_free(tmpl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_reaches_bird)};

	return cmocka_run_group_tests_name("bgp fields", tests, NULL, NULL);
}
