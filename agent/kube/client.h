// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests to the API server: libcurl's multi interface on the libuv loop. Knows HTTP, TLS and Kubernetes'
 * errors, and nothing of objects.
 *
 * - A call goes to the current server; when that gives no answer at all (refused, TLS failure, silence) the
 * next call goes to the next one. Calls are not repeated here: who asked knows whether it may ask again, and
 * kube_backoff() tells when.
 * - TLS is verified always (CA of the access, name or address in the certificate). TLS 1.2 or newer. HTTP/2
 * where ALPN offers it, else 1.1 with keep-alive. gzip is asked for, except for streams without an end (never
 * compressed).
 * - Credential files are looked at (stat) before a call and read again when they changed; after a 401 they
 * are read in any case. Connections that were opened with another client certificate or CA are not used
 * again.
 * - A half-open connection is noticed by TCP keep-alive and TCP_USER_TIMEOUT, and by idle_ms. Time is
 * monotonic: clock jumps change nothing.
 * - What comes is bounded: an answer's body by max_body (default KUBE_MAX_BODY), a header by libcurl.
 */
#ifndef AGENT_KUBE_CLIENT_H
#define AGENT_KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/kube/access.h"
#include "weft/err.h"

#define KUBE_MAX_BODY   ((size_t)8 << 20)
#define KUBE_TIMEOUT_MS 30000

struct kube;
struct kube_call;

/* What an answer means. A Status object's reason counts more than the HTTP status. */
enum kube_result {
	KUBE_OK,
	KUBE_NOT_FOUND,      /* 404, Status or plain text */
	KUBE_ALREADY_EXISTS, /* 409 AlreadyExists */
	KUBE_CONFLICT,       /* 409 otherwise */
	KUBE_EXPIRED,        /* 410; reason Expired or Gone */
	KUBE_TOO_NEW,        /* 504, cause ResourceVersionTooLarge */
	KUBE_THROTTLED,      /* 429 */
	KUBE_UNAUTHORIZED,   /* 401 */
	KUBE_FORBIDDEN,      /* 403 */
	KUBE_REFUSED,        /* other 4xx: what we sent is wrong; asking again does not help */
	KUBE_SERVER_ERROR,   /* 5xx */
	KUBE_NO_ANSWER,      /* connection, TLS, time limit, cut off */
	KUBE_NONSENSE,       /* an answer that is none of the API's, or too large; on_data refused */
};

struct kube_answer {
	enum kube_result result;
	int status;       /* HTTP's; 0 = none came */
	const char *body; /* NUL-terminated; NULL when it was streamed */
	size_t len;
	uint64_t retry_after_ms;    /* the server's wish; 0 = none */
	const struct weft_err *err; /* NULL when KUBE_OK; one sentence: METHOD path, server, what it said */
};

struct kube_request {
	const char *method;       /* "GET", "POST", "PUT", "PATCH", "DELETE" */
	const char *path;         /* "/api/v1/nodes?limit=500", encoded */
	const char *content_type; /* with a body; NULL = application/json */
	const char *body;         /* copied; NULL = none */
	size_t len;
	uint64_t timeout_ms; /* for all of it; 0 = KUBE_TIMEOUT_MS, UINT64_MAX = no end (a watch) */
	uint64_t idle_ms;    /* no byte for so long ends it as KUBE_NO_ANSWER; 0 = no such limit */
	size_t max_body;     /* 0 = KUBE_MAX_BODY; of what is collected, not of what is streamed */
	bool secret;         /* buffers are wiped, the body is never logged */
	/* A 2xx answer has begun (a watch without events is silent for minutes); NULL = of no interest. */
	void (*on_open)(void *ctx);
	/* A 2xx answer's body piece by piece; not 0: the call ends as KUBE_NONSENSE. NULL = it is collected
	 * for on_done. */
	int (*on_data)(void *ctx, const char *data, size_t len);
	/* Once, always later than kube_send(). The call is gone when it returns. */
	void (*on_done)(void *ctx, const struct kube_answer *a);
	void *ctx;
};

/* access is copied in depth. user_agent: "weftd/0.1". */
int kube_new(uv_loop_t *loop, const struct kube_access *access, const char *user_agent, struct kube **out,
             struct weft_err *err);

/* Never NULL: what can't even be begun comes as KUBE_NO_ANSWER to on_done. */
struct kube_call *kube_send(struct kube *k, const struct kube_request *r);

/* Without a callback. Allowed in on_open and on_data of the call itself (which then returns 0) and anywhere
 * else on the loop before on_done. */
void kube_cancel(struct kube_call *c);

/* Cancels what is under way; closes its handles on the loop. */
void kube_free(struct kube *k);

const char *kube_result_name(enum kube_result r);

#define KUBE_CODES 600 /* HTTP's statuses are below */

/* How the client is: for `weftctl status` and metrics. */
struct kube_health {
	const char *server;           /* the current one */
	uint64_t last_answer_ms;      /* uv_now() of the last answer of any kind; 0 = never */
	char error[WEFT_ERR_TEXT];    /* of the last call without an answer, "" since one came */
	uint64_t requests, failures;  /* since the start; failures = no answer */
	uint64_t bytes_in;            /* headers, and bodies after unpacking */
	uint32_t answers[KUBE_CODES]; /* by status: final headers that came */
};
void kube_health(const struct kube *k, struct kube_health *out);

/*
 * When to try again: exponential from 250 ms (first) to 30 s (KUBE_FORBIDDEN and KUBE_UNAUTHORIZED from 500
 * ms too: a starting server says so to valid users), with jitter of 0.5 to 1, never before retry_after_ms
 * (bounded to 5 minutes).
 */
#define KUBE_BACKOFF_FIRST_MS 250
#define KUBE_BACKOFF_MAX_MS   30000
struct kube_backoff {
	unsigned failures; /* in a row; the owner sets 0 after a success */
};
uint64_t kube_backoff(struct kube_backoff *b, const struct kube_answer *a);

#endif
