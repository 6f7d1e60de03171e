// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions that a change restarts do so one at a time: the stages of the text, and two real sessions. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <uv.h>

#include "agent/apply/bird.h"
#include "agent/apply/bird_stages.h"
#include "tests/unit/bird_lab.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#define SESSION(name, hold, description)                                                         \
	"\nprotocol bgp " name " {\n\tdescription \"" description                                \
	"\";\n\tlocal 10.0.0.1;\n\thold time " hold ";\n\tipv4 {\n\t\timport limit " description \
	";\n\t\treceive limit " description ";\n\t};\n}\n"

/* Protocols of which those in `up` ("a c") are established. */
static struct bird_protos *sessions(const char *up)
{
	static const char *const names[] = {"a", "b", "c"};
	static struct bird_proto items[3];
	static struct bird_protos list = {.list = items, .count = 3};

	memset(items, 0, sizeof(items));
	for (size_t i = 0; i < 3; i++) {
		items[i].name = names[i];
		items[i].bgp_state = strstr(up, names[i]) ? "Established" : "Active";
	}
	return &list;
}

static void next_is(struct bird_stage *s, const char *current, const char *wanted, const char *up,
                    uint64_t now, const char *expected)
{
	weft_autofree char *next = bird_stage_next(s, current, wanted, sessions(up), now);

	if (!expected)
		assert_null(next);
	else
		assert_string_equal(next, expected);
}

static void one_session_restarts_at_a_time(void **state)
{
	static const char old[] =
	        "x" SESSION("a", "9", "1") SESSION("b", "9", "1") SESSION("c", "9", "1") "y";
	static const char new[] =
	        "X" SESSION("a", "3", "1") SESSION("b", "3", "1") SESSION("c", "3", "1") "Y";
	static const char one[] =
	        "X" SESSION("a", "3", "1") SESSION("b", "9", "1") SESSION("c", "9", "1") "Y";
	static const char two[] =
	        "X" SESSION("a", "3", "1") SESSION("b", "3", "1") SESSION("c", "9", "1") "Y";
	struct bird_stage s = {0};

	(void)state;
	assert_true(bird_stage_asks(&s, old, new));
	next_is(&s, old, new, "a b c", 1000, one);
	assert_true(bird_stage_asks(&s, one, new));
	next_is(&s, one, new, "b c", 1500, one); /* a is on its way */
	next_is(&s, one, new, "a b c", 2000, two);
	next_is(&s, two, new, "a c", 2001, two);
	assert_true(bird_stage_asks(&s, two, new)); /* one is left, but b is not back */
	next_is(&s, two, new, "a c", 2000 + BIRD_STAGE_LIMIT_MS, NULL);
	assert_string_equal(s.session, "c");
}

static void what_is_down_or_soft_waits_for_nobody(void **state)
{
	static const char old[] = "x" SESSION("a", "9", "1") SESSION("b", "9", "1") SESSION("c", "9", "1");
	static const char soft[] = "X" SESSION("a", "9", "2") SESSION("b", "9", "2");
	static const char new[] = "x" SESSION("a", "3", "1") SESSION("b", "3", "1") SESSION("c", "3", "1");
	static const char some[] = "x" SESSION("a", "3", "1") SESSION("b", "3", "1") SESSION("c", "9", "1");
	struct bird_stage s = {0};

	(void)state;
	assert_false(bird_stage_asks(&s, old, soft));
	assert_false(bird_stage_asks(&s, "", new));
	assert_false(bird_stage_asks(&s, some, new)); /* one alone */
	next_is(&s, old, new, "", 0, NULL);
	next_is(&s, old, new, "b c", 0, some); /* a is down, b is the one */
	assert_string_equal(s.session, "b");
}

/* --- two real sessions --- */

struct bed {
	struct lab lab;
	uv_loop_t loop;
	uv_timer_t tick;
	struct bird_apply *apply;
};

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

static int on_stale(void *ctx)
{
	(void)ctx;
	return 0;
}

