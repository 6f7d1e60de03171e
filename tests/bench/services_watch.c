// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts what anybody in its namespace asks the kernel to change, from copies of all netlink messages (an
 * nlmon device). IPVS notifies of nothing, so this is the only way to see its writes from outside.
 *
 *	services_watch
 *
 * Says "watching", then after each answer to writes of IPVS
 *
 *	ipvs SECONDS SERVICES DESTINATIONS WRITES      added so far, and messages of any kind that change
 *
 * and at the end of its input one JSON object: messages that change IPVS, nftables, routes, the rest of
 * rtnetlink, conntrack; first and last of each. Seconds are of CLOCK_MONOTONIC, stamped by the kernel. lost:
 * the socket overflowed.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_packet.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/kernel/ipvs_msg.h"
#include "agent/kernel/netlink.h"

#define DEVICE         "nlmon-bench"
#define RECEIVE_BUFFER (256 << 20)

enum what { IPVS, NFT, ROUTES, OTHERS, CONNTRACK, WHATS };
static const char *const names[WHATS] = {"ipvs", "nft", "routes", "others", "conntrack"};

struct span {
	unsigned long count;
	double first, last;
};

struct watch {
	int fd;
	uint16_t ipvs_family;
	unsigned long services, dests; /* of IPVS, added */
	unsigned long told;            /* writes of IPVS */
	struct span span[WHATS];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- set-up --- */

static int on_family(void *ctx, const struct nlmsghdr *nlh)
{
	uint16_t *family = ctx;
	int number = ipvs_msg_family_parse(nlh);

	if (number > 0)
		*family = (uint16_t)number;
	return 0;
}

static uint16_t ipvs_family(void)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct netlink *nl = netlink_open_protocol(NETLINK_GENERIC, &err);
	struct nl_msg *msg = netlink_msg_new();
	uint16_t family = 0;
	struct netlink_sink sink = {.msg = on_family, .ctx = &family};

	if (!nl || !msg || ipvs_msg_family(msg) || netlink_get(nl, msg, &sink, &err) || !family) {
		fprintf(stderr, "services_watch: IPVS: %s\n", err.text);
		exit(1);
	}
	nlmsg_free(msg);
	netlink_close(nl);
	return family;
}

static int open_monitor(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003 /* all */)};
	int fd, size = RECEIVE_BUFFER, on = 1;

	if (if_nametoindex(DEVICE) == 0 &&
	    system("ip link add " DEVICE " type nlmon && ip link set " DEVICE " up") != 0)
		die("nlmon device");
	at.sll_ifindex = (int)if_nametoindex(DEVICE);
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("nlmon socket");
	return fd;
}

/* --- what a message is --- */

static bool changes_ipvs(struct watch *w, const struct nlmsghdr *h)
{
	const struct genlmsghdr *g = NLMSG_DATA(h);

	if (h->nlmsg_type != w->ipvs_family)
		return false;
	switch (g->cmd) {
	case IPVS_CMD_GET_SERVICE:
	case IPVS_CMD_GET_DEST:
	case IPVS_CMD_GET_DAEMON:
	case IPVS_CMD_GET_CONFIG:
	case IPVS_CMD_GET_INFO:
		return false;
	case IPVS_CMD_NEW_SERVICE:
		w->services++;
		break;
	case IPVS_CMD_NEW_DEST:
		w->dests++;
		break;
	default:
		break;
	}
	return true;
}

static bool changes_nft(const struct nlmsghdr *h)
{
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_GETTABLE:
	case NFT_MSG_GETCHAIN:
	case NFT_MSG_GETRULE:
	case NFT_MSG_GETSET:
	case NFT_MSG_GETSETELEM:
	case NFT_MSG_GETGEN:
	case NFT_MSG_GETOBJ:
	case NFT_MSG_GETFLOWTABLE:
		return false;
	default:
		return true;
	}
}

