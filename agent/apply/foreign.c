// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two steps per family: collect what the dump shows, then delete in batches. A route is deleted as the kernel
 * showed it (the message is turned around), so several next hops need no understanding here.
 */
#include "agent/apply/foreign.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#include "agent/kernel/route_msg.h"

struct match {
	uint8_t protocol;
	uint32_t table, metric;
	struct nl_msg **found;
	size_t n, cap;
};

static void clear(struct match *m)
{
	while (m->n)
		nlmsg_free(m->found[--m->n]);
}

static void restart(void *ctx)
{
	clear(ctx);
}

static int take(void *ctx, const struct nlmsghdr *nlh)
{
	struct match *m = ctx;
	struct route_info info;
	struct nl_msg *msg;

	if (route_msg_protocol(nlh) != m->protocol || route_msg_parse(nlh, &info) < 0 ||
	    info.route.key.table != m->table || info.route.key.metric != m->metric)
		return 0;
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		struct nl_msg **grown = reallocarray(m->found, cap, sizeof(struct nl_msg *));
		if (!grown)
			return -ENOMEM;
		m->found = grown;
		m->cap = cap;
	}
	msg = nlmsg_convert((struct nlmsghdr *)nlh);
	if (!msg)
		return -ENOMEM;
	nlmsg_hdr(msg)->nlmsg_type = RTM_DELROUTE;
	nlmsg_hdr(msg)->nlmsg_flags = 0;
	m->found[m->n++] = msg;
	return 0;
}

static int send_batch(struct netlink *nl, struct netlink_batch *b, size_t *removed, struct weft_err *err)
{
	int r = netlink_send(nl, b, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < netlink_batch_count(b); i++)
		*removed += netlink_batch_error(b, i) == 0; /* -ESRCH: it went by itself */
	netlink_batch_reset(b);
	return 0;
}

static int delete_found(struct netlink *nl, struct match *m, size_t *removed, struct weft_err *err)
{
	struct netlink_batch *b = netlink_batch_new();
	int r = b ? 0 : weft_err_errno(err, ENOMEM, "removing routes");

	for (size_t i = 0; i < m->n && r == 0; i++) {
		if (netlink_batch_add(b, m->found[i]) != -ENOSPC)
			continue;
		r = send_batch(nl, b, removed, err);
		if (r == 0)
			netlink_batch_add(b, m->found[i]);
	}
	if (r == 0 && netlink_batch_count(b))
		r = send_batch(nl, b, removed, err);
	netlink_batch_free(b);
	return r;
}

static int flush_family(struct netlink *nl, uint8_t family, struct match *m, size_t *removed,
                        struct weft_err *err)
{
	struct netlink_sink sink = {.restart = restart, .msg = take, .ctx = m};
	weft_auto(netlink_msg_cleanup) struct nl_msg *req = netlink_msg_new();
	int r;

	if (!req)
		return weft_err_errno(err, ENOMEM, "reading routes");
	r = route_msg_dump(req, family, m->table);
	if (r == 0)
		r = netlink_dump(nl, req, &sink, err);
	if (r == 0)
		r = delete_found(nl, m, removed, err);
	clear(m);
	return r;
}

int foreign_routes_flush(struct netlink *nl, uint8_t protocol, uint32_t table, uint32_t metric,
                         size_t *removed, struct weft_err *err)
{
	struct match m = {.protocol = protocol, .table = table, .metric = metric};
	int r;

	*removed = 0;
	r = flush_family(nl, AF_INET, &m, removed, err);
	if (r == 0)
		r = flush_family(nl, AF_INET6, &m, removed, err);
	free(m.found);
	return r;
}
