// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions that a new configuration restarts, one at a time: the next text on the way to the wanted one.
 *
 * What counts is the text: a session restarts if its section changes in anything but what BIRD takes under a running
 * session. A stage is the wanted text with the old sections of those sessions that have to wait. Everything else
 * (filters, other peers, sessions that are down anyway) changes with the first stage.
 */
#ifndef WEFT_APPLY_BIRD_STAGES_H
#define WEFT_APPLY_BIRD_STAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/bird/show.h"
#include "agent/plan/bgp.h"

#define BIRD_STAGE_LIMIT_MS 30000 /* for a restarted session to be established again */

/* The session that is being restarted just now. Zero-initialise. */
struct bird_stage {
	char session[BGP_PROTOCOL_NAME_MAX + 1]; /* "" = none */
	uint64_t until;
};

/* Does this change need to know which sessions are established? */
bool bird_stage_asks(const struct bird_stage *s, const char *current, const char *wanted);

/* The text to take next, malloc'd; NULL: the wanted one as a whole. `now` is any clock in milliseconds. */
char *bird_stage_next(struct bird_stage *s, const char *current, const char *wanted,
                      const struct bird_protos *protos, uint64_t now);

#endif
