// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cluster objects as weft understands them: typed, validated, bounded.
 *
 * agent/source decodes manifests (or API server JSON) into these; everything behind it sees only valid
 * values. An object is one allocation tree owned by whoever holds the pointer and released by
 * weft_object_free(); once it is handed to agent/state it is immutable. Strings are printable UTF-8 without
 * control characters.
 */
#ifndef WEFT_OBJECT_H
#define WEFT_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/addr.h"

#define WEFT_NAME_MAX 253 /* DNS-1123 subdomain */

enum weft_kind {
	WEFT_NODE,   /* v1 */
	WEFT_SECRET, /* v1, only those that a BGPPeer names are kept by agent/state */
	WEFT_NAMESPACE,
	WEFT_SERVICE,
	WEFT_ENDPOINTSLICE, /* discovery.k8s.io/v1 */
	WEFT_SERVICECIDR,   /* networking.k8s.io/v1 */
	WEFT_IPPOOL,        /* weft.dev/v1alpha1 from here */
	WEFT_IPBLOCK,
	WEFT_BGPCONFIG,
	WEFT_BGPPEER,
	WEFT_BGPADVERTISEMENT,
	WEFT_SERVICESTATUS, /* only in a directory: what the controller wrote for a Service */
	WEFT_KIND_COUNT
};

/* "Node", "IPPool", ...; apiVersion: "v1", "weft.dev/v1alpha1". */
const char *weft_kind_name(enum weft_kind kind);
const char *weft_kind_api(enum weft_kind kind);
bool weft_kind_namespaced(enum weft_kind kind);
/* May the controller write a status of such an object? */
bool weft_kind_has_status(enum weft_kind kind);

/* DNS-1123 subdomain, at most WEFT_NAME_MAX bytes: the syntax of object names. */
bool weft_name_valid(const char *name);
/* The syntax of a key in a Secret. */
bool weft_secret_key_valid(const char *key);

struct weft_label {
	char *key, *value;
};

struct weft_meta {
	char *name;
	char *namespace; /* NULL for cluster-scoped kinds */
	struct weft_label *labels;
	size_t n_labels;
	struct weft_label *annotations;
	size_t n_annotations;
	char *resource_version; /* opaque, may be NULL */
	bool deleting;          /* has a deletionTimestamp */
};

/* metav1.LabelSelector; no requirement = everything. matchLabels become IN with one value. */
enum weft_selector_op { WEFT_SEL_IN, WEFT_SEL_NOT_IN, WEFT_SEL_EXISTS, WEFT_SEL_NOT_EXISTS };

struct weft_requirement {
	char *key;
	enum weft_selector_op op;
	char **values;
	size_t n_values;
};

struct weft_selector {
	struct weft_requirement *reqs;
	size_t n_reqs;
};

bool weft_selector_matches(const struct weft_selector *s, const struct weft_label *labels, size_t n_labels);

struct weft_node {
	struct weft_addr ip4, ip6; /* the first InternalIP of each family; AF_UNSPEC if none */
	uint32_t as_number;        /* annotation weft.dev/as-number; 0 = none */
	bool autoscaler_taint;     /* has the taint ToBeDeletedByClusterAutoscaler */
	bool cordoned;             /* spec.unschedulable */
	bool draining; /* its weftd says so by WEFT_CONDITION_DRAINING; never a reason for that weftd itself */
	struct weft_prefix pod_cidr4, pod_cidr6; /* the first of each family; AF_UNSPEC if none */
};

/* Both ends included, one family, first <= last. */
struct weft_range {
	struct weft_addr first, last;
};

enum weft_pool_use { WEFT_USE_PODS, WEFT_USE_LOADBALANCER };
enum weft_tunnel_mode {
	WEFT_TUNNEL_FALLBACK,
	WEFT_TUNNEL_NEVER,
	WEFT_TUNNEL_CROSS_SUBNET,
	WEFT_TUNNEL_ALWAYS
};

struct weft_ippool {
	struct weft_prefix cidr;
	uint8_t block_size; /* prefix length of a block */
	/* Blocks of any length from block_size to this: they are Node.spec.podCIDRs
	 * (agent/source/podcidrs.h), which nobody claims. 0 = no such pool. */
	uint8_t longest_block;
	enum weft_pool_use use;
	enum weft_tunnel_mode tunnel;
	struct weft_selector node_selector;
	bool disabled; /* no new blocks, no new LoadBalancer IPs */

	/* use: LoadBalancer. cidr (unset when spec.ranges is given) is the first of the ranges. */
	struct weft_range *ranges;
	size_t n_ranges;
	struct weft_selector service_selector, namespace_selector;
	uint32_t priority;    /* the lowest is asked first; default 100 */
	bool auto_assign;     /* default true: give IPs to Services that do not name this pool */
	bool avoid_buggy_ips; /* never give .0 and .255 of an IPv4 /24 */
};

