// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's side of the daemon: sockets, the mirror of devices, and passing events on in the right order.
 */
#include "agent/daemon/agent.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "weft/log.h"
#include "weft/marks.h"

#include "agent/apply/foreign.h"

#define EVENTS_PER_TURN 256 /* datagrams; the loop stays responsive while 10,000 of BIRD's routes pass by */

/* Pods' devices and tunnels are not the underlay: a pod that comes or goes makes nobody look at it again. */
static bool concerns_own_device(const struct agent *a, const struct monitor_event *ev)
{
	const struct link_info *link = &ev->link;

	if (ev->type == MONITOR_ADDR_NEW || ev->type == MONITOR_ADDR_DEL)
		link = links_by_index(a->links, ev->addr.index);
	return link && !strncmp(link->name, WEFT_DEV_PREFIX, strlen(WEFT_DEV_PREFIX));
}

static void on_event(void *ctx, const struct monitor_event *ev)
{
	struct agent *a = ctx;

	if (ev->type == MONITOR_OVERFLOW) {
		log_warning("the kernel's notifications overflowed: reading everything again");
		a->counters.overflows++;
		a->resync = true;
		return;
	}
	if (links_on_event(a->links, ev)) {
		if (!concerns_own_device(a, ev))
			a->underlay_dirty = true;
		if (ev->type == MONITOR_LINK_NEW)
			sysctl_on_device(a->sysctl, ev->link.name);
	}
	fib_on_event(a->fib, ev);
	tunnel_on_event(a->tunnel, ev);
	routers_on_event(&a->routers, a->links, ev);
}

/* Reads nothing if nothing is due. */
static int look_for_routers(struct agent *a, struct weft_err *err)
{
	int r = a->follows_routers ? routers_look(&a->routers, a->nl, a->links, err) : 0;

	a->bgp_dirty |= r > 0;
	return r < 0 ? r : 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct agent *a = poll->data;
	struct weft_err err = WEFT_ERR_INIT;

	(void)events;
	if (status < 0 || monitor_read(a->monitor, EVENTS_PER_TURN, on_event, a, &err) < 0 ||
	    look_for_routers(a, &err) < 0) {
		log_error("following the kernel: %s", status < 0 ? uv_strerror(status) : err.text);
		a->resync = true;
	}
	agent_wake(a);
}

static void on_nft(uv_poll_t *poll, int status, int events)
{
	struct agent *a = poll->data;

	(void)status;
	(void)events;
	nft_on_readable(a->nft);
	a->firewall_dirty = true;
	agent_wake(a);
}

int agent_kernel_resync(struct agent *a, struct weft_err *err)
{
	uint64_t now = uv_now(a->loop);
	int r = links_resync(a->links, a->nl, err);

	if (r == 0)
		r = fib_resync(a->fib, now, err);
	if (r == 0)
		r = nft_resync(a->nft, err);
	if (r == 0 && a->ipvs_read)
		r = ipvs_resync(a->ipvs, now, err);
	routers_resync(&a->routers);
	if (r == 0)
		r = look_for_routers(a, err);
	if (r < 0)
		return r;
	tunnel_resync(a->tunnel);
	sysctl_resync(a->sysctl);
	a->underlay_dirty = true;
	return 0;
}

/* Is the prefix on this device the network of our InternalIP? Planning and the MTU follow it. */
static bool add_underlay(void *ctx, const struct link_net *net)
{
	struct agent *a = ctx;
	struct routes_link *l = &a->underlay[a->env.n_links];

	if (a->env.n_links == AGENT_LINKS_MAX)
		return false;
	strcpy(l->dev, net->dev);
	l->prefix = net->net;
	l->addr = net->addr;
	l->down = net->down;
	a->env.n_links++;
	if (!weft_addr_cmp(&net->addr, &a->env.ip4) || !weft_addr_cmp(&net->addr, &a->env.ip6))
		if (!a->underlay_mtu || net->mtu < a->underlay_mtu)
			a->underlay_mtu = net->mtu;
	return true;
}

static bool smallest_mtu(void *ctx, const struct link_net *net)
{
	uint32_t *mtu = ctx;

	if (!*mtu || net->mtu < *mtu)
		*mtu = net->mtu;
	return true;
}

void agent_underlay_refresh(struct agent *a)
{
	struct routes_link before[AGENT_LINKS_MAX];
	size_t n = a->env.n_links;
	uint32_t mtu = a->underlay_mtu;

	memcpy(before, a->underlay, sizeof(before));
	memset(a->underlay, 0, sizeof(a->underlay));
	a->env.n_links = 0;
	a->underlay_mtu = 0;
	links_underlay(a->links, add_underlay, a);
	/* Node addresses on a loopback (unnumbered fabrics): any of the links may carry the traffic. */
	if (!a->underlay_mtu)
		links_underlay(a->links, smallest_mtu, &a->underlay_mtu);
	if (!a->underlay_mtu)
		a->underlay_mtu = links_unnumbered_mtu(a->links);
	/* All links down: a moment, for which no tunnel is torn down and no pod gets another MTU. */
	if (!a->underlay_mtu)
		a->underlay_mtu = mtu;
	if (mtu != a->underlay_mtu)
		a->tunnels_dirty = true;
	if (n != a->env.n_links || memcmp(before, a->underlay, sizeof(before)))
		cluster_dirty_all(a->cluster);
}

