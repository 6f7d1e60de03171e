// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text format of Prometheus (0.0.4), written to a buffer: pure.
 *
 * A page is families one after the other: metrics_begin() writes HELP and TYPE, metrics_put() samples of the
 * family that was begun. A family without samples is still named, so that a page lists all that there is.
 * Label values may be anything: they are escaped, made valid UTF-8 and bounded.
 */
#ifndef AGENT_SERVE_METRICS_H
#define AGENT_SERVE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "weft/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_LABEL_MAX    128 /* bytes of a label's value; the rest is cut off */
#define METRICS_BUCKETS      24

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM };

struct metrics_family {
	const char *name;
	enum metrics_type type;
	const char *labels; /* names separated by commas, "" = none */
	const char *help;   /* without backslash or newline */
};

struct metrics_page {
	struct weft_buf *out;
	const struct metrics_family *family; /* that was begun last */
};

void metrics_begin(struct metrics_page *p, const struct metrics_family *family);

/* One sample; `values` of the labels in their order, NULL at the end. */
void metrics_put(struct metrics_page *p, double number, const char *const *values);
#define metrics_sample(p, number, ...) metrics_put(p, number, (const char *const[]){__VA_ARGS__, NULL})

/* A family without labels, begun and written. */
void metrics_single(struct metrics_page *p, const struct metrics_family *family, double number);

/* Observations by size. bounds: ascending, of static life, METRICS_BUCKETS at most. */
struct metrics_histogram {
	const double *bounds;
	size_t n;
	uint64_t in[METRICS_BUCKETS + 1]; /* not cumulative; the last one is above all bounds */
	double sum;
};

void metrics_observe(struct metrics_histogram *h, double number);

/* A family of type histogram without labels, begun and written. */
void metrics_histogram(struct metrics_page *p, const struct metrics_family *family,
                       const struct metrics_histogram *h);

#endif
