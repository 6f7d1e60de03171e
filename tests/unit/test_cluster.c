// SPDX-License-Identifier: GPL-2.0-or-later
/* The cluster's state: objects, indexes, rules between objects, dirty keys. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/state/trie.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

#define DIRTY(c, want)                                                          \
	do {                                                                    \
		char text_[4096];                                               \
		assert_string_equal(dirty_text(c, text_, sizeof(text_)), want); \
	} while (0)

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, node("a", "10.1.1.1", "fd01::1"));
	put(c, node("b", "10.1.1.2", "fd01::2"));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	synced(c);
	drain(c);
	return c;
}

static enum cluster_block_state state_of(const struct cluster *c, const char *cidr)
{
	struct weft_prefix p = prefix(cidr);
	struct cluster_block b;

	assert_true(cluster_block(c, &p, &b));
	assert_int_equal(b.state == CLUSTER_BLOCK_OK, b.problem[0] == '\0');
	return b.state;
}

static const char *refused(const struct cluster *c, const char *name)
{
	struct cluster_pool p;

	for (size_t i = 0; cluster_pool_at(c, i, &p); i++)
		if (!strcmp(p.name, name))
			return p.refused;
	fail_msg("no pool %s", name);
	return NULL;
}

/* --- trie --- */

static bool collect(void *ctx, const struct weft_prefix *p, void *value)
{
	char text[WEFT_PREFIX_STR];

	(void)value;
	strcat(strcat(ctx, weft_prefix_str(p, text)), " ");
	return false;
}

static void trie_finds_above_and_below(void **state)
{
	static const char *const in[] = {"10.0.0.0/8",  "10.1.0.0/16", "10.1.2.0/24", "10.1.2.128/25",
	                                 "10.2.0.0/16", "0.0.0.0/0",   "fd00::/8",    "10.1.2.3/32"};
	struct trie t = {0};
	struct weft_prefix p;
	char text[512] = "";

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(in); i++) {
		p = prefix(in[i]);
		trie_set(&t, &p, (void *)in[i]);
	}
	assert_int_equal(t.count, WEFT_ARRAY_LEN(in));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(in); i++) {
		p = prefix(in[i]);
		assert_ptr_equal(trie_get(&t, &p), in[i]);
	}
	p = prefix("10.1.2.0/24");
	trie_above(&t, &p, collect, text);
	assert_string_equal(text, "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 ");
	text[0] = '\0';
	p = prefix("10.1.0.0/17");
	trie_below(&t, &p, collect, text);
	assert_string_equal(text, "10.1.2.0/24 10.1.2.3/32 10.1.2.128/25 ");
	p = prefix("10.1.0.0/17");
	assert_null(trie_get(&t, &p));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(in); i++) {
		p = prefix(in[i]);
		trie_del(&t, &p);
		trie_del(&t, &p);
		assert_null(trie_get(&t, &p));
	}
	assert_null(t.root[0]);
	assert_null(t.root[1]);
}

/* Random prefixes of a small space against a plain array. */
static void trie_agrees_with_an_array(void **state)
{
	enum { N = 256 };
	struct weft_prefix keys[N] = {0};
	bool in[N] = {false};
	struct trie t = {0};
	unsigned seed = 1;

	(void)state;
	for (size_t i = 0; i < N; i++) { /* all prefixes of length 0 to 7 and one more */
		struct weft_addr a = addr("0.0.0.0");
		unsigned len = 31u - (unsigned)__builtin_clz((unsigned)i + 1);

		a.bytes[0] = (uint8_t)((i + 1 - (1u << len)) << (8 - len));
		keys[i] = weft_prefix_mask(&a, (uint8_t)len);
	}
	for (int step = 0; step < 4000; step++) {
		size_t i = (size_t)rand_r(&seed) % N, below = 0;
		char text[8192] = "";

		if (rand_r(&seed) & 1)
			trie_set(&t, &keys[i], &keys[i]);
		else
			trie_del(&t, &keys[i]);
		in[i] = trie_get(&t, &keys[i]);
		i = (size_t)rand_r(&seed) % N;
		assert_ptr_equal(trie_get(&t, &keys[i]), in[i] ? &keys[i] : NULL);
		trie_below(&t, &keys[i], collect, text);
		for (char *s = text; (s = strchr(s, ' ')); s++)
			below++;
		for (size_t k = 0; k < N; k++)
			below -= in[k] && weft_prefix_covers(&keys[i], &keys[k]);
		assert_int_equal(below, 0);
	}
	trie_free(&t);
}

