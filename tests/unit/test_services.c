// SPDX-License-Identifier: GPL-2.0-or-later
/* The tracker of Services: what belongs to which, who is dirty, in any order of arrival: S1, S2, S6, S7, S29.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/service_objects.h"
#include "weft/buf.h"

#define SLICE(name, of) slice(name, of, "80/TCP", "10.0.0.1@a")

/* Empty the queue into one line. */
static const char *dirty_keys(struct services *s, char *buf, size_t size)
{
	char key[WEFT_KEY_MAX];
	size_t n = 0;

	buf[0] = '\0';
	while (services_next(s, key) && n < size)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? " " : "", key);
	return buf;
}

#define DIRTY(s, want)                                                          \
	do {                                                                    \
		char text_[1024];                                               \
		assert_string_equal(dirty_keys(s, text_, sizeof(text_)), want); \
	} while (0)

/* The names of a Service's slices, "-" when there is no such Service. */
static const char *slices_of(const struct services *s, const char *key, char *buf, size_t size)
{
	struct services_view v;
	size_t n = 0;

	buf[0] = '\0';
	if (!services_get(s, key, &v))
		return "-";
	assert_string_equal(v.key, key);
	assert_int_equal(v.obj->kind, WEFT_SERVICE);
	for (size_t i = 0; i < v.n_slices && n < size; i++) {
		const char *object_ = (const char *)v.slices[i] - offsetof(struct weft_object, endpointslice);

		n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? " " : "",
		                      ((const struct weft_object *)object_)->meta.name);
	}
	return buf;
}

#define SLICES(s, key, want)                                                        \
	do {                                                                        \
		char text_[1024];                                                   \
		assert_string_equal(slices_of(s, key, text_, sizeof(text_)), want); \
	} while (0)

static void a_slice_may_come_before_its_service(void **state)
{
	struct services *s = services_new();

	(void)state;
	assert_true(services_put(s, SLICE("ns/web-1", "web")));
	DIRTY(s, "");
	SLICES(s, "ns/web", "-");
	assert_int_equal(services_count(s), 0);
	assert_int_equal(services_slice_count(s), 1);
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	DIRTY(s, "ns/web");
	SLICES(s, "ns/web", "web-1");
	assert_int_equal(services_count(s), 1);
	services_free(s);
}

static void s7_slices_come_in_name_order(void **state)
{
	static const char *const names[] = {"ns/web-5", "ns/web-1", "ns/web-4", "ns/web-2", "ns/web-3"};
	struct services *s = services_new();

	(void)state;
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	for (size_t i = 0; i < WEFT_ARRAY_LEN(names); i++)
		services_put(s, SLICE(names[i], "web"));
	SLICES(s, "ns/web", "web-1 web-2 web-3 web-4 web-5");
	services_del(s, WEFT_ENDPOINTSLICE, "ns/web-3");
	services_del(s, WEFT_ENDPOINTSLICE, "ns/web-5");
	SLICES(s, "ns/web", "web-1 web-2 web-4");
	services_put(s, SLICE("ns/web-2", "web"));
	SLICES(s, "ns/web", "web-1 web-2 web-4");
	assert_int_equal(services_slice_count(s), 3);
	services_free(s);
}

/* S6: bound by the label and the namespace; one that changes its label moves. */
static void s6_a_slice_moves_with_its_label(void **state)
{
	struct services *s = services_new();

	(void)state;
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	services_put(s, service("ns/db", "ip=10.96.0.2"));
	services_put(s, service("other/web", "ip=10.96.0.3"));
	services_put(s, SLICE("ns/x", "web"));
	DIRTY(s, "ns/web ns/db other/web");
	SLICES(s, "ns/web", "x");
	SLICES(s, "other/web", "");
	services_put(s, SLICE("ns/x", "db"));
	DIRTY(s, "ns/web ns/db");
	SLICES(s, "ns/web", "");
	SLICES(s, "ns/db", "x");
	services_put(s, SLICE("ns/x", NULL));
	DIRTY(s, "ns/db");
	SLICES(s, "ns/db", "");
	assert_int_equal(services_slice_count(s), 0);
	services_put(s, SLICE("ns/x", ""));
	DIRTY(s, "");
	services_put(s, SLICE("ns/x", "web"));
	DIRTY(s, "ns/web");
	services_free(s);
}

