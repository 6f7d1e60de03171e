// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is drained: lines of `weftctl status`, and the page of `drain` and `undrain`.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_S 3600

/* --wait comes as text; --no-wait is for us alone. */
int ctl_drain_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	const char *text = cJSON_GetStringValue(ctl_get(*args, "wait"));
	double seconds;
	char *end;

	(void)argv;
	(void)n;
	if (!text)
		return 0;
	seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0 && seconds <= WAIT_MAX_S))
		return weft_err_set(err, EINVAL, "--wait \"%.40s\" is not a number of seconds up to %d", text,
		                    WAIT_MAX_S);
	cJSON_DeleteItemFromObjectCaseSensitive(*args, "wait");
	if (!cJSON_AddNumberToObject(*args, "waitSeconds", seconds))
		return weft_err_set(err, ENOMEM, "out of memory");
	return 0;
}

/* The drain that the command began: the node's or a peer's. */
static const cJSON *concerned(const cJSON *result, const cJSON *args)
{
	const char *peer = cJSON_GetStringValue(ctl_get(args, "peer"));
	const cJSON *item;

	if (!peer)
		return result;
	cJSON_ArrayForEach (item, ctl_get(result, "peers")) {
		const char *name = cJSON_GetStringValue(ctl_get(item, "name"));

		if (name && !strcmp(name, peer))
			return item;
	}
	return NULL;
}

static bool is_stage(const cJSON *item, const char *name)
{
	const char *stage = cJSON_GetStringValue(ctl_get(item, "stage"));

	return stage && !strcmp(stage, name);
}

bool ctl_drain_waits(const cJSON *result, const cJSON *args, struct weft_buf *line)
{
	const cJSON *item = concerned(result, args), *left = ctl_get(item, "withdrawnIn");

	if (!left || ctl_get(args, "no-wait"))
		return false;
	weft_buf_printf(line, "%s, withdrawn in ",
	                is_stage(item, "beginning") ? "other nodes are told" : "announced as a last resort");
	ctl_fmt_duration(left, line);
	return true;
}

bool ctl_undrain_waits(const cJSON *result, const cJSON *args, struct weft_buf *line)
{
	if (ctl_get(args, "peer") || !is_stage(result, "ending"))
		return false;
	weft_buf_str(line, "other nodes are told");
	return true;
}

static void stage(const cJSON *item, const struct ctl_style *style, struct weft_buf *out)
{
	const char *name = cJSON_GetStringValue(ctl_get(item, "stage"));
	const cJSON *left = ctl_get(item, "withdrawnIn");

	ctl_paint(name ? name : "-", "pending", style, out);
	weft_buf_str(out, " since ");
	ctl_field(item, "since", out);
	if (left) {
		weft_buf_str(out, ", withdrawn in ");
		ctl_fmt_duration(left, out);
	}
}

bool ctl_drain_lines(const cJSON *draining, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *peer;
	bool any = ctl_get(draining, "since");

	if (any) {
		ctl_label("drain", out);
		weft_buf_str(out, "node ");
		stage(draining, style, out);
		if (cJSON_GetArraySize(ctl_get(draining, "reasons"))) {
			weft_buf_str(out, " (");
			ctl_fmt_text(ctl_get(draining, "reasons"), out);
			weft_buf_char(out, ')');
		}
		weft_buf_char(out, '\n');
	}
	cJSON_ArrayForEach (peer, ctl_get(draining, "peers")) {
		ctl_label(any ? "" : "drain", out);
		any = true;
		weft_buf_str(out, "peer ");
		ctl_field(peer, "name", out);
		weft_buf_char(out, ' ');
		stage(peer, style, out);
		weft_buf_char(out, '\n');
	}
	return any;
}

void ctl_drain(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	if (!ctl_drain_lines(result, style, out))
		weft_buf_str(out, "nothing is drained\n");
}