/* --- dirty keys --- */

static void events_mark_what_depends(void **state)
{
	struct cluster *c = made();
	struct weft_object *o;

	(void)state;
	put(c, block("10.244.1.0/26", "b", "pods"));
	DIRTY(c, "block 10.244.1.0/26");
	put(c, node("b", "10.1.1.9", "fd01::2")); /* re-addressed: its blocks */
	DIRTY(c, "node b, block 10.244.1.0/26");
	put(c, labelled(node("b", "10.1.1.9", "fd01::2"), "x", "y")); /* others' labels: nothing */
	DIRTY(c, "");
	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "x", "y")); /* our labels: selections */
	DIRTY(c, "self, pools, bgp");
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_ALWAYS)); /* mode: the pool's blocks */
	DIRTY(c, "pools, bgp, block 10.244.1.0/26");
	o = pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_ALWAYS); /* not the mode: no route */
	o->ippool.disabled = true;
	put(c, o);
	DIRTY(c, "pools, bgp");
	put(c, node("a", "10.1.1.3", "fd01::1")); /* our address: everything */
	DIRTY(c, "node a, self, pools, bgp, node b, services, block 10.244.1.0/26");
	del(c, WEFT_NODE, "b");
	DIRTY(c, "node b, block 10.244.1.0/26");
	put(c, peer("tor", "10.1.1.254", 65000));
	DIRTY(c, "bgp");
	del(c, WEFT_IPBLOCK, "10.244.1.0-26");
	del(c, WEFT_IPBLOCK, "10.244.1.0-26");
	DIRTY(c, "block 10.244.1.0/26");
	cluster_free(c);
}

static void each_key_is_queued_once(void **state)
{
	struct cluster *c = made();

	(void)state;
	for (int i = 0; i < 100; i++)
		put(c, block("10.244.1.0/26", i & 1 ? "a" : "b", "pods"));
	assert_int_equal(cluster_dirty_count(c), 1);
	DIRTY(c, "block 10.244.1.0/26");
	cluster_dirty_all(c);
	DIRTY(c, "self, node a, node b, pools, bgp, services, block 10.244.1.0/26");
	cluster_free(c);
}

static void a_peer_that_is_not_ours_and_a_secret_nobody_names_cost_nothing(void **state)
{
	struct cluster *c = made();
	struct weft_object *o = peer("tor", "10.1.1.254", 65000);

	(void)state;
	require(&o->bgppeer.node_selector, "rack", "1");
	o->bgppeer.secret = strdup("s");
	o->bgppeer.secret_key = strdup("k");
	put(c, secret("s", "k", "early"));
	DIRTY(c, "");
	put(c, o);
	DIRTY(c, "");
	assert_non_null(cluster_secret_of(c, &o->bgppeer));
	put(c, secret("s", "k", "later"));
	DIRTY(c, "bgp");
	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rack", "1"));
	drain(c);
	del(c, WEFT_BGPPEER, "tor");
	DIRTY(c, "bgp");
	del(c, WEFT_SECRET, "kube-system/s");
	DIRTY(c, "");
	assert_int_equal(cluster_count(c, WEFT_SECRET), 0);
	cluster_free(c);
}

/* --- rules between pools --- */

static void overlapping_pools_have_one_winner(void **state)
{
	struct cluster *c = cluster_new("a");

	(void)state;
	put(c, pool("z", "10.244.0.0/16", 26, 0)); /* arrival means nothing before SYNCED */
	put(c, pool("m", "10.244.128.0/17", 26, 0));
	put(c, block("10.244.129.0/26", "a", "m"));
	put(c, pool("other", "10.9.0.0/16", 26, 0));
	synced(c);
	assert_null(refused(c, "m")); /* it has blocks */
	assert_null(refused(c, "other"));
	assert_non_null(
	        strstr(refused(c, "z"), "IPPool z (10.244.0.0/16) overlaps IPPool m (10.244.128.0/17)"));
	put(c, pool("b", "10.244.130.0/24", 26, 0)); /* a better name later: the one in force stays */
	assert_non_null(refused(c, "b"));
	assert_null(refused(c, "m"));
	del(c, WEFT_IPBLOCK, "10.244.129.0-26");
	assert_null(refused(c, "m"));
	del(c, WEFT_IPPOOL, "m"); /* now name order between b and z */
	assert_null(refused(c, "b"));
	assert_non_null(refused(c, "z"));
	put(c, pool("b", "10.8.0.0/16", 26, 0));
	assert_null(refused(c, "z"));
	drain(c);
	cluster_free(c);
}

