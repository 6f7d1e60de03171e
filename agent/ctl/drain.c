// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is drained: lines of `weftctl status`, and the page of `drain` and `undrain`.
 */
#include "agent/ctl/ctl.h"

#include <string.h>

static bool is_drained(const cJSON *item)
{
	const char *stage = cJSON_GetStringValue(ctl_get(item, "stage"));

	return stage && strcmp(stage, "none") != 0;
}

static void stage(const cJSON *item, const struct ctl_style *style, struct weft_buf *out)
{
	bool done = !ctl_get(item, "withdrawnIn");

	ctl_paint(done ? "withdrawn" : "last resort", "pending", style, out);
	weft_buf_str(out, " since ");
	ctl_field(item, "since", out);
	if (!done) {
		weft_buf_str(out, ", withdrawn in ");
		ctl_fmt_duration(ctl_get(item, "withdrawnIn"), out);
	}
}

bool ctl_drain_lines(const cJSON *draining, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *peer;
	bool any = is_drained(draining);

	if (any) {
		ctl_label("drain", out);
		weft_buf_str(out, "node ");
		stage(draining, style, out);
		weft_buf_str(out, " (");
		ctl_fmt_text(ctl_get(draining, "reasons"), out);
		weft_buf_str(out, ")\n");
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
