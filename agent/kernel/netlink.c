// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The netlink request socket over libnl: open, batch, dump. See netlink.h.
 *
 * libnl opens and binds the socket; sending and receiving are ours, because a batch is one sendmsg and
 * its answers are matched to messages by sequence number, which libnl's receive loop does not do.
 */
#include "agent/kernel/netlink.h"

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/socket.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "weft/cleanup.h"

#define DUMP_TRIES   10
#define ANSWER_BYTES (64 * 1024)
/* 256 refusals with their extended text must fit, or answers are lost. */
#define RCVBUF_BYTES (2 * 1024 * 1024)
/* The kernel answers before sendmsg returns; this only keeps a kernel bug from hanging us. */
#define ANSWER_TIMEOUT_S 10

struct netlink_batch {
	size_t count, len;
	uint32_t offset[NETLINK_BATCH_MAX];
	int error[NETLINK_BATCH_MAX];
	char text[NETLINK_BATCH_MAX][NETLINK_TEXT_MAX];
	unsigned char data[NETLINK_BATCH_BYTES];
};

struct netlink_real {
	struct netlink base;
	struct nl_sock *sock;
	uint32_t seq;
	unsigned char answer[ANSWER_BYTES];
};

struct netlink_batch *netlink_batch_new(void)
{
	struct netlink_batch *b = malloc(sizeof(*b));

	if (b)
		netlink_batch_reset(b);
	return b;
}

void netlink_batch_free(struct netlink_batch *b)
{
	free(b);
}

void netlink_batch_reset(struct netlink_batch *b)
{
	b->count = 0;
	b->len = 0;
}

int netlink_batch_add(struct netlink_batch *b, struct nl_msg *msg)
{
	const struct nlmsghdr *src = nlmsg_hdr(msg);
	size_t size = NLMSG_ALIGN(src->nlmsg_len);
	struct nlmsghdr *dst;

	if (b->count == NETLINK_BATCH_MAX || b->len + size > sizeof(b->data))
		return -ENOSPC;
	dst = (struct nlmsghdr *)(void *)(b->data + b->len);
	memset(b->data + b->len, 0, size);
	memcpy(dst, src, src->nlmsg_len);
	dst->nlmsg_flags |= NLM_F_REQUEST;
	dst->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	b->offset[b->count] = (uint32_t)b->len;
	b->error[b->count] = 0;
	b->text[b->count][0] = '\0';
	b->len += size;
	return (int)b->count++;
}

size_t netlink_batch_count(const struct netlink_batch *b)
{
	return b->count;
}

int netlink_batch_error(const struct netlink_batch *b, size_t i)
{
	return b->error[i];
}

const char *netlink_batch_text(const struct netlink_batch *b, size_t i)
{
	return b->text[i];
}

static struct nlmsghdr *message(struct netlink_batch *b, size_t i)
{
	return (struct nlmsghdr *)(void *)(b->data + b->offset[i]);
}

const struct nlmsghdr *netlink_batch_message(const struct netlink_batch *b, size_t i)
{
	return (const struct nlmsghdr *)(const void *)(b->data + b->offset[i]);
}

void netlink_batch_fail(struct netlink_batch *b, size_t i, int error, const char *text)
{
	b->error[i] = error > 0 ? -error : error;
	snprintf(b->text[i], NETLINK_TEXT_MAX, "%s", text ? text : "");
	weft_text_clean(b->text[i]);
}

