// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watching a folder of manifests.
 *
 * Flow: inotify events name files; a named file is read at once (store.c compares and tells the sink). What
 * is not sure yet waits in the pending list for a timer: a file with errors may be half written (SETTLE_MS),
 * a file that is gone may be on its way back (GONE_MS: editors delete and create), a file that was created
 * may still be written (until it is closed, or quiet for SETTLE_MS when link(2) made it). An event costs the
 * file it names; all files are listed at the start, after an overflow of inotify's queue, and when Kubernetes
 * swaps the `..data` link of a mounted ConfigMap.
 *
 * The folder itself may go away: its objects stay, and once it is back (RETRY_MS) it is listed again; files
 * that are not there by RETURN_MS after that count as deleted. An empty one does not count as back.
 *
 * A symlink is read through; a change of its target outside the folder is not seen, except by a rescan: on
 * network file systems, where inotify misses what other machines do, the folder is listed again (RESCAN_MS).
 *
 * directory_open.c makes and frees the source.
 */
#include "agent/source/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/source/directory_priv.h"
#include "agent/source/listing.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#define SETTLE_MS 300
#define GONE_MS   100
#define RETRY_MS  200
#define RETURN_MS 2000
#define RESCAN_MS 10000

#define WATCH_MASK                                                                               \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)

static void arm(struct weft_directory *d);

/* Pending files */

static void postpone(struct weft_directory *d, struct weft_file *file, uint64_t due)
{
	file->due = due;
	if (!file->pending)
		DL_APPEND(d->pending, file);
	file->pending = true;
}

static void forget(struct weft_directory *d, struct weft_file *file)
{
	if (file->pending)
		DL_DELETE(d->pending, file);
	file->pending = false;
}

void weft_directory_reread(void *owner, struct weft_file *file)
{
	postpone(owner, file, 0);
}

