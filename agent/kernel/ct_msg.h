// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries of connection tracking by nfnetlink (net/netfilter/nf_conntrack_netlink.c): UDP flows of the
 * default zone. Pure: no socket, no memory kept. Ports are host order here.
 */
#ifndef WEFT_KERNEL_CT_MSG_H
#define WEFT_KERNEL_CT_MSG_H

#include <netlink/msg.h>
#include <stdint.h>

#include "weft/addr.h"

struct ct_end {
	struct weft_addr addr;
	uint16_t port;
};

struct ct_flow {
	struct ct_end src, dst;  /* of the original direction */
	struct ct_end reply_src; /* who answers */
	uint32_t id;             /* the entry's, as the kernel wrote it; 0 = unknown */
};

/* The request of a dump of one family's UDP entries. Kernels before 5.8 tell other protocols too. */
int ct_msg_dump(struct nl_msg *msg, uint8_t family);

/* Delete exactly this entry: its original tuple, and its id where known, so that no successor is hit. */
int ct_msg_delete(struct nl_msg *msg, const struct ct_flow *f);

/* 0; -EINVAL: malformed; -ENOENT: no UDP over IPv4 or IPv6, or another zone. */
int ct_msg_parse(const struct nlmsghdr *nlh, struct ct_flow *out);

#endif
