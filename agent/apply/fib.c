// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries of the route reconciler, what is wanted of them and what happens to them: fib.h, fib_private.h. */
#include "agent/apply/fib.h"

#include <ctype.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/fib_private.h"
#include "weft/marks.h"

/* "weft" and 11 hexadecimal digits: the host side of a pod's veth, see weft-cni. */
#define POD_DEV_LEN 15

struct fib *fib_new(struct netlink *nl, const struct links *links)
{
	struct fib *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->nl = nl;
	f->links = links;
	f->next_retry = FIB_NEVER;
	f->batch = netlink_batch_new();
	f->msg = netlink_msg_new();
	if (!f->batch || !f->msg) {
		fib_free(f);
		return NULL;
	}
	return f;
}

bool fib_our_table(uint32_t table)
{
	return table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL || table == WEFT_TABLE_ADVERT;
}

static bool is_pod_device(const char *name)
{
	size_t prefix = strlen(WEFT_DEV_PREFIX);

	if (strnlen(name, IFNAMSIZ) != POD_DEV_LEN || strncmp(name, WEFT_DEV_PREFIX, prefix) != 0)
		return false;
	for (size_t i = prefix; i < POD_DEV_LEN; i++) {
		if (!isxdigit((unsigned char)name[i]))
			return false;
	}
	return true;
}

struct fib_entry *fib_find(const struct fib *f, const struct weft_route_key *key)
{
	struct fib_entry *e;

	HASH_FIND(hh, f->entries, key, sizeof(*key), e);
	return e;
}

struct fib_entry *fib_entry_make(struct fib *f, const struct weft_route_key *key)
{
	struct fib_entry *e = fib_find(f, key);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->key = *key;
	HASH_ADD(hh, f->entries, key, sizeof(e->key), e);
	return e;
}

static struct fib_entry **list_of(struct fib *f, enum fib_place place)
{
	return place == FIB_SET      ? &f->set
	       : place == FIB_DEL    ? &f->del
	       : place == FIB_FAULTY ? &f->faulty
	                             : NULL;
}

void fib_place(struct fib *f, struct fib_entry *e, enum fib_place place)
{
	struct fib_entry **from = list_of(f, e->place), **to = list_of(f, place);

	if (e->place == place)
		return;
	if (from)
		DL_DELETE(*from, e);
	if (to)
		DL_APPEND(*to, e);
	e->place = place;
}

void fib_wake(struct fib *f, struct fib_entry *e)
{
	fib_place(f, e, e->wanted ? FIB_SET : FIB_DEL);
}

static void leave_device(struct fib *f, struct fib_entry *e)
{
	struct fib_device *d = e->dev;

	if (!d)
		return;
	DL_DELETE2(d->entries, e, dev_prev, dev_next);
	e->dev = NULL;
	if (!d->entries) {
		HASH_DEL(f->devices, d);
		free(d);
	}
}

static struct fib_device *find_device(const struct fib *f, const char *name)
{
	struct fib_device *d;

	HASH_FIND(hh, f->devices, name, strnlen(name, IFNAMSIZ), d);
	return d;
}

/* Without memory the entry stays without a device: it is then repaired by the next resync, not by events. */
static void join_device(struct fib *f, struct fib_entry *e)
{
	const char *name = e->wanted ? e->want.dev : e->run.dev;
	struct fib_device *d;

	if (e->dev && strncmp(e->dev->name, name, IFNAMSIZ) == 0)
		return;
	leave_device(f, e);
	if (!name[0])
		return;
	d = find_device(f, name);
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return;
		memcpy(d->name, name, strnlen(name, IFNAMSIZ - 1));
		HASH_ADD_KEYPTR(hh, f->devices, d->name, strlen(d->name), d);
	}
	DL_APPEND2(d->entries, e, dev_prev, dev_next);
	e->dev = d;
}

void fib_clear_fault(struct fib_entry *e)
{
	free(e->fault);
	e->fault = NULL;
}

