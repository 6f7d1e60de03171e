// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One context of a kubeconfig -> struct kube_access. Inside agent/kube: access.c calls it.
 */
#ifndef AGENT_KUBE_KUBECONFIG_H
#define AGENT_KUBE_KUBECONFIG_H

#include "agent/kube/access.h"

#define KUBE_ACCESS_FILE ((size_t)1 << 20) /* bytes of a kubeconfig, a key, a CA bundle */

/*
 * Files are separated by ':' as in kubectl's KUBECONFIG: of several entries of a name the first counts, and
 * files that do not exist are passed over unless none does. `context` NULL = current-context. server_wanted:
 * no other server was given, so the cluster's is checked and taken. The caller frees `out` on failure too;
 * err is not NULL and without an error.
 */
int kubeconfig_load(const char *files, const char *context, bool server_wanted, struct kube_access *out,
                    struct weft_err *err);

/* What a credential's text must look like; `what` is NULL or says what is wrong. */
enum kube_secret { KUBE_SECRET_CERTIFICATE, KUBE_SECRET_KEY, KUBE_SECRET_TOKEN };
const char *kube_secret_problem(enum kube_secret kind, const char *text, size_t len);

/* Without white space around it. */
const char *kube_token_trim(const char *text, size_t *len);

/* Read it, so that what is missing or wrong is known at the start. */
int kube_credential_check(const struct kube_credential *c, enum kube_secret kind, struct weft_err *err);

/* An URL as kube_server_check() takes it, without the slash at its end; malloc'd, NULL = no memory. */
char *kube_server_copy(const char *url);

#endif
