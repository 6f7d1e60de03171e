// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The allocator's handle and its blocks. Every operation opens a view (ipam/view.h), works on it, and closes
 * it: nothing is cached between calls, so weftd and any number of weft-cni processes see the same state.
 */
#include "ipam/host.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ipam/record.h"
#include "ipam/view.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/object.h"

int weft_ipam_open(const char *dir, const struct weft_ipam_options *opt, struct weft_ipam **out,
                   struct weft_err *err)
{
	struct weft_ipam *ipam;
	int r;

	/* A block's or a temp file's name behind it must fit, so that no later snprintf can cut a path. */
	if (strnlen(dir, PATH_MAX) > PATH_MAX - 128)
		return weft_err_set(err, ENAMETOOLONG, "the path of the IPAM folder is too long");
	r = weft_mkdirs(dir, 0700, err);
	if (r < 0)
		return r;
	ipam = calloc(1, sizeof(*ipam));
	if (ipam)
		ipam->dir = strdup(dir);
	if (!ipam || !ipam->dir) {
		free(ipam);
		return weft_err_errno(err, ENOMEM, "can't open the IPAM folder %s", dir);
	}
	ipam->opt = opt ? *opt : (struct weft_ipam_options){.cooldown_ms = WEFT_IPAM_COOLDOWN_MS};
	if (ipam->opt.lock_timeout_ms == 0)
		ipam->opt.lock_timeout_ms = WEFT_IPAM_LOCK_MS;
	*out = ipam;
	return 0;
}

void weft_ipam_close(struct weft_ipam *ipam)
{
	if (!ipam)
		return;
	free(ipam->dir);
	free(ipam);
}

/* Under the lock, a temp file of ours (".NAME.XXXXXX", see weft_file_create) has no living writer. */
static void remove_leftovers(const struct weft_ipam *ipam)
{
	weft_autoclosedir DIR *dir = opendir(ipam->dir);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char path[PATH_MAX], name[64];
		struct weft_prefix cidr;
		size_t len = strlen(d->d_name);

		if (d->d_name[0] != '.' || len < 8 || len >= sizeof(name) || d->d_name[len - 7] != '.')
			continue;
		memcpy(name, d->d_name + 1, len - 8);
		name[len - 8] = '\0';
		if (weft_ipam_block_cidr(name, &cidr) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", ipam->dir, d->d_name);
		unlink(path);
	}
}

static int adopt_block(struct weft_block_file *f, const char *pool, struct weft_err *err)
{
	char text[WEFT_PREFIX_STR];

	if (f->block.pool[0] && strcmp(f->block.pool, pool))
		return weft_err_set(err, EEXIST, "block %s is there already, for pool %s instead of %s",
		                    weft_prefix_str(&f->block.cidr, text), f->block.pool, pool);
	return f->block.pool[0] && !f->block.retired ? 0 : weft_block_write_header(f, pool, false, err);
}

int weft_ipam_add_block(struct weft_ipam *ipam, const struct weft_prefix *cidr, const char *pool,
                        struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	char ours[WEFT_PREFIX_STR], theirs[WEFT_PREFIX_STR];
	int r;

	if (!weft_ipam_pool_valid(pool))
		return weft_err_set(err, EINVAL, "\"%.60s\" is not the name of a pool", pool ? pool : "");
	r = weft_block_size(cidr, err);
	if (r < 0)
		return r;
	r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);
	if (r < 0)
		return r;
	remove_leftovers(ipam);
	for (size_t i = 0; i < v.n; i++) {
		if (!weft_prefix_cmp(&v.files[i].block.cidr, cidr))
			return adopt_block(&v.files[i], pool, err);
		if (weft_prefix_overlaps(&v.files[i].block.cidr, cidr))
			return weft_err_set(err, EEXIST, "block %s overlaps block %s of this node",
			                    weft_prefix_str(cidr, ours),
			                    weft_prefix_str(&v.files[i].block.cidr, theirs));
	}
	return weft_block_create(ipam->dir, cidr, pool, err);
}

