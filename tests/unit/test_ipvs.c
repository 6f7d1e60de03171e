// SPDX-License-Identifier: GPL-2.0-or-later
/* The IPVS reconciler through the kernel seam (fake_ipvs.h): wishes, restarts, ownership. */
#include "tests/unit/ipvs_fixture.h"
#include "tests/unit/tmpdir.h"
#include "weft/cleanup.h"
#include "weft/file.h"

static void test_add_and_remove(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, dest(1, 1), dest(2, 1));
	assert_int_equal(state_of(w, v), IPVS_PENDING);
	assert_int_equal(ipvs_deadline(w->ipvs), 0);
	applies(w, "SDD");
	assert_int_equal(state_of(w, v), IPVS_INSTALLED);
	assert_int_equal(w->kernel.sends, 1);
	assert_true(ipvs_deadline(w->ipvs) == IPVS_NEVER);
	ipvs_sweep(w->ipvs);
	ipvs_unwant(w->ipvs, &v.key);
	assert_false(ipvs_installed(w->ipvs, &v.key));
	applies(w, "x");
	assert_null(in_kernel(w, v));
}

/* The same again costs nothing; neither does another order, nor a duplicate. */
static void test_same_again(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, dest(1, 1), dest(2, 1));
	applies(w, "SDD");
	WANT(w, v, dest(2, 1), dest(1, 1), dest(2, 1));
	assert_int_equal(state_of(w, v), IPVS_INSTALLED);
	applies(w, "");
	assert_int_equal(ipvs_stats(w->ipvs).dests, 2);
}

/* S24: affinity comes and goes by SET_SERVICE; no destination is touched. A scheduler too. */
static void test_edit_service(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, dest(1, 1), dest(2, 1));
	applies(w, "SDD");
	v.persistence_s = 10800;
	WANT(w, v, dest(1, 1), dest(2, 1));
	applies(w, "s");
	assert_int_equal(in_kernel(w, v)->s.persistence_s, 10800);
	v.persistence_s = 0;
	strcpy(v.scheduler, "mh");
	v.sched_flags = SVC_SCHED_FALLBACK;
	WANT(w, v, dest(1, 1), dest(2, 1));
	applies(w, "s");
	assert_string_equal(in_kernel(w, v)->s.scheduler, "mh");
	assert_int_equal(in_kernel(w, v)->s.sched_flags, SVC_SCHED_FALLBACK);
	assert_int_equal(in_kernel(w, v)->n, 2);
}

/* S11: one endpoint for another: the new one is there before the old one goes. One service is written. */
static void test_replace_endpoint(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, dest(1, 1), dest(2, 1));
	WANT(w, virtual(2), dest(1, 1));
	applies(w, "SDDSD");
	WANT(w, v, dest(2, 1), dest(3, 1));
	applies(w, "Dy");
	assert_int_equal(weight(w, v, 1), -1);
	assert_int_equal(weight(w, v, 3), 1);
}

/* All services grow before the first one shrinks. */
static void test_additions_first(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	WANT(w, virtual(2), dest(1, 1));
	WANT(w, virtual(3), dest(1, 1));
	applies(w, "SDSDSD");
	ipvs_sweep(w->ipvs);
	ipvs_unwant(w->ipvs, KEY(virtual(3)));
	WANT(w, virtual(1), kept(1));
	want(w, virtual(2), NULL, 0);
	WANT(w, virtual(4), dest(4, 1));
	applies(w, "SDdyx");
}

/* H6: a terminating endpoint is drained where the kernel has it, after its successor came, and never added.
 */
static void test_keep_only(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, dest(1, 1));
	applies(w, "SD");
	WANT(w, v, kept(1), dest(2, 1), kept(3));
	applies(w, "Dd");
	assert_int_equal(weight(w, v, 1), 0);
	assert_int_equal(weight(w, v, 3), -1);
	assert_int_equal(state_of(w, v), IPVS_INSTALLED);
	WANT(w, v, dest(1, 1), dest(2, 1), kept(3)); /* it came back: edited, not added */
	applies(w, "d");
	assert_int_equal(weight(w, v, 1), 1);
	WANT(w, v, dest(2, 1));
	applies(w, "y");
}

static bool by_tunnel(struct world *w, struct svc_virtual v)
{
	struct svc_dest d = dest(1, 0);
	struct ipvs_msg_dest m = {.addr = d.addr, .port = d.port};
	struct ipvs_msg_dest *there = fake_dest(in_kernel(w, v), &m);

	assert_non_null(there);
	return there->tunnel;
}

