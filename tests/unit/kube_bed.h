// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of the API server on a real loop, against tests/unit/kube_server.py: one server per test program,
 * with certificates made for it.
 */
#ifndef TESTS_UNIT_KUBE_BED_H
#define TESTS_UNIT_KUBE_BED_H

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "agent/kube/client.h"
#include "tests/unit/tmpdir.h"
#include "weft/file.h"

#define BED_PATIENCE_MS 30000

static char bed_dir[TMPDIR_SIZE];
static pid_t bed_server;
static int bed_stdin;
static struct {
	char name[16];
	unsigned port;
} bed_ports[16];
static size_t bed_n_ports;

static inline unsigned bed_port(const char *name)
{
	for (size_t i = 0; i < bed_n_ports; i++)
		if (!strcmp(bed_ports[i].name, name))
			return bed_ports[i].port;
	fail_msg("the server has no listener %s", name);
	return 0;
}

/* Two authorities; the servers' certificates, two clients'. */
static const char bed_certs[] =
        "set -e; cd \"$CERTS\"; exec 2>openssl.log\n"
        "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=$1"
        " -keyout $1.key -out $1.crt; }\n"
        "cert() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=$2"
        " -CA $1.crt -CAkey $1.key -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=$3"
        " -keyout $2.key -out $2.crt; }\n"
        "ca ca; ca ca2\n"
        "cert ca server IP:127.0.0.1,IP:::1,DNS:api.test\n"
        "cert ca name DNS:other.test\n"
        "cert ca2 foreign IP:127.0.0.1\n"
        "cert ca one DNS:one\ncert ca two DNS:two\n"
        "openssl req -x509 -key one.key -days 2 -subj /CN=renewed -CA ca.crt -CAkey ca.key -out renewed.crt\n";

static inline void bed_read_ports(FILE *from)
{
	char name[16];
	unsigned port;

	while (fscanf(from, "%15s", name) == 1 && strcmp(name, "ready") != 0) {
		assert_int_equal(fscanf(from, "%u", &port), 1);
		assert_true(bed_n_ports < 16);
		snprintf(bed_ports[bed_n_ports].name, sizeof(name), "%s", name);
		bed_ports[bed_n_ports++].port = port;
	}
	assert_true(bed_n_ports > 0);
}

static inline int bed_start(void **state)
{
	int to[2], from[2];
	FILE *out;

	(void)state;
	assert_true(sodium_init() >= 0);
	tmpdir_make(bed_dir);
	setenv("CERTS", bed_dir, 1);
	assert_int_equal(system(bed_certs), 0);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	bed_server = fork();
	assert_true(bed_server >= 0);
	if (bed_server == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl("tests/unit/kube_server.py", "kube_server.py", bed_dir, "tests/unit/data/apiserver",
		      NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	bed_stdin = to[1];
	out = fdopen(from[0], "r");
	assert_non_null(out);
	bed_read_ports(out);
	fclose(out);
	return 0;
}

static inline int bed_stop(void **state)
{
	(void)state;
	close(bed_stdin);
	assert_int_equal(waitpid(bed_server, NULL, 0), bed_server);
	tmpdir_remove(bed_dir);
	return 0;
}

/* One client */

struct bed {
	uv_loop_t loop;
	struct kube_access access;
	struct kube *kube;
	uv_timer_t patience;
};

/* What became of a call, and how it is asked to behave. */
struct bed_result {
	struct bed *bed;
	struct kube_call *call;
	bool done, cancel_in_data, free_in_data, free_in_done;
	struct bed_result *cancels; /* another, in on_data */
	int refuse;
	unsigned pieces;
	char stream[1 << 20];
	size_t stream_len;
	enum kube_result result;
	int status;
	uint64_t retry_after_ms;
	bool has_body;
	char body[1 << 20];
	size_t len;
	char err[WEFT_ERR_TEXT];
};

static inline void bed_on_patience(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("nothing happened for %d ms", BED_PATIENCE_MS);
}

static inline char *bed_path(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", bed_dir, name) > 0);
	return path;
}

static inline char *bed_url(const char *listener)
{
	const char *scheme = !strcmp(listener, "plain") ? "http" : "https";
	const char *host = !strcmp(listener, "tls6") ? "[::1]" : "127.0.0.1";
	char *url;

	assert_true(asprintf(&url, "%s://%s:%u", scheme, host, bed_port(listener)) > 0);
	return url;
}

static inline void bed_add_server(struct bed *bed, const char *listener)
{
	bed->access.servers[bed->access.n_servers++] = bed_url(listener);
}

/* An access to change before bed_open(): this server, and the first authority's certificate. */
static inline void bed_init(struct bed *bed, const char *listener)
{
	*bed = (struct bed){0};
	assert_int_equal(uv_loop_init(&bed->loop), 0);
	uv_timer_init(&bed->loop, &bed->patience);
	bed_add_server(bed, listener);
	bed->access.ca.file = bed_path("ca.crt");
}

static inline void bed_open(struct bed *bed)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (kube_new(&bed->loop, &bed->access, "weftd/0.1", &bed->kube, &err) < 0)
		fail_msg("%s", err.text);
}

/* Everything closes: a handle that is left open would keep the loop from ending. */
static inline void bed_close(struct bed *bed)
{
	if (bed->kube)
		kube_free(bed->kube);
	uv_close((uv_handle_t *)&bed->patience, NULL);
	uv_run(&bed->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bed->loop), 0);
	kube_access_free(&bed->access);
}