int weft_ipam_remove_block(struct weft_ipam *ipam, const struct weft_prefix *cidr, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	char path[PATH_MAX], text[WEFT_PREFIX_STR];
	int r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v.n; i++) {
		struct weft_ipam_block *b = &v.files[i].block;

		if (weft_prefix_cmp(&b->cidr, cidr))
			continue;
		weft_block_count(b, v.now_ms, ipam->opt.cooldown_ms);
		if (b->counts.used + b->counts.corrupt > 0)
			return weft_err_set(err, EBUSY, "block %s has %u used and %u unreadable addresses",
			                    weft_prefix_str(cidr, text), b->counts.used, b->counts.corrupt);
		snprintf(path, sizeof(path), "%s/%s", ipam->dir, weft_block_name(cidr, text));
		if (unlink(path) < 0 && errno != ENOENT)
			return weft_err_errno(err, errno, "can't remove the block file %s", path);
	}
	return 0;
}

int weft_ipam_retire_block(struct weft_ipam *ipam, const struct weft_prefix *cidr, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	int r = weft_view_open(&v, ipam, WEFT_VIEW_EXCLUSIVE, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v.n; i++) {
		struct weft_block_file *f = &v.files[i];

		/* Without a readable pool nothing is allocated either. */
		if (!weft_prefix_cmp(&f->block.cidr, cidr) && f->block.pool[0] && !f->block.retired)
			return weft_block_write_header(f, f->block.pool, true, err);
	}
	return 0;
}

static bool damaged(const struct weft_ipam_block *b)
{
	return b->counts.corrupt > 0 || !b->pool[0];
}

static void count(struct weft_view *v)
{
	for (size_t i = 0; i < v->n; i++)
		weft_block_count(&v->files[i].block, v->now_ms, v->ipam->opt.cooldown_ms);
}

int weft_ipam_list(struct weft_ipam *ipam, struct weft_ipam_block **blocks, size_t *n, struct weft_err *err)
{
	weft_auto(weft_view_close) struct weft_view v = WEFT_VIEW_INIT;
	bool again = false;
	int r = weft_view_open(&v, ipam, WEFT_VIEW_UNLOCKED, err);

	if (r < 0)
		return r;
	count(&v);
	for (size_t i = 0; i < v.n; i++)
		again = again || damaged(&v.files[i].block);
	if (again) {
		weft_view_close(&v);
		r = weft_view_open(&v, ipam, WEFT_VIEW_SHARED, err);
		if (r < 0)
			return r;
		count(&v);
	}
	*blocks = calloc(v.n + 1, sizeof(**blocks));
	if (!*blocks)
		return weft_err_errno(err, ENOMEM, "can't list the blocks in %s", ipam->dir);
	for (size_t i = 0; i < v.n; i++) {
		(*blocks)[i] = v.files[i].block;
		v.files[i].block = (struct weft_ipam_block){0};
	}
	*n = v.n;
	return 0;
}

void weft_ipam_blocks_free(struct weft_ipam_block *blocks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		weft_ipam_block_clear(&blocks[i]);
	free(blocks);
}

int weft_ipam_read(struct weft_ipam *ipam, const char *name, struct weft_ipam_block *out,
                   struct weft_err *err)
{
	struct weft_block_file f;
	char path[PATH_MAX];
	int r = weft_block_load(ipam->dir, name, false, &f, err);

	if (r < 0)
		return r;
	weft_block_count(&f.block, weft_view_now(ipam), ipam->opt.cooldown_ms);
	if (damaged(&f.block)) {
		weft_block_unload(&f);
		snprintf(path, sizeof(path), "%s/lock", ipam->dir);
		weft_autoclose int lock =
		        weft_lock_take(path, WEFT_LOCK_SHARED, ipam->opt.lock_timeout_ms, err);
		if (lock < 0)
			return lock;
		r = weft_block_load(ipam->dir, name, false, &f, err);
		if (r < 0)
			return r;
		weft_block_count(&f.block, weft_view_now(ipam), ipam->opt.cooldown_ms);
	}
	*out = f.block;
	return 0;
}
