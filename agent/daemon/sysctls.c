// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel settings that routing pods needs. Each is written only where it differs, and put back by `weftd
 * cleanup`.
 */
#include "agent/daemon/agent.h"

#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/log.h"
#include "weft/marks.h"

static void want(struct agent *a, const char *path, const char *value, bool optional)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (sysctl_want(a->sysctl, path, value, optional, &err) < 0)
		log_error("kernel setting %s: %s", path, err.text);
}

/* Loosen a setting that has just this value now; whatever else it is, the operator chose it. */
static void want_instead(struct agent *a, const char *path, char now, const char *value)
{
	char file[WEFT_PATH_MAX + SYSCTL_PATH_MAX + 2];

	snprintf(file, sizeof(file), "%s/%s", a->cfg.proc_sys, path);
	weft_autofclose FILE *f = fopen(file, "re");
	if (f && fgetc(f) == now)
		want(a, path, value, true);
}

/*
 * Reverse-path filtering must be loose (2) or off where pod traffic may come back another way than it went:
 * by the fabric while ours goes through the tunnel. Strict (1) would drop it. The kernel uses the larger of
 * `all` and the device's value.
 */
static void want_loose(struct agent *a, const char *dev)
{
	char path[SYSCTL_PATH_MAX];

	snprintf(path, sizeof(path), "net/ipv4/conf/%s/rp_filter", dev);
	want_instead(a, path, '1', "2");
}

/* A device that forwards ignores router advertisements, and with them its default route, unless accept_ra
 * is 2. */
static void want_advertisements(struct agent *a, const char *dev)
{
	char path[SYSCTL_PATH_MAX];

	snprintf(path, sizeof(path), "net/ipv6/conf/%s/accept_ra", dev);
	want_instead(a, path, '1', "2");
}

static bool several_links(const struct agent *a)
{
	for (size_t i = 1; i < a->env.n_links; i++)
		if (strcmp(a->env.links[i].dev, a->env.links[0].dev) != 0)
			return true;
	return false;
}

/*
 * Where there is another link, a route over one without carrier is left out by the kernel itself: also when BIRD
 * is dead, and for routes that BIRD doesn't write (the default route, which tunnels use).
 */
static void want_carrier(struct agent *a, const char *family, const char *dev)
{
	char path[SYSCTL_PATH_MAX];

	snprintf(path, sizeof(path), "net/%s/conf/%s/ignore_routes_with_linkdown", family, dev);
	want(a, path, "1", true);
}

/* S28. Those of IPVS exist once its module is loaded; agent_services_ready() comes again then. */
static void want_services(struct agent *a)
{
	static const char *const ipvs[][2] = {
	        {"conntrack", "1"},                 /* source NAT and S27 need it */
	        {"expire_nodest_conn", "1"},        /* a client of an endpoint that is gone starts anew */
	        {"expire_quiescent_template", "1"}, /* H12 */
	        {"conn_reuse_mode", "1"},
	        {"nat_icmp_send", "0"}, /* it searches all destinations for each ICMP error */
	        {"schedule_icmp", "0"},
	};
	char path[SYSCTL_PATH_MAX];

	for (size_t i = 0; i < WEFT_ARRAY_LEN(ipvs); i++) {
		snprintf(path, sizeof(path), "net/ipv4/vs/%s", ipvs[i][0]);
		want(a, path, ipvs[i][1], true);
	}
	want(a, "net/ipv4/vs/sloppy_tcp", a->hands_over ? "1" : "0", true);
	want(a, "net/ipv4/vs/run_estimation", a->cfg.services.statistics ? "1" : "0", true);
	/* VIPs are local addresses: no link may learn by ARP that they are here. */
	want(a, "net/ipv4/conf/all/arp_ignore", "1", false);
	want(a, "net/ipv4/conf/all/arp_announce", "2", false);
}

void agent_want_sysctls(struct agent *a)
{
	bool v6 = weft_addr_is_set(&a->env.ip6), several = several_links(a);

	want(a, "net/ipv4/ip_forward", "1", false);
	want(a, "net/ipv6/conf/all/forwarding", "1", !v6);
	/* A link that goes down and comes back must keep the node's own v6 addresses. */
	want(a, "net/ipv6/conf/all/keep_addr_on_down", "1", !v6);
	/* Several routers: spread flows, not packets, and by ports, too. */
	want(a, "net/ipv4/fib_multipath_hash_policy", "1", true);
	want(a, "net/ipv6/fib_multipath_hash_policy", "1", true);
	want_loose(a, "all");
	if (a->cfg.services.enabled)
		want_services(a);
	/* Ours: it may not be there yet, and then gets the host's default. */
	want(a, "net/ipv4/conf/" WEFT_DEV_IPIP "/rp_filter", "2", true);
	for (size_t i = 0; i < a->env.n_links; i++) {
		const char *dev = a->env.links[i].dev;
		bool v4 = a->env.links[i].prefix.addr.family == AF_INET;

		if (v4)
			want_loose(a, dev);
		else
			want_advertisements(a, dev);
		if (several)
			want_carrier(a, v4 ? "ipv4" : "ipv6", dev);
	}
}
