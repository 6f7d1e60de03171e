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

#define MAX_ADDRESSES   64
#define MAX_POD_CIDRS   2 /* as the API server has it */
#define MAX_IMPORT      1024
#define MAX_DESCRIPTION 255 /* of a quoted string in BIRD: agent/bird/guard.h */

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

static int host_address(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_addr *out)
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

static int field_address(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	return host_address(ctx, v, out);
}

/* RFC 6286: any four bytes but zero would do; an address of the node is what operators expect. */
static int field_router_id(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_addr *a = out;
	int r = host_address(ctx, v, a);

	(void)f;
	if (r == 0 && a->family != AF_INET)
		return weft_decode_fail(ctx, v, "\"%s\" is not an IPv4 address", v->valuestring);
	return r;
}

static int field_asn(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
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

static int field_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_name(ctx, v);

	(void)f;
	return text ? weft_decode_copy(ctx, v, text, out) : ctx->err.code;
}

static int field_secret_key(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                            void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_NAME_MAX);

	(void)f;
	if (!text)
		return ctx->err.code;
	if (!*text || text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
		return weft_decode_fail(ctx, v, "\"%.80s\" is not a key of a Secret", text);
	return weft_decode_copy(ctx, v, text, out);
}

/* What BIRD takes between double quotes, which know no escapes: refused rather than changed. */
static int field_description(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                             void *out)
{
	const char *text = weft_decode_text(ctx, v, MAX_DESCRIPTION);

	(void)f;
	if (!text)
		return ctx->err.code;
	for (const char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e || *p == '"')
			return weft_decode_fail(ctx, v, "may hold printable ASCII except '\"' only");
	return weft_decode_copy(ctx, v, text, out);
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
	r = host_address(ctx, text ? text : v, &a);
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

static const struct weft_field node_spec_fields[] = {{"taints", node_taints, 0, 0, NULL},
                                                     {"podCIDRs", node_pod_cidrs, 0, 0, NULL}};
WEFT_FIELD_TABLE_LENIENT(node_spec, node_spec_fields);
static const struct weft_field node_status_fields[] = {{"addresses", node_addresses, 0, 0, NULL}};
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
        {"node", field_name, offsetof(struct weft_ipblock, node), WEFT_FIELD_REQUIRED, NULL},
        {"pool", field_name, offsetof(struct weft_ipblock, pool), WEFT_FIELD_REQUIRED, NULL},
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

/* BGPConfig */

static const struct weft_limits ports = {1, 65535};
static const struct weft_limits lengths = {0, 128};

struct import_entry { /* 255 = not given */
	struct weft_prefix cidr;
	uint8_t ge, le;
};

static const struct weft_field import_fields[] = {
        {"cidr", weft_field_prefix, offsetof(struct import_entry, cidr), WEFT_FIELD_REQUIRED, NULL},
        {"ge", weft_field_u8, offsetof(struct import_entry, ge), 0, &lengths},
        {"le", weft_field_u8, offsetof(struct import_entry, le), 0, &lengths},
};
WEFT_FIELD_TABLE(import_table, import_fields);

static int import_entry(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_prefix_range *out)
{
	struct import_entry e = {.ge = 255, .le = 255};
	int r = cJSON_IsString(v) ? weft_field_prefix(ctx, NULL, v, &e.cidr)
	                          : weft_fields_decode(ctx, &import_table, v, &e);
	unsigned bits = weft_addr_bits(e.cidr.addr.family);

	if (r < 0)
		return r;
	/* As routers do it: a missing bound is the prefix itself below, and above only when ge is given. */
	if (e.le == 255)
		e.le = e.ge == 255 ? e.cidr.len : (uint8_t)bits;
	if (e.ge == 255)
		e.ge = e.cidr.len;
	if (e.ge < e.cidr.len || e.le < e.ge || e.le > bits)
		return weft_decode_fail(ctx, v, "needs %u <= ge <= le <= %u", e.cidr.len, bits);
	*out = (struct weft_prefix_range){e.cidr, e.ge, e.le};
	return 0;
}

static int import_prefixes(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_bgpconfig *config = out;
	int r;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > MAX_IMPORT)
		return weft_decode_fail(ctx, v, "has more than %d entries", MAX_IMPORT);
	r = weft_decode_array(ctx, v, (size_t)cJSON_GetArraySize(v), sizeof(*config->import),
	                      (void **)&config->import);
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, config->n_import);
		r = import_entry(ctx, c, &config->import[config->n_import++]);
		weft_path_pop(ctx, len);
	}
	return r;
}

