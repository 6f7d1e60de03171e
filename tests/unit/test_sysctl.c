// SPDX-License-Identifier: GPL-2.0-or-later
/* Kernel settings: a folder that stands for /proc/sys, and the real one of a namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/apply/sysctl.h"
#include "tests/unit/netns.h"
#include "weft/file.h"

static char dir[] = "/tmp/weft-sysctl-XXXXXX", record[64], command[512];

static void sh(const char *what)
{
	snprintf(command, sizeof(command), "cd %s && { %s; }", dir, what);
	netns_sh(command);
}

static int setup(void **state)
{
	(void)state;
	sh("rm -rf net sysctl.json && mkdir -p net/ipv4/conf/eth0 net/ipv4/conf/eth0x && echo 0 >net/ipv4/ip_forward && "
	   "echo 1 >net/ipv4/conf/eth0/rp_filter && echo 1 >net/ipv4/conf/eth0x/rp_filter");
	return 0;
}

static void reads(const char *path, const char *expected)
{
	char out[256];

	snprintf(command, sizeof(command), "cat %s/%s", dir, path);
	netns_run(command, out, sizeof(out));
	out[strcspn(out, "\n")] = '\0';
	assert_string_equal(out, expected);
}

static struct sysctl *open_it(void)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct sysctl *s = sysctl_new(record, dir, &err);

	if (!s)
		fail_msg("%s", err.text);
	return s;
}

static void writes_records_restores(void **state)
{
	struct sysctl *s = open_it();

	(void)state;
	assert_int_equal(sysctl_want(s, "net/ipv4/ip_forward", "1", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, NULL), 0);
	reads("net/ipv4/ip_forward", "1");
	sysctl_free(s);
	s = open_it(); /* a restart with another wish: the first former value stays */
	assert_int_equal(sysctl_want(s, "net/ipv4/ip_forward", "2", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, NULL), 0);
	reads("net/ipv4/ip_forward", "2");
	sysctl_free(s);
	assert_int_equal(sysctl_cleanup(record, dir, NULL), 0);
	reads("net/ipv4/ip_forward", "0");
	assert_int_equal(access(record, F_OK), -1);
	assert_int_equal(sysctl_cleanup(record, dir, NULL), 0);
}

static void tell(void *ctx, const char *path, const char *value, const char *now)
{
	char *text = ctx;

	snprintf(text + strlen(text), 256 - strlen(text), "%s wants %s has %s\n", path, value,
	         now ? now : "nothing");
}

static void what_would_change_is_told_and_not_written(void **state)
{
	struct sysctl *s = open_it();
	char text[256] = "";

	(void)state;
	assert_int_equal(sysctl_want(s, "net/ipv4/ip_forward", "1", false, NULL), 0);
	assert_int_equal(sysctl_want(s, "net/ipv4/vs/sloppy_tcp", "1", true, NULL), 0);
	sysctl_each(s, tell, text);
	assert_string_equal(text, "net/ipv4/ip_forward wants 1 has 0\n"
	                          "net/ipv4/vs/sloppy_tcp wants 1 has nothing\n");
	reads("net/ipv4/ip_forward", "0");
	sysctl_free(s);
}

static void right_value_is_not_written(void **state)
{
	struct sysctl *s = open_it();

	(void)state;
	sh("chmod 444 net/ipv4/ip_forward && touch -d 2001-01-01 net/ipv4/ip_forward");
	assert_int_equal(sysctl_want(s, "net/ipv4/ip_forward", "0", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, NULL), 0);
	sh("test -z \"$(find net/ipv4/ip_forward -newermt 2002-01-01)\" && test ! -e sysctl.json");
	sysctl_free(s);
}

