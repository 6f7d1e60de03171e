// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Template compiler: text to nodes.
 *
 * One pass over a unit's text, from tag to tag. Names are cut apart in place, in the unit's own copy, so that
 * nodes only point. A tag that stands alone on its line takes the whole line with it; every other line of a
 * partial is marked at its beginning, by `line_start` of its text or by a NODE_INDENT before its first tag,
 * because the indentation of `  {{> partial}}` belongs to the lines of the partial's template, not to lines
 * that its values bring. Partials are put in a queue of units as they are met, each compiled once.
 */
#include "agent/bird/tmpl_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELIMITER_MAX 16

struct parser {
	struct tmpl *t;
	uint32_t unit;
	tmpl_load_fn load;
	void *arg;
	struct weft_err *err;
	char open[DELIMITER_MAX + 1];
	char close[DELIMITER_MAX + 1];
	size_t text_start; /* text from here on is not yet in a node */
	uint32_t text_line, text_column;
	size_t counted;    /* lines are counted up to here */
	uint32_t line;     /* the line `counted` is in */
	size_t line_begin; /* where that line begins */
	uint32_t open_sections[TMPL_NEST_MAX];
	unsigned depth;
};

/* One tag as found in the text: [start, end) with its delimiters, [name, name + name_len) trimmed inside. */
struct tag {
	char sigil; /* '#', '^', '/', '!', '>', '=', '&', '{', or 0 for a plain name */
	size_t start, end;
	size_t name, name_len;
	uint32_t line, column;
	bool alone; /* on its line, and of a kind that may stand alone */
	size_t line_begin;
	size_t next_line; /* alone: where the text goes on */
};

static struct tmpl_unit *unit_of(const struct parser *p)
{
	return &p->t->units[p->unit];
}

#define FAIL_AT(p, tag, code, fmt, ...)                                                          \
	weft_err_set((p)->err, (code), "template %s:%u:%u: " fmt, unit_of(p)->name, (tag)->line, \
	             (tag)->column, ##__VA_ARGS__)

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\n' || c == '\r';
}

const char *tmpl_node_name(const struct tmpl_node *n, char buf[TMPL_NAME_MAX + 1])
{
	const char *part = n->text;
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < n->parts; i++) {
		len += (size_t)snprintf(buf + len, TMPL_NAME_MAX + 1 - len, "%s%s", i ? "." : "", part);
		part += strlen(part) + 1;
	}
	return n->parts ? buf : ".";
}

static struct tmpl_node *add_node(struct parser *p, enum tmpl_node_type type, uint32_t line, uint32_t column)
{
	struct tmpl_unit *u = unit_of(p);
	struct tmpl_node *grown;

	if (p->t->node_count >= TMPL_NODES_MAX) {
		weft_err_set(p->err, E2BIG, "template %s:%u: more than %d tags and texts", u->name, line,
		             TMPL_NODES_MAX);
		return NULL;
	}
	if (u->count == u->cap) {
		uint32_t cap = u->cap ? u->cap * 2 : 32;

		grown = realloc(u->nodes, cap * sizeof(*grown));
		if (!grown) {
			weft_err_set(p->err, ENOMEM, "template %s: out of memory", u->name);
			return NULL;
		}
		u->nodes = grown;
		u->cap = cap;
	}
	p->t->node_count++;
	u->nodes[u->count] = (struct tmpl_node){.type = type, .line = line, .column = column};
	return &u->nodes[u->count++];
}

/* The reason of a failed add_node(): the limit or memory. */
static int node_failure(const struct parser *p)
{
	return p->t->node_count >= TMPL_NODES_MAX ? -E2BIG : -ENOMEM;
}

/* Move the line counter forward to `pos`. */
static void count_lines(struct parser *p, size_t pos)
{
	const char *text = unit_of(p)->text;

	for (; p->counted < pos; p->counted++) {
		if (text[p->counted] == '\n') {
			p->line++;
			p->line_begin = p->counted + 1;
		}
	}
}

static void start_text(struct parser *p, size_t pos)
{
	count_lines(p, pos);
	p->text_start = pos;
	p->text_line = p->line;
	p->text_column = (uint32_t)(pos - p->line_begin + 1);
}

/* The text between the last tag and `end`. */
static int add_text(struct parser *p, size_t end)
{
	struct tmpl_unit *u = unit_of(p);
	size_t start = p->text_start;
	struct tmpl_node *n;

	if (start >= end)
		return 0;
	n = add_node(p, NODE_TEXT, p->text_line, p->text_column);
	if (!n)
		return node_failure(p);
	n->line_start = start == 0 || u->text[start - 1] == '\n';
	n->text = u->text + start;
	n->len = end - start;
	return 0;
}

