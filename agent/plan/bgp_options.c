// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The options of one peer: defaults filled in, and combinations that BIRD would refuse, or that would do
 * something else than they say, refused with a reason.
 */
#include "agent/plan/bgp_int.h"

#include <string.h>

#define DEFAULT_HOLD_S       9
#define DEFAULT_RETRY_S      5
#define DEFAULT_RESTART_S    30
#define DEFAULT_LONG_LIVED_S 3600
#define DEFAULT_BFD_MS       300
#define DEFAULT_BFD_MULT     3
#define DEFAULT_PREFIXES     10000
#define MULTIHOP_IBGP        64

static const struct weft_secret_item *secret_item(const struct weft_object *secret, const char *key)
{
	for (size_t i = 0; i < secret->secret.n_items; i++)
		if (!strcmp(secret->secret.items[i].key, key))
			return &secret->secret.items[i];
	return NULL;
}

static bool password_fits(const struct weft_bgppeer *spec, const struct weft_secret_item *item,
                          struct bgp_peer *p)
{
	if (!item->len || item->len > BGP_PASSWORD_MAX) {
		bgp_refuse(p, "the password in Secret %.100s has %zu bytes; TCP MD5 takes 1 to %d",
		           spec->secret, item->len, BGP_PASSWORD_MAX);
		return false;
	}
	for (size_t i = 0; i < item->len; i++) {
		if (bgp_bird_char(((const unsigned char *)item->value)[i]))
			continue;
		bgp_refuse(
		        p,
		        "the password in Secret %.100s holds a character other than printable ASCII without "
		        "the double quote (a newline at its end?)",
		        spec->secret);
		return false;
	}
	return true;
}

static void set_password(const struct cluster *c, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	const struct weft_object *secret = cluster_secret_of(c, spec);
	const char *key = spec->secret_key ? spec->secret_key : "";
	const struct weft_secret_item *item;

	if (!spec->secret || *p->reason)
		return;
	if (!secret) {
		bgp_refuse(p, "its password's Secret %.100s does not exist in namespace %s", spec->secret,
		           CLUSTER_SECRET_NAMESPACE);
		return;
	}
	item = secret_item(secret, key);
	if (!item) {
		bgp_refuse(p, "the Secret %.100s has no key \"%.100s\"", spec->secret, key);
		return;
	}
	if (!password_fits(spec, item, p))
		return;
	p->password = item->value;
	p->password_len = item->len;
}

static void set_as(const struct bgp_build *b, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	uint32_t ours = b->m->local_as;

	p->as_mode = spec->as_mode;
	p->local_as = spec->local_as ? spec->local_as : ours;
	p->as_number = spec->as_mode == WEFT_PEER_AS_NUMBER     ? spec->as_number
	               : spec->as_mode == WEFT_PEER_AS_INTERNAL ? p->local_as
	                                                        : 0;
	p->ibgp = spec->as_mode != WEFT_PEER_AS_EXTERNAL && p->as_number == p->local_as;
	if (spec->as_mode == WEFT_PEER_AS_NUMBER && !spec->as_number)
		bgp_refuse(p, "AS number 0 is reserved (RFC 7607)");
	else if (p->ibgp && p->local_as != ours)
		bgp_refuse(
		        p,
		        "its local AS %u is the peer's own, and this node is in AS %u: no session inside another AS",
		        p->local_as, ours);
}

static void set_times(const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	p->hold_s = spec->hold_s ? spec->hold_s : DEFAULT_HOLD_S;
	p->keepalive_s = spec->keepalive_s ? spec->keepalive_s : p->hold_s / 3;
	p->connect_retry_s = spec->connect_retry_s ? spec->connect_retry_s : DEFAULT_RETRY_S;
	if (p->hold_s < 3)
		bgp_refuse(p, "a hold time of %u s is shorter than BGP's 3 s", p->hold_s);
	else if (p->keepalive_s > p->hold_s)
		bgp_refuse(p, "its keepalive time %u s is longer than its hold time %u s", p->keepalive_s,
		           p->hold_s);
}

/* BFD and graceful restart answer the same event in opposite ways (docs/bgp.md): one of them, never both. */
void bgp_options_detect(const struct bgp_build *b, const struct weft_bgppeer *spec, bool on_link,
                        struct bgp_peer *p)
{
	bool graceful = b->params->profile == BGP_GRACEFUL;

