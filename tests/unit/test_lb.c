// SPDX-License-Identifier: GPL-2.0-or-later
/* LoadBalancer IPs: who gets which address, who keeps it, who waits, and what is said of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/lb_bed.h"

static void lowest_free_address_of_the_first_pool(void **state)
{
	struct lb *lb = *state;
	struct weft_object *second = lb_pool("b", "10.2.0.1-10.2.0.9");

	second->ippool.priority = 200;
	put_pool(lb, second);
	put_pool(lb, lb_pool("c", "10.1.0.8-10.1.0.9 10.1.0.1-10.1.0.2"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "");
	put_service(lb, lb_service("x/c", "4"), "");
	put_service(lb, lb_service("x/d", "4"), "");
	put_service(lb, lb_service("x/e", "4"), "");
	expect(lb, "x/a", "Assigned 10.1.0.1");
	expect(lb, "x/b", "Assigned 10.1.0.2");
	expect(lb, "x/c", "Assigned 10.1.0.8");
	expect(lb, "x/d", "Assigned 10.1.0.9");
	expect(lb, "x/e", "Assigned 10.2.0.1");
	expect_message(lb, "x/e", "10.2.0.1 from IPPool b");
	lb_del_service(lb, "x/b");
	put_service(lb, lb_service("x/f", "4"), "");
	expect(lb, "x/f", "Assigned 10.1.0.2");
	expect(lb, "x/e", "Assigned 10.2.0.1");
	expect(lb, "x/b", "unknown");
	expect_pool(lb, "c", 4, 4, 0);
	expect_pool(lb, "b", 9, 1, 0);
}

static void same_priority_goes_by_name(void **state)
{
	struct lb *lb = *state;

	put_pool(lb, lb_pool("b", "10.2.0.1-10.2.0.9"));
	put_pool(lb, lb_pool("a", "10.3.0.1-10.3.0.9"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	expect(lb, "x/a", "Assigned 10.3.0.1");
}

static void which_services_are_ours(void **state)
{
	struct lb *lb = lb_new(false);
	struct weft_object *ours = lb_service("x/ours", "4"), *other = lb_service("x/other", "4");

	(void)state;
	ours->service.load_balancer_class = strdup(WEFT_LB_CLASS);
	other->service.load_balancer_class = strdup("else.example/lb");
	put_pool(lb, lb_pool("a", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, other, "10.1.0.1");
	put_service(lb, lb_service("x/none", "4"), "10.1.0.1");
	put_service(lb, ours, "");
	expect(lb, "x/other", "");
	expect(lb, "x/none", "");
	expect(lb, "x/ours", "Assigned 10.1.0.1"); /* another class's status holds nothing here */
	expect_told(lb, "x/ours Assigned 10.1.0.1");
	lb_free(lb);
}

static void nothing_is_assigned_before_all_is_known(void **state)
{
	struct lb *lb = *state;

	put_pool(lb, lb_pool("a", "10.1.0.1-10.1.0.9"));
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "10.1.0.1");
	expect(lb, "x/a", "NotReady");
	expect_told(lb, "");
	lb_ready(lb);
	expect(lb, "x/a", "Assigned 10.1.0.2");
	expect(lb, "x/b", "Assigned 10.1.0.1");
	lb_ready(lb);
	expect_told(lb, "x/a Assigned 10.1.0.2\nx/b Assigned 10.1.0.1");
}

