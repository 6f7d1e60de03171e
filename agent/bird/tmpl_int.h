// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the compiler (tmpl.c) makes and the renderer (tmpl_render.c) reads. Private to these two.
 *
 * A unit is one template or partial: its own copy of the text and a flat array of nodes that point into it.
 * A section's content is the nodes up to its NODE_END. Unit 0 is the template; partials are named by the
 * unit's number, so recursion needs no loops of pointers.
 */
#ifndef WEFT_BIRD_TMPL_INT_H
#define WEFT_BIRD_TMPL_INT_H

#include <stdint.h>

#include "agent/bird/tmpl.h"

#define TMPL_PARTIAL_NAME_MAX 64
#define TMPL_NO_UNIT          UINT32_MAX

enum tmpl_node_type {
	NODE_TEXT,
	NODE_INDENT, /* a line begins here with a tag: a partial's indentation goes here */
	NODE_VALUE,
	NODE_RAW,
	NODE_SECTION,
	NODE_INVERTED,
	NODE_END,
	NODE_PARTIAL,
};

struct tmpl_node {
	enum tmpl_node_type type;
	bool line_start;  /* TEXT: its first byte begins a line */
	unsigned parts;   /* names: number of NUL-terminated parts at `text`; 0 = "." */
	uint32_t line;    /* from 1 */
	uint32_t column;  /* from 1, in bytes */
	uint32_t target;  /* SECTION, INVERTED: index of the END; PARTIAL: unit or TMPL_NO_UNIT */
	const char *text; /* TEXT: bytes; names: parts; PARTIAL: the indentation before the tag */
	size_t len;
};

struct tmpl_unit {
	char name[TMPL_PARTIAL_NAME_MAX + 1]; /* cut for the template itself */
	char *text;
	size_t len;
	struct tmpl_node *nodes;
	uint32_t count;
	uint32_t cap;
};

struct tmpl {
	struct tmpl_options options;
	struct tmpl_unit units[TMPL_UNITS_MAX];
	uint32_t unit_count;
	uint32_t node_count; /* of all units */
};

/* The dotted name of a node, for messages. */
const char *tmpl_node_name(const struct tmpl_node *n, char buf[TMPL_NAME_MAX + 1]);

#endif
