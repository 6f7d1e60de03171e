// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Template renderer: nodes and data to text.
 *
 * Walks the nodes of a unit; sections push their element on the context stack, partials go into another unit
 * with the indentation of their line added. Every byte goes out through put(), which holds the size bound
 * and, for BIRD, the lexical guard; every node passes step(), which holds the bound on work. Depth is bounded
 * by the context stack, so recursion of partials ends.
 */
#include "agent/bird/tmpl_int.h"

#include <errno.h>
#include <math.h> /* isfinite: a macro, no libm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/guard.h"

#define DEFAULT_OUTPUT ((size_t)8 << 20)
#define DEFAULT_STEPS  ((size_t)4000000)
#define NUMBER_TEXT    32

struct render {
	const struct tmpl *t;
	struct weft_buf *out;
	struct weft_err *err;
	struct bird_guard guard;
	size_t output_left;
	size_t steps_left;
	const cJSON *context[TMPL_NEST_MAX + 1];
	unsigned contexts;
	unsigned depth; /* open sections and partials */
	/* Indentation of the partials we are in, outermost first; an inline partial hides what is before it.
	 */
	char indent[TMPL_INDENT_MAX];
	size_t indent_start, indent_end;
};

/* Where in the templates we are. */
struct place {
	const struct tmpl_unit *unit;
	const struct tmpl_node *node;
};

static int render_nodes(struct render *r, const struct tmpl_unit *u, uint32_t from, uint32_t to);

/* "template U:L:C: the value of {{name}} " or the like before a reason. */
static int fail(const struct render *r, struct place at, int code, const char *reason)
{
	const struct tmpl_node *n = at.node;
	char name[TMPL_NAME_MAX + 1];
	bool named = n->type == NODE_VALUE || n->type == NODE_RAW || n->type == NODE_SECTION ||
	             n->type == NODE_INVERTED;

	if (named)
		return weft_err_set(r->err, code, "template %s:%u:%u: the value of {{%s}} %s", at.unit->name,
		                    n->line, n->column, tmpl_node_name(n, name), reason);
	return weft_err_set(r->err, code, "template %s:%u:%u: the %s %s", at.unit->name, n->line, n->column,
	                    n->type == NODE_PARTIAL ? "partial" : "text from here", reason);
}

static int put(struct render *r, struct place at, const char *text, size_t len)
{
	if (len > r->output_left)
		return fail(r, at, E2BIG, "makes the output larger than its limit");
	r->output_left -= len;
	weft_buf_add(r->out, text, len);
	return r->out->failed ? fail(r, at, ENOMEM, "finds no memory for the output") : 0;
}

/* Text that weft made. */
static int put_text(struct render *r, struct place at, const char *text, size_t len)
{
	const char *why = NULL;

	if (r->t->options.escape == TMPL_BIRD)
		why = bird_guard_text(&r->guard, text, len);
	return why ? fail(r, at, EINVAL, why) : put(r, at, text, len);
}

static int put_indent(struct render *r, struct place at)
{
	return put_text(r, at, r->indent + r->indent_start, r->indent_end - r->indent_start);
}

/* A text node, with the indentation before each line that begins in it. */
static int put_lines(struct render *r, struct place at)
{
	const char *text = at.node->text, *end = text + at.node->len, *next;
	bool begins = at.node->line_start;
	int rc = 0;

	if (r->indent_start == r->indent_end)
		return put_text(r, at, text, at.node->len);
	for (; text < end && !rc; text = next, begins = true) {
		next = memchr(text, '\n', (size_t)(end - text));
		next = next ? next + 1 : end;
		if (begins)
			rc = put_indent(r, at);
		if (!rc)
			rc = put_text(r, at, text, (size_t)(next - text));
	}
	return rc;
}

/* The value of a name, NULL when it is missing. */
static const cJSON *lookup(const struct render *r, const struct tmpl_node *n)
{
	const char *part = n->text;
	const cJSON *v = NULL;

	if (!n->parts)
		return r->context[r->contexts - 1];
	for (unsigned i = r->contexts; i > 0 && !v; i--)
		if (cJSON_IsObject(r->context[i - 1]))
			v = cJSON_GetObjectItemCaseSensitive(r->context[i - 1], part);
	for (unsigned i = 1; i < n->parts && v; i++) {
		part += strlen(part) + 1;
		v = cJSON_IsObject(v) ? cJSON_GetObjectItemCaseSensitive(v, part) : NULL;
	}
	return v;
}

