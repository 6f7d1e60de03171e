// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What BIRD says of its sessions, for metrics: asked for each scrape, and now and then between them to see
 * sessions that flap. Where nobody has scraped for a while nothing is asked, so that an idle agent sleeps. A session that left Established and is back since the last look is known by its `since`;
 * several times between two looks count as one.
 */
#ifndef AGENT_DAEMON_METRICS_BIRD_H
#define AGENT_DAEMON_METRICS_BIRD_H

#include <stdbool.h>
#include <uv.h>

#include "agent/apply/bird.h"
#include "agent/daemon/metrics.h"
#include "agent/plan/bgp.h"

struct metrics_bird;

/* bird is borrowed and freed first. on_answered: what metrics_bird_ask() asked for is there. poll_ms: 0 = ask only
 * for scrapes. NULL: no memory. */
struct metrics_bird *metrics_bird_new(uv_loop_t *loop, struct bird_apply *bird, uint64_t poll_ms,
                                      void (*on_answered)(void *ctx), void *ctx);
void metrics_bird_free(struct metrics_bird *b); /* after bird_apply_free() */

/* The peers that BIRD is to have; what is needed of them is copied. */
void metrics_bird_take(struct metrics_bird *b, const struct bgp_model *model);

/* False: there is nobody to wait for. */
bool metrics_bird_ask(struct metrics_bird *b);

/* answered: what is known is of this scrape; else BIRD counts as down. */
void metrics_bird_write(const struct metrics_bird *b, struct metrics_page *p, bool answered);

#endif
