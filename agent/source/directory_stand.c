// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Standing for a role in a folder: who has flock(2) on DATASTORE/.weft-ROLE.lock leads. The kernel gives the
 * lock back when its holder dies, however that happens.
 *
 * Who stands by keeps the file open and watches it. A holder that ends closes it, which inotify tells; then
 * one tries. inotify tells of the close an instant before the lock is free, so that a few more tries follow,
 * at growing distances. Trying closes nothing, and so wakes nobody. Other machines' closes are not seen on a
 * network file system: there the rescan (directory.h) looks too.
 *
 * The lock counts only while its file is the one in the folder: a holder whose folder went away, or whose
 * file was removed or replaced, stands down and begins anew.
 *
 * on_change(false) comes before the lock is given back.
 */
#include "agent/source/directory_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/source/fields.h"
#include "weft/log.h"

#define TRIES     10 /* after an event: 2, 4, ... 1024 ms apart */
#define REOPEN_MS 1000

#define LOCK_MASK (IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)

struct weft_stand {
	struct weft_stand *next;
	struct weft_directory *d;
	char *role, *identity;
	char path[PATH_MAX];
	int fd, wd; /* of the lock file, -1 = none */
	bool leading;
	bool complained;
	unsigned tries; /* left */
	uv_timer_t timer;
	void (*on_change)(void *ctx, bool leading);
	void *ctx;
};

static void attend(struct weft_stand *st);

static void on_timer(uv_timer_t *timer)
{
	struct weft_directory *d = timer->data;
	struct weft_stand *st;

	LL_FOREACH (d->stands, st)
		if (&st->timer == timer) {
			attend(st);
			return;
		}
}

static void again(struct weft_stand *st, uint64_t ms)
{
	uv_timer_start(&st->timer, on_timer, ms, 0);
}

static void complain(struct weft_stand *st, const struct weft_err *err)
{
	if (!st->complained)
		log_error("standing for %s: %s", st->role, err->text);
	st->complained = true;
}

