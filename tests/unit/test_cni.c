// SPDX-License-Identifier: GPL-2.0-or-later
/* weft-cni's decoding and encoding: environment, configuration, results, errors. No kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cni/attach.h"
#include "agent/cni/conf.h"
#include "agent/cni/env.h"
#include "agent/cni/result.h"

static void set_env(const char *command, const char *id, const char *ifname, const char *netns,
                    const char *args)
{
	const char *const names[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS"};
	const char *const values[] = {command, id, ifname, netns, args};

	for (int i = 0; i < 5; i++) {
		if (values[i])
			setenv(names[i], values[i], 1);
		else
			unsetenv(names[i]);
	}
}

static int read_env(const char *command, const char *id, const char *ifname, const char *netns,
                    const char *args, struct cni_env *env, struct weft_err *err)
{
	*err = WEFT_ERR_INIT;
	set_env(command, id, ifname, netns, args);
	return cni_env_read(env, err);
}

static void test_env_good(void **state)
{
	struct cni_env env;
	struct weft_err err;
	char text[WEFT_ADDR_STR];

	(void)state;
	assert_int_equal(read_env("ADD", "a.b-c_1", "eth0", "/run/netns/x",
	                          "IgnoreUnknown=1;K8S_POD_NAME=p;IP=10.1.2.3/32", &env, &err),
	                 0);
	assert_int_equal(env.command, CNI_ADD);
	assert_string_equal(weft_addr_str(&env.wanted, text), "10.1.2.3");
	assert_int_equal(read_env("DEL", "a", "eth0", "", NULL, &env, &err), 0);
	assert_null(env.netns);
	assert_int_equal(read_env("VERSION", NULL, NULL, NULL, NULL, &env, &err), 0);
	assert_int_equal(read_env("GC", NULL, NULL, NULL, NULL, &env, &err), 0);
	assert_int_equal(read_env("STATUS", NULL, NULL, NULL, NULL, &env, &err), 0);
}

static void test_env_hostile(void **state)
{
	static const struct {
		const char *command, *id, *ifname, *netns, *args, *says;
	} bad[] = {
	        {NULL, "a", "eth0", "/n", NULL, "CNI_COMMAND"},
	        {"add", "a", "eth0", "/n", NULL, "CNI_COMMAND"},
	        {"ADD", NULL, "eth0", "/n", NULL, "CNI_CONTAINERID"},
	        {"ADD", "", "eth0", "/n", NULL, "CNI_CONTAINERID"},
	        {"ADD", "../../etc", "eth0", "/n", NULL, "CNI_CONTAINERID"},
	        {"ADD", "a/b", "eth0", "/n", NULL, "CNI_CONTAINERID"},
	        {"ADD", "a\nb", "eth0", "/n", NULL, "CNI_CONTAINERID"},
	        {"ADD", "-a", "eth0", "/n", NULL, "CNI_CONTAINERID"},
	        {"ADD", "a", NULL, "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "eth%d", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "et h0", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "a/b", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "a:b", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "..", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "sixteen-letters-", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "\xc3\xa9th0", "/n", NULL, "CNI_IFNAME"},
	        {"ADD", "a", "eth0", NULL, NULL, "CNI_NETNS"},
	        {"ADD", "a", "eth0", "relative", NULL, "CNI_NETNS"},
	        {"ADD", "a", "eth0", "/a\nb", NULL, "CNI_NETNS"},
	        {"CHECK", "a", "eth0", "", NULL, "CNI_NETNS"},
	        {"ADD", "a", "eth0", "/n", "novalue", "CNI_ARGS"},
	        {"ADD", "a", "eth0", "/n", "=x", "CNI_ARGS"},
	        {"ADD", "a", "eth0", "/n", "IP=nonsense", "CNI_ARGS"},
	        {"ADD", "a", "eth0", "/n", "A=B;IP=", "CNI_ARGS"},
	};
	struct cni_env env;
	struct weft_err err;
	char id[CNI_ID_MAX + 2], args[CNI_ARGS_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = read_env(bad[i].command, bad[i].id, bad[i].ifname, bad[i].netns, bad[i].args, &env,
		                 &err);

		if (r != CNI_E_ENV || !strstr(err.text, bad[i].says))
			fail_msg("case %zu: %d, \"%s\"", i, r, err.text);
	}
	memset(id, 'a', sizeof(id));
	id[CNI_ID_MAX + 1] = '\0';
	assert_int_equal(read_env("ADD", id, "eth0", "/n", NULL, &env, &err), CNI_E_ENV);
	id[CNI_ID_MAX] = '\0';
	assert_int_equal(read_env("ADD", id, "eth0", "/n", NULL, &env, &err), 0);
	memset(args, 'a', sizeof(args));
	args[CNI_ARGS_MAX + 1] = '\0';
	assert_int_equal(read_env("ADD", "a", "eth0", "/n", args, &env, &err), CNI_E_ENV);
}

static int decode(enum cni_command command, const char *text, struct cni_conf *conf, struct weft_err *err)
{
	*err = WEFT_ERR_INIT;
	return cni_conf_decode(text, strlen(text), command, conf, err);
}

#define HEAD "\"cniVersion\":\"1.1.0\",\"name\":\"weft\",\"type\":\"weft-cni\""

static void test_conf_good(void **state)
{
	struct cni_conf c;
	struct weft_err err;
	char text[WEFT_ADDR_STR];

	(void)state;
	assert_int_equal(decode(CNI_ADD, "{" HEAD "}", &c, &err), 0);
	assert_string_equal(c.state_dir, CNI_DEFAULT_STATE_DIR);
	assert_string_equal(c.socket, CNI_DEFAULT_SOCKET);
	assert_int_equal(c.mtu, 0);
	assert_int_equal(c.n_families, 1);
	cni_conf_free(&c);
	assert_int_equal(
	        decode(CNI_ADD,
	               "{" HEAD
	               ",\"stateDir\":\"/s\",\"socket\":\"/r/s\",\"mtu\":1480,\"families\":[\"6\",\"4\"],"
	               "\"runtimeConfig\":{\"ips\":[\"10.0.0.5/24\",\"fd00::5\"],\"portMappings\":[]},"
	               "\"args\":{\"cni\":{\"ips\":[\"10.0.0.9\"]}},\"capabilities\":{\"ips\":true},"
	               "\"cniVersions\":[\"1.0.0\"],\"disableCheck\":false,\"dns\":{\"domain\":\"x\"},\"ipMasq\":false,"
	               "\"cni.dev/anything\":1}",
	               &c, &err),
	        0);
	assert_int_equal(c.families[0], AF_INET6);
	assert_int_equal(c.families[1], AF_INET);
	assert_int_equal(c.mtu, 1480);
	assert_string_equal(weft_addr_str(&c.wanted[0], text), "10.0.0.5");
	assert_string_equal(weft_addr_str(&c.wanted[1], text), "fd00::5");
	cni_conf_free(&c);
}

static void test_conf_bad(void **state)
{
	static const struct {
		enum cni_command command;
		int code;
		const char *text, *says;
	} bad[] = {
	        {CNI_ADD, CNI_E_DECODE, "", "line"},
	        {CNI_ADD, CNI_E_DECODE, "{", "line"},
	        {CNI_ADD, CNI_E_DECODE, "[]", "object"},
	        {CNI_ADD, CNI_E_DECODE, "{" HEAD "} x", "line"},
	        {CNI_ADD, CNI_E_DECODE, "{" HEAD ",\"mtu\":1,\"mtu\":2}", "uplicate"},
	        {CNI_ADD, CNI_E_DECODE, "{" HEAD ",\"stateDir\":\"/a\\u0000b\"}", "line"},
	        {CNI_ADD, CNI_E_VERSION, "{\"name\":\"weft\",\"type\":\"x\"}", "cniVersion"},
	        {CNI_ADD, CNI_E_VERSION, "{\"cniVersion\":\"0.2.0\",\"name\":\"weft\"}", "0.2.0"},
	        {CNI_ADD, CNI_E_VERSION, "{\"cniVersion\":\"9.0.0\",\"name\":\"weft\"}", "9.0.0"},
	        {CNI_CHECK, CNI_E_VERSION, "{\"cniVersion\":\"0.3.1\",\"name\":\"weft\"}", "CHECK"},
	        {CNI_GC, CNI_E_VERSION, "{\"cniVersion\":\"1.0.0\",\"name\":\"weft\"}", "GC"},
	        {CNI_STATUS, CNI_E_VERSION, "{\"cniVersion\":\"1.0.0\",\"name\":\"weft\"}", "STATUS"},
	        {CNI_ADD, CNI_E_CONFIG, "{\"cniVersion\":\"1.0.0\"}", "name"},
	        {CNI_ADD, CNI_E_CONFIG, "{\"cniVersion\":\"1.0.0\",\"name\":\"../x\"}", "name"},
	        {CNI_ADD, CNI_E_FIELD, "{" HEAD ",\"mut\":1500}", "\"mut\": 1500"},
	        {CNI_ADD, CNI_E_FIELD, "{" HEAD ",\"ipMasq\":true}", "ipMasq"},
	        {CNI_ADD, CNI_E_FIELD, "{" HEAD ",\"ipam\":{\"type\":\"host-local\"}}", "host-local"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"mtu\":\"1500\"}", "mtu"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"mtu\":-1}", "mtu"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"mtu\":67}", "mtu"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"mtu\":65536}", "mtu"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"mtu\":1279,\"families\":[\"6\"]}", "1280"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"families\":[]}", "families"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"families\":[\"4\",\"4\"]}", "families"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"families\":[4]}", "families"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"stateDir\":\"var\"}", "stateDir"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"stateDir\":7}", "stateDir"},
	        {CNI_ADD, CNI_E_CONFIG,
	         "{" HEAD
	         ",\"socket\":\"/0123456789012345678901234567890123456789012345678901234567890123456789012345678"
	         "901234567890123456789012345678\"}",
	         "socket"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"prevResult\":[]}", "prevResult"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"prevResult\":{\"ips\":{}}}", "prevResult.ips"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"prevResult\":{\"routes\":[1]}}", "prevResult.routes"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"runtimeConfig\":{\"ips\":[\"10.0.0.1\",\"10.0.0.2\"]}}",
	         "two"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"runtimeConfig\":{\"ips\":[\"x\"]}}", "address"},
	        {CNI_ADD, CNI_E_CONFIG, "{" HEAD ",\"args\":{\"cni\":{\"ips\":\"x\"}}}", "args"},
	        {CNI_CHECK, CNI_E_CONFIG, "{" HEAD "}", "prevResult"},
	        {CNI_GC, CNI_E_CONFIG, "{" HEAD "}", "valid-attachments"},
	        {CNI_GC, CNI_E_CONFIG, "{" HEAD ",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\"}]}",
	         "ifname"},
	        {CNI_GC, CNI_E_CONFIG,
	         "{" HEAD ",\"cni.dev/valid-attachments\":[{\"containerID\":\"a/b\",\"ifname\":\"e\"}]}",
	         "containerID"},
	};
	struct cni_conf c;
	struct weft_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = decode(bad[i].command, bad[i].text, &c, &err);

		if (r != bad[i].code || !strstr(err.text, bad[i].says))
			fail_msg("case %zu (%s): %d, \"%s\"", i, bad[i].text, r, err.text);
		cni_conf_free(&c);
	}
}

static void test_conf_cleanup_is_lenient(void **state)
{
	struct cni_conf c;
	struct weft_err err;

	(void)state;
	assert_int_equal(
	        decode(CNI_DEL, "{" HEAD ",\"mut\":1,\"ipMasq\":true,\"ipam\":{\"type\":\"x\"}}", &c, &err),
	        0);
	cni_conf_free(&c);
	assert_int_equal(decode(CNI_GC, "{" HEAD ",\"x\":1,\"cni.dev/valid-attachments\":[]}", &c, &err), 0);
	cni_conf_free(&c);
}

static void test_conf_too_long(void **state)
{
	char *text = malloc(CNI_CONF_MAX + 2);
	struct cni_conf c;
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	memset(text, ' ', CNI_CONF_MAX + 1);
	text[CNI_CONF_MAX + 1] = '\0';
	assert_int_equal(cni_conf_decode(text, CNI_CONF_MAX + 1, CNI_ADD, &c, &err), CNI_E_DECODE);
	cni_conf_free(&c);
	memset(text, '[', CNI_CONF_MAX); /* nesting without end must not exhaust the stack */
	assert_int_equal(cni_conf_decode(text, CNI_CONF_MAX, CNI_ADD, &c, &err), CNI_E_DECODE);
	cni_conf_free(&c);
	free(text);
}

