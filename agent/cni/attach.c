// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making and removing an attachment: attach.h says what it is.
 *
 * Two rtnetlink sockets, one born in each namespace; a socket stays where it was born, so the process itself
 * is in the pod's namespace only for the moment of opening one (and for a sysctl that is rarely needed).
 * Three batches: the pair, the host's end, the pod's end. The pod's end comes up last: then everything that
 * its first packet needs is there.
 */
#include "agent/cni/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cni/request.h"
#include "agent/kernel/addr_msg.h"
#include "agent/kernel/neigh_msg.h"
#include "agent/kernel/route_msg.h"
#include "weft/cleanup.h"
#include "weft/marks.h"

/*
 * A pod can have several attachments; the first one's default route wins. IPv4: routes of the same metric are
 * appended. IPv6 would merge those into one with two next hops, so the metric grows with the device's index.
 */
#define POD_METRIC6 1024

struct maker {
	struct cni_attachment *a;
	const struct cni_spaces *spaces;
	struct cni_request host, pod;
};

static int maker_init(struct maker *m, struct weft_err *err)
{
	struct netlink *host = netlink_open(err), *pod;
	int r;

	if (!host)
		return -EIO;
	r = cni_request_init(&m->host, host, err);
	if (r) {
		netlink_close(host);
		return r;
	}
	pod = cni_netlink_in(m->spaces, err);
	if (!pod)
		return -EIO;
	r = cni_request_init(&m->pod, pod, err);
	if (r)
		netlink_close(pod);
	return r;
}

static void maker_free(struct maker *m)
{
	cni_request_free(&m->host);
	cni_request_free(&m->pod);
	netlink_close(m->host.nl);
	netlink_close(m->pod.nl);
}

static int send_pair(struct maker *m, struct weft_err *err)
{
	struct link_veth veth = {
	        .name = m->a->host_dev,
	        .peer_name = m->a->pod_dev,
	        .mtu = m->a->mtu,
	        .peer_netns = m->spaces->pod,
	        .mac = cni_host_mac,
	        .peer_mac = m->a->pod_mac,
	};

	cni_request_add(&m->host, link_msg_veth(m->host.msg, &veth), "making the veth pair");
	return cni_request_send(&m->host, err);
}

static int remove_device(struct cni_request *host, const struct cni_attachment *a, struct weft_err *err)
{
	struct cni_link found;
	int r = cni_link_get(host, a->host_dev, &found, err);

	if (r)
		return r;
	if (strcmp(found.link.kind, "veth") != 0)
		return weft_err_set(err, EEXIST, "the device %s is no veth: it is not weft's, left alone",
		                    a->host_dev);
	if (cni_alias_is_foreign(found.conf.alias, a->container_id, a->pod_dev))
		return weft_err_set(err, EEXIST, "the device %s belongs to \"%s\", left alone", a->host_dev,
		                    found.conf.alias);
	cni_request_add(host, link_msg_del(host->msg, found.link.index), "removing the veth pair");
	return cni_request_send(host, err);
}

/*
 * EEXIST: either a killed ADD of this very attachment left its device, or the pod has an interface of that
 * name, which must stay.
 */
static int make_pair(struct maker *m, struct weft_err *err)
{
	struct weft_err why = WEFT_ERR_INIT;
	int r = send_pair(m, &why);

	if (r == -EEXIST) {
		r = remove_device(&m->host, m->a, &why);
		if (r == -ENODEV)
			return weft_err_set(err, EEXIST, "the pod already has an interface named %s",
			                    m->a->pod_dev);
		if (r == 0)
			r = send_pair(m, &why);
	}
	if (r && err)
		*err = why;
	return r;
}

/* Write only what differs: a read is what link_get already gave us. */
static int write_sysctl(const char *dev, const char *name, const char *value, struct weft_err *err)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", dev, name);
	weft_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return weft_err_errno(err, errno, "writing %s to %s", value, path);
	return 0;
}

static bool wants_ipv6(const struct cni_attachment *a)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		if (a->addrs[i].family == AF_INET6)
			return true;
	return false;
}

/* IPv6 may be off by default on this host or in this pod; weft turns it on only for its own devices. */
static int enable_ipv6(const struct maker *m, const struct cni_link *l, struct weft_err *err)
{
	if (!wants_ipv6(m->a))
		return 0;
	if (!l->conf.has_inet6)
		return weft_err_set(
		        err, EAFNOSUPPORT,
		        "the kernel has no IPv6 on %s (ipv6.disable=1, or an MTU below 1280); remove "
		        "\"6\" from the families",
		        l->link.name);
	return l->conf.disable_ipv6 ? write_sysctl(l->link.name, "disable_ipv6", "0", err) : 0;
}

static struct weft_route host_route(const struct weft_addr *addr)
{
	return (struct weft_route){
	        .key = {.table = RT_TABLE_MAIN,
	                .metric = addr->family == AF_INET ? 0 : 1,
	                .dst = weft_prefix_host(addr)},
	        .type = RTN_UNICAST,
	        .scope = RT_SCOPE_LINK,
	        .protocol = WEFT_RTPROT,
	};
}

