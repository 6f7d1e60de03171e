// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where cluster objects come from: the contract between a datastore (agent/source/) and the rest.
 *
 * A source delivers typed events to one sink, on the event loop's thread. First it sends every object that
 * exists, then SYNCED once; afterwards changes as they happen. An UPSERT that changes nothing is not sent. A
 * source that lost touch (folder gone, API down) keeps silent about its objects: nothing is deleted because
 * it can't be seen. After a relist it sends only differences.
 *
 * An INVALID event reports a malformed object: the last valid version stays in force. `obj` is NULL, `key`
 * names the object as far as it is known, `where` is FILE:LINE or a URL, `text` one clear sentence. INVALID
 * with an empty text takes back an earlier report for the same `where` scope (see weft_event.scope).
 */
#ifndef WEFT_SOURCE_H
#define WEFT_SOURCE_H

#include <uv.h>

#include "weft/err.h"
#include "weft/object.h"

enum weft_event_type { WEFT_EV_UPSERT, WEFT_EV_DELETE, WEFT_EV_SYNCED, WEFT_EV_INVALID };

struct weft_event {
	enum weft_event_type type;
	enum weft_kind kind;     /* UPSERT, DELETE; INVALID where the key is known */
	const char *key;         /* UPSERT, DELETE; INVALID where known, else NULL */
	struct weft_object *obj; /* UPSERT: ownership passes to the sink */
	const char *
	        scope; /* INVALID: the file (or collection) the report stands for; one report set per scope */
	const char *where, *text;
};

typedef void (*weft_sink_fn)(void *ctx, const struct weft_event *ev);

/* Outcome of an asynchronous write; err is NULL on success. -EEXIST: somebody else owns it. */
typedef void (*weft_write_done_fn)(void *ctx, const struct weft_err *err);

/* Conditions of a Node that weftd writes. What it says of its drain is for others: weft/object.h. */
enum weft_node_condition {
	WEFT_NODE_NETWORK_UNAVAILABLE,
	WEFT_NODE_DRAINING, /* WEFT_CONDITION_DRAINING; absent is as good as False */
	WEFT_NODE_CONDITIONS
};

struct weft_source;
struct cJSON;

struct weft_source_ops {
	/* Begin delivering events; returns 0 or a negative errno when the source can never work (bad path).
	 */
	int (*start)(struct weft_source *s, weft_sink_fn sink, void *ctx, struct weft_err *err);
	/* Claim a block for a node: exclusive. done is called later, on the loop. The object also arrives as
	 * an event. */
	void (*claim_block)(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
	                    const char *pool, weft_write_done_fn done, void *ctx);
	/* Release a block, only if it still belongs to node. */
	void (*release_block)(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
	                      weft_write_done_fn done, void *ctx);
	/*
	 * Write the status of an object (its `status` field's value; NULL = remove what we wrote). A
	 * Service's comes back as its status.loadBalancer or, from a directory, as a ServiceStatus event.
	 * Writes to one object keep their order; only the last one counts when they pile up. -EAGAIN: a
	 * Service's ingress is another one than the sink was told of when this was asked for; decide again.
	 * Controller only.
	 */
	void (*put_status)(struct weft_source *s, enum weft_kind kind, const char *key,
	                   const struct cJSON *status, weft_write_done_fn done, void *ctx);
	/*
	 * Stand for a role ("controller") as `identity`. on_change is called on the loop: true = we hold it
	 * now, false = we do not (any more). Nobody else holds it between the two. Once per role, for the
	 * source's life.
	 */
	int (*stand)(struct weft_source *s, const char *role, const char *identity,
	             void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err);
	/*
	 * Tell people about an object, where the datastore has a way to (a Kubernetes Event); may be NULL.
	 * Controller only, or about this node: not once per agent.
	 */
	void (*tell)(struct weft_source *s, enum weft_kind kind, const char *key, bool warning,
	             const char *reason, const char *message);
	/* A condition of our Node holds, or does not; may be NULL. Kept up: written again when somebody else
	 * changed it. */
	void (*node_condition)(struct weft_source *s, enum weft_node_condition which, bool holds,
	                       const char *reason, const char *message);
	/* {"kind":"directory","path":...,"synced":true,...} for `weftctl status`; a cJSON object owned by the
	 * caller. */
	struct cJSON *(*describe)(struct weft_source *s);
	void (*free)(struct weft_source *s);
};

struct weft_source {
	const struct weft_source_ops *ops;
};

#endif