/* How a destination is reached is written, adopted by a restart, and edited when it is another way. */
static void test_tunnel(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);
	struct svc_dest d = dest(1, 1);

	d.tunnel = true;
	WANT(w, v, d);
	applies(w, "SD");
	assert_true(by_tunnel(w, v));
	restart(w);
	WANT(w, v, d);
	applies(w, "");
	WANT(w, v, dest(1, 1));
	applies(w, "d");
	assert_false(by_tunnel(w, v));
	WANT(w, v, d);
	applies(w, "d");
	assert_true(by_tunnel(w, v));
}

/* A duplicate that is wanted wins over one that is only kept. */
static void test_duplicates(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, kept(1), dest(1, 1), kept(1));
	applies(w, "SD");
	assert_int_equal(weight(w, v, 1), 1);
}

/* S29: a restart adopts without a write; what stopped being wanted meanwhile goes at the sweep. */
static void test_restart_adopts(void **state)
{
	struct world *w = *state;
	struct svc_virtual mark = {.key = {.addr = {.family = AF_INET}, .fwmark = 0x57000001},
	                           .scheduler = "mh"};
	struct svc_virtual v6 = {.key = {.addr = {AF_INET6, {0xfd, 0, 0, 1}}, .proto = 17, .port = 53},
	                         .scheduler = "wrr",
	                         .persistence_s = 60};

	for (unsigned n = 0; n < 300; n++)
		WANT(w, virtual(n), dest(n, 1), dest(n + 1, 1), kept(n + 2));
	WANT(w, mark, dest(1, 1));
	want(w, v6, NULL, 0);
	assert_int_equal(apply(w), 0);
	restart(w);
	assert_int_equal(ipvs_state_of(w->ipvs, &mark.key, NULL), IPVS_STALE);
	assert_int_equal(ipvs_stats(w->ipvs).count[IPVS_STALE], 302);
	for (unsigned n = 0; n < 300; n++) {
		if (n != 7)
			WANT(w, virtual(n), dest(n, 1), dest(n + 1, 1), kept(n + 2));
	}
	WANT(w, mark, dest(1, 1));
	want(w, v6, NULL, 0);
	applies(w, "");
	assert_int_equal(ipvs_stats(w->ipvs).count[IPVS_INSTALLED], 301);
	ipvs_sweep(w->ipvs);
	applies(w, "x");
	assert_null(in_kernel(w, virtual(7)));
}

/* A restart finds a kernel that differs: each difference is one message. */
static void test_restart_repairs(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	put_in_kernel(w, v, "wlc");
	put_dest(w, v, 1, 0, false);      /* drained, wanted */
	put_dest(w, v, 2, 1, false);      /* right */
	put_dest(w, v, 3, 1, true);       /* direct routing */
	put_dest(w, v, 4, 1, false);      /* not wanted */
	put_dest(w, v, 5, 100000, false); /* a weight beyond ours */
	put_dest(w, v, 6, 7, false);      /* kept: drained */
	restart(w);
	WANT(w, v, dest(1, 1), dest(2, 1), dest(3, 1), dest(5, 65535), kept(6), dest(7, 1));
	applies(w, "sdddDyd");
	assert_int_equal(weight(w, v, 1), 1);
	assert_int_equal(weight(w, v, 5), 65535);
	assert_int_equal(weight(w, v, 6), 0);
	assert_false(
	        fake_dest(in_kernel(w, v), &(struct ipvs_msg_dest){.addr = dest(3, 0).addr, .port = 8080})
	                ->odd);
}

/* What others did to services as wanted is counted once, when a reading finds it. */
static void test_repairs_are_counted(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1), gone = virtual(2);

	WANT(w, v, dest(1, 1));
	WANT(w, gone, dest(1, 1));
	applies(w, "SDSD");
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_int_equal(ipvs_tally(w->ipvs).repairs, 0);
	put_dest(w, v, 9, 1, false);
	strcpy(in_kernel(w, gone)->s.scheduler, "lc");
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_int_equal(ipvs_tally(w->ipvs).repairs, 2);
	assert_int_equal(ipvs_tally(w->ipvs).count[IPVS_INSTALLED], 0);
	assert_int_equal(apply(w), 0);
	assert_int_equal(ipvs_tally(w->ipvs).count[IPVS_INSTALLED], 2);
	assert_int_equal(ipvs_tally(w->ipvs).repairs, 2);
}

/* A persistence engine, or a subnet's persistence: weft sets neither, so it is taken away. */
static void test_odd_service(void **state)
{
	struct world *w = *state;

	put_in_kernel(w, virtual(1), "rr");
	in_kernel(w, virtual(1))->s.odd = true;
	restart(w);
	want(w, virtual(1), NULL, 0);
	applies(w, "s");
	assert_false(in_kernel(w, virtual(1))->s.odd);
}

