// SPDX-License-Identifier: GPL-2.0-or-later
/* A node's page: the dataplane, from what its modules have counted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/marks.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/metrics.h"
#include "agent/daemon/metrics_bird.h"

#define POLL_MS 15000

/* --- the kernel --- */

static void write_routes(const struct agent *a, struct metrics_page *p)
{
	struct fib_tally t = fib_tally(a->fib);

	metric(p, METRIC_ROUTES);
	for (int kind = 0; kind < FIB_KINDS; kind++)
		for (int state = 0; state < FIB_STALE; state++)
			metrics_sample(p, (double)t.count[kind][state], fib_kind_table((enum fib_kind)kind),
			               fib_kind_name((enum fib_kind)kind),
			               fib_state_name((enum fib_state)state));
	metric_single(p, METRIC_ROUTE_WRITES, (double)t.writes);
	metric_single(p, METRIC_ROUTE_REPAIRS, (double)t.repairs);
}

static void write_tunnels(const struct agent *a, struct metrics_page *p)
{
	static const char *const names[] = {[TUNNEL_IPIP] = WEFT_DEV_IPIP, [TUNNEL_SIT] = WEFT_DEV_SIT};
	const bool wanted[] = {[TUNNEL_IPIP] = a->env.ipip_ready, [TUNNEL_SIT] = a->env.sit_ready};
	const struct link_info *link;

	metric(p, METRIC_TUNNEL_UP);
	for (int i = 0; i < TUNNEL_TYPES; i++) {
		link = links_by_name(a->links, names[i]);
		if (wanted[i])
			metrics_sample(p, link && link->up && !*tunnel_fault(a->tunnel, (enum tunnel_type)i),
			               names[i]);
	}
	metric(p, METRIC_TUNNEL_MTU);
	for (int i = 0; i < TUNNEL_TYPES; i++) {
		link = links_by_name(a->links, names[i]);
		if (wanted[i] && link)
			metrics_sample(p, link->mtu, names[i]);
	}
}

static void write_nft(const struct agent *a, struct metrics_page *p)
{
	struct nft_stats s = nft_stats(a->nft);

	metric_single(p, METRIC_TUNNEL_PEERS, (double)s.peers);
	metric_single(p, METRIC_NFT_ELEMENTS, (double)s.elements);
	metric_single(p, METRIC_NFT_REPLACEMENTS, (double)s.replacements);
	metric_single(p, METRIC_NFT_UPDATES, (double)s.element_updates);
	metric_single(p, METRIC_NFT_FAILURES, (double)s.failures);
	metric_single(p, METRIC_NFT_REPAIRS, (double)s.repairs);
}

static void write_ipvs(const struct agent *a, struct metrics_page *p)
{
	struct ipvs_tally t = ipvs_tally(a->ipvs);

	metric_single(p, METRIC_IPVS_UP, ipvs_available(a->ipvs, NULL));
	metric(p, METRIC_IPVS_SERVICES);
	for (int state = 0; state < IPVS_STALE; state++)
		metrics_sample(p, (double)t.count[state], ipvs_state_name((enum ipvs_state)state));
	metric_single(p, METRIC_IPVS_DESTS, (double)t.dests);
	metric_single(p, METRIC_IPVS_WRITES, (double)t.writes);
	metric_single(p, METRIC_IPVS_REPAIRS, (double)t.repairs);
}

static void write_loop(const struct agent *a, struct metrics_page *p)
{
	struct holdings_counts h = holdings_counts(a->holdings);

	metrics_histogram(p, &metrics_families[METRIC_RECONCILE], &a->counters.reconcile);
	metric_single(p, METRIC_RECONCILE_FAILURES, (double)a->counters.failures);
	metric(p, METRIC_QUEUE);
	metrics_sample(p, (double)cluster_dirty_count(a->cluster), "cluster");
	metrics_sample(p, (double)services_dirty_count(a->services), "services");
	metrics_sample(p, (double)h.waiting, "block-requests");
	metric_single(p, METRIC_OVERFLOWS, (double)a->counters.overflows);
	metric(p, METRIC_RESYNCS);
	metrics_sample(p, (double)fib_tally(a->fib).resyncs, "routes");
	metrics_sample(p, (double)ipvs_tally(a->ipvs).resyncs, "ipvs");
	metrics_sample(p, (double)nft_stats(a->nft).readbacks, "nftables");
}

