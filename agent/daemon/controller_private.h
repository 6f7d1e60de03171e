// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside the controller: controller.c (the reign, what changed), controller_refused.c (what is wrong with
 * objects) and controller_status.c (what is written).
 */
#ifndef AGENT_DAEMON_CONTROLLER_PRIVATE_H
#define AGENT_DAEMON_CONTROLLER_PRIVATE_H

#include "agent/daemon/controller.h"
#include "weft/keyhash.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "ipam/lb.h"

/* What is known of one Service, Namespace, or object of weft's own; dropped when there is nothing. */
struct controller_item {
	UT_hash_handle hh;
	struct controller *c;
	enum weft_kind kind;
	char *id; /* kind's letter, then the key */
	bool dirty;
	struct controller_item *prev, *next; /* dirty ones */
	bool retell;                         /* write its status again */
	bool gone;                           /* its Service was there and is not any more */
	bool has_status;                     /* of ours: written, or on its way */
	char *refused;                  /* why the rules between pools refuse this one; NULL = they don't */
	char *invalid;                  /* what is malformed in it; NULL = nothing */
	struct controller_scope *scope; /* the reports that this is one of */
	struct controller_item *prev_invalid, *next_invalid; /* of the same scope */
	unsigned writes;                                     /* under way */
	bool failed;                                         /* the last one did */
	char *told; /* the problem of it that people were told; NULL = none */
};

struct controller {
	struct controller_options o;
	char *identity;
	struct keyhash hash;
	struct controller_item *items, *dirty;
	struct controller_scope *scopes; /* controller_refused.c */
	size_t n_invalid;
	bool pools_dirty; /* which of them are refused may have changed */
	bool synced, standing, leading;
	struct lb *lb; /* while it leads */
	uv_timer_t wake, retry;
	unsigned handles;
	size_t failing;
	char error[WEFT_ERR_TEXT]; /* of the last write that failed, or of standing */
};

static inline const char *item_key(const struct controller_item *i)
{
	return i->id + 1;
}

struct controller_item *controller_item(struct controller *c, enum weft_kind kind, const char *key);
void controller_item_drop_if_unused(struct controller_item *i);

void controller_mark(struct controller *c, struct controller_item *i);

/* controller_refused.c: an INVALID event; what the rules between pools say of one (NULL = nothing), true:
 * that is new. */
void controller_note_invalid(struct controller *c, const struct weft_event *ev);
bool controller_refusal_is_new(const struct controller_item *i, const char *why);
bool controller_note_refused(struct controller_item *i, const char *why);
void controller_forget_refused(struct controller_item *i);
/* Write the statuses of all malformed ones. */
void controller_tell_invalid(struct controller *c);

/* Has the Service a problem to be told? */
bool controller_has_problem(const struct controller *c, const char *key);
/* Write what is decided for a Service or a pool; there is no such thing (any more): remove its status. */
void controller_write(struct controller *c, enum weft_kind kind, const char *key);
/* Write all that changed. */
void controller_write_all(struct controller *c);
/* What failed, again. */
void controller_retry(struct controller *c);

#endif
