// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel settings: sysctl.h.
 *
 * Order of a change: read; if it differs, add the former value to the record and put that on disk; then
 * write. A crash between the two leaves a record of a value that is still in force, which is harmless.
 */
#include "agent/apply/sysctl.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "weft/cleanup.h"
#include "weft/file.h"

#define RECORD_BYTES_MAX (1024 * 1024)

struct setting {
	char path[SYSCTL_PATH_MAX];
	char value[SYSCTL_VALUE_MAX];
	bool optional, dirty;
	UT_hash_handle hh;
};

struct sysctl {
	char *record, *root;
	cJSON *former; /* path -> value */
	struct setting *settings;
};

static void free_json(cJSON **j)
{
	cJSON_Delete(*j);
}

/* Letters, digits, '_', '-', '.', '@' within components; no component begins with '.': nothing leaves
 * /proc/sys. */
static bool path_valid(const char *path)
{
	size_t n = strnlen(path, SYSCTL_PATH_MAX);

	if (n == 0 || n == SYSCTL_PATH_MAX || path[0] == '/' || path[n - 1] == '/')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)path[i];

		if (c <= ' ' || c >= 127 || (c == '.' && (i == 0 || path[i - 1] == '/')))
			return false;
		if (c == '/' && path[i - 1] == '/')
			return false;
	}
	return true;
}

static bool value_valid(const char *value)
{
	size_t n = strnlen(value, SYSCTL_VALUE_MAX);

	if (n == SYSCTL_VALUE_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		if ((c < ' ' && c != '\t') || c >= 127)
			return false;
	}
	return true;
}

/* The record: one flat JSON object of path to former value. A missing file is an empty one. */
static int load(const char *record, cJSON **out, struct weft_err *err)
{
	weft_autofree char *text = NULL;
	weft_auto(free_json) cJSON *j = NULL;
	const cJSON *item;
	size_t len;
	int rc;

	if (access(record, F_OK) != 0 && errno == ENOENT) {
		*out = cJSON_CreateObject();
		return *out ? 0 : weft_err_errno(err, ENOMEM, "reading %s", record);
	}
	rc = weft_file_read(record, RECORD_BYTES_MAX, &text, &len, err);
	if (rc)
		return rc;
	j = cJSON_Parse(text);
	if (!cJSON_IsObject(j))
		return weft_err_set(err, EINVAL,
		                    "%s: the record of former kernel settings is not a JSON object; "
		                    "repair it, or remove it and lose those values",
		                    record);
	cJSON_ArrayForEach (item, j) {
		if (!cJSON_IsString(item) || !path_valid(item->string) || !value_valid(item->valuestring))
			return weft_err_set(
			        err, EINVAL,
			        "%s: bad entry \"%.100s\" in the record of former kernel settings", record,
			        item->string);
	}
	*out = WEFT_TAKE_PTR(j);
	return 0;
}

static int save(const char *record, const cJSON *former, struct weft_err *err)
{
	weft_autofree char *text = cJSON_Print(former);

	if (!text)
		return weft_err_errno(err, ENOMEM, "writing %s", record);
	return weft_file_replace(record, text, strlen(text), 0600, err);
}

struct sysctl *sysctl_new(const char *record, const char *root, struct weft_err *err)
{
	struct sysctl *s = calloc(1, sizeof(*s));

	if (s) {
		s->record = strdup(record);
		s->root = strdup(root);
	}
	if (!s || !s->record || !s->root) {
		weft_err_errno(err, ENOMEM, "kernel settings");
		sysctl_free(s);
		return NULL;
	}
	if (load(record, &s->former, err)) {
		sysctl_free(s);
		return NULL;
	}
	return s;
}

void sysctl_free(struct sysctl *s)
{
	struct setting *e, *tmp;

	if (!s)
		return;
	HASH_ITER (hh, s->settings, e, tmp) {
		HASH_DEL(s->settings, e);
		free(e);
	}
	cJSON_Delete(s->former);
	free(s->record);
	free(s->root);
	free(s);
}

int sysctl_want(struct sysctl *s, const char *path, const char *value, bool optional, struct weft_err *err)
{
	struct setting *e;

	if (!path_valid(path))
		return weft_err_set(err, EINVAL, "\"%.128s\" is not a path of a kernel setting", path);
	if (!value_valid(value))
		return weft_err_set(err, EINVAL, "%s: \"%.64s\" is not a value", path, value);
	HASH_FIND_STR(s->settings, path, e);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return weft_err_errno(err, ENOMEM, "%s", path);
		memcpy(e->path, path, strlen(path));
		HASH_ADD_STR(s->settings, path, e);
		e->dirty = true;
	}
	e->dirty = e->dirty || strcmp(e->value, value) != 0;
	e->optional = optional;
	snprintf(e->value, sizeof(e->value), "%s", value);
	return 0;
}

