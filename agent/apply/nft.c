// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The nftables table: nft.h.
 *
 * What the kernel made of our text is listed right after each replacement and kept; a later listing that
 * differs means that somebody altered the table. Elements are compared as a set, because they change without
 * a replacement. Events of our own transactions are in the watch's buffer when the transaction returns
 * (nf_tables notifies before it answers), so they are drained then and everything later is somebody else's.
 */
#include "agent/apply/nft.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/nft_private.h"
#include "weft/cleanup.h"
#include "weft/marks.h"

#define TABLE            "inet " WEFT_NFT_TABLE
#define REPLACE_PAUSE_MS 500 /* between replacements, when somebody fights us */
#define RETRY_MIN_MS     1000
#define RETRY_MAX_MS     60000

struct nft {
	struct nft_ctx *ctx;
	struct nft_watch *watch;
	struct nft_shape shape;
	bool wanted;     /* a shape was given */
	bool replace;    /* the whole table is to be written */
	bool suspicious; /* somebody touched the table: read it back */
	struct nft_peer *peers, *changes;
	char *listing; /* of the table without elements, right after we wrote it */
	uint64_t not_before;
	unsigned failures;
	struct nft_stats stats;
};

static struct nft_ctx *context(struct weft_err *err)
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

struct nft *nft_new(struct weft_err *err)
{
	struct nft *n = calloc(1, sizeof(*n));

	if (!n) {
		weft_err_errno(err, ENOMEM, "nftables");
		return NULL;
	}
	n->ctx = context(err);
	if (n->ctx)
		n->watch = nft_watch_open(err);
	if (!n->ctx || !n->watch) {
		nft_free(n);
		return NULL;
	}
	n->replace = true;
	return n;
}

static void drop_peer(struct nft *n, struct nft_peer *p)
{
	HASH_DEL(n->peers, p);
	free(p);
}

void nft_free(struct nft *n)
{
	struct nft_peer *p, *tmp;

	if (!n)
		return;
	HASH_ITER (hh, n->peers, p, tmp)
		drop_peer(n, p);
	if (n->ctx)
		nft_ctx_free(n->ctx);
	nft_watch_close(n->watch);
	free(n->listing);
	free(n);
}

static bool same_shape(const struct nft_shape *a, const struct nft_shape *b)
{
	return a->ipip == b->ipip && a->sit == b->sit && weft_addr_cmp(&a->local, &b->local) == 0 &&
	       weft_addr_cmp(&a->tunnel4, &b->tunnel4) == 0 && weft_addr_cmp(&a->tunnel6, &b->tunnel6) == 0;
}

void nft_want(struct nft *n, const struct nft_shape *shape)
{
	if (n->wanted && same_shape(&n->shape, shape))
		return;
	n->wanted = true;
	n->replace = true;
	n->shape = *shape;
}

/* In the list of changes exactly when wanted and present differ; gone when neither holds. */
static void settle(struct nft *n, struct nft_peer *p, bool was_listed)
{
	bool listed = p->wanted != p->present;

	if (was_listed && !listed)
		DL_DELETE(n->changes, p);
	else if (!was_listed && listed)
		DL_APPEND(n->changes, p);
	if (!p->wanted && !p->present)
		drop_peer(n, p);
}

void nft_want_peer(struct nft *n, const struct weft_addr *ip4)
{
	struct nft_peer *p;
	bool listed;

	if (ip4->family != AF_INET)
		return;
	HASH_FIND(hh, n->peers, ip4, sizeof(*ip4), p);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p) {
			n->replace = true;
			return;
		}
		p->addr = *ip4;
		HASH_ADD(hh, n->peers, addr, sizeof(p->addr), p);
	}
	listed = p->wanted != p->present;
	p->wanted = true;
	settle(n, p, listed);
}

void nft_unwant_peer(struct nft *n, const struct weft_addr *ip4)
{
	struct nft_peer *p;
	bool listed;

	HASH_FIND(hh, n->peers, ip4, sizeof(*ip4), p);
	if (!p)
		return;
	listed = p->wanted != p->present;
	p->wanted = false;
	settle(n, p, listed);
}

/* Run one transaction. The first line of what libnftables says is the error. */
static int run(struct nft_ctx *ctx, const char *text, struct weft_err *err)
{
	const char *said;

	if (nft_run_cmd_from_buffer(ctx, text) == 0)
		return 0;
	said = nft_ctx_get_error_buffer(ctx);
	return weft_err_set(err, EIO, "nftables: %.*s", (int)strcspn(said, "\n"), said);
}

