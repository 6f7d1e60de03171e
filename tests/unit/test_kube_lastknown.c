// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last known state on disk: whatever happens to the file, what is read from it was true once, all of it
 * at the same time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
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

static int setup(void **state)
{
	(void)state;
	tmpdir_make(dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tmpdir_remove(dir);
	return 0;
}

static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *out = path[turn++ % 4];

	snprintf(out, 128, "%s/%s", dir, name);
	return out;
}

static struct lastknown *open_of(const char *cluster)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct lastknown *l = NULL;

	if (lastknown_open(dir, cluster, &l, &err))
		fail_msg("%s", err.text);
	return l;
}

static void put(struct lastknown *l, enum weft_kind kind, const char *key, const char *text)
{
	lastknown_put(l, kind, key, text, strlen(text));
}

static size_t file_size(const char *name)
{
	struct stat st;

	return stat(at(name), &st) ? 0 : (size_t)st.st_size;
}

/* ---- what is in it, as lines in order ---- */

struct dump {
	char *lines[512];
	size_t n;
};

static void dump_one(void *ctx, enum weft_kind kind, const char *key, const char *text, size_t len)
{
	struct dump *d = ctx;

	assert_int_equal(strlen(text), len);
	assert_true(d->n < 512);
	assert_true(asprintf(&d->lines[d->n++], "%s %s=%s\n", weft_kind_name(kind), key, text) > 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *dump(struct lastknown *l)
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

static void holds(struct lastknown *l, const char *expected)
{
	weft_autofree char *text = dump(l);

	assert_string_equal(text, expected);
}

/* ---- the ordinary life ---- */

static void round_trip(void **state)
{
	struct lastknown *l = open_of("a");

	(void)state;
	holds(l, "at 0\n");
	put(l, WEFT_SERVICE, "default/web", "{\"a\":1}");
	put(l, WEFT_NODE, "n1", "{}");
	put(l, WEFT_NODE, "n2", "{}");
	put(l, WEFT_SECRET, "kube-system/bgp", "{\"password\":\"hush\"}");
	put(l, WEFT_SERVICE, "default/web", "{\"a\":22}");
	lastknown_del(l, WEFT_NODE, "n2");
	lastknown_del(l, WEFT_NODE, "never");
	lastknown_in_step(l, 1700000000);
	holds(l,
	      "Node n1={}\nSecret kube-system/bgp={\"password\":\"hush\"}\nService default/web={\"a\":22}\nat 1700000000\n");
	lastknown_close(l);

	l = open_of("a");
	holds(l,
	      "Node n1={}\nSecret kube-system/bgp={\"password\":\"hush\"}\nService default/web={\"a\":22}\nat 1700000000\n");
	assert_string_equal(lastknown_error(l), "");
	lastknown_close(l);
}

/* Every kind has a number of its own in the file. */
static void all_kinds(void **state)
{
	struct lastknown *l = open_of(NULL);
	weft_autofree char *before = NULL;

	(void)state;
	for (int kind = 0; kind < WEFT_KIND_COUNT; kind++)
		put(l, (enum weft_kind)kind, "x/y", weft_kind_name((enum weft_kind)kind));
	assert_int_equal(lastknown_count(l), WEFT_KIND_COUNT);
	before = dump(l);
	lastknown_close(l);
	l = open_of(NULL);
	holds(l, before);
	lastknown_close(l);
}

/* The longest key, a text as large as there may be, an impossible key. */
static void bounds(void **state)
{
	struct lastknown *l = open_of(NULL);
	char key[WEFT_KEY_MAX + 1];
	char *large = malloc(KUBE_OBJECT_MAX + 1);

	(void)state;
	memset(large, 'x', KUBE_OBJECT_MAX);
	large[KUBE_OBJECT_MAX] = '\0';
	memset(key, 'k', sizeof(key));
	key[WEFT_KEY_MAX] = '\0';
	put(l, WEFT_NODE, key, "{}");
	put(l, WEFT_NODE, "", "{}");
	assert_int_equal(lastknown_count(l), 0);
	key[WEFT_KEY_MAX - 1] = '\0';
	put(l, WEFT_NODE, key, large + LK_SEAL);
	put(l, WEFT_SECRET, key, large + LK_SEAL);
	assert_int_equal(lastknown_count(l), 2);
	lastknown_close(l);
	l = open_of(NULL);
	assert_int_equal(lastknown_count(l), 2);
	/* What can't be kept must not live on as it was. */
	put(l, WEFT_NODE, key, large);
	assert_int_equal(lastknown_count(l), 1);
	lastknown_close(l);
	free(large);
}

static bool alive(void *ctx, enum weft_kind kind, const char *key)
{
	return kind != WEFT_NODE || strcmp(key, ctx) == 0;
}

static void sweep(void **state)
{
	struct lastknown *l = open_of(NULL);

	(void)state;
	put(l, WEFT_NODE, "n1", "{}");
	put(l, WEFT_NODE, "n2", "{}");
	put(l, WEFT_NODE, "n3", "{}");
	put(l, WEFT_SERVICE, "a/b", "{}");
	lastknown_sweep(l, alive, (char[]){"n2"});
	holds(l, "Node n2={}\nService a/b={}\nat 0\n");
	lastknown_close(l);
	l = open_of(NULL);
	holds(l, "Node n2={}\nService a/b={}\nat 0\n");
	lastknown_close(l);
}

/* An agent that starts lists everything: what did not change costs no write. */
static void same_text_writes_nothing(void **state)
{
	struct lastknown *l = open_of(NULL);
	size_t size;

	(void)state;
	put(l, WEFT_NODE, "n1", "{\"a\":1}");
	put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
	size = file_size(LK_FILE);
	lastknown_close(l);
	l = open_of(NULL);
	put(l, WEFT_NODE, "n1", "{\"a\":1}");
	put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
	assert_int_equal(file_size(LK_FILE), size);
	put(l, WEFT_NODE, "n1", "{\"a\":2}");
	assert_true(file_size(LK_FILE) > size);
	put(l, WEFT_NODE, "n1", "{\"a\":1}");
	holds(l, "Node n1={\"a\":1}\nSecret a/b={\"s\":1}\nat 0\n");
	lastknown_close(l);
}

/* At most one record in ten seconds, in either direction of the clock. */
static void in_step(void **state)
{
	struct lastknown *l = open_of(NULL);
	size_t size;

	(void)state;
	lastknown_in_step(l, 1000);
	size = file_size(LK_FILE);
	lastknown_in_step(l, 1009);
	assert_int_equal(file_size(LK_FILE), size);
	assert_int_equal(lastknown_age_base(l), 1009);
	lastknown_in_step(l, 1010);
	assert_true(file_size(LK_FILE) > size);
	lastknown_in_step(l, 500);
	lastknown_close(l);
	l = open_of(NULL);
	assert_int_equal(lastknown_age_base(l), 500);
	lastknown_close(l);
}

/* ---- damage ---- */

#define STEPS 12

/* States after each of some changes, and how long the file was then. */
struct history {
	char *file;
	size_t len;
	char *states[STEPS + 1];
	size_t sizes[STEPS + 1];
};

static void change(struct lastknown *l, int step)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"step\":%d}", step);
	switch (step % 4) {
	case 0:
		put(l, WEFT_NODE, "n1", text);
		break;
	case 1:
		put(l, WEFT_SECRET, "a/b", text);
		break;
	case 2:
		lastknown_in_step(l, 1000 + 10 * (uint64_t)step);
		break;
	default:
		if (step == 7)
			lastknown_del(l, WEFT_NODE, "n1");
		else
			put(l, WEFT_SERVICE, "a/c", text);
	}
}

