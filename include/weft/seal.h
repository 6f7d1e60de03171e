// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealed values: what anybody may put into a folder of manifests, and only who has the secret key can open
 * (libsodium's sealed boxes: X25519, XSalsa20-Poly1305).
 *
 *	weft.dev/sealed:v1:BASE64          a value, for a Secret's data or stringData
 *	weft.dev/seal-public:v1:BASE64     what seals
 *	weft.dev/seal-secret:v1:BASE64     what opens: one a line in the file that datastore.sealKey names
 *
 * In the box, before the value, stands its place, "NAMESPACE/NAME/KEY" and a NUL: a copy under another name does
 * not open. Keys and values are in guarded memory; no message holds one.
 */
#ifndef WEFT_SEAL_H
#define WEFT_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/buf.h"
#include "weft/err.h"
#include "weft/object.h"

#define WEFT_SEAL_VALUE_MAX ((size_t)32 << 10)
#define WEFT_SEAL_KEYS_MAX  8
#define WEFT_SEAL_PUBLIC    32
#define WEFT_SEAL_PLACE_MAX (3 * WEFT_NAME_MAX + 3)
#define WEFT_SEAL_TEXT      96 /* room for a key as text */

struct weft_seal_keys;

/* A new pair as texts, each with its newline. */
int weft_seal_new(char secret[WEFT_SEAL_TEXT], char public[WEFT_SEAL_TEXT], struct weft_err *err);
int weft_seal_public_parse(const char *text, uint8_t out[WEFT_SEAL_PUBLIC], struct weft_err *err);

/* "NAMESPACE/NAME/KEY"; names that no Secret can have are errors. */
int weft_seal_place(const char *namespace, const char *name, const char *key, char out[WEFT_SEAL_PLACE_MAX],
                    struct weft_err *err);

/* Append a sealed value. */
int weft_seal(const uint8_t public[WEFT_SEAL_PUBLIC], const char *place, const void *value, size_t len,
              struct weft_buf *out, struct weft_err *err);

/* Lines of secret keys; blank ones and those that begin with '#' are skipped. */
int weft_seal_keys_parse(const char *text, size_t len, struct weft_seal_keys **out, struct weft_err *err);
/* From a regular file that is root's or ours and that nobody else can read or write. */
int weft_seal_keys_load(const char *path, struct weft_seal_keys **out, struct weft_err *err);
void weft_seal_keys_free(struct weft_seal_keys *keys);

/* Does a value claim to be sealed? */
bool weft_sealed(const void *value, size_t len);
/* The value into sodium_malloc'd memory; keys may be NULL: then nothing opens. */
int weft_seal_open(const struct weft_seal_keys *keys, const char *place, const void *sealed,
                   size_t sealed_len, void **value, size_t *len, struct weft_err *err);

/* Replace each sealed value of a Secret by what is in it. */
int weft_seal_open_secret(const struct weft_seal_keys *keys, struct weft_object *secret,
                          struct weft_err *err);

#endif
