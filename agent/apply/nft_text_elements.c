// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets and elements of `inet weft` in the language of nft(8): nft_private.h. Numbers and addresses are
 * reprinted from their bytes. An element has a line of its own, because libnftables quotes the line of an
 * error.
 *
 * None but the source ranges is an interval set: libnftables reads all elements of those before it adds one.
 */
#include <string.h>
#include <utlist.h>

#include "agent/apply/nft_private.h"

const struct nft_kind nft_kinds[NFT_KINDS] = {
        [SVC_SET_VIP] = {"vip", 0, "service addresses outside the service CIDRs"},
        [SVC_SET_MASQ] = {"masq", NFT_PORT, "from outside: the backend sees this node's address"},
        [SVC_SET_ETPL] = {"etpl", NFT_PORT | NFT_MARK,
                          "externalTrafficPolicy Local: the IPVS service with all endpoints, for this node"},
        [SVC_SET_DROP] = {"drop", NFT_PORT, "policy Local without an endpoint on this node"},
        [SVC_SET_REFUSE] = {"refuse", NFT_PORT, "node ports without any endpoint"},
        [SVC_SET_RANGED] = {"ranged", NFT_PORT, "open to the ranges in the set source only"},
        [SVC_SET_SOURCE] = {"source", NFT_PORT | NFT_SOURCE, "loadBalancerSourceRanges"},
        [SVC_SET_HAIRPIN] = {"hairpin", NFT_ITSELF, "endpoints on this node, which may reach themselves"},
        [NFT_SET_PEER] = {"peer", NFT_IP4_ONLY, "addresses of the cluster's nodes"},
};

static void element(struct weft_buf *b, const struct svc_element *e, bool value)
{
	unsigned fields = nft_kinds[e->set].fields;
	char addr[WEFT_ADDR_STR], prefix[WEFT_PREFIX_STR];

	weft_addr_str(&e->addr, addr);
	weft_buf_str(b, addr);
	if (fields & NFT_PORT)
		weft_buf_printf(b, " . %u . %u", e->proto, e->port);
	if (fields & NFT_SOURCE)
		weft_buf_printf(b, " . %s", weft_prefix_str(&e->source, prefix));
	if (fields & NFT_ITSELF)
		weft_buf_printf(b, " . %s", addr);
	if (value && (fields & NFT_MARK))
		weft_buf_printf(b, " : 0x%08x", e->mark);
}

static void append(struct weft_buf *b, const char *head, const struct svc_element *e, bool value)
{
	weft_buf_str(b, b->len ? ",\n" : head);
	element(b, e, value);
}

/* The finished parts of b, one for each set, in the order of the sets. */
static void close_parts(struct weft_buf *b, struct weft_buf *parts)
{
	for (unsigned set = 0; set < NFT_SETS; set++) {
		if (parts[set].len) {
			weft_buf_add(b, parts[set].data, parts[set].len);
			weft_buf_str(b, " }\n");
		}
		b->failed = b->failed || parts[set].failed;
		weft_buf_free(&parts[set]);
	}
}

void nft_text_changes(struct weft_buf *b, const struct nft_elements *els)
{
	struct weft_buf del[NFT_SETS] = {0}, add[NFT_SETS] = {0};
	const struct nft_element *p;

	DL_FOREACH (els->dirty, p) {
		unsigned set = nft_set_of(&p->e);
		const char *name = nft_kinds[p->e.set].name;
		char head[64];

		snprintf(head, sizeof(head), "delete element " NFT_TABLE " %s%c {\n", name,
		         set % 2 ? '6' : '4');
		if (p->present)
			append(&del[set], head, &p->e, false);
		snprintf(head, sizeof(head), "add element " NFT_TABLE " %s%c {\n", name, set % 2 ? '6' : '4');
		if (nft_element_target(els, p))
			append(&add[set], head, &p->e, true);
	}
	close_parts(b, del);
	close_parts(b, add);
}

static void set_head(struct weft_buf *b, unsigned set)
{
	const struct nft_kind *kind = &nft_kinds[set / 2];
	const char *family = set % 2 ? "ipv6_addr" : "ipv4_addr";

	weft_buf_printf(b, "\t%s %s%c {\n\t\ttype %s", kind->fields & NFT_MARK ? "map" : "set", kind->name,
	                set % 2 ? '6' : '4', family);
	if (kind->fields & NFT_PORT)
		weft_buf_str(b, " . inet_proto . inet_service");
	if (kind->fields & (NFT_SOURCE | NFT_ITSELF))
		weft_buf_printf(b, " . %s", family);
	if (kind->fields & NFT_MARK)
		weft_buf_str(b, " : mark");
	weft_buf_printf(b, "%s\n\t\tcomment \"%s\"\n",
	                kind->fields & NFT_SOURCE ? "\n\t\tflags interval" : "", kind->comment);
}

void nft_text_sets(struct weft_buf *b, bool services, const struct nft_elements *els)
{
	struct weft_buf parts[NFT_SETS] = {0};

	for (const struct nft_element *p = els ? els->all : NULL; p; p = p->hh.next)
		if (nft_element_target(els, p))
			append(&parts[nft_set_of(&p->e)], "\t\telements = {\n", &p->e, true);
	/* The nodes first: with the tunnels, they are what there is without Services. */
	for (unsigned i = 0; i < NFT_SETS; i++) {
		unsigned set = (i + 2 * NFT_SET_PEER) % NFT_SETS;

		if (nft_set_exists(set, services)) {
			set_head(b, set);
			if (parts[set].len) {
				weft_buf_add(b, parts[set].data, parts[set].len);
				weft_buf_str(b, " }\n");
			}
			weft_buf_str(b, "\t}\n");
		}
		b->failed = b->failed || parts[set].failed;
		weft_buf_free(&parts[set]);
	}
}
