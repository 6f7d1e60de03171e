// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Handing out addresses. First an address is chosen for each family, from what is on disk; only when all are
 * found are their records written. A write that fails takes back the ones before it.
 */
#include <errno.h>
#include <string.h>

#include "ipam/host.h"
#include "ipam/record.h"
#include "ipam/view.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

#define MAX_NAMED 4 /* blocks listed in an error text */

struct choice {
	struct weft_block_file *file;
	struct weft_ipam_entry *entry;
	bool held; /* the owner has it already */
};

struct alloc {
	struct weft_view *view;
	const struct weft_ipam_request *req;
	struct weft_owner_key key;
	struct choice choice[2];
};

static const char *const family_name[] = {"IPv4", "IPv6"};
static const uint8_t family_number[] = {AF_INET, AF_INET6};

static bool pool_allowed(const struct weft_ipam_request *req, const char *pool)
{
	for (size_t i = 0; i < req->n_pools; i++)
		if (pool[0] && !strcmp(req->pools[i], pool))
			return true;
	return req->n_pools == 0 && pool[0]; /* "": a damaged header, the pool is unknown */
}

static bool block_allowed(const struct alloc *a, int family, const struct weft_ipam_block *b)
{
	return b->cidr.addr.family == family_number[family] && !b->retired && pool_allowed(a->req, b->pool);
}

static bool cooling(const struct alloc *a, const struct weft_ipam_entry *e)
{
	return weft_entry_cooling(e, a->view->now_ms, a->view->ipam->opt.cooldown_ms);
}

/* Seconds, rounded up, until an address has cooled down. */
static unsigned long long seconds_left(const struct alloc *a, const struct weft_ipam_entry *e)
{
	return (e->released_ms + a->view->ipam->opt.cooldown_ms - a->view->now_ms + 999) / 1000;
}

/*
 * The clock was set back since a release: let its cooldown start now, on disk, so that it ends after one
 * cooldown and not when the clock reaches the old time again.
 */
