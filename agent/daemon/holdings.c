// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/holdings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/log.h"

#define RETRY_LOST_MS   100  /* somebody was faster: their claim may not have reached us yet */
#define RETRY_FAILED_MS 5000 /* the datastore could not write */
#define PROBLEMS_MAX    64

struct waiter {
	struct waiter *next;
	uint8_t family;
	char pool[WEFT_NAME_MAX + 1]; /* "" = any */
	void (*done)(void *ctx, const struct weft_err *err);
	void *ctx;
};

struct empty { /* since when a block of ours is empty */
	struct weft_prefix cidr;
	uint64_t since;
	UT_hash_handle hh;
};

struct holdings {
	struct holdings_options o;
	uv_timer_t timer;
	bool busy;      /* a write is on its way */
	bool releasing; /* it is a release */
	bool holdback;  /* wait for the timer before the next write */
	bool ready;
	struct weft_prefix writing;
	struct waiter *waiters;
	struct empty *empties;
	char write_problem[CLUSTER_TEXT];
	char exhausted[2][CLUSTER_TEXT];
	struct holdings_counts counts;
	char *problems[PROBLEMS_MAX]; /* of the present run */
	size_t n_problems;
};

struct blocks {
	struct cluster_block *all;
	size_t n, cap;
};

/* What one run works on. */
struct run {
	struct holdings *h;
	struct blocks own, poolless; /* the latter are ours, but in no pool */
	struct weft_ipam_block *files;
	size_t n_files;
	bool settling;           /* a file was made: its addresses count in the next run */
	struct weft_err failure; /* a file that should be there can't be made for now */
};

static void problem(struct holdings *h, const char *text)
{
	if (h->n_problems < PROBLEMS_MAX && (h->problems[h->n_problems] = strdup(text)))
		h->n_problems++;
}

static void clear_problems(struct holdings *h)
{
	while (h->n_problems)
		free(h->problems[--h->n_problems]);
}

static bool collect(void *ctx, const struct cluster_block *b)
{
	struct run *r = ctx;
	struct blocks *to = b->state == CLUSTER_BLOCK_OUTSIDE ? &r->poolless : &r->own;

	if (b->state == CLUSTER_BLOCK_OVERLAP)
		return false;
	if (to->n == to->cap) {
		to->cap = to->cap ? to->cap * 2 : 8;
		to->all = must_grow(to->all, to->cap, sizeof(*to->all));
	}
	to->all[to->n++] = *b;
	return false;
}

static const struct weft_ipam_block *file_of(const struct run *r, const struct weft_prefix *cidr)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (!weft_prefix_cmp(&r->files[i].cidr, cidr))
			return &r->files[i];
	return NULL;
}

static bool is_own(const struct run *r, const struct weft_prefix *cidr)
{
	for (size_t i = 0; i < r->own.n; i++)
		if (!weft_prefix_cmp(&r->own.all[i].cidr, cidr))
			return true;
	return false;
}

/* --- writes --- */

static void on_timer(uv_timer_t *t)
{
	struct holdings *h = t->data;

	h->holdback = false;
	h->o.on_change(h->o.ctx);
}

static void hold_back(struct holdings *h, uint64_t ms)
{
	h->holdback = true;
	uv_timer_start(&h->timer, on_timer, ms, 0);
}

static void tell_waiters(struct holdings *h, uint8_t family, const struct weft_err *err)
{
	struct waiter **at = &h->waiters;

	while (*at) {
		struct waiter *w = *at;
		if (family != AF_UNSPEC && w->family != family) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->done(w->ctx, err);
		free(w);
	}
}

static void not_empty(struct holdings *h, const struct weft_prefix *cidr)
{
	struct empty *e;

	HASH_FIND(hh, h->empties, cidr, sizeof(*cidr), e);
	if (!e)
		return;
	HASH_DEL(h->empties, e);
	free(e);
}

static void count_write(struct holdings *h, const struct weft_err *err)
{
	struct holdings_counts *c = &h->counts;

	if (h->releasing)
		(*(err ? &c->release_failed : &c->released))++;
	else
		(*(!err ? &c->claimed : err->code == -EEXIST ? &c->lost : &c->failed))++;
}

