// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one operation sees: the time, and all blocks as they are on disk, in order of their addresses. An
 * exclusive view holds the lock and may write; it lives as long as the operation. Private to ipam/.
 */
#ifndef WEFT_IPAM_VIEW_H
#define WEFT_IPAM_VIEW_H

#include "ipam/block.h"
#include "ipam/lock.h"

struct weft_ipam {
	char *dir;
	struct weft_ipam_options opt;
};

enum weft_view_mode {
	WEFT_VIEW_UNLOCKED, /* read only; a record being written may look corrupt */
	WEFT_VIEW_SHARED,   /* read only */
	WEFT_VIEW_EXCLUSIVE
};

struct weft_view {
	const struct weft_ipam *ipam;
	struct weft_block_file *files;
	size_t n;
	uint64_t now_ms;
	uint64_t seq; /* the highest release number in all blocks */
	int lock;
};

#define WEFT_VIEW_INIT ((struct weft_view){.lock = -1})

/* Fill a WEFT_VIEW_INIT view; close it (also after a failure) with weft_auto(weft_view_close). */
int weft_view_open(struct weft_view *v, const struct weft_ipam *ipam, enum weft_view_mode mode,
                   struct weft_err *err);
void weft_view_close(struct weft_view *v);

uint64_t weft_view_now(const struct weft_ipam *ipam);

/* Give an address back, with the next number of the queue; the view is exclusive. */
int weft_view_free_entry(struct weft_view *v, struct weft_block_file *f, const struct weft_ipam_entry *e,
                         struct weft_err *err);

/* An owner as its records have it. */
struct weft_owner_key {
	char container_id[WEFT_IPAM_ID_STR];
	char ifname[WEFT_IPAM_IF_STR];
};

/* -EINVAL with the reason when the owner's names are unusable. */
int weft_owner_key(const struct weft_ipam_owner *owner, struct weft_owner_key *key, struct weft_err *err);
bool weft_owner_has(const struct weft_owner_key *key, const struct weft_ipam_entry *e);

#endif