static int settle_clock(struct weft_view *v, struct weft_err *err)
{
	for (size_t i = 0; i < v->n; i++) {
		for (size_t k = 0; k < v->files[i].block.n; k++) {
			struct weft_ipam_entry e = v->files[i].block.entries[k];
			int r;

			if (e.state != WEFT_IPAM_FREE || e.released_ms <= v->now_ms)
				continue;
			e.released_ms = v->now_ms;
			r = weft_block_write(&v->files[i], &e, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static void find_held(struct alloc *a, int family)
{
	for (size_t i = 0; i < a->view->n; i++) {
		struct weft_block_file *f = &a->view->files[i];

		if (f->block.cidr.addr.family != family_number[family])
			continue;
		for (size_t k = 0; k < f->block.n; k++)
			if (weft_owner_has(&a->key, &f->block.entries[k]))
				a->choice[family] = (struct choice){f, &f->block.entries[k], true};
	}
}

/* Why a wanted address can't be had; 0 when it can. */
static int refuse_wanted(const struct alloc *a, const struct weft_ipam_entry *e, const char *text,
                         struct weft_err *err)
{
	if (e->state == WEFT_IPAM_USED)
		return weft_err_set(err, EADDRINUSE, "address %s is used by container %s, interface %s", text,
		                    e->container_id, e->ifname);
	if (e->state == WEFT_IPAM_CORRUPT)
		return weft_err_set(err, EADDRINUSE,
		                    "address %s is used by someone unknown: its record is damaged", text);
	if (e->state == WEFT_IPAM_RESERVED)
		return weft_err_set(err, EADDRNOTAVAIL, "address %s is the anycast address of its block",
		                    text);
	if (cooling(a, e))
		return weft_err_set(err, EAGAIN, "address %s was just released and cools down for %llu s",
		                    text, seconds_left(a, e));
	return 0;
}

static int choose_wanted(struct alloc *a, int family, struct weft_err *err)
{
	const struct weft_addr *want = &a->req->want[family];
	char text[WEFT_ADDR_STR], other[WEFT_ADDR_STR];

	weft_addr_str(want, text);
	if (a->choice[family].held) {
		const struct weft_addr *has = &a->choice[family].entry->addr;

		if (!weft_addr_cmp(has, want))
			return 0;
		return weft_err_set(err, EEXIST, "container %s, interface %s wants %s but holds %s",
		                    a->key.container_id, a->key.ifname, text, weft_addr_str(has, other));
	}
	for (size_t i = 0; i < a->view->n; i++) {
		struct weft_block_file *f = &a->view->files[i];
		struct weft_ipam_entry *e = weft_block_entry(&f->block, want);

		if (!e || !block_allowed(a, family, &f->block))
			continue;
		a->choice[family] = (struct choice){f, e, false};
		return refuse_wanted(a, e, text, err);
	}
	return weft_err_set(err, EADDRNOTAVAIL, "address %s is in no block that this node may use for it",
	                    text);
}

/* Never used before released, then the longest released. */
static bool choose_any(struct alloc *a, int family)
{
	struct choice best = {0};

	for (size_t i = 0; i < a->view->n; i++) {
		struct weft_block_file *f = &a->view->files[i];

		if (!block_allowed(a, family, &f->block))
			continue;
		for (size_t k = 0; k < f->block.n; k++) {
			struct weft_ipam_entry *e = &f->block.entries[k];

			if (e->state != WEFT_IPAM_FREE || cooling(a, e))
				continue;
			if (!best.entry || e->seq < best.entry->seq)
				best = (struct choice){f, e, false};
		}
	}
	a->choice[family] = best;
	return best.entry != NULL;
}

static void name_pools(const struct weft_ipam_request *req, struct weft_buf *out)
{
	for (size_t i = 0; i < req->n_pools && i < MAX_NAMED; i++)
		weft_buf_printf(out, "%s%s", i ? ", " : " of pool ", req->pools[i]);
	if (req->n_pools > MAX_NAMED)
		weft_buf_str(out, ", ...");
}

static void name_blocks(const struct alloc *a, int family, struct weft_buf *out)
{
	char text[WEFT_PREFIX_STR];
	size_t named = 0;

	for (size_t i = 0; i < a->view->n; i++) {
		const struct weft_ipam_block *b = &a->view->files[i].block;

		if (!block_allowed(a, family, b))
			continue;
		if (named++ == MAX_NAMED) {
			weft_buf_str(out, ", ...");
			return;
		}
		weft_buf_printf(out, "%s%s (pool %s)", named > 1 ? ", " : "", weft_prefix_str(&b->cidr, text),
		                b->pool);
	}
}

/* "no free IPv4 address in 10.244.1.0/26 (pool default): 60 used, 4 cooling down (first free in 12 s) ..." */
static void describe_shortage(const struct alloc *a, int family, struct weft_buf *out)
{
	struct weft_ipam_counts sum = {0};
	unsigned long long first = 0;
	size_t blocks = 0;

	for (size_t i = 0; i < a->view->n; i++) {
		struct weft_ipam_block *b = &a->view->files[i].block;

		if (!block_allowed(a, family, b))
			continue;
		blocks++;
		weft_block_count(b, a->view->now_ms, a->view->ipam->opt.cooldown_ms);
		sum.used += b->counts.used;
		sum.cooling += b->counts.cooling;
		sum.corrupt += b->counts.corrupt;
		for (size_t k = 0; k < b->n; k++) {
			unsigned long long left =
			        cooling(a, &b->entries[k]) ? seconds_left(a, &b->entries[k]) : 0;

			first = left && (!first || left < first) ? left : first;
		}
	}
	if (out->len)
		weft_buf_str(out, "; ");
	if (blocks == 0) {
		weft_buf_printf(out, "this node has no %s block", family_name[family]);
		name_pools(a->req, out);
		return;
	}
	weft_buf_printf(out, "no free %s address in ", family_name[family]);
	name_blocks(a, family, out);
	weft_buf_printf(out, ": %u used", sum.used);
	if (sum.cooling)
		weft_buf_printf(out, ", %u cooling down (first free in %llu s)", sum.cooling, first);
	if (sum.corrupt)
		weft_buf_printf(out, ", %u with damaged records", sum.corrupt);
}

static int choose(struct alloc *a, struct weft_ipam_result *result, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};

	for (int family = 0; family < 2; family++) {
		if (!(a->req->families & (1u << family)))
			continue;
		find_held(a, family);
		if (weft_addr_is_set(&a->req->want[family])) {
			int r = choose_wanted(a, family, err);
			if (r < 0)
				return r;
		} else if (!a->choice[family].held && !choose_any(a, family)) {
			result->missing |= 1u << family;
			describe_shortage(a, family, &text);
		}
	}
	return result->missing ? weft_err_set(err, ENOSPC, "%s", weft_buf_text(&text)) : 0;
}

static int take(struct alloc *a, const struct choice *c, struct weft_err *err)
{
	struct weft_ipam_entry e = *c->entry;

	e.state = WEFT_IPAM_USED;
	strcpy(e.container_id, a->key.container_id);
	strcpy(e.ifname, a->key.ifname);
	if (a->req->owner.host_dev)
		strcpy(e.host_dev, a->req->owner.host_dev);
	return weft_block_write(c->file, &e, err);
}

static int take_all(struct alloc *a, struct weft_err *err)
{
	struct weft_ipam_entry before = {0};

	for (int family = 0; family < 2; family++) {
		const struct choice *c = &a->choice[family];
		struct weft_ipam_entry was;
		int r;

		if (!c->entry || c->held)
			continue;
		was = *c->entry;
		r = take(a, c, err);
		if (r < 0 && weft_addr_is_set(&before.addr))
			weft_block_write(a->choice[0].file, &before, NULL);
		if (r < 0)
			return r;
		before = was;
	}
	return 0;
}

static int check_request(const struct weft_ipam_request *req, struct weft_err *err)
{
	const char *dev = req->owner.host_dev;

	if (req->families == 0 || req->families > (WEFT_IPAM_V4 | WEFT_IPAM_V6))
		return weft_err_set(err, EINVAL, "no address family was asked for");
	for (int family = 0; family < 2; family++) {
		if (!weft_addr_is_set(&req->want[family]))
			continue;
		if (req->want[family].family != family_number[family] || !(req->families & (1u << family)))
			return weft_err_set(err, EINVAL, "the wanted %s address is of a family not asked for",
			                    family_name[family]);
	}
	if (dev && dev[0] && (!strcmp(dev, "-") || !weft_ipam_ifname_valid(dev)))
		return weft_err_set(err, EINVAL, "\"%.20s\" is not the name of a host device", dev);
	return 0;
}

int weft_ipam_alloc(struct weft_ipam *ipam, const struct weft_ipam_request *req,
                    struct weft_ipam_result *result, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	struct alloc a = {.view = &v, .req = req};
	int r = check_request(req, err);

	*result = (struct weft_ipam_result){0};
	if (r == 0)
		r = weft_owner_key(&req->owner, &a.key, err);
	if (r == 0)
		r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);
	if (r == 0)
		r = settle_clock(&v, err);
	if (r == 0)
		r = choose(&a, result, err);
	if (r == 0)
		r = take_all(&a, err);
	for (int family = 0; r == 0 && family < 2; family++) {
		if (!a.choice[family].entry)
			continue;
		result->addr[family] = a.choice[family].entry->addr;
		result->block[family] = a.choice[family].file->block.cidr;
	}
	return r;
}
