// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A world of its own for what asks the API server: its clock, its timers and its network stand in for
 * libuv's and the client's, so that hours of it pass in milliseconds and always in the same way.
 *
 * Several processes (0 to SIM_PROCESSES - 1) live in it, each with a clock that may be fast or slow, and each
 * may be frozen for a while: what was due meanwhile happens afterwards. The time that people see
 * (CLOCK_REALTIME) jumps with each look at it.
 */
#ifndef TESTS_UNIT_KUBE_SIM_H
#define TESTS_UNIT_KUBE_SIM_H

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "agent/kube/client.h"
#include "weft/cleanup.h"

#ifndef SIM_PROCESSES
#define SIM_PROCESSES 4
#endif
#define SIM_US_PER_MS UINT64_C(1000)

struct sim_event {
	struct sim_event *next;
	uint64_t at, order;
	int process;
	void (*fn)(void *arg);
	void *arg;
};

struct kube_call {
	struct kube_call *next;
	int process;
	char method[8], *path, *type, *body;
	size_t len;
	void (*on_done)(void *ctx, const struct kube_answer *a);
	void *ctx;
	bool over; /* answered, given up or cancelled: no callback any more */
	/* What the network does to it; the server sees it after `up`, the answer takes `down`. */
	uint64_t up_us, down_us;
	bool lost_up, lost_down;
	/* The server's answer. */
	enum kube_result result;
	int status;
	char *answer;
};

static struct {
	uint64_t now, order; /* microseconds */
	struct sim_event *events;
	struct kube_call *calls;
	size_t n_calls;
	int process; /* that runs */
	double rate[SIM_PROCESSES];
	uint64_t frozen[SIM_PROCESSES]; /* until then */
	bool dead[SIM_PROCESSES];       /* never goes on */
	uint64_t random;
	void (*network)(struct kube_call *c); /* NULL = as it is */
	void (*serve)(struct kube_call *c);   /* sets result, status, answer */
	void (*after)(void);                  /* each event; may be NULL */
} sim;

/* ---- chance that is the same in each run ---- */

static inline uint64_t sim_random(uint64_t below)
{
	sim.random ^= sim.random << 13;
	sim.random ^= sim.random >> 7;
	sim.random ^= sim.random << 17;
	return below ? sim.random % below : 0;
}

uint32_t randombytes_uniform(uint32_t below)
{
	return (uint32_t)sim_random(below);
}

/* ---- events ---- */

static inline struct sim_event *sim_at(uint64_t at, int process, void (*fn)(void *arg), void *arg)
{
	struct sim_event *e = calloc(1, sizeof(*e)), **to = &sim.events;

	*e = (struct sim_event){.at = at, .order = sim.order++, .process = process, .fn = fn, .arg = arg};
	while (*to && (*to)->at <= at)
		to = &(*to)->next;
	e->next = *to;
	*to = e;
	return e;
}

static inline void sim_remove(void (*fn)(void *arg), void *arg)
{
	struct sim_event **at = &sim.events;

	while (*at) {
		struct sim_event *e = *at;

		if (e->fn == fn && e->arg == arg) {
			*at = e->next;
			free(e);
		} else {
			at = &e->next;
		}
	}
}

static inline void sim_step(void)
{
	struct sim_event *e = sim.events;

	sim.events = e->next;
	sim.now = e->at;
	if (e->process >= 0 && sim.frozen[e->process] > sim.now)
		sim_at(sim.frozen[e->process], e->process, e->fn, e->arg);
	else if (e->process < 0 || !sim.dead[e->process]) {
		sim.process = e->process;
		e->fn(e->arg);
	}
	free(e);
	if (sim.after)
		sim.after();
}

static inline void sim_run(uint64_t ms)
{
	uint64_t end = sim.now + ms * SIM_US_PER_MS;

	while (sim.events && sim.events->at <= end)
		sim_step();
	sim.now = end;
}

static inline void sim_begin(uint64_t seed)
{
	memset(&sim, 0, sizeof(sim));
	sim.now = UINT64_C(1000000000000);
	sim.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (int i = 0; i < SIM_PROCESSES; i++)
		sim.rate[i] = 1;
}

/* ---- clocks ---- */

static inline uint64_t sim_local_us(int process)
{
	return process < 0 ? sim.now : (uint64_t)((double)sim.now * sim.rate[process]);
}

static inline uint64_t sim_global_us(int process, uint64_t local_us)
{
	return process < 0 ? local_us : (uint64_t)((double)local_us / sim.rate[process]) + 1;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	uint64_t us = sim_local_us(sim.process);

	if (clock != CLOCK_BOOTTIME && clock != CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, t);
	if (clock == CLOCK_REALTIME)
		us = UINT64_C(1700000000000000) + sim_random(UINT64_C(400000000000000));
	t->tv_sec = (time_t)(us / 1000000);
	t->tv_nsec = (long)(us % 1000000) * 1000;
	return 0;
}

