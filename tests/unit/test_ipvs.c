// SPDX-License-Identifier: GPL-2.0-or-later
/* The IPVS reconciler through the kernel seam: fake_ipvs.h stands in and fails on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "agent/apply/ipvs.h"
#include "tests/unit/fake_ipvs.h"
#include "weft/log.h"

struct world {
	struct fake_ipvs kernel;
	struct ipvs *ipvs;
	uint64_t now;
	bool own_nothing;
};

/* Ours: 10.96.0.0/16, fd00::/16, marks of 0x57. */
static bool owns(void *ctx, const struct svc_virtual_key *key)
{
	const struct world *w = ctx;

	if (w->own_nothing)
		return false;
	if (key->fwmark)
		return key->fwmark >> 24 == 0x57;
	return key->addr.family == AF_INET ? key->addr.bytes[0] == 10 && key->addr.bytes[1] == 96
	                                   : key->addr.bytes[0] == 0xfd;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	weft_log_init(WEFT_LOG_ERROR);
	fake_init(&w->kernel, 700);
	w->ipvs = ipvs_new_on(&w->kernel.base, FAKE_FAMILY, owns, w);
	w->now = 1000000;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ipvs_free(w->ipvs);
	free(w->kernel.service);
	free(w);
	return 0;
}

static void restart(struct world *w)
{
	ipvs_free(w->ipvs);
	w->ipvs = ipvs_new_on(&w->kernel.base, FAKE_FAMILY, owns, w);
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	w->kernel.messages = 0;
	memset(w->kernel.log, 0, sizeof(w->kernel.log));
}

static struct svc_virtual virtual(unsigned n)
{
	struct svc_virtual v = {.scheduler = "rr"};

	memset(&v.key, 0, sizeof(v.key));
	v.key.addr = (struct weft_addr){AF_INET, {10, 96, (uint8_t)(n >> 8), (uint8_t)n}};
	v.key.proto = IPPROTO_TCP;
	v.key.port = 80;
	return v;
}

#define KEY(v) (&(struct svc_virtual[]){v}[0].key)

static struct svc_dest dest(unsigned n, uint16_t weight)
{
	return (struct svc_dest){
	        .addr = {AF_INET, {10, 244, (uint8_t)(n >> 8), (uint8_t)n}}, .port = 8080, .weight = weight};
}

static struct svc_dest kept(unsigned n)
{
	struct svc_dest d = dest(n, 0);

	d.keep_only = true;
	return d;
}

static void want(struct world *w, struct svc_virtual v, const struct svc_dest *d, size_t n)
{
	assert_int_equal(ipvs_want(w->ipvs, &v, d, n, NULL), 0);
}
#define WANT(w, v, ...)                              \
	want(w, v, (struct svc_dest[]){__VA_ARGS__}, \
	     sizeof((struct svc_dest[]){__VA_ARGS__}) / sizeof(struct svc_dest))

static int apply(struct world *w)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc, turns = 0;

	do {
		rc = ipvs_apply(w->ipvs, w->now, &err);
		assert_true(turns++ < 100);
	} while (rc == 1);
	assert_true((rc < 0) == (err.code < 0));
	return rc;
}

/* Apply; the kernel then got exactly these messages (letters: fake_ipvs.h). */
static void applies(struct world *w, const char *log)
{
	memset(w->kernel.log, 0, sizeof(w->kernel.log));
	w->kernel.messages = 0;
	assert_int_equal(apply(w), 0);
	assert_string_equal(w->kernel.log, log);
}

static struct fake_service *in_kernel(struct world *w, struct svc_virtual v)
{
	struct ipvs_msg_key key;

	memset(&key, 0, sizeof(key));
	key.addr = v.key.addr;
	key.proto = v.key.proto;
	key.port = v.key.port;
	key.fwmark = v.key.fwmark;
	return fake_find(&w->kernel, &key);
}

/* Weight of a destination in the kernel, -1: it has none. */
static int weight(struct world *w, struct svc_virtual v, unsigned n)
{
	struct svc_dest d = dest(n, 0);
	struct ipvs_msg_dest m = {.addr = d.addr, .port = d.port};
	struct ipvs_msg_dest *there = fake_dest(in_kernel(w, v), &m);

	return there ? (int)there->weight : -1;
}

static void put_in_kernel(struct world *w, struct svc_virtual v, const char *scheduler)
{
	struct ipvs_msg_service s;

	memset(&s, 0, sizeof(s));
	s.key.addr = v.key.addr;
	s.key.proto = v.key.proto;
	s.key.port = v.key.port;
	s.key.fwmark = v.key.fwmark;
	strcpy(s.scheduler, scheduler);
	fake_add(&w->kernel, &s);
}

static void put_dest(struct world *w, struct svc_virtual v, unsigned n, uint32_t in_kernel_weight, bool odd)
{
	struct fake_service *s = in_kernel(w, v);
	struct svc_dest d = dest(n, 0);

	s->dest[s->n++] = (struct ipvs_msg_dest){
	        .addr = d.addr, .port = d.port, .weight = in_kernel_weight, .odd = odd};
}

static enum ipvs_state state_of(struct world *w, struct svc_virtual v)
{
	enum ipvs_state state = ipvs_state_of(w->ipvs, &v.key, NULL);

	assert_int_equal(ipvs_installed(w->ipvs, &v.key), state == IPVS_INSTALLED);
	return state;
}

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
	ipvs_unwant(w->ipvs, KEY(virtual(1)));
	applies(w, "");
	assert_int_equal(state_of(w, virtual(1)), IPVS_STALE);
	WANT(w, virtual(1), dest(1, 1));
	applies(w, "");
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
}

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
	assert_int_equal(ipvs_set_timeouts(w->ipvs, 1, 2, 3, NULL), -ENOENT);
	w->kernel.no_module = false;
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	assert_true(ipvs_available(w->ipvs, NULL));
	applies(w, "SD");
	assert_int_equal(state_of(w, virtual(1)), IPVS_INSTALLED);
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

/* S28: written only if they differ. */
static void test_timeouts(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipvs_set_timeouts(w->ipvs, 86400, 120, 300, NULL), 0);
	assert_int_equal(w->kernel.messages, 1);
	assert_int_equal(w->kernel.timeouts[0], 86400);
	assert_int_equal(w->kernel.timeouts[1], 120);
	assert_int_equal(w->kernel.timeouts[2], 300);
	assert_int_equal(ipvs_set_timeouts(w->ipvs, 86400, 120, 300, NULL), 0);
	assert_int_equal(w->kernel.messages, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        T(test_add_and_remove),  T(test_same_again),
	        T(test_edit_service),    T(test_replace_endpoint),
	        T(test_additions_first), T(test_keep_only),
	        T(test_duplicates),      T(test_restart_adopts),
	        T(test_restart_repairs), T(test_foreign),
	        T(test_added_is_ours),   T(test_no_removal_before_sweep),
	        T(test_exists),          T(test_exists_contradiction),
	        T(test_vanished),        T(test_unknown_scheduler),
	        T(test_backoff),         T(test_refused_removal),
	        T(test_large),           T(test_bounded),
	        T(test_lost_answers),    T(test_resync_fails),
	        T(test_dump_misses),     T(test_vanishes_while_read),
	        T(test_no_module),       T(test_read),
	        T(test_timeouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
