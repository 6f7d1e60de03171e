// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The model borrows names from the cluster, which may change while BIRD is asked: they are replaced by copies first
 * (own_names()). What weft itself knows is said before, what BIRD says afterwards.
 */
#include "agent/daemon/explain.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/marks.h"

#include "agent/bird/query.h"
#include "agent/daemon/views.h"
#include "agent/daemon/views_routes.h"
#include "agent/kernel/lookup.h"

#define QUESTIONS_MAX 256

enum about { ABOUT_ADVERT, ABOUT_EXPORT, ABOUT_OFFERS, ABOUT_FILTERED };

struct question {
	enum about about;
	size_t target;
	cJSON *peer; /* ABOUT_EXPORT: its item */
	char *command;
	bool answered, failed;
};

struct explain {
	struct agent *a;
	struct serve_request *req;
	char *text;
	struct explain_targets targets;
	struct question questions[QUESTIONS_MAX];
	size_t n;
	size_t at; /* whose reply is read */
	struct bird_routes reader;
	bool bird; /* it was there */
	struct bgp_model m;
	char **names; /* of its peers */
};

static void own_names(struct explain *x)
{
	x->names = must_alloc(x->m.n_peers + 1, sizeof(*x->names));
	for (size_t i = 0; i < x->m.n_peers; i++) {
		x->m.peers[i].name = x->names[i] = must_strdup(x->m.peers[i].name);
		x->m.peers[i].password = NULL;
	}
}

static void release(struct explain *x)
{
	for (size_t i = 0; x->names && i < x->m.n_peers; i++)
		free(x->names[i]);
	free(x->names);
	bgp_model_free(&x->m);
	for (size_t i = 0; i < x->n; i++)
		free(x->questions[i].command);
	free(x->text);
	free(x);
}

/* --- asking --- */

static const char *text_of(const cJSON *item, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(item, name));

	return text ? text : "";
}

static bool is_set(const cJSON *item, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItem(item, name));
}

static void put_question(struct explain *x, enum about about, size_t target, cJSON *peer, const char *command)
{
	struct question *q = &x->questions[x->n];

	if (x->n == QUESTIONS_MAX)
		return;
	*q = (struct question){.about = about, .target = target, .peer = peer, .command = strdup(command)};
	x->n += q->command != NULL;
}

static const char *session_text(const struct bird_proto *bird, char *out, size_t size)
{
	if (!bird)
		snprintf(out, size, "BIRD does not have it");
	else
		snprintf(out, size, "session is %s%s%s", bird->bgp_state[0] ? bird->bgp_state : bird->state,
		         bird->last_error[0] ? ": " : "", bird->last_error);
	return out;
}

/* What the model means to do, for the first of the target's routes that the peer is to get. */
static bool intended(const struct explain *x, const struct explain_target *t, const struct bgp_peer *p,
                     struct weft_prefix *prefix, struct weft_buf *why)
{
	struct explain_route routes[EXPLAIN_ROUTES];
	size_t n = explain_routes(x->a, &t->prefix, routes);

	*prefix = t->prefix;
	if (!n)
		weft_buf_str(why, "there is nothing to announce");
	for (size_t i = 0; i < n; i++) {
		weft_buf_truncate(why, 0);
		*prefix = routes[i].prefix;
		if (bgp_judge_export(p, prefix, routes[i].metric, why))
			return true;
	}
	return false;
}

static void add_peer(struct explain *x, size_t target, const struct bgp_peer *p,
                     const struct bird_proto *bird, cJSON *list)
{
	const struct explain_target *t = &x->targets.list[target];
	weft_auto(weft_buf_free) struct weft_buf why = {0};
	char command[256], session[640], text[WEFT_PREFIX_STR];
	cJSON *item = cJSON_CreateObject();
	struct weft_prefix prefix;
	bool up = bird && bird_proto_established(bird);

	cJSON_AddItemToArray(list, item);
	cJSON_AddStringToObject(item, "peer", p->name);
	if (p->reason[0]) {
		cJSON_AddBoolToObject(item, "intended", false);
		cJSON_AddStringToObject(item, "why", p->reason);
		cJSON_AddBoolToObject(item, "announced", false);
		return;
	}
	cJSON_AddStringToObject(item, "protocol", p->protocol);
	cJSON_AddBoolToObject(item, "intended", intended(x, t, p, &prefix, &why));
	cJSON_AddStringToObject(item, "filter", weft_buf_text(&why));
	view_prefix(item, "prefix", &prefix);
	cJSON_AddStringToObject(item, "session", session_text(bird, session, sizeof(session)));
	cJSON_AddBoolToObject(item, "up", up);
	cJSON_AddBoolToObject(item, "announced", false);
	if (!up)
		return;
	snprintf(command, sizeof(command), "show route all %s export %s", weft_prefix_str(&prefix, text),
	         p->protocol);
	put_question(x, ABOUT_EXPORT, target, item, command);
}

