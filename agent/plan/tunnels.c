// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/tunnels.h"

#include <stdio.h>

#include "weft/keyhash.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>

#define IPV6_MIN_MTU 1280 /* RFC 8200, section 5: below it the kernel takes IPv6 off the device */
#define IPV4_MIN_MTU 68   /* RFC 791 */

static bool note_family(void *ctx, const struct cluster_block *b)
{
	struct tunnels_plan *out = ctx;

	if (b->state == CLUSTER_BLOCK_OUTSIDE || b->state == CLUSTER_BLOCK_OVERLAP)
		return false;
	if (b->cidr.addr.family == AF_INET6)
		out->have_block6 = true;
	else
		out->have_block4 = true;
	return out->have_block4 && out->have_block6;
}

void tunnels_plan(const struct cluster *c, uint32_t underlay_mtu, struct tunnels_plan *out)
{
	bool want4 = cluster_wants_tunnel(c, AF_INET), want6 = cluster_wants_tunnel(c, AF_INET6);
	const struct weft_object *self = cluster_self(c);

	*out = (struct tunnels_plan){0};
	out->mtu = underlay_mtu > TUNNELS_OVERHEAD ? underlay_mtu - TUNNELS_OVERHEAD : 0;
	cluster_each_block_of(c, cluster_self_name(c), note_family, out);
	if (!want4 && !want6)
		return;
	if (!self) {
		snprintf(out->reason, sizeof(out->reason),
		         "no tunnel: our own Node object does not exist yet");
		return;
	}
	if (!weft_addr_is_set(&self->node.ip4)) {
		snprintf(out->reason, sizeof(out->reason),
		         "no tunnel: our Node has no IPv4 InternalIP, and tunnels travel in IPv4");
		return;
	}
	out->local = self->node.ip4;
	out->ipip = want4 && out->mtu >= IPV4_MIN_MTU;
	out->sit = want6 && out->mtu >= IPV6_MIN_MTU;
	if (out->ipip != want4 || out->sit != want6)
		snprintf(out->reason, sizeof(out->reason),
		         "no %s tunnel: an underlay MTU of %u leaves %u bytes, fewer than %s needs",
		         out->ipip != want4 ? "IPv4" : "IPv6", underlay_mtu, out->mtu,
		         out->ipip != want4 ? "IPv4" : "IPv6");
	out->want_addr4 = out->ipip;
	out->want_addr6 = out->sit;
}

/* --- who may send to us --- */

struct peer_addr {
	UT_hash_handle hh;
	struct weft_addr ip;
	size_t nodes; /* that have it */
};

struct peer_node {
	UT_hash_handle hh;
	struct peer_addr *addr;
	char name[];
};

struct tunnels_peers {
	struct tunnels_peers_ops ops;
	struct keyhash hash;
	struct peer_node *nodes; /* with an address */
	struct peer_addr *addrs;
};

struct tunnels_peers *tunnels_peers_new(const struct tunnels_peers_ops *ops)
{
	struct tunnels_peers *t = must_alloc(1, sizeof(*t));

	keyhash_init(&t->hash);
	t->ops = *ops;
	return t;
}

static void addr_put(struct tunnels_peers *t, struct peer_addr *a)
{
	if (--a->nodes)
		return;
	t->ops.del(t->ops.ctx, &a->ip);
	HASH_DEL(t->addrs, a);
	free(a);
}

static struct peer_addr *addr_get(struct tunnels_peers *t, const struct weft_addr *ip)
{
	unsigned hash = keyhash(&t->hash, ip, sizeof(*ip));
	struct peer_addr *a;

	HASH_FIND_BYHASHVALUE(hh, t->addrs, ip, sizeof(*ip), hash, a);
	if (!a) {
		a = must_alloc(1, sizeof(*a));
		a->ip = *ip;
		HASH_ADD_BYHASHVALUE(hh, t->addrs, ip, sizeof(a->ip), hash, a);
		t->ops.add(t->ops.ctx, ip);
	}
	a->nodes++;
	return a;
}

static struct peer_node *node_need(struct tunnels_peers *t, const char *name, bool make)
{
	size_t len = strlen(name);
	unsigned hash = keyhash(&t->hash, name, len);
	struct peer_node *n;

	HASH_FIND_BYHASHVALUE(hh, t->nodes, name, (unsigned)len, hash, n);
	if (n || !make)
		return n;
	n = must_alloc(1, sizeof(*n) + len + 1);
	memcpy(n->name, name, len + 1);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, t->nodes, n->name, (unsigned)len, hash, n);
	return n;
}

void tunnels_peers_update(struct tunnels_peers *t, const struct cluster *c, const char *node)
{
	const struct weft_object *obj =
	        strcmp(node, cluster_self_name(c)) ? cluster_get(c, WEFT_NODE, node) : NULL;
	bool has = obj && weft_addr_is_set(&obj->node.ip4);
	struct peer_node *n = node_need(t, node, has);
	struct peer_addr *old = n ? n->addr : NULL;

	if (!n || (has && old && !weft_addr_cmp(&old->ip, &obj->node.ip4)))
		return;
	n->addr = has ? addr_get(t, &obj->node.ip4) : NULL; /* the new one first: no moment without either */
	if (old)
		addr_put(t, old);
	if (!n->addr) {
		HASH_DEL(t->nodes, n);
		free(n);
	}
}

size_t tunnels_peers_count(const struct tunnels_peers *t)
{
	return HASH_COUNT(t->addrs);
}

void tunnels_peers_free(struct tunnels_peers *t)
{
	struct peer_node *n, *n_next;
	struct peer_addr *a, *a_next;

	if (!t)
		return;
	HASH_ITER (hh, t->nodes, n, n_next) {
		HASH_DEL(t->nodes, n);
		free(n);
	}
	HASH_ITER (hh, t->addrs, a, a_next) {
		HASH_DEL(t->addrs, a);
		free(a);
	}
	free(t);
}
