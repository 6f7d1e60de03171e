// SPDX-License-Identifier: GPL-2.0-or-later
/* Routes out of BIRD's replies: recorded ones of two versions, whose attributes have other names, and hostile ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/bird/routes.h"
#include "agent/bird/show_detail.h"
#include "tests/unit/transcript.h"
#include "weft/buf.h"

static const char *const versions[] = {"routes-2.0.12", "routes-3.3.2"};

struct list {
	struct bird_route routes[16];
	size_t n, limit;
};

static bool keep(void *ctx, const struct bird_route *r)
{
	struct list *l = ctx;

	assert_true(l->n < WEFT_ARRAY_LEN(l->routes));
	l->routes[l->n++] = *r;
	return !l->limit || l->n < l->limit;
}

static void read_reply(const struct bird_reply *reply, struct list *out)
{
	struct bird_routes reader = {.fn = keep, .ctx = out};
	bool more = true;

	for (size_t i = 0; i < reply->count && more; i++)
		more = bird_routes_line(&reader, &reply->lines[i]);
	if (more)
		bird_routes_end(&reader);
}

static struct list routes(void **state, const char *version, const char *command)
{
	struct list l = {.n = 0};

	read_reply(recorded(state, version, command), &l);
	return l;
}

static const char *net(const struct bird_route *r)
{
	static char text[WEFT_PREFIX_STR];

	return weft_prefix_str(&r->net, text);
}

static void attributes_of_both_versions(void **state)
{
	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		struct list l = routes(state, versions[v], "show route all protocol peer_tor1");
		const struct bird_route *r = &l.routes[1];

		assert_int_equal(l.n, 2);
		assert_string_equal(net(&l.routes[0]), "0.0.0.0/0");
		assert_string_equal(l.routes[0].communities, "");
		assert_string_equal(net(r), "10.244.2.0/26");
		assert_string_equal(r->table, "master4");
		assert_string_equal(r->type, "unicast");
		assert_string_equal(r->proto, "peer_tor1");
		assert_int_equal(strlen(r->since), 12);
		assert_true(r->best);
		assert_int_equal(r->preference, 100);
		assert_int_equal(r->n_hops, 1);
		assert_string_equal(r->hops[0].via, "10.0.1.2");
		assert_string_equal(r->hops[0].dev, "t1");
		assert_string_equal(r->source, "BGP");
		assert_string_equal(r->origin, "IGP");
		assert_string_equal(r->as_path, "65001");
		assert_string_equal(r->next_hop, "10.0.1.2");
		assert_string_equal(r->local_pref, "100");
		assert_string_equal(r->communities, "(65001,7)");
		assert_string_equal(r->large_communities, "(65001, 1, 1)");
		assert_string_equal(r->ext_communities, "(rt, 65001, 99)");
		assert_string_equal(r->metric, "");
	}
}

static void routes_of_one_prefix_have_it_all(void **state)
{
	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		struct list l = routes(state, versions[v], "show route all in 10.244.0.0/16");

		assert_int_equal(l.n, 3);
		assert_string_equal(net(&l.routes[0]), "10.244.1.0/26");
		assert_string_equal(l.routes[0].type, "blackhole");
		assert_string_equal(l.routes[0].source, "static");
		assert_string_equal(l.routes[0].metric, "100");
		assert_int_equal(l.routes[0].n_hops, 0);
		assert_string_equal(net(&l.routes[1]), "10.244.2.0/26");
		assert_true(l.routes[1].best);
		assert_string_equal(net(&l.routes[2]), "10.244.2.0/26");
		assert_false(l.routes[2].best);
		assert_string_equal(l.routes[2].proto, "peer_tor2");
		assert_string_equal(l.routes[2].as_path, "65002 65002");
		assert_string_equal(l.routes[2].communities, "");
	}
}

static void several_tables_and_none(void **state)
{
	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		struct list l = routes(state, versions[v], "show route all table all 10.244.1.0/26");

		assert_int_equal(l.n, 2);
		assert_string_not_equal(l.routes[0].table, l.routes[1].table);
		l = routes(state, versions[v], "show route all filtered protocol peer_tor2");
		assert_int_equal(l.n, 0);
		l = routes(state, versions[v], "show route 10.9.9.0/24");
		assert_int_equal(l.n, 0);
		l = routes(state, versions[v], "show route all filtered protocol peer_tor1");
		assert_int_equal(l.n, 1);
		assert_string_equal(net(&l.routes[0]), "192.0.2.0/24");
		l = routes(state, versions[v], "show route all export peer_tor1");
		assert_int_equal(l.n, 1);
		assert_string_equal(l.routes[0].large_communities, "(64512, 1, 2)");
	}
}

static struct list read_text(void **state, const char *text)
{
	struct list l = {.n = 0};

	read_reply(parse_reply(*state, text), &l);
	return l;
}

static void several_hops_and_attributes_that_go_on(void **state)
{
	struct list l =
	        read_text(state, "1007-Table master6:\n"
	                         " fd00::/64            unicast [p 12:00:00 from fe80::2] * (100/10) [AS1i]\n"
	                         " \tvia fe80::1 on eth0 weight 2\n"
	                         " \tvia fe80::1 on eth1 onlink\n"
	                         " \tdev eth2\n"
	                         "1012-\tBGP.community: (1,2) (3,4)\n"
	                         " \t\t(5,6)\n"
	                         " \tnobody.knows: (7,8)\n"
	                         " \t\t(9,9)\n"
	                         "0000 \n");

	assert_int_equal(l.n, 1);
	assert_int_equal(l.routes[0].n_hops, 3);
	assert_string_equal(l.routes[0].hops[1].dev, "eth1");
	assert_string_equal(l.routes[0].hops[2].via, "");
	assert_string_equal(l.routes[0].hops[2].dev, "eth2");
	assert_string_equal(l.routes[0].communities, "(1,2) (3,4) (5,6)");
	assert_string_equal(l.routes[0].since, "12:00:00");
}

/* What is no route of ours takes its attributes with it, and no text outgrows its room. */
static void hostile_lines(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct list l = read_text(state, "1012-\tBGP.as_path: 1\n"
	                                 "1007-\tvia 1.2.3.4 on x\n"
	                                 " Table :\n"
	                                 " nonsense\n"
	                                 " 10.0.0.0/8\n"
	                                 " 10.0.0.1/8 unicast [p x] * (1)\n"
	                                 "1012-\tBGP.as_path: 2\n"
	                                 "1007-0:1 10.0.0.0/8 unicast [p x] * (1)\n"
	                                 "                    unicast [p x] * (1)\n"
	                                 "1007-10.0.0.0/8 unicast [p\n"
	                                 "0000 \n");

	assert_int_equal(l.n, 0);
	weft_buf_str(&text, "1007-10.0.0.0/8 unicast [p x] (4294967296)\n1012-\tbgp_path:");
	for (int i = 0; i < 900; i++)
		weft_buf_str(&text, " 65");
	for (int i = 0; i < 3; i++)
		weft_buf_printf(&text, "\n \t\t66 %d", i);
	weft_buf_str(&text, "\n0000 \n");
	l = read_text(state, weft_buf_text(&text));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.routes[0].preference, 0);
	assert_int_equal(strlen(l.routes[0].as_path), BIRD_ROUTE_TEXT - 1);
	assert_string_equal(l.routes[0].as_path + BIRD_ROUTE_TEXT - 4, "...");
}

