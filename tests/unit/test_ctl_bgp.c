// SPDX-License-Identifier: GPL-2.0-or-later
/* weftctl peers, routes of a peer, bgp explain, bird and plan, over a real socket, with answers good and odd. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>

#include "tests/unit/ctl_program.h"
#include "tests/unit/serve_fixture.h"

static const struct canned replies[] = {
        {"peers",
         "[{\"name\":\"tor2\",\"state\":\"absent\",\"asNumber\":65002,\"address\":\"10.0.2.1\",\"reason\":\"no Secret\"},"
         "{\"name\":\"tor1\",\"state\":\"Established\",\"asNumber\":65001,\"address\":\"10.0.1.1\",\"sinceSeconds\":93784,"
         "\"bfd\":{\"state\":\"Up\"},\"families\":[{\"family\":\"IPv4\",\"accepted\":12,\"filtered\":1,\"announced\":3},"
         "{\"family\":\"IPv6\",\"accepted\":5,\"announced\":2}]}]\n"
         "{\"peers\":[{\"name\":\"tor1\",\"state\":\"Established\",\"asNumber\":65001,\"address\":\"10.0.1.1\","
         "\"protocol\":\"peer_tor1\",\"since\":\"2030-01-02T03:04:05\",\"bfd\":{\"state\":\"off\"},"
         "\"families\":[{\"family\":\"IPv4\",\"state\":\"UP\",\"accepted\":12,\"preferred\":9,\"announced\":3}],"
         "\"session\":{\"type\":\"external\",\"localAS\":64512,\"localAddress\":\"10.0.1.2\",\"port\":179,\"multihop\":0,"
         "\"password\":true,\"nextHop\":\"self\"},"
         "\"timers\":{\"hold\":9,\"keepalive\":3,\"connectRetry\":5,\"holdNegotiated\":6,\"keepaliveNegotiated\":2},"
         "\"gracefulRestart\":{\"mode\":\"aware\",\"neighborRestarts\":true},"
         "\"maxPrefixes\":{\"limit\":10000,\"action\":\"block\"},\"drain\":\"none\","
         "\"capabilities\":[\"Route refresh\",\"4-octet AS numbers\"],\"taken\":[\"10.244.0.0/16{26,26}\"],"
         "\"importFilter\":[\"if in 0.0.0.0/0: accept\"],\"exportFilter\":[],"
         "\"announced\":[{\"metric\":100,\"type\":\"blocks of pods\",\"how\":\"as they are\"}]}]}"},
        {"routes",
         "[]\n{\"peer\":\"tor1\",\"direction\":\"received\",\"routes\":[{\"prefix\":\"10.244.2.0/26\",\"state\":\"best\","
         "\"asPath\":\"65001 65000\",\"nextHop\":\"10.0.1.1\",\"communities\":[\"65001:7\",\"1:2:3\"]},"
         "{\"prefix\":\"192.0.2.0/24\",\"state\":\"filtered\",\"asPath\":\"65001\",\"nextHop\":\"10.0.1.1\","
         "\"reason\":\"it is no block\"}],\"total\":7,\"more\":5,\"notes\":[\"peer_tor1: \\u001b[31mslow\"]}"},
        {"bgp",
         "[]\n{\"what\":\"x\",\"result\":\"bad\",\"targets\":[{\"prefix\":\"203.0.113.7/32\",\"kind\":\"LoadBalancer IP\","
         "\"steps\":[{\"step\":\"wanted\",\"text\":\"yes\"},{\"step\":\"peer\",\"text\":\"tor1: NOT announced\"}],"
         "\"verdict\":\"not announced\",\"why\":\"0 of 1 peers\"}]}"},
        {"bird",
         "[]\n{\"command\":\"x\",\"lines\":[{\"code\":2002,\"text\":\"Name  Proto\"},{\"code\":1002,\"text\":\"tor1  "
         "BGP\"},{\"code\":0,\"text\":\"\"}],\"code\":0,\"more\":true}"},
        {"plan",
         "[]\n{\"sessions\":[{\"peer\":\"tor1\",\"protocol\":\"peer_tor1\",\"change\":\"restarts\",\"field\":\"timers\"}],"
         "\"untouched\":2,\"bird\":[\"@@ -1,1 +1,1 @@\",\"-old\",\"+new\"],\"config\":[],\"kept\":[\"Node (4)\"],"
         "\"invalid\":[],\"warnings\":[],\"kernel\":{\"added\":[\"route x\"],\"removed\":[],\"addedTotal\":3,"
         "\"removedTotal\":0},\"classes\":[{\"change\":\"added\",\"metric\":1000,\"type\":\"PodBlock\","
         "\"advertisements\":[\"fabric\",\"gold\"]}]}"},
};

static struct fixture *start(void)
{
	return fix_start(NULL, replies, WEFT_ARRAY_LEN(replies));
}

static void peers_are_golden(void **state)
{
	struct fixture *f = start();
	struct outcome o;

	(void)state;
	o = RUN("-s", f->path, "peers");
	assert_outcome(
	        &o, 0,
	        "PEER     AS  ADDRESS   STATE          FOR  ACCEPTED  FILTERED  ANNOUNCED  BFD  REASON\n"
	        "tor1  65001  10.0.1.1  Established  1d 2h      12/5       1/-        3/2  Up   -\n"
	        "tor2  65002  10.0.2.1  absent           -         -         -          -  -    no Secret\n",
	        "");
	o = RUN("-s", f->path, "peers", "tor1");
	assert_outcome(
	        &o, 0,
	        "peer        tor1, 10.0.1.1, AS 65001, in BIRD peer_tor1\n"
	        "state       Established since 2030-01-02T03:04:05\n"
	        "  FAMILY  STATE  ACCEPTED  BEST  ANNOUNCED\n"
	        "  IPv4    UP           12     9          3\n"
	        "session     external, our AS 64512, from 10.0.1.2 to port 179, MD5 password, next hop self\n"
	        "timers      hold 9 s, keepalive 3 s, connect retry 5 s; negotiated: hold 6 s, keepalive 2 s\n"
	        "bfd         off\n"
	        "restart     graceful restart aware, the neighbour restarts just now\n"
	        "limit       10000 routes of each family, then block\n"
	        "drain       none\n"
	        "capable of  Route refresh, 4-octet AS numbers\n"
	        "taken       routes in 10.244.0.0/16{26,26}\n"
	        "  rule 1: if in 0.0.0.0/0: accept\n"
	        "announced   what this node has in table 179 in these classes\n"
	        "  CLASS  WHAT            HOW\n"
	        "    100  blocks of pods  as they are\n",
	        "");
	o = RUN("-s", f->path, "peers", "*2");
	assert_int_equal(o.code, 0);
	assert_non_null(strstr(o.out, "tor2"));
	assert_null(strstr(o.out, "tor1"));
	fix_stop(f);
}

static void routes_of_a_peer_are_golden(void **state)
{
	struct fixture *f = start();
	struct outcome o;

	(void)state;
	o = RUN("-s", f->path, "routes", "--received", "tor1", "10.0.0.0/8");
	assert_outcome(&o, 0,
	               "STATE     PREFIX         NEXT HOP  AS PATH      COMMUNITIES     REASON\n"
	               "best      10.244.2.0/26  10.0.1.1  65001 65000  65001:7, 1:2:3  -\n"
	               "filtered  192.0.2.0/24   10.0.1.1  65001        -               it is no block\n"
	               "... and 5 more: see --limit\n"
	               "note: peer_tor1: ?[31mslow\n",
	               "");
	o = RUN("-s", f->path, "routes", "--received", "a", "--advertised", "b");
	assert_says(&o, 2, "--received or --advertised, not both");
	o = RUN("-s", f->path, "routes", "--limit", "3");
	assert_says(&o, 2, "--limit is for --received and --advertised");
	o = RUN("-s", f->path, "routes", "--received", "a", "--limit", "0");
	assert_says(&o, 2, "--limit \"0\" is no number from 1 to 100000");
	o = RUN("-s", f->path, "routes", "--received", "a", "10.0.0.1/8");
	assert_says(&o, 2, "10.0.0.0/8");
	o = RUN("-s", f->path, "routes", "--received");
	assert_says(&o, 2, "requires an argument");
	fix_stop(f);
}

static void options_belong_to_their_command(void **state)
{
	struct outcome o;

	(void)state;
	o = RUN("status", "--received", "tor1");
	assert_says(&o, 2, "--received is no option of `status`");
	o = RUN("bird", "--write", "--write", "show");
	assert_says(&o, 2, "--write is given twice");
	o = RUN("routes", "--help");
	assert_int_equal(o.code, 0);
	assert_non_null(strstr(o.out, "--advertised PEER routes that BIRD announces to this peer\n"));
}

static void explained(void **state)
{
	struct fixture *f = start();
	struct outcome o;

	(void)state;
	o = RUN("-s", f->path, "bgp", "explain", "203.0.113.7");
	assert_outcome(&o, 1,
	               "explain     203.0.113.7/32, LoadBalancer IP\n"
	               "  1  wanted  yes\n"
	               "  2  peer    tor1: NOT announced\n"
	               "verdict     not announced: 0 of 1 peers\n",
	               "");
	o = RUN("-s", f->path, "bgp", "forget", "x");
	assert_says(&o, 2, "`bgp` knows `explain`, not \"forget\"");
	fix_stop(f);
}

static void bird_answers_as_birdc_prints(void **state)
{
	struct fixture *f = start();
	struct outcome o;

	(void)state;
	o = RUN("-s", f->path, "bird", "--", "show", "protocols");
	assert_outcome(&o, 0, "Name  Proto\ntor1  BGP\n... more; the answer was too long\n", "");
	o = RUN("-s", f->path, "bird");
	assert_says(&o, 2, "`bird` needs [--] COMMAND...");
	fix_stop(f);
}

static void assert_no_copies(const struct fixture *f)
{
	DIR *d = opendir(f->dir);

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		assert_null(strstr(e->d_name, "plan."));
	closedir(d);
}

static void planned(void **state)
{
	struct fixture *f = start();
	char dir[] = "/tmp/weft-plan-XXXXXX", file[64];
	struct outcome o;
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/a.yaml", dir);
	out = fopen(file, "w");
	assert_non_null(out);
	fputs("kind: X\n", out);
	fclose(out);
	o = RUN("-s", f->path, "plan", "--config-dir", dir);
	assert_outcome(&o, 0,
	               "kept        Node (4)\n"
	               "sessions    1 change, 2 stay untouched\n"
	               "  CHANGE    PEER  IN BIRD    BECAUSE OF\n"
	               "  restarts  tor1  peer_tor1  timers\n"
	               "classes     1 change\n"
	               "  CHANGE  METRIC  TYPE      BGPADVERTISEMENTS\n"
	               "  added     1000  PodBlock  fabric, gold\n"
	               "bird.conf   changes\n"
	               "  @@ -1,1 +1,1 @@\n"
	               "  -old\n"
	               "  +new\n"
	               "kernel      3 added, 0 removed\n"
	               "  + route x\n"
	               "  ... and 2 more\n",
	               "");
	assert_no_copies(f);
	o = RUN("-s", f->path, "plan", "--config-dir", dir, "--config", "/nowhere");
	assert_says(&o, 1, "/nowhere");
	assert_no_copies(f);
	o = RUN("-s", f->path, "plan");
	assert_says(&o, 2, "`plan` needs --config-dir DIR");
	o = RUN("-s", f->path, "plan", "--config-dir", file);
	assert_says(&o, 2, "is no folder");
	unlink(file);
	rmdir(dir);
	fix_stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(peers_are_golden),
	        cmocka_unit_test(routes_of_a_peer_are_golden),
	        cmocka_unit_test(options_belong_to_their_command),
	        cmocka_unit_test(explained),
	        cmocka_unit_test(bird_answers_as_birdc_prints),
	        cmocka_unit_test(planned),
	};

	if (find_build() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
