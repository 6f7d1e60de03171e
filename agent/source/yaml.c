// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libyaml's events -> cJSON.
 *
 * Flow: cut() finds the documents, parse_doc() runs one libyaml parser over each, build_node() recurses over
 * its events (bounded by WEFT_YAML_MAX_DEPTH). Each node's line goes to an array that is sorted at the first
 * look-up, since only errors ask for lines.
 *
 * Ownership: a document owns its tree, whose strings are wiped on release. Anchors point into the tree under
 * construction; an alias is a deep copy, so that the result is a tree whose size is bounded by counting.
 * libyaml's own buffers cannot be wiped: they are freed before the parser returns.
 */
#include "agent/source/yaml.h"
#include "agent/source/scalar.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "weft/cleanup.h"

#define MAX_ANCHORS 1000

struct anchor {
	char *name;
	const cJSON *node;
	size_t size; /* nodes */
};

struct builder {
	yaml_parser_t parser;
	struct weft_yaml_doc *doc;
	unsigned line_base; /* lines before the document's text */
	struct anchor *anchors;
	size_t n_anchors;
	size_t *nodes; /* so far, in the whole file */
	size_t alias_nodes;
	unsigned depth;
};

static int build_node(struct builder *b, yaml_event_t *ev, cJSON **out);

static void event_free(yaml_event_t *ev)
{
	if (ev->type == YAML_SCALAR_EVENT && ev->data.scalar.value)
		sodium_memzero(ev->data.scalar.value, ev->data.scalar.length);
	yaml_event_delete(ev);
}

static void tree_free(cJSON **node)
{
	weft_json_wipe(*node);
}

static int fail(struct builder *b, size_t line, const char *text)
{
	b->doc->line = b->line_base + (unsigned)line + 1;
	return weft_err_set(&b->doc->err, EINVAL, "%s", text);
}

