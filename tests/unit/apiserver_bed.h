// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Kubernetes source on the test API server (tests/apiserver): real TLS, real HTTP/2 on loopback. The
 * server is a child; what it is told through its control socket is done when the answer is there.
 */
#ifndef TESTS_UNIT_APISERVER_BED_H
#define TESTS_UNIT_APISERVER_BED_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cjson/cJSON.h>

#include "agent/kube/kubernetes.h"
#include "tests/unit/tmpdir.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#define BED_SECONDS 30 /* a limit, not a wait */
#define BED_AGENTS  3

struct api {
	char dir[TMPDIR_SIZE], url[80];
	pid_t pid;
	FILE *control;
};

struct agent_bed { /* one agent's source */
	struct api_bed *bed;
	struct kubernetes_options o;
	struct kube_access access;
	struct weft_source *source;
	struct weft_buf log; /* one line per event */
	char state[TMPDIR_SIZE], name[16];
	unsigned changes; /* of who leads */
	bool leading;
};

struct api_bed {
	struct api api;
	uv_loop_t loop;
	uv_timer_t guard;
	bool late;
	struct agent_bed agents[BED_AGENTS];
};

/* --- the server --- */

static inline void api_connect(struct api *a)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/control", a->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	a->control = fdopen(fd, "r+");
	assert_non_null(a->control);
}

/* listen: "127.0.0.1:0". Returns when it answers. */
static inline void api_start(struct api *a, const char *listen_at, const char *version)
{
	char tls[96], control[96], log[96], line[160] = "";
	int out[2];

	snprintf(tls, sizeof(tls), "%s/tls", a->dir);
	snprintf(control, sizeof(control), "%s/control", a->dir);
	snprintf(log, sizeof(log), "%s/requests", a->dir);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	a->pid = fork();
	if (a->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		execl("tests/apiserver/serve", "serve", "--listen", listen_at, "--tls-dir", tls, "--control",
		      control, "--log", log, "--version", version, NULL);
		_exit(127);
	}
	close(out[1]);
	for (size_t n = 0; n < sizeof(line) - 1 && read(out[0], line + n, 1) == 1 && line[n] != '\n'; n++)
		;
	close(out[0]);
	assert_int_equal(sscanf(line, "ready %79s", a->url), 1);
	api_connect(a);
}

static inline void api_stop(struct api *a)
{
	if (a->control)
		fclose(a->control);
	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
}

/* A sentence or a JSON command; the answer, which must be good. The caller's. */
static inline cJSON *api_do(struct api *a, const char *line)
{
	weft_autofree char *answer = NULL;
	size_t size = 0;
	cJSON *json;

	fprintf(a->control, "%s\n", line);
	fflush(a->control);
	assert_true(getline(&answer, &size, a->control) > 0);
	json = cJSON_Parse(answer);
	if (!cJSON_IsTrue(cJSON_GetObjectItem(json, "ok")))
		fail_msg("%s: %s", line, answer);
	return json;
}

static inline void tell(struct api_bed *b, const char *line)
{
	cJSON_Delete(api_do(&b->api, line));
}

/* verb: apply, create, replace */
static inline void change(struct api_bed *b, const char *verb, const char *object)
{
	weft_auto(weft_buf_free) struct weft_buf line = {0};

	weft_buf_printf(&line, "{\"do\":\"%s\",\"object\":%s}", verb, object);
	tell(b, weft_buf_text(&line));
}

static inline void erase(struct api_bed *b, const char *resource, const char *name)
{
	weft_auto(weft_buf_free) struct weft_buf line = {0};

	weft_buf_printf(&line,
	                "{\"do\":\"delete\",\"resource\":\"%s\",\"name\":\"%s\",\"namespace\":\"default\"}",
	                resource, name);
	tell(b, weft_buf_text(&line));
}

/* An object as the server has it: the answer's "object", to be deleted with the answer. */
static inline const cJSON *fetch(struct api_bed *b, const char *resource, const char *name, cJSON **answer)
{
	weft_auto(weft_buf_free) struct weft_buf line = {0};

	weft_buf_printf(&line,
	                "{\"do\":\"get\",\"resource\":\"%s\",\"name\":\"%s\",\"namespace\":\"default\"}",
	                resource, name);
	*answer = api_do(&b->api, weft_buf_text(&line));
	return cJSON_GetObjectItem(*answer, "object");
}

/* --- events --- */

static inline void bed_sink(void *ctx, const struct weft_event *ev)
{
	struct agent_bed *a = ctx;
	const char *kind = weft_kind_name(ev->kind);

	if (ev->type == WEFT_EV_UPSERT)
		weft_buf_printf(&a->log, "+%s/%s\n", kind, ev->key);
	else if (ev->type == WEFT_EV_DELETE)
		weft_buf_printf(&a->log, "-%s/%s\n", kind, ev->key);
	else if (ev->type == WEFT_EV_SYNCED)
		weft_buf_str(&a->log, "synced\n");
	else
		weft_buf_printf(&a->log, "%s%s\n", *ev->text ? "!" : "ok ", ev->where);
	if (ev->type == WEFT_EV_UPSERT)
		weft_object_free(ev->obj);
}

static inline void bed_late(uv_timer_t *t)
{
	((struct api_bed *)t->data)->late = true;
}

