// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keyed hashing for tables whose keys come from outside (object names, CIDRs, addresses).
 *
 * uthash's own functions are public and unkeyed: whoever may name objects could put them all in one bucket.
 * Tables here hash with SipHash under a random key of their own and use the *_BYHASHVALUE macros.
 */
#ifndef WEFT_KEYHASH_H
#define WEFT_KEYHASH_H

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/*
 * Memory for one entry of an index, zeroed. There is no way back from half an index, and a restarted daemon
 * adopts what is in the kernel without losing a packet: so end here.
 */
static inline void *must_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

static inline void *must_grow(void *p, size_t n, size_t size)
{
	void *grown = reallocarray(p, n ? n : 1, size);

	if (!grown)
		abort();
	return grown;
}

static inline char *must_strdup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

struct keyhash {
	unsigned char key[crypto_shorthash_KEYBYTES];
};

static inline void keyhash_init(struct keyhash *h)
{
	if (sodium_init() < 0)
		abort();
	crypto_shorthash_keygen(h->key);
}

static inline unsigned keyhash(const struct keyhash *h, const void *data, size_t len)
{
	unsigned char out[crypto_shorthash_BYTES];
	unsigned value;

	crypto_shorthash(out, data, len, h->key);
	memcpy(&value, out, sizeof(value));
	return value;
}

#endif
