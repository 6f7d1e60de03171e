// SPDX-License-Identifier: GPL-2.0-or-later
/* What the daemon does after a change, for blocks: what is marked is planned again. */
#ifndef TESTS_UNIT_FOLLOW_H
#define TESTS_UNIT_FOLLOW_H

#include "agent/plan/routes.h"
#include "agent/plan/wanted.h"

static inline void follow(struct cluster *c, const struct routes_env *env, struct wanted *w)
{
	struct cluster_dirty d;
	struct routes_plan plan;
	char owner[WEFT_PREFIX_STR];

	while (cluster_dirty_next(c, &d)) {
		if (d.kind != CLUSTER_DIRTY_BLOCK)
			continue;
		routes_plan_block(c, env, &d.block, &plan);
		wanted_set(w, weft_prefix_str(&d.block, owner), plan.routes, plan.n, NULL);
	}
}

#endif