void fib_set_theirs(struct fib_entry *e, const struct weft_route *route)
{
	free(e->theirs);
	e->theirs = NULL;
	if (!route)
		return;
	e->theirs = malloc(sizeof(*route));
	if (e->theirs)
		*e->theirs = *route;
}

static void drop_entry(struct fib *f, struct fib_entry *e)
{
	fib_place(f, e, FIB_IDLE);
	leave_device(f, e);
	HASH_DEL(f->entries, e);
	fib_clear_fault(e);
	free(e->theirs);
	free(e);
}

static void settle_unwanted(struct fib *f, struct fib_entry *e)
{
	if (!e->running || e->altered) { /* altered and unwanted: it is somebody else's now */
		drop_entry(f, e);
		return;
	}
	join_device(f, e);
	fib_place(f, e, e->kept || (e->stale && !f->swept) ? FIB_IDLE : FIB_DEL);
}

void fib_settle(struct fib *f, struct fib_entry *e)
{
	if (!e->wanted) {
		settle_unwanted(f, e);
		return;
	}
	join_device(f, e);
	if (e->running && !e->altered && weft_route_equal(&e->run, &e->want)) {
		fib_clear_fault(e);
		fib_place(f, e, FIB_IDLE);
	} else {
		fib_place(f, e, FIB_SET);
	}
}

void fib_free(struct fib *f)
{
	struct fib_entry *e, *tmp;

	if (!f)
		return;
	HASH_ITER (hh, f->entries, e, tmp)
		drop_entry(f, e);
	netlink_batch_free(f->batch);
	nlmsg_free(f->msg);
	free(f);
}

static int check(const struct weft_route *r, struct weft_err *err)
{
	uint8_t family = r->key.dst.addr.family;
	char text[WEFT_ROUTE_STR];

	if (!fib_our_table(r->key.table))
		return weft_err_set(err, EINVAL, "route %s: table %u is not one of weft's",
		                    weft_route_str(r, text), r->key.table);
	if (family != AF_INET && (family != AF_INET6 || r->key.metric == 0))
		return weft_err_set(err, EINVAL, "route %s: no family, or IPv6 with metric 0",
		                    weft_route_str(r, text));
	if ((r->gateway.family && r->gateway.family != family) || (r->src.family && r->src.family != family))
		return weft_err_set(err, EINVAL, "route %s mixes address families", weft_route_str(r, text));
	if (r->dev[0] && !link_name_valid(r->dev))
		return weft_err_set(err, EINVAL, "route %s: no device can have this name",
		                    weft_route_str(r, text));
	return 0;
}

int fib_want(struct fib *f, const struct weft_route *route, struct weft_err *err)
{
	struct weft_route r = *route;
	struct fib_entry *e;
	int rc;

	r.protocol = WEFT_RTPROT;
	if (r.key.dst.addr.family == AF_INET6)
		r.scope = RT_SCOPE_UNIVERSE;
	rc = check(&r, err);
	if (rc)
		return rc;
	e = fib_entry_make(f, &r.key);
	if (!e)
		return weft_err_errno(err, ENOMEM, "a route");
	if (e->wanted && weft_route_equal(&e->want, &r))
		return 0;
	if (e->wanted)
		f->wanted[fib_kind_of(&e->want)]--;
	f->wanted[fib_kind_of(&r)]++;
	e->wanted = true;
	e->want = r;
	e->stale = false;
	e->kept = false;
	fib_clear_fault(e);
	fib_settle(f, e);
	return 0;
}

void fib_unwant(struct fib *f, const struct weft_route_key *key)
{
	struct fib_entry *e = fib_find(f, key);

	if (!e || !e->wanted)
		return;
	f->wanted[fib_kind_of(&e->want)]--;
	e->wanted = false;
	fib_clear_fault(e);
	fib_settle(f, e);
}

