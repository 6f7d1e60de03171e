// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of the last known state's file: lastknown_int.h. Nothing here is believed that was read.
 */
#include "agent/kube/lastknown_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/cleanup.h"

#define MAGIC     "weft cluster log"
#define MAGIC_LEN 16
#define SUM       16

_Static_assert(LK_KEY == crypto_secretbox_KEYBYTES, "key");
_Static_assert(LK_SEAL == crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES, "seal");

/* The file's numbers of the kinds: they stay when the enumeration changes. */
static const uint8_t kind_codes[WEFT_KIND_COUNT] = {
        [WEFT_NODE] = 1,
        [WEFT_SECRET] = 2,
        [WEFT_NAMESPACE] = 3,
        [WEFT_SERVICE] = 4,
        [WEFT_ENDPOINTSLICE] = 5,
        [WEFT_SERVICECIDR] = 6,
        [WEFT_IPPOOL] = 7,
        [WEFT_IPBLOCK] = 8,
        [WEFT_BGPCONFIG] = 9,
        [WEFT_BGPPEER] = 10,
        [WEFT_BGPADVERTISEMENT] = 11,
        [WEFT_SERVICESTATUS] = 12,
};

static void put_number(uint8_t *out, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_number(const uint8_t *in, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)in[i] << (8 * i);
	return value;
}

static void cluster_hash(const char *cluster, uint8_t out[SUM])
{
	if (!cluster)
		cluster = "";
	crypto_generichash(out, SUM, (const unsigned char *)cluster, strlen(cluster), NULL, 0);
}

void lk_head_encode(const uint8_t id[LK_ID], const char *cluster, uint8_t out[LK_HEAD])
{
	memset(out, 0, LK_HEAD);
	memcpy(out, MAGIC, MAGIC_LEN);
	put_number(out + 16, LK_VERSION, 4);
	memcpy(out + 24, id, LK_ID);
	cluster_hash(cluster, out + 40);
	crypto_generichash(out + 56, SUM, out, 56, NULL, 0);
}

int lk_head_decode(const uint8_t *data, size_t len, const char *cluster, uint8_t id[LK_ID],
                   struct weft_err *err)
{
	uint8_t sum[SUM];

	if (len < LK_HEAD || memcmp(data, MAGIC, MAGIC_LEN))
		return weft_err_set(err, EBADMSG, "it does not begin as a file of weft's does");
	/* Of another version only the beginning is known. */
	if (get_number(data + 16, 4) != LK_VERSION)
		return weft_err_set(err, EBADMSG, "it has format %llu, this weft writes %d",
		                    (unsigned long long)get_number(data + 16, 4), LK_VERSION);
	crypto_generichash(sum, SUM, data, 56, NULL, 0);
	if (memcmp(sum, data + 56, SUM))
		return weft_err_set(err, EBADMSG, "its first %d bytes are damaged", LK_HEAD);
	cluster_hash(cluster, sum);
	if (cluster && memcmp(sum, data + 40, SUM))
		return weft_err_set(err, EBADMSG, "it is of another cluster");
	memcpy(id, data + 24, LK_ID);
	return 0;
}

/* Key and text need not be adjacent. */
static void record_sum(const uint8_t id[LK_ID], uint64_t at, const uint8_t head[LK_RECORD],
                       const struct lk_record *r, uint8_t out[SUM])
{
	crypto_generichash_state h;
	uint8_t place[8];

	put_number(place, at, sizeof(place));
	crypto_generichash_init(&h, id, LK_ID, SUM);
	crypto_generichash_update(&h, place, sizeof(place));
	crypto_generichash_update(&h, head + SUM, LK_RECORD - SUM);
	crypto_generichash_update(&h, (const unsigned char *)r->key, r->key_len);
	crypto_generichash_update(&h, (const unsigned char *)r->text, r->len);
	crypto_generichash_final(&h, out, SUM);
}

void lk_record_encode(const uint8_t id[LK_ID], uint64_t at, const struct lk_record *r, uint8_t out[LK_RECORD])
{
	put_number(out + 16, r->key_len + r->len, 4);
	out[20] = (uint8_t)r->op;
	out[21] = r->op == LK_IN_STEP ? 0 : kind_codes[r->kind];
	put_number(out + 22, r->key_len, 2);
	record_sum(id, at, out, r, out);
}

size_t lk_record_body(const uint8_t head[LK_RECORD])
{
	uint64_t body = get_number(head + 16, 4);

	return body <= LK_BODY ? (size_t)body : 0;
}

static bool find_kind(uint8_t code, enum weft_kind *out)
{
	for (int kind = 0; kind < WEFT_KIND_COUNT; kind++)
		if (kind_codes[kind] == code) {
			*out = (enum weft_kind)kind;
			return true;
		}
	return false;
}

static bool sensible(const struct lk_record *r, uint8_t kind_code, enum weft_kind *kind)
{
	if (r->op == LK_IN_STEP)
		return kind_code == 0 && r->key_len == 0 && r->len == sizeof(uint64_t);
	if (!find_kind(kind_code, kind) || r->key_len == 0 || r->key_len >= WEFT_KEY_MAX ||
	    memchr(r->key, '\0', r->key_len))
		return false;
	if (r->op == LK_DEL)
		return r->len == 0;
	return r->op == LK_PUT && (*kind != WEFT_SECRET || r->len >= LK_SEAL);
}

bool lk_record_decode(const uint8_t id[LK_ID], uint64_t at, const uint8_t head[LK_RECORD], const char *body,
                      struct lk_record *out)
{
	size_t body_len = lk_record_body(head), key_len = (size_t)get_number(head + 22, 2);
	uint8_t sum[SUM];

	if (body_len == 0 || key_len > body_len)
		return false;
	*out = (struct lk_record){.op = (enum lk_op)head[20],
	                          .key = body,
	                          .key_len = key_len,
	                          .text = body + key_len,
	                          .len = body_len - key_len};
	record_sum(id, at, head, out, sum);
	return !memcmp(sum, head, SUM) && sensible(out, head[21], &out->kind);
}

void lk_seal(const uint8_t key[LK_KEY], const char *text, size_t len, char *out)
{
	unsigned char *nonce = (unsigned char *)out;

	randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, (const unsigned char *)text, len, nonce,
	                      key);
}

char *lk_unseal(const uint8_t key[LK_KEY], char *sealed, size_t len)
{
	const unsigned char *nonce = (const unsigned char *)sealed;
	unsigned char *box = (unsigned char *)sealed + crypto_secretbox_NONCEBYTES;

	if (crypto_secretbox_open_easy(box, box, len - crypto_secretbox_NONCEBYTES, nonce, key))
		return NULL;
	return (char *)box;
}

int lk_read(int fd, uint64_t at, void *out, size_t len)
{
	char *to = out;

	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int lk_write(int fd, uint64_t at, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = pwrite(fd, from, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		from += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* -ENOENT: no such file, or none that could be a key. */
int lk_key_read(int dir, uint8_t key[LK_KEY])
{
	weft_autoclose int fd = openat(dir, LK_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != LK_KEY)
		return -ENOENT;
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		return -errno;
	return lk_read(fd, 0, key, LK_KEY);
}

int lk_key_save(int dir, const uint8_t key[LK_KEY])
{
	weft_autoclose int fd = -1;
	int r;

	if (unlinkat(dir, LK_KEY_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, LK_KEY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = lk_write(fd, 0, key, LK_KEY);
	if (r == 0 && (fsync(fd) < 0 || fsync(dir) < 0))
		r = -errno;
	return r;
}
