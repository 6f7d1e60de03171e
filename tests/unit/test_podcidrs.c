// SPDX-License-Identifier: GPL-2.0-or-later
/* ipam.mode node: what is told of Nodes' podCIDRs, and what of the datastore's own pools and blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "agent/plan/bgp.h"
#include "agent/plan/blocks.h"
#include "agent/source/decode.h"
#include "agent/source/podcidrs.h"
#include "tests/unit/objects.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

/* ---- the source inside, and the sink ---- */

static struct inner {
	struct weft_source source;
	weft_sink_fn sink;
	void *ctx;
	unsigned freed, stands;
} inner;

static uv_loop_t loop;
static struct weft_source *source;
static struct cluster *cluster;
static struct weft_buf told;

static int inner_start(struct weft_source *s, weft_sink_fn sink, void *ctx, struct weft_err *err)
{
	(void)s;
	(void)err;
	inner.sink = sink;
	inner.ctx = ctx;
	return 0;
}

static int inner_stand(struct weft_source *s, const char *role, const char *identity,
                       void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err)
{
	(void)identity;
	(void)on_change;
	(void)ctx;
	(void)err;
	assert_ptr_equal(s, &inner.source);
	assert_string_equal(role, "controller");
	return (int)++inner.stands;
}

static void inner_free(struct weft_source *s)
{
	(void)s;
	inner.freed++;
}

static const struct weft_source_ops inner_ops = {
        .start = inner_start, .stand = inner_stand, .free = inner_free};

/* Each event as a line: +Kind key detail, -Kind key, !text. */
static void sink(void *ctx, const struct weft_event *ev)
{
	char a[WEFT_PREFIX_STR];

	(void)ctx;
	if (ev->type == WEFT_EV_INVALID)
		weft_buf_printf(&told, "!%s\n", ev->text);
	else if (ev->type == WEFT_EV_SYNCED)
		weft_buf_str(&told, "synced\n");
	else if (ev->type == WEFT_EV_DELETE)
		weft_buf_printf(&told, "-%s %s\n", weft_kind_name(ev->kind), ev->key);
	else if (ev->kind == WEFT_IPBLOCK)
		weft_buf_printf(&told, "+IPBlock %s %s of %s\n", ev->key, ev->obj->ipblock.pool,
		                ev->obj->ipblock.node);
	else if (ev->kind == WEFT_IPPOOL)
		weft_buf_printf(&told, "+IPPool %s %s\n", ev->key, weft_prefix_str(&ev->obj->ippool.cidr, a));
	else
		weft_buf_printf(&told, "+%s %s\n", weft_kind_name(ev->kind), ev->key);
	cluster_handle(cluster, ev);
}

/* What was told since the last look. */
static void said(const char *expected)
{
	assert_string_equal(weft_buf_text(&told), expected);
	weft_buf_truncate(&told, 0);
}

static void event(enum weft_event_type type, enum weft_kind kind, const char *key, struct weft_object *obj)
{
	inner.sink(inner.ctx, &(struct weft_event){.type = type, .kind = kind, .key = key, .obj = obj});
}

/* A Node with its podCIDRs, NULL = none. */
static void node_with(const char *name, const char *cidr4, const char *cidr6)
{
	struct weft_object *o = node(name, !strcmp(name, "me") ? "192.0.2.1" : "192.0.2.2", NULL);

	if (cidr4)
		o->node.pod_cidr4 = prefix(cidr4);
	if (cidr6)
		o->node.pod_cidr6 = prefix(cidr6);
	event(WEFT_EV_UPSERT, WEFT_NODE, name, o);
}

static void no_node(const char *name)
{
	event(WEFT_EV_DELETE, WEFT_NODE, name, NULL);
}

