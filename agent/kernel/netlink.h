// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rtnetlink request socket: the kernel seam.
 *
 * Callers encode messages with the *_msg modules, put them in a batch and send it; or run a dump. Both
 * go through `struct netlink_ops`, so that a test can stand in for the kernel and force each failure.
 *
 * rtnetlink works synchronously inside sendmsg(2): when it returns, every message of the batch was
 * processed in order and the answers are in the receive buffer. Only the last message asks for an ACK;
 * the kernel reports each message that failed in any case (net/netlink/af_netlink.c, netlink_rcv_skb)
 * and goes on with the next. Answers are matched by sequence number.
 */
#ifndef WEFT_KERNEL_NETLINK_H
#define WEFT_KERNEL_NETLINK_H

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

#define NETLINK_BATCH_MAX   256         /* messages */
#define NETLINK_BATCH_BYTES (64 * 1024) /* bytes of all messages together */
#define NETLINK_TEXT_MAX    96          /* the kernel's extended error text, NUL included */

struct netlink_batch; /* opaque */

/* NULL only when memory is short. A batch is reused for the life of its owner. */
struct netlink_batch *netlink_batch_new(void);
void netlink_batch_free(struct netlink_batch *b);
void netlink_batch_reset(struct netlink_batch *b);

/*
 * Copy a message into the batch; msg stays the caller's. Returns its position (0, 1, ...) or -ENOSPC when
 * the batch is full: send it, reset it, add again. Sequence number and NLM_F_REQUEST are set here.
 */
int netlink_batch_add(struct netlink_batch *b, struct nl_msg *msg);
size_t netlink_batch_count(const struct netlink_batch *b);

/* Outcome of message i after netlink_send() returned 0: 0 or a negative errno; the kernel's words, "" if
 * none. */
int netlink_batch_error(const struct netlink_batch *b, size_t i);
const char *netlink_batch_text(const struct netlink_batch *b, size_t i);

/* For implementations of netlink_ops: look at message i, record that it failed (text may be NULL). */
const struct nlmsghdr *netlink_batch_message(const struct netlink_batch *b, size_t i);
void netlink_batch_fail(struct netlink_batch *b, size_t i, int error, const char *text);

/* Receives a dump. After restart() everything that came before is void. msg() returns 0, or a negative errno
 * to give up. */
struct netlink_sink {
	void (*restart)(void *ctx); /* may be NULL */
	int (*msg)(void *ctx, const struct nlmsghdr *nlh);
	void *ctx;
};

struct netlink;

struct netlink_ops {
	/* 0: every message has its outcome. Negative: outcomes are unknown (-ENOBUFS: answers were lost). */
	int (*send)(struct netlink *nl, struct netlink_batch *b, struct weft_err *err);
	/* One attempt. -EINTR: the table changed meanwhile (NLM_F_DUMP_INTR), the result may lack entries.
	 * A request with NLM_F_ACK asks for one object instead: its answer, then the kernel's ACK. */
	int (*dump)(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
	            struct weft_err *err);
	void (*close)(struct netlink *nl);
};

struct netlink {
	const struct netlink_ops *ops;
	uint32_t port; /* our port id: notifications of our own changes carry it in nlmsg_pid */
};

/* Open in the calling thread's network namespace; the socket stays there whatever the thread does later.
 * NULL on failure. */
struct netlink *netlink_open(struct weft_err *err);
/* The same for another netlink protocol (NETLINK_GENERIC, NETLINK_NETFILTER): batches and dumps work alike.
 */
struct netlink *netlink_open_protocol(int protocol, struct weft_err *err);
void netlink_close(struct netlink *nl);

int netlink_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err);

/* Send one message and wait for its answer. The error names `what`. */
int netlink_one(struct netlink *nl, struct nl_msg *msg, const char *what, struct weft_err *err);

/*
 * Dump, repeated when interrupted, 10 times at most; then -EAGAIN and nothing of it may be believed.
 * req stays the caller's. -ENOENT is a table that does not exist: reported as an empty dump, 0.
 */
int netlink_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                 struct weft_err *err);

/*
 * Ask for one object (link_msg_get() and the like): the sink gets it. Returns the kernel's answer as it is,
 * -ENODEV for a device that is not there; the error then says so.
 */
int netlink_get(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                struct weft_err *err);

/* A message that can be encoded again and again; netlink_msg_reset() empties it. */
struct nl_msg *netlink_msg_new(void);
void netlink_msg_reset(struct nl_msg *msg);
static inline void netlink_msg_cleanup(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

#endif
