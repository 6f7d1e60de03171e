// SPDX-License-Identifier: GPL-2.0-or-later
/* weftd with the role controller alone, on a directory: it assigns, answers `weftctl status`, and opens
 * nothing of the kernel. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/daemon/controller.h"
#include "agent/daemon/controlling.h"
#include "agent/daemon/lock.h"
#include "tests/unit/tmpdir.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define POOL                                                                     \
	"apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: front}\n" \
	"spec: {use: LoadBalancer, ranges: [192.0.2.10-192.0.2.11]}\n"
#define SERVICE(name, ip)                                                                          \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: shop}\nspec:\n" \
	"  {type: LoadBalancer, clusterIPs: [" ip "], ports: [{port: 80}]}\n"

#define BAD_POOL "apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: bad}\nspec: {cidr: 7}\n"
#define BAD_PEER(asn)                                                            \
	"apiVersion: weft.dev/v1alpha1\nkind: BGPPeer\nmetadata: {name: tor1}\n" \
	"spec: {address: 10.1.1.1, asNumber: " asn "}\n"

struct bed {
	char dir[TMPDIR_SIZE];
	struct weft_config cfg;
	uv_loop_t loop;
	struct controlling *c;
	uv_timer_t poll;
	unsigned polls;
	const char *file, *text; /* until it is there, with this text; NULL: until it is gone */
};

