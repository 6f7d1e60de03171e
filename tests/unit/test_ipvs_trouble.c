// SPDX-License-Identifier: GPL-2.0-or-later
/* The IPVS reconciler when the kernel refuses, contradicts, forgets or loses its answers: fake_ipvs.h fails
 * on demand. */
#include "tests/unit/ipvs_fixture.h"

/* The dump missed it, or it came in between: EEXIST is answered by reading that one service. */
static void test_exists(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	put_in_kernel(w, v, "lc");
	put_dest(w, v, 1, 1, false);
	put_dest(w, v, 9, 1, false);
	WANT(w, v, dest(1, 1), dest(2, 1));
	assert_int_equal(apply(w), 0);
	assert_int_equal(state_of(w, v), IPVS_INSTALLED);
	assert_string_equal(in_kernel(w, v)->s.scheduler, "rr");
	assert_int_equal(weight(w, v, 1), 1);
	assert_int_equal(weight(w, v, 2), 1);
	assert_int_equal(weight(w, v, 9), -1);
	put_dest(w, v, 3, 4, false); /* a destination that somebody added */
	WANT(w, v, dest(1, 1), dest(2, 1), dest(3, 1));
	assert_int_equal(apply(w), 0);
	assert_int_equal(weight(w, v, 3), 1);
	assert_int_equal(ipvs_stats(w->ipvs).resyncs, 0);
}

/* The same in the midst of a service larger than a batch: the rest is added as if nothing had been. */
static void test_exists_large(void **state)
{
	struct world *w = *state;
	struct svc_dest d[300];

	for (unsigned n = 0; n < 300; n++)
		d[n] = dest(n, 1);
	want(w, virtual(1), d, 1);
	applies(w, "SD");
	put_dest(w, virtual(1), 3, 1, false);
	want(w, virtual(1), d, 300);
	assert_int_equal(apply(w), 0);
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
	assert_int_equal(in_kernel(w, virtual(1))->n, 300);
	assert_int_equal(w->kernel.messages, 301);
}

/* "Exists", and reading shows nothing: no busy loop, but a refusal with backoff. */
static void test_exists_contradiction(void **state)
{
	struct world *w = *state;

	w->kernel.refuse = -EEXIST;
	w->kernel.refuse_cmd = IPVS_CMD_NEW_DEST;
	WANT(w, virtual(1), dest(1, 1));
	assert_int_equal(apply(w), 0);
	assert_int_equal(state_of(w, virtual(1)), IPVS_FAILED);
	assert_true(ipvs_deadline(w->ipvs) == w->now + 1000);
	assert_true(w->kernel.messages < 5);
	w->kernel.refuse = 0;
	w->now += 1000;
	assert_int_equal(apply(w), 0);
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
}

/* Somebody removed what we have: the answers say so, and it is added again. */
static void test_vanished(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	WANT(w, v, dest(1, 1), dest(2, 1));
	applies(w, "SDD");
	in_kernel(w, v)->used = false;
	WANT(w, v, dest(1, 2), dest(2, 1));
	applies(w, "dSDD"); /* ESRCH: the service and all its destinations are new */
	in_kernel(w, v)->n = 1;
	WANT(w, v, dest(1, 2), dest(2, 2));
	applies(w, "dD"); /* ENOENT: this destination is new */
	in_kernel(w, v)->n = 1;
	WANT(w, v, dest(1, 2));
	applies(w, "y"); /* gone already: done */
	assert_int_equal(state_of(w, v), IPVS_INSTALLED);
	in_kernel(w, v)->used = false;
	ipvs_sweep(w->ipvs);
	ipvs_unwant(w->ipvs, &v.key);
	applies(w, "x");
	assert_int_equal(ipvs_stats(w->ipvs).count[IPVS_STALE], 0);
}

/* The text names the module; the other services are served; it is tried again after 1 s, 2 s, ... */
static void test_unknown_scheduler(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);
	const char *text;

	w->kernel.no_scheduler = "mh";
	strcpy(v.scheduler, "mh");
	WANT(w, v, dest(1, 1));
	WANT(w, virtual(2), dest(1, 1));
	applies(w, "SDSD");
	assert_int_equal(ipvs_state_of(w->ipvs, &v.key, &text), IPVS_FAILED);
	assert_non_null(strstr(text, "modprobe ip_vs_mh"));
	assert_int_equal(state_of(w, virtual(2)), IPVS_INSTALLED);
	assert_true(ipvs_deadline(w->ipvs) == w->now + 1000);
	w->now += 1000;
	applies(w, "SD");
	assert_true(ipvs_deadline(w->ipvs) == w->now + 2000);
	WANT(w, v, dest(1, 1)); /* the same again is no reason to try earlier */
	applies(w, "");
	w->kernel.no_scheduler = NULL;
	w->now += 2000;
	applies(w, "SD");
	assert_int_equal(state_of(w, v), IPVS_INSTALLED);
	w->kernel.no_scheduler = "sh"; /* an edit that fails leaves the service, and its endpoints follow */
	strcpy(v.scheduler, "sh");
	WANT(w, v, dest(2, 1));
	applies(w, "sDy");
	assert_int_equal(state_of(w, v), IPVS_FAILED);
	assert_int_equal(weight(w, v, 2), 1);
	assert_int_equal(weight(w, v, 1), -1);
}

