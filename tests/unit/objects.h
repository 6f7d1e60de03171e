// SPDX-License-Identifier: GPL-2.0-or-later
/* Cluster objects made in one line, for the tests of state and planning. */
#ifndef TESTS_UNIT_OBJECTS_H
#define TESTS_UNIT_OBJECTS_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/state/cluster.h"

static inline struct weft_addr addr(const char *text)
{
	struct weft_addr a = {0};

	if (text && weft_addr_parse(text, &a, NULL))
		abort();
	return a;
}

static inline struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p = {0};

	if (weft_prefix_parse(text, &p, NULL))
		abort();
	return p;
}

static inline struct weft_object *object(enum weft_kind kind, const char *name)
{
	struct weft_object *o = calloc(1, sizeof(*o));

	o->kind = kind;
	o->meta.name = strdup(name);
	return o;
}

static inline struct weft_object *node(const char *name, const char *ip4, const char *ip6)
{
	struct weft_object *o = object(WEFT_NODE, name);

	o->node.ip4 = addr(ip4);
	o->node.ip6 = addr(ip6);
	return o;
}

static inline struct weft_object *labelled(struct weft_object *o, const char *key, const char *value)
{
	o->meta.labels = realloc(o->meta.labels, (o->meta.n_labels + 1) * sizeof(*o->meta.labels));
	o->meta.labels[o->meta.n_labels++] = (struct weft_label){strdup(key), strdup(value)};
	return o;
}

static inline void require(struct weft_selector *s, const char *key, const char *value)
{
	s->reqs = calloc(1, sizeof(*s->reqs));
	s->n_reqs = 1;
	s->reqs[0] = (struct weft_requirement){
	        .key = strdup(key), .op = WEFT_SEL_IN, .values = calloc(1, sizeof(char *)), .n_values = 1};
	s->reqs[0].values[0] = strdup(value);
}

static inline struct weft_object *pool(const char *name, const char *cidr, uint8_t size,
                                       enum weft_tunnel_mode mode)
{
	struct weft_object *o = object(WEFT_IPPOOL, name);

	o->ippool.cidr = prefix(cidr);
	o->ippool.block_size = size;
	o->ippool.tunnel = mode;
	return o;
}

static inline struct weft_object *block_named(const char *name, const char *cidr, const char *node_name,
                                              const char *pool_name)
{
	struct weft_object *o = object(WEFT_IPBLOCK, name);

	o->ipblock.cidr = prefix(cidr);
	o->ipblock.node = strdup(node_name);
	o->ipblock.pool = strdup(pool_name);
	return o;
}

static inline struct weft_object *block(const char *cidr, const char *node_name, const char *pool_name)
{
	struct weft_prefix p = prefix(cidr);
	char name[WEFT_PREFIX_STR];

	return block_named(weft_block_name(&p, name), cidr, node_name, pool_name);
}

static inline struct weft_object *peer(const char *name, const char *address, uint32_t as)
{
	struct weft_object *o = object(WEFT_BGPPEER, name);

	o->bgppeer.address = addr(address);
	o->bgppeer.port = 179;
	o->bgppeer.as_number = as;
	return o;
}

static inline struct weft_object *secret(const char *name, const char *key, const char *value)
{
	struct weft_object *o = object(WEFT_SECRET, name);
	size_t len = strlen(value);

	o->meta.namespace = strdup("kube-system");
	o->secret.items = calloc(1, sizeof(*o->secret.items));
	o->secret.n_items = 1;
	if (sodium_init() < 0)
		abort();
	o->secret.items[0] = (struct weft_secret_item){strdup(key), sodium_malloc(len ? len : 1), len};
	memcpy(o->secret.items[0].value, value, len);
	return o;
}

static inline void put(struct cluster *c, struct weft_object *o)
{
	char key[WEFT_KEY_MAX];
	struct weft_event ev = {
	        .type = WEFT_EV_UPSERT, .kind = o->kind, .key = weft_object_key(o, key), .obj = o};

	cluster_handle(c, &ev);
}

static inline void del(struct cluster *c, enum weft_kind kind, const char *key)
{
	struct weft_event ev = {.type = WEFT_EV_DELETE, .kind = kind, .key = key};

	cluster_handle(c, &ev);
}

static inline void synced(struct cluster *c)
{
	struct weft_event ev = {.type = WEFT_EV_SYNCED};

	cluster_handle(c, &ev);
}

/* Empty the queue; how many keys there were. */
static inline size_t drain(struct cluster *c)
{
	struct cluster_dirty d;
	size_t n = 0;

	while (cluster_dirty_next(c, &d))
		n++;
	return n;
}

/* Empty the queue into one line: "block 10.0.0.0/26, node a, pools, bgp, self". */
static inline const char *dirty_text(struct cluster *c, char *buf, size_t size)
{
	static const char *const names[] = {"block ", "node ",    "pools",     "bgp",
	                                    "self",   "services", "namespace "};
	struct cluster_dirty d;
	char cidr[WEFT_PREFIX_STR];
	size_t n = 0;

	buf[0] = '\0';
	while (cluster_dirty_next(c, &d) && n < size) {
		const char *what = d.kind == CLUSTER_DIRTY_BLOCK ? weft_prefix_str(&d.block, cidr)
		                   : d.kind == CLUSTER_DIRTY_NODE || d.kind == CLUSTER_DIRTY_NAMESPACE
		                           ? d.name
		                           : "";

		n += (size_t)snprintf(buf + n, size - n, "%s%s%s", n ? ", " : "", names[d.kind], what);
	}
	return buf;
}

#endif
