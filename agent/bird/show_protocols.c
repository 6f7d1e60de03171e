// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `show protocols [all]`.
 *
 * Lines of code 1002 are rows of a table (heading: 2002); after each row come, with `all`, lines of code
 * 1006: labels with values, first of the protocol, then of each "Channel NAME". Which label fills which
 * member is in two tables below; a label that is in neither (capabilities, what a later version
 * adds) is passed over. What a peer or a user can choose stands behind a label on its own line, so it can't
 * pose as another.
 */
#include "agent/bird/show_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_ROW = 1002, CODE_DETAIL = 1006, CODE_HEADING = 2002 };

enum { COL_NAME, COL_PROTO, COL_TABLE, COL_STATE, COL_SINCE, COL_INFO, COLUMNS };

static const char *const columns[COLUMNS] = {"Name", "Proto", "Table", "State", "Since", "Info"};

enum field_type {
	FIELD_TEXT,      /* const char *: all of the value */
	FIELD_WORD,      /* const char *: its first word */
	FIELD_U32,       /* uint32_t: the number it begins with */
	FIELD_TIMER,     /* uint32_t: 44.488/90 -> 90 */
	FIELD_REMAINING, /* uint32_t: 44.488/90 -> 44488 */
	FIELD_HIT,       /* bool: it ends with [HIT] */
};

struct field {
	const char *label;
	enum field_type type;
	size_t offset;
};

static const struct field proto_fields[] = {
        {"Description", FIELD_TEXT, offsetof(struct bird_proto, description)},
        {"Message", FIELD_TEXT, offsetof(struct bird_proto, message)},
        {"Router ID", FIELD_WORD, offsetof(struct bird_proto, router_id)},
        {"BGP state", FIELD_WORD, offsetof(struct bird_proto, bgp_state)},
        {"Neighbor address", FIELD_WORD, offsetof(struct bird_proto, neighbor)},
        {"Neighbor range", FIELD_WORD, offsetof(struct bird_proto, neighbor)},
        {"Neighbor AS", FIELD_U32, offsetof(struct bird_proto, neighbor_as)},
        {"Local AS", FIELD_U32, offsetof(struct bird_proto, local_as)},
        {"Neighbor ID", FIELD_WORD, offsetof(struct bird_proto, neighbor_id)},
        {"Source address", FIELD_WORD, offsetof(struct bird_proto, source_address)},
        {"Hold timer", FIELD_TIMER, offsetof(struct bird_proto, hold_time)},
        {"Hold timer", FIELD_REMAINING, offsetof(struct bird_proto, hold_left)},
        {"Keepalive timer", FIELD_TIMER, offsetof(struct bird_proto, keepalive_time)},
        {"Last error", FIELD_TEXT, offsetof(struct bird_proto, last_error)},
        {NULL, 0, 0},
};

static const struct field channel_fields[] = {
        {"State", FIELD_WORD, offsetof(struct bird_channel, state)},
        {"Import state", FIELD_WORD, offsetof(struct bird_channel, import_state)},
        {"Export state", FIELD_WORD, offsetof(struct bird_channel, export_state)},
        {"Table", FIELD_WORD, offsetof(struct bird_channel, table)},
        {"Input filter", FIELD_TEXT, offsetof(struct bird_channel, input_filter)},
        {"Output filter", FIELD_TEXT, offsetof(struct bird_channel, output_filter)},
        {"Import limit", FIELD_U32, offsetof(struct bird_channel, import_limit)},
        {"Import limit", FIELD_HIT, offsetof(struct bird_channel, import_limit_hit)},
        {NULL, 0, 0},
};

static const struct bird_proto empty_proto = {
        .name = "",
        .proto = "",
        .table = "",
        .state = "",
        .since = "",
        .info = "",
        .bgp_state = "",
        .last_error = "",
        .description = "",
        .message = "",
        .router_id = "",
        .neighbor = "",
        .neighbor_id = "",
        .source_address = "",
};

static const struct bird_channel empty_channel = {
        .name = "",
        .state = "",
        .import_state = "",
        .export_state = "",
        .table = "",
        .input_filter = "",
        .output_filter = "",
};

struct reading {
	struct bird_protos *out;
	struct show_store store;
	struct show_heading heading;
	struct bird_proto *proto;      /* the last row's */
	struct bird_channel *channel;  /* the last "Channel" of that protocol */
	int outcome[SHOW_COLUMNS_MAX]; /* enum bird_outcome of each column of its statistics, -1 = another */
	size_t outcomes;
};

static void set_u32(uint32_t *out, const char *value)
{
	uint64_t n;

	if (show_number(&value, UINT32_MAX, &n))
		*out = (uint32_t)n;
}

