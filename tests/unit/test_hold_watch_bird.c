// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A router falls silent, and a real BIRD has nothing to do but to wait for the hold timer: its routes leave the kernel with the
 * session. Without the question BIRD would sleep on for 3 s, the longest it ever does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <uv.h>

#include "agent/bird/ctl.h"
#include "agent/daemon/hold_watch.h"
#include "tests/unit/bird_lab.h"
#include "weft/cleanup.h"

#define LIMIT_MS 1500 /* between BIRD's own word and the kernel's route */
#define ROUTE    "10.244.9.0/26"

static struct lab *lab;
static struct bird_ctl *ctl;

/* No timer but those of the session. */
static const char node[] =
        "log \"%s/log\" all;\nrouter id 10.0.0.1;\nprotocol device { scan time 300; }\n"
        "protocol kernel { scan time 300; ipv4 { export all; }; }\n"
        "protocol bgp peer_tor { local 10.0.0.1 as 64600; neighbor 10.0.0.2 as 65000; direct;\n"
        "hold time 3; keepalive time 1; connect delay time 1; connect retry time 1; error wait time 60, 60;\n"
        "ipv4 { import all; export none; }; }\n";

static const char router[] =
        "router id 10.0.0.2;\nprotocol device {}\n"
        "protocol static { ipv4; route " ROUTE " blackhole; }\n"
        "protocol bgp node { local 10.0.0.2 as 65000; neighbor 10.0.0.1 as 64600; direct;\n"
        "connect delay time 1; connect retry time 1; ipv4 { import none; export all; next hop self; }; }\n";

struct asked {
	bird_protocols_fn fn;
	void *ctx;
};

const struct bird_version *bird_apply_version(const struct bird_apply *b)
{
	(void)b;
	return bird_ctl_version(ctl);
}

static void on_reply(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct asked *q = ctx;
	struct bird_protos protos = {0};

	if (reply)
		assert_int_equal(bird_show_protocols(reply, &protos, NULL), 0);
	q->fn(q->ctx, reply ? &protos : NULL, err);
	bird_protos_free(&protos);
	free(q);
}

void bird_apply_protocols(struct bird_apply *b, bird_protocols_fn fn, void *ctx)
{
	struct asked *q = malloc(sizeof(*q));

	(void)b;
	assert_non_null(q);
	*q = (struct asked){fn, ctx};
	bird_ctl_command(ctl, "show protocols all", on_reply, q);
}

static void on_state(void *ctx, const struct bird_version *version, const struct weft_err *err)
{
	(void)ctx, (void)version, (void)err;
}

static int setup(void **state)
{
	static struct lab the_lab;

	(void)state;
	lab = &the_lab;
	if (lab_up(lab, 2) < 0)
		return -1;
	lab_must(lab, 0, "ip addr add 10.0.0.1/24 dev lan");
	lab_must(lab, 1, "ip addr add 10.0.0.2/24 dev lan");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return lab_down(lab);
}

static void turn(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_NOWAIT);
	poll(NULL, 0, 2);
}

static bool said(const char *text)
{
	char path[96];
	weft_autofree char *log = NULL;

	snprintf(path, sizeof(path), "%.31s/log", lab->dir);
	return weft_file_read(path, 1 << 20, &log, NULL, NULL) == 0 && strstr(log, text);
}

/* From the end of the session until the kernel has no route of it. */
static uint64_t time_to_leave(uv_loop_t *loop)
{
	uint64_t over;

	for (over = uv_hrtime(); !said("Hold timer expired"); turn(loop))
		assert_true(uv_hrtime() - over < 60 * 1000000000ull);
	over = uv_hrtime();
	do {
		turn(loop);
		lab_must(lab, 0, "ip route show");
	} while (strstr(lab->said, ROUTE));
	return (uv_hrtime() - over) / 1000000;
}

static void routes_leave_with_the_session(void **state)
{
	struct bgp_peer peer = {.protocol = "peer_tor"};
	struct bgp_model model = {.peers = &peer, .n_peers = 1};
	struct weft_err err = WEFT_ERR_INIT;
	struct hold_watch *watch;
	uint64_t took;
	char text[1024];
	uv_loop_t loop;

	(void)state;
	snprintf(text, sizeof(text), node, lab->dir);
	lab_write(lab, 0, text);
	lab_write(lab, 1, router);
	lab_bird(lab, 0);
	lab_bird(lab, 1);
	lab_wait(lab, 0, "show route", ROUTE, true);
	uv_loop_init(&loop);
	assert_int_equal(bird_ctl_new(&loop, lab->ends[0].sock, on_state, NULL, &ctl, &err), 0);
	while (!bird_ctl_version(ctl))
		turn(&loop);
	watch = hold_watch_new(&loop, NULL);
	hold_watch_take(watch, &model);
	kill(lab->ends[1].bird, SIGSTOP);
	took = time_to_leave(&loop);
	bird_ctl_free(ctl);
	hold_watch_free(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	if (took > LIMIT_MS)
		fail_msg("%llu ms after the session's end its route was still there",
		         (unsigned long long)took);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(routes_leave_with_the_session),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
