// SPDX-License-Identifier: GPL-2.0-or-later
/* What the directory datastore makes of files that come, change and go. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "tests/unit/directory_bed.h"

static void everything_comes_sorted_then_synced(void **state)
{
	struct bed *bed = *state;

	put(bed, "b.yaml", NODE("b", "10.0.0.2"));
	put(bed, "a.yml", NODE("a", "10.0.0.1") SEP POOL("pods", "10.244.0.0/16"));
	put(bed, "c.json",
	    "\t{\"apiVersion\":\"v1\",\n\t\"kind\":\"Node\",\"metadata\":{\"name\":\"c\"}}\n\t");
	put(bed, "ignored.txt", NODE("x", "10.0.0.9"));
	put(bed, ".hidden.yaml", NODE("y", "10.0.0.9"));
	make_folder(bed, "more");
	put(bed, "more/d.yaml", NODE("d", "10.0.0.4"));
	make_folder(bed, "more/deep");
	put(bed, "more/deep/e.yaml", NODE("e", "10.0.0.5"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+IPPool/pods\n+Node/b 10.0.0.2\n+Node/c\n+Node/d 10.0.0.4\nsynced\n");
	expect_silence(bed);
}

static void a_missing_folder_is_an_error(void **state)
{
	struct bed *bed = *state;
	struct weft_err err = WEFT_ERR_INIT;

	assert_int_equal(rmdir(bed->dir), 0);
	assert_int_equal(bed->source->ops->start(bed->source, on_event, bed, &err), -ENOENT);
	assert_non_null(strstr(err.text, bed->dir));
}

static void replacement_sends_only_what_differs(void **state)
{
	struct bed *bed = *state;

	put(bed, "n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.2") SEP NODE("c", "10.0.0.3"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+Node/b 10.0.0.2\n+Node/c 10.0.0.3\nsynced\n");
	put(bed, "n.yaml", "# a comment\n" NODE("b", "10.0.0.22") SEP NODE("a", "10.0.0.1"));
	expect(bed, "+Node/b 10.0.0.22\n-Node/c\n");
	put(bed, "n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.22"));
	expect_silence(bed);
}

static void a_partial_write_hides_nothing(void **state)
{
	struct bed *bed = *state;

	put(bed, "n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.2"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+Node/b 10.0.0.2\nsynced\n");
	write_part(bed, "n.yaml", NODE("a", "10.0.0.1") SEP "kind: [No", O_TRUNC);
	run_for(bed, 100);
	write_part(bed, "n.yaml", "de]\n", O_APPEND); /* still bad: no kind as text */
	run_for(bed, 100);
	assert_string_equal(weft_buf_text(&bed->log), "");
	write_part(bed, "n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.3"), O_TRUNC);
	expect(bed, "+Node/b 10.0.0.3\n");
	/* Emptied, then filled again. */
	write_part(bed, "n.yaml", "", O_TRUNC);
	run_for(bed, 100);
	write_part(bed, "n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.3"), O_TRUNC);
	expect_silence(bed);
	/* Emptied for good. */
	write_part(bed, "n.yaml", "", O_TRUNC);
	expect(bed, "-Node/b\n-Node/a\n");
}

static void a_file_that_is_being_written_waits_for_its_close(void **state)
{
	struct bed *bed = *state;
	char path[512];

	start(bed);
	expect(bed, "synced\n");
	path_of(bed, "n.yaml", path);
	weft_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	for (const char *p = NODE("a", "10.0.0.123"); *p; p++) {
		assert_int_equal(write(fd, p, 1), 1);
		run_for(bed, 5);
	}
	assert_string_equal(weft_buf_text(&bed->log), "");
	close(WEFT_TAKE_FD(fd));
	expect(bed, "+Node/a 10.0.0.123\n");
}

