// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a file of keys, as a sealed value, and as a value to seal, which must come back. */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/seal.h"

#define PLACE "kube-system/weft-bgp/tor1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weft_seal_keys *keys;
static uint8_t public[WEFT_SEAL_PUBLIC];

static void make_keys(void)
{
	char secret[WEFT_SEAL_TEXT], text[WEFT_SEAL_TEXT];

	if (weft_seal_new(secret, text, NULL) < 0 ||
	    weft_seal_keys_parse(secret, strlen(secret), &keys, NULL) < 0)
		abort();
	text[strcspn(text, "\n")] = '\0';
	if (weft_seal_public_parse(text, public, NULL) < 0)
		abort();
}

static void open_any(const uint8_t *data, size_t size)
{
	void *value = NULL;
	size_t len;

	if (!weft_sealed(data, size))
		return;
	if (weft_seal_open(keys, PLACE, data, size, &value, &len, NULL) == 0)
		abort(); /* nobody guesses */
}

static void round_trip(const uint8_t *data, size_t size)
{
	weft_auto(weft_buf_free) struct weft_buf sealed = {0};
	void *value = NULL;
	size_t len = 0;

	if (weft_seal(public, PLACE, data, size, &sealed, NULL) < 0)
		return;
	if (weft_seal_open(keys, PLACE, sealed.data, sealed.len, &value, &len, NULL) < 0 || len != size ||
	    memcmp(value, data, size) != 0)
		abort();
	sodium_free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_seal_keys *any = NULL;

	if (!keys)
		make_keys();
	if (weft_seal_keys_parse((const char *)data, size, &any, NULL) == 0)
		weft_seal_keys_free(any);
	open_any(data, size);
	round_trip(data, size);
	return 0;
}
