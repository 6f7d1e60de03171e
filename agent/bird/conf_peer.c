// SPDX-License-Identifier: GPL-2.0-or-later
/* The template data of a peer's protocol: everything in its own section, so that no peer depends on another. */
#include <string.h>

#include "agent/bird/conf_int.h"

#define RECEIVED_PER_ACCEPTED 10

static void add_address(cJSON *to, const char *name, const struct weft_addr *a)
{
	char text[WEFT_ADDR_STR];

	if (weft_addr_is_set(a))
		cJSON_AddStringToObject(to, name, weft_addr_str(a, text));
	else
		cJSON_AddBoolToObject(to, name, false);
}

static void add_text(cJSON *to, const char *name, const char *text)
{
	if (text && *text)
		cJSON_AddStringToObject(to, name, text);
	else
		cJSON_AddBoolToObject(to, name, false);
}

static void add_number(cJSON *to, const char *name, uint32_t number)
{
	if (number)
		cJSON_AddNumberToObject(to, name, number);
	else
		cJSON_AddBoolToObject(to, name, false);
}

static void add_session(cJSON *data, const struct bgp_peer *p, const struct bgp_model *m)
{
	int v6 = p->address.family == AF_INET6;

	add_address(data, "local", &p->local);
	add_address(data, "address", &p->address);
	add_text(data, "interface", p->interface);
	add_address(data, "routerId", &m->router_id);
	cJSON_AddNumberToObject(data, "port", p->port);
	cJSON_AddNumberToObject(data, "listenPort", m->listen_port);
	cJSON_AddBoolToObject(data, "strictBind", weft_addr_is_set(&m->listen_address[v6]));
	cJSON_AddNumberToObject(data, "localAs", p->local_as);
	add_number(data, "peerAs", p->as_number);
	add_number(data, "multihop", p->multihop);
	cJSON_AddBoolToObject(data, "ttlSecurity", p->ttl_security);
	cJSON_AddBoolToObject(data, "passive", p->passive);
	cJSON_AddNumberToObject(data, "hold", p->hold_s);
	cJSON_AddNumberToObject(data, "keepalive", p->keepalive_s);
	cJSON_AddNumberToObject(data, "connectRetry", p->connect_retry_s);
	add_number(data, "allowOwnAs", p->allow_own_as);
	cJSON_AddBoolToObject(data, "client", p->reflector_client);
	add_address(data, "clusterId", &p->cluster_id);
}

static void add_failure(cJSON *data, const struct bgp_peer *p)
{
	cJSON_AddBoolToObject(data, "bfd", p->bfd);
	cJSON_AddNumberToObject(data, "bfdRx", p->bfd_rx_ms);
	cJSON_AddNumberToObject(data, "bfdTx", p->bfd_tx_ms);
	cJSON_AddNumberToObject(data, "bfdMultiplier", p->bfd_multiplier);
	cJSON_AddBoolToObject(data, "restartOff", p->restart == WEFT_GR_OFF);
	cJSON_AddBoolToObject(data, "restartAware", p->restart == WEFT_GR_AWARE);
	add_number(data, "restartTime", p->restart == WEFT_GR_ON ? p->restart_s : 0);
	add_number(data, "longLived", p->restart == WEFT_GR_ON ? p->long_lived_s : 0);
}

static uint32_t receive_limit(uint32_t max_prefixes)
{
	return max_prefixes < UINT32_MAX / RECEIVED_PER_ACCEPTED ? max_prefixes * RECEIVED_PER_ACCEPTED
	                                                         : UINT32_MAX;
}

static void add_channel(cJSON *list, const struct bgp_peer *p, int v6)
{
	static const char *const actions[] = {"block", "warn", "restart", "disable"};
	static const char *const paths[] = {"", "rx", "tx", "on"};
	cJSON *item = cJSON_CreateObject();
	bool mesh = p->origin != BGP_PEER_OBJECT;

	cJSON_AddStringToObject(item, "family", v6 ? "ipv6" : "ipv4");
	cJSON_AddNumberToObject(item, "limit", p->max_prefixes);
	/* Refused routes are kept, to be looked at; a router that sends a full table must not fill the memory. */
	cJSON_AddNumberToObject(item, "receiveLimit", receive_limit(p->max_prefixes));
	cJSON_AddStringToObject(item, "limitAction", actions[p->max_prefixes_action]);
	cJSON_AddBoolToObject(item, "keepNextHop", p->next_hop == WEFT_NEXT_HOP_KEEP);
	/* Reflected routes keep theirs: whoever hears them goes to the node, not to the reflector. */
	cJSON_AddBoolToObject(item, "selfForExternal", p->ibgp);
	cJSON_AddBoolToObject(item, "extendedNextHop", p->channels[v6].extended_next_hop);
	add_text(item, "addPaths", paths[p->add_path]);
	cJSON_AddBoolToObject(item, "recursive", p->ibgp && !p->multihop && !p->interface[0]);
	/* Another node's block goes straight to that node or not at all: what is off-link is the tunnel's. */
	add_text(item, "igpTable", !mesh ? "" : v6 ? "igp6" : "igp4");
	cJSON_AddItemToArray(list, item);
}

static const char *kind(const struct bgp_peer *p)
{
	static const char *const kinds[] = {"BGPPeer", "mesh with Node", "route reflector Node",
	                                    "client Node"};

	return kinds[p->origin];
}

cJSON *conf_peer(const struct bgp_peer *p, const struct bgp_model *m, const char *secret)
{
	cJSON *data = cJSON_CreateObject(), *channels;
	char title[128];
	size_t n = 0;

	for (const char *s = p->name; *s && n + 1 < sizeof(title); s++)
		title[n++] = *s >= ' ' && *s <= '~' && *s != '"' ? *s : '?';
	title[n] = '\0';
	cJSON_AddStringToObject(data, "protocol", p->protocol);
	cJSON_AddStringToObject(data, "kind", kind(p));
	cJSON_AddStringToObject(data, "title", title);
	add_text(data, "description", p->description);
	add_text(data, "secret", secret);
	add_session(data, p, m);
	add_failure(data, p);
	conf_add_filters(data, p);
	channels = cJSON_AddArrayToObject(data, "channels");
	for (int v6 = 0; v6 < 2; v6++)
		if (p->channels[v6].on)
			add_channel(channels, p, v6);
	return data;
}