/* Is [from, to) blank? */
static bool all_blank(const char *text, size_t from, size_t to)
{
	while (from < to && is_blank(text[from]))
		from++;
	return from == to;
}

/* Where the line after `pos` begins when only blanks stand before it; 0 if something else does. */
static size_t rest_is_blank(const struct tmpl_unit *u, size_t pos)
{
	while (pos < u->len && is_blank(u->text[pos]))
		pos++;
	if (pos == u->len)
		return pos;
	if (u->text[pos] == '\r' && pos + 1 < u->len && u->text[pos + 1] == '\n')
		pos++;
	return u->text[pos] == '\n' ? pos + 1 : 0;
}

/* Take the tag that opens at `start` apart, without judging it. */
static int scan_tag(struct parser *p, size_t start, struct tag *tag)
{
	const struct tmpl_unit *u = unit_of(p);
	size_t inside = start + strlen(p->open);
	char closing[DELIMITER_MAX + 2] = "";
	const char *end;

	count_lines(p, start);
	*tag = (struct tag){.start = start, .line_begin = p->line_begin, .line = p->line};
	tag->column = (uint32_t)(start - p->line_begin + 1);
	if (inside < u->len && strchr("#^/!>=&{", u->text[inside]))
		tag->sigil = u->text[inside++];
	if (tag->sigil == '{' || tag->sigil == '=')
		closing[0] = tag->sigil == '{' ? '}' : '=';
	strcat(closing, p->close);
	end = memmem(u->text + inside, u->len - inside, closing, strlen(closing));
	if (!end)
		return FAIL_AT(p, tag, EINVAL, "the tag is not closed by %s", closing);
	tag->name = inside;
	tag->name_len = (size_t)(end - (u->text + inside));
	tag->end = inside + tag->name_len + strlen(closing);
	while (tag->name_len && is_space(u->text[tag->name + tag->name_len - 1]))
		tag->name_len--;
	while (tag->name_len && is_space(u->text[tag->name])) {
		tag->name++;
		tag->name_len--;
	}
	if (tag->sigil && strchr("#^/!>=", tag->sigil) && all_blank(u->text, tag->line_begin, start)) {
		tag->next_line = rest_is_blank(u, tag->end);
		tag->alone = tag->next_line != 0;
	}
	return 0;
}

/* A bounded copy for messages; control characters are the error object's business. */
static const char *tag_name(const struct parser *p, const struct tag *tag, char buf[TMPL_NAME_MAX + 1])
{
	snprintf(buf, TMPL_NAME_MAX + 1, "%.*s",
	         (int)(tag->name_len < TMPL_NAME_MAX ? tag->name_len : TMPL_NAME_MAX),
	         unit_of(p)->text + tag->name);
	return buf;
}

