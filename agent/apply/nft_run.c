// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libnftables: nft_private.h.
 *
 * A listing has a context of its own, because a context keeps all that it ever read: the elements of big
 * sets would stay in memory for nothing.
 */
#include <errno.h>
#include <malloc.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft_private.h"
#include "weft/cleanup.h"

#define TRIM_ABOVE (256 * 1024) /* bytes of text: worth giving back to the system */

struct nft_ctx *nft_context(struct weft_err *err)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!ctx || nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx)) {
		weft_err_set(err, EIO, "libnftables can't be used");
		if (ctx)
			nft_ctx_free(ctx);
		return NULL;
	}
	return ctx;
}

static void give_back(const char *text)
{
	if (text && strlen(text) > TRIM_ABOVE)
		malloc_trim(0);
}

/* The first line of what libnftables says is the error; it has no codes. -ENOENT: what is named isn't there.
 */
int nft_run(struct nft_ctx *ctx, const char *text, struct weft_err *err)
{
	const char *said;
	int code;

	if (nft_run_cmd_from_buffer(ctx, text) == 0) {
		give_back(text);
		return 0;
	}
	said = nft_ctx_get_error_buffer(ctx);
	code = strstr(said, "Error: No such file or directory") ? ENOENT : EIO;
	return weft_err_set(err, code, "nftables: %.*s", (int)strcspn(said, "\n"), said);
}

static int list(struct nft_ctx *ctx, const char *command, unsigned flags, char **out, struct weft_err *err)
{
	int rc;

	nft_ctx_output_set_flags(ctx, flags);
	rc = nft_run(ctx, command, err);
	if (rc)
		return rc;
	*out = strdup(nft_ctx_get_output_buffer(ctx));
	return *out ? 0 : weft_err_errno(err, ENOMEM, "nftables");
}

/* Asked for by name: to list the names of all tables, libnftables reads all that is in them. */
int nft_list_table(bool terse, char **out, struct weft_err *err)
{
	struct nft_ctx *ctx = nft_context(err);
	unsigned flags = NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_ALL;
	struct weft_err said = WEFT_ERR_INIT;
	int rc;

	if (!ctx)
		return -EIO;
	rc = list(ctx, "list table " NFT_TABLE, terse ? flags | NFT_CTX_OUTPUT_TERSE : flags, out, &said);
	if (rc == -ENOENT)
		rc = 0;
	else if (rc && err)
		*err = said;
	nft_ctx_free(ctx);
	give_back(*out);
	return rc;
}

int nft_list_chains(char **out, struct weft_err *err)
{
	struct nft_ctx *ctx = nft_context(err);
	int rc;

	if (!ctx)
		return -EIO;
	rc = list(ctx, "list chains", 0, out, err);
	nft_ctx_free(ctx);
	return rc;
}
