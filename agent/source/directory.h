// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory datastore: a folder of manifests, watched by inotify. Implements weft/source.h.
 */
#ifndef WEFT_SOURCE_DIRECTORY_H
#define WEFT_SOURCE_DIRECTORY_H

#include <uv.h>

#include "weft/err.h"
#include "weft/seal.h"
#include "weft/source.h"

/*
 * A source for the folder `path` on this loop; nothing is read before ops->start(). The folder must exist
 * by then. ops->free() closes its handles on the loop: run the loop once more before uv_loop_close(). No
 * callback comes after ops->free(), also not for writes in flight, which still end.
 */
int weft_directory_new(uv_loop_t *loop, const char *path, struct weft_source **out, struct weft_err *err);

/*
 * List the folder again every interval_ms, beside inotify, which does not see what other machines write to a
 * network file system. 0 (also without this call): start() looks at the file system, and does so every 10 s
 * on NFS, SMB, CephFS, 9p and FUSE. Files whose stat(2) is unchanged are not read. Before ops->start().
 */
void weft_directory_rescan(struct weft_source *s, uint64_t interval_ms);

/* What opens sealed values in Secrets; without it they are errors. Takes the keys. Before ops->start(). */
void weft_directory_seal_keys(struct weft_source *s, struct weft_seal_keys *keys);

#endif
