// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Permanent neighbour entries as rtnetlink messages. Pure: no socket, no memory kept.
 */
#ifndef WEFT_KERNEL_NEIGH_MSG_H
#define WEFT_KERNEL_NEIGH_MSG_H

#include <netlink/msg.h>
#include <stdint.h>

#include "weft/addr.h"

/* addr is at mac on device index, for good (NUD_PERMANENT); replaces what is there. 0, -EINVAL or -ENOSPC. */
int neigh_msg_put(struct nl_msg *msg, uint32_t index, const struct weft_addr *addr, const uint8_t mac[6]);

#endif
