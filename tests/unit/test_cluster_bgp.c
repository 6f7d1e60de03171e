// SPDX-License-Identifier: GPL-2.0-or-later
/* What of Nodes concerns BGP: our own's drain, and with a mesh or reflectors every Node. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/objects.h"
#include "weft/cleanup.h"

#define DIRTY(c, want)                                                          \
	do {                                                                    \
		char text_[4096];                                               \
		assert_string_equal(dirty_text(c, text_, sizeof(text_)), want); \
	} while (0)

static struct cluster *made(void)
{
	struct cluster *c = cluster_new("a");

	put(c, node("a", "10.1.1.1", NULL));
	put(c, node("b", "10.1.1.2", NULL));
	synced(c);
	drain(c);
	return c;
}

static struct weft_object *cordoned(const char *name, const char *ip4)
{
	struct weft_object *o = node(name, ip4, NULL);

	o->node.cordoned = true;
	return o;
}

static struct weft_object *annotated(const char *name, const char *ip4)
{
	struct weft_object *o = node(name, ip4, NULL);

	o->meta.annotations = calloc(1, sizeof(*o->meta.annotations));
	o->meta.annotations[o->meta.n_annotations++] =
	        (struct weft_label){strdup(WEFT_ANNOTATION_DRAIN), strdup("true")};
	return o;
}

static void a_drain_concerns_the_node_itself(void **state)
{
	struct cluster *c = made();

	(void)state;
	put(c, cordoned("b", "10.1.1.2"));
	put(c, annotated("b", "10.1.1.2"));
	DIRTY(c, "node b"); /* the way to it, not what BIRD says of us */
	put(c, cordoned("a", "10.1.1.1"));
	DIRTY(c, "node a, self, pools, bgp");
	assert_true(cluster_get(c, WEFT_NODE, "a")->node.cordoned);
	put(c, annotated("a", "10.1.1.1"));
	DIRTY(c, "node a, self, pools, bgp");
	cluster_free(c);
}

static void with_a_mesh_every_node_is_a_peer(void **state)
{
	(void)state;
	for (int reflectors = 0; reflectors < 2; reflectors++) {
		struct cluster *c = made();
		struct weft_object *config = object(WEFT_BGPCONFIG, "default");

		config->bgpconfig.node_mesh = !reflectors;
		config->bgpconfig.reflectors = reflectors;
		require(&config->bgpconfig.reflector_selector, "rr", "1");
		put(c, config);
		drain(c);
		put(c, labelled(node("b", "10.1.1.2", NULL), "rr", "1"));
		DIRTY(c, reflectors ? "bgp" : "");
		/* What a heartbeat or somebody else's controller writes is none of BGP's business. */
		put(c, labelled(labelled(node("b", "10.1.1.2", NULL), "rr", "1"), "zone", "2"));
		DIRTY(c, "");
		put(c, labelled(cordoned("b", "10.1.1.2"), "rr", "1"));
		DIRTY(c, "node b");
		struct weft_object *b = labelled(node("b", "10.1.1.2", NULL), "rr", "1");
		b->node.as_number = 65009;
		put(c, b);
		DIRTY(c, "node b, bgp");
		put(c, node("c", "10.1.1.3", NULL));
		DIRTY(c, "node c, bgp");
		del(c, WEFT_NODE, "c");
		DIRTY(c, "node c, bgp");
		del(c, WEFT_BGPCONFIG, "default");
		drain(c);
		put(c, node("b", "10.1.1.2", NULL));
		DIRTY(c, "");
		cluster_free(c);
	}
}

static bool is_needed(void *ctx, const char *name)
{
	return !strcmp(name, ctx);
}

static void deleted_advertisements_are_kept_as_long_as_they_are_needed(void **state)
{
	struct cluster *c = made();
	char needed[] = "b";

	(void)state;
	put(c, object(WEFT_BGPADVERTISEMENT, "a"));
	put(c, object(WEFT_BGPADVERTISEMENT, "b"));
	put(c, object(WEFT_NAMESPACE, "b"));
	drain(c);
	for (int i = 0; i < 2; i++) { /* the second time there is nothing to delete */
		del(c, WEFT_BGPADVERTISEMENT, "a");
		del(c, WEFT_BGPADVERTISEMENT, "b");
		del(c, WEFT_NAMESPACE, "b");
		assert_non_null(cluster_deleted_advertisement(c, "a"));
		assert_non_null(cluster_deleted_advertisement(c, "b"));
	}
	assert_int_equal(cluster_count(c, WEFT_BGPADVERTISEMENT), 0);
	cluster_forget_deleted(c, is_needed, needed);
	assert_null(cluster_deleted_advertisement(c, "a"));
	assert_int_equal(cluster_deleted_advertisement(c, "b")->kind, WEFT_BGPADVERTISEMENT);
	put(c, object(WEFT_BGPADVERTISEMENT, "b"));
	assert_null(cluster_deleted_advertisement(c, "b"));
	del(c, WEFT_BGPADVERTISEMENT, "b");
	cluster_free(c); /* with one kept */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_drain_concerns_the_node_itself),
	        cmocka_unit_test(deleted_advertisements_are_kept_as_long_as_they_are_needed),
	        cmocka_unit_test(with_a_mesh_every_node_is_a_peer),
	};
	return cmocka_run_group_tests_name("cluster_bgp", tests, NULL, NULL);
}
