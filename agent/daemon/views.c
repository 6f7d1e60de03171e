// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What weftctl shows. docs/reference/weftctl.md defines the shape of each answer. Views walk what they show;
 * they run on request only.
 */
#include "agent/daemon/views.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weft/cleanup.h"
#include "weft/marks.h"

#include "agent/daemon/ahead.h"
#include "agent/daemon/explain.h"
#include "agent/kernel/lookup.h"

/* --- paths --- */

/* How a packet to this address leaves, by the kernel's own answer. Returns false when it would not. */
static bool path_to(const struct agent *a, const struct weft_addr *addr, char *out, size_t size)
{
	struct route_info info = {0};
	struct weft_err err = WEFT_ERR_INIT;
	char via[WEFT_ADDR_STR] = "several routers";
	const struct link_info *link;

	if (lookup_route(a->nl, addr, &info, &err) < 0 || info.route.type != RTN_UNICAST) {
		snprintf(out, size, "none");
		return false;
	}
	link = links_by_index(a->links, info.oif);
	if (weft_addr_is_set(&info.route.gateway))
		weft_addr_str(&info.route.gateway, via);
	if (link && (!strcmp(link->name, WEFT_DEV_IPIP) || !strcmp(link->name, WEFT_DEV_SIT)))
		snprintf(out, size, "tunnel");
	else if (info.route.protocol == WEFT_RTPROT)
		snprintf(out, size, "direct dev %s", link ? link->name : "?");
	else if (info.route.protocol == RTPROT_BIRD)
		snprintf(out, size, "fabric via %s", via);
	else
		snprintf(out, size, "other route via %s", via);
	return true;
}

static bool block_path(const struct agent *a, const struct cluster_block *b, char *out, size_t size)
{
	struct weft_addr probe = weft_addr_add(&b->cidr.addr, 1);

	if (!b->own)
		return path_to(a, &probe, out, size);
	snprintf(out, size, "local");
	return true;
}

/* --- nodes --- */

struct node_walk {
	const struct agent *a;
	size_t blocks;
	char path[128];
	bool ok;
};

static bool node_block(void *ctx, const struct cluster_block *b)
{
	struct node_walk *w = ctx;
	char path[128];
	bool ok = block_path(w->a, b, path, sizeof(path));

	if (w->blocks++ == 0 || (w->ok && !ok))
		memcpy(w->path, path, sizeof(path));
	w->ok &= ok;
	return false;
}

struct list_walk {
	const struct agent *a;
	cJSON *list;
};

static bool node_item(void *ctx, const struct weft_object *obj)
{
	struct list_walk *l = ctx;
	struct node_walk w = {.a = l->a, .ok = true, .path = "none"};
	cJSON *item = cJSON_CreateObject();
	bool self = !strcmp(obj->meta.name, l->a->cfg.node_name);

	cluster_each_block_of(l->a->cluster, obj->meta.name, node_block, &w);
	cJSON_AddStringToObject(item, "name", obj->meta.name);
	cJSON_AddBoolToObject(item, "self", self);
	view_addr(item, "ip4", &obj->node.ip4);
	view_addr(item, "ip6", &obj->node.ip6);
	if (obj->node.as_number)
		cJSON_AddNumberToObject(item, "asNumber", obj->node.as_number);
	cJSON_AddNumberToObject(item, "blocks", (double)w.blocks);
	cJSON_AddStringToObject(item, "path", self ? "local" : w.path);
	cJSON_AddStringToObject(item, "state", w.ok ? "ok" : "failed");
	cJSON_AddItemToArray(l->list, item);
	return false;
}

static int view_nodes(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                      struct weft_err *err)
{
	struct list_walk l = {.a = ctx, .list = cJSON_CreateArray()};

	(void)req;
	(void)args;
	(void)err;
	cluster_each(l.a->cluster, WEFT_NODE, node_item, &l);
	*result = l.list;
	return 0;
}

/* --- blocks and ipam --- */

static bool block_item(void *ctx, const struct cluster_block *b)
{
	struct list_walk *l = ctx;
	cJSON *item = cJSON_CreateObject();
	struct weft_ipam_block file = {0};
	char name[WEFT_PREFIX_STR], via[128];

	view_prefix(item, "cidr", &b->cidr);
	cJSON_AddStringToObject(item, "node", b->node_name);
	cJSON_AddStringToObject(item, "pool", b->pool_name);
	cJSON_AddBoolToObject(item, "self", b->own);
	if (b->own && weft_ipam_read(l->a->ipam, weft_block_name(&b->cidr, name), &file, NULL) == 0) {
		cJSON_AddNumberToObject(item, "used", file.counts.used);
		cJSON_AddNumberToObject(item, "free", file.counts.free);
		cJSON_AddNumberToObject(item, "cooling", file.counts.cooling);
		weft_ipam_block_clear(&file);
	}
	block_path(l->a, b, via, sizeof(via));
	cJSON_AddStringToObject(item, "via", via);
	cJSON_AddItemToArray(l->list, item);
	return false;
}

static int view_blocks(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                       struct weft_err *err)
{
	struct list_walk l = {.a = ctx, .list = cJSON_CreateArray()};

	(void)req;
	(void)args;
	(void)err;
	cluster_each_block(l.a->cluster, block_item, &l);
	*result = l.list;
	return 0;
}

