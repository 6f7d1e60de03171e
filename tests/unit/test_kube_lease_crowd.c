// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many who stand for a Lease: each looks seldom, and a dead holder's role is taken in time all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SIM_PROCESSES 64
#include "tests/unit/lease_sim.h"

#define RENEWAL_MS  2400 /* the longest */
#define DURATION_MS 15000
#define LONGEST_MS  90000 /* between two looks */

static int leader(void)
{
	for (int i = 0; i < SIM_PROCESSES; i++)
		if (!sim.dead[i] && leads(i))
			return i;
	return -1;
}

static void start_all(size_t among)
{
	crowd = among;
	for (int i = 0; i < SIM_PROCESSES; i++) {
		start(i);
		sim_run(37);
	}
	sim_run(UINT64_C(300000));
	assert_true(leader() >= 0);
}

/* How long it takes until somebody leads, in ms. */
static uint64_t vacancy(uint64_t at_most)
{
	uint64_t from = sim.now;

	while (leader() < 0) {
		assert_true(sim.now - from < at_most * SIM_US_PER_MS);
		sim_run(20);
	}
	return (sim.now - from) / SIM_US_PER_MS;
}

/* About twice a minute each, and not every 2 seconds: 1,636 times an hour. */
static void they_look_seldom(void **state)
{
	unsigned gets;

	(void)state;
	start_all(5000);
	gets = server.gets;
	sim_run(UINT64_C(3600000));
	gets = (server.gets - gets) / (SIM_PROCESSES - 1);
	assert_in_range(gets, 60, 150);
	assert_int_equal(server.conflicts, 0);
}

/* All together once or twice a second, whatever their number. */
static void fewer_look_oftener(void **state)
{
	static const size_t numbers[] = {8, 20, 50};
	unsigned gets;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(numbers); i++) {
		setup(NULL);
		crowd = numbers[i];
		for (size_t k = 0; k < numbers[i]; k++)
			start((int)k);
		sim_run(UINT64_C(300000));
		gets = server.gets;
		sim_run(UINT64_C(1000000));
		assert_in_range(server.gets - gets, 800, 2500);
		teardown(NULL);
	}
	setup(NULL);
}

/* The Lease runs out after the last renewal that somebody has seen; then somebody is there who looks. */
static void taken_over_in_time(void **state)
{
	(void)state;
	start_all(SIM_PROCESSES);
	for (int i = 0; i < 20; i++) {
		int dead = leader();

		sim.dead[dead] = true;
		assert_in_range(vacancy(60000), DURATION_MS - RENEWAL_MS, DURATION_MS + 4 * RENEWAL_MS);
		candidates[dead].told = false;
		leave(dead);
		start(dead);
		sim_run(UINT64_C(200000));
	}
}

static void given_back_and_taken(void **state)
{
	(void)state;
	start_all(SIM_PROCESSES);
	for (int i = 0; i < 20; i++) {
		int former = leader();

		leave(former);
		assert_in_range(vacancy(60000), 0, 4 * RENEWAL_MS);
		start(former);
		sim_run(UINT64_C(200000));
	}
}

/* Two stand among 5,000 nodes: each look may be the last for long, and then tells enough. */
static void alone_among_many_nodes(void **state)
{
	(void)state;
	crowd = 5000;
	start(0);
	sim_run(1000);
	start(1);
	sim_run(UINT64_C(300000));
	for (int i = 0; i < 50; i++) {
		int dead = leader();

		sim.dead[dead] = true;
		assert_in_range(vacancy(200000), DURATION_MS - RENEWAL_MS, LONGEST_MS + RENEWAL_MS);
		candidates[dead].told = false;
		leave(dead);
		start(dead);
		sim_run(UINT64_C(200000));
	}
}

static unsigned asked[SIM_PROCESSES];

static void count_asked(struct kube_call *c)
{
	asked[c->process]++;
	cut_off(c);
}

/* An API server that is away, or overloaded, is not pressed by all of them; afterwards somebody leads soon. */
static void an_outage(void **state)
{
	int former;

	(void)state;
	sim.network = count_asked;
	start_all(SIM_PROCESSES);
	former = leader();
	for (int i = 0; i < SIM_PROCESSES; i++)
		cut[i] = true;
	sim_run(20000);
	assert_int_equal(leader(), -1);
	memset(asked, 0, sizeof(asked));
	sim_run(UINT64_C(600000));
	for (int i = 0; i < SIM_PROCESSES; i++)
		if (i != former) /* it believes that it is still written there */
			assert_in_range(asked[i], 5, 20);
	memset(cut, 0, sizeof(cut));
	vacancy(4 * RENEWAL_MS);
}

/* A leader renews at its pace, however many there are. */
static void a_leader_is_never_slow(void **state)
{
	unsigned puts;

	(void)state;
	start_all(5000);
	puts = server.puts;
	sim_run(UINT64_C(600000));
	assert_in_range(server.puts - puts, 600000 / RENEWAL_MS, 600000 / 2000);
	assert_int_equal(candidates[leader()].changes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	        T(they_look_seldom),       T(fewer_look_oftener),     T(taken_over_in_time),
	        T(given_back_and_taken),   T(alone_among_many_nodes), T(an_outage),
	        T(a_leader_is_never_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
