// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BGPConfig and BGPAdvertisement. BGPPeer is in kinds_bgp_peer.c.
 */
#include "agent/source/kinds_bgp.h"

#include <string.h>

#define MAX_NAMES 64 /* pools, peers of a BGPAdvertisement */

/* --- BGPConfig --- */

#define CONFIG(member) offsetof(struct weft_bgpconfig, member)

static const struct weft_limits waits = {0, 3600};
static const struct weft_list import_list = {
        weft_bgp_prefix, sizeof(struct weft_prefix_range), CONFIG(n_import), 0, BGP_MAX_IMPORT, NULL};

static int listen_addresses(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                            void *out)
{
	struct weft_addr *listen = out;
	size_t index = 0;
	int r = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		struct weft_addr a = {0}, *slot;

		r = weft_decode_address(ctx, c, &a);
		slot = &listen[a.family == AF_INET6];
		if (r == 0 && weft_addr_is_set(slot))
			return weft_decode_fail(ctx, c, "there is an address of this family already");
		*slot = a;
		weft_path_pop(ctx, len);
	}
	return r;
}

static int community_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_COMMUNITY_NAME_MAX);
	struct weft_community c;

	(void)f;
	if (!text)
		return ctx->err.code;
	if (!weft_community_name_valid(text))
		return weft_decode_fail(
		        ctx, v,
		        "\"%s\" is not a community's name (lower case letters, digits and '-', "
		        "beginning with a letter)",
		        text);
	if (weft_community_parse(text, &c, NULL) == 0)
		return weft_decode_fail(ctx, v, "\"%s\" is well known and can't get another value", text);
	return weft_decode_copy(ctx, v, text, out);
}

static int community_value(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_COMMUNITY_NAME_MAX);
	struct weft_err err = WEFT_ERR_INIT;

	(void)f;
	if (!text)
		return ctx->err.code;
	if (weft_community_parse(text, out, &err) < 0)
		return weft_decode_fail(ctx, v, "%s", err.text);
	return 0;
}

static const struct weft_field community_fields[] = {
        {"name", community_name, offsetof(struct weft_community_ref, name), WEFT_FIELD_REQUIRED, NULL},
        {"value", community_value, offsetof(struct weft_community_ref, value), WEFT_FIELD_REQUIRED, NULL},
};
WEFT_FIELD_TABLE(community_table, community_fields);
static const struct weft_list community_list = {weft_field_object,     sizeof(struct weft_community_ref),
                                                CONFIG(n_communities), 0,
                                                BGP_MAX_NAMES,         &community_table};

static int check_community_names(struct weft_decode_ctx *ctx, const cJSON *json,
                                 const struct weft_bgpconfig *c)
{
	for (size_t i = 0; i < c->n_communities; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(c->communities[i].name, c->communities[j].name))
				return weft_decode_fail(ctx, weft_spec_item(json, "communities"),
				                        "spec.communities[%zu]: \"%s\" is there twice", i,
				                        c->communities[i].name);
	return 0;
}

static const struct weft_field reflector_fields[] = {
        {"nodeSelector", weft_field_selector, CONFIG(reflector_selector), WEFT_FIELD_REQUIRED, NULL},
        {"clusterID", weft_bgp_id, CONFIG(cluster_id), 0, NULL},
};
WEFT_FIELD_TABLE(reflector_table, reflector_fields);

static int route_reflectors(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                            void *out)
{
	struct weft_bgpconfig *config = out;
	int r = weft_fields_decode(ctx, &reflector_table, v, config);

	(void)f;
	config->reflectors = true;
	if (r == 0 && !config->reflector_selector.n_reqs)
		return weft_decode_fail(ctx, v,
		                        "nodeSelector selects every node; it has to tell the reflectors "
		                        "from their clients");
	return r;
}

static const struct weft_field drain_fields[] = {
        {"waitSeconds", weft_field_u32, CONFIG(drain_wait_s), 0, &waits},
        {"onCordon", weft_field_bool, CONFIG(drain_on_cordon), 0, NULL},
};
WEFT_FIELD_TABLE(drain_table, drain_fields);

