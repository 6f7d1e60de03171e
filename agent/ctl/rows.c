// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows of a reply: look up, filter, sort.
 */
#include "agent/ctl/ctl.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "weft/addr.h"
#include "weft/cleanup.h"

#define KEY_MAX 64

const cJSON *ctl_get(const cJSON *object, const char *path)
{
	char key[KEY_MAX];

	while (object) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		object = cJSON_GetObjectItemCaseSensitive(object, key);
		if (!path[len])
			return object;
		path += len + 1;
	}
	return NULL;
}

/* Read an address or a prefix; an address counts as its host prefix. */
static bool read_prefix(const char *text, struct weft_prefix *out)
{
	struct weft_addr addr;

	if (weft_prefix_parse(text, out, NULL) == 0)
		return true;
	if (weft_addr_parse(text, &addr, NULL) < 0)
		return false;
	*out = weft_prefix_host(&addr);
	return true;
}

static int value_rank(const cJSON *value)
{
	return cJSON_IsString(value) ? 0 : cJSON_IsNumber(value) ? 1 : 2;
}

static int compare_values(const cJSON *a, const cJSON *b)
{
	const char *x = cJSON_GetStringValue(a), *y = cJSON_GetStringValue(b);
	struct weft_prefix p, q;

	if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
		return (a->valuedouble > b->valuedouble) - (a->valuedouble < b->valuedouble);
	if (!x || !y) /* words before numbers: table main before table 179; what is absent comes last */
		return value_rank(a) - value_rank(b);
	if (read_prefix(x, &p) && read_prefix(y, &q))
		return weft_prefix_cmp(&p, &q);
	return strverscmp(x, y);
}

struct row {
	cJSON *item;
	size_t index; /* where it was: makes the sort stable */
};

static int compare_rows(const void *a, const void *b, void *keys)
{
	const struct row *x = a, *y = b;
	const char *const *key = keys;

	for (int i = 0; i < CTL_SORT_KEYS && key[i]; i++) {
		int order = compare_values(ctl_get(x->item, key[i]), ctl_get(y->item, key[i]));

		if (order)
			return order;
	}
	return (x->index > y->index) - (x->index < y->index);
}

void ctl_rows_sort(cJSON *rows, const char *const keys[CTL_SORT_KEYS])
{
	size_t count = (size_t)cJSON_GetArraySize(rows);
	weft_autofree struct row *list = calloc(count ? count : 1, sizeof(*list));

	if (!list)
		return; /* unsorted is still right */
	for (size_t i = 0; i < count; i++)
		list[i] = (struct row){cJSON_DetachItemFromArray(rows, 0), i};
	qsort_r(list, count, sizeof(*list), compare_rows, (void *)keys);
	for (size_t i = 0; i < count; i++)
		cJSON_AddItemToArray(rows, list[i].item);
}

static bool value_matches(const cJSON *value, const char *match)
{
	const char *text = cJSON_GetStringValue(value);
	struct weft_prefix outer, inner;

	if (!text)
		return false;
	if (fnmatch(match, text, 0) == 0)
		return true;
	return read_prefix(match, &inner) && read_prefix(text, &outer) && weft_prefix_covers(&outer, &inner);
}

void ctl_rows_filter(cJSON *rows, const char *path, const char *match)
{
	cJSON *row = rows->child, *next;

	for (; row; row = next) {
		next = row->next;
		if (!value_matches(ctl_get(row, path), match))
			cJSON_Delete(cJSON_DetachItemViaPointer(rows, row));
	}
}
