// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Node "a" (10.1.1.1/24 and fd01::1/64 on eth0) with agent/daemon/services: nftables is the real kernel's, in
 * a namespace of the test's own; the rest is serving_kernel.h's. turn() is what agent/daemon/reconcile.c does
 * with Services until a turn is complete.
 */
#ifndef TESTS_UNIT_SERVING_BED_H
#define TESTS_UNIT_SERVING_BED_H

#include "agent/daemon/services.h"
#include "tests/unit/netns.h"
#include "tests/unit/serving_kernel.h"
#include "tests/unit/tmpdir.h"

struct bed {
	struct weft_config cfg;
	struct cluster *cluster;
	struct services *services;
	struct links *links;
	struct wanted *wanted;
	struct announcer *announcer;
	char dir[TMPDIR_SIZE], book[TMPDIR_SIZE + 16];
	bool bird_away;
	struct fib *fib;
	struct nft *nft;
	struct ipvs *ipvs;
	struct health *health;
	struct serving *serving;
	struct weft_addr ip4, ip6;
	uv_loop_t loop;
	uint64_t now;
	bool ipvs_read;

	struct fake_ipvs ipvs_kernel;
	struct bed_routes routes;
	struct bed_conntrack conntrack;
};

/* A client's flow to a Service that this endpoint answers. */
static inline void has_flow(struct bed *b, const char *to, uint16_t port, const char *endpoint,
                            uint16_t endpoint_port)
{
	assert_true(b->conntrack.n < BED_FLOWS);
	b->conntrack.flow[b->conntrack.n++] = (struct ct_flow){.src = {addr("10.9.9.9"), 4000},
	                                                       .dst = {addr(to), port},
	                                                       .reply_src = {addr(endpoint), endpoint_port}};
}

/* --- the node --- */

static inline void has_link(struct bed *b, uint32_t index, const char *name)
{
	struct monitor_event ev = {.type = MONITOR_LINK_NEW,
	                           .link = {.index = index, .up = true, .carrier = true, .mtu = 1500}};

	snprintf(ev.link.name, sizeof(ev.link.name), "%s", name);
	ev.link.loopback = !strcmp(name, "lo");
	links_on_event(b->links, &ev);
	fib_on_event(b->fib, &ev);
}

static inline void address(struct bed *b, enum monitor_type type, const char *ip, uint8_t len)
{
	struct monitor_event ev = {.type = type, .addr = {.index = 3, .addr = addr(ip), .len = len}};

	links_on_event(b->links, &ev);
	fib_on_event(b->fib, &ev);
}

static inline void on_want(void *ctx, const struct weft_route *r)
{
	struct bed *b = ctx;

	assert_int_equal(fib_want(b->fib, r, NULL), 0);
}

static inline void on_unwant(void *ctx, const struct weft_route_key *k)
{
	struct bed *b = ctx;

	fib_unwant(b->fib, k);
}

static inline void tell_health(void *ctx, struct health_proxy *out)
{
	(void)ctx;
	out->live = true;
}

static inline void bed_config(struct weft_config_services *c)
{
	c->enabled = true;
	c->node_port_first = 30000;
	c->node_port_last = 32767;
	c->external_ips.cidr[c->external_ips.n++] = prefix("0.0.0.0/0");
	c->external_ips.cidr[c->external_ips.n++] = prefix("::/0");
	snprintf(c->scheduler, sizeof(c->scheduler), "rr");
}

