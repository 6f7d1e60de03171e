// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/nft_query.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft_private.h"
#include "weft/cleanup.h"

static void put_key(struct weft_buf *b, const struct svc_element *e)
{
	unsigned fields = nft_kinds[e->set].fields;
	char addr[WEFT_ADDR_STR], source[WEFT_ADDR_STR];

	weft_addr_str(&e->addr, addr);
	weft_buf_str(b, addr);
	if (fields & NFT_PORT)
		weft_buf_printf(b, " . %u . %u", e->proto, e->port);
	if (fields & NFT_SOURCE)
		weft_buf_printf(b, " . %s", weft_addr_str(&e->source.addr, source));
	if (fields & NFT_ITSELF)
		weft_buf_printf(b, " . %s", addr);
}

/* The number behind the element's colon in a listing; IPv6 addresses have colons without blanks. */
static int take_mark(const char *listing, struct svc_element *e, struct weft_err *err)
{
	const char *open = strstr(listing, "elements = {"), *colon = open ? strstr(open, " : ") : NULL;

	if (!colon)
		return weft_err_set(err, EBADMSG, "nftables: an element of map %s has no mark",
		                    nft_kinds[e->set].name);
	e->mark = (uint32_t)strtoul(colon + 3, NULL, 0);
	return 1;
}

/* libnftables has no code for "no such element", and its text is the same for a set that isn't there. */
static int find_set(struct nft_ctx *ctx, const struct svc_element *e, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_TERSE);
	weft_buf_printf(&b, "list %s " NFT_TABLE " %s%c", nft_kinds[e->set].fields & NFT_MARK ? "map" : "set",
	                nft_kinds[e->set].name, e->addr.family == AF_INET6 ? '6' : '4');
	return nft_run(ctx, weft_buf_text(&b), err);
}

static int query(struct nft_ctx *ctx, struct svc_element *e, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_NUMERIC_ALL);
	weft_buf_printf(&b, "get element " NFT_TABLE " %s%c { ", nft_kinds[e->set].name,
	                e->addr.family == AF_INET6 ? '6' : '4');
	put_key(&b, e);
	weft_buf_str(&b, " }");
	if (nft_run(ctx, weft_buf_text(&b), NULL) < 0)
		return find_set(ctx, e, err);
	if (nft_kinds[e->set].fields & NFT_MARK)
		return take_mark(nft_ctx_get_output_buffer(ctx), e, err);
	return 1;
}

int nft_query(struct svc_element *e, struct weft_err *err)
{
	struct nft_ctx *ctx = nft_context(err);
	int rc;

	if (!ctx)
		return -EIO;
	rc = query(ctx, e, err);
	nft_ctx_free(ctx);
	return rc;
}
