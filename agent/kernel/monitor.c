// SPDX-License-Identifier: GPL-2.0-or-later
/* The multicast socket: monitor.h. */
#include "agent/kernel/monitor.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/socket.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/kernel/neigh_msg.h"
#include "weft/marks.h"

/* BIRD can write 10,000 routes while we are busy; a notification takes about 600 bytes of buffer. */
#define RCVBUF_BYTES   (8 * 1024 * 1024)
#define DATAGRAM_BYTES (64 * 1024)

struct monitor {
	struct nl_sock *sock;
	unsigned char data[DATAGRAM_BYTES];
};

static int join(struct nl_sock *sock)
{
	int size = RCVBUF_BYTES, fd = nl_socket_get_fd(sock);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size,
		                 sizeof(size)); /* less room, more resyncs */
	return nl_socket_add_memberships(sock, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
	                                 RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, 0);
}

struct monitor *monitor_open(struct weft_err *err)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int rc;

	if (!m) {
		weft_err_errno(err, ENOMEM, "netlink monitor");
		return NULL;
	}
	m->sock = nl_socket_alloc();
	rc = m->sock ? nl_connect(m->sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (!rc)
		rc = join(m->sock);
	if (!rc)
		rc = nl_socket_set_nonblocking(m->sock);
	if (rc) {
		weft_err_set(err, EIO, "opening the netlink monitor: %s", nl_geterror(rc));
		monitor_close(m);
		return NULL;
	}
	return m;
}

void monitor_close(struct monitor *m)
{
	if (!m)
		return;
	nl_socket_free(m->sock);
	free(m);
}

int monitor_fd(const struct monitor *m)
{
	return nl_socket_get_fd(m->sock);
}

int monitor_follow_routers(struct monitor *m, bool follow, struct weft_err *err)
{
	int rc = follow ? nl_socket_add_membership(m->sock, RTNLGRP_NEIGH)
	                : nl_socket_drop_membership(m->sock, RTNLGRP_NEIGH);

	return rc ? weft_err_set(err, EIO, "following neighbours: %s", nl_geterror(rc)) : 0;
}

static bool our_table(uint32_t table)
{
	return table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL || table == WEFT_TABLE_ADVERT;
}

/* All tables that matter have numbers below 256, which the fixed header holds. */
static bool route_matters(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = nlmsg_data(nlh);

	return nlmsg_datalen(nlh) >= (int)sizeof(*rtm) && our_table(rtm->rtm_table) &&
	       !(rtm->rtm_flags & RTM_F_CLONED);
}

/* 0 when ev is to be delivered. */
static int decode(const struct nlmsghdr *nlh, struct monitor_event *ev)
{
	ev->port = nlh->nlmsg_pid;
	ev->replace = false;
	switch (nlh->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (!route_matters(nlh))
			return -ENOENT;
		ev->type = nlh->nlmsg_type == RTM_NEWROUTE ? MONITOR_ROUTE_NEW : MONITOR_ROUTE_DEL;
		ev->replace = nlh->nlmsg_type == RTM_NEWROUTE && (nlh->nlmsg_flags & NLM_F_REPLACE);
		return route_msg_parse(nlh, &ev->route);
	case RTM_NEWLINK:
	case RTM_DELLINK:
		ev->type = nlh->nlmsg_type == RTM_NEWLINK ? MONITOR_LINK_NEW : MONITOR_LINK_DEL;
		return link_msg_parse(nlh, &ev->link);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		ev->type = nlh->nlmsg_type == RTM_NEWADDR ? MONITOR_ADDR_NEW : MONITOR_ADDR_DEL;
		return addr_msg_parse(nlh, &ev->addr);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		ev->type = MONITOR_ROUTER;
		ev->router = neigh_msg_router(nlh);
		return ev->router ? 0 : -ENOENT;
	default:
		return -ENOENT;
	}
}

static void deliver(struct monitor *m, int len, monitor_fn fn, void *ctx)
{
	struct monitor_event ev;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)m->data; nlmsg_ok(h, len);
	     h = nlmsg_next(h, &len)) {
		if (decode(h, &ev) == 0)
			fn(ctx, &ev);
	}
}

int monitor_read(struct monitor *m, unsigned max, monitor_fn fn, void *ctx, struct weft_err *err)
{
	for (unsigned i = 0; !max || i < max; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(monitor_fd(m), m->data, sizeof(m->data), MSG_TRUNC,
		                     (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != ENOBUFS)
			return weft_err_errno(err, errno, "reading the netlink monitor");
		if (n < 0 || n > (ssize_t)sizeof(m->data))
			fn(ctx, &(struct monitor_event){.type = MONITOR_OVERFLOW});
		else if (from.nl_pid == 0) /* only the kernel is believed */
			deliver(m, (int)n, fn, ctx);
	}
	return 1;
}
