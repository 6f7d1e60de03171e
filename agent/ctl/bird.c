// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl bird`: BIRD's reply as birdc prints it; and the page of `routes --received` and `--advertised`.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/addr.h"
#include "weft/cleanup.h"

static const struct ctl_column columns[] = {
        {.header = "STATE", .path = "state", .state = true},
        {.header = "PREFIX", .path = "prefix"},
        {.header = "NEXT HOP", .path = "nextHop"},
        {.header = "AS PATH", .path = "asPath", .shrink = 12},
        {.header = "PREF", .path = "localPref", .right = true, .optional = true},
        {.header = "MED", .path = "med", .right = true, .optional = true},
        {.header = "COMMUNITIES", .path = "communities", .shrink = 12, .optional = true},
        {.header = "VIA", .path = "hops", .shrink = 12, .optional = true},
        {.header = "REASON", .path = "reason", .shrink = 16, .optional = true},
};

int ctl_bird_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf command = {0};

	for (size_t i = 0; i < n; i++)
		weft_buf_printf(&command, "%s%s", i ? " " : "", argv[i]);
	if (!*args)
		*args = cJSON_CreateObject();
	if (command.failed || !cJSON_AddStringToObject(*args, "command", weft_buf_text(&command)))
		return weft_err_set(err, ENOMEM, "out of memory");
	return 0;
}

void ctl_bird(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *line;

	(void)style;
	cJSON_ArrayForEach (line, ctl_get(result, "lines")) {
		const char *text = cJSON_GetStringValue(ctl_get(line, "text"));

		if (!text || !cJSON_IsNumber(ctl_get(line, "code")) || !ctl_get(line, "code")->valueint)
			continue; /* 0000: the bare end */
		weft_buf_str(out, text);
		weft_buf_char(out, '\n');
	}
	if (cJSON_IsTrue(ctl_get(result, "more")))
		weft_buf_str(out, "... more; the answer was too long\n");
}

enum ctl_exit ctl_bird_verdict(const cJSON *result)
{
	double code = cJSON_GetNumberValue(ctl_get(result, "code"));

	return code >= 9000 ? CTL_USAGE : code >= 8000 ? CTL_FAILED : CTL_OK;
}

static int read_limit(cJSON *args, struct weft_err *err)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(args, "limit"));
	char *end;
	unsigned long n;

	if (!text)
		return 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n < 1 || n > 100000)
		return weft_err_set(err, EINVAL, "--limit \"%.40s\" is no number from 1 to 100000", text);
	cJSON_DeleteItemFromObject(args, "limit");
	cJSON_AddNumberToObject(args, "limit", (double)n);
	return 0;
}

int ctl_routes_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	bool received = cJSON_HasObjectItem(*args, "received"),
	     advertised = cJSON_HasObjectItem(*args, "advertised");
	struct weft_prefix p;
	struct weft_addr a;

	if (received && advertised)
		return weft_err_set(err, EINVAL, "--received or --advertised, not both");
	if (*args && !received && !advertised)
		return weft_err_set(err, EINVAL, "--limit is for --received and --advertised");
	if (!*args)
		return 0; /* the argument filters the list */
	if (n && weft_addr_parse(argv[0], &a, NULL) < 0 && weft_prefix_parse(argv[0], &p, err) < 0)
		return -EINVAL;
	if (n)
		cJSON_AddStringToObject(*args, "prefix", argv[0]);
	return read_limit(*args, err);
}

void ctl_routes(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *routes = ctl_get(result, "routes"), *note;
	double more = cJSON_GetNumberValue(ctl_get(result, "more"));

	if (cJSON_GetArraySize(routes) > 0) {
		ctl_table(routes, columns, WEFT_ARRAY_LEN(columns), style, out);
	} else {
		weft_buf_str(out, "no routes ");
		ctl_field(result, "direction", out);
		weft_buf_char(out, '\n');
	}
	if (more > 0)
		weft_buf_printf(out, "... and %.0f more: see --limit\n", more);
	cJSON_ArrayForEach (note, ctl_get(result, "notes")) {
		weft_buf_str(out, "note: ");
		ctl_fmt_text(note, out);
		weft_buf_char(out, '\n');
	}
}
