// SPDX-License-Identifier: GPL-2.0-or-later
/* The book of classes: adverts.h. A set is found by its text ("TYPE NAME NAME"), a class by its metric. */
#include "agent/plan/adverts.h"

#include <errno.h>
#include <stdio.h>

#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/marks.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>

#define NUMBERS  (ADVERT_METRIC_LAST - ADVERT_METRIC_FIRST + 1)
#define HEADING  "weft adverts 1"
#define SETS_MAX (ADVERT_PLAIN + NUMBERS)

struct set {
	UT_hash_handle hh; /* by text; a kept number has none and is in no table */
	char *text;
	struct advert_class class;
	size_t uses;
};

struct adverts {
	struct keyhash hash;
	struct set *sets;
	struct set plain[ADVERT_PLAIN];
	struct set *numbered[NUMBERS]; /* by metric */
	uint64_t version;
	/* For adverts_classes(): made anew when the version differs. */
	struct advert_class *list;
	size_t n_list;
	uint64_t listed;
};

static const struct {
	uint32_t metric;
	unsigned type;
} plain[ADVERT_PLAIN] = {{WEFT_METRIC_POD_BLOCK, WEFT_ADVERT_PODBLOCK},
                         {WEFT_METRIC_LB, WEFT_ADVERT_LOADBALANCER},
                         {WEFT_METRIC_EXTERNAL, WEFT_ADVERT_EXTERNAL},
                         {WEFT_METRIC_CLUSTER, WEFT_ADVERT_CLUSTER}};

static bool is_number(uint32_t metric)
{
	return metric >= ADVERT_METRIC_FIRST && metric <= ADVERT_METRIC_LAST;
}

static struct set **slot(struct adverts *a, uint32_t metric)
{
	return &a->numbered[metric - ADVERT_METRIC_FIRST];
}

static struct set *by_metric(const struct adverts *a, uint32_t metric)
{
	if (is_number(metric))
		return a->numbered[metric - ADVERT_METRIC_FIRST];
	for (size_t i = 0; i < ADVERT_PLAIN; i++)
		if (plain[i].metric == metric)
			return (struct set *)&a->plain[i];
	return NULL;
}

static struct set *plain_of(struct adverts *a, unsigned type)
{
	for (size_t i = 0; i < ADVERT_PLAIN; i++)
		if (plain[i].type == type)
			return &a->plain[i];
	return NULL;
}

/* --- sets --- */

static char *set_text(unsigned type, const char *const *names, size_t n)
{
	struct weft_buf b = {0};
	char *text;

	weft_buf_printf(&b, "%u", type);
	for (size_t i = 0; i < n; i++) {
		weft_buf_char(&b, ' ');
		weft_buf_str(&b, names[i]);
	}
	text = weft_buf_take(&b);
	if (!text)
		abort();
	return text;
}

static struct set *by_text(const struct adverts *a, const char *text)
{
	size_t len = strlen(text);
	unsigned hash = keyhash(&a->hash, text, len);
	struct set *s;

	HASH_FIND_BYHASHVALUE(hh, a->sets, text, len, hash, s);
	return s;
}

static void set_free(struct set *s)
{
	for (size_t i = 0; i < s->class.n_names; i++)
		free((char *)s->class.names[i]);
	free((void *)s->class.names);
	free(s->text);
	free(s);
}

static void forget(struct adverts *a, struct set *s)
{
	if (s->text)
		HASH_DEL(a->sets, s);
	*slot(a, s->class.metric) = NULL;
	set_free(s);
}

static struct set *add(struct adverts *a, uint32_t metric, unsigned type, const char *const *names, size_t n)
{
	struct set *s = must_alloc(1, sizeof(*s));
	const char **copy = n ? must_alloc(n, sizeof(*copy)) : NULL;

	for (size_t i = 0; i < n; i++)
		copy[i] = must_strdup(names[i]);
	s->class = (struct advert_class){
	        .metric = metric, .type = type, .names = copy, .n_names = n, .since = ++a->version};
	*slot(a, metric) = s;
	if (n) {
		s->text = set_text(type, names, n);
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, a->sets, s->text, strlen(s->text),
		                            keyhash(&a->hash, s->text, strlen(s->text)), s);
	}
	return s;
}

