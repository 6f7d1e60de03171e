// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loading all blocks under (or without) the lock. An owner is found by reading every block: a node has a few
 * files of 16 KiB, and an index would be a second truth to keep crash-safe.
 */
#include "ipam/view.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "ipam/record.h"
#include "weft/cleanup.h"

uint64_t weft_view_now(const struct weft_ipam *ipam)
{
	struct timespec ts;

	if (ipam->opt.now_ms)
		return ipam->opt.now_ms(ipam->opt.ctx);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int by_cidr(const void *a, const void *b)
{
	return weft_prefix_cmp(&((const struct weft_block_file *)a)->block.cidr,
	                       &((const struct weft_block_file *)b)->block.cidr);
}

static int add_file(struct weft_view *v, const char *name, bool writable, struct weft_err *err)
{
	struct weft_block_file *more = reallocarray(v->files, v->n + 1, sizeof(*more));
	int r;

	if (!more)
		return weft_err_errno(err, ENOMEM, "can't load the blocks in %s", v->ipam->dir);
	v->files = more;
	r = weft_block_load(v->ipam->dir, name, writable, &v->files[v->n], err);
	if (r < 0)
		return r;
	const struct weft_ipam_block *b = &v->files[v->n++].block;
	for (size_t i = 0; i < b->n; i++)
		v->seq = b->entries[i].seq > v->seq ? b->entries[i].seq : v->seq;
	return 0;
}

int weft_view_open(struct weft_view *v, const struct weft_ipam *ipam, enum weft_view_mode mode,
                   struct weft_err *err)
{
	bool writable = mode == WEFT_VIEW_EXCLUSIVE;
	char path[PATH_MAX];
	struct dirent *d;
	int r;

	v->ipam = ipam;
	if (mode != WEFT_VIEW_UNLOCKED) {
		snprintf(path, sizeof(path), "%s/lock", ipam->dir);
		v->lock = weft_lock_take(path, writable ? WEFT_LOCK_EXCLUSIVE : WEFT_LOCK_SHARED,
		                         ipam->opt.lock_timeout_ms, err);
		if (v->lock < 0)
			return v->lock;
	}
	v->now_ms = weft_view_now(ipam);
	weft_autoclosedir DIR *dir = opendir(ipam->dir);
	if (!dir)
		return weft_err_errno(err, errno, "can't open the folder %s", ipam->dir);
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		struct weft_prefix cidr;

		if (weft_ipam_block_cidr(d->d_name, &cidr) < 0)
			continue;
		r = add_file(v, d->d_name, writable, err);
		if (r == -ENOENT && mode == WEFT_VIEW_UNLOCKED)
			continue; /* removed meanwhile */
		if (r < 0)
			return r;
	}
	if (errno)
		return weft_err_errno(err, errno, "can't read the folder %s", ipam->dir);
	if (v->n > 1)
		qsort(v->files, v->n, sizeof(*v->files), by_cidr);
	return 0;
}

void weft_view_close(struct weft_view *v)
{
	for (size_t i = 0; i < v->n; i++)
		weft_block_unload(&v->files[i]);
	free(v->files);
	if (v->lock >= 0)
		close(v->lock);
	*v = WEFT_VIEW_INIT;
}

int weft_view_free_entry(struct weft_view *v, struct weft_block_file *f, const struct weft_ipam_entry *e,
                         struct weft_err *err)
{
	struct weft_ipam_entry freed = {.addr = e->addr,
	                                .state = weft_block_free_state(&f->block.cidr, &e->addr),
	                                .seq = ++v->seq,
	                                .released_ms = v->now_ms};

	return weft_block_write(f, &freed, err);
}

int weft_owner_key(const struct weft_ipam_owner *owner, struct weft_owner_key *key, struct weft_err *err)
{
	if (!weft_ipam_id_valid(owner->container_id))
		return weft_err_set(err, EINVAL, "\"%.80s\" is not a container ID",
		                    owner->container_id ? owner->container_id : "");
	if (!weft_ipam_ifname_valid(owner->ifname))
		return weft_err_set(err, EINVAL, "\"%.20s\" is not an interface name",
		                    owner->ifname ? owner->ifname : "");
	weft_ipam_id_store(owner->container_id, key->container_id);
	strcpy(key->ifname, owner->ifname);
	return 0;
}

bool weft_owner_has(const struct weft_owner_key *key, const struct weft_ipam_entry *e)
{
	return e->state == WEFT_IPAM_USED && !strcmp(e->container_id, key->container_id) &&
	       !strcmp(e->ifname, key->ifname);
}
