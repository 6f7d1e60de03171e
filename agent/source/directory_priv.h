// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside the directory source: directory.c (watching) and directory_write.c (claims).
 */
#ifndef WEFT_SOURCE_DIRECTORY_PRIV_H
#define WEFT_SOURCE_DIRECTORY_PRIV_H

#include <limits.h>
#include <uv.h>

#include "agent/source/store.h"
#include "weft/source.h"

#define WEFT_BLOCKS_FOLDER "ipblocks"

struct weft_folder { /* a watched folder: "" is the root, others are its subfolders */
	struct weft_folder *next;
	int wd;
	char name[NAME_MAX + 1];
};

struct weft_directory {
	struct weft_source source; /* first: ops get this pointer */
	struct weft_store store;
	uv_loop_t *loop;
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;           /* inotify; -1 before start */
	unsigned handles; /* open libuv handles */
	unsigned writes;  /* in flight */
	bool closing, synced, lost;
	bool only_changed;  /* a rescan: files with an unchanged stamp are passed over */
	uint64_t rescan_ms; /* 0 = as the file system demands */
	uv_timer_t rescan;
	uint64_t returned_ms; /* when the folder came back */
	struct weft_folder *folders;
	struct weft_file *pending;
};

/* Read a file now, as if an event had named it, and tell the sink. `gone` believes its absence at once. */
void weft_directory_touch(struct weft_directory *d, const char *name, bool gone);

/* Free everything once it is closing and nothing is open or in flight. */
void weft_directory_unref(struct weft_directory *d);

void weft_directory_claim(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                          const char *pool, weft_write_done_fn done, void *ctx);
void weft_directory_release(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                            weft_write_done_fn done, void *ctx);

#endif