static int setup(void **state)
{
	static struct bed bed;
	struct weft_err err = WEFT_ERR_INIT;
	struct lab *lab = &bed.lab;
	struct bird_apply_options o = {.loop = &bed.loop,
	                               .node = "a",
	                               .config_dir = lab->dir,
	                               .templates = "bird-templates",
	                               .binary = "/usr/sbin/bird",
	                               .stale_ms = 100000,
	                               .on_stale = on_stale};

	if (lab_up(lab, 2) < 0)
		return -1;
	lab_must(lab, 0, "ip addr add 10.0.0.1/24 dev lan");
	lab_must(lab, 0, "ip addr add 10.0.0.4/24 dev lan");
	lab_must(lab, 1, "ip addr add 10.0.0.2/24 dev lan");
	lab_must(lab, 1, "ip addr add 10.0.0.3/24 dev lan");
	snprintf(lab->ends[0].conf, sizeof(lab->ends[0].conf), "%s/bird.conf", lab->dir);
	o.socket = lab->ends[0].sock;
	uv_loop_init(&bed.loop);
	uv_timer_init(&bed.loop, &bed.tick);
	uv_timer_start(&bed.tick, on_tick, 20, 20);
	*state = &bed;
	return bird_apply_new(&o, &bed.apply, &err);
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	bird_apply_free(bed->apply);
	uv_close((uv_handle_t *)&bed->tick, NULL);
	uv_run(&bed->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&bed->loop) || lab_down(&bed->lab);
}

static void want(struct bed *bed, uint16_t hold, const char *description)
{
	struct routes_link link = {.dev = "lan", .prefix = prefix("10.0.0.0/24"), .addr = addr("10.0.0.1")};
	struct bgp_params params = {.profile = BGP_FAST, .links = &link, .n_links = 1};
	struct cluster *c = cluster_new("a");
	struct bgp_model m;

	put(c, node("a", "10.0.0.1", NULL));
	for (int i = 1; i < 3; i++) {
		struct weft_object *o =
		        peer(i == 1 ? "tor1" : "tor2", i == 1 ? "10.0.0.2" : "10.0.0.3", 65000);

		o->bgppeer.source = addr(i == 1 ? "10.0.0.1" : "10.0.0.4");
		o->bgppeer.hold_s = hold;
		o->bgppeer.description = strdup(description);
		put(c, o);
	}
	synced(c);
	bgp_plan(c, &params, &m);
	bird_apply_want(bed->apply, &m);
	bgp_model_free(&m);
	cluster_free(c);
}

static int established(struct bed *bed)
{
	int n = 0;

	for (const char *s = lab_birdc(&bed->lab, 0, "show protocols"); (s = strstr(s, "Established")); s++)
		n++;
	return n;
}

/* Run until what was wanted is loaded and both sessions are up; the fewest that were. */
static int settle(struct bed *bed)
{
	uint64_t end = uv_hrtime() + 60000000000ULL;
	struct bird_apply_status status;
	int least = 2, up;

	do {
		uv_run(&bed->loop, UV_RUN_ONCE);
		up = established(bed);
		least = up < least ? up : least;
		bird_apply_status(bed->apply, &status);
		if (up == 2 && status.config == BIRD_CONFIG_LOADED)
			return least;
	} while (uv_hrtime() < end);
	fail_msg("configuration %s (%s), %d sessions", bird_config_state_name(status.config), status.error,
	         up);
	return -1;
}

static void two_routers_are_never_lost_together(void **state)
{
	struct bed *bed = *state;

	lab_write(&bed->lab, 1,
	          "router id 10.0.0.2;\nprotocol device {}\n"
	          "template bgp node { direct; connect delay time 1;\n"
	          "connect retry time 1; error wait time 1, 1; ipv4 { import all; export none; }; }\n"
	          "protocol bgp one from node { local 10.0.0.2 as 65000; neighbor 10.0.0.1 as 64512; }\n"
	          "protocol bgp two from node { local 10.0.0.3 as 65000; neighbor 10.0.0.4 as 64512; }\n");
	lab_bird(&bed->lab, 1);
	want(bed, 90, "first");
	for (int i = 0; i < LAB_LIMIT && access(bed->lab.ends[0].conf, F_OK); i++)
		uv_run(&bed->loop, UV_RUN_ONCE);
	lab_bird(&bed->lab, 0);
	settle(bed);
	want(bed, 90, "second"); /* soft */
	assert_int_equal(settle(bed), 2);
	want(bed, 60, "second"); /* both would restart */
	assert_int_equal(settle(bed), 1);
	lab_birdc(&bed->lab, 0, "show protocols all");
	assert_non_null(strstr(lab_birdc(&bed->lab, 0, "show protocols all peer_tor1"), "/60"));
	assert_non_null(strstr(lab_birdc(&bed->lab, 0, "show protocols all peer_tor2"), "/60"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_session_restarts_at_a_time),
	        cmocka_unit_test(what_is_down_or_soft_waits_for_nobody),
	        cmocka_unit_test_setup_teardown(two_routers_are_never_lost_together, setup, teardown),
	};

	weft_log_init(WEFT_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