struct weft_ipblock {
	struct weft_prefix cidr;
	char *node, *pool;
};

struct weft_prefix_range { /* cidr with ge <= length <= le */
	struct weft_prefix cidr;
	uint8_t ge, le;
};

/* A BGP community: standard (RFC 1997) part[0]:part[1], 16 bits each, or large (RFC 8092), three of 32 bits. */
struct weft_community {
	bool large;
	uint32_t part[3];
};

/*
 * "64512:100", "64512:100:7" or a well-known name (no-export ...); text that is none of them, or a number that
 * does not fit, is an error. And back, always as numbers; the name of a well-known one, else NULL.
 */
int weft_community_parse(const char *text, struct weft_community *out, struct weft_err *err);
#define WEFT_COMMUNITY_STR 33
const char *weft_community_str(const struct weft_community *c, char buf[WEFT_COMMUNITY_STR]);
const char *weft_community_name(const struct weft_community *c);

/* [a-z][a-z0-9-]{0,62}: what BGPConfig may call a community. */
#define WEFT_COMMUNITY_NAME_MAX 63
bool weft_community_name_valid(const char *name);

/* As it is written in an object: a literal or well-known one, or a name that BGPConfig gives a value. */
struct weft_community_ref {
	char *name; /* NULL: value holds it */
	struct weft_community value;
};

/* What a BGPAdvertisement is about; BGPConfig's `announce` has what needs none. */
#define WEFT_ADVERT_LOADBALANCER 0x1u
#define WEFT_ADVERT_EXTERNAL     0x2u
#define WEFT_ADVERT_CLUSTER      0x4u
#define WEFT_ADVERT_PODBLOCK     0x8u
#define WEFT_ANNOUNCE_DEFAULT    (WEFT_ADVERT_LOADBALANCER | WEFT_ADVERT_PODBLOCK)

/* 0: this node decides by its profile (weft.yaml, bird.restartProfile). */
enum weft_gr_mode { WEFT_GR_BY_PROFILE, WEFT_GR_OFF, WEFT_GR_AWARE, WEFT_GR_ON };

struct weft_bgpconfig {
	uint32_t as_number;
	struct weft_addr router_id; /* v4 or AF_UNSPEC */
	uint16_t listen_port;
	struct weft_addr listen_address[2]; /* v4, v6; AF_UNSPEC: every address */
	struct weft_prefix_range *import;
	size_t n_import;
	unsigned announce; /* WEFT_ADVERT_*: announced to every peer unless a BGPAdvertisement selects it */

	bool node_mesh; /* iBGP between all nodes (among reflectors and from clients to them if there are any) */
	bool reflectors;                         /* reflector_selector is given */
	struct weft_selector reflector_selector; /* Nodes that reflect */
	struct weft_addr cluster_id;             /* v4; AF_UNSPEC: the reflector's router id */

	struct weft_community_ref *communities; /* the names: every one has name and value */
	size_t n_communities;

	/* Drain: RFC 8326's community for drain_wait_s, then VIPs go. */
	uint32_t drain_wait_s;
	bool drain_on_cordon; /* spec.unschedulable drains */
};

#define WEFT_DRAIN_WAIT_DEFAULT_S 10

enum weft_peer_as { WEFT_PEER_AS_NUMBER, WEFT_PEER_AS_INTERNAL, WEFT_PEER_AS_EXTERNAL };
enum weft_limit_action { WEFT_LIMIT_BLOCK, WEFT_LIMIT_WARN, WEFT_LIMIT_RESTART, WEFT_LIMIT_DISABLE };
enum weft_next_hop { WEFT_NEXT_HOP_SELF, WEFT_NEXT_HOP_KEEP };
enum weft_add_path { WEFT_ADD_PATH_OFF, WEFT_ADD_PATH_RECEIVE, WEFT_ADD_PATH_SEND, WEFT_ADD_PATH_BOTH };

/*
 * One rule of a peer's import or export list: the first whose matches all hold decides. No match = every route.
 * On export the routes are those that would be announced anyway: a rule can only take away or adorn.
 */
struct weft_bgp_rule {
	struct weft_prefix_range *prefixes; /* any of them */
	size_t n_prefixes;
	struct weft_community_ref *communities; /* has any of them */
	size_t n_communities;
	uint32_t *as_path; /* the path begins with these, nearest first */
	size_t n_as_path;

	bool reject; /* else accept, after: */
	bool has_local_pref;
	uint32_t local_pref;
	struct weft_community_ref *add_communities;
	size_t n_add_communities;
	uint8_t prepend; /* own AS so many times more; export only */
};

struct weft_bgppeer {
	struct weft_selector node_selector;