/* Is the open file the one in the folder? */
static bool in_place(const struct weft_stand *st)
{
	struct stat ours, there;

	return st->fd >= 0 && fstat(st->fd, &ours) == 0 && stat(st->path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static void close_lock(struct weft_stand *st)
{
	if (st->wd >= 0)
		inotify_rm_watch(st->d->fd, st->wd);
	if (st->fd >= 0)
		close(st->fd);
	st->wd = st->fd = -1;
}

/* The watch is set before the lock is tried: its end can't fall between. */
static int open_lock(struct weft_stand *st, struct weft_err *err)
{
	st->fd = open(st->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (st->fd < 0)
		return weft_err_errno(err, errno, "can't open %s", st->path);
	st->wd = inotify_add_watch(st->d->fd, st->path, LOCK_MASK);
	if (st->wd < 0)
		return weft_err_errno(err, errno, "can't watch %s (see fs.inotify.max_user_watches)",
		                      st->path);
	return 0;
}

/* For people; the lock itself needs no content. */
static void sign(const struct weft_stand *st)
{
	size_t len = strlen(st->identity);

	if (ftruncate(st->fd, 0) < 0 || pwrite(st->fd, st->identity, len, 0) < 0 ||
	    pwrite(st->fd, "\n", 1, (off_t)len) < 0)
		log_warning("can't write who leads into %s: %s", st->path, strerror(errno));
}

static void change(struct weft_stand *st, bool leading)
{
	if (st->leading == leading)
		return;
	st->leading = leading;
	log_info("%s the %s", leading ? "leading as" : "not leading any more as", st->role);
	st->on_change(st->ctx, leading);
}

/* The lock, or an errno. Whoever has it already gets it again, unless the file system lost it. */
static int try_lock(struct weft_stand *st)
{
	int r = flock(st->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;

	if (r < 0)
		change(st, false);
	return r;
}

static void stand_by(struct weft_stand *st)
{
	if (!st->tries)
		return;
	st->tries--;
	again(st, UINT64_C(2) << (TRIES - 1 - st->tries));
}

static void take(struct weft_stand *st)
{
	struct weft_err err = WEFT_ERR_INIT;
	int r = try_lock(st);

	if (st->d->closing)
		return;
	if (r == -EWOULDBLOCK) {
		stand_by(st);
	} else if (r < 0) {
		weft_err_errno(&err, r, "can't lock %s", st->path);
		complain(st, &err);
		again(st, REOPEN_MS);
	} else if (!in_place(st)) { /* replaced while we locked it */
		again(st, 0);
	} else if (!st->leading) {
		st->complained = false;
		sign(st);
		change(st, true);
	}
}

/* One step towards leading, or down from it. */
static void attend(struct weft_stand *st)
{
	struct weft_directory *d = st->d;
	struct weft_err err = WEFT_ERR_INIT;

	if (!d->lost && in_place(st)) {
		take(st);
		return;
	}
	change(st, false);
	if (d->closing)
		return;
	close_lock(st);
	if (d->lost)
		return;
	if (open_lock(st, &err) < 0) {
		close_lock(st);
		complain(st, &err);
		again(st, REOPEN_MS);
		return;
	}
	take(st);
}

void weft_directory_attend(struct weft_directory *d)
{
	struct weft_stand *st;

	LL_FOREACH (d->stands, st)
		if (!d->closing)
			attend(st);
}

bool weft_directory_lock_event(struct weft_directory *d, int wd)
{
	struct weft_stand *st;

	LL_FOREACH (d->stands, st)
		if (st->wd == wd) {
			st->tries = TRIES;
			if (!d->closing)
				attend(st);
			return true;
		}
	return false;
}

static void free_stand(struct weft_stand *st)
{
	if (st->fd >= 0)
		close(st->fd);
	free(st->role);
	free(st->identity);
	free(st);
}

void weft_directory_close_stands(struct weft_directory *d)
{
	struct weft_stand *st;

	LL_FOREACH (d->stands, st)
		uv_close((uv_handle_t *)&st->timer, weft_directory_on_closed);
}

void weft_directory_free_stands(struct weft_directory *d)
{
	struct weft_stand *st, *next;

	LL_FOREACH_SAFE(d->stands, st, next)
	free_stand(st);
	d->stands = NULL;
}

int weft_directory_stand(struct weft_source *s, const char *role, const char *identity,
                         void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err)
{
	struct weft_directory *d = (struct weft_directory *)s;
	struct weft_stand *st;
	int r;

	if (d->fd < 0 || d->closing)
		return weft_err_set(err, EINVAL, "the directory %s is not being watched", d->store.path);
	if (!weft_name_valid(role))
		return weft_err_set(err, EINVAL, "\"%.100s\" is not a usable name of a role", role);
	st = calloc(1, sizeof(*st));
	if (!st)
		return weft_err_errno(err, ENOMEM, "standing for %s", role);
	*st = (struct weft_stand){.d = d,
	                          .role = strdup(role),
	                          .identity = strdup(identity),
	                          .on_change = on_change,
	                          .ctx = ctx};
	st->fd = st->wd = -1;
	if (!st->role || !st->identity)
		r = weft_err_errno(err, ENOMEM, "standing for %s", role);
	else if ((size_t)snprintf(st->path, sizeof(st->path), "%s/.weft-%s.lock", d->store.path, role) >=
	         sizeof(st->path))
		r = weft_err_set(err, ENAMETOOLONG, "the path of the datastore folder is too long");
	else
		r = d->lost ? 0 : open_lock(st, err);
	if (r < 0) {
		close_lock(st);
		free_stand(st);
		return r;
	}
	uv_timer_init(d->loop, &st->timer);
	st->timer.data = d;
	d->handles++;
	LL_PREPEND(d->stands, st);
	again(st, 0);
	return 0;
}