/* A reader error has an offset but no mark. */
static size_t line_of_offset(const char *text, size_t len, size_t offset)
{
	size_t line = 0;

	for (size_t i = 0; i < len && i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static int next_event(struct builder *b, yaml_event_t *ev)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem;
	size_t line;

	if (yaml_parser_parse(&b->parser, ev))
		return 0;
	*ev = (yaml_event_t){.type = YAML_NO_EVENT};
	if (p->error == YAML_MEMORY_ERROR)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	problem = p->problem ? p->problem : "syntax error";
	if (p->error == YAML_READER_ERROR) {
		const unsigned char *start = p->input.string.start;
		line = line_of_offset((const char *)start, (size_t)(p->input.string.end - start),
		                      p->problem_offset);
		b->doc->line = b->line_base + (unsigned)line + 1;
		return weft_err_set(&b->doc->err, EILSEQ, "not YAML: %s", problem);
	}
	b->doc->line = b->line_base + (unsigned)p->problem_mark.line + 1;
	return weft_err_set(&b->doc->err, EINVAL, "not YAML: %s%s%s", p->context ? p->context : "",
	                    p->context ? ", " : "", problem);
}

static int note_line(struct builder *b, const cJSON *node, size_t line)
{
	struct weft_yaml_doc *doc = b->doc;

	if (doc->n_lines == doc->cap_lines) {
		size_t cap = doc->cap_lines ? doc->cap_lines * 2 : 32;
		struct weft_yaml_line *lines = realloc(doc->lines, cap * sizeof(*lines));
		if (!lines)
			return weft_err_errno(&doc->err, ENOMEM, "parsing YAML");
		doc->lines = lines;
		doc->cap_lines = cap;
	}
	doc->lines[doc->n_lines++] = (struct weft_yaml_line){node, b->line_base + (unsigned)line + 1};
	return 0;
}

static int count_nodes(struct builder *b, size_t n, size_t line)
{
	if (*b->nodes + n > WEFT_YAML_MAX_NODES)
		return fail(b, line, "the file has more than 1000000 values");
	*b->nodes += n;
	return 0;
}

/* A node is complete, and only then can be named: an alias inside its own anchor finds nothing. */
static int add_anchor(struct builder *b, const char *name, const cJSON *node, size_t size, size_t line)
{
	struct anchor *anchors;
	char *copy;

	if (b->n_anchors == MAX_ANCHORS)
		return fail(b, line, "the document has more than 1000 anchors");
	anchors = realloc(b->anchors, (b->n_anchors + 1) * sizeof(*anchors));
	if (!anchors)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	b->anchors = anchors;
	copy = strdup(name);
	if (!copy)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	anchors[b->n_anchors++] = (struct anchor){copy, node, size};
	return 0;
}

static int note_tree(struct builder *b, const cJSON *node, size_t line)
{
	int r = note_line(b, node, line);

	for (const cJSON *c = node->child; c && r == 0; c = c->next)
		r = note_tree(b, c, line);
	return r;
}

static unsigned tree_depth(const cJSON *node)
{
	unsigned deepest = 0;

	for (const cJSON *c = node->child; c; c = c->next) {
		unsigned d = tree_depth(c);
		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

static int build_alias(struct builder *b, const yaml_event_t *ev, cJSON **out)
{
	const char *name = (const char *)ev->data.alias.anchor;
	size_t line = ev->start_mark.line;
	const struct anchor *a = NULL;
	int r;

	for (size_t i = b->n_anchors; i-- > 0 && !a;) /* the latest of that name counts */
		if (!strcmp(b->anchors[i].name, name))
			a = &b->anchors[i];
	if (!a) {
		b->doc->line = b->line_base + (unsigned)line + 1;
		return weft_err_set(&b->doc->err, EINVAL, "alias *%.64s has no anchor before it", name);
	}
	b->alias_nodes += a->size;
	if (b->alias_nodes > WEFT_YAML_MAX_ALIAS)
		return fail(b, line, "aliases expand to more than 10000 values");
	if (b->depth + tree_depth(a->node) > WEFT_YAML_MAX_DEPTH)
		return fail(b, line, "nested deeper than 64 levels");
	r = count_nodes(b, a->size, line);
	if (r < 0)
		return r;
	*out = cJSON_Duplicate(a->node, 1);
	if (!*out)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	cJSON_free((*out)->string); /* the copy goes by another name */
	(*out)->string = NULL;
	return note_tree(b, *out, line);
}

static int build_scalar(struct builder *b, const yaml_event_t *ev, cJSON **out)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length, line = ev->start_mark.line;
	const char *problem = NULL;

	if (len > WEFT_YAML_MAX_STRING)
		return fail(b, line, "a value is longer than 65536 bytes");
	if (memchr(text, '\0', len))
		return fail(b, line, "a value holds a NUL character");
	*out = weft_scalar(text, (const char *)ev->data.scalar.tag, ev->data.scalar.plain_implicit, &problem);
	if (*out)
		return note_line(b, *out, line);
	if (problem)
		return fail(b, line, problem);
	return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static unsigned found_line(struct builder *b, const cJSON *node)
{
	return weft_yaml_line(b->doc, node) - b->line_base - 1;
}

/* Sorting keeps a mapping of a million keys from costing a million million comparisons. */
static int refuse_duplicates(struct builder *b, const cJSON *map)
{
	size_t n = (size_t)cJSON_GetArraySize(map), i = 0;
	weft_autofree const cJSON **keys = NULL;
	const cJSON *c;

	if (n < 2)
		return 0;
	keys = malloc(n * sizeof(*keys));
	if (!keys)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	cJSON_ArrayForEach (c, map)
		keys[i++] = c;
	qsort(keys, n, sizeof(*keys), by_key);
	for (i = 1; i < n; i++) {
		unsigned one, two;
		if (strcmp(keys[i - 1]->string, keys[i]->string))
			continue;
		one = found_line(b, keys[i - 1]);
		two = found_line(b, keys[i]);
		b->doc->line = b->line_base + (one > two ? one : two) + 1;
		return weft_err_set(&b->doc->err, EINVAL, "the key \"%.64s\" appears twice", keys[i]->string);
	}
	return 0;
}

static int take_key(struct builder *b, const yaml_event_t *ev, char **out)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len;

	if (ev->type != YAML_SCALAR_EVENT)
		return fail(b, ev->start_mark.line, "a key must be a plain text");
	len = ev->data.scalar.length;
	if (len > WEFT_YAML_MAX_STRING)
		return fail(b, ev->start_mark.line, "a key is longer than 65536 bytes");
	if (memchr(text, '\0', len))
		return fail(b, ev->start_mark.line, "a key holds a NUL character");
	*out = cJSON_malloc(len + 1);
	if (!*out)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	memcpy(*out, text, len + 1);
	return 0;
}

static int build_member(struct builder *b, yaml_event_t *key, cJSON *map)
{
	weft_auto(event_free) yaml_event_t ev = {.type = YAML_NO_EVENT};
	weft_auto(tree_free) cJSON *value = NULL;
	weft_autofree char *name = NULL;
	int r = take_key(b, key, &name);

	if (r == 0)
		r = next_event(b, &ev);
	if (r == 0)
		r = build_node(b, &ev, &value);
	if (r < 0)
		return r;
	value->string = WEFT_TAKE_PTR(name);
	cJSON_AddItemToArray(map,
	                     WEFT_TAKE_PTR(value)); /* keeps ->string; an object is a list of named items */
	return 0;
}

static int build_item(struct builder *b, yaml_event_t *ev, cJSON *array)
{
	weft_auto(tree_free) cJSON *value = NULL;
	int r = build_node(b, ev, &value);

	if (r == 0)
		cJSON_AddItemToArray(array, WEFT_TAKE_PTR(value));
	return r;
}

static bool known_collection_tag(const yaml_event_t *ev)
{
	bool map = ev->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag = map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;

	return !tag || !strcmp((const char *)tag, map ? YAML_MAP_TAG : YAML_SEQ_TAG);
}

static int build_members(struct builder *b, bool map, cJSON *node)
{
	for (;;) {
		weft_auto(event_free) yaml_event_t ev = {.type = YAML_NO_EVENT};
		int r = next_event(b, &ev);

		if (r < 0)
			return r;
		if (ev.type == YAML_MAPPING_END_EVENT)
			return refuse_duplicates(b, node);
		if (ev.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		r = map ? build_member(b, &ev, node) : build_item(b, &ev, node);
		if (r < 0)
			return r;
	}
}

static int build_collection(struct builder *b, const yaml_event_t *ev, cJSON **out)
{
	bool map = ev->type == YAML_MAPPING_START_EVENT;
	size_t line = ev->start_mark.line;
	weft_auto(tree_free) cJSON *node = NULL;
	int r;

	if (!known_collection_tag(ev))
		return fail(b, line, "a tag is not supported here");
	if (b->depth >= WEFT_YAML_MAX_DEPTH)
		return fail(b, line, "nested deeper than 64 levels");
	node = map ? cJSON_CreateObject() : cJSON_CreateArray();
	if (!node)
		return weft_err_errno(&b->doc->err, ENOMEM, "parsing YAML");
	r = note_line(b, node, line);
	b->depth++;
	if (r == 0)
		r = build_members(b, map, node);
	b->depth--;
	if (r == 0)
		*out = WEFT_TAKE_PTR(node);
	return r;
}

static const char *anchor_of(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)ev->data.scalar.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)ev->data.mapping_start.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)ev->data.sequence_start.anchor;
	default:
		return NULL;
	}
}