/* Foreign services stay, whatever happens; one on a wanted key is adopted and made right. */
static void test_foreign(void **state)
{
	struct world *w = *state;
	struct svc_virtual theirs = virtual(1), wanted = virtual(2), mark = {.scheduler = "rr"};

	theirs.key.addr.bytes[1] = 1; /* 10.1.0.1 */
	wanted.key.addr.bytes[1] = 1;
	memset(&mark.key, 0, sizeof(mark.key));
	mark.key.addr.family = AF_INET;
	mark.key.fwmark = 5;
	put_in_kernel(w, theirs, "lc");
	put_in_kernel(w, mark, "lc");
	put_in_kernel(w, wanted, "lc");
	put_dest(w, theirs, 1, 9, false);
	restart(w);
	assert_int_equal(w->kernel.dumps, 1); /* whose endpoints nobody reads */
	WANT(w, wanted, dest(1, 1));
	ipvs_sweep(w->ipvs);
	assert_int_equal(apply(w), 0);
	assert_string_equal(in_kernel(w, wanted)->s.scheduler, "rr");
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	applies(w, "");
	assert_string_equal(in_kernel(w, theirs)->s.scheduler, "lc");
	assert_int_equal(weight(w, theirs, 1), 9);
	assert_non_null(in_kernel(w, mark));
	ipvs_unwant(w->ipvs, &wanted.key); /* owns() says no, and we did not add it */
	applies(w, "");
	assert_non_null(in_kernel(w, wanted));
}

/* What this process added is ours, although owns() has forgotten the address since. */
static void test_added_is_ours(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	ipvs_sweep(w->ipvs);
	w->own_nothing = true;
	ipvs_unwant(w->ipvs, KEY(virtual(1)));
	applies(w, "x");
}

/* Before the sweep nothing is removed: a source may not have said everything yet. */
static void test_no_removal_before_sweep(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	restart(w);
	applies(w, "");
	assert_int_equal(state_of(w, virtual(1)), IPVS_STALE);
	WANT(w, virtual(1), dest(1, 1));
	applies(w, "");
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
}

/* Whatever holds up the sweep: what was wanted in this life is no left-over when it goes. */
static void test_removal_before_sweep(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	restart(w);
	WANT(w, virtual(1), dest(1, 1));
	assert_int_equal(ipvs_wanted(w->ipvs), 1);
	ipvs_unwant(w->ipvs, KEY(virtual(1)));
	assert_int_equal(ipvs_wanted(w->ipvs), 0);
	applies(w, "x");
	assert_null(in_kernel(w, virtual(1)));
}

/* A service larger than a batch. */
static void test_large(void **state)
{
	struct world *w = *state;
	struct svc_dest d[600];

	for (unsigned n = 0; n < 600; n++)
		d[n] = dest(n, 1);
	want(w, virtual(1), d, 600);
	WANT(w, virtual(2), dest(1, 1));
	assert_int_equal(apply(w), 0);
	assert_int_equal(in_kernel(w, virtual(1))->n, 600);
	assert_int_equal(w->kernel.messages, 603);
	assert_int_equal(w->kernel.sends, 3);
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
	restart(w);
	want(w, virtual(1), d, 600);
	applies(w, "");
	want(w, virtual(1), NULL, 0);
	assert_int_equal(apply(w), 0);
	assert_int_equal(in_kernel(w, virtual(1))->n, 0);
}

/* One apply is bounded. */
static void test_bounded(void **state)
{
	struct world *w = *state;
	struct svc_dest d[600];
	int rc;

	for (unsigned n = 0; n < 600; n++)
		d[n] = dest(n, 1);
	for (unsigned n = 0; n < 20; n++)
		want(w, virtual(n), d, 600);
	rc = ipvs_apply(w->ipvs, w->now, NULL);
	assert_int_equal(rc, 1);
	assert_true(w->kernel.messages <= 2048);
	assert_int_equal(ipvs_deadline(w->ipvs), 0);
	assert_int_equal(apply(w), 0);
	assert_int_equal(ipvs_stats(w->ipvs).count[IPVS_INSTALLED], 20);
	assert_int_equal(ipvs_stats(w->ipvs).writes, 20 * 601);
}