static int setup(void **state)
{
	struct weft_prefix clusters[] = {prefix("10.244.0.0/16"), prefix("fd00:10:244::/48")};

	(void)state;
	inner = (struct inner){.source.ops = &inner_ops};
	told = (struct weft_buf){0};
	assert_int_equal(uv_loop_init(&loop), 0);
	cluster = cluster_new("me");
	source = weft_podcidrs_new(&(struct weft_podcidrs_options){.loop = &loop,
	                                                           .source = &inner.source,
	                                                           .node = "me",
	                                                           .clusters = clusters,
	                                                           .n_clusters = 2,
	                                                           .tunnel = WEFT_TUNNEL_CROSS_SUBNET});
	assert_int_equal(source->ops->start(source, sink, NULL, NULL), 0);
	said("+IPPool cluster-10.244.0.0-16 10.244.0.0/16\n+IPPool cluster-fd00-10-244---48 fd00:10:244::/48\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	source->ops->free(source);
	assert_int_equal(inner.freed, 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	cluster_free(cluster);
	weft_buf_free(&told);
	return 0;
}

/* ---- Nodes ---- */

static void blocks_of_nodes(void **state)
{
	struct cluster_block b;
	struct weft_prefix cidr = prefix("10.244.1.0/24");

	(void)state;
	node_with("me", "10.244.1.0/24", "fd00:10:244:1::/64");
	node_with("other", "10.244.2.0/24", NULL);
	event(WEFT_EV_SYNCED, 0, NULL, NULL);
	said("+Node me\n+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of me\n"
	     "+IPBlock fd00-10-244-1---116 cluster-fd00-10-244---48 of me\n"
	     "+Node other\n+IPBlock 10.244.2.0-24 cluster-10.244.0.0-16 of other\nsynced\n");
	assert_true(cluster_block(cluster, &cidr, &b));
	assert_int_equal(b.state, CLUSTER_BLOCK_OK);
	assert_true(b.own);
	assert_int_equal(b.pool->tunnel, WEFT_TUNNEL_CROSS_SUBNET);
	assert_true(b.pool->disabled);
	assert_true(cluster_wants_tunnel(cluster, AF_INET));

	/* The same again: labels and heartbeats change nothing. */
	node_with("me", "10.244.1.0/24", "fd00:10:244:1::/64");
	said("+Node me\n");
	node_with("other", "10.244.3.0/24", NULL);
	said("+Node other\n-IPBlock 10.244.2.0-24\n+IPBlock 10.244.3.0-24 cluster-10.244.0.0-16 of other\n");
	no_node("other");
	said("-IPBlock 10.244.3.0-24\n-Node other\n");
	no_node("never");
	said("-Node never\n");
}

/* What no allocation file could hold is used as far as it can; the first addresses, for all nodes alike. */
static void large(void **state)
{
	(void)state;
	node_with("me", "10.244.64.0/18", "fd00:10:244::/64");
	said("+Node me\n+IPBlock 10.244.64.0-20 cluster-10.244.0.0-16 of me\n"
	     "+IPBlock fd00-10-244---116 cluster-fd00-10-244---48 of me\n");
	node_with("a", "10.244.0.0/20", "fd00:10:244:1::/116");
	said("+Node a\n+IPBlock 10.244.0.0-20 cluster-10.244.0.0-16 of a\n"
	     "+IPBlock fd00-10-244-1---116 cluster-fd00-10-244---48 of a\n");
	node_with("b", "10.244.32.0/28", "fd00:10:244:2::/124");
	said("+Node b\n+IPBlock 10.244.32.0-28 cluster-10.244.0.0-16 of b\n"
	     "+IPBlock fd00-10-244-2---124 cluster-fd00-10-244---48 of b\n");
}

static void not_usable(void **state)
{
	(void)state;
	node_with("a", "10.1.0.0/24", NULL);
	said("+Node a\n!podCIDR 10.1.0.0/24 of Node a lies in none of ipam.clusterCIDRs\n");
	node_with("a", "10.1.0.0/24", NULL); /* said once */
	said("+Node a\n");
	node_with("a", "10.244.0.0/29", NULL);
	said("+Node a\n!podCIDR 10.244.0.0/29 of Node a is smaller than /28\n");
	node_with("a", NULL, "fd00:10:244::/125");
	said("+Node a\n!podCIDR fd00:10:244::/125 of Node a is smaller than /124\n");
	node_with("a", "10.0.0.0/8", NULL); /* larger than all that there is */
	said("+Node a\n!podCIDR 10.0.0.0/8 of Node a lies in none of ipam.clusterCIDRs\n");
	assert_true(cluster_invalid(cluster));
	node_with("a", "10.244.0.0/24", NULL);
	said("+Node a\n+IPBlock 10.244.0.0-24 cluster-10.244.0.0-16 of a\n!\n");
	assert_false(cluster_invalid(cluster));
	node_with("a", "10.1.0.0/24", "fd00:10:244::/64"); /* one of two */
	said("+Node a\n-IPBlock 10.244.0.0-24\n+IPBlock fd00-10-244---116 cluster-fd00-10-244---48 of a\n"
	     "!podCIDR 10.1.0.0/24 of Node a lies in none of ipam.clusterCIDRs\n");
	no_node("a");
	said("!\n-IPBlock fd00-10-244---116\n-Node a\n");
	assert_false(cluster_invalid(cluster));
}

static void waits_for_ours(void **state)
{
	(void)state;
	node_with("other", NULL, NULL);
	said("+Node other\n");
	node_with("me", NULL, NULL);
	said("+Node me\n!Node me has no spec.podCIDRs yet: the controller manager gives it one with --allocate-node-cidrs\n");
	node_with("me", NULL, "fd00:10:244::/64");
	said("+Node me\n+IPBlock fd00-10-244---116 cluster-fd00-10-244---48 of me\n!\n");
}

/* Two Nodes with one podCIDR: after a missed deletion the new one comes before the old one goes. */
static void same_podcidr(void **state)
{
	(void)state;
	node_with("a", "10.244.1.0/24", NULL);
	node_with("b", "10.244.1.0/24", NULL);
	said("+Node a\n+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of a\n+Node b\n"
	     "!podCIDR 10.244.1.0/24 of Node b is Node a's, too\n");
	no_node("a");
	said("+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of b\n!\n-Node a\n");
	node_with("a", "10.244.1.0/24", NULL);
	node_with("b", "10.244.2.0/24", NULL);
	said("+Node a\n!podCIDR 10.244.1.0/24 of Node a is Node b's, too\n+Node b\n"
	     "+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of a\n!\n"
	     "+IPBlock 10.244.2.0-24 cluster-10.244.0.0-16 of b\n");
}

/* ---- our own Node vanishes: its pods stay ---- */

static void own_node_registered_anew(void **state)
{
	(void)state;
	node_with("me", "10.244.1.0/24", "fd00:10:244:1::/64");
	said("+Node me\n+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of me\n"
	     "+IPBlock fd00-10-244-1---116 cluster-fd00-10-244---48 of me\n");
	no_node("me");
	said("-Node me\n");
	node_with("me", NULL, NULL); /* it waits for the controller manager */
	said("+Node me\n");
	node_with("me", "10.244.1.0/24", "fd00:10:244:1::/64");
	said("+Node me\n");
	no_node("me");
	node_with("me", "10.244.7.0/24", "fd00:10:244:1::/64");
	said("-Node me\n+Node me\n-IPBlock 10.244.1.0-24\n+IPBlock 10.244.7.0-24 cluster-10.244.0.0-16 of me\n");
}

static void own_podcidr_given_to_another(void **state)
{
	(void)state;
	node_with("me", "10.244.1.0/24", NULL);
	no_node("me");
	said("+Node me\n+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of me\n-Node me\n");
	node_with("other", "10.244.1.0/24", NULL);
	said("+Node other\n+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of other\n");
	node_with("me", NULL, NULL);
	said("+Node me\n!Node me has no spec.podCIDRs yet: the controller manager gives it one with --allocate-node-cidrs\n");
	node_with("me", "10.244.2.0/24", NULL);
	said("+Node me\n+IPBlock 10.244.2.0-24 cluster-10.244.0.0-16 of me\n!\n");
}

/* The other one was there first, and waited. */
static void another_waits_for_our_podcidr(void **state)
{
	(void)state;
	node_with("me", "10.244.1.0/24", NULL);
	node_with("other", "10.244.1.0/24", NULL);
	said("+Node me\n+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of me\n+Node other\n"
	     "!podCIDR 10.244.1.0/24 of Node other is Node me's, too\n");
	no_node("me");
	said("+IPBlock 10.244.1.0-24 cluster-10.244.0.0-16 of other\n!\n-Node me\n");
}

/* ---- the datastore's own ---- */

static struct weft_object *pool_for(const char *name, enum weft_pool_use use)
{
	struct weft_object *o = object(WEFT_IPPOOL, name);

	o->ippool.cidr = prefix("192.0.2.0/24");
	o->ippool.block_size = 26;
	o->ippool.use = use;
	return o;
}

static void pools_and_blocks_of_the_datastore(void **state)
{
	struct weft_object *o = object(WEFT_IPBLOCK, "10.244.9.0-26");

	(void)state;
	o->ipblock = (struct weft_ipblock){
	        .cidr = prefix("10.244.9.0/26"), .node = strdup("me"), .pool = strdup("pods")};
	event(WEFT_EV_UPSERT, WEFT_IPBLOCK, "10.244.9.0-26", o);
	event(WEFT_EV_DELETE, WEFT_IPBLOCK, "10.244.9.0-26", NULL);
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "pods", pool_for("pods", WEFT_USE_PODS));
	event(WEFT_EV_DELETE, WEFT_IPPOOL, "pods", NULL);
	said("");
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "lb", pool_for("lb", WEFT_USE_LOADBALANCER));
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "lb", pool_for("lb", WEFT_USE_LOADBALANCER));
	said("+IPPool lb 192.0.2.0/24\n+IPPool lb 192.0.2.0/24\n");
	event(WEFT_EV_DELETE, WEFT_IPPOOL, "lb", NULL);
	said("-IPPool lb\n");
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "lb", pool_for("lb", WEFT_USE_LOADBALANCER));
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "lb", pool_for("lb", WEFT_USE_PODS)); /* another use from now on */
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "lb", pool_for("lb", WEFT_USE_LOADBALANCER));
	said("+IPPool lb 192.0.2.0/24\n-IPPool lb\n+IPPool lb 192.0.2.0/24\n");
}

