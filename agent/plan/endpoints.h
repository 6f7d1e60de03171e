// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EndpointSlices of one Service -> the endpoints of one of its ports, and which of them get traffic. Pure.
 *
 * SEMANTICS: S6 (what counts), S7 (union of slices, the number comes from each slice), S8 (duplicates), S9
 * (conditions, local), S11 (ready, else serving and terminating), S12 (hints).
 *
 * An endpoint that is not chosen stays in the list: the apply side keeps it with weight 0 where the kernel
 * already has it, so that its connections go on.
 */
#ifndef AGENT_PLAN_ENDPOINTS_H
#define AGENT_PLAN_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/object.h"

struct endpoints_env {
	const char *node; /* our name */
	const char *zone; /* our topology.kubernetes.io/zone; NULL = none */
};

struct endpoints_item {
	struct weft_addr addr;
	uint16_t port;
	uint8_t conditions; /* WEFT_ENDPOINT_* */
	bool local;         /* on this node */
	bool in_cluster;    /* chosen by policy Cluster */
	bool in_local;      /* chosen by policy Local */
	const char *node;   /* borrowed from the slice; NULL = unknown */
};

struct endpoints {
	struct endpoints_item *items; /* by address, then port; distinct; one allocation */
	size_t n;
	size_t n_cluster, n_local; /* chosen */
	size_t n_usable; /* ready, or serving and terminating, on any node: S14 and S15 are told apart by it
	                  */
	size_t n_local_ready; /* distinct local ready addresses (S25) */
};

/*
 * The endpoints of the port (name, protocol) in one family. Aborts when memory ends. Costs n log n of the
 * Service's own endpoints.
 */
void endpoints_choose(const struct weft_endpointslice *const *slices, size_t n_slices, uint8_t family,
                      const char *port_name, uint8_t protocol, const struct endpoints_env *env,
                      struct endpoints *out);
void endpoints_free(struct endpoints *e);

#endif