/* The lowest number that is free, else the lowest that nobody uses; 0 = none. */
static uint32_t number(struct adverts *a)
{
	struct set *idle = NULL;
	uint32_t metric;

	for (metric = ADVERT_METRIC_FIRST; metric <= ADVERT_METRIC_LAST; metric++) {
		struct set *s = *slot(a, metric);

		if (!s)
			return metric;
		if (!idle && !s->uses && s->text)
			idle = s;
	}
	if (!idle)
		return 0;
	metric = idle->class.metric;
	forget(a, idle);
	return metric;
}

uint32_t adverts_take(struct adverts *a, unsigned type, const char *const *names, size_t n)
{
	weft_autofree char *text = set_text(type, names, n);
	struct set *s = n ? by_text(a, text) : plain_of(a, type);
	uint32_t metric;

	if (!s) {
		metric = n ? number(a) : 0;
		if (!metric)
			return 0;
		s = add(a, metric, type, names, n);
	}
	s->uses++;
	return s->class.metric;
}

uint32_t adverts_hold(struct adverts *a, uint32_t metric)
{
	struct set *s = by_metric(a, metric);

	if (!s)
		return 0;
	s->uses++;
	return metric;
}

void adverts_release(struct adverts *a, uint32_t metric)
{
	struct set *s = by_metric(a, metric);

	if (s && s->uses)
		s->uses--;
}

void adverts_keep(struct adverts *a, uint32_t metric, unsigned type)
{
	if (is_number(metric) && !by_metric(a, metric))
		add(a, metric, type, NULL, 0);
}

/* --- unions --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

uint32_t adverts_union(struct adverts *a, const uint32_t *metrics, size_t n)
{
	uint32_t lowest = metrics[0], metric;
	weft_autofree const char **names = NULL;
	size_t count = 0, kept = 0;
	unsigned type = 0;

	if (n == 1)
		return adverts_hold(a, lowest);
	for (size_t i = 0; i < n; i++) {
		const struct advert_class *c = adverts_find(a, metrics[i]);

		if (!c)
			continue;
		lowest = metrics[i] < lowest ? metrics[i] : lowest;
		type = c->type;
		names = must_grow(names, count + c->n_names, sizeof(*names));
		for (size_t k = 0; k < c->n_names; k++)
			names[count++] = c->names[k];
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++)
		if (!kept || strcmp(names[kept - 1], names[i]))
			names[kept++] = names[i];
	metric = type ? adverts_take(a, type, names, kept) : 0;
	return metric ? metric : adverts_hold(a, lowest);
}

/* --- reading --- */

const struct advert_class *adverts_find(const struct adverts *a, uint32_t metric)
{
	const struct set *s = by_metric(a, metric);

	return s ? &s->class : NULL;
}

static void list(struct adverts *a)
{
	a->list = must_grow(a->list, SETS_MAX, sizeof(*a->list));
	a->n_list = 0;
	for (size_t i = 0; i < ADVERT_PLAIN; i++)
		a->list[a->n_list++] = a->plain[i].class;
	for (size_t i = 0; i < NUMBERS; i++)
		if (a->numbered[i])
			a->list[a->n_list++] = a->numbered[i]->class;
	a->listed = a->version;
}

const struct advert_class *adverts_classes(const struct adverts *a, size_t *n)
{
	if (!a->list || a->listed != a->version)
		list((struct adverts *)a); /* a cache: nobody sees the difference */
	*n = a->n_list;
	return a->list;
}

bool adverts_name(const struct adverts *a, const char *name)
{
	for (size_t i = 0; i < NUMBERS; i++) {
		const struct advert_class *c = a->numbered[i] ? &a->numbered[i]->class : NULL;

		if (c && c->n_names && bsearch(&name, c->names, c->n_names, sizeof(*c->names), by_name))
			return true;
	}
	return false;
}

bool adverts_collect(struct adverts *a)
{
	bool some = false;

	for (size_t i = 0; i < NUMBERS; i++) {
		if (!a->numbered[i] || a->numbered[i]->uses)
			continue;
		forget(a, a->numbered[i]);
		some = true;
	}
	a->version += some;
	return some;
}

uint64_t adverts_version(const struct adverts *a)
{
	return a->version;
}

/* --- text: a heading, "METRIC TYPE NAME NAME ...", and "end COUNT" --- */

