// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table in the language of nft(8). Only addresses, reprinted from their bytes, and constants get into it.
 *
 * The rules, as measured on Linux 6.1 with nft 1.0.6:
 * - input: protocols 4 and 41 to the tunnels' own end only from known nodes, before anything decapsulates.
 *   Tunnels of others on this host are not concerned unless they end at the very same address.
 * - postrouting: what this node itself (fib saddr type local) sends into a tunnel gets the tunnel's address,
 *   also when the route's preferred source was not used (a bound socket, a load-balanced connection): fabrics
 *   that drop pod sources from the wrong port then see one that comes back through the tunnel.
 * - `snat to` and not `masquerade`, which borrows another device's address if this one has none.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/nft_private.h"
#include "weft/marks.h"

#define TABLE "inet " WEFT_NFT_TABLE

static void decap_rule(struct weft_buf *b, unsigned protocol, const struct weft_addr *local, const char *what)
{
	char text[WEFT_ADDR_STR];

	weft_buf_printf(b,
	                "\t\tmeta l4proto %u ip daddr %s ip saddr != @" NFT_SET_PEER4 " counter drop"
	                " comment \"%s from a host that is not a node\"\n",
	                protocol, weft_addr_str(local, text), what);
}

static void encap_rule(struct weft_buf *b, const char *dev, const char *family, const struct weft_addr *addr)
{
	char text[WEFT_ADDR_STR];

	if (!weft_addr_is_set(addr))
		return;
	weft_addr_str(addr, text);
	weft_buf_printf(b,
	                "\t\toifname \"%s\" fib saddr type local %s saddr != %s snat %s to %s fully-random"
	                " comment \"own traffic leaves with the address of the tunnel\"\n",
	                dev, family, text, family, text);
}

static void add_elements(struct weft_buf *b, const struct nft_peer *peers)
{
	const struct nft_peer *p;
	char text[WEFT_ADDR_STR];
	bool any = false;

	for (p = peers; p; p = p->hh.next) {
		if (!p->wanted)
			continue;
		weft_buf_printf(b, "%s%s", any ? ", " : "\t\telements = { ", weft_addr_str(&p->addr, text));
		any = true;
	}
	if (any)
		weft_buf_str(b, " }\n");
}

void nft_text_table(struct weft_buf *b, const struct nft_shape *shape, const struct nft_peer *peers)
{
	weft_buf_str(b, "add table " TABLE "\ndelete table " TABLE "\n"
	                "table " TABLE " {\n"
	                "\tcomment \"made by weftd, do not edit: changes are undone\"\n"
	                "\tset " NFT_SET_PEER4 " {\n"
	                "\t\ttype ipv4_addr\n"
	                "\t\tcomment \"addresses of the cluster's nodes\"\n");
	add_elements(b, peers);
	weft_buf_str(b, "\t}\n"
	                "\tchain decap {\n"
	                "\t\tcomment \"tunnelled packets come from nodes only\"\n"
	                "\t\ttype filter hook input priority filter - 5; policy accept;\n");
	if (shape->ipip)
		decap_rule(b, IPPROTO_IPIP, &shape->local, "IP in IP");
	if (shape->sit)
		decap_rule(b, IPPROTO_IPV6, &shape->local, "IPv6 in IP");
	weft_buf_str(b, "\t}\n"
	                "\tchain encap {\n"
	                "\t\tcomment \"source address of what enters a tunnel\"\n"
	                "\t\ttype nat hook postrouting priority srcnat; policy accept;\n");
	encap_rule(b, WEFT_DEV_IPIP, "ip", &shape->tunnel4);
	encap_rule(b, WEFT_DEV_SIT, "ip6", &shape->tunnel6);
	weft_buf_str(b, "\t}\n}\n");
}

static void change(struct weft_buf *b, const struct nft_peer *changes, bool wanted)
{
	const struct nft_peer *p;
	char text[WEFT_ADDR_STR];
	bool any = false;

	DL_FOREACH (changes, p) {
		if (p->wanted != wanted)
			continue;
		if (!any)
			weft_buf_printf(b, "%s element " TABLE " " NFT_SET_PEER4 " { ",
			                wanted ? "add" : "delete");
		weft_buf_printf(b, "%s%s", any ? ", " : "", weft_addr_str(&p->addr, text));
		any = true;
	}
	if (any)
		weft_buf_str(b, " }\n");
}

void nft_text_changes(struct weft_buf *b, const struct nft_peer *changes)
{
	change(b, changes, false);
	change(b, changes, true);
}

static bool present(const char *text, const struct nft_peer *peers)
{
	struct nft_peer *p;
	struct weft_addr a;

	if (weft_addr_parse(text, &a, NULL))
		return false;
	HASH_FIND(hh, (struct nft_peer *)peers, &a, sizeof(a), p);
	return p && p->present;
}

bool nft_text_same_peers(const char *listing, const struct nft_peer *peers)
{
	const char *at = strstr(listing, "elements = {");
	size_t found = 0, expected = 0;
	char *copy, *save = NULL;
	bool same = true;

	for (const struct nft_peer *p = peers; p; p = p->hh.next)
		expected += p->present;
	if (!at)
		return expected == 0;
	copy = strdup(at + strlen("elements = {"));
	if (!copy)
		return false;
	copy[strcspn(copy, "}")] = '\0';
	for (char *t = strtok_r(copy, ", \t\n", &save); t && same; t = strtok_r(NULL, ", \t\n", &save)) {
		same = present(t, peers);
		found++;
	}
	free(copy);
	return same && found == expected;
}
