// SPDX-License-Identifier: GPL-2.0-or-later
/* Filters in words, and what they make of one route. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/plan/bgp_words.h"
#include "weft/cleanup.h"

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct bgp_range range(const char *cidr, uint8_t ge, uint8_t le)
{
	return (struct bgp_range){.cidr = prefix(cidr), .ge = ge, .le = le};
}

static struct weft_community standard(uint32_t a, uint32_t b)
{
	return (struct weft_community){.part = {a, b}};
}

static void assert_words(struct weft_buf *is, const char *words)
{
	assert_string_equal(weft_buf_text(is), words);
	weft_buf_truncate(is, 0);
}

static void rules_in_words(void **state)
{
	struct bgp_range nets[] = {range("10.0.0.0/8", 16, 24), range("0.0.0.0/0", 0, 0)};
	struct weft_community c[] = {standard(65001, 7), {.large = true, .part = {1, 2, 3}}};
	uint32_t path[] = {65001, 65002};
	struct bgp_rule all = {.prefixes = nets,
	                       .n_prefixes = 2,
	                       .communities = c,
	                       .n_communities = 2,
	                       .as_path = path,
	                       .n_as_path = 2,
	                       .has_local_pref = true,
	                       .local_pref = 50,
	                       .add_communities = c,
	                       .n_add_communities = 1,
	                       .prepend = 2};
	struct bgp_rule none = {.reject = true, .prepend = 3};
	weft_auto(weft_buf_free) struct weft_buf out = {0};

	(void)state;
	bgp_words_rule(&all, false, &out);
	assert_words(
	        &out,
	        "if in 10.0.0.0/8{16,24} or 0.0.0.0/0 and with community 65001:7 or 1:2:3 and its path begins "
	        "with 65001 65002: accept, local preference 50, add community 65001:7, own AS prepended 2 "
	        "times");
	bgp_words_rule(&none, false, &out);
	assert_words(&out, "always: reject");
	bgp_words_rule(&none, true, &out);
	assert_words(&out, "always: reject");
}

static void exports_in_words(void **state)
{
	struct weft_community c[] = {standard(64512, 7), standard(65535, 0)};
	struct bgp_export e = {
	        .communities = c, .n_communities = 2, .has_local_pref = true, .local_pref = 9, .prepend = 1};
	struct bgp_peer external = {.local_as = 1}, internal = {.ibgp = true};
	weft_auto(weft_buf_free) struct weft_buf out = {0};

	(void)state;
	bgp_words_export(&external, &e, &out);
	assert_words(&out, "communities 64512:7 65535:0, own AS prepended 1 time");
	bgp_words_export(&internal, &e, &out);
	assert_words(&out, "communities 64512:7 65535:0, local preference 9");
	e = (struct bgp_export){.weight = true};
	bgp_words_export(&external, &e, &out);
	assert_words(&out, "link bandwidth by endpoints");
	e.weight = false;
	bgp_words_export(&external, &e, &out);
	assert_words(&out, "as they are");
}

/* The policy has the last word: a rule takes away or adorns, never adds. Within it the first rule that holds decides. */
static void an_import_is_judged_as_the_filter_does(void **state)
{
	struct bgp_range policy[] = {range("10.244.0.0/16", 26, 26), range("192.0.2.0/24", 24, 24)},
	                 nets[] = {range("192.0.2.0/24", 24, 24), range("198.51.100.0/24", 24, 24)};
	struct weft_community bad[] = {standard(65001, 666)};
	uint32_t as[] = {65001};
	struct bgp_rule rules[] = {{.prefixes = nets, .n_prefixes = 2, .as_path = as, .n_as_path = 1},
	                           {.communities = bad, .n_communities = 1, .reject = true}};
	struct bgp_model m = {.import = policy, .n_import = 2};
	struct bgp_peer p = {.import = rules, .n_import = 2};
	static const struct {
		const char *net;
		uint32_t path;
		bool tagged, taken;
		const char *why;
	} cases[] = {
	        {"10.244.1.0/26", 65001, false, true,
	         "it is a block of a pool or one of BGPConfig's importPrefixes"},
	        {"10.244.1.0/27", 65001, false, false,
	         "it is neither a block of a pool nor one of BGPConfig's importPrefixes"},
	        {"10.244.1.0/26", 65001, true, false, "import rule 2: if with community 65001:666: reject"},
	        {"10.244.0.0/24", 65001, false, false,
	         "it is neither a block of a pool nor one of BGPConfig's importPrefixes"},
	        {"192.0.2.0/24", 65001, true, true,
	         "import rule 1: if in 192.0.2.0/24 or 198.51.100.0/24 and its path begins with 65001: "
	         "accept"},
	        {"192.0.2.0/24", 65002, true, false, "import rule 2: if with community 65001:666: reject"},
	        {"198.51.100.0/24", 65001, false, false,
	         "it is neither a block of a pool nor one of BGPConfig's importPrefixes"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct bgp_heard r = {.net = prefix(cases[i].net),
		                      .as_path = &cases[i].path,
		                      .n_as_path = 1,
		                      .communities = bad,
		                      .n_communities = cases[i].tagged};
		weft_auto(weft_buf_free) struct weft_buf why = {0};

		assert_int_equal(bgp_judge_import(&m, &p, &r, &why), cases[i].taken);
		assert_words(&why, cases[i].why);
	}
}

static void a_mesh_takes_blocks_only(void **state)
{
	struct bgp_range blocks[] = {range("10.244.0.0/16", 26, 26)}, more[] = {range("0.0.0.0/0", 0, 32)};
	struct bgp_model m = {.advertise = blocks, .n_advertise = 1, .import = more, .n_import = 1};
	struct bgp_peer p = {.origin = BGP_PEER_MESH};
	struct bgp_heard r = {.net = prefix("192.0.2.0/24")};
	weft_auto(weft_buf_free) struct weft_buf why = {0};

	(void)state;
	assert_false(bgp_judge_import(&m, &p, &r, &why));
	assert_words(&why, "it is no block of a pool");
}

static void an_export_is_judged_as_the_filter_does(void **state)
{
	struct weft_community tag[] = {standard(64512, 7)};
	struct bgp_range nets[] = {range("203.0.113.7/32", 32, 32)};
	struct bgp_rule rules[] = {{.prefixes = nets, .n_prefixes = 1, .reject = true},
	                           {.communities = tag, .n_communities = 1, .reject = true}};
	struct bgp_export exports[] = {{.metric = 100, .type = WEFT_ADVERT_PODBLOCK},
	                               {.metric = 200, .type = WEFT_ADVERT_LOADBALANCER},
	                               {.metric = 1000,
	                                .type = WEFT_ADVERT_EXTERNAL,
	                                .communities = tag,
	                                .n_communities = 1,
	                                .comment = "vip"}};
	struct bgp_peer p = {
	        .exports = exports, .n_exports = 3, .export = rules, .n_export = 2, .channels[0].on = true};
	static const struct {
		const char *net;
		uint32_t metric;
		enum bgp_drain drain;
		bool goes;
		const char *why;
	} cases[] = {
	        {"10.244.1.0/26", 100, BGP_DRAIN_NONE, true, "class 100, blocks of pods: as they are"},
	        {"203.0.113.8/32", 200, BGP_DRAIN_LAST_RESORT, true,
	         "class 200, LoadBalancer IPs: as they are"},
	        {"203.0.113.7/32", 200, BGP_DRAIN_NONE, false, "export rule 1: if in 203.0.113.7/32: reject"},
	        {"203.0.113.8/32", 200, BGP_DRAIN_WITHDRAWN, false,
	         "drained: addresses of Services are withdrawn"},
	        {"10.244.1.0/26", 100, BGP_DRAIN_WITHDRAWN, true, "class 100, blocks of pods: as they are"},
	        {"192.0.2.1/32", 1000, BGP_DRAIN_NONE, false,
	         "export rule 2: if with community 64512:7: reject"},
	        {"192.0.2.1/32", 201, BGP_DRAIN_NONE, false, "its class 201 is not announced to this peer"},
	        {"fd00::1/128", 200, BGP_DRAIN_NONE, false, "the session carries no IPv6"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_prefix net = prefix(cases[i].net);
		weft_auto(weft_buf_free) struct weft_buf why = {0};

		p.drain = cases[i].drain;
		assert_int_equal(bgp_judge_export(&p, &net, cases[i].metric, &why), cases[i].goes);
		assert_words(&why, cases[i].why);
	}
	p.n_export = 0;
	p.drain = BGP_DRAIN_NONE;
	{
		struct weft_prefix net = prefix("192.0.2.1/32");
		weft_auto(weft_buf_free) struct weft_buf why = {0};

		assert_true(bgp_judge_export(&p, &net, 1000, &why));
		assert_words(&why, "class 1000, external IPs by BGPAdvertisement vip: communities 64512:7");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rules_in_words),
	        cmocka_unit_test(exports_in_words),
	        cmocka_unit_test(an_import_is_judged_as_the_filter_does),
	        cmocka_unit_test(a_mesh_takes_blocks_only),
	        cmocka_unit_test(an_export_is_judged_as_the_filter_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
