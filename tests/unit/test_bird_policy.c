// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the filters let through, between real BIRDs: classes by the metric of table 179, what comes in, drain, and the
 * sessions between nodes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/plan/bgp_words.h"
#include "tests/unit/bird_lab.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

static struct lab *lab;

static int setup(void **state)
{
	static struct lab the_lab;
	char text[64];

	(void)state;
	lab = &the_lab;
	if (lab_up(lab, 3) < 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "ip addr add 10.0.0.%d/24 dev lan", i + 1);
		lab_must(lab, i, text);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return lab_down(lab);
}

static void write_model(int end, const struct bgp_model *m)
{
	struct bird_conf_params params = {.node = "a", .custom_dir = lab->custom};
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct weft_err err = WEFT_ERR_INIT;

	if (bird_conf_render(lab->tmpl, m, &params, &out, &err) < 0)
		fail_msg("%s", err.text);
	lab_write(lab, end, weft_buf_text(&out));
}

/* Of the present objects, as this node sees them. */
static void plan_and_write(int end, const struct cluster *c, struct bgp_params params)
{
	struct routes_link link = {.dev = "lan", .prefix = prefix("10.0.0.0/24")};
	struct bgp_model m;

	link.addr = cluster_self(c)->node.ip4;
	params.links = &link;
	params.n_links = 1;
	bgp_plan(c, &params, &m);
	for (size_t i = 0; i < m.n_peers; i++)
		assert_string_equal(m.peers[i].reason, "");
	write_model(end, &m);
	bgp_model_free(&m);
}

static struct weft_object *config(void)
{
	static const char *const ranges[] = {"0.0.0.0/0", "10.7.0.0/24"};
	struct weft_object *o = object(WEFT_BGPCONFIG, "default");

	o->bgpconfig.as_number = 64600;
	o->bgpconfig.import = calloc(2, sizeof(*o->bgpconfig.import));
	o->bgpconfig.n_import = 2;
	for (int i = 0; i < 2; i++)
		o->bgpconfig.import[i] =
		        (struct weft_prefix_range){prefix(ranges[i]), i ? 24 : 0, i ? 32 : 0};
	return o;
}

static struct cluster *cluster(const char *self)
{
	struct cluster *c = cluster_new(self);

	put(c, labelled(node("a", "10.0.0.1", NULL), "rr", "1"));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	put(c, config());
	synced(c);
	return c;
}

/* --- one router --- */

static const char router[] =
        "router id 10.0.0.2;\nprotocol device {}\n"
        "protocol static world { ipv4;\n"
        "route 0.0.0.0/0 blackhole;\nroute 10.244.1.0/26 blackhole;\nroute 10.244.1.5/32 blackhole;\n"
        "route 10.7.0.1/32 blackhole;\nroute 192.168.0.0/24 blackhole;\n"
        "route 10.244.2.0/26 blackhole { bgp_community.add((65535, 0)); };\n}\n"
        "protocol bgp node { local 10.0.0.2 as 65000; neighbor 10.0.0.1 as 64600; direct;\n"
        "connect delay time 1; connect retry time 1; error wait time 1, 1;\n"
        "ipv4 { import all; export where source = RTS_STATIC; next hop self; }; }\n";

static const char *const announced[] = {
        "blackhole 10.244.0.0/26 table 179 metric 100 proto 119",
        "blackhole 10.7.0.1/32 table 179 metric 200 proto 119",
        "blackhole 10.7.0.2/32 table 179 metric 1000 proto 119 window 3",
        "blackhole 10.7.0.8/32 table 179 metric 1000 proto 119",
        /* never */
        "blackhole 10.7.0.3/32 table 179 metric 4711 proto 119",
        "blackhole 10.99.0.0/26 table 179 metric 100 proto 119",
        "blackhole 10.7.0.9/32 table 179 metric 200 proto 99",
        "10.55.0.0/24 via 10.0.0.3 metric 100 proto 99",
        "10.56.0.0/24 via 10.0.0.3 metric 200 proto 119",
};

static const char *const gold[] = {"gold"};
static const struct advert_class classes[] = {
        {.metric = 100, .type = WEFT_ADVERT_PODBLOCK},
        {.metric = 200, .type = WEFT_ADVERT_LOADBALANCER},
        {.metric = 1000, .type = WEFT_ADVERT_LOADBALANCER, .names = gold, .n_names = 1},
};

