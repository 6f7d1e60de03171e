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

static void owners_are_counted(void **state)
{
	struct svc_element e = element(SVC_SET_VIP, "10.20.0.1", 0),
	                   never = element(SVC_SET_VIP, "10.20.0.2", 0);
	struct nft *n = *state;

	apply(n);
	want(n, e);
	want(n, e);
	want(n, never);
	unwant(n, never);
	unwant(n, never); /* once too often */
	apply(n);
	assert_int_equal(nft_stats(n).element_updates, 1);
	unwant(n, e);
	assert_true(nft_settled(n));
	apply(n);
	set_shows("vip4", "elements = { 10.20.0.1 }", true);
	unwant(n, e);
	assert_false(nft_settled(n));
	assert_true(nft_deadline(n) <= now + 1000);
	apply(n);
	set_shows("vip4", "elements", false);
	assert_int_equal(nft_stats(n).element_updates, 2);
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_stats(n).elements, 0);
}

static void what_was_wanted_and_unwanted_costs_nothing(void **state)
{
	struct nft *n = *state;
	struct nft_watch *w;

	want_one_of_each(n);
	apply(n);
	w = nft_watch_open(NULL);
	want(n, range("10.20.0.9", 80, "11.0.0.0/8"));
	unwant(n, range("10.20.0.9", 80, "11.0.0.0/8"));
	unwant(n, element(SVC_SET_VIP, "10.20.0.1", 0));
	want(n, element(SVC_SET_VIP, "10.20.0.1", 0));
	unwant(n, etpl("10.20.0.1", 81, 0x57000001));
	want(n, etpl("10.20.0.1", 81, 0x57000002));
	want(n, etpl("10.20.0.1", 81, 0x57000001));
	apply(n);
	assert_false(nft_watch_read(w));
	assert_int_equal(nft_stats(n).element_updates, 0);
	assert_true(nft_settled(n));
	assert_true(nft_deadline(n) == NFT_NEVER);
	nft_watch_close(w);
}

static void another_mark_is_one_transaction(void **state)
{
	struct nft *n = *state;

	want(n, etpl("10.20.0.1", 80, 0x57000001));
	want(n, etpl("10.20.0.2", 80, 0x57000002));
	apply(n);
	want(n, etpl("10.20.0.1", 80, 0x57000003));
	unwant(n, etpl("10.20.0.2", 80, 0x57000002));
	want(n, etpl("fd20::3", 80, 0x57000004));
	apply(n);
	set_shows("etpl4", "elements = { 10.20.0.1 . 6 . 80 : 0x57000003 }", true);
	set_shows("etpl6", "elements = { fd20::3 . 6 . 80 : 0x57000004 }", true);
	assert_int_equal(nft_stats(n).element_updates, 1);
	assert_int_equal(nft_stats(n).replacements, 1);
	unwant(n, etpl("10.20.0.1", 80, 0x57000001)); /* the second owner stays, whatever its mark */
	apply(n);
	set_shows("etpl4", "elements = { 10.20.0.1 . 6 . 80 : 0x57000003 }", true);
}

/* S20: the kernel refuses a range that lies in another one, and all of the transaction with it. */
static void ranges_may_lie_in_others(void **state)
{
	struct nft *n = *state;

	want(n, range("10.20.0.1", 80, "10.1.2.0/24"));
	apply(n);
	want(n, range("10.20.0.1", 80, "10.0.0.0/8"));
	want(n, range("10.20.0.1", 80, "10.1.0.0/16"));
	want(n, range("10.20.0.1", 81, "10.1.0.0/16")); /* another destination */
	want(n, element(SVC_SET_VIP, "10.20.0.1", 0));
	apply(n);
	set_shows("source4", "10.20.0.1 . 6 . 80 . 10.0.0.0/8", true);
	set_shows("source4", "10.20.0.1 . 6 . 81 . 10.1.0.0/16", true);
	set_shows("source4", "80 . 10.1", false);
	unwant(n, range("10.20.0.1", 80, "10.0.0.0/8"));
	apply(n);
	set_shows("source4", "10.20.0.1 . 6 . 80 . 10.1.0.0/16", true);
	set_shows("source4", "10.0.0.0/8", false);
	set_shows("source4", "10.1.2.0", false);
	unwant(n, range("10.20.0.1", 80, "10.1.0.0/16"));
	unwant(n, range("10.20.0.1", 81, "10.1.0.0/16"));
	apply(n);
	set_shows("source4", "elements = { 10.20.0.1 . 6 . 80 . 10.1.2.0/24 }", true);
	assert_int_equal(nft_stats(n).element_updates, 3);
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
}

