// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The difference of two texts, line by line, as `diff -u` shows it.
 */
#ifndef AGENT_PLAN_TEXTDIFF_H
#define AGENT_PLAN_TEXTDIFF_H

#include "weft/buf.h"

/* Nothing is written for equal texts. Texts that differ in very many places are shown as replaced from the first
 * difference to the last. Aborts when memory ends. */
void textdiff(const char *before, const char *after, struct weft_buf *out);

#endif
