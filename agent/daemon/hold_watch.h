// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wakes BIRD when a session's hold timer has expired.
 *
 * Before 2.14 BIRD's main loop first runs what is queued, then timers, then sleeps: what a timer queues waits until
 * something else ends the sleep, 3 s at the longest. So a session whose hold timer expires is over, but its routes stay.
 * Any command on the control socket ends the sleep. `show protocols all` says when the timers expire that
 * nobody renews (RFC 4271, 8.2.2: each KEEPALIVE and UPDATE does): asked just after that time, it either wakes BIRD,
 * or tells the next time. About one question for each hold time; none where BFD watches all peers, or BIRD is 2.14 or
 * later.
 */
#ifndef AGENT_DAEMON_HOLD_WATCH_H
#define AGENT_DAEMON_HOLD_WATCH_H

#include <uv.h>

#include "agent/apply/bird.h"
#include "agent/plan/bgp.h"

struct hold_watch;

/* bird is borrowed and freed first. NULL: no memory. */
struct hold_watch *hold_watch_new(uv_loop_t *loop, struct bird_apply *bird);
void hold_watch_free(struct hold_watch *w); /* after bird_apply_free(); NULL is fine */

/* The peers that BIRD is to have; the names of those without BFD are copied. */
void hold_watch_take(struct hold_watch *w, const struct bgp_model *model);

/* BIRD may be another one, or have other sessions: ask now. */
void hold_watch_look(struct hold_watch *w);

#endif