static int build_node(struct builder *b, yaml_event_t *ev, cJSON **out)
{
	const char *anchor = anchor_of(ev);
	size_t before = *b->nodes;
	int r;

	if (ev->type == YAML_ALIAS_EVENT)
		return build_alias(b, ev, out);
	r = count_nodes(b, 1, ev->start_mark.line);
	if (r < 0)
		return r;
	r = ev->type == YAML_SCALAR_EVENT ? build_scalar(b, ev, out) : build_collection(b, ev, out);
	if (r == 0 && anchor)
		r = add_anchor(b, anchor, *out, *b->nodes - before, ev->start_mark.line);
	return r;
}

/* Events of one document: STREAM-START DOCUMENT-START node DOCUMENT-END STREAM-END. */
static int build_doc(struct builder *b)
{
	weft_auto(tree_free) cJSON *root = NULL;

	for (;;) {
		weft_auto(event_free) yaml_event_t ev = {.type = YAML_NO_EVENT};
		int r = next_event(b, &ev);

		if (r < 0)
			return r;
		switch (ev.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (root)
				return fail(b, ev.start_mark.line,
				            "not YAML: a second value without --- before it");
			break;
		case YAML_STREAM_END_EVENT:
			b->doc->root = WEFT_TAKE_PTR(root);
			return 0;
		default:
			r = build_node(b, &ev, &root);
			if (r < 0)
				return r;
			b->doc->line = b->line_base + (unsigned)ev.start_mark.line + 1;
		}
	}
}

