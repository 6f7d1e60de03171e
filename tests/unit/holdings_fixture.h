// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The blocks this node holds, with a datastore that answers when the test wants it to, and real allocation
 * files. Included after cmocka.h.
 */
#ifndef TESTS_UNIT_HOLDINGS_FIXTURE_H
#define TESTS_UNIT_HOLDINGS_FIXTURE_H

#include <errno.h>
#include <sys/stat.h>

#include "agent/daemon/holdings.h"
#include "tests/unit/objects.h"
#include "weft/log.h"

/* A datastore that keeps the one write that is under way. */
struct fake {
	struct weft_source source;
	bool claiming, releasing;
	struct weft_prefix cidr;
	char pool[WEFT_NAME_MAX + 1];
	weft_write_done_fn done;
	void *ctx;
	unsigned claims, releases;
};

struct bed {
	uv_loop_t loop;
	char dir[64];
	struct fake fake;
	struct cluster *c;
	struct weft_ipam *ipam;
	struct holdings *h;
	bool dirty;
	/* of the last request */
	unsigned answers;
	char answer[WEFT_ERR_TEXT]; /* "" = granted */
	uv_timer_t tick;
};

static inline void begin(struct weft_source *s, const struct weft_prefix *cidr, weft_write_done_fn done,
                         void *ctx)
{
	struct fake *f = (struct fake *)s;

	assert_false(f->claiming || f->releasing); /* one write at a time */
	f->cidr = *cidr;
	f->done = done;
	f->ctx = ctx;
}

static inline void fake_claim(struct weft_source *s, const struct weft_prefix *cidr, const char *node_name,
                              const char *pool_name, weft_write_done_fn done, void *ctx)
{
	struct fake *f = (struct fake *)s;

	begin(s, cidr, done, ctx);
	assert_string_equal(node_name, "a");
	snprintf(f->pool, sizeof(f->pool), "%s", pool_name);
	f->claiming = true;
	f->claims++;
}

static inline void fake_release(struct weft_source *s, const struct weft_prefix *cidr, const char *node_name,
                                weft_write_done_fn done, void *ctx)
{
	struct fake *f = (struct fake *)s;

	begin(s, cidr, done, ctx);
	assert_string_equal(node_name, "a");
	f->releasing = true;
	f->releases++;
}

static const struct weft_source_ops fake_ops = {.claim_block = fake_claim, .release_block = fake_release};

static inline void on_change(void *ctx)
{
	((struct bed *)ctx)->dirty = true;
}

static inline void settle(struct bed *b)
{
	for (int i = 0; i < 20 && b->dirty; i++) {
		b->dirty = false;
		holdings_run(b->h);
	}
	assert_false(b->dirty); /* it comes to rest */
}

static inline void run(struct bed *b)
{
	b->dirty = true;
	settle(b);
}

/* The write ends; on success the object arrives first, as the directory does it. */
static inline void answer(struct bed *b, int code)
{
	struct fake *f = &b->fake;
	struct weft_err err = WEFT_ERR_INIT;
	bool claiming = f->claiming;
	char cidr[WEFT_PREFIX_STR], name[WEFT_PREFIX_STR];

	assert_true(f->claiming || f->releasing);
	f->claiming = f->releasing = false;
	if (!code && claiming)
		put(b->c, block(weft_prefix_str(&f->cidr, cidr), "a", f->pool));
	else if (!code)
		del(b->c, WEFT_IPBLOCK, weft_block_name(&f->cidr, name));
	else
		weft_err_set(&err, code, "the disk says no");
	f->done(f->ctx, code ? &err : NULL);
	settle(b);
}

static inline void on_tick(uv_timer_t *t)
{
	(void)t;
}

