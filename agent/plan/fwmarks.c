// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/fwmarks.h"

#include "weft/keyhash.h"
#include "weft/marks.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>

#define LOW 0x00ffffffu

struct entry {
	UT_hash_handle by_name, by_mark;
	uint32_t mark;
	char *name;
};

struct fwmarks {
	struct keyhash hash;
	struct entry *names, *marks;
};

struct fwmarks *fwmarks_new(void)
{
	struct fwmarks *m = must_alloc(1, sizeof(*m));

	keyhash_init(&m->hash);
	return m;
}

static struct entry *find(const struct fwmarks *m, const char *name)
{
	unsigned hash = keyhash(&m->hash, name, strlen(name));
	struct entry *e;

	HASH_FIND_BYHASHVALUE(by_name, m->names, name, strlen(name), hash, e);
	return e;
}

static struct entry *holder(const struct fwmarks *m, uint32_t mark)
{
	struct entry *e;

	HASH_FIND(by_mark, m->marks, &mark, sizeof(mark), e);
	return e;
}

/* Under a fixed key: it has to come out alike in every life of the daemon. */
static uint32_t first_choice(const char *name)
{
	static const struct keyhash fixed = {.key = "weft firewall m"};

	return WEFT_FWMARK_BASE | (keyhash(&fixed, name, strlen(name)) & LOW);
}

uint32_t fwmarks_get(struct fwmarks *m, const char *name)
{
	struct entry *e = find(m, name);
	uint32_t mark = first_choice(name);

	if (e)
		return e->mark;
	if (fwmarks_count(m) >= LOW)
		return 0;
	while (!(mark & LOW) || holder(m, mark))
		mark = WEFT_FWMARK_BASE | ((mark + 1) & LOW);
	e = must_alloc(1, sizeof(*e));
	e->name = must_strdup(name);
	e->mark = mark;
	HASH_ADD_KEYPTR_BYHASHVALUE(by_name, m->names, e->name, strlen(e->name),
	                            keyhash(&m->hash, e->name, strlen(e->name)), e);
	HASH_ADD(by_mark, m->marks, mark, sizeof(e->mark), e);
	return mark;
}

static void drop(struct fwmarks *m, struct entry *e)
{
	HASH_DELETE(by_name, m->names, e);
	HASH_DELETE(by_mark, m->marks, e);
	free(e->name);
	free(e);
}

void fwmarks_put(struct fwmarks *m, const char *name)
{
	struct entry *e = find(m, name);

	if (e)
		drop(m, e);
}

size_t fwmarks_count(const struct fwmarks *m)
{
	return HASH_CNT(by_name, m->names);
}

void fwmarks_free(struct fwmarks *m)
{
	struct entry *e, *next;

	HASH_ITER (by_name, m->names, e, next)
		drop(m, e);
	free(m);
}
