// SPDX-License-Identifier: GPL-2.0-or-later
/* Each documented field of weft's own kinds is read: with another value the object is another one
 * (data/fields.yaml). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define FILE_PATH "tests/unit/data/fields.yaml"

static const char *text_of(const cJSON *json, const char *key, const char *otherwise)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

	return text ? text : otherwise;
}

/* The object, with field set to value unless it is NULL. */
static struct weft_object *make(const cJSON *entry, const char *field, const cJSON *value)
{
	cJSON *root = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(root, "metadata");
	cJSON *spec = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(entry, "base"), true);
	const char *name = text_of(entry, "name", "x");
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;

	/* A block's name goes with its CIDR. */
	if (field && !strcmp(field, "cidr") && cJSON_IsArray(value)) {
		name = cJSON_GetStringValue(cJSON_GetArrayItem(value, 1));
		value = cJSON_GetArrayItem(value, 0);
	}
	if (field) {
		cJSON_DeleteItemFromObjectCaseSensitive(spec, text_of(entry, "instead", field));
		cJSON_DeleteItemFromObjectCaseSensitive(spec, field);
		cJSON_AddItemToObject(spec, field, cJSON_Duplicate(value, true));
	}
	cJSON_AddStringToObject(root, "apiVersion", "weft.dev/v1alpha1");
	cJSON_AddStringToObject(root, "kind", text_of(entry, "kind", ""));
	cJSON_AddStringToObject(meta, "name", name);
	cJSON_AddItemToObject(root, "spec", spec);
	if (weft_decode(root, &got, &err) < 0 || !got.obj)
		fail_msg("%s with another %s: %s", text_of(entry, "kind", "?"), field ? field : "nothing",
		         err.text);
	cJSON_Delete(root);
	return got.obj;
}

static void check_entry(const cJSON *entry)
{
	struct weft_object *base = make(entry, NULL, NULL);
	const cJSON *field;

	cJSON_ArrayForEach (field, cJSON_GetObjectItemCaseSensitive(entry, "fields")) {
		struct weft_object *other = make(entry, field->string, field);

		if (weft_object_equal(base, other))
			fail_msg("%s: spec.%s is not read", text_of(entry, "kind", "?"), field->string);
		weft_object_free(other);
	}
	weft_object_free(base);
}

static void every_field_is_read(void **state)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	const cJSON *entry;
	size_t len = 0, n = 0;

	(void)state;
	assert_int_equal(weft_file_read(FILE_PATH, 1 << 20, &text, &len, &err), 0);
	assert_int_equal(weft_yaml_parse(text, len, false, &yaml, &err), 0);
	cJSON_ArrayForEach (entry, yaml.docs[0].root) {
		check_entry(entry);
		n++;
	}
	assert_true(n >= 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_is_read)};

	return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