/* Many orders of wide and narrow ranges: never refused, and what is there is what is meant to be. */
static void ranges_in_any_order(void **state)
{
	struct nft *n = *state;
	unsigned owners[64] = {0};
	uint32_t random = 7;

	for (int turn = 0; turn < 60; turn++) {
		for (int i = 0; i < 4; i++) {
			unsigned k = (random = random * 1103515245 + 12345) >> 16 & 63;
			struct weft_addr a =
			        weft_addr_add(&(struct weft_addr){.family = AF_INET, .bytes = {10}},
			                      (uint64_t)(k & 7) << 21);
			struct svc_element e = range("10.20.0.1", 80, "10.0.0.0/8");

			e.source = weft_prefix_mask(&a, (uint8_t)(8 + (k >> 3)));
			owners[k] ? unwant(n, e) : want(n, e);
			owners[k] = !owners[k];
		}
		apply(n);
		assert_int_equal(nft_resync(n, NULL), 0);
		assert_true(nft_settled(n));
	}
	assert_int_equal(nft_stats(n).replacements, 1);
}

static void what_is_no_element_is_ignored(void **state)
{
	struct svc_element bad[] = {
	        element(SVC_SET_COUNT, "10.20.0.1", 0), element(SVC_SET_VIP, "10.20.0.1", 80),
	        element(SVC_SET_MASQ, "10.20.0.1", 0),  element(SVC_SET_SOURCE, "10.20.0.1", 80),
	        range("10.20.0.1", 80, "fd00::/8"),     range("10.20.0.1", 80, "10.0.0.0/8"),
	        range("10.20.0.1", 80, "10.0.0.0/8"),   element(SVC_SET_MASQ, "10.20.0.1", 80),
	        element(SVC_SET_MASQ, "10.20.0.1", 80), element(250, "10.20.0.1", 0),
	};
	struct nft *n = *state;

	bad[5].source.len = 4; /* host bits */
	bad[6].source.len = 33;
	bad[7].proto = IPPROTO_ICMP;
	bad[8].addr.family = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		want(n, bad[i]);
		unwant(n, bad[i]);
		want(n, bad[i]);
	}
	want(n, element(SVC_SET_MASQ, "10.20.0.1", 80));
	apply(n);
	assert_int_equal(nft_stats(n).elements, 1);
	assert_true(nft_settled(n));
}

static void alterations_of_elements_are_undone(void **state)
{
	static const char *const deeds[] = {
	        "nft delete element inet weft vip4 '{ 10.20.0.1 }'",
	        "nft add element inet weft vip6 '{ 2001:db8::1 }'",
	        "nft \"delete element inet weft etpl4 { 10.20.0.1 . 6 . 81 }; add element inet weft etpl4 { 10.20.0.1 . 6 . 81 : 0x1 }\"",
	        "nft flush set inet weft source4",
	        "nft add element inet weft source4 '{ 10.20.0.1 . 6 . 84 . 1.0.0.0-1.0.0.2 }'",
	        "nft add element inet weft hairpin4 '{ 1.2.3.4 . 1.2.3.5 }'",
	        "nft flush chain inet weft judge",
	};
	static char before[64 * 1024], after[64 * 1024];
	struct nft *n = *state;

	want_one_of_each(n);
	apply(n);
	netns_run("nft -s list table inet weft", before, sizeof(before));
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		netns_sh(deeds[i]);
		nft_on_readable(n);
		assert_false(nft_settled(n));
		apply(n);
		assert_true(nft_settled(n));
		netns_run("nft -s list table inet weft", after, sizeof(after));
		assert_string_equal(after, before);
	}
	assert_int_equal(nft_stats(n).replacements, 4);
	assert_int_equal(nft_stats(n).element_updates, 4);
}

