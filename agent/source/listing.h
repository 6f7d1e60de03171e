// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names in the datastore folder: which are manifests, which exist, which are known. Names are relative to the
 * folder: "a.yaml", "ipblocks/b.yaml"; the folder itself is "".
 */
#ifndef WEFT_SOURCE_LISTING_H
#define WEFT_SOURCE_LISTING_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/source/store.h"

struct weft_names {
	char **list;
	size_t n, cap;
};

void weft_names_sort(struct weft_names *names);
void weft_names_free(struct weft_names *names);

/* By its ending; dot-files are none. */
bool weft_is_manifest(const char *name);

/* FOLDER/NAME, and the path of a relative name; false when it is too long. */
bool weft_join(const char *folder, const char *name, char out[PATH_MAX]);
bool weft_full_path(const struct weft_store *store, const char *name, char out[PATH_MAX]);

/* A folder that is not hidden, or a link to one. */
bool weft_is_folder(const struct weft_store *store, const char *name);

/* Manifests of one folder; of the root, its subfolders' names too. A negative errno when it can't be listed.
 */
int weft_list_folder(const struct weft_store *store, const char *folder, struct weft_names *files,
                     struct weft_names *folders);

/* Is there a manifest at all, in the root or a subfolder? */
bool weft_any_manifest(const struct weft_store *store);

/* Is the root on a file system that other machines write to, where inotify sees only what this one does? */
bool weft_on_network(const struct weft_store *store);

/* Note the file's stamp; true when it is another than before. */
bool weft_stamp_changed(const struct weft_store *store, struct weft_file *file);

/* Every known file of a folder, whether it is there or not: reading it finds out. False: no memory. */
bool weft_known_names(const struct weft_store *store, const char *folder, struct weft_names *out);

#endif
