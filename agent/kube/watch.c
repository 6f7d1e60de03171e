// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is asked next. At any time there is one call under way, or a pause.
 *
 *	relist() --> STEP_INITIAL or STEP_PAGES ... watch_listing_complete() --> STEP_FOLLOW, again and again
 *	                   |  failure                                               |  failure
 *	                   +--> pause, relist()                                     +--> pause, the same
 *	                                                                                 or relist()
 *
 * The timer is a pause's end, and otherwise:
 * - a stream that does not open within ANSWER_MS is given up;
 * - a stream that was to begin with a listing and says nothing for QUIET_MS before the end mark comes from a
 *   server that did not understand: LIST is used there from then on;
 * - a stream of changes that has been open for SETTLED_MS has ended the row of failures. One that ends before
 *   is a failure itself, even if it ends well: no server can make this a busy loop.
 *
 * Times are the loop's, which are monotonic. Memory goes when the timer has closed, in a later phase of the
 * loop than any callback from which kube_watch_free() may have been called.
 */
#include "agent/kube/watch_private.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"

#define WATCH_MIN_S   300
#define ANSWER_MS     KUBE_TIMEOUT_MS
#define QUIET_MS      10000
#define SILENCE_MS    30000 /* of a stream, after the end that was agreed */
#define SETTLED_MS    1000
#define LIST_MS       300000
#define MISSING_MS    KUBE_BACKOFF_MAX_MS
#define FRUITLESS_MAX 3
#define TROUBLE_AFTER 2 /* failures in a row */
#define RELIST_SPREAD 2 /* failures that a relist counts as at least: up to 2 s */

static void go(struct kube_watch *w);
static void on_timer(uv_timer_t *timer);

/* --- small matters --- */

static void set_text(char **to, const char *text)
{
	char *copy = text ? must_strdup(text) : NULL;

	free(*to);
	*to = copy;
}

void watch_set_version(struct kube_watch *w, const char *version)
{
	if (version && *version)
		set_text(&w->version, version);
}

static uint64_t bound(uint64_t ms, uint64_t most)
{
	return most && ms > most ? most : ms;
}

/* Limits of what a server may take its time for. */
static uint64_t patience(const struct kube_watch *w, uint64_t ms)
{
	return bound(ms, (uint64_t)w->o.watch_s * 1000);
}

static void set_timer(struct kube_watch *w, uint64_t ms)
{
	uv_timer_start(&w->timer, on_timer, ms, 0);
}

static void set_trouble(struct kube_watch *w, const char *text)
{
	if (w->freed || !strcmp(w->trouble, text))
		return;
	snprintf(w->trouble, sizeof(w->trouble), "%s", text);
	w->o.cb.on_trouble(w->o.ctx, w->trouble);
}

static void set_missing(struct kube_watch *w, bool missing)
{
	if (w->freed || w->missing == missing)
		return;
	w->missing = missing;
	w->o.cb.on_missing(w->o.ctx, missing);
}

/* --- pauses --- */

static void pause_for(struct kube_watch *w, uint64_t ms)
{
	if (!w->freed)
		set_timer(w, bound(ms, w->o.retry_ms));
}

static uint64_t backoff(struct kube_watch *w, const struct watch_failure *f)
{
	struct kube_answer a = {.result = f->result, .retry_after_ms = f->retry_after_ms};

	return kube_backoff(&w->backoff, &a);
}

/* w->step is what is tried again. */
static void retry(struct kube_watch *w, const struct watch_failure *f)
{
	uint64_t ms = backoff(w, f);

	w->nudgeable = f->result == KUBE_NO_ANSWER;
	pause_for(w, ms);
	if (++w->failures >= TROUBLE_AFTER)
		set_trouble(w, f->text);
}

void watch_heard(struct kube_watch *w)
{
	w->failures = w->fruitless = 0;
	set_trouble(w, "");
}

/* --- listings --- */

static bool streams(const struct kube_watch *w)
{
	struct kube_health health;

	kube_health(w->o.client, &health);
	return !w->no_stream || strcmp(w->no_stream, health.server) != 0;
}

/* From the start: what a listing has told so far counts for nothing. */
static void relist(struct kube_watch *w)
{
	w->begun = false;
	set_text(&w->more, NULL);
	set_text(&w->list_version, NULL);
	w->step = streams(w) ? STEP_INITIAL : STEP_PAGES;
}

static void relist_now(struct kube_watch *w)
{
	relist(w);
	go(w);
}

static void relist_later(struct kube_watch *w, const struct watch_failure *f)
{
	relist(w);
	retry(w, f);
}

/* 410 is no trouble. A server that restarts tells all agents so at the same time: they are spread. */
static void relist_spread(struct kube_watch *w, const struct watch_failure *f)
{
	uint64_t ms;

	relist(w);
	if (w->backoff.failures < RELIST_SPREAD)
		w->backoff.failures = RELIST_SPREAD;
	ms = backoff(w, f);
	w->nudgeable = false;
	pause_for(w, randombytes_uniform((uint32_t)(2 * ms) + 1));
}

