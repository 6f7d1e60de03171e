// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl routes --received PEER` and `--advertised PEER`.
 *
 * For each session of the peer BIRD is asked how many routes there are, then for the routes, then for those that
 * the import filter refused. Tables can be long: after `limit` routes the query hangs up, and the count says how many
 * more there are. BIRD keeps refused routes (`import keep filtered`); why they were refused is judged by
 * the model, since BIRD does not say.
 *
 * What BIRD shows as exported is before the protocol's own work: its AS in front on eBGP, its address as next hop, no
 * local preference. That is added here, so that the rows are what the peer gets.
 */
#include "agent/daemon/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#include "agent/bird/query.h"
#include "agent/bird/routes.h"
#include "agent/daemon/views_routes.h"

#define CODE_ROUTE      1007
#define CODE_NO_NETWORK 8001

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     100000
#define PATH_MAX_AS   256
#define SEEN_MAX      64

#define SESSIONS_MAX 64

/* Counts first: the routes may be cut. What is announced has the two in the middle only. */
enum step { STEP_COUNT_FILTERED, STEP_COUNT, STEP_ROUTES, STEP_FILTERED, STEPS };

struct asked {
	struct agent *a;
	struct serve_request *req;
	bool received;
	char peer[WEFT_NAME_MAX + 1], prefix[WEFT_PREFIX_STR];
	size_t limit, shown;
	uint64_t total;
	/* Of the model only what it owns itself may be used once the request has been read: not the names. */
	struct bgp_model m;
	const struct bgp_peer *sessions[SESSIONS_MAX];
	size_t n_sessions, next;
	/* of the session that is asked */
	const struct bgp_peer *p;
	size_t step;
	bool failed;
	struct bird_routes reader;
	cJSON *root, *routes, *notes;
};

/* --- a route --- */

static void add_text(cJSON *item, const char *name, const char *text)
{
	if (text[0])
		cJSON_AddStringToObject(item, name, text);
}

size_t view_route_path(const char *text, uint32_t *out, size_t max)
{
	size_t n = 0;

	while (n < max && *text) {
		char *end;
		unsigned long as = strtoul(text, &end, 10);

		if (end == text)
			break;
		out[n++] = (uint32_t)as;
		text = end + strspn(end, " ");
	}
	return n;
}

size_t view_route_communities(const struct bird_route *r, struct weft_community *out, size_t max)
{
	const char *texts[] = {r->communities, r->large_communities};
	size_t n = 0;

	for (int large = 0; large < 2; large++)
		for (const char *p = strchr(texts[large], '('); p && n < max; p = strchr(p + 1, '(')) {
			struct weft_community c = {.large = large};
			int parts = sscanf(p, "(%u ,%u ,%u)", &c.part[0], &c.part[1], &c.part[2]);

			if (parts == (large ? 3 : 2))
				out[n++] = c;
		}
	return n;
}

/* "(64512,100) (65535,0)" as "64512:100 65535:0" */
static void add_communities(cJSON *item, const struct bird_route *r)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct weft_community list[SEEN_MAX];
	size_t n = view_route_communities(r, list, SEEN_MAX);
	cJSON *to;

	if (n == 0 && !r->ext_communities[0])
		return;
	to = cJSON_AddArrayToObject(item, "communities");
	for (size_t i = 0; i < n; i++) {
		bgp_words_community(&list[i], &text);
		cJSON_AddItemToArray(to, cJSON_CreateString(weft_buf_text(&text)));
		weft_buf_truncate(&text, 0);
	}
	if (r->ext_communities[0])
		cJSON_AddItemToArray(to, cJSON_CreateString(r->ext_communities));
}

