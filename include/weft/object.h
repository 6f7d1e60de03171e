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
	WEFT_IPPOOL, /* weft.dev/v1alpha1 from here */
	WEFT_IPBLOCK,
	WEFT_BGPCONFIG,
	WEFT_BGPPEER,
	WEFT_KIND_COUNT
};

/* "Node", "IPPool", ...; apiVersion: "v1", "weft.dev/v1alpha1". */
const char *weft_kind_name(enum weft_kind kind);
const char *weft_kind_api(enum weft_kind kind);
bool weft_kind_namespaced(enum weft_kind kind);

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
	enum weft_pool_use use;
	enum weft_tunnel_mode tunnel;
	struct weft_selector node_selector;
	bool disabled; /* no new blocks */
};

struct weft_ipblock {
	struct weft_prefix cidr;
	char *node, *pool;
};

struct weft_prefix_range { /* cidr with ge <= length <= le */
	struct weft_prefix cidr;
	uint8_t ge, le;
};

struct weft_bgpconfig {
	uint32_t as_number;
	struct weft_addr router_id; /* v4 or AF_UNSPEC */
	uint16_t listen_port;
	struct weft_prefix_range *import;
	size_t n_import;
};

struct weft_bgppeer {
	struct weft_selector node_selector;
	struct weft_addr address;
	uint16_t port;
	uint32_t as_number;
	char *description;         /* may be NULL */
	char *secret, *secret_key; /* Secret with the MD5 password; NULL = none */
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

/* The IPBlock name of a CIDR: ':' and '/' become '-'. */
const char *weft_block_name(const struct weft_prefix *cidr, char buf[WEFT_PREFIX_STR]);

#endif
