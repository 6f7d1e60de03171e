// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Firewall marks by name: the same name gets the same mark, also after a restart, so that what the kernel has
 * can be adopted. A mark is a hash of the name in 24 bits; a name whose mark is taken gets the next free one.
 */
#ifndef AGENT_PLAN_FWMARKS_H
#define AGENT_PLAN_FWMARKS_H

#include <stddef.h>
#include <stdint.h>

struct fwmarks;

struct fwmarks *fwmarks_new(void); /* aborts when memory ends */
void fwmarks_free(struct fwmarks *m);

/* The mark of a name, which it keeps until fwmarks_put(). 0: all 2^24 - 1 are taken. */
uint32_t fwmarks_get(struct fwmarks *m, const char *name);
void fwmarks_put(struct fwmarks *m, const char *name);

size_t fwmarks_count(const struct fwmarks *m);

#endif
