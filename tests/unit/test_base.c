// SPDX-License-Identifier: GPL-2.0-or-later
/* The base library: addresses, errors, buffers, files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/addr.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/err.h"
#include "weft/file.h"

static void addresses_parse_strictly(void **state)
{
	static const char *const bad[] = {
	        "",    "1.2.3",        "1.2.3.4.5", "01.2.3.4",          "1.2.3.4 ",  " 1.2.3.4",
	        "::g", "fe80::1%eth0", "1.2.3.256", "1:2:3:4:5:6:7:8:9", "1.2.3.4/32"};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_addr a;
	char text[WEFT_ADDR_STR];

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		assert_int_equal(weft_addr_parse(bad[i], &a, &err), -EINVAL);
	assert_int_equal(weft_addr_parse(NULL, &a, NULL), -EINVAL);
	assert_int_equal(weft_addr_parse("10.0.0.1", &a, &err), 0);
	assert_string_equal(weft_addr_str(&a, text), "10.0.0.1");
	assert_int_equal(weft_addr_parse("FD00:0:0::1", &a, &err), 0);
	assert_string_equal(weft_addr_str(&a, text), "fd00::1");
}

static void prefixes_parse_strictly(void **state)
{
	static const char *const bad[] = {"10.0.0.0",    "10.0.0.0/33", "10.0.0.0/",
	                                  "10.0.0.0/08", "10.0.0.0/-1", "fd00::/129",
	                                  "10.0.0.0/8 ", "/8",          "x/8"};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_prefix p;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		assert_int_equal(weft_prefix_parse(bad[i], &p, &err), -EINVAL);
	assert_int_equal(weft_prefix_parse("10.1.2.3/8", &p, &err), -EINVAL);
	assert_non_null(strstr(err.text, "did you mean 10.0.0.0/8?"));
	assert_int_equal(weft_prefix_parse("10.0.0.0/8", &p, &err), 0);
	assert_int_equal(p.len, 8);
	assert_int_equal(weft_prefix_parse("::/0", &p, &err), 0);
}

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

static void prefixes_relate(void **state)
{
	struct weft_prefix a = prefix("10.0.0.0/8"), b = prefix("10.1.0.0/26"), c = prefix("11.0.0.0/8");
	struct weft_prefix six = prefix("::/0");
	struct weft_addr in = weft_addr_add(&b.addr, 63), out = weft_addr_add(&b.addr, 64);

	(void)state;
	assert_true(weft_prefix_covers(&a, &b));
	assert_false(weft_prefix_covers(&b, &a));
	assert_true(weft_prefix_overlaps(&b, &a));
	assert_false(weft_prefix_overlaps(&a, &c));
	assert_false(weft_prefix_overlaps(&a, &six));
	assert_true(weft_prefix_contains(&b, &in));
	assert_false(weft_prefix_contains(&b, &out));
}

static void addresses_count(void **state)
{
	struct weft_prefix p = prefix("fd00::ffff:ffff:ffff:ff00/120");
	struct weft_addr next = weft_addr_add(&p.addr, 256);
	char text[WEFT_ADDR_STR];

	(void)state;
	assert_string_equal(weft_addr_str(&next, text), "fd00:0:0:1::");
	assert_int_equal(weft_addr_diff(&p.addr, &next), 256);
	assert_true(weft_addr_diff(&next, &p.addr) == UINT64_MAX);
	struct weft_prefix far = prefix("fe00::/16");
	assert_true(weft_addr_diff(&p.addr, &far.addr) == UINT64_MAX);
}

static void host_addresses_exclude_special_ones(void **state)
{
	static const struct {
		const char *text;
		bool host;
	} cases[] = {{"10.0.0.1", true},        {"0.0.0.0", false},     {"127.0.0.1", false},
	             {"224.0.0.1", false},      {"169.254.1.1", false}, {"::1", false},
	             {"fd00::1", true},         {"fe80::1", false},     {"ff02::1", false},
	             {"::ffff:10.0.0.1", false}};
	struct weft_addr a;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		assert_int_equal(weft_addr_parse(cases[i].text, &a, NULL), 0);
		assert_int_equal(weft_addr_is_host(&a), cases[i].host);
	}
}

static void errors_wrap_and_clean(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;
	char longtext[2000];

	(void)state;
	assert_int_equal(weft_err_set(&err, EBUSY, "a\nb\x1b[31m"), -EBUSY);
	assert_string_equal(err.text, "a?b?[31m");
	assert_int_equal(weft_err_wrap(&err, "file %s", "x"), -EBUSY);
	assert_string_equal(err.text, "file x: a?b?[31m");
	memset(longtext, 'z', sizeof(longtext) - 1);
	longtext[sizeof(longtext) - 1] = '\0';
	weft_err_wrap(&err, "%s", longtext);
	assert_int_equal(strlen(err.text), WEFT_ERR_TEXT - 1);
	assert_non_null(strstr(err.text, "a?b?[31m"));
	assert_int_equal(weft_err_set(NULL, -ENOENT, "x"), -ENOENT);
}

static void buffers_grow_and_stop_at_their_limit(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf b = {.max = 100};

	(void)state;
	assert_string_equal(weft_buf_text(&b), "");
	for (int i = 0; i < 9; i++)
		weft_buf_printf(&b, "%010d", i);
	assert_int_equal(b.len, 90);
	assert_false(b.failed);
	weft_buf_str(&b, "12345678901");
	assert_true(b.failed);
	assert_int_equal(b.len, 90);
	assert_null(weft_buf_take(&b));
}

static void files_are_replaced_and_created_whole(void **state)
{
	char dir[] = "/tmp/weft-test-XXXXXX", path[64];
	weft_autofree char *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	struct stat st;
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(weft_mkdirs(path, 0750, &err), 0);
	snprintf(path, sizeof(path), "%s/a/b/f", dir);
	assert_int_equal(weft_file_create(path, "one", 3, 0640, &err), 0);
	assert_int_equal(weft_file_create(path, "two", 3, 0640, &err), -EEXIST);
	assert_int_equal(weft_file_replace(path, "three", 5, 0600, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(weft_file_read(path, 4, &text, &len, &err), -EFBIG);
	assert_int_equal(weft_file_read(path, 100, &text, &len, &err), 0);
	assert_string_equal(text, "three");
	unlink(path);
	/* Nothing else is left: temp files are gone. */
	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(weft_file_read("/proc/self", 10, &text, &len, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(addresses_parse_strictly),
	        cmocka_unit_test(prefixes_parse_strictly),
	        cmocka_unit_test(prefixes_relate),
	        cmocka_unit_test(addresses_count),
	        cmocka_unit_test(host_addresses_exclude_special_ones),
	        cmocka_unit_test(errors_wrap_and_clean),
	        cmocka_unit_test(buffers_grow_and_stop_at_their_limit),
	        cmocka_unit_test(files_are_replaced_and_created_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
