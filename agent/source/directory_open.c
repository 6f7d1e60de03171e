// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making, describing and freeing the directory source.
 *
 * The source owns all that belongs to it. It is freed when it is closing, its handles are closed and no write
 * runs: until then it also keeps the locks of its roles, so that no write of ours lands in another's reign.
 */
#include "agent/source/directory.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/source/directory_priv.h"

static struct cJSON *describe(struct weft_source *s)
{
	struct weft_directory *d = (struct weft_directory *)s;
	cJSON *out = cJSON_CreateObject();
	struct weft_file *file, *next;
	unsigned invalid = 0;

	HASH_ITER (hh, d->store.files, file, next)
		invalid += file->reported;
	cJSON_AddStringToObject(out, "kind", "directory");
	cJSON_AddStringToObject(out, "path", d->store.path);
	cJSON_AddBoolToObject(out, "synced", d->synced);
	cJSON_AddBoolToObject(out, "lost", d->lost);
	cJSON_AddNumberToObject(out, "files", HASH_COUNT(d->store.files));
	cJSON_AddNumberToObject(out, "objects", HASH_COUNT(d->store.entries));
	cJSON_AddNumberToObject(out, "invalidFiles", invalid);
	return out;
}

void weft_directory_unref(struct weft_directory *d)
{
	struct weft_folder *f, *next;

	if (!d->closing || d->handles || d->writes)
		return;
	weft_directory_free_stands(d);
	LL_FOREACH_SAFE(d->folders, f, next) free(f);
	if (d->fd >= 0)
		close(d->fd);
	weft_store_free(&d->store);
	weft_seal_keys_free(d->store.seal_keys);
	sodium_memzero(d->store.key, sizeof(d->store.key));
	free(d);
}

void weft_directory_on_closed(uv_handle_t *handle)
{
	struct weft_directory *d = handle->data;

	d->handles--;
	weft_directory_unref(d);
}

static void source_free(struct weft_source *s)
{
	struct weft_directory *d = (struct weft_directory *)s;

	d->closing = true;
	if (!d->handles) {
		weft_directory_unref(d);
		return;
	}
	uv_close((uv_handle_t *)&d->poll, weft_directory_on_closed);
	uv_close((uv_handle_t *)&d->timer, weft_directory_on_closed);
	uv_close((uv_handle_t *)&d->rescan, weft_directory_on_closed);
	weft_directory_close_stands(d);
}

void weft_directory_rescan(struct weft_source *s, uint64_t interval_ms)
{
	((struct weft_directory *)s)->rescan_ms = interval_ms;
}

void weft_directory_seal_keys(struct weft_source *s, struct weft_seal_keys *keys)
{
	((struct weft_directory *)s)->store.seal_keys = keys;
}

static const struct weft_source_ops ops = {
        .start = weft_directory_start,
        .claim_block = weft_directory_claim,
        .release_block = weft_directory_release,
        .put_status = weft_directory_put_status,
        .stand = weft_directory_stand,
        .describe = describe,
        .free = source_free,
};

int weft_directory_new(uv_loop_t *loop, const char *path, struct weft_source **out, struct weft_err *err)
{
	struct weft_directory *d;

	if (sodium_init() < 0)
		return weft_err_set(err, EIO, "libsodium can't start");
	d = calloc(1, sizeof(*d));
	if (!d)
		return weft_err_errno(err, ENOMEM, "opening the directory %s", path);
	if ((size_t)snprintf(d->store.path, sizeof(d->store.path), "%s", path) >= sizeof(d->store.path)) {
		free(d);
		return weft_err_set(err, ENAMETOOLONG, "the path of the datastore folder is too long");
	}
	d->source.ops = &ops;
	d->loop = loop;
	d->fd = -1;
	randombytes_buf(d->store.key, sizeof(d->store.key));
	d->store.reread = weft_directory_reread;
	d->store.owner = d;
	*out = &d->source;
	return 0;
}
