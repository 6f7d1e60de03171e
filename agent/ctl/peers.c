// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl peers`: cells of the list, and the page of a peer.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <string.h>

#include "weft/cleanup.h"

static const struct ctl_column family_columns[] = {
        {.header = "FAMILY", .path = "family"},
        {.header = "STATE", .path = "state", .state = true},
        {.header = "RECEIVED", .path = "received", .right = true, .optional = true},
        {.header = "ACCEPTED", .path = "accepted", .right = true},
        {.header = "BEST", .path = "preferred", .right = true},
        {.header = "FILTERED", .path = "filtered", .right = true, .optional = true},
        {.header = "ANNOUNCED", .path = "announced", .right = true},
        {.header = "LIMIT HIT", .path = "limitHit", .optional = true},
};

static const struct ctl_column class_columns[] = {
        {.header = "CLASS", .path = "metric", .right = true},
        {.header = "WHAT", .path = "type"},
        {.header = "BGPADVERTISEMENTS", .path = "advertisements", .shrink = 17, .optional = true},
        {.header = "HOW", .path = "how"},
};

static void per_family(const cJSON *families, const char *name, struct weft_buf *out)
{
	const cJSON *family;
	size_t before = out->len;
	bool any = false;

	cJSON_ArrayForEach (family, families) {
		const cJSON *n = ctl_get(family, name);

		if (family != families->child)
			weft_buf_char(out, '/');
		ctl_fmt_text(n, out);
		any |= cJSON_IsNumber(n);
	}
	if (!any) {
		weft_buf_truncate(out, before);
		weft_buf_char(out, '-');
	}
}

void ctl_fmt_accepted(const cJSON *value, struct weft_buf *out)
{
	per_family(value, "accepted", out);
}

void ctl_fmt_filtered(const cJSON *value, struct weft_buf *out)
{
	per_family(value, "filtered", out);
}

void ctl_fmt_announced(const cJSON *value, struct weft_buf *out)
{
	per_family(value, "announced", out);
}

/* A name is asked for; a shell pattern filters the list. */
int ctl_peers_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	if (n == 0 || strpbrk(argv[0], "*?["))
		return 0;
	*args = cJSON_CreateObject();
	if (!cJSON_AddStringToObject(*args, "peer", argv[0]))
		return weft_err_set(err, ENOMEM, "out of memory");
	return 0;
}

/* --- the page --- */

static void said(const cJSON *peer, const char *path, const char *before, struct weft_buf *out)
{
	if (!ctl_get(peer, path))
		return;
	weft_buf_str(out, before);
	ctl_field(peer, path, out);
}

static void flag(const cJSON *peer, const char *path, const char *word, struct weft_buf *out)
{
	if (cJSON_IsTrue(ctl_get(peer, path)))
		weft_buf_printf(out, ", %s", word);
}

static bool positive(const cJSON *peer, const char *path)
{
	return cJSON_GetNumberValue(ctl_get(peer, path)) > 0;
}

static void session_lines(const cJSON *peer, struct weft_buf *out)
{
	ctl_label("session", out);
	ctl_field(peer, "session.type", out);
	said(peer, "session.localAS", ", our AS ", out);
	said(peer, "session.localAddress", ", from ", out);
	said(peer, "session.port", " to port ", out);
	said(peer, "session.routerID", ", its router id ", out);
	if (positive(peer, "session.multihop"))
		said(peer, "session.multihop", ", multihop ", out);
	flag(peer, "session.ttlSecurity", "TTL security", out);
	flag(peer, "session.passive", "passive", out);
	flag(peer, "session.password", "MD5 password", out);
	flag(peer, "session.reflectorClient", "route reflector client", out);
	said(peer, "session.nextHop", ", next hop ", out);
	weft_buf_char(out, '\n');
	ctl_label("timers", out);
	said(peer, "timers.hold", "hold ", out);
	said(peer, "timers.keepalive", " s, keepalive ", out);
	said(peer, "timers.connectRetry", " s, connect retry ", out);
	weft_buf_str(out, " s");
	if (ctl_get(peer, "timers.holdNegotiated")) {
		said(peer, "timers.holdNegotiated", "; negotiated: hold ", out);
		said(peer, "timers.keepaliveNegotiated", " s, keepalive ", out);
		weft_buf_str(out, " s");
	}
	weft_buf_char(out, '\n');
}

