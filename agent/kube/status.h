// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the API server means: Status objects, plain-text errors, Retry-After. Inside agent/kube; pure.
 */
#ifndef AGENT_KUBE_STATUS_H
#define AGENT_KUBE_STATUS_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <time.h>

#include "agent/kube/client.h"

#define KUBE_STATUS_TEXT 512

struct kube_status {
	enum kube_result result;
	uint64_t retry_after_ms;     /* 0 = none */
	char reason[64];             /* "NotFound", or HTTP's phrase; never text of an object */
	char text[KUBE_STATUS_TEXT]; /* what it says, for people; "" = nothing */
};

/* An HTTP answer. Bodies that are not Status objects are plain text or nothing. */
void kube_status_answer(int http, const char *body, size_t len, struct kube_status *out);

/* A Status object, as a body or as the object of a watch's ERROR event; `http` is its code where it has none.
 */
void kube_status_object(const cJSON *status, int http, struct kube_status *out);

/*
 * A Retry-After header's value, seconds or a date, in ms; `date` is the answer's own Date, so that our clock
 * does not matter (NULL: it does). 0 = none, or nonsense.
 */
uint64_t kube_retry_after(const char *value, const char *date, time_t now);

#endif