static void make_history(struct history *h)
{
	struct lastknown *l = open_of("a");
	struct weft_err err;

	for (int step = 0; step <= STEPS; step++) {
		if (step)
			change(l, step - 1);
		h->states[step] = dump(l);
		h->sizes[step] = file_size(LK_FILE);
	}
	lastknown_close(l);
	assert_int_equal(weft_file_read(at(LK_FILE), 1 << 20, &h->file, &h->len, &err), 0);
	assert_int_equal(h->len, h->sizes[STEPS]);
}

static void free_history(struct history *h)
{
	for (int step = 0; step <= STEPS; step++)
		free(h->states[step]);
	free(h->file);
}

static void write_file(const char *data, size_t len)
{
	int fd = open(at(LK_FILE), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* What is there with these bytes is the state of that step; and one more change after that survives too. */
static void opens_at(struct history *h, int step)
{
	struct lastknown *l = open_of("a");
	weft_autofree char *after = NULL;

	holds(l, h->states[step]);
	assert_int_equal(file_size(LK_FILE), h->sizes[step]);
	put(l, WEFT_NODE, "after", "{}");
	after = dump(l);
	lastknown_close(l);
	l = open_of("a");
	holds(l, after);
	lastknown_close(l);
}

static int whole_steps(const struct history *h, size_t len)
{
	int step = STEPS;

	while (step > 0 && h->sizes[step] > len)
		step--;
	return step;
}

static void cut_at_any_byte(void **state)
{
	struct history h;

	(void)state;
	make_history(&h);
	for (size_t len = 0; len <= h.len; len++) {
		write_file(h.file, len);
		opens_at(&h, whole_steps(&h, len));
	}
	free_history(&h);
}

/* A power cut can also leave zeros, or blocks of another file, where data was to be. */
static void filled_with_zeros_from_any_byte(void **state)
{
	struct history h;

	(void)state;
	make_history(&h);
	for (size_t len = LK_HEAD; len < h.len; len++) {
		weft_autofree char *copy = malloc(h.len + 4096);
		/* The tail of a record may be zeros already. */
		size_t same = len;

		memset(copy, 0, h.len + 4096);
		memcpy(copy, h.file, len);
		while (same < h.len && h.file[same] == 0)
			same++;
		write_file(copy, h.len + 4096);
		opens_at(&h, whole_steps(&h, same));
	}
	free_history(&h);
}

static void every_flipped_byte_is_found(void **state)
{
	struct history h;

	(void)state;
	make_history(&h);
	for (size_t i = 0; i < h.len; i++) {
		for (int bit = 0; bit < 8; bit += i < LK_HEAD ? 1 : 7) {
			h.file[i] = (char)(h.file[i] ^ (1 << bit));
			write_file(h.file, h.len);
			h.file[i] = (char)(h.file[i] ^ (1 << bit));
			if (i < LK_HEAD) {
				unlink(at(LK_ASIDE));
				opens_at(&h, 0);
				assert_int_equal(file_size(LK_ASIDE), h.len);
			} else {
				opens_at(&h, whole_steps(&h, i));
			}
		}
	}
	free_history(&h);
}

/* A good record of this file at another place, or of another file, is none. */
static void moved_records_are_found(void **state)
{
	struct history h;
	weft_autofree char *copy = NULL;
	size_t first, second;

	(void)state;
	make_history(&h);
	first = h.sizes[1] - h.sizes[0];
	second = h.sizes[5] - h.sizes[4];
	assert_int_equal(first, second); /* two puts of n1, of one length */
	copy = malloc(h.len);
	memcpy(copy, h.file, h.len);
	memcpy(copy + h.sizes[4], h.file + h.sizes[0], first);
	write_file(copy, h.len);
	opens_at(&h, 4);

	/* The same changes again: another file, whose random id differs. */
	unlink(at(LK_FILE));
	struct history again;
	make_history(&again);
	assert_int_equal(again.len, h.len);
	memcpy(copy, h.file, h.len);
	memcpy(copy, again.file, again.sizes[2]);
	write_file(copy, h.len);
	opens_at(&again, 2);
	free_history(&again);
	free_history(&h);
}

/* ---- another's file ---- */

static void other_cluster(void **state)
{
	struct lastknown *l = open_of("a");

	(void)state;
	put(l, WEFT_NODE, "n1", "{}");
	lastknown_close(l);
	l = open_of(NULL); /* any */
	assert_int_equal(lastknown_count(l), 1);
	lastknown_close(l);
	l = open_of("b");
	assert_int_equal(lastknown_count(l), 0);
	assert_true(file_size(LK_ASIDE) > 0);
	put(l, WEFT_NODE, "m1", "{}");
	lastknown_close(l);
	l = open_of("b");
	holds(l, "Node m1={}\nat 0\n");
	lastknown_close(l);
	assert_int_equal(rename(at(LK_ASIDE), at(LK_FILE)), 0);
	l = open_of("a");
	holds(l, "Node n1={}\nat 0\n");
	lastknown_close(l);
}

/* Whole, but of another format; the other's head need not look like ours. */
static void other_version(void **state)
{
	uint8_t later[200] = {0}, id[LK_ID] = {0};
	struct lastknown *l;

	(void)state;
	for (int i = 0; i < 2; i++) {
		lk_head_encode(id, "a", later);
		later[16]++;
		if (i)
			crypto_generichash(later + 56, 16, later, 56, NULL, 0);
		write_file((const char *)later, sizeof(later));
		l = open_of("a");
		holds(l, "at 0\n");
		lastknown_close(l);
		assert_int_equal(file_size(LK_ASIDE), sizeof(later));
		assert_int_equal(unlink(at(LK_ASIDE)), 0);
	}
}

/* A folder, a link or a pipe in the file's place. */
static void no_file_at_all(void **state)
{
	static const char *const make[] = {"mkdir", "ln -s /etc/passwd", "mkfifo"};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(make); i++) {
		char command[256];
		struct lastknown *l;

		snprintf(command, sizeof(command), "rm -rf %s/*; %s %s", dir, make[i], at(LK_FILE));
		assert_int_equal(system(command), 0);
		l = open_of("a");
		put(l, WEFT_NODE, "n1", "{}");
		lastknown_close(l);
		l = open_of("a");
		holds(l, "Node n1={}\nat 0\n");
		lastknown_close(l);
	}
}

static void no_folder(void **state)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct lastknown *l = NULL;

	(void)state;
	write_file("x", 1);
	assert_true(lastknown_open(at(LK_FILE), NULL, &l, &err) < 0);
	assert_non_null(strstr(err.text, LK_FILE));
}

