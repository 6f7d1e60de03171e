// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside the directory source.
 *
 *	directory_open.c    made and freed
 *	directory.c         watching the folder
 *	directory_write.c   claims of blocks
 *	directory_status.c  statuses of objects
 *	directory_stand.c   standing for a role
 */
#ifndef WEFT_SOURCE_DIRECTORY_PRIV_H
#define WEFT_SOURCE_DIRECTORY_PRIV_H

#include <limits.h>
#include <uv.h>

#include "agent/source/store.h"
#include "weft/source.h"

#define WEFT_BLOCKS_FOLDER "ipblocks"
#define WEFT_STATUS_FOLDER "status"

struct weft_status_write; /* directory_status.c */
struct weft_stand;        /* directory_stand.c */

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
	struct weft_status_write *statuses; /* being written */
	struct weft_stand *stands;
};

int weft_directory_start(struct weft_source *s, weft_sink_fn sink, void *ctx, struct weft_err *err);
void weft_directory_reread(void *owner, struct weft_file *file);

/* Read a file now, as if an event had named it, and tell the sink. `gone` believes its absence at once. */
void weft_directory_touch(struct weft_directory *d, const char *name, bool gone);

/* Free everything once it is closing and nothing is open or in flight. */
void weft_directory_unref(struct weft_directory *d);
/* For uv_close() of a handle that counts in d->handles, with the directory as its data. */
void weft_directory_on_closed(uv_handle_t *handle);

void weft_directory_claim(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                          const char *pool, weft_write_done_fn done, void *ctx);
void weft_directory_release(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                            weft_write_done_fn done, void *ctx);
void weft_directory_put_status(struct weft_source *s, enum weft_kind kind, const char *key,
                               const struct cJSON *status, weft_write_done_fn done, void *ctx);

int weft_directory_stand(struct weft_source *s, const char *role, const char *identity,
                         void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err);
/* The folder went or came, or it is time to look: is every lock still the one in the folder? */
void weft_directory_attend(struct weft_directory *d);
/* Something happened to a lock file; false: the watch is none of a lock. */
bool weft_directory_lock_event(struct weft_directory *d, int wd);
void weft_directory_close_stands(struct weft_directory *d); /* their handles */
void weft_directory_free_stands(struct weft_directory *d);  /* and their locks */

#endif
