// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page of `weftctl status`: one line per part of the node, then the problems.
 */
#include "agent/ctl/ctl.h"

#include "weft/cleanup.h"

struct page {
	const cJSON *result;
	const struct ctl_style *style;
	struct weft_buf *out;
};

static void label(struct page *p, const char *name)
{
	ctl_label(name, p->out);
}

static void field(struct page *p, const char *path)
{
	ctl_field(p->result, path, p->out);
}

static void paint(struct page *p, const char *text, const char *state)
{
	ctl_paint(text, state, p->style, p->out);
}

static double number(const struct page *p, const char *path)
{
	const cJSON *value = ctl_get(p->result, path);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static bool has_text(const struct page *p, const char *path)
{
	const char *text = cJSON_GetStringValue(ctl_get(p->result, path));

	return text && text[0];
}

static void node_lines(struct page *p)
{
	label(p, "node");
	field(p, "node");
	if (cJSON_GetArraySize(ctl_get(p->result, "addresses")) > 0) {
		weft_buf_str(p->out, " (");
		field(p, "addresses");
		weft_buf_char(p->out, ')');
	}
	weft_buf_char(p->out, '\n');
	label(p, "weftd");
	weft_buf_str(p->out, "version ");
	field(p, "version");
	weft_buf_str(p->out, ", up ");
	ctl_fmt_duration(ctl_get(p->result, "uptimeSeconds"), p->out);
	weft_buf_char(p->out, '\n');
}

/* How far behind the last known state is. */
static void age(struct page *p)
{
	if (!cJSON_IsTrue(ctl_get(p->result, "datastore.stale")))
		return;
	weft_buf_str(p->out, ", ");
	paint(p, "behind", "pending");
	weft_buf_str(p->out, " since ");
	ctl_fmt_duration(ctl_get(p->result, "datastore.ageSeconds"), p->out);
}

static void api_line(struct page *p)
{
	const cJSON *c, *collections = ctl_get(p->result, "datastore.collections"), *lease;
	int following = 0, missing = 0;

	if (!collections)
		return;
	cJSON_ArrayForEach (c, collections) {
		following += cJSON_IsTrue(ctl_get(c, "following"));
		missing += cJSON_IsTrue(ctl_get(c, "missing"));
	}
	label(p, "api");
	weft_buf_printf(p->out, "%d of %d collections followed", following, cJSON_GetArraySize(collections));
	if (missing)
		weft_buf_printf(p->out, ", %d not there", missing);
	weft_buf_str(p->out, ", ");
	field(p, "datastore.requests");
	weft_buf_str(p->out, " requests, ");
	field(p, "datastore.failures");
	weft_buf_str(p->out, " without an answer");
	cJSON_ArrayForEach (lease, ctl_get(p->result, "datastore.leases")) {
		weft_buf_str(p->out, ", ");
		ctl_fmt_text(ctl_get(lease, "role"), p->out);
		weft_buf_str(p->out, " is ");
		ctl_fmt_text(ctl_get(lease, "holder"), p->out);
	}
	weft_buf_char(p->out, '\n');
}

static void datastore_line(struct page *p)
{
	const cJSON *count, *objects = ctl_get(p->result, "datastore.objects");
	bool synced = cJSON_IsTrue(ctl_get(p->result, "datastore.synced"));
	const char *before = ": ";

	label(p, "datastore");
	field(p, "datastore.kind");
	weft_buf_char(p->out, ' ');
	field(p, has_text(p, "datastore.path") ? "datastore.path" : "datastore.server");
	weft_buf_str(p->out, ", ");
	paint(p, synced ? "synced" : "not synced", synced ? "synced" : "not synced");
	age(p);
	cJSON_ArrayForEach (count, objects) {
		weft_buf_str(p->out, before);
		before = ", ";
		ctl_fmt_text(count, p->out);
		weft_buf_printf(p->out, " %s", count->string ? count->string : "?");
	}
	weft_buf_char(p->out, '\n');
	api_line(p);
}

static void address_lines(struct page *p)
{
	label(p, "blocks");
	field(p, "blocks.own");
	weft_buf_str(p->out, " own of ");
	field(p, "blocks.total");
	weft_buf_char(p->out, '\n');
	label(p, "addresses");
	field(p, "ipam.used");
	weft_buf_str(p->out, " used, ");
	field(p, "ipam.free");
	weft_buf_str(p->out, " free\n");
}

/* Counts that are zero when all is well are left out then. */
static void routes_line(struct page *p)
{
	static const struct {
		const char *path, *name, *state;
	} odd[] = {{"routes.pending", "pending", "pending"},
	           {"routes.notReady", "not ready", "not-ready"},
	           {"routes.conflicts", "in conflict", "conflict"}};

	label(p, "routes");
	field(p, "routes.wanted");
	weft_buf_str(p->out, " wanted, ");
	field(p, "routes.installed");
	weft_buf_str(p->out, " installed");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(odd); i++) {
		if (number(p, odd[i].path) == 0)
			continue;
		weft_buf_str(p->out, ", ");
		field(p, odd[i].path);
		weft_buf_char(p->out, ' ');
		paint(p, odd[i].name, odd[i].state);
	}
	weft_buf_char(p->out, '\n');
}

