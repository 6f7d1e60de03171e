// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Kubernetes datastore: the API server's objects as the events of weft/source.h.
 *
 *	kube_watch (one per collection) --JSON--> weft_decode_as() --digest differs?--> sink, and lastknown.c
 *	claims, statuses, election, Events, the Node's condition --> kube_send()
 *
 * Of an object only the digest, its place in the last listing and its uid stay here (see store.h for the
 * same in the directory). After a relist only differences are told; what could not be seen is not deleted.
 * An object that does not decode is an INVALID event for its path, and stays as it was.
 *
 * Start: the API server is asked first. What it has not told within a few seconds is told from the last
 * known state, then SYNCED; what comes later is a difference to it. SYNCED is told once, when every
 * collection that weft needs was complete (or from the last known state).
 *
 * Namespaces are followed only while a BGPAdvertisement selects by them, or a LoadBalancer pool does and we have the
 * controller's role.
 * ServiceCIDRs are optional (v1, else v1beta1, else none). Secrets: only those named in `secrets` of
 * `namespace`, each by a field selector, so that RBAC can name them; they are told as if they were in the
 * namespace where the agent looks for them. Services and EndpointSlices are followed with kube-proxy's label
 * selectors. A Service that has conditions of weft's in its status is told as a ServiceStatus too (without
 * addresses: those are in the Service), so that a controller knows what was written before its time.
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
	bool own_node;        /* follow no Node but ours */
	bool services;        /* follow Services, EndpointSlices, ServiceCIDRs */
	bool controller;      /* has the controller's role */
	bool on_nodes;        /* as one agent on each node, rather than by itself */
	uint64_t patience_ms; /* how long the API server is waited for at the start; 0 = 5000 */
	/* For tests, 0 = as ever: a bound of pauses, the length of a watch. */
	uint64_t retry_ms;
	unsigned watch_s;
};

int kubernetes_new(uv_loop_t *loop, const struct kubernetes_options *o, struct weft_source **out,
                   struct weft_err *err);

/* weft goes from this node: its condition NetworkUnavailable becomes True, that of a drain goes. On a loop of its
 * own, for at most timeout_ms. No Node of this name is no failure. */
int kubernetes_leave(const struct kubernetes_options *o, uint64_t timeout_ms, struct weft_err *err);

#endif
