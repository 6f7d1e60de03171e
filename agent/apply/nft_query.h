// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is a key in a set of `inet weft`? Asked of the kernel, for `weftctl trace`: the reconciler's view of it may
 * be behind. One request per question; nothing is changed or kept.
 */
#ifndef WEFT_APPLY_NFT_QUERY_H
#define WEFT_APPLY_NFT_QUERY_H

#include "agent/plan/services.h"

/*
 * 1: it is; the mark of an ETPL element is put into e. 0: it is not (a SOURCE element is there when a range
 * covers e->source, a host prefix). Negative: it can't be asked, or there is no table with such a set.
 */
int nft_query(struct svc_element *e, struct weft_err *err);

#endif
