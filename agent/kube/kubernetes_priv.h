// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside the Kubernetes source.
 *
 *	kubernetes_open.c    made, started, described, freed
 *	kubernetes.c         collections: which are followed, what they say, when all is there
 *	kubernetes_entry.c   what was told to the sink, object by object
 *	kubernetes_known.c   the last known state
 *	kubernetes_block.c   claims and releases of blocks
 *	kubernetes_status.c  statuses: the queue, and the requests of one write
 *	kubernetes_merge.c   statuses: what a patch says
 *	kubernetes_node.c    the Node's conditions
 *	kubernetes_stand.c   election, Events
 *	kubernetes_later.c   what has to be done later
 */
#ifndef AGENT_KUBE_KUBERNETES_PRIV_H
#define AGENT_KUBE_KUBERNETES_PRIV_H

#include <cjson/cJSON.h>

#include "agent/kube/client.h"
#include "agent/kube/events.h"
#include "agent/kube/kubernetes.h"
#include "agent/kube/lastknown.h"
#include "agent/kube/watch.h"
#include "weft/keyhash.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>

#define KUBERNETES_PATH 640 /* of an object: two names of 253 bytes and a collection */

struct kubernetes;
struct kubernetes_block;  /* kubernetes_block.c */
struct kubernetes_buried; /* kubernetes_block.c */
struct kubernetes_status; /* kubernetes_status.c */
struct kubernetes_stand;  /* kubernetes_stand.c */

/* --- later --- */

struct kubernetes_later {
	struct kubernetes_later *prev, *next;
	bool armed;
	uint64_t due; /* uv_now() */
	void (*fn)(void *ctx);
	void *ctx;
};

/* Call fn once in so many ms, in place of a former wish. */
void kubernetes_later(struct kubernetes *k, struct kubernetes_later *l, uint64_t ms, void (*fn)(void *ctx),
                      void *ctx);
void kubernetes_not_later(struct kubernetes *k, struct kubernetes_later *l);

/* --- objects --- */

struct kubernetes_entry {
	UT_hash_handle hh;
	char *key;
	unsigned generation; /* of the listing that saw it last */
	bool delivered;      /* the sink has it */
	bool by_namespace;   /* it selects Services by their namespaces, and we need that */
	bool marked;         /* a Service whose status has conditions of weft's */
	uint8_t digest[WEFT_DIGEST];
	uint64_t seen;     /* hash of uid and resourceVersion: equal = nothing changed; 0 = not known */
	uint64_t reported; /* hash of the report that the sink has; 0 = none */
	uint64_t status;   /* hash of the controller's part of its status, as last seen */
	uint64_t
	        ingress; /* hash of a Service's ingress, whoever wrote it, as last seen or written; 0 = not known */
	uint64_t written; /* `seen` of our last write of its status, which has not come by yet; 0 = it has */
	uint8_t uid[16];  /* zero = not known */
};

struct kubernetes_collection {
	struct kubernetes *k;
	enum weft_kind kind;
	const char *name;
	char *paths[2]; /* the same kind in two versions: the first that there is; [1] may be NULL */
	char *selector;
	bool optional; /* the cluster can do without it */
	bool missing;  /* in all versions */
	unsigned at;   /* index of the path that is followed */
	struct kubernetes_later swap;
	struct kube_watch *watch; /* NULL = not followed */
	struct kubernetes_entry *entries;
	unsigned generation;
	bool complete;        /* has been listed as a whole */
	bool complained;      /* the log has its trouble */
	uint64_t troubled_ms; /* uv_now() when its trouble began; 0 = it has none */
};

#define KUBERNETES_COLLECTIONS 32

/* A condition of our Node. */
struct kubernetes_condition {
	struct kubernetes *k;
	enum weft_node_condition which;
	bool wanted;      /* somebody said what it is to be */
	bool holds;       /* and this is what */
	bool busy, stale; /* a write is under way; it is not what is wanted any more */
	bool written;     /* by us, as wanted */
	char reason[64], message[256];
	char sent;                   /* 'T', 'F': what the write under way says */
	char status, transition[32]; /* as last seen: 'T', 'F', 0 = none or not known */
	bool same_text;              /* its reason and message are as wanted */
	uint64_t wrote_ms;           /* uv_now() */
	struct kubernetes_later later;
	struct kube_backoff backoff;
	struct kube_call *call;
};

struct kubernetes {
	struct weft_source source; /* first: ops get this pointer */
	uv_loop_t *loop;
	char *node, *namespace;
	bool services, controller, own_node, on_nodes;
	uint64_t patience_ms, retry_ms;
	unsigned watch_s;

	weft_sink_fn sink;
	void *ctx;
	struct kube *client;
	struct lastknown *known; /* NULL = none is kept */
	bool known_whole;        /* it was complete once, in an earlier life */
	struct kube_events *events;
	struct keyhash hash;
	uint8_t digest_key[WEFT_DIGEST_KEY];

	struct kubernetes_collection collections[KUBERNETES_COLLECTIONS];
	size_t n_collections;
	size_t by_namespace; /* entries that select by namespaces */
	bool synced, closing;
	bool impatient; /* the API server was waited for long enough; what was last known has been told */
	bool outage;    /* no server answers, and the log says so */
	bool to_purge;  /* the last known state may have what is gone */
	uint64_t in_step_ms; /* uv_now() when all was being followed; 0 = not yet */

	struct kubernetes_block *blocks;    /* being written */
	struct kubernetes_buried *buried;   /* released, and a watch has not told of it yet */
	struct kubernetes_status *statuses; /* being written, by object */
	struct kubernetes_status *ready;    /* of these: waiting for a slot */
	unsigned n_active;                  /* slots that are taken */
	struct kubernetes_stand *stands;
	struct kubernetes_condition conditions[WEFT_NODE_CONDITIONS];