void watch_listing_begun(struct kube_watch *w)
{
	set_missing(w, false);
	if (w->freed || w->begun)
		return;
	w->begun = true;
	w->o.cb.on_begin(w->o.ctx);
}

void watch_listing_complete(struct kube_watch *w, const char *version)
{
	watch_listing_begun(w);
	watch_set_version(w, version);
	w->complete = true;
	w->newest = w->in_one = false;
	w->step = STEP_FOLLOW;
	set_timer(w, bound(SETTLED_MS, w->o.retry_ms));
	watch_heard(w);
	if (!w->freed)
		w->o.cb.on_complete(w->o.ctx, w->version);
}

/* The collection itself is not there. */
static void missing(struct kube_watch *w)
{
	set_text(&w->version, NULL);
	w->newest = w->in_one = false;
	relist(w);
	w->nudgeable = false;
	pause_for(w, MISSING_MS / 2 + randombytes_uniform(MISSING_MS / 2));
	set_trouble(w, "");
	set_missing(w, true);
}

/* --- ends of calls --- */

static void page_done(struct kube_watch *w, const char *version, const char *more)
{
	if (!w->list_version)
		set_text(&w->list_version, version);
	set_text(&w->more, *more ? more : NULL);
	if (!w->more)
		watch_listing_complete(w, w->list_version);
	if (!w->freed)
		go(w);
}

static void pages_failed(struct kube_watch *w, const struct watch_failure *f)
{
	bool expired = f->result == KUBE_EXPIRED;

	w->expired += expired;
	if (f->result == KUBE_NOT_FOUND) {
		missing(w);
	} else if (expired && w->more) {
		w->in_one = true;
		relist_now(w);
	} else if (expired && !w->newest) {
		w->newest = true;
		relist_now(w);
	} else {
		w->newest |= f->result == KUBE_TOO_NEW || f->result == KUBE_REFUSED;
		relist_later(w, f);
	}
}

static void no_stream_here(struct kube_watch *w)
{
	struct kube_health health;

	kube_health(w->o.client, &health);
	set_text(&w->no_stream, health.server);
	relist_now(w);
}

static void initial_failed(struct kube_watch *w, const struct watch_failure *f)
{
	switch (f->result) {
	case KUBE_OK: /* it ended without an end mark */
	case KUBE_REFUSED:
		no_stream_here(w);
		break;
	case KUBE_NOT_FOUND:
		missing(w);
		break;
	case KUBE_EXPIRED:
		w->expired++;
		w->newest = true;
		relist_spread(w, f);
		break;
	default:
		w->newest |= f->result == KUBE_TOO_NEW;
		relist_later(w, f);
	}
}

static void follow_failed(struct kube_watch *w, struct watch_failure *f)
{
	switch (f->result) {
	case KUBE_OK:
		if (w->settled) {
			go(w);
			return;
		}
		/* It did open: failures before that, of an outage say, make no long pause now. */
		w->backoff.failures = w->brief++;
		snprintf(f->text, sizeof(f->text), "GET %.200s: the watch ends as soon as it begins",
		         w->o.path);
		retry(w, f);
		break;
	case KUBE_NOT_FOUND:
		missing(w);
		break;
	case KUBE_EXPIRED:
		w->expired++;
		relist_spread(w, f);
		break;
	case KUBE_TOO_NEW:
	case KUBE_REFUSED:
		w->newest = true;
		relist_later(w, f);
		break;
	default:
		if (w->failed && ++w->fruitless >= FRUITLESS_MAX)
			relist_later(w, f);
		else
			retry(w, f);
	}
}

static bool has_version(const struct kube_split *split)
{
	const char *version = kube_split_version(split);

	return version && *version;
}

/* What became of the call; the splitter and the stream itself know better than the client. */
static void judge(struct kube_watch *w, const struct kube_answer *a, struct watch_failure *f)
{
	struct weft_err err = WEFT_ERR_INIT;

	*f = (struct watch_failure){.result = a->result, .retry_after_ms = a->retry_after_ms};
	if (a->err)
		snprintf(f->text, sizeof(f->text), "%s", a->err->text);
	if (w->failed)
		*f = w->failure;
	else if (a->result == KUBE_OK && kube_split_end(w->split, &err) < 0)
		snprintf(f->text, sizeof(f->text), "GET %.200s: %.500s", w->o.path, err.text);
	else if (a->result == KUBE_OK && w->step == STEP_PAGES && !has_version(w->split))
		snprintf(f->text, sizeof(f->text), "GET %.200s: a list without a resourceVersion", w->o.path);
	if (f->result == KUBE_OK && *f->text)
		f->result = KUBE_NONSENSE;
}

static void ended(struct kube_watch *w, struct watch_failure *f)
{
	struct kube_split *split = w->split;

	w->split = NULL;
	w->call = NULL;
	w->open = false;
	uv_timer_stop(&w->timer);
	if (w->step == STEP_FOLLOW)
		follow_failed(w, f);
	else if (w->step == STEP_INITIAL)
		initial_failed(w, f);
	else if (f->result == KUBE_OK)
		page_done(w, kube_split_version(split), kube_split_continue(split));
	else
		pages_failed(w, f);
	kube_split_free(split);
}

