// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A folder of manifests, read once: no watching, no writing. The rules are those of the directory datastore.
 */
#ifndef WEFT_SOURCE_ONESHOT_H
#define WEFT_SOURCE_ONESHOT_H

#include "weft/source.h"

/* Tell the sink every object (UPSERT) and every malformed one (INVALID) of the folder. */
int weft_oneshot(const char *path, weft_sink_fn sink, void *ctx, struct weft_err *err);

#endif