static void ipam_item(cJSON *list, const struct weft_ipam_block *block, const struct weft_ipam_entry *e,
                      uint64_t cooling)
{
	cJSON *item;
	char stamp[32];
	time_t at = (time_t)(e->released_ms / 1000);
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	bool cools = e->state == WEFT_IPAM_FREE && e->released_ms &&
	             e->released_ms + cooling > (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (e->state != WEFT_IPAM_USED && e->state != WEFT_IPAM_CORRUPT && !cools)
		return;
	item = cJSON_CreateObject();
	view_addr(item, "address", &e->addr);
	view_prefix(item, "block", &block->cidr);
	cJSON_AddStringToObject(item, "state",
	                        cools                        ? "cooling"
	                        : e->state == WEFT_IPAM_USED ? "used"
	                                                     : "unreadable");
	cJSON_AddStringToObject(item, "containerID", e->container_id);
	cJSON_AddStringToObject(item, "ifname", e->ifname);
	cJSON_AddStringToObject(item, "hostDev", e->host_dev);
	if (cools) {
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
		cJSON_AddStringToObject(item, "releasedAt", stamp);
	}
	cJSON_AddItemToArray(list, item);
}

static int view_ipam(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                     struct weft_err *err)
{
	struct agent *a = ctx;
	struct weft_ipam_block *blocks = NULL;
	size_t n = 0;
	int r = weft_ipam_list(a->ipam, &blocks, &n, err);

	(void)req;
	(void)args;
	if (r < 0)
		return r;
	*result = cJSON_CreateArray();
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < blocks[i].n; k++)
			ipam_item(*result, &blocks[i], &blocks[i].entries[k], a->cfg.ipam.cooldown_ms);
	weft_ipam_blocks_free(blocks, n);
	return 0;
}

/* --- routes --- */

static const char *route_state(enum fib_state s)
{
	switch (s) {
	case FIB_INSTALLED:
		return "installed";
	case FIB_CONFLICT:
		return "conflict";
	case FIB_NOT_READY:
		return "not-ready";
	default:
		return "pending";
	}
}

static bool route_item(void *ctx, const struct fib_view *v)
{
	struct list_walk *l = ctx;
	const struct weft_route *r = v->route;
	cJSON *item = cJSON_CreateObject();

	view_prefix(item, "dst", &r->key.dst);
	if (r->key.table == RT_TABLE_MAIN || r->key.table == RT_TABLE_LOCAL)
		cJSON_AddStringToObject(item, "table", r->key.table == RT_TABLE_MAIN ? "main" : "local");
	else
		cJSON_AddNumberToObject(item, "table", r->key.table);
	cJSON_AddNumberToObject(item, "metric", r->key.metric);
	cJSON_AddStringToObject(item, "type",
	                        r->type == RTN_BLACKHOLE ? "blackhole"
	                        : r->type == RTN_LOCAL   ? "local"
	                                                 : "unicast");
	view_addr(item, "via", &r->gateway);
	if (r->dev[0])
		cJSON_AddStringToObject(item, "dev", r->dev);
	view_addr(item, "src", &r->src);
	cJSON_AddStringToObject(item, "state", route_state(v->state));
	if (v->text[0])
		cJSON_AddStringToObject(item, v->state == FIB_CONFLICT ? "owner" : "reason", v->text);
	cJSON_AddItemToArray(l->list, item);
	return true;
}

static int view_routes(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                       struct weft_err *err)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(args, "args");
	struct list_walk l = {.a = ctx};

	if (cJSON_HasObjectItem(inner, "received") || cJSON_HasObjectItem(inner, "advertised"))
		return view_bird_routes(ctx, req, inner, err);
	l.list = cJSON_CreateArray();
	fib_foreach(l.a->fib, route_item, &l);
	*result = l.list;
	return 0;
}

int agent_views_register(struct agent *a)
{
	static const struct {
		const char *name, *help;
		serve_handler_fn fn;
	} views[] = {
	        {"status", "is this node's network healthy, and if not, why", view_status},
	        {"nodes", "nodes of the cluster and how packets get to each", view_nodes},
	        {"blocks", "address blocks, their nodes and how full they are", view_blocks},
	        {"routes", "routes: of the kernel, or received from and announced to a peer", view_routes},
	        {"bgp", "why a prefix is, or is not, announced to whom", view_bgp},
	        {"plan", "what other manifests would change", view_plan},
	        {"bird", "a command of BIRD's own", view_bird},
	        {"peers", "BGP sessions of this node", view_peers},
	        {"ipam", "pod addresses of this node", view_ipam},
	        {"claim", "weft-cni: make sure that a block has a free address", view_claim},
	};

	int r = 0;

	for (size_t i = 0; r == 0 && i < WEFT_ARRAY_LEN(views); i++)
		r = serve_register(a->server, views[i].name, views[i].fn, a, views[i].help);
	a->services_views = (struct services_views){.serving = a->serving,
	                                            .services = a->services,
	                                            .ipvs = a->ipvs,
	                                            .nl = a->nl,
	                                            .links = a->links};
	if (r == 0)
		r = serve_register(a->server, "services", view_services, &a->services_views,
		                   "addresses, endpoints and state of Services");
	if (r == 0)
		r = draining_register(a->draining, a->server);
	if (r == 0)
		r = serve_register(a->server, "trace", view_trace, &a->services_views,
		                   "where a packet goes, by the kernel's own answers");
	return r;
}