static int send_bytes(struct netlink_real *r, const void *data, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	do
		n = sendto(nl_socket_get_fd(r->sock), data, len, 0, (struct sockaddr *)&kernel,
		           sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* One datagram from the kernel; datagrams of other processes are skipped. Length or negative errno. */
static ssize_t receive(struct netlink_real *r)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = r->answer, .iov_len = sizeof(r->answer)};
	struct msghdr mh = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	for (;;) {
		n = recvmsg(nl_socket_get_fd(r->sock), &mh, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (mh.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		if (from.nl_pid == 0)
			return n;
	}
}

/* The extended text of an NLMSG_ERROR (NETLINK_EXT_ACK), or "". */
static void error_text(const struct nlmsghdr *nlh, char out[NETLINK_TEXT_MAX])
{
	const struct nlmsgerr *e = NLMSG_DATA(nlh);
	const struct nlattr *a;
	size_t skip = sizeof(*e);

	out[0] = '\0';
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	if (nlh->nlmsg_len < NLMSG_HDRLEN + skip)
		return;
	a = nla_find((const struct nlattr *)((const char *)e + skip),
	             (int)(nlh->nlmsg_len - NLMSG_HDRLEN - skip), NLMSGERR_ATTR_MSG);
	if (a)
		nla_strlcpy(out, a, NETLINK_TEXT_MAX);
}

/* Take the answers out of one datagram; sets *done at the last message's. */
static void take_answers(struct netlink_real *r, struct netlink_batch *b, uint32_t first, int len, bool *done)
{
	char text[NETLINK_TEXT_MAX];

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)r->answer; nlmsg_ok(h, len);
	     h = nlmsg_next(h, &len)) {
		const struct nlmsgerr *e = NLMSG_DATA(h);
		uint32_t i = h->nlmsg_seq - first;

		if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) || i >= b->count)
			continue;
		if (e->error) {
			error_text(h, text);
			netlink_batch_fail(b, i, e->error, text);
		}
		if (i == b->count - 1)
			*done = true;
	}
}

static int real_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	struct netlink_real *r = (struct netlink_real *)nl;
	uint32_t first = r->seq;
	bool done = false;
	ssize_t n;
	int rc;

	r->seq += (uint32_t)b->count;
	for (size_t i = 0; i < b->count; i++)
		message(b, i)->nlmsg_seq = first + (uint32_t)i;
	message(b, b->count - 1)->nlmsg_flags |= NLM_F_ACK;
	rc = send_bytes(r, b->data, b->len);
	if (rc)
		return weft_err_errno(err, rc, "sending %zu messages to the kernel by netlink", b->count);
	while (!done) {
		n = receive(r);
		if (n < 0)
			return weft_err_errno(err, (int)n,
			                      "reading the kernel's answers to %zu netlink messages",
			                      b->count);
		take_answers(r, b, first, (int)n, &done);
	}
	return 0;
}

struct dump {
	const struct netlink_sink *sink;
	uint32_t seq;
	bool interrupted, ended;
	int kernel_error, sink_error;
};

/* One datagram of a dump. After the sink gave up the rest is read and dropped: a socket has one dump at a
 * time. */
static void take_dump(struct netlink_real *r, struct dump *d, int len)
{
	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)r->answer; nlmsg_ok(h, len);
	     h = nlmsg_next(h, &len)) {
		if (h->nlmsg_seq != d->seq)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			d->interrupted = true;
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
			if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
				memcpy(&d->kernel_error, NLMSG_DATA(h), sizeof(int));
			d->ended = true;
			return;
		}
		if (!d->sink_error)
			d->sink_error = d->sink->msg(d->sink->ctx, h);
	}
}

static int real_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                     struct weft_err *err)
{
	struct netlink_real *r = (struct netlink_real *)nl;
	struct nlmsghdr *h = nlmsg_hdr(req);
	struct dump d = {.sink = sink, .seq = r->seq++};
	int rc;

	h->nlmsg_seq = d.seq;
	h->nlmsg_flags |= NLM_F_REQUEST | (h->nlmsg_flags & NLM_F_ACK ? 0 : NLM_F_DUMP);
	rc = send_bytes(r, h, h->nlmsg_len);
	if (rc)
		return weft_err_errno(err, rc, "asking the kernel for a dump by netlink");
	while (!d.ended) {
		ssize_t n = receive(r);

		if (n < 0)
			return weft_err_errno(err, (int)n, "reading a netlink dump");
		take_dump(r, &d, (int)n);
	}
	if (d.kernel_error)
		return weft_err_errno(err, d.kernel_error, "the kernel refused a netlink dump");
	if (d.sink_error)
		return weft_err_errno(err, d.sink_error, "taking in a netlink dump");
	return d.interrupted ? weft_err_set(err, EINTR, "the table changed while it was dumped") : 0;
}

