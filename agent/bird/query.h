// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions to BIRD on a connection of their own.
 *
 * What people ask for can be long (a full table), and wrong. It must not stand in the way of `configure`, nor be
 * the end of the connection by which weftd knows that BIRD lives (ctl.h). So each query connects, asks its
 * commands one after another, hands on the lines as they come, and hangs up. A restricted query begins with
 * BIRD's own command `restrict`: BIRD then refuses whatever would change anything.
 *
 * Everything runs on the loop's thread.
 */
#ifndef WEFT_BIRD_QUERY_H
#define WEFT_BIRD_QUERY_H

#include <stdbool.h>
#include <uv.h>

#include "weft/err.h"

#include "agent/bird/reply.h"

#define BIRD_QUERY_COMMANDS    512
#define BIRD_QUERY_COMMAND_MAX 1024 /* bytes */

struct bird_query_options {
	uv_loop_t *loop;
	const char *socket;          /* copied */
	const char *const *commands; /* copied */
	size_t n_commands;           /* at most BIRD_QUERY_COMMANDS */
	bool restricted;
	uint64_t timeout_ms; /* for all of it */

	/* A line of the reply to commands[command]. False: no more lines of this query, which ends well. */
	bool (*on_line)(void *ctx, size_t command, const struct bird_line *line);
	/* Once, also before bird_query() returns; err = NULL: every reply was read, or no more was wanted. */
	void (*on_done)(void *ctx, const struct weft_err *err);
	void *ctx;
};

/* An 8xxx or 9xxx reply is no failure of the query: on_line sees it, and the next command follows. */
void bird_query(const struct bird_query_options *o);

/* A text that is one command: printable ASCII, not empty, no longer than BIRD_QUERY_COMMAND_MAX; and no quoted text
 * of a length that kills a BIRD (guard.h). */
int bird_query_check(const char *command, struct weft_err *err);

#endif