uint64_t uv_now(const uv_loop_t *loop)
{
	(void)loop;
	return sim_local_us(sim.process) / SIM_US_PER_MS;
}

void uv_update_time(uv_loop_t *loop)
{
	(void)loop;
}

/* ---- timers ---- */

static inline void sim_fire(void *arg)
{
	uv_timer_t *t = arg;

	t->timer_cb(t);
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *t)
{
	memset(t, 0, sizeof(*t));
	t->loop = loop;
	return 0;
}

int uv_timer_stop(uv_timer_t *t)
{
	sim_remove(sim_fire, t);
	return 0;
}

int uv_timer_start(uv_timer_t *t, uv_timer_cb fn, uint64_t ms, uint64_t repeat)
{
	assert_int_equal(repeat, 0);
	uv_timer_stop(t);
	t->timer_cb = fn;
	sim_at(sim.now + sim_global_us(sim.process, ms * SIM_US_PER_MS), sim.process, sim_fire, t);
	return 0;
}

static inline void sim_close(void *arg)
{
	uv_handle_t *h = arg;

	h->close_cb(h);
}

void uv_close(uv_handle_t *h, uv_close_cb fn)
{
	sim_remove(sim_fire, h);
	h->close_cb = fn;
	if (fn)
		sim_at(sim.now, sim.process, sim_close, h);
}

/* ---- the client ---- */

static inline void sim_time_out(void *arg);

static inline void sim_answer_with(struct kube_call *c, enum kube_result result, int status, const char *body)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_answer a = {
	        .result = result, .status = status, .body = body, .len = body ? strlen(body) : 0};

	if (c->over)
		return;
	c->over = true;
	sim_remove(sim_time_out, c);
	if (result != KUBE_OK) {
		weft_err_set(&err, EIO, "%s %s: %s", c->method, c->path, kube_result_name(result));
		a.err = &err;
	}
	c->on_done(c->ctx, &a);
}

static inline void sim_answer(void *arg)
{
	struct kube_call *c = arg;

	sim_answer_with(c, c->result, c->status, c->answer);
}

static inline void sim_time_out(void *arg)
{
	sim_answer_with(arg, KUBE_NO_ANSWER, 0, NULL);
}

static inline void sim_arrive(void *arg)
{
	struct kube_call *c = arg;

	sim.serve(c);
	if (!c->lost_down)
		sim_at(sim.now + c->down_us, c->process, sim_answer, c);
}

struct kube_call *kube_send(struct kube *k, const struct kube_request *r)
{
	struct kube_call *c = calloc(1, sizeof(*c));
	uint64_t timeout = r->timeout_ms ? r->timeout_ms : KUBE_TIMEOUT_MS;

	(void)k;
	c->next = sim.calls;
	sim.calls = c;
	sim.n_calls++;
	c->process = sim.process;
	snprintf(c->method, sizeof(c->method), "%s", r->method);
	c->path = strdup(r->path);
	c->type = strdup(r->content_type ? r->content_type : "application/json");
	c->body = r->body ? strndup(r->body, r->len) : NULL;
	c->len = r->len;
	c->on_done = r->on_done;
	c->ctx = r->ctx;
	if (sim.network)
		sim.network(c);
	if (!c->lost_up)
		sim_at(sim.now + c->up_us, -1, sim_arrive, c);
	sim_at(sim.now + sim_global_us(sim.process, timeout * SIM_US_PER_MS), sim.process, sim_time_out, c);
	return c;
}

/* What was sent may arrive all the same. */
void kube_cancel(struct kube_call *c)
{
	assert_false(c->over);
	c->over = true;
}

uint64_t kube_backoff(struct kube_backoff *b, const struct kube_answer *a)
{
	(void)a;
	b->failures++;
	return 1000;
}

const char *kube_result_name(enum kube_result r)
{
	return r == KUBE_NO_ANSWER ? "no answer" : "a result";
}

/* What was to be closed is closed, also in a frozen process. */
static inline void sim_end(void)
{
	while (sim.events) {
		struct sim_event *e = sim.events;

		sim.events = e->next;
		if (e->fn == sim_close)
			e->fn(e->arg);
		free(e);
	}
	while (sim.calls) {
		struct kube_call *c = sim.calls;

		sim.calls = c->next;
		free(c->path);
		free(c->type);
		free(c->body);
		free(c->answer);
		free(c);
	}
}

#endif
