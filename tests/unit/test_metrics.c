// SPDX-License-Identifier: GPL-2.0-or-later
/* The text that Prometheus reads: names, numbers, hostile label values, histograms; and the list of all metrics. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "agent/daemon/counters.h"
#include "agent/daemon/metrics.h"
#include "weft/cleanup.h"

static const struct metrics_family plain = {.name = "a", .type = METRICS_GAUGE, .labels = "", .help = "h."};
static const struct metrics_family labelled = {
        .name = "b_total", .type = METRICS_COUNTER, .labels = "x,yy", .help = "h."};

static void a_page_is_families_with_samples(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct metrics_page p = {.out = &out};

	(void)state;
	metrics_single(&p, &plain, 3);
	metrics_begin(&p, &labelled);
	metrics_sample(&p, 1, "1", "2");
	metrics_sample(&p, 2, "", "");
	assert_string_equal(weft_buf_text(&out), "# HELP a h.\n# TYPE a gauge\na 3\n"
	                                         "# HELP b_total h.\n# TYPE b_total counter\n"
	                                         "b_total{x=\"1\",yy=\"2\"} 1\nb_total{x=\"\",yy=\"\"} 2\n");
}

static void numbers(void **state)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {
	        {0, "0"},           {-1, "-1"},          {9007199254740991.0, "9007199254740991"},
	        {1e300, "1e+300"},  {-1e300, "-1e+300"}, {18446744073709551615.0, "1.84467440737096e+19"},
	        {0.25, "0.25"},     {0.1, "0.1"},        {1763754161.123, "1763754161.123"},
	        {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}, {NAN, "NaN"}};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf out = {0};
		struct metrics_page p = {.out = &out, .family = &plain};
		char line[64];

		metrics_sample(&p, cases[i].number, NULL);
		snprintf(line, sizeof(line), "a %s\n", cases[i].text);
		assert_string_equal(weft_buf_text(&out), line);
	}
}

/* A value can neither end its quotes, nor the line, nor be what is no UTF-8, nor be long. */
static void hostile_label_values(void **state)
{
	static const struct {
		const char *value, *text;
	} cases[] = {
	        {"\"} 1\nweft_bird_up 1\n#", "\\\"} 1\\nweft_bird_up 1\\n#"},
	        {"\\", "\\\\"},
	        {"\\n", "\\\\n"},
	        {"a\\\"b", "a\\\\\\\"b"},
	        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	        {"\xc3", "?"},
	        {"\xe2\x82", "??"},
	        {"\xf0\x9f\x98", "???"},
	        {"\x80x\xff", "?x?"},
	        {"\xc0\xaf", "??"},            /* overlong */
	        {"\xe0\x80\xaf", "???"},       /* overlong */
	        {"\xed\xa0\x80", "???"},       /* a surrogate */
	        {"\xf4\x90\x80\x80", "????"},  /* above U+10FFFF */
	        {"\xf5\x80\x80\x80", "????"},  /* never */
	        {"\xe2\x28\xa1\"", "?(?\\\""}, /* broken in the middle */
	        {"\t\r\x01", "\t\r\x01"},      /* of no meaning to the format */
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		weft_auto(weft_buf_free) struct weft_buf out = {0};
		struct metrics_page p = {.out = &out, .family = &labelled};
		char line[256];

		metrics_sample(&p, 1, cases[i].value, "z");
		snprintf(line, sizeof(line), "b_total{x=\"%s\",yy=\"z\"} 1\n", cases[i].text);
		assert_string_equal(weft_buf_text(&out), line);
	}
}

static void long_label_values_are_cut_between_characters(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct metrics_page p = {.out = &out, .family = &labelled};
	char value[300], want[300];

	(void)state;
	memset(value, 'v', METRICS_LABEL_MAX - 1);
	strcpy(value + METRICS_LABEL_MAX - 1, "\xc3\xa9 and more");
	metrics_sample(&p, 1, value, "z");
	value[METRICS_LABEL_MAX - 1] = '\0';
	snprintf(want, sizeof(want), "b_total{x=\"%s\",yy=\"z\"} 1\n", value);
	assert_string_equal(weft_buf_text(&out), want);
}

