// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making, finding dead, and removing the daemon's socket file.
 */
#ifndef AGENT_SERVE_LISTEN_H
#define AGENT_SERVE_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>

#include "weft/err.h"

/*
 * A non-blocking, listening unix stream socket at path; *made identifies the file. The rules of
 * serve_open() apply. Returns the descriptor or a negative errno.
 */
int serve_listen(const char *path, struct stat *made, struct weft_err *err);

/* Remove the file unless somebody put another one there. */
void serve_unlink(const char *path, const struct stat *made);

/* Whether the peer of this connection is root or our own user. */
bool serve_peer_allowed(int fd);

#endif