void sysctl_unwant(struct sysctl *s, const char *path)
{
	struct setting *e;

	HASH_FIND_STR(s->settings, path, e);
	if (!e)
		return;
	HASH_DEL(s->settings, e);
	free(e);
}

void sysctl_resync(struct sysctl *s)
{
	struct setting *e, *tmp;

	HASH_ITER (hh, s->settings, e, tmp)
		e->dirty = true;
}

void sysctl_on_device(struct sysctl *s, const char *dev)
{
	struct setting *e, *tmp;
	size_t n = strlen(dev);

	HASH_ITER (hh, s->settings, e, tmp) {
		const char *conf = strstr(e->path, "/conf/");

		if (conf && strncmp(conf + 6, dev, n) == 0 && conf[6 + n] == '/')
			e->dirty = true;
	}
}

static int open_setting(const char *root, const char *path, int flags)
{
	char full[4096];

	if (snprintf(full, sizeof(full), "%s/%s", root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	int fd = open(full, flags | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* -ENOENT when there is no such setting: not described, the caller knows what that means. */
static int read_setting(const char *root, const char *path, char value[SYSCTL_VALUE_MAX],
                        struct weft_err *err)
{
	weft_autoclose int fd = open_setting(root, path, O_RDONLY);
	ssize_t n;

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return weft_err_errno(err, fd, "%s/%s", root, path);
	n = read(fd, value, SYSCTL_VALUE_MAX - 1);
	if (n < 0)
		return weft_err_errno(err, errno, "reading %s/%s", root, path);
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

static int write_setting(const char *root, const char *path, const char *value, struct weft_err *err)
{
	weft_autoclose int fd = open_setting(root, path, O_WRONLY | O_TRUNC);
	size_t n = strlen(value);

	if (fd < 0)
		return weft_err_errno(err, fd, "%s/%s", root, path);
	if (write(fd, value, n) != (ssize_t)n)
		return weft_err_errno(err, errno, "writing \"%s\" to %s/%s", value, root, path);
	return 0;
}

static int remember(struct sysctl *s, const char *path, const char *value, struct weft_err *err)
{
	if (cJSON_GetObjectItemCaseSensitive(s->former, path))
		return 0;
	if (!cJSON_AddStringToObject(s->former, path, value))
		return weft_err_errno(err, ENOMEM, "%s", path);
	if (save(s->record, s->former, err)) {
		cJSON_DeleteItemFromObjectCaseSensitive(s->former, path);
		return weft_err_wrap(err, "recording the former value of %s, which is therefore left alone",
		                     path);
	}
	return 0;
}

static int apply_one(struct sysctl *s, struct setting *e, struct weft_err *err)
{
	char now[SYSCTL_VALUE_MAX];
	int rc = read_setting(s->root, e->path, now, err);

	if (rc == -ENOENT)
		return e->optional ? 0
		                   : weft_err_set(err, ENOENT, "%s/%s: this kernel has no such setting",
		                                  s->root, e->path);
	if (rc || strcmp(now, e->value) == 0)
		return rc;
	rc = remember(s, e->path, now, err);
	return rc ? rc : write_setting(s->root, e->path, e->value, err);
}

int sysctl_apply(struct sysctl *s, struct weft_err *err)
{
	struct setting *e, *tmp;
	int first = 0;

	HASH_ITER (hh, s->settings, e, tmp) {
		int rc = e->dirty ? apply_one(s, e, first ? NULL : err) : 0;

		e->dirty = rc != 0;
		if (rc && !first)
			first = rc;
	}
	return first;
}

void sysctl_each(const struct sysctl *s,
                 void (*fn)(void *ctx, const char *path, const char *value, const char *now), void *ctx)
{
	for (const struct setting *e = s->settings; e; e = e->hh.next) {
		char now[SYSCTL_VALUE_MAX];
		int rc = read_setting(s->root, e->path, now, NULL);

		fn(ctx, e->path, e->value, rc ? NULL : now);
	}
}

int sysctl_cleanup(const char *record, const char *root, struct weft_err *err)
{
	weft_auto(free_json) cJSON *former = NULL;
	const cJSON *item;
	int first = 0, rc = load(record, &former, err);

	if (rc)
		return rc;
	cJSON_ArrayForEach (item, former) {
		char now[SYSCTL_VALUE_MAX];

		rc = read_setting(root, item->string, now, first ? NULL : err);
		if (rc == 0 && strcmp(now, item->valuestring) != 0)
			rc = write_setting(root, item->string, item->valuestring, first ? NULL : err);
		if (rc && rc != -ENOENT && !first)
			first = rc;
	}
	if (first)
		return first;
	if (unlink(record) && errno != ENOENT)
		return weft_err_errno(err, errno, "removing %s", record);
	return 0;
}
