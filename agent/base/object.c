// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects after they were decoded: names, selectors, release. Equality is in object_digest.c; parsing in
 * agent/source.
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

bool weft_kind_has_status(enum weft_kind kind)
{
	return kind == WEFT_SERVICE || kind == WEFT_IPPOOL || kind == WEFT_BGPCONFIG ||
	       kind == WEFT_BGPPEER || kind == WEFT_BGPADVERTISEMENT;
}

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool weft_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > WEFT_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i + 1 == len || name[i - 1] == '.' || name[i + 1] == '.';
		if (!lower_alnum(name[i]) && (edge || (name[i] != '-' && name[i] != '.')))
			return false;
	}
	return true;
}

bool weft_secret_key_valid(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len <= WEFT_NAME_MAX &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
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

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

static void free_communities(struct weft_community_ref *refs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(refs[i].name);
	free(refs);
}

static void free_rules(struct weft_bgp_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(rules[i].prefixes);
		free_communities(rules[i].communities, rules[i].n_communities);
		free(rules[i].as_path);
		free_communities(rules[i].add_communities, rules[i].n_add_communities);
	}
	free(rules);
}

static void free_bgpconfig(struct weft_bgpconfig *c)
{
	free(c->import);
	free_selector(&c->reflector_selector);
	free_communities(c->communities, c->n_communities);
}

static void free_bgppeer(struct weft_bgppeer *p)
{
	free_selector(&p->node_selector);
	free_rules(p->import, p->n_import);
	free_rules(p->export, p->n_export);
	free(p->interface);
	free(p->description);
	free(p->secret);
	free(p->secret_key);
}

static void free_service(struct weft_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		free(s->ports[i].name);
	free(s->ports);
	free(s->external_ips);
	free(s->load_balancer_class);
	free(s->source_ranges);
	free_labels(s->selector, s->n_selector);
	free(s->ingress);
}

static void free_endpointslice(struct weft_endpointslice *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		free(s->ports[i].name);
	for (size_t i = 0; i < s->n_endpoints && !s->texts; i++) {
		free(s->endpoints[i].node);
		free_texts(s->endpoints[i].zones, s->endpoints[i].n_zones);
		free_texts(s->endpoints[i].nodes, s->endpoints[i].n_nodes);
	}
	free(s->service);
	free(s->ports);
	free(s->endpoints);
	free(s->texts);
}

static void free_ippool(struct weft_ippool *p)
{
	free_selector(&p->node_selector);
	free_selector(&p->service_selector);
	free_selector(&p->namespace_selector);
	free(p->ranges);
}

static void free_bgpadvertisement(struct weft_bgpadvertisement *a)
{
	free_selector(&a->node_selector);
	free_selector(&a->service_selector);
	free_selector(&a->namespace_selector);
	free_texts(a->pools, a->n_pools);
	free_texts(a->peers, a->n_peers);
	free_communities(a->communities, a->n_communities);
}

static void free_body(struct weft_object *obj)
{
	switch (obj->kind) {
	case WEFT_SECRET:
		free_secret(&obj->secret);
		break;
	case WEFT_SERVICE:
		free_service(&obj->service);
		break;
	case WEFT_ENDPOINTSLICE:
		free_endpointslice(&obj->endpointslice);
		break;
	case WEFT_IPPOOL:
		free_ippool(&obj->ippool);
		break;
	case WEFT_IPBLOCK:
		free(obj->ipblock.node);
		free(obj->ipblock.pool);
		break;
	case WEFT_BGPCONFIG:
		free_bgpconfig(&obj->bgpconfig);
		break;
	case WEFT_BGPPEER:
		free_bgppeer(&obj->bgppeer);
		break;
	case WEFT_BGPADVERTISEMENT:
		free_bgpadvertisement(&obj->bgpadvertisement);
		break;
	case WEFT_SERVICESTATUS:
		free(obj->servicestatus.ingress);
		break;
	case WEFT_NODE:
	case WEFT_NAMESPACE:
	case WEFT_SERVICECIDR:
	case WEFT_KIND_COUNT:
		break;
	}
}

void weft_object_free(struct weft_object *obj)
{
	if (!obj)
		return;
	free_body(obj);
	free_labels(obj->meta.labels, obj->meta.n_labels);
	free_labels(obj->meta.annotations, obj->meta.n_annotations);
	free(obj->meta.name);
	free(obj->meta.namespace);
	free(obj->meta.resource_version);
	free(obj);
}
