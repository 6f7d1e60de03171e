// SPDX-License-Identifier: GPL-2.0-or-later
/* Which endpoints a port of a Service has, and which of them get traffic: S6 to S9, S11, S12, S25, S30. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/plan/endpoints.h"
#include "tests/unit/service_objects.h"
#include "weft/buf.h"

static const struct endpoints_env here = {.node = "a", .zone = "z1"};

struct one_slice {
	const char *ports, *endpoints;
};

/* ADDRESS:PORT and +c (Cluster), +l (Local); blanks between. */
static char *text_of(const struct endpoints *e)
{
	struct weft_buf b = {0};
	char ip[WEFT_ADDR_STR];

	for (size_t i = 0; i < e->n; i++)
		weft_buf_printf(&b, "%s%s:%u%s%s", i ? " " : "", weft_addr_str(&e->items[i].addr, ip),
		                e->items[i].port, e->items[i].in_cluster ? "+c" : "",
		                e->items[i].in_local ? "+l" : "");
	weft_buf_str(&b, "");
	return weft_buf_take(&b);
}

static void chosen(const struct one_slice *in, size_t n, uint8_t family, const char *port, uint8_t protocol,
                   const struct endpoints_env *env, struct endpoints *out)
{
	struct weft_object *objs[8];
	const struct weft_endpointslice *slices[8];
	char key[32];

	assert_true(n <= 8);
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "ns/web-%zu", i);
		objs[i] = slice(key, "web", in[i].ports, in[i].endpoints);
		slices[i] = &objs[i]->endpointslice;
	}
	endpoints_choose(slices, n, family, port, protocol, env, out);
	for (size_t i = 0; i < out->n; i++)
		out->items[i].node = NULL; /* it was borrowed */
	for (size_t i = 0; i < n; i++)
		weft_object_free(objs[i]);
}

static void expect(const char *rule, const struct one_slice *in, size_t n, const char *want)
{
	struct endpoints e;
	weft_autofree char *got = NULL;

	chosen(in, n, AF_INET, "http", IPPROTO_TCP, &here, &e);
	got = text_of(&e);
	endpoints_free(&e);
	if (strcmp(got, want))
		fail_msg("%s: %s\ngot  %s\nwant %s", rule, in[0].endpoints, got, want);
}

/* One slice with the port http:8080/TCP, seen from node a in zone z1. */
static const struct {
	const char *rule, *endpoints, *want;
} table[] = {
        {"S11 ready ones", "10.0.0.2@b 10.0.0.1@a", "10.0.0.1:8080+c+l 10.0.0.2:8080+c"},
        {"S11 an unready one is never used", "10.0.0.1@a/ 10.0.0.2@b", "10.0.0.1:8080 10.0.0.2:8080+c"},
        {"S11 nor a serving one that is not terminating", "10.0.0.1@a/s", "10.0.0.1:8080"},
        {"S11 nor a terminating one that does not serve", "10.0.0.1@a/t", "10.0.0.1:8080"},
        {"S11 terminating ones wait for the ready", "10.0.0.1@a/st 10.0.0.2@b",
         "10.0.0.1:8080+l 10.0.0.2:8080+c"},
        {"S11 all of them if nothing is ready", "10.0.0.1@a/st 10.0.0.2@b/st 10.0.0.3@b/",
         "10.0.0.1:8080+c+l 10.0.0.2:8080+c 10.0.0.3:8080"},
        {"S11 Local prefers its ready", "10.0.0.1@a/st 10.0.0.2@a", "10.0.0.1:8080 10.0.0.2:8080+c+l"},
        {"S11 ready although terminating (published)", "10.0.0.1@a/rst 10.0.0.2@b",
         "10.0.0.1:8080+c+l 10.0.0.2:8080+c"},
        {"S9 without a node it is not local", "10.0.0.1", "10.0.0.1:8080+c"},
        {"S12 zone", "10.0.0.1@a~z2 10.0.0.2@b~z1", "10.0.0.1:8080+l 10.0.0.2:8080+c"},
        {"S12 zone: one without hint", "10.0.0.1@a 10.0.0.2@b~z1", "10.0.0.1:8080+c+l 10.0.0.2:8080+c"},
        {"S12 zone: none names ours", "10.0.0.1@a~z2 10.0.0.2@b~z3", "10.0.0.1:8080+c+l 10.0.0.2:8080+c"},
        {"S12 hints of unready ones do not count", "10.0.0.1@b/ 10.0.0.2@b~z1 10.0.0.3@b~z2",
         "10.0.0.1:8080 10.0.0.2:8080+c 10.0.0.3:8080"},
        {"S12 an unready one does not make the zone ours", "10.0.0.1@b/~z1 10.0.0.2@b~z2",
         "10.0.0.1:8080 10.0.0.2:8080+c"},
        {"S12 node before zone", "10.0.0.1@b~z1^a 10.0.0.2@b~z1^b", "10.0.0.1:8080+c 10.0.0.2:8080"},
        {"S12 no node hint for us: zone", "10.0.0.1@b~z1^c 10.0.0.2@b~z2^b", "10.0.0.1:8080+c 10.0.0.2:8080"},
        {"S12 node hints incomplete: zone", "10.0.0.1@b~z2^a 10.0.0.2@b~z1", "10.0.0.1:8080 10.0.0.2:8080+c"},
        {"S11 terminating ones: hints are ignored", "10.0.0.1@b/st~z1 10.0.0.2@b/st~z2",
         "10.0.0.1:8080+c 10.0.0.2:8080+c"},
        {"S12 never for Local", "10.0.0.1@a~z2 10.0.0.2@a~z1", "10.0.0.1:8080+l 10.0.0.2:8080+c+l"},
        {"S6 what no other machine can have", "127.0.0.1@a 0.0.0.0@a 224.0.0.1@a 169.254.0.1@a 10.0.0.1@a",
         "10.0.0.1:8080+c+l"},
        {"nothing", "", ""},
};

