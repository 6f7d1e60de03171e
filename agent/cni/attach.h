// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pod's attachment in the kernel: one veth pair, its addresses, routes and neighbours.
 *
 *	host                                              pod
 *	weft3f09ab12c4d                                   eth0 (CNI_IFNAME)
 *	  no address; MAC 02:77:65:66:74:01                 10.244.1.5/32, fd00::5/128 (no DAD)
 *	  10.244.1.5 scope link proto weft                  169.254.1.1 scope link
 *	  fd00::5 metric 1 proto weft                       default via 169.254.1.1, via fe80::1
 *	  10.244.1.5, fd00::5 at the pod's MAC: permanent   169.254.1.1, fe80::1 at 02:77:...: permanent
 *
 * All neighbours are permanent and the host's MAC is the same on every node for every pod, so there is no ARP
 * and no neighbour discovery that could fail, and whatever restarts on the host changes nothing for the pod.
 * The gateways are on no device: they only name the host's end. No link-local IPv6 addresses are made, so no
 * router solicitations leave the pod; router advertisements from a pod are refused by the host.
 *
 * rp_filter is strict on the host's end: with only a route to the pod's address on the device, an IPv4 packet
 * from any other source is dropped.
 *
 * The device name is "weft" and 11 hexadecimal digits of a hash of CONTAINERID/IFNAME, so DEL finds it with
 * no state at all. The alias "weft:NETWORK/CONTAINERID/IFNAME" says in clear whose it is. A device is ours
 * when the name is, its kind is veth, and the alias, if there is one, names this attachment.
 */
#ifndef WEFT_CNI_ATTACH_H
#define WEFT_CNI_ATTACH_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cni/code.h"
#include "agent/kernel/linkconf_msg.h"
#include "agent/kernel/netlink.h"
#include "weft/addr.h"

#define CNI_GATEWAY4   "169.254.1.1"
#define CNI_GATEWAY6   "fe80::1"
#define CNI_HOST_MAC   "02:77:65:66:74:01"
#define CNI_DEV_DIGITS 11
#define CNI_MAC_STR    18

struct cni_attachment {
	const char *container_id, *pod_dev; /* borrowed, validated */
	char host_dev[IFNAMSIZ];
	char alias[LINKCONF_ALIAS_MAX];
	uint8_t pod_mac[6]; /* from the same hash: made anew, the pod has the same MAC */
	uint32_t mtu;       /* 0 = the kernel's default; cni_attach_make() fills in what it became */
	struct weft_addr addrs[2];
	size_t n_addrs;
};

/* Fill in names and MAC; mtu and addresses are zero. */
void cni_attachment_init(struct cni_attachment *a, const char *network, const char *container_id,
                         const char *ifname);

/* "weft" and 11 hexadecimal digits. */
bool cni_is_pod_dev(const char *name);

/* The address of the pod's gateway for a family; the host end's MAC as text and bytes. */
struct weft_addr cni_gateway(uint8_t family);
extern const uint8_t cni_host_mac[6];
const char *cni_mac_str(const uint8_t mac[6], char buf[CNI_MAC_STR]);

/* Our namespace and the pod's. */
struct cni_spaces {
	int host, pod; /* fds */
};
#define CNI_SPACES_INIT ((struct cni_spaces){-1, -1})

/* Open both; a pod namespace that is not there is CNI_E_CONTAINER, our own is refused. */
int cni_spaces_open(struct cni_spaces *s, const char *pod_path, struct weft_err *err);
void cni_spaces_close(struct cni_spaces *s);

/* Move the process; `which` is for the error. 0 or -errno. */
int cni_space_enter(int space, const char *which, struct weft_err *err);

/* A socket in the pod's namespace, NULL on failure; the process is back in ours afterwards. */
struct netlink *cni_netlink_in(const struct cni_spaces *s, struct weft_err *err);

/*
 * Make everything. What a killed ADD of the same attachment left is removed first; an interface of the pod's
 * name that is not ours is an error. On failure nothing is left. 0 or a CNI code.
 */
int cni_attach_make(struct cni_attachment *a, const struct cni_spaces *s, struct weft_err *err);

/* Remove the device, and with it all the rest; 0 when it is not there. */
int cni_attach_remove(struct netlink *host, const struct cni_attachment *a, struct weft_err *err);

/* Compare with the kernel; the first difference is the error. default_route[]: v4, v6 to be looked for. */
int cni_attach_check(const struct cni_attachment *a, const struct cni_spaces *s, const bool default_route[2],
                     struct weft_err *err);

/* Does an alias on our kind of device say that it is another attachment's? */
bool cni_alias_is_foreign(const char *alias, const char *container_id, const char *ifname);

#endif
