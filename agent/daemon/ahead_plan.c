// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is wanted, as sorted lines: routes of blocks, tunnels, and for each Service its addresses, IPVS services and
 * elements of nftables' sets, all by the functions that plan them in earnest; kernel settings that would be written.
 * Not looked at: routes of pods, which no manifest changes; and what waits for the dataplane is taken as done.
 */
#include "agent/daemon/ahead.h"

#include <linux/rtnetlink.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/marks.h"

#include "agent/plan/textdiff.h"

#define SHOWN_MAX 2000 /* lines of the kernel's difference */

/* One of the two states. */
struct picture {
	struct ahead_lines lines;
	struct ahead_announced *announced;
	struct bgp_model model; /* its names and passwords are copies: the objects they belong to may go */
	struct weft_buf bird;
	struct weft_buf config;
};

void ahead_line(struct ahead_lines *l, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		abort();
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 256;
		l->list = must_grow(l->list, l->cap, sizeof(*l->list));
	}
	l->list[l->n++] = text;
}

/* --- lines --- */

struct walk {
	struct agent *a;
	struct ahead_lines *lines;
	struct ahead_announced *announced;
};

static bool block_lines(void *ctx, const struct cluster_block *b)
{
	char text[WEFT_ROUTE_STR];
	struct walk *w = ctx;
	struct routes_plan plan;

	routes_plan_block(w->a->cluster, &w->a->env, &b->cidr, &plan);
	for (size_t i = 0; i < plan.n; i++) {
		if (plan.routes[i].key.table == WEFT_TABLE_ADVERT)
			ahead_announce_block(w->announced, w->a, &b->cidr);
		else
			ahead_line(w->lines, "route %s", weft_route_str(&plan.routes[i], text));
	}
	return false;
}

static void vip_lines(const struct walk *w, const struct services_view *v, const struct svc_plan *p)
{
	char text[WEFT_ADDR_STR];

	for (size_t i = 0; i < p->n_vips; i++) {
		const struct svc_vip *vip = &p->vips[i];

		if (vip->route)
			ahead_line(w->lines, "route local %s dev lo table local: %s",
			           weft_addr_str(&vip->addr, text), v->key);
		ahead_announce_vip(w->announced, w->a, v, vip);
	}
}

static void virtual_lines(struct ahead_lines *l, const struct svc_plan *p)
{
	char key[SVC_KEY_STR], addr[WEFT_ADDR_STR];

	for (size_t i = 0; i < p->n_virtuals; i++) {
		const struct svc_virtual *v = &p->virtuals[i];

		svc_virtual_str(&v->key, key);
		ahead_line(l, "ipvs %s scheduler %s persistence %u", key, v->scheduler, v->persistence_s);
		for (size_t k = v->first; k < v->first + v->n; k++)
			if (!p->dests[k].keep_only)
				ahead_line(l, "ipvs %s -> %s port %u weight %u", key,
				           weft_addr_str(&p->dests[k].addr, addr), p->dests[k].port,
				           p->dests[k].weight);
	}
}

static void element_lines(struct ahead_lines *l, const struct svc_plan *p)
{
	static const char *const sets[] = {"vip",    "masq",   "etpl",   "drop",
	                                   "refuse", "ranged", "source", "hairpin"};
	char addr[WEFT_ADDR_STR], source[WEFT_PREFIX_STR];

	for (size_t i = 0; i < p->n_elements; i++) {
		const struct svc_element *e = &p->elements[i];
		bool from = e->source.addr.family;

		ahead_line(l, "nft set %s%d: %s protocol %u port %u%s%s", sets[e->set],
		           e->addr.family == AF_INET6 ? 6 : 4, weft_addr_str(&e->addr, addr), e->proto,
		           e->port, from ? " from " : "", from ? weft_prefix_str(&e->source, source) : "");
	}
}

static bool service_lines(void *ctx, const struct services_view *v)
{
	struct walk *w = ctx;
	struct svc_plan plan;

	if (!serving_preview(w->a->serving, v->key, &plan))
		return false;
	vip_lines(w, v, &plan);
	virtual_lines(w->lines, &plan);
	element_lines(w->lines, &plan);
	svc_plan_free(&plan);
	return false;
}