static int check_name(struct parser *p, const struct tag *tag)
{
	const char *name = unit_of(p)->text + tag->name;
	char shown[TMPL_NAME_MAX + 1];

	if (!tag->name_len)
		return FAIL_AT(p, tag, EINVAL, "the tag has no name");
	if (tag->name_len > TMPL_NAME_MAX)
		return FAIL_AT(p, tag, EINVAL, "a name is longer than %d bytes", TMPL_NAME_MAX);
	tag_name(p, tag, shown);
	if (name[0] == '<' || name[0] == '$')
		return FAIL_AT(p, tag, EINVAL, "{{%s}}: template inheritance is not supported", shown);
	for (size_t i = 0; i < tag->name_len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return FAIL_AT(p, tag, EINVAL, "{{%s}}: a name has no spaces inside", shown);
	return 0;
}

/* Cut the tag's name at its dots, in place, and give it to the node. */
static int set_path(struct parser *p, const struct tag *tag, struct tmpl_node *n)
{
	char *name = unit_of(p)->text + tag->name;
	char shown[TMPL_NAME_MAX + 1];
	size_t part = 0;

	tag_name(p, tag, shown);
	n->text = name;
	n->len = tag->name_len;
	if (tag->name_len == 1 && name[0] == '.')
		return 0;
	for (size_t i = 0; i <= tag->name_len; i++) {
		if (i < tag->name_len && name[i] != '.')
			continue;
		if (i == part)
			return FAIL_AT(p, tag, EINVAL, "{{%s}}: an empty part between dots", shown);
		if (++n->parts > TMPL_PARTS_MAX)
			return FAIL_AT(p, tag, EINVAL, "{{%s}}: more than %d parts", shown, TMPL_PARTS_MAX);
		name[i] = '\0'; /* the last one falls on a blank or the closing delimiter */
		part = i + 1;
	}
	return 0;
}

static int parse_named(struct parser *p, const struct tag *tag, enum tmpl_node_type type)
{
	struct tmpl_node *n;
	int rc = check_name(p, tag);

	if (rc)
		return rc;
	n = add_node(p, type, tag->line, tag->column);
	if (!n)
		return node_failure(p);
	return set_path(p, tag, n);
}

static int parse_section(struct parser *p, const struct tag *tag)
{
	int rc;

	if (p->depth == TMPL_NEST_MAX)
		return FAIL_AT(p, tag, E2BIG, "more than %d sections inside each other", TMPL_NEST_MAX);
	rc = parse_named(p, tag, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED);
	if (!rc)
		p->open_sections[p->depth++] = unit_of(p)->count - 1;
	return rc;
}

static int parse_end(struct parser *p, const struct tag *tag)
{
	char opened[TMPL_NAME_MAX + 1], shown[TMPL_NAME_MAX + 1];
	struct tmpl_node *section;
	uint32_t index;

	tag_name(p, tag, shown);
	if (!p->depth)
		return FAIL_AT(p, tag, EINVAL, "{{/%s}} closes a section that is not open", shown);
	index = p->open_sections[p->depth - 1];
	section = &unit_of(p)->nodes[index];
	if (tag->name_len > TMPL_NAME_MAX || strcmp(tmpl_node_name(section, opened), shown) != 0)
		return FAIL_AT(p, tag, EINVAL, "{{/%s}} where {{/%s}} is due, opened on line %u", shown,
		               tmpl_node_name(section, opened), section->line);
	if (!add_node(p, NODE_END, tag->line, tag->column))
		return node_failure(p);
	unit_of(p)->nodes[index].target = unit_of(p)->count - 1;
	p->depth--;
	return 0;
}

static bool partial_name_ok(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
		    name[i] != '_' && name[i] != '-')
			return false;
	return len > 0 && len <= TMPL_PARTIAL_NAME_MAX;
}

/* Takes over `text`, also when it fails. */
static int add_unit(struct tmpl *t, const char *name, char *text, size_t len, struct weft_err *err)
{
	struct tmpl_unit *u;
	int rc = 0;

	if (len > TMPL_TEXT_MAX)
		rc = weft_err_set(err, E2BIG, "template %s: larger than %zu bytes", name, TMPL_TEXT_MAX);
	else if (len && memchr(text, '\0', len))
		rc = weft_err_set(err, EINVAL, "template %s: has a NUL byte", name);
	else if (t->unit_count == TMPL_UNITS_MAX)
		rc = weft_err_set(err, E2BIG, "template %s: more than %d partials", name, TMPL_UNITS_MAX - 1);
	if (rc) {
		free(text);
		return rc;
	}
	u = &t->units[t->unit_count++];
	snprintf(u->name, sizeof(u->name), "%s", name);
	u->text = text;
	u->len = len;
	return 0;
}

/* The unit of a partial, loaded when it is new. */
static int find_unit(struct parser *p, const struct tag *tag, const char *name, uint32_t *unit)
{
	struct tmpl *t = p->t;
	char *text = NULL;
	size_t len = 0;
	int rc;

	/* Unit 0 is the template itself, whose name is only a label. */
	for (*unit = 1; *unit < t->unit_count; (*unit)++)
		if (strcmp(t->units[*unit].name, name) == 0)
			return 0;
	rc = p->load ? p->load(p->arg, name, &text, &len, p->err) : 0;
	if (rc)
		return rc;
	if (text) {
		*unit = t->unit_count;
		return add_unit(t, name, text, len, p->err);
	}
	*unit = TMPL_NO_UNIT;
	if (t->options.strict)
		return FAIL_AT(p, tag, ENOENT, "there is no partial %s", name);
	return 0;
}

static int parse_partial(struct parser *p, const struct tag *tag)
{
	char name[TMPL_NAME_MAX + 1];
	struct tmpl_node *n;
	uint32_t unit;
	int rc = check_name(p, tag);

	if (rc)
		return rc;
	tag_name(p, tag, name);
	if (!partial_name_ok(name, tag->name_len))
		return FAIL_AT(p, tag, EINVAL, "{{> %s}}: a partial's name is 1 to %d of a-z 0-9 _ -", name,
		               TMPL_PARTIAL_NAME_MAX);
	rc = find_unit(p, tag, name, &unit);
	if (rc)
		return rc;
	n = add_node(p, NODE_PARTIAL, tag->line, tag->column);
	if (!n)
		return node_failure(p);
	n->target = unit;
	n->text = unit_of(p)->text + tag->line_begin;
	n->len = tag->alone ? tag->start - tag->line_begin : 0;
	n->line_start = tag->alone;
	return 0;
}

