// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hearing changes of nftables: nft_watch.h. Every object's message has the name of its table as attribute 1
 * (linux/netfilter/nf_tables.h), which is all that we look at.
 */
#include "agent/kernel/nft_watch.h"

#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h, which brings the same names */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "weft/marks.h"

#define DATAGRAM_BYTES (64 * 1024)
#define READ_MAX       4096 /* datagrams per call */

struct nft_watch {
	struct nl_sock *sock;
	unsigned char data[DATAGRAM_BYTES];
};

struct nft_watch *nft_watch_open(struct weft_err *err)
{
	struct nft_watch *w = calloc(1, sizeof(*w));
	int rc;

	if (!w) {
		weft_err_errno(err, ENOMEM, "nftables monitor");
		return NULL;
	}
	w->sock = nl_socket_alloc();
	rc = w->sock ? nl_connect(w->sock, NETLINK_NETFILTER) : -NLE_NOMEM;
	if (!rc)
		rc = nl_socket_add_memberships(w->sock, NFNLGRP_NFTABLES, 0);
	if (!rc)
		rc = nl_socket_set_nonblocking(w->sock);
	if (rc) {
		weft_err_set(err, EIO, "opening the nftables monitor: %s", nl_geterror(rc));
		nft_watch_close(w);
		return NULL;
	}
	return w;
}

void nft_watch_close(struct nft_watch *w)
{
	if (!w)
		return;
	nl_socket_free(w->sock);
	free(w);
}

int nft_watch_fd(const struct nft_watch *w)
{
	return nl_socket_get_fd(w->sock);
}

static bool is_ours(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = nlmsg_data(h);
	const struct nlattr *table;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES || nlmsg_datalen(h) < (int)sizeof(*g) ||
	    g->nfgen_family != NFPROTO_INET || NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN)
		return false;
	table = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(*g), NFTA_TABLE_NAME);
	return table && nla_strcmp(table, WEFT_NFT_TABLE) == 0;
}

bool nft_watch_read(struct nft_watch *w)
{
	bool touched = false;

	for (int i = 0; i < READ_MAX; i++) {
		ssize_t n = recv(nft_watch_fd(w), w->data, sizeof(w->data), MSG_TRUNC);
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			return touched;
		if (n < 0 || n > (ssize_t)sizeof(w->data)) {
			touched = true;
			continue;
		}
		for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)w->data; nlmsg_ok(h, len);
		     h = nlmsg_next(h, &len))
			touched = touched || is_ours(h);
	}
	return true;
}