static struct weft_object *advert(void)
{
	struct weft_object *o = object(WEFT_BGPADVERTISEMENT, "gold");
	struct weft_bgpadvertisement *a = &o->bgpadvertisement;

	a->communities = calloc(2, sizeof(*a->communities));
	a->n_communities = 2;
	a->communities[0].value = (struct weft_community){.part = {64600, 7}};
	a->communities[1].value = (struct weft_community){.large = true, .part = {4200000000u, 1, 2}};
	a->prepend = 2;
	a->endpoint_weight = true;
	return o;
}

static void has(const char *all, const char *text)
{
	if (!strstr(all, text))
		fail_msg("\"%s\" was expected in: %s", text, all);
}

static void lacks(const char *all, const char *text)
{
	if (strstr(all, text))
		fail_msg("\"%s\" was not expected in: %s", text, all);
}

static void what_the_router_hears(void)
{
	const char *all;

	static const char *const heard[] = {"10.244.0.0/26", "10.7.0.1/32", "10.7.0.2/32", "10.7.0.8/32"};

	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++)
		lab_wait(lab, 1, "show route protocol node", heard[i], true);
	all = lab_birdc(lab, 1, "show route protocol node");
	lacks(all, "10.7.0.3/32");
	lacks(all, "10.99.0.0/26");
	lacks(all, "10.7.0.9/32");
	lacks(all, "10.55.0.0/24");
	lacks(all, "10.56.0.0/24");
	lacks(all, "10.0.0.0/24");
	all = lab_birdc(lab, 1, "show route 10.7.0.2/32 protocol node all");
	has(all, "64600 64600 64600");
	has(all, "(64600,7)");
	has(all, "(4200000000, 1, 2)");
	has(all, "64600, 1220542464)"); /* 3 * 2^17 as a float */
	all = lab_birdc(lab, 1, "show route 10.7.0.8/32 protocol node all");
	has(all, "(64600,7)");
	lacks(all, "ext_community");
	all = lab_birdc(lab, 1, "show route 10.7.0.1/32 protocol node all");
	lacks(all, "community");
	lacks(all, "64600 64600");
}

static void what_the_node_takes(void)
{
	const char *all;

	lab_wait(lab, 0, "show route", "10.244.2.0/26", true);
	all = lab_birdc(lab, 0, "show route protocol peer_tor");
	has(all, "0.0.0.0/0");
	has(all, "10.244.1.0/26");
	lacks(all, "10.244.1.5/32");
	lacks(all, "192.168.0.0/24");
	has(lab_birdc(lab, 0, "show route 10.244.2.0/26 protocol peer_tor all"), "local_pref: 0");
	has(lab_birdc(lab, 0, "show route 10.244.1.0/26 protocol peer_tor all"), "local_pref: 100");
	lab_run(lab, 0, "ip route show proto bird");
	has(lab->said, "default via 10.0.0.2 dev lan metric 32");
	has(lab->said, "10.244.1.0/26 via 10.0.0.2 dev lan metric 32");
	/* the copy of our own announcement loses against ours */
	lacks(lab->said, "10.7.0.1");
}

static void classes_and_imports(void **state)
{
	struct bgp_params params = {.profile = BGP_FAST, .classes = classes, .n_classes = 3};
	struct bgp_peer_drain drained = {"tor", BGP_DRAIN_LAST_RESORT};
	struct cluster *c = cluster("a");

	(void)state;
	put(c, advert());
	put(c, peer("tor", "10.0.0.2", 65000));
	for (size_t i = 0; i < sizeof(announced) / sizeof(announced[0]); i++) {
		char command[128];

		snprintf(command, sizeof(command), "ip route add %s", announced[i]);
		lab_must(lab, 0, command);
	}
	plan_and_write(0, c, params);
	lab_write(lab, 1, router);
	lab_bird(lab, 0);
	lab_bird(lab, 1);
	what_the_router_hears();
	what_the_node_takes();
	params.peer_drains = &drained;
	params.n_peer_drains = 1;
	plan_and_write(0, c, params);
	lab_birdc(lab, 0, "configure");
	lab_wait(lab, 1, "show route 10.244.0.0/26 protocol node all", "(65535,0)", true);
	lab_wait(lab, 1, "show route 10.7.0.2/32 protocol node all", "(65535,0)", true);
	drained.stage = BGP_DRAIN_WITHDRAWN;
	plan_and_write(0, c, params);
	lab_birdc(lab, 0, "configure");
	lab_wait(lab, 1, "show route protocol node", "10.7.0.2/32", false);
	has(lab_birdc(lab, 1, "show route protocol node"), "10.244.0.0/26");
	cluster_free(c);
}

