// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BIRD's configuration as a resource, with a real BIRD in a network namespace of the test's own: absent,
 * late, reconfigured, refusing, killed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "agent/apply/bird.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#define BIRD  "/usr/sbin/bird"
#define CHECK "#!/bin/sh\n[ -e \"$0.busy\" ] && kill -KILL $$\nexec " BIRD " \"$@\"\n"

struct bed {
	uv_loop_t loop;
	char dir[64], conf[128], sock[128];
	char check[128]; /* stands for bird -p: the same, unless CHECK.busy is there */
	struct bird_apply *apply;
	pid_t bird;
	int stale, again;
	uv_timer_t tick; /* keeps uv_run(ONCE) from waiting for ever */
};

/* Fails the first time: it is called again. */
static int on_stale(void *ctx)
{
	return ((struct bed *)ctx)->stale++ ? 0 : -EAGAIN;
}

static void on_again(void *ctx)
{
	((struct bed *)ctx)->again++;
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

static int setup(void **state)
{
	static struct bed bed;
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_apply_options o;

	bed = (struct bed){.dir = "/tmp/weft-bird-XXXXXX"};
	if (!mkdtemp(bed.dir))
		return -1;
	chmod(bed.dir, 0755);
	snprintf(bed.conf, sizeof(bed.conf), "%s/bird.conf", bed.dir);
	snprintf(bed.sock, sizeof(bed.sock), "%s/ctl", bed.dir);
	snprintf(bed.check, sizeof(bed.check), "%s.check", bed.dir);
	if (weft_file_create(bed.check, CHECK, strlen(CHECK), 0755, &err) < 0)
		return -1;
	uv_loop_init(&bed.loop);
	uv_timer_init(&bed.loop, &bed.tick);
	uv_timer_start(&bed.tick, on_tick, 20, 20);
	o = (struct bird_apply_options){.loop = &bed.loop,
	                                .node = "n1",
	                                .config_dir = bed.dir,
	                                .socket = bed.sock,
	                                .templates = "bird-templates",
	                                .binary = bed.check,
	                                .stale_ms = 300,
	                                .on_stale = on_stale,
	                                .on_again = on_again,
	                                .ctx = &bed};
	if (bird_apply_new(&o, &bed.apply, &err) < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	*state = &bed;
	return 0;
}

static void stop_bird(struct bed *bed, int sig)
{
	if (bed->bird > 0) {
		kill(bed->bird, sig);
		waitpid(bed->bird, NULL, 0);
	}
	bed->bird = 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;
	char command[256];

	bird_apply_free(bed->apply);
	uv_close((uv_handle_t *)&bed->tick, NULL);
	uv_run(&bed->loop, UV_RUN_DEFAULT);
	stop_bird(bed, SIGTERM);
	snprintf(command, sizeof(command), "rm -rf %s %s", bed->dir, bed->check);
	return uv_loop_close(&bed->loop) || system(command);
}

static void start_bird(struct bed *bed)
{
	bed->bird = fork();
	if (bed->bird == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		execl(BIRD, BIRD, "-f", "-c", bed->conf, "-s", bed->sock, (char *)NULL);
		_exit(127);
	}
}

static void wait_for(struct bed *bed, enum bird_config_state state, bool up)
{
	uint64_t end = uv_hrtime() + 15000000000ULL;
	struct bird_apply_status s;

	do {
		uv_run(&bed->loop, UV_RUN_ONCE);
		bird_apply_status(bed->apply, &s);
		if (s.config == state && s.up == up)
			return;
	} while (uv_hrtime() < end);
	fail_msg("BIRD's configuration is %s, up %d (%s); expected %s, up %d",
	         bird_config_state_name(s.config), s.up, s.error, bird_config_state_name(state), up);
}

/* A model with one peer; the caller changes what it is about. */
struct sample {
	struct bgp_model m;
	struct bgp_peer peer;
	struct bgp_range range[2];
};

static struct sample *sample(struct sample *s)
{
	*s = (struct sample){0};
	weft_addr_parse("10.0.0.1", &s->m.router_id, NULL);
	s->m.ip4 = s->peer.local = s->m.router_id;
	s->m.local_as = s->peer.local_as = 65001;
	s->peer.hold_s = 9;
	s->peer.keepalive_s = 3;
	s->peer.connect_retry_s = 5;
	s->peer.max_prefixes = 100;
	s->peer.restart = WEFT_GR_AWARE;
	s->peer.channels[0].on = true;
	s->m.listen_port = 1790;
	strcpy(s->peer.protocol, "peer_tor1");
	s->peer.name = "tor1";
	strcpy(s->peer.description, "rack 1 ToR");
	weft_addr_parse("10.0.0.2", &s->peer.address, NULL);
	s->peer.port = 179;
	s->peer.as_number = 65000;
	s->peer.password = "s3cret-one";
	s->peer.password_len = 10;
	weft_prefix_parse("10.244.0.0/16", &s->range[0].cidr, NULL);
	s->range[0].ge = s->range[0].le = 26;
	weft_prefix_parse("fd00:244::/32", &s->range[1].cidr, NULL);
	s->range[1].ge = s->range[1].le = 122;
	s->m.peers = &s->peer;
	s->m.n_peers = 1;
	s->m.advertise = s->m.import = s->range;
	s->m.n_advertise = s->m.n_import = 2;
	return s;
}

static char *read_text(const char *path)
{
	char *text = NULL;

	assert_int_equal(weft_file_read(path, 1 << 20, &text, NULL, NULL), 0);
	return text;
}

struct found {
	bool called;
	char state[32];
};

static void on_protocols(void *ctx, const struct bird_protos *protos, const struct weft_err *err)
{
	struct found *f = ctx;
	const struct bird_proto *p = protos ? bird_protos_find(protos, "peer_tor1") : NULL;

	assert_true(protos || err->code);
	f->called = true;
	snprintf(f->state, sizeof(f->state), "%s", p ? p->proto : "none");
}

static void ask(struct bed *bed, struct found *f)
{
	*f = (struct found){0};
	bird_apply_protocols(bed->apply, on_protocols, f);
	while (!f->called)
		uv_run(&bed->loop, UV_RUN_ONCE);
}

static void is_written_without_bird_and_loaded_when_it_comes(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	weft_autofree char *text = NULL;
	struct stat st;
	struct found found;
	char path[256];

	bird_apply_want(bed->apply, &sample(&s)->m);
	wait_for(bed, BIRD_CONFIG_WRITTEN, false);
	text = read_text(bed->conf);
	assert_non_null(strstr(text, "protocol bgp peer_tor1 {"));
	assert_non_null(strstr(text, "10.244.0.0/16{ 26, 26 }"));
	assert_null(strstr(text, "s3cret"));
	assert_int_equal(stat(bed->conf, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	snprintf(path, sizeof(path), "%s/secrets/peer_tor1-a.conf", bed->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);

	ask(bed, &found);
	assert_string_equal(found.state, "none");
	start_bird(bed);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
	ask(bed, &found);
	assert_string_equal(found.state, "BGP");
}

static void a_new_password_takes_the_other_file(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	weft_autofree char *text = NULL;
	char path[256];

	sample(&s);
	s.peer.password = "s3cret-two";
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
	snprintf(path, sizeof(path), "%s/secrets/peer_tor1-b.conf", bed->dir);
	text = read_text(path);
	assert_string_equal(text, "password \"s3cret-two\";\n");
	snprintf(path, sizeof(path), "%s/secrets/peer_tor1-a.conf", bed->dir);
	assert_int_equal(access(path, F_OK), -1);
}

/* BIRD is still loading when the next password comes: its file must survive the sweep after the load. */
static void passwords_may_follow_each_other_quickly(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	uint64_t end = uv_hrtime() + 10000000000ULL;
	bool loading = false;

	sample(&s);
	s.peer.password = "s3cret-six";
	bird_apply_want(bed->apply, &s.m);
	while (!loading && uv_hrtime() < end) {
		weft_autofree char *text = NULL;

		uv_run(&bed->loop, UV_RUN_ONCE);
		text = read_text(bed->conf);
		loading = strstr(text, "peer_tor1-a.conf") != NULL;
	}
	assert_true(loading);
	s.peer.password = "s3cret-ten";
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
	weft_autofree char *text = read_text(bed->conf);
	assert_non_null(strstr(text, "peer_tor1-b.conf"));
}

static void a_failing_disk_is_tried_again(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	uint64_t end = uv_hrtime() + 8000000000ULL;
	char away[80];

	snprintf(away, sizeof(away), "%s.away", bed->dir);
	assert_int_equal(rename(bed->dir, away), 0);
	sample(&s);
	s.m.local_as = s.peer.local_as = 65005;
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_REFUSED, true);
	assert_int_equal(rename(away, bed->dir), 0);
	bed->again = 0;
	while (!bed->again && uv_hrtime() < end)
		uv_run(&bed->loop, UV_RUN_ONCE);
	assert_int_equal(bed->again, 1);
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
}

/* A check that a busy machine kept from ending says nothing about the text. */
static void a_killed_check_is_tried_again(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	uint64_t end = uv_hrtime() + 8000000000ULL;
	char busy[160];

	snprintf(busy, sizeof(busy), "%s.busy", bed->check);
	assert_int_equal(weft_file_create(busy, "", 0, 0644, NULL), 0);
	sample(&s);
	s.m.local_as = s.peer.local_as = 65006;
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_REFUSED, true);
	assert_int_equal(unlink(busy), 0);
	bed->again = 0;
	while (!bed->again && uv_hrtime() < end)
		uv_run(&bed->loop, UV_RUN_ONCE);
	assert_int_equal(bed->again, 1);
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
}

static void a_refused_text_leaves_the_former_one(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	weft_autofree char *before = read_text(bed->conf), *after = NULL;
	struct bird_apply_status status;
	char path[256];

	snprintf(path, sizeof(path), "%s/custom/broken.conf", bed->dir);
	assert_int_equal(weft_file_create(path, "protocol nonsense;\n", 19, 0644, NULL), 0);
	sample(&s);
	s.m.local_as = s.peer.local_as = 65002;
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_REFUSED, true);
	bird_apply_status(bed->apply, &status);
	assert_non_null(strstr(status.error, "broken.conf"));
	after = read_text(bed->conf);
	assert_string_equal(before, after);
	unlink(path);
	s.m.local_as = s.peer.local_as = 65003;
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
}

static void hostile_values_never_reach_the_file(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	weft_autofree char *before = read_text(bed->conf), *after = NULL;

	sample(&s);
	strcpy(s.peer.description, "x\"; } protocol static { route 0.0.0.0/0 blackhole; } #");
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_REFUSED, true);
	after = read_text(bed->conf);
	assert_string_equal(before, after);
}

