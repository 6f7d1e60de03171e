// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cluster as this node knows it: objects by kind and key, the indexes that planning needs, and the keys
 * that an event made dirty.
 *
 * A source's events go in (cluster_handle); the daemon drains dirty keys (cluster_dirty_next) and plans each
 * of them anew. An event costs what it changes: lookups are hashed with a secret key or go through a trie,
 * and no handler walks all nodes or all blocks, except where all of them depend on what changed (our own
 * address).
 *
 * Rules between objects are applied here, because they need the whole picture:
 * - Pools that overlap: the one that has blocks wins, then the one that holds no node's address, then the
 *   one in force, then name order. The loser is refused. A pool that contains a node's InternalIP is refused
 *   too. Refused = no new blocks; its existing blocks keep their routes.
 * - An IPBlock outside every pool is ignored. One whose pool doesn't exist, or doesn't contain it, is served
 *   by the pool that does, and reported.
 * - IPBlocks that overlap: the one with its pool's block size wins, then the one in force, then name order.
 *   The others are ignored until it goes.
 * Before SYNCED arrival order means nothing: the rules are applied once, at SYNCED.
 *
 * Ownership: the cluster owns the objects. What a reader gets is borrowed until the next cluster_handle().
 */
#ifndef AGENT_STATE_CLUSTER_H
#define AGENT_STATE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/object.h"
#include "weft/source.h"

struct cluster;

/* self: the name of our Node, copied. Never NULL (aborts when memory ends). */
struct cluster *cluster_new(const char *self);
void cluster_free(struct cluster *c);

/* The source tells of no Node but ours. That those of blocks are unknown is no problem then; without their
 * addresses there are no tunnels, and a pool that asks for some is reported. Before the first event. */
void cluster_own_node_only(struct cluster *c);

/* Take an event; ev->obj becomes ours. cluster_sink is the same as a weft_sink_fn (ctx = the cluster). */
void cluster_handle(struct cluster *c, const struct weft_event *ev);
void cluster_sink(void *ctx, const struct weft_event *ev);

bool cluster_synced(const struct cluster *c);

/* --- dirty keys --- */

enum cluster_dirty_kind {
	CLUSTER_DIRTY_BLOCK, /* a CIDR: plan its routes (and its advert); it may be gone */
	CLUSTER_DIRTY_NODE,  /* a node's name: its addresses or reasons to drain it changed; it may be gone */
	CLUSTER_DIRTY_POOLS, /* which pools there are, what they allow, which select us */
	CLUSTER_DIRTY_BGP,   /* something that the BGP model is made of */
	CLUSTER_DIRTY_SELF,  /* our own Node: addresses, labels, AS number, there or not */
	CLUSTER_DIRTY_SERVICES,  /* what all Services depend on: ServiceCIDRs, BGPAdvertisements */
	CLUSTER_DIRTY_NAMESPACE, /* a Namespace's name: its labels changed; it may be gone */
};

struct cluster_dirty {
	enum cluster_dirty_kind kind;
	struct weft_prefix block;     /* BLOCK */
	char name[WEFT_NAME_MAX + 1]; /* NODE, NAMESPACE */
};

/* The oldest dirty key, taken off the queue; false when there is none. Each key is queued at most once. */
bool cluster_dirty_next(struct cluster *c, struct cluster_dirty *out);
size_t cluster_dirty_count(const struct cluster *c);

/* Ask for every block, node, and the single keys again (start-up, or an environment that changed). */
void cluster_dirty_all(struct cluster *c);

/* --- reading --- */

const char *cluster_self_name(const struct cluster *c);

/* An object by kind and key, NULL if there is none. */
const struct weft_object *cluster_get(const struct cluster *c, enum weft_kind kind, const char *key);
size_t cluster_count(const struct cluster *c, enum weft_kind kind);

/*
 * A BGPAdvertisement as it was when it was deleted, NULL = none of this name was. Routes that are announced by it stay
 * so until BIRD's filters know what they are to be announced by instead: cluster_forget_deleted() then lets go of all
 * but those that are still needed (NULL: of all).
 */
const struct weft_object *cluster_deleted_advertisement(const struct cluster *c, const char *name);
void cluster_forget_deleted(struct cluster *c, bool (*needed)(void *ctx, const char *name), void *ctx);