/* A user's pool can't take the place of the cluster CIDR's. */
static void pool_of_our_name(void **state)
{
	(void)state;
	event(WEFT_EV_UPSERT, WEFT_IPPOOL, "cluster-10.244.0.0-16",
	      pool_for("cluster-10.244.0.0-16", WEFT_USE_LOADBALANCER));
	event(WEFT_EV_DELETE, WEFT_IPPOOL, "cluster-10.244.0.0-16", NULL);
	said("");
}

static void others_pass(void **state)
{
	(void)state;
	event(WEFT_EV_UPSERT, WEFT_BGPCONFIG, "default", object(WEFT_BGPCONFIG, "default"));
	event(WEFT_EV_DELETE, WEFT_BGPCONFIG, "default", NULL);
	inner.sink(inner.ctx, &(struct weft_event){.type = WEFT_EV_INVALID, .where = "f:1", .text = "bad"});
	said("+BGPConfig default\n-BGPConfig default\n!bad\n");
}

/* ---- what is planned of it ---- */

static void nothing_is_claimed(void **state)
{
	struct blocks_config cfg = {.spare = 16, .release_after = 1};
	struct blocks_own own[] = {{.cidr = prefix("10.244.1.0/24"), .free = 256, .empty_since = 0},
	                           {.cidr = prefix("10.244.9.0/24"), .free = 256, .empty_since = 0}};
	struct blocks_action a;

	(void)state;
	node_with("me", "10.244.1.0/24", NULL);
	event(WEFT_EV_SYNCED, 0, NULL, NULL);
	blocks_plan(cluster, own, 2, &cfg, 1000000, &a);
	assert_int_equal(a.step, BLOCKS_NONE); /* neither claimed nor, although empty, released */
	own[0].free = 0;
	blocks_plan(cluster, own, 1, &cfg, 1000000, &a);
	assert_int_equal(a.step, BLOCKS_NONE);
	blocks_claim(cluster, AF_INET, NULL, &a);
	assert_int_equal(a.step, BLOCKS_EXHAUSTED);
	assert_string_equal(a.text,
	                    "no IPv4 block can be claimed: IPPool cluster-10.244.0.0-16 gives each node the "
	                    "podCIDR of its Node, and no more. Free addresses: a node has as many pods as "
	                    "its podCIDR");
}

