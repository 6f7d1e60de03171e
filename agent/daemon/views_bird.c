// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl bird -- COMMAND`: one command of BIRD's own on a connection of its own. Without args.write BIRD itself
 * refuses whatever would change anything (its `restrict`); with it, a few words are allowed, and none that would
 * take bird.conf out of weftd's hands or make BIRD write a file.
 */
#include "agent/daemon/views.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#include "agent/bird/query.h"

#define LINES_MAX 100000

struct passed {
	struct serve_request *req;
	cJSON *root, *lines;
	size_t n;
	unsigned code;
	bool more;
};

static bool on_line(void *ctx, size_t command, const struct bird_line *line)
{
	struct passed *p = ctx;
	cJSON *item;

	(void)command;
	if (p->n++ == LINES_MAX || !serve_wanted(p->req)) {
		p->more = true;
		return false;
	}
	p->code = line->code;
	item = cJSON_CreateObject();
	cJSON_AddNumberToObject(item, "code", line->code);
	cJSON_AddStringToObject(item, "text", line->text);
	cJSON_AddItemToArray(p->lines, item);
	return true;
}

static void on_done(void *ctx, const struct weft_err *err)
{
	struct passed *p = ctx;

	if (err) {
		serve_fail(p->req, err);
		cJSON_Delete(p->root);
	} else {
		cJSON_AddNumberToObject(p->root, "code", p->code);
		cJSON_AddBoolToObject(p->root, "more", p->more);
		serve_reply(p->req, p->root);
	}
	free(p);
}

static bool begins(const char *command, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(command, word, len) && (command[len] == '\0' || command[len] == ' ');
}

static int check_write(const char *command, struct weft_err *err)
{
	static const char *const words[] = {"show",    "disable",   "enable", "restart", "reload",
	                                    "refresh", "configure", "debug",  "echo",    "eval"};
	bool known = false;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(words); i++)
		known |= begins(command, words[i]);
	if (!known)
		return weft_err_set(
		        err, EPERM,
		        "bird: \"%.40s\" is not passed on: show, disable, enable, restart, reload, "
		        "refresh, configure, debug, echo and eval are",
		        command);
	if (strchr(command, '"') && !begins(command, "show"))
		return weft_err_set(
		        err, EPERM,
		        "bird: no file names: weftd writes BIRD's configuration, and name protocols "
		        "without quotes");
	return 0;
}

int view_bird(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(args, "args");
	const char *command = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(inner, "command"));
	bool write = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(inner, "write"));
	struct agent *a = ctx;
	struct bird_query_options o = {.loop = a->loop,
	                               .socket = a->cfg.bird.socket,
	                               .commands = &command,
	                               .n_commands = 1,
	                               .restricted = !write,
	                               .timeout_ms = BIRD_VIEW_MS,
	                               .on_line = on_line,
	                               .on_done = on_done};
	struct passed *p;
	int r = command ? bird_query_check(command, err) : weft_err_set(err, EINVAL, "no command");

	(void)result;
	if (r == 0 && write)
		r = check_write(command, err);
	if (r < 0)
		return weft_err_wrap(err, "bird: args.command");
	p = calloc(1, sizeof(*p));
	if (!p)
		return weft_err_errno(err, ENOMEM, "asking BIRD");
	*p = (struct passed){.req = req, .root = cJSON_CreateObject()};
	cJSON_AddStringToObject(p->root, "command", command);
	p->lines = cJSON_AddArrayToObject(p->root, "lines");
	o.ctx = p;
	bird_query(&o);
	return SERVE_LATER;
}
