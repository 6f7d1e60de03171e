// SPDX-License-Identifier: GPL-2.0-or-later
/* Claims of blocks in the directory datastore: exclusive among processes, and never in the way of others'
 * files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "tests/unit/directory_bed.h"

struct outcome {
	bool done;
	int code;
	char text[WEFT_ERR_TEXT];
};

static void on_done(void *ctx, const struct weft_err *err)
{
	struct outcome *o = ctx;

	o->done = true;
	o->code = err ? err->code : 0;
	snprintf(o->text, sizeof(o->text), "%s", err ? err->text : "");
}

static struct outcome wait_for(struct bed *bed, struct outcome *o)
{
	bed->late = false;
	uv_update_time(&bed->loop);
	uv_timer_start(&bed->guard, on_guard, 20000, 0);
	while (!bed->late && !o->done)
		uv_run(&bed->loop, UV_RUN_ONCE);
	assert_true(o->done);
	return *o;
}

static struct outcome claim(struct bed *bed, const char *cidr, const char *node)
{
	struct outcome o = {0};
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(cidr, &p, NULL), 0);
	bed->source->ops->claim_block(bed->source, &p, node, "pods", on_done, &o);
	assert_false(o.done);
	return wait_for(bed, &o);
}

static struct outcome release(struct bed *bed, const char *cidr, const char *node)
{
	struct outcome o = {0};
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(cidr, &p, NULL), 0);
	bed->source->ops->release_block(bed->source, &p, node, on_done, &o);
	return wait_for(bed, &o);
}

static void blocks_are_claimed_and_released(void **state)
{
	struct bed *bed = *state;
	struct outcome o;

	start(bed);
	expect(bed, "synced\n");
	assert_int_equal(claim(bed, "10.244.1.0/26", "a").code, 0);
	expect(bed, "+IPBlock/10.244.1.0-26\n"); /* there when done is called */
	assert_int_equal(claim(bed, "10.244.1.0/26", "b").code, -EEXIST);
	assert_int_equal(claim(bed, "10.244.1.0/26", "a").code, -EEXIST);
	assert_int_equal(claim(bed, "fd00:244::40/122", "a").code, 0);
	expect(bed, "+IPBlock/fd00-244--40-122\n");
	expect_silence(bed);
	o = release(bed, "10.244.1.0/26", "b");
	assert_int_equal(o.code, -EPERM);
	assert_non_null(strstr(o.text, "belongs to node a"));
	assert_int_equal(release(bed, "10.244.1.0/26", "a").code, 0);
	expect(bed, "-IPBlock/10.244.1.0-26\n");
	assert_int_equal(release(bed, "10.244.1.0/26", "a").code, -ENOENT);
	assert_int_equal(claim(bed, "10.244.1.0/26", "../x").code, -EINVAL);
	assert_int_equal(claim(bed, "10.244.1.0/26", "b").code, 0);
	expect(bed, "+IPBlock/10.244.1.0-26\n");
	expect_silence(bed);
	remove_name(bed, "ipblocks/10.244.1.0-26.yaml");
	remove_name(bed, "ipblocks/fd00-244--40-122.yaml");
	remove_name(bed, "ipblocks"); /* empty: nothing half-made was left */
}

static void a_static_block_is_respected(void **state)
{
	struct bed *bed = *state;
	struct outcome o;

	put(bed, "blocks.yaml",
	    "apiVersion: weft.dev/v1alpha1\nkind: IPBlock\nmetadata: {name: 10.244.1.0-26}\n"
	    "spec: {cidr: 10.244.1.0/26, node: a, pool: pods}\n");
	start(bed);
	expect(bed, "+IPBlock/10.244.1.0-26\nsynced\n");
	o = claim(bed, "10.244.1.0/26", "b");
	assert_int_equal(o.code, -EEXIST);
	assert_non_null(strstr(o.text, "blocks.yaml"));
	assert_int_equal(release(bed, "10.244.1.0/26", "a").code, -EPERM);
}

static void a_lost_folder_is_not_made_by_a_claim(void **state)
{
	struct bed *bed = *state;

	start(bed);
	expect(bed, "synced\n");
	assert_int_equal(rmdir(bed->dir), 0);
	assert_int_equal(claim(bed, "10.244.1.0/26", "a").code, -ENOENT);
	assert_int_equal(access(bed->dir, F_OK), -1);
}

/* A process of its own with a loop of its own; its exit code is the outcome. */
static int claim_in_child(const char *dir, int gate, int number)
{
	struct outcome o = {0};
	struct weft_source *source;
	struct weft_prefix p;
	struct bed bed = {0};
	char node[16], byte;

	snprintf(node, sizeof(node), "node%d", number);
	uv_loop_init(&bed.loop);
	if (weft_directory_new(&bed.loop, dir, &source, NULL) < 0 ||
	    source->ops->start(source, on_event, &bed, NULL) < 0 ||
	    weft_prefix_parse("10.244.1.0/26", &p, NULL) < 0)
		return 3;
	if (read(gate, &byte, 1) != 0) /* end of file when the parent closes: all start together */
		return 3;
	source->ops->claim_block(source, &p, node, "pods", on_done, &o);
	while (!o.done)
		uv_run(&bed.loop, UV_RUN_ONCE);
	return o.code == 0 ? 0 : o.code == -EEXIST ? 1 : 2;
}

static void one_of_eight_gets_the_block(void **state)
{
	struct bed *bed = *state;
	int gate[2], status, won = 0, lost = 0, fds;
	pid_t pids[8];

	for (int round = 0; round < 5; round++) {
		assert_int_equal(pipe(gate), 0);
		for (int i = 0; i < 8; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				close(gate[1]);
				_exit(claim_in_child(bed->dir, gate[0], i));
			}
		}
		fds = close(gate[0]) + close(gate[1]);
		assert_int_equal(fds, 0);
		won = lost = 0;
		for (int i = 0; i < 8; i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFEXITED(status));
			won += WEXITSTATUS(status) == 0;
			lost += WEXITSTATUS(status) == 1;
		}
		assert_int_equal(won, 1);
		assert_int_equal(lost, 7);
		remove_name(bed, "ipblocks/10.244.1.0-26.yaml");
		remove_name(bed, "ipblocks");
	}
}

static void two_sources_share_a_folder(void **state)
{
	struct bed *bed = *state;
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_source *other;
	struct bed unheard = {0};
	struct outcome o = {0};
	struct weft_prefix p;

	start(bed);
	expect(bed, "synced\n");
	assert_int_equal(weft_directory_new(&bed->loop, bed->dir, &other, &err), 0);
	assert_int_equal(other->ops->start(other, on_event, &unheard, &err), 0);
	assert_int_equal(weft_prefix_parse("10.244.1.0/26", &p, NULL), 0);
	other->ops->claim_block(other, &p, "b", "pods", on_done, &o);
	other->ops->free(other); /* with the write in flight: it ends, without a callback */
	expect(bed, "+IPBlock/10.244.1.0-26\n");
	assert_false(o.done);
	assert_int_equal(claim(bed, "10.244.1.0/26", "a").code, -EEXIST);
	weft_buf_free(&unheard.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(blocks_are_claimed_and_released),      TEST(a_static_block_is_respected),
	        TEST(a_lost_folder_is_not_made_by_a_claim), TEST(one_of_eight_gets_the_block),
	        TEST(two_sources_share_a_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