/* BGP's filters let blocks of any length that podCIDRs give pass, and nothing else. */
static void bgp_filters(void **state)
{
	struct bgp_params params = {0};
	struct bgp_model m;

	(void)state;
	node_with("me", "10.244.1.0/24", NULL);
	event(WEFT_EV_SYNCED, 0, NULL, NULL);
	bgp_plan(cluster, &params, &m);
	assert_int_equal(m.n_import, 2);
	assert_int_equal(m.n_advertise, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct bgp_range *r = &m.import[i];

		assert_int_equal(r->ge, r->cidr.addr.family == AF_INET ? 20 : 116);
		assert_int_equal(r->le, r->cidr.addr.family == AF_INET ? 28 : 124);
	}
	bgp_model_free(&m);
}

/* ---- writes ---- */

static unsigned answers;

static void refused(void *ctx, const struct weft_err *err)
{
	assert_ptr_equal(ctx, &answers);
	assert_non_null(err);
	assert_int_equal(err->code, -EEXIST);
	answers++;
}

static void done(void *ctx, const struct weft_err *err)
{
	assert_ptr_equal(ctx, &answers);
	assert_null(err);
	answers++;
}

static void writes(void **state)
{
	struct weft_prefix cidr = prefix("10.244.1.0/24");

	(void)state;
	answers = 0;
	source->ops->claim_block(source, &cidr, "me", "pods", refused, &answers);
	source->ops->release_block(source, &cidr, "me", done, &answers);
	assert_int_equal(answers, 0); /* later, on the loop */
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(answers, 2);
	source->ops->claim_block(source, &cidr, "me", "pods", refused, &answers);
	/* freed with one to be answered: it is not */
}