void fib_sweep(struct fib *f)
{
	struct fib_entry *e, *tmp;

	if (f->swept)
		return;
	f->swept = true;
	/* What draws packets here goes first. */
	for (int adverts = 1; adverts >= 0; adverts--)
		HASH_ITER (hh, f->entries, e, tmp) {
			if (e->stale && (e->key.table == WEFT_TABLE_ADVERT) == adverts)
				fib_settle(f, e);
		}
}

void fib_name_device(const struct fib *f, struct route_info *info)
{
	const struct link_info *link = info->oif ? links_by_index(f->links, info->oif) : NULL;

	info->route.dev[0] = '\0';
	if (link)
		memcpy(info->route.dev, link->name, IFNAMSIZ);
	else if (info->oif)
		info->route.dev[0] = '?'; /* unknown yet: equal to no wanted device */
}

void fib_set_running(struct fib *f, struct fib_entry *e, const struct route_info *info)
{
	bool ours = info->route.protocol == WEFT_RTPROT;

	e->run = info->route;
	e->run_oif = info->oif;
	e->running = true;
	e->altered = !ours || info->foreign_attributes;
	if (e->wanted && e->place == FIB_IDLE && (e->altered || !weft_route_equal(&e->run, &e->want)))
		f->repairs++;
	if (e->wanted)
		return;
	e->kept = is_pod_device(e->run.dev);
	e->stale = !e->kept && !f->swept && e->place == FIB_IDLE; /* else it was wanted, and is to go */
}

/* A route with our protocol. On a key unknown to us it is a left-over, a pod's, or somebody's mistake. */
static void own_route_appeared(struct fib *f, const struct route_info *info)
{
	struct fib_entry *e = fib_entry_make(f, &info->route.key);

	if (!e)
		return;
	fib_set_running(f, e, info);
	fib_settle(f, e);
}

static void foreign_route_appeared(struct fib *f, const struct route_info *info, bool replaced)
{
	struct fib_entry *e = fib_find(f, &info->route.key);

	if (!e)
		return;
	if (replaced && e->running) {
		fib_set_running(f, e, info);
		fib_settle(f, e);
	} else {
		fib_set_theirs(e, &info->route);
	}
}

static void route_vanished(struct fib *f, const struct route_info *info)
{
	struct fib_entry *e = fib_find(f, &info->route.key);

	if (!e)
		return;
	if (info->route.protocol == WEFT_RTPROT || (e->running && e->altered)) {
		f->repairs += e->wanted && e->running && e->place == FIB_IDLE;
		e->running = false;
		e->altered = false;
	} else {
		fib_set_theirs(e, NULL);
		if (e->fault && e->fault->state == FIB_CONFLICT)
			fib_clear_fault(e);
		else
			return;
	}
	fib_settle(f, e);
}

static void on_route(struct fib *f, const struct monitor_event *ev)
{
	struct route_info info = ev->route;

	if (ev->port == f->nl->port || info.tos || !fib_our_table(info.route.key.table))
		return;
	if (info.route.protocol != WEFT_RTPROT && !fib_find(f, &info.route.key))
		return;
	fib_name_device(f, &info);
	if (ev->type == MONITOR_ROUTE_DEL)
		route_vanished(f, &info);
	else if (info.route.protocol == WEFT_RTPROT)
		own_route_appeared(f, &info);
	else
		foreign_route_appeared(f, &info, ev->replace);
}

/* The device is gone or down: v4 routes went with it, silently; v6 ones are about to be reported. */
static void forget_device(struct fib *f, struct fib_device *d)
{
	struct fib_entry *e, *tmp;

	DL_FOREACH_SAFE2(d->entries, e, tmp, dev_next)
	{
		bool last = !e->wanted && d->entries == e && !e->dev_next;

		e->running = false;
		e->altered = false;
		fib_settle(f, e);
		if (last)
			return; /* the device entry went with it */
	}
}

static void wake_device(struct fib *f, struct fib_device *d)
{
	struct fib_entry *e;

	DL_FOREACH2(d->entries, e, dev_next)
	{
		if (e->place == FIB_FAULTY)
			fib_wake(f, e);
	}
}

