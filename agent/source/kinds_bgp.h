// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the BGP kinds have in common: decoders of prefixes with bounds, communities, rules (kinds_bgp_fields.c).
 */
#ifndef WEFT_SOURCE_KINDS_BGP_H
#define WEFT_SOURCE_KINDS_BGP_H

#include "agent/source/kinds.h"

#define BGP_MAX_IMPORT      1024 /* importPrefixes */
#define BGP_MAX_MATCHES     256  /* prefixes of one rule */
#define BGP_MAX_RULES       64
#define BGP_MAX_COMMUNITIES 32  /* at one place */
#define BGP_MAX_NAMES       256 /* that BGPConfig gives to communities */
#define BGP_MAX_AS_PATH     16
#define BGP_MAX_PREPEND     16

extern const struct weft_limits weft_bgp_prepends; /* 1 to BGP_MAX_PREPEND */
extern const struct weft_limits weft_bgp_ports;

/* Entries of lists. A prefix is a CIDR, meaning exactly it, or {cidr, ge, le}. */
int weft_bgp_prefix(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                    void *out); /* struct weft_prefix_range */
int weft_bgp_community(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                       void *out); /* struct weft_community_ref */
int weft_bgp_rule(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                  void *out); /* struct weft_bgp_rule; arg: the list is for import */

/* LoadBalancerIP ...: WEFT_ADVERT_* into an unsigned, replacing what is there. */
int weft_bgp_types(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* Router id and cluster id: four bytes but zero, written as an IPv4 address (RFC 6286, RFC 4456). */
int weft_bgp_id(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* A uint32_t; arg: the offset (size_t) of the bool that says that it is given. */
int weft_bgp_local_pref(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* Is spec.KEY there? */
bool weft_bgp_given(const cJSON *json, const char *key);

/* Fail at spec.KEY, which the text is about. */
int weft_bgp_fail(struct weft_decode_ctx *ctx, const cJSON *json, const char *key, const char *text);

#endif
