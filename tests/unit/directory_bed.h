// SPDX-License-Identifier: GPL-2.0-or-later
/* A directory datastore on a real folder, with real inotify and a real loop; what it sends becomes lines of a
 * log. */
#ifndef TESTS_UNIT_DIRECTORY_BED_H
#define TESTS_UNIT_DIRECTORY_BED_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "agent/source/directory.h"
#include "tests/unit/tmpdir.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define NODE(name, ip)                                                                    \
	"apiVersion: v1\nkind: Node\nmetadata: {name: " name "}\nstatus:\n  addresses:\n" \
	"  - {type: InternalIP, address: " ip "}\n"
#define POOL(name, cidr) \
	"apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: " name "}\nspec: {cidr: " cidr "}\n"
#define SEP "---\n"

struct bed {
	char dir[TMPDIR_SIZE];
	uv_loop_t loop;
	struct weft_source *source;
	struct weft_buf log; /* one line per event */
	uv_timer_t guard;
	bool late;
};

/* "+Node/a 10.0.0.1", "-Node/a", "synced", "!a.yaml:3 text", "ok a.yaml" */
static inline void on_event(void *ctx, const struct weft_event *ev)
{
	struct bed *bed = ctx;
	char ip[WEFT_ADDR_STR] = "", key[WEFT_KEY_MAX];

	switch (ev->type) {
	case WEFT_EV_UPSERT:
		assert_string_equal(weft_object_key(ev->obj, key), ev->key);
		assert_int_equal(ev->obj->kind, ev->kind);
		if (ev->kind == WEFT_NODE)
			weft_addr_str(&ev->obj->node.ip4, ip);
		weft_buf_printf(&bed->log, "+%s/%s%s%s\n", weft_kind_name(ev->kind), ev->key, *ip ? " " : "",
		                ip);
		weft_object_free(ev->obj);
		break;
	case WEFT_EV_DELETE:
		weft_buf_printf(&bed->log, "-%s/%s\n", weft_kind_name(ev->kind), ev->key);
		break;
	case WEFT_EV_SYNCED:
		weft_buf_str(&bed->log, "synced\n");
		break;
	case WEFT_EV_INVALID:
		if (*ev->text)
			weft_buf_printf(&bed->log, "!%s %s\n", ev->where, ev->text);
		else
			weft_buf_printf(&bed->log, "ok %s\n", ev->scope);
		break;
	}
}

static inline void on_guard(uv_timer_t *timer)
{
	struct bed *bed = timer->data;

	bed->late = true;
}

static inline void run_for(struct bed *bed, unsigned ms)
{
	bed->late = false;
	uv_update_time(&bed->loop);
	uv_timer_start(&bed->guard, on_guard, ms, 0);
	while (!bed->late)
		uv_run(&bed->loop, UV_RUN_ONCE);
}

/* Run until the log is exactly this; the time is a limit, not a wait. Then the log starts anew. */
static inline void expect(struct bed *bed, const char *want)
{
	bed->late = false;
	uv_update_time(&bed->loop);
	uv_timer_start(&bed->guard, on_guard, 20000, 0);
	/* Not UV_RUN_ONCE: what a timer wrote would wait for the next event, which may write more. */
	while (!bed->late && strcmp(weft_buf_text(&bed->log), want)) {
		uv_run(&bed->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_string_equal(weft_buf_text(&bed->log), want);
	weft_buf_truncate(&bed->log, 0);
}

/* Long enough for every delay in the source: whatever would happen has happened. */
static inline void expect_silence(struct bed *bed)
{
	run_for(bed, 700);
	assert_string_equal(weft_buf_text(&bed->log), "");
}

static inline void path_of(const struct bed *bed, const char *name, char out[512])
{
	snprintf(out, 512, "%s/%s", bed->dir, name);
}

static inline void put(const struct bed *bed, const char *name, const char *text)
{
	char path[512];

	path_of(bed, name, path);
	assert_int_equal(weft_file_replace(path, text, strlen(text), 0644, NULL), 0);
}

/* Written in place, as an editor or a shell does it. */
static inline void write_part(const struct bed *bed, const char *name, const char *text, int flags)
{
	char path[512];

	path_of(bed, name, path);
	weft_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline void make_folder(const struct bed *bed, const char *name)
{
	char path[512];

	path_of(bed, name, path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static inline void remove_name(const struct bed *bed, const char *name)
{
	char path[512];

	path_of(bed, name, path);
	assert_int_equal(remove(path), 0);
}

static inline int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	tmpdir_make(bed->dir);
	assert_int_equal(uv_loop_init(&bed->loop), 0);
	uv_timer_init(&bed->loop, &bed->guard);
	bed->guard.data = bed;
	assert_int_equal(weft_directory_new(&bed->loop, bed->dir, &bed->source, NULL), 0);
	*state = bed;
	return 0;
}

static inline int free_bed(void **state)
{
	struct bed *bed = *state;

	bed->source->ops->free(bed->source);
	uv_close((uv_handle_t *)&bed->guard, NULL);
	uv_run(&bed->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bed->loop), 0);
	if (access(bed->dir, F_OK) == 0)
		tmpdir_remove(bed->dir);
	weft_buf_free(&bed->log);
	free(bed);
	return 0;
}

static inline void start(struct bed *bed)
{
	struct weft_err err = WEFT_ERR_INIT;

	assert_int_equal(bed->source->ops->start(bed->source, on_event, bed, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bed, free_bed)

#endif
