// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `bird -p -c FILE` in a process of its own, with a time limit: a text that harms BIRD harms only that one.
 */
#ifndef WEFT_APPLY_BIRD_CHECK_H
#define WEFT_APPLY_BIRD_CHECK_H

#include <uv.h>

#include "weft/err.h"

struct bird_check;

/* result: 0 = accepted; -ENOENT = there is no such program; -ETIMEDOUT = it was killed, by the time limit or
 * for its memory, which says nothing about the text; else refused, text = what it printed (first 4 KiB). */
typedef void (*bird_check_fn)(void *ctx, int result, const char *text);

/* fn is called from the loop, once, unless cancelled. */
int bird_check_start(uv_loop_t *loop, const char *binary, const char *file, bird_check_fn fn, void *ctx,
                     struct bird_check **out, struct weft_err *err);

/* No more call; the process is killed and reaped. */
void bird_check_cancel(struct bird_check *c);

#endif