static void ask_own(struct explain *x, size_t target, const struct bird_protos *protos)
{
	struct explain_target *t = &x->targets.list[target];
	cJSON *list = cJSON_AddArrayToObject(t->item, "peers");
	struct explain_route routes[EXPLAIN_ROUTES];
	size_t n = explain_routes(x->a, &t->prefix, routes);
	char command[256], text[WEFT_PREFIX_STR];

	for (size_t i = 0; x->bird && i < n; i++) {
		snprintf(command, sizeof(command), "show route all table adv%d %s",
		         t->prefix.addr.family == AF_INET6 ? 6 : 4, weft_prefix_str(&routes[i].prefix, text));
		put_question(x, ABOUT_ADVERT, target, NULL, command);
	}
	for (size_t i = 0; i < x->m.n_peers; i++) {
		const struct bgp_peer *p = &x->m.peers[i];

		add_peer(x, target, p, x->bird ? bird_protos_find(protos, p->protocol) : NULL, list);
	}
}

static void ask_learnt(struct explain *x, size_t target)
{
	struct explain_target *t = &x->targets.list[target];
	bool host = t->prefix.len == weft_addr_bits(t->prefix.addr.family),
	     v6 = t->prefix.addr.family == AF_INET6;
	char command[256], text[WEFT_PREFIX_STR];

	cJSON_AddArrayToObject(t->item, "offers");
	if (!x->bird)
		return;
	weft_prefix_str(&t->prefix, text);
	snprintf(command, sizeof(command), "show route all %s%s table master%d", host ? "for " : "", text,
	         v6 ? 6 : 4);
	put_question(x, ABOUT_OFFERS, target, NULL, command);
	snprintf(command, sizeof(command), "show route all filtered %s table master%d", text, v6 ? 6 : 4);
	put_question(x, ABOUT_FILTERED, target, NULL, command);
}

/* --- reading --- */

static const struct bgp_peer *peer_of(const struct bgp_model *m, const char *protocol)
{
	for (size_t i = 0; i < m->n_peers; i++)
		if (!strcmp(m->peers[i].protocol, protocol))
			return &m->peers[i];
	return NULL;
}

static void add_offer(struct explain *x, const struct question *q, const struct bird_route *r)
{
	const struct bgp_peer *p = peer_of(&x->m, r->proto);
	weft_auto(weft_buf_free) struct weft_buf why = {0};
	cJSON *item;

	if (strcmp(r->source, "BGP") != 0)
		return;
	item = view_route_item(r);
	cJSON_AddStringToObject(item, "peer", p ? p->name : r->proto);
	if (q->about == ABOUT_FILTERED && p)
		view_route_why(&x->m, p, r, &why);
	cJSON_AddStringToObject(item, "state",
	                        q->about == ABOUT_FILTERED ? "filtered"
	                        : r->best                  ? "best"
	                                                   : "accepted");
	if (why.len)
		cJSON_AddStringToObject(item, "reason", weft_buf_text(&why));
	cJSON_AddItemToArray(cJSON_GetObjectItem(x->targets.list[q->target].item, "offers"), item);
}

static bool on_route(void *ctx, const struct bird_route *r)
{
	struct explain *x = ctx;
	struct question *q = &x->questions[x->at];
	const struct bgp_peer *p = peer_of(&x->m, text_of(q->peer, "protocol"));
	cJSON *gets;

	if (q->about == ABOUT_OFFERS || q->about == ABOUT_FILTERED) {
		add_offer(x, q, r);
	} else if (q->about == ABOUT_EXPORT && !q->answered) {
		gets = view_route_item(r);
		if (p)
			view_route_announced(gets, p, r);
		cJSON_AddItemToObject(q->peer, "gets", gets);
	}
	q->answered = true;
	return true;
}

static bool on_line(void *ctx, size_t command, const struct bird_line *line)
{
	struct explain *x = ctx;

	if (command != x->at) {
		bird_routes_end(&x->reader);
		x->at = command;
	}
	if (line->code < BIRD_CODE_RUNTIME_ERROR)
		return bird_routes_line(&x->reader, line);
	x->questions[command].failed = line->code != 8001;
	return true;
}

/* --- the end --- */

static void say_advert(struct explain *x, const struct question *q)
{
	struct explain_target *t = &x->targets.list[q->target];
	const char *prefix = strrchr(q->command, ' ') + 1;

	explain_step(t->steps, "bird", "table adv%d %s %s%s", t->prefix.addr.family == AF_INET6 ? 6 : 4,
	             q->answered ? "has" : "does not have", prefix,
	             q->answered ? ""
	                         : ": BIRD has not read table 179 again yet (it does so every 10 s), or its "
	                           "configuration is old (see `weftctl status`)");
}

