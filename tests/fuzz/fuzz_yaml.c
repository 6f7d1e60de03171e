// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as YAML and as JSON: no crash, no leak, and every tree is within its limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/yaml.h"
#include "weft/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct weft_yaml_doc *doc, const cJSON *node, unsigned depth)
{
	if (depth > WEFT_YAML_MAX_DEPTH || weft_yaml_line(doc, node) == 0)
		abort();
	for (const cJSON *c = node->child; c; c = c->next) {
		if (cJSON_IsObject(node) != (c->string != NULL))
			abort();
		check(doc, c, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int json = 0; json < 2; json++) {
		struct weft_yaml yaml;

		weft_yaml_parse((const char *)data, size, json, &yaml, NULL);
		for (size_t i = 0; i < yaml.n_docs; i++) {
			if ((yaml.docs[i].root != NULL) == (yaml.docs[i].err.code != 0))
				abort();
			if (yaml.docs[i].root)
				check(&yaml.docs[i], yaml.docs[i].root, 0);
		}
		weft_yaml_free(&yaml);
	}
	return 0;
}