/* malloc'd; NULL: no such object, or no memory. */
static char *list(struct nft_ctx *ctx, const char *what, unsigned flags)
{
	nft_ctx_output_set_flags(ctx, flags);
	if (nft_run_cmd_from_buffer(ctx, what)) {
		(void)nft_ctx_get_error_buffer(ctx); /* it is not there: that is the answer */
		return NULL;
	}
	return strdup(nft_ctx_get_output_buffer(ctx));
}

static char *list_table(struct nft_ctx *ctx)
{
	return list(ctx, "list table " TABLE,
	            NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_NUMERIC_ALL);
}

/* After a transaction: the kernel has what we want. */
static void all_present(struct nft *n)
{
	struct nft_peer *p, *tmp;

	n->changes = NULL;
	HASH_ITER (hh, n->peers, p, tmp) {
		p->present = p->wanted;
		if (!p->wanted)
			drop_peer(n, p);
	}
}

static int replace(struct nft *n, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};
	int rc;

	nft_text_table(&b, &n->shape, n->peers);
	if (b.failed)
		return weft_err_errno(err, ENOMEM, "nftables");
	rc = run(n->ctx, weft_buf_text(&b), err);
	if (rc)
		return weft_err_wrap(err, "table " TABLE), rc;
	all_present(n);
	n->stats.replacements++;
	free(n->listing);
	n->listing = list_table(n->ctx);
	(void)nft_watch_read(n->watch);
	n->replace = false;
	n->suspicious = n->listing == NULL;
	return 0;
}

static int write_changes(struct nft *n, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};
	struct nft_peer *p, *tmp;
	int rc;

	nft_text_changes(&b, n->changes);
	if (b.failed)
		return weft_err_errno(err, ENOMEM, "nftables");
	rc = run(n->ctx, weft_buf_text(&b), err);
	if (rc) {
		n->replace = true; /* the set is not what we took it for */
		return weft_err_wrap(err, "set " TABLE " " NFT_SET_PEER4), rc;
	}
	n->stats.element_updates++;
	DL_FOREACH_SAFE(n->changes, p, tmp)
	{
		p->present = p->wanted;
		settle(n, p, true);
	}
	(void)nft_watch_read(n->watch);
	return 0;
}

int nft_resync(struct nft *n, struct weft_err *err)
{
	weft_autofree char *table = NULL, *set = NULL;

	(void)nft_watch_read(n->watch);
	n->suspicious = false;
	if (!n->wanted || n->replace)
		return 0;
	n->stats.readbacks++;
	table = list_table(n->ctx);
	set = list(n->ctx, "list set " TABLE " " NFT_SET_PEER4, NFT_CTX_OUTPUT_NUMERIC_ALL);
	if (!table || !set || !n->listing || strcmp(table, n->listing) != 0 ||
	    !nft_text_same_peers(set, n->peers))
		n->replace = true;
	return n->listing ? 0 : weft_err_set(err, ENOMEM, "table " TABLE " can't be read back");
}

static int converge(struct nft *n, uint64_t now, struct weft_err *err)
{
	int rc;

	nft_on_readable(n);
	if (n->suspicious) {
		rc = nft_resync(n, err);
		if (rc)
			return rc;
	}
	if (!n->replace)
		return n->changes ? write_changes(n, err) : 0;
	rc = replace(n, err);
	n->not_before = now + REPLACE_PAUSE_MS;
	return rc;
}

int nft_apply(struct nft *n, uint64_t now, struct weft_err *err)
{
	uint64_t delay;
	int rc;

	if (!n->wanted || (now < n->not_before && (n->failures || n->replace || n->suspicious)))
		return 0;
	rc = converge(n, now, err);
	if (rc == 0) {
		n->failures = 0;
		return 0;
	}
	delay = n->failures < 6 ? (uint64_t)RETRY_MIN_MS << n->failures : RETRY_MAX_MS;
	n->failures++;
	n->not_before = now + (delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS);
	return rc;
}

uint64_t nft_deadline(const struct nft *n)
{
	bool dirty = n->replace || n->suspicious || n->changes;

	return n->wanted && dirty ? n->not_before : NFT_NEVER;
}

int nft_fd(const struct nft *n)
{
	return nft_watch_fd(n->watch);
}

void nft_on_readable(struct nft *n)
{
	if (nft_watch_read(n->watch))
		n->suspicious = true;
}

struct nft_stats nft_stats(const struct nft *n)
{
	struct nft_stats s = n->stats;

	s.peers = HASH_COUNT(n->peers);
	return s;
}

int nft_cleanup(struct weft_err *err)
{
	struct nft_ctx *ctx = context(err);
	int rc;

	if (!ctx)
		return -EIO;
	rc = run(ctx, "add table " TABLE "\ndelete table " TABLE "\n", err);
	nft_ctx_free(ctx);
	return rc;
}
