// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a listing or a stream brings, object by object.
 *
 * Any callback may free the watcher: its memory lives until the loop turns, but nothing is told any more. A
 * Secret's text and tree are wiped as soon as they were told.
 */
#include "agent/kube/watch_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "agent/kube/status.h"
#include "agent/kube/tree.h"

#define END_MARK "k8s.io/initial-events-end"

static int fail(struct kube_watch *w, const char *text)
{
	w->failed = true;
	w->failure.result = KUBE_NONSENSE;
	w->failure.retry_after_ms = 0;
	snprintf(w->failure.text, sizeof(w->failure.text), "GET %.200s: %s", w->o.path, text);
	return -EBADMSG;
}

static const cJSON *metadata(const cJSON *json)
{
	return cJSON_GetObjectItemCaseSensitive(json, "metadata");
}

static const char *version_of(const cJSON *json)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(metadata(json), "resourceVersion");
	const char *text = cJSON_GetStringValue(version);

	return text && *text ? text : NULL;
}

static void tell(struct kube_watch *w, bool deleted, const char *text, size_t len, const cJSON *json)
{
	if (w->step != STEP_FOLLOW)
		watch_listing_begun(w);
	if (!w->freed)
		w->o.cb.on_object(w->o.ctx, deleted, text, len, json);
}

static int take_item(struct kube_watch *w, const char *text, size_t len)
{
	struct kube_tree tree;
	int ret = 0;

	kube_tree_parse(&tree, text, len);
	if (tree.root)
		tell(w, false, text, len, tree.root);
	else
		ret = fail(w, "an item that is no JSON");
	kube_tree_free(&tree, w->o.secret);
	return ret;
}

/* --- events --- */

static int take_object(struct kube_watch *w, bool deleted, const struct kube_split_event *ev,
                       const cJSON *json)
{
	if (w->step == STEP_FOLLOW) {
		w->events++;
		watch_set_version(w, version_of(json));
		watch_heard(w);
	}
	tell(w, deleted, ev->object, ev->object_len, json);
	return 0;
}

/* Until the end mark has come, the versions of a stream's events are no place to go on from. */
static int take_bookmark(struct kube_watch *w, const cJSON *json)
{
	const cJSON *notes = cJSON_GetObjectItemCaseSensitive(metadata(json), "annotations");
	const char *end = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(notes, END_MARK));

	if (!version_of(json))
		return fail(w, "a bookmark without a resourceVersion");
	if (w->step == STEP_FOLLOW) {
		watch_set_version(w, version_of(json));
		watch_heard(w);
	} else if (end && !strcmp(end, "true")) {
		watch_listing_complete(w, version_of(json));
	}
	return 0;
}

static int take_error(struct kube_watch *w, const cJSON *json)
{
	struct kube_status status;

	kube_status_object(json, 500, &status);
	fail(w, "");
	w->failure.result = status.result;
	w->failure.retry_after_ms = status.retry_after_ms;
	snprintf(w->failure.text, sizeof(w->failure.text), "GET %.200s: the stream's end: %s: %s", w->o.path,
	         status.reason, w->o.secret ? "" : status.text);
	return -EBADMSG;
}

static bool is(const struct kube_split_event *ev, const char *type)
{
	return ev->type && strlen(type) == ev->type_len && !memcmp(ev->type, type, ev->type_len);
}

/* Types that are not known are passed over, as client-go does. */
static int take_parsed(struct kube_watch *w, const struct kube_split_event *ev, const cJSON *json)
{
	if (is(ev, "ADDED") || is(ev, "MODIFIED"))
		return take_object(w, false, ev, json);
	if (is(ev, "DELETED"))
		return take_object(w, true, ev, json);
	if (is(ev, "BOOKMARK"))
		return take_bookmark(w, json);
	return is(ev, "ERROR") ? take_error(w, json) : 0;
}

static int take_event(struct kube_watch *w)
{
	struct kube_split_event ev;
	struct kube_tree tree;
	int ret;

	kube_split_event(w->split, &ev);
	if (!ev.object)
		return fail(w, "an event without an object");
	ev.object[ev.object_len] = '\0';
	kube_tree_parse(&tree, ev.object, ev.object_len);
	ret = tree.root ? take_parsed(w, &ev, tree.root) : fail(w, "an event that is no JSON");
	kube_tree_free(&tree, w->o.secret);
	return ret;
}

int watch_take(void *watch, char *text, size_t len)
{
	struct kube_watch *w = watch;
	int ret = w->step == STEP_PAGES ? take_item(w, text, len) : take_event(w);

	if (w->o.secret)
		sodium_memzero(text, len);
	return w->freed ? -ECANCELED : ret;
}