static void say_peer(struct explain_target *t, const cJSON *peer)
{
	const cJSON *gets = cJSON_GetObjectItem(peer, "gets");
	bool announced = is_set(peer, "announced"), meant = is_set(peer, "intended");
	weft_auto(weft_buf_free) struct weft_buf communities = {0};
	const cJSON *c;

	cJSON_ArrayForEach (c, cJSON_GetObjectItem(gets, "communities"))
		weft_buf_printf(&communities, " %s", cJSON_GetStringValue(c));
	if (announced)
		explain_step(t->steps, "peer", "%s: announced %s%s%s, path %s, next hop %s%s%s",
		             text_of(peer, "peer"), text_of(peer, "prefix"),
		             meant ? " by " : ", although weft means it not to be: ", text_of(peer, "filter"),
		             text_of(gets, "asPath"), text_of(gets, "nextHop"),
		             communities.len ? ", communities" : "", weft_buf_text(&communities));
	else if (meant)
		explain_step(t->steps, "peer", "%s: NOT announced, %s", text_of(peer, "peer"),
		             is_set(peer, "up") ? "BIRD's filter refuses it: is its configuration old?"
		                                : text_of(peer, "session"));
	else
		explain_step(t->steps, "peer", "%s: not announced, as it should be: %s",
		             text_of(peer, "peer"),
		             text_of(peer, text_of(peer, "why")[0] ? "why" : "filter"));
}

static void verdict(struct explain_target *t, const char *word, const char *why)
{
	cJSON_AddStringToObject(t->item, "verdict", word);
	cJSON_AddStringToObject(t->item, "why", why);
}

static void end_own(struct explain *x, struct explain_target *t)
{
	const cJSON *peer;
	size_t meant = 0, told = 0, good = 0;
	char why[320];

	cJSON_ArrayForEach (peer, cJSON_GetObjectItem(t->item, "peers")) {
		say_peer(t, peer);
		meant += is_set(peer, "intended");
		told += is_set(peer, "announced");
		good += is_set(peer, "intended") && is_set(peer, "announced");
	}
	if (t->why[0] && !told)
		verdict(t, "not announced", t->why);
	else if (!x->bird)
		verdict(t, "unknown", "BIRD does not answer (see `weftctl status`)");
	else if (!meant && !told)
		verdict(t, "not announced", "no peer of this node is to get it");
	else if (good < meant) {
		snprintf(why, sizeof(why), "%zu of %zu peers that should have it", good, meant);
		verdict(t, good ? "partly announced" : "not announced", why);
	} else {
		snprintf(why, sizeof(why), "to %zu peer%s", told, told == 1 ? "" : "s");
		verdict(t, "announced", why);
	}
}

struct way {
	const struct weft_prefix *prefix;
	cJSON *steps;
	size_t n;
};

static bool main_route(void *ctx, const struct fib_view *v)
{
	char text[WEFT_ROUTE_STR];
	struct way *w = ctx;

	if (v->route->key.table != RT_TABLE_MAIN || v->route->key.dst.len < 8 ||
	    !weft_prefix_covers(&v->route->key.dst, w->prefix))
		return true;
	explain_step(w->steps, "beside", "%s%s: %s", weft_route_str(v->route, text),
	             v->route->key.metric == WEFT_METRIC_FALLBACK ? " (the fallback)" : "",
	             fib_state_name(v->state));
	return ++w->n < EXPLAIN_ROUTES;
}

/* The kernel's own answer. True: the fabric's route is in use. */
static bool say_kernel(struct explain *x, struct explain_target *t)
{
	struct weft_addr probe = t->prefix.addr;
	struct way beside = {.prefix = &t->prefix, .steps = t->steps};
	struct weft_err err = WEFT_ERR_INIT;
	char text[WEFT_ROUTE_STR] = "";
	struct route_info info = {0};
	bool bird;

	if (t->prefix.len < weft_addr_bits(probe.family))
		probe = weft_addr_add(&probe, 1);
	if (lookup_route(x->a->nl, &probe, &info, &err) < 0) {
		explain_step(t->steps, "kernel", "no route: %s", err.text);
		bird = false;
	} else {
		bird = info.route.protocol == RTPROT_BIRD;
		explain_step(t->steps, "kernel", "in use: %s%s", weft_route_str(&info.route, text),
		             bird ? " (of BIRD)" : "");
	}
	fib_foreach(x->a->fib, main_route, &beside);
	return bird;
}

