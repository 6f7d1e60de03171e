// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The nftables table `inet weft`: all of it is ours, no other table is touched.
 *
 * It accepts encapsulated packets (IPIP, IPv6 in IPv4) from known nodes only, and gives what this node itself
 * sends into a tunnel the tunnel's address. With Services it also says what goes to IPVS, what is dropped or
 * refused, and what is masqueraded. A node or an endpoint that comes or goes is one set element; the table is
 * replaced, in one transaction, only when its shape changes or when somebody altered its rules.
 *
 * A restart adopts the table: if the rules are still those that an earlier life wrote (a record on disk says
 * so) nothing is written, and elements which nobody wants yet stay until nft_sweep(), also when the rules
 * must change.
 */
#ifndef WEFT_APPLY_NFT_H
#define WEFT_APPLY_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/plan/services.h"
#include "weft/addr.h"
#include "weft/err.h"

#define NFT_NEVER UINT64_MAX
#define NFT_CIDRS 32

/* What decides the shape of the table. */
struct nft_shape {
	bool ipip, sit; /* the device exists: accept its protocol from known nodes, and from nobody else */
	struct weft_addr local;   /* v4: the tunnels' own end; set when one of them exists */
	struct weft_addr tunnel4; /* address of weft.ipip; AF_UNSPEC = no source NAT into it */
	struct weft_addr tunnel6; /* of weft.sit */

	bool services;                               /* sets and rules of Services are there */
	struct weft_addr node4, node6;               /* source of what is masqueraded: our InternalIPs */
	bool masquerade_all;                         /* ClusterIP traffic of pods too */
	struct weft_prefix service_cidrs[NFT_CIDRS]; /* closed like VIPs (S17) */
	size_t n_service_cidrs;
	struct weft_prefix
	        pod_cidrs[NFT_CIDRS]; /* of the cluster: keep their source towards ClusterIPs (S21) */
	size_t n_pod_cidrs;

	/* Connections that began on other nodes (agent/plan/handover.h). */
	uint32_t hand_mark; /* of segments for the next node; 0 = nothing is handed to anybody */
	uint8_t hand_left;  /* nodes to ask */
	bool hand_drop;     /* what the last one asked does not know is dropped, not reset */
};

struct nft;

/*
 * In the calling thread's network namespace. record: path of a small file that tells the next life what this
 * one wrote; borrowed for the call, NULL = the rules are never adopted. NULL on failure.
 */
struct nft *nft_new(const char *record, struct weft_err *err);
void nft_free(struct nft *n); /* leaves the table */

void nft_want(struct nft *n, const struct nft_shape *shape);
void nft_want_peer(struct nft *n, const struct weft_addr *ip4); /* IPv4 address of a node */
void nft_unwant_peer(struct nft *n, const struct weft_addr *ip4);

/*
 * An element of a Service's set; wanted by any number of owners, it goes with the last. The same key with
 * another mark changes the mark (delete and add in one transaction). Costs one element in the next
 * transaction.
 */
void nft_want_element(struct nft *n, const struct svc_element *e);
void nft_unwant_element(struct nft *n, const struct svc_element *e);

/* Everything that is wanted has been said: elements of an earlier life that nobody wants can go. */
void nft_sweep(struct nft *n);

/* Is there nothing that nft_apply() would have to write? */
bool nft_settled(const struct nft *n);

/* Nothing is written before the first nft_want(). 0, or a negative errno: kept dirty, see nft_deadline(). */
int nft_apply(struct nft *n, uint64_t now, struct weft_err *err);
uint64_t nft_deadline(const struct nft *n);

/* Read the table back; what differs from what is wanted is put right by the next nft_apply(). */
int nft_resync(struct nft *n, struct weft_err *err);

/* Changes of nftables by others: poll the fd, call nft_on_readable(), then nft_apply(). */
int nft_fd(const struct nft *n);
void nft_on_readable(struct nft *n);

struct nft_stats {
	uint64_t replacements, element_updates, readbacks, failures;
	uint64_t repairs;       /* readings that found somebody else's changes */
	size_t peers, elements; /* wanted; elements without peers */
};
struct nft_stats nft_stats(const struct nft *n);

/*
 * H11: does somebody else's chain drop what comes in by default (hook input, policy drop)? Writes one
 * sentence that names table and chain and says what to do, "" if there is none. Looks at the whole ruleset:
 * for start-up and when the ruleset changed, not for each event.
 */
int nft_foreign_input_drop(struct nft *n, char text[256], struct weft_err *err);

/* `weftd cleanup`: delete the table, if it is there. */
int nft_cleanup(struct weft_err *err);

#endif
