// SPDX-License-Identifier: GPL-2.0-or-later
/* The route reconciler through the kernel seam: a stand-in kernel with a table of routes that fails on
 * demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/fib.h"
#include "agent/kernel/route_msg.h"
#include "weft/log.h"
#include "weft/marks.h"

#define ROUTES_MAX 512

struct fake {
	struct netlink base;
	struct route_info route[ROUTES_MAX];
	size_t n;
	int refuse;     /* every write answers this */
	int send_error; /* the next send loses its answers (but was done) */
	int interrupt;  /* so many dumps are interrupted, after telling half and a lie */
	int dump_error; /* every dump fails */
	unsigned sends, dumps, messages;
	char order[64]; /* 'n' new, 'd' delete, of the first messages */
};

static struct route_info *find(struct fake *k, const struct weft_route_key *key)
{
	for (size_t i = 0; i < k->n; i++) {
		if (memcmp(&k->route[i].route.key, key, sizeof(*key)) == 0)
			return &k->route[i];
	}
	return NULL;
}

static int process(struct fake *k, const struct nlmsghdr *h)
{
	struct route_info r, *there;

	assert_int_equal(route_msg_parse(h, &r), 0);
	assert_int_equal(r.route.protocol, WEFT_RTPROT);
	if (k->messages < sizeof(k->order) - 1)
		k->order[k->messages] = h->nlmsg_type == RTM_NEWROUTE ? 'n' : 'd';
	k->messages++;
	if (k->refuse)
		return k->refuse;
	there = find(k, &r.route.key);
	if (h->nlmsg_type == RTM_DELROUTE) {
		if (!there || there->route.protocol != WEFT_RTPROT)
			return -ESRCH;
		*there = k->route[--k->n];
		return 0;
	}
	if (there && (h->nlmsg_flags & NLM_F_EXCL))
		return -EEXIST;
	if (!there && !(h->nlmsg_flags & NLM_F_CREATE))
		return -ENOENT;
	assert_true(k->n < ROUTES_MAX);
	*(there ? there : &k->route[k->n++]) = r;
	return 0;
}

static int fake_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	struct fake *k = (struct fake *)nl;
	int lost = k->send_error;

	k->sends++;
	k->send_error = 0;
	for (size_t i = 0; i < netlink_batch_count(b); i++) {
		int rc = process(k, netlink_batch_message(b, i));

		if (rc)
			netlink_batch_fail(b, i, rc, "the stand-in says so");
	}
	return lost ? weft_err_errno(err, lost, "answers") : 0;
}

static int tell(struct fake *k, const struct nl_msg *req, const struct netlink_sink *sink, size_t limit)
{
	struct rtmsg *want = nlmsg_data(nlmsg_hdr((struct nl_msg *)req));
	struct nl_msg *msg = netlink_msg_new();
	int rc = 0;

	for (size_t i = 0; i < k->n && i < limit && rc == 0; i++) {
		const struct weft_route *r = &k->route[i].route;

		if (r->key.table != want->rtm_table || r->key.dst.addr.family != want->rtm_family)
			continue;
		netlink_msg_reset(msg);
		route_msg_put(msg, RTM_NEWROUTE, 0, r, k->route[i].oif);
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	}
	nlmsg_free(msg);
	return rc;
}

static int fake_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                     struct weft_err *err)
{
	struct fake *k = (struct fake *)nl;

	k->dumps++;
	if (k->dump_error)
		return weft_err_errno(err, k->dump_error, "dump");
	if (k->interrupt > 0) {
		k->interrupt--;
		tell(k, req, sink, k->n / 2);
		return weft_err_set(err, EINTR, "interrupted");
	}
	return tell(k, req, sink, SIZE_MAX);
}

static void fake_close(struct netlink *nl)
{
	(void)nl;
}

static const struct netlink_ops fake_ops = {.send = fake_send, .dump = fake_dump, .close = fake_close};

struct world {
	struct fake kernel;
	struct links *links;
	struct fib *fib;
	uint64_t now;
};

static void device(struct world *w, const char *name, uint32_t index, bool up)
{
	struct monitor_event ev = {.type = MONITOR_LINK_NEW, .link = {.index = index, .up = up, .mtu = 1500}};

	strcpy(ev.link.name, name);
	links_on_event(w->links, &ev);
	fib_on_event(w->fib, &ev);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->kernel.base = (struct netlink){.ops = &fake_ops, .port = 77};
	w->links = links_new();
	w->fib = fib_new(&w->kernel.base, w->links);
	w->now = 1000000;
	device(w, "eth0", 3, true);
	weft_log_init(WEFT_LOG_ERROR);
	*state = w;
	return 0;
}

