// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/datastore.h"

#include "agent/source/directory.h"

int datastore_open(uv_loop_t *loop, const struct weft_config *cfg, struct weft_source **out,
                   struct weft_err *err)
{
	int r = weft_directory_new(loop, cfg->datastore.path, out, err);

	if (r == 0)
		weft_directory_rescan(*out, cfg->datastore.rescan_ms);
	return r;
}