/* Which of the five a request changes; WHATS = it only asks. */
static enum what kind_of(struct watch *w, int protocol, const struct nlmsghdr *h)
{
	if (protocol == NETLINK_GENERIC)
		return changes_ipvs(w, h) ? IPVS : WHATS;
	if (protocol == NETLINK_ROUTE) {
		if (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE)
			return ROUTES;
		return h->nlmsg_type >= RTM_BASE && (h->nlmsg_type - RTM_BASE) % 4 != 2 ? OTHERS : WHATS;
	}
	if (protocol != NETLINK_NETFILTER)
		return WHATS;
	switch (NFNL_SUBSYS_ID(h->nlmsg_type)) {
	case NFNL_SUBSYS_NFTABLES:
		return changes_nft(h) ? NFT : WHATS;
	case NFNL_SUBSYS_CTNETLINK:
		return NFNL_MSG_TYPE(h->nlmsg_type) == 1 /* IPCTNL_MSG_CT_GET */ ? WHATS : CONNTRACK;
	default:
		return WHATS;
	}
}

static bool answers_ipvs(const struct watch *w, int protocol, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	return protocol == NETLINK_GENERIC && h->nlmsg_type == NLMSG_ERROR &&
	       h->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) && e->msg.nlmsg_type == w->ipvs_family;
}

static void on_message(struct watch *w, int protocol, const struct nlmsghdr *h, double at)
{
	enum what kind;

	if (answers_ipvs(w, protocol, h) && w->told != w->span[IPVS].count) {
		w->told = w->span[IPVS].count;
		w->span[IPVS].last = at;
		printf("ipvs %.6f %lu %lu %lu\n", at, w->services, w->dests, w->told);
		fflush(stdout);
	}
	if (!(h->nlmsg_flags & NLM_F_REQUEST))
		return;
	kind = kind_of(w, protocol, h);
	if (kind == WHATS)
		return;
	w->span[kind].last = at;
	if (!w->span[kind].count++)
		w->span[kind].first = at;
}

/* --- receiving --- */

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* When the kernel saw the packet, by the monotonic clock. */
static double stamp(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const struct timespec *t = (const void *)CMSG_DATA(c);

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
			return (double)t->tv_sec + (double)t->tv_nsec / 1e9 - seconds(CLOCK_REALTIME) +
			       seconds(CLOCK_MONOTONIC);
	}
	return seconds(CLOCK_MONOTONIC);
}

static void on_packet(struct watch *w)
{
	static char data[1 << 20] __attribute__((aligned(16)));
	char control[256] __attribute__((aligned(16)));
	struct sockaddr_ll from;
	struct iovec io = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr m = {.msg_name = &from,
	                   .msg_namelen = sizeof(from),
	                   .msg_iov = &io,
	                   .msg_iovlen = 1,
	                   .msg_control = control,
	                   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(w->fd, &m, MSG_DONTWAIT);
	double at;

	if (n < 0)
		return;
	at = stamp(&m);
	for (struct nlmsghdr *h = (void *)data; n > 0 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n))
		on_message(w, ntohs(from.sll_protocol), h, at);
}

static unsigned lost(const struct watch *w)
{
	struct tpacket_stats s = {0};
	socklen_t size = sizeof(s);

	if (getsockopt(w->fd, SOL_PACKET, PACKET_STATISTICS, &s, &size) < 0)
		die("packet statistics");
	return s.tp_drops;
}

int main(void)
{
	struct watch w = {.ipvs_family = ipvs_family(), .fd = open_monitor()};
	struct pollfd fds[] = {{.fd = w.fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};

	printf("watching\n");
	fflush(stdout);
	/* What the kernel has said counts before the end of the input does. */
	while (poll(fds, 2, -1) >= 0) {
		if (fds[0].revents)
			on_packet(&w);
		else if (fds[1].revents)
			break;
	}
	printf("{\"services\": %lu, \"dests\": %lu, \"lost\": %u", w.services, w.dests, lost(&w));
	for (int k = 0; k < WHATS; k++)
		printf(", \"%s\": {\"writes\": %lu, \"first\": %.6f, \"last\": %.6f}", names[k],
		       w.span[k].count, w.span[k].first, w.span[k].last);
	printf("}\n");
	return 0;
}
