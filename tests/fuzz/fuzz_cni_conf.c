// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes on weft-cni's standard input, for every command: refused with a reason, or accepted within
 * bounds. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/cni/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum cni_command commands[] = {CNI_ADD, CNI_DEL,    CNI_CHECK,
	                                            CNI_GC,  CNI_STATUS, CNI_VERSION};
	struct weft_err err = WEFT_ERR_INIT;
	struct cni_conf conf;

	if (size == 0)
		return 0;
	if (cni_conf_decode((const char *)data + 1, size - 1, commands[data[0] % 6], &conf, &err)) {
		if (!err.text[0])
			abort();
	} else if (conf.n_families < 1 || conf.n_families > 2 || conf.state_dir[0] != '/' ||
	           conf.mtu > CNI_MTU_MAX || conf.cooldown_ms > CNI_COOLDOWN_MAX_MS) {
		abort();
	}
	cni_conf_free(&conf);
	return 0;
}