/* A life of the agent begins: the kernel and the cluster are as they are. */
static inline void begin_life(struct bed *b)
{
	const struct wanted_ops ops = {.want = on_want, .unwant = on_unwant, .ctx = b};
	struct announcer_options announcer;
	struct serving_options o;

	b->services = services_new();
	b->links = links_new();
	b->fib = fib_new(&b->routes.base, b->links);
	has_link(b, 1, "lo");
	has_link(b, 3, "eth0");
	address(b, MONITOR_ADDR_NEW, "10.1.1.1", 24);
	address(b, MONITOR_ADDR_NEW, "fd01::1", 64);
	assert_int_equal(fib_resync(b->fib, b->now, NULL), 0);
	b->wanted = wanted_new(&ops);
	announcer = (struct announcer_options){
	        .cluster = b->cluster, .wanted = b->wanted, .fib = b->fib, .path = b->book};
	b->announcer = announcer_new(&announcer);
	b->nft = nft_new(NULL, NULL);
	assert_non_null(b->nft);
	record.nft = b->nft;
	record.nft_writes = 0;
	b->ipvs = ipvs_new_on(&b->ipvs_kernel.base, b->ipvs_kernel.no_module ? 0 : FAKE_FAMILY, serving_owns,
	                      &b->serving);
	b->ipvs_read = false;
	assert_int_equal(health_new(&b->loop, tell_health, NULL, &b->health, NULL), 0);
	o = (struct serving_options){.cfg = &b->cfg,
	                             .cluster = b->cluster,
	                             .services = b->services,
	                             .links = b->links,
	                             .wanted = b->wanted,
	                             .announcer = b->announcer,
	                             .fib = b->fib,
	                             .nft = b->nft,
	                             .ipvs = b->ipvs,
	                             .conntrack = &b->conntrack.base,
	                             .health = b->health};
	assert_int_equal(serving_new(&o, &b->serving, NULL), 0);
}

static inline void end_life(struct bed *b)
{
	serving_free(b->serving);
	b->serving = NULL;
	health_free(b->health);
	ipvs_free(b->ipvs);
	nft_free(b->nft);
	announcer_free(b->announcer);
	wanted_free(b->wanted);
	fib_free(b->fib);
	links_free(b->links);
	services_free(b->services);
}

static inline void new_life(struct bed *b)
{
	end_life(b);
	begin_life(b);
}

static inline int bed_setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	weft_log_init(WEFT_LOG_ERROR);
	uv_loop_init(&b->loop);
	bed_config(&b->cfg.services);
	b->now = 1000000;
	tmpdir_make(b->dir);
	snprintf(b->book, sizeof(b->book), "%s/adverts", b->dir);
	b->ip4 = addr("10.1.1.1");
	b->ip6 = addr("fd01::1");
	fake_init(&b->ipvs_kernel, 64);
	b->ipvs_kernel.base.ops = &bed_ipvs_ops;
	b->routes.base = (struct netlink){.ops = &bed_route_ops, .port = 77};
	b->conntrack.base.ops = &bed_ct_ops;
	b->cluster = cluster_new("a");
	put(b->cluster, node("a", "10.1.1.1", "fd01::1"));
	synced(b->cluster);
	begin_life(b);
	*state = b;
	return 0;
}

