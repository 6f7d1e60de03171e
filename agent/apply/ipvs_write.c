// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing what is dirty: ipvs_apply().
 *
 * A batch takes the messages of as many services as fit; a large service goes on in the next one. Outcomes
 * are noted message by message, then each touched service is settled: what is still not as wanted is dirty
 * again, or waits when the kernel refused it. Answers that contradict what we know (a service that exists
 * already) are resolved by reading that one service. After a send whose answers were lost nothing is known:
 * resync.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/ipvs_private.h"
#include "weft/log.h"

#define APPLY_BATCHES 8 /* per call: 2,048 messages, some 100 ms of a slow machine */
#define RETRY_MIN_MS  1000
#define RETRY_MAX_MS  60000
#define LOG_MAX       5 /* refusals told one by one per call */

enum op { SERVICE_NEW, SERVICE_SET, SERVICE_DEL, DEST_NEW, DEST_SET, DEST_DEL };

struct message {
	struct ipvs_entry *e;
	enum op op;
	size_t dest; /* index, of DEST_* */
};

struct round {
	struct ipvs *i;
	uint64_t now;
	struct message msg[NETLINK_BATCH_MAX];
	size_t n;
	struct message last; /* what i->msg holds; e NULL: something else */
	struct ipvs_entry *touched[NETLINK_BATCH_MAX + 1];
	size_t n_touched;
	unsigned logged, unlogged;
};

static uint64_t backoff(unsigned tries)
{
	uint64_t delay = tries < 6 ? (uint64_t)RETRY_MIN_MS << tries : RETRY_MAX_MS;

	return delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS;
}

/* Remember the refusal; the first one of a batch counts. Without memory for it: try again next time. */
static void refused(struct round *r, struct ipvs_entry *e, const char *text)
{
	bool news;

	if (e->refused)
		return;
	if (!e->fault)
		e->fault = calloc(1, sizeof(*e->fault));
	if (!e->fault)
		return;
	news = strcmp(e->fault->text, text) != 0;
	e->fault->retry_at = r->now + backoff(e->fault->tries++);
	snprintf(e->fault->text, sizeof(e->fault->text), "%s", text);
	e->refused = true;
	e->reread_once = false;
	if (!news)
		return;
	if (r->logged++ < LOG_MAX)
		log_warning("%s", text);
	else
		r->unlogged++;
}

static void describe(const struct message *m, char *out, size_t size)
{
	char service[SVC_KEY_STR], addr[WEFT_ADDR_STR];
	int n = snprintf(out, size, "virtual service %s", svc_virtual_str(&m->e->key, service));

	if (m->op >= DEST_NEW)
		snprintf(out + n, size - (size_t)n, ", endpoint %s port %u",
		         weft_addr_str(&m->e->dests[m->dest].addr, addr), m->e->dests[m->dest].port);
}

static void refused_message(struct round *r, const struct message *m, int error, const char *kernel)
{
	char what[IPVS_TEXT_MAX / 2], text[IPVS_TEXT_MAX];

	describe(m, what, sizeof(what));
	if (error == -ENOENT && (m->op == SERVICE_NEW || m->op == SERVICE_SET)) {
		r->i->look_again = true;
		snprintf(text, sizeof(text), "%s: the kernel has no scheduler %s: modprobe ip_vs_%s", what,
		         m->e->want.scheduler, m->e->want.scheduler);
		weft_text_clean(text);
	} else {
		snprintf(text, sizeof(text), "%s: %s%s%s", what, strerror(-error), kernel[0] ? ": " : "",
		         kernel);
	}
	refused(r, m->e, text);
}

/* The kernel has what we thought it had not. Look once; if that does not help, wait. */
static void exists(struct round *r, const struct message *m)
{
	if (m->e->reread_once && !m->e->reread)
		refused_message(r, m, -EEXIST, "");
	else
		m->e->reread = true;
}

static void written(struct message *m)
{
	struct ipvs_dest *d = m->op >= DEST_NEW ? &m->e->dests[m->dest] : NULL;

	switch (m->op) {
	case SERVICE_NEW:
		m->e->ours = true;
		m->e->running = true;
		/* fallthrough */
	case SERVICE_SET:
		m->e->run = m->e->want;
		m->e->odd = false;
		break;
	case SERVICE_DEL:
		ipvs_set_absent(m->e);
		break;
	case DEST_NEW:
	case DEST_SET:
		d->flags |= DEST_RUNS;
		d->flags &= (uint8_t) ~(DEST_ODD | DEST_RUNS_TUNNEL);
		d->flags |= d->flags & DEST_TUNNEL ? DEST_RUNS_TUNNEL : 0;
		d->run = d->want;
		break;
	case DEST_DEL:
		d->flags &= DEST_WISH;
		break;
	}
}