static int parse_doc(struct weft_yaml_doc *doc, const char *text, size_t len, unsigned line_base,
                     size_t *nodes)
{
	struct builder b = {.doc = doc, .line_base = line_base, .nodes = nodes};
	int r;

	doc->line = line_base + 1;
	if (!yaml_parser_initialize(&b.parser))
		return weft_err_errno(&doc->err, ENOMEM, "parsing YAML");
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING); /* a BOM must not choose another one */
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
	r = build_doc(&b);
	yaml_parser_delete(&b.parser);
	for (size_t i = 0; i < b.n_anchors; i++)
		free(b.anchors[i].name);
	free(b.anchors);
	return r;
}

static bool is_marker(const char *line, const char *end)
{
	return end - line >= 3 && (!memcmp(line, "---", 3) || !memcmp(line, "...", 3)) &&
	       (end - line == 3 || strchr(" \t\r\n", line[3]));
}

/* Lines of comments, white space and directives, with at least one directive: they belong to what follows. */
static bool only_directives(const char *text, const char *end)
{
	bool directive = false;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		const char *p = text + strspn(text, " \t\r");

		directive |= *text == '%';
		if (*text != '%' && p < end && *p != '#' && *p != '\n')
			return false;
		text = eol ? eol + 1 : end;
	}
	return directive;
}

static bool blank(const char *text, const char *end)
{
	while (text < end && strchr(" \t\r\n", *text) && *text)
		text++;
	return text == end;
}

static int add_doc(struct weft_yaml *out, const char *text, size_t len, unsigned line_base, size_t *nodes,
                   struct weft_err *err)
{
	struct weft_yaml_doc *doc;

	if (blank(text, text + len))
		return 0;
	if (out->n_docs == WEFT_YAML_MAX_DOCS)
		return weft_err_set(err, EFBIG, "the file has more than %d documents", WEFT_YAML_MAX_DOCS);
	if ((out->n_docs & (out->n_docs + 1)) == 0) { /* capacity 1, 3, 7, ...: grows before it is full */
		struct weft_yaml_doc *docs = realloc(out->docs, (2 * out->n_docs + 1) * sizeof(*docs));
		if (!docs)
			return weft_err_errno(err, ENOMEM, "parsing YAML");
		out->docs = docs;
	}
	doc = &out->docs[out->n_docs];
	*doc = (struct weft_yaml_doc){.err = WEFT_ERR_INIT};
	if (parse_doc(doc, text, len, line_base, nodes) == 0 && (!doc->root || cJSON_IsNull(doc->root))) {
		weft_json_wipe(doc->root);
		free(doc->lines);
		return 0;
	}
	out->n_docs++;
	return 0;
}

