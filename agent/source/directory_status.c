// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Statuses of objects in a folder: files of their own beside the manifests, which belong to the operator.
 *
 *	status/service.NAMESPACE_NAME.yaml	kind ServiceStatus; read by all like any manifest
 *	status/ippool.NAME.yaml			kind IPPoolStatus; for people, no agent reads it
 *	status/bgppeer.NAME.yaml, ...		the same for weft's other objects
 *
 * ('_' is in no name, so that dots in names make no two objects meet in one file.)
 *
 * Disk work runs in libuv's thread pool. Of one object one write is under way at a time; what comes meanwhile
 * waits, and only the last of it is written. Each caller hears how the write that covers its status ended.
 */
#include "agent/source/directory_priv.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/source/fields.h"
#include "agent/source/listing.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define STATUS_FILE_MAX ((size_t)1 << 20)

struct status_waiter {
	struct status_waiter *next;
	weft_write_done_fn done;
	void *ctx;
};

/* One version of a status: NULL text removes the file. */
struct status_version {
	char *text;
	struct weft_err err; /* it can't be written at all */
	struct status_waiter *waiters;
};

struct weft_status_write {
	UT_hash_handle hh;
	char *id; /* kind's letter and key */
	uv_work_t req;
	struct weft_directory *d;
	char file[WEFT_KEY_MAX + 32]; /* relative */
	struct status_version now, next;
	bool queued;  /* next is to be written */
	bool changed; /* the file is another than before */
};

/* --- text --- */

static bool plain_key(const char *key)
{
	return *key && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(key);
}

static void emit_scalar(const cJSON *v, struct weft_buf *out)
{
	weft_autofree char *text = cJSON_PrintUnformatted(v);

	if (text)
		weft_buf_str(out, text);
	else
		out->failed = true;
}

/* Block style; JSON's scalars are YAML's. `first`: the line has begun already, behind a "- ". */
static void emit(const cJSON *v, unsigned indent, bool first, struct weft_buf *out)
{
	if (!v->child) {
		emit_scalar(v, out);
		weft_buf_char(out, '\n');
		return;
	}
	for (const cJSON *c = v->child; c; c = c->next, first = false) {
		bool nested = c->child;

		if (!first)
			weft_buf_printf(out, "%*s", (int)indent, "");
		if (cJSON_IsArray(v))
			weft_buf_str(out, "- ");
		else
			weft_buf_printf(out, plain_key(c->string) ? "%s:%s" : "\"%s\":%s", c->string,
			                nested ? "\n" : " ");
		emit(c, indent + 2, cJSON_IsArray(v), out);
	}
}

static char *encode(enum weft_kind kind, const char *namespace, const char *name, const cJSON *status)
{
	weft_auto(weft_buf_free) struct weft_buf out = {.max = STATUS_FILE_MAX};

	weft_buf_printf(&out,
	                "# Written by weft's controller, again and again: changes here get lost.\n"
	                "apiVersion: weft.dev/v1alpha1\nkind: %sStatus\nmetadata:\n",
	                weft_kind_name(kind));
	if (*namespace)
		weft_buf_printf(&out, "  namespace: \"%s\"\n", namespace);
	weft_buf_printf(&out, "  name: \"%s\"\nstatus:%s", name, status->child ? "\n" : " ");
	emit(status, 2, false, &out);
	return weft_buf_take(&out);
}

/* --- in the thread pool --- */

static bool unchanged(const char *path, const char *text)
{
	weft_autofree char *was = NULL;
	size_t len = 0;

	return weft_file_read(path, STATUS_FILE_MAX, &was, &len, NULL) == 0 && len == strlen(text) &&
	       !memcmp(was, text, len);
}

static void write_file(struct weft_status_write *w, const char *folder, const char *path)
{
	const char *text = w->now.text;

	if (!text) {
		if (unlink(path) == 0)
			w->changed = true;
		else if (errno != ENOENT)
			weft_err_errno(&w->now.err, errno, "can't remove %s", path);
		return;
	}
	if (unchanged(path, text))
		return;
	/* Not mkdir -p: when the datastore itself is gone, a new one must not be made in its place. */
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		weft_err_errno(&w->now.err, errno, "can't create the folder %s", folder);
	else
		w->changed = weft_file_replace(path, text, strlen(text), 0644, &w->now.err) == 0;
}

static void work(uv_work_t *req)
{
	struct weft_status_write *w = req->data;
	char folder[PATH_MAX], path[PATH_MAX];

	if (w->now.err.code)
		return;
	if (weft_full_path(&w->d->store, WEFT_STATUS_FOLDER, folder) &&
	    weft_full_path(&w->d->store, w->file, path))
		write_file(w, folder, path);
	else
		weft_err_set(&w->now.err, ENAMETOOLONG, "the path of the datastore folder is too long");
}

