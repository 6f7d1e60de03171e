// SPDX-License-Identifier: GPL-2.0-or-later
/* Comparison and text of kernel routes: weft/route.h. */
#include "weft/route.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "weft/marks.h"

_Static_assert(sizeof(struct weft_route_key) == 28,
               "weft_route_key must have no hidden padding: it is hashed");

bool weft_route_equal(const struct weft_route *a, const struct weft_route *b)
{
	return memcmp(&a->key, &b->key, sizeof(a->key)) == 0 && a->type == b->type && a->scope == b->scope &&
	       a->onlink == b->onlink && a->protocol == b->protocol &&
	       memcmp(&a->gateway, &b->gateway, sizeof(a->gateway)) == 0 &&
	       memcmp(&a->src, &b->src, sizeof(a->src)) == 0 && strncmp(a->dev, b->dev, IFNAMSIZ) == 0 &&
	       a->window == b->window;
}

struct text {
	char *buf;
	size_t len;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, WEFT_ROUTE_STR - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
	if (t->len >= WEFT_ROUTE_STR)
		t->len = WEFT_ROUTE_STR - 1;
}

static const char *type_name(uint8_t type)
{
	switch (type) {
	case RTN_LOCAL:
		return "local ";
	case RTN_BLACKHOLE:
		return "blackhole ";
	case RTN_UNREACHABLE:
		return "unreachable ";
	case RTN_PROHIBIT:
		return "prohibit ";
	case RTN_THROW:
		return "throw ";
	case RTN_BROADCAST:
		return "broadcast ";
	case RTN_MULTICAST:
		return "multicast ";
	case RTN_ANYCAST:
		return "anycast ";
	default:
		return "";
	}
}

static void add_protocol(struct text *t, uint8_t protocol)
{
	static const struct {
		uint8_t number;
		const char *name;
	} names[] = {{RTPROT_REDIRECT, "redirect"}, {RTPROT_KERNEL, "kernel"}, {RTPROT_BOOT, "boot"},
	             {RTPROT_STATIC, "static"},     {RTPROT_RA, "ra"},         {RTPROT_ZEBRA, "zebra"},
	             {RTPROT_BIRD, "bird"},         {RTPROT_DHCP, "dhcp"},     {RTPROT_BGP, "bgp"},
	             {WEFT_RTPROT, "weft"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].number == protocol) {
			add(t, " proto %s", names[i].name);
			return;
		}
	}
	add(t, " proto %u", protocol);
}

static void add_table(struct text *t, uint32_t table)
{
	if (table == RT_TABLE_LOCAL)
		add(t, " table local");
	else if (table != RT_TABLE_MAIN)
		add(t, " table %u", table);
}

static void add_scope(struct text *t, const struct weft_route *r)
{
	if (r->key.dst.addr.family != AF_INET || r->type == RTN_LOCAL)
		return;
	if (r->scope == RT_SCOPE_LINK)
		add(t, " scope link");
	else if (r->scope == RT_SCOPE_HOST)
		add(t, " scope host");
}

const char *weft_route_str(const struct weft_route *r, char buf[WEFT_ROUTE_STR])
{
	struct text t = {.buf = buf};
	char addr[WEFT_ADDR_STR], prefix[WEFT_PREFIX_STR];

	buf[0] = '\0';
	add(&t, "%s%s", type_name(r->type), weft_prefix_str(&r->key.dst, prefix));
	if (weft_addr_is_set(&r->gateway))
		add(&t, " via %s", weft_addr_str(&r->gateway, addr));
	if (r->dev[0])
		add(&t, " dev %.*s", IFNAMSIZ, r->dev);
	add_table(&t, r->key.table);
	add_protocol(&t, r->protocol);
	add_scope(&t, r);
	if (weft_addr_is_set(&r->src))
		add(&t, " src %s", weft_addr_str(&r->src, addr));
	if (r->key.metric)
		add(&t, " metric %u", r->key.metric);
	if (r->window)
		add(&t, " window %u", r->window);
	if (r->onlink)
		add(&t, " onlink");
	return buf;
}
