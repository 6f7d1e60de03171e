// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file of the last known state: read at the start, appended to, and written anew. lastknown_int.h tells
 * its format and who owns what.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#include "agent/kube/lastknown.h"
#include "agent/kube/lastknown_int.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#define RETRY_NS     (60 * UINT64_C(1000000000))
#define IN_STEP_SIZE (LK_RECORD + sizeof(uint64_t))
#define SMALL        ((uint64_t)64 << 10) /* a file below this is not written anew */
#define CHUNK        ((size_t)256 << 10)  /* of a new file, per write */

static void trouble(struct lastknown *l, const struct weft_err *err)
{
	if (!l->err.code)
		log_warning("last known state: %s; tried again later", err->text);
	l->err = *err;
}

static char *room(struct lastknown *l, size_t len)
{
	if (len > l->room_size) {
		free(l->room);
		l->room = must_alloc(1, len);
		l->room_size = len;
	}
	return l->room;
}

char *lk_clear(const struct lastknown *l, enum weft_kind kind, char *text, size_t *len)
{
	if (kind == WEFT_SECRET) {
		text = lk_unseal(l->key, text, *len);
		if (!text)
			return NULL;
		*len -= LK_SEAL;
	}
	text[*len] = '\0';
	return text;
}

int lk_load(struct lastknown *l, const struct lk_entry *e, struct lk_record *out)
{
	uint8_t head[LK_RECORD];
	char *body = room(l, e->size + 1);
	int r;

	if (e->pending) {
		memcpy(body, e->pending, e->size);
		*out = (struct lk_record){.op = LK_PUT,
		                          .kind = lk_kind(e),
		                          .key = e->id + 1,
		                          .key_len = e->id_len - 1u,
		                          .text = body,
		                          .len = e->size};
		return 0;
	}
	r = lk_read(l->fd, e->at, head, sizeof(head));
	if (r == 0)
		r = lk_read(l->fd, e->at + LK_RECORD, body, e->size - LK_RECORD);
	if (r)
		return r;
	if (lk_record_body(head) + LK_RECORD != e->size || !lk_record_decode(l->id, e->at, head, body, out))
		return -EBADMSG;
	return 0;
}

/* ---- at the start ---- */

static void take_in_step(struct lastknown *l, const char *text)
{
	l->alive += l->in_step_written ? 0 : IN_STEP_SIZE;
	l->in_step = 0;
	for (size_t i = 0; i < sizeof(uint64_t); i++)
		l->in_step |= (uint64_t)(uint8_t)text[i] << (8 * i);
	l->in_step_written = l->in_step;
}

/* A record that was found at l->size. */
static void take_record(struct lastknown *l, const struct lk_record *r, char *text)
{
	struct lk_entry *e;
	size_t len = r->len;
	char *clear;

	if (r->op == LK_IN_STEP) {
		take_in_step(l, text);
		return;
	}
	e = lk_find(l, r->kind, r->key, r->key_len, r->op == LK_PUT);
	if (r->op == LK_DEL) {
		if (e)
			lk_drop(l, e);
		return;
	}
	lk_in_file(l, e, l->size, LK_RECORD + r->key_len + r->len);
	clear = lk_clear(l, r->kind, text, &len);
	if (clear)
		e->sum = lk_sum(l, clear, len);
	else /* its key is lost; it will be put again */
		lk_drop(l, e);
	if (r->kind == WEFT_SECRET)
		sodium_memzero(text, r->len);
}

static bool read_record(struct lastknown *l, FILE *f)
{
	uint8_t head[LK_RECORD];
	struct lk_record r;
	size_t body;
	char *text;

	if (fread(head, sizeof(head), 1, f) != 1)
		return false;
	body = lk_record_body(head);
	if (body == 0)
		return false;
	text = room(l, body + 1);
	if (fread(text, body, 1, f) != 1 || !lk_record_decode(l->id, l->size, head, text, &r))
		return false;
	take_record(l, &r, text + r.key_len);
	l->size += LK_RECORD + body;
	return true;
}

/* All good records; what follows the last of them is cut off. */
static void read_records(struct lastknown *l, uint64_t file_size)
{
	int copy = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	weft_autofclose FILE *f = copy < 0 ? NULL : fdopen(copy, "r");
	struct weft_err err;

	if (!f)
		weft_cleanup_close(&copy);
	l->size = l->alive = LK_HEAD;
	if (f && fseeko(f, LK_HEAD, SEEK_SET) == 0)
		while (read_record(l, f))
			;
	if (l->size >= file_size)
		return;
	log_warning("last known state: %s/" LK_FILE
	            " is whole up to byte %llu; the %llu bytes behind are cut off",
	            l->folder, (unsigned long long)l->size, (unsigned long long)(file_size - l->size));
	if (ftruncate(l->fd, (off_t)l->size) == 0)
		return;
	weft_err_errno(&err, errno, "can't cut off the end of %s/" LK_FILE, l->folder);
	l->behind = true;
	trouble(l, &err);
}