static void set_field(struct reading *r, const struct field *f, void *object, const char *value)
{
	void *to = (char *)object + f->offset;
	const char *slash = strchr(value, '/');

	switch (f->type) {
	case FIELD_TEXT:
		*(const char **)to = show_store_add(&r->store, value, strlen(value));
		break;
	case FIELD_WORD:
		*(const char **)to = show_store_add(&r->store, value, show_word(value));
		break;
	case FIELD_U32:
		set_u32(to, value);
		break;
	case FIELD_TIMER:
		set_u32(to, slash ? slash + 1 : "");
		break;
	case FIELD_REMAINING:
		show_seconds(&value, to);
		break;
	case FIELD_HIT:
		*(bool *)to = strstr(value, "[HIT]") != NULL;
		break;
	}
}

/* "1 imported, 0 filtered, 1 exported, 1 preferred", in any order and number */
static void read_routes(struct bird_channel *c, const char *value)
{
	const struct {
		const char *word;
		uint32_t *to;
	} counters[] = {
	        {" imported", &c->imported},
	        {" filtered", &c->filtered},
	        {" exported", &c->exported},
	        {" preferred", &c->preferred},
	};
	uint64_t n;

	while (show_number(&value, UINT32_MAX, &n)) {
		for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
			if (strncmp(value, counters[i].word, strlen(counters[i].word)) == 0)
				*counters[i].to = (uint32_t)n;
		c->has_filtered |= strncmp(value, " filtered", 9) == 0;
		value = show_blanks(value + strcspn(value, ","));
		if (!show_skip(&value, ","))
			break;
		value = show_blanks(value);
	}
	c->has_routes = true;
}

/* "received   rejected   RX limit": two blanks or more are between headings. */
static void read_stats_heading(struct reading *r, const char *text)
{
	static const char *const names[BIRD_OUTCOMES] = {"received", "rejected", "filtered", "ignored",
	                                                 "accepted"};

	for (r->outcomes = 0; *text && r->outcomes < SHOW_COLUMNS_MAX; r->outcomes++) {
		const char *end = strstr(text, "  ");
		size_t len = end ? (size_t)(end - text) : strlen(text);

		r->outcome[r->outcomes] = -1;
		for (int i = 0; i < BIRD_OUTCOMES; i++)
			if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0)
				r->outcome[r->outcomes] = i;
		text = show_blanks(text + len);
	}
}

/* "1   0   ---   0", below those headings */
static void read_changes(const struct reading *r, const char *text, struct bird_changes *out)
{
	for (size_t i = 0; *text && i < r->outcomes; i++) {
		const char *number = text;
		uint64_t n;

		if (r->outcome[i] >= 0 && show_number(&number, UINT32_MAX, &n)) {
			out->given[r->outcome[i]] = true;
			out->count[r->outcome[i]] = (uint32_t)n;
		}
		text = show_blanks(text + show_word(text));
	}
}

static bool is_label(const char *label, size_t len, const char *name)
{
	return strlen(name) == len && strncmp(label, name, len) == 0;
}

static void read_stats(struct reading *r, const char *label, size_t len, const char *value)
{
	static const char *const rows[BIRD_CHANGES] = {"Import updates", "Import withdraws", "Export updates",
	                                               "Export withdraws"};

	if (is_label(label, len, "Route change stats"))
		read_stats_heading(r, value);
	for (size_t i = 0; i < BIRD_CHANGES; i++)
		if (is_label(label, len, rows[i]))
			read_changes(r, value, &r->channel->changes[i]);
}

static void begin_channel(struct reading *r, const char *name)
{
	r->channel = &r->out->channels[r->out->channel_count++];
	*r->channel = empty_channel;
	r->channel->name = show_store_add(&r->store, name, show_word(name));
	r->outcomes = 0;
	if (!r->proto->channel_count)
		r->proto->channels = r->channel;
	r->proto->channel_count++;
}

static bool is_channel(const struct bird_line *l)
{
	return l->code == CODE_DETAIL && strncmp(l->text, "  Channel ", 10) == 0;
}

static void read_detail(struct reading *r, const struct bird_line *l)
{
	const char *label = show_blanks(l->text), *colon = strchr(label, ':'), *value;
	size_t len = colon ? (size_t)(colon - label) : 0;
	const struct field *f = r->channel ? channel_fields : proto_fields;
	void *object = r->channel ? (void *)r->channel : (void *)r->proto;

	if (is_channel(l)) {
		begin_channel(r, show_blanks(l->text + 10));
		return;
	}
	if (!colon)
		return;
	value = show_blanks(colon + 1);
	if (r->channel && is_label(label, len, "Routes"))
		read_routes(r->channel, value);
	if (r->channel)
		read_stats(r, label, len, value);
	for (; f->label; f++)
		if (is_label(label, len, f->label))
			set_field(r, f, object, value);
}

