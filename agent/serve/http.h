// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small HTTP server for probes: libmicrohttpd without a thread of its own, on the daemon's loop.
 *
 * Whatever the method is, a request gets one answer, and its connection ends. A connection may take limit_ms
 * and 8 KiB of headers at most; at most 64 connections per server, more wait in the kernel's queue. No timer
 * runs while there is no connection.
 */
#ifndef AGENT_SERVE_HTTP_H
#define AGENT_SERVE_HTTP_H

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
};

/* Fill the answer to a request for `path` (without its query; untrusted). Don't close the server in it. */
typedef void (*http_answer_fn)(void *ctx, const char *path, struct http_answer *out);

struct http_server;

struct http_config {
	struct weft_addr addr; /* AF_UNSPEC: all of both families, or of IPv4 where the kernel has no IPv6 */
	uint16_t port;
	unsigned limit_ms; /* of a connection, from its first packet to its end */
	http_answer_fn answer;
	void *ctx;
};

int http_open(uv_loop_t *loop, const struct http_config *config, struct http_server **out,
              struct weft_err *err);

/* Ends its connections; the port is free when this returns. Run the loop once more before it is closed. */
void http_close(struct http_server *s);

#endif
