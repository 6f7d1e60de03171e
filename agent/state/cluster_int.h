// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside agent/state: how the cluster is stored. Nobody else includes this.
 *
 *	cluster.c   objects by kind and key, dispatch of events, reading
 *	nodes.c     nodes, by name and by address
 *	pools.c     which pools give blocks (the rules between pools)
 *	ipblocks.c  which blocks are in force (the rules between blocks), what serves them
 *	plain.c     kinds without rules: Namespace, ServiceCIDR, BGPAdvertisement
 *	dirty.c     the queue of dirty keys
 *	reports.c   what the source found malformed
 *
 * A node or pool entry can exist without its object: blocks name it, and hang in its list until it comes.
 */
#ifndef AGENT_STATE_CLUSTER_INT_H
#define AGENT_STATE_CLUSTER_INT_H

#include "weft/keyhash.h"

/* An allocation that fails inside uthash ends the process, as must_alloc() does. */
#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

#include "agent/state/cluster.h"
#include "agent/state/trie.h"

struct block_entry;

struct node_entry {
	UT_hash_handle hh;
	char *key;
	struct weft_object *obj;              /* NULL: only named by blocks */
	struct block_entry *blocks;           /* those that name it */
	struct node_entry *prev[2], *next[2]; /* nodes with the same v4, v6 address */
};

struct pool_entry {
	UT_hash_handle hh;
	char *key;
	struct weft_object *obj; /* NULL: only named by blocks */
	struct block_entry *blocks;
	size_t n_blocks;
	struct weft_range whole; /* its cidr as a range, of a pool without a list of ranges */
	bool in_force;           /* won its overlaps the last time */
	bool has_node;           /* scratch of pools_evaluate(): a node's address lies in it */
	char *refused;           /* malloc'd; NULL = may give blocks */
};

struct block_entry {
	UT_hash_handle hh;
	char *key;
	struct weft_object *obj;
	struct node_entry *node;
	struct pool_entry *pool;                   /* the one it names */
	struct block_entry *node_prev, *node_next; /* siblings of its node */
	struct block_entry *pool_prev, *pool_next; /* siblings of its pool */
	struct block_entry *prev, *next;           /* objects with the same CIDR */
	bool in_force;
	uint8_t rank; /* of the last settling, see ipblocks.c */
};

struct secret_entry {
	UT_hash_handle hh;
	char *key;
	struct weft_object *obj; /* NULL: only named by peers */
	size_t n_peers;          /* BGPPeers that name it */
};

struct plain_entry {
	UT_hash_handle hh;
	char *key;
	struct weft_object *obj;
};

struct dirty_entry;  /* dirty.c */
struct report_scope; /* reports.c */

struct cluster {
	struct keyhash hash;
	char *self;
	bool synced, own_only;

	struct node_entry *nodes;
	struct node_entry *own; /* this node's: stays without an object too */
	struct pool_entry *pools;
	struct block_entry *blocks;
	struct secret_entry *secrets;
	struct plain_entry *plain[WEFT_KIND_COUNT]; /* of the kinds that plain.c keeps */
	struct plain_entry *deleted;   /* BGPAdvertisements, see cluster_deleted_advertisement() */
	size_t count[WEFT_KIND_COUNT]; /* objects, not placeholders */

	struct pool_entry **pools_by_name; /* with an object */
	struct weft_object **peers_by_name;
	struct weft_object *bgpconfig;

	struct trie by_cidr; /* struct block_entry: head of those with this CIDR */
	struct trie by_ip;   /* struct node_entry: head of those with this address */
	struct trie unseen;  /* taken blocks without an object: cluster_block_unseen() */
	size_t n_shadowed;   /* blocks with rank > 0 that are not in force */
	size_t n_refused;    /* pools refused */

	struct dirty_entry *dirty;
	struct report_scope *reports;
	size_t n_reports;
};

