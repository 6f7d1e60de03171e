// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside of the nftables reconciler: nft.c decides, nft_text.c writes and reads the language of nft(8).
 */
#ifndef WEFT_APPLY_NFT_PRIVATE_H
#define WEFT_APPLY_NFT_PRIVATE_H

#include <uthash.h>

#include "agent/apply/nft.h"
#include "agent/kernel/nft_watch.h"
#include "weft/buf.h"

#define NFT_SET_PEER4 "peer4"

struct nft_peer {
	struct weft_addr addr;
	bool wanted, present;         /* in our view of the kernel */
	struct nft_peer *prev, *next; /* in the list of changes, when wanted != present */
	UT_hash_handle hh;
};

/* One transaction that makes the table anew with all wanted peers. */
void nft_text_table(struct weft_buf *b, const struct nft_shape *shape, const struct nft_peer *peers);

/* One command that adds or deletes elements: the changes that are listed. */
void nft_text_changes(struct weft_buf *b, const struct nft_peer *changes);

/* Does the listing of the set hold exactly the peers that are present? */
bool nft_text_same_peers(const char *listing, const struct nft_peer *peers);

#endif
