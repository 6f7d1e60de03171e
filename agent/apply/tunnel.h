// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tunnel devices of weft: weft.ipip (IPv4 in IPv4) and weft.sit (IPv6 in IPv4), one each, without a fixed
 * other end: the gateway of each route into the device is the outer destination (NBMA).
 *
 * A device that is right is adopted with no write. A wrong address, MTU, local end or state is changed in
 * place, because routes hang on the device; only what can't be changed (a fixed remote end, options that weft
 * never sets) makes it be created anew. A device with our name and another kind is not ours: conflict, not
 * touched. tunl0 and sit0, which the kernel makes when the module loads, are nobody's business.
 */
#ifndef WEFT_APPLY_TUNNEL_H
#define WEFT_APPLY_TUNNEL_H

#include <stdint.h>

#include "agent/apply/link.h"
#include "agent/kernel/monitor.h"
#include "agent/kernel/netlink.h"
#include "weft/addr.h"

#define TUNNEL_NEVER UINT64_MAX

enum tunnel_type { TUNNEL_IPIP, TUNNEL_SIT, TUNNEL_TYPES };

struct tunnel_spec {
	struct weft_addr local; /* v4: outer source */
	struct weft_addr addr;  /* of the device: v4 for ipip, v6 for sit; AF_UNSPEC = none yet */
	uint32_t mtu;
};

struct tunnel;

struct tunnel *tunnel_new(struct netlink *nl, const struct links *links); /* both stay the caller's */
void tunnel_free(struct tunnel *t);                                       /* leaves the devices */

void tunnel_want(struct tunnel *t, enum tunnel_type type, const struct tunnel_spec *spec);
void tunnel_unwant(struct tunnel *t, enum tunnel_type type); /* the device is removed, if it is of our kind */

/*
 * Write what is dirty. 0, or a negative errno for the first device that could not be made right (the text
 * says which and why; a repeated failure with the same text returns 0). It is tried again by itself, see
 * tunnel_deadline(). -EEXIST: the name is taken by another kind of device. -EOPNOTSUPP: no such kind in this
 * kernel.
 */
int tunnel_apply(struct tunnel *t, uint64_t now, struct weft_err *err);
uint64_t tunnel_deadline(const struct tunnel *t);

/* After links_resync(): compare everything again. After links_on_event(): the device changed under our hands.
 */
void tunnel_resync(struct tunnel *t);
void tunnel_on_event(struct tunnel *t, const struct monitor_event *ev);

/* From now on devices that nobody wants are removed; before, one found at the start stays. */
void tunnel_sweep(struct tunnel *t);

/* "" = as wanted, else why not. */
const char *tunnel_fault(const struct tunnel *t, enum tunnel_type type);

/* `weftd cleanup`: remove both devices. */
int tunnel_cleanup(struct netlink *nl, const struct links *links, struct weft_err *err);

#endif
