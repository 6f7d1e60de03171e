// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small scanner for BIRD's tables, shared by show.c and show_protocols.c. Private to these two.
 *
 * All functions read NUL-terminated lines of a framed reply and stop at their end.
 */
#ifndef WEFT_BIRD_SHOW_INT_H
#define WEFT_BIRD_SHOW_INT_H

#include "agent/bird/show.h"

#define SHOW_COLUMNS_MAX 16

/* Step over `word` exactly, or over nothing and return false. */
bool show_skip(const char **p, const char *word);

/* A decimal number up to max. */
bool show_number(const char **p, uint64_t max, uint64_t *out);

/* "44.488" -> 44488; digits below a millisecond are dropped. */
bool show_seconds(const char **p, uint32_t *ms);

const char *show_blanks(const char *s); /* the first byte that is no blank */
size_t show_word(const char *s);        /* bytes up to a blank or the end */

/* Memory for all texts of one result, taken once: pointers into it stay. */
struct show_store {
	char *text;
	size_t size, used;
};

int show_store_init(struct show_store *store, const struct bird_reply *r, struct weft_err *err);
const char *show_store_add(struct show_store *store, const char *text, size_t len);

/* Which of our columns each column of a table is; -1 = one that we don't know. */
struct show_heading {
	int column[SHOW_COLUMNS_MAX];
	size_t count;
};

struct show_cell {
	const char *text; /* not NUL-terminated */
	size_t len;
};

void show_heading_read(struct show_heading *h, const char *text, const char *const *names, size_t name_count);

/*
 * Words of a row to cells, by the heading; absent ones are "". time_column may be two words; rest_column, if
 * it is the last one, takes the rest of the line. -1 = none.
 */
void show_row_read(const struct show_heading *h, int time_column, int rest_column, const char *text,
                   struct show_cell *cells, size_t cell_count);

#endif
