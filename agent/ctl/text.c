// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names and error texts come from manifests that anyone in the cluster may have written. Before they are
 * shown they lose what a terminal would obey.
 */
#include "agent/ctl/ctl.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define BAD UINT32_MAX

/*
 * Decode one code point of at most `left` bytes; *used is its length. BAD (and 1 byte used) for what RFC
 * 3629 section 3 doesn't allow: overlong forms, surrogates, above U+10FFFF.
 */
static uint32_t decode(const unsigned char *p, size_t left, size_t *used)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	*used = 1;
	if (len == 1)
		return p[0];
	if (len == 0 || len > left)
		return BAD;
	c = p[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return BAD;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return BAD;
	*used = len;
	return c;
}

static bool is_unsafe(uint32_t c)
{
	if (c == BAD || c < 0x20 || (c >= 0x7f && c < 0xa0))
		return true;
	/* Unicode Standard Annex 9: characters that reorder the text around them; and line separators. */
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void ctl_text_clean(char *text)
{
	size_t left = strlen(text), used;
	char *to = text;

	for (const char *from = text; left; from += used, left -= used) {
		if (is_unsafe(decode((const unsigned char *)from, left, &used))) {
			*to++ = '?';
		} else {
			memmove(to, from, used);
			to += used;
		}
	}
	*to = '\0';
}

void ctl_text_clean_json(cJSON *value)
{
	cJSON *child;

	if (value->string)
		ctl_text_clean(value->string);
	if (cJSON_IsString(value))
		ctl_text_clean(value->valuestring);
	cJSON_ArrayForEach (child, value)
		ctl_text_clean_json(child);
}

static size_t char_width(uint32_t c)
{
	int width = wcwidth((wchar_t)c);

	return width < 0 ? 1 : (size_t)width;
}

/* Bytes of text that fill at most `width` columns; *columns is what they fill. */
static size_t measure(const char *text, size_t width, size_t *columns)
{
	size_t left = strlen(text), at = 0, used;

	*columns = 0;
	while (at < left) {
		size_t w = char_width(decode((const unsigned char *)text + at, left - at, &used));

		if (w > width - *columns)
			break;
		*columns += w;
		at += used;
	}
	return at;
}

size_t ctl_text_width(const char *text)
{
	size_t columns;

	measure(text, SIZE_MAX, &columns);
	return columns;
}

void ctl_text_cut(const char *text, size_t width, struct weft_buf *out)
{
	size_t columns;

	if (ctl_text_width(text) <= width) {
		weft_buf_str(out, text);
	} else if (width > 0) {
		weft_buf_add(out, text, measure(text, width - 1, &columns));
		weft_buf_str(out, "…");
	}
}
