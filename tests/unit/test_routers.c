// SPDX-License-Identifier: GPL-2.0-or-later
/* Routers on links: a kernel that fails, a crowd, and malformed messages. What the real kernel says is
 * test_routers_kernel.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/routers.h"
#include "agent/kernel/neigh_msg.h"
#include "agent/kernel/route_msg.h"

struct fake {
	struct netlink nl; /* first */
	size_t crowd;      /* routers on the link */
	int error;         /* of dumps */
	size_t dumps;
};

struct world {
	struct fake k;
	struct links *links;
	struct routers routers;
};

static int tell_crowd(const struct fake *k, const struct netlink_sink *sink)
{
	int rc = 0;

	for (size_t i = 0; i < k->crowd && rc == 0; i++) {
		uint8_t lla[16] = {0xfe, 0x80, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i};
		struct ndmsg ndm = {.ndm_family = AF_INET6,
		                    .ndm_ifindex = 1,
		                    .ndm_state = NUD_STALE,
		                    .ndm_flags = NTF_ROUTER};
		struct nl_msg *msg = netlink_msg_new();

		assert_non_null(nlmsg_put(msg, 0, 0, RTM_NEWNEIGH, 0, 0));
		nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO);
		nla_put(msg, NDA_DST, sizeof(lla), lla);
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
		nlmsg_free(msg);
	}
	return rc;
}

static int tell_default(const struct netlink_sink *sink, const char *gateway, uint32_t metric)
{
	struct weft_route r = {.key = {.table = RT_TABLE_MAIN, .metric = metric}, .type = RTN_UNICAST};
	struct nl_msg *msg = netlink_msg_new();
	int rc;

	assert_int_equal(weft_prefix_parse("0.0.0.0/0", &r.key.dst, NULL), 0);
	assert_int_equal(weft_addr_parse(gateway, &r.gateway, NULL), 0);
	assert_int_equal(route_msg_put(msg, RTM_NEWROUTE, 0, &r, 1), 0);
	rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	nlmsg_free(msg);
	return rc;
}

static int fake_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                     struct weft_err *err)
{
	struct fake *k = (struct fake *)nl;
	const struct nlmsghdr *h = nlmsg_hdr(req);

	k->dumps++;
	if (k->error)
		return weft_err_errno(err, k->error, "dump");
	if (h->nlmsg_type == RTM_GETNEIGH)
		return tell_crowd(k, sink);
	assert_int_equal(h->nlmsg_type, RTM_GETROUTE);
	if (*(const uint8_t *)nlmsg_data(h) == AF_INET6)
		return 0;
	/* Any order: that Linux tells the best one first is nobody's promise. */
	return tell_default(sink, "192.0.2.2", 200) || tell_default(sink, "192.0.2.1", 100) ||
	       tell_default(sink, "192.0.2.3", 300);
}

static const struct netlink_ops fake_ops = {.dump = fake_dump};

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct monitor_event ev = {.type = MONITOR_LINK_NEW,
	                           .link = {.index = 1, .name = "eth0", .up = true, .mtu = 1500}};

	w->k.nl.ops = &fake_ops;
	w->links = links_new();
	links_on_event(w->links, &ev);
	routers_resync(&w->routers);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	links_free(w->links);
	free(w);
	return 0;
}

static int look(struct world *w)
{
	return routers_look(&w->routers, &w->k.nl, w->links, NULL);
}

/* Three dumps: neighbours, and default routes of both families. What failed is read by the next look. */
static void a_failure_changes_nothing_and_is_made_up_for(void **state)
{
	struct world *w = *state;

	w->k.crowd = 1;
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 2);
	assert_int_equal(w->k.dumps, 3);
	assert_int_equal(look(w), 0);
	assert_int_equal(w->k.dumps, 3); /* nothing was due */
	routers_resync(&w->routers);
	w->k.error = ENOMEM;
	assert_int_equal(look(w), -ENOMEM);
	assert_int_equal(w->routers.n, 2);
	w->k.error = 0;
	w->k.crowd = 2;
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 3);
}

/* A link full of routers, true or forged, takes the place of no gateway. */
static void a_crowd_is_bounded(void **state)
{
	struct world *w = *state;
	size_t gateways = 0;

	w->k.crowd = 1000;
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, ROUTERS_MAX + 1);
	for (size_t i = 0; i < w->routers.n; i++)
		gateways += w->routers.seen[i].gateway;
	assert_int_equal(gateways, 1);
}

static void hostile_neighbours(void **state)
{
	struct neigh_info info;
	struct ndmsg ndm = {.ndm_family = AF_INET6};
	struct nl_msg *msg = netlink_msg_new();

	(void)state;
	nlmsg_put(msg, 0, 0, RTM_NEWNEIGH, 0, 0);
	assert_int_equal(neigh_msg_parse(nlmsg_hdr(msg), &info), -EINVAL); /* no header */
	assert_int_equal(neigh_msg_router(nlmsg_hdr(msg)), 0);
	nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO);
	assert_int_equal(neigh_msg_parse(nlmsg_hdr(msg), &info), -ENOENT); /* no address */
	nla_put(msg, NDA_DST, 4, "abcd");
	assert_int_equal(neigh_msg_parse(nlmsg_hdr(msg), &info), -EINVAL); /* a short one */
	nlmsg_hdr(msg)->nlmsg_type = RTM_DELNEIGH;
	assert_int_equal(neigh_msg_parse(nlmsg_hdr(msg), &info), -ENOENT);
	nlmsg_free(msg);
}

#define ROUTERS_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ROUTERS_TEST(a_failure_changes_nothing_and_is_made_up_for),
	        ROUTERS_TEST(a_crowd_is_bounded),
	        cmocka_unit_test(hostile_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