static void on_written(void *ctx, const struct weft_err *err)
{
	struct holdings *h = ctx;
	char cidr[WEFT_PREFIX_STR];

	h->busy = false;
	count_write(h, err);
	h->write_problem[0] = '\0';
	if (err && err->code == -EEXIST && !h->releasing) {
		log_info("block %s was claimed by another node first", weft_prefix_str(&h->writing, cidr));
		cluster_block_unseen(h->o.cluster, &h->writing);
		hold_back(h, RETRY_LOST_MS);
	} else if (err) {
		snprintf(h->write_problem, sizeof(h->write_problem), "%s", err->text);
		log_error("block %s: %s", weft_prefix_str(&h->writing, cidr), err->text);
		if (!h->releasing)
			tell_waiters(h, h->writing.addr.family, err);
		hold_back(h, RETRY_FAILED_MS);
	}
	h->o.on_change(h->o.ctx);
}

static void claim(struct holdings *h, const struct weft_prefix *cidr, const char *pool)
{
	char text[WEFT_PREFIX_STR];

	log_info("claiming block %s of pool %s", weft_prefix_str(cidr, text), pool);
	h->busy = true;
	h->releasing = false;
	h->writing = *cidr;
	h->o.source->ops->claim_block(h->o.source, cidr, cluster_self_name(h->o.cluster), pool, on_written,
	                              h);
}

static void release(struct holdings *h, const struct weft_prefix *cidr)
{
	struct weft_err err = WEFT_ERR_INIT;
	char text[WEFT_PREFIX_STR];

	/* A pod may have taken an address since we looked: then the block stays, which is what it should do.
	 */
	if (weft_ipam_remove_block(h->o.ipam, cidr, &err) < 0) {
		log_info("block %s is not released: %s", weft_prefix_str(cidr, text), err.text);
		return;
	}
	log_info("releasing the empty block %s", weft_prefix_str(cidr, text));
	not_empty(h, cidr); /* if it is kept, or claimed again, it is empty from then on */
	h->busy = h->releasing = true;
	h->writing = *cidr;
	h->o.source->ops->release_block(h->o.source, cidr, cluster_self_name(h->o.cluster), on_written, h);
}

/* --- files and IPBlocks in step --- */

static void make_files(struct run *r)
{
	for (size_t i = 0; i < r->own.n; i++) {
		struct weft_err err = WEFT_ERR_INIT;
		const struct cluster_block *b = &r->own.all[i];
		const struct weft_ipam_block *f = file_of(r, &b->cidr);
		bool named = f && f->pool[0]; /* it keeps its name, also when another pool serves it now */
		int rc;

		if ((named && !f->retired) || (r->h->busy && !weft_prefix_cmp(&b->cidr, &r->h->writing)))
			continue;
		rc = weft_ipam_add_block(r->h->o.ipam, &b->cidr, named ? f->pool : b->pool_name, &err);
		if (rc == 0) {
			r->settling = true;
			continue;
		}
		problem(r->h, err.text);
		if (rc != -EINVAL) /* no block for weft-cni, and never will be: do without it */
			r->failure = err;
	}
	if (r->settling)
		r->h->o.on_change(r->h->o.ctx);
}

/* The block is not ours, but pods here use it. */
static void tell_lost(struct holdings *h, const struct weft_ipam_block *file, const struct cluster_block *b)
{
	char cidr[WEFT_PREFIX_STR], text[CLUSTER_TEXT];

	weft_prefix_str(&file->cidr, cidr);
	if (b && !b->own)
		snprintf(
		        text, sizeof(text),
		        "%u addresses of block %s are in use here, but its IPBlock names node %s: move these pods or "
		        "give the block back",
		        file->counts.used, cidr, b->node_name);
	else
		snprintf(text, sizeof(text),
		         "%u addresses of block %s are in use here, but %s: no new pods get addresses of it",
		         file->counts.used, cidr,
		         !b                                  ? "there is no readable IPBlock for it"
		         : b->state == CLUSTER_BLOCK_OUTSIDE ? "it lies in no IPPool"
		                                             : "another IPBlock overlaps it");
	problem(h, text);
}

