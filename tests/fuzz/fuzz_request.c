// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Request lines of the daemon's socket, and texts that weftctl shows: what is accepted has a well-formed
 * name, and a cleaned text is valid UTF-8 without control characters, no longer than before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "agent/serve/protocol.h"
#include "weft/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const uint8_t *data, size_t len)
{
	weft_autofree char *text = strndup((const char *)data, len);
	weft_autofree char *again = NULL;
	size_t before;

	if (!text)
		return;
	before = strlen(text);
	ctl_text_clean(text);
	if (strlen(text) > before)
		abort();
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
	again = strdup(text);
	if (!again)
		return;
	ctl_text_clean(again);
	if (strcmp(text, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_err err = WEFT_ERR_INIT;
	const char *cmd = NULL;
	cJSON *root = NULL;

	check_text(data, len);
	if (serve_request_parse((const char *)data, len, &root, &cmd, &err) < 0) {
		if (root || !err.code || !err.text[0])
			abort();
		return 0;
	}
	if (!cmd[0] || strlen(cmd) > SERVE_NAME_MAX || strpbrk(cmd, " \"\\\n/"))
		abort();
	ctl_text_clean_json(root);
	free(serve_reply_ok(root));
	return 0;
}
