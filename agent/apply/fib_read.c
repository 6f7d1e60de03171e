// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading back: fib_resync() and fib_cleanup().
 *
 * Whole tables are dumped, foreign routes included, because those on our keys matter; they cost a header
 * check and a hash lookup each. Afterwards each of our entries that was not seen does not run.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/fib_private.h"
#include "weft/cleanup.h"
#include "weft/log.h"
#include "weft/marks.h"

#define RESYNC_PAUSE_MS 1000 /* between two that events asked for */
#define CLEANUP_ROUNDS  1000

static const uint32_t tables[] = {RT_TABLE_MAIN, RT_TABLE_LOCAL, WEFT_TABLE_ADVERT};
static const uint8_t families[] = {AF_INET, AF_INET6};

/* One (family, table) at a time is dumped; an interrupted dump voids only what that one told. */
struct reading {
	struct fib *f;
	uint32_t table;
	uint8_t family;
};

static void restart(void *ctx)
{
	struct reading *rd = ctx;
	struct fib_entry *e, *tmp;

	HASH_ITER (hh, rd->f->entries, e, tmp) {
		if (e->key.table == rd->table && e->key.dst.addr.family == rd->family) {
			e->seen = false;
			fib_set_theirs(e, NULL);
		}
	}
}

static void saw_ours(struct fib *f, const struct route_info *info)
{
	struct fib_entry *e = fib_entry_make(f, &info->route.key);

	if (!e)
		return;
	fib_set_running(f, e, info);
	e->seen = true;
}

static void saw_theirs(struct fib *f, const struct route_info *info)
{
	struct fib_entry *e = fib_find(f, &info->route.key);

	if (!e)
		return;
	if (e->running && e->altered && weft_route_equal(&e->run, &info->route))
		e->seen = true; /* still as somebody altered it */
	else
		fib_set_theirs(e, &info->route);
}

static int take(void *ctx, const struct nlmsghdr *nlh)
{
	struct reading *rd = ctx;
	struct route_info info;

	if (nlh->nlmsg_type != RTM_NEWROUTE || route_msg_parse(nlh, &info) || info.tos ||
	    info.route.key.table != rd->table)
		return 0;
	if (info.route.protocol != WEFT_RTPROT && !fib_find(rd->f, &info.route.key))
		return 0;
	fib_name_device(rd->f, &info);
	if (info.route.protocol == WEFT_RTPROT)
		saw_ours(rd->f, &info);
	else
		saw_theirs(rd->f, &info);
	return 0;
}

static int read_table(struct fib *f, uint8_t family, uint32_t table, struct weft_err *err)
{
	struct reading rd = {.f = f, .table = table, .family = family};
	struct netlink_sink sink = {.restart = restart, .msg = take, .ctx = &rd};
	int rc;

	netlink_msg_reset(f->msg);
	if (route_msg_dump(f->msg, family, table))
		return weft_err_errno(err, ENOMEM, "reading routes");
	rc = netlink_dump(f->nl, f->msg, &sink, err);
	return rc ? (weft_err_wrap(err, "reading IPv%c routes of table %u", family == AF_INET ? '4' : '6',
	                           table),
	             rc)
	          : 0;
}

/* Adopt or repair; a conflict whose cause is gone is tried again. */
static void conclude(struct fib *f)
{
	struct fib_entry *e, *tmp;

	HASH_ITER (hh, f->entries, e, tmp) {
		if (!e->seen) {
			f->repairs += e->wanted && e->running && e->place == FIB_IDLE;
			e->running = false;
			e->altered = false;
		}
		fib_settle(f, e);
	}
}

int fib_resync(struct fib *f, uint64_t now, struct weft_err *err)
{
	f->resyncs++;
	f->need_resync = true; /* until it worked */
	f->resync_after = now + RESYNC_PAUSE_MS;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(tables); i++) {
		for (size_t k = 0; k < WEFT_ARRAY_LEN(families); k++) {
			int rc = read_table(f, families[k], tables[i], err);

			if (rc)
				return rc;
		}
	}
	conclude(f);
	f->need_resync = false;
	return 0;
}

struct cleanup {
	struct netlink_batch *batch;
	struct nl_msg *msg;
	bool full;
};

static void cleanup_restart(void *ctx)
{
	struct cleanup *c = ctx;

	netlink_batch_reset(c->batch);
	c->full = false;
}

static int cleanup_take(void *ctx, const struct nlmsghdr *nlh)
{
	struct cleanup *c = ctx;
	struct route_info info;

	if (c->full || route_msg_protocol(nlh) != WEFT_RTPROT || route_msg_parse(nlh, &info) ||
	    !fib_our_table(info.route.key.table))
		return 0;
	netlink_msg_reset(c->msg);
	if (route_msg_put(c->msg, RTM_DELROUTE, 0, &info.route, info.oif) ||
	    netlink_batch_add(c->batch, c->msg) < 0)
		c->full = true;
	return 0;
}

/* Returns how many were removed, 0 at the end, or a negative errno. */
static int cleanup_round(struct netlink *nl, uint8_t family, struct cleanup *c, struct weft_err *err)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *request = netlink_msg_new();
	struct netlink_sink sink = {.restart = cleanup_restart, .msg = cleanup_take, .ctx = c};
	int rc, removed = 0;

	if (!request || route_msg_dump(request, family, 0))
		return weft_err_errno(err, ENOMEM, "removing routes");
	rc = netlink_dump(nl, request, &sink, err);
	if (!rc)
		rc = netlink_send(nl, c->batch, err);
	if (rc)
		return weft_err_wrap(err, "removing weft's routes"), rc;
	for (size_t i = 0; i < netlink_batch_count(c->batch); i++) {
		rc = netlink_batch_error(c->batch, i);
		if (rc == 0)
			removed++;
		else if (rc != -ESRCH && rc != -ENOENT)
			return weft_err_errno(err, rc, "removing one of weft's routes");
	}
	return removed;
}

int fib_cleanup(struct netlink *nl, size_t *removed, struct weft_err *err)
{
	struct cleanup c = {.batch = netlink_batch_new(), .msg = netlink_msg_new()};
	size_t total = 0;
	int rc = c.batch && c.msg ? 0 : weft_err_errno(err, ENOMEM, "removing routes");

	for (size_t k = 0; rc == 0 && k < WEFT_ARRAY_LEN(families); k++) {
		int round = 0, n;

		do {
			n = cleanup_round(nl, families[k], &c, err);
			total += n > 0 ? (size_t)n : 0;
		} while (n > 0 && ++round < CLEANUP_ROUNDS);
		rc = n < 0 ? n : 0;
	}
	netlink_batch_free(c.batch);
	nlmsg_free(c.msg);
	if (removed)
		*removed = total;
	return rc;
}
