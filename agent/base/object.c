// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects after they were decoded: names, selectors, equality, release. No parsing here, see agent/source.
 */
#include "weft/object.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *api;
	bool namespaced;
} kinds[WEFT_KIND_COUNT] = {
        [WEFT_NODE] = {"Node", "v1", false},
        [WEFT_SECRET] = {"Secret", "v1", true},
        [WEFT_NAMESPACE] = {"Namespace", "v1", false},
        [WEFT_SERVICE] = {"Service", "v1", true},
        [WEFT_ENDPOINTSLICE] = {"EndpointSlice", "discovery.k8s.io/v1", true},
        [WEFT_SERVICECIDR] = {"ServiceCIDR", "networking.k8s.io/v1", false},
        [WEFT_IPPOOL] = {"IPPool", "weft.dev/v1alpha1", false},
        [WEFT_IPBLOCK] = {"IPBlock", "weft.dev/v1alpha1", false},
        [WEFT_BGPCONFIG] = {"BGPConfig", "weft.dev/v1alpha1", false},
        [WEFT_BGPPEER] = {"BGPPeer", "weft.dev/v1alpha1", false},
        [WEFT_BGPADVERTISEMENT] = {"BGPAdvertisement", "weft.dev/v1alpha1", false},
        [WEFT_SERVICESTATUS] = {"ServiceStatus", "weft.dev/v1alpha1", true},
};

const char *weft_kind_name(enum weft_kind kind)
{
	return (unsigned)kind < WEFT_KIND_COUNT ? kinds[kind].name : "unknown";
}

const char *weft_kind_api(enum weft_kind kind)
{
	return (unsigned)kind < WEFT_KIND_COUNT ? kinds[kind].api : "unknown";
}

bool weft_kind_namespaced(enum weft_kind kind)
{
	return (unsigned)kind < WEFT_KIND_COUNT && kinds[kind].namespaced;
}

const char *weft_label_get(const struct weft_label *labels, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(labels[i].key, key))
			return labels[i].value;
	return NULL;
}

static bool value_listed(const struct weft_requirement *r, const char *value)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (!strcmp(r->values[i], value))
			return true;
	return false;
}

/* k8s.io/apimachinery/pkg/labels: NotIn is also met by an object without the key. */
static bool requirement_met(const struct weft_requirement *r, const char *value)
{
	switch (r->op) {
	case WEFT_SEL_IN:
		return value && value_listed(r, value);
	case WEFT_SEL_NOT_IN:
		return !value || !value_listed(r, value);
	case WEFT_SEL_EXISTS:
		return value;
	case WEFT_SEL_NOT_EXISTS:
		return !value;
	}
	return false;
}

bool weft_selector_matches(const struct weft_selector *s, const struct weft_label *labels, size_t n_labels)
{
	for (size_t i = 0; i < s->n_reqs; i++)
		if (!requirement_met(&s->reqs[i], weft_label_get(labels, n_labels, s->reqs[i].key)))
			return false;
	return true;
}

const char *weft_object_key(const struct weft_object *obj, char buf[WEFT_KEY_MAX])
{
	if (obj->meta.namespace)
		snprintf(buf, WEFT_KEY_MAX, "%s/%s", obj->meta.namespace, obj->meta.name);
	else
		snprintf(buf, WEFT_KEY_MAX, "%s", obj->meta.name);
	return buf;
}

const char *weft_block_name(const struct weft_prefix *cidr, char buf[WEFT_PREFIX_STR])
{
	weft_prefix_str(cidr, buf);
	for (char *p = buf; *p; p++)
		if (*p == ':' || *p == '/')
			*p = '-';
	return buf;
}

static void free_labels(struct weft_label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(labels[i].key);
		free(labels[i].value);
	}
	free(labels);
}

static void free_selector(struct weft_selector *s)
{
	for (size_t i = 0; i < s->n_reqs; i++) {
		for (size_t v = 0; v < s->reqs[i].n_values; v++)
			free(s->reqs[i].values[v]);
		free(s->reqs[i].values);
		free(s->reqs[i].key);
	}
	free(s->reqs);
}

