// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One Service to all that the kernel needs: which virtual services with which destinations, and the verdicts
 * around them: S1, S3, S4, S11, S13 to S15, S18 to S24, S30, H7.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/plan_bed.h"

#define IP "ip=10.96.0.10 port=80/TCP "

/* Endpoints of 8080/TCP: none anywhere, only elsewhere, only here, both. */
#define NONE  "10.244.0.1@a/ 10.244.1.1@b/"
#define AWAY  "10.244.1.1@b"
#define HERE  "10.244.0.1@a"
#define BOTH  "10.244.0.1@a 10.244.1.1@b"
#define DYING "10.244.0.1@a/st 10.244.1.1@b"

/* Virtual services and verdicts of every policy with every distribution of endpoints. */
static const struct {
	const char *rule, *words, *endpoints, *want;
} verdicts[] = {
        {"ClusterIP", IP, BOTH, "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"},
        {"S14 ClusterIP without endpoints is refused by the VIP's rule", IP, NONE, ""},
        {"S19 iTP Local", IP "itp=Local", BOTH, "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 ~10.244.1.1:8080\n"},
        {"S15 iTP Local, none here", IP "itp=Local", AWAY, "drop 10.96.0.10:80/TCP\n"},
        {"S14 iTP Local, none anywhere", IP "itp=Local", NONE, ""},
        {"S21 ClusterIP that no service CIDR has", "ip=10.200.0.10 port=80/TCP ", BOTH,
         "10.200.0.10:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"
         "masq 10.200.0.10:80/TCP\n"},
        {"S11 iTP Local: the last local one terminates", IP "itp=Local", DYING,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 ~10.244.1.1:8080\n"},

        {"S21 LB, eTP Cluster", IP "type=LoadBalancer lb=192.0.2.1", BOTH,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"
         "192.0.2.1:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"
         "masq 192.0.2.1:80/TCP\n"},
        {"S14 LB, eTP Cluster without endpoints", IP "type=LoadBalancer lb=192.0.2.1", NONE, ""},
        {"S21 external IP, eTP Cluster", IP "ext=192.0.2.2", AWAY,
         "10.96.0.10:80/TCP rr -> 10.244.1.1:8080\n"
         "192.0.2.2:80/TCP rr -> 10.244.1.1:8080\n"
         "masq 192.0.2.2:80/TCP\n"},
        {"S18 LB, eTP Local", IP "type=LoadBalancer lb=192.0.2.1 etp=Local", BOTH,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"
         "192.0.2.1:80/TCP rr -> 10.244.0.1:8080 ~10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) rr -> 10.244.0.1:8080 10.244.1.1:8080\n"
         "etpl 192.0.2.1:80/TCP = 0x57000001\n"},
        {"S15 S18 LB, eTP Local, none here: pods still get there",
         IP "type=LoadBalancer lb=192.0.2.1 etp=Local", AWAY,
         "10.96.0.10:80/TCP rr -> 10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) rr -> 10.244.1.1:8080\n"
         "etpl 192.0.2.1:80/TCP = 0x57000001\n"
         "drop 192.0.2.1:80/TCP\n"},
        {"S14 LB, eTP Local, none anywhere", IP "type=LoadBalancer lb=192.0.2.1 etp=Local", NONE, ""},
        {"S11 S18 eTP Local: the last local one terminates", IP "ext=192.0.2.2 etp=Local", DYING,
         "10.96.0.10:80/TCP rr -> ~10.244.0.1:8080 10.244.1.1:8080\n"
         "192.0.2.2:80/TCP rr -> 10.244.0.1:8080 ~10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) rr -> ~10.244.0.1:8080 10.244.1.1:8080\n"
         "etpl 192.0.2.2:80/TCP = 0x57000001\n"},
        {"S13 S18 eTP Local and iTP Local: pods get all at the LB IP", IP "ext=192.0.2.2 etp=Local itp=Local",
         AWAY,
         "fwmark 0x57000001 (IPv4) rr -> 10.244.1.1:8080\n"
         "etpl 192.0.2.2:80/TCP = 0x57000001\n"
         "drop 10.96.0.10:80/TCP\n"
         "drop 192.0.2.2:80/TCP\n"},
        {"S19 iTP Local does not concern the LB IP", IP "ext=192.0.2.2 itp=Local", AWAY,
         "192.0.2.2:80/TCP rr -> 10.244.1.1:8080\n"
         "masq 192.0.2.2:80/TCP\n"
         "drop 10.96.0.10:80/TCP\n"},
        {"S18 eTP Local without anything external needs no mark", IP "etp=Local", BOTH,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"},
        {"S12 hints concern the cluster's endpoints only", IP "ext=192.0.2.2 etp=Local",
         "10.244.0.1@a~z2 10.244.1.1@b~z1",
         "10.96.0.10:80/TCP rr -> ~10.244.0.1:8080 10.244.1.1:8080\n"
         "192.0.2.2:80/TCP rr -> 10.244.0.1:8080 ~10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) rr -> ~10.244.0.1:8080 10.244.1.1:8080\n"
         "etpl 192.0.2.2:80/TCP = 0x57000001\n"},

        {"S22 node port on each node address", "type=NodePort ip=10.96.0.10 port=80/TCP:30080", HERE,
         "10.1.1.1:30080/TCP rr -> 10.244.0.1:8080\n"
         "10.2.2.1:30080/TCP rr -> 10.244.0.1:8080\n"
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"
         "masq 10.1.1.1:30080/TCP\n"
         "masq 10.2.2.1:30080/TCP\n"},
        {"S14 S22 node port without endpoints", "type=NodePort ip=10.96.0.10 port=80/TCP:30080", NONE,
         "refuse 10.1.1.1:30080/TCP\n"
         "refuse 10.2.2.1:30080/TCP\n"},
        {"S14 S22 node port, eTP Local, none anywhere",
         "type=NodePort ip=10.96.0.10 port=80/TCP:30080 etp=Local", NONE,
         "refuse 10.1.1.1:30080/TCP\n"
         "refuse 10.2.2.1:30080/TCP\n"},
        {"S15 S22 node port, eTP Local, none here", "type=NodePort ip=10.96.0.10 port=80/TCP:30080 etp=Local",
         AWAY,
         "10.96.0.10:80/TCP rr -> 10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) rr -> 10.244.1.1:8080\n"
         "etpl 10.1.1.1:30080/TCP = 0x57000001\n"
         "etpl 10.2.2.1:30080/TCP = 0x57000001\n"
         "drop 10.1.1.1:30080/TCP\n"
         "drop 10.2.2.1:30080/TCP\n"},
        {"S22 a LoadBalancer has node ports", "type=LoadBalancer ip=10.96.0.10 port=80/TCP:30080", HERE,
         "10.1.1.1:30080/TCP rr -> 10.244.0.1:8080\n"
         "10.2.2.1:30080/TCP rr -> 10.244.0.1:8080\n"
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"
         "masq 10.1.1.1:30080/TCP\n"
         "masq 10.2.2.1:30080/TCP\n"},
        {"S23 without node port", "type=LoadBalancer ip=10.96.0.10 port=80/TCP:0", HERE,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"},
        {"S29 a ClusterIP that was a NodePort has none", "ip=10.96.0.10 port=80/TCP:30080", HERE,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"},
        {"S2 S29 a NodePort that was a LoadBalancer has no LB IP", "type=NodePort " IP "lb=192.0.2.1", HERE,
         "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"},

        {"S20 ranges: LB and external IPs, not the ClusterIP or node port",
         "type=LoadBalancer ip=10.96.0.10 port=80/TCP:30080 lb=192.0.2.1 ext=192.0.2.2 range=10.0.0.0/8 "
         "range=10.9.0.0/16 range=172.16.0.0/12",
         NONE,
         "refuse 10.1.1.1:30080/TCP\n"
         "refuse 10.2.2.1:30080/TCP\n"
         "ranged 192.0.2.1:80/TCP\n"
         "ranged 192.0.2.2:80/TCP\n"
         "source 192.0.2.1:80/TCP from 10.0.0.0/8\n"
         "source 192.0.2.1:80/TCP from 172.16.0.0/12\n"
         "source 192.0.2.2:80/TCP from 10.0.0.0/8\n"
         "source 192.0.2.2:80/TCP from 172.16.0.0/12\n"},
        {"S20 any /0 opens its family", IP "ext=192.0.2.2 range=10.0.0.0/8 range=0.0.0.0/0", NONE, ""},
        {"S20 a family without ranges stays open", IP "ext=192.0.2.2 range=fd00::/8", NONE, ""},
        {"S20 a /0 of the other family opens nothing", IP "ext=192.0.2.2 range=10.0.0.0/8 range=::/0", NONE,
         "ranged 192.0.2.2:80/TCP\n"
         "source 192.0.2.2:80/TCP from 10.0.0.0/8\n"},

        {"S24 affinity", IP "affinity=60", HERE, "10.96.0.10:80/TCP rr for 60s -> 10.244.0.1:8080\n"},
        {"S24 H7 the fwmark service hashes: ports differ", IP "ext=192.0.2.2 etp=Local affinity=60", HERE,
         "10.96.0.10:80/TCP rr for 60s -> 10.244.0.1:8080\n"
         "192.0.2.2:80/TCP rr for 60s -> 10.244.0.1:8080\n"
         "fwmark 0x57000001 (IPv4) sh+fallback -> 10.244.0.1:8080\n"
         "etpl 192.0.2.2:80/TCP = 0x57000001\n"},
        {"S24 H7 it is persistent where the port stays",
         "ip=10.96.0.10 port=8080 ext=192.0.2.2 etp=Local affinity=60", AWAY,
         "10.96.0.10:8080/TCP rr for 60s -> 10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) rr for 60s -> 10.244.1.1:8080\n"
         "etpl 192.0.2.2:8080/TCP = 0x57000001\n"
         "drop 192.0.2.2:8080/TCP\n"},
        {"S24 H7 but not if a node port leads there too",
         "type=NodePort ip=10.96.0.10 port=8080/TCP:30080 ext=192.0.2.2 etp=Local affinity=60", AWAY,
         "10.96.0.10:8080/TCP rr for 60s -> 10.244.1.1:8080\n"
         "fwmark 0x57000001 (IPv4) sh+fallback -> 10.244.1.1:8080\n"
         "etpl 10.1.1.1:30080/TCP = 0x57000001\n"
         "etpl 10.2.2.1:30080/TCP = 0x57000001\n"
         "etpl 192.0.2.2:8080/TCP = 0x57000001\n"
         "drop 10.1.1.1:30080/TCP\n"
         "drop 10.2.2.1:30080/TCP\n"
         "drop 192.0.2.2:8080/TCP\n"},

        {"scheduler", IP "scheduler=mh", HERE, "10.96.0.10:80/TCP mh+fallback -> 10.244.0.1:8080\n"},
        {"scheduler", IP "scheduler=wlc", HERE, "10.96.0.10:80/TCP wlc -> 10.244.0.1:8080\n"},
};

static void every_policy_with_every_distribution(void **state)
{
	struct plan_bed b;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(verdicts); i++) {
		bed_init(&b);
		bed_put(&b, verdicts[i].words, "8080/TCP", verdicts[i].endpoints);
		bed_expect(&b, verdicts[i].rule, SHOW_VIRTUALS | SHOW_ELEMENTS | SHOW_PROBLEMS,
		           verdicts[i].want);
		bed_free(&b);
	}
}

/* S1: nothing at all is done, whatever else it says. */
static void s1_not_ours_to_serve(void **state)
{
	static const char *const words[] = {
	        IP "proxy=other",       IP "proxy=",   IP "headless",
	        IP "type=ExternalName", "port=80/TCP", "type=LoadBalancer port=80/TCP:30080 lb=192.0.2.1"};
	struct svc_plan p;
	struct plan_bed b;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(words); i++) {
		bed_init(&b);
		bed_put(&b, words[i], "8080/TCP", BOTH);
		memset(&p, 0xff, sizeof(p));
		bed_plan(&b, &p);
		assert_false(p.served);
		assert_int_equal(p.n_vips + p.n_virtuals + p.n_dests + p.n_elements + p.n_problems, 0);
		assert_int_equal(p.health_port, 0);
		svc_plan_free(&p);
		bed_put(&b, IP, "8080/TCP", BOTH); /* the label goes: served */
		bed_plan(&b, &p);
		assert_true(p.served);
		svc_plan_free(&p);
		bed_free(&b);
	}
}

static void s3_s30_both_families_each_by_itself(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	services_put(b.services,
	             service("ns/web", "type=LoadBalancer ip=10.96.0.10 ip=fd96::10 port=80/TCP:30080 "
	                               "lb=192.0.2.1 lb=2001:db8::1 etp=Local range=fd00::/8"));
	services_put(b.services, slice("ns/web-4", "web", "8080/TCP", HERE));
	services_put(b.services, slice("ns/web-6", "web", "8080/TCP", "fd44::1@b"));
	bed_expect(&b, "S30", SHOW_VIRTUALS | SHOW_ELEMENTS | SHOW_PROBLEMS,
	           "10.1.1.1:30080/TCP rr -> 10.244.0.1:8080\n"
	           "10.2.2.1:30080/TCP rr -> 10.244.0.1:8080\n"
	           "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"
	           "192.0.2.1:80/TCP rr -> 10.244.0.1:8080\n"
	           "[fd96::10]:80/TCP rr -> fd44::1:8080\n"
	           "fwmark 0x57000001 (IPv4) rr -> 10.244.0.1:8080\n"
	           "fwmark 0x57000002 (IPv6) rr -> fd44::1:8080\n"
	           "etpl 10.1.1.1:30080/TCP = 0x57000001\n"
	           "etpl 10.2.2.1:30080/TCP = 0x57000001\n"
	           "etpl 192.0.2.1:80/TCP = 0x57000001\n"
	           "etpl [2001:db8::1]:80/TCP = 0x57000002\n"
	           "etpl [fd01::1]:30080/TCP = 0x57000002\n"
	           "drop [2001:db8::1]:80/TCP\n"
	           "drop [fd01::1]:30080/TCP\n"
	           "ranged [2001:db8::1]:80/TCP\n"
	           "source [2001:db8::1]:80/TCP from fd00::/8\n");
	assert_int_equal(b.n_marks, 2);
	assert_string_equal(b.marks[0], "ns/web//TCP/4");
	assert_string_equal(b.marks[1], "ns/web//TCP/6");
	bed_free(&b);
}

/* A family without ClusterIP is not served, and its addresses are problems. */
static void s3_a_family_needs_a_cluster_ip(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	services_put(b.services, service("ns/web", "type=LoadBalancer ip=10.96.0.10 port=80/TCP:30080 "
	                                           "lb=2001:db8::1 ext=2001:db8::2"));
	services_put(b.services, slice("ns/web-6", "web", "8080/TCP", "fd44::1@a"));
	bed_expect(
	        &b, "S3", SHOW_VIPS | SHOW_VIRTUALS | SHOW_ELEMENTS | SHOW_PROBLEMS,
	        "vip 10.96.0.10 cluster\n"
	        "refuse 10.1.1.1:30080/TCP\n"
	        "refuse 10.2.2.1:30080/TCP\n"
	        "! status.loadBalancer.ingress: 2001:db8::1 is not served, the Service has no ClusterIP of that "
	        "family\n"
	        "! spec.externalIPs: 2001:db8::2 is not served, the Service has no ClusterIP of that family\n");
	bed_free(&b);
}

static void s4_protocols_on_one_port_are_independent(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	services_put(b.services,
	             service("ns/web", "ip=10.96.0.10 port=dns-udp:53/UDP port=dns:53/TCP port=sig:53/SCTP "
	                               "ext=192.0.2.2 etp=Local"));
	services_put(b.services, slice("ns/web-1", "web", "dns:5353/TCP", HERE));
	services_put(b.services, slice("ns/web-2", "web", "dns-udp:53/UDP", AWAY));
	services_put(b.services, slice("ns/web-3", "web", "sig:54/SCTP", HERE));
	bed_expect(&b, "S4", SHOW_VIRTUALS | SHOW_ELEMENTS,
	           "10.96.0.10:53/TCP rr -> 10.244.0.1:5353\n"
	           "10.96.0.10:53/UDP rr -> 10.244.1.1:53\n"
	           "10.96.0.10:53/SCTP rr -> 10.244.0.1:54\n"
	           "192.0.2.2:53/TCP rr -> 10.244.0.1:5353\n"
	           "192.0.2.2:53/SCTP rr -> 10.244.0.1:54\n"
	           "fwmark 0x57000001 (IPv4) rr -> 10.244.1.1:53\n"
	           "fwmark 0x57000002 (IPv4) rr -> 10.244.0.1:5353\n"
	           "fwmark 0x57000003 (IPv4) rr -> 10.244.0.1:54\n"
	           "etpl 192.0.2.2:53/TCP = 0x57000002\n"
	           "etpl 192.0.2.2:53/UDP = 0x57000001\n"
	           "etpl 192.0.2.2:53/SCTP = 0x57000003\n"
	           "drop 192.0.2.2:53/UDP\n");
	assert_string_equal(b.marks[0], "ns/web/dns-udp/UDP/4");
	assert_string_equal(b.marks[1], "ns/web/dns/TCP/4");
	assert_string_equal(b.marks[2], "ns/web/sig/SCTP/4");
	bed_free(&b);
}

/* Endpoints that are not chosen keep their connections; UDP has none worth keeping at one that does not
 * serve. */
static void s11_s27_what_is_not_chosen_may_stay(void **state)
{
	static const char endpoints[] =
	        "10.244.0.1@a 10.244.0.2@a/st 10.244.0.3@a/s 10.244.0.4@a/t 10.244.0.5@a/";
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	services_put(b.services, service("ns/web", "ip=10.96.0.10 port=t:80/TCP port=u:80/UDP"));
	services_put(b.services, slice("ns/web-1", "web", "t:80/TCP u:80/UDP", endpoints));
	bed_expect(&b, "S11", SHOW_VIRTUALS,
	           "10.96.0.10:80/TCP rr -> 10.244.0.1:80 ~10.244.0.2:80 ~10.244.0.3:80 ~10.244.0.4:80 "
	           "~10.244.0.5:80\n"
	           "10.96.0.10:80/UDP rr -> 10.244.0.1:80 ~10.244.0.2:80 ~10.244.0.3:80\n");
	bed_free(&b);
}

/* Without a mark pods are treated like everybody else, and it is said. */
static void s18_no_mark_is_left(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	b.no_mark_left = true;
	bed_put(&b, "type=NodePort ip=10.96.0.10 port=80/TCP:30080 etp=Local", "8080/TCP", HERE);
	bed_expect(
	        &b, "S18", SHOW_VIRTUALS | SHOW_ELEMENTS | SHOW_PROBLEMS,
	        "10.1.1.1:30080/TCP rr -> 10.244.0.1:8080\n"
	        "10.2.2.1:30080/TCP rr -> 10.244.0.1:8080\n"
	        "10.96.0.10:80/TCP rr -> 10.244.0.1:8080\n"
	        "! externalTrafficPolicy: Local: no firewall mark is left for port 80/TCP, pods on this node reach "
	        "local endpoints only\n");
	bed_free(&b);
}

/* S21: hairpin for what is on this node, by the slice or by its address; VIP for what has a route of its own.
 */
static void s21_hairpin_and_vip_elements(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	bed_put(&b, IP "port=x:81/TCP ext=192.0.2.2 ext=10.96.7.7", "8080/TCP x:8081/TCP",
	        "10.1.1.1@a 10.244.0.1@b 10.244.0.2 10.244.1.1@b 10.244.0.3@a/");
	bed_expect(&b, "S21", SHOW_PLACES,
	           "set 192.0.2.2\nhairpin 10.1.1.1\nhairpin 10.244.0.1\nhairpin 10.244.0.2\n");
	bed_put(&b, IP, "8080/TCP", AWAY);
	bed_expect(&b, "S21", SHOW_PLACES, "");
	bed_free(&b);
}

static const struct {
	const char *scheduler, *want;
} annotations[] = {
        {"mh", "10.96.0.10:80/TCP mh+fallback -> 10.244.0.1:8080\n"},
        {"nonsense", "10.96.0.10:80/TCP sh+fallback -> 10.244.0.1:8080\n"
                     "! annotation weft.dev/scheduler: sh is used instead of \"nonsense\", which is not a "
                     "scheduler\n"},
        {"", "10.96.0.10:80/TCP sh+fallback -> 10.244.0.1:8080\n"
             "! annotation weft.dev/scheduler: sh is used instead of \"\", which is not a scheduler\n"},
};

static void an_unknown_scheduler_is_a_problem(void **state)
{
	char words[128];
	struct plan_bed b;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(annotations); i++) {
		bed_init(&b);
		b.env.scheduler = "sh";
		snprintf(words, sizeof(words), IP "scheduler=%s", annotations[i].scheduler);
		bed_put(&b, words, "8080/TCP", HERE);
		bed_expect(&b, "scheduler", SHOW_VIRTUALS | SHOW_PROBLEMS, annotations[i].want);
		bed_free(&b);
	}
}

/* A value of any length, cut between characters. */
static void a_long_annotation_is_cut_between_characters(void **state)
{
	struct weft_object *o;
	struct svc_plan p;
	struct plan_bed b;
	char value[601];

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		memset(value, 'x', shift);
		for (size_t i = shift; i < 600; i++)
			value[i] = (char)"\xe2\x82\xac"[(i - shift) % 3];
		value[600 - (600 - shift) % 3] = '\0';
		bed_init(&b);
		o = service("ns/web", IP);
		annotated(o, WEFT_ANNOTATION_SCHEDULER, value);
		services_put(b.services, o);
		bed_plan(&b, &p);
		assert_int_equal(p.n_problems, 1);
		assert_in_range(strlen(p.problems[0]), SVC_PROBLEM - 4, SVC_PROBLEM - 1);
		assert_memory_equal(p.problems[0] + strlen(p.problems[0]) - 3, "\xe2\x82\xac", 3);
		svc_plan_free(&p);
		bed_free(&b);
	}
}

