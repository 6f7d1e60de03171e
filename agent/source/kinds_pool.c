// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPPool: blocks for pods, or ranges of addresses for LoadBalancer Services. And the rules that every CIDR
 * which weft gives addresses from has to meet.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/kinds.h"
#include "weft/cleanup.h"

#define MAX_RANGES   256
#define MAX_PRIORITY 1000000

/* --- CIDRs and ranges --- */

static int check_range(struct weft_decode_ctx *ctx, const cJSON *at, const char *text,
                       const struct weft_range *r)
{
	static const char *const special[] = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
	                                      "::/8",      "fe80::/10",   "ff00::/8"};
	struct weft_prefix p;
	struct weft_addr last;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(special); i++) {
		if (weft_prefix_parse(special[i], &p, NULL) < 0 || p.addr.family != r->first.family)
			continue;
		last = weft_prefix_last(&p);
		if (weft_addr_cmp(&p.addr, &r->last) <= 0 && weft_addr_cmp(&r->first, &last) <= 0)
			return weft_decode_fail(ctx, at, "%s overlaps %s, whose addresses hosts can't have",
			                        text, special[i]);
	}
	return 0;
}

int weft_check_cidr(struct weft_decode_ctx *ctx, const cJSON *at, const struct weft_prefix *cidr)
{
	struct weft_range r = {cidr->addr, weft_prefix_last(cidr)};
	char text[WEFT_PREFIX_STR];

	return check_range(ctx, at, weft_prefix_str(cidr, text), &r);
}

int weft_check_spec_cidr(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_prefix *cidr)
{
	size_t len = weft_path_push(ctx, "spec.cidr");
	int r = weft_check_cidr(ctx, weft_spec_item(json, "cidr"), cidr);

	weft_path_pop(ctx, len);
	return r;
}

unsigned weft_shortest_block(const struct weft_prefix *cidr)
{
	return cidr->addr.family == AF_INET ? 20 : 112;
}

static int range_end(struct weft_decode_ctx *ctx, const cJSON *v, const char *text, size_t len,
                     struct weft_addr *out)
{
	struct weft_err err = WEFT_ERR_INIT;
	char part[WEFT_ADDR_STR + 1];

	while (len && *text == ' ') {
		text++;
		len--;
	}
	while (len && text[len - 1] == ' ')
		len--;
	if (len > WEFT_ADDR_STR) /* the parser says that it is too long */
		len = WEFT_ADDR_STR;
	memcpy(part, text, len);
	part[len] = '\0';
	if (weft_addr_parse(part, out, &err) < 0)
		return weft_decode_fail(ctx, v, "%s", err.text);
	return 0;
}

/* "192.0.2.10-192.0.2.20" or "192.0.2.0/28". */
static int parse_range(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_range *out)
{
	const char *text = weft_decode_text(ctx, v, 128), *dash;
	struct weft_prefix cidr;

	if (!text)
		return ctx->err.code;
	dash = strchr(text, '-');
	if (!dash) {
		if (weft_field_prefix(ctx, NULL, v, &cidr) < 0)
			return ctx->err.code;
		*out = (struct weft_range){cidr.addr, weft_prefix_last(&cidr)};
		return check_range(ctx, v, text, out);
	}
	if (range_end(ctx, v, text, (size_t)(dash - text), &out->first) < 0 ||
	    range_end(ctx, v, dash + 1, strlen(dash + 1), &out->last) < 0)
		return ctx->err.code;
	if (out->first.family != out->last.family)
		return weft_decode_fail(ctx, v, "\"%s\" has addresses of two families", text);
	if (weft_addr_cmp(&out->first, &out->last) > 0)
		return weft_decode_fail(ctx, v, "\"%s\" ends before it begins", text);
	return check_range(ctx, v, text, out);
}

/* An address that is in two ranges would be counted twice. */
static int check_apart(struct weft_decode_ctx *ctx, const cJSON *v, const struct weft_ippool *pool)
{
	const struct weft_range *r = &pool->ranges[pool->n_ranges - 1];

	for (size_t i = 0; i + 1 < pool->n_ranges; i++)
		if (weft_addr_cmp(&pool->ranges[i].first, &r->last) <= 0 &&
		    weft_addr_cmp(&r->first, &pool->ranges[i].last) <= 0)
			return weft_decode_fail(ctx, v, "overlaps spec.ranges[%zu]", i);
	return 0;
}

static int field_ranges(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_ippool *pool = out;
	int r = weft_decode_list(ctx, v, MAX_RANGES, sizeof(*pool->ranges), (void **)&pool->ranges);

	(void)f;
	if (r == 0 && !v->child)
		return weft_decode_fail(ctx, v, "needs at least one range");
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, pool->n_ranges);

		r = parse_range(ctx, c, &pool->ranges[pool->n_ranges++]);
		if (r == 0)
			r = check_apart(ctx, c, pool);
		weft_path_pop(ctx, len);
	}
	return r;
}

/* --- the pool --- */

static const char *const uses[] = {"Pods", "LoadBalancer", NULL};
static const struct weft_enum use_enum = {uses};
static const char *const tunnels[] = {"Fallback", "Never", "CrossSubnet", "Always", NULL};
static const struct weft_enum tunnel_enum = {tunnels};
static const struct weft_limits block_sizes = {1, 128};
static const struct weft_limits priorities = {0, MAX_PRIORITY};
_Static_assert(WEFT_USE_LOADBALANCER == 1 && WEFT_TUNNEL_FALLBACK == 0 && WEFT_TUNNEL_ALWAYS == 3,
               "the lists of names follow the enums");
