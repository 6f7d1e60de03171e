// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy of iptables-legacy's INPUT: replies good and hostile, and the real kernel's. A kernel without x_tables
 * (some build machines) leaves the latter out, and says so; tests/lab/test_kernel.py runs it with WEFT_TEST_LEGACY=1
 * on one that has them: then it must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "agent/kernel/legacy_filter.h"
#include "tests/unit/netns.h"

static void names_are_whole_lines(void **state)
{
	(void)state;
	assert_true(legacy_filter_listed("filter\n"));
	assert_true(legacy_filter_listed("nat\nfilter\nmangle\n"));
	assert_true(legacy_filter_listed("nat\nfilter"));
	assert_false(legacy_filter_listed(""));
	assert_false(legacy_filter_listed("\n\n"));
	assert_false(legacy_filter_listed("filters\nmyfilter\nfilte\n"));
}

struct four {
	struct ipt_entry entry;
	struct xt_standard_target target;
};
struct six {
	struct ip6t_entry entry;
	struct xt_standard_target target;
};

static void a_policy_is_the_verdict_at_the_underflow(void **state)
{
	struct four four[2] = {
	        {.entry.target_offset = sizeof(four[0].entry), .target.verdict = -NF_DROP - 1},
	        {.entry.target_offset = sizeof(four[0].entry), .target.verdict = -NF_ACCEPT - 1}};
	struct six six = {.entry.target_offset = sizeof(six.entry), .target.verdict = -NF_DROP - 1};

	(void)state;
	assert_int_equal(legacy_filter_policy(AF_INET, four, sizeof(four), 0), 1);
	assert_int_equal(legacy_filter_policy(AF_INET, four, sizeof(four), sizeof(four[0])), 0);
	assert_int_equal(legacy_filter_policy(AF_INET6, &six, sizeof(six), 0), 1);
}

/* Each in memory of its own, so that a sanitizer sees the byte too many. */
static void short_and_hostile_replies_are_refused(void **state)
{
	struct four four = {.entry.target_offset = sizeof(four.entry), .target.verdict = -NF_DROP - 1};
	static const uint16_t offsets[] = {0, 1, sizeof(four.entry) - 1, sizeof(four.entry) + 1, UINT16_MAX};

	(void)state;
	for (size_t size = 0; size < sizeof(four); size++) {
		void *copy = malloc(size ? size : 1);

		memcpy(copy, &four, size);
		assert_int_equal(legacy_filter_policy(AF_INET, copy, size, 0), -EBADMSG);
		free(copy);
	}
	assert_int_equal(legacy_filter_policy(AF_INET, &four, sizeof(four), 1), -EBADMSG);
	assert_int_equal(legacy_filter_policy(AF_INET, &four, sizeof(four), sizeof(four)), -EBADMSG);
	assert_int_equal(legacy_filter_policy(AF_INET, &four, sizeof(four), sizeof(four) + 1), -EBADMSG);
	assert_int_equal(legacy_filter_policy(AF_INET, &four, sizeof(four), SIZE_MAX), -EBADMSG);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct four bad = four;

		bad.entry.target_offset = offsets[i];
		assert_int_equal(legacy_filter_policy(AF_INET, &bad, sizeof(bad), 0), -EBADMSG);
	}
	strcpy(four.target.target.u.user.name, "REJECT");
	assert_int_equal(legacy_filter_policy(AF_INET, &four, sizeof(four), 0), -EBADMSG);
}

static void of_the_kernel(void **state)
{
	static const struct {
		uint8_t family;
		const char *command;
	} families[] = {{AF_INET, "iptables-legacy"}, {AF_INET6, "ip6tables-legacy"}};
	char command[128];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(command, sizeof(command), "%s -A INPUT -p tcp --dport 22 -j ACCEPT",
		         families[i].command);
		netns_sh(command);
		assert_int_equal(legacy_filter_drops(families[i].family, NULL), 0);
		snprintf(command, sizeof(command), "%s -P FORWARD DROP", families[i].command);
		netns_sh(command);
		assert_int_equal(legacy_filter_drops(families[i].family, NULL), 0);
		snprintf(command, sizeof(command), "%s -P INPUT DROP", families[i].command);
		netns_sh(command);
		assert_int_equal(legacy_filter_drops(families[i].family, NULL), 1);
		snprintf(command, sizeof(command), "%s -P INPUT ACCEPT", families[i].command);
		netns_sh(command);
		assert_int_equal(legacy_filter_drops(families[i].family, NULL), 0);
	}
}

/* In a namespace where nobody has asked for the table, asking makes none. */
static void asking_makes_no_table(void **state)
{
	char out[256];

	(void)state;
	assert_int_equal(legacy_filter_drops(AF_INET, NULL), 0);
	assert_int_equal(legacy_filter_drops(AF_INET6, NULL), 0);
	netns_run("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || true", out,
	          sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_are_whole_lines),
	        cmocka_unit_test(a_policy_is_the_verdict_at_the_underflow),
	        cmocka_unit_test(short_and_hostile_replies_are_refused),
	        cmocka_unit_test(asking_makes_no_table),
	};
	const struct CMUnitTest with[] = {cmocka_unit_test(of_the_kernel)};
	int failed;

	netns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (getenv("WEFT_TEST_LEGACY") || netns_run("iptables-legacy -S >/dev/null 2>&1", NULL, 0) == 0)
		return cmocka_run_group_tests(with, NULL, NULL) || failed;
	printf("not run: %s: this kernel has no x_tables\n", with[0].name);
	return failed;
}