	/* Where it is: an address; a link-local address with its interface; an interface alone (the router that
	 * router advertisements or the neighbour table name there); or each default gateway of the node. */
	struct weft_addr address; /* AF_UNSPEC = none */
	char *interface;          /* NULL = none */
	bool default_gateway;     /* autodiscover: DefaultGateway */
	uint16_t port;

	enum weft_peer_as as_mode;
	uint32_t as_number;      /* WEFT_PEER_AS_NUMBER */
	uint32_t local_as;       /* 0 = the node's */
	struct weft_addr source; /* our end; AF_UNSPEC = by link */
	uint8_t multihop;        /* TTL; 0 = directly connected (iBGP: 64) */
	bool ttl_security;       /* GTSM, RFC 5082 */
	bool passive;
	uint16_t hold_s, keepalive_s, connect_retry_s; /* 0 = default: 9, hold / 3, 5 */

	char *description;         /* may be NULL */
	char *secret, *secret_key; /* Secret with the MD5 password; NULL = none */

	int bfd;                       /* -1 off, 1 on, 0 = by profile */
	uint16_t bfd_rx_ms, bfd_tx_ms; /* 0 = 300 */
	uint8_t bfd_multiplier;        /* 0 = 3 */

	enum weft_gr_mode restart;
	uint16_t restart_s;    /* 0 = 30 */
	bool long_lived;       /* RFC 9494, only while restart is on */
	uint32_t long_lived_s; /* 0 = 3600 */

	uint32_t max_prefixes; /* per family; 0 = 10000 */
	enum weft_limit_action max_prefixes_action;
	struct weft_bgp_rule *import, *export; /* n_import 0: the built-in policy alone */
	size_t n_import, n_export;

	uint8_t allow_own_as; /* how many times our AS may be in a received path */
	enum weft_next_hop next_hop;
	enum weft_add_path add_path;
	bool reflector_client;
	struct weft_addr cluster_id; /* v4; AF_UNSPEC = BGPConfig's */
	bool families[2]; /* IPv4, IPv6 over this session; both false = that of the address, both for an
	                                interface alone */
};

/*
 * What an announcement looks like. It concerns the prefixes of its types that its selectors choose, on the
 * nodes that nodeSelector chooses. Who is chosen by none is announced plainly if BGPConfig's `announce` says so.
 */
struct weft_bgpadvertisement {
	unsigned types; /* WEFT_ADVERT_* */
	struct weft_selector node_selector, service_selector, namespace_selector;
	char **pools; /* IPPools that the address or block is of; none = any */
	size_t n_pools;
	char **peers; /* BGPPeers to announce it to; none = all */
	size_t n_peers;

	struct weft_community_ref *communities;
	size_t n_communities;
	bool has_local_pref;
	uint32_t local_pref;
	uint8_t prepend;
	uint8_t aggregate
	        [2]; /* IPv4, IPv6: prefix length to announce instead of single addresses; 0 = none */
	bool endpoint_weight; /* link-bandwidth community in proportion to this node's ready endpoints */
};

/* A port of a Service or of an EndpointSlice. Ports are in host byte order everywhere. */
struct weft_service_port {
	char *name;       /* "" = unnamed */
	uint8_t protocol; /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t port;
	uint16_t node_port; /* 0 = none (S23) */
};

enum weft_service_type {
	WEFT_SERVICE_CLUSTERIP,
	WEFT_SERVICE_NODEPORT,
	WEFT_SERVICE_LOADBALANCER,
	WEFT_SERVICE_EXTERNALNAME
};
enum weft_traffic_policy { WEFT_POLICY_CLUSTER, WEFT_POLICY_LOCAL };
enum weft_family_policy { WEFT_SINGLE_STACK, WEFT_PREFER_DUAL_STACK, WEFT_REQUIRE_DUAL_STACK };

/* v1 Service. Families are told by the addresses themselves (S3): index 0 is IPv4, 1 is IPv6. */
struct weft_service {
	enum weft_service_type type;
	bool headless;                   /* clusterIP None */
	struct weft_addr cluster_ips[2]; /* AF_UNSPEC = none */
	uint8_t families[2];             /* spec.ipFamilies in their order, 0 = not given */
	enum weft_family_policy family_policy;
	struct weft_service_port *ports;
	size_t n_ports;
	struct weft_addr *external_ips;
	size_t n_external_ips;
	struct weft_addr load_balancer_ip; /* spec.loadBalancerIP; AF_UNSPEC = none */
	char *load_balancer_class;         /* NULL = none */
	struct weft_prefix *source_ranges; /* S20, of both families */
	size_t n_source_ranges;
	enum weft_traffic_policy internal_policy, external_policy;
	uint32_t affinity_s;  /* sessionAffinity ClientIP: its timeout; 0 = None */
	uint16_t health_port; /* healthCheckNodePort; 0 = none */
	struct weft_label *selector;
	size_t n_selector;
	struct weft_addr *ingress; /* status.loadBalancer.ingress: IPs with ipMode VIP or none (S2) */
	size_t n_ingress;
};

