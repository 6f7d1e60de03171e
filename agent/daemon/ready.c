// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Readiness: a container runtime starts pods as soon as cni.confDir has a conflist, so weftd writes it when
 * pods can work, and only then: the node is known, each family on offer has a block with its routes, wanted
 * tunnels are up. It is written again when what it says changes, and stays while weftd is down: pods start
 * without it.
 */
#include "agent/daemon/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"
#include "weft/marks.h"

#include "agent/daemon/cleanup.h"

#define RETRY_MS 5000 /* the folder could not be written to */

static bool note_family(void *ctx, const struct cluster_block *b)
{
	struct agent_conflist *h = ctx;

	if (b->state == CLUSTER_BLOCK_OK || b->state == CLUSTER_BLOCK_WRONG_POOL)
		*(b->cidr.addr.family == AF_INET ? &h->v4 : &h->v6) = true;
	return false;
}

static bool pool_offers(const struct agent *a, uint8_t family)
{
	struct cluster_pool p;

	for (size_t i = 0; cluster_pool_at(a->cluster, i, &p); i++)
		if (p.selects_self && !p.refused && !p.spec->disabled && p.spec->use == WEFT_USE_PODS &&
		    p.spec->cidr.addr.family == family)
			return true;
	return false;
}

static const char *not_ready(const struct agent *a, const struct agent_conflist *held)
{
	if (!cluster_self(a->cluster))
		return "waiting for the Node object of this node";
	if (!held->v4 && !held->v6 && !pool_offers(a, AF_INET) && !pool_offers(a, AF_INET6))
		return a->cfg.ipam.mode == WEFT_IPAM_NODE
		               ? "waiting for spec.podCIDRs of this node's Node"
		               : "waiting for an IPPool for pods that selects this node";
	if (!held->v4 && pool_offers(a, AF_INET))
		return "waiting for an IPv4 block";
	if (!held->v6 && pool_offers(a, AF_INET6))
		return "waiting for an IPv6 block";
	if (!held->mtu)
		return "waiting for a network device that is up and has an address";
	if (!holdings_ready(a->holdings))
		return "waiting for free addresses in this node's blocks";
	if ((a->env.ipip_ready && !links_by_name(a->links, WEFT_DEV_IPIP)) ||
	    (a->env.sit_ready && !links_by_name(a->links, WEFT_DEV_SIT)))
		return "waiting for the tunnel devices";
	if (fib_pending(a->fib))
		return "waiting for routes";
	return NULL;
}

static uint32_t pod_mtu(const struct agent *a)
{
	if (a->cfg.cni.mtu)
		return a->cfg.cni.mtu;
	return a->tunnels_plan.ipip || a->tunnels_plan.sit ? a->tunnels_plan.mtu : a->underlay_mtu;
}

/* A chained plugin that is not installed would fail every pod: name only what is there. */
static bool installed(const struct agent *a, const char *type)
{
	char path[WEFT_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", a->cfg.cni.bin_dir, type);
	return access(path, X_OK) == 0;
}

static void chain(cJSON *plugins, const char *type, const char *capability)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "type", type);
	cJSON_AddBoolToObject(cJSON_AddObjectToObject(item, "capabilities"), capability, true);
	cJSON_AddItemToArray(plugins, item);
}

static char *conflist(const struct agent *a, const struct agent_conflist *held)
{
	cJSON *root = cJSON_CreateObject(), *plugins, *item, *families;
	char text[WEFT_PATH_MAX + 16];
	char *out;

	cJSON_AddStringToObject(root, "cniVersion", "1.0.0");
	cJSON_AddStringToObject(root, "name", "weft");
	plugins = cJSON_AddArrayToObject(root, "plugins");
	item = cJSON_CreateObject();
	cJSON_AddItemToArray(plugins, item);
	cJSON_AddStringToObject(item, "type", "weft-cni");
	cJSON_AddStringToObject(item, "stateDir", a->cfg.state_dir);
	snprintf(text, sizeof(text), "%s/weftd.sock", a->cfg.run_dir);
	cJSON_AddStringToObject(item, "socket", text);
	cJSON_AddNumberToObject(item, "mtu", held->mtu);
	cJSON_AddNumberToObject(item, "cooldownMs", (double)a->cfg.ipam.cooldown_ms);
	families = cJSON_AddArrayToObject(item, "families");
	if (held->v4)
		cJSON_AddItemToArray(families, cJSON_CreateString("4"));
	if (held->v6)
		cJSON_AddItemToArray(families, cJSON_CreateString("6"));
	if (held->portmap)
		chain(plugins, "portmap", "portMappings");
	if (held->bandwidth)
		chain(plugins, "bandwidth", "bandwidth");
	out = cJSON_Print(root);
	cJSON_Delete(root);
	return out;
}

static bool same_conflist(const struct agent_conflist *x, const struct agent_conflist *y)
{
	return x->v4 == y->v4 && x->v6 == y->v6 && x->mtu == y->mtu && x->portmap == y->portmap &&
	       x->bandwidth == y->bandwidth;
}

static void be_ready(struct agent *a, const struct agent_conflist *held)
{
	const struct weft_source_ops *ops = a->source->ops;

	a->ready = true;
	a->ready_why[0] = '\0';
	a->conflist = *held;
	if (ops->node_condition)
		ops->node_condition(a->source, WEFT_NODE_NETWORK_UNAVAILABLE, false, "WeftIsReady",
		                    "weft routes the pods of this node");
}

void agent_check_ready(struct agent *a)
{
	weft_autofree char *text = NULL, *old = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	char path[WEFT_PATH_MAX + 32];
	struct agent_conflist held = {.mtu = pod_mtu(a),
	                              .portmap = installed(a, "portmap"),
	                              .bandwidth = installed(a, "bandwidth")};
	const char *why;

	a->ready_retry_at = 0;
	cluster_each_block_of(a->cluster, a->cfg.node_name, note_family, &held);
	if (a->ready && same_conflist(&held, &a->conflist))
		return;
	why = not_ready(a, &held);
	if (why && a->ready)
		return; /* what runs goes on; status tells what is missing */
	if (why) {
		snprintf(a->ready_why, sizeof(a->ready_why), "%s", why);
		return;
	}
	text = conflist(a, &held);
	snprintf(path, sizeof(path), "%s/" WEFT_CONFLIST, a->cfg.cni.conf_dir);
	if (!text)
		return;
	if (weft_file_read(path, 1 << 20, &old, NULL, NULL) == 0 && !strcmp(old, text)) {
		be_ready(a, &held);
		return;
	}
	if (weft_mkdirs(a->cfg.cni.conf_dir, 0755, &err) < 0 ||
	    weft_file_replace(path, text, strlen(text), 0644, &err) < 0) {
		if (strncmp(a->ready_why, err.text, sizeof(a->ready_why) - 1))
			log_error("CNI configuration: %s", err.text);
		snprintf(a->ready_why, sizeof(a->ready_why), "%.255s", err.text);
		a->ready_retry_at = uv_now(a->loop) + RETRY_MS;
		return;
	}
	log_info("ready for pods: %s written", path);
	be_ready(a, &held);
}