/* What the source inside can do can be done; what it can't, can't. */
static void operations(void **state)
{
	(void)state;
	assert_int_equal(source->ops->stand(source, "controller", "me", NULL, NULL, NULL), 1);
	assert_null(source->ops->tell);
	assert_null(source->ops->node_condition);
	assert_null(source->ops->put_status);
}

/* ---- the Node's manifest ---- */

static void decoded(const char *pod_cidrs, const char *cidr4, const char *cidr6)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded d = {0};
	char text[512], got[WEFT_PREFIX_STR];
	cJSON *json;

	snprintf(text, sizeof(text),
	         "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\"},\"spec\":%s}",
	         pod_cidrs);
	json = cJSON_Parse(text);
	assert_non_null(json);
	assert_int_equal(weft_decode(json, &d, &err), 0);
	assert_string_equal(weft_prefix_str(&d.obj->node.pod_cidr4, got), cidr4);
	assert_string_equal(weft_prefix_str(&d.obj->node.pod_cidr6, got), cidr6);
	weft_object_free(d.obj);
	cJSON_Delete(json);
}

/* Whatever it is: a Node is not lost for it. */
static void decoding(void **state)
{
	(void)state;
	decoded("{\"podCIDRs\":[\"10.244.1.0/24\",\"fd00::/64\"]}", "10.244.1.0/24", "fd00::/64");
	decoded("{\"podCIDRs\":[\"fd00::/64\",\"10.244.1.0/24\"]}", "10.244.1.0/24", "fd00::/64");
	decoded("{\"podCIDRs\":[\"10.244.1.0/24\",\"10.244.2.0/24\"]}", "10.244.1.0/24", "");
	decoded("{\"podCIDRs\":[\"10.244.1.0/24\",\"10.244.2.0/24\",\"fd00::/64\"]}", "10.244.1.0/24", "");
	decoded("{\"podCIDRs\":[\"10.244.1.1/24\",7]}", "", "");
	decoded("{\"podCIDRs\":[[],\"fd00::/64\"]}", "", "fd00::/64");
	decoded("{\"podCIDRs\":\"10.244.1.0/24\"}", "", "");
	decoded("{\"podCIDRs\":{\"a\":\"10.244.1.0/24\"}}", "", "");
	decoded("{\"podCIDRs\":null}", "", "");
	decoded("{}", "", "");
}

/* A Node that gets its podCIDR is another object than before. */
static void digest(void **state)
{
	struct weft_object *a = node("n", "192.0.2.1", NULL), *b = node("n", "192.0.2.1", NULL);

	(void)state;
	assert_true(weft_object_equal(a, b));
	b->node.pod_cidr4 = prefix("10.244.1.0/24");
	assert_false(weft_object_equal(a, b));
	a->node.pod_cidr4 = prefix("10.244.1.0/24");
	b->node.pod_cidr6 = prefix("fd00::/64");
	assert_false(weft_object_equal(a, b));
	weft_object_free(a);
	weft_object_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	        T(blocks_of_nodes),
	        T(large),
	        T(not_usable),
	        T(waits_for_ours),
	        T(same_podcidr),
	        T(own_node_registered_anew),
	        T(own_podcidr_given_to_another),
	        T(another_waits_for_our_podcidr),
	        T(pools_and_blocks_of_the_datastore),
	        T(pool_of_our_name),
	        T(others_pass),
	        T(nothing_is_claimed),
	        T(bgp_filters),
	        T(writes),
	        T(operations),
	        T(decoding),
	        T(digest)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