/* --- on the loop --- */

static void begin(struct weft_status_write *w);

static void answer(struct status_waiter *waiters, const struct weft_err *err, const struct weft_directory *d)
{
	struct status_waiter *w, *next;

	LL_FOREACH_SAFE(waiters, w, next)
	{
		if (!d->closing)
			w->done(w->ctx, err->code ? err : NULL);
		free(w);
	}
}

static void drop(struct weft_status_write *w)
{
	HASH_DEL(w->d->statuses, w);
	free(w->next.text);
	free(w->id);
	free(w);
}

static void after_work(uv_work_t *req, int status)
{
	struct weft_status_write *w = req->data;
	struct weft_directory *d = w->d;
	struct status_version ended = w->now;

	if (status < 0)
		weft_err_set(&ended.err, status, "the write was not started: %s", uv_strerror(status));
	/* inotify would say it as well, later. */
	if (!d->closing && d->synced && w->changed)
		weft_directory_touch(d, w->file, !ended.text);
	free(ended.text);
	w->now = (struct status_version){.text = NULL};
	if (w->queued && !d->closing) {
		begin(w);
	} else {
		answer(w->next.waiters, &ended.err, d);
		drop(w);
	}
	answer(ended.waiters, &ended.err, d);
	d->writes--;
	weft_directory_unref(d);
}

static void begin(struct weft_status_write *w)
{
	w->now = w->next;
	w->next = (struct status_version){.text = NULL};
	w->queued = w->changed = false;
	w->d->writes++;
	uv_queue_work(w->d->loop, &w->req, work, after_work);
}

/* The file of an object's status, and its name in parts. */
static int name_file(enum weft_kind kind, const char *key, struct weft_status_write *w,
                     char namespace[WEFT_NAME_MAX + 1], const char **name, struct weft_err *err)
{
	const char *slash = strchr(key, '/');
	bool service = kind == WEFT_SERVICE;

	namespace[0] = '\0';
	*name = slash ? slash + 1 : key;
	if (!weft_kind_has_status(kind))
		return weft_err_set(err, EINVAL, "objects of kind %s have no status here",
		                    weft_kind_name(kind));
	if (slash && slash - key <= WEFT_NAME_MAX)
		snprintf(namespace, WEFT_NAME_MAX + 1, "%.*s", (int)(slash - key), key);
	if (service != (slash != NULL) || !weft_name_valid(*name) || (service && !weft_name_valid(namespace)))
		return weft_err_set(err, EINVAL, "\"%.100s\" is not the key of a %s", key,
		                    weft_kind_name(kind));
	snprintf(w->file, sizeof(w->file), WEFT_STATUS_FOLDER "/%s.%s%s%s.yaml", weft_kind_name(kind),
	         namespace, service ? "_" : "", *name);
	for (char *p = w->file; *p && *p != '.'; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	return 0;
}

static struct weft_status_write *find(struct weft_directory *d, enum weft_kind kind, const char *key)
{
	weft_auto(weft_buf_free) struct weft_buf id = {0};
	struct weft_status_write *w;

	weft_buf_printf(&id, "%c%s", 'a' + (int)kind, key);
	if (id.failed)
		return NULL;
	HASH_FIND_STR(d->statuses, id.data, w);
	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->req.data = w;
	w->d = d;
	w->id = weft_buf_take(&id);
	HASH_ADD_KEYPTR(hh, d->statuses, w->id, strlen(w->id), w);
	return w;
}

void weft_directory_put_status(struct weft_source *s, enum weft_kind kind, const char *key,
                               const struct cJSON *status, weft_write_done_fn done, void *ctx)
{
	struct weft_directory *d = (struct weft_directory *)s;
	struct status_waiter *waiter = calloc(1, sizeof(*waiter));
	struct weft_status_write *w = waiter ? find(d, kind, key) : NULL;
	char namespace[WEFT_NAME_MAX + 1];
	struct weft_err err = WEFT_ERR_INIT;
	const char *name;
	bool idle;

	if (!w) {
		weft_err_errno(&err, ENOMEM, "writing a status");
		free(waiter);
		done(ctx, &err);
		return;
	}
	idle = !w->now.waiters;
	*waiter = (struct status_waiter){.done = done, .ctx = ctx};
	free(w->next.text);
	w->next.text = NULL;
	w->next.err = WEFT_ERR_INIT;
	LL_APPEND(w->next.waiters, waiter);
	w->queued = true;
	if (name_file(kind, key, w, namespace, &name, &w->next.err) == 0 && status) {
		w->next.text = encode(kind, namespace, name, status);
		if (!w->next.text)
			weft_err_errno(&w->next.err, ENOMEM, "writing the status of %s", key);
	}
	if (idle)
		begin(w);
}
