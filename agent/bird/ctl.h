// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of BIRD's control socket on the event loop.
 *
 * It keeps one connection open for as long as BIRD lives, so that BIRD's death is known at once (end of file)
 * and an idle agent never wakes up. While BIRD is absent it tries again: after 200 ms, then doubling up to 5
 * s. Commands are queued and sent one at a time, because replies are matched by order alone; a command
 * without an answer for 15 s closes the connection, which fails all commands that wait.
 *
 * Everything runs on the loop's thread. Callbacks may call bird_ctl_command(), never bird_ctl_free().
 */
#ifndef WEFT_BIRD_CTL_H
#define WEFT_BIRD_CTL_H

#include <uv.h>

#include "weft/err.h"

#include "agent/bird/reply.h"
#include "agent/bird/show.h"

struct bird_ctl;

/* Does nobody listen on the socket, so that no BIRD runs? Any other trouble with it says nothing: false. */
bool bird_ctl_deserted(const char *socket_path);

/* Exactly once per command. reply is valid during the call; NULL when err says why there is none. */
typedef void (*bird_reply_fn)(void *ctx, const struct bird_reply *reply, const struct weft_err *err);

/* version is NULL when BIRD went away, err then says how. Called on each change, also for the first failure
 * to connect. */
typedef void (*bird_state_fn)(void *ctx, const struct bird_version *version, const struct weft_err *err);

/* Begins to connect at once. The path is copied. */
int bird_ctl_new(uv_loop_t *loop, const char *socket_path, bird_state_fn on_state, void *ctx,
                 struct bird_ctl **out, struct weft_err *err);

/* NULL is fine. Commands that wait fail with -ECANCELED; memory goes when the loop has closed the handles. */
void bird_ctl_free(struct bird_ctl *c);

/* command: one line without the newline. With no connection fn is called at once, with -ENOTCONN. */
void bird_ctl_command(struct bird_ctl *c, const char *command, bird_reply_fn fn, void *ctx);

/* NULL = not connected. */
const struct bird_version *bird_ctl_version(const struct bird_ctl *c);

#endif
