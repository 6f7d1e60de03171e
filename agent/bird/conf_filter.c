// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The template data of a peer's two filters.
 *
 * A rule is a list of terms that must all hold, and actions. Nothing here may render to an empty block: BIRD
 * 2.0.12 parses some of them and crashes when it runs them.
 */
#include "agent/bird/conf_int.h"

#define AS_TRANS 23456 /* RFC 6793 */

/* The link-bandwidth extended community, type and subtype. BIRD takes non-transitive ones off eBGP sessions. */
#define BANDWIDTH_TRANSITIVE     0x00040000u
#define BANDWIDTH_NON_TRANSITIVE 0x40040000u

void conf_add_ranges(cJSON *to, const char *name, const struct bgp_range *v, size_t n, uint8_t family)
{
	cJSON *list = cJSON_AddArrayToObject(to, name);
	char cidr[WEFT_PREFIX_STR];

	for (size_t i = 0; i < n; i++) {
		cJSON *item;

		if (v[i].cidr.addr.family != family)
			continue;
		item = cJSON_CreateObject();
		cJSON_AddBoolToObject(item, "first", cJSON_GetArraySize(list) == 0);
		cJSON_AddStringToObject(item, "cidr", weft_prefix_str(&v[i].cidr, cidr));
		cJSON_AddNumberToObject(item, "ge", v[i].ge);
		cJSON_AddNumberToObject(item, "le", v[i].le);
		cJSON_AddItemToArray(list, item);
	}
}

static void add_communities(cJSON *to, const struct weft_community *v, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(to, "communities");

	for (size_t i = 0; i < n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddBoolToObject(item, "first", i == 0);
		cJSON_AddBoolToObject(item, "large", v[i].large);
		cJSON_AddNumberToObject(item, "a", v[i].part[0]);
		cJSON_AddNumberToObject(item, "b", v[i].part[1]);
		cJSON_AddNumberToObject(item, "c", v[i].large ? v[i].part[2] : 0);
		cJSON_AddItemToArray(list, item);
	}
}

/* A list of `count` elements: the template repeats a line for each. */
static void add_count(cJSON *to, const char *name, unsigned count)
{
	cJSON *list = cJSON_AddArrayToObject(to, name);

	for (unsigned i = 0; i < count; i++)
		cJSON_AddItemToArray(list, cJSON_CreateNumber(i + 1));
}

/* What a route gets. Local preference exists inside an AS, and there a prepended path would be a loop. */
static void add_actions(cJSON *to, const struct bgp_peer *p, bool local_pref, uint32_t value, uint8_t prepend)
{
	cJSON_AddBoolToObject(to, "setsLocalPref", local_pref);
	cJSON_AddNumberToObject(to, "localPref", local_pref ? value : 0);
	add_count(to, "prepends", p->ibgp ? 0 : prepend);
	cJSON_AddNumberToObject(to, "localAs", p->local_as);
}

enum term { IS_ANY, IS_NET, IS_COMMUNITY, IS_PATH, TERMS };

static cJSON *add_term(cJSON *list, enum term kind)
{
	static const char *const kinds[TERMS] = {"isAny", "isNet", "isCommunity", "isPath"};
	cJSON *term = cJSON_CreateObject();

	cJSON_AddBoolToObject(term, "first", cJSON_GetArraySize(list) == 0);
	for (enum term i = 0; i < TERMS; i++)
		cJSON_AddBoolToObject(term, kinds[i], i == kind);
	cJSON_AddItemToArray(list, term);
	return term;
}

static void add_nets(cJSON *term, const struct bgp_rule *r)
{
	bool has4, has6;

	conf_add_ranges(term, "nets4", r->prefixes, r->n_prefixes, AF_INET);
	conf_add_ranges(term, "nets6", r->prefixes, r->n_prefixes, AF_INET6);
	has4 = cJSON_GetArraySize(cJSON_GetObjectItem(term, "nets4")) > 0;
	has6 = cJSON_GetArraySize(cJSON_GetObjectItem(term, "nets6")) > 0;
	cJSON_AddBoolToObject(term, "has4", has4);
	cJSON_AddBoolToObject(term, "has6", has6);
	cJSON_AddBoolToObject(term, "both", has4 && has6);
}

