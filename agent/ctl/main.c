// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weftctl: the command line.
 */
#include "agent/ctl/ctl.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "weft/cleanup.h"

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML };
static const char *const output_names[] = {"table", "json", "yaml"};

struct options {
	const char *socket;
	enum output output;
	unsigned timeout_ms;
	bool plain, help, version;
	const char *command;
	const char *argv[CTL_ARGS_MAX];
	size_t argc;
	struct {
		int opt;
		const char *value;
	} own[CTL_ARGS_MAX]; /* options of the command */
	size_t own_count;
};

static enum ctl_exit usage_error(const char *command)
{
	fprintf(stderr, "Try `weftctl %s%s--help`.\n", command ? command : "", command ? " " : "");
	return CTL_USAGE;
}

static bool read_output(const char *name, enum output *out)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(output_names); i++) {
		if (!strcmp(name, output_names[i])) {
			*out = (enum output)i;
			return true;
		}
	}
	fprintf(stderr, "weftctl: no output format \"%s\": use table, json or yaml\n", name);
	return false;
}

static bool read_timeout(const char *text, unsigned *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.001 && seconds <= 3600)) {
		fprintf(stderr, "weftctl: --timeout \"%s\" is not a number of seconds up to 3600\n", text);
		return false;
	}
	*ms = (unsigned)(seconds * 1000);
	return true;
}

static bool keep_own(struct options *o, int opt, const char *value)
{
	if (o->own_count == CTL_ARGS_MAX) {
		fputs("weftctl: too many options\n", stderr);
		return false;
	}
	o->own[o->own_count].opt = opt;
	o->own[o->own_count++].value = value;
	return true;
}

/* What is left when the options are gone: [help] COMMAND ARGUMENTS */
static bool read_words(int argc, char **argv, struct options *o)
{
	if (optind < argc && !strcmp(argv[optind], "help")) {
		o->help = true;
		optind++;
	}
	if (optind < argc)
		o->command = argv[optind++];
	while (optind < argc && o->argc < CTL_ARGS_MAX)
		o->argv[o->argc++] = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "weftctl: \"%s\" is one argument too many\n", argv[optind]);
		return false;
	}
	return true;
}

/* Options may stand anywhere. False: a message was printed. */
static bool read_options(int argc, char **argv, struct options *o)
{
	static const struct option common[] = {
	        {"socket", required_argument, NULL, 's'},  {"output", required_argument, NULL, 'o'},
	        {"timeout", required_argument, NULL, 't'}, {"no-color", no_argument, NULL, 'n'},
	        {"help", no_argument, NULL, 'h'},          {"version", no_argument, NULL, 'v'}};
	const struct option *longs = ctl_options_table(common, WEFT_ARRAY_LEN(common));
	int opt;

	while ((opt = getopt_long(argc, argv, "s:o:h", longs, NULL)) != -1) {
		if (opt == 's')
			o->socket = optarg;
		else if (opt == 'o' && !read_output(optarg, &o->output))
			return false;
		else if (opt == 't' && !read_timeout(optarg, &o->timeout_ms))
			return false;
		else if (opt == '?' || (opt >= CTL_OPTION_FIRST && !keep_own(o, opt, optarg)))
			return false;
		o->plain |= opt == 'n';
		o->help |= opt == 'h';
		o->version |= opt == 'v';
	}
	return read_words(argc, argv, o);
}

/* Everything at once, so that a pipe's reader gets all or notices. */
static enum ctl_exit put(const struct weft_buf *out, enum ctl_exit ret)
{
	if (out->failed) {
		fputs("weftctl: out of memory\n", stderr);
		return CTL_FAILED;
	}
	if ((out->len && fwrite(out->data, out->len, 1, stdout) != 1) || fflush(stdout) != 0) {
		perror("weftctl: write the output");
		return CTL_FAILED;
	}
	return ret;
}

static struct ctl_style find_style(const struct options *o)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct ctl_style style = {0};
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return style;
	style.colour = !o->plain && !(no_color && no_color[0]) && !(term && !strcmp(term, "dumb"));
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		style.width = size.ws_col;
	return style;
}

static bool is_page(const struct ctl_command *c, const cJSON *args)
{
	return c->page && (!c->columns || args);
}

static enum ctl_exit print_result(const struct options *o, const struct ctl_command *c, bool page,
                                  const cJSON *result)
{
	weft_auto(weft_buf_free) struct weft_buf out = {.max = (size_t)1 << 30};
	enum ctl_exit verdict = c->verdict ? c->verdict(result) : CTL_OK;
	struct ctl_style style = find_style(o);
	struct weft_err err = WEFT_ERR_INIT;
	int ret = 0;

	if (o->output == OUTPUT_JSON)
		ret = ctl_json(result, &out, &err);
	else if (o->output == OUTPUT_YAML)
		ret = ctl_yaml(result, &out, &err);
	else if (page)
		c->page(result, &style, &out);
	else if (!result->child)
		fprintf(stderr, "%s\n", c->empty);
	else
		ctl_table(result, c->columns, c->column_count, &style, &out);
	if (ret < 0) {
		fprintf(stderr, "weftctl: %s\n", err.text);
		return CTL_FAILED;
	}
	return put(&out, verdict);
}

