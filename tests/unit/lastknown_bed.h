// SPDX-License-Identifier: GPL-2.0-or-later
/* A folder with the last known state in it, and what can be said of that. Time and the disk stand still. */
#ifndef TESTS_UNIT_LASTKNOWN_BED_H
#define TESTS_UNIT_LASTKNOWN_BED_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "agent/kube/lastknown.h"
#include "agent/kube/lastknown_int.h"
#include "tests/unit/tmpdir.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"

static char dir[TMPDIR_SIZE];
static uint64_t now_ns = 1;

/* The clock of the module: a minute passes when a test says so. */
uint64_t uv_hrtime(void)
{
	return now_ns;
}

/* Nor does a test wait for the disk; that a new file is synced before it counts is checked. */
static unsigned syncs;
int fsync(int fd)
{
	assert_true(fd >= 0);
	syncs++;
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	tmpdir_make(dir);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	tmpdir_remove(dir);
	return 0;
}

static inline const char *at(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *out = path[turn++ % 4];

	snprintf(out, 128, "%s/%s", dir, name);
	return out;
}

static inline struct lastknown *open_of(const char *cluster)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct lastknown *l = NULL;

	if (lastknown_open(dir, cluster, &l, &err))
		fail_msg("%s", err.text);
	return l;
}

static inline void put(struct lastknown *l, enum weft_kind kind, const char *key, const char *text)
{
	lastknown_put(l, kind, key, text, strlen(text));
}

static inline size_t file_size(const char *name)
{
	struct stat st;

	return stat(at(name), &st) ? 0 : (size_t)st.st_size;
}

/* ---- what is in it, as lines in order ---- */

struct dump {
	char *lines[512];
	size_t n;
};

static inline void dump_one(void *ctx, enum weft_kind kind, const char *key, const char *text, size_t len)
{
	struct dump *d = ctx;

	assert_int_equal(strlen(text), len);
	assert_true(d->n < 512);
	assert_true(asprintf(&d->lines[d->n++], "%s %s=%s\n", weft_kind_name(kind), key, text) > 0);
}

static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline char *dump(struct lastknown *l)
{
	struct weft_buf b = {0};
	struct dump d = {0};

	lastknown_each(l, dump_one, &d);
	assert_int_equal(d.n, lastknown_count(l));
	qsort(d.lines, d.n, sizeof(*d.lines), by_text);
	for (size_t i = 0; i < d.n; i++) {
		weft_buf_str(&b, d.lines[i]);
		free(d.lines[i]);
	}
	weft_buf_printf(&b, "at %llu\n", (unsigned long long)lastknown_age_base(l));
	return weft_buf_take(&b);
}

static inline void holds(struct lastknown *l, const char *expected)
{
	weft_autofree char *text = dump(l);

	assert_string_equal(text, expected);
}

static inline void write_file(const char *data, size_t len)
{
	int fd = open(at(LK_FILE), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

#endif
