// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which IPVS services a weftd that is gone has left: those at addresses that its local routes have, those on
 * node ports of this node's addresses (where there is no such route another proxy made them), and its
 * firewall marks. The routes are read, so they are removed after this.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "agent/apply/fib.h"
#include "agent/apply/ipvs.h"
#include "agent/apply/link.h"
#include "agent/daemon/cleanup.h"
#include "weft/marks.h"

struct ours {
	const struct weft_config_services *cfg;
	const struct links *links;
	struct weft_prefix *vips;
	size_t n;
	bool failed;
};

static bool add_vip(void *ctx, const struct fib_view *v)
{
	struct ours *o = ctx;
	struct weft_prefix *grown;

	if (v->route->key.table != RT_TABLE_LOCAL)
		return true;
	grown = reallocarray(o->vips, o->n + 1, sizeof(*grown));
	if (!grown) {
		o->failed = true;
		return false;
	}
	o->vips = grown;
	o->vips[o->n++] = v->route->key.dst;
	return true;
}

static int by_prefix(const void *a, const void *b)
{
	return weft_prefix_cmp(a, b);
}

static bool is_vip(const struct ours *o, const struct weft_addr *addr)
{
	struct weft_prefix host = weft_prefix_host(addr);

	if (o->n && bsearch(&host, o->vips, o->n, sizeof(host), by_prefix))
		return true;
	for (size_t i = 0; i < o->n; i++)
		if (o->vips[i].len < weft_addr_bits(addr->family) && weft_prefix_contains(&o->vips[i], addr))
			return true;
	return false;
}

static bool owns(void *ctx, const struct svc_virtual_key *k)
{
	const struct ours *o = ctx;

	if (k->fwmark)
		return (k->fwmark & WEFT_FWMARK_MASK) == WEFT_FWMARK_BASE;
	if (o->n && k->port >= o->cfg->node_port_first && k->port <= o->cfg->node_port_last &&
	    links_has_addr(o->links, &k->addr))
		return true;
	return is_vip(o, &k->addr);
}

int cleanup_ipvs(const struct weft_config *cfg, struct netlink *nl, size_t *removed, struct weft_err *err)
{
	struct links *links = links_new();
	struct fib *fib = links ? fib_new(nl, links) : NULL;
	struct ours o = {.cfg = &cfg->services, .links = links};
	int r = fib ? links_resync(links, nl, err) : weft_err_errno(err, ENOMEM, "IPVS");

	if (r == 0)
		r = fib_resync(fib, 0, err);
	if (r == 0) {
		fib_foreach(fib, add_vip, &o);
		r = o.failed ? weft_err_errno(err, ENOMEM, "IPVS") : 0;
	}
	if (r == 0 && o.n)
		qsort(o.vips, o.n, sizeof(*o.vips), by_prefix);
	if (r == 0)
		r = ipvs_cleanup(owns, &o, removed, err);
	free(o.vips);
	fib_free(fib);
	links_free(links);
	return r;
}
