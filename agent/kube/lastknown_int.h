// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last known state inside: an index in memory of an append-only file.
 *
 *	lastknown.c		the index, and what others call
 *	lastknown_log.c		reads the file, appends to it, puts a new one in its place
 *	lastknown_bytes.c	its bytes, as follows (numbers are little-endian)
 *
 *
 *	head	"weft cluster log" | version 4 | zero 4 | id 16 | BLAKE2b of the cluster 16 | sum 16
 *	record	sum 16 | length of key and text 4 | op 1 | kind 1 | length of key 2 | key | text
 *
 * A record's sum is BLAKE2b under the head's random id, over its place in the file and all that follows the
 * sum. So neither a record of another file, nor one of this file at another place, passes for one.
 *
 * A Secret's text is nonce 24 | crypto_secretbox of it. The time of lastknown_in_step() is a record without a
 * key whose text is 8 bytes of Unix seconds.
 */
#ifndef AGENT_KUBE_LASTKNOWN_INT_H
#define AGENT_KUBE_LASTKNOWN_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "agent/kube/split.h"
#include "weft/err.h"
#include "weft/keyhash.h"
#include "weft/object.h"

#define LK_VERSION 1
#define LK_ID      16
#define LK_HEAD    72
#define LK_RECORD  24                                       /* before the key */
#define LK_BODY    ((size_t)WEFT_KEY_MAX + KUBE_OBJECT_MAX) /* key and text, at most */
#define LK_KEY     32                                       /* crypto_secretbox_KEYBYTES */
#define LK_SEAL    40                                       /* what sealing adds */

#define LK_FILE     "cluster.log"
#define LK_FILE_NEW "cluster.log.new"
#define LK_ASIDE    "cluster.log.aside"
#define LK_KEY_FILE "cluster.key"

enum lk_op { LK_PUT = 1, LK_DEL, LK_IN_STEP };

struct lk_record {
	enum lk_op op;
	enum weft_kind kind; /* not of LK_IN_STEP */
	const char *key;     /* not terminated */
	size_t key_len;
	const char *text;
	size_t len;
};

void lk_head_encode(const uint8_t id[LK_ID], const char *cluster, uint8_t out[LK_HEAD]);
/* Is it a whole head of this version and (unless NULL) of this cluster? err says what else it is. */
int lk_head_decode(const uint8_t *data, size_t len, const char *cluster, uint8_t id[LK_ID],
                   struct weft_err *err);

/* What stands before the key, for a record at this place. */
void lk_record_encode(const uint8_t id[LK_ID], uint64_t at, const struct lk_record *r,
                      uint8_t out[LK_RECORD]);
/* The length of key and text; 0 = impossible. */
size_t lk_record_body(const uint8_t head[LK_RECORD]);
/* Is this what was written there? `body` has lk_record_body() bytes; out points into it. */
bool lk_record_decode(const uint8_t id[LK_ID], uint64_t at, const uint8_t head[LK_RECORD], const char *body,
                      struct lk_record *out);

/* out has len + LK_SEAL bytes. */
void lk_seal(const uint8_t key[LK_KEY], const char *text, size_t len, char *out);
/* In place: the text's new start, of len - LK_SEAL bytes; NULL when it was sealed with another key. */
char *lk_unseal(const uint8_t key[LK_KEY], char *sealed, size_t len);

/* The folder's key; 0 or a negative errno. What is no key is replaced. */
int lk_key_read(int dir, uint8_t key[LK_KEY]);
int lk_key_save(int dir, const uint8_t key[LK_KEY]);

/* Exactly len bytes; 0 or a negative errno (-ENODATA: the file is shorter). */
int lk_read(int fd, uint64_t at, void *out, size_t len);
int lk_write(int fd, uint64_t at, const void *data, size_t len);

/* ---- the index ---- */

struct lk_entry {
	UT_hash_handle hh;
	uint64_t at;   /* of its record */
	uint64_t sum;  /* of its text, so that the same text again writes nothing */
	size_t size;   /* of its record; of pending if that is set */
	char *pending; /* its text (sealed if a Secret's) that is not in the file */
	uint16_t id_len;
	char id[]; /* a letter for the kind, then the key */
};

struct lastknown {
	char *folder, *cluster; /* cluster NULL = any */
	int dir, fd;
	uint8_t id[LK_ID];
	uint8_t *key; /* sodium memory */
	bool key_saved;
	struct keyhash hash;
	struct lk_entry *entries;
	uint64_t size, alive; /* bytes of the file, and those of them that count */
	uint64_t in_step, in_step_written;
	bool behind;         /* the file lacks something: nothing may be appended */
	bool gave_up;        /* it lacks more than memory is for: nothing more happens */
	size_t pending;      /* bytes that wait in memory */
	uint64_t not_before; /* uv_hrtime() of the next new file */
	char *room;          /* for the key and text of one record, and a NUL */
	size_t room_size;
	struct weft_err err;
};

uint64_t lk_sum(const struct lastknown *l, const char *text, size_t len);
enum weft_kind lk_kind(const struct lk_entry *e);
struct lk_entry *lk_find(struct lastknown *l, enum weft_kind kind, const char *key, size_t key_len,
                         bool make);
/* Its text is in the file, in a record of this size. */
void lk_in_file(struct lastknown *l, struct lk_entry *e, uint64_t at, size_t size);
/* Its text is this, and in no file. */
void lk_in_memory(struct lastknown *l, struct lk_entry *e, const char *text, size_t len);
void lk_drop(struct lastknown *l, struct lk_entry *e);

/* ---- the file ---- */

/* Open, check and index it; l has folder, cluster, dir, key and hash. */
int lk_open(struct lastknown *l, struct weft_err *err);
/* An entry's record, in l->room. */
int lk_load(struct lastknown *l, const struct lk_entry *e, struct lk_record *out);
/* A Secret's text in the clear, or the text itself; terminated, in place. NULL: sealed with another key. */
char *lk_clear(const struct lastknown *l, enum weft_kind kind, char *text, size_t *len);
/* True when the record is in the file; it begins where l->size was before. */
bool lk_append(struct lastknown *l, const struct lk_record *r);
struct lk_record lk_in_step_record(uint64_t unix_s, char text[8]);
/* After each change: put a new file in place if it is time to. */
void lk_settle(struct lastknown *l);

#endif
