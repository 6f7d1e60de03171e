// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What weft refuses of what people wrote: malformed objects, by the source's reports, and pools that the
 * rules between pools refuse. Each has a condition that says so in its status, as long as it is so.
 *
 * A source reports by scope (a file, an object's URL) and takes back all reports of a scope at once: a scope
 * has the list of its objects. At most INVALID_MAX are kept; what is beyond that is in the log.
 */
#include "agent/daemon/controller_private.h"

#include <string.h>

#include <utlist.h>

#define INVALID_MAX 4096 /* as the cluster's reports */

struct controller_scope {
	UT_hash_handle hh;
	char *key;
	struct controller_item *items;
};

static struct controller_scope *scope_find(const struct controller *c, const char *key)
{
	struct controller_scope *s;

	HASH_FIND_BYHASHVALUE(hh, c->scopes, key, strlen(key), keyhash(&c->hash, key, strlen(key)), s);
	return s;
}

static struct controller_scope *scope_need(struct controller *c, const char *key)
{
	struct controller_scope *s = scope_find(c, key);
	size_t len = strlen(key);

	if (s)
		return s;
	s = must_alloc(1, sizeof(*s));
	s->key = must_strdup(key);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->scopes, s->key, len, keyhash(&c->hash, s->key, len), s);
	return s;
}

/* No more malformed, as far as we know. */
static void detach(struct controller_item *i)
{
	struct controller *c = i->c;
	struct controller_scope *s = i->scope;

	if (!s)
		return;
	DL_DELETE2(s->items, i, prev_invalid, next_invalid);
	c->n_invalid--;
	free(i->invalid);
	i->invalid = NULL;
	i->scope = NULL;
	if (s->items)
		return;
	HASH_DEL(c->scopes, s);
	free(s->key);
	free(s);
}

static void retell(struct controller_item *i)
{
	i->retell = i->c->leading;
	controller_mark(i->c, i);
}

static void take_back_scope(struct controller *c, const char *key)
{
	struct controller_scope *s = scope_find(c, key);
	struct controller_item *i = s ? s->items : NULL, *next;

	for (; i; i = next) {
		next = i->next_invalid;
		detach(i);
		retell(i);
		controller_item_drop_if_unused(i);
	}
}

/* "IPPool/front: spec.cidr: ..." on the object itself need not say which object. */
static const char *without_object(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	size_t len = strlen(key);

	return at && at[len] == ':' && at[len + 1] == ' ' && at - text < 40 ? at + len + 2 : text;
}

/* Are there too many others to take this one too? */
static bool too_many(const struct controller *c, const struct weft_event *ev)
{
	const struct controller_scope *s = c->n_invalid < INVALID_MAX ? NULL : scope_find(c, ev->scope);
	const struct controller_item *i;

	if (c->n_invalid < INVALID_MAX)
		return false;
	for (i = s ? s->items : NULL; i; i = i->next_invalid)
		if (i->kind == ev->kind && !strcmp(item_key(i), ev->key))
			return false;
	return true;
}

void controller_note_invalid(struct controller *c, const struct weft_event *ev)
{
	struct controller_item *i;

	if (!ev->text[0]) {
		take_back_scope(c, ev->scope);
		return;
	}
	if (!ev->key || !weft_kind_has_status(ev->kind) || too_many(c, ev))
		return;
	i = controller_item(c, ev->kind, ev->key);
	detach(i);
	i->invalid = must_strdup(without_object(ev->text, ev->key));
	i->scope = scope_need(c, ev->scope);
	DL_APPEND2(i->scope->items, i, prev_invalid, next_invalid);
	c->n_invalid++;
	retell(i);
}

void controller_tell_invalid(struct controller *c)
{
	struct controller_scope *s, *next;
	struct controller_item *i;

	HASH_ITER (hh, c->scopes, s, next)
		DL_FOREACH2(s->items, i, next_invalid)
	controller_write(c, i->kind, item_key(i));
}

bool controller_refusal_is_new(const struct controller_item *i, const char *why)
{
	return !why != !i->refused || (why && strcmp(why, i->refused));
}

bool controller_note_refused(struct controller_item *i, const char *why)
{
	if (!controller_refusal_is_new(i, why))
		return false;
	free(i->refused);
	i->refused = why ? must_strdup(why) : NULL;
	return true;
}

void controller_forget_refused(struct controller_item *i)
{
	detach(i);
	free(i->refused);
	i->refused = NULL;
}