static void outcome(struct round *r, struct message *m, int error, const char *kernel)
{
	if (error == 0 || (m->op == DEST_DEL && error == -ENOENT))
		written(m);
	else if (error == -ESRCH || (m->op == SERVICE_DEL && error == -ENOENT))
		ipvs_set_absent(m->e); /* the service itself is not there (any more) */
	else if (m->op == DEST_SET && error == -ENOENT)
		m->e->dests[m->dest].flags &= DEST_WISH;
	else if (error == -EEXIST && (m->op == SERVICE_NEW || m->op == DEST_NEW))
		exists(r, m);
	else
		refused_message(r, m, error, kernel);
}

/* All its messages have their outcomes, or none is known. */
static int finish(struct round *r, struct ipvs_entry *e, struct weft_err *err)
{
	struct ipvs *i = r->i;
	bool was_refused = e->refused;
	int rc = 0;

	if (e->reread)
		rc = ipvs_reread(i, e, err);
	e->reread_once = e->reread_once || e->reread;
	e->refused = e->reread = e->inflight = false;
	if (was_refused) { /* not freed by this: it is wanted, or ours and runs */
		ipvs_settle(i, e);
		if (e->place != IPVS_IDLE)
			ipvs_place(i, e, IPVS_FAULTY);
		if (e->place == IPVS_FAULTY && e->fault->retry_at < i->next_retry)
			i->next_retry = e->fault->retry_at;
	} else {
		ipvs_settle(i, e);
	}
	return rc;
}

/* Send what was gathered and take in the outcomes. */
static int flush(struct round *r, struct weft_err *err)
{
	struct ipvs *i = r->i;
	int rc = netlink_send(i->nl, i->batch, err);

	i->writes += r->n;
	for (size_t k = 0; rc == 0 && k < r->n; k++)
		outcome(r, &r->msg[k], netlink_batch_error(i->batch, k), netlink_batch_text(i->batch, k));
	for (size_t k = 0; k < r->n_touched; k++) {
		int reread = finish(r, r->touched[k], rc ? NULL : err);

		rc = rc ? rc : reread;
	}
	r->n = r->n_touched = 0;
	r->last.e = NULL;
	netlink_batch_reset(i->batch);
	if (rc)
		i->need_resync = true;
	return rc;
}

static void touch(struct round *r, struct ipvs_entry *e)
{
	if (e->inflight)
		return;
	e->inflight = true;
	r->touched[r->n_touched++] = e;
}

static int encode_dest(struct round *r, const struct message *m, const struct ipvs_msg_key *key)
{
	const struct ipvs_dest *from = &m->e->dests[m->dest];
	struct ipvs_msg_dest d = {.addr = from->addr,
	                          .port = from->port,
	                          .weight = from->want,
	                          .tunnel = from->flags & DEST_TUNNEL};
	enum ipvs_msg_op op = (enum ipvs_msg_op)(m->op - DEST_NEW);

	if (r->last.e == m->e && r->last.op == m->op)
		return ipvs_msg_dest_next(r->i->msg, op, &d);
	netlink_msg_reset(r->i->msg);
	return ipvs_msg_dest(r->i->msg, r->i->family, op, key, &d);
}

static int encode(struct round *r, const struct message *m)
{
	struct ipvs *i = r->i;
	struct ipvs_msg_service s = {.key = ipvs_to_msg(&m->e->key),
	                             .sched_flags = m->e->want.sched_flags,
	                             .persistence_s = m->e->want.persistence_s};

	if (m->op >= DEST_NEW)
		return encode_dest(r, m, &s.key);
	netlink_msg_reset(i->msg);
	memcpy(s.scheduler, m->e->want.scheduler, sizeof(s.scheduler));
	return ipvs_msg_service(i->msg, i->family, (enum ipvs_msg_op)(m->op - SERVICE_NEW), &s);
}