static void add_hops(cJSON *item, const struct bird_route *r)
{
	cJSON *list;

	if (!r->n_hops)
		return;
	list = cJSON_AddArrayToObject(item, "hops");
	for (size_t i = 0; i < r->n_hops; i++) {
		char text[sizeof(struct bird_hop) + 8];

		snprintf(text, sizeof(text), "%s%sdev %s", r->hops[i].via, r->hops[i].via[0] ? " " : "",
		         r->hops[i].dev);
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
}

cJSON *view_route_item(const struct bird_route *r)
{
	cJSON *item = cJSON_CreateObject();

	view_prefix(item, "prefix", &r->net);
	add_text(item, "protocol", r->proto);
	add_text(item, "type", r->type);
	add_text(item, "asPath", r->as_path);
	add_text(item, "nextHop", r->next_hop);
	add_text(item, "origin", r->origin);
	add_text(item, "localPref", r->local_pref);
	add_text(item, "med", r->med);
	add_communities(item, r);
	add_hops(item, r);
	return item;
}

void view_route_announced(cJSON *item, const struct bgp_peer *p, const struct bird_route *r)
{
	bool v6 = r->net.addr.family == AF_INET6;
	char path[BIRD_ROUTE_TEXT + 16], text[WEFT_ADDR_STR];

	if (!p->ibgp) {
		snprintf(path, sizeof(path), "%u%s%s", p->local_as, r->as_path[0] ? " " : "", r->as_path);
		cJSON_DeleteItemFromObject(item, "asPath");
		cJSON_AddStringToObject(item, "asPath", path);
		cJSON_DeleteItemFromObject(item, "localPref");
	} else if (!r->local_pref[0]) {
		cJSON_AddStringToObject(item, "localPref", "100");
	}
	if (p->next_hop == WEFT_NEXT_HOP_KEEP && r->next_hop[0])
		return;
	cJSON_DeleteItemFromObject(item, "nextHop");
	cJSON_AddStringToObject(item, "nextHop",
	                        weft_addr_is_set(&p->local) && (p->local.family == AF_INET6) == v6
	                                ? weft_addr_str(&p->local, text)
	                                : "self");
}

void view_route_why(const struct bgp_model *m, const struct bgp_peer *p, const struct bird_route *r,
                    struct weft_buf *why)
{
	struct weft_community communities[SEEN_MAX];
	uint32_t path[PATH_MAX_AS];
	struct bgp_heard heard = {.net = r->net, .as_path = path, .communities = communities};

	heard.n_as_path = view_route_path(r->as_path, path, PATH_MAX_AS);
	heard.n_communities = view_route_communities(r, communities, SEEN_MAX);
	bgp_judge_import(m, p, &heard, why);
}

static bool on_route(void *ctx, const struct bird_route *r)
{
	struct asked *q = ctx;
	weft_auto(weft_buf_free) struct weft_buf why = {0};
	cJSON *item;

	if (q->shown++ >= q->limit || !serve_wanted(q->req))
		return false;
	item = view_route_item(r);
	if (q->step == STEP_FILTERED) {
		cJSON_AddStringToObject(item, "state", "filtered");
		view_route_why(&q->m, q->p, r, &why);
		cJSON_AddStringToObject(item, "reason", weft_buf_text(&why));
	} else if (q->received) {
		cJSON_AddStringToObject(item, "state", r->best ? "best" : "accepted");
	} else {
		cJSON_AddStringToObject(item, "state", "announced");
		view_route_announced(item, q->p, r);
	}
	cJSON_AddItemToArray(q->routes, item);
	return true;
}

/* --- one session after the other --- */

static void note(struct asked *q, const char *text)
{
	char line[BIRD_LINE_MAX + 128];

	snprintf(line, sizeof(line), "%s: %s", q->p->protocol, text);
	cJSON_AddItemToArray(q->notes, cJSON_CreateString(line));
}

static void finish(struct asked *q)
{
	size_t rows = (size_t)cJSON_GetArraySize(q->routes);

	cJSON_AddNumberToObject(q->root, "total", (double)(q->total > rows ? q->total : rows));
	cJSON_AddNumberToObject(q->root, "more", q->total > rows ? (double)(q->total - rows) : 0);
	serve_reply(q->req, q->root);
	bgp_model_free(&q->m);
	free(q);
}

static size_t first_step(const struct asked *q)
{
	return q->received ? STEP_COUNT_FILTERED : STEP_COUNT;
}

static bool is_count(size_t step)
{
	return step == STEP_COUNT || step == STEP_COUNT_FILTERED;
}

static bool on_line(void *ctx, size_t command, const struct bird_line *line)
{
	struct asked *q = ctx;
	unsigned long long n;
	bool more = true;

	command += first_step(q);
	if (command != q->step)
		more = bird_routes_end(&q->reader);
	q->step = command;
	if (line->code >= BIRD_CODE_RUNTIME_ERROR && line->code != CODE_NO_NETWORK) {
		if (!q->failed)
			note(q, line->text);
		q->failed = true;
	} else if (is_count(command)) {
		if (line->code == CODE_ROUTE && sscanf(line->text, "%llu of", &n) == 1)
			q->total += n;
	} else if (more) {
		more = bird_routes_line(&q->reader, line);
	}
	return more;
}

static void ask_next(struct asked *q);

static void on_done(void *ctx, const struct weft_err *err)
{
	struct asked *q = ctx;

	bird_routes_end(&q->reader);
	if (err)
		note(q, err->text);
	if (!err && q->shown < q->limit)
		ask_next(q);
	else
		finish(q);
}

static void ask_next(struct asked *q)
{
	char of[WEFT_PREFIX_STR + 8] = "", what[BGP_PROTOCOL_NAME_MAX + 16], commands[STEPS][256];
	const char *list[STEPS];
	struct bird_query_options o = {.loop = q->a->loop,
	                               .socket = q->a->cfg.bird.socket,
	                               .commands = list + first_step(q),
	                               .n_commands = q->received ? STEPS : 2,
	                               .restricted = true,
	                               .timeout_ms = BIRD_VIEW_MS,
	                               .on_line = on_line,
	                               .on_done = on_done,
	                               .ctx = q};

	if (q->next == q->n_sessions) {
		finish(q);
		return;
	}
	q->p = q->sessions[q->next++];
	if (q->prefix[0])
		snprintf(of, sizeof(of), "%s %s ", strchr(q->prefix, '/') ? "in" : "for", q->prefix);
	snprintf(what, sizeof(what), "%s %s", q->received ? "protocol" : "export", q->p->protocol);
	snprintf(commands[STEP_COUNT], sizeof(commands[0]), "show route %s%s count", of, what);
	snprintf(commands[STEP_ROUTES], sizeof(commands[0]), "show route all %s%s", of, what);
	snprintf(commands[STEP_COUNT_FILTERED], sizeof(commands[0]), "show route filtered %s%s count", of,
	         what);
	snprintf(commands[STEP_FILTERED], sizeof(commands[0]), "show route all filtered %s%s", of, what);
	for (size_t i = 0; i < STEPS; i++)
		list[i] = commands[i];
	q->step = first_step(q);
	q->failed = false;
	memset(&q->reader, 0, sizeof(q->reader));
	q->reader.fn = on_route;
	q->reader.ctx = q;
	bird_query(&o);
}

/* --- the request --- */

static int read_peer(struct asked *q, const cJSON *args, struct weft_err *err)
{
	const cJSON *from = cJSON_GetObjectItemCaseSensitive(args, "received");
	const cJSON *to = cJSON_GetObjectItemCaseSensitive(args, "advertised");
	const char *name = cJSON_GetStringValue(from ? from : to);
	struct weft_err refused = WEFT_ERR_INIT;

	if (from && to)
		return weft_err_set(err, EINVAL, "routes: --received or --advertised, not both");
	if (!name || strlen(name) > WEFT_NAME_MAX)
		return weft_err_set(err, EINVAL,
		                    "routes: args.received or args.advertised must be a peer's name");
	q->received = from;
	strcpy(q->peer, name);
	for (size_t i = 0; i < q->m.n_peers && q->n_sessions < SESSIONS_MAX; i++) {
		const struct bgp_peer *p = &q->m.peers[i];

		if (strcmp(name, p->name) != 0 && strcmp(name, p->protocol) != 0)
			continue;
		if (p->reason[0])
			weft_err_set(&refused, ENOENT, "BGPPeer %.100s has no session: %s", name, p->reason);
		else
			q->sessions[q->n_sessions++] = p;
	}
	if (!q->n_sessions && refused.code)
		return weft_err_set(err, ENOENT, "%s", refused.text);
	return q->n_sessions
	               ? 0
	               : weft_err_set(err, ENOENT, "no BGP peer of this node is called \"%.100s\"", name);
}

static int read_prefix(struct asked *q, const cJSON *args, struct weft_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, "prefix");
	const char *text = cJSON_GetStringValue(item);
	struct weft_prefix p;
	struct weft_addr a;

	if (!item)
		return 0;
	if (text && weft_addr_parse(text, &a, NULL) == 0)
		weft_addr_str(&a, q->prefix);
	else if (text && weft_prefix_parse(text, &p, err) == 0)
		weft_prefix_str(&p, q->prefix);
	else
		return text ? weft_err_wrap(err, "routes: args.prefix")
		            : weft_err_set(err, EINVAL, "routes: args.prefix must be a CIDR or an address");
	return 0;
}