static void of_overlapping_pools_the_one_with_blocks_wins(void **state)
{
	struct cluster *c = cluster_new("a");

	(void)state;
	put(c, pool("a", "10.244.0.0/16", 26, 0));
	put(c, pool("b", "10.244.128.0/17", 26, 0));
	put(c, block("10.244.129.0/26", "a", "b"));
	synced(c);
	assert_null(refused(c, "b"));
	assert_non_null(refused(c, "a"));
	put(c, block("10.244.1.0/26", "a", "a")); /* both have: the one in force stays */
	assert_null(refused(c, "b"));
	drain(c);
	del(c, WEFT_IPBLOCK, "10.244.129.0-26"); /* only the loser has: it wins */
	assert_null(refused(c, "a"));
	assert_non_null(refused(c, "b"));
	DIRTY(c, "block 10.244.129.0/26, pools, bgp");
	cluster_free(c);
}

static void a_pool_on_a_node_address_is_refused(void **state)
{
	struct cluster *c = made();
	struct cluster_pool p;

	(void)state;
	put(c, pool("all", "10.0.0.0/8", 26, 0)); /* a mistake doesn't stop the pool that works */
	assert_non_null(refused(c, "all"));
	assert_null(refused(c, "pods"));
	del(c, WEFT_IPPOOL, "all");
	put(c, node("b", "10.244.7.7", NULL));
	assert_non_null(strstr(refused(c, "pods"), "contains 10.244.7.7, the address of node b"));
	put(c, block("10.244.1.0/26", "a", "pods"));
	assert_int_equal(state_of(c, "10.244.1.0/26"), CLUSTER_BLOCK_OK); /* existing blocks go on */
	drain(c);
	del(c, WEFT_NODE, "b");
	assert_null(refused(c, "pods"));
	DIRTY(c, "node b, pools, bgp");
	assert_true(cluster_pool_at(c, 0, &p));
	assert_true(p.selects_self);
	assert_int_equal(p.n_blocks, 1);
	assert_false(cluster_pool_at(c, 1, &p));
	cluster_free(c);
}

/* --- rules between blocks --- */

static void a_block_needs_a_pool(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, block("10.9.0.0/26", "b", "pods"));
	assert_int_equal(state_of(c, "10.9.0.0/26"), CLUSTER_BLOCK_OUTSIDE);
	put(c, block("10.244.3.0/26", "b", "nowhere"));
	assert_int_equal(state_of(c, "10.244.3.0/26"), CLUSTER_BLOCK_WRONG_POOL);
	put(c, block("10.244.4.0/26", "gone", "pods"));
	assert_int_equal(state_of(c, "10.244.4.0/26"), CLUSTER_BLOCK_NODE_UNKNOWN);
	drain(c);
	put(c, pool("nowhere", "10.9.0.0/16", 26, 0)); /* it comes: what it contains is served */
	DIRTY(c, "pools, bgp, block 10.244.3.0/26, block 10.9.0.0/26");
	assert_int_equal(state_of(c, "10.9.0.0/26"), CLUSTER_BLOCK_WRONG_POOL);
	put(c, node("gone", "10.1.1.4", NULL));
	DIRTY(c, "node gone, block 10.244.4.0/26");
	assert_int_equal(state_of(c, "10.244.4.0/26"), CLUSTER_BLOCK_OK);
	del(c, WEFT_IPPOOL, "pods");
	assert_int_equal(state_of(c, "10.244.4.0/26"), CLUSTER_BLOCK_OUTSIDE);
	cluster_free(c);
}

