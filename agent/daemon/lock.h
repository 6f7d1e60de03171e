// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One weftd per state folder: a lock that ends with the process, however it ends.
 */
#ifndef AGENT_DAEMON_LOCK_H
#define AGENT_DAEMON_LOCK_H

#include "weft/err.h"

#define WEFTD_LOCK "weftd.lock"

/* A descriptor that holds the lock until it is closed; makes the folder. -EBUSY names the holder's pid. */
int weftd_lock(const char *state_dir, struct weft_err *err);

#endif
