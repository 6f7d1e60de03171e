// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What weft acts on, as a digest: equality is equality of digests, so that there is one list of what weft
 * acts on. Every item goes in with its length or as a fixed-size field, every list with its count: no two
 * objects share an encoding. A struct goes in as memory only if it has no padding (addresses and prefixes;
 * addr.c asserts it).
 */
#include "weft/object.h"

#include <sodium.h>
#include <string.h>

static void add(crypto_generichash_state *h, const void *data, size_t len)
{
	crypto_generichash_update(h, data, len);
}

static void add_number(crypto_generichash_state *h, uint64_t n)
{
	add(h, &n, sizeof(n));
}

static void add_bytes(crypto_generichash_state *h, const void *data, size_t len)
{
	add_number(h, len);
	add(h, data, len);
}

static void add_text(crypto_generichash_state *h, const char *text)
{
	add_number(h, text != NULL);
	if (text)
		add_bytes(h, text, strlen(text));
}

static void add_labels(crypto_generichash_state *h, const struct weft_label *labels, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++) {
		add_text(h, labels[i].key);
		add_text(h, labels[i].value);
	}
}

static void add_selector(crypto_generichash_state *h, const struct weft_selector *s)
{
	add_number(h, s->n_reqs);
	for (size_t i = 0; i < s->n_reqs; i++) {
		const struct weft_requirement *r = &s->reqs[i];

		add_text(h, r->key);
		add_number(h, r->op);
		add_number(h, r->n_values);
		for (size_t v = 0; v < r->n_values; v++)
			add_text(h, r->values[v]);
	}
}

static void add_secret(crypto_generichash_state *h, const struct weft_secret *s)
{
	add_number(h, s->n_items);
	for (size_t i = 0; i < s->n_items; i++) {
		add_text(h, s->items[i].key);
		add_bytes(h, s->items[i].value, s->items[i].len);
	}
}

static void add_ippool(crypto_generichash_state *h, const struct weft_ippool *p)
{
	add(h, &p->cidr, sizeof(p->cidr));
	add_number(h, p->block_size);
	add_number(h, p->longest_block);
	add_number(h, p->use);
	add_number(h, p->tunnel);
	add_number(h, p->disabled);
	add_selector(h, &p->node_selector);
	add_number(h, p->n_ranges);
	for (size_t i = 0; i < p->n_ranges; i++) {
		add(h, &p->ranges[i].first, sizeof(p->ranges[i].first));
		add(h, &p->ranges[i].last, sizeof(p->ranges[i].last));
	}
	add_selector(h, &p->service_selector);
	add_selector(h, &p->namespace_selector);
	add_number(h, p->priority);
	add_number(h, p->auto_assign);
	add_number(h, p->avoid_buggy_ips);
}

static void add_texts(crypto_generichash_state *h, char *const *texts, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++)
		add_text(h, texts[i]);
}

static void add_ranges(crypto_generichash_state *h, const struct weft_prefix_range *ranges, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++) {
		add(h, &ranges[i].cidr, sizeof(ranges[i].cidr));
		add_number(h, ranges[i].ge);
		add_number(h, ranges[i].le);
	}
}

static void add_communities(crypto_generichash_state *h, const struct weft_community_ref *refs, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++) {
		add_text(h, refs[i].name);
		add_number(h, refs[i].value.large);
		add(h, refs[i].value.part, sizeof(refs[i].value.part));
	}
}

static void add_rules(crypto_generichash_state *h, const struct weft_bgp_rule *rules, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++) {
		const struct weft_bgp_rule *r = &rules[i];

		add_ranges(h, r->prefixes, r->n_prefixes);
		add_communities(h, r->communities, r->n_communities);
		add_bytes(h, r->as_path, r->n_as_path * sizeof(*r->as_path));
		add_number(h, r->reject);
		add_number(h, r->has_local_pref);
		add_number(h, r->local_pref);
		add_communities(h, r->add_communities, r->n_add_communities);
		add_number(h, r->prepend);
	}
}

