// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `weftctl plan`: the manifests are copied beside weftd's socket, where weftd can read them whatever its unit or
 * container hides from it, and removed when the answer is there. Signals wait meanwhile: no copy may stay behind, since
 * there can be Secrets in it.
 */
#include "agent/ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/file.h"

#define FILE_MAX    ((size_t)8 << 20)
#define CONFIG_NAME ".config"

static const struct ctl_column session_columns[] = {
        {.header = "CHANGE", .path = "change", .state = true},
        {.header = "PEER", .path = "peer"},
        {.header = "IN BIRD", .path = "protocol"},
        {.header = "BECAUSE OF", .path = "field", .optional = true},
};

static const struct ctl_column class_columns[] = {
        {.header = "CHANGE", .path = "change", .state = true},
        {.header = "METRIC", .path = "metric", .right = true},
        {.header = "TYPE", .path = "type"},
        {.header = "BGPADVERTISEMENTS", .path = "advertisements"},
};

/* --- the copy --- */

static int write_file(int dir, const char *name, const char *text, size_t len, struct weft_err *err)
{
	weft_autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	while (fd >= 0 && len) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return weft_err_errno(err, errno, "copying %s for weftd", name);
		text += n;
		len -= (size_t)n;
	}
	return fd < 0 ? weft_err_errno(err, errno, "copying %s for weftd", name) : 0;
}

static int copy_file(const char *from, int dir, const char *name, struct weft_err *err)
{
	weft_autofree char *text = NULL;
	size_t len;
	int r = weft_file_read(from, FILE_MAX, &text, &len, err);

	return r < 0 ? r : write_file(dir, name, text, len, err);
}

static bool is_manifest(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json"));
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int copy_folder(const char *from, int dir, bool deeper, struct weft_err *err);

static int copy_subfolder(const char *from, int dir, const char *name, struct weft_err *err)
{
	weft_autoclose int sub = -1;

	if (mkdirat(dir, name, 0700) < 0)
		return weft_err_errno(err, errno, "copying %s for weftd", from);
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return sub < 0 ? weft_err_errno(err, errno, "copying %s for weftd", from)
	               : copy_folder(from, sub, false, err);
}

/* Manifests in the folder and its direct subfolders, as the directory datastore reads them. */
static int copy_folder(const char *from, int dir, bool deeper, struct weft_err *err)
{
	weft_autoclosedir DIR *d = opendir(from);
	char path[PATH_MAX];
	int r = d ? 0 : weft_err_errno(err, errno, "the folder %s", from);

	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", from, e->d_name) >= sizeof(path))
			return weft_err_set(err, ENAMETOOLONG, "a path in %.200s is too long", from);
		if (is_folder(path))
			r = deeper ? copy_subfolder(path, dir, e->d_name, err) : 0;
		else if (is_manifest(e->d_name))
			r = copy_file(path, dir, e->d_name, err);
	}
	return r;
}

static void remove_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	weft_autoclosedir DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(fd, e->d_name, 0) < 0 && errno == EISDIR)
			remove_folder(fd, e->d_name);
	unlinkat(at, name, AT_REMOVEDIR);
}

static void hold_signals(bool hold)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

int ctl_plan_prepare(const char *socket_path, cJSON *args, struct weft_err *err)
{
	const char *from = cJSON_GetStringValue(ctl_get(args, "shown"));
	const char *config = cJSON_GetStringValue(ctl_get(args, "configFile"));
	char socket[PATH_MAX], copy[PATH_MAX];
	weft_autoclose int dir = -1;
	int r;

	snprintf(socket, sizeof(socket), "%s", socket_path);
	if ((size_t)snprintf(copy, sizeof(copy), "%s/plan.XXXXXX", dirname(socket)) >= sizeof(copy))
		return weft_err_set(err, ENAMETOOLONG, "the path of the socket is too long");
	hold_signals(true);
	if (!mkdtemp(copy))
		return weft_err_errno(err, errno, "a folder beside weftd's socket, %s", copy);
	cJSON_AddStringToObject(args, "dir", copy);
	dir = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return weft_err_errno(err, errno, "%s", copy);
	r = copy_folder(from, dir, true, err);
	if (r == 0 && config)
		r = copy_file(config, dir, CONFIG_NAME, err);
	return r;
}

void ctl_plan_release(const cJSON *args)
{
	const char *copy = cJSON_GetStringValue(ctl_get(args, "dir"));

	if (copy)
		remove_folder(AT_FDCWD, copy);
	hold_signals(false);
}

int ctl_plan_args(const char *const *argv, size_t n, cJSON **args, struct weft_err *err)
{
	const char *dir = cJSON_GetStringValue(cJSON_GetObjectItem(*args, "config-dir"));
	const char *config = cJSON_GetStringValue(cJSON_GetObjectItem(*args, "config"));

	(void)argv, (void)n;
	if (!dir)
		return weft_err_set(err, EINVAL, "`plan` needs --config-dir DIR");
	if (!is_folder(dir))
		return weft_err_set(err, ENOTDIR, "--config-dir: %.200s is no folder", dir);
	cJSON_AddStringToObject(*args, "shown", dir);
	cJSON_DeleteItemFromObject(*args, "config-dir");
	if (!config)
		return 0;
	cJSON_AddStringToObject(*args, "configFile", config);
	cJSON_DeleteItemFromObject(*args, "config");
	cJSON_AddTrueToObject(*args, "config");
	return 0;
}

