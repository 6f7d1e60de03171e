// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mirror of devices and addresses: link.h.
 *
 * Devices hash by index and by name; addresses hang on their device, because they are few there. A device
 * that is gone takes its addresses with it (the kernel sends their deletions first, normally).
 */
#include "agent/apply/link.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "weft/cleanup.h"
#include "weft/marks.h"

struct address {
	struct addr_info info;
	struct address *next;
};

struct device {
	struct link_info info;
	struct address *addrs;
	UT_hash_handle by_index, by_name;
};

struct links {
	struct device *by_index, *by_name;
};

struct links *links_new(void)
{
	return calloc(1, sizeof(struct links));
}

static struct device *find_index(const struct links *l, uint32_t index)
{
	struct device *d;

	HASH_FIND(by_index, l->by_index, &index, sizeof(index), d);
	return d;
}

static struct device *find_name(const struct links *l, const char *name)
{
	struct device *d;

	HASH_FIND(by_name, l->by_name, name, strnlen(name, IFNAMSIZ), d);
	return d;
}

static void remove_device(struct links *l, struct device *d)
{
	struct address *a, *tmp;

	HASH_DELETE(by_index, l->by_index, d);
	HASH_DELETE(by_name, l->by_name, d);
	LL_FOREACH_SAFE(d->addrs, a, tmp)
	free(a);
	free(d);
}

static void clear(struct links *l)
{
	struct device *d, *tmp;

	HASH_ITER (by_index, l->by_index, d, tmp)
		remove_device(l, d);
}

void links_free(struct links *l)
{
	if (!l)
		return;
	clear(l);
	free(l);
}

static void hash_name(struct links *l, struct device *d)
{
	struct device *other = find_name(l, d->info.name);

	if (other) /* its rename or removal is still to come: the newer news wins */
		remove_device(l, other);
	HASH_ADD_KEYPTR(by_name, l->by_name, d->info.name, strlen(d->info.name), d);
}

static bool set_link(struct links *l, const struct link_info *info)
{
	struct device *d = find_index(l, info->index);

	if (d && memcmp(&d->info, info, sizeof(*info)) == 0)
		return false;
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return false;
		d->info = *info;
		HASH_ADD(by_index, l->by_index, info.index, sizeof(d->info.index), d);
		hash_name(l, d);
		return true;
	}
	HASH_DELETE(by_name, l->by_name, d);
	d->info = *info;
	hash_name(l, d);
	return true;
}

static bool del_link(struct links *l, uint32_t index)
{
	struct device *d = find_index(l, index);

	if (d)
		remove_device(l, d);
	return d != NULL;
}

static bool same_address(const struct addr_info *a, const struct addr_info *b)
{
	return a->len == b->len && weft_addr_cmp(&a->addr, &b->addr) == 0 &&
	       weft_addr_cmp(&a->peer_addr, &b->peer_addr) == 0;
}

