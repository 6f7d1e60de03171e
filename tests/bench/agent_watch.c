// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts what is written to the kernel in the namespace it runs in, with times.
 *
 *	agent_watch PROTOCOL ROUTES
 *
 * Says "watching", then "full SECONDS" whenever as many routes of that protocol are there as expected (none
 * was there at the start), and at the end of its input one JSON object: routes of the protocol added, replaced
 * and deleted, other changes (links, addresses, rules), nftables' messages; first and last of routes and
 * nftables in seconds of CLOCK_MONOTONIC. lost: the kernel had more to tell than the socket held.
 */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BUFFER (64 << 20)

struct span {
	unsigned long count;
	double first, last;
};

struct watch {
	int protocol;
	long expected, present;
	unsigned long added, replaced, deleted, others, lost;
	struct span routes, nft;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void extend(struct span *s)
{
	s->last = now();
	if (!s->count++)
		s->first = s->last;
}

static int follow(int family, const int *groups)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family), size = RECEIVE_BUFFER;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		die("netlink");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		die("receive buffer");
	for (; *groups; groups++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, groups, sizeof(*groups)) < 0)
			die("netlink group");
	return fd;
}

static void on_route(struct watch *w, const struct nlmsghdr *h)
{
	const struct rtmsg *m = NLMSG_DATA(h);

	if (m->rtm_protocol != w->protocol)
		return;
	extend(&w->routes);
	if (h->nlmsg_type == RTM_DELROUTE) {
		w->deleted++;
		w->present--;
	} else if (h->nlmsg_flags & NLM_F_REPLACE) {
		w->replaced++;
		return;
	} else {
		w->added++;
		w->present++;
	}
	if (w->present == w->expected) {
		printf("full %.6f\n", w->routes.last);
		fflush(stdout);
	}
}

static void on_messages(struct watch *w, int fd, bool nft)
{
	static char buf[1 << 20] __attribute__((aligned(16)));
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno == ENOBUFS)
		w->lost++;
	for (struct nlmsghdr *h = (void *)buf; n > 0 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
		if (nft)
			extend(&w->nft);
		else if (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE)
			on_route(w, h);
		else
			w->others++;
	}
}

int main(int argc, char **argv)
{
	static const int route_groups[] = {
	        RTNLGRP_IPV4_ROUTE,  RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,      RTNLGRP_IPV4_IFADDR,
	        RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_RULE,  RTNLGRP_IPV6_RULE, 0};
	static const int nft_groups[] = {NFNLGRP_NFTABLES, 0};
	struct pollfd fds[] = {{.events = POLLIN}, {.events = POLLIN}, {.fd = 0, .events = POLLIN}};
	struct watch w = {0};

	if (argc != 3) {
		fprintf(stderr, "usage: agent_watch PROTOCOL ROUTES\n");
		return 2;
	}
	w.protocol = atoi(argv[1]);
	w.expected = atol(argv[2]);
	fds[0].fd = follow(NETLINK_ROUTE, route_groups);
	fds[1].fd = follow(NETLINK_NETFILTER, nft_groups);
	printf("watching\n");
	fflush(stdout);
	/* What the kernel has said counts before the end of the input does. */
	while (poll(fds, 3, -1) >= 0) {
		if (fds[0].revents)
			on_messages(&w, fds[0].fd, false);
		if (fds[1].revents)
			on_messages(&w, fds[1].fd, true);
		if (fds[2].revents && !fds[0].revents && !fds[1].revents)
			break;
	}
	printf("{\"added\": %lu, \"replaced\": %lu, \"deleted\": %lu, \"others\": %lu, \"nft\": %lu, \"lost\": %lu, "
	       "\"first\": %.6f, \"last\": %.6f, \"nft_first\": %.6f, \"nft_last\": %.6f}\n",
	       w.added, w.replaced, w.deleted, w.others, w.nft.count, w.lost, w.routes.first, w.routes.last,
	       w.nft.first, w.nft.last);
	return 0;
}
