// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table's rules in the language of nft(8): nft_private.h. Only addresses, reprinted from their bytes, and
 * constants get into them.
 *
 * Tunnels, as measured on Linux 6.1 with nft 1.0.6:
 * - input: protocols 4 and 41 to the tunnels' own end only from known nodes, before anything decapsulates.
 *   Tunnels of others on this host are not concerned unless they end at the very same address.
 * - postrouting: what this node itself (fib saddr type local) sends into a tunnel gets the tunnel's address,
 *   also when the route's preferred source was not used (a bound socket, a load-balanced connection): fabrics
 *   that drop pod sources from the wrong port then see one that comes back through the tunnel.
 * - `snat to` and not `masquerade`, which borrows another device's address if this one has none.
 *
 * Services: a VIP is a local route, so what goes to it comes to the hook input, and IPVS takes it at priority
 * 99 (this node's own already in output, at -99).
 *
 *   pods, network -> input -5 services_in -> (IPVS) -> input 110 services_left
 *   this node -> output services_own -> (IPVS) -> loopback --^
 *   network -> input -5 services_in -> handed -> (IPVS) -> output services_own -> tunnel to the next node
 *   IPVS -> output -> postrouting source
 *
 * - New connections are judged before IPVS; established ones pass, so that a backend which was taken from
 *   service may finish them. "Established" is `ct state`; everything else (also invalid and untracked) is
 * new.
 * - What IPVS left and is to a VIP is to nobody: it is refused, so that a daemon that listens on all
 * addresses is not on all VIPs (H1). ICMP, with neighbour discovery in it, has no ports that could be a
 * Service's.
 * - A mark selects an IPVS service by all its 32 bits (H8), so it replaces whatever mark the packet has. A
 * map without an element for the packet ends the rule and leaves the mark. It matters where IPVS chooses:
 * packets of an established connection are IPVS' by their addresses and ports, and when IPVS forgets a
 * connection it ends conntrack's too, so they are spared the map.
 * - Each chain of a hook costs every packet of it, so there is none in prerouting.
 * - IPVS changes only the reply direction of a connection's tuples (H2): `ct original` is the VIP, also in
 *   postrouting. nft 1.0.6 wants a match of l4proto before `ct original proto-dst`.
 * - Prefixes that lie in others are merged by nft, in anonymous sets.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft_private.h"
#include "agent/plan/handover.h"

#define KEY         ". meta l4proto . th dport"
#define TUNNELS     "{ \"" WEFT_DEV_IPIP "\", \"" WEFT_DEV_SIT "\" }"
#define FROM_TUNNEL "iifname " TUNNELS
#define NOT_TUNNEL  "iifname != " TUNNELS
#define PODS        "iifname \"" WEFT_DEV_PREFIX "*\" " NOT_TUNNEL

struct family {
	uint8_t af;
	char digit;
	const char *ip; /* as nft calls its header */
};

static const struct family families[] = {{AF_INET, '4', "ip"}, {AF_INET6, '6', "ip6"}};

static void chain(struct weft_buf *b, const char *name, const char *comment, const char *hook)
{
	weft_buf_printf(b, "\tchain %s {\n\t\tcomment \"%s\"\n", name, comment);
	if (hook)
		weft_buf_printf(b, "\t\ttype %s; policy accept;\n", hook);
}

static void end(struct weft_buf *b)
{
	weft_buf_str(b, "\t}\n");
}

/* --- tunnels --- */

static void decap_rule(struct weft_buf *b, unsigned protocol, const struct weft_addr *local, const char *what)
{
	char text[WEFT_ADDR_STR];

	weft_buf_printf(b,
	                "\t\tmeta l4proto %u ip daddr %s ip saddr != @peer4 counter drop"
	                " comment \"%s from a host that is not a node\"\n",
	                protocol, weft_addr_str(local, text), what);
}

static void decap_rules(struct weft_buf *b, const struct nft_shape *shape)
{
	if (shape->ipip)
		decap_rule(b, IPPROTO_IPIP, &shape->local, "IP in IP");
	if (shape->sit)
		decap_rule(b, IPPROTO_IPV6, &shape->local, "IPv6 in IP");
}

/* With Services these are the first rules of services_in: each chain of a hook costs every packet. */
static void decap(struct weft_buf *b, const struct nft_shape *shape)
{
	if (shape->services)
		return;
	chain(b, "decap", "tunnelled packets come from nodes only", "filter hook input priority filter - 5");
	decap_rules(b, shape);
	end(b);
}

static void encap_rule(struct weft_buf *b, const char *dev, const char *family, const struct weft_addr *addr)
{
	char text[WEFT_ADDR_STR];

	if (!weft_addr_is_set(addr))
		return;
	weft_addr_str(addr, text);
	weft_buf_printf(b,
	                "\t\toifname \"%s\" fib saddr type local %s saddr != %s snat %s to %s fully-random"
	                " comment \"own traffic leaves with the address of the tunnel\"\n",
	                dev, family, text, family, text);
}

/* --- Services --- */

/* HEAD{ 10.96.0.0/16, 10.98.0.0/16 }; nothing, and false, without a prefix of the family. */
static bool prefixes(struct weft_buf *b, const char *head, const struct weft_prefix *all, size_t n,
                     uint8_t af)
{
	char text[WEFT_PREFIX_STR];
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (all[i].addr.family != af)
			continue;
		weft_buf_printf(b, "%s%s", any ? ", " : head, weft_prefix_str(&all[i], text));
		any = true;
	}
	if (any)
		weft_buf_str(b, " }");
	return any;
}