/* Backoff ends at a minute. A changed wish is tried at once. */
static void test_backoff(void **state)
{
	struct world *w = *state;
	struct svc_virtual v = virtual(1);

	w->kernel.refuse = -ENOMEM;
	WANT(w, v, dest(1, 1));
	for (unsigned k = 0; k < 10; k++) {
		assert_int_equal(apply(w), 0);
		w->now = ipvs_deadline(w->ipvs);
	}
	assert_int_equal(apply(w), 0);
	assert_true(ipvs_deadline(w->ipvs) == w->now + 60000);
	w->kernel.refuse = 0;
	WANT(w, v, dest(2, 1));
	applies(w, "SD");
	w->now = ipvs_deadline(w->ipvs); /* of the refusal that is no more */
	applies(w, "");
	assert_true(ipvs_deadline(w->ipvs) == IPVS_NEVER);
}

/* Refused at the removal: kept, tried again. */
static void test_refused_removal(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	ipvs_sweep(w->ipvs);
	w->kernel.refuse = -EBUSY;
	ipvs_unwant(w->ipvs, KEY(virtual(1)));
	applies(w, "x");
	applies(w, "");
	w->kernel.refuse = 0;
	w->now += 1000;
	applies(w, "x");
	assert_null(in_kernel(w, virtual(1)));
}

/* Lost answers: the caller is told, nothing is believed, and a resync finds that all was done. */
static void test_lost_answers(void **state)
{
	struct world *w = *state;

	w->kernel.send_error = ENOBUFS;
	WANT(w, virtual(1), dest(1, 1));
	assert_int_equal(apply(w), -ENOBUFS);
	assert_false(ipvs_installed(w->ipvs, KEY(virtual(1))));
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_true(ipvs_installed(w->ipvs, KEY(virtual(1))));
	applies(w, "");
	w->kernel.send_error = ENOBUFS;
	WANT(w, virtual(1), dest(2, 1));
	assert_int_equal(apply(w), -ENOBUFS);
	assert_true(ipvs_deadline(w->ipvs) <= w->now + 1000);
	w->now += 1000;
	applies(w, ""); /* without the caller's help too */
	assert_int_equal(weight(w, virtual(1), 2), 1);
	assert_int_equal(weight(w, virtual(1), 1), -1);
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
}

/* A resync that fails changes nothing and is made again before anything is written. */
static void test_resync_fails(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	w->kernel.dump_error = -EIO;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), -EIO);
	WANT(w, virtual(2), dest(1, 1));
	applies(w, "");
	assert_true(ipvs_deadline(w->ipvs) == w->now + 1000);
	w->now += 1000;
	assert_int_equal(apply(w), -EIO);
	w->kernel.dump_error = 0;
	w->now += 1000;
	applies(w, "SD");
}

/* What others removed is found by a resync. */
static void test_resync_restores(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	WANT(w, virtual(2), dest(1, 1), dest(2, 1));
	applies(w, "SDSDD");
	in_kernel(w, virtual(1))->used = false;
	in_kernel(w, virtual(2))->n = 1;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_int_equal(state_of(w, virtual(1)), IPVS_PENDING);
	assert_int_equal(apply(w), 0);
	assert_int_equal(weight(w, virtual(1), 1), 1);
	assert_int_equal(in_kernel(w, virtual(2))->n, 2);
	assert_int_equal(w->kernel.messages, 5 + 3);
}

/* A dump that misses a service: it is added, exists, is read. Nothing is removed by that. */
static void test_dump_misses(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	w->kernel.hide = 1;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_int_equal(apply(w), 0);
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
	assert_int_equal(weight(w, virtual(1), 1), 1);
}

/* A service that goes between the two dumps is no failure. */
static void test_vanishes_while_read(void **state)
{
	struct world *w = *state;

	WANT(w, virtual(1), dest(1, 1));
	applies(w, "SD");
	w->kernel.vanish = true;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	w->kernel.vanish = false;
	assert_int_equal(apply(w), 0);
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
	assert_int_equal(weight(w, virtual(1), 1), 1);
}

/* Without the module all is "not ready"; a resync finds it when it is there. */
static void test_no_module(void **state)
{
	struct world *w = *state;
	struct weft_err err = WEFT_ERR_INIT;
	const char *text;

	ipvs_free(w->ipvs);
	w->ipvs = ipvs_new_on(&w->kernel.base, 0, owns, w);
	w->kernel.no_module = true;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_false(ipvs_available(w->ipvs, &err));
	assert_non_null(strstr(err.text, "modprobe ip_vs"));
	WANT(w, virtual(1), dest(1, 1));
	applies(w, "");
	assert_true(ipvs_deadline(w->ipvs) == IPVS_NEVER);
	assert_int_equal(ipvs_state_of(w->ipvs, KEY(virtual(1)), &text), IPVS_NOT_READY);
	assert_non_null(strstr(text, "modprobe ip_vs"));
	assert_int_equal(ipvs_set_timeouts(w->ipvs, 1, 2, 3, "/nowhere", NULL), -ENOENT);
	w->kernel.no_module = false;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_true(ipvs_available(w->ipvs, NULL));
	applies(w, "SD");
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(test_exists),          T(test_exists_large),      T(test_exists_contradiction),
	        T(test_vanished),        T(test_unknown_scheduler), T(test_backoff),
	        T(test_refused_removal), T(test_lost_answers),      T(test_resync_fails),
	        T(test_resync_restores), T(test_dump_misses),       T(test_vanishes_while_read),
	        T(test_no_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