static inline void bed_limit(struct api_bed *b, uint64_t ms)
{
	b->late = false;
	uv_update_time(&b->loop);
	uv_timer_start(&b->guard, bed_late, ms, 0);
}

/* Lines of the log in any order: collections are listed side by side. */
static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void sort_lines(const char *text, char *out, size_t size)
{
	weft_autofree char *copy = strdup(text);
	char *lines[256], *at, *save = NULL;
	size_t n = 0, used = 0;

	out[0] = '\0';
	for (at = strtok_r(copy, "\n", &save); at && n < 256; at = strtok_r(NULL, "\n", &save))
		lines[n++] = at;
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s\n", lines[i]);
}

/* Run until the log has exactly these lines, in any order; then it starts anew. */
static inline void expect(struct agent_bed *a, const char *want)
{
	char got[4096], sorted[4096];

	sort_lines(want, sorted, sizeof(sorted));
	bed_limit(a->bed, BED_SECONDS * 1000);
	for (;;) {
		sort_lines(weft_buf_text(&a->log), got, sizeof(got));
		if (a->bed->late || !strcmp(got, sorted))
			break;
		uv_run(&a->bed->loop, UV_RUN_ONCE);
	}
	assert_string_equal(got, sorted);
	weft_buf_truncate(&a->log, 0);
}

/* Until a Node that is made now comes by: what was before it has been told, too. */
static inline void fence(struct agent_bed *a, const char *name)
{
	weft_auto(weft_buf_free) struct weft_buf object = {0}, want = {0};

	weft_buf_printf(&object, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"%s\"}}",
	                name);
	change(a->bed, "create", weft_buf_text(&object));
	weft_buf_printf(&want, "+Node/%s\n", name);
	expect(a, weft_buf_text(&want));
}

#define UNTIL(bed_, condition)                                   \
	do {                                                     \
		bed_limit(bed_, BED_SECONDS * 1000);             \
		while (!(bed_)->late && !(condition))            \
			uv_run(&(bed_)->loop, UV_RUN_ONCE);      \
		if (!(condition))                                \
			fail_msg("not in time: %s", #condition); \
	} while (0)

/* --- agents --- */

static inline struct agent_bed *agent(struct api_bed *b, unsigned i)
{
	struct agent_bed *a = &b->agents[i];

	if (a->bed)
		return a;
	a->bed = b;
	snprintf(a->name, sizeof(a->name), "n%u", i + 1);
	tmpdir_make(a->state);
	a->o = (struct kubernetes_options){.access = &a->access,
	                                   .state_dir = a->state,
	                                   .node = a->name,
	                                   .namespace = "kube-system",
	                                   .services = true,
	                                   .controller = true,
	                                   .patience_ms = 60000,
	                                   .retry_ms = 50};
	return a;
}

static inline void agent_load(struct agent_bed *a, const char *kubeconfig)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (kube_access_load(&(struct kube_access_options){.kubeconfig = kubeconfig}, &a->access, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void agent_start(struct agent_bed *a)
{
	struct weft_err err = WEFT_ERR_INIT;
	char path[96];

	if (!a->access.n_servers) {
		snprintf(path, sizeof(path), "%s/tls/kubeconfig", a->bed->api.dir);
		agent_load(a, path);
	}
	if (kubernetes_new(&a->bed->loop, &a->o, &a->source, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(a->source->ops->start(a->source, bed_sink, a, &err), 0);
}

static inline void agent_stop(struct agent_bed *a)
{
	if (a->source)
		a->source->ops->free(a->source);
	a->source = NULL;
	weft_buf_truncate(&a->log, 0);
}

static inline void on_lead(void *ctx, bool leading)
{
	struct agent_bed *a = ctx;

	a->changes++;
	a->leading = leading;
}

/* --- outcomes of writes --- */

struct outcome {
	unsigned times;
	int code;
	char text[WEFT_ERR_TEXT];
};

static inline void on_outcome(void *ctx, const struct weft_err *err)
{
	struct outcome *o = ctx;

	o->times++;
	o->code = err ? err->code : 0;
	snprintf(o->text, sizeof(o->text), "%s", err ? err->text : "");
}

/* --- made and freed --- */

static inline int bed_setup(void **state)
{
	struct api_bed *b = calloc(1, sizeof(*b));

	weft_log_init(WEFT_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	tmpdir_make(b->api.dir);
	assert_int_equal(uv_loop_init(&b->loop), 0);
	uv_timer_init(&b->loop, &b->guard);
	b->guard.data = b;
	*state = b;
	return 0;
}

static inline int bed_teardown(void **state)
{
	struct api_bed *b = *state;

	for (unsigned i = 0; i < BED_AGENTS; i++)
		agent_stop(&b->agents[i]);
	uv_close((uv_handle_t *)&b->guard, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	for (unsigned i = 0; i < BED_AGENTS; i++) {
		struct agent_bed *a = &b->agents[i];

		if (!a->bed)
			continue;
		kube_access_free(&a->access);
		tmpdir_remove(a->state);
		weft_buf_free(&a->log);
	}
	if (b->api.pid > 0)
		api_stop(&b->api);
	tmpdir_remove(b->api.dir);
	free(b);
	return 0;
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

#endif
