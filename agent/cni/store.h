// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The addresses of an attachment in the node's address state, as the commands need them.
 */
#ifndef WEFT_CNI_STORE_H
#define WEFT_CNI_STORE_H

#include "agent/cni/attach.h"
#include "agent/cni/conf.h"
#include "ipam/host.h"

/* Open stateDir/ipam. 0 or CNI_E_IPAM. */
int cni_store_open(const struct cni_conf *conf, struct weft_ipam **out, struct weft_err *err);

struct weft_ipam_owner cni_store_owner(const struct cni_attachment *a);

/*
 * Reserve one address for each family into a->addrs, asking weftd for another block when none has room.
 * CNI_E_AGAIN when there is none to be had now, CNI_E_IPAM when the state can't be used.
 */
int cni_store_reserve(struct weft_ipam *ipam, const struct cni_conf *conf, const struct weft_addr wanted[2],
                      struct cni_attachment *a, struct weft_err *err);

/*
 * Has each family an address to hand out, now or after a claim by weftd? 0, or what STATUS is to say:
 * CNI_E_UNAVAILABLE; CNI_E_LIMITED when weftd doesn't answer.
 */
int cni_store_room(struct weft_ipam *ipam, const struct cni_conf *conf, struct weft_err *err);

/* What is reserved, in the configured order of families. */
int cni_store_find(struct weft_ipam *ipam, const struct cni_conf *conf, struct cni_attachment *a,
                   struct weft_err *err);

#endif
