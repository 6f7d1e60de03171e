// SPDX-License-Identifier: GPL-2.0-or-later
/* The path of a value for error messages: "spec.ports[10].name", cut where there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/source/fields.h"

static void steps(void **state)
{
	struct weft_decode_ctx ctx = {0};
	size_t ports, index;

	(void)state;
	assert_int_equal(weft_path_push(&ctx, "spec"), 0);
	ports = weft_path_push(&ctx, "ports");
	index = weft_path_push_index(&ctx, 0);
	assert_string_equal(ctx.path, "spec.ports[0]");
	weft_path_pop(&ctx, index);
	weft_path_push_index(&ctx, 10);
	weft_path_push(&ctx, "name");
	assert_string_equal(ctx.path, "spec.ports[10].name");
	weft_path_pop(&ctx, index);
	weft_path_push_index(&ctx, SIZE_MAX);
	assert_string_equal(ctx.path, "spec.ports[18446744073709551615]");
	weft_path_pop(&ctx, ports);
	assert_string_equal(ctx.path, "spec");
}

/* A hostile key can't push out what stands before it, or write past the end. */
static void hostile(void **state)
{
	struct weft_decode_ctx ctx = {0};
	char key[200];

	(void)state;
	memset(key, 'k', sizeof(key));
	key[199] = '\0';
	weft_path_push(&ctx, key);
	assert_int_equal(strlen(ctx.path), 64);
	for (int i = 0; i < 10; i++) {
		weft_path_push(&ctx, key);
		weft_path_push_index(&ctx, 12345);
	}
	assert_int_equal(strlen(ctx.path), sizeof(ctx.path) - 1);
	assert_memory_equal(ctx.path + 64, ".kkkk", 5);
	weft_path_pop(&ctx, 253);
	weft_path_push_index(&ctx, 77);
	assert_string_equal(ctx.path + 253, "[7");
	assert_false(ctx.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(steps),
	        cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
