// SPDX-License-Identifier: GPL-2.0-or-later
/* What deploy/ offers to copy is what weftd accepts: weft.yaml, and the example manifests as one datastore.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define EXAMPLES "deploy/examples/"

static void told(void *ctx, const char *text)
{
	(void)ctx;
	print_error("%s\n", text);
}

static void configuration_is_accepted(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config cfg;

	(void)state;
	assert_int_equal(weft_config_load("deploy/weft.yaml", &cfg, told, NULL, &err), 0);
	assert_string_equal(cfg.bird.templates,
	                    "/usr/local/share/weft/bird-templates"); /* where `make install` puts them */
}

/* Counts the objects of a file by kind; any error fails the test. */
static void decode_file(const char *name, size_t count[WEFT_KIND_COUNT])
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	char path[512];
	size_t len;

	snprintf(path, sizeof(path), EXAMPLES "%s", name);
	assert_int_equal(weft_file_read(path, 1 << 20, &text, &len, NULL), 0);
	assert_int_equal(weft_yaml_parse(text, len, false, &yaml, NULL), 0);
	for (size_t i = 0; i < yaml.n_docs; i++) {
		struct weft_decoded got = {0};
		struct weft_err err = yaml.docs[i].err;

		if (!err.code)
			weft_decode(yaml.docs[i].root, &got, &err);
		if (err.code)
			fail_msg("%s:%u: %s", name, yaml.docs[i].line, err.text);
		if (!got.obj)
			fail_msg("%s:%u: no object that weft knows", name, yaml.docs[i].line);
		count[got.kind]++;
		weft_object_free(got.obj);
	}
}

static void manifests_are_accepted(void **state)
{
	size_t count[WEFT_KIND_COUNT] = {0}, files = 0;
	weft_autoclosedir DIR *dir = opendir(EXAMPLES);
	struct dirent *e;

	(void)state;
	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (strstr(e->d_name, ".yaml")) {
			decode_file(e->d_name, count);
			files++;
		}
	assert_int_equal(files, 3);
	assert_int_equal(count[WEFT_NODE], 2);
	assert_int_equal(count[WEFT_IPPOOL], 2);
	assert_int_equal(count[WEFT_BGPCONFIG], 1);
	assert_int_equal(count[WEFT_BGPPEER], 4);
	assert_int_equal(count[WEFT_SECRET], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(configuration_is_accepted),
	        cmocka_unit_test(manifests_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
