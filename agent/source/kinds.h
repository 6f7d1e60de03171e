// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each kind holds, for decode.c: one row per kind, one table per spec.
 */
#ifndef WEFT_SOURCE_KINDS_H
#define WEFT_SOURCE_KINDS_H

#include "agent/source/fields.h"
#include "weft/object.h"

struct weft_kind_decoder {
	/* Decode the object's body; meta is there already. */
	int (*decode)(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
};

extern const struct weft_kind_decoder weft_kind_decoders[WEFT_KIND_COUNT];

/* Name syntaxes of the API, apimachinery/pkg/util/validation. */
bool weft_label_key_valid(const char *key);
bool weft_label_value_valid(const char *value);

/* "LabelSelector" of a field; out is a struct weft_selector. */
int weft_field_selector(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* data and stringData of a Secret. */
int weft_decode_secret(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);

/* strdup() into *out; -ENOMEM is described in ctx. */
int weft_decode_copy(struct weft_decode_ctx *ctx, const cJSON *at, const char *text, char **out);

/* Whole decoders that have a file of their own. */
int weft_decode_service(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_servicestatus(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_servicecidr(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_endpointslice(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_bgpconfig(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_bgppeer(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_bgpadvertisement(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);
int weft_decode_ippool(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj);

/* spec of a kind of weft.dev: required; unknown fields are errors, status is not read. */
int weft_decode_spec(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_field_table *spec,
                     void *base);
/* The node of spec.KEY for a message, spec's own when it is not there. */
const cJSON *weft_spec_item(const cJSON *json, const char *key);

/* An address that a host can have; out is a struct weft_addr. */
int weft_decode_address(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_addr *out);
int weft_field_address(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* An AS number that weft_asn_check() takes, into uint32_t; a name of an object, into char *. */
int weft_field_asn(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);
int weft_field_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* out is a struct weft_prefix, canonical in the text. */
int weft_field_prefix(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* Refuse a CIDR with addresses that no host can have; the object's spec.cidr. */
int weft_check_cidr(struct weft_decode_ctx *ctx, const cJSON *at, const struct weft_prefix *cidr);
int weft_check_spec_cidr(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_prefix *cidr);

/* The shortest prefix length of an IPBlock in this CIDR's family. */
unsigned weft_shortest_block(const struct weft_prefix *cidr);

/*
 * Addresses as the API server lets them through in its older fields (netutils.ParseIPSloppy): leading zeros
 * are decimal, ::ffff:1.2.3.4 is 1.2.3.4, a CIDR may have host bits, which go. False: not even that.
 */
bool weft_sloppy_addr(const char *text, struct weft_addr *out);
bool weft_sloppy_prefix(const char *text, struct weft_prefix *out);

/* A mapping of texts, sorted by key; values are label values. */
int weft_decode_labels(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_label **out, size_t *n);

/* weft_field_enum(), but "" leaves the default as the API does. */
int weft_field_choice(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* A list of at most max entries; with an array of so many of `size` bytes in *out. */
int weft_decode_list(struct weft_decode_ctx *ctx, const cJSON *v, size_t max, size_t size, void **out);

/* A port's name ("" or a DNS-1123 label, into a char *), its protocol (TCP, UDP, SCTP, into IPPROTO_*). */
int weft_field_port_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);
int weft_field_protocol(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* Ports that have the same name, or the same protocol and number if numbers is set, are an error. */
int weft_check_ports(struct weft_decode_ctx *ctx, const cJSON *at, const struct weft_service_port *ports,
                     size_t n, bool numbers);

/* calloc(n, size) into *out, for an array that a decoder is about to fill. */
int weft_decode_array(struct weft_decode_ctx *ctx, const cJSON *at, size_t n, size_t size, void **out);

#endif