/* What is counted is what a walk finds: of unwanted routes, which are pending or stale, nothing is counted. */
static void check_tally(const struct fib *f)
{
	struct fib_tally t = fib_tally(f);
	struct fib_stats s = fib_stats(f);

	for (int state = 0; state < FIB_STALE; state++) {
		size_t n = 0;

		for (int kind = 0; kind < FIB_KINDS; kind++)
			n += t.count[kind][state];
		if (state == FIB_PENDING)
			assert_true(n <= s.count[state]);
		else
			assert_int_equal(n, s.count[state]);
	}
}

static int teardown(void **state)
{
	struct world *w = *state;

	check_tally(w->fib);
	fib_free(w->fib);
	links_free(w->links);
	free(w);
	return 0;
}

static struct weft_route route(unsigned i, uint32_t metric)
{
	struct weft_route r = {.key = {.table = RT_TABLE_MAIN, .metric = metric},
	                       .type = RTN_UNICAST,
	                       .protocol = WEFT_RTPROT,
	                       .gateway = {AF_INET, {10, 1, 1, 2}},
	                       .dev = "eth0"};

	r.key.dst = (struct weft_prefix){.addr = {AF_INET, {10, 244, (uint8_t)i, 0}}, .len = 24};
	return r;
}

static void want(struct world *w, struct weft_route r)
{
	assert_int_equal(fib_want(w->fib, &r, NULL), 0);
}

static int apply(struct world *w)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc;

	do
		rc = fib_apply(w->fib, w->now, &err);
	while (rc == 1);
	return rc;
}

/* fib_pending() must say what the statistics say, whatever happens. */
static size_t count(struct world *w, enum fib_state state)
{
	struct fib_stats s = fib_stats(w->fib);

	assert_int_equal(fib_pending(w->fib), s.count[FIB_PENDING] != 0);
	return s.count[state];
}

static void event(struct world *w, enum monitor_type type, const struct weft_route *r, uint32_t port,
                  bool replace)
{
	struct monitor_event ev = {.type = type, .port = port, .replace = replace};

	ev.route.route = *r;
	ev.route.route.dev[0] = '\0';
	ev.route.oif = 3;
	fib_on_event(w->fib, &ev);
}

static void pending_until_written(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16);

	assert_false(fib_pending(w->fib));
	want(w, r);
	assert_true(fib_pending(w->fib));
	apply(w);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
	assert_false(fib_pending(w->fib));
	fib_unwant(w->fib, &r.key);
	assert_true(fib_pending(w->fib));
	apply(w);
	assert_int_equal(count(w, FIB_PENDING), 0);
}

static void lost_answers_lead_to_a_resync(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 100; i++)
		want(w, route(i, 16));
	w->kernel.send_error = ENOBUFS;
	assert_int_equal(apply(w), 0);
	while (count(w, FIB_INSTALLED) < 100) {
		assert_true(fib_deadline(w->fib) != FIB_NEVER);
		w->now += 1000;
		assert_true(w->now < 1010000);
		assert_int_equal(apply(w), 0);
	}
	assert_int_equal(w->kernel.n, 100);
}

static void interrupted_dump_is_repeated_not_believed(void **state)
{
	struct world *w = *state;
	struct weft_err err = WEFT_ERR_INIT;

	for (unsigned i = 0; i < 10; i++)
		want(w, route(i, 16));
	apply(w);
	w->kernel.interrupt = 3;
	assert_int_equal(fib_resync(w->fib, w->now, &err), 0);
	assert_int_equal(w->kernel.dumps, 6 + 3);
	assert_int_equal(count(w, FIB_INSTALLED), 10);
	w->kernel.interrupt = 1000;
	assert_int_equal(fib_resync(w->fib, w->now, &err), -EAGAIN);
	w->kernel.interrupt = 0;
	w->now += 1000;
	assert_true(fib_deadline(w->fib) <= w->now); /* by itself */
	assert_int_equal(apply(w), 0);
	assert_int_equal(count(w, FIB_INSTALLED), 10);
	assert_int_equal(fib_stats(w->fib).writes, 10);
}

static void a_dead_socket_is_returned(void **state)
{
	struct world *w = *state;
	struct weft_err err = WEFT_ERR_INIT;

	want(w, route(1, 16));
	w->kernel.dump_error = EIO;
	assert_int_equal(fib_resync(w->fib, w->now, &err), -EIO);
	w->now += 1000;
	assert_int_equal(apply(w), -EIO);
	w->kernel.dump_error = 0;
	w->now += 1000;
	assert_int_equal(apply(w), 0);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
}

