// SPDX-License-Identifier: GPL-2.0-or-later
/* IPVS's module may be loaded long after weftd began: when it is looked for, and what happens then (S28). */
#include "tests/unit/serving_bed.h"

#include "agent/daemon/agent.h"
#include "tests/unit/tmpdir.h"
#include "weft/file.h"

#define SECOND 1000

static char dir[TMPDIR_SIZE];

/* As much of the daemon as its upkeep of Services looks at. */
static struct agent *agent_on(struct bed *b)
{
	struct agent *a = calloc(1, sizeof(*a));
	char recorded_in[TMPDIR_SIZE + 16];

	tmpdir_make(dir);
	snprintf(recorded_in, sizeof(recorded_in), "%s/sysctl.json", dir);
	snprintf(a->cfg.proc_sys, sizeof(a->cfg.proc_sys), "%s", dir);
	a->cfg.services = b->cfg.services;
	a->loop = &b->loop;
	a->links = b->links;
	a->ipvs = b->ipvs;
	a->serving = b->serving;
	a->sysctl = sysctl_new(recorded_in, dir, NULL);
	assert_non_null(a->sysctl);
	return a;
}

static void agent_off(struct agent *a)
{
	sysctl_free(a->sysctl);
	free(a);
	tmpdir_remove(dir);
}

static void without_module(struct bed *b)
{
	b->ipvs_kernel.no_module = true;
	new_life(b);
}

static void with_service(struct bed *b)
{
	services_put(b->services, service("ns/web", "ip=10.96.0.1 port=80/TCP"));
	WEB_SLICE(b, "10.244.0.1@b");
	turn(b);
}

/* Milliseconds until IPVS is read again, -1: never. */
static int64_t looks_in(struct bed *b, uint64_t audit_ms)
{
	struct agent *a = agent_on(b);
	int64_t ms;

	a->cfg.services.audit_ms = audit_ms;
	agent_services_ready(a);
	ms = agent_services_deadline(a) == IPVS_NEVER
	             ? -1
	             : (int64_t)(agent_services_deadline(a) - uv_now(a->loop));
	agent_off(a);
	return ms;
}

static void looked_for_each_minute(void **state)
{
	struct bed *b = *state;

	without_module(b);
	assert_int_equal(looks_in(b, 60 * SECOND), -1); /* nobody needs it */
	with_service(b);
	assert_int_equal(looks_in(b, 0), 60 * SECOND);
	assert_int_equal(looks_in(b, 3600 * SECOND), 60 * SECOND);
	assert_int_equal(looks_in(b, 10 * SECOND), 10 * SECOND);
}

static void audited_as_configured_once_it_is_there(void **state)
{
	struct bed *b = *state;

	with_service(b);
	assert_int_equal(looks_in(b, 0), -1);
	assert_int_equal(looks_in(b, 3600 * SECOND), 3600 * SECOND);
}

static void put_file(const char *path, const char *text)
{
	char command[256];

	snprintf(command, sizeof(command), "mkdir -p $(dirname %s/%s); echo %s >%s/%s", dir, path, text, dir,
	         path);
	assert_int_equal(netns_run(command, NULL, 0), 0);
}

static void is_file(const char *path, const char *expected)
{
	weft_autofree char *text = NULL;
	char full[256];
	size_t len;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	assert_int_equal(weft_file_read(full, 64, &text, &len, NULL), 0);
	assert_int_equal(text[0], expected[0]);
}

/* Its settings did not exist before: they are set in the turn that finds it. */
static void found_and_set_up_in_one_turn(void **state)
{
	struct bed *b = *state;
	struct agent *a;

	without_module(b);
	with_service(b);
	a = agent_on(b);
	agent_want_sysctls(a);
	sysctl_apply(a->sysctl, NULL);
	agent_services_ready(a);
	assert_int_equal(b->ipvs_kernel.timeouts[0], 0);
	put_file("net/ipv4/vs/conntrack", "0");
	b->ipvs_kernel.no_module = false;
	uv_update_time(&b->loop);
	a->audit_at = 1;
	agent_services_ready(a);
	sysctl_apply(a->sysctl, NULL);
	assert_int_equal(b->ipvs_kernel.timeouts[0], 86400);
	is_file("net/ipv4/vs/conntrack", "1");
	turn(b);
	assert_true(leads_to(b, "10.96.0.1", 80, "10.244.0.1"));
	agent_off(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(looked_for_each_minute),
	        TEST(audited_as_configured_once_it_is_there),
	        TEST(found_and_set_up_in_one_turn),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