/* Reading so much would cost every session its hold time. Those that are not rendered do not count. */
static void too_many_sessions_are_refused(void **state)
{
	struct bed *bed = *state;
	weft_autofree struct bgp_peer *many = calloc(1001, sizeof(*many));
	weft_autofree char *before = read_text(bed->conf), *after = NULL;
	struct bird_apply_status status;
	struct sample s;

	sample(&s);
	s.m.peers = many;
	s.m.n_peers = 1001;
	for (unsigned i = 0; i < 1001; i++) {
		many[i] = s.peer;
		many[i].password = NULL;
		many[i].password_len = 0;
		snprintf(many[i].protocol, sizeof(many[i].protocol), "peer_%u", i);
	}
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_REFUSED, true);
	bird_apply_status(bed->apply, &status);
	assert_non_null(strstr(status.error, "1001 BGP sessions on this node, 1000 are possible"));
	after = read_text(bed->conf);
	assert_string_equal(before, after);
	for (unsigned i = 1; i < 1001; i++)
		strcpy(many[i].reason, "its Secret is missing");
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
}

static void peers_with_a_reason_are_left_out(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	struct found found;

	sample(&s);
	strcpy(s.peer.reason, "its Secret is missing");
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
	ask(bed, &found);
	assert_string_equal(found.state, "none");
}

