// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who we are and where the API server is: kubeconfig files, service accounts, the servers of weft.yaml. The
 * table of broken kubeconfigs gives each its one error, with line and key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/kube/access.h"
#include "tests/unit/tmpdir.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define PEM     "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
#define PEM_KEY "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n"
/* The same in base64. */
#define PEM64     "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define PEM_KEY64 "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1JSUIKLS0tLS1FTkQgRUMgUFJJVkFURSBLRVktLS0tLQo="

/* Lines 1 to 4 of each: a context "x" of cluster "c" and user "u". */
#define HEAD                               \
	"{apiVersion: v1, kind: Config,\n" \
	"current-context: x,\n"            \
	"contexts: [{name: x, context: {cluster: c, user: u}}],\n"
#define CLUSTER(more) "clusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443', " more "}}],\n"
#define USER(more)    "users: [{name: u, user: {" more "}}]}\n"

static char dir[TMPDIR_SIZE];

static char *path_of(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	return path;
}

static void put(const char *name, const char *text)
{
	weft_autofree char *path = path_of(name);

	assert_int_equal(weft_file_replace(path, text, strlen(text), 0600, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	tmpdir_make(dir);
	put("ca.crt", PEM);
	put("client.crt", PEM);
	put("client.key", PEM_KEY);
	put("token", "secret-token\n");
	put("empty", "");
	put("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tmpdir_remove(dir);
	return 0;
}

static int load(const char *text, const char *context, struct kube_access *a, struct weft_err *err)
{
	weft_autofree char *path = path_of("kubeconfig");

	put("kubeconfig", text);
	*err = WEFT_ERR_INIT;
	return kube_access_load(&(struct kube_access_options){.kubeconfig = path, .context = context}, a,
	                        err);
}

static void loads(const char *text, struct kube_access *a)
{
	struct weft_err err;

	if (load(text, NULL, a, &err) < 0)
		fail_msg("%s", err.text);
}

static void reads_as(const struct kube_credential *c, const char *want)
{
	size_t len;
	char *text = kube_credential_read(c, &len, NULL);

	assert_non_null(text);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	sodium_free(text);
}

/* Good files */

static void test_inline_credentials(void **state)
{
	struct kube_access a;
	weft_autofree char *origin = NULL;

	(void)state;
	loads("apiVersion: v1\nkind: Config\ncurrent-context: x\npreferences: {}\nunheard-of: 1\n"
	      "contexts:\n- name: y\n  context: {cluster: d}\n"
	      "- name: x\n  context: {cluster: c, user: u, namespace: ns, extensions: []}\n"
	      "clusters:\n- name: c\n  cluster:\n    server: https://192.0.2.1:6443/\n"
	      "    tls-server-name: api.test\n    insecure-skip-tls-verify: false\n    proxy-url: ''\n"
	      "    certificate-authority: /nowhere\n    certificate-authority-data: " PEM64 "\n"
	      "users:\n- name: u\n  user:\n    client-certificate-data: " PEM64 "\n"
	      "    client-key-data: " PEM_KEY64 "\n    token: ' abc '\n    exec: null\n",
	      &a);
	assert_int_equal(a.n_servers, 1);
	assert_string_equal(a.servers[0], "https://192.0.2.1:6443");
	assert_string_equal(a.tls_server_name, "api.test");
	assert_string_equal(a.namespace, "ns");
	assert_true(asprintf(&origin, "kubeconfig %s/kubeconfig, context x", dir) > 0);
	assert_string_equal(a.origin, origin);
	assert_null(a.ca.file);
	reads_as(&a.ca, PEM);
	reads_as(&a.cert, PEM);
	reads_as(&a.key, PEM_KEY);
	reads_as(&a.token, " abc ");
	kube_access_free(&a);
}

/* Relative to the kubeconfig; tokenFile wins over token. */
static void test_files(void **state)
{
	weft_autofree char *ca = path_of("ca.crt"), *text = NULL;
	struct kube_access a;

	(void)state;
	assert_true(asprintf(&text,
	                     HEAD CLUSTER("certificate-authority: %s")
	                             USER("client-certificate: client.crt, client-key: ./client.key, "
	                                  "token: x, tokenFile: token"),
	                     ca) > 0);
	loads(text, &a);
	assert_string_equal(a.ca.file, ca);
	reads_as(&a.cert, PEM);
	reads_as(&a.key, PEM_KEY);
	reads_as(&a.token, "secret-token\n");
	assert_null(a.token.text);
	put("token", "next\n");
	reads_as(&a.token, "next\n");
	put("token", "secret-token\n");
	kube_access_free(&a);
}

static void test_json(void **state)
{
	struct kube_access a;

	(void)state;
	loads("{\n\t\"kind\": \"Config\", \"current-context\": \"x\",\n"
	      "\t\"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": \"c\"}}],\n"
	      "\t\"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"https://[2001:db8::1]:6443\"}}]\n}\n",
	      &a);
	assert_string_equal(a.servers[0], "https://[2001:db8::1]:6443");
	assert_null(a.token.file);
	assert_null(a.token.text);
	assert_null(a.ca.file);
	assert_null(a.namespace);
	kube_access_free(&a);
}

static void test_named_context(void **state)
{
	struct kube_access a;
	struct weft_err err;

	(void)state;
	assert_int_equal(
	        load("current-context: x\ncontexts: [{name: 'y z', context: {cluster: c}}]\n"
	             "clusters: [{name: c, cluster: {server: 'https://k8s.example:443/k8s/clusters/a'}}]\n",
	             "y z", &a, &err),
	        0);
	assert_string_equal(a.servers[0], "https://k8s.example:443/k8s/clusters/a");
	kube_access_free(&a);
}

/* KUBECONFIG=a:b: the first entry of a name counts, files that do not exist are passed over. */
static void test_several_files(void **state)
{
	weft_autofree char *list = NULL;
	struct kube_access_options o = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_access a;

	(void)state;
	put("one", "current-context: x\nclusters: [{name: c, cluster: {server: 'https://192.0.2.1'}}]\n");
	put("two",
	    "current-context: y\nclusters: [{name: c, cluster: {server: 'https://192.0.2.2'}}]\n"
	    "contexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {tokenFile: token}}]\n");
	assert_true(asprintf(&list, ":%s/none:%s/one:%s/two:", dir, dir, dir) > 0);
	o.kubeconfig = list;
	if (kube_access_load(&o, &a, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(a.servers[0], "https://192.0.2.1");
	reads_as(&a.token, "secret-token\n");
	kube_access_free(&a);
	free(list);
	assert_true(asprintf(&list, "%s/none:%s/nowhere", dir, dir) > 0);
	o.kubeconfig = list;
	assert_int_equal(kube_access_load(&o, &a, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere"));
}

static void test_given_servers(void **state)
{
	static const char *const servers[] = {"https://10.0.0.10:6443/", "https://[::1]"};
	weft_autofree char *path = path_of("kubeconfig");
	const struct kube_access_options o = {.kubeconfig = path, .servers = servers, .n_servers = 2};
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_access a, copy;

	(void)state;
	put("kubeconfig",
	    HEAD "clusters: [{name: c, cluster: {server: 'http://unused'}}],\n" USER("token: t"));
	if (kube_access_load(&o, &a, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(kube_access_copy(&a, &copy, NULL), 0);
	kube_access_free(&a);
	assert_int_equal(copy.n_servers, 2);
	assert_string_equal(copy.servers[0], "https://10.0.0.10:6443");
	assert_string_equal(copy.servers[1], "https://[::1]");
	reads_as(&copy.token, "t");
	kube_access_free(&copy);
}

/* Bad files */

static const struct {
	const char *text, *error; /* the error after "FOLDER/kubeconfig:" */
} broken[] = {
        {"", "1: the file is empty"},
        {"- a\n", "1: must be a mapping, not a list"},
        {"a: b: c\n", "1: "},
        {"a: 1\n---\nb: 2\n", "3: a kubeconfig is one document, here is a second"},
        {"kind: Pod\n", "1: kind: is not Config; is this file a kubeconfig?"},
        {"kind: Config\n", "1: current-context: is missing, and no context was named"},
        {"\ncurrent-context: [x]\n", "2: current-context: must be a text, not a list"},
        {"current-context: x\n", "1: contexts: there is no \"x\""},
        {"current-context: x\ncontexts: {x: {}}\n", "2: contexts: must be a list, not a mapping"},
        {"current-context: x\ncontexts: [7, {name: 7}, {name: x}]\n",
         "2: contexts[x].context: must be a mapping, not missing"},
        {"current-context: x\ncontexts: [{name: x, context: {}}]\n",
         "2: contexts[x].context.cluster: is missing"},
        {HEAD "users: []}", "3: contexts[x].context.cluster: there is no \"c\" in clusters"},
        {HEAD CLUSTER("") "users: []}", "3: contexts[x].context.user: there is no \"u\" in users"},
        {HEAD "clusters: [{name: c,\ncluster: {}}],\n" USER(""), "5: clusters[c].cluster.server: is missing"},
        {HEAD "clusters: [{name: c, cluster: {server: 7}}],\n" USER(""),
         "4: clusters[c].cluster.server: must be a text, not a number"},
        {HEAD "clusters: [{name: c, cluster: {server: 'http://192.0.2.1'}}],\n" USER(""),
         "4: clusters[c].cluster.server: \"http://192.0.2.1\": http is for loopback addresses only (kubectl proxy); use https"},
        {HEAD CLUSTER("\ninsecure-skip-tls-verify: true") USER(""),
         "5: clusters[c].cluster.insecure-skip-tls-verify: weft always verifies the server; give certificate-authority"},
        {HEAD CLUSTER("proxy-url: 'socks5://x'") USER(""),
         "4: clusters[c].cluster.proxy-url: weft speaks to the API server directly"},
        {HEAD CLUSTER("tls-server-name: 'a/b'") USER(""),
         "4: clusters[c].cluster.tls-server-name: \"a/b\" is not the name of a host"},
        {HEAD CLUSTER("certificate-authority-data: 'a b'") USER(""),
         "4: clusters[c].cluster.certificate-authority-data: is not base64"},
        {HEAD CLUSTER("certificate-authority-data: aGVsbG8=") USER(""),
         "4: clusters[c].cluster.certificate-authority-data: holds no certificate in PEM"},
        {HEAD CLUSTER("certificate-authority-data: " PEM_KEY64) USER(""),
         "4: clusters[c].cluster.certificate-authority-data: holds no certificate in PEM"},
        {HEAD CLUSTER("certificate-authority: none.crt") USER(""),
         "4: clusters[c].cluster.certificate-authority: can't read "},
        {HEAD CLUSTER("certificate-authority: .") USER(""), "4: clusters[c].cluster.certificate-authority: "},
        {HEAD CLUSTER("") USER("\nexec: {command: x}"),
         "6: users[u].user.exec: weft runs no credential plugins; use a client certificate, token or tokenFile"},
        {HEAD CLUSTER("") USER("\n\nauth-provider: {name: gcp}"),
         "7: users[u].user.auth-provider: weft has no auth providers; use a client certificate, token or tokenFile"},
        {HEAD CLUSTER("") USER("username: a"), "5: users[u].user.username: "},
        {HEAD CLUSTER("") USER("password: sesame"), "5: users[u].user.password: "},
        {HEAD CLUSTER("") USER("as: root"),
         "5: users[u].user.as: weft does not impersonate; give it a user of its own"},
        {HEAD CLUSTER("") USER("as-groups: [a]"), "5: users[u].user.as-groups: "},
        {HEAD CLUSTER("") USER("client-certificate-data: " PEM64),
         "5: users[u].user.client-key: is missing; client-certificate needs it"},
        {HEAD CLUSTER("") USER("client-key: client.key"),
         "5: users[u].user.client-certificate: is missing; client-key is of no use without it"},
        {HEAD CLUSTER("") USER("client-certificate: client.crt, client-key: client.crt"),
         "5: users[u].user.client-key: "},
        {HEAD CLUSTER("") USER("client-certificate: client.crt, client-key: locked.key"),
         "5: users[u].user.client-key: "},
        {HEAD CLUSTER("") USER("tokenFile: empty"), "5: users[u].user.tokenFile: "},
        {HEAD CLUSTER("") USER("tokenFile: none"), "5: users[u].user.tokenFile: can't read "},
        {HEAD CLUSTER("") USER("token: ' '"), "5: users[u].user.token: the token is empty"},
        {HEAD CLUSTER("") USER("token: \"sesame\\r\\nX-Evil: 1\""),
         "5: users[u].user.token: the token holds a character that none can have"},
        {HEAD CLUSTER("") "users: [{name: u, user: []}]}", "5: users[u].user: must be a mapping, not a list"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c, namespace: A_b}}]\n"
         "clusters: [{name: c, cluster: {server: 'https://a'}}]\n",
         "2: contexts[x].context.namespace: \"A_b\" is not a valid name"},
};

static void test_broken_kubeconfigs(void **state)
{
	weft_autofree char *path = path_of("kubeconfig");

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(broken); i++) {
		struct kube_access a;
		struct weft_err err;

		if (load(broken[i].text, NULL, &a, &err) == 0)
			fail_msg("accepted:\n%s", broken[i].text);
		if (strncmp(err.text, path, strlen(path)) != 0 || err.text[strlen(path)] != ':' ||
		    strncmp(err.text + strlen(path) + 1, broken[i].error, strlen(broken[i].error)) != 0)
			fail_msg("%s\ninstead of %s", err.text, broken[i].error);
		if (strstr(err.text, "sesame"))
			fail_msg("a secret in: %s", err.text);
		assert_int_equal(a.n_servers, 0);
		assert_null(a.origin);
	}
}

static void test_missing_kubeconfig(void **state)
{
	weft_autofree char *path = path_of("none");
	const struct kube_access_options o = {.kubeconfig = path};
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_access a;

	(void)state;
	assert_int_equal(kube_access_load(&o, &a, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_true(kube_access_load(&o, &a, NULL) < 0);
}

/* Service accounts */

static void test_service_account(void **state)
{
	static const char *const servers[] = {"https://10.0.0.10:6443"};
	struct kube_access_options o = {.service_account = dir};
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_access a;

	(void)state;
	assert_true(kube_access_load(&o, &a, &err) < 0);
	assert_non_null(strstr(err.text, "servers is missing"));
	o.servers = servers;
	o.n_servers = 1;
	put("namespace", "weft-system");
	err = WEFT_ERR_INIT;
	if (kube_access_load(&o, &a, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(a.namespace, "weft-system");
	assert_string_equal(a.servers[0], servers[0]);
	reads_as(&a.token, "secret-token\n");
	reads_as(&a.ca, PEM);
	assert_null(a.cert.file);
	kube_access_free(&a);

	put("namespace", "Not a name");
	assert_true(kube_access_load(&o, &a, &err) < 0);
	put("namespace", "x\n");
	put("token", "a\nb");
	assert_true(kube_access_load(&o, &a, &err) < 0);
	assert_non_null(strstr(err.text, "/token: the token holds a character that none can have"));
	put("token", "secret-token\n");
	o.service_account = "/nowhere";
	assert_true(kube_access_load(&o, &a, &err) < 0);
	assert_non_null(strstr(err.text, "/nowhere/token"));
}

/* Servers */

static void test_servers(void **state)
{
	static const char *const good[] = {
	        "https://10.0.0.10:6443",
	        "https://10.0.0.10",
	        "https://a.example",
	        "https://A.Example:1",
	        "https://[2001:db8::1]:65535",
	        "https://[::1]",
	        "https://a/",
	        "https://a:1/k8s/c-1",
	        "http://127.0.0.1:8001",
	        "http://127.9.9.9",
	        "http://[::1]:8001",
	};
	static const char *const bad[] = {
	        "",
	        "https://",
	        "https:///",
	        "ftp://a",
	        "HTTPS://a",
	        "a:6443",
	        "https://a:",
	        "https://a:0",
	        "https://a:65536",
	        "https://a:123456",
	        "https://a:6443x",
	        "https://a:6 ",
	        "https://u:p@a",
	        "https://a?b",
	        "https://a/#b",
	        "https://a/b c",
	        "https://[::1",
	        "https://::1",
	        "https://[10.0.0.1]",
	        "https://[fe80::1%25eth0]",
	        "https://a b",
	        "https://a\nb",
	        "http://10.0.0.10:8080",
	        "http://localhost",
	        "http://[::2]",
	        "http://127.0.0.1.evil.example",
	        "https://-",
	        "https://\xc3\xa4",
	        "https://[::1]6443",
	};
	char *lengthy = malloc(2000);

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(good); i++)
		if (kube_server_check(good[i], NULL) < 0)
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		if (kube_server_check(bad[i], NULL) == 0)
			fail_msg("accepted: %s", bad[i]);
	memset(lengthy, 'a', 1999);
	memcpy(lengthy, "https://", 8);
	lengthy[1999] = '\0';
	assert_true(kube_server_check(lengthy, NULL) < 0);
	free(lengthy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_inline_credentials),
	        cmocka_unit_test(test_files),
	        cmocka_unit_test(test_json),
	        cmocka_unit_test(test_named_context),
	        cmocka_unit_test(test_several_files),
	        cmocka_unit_test(test_given_servers),
	        cmocka_unit_test(test_broken_kubeconfigs),
	        cmocka_unit_test(test_missing_kubeconfig),
	        cmocka_unit_test(test_service_account),
	        cmocka_unit_test(test_servers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
