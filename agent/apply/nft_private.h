// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside of the nftables reconciler:
 *
 *   nft.c                decides: adopt, read back, replace, or write what changed
 *   nft_elements.c       elements of sets: what is wanted, what is in the kernel, what differs
 *   nft_sources.c        which source ranges lie in others, as the kernel takes no nested ones
 *   nft_text.c           the table's rules in the language of nft(8)
 *   nft_text_elements.c  its sets and their elements in that language
 *   nft_listing.c        reads what the kernel lists
 *   nft_run.c            libnftables
 */
#ifndef WEFT_APPLY_NFT_PRIVATE_H
#define WEFT_APPLY_NFT_PRIVATE_H

#include <sodium.h>
#include <uthash.h>

#include "agent/apply/nft.h"
#include "agent/kernel/nft_watch.h"
#include "weft/buf.h"
#include "weft/marks.h"

#define NFT_TABLE "inet " WEFT_NFT_TABLE

/* --- sets: the kinds of enum svc_set and the nodes' addresses, for each family --- */

#define NFT_SET_PEER SVC_SET_COUNT
#define NFT_KINDS    (SVC_SET_COUNT + 1)
#define NFT_SETS     (2 * NFT_KINDS) /* numbered: 2 * kind + (IPv6) */

enum nft_field {                   /* after the address, in this order */
	         NFT_PORT = 1,     /* . protocol . port */
	         NFT_SOURCE = 2,   /* . prefix */
	         NFT_ITSELF = 4,   /* . the same address */
	         NFT_MARK = 8,     /* : mark */
	         NFT_IP4_ONLY = 16 /* there is no such set for IPv6 */
};

struct nft_kind {
	const char *name; /* of the set, without 4 or 6 */
	unsigned fields;
	const char *comment;
};
extern const struct nft_kind nft_kinds[NFT_KINDS];

static inline unsigned nft_set_of(const struct svc_element *e)
{
	return 2 * e->set + (e->addr.family == AF_INET6);
}

static inline bool nft_set_exists(unsigned set, bool services)
{
	if (set / 2 == NFT_SET_PEER)
		return set % 2 == 0;
	return services;
}

/* --- elements --- */

struct nft_group;

struct nft_element {
	struct svc_element e; /* its mark is the wanted one, or else the kernel's */
	uint32_t run_mark;    /* in the kernel, if present */
	unsigned owners;
	bool present; /* in our view of the kernel */
	bool stale;   /* found at a restart, not wanted since, kept until the sweep */
	bool covered; /* a source range that lies in another one of its group */
	bool seen;    /* by the listing that is being read */
	bool dirty;   /* in the list of what is to be written */
	struct nft_element *prev, *next;
	struct nft_group *group; /* source ranges only */
	struct nft_element *group_prev, *group_next;
	UT_hash_handle hh;
};

struct nft_elements {
	struct nft_element *all;   /* hash by SVC_ELEMENT_KEY bytes */
	struct nft_element *dirty; /* list, in the order of the changes */
	struct nft_group *groups;  /* hash */
	struct nft_group *unsorted;
	size_t peers, wanted; /* with owners: tunnel peers, all others */
	bool services;        /* the sets of Services are wanted */
	bool swept;
	unsigned char key[crypto_shorthash_KEYBYTES];
};

void nft_elements_init(struct nft_elements *els);
void nft_elements_free(struct nft_elements *els);

/* Both ignore what is no element of any set. */
void nft_elements_want(struct nft_elements *els, const struct svc_element *e);
void nft_elements_unwant(struct nft_elements *els, const struct svc_element *e);
struct nft_element *nft_elements_find(const struct nft_elements *els, const struct svc_element *e);
void nft_elements_services(struct nft_elements *els, bool services);
void nft_elements_sweep(struct nft_elements *els);

/* Should it be in the kernel? */
bool nft_element_target(const struct nft_elements *els, const struct nft_element *p);

/* Find out what really differs; before the list of dirty ones, or any target, is looked at. */
void nft_elements_settle(struct nft_elements *els);
bool nft_elements_maybe_dirty(const struct nft_elements *els);

/* The dirty ones were written; all targets were written into a new table. */
void nft_elements_written(struct nft_elements *els);
void nft_elements_replaced(struct nft_elements *els);

/* The kernel's elements, one by one: begin, found for each, end. The first reading finds left-overs. */
void nft_elements_read_begin(struct nft_elements *els);
void nft_elements_found(struct nft_elements *els, const struct svc_element *e, bool first);
void nft_elements_read_end(struct nft_elements *els);

/* For nft_sources.c: put it where it belongs after a change; may free it. */
void nft_element_place(struct nft_elements *els, struct nft_element *p);
bool nft_element_alive(const struct nft_elements *els, const struct nft_element *p);
unsigned nft_hash(const struct nft_elements *els, const void *data, size_t len);
void *nft_alloc(size_t size); /* zeroed; aborts when memory ends: a restart loses nothing */

void nft_sources_add(struct nft_elements *els, struct nft_element *p);
void nft_sources_del(struct nft_elements *els, struct nft_element *p);
void nft_sources_changed(struct nft_elements *els, struct nft_element *p);
void nft_sources_settle(struct nft_elements *els);

/* --- text --- */

/* One transaction that makes the table anew, with all elements that should be there (NULL: with none). */
void nft_text_table(struct weft_buf *b, const struct nft_shape *shape, const struct nft_elements *els);

/* The sets as a part of the table. */
void nft_text_sets(struct weft_buf *b, bool services, const struct nft_elements *els);

/* One transaction that deletes and adds the dirty elements. */
void nft_text_changes(struct weft_buf *b, const struct nft_elements *els);

/* --- listings --- */

/*
 * Hands the elements of our sets in a listing of the table to els and takes them out of the text, which then
 * is what tells whether somebody altered the table. False: an element is none that we would write.
 */
bool nft_listing_read(char *text, struct nft_elements *els, bool first);

/* In a listing of chains: one of another table that drops what comes in (H11). Names it, or returns false. */
bool nft_listing_input_drop(char *text, char table[64], char chain[64]);

/* --- libnftables --- */

struct nft_ctx;

struct nft_ctx *nft_context(struct weft_err *err);
int nft_run(struct nft_ctx *ctx, const char *text, struct weft_err *err);

/* The table as text, malloc'd; *out stays NULL if there is no such table. Terse: without elements of sets. */
int nft_list_table(bool terse, char **out, struct weft_err *err);
int nft_list_chains(char **out, struct weft_err *err);

#endif
