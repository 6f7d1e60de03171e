// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/state/trie.h"

#include "weft/keyhash.h"

/*
 * A node with a value is a stored prefix. A node without one is a fork: it has two children. Everything in
 * child[b] lies inside the node's prefix and has bit b right after it.
 */
struct trie_node {
	struct weft_prefix p;
	void *value;
	struct trie_node *child[2];
};

static unsigned bit_at(const struct weft_prefix *p, unsigned i)
{
	return p->addr.bytes[i / 8] >> (7 - i % 8) & 1;
}

static unsigned common_bits(const struct weft_prefix *a, const struct weft_prefix *b)
{
	unsigned max = a->len < b->len ? a->len : b->len;
	unsigned i = 0;

	while (i + 8 <= max && a->addr.bytes[i / 8] == b->addr.bytes[i / 8])
		i += 8;
	while (i < max && bit_at(a, i) == bit_at(b, i))
		i++;
	return i;
}

static struct trie_node *node_new(const struct weft_prefix *p, void *value)
{
	struct trie_node *n = must_alloc(1, sizeof(*n));

	n->p = *p;
	n->value = value;
	return n;
}

static struct trie_node **root_of(struct trie *t, const struct weft_prefix *p)
{
	return &t->root[p->addr.family == AF_INET6];
}

static const struct trie_node *root_const(const struct trie *t, const struct weft_prefix *p)
{
	return t->root[p->addr.family == AF_INET6];
}

void trie_set(struct trie *t, const struct weft_prefix *p, void *value)
{
	struct trie_node **at = root_of(t, p);

	for (;;) {
		struct trie_node *n = *at;
		unsigned same;

		if (!n) {
			*at = node_new(p, value);
			break;
		}
		same = common_bits(&n->p, p);
		if (same == n->p.len && same == p->len) {
			if (n->value) {
				n->value = value;
				return;
			}
			n->value = value;
			break;
		}
		if (same == n->p.len) { /* p is inside n */
			at = &n->child[bit_at(p, same)];
			continue;
		}
		if (same == p->len) { /* n is inside p */
			*at = node_new(p, value);
			(*at)->child[bit_at(&n->p, same)] = n;
			break;
		}
		struct weft_prefix fork = weft_prefix_mask(&p->addr, (uint8_t)same);

		*at = node_new(&fork, NULL);
		(*at)->child[bit_at(&n->p, same)] = n;
		(*at)->child[bit_at(p, same)] = node_new(p, value);
		break;
	}
	t->count++;
}

void *trie_get(const struct trie *t, const struct weft_prefix *p)
{
	const struct trie_node *n = root_const(t, p);

	while (n && n->p.len < p->len) {
		if (common_bits(&n->p, p) < n->p.len)
			return NULL;
		n = n->child[bit_at(p, n->p.len)];
	}
	return n && n->p.len == p->len && common_bits(&n->p, p) == p->len ? n->value : NULL;
}

/* A node that lost its value or a child: keep it only while it is a fork. */
static void collapse(struct trie_node **at)
{
	struct trie_node *n = *at;

	if (!n || n->value || (n->child[0] && n->child[1]))
		return;
	*at = n->child[0] ? n->child[0] : n->child[1];
	free(n);
}

void trie_del(struct trie *t, const struct weft_prefix *p)
{
	struct trie_node **at = root_of(t, p), **parent = NULL;

	if (!trie_get(t, p))
		return;
	while ((*at)->p.len < p->len) {
		parent = at;
		at = &(*at)->child[bit_at(p, (*at)->p.len)];
	}
	(*at)->value = NULL;
	collapse(at);
	if (parent)
		collapse(parent);
	t->count--;
}

bool trie_above(const struct trie *t, const struct weft_prefix *p, trie_fn fn, void *ctx)
{
	const struct trie_node *n = root_const(t, p);

	while (n && n->p.len < p->len && common_bits(&n->p, p) == n->p.len) {
		if (n->value && fn(ctx, &n->p, n->value))
			return true;
		n = n->child[bit_at(p, n->p.len)];
	}
	return false;
}

/* Depth is at most the address length: recursion is bounded. */
static bool walk(const struct trie_node *n, trie_fn fn, void *ctx)
{
	if (!n)
		return false;
	if (n->value && fn(ctx, &n->p, n->value))
		return true;
	return walk(n->child[0], fn, ctx) || walk(n->child[1], fn, ctx);
}

bool trie_below(const struct trie *t, const struct weft_prefix *p, trie_fn fn, void *ctx)
{
	const struct trie_node *n = root_const(t, p);

	while (n && n->p.len < p->len && common_bits(&n->p, p) == n->p.len)
		n = n->child[bit_at(p, n->p.len)];
	if (!n || n->p.len < p->len || common_bits(&n->p, p) < p->len)
		return false;
	return walk(n, fn, ctx);
}

static void free_nodes(struct trie_node *n)
{
	if (!n)
		return;
	free_nodes(n->child[0]);
	free_nodes(n->child[1]);
	free(n);
}

void trie_free(struct trie *t)
{
	free_nodes(t->root[0]);
	free_nodes(t->root[1]);
	*t = (struct trie){0};
}