/* ---- Secrets ---- */

static void secrets_are_sealed(void **state)
{
	static const char secret[] = "{\"data\":{\"password\":\"aHVzaC1odXNo\"}}";
	struct lastknown *l = open_of(NULL);
	struct stat st;
	char command[256];

	(void)state;
	put(l, WEFT_SECRET, "a/b", secret);
	put(l, WEFT_SERVICE, "a/b", "{\"this\":\"is in the clear\"}");
	lastknown_close(l);
	snprintf(command, sizeof(command), "grep -q 'in the clear' %s", at(LK_FILE));
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "grep -rq -e aHVzaC1odXNo -e password %s", dir);
	assert_int_not_equal(system(command), 0);
	assert_int_equal(stat(at(LK_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(at(LK_KEY_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* Nor is it left in memory by those who only read it. */
	l = open_of(NULL);
	assert_null(memmem(l->room, l->room_size, "password", 8));
	free(dump(l));
	assert_null(memmem(l->room, l->room_size, "password", 8));
	lastknown_close(l);

	/* Opened too far by somebody: closed again. */
	assert_int_equal(chmod(at(LK_FILE), 0644) | chmod(at(LK_KEY_FILE), 0644), 0);
	l = open_of(NULL);
	assert_int_equal(stat(at(LK_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(at(LK_KEY_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	lastknown_close(l);
}

/* Without the key (lost, cut short) everything but the Secrets is there, and Secrets can be kept again. */
static void lost_key(void **state)
{
	struct lastknown *l = open_of(NULL);

	(void)state;
	put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
	put(l, WEFT_NODE, "n1", "{}");
	lastknown_close(l);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(i ? truncate(at(LK_KEY_FILE), 7) : unlink(at(LK_KEY_FILE)), 0);
		l = open_of(NULL);
		holds(l, "Node n1={}\nat 0\n");
		put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
		lastknown_close(l);
		l = open_of(NULL);
		holds(l, "Node n1={}\nSecret a/b={\"s\":1}\nat 0\n");
		lastknown_close(l);
	}
}

/* ---- how much is written ---- */

static unsigned long long written(const char *what)
{
	unsigned long long n = 0;
	char line[64];
	FILE *f = fopen("/proc/self/io", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			n = strtoull(line + strlen(what), NULL, 10);
	fclose(f);
	return n;
}

/* 100,000 records: one write each; the file never has more than twice what is alive, for at most three times
 * the bytes. */
static void bytes_and_calls(void **state)
{
	enum { RECORDS = 100000, KEYS = 5000 };
	struct lastknown *l = open_of(NULL);
	unsigned long long calls = written("syscw:"), bytes = written("wchar:"), given = 0;
	size_t record = 0, largest = 0;
	char key[64], text[512];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < RECORDS; i++) {
		int len = snprintf(key, sizeof(key), "default/service-%u", i % KEYS);

		snprintf(text, 16, "%015u", i);
		text[15] = ' ';
		lastknown_put(l, WEFT_SERVICE, key, text, sizeof(text));
		record = LK_RECORD + (size_t)len + sizeof(text);
		given += record;
		largest = file_size(LK_FILE) > largest ? file_size(LK_FILE) : largest;
	}
	calls = written("syscw:") - calls;
	bytes = written("wchar:") - bytes;
	assert_true(calls >= RECORDS && calls < RECORDS + RECORDS / 20);
	assert_true(bytes >= given && bytes < 3 * given);
	assert_true(largest < 3 * KEYS * record);
	assert_int_equal(lastknown_count(l), KEYS);
	lastknown_close(l);
	l = open_of(NULL);
	assert_int_equal(lastknown_count(l), KEYS);
	lastknown_close(l);
}

/* Written anew when more than half is dead, not before, and all is there then. */
static void compaction(void **state)
{
	struct lastknown *l = open_of(NULL);
	weft_autofree char *before = NULL;
	char text[8192], key[16];
	struct stat was, is;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "n%d", i);
		put(l, WEFT_NODE, key, text);
	}
	put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
	lastknown_in_step(l, 1000);
	assert_int_equal(stat(at(LK_FILE), &was), 0);
	for (int i = 0; i < 19; i++) {
		snprintf(key, sizeof(key), "n%d", i);
		text[0] = 'y';
		put(l, WEFT_NODE, key, text);
	}
	assert_int_equal(stat(at(LK_FILE), &is), 0);
	assert_int_equal(is.st_ino, was.st_ino);
	before = dump(l);
	syncs = 0;
	for (int i = 0; i < 4; i++) {
		text[0] = (char)('a' + i);
		put(l, WEFT_NODE, "n0", text);
	}
	assert_int_equal(syncs, 2); /* the file, the folder; none for a record */
	assert_int_equal(stat(at(LK_FILE), &is), 0);
	assert_int_not_equal(is.st_ino, was.st_ino);
	assert_true(is.st_size < 25 * 8300);
	assert_int_equal(is.st_mode & 0777, 0600);
	assert_int_not_equal(access(at(LK_FILE_NEW), F_OK), 0);
	text[0] = 'y';
	put(l, WEFT_NODE, "n0", text);
	holds(l, before);
	lastknown_close(l);
	l = open_of(NULL);
	holds(l, before);
	lastknown_close(l);
}

/* Bytes that went bad under a running agent do not get a new checksum. */
static void rot_is_not_copied(void **state)
{
	struct lastknown *l = open_of(NULL);
	char text[40000];
	int fd;

	(void)state;
	put(l, WEFT_NODE, "n1", "{\"good\":1}");
	fd = open(at(LK_FILE), O_WRONLY);
	assert_int_equal(pwrite(fd, "X", 1, LK_HEAD + LK_RECORD + 4), 1);
	close(fd);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 5; i++) {
		text[0] = (char)('a' + i);
		put(l, WEFT_NODE, "n2", text);
	}
	assert_int_equal(lastknown_count(l), 1);
	lastknown_close(l);
	l = open_of(NULL);
	assert_int_equal(lastknown_count(l), 1);
	lastknown_close(l);
}

/* ---- no room ---- */

static void limit(rlim_t bytes)
{
	struct rlimit r = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void file_too_large(void **state)
{
	struct lastknown *l = open_of(NULL);
	weft_autofree char *kept = NULL, *full = NULL;
	char text[600];
	size_t size;

	(void)state;
	put(l, WEFT_NODE, "n1", "{}");
	put(l, WEFT_NODE, "n2", "{}");
	kept = dump(l);
	size = file_size(LK_FILE);
	limit(size + 100); /* part of a record can be written */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	put(l, WEFT_NODE, "n3", text);
	assert_string_not_equal(lastknown_error(l), "");
	put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
	lastknown_del(l, WEFT_NODE, "n1");
	put(l, WEFT_NODE, "n2", "{\"a\":2}");
	lastknown_in_step(l, 1000);
	assert_int_equal(file_size(LK_FILE), size);
	full = dump(l); /* what waits can be read */
	assert_non_null(strstr(full, "n3="));
	assert_null(strstr(full, "n1="));

	/* Whoever starts now finds the older state, whole. */
	weft_autofree char *copy = NULL;
	assert_int_equal(weft_file_read(at(LK_FILE), 1 << 20, &copy, NULL, NULL), 0);
	now_ns += 59 * UINT64_C(1000000000);
	limit(RLIM_INFINITY);
	put(l, WEFT_NODE, "n4", "{}"); /* not tried again within a minute */
	assert_string_not_equal(lastknown_error(l), "");
	assert_int_equal(file_size(LK_FILE), size);
	write_file(copy, size);
	struct lastknown *other = open_of(NULL);
	holds(other, kept);
	lastknown_close(other);

	now_ns += 2 * UINT64_C(1000000000);
	limit(100); /* still no room: the attempt leaves nothing behind */
	lastknown_in_step(l, 1010);
	assert_string_not_equal(lastknown_error(l), "");
	assert_int_not_equal(access(at(LK_FILE_NEW), F_OK), 0);
	limit(RLIM_INFINITY);
	lastknown_in_step(l, 1000);

	now_ns += 61 * UINT64_C(1000000000);
	lastknown_del(l, WEFT_NODE, "n4");
	assert_string_equal(lastknown_error(l), "");
	holds(l, full);
	lastknown_close(l);
	l = open_of(NULL);
	holds(l, full);
	lastknown_close(l);
}

/* A disk that is full from the start, until something is removed from it. */
static void disk_full(void **state)
{
	struct lastknown *l;
	char *fill = calloc(1, 64 << 10);
	ssize_t n = 1;
	size_t size;
	int fd;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"), 0);
	fd = open(at("fill"), O_WRONLY | O_CREAT, 0600);
	while (n > 0)
		n = write(fd, fill, 4096);
	close(fd);
	free(fill);
	l = open_of(NULL);
	assert_string_not_equal(lastknown_error(l), "");
	put(l, WEFT_NODE, "n1", "{}");
	put(l, WEFT_SECRET, "a/b", "{\"s\":1}");
	now_ns += 61 * UINT64_C(1000000000);
	put(l, WEFT_NODE, "n2", "{}");
	assert_string_not_equal(lastknown_error(l), "");
	assert_int_not_equal(access(at(LK_FILE_NEW), F_OK), 0);
	assert_int_equal(unlink(at("fill")), 0);
	now_ns += 61 * UINT64_C(1000000000);
	lastknown_in_step(l, 1000);
	assert_string_equal(lastknown_error(l), "");
	size = file_size(LK_FILE);
	lastknown_in_step(l, 1001);
	assert_int_equal(file_size(LK_FILE), size);
	lastknown_close(l);
	l = open_of(NULL);
	holds(l, "Node n1={}\nNode n2={}\nSecret a/b={\"s\":1}\nat 1000\n");
	lastknown_close(l);

	/* Nothing can be written: what is there is read. */
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	l = open_of(NULL);
	put(l, WEFT_NODE, "n3", "{}");
	assert_string_not_equal(lastknown_error(l), "");
	assert_int_equal(lastknown_count(l), 4);
	lastknown_close(l);
	assert_int_equal(umount(dir), 0);
}

/* More than memory is for can't wait: the file stays as it is, and no change makes it wrong. */
static void too_much_waits(void **state)
{
	struct lastknown *l = open_of(NULL);
	char *text = malloc(1 << 20), key[16];
	weft_autofree char *kept = NULL;
	struct rusage before, after;

	(void)state;
	put(l, WEFT_NODE, "n1", "{}");
	kept = dump(l);
	limit(file_size(LK_FILE));
	memset(text, 'x', 1 << 20);
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		lastknown_put(l, WEFT_NODE, key, text, 1 << 20);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 80 << 10);
	limit(RLIM_INFINITY);
	now_ns += 61 * UINT64_C(1000000000);
	put(l, WEFT_NODE, "n1", "{\"a\":2}");
	lastknown_in_step(l, 1000);
	lastknown_del(l, WEFT_NODE, "n1");
	assert_string_not_equal(lastknown_error(l), "");
	lastknown_close(l);
	l = open_of(NULL);
	holds(l, kept);
	lastknown_close(l);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	        T(round_trip),
	        T(all_kinds),
	        T(bounds),
	        T(sweep),
	        T(same_text_writes_nothing),
	        T(in_step),
	        T(cut_at_any_byte),
	        T(filled_with_zeros_from_any_byte),
	        T(every_flipped_byte_is_found),
	        T(moved_records_are_found),
	        T(other_cluster),
	        T(other_version),
	        T(no_file_at_all),
	        T(no_folder),
	        T(secrets_are_sealed),
	        T(lost_key),
	        T(bytes_and_calls),
	        T(compaction),
	        T(rot_is_not_copied),
	        T(file_too_large),
	        T(too_much_waits),
	        T(disk_full),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