static void bird_line(struct page *p)
{
	const char *state = cJSON_GetStringValue(ctl_get(p->result, "bird.state"));
	static const struct {
		const char *path, *before;
	} optional[] = {{"bird.version", ", version "},
	                {"bird.routerId", ", router id "},
	                {"bird.configState", ", configuration "},
	                {"bird.lastError", ", last error: "}};

	label(p, "bird");
	paint(p, state && state[0] ? state : "-", state ? state : "");
	weft_buf_str(p->out, ", ");
	field(p, "bird.sessionsUp");
	weft_buf_str(p->out, " of ");
	field(p, "bird.sessionsTotal");
	weft_buf_str(p->out, " sessions up");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(optional); i++) {
		if (!has_text(p, optional[i].path))
			continue;
		weft_buf_str(p->out, optional[i].before);
		field(p, optional[i].path);
	}
	weft_buf_char(p->out, '\n');
}

static void tunnel_lines(struct page *p)
{
	const cJSON *tunnel, *tunnels = ctl_get(p->result, "tunnels");
	const char *name = "tunnels";

	if (cJSON_GetArraySize(tunnels) == 0) {
		label(p, name);
		weft_buf_str(p->out, "none\n");
	}
	cJSON_ArrayForEach (tunnel, tunnels) {
		const char *state = cJSON_GetStringValue(ctl_get(tunnel, "state"));

		label(p, name);
		name = "";
		ctl_fmt_text(ctl_get(tunnel, "dev"), p->out);
		weft_buf_char(p->out, ' ');
		paint(p, state && state[0] ? state : "-", state ? state : "");
		weft_buf_str(p->out, ", address ");
		ctl_fmt_text(ctl_get(tunnel, "address"), p->out);
		weft_buf_str(p->out, ", mtu ");
		ctl_fmt_text(ctl_get(tunnel, "mtu"), p->out);
		weft_buf_char(p->out, '\n');
	}
}

/* Of the one that leads, how far it is; of others, that they wait. */
static void controller_line(struct page *p)
{
	if (!ctl_get(p->result, "controller"))
		return;
	label(p, "controller");
	if (!cJSON_IsTrue(ctl_get(p->result, "controller.leading"))) {
		weft_buf_str(p->out, "not leading\n");
		return;
	}
	weft_buf_str(p->out, "leading, ");
	field(p, "controller.services.assigned");
	weft_buf_str(p->out, " Services have their IPs, ");
	field(p, "controller.services.pending");
	weft_buf_str(p->out, " wait");
	if (number(p, "controller.services.conflict") > 0) {
		weft_buf_str(p->out, ", ");
		field(p, "controller.services.conflict");
		weft_buf_char(p->out, ' ');
		paint(p, "in conflict", "conflict");
	}
	weft_buf_char(p->out, '\n');
}

static void problem_lines(struct page *p)
{
	const cJSON *problem, *problems = ctl_get(p->result, "problems");
	int count = cJSON_GetArraySize(problems);

	label(p, "problems");
	if (count == 0) {
		paint(p, "none", "ok");
		weft_buf_char(p->out, '\n');
		return;
	}
	weft_buf_printf(p->out, "%d\n", count);
	cJSON_ArrayForEach (problem, problems) {
		const char *where = cJSON_GetStringValue(ctl_get(problem, "where"));
		const char *object = cJSON_GetStringValue(ctl_get(problem, "object"));

		weft_buf_str(p->out, "  ");
		paint(p, object && object[0] ? object : "?", "error");
		if (where && where[0])
			weft_buf_printf(p->out, " (%s)", where);
		weft_buf_str(p->out, ": ");
		ctl_fmt_text(ctl_get(problem, "text"), p->out);
		weft_buf_char(p->out, '\n');
	}
}

void ctl_status(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	struct page p = {result, style, out};

	node_lines(&p);
	datastore_line(&p);
	if (ctl_get(result, "routes")) {
		address_lines(&p);
		routes_line(&p);
		bird_line(&p);
		ctl_drain_lines(ctl_get(result, "draining"), style, out);
		tunnel_lines(&p);
	}
	controller_line(&p);
	problem_lines(&p);
}

enum ctl_exit ctl_status_verdict(const cJSON *result)
{
	return cJSON_GetArraySize(ctl_get(result, "problems")) > 0 ? CTL_FAILED : CTL_OK;
}
