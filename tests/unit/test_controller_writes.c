// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller: writes that fail, that come too late, and that are too many. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/controller_bed.h"

/* Somebody else was there first: no failure to speak of, and decided anew with what that one wrote. */
static void another_writer_is_no_failure(void **state)
{
	struct bed *b = *state;
	uint64_t end = uv_hrtime() + UINT64_C(20000000000);
	cJSON *json;

	have(b, lb_service("x/a", "4"));
	weft_log_init(-1);
	lead(b);
	expect_code(b, "Service x/a NoPool", -EAGAIN);
	json = controller_describe(b->c);
	assert_null(cJSON_GetObjectItem(json, "error"));
	cJSON_Delete(json);
	have(b, status_of("x/a", "10.1.0.2"));
	turn(b);
	expect_code(b, "Service x/a 10.1.0.2 Conflict", -EAGAIN);
	while (b->n < 1 && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	expect_code(b, "Service x/a 10.1.0.2 Conflict", 0);
	expect(b, "");
}

static void a_failed_write_is_tried_again(void **state)
{
	struct bed *b = *state;
	uint64_t end = uv_hrtime() + UINT64_C(20000000000);
	cJSON *json;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	have(b, lb_service("x/a", "4"));
	weft_log_init(-1);
	lead(b);
	expect_code(b, "Service x/a 10.1.0.1 Assigned\nIPPool p 1/9/0", -ENOSPC);
	json = controller_describe(b->c);
	assert_int_equal(cJSON_GetObjectItem(json, "failedWrites")->valueint, 2);
	assert_string_equal(cJSON_GetObjectItem(json, "error")->valuestring, "the disk says no");
	cJSON_Delete(json);
	have(b, annotated(lb_service("x/a", "4"), WEFT_ANNOTATION_LB_IPS, "10.1.0.9"));
	turn(b);
	while (b->n < 2 && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	/* The newer one at once; of what failed, what is not under way already. */
	expect_code(b, "Service x/a 10.1.0.9 Assigned\nIPPool p 1/9/0", 0);
	turn(b);
	json = controller_describe(b->c);
	assert_int_equal(cJSON_GetObjectItem(json, "failedWrites")->valueint, 0);
	assert_null(cJSON_GetObjectItem(json, "error"));
	cJSON_Delete(json);
	uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_int_equal(b->n, 0);
}

static void a_new_reign_forgets_failures(void **state)
{
	struct bed *b = *state;

	have(b, lb_pool("p", "10.1.0.1-10.1.0.9"));
	weft_log_init(-1);
	lead(b);
	expect_code(b, "IPPool p 0/9/0", -ENOSPC);
	b->on_change(b->ctx, false);
	expect(b, "");
	uv_run(&b->loop, UV_RUN_DEFAULT); /* no timer is left */
	b->on_change(b->ctx, true);
	expect(b, "IPPool p 0/9/0");
}

static void malformed(struct bed *b, unsigned i, const char *text)
{
	char key[32];

	snprintf(key, sizeof(key), "bad%u", i);
	event(b, &(struct weft_event){WEFT_EV_INVALID, WEFT_IPPOOL, key, NULL, key, key, text});
}

static void count_told(struct bed *b, size_t want)
{
	size_t before = b->counted;

	turn(b);
	assert_int_equal(b->counted - before, want);
}

/* Objects without number are malformed: so many are told of, and what they say may change. */
static void malformed_objects_are_bounded(void **state)
{
	struct bed *b = *state;

	lead(b);
	b->counting = true;
	for (unsigned i = 0; i < 5000; i++)
		malformed(b, i, "spec.cidr: is missing");
	count_told(b, 4096);
	malformed(b, 7, "spec.cidr: is another one");
	count_told(b, 1);
	malformed(b, 6000, "spec.cidr: is missing");
	count_told(b, 0);
	malformed(b, 7, ""); /* makes room for one */
	for (unsigned i = 6000; i < 6002; i++)
		malformed(b, i, "spec.cidr: is missing");
	count_told(b, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(another_writer_is_no_failure),
	        TEST(a_failed_write_is_tried_again),
	        TEST(a_new_reign_forgets_failures),
	        TEST(malformed_objects_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
