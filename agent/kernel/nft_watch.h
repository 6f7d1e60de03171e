// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hears that somebody touched weft's nftables table: one socket in the multicast group of nfnetlink, which
 * libnftables can't listen to. It tells that, not what; the owner looks at the table itself.
 */
#ifndef WEFT_KERNEL_NFT_WATCH_H
#define WEFT_KERNEL_NFT_WATCH_H

#include <stdbool.h>

#include "weft/err.h"

struct nft_watch;

/* In the calling thread's network namespace. NULL on failure. */
struct nft_watch *nft_watch_open(struct weft_err *err);
void nft_watch_close(struct nft_watch *w);
int nft_watch_fd(const struct nft_watch *w); /* readable: call nft_watch_read() */

/* Drains what is waiting. True: the table was touched, by us too, or messages were lost. */
bool nft_watch_read(struct nft_watch *w);

#endif