static void services_come_and_go(void **state)
{
	struct nft_shape with = services(), without = services();
	struct nft *n = *state;

	without.services = false;
	want_one_of_each(n);
	apply(n);
	nft_want(n, &without);
	assert_false(nft_settled(n));
	want(n, element(SVC_SET_VIP, "10.20.0.9", 0));
	apply(n);
	assert_true(nft_settled(n));
	shows("nft list table inet weft", "vip4", false);
	shows("nft list table inet weft", "hook output", false);
	unwant(n, element(SVC_SET_VIP, "10.20.0.1", 0));
	nft_want(n, &with);
	nft_want(n, &without);
	assert_true(nft_settled(n));
	nft_want(n, &with);
	apply(n);
	nft_want(n, &without);
	want(n, element(SVC_SET_VIP, "fd20::9", 0)); /* meant for sets that will be there after all */
	nft_want(n, &with);
	apply(n);
	set_shows("vip6", "fd20::9", true);
	set_shows("vip4", "elements = { 10.20.0.9 }", true);
	set_shows("hairpin6", "fd44::7", true);
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
	assert_int_equal(nft_stats(n).replacements, 3);
}

/* Whatever decides a rule makes another table. */
static void each_part_of_the_shape_counts(void **state)
{
	struct nft_shape shapes[] = {services(), services(), services(), services(), services()};
	struct nft *n = *state;

	shapes[0].masquerade_all = true;
	shapes[1].node4 = addr("10.1.1.2");
	shapes[2].node6 = addr("fd01::2");
	shapes[3].service_cidrs[1] = prefix("10.97.0.0/16");
	shapes[4].pod_cidrs[1] = prefix("fd45::/48");
	apply(n);
	for (unsigned i = 0; i < 5; i++) {
		nft_want(n, &shapes[i]);
		apply(n);
		assert_int_equal(nft_stats(n).replacements, i + 2);
	}
}

/* --- a restart --- */

static struct nft *reborn(void **state)
{
	nft_free(*state);
	return *state = begin(record);
}

static void first_life(void **state)
{
	struct nft *n = reborn(state);

	want_one_of_each(n);
	nft_want_peer(n, &(struct weft_addr){.family = AF_INET, .bytes = {10, 1, 1, 5}});
	apply(n);
	nft_sweep(n);
	apply(n);
	assert_int_equal(nft_stats(n).replacements, 1);
	assert_int_equal(nft_stats(n).element_updates, 0);
}

static void a_restart_writes_nothing(void **state)
{
	struct weft_addr peer = addr("10.1.1.5");
	struct nft_watch *w;
	struct nft *n;

	first_life(state);
	w = nft_watch_open(NULL);
	n = reborn(state);
	assert_false(nft_settled(n));
	assert_int_equal(nft_resync(n, NULL), 0);
	apply(n); /* before anything is said */
	want_one_of_each(n);
	nft_want_peer(n, &peer);
	apply(n);
	nft_sweep(n);
	apply(n);
	netns_sh("nft add table ip theirs"); /* somebody else's is nothing to us */
	nft_on_readable(n);
	assert_true(nft_settled(n));
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
	assert_false(nft_watch_read(w));
	assert_int_equal(nft_stats(n).replacements + nft_stats(n).element_updates, 0);
	nft_watch_close(w);
}