/* A marker at the start of a line ends a document wherever it stands, in quoted and block scalars too
 * (YAML 1.2.2, 9.1.2). */
static int cut(const char *text, const char *end, struct weft_yaml *out, struct weft_err *err)
{
	const char *start = text, *line = text;
	unsigned number = 0, base = 0;
	size_t nodes = 0;
	int r = 0;

	while (line < end && r == 0) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		if (is_marker(line, end) && !only_directives(start, line)) {
			r = add_doc(out, start, (size_t)(line - start), base, &nodes, err);
			/* "..." ends a document and opens none: it is skipped. */
			start = *line == '.' ? (eol ? eol + 1 : end) : line;
			base = number + (*line == '.');
		}
		number++;
		line = eol ? eol + 1 : end;
	}
	return r < 0 ? r : add_doc(out, start, (size_t)(end - start), base, &nodes, err);
}

static int parse_json(const char *text, size_t len, struct weft_yaml *out, struct weft_err *err)
{
	unsigned line = 0;
	size_t nodes = 0;

	while (len && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
		len--;
	for (; len && strchr(" \t\r\n", *text) && *text; text++, len--)
		line += *text == '\n';
	return add_doc(out, text, len, line, &nodes, err);
}

int weft_yaml_parse(const char *text, size_t len, bool json, struct weft_yaml *out, struct weft_err *err)
{
	*out = (struct weft_yaml){0};
	if (len > WEFT_YAML_MAX_FILE)
		return weft_err_set(err, EFBIG, "the file is larger than %zu bytes", WEFT_YAML_MAX_FILE);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* libyaml would count the BOM as a column */
		text += 3;
		len -= 3;
	}
	return json ? parse_json(text, len, out, err) : cut(text, text + len, out, err);
}

static int by_node(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct weft_yaml_line *)a)->node;
	uintptr_t y = (uintptr_t)((const struct weft_yaml_line *)b)->node;

	return (x > y) - (x < y);
}

unsigned weft_yaml_line(struct weft_yaml_doc *doc, const cJSON *node)
{
	struct weft_yaml_line want = {.node = node};
	const struct weft_yaml_line *found;

	if (!node || !doc->n_lines)
		return doc->line;
	if (!doc->sorted && node == doc->lines[0].node) /* the root: asked for each good object */
		return doc->lines[0].line;
	if (!doc->sorted)
		qsort(doc->lines, doc->n_lines, sizeof(*doc->lines), by_node);
	doc->sorted = true;
	found = bsearch(&want, doc->lines, doc->n_lines, sizeof(*doc->lines), by_node);
	return found ? found->line : doc->line;
}

void weft_json_wipe(cJSON *root)
{
	struct cJSON *node = root;

	if (!root)
		return;
	/* Depth is bounded by the parser (64) or by cJSON itself (CJSON_NESTING_LIMIT). */
	for (node = root->child; node;) {
		cJSON *next = node->next;
		cJSON_DetachItemViaPointer(root, node);
		weft_json_wipe(node);
		node = next;
	}
	if (root->valuestring)
		sodium_memzero(root->valuestring, strlen(root->valuestring));
	cJSON_Delete(root);
}

void weft_yaml_doc_free(struct weft_yaml_doc *doc)
{
	weft_json_wipe(doc->root);
	free(doc->lines);
	*doc = (struct weft_yaml_doc){0};
}

void weft_yaml_free(struct weft_yaml *yaml)
{
	for (size_t i = 0; i < yaml->n_docs; i++)
		weft_yaml_doc_free(&yaml->docs[i]);
	free(yaml->docs);
	*yaml = (struct weft_yaml){0};
}
