// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/hold_watch.h"

#include <stdlib.h>
#include <string.h>

/* All in milliseconds. */
#define AFTER      5    /* BIRD's timer has fired by then */
#define UNANSWERED 5000 /* BIRD is away, or was while it was asked */

/* BIRD takes up to a quarter off at random (RFC 4271, 10), each time that it starts the timer. */
#define SHORTEST(hold_s) ((hold_s) * (uint64_t)750)
#define LEAST_HOLD       3 /* seconds; that a session not yet there may agree on (RFC 4271, 4.2) */

typedef char session_name[BGP_PROTOCOL_NAME_MAX + 1];

struct hold_watch {
	struct bird_apply *bird;
	uv_timer_t timer;
	session_name *sessions; /* without BFD, sorted */
	size_t n;
	bool asking;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool watched(const struct hold_watch *w, const char *session)
{
	return bsearch(session, w->sessions, w->n, sizeof(*w->sessions), by_name) != NULL;
}

/* When its hold timer may expire: the one that runs now, or one that is started right after this answer. */
static uint64_t earliest_end(const struct bird_proto *p)
{
	uint64_t renewed = SHORTEST(p->hold_time);

	return p->hold_left < renewed ? p->hold_left : renewed;
}

static uint64_t next_look(const struct hold_watch *w, const struct bird_protos *protos)
{
	uint64_t wait = UINT64_MAX - AFTER;
	size_t timed = 0;

	for (size_t i = 0; i < protos->count; i++) {
		const struct bird_proto *p = &protos->list[i];

		if (!p->hold_time || !bird_proto_established(p) || !watched(w, p->name))
			continue;
		timed++;
		if (earliest_end(p) < wait)
			wait = earliest_end(p);
	}
	if (timed < w->n && wait > SHORTEST(LEAST_HOLD))
		wait = SHORTEST(LEAST_HOLD);
	return wait + AFTER;
}

static void on_time(uv_timer_t *t)
{
	hold_watch_look(t->data);
}

static void on_protocols(void *ctx, const struct bird_protos *protos, const struct weft_err *err)
{
	struct hold_watch *w = ctx;

	(void)err; /* status says what is wrong with BIRD */
	w->asking = false;
	if (w->n)
		uv_timer_start(&w->timer, on_time, protos ? next_look(w, protos) : UNANSWERED, 0);
}

static bool sleeps_on(const struct bird_version *v)
{
	return v->major < 2 || (v->major == 2 && v->minor < 14);
}

void hold_watch_look(struct hold_watch *w)
{
	const struct bird_version *v = bird_apply_version(w->bird);

	uv_timer_stop(&w->timer);
	if (w->asking || !w->n || (v && !sleeps_on(v)))
		return;
	if (!v) {
		uv_timer_start(&w->timer, on_time, UNANSWERED, 0);
		return;
	}
	w->asking = true;
	bird_apply_protocols(w->bird, on_protocols, w);
}

void hold_watch_take(struct hold_watch *w, const struct bgp_model *model)
{
	session_name *fresh = calloc(model->n_peers + 1, sizeof(*fresh));
	size_t n = 0;

	if (!fresh)
		return; /* the former ones are watched until the next change */
	for (size_t i = 0; i < model->n_peers; i++)
		if (!model->peers[i].reason[0] && !model->peers[i].bfd)
			strcpy(fresh[n++], model->peers[i].protocol);
	qsort(fresh, n, sizeof(*fresh), by_name);
	if (n == w->n && (!n || !memcmp(fresh, w->sessions, n * sizeof(*fresh)))) {
		free(fresh);
		return;
	}
	free(w->sessions);
	w->sessions = fresh;
	w->n = n;
	hold_watch_look(w);
}

struct hold_watch *hold_watch_new(uv_loop_t *loop, struct bird_apply *bird)
{
	struct hold_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->bird = bird;
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	return w;
}

static void on_closed(uv_handle_t *h)
{
	struct hold_watch *w = h->data;

	free(w->sessions);
	free(w);
}

void hold_watch_free(struct hold_watch *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->timer, on_closed);
}
