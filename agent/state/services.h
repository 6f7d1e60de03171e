// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Services with their EndpointSlices: objects by key, which slices belong to which Service, dirty Services.
 *
 * Events of the kinds Service, EndpointSlice and ServiceStatus go in (services_handle); the daemon drains the
 * dirty keys (services_next) and plans each of them anew. An event costs the slices of one Service, however
 * many Services there are: lookups are hashed with a secret key. Arrival order means nothing; a slice or a
 * status may come long before its Service, and stay after it.
 *
 * Ownership: the store owns the objects. What a reader gets is borrowed until the next services_handle().
 */
#ifndef AGENT_STATE_SERVICES_H
#define AGENT_STATE_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/object.h"
#include "weft/source.h"

struct services;

struct services *services_new(void); /* never NULL (aborts when memory ends) */
void services_free(struct services *s);

/* Take an event; ev->obj becomes ours. Other kinds than the three, SYNCED and INVALID are refused: false. */
bool services_handle(struct services *s, const struct weft_event *ev);

/* The oldest dirty key, taken off the queue; false when there is none. Each key is queued at most once. A
 * slice that no Service has (yet) makes nothing dirty. */
bool services_next(struct services *s, char key[WEFT_KEY_MAX]);
size_t services_dirty_count(const struct services *s);

/* Ask for one Service, or all, again. A key that does not exist is queued too (its remains are to be
 * removed). */
void services_mark(struct services *s, const char *key);
void services_mark_all(struct services *s);

/* A Service with all that belongs to it. */
struct services_view {
	const char *key;               /* NAMESPACE/NAME */
	const struct weft_object *obj; /* kind Service */
	const struct weft_addr
	        *ingress; /* the Service's own status; where it has none, the ServiceStatus's */
	size_t n_ingress;
	const struct weft_endpointslice *const *slices; /* in name order; headless ones are left out (S1) */
	size_t n_slices;
};

bool services_get(const struct services *s, const char *key, struct services_view *out);
size_t services_count(const struct services *s);
size_t services_slice_count(const struct services *s);

/* How often objects were put or removed, since the start. */
struct services_changes {
	uint64_t services, slices;
};
struct services_changes services_changes(const struct services *s);

/* The key of everything that is there of a kind: Services, EndpointSlices that a Service has or may get,
 * ServiceStatuses. */
void services_each_key(const struct services *s, enum weft_kind kind, void (*fn)(void *ctx, const char *key),
                       void *ctx);

/* Every Service, in no order (for status). True stops. */
typedef bool (*services_each_fn)(void *ctx, const struct services_view *view);
void services_each(const struct services *s, services_each_fn fn, void *ctx);

#endif
