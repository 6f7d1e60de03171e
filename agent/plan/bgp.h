// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What BIRD has to be told, as data: the cluster's objects -> one BGP model for this node.
 *
 * The model is complete and in a fixed order, so that equal models render to equal text. What can't be
 * rendered safely is still in it, with the reason, for `weftctl peers`.
 *
 * Ownership: a model borrows names, descriptions and passwords from the cluster: use it before the next
 * cluster_handle(). To know later whether anything changed keep the fingerprint, not the model.
 */
#ifndef AGENT_PLAN_BGP_H
#define AGENT_PLAN_BGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/plan/routes.h"
#include "agent/state/cluster.h"
#include "weft/addr.h"

#define BGP_DEFAULT_AS        64512
#define BGP_DEFAULT_PORT      179
#define BGP_PROTOCOL_NAME_MAX 64  /* BIRD's limit for a symbol */
#define BGP_PASSWORD_MAX      80  /* TCP_MD5SIG_MAXKEYLEN; BIRD parses 81 and then the protocol goes down */
#define BGP_DESCRIPTION_MAX   200 /* BIRD strings: far below the 4,096 bytes that crash it */

enum bgp_profile {
	BGP_FAST,     /* BFD, graceful restart aware */
	BGP_GRACEFUL, /* graceful restart, no BFD, kernel persist, bird -R */
};

/* What the daemon's configuration adds. */
struct bgp_params {
	enum bgp_profile profile;
	const struct routes_link *links; /* our addresses on the underlay: which one a peer knows us by */
	size_t n_links;
};

struct bgp_peer {
	char protocol[BGP_PROTOCOL_NAME_MAX + 1];  /* peer_...: [a-z][a-z0-9_]*, unique in the model */
	const char *name;                          /* of the BGPPeer object */
	char description[BGP_DESCRIPTION_MAX + 1]; /* printable ASCII without '"'; "" = none */
	struct weft_addr address;                  /* its family is the family of the session */
	struct weft_addr local; /* ours on the peer's link (the InternalIP if it is one of them), else the
	                           InternalIP */
	uint16_t port;
	uint32_t as_number;
	const char *password; /* sodium memory of the Secret, not NUL-terminated; NULL = none */
	size_t password_len;  /* 1..80, printable ASCII without '"' */
	char reason[320];     /* "" = render it; else why not: then every other field may be unset */
};

/* cidr{ge,le} of BIRD: prefixes inside cidr with ge <= length <= le. */
struct bgp_range {
	struct weft_prefix cidr;
	uint8_t ge, le;
};

struct bgp_model {
	struct weft_addr router_id; /* always set: routerID, our v4 address, or derived from our name */
	uint32_t local_as;
	uint16_t listen_port;
	enum bgp_profile profile;
	struct weft_addr ip4, ip6; /* ours; AF_UNSPEC = none, or our Node is unknown */
	struct bgp_peer *peers;    /* those that select this node, by object name */
	size_t n_peers;
	struct bgp_range *advertise; /* where our own blocks may lie; sorted, no duplicates */
	size_t n_advertise;
	struct bgp_range *import; /* what we accept from peers: advertise and BGPConfig's importPrefixes */
	size_t n_import;
};

#define BGP_FINGERPRINT 32

/* Build the model of the present state. Release with bgp_model_free(). */
void bgp_plan(const struct cluster *c, const struct bgp_params *params, struct bgp_model *out);
void bgp_model_free(struct bgp_model *m);

/*
 * A digest of everything in the model, passwords included. It is keyed, so that a digest that leaks can't be
 * used to guess a password offline; `key` is any 32 random bytes kept for the life of the process.
 */
void bgp_fingerprint(const struct bgp_model *m, const uint8_t key[32], uint8_t out[BGP_FINGERPRINT]);

/* The same in every field, hence the same text. */
bool bgp_model_equal(const struct bgp_model *a, const struct bgp_model *b);

#endif
