// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration file: defaults, every key, every refusal. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define MIN "nodeName: n1\ndatastore: {kind: directory, path: /data}\n"

#define KUBE(rest) "nodeName: a\ndatastore: {kind: kubernetes, " rest "}\n"
#define NO_SERVERS                                                                                              \
	"w.yaml:2: datastore.servers: is missing: without a kubeconfig, name the API servers' real addresses, " \
	"such as [\"https://192.0.2.10:6443\"] (`kubectl get endpointslices kubernetes` lists them). The "      \
	"address that pods are told is a Service's, which weft itself programs"

static void collect(void *ctx, const char *text)
{
	weft_buf_str(ctx, text);
	weft_buf_char(ctx, '\n');
}

static int parse(const char *text, struct weft_config *config, struct weft_buf *reports, struct weft_err *err)
{
	return weft_config_parse("w.yaml", text, strlen(text), config, collect, reports, err);
}

static void the_least_file_gets_all_defaults(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf reports = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;

	(void)state;
	assert_int_equal(parse(MIN, &c, &reports, &err), 0);
	assert_string_equal(weft_buf_text(&reports), "");
	assert_string_equal(c.node_name, "n1");
	assert_string_equal(c.datastore.path, "/data");
	assert_string_equal(c.state_dir, "/var/lib/weft");
	assert_string_equal(c.run_dir, "/run/weft");
	assert_string_equal(c.proc_sys, "/proc/sys");
	assert_string_equal(c.bird.config_dir, "/etc/weft/bird");
	assert_string_equal(c.bird.socket, "/run/bird/bird.ctl");
	assert_string_equal(c.bird.templates, "/usr/share/weft/bird-templates");
	assert_string_equal(c.bird.binary, "/usr/sbin/bird");
	assert_int_equal(c.bird.restart_profile, WEFT_RESTART_FAST);
	assert_int_equal(c.bird.stale_routes_ms, 120000);
	assert_string_equal(c.cni.conf_dir, "/etc/cni/net.d");
	assert_string_equal(c.cni.bin_dir, "/opt/cni/bin");
	assert_int_equal(c.cni.mtu, 0);
	assert_int_equal(c.ipam.cooldown_ms, 60000);
	assert_int_equal(c.ipam.spare_addresses, 16);
	assert_int_equal(c.ipam.release_empty_after_ms, 600000);
	assert_int_equal(c.log_level, WEFT_LOG_INFO);
	assert_int_equal(c.roles, WEFT_ROLE_NODE | WEFT_ROLE_CONTROLLER);
}

/* In a pod the node's name is in the environment; a key in the file counts more. */
static void the_environment_names_the_node(void **state)
{
	static const char text[] = "datastore: {kind: directory, path: /data}\n";
	weft_auto(weft_buf_free) struct weft_buf reports = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;

	(void)state;
	setenv(WEFT_CONFIG_NODE_ENV, "node-7.example", 1);
	assert_int_equal(parse(text, &c, &reports, &err), 0);
	assert_string_equal(c.node_name, "node-7.example");
	assert_int_equal(parse(MIN, &c, &reports, &err), 0);
	assert_string_equal(c.node_name, "n1");
	setenv(WEFT_CONFIG_NODE_ENV, "Not A Name", 1);
	assert_int_equal(parse(text, &c, &reports, &err), -EINVAL);
	assert_non_null(strstr(err.text, WEFT_CONFIG_NODE_ENV));
	unsetenv(WEFT_CONFIG_NODE_ENV);
}

static void expect_cidrs(const struct weft_config_cidrs *cidrs, const char *want)
{
	weft_auto(weft_buf_free) struct weft_buf got = {0};
	char text[WEFT_PREFIX_STR];

	for (size_t i = 0; i < cidrs->n; i++)
		weft_buf_printf(&got, "%s ", weft_prefix_str(&cidrs->cidr[i], text));
	assert_string_equal(weft_buf_text(&got), want);
}