static void mark_rules(struct weft_buf *b, const char *who)
{
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b, "\t\t%smeta mark set %s daddr " KEY " map @etpl%c\n", who, families[i].ip,
		                families[i].digit);
}

static void judge(struct weft_buf *b)
{
	chain(b, "judge", "new connections to Services, before IPVS chooses an endpoint", NULL);
	for (size_t i = 0; i < 2; i++) {
		const struct family *f = &families[i];

		weft_buf_printf(b,
		                "\t\t%s daddr " KEY " @ranged%c %s daddr " KEY
		                " . %s saddr != @source%c counter drop"
		                " comment \"not in loadBalancerSourceRanges\"\n",
		                f->ip, f->digit, f->ip, f->ip, f->digit);
	}
	weft_buf_printf(
	        b, "\t\tmeta mark & 0x%08x == 0x%08x accept comment \"has all endpoints to choose from\"\n",
	        WEFT_FWMARK_MASK, WEFT_FWMARK_BASE);
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b,
		                "\t\t%s daddr " KEY " @drop%c counter drop"
		                " comment \"policy Local, no endpoint on this node\"\n",
		                families[i].ip, families[i].digit);
	end(b);
}

static void refused(struct weft_buf *b)
{
	chain(b, "refused", "as a host without a listener answers", NULL);
	weft_buf_str(b, "\t\tmeta l4proto tcp counter reject with tcp reset\n"
	                "\t\tcounter reject with icmpx type port-unreachable\n");
	end(b);
	chain(b, "no_service", "to a service address, but to no port that IPVS serves", NULL);
	weft_buf_str(b, "\t\tmeta l4proto { icmp, ipv6-icmp } accept\n");
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b, "\t\t%s daddr " KEY " @drop%c counter drop\n", families[i].ip,
		                families[i].digit);
	weft_buf_str(b, "\t\tgoto refused\n");
	end(b);
}

/* Pods of this node and the node itself reach all endpoints of externalTrafficPolicy Local. */
static void mark_and_judge(struct weft_buf *b, const char *who)
{
	weft_buf_str(b, "\t\tct state established accept\n");
	mark_rules(b, who);
	weft_buf_str(b, "\t\tct state related accept\n\t\tjump judge\n");
}

/*
 * A TCP segment that opens no connection, and of none that conntrack knows: IPVS gives it to the next node. The
 * connection's packets stay "new" here, as their replies go another way.
 */
static void hand_rules(struct weft_buf *b, const struct nft_shape *shape)
{
	for (size_t i = 0; shape->hand_mark && i < 2; i++)
		weft_buf_printf(b,
		                "\t\t%s daddr @vip%c meta l4proto tcp tcp flags & (syn | rst) == 0"
		                " ct state { new, invalid } jump handed\n",
		                families[i].ip, families[i].digit);
}

static void handed(struct weft_buf *b, const struct nft_shape *shape)
{
	static const char *const ttl[] = {"ip ttl", "ip6 hoplimit"};

	if (!shape->hand_mark)
		return;
	chain(b, "handed",
	      "of connections that began on another node: nodes are asked in turn, the TTL counts them",
	      NULL);
	weft_buf_str(b, "\t\t" PODS " return\n");
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b, "\t\t" FROM_TUNNEL " %s <= %d counter %s comment \"%s\"\n", ttl[i],
		                HANDOVER_TTL, shape->hand_drop ? "drop" : "return",
		                shape->hand_drop ? "nobody knows it: sent again, it finds its node"
		                                 : "nobody knows it");
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b, "\t\t" NOT_TUNNEL " %s set %d\n", ttl[i], HANDOVER_TTL + shape->hand_left);
	weft_buf_printf(b, "\t\tcounter meta mark set 0x%08x accept comment \"handed to the next node\"\n",
	                shape->hand_mark);
	end(b);
}

/*
 * IPVS gives its tunnels the address of the link they leave by. Other nodes let in what comes from the address of a
 * node, which may be on the loopback.
 */
static void tunnel_source(struct weft_buf *b, const struct nft_shape *shape)
{
	char text[WEFT_ADDR_STR];

	if (!shape->ipip && !shape->sit)
		return;
	weft_addr_str(&shape->local, text);
	weft_buf_printf(b, "\t\tmeta l4proto { 4, 41 } ip daddr @peer4 ip saddr != %s ip saddr set %s\n",
	                text, text);
}

