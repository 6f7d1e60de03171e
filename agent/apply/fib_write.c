// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing what is dirty: fib_apply().
 *
 * New routes go with NLM_F_EXCL, which refuses a key that anybody holds (and, in v6, keeps us from becoming
 * another next hop of somebody's route). NLM_F_REPLACE is for keys where our own route runs: alone, because
 * the kernel replaces the first route of a key, whosever it is; beside a foreign one ours is deleted,
 * exactly, and added. After a send whose answers were lost nothing is known: resync.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/fib_private.h"
#include "weft/log.h"
#include "weft/marks.h"

#define APPLY_BATCHES 16 /* per call: 4,096 messages, some 50 ms of a slow machine */
#define RETRY_MIN_MS  1000
#define RETRY_MAX_MS  60000
#define RACE_MS       50 /* for the event that explains an EEXIST to arrive */
#define LOG_MAX       5  /* refusals told one by one per call */

enum op { OP_CREATE, OP_REPLACE, OP_DELETE };

struct round {
	struct fib *f;
	uint64_t now;
	struct fib_entry *entry[NETLINK_BATCH_MAX];
	enum op op[NETLINK_BATCH_MAX];
	size_t n;
	unsigned logged, unlogged;
};

static void fault(struct round *r, struct fib_entry *e, enum fib_state state, uint64_t delay,
                  const char *text)
{
	struct fib *f = r->f;
	bool news;

	if (!e->fault)
		e->fault = calloc(1, sizeof(*e->fault));
	if (!e->fault) { /* no memory for a reason: try again next time */
		fib_place(f, e, FIB_SET);
		return;
	}
	news = e->fault->state != state || strcmp(e->fault->text, text) != 0;
	e->fault->state = state;
	e->fault->tries++;
	e->fault->retry_at = delay == FIB_NEVER ? FIB_NEVER : r->now + delay;
	snprintf(e->fault->text, sizeof(e->fault->text), "%s", text);
	if (e->fault->retry_at < f->next_retry)
		f->next_retry = e->fault->retry_at;
	fib_place(f, e, FIB_FAULTY);
	if (!news || (state != FIB_FAILED && state != FIB_CONFLICT))
		return;
	if (r->logged++ < LOG_MAX)
		log_warning("%s", text);
	else
		r->unlogged++;
}

static uint64_t backoff(const struct fib_entry *e)
{
	unsigned tries = e->fault ? e->fault->tries : 0;
	uint64_t delay = tries < 6 ? (uint64_t)RETRY_MIN_MS << tries : RETRY_MAX_MS;

	return delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS;
}

static void refused(struct round *r, struct fib_entry *e, enum fib_state state, int error, const char *kernel)
{
	char text[FIB_TEXT_MAX], route[WEFT_ROUTE_STR];

	snprintf(text, sizeof(text), "route %s: %s%s%s",
	         weft_route_str(e->wanted ? &e->want : &e->run, route), strerror(-error),
	         kernel[0] ? ": " : "", kernel);
	fault(r, e, state, backoff(e), text);
}

static void conflict(struct round *r, struct fib_entry *e)
{
	char text[FIB_TEXT_MAX + 64], ours[WEFT_ROUTE_STR], theirs[WEFT_ROUTE_STR];

	snprintf(text, sizeof(text), "route %s: not installed, because %s is there and not weft's",
	         weft_route_str(&e->want, ours), weft_route_str(e->theirs, theirs));
	text[FIB_TEXT_MAX - 1] = '\0';
	fault(r, e, FIB_CONFLICT, RETRY_MAX_MS, text);
}

/* Somebody holds the key. Usually an event is under way that says it is ours already; else look. */
static void exists(struct round *r, struct fib_entry *e)
{
	if (e->theirs) {
		conflict(r, e);
	} else if (!e->fault || e->fault->state != FIB_PENDING) {
		fault(r, e, FIB_PENDING, RACE_MS,
		      "the kernel has a route with this key: looking whose it is");
	} else {
		r->f->need_resync = true;
		fault(r, e, FIB_PENDING, RETRY_MIN_MS, e->fault->text);
	}
}

static bool not_reachable(int error)
{
	return error == -ENETDOWN || error == -ENODEV || error == -ENETUNREACH || error == -EHOSTUNREACH;
}

static bool was_absent(int error)
{
	return error == -ENOENT || error == -ESRCH || error == -ENODEV;
}

static void written(struct round *r, struct fib_entry *e, uint32_t oif)
{
	e->run = e->want;
	e->run_oif = oif;
	e->running = true;
	e->altered = false;
	fib_settle(r->f, e);
}

static void gone(struct round *r, struct fib_entry *e)
{
	e->running = false;
	e->altered = false;
	fib_settle(r->f, e);
}

static uint32_t oif_of(const struct fib *f, const struct fib_entry *e)
{
	const struct link_info *link = e->want.dev[0] ? links_by_name(f->links, e->want.dev) : NULL;

	return link ? link->index : 0;
}

static void outcome(struct round *r, size_t i)
{
	struct fib_entry *e = r->entry[i];
	int error = netlink_batch_error(r->f->batch, i);
	const char *text = netlink_batch_text(r->f->batch, i);

	if (error == 0 && r->op[i] != OP_DELETE)
		written(r, e, oif_of(r->f, e));
	else if (error == 0 || (r->op[i] != OP_CREATE && was_absent(error)))
		gone(r, e); /* a replace that found nothing becomes a create */
	else if (r->op[i] == OP_CREATE && error == -EEXIST)
		exists(r, e);
	else
		refused(r, e, not_reachable(error) ? FIB_NOT_READY : FIB_FAILED, error, text);
}

/* Send what was gathered and take in the outcomes. */
static int flush(struct round *r, struct weft_err *err)
{
	struct fib *f = r->f;
	int rc = netlink_send(f->nl, f->batch, err);

	f->writes += r->n;
	for (size_t i = 0; i < r->n; i++) {
		if (rc)
			fib_settle(f, r->entry[i]);
		else
			outcome(r, i);
	}
	r->n = 0;
	netlink_batch_reset(f->batch);
	if (rc)
		f->need_resync = true;
	return rc;
}

/* The device must be there and up, else the route waits for it without a timer. */
static bool ready(struct round *r, struct fib_entry *e)
{
	const struct link_info *link;
	char text[64];

	if (!e->want.dev[0])
		return true;
	link = links_by_name(r->f->links, e->want.dev);
	if (link && link->up)
		return true;
	snprintf(text, sizeof(text), "device %.*s is %s", IFNAMSIZ, e->want.dev, link ? "down" : "missing");
	fault(r, e, FIB_NOT_READY, FIB_NEVER, text);
	return false;
}

static enum op choose(struct fib_entry *e)
{
	if (!e->wanted)
		return OP_DELETE;
	if (!e->running)
		return OP_CREATE;
	if (!e->theirs)
		return OP_REPLACE;
	if (e->run.protocol == WEFT_RTPROT)
		return OP_DELETE;
	e->running = false; /* which of the two foreign routes was ours cannot be told */
	e->altered = false;
	return OP_CREATE;
}

/* Take the entry off its list and add its message; -ENOSPC: the batch is full, the entry stays. */
static int gather(struct round *r, struct fib_entry *e)
{
	struct fib *f = r->f;
	enum op op = choose(e);
	uint16_t flags = op == OP_CREATE ? NLM_F_CREATE | NLM_F_EXCL : op == OP_REPLACE ? NLM_F_REPLACE : 0;
	int rc;

	if (r->n == NETLINK_BATCH_MAX)
		return -ENOSPC;
	netlink_msg_reset(f->msg);
	if (op == OP_DELETE)
		rc = route_msg_put(f->msg, RTM_DELROUTE, flags, &e->run, e->run_oif);
	else
		rc = route_msg_put(f->msg, RTM_NEWROUTE, flags, &e->want, oif_of(f, e));
	if (rc) {
		refused(r, e, FIB_FAILED, rc, "");
		return 0;
	}
	rc = netlink_batch_add(f->batch, f->msg);
	if (rc < 0)
		return rc;
	fib_place(f, e, FIB_IDLE);
	r->entry[r->n] = e;
	r->op[r->n++] = op;
	return 0;
}

/* One batch: first what is to be set, then what is to go. Returns 1 when there was something. */
static int one_batch(struct round *r, struct weft_err *err)
{
	struct fib *f = r->f;
	struct fib_entry *e;
	int rc;

	while ((e = f->set) != NULL) {
		if (ready(r, e) && gather(r, e))
			break;
	}
	while (!f->set && (e = f->del) != NULL) {
		if (gather(r, e))
			break;
	}
	if (r->n == 0)
		return 0;
	rc = flush(r, err);
	return rc ? rc : 1;
}

static void wake_due(struct fib *f, uint64_t now)
{
	struct fib_entry *e, *tmp;

	if (now < f->next_retry)
		return;
	f->next_retry = FIB_NEVER;
	DL_FOREACH_SAFE(f->faulty, e, tmp)
	{
		if (e->fault->retry_at <= now)
			fib_wake(f, e);
		else if (e->fault->retry_at < f->next_retry)
			f->next_retry = e->fault->retry_at;
	}
}

static int write_dirty(struct round *r, struct weft_err *err)
{
	for (unsigned i = 0; i < APPLY_BATCHES; i++) {
		int rc = one_batch(r, err);

		if (rc <= 0)
			return rc;
	}
	return 0;
}

int fib_apply(struct fib *f, uint64_t now, struct weft_err *err)
{
	struct round r = {.f = f, .now = now};
	struct weft_err why = WEFT_ERR_INIT;
	int rc = 0;

	wake_due(f, now);
	if (f->need_resync && now >= f->resync_after)
		rc = fib_resync(f, now, &why);
	if (rc == 0)
		rc = write_dirty(&r, &why);
	if (r.unlogged)
		log_warning("%u more routes were refused by the kernel: see `weftctl routes`", r.unlogged);
	if (rc < 0 && rc != -ENOBUFS && rc != -EAGAIN) {
		if (err)
			*err = why;
		return rc;
	}
	return f->set || f->del ? 1 : 0;
}

uint64_t fib_deadline(const struct fib *f)
{
	if (f->set || f->del)
		return 0;
	if (f->need_resync)
		return f->resync_after < f->next_retry ? f->resync_after : f->next_retry;
	return f->next_retry;
}
