// SPDX-License-Identifier: GPL-2.0-or-later
/* weftctl end to end: the program itself, over a real socket, against daemons good, bad and absent. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/ctl_program.h"
#include "tests/unit/serve_fixture.h"

static const struct canned replies[] = {
        {"status",
         "{\"node\":\"node1\",\"version\":\"0.1.0\",\"uptimeSeconds\":93784,\"addresses\":[\"10.1.1.11\",\"fd00:1::11\"],"
         "\"datastore\":{\"kind\":\"directory\",\"path\":\"/etc/weft/objects\",\"synced\":true,"
         "\"objects\":{\"Node\":4,\"IPPool\":1}},"
         "\"routes\":{\"wanted\":12,\"installed\":9,\"pending\":1,\"notReady\":0,\"conflicts\":2},"
         "\"blocks\":{\"own\":1,\"total\":4},\"ipam\":{\"used\":3,\"free\":61},"
         "\"bird\":{\"state\":\"up\",\"version\":\"2.0.12\",\"routerId\":\"10.1.1.11\",\"sessionsUp\":2,"
         "\"sessionsTotal\":2,\"lastError\":null,\"configState\":\"ok\"},"
         "\"tunnels\":[{\"dev\":\"weft.ipip\",\"address\":\"10.244.1.1\",\"mtu\":1480,\"state\":\"up\"},"
         "{\"dev\":\"weft.sit\",\"address\":null,\"mtu\":1480,\"state\":\"pending\"}],"
         "\"problems\":[{\"object\":\"IPPool blue\",\"where\":\"pools.yaml:12\",\"text\":\"host bits are set\"},"
         "{\"object\":\"BGPPeer tor1\",\"text\":\"no \\u001b[31mSecret\\u001b[0m\"}]}"},
        {"nodes",
         "[{\"name\":\"node10\",\"self\":false,\"ip4\":\"10.1.2.10\",\"asNumber\":64512,\"blocks\":1,"
         "\"path\":\"fabric via 10.1.1.1\",\"state\":\"ok\"},"
         "{\"name\":\"node2\",\"self\":true,\"ip4\":\"10.1.1.11\",\"asNumber\":4200000001,\"blocks\":2,"
         "\"path\":\"local\",\"state\":\"ok\"}]"},
        {"blocks",
         "[{\"cidr\":\"10.244.1.64/26\",\"node\":\"node2\",\"pool\":\"p\",\"self\":false,\"via\":\"tunnel\"},"
         "{\"cidr\":\"10.244.1.0/26\",\"node\":\"node1\",\"pool\":\"p\",\"self\":true,\"used\":3,\"free\":60,"
         "\"cooling\":1,\"via\":\"local\"}]"},
        {"routes",
         "[{\"dst\":\"10.244.1.0/26\",\"table\":179,\"metric\":100,\"type\":\"blackhole\",\"state\":\"installed\"},"
         "{\"dst\":\"10.244.2.0/26\",\"table\":\"main\",\"metric\":16,\"type\":\"unicast\",\"via\":\"10.1.1.12\","
         "\"dev\":\"eth0\",\"state\":\"conflict\",\"owner\":\"proto static\",\"reason\":\"in the way\"}]"},
        {"peers", "!BIRD \033[2Jis gone"},
        {"ipam", "[]"},
        {"services",
         "[{\"service\":\"shop/web10\",\"type\":\"LoadBalancer\",\"vips\":[\"10.96.0.10\",\"198.51.100.7\"],"
         "\"ports\":[\"80/TCP\",\"443/TCP\"],\"endpoints\":{\"used\":3,\"known\":5},"
         "\"advertised\":[\"198.51.100.7\"],\"state\":\"ok\"},"
         "{\"service\":\"shop/web9\",\"type\":\"ClusterIP\",\"vips\":[\"10.96.0.9\"],\"ports\":[\"53/UDP\"],"
         "\"endpoints\":{\"used\":0,\"known\":1},\"advertised\":[],\"state\":\"no-endpoints\"},"
         "{\"service\":\"shop/ext\",\"type\":\"ExternalName\",\"state\":\"not-served\","
         "\"reason\":\"ExternalName\"}]\n"
         "{\"service\":\"shop/web10\",\"type\":\"LoadBalancer\",\"state\":\"problem\",\"reason\":\"no luck\",\"policies\":{\"internal\":\"Cluster\","
         "\"external\":\"Local\"},\"vips\":[{\"address\":\"10.96.0.10\",\"kind\":\"ClusterIP\","
         "\"route\":\"covered\",\"advertised\":false,\"why\":\"no BGPAdvertisement for ClusterIPs\"},"
         "{\"address\":\"198.51.100.7\",\"kind\":\"LoadBalancer\",\"route\":\"installed\",\"advertised\":true}],"
         "\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"nodePort\":30080,\"scheduler\":\"rr\","
         "\"virtuals\":[{\"key\":\"10.96.0.10:80/TCP\",\"state\":\"installed\",\"endpoints\":["
         "{\"address\":\"10.244.1.5\",\"port\":8080,\"node\":\"node1\",\"conditions\":[\"ready\",\"serving\"],"
         "\"wanted\":1,\"kernel\":1,\"active\":2,\"inactive\":7},"
         "{\"address\":\"10.244.2.6\",\"port\":8080,\"node\":null,\"conditions\":[\"terminating\"],"
         "\"wanted\":0,\"kernel\":null,\"active\":0,\"inactive\":0}]},"
         "{\"key\":\"10.1.1.11:30080/TCP\",\"state\":\"taken\",\"takenBy\":\"a/b\",\"endpoints\":[]}]},"
         "{\"name\":\"\",\"protocol\":\"UDP\",\"port\":53,\"nodePort\":null,\"scheduler\":\"rr\"}],"
         "\"problems\":[\"spec.externalIPs: 10.1.1.12 is \\u001b[31ma node\"]}"},
        {"drain", "{\"stage\":\"last resort\",\"since\":\"2026-03-02T09:14:07Z\",\"withdrawnIn\":8,"
                  "\"reasons\":[\"weftctl drain\"],\"peers\":[]}"},
        {"draining",
         "{\"stage\":\"withdrawn\",\"since\":\"2026-03-02T09:14:07Z\",\"reasons\":[\"weftctl drain\",\"cordoned\"],"
         "\"peers\":[{\"name\":\"tor1\",\"stage\":\"withdrawn\",\"since\":\"2026-03-02T09:00:00Z\"}]}"},
        {"undrain", "{\"stage\":\"ending\",\"since\":\"2026-03-02T09:14:07Z\",\"reasons\":[],\"peers\":[]}"},
        {"trace",
         "{\"src\":\"10.244.1.5\",\"dst\":\"10.96.0.10\",\"protocol\":\"UDP\",\"port\":53,\"hops\":["
         "{\"step\":\"route\",\"text\":\"local: taken by this node\",\"detail\":{\"type\":\"local\"}},"
         "{\"step\":\"ipvs\",\"text\":\"no service\"}],\"verdict\":\"refused\",\"why\":\"port unreachable\"}"},
};

/* Followed until it is over, unless told not to wait. */
static void a_drain_is_followed(void **state)
{
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("-s", f->path, "drain", "--wait", "8");
	assert_outcome(&o, 0,
	               "drain       node withdrawn since 2026-03-02T09:14:07Z (weftctl drain, cordoned)\n"
	               "            peer tor1 withdrawn since 2026-03-02T09:00:00Z\n",
	               "");
	o = RUN("-s", f->path, "drain", "--no-wait");
	assert_outcome(
	        &o, 0,
	        "drain       node last resort since 2026-03-02T09:14:07Z, withdrawn in 8s (weftctl drain)\n",
	        "");
	o = RUN("-s", f->path, "undrain"); /* what `draining` says then is what is left */
	assert_outcome(&o, 0,
	               "drain       node withdrawn since 2026-03-02T09:14:07Z (weftctl drain, cordoned)\n"
	               "            peer tor1 withdrawn since 2026-03-02T09:00:00Z\n",
	               "");
	o = RUN("-s", f->path, "undrain", "--peer", "tor1"); /* of which no other node needs to know */
	assert_outcome(&o, 0, "drain       node ending since 2026-03-02T09:14:07Z\n", "");
	o = RUN("-s", f->path, "drain", "--wait", "-1");
	assert_outcome(&o, 2, "", NULL);
	assert_non_null(strstr(o.err, "--wait \"-1\" is not a number of seconds up to 3600"));
	fix_stop(f);
}