static void add_terms(cJSON *rule, const struct bgp_rule *r)
{
	cJSON *terms = cJSON_AddArrayToObject(rule, "terms");

	if (r->n_prefixes)
		add_nets(add_term(terms, IS_NET), r);
	if (r->n_communities)
		add_communities(add_term(terms, IS_COMMUNITY), r->communities, r->n_communities);
	if (r->n_as_path) {
		cJSON *path = cJSON_AddArrayToObject(add_term(terms, IS_PATH), "path");

		for (size_t i = 0; i < r->n_as_path; i++)
			cJSON_AddItemToArray(path, cJSON_CreateNumber(r->as_path[i]));
	}
	if (!cJSON_GetArraySize(terms))
		add_term(terms, IS_ANY);
}

static void add_rules(cJSON *to, const char *name, const struct bgp_peer *p, bool import)
{
	const struct bgp_rule *v = import ? p->import : p->export;
	size_t n = import ? p->n_import : p->n_export;
	cJSON *list = cJSON_AddArrayToObject(to, name);

	for (size_t i = 0; i < n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "number", (double)i + 1);
		add_terms(item, &v[i]);
		cJSON_AddBoolToObject(item, "reject", v[i].reject);
		add_communities(item, v[i].add_communities, v[i].n_add_communities);
		add_actions(item, p, v[i].has_local_pref && (import || p->ibgp), v[i].local_pref,
		            import ? 0 : v[i].prepend);
		cJSON_AddItemToArray(list, item);
	}
}

static const char *class_name(unsigned type)
{
	switch (type) {
	case WEFT_ADVERT_PODBLOCK:
		return "blocks of pods";
	case WEFT_ADVERT_LOADBALANCER:
		return "LoadBalancer IPs";
	case WEFT_ADVERT_EXTERNAL:
		return "external IPs";
	default:
		return "cluster IPs";
	}
}

static bool announced(const struct bgp_peer *p, const struct bgp_export *e)
{
	return p->drain != BGP_DRAIN_WITHDRAWN || e->type == WEFT_ADVERT_PODBLOCK;
}

static bool adorned(const struct bgp_peer *p, const struct bgp_export *e)
{
	return e->n_communities || e->weight || (e->has_local_pref && p->ibgp) || (e->prepend && !p->ibgp);
}

static void add_exports(cJSON *to, const struct bgp_peer *p)
{
	cJSON *list = cJSON_AddArrayToObject(to, "announced");
	uint32_t as = p->local_as > UINT16_MAX ? AS_TRANS : p->local_as;

	for (size_t i = 0; i < p->n_exports; i++) {
		const struct bgp_export *e = &p->exports[i];
		cJSON *item;

		if (!announced(p, e))
			continue;
		item = cJSON_CreateObject();
		cJSON_AddBoolToObject(item, "first", cJSON_GetArraySize(list) == 0);
		cJSON_AddNumberToObject(item, "metric", e->metric);
		cJSON_AddStringToObject(item, "what", class_name(e->type));
		cJSON_AddStringToObject(item, "comment", e->comment ? e->comment : "");
		cJSON_AddBoolToObject(item, "adorned", adorned(p, e));
		add_communities(item, e->communities, e->n_communities);
		add_actions(item, p, e->has_local_pref && p->ibgp, e->local_pref, e->prepend);
		cJSON_AddBoolToObject(item, "weight", e->weight);
		cJSON_AddNumberToObject(item, "bandwidthKey",
		                        (p->ibgp ? BANDWIDTH_NON_TRANSITIVE : BANDWIDTH_TRANSITIVE) + as);
		cJSON_AddItemToArray(list, item);
	}
}

void conf_add_filters(cJSON *to, const struct bgp_peer *p)
{
	bool mesh = p->origin != BGP_PEER_OBJECT;

	cJSON_AddStringToObject(to, "policy4", mesh ? "WEFT_POOLS4" : "WEFT_IMPORT4");
	cJSON_AddStringToObject(to, "policy6", mesh ? "WEFT_POOLS6" : "WEFT_IMPORT6");
	cJSON_AddBoolToObject(to, "internal", p->ibgp);
	cJSON_AddBoolToObject(to, "lastResort", p->drain >= BGP_DRAIN_LAST_RESORT);
	cJSON_AddBoolToObject(to, "withdrawn", p->drain == BGP_DRAIN_WITHDRAWN);
	add_rules(to, "importRules", p, true);
	add_rules(to, "exportRules", p, false);
	add_exports(to, p);
}