static void services_in(struct weft_buf *b, const struct nft_shape *shape)
{
	chain(b, "services_own", "this node itself; source ranges bind it like others",
	      "filter hook output priority mangle");
	tunnel_source(b, shape);
	mark_and_judge(b, "");
	end(b);
	chain(b, "services_in", "before IPVS, which is at priority 99",
	      "filter hook input priority filter - 5");
	decap_rules(b, shape);
	hand_rules(b, shape);
	mark_and_judge(b, PODS " ");
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b, "\t\t%s daddr " KEY " @refuse%c goto refused\n", families[i].ip,
		                families[i].digit);
	end(b);
}

static void services_left(struct weft_buf *b, const struct nft_shape *shape)
{
	chain(b, "services_left",
	      "what IPVS did not take: daemons of this host don't listen on service addresses",
	      "filter hook input priority 110");
	weft_buf_str(b, "\t\tct direction reply accept\n");
	for (size_t i = 0; i < 2; i++) {
		char head[32];

		weft_buf_printf(b, "\t\t%s daddr @vip%c goto no_service\n", families[i].ip,
		                families[i].digit);
		snprintf(head, sizeof(head), "\t\t%s daddr { ", families[i].ip);
		if (prefixes(b, head, shape->service_cidrs, shape->n_service_cidrs, families[i].af))
			weft_buf_str(b, " goto no_service\n");
	}
	end(b);
}

static void snat_rule(struct weft_buf *b, const char *match, const char *ip, const struct weft_addr *to)
{
	char text[WEFT_ADDR_STR];

	if (weft_addr_is_set(to))
		weft_buf_printf(b, "\t\t%ssnat %s to %s fully-random\n", match, ip, weft_addr_str(to, text));
}

static void masquerade(struct weft_buf *b, const struct nft_shape *shape)
{
	chain(b, "node_address", "replies come back to this node, through the tunnel if there", NULL);
	snat_rule(b, "oifname \"" WEFT_DEV_IPIP "\" ", "ip", &shape->tunnel4);
	snat_rule(b, "oifname \"" WEFT_DEV_SIT "\" ", "ip6", &shape->tunnel6);
	snat_rule(b, "", "ip", &shape->node4);
	snat_rule(b, "", "ip6", &shape->node6);
	end(b);
}

/* ClusterIPs: pods of the cluster keep their source, unless all is masqueraded. */
static void cluster_ips(struct weft_buf *b, const struct nft_shape *shape, const struct family *f)
{
	char head[48];

	snprintf(head, sizeof(head), "\t\tct original %s daddr { ", f->ip);
	if (!prefixes(b, head, shape->service_cidrs, shape->n_service_cidrs, f->af))
		return;
	snprintf(head, sizeof(head), " %s saddr != { ", f->ip);
	if (shape->masquerade_all)
		weft_buf_str(b, " fib saddr type != local");
	else
		prefixes(b, head, shape->pod_cidrs, shape->n_pod_cidrs, f->af);
	weft_buf_printf(b, " goto node_address comment \"ClusterIPs, %s\"\n",
	                shape->masquerade_all ? "from anyone" : "from outside the cluster");
}

static void hairpin(struct weft_buf *b)
{
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b,
		                "\t\t%s saddr . %s daddr @hairpin%c goto node_address"
		                " comment \"a pod that reaches itself through a Service\"\n",
		                families[i].ip, families[i].ip, families[i].digit);
}

static void from_outside(struct weft_buf *b)
{
	weft_buf_str(b, "\t\t" PODS " accept comment \"pods of this node keep their address\"\n"
	                "\t\tfib saddr type local accept\n");
	for (size_t i = 0; i < 2; i++)
		weft_buf_printf(b,
		                "\t\tmeta l4proto { tcp, udp, sctp } ct original %s daddr . meta l4proto ."
		                " ct original proto-dst @masq%c goto node_address\n",
		                families[i].ip, families[i].digit);
}

static void source(struct weft_buf *b, const struct nft_shape *shape)
{
	chain(b, "source", "source addresses: first of what enters a tunnel, then of what goes to endpoints",
	      "nat hook postrouting priority srcnat");
	if (shape->services)
		hairpin(b);
	encap_rule(b, WEFT_DEV_IPIP, "ip", &shape->tunnel4);
	encap_rule(b, WEFT_DEV_SIT, "ip6", &shape->tunnel6);
	if (shape->services && shape->masquerade_all)
		for (size_t i = 0; i < 2; i++)
			cluster_ips(b, shape, &families[i]);
	if (shape->services)
		from_outside(b);
	if (shape->services && !shape->masquerade_all)
		for (size_t i = 0; i < 2; i++)
			cluster_ips(b, shape, &families[i]);
	end(b);
}

void nft_text_table(struct weft_buf *b, const struct nft_shape *shape, const struct nft_elements *els)
{
	weft_buf_str(b, "add table " NFT_TABLE "\ndelete table " NFT_TABLE "\n"
	                "table " NFT_TABLE " {\n"
	                "\tcomment \"made by weftd, do not edit: changes are undone\"\n");
	nft_text_sets(b, shape->services, els);
	decap(b, shape);
	if (shape->services) {
		refused(b);
		judge(b);
		handed(b, shape);
		services_in(b, shape);
		services_left(b, shape);
		masquerade(b, shape);
	}
	source(b, shape);
	weft_buf_str(b, "}\n");
}