static void services_have_defaults(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf reports = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;

	(void)state;
	assert_int_equal(parse(MIN, &c, &reports, &err), 0);
	assert_true(c.services.enabled);
	expect_cidrs(&c.services.cidrs, "");
	assert_int_equal(c.services.node_ports, WEFT_NODE_PORTS_ALL);
	assert_int_equal(c.services.node_port_first, 30000);
	assert_int_equal(c.services.node_port_last, 32767);
	expect_cidrs(&c.services.external_ips, "0.0.0.0/0 ::/0 ");
	assert_false(c.services.masquerade_all);
	assert_true(c.services.default_class);
	assert_string_equal(c.services.scheduler, "rr");
	assert_false(c.services.statistics);
	assert_int_equal(c.services.audit_ms, 60000);
	assert_int_equal(c.services.health_addr.family, AF_UNSPEC);
	assert_int_equal(c.services.health_port, 10256);
}

/* S22: words, kube-proxy's lists, CIDRs; and what healthListen means. Each dump reads back as the same. */
static void forms_of_service_keys(void **state)
{
	static const struct {
		const char *text, *dumped;
	} cases[] = {
	        {"nodePortAddresses: all", "  nodePortAddresses: all\n"},
	        {"nodePortAddresses: []", "  nodePortAddresses: all\n"},
	        {"nodePortAddresses:", "  nodePortAddresses: all\n"},
	        {"nodePortAddresses: primary", "  nodePortAddresses: primary\n"},
	        {"nodePortAddresses: [primary]", "  nodePortAddresses: primary\n"},
	        {"nodePortAddresses: [10.0.0.0/8]", "  nodePortAddresses:\n    - \"10.0.0.0/8\"\n"},
	        {"nodePortAddresses: [10.0.0.0/8, \"fd00::/8\"]",
	         "  nodePortAddresses:\n    - \"10.0.0.0/8\"\n    - \"fd00::/8\"\n"},
	        {"healthListen: \"\"", "  healthListen: \"\"\n"},
	        {"healthListen: :1", "  healthListen: \":1\"\n"},
	        {"healthListen: \"0.0.0.0:10256\"", "  healthListen: \":10256\"\n"},
	        {"healthListen: \"[::]:10256\"", "  healthListen: \":10256\"\n"},
	        {"healthListen: \"127.0.0.1:10256\"", "  healthListen: \"127.0.0.1:10256\"\n"},
	        {"healthListen: \"[fd00::1]:65535\"", "  healthListen: \"[fd00::1]:65535\"\n"},
	        {"externalIPs: []", "  externalIPs: []\n"},
	        {"audit: 0s", "  audit: 0s\n"},
	        {"nodePortRange: 80-80", "  nodePortRange: \"80-80\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf text = {0}, reports = {0}, dump = {0}, again = {0};
		struct weft_err err = WEFT_ERR_INIT;
		struct weft_config c;

		weft_buf_printf(&text, MIN "services:\n  %s\n", cases[i].text);
		assert_int_equal(parse(weft_buf_text(&text), &c, &reports, &err), 0);
		weft_config_dump(&c, &dump);
		assert_non_null(strstr(weft_buf_text(&dump), cases[i].dumped));
		assert_int_equal(parse(weft_buf_text(&dump), &c, &reports, &err), 0);
		weft_config_dump(&c, &again);
		assert_string_equal(weft_buf_text(&again), weft_buf_text(&dump));
	}
}

static void every_key_is_read_and_dumped(void **state)
{
	static const char text[] =
	        "nodeName: \"node-1.rack\"\ndatastore:\n  kind: directory\n  path: \"/a\"\n  rescan: 20s\n"
	        "  sealKey: \"/s\"\n"
	        "stateDir: \"/b\"\nrunDir: \"/c\"\nprocSys: \"/p\"\nbird:\n  configDir: \"/d\"\n"
	        "  socket: \"/e\"\n  templates: \"/f\"\n  binary: \"/g\"\n"
	        "  restartProfile: graceful\n  staleRoutes: 90s\ncni:\n  confDir: \"/h\"\n"
	        "  binDir: \"/i\"\n  mtu: 1400\nipam:\n  mode: node\n  cooldown: 500ms\n"
	        "  spareAddresses: 3\n  releaseEmptyAfter: 2h\n"
	        "  clusterCIDRs:\n    - \"10.244.0.0/16\"\n    - \"fd00:10:244::/48\"\n  ipip: CrossSubnet\n"
	        "services:\n  enabled: false\n  cidrs:\n    - \"10.96.0.0/12\"\n    - \"fd00:96::/112\"\n"
	        "  nodePortAddresses:\n    - \"192.0.2.0/24\"\n  nodePortRange: \"20000-20099\"\n"
	        "  externalIPs:\n    - \"198.51.100.0/24\"\n  masqueradeAll: true\n"
	        "  defaultLoadBalancerClass: false\n  scheduler: wlc\n  statistics: true\n  audit: 5m\n"
	        "  healthListen: \"[fd00::1]:1025\"\n"
	        "metrics:\n  listen: \"[fd00::2]:1026\"\n"
	        "log:\n  level: debug\nroles:\n  - controller\ndrainOnStop: true\n";
	weft_auto(weft_buf_free) struct weft_buf reports = {0}, dump = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;

	(void)state;
	assert_int_equal(parse(text, &c, &reports, &err), 0);
	weft_config_dump(&c, &dump);
	assert_string_equal(weft_buf_text(&dump), text);
}

static void the_kubernetes_datastore_is_read_and_dumped(void **state)
{
	static const struct {
		const char *text, *dumped;
	} cases[] = {
	        {"servers: [\"https://192.0.2.1:6443\", \"https://[fd00::1]:6443\"]",
	         "  servers:\n    - \"https://192.0.2.1:6443\"\n    - \"https://[fd00::1]:6443\"\n"
	         "  namespace: \"kube-system\"\n  secrets:\n    - \"weft-bgp\"\n"},
	        {"kubeconfig: /k, context: \"me@here:1\", namespace: weft, secrets: [a, b.c]",
	         "  kubeconfig: \"/k\"\n  context: \"me@here:1\"\n  servers: []\n  namespace: \"weft\"\n"
	         "  secrets:\n    - \"a\"\n    - \"b.c\"\n"},
	        {"kubeconfig: /k, secrets: []",
	         "  kubeconfig: \"/k\"\n  servers: []\n  namespace: \"kube-system\"\n  secrets: []\n  nodes: all\n"},
	        {"kubeconfig: /k, nodes: own", "  nodes: own\n"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf text = {0}, reports = {0}, dump = {0}, again = {0};
		struct weft_err err = WEFT_ERR_INIT;
		struct weft_config c;

		weft_buf_printf(&text, KUBE("%s"), cases[i].text);
		assert_int_equal(parse(weft_buf_text(&text), &c, &reports, &err), 0);
		assert_int_equal(c.datastore.kind, WEFT_DATASTORE_KUBERNETES);
		weft_config_dump(&c, &dump);
		assert_non_null(strstr(weft_buf_text(&dump), cases[i].dumped));
		assert_int_equal(parse(weft_buf_text(&dump), &c, &reports, &err), 0);
		weft_config_dump(&c, &again);
		assert_string_equal(weft_buf_text(&again), weft_buf_text(&dump));
	}
}

static void the_node_name_defaults_to_the_host_name(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf reports = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;
	char host[256];

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	for (char *p = host; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	assert_int_equal(parse("nodeName:\ndatastore: {kind: directory, path: /data/}\n", &c, &reports, &err),
	                 0);
	assert_string_equal(c.node_name, host);
	assert_string_equal(c.datastore.path, "/data");
}

static void bad_files_are_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	        {"", "w.yaml:1: the configuration is empty; it needs at least datastore"},
	        {"nodeName: a\n", "w.yaml:1: datastore: is missing"},
	        {"- a\n", "w.yaml:1: must be a mapping, not a list"},
	        {MIN "---\na: b\n", "w.yaml:4: a configuration is one document, here is a second"},
	        {"a: [\n",
	         "w.yaml:2: not YAML: while parsing a flow node, did not find expected node content"},
	        {MIN "nodeName: b\n", "w.yaml:3: the key \"nodeName\" appears twice"},
	        {MIN "statedir: /x\n", "w.yaml:3: unknown field statedir; did you mean stateDir?"},
	        {MIN "zebra: 1\n", "w.yaml:3: unknown field zebra"},
	        {MIN "stateDir: x\n", "w.yaml:3: stateDir: \"x\" is not an absolute path"},
	        {MIN "stateDir: \"/x\\\";\"\n",
	         "w.yaml:3: stateDir: \"/x\";\" may hold letters, digits and / . _ + @ : , = ~ - only"},
	        {MIN "stateDir: \"/x\\ny\"\n",
	         "w.yaml:3: stateDir: holds a control character or bytes that are not UTF-8"},
	        {MIN "runDir: 5\n", "w.yaml:3: runDir: must be a string, not a number"},
	        {MIN "cni:\n  mtu: 1279\n", "w.yaml:4: cni.mtu: 1279 is not 0 (automatic) or 1280 to 65535"},
	        {MIN "cni: {mtu: \"1500\"}\n", "w.yaml:3: cni.mtu: must be a number, not a string"},
	        {MIN "bird: {staleRoutes: 60}\n",
	         "w.yaml:3: bird.staleRoutes: a duration needs a unit: 60s, not 60"},
	        {MIN "bird: {staleRoutes: 1d}\n",
	         "w.yaml:3: bird.staleRoutes: \"1d\" is not a duration such as 500ms, 60s, 5m or 2h"},
	        {MIN "bird: {staleRoutes: 25h}\n", "w.yaml:3: bird.staleRoutes: 25h is not from 1s to 24h"},
	        {MIN "bird: {staleRoutes: 999999999999h}\n",
	         "w.yaml:3: bird.staleRoutes: 999999999999h is not from 1s to 24h"},
	        {MIN "bird: {restartProfile: Fast}\n",
	         "w.yaml:3: bird.restartProfile: \"Fast\" is not known; did you mean fast?"},
	        {MIN "ipam: {mode: nodes}\n",
	         "w.yaml:3: ipam.mode: \"nodes\" is not known; did you mean node?"},
	        {MIN "ipam: {mode: node}\n",
	         "w.yaml:3: ipam: mode node needs clusterCIDRs: what the controller manager has as --cluster-cidr"},
	        {MIN "ipam: {clusterCIDRs: [10.244.0.0/16]}\n",
	         "w.yaml:3: ipam: clusterCIDRs and ipip are for mode node; IPPools have theirs"},
	        {MIN "ipam: {ipip: Always}\n",
	         "w.yaml:3: ipam: clusterCIDRs and ipip are for mode node; IPPools have theirs"},
	        {MIN "ipam: {mode: node, clusterCIDRs: [10.244.0.1/16]}\n",
	         "w.yaml:3: ipam.clusterCIDRs[0]: \"10.244.0.1/16\" has host bits set; did you mean 10.244.0.0/16?"},
	        {MIN "ipam: {mode: node, clusterCIDRs: [10.244.0.0/16, 10.244.9.0/24]}\n",
	         "w.yaml:3: ipam: clusterCIDRs: 10.244.9.0/24 overlaps 10.244.0.0/16"},
	        {MIN "ipam: {mode: node, clusterCIDRs: [10.244.0.0/29]}\n",
	         "w.yaml:3: ipam: clusterCIDRs: 10.244.0.0/29 is smaller than /28"},
	        {MIN "ipam: {mode: node, clusterCIDRs: [\"fd00::/125\"]}\n",
	         "w.yaml:3: ipam: clusterCIDRs: fd00::/125 is smaller than /124"},
	        {MIN "ipam: {mode: node, clusterCIDRs: [127.0.0.0/16]}\n",
	         "w.yaml:3: ipam: 127.0.0.0/16 overlaps 127.0.0.0/8, whose addresses hosts can't have"},
	        {MIN "ipam: {spareAddresses: -1}\n",
	         "w.yaml:3: ipam.spareAddresses: -1 is not a whole number from 0 to 4096"},
	        {MIN "log: {level: verbose}\n",
	         "w.yaml:3: log.level: \"verbose\" is not one of error, warning, info, debug"},
	        {MIN "roles: []\n", "w.yaml:3: roles: needs at least one role"},
	        {MIN "roles: [nodes]\n", "w.yaml:3: roles[0]: \"nodes\" is not known; did you mean node?"},
	        {MIN "services: {enabled: yes}\n",
	         "w.yaml:3: services.enabled: must be true or false, not a string"},
	        {MIN "services: {cidrs: [10.96.0.0/12, 10.96.0.1/12]}\n",
	         "w.yaml:3: services.cidrs[1]: \"10.96.0.1/12\" has host bits set; did you mean 10.96.0.0/12?"},
	        {MIN "services: {cidrs: [0.0.0.0/0]}\n",
	         "w.yaml:3: services.cidrs: a service CIDR is /8 or longer"},
	        {MIN "services: {cidrs: 10.96.0.0/12}\n",
	         "w.yaml:3: services.cidrs: must be a list, not a string"},
	        {MIN "services: {externalIPs: [1]}\n",
	         "w.yaml:3: services.externalIPs[0]: must be a string, not a number"},
	        {MIN "services: {nodePortAddresses: Primary}\n",
	         "w.yaml:3: services.nodePortAddresses: \"Primary\" is not known; did you mean primary?"},
	        {MIN "services: {nodePortAddresses: [primary, 10.0.0.0/8]}\n",
	         "w.yaml:3: services.nodePortAddresses[0]: \"primary\" is not a CIDR (ADDRESS/LENGTH)"},
	        {MIN "services: {nodePortRange: 30000}\n",
	         "w.yaml:3: services.nodePortRange: must be a string, not a number"},
	        {MIN "services: {nodePortRange: 2-1}\n",
	         "w.yaml:3: services.nodePortRange: \"2-1\" is not a range of ports such as 30000-32767"},
	        {MIN "services: {nodePortRange: 1-65536}\n",
	         "w.yaml:3: services.nodePortRange: \"1-65536\" is not a range of ports such as 30000-32767"},
	        {MIN "services: {scheduler: twos}\n",
	         "w.yaml:3: services.scheduler: \"twos\" is not one of rr, wrr, lc, wlc, sed, nq, sh, dh, mh, lblc, "
	         "lblcr, ovf, fo"},
	        {MIN "services: {audit: 2h}\n", "w.yaml:3: services.audit: 2h is not from 0s to 1h"},
	        {MIN "services: {healthListen: \"fd00::1:10256\"}\n",
	         "w.yaml:3: services.healthListen: \"fd00::1:10256\" is not an address to listen on such as :10256 or "
	         "10.0.0.1:10256 or [fd00::1]:10256"},
	        {MIN "services: {healthListen: \":0\"}\n",
	         "w.yaml:3: services.healthListen: \":0\" is not an address to listen on such as :10256 or "
	         "10.0.0.1:10256 or [fd00::1]:10256"},
	        {MIN "services: {healthListen: \"10256\"}\n",
	         "w.yaml:3: services.healthListen: \"10256\" is not an address to listen on such as :10256 or "
	         "10.0.0.1:10256 or [fd00::1]:10256"},
	        {MIN "log:\n", ""},
	        {"nodeName: A\ndatastore: {kind: directory, path: /d}\n",
	         "w.yaml:1: nodeName: \"A\" is not a name (lower case letters, digits, '-' and '.')"},
	        {"nodeName: a\ndatastore: {kind: etcd, path: /d}\n",
	         "w.yaml:2: datastore.kind: \"etcd\" is not one of directory, kubernetes"},
	        {KUBE("path: /d"),
	         "w.yaml:2: datastore.path: belongs to datastore.kind directory, not to kubernetes"},
	        {"nodeName: a\ndatastore: {kind: directory, path: /d, servers: []}\n",
	         "w.yaml:2: datastore.servers: belongs to datastore.kind kubernetes, not to directory"},
	        {KUBE("servers: []"), NO_SERVERS},
	        {KUBE("namespace: weft"), NO_SERVERS},
	        {KUBE("context: x"),
	         "w.yaml:2: datastore.kubeconfig: is missing: context names an entry of it"},
	        {KUBE("kubeconfig: k"), "w.yaml:2: datastore.kubeconfig: \"k\" is not an absolute path"},
	        {KUBE("kubeconfig: /k, context: \"a b\""),
	         "w.yaml:2: datastore.context: \"a b\" may hold letters, digits and / . _ + @ : , = ~ - only"},
	        {KUBE("kubeconfig: /k, context: \"\""),
	         "w.yaml:2: datastore.context: \"\" may hold letters, digits and / . _ + @ : , = ~ - only"},
	        {KUBE("servers: https://a"), "w.yaml:2: datastore.servers: must be a list, not a string"},
	        {KUBE("servers: [\"https://a\", \"10.0.0.1:6443\"]"),
	         "w.yaml:2: datastore.servers[1]: \"10.0.0.1:6443\" is not an address such as "
	         "https://192.0.2.10:6443"},
	        {KUBE("servers: [\"https://a b\"]"),
	         "w.yaml:2: datastore.servers[0]: \"https://a b\" is not an "
	         "address such as https://192.0.2.10:6443"},
	        {KUBE("servers: [a, a, a, a, a, a, a, a, a]"),
	         "w.yaml:2: datastore.servers: has more than 8 entries"},
	        {KUBE("kubeconfig: /k, namespace: A"),
	         "w.yaml:2: datastore.namespace: \"A\" is not a name (lower "
	         "case letters, digits, '-' and '.')"},
	        {KUBE("kubeconfig: /k, nodes: mine"),
	         "w.yaml:2: datastore.nodes: \"mine\" is not one of all, own"},
	        {KUBE("kubeconfig: /k, secrets: [a, 7]"),
	         "w.yaml:2: datastore.secrets[1]: must be a string, not a number"},
	        {KUBE("kubeconfig: /k, secrets: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]"),
	         "w.yaml:2: datastore.secrets: has more than 16 entries"},
	        {KUBE("kubeconfig: /k, token: x"), "w.yaml:2: unknown field datastore.token"},
	        {"nodeName: a\ndatastore: {kind: directory}\n", "w.yaml:2: datastore.path: is missing"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf reports = {0};
		struct weft_config c = {.node_name = "untouched"};
		struct weft_err err = WEFT_ERR_INIT;
		int r = parse(cases[i].text, &c, &reports, &err);

		assert_string_equal(err.text, cases[i].want);
		assert_true((r < 0) == (*cases[i].want != '\0'));
		if (r < 0)
			assert_string_equal(c.node_name, "untouched");
	}
}

static void all_errors_are_reported(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf reports = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;

	(void)state;
	assert_int_equal(
	        parse("nodeName: n\ndatastor: {}\nbird:\n  socket: x\n  sokcet: /y\n  staleRoutes: soon\n",
	              &c, &reports, &err),
	        -EINVAL);
	assert_string_equal(
	        weft_buf_text(&reports),
	        "w.yaml:2: unknown field datastor; did you mean datastore?\n"
	        "w.yaml:4: bird.socket: \"x\" is not an absolute path\n"
	        "w.yaml:5: unknown field bird.sokcet; did you mean socket?\n"
	        "w.yaml:6: bird.staleRoutes: \"soon\" is not a duration such as 500ms, 60s, 5m or 2h\n"
	        "w.yaml:1: datastore: is missing\n");
	assert_string_equal(err.text,
	                    "w.yaml:2: unknown field datastor; did you mean datastore? (and 4 more)");
}

static void sockets_fit_their_address(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf reports = {0}, text = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;

	(void)state;
	weft_buf_printf(&text, MIN "runDir: /%0100d\nbird: {socket: /%0107d}\n", 0, 0);
	assert_int_equal(parse(weft_buf_text(&text), &c, &reports, &err), -EINVAL);
	assert_non_null(strstr(weft_buf_text(&reports), "w.yaml:3: runDir: is longer than"));
	assert_non_null(strstr(weft_buf_text(&reports), "w.yaml:4: bird.socket: is longer than 107 bytes"));
}

static void files_are_loaded_by_name(void **state)
{
	char path[] = "/tmp/weft-config-XXXXXX";
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config c;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, MIN, strlen(MIN)), strlen(MIN));
	close(fd);
	assert_int_equal(weft_config_load(path, &c, NULL, NULL, &err), 0);
	unlink(path);
	assert_int_equal(weft_config_load(path, &c, NULL, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_least_file_gets_all_defaults),
	        cmocka_unit_test(the_environment_names_the_node),
	        cmocka_unit_test(services_have_defaults),
	        cmocka_unit_test(forms_of_service_keys),
	        cmocka_unit_test(every_key_is_read_and_dumped),
	        cmocka_unit_test(the_kubernetes_datastore_is_read_and_dumped),
	        cmocka_unit_test(the_node_name_defaults_to_the_host_name),
	        cmocka_unit_test(bad_files_are_refused),
	        cmocka_unit_test(all_errors_are_reported),
	        cmocka_unit_test(sockets_fit_their_address),
	        cmocka_unit_test(files_are_loaded_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