#define WEFT_ENDPOINT_READY       0x1u
#define WEFT_ENDPOINT_SERVING     0x2u
#define WEFT_ENDPOINT_TERMINATING 0x4u

/* One entry of an EndpointSlice; addresses[0] only (S6), conditions with S9's defaults. */
struct weft_endpoint {
	struct weft_addr addr;
	uint8_t conditions; /* WEFT_ENDPOINT_* */
	uint8_t n_zones, n_nodes;
	char *node;   /* NULL = not given */
	char **zones; /* hints.forZones */
	char **nodes; /* hints.forNodes */
};

/* discovery.k8s.io/v1 EndpointSlice. An addressType FQDN has no endpoints here; ports without number or name
 * are left out. Its labels are not kept beyond these two. */
struct weft_endpointslice {
	char *service;                   /* label kubernetes.io/service-name; NULL = bound to none */
	bool headless;                   /* label service.kubernetes.io/headless: ignored (S1) */
	uint8_t family;                  /* AF_INET, AF_INET6; 0 = FQDN */
	struct weft_service_port *ports; /* node_port 0 */
	size_t n_ports;
	struct weft_endpoint *endpoints;
	size_t n_endpoints;
	uint64_t
	        trigger_ms; /* Unix time of the change that it tells of, for metrics; 0 = not said. Not compared. */
	void *texts;        /* one block with all that the endpoints point to; NULL: each is malloc'd */
};

struct weft_servicecidr {
	struct weft_prefix cidrs[2];
	size_t n_cidrs;
};

/* What the controller decided for the Service of the same namespace and name. */
struct weft_servicestatus {
	struct weft_addr *ingress;
	size_t n_ingress;
};

struct weft_secret_item {
	char *key;
	void *value; /* sodium_malloc'd */
	size_t len;
};

struct weft_secret {
	struct weft_secret_item *items;
	size_t n_items;
};

struct weft_object {
	enum weft_kind kind;
	struct weft_meta meta;
	union {
		struct weft_node node;
		struct weft_secret secret;
		struct weft_ippool ippool;
		struct weft_ipblock ipblock;
		struct weft_bgpconfig bgpconfig;
		struct weft_bgppeer bgppeer;
		struct weft_bgpadvertisement bgpadvertisement;
		struct weft_service service;
		struct weft_endpointslice endpointslice;
		struct weft_servicecidr servicecidr;
		struct weft_servicestatus servicestatus;
	};
};

void weft_object_free(struct weft_object *obj);

/* "NAME" or "NAMESPACE/NAME"; the key of the object within its kind. Returns buf. */
#define WEFT_KEY_MAX (2 * WEFT_NAME_MAX + 2)
const char *weft_object_key(const struct weft_object *obj, char buf[WEFT_KEY_MAX]);

/* Deep equality of all that weft acts on (resourceVersion is left out). */
bool weft_object_equal(const struct weft_object *a, const struct weft_object *b);

/*
 * BLAKE2b of the same: two objects are equal when their digests are. It lets a source compare without keeping
 * what it handed over. A random key (NULL = none) keeps a Secret's digest from being guessed at.
 */
#define WEFT_DIGEST     16
#define WEFT_DIGEST_KEY 32
void weft_object_digest(const struct weft_object *obj, const uint8_t key[WEFT_DIGEST_KEY],
                        uint8_t out[WEFT_DIGEST]);

/* A label's or annotation's value, NULL if there is none. */
const char *weft_label_get(const struct weft_label *labels, size_t n, const char *key);

#define WEFT_LABEL_EXCLUDE "node.kubernetes.io/exclude-from-external-load-balancers"
/* Annotation of a Node: "true" drains it (docs/operations.md). */
#define WEFT_ANNOTATION_DRAIN "weft.dev/drain"
/* Condition in the status of a Node, True while it is drained for whatever reason. */
#define WEFT_CONDITION_DRAINING "weft.dev/Draining"

/* Annotations of a Service that weft reads. */
#define WEFT_ANNOTATION_SCHEDULER "weft.dev/scheduler"
#define WEFT_ANNOTATION_LB_IPS    "weft.dev/load-balancer-ips"
#define WEFT_ANNOTATION_LB_POOL   "weft.dev/ip-pool"
#define WEFT_ANNOTATION_LB_SHARE  "weft.dev/allow-shared-ip"
#define WEFT_LB_CLASS             "weft.dev/bgp"

/* The IPBlock name of a CIDR: ':' and '/' become '-'. */
const char *weft_block_name(const struct weft_prefix *cidr, char buf[WEFT_PREFIX_STR]);

#endif