static void add_route(struct cni_request *q, uint16_t flags, const struct weft_route *r, uint32_t dev,
                      const char *what)
{
	cni_request_add(q, route_msg_put(q->msg, RTM_NEWROUTE, NLM_F_CREATE | flags, r, dev), what);
}

static int configure_host(struct maker *m, struct weft_err *err)
{
	struct cni_request *q = &m->host;
	struct linkconf conf = {.inet = true, .rp_filter = 1, .forwarding = 1};
	struct cni_link l;
	int r = cni_link_get(q, m->a->host_dev, &l, err);

	if (r)
		return r;
	m->a->mtu = l.link.mtu;
	conf.no_addr_gen = l.conf.has_inet6;
	r = enable_ipv6(m, &l, err);
	/* Or a pod could advertise itself as the host's router. */
	if (!r && l.conf.has_inet6 && l.conf.accept_ra)
		r = write_sysctl(l.link.name, "accept_ra", "0", err);
	if (r)
		return r;
	cni_request_add(q, linkconf_msg_put(q->msg, l.link.index, &conf), "configuring the host's device");
	cni_request_add(q, linkconf_msg_up(q->msg, l.link.index, m->a->alias),
	                "bringing the host's device up");
	for (size_t i = 0; i < m->a->n_addrs; i++) {
		const struct weft_addr *addr = &m->a->addrs[i];
		struct weft_route route = host_route(addr);

		cni_request_add(q, neigh_msg_put(q->msg, l.link.index, addr, m->a->pod_mac),
		                "adding the pod's neighbour entry");
		add_route(q, NLM_F_REPLACE, &route, l.link.index, "adding the route to the pod");
	}
	return cni_request_send(q, err);
}

static void add_pod_family(struct cni_request *q, uint32_t dev, const struct weft_addr *addr)
{
	struct weft_addr gateway = cni_gateway(addr->family);
	struct weft_route link = host_route(&gateway),
	                  all = {
	                          .key = {.table = RT_TABLE_MAIN, .dst = {.addr = {.family = addr->family}}},
	                          .type = RTN_UNICAST,
	                          .scope = RT_SCOPE_UNIVERSE,
	                          .protocol = WEFT_RTPROT,
	                          .gateway = gateway,
	                  };

	cni_request_add(
	        q, addr_msg_put(q->msg, RTM_NEWADDR, dev, addr, (uint8_t)weft_addr_bits(addr->family), true),
	        "adding the pod's address");
	cni_request_add(q, neigh_msg_put(q->msg, dev, &gateway, cni_host_mac),
	                "adding the gateway's neighbour entry");
	if (addr->family == AF_INET)
		add_route(q, NLM_F_APPEND, &link, dev, "adding the route to the gateway");
	else
		all.key.metric = POD_METRIC6 + dev;
	add_route(q, addr->family == AF_INET ? NLM_F_APPEND : 0, &all, dev, "adding the default route");
}

static int configure_pod(struct maker *m, struct weft_err *err)
{
	struct cni_request *q = &m->pod;
	struct cni_link l;
	int r = cni_link_get(q, m->a->pod_dev, &l, err);

	if (!r && wants_ipv6(m->a) && (!l.conf.has_inet6 || l.conf.disable_ipv6)) {
		r = cni_space_enter(m->spaces->pod, "the pod", err);
		if (!r)
			r = enable_ipv6(m, &l, err);
		if (cni_space_enter(m->spaces->host, "the host", r ? NULL : err) && !r)
			r = -EIO;
	}
	if (r)
		return r;
	if (l.conf.has_inet6)
		cni_request_add(
		        q, linkconf_msg_put(q->msg, l.link.index, &(struct linkconf){.no_addr_gen = true}),
		        "configuring the pod's interface");
	cni_request_add(q, linkconf_msg_up(q->msg, l.link.index, NULL), "bringing the pod's interface up");
	for (size_t i = 0; i < m->a->n_addrs; i++)
		add_pod_family(q, l.link.index, &m->a->addrs[i]);
	return cni_request_send(q, err);
}

int cni_attach_make(struct cni_attachment *a, const struct cni_spaces *s, struct weft_err *err)
{
	struct maker m = {.a = a, .spaces = s};
	int r = maker_init(&m, err);

	if (!r)
		r = make_pair(&m, err);
	if (!r) {
		r = configure_host(&m, err);
		if (!r)
			r = configure_pod(&m, err);
		if (r)
			remove_device(&m.host, a, NULL);
	}
	maker_free(&m);
	return r ? CNI_E_NETWORK : 0;
}

int cni_attach_remove(struct netlink *host, const struct cni_attachment *a, struct weft_err *err)
{
	struct cni_request q;
	struct weft_err why = WEFT_ERR_INIT;
	int r = cni_request_init(&q, host, &why);

	if (!r) {
		r = remove_device(&q, a, &why);
		cni_request_free(&q);
	}
	if (r == 0 || r == -ENODEV)
		return 0;
	if (err)
		*err = why;
	return CNI_E_NETWORK;
}