static bool root_is_there(const struct weft_directory *d)
{
	struct stat st;

	return stat(d->store.path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void absent(struct weft_directory *d, struct weft_file *file, uint64_t now)
{
	uint64_t due = file->event_ms + GONE_MS;

	if (d->returned_ms && due < d->returned_ms + RETURN_MS)
		due = d->returned_ms + RETURN_MS;
	if (!file->items && !file->reported)
		weft_store_drop(&d->store, file);
	else if (due > now)
		postpone(d, file, due);
	else if (!d->lost && root_is_there(d))
		weft_store_drop(&d->store, file);
	/* else the folder is gone, which says nothing about its objects; they are compared when it is back.
	 */
}

static void read_file(struct weft_directory *d, struct weft_file *file)
{
	uint64_t now = uv_now(d->loop), settled_at = file->event_ms + SETTLE_MS;

	forget(d, file);
	switch (weft_store_read(&d->store, file, now >= settled_at)) {
	case WEFT_READ_GOOD:
		break;
	case WEFT_READ_BAD:
		if (now < settled_at)
			postpone(d, file, settled_at);
		break;
	case WEFT_READ_ABSENT:
		absent(d, file, now);
		break;
	}
}

/* Still growing? A writer that is at work has changed the file lately, or not begun. */
static bool being_written(const struct weft_directory *d, const struct weft_file *file)
{
	char path[PATH_MAX];
	struct timespec now;
	struct stat st;
	int64_t age;

	if (!file->fresh || !weft_full_path(&d->store, file->name, path) || stat(path, &st) < 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	age = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000 + (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	return age >= 0 && age < SETTLE_MS;
}

static void run_pending(struct weft_directory *d)
{
	uint64_t now = uv_now(d->loop);
	struct weft_file *file = d->pending;

	while (file) {
		/* Reading frees this file at most, and appends others. */
		struct weft_file *next = file->next;

		if (file->due <= now && being_written(d, file))
			file->due = now + SETTLE_MS;
		else if (file->due <= now)
			read_file(d, file);
		file = next;
	}
}

static bool anything_due(const struct weft_directory *d)
{
	struct weft_file *file;

	DL_FOREACH (d->pending, file)
		if (file->due == 0)
			return true;
	return false;
}

/* Files that another file's change affects are read in the same turn. */
static void settle(struct weft_directory *d)
{
	do
		run_pending(d);
	while (anything_due(d));
	arm(d);
}

static void touch(struct weft_directory *d, const char *name)
{
	struct weft_file *file = weft_store_file(&d->store, name, true);

	if (!file) {
		log_error("directory %s: out of memory", d->store.path);
		return;
	}
	file->event_ms = uv_now(d->loop);
	file->fresh = false;
	weft_stamp_changed(&d->store, file);
	read_file(d, file);
}

/* A rescan comes by: a file that somebody changed behind inotify's back is read. */
static void touch_changed(struct weft_directory *d, const char *name)
{
	struct weft_file *file = weft_store_file(&d->store, name, false);

	if (!file || (!file->pending && weft_stamp_changed(&d->store, file)))
		touch(d, name);
}

void weft_directory_touch(struct weft_directory *d, const char *name, bool gone)
{
	struct weft_file *file = weft_store_file(&d->store, name, false);

	if (gone && file) {
		file->event_ms = 0;
		read_file(d, file);
	} else if (!gone) {
		touch(d, name);
	}
	settle(d);
}

/* Listing */

static struct weft_folder *find_folder(const struct weft_directory *d, const char *name)
{
	struct weft_folder *f = d->folders;

	while (f && strcmp(f->name, name))
		f = f->next;
	return f;
}

static int watch_folder(struct weft_directory *d, const char *name)
{
	struct weft_folder *f = find_folder(d, name);
	char path[PATH_MAX];
	int wd;

	if (!weft_full_path(&d->store, name, path) || strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	wd = inotify_add_watch(d->fd, path, WATCH_MASK);
	if (wd < 0)
		return -errno;
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		snprintf(f->name, sizeof(f->name), "%s", name);
		LL_PREPEND(d->folders, f);
	}
	f->wd = wd;
	return 0;
}

static void touch_all(struct weft_directory *d, struct weft_names *names)
{
	weft_names_sort(names);
	for (size_t i = 0; i < names->n; i++)
		if (i == 0 || strcmp(names->list[i - 1], names->list[i]))
			(d->only_changed ? touch_changed : touch)(d, names->list[i]);
}

/* List a folder whose watch is set, so that nothing falls between. */
static void scan_folder(struct weft_directory *d, const char *name, struct weft_names *files,
                        struct weft_names *folders)
{
	int r = weft_list_folder(&d->store, name, files, folders);

	if (r < 0 && r != -ENOENT)
		log_error("directory %s/%s can't be listed: %s", d->store.path, name, strerror(-r));
	if (!weft_known_names(&d->store, name, files))
		log_error("directory %s: out of memory", d->store.path);
}

static void add_folder(struct weft_directory *d, const char *name, struct weft_names *files)
{
	weft_auto(weft_names_free) struct weft_names ignored = {0};
	int r = watch_folder(d, name);

	if (r == -ENOENT || r == -ENOTDIR)
		return;
	if (r < 0)
		log_error("directory %s/%s can't be watched: %s%s", d->store.path, name, strerror(-r),
		          r == -ENOSPC ? " (raise fs.inotify.max_user_watches)" : "");
	scan_folder(d, name, files, &ignored);
}

/* The whole tree, in the order of names. */
static void scan_all(struct weft_directory *d)
{
	weft_auto(weft_names_free) struct weft_names files = {0}, folders = {0};

	scan_folder(d, "", &files, &folders);
	for (size_t i = 0; i < folders.n; i++)
		add_folder(d, folders.list[i], &files);
	touch_all(d, &files);
}

static void scan_one(struct weft_directory *d, const char *name)
{
	weft_auto(weft_names_free) struct weft_names files = {0}, ignored = {0};

	if (*name)
		add_folder(d, name, &files);
	else
		scan_folder(d, name, &files, &ignored);
	touch_all(d, &files);
}

/* Events */

static void drop_watches(struct weft_directory *d)
{
	struct weft_folder *f, *next;

	LL_FOREACH_SAFE(d->folders, f, next)
	{
		inotify_rm_watch(d->fd, f->wd);
		LL_DELETE(d->folders, f);
		free(f);
	}
}

static void lose(struct weft_directory *d)
{
	if (d->lost)
		return;
	d->lost = true;
	drop_watches(d);
	log_warning("directory %s is gone; its objects stay in force until it is back", d->store.path);
	weft_directory_attend(d);
}

static void try_return(struct weft_directory *d)
{
	/* An empty folder in the place of one with objects is a mount point whose file system is not there.
	 */
	if (HASH_COUNT(d->store.files) && !weft_any_manifest(&d->store))
		return;
	if (watch_folder(d, "") < 0)
		return;
	d->lost = false;
	d->returned_ms = uv_now(d->loop);
	log_info("directory %s is back", d->store.path);
	weft_directory_attend(d);
	scan_all(d);
}

static void remove_folder(struct weft_directory *d, const char *name)
{
	struct weft_folder *f = find_folder(d, name);
	weft_auto(weft_names_free) struct weft_names files = {0};

	if (f) {
		inotify_rm_watch(d->fd, f->wd);
		LL_DELETE(d->folders, f);
		free(f);
	}
	if (!weft_known_names(&d->store, name, &files))
		log_error("directory %s: out of memory", d->store.path);
	touch_all(d, &files);
}

/* A name that appeared without being written through a close: link(2), symlink(2), or open(2) just now. */
static void on_create(struct weft_directory *d, const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct weft_file *file;
	struct stat st;

	if (!weft_full_path(&d->store, name, path) || lstat(path, &st) < 0)
		return;
	/* weft itself makes blocks, complete, by link(2). */
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1 || !strcmp(folder, WEFT_BLOCKS_FOLDER)) {
		touch(d, name);
		return;
	}
	file = weft_store_file(&d->store, name, true);
	if (!file)
		return;
	file->event_ms = uv_now(d->loop);
	file->fresh = true;
	postpone(d, file, file->event_ms + SETTLE_MS);
}

static void on_entry(struct weft_directory *d, const char *folder, const struct inotify_event *ev)
{
	bool appeared = ev->mask & (IN_CREATE | IN_MOVED_TO), root = !*folder;
	char name[PATH_MAX];

	if (!weft_join(folder, ev->name, name))
		return;
	if (ev->mask & IN_ISDIR ||
	    (root && appeared && !weft_is_manifest(ev->name) && weft_is_folder(&d->store, ev->name))) {
		if (root && *ev->name != '.')
			(appeared ? scan_one : remove_folder)(d, ev->name);
		return;
	}
	if (!strncmp(ev->name, "..", 2) && appeared)
		scan_one(d, folder);
	else if (!weft_is_manifest(ev->name))
		return;
	else if (ev->mask & IN_CREATE)
		on_create(d, folder, name);
	else
		touch(d, name);
}

static void on_event(struct weft_directory *d, const struct inotify_event *ev)
{
	struct weft_folder *f = d->folders;
	char folder[NAME_MAX + 1];

	if (ev->mask & IN_Q_OVERFLOW) {
		log_info("directory %s: inotify's queue overflowed, listing it again", d->store.path);
		scan_all(d);
		weft_directory_attend(d);
		return;
	}
	if (weft_directory_lock_event(d, ev->wd))
		return;
	while (f && f->wd != ev->wd)
		f = f->next;
	if (!f)
		return;
	memcpy(folder, f->name, sizeof(folder)); /* handling may free f */
	if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
		if (*folder)
			remove_folder(d, folder);
		else
			lose(d);
	} else if (ev->len) {
		on_entry(d, folder, ev);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	char buf[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct weft_directory *d = poll->data;
	ssize_t n;

	(void)status;
	(void)events;
	n = read(d->fd, buf, sizeof(buf));
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		log_error("directory %s: reading inotify: %s", d->store.path, strerror(errno));
	for (const char *p = buf; n > 0 && p < buf + n;) {
		const struct inotify_event *ev = (const void *)p;
		on_event(d, ev);
		p += sizeof(*ev) + ev->len;
	}
	settle(d);
}

static void on_timer(uv_timer_t *timer)
{
	struct weft_directory *d = timer->data;

	if (d->lost)
		try_return(d);
	settle(d);
}

static void on_rescan(uv_timer_t *timer)
{
	struct weft_directory *d = timer->data;

	weft_directory_attend(d);
	if (d->lost)
		return;
	d->only_changed = true;
	scan_all(d);
	d->only_changed = false;
	settle(d);
}

static void arm(struct weft_directory *d)
{
	uint64_t now = uv_now(d->loop), due = d->lost ? now + RETRY_MS : UINT64_MAX;
	struct weft_file *file;

	DL_FOREACH (d->pending, file)
		if (file->due < due)
			due = file->due;
	if (d->closing)
		return;
	if (due == UINT64_MAX)
		uv_timer_stop(&d->timer);
	else
		uv_timer_start(&d->timer, on_timer, due > now ? due - now : 0, 0);
}

/* The start */

int weft_directory_start(struct weft_source *s, weft_sink_fn sink, void *ctx, struct weft_err *err)
{
	struct weft_directory *d = (struct weft_directory *)s;
	int r;

	d->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (d->fd < 0)
		return weft_err_errno(err, errno, "inotify can't start (see fs.inotify.max_user_instances)");
	r = watch_folder(d, "");
	if (r == -ENOSPC)
		return weft_err_errno(err, r, "can't watch %s (raise fs.inotify.max_user_watches)",
		                      d->store.path);
	if (r < 0)
		return weft_err_errno(err, r, "can't watch the datastore folder %s", d->store.path);
	r = uv_poll_init(d->loop, &d->poll, d->fd);
	if (r < 0)
		return weft_err_set(err, r, "can't watch %s: %s", d->store.path, uv_strerror(r));
	uv_timer_init(d->loop, &d->timer);
	uv_timer_init(d->loop, &d->rescan);
	d->handles = 3;
	d->poll.data = d->timer.data = d->rescan.data = d;
	if (!d->rescan_ms && weft_on_network(&d->store))
		d->rescan_ms = RESCAN_MS;
	if (d->rescan_ms)
		uv_timer_start(&d->rescan, on_rescan, d->rescan_ms, d->rescan_ms);
	d->store.sink = sink;
	d->store.ctx = ctx;
	uv_update_time(d->loop);
	scan_all(d);
	settle(d);
	d->synced = true;
	sink(ctx, &(struct weft_event){.type = WEFT_EV_SYNCED});
	uv_poll_start(&d->poll, UV_READABLE, on_readable);
	return 0;
}