char *adverts_save(const struct adverts *a)
{
	struct weft_buf b = {0};
	size_t n = 0;

	weft_buf_str(&b, HEADING "\n");
	for (size_t i = 0; i < NUMBERS; i++) {
		if (!a->numbered[i] || !a->numbered[i]->text)
			continue;
		weft_buf_printf(&b, "%u %s\n", a->numbered[i]->class.metric, a->numbered[i]->text);
		n++;
	}
	weft_buf_printf(&b, "end %zu\n", n);
	return weft_buf_take(&b);
}

/* A decimal number without sign or leading zero, and what stands behind it (a space or the end) passed. */
static bool take_number(char **at, unsigned long max, unsigned long *out)
{
	char *end;

	if (**at < '1' || **at > '9')
		return false;
	errno = 0;
	*out = strtoul(*at, &end, 10);
	if (errno || *out > max || (*end && *end != ' '))
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

static bool good_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (name[i] < '!' || name[i] > '~')
			return false;
	return len && len <= WEFT_NAME_MAX;
}

/* Sorted names without duplicates into an array; false: something else. */
static bool take_names(char *at, const char ***names, size_t *n)
{
	char *rest = at, *name;

	while ((name = strsep(&rest, " "))) {
		if (!good_name(name) || (*n && strcmp((*names)[*n - 1], name) >= 0))
			return false;
		*names = must_grow(*names, *n + 1, sizeof(**names));
		(*names)[(*n)++] = name;
	}
	return *n > 0;
}

static bool load_set(struct adverts *a, char *line)
{
	weft_autofree const char **names = NULL;
	weft_autofree char *text = NULL;
	unsigned long metric, type;
	size_t n = 0;

	if (!take_number(&line, ADVERT_METRIC_LAST, &metric) || !is_number((uint32_t)metric) ||
	    by_metric(a, (uint32_t)metric) || !take_number(&line, UINT16_MAX, &type) ||
	    !plain_of(a, (unsigned)type) || !take_names(line, &names, &n))
		return false;
	text = set_text((unsigned)type, names, n);
	if (by_text(a, text))
		return false;
	add(a, (uint32_t)metric, (unsigned)type, names, n);
	return true;
}

static void forget_all(struct adverts *a)
{
	for (size_t i = 0; i < NUMBERS; i++)
		if (a->numbered[i])
			forget(a, a->numbered[i]);
}

/* The number of the last good line, negative when all are. */
static int load_lines(struct adverts *a, char *rest)
{
	char *line = strsep(&rest, "\n"), end[32];
	int n = 0;

	if (!line || strcmp(line, HEADING))
		return 0;
	while ((line = strsep(&rest, "\n")) && strncmp(line, "end ", 4)) {
		if (!load_set(a, line))
			return n + 1;
		n++;
	}
	snprintf(end, sizeof(end), "end %d", n);
	return line && !strcmp(line, end) && rest && !*rest ? -1 : n + 1;
}

int adverts_load(struct adverts *a, const char *text, size_t len, struct weft_err *err)
{
	weft_autofree char *copy = must_alloc(len + 1, 1);
	int line;

	memcpy(copy, text, len);
	line = memchr(text, '\0', len) ? 0 : load_lines(a, copy);
	if (line < 0)
		return 0;
	forget_all(a);
	return weft_err_set(err, EINVAL, "the numbers of announcements: line %d is damaged", line + 1);
}

void adverts_copy(struct adverts *to, const struct adverts *from)
{
	for (size_t i = 0; i < NUMBERS; i++) {
		const struct advert_class *c = from->numbered[i] ? &from->numbered[i]->class : NULL;

		if (c)
			add(to, c->metric, c->type, c->names, c->n_names);
	}
}

/* --- life --- */

struct adverts *adverts_new(void)
{
	struct adverts *a = must_alloc(1, sizeof(*a));

	keyhash_init(&a->hash);
	for (size_t i = 0; i < ADVERT_PLAIN; i++)
		a->plain[i].class = (struct advert_class){.metric = plain[i].metric, .type = plain[i].type};
	return a;
}

void adverts_free(struct adverts *a)
{
	if (!a)
		return;
	forget_all(a);
	free(a->list);
	free(a);
}
