// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weftd with the role controller alone: it gives LoadBalancer IPs, and touches no kernel, no BIRD and no
 * pods, so that it needs no rights on the machine where it runs.
 *
 *	source --event--> cluster, services --> controller.c --> source->put_status()
 *	weftctl status --socket--> what it does
 */
#ifndef AGENT_DAEMON_CONTROLLING_H
#define AGENT_DAEMON_CONTROLLING_H

#include <uv.h>

#include "weft/err.h"

#include "agent/config/config.h"

struct controlling;

/* On failure nothing is left behind once the loop has run again. */
int controlling_open(const struct weft_config *cfg, uv_loop_t *loop, struct controlling **out,
                     struct weft_err *err);
/* Run the loop once more afterwards, then controlling_free(). */
void controlling_close(struct controlling *c);
void controlling_free(struct controlling *c);

#endif
