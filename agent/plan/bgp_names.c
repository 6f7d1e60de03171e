// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names and texts that BIRD takes.
 *
 * A protocol's name depends on the object's name alone (and on the router's address where one object makes
 * several sessions): adding a peer must not rename, and thereby restart, another. The filters of a protocol
 * are called from_NAME and to_NAME, so a name is at most BGP_PROTOCOL_NAME_MAX - 5 long.
 */
#include "agent/plan/bgp_int.h"

#include <stdio.h>

#include "weft/keyhash.h"

#define NAME_MAX_BYTES  (BGP_PROTOCOL_NAME_MAX - sizeof("from_") + 1)
#define NAME_HASH_BYTES 8
#define NAME_BODY_MAX   (NAME_MAX_BYTES - 2 * NAME_HASH_BYTES - 2) /* with the prefix, before "__" and hash */

/* [a-z0-9] and single '-': '-' -> '_' keeps such names apart and makes no "__". */
static bool is_plain(const char *name, size_t max)
{
	size_t i;

	for (i = 0; name[i]; i++) {
		bool alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');

		if (!alnum && (name[i] != '-' || name[i + 1] == '-'))
			return false;
	}
	return i > 0 && i <= max;
}

/* "__" and a hash, which plain names cannot end in. */
static void add_hash(const char *name, const char *more, char *out, size_t n)
{
	unsigned char digest[crypto_generichash_BYTES];
	char hex[2 * NAME_HASH_BYTES + 1] = "";
	crypto_generichash_state s;

	crypto_generichash_init(&s, NULL, 0, sizeof(digest));
	crypto_generichash_update(&s, (const unsigned char *)name, strlen(name));
	if (more) {
		crypto_generichash_update(&s, (const unsigned char *)"", 1);
		crypto_generichash_update(&s, (const unsigned char *)more, strlen(more));
	}
	crypto_generichash_final(&s, digest, sizeof(digest));
	sodium_bin2hex(hex, sizeof(hex), digest, NAME_HASH_BYTES);
	snprintf(out + n, BGP_PROTOCOL_NAME_MAX + 1 - n, "__%s", hex);
}

void bgp_protocol_name(const char *prefix, const char *name, const char *more,
                       char out[BGP_PROTOCOL_NAME_MAX + 1])
{
	size_t n = strlen(prefix);
	bool plain = !more && is_plain(name, NAME_MAX_BYTES - n);
	size_t max = plain ? NAME_MAX_BYTES : NAME_BODY_MAX;

	memcpy(out, prefix, n);
	for (size_t i = 0; name[i] && n < max; i++) {
		char ch = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
		bool alnum = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');

		out[n++] = alnum ? ch : '_';
	}
	out[n] = '\0';
	if (!plain)
		add_hash(name, more, out, n);
}

bool bgp_bird_char(unsigned char ch)
{
	return ch >= ' ' && ch <= '~' && ch != '"';
}

void bgp_clean(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; text && text[i] && n + 1 < size; i++)
		out[n++] = bgp_bird_char((unsigned char)text[i]) ? text[i] : '?';
	out[n] = '\0';
}
