// SPDX-License-Identifier: GPL-2.0-or-later
/* The datastore and the controller: what a weftd of any role has. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "agent/daemon/metrics.h"
#include "ipam/lb.h"
#include "weft/cleanup.h"

/* --- the datastore, as it describes itself --- */

static double number(const cJSON *from, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(from, name);

	return cJSON_IsNumber(v) ? v->valuedouble : cJSON_IsTrue(v) ? 1 : 0;
}

static const char *name_of(const cJSON *collection)
{
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(collection, "name"));

	return name ? name : "";
}

/* Secrets are followed one by one, under one name. */
static bool is_first(const cJSON *list, const cJSON *c)
{
	const cJSON *other;

	cJSON_ArrayForEach (other, list)
		if (other == c || !strcmp(name_of(other), name_of(c)))
			return other == c;
	return true;
}

static double sum(const cJSON *list, const char *name, const char *field)
{
	const cJSON *c;
	double n = 0;

	cJSON_ArrayForEach (c, list)
		if (!strcmp(name_of(c), name))
			n += number(c, field);
	return n;
}

/* As low as the lowest of those with one name. */
static double following(const cJSON *list, const char *name)
{
	const cJSON *c;
	double all = 1;

	cJSON_ArrayForEach (c, list)
		if (!strcmp(name_of(c), name))
			all *= number(c, "following");
	return all;
}

static void write_collections(struct metrics_page *p, const cJSON *list)
{
	static const struct {
		enum metric metric;
		const char *field;
	} counters[] = {{METRIC_DS_LISTS, "lists"},
	                {METRIC_DS_WATCHES, "watches"},
	                {METRIC_DS_EVENTS, "events"},
	                {METRIC_DS_EXPIRED, "expired"}};
	const cJSON *c;

	metric(p, METRIC_DS_FOLLOWING);
	cJSON_ArrayForEach (c, list)
		if (is_first(list, c) && !number(c, "missing"))
			metrics_sample(p, following(list, name_of(c)), name_of(c));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(counters); i++) {
		metric(p, counters[i].metric);
		cJSON_ArrayForEach (c, list)
			if (is_first(list, c))
				metrics_sample(p, sum(list, name_of(c), counters[i].field), name_of(c));
	}
}

static void count_report(void *ctx, const char *where, const char *text)
{
	size_t *n = ctx;

	(void)where, (void)text;
	(*n)++;
}

static void write_objects(struct metrics_page *p, const struct metrics_common *c)
{
	size_t reports = 0;

	metric(p, METRIC_DS_OBJECTS);
	for (int kind = 0; kind < WEFT_KIND_COUNT; kind++) {
		size_t n = cluster_count(c->cluster, (enum weft_kind)kind);

		if (kind == WEFT_SERVICE)
			n = c->services;
		else if (kind == WEFT_ENDPOINTSLICE)
			n = c->slices;
		metrics_sample(p, (double)n, weft_kind_name((enum weft_kind)kind));
	}
	cluster_each_report(c->cluster, count_report, &reports);
	metric_single(p, METRIC_DS_INVALID, (double)reports);
}

static void write_datastore(struct metrics_page *p, const struct metrics_common *c)
{
	cJSON *d = c->source->ops->describe(c->source);
	const cJSON *code;

	metric_single(p, METRIC_DS_SYNCED, number(d, "synced"));
	metric_single(p, METRIC_DS_STALE, number(d, "stale") || number(d, "lost"));
	metric_single(p, METRIC_DS_AGE, number(d, "ageSeconds"));
	write_objects(p, c);
	metric(p, METRIC_DS_ANSWERS);
	cJSON_ArrayForEach (code, cJSON_GetObjectItemCaseSensitive(d, "answers"))
		metrics_sample(p, code->valuedouble, code->string);
	metric_single(p, METRIC_DS_FAILURES, number(d, "failures"));
	metric_single(p, METRIC_DS_BYTES, number(d, "bytesIn"));
	write_collections(p, cJSON_GetObjectItemCaseSensitive(d, "collections"));
	cJSON_Delete(d);
}

/* --- the controller --- */

static void write_pools(struct metrics_page *p, const struct lb *lb, enum metric which)
{
	struct lb_pool pool;

	metric(p, which);
	for (size_t i = 0; lb && lb_pool_at(lb, i, &pool); i++)
		metrics_sample(p,
		               which == METRIC_LB_USED   ? (double)pool.used
		               : which == METRIC_LB_FREE ? (double)(pool.capacity - pool.used)
		                                         : (double)pool.conflicts,
		               pool.name);
}

static void write_controller(struct metrics_page *p, const struct controller *controller)
{
	struct controller_summary s = {0};
	size_t count[LB_STATES] = {0};

	if (controller)
		s = controller_summary(controller);
	metric_single(p, METRIC_LEADER, s.leading);
	metric(p, METRIC_LB_SERVICES);
	if (s.lb) {
		lb_counts(s.lb, count);
		metrics_sample(p, (double)count[LB_ASSIGNED], "assigned");
		metrics_sample(p, (double)count[LB_PENDING], "pending");
		metrics_sample(p, (double)count[LB_CONFLICT], "conflict");
	}
	write_pools(p, s.lb, METRIC_LB_USED);
	write_pools(p, s.lb, METRIC_LB_FREE);
	write_pools(p, s.lb, METRIC_LB_CONFLICTS);
	metric_single(p, METRIC_CONTROLLER_FAILED, (double)s.failed_writes);
}

void metrics_write_common(struct metrics_page *p, const struct metrics_common *c)
{
	metrics_write_process(p);
	write_datastore(p, c);
	write_controller(p, c->controller);
}
