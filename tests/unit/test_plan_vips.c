// SPDX-License-Identifier: GPL-2.0-or-later
/* Which addresses a Service has on this node, which are announced, and its health port: S2, S3, S5, S25, H4.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/plan_bed.h"

#define IP   "ip=10.96.0.10 port=80/TCP "
#define LB   "type=LoadBalancer " IP
#define BOTH "10.244.0.1@a 10.244.1.1@b"
#define AWAY "10.244.1.1@b"

static const struct {
	const char *rule, *words, *want;
} vips[] = {
        {"a ClusterIP in a service CIDR needs no route", IP, "vip 10.96.0.10 cluster\n"},
        {"a ClusterIP outside of all needs one", "ip=10.97.0.1 port=80/TCP", "vip 10.97.0.1 cluster route\n"},
        {"S3 both families", IP "ip=fd96::10", "vip 10.96.0.10 cluster\nvip fd96::10 cluster\n"},
        {"S2 LB IPs", LB "lb=192.0.2.1 lb=192.0.2.3",
         "vip 10.96.0.10 cluster\nvip 192.0.2.1 lb route announced\nvip 192.0.2.3 lb route announced\n"},
        {"S2 only of a LoadBalancer", IP "lb=192.0.2.1", "vip 10.96.0.10 cluster\n"},
        {"S5 external IPs", IP "ext=192.0.2.2", "vip 10.96.0.10 cluster\nvip 192.0.2.2 external route\n"},
        {"twice in one list", LB "lb=192.0.2.1 lb=192.0.2.1 ext=192.0.2.2 ext=192.0.2.2",
         "vip 10.96.0.10 cluster\nvip 192.0.2.1 lb route announced\nvip 192.0.2.2 external route\n"},
        {"LB wins over external", LB "ext=192.0.2.1 lb=192.0.2.1",
         "vip 10.96.0.10 cluster\nvip 192.0.2.1 lb route announced\n"},
        {"ClusterIP wins over both", LB "ext=10.96.0.10 lb=10.96.0.10", "vip 10.96.0.10 cluster\n"},

        {"H4 another node's address", IP "ext=10.1.1.2",
         "vip 10.96.0.10 cluster\n! spec.externalIPs: 10.1.1.2 is an address of Node b\n"},
        {"H4 our address", LB "lb=10.1.1.1",
         "vip 10.96.0.10 cluster\n! status.loadBalancer.ingress: 10.1.1.1 is an address of Node a\n"},
        {"H4 as ClusterIP", "ip=10.1.1.2 port=80/TCP",
         "! spec.clusterIPs: 10.1.1.2 is an address of Node b\n"},
        {"H4 one more address of ours", IP "ext=10.2.2.1",
         "vip 10.96.0.10 cluster\n! spec.externalIPs: 10.2.2.1 is an address of this node\n"},
        {"H4 what another proxy left on a device is a ClusterIP still", "ip=10.2.2.1 port=80/TCP",
         "vip 10.2.2.1 cluster route\n"},
        {"this machine's own", LB "ext=127.0.0.1 lb=0.0.0.0 ext=224.0.0.1 lb=169.254.1.1",
         "vip 10.96.0.10 cluster\n"
         "! status.loadBalancer.ingress: 0.0.0.0 is not an address that a Service can have\n"
         "! status.loadBalancer.ingress: 169.254.1.1 is not an address that a Service can have\n"
         "! spec.externalIPs: 127.0.0.1 is not an address that a Service can have\n"
         "! spec.externalIPs: 224.0.0.1 is not an address that a Service can have\n"},
};

static void addresses_of_a_service(void **state)
{
	struct plan_bed b;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(vips); i++) {
		bed_init(&b);
		bed_put(&b, vips[i].words, "8080/TCP", BOTH);
		bed_expect(&b, vips[i].rule, SHOW_VIPS | SHOW_PROBLEMS, vips[i].want);
		bed_free(&b);
	}
}

/* What is refused leads nowhere: no virtual service, no element, no mark. */
static void h4_a_refused_vip_leaves_no_trace(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	bed_put(&b, LB "lb=10.1.1.2 ext=127.0.0.1 ext=10.2.2.1 etp=Local range=10.0.0.0/8", "8080/TCP", BOTH);
	bed_expect(&b, "H4", SHOW_VIRTUALS | SHOW_ELEMENTS | SHOW_PLACES,
	           "10.96.0.10:80/TCP rr -> 10.244.0.1:8080 10.244.1.1:8080\n"
	           "hairpin 10.244.0.1\n");
	assert_int_equal(b.n_marks, 0);
	bed_free(&b);
}