static void refusals_back_off(void **state)
{
	struct world *w = *state;
	uint64_t expected[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

	w->kernel.refuse = -EPERM;
	want(w, route(1, 16));
	assert_int_equal(apply(w), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(count(w, FIB_FAILED), 1);
		assert_true(fib_deadline(w->fib) == w->now + expected[i]);
		w->now += expected[i] - 1;
		apply(w);
		assert_int_equal(w->kernel.messages, i + 1);
		w->now++;
		apply(w);
		assert_int_equal(w->kernel.messages, i + 2);
	}
	w->kernel.refuse = 0;
	w->now += 60000;
	apply(w);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
	assert_true(fib_deadline(w->fib) == FIB_NEVER);
}

/* A prefix moves to another metric: the new route is there before the old one goes. */
static void additions_before_removals(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16);

	want(w, r);
	apply(w);
	fib_unwant(w->fib, &r.key);
	want(w, route(1, 4096));
	apply(w);
	assert_string_equal(w->kernel.order, "nnd");
}

static void own_events_change_nothing(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16), old = route(1, 16);

	want(w, r);
	apply(w);
	r.gateway.bytes[3] = 9;
	want(w, r);
	apply(w);
	event(w, MONITOR_ROUTE_NEW, &old, 77, false); /* late news of our first write */
	event(w, MONITOR_ROUTE_DEL, &old, 77, false);
	apply(w);
	assert_int_equal(w->kernel.messages, 2);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
}

/* Repairs are what others did to routes as wanted: removed, altered, replaced; told or found. */
static void others_changes_are_repairs(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16), theirs = r, other = route(2, 16);

	want(w, r);
	apply(w);
	event(w, MONITOR_ROUTE_DEL, &r, 77, false); /* our own doing */
	event(w, MONITOR_ROUTE_DEL, &other, 99, false);
	assert_int_equal(fib_tally(w->fib).repairs, 0);
	w->kernel.n = 0;
	event(w, MONITOR_ROUTE_DEL, &r, 99, false);
	event(w, MONITOR_ROUTE_DEL, &r, 99, false);
	assert_int_equal(fib_tally(w->fib).repairs, 1);
	apply(w);
	theirs.gateway.bytes[3] = 7;
	w->kernel.route[0].route = theirs;
	event(w, MONITOR_ROUTE_NEW, &theirs, 99, true);
	assert_int_equal(fib_tally(w->fib).repairs, 2);
	apply(w);
	event(w, MONITOR_ROUTE_NEW, &r, 99, true); /* as it is */
	assert_int_equal(fib_tally(w->fib).repairs, 2);
	w->kernel.n = 0;
	fib_on_event(w->fib, &(struct monitor_event){.type = MONITOR_OVERFLOW});
	apply(w);
	assert_int_equal(fib_tally(w->fib).repairs, 3);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
}

static struct weft_route special(uint32_t table, uint8_t type, const char *dev, uint32_t metric)
{
	struct weft_route r = route(metric & 0xff, metric);

	r.key.table = table;
	r.type = type;
	r.gateway = (struct weft_addr){0};
	strcpy(r.dev, dev);
	return r;
}

static void routes_are_counted_by_what_they_are_for(void **state)
{
	struct world *w = *state;
	struct weft_route direct = route(1, 16),
	                  tunnel = special(RT_TABLE_MAIN, RTN_UNICAST, "weft.ipip", 17);
	struct weft_route fallback = special(RT_TABLE_MAIN, RTN_UNICAST, "weft.sit", 4096);
	struct fib_tally t;

	want(w, direct);
	want(w, tunnel);
	want(w, fallback);
	want(w, special(RT_TABLE_MAIN, RTN_BLACKHOLE, "", 8192));
	want(w, special(RT_TABLE_MAIN, RTN_UNICAST, "weft0123456789a", 2));
	want(w, special(RT_TABLE_LOCAL, RTN_LOCAL, "", 3));
	want(w, special(179, RTN_BLACKHOLE, "", 100));
	t = fib_tally(w->fib);
	for (int kind = 0; kind < FIB_KINDS; kind++)
		assert_int_equal(t.count[kind][FIB_PENDING], 1);
	apply(w);
	t = fib_tally(w->fib);
	for (int kind = 0; kind < FIB_KINDS; kind++) {
		bool no_device = kind == FIB_TUNNEL || kind == FIB_FALLBACK || kind == FIB_POD;

		assert_int_equal(t.count[kind][FIB_INSTALLED], !no_device);
		assert_int_equal(t.count[kind][FIB_NOT_READY], no_device);
	}
	strcpy(direct.dev, "weft.ipip"); /* the same key, for another purpose */
	want(w, direct);
	fib_unwant(w->fib, &tunnel.key);
	t = fib_tally(w->fib);
	assert_int_equal(t.count[FIB_DIRECT][FIB_INSTALLED], 0);
	assert_int_equal(t.count[FIB_TUNNEL][FIB_PENDING], 1);
	assert_int_equal(t.count[FIB_TUNNEL][FIB_NOT_READY], 0);
}

