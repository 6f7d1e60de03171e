// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The nftables table: nft.h.
 *
 * Rules are compared as text. `want` is the digest of the text that we would write, `made` says which text
 * the table was made of and what the kernel listed then. So the table is replaced when want differs from
 * made, or when a later listing does; elements are compared one by one, and only their differences are
 * written. At a restart `made` comes from the record, and the first reading tells what is there.
 *
 * Events of our own transactions are in the watch's buffer when the transaction returns (nf_tables notifies
 * before it answers), so they are drained then and everything later is somebody else's.
 */
#include "agent/apply/nft.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft_private.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#define PAUSE_MS     500 /* between readings or replacements, when somebody fights us */
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define RECORD_MAX   1024
#define DIGEST_HEX   64

struct digest {
	char hex[DIGEST_HEX + 1];
};

struct nft {
	struct nft_ctx *ctx;
	struct nft_watch *watch;
	char *record;
	struct nft_shape shape;
	struct nft_elements els;
	struct digest want; /* text of the shape; "" = nothing is wanted yet */
	struct {
		struct digest text, listing;
	} made;
	bool loaded;     /* the table was read once: left-overs are known */
	bool altered;    /* its rules are not what we made */
	bool suspicious; /* somebody touched it: read it back */
	uint64_t not_before;
	unsigned failures;
	struct nft_stats stats;
};

static struct digest digest_of(const char *text)
{
	unsigned char hash[DIGEST_HEX / 2];
	struct digest d;

	crypto_generichash(hash, sizeof(hash), (const unsigned char *)text, strlen(text), NULL, 0);
	sodium_bin2hex(d.hex, sizeof(d.hex), hash, sizeof(hash));
	return d;
}

static bool same(const struct digest *a, const struct digest *b)
{
	return strcmp(a->hex, b->hex) == 0;
}

static bool must_replace(const struct nft *n)
{
	return n->altered || !same(&n->want, &n->made.text);
}

/* Without a record, or with one that can't be read, the rules are written anew; elements stay all the same.
 */
static void read_record(struct nft *n)
{
	weft_autofree char *data = NULL;

	if (weft_file_read(n->record, RECORD_MAX, &data, NULL, NULL) ||
	    sscanf(data, "text %64[0-9a-f]\nlisting %64[0-9a-f]", n->made.text.hex, n->made.listing.hex) != 2)
		memset(&n->made, 0, sizeof(n->made));
}

/* A record that is not written costs the next life one replacement, and nothing else. */
static void write_record(const struct nft *n)
{
	struct weft_err err = WEFT_ERR_INIT;
	char text[RECORD_MAX];
	int len;

	if (!n->record)
		return;
	len = snprintf(text, sizeof(text), "text %s\nlisting %s\n", n->made.text.hex, n->made.listing.hex);
	if (weft_file_replace(n->record, text, (size_t)len, 0600, &err) < 0)
		log_warning("a restart will replace the table " NFT_TABLE ": %s", err.text);
}

struct nft *nft_new(const char *record, struct weft_err *err)
{
	struct nft *n = nft_alloc(sizeof(*n));

	nft_elements_init(&n->els);
	n->ctx = nft_context(err);
	if (n->ctx)
		n->watch = nft_watch_open(err);
	if (!n->ctx || !n->watch) {
		nft_free(n);
		return NULL;
	}
	if (record) {
		n->record = strdup(record);
		if (!n->record)
			abort();
		read_record(n);
	}
	return n;
}

void nft_free(struct nft *n)
{
	if (!n)
		return;
	nft_elements_free(&n->els);
	if (n->ctx)
		nft_ctx_free(n->ctx);
	nft_watch_close(n->watch);
	free(n->record);
	free(n);
}

void nft_want(struct nft *n, const struct nft_shape *shape)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	nft_text_table(&b, shape, NULL);
	if (b.failed)
		abort();
	n->shape = *shape;
	n->want = digest_of(weft_buf_text(&b));
	nft_elements_services(&n->els, shape->services);
}

static struct svc_element peer_element(const struct weft_addr *ip4)
{
	struct svc_element e;

	memset(&e, 0, sizeof(e));
	e.set = NFT_SET_PEER;
	e.addr = *ip4;
	return e;
}

/* A peer has one owner, however often it is said. */
static bool is_wanted(const struct nft *n, const struct svc_element *e)
{
	const struct nft_element *p = nft_elements_find(&n->els, e);

	return p && p->owners;
}

void nft_want_peer(struct nft *n, const struct weft_addr *ip4)
{
	struct svc_element e = peer_element(ip4);

	if (!is_wanted(n, &e))
		nft_elements_want(&n->els, &e);
}

void nft_unwant_peer(struct nft *n, const struct weft_addr *ip4)
{
	struct svc_element e = peer_element(ip4);

	nft_elements_unwant(&n->els, &e);
}

void nft_want_element(struct nft *n, const struct svc_element *e)
{
	if (e->set < SVC_SET_COUNT)
		nft_elements_want(&n->els, e);
}

void nft_unwant_element(struct nft *n, const struct svc_element *e)
{
	if (e->set < SVC_SET_COUNT)
		nft_elements_unwant(&n->els, e);
}

void nft_sweep(struct nft *n)
{
	nft_elements_sweep(&n->els);
}

