// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * v1 Events: what `kubectl describe` shows of an object. Equal ones (object, type, reason, message) within
 * ten minutes are one Event whose count is raised by a patch, at most once a minute; per object at most 25 in
 * a burst and one per 5 minutes after that, as client-go's correlator does; more than KUBE_EVENTS_QUEUE
 * waiting are dropped, and counted. Never retried more than 3 times.
 */
#ifndef AGENT_KUBE_EVENTS_H
#define AGENT_KUBE_EVENTS_H

#include <stdbool.h>
#include <uv.h>

#include "agent/kube/client.h"

#define KUBE_EVENTS_QUEUE 256

struct kube_events;

struct kube_event_about {
	const char *api, *kind; /* "v1", "Service" */
	const char *namespace,
	        *name;   /* namespace NULL: a cluster-scoped object; its Events go to "default" */
	const char *uid; /* NULL = not known; kubectl finds Events by it */
};

/* component "weft-controller", host = the node's name */
struct kube_events *kube_events_new(struct kube *client, uv_loop_t *loop, const char *component,
                                    const char *host);
void kube_events_tell(struct kube_events *e, const struct kube_event_about *about, bool warning,
                      const char *reason, const char *message);
void kube_events_free(struct kube_events *e);

#endif