/* --- Services --- */

static void write_services(const struct agent *a, struct metrics_page *p)
{
	struct serving_stats s = serving_stats(a->serving);
	uint64_t since = serving_oldest_pending(a->serving), now = uv_hrtime() / 1000000;

	metric_single(p, METRIC_SERVICES, (double)services_count(a->services));
	metric_single(p, METRIC_SLICES, (double)services_slice_count(a->services));
	metric_single(p, METRIC_SERVICE_PROBLEMS, (double)s.problems);
	metric(p, METRIC_VIPS);
	metrics_sample(p, (double)s.vips, "all");
	metrics_sample(p, (double)s.announced, "announced");
	metrics_sample(p, (double)s.waiting, "waiting");
	metric_single(p, METRIC_PENDING_AGE, since && now > since ? (double)(now - since) / 1000 : 0);
}

static void write_kubeproxy(const struct agent *a, struct metrics_page *p)
{
	const struct agent_counters *c = &a->counters;
	struct services_changes n = services_changes(a->services);
	struct serving_stats s = serving_stats(a->serving);
	struct health_counts h = health_counts(a->health);

	metrics_histogram(p, &metrics_families[METRIC_KP_SYNC], &c->sync);
	metric_single(p, METRIC_KP_LAST, (double)c->synced_ms / 1000);
	metric_single(p, METRIC_KP_QUEUED, (double)c->queued_ms / 1000);
	metrics_histogram(p, &metrics_families[METRIC_KP_PROGRAMMING], &c->programming);
	metric_single(p, METRIC_KP_ENDPOINTS, (double)n.slices);
	metric_single(p, METRIC_KP_ENDPOINTS_PENDING, (double)(n.slices - c->synced.slices));
	metric_single(p, METRIC_KP_SERVICES, (double)n.services);
	metric_single(p, METRIC_KP_SERVICES_PENDING, (double)(n.services - c->synced.services));
	metric(p, METRIC_KP_NO_LOCAL);
	metrics_sample(p, (double)s.no_local[0], "internal");
	metrics_sample(p, (double)s.no_local[1], "external");
	metric(p, METRIC_KP_HEALTHZ);
	metrics_sample(p, (double)h.healthz_ok, "200");
	metrics_sample(p, (double)h.healthz_unavailable, "503");
	metric(p, METRIC_KP_LIVEZ);
	metrics_sample(p, (double)h.livez_ok, "200");
	metrics_sample(p, (double)h.livez_unavailable, "503");
}

/* --- addresses: a node has few blocks --- */

static bool same_group(const struct weft_ipam_block *a, const struct weft_ipam_block *b)
{
	return a->cidr.addr.family == b->cidr.addr.family && !strcmp(a->pool, b->pool);
}

/* The first of its pool and family has the sums; false: this one is not the first. */
static bool group(const struct weft_ipam_block *list, size_t n, size_t i, double *blocks,
                  struct weft_ipam_counts *sum)
{
	*blocks = 0;
	*sum = (struct weft_ipam_counts){0};
	for (size_t k = 0; k < n; k++) {
		const struct weft_ipam_counts *c = &list[k].counts;

		if (!same_group(&list[k], &list[i]))
			continue;
		if (k < i)
			return false;
		(*blocks)++;
		sum->used += c->used;
		sum->free += c->free;
		sum->cooling += c->cooling;
		sum->reserved += c->reserved;
		sum->corrupt += c->corrupt;
	}
	return true;
}