static int read_limit(struct asked *q, const cJSON *args, struct weft_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, "limit");

	q->limit = LIMIT_DEFAULT;
	if (!item)
		return 0;
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1 && item->valuedouble <= LIMIT_MAX))
		return weft_err_set(err, EINVAL, "routes: args.limit must be a number from 1 to %d",
		                    LIMIT_MAX);
	q->limit = (size_t)item->valuedouble;
	return 0;
}

int view_bird_routes(struct agent *a, struct serve_request *req, const cJSON *args, struct weft_err *err)
{
	struct asked *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return weft_err_errno(err, ENOMEM, "asking BIRD");
	q->a = a;
	q->req = req;
	agent_bgp_model(a, &q->m);
	r = read_peer(q, args, err);
	if (r == 0)
		r = read_prefix(q, args, err);
	if (r == 0)
		r = read_limit(q, args, err);
	if (r < 0) {
		bgp_model_free(&q->m);
		free(q);
		return r;
	}
	q->root = cJSON_CreateObject();
	cJSON_AddStringToObject(q->root, "peer", q->peer);
	cJSON_AddStringToObject(q->root, "direction", q->received ? "received" : "advertised");
	q->routes = cJSON_AddArrayToObject(q->root, "routes");
	q->notes = cJSON_AddArrayToObject(q->root, "notes");
	ask_next(q);
	return SERVE_LATER;
}
