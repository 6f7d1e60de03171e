// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An object's JSON as a tree of cJSON's, faster than cJSON makes it.
 *
 * Reading a LIST is mostly this, and cJSON asks malloc() twice for each value. Here the whole tree lies in
 * one piece of memory, or a few. What is not plain (numbers that are no short integers, surrogates, depth,
 * and all that is no JSON) is left to cJSON itself: the outcome is always cJSON's.
 *
 * The tree is for reading: nothing may be taken out of it, added to it, or freed, but by kube_tree_free().
 */
#ifndef AGENT_KUBE_TREE_H
#define AGENT_KUBE_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

struct kube_tree {
	const cJSON *root; /* NULL: it is no JSON */
	struct kube_tree_piece *pieces;
	cJSON *left; /* cJSON's own tree, if it was left to cJSON */
};

/* len bytes without a NUL. */
void kube_tree_parse(struct kube_tree *t, const char *text, size_t len);
void kube_tree_free(struct kube_tree *t, bool wipe);

#endif
