// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The source that the configuration names.
 */
#ifndef AGENT_DAEMON_DATASTORE_H
#define AGENT_DAEMON_DATASTORE_H

#include <uv.h>

#include "weft/err.h"
#include "weft/source.h"

#include "agent/config/config.h"

/* Made, not started. The caller's: ops->free(). */
int datastore_open(uv_loop_t *loop, const struct weft_config *cfg, struct weft_source **out,
                   struct weft_err *err);

/* What the configuration names outside of itself (a kubeconfig) is there and makes sense; nothing is asked.
 */
int datastore_check(const struct weft_config *cfg, struct weft_err *err);

/* weft goes from this node: the datastore's users are told. Waits for the answer, but not for long. */
int datastore_leave(const struct weft_config *cfg, struct weft_err *err);

#endif