static void tunnel_lines(struct agent *a, struct ahead_lines *l)
{
	struct tunnels_plan *t = &a->tunnels_plan;
	char local[WEFT_ADDR_STR];

	tunnels_plan(a->cluster, a->underlay_mtu, t);
	a->env.ipip_ready = t->ipip && weft_addr_is_set(&t->local);
	a->env.sit_ready = t->sit && weft_addr_is_set(&t->local);
	weft_addr_str(&t->local, local);
	if (a->env.ipip_ready)
		ahead_line(l, "device %s local %s mtu %u", WEFT_DEV_IPIP, local, t->mtu);
	if (a->env.sit_ready)
		ahead_line(l, "device %s local %s mtu %u", WEFT_DEV_SIT, local, t->mtu);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* --- kernel settings --- */

struct settings {
	struct ahead_lines had;             /* PATH=VALUE that is wanted already */
	struct ahead_lines *before, *after; /* of those that would be written */
};

static void note_setting(void *ctx, const char *path, const char *value, const char *now)
{
	(void)now;
	ahead_line(ctx, "%s=%s", path, value);
}

static void setting_lines(void *ctx, const char *path, const char *value, const char *now)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct settings *s = ctx;

	weft_buf_printf(&text, "%s=%s", path, value);
	for (size_t i = 0; i < s->had.n; i++)
		if (!strcmp(s->had.list[i], weft_buf_text(&text)))
			return;
	if (!now || !strcmp(now, value))
		return;
	ahead_line(s->before, "sysctl %s = %s", path, now);
	ahead_line(s->after, "sysctl %s = %s", path, value);
}

/* --- a picture --- */

static void own_names(struct bgp_model *m)
{
	for (size_t i = 0; i < m->n_peers; i++) {
		struct bgp_peer *p = &m->peers[i];
		void *copy = p->password ? sodium_malloc(p->password_len) : NULL;

		p->name = must_strdup(p->name);
		if (copy)
			memcpy(copy, p->password, p->password_len);
		p->password = copy;
	}
}

static int take(struct agent *a, struct picture *out, struct weft_err *err)
{
	struct walk w = {.a = a, .lines = &out->lines, .announced = out->announced};
	const struct weft_object *self = cluster_self(a->cluster);

	if (self) {
		a->env.ip4 = self->node.ip4;
		a->env.ip6 = self->node.ip6;
	}
	serving_refresh(a->serving, &a->env.ip4, &a->env.ip6);
	tunnel_lines(a, &out->lines);
	cluster_each_block(a->cluster, block_lines, &w);
	if (a->cfg.services.enabled)
		services_each(a->services, service_lines, &w);
	ahead_announced_end(out->announced, a, &out->lines);
	agent_bgp_model(a, &out->model);
	own_names(&out->model);
	weft_config_dump(&a->cfg, &out->config);
	return bird_apply_preview(a->bird, &out->model, &out->bird, err);
}

/* --- the difference --- */