static void on_done(void *ctx, const struct kube_answer *a)
{
	struct kube_watch *w = ctx;
	struct watch_failure f;

	judge(w, a, &f);
	ended(w, &f);
}

/* --- calls --- */

static void on_open(void *ctx)
{
	struct kube_watch *w = ctx;

	w->heard_ms = uv_now(w->o.loop);
	if (w->open)
		return;
	w->open = true;
	if (w->step == STEP_INITIAL)
		set_timer(w, patience(w, QUIET_MS));
	else if (w->step == STEP_FOLLOW)
		set_timer(w, bound(SETTLED_MS, w->o.retry_ms));
}

static int on_data(void *ctx, const char *data, size_t len)
{
	struct kube_watch *w = ctx;
	struct weft_err err = WEFT_ERR_INIT;
	int ret;

	w->heard_ms = uv_now(w->o.loop);
	if (w->step == STEP_INITIAL)
		set_timer(w, patience(w, QUIET_MS));
	ret = kube_split_feed(w->split, data, len, &err);
	if (w->freed)
		return 0;
	if (ret < 0 && !w->failed) {
		w->failed = true;
		w->failure = (struct watch_failure){.result = KUBE_NONSENSE};
		snprintf(w->failure.text, sizeof(w->failure.text), "GET %.200s: %.500s", w->o.path, err.text);
	}
	return ret;
}

static void ask(struct kube_watch *w, unsigned seconds)
{
	bool is_list = w->step == STEP_PAGES;
	weft_autofree char *path = watch_path(w, seconds);
	struct kube_request r = {.method = "GET",
	                         .path = path,
	                         .secret = w->o.secret,
	                         .timeout_ms = is_list ? LIST_MS : UINT64_MAX,
	                         .idle_ms = is_list ? ANSWER_MS : seconds * 1000ULL + patience(w, SILENCE_MS),
	                         .on_open = on_open,
	                         .on_data = on_data,
	                         .on_done = on_done,
	                         .ctx = w};

	w->split = kube_split_new(is_list ? KUBE_LIST : KUBE_WATCH, watch_take, w);
	if (!w->split)
		abort(); /* a restart adopts everything */
	w->call = kube_send(w->o.client, &r);
	if (!is_list)
		set_timer(w, patience(w, ANSWER_MS));
}

static void go(struct kube_watch *w)
{
	unsigned seconds = w->o.watch_s ? w->o.watch_s : WATCH_MIN_S + randombytes_uniform(WATCH_MIN_S + 1);

	w->nudgeable = w->open = w->settled = w->failed = false;
	w->watches += w->step == STEP_FOLLOW;
	w->lists += w->step == STEP_INITIAL || (w->step == STEP_PAGES && !w->more);
	ask(w, seconds);
}

static void give_up(struct kube_watch *w, enum kube_result result, const char *why)
{
	struct watch_failure f = {.result = result};

	snprintf(f.text, sizeof(f.text), "GET %.200s: %s", w->o.path, why);
	kube_cancel(w->call);
	w->failed = true;
	ended(w, &f);
}

static void on_timer(uv_timer_t *timer)
{
	struct kube_watch *w = timer->data;

	if (!w->call) {
		go(w);
	} else if (!w->open) {
		give_up(w, KUBE_NO_ANSWER, "the server does not answer");
	} else if (w->step == STEP_INITIAL) {
		give_up(w, KUBE_OK, "no end mark");
	} else {
		w->settled = true;
		w->backoff.failures = w->brief = 0;
		watch_heard(w);
	}
}

/* --- interface --- */

struct kube_watch *kube_watch_new(const struct kube_watch_options *o)
{
	struct kube_watch *w = must_alloc(1, sizeof(*w));

	w->o = *o;
	w->o.path = must_strdup(o->path);
	w->o.selector = o->selector ? must_strdup(o->selector) : NULL;
	uv_timer_init(o->loop, &w->timer);
	w->timer.data = w;
	relist(w);
	set_timer(w, 0);
	return w;
}

void kube_watch_nudge(struct kube_watch *w)
{
	if (w->nudgeable && !w->call)
		set_timer(w, 0);
}

static void on_closed(uv_handle_t *handle)
{
	struct kube_watch *w = handle->data;

	kube_split_free(w->split);
	free((char *)w->o.path);
	free((char *)w->o.selector);
	free(w->version);
	free(w->no_stream);
	free(w->list_version);
	free(w->more);
	free(w);
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w || w->freed)
		return;
	w->freed = true;
	if (w->call)
		kube_cancel(w->call);
	w->call = NULL;
	uv_close((uv_handle_t *)&w->timer, on_closed);
}

void kube_watch_state(const struct kube_watch *w, struct kube_watch_state *out)
{
	*out = (struct kube_watch_state){.complete = w->complete,
	                                 .following = w->call && w->open && w->step == STEP_FOLLOW,
	                                 .version = w->version ? w->version : "",
	                                 .lists = w->lists,
	                                 .watches = w->watches,
	                                 .events = w->events,
	                                 .expired = w->expired,
	                                 .heard_ms = w->heard_ms,
	                                 .trouble = w->trouble};
}