/* --- rules: what BIRD does with them is what `bgp explain` says of them --- */

static const char ruled_router[] =
        "router id 10.0.0.2;\nprotocol device {}\n"
        "protocol static world { ipv4;\n"
        "route 0.0.0.0/0 blackhole;\nroute 10.7.0.0/24 blackhole;\nroute 10.7.0.128/25 blackhole;\n"
        "route 10.7.0.6/31 blackhole;\nroute 10.7.0.9/32 blackhole;\nroute 198.18.0.0/15 blackhole;\n"
        "route 10.244.1.0/26 blackhole { bgp_large_community.add((4200000000, 1, 2)); };\n"
        "route 10.244.2.0/26 blackhole { bgp_path.prepend(4200000001); };\n"
        "route 10.244.3.0/26 blackhole { bgp_path.prepend(4200000001);\n"
        "bgp_large_community.add((4200000000, 1, 2)); };\n"
        "route 10.244.4.0/26 blackhole { bgp_path.prepend(4200000001); bgp_path.prepend(65009); };\n}\n"
        "protocol bgp node { local 10.0.0.2 as 65000; neighbor 10.0.0.1 as 64600; direct;\n"
        "connect delay time 1; connect retry time 1; error wait time 1, 1;\n"
        "ipv4 { import all; export where source = RTS_STATIC; next hop self; }; }\n";

static const struct weft_community tag = {.large = true, .part = {4200000000u, 1, 2}};
static const struct weft_community gold_tag = {.part = {64600, 7}}; /* that advert() adds */

static struct weft_prefix_range *within(const char *cidr, uint8_t ge, uint8_t le)
{
	struct weft_prefix_range *r = calloc(1, sizeof(*r));

	*r = (struct weft_prefix_range){prefix(cidr), ge, le};
	return r;
}

static struct weft_community_ref *one_community(const struct weft_community *c)
{
	struct weft_community_ref *r = calloc(1, sizeof(*r));

	r->value = *c;
	return r;
}

static uint32_t *path_of(uint32_t first, uint32_t second)
{
	uint32_t *path = calloc(2, sizeof(*path));

	path[0] = first;
	path[1] = second;
	return path;
}

static void add_import_rules(struct weft_bgppeer *p)
{
	struct weft_bgp_rule *r = calloc(4, sizeof(*r));

	r[0] = (struct weft_bgp_rule){
	        .prefixes = within("10.7.0.0/24", 25, 31), .n_prefixes = 1, .reject = true};
	r[1] = (struct weft_bgp_rule){.communities = one_community(&tag),
	                              .n_communities = 1,
	                              .has_local_pref = true,
	                              .local_pref = 250,
	                              .add_communities = one_community(&gold_tag),
	                              .n_add_communities = 1};
	r[2] = (struct weft_bgp_rule){.as_path = path_of(65000, 4200000001u), .n_as_path = 2, .reject = true};
	r[3] = (struct weft_bgp_rule){.prefixes = within("198.18.0.0/15", 15, 15), .n_prefixes = 1};
	p->import = r;
	p->n_import = 4;
}

static void add_export_rules(struct weft_bgppeer *p)
{
	struct weft_bgp_rule *r = calloc(4, sizeof(*r));

	r[0] = (struct weft_bgp_rule){.prefixes = within("10.7.0.8/29", 29, 32),
	                              .n_prefixes = 1,
	                              .communities = one_community(&gold_tag),
	                              .n_communities = 1,
	                              .add_communities = one_community(&tag),
	                              .n_add_communities = 1,
	                              .prepend = 1};
	/* a path is empty but for what the class prepends: never the peer's, twice ours with `gold` */
	r[1] = (struct weft_bgp_rule){.as_path = path_of(65000, 64600), .n_as_path = 1, .reject = true};
	r[2] = (struct weft_bgp_rule){.as_path = path_of(64600, 64600), .n_as_path = 2, .reject = true};
	r[3] = (struct weft_bgp_rule){
	        .prefixes = within("10.244.0.0/16", 26, 26), .n_prefixes = 1, .reject = true};
	p->export = r;
	p->n_export = 4;
}

