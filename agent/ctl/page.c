// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the pages are made of.
 */
#include "agent/ctl/ctl.h"

#include <string.h>

#include "weft/cleanup.h"

void ctl_label(const char *name, struct weft_buf *out)
{
	weft_buf_printf(out, "%-12s", name);
}

void ctl_field(const cJSON *object, const char *path, struct weft_buf *out)
{
	ctl_fmt_text(ctl_get(object, path), out);
}

void ctl_paint(const char *text, const char *state, const struct ctl_style *style, struct weft_buf *out)
{
	const char *colour = style->colour ? ctl_colour(state) : NULL;

	weft_buf_str(out, colour ? colour : "");
	weft_buf_str(out, text);
	weft_buf_str(out, colour ? CTL_COLOUR_OFF : "");
}

void ctl_paint_field(const cJSON *object, const char *path, const struct ctl_style *style,
                     struct weft_buf *out)
{
	const char *text = cJSON_GetStringValue(ctl_get(object, path));

	ctl_paint(text && text[0] ? text : "-", text ? text : "", style, out);
}

void ctl_table_indented(const cJSON *rows, const struct ctl_column *columns, size_t count, unsigned indent,
                        const struct ctl_style *style, struct weft_buf *out)
{
	weft_auto(weft_buf_free) struct weft_buf table = {.max = out->max};
	struct ctl_style narrow = *style;
	const char *line, *end;

	if (narrow.width)
		narrow.width = narrow.width > indent ? narrow.width - indent : 1;
	ctl_table(rows, columns, count, &narrow, &table);
	out->failed |= table.failed;
	for (line = weft_buf_text(&table); (end = strchr(line, '\n')); line = end + 1) {
		weft_buf_printf(out, "%*s", (int)indent, "");
		weft_buf_add(out, line, (size_t)(end - line) + 1);
	}
}