static void watch_lines(const cJSON *peer, const struct ctl_style *style, struct weft_buf *out)
{
	ctl_label("bfd", out);
	ctl_paint_field(peer, "bfd.state", style, out);
	if (ctl_get(peer, "bfd.multiplier")) {
		said(peer, "bfd.rxMs", ", wanted: receive ", out);
		said(peer, "bfd.txMs", " ms, send ", out);
		said(peer, "bfd.multiplier", " ms, times ", out);
	}
	said(peer, "bfd.timeoutMs", "; lost after ms: ", out);
	weft_buf_char(out, '\n');
	ctl_label("restart", out);
	said(peer, "gracefulRestart.mode", "graceful restart ", out);
	said(peer, "gracefulRestart.seconds", ", seconds: ", out);
	said(peer, "gracefulRestart.longLivedSeconds", ", long-lived seconds: ", out);
	flag(peer, "gracefulRestart.neighborRestarts", "the neighbour restarts just now", out);
	weft_buf_char(out, '\n');
	ctl_label("limit", out);
	ctl_field(peer, "maxPrefixes.limit", out);
	weft_buf_str(out, " routes of each family, then ");
	ctl_field(peer, "maxPrefixes.action", out);
	weft_buf_char(out, '\n');
	ctl_label("drain", out);
	ctl_field(peer, "drain", out);
	weft_buf_char(out, '\n');
	ctl_label("capable of", out);
	ctl_field(peer, "capabilities", out);
	weft_buf_char(out, '\n');
}

static void rules(const cJSON *list, struct weft_buf *out)
{
	const cJSON *rule;
	int n = 0;

	cJSON_ArrayForEach (rule, list) {
		weft_buf_printf(out, "  rule %d: ", ++n);
		ctl_fmt_text(rule, out);
		weft_buf_char(out, '\n');
	}
}

static void filter_lines(const cJSON *peer, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *classes = ctl_get(peer, "announced");

	ctl_label("taken", out);
	weft_buf_str(out, "routes in ");
	ctl_field(peer, "taken", out);
	weft_buf_char(out, '\n');
	rules(ctl_get(peer, "importFilter"), out);
	ctl_label("announced", out);
	if (cJSON_GetArraySize(classes) > 0) {
		weft_buf_str(out, "what this node has in table 179 in these classes\n");
		ctl_table_indented(classes, class_columns, WEFT_ARRAY_LEN(class_columns), 2, style, out);
	} else {
		weft_buf_str(out, "nothing\n");
	}
	rules(ctl_get(peer, "exportFilter"), out);
}

static void peer_lines(const cJSON *peer, const struct ctl_style *style, struct weft_buf *out)
{
	ctl_label("peer", out);
	ctl_field(peer, "name", out);
	said(peer, "address", ", ", out);
	said(peer, "interface", " dev ", out);
	said(peer, "asNumber", ", AS ", out);
	said(peer, "protocol", ", in BIRD ", out);
	said(peer, "description", ": ", out);
	weft_buf_char(out, '\n');
	ctl_label("state", out);
	ctl_paint_field(peer, "state", style, out);
	said(peer, "since", " since ", out);
	said(peer, "reason", ": ", out);
	said(peer, "lastError", ", last error: ", out);
	said(peer, "message", ", the peer says: ", out);
	weft_buf_char(out, '\n');
	if (!ctl_get(peer, "session"))
		return;
	if (cJSON_GetArraySize(ctl_get(peer, "families")) > 0)
		ctl_table_indented(ctl_get(peer, "families"), family_columns, WEFT_ARRAY_LEN(family_columns),
		                   2, style, out);
	session_lines(peer, out);
	watch_lines(peer, style, out);
	filter_lines(peer, style, out);
}

void ctl_peers(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *peers = ctl_get(result, "peers"), *peer;

	cJSON_ArrayForEach (peer, peers) {
		if (peer != peers->child)
			weft_buf_char(out, '\n');
		peer_lines(peer, style, out);
	}
}