static const struct weft_field bgpconfig_fields[] = {
        {"asNumber", weft_field_asn, CONFIG(as_number), 0, NULL},
        {"routerID", weft_bgp_id, CONFIG(router_id), 0, NULL},
        {"listenPort", weft_field_u16, CONFIG(listen_port), 0, &weft_bgp_ports},
        {"listenAddresses", listen_addresses, CONFIG(listen_address), 0, NULL},
        {"importPrefixes", weft_field_list, CONFIG(import), 0, &import_list},
        {"announce", weft_bgp_types, CONFIG(announce), 0, NULL},
        {"nodeMesh", weft_field_bool, CONFIG(node_mesh), 0, NULL},
        {"routeReflectors", route_reflectors, 0, 0, NULL},
        {"communities", weft_field_list, CONFIG(communities), 0, &community_list},
        {"drain", weft_field_object, 0, 0, &drain_table},
};
WEFT_FIELD_TABLE(bgpconfig_table, bgpconfig_fields);

int weft_decode_bgpconfig(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_bgpconfig *config = &obj->bgpconfig;
	int r;

	if (strcmp(obj->meta.name, "default"))
		return weft_decode_fail(ctx, cJSON_GetObjectItemCaseSensitive(json, "metadata"),
		                        "metadata.name: the one BGPConfig must be named default");
	config->as_number = 64512; /* first private AS number, RFC 6996 */
	config->listen_port = 179;
	config->announce = WEFT_ANNOUNCE_DEFAULT;
	config->drain_wait_s = WEFT_DRAIN_WAIT_DEFAULT_S;
	r = weft_decode_spec(ctx, json, &bgpconfig_table, config);
	return r < 0 ? r : check_community_names(ctx, json, config);
}

/* --- BGPAdvertisement --- */

#define ADVERT(member) offsetof(struct weft_bgpadvertisement, member)

static const struct weft_limits lengths4 = {8, 32}, lengths6 = {16, 128};
static const struct weft_list pool_list = {
        weft_field_name, sizeof(char *), ADVERT(n_pools), 0, MAX_NAMES, NULL};
static const struct weft_list peer_list = {
        weft_field_name, sizeof(char *), ADVERT(n_peers), 0, MAX_NAMES, NULL};
static const struct weft_list advert_communities = {weft_bgp_community,    sizeof(struct weft_community_ref),
                                                    ADVERT(n_communities), 0,
                                                    BGP_MAX_COMMUNITIES,   NULL};
static const size_t has_local_pref = ADVERT(has_local_pref);

static const struct weft_field advert_fields[] = {
        {"types", weft_bgp_types, ADVERT(types), WEFT_FIELD_REQUIRED, NULL},
        {"nodeSelector", weft_field_selector, ADVERT(node_selector), 0, NULL},
        {"serviceSelector", weft_field_selector, ADVERT(service_selector), 0, NULL},
        {"namespaceSelector", weft_field_selector, ADVERT(namespace_selector), 0, NULL},
        {"pools", weft_field_list, ADVERT(pools), 0, &pool_list},
        {"peers", weft_field_list, ADVERT(peers), 0, &peer_list},
        {"communities", weft_field_list, ADVERT(communities), 0, &advert_communities},
        {"localPref", weft_bgp_local_pref, ADVERT(local_pref), 0, &has_local_pref},
        {"prepend", weft_field_u8, ADVERT(prepend), 0, &weft_bgp_prepends},
        {"aggregationLength", weft_field_u8, ADVERT(aggregate), 0, &lengths4},
        {"aggregationLengthIPv6", weft_field_u8, ADVERT(aggregate) + 1, 0, &lengths6},
        {"endpointWeight", weft_field_bool, ADVERT(endpoint_weight), 0, NULL},
};
WEFT_FIELD_TABLE(advert_table, advert_fields);

/* A field that can have no effect is a mistake about what the object does. */
static int check_blocks_only(struct weft_decode_ctx *ctx, const cJSON *json,
                             const struct weft_bgpadvertisement *a)
{
	static const char *const others[] = {"serviceSelector", "namespaceSelector", "aggregationLength",
	                                     "aggregationLengthIPv6", NULL};
	static const char text[] = "is for addresses of Services; types has PodBlock only";

	for (const char *const *key = others; *key; key++)
		if (weft_bgp_given(json, *key))
			return weft_bgp_fail(ctx, json, *key, text);
	if (a->endpoint_weight)
		return weft_bgp_fail(ctx, json, "endpointWeight", text);
	return 0;
}

int weft_decode_bgpadvertisement(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	const struct weft_bgpadvertisement *a = &obj->bgpadvertisement;
	int r = weft_decode_spec(ctx, json, &advert_table, &obj->bgpadvertisement);

	if (r < 0)
		return r;
	if (!a->types)
		return weft_bgp_fail(ctx, json, "types", "needs at least one type");
	return a->types == WEFT_ADVERT_PODBLOCK ? check_blocks_only(ctx, json, a) : 0;
}
