// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/blocks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipam/pool.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

static const char *family_name(uint8_t family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

/* Why the pool gives this node no blocks; NULL = it does. */
static const char *unusable(const struct cluster_pool *p)
{
	if (p->spec->use != WEFT_USE_PODS)
		return "is not for Pods";
	if (p->spec->longest_block)
		return "gives each node the podCIDR of its Node, and no more";
	if (p->spec->disabled)
		return "is disabled";
	if (!p->selects_self)
		return "does not select this node";
	return p->refused ? "is refused" : NULL;
}

static bool pool_by_name(const struct cluster *c, const char *name, struct cluster_pool *out)
{
	for (size_t i = 0; cluster_pool_at(c, i, out); i++)
		if (!strcmp(out->name, name))
			return true;
	return false;
}

/* --- claim --- */

static bool taken(void *ctx, const struct weft_prefix *block)
{
	return cluster_block_taken(ctx, block);
}

/* A candidate from this pool, or why there is none. */
static int candidate(const struct cluster *c, const struct cluster_pool *p, struct blocks_action *out,
                     struct weft_err *err)
{
	struct weft_pool pool = {.name = p->name, .cidr = p->spec->cidr, .block_len = p->spec->block_size};
	const char *why = unusable(p);
	int r;

	if (why)
		return weft_err_set(err, ENOSPC, "IPPool %s %s", p->name, why);
	r = weft_pool_check(&pool, err);
	if (r < 0)
		return r;
	r = weft_pool_candidate(&pool, cluster_self_name(c), taken, (void *)c, &out->cidr, err);
	if (r < 0)
		return r;
	out->step = BLOCKS_CLAIM;
	snprintf(out->pool, sizeof(out->pool), "%s", p->name);
	return 0;
}

static void exhausted(struct blocks_action *out, const char *pool, const struct weft_buf *whys, bool fixed)
{
	out->step = BLOCKS_EXHAUSTED;
	if (whys->len)
		snprintf(out->text, sizeof(out->text), "no %s block can be claimed: %s. %s",
		         family_name(out->family), weft_buf_text(whys),
		         fixed ? "Free addresses: a node has as many pods as its podCIDR"
		               : "Add an IPPool, or free addresses");
	else if (pool)
		snprintf(out->text, sizeof(out->text), "no %s block can be claimed: there is no %s IPPool %s",
		         family_name(out->family), family_name(out->family), pool);
	else
		snprintf(out->text, sizeof(out->text), "no %s block can be claimed: there is no %s IPPool",
		         family_name(out->family), family_name(out->family));
}

void blocks_claim(const struct cluster *c, uint8_t family, const char *pool, struct blocks_action *out)
{
	weft_auto(weft_buf_free) struct weft_buf whys = {.max = 4096};
	struct cluster_pool p;
	bool fixed = false;

	*out = (struct blocks_action){.family = family};
	for (size_t i = 0; cluster_pool_at(c, i, &p); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		if (p.spec->cidr.addr.family != family || (pool && strcmp(pool, p.name)))
			continue;
		if (!candidate(c, &p, out, &err))
			return;
		weft_buf_printf(&whys, "%s%s", whys.len ? "; " : "", err.text);
		fixed |= p.spec->longest_block != 0;
	}
	exhausted(out, pool, &whys, fixed);
}

/* --- what we have --- */

struct stock {
	bool served;   /* some usable pool offers the family */
	uint64_t free; /* in blocks of usable pools */
};

/* Is this block of ours one that new pods may use? */
static bool block_usable(const struct cluster *c, const struct weft_prefix *cidr)
{
	struct cluster_block b;
	struct cluster_pool p;

	return cluster_block(c, cidr, &b) && b.own && b.state != CLUSTER_BLOCK_OUTSIDE &&
	       b.state != CLUSTER_BLOCK_OVERLAP && pool_by_name(c, b.pool_name, &p) && !unusable(&p);
}

static struct stock take_stock(const struct cluster *c, const struct blocks_own *own, size_t n_own,
                               uint8_t family)
{
	struct stock s = {0};
	struct cluster_pool p;

	for (size_t i = 0; cluster_pool_at(c, i, &p) && !s.served; i++)
		s.served = p.spec->cidr.addr.family == family && !unusable(&p);
	for (size_t i = 0; i < n_own; i++) {
		if (own[i].cidr.addr.family != family || !block_usable(c, &own[i].cidr))
			continue;
		s.free += own[i].free;
	}
	return s;
}

/* --- release --- */

static bool poolless(const struct cluster *c, const struct weft_prefix *cidr)
{
	struct cluster_block b;

	return cluster_block(c, cidr, &b) && b.own && b.state == CLUSTER_BLOCK_OUTSIDE;
}

/* Would the family do without this empty block? */
static bool spare(const struct cluster *c, const struct blocks_own *b, const struct stock *s,
                  const struct blocks_config *cfg)
{
	bool usable = block_usable(c, &b->cidr);
	uint64_t keep = cfg->spare ? cfg->spare : 1; /* so that the last one stays */

	return !b->used && (s->free - (usable ? b->free : 0) >= keep || poolless(c, &b->cidr));
}

static uint64_t due(const struct blocks_own *b, const struct blocks_config *cfg)
{
	return b->empty_since > UINT64_MAX - cfg->release_after ? UINT64_MAX
	                                                        : b->empty_since + cfg->release_after;
}

static void plan_release(const struct cluster *c, const struct blocks_own *own, size_t n_own,
                         const struct stock *stock, const struct blocks_config *cfg, uint64_t now,
                         struct blocks_action *out)
{
	const struct blocks_own *first = NULL;

	for (size_t i = 0; i < n_own; i++) {
		const struct blocks_own *b = &own[i];
		const struct stock *s = &stock[b->cidr.addr.family == AF_INET6];

		if (!spare(c, b, s, cfg))
			continue;
		if (!first || due(b, cfg) < due(first, cfg) ||
		    (due(b, cfg) == due(first, cfg) && weft_prefix_cmp(&b->cidr, &first->cidr) > 0))
			first = b;
	}
	if (!first)
		return;
	if (due(first, cfg) > now) {
		out->again_at = due(first, cfg);
		return;
	}
	out->step = BLOCKS_RELEASE;
	out->cidr = first->cidr;
	out->family = first->cidr.addr.family;
}

void blocks_plan(const struct cluster *c, const struct blocks_own *own, size_t n_own,
                 const struct blocks_config *cfg, uint64_t now, struct blocks_action *out)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct blocks_action full = {0};
	struct stock stock[2];

	for (size_t i = 0; i < 2; i++) {
		stock[i] = take_stock(c, own, n_own, families[i]);
		if (!stock[i].served || stock[i].free >= cfg->spare)
			continue;
		blocks_claim(c, families[i], NULL, out);
		if (out->step == BLOCKS_CLAIM)
			return;
		if (!full.step)
			full = *out;
	}
	*out = (struct blocks_action){0};
	plan_release(c, own, n_own, stock, cfg, now, out);
	if (out->step == BLOCKS_NONE && full.step) {
		full.again_at = out->again_at;
		*out = full;
	}
}
