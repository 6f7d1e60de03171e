// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shared by client.c (life of calls), request.c (what libcurl is told) and answer.c (what it tells).
 */
#ifndef AGENT_KUBE_CLIENT_PRIVATE_H
#define AGENT_KUBE_CLIENT_PRIVATE_H

#include "agent/kube/client.h"
#include "agent/kube/credentials.h"
#include "agent/kube/curl.h"
#include "agent/kube/sockets.h"

struct kube_buffer {
	char *data; /* NULL until something came */
	size_t len, cap;
};

struct kube_call {
	struct kube_call *prev, *next; /* of kube.queue or kube.running */
	struct kube *kube;

	/* The request; texts are copies. */
	char *method, *path, *content_type, *body;
	size_t body_len, max_body;
	uint64_t timeout_ms, idle_ms;
	bool secret;
	void (*on_open)(void *ctx);
	int (*on_data)(void *ctx, const char *data, size_t len);
	void (*on_done)(void *ctx, const struct kube_answer *a);
	void *ctx;

	/* The transfer, from its begin on. */
	struct kube_net *net; /* NULL: in the queue */
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct kube_identity *identity;
	size_t server;
	uint64_t started_ms, heard_ms; /* uv_now(); heard: of the last byte */
	unsigned attempts;             /* how often libcurl was about to send it */
	bool cancelled;                /* within libcurl: turn() takes it away */
	bool doomed;                   /* to be ended by turn(): curl_error says why */
	bool silent;                   /* doomed because the server said nothing more */
	bool last_chance;              /* over its limit; sockets are looked at once more */
	const char *refusal;           /* what was wrong with the answer; NULL = nothing so far */

	/* The answer */
	int status; /* once all of its header is here */
	size_t header_len;
	bool framed; /* its end is marked: a cut can be told */
	char retry_after[64], date[64];
	struct kube_buffer in;
	char curl_error[CURL_ERROR_SIZE];
	struct weft_err err;
};

struct kube {
	uv_loop_t *loop;
	const struct kube_curl *curl;
	struct kube_access access;
	struct kube_credentials credentials;
	char *user_agent;
	size_t server; /* the current one */
	/* New calls go to net; older ones are there until their last call ended. */
	struct kube_net *net;
	struct kube_old_net {
		struct kube_old_net *next;
		struct kube_net *net;
	} * old;
	struct kube_call *queue, *running;
	uv_timer_t timer;
	bool turning; /* within turn() */
	bool in_data; /* within on_open or on_data, and so within libcurl */
	bool dead;    /* kube_free() was called meanwhile */
	struct kube_health health;
};

/* Make the easy handle; what is wrong is in c->curl_error when it fails. */
bool kube_request_prepare(struct kube_call *c);
/* Give back what the transfer had; it is in no net any more. */
void kube_request_drop(struct kube_call *c);

/* libcurl's callbacks; userdata is the call. */
size_t kube_answer_header(char *data, size_t one, size_t len, void *call);
size_t kube_answer_data(char *data, size_t one, size_t len, void *call);

/* What became of it. The texts of the answer are the call's. */
void kube_answer_make(struct kube_call *c, CURLcode code, struct kube_answer *out);
void kube_answer_drop(struct kube_call *c);

#endif