static void schedulers_and_their_flags(void **state)
{
	static const char *const plain[] = {"rr", "wrr",  "lc",    "wlc", "sed", "nq",
	                                    "dh", "lblc", "lblcr", "ovf", "fo"};
	uint32_t flags;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(plain); i++) {
		flags = 1;
		assert_true(svc_scheduler(plain[i], &flags));
		assert_int_equal(flags, 0);
	}
	assert_true(svc_scheduler("mh", &flags));
	assert_int_equal(flags, SVC_SCHED_FALLBACK);
	assert_true(svc_scheduler("sh", &flags));
	assert_int_equal(flags, SVC_SCHED_FALLBACK);
	assert_false(svc_scheduler("rrr", &flags) || svc_scheduler("", &flags) ||
	             svc_scheduler("RR", &flags));
}

static void keys_have_names(void **state)
{
	struct svc_virtual_key k = {.addr = addr("10.96.0.10"), .proto = IPPROTO_UDP, .port = 53};
	char text[SVC_KEY_STR];

	(void)state;
	assert_string_equal(svc_virtual_str(&k, text), "10.96.0.10:53/UDP");
	k = (struct svc_virtual_key){.addr = addr("fd00::1"), .proto = IPPROTO_TCP, .port = 80};
	assert_string_equal(svc_virtual_str(&k, text), "[fd00::1]:80/TCP");
	k = (struct svc_virtual_key){.addr.family = AF_INET, .fwmark = 0x57000001};
	assert_string_equal(svc_virtual_str(&k, text), "fwmark 0x57000001 (IPv4)");
	k = (struct svc_virtual_key){.addr.family = AF_INET6, .fwmark = 0x57abcdef};
	assert_string_equal(svc_virtual_str(&k, text), "fwmark 0x57abcdef (IPv6)");
	k = (struct svc_virtual_key){.addr = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	                             .proto = IPPROTO_SCTP,
	                             .port = 65535};
	assert_string_equal(svc_virtual_str(&k, text),
	                    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535/SCTP");
}

/* The same objects give the same plan, byte for byte, in whatever order they came. */
static void the_order_of_arrival_means_nothing(void **state)
{
	static const char *const names[] = {"ns/web-1", "ns/web-2", "ns/web-3"};
	static const char *const endpoints[] = {"10.244.0.9@a 10.244.0.1@a", "10.244.1.1@b 10.244.0.1@b/st",
	                                        "10.244.0.5@a 10.244.1.1@b/st"};
	static const unsigned char orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	char *first = NULL;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(orders); i++) {
		weft_autofree char *text = NULL;
		struct svc_plan p;
		struct plan_bed b;

		bed_init(&b);
		for (size_t k = 0; k < 3; k++)
			services_put(b.services,
			             slice(names[orders[i][k]], "web", "8080/TCP", endpoints[orders[i][k]]));
		services_put(b.services,
		             service("ns/web", i % 2 ? IP "ext=192.0.2.2 ext=192.0.2.3 etp=Local"
		                                     : IP "ext=192.0.2.3 ext=192.0.2.2 etp=Local"));
		bed_plan(&b, &p);
		text = plan_text(&p, ~0u);
		if (!first)
			first = strdup(text);
		assert_string_equal(text, first);
		svc_plan_free(&p);
		bed_free(&b);
	}
	assert_non_null(strstr(first, "10.244.0.1:8080 10.244.0.5:8080 10.244.0.9:8080 ~10.244.1.1:8080"));
	free(first);
}

