// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends of calls to the API server before their time: a callback that refuses, cancels or frees, and
 * cancelling and freeing at any moment. Against a real server on loopback, see kube_server.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/kube_bed.h"

static void test_on_data_refuses(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_result_new(&bed);
	r->refuse = -1;
	bed_send(r, (struct kube_request){.path = "/drip/1000/0.01", .on_data = bed_on_data});
	bed_wait(r);
	bed_expect(r, KUBE_NONSENSE);
	assert_int_equal(r->pieces, 1);
	free(r);
	bed_close(&bed);
}

static void test_errors_do_not_stream(void **state)
{
	const struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_ask(&bed, (struct kube_request){.path = "/auth/other", .on_data = bed_on_data});
	bed_expect(r, KUBE_UNAUTHORIZED);
	assert_int_equal(r->pieces, 0);
	assert_true(r->has_body);
	bed_has(r->err, "401 Unauthorized: it is Unauthorized");
	bed_close(&bed);
}

static void test_cancel_in_data(void **state)
{
	struct bed_result *r, *other;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	r = bed_result_new(&bed);
	other = bed_result_new(&bed);
	r->cancel_in_data = true;
	bed_send(r, (struct kube_request){.path = "/drip/1000/0.01", .on_data = bed_on_data});
	bed_send(other, (struct kube_request){.path = "/drip/10/0.02", .on_data = bed_on_data});
	bed_wait(other);
	assert_true(r->done);
	assert_int_equal(r->pieces, 1);
	bed_expect(other, KUBE_OK);
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	free(r);
	free(other);
	bed_close(&bed);
}

/* In the queue, while the connection is made, in a stream. */
static void test_cancel_at_any_time(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	bed_open_on(&bed, "tls");
	for (int turns = 0; turns < 12; turns++) {
		r = bed_result_new(&bed);
		bed_send(r, (struct kube_request){.path = "/drip/1000/0.01", .on_data = bed_on_data});
		for (int i = 0; i < turns; i++)
			uv_run(&bed.loop, UV_RUN_ONCE);
		kube_cancel(r->call);
		assert_false(r->done);
		free(r);
	}
	bed_expect(bed_get(&bed, "/echo"), KUBE_OK);
	bed_close(&bed);
}

static void test_free_in_callbacks(void **state)
{
	struct bed_result *r, *others[3];
	struct bed bed;

	(void)state;
	for (int in_data = 0; in_data < 2; in_data++) {
		bed_open_on(&bed, "tls");
		r = bed_result_new(&bed);
		for (int i = 0; i < 3; i++) {
			others[i] = bed_result_new(&bed);
			bed_send(others[i], (struct kube_request){.path = "/stall",
			                                          .timeout_ms = UINT64_MAX,
			                                          .on_data = bed_on_data});
		}
		while (!others[2]->stream_len)
			uv_run(&bed.loop, UV_RUN_ONCE);
		r->free_in_data = in_data;
		r->free_in_done = !in_data;
		bed_send(r, (struct kube_request){.path = "/drip/3/0.01", .on_data = bed_on_data});
		bed_wait(r);
		bed_close(&bed);
		for (int i = 0; i < 3; i++) {
			assert_false(others[i]->done);
			free(others[i]);
		}
		free(r);
	}
}

static void test_free_at_any_time(void **state)
{
	struct bed_result *r;
	struct bed bed;

	(void)state;
	for (int turns = 0; turns < 10; turns++) {
		bed_open_on(&bed, "tls");
		r = bed_result_new(&bed);
		bed_send(r, (struct kube_request){.path = "/stall", .on_data = bed_on_data});
		for (int i = 0; i < turns; i++)
			uv_run(&bed.loop, UV_RUN_NOWAIT);
		bed_close(&bed);
		assert_false(r->done);
		free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_on_data_refuses),   cmocka_unit_test(test_errors_do_not_stream),
	        cmocka_unit_test(test_cancel_in_data),    cmocka_unit_test(test_cancel_at_any_time),
	        cmocka_unit_test(test_free_in_callbacks), cmocka_unit_test(test_free_at_any_time),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