static void a_bad_document_hides_no_other(void **state)
{
	struct bed *bed = *state;

	put(bed, "n.yaml", NODE("a", "10.0.0.1") SEP POOL("p", "10.244.0.0/16") SEP NODE("b", "10.0.0.2"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+IPPool/p\n+Node/b 10.0.0.2\nsynced\n");
	put(bed, "n.yaml", NODE("a", "10.0.0.11") SEP POOL("p", "10.244.0.1/16") SEP NODE("b", "10.0.0.22"));
	expect(bed, "+Node/a 10.0.0.11\n+Node/b 10.0.0.22\n"
	            "!n.yaml:11 IPPool/p: spec.cidr: \"10.244.0.1/16\" has host bits set; did you mean "
	            "10.244.0.0/16?\n");
	/* A syntax error, while another document goes away: nothing is deleted that might be in it. */
	put(bed, "n.yaml", "{a: [b}\n" SEP NODE("b", "10.0.0.2"));
	expect(bed, "+Node/b 10.0.0.2\nok n.yaml\n"
	            "!n.yaml:1 not YAML: while parsing a flow sequence, did not find expected ',' or ']'\n");
	put(bed, "n.yaml", NODE("b", "10.0.0.2"));
	expect(bed, "-IPPool/p\n-Node/a\nok n.yaml\n");
}

static void deleted_files_take_their_objects(void **state)
{
	struct bed *bed = *state;

	put(bed, "a.yaml", NODE("a", "10.0.0.1"));
	put(bed, "b.yaml", NODE("b", "10.0.0.2"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+Node/b 10.0.0.2\nsynced\n");
	remove_name(bed, "a.yaml");
	expect(bed, "-Node/a\n");
	/* Deleted and written again within a moment: no one notices. */
	remove_name(bed, "b.yaml");
	run_for(bed, 20);
	put(bed, "b.yaml", NODE("b", "10.0.0.2"));
	expect_silence(bed);
}

static void a_renamed_file_keeps_its_objects(void **state)
{
	struct bed *bed = *state;
	char from[512], to[512];

	put(bed, "a.yaml", NODE("a", "10.0.0.1"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\nsynced\n");
	path_of(bed, "a.yaml", from);
	path_of(bed, "z.yaml", to);
	assert_int_equal(rename(from, to), 0);
	expect_silence(bed);
	path_of(bed, ".hidden", from);
	assert_int_equal(rename(to, from), 0);
	expect(bed, "-Node/a\n");
}

static void the_first_file_by_name_wins(void **state)
{
	struct bed *bed = *state;

	put(bed, "b.yaml", NODE("a", "10.0.0.2"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.2\nsynced\n");
	put(bed, "c.yaml", NODE("a", "10.0.0.3"));
	expect(bed, "!c.yaml:1 Node/a is in b.yaml too, and that one counts\n");
	put(bed, "a.yaml", NODE("a", "10.0.0.1"));
	expect(bed, "+Node/a 10.0.0.1\n!b.yaml:1 Node/a is in a.yaml too, and that one counts\n");
	remove_name(bed, "a.yaml");
	expect(bed, "+Node/a 10.0.0.2\nok b.yaml\n");
	remove_name(bed, "b.yaml");
	expect(bed, "+Node/a 10.0.0.3\nok c.yaml\n");
	put(bed, "c.yaml", NODE("a", "10.0.0.3") SEP NODE("a", "10.0.0.4"));
	expect(bed, "!c.yaml:8 Node/a appears twice in this file; the first one counts\n");
	remove_name(bed, "c.yaml");
	expect(bed, "-Node/a\nok c.yaml\n");
}

static void subfolders_come_and_go(void **state)
{
	struct bed *bed = *state;
	char from[512], to[512];

	start(bed);
	expect(bed, "synced\n");
	make_folder(bed, "sub");
	put(bed, "sub/a.yaml", NODE("a", "10.0.0.1"));
	expect(bed, "+Node/a 10.0.0.1\n");
	put(bed, "sub/a.yaml", NODE("a", "10.0.0.2"));
	expect(bed, "+Node/a 10.0.0.2\n");
	path_of(bed, "sub", from);
	path_of(bed, ".out", to);
	assert_int_equal(rename(from, to), 0);
	expect(bed, "-Node/a\n");
	assert_int_equal(rename(to, from), 0);
	expect(bed, "+Node/a 10.0.0.2\n");
	put(bed, "sub/b.yaml", NODE("b", "10.0.0.3"));
	expect(bed, "+Node/b 10.0.0.3\n");
}

static void a_configmap_swap_is_followed(void **state)
{
	struct bed *bed = *state;
	char path[512], target[512];

	make_folder(bed, "..1");
	make_folder(bed, "..2");
	put(bed, "..1/n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.2"));
	put(bed, "..2/n.yaml", NODE("a", "10.0.0.1") SEP NODE("b", "10.0.0.3"));
	path_of(bed, "..data", path);
	assert_int_equal(symlink("..1", path), 0);
	path_of(bed, "n.yaml", target);
	assert_int_equal(symlink("..data/n.yaml", target), 0);
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+Node/b 10.0.0.2\nsynced\n");
	path_of(bed, "..data_tmp", target);
	assert_int_equal(symlink("..2", target), 0);
	assert_int_equal(rename(target, path), 0);
	expect(bed, "+Node/b 10.0.0.3\n");
	expect_silence(bed);
}

static void objects_outlive_their_folder(void **state)
{
	struct bed *bed = *state;
	char away[128];

	put(bed, "a.yaml", NODE("a", "10.0.0.1"));
	put(bed, "b.yaml", NODE("b", "10.0.0.2"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+Node/b 10.0.0.2\nsynced\n");
	snprintf(away, sizeof(away), "%s.away", bed->dir);
	assert_int_equal(rename(bed->dir, away), 0);
	expect_silence(bed);
	assert_int_equal(rename(away, bed->dir), 0);
	expect_silence(bed);
	put(bed, "a.yaml", NODE("a", "10.0.0.11"));
	expect(bed, "+Node/a 10.0.0.11\n");
	/* Removed with all that is in it, then made again with less. */
	tmpdir_remove(bed->dir);
	expect_silence(bed);
	assert_int_equal(mkdir(bed->dir, 0755), 0);
	run_for(bed, 500);
	put(bed, "b.yaml", NODE("b", "10.0.0.22"));
	expect(bed, "+Node/b 10.0.0.22\n");
	expect(bed, "-Node/a\n");
}

/* fs.inotify.max_queued_events is 16384 by default. */
/* What another machine does on a network file system looks like this: a change that inotify does not tell.
 * The target of a link outside the folder stands in for it. */
static void a_rescan_sees_what_inotify_does_not(void **state)
{
	struct bed *bed = *state;
	char outside[TMPDIR_SIZE], target[512], path[512];

	tmpdir_make(outside);
	snprintf(target, sizeof(target), "%s/n.yaml", outside);
	assert_int_equal(
	        weft_file_replace(target, NODE("a", "10.0.0.1"), strlen(NODE("a", "10.0.0.1")), 0644, NULL),
	        0);
	path_of(bed, "n.yaml", path);
	assert_int_equal(symlink(target, path), 0);
	weft_directory_rescan(bed->source, 50);
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\nsynced\n");
	expect_silence(bed); /* nothing changes: nothing is told, again and again */
	assert_int_equal(
	        weft_file_replace(target, NODE("a", "10.0.0.2"), strlen(NODE("a", "10.0.0.2")), 0644, NULL),
	        0);
	expect(bed, "+Node/a 10.0.0.2\n");
	assert_int_equal(unlink(target), 0);
	expect(bed, "-Node/a\n");
	expect_silence(bed);
	tmpdir_remove(outside);
}

/* What another machine wrote last stays in force while what it writes now can't be opened. */
static void sealed_values_are_opened_or_reported(void **state)
{
	static const char format[] =
	        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {%s: \"%s\"}\n";
	char secret[WEFT_SEAL_TEXT], public[WEFT_SEAL_TEXT], text[512];
	weft_auto(weft_buf_free) struct weft_buf sealed = {0};
	struct weft_seal_keys *keys = NULL;
	uint8_t key[WEFT_SEAL_PUBLIC];
	struct bed *bed = *state;

	assert_int_equal(weft_seal_new(secret, public, NULL), 0);
	assert_int_equal(weft_seal_keys_parse(secret, strlen(secret), &keys, NULL), 0);
	public[strcspn(public, "\n")] = '\0';
	assert_int_equal(weft_seal_public_parse(public, key, NULL), 0);
	assert_int_equal(weft_seal(key, "kube-system/s/a", "hunter2", 7, &sealed, NULL), 0);
	weft_directory_seal_keys(bed->source, keys);
	snprintf(text, sizeof(text), format, "a", sealed.data);
	put(bed, "s.yaml", text);
	start(bed);
	expect(bed, "+Secret/kube-system/s\nsynced\n");
	snprintf(text, sizeof(text), format, "b", sealed.data);
	put(bed, "s.yaml", text);
	expect(bed, "!s.yaml:1 Secret/kube-system/s: b: is sealed for another Secret or key\n");
	snprintf(text, sizeof(text), format, "a", sealed.data);
	put(bed, "s.yaml", text);
	expect(bed, "ok s.yaml\n"); /* the same value: nothing is told */
	put(bed, "s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\n");
	expect_silence(bed);
}

/* An unmounted datastore leaves an empty mount point: that says nothing about the objects. */
static void an_empty_folder_in_its_place_is_no_return(void **state)
{
	struct bed *bed = *state;
	char away[128];

	put(bed, "a.yaml", NODE("a", "10.0.0.1"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\nsynced\n");
	snprintf(away, sizeof(away), "%s.away", bed->dir);
	assert_int_equal(rename(bed->dir, away), 0);
	assert_int_equal(mkdir(bed->dir, 0755), 0);
	run_for(bed, 3000); /* longer than files may take to come back with their folder */
	assert_string_equal(weft_buf_text(&bed->log), "");
	assert_int_equal(rmdir(bed->dir), 0);
	assert_int_equal(rename(away, bed->dir), 0);
	put(bed, "b.yaml", NODE("b", "10.0.0.2"));
	expect(bed, "+Node/b 10.0.0.2\n");
}

static void an_overflow_of_the_queue_loses_nothing(void **state)
{
	struct bed *bed = *state;
	char name[32];
	int n;

	weft_autofclose FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	if (n > 200000)
		fail_msg("fs.inotify.max_queued_events is %d: too large for this test", n);
	put(bed, "a.yaml", NODE("a", "10.0.0.1"));
	put(bed, "b.yaml", NODE("b", "10.0.0.2"));
	start(bed);
	expect(bed, "+Node/a 10.0.0.1\n+Node/b 10.0.0.2\nsynced\n");
	for (int i = 0; i < n / 3 + 100; i++) { /* create, close, delete: three events each */
		snprintf(name, sizeof(name), "x%d", i);
		write_part(bed, name, "", 0);
		remove_name(bed, name);
	}
	put(bed, "a.yaml", NODE("a", "10.0.0.11"));
	put(bed, "c.yaml", NODE("c", "10.0.0.3"));
	remove_name(bed, "b.yaml");
	expect(bed, "+Node/a 10.0.0.11\n+Node/c 10.0.0.3\n-Node/b\n");
}

static void it_describes_itself(void **state)
{
	struct bed *bed = *state;

	put(bed, "a.yaml", NODE("a", "10.0.0.1") SEP "{");
	start(bed);
	run_for(bed, 500);
	cJSON *d = bed->source->ops->describe(bed->source);
	assert_string_equal(cJSON_GetObjectItem(d, "kind")->valuestring, "directory");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(d, "synced")));
	assert_int_equal(cJSON_GetObjectItem(d, "objects")->valueint, 1);
	assert_int_equal(cJSON_GetObjectItem(d, "invalidFiles")->valueint, 1);
	cJSON_Delete(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(everything_comes_sorted_then_synced),
	        TEST(a_missing_folder_is_an_error),
	        TEST(replacement_sends_only_what_differs),
	        TEST(a_partial_write_hides_nothing),
	        TEST(a_file_that_is_being_written_waits_for_its_close),
	        TEST(a_bad_document_hides_no_other),
	        TEST(deleted_files_take_their_objects),
	        TEST(a_renamed_file_keeps_its_objects),
	        TEST(the_first_file_by_name_wins),
	        TEST(subfolders_come_and_go),
	        TEST(a_configmap_swap_is_followed),
	        TEST(objects_outlive_their_folder),
	        TEST(a_rescan_sees_what_inotify_does_not),
	        TEST(sealed_values_are_opened_or_reported),
	        TEST(an_empty_folder_in_its_place_is_no_return),
	        TEST(an_overflow_of_the_queue_loses_nothing),
	        TEST(it_describes_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
