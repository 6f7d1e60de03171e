// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Services and EndpointSlices made from one line of text, for tables of tests. Words are separated by blanks.
 *
 *	service("ns/web", "type=LoadBalancer ip=10.96.0.1 port=http:80/TCP:30080 lb=192.0.2.1 etp=Local")
 *	slice("ns/web-1", "web", "http:8080/TCP",
 *"10.244.0.1@a 10.244.1.1@b/st 10.244.2.1@c/rs~z1 10.244.3.1")
 *
 * An endpoint is ADDRESS[@NODE][/CONDITIONS][~ZONE][^NODE HINT]; conditions are letters of "rst", default rs.
 */
#ifndef TESTS_UNIT_SERVICE_OBJECTS_H
#define TESTS_UNIT_SERVICE_OBJECTS_H

#include <netinet/in.h>

#include "agent/state/services.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

/* A new, zeroed element at the end. */
#define MORE(array, n)                                           \
	(*({                                                     \
		(array) = grown((array), (n), sizeof(*(array))); \
		&(array)[(n)++];                                 \
	}))

static inline void *grown(void *array, size_t n, size_t size)
{
	char *p = realloc(array, (n + 1) * size);

	if (!p)
		abort();
	memset(p + n * size, 0, size);
	return p;
}

static inline struct weft_object *namespaced(enum weft_kind kind, const char *key)
{
	const char *name = strchr(key, '/');
	struct weft_object *o;

	if (!name)
		abort();
	o = object(kind, name + 1);
	o->meta.namespace = strndup(key, (size_t)(name - key));
	return o;
}

static inline uint8_t protocol_of(const char *text)
{
	return !strncmp(text, "UDP", 3)    ? IPPROTO_UDP
	       : !strncmp(text, "SCTP", 4) ? IPPROTO_SCTP
	                                   : IPPROTO_TCP;
}

/* [NAME:]PORT[/PROTOCOL[:NODEPORT]] */
static inline struct weft_service_port port_of(const char *text)
{
	const char *slash = strchr(text, '/'), *colon = strchr(text, ':');
	struct weft_service_port p = {.protocol = slash ? protocol_of(slash + 1) : IPPROTO_TCP};
	bool named = colon && (!slash || colon < slash);

	p.name = named ? strndup(text, (size_t)(colon - text)) : strdup("");
	p.port = (uint16_t)atoi(named ? colon + 1 : text);
	colon = slash ? strchr(slash, ':') : NULL;
	p.node_port = colon ? (uint16_t)atoi(colon + 1) : 0;
	return p;
}

static inline enum weft_service_type type_of(const char *text)
{
	return !strcmp(text, "NodePort")       ? WEFT_SERVICE_NODEPORT
	       : !strcmp(text, "LoadBalancer") ? WEFT_SERVICE_LOADBALANCER
	       : !strcmp(text, "ExternalName") ? WEFT_SERVICE_EXTERNALNAME
	                                       : WEFT_SERVICE_CLUSTERIP;
}

static inline enum weft_traffic_policy policy_of(const char *text)
{
	return strcmp(text, "Local") ? WEFT_POLICY_CLUSTER : WEFT_POLICY_LOCAL;
}

static inline void annotated(struct weft_object *o, const char *key, const char *value)
{
	struct weft_meta *m = &o->meta;

	MORE(m->annotations, m->n_annotations) = (struct weft_label){strdup(key), strdup(value)};
}

static inline void service_word(struct weft_object *o, const char *key, const char *value)
{
	struct weft_service *s = &o->service;
	struct weft_addr a;

	if (!strcmp(key, "type")) {
		s->type = type_of(value);
	} else if (!strcmp(key, "ip")) {
		a = addr(value);
		s->cluster_ips[a.family == AF_INET6] = a;
	} else if (!strcmp(key, "port")) {
		MORE(s->ports, s->n_ports) = port_of(value);
	} else if (!strcmp(key, "lb")) {
		MORE(s->ingress, s->n_ingress) = addr(value);
	} else if (!strcmp(key, "ext")) {
		MORE(s->external_ips, s->n_external_ips) = addr(value);
	} else if (!strcmp(key, "range")) {
		MORE(s->source_ranges, s->n_source_ranges) = prefix(value);
	} else if (!strcmp(key, "etp")) {
		s->external_policy = policy_of(value);
	} else if (!strcmp(key, "itp")) {
		s->internal_policy = policy_of(value);
	} else if (!strcmp(key, "affinity")) {
		s->affinity_s = (uint32_t)atoi(value);
	} else if (!strcmp(key, "health")) {
		s->health_port = (uint16_t)atoi(value);
	} else if (!strcmp(key, "scheduler")) {
		annotated(o, WEFT_ANNOTATION_SCHEDULER, value);
	} else if (!strcmp(key, "headless")) {
		s->headless = true;
	} else if (!strcmp(key, "proxy")) {
		labelled(o, "service.kubernetes.io/service-proxy-name", value);
	} else if (!strcmp(key, "label")) {
		labelled(o, "app", value);
	} else {
		abort();
	}
}