static void tables_are_golden(void **state)
{
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("--socket", f->path, "nodes");
	assert_outcome(&o, 0,
	               "   NODE    STATE  IPV4               AS  BLOCKS  PATH\n"
	               "*  node2   ok     10.1.1.11  4200000001       2  local\n"
	               "   node10  ok     10.1.2.10       64512       1  fabric via 10.1.1.1\n",
	               "");
	o = RUN("blocks", "-s", f->path);
	assert_outcome(&o, 0,
	               "   BLOCK           NODE   POOL  USED  FREE  COOLING  VIA\n"
	               "*  10.244.1.0/26   node1  p        3    60        1  local\n"
	               "   10.244.1.64/26  node2  p        -     -        -  tunnel\n",
	               "");
	o = RUN("--socket", f->path, "routes");
	assert_outcome(
	        &o, 0,
	        "STATE      TABLE  DESTINATION    METRIC  TYPE       VIA        DEV   OWNER         REASON\n"
	        "conflict   main   10.244.2.0/26      16  unicast    10.1.1.12  eth0  proto static  in the way\n"
	        "installed  179    10.244.1.0/26     100  blackhole  -          -     -             -\n",
	        "");
	o = RUN("--socket", f->path, "routes", "10.244.1.5");
	assert_outcome(&o, 0,
	               "STATE      TABLE  DESTINATION    METRIC  TYPE\n"
	               "installed  179    10.244.1.0/26     100  blackhole\n",
	               "");
	o = RUN("--socket", f->path, "nodes", "nobody");
	assert_says(&o, 1, "none of the nodes matches \"nobody\"");
	o = RUN("--socket", f->path, "ipam");
	assert_outcome(&o, 0, "", "no addresses: no pod of this node has one from weft\n");
	fix_stop(f);
}