static void on_link(struct fib *f, const struct monitor_event *ev)
{
	struct fib_device *d = find_device(f, ev->link.name);

	if (!d)
		return;
	if (ev->type == MONITOR_LINK_NEW && ev->link.up)
		wake_device(f, d);
	else
		forget_device(f, d);
}

/* A new address can make a gateway reachable or a preferred source valid: try again what was refused. */
static void on_addr_new(struct fib *f)
{
	struct fib_entry *e, *tmp;

	DL_FOREACH_SAFE(f->faulty, e, tmp)
	{
		if (e->fault && e->fault->state != FIB_CONFLICT)
			fib_wake(f, e);
	}
}

static bool depends_on(const struct fib *f, const struct addr_info *a)
{
	const struct link_info *link = links_by_index(f->links, a->index);
	struct fib_entry *e, *tmp;

	if (link && find_device(f, link->name))
		return true; /* the last address takes all v4 routes of the device with it (fib_disable_ip) */
	HASH_ITER (hh, f->entries, e, tmp) {
		if (e->running && e->run.src.family && weft_addr_cmp(&e->run.src, &a->addr) == 0)
			return true;
	}
	return false;
}

void fib_on_event(struct fib *f, const struct monitor_event *ev)
{
	switch (ev->type) {
	case MONITOR_ROUTE_NEW:
	case MONITOR_ROUTE_DEL:
		on_route(f, ev);
		break;
	case MONITOR_LINK_NEW:
	case MONITOR_LINK_DEL:
		on_link(f, ev);
		break;
	case MONITOR_ADDR_NEW:
		on_addr_new(f);
		break;
	case MONITOR_ADDR_DEL:
		if (!f->need_resync && depends_on(f, &ev->addr))
			f->need_resync = true;
		break;
	case MONITOR_OVERFLOW:
		f->need_resync = true;
		break;
	case MONITOR_ROUTER: /* of the neighbour table */
		break;
	}
}

const char *fib_state_name(enum fib_state state)
{
	static const char *const names[] = {"installed", "pending", "not ready",
	                                    "conflict",  "failed",  "stale"};

	return names[state];
}

/* An unwanted route is shown until it is gone; weft-cni's are not ours to show. */
enum fib_state fib_entry_state(const struct fib_entry *e)
{
	if (!e->wanted)
		return e->place == FIB_IDLE ? FIB_STALE : FIB_PENDING;
	if (e->place == FIB_IDLE)
		return FIB_INSTALLED;
	return e->fault ? e->fault->state : FIB_PENDING;
}

bool fib_state_of(const struct fib *f, const struct weft_route_key *key, enum fib_state *state)
{
	const struct fib_entry *e = fib_find(f, key);

	if (!e || (!e->wanted && !e->running))
		return false;
	*state = fib_entry_state(e);
	return true;
}

static bool any_pending(const struct fib_entry *list)
{
	const struct fib_entry *e;

	DL_FOREACH (list, e)
		if (fib_entry_state(e) == FIB_PENDING)
			return true;
	return false;
}

bool fib_pending(const struct fib *f)
{
	return any_pending(f->set) || any_pending(f->del) || any_pending(f->faulty);
}

void fib_foreach(const struct fib *f, fib_view_fn fn, void *ctx)
{
	struct fib_entry *e, *tmp;

	HASH_ITER (hh, f->entries, e, tmp) {
		struct fib_view view = {.route = e->wanted ? &e->want : &e->run,
		                        .state = fib_entry_state(e),
		                        .text = e->fault ? e->fault->text : ""};

		if (!e->kept && !fn(ctx, &view))
			return;
	}
}

struct fib_stats fib_stats(const struct fib *f)
{
	struct fib_stats s = {.writes = f->writes, .resyncs = f->resyncs};
	struct fib_entry *e, *tmp;

	HASH_ITER (hh, f->entries, e, tmp) {
		if (!e->kept)
			s.count[fib_entry_state(e)]++;
	}
	return s;
}
