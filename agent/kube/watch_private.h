// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared by watch.c (what is asked, and when), watch_request.c (how) and watch_read.c (what comes). */
#ifndef AGENT_KUBE_WATCH_PRIVATE_H
#define AGENT_KUBE_WATCH_PRIVATE_H

#include "agent/kube/split.h"
#include "agent/kube/watch.h"

/* What is asked, or will be after a pause. */
enum watch_step {
	STEP_PAGES,   /* LIST, page by page */
	STEP_INITIAL, /* a stream that begins with a listing, up to its end mark; then it is STEP_FOLLOW */
	STEP_FOLLOW,  /* a stream of changes */
};

/* Why a request did not do. */
struct watch_failure {
	enum kube_result result;
	uint64_t retry_after_ms;
	char text[WEFT_ERR_TEXT];
};

struct kube_watch {
	struct kube_watch_options o; /* its texts are copies */
	uv_timer_t timer;            /* of a pause, else the limit of what is awaited */
	bool freed;                  /* kube_watch_free() was called: no callback any more */

	enum watch_step step;
	struct kube_call *call; /* NULL: pausing */
	struct kube_split *split;
	bool open;      /* the answer has begun */
	bool settled;   /* STEP_FOLLOW: it has been open for a while */
	bool nudgeable; /* pausing for nothing but the server's silence */
	bool failed;    /* the stream said so itself: */
	struct watch_failure failure;

	/* The collection */
	char *version; /* where a watch goes on; NULL = not known */
	bool newest;   /* the server refused to list as of `version` or of its cache */
	bool missing, complete;
	char *no_stream; /* the server that has no STEP_INITIAL; NULL = not known of any */

	/* The listing under way */
	bool begun;         /* on_begin was told */
	bool in_one;        /* without a limit, since its continue expired */
	char *list_version; /* of the first page; NULL before */
	char *more;         /* continue; NULL = the first page */

	/* Failures in a row */
	unsigned failures;
	struct kube_backoff backoff;
	unsigned fruitless; /* streams that brought an error and nothing else */
	unsigned brief;     /* streams in a row that ended well before they had settled */
	char trouble[WEFT_ERR_TEXT];

	uint64_t lists, watches, events, expired, heard_ms;
};

/* --- watch_request.c --- */

/* The path with its query, to be freed. `seconds`: timeoutSeconds of a stream. */
char *watch_path(const struct kube_watch *w, unsigned seconds);

/* --- watch_read.c --- */

/* kube_split_fn for all steps. Not 0: the stream is of no use any more, and w->failure says why. */
int watch_take(void *watch, char *text, size_t len);

/* --- watch.c --- */

/* At a listing's first object, or its end. */
void watch_listing_begun(struct kube_watch *w);
/* `version` becomes the watch's. */
void watch_listing_complete(struct kube_watch *w, const char *version);
/* The server does what it should: the row of failures is over, but for the pauses between them. */
void watch_heard(struct kube_watch *w);
void watch_set_version(struct kube_watch *w, const char *version);

#endif
