// SPDX-License-Identifier: GPL-2.0-or-later
/* Elements of Services in the table inet weft, and its adoption at a restart, against the real kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/nft_fixture.h"
#include "tests/unit/tmpdir.h"

static char dir[TMPDIR_SIZE], record[TMPDIR_SIZE + 16];

static struct nft_shape services(void)
{
	struct nft_shape s = {.ipip = true,
	                      .local = addr("10.1.1.1"),
	                      .tunnel4 = addr("10.244.0.1"),
	                      .services = true,
	                      .node4 = addr("10.1.1.1"),
	                      .node6 = addr("fd01::1"),
	                      .n_service_cidrs = 4,
	                      .n_pod_cidrs = 2};

	s.service_cidrs[0] = prefix("10.96.1.0/24"); /* in the next one, twice */
	s.service_cidrs[1] = prefix("10.96.0.0/16");
	s.service_cidrs[2] = prefix("10.96.0.0/16");
	s.service_cidrs[3] = prefix("fd96::/112");
	s.pod_cidrs[0] = prefix("10.244.0.0/16");
	s.pod_cidrs[1] = prefix("fd44::/48");
	return s;
}

static struct nft *begin(const char *path)
{
	struct nft_shape shape = services();
	struct nft *n = nft_new(path, NULL);

	assert_non_null(n);
	nft_want(n, &shape);
	return n;
}

static int setup(void **state)
{
	*state = begin(NULL);
	tmpdir_make(dir);
	snprintf(record, sizeof(record), "%s/nft.listing", dir);
	return 0;
}

static int teardown(void **state)
{
	nft_free(*state);
	tmpdir_remove(dir);
	return netns_run("nft flush ruleset", NULL, 0);
}

/* One element of each set and family. */
static void want_one_of_each(struct nft *n)
{
	for (int six = 0; six < 2; six++) {
		const char *vip = six ? "fd20::1" : "10.20.0.1", *pod = six ? "fd44::7" : "10.244.0.7";

		want(n, element(SVC_SET_VIP, vip, 0));
		want(n, element(SVC_SET_MASQ, vip, 80));
		want(n, etpl(vip, 81, 0x57000001));
		want(n, element(SVC_SET_DROP, vip, 82));
		want(n, element(SVC_SET_REFUSE, six ? "fd01::1" : "10.1.1.1", 30001));
		want(n, element(SVC_SET_RANGED, vip, 83));
		want(n, range(vip, 83, six ? "fd00::/8" : "0.0.0.0/0"));
		want(n, range(vip, 84, six ? "fd33::1/128" : "11.0.0.1/32"));
		want(n, element(SVC_SET_HAIRPIN, pod, 0));
	}
}

static void every_set_takes_its_elements(void **state)
{
	struct nft *n = *state;

	want_one_of_each(n);
	apply(n);
	assert_true(nft_settled(n));
	set_shows("vip4", "elements = { 10.20.0.1 }", true);
	set_shows("vip6", "elements = { fd20::1 }", true);
	set_shows("masq4", "elements = { 10.20.0.1 . 6 . 80 }", true);
	set_shows("masq6", "elements = { fd20::1 . 6 . 80 }", true);
	set_shows("etpl4", "elements = { 10.20.0.1 . 6 . 81 : 0x57000001 }", true);
	set_shows("etpl6", "elements = { fd20::1 . 6 . 81 : 0x57000001 }", true);
	set_shows("drop4", "elements = { 10.20.0.1 . 6 . 82 }", true);
	set_shows("refuse6", "elements = { fd01::1 . 6 . 30001 }", true);
	set_shows("ranged4", "elements = { 10.20.0.1 . 6 . 83 }", true);
	set_shows("source4", "10.20.0.1 . 6 . 83 . 0.0.0.0/0", true);
	set_shows("source4", "10.20.0.1 . 6 . 84 . 11.0.0.1 ", true);
	set_shows("source6", "fd20::1 . 6 . 83 . fd00::/8", true);
	set_shows("hairpin4", "elements = { 10.244.0.7 . 10.244.0.7 }", true);
	set_shows("hairpin6", "elements = { fd44::7 . fd44::7 }", true);
	/* And all of it is understood when it is read back. */
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_stats(n).elements, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        T(every_set_takes_its_elements),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