static bool is_true(const cJSON *v)
{
	if (!v || cJSON_IsNull(v) || cJSON_IsFalse(v))
		return false;
	if (cJSON_IsArray(v))
		return v->child != NULL;
	return !cJSON_IsString(v) || v->valuestring[0] != '\0';
}

static bool is_whole(double d)
{
	return d >= -9007199254740992.0 && d <= 9007199254740992.0 && (double)(int64_t)d == d;
}

static const char *number_text(double d, char buf[NUMBER_TEXT])
{
	if (is_whole(d)) {
		snprintf(buf, NUMBER_TEXT, "%.0f", d == 0 ? 0.0 : d); /* no "-0" */
		return buf;
	}
	snprintf(buf, NUMBER_TEXT, "%.15g", d);
	if (strtod(buf, NULL) != d)
		snprintf(buf, NUMBER_TEXT, "%.17g", d);
	return buf;
}

/* The text of a scalar. *why is set for what has none. */
static const char *scalar_text(const struct render *r, const cJSON *v, char buf[NUMBER_TEXT],
                               const char **why)
{
	if (cJSON_IsString(v))
		return v->valuestring;
	if (cJSON_IsBool(v))
		return cJSON_IsTrue(v) ? "true" : "false";
	if (cJSON_IsNumber(v) && isfinite(v->valuedouble)) {
		if (r->t->options.escape != TMPL_BIRD || is_whole(v->valuedouble))
			return number_text(v->valuedouble, buf);
		*why = "is not a whole number up to 2^53";
		return NULL;
	}
	*why = cJSON_IsNumber(v)   ? "is not a finite number"
	       : cJSON_IsArray(v)  ? "is a list, not a text or number"
	       : cJSON_IsObject(v) ? "is an object, not a text or number"
	                           : "is of an unknown kind";
	return NULL;
}

static int put_html(struct render *r, struct place at, const char *text)
{
	int rc = 0;

	while (*text && !rc) {
		size_t plain = strcspn(text, "&\"<>");

		rc = put(r, at, text, plain);
		text += plain;
		if (rc || !*text)
			break;
		const char *entity = *text == '&'   ? "&amp;"
		                     : *text == '"' ? "&quot;"
		                     : *text == '<' ? "&lt;"
		                                    : "&gt;";
		rc = put(r, at, entity, strlen(entity));
		text++;
	}
	return rc;
}

/* Generated text may have lines and quotes, but still nothing unprintable. */
static const char *check_raw(const char *text)
{
	for (; *text; text++)
		if ((*text < 0x20 || *text > 0x7e) && *text != '\n' && *text != '\t')
			return "has a byte that is not printable ASCII, a tab or a newline";
	return NULL;
}

static int put_bird(struct render *r, struct place at, const char *text)
{
	const char *why;

	if (at.node->type == NODE_RAW && r->t->options.raw_text) {
		why = check_raw(text);
		return why ? fail(r, at, EINVAL, why) : put_text(r, at, text, strlen(text));
	}
	why = bird_guard_value(&r->guard, text, strlen(text));
	return why ? fail(r, at, EINVAL, why) : put(r, at, text, strlen(text));
}

static int render_value(struct render *r, struct place at)
{
	const cJSON *v = lookup(r, at.node);
	char buf[NUMBER_TEXT];
	const char *text, *why = NULL;

	if (!v || cJSON_IsNull(v)) {
		if (!r->t->options.strict)
			return 0;
		return fail(r, at, ENOENT, v ? "is null" : "is missing");
	}
	text = scalar_text(r, v, buf, &why);
	if (!text)
		return fail(r, at, EINVAL, why);
	if (r->t->options.escape == TMPL_BIRD)
		return put_bird(r, at, text);
	return at.node->type == NODE_RAW ? put(r, at, text, strlen(text)) : put_html(r, at, text);
}

static int enter(struct render *r, struct place at)
{
	if (r->depth == TMPL_NEST_MAX)
		return fail(r, at, E2BIG, "is nested too deep");
	r->depth++;
	return 0;
}

