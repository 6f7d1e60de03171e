// SPDX-License-Identifier: GPL-2.0-or-later
/* A cluster of which no Node but ours is told: datastore.nodes own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/state/cluster.h"
#include "tests/unit/objects.h"
#include "weft/buf.h"
#include "weft/cleanup.h"

static void note_report(void *ctx, const char *where, const char *text)
{
	(void)where;
	weft_buf_printf(ctx, "%s\n", text);
}

static void other_nodes_are_not_missed(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct cluster *c = cluster_new("a");
	struct weft_object *never = pool("plain", "10.9.0.0/16", 26, 0);

	(void)state;
	cluster_own_node_only(c);
	never->ippool.tunnel = WEFT_TUNNEL_NEVER;
	put(c, never);
	put(c, node("a", "10.1.1.1", NULL));
	put(c, block("10.9.0.0/26", "b", "plain"));
	cluster_handle(c, &(struct weft_event){.type = WEFT_EV_SYNCED});
	cluster_each_report(c, note_report, &out);
	assert_string_equal(weft_buf_text(&out), "");
	put(c, pool("pods", "10.244.0.0/16", 26, 0));
	assert_false(cluster_wants_tunnel(c, AF_INET));
	cluster_each_report(c, note_report, &out);
	assert_string_equal(weft_buf_text(&out),
	                    "IPPool/pods: no tunnels: they need the other nodes' addresses, and "
	                    "datastore.nodes is own; set ipip: Never\n");
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(other_nodes_are_not_missed)};

	return cmocka_run_group_tests_name("cluster_own", tests, NULL, NULL);
}