static void end_learnt(struct explain *x, struct explain_target *t)
{
	const cJSON *offers = cJSON_GetObjectItem(t->item, "offers"), *o;
	size_t accepted = 0;
	bool used;

	cJSON_ArrayForEach (o, offers) {
		bool filtered = !strcmp(text_of(o, "state"), "filtered");

		accepted += !filtered;
		explain_step(t->steps, "offer", "%s offers %s: %s, path %s, next hop %s%s%s",
		             text_of(o, "peer"), text_of(o, "prefix"), text_of(o, "state"),
		             text_of(o, "asPath"), text_of(o, "nextHop"), filtered ? ": " : "",
		             text_of(o, "reason"));
	}
	if (x->bird && !cJSON_GetArraySize(offers))
		explain_step(t->steps, "offer",
		             "no peer offers it, or it was refused by an import filter whose routes "
		             "BIRD does not keep");
	used = say_kernel(x, t);
	if (!x->bird)
		verdict(t, "unknown", "BIRD does not answer (see `weftctl status`)");
	else if (accepted && used)
		verdict(t, "learnt", "a peer's route is in use");
	else if (accepted)
		verdict(t, "not used", "peers offer it, but another route is in use");
	else
		verdict(t, "not learnt", "no route of a peer was accepted");
}

static const char *result_of(const struct explain *x)
{
	size_t good = 0, bad = 0;

	for (size_t i = 0; i < x->targets.n; i++) {
		const struct explain_target *t = &x->targets.list[i];
		const char *word = text_of(t->item, "verdict");

		if (!strcmp(word, "unknown"))
			return "unknown";
		if (!strcmp(word, "announced") || !strcmp(word, "learnt"))
			good++;
		else
			bad += !t->optional;
	}
	return good && !bad ? "good" : "bad";
}

static void answer(struct explain *x)
{
	cJSON *root = cJSON_CreateObject(), *list;

	cJSON_AddStringToObject(root, "what", x->text);
	cJSON_AddStringToObject(root, "result", result_of(x));
	list = cJSON_AddArrayToObject(root, "targets");
	for (size_t i = 0; i < x->targets.n; i++)
		cJSON_AddItemToArray(list, x->targets.list[i].item);
	serve_reply(x->req, root);
	release(x);
}

static void finish(struct explain *x)
{
	for (size_t i = 0; i < x->n; i++) {
		struct question *q = &x->questions[i];

		if (q->about == ABOUT_ADVERT)
			say_advert(x, q);
		else if (q->about == ABOUT_EXPORT)
			cJSON_ReplaceItemInObject(q->peer, "announced", cJSON_CreateBool(q->answered));
	}
	for (size_t i = 0; i < x->targets.n; i++) {
		if (x->targets.list[i].own)
			end_own(x, &x->targets.list[i]);
		else
			end_learnt(x, &x->targets.list[i]);
	}
	answer(x);
}

static void on_done(void *ctx, const struct weft_err *err)
{
	struct explain *x = ctx;

	bird_routes_end(&x->reader);
	x->bird = x->bird && !err;
	finish(x);
}

static void ask_bird(struct explain *x)
{
	const char *commands[QUESTIONS_MAX];
	struct bird_query_options o = {.loop = x->a->loop,
	                               .socket = x->a->cfg.bird.socket,
	                               .commands = commands,
	                               .n_commands = x->n,
	                               .restricted = true,
	                               .timeout_ms = BIRD_VIEW_MS,
	                               .on_line = on_line,
	                               .on_done = on_done,
	                               .ctx = x};

	for (size_t i = 0; i < x->n; i++)
		commands[i] = x->questions[i].command;
	x->reader.fn = on_route;
	x->reader.ctx = x;
	if (x->n)
		bird_query(&o);
	else
		finish(x);
}

static void on_protocols(void *ctx, const struct bird_reply *reply, const struct weft_err *unused)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_protos protos = {0};
	struct explain *x = ctx;

	(void)unused; /* that BIRD is away is part of the answer */
	x->bird = reply && bird_show_protocols(reply, &protos, NULL) == 0;
	agent_bgp_model(x->a, &x->m);
	if (explain_targets(x->a, &x->m, x->text, &x->targets, &err) < 0) {
		serve_fail(x->req, &err);
		release(x);
	} else {
		own_names(x);
		for (size_t i = 0; i < x->targets.n; i++) {
			if (x->targets.list[i].own)
				ask_own(x, i, &protos);
			else
				ask_learnt(x, i);
		}
		ask_bird(x);
	}
	bird_protos_free(&protos);
}

int view_bgp(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(args, "args");
	const char *what = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(inner, "explain"));
	struct explain *x;

	(void)result;
	if (!what || strlen(what) >= WEFT_KEY_MAX)
		return weft_err_set(err, EINVAL,
		                    "bgp: args.explain must be a CIDR, an address or NAMESPACE/NAME");
	x = calloc(1, sizeof(*x));
	if (!x)
		return weft_err_errno(err, ENOMEM, "bgp explain");
	x->a = ctx;
	x->req = req;
	x->text = must_strdup(what);
	bird_apply_ask(x->a->bird, "show protocols all", on_protocols, x);
	return SERVE_LATER;
}
