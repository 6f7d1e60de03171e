// SPDX-License-Identifier: GPL-2.0-or-later
/* Pools and Services of LoadBalancer IPs, made in a line. */
#ifndef TESTS_UNIT_LB_OBJECTS_H
#define TESTS_UNIT_LB_OBJECTS_H

#include <netinet/in.h>

#include "ipam/lb.h"
#include "tests/unit/objects.h"

/* Ranges as "10.0.0.1-10.0.0.9 fd00::1-fd00::f". */
static inline struct weft_object *lb_pool(const char *name, const char *ranges)
{
	struct weft_object *o = object(WEFT_IPPOOL, name);
	char *copy = strdup(ranges), *rest = copy, *item;

	o->ippool.use = WEFT_USE_LOADBALANCER;
	o->ippool.priority = 100;
	o->ippool.auto_assign = true;
	while ((item = strsep(&rest, " "))) {
		char *dash = strchr(item, '-');
		size_t n = o->ippool.n_ranges++;

		o->ippool.ranges = realloc(o->ippool.ranges, (n + 1) * sizeof(struct weft_range));
		*dash = '\0';
		o->ippool.ranges[n] = (struct weft_range){addr(item), addr(dash + 1)};
	}
	free(copy);
	return o;
}

/* TCP port 80 of "NAMESPACE/NAME", with ClusterIPs of the families "4", "6" or "46". */
static inline struct weft_object *lb_service(const char *key, const char *families)
{
	const char *slash = strchr(key, '/');
	struct weft_object *o = object(WEFT_SERVICE, slash + 1);

	o->meta.namespace = strndup(key, (size_t)(slash - key));
	o->service.type = WEFT_SERVICE_LOADBALANCER;
	if (strchr(families, '4'))
		o->service.cluster_ips[0] = addr("10.96.0.1");
	if (strchr(families, '6'))
		o->service.cluster_ips[1] = addr("fd00:96::1");
	o->service.family_policy = strlen(families) > 1 ? WEFT_PREFER_DUAL_STACK : WEFT_SINGLE_STACK;
	o->service.ports = calloc(1, sizeof(*o->service.ports));
	o->service.n_ports = 1;
	o->service.ports[0] =
	        (struct weft_service_port){.name = strdup(""), .protocol = IPPROTO_TCP, .port = 80};
	return o;
}

static inline struct weft_object *annotated(struct weft_object *o, const char *key, const char *value)
{
	size_t n = o->meta.n_annotations++;

	o->meta.annotations = realloc(o->meta.annotations, (n + 1) * sizeof(*o->meta.annotations));
	o->meta.annotations[n] = (struct weft_label){strdup(key), strdup(value)};
	return o;
}

static inline struct weft_object *sharing(struct weft_object *o, const char *key, uint16_t port)
{
	o->service.ports[0].port = port;
	return annotated(o, WEFT_ANNOTATION_LB_SHARE, key);
}

static inline struct weft_object *selecting(struct weft_object *o, const char *key, const char *value)
{
	size_t n = o->service.n_selector++;

	o->service.selector = realloc(o->service.selector, (n + 1) * sizeof(*o->service.selector));
	o->service.selector[n] = (struct weft_label){strdup(key), strdup(value)};
	return o;
}

/* A list "10.0.0.1 fd00::1" into addresses. */
static inline size_t addrs(const char *list, struct weft_addr *out)
{
	char *copy = strdup(list), *rest = copy, *item;
	size_t n = 0;

	while ((item = strsep(&rest, " ")))
		if (*item)
			out[n++] = addr(item);
	free(copy);
	return n;
}

/* Given and freed. */
static inline void put_pool(struct lb *lb, struct weft_object *o)
{
	lb_put_pool(lb, o);
	weft_object_free(o);
}

static inline void put_service(struct lb *lb, struct weft_object *o, const char *status)
{
	struct weft_addr ingress[8];
	size_t n = addrs(status, ingress);

	lb_put_service(lb, o, ingress, n);
	weft_object_free(o);
}

/* "Assigned 10.0.0.1 fd00::1", "PoolExhausted"; "" for a Service that is not ours. */
static inline const char *answer_text(const struct lb_service *s, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "%s", s->reason);
	char ip[WEFT_ADDR_STR];

	for (size_t i = 0; i < s->n_ips; i++)
		n += (size_t)snprintf(buf + n, size - n, " %s", weft_addr_str(&s->ips[i], ip));
	return buf;
}

#endif