/* Keep what was asked for; false, with a message, when nothing is left of something. */
static bool select_rows(const struct options *o, const struct ctl_command *c, cJSON *rows)
{
	bool some = rows->child != NULL;

	ctl_rows_sort(rows, c->sort);
	if (o->argc)
		ctl_rows_filter(rows, c->match, o->argv[0]);
	if (!some || rows->child)
		return true;
	fprintf(stderr, "weftctl: none of the %s matches \"%s\"\n", c->name, o->argv[0]);
	return false;
}

/* Ask how far it is until it is over; on a terminal, one line that is written again and again. */
static enum ctl_exit follow(const struct options *o, const struct ctl_command *c, const cJSON *args,
                            cJSON **result, struct weft_err *err)
{
	struct ctl_question q = {.cmd = c->again,
	                         .timeout_ms = o->timeout_ms ? o->timeout_ms : CTL_TIMEOUT_MS};
	bool terminal = isatty(STDERR_FILENO), shown = false;
	enum ctl_exit ret = CTL_OK;

	for (;;) {
		weft_auto(weft_buf_free) struct weft_buf line = {0};

		if (ret != CTL_OK || !c->waits || !c->waits(*result, args, &line))
			break;
		if (terminal)
			fprintf(stderr, "\r\033[K%s", weft_buf_text(&line));
		shown = terminal;
		sleep(1);
		cJSON_Delete(*result);
		*result = NULL;
		ret = ctl_ask(o->socket, &q, result, err);
	}
	if (shown)
		fputs("\r\033[K", stderr);
	return ret;
}

static enum ctl_exit ask(const struct options *o, const struct ctl_command *c, cJSON *args, cJSON **result,
                         struct weft_err *err)
{
	struct ctl_question q = {.cmd = c->name, .args = args, .timeout_ms = o->timeout_ms};
	enum ctl_exit ret = CTL_FAILED;

	if (!q.timeout_ms)
		q.timeout_ms = c->timeout_ms ? c->timeout_ms : CTL_TIMEOUT_MS;
	if (!c->prepare || c->prepare(o->socket, args, err) == 0)
		ret = ctl_ask(o->socket, &q, result, err);
	if (c->release)
		c->release(args);
	return ret;
}

static enum ctl_exit run(const struct options *o, const struct ctl_command *c, cJSON *args)
{
	struct weft_err err = WEFT_ERR_INIT;
	bool page = is_page(c, args);
	cJSON *result = NULL;
	enum ctl_exit ret = ask(o, c, args, &result, &err);

	if (ret == CTL_OK)
		ret = follow(o, c, args, &result, &err);
	if (ret == CTL_OK && !(page ? cJSON_IsObject(result) : cJSON_IsArray(result))) {
		weft_err_set(&err, 0, "weftd answered `%s` with something else: is it of version %s, too?",
		             c->name, WEFT_VERSION);
		ret = CTL_FAILED;
	}
	if (ret != CTL_OK)
		fprintf(stderr, "weftctl: %s\n", err.text);
	else if (!page && !select_rows(o, c, result))
		ret = CTL_FAILED;
	else
		ret = print_result(o, c, page, result);
	cJSON_Delete(result);
	return ret;
}

/* The command's options and arguments as the daemon gets them. */
static int read_args(const struct options *o, const struct ctl_command *c, cJSON **args, struct weft_err *err)
{
	for (size_t i = 0; i < o->own_count; i++) {
		int ret = ctl_options_add(c, o->own[i].opt, o->own[i].value, args, err);

		if (ret < 0)
			return ret;
	}
	return c->read_args ? c->read_args(o->argv, o->argc, args, err) : 0;
}

/* Check the arguments, then ask. */
static enum ctl_exit run_command(const struct options *o, const struct ctl_command *c)
{
	struct weft_err err = WEFT_ERR_INIT;
	cJSON *args = NULL;
	enum ctl_exit ret;

	if (!c->most && o->argc) {
		fprintf(stderr, "weftctl: `%s` takes no argument\n", c->name);
		return usage_error(c->name);
	}
	if (o->argc > c->most) {
		fprintf(stderr, "weftctl: \"%s\" is one argument too many\n", o->argv[c->most]);
		return usage_error(c->name);
	}
	if (o->argc < c->least) {
		fprintf(stderr, "weftctl: `%s` needs %s\n", c->name, c->args);
		return usage_error(c->name);
	}
	if (read_args(o, c, &args, &err) < 0) {
		fprintf(stderr, "weftctl: %s\n", err.text);
		ret = usage_error(c->name);
	} else {
		ret = c->local ? c->local(args) : run(o, c, args);
	}
	cJSON_Delete(args);
	return ret;
}

static enum ctl_exit help(const struct ctl_command *c)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};

	if (c)
		ctl_help_command(c, &out);
	else
		ctl_help(&out);
	return put(&out, CTL_OK);
}

int main(int argc, char **argv)
{
	struct options o = {.socket = CTL_SOCKET};
	const struct ctl_command *c;

	/* For the width of characters; names are UTF-8 whatever the user's locale says. */
	setlocale(LC_CTYPE, "C.UTF-8");
	if (!read_options(argc, argv, &o))
		return usage_error(NULL);
	if (o.version) {
		printf("weftctl %s\n", WEFT_VERSION);
		return CTL_OK;
	}
	c = o.command ? ctl_command_find(o.command) : NULL;
	if (o.command && !c) {
		fprintf(stderr, "weftctl: no command \"%s\"\n", o.command);
		return usage_error(NULL);
	}
	if (o.help)
		return help(c);
	if (!c) {
		fputs("weftctl: name a command\n", stderr);
		return usage_error(NULL);
	}
	return run_command(&o, c);
}
