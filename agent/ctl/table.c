// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables: cells are formatted first, widths follow from them; on a narrow terminal the columns that may
 * shrink give way, the widest first.
 */
#include "agent/ctl/ctl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "weft/cleanup.h"

#define GAP    2
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define RED    "\033[31m"

static const struct {
	const char *word, *colour;
} state_colours[] = {
        {"ok", GREEN},
        {"up", GREEN},
        {"ready", GREEN},
        {"installed", GREEN},
        {"synced", GREEN},
        {"pending", YELLOW},
        {"starting", YELLOW},
        {"not-ready", YELLOW},
        {"cooling", YELLOW},
        {"connect", YELLOW},
        {"active", YELLOW},
        {"opensent", YELLOW},
        {"openconfirm", YELLOW},
        {"idle", YELLOW},
        {"established", GREEN},
        {"down", RED},
        {"conflict", RED},
        {"failed", RED},
        {"error", RED},
        {"absent", RED},
        {"not synced", RED},
        {"gone", RED},
        {"no-endpoints", YELLOW},
        {"problem", RED},
        {"taken", RED},
        {"covered", GREEN},
        {"stale", YELLOW},
        {"delivered", GREEN},
        {"refused", RED},
        {"dropped", RED},
        {"unreachable", RED},
        {"announced", GREEN},
        {"partly announced", YELLOW},
        {"not announced", RED},
        {"learnt", GREEN},
        {"not learnt", RED},
        {"not used", YELLOW},
        {"unknown", YELLOW},
        {"filtered", YELLOW},
        {"best", GREEN},
        {"accepted", GREEN},
};

const char *ctl_colour(const char *state)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(state_colours); i++)
		if (!strcasecmp(state, state_colours[i].word))
			return state_colours[i].colour;
	return NULL;
}

static void add_number(double n, struct weft_buf *out)
{
	/* Whole numbers up to 2^53 are exact in JSON's double. */
	if (n >= -9007199254740992.0 && n <= 9007199254740992.0 && n == (double)(long long)n)
		weft_buf_printf(out, "%lld", (long long)n);
	else
		weft_buf_printf(out, "%g", n);
}

void ctl_fmt_text(const cJSON *value, struct weft_buf *out)
{
	const cJSON *item;

	if (cJSON_IsString(value) && value->valuestring[0]) {
		weft_buf_str(out, value->valuestring);
	} else if (cJSON_IsNumber(value)) {
		add_number(value->valuedouble, out);
	} else if (cJSON_IsBool(value)) {
		weft_buf_str(out, cJSON_IsTrue(value) ? "yes" : "no");
	} else if (cJSON_IsArray(value) && value->child) {
		cJSON_ArrayForEach (item, value) {
			if (item != value->child)
				weft_buf_str(out, ", ");
			/* One level: a list inside a list has no place in a cell. */
			if (cJSON_IsArray(item))
				weft_buf_str(out, "[...]");
			else
				ctl_fmt_text(item, out);
		}
	} else {
		weft_buf_char(out, '-');
	}
}

void ctl_fmt_mark(const cJSON *value, struct weft_buf *out)
{
	if (cJSON_IsTrue(value))
		weft_buf_char(out, '*');
}