static int setup(void **state)
{
	struct bed *b = test_calloc(1, sizeof(*b));
	char text[1024];
	struct weft_err err = WEFT_ERR_INIT;

	tmpdir_make(b->dir);
	snprintf(text, sizeof(text),
	         "nodeName: c1\nroles: [controller]\ndatastore: {kind: directory, path: %s/data}\n"
	         "stateDir: %s/state\nrunDir: %s/run\n",
	         b->dir, b->dir, b->dir);
	assert_int_equal(weft_config_parse("w.yaml", text, strlen(text), &b->cfg, NULL, NULL, &err), 0);
	assert_int_equal(b->cfg.roles, WEFT_ROLE_CONTROLLER);
	assert_int_equal(mkdir(b->cfg.datastore.path, 0755), 0);
	uv_loop_init(&b->loop);
	uv_timer_init(&b->loop, &b->poll);
	b->poll.data = b;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	if (b->c)
		controlling_close(b->c);
	uv_close((uv_handle_t *)&b->poll, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	controlling_free(b->c);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	tmpdir_remove(b->dir);
	test_free(b);
	return 0;
}

static void put(struct bed *b, const char *name, const char *text)
{
	char path[256];
	struct weft_err err = WEFT_ERR_INIT;

	snprintf(path, sizeof(path), "%s/data/%s", b->dir, name);
	assert_int_equal(weft_file_replace(path, text, strlen(text), 0644, &err), 0);
}

static int unlink_of(const struct bed *b, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/data/%s", b->dir, name);
	return unlink(path);
}

static char *read_file(const struct bed *b, const char *file)
{
	char path[256], *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/data/%s", b->dir, file);
	return weft_file_read(path, 1 << 20, &text, &len, &err) == 0 ? text : NULL;
}

static void on_poll(uv_timer_t *t)
{
	struct bed *b = t->data;
	weft_autofree char *is = read_file(b, b->file);

	if (b->text ? is && strstr(is, b->text) : !is)
		uv_stop(&b->loop);
	else if (++b->polls == 4000)
		fail_msg("%s never says \"%s\": %s", b->file, b->text ? b->text : "(nothing)", is ? is : "");
}

static void wait_for(struct bed *b, const char *file, const char *text)
{
	b->file = file;
	b->text = text;
	b->polls = 0;
	uv_timer_start(&b->poll, on_poll, 0, 5);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	uv_timer_stop(&b->poll);
}

/* weftctl's side, which blocks. */
struct question {
	struct bed *b;
	cJSON *answer;
	enum ctl_exit exit;
	struct weft_err err;
	uv_async_t done;
};

static void *ask(void *arg)
{
	struct question *q = arg;
	char path[WEFT_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/weftd.sock", q->b->cfg.run_dir);
	q->exit = ctl_ask(path, &(struct ctl_question){.cmd = "status", .timeout_ms = 5000}, &q->answer,
	                  &q->err);
	uv_async_send(&q->done);
	return NULL;
}

static void on_answer(uv_async_t *a)
{
	uv_stop(a->loop);
}

static cJSON *status_of(struct bed *b)
{
	struct question q = {.b = b, .err = WEFT_ERR_INIT};
	pthread_t thread;

	uv_async_init(&b->loop, &q.done, on_answer);
	assert_int_equal(pthread_create(&thread, NULL, ask, &q), 0);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(pthread_join(thread, NULL), 0);
	uv_close((uv_handle_t *)&q.done, NULL);
	uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.exit, CTL_OK);
	return q.answer;
}

static bool has_problem(const cJSON *status, const char *object)
{
	const cJSON *p;

	cJSON_ArrayForEach (p, ctl_get(status, "problems"))
		if (!strcmp(cJSON_GetStringValue(ctl_get(p, "object")), object))
			return true;
	return false;
}

static int family_of(int fd)
{
	int family = 0;
	socklen_t len = sizeof(family);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == 0 ? family : 0;
}

static void it_assigns_and_touches_no_kernel(void **state)
{
	struct bed *b = *state;
	struct weft_err err = WEFT_ERR_INIT;

	put(b, "a.yaml", POOL SERVICE("web", "10.96.0.7"));
	assert_int_equal(controlling_open(&b->cfg, &b->loop, &b->c, &err), 0);
	wait_for(b, "status/service.shop_web.yaml", "192.0.2.10");
	for (int fd = 0; fd < 256; fd++)
		assert_int_not_equal(family_of(fd), AF_NETLINK);
}

static void status_tells_what_it_does_and_what_is_wrong(void **state)
{
	struct bed *b = *state;
	struct weft_err err = WEFT_ERR_INIT;
	cJSON *status;

	put(b, "a.yaml", POOL SERVICE("a", "10.96.0.1") SERVICE("b", "10.96.0.2") SERVICE("c", "10.96.0.3"));
	put(b, "b.yaml",
	    "apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: bad}\nspec: {cidr: 7}\n");
	assert_int_equal(controlling_open(&b->cfg, &b->loop, &b->c, &err), 0);
	wait_for(b, "status/service.shop_c.yaml", "PoolExhausted");
	status = status_of(b);
	assert_string_equal(cJSON_GetStringValue(ctl_get(status, "node")), "c1");
	assert_true(cJSON_IsTrue(ctl_get(status, "controller.leading")));
	assert_int_equal(ctl_get(status, "controller.services.assigned")->valueint, 2);
	assert_int_equal(ctl_get(status, "controller.services.pending")->valueint, 1);
	assert_null(ctl_get(status, "routes"));
	assert_true(has_problem(status, "Service shop/c"));
	/* A file with errors is read again before they are told. */
	for (unsigned i = 0; i < 5000 && !has_problem(status, "IPPool bad"); i++) {
		cJSON_Delete(status);
		status = status_of(b);
	}
	assert_true(has_problem(status, "IPPool bad"));
	cJSON_Delete(status);
}

/* The object's own status says that it is refused, and why, and no longer than that. */
static void what_is_refused_says_so(void **state)
{
	struct bed *b = *state;
	struct weft_err err = WEFT_ERR_INIT;

	put(b, "a.yaml", POOL);
	put(b, "b.yaml", BAD_POOL);
	put(b, "c.yaml", BAD_PEER("0"));
	assert_int_equal(controlling_open(&b->cfg, &b->loop, &b->c, &err), 0);
	wait_for(b, "status/ippool.bad.yaml", "spec.cidr: must be a string");
	wait_for(b, "status/bgppeer.tor1.yaml", "RFC 7607");
	put(b, "b.yaml",
	    "apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: bad}\n"
	    "spec: {cidr: 192.0.2.0/24}\n");
	put(b, "c.yaml", BAD_PEER("65001"));
	wait_for(b, "status/bgppeer.tor1.yaml", NULL);
	wait_for(b, "status/ippool.bad.yaml", "reason: \"Refused\"");
	assert_int_equal(unlink_of(b, "a.yaml"), 0);
	wait_for(b, "status/ippool.bad.yaml", NULL);
}

static void a_later_reign_takes_back_what_is_not_true_any_more(void **state)
{
	struct bed *b = *state;
	struct weft_err err = WEFT_ERR_INIT;

	put(b, "c.yaml", BAD_PEER("0"));
	assert_int_equal(controlling_open(&b->cfg, &b->loop, &b->c, &err), 0);
	wait_for(b, "status/bgppeer.tor1.yaml", CONTROLLER_ACCEPTED);
	controlling_close(b->c);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	controlling_free(b->c);
	put(b, "c.yaml", BAD_PEER("65001"));
	assert_int_equal(controlling_open(&b->cfg, &b->loop, &b->c, &err), 0);
	wait_for(b, "status/bgppeer.tor1.yaml", NULL);
}

static void a_second_one_on_the_same_state_folder_is_refused(void **state)
{
	struct bed *b = *state;
	struct weft_err err = WEFT_ERR_INIT;
	int ready[2], end[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready) | pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		close(end[1]);
		if (weftd_lock(b->cfg.state_dir, &err) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(end[0], &byte, 1) != 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(controlling_open(&b->cfg, &b->loop, &b->c, &err), -EBUSY);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	controlling_free(b->c);
	b->c = NULL;
	assert_int_equal(close(ready[0]) | close(ready[1]) | close(end[0]) | close(end[1]), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(it_assigns_and_touches_no_kernel, setup, teardown),
	        cmocka_unit_test_setup_teardown(status_tells_what_it_does_and_what_is_wrong, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_is_refused_says_so, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_later_reign_takes_back_what_is_not_true_any_more, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(a_second_one_on_the_same_state_folder_is_refused, setup,
	                                        teardown),
	};

	return cmocka_run_group_tests_name("controlling", tests, NULL, NULL);
}
