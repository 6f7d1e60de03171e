// SPDX-License-Identifier: GPL-2.0-or-later
/* The routes of this node's pods follow the allocation files: real files, real inotify. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/daemon/pods.h"
#include "weft/object.h"

#define BLOCK  "10.244.1.0/26"
#define BLOCK6 "fd00:244::/122"

struct bed {
	uv_loop_t loop;
	uv_timer_t tick;
	char dir[64];
	struct weft_ipam *ipam;
	struct wanted *wanted;
	struct pods *pods;
	unsigned changes;
	unsigned wants, unwants;
	struct weft_route last;
};

static void on_want(void *ctx, const struct weft_route *r)
{
	struct bed *b = ctx;

	b->wants++;
	b->last = *r;
}

static void on_unwant(void *ctx, const struct weft_route_key *k)
{
	(void)k;
	((struct bed *)ctx)->unwants++;
}

static void on_change(void *ctx)
{
	((struct bed *)ctx)->changes++;
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

static void add_block(struct bed *b, const char *cidr)
{
	struct weft_prefix p = prefix(cidr);

	assert_int_equal(weft_ipam_add_block(b->ipam, &p, "p", NULL), 0);
}

static void take(struct bed *b, unsigned families, const char *id, const char *dev)
{
	struct weft_ipam_request req = {.families = families,
	                                .owner = {.container_id = id, .ifname = "eth0", .host_dev = dev}};
	struct weft_ipam_result got;

	assert_int_equal(weft_ipam_alloc(b->ipam, &req, &got, NULL), 0);
}

static void give_back(struct bed *b, const char *id)
{
	struct weft_ipam_owner owner = {.container_id = id, .ifname = "eth0"};

	assert_true(weft_ipam_release(b->ipam, &owner, NULL) > 0);
}

static void start(struct bed *b)
{
	struct pods_options o = {.loop = &b->loop,
	                         .ipam = b->ipam,
	                         .dir = b->dir,
	                         .wanted = b->wanted,
	                         .on_change = on_change,
	                         .ctx = b};

	assert_int_equal(pods_new(&o, &b->pods, NULL), 0);
}

/* Until something was heard. */
static void hear(struct bed *b)
{
	unsigned before = b->changes;
	uint64_t end = uv_hrtime() + 5000000000ULL;

	while (b->changes == before && uv_hrtime() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
	assert_int_not_equal(b->changes, before);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct weft_ipam_options options = {.cooldown_ms = 60000};
	struct wanted_ops ops = {.want = on_want, .unwant = on_unwant, .ctx = b};

	strcpy(b->dir, "/tmp/weft-pods-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	uv_loop_init(&b->loop);
	uv_timer_init(&b->loop, &b->tick);
	uv_timer_start(&b->tick, on_tick, 10, 10);
	assert_int_equal(weft_ipam_open(b->dir, &options, &b->ipam, NULL), 0);
	b->wanted = wanted_new(&ops);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;
	char command[96];
	int r;

	pods_free(b->pods);
	uv_close((uv_handle_t *)&b->tick, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	r = uv_loop_close(&b->loop);
	wanted_free(b->wanted);
	weft_ipam_close(b->ipam);
	snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	r |= system(command);
	free(b);
	return r;
}

/* --- tests --- */

static void pods_found_at_the_start_have_their_routes(void **state)
{
	struct bed *b = *state;
	char text[WEFT_ROUTE_STR];

	add_block(b, BLOCK);
	take(b, WEFT_IPAM_V4, "pod", "weft0123456789a");
	take(b, WEFT_IPAM_V4, WEFT_IPAM_NODE_ID, NULL); /* a tunnel's address: no device, no route */
	start(b);
	assert_int_equal(wanted_count(b->wanted), 1);
	assert_int_equal(b->last.scope, RT_SCOPE_LINK);
	assert_string_equal(b->last.dev, "weft0123456789a");
	assert_non_null(strstr(weft_route_str(&b->last, text), "10.244.1.0"));
}

static void an_add_is_heard_and_a_del_too(void **state)
{
	struct bed *b = *state;
	struct weft_prefix known = prefix(BLOCK), unknown = prefix("10.244.2.0/26");

	add_block(b, BLOCK);
	add_block(b, BLOCK6);
	start(b);
	assert_true(pods_know(b->pods, &known));
	assert_false(pods_know(b->pods, &unknown));
	take(b, WEFT_IPAM_V4 | WEFT_IPAM_V6, "pod", "weft0123456789a");
	hear(b);
	assert_int_equal(wanted_count(b->wanted), 2);
	give_back(b, "pod");
	hear(b);
	assert_int_equal(wanted_count(b->wanted), 0);
	assert_int_equal(b->wants, 2);
	assert_int_equal(b->unwants, 2);
}

static void a_block_that_comes_later_is_followed(void **state)
{
	struct bed *b = *state;
	struct weft_prefix p = prefix(BLOCK);

	start(b);
	add_block(b, BLOCK);
	take(b, WEFT_IPAM_V4, "pod", "weft0123456789a");
	hear(b);
	assert_int_equal(wanted_count(b->wanted), 1);
	give_back(b, "pod");
	assert_int_equal(weft_ipam_remove_block(b->ipam, &p, NULL), 0);
	hear(b);
	assert_int_equal(wanted_count(b->wanted), 0);
	assert_false(pods_know(b->pods, &p));
}

static void a_block_file_that_vanishes_takes_its_routes(void **state)
{
	struct bed *b = *state;
	struct weft_prefix p = prefix(BLOCK);
	char path[160], name[WEFT_PREFIX_STR];

	add_block(b, BLOCK);
	take(b, WEFT_IPAM_V4, "pod", "weft0123456789a");
	start(b);
	snprintf(path, sizeof(path), "%s/%s", b->dir, weft_block_name(&p, name));
	assert_int_equal(unlink(path), 0);
	pods_rescan(b->pods); /* as after an overflow: the event itself was lost */
	assert_int_equal(wanted_count(b->wanted), 0);
	hear(b); /* and late news change nothing */
	assert_int_equal(b->unwants, 1);
}

static void a_damaged_record_says_nothing(void **state)
{
	struct bed *b = *state;
	struct weft_prefix p = prefix(BLOCK);
	char path[160], name[WEFT_PREFIX_STR];
	int fd;

	add_block(b, BLOCK);
	take(b, WEFT_IPAM_V4, "pod", "weft0123456789a");
	start(b);
	snprintf(path, sizeof(path), "%s/%s", b->dir, weft_block_name(&p, name));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && pwrite(fd, "garbage", 7, 512 + 40) == 7);
	close(fd);
	hear(b);
	assert_int_equal(wanted_count(b->wanted), 1); /* the pod lives on */
	assert_int_equal(b->unwants, 0);
}

static void other_files_are_not_looked_at(void **state)
{
	struct bed *b = *state;
	char path[160];

	start(b);
	snprintf(path, sizeof(path), "%s/not-a-block", b->dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	hear(b);
	assert_int_equal(wanted_count(b->wanted), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(pods_found_at_the_start_have_their_routes),
	        TEST(an_add_is_heard_and_a_del_too),
	        TEST(a_block_that_comes_later_is_followed),
	        TEST(a_block_file_that_vanishes_takes_its_routes),
	        TEST(a_damaged_record_says_nothing),
	        TEST(other_files_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
