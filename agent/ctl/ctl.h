// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weftctl: asks the daemon one question and shows the answer.
 *
 * Flow: main.c reads the command line, client.c gets the reply, text.c makes every string in it safe for a
 * terminal, rows.c filters and sorts, then table.c, a page (status.c, service.c, peers.c ...) or format.c print
 * it. commands.c is the one table of subcommands: a new one is an entry there (and a handler in the daemon).
 */
#ifndef AGENT_CTL_CTL_H
#define AGENT_CTL_CTL_H

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "weft/buf.h"
#include "weft/err.h"

#define CTL_SOCKET     "/run/weft/weftd.sock"
#define CTL_TIMEOUT_MS 10000

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,      /* the daemon said no, its answer makes no sense, or `status` lists problems */
	CTL_USAGE = 2,       /* wrong command line */
	CTL_UNREACHABLE = 3, /* no daemon, no permission, or no whole answer in time */
};

/* How the output may look. */
struct ctl_style {
	bool colour;
	unsigned width; /* columns of the terminal, 0 = unlimited */
};

/* --- client.c --- */

struct ctl_question {
	const char *cmd;   /* a name out of our own table */
	const cJSON *args; /* what the command is about; NULL = none */
	unsigned timeout_ms;
};

/*
 * Send {"cmd": ..., "args": ...} and wait for the reply. CTL_OK: *result is the daemon's, cleaned by
 * ctl_text_clean_json(), free with cJSON_Delete. Else err says what to do.
 */
enum ctl_exit ctl_ask(const char *socket_path, const struct ctl_question *q, cJSON **result,
                      struct weft_err *err);

/* --- text.c --- */

/*
 * Replace by '?' what could steer a terminal or hide text: control characters (C0, DEL, C1), marks that
 * turn the direction of text, and bytes that are not UTF-8. In place; other UTF-8 is kept.
 */
void ctl_text_clean(char *text);

/* The same for every string and key in a JSON value. */
void ctl_text_clean_json(cJSON *value);

/* Terminal columns of a cleaned text. */
size_t ctl_text_width(const char *text);

/* Append text, cut to `width` columns with an ellipsis when it is wider. */
void ctl_text_cut(const char *text, size_t width, struct weft_buf *out);

/* --- rows.c --- */

/* The value at "a.b.c" in an object; NULL when there is none. */
const cJSON *ctl_get(const cJSON *object, const char *path);

/* Order the rows of an array by up to CTL_SORT_KEYS paths: addresses and prefixes by number, names naturally.
 */
#define CTL_SORT_KEYS 3
void ctl_rows_sort(cJSON *rows, const char *const keys[CTL_SORT_KEYS]);

/*
 * Keep the rows whose value at `path` matches: a shell pattern, or an address or prefix that lies inside
 * the row's.
 */
void ctl_rows_filter(cJSON *rows, const char *path, const char *match);

/* --- table.c --- */

typedef void (*ctl_format_fn)(const cJSON *value, struct weft_buf *out);

/* Formatters; a value that is absent, null or empty shows as "-". */
void ctl_fmt_text(const cJSON *value, struct weft_buf *out); /* strings, numbers, yes/no, lists with commas */
void ctl_fmt_mark(const cJSON *value, struct weft_buf *out); /* "*" for true, else nothing */
void ctl_fmt_duration(const cJSON *value, struct weft_buf *out); /* seconds as "3d 4h" */

struct ctl_column {
	const char *header;
	const char *path;
	ctl_format_fn format; /* NULL: ctl_fmt_text */
	unsigned shrink;      /* may be cut down to this width when the terminal is narrow; 0 = never */
	bool right;           /* numbers */
	bool state;           /* coloured by ctl_colour() */
	bool optional;        /* left out when no row has a value */
};

void ctl_table(const cJSON *rows, const struct ctl_column *columns, size_t count,
               const struct ctl_style *style, struct weft_buf *out);

/* The escape sequence that a state word is shown in, NULL for plain; CTL_COLOUR_OFF ends it. */
#define CTL_COLOUR_OFF "\033[0m"
const char *ctl_colour(const char *state);

/* --- page.c --- */

/* A page has lines that begin with a label, and indented ones. */
void ctl_label(const char *name, struct weft_buf *out);
void ctl_field(const cJSON *object, const char *path, struct weft_buf *out);

/* A text in the colour of a state word. */
void ctl_paint(const char *text, const char *state, const struct ctl_style *style, struct weft_buf *out);
void ctl_paint_field(const cJSON *object, const char *path, const struct ctl_style *style,
                     struct weft_buf *out);

/* A table on a page, `indent` columns to the right. */
void ctl_table_indented(const cJSON *rows, const struct ctl_column *columns, size_t count, unsigned indent,
                        const struct ctl_style *style, struct weft_buf *out);

/* --- status.c --- */

void ctl_status(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);
enum ctl_exit ctl_status_verdict(const cJSON *result); /* CTL_FAILED when there are problems */

/* --- service.c: `services` --- */