static void what_was_assigned_is_adopted(void **state)
{
	struct lb *lb = *state;

	/* x/b has no right to x/a's address, x/d's lies outside; x/c may share with x/e. */
	put_service(lb, lb_service("x/b", "4"), "10.1.0.1");
	put_service(lb, sharing(lb_service("x/c", "4"), "k", 1), "10.1.0.3");
	put_service(lb, lb_service("x/a", "4"), "10.1.0.1");
	put_service(lb, lb_service("x/d", "4"), "192.0.2.1");
	put_service(lb, sharing(lb_service("x/e", "4"), "k", 2), "10.1.0.3");
	put_service(lb, lb_service("x/f", "4"), "");
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	expect(lb, "x/a", "Assigned 10.1.0.1");
	expect(lb, "x/b", "Conflict 10.1.0.1");
	expect_message(lb, "x/b", "Service x/a has 10.1.0.1 too");
	expect(lb, "x/c", "Assigned 10.1.0.3");
	expect(lb, "x/d", "Conflict 192.0.2.1");
	expect_message(lb, "x/d", "no IPPool has 192.0.2.1");
	expect(lb, "x/e", "Assigned 10.1.0.3");
	expect(lb, "x/f", "Assigned 10.1.0.2");
	expect_pool(lb, "p", 9, 3, 1);
	lb_del_service(lb, "x/a"); /* the other one has it alone now */
	expect(lb, "x/b", "Assigned 10.1.0.1");
	put_pool(lb, lb_pool("q", "192.0.2.1-192.0.2.1"));
	expect(lb, "x/d", "Assigned 192.0.2.1");
	expect_pool(lb, "p", 9, 3, 0);
	expect_pool(lb, "q", 1, 1, 0);
}

static void a_late_status_takes_nothing_from_anybody(void **state)
{
	struct lb *lb = *state;

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "10.1.0.1"); /* left over from a former Service */
	put_service(lb, lb_service("x/c", "4"), "10.1.0.7"); /* restored, and free */
	expect(lb, "x/b", "Assigned 10.1.0.2");
	expect(lb, "x/c", "Assigned 10.1.0.7");
	put_service(lb, lb_service("x/a", "4"), "10.1.0.9"); /* somebody wrote into the status */
	expect(lb, "x/a", "Assigned 10.1.0.1");
}

/* Another controller gave it something when there was no pool for it: that it keeps, whatever comes. */
static void what_others_gave_is_kept(void **state)
{
	struct lb *lb = *state;

	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/b", "46"), "");
	put_service(lb, lb_service("x/c", "4"), "");
	expect_told(lb, "x/a NoPool\nx/b NoPool\nx/c NoPool");
	put_service(lb, lb_service("x/a", "4"), "192.0.2.1");
	expect_told(lb, "x/a Conflict 192.0.2.1");
	put_service(lb, lb_service("x/a", "4"), "192.0.2.1");
	expect_told(lb, "");
	put_service(lb, lb_service("x/b", "46"), "10.1.0.1");
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	expect(lb, "x/a", "Conflict 192.0.2.1");
	expect_message(lb, "x/b", "it has 10.1.0.1");
	expect(lb, "x/c", "Assigned 10.1.0.2");
	/* What another one of ours has is not taken for given. */
	put_service(lb, lb_service("x/d", "4"), "");
	put_service(lb, lb_service("x/d", "4"), "10.1.0.2");
	expect(lb, "x/d", "Assigned 10.1.0.3");
}

