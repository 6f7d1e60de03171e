// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One collection of the API server, followed: listed, then watched, for ever.
 *
 *	             +------------------- 410, expired -------------------+
 *	             v                                                    |
 *	 WatchList (sendInitialEvents) --initial-events-end--> WATCH from a resourceVersion, bookmarks
 *	      | 4xx, or ADDEDs without an end mark: not offered           ^
 *	      v                                                           |
 *	 LIST, continue ... ---------------- complete --------------------+
 *
 * A listing is announced by on_begin, its objects come by on_object, its end by on_complete: what was not
 * named in between is gone. A listing that breaks off is begun anew (on_begin again) and nothing may be
 * concluded from it. A `continue` token that expired (410) is replaced by a full LIST from the start.
 *
 * Which state is listed is decided as client-go's reflector does: at first what the server has in its cache
 * (LIST with resourceVersion=0), so that thousands of agents don't reach etcd; later not older than what was
 * seen; the newest, by pages of 500, only when that was refused (410, or 504 ResourceVersionTooLarge).
 * WatchList asks for the newest at first, which servers that have it take from their cache.
 *
 * A watch is asked for 5 to 10 minutes (timeoutSeconds, jitter); its normal end is followed by the next from
 * the last resourceVersion (of an event or a bookmark; opaque, only compared for equality). ERROR events: 410
 * lists again, others wait and watch again from where they were, three times at most. 429 and 5xx wait as
 * kube_backoff() says. 404 (the CRD is not there): on_missing once, then slowly again. 403 while a server
 * starts: tried again. Relists after 410 are spread over up to two seconds, since all agents get it at once.
 */
#ifndef AGENT_KUBE_WATCH_H
#define AGENT_KUBE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include <cjson/cJSON.h>

#include "agent/kube/client.h"

struct kube_watch;

struct kube_watch_callbacks {
	void (*on_begin)(void *ctx);
	/* Added or changed, or deleted (its last state). text is the object's JSON without managedFields,
	 * json the same parsed; both are the watcher's and end with the call. items of a list have no kind
	 * and apiVersion. */
	void (*on_object)(void *ctx, bool deleted, const char *text, size_t len, const cJSON *json);
	/* Everything there was has been told; `version` is where the watch goes on. */
	void (*on_complete)(void *ctx, const char *version);
	/* The collection does not exist on this server (404), or is there again (false). */
	void (*on_missing)(void *ctx, bool missing);
	/* A problem that lasts (text), or "" once it is over. Told when it changes. */
	void (*on_trouble)(void *ctx, const char *text);
};

struct kube_watch_options {
	struct kube *client;
	uv_loop_t *loop;
	const char *path;     /* "/apis/discovery.k8s.io/v1/endpointslices"; copied */
	const char *selector; /* "labelSelector=..." or "fieldSelector=...", encoded; NULL = none */
	unsigned page;        /* limit of a LIST; 0 = 500 */
	bool secret;          /* buffers are wiped */
	struct kube_watch_callbacks cb;
	void *ctx;
	/* For tests; 0 = as above. */
	unsigned watch_s;  /* timeoutSeconds; no other limit on a server's silence is longer */
	uint64_t retry_ms; /* a bound of every pause, and of the time after which a stream is no failure */
};

/* Begins on the loop at once. */
struct kube_watch *kube_watch_new(const struct kube_watch_options *o);
/* Ask at once instead of at the end of a pause (another part saw the server answer). */
void kube_watch_nudge(struct kube_watch *w);
void kube_watch_free(struct kube_watch *w); /* no callback after it; its handles close on the loop */

struct kube_watch_state {
	bool complete;                            /* a listing has been completed once */
	bool following;                           /* a watch is open now */
	const char *version;                      /* "" before the first */
	uint64_t lists, watches, events, expired; /* counts since the start */
	uint64_t heard_ms;                        /* uv_now() of the last byte that came */
	const char *trouble;                      /* "" = none */
};
void kube_watch_state(const struct kube_watch *w, struct kube_watch_state *out);

#endif
