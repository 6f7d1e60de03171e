// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three candidates for a Lease in a world where requests and answers are lost or come late, processes stop
 * and go on, are started anew, and have clocks of their own: there are never two leaders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/lease_sim.h"

static unsigned with_leader, without_leader, takeovers;

/* Between two events nothing changes but the time, and time only takes the role away. */
static void at_most_one(void)
{
	int acting = 0, told = 0;

	for (int i = 0; i < 3; i++) {
		bool runs = sim.frozen[i] <= sim.now && !sim.dead[i];

		if (runs && leads(i)) {
			acting++;
			/* The server knows it, too: nobody else is written there. */
			assert_true(candidates[i].told);
		}
		told += runs && candidates[i].told && sim.frozen[i] == 0;
	}
	assert_true(acting <= 1);
	assert_true(told <= 1);
	with_leader += acting == 1;
	without_leader += acting == 0;
}

static void bad_network(struct kube_call *c)
{
	switch (sim_random(10)) {
	case 0:
		c->lost_up = true;
		break;
	case 1:
		c->lost_down = true;
		break;
	case 2:
		c->up_us = sim_random(20000000);
		c->down_us = sim_random(20000000);
		break;
	default:
		c->up_us = sim_random(300000);
		c->down_us = sim_random(300000);
	}
	c->lost_up |= cut[c->process];
}

static void hours_of_trouble(uint64_t seed, bool freeze)
{
	setup(NULL);
	sim.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim.network = bad_network;
	crowd = seed % 3 ? 0 : 25; /* then they look seldom */
	sim.after = at_most_one;
	for (int i = 0; i < 3; i++) {
		/* Clocks within five in a hundred of each other's. */
		sim.rate[i] = 0.975 + (double)sim_random(50) / 1000;
		start(i);
	}
	for (int round = 0; round < 400; round++) {
		int i = (int)sim_random(3);
		bool leading = leads(i);

		switch (sim_random(freeze ? 4 : 3)) {
		case 0:
			cut[i] = !cut[i];
			break;
		case 1:
			takeovers += leading;
			leave(i);
			sim.process = -1;
			sim_run(sim_random(3000));
			start(i);
			break;
		case 2:
			break;
		default:
			sim.frozen[i] = sim.now + sim_random(40000000);
		}
		sim_run(sim_random(20000));
	}
	teardown(NULL);
}

static void never_two_leaders(void **state)
{
	(void)state;
	with_leader = without_leader = takeovers = 0;
	for (uint64_t seed = 1; seed <= 40; seed++)
		hours_of_trouble(seed, seed % 2);
	/* It was not peace that kept them apart. */
	assert_true(with_leader > 10000 && without_leader > 10000 && takeovers > 100);
	setup(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(never_two_leaders, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
