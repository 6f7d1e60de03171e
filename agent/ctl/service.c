// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl services`: the argument, and the page of one Service: its addresses, then for each port each
 * address that it is served on, with the endpoints as weft wants them beside what the kernel has.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <string.h>

#include "weft/cleanup.h"

#define NAME_MAX_BYTES 253 /* DNS-1123 subdomain */

static const struct ctl_column vip_columns[] = {
        {.header = "ADDRESS", .path = "address"},
        {.header = "KIND", .path = "kind"},
        {.header = "ROUTE", .path = "route", .state = true},
        {.header = "ADVERTISED", .path = "advertised"},
        {.header = "WHY NOT", .path = "why", .shrink = 16, .optional = true},
};

static const struct ctl_column announcement_columns[] = {
        {.header = "ADDRESS", .path = "address"},
        {.header = "PREFIX", .path = "prefix"},
        {.header = "CLASS", .path = "class", .right = true},
        {.header = "BGPADVERTISEMENTS", .path = "advertisements", .shrink = 16},
        {.header = "WEIGHT", .path = "weight", .right = true, .optional = true},
        {.header = "STATE", .path = "state", .state = true},
        {.header = "NOTE", .path = "note", .shrink = 16, .optional = true},
};

static const struct ctl_column endpoint_columns[] = {
        {.header = "ENDPOINT", .path = "address"},
        {.header = "PORT", .path = "port", .right = true},
        {.header = "NODE", .path = "node", .shrink = 12},
        {.header = "CONDITIONS", .path = "conditions"},
        {.header = "WANTED", .path = "wanted", .right = true},
        {.header = "KERNEL", .path = "kernel", .right = true},
        {.header = "ACTIVE", .path = "active", .right = true},
        {.header = "INACTIVE", .path = "inactive", .right = true},
};

void ctl_fmt_endpoints(const cJSON *value, struct weft_buf *out)
{
	if (!cJSON_IsObject(value)) {
		weft_buf_char(out, '-');
		return;
	}
	ctl_field(value, "used", out);
	weft_buf_char(out, '/');
	ctl_field(value, "known", out);
}

/* A name is asked for; a shell pattern filters the list. */
int ctl_service_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	const char *slash;

	if (n == 0 || strpbrk(argv[0], "*?["))
		return 0;
	slash = strchr(argv[0], '/');
	if (!slash || slash == argv[0] || !slash[1] || strchr(slash + 1, '/') ||
	    strlen(argv[0]) > 2 * NAME_MAX_BYTES + 1)
		return weft_err_set(err, EINVAL, "\"%.80s\" is not NAMESPACE/NAME", argv[0]);
	*args = cJSON_CreateObject();
	if (!cJSON_AddStringToObject(*args, "service", argv[0]))
		return weft_err_set(err, ENOMEM, "out of memory");
	return 0;
}

static void port_line(const cJSON *port, struct weft_buf *out)
{
	const char *name = cJSON_GetStringValue(ctl_get(port, "name"));

	ctl_label("port", out);
	if (name && name[0])
		weft_buf_printf(out, "%s ", name);
	ctl_field(port, "port", out);
	weft_buf_char(out, '/');
	ctl_field(port, "protocol", out);
	if (cJSON_GetNumberValue(ctl_get(port, "nodePort")) > 0) {
		weft_buf_str(out, ", node port ");
		ctl_field(port, "nodePort", out);
	}
	weft_buf_str(out, ", scheduler ");
	ctl_field(port, "scheduler", out);
	weft_buf_char(out, '\n');
}

static void optional(const cJSON *object, const char *path, const char *before, struct weft_buf *out)
{
	const char *text = cJSON_GetStringValue(ctl_get(object, path));

	if (text && text[0]) {
		weft_buf_str(out, before);
		weft_buf_str(out, text);
	}
}

static void port_lines(const cJSON *port, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *virtual, *endpoints;

	port_line(port, out);
	cJSON_ArrayForEach (virtual, ctl_get(port, "virtuals")) {
		weft_buf_str(out, "  ");
		ctl_field(virtual, "key", out);
		weft_buf_char(out, ' ');
		ctl_paint_field(virtual, "state", style, out);
		optional(virtual, "takenBy", " by ", out);
		optional(virtual, "reason", ": ", out);
		weft_buf_char(out, '\n');
		endpoints = ctl_get(virtual, "endpoints");
		if (cJSON_GetArraySize(endpoints) > 0)
			ctl_table_indented(endpoints, endpoint_columns, WEFT_ARRAY_LEN(endpoint_columns), 4,
			                   style, out);
	}
}

static void problem_lines(const cJSON *problems, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *problem;

	ctl_label("problems", out);
	if (cJSON_GetArraySize(problems) == 0) {
		ctl_paint("none", "ok", style, out);
		weft_buf_char(out, '\n');
		return;
	}
	weft_buf_printf(out, "%d\n", cJSON_GetArraySize(problems));
	cJSON_ArrayForEach (problem, problems) {
		weft_buf_str(out, "  ");
		ctl_fmt_text(problem, out);
		weft_buf_char(out, '\n');
	}
}

void ctl_service(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *vips = ctl_get(result, "vips"), *announcements = ctl_get(result, "announcements"), *port;

	ctl_label("service", out);
	ctl_field(result, "service", out);
	weft_buf_str(out, ", ");
	ctl_field(result, "type", out);
	weft_buf_char(out, '\n');
	ctl_label("state", out);
	ctl_paint_field(result, "state", style, out);
	optional(result, "reason", ": ", out);
	weft_buf_char(out, '\n');
	ctl_label("policies", out);
	weft_buf_str(out, "internal traffic ");
	ctl_field(result, "policies.internal", out);
	weft_buf_str(out, ", external traffic ");
	ctl_field(result, "policies.external", out);
	weft_buf_char(out, '\n');
	ctl_label("vips", out);
	weft_buf_printf(out, "%d\n", cJSON_GetArraySize(vips));
	if (cJSON_GetArraySize(vips) > 0)
		ctl_table_indented(vips, vip_columns, WEFT_ARRAY_LEN(vip_columns), 2, style, out);
	if (cJSON_GetArraySize(announcements) > 0) {
		ctl_label("announced", out);
		weft_buf_printf(out, "%d\n", cJSON_GetArraySize(announcements));
		ctl_table_indented(announcements, announcement_columns, WEFT_ARRAY_LEN(announcement_columns),
		                   2, style, out);
	}
	cJSON_ArrayForEach (port, ctl_get(result, "ports"))
		port_lines(port, style, out);
	problem_lines(ctl_get(result, "problems"), style, out);
}