static void an_assigned_address_never_moves(void **state)
{
	struct lb *lb = *state;
	struct weft_object *p;

	put_pool(lb, lb_pool("p", "10.1.0.5-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	expect(lb, "x/a", "Assigned 10.1.0.5");
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	expect(lb, "x/a", "Assigned 10.1.0.5");
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.4"));
	expect(lb, "x/a", "Conflict 10.1.0.5");
	expect_pool(lb, "p", 4, 0, 1);
	p = lb_pool("p", "10.1.0.1-10.1.0.9");
	require(&p->ippool.service_selector, "app", "web");
	put_pool(lb, p);
	expect(lb, "x/a", "Conflict 10.1.0.5");
	expect_message(lb, "x/a", "IPPool p does not select this Service");
	put_service(lb, labelled(lb_service("x/a", "4"), "app", "web"), "10.1.0.5");
	expect(lb, "x/a", "Assigned 10.1.0.5");
	p = lb_pool("p", "10.1.0.1-10.1.0.9");
	p->ippool.disabled = true; /* that is about new ones */
	put_pool(lb, p);
	put_service(lb, lb_service("x/b", "4"), "");
	expect(lb, "x/a", "Assigned 10.1.0.5");
	expect(lb, "x/b", "PoolDisabled");
	lb_del_pool(lb, "p");
	expect(lb, "x/a", "Conflict 10.1.0.5");
	expect(lb, "x/b", "NoPool");
	put_pool(lb, lb_pool("renamed", "10.1.0.1-10.1.0.9"));
	expect(lb, "x/a", "Assigned 10.1.0.5");
	expect_message(lb, "x/a", "from IPPool renamed");
	expect(lb, "x/b", "Assigned 10.1.0.1");
}

static void an_address_by_name(void **state)
{
	struct lb *lb = *state;
	struct weft_object *s = lb_service("x/a", "4"), *p = lb_pool("q", "10.2.0.1-10.2.0.9");

	p->ippool.auto_assign = false;
	put_pool(lb, p);
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	s->service.load_balancer_ip = addr("10.1.0.7");
	put_service(lb, s, "");
	expect(lb, "x/a", "Assigned 10.1.0.7");
	put_service(lb, annotated(lb_service("x/b", "4"), IPS, " 10.2.0.3 "), "");
	expect(lb, "x/b", "Assigned 10.2.0.3");
	put_service(lb, annotated(lb_service("x/c", "4"), IPS, "10.1.0.7"), "");
	expect(lb, "x/c", "AddressInUse"); /* not another one */
	expect_message(lb, "x/c", "Service x/a has it");
	put_service(lb, annotated(lb_service("x/d", "4"), IPS, "10.3.0.1"), "");
	expect(lb, "x/d", "AddressOutsidePools");
	put_service(lb, annotated(lb_service("x/e", "4"), IPS, "fd00::1"), "");
	expect(lb, "x/e", "FamilyMismatch");
	put_service(lb, annotated(annotated(lb_service("x/f", "4"), IPS, "10.1.0.8"), POOL, "q"), "");
	expect(lb, "x/f", "AddressOutsidePools");
	expect_message(lb, "x/f", "IPPool q does not offer it");
	lb_del_service(lb, "x/a");
	expect(lb, "x/c", "Assigned 10.1.0.7"); /* it waited for that one */
	put_pool(lb, lb_pool("r", "10.3.0.1-10.3.0.1"));
	expect(lb, "x/d", "Assigned 10.3.0.1");
}

static void only_the_service_itself_moves_its_address(void **state)
{
	struct lb *lb = *state;

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	put_pool(lb, lb_pool("q", "10.2.0.1-10.2.0.1"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, annotated(lb_service("x/b", "4"), IPS, "10.1.0.5"), "");
	put_service(lb, annotated(lb_service("x/a", "4"), IPS, "10.1.0.5"), "10.1.0.1");
	expect(lb, "x/a", "AddressInUse 10.1.0.1"); /* it keeps what it has until then */
	expect_message(lb, "x/a", "it has 10.1.0.1");
	lb_del_service(lb, "x/b");
	expect(lb, "x/a", "Assigned 10.1.0.5");
	expect_message(lb, "x/a", "in place of 10.1.0.1");
	put_service(lb, lb_service("x/a", "4"), "10.1.0.5"); /* asks for none any more: no reason to move */
	expect(lb, "x/a", "Assigned 10.1.0.5");
	put_service(lb, annotated(lb_service("x/a", "4"), POOL, "q"), "10.1.0.5");
	expect(lb, "x/a", "Assigned 10.2.0.1");
	put_service(lb, annotated(lb_service("x/c", "4"), POOL, "p"), "");
	put_service(lb, annotated(lb_service("x/c", "4"), POOL, "q"), "10.1.0.1");
	expect(lb, "x/c", "PoolExhausted 10.1.0.1");
	lb_del_service(lb, "x/a");
	expect(lb, "x/c", "Assigned 10.2.0.1");
	put_pool(lb, lb_pool("q", "10.2.0.2-10.2.0.9")); /* that the pool was edited is no wish to move */
	expect(lb, "x/c", "Conflict 10.2.0.1");
	put_service(lb, annotated(lb_service("x/c", "4"), POOL, "q"), "10.2.0.1");
	expect(lb, "x/c", "Conflict 10.2.0.1");
}

static void a_pool_by_name(void **state)
{
	struct lb *lb = *state;
	struct weft_object *p = lb_pool("q", "10.2.0.1-10.2.0.9");

	p->ippool.auto_assign = false;
	require(&p->ippool.namespace_selector, "kubernetes.io/metadata.name", "x");
	put_pool(lb, p);
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, annotated(lb_service("x/a", "4"), POOL, "q"), "");
	put_service(lb, annotated(lb_service("y/b", "4"), POOL, "q"), "");
	put_service(lb, annotated(lb_service("x/c", "4"), POOL, "none"), "");
	put_service(lb, annotated(lb_service("x/d", "6"), POOL, "q"), "");
	expect(lb, "x/a", "Assigned 10.2.0.1");
	expect(lb, "y/b", "PoolNotAllowed");
	expect(lb, "x/c", "NoSuchPool");
	expect(lb, "x/d", "NoAddressFamily");
	put_pool(lb, lb_pool("none", "10.4.0.1-10.4.0.1"));
	expect(lb, "x/c", "Assigned 10.4.0.1");
	p = lb_pool("none", "10.4.0.1-10.4.0.1");
	p->ippool.use = WEFT_USE_PODS; /* not for Services any more */
	put_pool(lb, p);
	expect(lb, "x/c", "Conflict 10.4.0.1");
}

static void namespaces_and_their_labels(void **state)
{
	struct lb *lb = *state;
	struct weft_object *p = lb_pool("p", "10.1.0.1-10.1.0.9"), *ns = object(WEFT_NAMESPACE, "x");

	require(&p->ippool.namespace_selector, "tier", "front");
	put_pool(lb, p);
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("y/b", "4"), "");
	expect(lb, "x/a", "NoPool");
	labelled(ns, "tier", "front");
	lb_put_namespace(lb, ns);
	expect(lb, "x/a", "Assigned 10.1.0.1");
	expect(lb, "y/b", "NoPool");
	lb_del_namespace(lb, "x");
	expect(lb, "x/a", "Conflict 10.1.0.1");
	weft_object_free(ns);
}

static void who_waits_is_served_in_order(void **state)
{
	struct lb *lb = *state;
	struct weft_object *gone = lb_service("x/a", "4");

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.1"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/z", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "");
	expect(lb, "x/z", "PoolExhausted");
	expect_message(lb, "x/z", "IPPool p has no free IPv4 address");
	gone->service.type = WEFT_SERVICE_CLUSTERIP;
	put_service(lb, gone, "10.1.0.1");
	expect(lb, "x/a", "");
	expect(lb, "x/z", "Assigned 10.1.0.1");
	expect(lb, "x/b", "PoolExhausted");
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.2"));
	expect(lb, "x/b", "Assigned 10.1.0.2");
}