static bool set_addr(struct links *l, const struct addr_info *info)
{
	struct device *d = find_index(l, info->index);
	struct address *a;

	if (!d)
		return false;
	LL_FOREACH (d->addrs, a) {
		if (same_address(&a->info, info)) {
			bool changed = memcmp(&a->info, info, sizeof(*info)) != 0;

			a->info = *info;
			return changed;
		}
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return false;
	a->info = *info;
	LL_APPEND(d->addrs, a);
	return true;
}

static bool del_addr(struct links *l, const struct addr_info *info)
{
	struct device *d = find_index(l, info->index);
	struct address *a, *tmp;

	if (!d)
		return false;
	LL_FOREACH_SAFE(d->addrs, a, tmp)
	{
		if (same_address(&a->info, info)) {
			LL_DELETE(d->addrs, a);
			free(a);
			return true;
		}
	}
	return false;
}

bool links_on_event(struct links *l, const struct monitor_event *ev)
{
	switch (ev->type) {
	case MONITOR_LINK_NEW:
		return set_link(l, &ev->link);
	case MONITOR_LINK_DEL:
		return del_link(l, ev->link.index);
	case MONITOR_ADDR_NEW:
		return set_addr(l, &ev->addr);
	case MONITOR_ADDR_DEL:
		return del_addr(l, &ev->addr);
	default:
		return false;
	}
}

static void restart(void *ctx)
{
	clear(ctx);
}

static int take_link(void *ctx, const struct nlmsghdr *nlh)
{
	struct link_info info;

	if (nlh->nlmsg_type == RTM_NEWLINK && link_msg_parse(nlh, &info) == 0)
		set_link(ctx, &info);
	return 0;
}

static void forget_addresses(void *ctx)
{
	struct links *l = ctx;
	struct device *d, *dtmp;
	struct address *a, *tmp;

	HASH_ITER (by_index, l->by_index, d, dtmp) {
		LL_FOREACH_SAFE(d->addrs, a, tmp)
		free(a);
		d->addrs = NULL;
	}
}

static int take_addr(void *ctx, const struct nlmsghdr *nlh)
{
	struct addr_info info;

	if (nlh->nlmsg_type == RTM_NEWADDR && addr_msg_parse(nlh, &info) == 0)
		set_addr(ctx, &info);
	return 0;
}

static int dump(struct links *fresh, struct netlink *nl, struct weft_err *err)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	int rc;

	if (!msg || link_msg_dump(msg))
		return weft_err_errno(err, ENOMEM, "reading devices");
	rc = netlink_dump(nl, msg, &(struct netlink_sink){.restart = restart, .msg = take_link, .ctx = fresh},
	                  err);
	if (rc)
		return weft_err_wrap(err, "reading devices"), rc;
	netlink_msg_reset(msg);
	if (addr_msg_dump(msg, AF_UNSPEC))
		return weft_err_errno(err, ENOMEM, "reading addresses");
	rc = netlink_dump(nl, msg,
	                  &(struct netlink_sink){.restart = forget_addresses, .msg = take_addr, .ctx = fresh},
	                  err);
	return rc ? (weft_err_wrap(err, "reading addresses"), rc) : 0;
}

int links_resync(struct links *l, struct netlink *nl, struct weft_err *err)
{
	struct links fresh = {0};
	int rc = dump(&fresh, nl, err);

	if (rc) {
		clear(&fresh);
		return rc;
	}
	clear(l);
	*l = fresh;
	return 0;
}

const struct link_info *links_by_name(const struct links *l, const char *name)
{
	const struct device *d = find_name(l, name);

	return d ? &d->info : NULL;
}

const struct link_info *links_by_index(const struct links *l, uint32_t index)
{
	const struct device *d = find_index(l, index);

	return d ? &d->info : NULL;
}

uint32_t links_has_addr(const struct links *l, const struct weft_addr *addr)
{
	struct device *d, *tmp;
	struct address *a;

	HASH_ITER (by_index, l->by_index, d, tmp) {
		LL_FOREACH (d->addrs, a) {
			if (weft_addr_cmp(&a->info.addr, addr) == 0)
				return d->info.index;
		}
	}
	return 0;
}

void links_addrs(const struct links *l, uint32_t index, link_addr_fn fn, void *ctx)
{
	struct device *d = find_index(l, index);
	struct address *a;

	if (!d)
		return;
	LL_FOREACH (d->addrs, a) {
		if (!fn(ctx, &a->info))
			return;
	}
}

static bool is_underlay(const struct device *d)
{
	return !d->info.loopback && strncmp(d->info.name, WEFT_DEV_PREFIX, strlen(WEFT_DEV_PREFIX)) != 0;
}

void links_underlay(const struct links *l, link_net_fn fn, void *ctx)
{
	struct device *d, *tmp;
	struct address *a;

	HASH_ITER (by_index, l->by_index, d, tmp) {
		if (!is_underlay(d))
			continue;
		LL_FOREACH (d->addrs, a) {
			struct link_net net = {.addr = a->info.addr,
			                       .mtu = d->info.mtu,
			                       .down = !d->info.up || a->info.tentative};

			if (!weft_addr_is_host(&a->info.addr))
				continue;
			net.net = weft_prefix_mask(a->info.peer ? &a->info.peer_addr : &a->info.addr,
			                           a->info.len);
			memcpy(net.dev, d->info.name, sizeof(net.dev));
			if (!fn(ctx, &net))
				return;
		}
	}
}

uint32_t links_unnumbered_mtu(const struct links *l)
{
	struct device *d, *tmp;
	struct address *a;
	uint32_t mtu = 0;

	HASH_ITER (by_index, l->by_index, d, tmp) {
		if (!is_underlay(d) || !d->info.up)
			continue;
		LL_FOREACH (d->addrs, a) {
			if (weft_addr_is_link_local(&a->info.addr) && (!mtu || d->info.mtu < mtu))
				mtu = d->info.mtu;
		}
	}
	return mtu;
}