/* 0 (also when it cannot be encoded: a refusal); -ENOSPC: the batch is full. */
static int put(struct round *r, struct ipvs_entry *e, enum op op, size_t dest)
{
	struct message m = {.e = e, .op = op, .dest = dest};
	int rc;

	if (r->n == NETLINK_BATCH_MAX)
		return -ENOSPC;
	rc = encode(r, &m);
	r->last = m;
	if (rc)
		r->last.e = NULL;
	if (!rc && netlink_batch_add(r->i->batch, r->i->msg) < 0)
		return -ENOSPC;
	touch(r, e);
	if (rc)
		refused_message(r, &m, rc, "");
	else
		r->msg[r->n++] = m;
	return 0;
}

static int gather_grow(struct round *r, struct ipvs_entry *e)
{
	bool more = false;
	int rc = 0;

	if (!ipvs_shape_right(e))
		rc = put(r, e, e->running ? SERVICE_SET : SERVICE_NEW, 0);
	for (size_t k = 0; k < e->n && rc == 0; k++) {
		enum ipvs_todo todo = ipvs_todo(&e->dests[k]);

		if (todo == TODO_ADD)
			rc = put(r, e, DEST_NEW, k);
		else if (todo == TODO_EDIT)
			rc = put(r, e, DEST_SET, k);
		else if (todo != TODO_NOTHING)
			more = true;
	}
	if (rc == 0)
		ipvs_place(r->i, e, more ? IPVS_SHRINK : IPVS_IDLE);
	return rc;
}

static int gather_shrink(struct round *r, struct ipvs_entry *e)
{
	int rc = 0;

	for (size_t k = 0; k < e->n && rc == 0; k++) {
		enum ipvs_todo todo = ipvs_todo(&e->dests[k]);

		if (todo == TODO_DRAIN)
			rc = put(r, e, DEST_SET, k);
		else if (todo == TODO_REMOVE)
			rc = put(r, e, DEST_DEL, k);
	}
	if (rc == 0)
		ipvs_place(r->i, e, IPVS_IDLE);
	return rc;
}

static int gather_del(struct round *r, struct ipvs_entry *e)
{
	int rc = put(r, e, SERVICE_DEL, 0);

	if (rc == 0)
		ipvs_place(r->i, e, IPVS_IDLE);
	return rc;
}

/* One batch, additions first. Returns 1 when there was something. */
static int one_batch(struct round *r, struct weft_err *err)
{
	static const struct {
		enum ipvs_place place;
		int (*gather)(struct round *r, struct ipvs_entry *e);
	} steps[] = {{IPVS_GROW, gather_grow}, {IPVS_SHRINK, gather_shrink}, {IPVS_DEL, gather_del}};
	int rc = 0;

	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		struct ipvs_entry *e;

		while (rc == 0 && (e = r->i->list[steps[k].place]) != NULL)
			rc = steps[k].gather(r, e);
	}
	if (r->n_touched == 0)
		return 0;
	rc = flush(r, err);
	return rc ? rc : 1;
}

static void wake_due(struct ipvs *i, uint64_t now)
{
	struct ipvs_entry *e, *tmp;

	if (now < i->next_retry)
		return;
	i->next_retry = IPVS_NEVER;
	DL_FOREACH_SAFE(i->list[IPVS_FAULTY], e, tmp)
	{
		if (e->fault->retry_at <= now)
			ipvs_wake(i, e);
		else if (e->fault->retry_at < i->next_retry)
			i->next_retry = e->fault->retry_at;
	}
}

static bool dirty(const struct ipvs *i)
{
	return i->list[IPVS_GROW] || i->list[IPVS_SHRINK] || i->list[IPVS_DEL];
}

static int write_dirty(struct round *r, struct weft_err *err)
{
	int rc = 1;

	for (unsigned k = 0; k < APPLY_BATCHES && rc == 1; k++)
		rc = one_batch(r, err);
	if (r->unlogged)
		log_warning("%u more virtual services were refused by the kernel", r->unlogged);
	return rc < 0 ? rc : 0;
}

int ipvs_apply(struct ipvs *i, uint64_t now, struct weft_err *err)
{
	struct round r = {.i = i, .now = now};
	int rc = 0;

	if (i->need_resync && now < i->resync_after)
		return 0;
	if (i->need_resync)
		rc = ipvs_resync(i, now, err);
	if (rc || !i->family)
		return rc;
	wake_due(i, now);
	rc = write_dirty(&r, err);
	if (rc)
		return rc;
	return dirty(i) ? 1 : 0;
}

uint64_t ipvs_deadline(const struct ipvs *i)
{
	if (i->need_resync)
		return i->resync_after;
	if (!i->family)
		return IPVS_NEVER;
	return dirty(i) ? 0 : i->next_retry;
}