static void real_close(struct netlink *nl)
{
	struct netlink_real *r = (struct netlink_real *)nl;

	nl_socket_free(r->sock);
	free(r);
}

static const struct netlink_ops real_ops = {.send = real_send, .dump = real_dump, .close = real_close};

static void tune(int fd)
{
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	int size = RCVBUF_BYTES, on = 1;

	/* Each of these is an improvement that an old kernel or a missing privilege may refuse. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
}

struct netlink *netlink_open_protocol(int protocol, struct weft_err *err)
{
	struct netlink_real *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		weft_err_errno(err, ENOMEM, "netlink socket");
		return NULL;
	}
	r->base.ops = &real_ops;
	r->seq = 1;
	r->sock = nl_socket_alloc();
	rc = r->sock ? nl_connect(r->sock, protocol) : -NLE_NOMEM;
	if (rc) {
		weft_err_set(err, errno ? errno : EIO, "opening a netlink socket of protocol %d: %s",
		             protocol, nl_geterror(rc));
		nl_socket_free(r->sock);
		free(r);
		return NULL;
	}
	tune(nl_socket_get_fd(r->sock));
	r->base.port = nl_socket_get_local_port(r->sock);
	return &r->base;
}

struct netlink *netlink_open(struct weft_err *err)
{
	return netlink_open_protocol(NETLINK_ROUTE, err);
}

void netlink_close(struct netlink *nl)
{
	if (nl)
		nl->ops->close(nl);
}

int netlink_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	return b->count ? nl->ops->send(nl, b, err) : 0;
}

static void free_batch(struct netlink_batch **b)
{
	netlink_batch_free(*b);
}

int netlink_one(struct netlink *nl, struct nl_msg *msg, const char *what, struct weft_err *err)
{
	weft_auto(free_batch) struct netlink_batch *b = netlink_batch_new();
	int rc;

	if (!b)
		return weft_err_errno(err, ENOMEM, "%s", what);
	rc = netlink_batch_add(b, msg);
	if (rc < 0)
		return weft_err_errno(err, rc, "%s", what);
	rc = netlink_send(nl, b, err);
	if (rc)
		return weft_err_wrap(err, "%s", what), rc;
	rc = netlink_batch_error(b, 0);
	if (rc && netlink_batch_text(b, 0)[0])
		return weft_err_errno(err, rc, "%s: %s", what, netlink_batch_text(b, 0));
	return rc ? weft_err_errno(err, rc, "%s", what) : 0;
}

int netlink_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                 struct weft_err *err)
{
	struct weft_err why = WEFT_ERR_INIT;

	for (int i = 0; i < DUMP_TRIES; i++) {
		int rc;

		if (sink->restart)
			sink->restart(sink->ctx);
		rc = nl->ops->dump(nl, req, sink, &why);
		if (rc == 0 || rc == -ENOENT)
			return 0;
		if (rc != -EINTR) {
			if (err)
				*err = why;
			return rc;
		}
	}
	return weft_err_set(err, EAGAIN, "netlink dump interrupted %d times by changes, giving up for now",
	                    DUMP_TRIES);
}

int netlink_get(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink, struct weft_err *err)
{
	nlmsg_hdr(req)->nlmsg_flags |= NLM_F_ACK;
	return nl->ops->dump(nl, req, sink, err);
}

struct nl_msg *netlink_msg_new(void)
{
	return nlmsg_alloc_size(2048);
}

void netlink_msg_reset(struct nl_msg *msg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);

	memset(h, 0, sizeof(*h));
	h->nlmsg_len = NLMSG_HDRLEN;
}
