// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last known state when things go wrong: whatever happens to the file, what is read from it was true
 * once, all of it at the same time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/lastknown_bed.h"

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
	        T(cut_at_any_byte),
	        T(filled_with_zeros_from_any_byte),
	        T(every_flipped_byte_is_found),
	        T(moved_records_are_found),
	        T(file_too_large),
	        T(too_much_waits),
	        T(disk_full)};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
