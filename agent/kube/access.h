// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the API server is and who we are: what a kubeconfig or a pod's service account says.
 *
 * - A kubeconfig's current (or named) context: cluster server, certificate-authority(-data), tls-server-name,
 * proxy-url refused; user client-certificate(-data) with client-key(-data), token, tokenFile. exec and
 * auth-provider plugins, username and password, insecure-skip-tls-verify are refused, each by an error that
 * names the file, line and key. Relative paths are relative to the file. More than one file, and unknown
 * keys, as kubectl takes them.
 * - In a cluster: token, ca.crt and namespace in /var/run/secrets/kubernetes.io/serviceaccount.
 * - `servers` (from weft.yaml) replace the server that either names; they are tried in turn. A cluster's own
 *   service address (KUBERNETES_SERVICE_HOST) is never used: it is a VIP that weft itself programs.
 * - https only; http is for loopback addresses alone (`kubectl proxy`), and no credential is ever sent there.
 *
 * Tokens and keys stay in files where they are in files, and are read again when those change (a service
 * account's token rotates every hour); inline ones are in sodium memory. Nothing of them is ever logged.
 */
#ifndef AGENT_KUBE_ACCESS_H
#define AGENT_KUBE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

#define KUBE_SERVERS         8
#define KUBE_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* PEM text or a token: inline (sodium memory, NUL-terminated) or in a file; both NULL = none. */
struct kube_credential {
	char *file;
	char *text;
	size_t len; /* of text */
};

struct kube_access {
	char *servers[KUBE_SERVERS]; /* "https://10.0.0.10:6443", no slash at the end */
	size_t n_servers;
	char *tls_server_name;     /* NULL = the server's own */
	struct kube_credential ca; /* none = the system's */
	struct kube_credential cert, key;
	struct kube_credential token;
	char *namespace; /* of the context or the service account; NULL = none */
	char *origin;    /* "kubeconfig /etc/weft/kubeconfig, context x" for messages */
};

struct kube_access_options {
	const char *kubeconfig;      /* NULL = in a cluster */
	const char *context;         /* NULL = the file's current-context */
	const char *service_account; /* folder; NULL = KUBE_SERVICE_ACCOUNT */
	const char *const *servers;  /* from weft.yaml */
	size_t n_servers;
};

/* Read and check. On failure nothing is to be freed; err names file, line and key. */
int kube_access_load(const struct kube_access_options *o, struct kube_access *out, struct weft_err *err);
void kube_access_free(struct kube_access *a);

/* A copy in depth. */
int kube_access_copy(const struct kube_access *from, struct kube_access *out, struct weft_err *err);

/* The credential's text now, in sodium memory that the caller frees by sodium_free(); NULL and err when its
 * file can't be read. */
char *kube_credential_read(const struct kube_credential *c, size_t *len, struct weft_err *err);

/* "https://[::1]:6443" and so on: is it a server that may be used? err says why not. */
int kube_server_check(const char *url, struct weft_err *err);

#endif
