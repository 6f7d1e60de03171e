// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BGP communities: their text, and the names that everybody knows them by.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/object.h"

static const struct {
	const char *name;
	uint16_t high, low;
} known[] = {
        {"no-export", 65535, 65281},           /* RFC 1997 */
        {"no-advertise", 65535, 65282},        /* RFC 1997 */
        {"no-export-subconfed", 65535, 65283}, /* RFC 1997 */
        {"no-peer", 65535, 65284},             /* RFC 3765 */
        {"graceful-shutdown", 65535, 0},       /* RFC 8326 */
        {"blackhole", 65535, 666},             /* RFC 7999 */
};

const char *weft_community_name(const struct weft_community *c)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(known) && !c->large; i++)
		if (c->part[0] == known[i].high && c->part[1] == known[i].low)
			return known[i].name;
	return NULL;
}

const char *weft_community_str(const struct weft_community *c, char buf[WEFT_COMMUNITY_STR])
{
	if (c->large)
		snprintf(buf, WEFT_COMMUNITY_STR, "%u:%u:%u", c->part[0], c->part[1], c->part[2]);
	else
		snprintf(buf, WEFT_COMMUNITY_STR, "%u:%u", c->part[0], c->part[1]);
	return buf;
}

bool weft_community_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= WEFT_COMMUNITY_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Decimal digits up to ':' or the end; at most ten, so that no number overflows. NULL: something else. */
static const char *part(const char *p, uint64_t *out)
{
	const char *begin = p;

	for (*out = 0; *p >= '0' && *p <= '9' && p - begin <= 10; p++)
		*out = *out * 10 + (uint64_t)(*p - '0');
	return p > begin && p - begin <= 10 && (*p == ':' || !*p) ? p : NULL;
}

int weft_community_parse(const char *text, struct weft_community *out, struct weft_err *err)
{
	uint64_t parts[3], most;
	const char *p = text;
	size_t n = 0;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(known); i++) {
		if (strcmp(text, known[i].name))
			continue;
		*out = (struct weft_community){.part = {known[i].high, known[i].low}};
		return 0;
	}
	while (p && n < 3) {
		p = part(p, &parts[n++]);
		if (!p || !*p)
			break;
		p++;
	}
	if (!p || *p || n < 2 || (p > text && p[-1] == ':'))
		return weft_err_set(
		        err, EINVAL,
		        "\"%.64s\" is not a community: 64512:100, 64512:100:7 (large) or a well-known name",
		        text);
	most = n == 2 ? UINT16_MAX : UINT32_MAX;
	*out = (struct weft_community){.large = n == 3};
	for (size_t i = 0; i < n; i++) {
		if (parts[i] > most)
			return weft_err_set(err, ERANGE,
			                    "\"%s\": each part of a %s community is at most %llu", text,
			                    n == 2 ? "standard" : "large", (unsigned long long)most);
		out->part[i] = (uint32_t)parts[i];
	}
	return 0;
}