static const struct weft_field bgpconfig_fields[] = {
        {"asNumber", field_asn, offsetof(struct weft_bgpconfig, as_number), 0, NULL},
        {"routerID", field_router_id, offsetof(struct weft_bgpconfig, router_id), 0, NULL},
        {"listenPort", weft_field_u16, offsetof(struct weft_bgpconfig, listen_port), 0, &ports},
        {"importPrefixes", import_prefixes, 0, 0, NULL},
};
WEFT_FIELD_TABLE(bgpconfig_table, bgpconfig_fields);

static int decode_bgpconfig(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	if (strcmp(obj->meta.name, "default"))
		return weft_decode_fail(ctx, cJSON_GetObjectItemCaseSensitive(json, "metadata"),
		                        "metadata.name: the one BGPConfig must be named default");
	obj->bgpconfig.as_number = 64512; /* first private AS number, RFC 6996 */
	obj->bgpconfig.listen_port = 179;
	return weft_decode_spec(ctx, json, &bgpconfig_table, &obj->bgpconfig);
}

/* BGPPeer */

static const struct weft_field secret_ref_fields[] = {
        {"name", field_name, offsetof(struct weft_bgppeer, secret), WEFT_FIELD_REQUIRED, NULL},
        {"key", field_secret_key, offsetof(struct weft_bgppeer, secret_key), WEFT_FIELD_REQUIRED, NULL},
};
WEFT_FIELD_TABLE(secret_ref, secret_ref_fields);
static const struct weft_field password_fields[] = {
        {"secretKeyRef", weft_field_object, 0, WEFT_FIELD_REQUIRED, &secret_ref},
};
WEFT_FIELD_TABLE(password_table, password_fields);
static const struct weft_field bgppeer_fields[] = {
        {"nodeSelector", weft_field_selector, offsetof(struct weft_bgppeer, node_selector), 0, NULL},
        {"address", field_address, offsetof(struct weft_bgppeer, address), WEFT_FIELD_REQUIRED, NULL},
        {"port", weft_field_u16, offsetof(struct weft_bgppeer, port), 0, &ports},
        {"asNumber", field_asn, offsetof(struct weft_bgppeer, as_number), WEFT_FIELD_REQUIRED, NULL},
        {"password", weft_field_object, 0, 0, &password_table},
        {"description", field_description, offsetof(struct weft_bgppeer, description), 0, NULL},
};
WEFT_FIELD_TABLE(bgppeer_table, bgppeer_fields);

static int decode_bgppeer(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	obj->bgppeer.port = 179;
	return weft_decode_spec(ctx, json, &bgppeer_table, &obj->bgppeer);
}

/* BGPAdvertisement */

static int advert_types(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"LoadBalancerIP", "ExternalIP", "ClusterIP", NULL};
	static const struct weft_enum type_enum = {names};
	static const struct weft_field type = {.key = "type", .arg = &type_enum};
	unsigned *types = out;
	size_t index = 0;
	int r = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (!v->child)
		return weft_decode_fail(ctx, v, "needs at least one type");
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		int one = 0;

		r = weft_field_enum(ctx, &type, c, &one);
		*types |= 1u << one;
		weft_path_pop(ctx, len);
	}
	return r;
}
_Static_assert(WEFT_ADVERT_LOADBALANCER == 1u << 0 && WEFT_ADVERT_EXTERNAL == 1u << 1 &&
                       WEFT_ADVERT_CLUSTER == 1u << 2,
               "the bits follow the list of names");

#define ADVERT(member) offsetof(struct weft_bgpadvertisement, member)

static const struct weft_field advert_fields[] = {
        {"types", advert_types, ADVERT(types), WEFT_FIELD_REQUIRED, NULL},
        {"nodeSelector", weft_field_selector, ADVERT(node_selector), 0, NULL},
        {"serviceSelector", weft_field_selector, ADVERT(service_selector), 0, NULL},
};
WEFT_FIELD_TABLE(advert_table, advert_fields);

static int decode_bgpadvertisement(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	return weft_decode_spec(ctx, json, &advert_table, &obj->bgpadvertisement);
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
        [WEFT_BGPCONFIG] = {decode_bgpconfig},
        [WEFT_BGPPEER] = {decode_bgppeer},
        [WEFT_BGPADVERTISEMENT] = {decode_bgpadvertisement},
        [WEFT_SERVICESTATUS] = {weft_decode_servicestatus},
};
