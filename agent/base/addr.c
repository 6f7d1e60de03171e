// SPDX-License-Identifier: GPL-2.0-or-later
#include "weft/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct weft_addr) == 17, "weft_addr must have no padding: it is compared by memcmp");
_Static_assert(sizeof(struct weft_prefix) == 18, "weft_prefix must have no padding: it is a hash key");

size_t weft_addr_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

unsigned weft_addr_bits(uint8_t family)
{
	return (unsigned)weft_addr_size(family) * 8;
}

int weft_addr_parse(const char *text, struct weft_addr *out, struct weft_err *err)
{
	struct weft_addr a = {0};

	if (!text || !*text)
		return weft_err_set(err, EINVAL, "an IP address is missing");
	if (strlen(text) >= WEFT_ADDR_STR)
		return weft_err_set(err, EINVAL, "\"%.45s...\" is too long for an IP address", text);
	a.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(a.family, text, a.bytes) != 1)
		return weft_err_set(err, EINVAL, "\"%s\" is not an IP address", text);
	*out = a;
	return 0;
}

static int parse_len(const char *text, unsigned max, uint8_t *out)
{
	unsigned value = 0;
	size_t n = strlen(text);

	if (n == 0 || n > 3 || (n > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value > max)
		return -EINVAL;
	*out = (uint8_t)value;
	return 0;
}

int weft_prefix_parse(const char *text, struct weft_prefix *out, struct weft_err *err)
{
	char buf[WEFT_PREFIX_STR];
	char want[WEFT_PREFIX_STR];
	struct weft_prefix p = {0};
	const char *slash = text ? strchr(text, '/') : NULL;
	int r;

	if (!slash)
		return weft_err_set(err, EINVAL, "\"%.60s\" is not a CIDR (ADDRESS/LENGTH)",
		                    text ? text : "");
	if (strlen(text) >= sizeof(buf))
		return weft_err_set(err, EINVAL, "\"%.50s...\" is too long for a CIDR", text);
	memcpy(buf, text, (size_t)(slash - text));
	buf[slash - text] = '\0';
	r = weft_addr_parse(buf, &p.addr, err);
	if (r < 0)
		return r;
	if (parse_len(slash + 1, weft_addr_bits(p.addr.family), &p.len) < 0)
		return weft_err_set(err, EINVAL, "\"%s\": the prefix length must be 0 to %u", text,
		                    weft_addr_bits(p.addr.family));
	struct weft_prefix canonical = weft_prefix_mask(&p.addr, p.len);
	if (weft_prefix_cmp(&canonical, &p))
		return weft_err_set(err, EINVAL, "\"%s\" has host bits set; did you mean %s?", text,
		                    weft_prefix_str(&canonical, want));
	*out = p;
	return 0;
}

const char *weft_addr_str(const struct weft_addr *a, char buf[WEFT_ADDR_STR])
{
	if (!weft_addr_is_set(a) || !inet_ntop(a->family, a->bytes, buf, WEFT_ADDR_STR))
		buf[0] = '\0';
	return buf;
}

const char *weft_prefix_str(const struct weft_prefix *p, char buf[WEFT_PREFIX_STR])
{
	char addr[WEFT_ADDR_STR];

	if (!weft_addr_is_set(&p->addr))
		buf[0] = '\0';
	else
		snprintf(buf, WEFT_PREFIX_STR, "%s/%u", weft_addr_str(&p->addr, addr), p->len);
	return buf;
}

int weft_addr_cmp(const struct weft_addr *a, const struct weft_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

int weft_prefix_cmp(const struct weft_prefix *a, const struct weft_prefix *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool weft_addr_is_set(const struct weft_addr *a)
{
	return a->family == AF_INET || a->family == AF_INET6;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool weft_prefix_contains(const struct weft_prefix *p, const struct weft_addr *a)
{
	return p->addr.family == a->family && weft_addr_is_set(a) &&
	       same_bits(p->addr.bytes, a->bytes, p->len);
}

bool weft_prefix_covers(const struct weft_prefix *outer, const struct weft_prefix *inner)
{
	return inner->len >= outer->len && weft_prefix_contains(outer, &inner->addr);
}

bool weft_prefix_overlaps(const struct weft_prefix *a, const struct weft_prefix *b)
{
	return weft_prefix_covers(a, b) || weft_prefix_covers(b, a);
}

bool weft_addr_is_link_local(const struct weft_addr *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 169 && a->bytes[1] == 254;
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool weft_addr_is_host(const struct weft_addr *a)
{
	static const uint8_t low6[12] = {0};
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (!weft_addr_is_set(a) || weft_addr_is_link_local(a))
		return false;
	if (a->family == AF_INET)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
	/* ::/96 holds "::", "::1" and the deprecated v4-compatible addresses. */
	return a->bytes[0] != 0xff && memcmp(a->bytes, low6, 12) && memcmp(a->bytes, mapped, 12);
}

struct weft_prefix weft_prefix_host(const struct weft_addr *a)
{
	return (struct weft_prefix){.addr = *a, .len = (uint8_t)weft_addr_bits(a->family)};
}

struct weft_prefix weft_prefix_mask(const struct weft_addr *a, uint8_t len)
{
	struct weft_prefix p = {.addr = *a, .len = len};
	unsigned bits = weft_addr_bits(a->family);

	for (unsigned bit = len; bit < bits; bit++)
		p.addr.bytes[bit / 8] &= (uint8_t) ~(0x80 >> (bit % 8));
	return p;
}

struct weft_addr weft_prefix_last(const struct weft_prefix *p)
{
	struct weft_addr a = p->addr;
	unsigned bits = weft_addr_bits(a.family);

	for (unsigned bit = p->len; bit < bits; bit++)
		a.bytes[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
	return a;
}

struct weft_addr weft_addr_add(const struct weft_addr *a, uint64_t n)
{
	struct weft_addr out = *a;
	unsigned carry = 0;

	for (size_t i = weft_addr_size(a->family); i-- > 0;) {
		unsigned sum = out.bytes[i] + (unsigned)(n & 0xff) + carry;
		out.bytes[i] = (uint8_t)sum;
		carry = sum >> 8;
		n >>= 8;
	}
	return out;
}

uint64_t weft_addr_diff(const struct weft_addr *a, const struct weft_addr *b)
{
	uint64_t diff = 0;
	int borrow = 0;
	size_t size = weft_addr_size(a->family);

	if (a->family != b->family || weft_addr_cmp(b, a) < 0)
		return UINT64_MAX;
	for (size_t i = 0; i < size; i++) {
		size_t at = size - 1 - i;
		int d = (int)b->bytes[at] - (int)a->bytes[at] - borrow;
		borrow = d < 0;
		d += borrow ? 256 : 0;
		if (i >= 8 && d)
			return UINT64_MAX;
		if (i < 8)
			diff |= (uint64_t)d << (8 * i);
	}
	return diff;
}

struct weft_addr weft_addr_from_bytes(uint8_t family, const void *bytes)
{
	struct weft_addr a = {.family = family};

	memcpy(a.bytes, bytes, weft_addr_size(family));
	return a;
}
