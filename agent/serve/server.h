// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon's unix socket, for weftctl and weft-cni.
 *
 * One request per line, one reply per line, in order (agent/serve/protocol.h has the format). The server
 * lives on the daemon's libuv loop and never blocks it: what a client sends is bounded, what it doesn't
 * read stays in that client's own queue, and a client that is idle, slow or gone loses its connection.
 * A client's next request is looked at only when the reply before it has been written.
 *
 * Only root and the daemon's own user get answers (SO_PEERCRED), whatever the file's mode says.
 *
 * Single-threaded: every function is called on the loop's thread.
 */
#ifndef AGENT_SERVE_SERVER_H
#define AGENT_SERVE_SERVER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <uv.h>

#include "weft/err.h"

struct serve_server;  /* one listening socket with its clients */
struct serve_request; /* a request that is answered later */

/* Zero in a field means the default behind it. Times are milliseconds. */
struct serve_limits {
	unsigned clients;    /* 64: connections at a time; one more is refused with EBUSY */
	unsigned request;    /* 65536: bytes of a request line */
	unsigned idle_ms;    /* 60000: without a complete request, or with a reply that isn't read */
	unsigned handler_ms; /* 30000: for an asynchronous handler; then the client gets ETIMEDOUT */
};

/*
 * Listen on path: file mode 0600; the folder is made with mode 0750 when absent. A socket file that nobody
 * listens on (a daemon was killed) is replaced. -EADDRINUSE when a daemon listens: the text has its pid.
 * -EEXIST when the path is no socket. Ignores SIGPIPE for the process: clients hang up.
 */
int serve_open(struct serve_server **out, uv_loop_t *loop, const char *path,
               const struct serve_limits *limits, struct weft_err *err);

/*
 * Stop listening, drop every client, remove the socket file if it is still ours. The memory goes when the
 * loop has run the close callbacks; don't use `s` afterwards. Requests that are held may still be completed.
 */
void serve_close(struct serve_server *s);

/*
 * Answer a request. `args` is the whole request object (`cmd` and what came with it), borrowed for the call
 * and as untrusted as the client: check every type and length.
 *
 *	0		*result is the answer; ownership passes to the server (NULL: an empty object)
 *	negative	failed, err says why: the client gets its text and code
 *	SERVE_LATER	the handler keeps `req` and completes it later, exactly once
 */
typedef int (*serve_handler_fn)(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                                struct weft_err *err);
#define SERVE_LATER 1

/*
 * Route requests {"cmd": name} to a handler. name: [a-z0-9-]+, at most 32 bytes; name and help must outlive
 * the server. `help` is one line, shown by the built-in command `help`. -EEXIST for a second handler of one
 * name, -ENOSPC above 32 commands.
 */
int serve_register(struct serve_server *s, const char *name, serve_handler_fn handler, void *ctx,
                   const char *help);

/*
 * Complete a held request; it is freed. Harmless when the client is gone, the time-out struck or the server
 * was closed. serve_reply takes ownership of result.
 */
void serve_reply(struct serve_request *req, cJSON *result);
void serve_fail(struct serve_request *req, const struct weft_err *err);

/* Whether somebody still waits for the answer: a handler can save itself the work. */
bool serve_wanted(const struct serve_request *req);

#endif
