// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CHECK's comparison of an attachment with the kernel: attach.h says what must be there.
 *
 * What a later plugin of the chain may have changed is not looked at: MTU, MAC, more addresses, more routes.
 */
#include "agent/cni/attach.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "agent/cni/request.h"
#include "agent/kernel/addr_msg.h"
#include "agent/kernel/route_msg.h"
#include "weft/cleanup.h"

/* What a dump is searched for: addresses of a device, or routes out of it. */
struct search {
	uint32_t dev;
	struct weft_prefix dst; /* route, or the address as a host prefix */
	bool found;
};

static void search_restart(void *ctx)
{
	((struct search *)ctx)->found = false;
}

static int match_addr(void *ctx, const struct nlmsghdr *nlh)
{
	struct search *s = ctx;
	struct addr_info info;

	if (addr_msg_parse(nlh, &info) == 0 && info.index == s->dev && !info.tentative &&
	    weft_addr_cmp(&info.addr, &s->dst.addr) == 0)
		s->found = true;
	return 0;
}

static int match_route(void *ctx, const struct nlmsghdr *nlh)
{
	struct search *s = ctx;
	struct route_info info;

	if (route_msg_parse(nlh, &info) == 0 && info.oif == s->dev && info.route.type == RTN_UNICAST &&
	    weft_prefix_cmp(&info.route.key.dst, &s->dst) == 0)
		s->found = true;
	return 0;
}

static int has_addr(struct netlink *nl, uint32_t dev, const struct weft_addr *addr, struct weft_err *err)
{
	struct search s = {.dev = dev, .dst = weft_prefix_host(addr)};
	struct netlink_sink sink = {.restart = search_restart, .msg = match_addr, .ctx = &s};
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	int r = msg ? addr_msg_dump(msg, addr->family) : -ENOMEM;

	if (!r)
		r = netlink_dump(nl, msg, &sink, err);
	return r ? r : s.found;
}

static int has_route(struct netlink *nl, uint32_t dev, const struct weft_prefix *dst, struct weft_err *err)
{
	struct search s = {.dev = dev, .dst = *dst};
	struct netlink_sink sink = {.restart = search_restart, .msg = match_route, .ctx = &s};
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	int r = msg ? route_msg_dump(msg, dst->addr.family, RT_TABLE_MAIN) : -ENOMEM;

	if (!r)
		r = netlink_dump(nl, msg, &sink, err);
	return r ? r : s.found;
}

static int missing(int found, struct weft_err *err, const char *what, const char *dev)
{
	if (found > 0)
		return 0;
	if (found < 0)
		return CNI_E_NETWORK;
	return cni_fail(err, CNI_E_CHECK, "%s is missing on %s", what, dev);
}

static int get_up(struct cni_request *q, const char *name, const char *where, struct cni_link *l,
                  struct weft_err *err)
{
	int r = cni_link_get(q, name, l, err);

	if (r == -ENODEV)
		return cni_fail(err, CNI_E_CHECK, "the device %s is missing %s", name, where);
	if (r)
		return CNI_E_NETWORK;
	if (strcmp(l->link.kind, "veth") != 0)
		return cni_fail(err, CNI_E_CHECK, "the device %s %s is no veth", name, where);
	if (!l->link.up)
		return cni_fail(err, CNI_E_CHECK, "the device %s %s is down", name, where);
	return 0;
}

static int check_host(struct cni_request *q, const struct cni_attachment *a, struct cni_link *l,
                      struct weft_err *err)
{
	char text[WEFT_PREFIX_STR], what[WEFT_PREFIX_STR + 16];
	int r = get_up(q, a->host_dev, "on the host", l, err);

	if (!r && cni_alias_is_foreign(l->conf.alias, a->container_id, a->pod_dev))
		r = cni_fail(err, CNI_E_CHECK, "the device %s belongs to \"%s\"", a->host_dev, l->conf.alias);
	for (size_t i = 0; !r && i < a->n_addrs; i++) {
		struct weft_prefix dst = weft_prefix_host(&a->addrs[i]);

		snprintf(what, sizeof(what), "the route %s", weft_prefix_str(&dst, text));
		r = missing(has_route(q->nl, l->link.index, &dst, err), err, what, a->host_dev);
	}
	return r;
}

static int check_pod(struct cni_request *q, const struct cni_attachment *a, const struct cni_link *host,
                     const bool default_route[2], struct weft_err *err)
{
	char text[WEFT_ADDR_STR], what[WEFT_ADDR_STR + 16];
	struct cni_link l;
	int r = get_up(q, a->pod_dev, "in the pod", &l, err);

	if (!r && l.link.index != host->link.peer)
		r = cni_fail(err, CNI_E_CHECK, "%s in the pod and %s on the host are no pair", a->pod_dev,
		             a->host_dev);
	for (size_t i = 0; !r && i < a->n_addrs; i++) {
		const struct weft_addr *addr = &a->addrs[i];
		struct weft_prefix all = {.addr = {.family = addr->family}};

		snprintf(what, sizeof(what), "the address %s", weft_addr_str(addr, text));
		r = missing(has_addr(q->nl, l.link.index, addr, err), err, what, a->pod_dev);
		if (!r && default_route[addr->family == AF_INET6])
			r = missing(has_route(q->nl, l.link.index, &all, err), err, "the default route",
			            a->pod_dev);
	}
	return r;
}

int cni_attach_check(const struct cni_attachment *a, const struct cni_spaces *s, const bool default_route[2],
                     struct weft_err *err)
{
	struct cni_request host = {0}, pod = {0};
	struct cni_link l;
	int r = CNI_E_NETWORK;

	host.nl = netlink_open(err);
	pod.nl = host.nl ? cni_netlink_in(s, err) : NULL;
	if (pod.nl && cni_request_init(&host, host.nl, err) == 0 &&
	    cni_request_init(&pod, pod.nl, err) == 0) {
		r = check_host(&host, a, &l, err);
		if (!r)
			r = check_pod(&pod, a, &l, default_route, err);
	}
	cni_request_free(&host);
	cni_request_free(&pod);
	netlink_close(host.nl);
	netlink_close(pod.nl);
	return r;
}