/* Also where the block is none to route: its pods are there all the same. */
static void addresses_in_the_blocks_of_this_node(void **state)
{
	struct cluster *c = cluster_new("b");
	const struct weft_addr in = addr("10.244.1.63"), other = addr("10.244.1.64"),
	                       loose = addr("10.9.0.1"), v6 = addr("fd44::1");

	(void)state;
	put(c, node("b", "10.1.1.2", NULL));
	del(c, WEFT_NODE, "b");
	assert_false(cluster_self_has(c, &in));
	put(c, block("10.244.1.0/26", "b", "pods"));
	put(c, block("10.9.0.0/26", "b", "pods"));
	assert_true(cluster_self_has(c, &in));
	assert_true(cluster_self_has(c, &loose));
	assert_false(cluster_self_has(c, &other));
	assert_false(cluster_self_has(c, &v6));
	put(c, node("b", "10.1.1.2", NULL));
	del(c, WEFT_NODE, "b"); /* its pods are still there */
	assert_true(cluster_self_has(c, &in));
	del(c, WEFT_IPBLOCK, "10.244.1.0-26");
	assert_false(cluster_self_has(c, &in));
	put(c, block("10.244.1.0/26", "a", "pods"));
	assert_false(cluster_self_has(c, &in));
	cluster_free(c);
}

static void overlapping_blocks_have_one_winner(void **state)
{
	struct cluster *c = made();
	struct weft_prefix p = prefix("10.244.1.0/26");
	struct cluster_block b;

	(void)state;
	put(c, block("10.244.1.0/26", "b", "pods"));
	put(c, block("10.244.0.0/16", "evil", "pods")); /* wider, narrower, the same: the first goes on */
	put(c, block("10.244.1.1/32", "evil", "pods"));
	put(c, block_named("0-twin", "10.244.1.0/26", "evil", "pods"));
	assert_int_equal(state_of(c, "10.244.1.0/26"), CLUSTER_BLOCK_OK);
	assert_int_equal(state_of(c, "10.244.0.0/16"), CLUSTER_BLOCK_OVERLAP);
	assert_int_equal(state_of(c, "10.244.1.1/32"), CLUSTER_BLOCK_OVERLAP);
	assert_true(cluster_block(c, &p, &b));
	assert_string_equal(b.node_name, "b");
	drain(c);
	del(c, WEFT_IPBLOCK, "10.244.1.0-26"); /* the next in right takes over */
	assert_true(cluster_block(c, &p, &b));
	assert_string_equal(b.name, "0-twin");
	DIRTY(c, "block 10.244.1.0/26");
	del(c, WEFT_IPBLOCK, "0-twin");
	assert_int_equal(state_of(c, "10.244.0.0/16"), CLUSTER_BLOCK_NODE_UNKNOWN);
	assert_int_equal(state_of(c, "10.244.1.1/32"), CLUSTER_BLOCK_OVERLAP);
	DIRTY(c, "block 10.244.1.0/26, block 10.244.0.0/16");
	put(c, block("10.244.2.0/26", "b", "pods")); /* the pool's size beats another size */
	assert_int_equal(state_of(c, "10.244.2.0/26"), CLUSTER_BLOCK_OK);
	assert_int_equal(state_of(c, "10.244.0.0/16"), CLUSTER_BLOCK_OVERLAP);
	assert_int_equal(state_of(c, "10.244.1.1/32"), CLUSTER_BLOCK_NODE_UNKNOWN); /* freed by that */
	DIRTY(c, "block 10.244.2.0/26, block 10.244.0.0/16, block 10.244.1.1/32");
	cluster_free(c);
}

/* A block in force whose pool goes may be of the wrong size for the next pool: then the right size wins. */
static void a_lost_rank_is_noticed(void **state)
{
	struct cluster *c = cluster_new("a");

	(void)state;
	put(c, node("b", "10.1.1.2", NULL));
	put(c, pool("big", "10.244.0.0/16", 20, 0));
	put(c, pool("small", "10.244.1.0/24", 26, 0));
	synced(c);
	put(c, block("10.244.1.0/26", "b", "small"));
	put(c, block("10.244.0.0/20", "b", "big"));
	assert_int_equal(state_of(c, "10.244.1.0/26"), CLUSTER_BLOCK_OK);
	assert_int_equal(state_of(c, "10.244.0.0/20"), CLUSTER_BLOCK_OVERLAP);
	del(c, WEFT_IPPOOL, "small");
	assert_int_equal(state_of(c, "10.244.1.0/26"), CLUSTER_BLOCK_OVERLAP);
	assert_int_equal(state_of(c, "10.244.0.0/20"), CLUSTER_BLOCK_OK);
	cluster_free(c);
}