static void s5_external_ips_in_allowed_ranges_only(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	b.external_ips[0] = prefix("198.51.100.0/24");
	b.external_ips[1] = prefix("2001:db8::/32");
	bed_put(&b,
	        LB "ip=fd96::10 lb=192.0.2.1 ext=192.0.2.2 ext=198.51.100.7 ext=2001:db8::7 ext=2001:db9::7",
	        "8080/TCP", BOTH);
	bed_expect(&b, "S5", SHOW_VIPS | SHOW_PROBLEMS,
	           "vip 10.96.0.10 cluster\n"
	           "vip 192.0.2.1 lb route announced\n"
	           "vip 198.51.100.7 external route\n"
	           "vip 2001:db8::7 external route\n"
	           "vip fd96::10 cluster\n"
	           "! spec.externalIPs: 192.0.2.2 is outside services.externalIPs\n"
	           "! spec.externalIPs: 2001:db9::7 is outside services.externalIPs\n");
	b.env.n_external_ips = 0;
	bed_put(&b, IP "ext=198.51.100.7", "8080/TCP", BOTH);
	bed_expect(
	        &b, "S5", SHOW_VIPS | SHOW_PROBLEMS,
	        "vip 10.96.0.10 cluster\n! spec.externalIPs: 198.51.100.7 is outside services.externalIPs\n");
	bed_free(&b);
}

/* --- announcing --- */

#define NO_BODY(type) "no BGPAdvertisement selects it and BGPConfig's announce has no " type
#define NO_LB         NO_BODY("LoadBalancerIP")
#define NO_EXTERNAL   NO_BODY("ExternalIP")
#define NO_CLUSTER    NO_BODY("ClusterIP")
#define DYING         "10.244.0.1@a/st 10.244.1.1@b"

static const struct {
	const char *words, *endpoints;
	unsigned types; /* of a BGPAdvertisement that selects app=web; 0 = none */
	bool drained;
	const char *want; /* of the VIP outside the service CIDR: why not, "" = announced */
} announced[] = {
        {LB "lb=192.0.2.1", BOTH, 0, false, ""},
        {LB "lb=192.0.2.1", AWAY, 0, false, ""},
        {LB "lb=192.0.2.1", "10.244.1.1@b/st", 0, false, ""},
        {LB "lb=192.0.2.1", "10.244.1.1@b/", 0, false, "no ready endpoint"},
        {LB "lb=192.0.2.1", "", 0, false, "no ready endpoint"},
        {LB "lb=192.0.2.1", BOTH, 0, true, "node is drained"},
        {LB "lb=192.0.2.1 etp=Local", BOTH, 0, false, ""},
        {LB "lb=192.0.2.1 etp=Local", AWAY, 0, false, "no ready endpoint on this node"},
        {LB "lb=192.0.2.1 etp=Local", DYING, 0, false, "no ready endpoint on this node"},
        {LB "lb=192.0.2.1 etp=Local", "", 0, false, "no ready endpoint"},
        {LB "lb=192.0.2.1 itp=Local", AWAY, 0, false, ""},
        {IP "label=web ext=192.0.2.2", BOTH, 0, false, NO_EXTERNAL},
        {IP "label=web ext=192.0.2.2", BOTH, WEFT_ADVERT_EXTERNAL, false, ""},
        {IP "label=web ext=192.0.2.2", BOTH, WEFT_ADVERT_EXTERNAL, true, "node is drained"},
        {IP "label=web ext=192.0.2.2 etp=Local", AWAY, WEFT_ADVERT_EXTERNAL, false,
         "no ready endpoint on this node"},
        {IP "label=web ext=192.0.2.2", BOTH, WEFT_ADVERT_CLUSTER | WEFT_ADVERT_LOADBALANCER, false,
         NO_EXTERNAL},
        {IP "label=other ext=192.0.2.2", BOTH, WEFT_ADVERT_EXTERNAL, false, NO_EXTERNAL},
        {"label=web ip=10.97.0.1 port=80/TCP", BOTH, 0, false, NO_CLUSTER},
        {"label=web ip=10.97.0.1 port=80/TCP", BOTH, WEFT_ADVERT_EXTERNAL, false, NO_CLUSTER},
        {"label=web ip=10.97.0.1 port=80/TCP", BOTH, WEFT_ADVERT_CLUSTER, false, ""},
        {"label=web ip=10.97.0.1 port=80/TCP etp=Local", AWAY, WEFT_ADVERT_CLUSTER, false, ""},
        {"label=web ip=10.97.0.1 port=80/TCP itp=Local", AWAY, WEFT_ADVERT_CLUSTER, false,
         "no ready endpoint on this node"},
};

static struct weft_object *advert(unsigned types)
{
	struct weft_object *o = object(WEFT_BGPADVERTISEMENT, "more");

	o->bgpadvertisement.types = types;
	require(&o->bgpadvertisement.service_selector, "app", "web");
	return o;
}

