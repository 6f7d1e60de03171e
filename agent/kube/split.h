// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cuts the API server's JSON into objects while it comes in, so that memory is bounded by one object and not
 * by the answer (a LIST of 100,000 endpoints is 26 MB).
 *
 *	LIST	{"kind":"ServiceList","metadata":{"resourceVersion":"9","continue":"t"},"items":[{...},...]}
 *	WATCH	{"type":"ADDED","object":{...}}\n{...}\n	also without newlines, cut anywhere
 *
 * Members may come in any order; metadata may come after the items. The objects' metadata.managedFields (12
 * to 43 % of their text) is left out of what is handed over. Depth, the size of one object (KUBE_OBJECT_MAX)
 * and of what lies between two are bounded. Not a validator: what is handed over is complete by its brackets
 * and strings; cJSON judges it.
 */
#ifndef AGENT_KUBE_SPLIT_H
#define AGENT_KUBE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

#define KUBE_OBJECT_MAX ((size_t)4 << 20) /* the API server's own limit is 3 MiB */
#define KUBE_DEPTH_MAX  64

enum kube_shape { KUBE_LIST, KUBE_WATCH };

struct kube_split;

/* One item of a list or one event of a watch: NUL-terminated JSON in the splitter's buffer, which the callee
 * may overwrite. Not 0 ends the feed with that code. */
typedef int (*kube_split_fn)(void *ctx, char *text, size_t len);

struct kube_split *kube_split_new(enum kube_shape shape, kube_split_fn fn, void *ctx);
void kube_split_free(struct kube_split *s); /* wipes its buffer */

/* 0 or a negative errno: -EBADMSG is no such JSON, -EMSGSIZE too large; else fn's. After a failure only free.
 */
int kube_split_feed(struct kube_split *s, const char *data, size_t len, struct weft_err *err);

/* The input ended: was it whole? A watch must not end in an object; a list must have its last bracket. */
int kube_split_end(struct kube_split *s, struct weft_err *err);

/* While the callback has an event of a watch: where in its text the object and the type are. */
struct kube_split_event {
	const char *type; /* as it stands between its quotes, no NUL at its end; NULL = there is none */
	size_t type_len;
	char *object; /* from its first brace to its last, no NUL at its end; NULL = there is none */
	size_t object_len;
};
void kube_split_event(const struct kube_split *s, struct kube_split_event *out);

/* Of a list, once seen (else NULL): metadata.resourceVersion and metadata.continue ("" = none). */
const char *kube_split_version(const struct kube_split *s);
const char *kube_split_continue(const struct kube_split *s);

#endif