int agent_flush_bird_routes(struct agent *a, size_t *removed, struct weft_err *err)
{
	return foreign_routes_flush(a->nl, RTPROT_BIRD, RT_TABLE_MAIN, WEFT_METRIC_BIRD, removed, err);
}

static bool names_no_address(void *ctx, const struct weft_object *obj)
{
	bool *found = ctx;

	*found = !weft_addr_is_set(&obj->bgppeer.address);
	return *found;
}

void agent_follow_routers(struct agent *a)
{
	struct weft_err err = WEFT_ERR_INIT;
	bool wanted = false;

	cluster_each(a->cluster, WEFT_BGPPEER, names_no_address, &wanted);
	if (wanted == a->follows_routers)
		return;
	/* Followed before it is read: nothing can happen unseen in between. */
	if (monitor_follow_routers(a->monitor, wanted, &err) == 0) {
		a->follows_routers = wanted;
		memset(&a->routers, 0, sizeof(a->routers));
		routers_resync(&a->routers);
		look_for_routers(a, &err);
	}
	if (err.code) {
		log_error("looking for routers: %s", err.text);
		a->resync = true; /* plans BGP again, too */
	}
}

static void wanted_add(void *ctx, const struct weft_route *r)
{
	struct agent *a = ctx;
	struct weft_err err = WEFT_ERR_INIT;
	char text[WEFT_ROUTE_STR];

	if (fib_want(a->fib, r, &err) < 0)
		log_error("route %s: %s", weft_route_str(r, text), err.text);
}

static void wanted_del(void *ctx, const struct weft_route_key *k)
{
	struct agent *a = ctx;

	fib_unwant(a->fib, k);
}

static void peer_add(void *ctx, const struct weft_addr *ip4)
{
	struct agent *a = ctx;

	nft_want_peer(a->nft, ip4);
}

static void peer_del(void *ctx, const struct weft_addr *ip4)
{
	struct agent *a = ctx;

	nft_unwant_peer(a->nft, ip4);
}

int agent_kernel_open(struct agent *a, struct weft_err *err)
{
	struct wanted_ops routes = {.want = wanted_add, .unwant = wanted_del, .ctx = a};
	struct tunnels_peers_ops peers = {.add = peer_add, .del = peer_del, .ctx = a};

	char record[WEFT_PATH_MAX + 16], listing[WEFT_PATH_MAX + 16], book[WEFT_PATH_MAX + 16];
	struct announcer_options announcer = {.cluster = a->cluster, .path = book};
	int r;

	snprintf(book, sizeof(book), "%s/adverts", a->cfg.state_dir);
	snprintf(record, sizeof(record), "%s/sysctl.json", a->cfg.state_dir);
	snprintf(listing, sizeof(listing), "%s/nft.listing", a->cfg.state_dir);
	a->nl = netlink_open(err);
	if (!a->nl)
		return err->code;
	/* Followed before it is read: nothing can happen unseen in between. */
	a->monitor = monitor_open(err);
	if (!a->monitor)
		return err->code;
	a->links = links_new();
	a->fib = a->links ? fib_new(a->nl, a->links) : NULL;
	a->tunnel = a->links ? tunnel_new(a->nl, a->links) : NULL;
	a->nft = nft_new(listing, err);
	a->sysctl = sysctl_new(record, a->cfg.proc_sys, err);
	a->ipvs = ipvs_new(serving_owns, &a->serving, err);
	a->conntrack = netlink_open_protocol(NETLINK_NETFILTER, err);
	a->wanted = wanted_new(&routes);
	a->tunnel_peers = tunnels_peers_new(&peers);
	if (!a->fib || !a->tunnel || !a->nft || !a->sysctl || !a->ipvs || !a->conntrack)
		return err->code ? err->code : weft_err_errno(err, ENOMEM, "kernel state");
	uv_poll_init(a->loop, &a->monitor_poll, monitor_fd(a->monitor));
	a->monitor_poll.data = a;
	uv_poll_start(&a->monitor_poll, UV_READABLE, on_readable);
	uv_poll_init(a->loop, &a->nft_poll, nft_fd(a->nft));
	a->nft_poll.data = a;
	uv_poll_start(&a->nft_poll, UV_READABLE, on_nft);
	r = agent_kernel_resync(a, err);
	announcer.wanted = a->wanted;
	announcer.fib = a->fib;
	a->announcer = r < 0 ? NULL : announcer_new(&announcer);
	return r;
}

void agent_kernel_close(struct agent *a)
{
	if (a->monitor_poll.data)
		uv_close((uv_handle_t *)&a->monitor_poll, NULL);
	if (a->nft_poll.data)
		uv_close((uv_handle_t *)&a->nft_poll, NULL);
	announcer_free(a->announcer);
	wanted_free(a->wanted);
	tunnels_peers_free(a->tunnel_peers);
	sysctl_free(a->sysctl);
	ipvs_free(a->ipvs);
	if (a->conntrack)
		netlink_close(a->conntrack);
	nft_free(a->nft);
	tunnel_free(a->tunnel);
	fib_free(a->fib);
	links_free(a->links);
	if (a->monitor)
		monitor_close(a->monitor);
	if (a->nl)
		netlink_close(a->nl);
}