	struct kubernetes_later *laters;
	struct kubernetes_later patience, farewell;
	uint64_t farewell_ms, farewell_failures;
	uint64_t timer_due; /* uv_now() */
	uv_timer_t timer, tick;
	unsigned handles;
};

/* kubernetes.c */
void kubernetes_add_collections(struct kubernetes *k, const struct kubernetes_options *o);
void kubernetes_follow(struct kubernetes_collection *c);
void kubernetes_unfollow(struct kubernetes_collection *c);
void kubernetes_check_synced(struct kubernetes *k);
void kubernetes_complain(struct kubernetes *k); /* about troubles that last, once each */
/* Namespaces are followed while they are needed. */
void kubernetes_check_namespaces(struct kubernetes *k);
struct kubernetes_collection *kubernetes_collection_of(struct kubernetes *k, enum weft_kind kind,
                                                       const char *key);
/* "/api/v1/namespaces/NS/services/NAME" */
const char *kubernetes_object_path(const struct kubernetes_collection *c, const char *key,
                                   char out[KUBERNETES_PATH]);
/* All that weft can't do without is being watched now. */
bool kubernetes_in_step(const struct kubernetes *k);

/* kubernetes_entry.c */
void kubernetes_tell(struct kubernetes *k, const struct weft_event *ev);
struct kubernetes_entry *kubernetes_find(const struct kubernetes_collection *c, const char *key);
/* An object as the server has it (text NULL: as it was last known to have it). */
void kubernetes_take(struct kubernetes_collection *c, const char *text, size_t len, const cJSON *json);
void kubernetes_drop(struct kubernetes_collection *c, const cJSON *json); /* it was deleted */
void kubernetes_remove(struct kubernetes_collection *c, struct kubernetes_entry *e);
void kubernetes_free_entries(struct kubernetes_collection *c); /* without a word to the sink */
/* "namespace/name" as the object says; false: it says none. */
bool kubernetes_key(const struct kubernetes_collection *c, const cJSON *json, char key[WEFT_KEY_MAX]);
/* Hash of uid and resourceVersion, never 0 if both are there. */
uint64_t kubernetes_seen(const struct kubernetes *k, const cJSON *json);
uint64_t kubernetes_hash(const struct kubernetes *k, const void *data, size_t len);
const char *kubernetes_uid(const struct kubernetes_entry *e, char out[37]);   /* NULL = not known */
const char *kubernetes_text(const cJSON *json, const char *a, const char *b); /* json.a.b, NULL = none */

/* kubernetes_known.c */
void kubernetes_tell_known(struct kubernetes *k);
void kubernetes_purge_known(struct kubernetes *k);
void kubernetes_keep(struct kubernetes_collection *c, const char *key, const char *text, size_t len,
                     const cJSON *json);

/* kubernetes_block.c */
void kubernetes_claim(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                      const char *pool, weft_write_done_fn done, void *ctx);
void kubernetes_release(struct weft_source *s, const struct weft_prefix *cidr, const char *node,
                        weft_write_done_fn done, void *ctx);
void kubernetes_block_gone(struct kubernetes *k, const char *key); /* an event said so */
/* A watch tells of an object whose deletion was answered before. end: it tells of its end, which is the last of it. */
bool kubernetes_block_buried(struct kubernetes *k, const uint8_t uid[16], bool end);
/* A listing is complete that began when this generation did: what was buried before does not come up again. */
void kubernetes_block_forget(struct kubernetes *k, unsigned generation);
void kubernetes_free_blocks(struct kubernetes *k);

/* kubernetes_status.c */
void kubernetes_put_status(struct weft_source *s, enum weft_kind kind, const char *key,
                           const struct cJSON *status, weft_write_done_fn done, void *ctx);
void kubernetes_stop_statuses(struct kubernetes *k); /* we don't lead: no request goes out any more */

/* kubernetes_merge.c */

/* Hash of the controller's part of a status (an object's `status`, or what it wants to write); NULL = none */
uint64_t kubernetes_status_hash(const struct kubernetes *k, enum weft_kind kind, const cJSON *status);
/* Of a Service's ingress, whosever it is; never 0. */
uint64_t kubernetes_ingress_hash(const struct kubernetes *k, const cJSON *status);
bool kubernetes_status_marked(const cJSON *status); /* has conditions of weft's */
/* The patch that gives an object this status, NULL if it has it. now: "2026-01-31T12:00:00Z". */
cJSON *kubernetes_status_patch(enum weft_kind kind, const cJSON *object, const cJSON *status,
                               const char *now);
void kubernetes_now(char out[32]);

/* kubernetes_node.c */
void kubernetes_node_open(struct kubernetes *k);
void kubernetes_node_close(struct kubernetes *k);
void kubernetes_node_condition(struct weft_source *s, enum weft_node_condition which, bool holds,
                               const char *reason, const char *message);
void kubernetes_node_seen(struct kubernetes *k, const cJSON *json);

/* kubernetes_stand.c */
int kubernetes_stand(struct weft_source *s, const char *role, const char *identity,
                     void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err);
void kubernetes_tell_people(struct weft_source *s, enum weft_kind kind, const char *key, bool warning,
                            const char *reason, const char *message);
bool kubernetes_free_stands(struct kubernetes *k); /* true: a lease is being given back */
void kubernetes_describe_stands(const struct kubernetes *k, cJSON *out);

/* Is it of use to ask again for what gave this answer? */
bool kubernetes_passing(const struct kube_answer *a);
/* The time until then. */
uint64_t kubernetes_pause(const struct kubernetes *k, struct kube_backoff *b, const struct kube_answer *a);

#endif