static int replace(struct nft *n, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};
	weft_autofree char *listing = NULL;
	int rc;

	nft_text_table(&b, &n->shape, &n->els);
	if (b.failed)
		return weft_err_errno(err, ENOMEM, "nftables");
	rc = nft_run(n->ctx, weft_buf_text(&b), err);
	if (rc)
		return weft_err_wrap(err, "table " NFT_TABLE), rc;
	nft_elements_replaced(&n->els);
	n->stats.replacements++;
	(void)nft_watch_read(n->watch);
	n->altered = false;
	n->made.text = n->want;
	rc = nft_list_table(true, &listing, err);
	n->made.listing = digest_of(listing ? listing : "");
	n->suspicious = listing == NULL;
	if (rc)
		return weft_err_wrap(err, "reading back the table " NFT_TABLE), rc;
	write_record(n);
	return 0;
}

static int write_changes(struct nft *n, struct weft_err *err)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};
	int rc;

	nft_text_changes(&b, &n->els);
	if (b.failed)
		return weft_err_errno(err, ENOMEM, "nftables");
	rc = nft_run(n->ctx, weft_buf_text(&b), err);
	if (rc) {
		n->altered = true; /* the sets are not what we took them for */
		return weft_err_wrap(err, "sets of the table " NFT_TABLE), rc;
	}
	n->stats.element_updates++;
	nft_elements_written(&n->els);
	(void)nft_watch_read(n->watch);
	return 0;
}

static int read_back(struct nft *n, struct weft_err *err)
{
	weft_autofree char *listing = NULL;
	struct digest d;
	bool understood;
	int rc;

	bool clean = n->loaded && !must_replace(n) && !nft_elements_maybe_dirty(&n->els);

	n->stats.readbacks += n->loaded;
	rc = nft_list_table(false, &listing, err);
	if (rc)
		return weft_err_wrap(err, "reading the table " NFT_TABLE), rc;
	nft_elements_read_begin(&n->els);
	understood = !listing || nft_listing_read(listing, &n->els, !n->loaded);
	nft_elements_read_end(&n->els);
	d = digest_of(listing ? listing : "");
	n->altered = !understood || !same(&d, &n->made.listing);
	n->loaded = true;
	n->suspicious = false;
	n->stats.repairs += clean && (must_replace(n) || nft_elements_maybe_dirty(&n->els));
	return 0;
}

int nft_resync(struct nft *n, struct weft_err *err)
{
	(void)nft_watch_read(n->watch);
	n->suspicious = false;
	return n->loaded && !must_replace(n) ? read_back(n, err) : 0;
}

static int converge(struct nft *n, uint64_t now, struct weft_err *err)
{
	int rc;

	nft_on_readable(n);
	if (!n->loaded || (n->suspicious && !must_replace(n))) {
		n->not_before = now + PAUSE_MS;
		rc = read_back(n, err);
		if (rc)
			return rc;
	}
	nft_elements_settle(&n->els);
	if (!must_replace(n))
		return n->els.dirty ? write_changes(n, err) : 0;
	rc = replace(n, err);
	n->not_before = now + PAUSE_MS;
	return rc;
}

static bool waits(const struct nft *n)
{
	return n->failures || n->suspicious || must_replace(n);
}

int nft_apply(struct nft *n, uint64_t now, struct weft_err *err)
{
	uint64_t delay;
	int rc;

	if (!n->want.hex[0] || (now < n->not_before && waits(n)))
		return 0;
	rc = converge(n, now, err);
	if (rc == 0) {
		n->failures = 0;
		return 0;
	}
	delay = n->failures < 6 ? (uint64_t)RETRY_MIN_MS << n->failures : RETRY_MAX_MS;
	n->failures++;
	n->stats.failures++;
	n->not_before = now + (delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS);
	return rc;
}

bool nft_settled(const struct nft *n)
{
	return n->want.hex[0] && n->loaded && !n->failures && !n->suspicious && !must_replace(n) &&
	       !nft_elements_maybe_dirty(&n->els);
}

uint64_t nft_deadline(const struct nft *n)
{
	if (!n->want.hex[0] || nft_settled(n))
		return NFT_NEVER;
	return waits(n) ? n->not_before : 0;
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

	s.peers = n->els.peers;
	s.elements = n->els.wanted;
	return s;
}

int nft_foreign_input_drop(struct nft *n, char text[256], struct weft_err *err)
{
	weft_autofree char *listing = NULL;
	char table[64], chain[64];
	int rc = nft_list_chains(&listing, err);

	(void)n;
	text[0] = '\0';
	if (rc)
		return weft_err_wrap(err, "looking for other firewalls"), rc;
	if (!nft_listing_input_drop(listing, table, chain))
		return 0;
	snprintf(text, 256,
	         "the chain %s of the nftables table %s drops incoming packets by default: what it does not "
	         "accept reaches no Service; accept service addresses and node ports there",
	         chain, table);
	weft_text_clean(text);
	return 0;
}

int nft_cleanup(struct weft_err *err)
{
	struct nft_ctx *ctx = nft_context(err);
	int rc;

	if (!ctx)
		return -EIO;
	rc = nft_run(ctx, "add table " NFT_TABLE "\ndelete table " NFT_TABLE "\n", err);
	nft_ctx_free(ctx);
	return rc;
}