static void what_is_being_deleted_gets_nothing(void **state)
{
	struct lb *lb = *state;
	struct weft_object *a = lb_service("x/a", "4"), *b = lb_service("x/b", "4");

	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.9"));
	lb_ready(lb);
	put_service(lb, lb_service("x/a", "4"), "");
	a->meta.deleting = b->meta.deleting = true;
	put_service(lb, a, "10.1.0.1");
	put_service(lb, b, "");
	expect(lb, "x/a", "Assigned 10.1.0.1");
	expect(lb, "x/b", "Deleting");
}

static void what_is_told(void **state)
{
	struct lb *lb = *state;
	struct weft_object *gone = lb_service("x/a", "4"), *plain = lb_service("x/plain", "4");
	struct lb_pool p;

	gone->service.type = plain->service.type = WEFT_SERVICE_CLUSTERIP;
	put_pool(lb, lb_pool("p", "10.1.0.1-10.1.0.1"));
	lb_ready(lb);
	assert_true(lb_next_pool(lb, &p));
	assert_int_equal(p.used, 0);
	assert_false(lb_next_pool(lb, &p));
	put_service(lb, lb_service("x/a", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "");
	expect_told(lb, "x/a Assigned 10.1.0.1\nx/b PoolExhausted");
	assert_true(lb_next_pool(lb, &p));
	assert_int_equal(p.used, 1);
	put_service(lb, lb_service("x/a", "4"), "10.1.0.1"); /* it came back from the datastore */
	put_service(lb, lb_service("x/b", "4"), "");
	expect_told(lb, "");
	put_service(lb, lb_service("x/a", "4"), "10.9.9.9"); /* somebody wrote there */
	expect_told(lb, "x/a Assigned 10.1.0.1");
	put_service(lb, lb_service("x/a", "4"), "10.1.0.1 10.9.9.9");
	expect_told(lb, "x/a Assigned 10.1.0.1");
	put_service(lb, gone, "10.1.0.1");
	expect_told(lb, "x/a \nx/b Assigned 10.1.0.1");
	put_service(lb, plain, "");
	expect_told(lb, "");
	assert_false(lb_next_pool(lb, &p)); /* still one */
	lb_del_service(lb, "x/b");
	assert_true(lb_next_pool(lb, &p));
	assert_int_equal(p.used, 0);
	/* An answer that is undecided in between is told once, as it is in the end. */
	put_service(lb, lb_service("x/b", "4"), "");
	put_service(lb, lb_service("x/b", "4"), "");
	expect_told(lb, "x/b Assigned 10.1.0.1");
}

/* 60,000 Services in a pool that is full of holes: linear searching would take minutes. */
static void many_services(void **state)
{
	enum { MANY = 60000 };
	struct lb *lb = *state;
	char key[64];

	put_pool(lb, lb_pool("p", "10.0.0.0-10.0.255.255"));
	lb_ready(lb);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "x/s%d", i);
		put_service(lb, lb_service(key, "4"), "");
	}
	expect(lb, "x/s59999", "Assigned 10.0.234.95");
	for (int i = 0; i < MANY; i += 2) {
		snprintf(key, sizeof(key), "x/s%d", i);
		lb_del_service(lb, key);
	}
	expect_pool(lb, "p", 65536, MANY / 2, 0);
	for (int i = 0; i < MANY; i += 2) {
		snprintf(key, sizeof(key), "y/s%d", i);
		put_service(lb, lb_service(key, "4"), "");
	}
	expect(lb, "y/s0", "Assigned 10.0.0.0");
	expect(lb, "y/s59998", "Assigned 10.0.234.94");
	expect_pool(lb, "p", 65536, MANY, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(lowest_free_address_of_the_first_pool),
	        TEST(same_priority_goes_by_name),
	        TEST(which_services_are_ours),
	        TEST(nothing_is_assigned_before_all_is_known),
	        TEST(what_was_assigned_is_adopted),
	        TEST(a_late_status_takes_nothing_from_anybody),
	        TEST(what_others_gave_is_kept),
	        TEST(an_assigned_address_never_moves),
	        TEST(an_address_by_name),
	        TEST(only_the_service_itself_moves_its_address),
	        TEST(a_pool_by_name),
	        TEST(namespaces_and_their_labels),
	        TEST(who_waits_is_served_in_order),
	        TEST(what_is_being_deleted_gets_nothing),
	        TEST(what_is_told),
	        TEST(many_services),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