/* Find by NUL-terminated key in one of the tables; expands to a typed pointer or NULL. */
#define TABLE_FIND(c, head, text, out)                                             \
	do {                                                                       \
		size_t len_ = strlen(text);                                        \
		unsigned hash_ = keyhash(&(c)->hash, text, len_);                  \
		HASH_FIND_BYHASHVALUE(hh, head, text, (unsigned)len_, hash_, out); \
	} while (0)

/* Make an entry for the key. */
#define TABLE_ADD(c, head, text, out)                                                          \
	do {                                                                                   \
		(out) = must_alloc(1, sizeof(*(out)));                                         \
		(out)->key = must_strdup(text);                                                \
		size_t len_ = strlen((out)->key);                                              \
		unsigned hash_ = keyhash(&(c)->hash, (out)->key, len_);                        \
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, (out)->key, (unsigned)len_, hash_, out); \
	} while (0)

#define TABLE_DEL(head, entry)         \
	do {                           \
		HASH_DEL(head, entry); \
		free((entry)->key);    \
		free(entry);           \
	} while (0)

/* nodes.c */
struct node_entry *nodes_find(const struct cluster *c, const char *name);
struct node_entry *nodes_need(struct cluster *c, const char *name);
void nodes_drop_if_unused(struct cluster *c, struct node_entry *n);
void nodes_put(struct cluster *c, const char *key, struct weft_object *obj);
void nodes_del(struct cluster *c, const char *key);

/* pools.c */
struct pool_entry *pools_find(const struct cluster *c, const char *name);
struct pool_entry *pools_need(struct cluster *c, const char *name);
void pools_drop_if_unused(struct cluster *c, struct pool_entry *p);
void pools_put(struct cluster *c, const char *key, struct weft_object *obj);
void pools_del(struct cluster *c, const char *key);
void pools_evaluate(struct cluster *c);
/* A node's address came or went: does that change what a pool may do? */
void pools_node_address(struct cluster *c, const struct weft_addr *addr);
/* The pool got its first block or lost its last. */
void pools_block_count_changed(struct cluster *c);
/* Those that ask for tunnels where there can be none. */
void pools_each_untunnelled(const struct cluster *c, cluster_report_fn fn, void *ctx);
/* The pool that serves a CIDR: the named one if it contains it, else the longest that does, else NULL. */
struct pool_entry *pools_serving(const struct cluster *c, struct pool_entry *named,
                                 const struct weft_prefix *cidr);

/* ipblocks.c */
void ipblocks_put(struct cluster *c, const char *key, struct weft_object *obj);
void ipblocks_del(struct cluster *c, const char *key);
/* Which blocks are in force, from scratch: once, at SYNCED. */
void ipblocks_settle_all(struct cluster *c);
/* A pool's CIDR, block size or mode changed, or it came or went: its blocks, and those inside the CIDRs. */
void ipblocks_pool_changed(struct cluster *c, struct pool_entry *p, const struct weft_prefix *was,
                           const struct weft_prefix *is);
void ipblocks_free(struct cluster *c);

/* plain.c */
bool plain_kind(enum weft_kind kind);
/* obj NULL removes. */
void plain_set(struct cluster *c, enum weft_kind kind, const char *key, struct weft_object *obj);
const struct weft_object *plain_get(const struct cluster *c, enum weft_kind kind, const char *key);
void plain_each(const struct cluster *c, enum weft_kind kind, cluster_each_fn fn, void *ctx);
void plain_free(struct cluster *c);

/* dirty.c */
void dirty_block(struct cluster *c, const struct weft_prefix *cidr);
void dirty_node(struct cluster *c, const char *name);
void dirty_namespace(struct cluster *c, const char *name);
void dirty_mark(struct cluster *c, enum cluster_dirty_kind kind);
void dirty_free(struct cluster *c);

/* reports.c */
void reports_take(struct cluster *c, const struct weft_event *ev);
void reports_each(const struct cluster *c, cluster_report_fn fn, void *ctx);
void reports_free(struct cluster *c);

#endif