static inline struct weft_object *service(const char *key, const char *words)
{
	struct weft_object *o = namespaced(WEFT_SERVICE, key);
	weft_autofree char *text = strdup(words);
	char *rest = text;

	for (char *w; (w = strsep(&rest, " "));) {
		char *value = strchr(w, '=');

		if (!*w)
			continue;
		if (value)
			*value++ = '\0';
		service_word(o, w, value ? value : "");
	}
	return o;
}

static inline char **one_hint(const char *text)
{
	char **list = calloc(1, sizeof(*list));

	list[0] = strdup(text);
	return list;
}

static inline struct weft_endpoint endpoint_of(char *w)
{
	char *node_hint = strchr(w, '^'), *zone = strchr(w, '~'), *conditions = strchr(w, '/'),
	     *node_name = strchr(w, '@');
	struct weft_endpoint e = {.conditions = WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING};

	if (conditions) {
		*conditions++ = '\0';
		e.conditions = 0;
		for (; *conditions && *conditions != '~' && *conditions != '^'; conditions++)
			e.conditions |= *conditions == 'r'   ? WEFT_ENDPOINT_READY
			                : *conditions == 's' ? WEFT_ENDPOINT_SERVING
			                                     : WEFT_ENDPOINT_TERMINATING;
	}
	if (node_hint) {
		*node_hint++ = '\0';
		e.nodes = one_hint(node_hint);
		e.n_nodes = 1;
	}
	if (zone) {
		*zone++ = '\0';
		e.zones = one_hint(zone);
		e.n_zones = 1;
	}
	if (node_name) {
		*node_name++ = '\0';
		e.node = strdup(node_name);
	}
	e.addr = addr(w);
	return e;
}

static inline struct weft_object *slice(const char *key, const char *of, const char *ports,
                                        const char *endpoints)
{
	struct weft_object *o = namespaced(WEFT_ENDPOINTSLICE, key);
	struct weft_endpointslice *s = &o->endpointslice;
	weft_autofree char *port_text = strdup(ports), *text = strdup(endpoints);
	char *rest = port_text;

	s->service = of ? strdup(of) : NULL;
	s->family = AF_INET;
	for (char *w; (w = strsep(&rest, " "));)
		if (*w)
			MORE(s->ports, s->n_ports) = port_of(w);
	rest = text;
	for (char *w; (w = strsep(&rest, " "));) {
		if (!*w)
			continue;
		MORE(s->endpoints, s->n_endpoints) = endpoint_of(w);
		s->family = s->endpoints[s->n_endpoints - 1].addr.family;
	}
	return o;
}

static inline struct weft_object *service_status(const char *key, const char *ip)
{
	struct weft_object *o = namespaced(WEFT_SERVICESTATUS, key);

	if (ip)
		MORE(o->servicestatus.ingress, o->servicestatus.n_ingress) = addr(ip);
	return o;
}

static inline bool services_put(struct services *s, struct weft_object *o)
{
	char key[WEFT_KEY_MAX];
	struct weft_event ev = {
	        .type = WEFT_EV_UPSERT, .kind = o->kind, .key = weft_object_key(o, key), .obj = o};

	return services_handle(s, &ev);
}

static inline bool services_del(struct services *s, enum weft_kind kind, const char *key)
{
	struct weft_event ev = {.type = WEFT_EV_DELETE, .kind = kind, .key = key};

	return services_handle(s, &ev);
}

#endif