static void left_overs_stay_until_the_sweep(void **state)
{
	struct nft *n;

	first_life(state);
	n = reborn(state);
	want(n, element(SVC_SET_VIP, "10.20.0.9", 0));
	want(n, etpl("10.20.0.1", 81, 0x57000009)); /* the same key, another mark: at once */
	apply(n);
	set_shows("vip4", "elements = { 10.20.0.1, 10.20.0.9 }", true);
	set_shows("etpl4", "elements = { 10.20.0.1 . 6 . 81 : 0x57000009 }", true);
	set_shows("etpl6", "elements = { fd20::1 . 6 . 81 : 0x57000001 }", true);
	set_shows("peer4", "10.1.1.5", true);
	unwant(n, element(SVC_SET_VIP, "fd20::1", 0)); /* nobody wanted it in this life */
	want(n, element(SVC_SET_HAIRPIN, "fd44::7", 0));
	unwant(n, element(SVC_SET_HAIRPIN, "fd44::7", 0)); /* this one was spoken of */
	want(n, range("10.20.0.1", 84, "11.0.0.0/8"));     /* a left-over lies in it */
	apply(n);
	set_shows("source4", "10.20.0.1 . 6 . 84 . 11.0.0.0/8", true);
	set_shows("vip6", "elements = { fd20::1 }", true);
	set_shows("hairpin6", "elements", false);
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
	nft_sweep(n);
	assert_false(nft_settled(n));
	apply(n);
	set_shows("vip4", "elements = { 10.20.0.9 }", true);
	set_shows("vip6", "elements", false);
	set_shows("etpl6", "elements", false);
	set_shows("source4", "elements = { 10.20.0.1 . 6 . 84 . 11.0.0.0/8 }", true);
	set_shows("peer4", "elements", false);
	assert_int_equal(nft_stats(n).replacements, 0);
	assert_int_equal(nft_stats(n).element_updates, 3);
}

/* No gap for a Service that is not planned yet, although the rules have to change. */
static void other_rules_keep_left_overs(void **state)
{
	struct nft_shape other = services();
	struct nft *n;

	first_life(state);
	other.node4 = addr("10.1.1.2");
	n = reborn(state);
	nft_want(n, &other);
	apply(n);
	assert_int_equal(nft_stats(n).replacements, 1);
	set_shows("vip4", "elements = { 10.20.0.1 }", true);
	set_shows("etpl6", "0x57000001", true);
	shows("nft list table inet weft", "snat ip to 10.1.1.2", true);
	nft_sweep(n);
	apply(n);
	set_shows("vip4", "elements", false);
}

static void without_a_good_record_the_rules_are_made_anew(void **state)
{
	static const char *const deeds[] = {
	        "rm $R",
	        ": >$R",
	        "printf 'text zz\nlisting zz\n' >$R",
	        "head -c 70 $R >$R.cut && mv $R.cut $R",
	        "rm $R; mkdir $R; : >$R/x; nft flush chain inet weft source",
	        "rm -r $R; nft insert rule inet weft source accept",
	        "nft add chain inet weft mine",
	};
	char command[256];
	struct nft *n;

	first_life(state);
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		snprintf(command, sizeof(command), "R=%s; %s", record, deeds[i]);
		netns_sh(command);
		n = reborn(state);
		apply(n);
		assert_int_equal(nft_stats(n).replacements, 1);
		set_shows("vip4", "elements = { 10.20.0.1 }", true);
		shows("nft list table inet weft", "mine", false);
		if (i == 4)
			continue; /* it could not be written either */
		n = reborn(state);
		apply(n);
		assert_int_equal(nft_stats(n).replacements, 0);
	}
	snprintf(command, sizeof(command), "stat -c %%a %s", record);
	shows(command, "600", true);
}

static void a_vanished_table_is_made(void **state)
{
	struct nft *n;

	first_life(state);
	netns_sh("nft delete table inet weft");
	n = reborn(state);
	want(n, element(SVC_SET_VIP, "10.20.0.9", 0));
	apply(n);
	set_shows("vip4", "elements = { 10.20.0.9 }", true);
	assert_int_equal(nft_stats(n).replacements, 1);
}

