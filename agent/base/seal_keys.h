// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key pairs as seal.c uses them.
 */
#ifndef AGENT_BASE_SEAL_KEYS_H
#define AGENT_BASE_SEAL_KEYS_H

#include <sodium.h>

#include "weft/seal.h"

_Static_assert(WEFT_SEAL_PUBLIC == crypto_box_PUBLICKEYBYTES, "as libsodium has it");

struct weft_seal_keys { /* sodium_malloc'd */
	size_t n;
	struct {
		uint8_t secret[crypto_box_SECRETKEYBYTES], public[crypto_box_PUBLICKEYBYTES];
	} keys[WEFT_SEAL_KEYS_MAX];
};

/* For weft_auto(). */
static inline void seal_free(uint8_t **p)
{
	sodium_free(*p);
}

#endif
