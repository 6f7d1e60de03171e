// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interface addresses to and from rtnetlink messages. Pure: no socket, no memory kept.
 */
#ifndef WEFT_KERNEL_ADDR_MSG_H
#define WEFT_KERNEL_ADDR_MSG_H

#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/addr.h"

struct addr_info {
	uint32_t index;        /* of the device */
	struct weft_addr addr; /* the device's own address */
	uint8_t len;           /* prefix length of the network it is connected to */
	uint8_t scope;         /* RT_SCOPE_UNIVERSE, _LINK, _HOST */
	bool peer;             /* point to point: `addr` is ours, the prefix is the other end's */
	struct weft_addr peer_addr;
	bool tentative; /* v6: duplicate address detection runs or failed: not usable */
};

int addr_msg_parse(const struct nlmsghdr *nlh,
                   struct addr_info *out); /* 0, -EINVAL, -ENOENT (other family) */

/* RTM_NEWADDR (NLM_F_CREATE | NLM_F_REPLACE: present already is success) or RTM_DELADDR. nodad: v6, usable at
 * once. */
int addr_msg_put(struct nl_msg *msg, uint16_t type, uint32_t index, const struct weft_addr *addr, uint8_t len,
                 bool nodad);

int addr_msg_dump(struct nl_msg *msg, uint8_t family); /* AF_UNSPEC = both */

#endif
