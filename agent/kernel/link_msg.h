// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Network devices to and from rtnetlink messages. Pure: no socket, no memory kept.
 * Every *_put fills an empty message and returns 0 or -ENOSPC.
 */
#ifndef WEFT_KERNEL_LINK_MSG_H
#define WEFT_KERNEL_LINK_MSG_H

#include <net/if.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/addr.h"

#define LINK_KIND_MAX 16

/* A device as the kernel told it. */
struct link_info {
	uint32_t index;
	char name[IFNAMSIZ];
	char kind[LINK_KIND_MAX]; /* "veth", "ipip", ...; "" for physical devices and lo */
	uint32_t mtu;
	bool up;      /* IFF_UP: set so by the administrator; routes need this, not carrier */
	bool carrier; /* IFF_LOWER_UP */
	bool loopback;
	uint8_t mac[6];
	uint32_t peer;   /* IFLA_LINK: the veth's other end (in its own namespace), 0 = none */
	bool has_tunnel; /* the fields below are known: ipip and sit */
	struct weft_addr tunnel_local, tunnel_remote; /* AF_UNSPEC = any */
	uint8_t tunnel_ttl;
	bool tunnel_pmtudisc;
	bool tunnel_extra; /* options that weft never sets (collect-metadata, fou, 6rd, tos) */
};

/* -EINVAL: malformed. -ENOENT: an AF_BRIDGE or other family's view, not a device. */
int link_msg_parse(const struct nlmsghdr *nlh, struct link_info *out);

int link_msg_dump(struct nl_msg *msg);
int link_msg_get(struct nl_msg *msg, const char *name); /* for netlink_get(): RTM_NEWLINK, or -ENODEV */
int link_msg_del(struct nl_msg *msg, uint32_t index);

struct link_veth {
	const char *name, *peer_name;  /* valid device names */
	uint32_t mtu;                  /* both ends; 0 = the kernel's default */
	int peer_netns;                /* fd of the namespace the peer is born in, -1 = ours */
	const uint8_t *mac, *peer_mac; /* 6 bytes; NULL = the kernel's choice */
	bool up; /* bring our end up at once; the peer's state is its namespace's affair */
};
int link_msg_veth(struct nl_msg *msg, const struct link_veth *v);

struct link_tunnel {
	const char *name;
	const char *kind;       /* "ipip" or "sit" */
	struct weft_addr local; /* v4; remote is any: the route's gateway is the outer destination (NBMA) */
	uint32_t mtu;
	uint8_t ttl; /* 1-255; path MTU discovery needs a fixed one, and is on */
};
/* index 0: create (NLM_F_CREATE | NLM_F_EXCL). Otherwise change that device in place; it keeps its routes. */
int link_msg_tunnel(struct nl_msg *msg, const struct link_tunnel *t, uint32_t index);

/* What is to be changed of device `index`; a zero field is left alone. */
struct link_change {
	uint32_t mtu;
	const char *name;
	bool up, down;
};
int link_msg_change(struct nl_msg *msg, uint32_t index, const struct link_change *c);

/* 1-15 bytes, no '/', no ':', no whitespace or control characters, not "." or ".." (net/core/dev.c,
 * dev_valid_name). */
bool link_name_valid(const char *name);

#endif
