// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the loop itself counts for metrics: turns, failures, and how long changes of Services took. An event costs
 * an addition here, and no text.
 */
#ifndef AGENT_DAEMON_COUNTERS_H
#define AGENT_DAEMON_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/source.h"

#include "agent/serve/metrics.h"
#include "agent/state/services.h"

#define COUNTERS_TRIGGERS 8192 /* changes that wait at once; of more the oldest are timed */

struct agent_counters {
	struct metrics_histogram reconcile, sync, programming;
	uint64_t failures;  /* of a kernel interface as a whole */
	uint64_t overflows; /* notifications were lost */

	uint64_t started_ms;            /* Unix time, as all below */
	uint64_t queued_ms;             /* when Services last became dirty */
	uint64_t synced_ms;             /* when nothing of them waited last */
	struct services_changes synced; /* what had changed until then */
	uint64_t *triggers;             /* when what the waiting EndpointSlices tell had happened */
	size_t n_triggers, cap_triggers;
};

void counters_init(struct agent_counters *c);
void counters_free(struct agent_counters *c);

/* An event of Services, before the store takes it. settled: the first listing is over. */
void counters_event(struct agent_counters *c, const struct weft_event *ev, bool settled);

/* At the end of a turn that took so many nanoseconds. busy: Services had something to plan or write in it; waits:
 * they have still. */
void counters_turn(struct agent_counters *c, uint64_t ns, bool busy, bool waits,
                   const struct services_changes *changes);

#endif
