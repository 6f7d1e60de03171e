// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last known state: its index, and what others call. lastknown_int.h tells how it is built.
 */
#include "agent/kube/lastknown.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/kube/lastknown_int.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#define IN_STEP_S 10

uint64_t lk_sum(const struct lastknown *l, const char *text, size_t len)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t value;

	crypto_shorthash(out, (const unsigned char *)text, len, l->hash.key);
	memcpy(&value, out, sizeof(value));
	return value;
}

enum weft_kind lk_kind(const struct lk_entry *e)
{
	return (enum weft_kind)(e->id[0] - 'a');
}

struct lk_entry *lk_find(struct lastknown *l, enum weft_kind kind, const char *key, size_t key_len, bool make)
{
	char id[WEFT_KEY_MAX + 1];
	struct lk_entry *e = NULL;
	unsigned hash;

	id[0] = (char)('a' + (int)kind);
	memcpy(id + 1, key, key_len);
	hash = keyhash(&l->hash, id, key_len + 1);
	HASH_FIND_BYHASHVALUE(hh, l->entries, id, key_len + 1, hash, e);
	if (e || !make)
		return e;
	e = must_alloc(1, sizeof(*e) + key_len + 2);
	e->id_len = (uint16_t)(key_len + 1);
	memcpy(e->id, id, key_len + 1);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, l->entries, e->id, key_len + 1, hash, e);
	return e;
}

/* What it had does not count any more. */
static void retire(struct lastknown *l, struct lk_entry *e)
{
	if (e->pending)
		l->pending -= e->size;
	else
		l->alive -= e->size;
	free(e->pending);
	e->pending = NULL;
	e->size = 0;
}

void lk_in_file(struct lastknown *l, struct lk_entry *e, uint64_t at, size_t size)
{
	retire(l, e);
	e->at = at;
	e->size = size;
	l->alive += size;
}

void lk_in_memory(struct lastknown *l, struct lk_entry *e, const char *text, size_t len)
{
	retire(l, e);
	e->pending = must_alloc(1, len + 1);
	memcpy(e->pending, text, len);
	e->size = len;
	l->pending += len;
}

void lk_drop(struct lastknown *l, struct lk_entry *e)
{
	retire(l, e);
	HASH_DEL(l->entries, e);
	free(e);
}

int lastknown_open(const char *state_dir, const char *cluster, struct lastknown **out, struct weft_err *err)
{
	struct lastknown *l;
	int r = weft_mkdirs(state_dir, 0750, err);

	if (r)
		return r;
	l = must_alloc(1, sizeof(*l));
	l->fd = -1;
	keyhash_init(&l->hash);
	l->folder = must_strdup(state_dir);
	l->cluster = cluster ? must_strdup(cluster) : NULL;
	l->key = sodium_malloc(LK_KEY);
	l->dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir < 0)
		r = weft_err_errno(err, errno, "can't open the folder %s", state_dir);
	else if (!l->key)
		r = weft_err_set(err, ENOMEM, "no guarded memory is left; raise RLIMIT_MEMLOCK");
	else
		r = lk_open(l, err);
	if (r) {
		lastknown_close(l);
		return r;
	}
	*out = l;
	return 0;
}

void lastknown_close(struct lastknown *l)
{
	struct lk_entry *e, *tmp;

	if (!l)
		return;
	HASH_ITER (hh, l->entries, e, tmp)
		lk_drop(l, e);
	weft_cleanup_close(&l->fd);
	weft_cleanup_close(&l->dir);
	sodium_free(l->key);
	free(l->room);
	free(l->cluster);
	free(l->folder);
	free(l);
}

void lastknown_each(struct lastknown *l, lastknown_fn fn, void *ctx)
{
	struct lk_entry *e, *tmp;

	HASH_ITER (hh, l->entries, e, tmp) {
		struct lk_record r;
		char *text = NULL;
		int failed = lk_load(l, e, &r);

		/* The record is in l->room, which is ours to write to. */
		if (!failed)
			text = lk_clear(l, r.kind, (char *)(uintptr_t)r.text, &r.len);
		if (text)
			fn(ctx, r.kind, e->id + 1, text, r.len);
		else
			log_warning("last known state: %s %s can't be read back", weft_kind_name(lk_kind(e)),
			            e->id + 1);
		if (!failed && r.kind == WEFT_SECRET)
			sodium_memzero(l->room, l->room_size);
	}
}

size_t lastknown_count(const struct lastknown *l)
{
	return HASH_COUNT(l->entries);
}

void lastknown_put(struct lastknown *l, enum weft_kind kind, const char *key, const char *text, size_t len)
{
	struct lk_record r = {
	        .op = LK_PUT, .kind = kind, .key = key, .key_len = strlen(key), .text = text, .len = len};
	weft_autofree char *sealed = NULL;
	uint64_t at = l->size, sum = lk_sum(l, text, len);
	struct lk_entry *e;

	if (l->gave_up || r.key_len == 0 || r.key_len >= WEFT_KEY_MAX)
		return;
	if (len > KUBE_OBJECT_MAX - LK_SEAL) {
		lastknown_del(l, kind, key);
		return;
	}
	e = lk_find(l, kind, key, r.key_len, true);
	if (e->size && e->sum == sum)
		return;
	e->sum = sum;
	if (kind == WEFT_SECRET) {
		sealed = must_alloc(1, len + LK_SEAL);
		lk_seal(l->key, text, len, sealed);
		r.text = sealed;
		r.len += LK_SEAL;
	}
	if (lk_append(l, &r))
		lk_in_file(l, e, at, LK_RECORD + r.key_len + r.len);
	else
		lk_in_memory(l, e, r.text, r.len);
	lk_settle(l);
}

/* While the file is behind, the next one is written without the object. */
static void delete_entry(struct lastknown *l, struct lk_entry *e)
{
	struct lk_record r = {
	        .op = LK_DEL, .kind = lk_kind(e), .key = e->id + 1, .key_len = e->id_len - 1u, .text = ""};

	lk_append(l, &r);
	lk_drop(l, e);
}

void lastknown_del(struct lastknown *l, enum weft_kind kind, const char *key)
{
	size_t len = strlen(key);
	struct lk_entry *e = len < WEFT_KEY_MAX ? lk_find(l, kind, key, len, false) : NULL;

	if (!e)
		return;
	delete_entry(l, e);
	lk_settle(l);
}

void lastknown_sweep(struct lastknown *l, lastknown_alive_fn alive, void *ctx)
{
	struct lk_entry *e, *tmp;

	HASH_ITER (hh, l->entries, e, tmp)
		if (!alive(ctx, lk_kind(e), e->id + 1))
			delete_entry(l, e);
	lk_settle(l);
}

void lastknown_in_step(struct lastknown *l, uint64_t unix_s)
{
	uint64_t was = l->in_step_written;
	struct lk_record r;
	char text[8];

	l->in_step = unix_s;
	/* A clock that goes back counts as a long time. */
	if (l->gave_up || unix_s == 0 || unix_s - was < IN_STEP_S)
		return;
	r = lk_in_step_record(unix_s, text);
	if (lk_append(l, &r)) {
		l->alive += was ? 0 : LK_RECORD + sizeof(text);
		l->in_step_written = unix_s;
	}
	lk_settle(l);
}

uint64_t lastknown_age_base(const struct lastknown *l)
{
	return l->in_step;
}

const char *lastknown_error(const struct lastknown *l)
{
	return l->err.text;
}
