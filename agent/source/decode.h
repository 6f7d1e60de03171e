// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON objects -> struct weft_object: the one gate through which cluster objects come in.
 *
 * All validation is here. Both sources use it: directory.c with trees from yaml.c, the Kubernetes source
 * with the API server's JSON.
 *
 * - Kinds that weft does not know give no object and no error, nor do namesakes of Kubernetes' kinds in other
 *   groups; one that looks like a misspelt weft.dev kind, or a known kind in another version, is an error.
 * - Unknown fields in spec are errors for weft.dev kinds and ignored for core kinds.
 * - Labels are sorted by key; of the annotations only those under weft.dev/ are kept, made printable.
 * - A Secret's values go to sodium_malloc'd memory. The tree's own copies are the caller's to wipe
 *   (weft_json_wipe()). No error text ever holds a value of a Secret.
 */
#ifndef WEFT_SOURCE_DECODE_H
#define WEFT_SOURCE_DECODE_H

#include <cjson/cJSON.h>

#include "weft/buf.h"
#include "weft/err.h"
#include "weft/object.h"

#define WEFT_GROUP "weft.dev"
/* Of an object without a namespace: a Secret is the BGP daemon's, all else goes where kubectl puts it. */
#define WEFT_SECRET_NAMESPACE  "kube-system"
#define WEFT_DEFAULT_NAMESPACE "default"
#define WEFT_ANNOTATION_ASN    "weft.dev/as-number"

/*
 * Blocks of one pool. Claiming looks for a free block by its number and plan/ checks pools against each
 * other; 2^24 blocks of a /26 pool are more than a billion addresses, and a number of that size can be
 * scanned or kept as a bitmap (2 MiB) when it must be.
 */
#define WEFT_POOL_MAX_BLOCK_BITS 24

struct weft_decoded {
	struct weft_object *obj; /* NULL when ignored or invalid; owned by the caller */
	/* Set as soon as they are known, also for an invalid object. */
	enum weft_kind kind; /* WEFT_KIND_COUNT = not known */
	char key[WEFT_KEY_MAX];
	const cJSON *at; /* the node that the error is about, NULL = the whole document */
};

/*
 * Decode one object. 0 with obj NULL: a kind that is none of weft's business. On failure err.text is one
 * sentence: "IPPool/pods: spec.cidr: ...".
 */
int weft_decode(const cJSON *json, struct weft_decoded *out, struct weft_err *err);

/* The same for an object whose kind its place tells, as in a list of the API server: kind and apiVersion are
 * not looked at. */
int weft_decode_as(enum weft_kind kind, const cJSON *json, struct weft_decoded *out, struct weft_err *err);

/*
 * An AS number that a BGP speaker can use: not 0 (RFC 7607), 23456 (RFC 6793), 65535 or 4294967295
 * (RFC 7300). On failure err names the RFC.
 */
int weft_asn_check(uint64_t asn, struct weft_err *err);

/* The YAML text of an IPBlock, as weft writes it when it claims one. */
void weft_encode_ipblock(const struct weft_prefix *cidr, const char *node, const char *pool,
                         struct weft_buf *out);

#endif