static void arrival_order_means_nothing_before_synced(void **state)
{
	static const char *const cidrs[] = {"10.244.0.0/16", "10.244.1.0/26", "10.244.1.1/32", "10.9.0.0/26"};

	(void)state;
	for (size_t first = 0; first < WEFT_ARRAY_LEN(cidrs); first++) {
		struct cluster *c = cluster_new("a");

		for (size_t i = 0; i < WEFT_ARRAY_LEN(cidrs); i++)
			put(c, block(cidrs[(first + i) % WEFT_ARRAY_LEN(cidrs)], "a", "pods"));
		put(c, pool("pods", "10.244.0.0/16", 26, 0));
		synced(c);
		assert_int_equal(state_of(c, cidrs[0]), CLUSTER_BLOCK_OVERLAP);
		assert_int_equal(state_of(c, cidrs[1]), CLUSTER_BLOCK_OK);
		assert_int_equal(state_of(c, cidrs[2]), CLUSTER_BLOCK_OVERLAP);
		assert_int_equal(state_of(c, cidrs[3]), CLUSTER_BLOCK_OUTSIDE);
		cluster_free(c);
	}
}

static bool taken(const struct cluster *c, const char *cidr)
{
	struct weft_prefix p = prefix(cidr);

	return cluster_block_taken(c, &p);
}

static void a_block_moves_between_nodes_and_cidrs(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, block("10.244.1.0/26", "a", "pods"));
	put(c, block("10.244.1.0/26", "b", "pods"));
	DIRTY(c, "block 10.244.1.0/26");
	put(c, node("a", "10.1.1.1", "fd01::1"));
	put(c, node("b", "10.1.1.8", NULL));
	DIRTY(c, "self, pools, bgp, node b, block 10.244.1.0/26");
	put(c, block_named("10.244.1.0-26", "10.244.5.0/26", "b", "pods"));
	DIRTY(c, "block 10.244.1.0/26, block 10.244.5.0/26");
	assert_false(taken(c, "10.244.1.0/26"));
	assert_true(taken(c, "10.244.5.0/26"));
	assert_true(taken(c, "10.244.5.1/32"));
	assert_true(taken(c, "10.244.0.0/16"));
	assert_int_equal(cluster_count(c, WEFT_IPBLOCK), 1);
	cluster_free(c);
}

/* Random upserts and deletes: never two in force that overlap, never a shadowed one without a reason. */
struct sum {
	const struct cluster *c;
	struct weft_prefix in_force[256], shadowed[256];
	size_t n, n_shadowed;
};

static bool sum_up(void *ctx, const struct cluster_block *b)
{
	struct sum *s = ctx;

	if (b->state == CLUSTER_BLOCK_OVERLAP) {
		s->shadowed[s->n_shadowed++] = b->cidr;
		assert_null(strstr(b->problem, "IPBlock ? "));
	} else if (b->state != CLUSTER_BLOCK_OUTSIDE) {
		s->in_force[s->n++] = b->cidr;
	}
	return false;
}

