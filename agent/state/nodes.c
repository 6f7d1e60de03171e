// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nodes by name and by InternalIP. What depends on a node: its blocks' routes (its addresses), the pools that
 * contain an address of it, with a mesh BGP, and, when it is us, pool selection, BGP and every route.
 */
#include "agent/state/cluster_int.h"

struct node_entry *nodes_find(const struct cluster *c, const char *name)
{
	struct node_entry *n;

	TABLE_FIND(c, c->nodes, name, n);
	return n;
}

struct node_entry *nodes_need(struct cluster *c, const char *name)
{
	struct node_entry *n = nodes_find(c, name);

	if (!n)
		TABLE_ADD(c, c->nodes, name, n);
	return n;
}

void nodes_drop_if_unused(struct cluster *c, struct node_entry *n)
{
	if (!n->obj && !n->blocks && n != c->own)
		TABLE_DEL(c->nodes, n);
}

static const struct weft_addr *address(const struct weft_object *obj, int v6)
{
	static const struct weft_addr none;

	return !obj ? &none : v6 ? &obj->node.ip6 : &obj->node.ip4;
}

/* utlist wants fixed member names; these lists hang in arrays, one per family. */
static void ip_link(struct cluster *c, struct node_entry *n, const struct weft_addr *a, int v6)
{
	struct weft_prefix key = weft_prefix_host(a);
	struct node_entry *head = trie_get(&c->by_ip, &key);

	n->prev[v6] = NULL;
	n->next[v6] = head;
	if (head)
		head->prev[v6] = n;
	trie_set(&c->by_ip, &key, n);
}

static void ip_unlink(struct cluster *c, struct node_entry *n, const struct weft_addr *a, int v6)
{
	struct weft_prefix key = weft_prefix_host(a);

	if (n->next[v6])
		n->next[v6]->prev[v6] = n->prev[v6];
	if (n->prev[v6])
		n->prev[v6]->next[v6] = n->next[v6];
	else if (n->next[v6])
		trie_set(&c->by_ip, &key, n->next[v6]);
	else
		trie_del(&c->by_ip, &key);
	n->prev[v6] = n->next[v6] = NULL;
}

/* Move the node from its old addresses to the new ones; true when one differs. */
static bool readdress(struct cluster *c, struct node_entry *n, const struct weft_object *old,
                      const struct weft_object *new)
{
	bool changed = false;

	for (int v6 = 0; v6 < 2; v6++) {
		const struct weft_addr *was = address(old, v6), *is = address(new, v6);

		if (!weft_addr_cmp(was, is))
			continue;
		changed = true;
		if (weft_addr_is_set(was))
			ip_unlink(c, n, was, v6);
		if (weft_addr_is_set(is))
			ip_link(c, n, is, v6);
	}
	return changed;
}

static bool differs(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

/* Does it say otherwise now whether it is to be drained? */
static bool drain_changed(const struct weft_object *old, const struct weft_object *new)
{
	const struct weft_meta *o = &old->meta, *n = &new->meta;

	return old->node.cordoned != new->node.cordoned || old->node.draining != new->node.draining ||
	       old->node.autoscaler_taint != new->node.autoscaler_taint ||
	       differs(weft_label_get(o->labels, o->n_labels, WEFT_LABEL_EXCLUDE),
	               weft_label_get(n->labels, n->n_labels, WEFT_LABEL_EXCLUDE)) ||
	       differs(weft_label_get(o->annotations, o->n_annotations, WEFT_ANNOTATION_DRAIN),
	               weft_label_get(n->annotations, n->n_annotations, WEFT_ANNOTATION_DRAIN));
}

static void blocks_of_node_dirty(struct cluster *c, const struct node_entry *n)
{
	for (const struct block_entry *b = n->blocks; b; b = b->node_next)
		dirty_block(c, &b->obj->ipblock.cidr);
}

static void self_changed(struct cluster *c, bool addresses)
{
	dirty_mark(c, CLUSTER_DIRTY_SELF);
	dirty_mark(c, CLUSTER_DIRTY_POOLS);
	dirty_mark(c, CLUSTER_DIRTY_BGP);
	if (addresses) /* every route depends on where we stand */
		cluster_dirty_all(c);
}

static bool reflects(const struct weft_bgpconfig *cfg, const struct weft_object *obj)
{
	return cfg->reflectors &&
	       weft_selector_matches(&cfg->reflector_selector, obj->meta.labels, obj->meta.n_labels);
}

/* Has a node of the mesh changed in what a session with it is made of? Nodes are written every few seconds. */
static bool mesh_changed(const struct cluster *c, const struct weft_object *old,
                         const struct weft_object *new, bool moved)
{
	const struct weft_bgpconfig *cfg = c->bgpconfig ? &c->bgpconfig->bgpconfig : NULL;

	if (!cfg || (!cfg->node_mesh && !cfg->reflectors))
		return false;
	return moved || !old || !new || old->node.as_number != new->node.as_number ||
	       reflects(cfg, old) != reflects(cfg, new);
}

/* The entry goes from object old to object new (either may be NULL): update indexes, mark what depends. */
static void changed(struct cluster *c, struct node_entry *n, struct weft_object *old, struct weft_object *new)
{
	bool self = !strcmp(n->key, c->self);
	bool moved = readdress(c, n, old, new);

	n->obj = new;
	if (moved || !old || !new) {
		dirty_node(c, n->key);
		blocks_of_node_dirty(c, n);
	} else if (drain_changed(old, new)) {
		dirty_node(c, n->key);
	}
	if (moved) {
		for (int v6 = 0; v6 < 2; v6++) {
			pools_node_address(c, address(old, v6));
			pools_node_address(c, address(new, v6));
		}
	}
	if (self)
		self_changed(c, moved || !old || !new);
	else if (mesh_changed(c, old, new, moved))
		dirty_mark(c, CLUSTER_DIRTY_BGP);
}

void nodes_put(struct cluster *c, const char *key, struct weft_object *obj)
{
	struct node_entry *n = nodes_need(c, key);
	struct weft_object *old = n->obj;

	if (!old)
		c->count[WEFT_NODE]++;
	changed(c, n, old, obj);
	weft_object_free(old);
}

void nodes_del(struct cluster *c, const char *key)
{
	struct node_entry *n = nodes_find(c, key);
	struct weft_object *old = n ? n->obj : NULL;

	if (!old)
		return;
	c->count[WEFT_NODE]--;
	changed(c, n, old, NULL);
	weft_object_free(old);
	nodes_drop_if_unused(c, n);
}
