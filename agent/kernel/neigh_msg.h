// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Neighbour entries to and from rtnetlink messages. Pure: no socket, no memory kept.
 */
#ifndef WEFT_KERNEL_NEIGH_MSG_H
#define WEFT_KERNEL_NEIGH_MSG_H

#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/addr.h"

/* addr is at mac on device index, for good (NUD_PERMANENT); replaces what is there. 0, -EINVAL or -ENOSPC. */
int neigh_msg_put(struct nl_msg *msg, uint32_t index, const struct weft_addr *addr, const uint8_t mac[6]);

/* The request of a dump of one family. 0 or -ENOSPC. */
int neigh_msg_dump(struct nl_msg *msg, uint8_t family);

struct neigh_info {
	uint32_t index; /* of the device */
	struct weft_addr addr;
	bool router; /* it has said so: NTF_ROUTER */
	bool failed; /* it does not answer, or was not asked yet */
};

/* Cheap look at the fixed header of RTM_NEWNEIGH and RTM_DELNEIGH: the index of the device on which a router of
 * IPv6 came, changed or went; 0 = it is about no router. */
uint32_t neigh_msg_router(const struct nlmsghdr *nlh);

/* 0; -EINVAL: malformed; -ENOENT: no neighbour of IPv4 or IPv6. */
int neigh_msg_parse(const struct nlmsghdr *nlh, struct neigh_info *out);

#endif
