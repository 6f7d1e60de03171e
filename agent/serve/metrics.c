// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/serve/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_STR 32

/* --- text --- */

/* Bytes of the UTF-8 sequence that begins here, 0 = none does (Unicode 15, table 3-7). */
static size_t sequence(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n = s[0] < 0x80   ? 1
	           : s[0] < 0xc2 ? 0
	           : s[0] < 0xe0 ? 2
	           : s[0] < 0xf0 ? 3
	           : s[0] < 0xf5 ? 4
	                         : 0;

	if (n < 2)
		return n;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static void put_value(struct weft_buf *out, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t room = METRICS_LABEL_MAX, n;

	weft_buf_char(out, '"');
	for (; *s; s += n ? n : 1) {
		n = sequence(s);
		if ((n ? n : 1) > room)
			break;
		room -= n ? n : 1;
		if (!n)
			weft_buf_char(out, '?');
		else if (*s == '\n')
			weft_buf_str(out, "\\n");
		else if (*s == '"' || *s == '\\')
			weft_buf_printf(out, "\\%c", *s);
		else
			weft_buf_add(out, s, n);
	}
	weft_buf_char(out, '"');
}

/* Integers as such, up to where a double has them exactly. */
static const char *number_str(double number, char buf[NUMBER_STR])
{
	if (isnan(number))
		return "NaN";
	if (isinf(number))
		return number > 0 ? "+Inf" : "-Inf";
	if (number > -9007199254740992.0 && number < 9007199254740992.0 && number == (double)(int64_t)number)
		snprintf(buf, NUMBER_STR, "%.0f", number);
	else
		snprintf(buf, NUMBER_STR, "%.15g", number);
	return buf;
}

/* {a="1",b="2"}; nothing when the family has no labels. */
static void put_labels(struct weft_buf *out, const char *names, const char *const *values)
{
	char before = '{';

	if (!*names)
		return;
	for (; *values; values++) {
		size_t len = strcspn(names, ",");

		weft_buf_char(out, before);
		weft_buf_add(out, names, len);
		weft_buf_char(out, '=');
		put_value(out, *values);
		names += len + (names[len] == ',');
		before = ',';
	}
	weft_buf_char(out, '}');
}

void metrics_begin(struct metrics_page *p, const struct metrics_family *family)
{
	static const char *const types[] = {"gauge", "counter", "histogram"};

	p->family = family;
	weft_buf_printf(p->out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
	                types[family->type]);
}

void metrics_put(struct metrics_page *p, double number, const char *const *values)
{
	char text[NUMBER_STR];

	weft_buf_str(p->out, p->family->name);
	put_labels(p->out, p->family->labels, values);
	weft_buf_printf(p->out, " %s\n", number_str(number, text));
}

void metrics_single(struct metrics_page *p, const struct metrics_family *family, double number)
{
	metrics_begin(p, family);
	metrics_put(p, number, (const char *const[]){NULL});
}

/* --- histograms --- */

void metrics_observe(struct metrics_histogram *h, double number)
{
	size_t i = 0;

	while (i < h->n && number > h->bounds[i])
		i++;
	h->in[i]++;
	h->sum += number;
}

void metrics_histogram(struct metrics_page *p, const struct metrics_family *family,
                       const struct metrics_histogram *h)
{
	uint64_t total = 0;
	char text[NUMBER_STR];

	metrics_begin(p, family);
	for (size_t i = 0; i <= h->n; i++) {
		total += h->in[i];
		weft_buf_printf(p->out, "%s_bucket{le=\"%s\"} %llu\n", family->name,
		                number_str(i < h->n ? h->bounds[i] : INFINITY, text),
		                (unsigned long long)total);
	}
	weft_buf_printf(p->out, "%s_sum %s\n", family->name, number_str(h->sum, text));
	weft_buf_printf(p->out, "%s_count %llu\n", family->name, (unsigned long long)total);
}
