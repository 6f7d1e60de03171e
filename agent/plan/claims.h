// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who holds what two Services can't both have: an address, protocol and port. The lowest rank holds it (a
 * ClusterIP is given by the cluster, an external IP can be written by anyone); among equals the first, and
 * when it lets go the one with the lowest name of those that wait.
 */
#ifndef AGENT_PLAN_CLAIMS_H
#define AGENT_PLAN_CLAIMS_H

#include <stdbool.h>

#include "agent/plan/services.h"

struct claims;

struct claims *claims_new(void); /* aborts when memory ends */
void claims_free(struct claims *c);

/*
 * The owner stands for the key, once however often it says so; its last rank counts. True: it holds it.
 * *other (valid until the next call) is the owner whose Service is to be planned again because it lost or won
 * the key by this; NULL = none.
 */
bool claims_take(struct claims *c, const struct svc_virtual_key *key, const char *owner, unsigned rank,
                 const char **other);

/* NULL = nobody. Valid until the holder lets go. */
const char *claims_holder(const struct claims *c, const struct svc_virtual_key *key);

/* The owner lets go. If another one holds the key from now on its name is returned, else NULL. */
const char *claims_release(struct claims *c, const struct svc_virtual_key *key, const char *owner);

#endif
