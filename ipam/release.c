// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding and giving back. Each release is one record; an interrupted one is finished by calling it again.
 */
#include <errno.h>
#include <string.h>

#include "ipam/host.h"
#include "ipam/view.h"
#include "weft/cleanup.h"

int weft_ipam_find(struct weft_ipam *ipam, const struct weft_ipam_owner *owner,
                   struct weft_ipam_result *result, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	struct weft_owner_key key;
	int r = weft_owner_key(owner, &key, err);

	if (r == 0)
		r = weft_view_open(&v, ipam, WEFT_VIEW_SHARED, err);
	if (r < 0)
		return r;
	*result = (struct weft_ipam_result){0};
	for (size_t i = 0; i < v.n; i++) {
		const struct weft_ipam_block *b = &v.files[i].block;
		int family = b->cidr.addr.family == AF_INET6;

		for (size_t k = 0; k < b->n; k++) {
			if (!weft_owner_has(&key, &b->entries[k]))
				continue;
			result->addr[family] = b->entries[k].addr;
			result->block[family] = b->cidr;
		}
	}
	return 0;
}

int weft_ipam_release(struct weft_ipam *ipam, const struct weft_ipam_owner *owner, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	struct weft_owner_key key;
	int released = 0, r = weft_owner_key(owner, &key, err);

	if (r == 0)
		r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);
	for (size_t i = 0; r == 0 && i < v.n; i++) {
		struct weft_ipam_block *b = &v.files[i].block;

		for (size_t k = 0; r == 0 && k < b->n; k++) {
			if (!weft_owner_has(&key, &b->entries[k]))
				continue;
			r = weft_view_free_entry(&v, &v.files[i], &b->entries[k], err);
			released++;
		}
	}
	return r < 0 ? r : released;
}

int weft_ipam_release_address(struct weft_ipam *ipam, const struct weft_addr *addr, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	int r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v.n; i++) {
		const struct weft_ipam_entry *e = weft_block_entry(&v.files[i].block, addr);

		if (!e || (e->state != WEFT_IPAM_USED && e->state != WEFT_IPAM_CORRUPT))
			continue;
		r = weft_view_free_entry(&v, &v.files[i], e, err);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* A valid owner, and the families in which it has a readable address. */
struct valid_owner {
	struct weft_owner_key key;
	unsigned seen;
};

struct gc {
	struct weft_view *view;
	struct valid_owner *owners; /* sorted by key */
	size_t n;
	weft_ipam_in_use_fn *in_use;
	void *ctx;
};

static int by_key(const void *a, const void *b)
{
	const struct weft_owner_key *x = &((const struct valid_owner *)a)->key;
	const struct weft_owner_key *y = &((const struct valid_owner *)b)->key;
	int c = strcmp(x->container_id, y->container_id);

	return c ? c : strcmp(x->ifname, y->ifname);
}

static struct valid_owner *valid_owner(const struct gc *gc, const struct weft_ipam_entry *e)
{
	struct valid_owner want = {0};

	strcpy(want.key.container_id, e->container_id);
	strcpy(want.key.ifname, e->ifname);
	return gc->n ? bsearch(&want, gc->owners, gc->n, sizeof(want), by_key) : NULL;
}

static unsigned family_bit(const struct weft_addr *addr)
{
	return addr->family == AF_INET6 ? WEFT_IPAM_V6 : WEFT_IPAM_V4;
}

static int gc_used(struct gc *gc, struct weft_block_file *f, const struct weft_ipam_entry *e,
                   struct weft_err *err)
{
	struct valid_owner *owner = valid_owner(gc, e);

	if (owner)
		owner->seen |= family_bit(&e->addr);
	if (owner || !strcmp(e->container_id, WEFT_IPAM_NODE_ID))
		return 0;
	int r = weft_view_free_entry(gc->view, f, e, err);
	return r < 0 ? r : 1;
}

static int gc_corrupt(struct gc *gc, struct weft_block_file *f, const struct weft_ipam_entry *e,
                      struct weft_err *err)
{
	bool lost = true;

	for (size_t i = 0; i < gc->n; i++)
		lost = lost && (gc->owners[i].seen & family_bit(&e->addr));
	if (gc->in_use)
		lost = !gc->in_use(gc->ctx, &e->addr);
	if (!lost)
		return 0;
	int r = weft_view_free_entry(gc->view, f, e, err);
	return r < 0 ? r : 1;
}

/* One pass over all entries of a state; the number released or a negative errno. */
static int gc_pass(struct gc *gc, enum weft_ipam_state state, struct weft_err *err)
{
	int released = 0;

	for (size_t i = 0; i < gc->view->n; i++) {
		struct weft_block_file *f = &gc->view->files[i];

		for (size_t k = 0; k < f->block.n; k++) {
			const struct weft_ipam_entry *e = &f->block.entries[k];
			int r;

			if (e->state != state)
				continue;
			r = state == WEFT_IPAM_USED ? gc_used(gc, f, e, err) : gc_corrupt(gc, f, e, err);
			if (r < 0)
				return r;
			released += r;
		}
	}
	return released;
}

int weft_ipam_gc(struct weft_ipam *ipam, const struct weft_ipam_owner *valid, size_t n,
                 weft_ipam_in_use_fn *in_use, void *ctx, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	weft_autofree struct valid_owner *owners = calloc(n + 1, sizeof(*owners));
	struct gc gc = {.view = &v, .owners = owners, .in_use = in_use, .ctx = ctx};
	int used, corrupt, r;

	if (!owners)
		return weft_err_errno(err, ENOMEM, "can't sort %zu valid attachments", n);
	for (size_t i = 0; i < n; i++) {
		r = weft_owner_key(&valid[i], &owners[i].key, err);
		if (r < 0)
			return r;
	}
	qsort(owners, n, sizeof(*owners), by_key);
	for (size_t i = 0; i < n; i++)
		if (gc.n == 0 || by_key(&owners[gc.n - 1], &owners[i]))
			owners[gc.n++] = owners[i];
	r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);
	if (r < 0)
		return r;
	used = gc_pass(&gc, WEFT_IPAM_USED, err);
	if (used < 0)
		return used;
	corrupt = gc_pass(&gc, WEFT_IPAM_CORRUPT, err);
	return corrupt < 0 ? corrupt : used + corrupt;
}