/* Node addresses times ports do not copy the endpoints: the virtual services share them. */
static void destinations_are_in_the_plan_once(void **state)
{
	struct svc_plan p;
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	bed_put(&b,
	        "type=LoadBalancer ip=10.96.0.10 port=80/TCP:30080 lb=192.0.2.1 lb=192.0.2.2 ext=192.0.2.3",
	        "8080/TCP", BOTH);
	bed_plan(&b, &p);
	assert_int_equal(p.n_virtuals, 6);
	assert_int_equal(p.n_dests, 2);
	svc_plan_free(&p);
	bed_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_policy_with_every_distribution),
	        cmocka_unit_test(s1_not_ours_to_serve),
	        cmocka_unit_test(s3_s30_both_families_each_by_itself),
	        cmocka_unit_test(s3_a_family_needs_a_cluster_ip),
	        cmocka_unit_test(s4_protocols_on_one_port_are_independent),
	        cmocka_unit_test(s11_s27_what_is_not_chosen_may_stay),
	        cmocka_unit_test(s18_no_mark_is_left),
	        cmocka_unit_test(s21_hairpin_and_vip_elements),
	        cmocka_unit_test(an_unknown_scheduler_is_a_problem),
	        cmocka_unit_test(a_long_annotation_is_cut_between_characters),
	        cmocka_unit_test(schedulers_and_their_flags),
	        cmocka_unit_test(keys_have_names),
	        cmocka_unit_test(the_order_of_arrival_means_nothing),
	        cmocka_unit_test(destinations_are_in_the_plan_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