/* --- the page --- */

static void paint_line(const char *line, size_t len, const struct ctl_style *style, struct weft_buf *out)
{
	const char *state = line[0] == '+' ? "ok" : line[0] == '-' ? "failed" : "";
	const char *colour = style->colour ? ctl_colour(state) : NULL;

	weft_buf_str(out, "  ");
	weft_buf_str(out, colour ? colour : "");
	weft_buf_add(out, line, len);
	weft_buf_str(out, colour ? CTL_COLOUR_OFF : "");
	weft_buf_char(out, '\n');
}

/* Of a text: a line of its difference for each string. */
static void diff_lines(const char *label, const cJSON *lines, const struct ctl_style *style,
                       struct weft_buf *out)
{
	const cJSON *line;

	ctl_label(label, out);
	weft_buf_str(out, cJSON_GetArraySize(lines) ? "changes\n" : "no change\n");
	cJSON_ArrayForEach (line, lines)
		if (cJSON_IsString(line))
			paint_line(line->valuestring, strlen(line->valuestring), style, out);
}

static void kernel_lines(const cJSON *result, const char *which, char mark, const struct ctl_style *style,
                         struct weft_buf *out)
{
	char path[64];
	const cJSON *lines, *line;
	double total;

	snprintf(path, sizeof(path), "kernel.%s", which);
	lines = ctl_get(result, path);
	snprintf(path, sizeof(path), "kernel.%sTotal", which);
	total = cJSON_GetNumberValue(ctl_get(result, path));
	cJSON_ArrayForEach (line, lines) {
		weft_auto(weft_buf_free) struct weft_buf text = {0};

		weft_buf_printf(&text, "%c ", mark);
		ctl_fmt_text(line, &text);
		paint_line(weft_buf_text(&text), text.len, style, out);
	}
	if (total > cJSON_GetArraySize(lines))
		weft_buf_printf(out, "  ... and %.0f more\n", total - cJSON_GetArraySize(lines));
}

/* Classes of announcement: only where some come or go. */
static void class_lines(const cJSON *classes, const struct ctl_style *style, struct weft_buf *out)
{
	int n = classes ? cJSON_GetArraySize(classes) : 0;

	if (!n)
		return;
	ctl_label("classes", out);
	weft_buf_printf(out, "%d change\n", n);
	ctl_table_indented(classes, class_columns, WEFT_ARRAY_LEN(class_columns), 2, style, out);
}

static void list_lines(const char *label, const cJSON *list, struct weft_buf *out)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		ctl_label(item == list->child ? label : "", out);
		if (cJSON_IsObject(item)) {
			ctl_field(item, "where", out);
			weft_buf_str(out, ": ");
			ctl_field(item, "text", out);
		} else {
			ctl_fmt_text(item, out);
		}
		weft_buf_char(out, '\n');
	}
}

void ctl_plan(const cJSON *result, const struct ctl_style *style, struct weft_buf *out)
{
	const cJSON *sessions = ctl_get(result, "sessions");
	double added = cJSON_GetNumberValue(ctl_get(result, "kernel.addedTotal"));
	double removed = cJSON_GetNumberValue(ctl_get(result, "kernel.removedTotal"));

	list_lines("malformed", ctl_get(result, "invalid"), out);
	list_lines("warning", ctl_get(result, "warnings"), out);
	ctl_label("kept", out);
	ctl_field(result, "kept", out);
	weft_buf_char(out, '\n');
	ctl_label("sessions", out);
	weft_buf_printf(out, "%d change, ", cJSON_GetArraySize(sessions));
	ctl_field(result, "untouched", out);
	weft_buf_str(out, " stay untouched\n");
	if (cJSON_GetArraySize(sessions) > 0)
		ctl_table_indented(sessions, session_columns, WEFT_ARRAY_LEN(session_columns), 2, style, out);
	class_lines(ctl_get(result, "classes"), style, out);
	if (ctl_get(result, "config") && cJSON_GetArraySize(ctl_get(result, "config")) > 0)
		diff_lines("weft.yaml", ctl_get(result, "config"), style, out);
	diff_lines("bird.conf", ctl_get(result, "bird"), style, out);
	ctl_label("kernel", out);
	weft_buf_printf(out, "%.0f added, %.0f removed\n", added, removed);
	kernel_lines(result, "removed", '-', style, out);
	kernel_lines(result, "added", '+', style, out);
}

enum ctl_exit ctl_plan_verdict(const cJSON *result)
{
	return cJSON_GetArraySize(ctl_get(result, "invalid")) > 0 ? CTL_FAILED : CTL_OK;
}
