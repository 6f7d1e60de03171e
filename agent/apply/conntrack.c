// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stale UDP flows: conntrack.h. The dump is read to its end before the first message goes out: a socket does
 * one thing at a time, and a dump that starts again must find nothing done.
 */
#include "agent/apply/conntrack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/ct_msg.h"
#include "weft/cleanup.h"

struct flush {
	const struct conntrack_service **by_addr; /* sorted, those with serving endpoints */
	size_t n;
	struct ct_flow *stale;
	size_t n_stale, size;
	size_t before; /* stale ones that an earlier dump has found */
};

static void free_flush(struct flush *f)
{
	free(f->by_addr);
	free(f->stale);
}

static int compare(const struct weft_addr *a, uint16_t a_port, const struct weft_addr *b, uint16_t b_port)
{
	int c = weft_addr_cmp(a, b);

	return c ? c : (int)a_port - (int)b_port;
}

static int compare_services(const void *pa, const void *pb)
{
	const struct conntrack_service *a = *(const struct conntrack_service *const *)pa;
	const struct conntrack_service *b = *(const struct conntrack_service *const *)pb;

	return compare(&a->addr, a->port, &b->addr, b->port);
}

/* The first service with this address and port, or behind it. */
static size_t lower_bound(const struct flush *f, const struct ct_end *dst)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&f->by_addr[mid]->addr, f->by_addr[mid]->port, &dst->addr, dst->port) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool serves(const struct conntrack_service *s, const struct ct_end *endpoint)
{
	for (size_t k = 0; k < s->n_serving; k++) {
		if (compare(&s->serving[k].addr, s->serving[k].port, &endpoint->addr, endpoint->port) == 0)
			return true;
	}
	return false;
}

/* A service given twice (two sets of endpoints behind one address) serves with either. */
static bool is_stale(const struct flush *f, const struct ct_flow *flow)
{
	bool found = false;

	for (size_t k = lower_bound(f, &flow->dst); k < f->n; k++) {
		const struct conntrack_service *s = f->by_addr[k];

		if (compare(&s->addr, s->port, &flow->dst.addr, flow->dst.port) != 0)
			break;
		if (serves(s, &flow->reply_src))
			return false;
		found = true;
	}
	return found;
}

static void restart(void *ctx)
{
	struct flush *f = ctx;

	f->n_stale = f->before;
}

static int take(void *ctx, const struct nlmsghdr *nlh)
{
	struct flush *f = ctx;
	struct ct_flow flow;

	if (ct_msg_parse(nlh, &flow) || !is_stale(f, &flow))
		return 0;
	if (f->n_stale == f->size) {
		size_t size = f->size ? f->size * 2 : 64;
		struct ct_flow *grown = reallocarray(f->stale, size, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		f->stale = grown;
		f->size = size;
	}
	f->stale[f->n_stale++] = flow;
	return 0;
}

static int find_stale_of(struct netlink *nl, struct flush *f, uint8_t family, struct nl_msg *msg,
                         struct weft_err *err)
{
	struct netlink_sink sink = {.restart = restart, .msg = take, .ctx = f};
	int rc;

	f->before = f->n_stale;
	netlink_msg_reset(msg);
	rc = ct_msg_dump(msg, family);
	if (rc)
		return weft_err_errno(err, rc, "reading UDP flows");
	rc = netlink_dump(nl, msg, &sink, err);
	if (rc == -EINVAL)
		return weft_err_set(err, EINVAL,
		                    "the kernel does not tell its flows: modprobe nf_conntrack_netlink");
	return rc ? (weft_err_wrap(err, "reading UDP flows"), rc) : 0;
}

/* A dump for each family: older kernels (6.1) filter no dump of both. */
static int find_stale(struct netlink *nl, struct flush *f, struct nl_msg *msg, struct weft_err *err)
{
	uint8_t first = f->by_addr[0]->addr.family, last = f->by_addr[f->n - 1]->addr.family;
	int rc = find_stale_of(nl, f, first, msg, err);

	return rc || first == last ? rc : find_stale_of(nl, f, last, msg, err);
}

/* Outcomes of one batch. What is gone already is as good as deleted. The first other refusal is returned. */
static int count(const struct netlink_batch *b, size_t *deleted)
{
	int rc = 0;

	for (size_t k = 0; k < netlink_batch_count(b); k++) {
		int error = netlink_batch_error(b, k);

		if (!error)
			(*deleted)++;
		else if (error != -ENOENT && !rc)
			rc = error;
	}
	return rc;
}

static int send_batch(struct netlink *nl, struct netlink_batch *b, size_t *deleted, struct weft_err *err)
{
	int rc = netlink_send(nl, b, err);

	if (rc)
		return weft_err_wrap(err, "deleting stale UDP flows"), rc;
	rc = count(b, deleted);
	netlink_batch_reset(b);
	return rc ? weft_err_errno(err, rc, "deleting a stale UDP flow") : 0;
}

/* All are tried, whatever happens to one. */
static int delete_stale(struct netlink *nl, const struct flush *f, struct nl_msg *msg,
                        struct netlink_batch *b, size_t *deleted, struct weft_err *err)
{
	int result = 0;

	for (size_t k = 0; k < f->n_stale; k++) {
		int rc;

		netlink_msg_reset(msg);
		rc = ct_msg_delete(msg, &f->stale[k]);
		if (rc)
			return weft_err_errno(err, rc, "deleting a stale UDP flow");
		if (netlink_batch_add(b, msg) == -ENOSPC) {
			rc = send_batch(nl, b, deleted, result ? NULL : err);
			result = result ? result : rc;
			netlink_batch_reset(b);
			netlink_batch_add(b, msg);
		}
	}
	if (netlink_batch_count(b)) {
		int rc = send_batch(nl, b, deleted, result ? NULL : err);

		result = result ? result : rc;
	}
	return result;
}

static void free_batch(struct netlink_batch **b)
{
	netlink_batch_free(*b);
}

int conntrack_flush_udp(struct netlink *nl, const struct conntrack_service *services, size_t n,
                        size_t *deleted, struct weft_err *err)
{
	weft_auto(free_flush) struct flush f = {0};
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	weft_auto(free_batch) struct netlink_batch *batch = netlink_batch_new();
	size_t uncounted = 0;
	int rc;

	if (!deleted)
		deleted = &uncounted;
	*deleted = 0;
	f.by_addr = calloc(n ? n : 1, sizeof(const struct conntrack_service *));
	if (!msg || !batch || !f.by_addr)
		return weft_err_errno(err, ENOMEM, "stale UDP flows");
	for (size_t k = 0; k < n; k++) {
		if (services[k].n_serving)
			f.by_addr[f.n++] = &services[k];
	}
	if (!f.n)
		return 0;
	qsort(f.by_addr, f.n, sizeof(*f.by_addr), compare_services);
	rc = find_stale(nl, &f, msg, err);
	return rc ? rc : delete_stale(nl, &f, msg, batch, deleted, err);
}
