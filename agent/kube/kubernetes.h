// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Kubernetes datastore: the API server's objects as the events of weft/source.h.
 *
 *	kube_watch (one per collection) --JSON--> weft_decode() --digest differs?--> sink, and lastknown.c
 *	claims, statuses, election, Events, the Node's condition --> kube_send()
 *
 * Of an object only the digest, its place in the last listing and its uid stay here (see store.h for the same
 *in the directory). After a relist only differences are told; what could not be seen is not deleted. An
 *object that does not decode is an INVALID event for its URL, and stays as it was.
 *
 * Start: the API server is asked first. When no server answers within a few seconds, the last known state is
 *told instead, then SYNCED; what comes later is a difference to it. SYNCED is told once, when every
 *collection that weft needs was complete (or from the last known state).
 *
 * Namespaces are followed only while a LoadBalancer pool selects by them and we have the controller's role.
 *ServiceCIDRs are optional (v1, else v1beta1, else none). Secrets: only those named in `secrets` of
 *`namespace`, each by a field selector, so that RBAC can name them. Services and EndpointSlices are followed
 *with kube-proxy's label selectors.
 */
#ifndef AGENT_KUBE_KUBERNETES_H
#define AGENT_KUBE_KUBERNETES_H

#include <stdint.h>
#include <uv.h>

#include "agent/kube/access.h"
#include "weft/err.h"
#include "weft/source.h"

struct kubernetes_options {
	const struct kube_access *access; /* copied */
	const char *state_dir;            /* NULL = no last known state */
	const char *node;                 /* our name */
	const char *namespace;            /* Secrets, the Lease: "kube-system" */
	const char *const *secrets;
	size_t n_secrets;
	bool services;        /* follow Services, EndpointSlices, ServiceCIDRs */
	bool controller;      /* has the controller's role */
	uint64_t patience_ms; /* how long the API server is waited for at the start; 0 = 5000 */
};

int kubernetes_new(uv_loop_t *loop, const struct kubernetes_options *o, struct weft_source **out,
                   struct weft_err *err);

#endif
