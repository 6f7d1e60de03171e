// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/counters.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weft/cleanup.h"

/* kube-proxy's: 1 ms, doubled. */
static const double sync_bounds[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128,
                                     0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
/* Most turns are far below a millisecond. */
static const double reconcile_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                          0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};
/* Some of kube-proxy's 80. */
static const double programming_bounds[] = {0.25, 0.5, 1,  2,  3,  4,  5,   6,   8,  10,
                                            15,   20,  30, 45, 60, 90, 120, 180, 300};

static uint64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void counters_init(struct agent_counters *c)
{
	*c = (struct agent_counters){
	        .reconcile = {.bounds = reconcile_bounds, .n = WEFT_ARRAY_LEN(reconcile_bounds)},
	        .sync = {.bounds = sync_bounds, .n = WEFT_ARRAY_LEN(sync_bounds)},
	        .programming = {.bounds = programming_bounds, .n = WEFT_ARRAY_LEN(programming_bounds)},
	        .started_ms = unix_ms()};
}

void counters_free(struct agent_counters *c)
{
	free(c->triggers);
	c->triggers = NULL;
	c->n_triggers = c->cap_triggers = 0;
}

/* What happened before our time was not for us to program. */
static void add_trigger(struct agent_counters *c, uint64_t at)
{
	if (at < c->started_ms || c->n_triggers == COUNTERS_TRIGGERS)
		return;
	if (c->n_triggers == c->cap_triggers) {
		size_t cap = c->cap_triggers ? 2 * c->cap_triggers : 64;
		uint64_t *grown = reallocarray(c->triggers, cap, sizeof(*grown));

		if (!grown)
			return;
		c->triggers = grown;
		c->cap_triggers = cap;
	}
	c->triggers[c->n_triggers++] = at;
}

void counters_event(struct agent_counters *c, const struct weft_event *ev, bool settled)
{
	c->queued_ms = unix_ms();
	if (settled && ev->type == WEFT_EV_UPSERT && ev->obj->kind == WEFT_ENDPOINTSLICE)
		add_trigger(c, ev->obj->endpointslice.trigger_ms);
}

void counters_turn(struct agent_counters *c, uint64_t ns, bool busy, bool waits,
                   const struct services_changes *changes)
{
	double seconds = (double)ns / 1e9;

	metrics_observe(&c->reconcile, seconds);
	if (busy)
		metrics_observe(&c->sync, seconds);
	if (waits)
		return;
	c->synced_ms = unix_ms();
	c->synced = *changes;
	for (size_t i = 0; i < c->n_triggers; i++)
		if (c->triggers[i] <= c->synced_ms) /* else the two clocks differ */
			metrics_observe(&c->programming, (double)(c->synced_ms - c->triggers[i]) / 1000);
	c->n_triggers = 0;
}
