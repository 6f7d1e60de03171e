// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A block's file: header line and one record for each address (ipam/record.h). Private to ipam/.
 *
 * Why a crash leaves it whole. The file appears complete and synced (weft_file_create). After that, one
 * change of one address is one pwrite of one record. kill -9: the kernel delivers it before or after the
 * system call, or, in a buffered write, between two page-sized pieces; a record lies in one page and its
 * source buffer is aligned so that it does too, so it is copied in one piece or not at all. The lock goes
 * with the process. An operation that changes two records (dual stack) may stop between them: each record is
 * right by itself, the first one names its owner, and repeating the operation, or DEL, or GC, ends it.
 *
 * Why pods' records are not synced. A power loss takes the pods with it, whatever their records say. Should
 * an old "used" survive, GC frees it; should an old "free" survive, its pod is gone. A record is smaller than
 * a sector, so it is old or new; the checksum finds what a bad disk makes of that. The node's own addresses
 * outlive a reboot, so their records are synced.
 */
#ifndef WEFT_IPAM_BLOCK_H
#define WEFT_IPAM_BLOCK_H

#include "ipam/host.h"

struct weft_block_file {
	struct weft_ipam_block block; /* counts are zero: see weft_block_count() */
	int fd;                       /* -1 when it was loaded for reading */
};

/* Load dir/name; -ENOENT when it is not there. A short or damaged file gives CORRUPT entries, not an error.
 */
int weft_block_load(const char *dir, const char *name, bool writable, struct weft_block_file *out,
                    struct weft_err *err);
void weft_block_unload(struct weft_block_file *f);

/* Write *e over the record of its address, in the file and then in memory; on failure both are as before. */
int weft_block_write(struct weft_block_file *f, const struct weft_ipam_entry *e, struct weft_err *err);

int weft_block_write_header(struct weft_block_file *f, const char *pool, bool retired, struct weft_err *err);

/* A new file with every address free; -EEXIST when there is one. */
int weft_block_create(const char *dir, const struct weft_prefix *cidr, const char *pool,
                      struct weft_err *err);

/* Addresses of a block whose size is valid; -EINVAL for other sizes. */
int weft_block_size(const struct weft_prefix *cidr, struct weft_err *err);

/* What an address is that nobody has: FREE, or RESERVED for the anycast address. */
enum weft_ipam_state weft_block_free_state(const struct weft_prefix *cidr, const struct weft_addr *addr);

/* The entry of an address; NULL when it is outside. */
struct weft_ipam_entry *weft_block_entry(const struct weft_ipam_block *block, const struct weft_addr *addr);

/* Free, released before and within the cooldown: not to be handed out yet. */
bool weft_entry_cooling(const struct weft_ipam_entry *e, uint64_t now_ms, uint64_t cooldown_ms);

void weft_block_count(struct weft_ipam_block *block, uint64_t now_ms, uint64_t cooldown_ms);

#endif