void ctl_fmt_endpoints(const cJSON *value, struct weft_buf *out); /* {"used":3,"known":5} as "3/5" */
int ctl_service_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
void ctl_service(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);

/* --- trace.c --- */

int ctl_trace_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
void ctl_trace(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);
enum ctl_exit ctl_trace_verdict(const cJSON *result); /* CTL_FAILED unless it is delivered */

/* --- peers.c --- */

/* One number for each family, "3/2" for IPv4 and IPv6. */
void ctl_fmt_accepted(const cJSON *value, struct weft_buf *out);
void ctl_fmt_filtered(const cJSON *value, struct weft_buf *out);
void ctl_fmt_announced(const cJSON *value, struct weft_buf *out);
int ctl_peers_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
void ctl_peers(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);

/* --- bird.c: `bird`, `routes --received` and `--advertised` --- */

int ctl_bird_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
void ctl_bird(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);
enum ctl_exit ctl_bird_verdict(const cJSON *result); /* by the class of the reply */
int ctl_routes_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
void ctl_routes(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);

/* --- explain.c: `bgp explain` --- */

int ctl_bgp_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
void ctl_bgp(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);
enum ctl_exit ctl_bgp_verdict(const cJSON *result); /* CTL_FAILED: not everywhere; CTL_USAGE: unknown */

/* --- plan.c --- */

int ctl_plan_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
int ctl_plan_prepare(const char *socket_path, cJSON *args, struct weft_err *err);
void ctl_plan_release(const cJSON *args);
void ctl_plan(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);
enum ctl_exit ctl_plan_verdict(const cJSON *result); /* CTL_FAILED when an object is malformed */

/* --- drain.c --- */

/* A line for the node and each peer that is drained; false: nothing is, and nothing was written. */
bool ctl_drain_lines(const cJSON *draining, const struct ctl_style *style, struct weft_buf *out);
int ctl_drain_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);
bool ctl_drain_waits(const cJSON *result, const cJSON *args, struct weft_buf *line);
bool ctl_undrain_waits(const cJSON *result, const cJSON *args, struct weft_buf *line);
void ctl_drain(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);

/* --- seal.c --- */

enum ctl_exit ctl_seal(const cJSON *args);

/* --- format.c --- */

int ctl_yaml(const cJSON *value, struct weft_buf *out, struct weft_err *err);
int ctl_json(const cJSON *value, struct weft_buf *out, struct weft_err *err);

/* --- commands.c --- */

#define CTL_ARGS_MAX 64

/* An option of one command, --NAME or --NAME VALUE. The daemon gets it in args by its name: text, or true. */
struct ctl_option {
	const char *name;
	const char *value; /* what the value is called in the help; NULL = a switch */
	const char *help;
};

struct ctl_command {
	const char *name;
	const char *args;   /* "" or what may follow the name */
	size_t least, most; /* so many arguments */
	const char *brief, *help, *examples;
	const struct ctl_option *options;
	size_t option_count;

	/* What the arguments mean to the daemon. *args holds the options that were given, and is NULL without
	 * any: then it may stay NULL for nothing. NULL: arguments only filter the list.
	 */
	int (*read_args)(const char *const *argv, size_t n, cJSON **args, struct weft_err *err);

	/* Done here, without a daemon; args are the options. NULL: the daemon is asked. */
	enum ctl_exit (*local)(const cJSON *args);

	/* Around the question; release follows also when prepare failed. NULL: nothing to do. */
	int (*prepare)(const char *socket_path, cJSON *args, struct weft_err *err);
	void (*release)(const cJSON *args);
	unsigned timeout_ms; /* 0: CTL_TIMEOUT_MS */

	/* A list: an array of rows. */
	const struct ctl_column *columns;
	size_t column_count;
	const char *sort[CTL_SORT_KEYS];
	const char *match; /* what the argument is compared with */
	const char *empty; /* said instead of a table without rows */

	/* A page: an object. With `columns`, too: only when the daemon got arguments. */
	void (*page)(const cJSON *result, const struct ctl_style *style, struct weft_buf *out);
	enum ctl_exit (*verdict)(const cJSON *result);

	/* What was begun goes on: true with a line for people; then `again` is asked until it is over. */
	bool (*waits)(const cJSON *result, const cJSON *args, struct weft_buf *line);
	const char *again;
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;

const struct ctl_command *ctl_command_find(const char *name);

/* --- options.c --- */

/* The command line of all commands as getopt_long() takes it: `common` and every command's own options, whose
 * `val` is CTL_OPTION_FIRST and more. In static memory.
 */
#define CTL_OPTION_FIRST 256
const struct option *ctl_options_table(const struct option *common, size_t n);

/* The name of an option by its `val`. */
const char *ctl_options_name(int val);

/* Add an option that was given to *args, which is made if need be. */
int ctl_options_add(const struct ctl_command *c, int val, const char *value, cJSON **args,
                    struct weft_err *err);
void ctl_help(struct weft_buf *out);
void ctl_help_command(const struct ctl_command *c, struct weft_buf *out);

#endif
