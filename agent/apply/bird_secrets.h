// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Password files that bird.conf includes: config_dir/secrets/PROTOCOL-a.conf or -b.conf.
 *
 * A password is written under the name that the present bird.conf does not use, so that a refused change
 * leaves what BIRD would read again untouched. The text is composed in sodium memory and written by one
 * write(2).
 */
#ifndef WEFT_APPLY_BIRD_SECRETS_H
#define WEFT_APPLY_BIRD_SECRETS_H

#include <limits.h>

#include "weft/err.h"

#include "agent/plan/bgp.h"

/*
 * The path of a file with this peer's password, written if need be. `current` is the text of bird.conf in
 * force. gid: group of the file, (gid_t)-1 = leave.
 */
int bird_secret_put(const char *dir, const struct bgp_peer *peer, const char *current, gid_t gid,
                    char path[PATH_MAX], struct weft_err *err);

/* Remove files in dir that `current` does not include. */
void bird_secrets_sweep(const char *dir, const char *current);

/* BIRD reads its files as user bird: our folders let that group (-1 = none) in. It refuses a configuration whose
 * include it can't search. */
int bird_folders(const char *config_dir, const char *secrets, const char *custom, gid_t gid,
                 struct weft_err *err);

#endif
