// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replies for programs: JSON as cJSON prints it, YAML by libyaml's emitter.
 */
#include "agent/ctl/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "weft/cleanup.h"

int ctl_json(const cJSON *value, struct weft_buf *out, struct weft_err *err)
{
	weft_autofree char *text = cJSON_Print(value);

	if (!text)
		return weft_err_set(err, ENOMEM, "out of memory");
	weft_buf_str(out, text);
	weft_buf_char(out, '\n');
	return 0;
}

static int append(void *ctx, unsigned char *data, size_t len)
{
	struct weft_buf *out = ctx;

	weft_buf_add(out, data, len);
	return !out->failed;
}

/*
 * Whether a string may stand without quotes: any other resolution of YAML 1.1 and 1.2 starts with no letter
 * or is one of these words. Characters that need quotes are the emitter's concern.
 */
static bool plain_is_string(const char *text)
{
	static const char *const words[] = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"};

	if (!isalpha((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(words); i++)
		if (!strcasecmp(text, words[i]))
			return false;
	return true;
}

static bool emit_scalar(yaml_emitter_t *e, const char *text, bool plain)
{
	yaml_event_t ev;

	return yaml_scalar_event_initialize(
	               &ev, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), plain, 1,
	               plain ? YAML_ANY_SCALAR_STYLE : YAML_SINGLE_QUOTED_SCALAR_STYLE) &&
	       yaml_emitter_emit(e, &ev);
}

static bool emit_string(yaml_emitter_t *e, const char *text)
{
	return emit_scalar(e, text, plain_is_string(text));
}

static bool emit_number(yaml_emitter_t *e, double n)
{
	char text[32];

	snprintf(text, sizeof(text), "%.17g", n);
	return emit_scalar(e, text, true);
}

static bool emit_value(yaml_emitter_t *e, const cJSON *value);

static bool emit_children(yaml_emitter_t *e, const cJSON *value)
{
	bool map = cJSON_IsObject(value);
	yaml_event_t ev;
	const cJSON *child;
	int ok;

	if (map)
		ok = yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE);
	else
		ok = yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE);
	if (!ok || !yaml_emitter_emit(e, &ev))
		return false;
	cJSON_ArrayForEach (child, value)
		if ((map && !emit_string(e, child->string)) || !emit_value(e, child))
			return false;
	ok = map ? yaml_mapping_end_event_initialize(&ev) : yaml_sequence_end_event_initialize(&ev);
	return ok && yaml_emitter_emit(e, &ev);
}

static bool emit_value(yaml_emitter_t *e, const cJSON *value)
{
	if (cJSON_IsObject(value) || cJSON_IsArray(value))
		return emit_children(e, value);
	if (cJSON_IsString(value))
		return emit_string(e, value->valuestring);
	if (cJSON_IsNumber(value))
		return emit_number(e, value->valuedouble);
	return emit_scalar(e, cJSON_IsBool(value) ? cJSON_IsTrue(value) ? "true" : "false" : "null", true);
}

static bool emit_document(yaml_emitter_t *e, const cJSON *value)
{
	yaml_event_t ev;

	return yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING) && yaml_emitter_emit(e, &ev) &&
	       yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1) && yaml_emitter_emit(e, &ev) &&
	       emit_value(e, value) && yaml_document_end_event_initialize(&ev, 1) &&
	       yaml_emitter_emit(e, &ev) && yaml_stream_end_event_initialize(&ev) &&
	       yaml_emitter_emit(e, &ev);
}

int ctl_yaml(const cJSON *value, struct weft_buf *out, struct weft_err *err)
{
	yaml_emitter_t emitter;
	bool ok;

	if (!yaml_emitter_initialize(&emitter))
		return weft_err_set(err, ENOMEM, "out of memory");
	yaml_emitter_set_output(&emitter, append, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	ok = emit_document(&emitter, value);
	if (!ok)
		weft_err_set(err, EIO, "write YAML: %s", emitter.problem ? emitter.problem : "out of memory");
	yaml_emitter_delete(&emitter);
	return ok ? 0 : -EIO;
}
