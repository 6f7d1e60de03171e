// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/oneshot.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/source/listing.h"
#include "weft/cleanup.h"

static void read_again(void *owner, struct weft_file *file)
{
	(void)owner; /* an object in two files: the first counts, and files come in the order of their names */
	(void)file;
}

static int read_files(struct weft_store *store, struct weft_err *err)
{
	weft_auto(weft_names_free) struct weft_names files = {0}, folders = {0}, none = {0};
	int r = weft_list_folder(store, "", &files, &folders);

	for (size_t i = 0; r == 0 && i < folders.n; i++)
		r = weft_list_folder(store, folders.list[i], &files, &none);
	if (r < 0)
		return weft_err_errno(err, r, "reading the folder %s", store->path);
	weft_names_sort(&files);
	for (size_t i = 0; i < files.n; i++) {
		struct weft_file *file = weft_store_file(store, files.list[i], true);

		if (!file)
			return weft_err_errno(err, ENOMEM, "reading the folder %s", store->path);
		weft_store_read(store, file, true);
	}
	return 0;
}

int weft_oneshot(const char *path, weft_sink_fn sink, void *ctx, struct weft_err *err)
{
	struct weft_store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return weft_err_errno(err, ENOMEM, "reading the folder %s", path);
	store->sink = sink;
	store->ctx = ctx;
	store->reread = read_again;
	randombytes_buf(store->key, sizeof(store->key));
	if ((size_t)snprintf(store->path, sizeof(store->path), "%s", path) >= sizeof(store->path))
		r = weft_err_set(err, ENAMETOOLONG, "the path of the folder is too long");
	else
		r = read_files(store, err);
	weft_store_free(store);
	free(store);
	return r;
}
