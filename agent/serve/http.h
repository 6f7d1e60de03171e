// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small HTTP server for probes: libmicrohttpd without a thread of its own, on the daemon's loop.
 *
 * Whatever the method is, a request gets one answer, and its connection ends. The answer may have to wait for
 * somebody else: then the connection is suspended until http_resume(), which asks for the answer again. A connection may take limit_ms
 * and 8 KiB of headers at most; at most 64 connections per server, more wait in the kernel's queue. No timer
 * runs while there is no connection.
 */
#ifndef AGENT_SERVE_HTTP_H
#define AGENT_SERVE_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "weft/addr.h"
#include "weft/buf.h"
#include "weft/err.h"

#define HTTP_CONNECTIONS  64
#define HTTP_HEADER_BYTES 8192

struct http_answer {
	unsigned status;
	const char *type;      /* Content-Type, a constant */
	const char *name;      /* one more header, a constant; NULL = none */
	char value[24];        /* of that header */
	struct weft_buf *body; /* empty; fill it */
	bool later;            /* not yet: asked again after http_resume(); only with http_config.later */
};

/* Fill the answer to a request for `path` (without its query; untrusted). Neither close the server in it nor
 * call http_resume(). */
typedef void (*http_answer_fn)(void *ctx, const char *path, struct http_answer *out);

struct http_server;

struct http_config {
	struct weft_addr addr; /* AF_UNSPEC: all of both families, or of IPv4 where the kernel has no IPv6 */
	uint16_t port;
	unsigned limit_ms; /* of a connection, from its first packet to its end */
	http_answer_fn answer;
	void *ctx;
	bool later; /* answers may come later */
};

int http_open(uv_loop_t *loop, const struct http_config *config, struct http_server **out,
              struct weft_err *err);

/* Ask again for the answers that are to come later. */
void http_resume(struct http_server *s);

/* Ends its connections; the port is free when this returns. Run the loop once more before it is closed. */
void http_close(struct http_server *s);

#endif
