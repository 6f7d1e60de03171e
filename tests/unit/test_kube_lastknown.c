// SPDX-License-Identifier: GPL-2.0-or-later
/* The last known state on disk: what is kept, for whom, how sealed, and at which cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/lastknown_bed.h"

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
	        T(other_cluster),
	        T(other_version),
	        T(no_file_at_all),
	        T(no_folder),
	        T(secrets_are_sealed),
	        T(lost_key),
	        T(bytes_and_calls),
	        T(compaction),
	        T(rot_is_not_copied)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