/* --- size --- */

#define MANY 20000

static void want_many(struct nft *n)
{
	struct svc_element e = element(SVC_SET_VIP, "10.20.0.0", 0),
	                   masq = element(SVC_SET_MASQ, "10.20.0.0", 80),
	                   mark = etpl("fd20::1", 81, 0x57000001),
	                   source = range("10.20.0.0", 80, "10.0.0.0/8");

	for (int i = 0; i < MANY / 4; i++) {
		want(n, e);
		want(n, masq);
		want(n, mark);
		want(n, source);
		e.addr = weft_addr_add(&e.addr, 1);
		masq.addr = weft_addr_add(&masq.addr, 1);
		mark.addr = weft_addr_add(&mark.addr, 1);
		source.addr = weft_addr_add(&source.addr, 1);
	}
}

static void twenty_thousand_elements(void **state)
{
	struct nft *n = reborn(state);

	apply(n);
	want_many(n);
	apply(n);
	assert_true(nft_settled(n));
	assert_int_equal(nft_stats(n).element_updates, 1);
	assert_int_equal(nft_stats(n).elements, MANY);
	want(n, element(SVC_SET_VIP, "10.30.0.1", 0));
	apply(n);
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
	n = reborn(state);
	want_many(n);
	apply(n);
	assert_int_equal(nft_stats(n).element_updates + nft_stats(n).replacements, 0);
	nft_sweep(n);
	apply(n);
	assert_int_equal(nft_stats(n).element_updates, 1);
	assert_int_equal(nft_resync(n, NULL), 0);
	assert_true(nft_settled(n));
}

/* --- H11 --- */

static void other_firewalls_are_found(void **state)
{
	static const struct {
		const char *command, *says;
	} cases[] = {
	        {"add table ip a; add chain ip a in { type filter hook input priority 0; policy accept; }",
	         ""},
	        {"add table ip b; add chain ip b forward { type filter hook forward priority 0; policy drop; }",
	         ""},
	        {"add table arp c; add chain arp c in { type filter hook input priority 0; policy drop; }",
	         ""},
	        {"add table bridge d; add chain bridge d in { type filter hook input priority 0; policy drop; }",
	         ""},
	        {"add chain inet weft in { type filter hook input priority 7; policy drop; }", ""},
	        {"add table ip6 e; add chain ip6 e INPUT { type filter hook input priority 0; policy drop; }",
	         "the chain INPUT of the nftables table ip6 e drops"},
	        {"delete table ip6 e; add table inet f; add chain inet f x; "
	         "add chain inet f in { type filter hook input priority -300; policy drop; }",
	         "the chain in of the nftables table inet f drops"},
	};
	struct nft *n = *state;
	char text[256], command[512];

	apply(n);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(command, sizeof(command), "nft '%s'", cases[i].command);
		netns_sh(command);
		assert_int_equal(nft_foreign_input_drop(n, text, NULL), 0);
		if (strncmp(text, cases[i].says, strlen(cases[i].says)) != 0 ||
		    (!cases[i].says[0] && text[0]))
			fail_msg("%s: \"%s\"", cases[i].command, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        T(every_set_takes_its_elements),
	        T(owners_are_counted),
	        T(what_was_wanted_and_unwanted_costs_nothing),
	        T(another_mark_is_one_transaction),
	        T(ranges_may_lie_in_others),
	        T(ranges_in_any_order),
	        T(what_is_no_element_is_ignored),
	        T(alterations_of_elements_are_undone),
	        T(services_come_and_go),
	        T(each_part_of_the_shape_counts),
	        T(a_restart_writes_nothing),
	        T(left_overs_stay_until_the_sweep),
	        T(other_rules_keep_left_overs),
	        T(without_a_good_record_the_rules_are_made_anew),
	        T(a_vanished_table_is_made),
	        T(twenty_thousand_elements),
	        T(other_firewalls_are_found),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
