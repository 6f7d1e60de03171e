// SPDX-License-Identifier: GPL-2.0-or-later
/* What is decided and told of LoadBalancer IPs, as lines. Included after cmocka.h. */
#ifndef TESTS_UNIT_LB_BED_H
#define TESTS_UNIT_LB_BED_H

#include "ipam/lb_int.h"
#include "tests/unit/lb_objects.h"

#define IPS   WEFT_ANNOTATION_LB_IPS
#define POOL  WEFT_ANNOTATION_LB_POOL
#define SHARE WEFT_ANNOTATION_LB_SHARE

static inline int setup(void **state)
{
	*state = lb_new(true);
	return 0;
}

static inline int teardown(void **state)
{
	const struct lb *lb = *state;
	size_t counted[LB_STATES], found[LB_STATES] = {0};

	/* What is counted is what a walk finds. */
	lb_counts(lb, counted);
	for (const struct lb_svc *s = lb->services; s; s = s->hh.next)
		found[s->state]++;
	for (int i = 0; i < LB_STATES; i++)
		assert_int_equal(counted[i], found[i]);
	lb_free(*state);
	return 0;
}

/* What is decided for a Service, as a line; "unknown". */
static inline void expect(struct lb *lb, const char *key, const char *want)
{
	struct lb_service s;
	char text[256];

	if (strcmp(lb_get(lb, key, &s) ? answer_text(&s, text, sizeof(text)) : "unknown", want))
		fail_msg("%s: \"%s\", expected \"%s\" (%s)", key, text, want, s.message);
}

static inline void expect_message(struct lb *lb, const char *key, const char *part)
{
	struct lb_service s;

	assert_true(lb_get(lb, key, &s));
	if (!strstr(s.message, part))
		fail_msg("%s: \"%s\" has no \"%s\"", key, s.message, part);
}

/* All that is to be told, as lines "KEY ANSWER". */
static inline void expect_told(struct lb *lb, const char *want)
{
	char told[1024] = "", text[256];
	struct lb_service s;
	size_t n = 0;

	while (lb_next(lb, &s))
		n += (size_t)snprintf(told + n, sizeof(told) - n, "%s%s %s", n ? "\n" : "", s.key,
		                      answer_text(&s, text, sizeof(text)));
	assert_string_equal(told, want);
}

static inline void expect_pool(struct lb *lb, const char *name, uint64_t capacity, uint64_t used,
                               size_t conflicts)
{
	struct lb_pool p;

	for (size_t i = 0; lb_pool_at(lb, i, &p); i++) {
		if (strcmp(p.name, name))
			continue;
		assert_int_equal(p.capacity, capacity);
		assert_int_equal(p.used, used);
		assert_int_equal(p.conflicts, conflicts);
		return;
	}
	fail_msg("no pool %s", name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
