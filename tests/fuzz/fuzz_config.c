// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as the configuration: refused with a reason, or accepted and then stable under dump and parse. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_buf first = {0}, second = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_config config, again;

	if (weft_config_parse("f", (const char *)data, size, &config, NULL, NULL, &err) < 0) {
		if (!*err.text)
			abort();
		return 0;
	}
	weft_config_dump(&config, &first);
	if (weft_config_parse("f", first.data, first.len, &again, NULL, NULL, &err) < 0)
		abort();
	weft_config_dump(&again, &second);
	if (strcmp(first.data, second.data))
		abort();
	weft_buf_free(&first);
	weft_buf_free(&second);
	return 0;
}