static void make_attachment(struct cni_attachment *a)
{
	cni_attachment_init(a, "weft", "abc", "eth0");
	a->mtu = 1480;
	weft_addr_parse("10.244.1.5", &a->addrs[0], NULL);
	weft_addr_parse("fd00::5", &a->addrs[1], NULL);
	a->n_addrs = 2;
}

static void test_names(void **state)
{
	struct cni_attachment a, b;

	(void)state;
	cni_attachment_init(&a, "weft", "abc", "eth0");
	cni_attachment_init(&b, "other", "abc", "eth0");
	assert_string_equal(a.host_dev, b.host_dev);
	assert_string_equal(a.host_dev,
	                    "weftd48963d32e3"); /* must never change: DEL of older pods needs it */
	assert_string_equal(a.alias, "weft:weft/abc/eth0");
	cni_attachment_init(&b, "weft", "abc", "eth1");
	assert_string_not_equal(a.host_dev, b.host_dev);
	assert_int_equal(a.pod_mac[0] & 3, 2);
	assert_true(cni_is_pod_dev(a.host_dev));
	assert_false(cni_is_pod_dev("weft.ipip"));
	assert_false(cni_is_pod_dev("weft"));
	assert_false(cni_is_pod_dev("weft0123456789x"));
	assert_false(cni_is_pod_dev("weftd48963d32e"));
	assert_false(cni_alias_is_foreign("", "abc", "eth0"));
	assert_false(cni_alias_is_foreign("weft:other/abc/eth0", "abc", "eth0"));
	assert_true(cni_alias_is_foreign("weft:weft/abd/eth0", "abc", "eth0"));
	assert_true(cni_alias_is_foreign("weft:weft/abc/eth1", "abc", "eth0"));
	assert_true(cni_alias_is_foreign("weft:weft/abcd/eth0", "abc", "eth0"));
	assert_true(cni_alias_is_foreign("mine", "abc", "eth0"));
}

