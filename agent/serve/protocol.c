// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/serve/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= SERVE_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool only_blanks(const char *from, const char *end)
{
	while (from < end && (*from == ' ' || *from == '\t' || *from == '\r'))
		from++;
	return from == end;
}

int serve_request_parse(const char *line, size_t len, cJSON **root, const char **cmd, struct weft_err *err)
{
	const char *end = NULL, *name;
	cJSON *doc;

	/* cJSON stops at a NUL, and the rest of the line would go unseen. */
	if (memchr(line, '\0', len))
		return weft_err_set(err, EINVAL, "request holds a NUL byte");
	doc = cJSON_ParseWithLengthOpts(line, len, &end, false);
	if (!doc || !only_blanks(end, line + len)) {
		cJSON_Delete(doc);
		return weft_err_set(err, EINVAL, "request is not one JSON object on one line");
	}
	name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "cmd"));
	if (!cJSON_IsObject(doc) || !name || !name_is_valid(name)) {
		cJSON_Delete(doc);
		return weft_err_set(err, EINVAL, "request has no valid \"cmd\"; try {\"cmd\":\"help\"}");
	}
	*root = doc;
	*cmd = name;
	return 0;
}

/* Print with a newline; frees the object. */
static char *print_line(cJSON *reply)
{
	char *text = cJSON_PrintUnformatted(reply), *line = NULL;
	size_t len;

	cJSON_Delete(reply);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

char *serve_reply_ok(cJSON *result)
{
	cJSON *reply = cJSON_CreateObject();

	if (!result)
		result = cJSON_CreateObject();
	if (!reply || !cJSON_AddTrueToObject(reply, "ok") ||
	    !cJSON_AddItemToObject(reply, "result", result)) {
		cJSON_Delete(reply);
		cJSON_Delete(result);
		return NULL;
	}
	return print_line(reply);
}

char *serve_reply_error(const struct weft_err *err)
{
	cJSON *reply = cJSON_CreateObject();

	if (!reply || !cJSON_AddFalseToObject(reply, "ok") ||
	    !cJSON_AddStringToObject(reply, "error", err->text) ||
	    !cJSON_AddNumberToObject(reply, "code", err->code < 0 ? -err->code : err->code)) {
		cJSON_Delete(reply);
		return NULL;
	}
	return print_line(reply);
}