/* A file whose IPBlock is not ours (any more). */
static void reclaim_or_remove(struct run *r, const struct weft_ipam_block *file)
{
	struct holdings *h = r->h;
	struct weft_err err = WEFT_ERR_INIT;
	char cidr[WEFT_PREFIX_STR];
	struct cluster_block b;

	if (weft_ipam_remove_block(h->o.ipam, &file->cidr, &err) == 0)
		return;
	if (weft_ipam_retire_block(h->o.ipam, &file->cidr, &err) < 0)
		problem(h, err.text);
	if (cluster_block(h->o.cluster, &file->cidr, &b)) {
		tell_lost(h, file, &b);
	} else if (!file->pool[0] || cluster_block_taken(h->o.cluster, &file->cidr)) {
		tell_lost(h, file, NULL);
	} else if (!h->busy && !h->holdback) {
		log_warning(
		        "the IPBlock of %s is gone while %u of its addresses are in use here: claiming it again",
		        weft_prefix_str(&file->cidr, cidr), file->counts.used);
		claim(h, &file->cidr, file->pool);
	}
}

static void drop_files(struct run *r)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (!is_own(r, &r->files[i].cidr))
			reclaim_or_remove(r, &r->files[i]);
}

/* --- demand --- */

static uint64_t empty_since(struct holdings *h, const struct weft_prefix *cidr, bool empty, uint64_t now)
{
	struct empty *e;

	if (!empty) {
		not_empty(h, cidr);
		return 0;
	}
	HASH_FIND(hh, h->empties, cidr, sizeof(*cidr), e);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return now;
		e->cidr = *cidr;
		e->since = now;
		HASH_ADD(hh, h->empties, cidr, sizeof(e->cidr), e);
	}
	return e->since;
}

static void act(struct run *r, const struct blocks_action *a, uint64_t now)
{
	struct holdings *h = r->h;

	switch (a->step) {
	case BLOCKS_CLAIM:
		claim(h, &a->cidr, a->pool);
		break;
	case BLOCKS_RELEASE:
		release(h, &a->cidr);
		break;
	case BLOCKS_EXHAUSTED:
		snprintf(h->exhausted[a->family == AF_INET6], CLUSTER_TEXT, "%s", a->text);
		break;
	case BLOCKS_NONE:
		break;
	}
	if (a->again_at > now)
		uv_timer_start(&h->timer, on_timer, (a->again_at - now) * 1000, 0);
}

static bool family_has_room(const struct run *r, const struct waiter *w)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (r->files[i].cidr.addr.family == w->family && r->files[i].counts.free &&
		    is_own(r, &r->files[i].cidr) && (!w->pool[0] || !strcmp(w->pool, r->files[i].pool)))
			return true;
	return false;
}

static void serve_waiters(struct run *r)
{
	struct holdings *h = r->h;
	struct waiter **at = &h->waiters;

	while (*at) {
		struct waiter *w = *at;
		struct weft_err err = WEFT_ERR_INIT;
		struct blocks_action a = {0};
		bool room = family_has_room(r, w);

		if (!room && r->failure.code) {
			err = r->failure;
		} else if (!room) {
			if (h->busy || h->holdback || r->settling)
				return;
			blocks_claim(h->o.cluster, w->family, w->pool[0] ? w->pool : NULL, &a);
			if (a.step == BLOCKS_CLAIM) {
				claim(h, &a.cidr, a.pool);
				return;
			}
			weft_err_set(&err, ENOSPC, "%s", a.text);
		}
		*at = w->next;
		w->done(w->ctx, room ? NULL : &err);
		free(w);
	}
}

static struct blocks_own counted(struct run *r, const struct weft_prefix *cidr, uint64_t now)
{
	const struct weft_ipam_block *f = file_of(r, cidr);
	uint64_t used = f ? f->counts.used + f->counts.corrupt : 0;

	return (struct blocks_own){.cidr = *cidr,
	                           .free = f ? f->counts.free : 0,
	                           .used = used,
	                           .empty_since = empty_since(r->h, cidr, !used, now)};
}