static json_t *result_of(const char *version, const char *extra)
{
	struct cni_attachment a;
	struct cni_conf c;
	struct weft_err err;
	char text[1024];
	char *out;
	json_t *json;

	snprintf(text, sizeof(text), "{\"cniVersion\":\"%s\",\"name\":\"weft\"%s}", version, extra);
	assert_int_equal(decode(CNI_ADD, text, &c, &err), 0);
	make_attachment(&a);
	out = cni_result_text(&c, &a, "/run/netns/x");
	assert_non_null(out);
	json = json_loads(out, 0, NULL);
	assert_non_null(json);
	free(out);
	cni_conf_free(&c);
	assert_string_equal(json_string_value(json_object_get(json, "cniVersion")), version);
	return json;
}

static void test_result_versions(void **state)
{
	static const struct {
		const char *version;
		bool family, mtu;
	} cases[] = {{"0.3.0", true, false},
	             {"0.3.1", true, false},
	             {"0.4.0", true, false},
	             {"1.0.0", false, false},
	             {"1.1.0", false, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *r = result_of(cases[i].version, "");
		json_t *ip = json_array_get(json_object_get(r, "ips"), 1);
		json_t *pod = json_array_get(json_object_get(r, "interfaces"), 1);

		assert_string_equal(json_string_value(json_object_get(ip, "address")), "fd00::5/128");
		assert_string_equal(json_string_value(json_object_get(ip, "gateway")), CNI_GATEWAY6);
		assert_int_equal(json_integer_value(json_object_get(ip, "interface")), 1);
		assert_int_equal(json_object_get(ip, "version") != NULL, cases[i].family);
		if (cases[i].family)
			assert_string_equal(json_string_value(json_object_get(ip, "version")), "6");
		assert_string_equal(json_string_value(json_object_get(pod, "sandbox")), "/run/netns/x");
		assert_int_equal(json_object_get(pod, "mtu") != NULL, cases[i].mtu);
		assert_int_equal(json_array_size(json_object_get(r, "routes")), 2);
		json_decref(r);
	}
}

static void test_result_behind_another_plugin(void **state)
{
	json_t *r = result_of(
	        "1.0.0",
	        ",\"dns\":{\"domain\":\"x\"},\"prevResult\":{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"lo\",\"sandbox\":"
	        "\"/run/netns/x\"}],\"ips\":[{\"address\":\"127.0.0.1/8\",\"interface\":0}],\"routes\":null}");
	json_t *ips = json_object_get(r, "ips");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(r, "interfaces")), 3);
	assert_int_equal(json_array_size(ips), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(ips, 0), "interface")), 0);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(ips, 1), "interface")), 2);
	assert_int_equal(json_array_size(json_object_get(r, "routes")), 2);
	assert_string_equal(json_string_value(json_object_get(json_object_get(r, "dns"), "domain")), "x");
	json_decref(r);
}