static void status_is_a_page_and_a_verdict(void **state)
{
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("--socket", f->path, "status");
	assert_outcome(
	        &o, 1,
	        "node        node1 (10.1.1.11, fd00:1::11)\n"
	        "weftd       version 0.1.0, up 1d 2h\n"
	        "datastore   directory /etc/weft/objects, synced: 4 Node, 1 IPPool\n"
	        "blocks      1 own of 4\n"
	        "addresses   3 used, 61 free\n"
	        "routes      12 wanted, 9 installed, 1 pending, 2 in conflict\n"
	        "bird        up, 2 of 2 sessions up, version 2.0.12, router id 10.1.1.11, configuration ok\n"
	        "tunnels     weft.ipip up, address 10.244.1.1, mtu 1480\n"
	        "            weft.sit pending, address -, mtu 1480\n"
	        "problems    2\n"
	        "  IPPool blue (pools.yaml:12): host bits are set\n"
	        "  BGPPeer tor1: no ?[31mSecret?[0m\n",
	        "");
	o = RUN("--socket", f->path, "status", "-o", "json");
	assert_int_equal(o.code, 1);
	fix_stop(f);
}

static void status_of_a_kubernetes_datastore(void **state)
{
	static const struct canned kubernetes[] = {
	        {"status",
	         "{\"node\":\"node1\",\"version\":\"0.1.0\",\"uptimeSeconds\":60,\"addresses\":[],"
	         "\"datastore\":{\"kind\":\"kubernetes\",\"server\":\"https://192.0.2.1:6443\",\"synced\":true,"
	         "\"stale\":true,\"ageSeconds\":312,\"requests\":214,\"failures\":3,\"collections\":["
	         "{\"name\":\"nodes\",\"following\":true},{\"name\":\"servicecidrs\",\"missing\":true},"
	         "{\"name\":\"services\",\"following\":false}],"
	         "\"leases\":[{\"role\":\"controller\",\"holder\":\"node2_1\"}],"
	         "\"objects\":{\"Node\":4}},\"problems\":[]}"},
	};
	struct fixture *f = fix_start(NULL, kubernetes, WEFT_ARRAY_LEN(kubernetes));
	struct outcome o = RUN("--socket", f->path, "status");
	const char *at = strstr(o.out, "datastore ");

	(void)state;
	assert_non_null(at);
	assert_ptr_equal(
	        strstr(at,
	               "datastore   kubernetes https://192.0.2.1:6443, synced, behind since 5m 12s: 4 Node\n"
	               "api         1 of 3 collections followed, 1 not there, 214 requests, 3 without an "
	               "answer, controller is node2_1\n"),
	        at);
	fix_stop(f);
}