static void a_killed_bird_is_noticed_and_told_again(void **state)
{
	struct bed *bed = *state;
	struct sample s;
	struct found found;
	uint64_t end;

	stop_bird(bed, SIGKILL);
	wait_for(bed, BIRD_CONFIG_WRITTEN, false);
	bird_apply_want(bed->apply, &sample(&s)->m); /* while it is away */
	bed->stale = 0;
	end = uv_hrtime() + 5000000000ULL;
	while (bed->stale < 2 && uv_hrtime() < end)
		uv_run(&bed->loop, UV_RUN_ONCE);
	assert_int_equal(bed->stale, 2); /* the first one failed */
	start_bird(bed);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
	ask(bed, &found);
	assert_string_equal(found.state, "BGP");
}

static void both_profiles_and_empty_models_are_accepted(void **state)
{
	struct bed *bed = *state;
	struct sample s;

	sample(&s);
	s.m.profile = BGP_GRACEFUL;
	weft_addr_parse("fd00::1", &s.m.ip6, NULL);
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
	sample(&s);
	s.m.n_peers = s.m.n_advertise = s.m.n_import = 0;
	bird_apply_want(bed->apply, &s.m);
	wait_for(bed, BIRD_CONFIG_LOADED, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(is_written_without_bird_and_loaded_when_it_comes),
	        cmocka_unit_test(a_new_password_takes_the_other_file),
	        cmocka_unit_test(passwords_may_follow_each_other_quickly),
	        cmocka_unit_test(a_failing_disk_is_tried_again),
	        cmocka_unit_test(a_killed_check_is_tried_again),
	        cmocka_unit_test(a_refused_text_leaves_the_former_one),
	        cmocka_unit_test(hostile_values_never_reach_the_file),
	        cmocka_unit_test(too_many_sessions_are_refused),
	        cmocka_unit_test(peers_with_a_reason_are_left_out),
	        cmocka_unit_test(a_killed_bird_is_noticed_and_told_again),
	        cmocka_unit_test(both_profiles_and_empty_models_are_accepted),
	};

	weft_log_init(WEFT_LOG_ERROR);
	if (sodium_init() < 0 || unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "this test needs root: %s\n", strerror(errno));
		return 1;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
