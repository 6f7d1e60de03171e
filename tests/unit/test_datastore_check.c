// SPDX-License-Identifier: GPL-2.0-or-later
/* What the configuration's datastore names outside of the configuration: checked before anything is asked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/daemon/datastore.h"
#include "tests/unit/tmpdir.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define KUBECONFIG(user)                                                         \
	"apiVersion: v1\nkind: Config\ncurrent-context: c\n"                     \
	"clusters: [{name: k, cluster: {server: \"https://192.0.2.1:6443\"}}]\n" \
	"contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {" user "}}]\n"

/* The outcome for a weft.yaml with this section, "" = good; %s is a kubeconfig with this text. */
static void expect(const char *kubeconfig, const char *section, const char *want)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct weft_err err = WEFT_ERR_INIT;
	char dir[TMPDIR_SIZE], path[96];
	struct weft_config cfg;

	tmpdir_make(dir);
	snprintf(path, sizeof(path), "%s/kubeconfig", dir);
	assert_int_equal(weft_file_replace(path, kubeconfig, strlen(kubeconfig), 0600, NULL), 0);
	weft_buf_printf(&text, "nodeName: n1\ndatastore: {%s, kubeconfig: %s}\n", section, path);
	assert_int_equal(weft_config_parse("w", text.data, text.len, &cfg, NULL, NULL, &err), 0);
	datastore_check(&cfg, &err);
	if (*want ? !strstr(err.text, want) : *err.text)
		fail_msg("expected \"%s\", got \"%s\"", want, err.text);
	tmpdir_remove(dir);
}

static void a_kubeconfig_is_read(void **state)
{
	(void)state;
	expect(KUBECONFIG("token: abc"), "kind: kubernetes", "");
	expect(KUBECONFIG("token: abc"),
	       "kind: kubernetes, context: c, servers: [\"https://[2001:db8::1]:6443\"]", "");
	expect(KUBECONFIG("token: abc"), "kind: kubernetes, context: other", "other");
	expect(KUBECONFIG("token: abc"), "kind: kubernetes, servers: [\"http://192.0.2.1:6443\"]",
	       "192.0.2.1");
	expect(KUBECONFIG("tokenFile: /nowhere/token"), "kind: kubernetes", "/nowhere/token");
	expect(KUBECONFIG("exec: {command: aws}"), "kind: kubernetes", "exec");
	expect("nonsense", "kind: kubernetes", "kubeconfig");
}

static void a_folder_needs_no_check(void **state)
{
	struct weft_config cfg = {.datastore = {.kind = WEFT_DATASTORE_DIRECTORY, .path = "/nowhere"}};

	(void)state;
	assert_int_equal(datastore_check(&cfg, NULL), 0);
	assert_int_equal(datastore_leave(&cfg, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_kubeconfig_is_read),
	        cmocka_unit_test(a_folder_needs_no_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
