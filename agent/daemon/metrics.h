// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What Prometheus scrapes: GET /metrics, docs/metrics.md.
 *
 *	GET --> ask BIRD (metrics_bird.c) --answers, or after a second without--> the page, from counts that are kept
 *
 * Modules keep their counts as they work; only a scrape formats text, and it walks nothing that grows with the
 * cluster. Several scrapes at once get the same page. A port that can't be bound is tried again, and is a problem
 * in `weftctl status` meanwhile.
 */
#ifndef AGENT_DAEMON_METRICS_H
#define AGENT_DAEMON_METRICS_H

#include <stdbool.h>
#include <uv.h>

#include "weft/source.h"

#include "agent/config/config.h"
#include "agent/daemon/controller.h"
#include "agent/daemon/metrics_list.h"
#include "agent/serve/metrics.h"
#include "agent/state/cluster.h"

#define METRICS_ID(id, name, type, labels, help) METRIC_##id,
enum metric { METRICS_ALL(METRICS_ID) METRIC_COUNT };

extern const struct metrics_family metrics_families[METRIC_COUNT];

struct metrics;

struct metrics_options {
	uv_loop_t *loop;
	const struct weft_config_metrics *listen; /* borrowed */
	/* Somebody has to be asked first: returns true, and metrics_ready() follows, or not. NULL = nobody. */
	bool (*ask)(void *ctx);
	/* Write all families. in_time: metrics_ready() was called, or nobody had to be asked. */
	void (*write)(void *ctx, struct metrics_page *page, bool in_time);
	void *ctx;
	uint64_t patience_ms; /* how long metrics_ready() is waited for; 0 = 1000 */
};

/* Listens, if the configuration says where. NULL: no memory. */
struct metrics *metrics_new(const struct metrics_options *o);
void metrics_free(struct metrics *m); /* run the loop once more afterwards */

/* Those who were asked have answered. Not within ask(). */
void metrics_ready(struct metrics *m);

/* Why nobody can scrape; "" = they can, or are not meant to. */
const char *metrics_fault(const struct metrics *m);

/* Begin a family; one without labels, with its sample. */
void metric(struct metrics_page *p, enum metric which);
void metric_single(struct metrics_page *p, enum metric which, double number);

/* What every weftd has: the process, the datastore, the controller (NULL = it has not that role). */
struct metrics_common {
	struct weft_source *source;
	const struct cluster *cluster;
	size_t services, slices;
	const struct controller *controller;
};
void metrics_write_common(struct metrics_page *p, const struct metrics_common *c);
void metrics_write_process(struct metrics_page *p); /* metrics_process.c */

#endif