static void missing_and_optional(void **state)
{
	struct sysctl *s = open_it();
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	assert_int_equal(sysctl_want(s, "net/ipv4/conf/weft.ipip/rp_filter", "0", true, NULL), 0);
	assert_int_equal(sysctl_want(s, "net/ipv4/conf/eth0/rp_filter", "2", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, &err), 0);
	assert_int_equal(sysctl_want(s, "net/nosuch", "0", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "net/nosuch"));
	sysctl_unwant(s, "net/nosuch");
	sh("mkdir net/ipv4/conf/weft.ipip && echo 1 >net/ipv4/conf/weft.ipip/rp_filter");
	assert_int_equal(sysctl_apply(s, &err), 0);
	reads("net/ipv4/conf/weft.ipip/rp_filter", "1"); /* not dirty: nothing told us */
	sysctl_on_device(s, "weft.ipip");
	assert_int_equal(sysctl_apply(s, &err), 0);
	reads("net/ipv4/conf/weft.ipip/rp_filter", "0");
	sh("rm -r net/ipv4/conf/weft.ipip");
	sysctl_free(s);
	assert_int_equal(sysctl_cleanup(record, dir, &err), 0); /* a device that is gone is no error */
	reads("net/ipv4/conf/eth0/rp_filter", "1");
}

static void device_names_are_whole(void **state)
{
	struct sysctl *s = open_it();

	(void)state;
	assert_int_equal(sysctl_want(s, "net/ipv4/conf/eth0x/rp_filter", "2", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, NULL), 0);
	sh("echo 1 >net/ipv4/conf/eth0x/rp_filter");
	sysctl_on_device(s, "eth0");
	assert_int_equal(sysctl_apply(s, NULL), 0);
	reads("net/ipv4/conf/eth0x/rp_filter", "1");
	sysctl_resync(s);
	assert_int_equal(sysctl_apply(s, NULL), 0);
	reads("net/ipv4/conf/eth0x/rp_filter", "2");
	sysctl_free(s);
}

static void hostile_paths_and_records(void **state)
{
	static const char *const bad[] = {"",   "/etc/passwd", "../etc", "net/../../etc", "net//x", "net/",
	                                  ".x", "a b",         "a\n"};
	static const char *const records[] = {"{", "[]", "{\"../../x\":\"1\"}", "{\"net/x\":1}",
	                                      "{\"net/x\":\"1\\n2\"}"};
	struct sysctl *s = open_it();
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sysctl_want(s, bad[i], "1", true, NULL), -EINVAL);
	assert_int_equal(sysctl_want(s, "net/x", "1\n2", true, NULL), -EINVAL);
	sysctl_free(s);
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		assert_int_equal(weft_file_replace(record, records[i], strlen(records[i]), 0600, NULL), 0);
		assert_null(sysctl_new(record, dir, &err));
		assert_non_null(strstr(err.text, "sysctl.json"));
		assert_int_equal(sysctl_cleanup(record, dir, &err), -EINVAL);
	}
}

static void unwritable_record_stops_the_write(void **state)
{
	struct sysctl *s = sysctl_new("/nonexistent/sysctl.json", dir, NULL);

	(void)state;
	assert_non_null(s);
	assert_int_equal(sysctl_want(s, "net/ipv4/ip_forward", "1", false, NULL), 0);
	assert_true(sysctl_apply(s, NULL) < 0);
	reads("net/ipv4/ip_forward", "0");
	sysctl_free(s);
}

static void the_real_proc(void **state)
{
	struct sysctl *s = sysctl_new(record, "/proc/sys", NULL);
	char out[64];

	(void)state;
	assert_int_equal(sysctl_want(s, "net/ipv4/ip_forward", "1", false, NULL), 0);
	assert_int_equal(sysctl_want(s, "net/ipv4/ping_group_range", "5\t7", false, NULL), 0);
	assert_int_equal(sysctl_apply(s, NULL), 0);
	netns_run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range", out, sizeof(out));
	assert_string_equal(out, "1\n5\t7\n");
	sysctl_free(s);
	assert_int_equal(sysctl_cleanup(record, "/proc/sys", NULL), 0);
	netns_run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range", out, sizeof(out));
	assert_string_equal(out, "0\n1\t0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
	        T(writes_records_restores),
	        T(what_would_change_is_told_and_not_written),
	        T(right_value_is_not_written),
	        T(missing_and_optional),
	        T(device_names_are_whole),
	        T(hostile_paths_and_records),
	        T(unwritable_record_stops_the_write),
	        T(the_real_proc),
	};
	int rc;

	netns_enter();
	if (!mkdtemp(dir))
		return 1;
	snprintf(record, sizeof(record), "%s/sysctl.json", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	netns_run(command, NULL, 0);
	return rc;
}
