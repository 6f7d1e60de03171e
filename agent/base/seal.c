// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealing and opening. Keys and their files are in seal_keys.c.
 */
#include "weft/seal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/seal_keys.h"
#include "weft/cleanup.h"

#define PREFIX  "weft.dev/sealed:v1:"
#define BOX_MAX (WEFT_SEAL_PLACE_MAX + WEFT_SEAL_VALUE_MAX + crypto_box_SEALBYTES)

int weft_seal_place(const char *namespace, const char *name, const char *key, char out[WEFT_SEAL_PLACE_MAX],
                    struct weft_err *err)
{
	if (!weft_name_valid(namespace) || !weft_name_valid(name))
		return weft_err_set(
		        err, EINVAL,
		        "\"%.80s/%.80s\" is no Secret's name: lower case letters, digits, '-' and '.'",
		        namespace, name);
	if (!weft_secret_key_valid(key))
		return weft_err_set(err, EINVAL, "\"%.80s\" is not a key of a Secret", key);
	snprintf(out, WEFT_SEAL_PLACE_MAX, "%s/%s/%s", namespace, name, key);
	return 0;
}

int weft_seal(const uint8_t public[WEFT_SEAL_PUBLIC], const char *place, const void *value, size_t len,
              struct weft_buf *out, struct weft_err *err)
{
	size_t head = strlen(place) + 1, room;
	weft_auto(seal_free) uint8_t *plain = NULL;
	weft_autofree uint8_t *box = NULL;
	weft_autofree char *text = NULL;

	if (len == 0 || len > WEFT_SEAL_VALUE_MAX)
		return weft_err_set(err, EINVAL, "a value to seal has 1 to %zu bytes", WEFT_SEAL_VALUE_MAX);
	if (sodium_init() < 0)
		return weft_err_set(err, EIO, "libsodium can't start");
	room = sodium_base64_encoded_len(head + len + crypto_box_SEALBYTES, sodium_base64_VARIANT_ORIGINAL);
	plain = sodium_malloc(head + len);
	box = malloc(head + len + crypto_box_SEALBYTES);
	text = malloc(room);
	if (!plain || !box || !text)
		return weft_err_set(err, ENOMEM, "out of memory");
	memcpy(plain, place, head);
	memcpy(plain + head, value, len);
	if (crypto_box_seal(box, plain, head + len, public) < 0)
		return weft_err_set(err, EINVAL, "the public key is none that can seal");
	sodium_bin2base64(text, room, box, head + len + crypto_box_SEALBYTES, sodium_base64_VARIANT_ORIGINAL);
	weft_buf_str(out, PREFIX);
	weft_buf_str(out, text);
	return out->failed ? weft_err_set(err, ENOMEM, "out of memory") : 0;
}

bool weft_sealed(const void *value, size_t len)
{
	return len >= strlen(PREFIX) && !memcmp(value, PREFIX, strlen(PREFIX));
}

/* With whichever key fits; -1: none. */
static int open_box(const struct weft_seal_keys *keys, const uint8_t *box, size_t len, uint8_t *plain)
{
	for (size_t i = 0; i < keys->n; i++)
		if (crypto_box_seal_open(plain, box, len, keys->keys[i].public, keys->keys[i].secret) == 0)
			return 0;
	return -1;
}

/* The value behind its place; anybody can seal, so what is in a box is as hostile as any text. */
static int take_value(const char *place, const uint8_t *plain, size_t plain_len, void **value, size_t *len,
                      struct weft_err *err)
{
	size_t head = strlen(place) + 1;
	void *copy;

	if (plain_len <= head || memcmp(plain, place, head) != 0)
		return weft_err_set(err, EPERM, "is sealed for another Secret or key");
	copy = sodium_malloc(plain_len - head);
	if (!copy)
		return weft_err_set(err, ENOMEM, "no guarded memory is left; raise RLIMIT_MEMLOCK");
	memcpy(copy, plain + head, plain_len - head);
	*value = copy;
	*len = plain_len - head;
	return 0;
}

int weft_seal_open(const struct weft_seal_keys *keys, const char *place, const void *sealed,
                   size_t sealed_len, void **value, size_t *len, struct weft_err *err)
{
	const char *text = (const char *)sealed + strlen(PREFIX), *end;
	size_t text_len = sealed_len - strlen(PREFIX), box_len;
	weft_auto(seal_free) uint8_t *plain = NULL;
	weft_autofree uint8_t *box = NULL;

	if (!keys)
		return weft_err_set(err, ENOKEY,
		                    "is sealed, and datastore.sealKey of weft.yaml names no key");
	if (text_len / 4 * 3 > BOX_MAX)
		return weft_err_set(err, EINVAL, "is sealed, and longer than a sealed value can be");
	box = malloc(text_len + 1);
	if (!box)
		return weft_err_set(err, ENOMEM, "out of memory");
	if (sodium_base642bin(box, text_len + 1, text, text_len, NULL, &box_len, &end,
	                      sodium_base64_VARIANT_ORIGINAL) < 0 ||
	    end != text + text_len || box_len <= crypto_box_SEALBYTES)
		return weft_err_set(err, EINVAL,
		                    "is sealed, and damaged: what follows " PREFIX " is not whole");
	plain = sodium_malloc(box_len - crypto_box_SEALBYTES);
	if (!plain)
		return weft_err_set(err, ENOMEM, "no guarded memory is left; raise RLIMIT_MEMLOCK");
	if (open_box(keys, box, box_len, plain) < 0)
		return weft_err_set(err, EPERM,
		                    "can't be opened: it is sealed for another key, or was changed");
	return take_value(place, plain, box_len - crypto_box_SEALBYTES, value, len, err);
}

int weft_seal_open_secret(const struct weft_seal_keys *keys, struct weft_object *obj, struct weft_err *err)
{
	for (size_t i = 0; i < obj->secret.n_items; i++) {
		struct weft_secret_item *item = &obj->secret.items[i];
		struct weft_err why = WEFT_ERR_INIT;
		char place[WEFT_SEAL_PLACE_MAX];
		void *value = NULL;
		size_t len = 0;
		int r;

		if (!weft_sealed(item->value, item->len))
			continue;
		r = weft_seal_place(obj->meta.namespace, obj->meta.name, item->key, place, &why);
		if (r == 0)
			r = weft_seal_open(keys, place, item->value, item->len, &value, &len, &why);
		if (r < 0)
			return weft_err_set(err, r, "Secret/%s/%s: %s: %s", obj->meta.namespace,
			                    obj->meta.name, item->key, why.text);
		sodium_free(item->value);
		item->value = value;
		item->len = len;
	}
	return 0;
}
