// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last known state of the cluster on disk, so that a node boots, and its pods start and stop, while the
 * API server is down.
 *
 * One file, stateDir/cluster.log: a header (magic, version, whose cluster it is), then records (put or delete
 * of kind and key, JSON text, each with its length and a BLAKE2b checksum that also covers the header's
 * random id). An event appends one record and costs nothing else; when more than half of the file is dead it
 * is written anew (temp, fsync, rename), so writing costs a constant factor. No fsync per record: a kill
 * loses nothing, a power cut a tail, which the checksums find and cut off. A file of another version or
 * cluster, or one that is damaged at its head, is moved aside and said so.
 *
 * Secrets are sealed (crypto_secretbox) with a key in stateDir/cluster.key (0600), so that a copy of the log
 * alone tells no password. 0600 both. A full disk, or any other error of writing: no more is appended (the
 * file stays a valid, older state), said once, and tried again by a new file at the next occasion (at most
 * every minute). Meanwhile what could not be written is kept in memory, up to LASTKNOWN_PENDING_MAX; beyond
 * that the file stays as it is until weftd starts anew.
 */
#ifndef AGENT_KUBE_LASTKNOWN_H
#define AGENT_KUBE_LASTKNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"
#include "weft/object.h"

#define LASTKNOWN_PENDING_MAX ((size_t)32 << 20)

struct lastknown;

/* `cluster` tells clusters apart (the servers' CA, say); NULL = any. Opens, checks and indexes; a missing
 * file is an empty one. Fails only if the folder can't be used at all. */
int lastknown_open(const char *state_dir, const char *cluster, struct lastknown **out, struct weft_err *err);
void lastknown_close(struct lastknown *l);

/* All that is there: text is NUL-terminated, wiped afterwards if it is a Secret's. fn changes nothing here.
 */
typedef void (*lastknown_fn)(void *ctx, enum weft_kind kind, const char *key, const char *text, size_t len);
void lastknown_each(struct lastknown *l, lastknown_fn fn, void *ctx);
size_t lastknown_count(const struct lastknown *l);

/* The same text again writes nothing. */
void lastknown_put(struct lastknown *l, enum weft_kind kind, const char *key, const char *text, size_t len);
void lastknown_del(struct lastknown *l, enum weft_kind kind, const char *key);

/* When all is listed: delete what is there and not alive any more. alive changes nothing here. */
typedef bool (*lastknown_alive_fn)(void *ctx, enum weft_kind kind, const char *key);
void lastknown_sweep(struct lastknown *l, lastknown_alive_fn alive, void *ctx);

/* The state was in step with the API server at this Unix time; kept in the file (by record, at most every 10
 * s). 0 = never. */
void lastknown_in_step(struct lastknown *l, uint64_t unix_s);
uint64_t
lastknown_age_base(const struct lastknown *l); /* that time as the file had it when it was opened, or later */

const char *lastknown_error(const struct lastknown *l); /* "" = none */

#endif
