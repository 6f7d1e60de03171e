// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of the kinds' specs, and the rules that span several fields.
 */
#include "agent/source/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/decode.h"
#include "weft/cleanup.h"

#define MAX_ADDRESSES 64
#define MAX_POD_CIDRS 2 /* as the API server has it */

/* Field decoders for addresses and names. */

int weft_field_prefix(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, 256);
	struct weft_err err = WEFT_ERR_INIT;

	(void)f;
	if (!text)
		return ctx->err.code;
	if (weft_prefix_parse(text, out, &err) < 0)
		return weft_decode_fail(ctx, v, "%s", err.text);
	return 0;
}

int weft_decode_address(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_addr *out)
{
	const char *text = weft_decode_text(ctx, v, 256);
	struct weft_err err = WEFT_ERR_INIT;

	if (!text)
		return ctx->err.code;
	if (weft_addr_parse(text, out, &err) < 0)
		return weft_decode_fail(ctx, v, "%s", err.text);
	if (!weft_addr_is_host(out))
		return weft_decode_fail(ctx, v, "\"%s\" is not an address that a host can have", text);
	return 0;
}

int weft_field_address(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	return weft_decode_address(ctx, v, out);
}

int weft_field_asn(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const struct weft_limits limits = {0, UINT32_MAX};
	struct weft_err err = WEFT_ERR_INIT;
	uint64_t asn = 0;

	(void)f;
	if (weft_decode_uint(ctx, v, &limits, &asn) < 0)
		return ctx->err.code;
	if (weft_asn_check(asn, &err) < 0)
		return weft_decode_fail(ctx, v, "%s", err.text);
	*(uint32_t *)out = (uint32_t)asn;
	return 0;
}

int weft_field_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_name(ctx, v);

	(void)f;
	return text ? weft_decode_copy(ctx, v, text, out) : ctx->err.code;
}

int weft_asn_check(uint64_t asn, struct weft_err *err)
{
	switch (asn) {
	case 0:
		return weft_err_set(err, EINVAL, "AS number 0 can't be used (RFC 7607)");
	case 23456:
		return weft_err_set(err, EINVAL, "AS number 23456 is AS_TRANS and can't be used (RFC 6793)");
	case 65535:
	case 4294967295:
		return weft_err_set(err, EINVAL, "AS number %llu is reserved and can't be used (RFC 7300)",
		                    (unsigned long long)asn);
	default:
		if (asn > UINT32_MAX)
			return weft_err_set(err, EINVAL, "an AS number has at most 32 bits");
		return 0;
	}
}

/* Node */

static int node_address(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_node *node)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(v, "type");
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(v, "address");
	struct weft_addr a = {0};
	struct weft_addr *slot;
	size_t len;
	int r;

	if (!cJSON_IsString(type) || strcmp(type->valuestring, "InternalIP"))
		return 0;
	len = weft_path_push(ctx, "address");
	r = weft_decode_address(ctx, text ? text : v, &a);
	weft_path_pop(ctx, len);
	if (r < 0)
		return r;
	slot = a.family == AF_INET ? &node->ip4 : &node->ip6;
	if (!weft_addr_is_set(slot))
		*slot = a;
	return 0;
}

static int node_addresses(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	size_t index = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > MAX_ADDRESSES)
		return weft_decode_fail(ctx, v, "has more than %d entries", MAX_ADDRESSES);
	for (const cJSON *c = v->child; c; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		int r = node_address(ctx, c, out);

		if (r < 0)
			return r;
		weft_path_pop(ctx, len);
	}
	return 0;
}

/* The autoscaler is about to remove the node: S26. */
static int node_taint_key(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_node *node = out;

	(void)ctx;
	(void)f;
	if (cJSON_IsString(v) && !strcmp(v->valuestring, "ToBeDeletedByClusterAutoscaler"))
		node->autoscaler_taint = true;
	return 0;
}

static const struct weft_field taint_fields[] = {{"key", node_taint_key, 0, 0, NULL}};
WEFT_FIELD_TABLE_LENIENT(taint_table, taint_fields);

static int node_taints(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	size_t index = 0;
	int r = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);

		r = weft_fields_decode(ctx, &taint_table, c, out);
		weft_path_pop(ctx, len);
	}
	return r;
}

static bool is_text(const cJSON *object, const char *key, const char *wanted)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text && !strcmp(text, wanted);
}

/* Written by many: what is odd about one that is not ours must not cost the Node. */
static int node_conditions(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_node *node = out;
	const cJSON *c;

	(void)ctx;
	(void)f;
	cJSON_ArrayForEach (c, v)
		if (is_text(c, "type", WEFT_CONDITION_DRAINING))
			node->draining = is_text(c, "status", "True");
	return 0;
}

/* Who does not use them (see podcidrs.h) must not lose a Node for what is odd about them: that is left out.
 */
static int node_pod_cidrs(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_node *node = out;
	const cJSON *c;
	int n = 0;

	(void)ctx;
	(void)f;
	if (!cJSON_IsArray(v))
		return 0;
	cJSON_ArrayForEach (c, v) {
		struct weft_prefix p, *slot;

		if (++n > MAX_POD_CIDRS)
			break;
		if (!cJSON_IsString(c) || weft_prefix_parse(c->valuestring, &p, NULL) < 0)
			continue;
		slot = p.addr.family == AF_INET ? &node->pod_cidr4 : &node->pod_cidr6;
		if (!weft_addr_is_set(&slot->addr))
			*slot = p;
	}
	return 0;
}

