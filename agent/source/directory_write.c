// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Claiming and releasing blocks in a folder that several agents may share.
 *
 * Disk work runs in libuv's thread pool with copies of its arguments; its end comes back to the loop.
 *
 * Claim: the block's file is made by link(2) of a finished file: of any number of agents one succeeds.
 *
 * Release: only the owner may remove the file, but nothing ties reading it to unlink(2). So the file is read
 * first, and left alone unless it names us; from then on only our own agent or an operator would change it.
 * It is then renamed away, which only one process can do, and read again: what we hold now nobody else can
 * change under that name. If it is not ours after all it is put back by link(2), which never replaces a claim
 * that was made in between. A crash between rename and unlink leaves the block released and a dot-file that
 * nobody reads.
 */
#include "agent/source/directory_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/source/decode.h"
#include "agent/source/fields.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define BLOCK_FILE_MAX 4096

struct block_write {
	uv_work_t req;
	struct weft_directory *d;
	bool release;
	struct weft_prefix cidr;
	char node[WEFT_NAME_MAX + 1], pool[WEFT_NAME_MAX + 1];
	char folder[PATH_MAX];
	char file[sizeof(WEFT_BLOCKS_FOLDER) + WEFT_PREFIX_STR + 8]; /* relative */
	struct weft_err err;
	weft_write_done_fn done;
	void *ctx;
};

static int block_path(struct block_write *w, const char *root, char path[PATH_MAX])
{
	if ((size_t)snprintf(w->folder, PATH_MAX, "%s/" WEFT_BLOCKS_FOLDER, root) >= PATH_MAX ||
	    (size_t)snprintf(path, PATH_MAX, "%s/%s", root, w->file) >= PATH_MAX)
		return weft_err_set(&w->err, ENAMETOOLONG, "the path of the datastore folder is too long");
	return 0;
}

static void claim(struct block_write *w, const char *path)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};

	/* Not mkdir -p: when the datastore itself is gone, a new one must not be made in its place. */
	if (mkdir(w->folder, 0755) < 0 && errno != EEXIST) {
		weft_err_errno(&w->err, errno, "can't create the folder %s", w->folder);
		return;
	}
	weft_encode_ipblock(&w->cidr, w->node, w->pool, &text);
	if (text.failed)
		weft_err_errno(&w->err, ENOMEM, "claiming a block");
	else
		weft_file_create(path, text.data, text.len, 0644, &w->err);
}

/* Whose block a file is; an unreadable one is nobody's. */
static int read_owner(const char *path, char owner[WEFT_NAME_MAX + 1], struct weft_err *err)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	struct weft_decoded got = {0};
	size_t len = 0;
	int r = weft_file_read(path, BLOCK_FILE_MAX, &text, &len, err);

	if (r == 0)
		r = weft_yaml_parse(text, len, false, &yaml, err);
	if (r < 0)
		return r;
	if (yaml.n_docs != 1 || yaml.docs[0].err.code)
		return weft_err_set(err, EINVAL, "%s is not one IPBlock", path);
	r = weft_decode(yaml.docs[0].root, &got, err);
	if (r < 0)
		return r;
	if (got.obj && got.kind == WEFT_IPBLOCK)
		snprintf(owner, WEFT_NAME_MAX + 1, "%s", got.obj->ipblock.node);
	else
		r = weft_err_set(err, EINVAL, "%s is not one IPBlock", path);
	weft_object_free(got.obj);
	return r;
}

static int check_owner(struct block_write *w, const char *path)
{
	char owner[WEFT_NAME_MAX + 1] = "";
	int r = read_owner(path, owner, &w->err);

	if (r < 0)
		return r;
	if (strcmp(owner, w->node))
		return weft_err_set(&w->err, EPERM, "the block %s belongs to node %s", path, owner);
	return 0;
}

static void release(struct block_write *w, const char *path)
{
	char aside[PATH_MAX];

	if ((size_t)snprintf(aside, sizeof(aside), "%s/.release.%s.%d", w->folder,
	                     w->file + sizeof(WEFT_BLOCKS_FOLDER), (int)getpid()) >= sizeof(aside)) {
		weft_err_set(&w->err, ENAMETOOLONG, "the path of the datastore folder is too long");
		return;
	}
	if (check_owner(w, path) < 0)
		return;
	if (rename(path, aside) < 0) {
		weft_err_errno(&w->err, errno, "can't release %s", path);
		return;
	}
	if (check_owner(w, aside) < 0 && link(aside, path) < 0 && errno != EEXIST)
		weft_err_wrap(&w->err, "%s can't be put back (%s), it is %s now", path, strerror(errno),
		              aside);
	else
		unlink(aside);
}

static void work(uv_work_t *req)
{
	struct block_write *w = req->data;
	char path[PATH_MAX];

	if (w->err.code || block_path(w, w->d->store.path, path) < 0)
		return;
	if (w->release)
		release(w, path);
	else
		claim(w, path);
}

static void after_work(uv_work_t *req, int status)
{
	struct block_write *w = req->data;
	struct weft_directory *d = w->d;

	if (status < 0)
		weft_err_set(&w->err, status, "the write was not started: %s", uv_strerror(status));
	d->writes--;
	if (!d->closing) {
		/* inotify would say it as well, later. After a failure it shows who was first. */
		if (d->synced)
			weft_directory_touch(d, w->file, w->release && !w->err.code);
		w->done(w->ctx, w->err.code ? &w->err : NULL);
	}
	free(w);
	weft_directory_unref(d);
}

/* A block that an operator wrote down somewhere else is not ours to make or to remove. */
static void check_elsewhere(struct block_write *w)
{
	char name[WEFT_PREFIX_STR], text[WEFT_PREFIX_STR];
	const struct weft_entry *entry;

	weft_block_name(&w->cidr, name);
	entry = weft_store_entry(&w->d->store, WEFT_IPBLOCK, name, false);
	if (!entry || !strcmp(entry->items->file->name, w->file))
		return;
	weft_err_set(&w->err, w->release ? EPERM : EEXIST, "the block %s is defined in %s",
	             weft_prefix_str(&w->cidr, text), entry->items->file->name);
}

static void begin(struct weft_source *s, const struct weft_prefix *cidr, const char *node, const char *pool,
                  weft_write_done_fn done, void *ctx)
{
	struct weft_directory *d = (struct weft_directory *)s;
	struct block_write *w = calloc(1, sizeof(*w));
	char name[WEFT_PREFIX_STR];

	if (!w) {
		struct weft_err err;
		weft_err_errno(&err, ENOMEM, "writing a block");
		done(ctx, &err);
		return;
	}
	w->req.data = w;
	w->d = d;
	w->release = !pool;
	w->cidr = *cidr;
	w->done = done;
	w->ctx = ctx;
	snprintf(w->node, sizeof(w->node), "%s", node);
	snprintf(w->pool, sizeof(w->pool), "%s", pool ? pool : "");
	snprintf(w->file, sizeof(w->file), WEFT_BLOCKS_FOLDER "/%s.yaml", weft_block_name(cidr, name));
	if (!weft_name_valid(node) || (pool && !weft_name_valid(pool)))
		weft_err_set(&w->err, EINVAL, "a block needs valid names of its node and pool");
	else
		check_elsewhere(w);
	d->writes++;
	uv_queue_work(d->loop, &w->req, work, after_work);
}

void weft_directory_claim(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                          const char *pool, weft_write_done_fn done, void *ctx)
{
	begin(s, cidr, node, pool, done, ctx);
}

void weft_directory_release(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                            weft_write_done_fn done, void *ctx)
{
	begin(s, cidr, node, NULL, done, ctx);
}
