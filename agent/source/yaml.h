// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * YAML and JSON text -> cJSON trees, with line numbers.
 *
 * cJSON is the common form of what comes in: manifests, the configuration, API server replies. Text is
 * hostile: size, depth, the number of nodes and alias expansion are bounded, a duplicate key is an error,
 * and no string holds a NUL byte.
 *
 * Plain scalars follow the core schema (YAML 1.2.2, 10.3.2): 1, 0x1f, 0o17 and 1.5 are numbers, true and
 * false are booleans, null, ~ and nothing are null; all else (yes, off, 10.0.0.1) is a string. Quoted
 * scalars are always strings. Of the tags only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are
 * known. JSON is read by the same parser, being nearly a subset (an escaped surrogate pair is refused).
 *
 * Documents are cut at their markers first and parsed one by one, so a syntax error costs one document.
 */
#ifndef WEFT_SOURCE_YAML_H
#define WEFT_SOURCE_YAML_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

#define WEFT_YAML_MAX_FILE   ((size_t)8 << 20)  /* bytes */
#define WEFT_YAML_MAX_STRING ((size_t)64 << 10) /* bytes of one scalar */
#define WEFT_YAML_MAX_DEPTH  64
#define WEFT_YAML_MAX_NODES  1000000 /* in one file */
#define WEFT_YAML_MAX_ALIAS  10000   /* nodes that aliases may add to one document */
#define WEFT_YAML_MAX_DOCS   100000

struct weft_yaml_line {
	const cJSON *node;
	unsigned line; /* from 1 */
};

struct weft_yaml_doc {
	cJSON *root;         /* NULL after a syntax error */
	unsigned line;       /* where the document begins, or the syntax error is */
	struct weft_err err; /* code 0 = good */
	struct weft_yaml_line *lines;
	size_t n_lines, cap_lines;
	bool sorted;
};

struct weft_yaml {
	struct weft_yaml_doc *docs; /* empty documents are left out */
	size_t n_docs;
};

/*
 * Parse a text. Returns 0 when the text could be cut into documents, each of which has its own outcome;
 * a negative errno (-EFBIG, -ENOMEM) when nothing could be done. `json` allows the tabs that YAML forbids
 * around a document. Release `out` in either case.
 */
int weft_yaml_parse(const char *text, size_t len, bool json, struct weft_yaml *out, struct weft_err *err);

/* The line of a node of this document; the document's own for an unknown node or NULL. */
unsigned weft_yaml_line(struct weft_yaml_doc *doc, const cJSON *node);

/* Zero every string of the tree (secrets travel in them) and delete it. */
void weft_json_wipe(cJSON *root);

/* All of them; or one that has been used, so that a large file is not in memory both as trees and as objects.
 */
void weft_yaml_free(struct weft_yaml *yaml);
void weft_yaml_doc_free(struct weft_yaml_doc *doc);

#endif
