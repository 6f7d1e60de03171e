// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A folder says nothing of a kind that it does not have: many hold only what people write (pools, peers), and Nodes,
 * Services and blocks come from elsewhere. So a kind of which the folder has an object is as the folder has it, every
 * other one stays, unless the folder is said to be complete. Blocks and statuses are weft's own: they stay even then.
 */
#include "agent/daemon/ahead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"

#include "agent/source/oneshot.h"

struct key {
	char *text;
	bool present; /* in the folder */
};

struct keys {
	struct key *list;
	size_t n;
};

struct applied {
	struct agent *a;
	const struct ahead *q;
	cJSON *invalid;
	struct keys old[WEFT_KIND_COUNT]; /* what there was */
	bool has[WEFT_KIND_COUNT];        /* the folder has some */
};

static void add_key(void *ctx, const char *text)
{
	struct keys *k = ctx;

	k->list = must_grow(k->list, k->n + 1, sizeof(*k->list));
	k->list[k->n++] = (struct key){.text = must_strdup(text)};
}

static bool add_object(void *ctx, const struct weft_object *obj)
{
	char key[WEFT_KEY_MAX];

	add_key(ctx, weft_object_key(obj, key));
	return false;
}

static bool of_services(enum weft_kind kind)
{
	return kind == WEFT_SERVICE || kind == WEFT_ENDPOINTSLICE || kind == WEFT_SERVICESTATUS;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct key *)a)->text, ((const struct key *)b)->text);
}

static void note_present(struct applied *p, enum weft_kind kind, const char *key)
{
	struct key sought = {.text = (char *)key}, *found;

	p->has[kind] = true;
	if (!p->old[kind].n)
		return;
	found = bsearch(&sought, p->old[kind].list, p->old[kind].n, sizeof(sought), by_text);
	if (found)
		found->present = true;
}

static void hand_on(struct applied *p, const struct weft_event *ev)
{
	if (of_services(ev->kind))
		services_handle(p->a->services, ev);
	else
		cluster_handle(p->a->cluster, ev);
}

/* Pools and blocks of ipam.mode node are made of podCIDRs: those of the folder would not be read either. */
static bool is_read(const struct applied *p, const struct weft_event *ev)
{
	if (p->a->cfg.ipam.mode != WEFT_IPAM_NODE)
		return true;
	return ev->kind != WEFT_IPBLOCK && !(ev->kind == WEFT_IPPOOL && ev->obj->ippool.use == WEFT_USE_PODS);
}

static void add_invalid(struct applied *p, const struct weft_event *ev)
{
	const char *where = ev->where;
	char text[PATH_MAX + 64];
	cJSON *item;

	if (!ev->text[0])
		return;
	if (!strncmp(where, p->q->dir, strlen(p->q->dir)))
		snprintf(text, sizeof(text), "%s%s", p->q->shown, where + strlen(p->q->dir));
	else
		snprintf(text, sizeof(text), "%s/%s", p->q->shown, where);
	item = cJSON_CreateObject();
	cJSON_AddStringToObject(item, "where", text);
	cJSON_AddStringToObject(item, "text", ev->text);
	cJSON_AddItemToArray(p->invalid, item);
}

static void sink(void *ctx, const struct weft_event *ev)
{
	struct applied *p = ctx;

	if (ev->type == WEFT_EV_INVALID) {
		add_invalid(p, ev);
		if (ev->key) /* its last valid version stays */
			note_present(p, ev->kind, ev->key);
	} else if (!is_read(p, ev)) {
		weft_object_free(ev->obj);
	} else {
		note_present(p, ev->kind, ev->key);
		hand_on(p, ev);
	}
}

static void list_old(struct applied *p)
{
	for (enum weft_kind kind = 0; kind < WEFT_KIND_COUNT; kind++) {
		struct keys *k = &p->old[kind];

		if (of_services(kind))
			services_each_key(p->a->services, kind, add_key, k);
		else
			cluster_each(p->a->cluster, kind, add_object, k);
		if (k->n)
			qsort(k->list, k->n, sizeof(*k->list), by_text);
	}
}

static bool goes(const struct applied *p, enum weft_kind kind)
{
	bool own = kind == WEFT_IPBLOCK || kind == WEFT_SERVICESTATUS;

	if (p->a->cfg.ipam.mode == WEFT_IPAM_NODE && (kind == WEFT_IPBLOCK || kind == WEFT_IPPOOL))
		return false;
	return p->has[kind] || (p->q->complete && !own);
}

static void remove_absent(struct applied *p, enum weft_kind kind)
{
	for (size_t i = 0; i < p->old[kind].n; i++)
		if (!p->old[kind].list[i].present)
			hand_on(p, &(struct weft_event){.type = WEFT_EV_DELETE,
			                                .kind = kind,
			                                .key = p->old[kind].list[i].text});
}

int ahead_apply(struct agent *a, const struct ahead *q, cJSON *kept, cJSON *invalid, struct weft_err *err)
{
	struct applied p = {.a = a, .q = q, .invalid = invalid};
	char text[128];
	int r;

	list_old(&p);
	r = weft_oneshot(q->dir, sink, &p, err);
	for (enum weft_kind kind = 0; kind < WEFT_KIND_COUNT && r == 0; kind++) {
		if (goes(&p, kind)) {
			remove_absent(&p, kind);
		} else if (p.old[kind].n) {
			snprintf(text, sizeof(text), "%s (%zu)", weft_kind_name(kind), p.old[kind].n);
			cJSON_AddItemToArray(kept, cJSON_CreateString(text));
		}
	}
	cluster_forget_deleted(a->cluster, NULL, NULL);
	for (enum weft_kind kind = 0; kind < WEFT_KIND_COUNT; kind++) {
		for (size_t i = 0; i < p.old[kind].n; i++)
			free(p.old[kind].list[i].text);
		free(p.old[kind].list);
	}
	return r;
}
