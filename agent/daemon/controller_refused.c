// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What weft refuses of what people wrote: malformed objects, by the source's reports, and pools that the
 * rules between pools refuse. Each has a condition that says so in its status, as long as it is so.
 *
 * A source reports by scope (a file, an object's URL), and takes back all reports of a scope at once; objects
 * with a report are in a list of their own.
 */
#include "agent/daemon/controller_private.h"

#include <string.h>

#include <utlist.h>

static void take_back(struct controller *c, struct controller_item *i)
{
	DL_DELETE2(c->invalid, i, prev_invalid, next_invalid);
	free(i->invalid);
	free(i->scope);
	i->invalid = i->scope = NULL;
	i->retell = c->leading;
	controller_mark(c, i);
	controller_item_drop_if_unused(i);
}

static void take_back_scope(struct controller *c, const char *scope)
{
	struct controller_item *i, *next;

	DL_FOREACH_SAFE2(c->invalid, i, next, next_invalid)
	if (!strcmp(i->scope, scope))
		take_back(c, i);
}

/* "IPPool/front: spec.cidr: ..." on the object itself need not say which object. */
static const char *without_object(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	size_t len = strlen(key);

	return at && at[len] == ':' && at[len + 1] == ' ' && at - text < 40 ? at + len + 2 : text;
}

void controller_note_invalid(struct controller *c, const struct weft_event *ev)
{
	struct controller_item *i;

	if (!ev->text[0]) {
		take_back_scope(c, ev->scope);
		return;
	}
	if (!ev->key || !weft_kind_has_status(ev->kind))
		return;
	i = controller_item(c, ev->kind, ev->key);
	if (i->invalid)
		DL_DELETE2(c->invalid, i, prev_invalid, next_invalid);
	free(i->invalid);
	free(i->scope);
	i->invalid = must_strdup(without_object(ev->text, ev->key));
	i->scope = must_strdup(ev->scope);
	DL_APPEND2(c->invalid, i, prev_invalid, next_invalid);
	i->retell = c->leading;
	controller_mark(c, i);
}

bool controller_note_refused(struct controller_item *i, const char *why)
{
	if (!why == !i->refused && (!why || !strcmp(why, i->refused)))
		return false;
	free(i->refused);
	i->refused = why ? must_strdup(why) : NULL;
	return true;
}

void controller_forget_refused(struct controller_item *i)
{
	if (i->invalid)
		DL_DELETE2(i->c->invalid, i, prev_invalid, next_invalid);
	free(i->invalid);
	free(i->scope);
	free(i->refused);
	i->invalid = i->scope = i->refused = NULL;
}