/* The content of a section once, with `v` as the innermost context. */
static int render_element(struct render *r, struct place at, const cJSON *v)
{
	uint32_t index = (uint32_t)(at.node - at.unit->nodes);
	int rc;

	r->context[r->contexts++] = v;
	rc = render_nodes(r, at.unit, index + 1, at.node->target);
	r->contexts--;
	return rc;
}

static int render_section(struct render *r, struct place at)
{
	const cJSON *v = lookup(r, at.node), *element;
	int rc;

	if (!v && r->t->options.strict_sections)
		return fail(r, at, ENOENT, "is missing");
	if (!is_true(v))
		return 0;
	rc = enter(r, at);
	if (rc)
		return rc;
	if (cJSON_IsArray(v)) {
		for (element = v->child; element && !rc; element = element->next)
			rc = render_element(r, at, element);
	} else {
		rc = render_element(r, at, v);
	}
	r->depth--;
	return rc;
}

static int render_inverted(struct render *r, struct place at)
{
	const cJSON *v = lookup(r, at.node);
	uint32_t index = (uint32_t)(at.node - at.unit->nodes);
	int rc;

	if (!v && r->t->options.strict_sections)
		return fail(r, at, ENOENT, "is missing");
	if (is_true(v))
		return 0;
	rc = enter(r, at);
	if (rc)
		return rc;
	rc = render_nodes(r, at.unit, index + 1, at.node->target);
	r->depth--;
	return rc;
}

static int render_partial(struct render *r, struct place at)
{
	size_t start = r->indent_start, end = r->indent_end;
	const struct tmpl_unit *u;
	int rc;

	if (at.node->target == TMPL_NO_UNIT)
		return 0;
	u = &r->t->units[at.node->target];
	rc = enter(r, at);
	if (rc)
		return rc;
	if (at.node->len > sizeof(r->indent) - end)
		return fail(r, at, E2BIG, "is indented too far");
	memcpy(r->indent + end, at.node->text, at.node->len);
	r->indent_end = end + at.node->len;
	if (!at.node->line_start)
		r->indent_start = end;
	rc = render_nodes(r, u, 0, u->count);
	r->indent_start = start;
	r->indent_end = end;
	r->depth--;
	return rc;
}

static int render_node(struct render *r, struct place at)
{
	switch (at.node->type) {
	case NODE_TEXT:
		return put_lines(r, at);
	case NODE_INDENT:
		return put_indent(r, at);
	case NODE_VALUE:
	case NODE_RAW:
		return render_value(r, at);
	case NODE_SECTION:
		return render_section(r, at);
	case NODE_INVERTED:
		return render_inverted(r, at);
	case NODE_PARTIAL:
		return render_partial(r, at);
	case NODE_END:
		break;
	}
	return 0;
}

/* Nodes [from, to); a section's own nodes are behind it and are stepped over. */
static int render_nodes(struct render *r, const struct tmpl_unit *u, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct place at = {.unit = u, .node = &u->nodes[i]};
		int rc;

		if (!r->steps_left)
			return fail(r, at, E2BIG, "takes more steps than the limit of one rendering");
		r->steps_left--;
		rc = render_node(r, at);
		if (rc)
			return rc;
		if (at.node->type == NODE_SECTION || at.node->type == NODE_INVERTED)
			i = at.node->target;
	}
	return 0;
}

int tmpl_render(const struct tmpl *t, const cJSON *data, struct weft_buf *out, struct weft_err *err)
{
	struct render r = {.t = t, .out = out, .err = err, .context = {data}, .contexts = 1};
	size_t before = out->len;
	const char *why;
	int rc;

	if (out->failed)
		return weft_err_set(err, ENOMEM, "template %s: the output buffer has failed before",
		                    t->units[0].name);
	r.output_left = t->options.max_output ? t->options.max_output : DEFAULT_OUTPUT;
	r.steps_left = t->options.max_steps ? t->options.max_steps : DEFAULT_STEPS;
	rc = render_nodes(&r, &t->units[0], 0, t->units[0].count);
	why = t->options.escape == TMPL_BIRD ? bird_guard_end(&r.guard) : NULL;
	if (!rc && why)
		rc = weft_err_set(err, EINVAL, "template %s: the text %s", t->units[0].name, why);
	if (rc) {
		weft_buf_truncate(out, before);
		out->failed = false;
	}
	return rc;
}
