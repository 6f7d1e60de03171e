// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The conditions of our Node that weft writes:
 *
 *	NetworkUnavailable   False once pods can work here, True when weft goes
 *	weft.dev/Draining    True while this node is drained, so that others hand its connections back to it
 *
 * A strategic merge patch of the Node's status, where conditions are merged by type; what the kubelet and
 * others write there stays. Written when what is wanted is not what was last seen, also when somebody else
 * changed it: then at most every FIGHT_MS, so that two who do not agree cost little.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kube/kubernetes_priv.h"
#include "weft/log.h"

#define FIGHT_MS 10000
#define GONE     "WeftIsGone"

static const struct {
	const char *type, *unwritten; /* what follows when it can't be written */
	bool absent_is_false;
} conditions[] = {
        [WEFT_NODE_NETWORK_UNAVAILABLE] = {"NetworkUnavailable", "the scheduler does not know it", false},
        [WEFT_NODE_DRAINING] =
                {WEFT_CONDITION_DRAINING,
                 "other nodes know of a drain only by the Node's annotation, label, taint or cordon", true},
};

static void write_condition(void *ctx);

static const char *word(bool holds)
{
	return holds ? "True" : "False";
}

static const char *text_of(const cJSON *json, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

	return text ? text : "";
}

/* {"status":{"conditions":[]}}, and the list in it. */
static cJSON *new_patch(cJSON **list)
{
	cJSON *json = cJSON_CreateObject();

	*list = cJSON_AddArrayToObject(cJSON_AddObjectToObject(json, "status"), "conditions");
	return json;
}

/* since: lastTransitionTime, NULL = now. */
static void add_condition(cJSON *list, enum weft_node_condition which, bool holds, const char *reason,
                          const char *message, const char *since)
{
	cJSON *c = cJSON_CreateObject();
	char now[32];

	kubernetes_now(now);
	cJSON_AddItemToArray(list, c);
	cJSON_AddStringToObject(c, "type", conditions[which].type);
	cJSON_AddStringToObject(c, "status", word(holds));
	cJSON_AddStringToObject(c, "reason", reason);
	cJSON_AddStringToObject(c, "message", message);
	cJSON_AddStringToObject(c, "lastHeartbeatTime", now);
	cJSON_AddStringToObject(c, "lastTransitionTime", since ? since : now);
}

static void add_removal(cJSON *list, enum weft_node_condition which)
{
	cJSON *c = cJSON_CreateObject();

	cJSON_AddItemToArray(list, c);
	cJSON_AddStringToObject(c, "$patch", "delete");
	cJSON_AddStringToObject(c, "type", conditions[which].type);
}

/* Takes the patch. */
static struct kube_call *send_patch(struct kube *client, const char *node, cJSON *patch,
                                    void (*on_done)(void *ctx, const struct kube_answer *a), void *ctx)
{
	char path[KUBERNETES_PATH], *text = cJSON_PrintUnformatted(patch);
	struct kube_request r = {.method = "PATCH",
	                         .path = path,
	                         .content_type = "application/strategic-merge-patch+json",
	                         .body = text,
	                         .len = text ? strlen(text) : 0,
	                         .on_done = on_done,
	                         .ctx = ctx};
	struct kube_call *call;

	snprintf(path, sizeof(path), "/api/v1/nodes/%s/status", node);
	call = kube_send(client, &r);
	cJSON_free(text);
	cJSON_Delete(patch);
	return call;
}

/* --- while we run --- */

static bool as_wanted(const struct kubernetes_condition *n)
{
	if (!n->status && !n->holds && conditions[n->which].absent_is_false)
		return true;
	return n->status == *word(n->holds) && (n->written || n->same_text);
}

static void schedule(struct kubernetes_condition *n)
{
	uint64_t now = uv_now(n->k->loop), at = n->wrote_ms ? n->wrote_ms + FIGHT_MS : 0;

	if (!n->wanted || n->busy || n->later.armed || as_wanted(n))
		return;
	kubernetes_later(n->k, &n->later, at > now ? at - now : 0, write_condition, n);
}

static void on_written(void *ctx, const struct kube_answer *a)
{
	struct kubernetes_condition *n = ctx;

	n->busy = false;
	n->call = NULL;
	if (a->result == KUBE_OK) {
		n->backoff.failures = 0;
		n->written = !n->stale;
		n->status = n->sent;
		n->wrote_ms = n->stale ? 0 : uv_now(n->k->loop);
		n->stale = false;
		schedule(n);
		return;
	}
	n->stale = false;
	/* A Node that is not there is seen when it comes. */
	if (a->result == KUBE_NOT_FOUND)
		return;
	if (n->backoff.failures == 0)
		log_warning("the Node's condition %s is not written: %s; %s", conditions[n->which].type,
		            a->err ? a->err->text : "no answer", conditions[n->which].unwritten);
	kubernetes_later(n->k, &n->later, kubernetes_pause(n->k, &n->backoff, a), write_condition, n);
}

static void write_condition(void *ctx)
{
	struct kubernetes_condition *n = ctx;
	bool same = n->status == *word(n->holds) && *n->transition;
	cJSON *list, *patch;

	if (as_wanted(n))
		return;
	patch = new_patch(&list);
	add_condition(list, n->which, n->holds, n->reason, n->message, same ? n->transition : NULL);
	n->busy = true;
	n->sent = *word(n->holds);
	n->call = send_patch(n->k->client, n->k->node, patch, on_written, n);
}

