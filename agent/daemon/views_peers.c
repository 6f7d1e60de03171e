// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl peers [NAME]`: the peers of the model beside what BIRD says of them: `show protocols all`, then `show bfd
 * sessions`. A peer that BIRD does not have, or all of them when BIRD is away, is shown with what weft knows.
 */
#include "agent/daemon/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weft/cleanup.h"

#include "agent/bird/show_detail.h"
#include "agent/plan/bgp_words.h"

struct asked {
	struct agent *a;
	struct serve_request *req;
	char *name;    /* NULL = the list */
	cJSON *answer; /* an array, of all peers that are asked for */
	struct weft_err err;
};

/* One peer while it is shown. */
struct shown {
	const struct bgp_model *m;
	const struct bgp_peer *p;
	const struct bird_proto *bird; /* NULL = BIRD does not have it */
	const struct bird_reply *reply;
	bool page;
};

/* --- words --- */

static void add_words(cJSON *list, struct weft_buf *words)
{
	cJSON_AddItemToArray(list, cJSON_CreateString(weft_buf_text(words)));
	weft_buf_truncate(words, 0);
}

static void add_rules(cJSON *item, const char *name, const struct bgp_rule *v, size_t n, bool import)
{
	weft_auto(weft_buf_free) struct weft_buf words = {0};
	cJSON *list = cJSON_AddArrayToObject(item, name);

	for (size_t i = 0; i < n; i++) {
		bgp_words_rule(&v[i], import, &words);
		add_words(list, &words);
	}
}

static void add_exports(cJSON *item, const struct bgp_peer *p)
{
	weft_auto(weft_buf_free) struct weft_buf words = {0};
	cJSON *list = cJSON_AddArrayToObject(item, "announced");

	for (size_t i = 0; i < p->n_exports; i++) {
		const struct bgp_export *e = &p->exports[i];
		bool withdrawn = p->drain == BGP_DRAIN_WITHDRAWN && e->type != WEFT_ADVERT_PODBLOCK;
		cJSON *class = cJSON_CreateObject();

		cJSON_AddNumberToObject(class, "metric", e->metric);
		cJSON_AddStringToObject(class, "type", bgp_words_type(e->type));
		if (e->comment && e->comment[0])
			cJSON_AddStringToObject(class, "advertisements", e->comment);
		bgp_words_export(p, e, &words);
		cJSON_AddStringToObject(class, "how",
		                        withdrawn ? "withdrawn: drained" : weft_buf_text(&words));
		weft_buf_truncate(&words, 0);
		cJSON_AddItemToArray(list, class);
	}
}

static void add_policy(cJSON *item, const struct shown *s)
{
	bool mesh = s->p->origin != BGP_PEER_OBJECT;
	const struct bgp_range *v = mesh ? s->m->advertise : s->m->import;
	size_t n = mesh ? s->m->n_advertise : s->m->n_import;
	weft_auto(weft_buf_free) struct weft_buf words = {0};
	cJSON *list = cJSON_AddArrayToObject(item, "taken");

	for (size_t i = 0; i < n; i++) {
		bgp_words_range(&v[i], &words);
		add_words(list, &words);
	}
	add_rules(item, "importFilter", s->p->import, s->p->n_import, true);
	add_rules(item, "exportFilter", s->p->export, s->p->n_export, false);
	add_exports(item, s->p);
}

/* --- a page's parts --- */

static void add_capability(void *ctx, const char *text)
{
	cJSON_AddItemToArray(ctx, cJSON_CreateString(text));
}

static void add_session(cJSON *item, const struct shown *s)
{
	const struct bgp_peer *p = s->p;
	cJSON *to = cJSON_AddObjectToObject(item, "session");

	cJSON_AddStringToObject(to, "type", p->ibgp ? "internal" : "external");
	cJSON_AddNumberToObject(to, "localAS", p->local_as);
	view_addr(to, "localAddress", &p->local);
	cJSON_AddNumberToObject(to, "port", p->port);
	cJSON_AddNumberToObject(to, "multihop", p->multihop);
	cJSON_AddBoolToObject(to, "ttlSecurity", p->ttl_security);
	cJSON_AddBoolToObject(to, "passive", p->passive);
	cJSON_AddBoolToObject(to, "password", p->password != NULL);
	cJSON_AddStringToObject(to, "nextHop", p->next_hop == WEFT_NEXT_HOP_KEEP ? "keep" : "self");
	cJSON_AddBoolToObject(to, "reflectorClient", p->reflector_client);
	cJSON_AddNumberToObject(to, "allowOwnAS", p->allow_own_as);
	if (s->bird && s->bird->neighbor_id[0])
		cJSON_AddStringToObject(to, "routerID", s->bird->neighbor_id);
	if (s->bird && s->bird->source_address[0])
		cJSON_AddStringToObject(to, "source", s->bird->source_address);
}

static void add_timers(cJSON *item, const struct shown *s)
{
	cJSON *to = cJSON_AddObjectToObject(item, "timers");

	cJSON_AddNumberToObject(to, "hold", s->p->hold_s);
	cJSON_AddNumberToObject(to, "keepalive", s->p->keepalive_s);
	cJSON_AddNumberToObject(to, "connectRetry", s->p->connect_retry_s);
	if (!s->bird || !bird_proto_established(s->bird))
		return;
	cJSON_AddNumberToObject(to, "holdNegotiated", s->bird->hold_time);
	cJSON_AddNumberToObject(to, "keepaliveNegotiated", s->bird->keepalive_time);
	cJSON_AddNumberToObject(to, "holdLeftMs", s->bird->hold_left);
}

static void add_restart(cJSON *item, const struct shown *s)
{
	cJSON *to = cJSON_AddObjectToObject(item, "gracefulRestart");
	enum weft_gr_mode mode = s->p->restart;

	cJSON_AddStringToObject(to, "mode",
	                        mode == WEFT_GR_ON      ? "on"
	                        : mode == WEFT_GR_AWARE ? "aware"
	                                                : "off");
	if (mode == WEFT_GR_ON)
		cJSON_AddNumberToObject(to, "seconds", s->p->restart_s);
	if (s->p->long_lived_s)
		cJSON_AddNumberToObject(to, "longLivedSeconds", s->p->long_lived_s);
	cJSON_AddBoolToObject(to, "neighborRestarts",
	                      s->reply && bird_neighbor_restarts(s->reply, s->p->protocol));
}

static void add_page(cJSON *item, const struct shown *s)
{
	static const char *const actions[] = {[WEFT_LIMIT_BLOCK] = "block",
	                                      [WEFT_LIMIT_WARN] = "warn",
	                                      [WEFT_LIMIT_RESTART] = "restart",
	                                      [WEFT_LIMIT_DISABLE] = "disable"};
	cJSON *to;

	if (s->p->reason[0])
		return;
	add_session(item, s);
	add_timers(item, s);
	add_restart(item, s);
	to = cJSON_AddObjectToObject(item, "maxPrefixes");
	cJSON_AddNumberToObject(to, "limit", s->p->max_prefixes);
	cJSON_AddStringToObject(to, "action", actions[s->p->max_prefixes_action]);
	cJSON_AddStringToObject(item, "drain", bgp_words_drain(s->p->drain));
	to = cJSON_AddArrayToObject(item, "capabilities");
	if (s->reply && s->bird)
		bird_each_capability(s->reply, s->p->protocol, add_capability, to);
	add_policy(item, s);
}

/* --- the list --- */

/* BIRD's clock is this machine's; what is no time, or lies in the future, has no age. */
static void add_age(cJSON *item, const char *since)
{
	struct tm tm = {.tm_isdst = -1};
	const char *end = strptime(since, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t then = end && !*end ? mktime(&tm) : -1, now = time(NULL);

	if (then > 0 && then <= now)
		cJSON_AddNumberToObject(item, "sinceSeconds", (double)(now - then));
}

static cJSON *family(const struct bird_channel *c)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "family", strcmp(c->name, "ipv6") ? "IPv4" : "IPv6");
	cJSON_AddStringToObject(item, "state", c->state);
	if (!c->has_routes)
		return item;
	cJSON_AddNumberToObject(item, "accepted", c->imported);
	cJSON_AddNumberToObject(item, "preferred", c->preferred);
	cJSON_AddNumberToObject(item, "announced", c->exported);
	if (c->has_filtered) {
		cJSON_AddNumberToObject(item, "filtered", c->filtered);
		cJSON_AddNumberToObject(item, "received", (double)c->imported + c->filtered);
	}
	if (c->import_limit_hit)
		cJSON_AddTrueToObject(item, "limitHit");
	return item;
}

static void add_bird(cJSON *item, const struct bird_proto *bird)
{
	uint64_t imported = 0, exported = 0;
	cJSON *list;

	cJSON_AddStringToObject(item, "since", bird->since);
	add_age(item, bird->since);
	list = cJSON_AddArrayToObject(item, "families");
	for (size_t i = 0; i < bird->channel_count; i++) {
		imported += bird->channels[i].imported;
		exported += bird->channels[i].exported;
		cJSON_AddItemToArray(list, family(&bird->channels[i]));
	}
	cJSON_AddNumberToObject(item, "imported", (double)imported);
	cJSON_AddNumberToObject(item, "exported", (double)exported);
	if (bird->last_error[0])
		cJSON_AddStringToObject(item, "lastError", bird->last_error);
	if (bird->message[0])
		cJSON_AddStringToObject(item, "message", bird->message);
}

static cJSON *peer_item(const struct shown *s)
{
	const struct bgp_peer *p = s->p;
	cJSON *item = cJSON_CreateObject(), *bfd;

	cJSON_AddStringToObject(item, "name", p->name);
	view_addr(item, "address", &p->address);
	if (p->interface[0])
		cJSON_AddStringToObject(item, "interface", p->interface);
	if (p->as_number || s->bird)
		cJSON_AddNumberToObject(item, "asNumber", p->as_number ? p->as_number : s->bird->neighbor_as);
	if (p->description[0])
		cJSON_AddStringToObject(item, "description", p->description);
	cJSON_AddStringToObject(item, "state",
	                        !s->bird                ? "absent"
	                        : s->bird->bgp_state[0] ? s->bird->bgp_state
	                                                : s->bird->state);
	if (p->reason[0]) {
		cJSON_AddStringToObject(item, "reason", p->reason);
		return item;
	}
	cJSON_AddStringToObject(item, "protocol", p->protocol);
	bfd = cJSON_AddObjectToObject(item, "bfd");
	cJSON_AddStringToObject(bfd, "state", p->bfd ? "absent" : "off");
	if (p->bfd) {
		cJSON_AddNumberToObject(bfd, "rxMs", p->bfd_rx_ms);
		cJSON_AddNumberToObject(bfd, "txMs", p->bfd_tx_ms);
		cJSON_AddNumberToObject(bfd, "multiplier", p->bfd_multiplier);
	}
	if (p->drain != BGP_DRAIN_NONE)
		cJSON_AddStringToObject(item, "draining", bgp_words_drain(p->drain));
	if (s->bird)
		add_bird(item, s->bird);
	if (s->page)
		add_page(item, s);
	return item;
}

/* --- asking --- */

static bool is_asked(const struct asked *q, const struct bgp_peer *p)
{
	return !q->name || !strcmp(q->name, p->name) || !strcmp(q->name, p->protocol);
}

static void finish(struct asked *q)
{
	cJSON *root;

	if (q->name && !cJSON_GetArraySize(q->answer)) {
		weft_err_set(&q->err, ENOENT, "no BGP peer of this node is called \"%.100s\"", q->name);
		serve_fail(q->req, &q->err);
		cJSON_Delete(q->answer);
	} else if (q->name) {
		root = cJSON_CreateObject();
		cJSON_AddItemToObject(root, "peers", q->answer);
		serve_reply(q->req, root);
	} else {
		serve_reply(q->req, q->answer);
	}
	free(q->name);
	free(q);
}

static void add_bfd(cJSON *item, const struct bird_bfd *sessions)
{
	const char *address = cJSON_GetStringValue(cJSON_GetObjectItem(item, "address"));
	const char *dev = cJSON_GetStringValue(cJSON_GetObjectItem(item, "interface"));
	cJSON *bfd = cJSON_GetObjectItem(item, "bfd");
	char text[WEFT_ADDR_STR];

	for (size_t i = 0; bfd && address && i < sessions->count; i++) {
		const struct bird_bfd_session *s = &sessions->list[i];

		if (strcmp(weft_addr_str(&s->addr, text), address) != 0 ||
		    (dev && strcmp(dev, s->interface) != 0))
			continue;
		cJSON_ReplaceItemInObject(bfd, "state", cJSON_CreateString(s->state));
		cJSON_AddStringToObject(bfd, "since", s->since);
		cJSON_AddNumberToObject(bfd, "intervalMs", s->interval);
		cJSON_AddNumberToObject(bfd, "timeoutMs", s->timeout);
		return;
	}
}

static void on_bfd(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct asked *q = ctx;
	struct bird_bfd sessions = {0};
	cJSON *item;

	(void)err; /* then they are not there */
	if (reply && bird_show_bfd(reply, &sessions, NULL) == 0)
		cJSON_ArrayForEach (item, q->answer)
			add_bfd(item, &sessions);
	bird_bfd_free(&sessions);
	finish(q);
}

static void on_protocols(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct bird_protos protos = {0};
	struct asked *q = ctx;
	struct bgp_model m;

	(void)err; /* the peers are absent then, and `weftctl status` says why */
	if (reply && bird_show_protocols(reply, &protos, NULL) < 0)
		reply = NULL;
	agent_bgp_model(q->a, &m);
	for (size_t i = 0; i < m.n_peers; i++) {
		struct shown s = {.m = &m, .p = &m.peers[i], .reply = reply, .page = q->name != NULL};

		if (!is_asked(q, s.p))
			continue;
		if (reply && !s.p->reason[0])
			s.bird = bird_protos_find(&protos, s.p->protocol);
		cJSON_AddItemToArray(q->answer, peer_item(&s));
	}
	bgp_model_free(&m);
	bird_protos_free(&protos);
	bird_apply_ask(q->a->bird, "show bfd sessions", on_bfd, q);
}

int view_peers(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(args, "args");
	const cJSON *peer = cJSON_GetObjectItemCaseSensitive(inner, "peer");
	struct asked *q;

	(void)result;
	if (peer && !cJSON_IsString(peer))
		return weft_err_set(err, EINVAL, "peers: args.peer must be a name");
	q = calloc(1, sizeof(*q));
	if (!q)
		return weft_err_errno(err, ENOMEM, "asking BIRD");
	*q = (struct asked){.a = ctx,
	                    .req = req,
	                    .name = peer ? strdup(peer->valuestring) : NULL,
	                    .answer = cJSON_CreateArray()};
	bird_apply_ask(q->a->bird, "show protocols all", on_protocols, q);
	return SERVE_LATER;
}
