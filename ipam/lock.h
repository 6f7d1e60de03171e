// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lock of the allocator: flock(2) on a file that is never written or removed. The kernel drops it when
 * the holder dies. Private to ipam/.
 */
#ifndef WEFT_IPAM_LOCK_H
#define WEFT_IPAM_LOCK_H

#include <stdbool.h>

#include "weft/err.h"

enum weft_lock_mode { WEFT_LOCK_SHARED, WEFT_LOCK_EXCLUSIVE };

/*
 * The locked file (close it to unlock), or a negative errno. -ETIMEDOUT after timeout_ms names the holder.
 * The wait sleeps and tries again, 10 ms apart at most: flock(2) has no time-out but a signal's, and signals
 * are the program's affair, not a library's.
 */
int weft_lock_take(const char *path, enum weft_lock_mode mode, unsigned timeout_ms, struct weft_err *err);

#endif