/* BGP's info is "STATE         ERROR", or the error alone when the protocol is down. */
static void read_bgp_info(struct reading *r, struct bird_proto *p)
{
	static const char *const states[] = {"Idle",        "Connect", "Active",  "OpenSent", "OpenConfirm",
	                                     "Established", "Close",   "Passive", "Down",     "Flush"};
	const char *rest = p->info;
	size_t len = show_word(rest);

	if (strcmp(p->state, "down") == 0) {
		p->bgp_state = "Down";
		p->last_error = p->info;
		return;
	}
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strlen(states[i]) != len || strncmp(states[i], rest, len) != 0)
			continue;
		p->bgp_state = states[i];
		rest = show_blanks(rest + len);
		p->last_error = show_store_add(&r->store, rest, strlen(rest));
		return;
	}
}

static const char *store_cell(struct reading *r, const struct show_cell *c)
{
	return show_store_add(&r->store, c->text, c->len);
}

static int read_row(struct reading *r, const struct bird_line *l, struct weft_err *err)
{
	struct show_cell cells[COLUMNS];
	struct bird_proto *p = &r->out->list[r->out->count];

	show_row_read(&r->heading, COL_SINCE, COL_INFO, l->text, cells, COLUMNS);
	if (!cells[COL_NAME].len || !cells[COL_PROTO].len || !cells[COL_STATE].len)
		return weft_err_set(err, EPROTO, "a row without name, type or state in BIRD's protocols: %s",
		                    l->text);
	*p = empty_proto;
	p->name = store_cell(r, &cells[COL_NAME]);
	p->proto = store_cell(r, &cells[COL_PROTO]);
	p->table = store_cell(r, &cells[COL_TABLE]);
	p->state = store_cell(r, &cells[COL_STATE]);
	p->since = store_cell(r, &cells[COL_SINCE]);
	p->info = store_cell(r, &cells[COL_INFO]);
	if (strcmp(p->proto, "BGP") == 0)
		read_bgp_info(r, p);
	r->proto = p;
	r->channel = NULL;
	r->out->count++;
	return 0;
}

static int read_lines(struct reading *r, const struct bird_reply *reply, struct weft_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < reply->count && !rc; i++) {
		const struct bird_line *l = &reply->lines[i];

		if (l->code == CODE_HEADING)
			show_heading_read(&r->heading, l->text, columns, COLUMNS);
		else if (l->code == CODE_ROW)
			rc = read_row(r, l, err);
		else if (l->code == CODE_DETAIL && r->proto)
			read_detail(r, l);
	}
	return rc;
}

static int allocate(struct reading *r, const struct bird_reply *reply, struct weft_err *err)
{
	size_t rows = 0, channels = 0;
	int rc = show_store_init(&r->store, reply, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < reply->count; i++) {
		rows += reply->lines[i].code == CODE_ROW;
		channels += is_channel(&reply->lines[i]);
	}
	r->out->text = r->store.text;
	r->out->list = calloc(rows + 1, sizeof(*r->out->list));
	r->out->channels = calloc(channels + 1, sizeof(*r->out->channels));
	if (!r->out->list || !r->out->channels)
		return weft_err_set(err, ENOMEM, "no memory to read BIRD's protocols");
	return 0;
}

/* The addresses of what was read: a range or an interface's zone is not part of one. */
static void parse_neighbors(struct bird_protos *out)
{
	for (size_t i = 0; i < out->count; i++) {
		struct bird_proto *p = &out->list[i];
		size_t len = strcspn(p->neighbor, "%");
		char addr[WEFT_ADDR_STR];

		if (!len || len >= sizeof(addr))
			continue;
		memcpy(addr, p->neighbor, len);
		addr[len] = '\0';
		if (weft_addr_parse(addr, &p->neighbor_addr, NULL) != 0)
			p->neighbor_addr = (struct weft_addr){0};
	}
}

int bird_show_protocols(const struct bird_reply *reply, struct bird_protos *out, struct weft_err *err)
{
	struct reading r = {.out = out};
	int rc = bird_reply_check(reply, err);

	*out = (struct bird_protos){0};
	if (rc)
		return rc;
	rc = allocate(&r, reply, err);
	if (!rc)
		rc = read_lines(&r, reply, err);
	if (rc) {
		bird_protos_free(out);
		return rc;
	}
	parse_neighbors(out);
	return 0;
}

void bird_protos_free(struct bird_protos *p)
{
	free(p->list);
	free(p->channels);
	free(p->text);
	*p = (struct bird_protos){0};
}

const struct bird_proto *bird_protos_find(const struct bird_protos *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->list[i].name, name) == 0)
			return &p->list[i];
	return NULL;
}

bool bird_proto_established(const struct bird_proto *p)
{
	return strcmp(p->bgp_state, "Established") == 0;
}