static inline int bed_teardown(void **state)
{
	struct bed *b = *state;

	end_life(b);
	cluster_free(b->cluster);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	free(b->ipvs_kernel.service);
	weft_buf_free(&record.text);
	tmpdir_remove(b->dir);
	free(b);
	return netns_run("nft flush ruleset", NULL, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)

/* --- turns --- */

static inline void drain_cluster(struct bed *b)
{
	struct cluster_dirty d;
	bool refresh = false;

	while (cluster_dirty_next(b->cluster, &d)) {
		if (d.kind == CLUSTER_DIRTY_NODE)
			serving_node_changed(b->serving, d.name);
		if (d.kind == CLUSTER_DIRTY_NAMESPACE)
			serving_namespace_changed(b->serving, d.name);
		refresh |= d.kind == CLUSTER_DIRTY_SERVICES || d.kind == CLUSTER_DIRTY_SELF ||
		           d.kind == CLUSTER_DIRTY_POOLS || d.kind == CLUSTER_DIRTY_BGP;
	}
	if (refresh || !b->ipvs_read)
		serving_refresh(b->serving, &b->ip4, &b->ip6);
}

static inline void plan(struct bed *b)
{
	struct nft_shape shape;

	memset(&shape, 0, sizeof(shape));
	if (!cluster_self(b->cluster))
		return;
	drain_cluster(b);
	serving_shape(b->serving, &shape);
	nft_want(b->nft, &shape);
	if (!b->ipvs_read)
		assert_int_equal(ipvs_resync(b->ipvs, b->now, NULL), 0);
	b->ipvs_read = true;
	serving_plan(b->serving);
}

/* BIRD loads filters that know all classes. True: there were new ones. */
static inline bool bird_loads(struct bed *b)
{
	if (!announcer_known(b->announcer, adverts_version(announcer_book(b->announcer))))
		return false;
	serving_filters_known(b->serving);
	announcer_settle(b->announcer);
	return true;
}

/* 0: complete; 1: again; negative: a socket failed. */
static inline int write_all(struct bed *b)
{
	struct weft_err err = WEFT_ERR_INIT;
	int r = serving_withdraw(b->serving, b->now, &err);

	if (r)
		return r;
	nft_apply(b->nft, b->now, &err);
	r = serving_apply(b->serving, b->now, &err);
	if (fib_apply(b->fib, b->now, &err) < 0)
		r = -EIO;
	record_nft();
	return r;
}

static inline int one_turn(struct bed *b)
{
	b->now += 10;
	plan(b);
	return write_all(b);
}

/* nft_apply() does not replace the table twice in a second: the deadline comes. */
static inline void turn(struct bed *b)
{
	int r, turns = 0;

	do {
		r = one_turn(b);
		assert_true(r >= 0 && turns++ < 20);
		if (r == 0 && !b->bird_away && bird_loads(b))
			r = 1;
		if (r == 0 && nft_deadline(b->nft) != NFT_NEVER && nft_deadline(b->nft) > b->now)
			b->now = nft_deadline(b->nft);
	} while (r == 1 || !nft_settled(b->nft));
}

static inline void sweep(struct bed *b)
{
	assert_false(serving_waits(b->serving));
	fib_sweep(b->fib);
	serving_sweep(b->serving);
	ipvs_sweep(b->ipvs);
	nft_sweep(b->nft);
	turn(b);
}

static inline const char *recorded(void)
{
	return weft_buf_text(&record.text);
}

static inline void forget(void)
{
	record_nft();
	weft_buf_truncate(&record.text, 0);
}

/* Since the last look exactly this was written. */
static inline void wrote(const char *text)
{
	assert_string_equal(recorded(), text);
	forget();
}

/* --- looking --- */

static inline bool has_route(struct bed *b, unsigned table, const char *dst)
{
	struct weft_prefix p = prefix(dst);

	for (size_t i = 0; i < b->routes.n; i++)
		if (b->routes.route[i].route.key.table == table &&
		    !weft_prefix_cmp(&b->routes.route[i].route.key.dst, &p))
			return true;
	return false;
}

#define is_local(b, dst)     has_route(b, RT_TABLE_LOCAL, dst)
#define is_announced(b, dst) has_route(b, WEFT_TABLE_ADVERT, dst)

static inline struct fake_service *virtual_at(struct bed *b, const char *ip, uint8_t proto, uint16_t port)
{
	struct ipvs_msg_key k;

	memset(&k, 0, sizeof(k));
	k.addr = addr(ip);
	k.proto = proto;
	k.port = port;
	return fake_find(&b->ipvs_kernel, &k);
}

/* Does the first destination of the virtual service have this address? */
static inline bool leads_to(struct bed *b, const char *ip, uint16_t port, const char *endpoint)
{
	struct fake_service *s = virtual_at(b, ip, IPPROTO_TCP, port);
	struct weft_addr a = addr(endpoint);

	return s && s->n == 1 && !weft_addr_cmp(&s->dest[0].addr, &a);
}

static inline bool set_has(const char *set, const char *part)
{
	static char out[64 * 1024];
	char command[128];

	snprintf(command, sizeof(command), "nft -n list %s inet weft %s 2>&1",
	         strncmp(set, "etpl", 4) ? "set" : "map", set);
	netns_run(command, out, sizeof(out));
	return strstr(out, part) != NULL;
}

/* --- objects --- */

static inline struct weft_object *service_cidr(const char *name, const char *cidr)
{
	struct weft_object *o = object(WEFT_SERVICECIDR, name);

	o->servicecidr.cidrs[0] = prefix(cidr);
	o->servicecidr.n_cidrs = 1;
	return o;
}

static inline struct weft_object *advertisement(const char *name, unsigned types)
{
	struct weft_object *o = object(WEFT_BGPADVERTISEMENT, name);

	o->bgpadvertisement.types = types;
	return o;
}

#define WEB_SLICE(b, endpoints) services_put((b)->services, slice("ns/web-1", "web", "8080/TCP", endpoints))

#endif