static void test_read(void **state)
{
	struct world *w = *state;
	struct ipvs_service_info info;
	struct svc_virtual v = virtual(1);

	v.persistence_s = 60;
	v.sched_flags = SVC_SCHED_PORT;
	WANT(w, v, dest(1, 3), dest(2, 0));
	applies(w, "SDD");
	assert_int_equal(ipvs_read(w->ipvs, &v.key, &info, NULL), 0);
	assert_string_equal(info.service.scheduler, "rr");
	assert_int_equal(info.service.persistence_s, 60);
	assert_int_equal(info.service.sched_flags, SVC_SCHED_PORT);
	assert_int_equal(info.n, 2);
	assert_int_equal(info.dests[0].weight, 3);
	assert_int_equal(info.dests[1].port, 8080);
	ipvs_service_info_free(&info);
	assert_int_equal(ipvs_read(w->ipvs, KEY(virtual(2)), &info, NULL), -ENOENT);
}

/* S28: written only if they differ. What was there first is put back, over any number of lives. */
static void test_timeouts(void **state)
{
	struct world *w = *state;
	char dir[TMPDIR_SIZE], record[TMPDIR_SIZE + 16];

	tmpdir_make(dir);
	snprintf(record, sizeof(record), "%s/timeouts", dir);
	w->kernel.timeouts[0] = 900;
	w->kernel.timeouts[1] = 120;
	w->kernel.timeouts[2] = 250;
	assert_int_equal(ipvs_restore_timeouts(w->ipvs, record, NULL), 0);
	for (int life = 0; life < 2; life++) {
		assert_int_equal(ipvs_set_timeouts(w->ipvs, 86400 + life, 120, 300, record, NULL), 0);
		assert_int_equal(w->kernel.messages, life + 1);
		assert_int_equal(w->kernel.timeouts[0], 86400 + life);
		assert_int_equal(w->kernel.timeouts[1], 120);
		assert_int_equal(w->kernel.timeouts[2], 300);
		assert_int_equal(ipvs_set_timeouts(w->ipvs, 86400 + life, 120, 300, record, NULL), 0);
		assert_int_equal(w->kernel.messages, life + 1);
	}
	assert_int_equal(ipvs_restore_timeouts(w->ipvs, record, NULL), 1);
	assert_int_equal(w->kernel.timeouts[0], 900);
	assert_int_equal(w->kernel.timeouts[1], 120);
	assert_int_equal(w->kernel.timeouts[2], 250);
	assert_int_equal(access(record, F_OK), -1);
	assert_int_equal(ipvs_restore_timeouts(w->ipvs, record, NULL), 0);
	tmpdir_remove(dir);
}

static void test_timeouts_without_a_sound_record(void **state)
{
	static const char *const damaged[] = {"",
	                                      "900 120 300",
	                                      "900 120\n",
	                                      "900 120 0\n",
	                                      "9 9 9 9\n",
	                                      "-9 120 300\n",
	                                      "900 120 4294967297\n",
	                                      "900  120 300\n",
	                                      "9 9 9\nx",
	                                      "a b c\n",
	                                      " 9 9 9\n",
	                                      "2000001 9 9\n"};
	char dir[TMPDIR_SIZE], record[TMPDIR_SIZE + 16];
	struct world *w = *state;
	struct weft_err err = WEFT_ERR_INIT;

	tmpdir_make(dir);
	snprintf(record, sizeof(record), "%s/no/timeouts", dir);
	w->kernel.timeouts[0] = 900;
	assert_true(ipvs_set_timeouts(w->ipvs, 86400, 120, 300, record, &err) < 0);
	assert_int_equal(w->kernel.timeouts[0], 900); /* nobody could put it back */
	snprintf(record, sizeof(record), "%s/timeouts", dir);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(damaged); i++) {
		assert_int_equal(weft_file_replace(record, damaged[i], strlen(damaged[i]), 0600, NULL), 0);
		if (ipvs_restore_timeouts(w->ipvs, record, &err) != -EINVAL)
			fail_msg("taken: \"%s\"", damaged[i]);
		assert_non_null(strstr(err.text, "timeouts"));
		assert_int_equal(access(record, F_OK), 0);
	}
	assert_int_equal(w->kernel.messages, 0);
	tmpdir_remove(dir);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(test_add_and_remove),
	        T(test_same_again),
	        T(test_edit_service),
	        T(test_replace_endpoint),
	        T(test_additions_first),
	        T(test_keep_only),
	        T(test_tunnel),
	        T(test_duplicates),
	        T(test_restart_adopts),
	        T(test_restart_repairs),
	        T(test_odd_service),
	        T(test_foreign),
	        T(test_repairs_are_counted),
	        T(test_added_is_ours),
	        T(test_no_removal_before_sweep),
	        T(test_removal_before_sweep),
	        T(test_large),
	        T(test_bounded),
	        T(test_read),
	        T(test_timeouts),
	        T(test_timeouts_without_a_sound_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