static void one_slice_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(table); i++) {
		struct one_slice in = {"http:8080/TCP", table[i].endpoints};

		expect(table[i].rule, &in, 1, table[i].want);
	}
}

static void s7_union_of_slices_with_their_own_ports(void **state)
{
	static const struct one_slice in[] = {{"http:8080/TCP", "10.0.0.2@b"},
	                                      {"http:9090/TCP metrics:1/TCP", "10.0.0.1@a 10.0.0.2@b"}};

	(void)state;
	expect("S7", in, 2, "10.0.0.1:9090+c+l 10.0.0.2:8080+c 10.0.0.2:9090+c");
}

static void s6_only_the_named_port_of_that_protocol(void **state)
{
	static const struct one_slice in[] = {{"http:8080/UDP", "10.0.0.1@a"},
	                                      {"https:8080/TCP", "10.0.0.2@a"},
	                                      {"http:0/TCP", "10.0.0.3@a"},
	                                      {"8080/TCP", "10.0.0.4@a"},
	                                      {"", "10.0.0.5@a"}};
	struct endpoints e;

	(void)state;
	expect("S6", in, 5, "");
	chosen(in, 5, AF_INET, "http", IPPROTO_UDP, &here, &e);
	assert_int_equal(e.n, 1);
	endpoints_free(&e);
	chosen(in, 5, AF_INET, "", IPPROTO_TCP, &here, &e);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.items[0].addr.bytes[3], 4);
	endpoints_free(&e);
}

static void s6_s30_families_do_not_mix(void **state)
{
	static const struct one_slice in[] = {{"http:80/TCP", "10.0.0.1@a"}, {"http:80/TCP", "fd00::1@a"}};
	/* addressType IPv6 with an IPv4 address in it */
	static const struct one_slice mixed[] = {{"http:80/TCP", "10.0.0.1@a fd00::2@b"}};
	struct endpoints e;
	weft_autofree char *text = NULL, *second = NULL;

	(void)state;
	expect("S6", in, 2, "10.0.0.1:80+c+l");
	chosen(in, 2, AF_INET6, "http", IPPROTO_TCP, &here, &e);
	text = text_of(&e);
	assert_string_equal(text, "fd00::1:80+c+l");
	endpoints_free(&e);
	expect("S6", mixed, 1, "");
	chosen(mixed, 1, AF_INET6, "http", IPPROTO_TCP, &here, &e);
	second = text_of(&e);
	assert_string_equal(second, "fd00::2:80+c");
	endpoints_free(&e);
}

static void s8_duplicates(void **state)
{
	static const struct one_slice late[] = {{"http:80/TCP", "10.0.0.1@a/st"},
	                                        {"http:80/TCP", "10.0.0.1@b"}};
	static const struct one_slice early[] = {{"http:80/TCP", "10.0.0.1@b"},
	                                         {"http:80/TCP", "10.0.0.1@a/st"}};
	static const struct one_slice unready[] = {{"http:80/TCP", "10.0.0.1@a/rst"},
	                                           {"http:80/TCP", "10.0.0.1@a/"}};
	static const struct one_slice ports[] = {{"http:80/TCP", "10.0.0.1@a"},
	                                         {"http:81/TCP", "10.0.0.1@a"}};

	(void)state;
	expect("S8: not the terminating one", late, 2, "10.0.0.1:80+c");
	expect("S8: in any order", early, 2, "10.0.0.1:80+c");
	expect("S8: even when that one is unready", unready, 2, "10.0.0.1:80");
	expect("S8: another port is another endpoint", ports, 2, "10.0.0.1:80+c+l 10.0.0.1:81+c+l");
}