static void test_check_reads_result(void **state)
{
	json_t *r = result_of("1.1.0", "");
	struct cni_attachment a;
	struct weft_err err = WEFT_ERR_INIT;
	bool routes[2];

	(void)state;
	make_attachment(&a);
	assert_int_equal(cni_result_check(r, &a, "/run/netns/x", routes, &err), 0);
	assert_true(routes[0] && routes[1]);
	assert_int_equal(cni_result_check(r, &a, "/run/netns/y", routes, &err), CNI_E_CHECK);
	a.n_addrs = 1;
	assert_int_equal(cni_result_check(r, &a, "/run/netns/x", routes, &err), CNI_E_CHECK);
	make_attachment(&a);
	weft_addr_parse("10.244.1.6", &a.addrs[0], NULL);
	assert_int_equal(cni_result_check(r, &a, "/run/netns/x", routes, &err), CNI_E_CHECK);
	make_attachment(&a);
	strcpy(a.host_dev, "weft00000000000");
	assert_int_equal(cni_result_check(r, &a, "/run/netns/x", routes, &err), CNI_E_CHECK);
	json_decref(r);
}

static void test_error_object(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;
	char *text;
	json_t *json;

	(void)state;
	assert_int_equal(cni_fail(&err, CNI_E_CONFIG, "a \"quoted\" %s\n", "\x01text"), CNI_E_CONFIG);
	text = cni_error_text("1.0.0", CNI_E_CONFIG, &err);
	json = json_loads(text, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(json, "code")), 7);
	assert_string_equal(json_string_value(json_object_get(json, "cniVersion")), "1.0.0");
	assert_string_equal(json_string_value(json_object_get(json, "details")), "a \"quoted\" ?text?");
	assert_true(json_string_length(json_object_get(json, "msg")) > 0);
	json_decref(json);
	free(text);
	strcpy(err.text, "cut \xc3");
	text = cni_error_text("1.0.0", CNI_E_CONFIG, &err);
	assert_non_null(text);
	free(text);
}

static void test_versions(void **state)
{
	char *text = cni_versions_text("0.4.0");

	(void)state;
	assert_string_equal(
	        text,
	        "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_env_good),
	        cmocka_unit_test(test_env_hostile),
	        cmocka_unit_test(test_conf_good),
	        cmocka_unit_test(test_conf_bad),
	        cmocka_unit_test(test_conf_cleanup_is_lenient),
	        cmocka_unit_test(test_conf_too_long),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_result_versions),
	        cmocka_unit_test(test_result_behind_another_plugin),
	        cmocka_unit_test(test_check_reads_result),
	        cmocka_unit_test(test_error_object),
	        cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
