// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Elements of the sets of `inet weft`: nft_private.h.
 *
 * An element is kept while somebody wants it or the kernel has it. nft_element_place() compares the two and
 * puts it on the list of dirty elements exactly while they differ, so that what was wanted and unwanted again
 * costs nothing, and a transaction costs its own elements. Keys come from the cluster's users: the table of
 * elements is hashed with a secret.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/nft_private.h"

void *nft_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

unsigned nft_hash(const struct nft_elements *els, const void *data, size_t len)
{
	unsigned char out[crypto_shorthash_BYTES];
	unsigned value;

	crypto_shorthash(out, data, len, els->key);
	memcpy(&value, out, sizeof(value));
	return value;
}

void nft_elements_init(struct nft_elements *els)
{
	*els = (struct nft_elements){0};
	if (sodium_init() < 0)
		abort();
	crypto_shorthash_keygen(els->key);
}

static void drop(struct nft_elements *els, struct nft_element *p)
{
	if (p->dirty)
		DL_DELETE(els->dirty, p);
	if (p->group)
		nft_sources_del(els, p);
	HASH_DEL(els->all, p);
	free(p);
}

void nft_elements_free(struct nft_elements *els)
{
	struct nft_element *p, *tmp;

	HASH_ITER (hh, els->all, p, tmp)
		drop(els, p);
}

static bool valid_source(const struct svc_element *e, bool has)
{
	struct weft_prefix canonical = weft_prefix_mask(&e->source.addr, e->source.len);

	if (!has)
		return !weft_addr_is_set(&e->source.addr) && e->source.len == 0;
	return e->source.addr.family == e->addr.family && e->source.len <= weft_addr_bits(e->addr.family) &&
	       weft_prefix_cmp(&canonical, &e->source) == 0;
}

/* One element that the kernel refuses would fail the whole transaction: nothing else gets here. */
static bool valid(const struct svc_element *e)
{
	bool protocol = e->proto == IPPROTO_TCP || e->proto == IPPROTO_UDP || e->proto == IPPROTO_SCTP;
	unsigned fields;

	if (e->set >= NFT_KINDS || weft_addr_size(e->addr.family) == 0)
		return false;
	fields = nft_kinds[e->set].fields;
	if (e->addr.family == AF_INET6 && (fields & NFT_IP4_ONLY))
		return false;
	if (fields & NFT_PORT ? !protocol || !e->port : e->proto || e->port)
		return false;
	return valid_source(e, fields & NFT_SOURCE);
}

struct nft_element *nft_elements_find(const struct nft_elements *els, const struct svc_element *e)
{
	unsigned hash = nft_hash(els, e, SVC_ELEMENT_KEY);
	struct nft_element *p;

	HASH_FIND_BYHASHVALUE(hh, els->all, e, SVC_ELEMENT_KEY, hash, p);
	return p;
}

static struct nft_element *get(struct nft_elements *els, const struct svc_element *e)
{
	struct nft_element *p = nft_elements_find(els, e);
	unsigned hash = nft_hash(els, e, SVC_ELEMENT_KEY);

	if (p)
		return p;
	p = nft_alloc(sizeof(*p));
	memcpy(&p->e, e, sizeof(p->e)); /* with its padding, which is part of the key */
	HASH_ADD_BYHASHVALUE(hh, els->all, e, SVC_ELEMENT_KEY, hash, p);
	if (e->set == SVC_SET_SOURCE)
		nft_sources_add(els, p);
	return p;
}

bool nft_element_alive(const struct nft_elements *els, const struct nft_element *p)
{
	return p->owners || (p->stale && !els->swept);
}

bool nft_element_target(const struct nft_elements *els, const struct nft_element *p)
{
	return nft_element_alive(els, p) && !p->covered && nft_set_exists(nft_set_of(&p->e), els->services);
}

void nft_element_place(struct nft_elements *els, struct nft_element *p)
{
	bool target = nft_element_target(els, p);
	bool writable = nft_set_exists(nft_set_of(&p->e), els->services);
	bool differs = writable && (target != p->present || (target && p->run_mark != p->e.mark));

	if (differs && !p->dirty)
		DL_APPEND(els->dirty, p);
	else if (!differs && p->dirty)
		DL_DELETE(els->dirty, p);
	p->dirty = differs;
	if (!nft_element_alive(els, p) && !p->present)
		drop(els, p);
}

static void count(struct nft_elements *els, const struct nft_element *p, int by)
{
	if (p->e.set == NFT_SET_PEER)
		els->peers += (size_t)by;
	else
		els->wanted += (size_t)by;
}

/* After its owners, its presence or its mark changed. */
static void changed(struct nft_elements *els, struct nft_element *p)
{
	if (p->group)
		nft_sources_changed(els, p); /* placed with the rest of its group */
	else
		nft_element_place(els, p);
}

void nft_elements_want(struct nft_elements *els, const struct svc_element *e)
{
	struct nft_element *p;

	if (!valid(e))
		return;
	p = get(els, e);
	if (!p->owners++)
		count(els, p, 1);
	p->stale = false;
	p->e.mark = nft_kinds[e->set].fields & NFT_MARK ? e->mark : 0;
	changed(els, p);
}

void nft_elements_unwant(struct nft_elements *els, const struct svc_element *e)
{
	struct nft_element *p = nft_elements_find(els, e);

	if (!p || !p->owners)
		return;
	if (!--p->owners)
		count(els, p, -1);
	changed(els, p);
}

static void changed_all(struct nft_elements *els)
{
	struct nft_element *p, *tmp;

	HASH_ITER (hh, els->all, p, tmp)
		changed(els, p);
	nft_sources_settle(els);
}

void nft_elements_services(struct nft_elements *els, bool services)
{
	if (els->services == services)
		return;
	els->services = services;
	changed_all(els);
}

void nft_elements_sweep(struct nft_elements *els)
{
	if (els->swept)
		return;
	els->swept = true;
	changed_all(els);
}

void nft_elements_settle(struct nft_elements *els)
{
	nft_sources_settle(els);
}

bool nft_elements_maybe_dirty(const struct nft_elements *els)
{
	return els->dirty || els->unsorted;
}

static void written(struct nft_elements *els, struct nft_element *p)
{
	p->present = nft_element_target(els, p);
	p->run_mark = p->e.mark;
	nft_element_place(els, p);
}

void nft_elements_written(struct nft_elements *els)
{
	struct nft_element *p, *tmp;

	DL_FOREACH_SAFE(els->dirty, p, tmp)
	written(els, p);
}

void nft_elements_replaced(struct nft_elements *els)
{
	struct nft_element *p, *tmp;

	HASH_ITER (hh, els->all, p, tmp)
		written(els, p);
}

void nft_elements_read_begin(struct nft_elements *els)
{
	for (struct nft_element *p = els->all; p; p = p->hh.next)
		p->seen = false;
}

void nft_elements_found(struct nft_elements *els, const struct svc_element *e, bool first)
{
	struct nft_element *p = get(els, e);

	p->seen = true;
	p->run_mark = e->mark;
	if (first && !p->owners)
		p->stale = true;
}

void nft_elements_read_end(struct nft_elements *els)
{
	struct nft_element *p, *tmp;

	HASH_ITER (hh, els->all, p, tmp) {
		p->present = p->seen;
		if (!p->present)
			p->stale = false;
		changed(els, p);
	}
	nft_sources_settle(els);
}
