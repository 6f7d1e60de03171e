// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as manifests (YAML) and as API server JSON: an object or an error, never both, never a leak. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const cJSON *json)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;
	int r = weft_decode(json, &got, &err);

	if ((r < 0) != (err.code < 0) || (r < 0 && (got.obj || !*err.text)))
		abort();
	if (got.obj && (!weft_object_equal(got.obj, got.obj) || !*got.key))
		abort();
	for (const char *p = err.text; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort();
	weft_object_free(got.obj);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_yaml yaml;
	cJSON *json = cJSON_ParseWithLength((const char *)data, size);

	weft_yaml_parse((const char *)data, size, false, &yaml, NULL);
	for (size_t i = 0; i < yaml.n_docs; i++)
		if (yaml.docs[i].root)
			decode(yaml.docs[i].root);
	weft_yaml_free(&yaml);
	if (json)
		decode(json);
	weft_json_wipe(json);
	return 0;
}
