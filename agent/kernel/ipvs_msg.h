// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPVS by generic netlink (linux/ip_vs.h; net/netfilter/ipvs/ip_vs_ctl.c). Pure: no socket, no memory kept.
 *
 * A generic family has a number that the kernel gives at run time: asked for by name, once. Every message
 * about a destination names its service. Ports are host order here, network order in the message; a fwmark
 * service has neither address, port nor protocol.
 */
#ifndef WEFT_KERNEL_IPVS_MSG_H
#define WEFT_KERNEL_IPVS_MSG_H

#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/addr.h"

#define IPVS_MSG_SCHEDULER_MAX 16

struct ipvs_msg_key {
	struct weft_addr addr; /* of a fwmark service: the family, and zero bytes */
	uint8_t proto;
	uint16_t port;
	uint32_t fwmark; /* 0 = by address */
};

struct ipvs_msg_service {
	struct ipvs_msg_key key;
	char scheduler[IPVS_MSG_SCHEDULER_MAX];
	uint32_t sched_flags;   /* all flags but persistence and the kernel's own */
	uint32_t persistence_s; /* 0 = none */
	bool odd;               /* read only: has what weft never sets (persistence by subnet, an engine) */
};

struct ipvs_msg_dest {
	struct weft_addr addr;
	uint16_t port;
	uint32_t weight;
	uint32_t active, inactive; /* read only: connections */
	bool tunnel;               /* by IPIP (IPv4 address), else by NAT */
	bool odd;                  /* read only: another forwarding method, thresholds */
};

struct ipvs_msg_timeouts { /* seconds */
	uint32_t tcp, tcp_fin, udp;
};

enum ipvs_msg_op { IPVS_MSG_NEW, IPVS_MSG_SET, IPVS_MSG_DEL };

/* Ask for the family's number; the answer -> the number, or -ENOENT when it is something else. */
int ipvs_msg_family(struct nl_msg *msg);
int ipvs_msg_family_parse(const struct nlmsghdr *nlh);

/* Encode into an empty message. 0, -ENOSPC, or -EINVAL (no family in the key). */
int ipvs_msg_service(struct nl_msg *msg, uint16_t family, enum ipvs_msg_op op,
                     const struct ipvs_msg_service *s);
int ipvs_msg_dest(struct nl_msg *msg, uint16_t family, enum ipvs_msg_op op, const struct ipvs_msg_key *key,
                  const struct ipvs_msg_dest *d);
/* The same for another destination: in a message that one of these two made, the last one is replaced. */
int ipvs_msg_dest_next(struct nl_msg *msg, enum ipvs_msg_op op, const struct ipvs_msg_dest *d);

/* Requests: all services, one service (netlink_get()), the destinations of one. */
int ipvs_msg_services(struct nl_msg *msg, uint16_t family);
int ipvs_msg_get(struct nl_msg *msg, uint16_t family, const struct ipvs_msg_key *key);
int ipvs_msg_dests(struct nl_msg *msg, uint16_t family, const struct ipvs_msg_key *key);

/*
 * 0; -EINVAL: malformed; -ENOENT: not a service (destination) of IPv4 or IPv6. Requests are taken too; what a
 * short one leaves out is zero.
 */
int ipvs_msg_service_parse(const struct nlmsghdr *nlh, struct ipvs_msg_service *out);
int ipvs_msg_dest_parse(const struct nlmsghdr *nlh, struct ipvs_msg_dest *out);

int ipvs_msg_get_timeouts(struct nl_msg *msg, uint16_t family);
int ipvs_msg_set_timeouts(struct nl_msg *msg, uint16_t family, const struct ipvs_msg_timeouts *t);
int ipvs_msg_timeouts_parse(const struct nlmsghdr *nlh, struct ipvs_msg_timeouts *out);

#endif