	p->multihop = spec->multihop ? spec->multihop : p->ibgp && !on_link ? MULTIHOP_IBGP : 0;
	p->restart = spec->restart ? spec->restart : graceful && spec->bfd != 1 ? WEFT_GR_ON : WEFT_GR_AWARE;
	p->bfd = spec->bfd ? spec->bfd > 0 : !graceful && !p->multihop && p->restart != WEFT_GR_ON;
	p->bfd_rx_ms = !p->bfd ? 0 : spec->bfd_rx_ms ? spec->bfd_rx_ms : DEFAULT_BFD_MS;
	p->bfd_tx_ms = !p->bfd ? 0 : spec->bfd_tx_ms ? spec->bfd_tx_ms : DEFAULT_BFD_MS;
	p->bfd_multiplier = !p->bfd ? 0 : spec->bfd_multiplier ? spec->bfd_multiplier : DEFAULT_BFD_MULT;
	p->restart_s = p->restart != WEFT_GR_ON ? 0 : spec->restart_s ? spec->restart_s : DEFAULT_RESTART_S;
	p->long_lived_s = p->restart != WEFT_GR_ON || !spec->long_lived ? 0
	                  : spec->long_lived_s                          ? spec->long_lived_s
	                                                                : DEFAULT_LONG_LIVED_S;
	if (p->bfd && p->restart == WEFT_GR_ON)
		bgp_refuse(p, "BFD and graceful restart together lose more than either alone: choose one");
	if (spec->restart == WEFT_GR_ON && !graceful)
		bgp_warn(
		        b->m,
		        "BGPPeer %.200s: graceful restart is on, but BIRD here keeps no routes over its restart "
		        "(weft.yaml: bird.restartProfile)",
		        p->name);
	p->max_prefixes = spec->max_prefixes ? spec->max_prefixes : DEFAULT_PREFIXES;
	set_times(spec, p);
}

static void set_reflection(const struct bgp_build *b, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	p->reflector_client = spec->reflector_client;
	if (spec->reflector_client && !p->ibgp)
		bgp_refuse(p, "only a peer in our own AS can be a route reflector's client");
	if (!spec->reflector_client)
		return;
	if (weft_addr_is_set(&spec->cluster_id))
		p->cluster_id = spec->cluster_id;
	else if (b->cfg)
		p->cluster_id = b->cfg->cluster_id;
}

static const char *const family_names[] = {"IPv4", "IPv6"};

/* Which families the session carries. */
static void set_channels(const struct bgp_build *b, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	const struct weft_addr *ours[] = {&b->m->ip4, &b->m->ip6};
	bool given = spec->families[0] || spec->families[1];
	bool v6 = p->address.family == AF_INET6;
	bool discovered = !weft_addr_is_set(&spec->address);

	for (int f = 0; f < 2; f++) {
		bool wanted = given ? spec->families[f] : discovered || f == v6;

		/* IPv6 prefixes over an IPv4 session need a next hop that such a link may not have. */
		p->channels[f].on = wanted && (given || weft_addr_is_set(ours[f]));
		p->channels[f].extended_next_hop = p->channels[f].on && !f && v6;
		if (given && wanted && !weft_addr_is_set(ours[f]))
			bgp_refuse(p, "it shall carry %s and our Node has no %s InternalIP", family_names[f],
			           family_names[f]);
	}
	if (!p->channels[0].on && !p->channels[1].on)
		bgp_refuse(p, "our Node has no InternalIP of the family it would carry");
	if (p->channels[1].on && !v6 && p->multihop)
		bgp_refuse(p, "a multihop IPv4 session has no next hop for IPv6 prefixes: peer over IPv6");
	if (p->channels[0].on && v6 && p->multihop)
		bgp_refuse(p, "a multihop IPv6 session has no next hop for IPv4 prefixes: peer over IPv4");
}

static void check_hops(const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	if (p->multihop && p->interface[0])
		bgp_refuse(p, "a peer on an interface is directly connected: it has no multihop");
	if (spec->ttl_security && p->multihop)
		bgp_refuse(p, "ttlSecurity is for a directly connected peer, this one is up to %u hops away",
		           p->multihop);
}

void bgp_options(struct bgp_build *b, const struct weft_object *obj, struct bgp_peer *p)
{
	const struct weft_bgppeer *spec = &obj->bgppeer;
	bool on_link = p->interface[0] || bgp_on_link(b, &p->address);

	bgp_clean(spec->description, p->description, sizeof(p->description));
	p->port = spec->port;
	p->ttl_security = spec->ttl_security;
	p->passive = spec->passive;
	p->max_prefixes_action = spec->max_prefixes_action;
	p->allow_own_as = spec->allow_own_as;
	p->next_hop = spec->next_hop;
	p->add_path = spec->add_path;
	set_as(b, spec, p);
	if (!spec->port)
		bgp_refuse(p, "port 0 is no port");
	bgp_options_detect(b, spec, on_link, p);
	check_hops(spec, p);
	set_channels(b, spec, p);
	set_reflection(b, spec, p);
	set_password(b->c, spec, p);
	bgp_rules(b, spec, p);
}