static void free_secret(struct weft_secret *s)
{
	for (size_t i = 0; i < s->n_items; i++) {
		free(s->items[i].key);
		sodium_free(s->items[i].value); /* wipes it */
	}
	free(s->items);
}

static void free_bgppeer(struct weft_bgppeer *p)
{
	free_selector(&p->node_selector);
	free(p->description);
	free(p->secret);
	free(p->secret_key);
}

void weft_object_free(struct weft_object *obj)
{
	if (!obj)
		return;
	switch (obj->kind) {
	case WEFT_SECRET:
		free_secret(&obj->secret);
		break;
	case WEFT_IPPOOL:
		free_selector(&obj->ippool.node_selector);
		break;
	case WEFT_IPBLOCK:
		free(obj->ipblock.node);
		free(obj->ipblock.pool);
		break;
	case WEFT_BGPCONFIG:
		free(obj->bgpconfig.import);
		break;
	case WEFT_BGPPEER:
		free_bgppeer(&obj->bgppeer);
		break;
	case WEFT_NODE:
	case WEFT_NAMESPACE:
	case WEFT_SERVICE:
	case WEFT_ENDPOINTSLICE:
	case WEFT_SERVICECIDR:
	case WEFT_BGPADVERTISEMENT:
	case WEFT_SERVICESTATUS:
	case WEFT_KIND_COUNT:
		break;
	}
	free_labels(obj->meta.labels, obj->meta.n_labels);
	free_labels(obj->meta.annotations, obj->meta.n_annotations);
	free(obj->meta.name);
	free(obj->meta.namespace);
	free(obj->meta.resource_version);
	free(obj);
}

/*
 * Equality is equality of digests, so that there is one list of what weft acts on. Every item goes in with
 * its length or as a fixed-size field, every list with its count: no two objects share an encoding.
 */
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
	add_number(h, p->use);
	add_number(h, p->tunnel);
	add_number(h, p->disabled);
	add_selector(h, &p->node_selector);
}

static void add_bgpconfig(crypto_generichash_state *h, const struct weft_bgpconfig *c)
{
	add_number(h, c->as_number);
	add(h, &c->router_id, sizeof(c->router_id));
	add_number(h, c->listen_port);
	add_number(h, c->n_import);
	for (size_t i = 0; i < c->n_import; i++) {
		add(h, &c->import[i].cidr, sizeof(c->import[i].cidr));
		add_number(h, c->import[i].ge);
		add_number(h, c->import[i].le);
	}
}

static void add_bgppeer(crypto_generichash_state *h, const struct weft_bgppeer *p)
{
	add_selector(h, &p->node_selector);
	add(h, &p->address, sizeof(p->address));
	add_number(h, p->port);
	add_number(h, p->as_number);
	add_text(h, p->description);
	add_text(h, p->secret);
	add_text(h, p->secret_key);
}

static void add_body(crypto_generichash_state *h, const struct weft_object *obj)
{
	switch (obj->kind) {
	case WEFT_NODE:
		add(h, &obj->node.ip4, sizeof(obj->node.ip4));
		add(h, &obj->node.ip6, sizeof(obj->node.ip6));
		add_number(h, obj->node.as_number);
		break;
	case WEFT_SECRET:
		add_secret(h, &obj->secret);
		break;
	case WEFT_IPPOOL:
		add_ippool(h, &obj->ippool);
		break;
	case WEFT_IPBLOCK:
		add(h, &obj->ipblock.cidr, sizeof(obj->ipblock.cidr));
		add_text(h, obj->ipblock.node);
		add_text(h, obj->ipblock.pool);
		break;
	case WEFT_BGPCONFIG:
		add_bgpconfig(h, &obj->bgpconfig);
		break;
	case WEFT_BGPPEER:
		add_bgppeer(h, &obj->bgppeer);
		break;
	case WEFT_NAMESPACE:
	case WEFT_SERVICE:
	case WEFT_ENDPOINTSLICE:
	case WEFT_SERVICECIDR:
	case WEFT_BGPADVERTISEMENT:
	case WEFT_SERVICESTATUS:
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