static void imports_are_as_judged(const struct bgp_model *m)
{
	static const struct {
		const char *net;
		uint32_t path[3];
		size_t n_path;
		bool tagged, taken;
	} routes[] = {
	        {"0.0.0.0/0", {65000}, 1, false, true},
	        {"10.7.0.0/24", {65000}, 1, false, true},
	        {"10.7.0.128/25", {65000}, 1, false, false},
	        {"10.7.0.6/31", {65000}, 1, false, false},
	        {"10.7.0.9/32", {65000}, 1, false, true},
	        {"198.18.0.0/15", {65000}, 1, false, false}, /* a rule accepts it, the policy does not */
	        {"10.244.1.0/26", {65000}, 1, true, true},
	        {"10.244.2.0/26", {65000, 4200000001u}, 2, false, false},
	        {"10.244.3.0/26", {65000, 4200000001u}, 2, true, true},
	        {"10.244.4.0/26", {65000, 65009, 4200000001u}, 3, false, true},
	};

	lab_wait(lab, 0, "show route 10.244.1.0/26 protocol peer_tor all", "local_pref: 250", true);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct bgp_heard heard = {.net = prefix(routes[i].net),
		                          .as_path = routes[i].path,
		                          .n_as_path = routes[i].n_path,
		                          .communities = &tag,
		                          .n_communities = routes[i].tagged};
		weft_auto(weft_buf_free) struct weft_buf why = {0};
		char command[96];

		if (bgp_judge_import(m, &m->peers[0], &heard, &why) != routes[i].taken)
			fail_msg("%s: %s", routes[i].net, weft_buf_text(&why));
		snprintf(command, sizeof(command), "show route %s%s protocol peer_tor",
		         routes[i].taken ? "" : "filtered ", routes[i].net);
		lab_wait(lab, 0, command, routes[i].net, true);
	}
	has(lab_birdc(lab, 0, "show route 10.244.1.0/26 protocol peer_tor all"), "(64600,7)");
	lacks(lab_birdc(lab, 0, "show route 10.244.4.0/26 protocol peer_tor all"), "(64600,7)");
}

static void exports_are_as_judged(const struct bgp_model *m)
{
	static const struct {
		const char *net;
		uint32_t metric;
		bool goes;
	} routes[] = {
	        {"10.7.0.1/32", 200, true},
	        {"10.7.0.2/32", 1000, false},
	        {"10.7.0.8/32", 1000, true},
	        {"10.244.0.0/26", 100, false},
	};

	lab_wait(lab, 1, "show route 10.7.0.8/32 protocol node all", "(4200000000, 1, 2)", true);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct weft_prefix net = prefix(routes[i].net);
		weft_auto(weft_buf_free) struct weft_buf why = {0};

		if (bgp_judge_export(&m->peers[0], &net, routes[i].metric, &why) != routes[i].goes)
			fail_msg("%s: %s", routes[i].net, weft_buf_text(&why));
		lab_wait(lab, 1, "show route protocol node", routes[i].net, routes[i].goes);
	}
	/* prepended twice by the class and once by the rule */
	has(lab_birdc(lab, 1, "show route 10.7.0.8/32 protocol node all"), "64600 64600 64600 64600");
}

static void rules_do_what_is_said_of_them(void **state)
{
	struct bgp_params params = {.profile = BGP_FAST, .classes = classes, .n_classes = 3};
	struct cluster *c = cluster("a");
	struct weft_object *tor = peer("tor", "10.0.0.2", 65000);
	struct bgp_model m;

	(void)state;
	add_import_rules(&tor->bgppeer);
	add_export_rules(&tor->bgppeer);
	put(c, advert());
	put(c, tor);
	lab_write(lab, 1, ruled_router);
	lab_birdc(lab, 1, "configure");
	plan_and_write(0, c, params);
	lab_birdc(lab, 0, "configure");
	bgp_plan(c, &params, &m);
	imports_are_as_judged(&m);
	exports_are_as_judged(&m);
	bgp_model_free(&m);
	cluster_free(c);
}

/* --- between nodes --- */

static struct cluster *member(const char *self, bool reflectors)
{
	struct cluster *c = cluster(self);
	struct weft_object *o = config();

	o->bgpconfig.node_mesh = !reflectors;
	o->bgpconfig.reflectors = reflectors;
	require(&o->bgpconfig.reflector_selector, "rr", "1");
	put(c, o);
	put(c, node("b", "10.0.0.2", NULL));
	put(c, node("c", "10.0.0.3", NULL));
	return c;
}