/* Our own Node or NULL; a node with this InternalIP (any of them, if several claim it) or NULL. */
const struct weft_object *cluster_self(const struct cluster *c);
const struct weft_object *cluster_node_by_ip(const struct cluster *c, const struct weft_addr *ip);

/* The namespace of the Secrets that BGPPeers name. */
#define CLUSTER_SECRET_NAMESPACE "kube-system"

/* The Secret that a peer names, NULL if it names none or there is none. */
const struct weft_object *cluster_secret_of(const struct cluster *c, const struct weft_bgppeer *peer);

/* Every object of a kind: pools and peers in name order, other kinds in none. True stops. Services, slices
 * and their statuses are not here: agent/state/services.h. */
typedef bool (*cluster_each_fn)(void *ctx, const struct weft_object *obj);
void cluster_each(const struct cluster *c, enum weft_kind kind, cluster_each_fn fn, void *ctx);

/* A pool as the rules leave it. */
struct cluster_pool {
	const char *name;
	const struct weft_ippool *spec;
	size_t n_blocks;     /* IPBlocks that name it */
	bool selects_self;   /* nodeSelector against our labels; false while our Node is unknown */
	const char *refused; /* why it gives no new blocks, NULL = it may */
};

/* All pools in name order: i from 0 until it returns false. */
bool cluster_pool_at(const struct cluster *c, size_t i, struct cluster_pool *out);

/* A block as the rules leave it. */
enum cluster_block_state {
	CLUSTER_BLOCK_OK,
	CLUSTER_BLOCK_WRONG_POOL,   /* served, by another pool than it names: reported */
	CLUSTER_BLOCK_NODE_UNKNOWN, /* no route until the Node exists */
	CLUSTER_BLOCK_OUTSIDE,      /* ignored: in no pool */
	CLUSTER_BLOCK_OVERLAP,      /* ignored: overlaps another block */
};

#define CLUSTER_TEXT 1024

struct cluster_block {
	struct weft_prefix cidr;
	const char *name, *node_name;   /* of the IPBlock; of its node */
	const char *pool_name;          /* of the pool that serves it; the one it names if none does */
	const struct weft_node *node;   /* NULL = unknown */
	const struct weft_ippool *pool; /* NULL = none serves it */
	bool own;                       /* the node is us */
	enum cluster_block_state state;
	char problem[CLUSTER_TEXT]; /* one sentence unless state is OK */
};

/* The block with exactly this CIDR (the one in force where several objects claim it); false = none. */
bool cluster_block(const struct cluster *c, const struct weft_prefix *cidr, struct cluster_block *out);

/* Is any part of this CIDR in some IPBlock (in force or not, or unseen)? The predicate for choosing new
 * blocks.
 */
bool cluster_block_taken(const struct cluster *c, const struct weft_prefix *cidr);

/*
 * A claim was refused because the datastore has the block, but no readable object says so (a malformed
 * manifest). It counts as taken until an IPBlock with this CIDR comes or goes, or a report is taken back.
 */
void cluster_block_unseen(struct cluster *c, const struct weft_prefix *cidr);

/* The blocks of a node, in no order; every block (for status). True stops. */
typedef bool (*cluster_block_fn)(void *ctx, const struct cluster_block *b);
void cluster_each_block_of(const struct cluster *c, const char *node, cluster_block_fn fn, void *ctx);
void cluster_each_block(const struct cluster *c, cluster_block_fn fn, void *ctx);

/* Is the address in a block of this node, whatever that block's state? Asked for each endpoint of a Service.
 */
bool cluster_self_has(const struct cluster *c, const struct weft_addr *addr);

/* Is there a pool (of Pods, of this family) whose blocks may travel in a tunnel? */
bool cluster_wants_tunnel(const struct cluster *c, uint8_t family);

/* Does some INVALID report of the source stand? */
bool cluster_invalid(const struct cluster *c);

/* Everything wrong that is known: INVALID reports of the source, refused pools, blocks not served as written.
 * `where` is "" for the latter two. For status: walks all blocks. */
typedef void (*cluster_report_fn)(void *ctx, const char *where, const char *text);
void cluster_each_report(const struct cluster *c, cluster_report_fn fn, void *ctx);

#endif
