// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel settings under /proc/sys, of the network namespace we are in.
 *
 * A setting is written only when it differs. What was there before is first recorded in a file (crash-safe;
 * the first former value wins, over all restarts), so that sysctl_cleanup() can put it back.
 * Paths are relative to /proc/sys: "net/ipv4/ip_forward". Values are short texts without newline.
 */
#ifndef WEFT_APPLY_SYSCTL_H
#define WEFT_APPLY_SYSCTL_H

#include <stdbool.h>

#include "weft/err.h"

#define SYSCTL_PATH_MAX  128
#define SYSCTL_VALUE_MAX 64

struct sysctl;

/*
 * record: the file of former values (stateDir/sysctl.json), read if it is there. A record that cannot be read
 * is an error: going on would lose former values. root: "/proc/sys". NULL on failure.
 */
struct sysctl *sysctl_new(const char *record, const char *root, struct weft_err *err);
void sysctl_free(struct sysctl *s);

/*
 * optional: a path that does not exist is fine (a device that is not there yet, a module not loaded).
 * -EINVAL: a path with "..", an empty, absolute or too long one; a value with control characters.
 */
int sysctl_want(struct sysctl *s, const char *path, const char *value, bool optional, struct weft_err *err);
void sysctl_unwant(struct sysctl *s, const char *path); /* left as it is until cleanup */

/* Read and write each wanted setting that is dirty. The first error is returned, after all were tried. */
int sysctl_apply(struct sysctl *s, struct weft_err *err);

/* Everything is dirty again: somebody may have written. */
void sysctl_resync(struct sysctl *s);

/* A device appeared: its settings under net/ipv4/conf/DEV and net/ipv6/conf/DEV are dirty. */
void sysctl_on_device(struct sysctl *s, const char *dev);

/* What is wanted, and what is there now, in no order. now: NULL = there is no such setting. */
void sysctl_each(const struct sysctl *s,
                 void (*fn)(void *ctx, const char *path, const char *value, const char *now), void *ctx);

/* `weftd cleanup`: write the former values back (those whose path is gone are dropped), then remove the
 * record. */
int sysctl_cleanup(const char *record, const char *root, struct weft_err *err);

#endif
