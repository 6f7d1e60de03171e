// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl bgp explain`: the argument, and for each prefix the chain with its verdict.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <string.h>

int ctl_bgp_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	(void)n; /* two, as the table of commands says */
	if (strcmp(argv[0], "explain") != 0)
		return weft_err_set(err, EINVAL, "`bgp` knows `explain`, not \"%.40s\"", argv[0]);
	*args = cJSON_CreateObject();
	if (!cJSON_AddStringToObject(*args, "explain", argv[1]))
		return weft_err_set(err, ENOMEM, "out of memory");
	return 0;
}

static void target(const cJSON *t, const struct ctl_style *style, struct weft_buf *out)
{
	const char *verdict = cJSON_GetStringValue(ctl_get(t, "verdict"));
	const cJSON *step;
	int number = 0;

	ctl_label("explain", out);
	ctl_field(t, "prefix", out);
	weft_buf_str(out, ", ");
	ctl_field(t, "kind", out);
	weft_buf_char(out, '\n');
	cJSON_ArrayForEach (step, ctl_get(t, "steps")) {
		const char *name = cJSON_GetStringValue(ctl_get(step, "step"));

		weft_buf_printf(out, "%3d  %-8s", ++number, name ? name : "-");
		ctl_field(step, "text", out);
		weft_buf_char(out, '\n');
	}
	ctl_label("verdict", out);
	ctl_paint(verdict ? verdict : "-", verdict ? verdict : "", style, out);
	weft_buf_str(out, ": ");
	ctl_field(t, "why", out);
	weft_buf_char(out, '\n');
}

void ctl_bgp(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *targets = ctl_get(result, "targets"), *t;

	cJSON_ArrayForEach (t, targets) {
		if (t != targets->child)
			weft_buf_char(out, '\n');
		target(t, style, out);
	}
}

enum ctl_exit ctl_bgp_verdict(const cJSON *result)
{
	const char *word = cJSON_GetStringValue(ctl_get(result, "result"));

	if (word && !strcmp(word, "good"))
		return CTL_OK;
	return word && !strcmp(word, "bad") ? CTL_FAILED : CTL_USAGE;
}