static void services_are_a_list_or_one(void **state)
{
	struct fixture *f;
	struct outcome o;
	cJSON *value;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("--socket", f->path, "services");
	assert_outcome(
	        &o, 0,
	        "SERVICE     TYPE          VIPS                      PORTS            ENDPOINTS  ADVERTISED    STATE         REASON\n"
	        "shop/ext    ExternalName  -                         -                        -  -             not-served    ExternalName\n"
	        "shop/web9   ClusterIP     10.96.0.9                 53/UDP                 0/1  -             no-endpoints  -\n"
	        "shop/web10  LoadBalancer  10.96.0.10, 198.51.100.7  80/TCP, 443/TCP        3/5  198.51.100.7  ok            -\n",
	        "");
	o = RUN("--socket", f->path, "services", "*/web9");
	assert_outcome(&o, 0,
	               "SERVICE    TYPE       VIPS       PORTS   ENDPOINTS  STATE\n"
	               "shop/web9  ClusterIP  10.96.0.9  53/UDP        0/1  no-endpoints\n",
	               "");
	o = RUN("--socket", f->path, "services", "other/*");
	assert_says(&o, 1, "none of the services matches \"other/*\"");
	o = RUN("--socket", f->path, "services", "shop/web10");
	assert_outcome(
	        &o, 0,
	        "service     shop/web10, LoadBalancer\n"
	        "state       problem: no luck\n"
	        "policies    internal traffic Cluster, external traffic Local\n"
	        "vips        2\n"
	        "  ADDRESS       KIND          ROUTE      ADVERTISED  WHY NOT\n"
	        "  10.96.0.10    ClusterIP     covered    no          no BGPAdvertisement for ClusterIPs\n"
	        "  198.51.100.7  LoadBalancer  installed  yes         -\n"
	        "port        http 80/TCP, node port 30080, scheduler rr\n"
	        "  10.96.0.10:80/TCP installed\n"
	        "    ENDPOINT    PORT  NODE   CONDITIONS      WANTED  KERNEL  ACTIVE  INACTIVE\n"
	        "    10.244.1.5  8080  node1  ready, serving       1       1       2         7\n"
	        "    10.244.2.6  8080  -      terminating          0       -       0         0\n"
	        "  10.1.1.11:30080/TCP taken by a/b\n"
	        "port        53/UDP, scheduler rr\n"
	        "problems    1\n"
	        "  spec.externalIPs: 10.1.1.12 is ?[31ma node\n",
	        "");
	o = RUN("--socket", f->path, "services", "shop/web10", "-o", "json");
	value = cJSON_Parse(o.out);
	assert_string_equal(cJSON_GetObjectItem(value, "service")->valuestring, "shop/web10");
	cJSON_Delete(value);
	o = RUN("--socket", f->path, "services", "-o", "yaml", "shop/ext*");
	assert_outcome(&o, 0,
	               "- service: shop/ext\n  type: ExternalName\n  state: not-served\n"
	               "  reason: ExternalName\n",
	               "");
	fix_stop(f);
}

