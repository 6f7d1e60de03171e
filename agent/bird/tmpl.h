// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Logic-less templates: the Mustache language (specification 1.4: interpolation, sections, inverted sections,
 * comments, partials, set delimiters, with their whitespace rules), compiled once, rendered many times.
 *
 *	{{name}}  {{{name}}} {{&name}}   a value: under the escape policy, or raw
 *	{{#name}}...{{/name}}            for each element, or once when true; {{.}} is the element
 *	{{^name}}...{{/name}}            when false
 *	{{! comment }}  {{> partial}}  {{=<% %>=}}
 *
 * Data is a cJSON tree. A name (a.b.c) is looked up from the innermost context outwards by its first part,
 * then strictly downwards. False are: missing, null, false, "" and []; 0 is true. Numbers print as integers
 * where they are whole, else with the fewest digits that read back. Interpolating a list or an object is an
 * error. Not supported, and refused by the compiler: lambdas, inheritance, dynamic names.
 *
 * Errors name template:line:column and the variable, never a value: values may be secrets.
 */
#ifndef WEFT_BIRD_TMPL_H
#define WEFT_BIRD_TMPL_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "weft/buf.h"
#include "weft/err.h"

#define TMPL_TEXT_MAX   ((size_t)1 << 20) /* bytes of one template or partial */
#define TMPL_UNITS_MAX  64                /* the template and its partials */
#define TMPL_NODES_MAX  100000            /* pieces of text and tags, all units together */
#define TMPL_NAME_MAX   128               /* bytes of a variable's name with its dots */
#define TMPL_PARTS_MAX  16                /* parts of a dotted name */
#define TMPL_NEST_MAX   64                /* open sections and partials, in a template and while rendering */
#define TMPL_INDENT_MAX 1024              /* bytes of indentation that nested partials add up to */

struct tmpl;

enum tmpl_escape {
	/*
	 * BIRD configuration. Nothing is escaped: what does not fit is refused, see guard.h. {{x}} takes
	 * true, false, whole numbers up to 2^53 and strings that bird_guard_value() accepts at that place.
	 * {{{x}}} is the same, unless `raw_text` is set.
	 */
	TMPL_BIRD,
	/* The specification's: {{x}} escapes & " < > for HTML, {{{x}}} inserts as it is. */
	TMPL_HTML,
};

struct tmpl_options {
	enum tmpl_escape escape;
	bool raw_text; /* TMPL_BIRD: {{{x}}} may hold any printable ASCII, tab and newline: text weft made */
	bool strict;   /* a missing or null variable, or a missing partial, is an error, not "" */
	bool strict_sections; /* a missing section name too (null and false are well) */
	size_t max_output;    /* bytes; 0 = 8 MiB */
	size_t max_steps;     /* tags and texts visited in one rendering; 0 = 4,000,000 */
};

/*
 * Fetch the text of a partial. `name` is [a-z0-9_-]+, at most 64 bytes, so it is safe in a path. Returns 0
 * with *text malloc'd (released by the compiler), or 0 with *text NULL when there is none, or a negative
 * errno.
 */
typedef int (*tmpl_load_fn)(void *arg, const char *name, char **text, size_t *len, struct weft_err *err);

/*
 * Compile a template and every partial it can reach (each once; they may recurse). `name` is used in messages
 * only. The text is copied. `load` may be NULL: there are no partials. Returns 0 and *out, to be released
 * with tmpl_free(); -EINVAL for a mistake in a template, -E2BIG for a limit, -ENOENT for a missing partial,
 * -ENOMEM, or what `load` returned.
 */
int tmpl_compile(const char *name, const char *text, size_t len, const struct tmpl_options *options,
                 tmpl_load_fn load, void *arg, struct tmpl **out, struct weft_err *err);

/*
 * Append the rendering of `data` (any cJSON value; NULL = no data) to out. The result is complete or the
 * function fails and out is as it was. -ENOENT: a variable is missing (strict); -EINVAL: a value was refused;
 * -E2BIG: a limit. A compiled template is constant: several threads may render it.
 */
int tmpl_render(const struct tmpl *t, const cJSON *data, struct weft_buf *out, struct weft_err *err);

/* NULL is fine. */
void tmpl_free(struct tmpl *t);

/* For weft_auto(tmpl_cleanup) struct tmpl *t = NULL; */
void tmpl_cleanup(struct tmpl **t);

#endif
