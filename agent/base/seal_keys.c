// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys that seal and open: their texts, and the file of secret ones.
 */
#include "agent/base/seal_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/cleanup.h"

#define SECRET   "weft.dev/seal-secret:v1:"
#define PUBLIC   "weft.dev/seal-public:v1:"
#define FILE_MAX ((size_t)4096)

/* PREFIX and the base64 of 32 bytes, nothing else. */
static bool parse_key(const char *text, size_t len, const char *prefix, uint8_t out[32])
{
	size_t head = strlen(prefix), got = 0;
	const char *end;

	return len > head && !memcmp(text, prefix, head) &&
	       sodium_base642bin(out, 32, text + head, len - head, NULL, &got, &end,
	                         sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       got == 32 && end == text + len;
}

static void print_key(const uint8_t key[32], const char *prefix, char out[WEFT_SEAL_TEXT])
{
	size_t head = strlen(prefix);

	memcpy(out, prefix, head);
	sodium_bin2base64(out + head, WEFT_SEAL_TEXT - head - 1, key, 32, sodium_base64_VARIANT_ORIGINAL);
	strcat(out, "\n");
}

int weft_seal_new(char secret[WEFT_SEAL_TEXT], char public[WEFT_SEAL_TEXT], struct weft_err *err)
{
	uint8_t sk[crypto_box_SECRETKEYBYTES], pk[crypto_box_PUBLICKEYBYTES];

	if (sodium_init() < 0)
		return weft_err_set(err, EIO, "libsodium can't start");
	crypto_box_keypair(pk, sk);
	print_key(sk, SECRET, secret);
	print_key(pk, PUBLIC, public);
	sodium_memzero(sk, sizeof(sk));
	return 0;
}

int weft_seal_public_parse(const char *text, uint8_t out[WEFT_SEAL_PUBLIC], struct weft_err *err)
{
	if (!strncmp(text, SECRET, strlen(SECRET)))
		return weft_err_set(
		        err, EINVAL,
		        "this is a secret key, which others can see on a command line: make a new pair, "
		        "and give the public key here");
	if (!parse_key(text, strlen(text), PUBLIC, out))
		return weft_err_set(err, EINVAL,
		                    "this is no public key: " PUBLIC
		                    "... as `weftctl seal --new-key` prints it");
	return 0;
}

static int add_line(struct weft_seal_keys *keys, const char *line, size_t len, unsigned number,
                    struct weft_err *err)
{
	if (len == 0 || *line == '#')
		return 0;
	if (keys->n == WEFT_SEAL_KEYS_MAX)
		return weft_err_set(err, E2BIG, "has more than %d keys", WEFT_SEAL_KEYS_MAX);
	if (!parse_key(line, len, SECRET, keys->keys[keys->n].secret))
		return weft_err_set(err, EINVAL, "line %u is no secret key: " SECRET "...", number);
	crypto_scalarmult_base(keys->keys[keys->n].public, keys->keys[keys->n].secret);
	keys->n++;
	return 0;
}

int weft_seal_keys_parse(const char *text, size_t len, struct weft_seal_keys **out, struct weft_err *err)
{
	struct weft_seal_keys *keys;
	const char *end = text + len;
	unsigned number = 1;
	int r = 0;

	if (sodium_init() < 0)
		return weft_err_set(err, EIO, "libsodium can't start");
	keys = sodium_malloc(sizeof(*keys));
	if (!keys)
		return weft_err_set(err, ENOMEM, "no guarded memory is left; raise RLIMIT_MEMLOCK");
	keys->n = 0;
	for (const char *line = text; line < end && r == 0; number++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		stop = stop ? stop : end;
		r = add_line(keys, line, (size_t)(stop - line), number, err);
		line = stop + 1;
	}
	if (r == 0 && !keys->n)
		r = weft_err_set(err, EINVAL, "has no key; `weftctl seal --new-key` makes one");
	if (r < 0) {
		sodium_free(keys);
		return r;
	}
	sodium_mprotect_readonly(keys);
	*out = keys;
	return 0;
}

static int check_file(int fd, const char *path, struct weft_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return weft_err_errno(err, errno, "can't stat %s", path);
	if (!S_ISREG(st.st_mode))
		return weft_err_set(err, EINVAL, "%s is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return weft_err_set(err, EPERM, "%s belongs to user %u: chown it to root", path, st.st_uid);
	if (st.st_mode & 077)
		return weft_err_set(err, EPERM, "%s can be read or written by others: chmod 600 %s", path,
		                    path);
	return 0;
}

/* In one go: a file of a few lines. */
static int read_keys(int fd, const char *path, struct weft_seal_keys **out, struct weft_err *err)
{
	struct weft_err why = WEFT_ERR_INIT;
	weft_auto(seal_free) uint8_t *text = sodium_malloc(FILE_MAX + 1);
	ssize_t n;
	int r;

	if (!text)
		return weft_err_set(err, ENOMEM, "no guarded memory is left; raise RLIMIT_MEMLOCK");
	n = read(fd, text, FILE_MAX + 1);
	if (n < 0)
		return weft_err_errno(err, errno, "can't read %s", path);
	if ((size_t)n > FILE_MAX)
		return weft_err_set(err, EFBIG, "%s is longer than %zu bytes", path, FILE_MAX);
	r = weft_seal_keys_parse((const char *)text, (size_t)n, out, &why);
	return r < 0 ? weft_err_set(err, r, "%s %s", path, why.text) : 0;
}

int weft_seal_keys_load(const char *path, struct weft_seal_keys **out, struct weft_err *err)
{
	weft_autoclose int fd = -1;
	int r;

	if (sodium_init() < 0)
		return weft_err_set(err, EIO, "libsodium can't start");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return weft_err_errno(err, errno, "can't open %s", path);
	r = check_file(fd, path, err);
	return r < 0 ? r : read_keys(fd, path, out, err);
}

void weft_seal_keys_free(struct weft_seal_keys *keys)
{
	sodium_free(keys);
}