static void trace_is_a_page_and_a_verdict(void **state)
{
	static const struct canned fine[] = {
	        {"trace", "{\"src\":\"node\",\"dst\":\"10.244.2.5\",\"hops\":[],\"verdict\":\"delivered\","
	                  "\"why\":\"by the fabric\"}"},
	        {"services", "[]\n{}"}};
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("--socket", f->path, "trace", "10.244.1.5", "10.96.0.10:53/udp");
	assert_outcome(&o, 1,
	               "trace       10.244.1.5 to 10.96.0.10 port 53/UDP\n"
	               "  1  route     local: taken by this node\n"
	               "  2  ipvs      no service\n"
	               "verdict     refused: port unreachable\n",
	               "");
	fix_stop(f);
	f = fix_start(NULL, fine, WEFT_ARRAY_LEN(fine));
	o = RUN("--socket", f->path, "trace", "node", "10.244.2.5");
	assert_outcome(&o, 0,
	               "trace       node to 10.244.2.5\n"
	               "verdict     delivered: by the fabric\n",
	               "");
	o = RUN("--socket", f->path, "services");
	assert_outcome(&o, 0, "", NULL);
	assert_non_null(strstr(o.err, "no services"));
	o = RUN("--socket", f->path, "services", "a/b"); /* nothing of what is expected */
	assert_outcome(&o, 0,
	               "service     -, -\nstate       -\n"
	               "policies    internal traffic -, external traffic -\n"
	               "vips        0\n"
	               "problems    none\n",
	               "");
	fix_stop(f);
}

static void wrong_arguments_are_refused(void **state)
{
	static const struct {
		const char *args[4], *says;
	} cases[] = {
	        {{"services", "web"}, "\"web\" is not NAMESPACE/NAME"},
	        {{"services", "/web"}, "is not NAMESPACE/NAME"},
	        {{"services", "shop/"}, "is not NAMESPACE/NAME"},
	        {{"services", "a/b/c"}, "is not NAMESPACE/NAME"},
	        {{"services", "a/b", "c"}, "one argument too many"},
	        {{"trace"}, "`trace` needs SRC DST[:PORT[/PROTO]]"},
	        {{"trace", "node"}, "`trace` needs"},
	        {{"trace", "pod", "10.0.0.1"}, "the source is an address, or `node`"},
	        {{"trace", "10.0.0.01", "10.0.0.1"}, "the source is an address"},
	        {{"trace", "fd00::1", "10.0.0.1"}, "not of one family"},
	        {{"trace", "node", "example.org"}, "example.org"},
	        {{"trace", "node", "10.0.0.1:"}, "is no port"},
	        {{"trace", "node", "10.0.0.1:0"}, "is no port"},
	        {{"trace", "node", "10.0.0.1:65536"}, "is no port"},
	        {{"trace", "node", "10.0.0.1:99999999999999999999"}, "is no port"},
	        {{"trace", "node", "10.0.0.1:53x"}, "is no port"},
	        {{"trace", "node", "10.0.0.1:53/"}, "is no protocol"},
	        {{"trace", "node", "10.0.0.1:53/ICMP"}, "is no protocol"},
	        {{"trace", "node", "10.0.0.1/24"}, "10.0.0.1/24"},
	        {{"trace", "node", "[10.0.0.1]:53"}, "is no IPv6 address"},
	        {{"trace", "node", "[fd00::1]"}, "[ADDR]:PORT"},
	        {{"trace", "node", "[fd00::1"}, "[ADDR]:PORT"},
	        {{"trace", "node", "fd00::1%eth0"}, "fd00::1%eth0"},
	        {{"trace", "node", ""}, "weftctl: "},
	        {{"trace", "node", "1111111111111111111111111111111111111111111111111111:53"},
	         "is no address"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct outcome o = run_on(0, cases[i].args);

		assert_says(&o, 2, cases[i].says);
	}
}

static void empty_status_is_healthy(void **state)
{
	static const struct canned bare[] = {
	        {"status", "{}"}, {"nodes", "{}"}, {"blocks", "[1,null,{\"cidr\":{}}]"}};
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, bare, WEFT_ARRAY_LEN(bare));
	o = RUN("--socket", f->path, "status");
	assert_int_equal(o.code, 0);
	assert_non_null(strstr(o.out, "problems    none\n"));
	o = RUN("--socket", f->path, "nodes");
	assert_says(&o, 1, "weftd answered `nodes` with something else");
	o = RUN("--socket", f->path, "blocks");
	assert_int_equal(o.code, 0);
	fix_stop(f);
}

