// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the directory source knows: which file holds which object, and what was told to the sink.
 *
 * - An entry is one object (kind and key) with the files that hold it, ordered by file name: the first one
 *   counts, the others are reported. The object itself belongs to the sink; its digest stays here.
 * - A file is read by weft_store_read(), which compares what is in it with what was, and tells the sink.
 * - While a file has a document that can't be told apart (a syntax error, no name), none of its objects is
 *   deleted; an object that became invalid stays as it was.
 *
 * No inotify and no timers here: directory.c decides when a file is read, and whether it has been quiet for
 * long enough to be believed (`settled`).
 */
#ifndef WEFT_SOURCE_STORE_H
#define WEFT_SOURCE_STORE_H

#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "weft/object.h"
#include "weft/seal.h"
#include "weft/source.h"

struct weft_file;

struct weft_item { /* this file holds this entry */
	struct weft_entry *entry;
	struct weft_file *file;
	struct weft_item *next_in_file, *next_in_entry;
	unsigned generation; /* of the read that saw it last */
};

struct weft_entry {
	UT_hash_handle hh;
	enum weft_kind kind;
	char *id; /* a letter for the kind, then the key */
	struct weft_item *items;
	bool delivered;
	uint8_t digest[WEFT_DIGEST];
};

/* What stat(2) said of a file when it was last read: equal means unchanged. Zero: it was not there. */
struct weft_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed; /* ctime */
};

struct weft_file {
	UT_hash_handle hh;
	char *name; /* relative to the folder */
	struct weft_item *items;
	unsigned generation;
	bool reported;
	uint8_t reports[WEFT_DIGEST]; /* of the reports that the sink has */
	/* For directory.c */
	struct weft_file *prev, *next; /* pending list */
	bool pending;
	bool fresh;        /* created, its writer not yet seen to close it */
	uint64_t due;      /* ms */
	uint64_t event_ms; /* the last time something happened to it */
	struct weft_stamp stamp;
};

struct weft_store {
	char path[PATH_MAX];
	struct weft_file *files;
	struct weft_entry *entries;
	uint8_t key[WEFT_DIGEST_KEY];
	struct weft_seal_keys *seal_keys; /* the directory's; NULL = none */
	weft_sink_fn sink;
	void *ctx;
	/* Asked to read a file soon, because another one's change made its objects count or not count. */
	void (*reread)(void *owner, struct weft_file *file);
	void *owner;
};

enum weft_read_result {
	WEFT_READ_GOOD,
	WEFT_READ_BAD,    /* has reports; they were sent if settled */
	WEFT_READ_ABSENT, /* no such file: nothing was done */
};

/* NULL when there is no memory or, with make false, no such file. */
struct weft_file *weft_store_file(struct weft_store *store, const char *name, bool make);
struct weft_entry *weft_store_entry(struct weft_store *store, enum weft_kind kind, const char *key,
                                    bool make);

enum weft_read_result weft_store_read(struct weft_store *store, struct weft_file *file, bool settled);

/* The file is gone: its objects go, or other files' take over. Frees it. */
void weft_store_drop(struct weft_store *store, struct weft_file *file);

void weft_store_free(struct weft_store *store);

#endif
