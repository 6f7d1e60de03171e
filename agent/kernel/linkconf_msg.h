// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The per-device settings of the IP layers that rtnetlink can carry: what else would be a write to /proc/sys
 * for each. Pure: no socket, no memory kept.
 */
#ifndef WEFT_KERNEL_LINKCONF_MSG_H
#define WEFT_KERNEL_LINKCONF_MSG_H

#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#define LINKCONF_ALIAS_MAX 256 /* IFALIASZ, NUL included */

/* As the kernel told it in RTM_NEWLINK. */
struct linkconf_info {
	char alias[LINKCONF_ALIAS_MAX]; /* "" = none */
	bool has_inet6;                 /* the fields below are known */
	bool disable_ipv6;
	int accept_ra;
	bool no_addr_gen; /* IN6_ADDR_GEN_MODE_NONE */
};
int linkconf_msg_parse(const struct nlmsghdr *nlh, struct linkconf_info *out); /* 0 or -EINVAL */

struct linkconf {
	bool inet; /* write what follows: only where the device has IPv4 */
	uint32_t rp_filter, forwarding;
	uint32_t accept_redirects, send_redirects;
	bool no_addr_gen; /* the kernel makes no IPv6 link-local address; only where the device has IPv6 */
};
/* Must come before the message that brings the device up: the kernel sets flags first (do_setlink). */
int linkconf_msg_put(struct nl_msg *msg, uint32_t index, const struct linkconf *c); /* 0 or -ENOSPC */

/* Bring the device up; alias NULL leaves it alone. */
int linkconf_msg_up(struct nl_msg *msg, uint32_t index, const char *alias);

#endif
