// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses in the forms that the API server accepts in fields older than its strict validation. What is in
 * the cluster has been accepted; refusing it here would leave a Service without its dataplane.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/source/kinds.h"

/* "010.0.0.001" -> "10.0.0.1". False when it does not fit. */
static bool strip_zeros(const char *text, char out[WEFT_ADDR_STR])
{
	bool start = true; /* of an octet */
	size_t n = 0;

	for (const char *p = text; *p; p++) {
		if (start && *p == '0' && p[1] >= '0' && p[1] <= '9')
			continue;
		start = *p == '.';
		if (n + 1 == WEFT_ADDR_STR)
			return false;
		out[n++] = *p;
	}
	out[n] = '\0';
	return true;
}

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const struct weft_addr *a)
{
	return a->family == AF_INET6 && !memcmp(a->bytes, mapped, sizeof(mapped));
}

static bool parse_addr(const char *text, struct weft_addr *out)
{
	char plain[WEFT_ADDR_STR];

	if (strchr(text, ':'))
		return weft_addr_parse(text, out, NULL) == 0;
	return strip_zeros(text, plain) && weft_addr_parse(plain, out, NULL) == 0;
}

bool weft_sloppy_addr(const char *text, struct weft_addr *out)
{
	struct weft_addr a;

	if (!parse_addr(text, &a))
		return false;
	*out = is_mapped(&a) ? weft_addr_from_bytes(AF_INET, a.bytes + sizeof(mapped)) : a;
	return true;
}

/* As Go reads a prefix length: decimal digits, leading zeros allowed. */
static bool parse_len(const char *text, unsigned max, uint8_t *out)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long len;

	if (digits == 0 || digits > 8 || text[digits])
		return false;
	len = strtoul(text, NULL, 10);
	*out = (uint8_t)len;
	return len <= max;
}

bool weft_sloppy_prefix(const char *text, struct weft_prefix *out)
{
	const char *slash = strchr(text, '/');
	char addr[WEFT_ADDR_STR];
	struct weft_addr a;
	uint8_t len;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (!parse_addr(addr, &a) || !parse_len(slash + 1, weft_addr_bits(a.family), &len))
		return false;
	if (is_mapped(&a) && len >= 8 * sizeof(mapped)) {
		a = weft_addr_from_bytes(AF_INET, a.bytes + sizeof(mapped));
		len = (uint8_t)(len - 8 * sizeof(mapped));
	}
	*out = weft_prefix_mask(&a, len);
	return true;
}
