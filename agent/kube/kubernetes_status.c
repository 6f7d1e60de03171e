// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Statuses of Services and of weft's own objects.
 *
 * Of one object one write is under way at a time; what comes meanwhile waits, and only the last of it is
 * written. Each caller hears how the write that covers its status ended.
 *
 *	put --> the server has it already (as last seen)? --> done
 *	        |no
 *	        v
 *	      a slot --> GET --> patch of what differs, on condition of the version read --> PATCH --> done
 *	                  ^                                                       |409: from the start
 *	                  +-------- pause, with the newest status <---------------+ no answer, 429, 5xx
 *
 * An ingress that is not the one which the status was decided by ends the write with -EAGAIN: another controller was
 * there, and whoever decides has yet to see what it wrote.
 *
 * A status is a list of conditions that others write to as well, so it is never written without having been
 * read. A new controller puts thousands of statuses at once: most of them are what the server has, and cost
 * nothing; the others go through SLOTS requests at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "agent/kube/kubernetes_priv.h"

#define SLOTS 8

struct waiter {
	struct waiter *next;
	weft_write_done_fn done;
	void *ctx;
};

struct version {
	cJSON *status;    /* NULL removes what we wrote */
	uint64_t ingress; /* hash of the one that was known when this was decided; 0 = none was */
	struct waiter *waiters;
};

struct kubernetes_status {
	UT_hash_handle hh;
	struct kubernetes_status *prev, *next; /* waiting for a slot */
	struct kubernetes *k;
	enum weft_kind kind;
	char *id; /* kind's letter, then the key */
	struct version now, then;
	bool queued; /* `then` is to be written */
	bool waiting, active;
	struct kube_call *call;
	struct kubernetes_later later;
	struct kube_backoff backoff;
};

static void turn(void *ctx);
static void read_object(struct kubernetes_status *w);

static struct kubernetes_entry *entry_of(const struct kubernetes_status *w)
{
	struct kubernetes_collection *c = kubernetes_collection_of(w->k, w->kind, w->id + 1);

	return c ? kubernetes_find(c, w->id + 1) : NULL;
}

/* --- slots --- */

static void give_slot(struct kubernetes_status *w)
{
	w->active = true;
	w->k->n_active++;
	read_object(w);
}

static void wait_for_slot(struct kubernetes_status *w)
{
	if (w->k->n_active < SLOTS) {
		give_slot(w);
		return;
	}
	w->waiting = true;
	DL_APPEND(w->k->ready, w);
}

static void leave_slot(struct kubernetes_status *w)
{
	struct kubernetes_status *next = w->k->ready;

	if (!w->active)
		return;
	w->active = false;
	w->k->n_active--;
	if (!next)
		return;
	DL_DELETE(w->k->ready, next);
	next->waiting = false;
	give_slot(next);
}

/* --- the end of a write --- */

static void answer(struct waiter *waiters, const struct weft_err *err)
{
	struct waiter *w, *next;

	LL_FOREACH_SAFE(waiters, w, next)
	{
		w->done(w->ctx, err->code ? err : NULL);
		free(w);
	}
}

static void adopt_newest(struct kubernetes_status *w)
{
	if (!w->queued)
		return;
	cJSON_Delete(w->now.status);
	w->now.status = w->then.status;
	w->now.ingress = w->then.ingress;
	LL_CONCAT(w->now.waiters, w->then.waiters);
	w->then = (struct version){.status = NULL};
	w->queued = false;
}

static void drop(struct kubernetes_status *w)
{
	kubernetes_not_later(w->k, &w->later);
	HASH_DEL(w->k->statuses, w);
	free(w->id);
	free(w);
}

static void settle(struct kubernetes_status *w, const struct weft_err *err)
{
	struct waiter *waiters = w->now.waiters;

	leave_slot(w);
	cJSON_Delete(w->now.status);
	w->now = (struct version){.status = NULL};
	w->backoff.failures = 0;
	if (w->queued) {
		adopt_newest(w);
		kubernetes_later(w->k, &w->later, 0, turn, w);
	} else {
		drop(w);
	}
	answer(waiters, err);
}

static void fail(struct kubernetes_status *w, const struct kube_answer *a)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (kubernetes_passing(a) || a->result == KUBE_CONFLICT) {
		leave_slot(w);
		kubernetes_later(w->k, &w->later, kubernetes_pause(w->k, &w->backoff, a), turn, w);
		return;
	}
	weft_err_set(&err, a->result == KUBE_FORBIDDEN ? EACCES : EIO, "%s",
	             a->err ? a->err->text : "no answer");
	settle(w, &err);
}

/* --- requests --- */

static void ask(struct kubernetes_status *w, const char *method, const cJSON *body,
                void (*on_done)(void *ctx, const struct kube_answer *a))
{
	char *text = body ? cJSON_PrintUnformatted(body) : NULL, path[KUBERNETES_PATH + 8];
	struct kube_request r = {.method = method,
	                         .path = path,
	                         .content_type = "application/merge-patch+json",
	                         .body = text,
	                         .len = text ? strlen(text) : 0,
	                         .on_done = on_done,
	                         .ctx = w};

	kubernetes_object_path(kubernetes_collection_of(w->k, w->kind, w->id + 1), w->id + 1, path);
	if (body)
		strcat(path, "/status");
	w->call = kube_send(w->k->client, &r);
	cJSON_free(text);
}