static void demand(struct run *r)
{
	struct holdings *h = r->h;
	uint64_t now = uv_now(h->o.loop) / 1000;
	struct blocks_own *own = must_alloc(r->own.n + r->poolless.n + 1, sizeof(*own));
	struct blocks_action a = {0};
	size_t n = 0, all;

	for (size_t i = 0; i < r->own.n; i++)
		if (file_of(r, &r->own.all[i].cidr))
			own[n++] = counted(r, &r->own.all[i].cidr, now);
	all = n;
	for (size_t i = 0; i < r->poolless.n; i++)
		own[all++] = counted(r, &r->poolless.all[i].cidr, now);

	h->exhausted[0][0] = h->exhausted[1][0] = '\0';
	/* A block counts once its file is there; without one, claiming more would help nobody. */
	if (!r->settling && !r->failure.code && !h->busy && !h->holdback) {
		blocks_plan(h->o.cluster, own, all, &h->o.demand, now, &a);
		act(r, &a, now);
		h->ready = n > 0 && a.step != BLOCKS_CLAIM;
	}
	free(own);
}

void holdings_run(struct holdings *h)
{
	struct run r = {.h = h};
	struct weft_err err = WEFT_ERR_INIT;

	if (!cluster_synced(h->o.cluster))
		return;
	clear_problems(h);
	cluster_each_block_of(h->o.cluster, cluster_self_name(h->o.cluster), collect, &r);
	if (weft_ipam_list(h->o.ipam, &r.files, &r.n_files, &err) < 0) {
		problem(h, err.text);
		hold_back(h, RETRY_FAILED_MS);
	} else {
		make_files(&r);
		drop_files(&r);
		demand(&r);
		serve_waiters(&r);
		if (r.failure.code && !h->holdback)
			uv_timer_start(&h->timer, on_timer, RETRY_FAILED_MS, 0);
	}
	weft_ipam_blocks_free(r.files, r.n_files);
	free(r.own.all);
	free(r.poolless.all);
}

void holdings_request(struct holdings *h, uint8_t family, const char *pool,
                      void (*done)(void *ctx, const struct weft_err *err), void *ctx)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct weft_err err = WEFT_ERR_INIT;
	struct waiter **at = &h->waiters;

	if (!w) {
		weft_err_errno(&err, ENOMEM, "request for a block");
		done(ctx, &err);
		return;
	}
	w->family = family;
	snprintf(w->pool, sizeof(w->pool), "%s", pool ? pool : "");
	w->done = done;
	w->ctx = ctx;
	while (*at)
		at = &(*at)->next;
	*at = w;
	h->o.on_change(h->o.ctx);
}

struct holdings_counts holdings_counts(const struct holdings *h)
{
	struct holdings_counts c = h->counts;

	for (const struct waiter *w = h->waiters; w; w = w->next)
		c.waiting++;
	return c;
}

bool holdings_ready(const struct holdings *h)
{
	return h->ready;
}

void holdings_each_problem(const struct holdings *h, void (*fn)(void *ctx, const char *text), void *ctx)
{
	for (size_t i = 0; i < h->n_problems; i++)
		fn(ctx, h->problems[i]);
	if (h->write_problem[0])
		fn(ctx, h->write_problem);
	for (int i = 0; i < 2; i++)
		if (h->exhausted[i][0])
			fn(ctx, h->exhausted[i]);
}

int holdings_new(const struct holdings_options *o, struct holdings **out, struct weft_err *err)
{
	struct holdings *h = calloc(1, sizeof(*h));

	if (!h)
		return weft_err_errno(err, ENOMEM, "blocks");
	h->o = *o;
	uv_timer_init(o->loop, &h->timer);
	h->timer.data = h;
	*out = h;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct holdings *h = handle->data;
	struct empty *e, *tmp;

	HASH_ITER (hh, h->empties, e, tmp) {
		HASH_DEL(h->empties, e);
		free(e);
	}
	clear_problems(h);
	free(h);
}

void holdings_free(struct holdings *h)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (!h)
		return;
	weft_err_set(&err, ECANCELED, "the agent is stopping");
	tell_waiters(h, AF_UNSPEC, &err);
	uv_close((uv_handle_t *)&h->timer, on_closed);
}
