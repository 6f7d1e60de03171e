// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libcurl multi handle on a libuv loop: one set of connections. Inside agent/kube.
 */
#ifndef AGENT_KUBE_SOCKETS_H
#define AGENT_KUBE_SOCKETS_H

#include <uv.h>

#include "agent/kube/curl.h"

struct kube_net;

/* `after` is called when libcurl has done something, outside of it: ended transfers may be taken, and the net
 * may be freed. */
struct kube_net *kube_net_new(uv_loop_t *loop, const struct kube_curl *curl, void (*after)(void *ctx),
                              void *ctx);

CURLMcode kube_net_add(struct kube_net *n, CURL *easy);
void kube_net_remove(struct kube_net *n, CURL *easy);
size_t kube_net_count(const struct kube_net *n); /* transfers in it */

/* A transfer that ended, NULL = no more. It stays in the net. */
CURL *kube_net_ended(struct kube_net *n, CURLcode *code);

/* All transfers must have been removed. Connections are closed; the memory goes with the last handle. */
void kube_net_free(struct kube_net *n);

#endif