/* What we wrote is what the next events will say: until then what was last seen counts for nothing. */
static void note_written(struct kubernetes_status *w, const struct kube_answer *a)
{
	cJSON *json = cJSON_ParseWithLength(a->body, a->len);
	struct kubernetes_entry *e = entry_of(w);

	if (e) {
		e->written = kubernetes_seen(w->k, json);
		if (e->written == e->seen)
			e->written = 0;
		e->ingress = kubernetes_ingress_hash(w->k, cJSON_GetObjectItemCaseSensitive(json, "status"));
	}
	cJSON_Delete(json);
}

static void on_patched(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_status *w = ctx;

	w->call = NULL;
	if (a->result == KUBE_OK)
		note_written(w, a);
	if (a->result == KUBE_OK || a->result == KUBE_NOT_FOUND)
		settle(w, &WEFT_ERR_INIT);
	else
		fail(w, a);
}

/* Would the write change an ingress that was not known when it was decided? */
static bool is_overtaken(const struct kubernetes_status *w, const cJSON *object)
{
	uint64_t there = kubernetes_ingress_hash(w->k, cJSON_GetObjectItemCaseSensitive(object, "status"));

	return w->kind == WEFT_SERVICE && w->now.ingress && there != w->now.ingress &&
	       there != kubernetes_ingress_hash(w->k, w->now.status);
}

static void settle_overtaken(struct kubernetes_status *w)
{
	struct weft_err err = WEFT_ERR_INIT;

	weft_err_set(&err, EAGAIN, "another one has changed its ingress meanwhile");
	settle(w, &err);
}

static void on_read(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_status *w = ctx;
	cJSON *json, *patch;
	char now[32];

	w->call = NULL;
	if (a->result == KUBE_NOT_FOUND) {
		settle(w, &WEFT_ERR_INIT); /* and its status is gone with it */
		return;
	}
	if (a->result != KUBE_OK) {
		fail(w, a);
		return;
	}
	adopt_newest(w);
	kubernetes_now(now);
	json = cJSON_ParseWithLength(a->body, a->len);
	patch = kubernetes_status_patch(w->kind, json, w->now.status, now);
	if (patch && is_overtaken(w, json))
		settle_overtaken(w);
	else if (patch)
		ask(w, "PATCH", patch, on_patched);
	else
		settle(w, &WEFT_ERR_INIT);
	cJSON_Delete(patch);
	cJSON_Delete(json);
}

static void read_object(struct kubernetes_status *w)
{
	ask(w, "GET", NULL, on_read);
}

/* --- on the loop --- */

static bool server_has_it(const struct kubernetes_status *w)
{
	const struct kubernetes_entry *e = entry_of(w);

	return e && e->seen && !e->written &&
	       e->status == kubernetes_status_hash(w->k, w->kind, w->now.status);
}

static void turn(void *ctx)
{
	struct kubernetes_status *w = ctx;

	adopt_newest(w);
	if (server_has_it(w))
		settle(w, &WEFT_ERR_INIT);
	else
		wait_for_slot(w);
}

static struct kubernetes_status *find(struct kubernetes *k, enum weft_kind kind, const char *key)
{
	char id[WEFT_KEY_MAX + 1];
	struct kubernetes_status *w;
	unsigned hash;
	size_t len;

	snprintf(id, sizeof(id), "%c%s", 'a' + (int)kind, key);
	len = strlen(id);
	hash = keyhash(&k->hash, id, len);
	HASH_FIND_BYHASHVALUE(hh, k->statuses, id, (unsigned)len, hash, w);
	if (w)
		return w;
	w = must_alloc(1, sizeof(*w));
	w->k = k;
	w->kind = kind;
	w->id = must_strdup(id);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, k->statuses, w->id, (unsigned)len, hash, w);
	return w;
}

void kubernetes_put_status(struct weft_source *s, enum weft_kind kind, const char *key,
                           const struct cJSON *status, weft_write_done_fn done, void *ctx)
{
	struct kubernetes *k = (struct kubernetes *)s;
	struct weft_err err = WEFT_ERR_INIT;
	struct waiter *waiter;
	struct kubernetes_status *w;
	const struct kubernetes_entry *e;
	bool idle;

	if (!weft_kind_has_status(kind) || !kubernetes_collection_of(k, kind, key)) {
		weft_err_set(&err, EINVAL, "objects of kind %s have no status here", weft_kind_name(kind));
		done(ctx, &err);
		return;
	}
	w = find(k, kind, key);
	e = entry_of(w);
	idle = !w->now.waiters;
	waiter = must_alloc(1, sizeof(*waiter));
	*waiter = (struct waiter){.done = done, .ctx = ctx};
	cJSON_Delete(w->then.status);
	w->then.status = status ? cJSON_Duplicate(status, true) : NULL;
	w->then.ingress = e ? e->ingress : 0;
	LL_APPEND(w->then.waiters, waiter);
	w->queued = true;
	if (idle) {
		adopt_newest(w);
		kubernetes_later(k, &w->later, 0, turn, w);
	}
}

void kubernetes_stop_statuses(struct kubernetes *k)
{
	struct kubernetes_status *w, *next;
	struct waiter *waiters = NULL;
	struct weft_err err;

	weft_err_set(&err, ECANCELED, "we are not the controller any more");
	k->ready = NULL;
	k->n_active = 0;
	HASH_ITER (hh, k->statuses, w, next) {
		if (w->call)
			kube_cancel(w->call);
		adopt_newest(w);
		LL_CONCAT(waiters, w->now.waiters);
		cJSON_Delete(w->now.status);
		drop(w);
	}
	while (waiters) {
		struct waiter *one = waiters;

		waiters = one->next;
		if (!k->closing)
			one->done(one->ctx, &err);
		free(one);
	}
}