/* Whatever order the slices have, the result is the same. */
static void s7_order_means_nothing(void **state)
{
	static const struct one_slice in[] = {{"http:80/TCP", "10.0.0.3@a 10.0.0.1@b/st"},
	                                      {"http:80/TCP", "10.0.0.1@a 10.0.0.2@b"},
	                                      {"http:80/TCP", "10.0.0.2@a 10.0.0.1@b/st"}};
	static const unsigned char orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(orders); i++) {
		struct one_slice turned[] = {in[orders[i][0]], in[orders[i][1]], in[orders[i][2]]};

		expect("S7", turned, 3, "10.0.0.1:80+c+l 10.0.0.2:80+c+l 10.0.0.3:80+c+l");
	}
}

static void counts(const char *endpoints, size_t cluster, size_t local, size_t usable, size_t local_ready)
{
	struct one_slice in[] = {{"http:80/TCP http:81/TCP", endpoints}};
	struct endpoints e;

	chosen(in, 1, AF_INET, "http", IPPROTO_TCP, &here, &e);
	assert_int_equal(e.n_cluster, cluster);
	assert_int_equal(e.n_local, local);
	assert_int_equal(e.n_usable, usable);
	assert_int_equal(e.n_local_ready, local_ready);
	endpoints_free(&e);
}

/* S14 and S15 are told apart by n_usable; S25 counts addresses, not ports. */
static void s14_s15_s25_counts(void **state)
{
	(void)state;
	counts("", 0, 0, 0, 0);
	counts("10.0.0.1@b", 2, 0, 2, 0);
	counts("10.0.0.1@b/st", 2, 0, 2, 0);
	counts("10.0.0.1@b/s 10.0.0.2@b/t 10.0.0.3@b/", 0, 0, 0, 0);
	counts("10.0.0.1@a 10.0.0.2@a 10.0.0.3@a/st", 4, 4, 6, 2);
	counts("10.0.0.1@a/st", 2, 2, 2, 0);
	counts("10.0.0.1@b~z2 10.0.0.2@b~z1", 2, 0, 4, 0);
}

static void s12_a_node_without_zone_ignores_zones(void **state)
{
	static const struct one_slice in[] = {{"http:80/TCP", "10.0.0.1@b~z1 10.0.0.2@b~"}};
	struct endpoints_env nowhere = {.node = "a"};
	struct endpoints e;

	(void)state;
	chosen(in, 1, AF_INET, "http", IPPROTO_TCP, &nowhere, &e);
	assert_int_equal(e.n_cluster, 2);
	endpoints_free(&e);
}

static void s9_says_where_an_endpoint_is(void **state)
{
	struct weft_object *o = slice("ns/web-1", "web", "http:80/TCP", "10.0.0.1@a 10.0.0.2@b 10.0.0.3");
	const struct weft_endpointslice *s = &o->endpointslice;
	struct endpoints e;

	(void)state;
	endpoints_choose(&s, 1, AF_INET, "http", IPPROTO_TCP, &here, &e);
	assert_int_equal(e.n, 3);
	assert_true(e.items[0].local && !e.items[1].local && !e.items[2].local);
	assert_string_equal(e.items[0].node, "a");
	assert_string_equal(e.items[1].node, "b");
	assert_null(e.items[2].node);
	assert_int_equal(e.items[0].conditions, WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING);
	endpoints_free(&e);
	assert_null(e.items);
	weft_object_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_slice_in_every_state),
	        cmocka_unit_test(s7_union_of_slices_with_their_own_ports),
	        cmocka_unit_test(s6_only_the_named_port_of_that_protocol),
	        cmocka_unit_test(s6_s30_families_do_not_mix),
	        cmocka_unit_test(s8_duplicates),
	        cmocka_unit_test(s7_order_means_nothing),
	        cmocka_unit_test(s14_s15_s25_counts),
	        cmocka_unit_test(s12_a_node_without_zone_ignores_zones),
	        cmocka_unit_test(s9_says_where_an_endpoint_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
