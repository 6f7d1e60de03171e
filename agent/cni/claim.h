// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asking weftd for another address block over its unix socket: the only thing weft-cni needs the daemon for.
 */
#ifndef WEFT_CNI_CLAIM_H
#define WEFT_CNI_CLAIM_H

#include <stdint.h>

#include "agent/cni/code.h"

#define CNI_CLAIM_MS 10000 /* for all requests of one command together */

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t cni_now_ms(void);

/*
 * One claim for a family, answered before the deadline (cni_now_ms()). 0 or CNI_E_AGAIN with a text that
 * says what to do: the daemon's own reason (such as the pool that is exhausted), or that nobody answered;
 * then err->code is -ENOTCONN.
 */
int cni_claim(const char *socket_path, uint8_t family, uint64_t deadline_ms, struct weft_err *err);

#endif