static void announcing(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(announced); i++) {
		struct weft_object *o = advert(announced[i].types);
		const struct svc_vip *v = NULL;
		struct plan_bed b;
		struct svc_plan p;

		bed_init(&b);
		b.adverts[0] = o;
		b.env.n_adverts = announced[i].types != 0;
		b.env.drained = announced[i].drained;
		bed_put(&b, announced[i].words, "8080/TCP", announced[i].endpoints);
		bed_plan(&b, &p);
		for (size_t k = 0; k < p.n_vips; k++)
			if (p.vips[k].route)
				v = &p.vips[k];
		assert_non_null(v);
		assert_int_equal(v->advertise, v->why_not == NULL);
		if (strcmp(v->why_not ? v->why_not : "", announced[i].want))
			fail_msg("%s with %s: got \"%s\", want \"%s\"", announced[i].words,
			         announced[i].endpoints, v->why_not ? v->why_not : "", announced[i].want);
		svc_plan_free(&p);
		bed_free(&b);
		weft_object_free(o);
	}
}

/* The CIDR is announced as a whole by the daemon. */
static void a_cluster_ip_in_a_service_cidr_is_not_announced_by_itself(void **state)
{
	struct weft_object *o = advert(WEFT_ADVERT_CLUSTER);
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	b.adverts[0] = o;
	b.env.n_adverts = 1;
	bed_put(&b, IP "label=web", "8080/TCP", BOTH);
	bed_expect(&b, "ClusterIP", SHOW_VIPS | SHOW_WHY,
	           "vip 10.96.0.10 cluster (only its whole service CIDR can be announced)\n");
	bed_free(&b);
	weft_object_free(o);
}

/* Any port of the family will do; the other family's endpoints will not. */
static void s3_a_vip_is_announced_for_its_own_family(void **state)
{
	struct plan_bed b;

	(void)state;
	bed_init(&b);
	services_put(b.services,
	             service("ns/web", "type=LoadBalancer ip=10.96.0.10 ip=fd96::10 port=a:80/TCP "
	                               "port=b:81/TCP lb=192.0.2.1 lb=2001:db8::1 etp=Local"));
	services_put(b.services, slice("ns/web-4", "web", "b:8081/TCP", "10.244.0.1@a"));
	services_put(b.services, slice("ns/web-6", "web", "a:8080/TCP b:8081/TCP", "fd44::1@b"));
	bed_expect(&b, "S3", SHOW_VIPS | SHOW_WHY,
	           "vip 10.96.0.10 cluster (only its whole service CIDR can be announced)\n"
	           "vip 192.0.2.1 lb route announced\n"
	           "vip 2001:db8::1 lb route (no ready endpoint on this node)\n"
	           "vip fd96::10 cluster (only its whole service CIDR can be announced)\n");
	bed_free(&b);
}

/* --- healthCheckNodePort --- */

static const struct {
	const char *words, *endpoints, *endpoints6;
	uint16_t port;
	uint32_t local;
} healths[] = {
        {LB "port=x:81/TCP etp=Local health=32000", "10.244.0.1@a 10.244.0.2@a 10.244.1.1@b", "", 32000, 2},
        {LB "port=x:81/TCP etp=Local health=32000", "10.244.0.1@a/st 10.244.1.1@b", "", 32000, 0},
        {LB "port=x:81/TCP etp=Local health=32000", "", "", 32000, 0},
        {LB "ip=fd96::10 etp=Local health=32000", "10.244.0.1@a", "fd44::1@a", 32000, 2},
        {LB "health=32000", BOTH, "", 0, 0},
        {IP "etp=Local ext=192.0.2.2 health=32000", BOTH, "", 0, 0},
        {"type=NodePort " IP "etp=Local health=32000", BOTH, "", 0, 0},
        {LB "etp=Local", BOTH, "", 0, 1},
};

/* S25: distinct local ready addresses of the Service, whichever of its ports they have. */
static void s25_health_port_and_its_count(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(healths); i++) {
		struct plan_bed b;
		struct svc_plan p;

		bed_init(&b);
		services_put(b.services, service("ns/web", healths[i].words));
		services_put(b.services,
		             slice("ns/web-1", "web", "8080/TCP x:8081/TCP", healths[i].endpoints));
		services_put(b.services, slice("ns/web-6", "web", "8080/TCP", healths[i].endpoints6));
		bed_plan(&b, &p);
		assert_int_equal(p.health_port, healths[i].port);
		if (healths[i].port)
			assert_int_equal(p.health_local, healths[i].local);
		svc_plan_free(&p);
		bed_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(addresses_of_a_service),
	        cmocka_unit_test(h4_a_refused_vip_leaves_no_trace),
	        cmocka_unit_test(s5_external_ips_in_allowed_ranges_only),
	        cmocka_unit_test(announcing),
	        cmocka_unit_test(a_cluster_ip_in_a_service_cidr_is_not_announced_by_itself),
	        cmocka_unit_test(s3_a_vip_is_announced_for_its_own_family),
	        cmocka_unit_test(s25_health_port_and_its_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