static void enough_is_enough(void **state)
{
	struct list l = {.limit = 1};

	read_reply(recorded(state, "routes-2.0.12", "show route all in 10.244.0.0/16"), &l);
	assert_int_equal(l.n, 1);
}

static bool count(void *ctx, const struct bird_line *line)
{
	size_t *left = ctx;

	assert_int_equal(strlen(line->text), line->len);
	return --*left;
}

static void a_streamed_reply_is_not_kept(void **state)
{
	const char *text = "1007-a\n b\n c\n0000 end\n";
	struct weft_err err = WEFT_ERR_INIT;
	size_t used, left = 100;

	bird_parser_stream(*state, count, &left);
	assert_int_equal(bird_parser_feed(*state, text, strlen(text), &used, &err), 1);
	assert_int_equal(left, 96);
	assert_int_equal(bird_parser_reply(*state)->count, 1);
	assert_string_equal(bird_reply_text(bird_parser_reply(*state)), "end");
	left = 2;
	assert_int_equal(bird_parser_feed(*state, text, strlen(text), &used, &err), -ECANCELED);
}

static void collect(void *ctx, const char *text)
{
	weft_buf_printf(ctx, "%s;", text);
}

static void capabilities(void **state)
{
	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		weft_auto(weft_buf_free) struct weft_buf text = {0};
		const struct bird_reply *r = recorded(state, versions[v], "show protocols all peer_tor1");

		bird_each_capability(r, "peer_tor1", collect, &text);
		assert_string_equal(weft_buf_text(&text),
		                    "Multiprotocol;AF announced: ipv4 ipv6;Route refresh;Graceful restart;"
		                    "4-octet AS numbers;Enhanced refresh;Long-lived graceful restart;");
		assert_false(bird_neighbor_restarts(r, "peer_tor1"));
		weft_buf_truncate(&text, 0);
		bird_each_capability(r, "peer_tor", collect, &text);
		assert_int_equal(text.len, 0);
	}
	assert_true(bird_neighbor_restarts(
	        parse_reply(*state, "1002-a BGP\n1006-  x\n1002-b BGP\n1006-  BGP state: Established\n"
	                            "     Neighbor graceful restart active\n0000 \n"),
	        "b"));
	assert_false(bird_neighbor_restarts(bird_parser_reply(*state), "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(attributes_of_both_versions),
	        TEST(routes_of_one_prefix_have_it_all),
	        TEST(several_tables_and_none),
	        TEST(several_hops_and_attributes_that_go_on),
	        TEST(hostile_lines),
	        TEST(enough_is_enough),
	        TEST(a_streamed_reply_is_not_kept),
	        TEST(capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