/* Timers run until something is to be looked at again. */
static inline void wait_dirty(struct bed *b, uint64_t ms)
{
	uint64_t end = uv_hrtime() + ms * 1000000;

	while (!b->dirty && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	assert_true(b->dirty);
	settle(b);
}

static inline int setup_with(void **state, struct blocks_config demand)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct weft_ipam_options ipam = {.cooldown_ms = 1000};
	struct weft_err err = WEFT_ERR_INIT;

	weft_log_init(WEFT_LOG_ERROR);
	strcpy(b->dir, "/tmp/weft-hold-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	uv_loop_init(&b->loop);
	uv_timer_init(&b->loop, &b->tick);
	uv_timer_start(&b->tick, on_tick, 10, 10);
	b->fake.source.ops = &fake_ops;
	b->c = cluster_new("a");
	put(b->c, node("a", "10.1.1.1", NULL));
	put(b->c, node("b", "10.1.1.2", NULL));
	put(b->c, pool("p", "10.244.0.0/24", 26, WEFT_TUNNEL_FALLBACK)); /* four blocks */
	assert_int_equal(weft_ipam_open(b->dir, &ipam, &b->ipam, &err), 0);
	struct holdings_options o = {.loop = &b->loop,
	                             .cluster = b->c,
	                             .ipam = b->ipam,
	                             .source = &b->fake.source,
	                             .demand = demand,
	                             .on_change = on_change,
	                             .ctx = b};
	assert_int_equal(holdings_new(&o, &b->h, &err), 0);
	*state = b;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, (struct blocks_config){.spare = 1, .release_after = 3600});
}

static inline int setup_eager(void **state)
{
	return setup_with(state, (struct blocks_config){.spare = 1, .release_after = 0});
}

static inline int teardown(void **state)
{
	struct bed *b = *state;
	char command[96];
	int r;

	if (b->h)
		holdings_free(b->h);
	uv_close((uv_handle_t *)&b->tick, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	r = uv_loop_close(&b->loop);
	cluster_free(b->c);
	weft_ipam_close(b->ipam);
	snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	r |= system(command);
	free(b);
	return r;
}

/* --- looking --- */

static inline bool file(struct bed *b, const char *cidr, struct weft_ipam_counts *counts, bool *retired)
{
	struct weft_prefix p = prefix(cidr);
	struct weft_ipam_block block = {0};
	char name[WEFT_PREFIX_STR];

	if (weft_ipam_read(b->ipam, weft_block_name(&p, name), &block, NULL) < 0)
		return false;
	if (counts)
		*counts = block.counts;
	if (retired)
		*retired = block.retired;
	weft_ipam_block_clear(&block);
	return true;
}

static inline int take(struct bed *b, const char *id, struct weft_ipam_result *got)
{
	struct weft_ipam_request req = {
	        .families = WEFT_IPAM_V4,
	        .owner = {.container_id = id, .ifname = "eth0", .host_dev = "weft01"}};

	return weft_ipam_alloc(b->ipam, &req, got, NULL);
}

static inline void give_back(struct bed *b, const char *id)
{
	struct weft_ipam_owner owner = {.container_id = id, .ifname = "eth0"};

	assert_int_equal(weft_ipam_release(b->ipam, &owner, NULL), 1);
}

static inline void fill(struct bed *b)
{
	struct weft_ipam_result got;
	char id[32];

	for (int i = 0;; i++) {
		snprintf(id, sizeof(id), "fill%d", i);
		if (take(b, id, &got) < 0)
			return;
	}
}

static inline void on_done(void *ctx, const struct weft_err *err)
{
	struct bed *b = ctx;

	b->answers++;
	snprintf(b->answer, sizeof(b->answer), "%s", err ? err->text : "");
}

static inline void ask(struct bed *b)
{
	b->answers = 0;
	strcpy(b->answer, "nothing");
	holdings_request(b->h, AF_INET, NULL, on_done, b);
	settle(b);
}

struct sought {
	const char *text;
	bool found;
};

static inline void look(void *ctx, const char *text)
{
	struct sought *s = ctx;

	s->found |= strstr(text, s->text) != NULL;
}

static inline void assert_problem(struct bed *b, const char *text, bool there)
{
	struct sought s = {.text = text};

	holdings_each_problem(b->h, look, &s);
	if (s.found != there)
		fail_msg("problem \"%s\": %d, expected %d", text, s.found, there);
}

/* The node has one block, whose CIDR is put into cidr. */
static inline void first_block(struct bed *b, char cidr[WEFT_PREFIX_STR])
{
	synced(b->c);
	run(b);
	weft_prefix_str(&b->fake.cidr, cidr);
	answer(b, 0);
	assert_true(file(b, cidr, NULL, NULL));
	assert_int_equal(b->fake.claims, 1);
}

#endif