static void add_line(cJSON *list, const char *text)
{
	if (cJSON_GetArraySize(list) < SHOWN_MAX)
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

static void sort(struct ahead_lines *l)
{
	if (l->n)
		qsort(l->list, l->n, sizeof(*l->list), by_text);
}

static void add_kernel(const struct ahead_lines *before, const struct ahead_lines *after, cJSON *root)
{
	cJSON *kernel = cJSON_AddObjectToObject(root, "kernel");
	cJSON *added = cJSON_AddArrayToObject(kernel, "added"),
	      *removed = cJSON_AddArrayToObject(kernel, "removed");
	size_t i = 0, k = 0, n_added = 0, n_removed = 0;

	while (i < before->n || k < after->n) {
		int order = i == before->n ? 1 : k == after->n ? -1 : strcmp(before->list[i], after->list[k]);

		if (order < 0) {
			add_line(removed, before->list[i++]);
			n_removed++;
		} else if (order > 0) {
			add_line(added, after->list[k++]);
			n_added++;
		} else {
			i++;
			k++;
		}
	}
	cJSON_AddNumberToObject(kernel, "addedTotal", (double)n_added);
	cJSON_AddNumberToObject(kernel, "removedTotal", (double)n_removed);
}

struct sessions {
	cJSON *list;
	size_t changed; /* of those there are now */
};

static void add_session(void *ctx, const struct bgp_peer *peer, enum bgp_change change, const char *field)
{
	static const char *const names[] = {[BGP_SESSION_ADDED] = "added",
	                                    [BGP_SESSION_REMOVED] = "removed",
	                                    [BGP_SESSION_SOFT] = "reconfigured",
	                                    [BGP_SESSION_RESTARTS] = "restarts"};
	struct sessions *s = ctx;
	cJSON *item = cJSON_CreateObject();

	s->changed += change != BGP_SESSION_ADDED;
	cJSON_AddStringToObject(item, "peer", peer->name);
	cJSON_AddStringToObject(item, "protocol", peer->protocol);
	cJSON_AddStringToObject(item, "change", names[change]);
	if (field)
		cJSON_AddStringToObject(item, "field", field);
	cJSON_AddItemToArray(s->list, item);
}

static void add_refused(const struct bgp_model *m, cJSON *list)
{
	char text[WEFT_NAME_MAX + 400];

	for (size_t i = 0; i < m->n_peers; i++) {
		if (!m->peers[i].reason[0])
			continue;
		snprintf(text, sizeof(text), "BGPPeer %s has no session: %s", m->peers[i].name,
		         m->peers[i].reason);
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
	for (size_t i = 0; i < m->n_warnings; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(m->warnings[i]));
}

static void add_diff(cJSON *root, const char *name, struct weft_buf *before, struct weft_buf *after)
{
	weft_auto(weft_buf_free) struct weft_buf diff = {0}, line = {0};
	cJSON *list = cJSON_AddArrayToObject(root, name);

	textdiff(weft_buf_text(before), weft_buf_text(after), &diff);
	for (const char *p = weft_buf_text(&diff); *p; p++) {
		if (*p == '\t') {
			weft_buf_str(&line, "    "); /* a terminal gets no control character */
		} else if (*p != '\n') {
			weft_buf_char(&line, *p);
		} else {
			cJSON_AddItemToArray(list, cJSON_CreateString(weft_buf_text(&line)));
			weft_buf_truncate(&line, 0);
		}
	}
}

static void report(void *ctx, const char *text)
{
	cJSON_AddItemToArray(ctx, cJSON_CreateString(text));
}

static int load_config(struct agent *a, const struct ahead *q, cJSON *warnings, struct weft_err *err)
{
	struct weft_config *cfg = must_alloc(1, sizeof(*cfg));
	char path[PATH_MAX + 16];
	int r;

	snprintf(path, sizeof(path), "%s/.config", q->dir);
	r = weft_config_load(path, cfg, report, warnings, err);
	if (r == 0)
		a->cfg = *cfg;
	free(cfg);
	return r;
}

static size_t live_sessions(const struct bgp_model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_peers; i++)
		n += !m->peers[i].reason[0];
	return n;
}

cJSON *ahead_run(struct agent *a, const struct ahead *q, struct weft_err *err)
{
	cJSON *root = cJSON_CreateObject(), *kept = cJSON_AddArrayToObject(root, "kept");
	cJSON *invalid = cJSON_AddArrayToObject(root, "invalid"),
	      *warnings = cJSON_AddArrayToObject(root, "warnings");
	struct sessions sessions = {.list = cJSON_AddArrayToObject(root, "sessions")};
	struct picture *before = must_alloc(1, sizeof(*before)), *after = must_alloc(1, sizeof(*after));
	struct settings settings = {.before = &before->lines, .after = &after->lines};
	int r;

	before->announced = ahead_announced_new(a);
	after->announced = ahead_announced_new(a);
	sysctl_each(a->sysctl, note_setting, &settings.had);
	r = take(a, before, err);
	if (r == 0)
		r = ahead_apply(a, q, kept, invalid, err);
	if (r == 0 && q->config)
		r = load_config(a, q, warnings, err);
	if (r == 0)
		r = take(a, after, err);
	if (r < 0)
		return NULL; /* the process ends with what it has */
	a->hands_over = agent_handover_ahead(a);
	agent_want_sysctls(a);
	sysctl_each(a->sysctl, setting_lines, &settings);
	sort(&before->lines);
	sort(&after->lines);
	bgp_model_restarts(&before->model, &after->model, add_session, &sessions);
	cJSON_AddNumberToObject(root, "untouched",
	                        (double)(live_sessions(&before->model) - sessions.changed));
	add_diff(root, "bird", &before->bird, &after->bird);
	add_diff(root, "config", &before->config, &after->config);
	add_kernel(&before->lines, &after->lines, root);
	ahead_add_classes(before->announced, after->announced, cJSON_AddArrayToObject(root, "classes"));
	add_refused(&after->model, warnings);
	return root;
}
