// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the source found malformed, by scope (a file, a collection). A report stands until the source takes
 * its scope's reports back. Bounded: a folder of garbage must not fill the memory.
 */
#include "agent/state/cluster_int.h"

#define REPORTS_PER_SCOPE 64
#define REPORTS_MAX       4096

struct report {
	char *where, *text;
};

struct report_scope {
	UT_hash_handle hh;
	char *key;
	struct report list[REPORTS_PER_SCOPE];
	size_t n;
};

static void scope_drop(struct cluster *c, struct report_scope *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->list[i].where);
		free(s->list[i].text);
	}
	c->n_reports -= s->n;
	TABLE_DEL(c->reports, s);
}

static char *clean_copy(const char *text)
{
	char *copy = strndup(text, CLUSTER_TEXT - 1);

	if (!copy)
		abort();
	weft_text_clean(copy);
	return copy;
}

static void scope_add(struct cluster *c, struct report_scope *s, const char *where, const char *text)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->list[i].where, where))
			continue;
		free(s->list[i].text);
		s->list[i].text = clean_copy(text);
		return;
	}
	if (s->n == REPORTS_PER_SCOPE || c->n_reports >= REPORTS_MAX)
		return;
	s->list[s->n++] = (struct report){clean_copy(where), clean_copy(text)};
	c->n_reports++;
}

void reports_take(struct cluster *c, const struct weft_event *ev)
{
	const char *where = ev->where ? ev->where : "";
	const char *scope = ev->scope ? ev->scope : where;
	struct report_scope *s;

	TABLE_FIND(c, c->reports, scope, s);
	if (!ev->text || !*ev->text) {
		trie_free(&c->unseen); /* what hid them may be gone: the next claim tells */
		if (s)
			scope_drop(c, s);
		return;
	}
	if (!s && c->n_reports >= REPORTS_MAX)
		return;
	if (!s)
		TABLE_ADD(c, c->reports, scope, s);
	scope_add(c, s, where, ev->text);
}

void reports_each(const struct cluster *c, cluster_report_fn fn, void *ctx)
{
	for (const struct report_scope *s = c->reports; s; s = s->hh.next)
		for (size_t i = 0; i < s->n; i++)
			fn(ctx, s->list[i].where, s->list[i].text);
}

void reports_free(struct cluster *c)
{
	struct report_scope *s, *next;

	HASH_ITER (hh, c->reports, s, next) {
		scope_drop(c, s);
	}
}