static void s1_headless_slices_are_left_out(void **state)
{
	struct services *s = services_new();
	struct weft_object *o = SLICE("ns/web-1", "web");

	(void)state;
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	DIRTY(s, "ns/web");
	o->endpointslice.headless = true;
	services_put(s, o);
	DIRTY(s, "");
	SLICES(s, "ns/web", "");
	services_put(s, SLICE("ns/web-1", "web")); /* the label goes */
	DIRTY(s, "ns/web");
	SLICES(s, "ns/web", "web-1");
	o = SLICE("ns/web-1", "web"); /* and comes back */
	o->endpointslice.headless = true;
	services_put(s, o);
	DIRTY(s, "ns/web");
	SLICES(s, "ns/web", "");
	services_free(s);
}

static void s29_a_service_goes_and_comes_back(void **state)
{
	struct services *s = services_new();

	(void)state;
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	services_put(s, SLICE("ns/web-1", "web"));
	services_put(s, service_status("ns/web", "192.0.2.1"));
	DIRTY(s, "ns/web");
	services_del(s, WEFT_SERVICE, "ns/web");
	DIRTY(s, "ns/web");
	SLICES(s, "ns/web", "-");
	services_del(s, WEFT_SERVICE, "ns/web");
	services_put(s, SLICE("ns/web-1", "web"));
	DIRTY(s, "");
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	DIRTY(s, "ns/web");
	SLICES(s, "ns/web", "web-1");
	services_del(s, WEFT_SERVICE, "ns/web");
	services_del(s, WEFT_SERVICESTATUS, "ns/web");
	services_del(s, WEFT_ENDPOINTSLICE, "ns/web-1");
	services_del(s, WEFT_ENDPOINTSLICE, "ns/web-1");
	DIRTY(s, "ns/web");
	assert_int_equal(services_count(s), 0);
	assert_int_equal(services_slice_count(s), 0);
	services_free(s);
}

static const char *ingress_of(const struct services *s, const char *key, char buf[WEFT_ADDR_STR])
{
	struct services_view v;

	assert_true(services_get(s, key, &v));
	return v.n_ingress ? weft_addr_str(&v.ingress[0], buf) : "none";
}

/* S2: the Service's own status counts; the controller's file only where there is none. */
static void s2_ingress_from_the_service_or_its_status(void **state)
{
	struct services *s = services_new();
	char buf[WEFT_ADDR_STR];

	(void)state;
	services_put(s, service_status("ns/web", "192.0.2.1"));
	DIRTY(s, "");
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	assert_string_equal(ingress_of(s, "ns/web", buf), "192.0.2.1");
	DIRTY(s, "ns/web");
	services_put(s, service_status("ns/web", "192.0.2.2"));
	DIRTY(s, "ns/web");
	assert_string_equal(ingress_of(s, "ns/web", buf), "192.0.2.2");
	services_put(s, service("ns/web", "ip=10.96.0.1 lb=192.0.2.9"));
	assert_string_equal(ingress_of(s, "ns/web", buf), "192.0.2.9");
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	DIRTY(s, "ns/web");
	services_del(s, WEFT_SERVICESTATUS, "ns/web");
	DIRTY(s, "ns/web");
	assert_string_equal(ingress_of(s, "ns/web", buf), "none");
	services_del(s, WEFT_SERVICESTATUS, "ns/web");
	DIRTY(s, "");
	services_free(s);
}

static void the_queue_has_each_key_once_oldest_first(void **state)
{
	struct services *s = services_new();

	(void)state;
	services_put(s, service("ns/b", "ip=10.96.0.2"));
	services_put(s, service("ns/a", "ip=10.96.0.1"));
	services_put(s, service("ns/b", "ip=10.96.0.3"));
	assert_int_equal(services_dirty_count(s), 2);
	DIRTY(s, "ns/b ns/a");
	services_mark(s, "ns/gone"); /* its remains are to be removed */
	services_mark(s, "ns/gone");
	DIRTY(s, "ns/gone");
	services_put(s, SLICE("ns/c-1", "c")); /* no Service */
	services_mark(s, "ns/b");
	services_mark_all(s);
	DIRTY(s, "ns/b ns/a");
	services_mark_all(s);
	assert_int_equal(services_dirty_count(s), 2);
	services_free(s);
}

/* An event's key may lie in the object that it removes. */
static void a_key_may_be_borrowed_from_what_goes(void **state)
{
	struct services *s = services_new();
	struct services_view v;

	(void)state;
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	DIRTY(s, "ns/web");
	assert_true(services_get(s, "ns/web", &v));
	services_del(s, WEFT_SERVICE, v.key);
	DIRTY(s, "ns/web");
	services_free(s);
}