void ctl_fmt_duration(const cJSON *value, struct weft_buf *out)
{
	static const struct {
		const char *name;
		unsigned long long seconds;
	} units[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
	unsigned long long t;
	size_t i = 0;

	if (!cJSON_IsNumber(value) || value->valuedouble < 0 || value->valuedouble > 1e15) {
		weft_buf_char(out, '-');
		return;
	}
	t = (unsigned long long)value->valuedouble;
	while (i < WEFT_ARRAY_LEN(units) - 1 && t < units[i].seconds)
		i++;
	weft_buf_printf(out, "%llu%s", t / units[i].seconds, units[i].name);
	t %= units[i].seconds;
	if (i < WEFT_ARRAY_LEN(units) - 1 && t / units[i + 1].seconds)
		weft_buf_printf(out, " %llu%s", t / units[i + 1].seconds, units[i + 1].name);
}

/* The work on one table: cells[row * count + column], row 0 is the header; NULL text never. */
struct table {
	const struct ctl_column *columns;
	size_t count, rows;
	char **cells;
	size_t *widths;
	bool *shown;
};

static char *format_cell(const struct ctl_column *column, const cJSON *row)
{
	ctl_format_fn format = column->format ? column->format : ctl_fmt_text;
	struct weft_buf text = {0};

	format(ctl_get(row, column->path), &text);
	return weft_buf_take(&text);
}

static bool fill_cells(struct table *t, const cJSON *rows)
{
	const cJSON *row;
	size_t at = 0;

	for (size_t i = 0; i < t->count; i++)
		if (!(t->cells[at++] = strdup(t->columns[i].header)))
			return false;
	cJSON_ArrayForEach (row, rows)
		for (size_t i = 0; i < t->count; i++)
			if (!(t->cells[at++] = format_cell(&t->columns[i], row)))
				return false;
	return true;
}

static void measure_columns(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		t->shown[i] = !t->columns[i].optional;
		for (size_t r = 0; r < t->rows; r++) {
			const char *cell = t->cells[r * t->count + i];
			size_t width = ctl_text_width(cell);

			if (r > 0 && cell[0] && strcmp(cell, "-") != 0)
				t->shown[i] = true;
			if (width > t->widths[i])
				t->widths[i] = width;
		}
	}
}

static size_t total_width(const struct table *t)
{
	size_t sum = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->shown[i])
			sum += t->widths[i] + GAP;
	return sum ? sum - GAP : 0;
}

static void shrink_columns(struct table *t, size_t width)
{
	size_t total = total_width(t);

	while (total > width) {
		size_t widest = t->count;

		for (size_t i = 0; i < t->count; i++)
			if (t->shown[i] && t->columns[i].shrink && t->widths[i] > t->columns[i].shrink &&
			    (widest == t->count || t->widths[i] > t->widths[widest]))
				widest = i;
		if (widest == t->count)
			return;
		t->widths[widest]--;
		total--;
	}
}

static void pad(struct weft_buf *out, size_t n)
{
	while (n--)
		weft_buf_char(out, ' ');
}

static void print_row(const struct table *t, size_t row, bool colour, struct weft_buf *out)
{
	size_t owed = 0; /* blanks before the next text: none at the end of a line */

	for (size_t i = 0; i < t->count; i++) {
		const char *cell = t->cells[row * t->count + i];
		const char *paint = colour && row && t->columns[i].state ? ctl_colour(cell) : NULL;
		size_t width = ctl_text_width(cell), room = t->widths[i];
		size_t blank = width < room ? room - width : 0;

		if (!t->shown[i])
			continue;
		if (cell[0]) {
			pad(out, owed + (t->columns[i].right ? blank : 0));
			owed = 0;
			weft_buf_str(out, paint ? paint : "");
			ctl_text_cut(cell, room, out);
			weft_buf_str(out, paint ? CTL_COLOUR_OFF : "");
		}
		owed += (cell[0] && t->columns[i].right ? 0 : blank) + GAP;
	}
	weft_buf_char(out, '\n');
}

void ctl_table(const cJSON *rows, const struct ctl_column *columns, size_t count,
               const struct ctl_style *style, struct weft_buf *out)
{
	size_t row_count = (size_t)cJSON_GetArraySize(rows) + 1;
	weft_autofree char **cells = calloc(row_count * count, sizeof(*cells));
	weft_autofree size_t *widths = calloc(count, sizeof(*widths));
	weft_autofree bool *shown = calloc(count, sizeof(*shown));
	struct table t = {columns, count, row_count, cells, widths, shown};

	if (!cells || !widths || !shown || !fill_cells(&t, rows)) {
		out->failed = true;
	} else {
		measure_columns(&t);
		if (style->width)
			shrink_columns(&t, style->width);
		for (size_t r = 0; r < row_count; r++)
			print_row(&t, r, style->colour, out);
	}
	for (size_t i = 0; cells && i < row_count * count; i++)
		free(cells[i]);
}
