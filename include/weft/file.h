// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that survive a crash at any instant.
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "weft/err.h"

/* The whole file, NUL-terminated, malloc'd; -EFBIG above max bytes, -EINVAL for anything but a regular file.
 */
int weft_file_read(const char *path, size_t max, char **data, size_t *len, struct weft_err *err);

/* Replace path by (temp file in the same folder, fsync, rename, fsync of the folder). A reader sees old or
 * new. */
int weft_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct weft_err *err);

/*
 * Create path with this content, all or nothing, unless it exists: -EEXIST. The exclusive step is link(2) of
 * a finished temp file, which is atomic on local file systems and on NFS.
 */
int weft_file_create(const char *path, const void *data, size_t len, mode_t mode, struct weft_err *err);

/* mkdir -p; existing folders keep their mode. */
int weft_mkdirs(const char *path, mode_t mode, struct weft_err *err);

#endif
