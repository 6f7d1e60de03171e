// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Decoders that the BGP kinds share, and the rules of import and export lists.
 */
#include "agent/source/kinds_bgp.h"

static const struct weft_limits lengths = {0, 128};
static const struct weft_limits local_prefs = {0, UINT32_MAX};
const struct weft_limits weft_bgp_prepends = {1, BGP_MAX_PREPEND};
const struct weft_limits weft_bgp_ports = {1, 65535};

bool weft_bgp_given(const cJSON *json, const char *key)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(json, "spec");
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(spec, key);

	return v && !cJSON_IsNull(v);
}

int weft_bgp_fail(struct weft_decode_ctx *ctx, const cJSON *json, const char *key, const char *text)
{
	return weft_decode_fail(ctx, weft_spec_item(json, key), "spec.%s: %s", key, text);
}

/* --- prefixes --- */

struct prefix_entry { /* 255 = not given */
	struct weft_prefix cidr;
	uint8_t ge, le;
};

static const struct weft_field prefix_fields[] = {
        {"cidr", weft_field_prefix, offsetof(struct prefix_entry, cidr), WEFT_FIELD_REQUIRED, NULL},
        {"ge", weft_field_u8, offsetof(struct prefix_entry, ge), 0, &lengths},
        {"le", weft_field_u8, offsetof(struct prefix_entry, le), 0, &lengths},
};
WEFT_FIELD_TABLE(prefix_table, prefix_fields);

int weft_bgp_prefix(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct prefix_entry e = {.ge = 255, .le = 255};
	int r = cJSON_IsString(v) ? weft_field_prefix(ctx, NULL, v, &e.cidr)
	                          : weft_fields_decode(ctx, &prefix_table, v, &e);
	unsigned bits = weft_addr_bits(e.cidr.addr.family);

	(void)f;
	if (r < 0)
		return r;
	/* As routers do it: a missing bound is the prefix itself below, and above only when ge is given. */
	if (e.le == 255)
		e.le = e.ge == 255 ? e.cidr.len : (uint8_t)bits;
	if (e.ge == 255)
		e.ge = e.cidr.len;
	if (e.ge < e.cidr.len || e.le < e.ge || e.le > bits)
		return weft_decode_fail(ctx, v, "needs %u <= ge <= le <= %u", e.cidr.len, bits);
	*(struct weft_prefix_range *)out = (struct weft_prefix_range){e.cidr, e.ge, e.le};
	return 0;
}

/* --- communities, ids, preferences --- */

int weft_bgp_community(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_COMMUNITY_NAME_MAX);
	struct weft_community_ref *ref = out;
	struct weft_err err = WEFT_ERR_INIT;

	(void)f;
	if (!text)
		return ctx->err.code;
	if (weft_community_parse(text, &ref->value, &err) == 0)
		return 0;
	if (weft_community_name_valid(text)) /* known or not: agent/plan sees BGPConfig */
		return weft_decode_copy(ctx, v, text, &ref->name);
	return weft_decode_fail(ctx, v, "%s", err.text);
}

int weft_bgp_id(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const struct weft_addr zero = {.family = AF_INET};
	const char *text = weft_decode_text(ctx, v, 256);
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_addr *id = out;

	(void)f;
	if (!text)
		return ctx->err.code;
	if (weft_addr_parse(text, id, &err) < 0)
		return weft_decode_fail(ctx, v, "%s", err.text);
	if (id->family != AF_INET || !weft_addr_cmp(id, &zero))
		return weft_decode_fail(ctx, v, "\"%s\" is not an IPv4 address other than 0.0.0.0", text);
	return 0;
}

int weft_bgp_local_pref(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	uint64_t value = 0;
	int r = weft_decode_uint(ctx, v, &local_prefs, &value);

	*(uint32_t *)out = (uint32_t)value;
	*(bool *)((char *)out - f->offset + *(const size_t *)f->arg) = r == 0;
	return r;
}