static void check_invariants(const struct cluster *c)
{
	struct sum s = {.c = c};

	cluster_each_block(c, sum_up, &s);
	for (size_t i = 0; i < s.n; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(weft_prefix_overlaps(&s.in_force[i], &s.in_force[k]));
	for (size_t i = 0; i < s.n_shadowed; i++) {
		bool reason = false;

		for (size_t k = 0; k < s.n; k++)
			reason |= weft_prefix_overlaps(&s.shadowed[i], &s.in_force[k]);
		assert_true(reason);
	}
}

static void blocks_in_force_never_overlap(void **state)
{
	struct cluster *c = made();
	unsigned seed = 7;

	(void)state;
	for (int step = 0; step < 3000; step++) {
		unsigned r = (unsigned)rand_r(&seed), len = 24 + r % 9;
		struct weft_addr a = addr("10.244.0.0");
		struct weft_prefix p;
		char cidr[WEFT_PREFIX_STR], name[16];

		a.bytes[1] = (uint8_t)(243 + (r >> 8) % 2);
		a.bytes[3] = (uint8_t)(r >> 16);
		p = weft_prefix_mask(&a, (uint8_t)len);
		snprintf(name, sizeof(name), "n%u", (unsigned)rand_r(&seed) % 40);
		if (step % 50 == 49)
			put(c, pool("pods", step % 100 == 99 ? "10.243.0.0/16" : "10.244.0.0/16",
			            (uint8_t)(24 + r % 9), 0));
		else if (rand_r(&seed) % 3)
			put(c, block_named(name, weft_prefix_str(&p, cidr), "b", r & 64 ? "pods" : "x"));
		else
			del(c, WEFT_IPBLOCK, name);
		drain(c);
		check_invariants(c);
	}
	cluster_free(c);
}

/* --- reports --- */

static void count_report(void *ctx, const char *where, const char *text)
{
	(void)where;
	assert_true(*text);
	for (const char *s = text; *s; s++)
		assert_true((unsigned char)*s >= ' ');
	++*(size_t *)ctx;
}

static void invalid(struct cluster *c, const char *scope, const char *where, const char *text)
{
	struct weft_event ev = {.type = WEFT_EV_INVALID, .scope = scope, .where = where, .text = text};

	cluster_handle(c, &ev);
}

static size_t reports(const struct cluster *c)
{
	size_t n = 0;

	cluster_each_report(c, count_report, &n);
	return n;
}

static void reports_stand_until_taken_back(void **state)
{
	struct cluster *c = made();
	char where[32];

	(void)state;
	invalid(c, "x.yaml", "x.yaml:1", "bad \033[31m");
	invalid(c, "x.yaml", "x.yaml:9", "bad");
	invalid(c, "x.yaml", "x.yaml:9", "bad again");
	invalid(c, "y.yaml", "y.yaml:1", "bad");
	assert_int_equal(reports(c), 3);
	invalid(c, "x.yaml", NULL, "");
	assert_int_equal(reports(c), 1);
	put(c, pool("all", "10.0.0.0/8", 26, 0));
	put(c, block("10.244.1.0/26", "nobody", "pods"));
	assert_int_equal(reports(c), 3);
	for (int i = 0; i < 1000; i++) {
		snprintf(where, sizeof(where), "y.yaml:%d", i);
		invalid(c, "y.yaml", where, "bad");
	}
	assert_int_equal(reports(c), 2 + 64);
	assert_int_equal(cluster_dirty_count(c), 3); /* pools, bgp, the block: reports are no work */
	cluster_free(c);
}

static void nodes_are_found_by_address(void **state)
{
	struct cluster *c = made();
	struct weft_addr ip = addr("10.1.1.2"), ip6 = addr("fd01::2");

	(void)state;
	assert_string_equal(cluster_node_by_ip(c, &ip)->meta.name, "b");
	assert_string_equal(cluster_node_by_ip(c, &ip6)->meta.name, "b");
	put(c, node("twin", "10.1.1.2", NULL));
	del(c, WEFT_NODE, "b");
	assert_string_equal(cluster_node_by_ip(c, &ip)->meta.name, "twin");
	assert_null(cluster_node_by_ip(c, &ip6));
	del(c, WEFT_NODE, "twin");
	assert_null(cluster_node_by_ip(c, &ip));
	assert_int_equal(cluster_count(c, WEFT_NODE), 1);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(trie_finds_above_and_below),
	        cmocka_unit_test(trie_agrees_with_an_array),
	        cmocka_unit_test(events_mark_what_depends),
	        cmocka_unit_test(each_key_is_queued_once),
	        cmocka_unit_test(a_peer_that_is_not_ours_and_a_secret_nobody_names_cost_nothing),
	        cmocka_unit_test(overlapping_pools_have_one_winner),
	        cmocka_unit_test(of_overlapping_pools_the_one_with_blocks_wins),
	        cmocka_unit_test(a_pool_on_a_node_address_is_refused),
	        cmocka_unit_test(a_block_needs_a_pool),
	        cmocka_unit_test(addresses_in_the_blocks_of_this_node),
	        cmocka_unit_test(overlapping_blocks_have_one_winner),
	        cmocka_unit_test(a_lost_rank_is_noticed),
	        cmocka_unit_test(arrival_order_means_nothing_before_synced),
	        cmocka_unit_test(a_block_moves_between_nodes_and_cidrs),
	        cmocka_unit_test(blocks_in_force_never_overlap),
	        cmocka_unit_test(reports_stand_until_taken_back),
	        cmocka_unit_test(nodes_are_found_by_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