static void write_members(bool reflectors)
{
	static const char *const names[] = {"a", "b", "c"};

	for (int i = 0; i < 3; i++) {
		struct cluster *c = member(names[i], reflectors);

		plan_and_write(i, c, (struct bgp_params){.profile = BGP_FAST});
		if (i == 2 && !lab->ends[2].bird)
			lab_bird(lab, 2);
		else
			lab_birdc(lab, i, "configure");
		cluster_free(c);
	}
}

static void a_mesh_and_reflectors_carry_blocks(void **state)
{
	char command[128];

	(void)state;
	for (int i = 1; i < 3; i++) {
		snprintf(command, sizeof(command),
		         "ip route add blackhole 10.244.%d.0/26 table 179 metric 100 proto 119", i + 2);
		lab_must(lab, i, command);
	}
	for (int reflectors = 0; reflectors < 2; reflectors++) {
		write_members(reflectors);
		lab_wait(lab, 0, "show protocols mesh_c", "Established", true);
		lab_wait(lab, 1, "show protocols mesh_c", "Established", !reflectors);
		/* b's block at c, and the way there is b itself, reflected or not */
		lab_wait(lab, 2, "show route 10.244.3.0/26", reflectors ? "[mesh_a" : "[mesh_b", true);
		lab_wait(lab, 2, "show route 10.244.0.0/26", "[mesh_a", true);
		lab_run(lab, 2, "ip route show proto bird");
		has(lab->said, "10.244.3.0/26 via 10.0.0.2 dev lan metric 32");
		/* addresses of Services are no matter of the mesh */
		lacks(lab_birdc(lab, 2, "show route"), "10.7.0.1/32");
		if (reflectors)
			has(lab_birdc(lab, 2, "show route 10.244.3.0/26 all"), "cluster_list: 10.0.0.1");
	}
}

/* --- a router that dies --- */

/* It restarts in a second, or else in an hour. */
static const char immortal[] =
        "router id 10.0.0.2;\nprotocol device {}\n"
        "protocol static world { ipv4; route 10.244.9.0/26 blackhole; }\n"
        "protocol bgp node { local 10.0.0.2 as 65000; neighbor 10.0.0.1 as 64600; direct;\n"
        "connect delay time 1; connect retry time 1; error wait time 1, 1;\n"
        "graceful restart on; graceful restart time 1;\n"
        "long lived graceful restart on; long lived stale time 3600;\n"
        "ipv4 { import none; export where source = RTS_STATIC; next hop self; }; }\n";

static void kill_router(void)
{
	kill(lab->ends[1].bird, SIGKILL);
	waitpid(lab->ends[1].bird, NULL, 0);
	lab_bird(lab, 1);
	lab_wait(lab, 1, "show status", "is up and running", true);
}

/* Our node has its route; then the router is another one, without BGP. */
static void hear_and_lose(bool long_lived)
{
	struct cluster *c = cluster("a");
	struct weft_object *tor = peer("tor", "10.0.0.2", 65000);

	tor->bgppeer.bfd = -1;
	tor->bgppeer.restart = long_lived ? WEFT_GR_ON : WEFT_GR_BY_PROFILE;
	tor->bgppeer.long_lived = long_lived;
	put(c, tor);
	plan_and_write(0, c, (struct bgp_params){.profile = BGP_FAST});
	lab_birdc(lab, 0, "configure");
	lab_write(lab, 1, immortal);
	kill_router();
	lab_wait(lab, 0, "show route", "10.244.9.0/26", true);
	lab_write(lab, 1, "router id 10.0.0.2;\nprotocol device {}\n");
	kill_router();
	cluster_free(c);
}

/* RFC 9494 is for who asks for it: BIRD by itself takes what the peer offers. */
static void long_lived_restart_is_by_request(void **state)
{
	(void)state;
	hear_and_lose(false);
	lab_wait(lab, 0, "show route", "10.244.9.0/26", false);
	hear_and_lose(true);
	lab_wait(lab, 0, "show route 10.244.9.0/26 all", "(65535,6)", true); /* LLGR_STALE */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(classes_and_imports),
	        cmocka_unit_test(rules_do_what_is_said_of_them),
	        cmocka_unit_test(a_mesh_and_reflectors_carry_blocks),
	        cmocka_unit_test(long_lived_restart_is_by_request),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