/* --- types of announcements --- */

int weft_bgp_types(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"LoadBalancerIP", "ExternalIP", "ClusterIP", "PodBlock", NULL};
	static const struct weft_enum type_enum = {names};
	static const struct weft_field type = {.key = "type", .arg = &type_enum};
	unsigned *types = out;
	size_t index = 0;
	int r = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	*types = 0;
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
                       WEFT_ADVERT_CLUSTER == 1u << 2 && WEFT_ADVERT_PODBLOCK == 1u << 3,
               "the bits follow the list of names");

/* --- rules --- */

#define RULE(member) offsetof(struct weft_bgp_rule, member)

static int path_as(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const struct weft_limits any = {1,
	                                       UINT32_MAX}; /* in a path there may be what no speaker has */
	const struct weft_field one = {.key = f->key, .arg = &any};

	return weft_field_u32(ctx, &one, v, out);
}

static int rule_action(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"Accept", "Reject", NULL};
	static const struct weft_enum actions = {names};
	const struct weft_field one = {.key = f->key, .arg = &actions};
	int action = 0, r = weft_field_enum(ctx, &one, v, &action);

	*(bool *)out = action == 1;
	return r;
}

/* An empty list would match nothing or everything, depending on who reads it: it is refused. */
static const struct weft_list match_prefixes = {
        weft_bgp_prefix, sizeof(struct weft_prefix_range), RULE(n_prefixes), 1, BGP_MAX_MATCHES, NULL};
static const struct weft_list match_communities = {weft_bgp_community,  sizeof(struct weft_community_ref),
                                                   RULE(n_communities), 1,
                                                   BGP_MAX_COMMUNITIES, NULL};
static const struct weft_list match_path = {path_as, sizeof(uint32_t), RULE(n_as_path),
                                            1,       BGP_MAX_AS_PATH,  NULL};
static const struct weft_list set_communities = {weft_bgp_community,      sizeof(struct weft_community_ref),
                                                 RULE(n_add_communities), 1,
                                                 BGP_MAX_COMMUNITIES,     NULL};
static const size_t has_local_pref = RULE(has_local_pref);

static const struct weft_field match_fields[] = {
        {"prefixes", weft_field_list, RULE(prefixes), 0, &match_prefixes},
        {"communities", weft_field_list, RULE(communities), 0, &match_communities},
        {"asPathPrefix", weft_field_list, RULE(as_path), 0, &match_path},
};
WEFT_FIELD_TABLE(match_table, match_fields);
static const struct weft_field set_fields[] = {
        {"localPref", weft_bgp_local_pref, RULE(local_pref), 0, &has_local_pref},
        {"addCommunities", weft_field_list, RULE(add_communities), 0, &set_communities},
        {"prepend", weft_field_u8, RULE(prepend), 0, &weft_bgp_prepends},
};
WEFT_FIELD_TABLE(set_table, set_fields);
static const struct weft_field rule_fields[] = {
        {"match", weft_field_object, 0, 0, &match_table},
        {"action", rule_action, RULE(reject), WEFT_FIELD_REQUIRED, NULL},
        {"set", weft_field_object, 0, 0, &set_table},
};
WEFT_FIELD_TABLE(rule_table, rule_fields);

int weft_bgp_rule(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const cJSON *set = cJSON_GetObjectItemCaseSensitive(v, "set");
	const bool *import = f->arg;
	struct weft_bgp_rule *rule = out;
	int r = weft_fields_decode(ctx, &rule_table, v, rule);
	size_t len;

	if (r < 0)
		return r;
	len = weft_path_push(ctx, "set");
	if (rule->reject && cJSON_IsObject(set))
		return weft_decode_fail(ctx, set, "is for action Accept; a rejected route carries nothing");
	if (*import && rule->prepend)
		return weft_decode_fail(ctx, set, "prepend is for export rules");
	weft_path_pop(ctx, len);
	return 0;
}
