// SPDX-License-Identifier: GPL-2.0-or-later
/* Announcements in the BGP model: what the BGPAdvertisements of a class say, put together. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/plan/bgp.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

static struct bgp_params params(enum bgp_profile profile)
{
	static struct routes_link link = {.dev = "eth0"};

	link.prefix = prefix("10.1.1.0/24");
	link.addr = addr("10.1.1.1");
	return (struct bgp_params){.profile = profile, .links = &link, .n_links = 1};
}

static struct weft_object *config(void)
{
	struct weft_object *o = object(WEFT_BGPCONFIG, "default");

	o->bgpconfig.as_number = 64600;
	o->bgpconfig.communities = calloc(1, sizeof(*o->bgpconfig.communities));
	o->bgpconfig.n_communities = 1;
	o->bgpconfig.communities[0] = (struct weft_community_ref){strdup("blue"), {.part = {64600, 7}}};
	return o;
}

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rr", "1"));
	put(c, config());
	synced(c);
	return c;
}

static struct weft_object *advert(const char *name, uint32_t local_pref, uint8_t prepend, const char *to,
                                  const char *community)
{
	struct weft_object *o = object(WEFT_BGPADVERTISEMENT, name);
	struct weft_bgpadvertisement *a = &o->bgpadvertisement;

	a->has_local_pref = local_pref > 0;
	a->local_pref = local_pref;
	a->prepend = prepend;
	if (to) {
		a->peers = calloc(1, sizeof(char *));
		a->peers[0] = strdup(to);
		a->n_peers = 1;
	}
	a->communities = calloc(2, sizeof(*a->communities));
	a->n_communities = 2;
	a->communities[0].value = (struct weft_community){.part = {1, 1}};
	a->communities[1].name = strdup(community);
	return o;
}

static void announcements_add_up(void **state)
{
	static const char *const two[] = {"gold", "silver"}, *const one[] = {"silver"},
	                         *const gone[] = {"gone"};
	static const struct advert_class classes[] = {
	        {.metric = 100, .type = WEFT_ADVERT_PODBLOCK},
	        {.metric = 1002, .type = WEFT_ADVERT_LOADBALANCER, .names = gone, .n_names = 1},
	        {.metric = 1001, .type = WEFT_ADVERT_LOADBALANCER, .names = one, .n_names = 1},
	        {.metric = 1000, .type = WEFT_ADVERT_LOADBALANCER, .names = two, .n_names = 2},
	};
	struct bgp_peer_drain drained = {"tor1", BGP_DRAIN_LAST_RESORT};
	struct bgp_params p = params(BGP_FAST);
	struct cluster *c = made();
	struct bgp_model m;

	(void)state;
	p.classes = classes;
	p.n_classes = 4;
	p.peer_drains = &drained;
	p.n_peer_drains = 1;
	put(c, advert("gold", 300, 1, NULL, "blue"));
	put(c, advert("silver", 200, 3, "tor2", "pink"));
	put(c, peer("tor1", "10.1.1.253", 65000));
	put(c, peer("tor2", "10.1.1.254", 65000));
	bgp_plan(c, &p, &m);
	assert_int_equal(m.n_classes, 4);
	assert_int_equal(m.classes[3].metric, 1002); /* in their order */
	assert_int_equal(m.peers[0].n_exports, 2);   /* silver is not for tor1 */
	assert_int_equal(m.peers[0].exports[1].metric, 1000);
	assert_string_equal(m.peers[0].exports[1].comment, "gold");
	assert_int_equal(m.peers[0].exports[1].prepend, 1);
	assert_int_equal(m.peers[1].n_exports, 3);
	assert_int_equal(m.peers[1].exports[2].metric, 1001);
	const struct bgp_export *both = &m.peers[1].exports[1];
	assert_int_equal(both->metric, 1000);
	assert_string_equal(both->comment, "gold, silver");
	assert_int_equal(both->local_pref, 300);
	assert_int_equal(both->prepend, 3);
	assert_int_equal(both->n_communities, 2); /* 1:1 once, and blue */
	assert_int_equal(both->communities[1].part[1], 7);
	assert_int_equal(m.peers[0].drain, BGP_DRAIN_LAST_RESORT);
	assert_int_equal(m.peers[1].drain, BGP_DRAIN_NONE);
	assert_int_equal(m.n_warnings, 1);
	assert_string_equal(
	        m.warnings[0],
	        "BGPAdvertisement silver: BGPConfig's communities have no name pink; it is left out");
	bgp_model_free(&m);
	cluster_free(c);
}

static const char *heard(const struct bgp_model *m)
{
	return m->peers[0].n_exports ? m->peers[0].exports[0].comment : "nothing";
}

/* What was announced by one that was deleted stays so until it is forgotten; one that is there again speaks for itself. */
static void a_deleted_one_counts_until_it_is_forgotten(void **state)
{
	static const char *const one[] = {"gold"};
	static const struct advert_class class = {
	        .metric = 1000, .type = WEFT_ADVERT_LOADBALANCER, .names = one, .n_names = 1};
	struct bgp_params p = params(BGP_FAST);
	struct cluster *c = made();
	struct bgp_model before, m;

	(void)state;
	p.classes = &class;
	p.n_classes = 1;
	put(c, peer("tor1", "10.1.1.253", 65000));
	put(c, advert("gold", 300, 1, NULL, "blue"));
	bgp_plan(c, &p, &before);
	assert_string_equal(heard(&before), "gold");
	del(c, WEFT_BGPADVERTISEMENT, "gold");
	assert_null(cluster_get(c, WEFT_BGPADVERTISEMENT, "gold"));
	bgp_plan(c, &p, &m);
	assert_true(bgp_model_equal(&before, &m));
	bgp_model_free(&m);
	put(c, advert("gold", 100, 1, NULL, "blue"));
	assert_null(cluster_deleted_advertisement(c, "gold"));
	bgp_plan(c, &p, &m);
	assert_int_equal(m.peers[0].exports[0].local_pref, 100);
	bgp_model_free(&m);
	del(c, WEFT_BGPADVERTISEMENT, "gold");
	cluster_forget_deleted(c, NULL, NULL);
	bgp_plan(c, &p, &m);
	assert_string_equal(heard(&m), "nothing");
	bgp_model_free(&m);
	bgp_model_free(&before);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(announcements_add_up),
	        cmocka_unit_test(a_deleted_one_counts_until_it_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
