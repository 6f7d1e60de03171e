// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `show status`, `show bfd sessions`, `show route count`, `configure`: one function each, over the small
 * scanner of show_int.h. `show protocols` has a file of its own, show_protocols.c.
 */
#include "agent/bird/show_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CODE_STATUS = 13,
	CODE_ROUTE_TOTAL = 14,
	CODE_GRACEFUL_RESTART = 24,
	CODE_VERSION = 1000,
	CODE_ROUTE = 1007,
	CODE_UPTIME = 1011,
	CODE_BFD = 1020,
};

/* scanner */

bool show_skip(const char **p, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

bool show_number(const char **p, uint64_t max, uint64_t *out)
{
	const char *s = *p;
	uint64_t n = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*p = s;
	*out = n;
	return true;
}

bool show_seconds(const char **p, uint32_t *ms)
{
	uint64_t whole, fraction = 0;
	const char *s = *p;
	uint64_t scale = 100;

	if (!show_number(&s, UINT32_MAX / 1000 - 1, &whole))
		return false;
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
			fraction += scale * (uint64_t)(*s - '0');
	*p = s;
	*ms = (uint32_t)(whole * 1000 + fraction);
	return true;
}

const char *show_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

size_t show_word(const char *s)
{
	return strcspn(s, " \t");
}

int show_store_init(struct show_store *store, const struct bird_reply *r, struct weft_err *err)
{
	size_t size = 1;

	/* Every text is a piece of a line, and no line is stored more than twice, in up to ten pieces. */
	for (size_t i = 0; i < r->count; i++)
		size += 2 * r->lines[i].len + 10;
	*store = (struct show_store){.text = malloc(size), .size = size};
	return store->text ? 0 : weft_err_set(err, ENOMEM, "no memory to read BIRD's reply");
}

const char *show_store_add(struct show_store *store, const char *text, size_t len)
{
	char *at = store->text + store->used;

	if (!len || len >= store->size - store->used)
		return "";
	memcpy(at, text, len);
	at[len] = '\0';
	store->used += len + 1;
	return at;
}

void show_heading_read(struct show_heading *h, const char *text, const char *const *names, size_t name_count)
{
	*h = (struct show_heading){0};
	for (text = show_blanks(text); *text && h->count < SHOW_COLUMNS_MAX; text = show_blanks(text)) {
		size_t len = show_word(text);

		/* A heading can have two words: columns are two blanks apart. */
		while (text[len] == ' ' && text[len + 1] != ' ' && text[len + 1] != '\0')
			len += 1 + show_word(text + len + 1);
		h->column[h->count] = -1;
		for (size_t i = 0; i < name_count; i++)
			if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0)
				h->column[h->count] = (int)i;
		h->count++;
		text += len;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of a time in one or two words: "2030-01-02 12:10:28" has a blank in it. */
static size_t time_length(const char *s)
{
	size_t len = show_word(s);
	const char *next = show_blanks(s + len);

	if (len == 10 && s[4] == '-' && s[7] == '-' && is_digit(next[0]) && is_digit(next[1]) &&
	    next[2] == ':')
		return (size_t)(next - s) + show_word(next);
	return len;
}

void show_row_read(const struct show_heading *h, int time_column, int rest_column, const char *text,
                   struct show_cell *cells, size_t cell_count)
{
	for (size_t i = 0; i < cell_count; i++)
		cells[i] = (struct show_cell){.text = "", .len = 0};
	for (size_t i = 0; i < h->count; i++) {
		int column = h->column[i];
		size_t len;

		text = show_blanks(text);
		len = column >= 0 && column == time_column ? time_length(text) : show_word(text);
		if (i == h->count - 1 && column >= 0 && column == rest_column)
			len = strlen(text);
		if (column >= 0)
			cells[column] = (struct show_cell){.text = text, .len = len};
		text += len;
	}
}

/* version and status */

static void copy(char *out, size_t size, const char *text, size_t len)
{
	if (len > size - 1)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = '\0';
}

/* "BIRD 2.0.12" and what may follow after a blank */
static int read_version(const char *text, struct bird_version *out, struct weft_err *err)
{
	unsigned *const parts[] = {&out->major, &out->minor, &out->patch};
	const char *p = text;
	uint64_t n;

	*out = (struct bird_version){0};
	if (!show_skip(&p, "BIRD ") || !is_digit(*p))
		return weft_err_set(err, EPROTO, "BIRD's version is expected, not: %s", text);
	copy(out->text, sizeof(out->text), p, show_word(p));
	for (size_t i = 0; i < 3 && show_number(&p, 65535, &n); i++) {
		*parts[i] = (unsigned)n;
		if (*p != '.')
			break;
		p++;
	}
	return 0;
}

int bird_welcome(const struct bird_reply *r, struct bird_version *out, struct weft_err *err)
{
	int rc = bird_reply_check(r, err);

	if (rc)
		return rc;
	if (bird_reply_code(r) != BIRD_WELCOME)
		return weft_err_set(err, EPROTO, "BIRD's welcome is expected, not: %04u %s",
		                    bird_reply_code(r), bird_reply_text(r));
	return read_version(bird_reply_text(r), out, err);
}

static int read_uptime(const char *text, struct bird_status *out, struct weft_err *err)
{
	const struct {
		const char *label;
		char *to;
		size_t size;
	} fields[] = {
	        {"Hostname is ", out->hostname, sizeof(out->hostname)},
	        {"Current server time is ", out->server_time, sizeof(out->server_time)},
	        {"Last reboot on ", out->last_reboot, sizeof(out->last_reboot)},
	        {"Last reconfiguration on ", out->last_reconfiguration, sizeof(out->last_reconfiguration)},
	};

	if (show_skip(&text, "Router ID is "))
		return weft_addr_parse(text, &out->router_id, NULL) == 0
		               ? 0
		               : weft_err_set(err, EPROTO, "BIRD's router ID is no address: %s", text);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (show_skip(&text, fields[i].label))
			copy(fields[i].to, fields[i].size, text, strlen(text));
	return 0;
}

static enum bird_daemon_state daemon_state(const char *text)
{
	if (show_skip(&text, "Shutdown"))
		return BIRD_DAEMON_SHUTDOWN;
	if (show_skip(&text, "Reconfiguration"))
		return BIRD_DAEMON_RECONFIGURING;
	return BIRD_DAEMON_UP;
}

int bird_show_status(const struct bird_reply *r, struct bird_status *out, struct weft_err *err)
{
	bool version = false, state = false;
	int rc = bird_reply_check(r, err);

	*out = (struct bird_status){0};
	for (size_t i = 0; i < r->count && !rc; i++) {
		const struct bird_line *l = &r->lines[i];

		switch (l->code) {
		case CODE_VERSION:
			rc = read_version(l->text, &out->version, err);
			version = true;
			break;
		case CODE_UPTIME:
			rc = read_uptime(l->text, out, err);
			break;
		case CODE_GRACEFUL_RESTART:
			out->graceful_recovery = true;
			break;
		case CODE_STATUS:
			out->state = daemon_state(l->text);
			state = true;
			break;
		}
	}
	if (!rc && (!version || !state))
		rc = weft_err_set(err, EPROTO, "BIRD's status is expected, not: %04u %s", bird_reply_code(r),
		                  bird_reply_text(r));
	return rc;
}

/* bfd */

enum { BFD_ADDRESS, BFD_INTERFACE, BFD_STATE, BFD_SINCE, BFD_INTERVAL, BFD_TIMEOUT, BFD_COLUMNS };

static const char *const bfd_columns[BFD_COLUMNS] = {"IP address", "Interface", "State",
                                                     "Since",      "Interval",  "Timeout"};

/* False for a line that is no session. */
static bool read_bfd_row(const struct show_heading *h, const char *text, struct show_store *store,
                         struct bird_bfd_session *s)
{
	struct show_cell cells[BFD_COLUMNS];
	char addr[WEFT_ADDR_STR];
	const char *p;

	show_row_read(h, BFD_SINCE, -1, text, cells, BFD_COLUMNS);
	copy(addr, sizeof(addr), cells[BFD_ADDRESS].text, cells[BFD_ADDRESS].len);
	if (weft_addr_parse(addr, &s->addr, NULL) != 0)
		return false;
	s->interface = show_store_add(store, cells[BFD_INTERFACE].text, cells[BFD_INTERFACE].len);
	s->state = show_store_add(store, cells[BFD_STATE].text, cells[BFD_STATE].len);
	s->since = show_store_add(store, cells[BFD_SINCE].text, cells[BFD_SINCE].len);
	p = cells[BFD_INTERVAL].text;
	show_seconds(&p, &s->interval);
	p = cells[BFD_TIMEOUT].text;
	show_seconds(&p, &s->timeout);
	return true;
}

int bird_show_bfd(const struct bird_reply *r, struct bird_bfd *out, struct weft_err *err)
{
	struct show_heading heading = {0};
	struct show_store store;
	const char *proto = "";
	int rc = bird_reply_check(r, NULL);

	*out = (struct bird_bfd){0};
	if (rc && strcmp(bird_reply_text(r), "There is no BFD protocol running") == 0)
		return 0;
	if (rc)
		return bird_reply_check(r, err);
	rc = show_store_init(&store, r, err);
	if (rc)
		return rc;
	out->text = store.text;
	out->list = calloc(r->count, sizeof(*out->list));
	if (!out->list) {
		bird_bfd_free(out);
		return weft_err_set(err, ENOMEM, "no memory to read BIRD's reply");
	}
	for (size_t i = 0; i < r->count; i++) {
		const struct bird_line *l = &r->lines[i];

		if (l->code != CODE_BFD || !l->len)
			continue;
		if (l->text[l->len - 1] == ':' && show_word(l->text) == l->len) {
			proto = show_store_add(&store, l->text, l->len - 1);
			heading.count = 0;
		} else if (strncmp(l->text, bfd_columns[0], strlen(bfd_columns[0])) == 0) {
			show_heading_read(&heading, l->text, bfd_columns, BFD_COLUMNS);
		} else if (heading.count && read_bfd_row(&heading, l->text, &store, &out->list[out->count])) {
			out->list[out->count++].proto = proto;
		}
	}
	return 0;
}

void bird_bfd_free(struct bird_bfd *b)
{
	free(b->list);
	free(b->text);
	*b = (struct bird_bfd){0};
}

/* route count */

/* "4 of 4 routes for 3 networks in " */
static bool read_count(const char **p, struct bird_table_count *c)
{
	return show_number(p, UINT64_MAX, &c->shown) && show_skip(p, " of ") &&
	       show_number(p, UINT64_MAX, &c->routes) && show_skip(p, " routes for ") &&
	       show_number(p, UINT64_MAX, &c->networks) && show_skip(p, " networks in ");
}

int bird_show_route_count(const struct bird_reply *r, struct bird_route_count *out, struct weft_err *err)
{
	struct show_store store;
	bool total = false;
	int rc = bird_reply_check(r, err);

	*out = (struct bird_route_count){.total.table = ""};
	if (rc)
		return rc;
	rc = show_store_init(&store, r, err);
	if (rc)
		return rc;
	out->text = store.text;
	out->list = calloc(r->count, sizeof(*out->list));
	if (!out->list) {
		bird_route_count_free(out);
		return weft_err_set(err, ENOMEM, "no memory to read BIRD's reply");
	}
	for (size_t i = 0; i < r->count; i++) {
		struct bird_table_count c = {.table = ""};
		const char *p = r->lines[i].text;

		if (r->lines[i].code == CODE_ROUTE_TOTAL && show_skip(&p, "Total: ") && read_count(&p, &c)) {
			out->total = c;
			total = true;
		} else if (r->lines[i].code == CODE_ROUTE && read_count(&p, &c) && show_skip(&p, "table ")) {
			c.table = show_store_add(&store, p, show_word(p));
			out->list[out->count++] = c;
		}
	}
	/* One table alone has no total of its own. */
	for (size_t i = 0; i < out->count && !total; i++) {
		out->total.shown += out->list[i].shown;
		out->total.routes += out->list[i].routes;
		out->total.networks += out->list[i].networks;
	}
	if (out->count || total)
		return 0;
	bird_route_count_free(out);
	return weft_err_set(err, EPROTO, "a count of routes is expected, not: %04u %s", bird_reply_code(r),
	                    bird_reply_text(r));
}

void bird_route_count_free(struct bird_route_count *c)
{
	free(c->list);
	free(c->text);
	*c = (struct bird_route_count){.total.table = ""};
}

/* configure */

/* "FILE:LINE:COLUMN MESSAGE", or a message alone */
static void read_place(const char *text, struct bird_configure *out)
{
	for (const char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
		const char *p = colon + 1;
		uint64_t line, column;

		if (!show_number(&p, UINT32_MAX, &line) || !show_skip(&p, ":") ||
		    !show_number(&p, UINT32_MAX, &column) || *p != ' ')
			continue;
		copy(out->file, sizeof(out->file), text, (size_t)(colon - text));
		out->line = (unsigned)line;
		out->column = (unsigned)column;
		text = p + 1;
		break;
	}
	copy(out->message, sizeof(out->message), text, strlen(text));
}

/* False for a line that decides nothing. */
static bool configure_line(const struct bird_line *l, bool undo, struct bird_configure *out)
{
	switch (l->code) {
	case 3:
		out->result = undo ? BIRD_CONF_UNDONE : BIRD_CONF_RECONFIGURED;
		break;
	case 4:
		out->result = BIRD_CONF_IN_PROGRESS;
		break;
	case 5:
		out->result = BIRD_CONF_QUEUED;
		break;
	case 6:
		out->result = BIRD_CONF_SHUTDOWN;
		break;
	case 17:
		out->result = BIRD_CONF_UNDONE;
		break;
	case 18:
		out->result = BIRD_CONF_CONFIRMED;
		break;
	case 19:
		out->result = BIRD_CONF_NOTHING;
		break;
	case 20:
		out->result = BIRD_CONF_CHECKED;
		break;
	default:
		if (l->code < BIRD_CODE_RUNTIME_ERROR)
			return false;
		out->result = BIRD_CONF_ERROR;
		read_place(l->text, out);
	}
	out->code = l->code;
	return true;
}

int bird_configure_result(const struct bird_reply *r, struct bird_configure *out, struct weft_err *err)
{
	bool undo = false, decided = false;

	*out = (struct bird_configure){0};
	for (size_t i = 0; i < r->count && !(decided && out->result == BIRD_CONF_ERROR); i++) {
		if (r->lines[i].code == 21)
			undo = true;
		else if (r->lines[i].code == 22)
			out->undo_scheduled = true;
		else if (configure_line(&r->lines[i], undo, out))
			decided = true;
	}
	if (decided)
		return 0;
	return weft_err_set(err, EPROTO, "an answer to `configure` is expected, not: %04u %s",
	                    bird_reply_code(r), bird_reply_text(r));
}

const char *bird_configure_name(enum bird_configure_result result)
{
	static const char *const names[] = {
	        [BIRD_CONF_RECONFIGURED] = "reconfigured",
	        [BIRD_CONF_IN_PROGRESS] = "in progress",
	        [BIRD_CONF_QUEUED] = "queued",
	        [BIRD_CONF_UNDONE] = "undone",
	        [BIRD_CONF_CONFIRMED] = "confirmed",
	        [BIRD_CONF_NOTHING] = "nothing to do",
	        [BIRD_CONF_CHECKED] = "checked",
	        [BIRD_CONF_SHUTDOWN] = "shutting down",
	        [BIRD_CONF_ERROR] = "error",
	};

	return (size_t)result < sizeof(names) / sizeof(names[0]) ? names[result] : "unknown";
}
