// SPDX-License-Identifier: GPL-2.0-or-later
/* Routers on links: who counts, who stays, and what a default route says, with a stand-in for the kernel. */
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

struct entry {
	uint32_t index;
	const char *addr;
	uint8_t flags;
	uint16_t state;
};

struct fake {
	struct netlink nl; /* first */
	struct entry entries[8];
	size_t n;
	const char *gateway; /* of the default route, by device 1; NULL = unreachable */
	uint8_t protocol;
	const char *dst;
	int error;
};

struct world {
	struct fake k;
	struct links *links;
	struct routers routers;
};

static struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

static int tell_neighbours(struct fake *k, const struct netlink_sink *sink)
{
	int rc = 0;

	for (size_t i = 0; i < k->n && rc == 0; i++) {
		const struct entry *e = &k->entries[i];
		struct weft_addr a = addr(e->addr);
		struct ndmsg ndm = {.ndm_family = a.family,
		                    .ndm_ifindex = (int)e->index,
		                    .ndm_state = e->state,
		                    .ndm_flags = e->flags};
		struct nl_msg *msg = netlink_msg_new();

		assert_non_null(nlmsg_put(msg, 0, 0, RTM_NEWNEIGH, 0, 0));
		nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO);
		nla_put(msg, NDA_DST, (int)weft_addr_size(a.family), a.bytes);
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
		nlmsg_free(msg);
	}
	return rc;
}

static int tell_route(struct fake *k, uint8_t family, const struct netlink_sink *sink, struct weft_err *err)
{
	struct weft_route r = {.key.table = RT_TABLE_MAIN, .type = RTN_UNICAST, .protocol = k->protocol};
	struct nl_msg *msg;
	int rc;

	if (!k->gateway || addr(k->gateway).family != family)
		return weft_err_set(err, ENETUNREACH, "no way");
	assert_int_equal(weft_prefix_parse(k->dst, &r.key.dst, NULL), 0);
	r.gateway = addr(k->gateway);
	msg = netlink_msg_new();
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

	if (k->error)
		return weft_err_errno(err, k->error, "dump");
	if (h->nlmsg_type == RTM_GETNEIGH)
		return tell_neighbours(k, sink);
	assert_int_equal(h->nlmsg_type, RTM_GETROUTE);
	return tell_route(k, *(const uint8_t *)nlmsg_data(h), sink, err);
}

static const struct netlink_ops fake_ops = {.dump = fake_dump};

static void device(struct world *w, uint32_t index, const char *name, bool up)
{
	struct monitor_event ev = {.type = MONITOR_LINK_NEW, .link = {.index = index, .up = up, .mtu = 1500}};

	strcpy(ev.link.name, name);
	links_on_event(w->links, &ev);
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->k.nl.ops = &fake_ops;
	w->links = links_new();
	device(w, 1, "eth0", true);
	device(w, 2, "eth1", true);
	device(w, 3, "weft0", true);
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

static void neighbour(struct world *w, uint32_t index, const char *text, uint8_t flags, uint16_t nud)
{
	w->k.entries[w->k.n++] = (struct entry){index, text, flags, nud};
}

static int look(struct world *w)
{
	return routers_look(&w->routers, &w->k.nl, w->links, NULL);
}

static void who_said_that_it_is_a_router(void **state)
{
	struct world *w = *state;
	struct weft_addr first = addr("fe80::1");

	neighbour(w, 2, "fe80::2", NTF_ROUTER, NUD_STALE);
	neighbour(w, 1, "fe80::1", NTF_ROUTER, NUD_REACHABLE);
	neighbour(w, 1, "fe80::9", 0, NUD_REACHABLE);          /* a host */
	neighbour(w, 1, "fe80::8", NTF_ROUTER, NUD_FAILED);    /* it is gone */
	neighbour(w, 3, "fe80::7", NTF_ROUTER, NUD_REACHABLE); /* a pod */
	neighbour(w, 9, "fe80::6", NTF_ROUTER, NUD_REACHABLE); /* an unknown device */
	neighbour(w, 1, "fd00::1", NTF_ROUTER, NUD_REACHABLE); /* sessions are between link-local addresses */
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 2);
	assert_string_equal(w->routers.seen[0].dev, "eth0");
	assert_int_equal(weft_addr_cmp(&w->routers.seen[0].addr, &first), 0);
	assert_string_equal(w->routers.seen[1].dev, "eth1");
	assert_false(w->routers.seen[0].gateway);
	assert_int_equal(look(w), 0);
}

static void a_forgotten_entry_stays(void **state)
{
	struct world *w = *state;
	struct weft_addr other = addr("fe80::5");

	neighbour(w, 1, "fe80::1", NTF_ROUTER, NUD_REACHABLE);
	assert_int_equal(look(w), 1);
	w->k.n = 0;
	assert_int_equal(look(w), 0);
	assert_int_equal(w->routers.n, 1);
	neighbour(w, 1, "fe80::5", NTF_ROUTER, NUD_STALE);
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 1);
	assert_int_equal(weft_addr_cmp(&w->routers.seen[0].addr, &other), 0);
	w->k.n = 0;
	device(w, 1, "eth0", false);
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 0);
}

static void gateways(void **state)
{
	struct world *w = *state;

	w->k.gateway = "192.0.2.1";
	w->k.dst = "0.0.0.0/0";
	w->k.protocol = RTPROT_DHCP;
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 1);
	assert_true(w->routers.seen[0].gateway);
	assert_string_equal(w->routers.seen[0].dev, "eth0");
	w->k.protocol = RTPROT_BIRD; /* what a peer says is no reason to be its peer */
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 0);
	w->k.protocol = RTPROT_STATIC;
	w->k.dst = "192.0.0.0/24"; /* a route of its own */
	assert_int_equal(look(w), 0);
	w->k.dst = "::/0";
	w->k.gateway = "fe80::1";
	neighbour(w, 1, "fe80::1", NTF_ROUTER, NUD_REACHABLE);
	assert_int_equal(look(w), 1);
	assert_int_equal(w->routers.n, 1);
	assert_true(w->routers.seen[0].gateway);
}

static void a_failure_changes_nothing(void **state)
{
	struct world *w = *state;

	neighbour(w, 1, "fe80::1", NTF_ROUTER, NUD_REACHABLE);
	assert_int_equal(look(w), 1);
	w->k.error = ENOMEM;
	assert_int_equal(look(w), -ENOMEM);
	assert_int_equal(w->routers.n, 1);
}

static void hostile_neighbours(void **state)
{
	struct neigh_info info;
	struct ndmsg ndm = {.ndm_family = AF_INET6};
	struct nl_msg *msg = netlink_msg_new();

	(void)state;
	nlmsg_put(msg, 0, 0, RTM_NEWNEIGH, 0, 0);
	assert_int_equal(neigh_msg_parse(nlmsg_hdr(msg), &info), -EINVAL); /* no header */
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
	        ROUTERS_TEST(who_said_that_it_is_a_router),
	        ROUTERS_TEST(a_forgotten_entry_stays),
	        ROUTERS_TEST(gateways),
	        ROUTERS_TEST(a_failure_changes_nothing),
	        cmocka_unit_test(hostile_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