static void add_bgpconfig(crypto_generichash_state *h, const struct weft_bgpconfig *c)
{
	add_number(h, c->as_number);
	add(h, &c->router_id, sizeof(c->router_id));
	add_number(h, c->listen_port);
	add(h, c->listen_address, sizeof(c->listen_address));
	add_ranges(h, c->import, c->n_import);
	add_number(h, c->announce);
	add_number(h, c->node_mesh);
	add_number(h, c->reflectors);
	add_selector(h, &c->reflector_selector);
	add(h, &c->cluster_id, sizeof(c->cluster_id));
	add_communities(h, c->communities, c->n_communities);
	add_number(h, c->drain_wait_s);
	add_number(h, c->drain_on_cordon);
}

static void add_peer_session(crypto_generichash_state *h, const struct weft_bgppeer *p)
{
	add(h, &p->address, sizeof(p->address));
	add_text(h, p->interface);
	add_number(h, p->default_gateway);
	add_number(h, p->port);
	add_number(h, p->as_mode);
	add_number(h, p->as_number);
	add_number(h, p->local_as);
	add(h, &p->source, sizeof(p->source));
	add_number(h, p->multihop);
	add_number(h, p->ttl_security);
	add_number(h, p->passive);
	add_number(h, p->hold_s);
	add_number(h, p->keepalive_s);
	add_number(h, p->connect_retry_s);
}

static void add_bgppeer(crypto_generichash_state *h, const struct weft_bgppeer *p)
{
	add_selector(h, &p->node_selector);
	add_peer_session(h, p);
	add_text(h, p->description);
	add_text(h, p->secret);
	add_text(h, p->secret_key);
	add_number(h, (uint64_t)(int64_t)p->bfd);
	add_number(h, p->bfd_rx_ms);
	add_number(h, p->bfd_tx_ms);
	add_number(h, p->bfd_multiplier);
	add_number(h, p->restart);
	add_number(h, p->restart_s);
	add_number(h, p->long_lived);
	add_number(h, p->long_lived_s);
	add_number(h, p->max_prefixes);
	add_number(h, p->max_prefixes_action);
	add_rules(h, p->import, p->n_import);
	add_rules(h, p->export, p->n_export);
	add_number(h, p->allow_own_as);
	add_number(h, p->next_hop);
	add_number(h, p->add_path);
	add_number(h, p->reflector_client);
	add(h, &p->cluster_id, sizeof(p->cluster_id));
	add(h, p->families, sizeof(p->families));
}

static void add_addrs(crypto_generichash_state *h, const struct weft_addr *addrs, size_t n)
{
	add_number(h, n);
	add(h, addrs, n * sizeof(*addrs));
}

static void add_prefixes(crypto_generichash_state *h, const struct weft_prefix *prefixes, size_t n)
{
	add_number(h, n);
	add(h, prefixes, n * sizeof(*prefixes));
}

static void add_ports(crypto_generichash_state *h, const struct weft_service_port *ports, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++) {
		add_text(h, ports[i].name);
		add_number(h, ports[i].protocol);
		add_number(h, ports[i].port);
		add_number(h, ports[i].node_port);
	}
}

static void add_service(crypto_generichash_state *h, const struct weft_service *s)
{
	add_number(h, s->type);
	add_number(h, s->headless);
	add(h, s->cluster_ips, sizeof(s->cluster_ips));
	add(h, s->families, sizeof(s->families));
	add_number(h, s->family_policy);
	add_ports(h, s->ports, s->n_ports);
	add_addrs(h, s->external_ips, s->n_external_ips);
	add(h, &s->load_balancer_ip, sizeof(s->load_balancer_ip));
	add_text(h, s->load_balancer_class);
	add_prefixes(h, s->source_ranges, s->n_source_ranges);
	add_number(h, s->internal_policy);
	add_number(h, s->external_policy);
	add_number(h, s->affinity_s);
	add_number(h, s->health_port);
	add_labels(h, s->selector, s->n_selector);
	add_addrs(h, s->ingress, s->n_ingress);
}

static void add_endpointslice(crypto_generichash_state *h, const struct weft_endpointslice *s)
{
	add_text(h, s->service);
	add_number(h, s->headless);
	add_number(h, s->family);
	add_ports(h, s->ports, s->n_ports);
	add_number(h, s->n_endpoints);
	for (size_t i = 0; i < s->n_endpoints; i++) {
		const struct weft_endpoint *e = &s->endpoints[i];

		add(h, &e->addr, sizeof(e->addr));
		add_number(h, e->conditions);
		add_text(h, e->node);
		add_texts(h, e->zones, e->n_zones);
		add_texts(h, e->nodes, e->n_nodes);
	}
}