static inline void bed_free_now(struct bed_result *r)
{
	kube_free(r->bed->kube);
	r->bed->kube = NULL;
	r->done = true;
}

static inline int bed_on_data(void *ctx, const char *data, size_t len)
{
	struct bed_result *r = ctx;

	uv_stop(&r->bed->loop);
	assert_true(r->stream_len + len < sizeof(r->stream));
	memcpy(r->stream + r->stream_len, data, len);
	r->stream_len += len;
	r->pieces++;
	if (r->cancel_in_data) {
		kube_cancel(r->call);
		r->done = true;
	}
	if (r->cancels) {
		kube_cancel(r->cancels->call);
		r->cancels->done = true;
	}
	if (r->free_in_data)
		bed_free_now(r);
	return r->refuse;
}

static inline void bed_on_done(void *ctx, const struct kube_answer *a)
{
	struct bed_result *r = ctx;

	uv_stop(&r->bed->loop);
	assert_false(r->done);
	r->done = true;
	r->result = a->result;
	r->status = a->status;
	r->retry_after_ms = a->retry_after_ms;
	r->has_body = a->body != NULL;
	r->len = a->len;
	assert_true(a->len < sizeof(r->body));
	if (a->body) {
		memcpy(r->body, a->body, a->len + 1);
		assert_int_equal(r->body[a->len], '\0');
	}
	assert_int_equal(a->err == NULL, a->result == KUBE_OK);
	snprintf(r->err, sizeof(r->err), "%s", a->err ? a->err->text : "");
	if (r->free_in_done)
		bed_free_now(r);
}

static inline struct bed_result *bed_result_new(struct bed *bed)
{
	struct bed_result *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->bed = bed;
	return r;
}

static inline void bed_send(struct bed_result *r, struct kube_request q)
{
	q.on_done = bed_on_done;
	q.ctx = r;
	q.method = q.method ? q.method : "GET";
	r->call = kube_send(r->bed->kube, &q);
	assert_false(r->done);
}

/* The callbacks stop the loop: UV_RUN_ONCE alone would wait for a socket after what a timer brought. */
static inline void bed_wait(struct bed_result *r)
{
	uv_timer_start(&r->bed->patience, bed_on_patience, BED_PATIENCE_MS, 0);
	while (!r->done)
		uv_run(&r->bed->loop, UV_RUN_ONCE);
	uv_timer_stop(&r->bed->patience);
}

/* One request and its outcome, valid until the next one. */
static inline struct bed_result *bed_ask(struct bed *bed, struct kube_request q)
{
	static struct bed_result *last;

	free(last);
	last = bed_result_new(bed);
	bed_send(last, q);
	bed_wait(last);
	return last;
}

static inline struct bed_result *bed_get(struct bed *bed, const char *path)
{
	return bed_ask(bed, (struct kube_request){.path = path});
}

static inline void bed_expect(const struct bed_result *r, enum kube_result want)
{
	if (r->result != want)
		fail_msg("%s instead of %s: %d %s", kube_result_name(r->result), kube_result_name(want),
		         r->status, r->err);
}

static inline void bed_open_on(struct bed *bed, const char *listener)
{
	bed_init(bed, listener);
	bed_open(bed);
}

static inline void bed_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no `%s` in `%.2000s`", part, text);
}

static inline void bed_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("`%s` in `%.2000s`", part, text);
}

#endif