void kubernetes_node_condition(struct weft_source *s, enum weft_node_condition which, bool holds,
                               const char *reason, const char *message)
{
	struct kubernetes_condition *n = &((struct kubernetes *)s)->conditions[which];

	if (n->wanted && n->holds == holds && !strcmp(n->reason, reason) && !strcmp(n->message, message))
		return;
	n->same_text = !n->wanted && !strcmp(n->reason, reason) && !strcmp(n->message, message);
	n->wanted = true;
	n->holds = holds;
	n->written = false;
	snprintf(n->reason, sizeof(n->reason), "%s", reason);
	snprintf(n->message, sizeof(n->message), "%s", message);
	n->wrote_ms = 0;
	n->stale = n->busy;
	schedule(n);
}

/* NULL = our Node does not have it. */
static void condition_seen(struct kubernetes_condition *n, const cJSON *c)
{
	const char *status = text_of(c, "status");

	n->status = !strcmp(status, "True") ? 'T' : !strcmp(status, "False") ? 'F' : 0;
	snprintf(n->transition, sizeof(n->transition), "%s", text_of(c, "lastTransitionTime"));
	if (c && !n->wanted) { /* what a former run left */
		snprintf(n->reason, sizeof(n->reason), "%s", text_of(c, "reason"));
		snprintf(n->message, sizeof(n->message), "%s", text_of(c, "message"));
	}
	schedule(n);
}

/* Our Node as the server has it. */
void kubernetes_node_seen(struct kubernetes *k, const cJSON *json)
{
	const char *name = kubernetes_text(json, "metadata", "name");
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(json, "status"), *c;

	if (!name || strcmp(name, k->node))
		return;
	for (int i = 0; i < WEFT_NODE_CONDITIONS; i++) {
		const cJSON *found = NULL;

		cJSON_ArrayForEach (c, cJSON_GetObjectItemCaseSensitive(status, "conditions"))
			if (!strcmp(text_of(c, "type"), conditions[i].type))
				found = c;
		condition_seen(&k->conditions[i], found);
	}
}

void kubernetes_node_open(struct kubernetes *k)
{
	for (int i = 0; i < WEFT_NODE_CONDITIONS; i++) {
		k->conditions[i].k = k;
		k->conditions[i].which = (enum weft_node_condition)i;
	}
}

void kubernetes_node_close(struct kubernetes *k)
{
	for (int i = 0; i < WEFT_NODE_CONDITIONS; i++) {
		if (k->conditions[i].call)
			kube_cancel(k->conditions[i].call);
		kubernetes_not_later(k, &k->conditions[i].later);
	}
}

/* --- leaving --- */

struct leave {
	uv_loop_t loop;
	uv_timer_t timer, limit;
	struct kube *client;
	const char *node;
	struct kube_backoff backoff;
	bool done;
	struct weft_err err;
};

static void leave_once(struct leave *l);

static void on_leave_again(uv_timer_t *t)
{
	leave_once(t->data);
}

static void on_limit(uv_timer_t *t)
{
	struct leave *l = t->data;

	l->done = true;
	if (!l->err.code)
		weft_err_set(&l->err, ETIMEDOUT, "the API server did not answer in time");
}

static void on_left(void *ctx, const struct kube_answer *a)
{
	struct leave *l = ctx;

	if (a->result == KUBE_OK || a->result == KUBE_NOT_FOUND) {
		l->done = true;
		l->err = WEFT_ERR_INIT;
		return;
	}
	weft_err_set(&l->err, EIO, "%s", a->err ? a->err->text : "no answer");
	uv_timer_start(&l->timer, on_leave_again, kube_backoff(&l->backoff, a), 0);
}

static void leave_once(struct leave *l)
{
	cJSON *list, *patch = new_patch(&list);

	add_condition(list, WEFT_NODE_NETWORK_UNAVAILABLE, true, GONE,
	              "weft was removed from this node: its pods have no network", NULL);
	add_removal(list, WEFT_NODE_DRAINING);
	send_patch(l->client, l->node, patch, on_left, l);
}

int kubernetes_leave(const struct kubernetes_options *o, uint64_t timeout_ms, struct weft_err *err)
{
	struct leave l = {.node = o->node, .err = WEFT_ERR_INIT};
	int r;

	uv_loop_init(&l.loop);
	uv_timer_init(&l.loop, &l.timer);
	uv_timer_init(&l.loop, &l.limit);
	l.timer.data = l.limit.data = &l;
	r = kube_new(&l.loop, o->access, "weftd/" WEFT_VERSION, &l.client, err);
	if (r == 0) {
		uv_timer_start(&l.limit, on_limit, timeout_ms, 0);
		leave_once(&l);
		while (!l.done)
			uv_run(&l.loop, UV_RUN_ONCE);
		kube_free(l.client);
		if (l.err.code)
			r = weft_err_set(err, l.err.code, "%s", l.err.text);
	}
	uv_close((uv_handle_t *)&l.timer, NULL);
	uv_close((uv_handle_t *)&l.limit, NULL);
	uv_run(&l.loop, UV_RUN_DEFAULT);
	uv_loop_close(&l.loop);
	return r;
}
