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

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/plan/adverts.h"
#include "agent/plan/routes.h"
#include "agent/state/cluster.h"
#include "weft/addr.h"

#define BGP_DEFAULT_AS        64512
#define BGP_DEFAULT_PORT      179
#define BGP_PROTOCOL_NAME_MAX 64  /* BIRD's limit for a symbol */
#define BGP_PASSWORD_MAX      80  /* TCP_MD5SIG_MAXKEYLEN; BIRD parses 81 and then the protocol goes down */
#define BGP_DESCRIPTION_MAX   255 /* of a string in bird.conf: agent/bird/guard.h */

enum bgp_profile {
	BGP_FAST,     /* BFD, graceful restart aware */
	BGP_GRACEFUL, /* graceful restart, no BFD, kernel persist, bird -R */
};

/* How far a drain is (docs/operations.md). It concerns what this node announces, never what it learns. */
enum bgp_drain {
	BGP_DRAIN_NONE,
	BGP_DRAIN_LAST_RESORT, /* all with GRACEFUL_SHUTDOWN (RFC 8326), local preference 0 on iBGP */
	BGP_DRAIN_WITHDRAWN,   /* besides: VIPs are not announced; pod blocks are */
};

struct bgp_peer_drain {
	const char *peer; /* BGPPeer's name */
	enum bgp_drain stage;
};

/* A router that was seen on a link: by the neighbour table (NTF_ROUTER), or as the gateway of a default route. */
struct bgp_neighbour {
	char dev[IFNAMSIZ];
	struct weft_addr addr; /* link-local or not */
	bool gateway;          /* a default route of table main, not BIRD's, has it */
};

/* What the daemon adds. Borrowed for the call. */
struct bgp_params {
	enum bgp_profile profile;
	const struct routes_link *links; /* our addresses on the underlay: which one a peer knows us by */
	size_t n_links;
	const struct bgp_neighbour *neighbours; /* sorted */
	size_t n_neighbours;
	const struct advert_class *classes; /* of the routes in table 179; NULL: the four plain ones */
	size_t n_classes;
	enum bgp_drain drain; /* of the node as a whole */
	const struct bgp_peer_drain *peer_drains;
	size_t n_peer_drains;
};

/* How one class is announced to one peer. Those that are not announced have no entry. */
struct bgp_export {
	uint32_t metric;
	unsigned type;                      /* one WEFT_ADVERT_* */
	char *comment;                      /* printable ASCII: the BGPAdvertisements that say so */
	struct weft_community *communities; /* sorted, no duplicates */
	size_t n_communities;
	bool has_local_pref;
	uint32_t local_pref; /* the highest of several */
	uint8_t prepend;     /* the highest of several */
	bool weight;         /* add the link-bandwidth community by krt_window */
};

/* What may be learnt from table 179: nothing but these metrics. */
struct bgp_class {
	uint32_t metric;
	unsigned type; /* one WEFT_ADVERT_* */
};

/* cidr{ge,le} of BIRD: prefixes inside cidr with ge <= length <= le. */
struct bgp_range {
	struct weft_prefix cidr;
	uint8_t ge, le;
};

/* A weft_bgp_rule with its names resolved. */
struct bgp_rule {
	struct bgp_range *prefixes;
	size_t n_prefixes;
	struct weft_community *communities, *add_communities;
	size_t n_communities, n_add_communities;
	uint32_t *as_path;
	size_t n_as_path;
	bool reject, has_local_pref;
	uint32_t local_pref;
	uint8_t prepend;
};

enum bgp_origin { BGP_PEER_OBJECT, BGP_PEER_MESH, BGP_PEER_REFLECTOR, BGP_PEER_CLIENT };

struct bgp_channel {
	bool on;
	bool extended_next_hop; /* RFC 8950: IPv4 over an IPv6 session */
};

struct bgp_peer {
	/* peer_..., mesh_..., mesh6_...: [a-z][a-z0-9_]*, unique in the model, at most 59 bytes: its filters are
	 * called from_... and to_.... */
	char protocol[BGP_PROTOCOL_NAME_MAX + 1];
	const char *name; /* of the BGPPeer object; of the Node for a peer that BGPConfig makes */
	enum bgp_origin origin;
	char description[BGP_DESCRIPTION_MAX + 1]; /* printable ASCII without '"'; "" = none */
	struct weft_addr address;
	char interface[IFNAMSIZ]; /* "" unless the address is link-local */
	struct weft_addr local;   /* ours on the peer's link (the InternalIP if it is one of them), else the
	                             InternalIP; AF_UNSPEC for a link-local peer */
	uint16_t port;
	enum weft_peer_as as_mode;
	uint32_t as_number, local_as; /* local_as is always set */
	bool ibgp;                    /* as far as can be known: internal, or the same number */
	uint8_t multihop;             /* 0 = direct */
	bool ttl_security, passive;
	uint16_t hold_s, keepalive_s, connect_retry_s; /* all set */
	const char *password; /* sodium memory of the Secret, not NUL-terminated; NULL = none */
	size_t password_len;  /* 1..80, printable ASCII without '"' */
	bool bfd;
	uint16_t bfd_rx_ms, bfd_tx_ms; /* set if bfd */
	uint8_t bfd_multiplier;
	enum weft_gr_mode restart; /* never BY_PROFILE */
	uint16_t restart_s;
	uint32_t long_lived_s; /* 0 = off */
	uint32_t max_prefixes;
	enum weft_limit_action max_prefixes_action;
	uint8_t allow_own_as;
	enum weft_next_hop next_hop;
	enum weft_add_path add_path;
	bool reflector_client;
	struct weft_addr cluster_id;    /* AF_UNSPEC = none */
	struct bgp_channel channels[2]; /* IPv4, IPv6 */
	enum bgp_drain drain;           /* the further of the node's and its own */
	struct bgp_rule *import, *export;
	size_t n_import, n_export;
	struct bgp_export *exports; /* by metric */
	size_t n_exports;
	char reason[320]; /* "" = render it; else why not: then every other field may be unset */
};

struct bgp_model {
	struct weft_addr router_id; /* always set: routerID, our v4 address, or derived from our name */
	uint32_t local_as;
	uint16_t listen_port;
	struct weft_addr listen_address[2]; /* AF_UNSPEC = every address */
	enum bgp_profile profile;
	struct weft_addr ip4, ip6; /* ours; AF_UNSPEC = none, or our Node is unknown */
	struct bgp_class *classes; /* by metric */
	size_t n_classes;
	struct bgp_peer *peers; /* those that select this node, by object name; then those BGPConfig makes */
	size_t n_peers;
	struct bgp_range *advertise; /* where our own blocks may lie; sorted, no duplicates */
	size_t n_advertise;
	struct bgp_range *import; /* what we accept from peers: advertise and BGPConfig's importPrefixes */
	size_t n_import;
	char **warnings; /* sentences for status: a mesh of more than 100 nodes ... */
	size_t n_warnings;
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

/* What a session goes through when BIRD is given another model. */
enum bgp_change { BGP_SESSION_ADDED, BGP_SESSION_REMOVED, BGP_SESSION_SOFT, BGP_SESSION_RESTARTS };

/*
 * Called for each session that does not stay as it is: of `after` in its order, then those removed. `field` is
 * what makes it restart, as BGPPeer or BGPConfig calls it; NULL for the other changes.
 */
typedef void (*bgp_change_fn)(void *ctx, const struct bgp_peer *peer, enum bgp_change change,
                              const char *field);
void bgp_model_restarts(const struct bgp_model *before, const struct bgp_model *after, bgp_change_fn fn,
                        void *ctx);

#endif