static void other_events_are_refused(void **state)
{
	struct services *s = services_new();
	struct weft_event synced_event = {.type = WEFT_EV_SYNCED}, invalid = {.type = WEFT_EV_INVALID};
	struct weft_object *o = node("a", "10.1.1.1", NULL);

	(void)state;
	assert_false(services_put(s, o));
	weft_object_free(o); /* still ours */
	assert_false(services_del(s, WEFT_NODE, "a"));
	assert_false(services_handle(s, &synced_event));
	assert_false(services_handle(s, &invalid));
	DIRTY(s, "");
	services_free(s);
	services_free(NULL);
}

/* A name that does not fit a key can't bind a slice to another Service. */
static void a_hostile_label_binds_nothing(void **state)
{
	struct services *s = services_new();
	char label[2 * WEFT_KEY_MAX];

	(void)state;
	memset(label, 'x', sizeof(label));
	label[sizeof(label) - 1] = '\0';
	services_put(s, SLICE("ns/web-1", label));
	assert_int_equal(services_slice_count(s), 0);
	services_put(s, SLICE("ns/web-1", "../web"));
	services_put(s, service("ns/web", "ip=10.96.0.1"));
	SLICES(s, "ns/web", "");
	services_free(s);
}

struct seen {
	size_t n, stop_at;
};

static bool count_views(void *ctx, const struct services_view *view)
{
	struct seen *seen = ctx;

	assert_non_null(view->obj);
	return ++seen->n == seen->stop_at;
}

static void each_shows_services_only(void **state)
{
	struct services *s = services_new();
	struct seen all = {0}, first = {.stop_at = 1};

	(void)state;
	services_put(s, service("ns/a", "ip=10.96.0.1"));
	services_put(s, service("ns/b", "ip=10.96.0.2"));
	services_put(s, SLICE("ns/c-1", "c"));
	services_each(s, count_views, &all);
	services_each(s, count_views, &first);
	assert_int_equal(all.n, 2);
	assert_int_equal(first.n, 1);
	services_free(s);
}

/* Random events against a plain model: the slices of every Service, in order, and nothing left over. */
static void any_history_ends_in_the_same_state(void **state)
{
	enum { SERVICES = 4, NAMES = 9, STEPS = 20000 };
	int bound[NAMES]; /* Service of each slice, -1 none */
	bool there[SERVICES] = {false};
	struct services *s = services_new();
	unsigned seed = 7;
	char key[64], label[16];

	(void)state;
	memset(bound, -1, sizeof(bound));
	for (int step = 0; step < STEPS; step++) {
		int which = rand_r(&seed) % SERVICES, name = rand_r(&seed) % NAMES, what = rand_r(&seed) % 6;

		snprintf(label, sizeof(label), "s%d", which);
		if (what < 2) {
			snprintf(key, sizeof(key), "ns/s%d", which);
			there[which] = !what;
			if (what)
				services_del(s, WEFT_SERVICE, key);
			else
				services_put(s, service(key, "ip=10.96.0.1"));
		} else if (what < 5) {
			snprintf(key, sizeof(key), "ns/n%d", name);
			services_put(s, SLICE(key, label));
			bound[name] = which;
		} else {
			snprintf(key, sizeof(key), "ns/n%d", name);
			services_del(s, WEFT_ENDPOINTSLICE, key);
			bound[name] = -1;
		}
		for (int i = 0; i < SERVICES; i++) {
			char want[256] = "", entry[16];

			for (int n = 0; n < NAMES; n++) {
				if (bound[n] != i)
					continue;
				snprintf(entry, sizeof(entry), "%sn%d", *want ? " " : "", n);
				strcat(want, entry);
			}
			snprintf(key, sizeof(key), "ns/s%d", i);
			SLICES(s, key, there[i] ? want : "-");
		}
	}
	services_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_slice_may_come_before_its_service),
	        cmocka_unit_test(s7_slices_come_in_name_order),
	        cmocka_unit_test(s6_a_slice_moves_with_its_label),
	        cmocka_unit_test(s1_headless_slices_are_left_out),
	        cmocka_unit_test(s29_a_service_goes_and_comes_back),
	        cmocka_unit_test(s2_ingress_from_the_service_or_its_status),
	        cmocka_unit_test(the_queue_has_each_key_once_oldest_first),
	        cmocka_unit_test(a_key_may_be_borrowed_from_what_goes),
	        cmocka_unit_test(other_events_are_refused),
	        cmocka_unit_test(a_hostile_label_binds_nothing),
	        cmocka_unit_test(each_shows_services_only),
	        cmocka_unit_test(any_history_ends_in_the_same_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
