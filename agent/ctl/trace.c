// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl trace SRC DST[:PORT[/PROTO]]`: the arguments, and the page of hops.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "weft/addr.h"
#include "weft/cleanup.h"

#define SELF "node" /* this node as a source */

static const char *const protocols[] = {"TCP", "UDP", "SCTP"};

/* "53" or "53/UDP". */
static int read_port(const char *text, cJSON *args, struct weft_err *err)
{
	size_t digits = strspn(text, "0123456789");
	const char *protocol = protocols[0];
	unsigned port = 0;

	for (size_t i = 0; i < digits && port <= 65535; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	if (digits == 0 || port == 0 || port > 65535 || (text[digits] && text[digits] != '/'))
		return weft_err_set(err, EINVAL, "\"%.40s\" is no port from 1 to 65535", text);
	if (text[digits] == '/') {
		protocol = NULL;
		for (size_t i = 0; i < WEFT_ARRAY_LEN(protocols); i++)
			if (!strcasecmp(text + digits + 1, protocols[i]))
				protocol = protocols[i];
	}
	if (!protocol)
		return weft_err_set(err, EINVAL, "\"%.40s\" is no protocol: use TCP, UDP or SCTP",
		                    text + digits + 1);
	cJSON_AddNumberToObject(args, "port", port);
	cJSON_AddStringToObject(args, "protocol", protocol);
	return 0;
}

/* ADDRESS, ADDRESS:PORT, [ADDRESS6]:PORT; an IPv6 address with a port needs the brackets. */
static int read_destination(const char *text, cJSON *args, struct weft_addr *dst, struct weft_err *err)
{
	bool bracket = text[0] == '[';
	const char *colon = strchr(text, ':'), *end = text + strlen(text), *port = NULL;
	char addr[WEFT_ADDR_STR];

	if (bracket) {
		text++;
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return weft_err_set(err, EINVAL,
			                    "write an IPv6 address with its port as [ADDR]:PORT");
		port = end + 2;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		port = colon + 1;
	}
	if ((size_t)(end - text) >= sizeof(addr))
		return weft_err_set(err, EINVAL, "\"%.80s\" is no address", text);
	snprintf(addr, sizeof(addr), "%.*s", (int)(end - text), text);
	if (weft_addr_parse(addr, dst, err) < 0)
		return -EINVAL;
	if (bracket && dst->family != AF_INET6)
		return weft_err_set(err, EINVAL, "[%s] is no IPv6 address", addr);
	cJSON_AddStringToObject(args, "dst", weft_addr_str(dst, addr));
	return port ? read_port(port, args, err) : 0;
}

static int read_source(const char *text, cJSON *args, const struct weft_addr *dst, struct weft_err *err)
{
	char canonical[WEFT_ADDR_STR];
	struct weft_addr src;

	if (!strcmp(text, SELF)) {
		cJSON_AddStringToObject(args, "src", SELF);
		return 0;
	}
	if (weft_addr_parse(text, &src, err) < 0)
		return weft_err_wrap(err, "the source is an address, or `" SELF "` for this node");
	if (src.family != dst->family)
		return weft_err_set(err, EINVAL, "source and destination are not of one family");
	cJSON_AddStringToObject(args, "src", weft_addr_str(&src, canonical));
	return 0;
}

int ctl_trace_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	cJSON *out = cJSON_CreateObject();
	struct weft_addr dst = {0};
	int ret;

	(void)n; /* two, as the table of commands says */
	ret = read_destination(argv[1], out, &dst, err);
	if (ret == 0)
		ret = read_source(argv[0], out, &dst, err);
	if (ret < 0)
		cJSON_Delete(out);
	else
		*args = out;
	return ret;
}

void ctl_trace(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const char *verdict = cJSON_GetStringValue(ctl_get(result, "verdict"));
	const cJSON *hop;
	int number = 0;

	ctl_label("trace", out);
	ctl_field(result, "src", out);
	weft_buf_str(out, " to ");
	ctl_field(result, "dst", out);
	if (cJSON_IsNumber(ctl_get(result, "port"))) {
		weft_buf_str(out, " port ");
		ctl_field(result, "port", out);
		weft_buf_char(out, '/');
		ctl_field(result, "protocol", out);
	}
	weft_buf_char(out, '\n');
	cJSON_ArrayForEach (hop, ctl_get(result, "hops")) {
		const char *step = cJSON_GetStringValue(ctl_get(hop, "step"));

		weft_buf_printf(out, "%3d  %-10s", ++number, step ? step : "-");
		ctl_field(hop, "text", out);
		weft_buf_char(out, '\n');
	}
	ctl_label("verdict", out);
	ctl_paint(verdict ? verdict : "-", verdict ? verdict : "", style, out);
	weft_buf_str(out, ": ");
	ctl_field(result, "why", out);
	weft_buf_char(out, '\n');
}

enum ctl_exit ctl_trace_verdict(const cJSON *result)
{
	const char *verdict = cJSON_GetStringValue(ctl_get(result, "verdict"));

	return verdict && !strcmp(verdict, "delivered") ? CTL_OK : CTL_FAILED;
}