_Static_assert(sizeof(enum weft_pool_use) == sizeof(int) && sizeof(enum weft_tunnel_mode) == sizeof(int),
               "weft_field_enum stores an int");

#define POOL(member) offsetof(struct weft_ippool, member)

static const struct weft_field ippool_fields[] = {
        {"cidr", weft_field_prefix, POOL(cidr), 0, NULL},
        {"blockSize", weft_field_u8, POOL(block_size), 0, &block_sizes},
        {"use", weft_field_enum, POOL(use), 0, &use_enum},
        {"ipip", weft_field_enum, POOL(tunnel), 0, &tunnel_enum},
        {"nodeSelector", weft_field_selector, POOL(node_selector), 0, NULL},
        {"disabled", weft_field_bool, POOL(disabled), 0, NULL},
        {"ranges", field_ranges, 0, 0, NULL},
        {"serviceSelector", weft_field_selector, POOL(service_selector), 0, NULL},
        {"namespaceSelector", weft_field_selector, POOL(namespace_selector), 0, NULL},
        {"priority", weft_field_u32, POOL(priority), 0, &priorities},
        {"autoAssign", weft_field_bool, POOL(auto_assign), 0, NULL},
        {"avoidBuggyIPs", weft_field_bool, POOL(avoid_buggy_ips), 0, NULL},
};
WEFT_FIELD_TABLE(ippool_table, ippool_fields);

static int check_block_size(struct weft_decode_ctx *ctx, const cJSON *at, const struct weft_ippool *pool)
{
	unsigned bits = weft_addr_bits(pool->cidr.addr.family), shortest = weft_shortest_block(&pool->cidr);

	if (pool->block_size < shortest || pool->block_size > bits)
		return weft_decode_fail(ctx, at, "spec.blockSize: %u is not from %u to %u", pool->block_size,
		                        shortest, bits);
	if (pool->block_size < pool->cidr.len)
		return weft_decode_fail(ctx, at, "spec.blockSize: a /%u block does not fit into a /%u pool",
		                        pool->block_size, pool->cidr.len);
	if (pool->block_size - pool->cidr.len > WEFT_POOL_MAX_BLOCK_BITS)
		return weft_decode_fail(ctx, at,
		                        "spec.blockSize: a /%u pool has more than 2^%d blocks of /%u; "
		                        "make the pool smaller or its blocks larger",
		                        pool->cidr.len, WEFT_POOL_MAX_BLOCK_BITS, pool->block_size);
	return 0;
}

static bool given(const cJSON *json, const char *key)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(json, "spec");
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(spec, key);

	return v && !cJSON_IsNull(v);
}

static int no_cidr(struct weft_decode_ctx *ctx, const cJSON *json, const char *text)
{
	return weft_decode_fail(ctx, weft_spec_item(json, "cidr"), "spec.cidr: %s", text);
}

static int finish_pods(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_ippool *pool)
{
	static const char *const others[] = {"ranges",   "serviceSelector", "namespaceSelector",
	                                     "priority", "autoAssign",      "avoidBuggyIPs"};

	for (size_t i = 0; i < WEFT_ARRAY_LEN(others); i++)
		if (given(json, others[i]))
			return weft_decode_fail(ctx, weft_spec_item(json, others[i]),
			                        "spec.%s: is for pools with use: LoadBalancer", others[i]);
	if (!given(json, "cidr"))
		return no_cidr(ctx, json, "is missing");
	return check_block_size(ctx, weft_spec_item(json, "blockSize"), pool);
}

/* The pool's CIDR is a range like the others. */
static int finish_load_balancer(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_ippool *pool)
{
	int r;

	if (!given(json, "cidr") && !given(json, "ranges"))
		return no_cidr(ctx, json, "is missing; give either cidr or ranges");
	if (given(json, "cidr") && given(json, "ranges"))
		return no_cidr(ctx, json, "give either cidr or ranges");
	if (pool->n_ranges)
		return 0;
	r = weft_decode_array(ctx, json, 1, sizeof(*pool->ranges), (void **)&pool->ranges);
	if (r == 0)
		pool->ranges[pool->n_ranges++] =
		        (struct weft_range){pool->cidr.addr, weft_prefix_last(&pool->cidr)};
	return r;
}

int weft_decode_ippool(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_ippool *pool = &obj->ippool;
	unsigned normal;
	int r;

	pool->priority = 100;
	pool->auto_assign = true;
	r = weft_decode_spec(ctx, json, &ippool_table, pool);
	if (r == 0 && given(json, "cidr"))
		r = weft_check_spec_cidr(ctx, json, &pool->cidr);
	if (r < 0)
		return r;
	normal = pool->cidr.addr.family == AF_INET ? 26 : 122;
	if (!pool->block_size && given(json, "cidr"))
		pool->block_size = (uint8_t)(normal > pool->cidr.len ? normal : pool->cidr.len);
	return pool->use == WEFT_USE_PODS ? finish_pods(ctx, json, pool)
	                                  : finish_load_balancer(ctx, json, pool);
}