/* Of another version or cluster, damaged, or no file at all: it is of no use here, but may be of use to
 * somebody. */
static int move_aside(struct lastknown *l, const char *why, struct weft_err *err)
{
	weft_cleanup_close(&l->fd);
	l->fd = -1;
	if (renameat(l->dir, LK_FILE, l->dir, LK_ASIDE) < 0)
		return weft_err_errno(err, errno, "can't move %s/" LK_FILE " aside (%s)", l->folder, why);
	log_warning("last known state: %s/" LK_FILE " is not used: %s; it is " LK_ASIDE " now", l->folder,
	            why);
	return 0;
}

static int open_file(struct lastknown *l)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	l->fd = openat(l->dir, LK_FILE, O_RDWR | flags);
	if (l->fd < 0 && (errno == EROFS || errno == EACCES))
		l->fd = openat(l->dir, LK_FILE, O_RDONLY | flags);
	return l->fd < 0 ? -errno : 0;
}

/* -ENOENT: there is none that can be used. */
static int read_file(struct lastknown *l, struct weft_err *err)
{
	uint8_t head[LK_HEAD] = {0};
	struct weft_err why;
	struct stat st = {0};
	int r = open_file(l);

	if (r == -ENOENT)
		return r;
	if (r == 0 && fstat(l->fd, &st) < 0)
		r = -errno;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r) {
		weft_err_errno(&why, r, "it can't be opened");
	} else {
		size_t len = st.st_size < LK_HEAD ? (size_t)st.st_size : LK_HEAD;

		r = lk_read(l->fd, 0, head, len);
		if (r)
			weft_err_errno(&why, r, "it can't be read");
		else
			r = lk_head_decode(head, len, l->cluster, l->id, &why);
	}
	if (r) {
		r = move_aside(l, why.text, err);
		return r ? r : -ENOENT;
	}
	fchmod(l->fd, 0600);
	read_records(l, (uint64_t)st.st_size);
	return 0;
}

int lk_open(struct lastknown *l, struct weft_err *err)
{
	int r;

	l->key_saved = lk_key_read(l->dir, l->key) == 0;
	if (!l->key_saved)
		randombytes_buf(l->key, LK_KEY);
	r = read_file(l, err);
	if (r && r != -ENOENT)
		return r;
	if (r == -ENOENT || !l->key_saved)
		l->behind = true;
	lk_settle(l);
	return 0;
}

/* ---- a new file ---- */

struct writer {
	int fd;
	uint8_t id[LK_ID];
	uint64_t at; /* of what comes next */
	struct weft_buf chunk;
	int error;
};

static void flush(struct writer *w)
{
	if (!w->error && w->chunk.failed)
		w->error = -ENOMEM;
	if (!w->error && w->chunk.len)
		w->error = lk_write(w->fd, w->at - w->chunk.len, w->chunk.data, w->chunk.len);
	weft_buf_truncate(&w->chunk, 0);
}

static void write_bytes(struct writer *w, const void *data, size_t len)
{
	weft_buf_add(&w->chunk, data, len);
	w->at += len;
	if (w->chunk.len >= CHUNK)
		flush(w);
}

static void write_record(struct writer *w, const struct lk_record *r)
{
	uint8_t head[LK_RECORD];

	lk_record_encode(w->id, w->at, r, head);
	write_bytes(w, head, sizeof(head));
	write_bytes(w, r->key, r->key_len);
	write_bytes(w, r->text, r->len);
}

struct lk_record lk_in_step_record(uint64_t unix_s, char text[8])
{
	for (size_t i = 0; i < 8; i++)
		text[i] = (char)(uint8_t)(unix_s >> (8 * i));
	return (struct lk_record){.op = LK_IN_STEP, .key = "", .text = text, .len = 8};
}

/* Everything that is alive; places gets where each entry's record is, 0 = its old one can't be read back. */
static void write_all(struct lastknown *l, struct writer *w, uint64_t *places)
{
	uint8_t head[LK_HEAD];
	struct lk_entry *e, *tmp;
	struct lk_record r;
	char time[8];

	lk_head_encode(w->id, l->cluster, head);
	write_bytes(w, head, sizeof(head));
	if (l->in_step) {
		r = lk_in_step_record(l->in_step, time);
		write_record(w, &r);
	}
	HASH_ITER (hh, l->entries, e, tmp) {
		bool ok = lk_load(l, e, &r) == 0;

		*places++ = ok ? w->at : 0;
		if (ok)
			write_record(w, &r);
	}
	flush(w);
	if (!w->error && fsync(w->fd) < 0)
		w->error = -errno;
}