static const struct weft_field node_spec_fields[] = {
        {"unschedulable", weft_field_bool, offsetof(struct weft_node, cordoned), 0, NULL},
        {"taints", node_taints, 0, 0, NULL},
        {"podCIDRs", node_pod_cidrs, 0, 0, NULL}};
WEFT_FIELD_TABLE_LENIENT(node_spec, node_spec_fields);
static const struct weft_field node_status_fields[] = {{"addresses", node_addresses, 0, 0, NULL},
                                                       {"conditions", node_conditions, 0, 0, NULL}};
WEFT_FIELD_TABLE_LENIENT(node_status, node_status_fields);
static const struct weft_field node_fields[] = {
        {"spec", weft_field_object, 0, 0, &node_spec},
        {"status", weft_field_object, 0, 0, &node_status},
};
WEFT_FIELD_TABLE_LENIENT(node_table, node_fields);

static int node_asn(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	const char *text =
	        weft_label_get(obj->meta.annotations, obj->meta.n_annotations, WEFT_ANNOTATION_ASN);
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(json, "metadata");
	const cJSON *at = cJSON_GetObjectItemCaseSensitive(
	        cJSON_GetObjectItemCaseSensitive(meta, "annotations"), WEFT_ANNOTATION_ASN);
	struct weft_err err = WEFT_ERR_INIT;
	uint64_t asn;

	if (!text)
		return 0;
	if (!*text || strlen(text) > 10 || text[strspn(text, "0123456789")])
		return weft_decode_fail(ctx, at, "annotation %s: \"%.40s\" is not an AS number",
		                        WEFT_ANNOTATION_ASN, text);
	asn = strtoull(text, NULL, 10);
	if (weft_asn_check(asn, &err) < 0)
		return weft_decode_fail(ctx, at, "annotation %s: %s", WEFT_ANNOTATION_ASN, err.text);
	obj->node.as_number = (uint32_t)asn;
	return 0;
}

static int decode_node(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	int r = weft_fields_decode(ctx, &node_table, json, &obj->node);

	return r < 0 ? r : node_asn(ctx, json, obj);
}

int weft_decode_spec(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_field_table *spec,
                     void *base)
{
	const struct weft_field fields[] = {
	        {"apiVersion", NULL, 0, 0, NULL},
	        {"kind", NULL, 0, 0, NULL},
	        {"metadata", NULL, 0, 0, NULL},
	        {"status", NULL, 0, 0, NULL},
	        {"spec", weft_field_object, 0, WEFT_FIELD_REQUIRED, spec},
	};
	const struct weft_field_table table = {fields, WEFT_ARRAY_LEN(fields), false};

	return weft_fields_decode(ctx, &table, json, base);
}

const cJSON *weft_spec_item(const cJSON *json, const char *key)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(json, "spec");
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(spec, key);

	return v ? v : spec;
}

/* IPBlock */

static const struct weft_field ipblock_fields[] = {
        {"cidr", weft_field_prefix, offsetof(struct weft_ipblock, cidr), WEFT_FIELD_REQUIRED, NULL},
        {"node", weft_field_name, offsetof(struct weft_ipblock, node), WEFT_FIELD_REQUIRED, NULL},
        {"pool", weft_field_name, offsetof(struct weft_ipblock, pool), WEFT_FIELD_REQUIRED, NULL},
};
WEFT_FIELD_TABLE(ipblock_table, ipblock_fields);

static int decode_ipblock(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_ipblock *block = &obj->ipblock;
	const cJSON *at = weft_spec_item(json, "cidr");
	char name[WEFT_PREFIX_STR], text[WEFT_PREFIX_STR];
	int r = weft_decode_spec(ctx, json, &ipblock_table, block);

	if (r == 0)
		r = weft_check_spec_cidr(ctx, json, &block->cidr);
	if (r < 0)
		return r;
	if (block->cidr.len < weft_shortest_block(&block->cidr))
		return weft_decode_fail(ctx, at, "spec.cidr: %s is larger than a block can be (/%u)",
		                        weft_prefix_str(&block->cidr, text),
		                        weft_shortest_block(&block->cidr));
	/* The name is the claim: two objects for one CIDR must collide. */
	if (strcmp(weft_block_name(&block->cidr, name), obj->meta.name))
		return weft_decode_fail(ctx, at, "metadata.name: the block %s must be named %s",
		                        weft_prefix_str(&block->cidr, text), name);
	return 0;
}

/* Namespace: selectors see its labels, and that is all. */

static int decode_namespace(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	(void)ctx;
	(void)json;
	(void)obj;
	return 0;
}

const struct weft_kind_decoder weft_kind_decoders[WEFT_KIND_COUNT] = {
        [WEFT_NODE] = {decode_node},
        [WEFT_SECRET] = {weft_decode_secret},
        [WEFT_NAMESPACE] = {decode_namespace},
        [WEFT_SERVICE] = {weft_decode_service},
        [WEFT_ENDPOINTSLICE] = {weft_decode_endpointslice},
        [WEFT_SERVICECIDR] = {weft_decode_servicecidr},
        [WEFT_IPPOOL] = {weft_decode_ippool},
        [WEFT_IPBLOCK] = {decode_ipblock},
        [WEFT_BGPCONFIG] = {weft_decode_bgpconfig},
        [WEFT_BGPPEER] = {weft_decode_bgppeer},
        [WEFT_BGPADVERTISEMENT] = {weft_decode_bgpadvertisement},
        [WEFT_SERVICESTATUS] = {weft_decode_servicestatus},
};