static void add_node(crypto_generichash_state *h, const struct weft_node *n)
{
	add(h, &n->ip4, sizeof(n->ip4));
	add(h, &n->ip6, sizeof(n->ip6));
	add(h, &n->pod_cidr4, sizeof(n->pod_cidr4));
	add(h, &n->pod_cidr6, sizeof(n->pod_cidr6));
	add_number(h, n->as_number);
	add_number(h, n->autoscaler_taint);
	add_number(h, n->cordoned);
	add_number(h, n->draining);
}

static void add_ipblock(crypto_generichash_state *h, const struct weft_ipblock *b)
{
	add(h, &b->cidr, sizeof(b->cidr));
	add_text(h, b->node);
	add_text(h, b->pool);
}

static void add_bgpadvertisement(crypto_generichash_state *h, const struct weft_bgpadvertisement *a)
{
	add_number(h, a->types);
	add_selector(h, &a->node_selector);
	add_selector(h, &a->service_selector);
	add_selector(h, &a->namespace_selector);
	add_texts(h, a->pools, a->n_pools);
	add_texts(h, a->peers, a->n_peers);
	add_communities(h, a->communities, a->n_communities);
	add_number(h, a->has_local_pref);
	add_number(h, a->local_pref);
	add_number(h, a->prepend);
	add(h, a->aggregate, sizeof(a->aggregate));
	add_number(h, a->endpoint_weight);
}

static void add_body(crypto_generichash_state *h, const struct weft_object *obj)
{
	switch (obj->kind) {
	case WEFT_NODE:
		add_node(h, &obj->node);
		break;
	case WEFT_SECRET:
		add_secret(h, &obj->secret);
		break;
	case WEFT_SERVICE:
		add_service(h, &obj->service);
		break;
	case WEFT_ENDPOINTSLICE:
		add_endpointslice(h, &obj->endpointslice);
		break;
	case WEFT_SERVICECIDR:
		add_prefixes(h, obj->servicecidr.cidrs, obj->servicecidr.n_cidrs);
		break;
	case WEFT_IPPOOL:
		add_ippool(h, &obj->ippool);
		break;
	case WEFT_IPBLOCK:
		add_ipblock(h, &obj->ipblock);
		break;
	case WEFT_BGPCONFIG:
		add_bgpconfig(h, &obj->bgpconfig);
		break;
	case WEFT_BGPPEER:
		add_bgppeer(h, &obj->bgppeer);
		break;
	case WEFT_BGPADVERTISEMENT:
		add_bgpadvertisement(h, &obj->bgpadvertisement);
		break;
	case WEFT_SERVICESTATUS:
		add_addrs(h, obj->servicestatus.ingress, obj->servicestatus.n_ingress);
		break;
	case WEFT_NAMESPACE: /* its labels are all */
	case WEFT_KIND_COUNT:
		break;
	}
}

void weft_object_digest(const struct weft_object *obj, const uint8_t key[WEFT_DIGEST_KEY],
                        uint8_t out[WEFT_DIGEST])
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, key, key ? WEFT_DIGEST_KEY : 0, WEFT_DIGEST);
	add_number(&h, obj->kind);
	add_text(&h, obj->meta.name);
	add_text(&h, obj->meta.namespace);
	add_labels(&h, obj->meta.labels, obj->meta.n_labels);
	add_labels(&h, obj->meta.annotations, obj->meta.n_annotations);
	add_number(&h, obj->meta.deleting);
	add_body(&h, obj);
	crypto_generichash_final(&h, out, WEFT_DIGEST);
	sodium_memzero(&h, sizeof(h));
}

bool weft_object_equal(const struct weft_object *a, const struct weft_object *b)
{
	uint8_t da[WEFT_DIGEST], db[WEFT_DIGEST];

	weft_object_digest(a, NULL, da);
	weft_object_digest(b, NULL, db);
	return !memcmp(da, db, sizeof(da));
}