/* The new file is in place: the index follows. */
static void adopt(struct lastknown *l, struct writer *w, const uint64_t *places)
{
	struct lk_entry *e, *tmp;
	size_t lost = 0;

	weft_cleanup_close(&l->fd);
	l->fd = WEFT_TAKE_FD(w->fd);
	memcpy(l->id, w->id, LK_ID);
	HASH_ITER (hh, l->entries, e, tmp) {
		size_t size = e->pending ? LK_RECORD + e->id_len - 1u + e->size : e->size;

		if (*places)
			lk_in_file(l, e, *places, size);
		else
			lk_drop(l, e);
		lost += *places++ == 0;
	}
	l->size = l->alive = w->at;
	l->in_step_written = l->in_step;
	if (lost)
		log_warning("last known state: %zu objects can't be read back from %s/" LK_FILE
		            " and are left out",
		            lost, l->folder);
}

static int replace_file(struct lastknown *l, struct writer *w, struct weft_err *err)
{
	weft_autofree uint64_t *places = calloc(HASH_COUNT(l->entries) + 1, sizeof(*places));
	int r = places ? 0 : -ENOMEM;

	if (r == 0 && !l->key_saved)
		r = lk_key_save(l->dir, l->key);
	if (r)
		return weft_err_errno(err, r, "can't write %s/" LK_KEY_FILE, l->folder);
	l->key_saved = true;
	w->fd = openat(l->dir, LK_FILE_NEW, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return weft_err_errno(err, errno, "can't create %s/" LK_FILE_NEW, l->folder);
	randombytes_buf(w->id, sizeof(w->id));
	write_all(l, w, places);
	if (w->error)
		return weft_err_errno(err, w->error, "can't write %s/" LK_FILE_NEW, l->folder);
	if (renameat(l->dir, LK_FILE_NEW, l->dir, LK_FILE) < 0)
		return weft_err_errno(err, errno, "can't replace %s/" LK_FILE, l->folder);
	fsync(l->dir); /* if it fails, a power cut brings back the old file, which is as good as it was */
	adopt(l, w, places);
	return 0;
}

static void new_file(struct lastknown *l)
{
	struct writer w = {.fd = -1};
	struct weft_err err = WEFT_ERR_INIT;

	if (replace_file(l, &w, &err)) {
		trouble(l, &err);
		unlinkat(l->dir, LK_FILE_NEW, 0); /* its bytes may be what the disk lacks */
		l->not_before = uv_hrtime() + RETRY_NS;
	} else {
		if (l->err.code)
			log_info("last known state: %s/" LK_FILE " is written again", l->folder);
		l->err = WEFT_ERR_INIT;
		l->behind = false;
		l->not_before = 0;
	}
	weft_cleanup_close(&w.fd);
	weft_buf_free(&w.chunk);
}

/* ---- one record more ---- */

bool lk_append(struct lastknown *l, const struct lk_record *r)
{
	size_t size = LK_RECORD + r->key_len + r->len;
	uint8_t head[LK_RECORD];
	struct iovec parts[] = {{head, sizeof(head)},
	                        {(void *)(uintptr_t)r->key, r->key_len},
	                        {(void *)(uintptr_t)r->text, r->len}};
	struct weft_err err;
	ssize_t n;

	if (l->behind)
		return false;
	lk_record_encode(l->id, l->size, r, head);
	n = pwritev(l->fd, parts, 3, (off_t)l->size);
	if (n == (ssize_t)size) {
		l->size += size;
		return true;
	}
	weft_err_errno(&err, n < 0 ? errno : ENOSPC, "can't write %s/" LK_FILE, l->folder);
	trouble(l, &err);
	l->behind = true;
	l->not_before = uv_hrtime() + RETRY_NS;
	if (ftruncate(l->fd, (off_t)l->size) < 0)
		log_debug("last known state: the next start cuts off an unfinished record");
	return false;
}

static void give_up(struct lastknown *l)
{
	struct lk_entry *e, *tmp;

	HASH_ITER (hh, l->entries, e, tmp)
		lk_drop(l, e);
	l->gave_up = true;
	log_warning("last known state: more than %zu MiB wait for room on the disk; %s/" LK_FILE
	            " stays as it is until weftd starts again",
	            LASTKNOWN_PENDING_MAX >> 20, l->folder);
}

void lk_settle(struct lastknown *l)
{
	bool dead = l->size > SMALL && l->size - l->alive > l->size / 2;

	if (l->pending > LASTKNOWN_PENDING_MAX)
		give_up(l);
	if (!l->gave_up && (l->behind || dead) && uv_hrtime() >= l->not_before)
		new_file(l);
}