/* {{=OPEN CLOSE=}} */
static int parse_delimiters(struct parser *p, const struct tag *tag)
{
	const char *text = unit_of(p)->text + tag->name;
	size_t open = 0, gap, close;

	while (open < tag->name_len && !is_space(text[open]))
		open++;
	gap = open;
	while (gap < tag->name_len && is_space(text[gap]))
		gap++;
	close = tag->name_len - gap;
	for (size_t i = gap; i < tag->name_len; i++)
		if (is_space(text[i]))
			close = 0;
	if (!open || !close || open > DELIMITER_MAX || close > DELIMITER_MAX ||
	    memchr(text, '=', tag->name_len))
		return FAIL_AT(p, tag, EINVAL, "delimiters are two words of 1 to %d bytes without '='",
		               DELIMITER_MAX);
	memcpy(p->open, text, open);
	p->open[open] = '\0';
	memcpy(p->close, text + gap, close);
	p->close[close] = '\0';
	return 0;
}

static int parse_content(struct parser *p, const struct tag *tag)
{
	switch (tag->sigil) {
	case '!':
		return 0;
	case '=':
		return parse_delimiters(p, tag);
	case '#':
	case '^':
		return parse_section(p, tag);
	case '/':
		return parse_end(p, tag);
	case '>':
		return parse_partial(p, tag);
	default:
		return parse_named(p, tag, tag->sigil ? NODE_RAW : NODE_VALUE);
	}
}

static int parse_tag(struct parser *p, const struct tag *tag)
{
	/* A line of a partial that begins with this tag; the template itself is never indented. */
	bool begins_line = p->unit > 0 && !tag->alone && tag->start == tag->line_begin;
	int rc;

	rc = add_text(p, tag->alone ? tag->line_begin : tag->start);
	if (rc)
		return rc;
	if (begins_line && !add_node(p, NODE_INDENT, tag->line, 1))
		return node_failure(p);
	start_text(p, tag->alone ? tag->next_line : tag->end);
	return parse_content(p, tag);
}

static int parse_unit(struct parser *p)
{
	size_t pos = 0;
	const char *found;
	struct tag tag;
	int rc;

	strcpy(p->open, "{{");
	strcpy(p->close, "}}");
	p->line = 1;
	p->counted = p->line_begin = 0;
	p->depth = 0;
	start_text(p, 0);
	while ((found = memmem(unit_of(p)->text + pos, unit_of(p)->len - pos, p->open, strlen(p->open)))) {
		rc = scan_tag(p, (size_t)(found - unit_of(p)->text), &tag);
		if (!rc)
			rc = parse_tag(p, &tag);
		if (rc)
			return rc;
		pos = tag.end;
	}
	if (p->depth) {
		const struct tmpl_node *n = &unit_of(p)->nodes[p->open_sections[p->depth - 1]];
		char name[TMPL_NAME_MAX + 1];

		return FAIL_AT(p, n, EINVAL, "the section {{#%s}} is not closed", tmpl_node_name(n, name));
	}
	return add_text(p, unit_of(p)->len);
}

int tmpl_compile(const char *name, const char *text, size_t len, const struct tmpl_options *options,
                 tmpl_load_fn load, void *arg, struct tmpl **out, struct weft_err *err)
{
	struct parser p = {.load = load, .arg = arg, .err = err};
	char *copy = malloc(len + 1);
	struct tmpl *t = calloc(1, sizeof(*t));
	int rc;

	if (!t || !copy) {
		free(t);
		free(copy);
		return weft_err_set(err, ENOMEM, "template %s: out of memory", name);
	}
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	t->options = *options;
	p.t = t;
	rc = add_unit(t, name, copy, len, err);
	for (; !rc && p.unit < t->unit_count; p.unit++)
		rc = parse_unit(&p);
	if (rc) {
		tmpl_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void tmpl_free(struct tmpl *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->unit_count; i++) {
		free(t->units[i].text);
		free(t->units[i].nodes);
	}
	free(t);
}

void tmpl_cleanup(struct tmpl **t)
{
	tmpl_free(*t);
	*t = NULL;
}
