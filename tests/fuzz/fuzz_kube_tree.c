// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz the trees of the API server's objects: any bytes without a NUL make the tree that cJSON makes of them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kube/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
	if (!what)
		abort();
}

static void same_text(const char *a, const char *b)
{
	require(!a == !b && (!a || !strcmp(a, b)));
}

static void same(const cJSON *a, const cJSON *b)
{
	const cJSON *x, *y;

	require(!a == !b);
	if (!a)
		return;
	require(a->type == b->type && a->valueint == b->valueint &&
	        !memcmp(&a->valuedouble, &b->valuedouble, sizeof(double)));
	same_text(a->string, b->string);
	same_text(a->valuestring, b->valuestring);
	for (x = a->child, y = b->child; x && y; x = x->next, y = y->next)
		same(x, y);
	require(!x && !y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct kube_tree tree;
	cJSON *json;

	if (memchr(data, 0, size))
		return 0;
	json = cJSON_ParseWithLength(text, size);
	kube_tree_parse(&tree, text, size);
	same(tree.root, json);
	kube_tree_free(&tree, true);
	cJSON_Delete(json);
	return 0;
}