static void programs_get_json_and_yaml(void **state)
{
	struct fixture *f;
	struct outcome o;
	cJSON *value;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("--socket", f->path, "blocks", "-o", "json");
	assert_int_equal(o.code, 0);
	value = cJSON_Parse(o.out);
	assert_int_equal(cJSON_GetArraySize(value), 2);
	assert_string_equal(cJSON_GetObjectItem(value->child, "cidr")->valuestring, "10.244.1.0/26");
	cJSON_Delete(value);
	o = RUN("--socket", f->path, "blocks", "-oyaml", "10.244.1.0/26");
	assert_outcome(&o, 0,
	               "- cidr: '10.244.1.0/26'\n"
	               "  node: node1\n"
	               "  pool: p\n"
	               "  self: true\n"
	               "  used: 3\n"
	               "  free: 60\n"
	               "  cooling: 1\n"
	               "  via: local\n",
	               "");
	o = RUN("--socket", f->path, "ipam", "-o", "json");
	assert_outcome(&o, 0, "[]\n", "");
	o = RUN("--socket", f->path, "ipam", "-o", "yaml");
	assert_outcome(&o, 0, "[]\n", "");
	fix_stop(f);
}

static void terminal_gets_colour_and_its_width(void **state)
{
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	const char *const args[] = {"--socket", f->path, "nodes", NULL};
	const char *const plain[] = {"--socket", f->path, "nodes", "--no-color", NULL};
	o = run_on(60, args);
	assert_outcome(&o, 0,
	               "   NODE    STATE  IPV4               AS  BLOCKS  PATH\r\n"
	               "*  node2   \033[32mok\033[0m     10.1.1.11  4200000001       2  local\r\n"
	               "   node10  \033[32mok\033[0m     10.1.2.10       64512       1  fabric via …\r\n",
	               "");
	o = run_on(200, plain);
	assert_null(strchr(o.out, '\033'));
	fix_stop(f);
}

static void failures_have_their_exit_codes(void **state)
{
	char path[PATH_MAX];
	struct fixture *f;
	struct outcome o;

	(void)state;
	f = fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
	o = RUN("--socket", f->path, "peers");
	assert_outcome(&o, 1, "", "weftctl: BIRD ?[2Jis gone\n");
	snprintf(path, sizeof(path), "%s/none.sock", f->dir);
	o = RUN("--socket", path, "status");
	assert_says(&o, 3, "no weftd at");
	o = RUN("status", "--socket");
	assert_says(&o, 2, "requires an argument");
	o = RUN("stat\033us");
	assert_int_equal(o.code, 2);
	o = RUN("status", "extra");
	assert_says(&o, 2, "takes no argument");
	o = RUN("nodes", "a", "b");
	assert_says(&o, 2, "one argument too many");
	o = RUN("nodes", "-o", "xml");
	assert_says(&o, 2, "no output format \"xml\"");
	o = RUN("nodes", "--timeout", "0");
	assert_says(&o, 2, "--timeout");
	o = RUN("--no-color");
	assert_says(&o, 2, "name a command");
	fix_stop(f);
}

static void help_is_there_for_all(void **state)
{
	static const char *const names[] = {"status", "nodes", "blocks",   "routes",
	                                    "peers",  "ipam",  "services", "trace"};
	struct outcome o = RUN("--help");

	(void)state;
	assert_int_equal(o.code, 0);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(names); i++) {
		assert_non_null(strstr(o.out, names[i]));
		struct outcome one = RUN(names[i], "--help");
		struct outcome two = RUN("help", names[i]);

		assert_int_equal(one.code, 0);
		assert_non_null(strstr(one.out, "Examples:\n  weftctl "));
		assert_string_equal(one.out, two.out);
	}
	o = RUN("--version");
	assert_outcome(&o, 0, "weftctl " WEFT_VERSION "\n", "");
}
int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_drain_is_followed),
	        cmocka_unit_test(tables_are_golden),
	        cmocka_unit_test(status_is_a_page_and_a_verdict),
	        cmocka_unit_test(status_of_a_kubernetes_datastore),
	        cmocka_unit_test(services_are_a_list_or_one),
	        cmocka_unit_test(trace_is_a_page_and_a_verdict),
	        cmocka_unit_test(wrong_arguments_are_refused),
	        cmocka_unit_test(empty_status_is_healthy),
	        cmocka_unit_test(programs_get_json_and_yaml),
	        cmocka_unit_test(terminal_gets_colour_and_its_width),
	        cmocka_unit_test(failures_have_their_exit_codes),
	        cmocka_unit_test(help_is_there_for_all),
	};

	if (find_build() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
