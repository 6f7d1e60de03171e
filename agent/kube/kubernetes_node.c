// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Node's condition NetworkUnavailable: False once pods can work here, True when weft goes.
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

#define CONDITION "NetworkUnavailable"
#define FIGHT_MS  10000
#define GONE      "WeftIsGone"

static void write_node(void *ctx);

static const char *word(bool works)
{
	return works ? "False" : "True";
}

static const char *text_of(const cJSON *json, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

	return text ? text : "";
}

/* {"status":{"conditions":[...]}} as text; since: lastTransitionTime. */
static char *patch_text(bool works, const char *reason, const char *message, const char *since)
{
	cJSON *json = cJSON_CreateObject(), *c = cJSON_CreateObject();
	char now[32], *text;

	kubernetes_now(now);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(cJSON_AddObjectToObject(json, "status"), "conditions"),
	                     c);
	cJSON_AddStringToObject(c, "type", CONDITION);
	cJSON_AddStringToObject(c, "status", word(works));
	cJSON_AddStringToObject(c, "reason", reason);
	cJSON_AddStringToObject(c, "message", message);
	cJSON_AddStringToObject(c, "lastHeartbeatTime", now);
	cJSON_AddStringToObject(c, "lastTransitionTime", since ? since : now);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static struct kube_call *send_patch(struct kube *client, const char *node, char *text,
                                    void (*on_done)(void *ctx, const struct kube_answer *a), void *ctx)
{
	char path[KUBERNETES_PATH];
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
	return call;
}

/* --- while we run --- */

static bool as_wanted(const struct kubernetes_node *n)
{
	return n->status == *word(n->works) && (n->written || n->same_text);
}

static void schedule(struct kubernetes *k)
{
	struct kubernetes_node *n = &k->node_network;
	uint64_t now = uv_now(k->loop), at = n->wrote_ms ? n->wrote_ms + FIGHT_MS : 0;

	if (!n->wanted || n->busy || n->later.armed || as_wanted(n))
		return;
	kubernetes_later(k, &n->later, at > now ? at - now : 0, write_node, k);
}

static void on_written(void *ctx, const struct kube_answer *a)
{
	struct kubernetes *k = ctx;
	struct kubernetes_node *n = &k->node_network;

	n->busy = false;
	n->call = NULL;
	if (a->result == KUBE_OK) {
		n->backoff.failures = 0;
		n->written = !n->stale;
		n->status = n->stale ? 0 : *word(n->works);
		n->wrote_ms = n->stale ? 0 : uv_now(k->loop);
		n->stale = false;
		schedule(k);
		return;
	}
	/* A Node that is not there is seen when it comes. */
	if (a->result == KUBE_NOT_FOUND)
		return;
	if (n->backoff.failures == 0)
		log_warning("the Node's condition " CONDITION " is not written: %s",
		            a->err ? a->err->text : "no answer");
	kubernetes_later(k, &n->later, kubernetes_pause(k, &n->backoff, a), write_node, k);
}

static void write_node(void *ctx)
{
	struct kubernetes *k = ctx;
	struct kubernetes_node *n = &k->node_network;

	if (as_wanted(n))
		return;
	n->busy = true;
	n->call =
	        send_patch(k->client, k->node,
	                   patch_text(n->works, n->reason, n->message,
	                              n->status == *word(n->works) && *n->transition ? n->transition : NULL),
	                   on_written, k);
}

void kubernetes_node_network(struct weft_source *s, bool works, const char *reason, const char *message)
{
	struct kubernetes *k = (struct kubernetes *)s;
	struct kubernetes_node *n = &k->node_network;

	if (n->wanted && n->works == works && !strcmp(n->reason, reason) && !strcmp(n->message, message))
		return;
	n->same_text = !n->wanted && !strcmp(n->reason, reason) && !strcmp(n->message, message);
	n->wanted = true;
	n->works = works;
	n->written = false;
	snprintf(n->reason, sizeof(n->reason), "%s", reason);
	snprintf(n->message, sizeof(n->message), "%s", message);
	n->wrote_ms = 0;
	n->stale = n->busy;
	schedule(k);
}

/* Our Node as the server has it. */
void kubernetes_node_seen(struct kubernetes *k, const cJSON *json)
{
	struct kubernetes_node *n = &k->node_network;
	const char *name = kubernetes_text(json, "metadata", "name"), *status;
	const cJSON *c;

	if (!name || strcmp(name, k->node))
		return;
	n->status = 0;
	n->transition[0] = '\0';
	cJSON_ArrayForEach (c, cJSON_GetObjectItemCaseSensitive(
	                               cJSON_GetObjectItemCaseSensitive(json, "status"), "conditions")) {
		if (strcmp(text_of(c, "type"), CONDITION))
			continue;
		status = text_of(c, "status");
		n->status = !strcmp(status, "True") ? 'T' : !strcmp(status, "False") ? 'F' : 0;
		snprintf(n->transition, sizeof(n->transition), "%s", text_of(c, "lastTransitionTime"));
		if (!n->wanted) { /* what a former run left */
			snprintf(n->reason, sizeof(n->reason), "%s", text_of(c, "reason"));
			snprintf(n->message, sizeof(n->message), "%s", text_of(c, "message"));
		}
	}
	schedule(k);
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
	send_patch(l->client, l->node,
	           patch_text(false, GONE, "weft was removed from this node: its pods have no network", NULL),
	           on_left, l);
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