static void histograms_are_cumulative(void **state)
{
	static const double bounds[] = {0.5, 1, 10};
	static const double seen[] = {0.1, 0.5, 0.6, 1, 2, 10, 10.1, 1e9};
	static const struct metrics_family family = {
	        .name = "h", .type = METRICS_HISTOGRAM, .labels = "", .help = "h."};
	struct metrics_histogram h = {.bounds = bounds, .n = WEFT_ARRAY_LEN(bounds)};
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct metrics_page p = {.out = &out};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(seen); i++)
		metrics_observe(&h, seen[i]);
	metrics_histogram(&p, &family, &h);
	assert_string_equal(
	        weft_buf_text(&out),
	        "# HELP h h.\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 2\nh_bucket{le=\"1\"} 4\n"
	        "h_bucket{le=\"10\"} 6\nh_bucket{le=\"+Inf\"} 8\nh_sum 1000000024.3\nh_count 8\n");
}

/* --- the list --- */

static bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)s[i]) && s[i] != '_')
			return false;
	return len > 0;
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && !strcmp(s + len - n, end);
}

/* What the format and Prometheus' conventions ask for. */
static void the_list_is_well_formed(void **state)
{
	(void)state;
	for (int i = 0; i < METRIC_COUNT; i++) {
		const struct metrics_family *f = &metrics_families[i];

		assert_true(is_name(f->name, strlen(f->name)));
		assert_null(strpbrk(f->help, "\\\n|"));
		assert_true(ends_with(f->help, "."));
		if (strncmp(f->name, "kubeproxy_", 10) != 0)
			assert_int_equal(ends_with(f->name, "_total"), f->type == METRICS_COUNTER);
		for (const char *l = f->labels; *l; l += strcspn(l, ",") + (strchr(l, ',') != NULL))
			assert_true(is_name(l, strcspn(l, ",")));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(f->name, metrics_families[k].name);
	}
}

/* --- what the loop counts --- */

static void slice_event(struct agent_counters *c, uint64_t trigger_ms, bool settled)
{
	struct weft_object obj = {.kind = WEFT_ENDPOINTSLICE};
	struct weft_event ev = {.type = WEFT_EV_UPSERT, .kind = WEFT_ENDPOINTSLICE, .obj = &obj};

	obj.endpointslice.trigger_ms = trigger_ms;
	counters_event(c, &ev, settled);
}

static uint64_t count(const struct metrics_histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= h->n; i++)
		n += h->in[i];
	return n;
}

static void changes_are_timed_until_the_dataplane_has_them(void **state)
{
	struct services_changes now = {.services = 1, .slices = 3};
	struct agent_counters c;

	(void)state;
	counters_init(&c);
	slice_event(&c, 0, true);                /* it says nothing */
	slice_event(&c, c.started_ms - 1, true); /* before our time */
	slice_event(&c, c.started_ms, false);    /* part of the first listing */
	slice_event(&c, c.started_ms, true);
	slice_event(&c, c.started_ms + 3600000, true); /* the other clock is ahead */
	counters_turn(&c, 5000000, true, true, &now);
	assert_int_equal(count(&c.programming), 0);
	assert_int_equal(c.synced.slices, 0);
	assert_int_equal(c.synced_ms, 0);
	counters_turn(&c, 5000000, true, false, &now);
	assert_int_equal(count(&c.programming), 1);
	assert_int_equal(c.synced.slices, 3);
	assert_true(c.synced_ms >= c.started_ms);
	counters_turn(&c, 200, false, false, &now);
	assert_int_equal(count(&c.programming), 1);
	assert_int_equal(count(&c.sync), 2);
	assert_int_equal(c.sync.in[3], 2); /* 5 ms: above 4, not above 8 */
	assert_int_equal(count(&c.reconcile), 3);
	counters_free(&c);
}

static void what_waits_is_bounded(void **state)
{
	struct services_changes now = {0};
	struct agent_counters c;

	(void)state;
	counters_init(&c);
	for (int i = 0; i < COUNTERS_TRIGGERS + 10; i++)
		slice_event(&c, c.started_ms, true);
	counters_turn(&c, 1, true, false, &now);
	assert_int_equal(count(&c.programming), COUNTERS_TRIGGERS);
	counters_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_page_is_families_with_samples),
	        cmocka_unit_test(numbers),
	        cmocka_unit_test(hostile_label_values),
	        cmocka_unit_test(long_label_values_are_cut_between_characters),
	        cmocka_unit_test(histograms_are_cumulative),
	        cmocka_unit_test(the_list_is_well_formed),
	        cmocka_unit_test(changes_are_timed_until_the_dataplane_has_them),
	        cmocka_unit_test(what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