static const char *family_of(const struct weft_ipam_block *b)
{
	return b->cidr.addr.family == AF_INET6 ? "ipv6" : "ipv4";
}

static void write_addresses(struct metrics_page *p, const struct weft_ipam_block *list, size_t n)
{
	struct weft_ipam_counts c;
	double blocks;

	metric(p, METRIC_IPAM_BLOCKS);
	for (size_t i = 0; i < n; i++)
		if (group(list, n, i, &blocks, &c))
			metrics_sample(p, blocks, list[i].pool, family_of(&list[i]));
	metric(p, METRIC_IPAM_ADDRESSES);
	for (size_t i = 0; i < n; i++) {
		if (!group(list, n, i, &blocks, &c))
			continue;
		metrics_sample(p, c.used, list[i].pool, family_of(&list[i]), "used");
		metrics_sample(p, c.free, list[i].pool, family_of(&list[i]), "free");
		metrics_sample(p, c.cooling, list[i].pool, family_of(&list[i]), "cooling");
		metrics_sample(p, c.reserved, list[i].pool, family_of(&list[i]), "reserved");
		metrics_sample(p, c.corrupt, list[i].pool, family_of(&list[i]), "unreadable");
	}
}

static void write_ipam(const struct agent *a, struct metrics_page *p)
{
	struct holdings_counts h = holdings_counts(a->holdings);
	struct weft_ipam_block *list = NULL;
	size_t n = 0;

	if (weft_ipam_list(a->ipam, &list, &n, NULL) < 0)
		n = 0; /* holdings tells in status */
	write_addresses(p, list, n);
	weft_ipam_blocks_free(list, n);
	metric(p, METRIC_IPAM_CLAIMS);
	metrics_sample(p, (double)h.claimed, "claimed");
	metrics_sample(p, (double)h.lost, "lost");
	metrics_sample(p, (double)h.failed, "failed");
	metric(p, METRIC_IPAM_RELEASES);
	metrics_sample(p, (double)h.released, "released");
	metrics_sample(p, (double)h.release_failed, "failed");
}

/* --- the page --- */

static void write_page(void *ctx, struct metrics_page *p, bool in_time)
{
	const struct agent *a = ctx;
	struct metrics_common c = {.source = a->source,
	                           .cluster = a->cluster,
	                           .services = services_count(a->services),
	                           .slices = services_slice_count(a->services),
	                           .controller = a->controller};

	metrics_write_common(p, &c);
	metrics_bird_write(a->metrics_bird, p, in_time);
	metric_single(p, METRIC_READY, a->ready);
	write_routes(a, p);
	write_tunnels(a, p);
	write_nft(a, p);
	write_ipvs(a, p);
	write_services(a, p);
	write_loop(a, p);
	write_ipam(a, p);
	if (a->cfg.services.enabled)
		write_kubeproxy(a, p);
}

static bool ask(void *ctx)
{
	const struct agent *a = ctx;

	return metrics_bird_ask(a->metrics_bird);
}

static void on_answered(void *ctx)
{
	const struct agent *a = ctx;

	if (a->metrics)
		metrics_ready(a->metrics);
}

int agent_metrics_open(struct agent *a, struct weft_err *err)
{
	struct metrics_options o = {
	        .loop = a->loop, .listen = &a->cfg.metrics, .ask = ask, .write = write_page, .ctx = a};

	a->metrics_bird = metrics_bird_new(a->loop, a->bird, o.listen->port ? POLL_MS : 0, on_answered, a);
	a->metrics = a->metrics_bird ? metrics_new(&o) : NULL;
	return a->metrics ? 0 : weft_err_errno(err, ENOMEM, "metrics");
}

void agent_metrics_close(struct agent *a)
{
	metrics_free(a->metrics);
	a->metrics = NULL;
}
