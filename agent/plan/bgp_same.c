// SPDX-License-Identifier: GPL-2.0-or-later
/* Sameness of two models: a digest of every field, fed with lengths so that no two models make one stream. */
#include "agent/plan/bgp_int.h"

#include <sodium.h>
#include <string.h>

static void feed(crypto_generichash_state *s, const void *data, size_t len)
{
	uint64_t n = len;

	crypto_generichash_update(s, (const unsigned char *)&n, sizeof(n));
	if (len)
		crypto_generichash_update(s, data, len);
}

#define FEED(s, value) feed((s), &(value), sizeof(value))

static void feed_text(crypto_generichash_state *s, const char *text)
{
	feed(s, text ? text : "", text ? strlen(text) : 0);
}

static void feed_ranges(crypto_generichash_state *s, const struct bgp_range *v, size_t n)
{
	FEED(s, n);
	for (size_t i = 0; i < n; i++) {
		FEED(s, v[i].cidr);
		FEED(s, v[i].ge);
		FEED(s, v[i].le);
	}
}

static void feed_communities(crypto_generichash_state *s, const struct weft_community *v, size_t n)
{
	FEED(s, n);
	for (size_t i = 0; i < n; i++) {
		FEED(s, v[i].large);
		FEED(s, v[i].part);
	}
}

static void feed_rules(crypto_generichash_state *s, const struct bgp_rule *v, size_t n)
{
	FEED(s, n);
	for (size_t i = 0; i < n; i++) {
		feed_ranges(s, v[i].prefixes, v[i].n_prefixes);
		feed_communities(s, v[i].communities, v[i].n_communities);
		feed_communities(s, v[i].add_communities, v[i].n_add_communities);
		feed(s, v[i].as_path, v[i].n_as_path * sizeof(*v[i].as_path));
		FEED(s, v[i].reject);
		FEED(s, v[i].has_local_pref);
		FEED(s, v[i].local_pref);
		FEED(s, v[i].prepend);
	}
}

static void feed_exports(crypto_generichash_state *s, const struct bgp_export *v, size_t n)
{
	FEED(s, n);
	for (size_t i = 0; i < n; i++) {
		FEED(s, v[i].metric);
		FEED(s, v[i].type);
		feed_text(s, v[i].comment);
		feed_communities(s, v[i].communities, v[i].n_communities);
		FEED(s, v[i].has_local_pref);
		FEED(s, v[i].local_pref);
		FEED(s, v[i].prepend);
		FEED(s, v[i].weight);
	}
}

static void feed_session(crypto_generichash_state *s, const struct bgp_peer *p)
{
	bool has_password = p->password != NULL;

	FEED(s, p->address);
	feed_text(s, p->interface);
	FEED(s, p->local);
	FEED(s, p->port);
	FEED(s, p->as_mode);
	FEED(s, p->as_number);
	FEED(s, p->local_as);
	FEED(s, p->ibgp);
	FEED(s, p->multihop);
	FEED(s, p->ttl_security);
	FEED(s, p->passive);
	FEED(s, p->hold_s);
	FEED(s, p->keepalive_s);
	FEED(s, p->connect_retry_s);
	FEED(s, has_password);
	feed(s, p->password, p->password_len);
	FEED(s, p->bfd);
	FEED(s, p->bfd_rx_ms);
	FEED(s, p->bfd_tx_ms);
	FEED(s, p->bfd_multiplier);
}

static void feed_routing(crypto_generichash_state *s, const struct bgp_peer *p)
{
	FEED(s, p->restart);
	FEED(s, p->restart_s);
	FEED(s, p->long_lived_s);
	FEED(s, p->max_prefixes);
	FEED(s, p->max_prefixes_action);
	FEED(s, p->allow_own_as);
	FEED(s, p->next_hop);
	FEED(s, p->add_path);
	FEED(s, p->reflector_client);
	FEED(s, p->cluster_id);
	for (int f = 0; f < 2; f++) {
		FEED(s, p->channels[f].on);
		FEED(s, p->channels[f].extended_next_hop);
	}
	FEED(s, p->drain);
	feed_rules(s, p->import, p->n_import);
	feed_rules(s, p->export, p->n_export);
	feed_exports(s, p->exports, p->n_exports);
}

static void feed_peer(crypto_generichash_state *s, const struct bgp_peer *p)
{
	feed_text(s, p->protocol);
	feed_text(s, p->name);
	FEED(s, p->origin);
	feed_text(s, p->description);
	feed_text(s, p->reason);
	feed_session(s, p);
	feed_routing(s, p);
}

bool bgp_peer_same(const struct bgp_peer *a, const struct bgp_peer *b)
{
	const struct bgp_peer *const both[] = {a, b};
	uint8_t digest[2][BGP_FINGERPRINT];

	for (int i = 0; i < 2; i++) {
		crypto_generichash_state s;

		crypto_generichash_init(&s, NULL, 0, BGP_FINGERPRINT);
		feed_peer(&s, both[i]);
		crypto_generichash_final(&s, digest[i], BGP_FINGERPRINT);
		sodium_memzero(&s, sizeof(s));
	}
	return !memcmp(digest[0], digest[1], BGP_FINGERPRINT);
}

static bool same_ranges(const struct bgp_range *a, size_t n, const struct bgp_range *b, size_t m)
{
	for (size_t i = 0; i < n && n == m; i++)
		if (weft_prefix_cmp(&a[i].cidr, &b[i].cidr) || a[i].ge != b[i].ge || a[i].le != b[i].le)
			return false;
	return n == m;
}

bool bgp_ranges_same(const struct bgp_model *a, const struct bgp_model *b)
{
	return same_ranges(a->advertise, a->n_advertise, b->advertise, b->n_advertise) &&
	       same_ranges(a->import, a->n_import, b->import, b->n_import);
}

static void feed_ourselves(crypto_generichash_state *s, const struct bgp_model *m)
{
	FEED(s, m->router_id);
	FEED(s, m->local_as);
	FEED(s, m->listen_port);
	FEED(s, m->listen_address[0]);
	FEED(s, m->listen_address[1]);
	FEED(s, m->profile);
	FEED(s, m->ip4);
	FEED(s, m->ip6);
	FEED(s, m->n_classes);
	for (size_t i = 0; i < m->n_classes; i++) {
		FEED(s, m->classes[i].metric);
		FEED(s, m->classes[i].type);
	}
}

void bgp_fingerprint(const struct bgp_model *m, const uint8_t key[32], uint8_t out[BGP_FINGERPRINT])
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, key, 32, BGP_FINGERPRINT);
	feed_ourselves(&s, m);
	FEED(&s, m->n_peers);
	for (size_t i = 0; i < m->n_peers; i++)
		feed_peer(&s, &m->peers[i]);
	feed_ranges(&s, m->advertise, m->n_advertise);
	feed_ranges(&s, m->import, m->n_import);
	crypto_generichash_final(&s, out, BGP_FINGERPRINT);
	sodium_memzero(&s, sizeof(s));
}

bool bgp_model_equal(const struct bgp_model *a, const struct bgp_model *b)
{
	static const uint8_t key[32];
	uint8_t x[BGP_FINGERPRINT], y[BGP_FINGERPRINT];

	bgp_fingerprint(a, key, x);
	bgp_fingerprint(b, key, y);
	return !memcmp(x, y, sizeof(x));
}
