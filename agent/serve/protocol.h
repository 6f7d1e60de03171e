// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lines on weftd.sock, without any socket.
 *
 *	request	{"cmd":"status", ...}
 *	reply	{"ok":true,"result":...}  or  {"ok":false,"error":"text","code":N}	N: an errno value
 *
 * A line is one JSON object in UTF-8 and ends with a newline.
 */
#ifndef AGENT_SERVE_PROTOCOL_H
#define AGENT_SERVE_PROTOCOL_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "weft/err.h"

#define SERVE_NAME_MAX 32 /* bytes of a command name */

/*
 * Read a request line (without its newline). On success *root is the request (free with cJSON_Delete) and
 * *cmd the command's name inside it. -EINVAL for anything that is not an object with a well-formed `cmd`.
 */
int serve_request_parse(const char *line, size_t len, cJSON **root, const char **cmd, struct weft_err *err);

/* Reply lines with their newline, malloc'd; NULL when out of memory. serve_reply_ok takes ownership of
 * result. */
char *serve_reply_ok(cJSON *result);
char *serve_reply_error(const struct weft_err *err);

#endif
