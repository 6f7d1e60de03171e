// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One line of a block file: text in fixed columns, closed by a checksum. Pure: bytes in, bytes out.
 *
 *	header, 512 bytes: "weft-ipam 1", CIDR, pool name, "retired" or nothing
 *	record, 256 bytes: address, state, sequence, seconds.millis of the last release, host device,
 *	                   interface in the pod, container ID; "-" = none
 *
 * Both are padded with spaces and end with 16 hex digits (SipHash-2-4 of all before, with a fixed key: it
 * guards against tearing and bad disks, not against an attacker, who would have to be root) and a newline.
 * A record starts at a multiple of 256, so none straddles a page or a disk sector of 512 bytes or more.
 */
#ifndef WEFT_IPAM_RECORD_H
#define WEFT_IPAM_RECORD_H

#include "ipam/host.h"
#include "weft/addr.h"

#define WEFT_IPAM_HEADER   512
#define WEFT_IPAM_RECORD   256
#define WEFT_IPAM_POOL_STR 254

/* Largest values that fit their columns; larger ones are cut to these. */
#define WEFT_IPAM_SEQ_MAX  UINT64_C(999999999999)
#define WEFT_IPAM_TIME_MAX UINT64_C(9999999999999)

void weft_ipam_record_encode(const struct weft_ipam_entry *e, char out[WEFT_IPAM_RECORD]);

/* The record that must be addr's. Anything else than a whole, valid one gives state CORRUPT. */
void weft_ipam_record_decode(const char in[WEFT_IPAM_RECORD], const struct weft_addr *addr,
                             struct weft_ipam_entry *e);

void weft_ipam_header_encode(const struct weft_prefix *cidr, const char *pool, bool retired,
                             char out[WEFT_IPAM_HEADER]);

/* The pool of a block's header; false (and "") when the header is not whole or is another block's. */
bool weft_ipam_header_decode(const char in[WEFT_IPAM_HEADER], const struct weft_prefix *cidr,
                             char pool[WEFT_IPAM_POOL_STR], bool *retired);

/* As the CNI specification and the kernel want them, see host.h. */
bool weft_ipam_id_valid(const char *id);
bool weft_ipam_ifname_valid(const char *ifname);
bool weft_ipam_pool_valid(const char *pool);

/* The stored form of a valid container ID. */
void weft_ipam_id_store(const char *id, char out[WEFT_IPAM_ID_STR]);

#endif