/* weft-cni was first: its event explains our EEXIST, nobody dumps. */
static void somebody_wrote_ours_first(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16);

	w->kernel.route[w->kernel.n++] = (struct route_info){.route = r, .oif = 3};
	want(w, r);
	apply(w);
	assert_int_equal(count(w, FIB_PENDING), 1);
	event(w, MONITOR_ROUTE_NEW, &r, 1234, false);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
	assert_int_equal(w->kernel.dumps, 0);
}

/* The same without the event: looked up after a moment, adopted. */
static void lost_event_is_looked_up(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16);

	w->kernel.route[w->kernel.n++] = (struct route_info){.route = r, .oif = 3};
	want(w, r);
	for (int i = 0; i < 5 && count(w, FIB_INSTALLED) == 0; i++) {
		apply(w);
		w->now += 60;
	}
	assert_int_equal(count(w, FIB_INSTALLED), 1);
	assert_int_equal(w->kernel.dumps, 6);
}

static void a_conflict_does_not_dump_for_ever(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16), theirs = r;

	theirs.protocol = RTPROT_STATIC;
	w->kernel.route[w->kernel.n++] = (struct route_info){.route = theirs, .oif = 3};
	want(w, r);
	for (int i = 0; i < 600; i++) { /* a minute */
		apply(w);
		w->now += 100;
	}
	assert_int_equal(count(w, FIB_CONFLICT), 1);
	assert_int_equal(w->kernel.dumps, 6);
	assert_true(w->kernel.messages < 6);
	assert_int_equal(w->kernel.route[0].route.protocol, RTPROT_STATIC);
}

static void altered_then_unwanted_is_theirs(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16), theirs = r;

	want(w, r);
	apply(w);
	theirs.protocol = RTPROT_STATIC;
	w->kernel.route[0].route = theirs;
	event(w, MONITOR_ROUTE_NEW, &theirs, 99, true);
	fib_unwant(w->fib, &r.key);
	apply(w);
	assert_int_equal(w->kernel.n, 1);
	assert_int_equal(w->kernel.messages, 1);
}

static void overflow_resyncs(void **state)
{
	struct world *w = *state;

	want(w, route(1, 16));
	apply(w);
	w->kernel.n = 0; /* deleted, and the event was lost */
	fib_on_event(w->fib, &(struct monitor_event){.type = MONITOR_OVERFLOW});
	assert_int_equal(apply(w), 0);
	assert_int_equal(w->kernel.n, 1);
}

static void device_index_is_the_present_one(void **state)
{
	struct world *w = *state;
	struct monitor_event gone = {.type = MONITOR_LINK_DEL, .link = {.index = 3, .name = "eth0"}};

	want(w, route(1, 16));
	apply(w);
	links_on_event(w->links, &gone);
	fib_on_event(w->fib, &gone);
	w->kernel.n = 0;
	apply(w);
	assert_int_equal(count(w, FIB_NOT_READY), 1);
	device(w, "eth0", 8, true);
	apply(w);
	assert_int_equal(w->kernel.route[0].oif, 8);
	assert_int_equal(count(w, FIB_INSTALLED), 1);
}

static void bad_routes_are_refused(void **state)
{
	struct world *w = *state;
	struct weft_route r = route(1, 16);
	struct weft_err err = WEFT_ERR_INIT;

	r.key.table = 100;
	assert_int_equal(fib_want(w->fib, &r, &err), -EINVAL);
	assert_non_null(strstr(err.text, "table 100"));
	r = route(1, 0);
	r.key.dst.addr.family = AF_INET6;
	r.gateway.family = AF_UNSPEC;
	assert_int_equal(fib_want(w->fib, &r, &err), -EINVAL);
	r = route(1, 16);
	r.gateway.family = AF_INET6;
	assert_int_equal(fib_want(w->fib, &r, &err), -EINVAL);
	r = route(1, 16);
	strcpy(r.dev, "a/b");
	assert_int_equal(fib_want(w->fib, &r, &err), -EINVAL);
	apply(w);
	assert_int_equal(w->kernel.messages, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	        T(pending_until_written),
	        T(lost_answers_lead_to_a_resync),
	        T(interrupted_dump_is_repeated_not_believed),
	        T(a_dead_socket_is_returned),
	        T(refusals_back_off),
	        T(additions_before_removals),
	        T(own_events_change_nothing),
	        T(somebody_wrote_ours_first),
	        T(lost_event_is_looked_up),
	        T(a_conflict_does_not_dump_for_ever),
	        T(altered_then_unwanted_is_theirs),
	        T(others_changes_are_repairs),
	        T(routes_are_counted_by_what_they_are_for),
	        T(overflow_resyncs),
	        T(device_index_is_the_present_one),
	        T(bad_routes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
