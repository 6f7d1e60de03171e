// SPDX-License-Identifier: GPL-2.0-or-later
/* What BIRD is to do, and what waits until it has read that. */
#include "agent/daemon/agent.h"

void agent_bgp_model(struct agent *a, struct bgp_model *out)
{
	bool graceful = a->cfg.bird.restart_profile == WEFT_RESTART_GRACEFUL;
	bool drained = draining_state(a->draining).stage != BGP_DRAIN_NONE;
	struct bgp_params params = {.profile = graceful ? BGP_GRACEFUL : BGP_FAST,
	                            .links = a->underlay,
	                            .n_links = a->env.n_links,
	                            .neighbours = a->routers.seen,
	                            .n_neighbours = a->routers.n};

	/* What is withdrawn from the node as a whole has left table 179: the filters need not know. */
	params.drain = drained ? BGP_DRAIN_LAST_RESORT : BGP_DRAIN_NONE;
	params.peer_drains = draining_peers(a->draining, &params.n_peer_drains);
	params.classes = adverts_classes(announcer_book(a->announcer), &params.n_classes);
	bgp_plan(a->cluster, &params, out);
}

void agent_plan_bgp(struct agent *a)
{
	struct bird_apply_status s;
	struct bgp_model model;

	bird_apply_status(a->bird, &s);
	if (!cluster_self(a->cluster) && s.config != BIRD_CONFIG_NONE)
		return; /* it would end all sessions */
	agent_follow_routers(a);
	agent_bgp_model(a, &model);
	bird_apply_want(a->bird, &model);
	metrics_bird_take(a->metrics_bird, &model);
	hold_watch_take(a->hold_watch, &model);
	bgp_model_free(&model);
	a->adverts_told = adverts_version(announcer_book(a->announcer));
}

/* BIRD has, or will read when it starts, filters that know the classes of the last agent_plan_bgp(). */
void agent_follow_bird(struct agent *a)
{
	struct bird_apply_status s;

	bird_apply_status(a->bird, &s);
	if (s.config != BIRD_CONFIG_LOADED && (s.config != BIRD_CONFIG_WRITTEN || s.up))
		return;
	if (!announcer_known(a->announcer, a->adverts_told))
		return;
	serving_filters_known(a->serving);
	announcer_settle(a->announcer);
}

/*
 * Sets of BGPAdvertisements that nobody has any more go when the filters are written anyway, and not before
 * everything has been planned once: a Service that loses its last endpoint for a moment costs no configuration.
 */
void agent_follow_classes(struct agent *a)
{
	const struct adverts *book = announcer_book(a->announcer);

	if (adverts_version(book) == a->adverts_told)
		return;
	if (a->swept)
		announcer_collect(a->announcer);
	announcer_save(a->announcer);
	agent_plan_bgp(a);
	agent_wake(a); /* agent_follow_bird(): the same configuration may do */
}

static bool is_named(void *ctx, const char *name)
{
	const struct agent *a = ctx;

	return adverts_name(announcer_book(a->announcer), name);
}

void agent_follow_deleted(struct agent *a)
{
	bool planned = !a->services_dirty && !a->adverts_dirty && !services_dirty_count(a->services);

	cluster_forget_deleted(a->cluster, planned && !serving_waits(a->serving) ? NULL : is_named, a);
}
