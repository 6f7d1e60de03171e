// SPDX-License-Identifier: GPL-2.0-or-later
/* Statuses in the directory datastore: one file per object, in order, the last one wins, errors arrive. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "tests/unit/directory_bed.h"

#define HEAD "# Written by weft's controller, again and again: changes here get lost.\n"

struct outcome {
	unsigned done;
	int code;
	char text[WEFT_ERR_TEXT];
};

static void on_done(void *ctx, const struct weft_err *err)
{
	struct outcome *o = ctx;

	o->done++;
	o->code = err ? err->code : 0;
	snprintf(o->text, sizeof(o->text), "%s", err ? err->text : "");
}

static void wait_for(struct bed *bed, const struct outcome *o)
{
	bed->late = false;
	uv_update_time(&bed->loop);
	uv_timer_start(&bed->guard, on_guard, 20000, 0);
	while (!bed->late && !o->done)
		uv_run(&bed->loop, UV_RUN_ONCE);
	assert_int_equal(o->done, 1);
}

/* JSON NULL removes. */
static void begin(struct bed *bed, enum weft_kind kind, const char *key, const char *json, struct outcome *o)
{
	cJSON *status = json ? cJSON_Parse(json) : NULL;

	*o = (struct outcome){.done = 0};
	bed->source->ops->put_status(bed->source, kind, key, status, on_done, o);
	assert_int_equal(o->done, 0);
	cJSON_Delete(status);
}

static struct outcome write_status(struct bed *bed, enum weft_kind kind, const char *key, const char *json)
{
	struct outcome o;

	begin(bed, kind, key, json, &o);
	wait_for(bed, &o);
	return o;
}

static void expect_file(struct bed *bed, const char *name, const char *want)
{
	char path[512], *text = NULL;

	path_of(bed, name, path);
	assert_int_equal(weft_file_read(path, 65536, &text, NULL, NULL), 0);
	assert_string_equal(text, want);
	free(text);
}

static ino_t inode(struct bed *bed, const char *name)
{
	char path[512];
	struct stat st;

	path_of(bed, name, path);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void a_status_is_a_file(void **state)
{
	struct bed *bed = *state;
	struct outcome o;
	ino_t first;

	start(bed);
	expect(bed, "synced\n");
	o = write_status(
	        bed, WEFT_SERVICE, "prod/web.v1",
	        "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.1.0.1\"},{\"ip\":\"fd00::1\"}]},"
	        "\"conditions\":[{\"type\":\"a/b\",\"status\":\"True\",\"message\":\"x: \\\"y\\\"\\n#\"}],"
	        "\"empty\":{},\"odd key\":[1,[2,true]]}");
	assert_int_equal(o.code, 0);
	expect_file(bed, "status/service.prod_web.v1.yaml",
	            HEAD "apiVersion: weft.dev/v1alpha1\nkind: ServiceStatus\n"
	                 "metadata:\n  namespace: \"prod\"\n  name: \"web.v1\"\n"
	                 "status:\n  loadBalancer:\n    ingress:\n      - ip: \"10.1.0.1\"\n"
	                 "      - ip: \"fd00::1\"\n"
	                 "  conditions:\n    - type: \"a/b\"\n      status: \"True\"\n"
	                 "      message: \"x: \\\"y\\\"\\n#\"\n"
	                 "  empty: {}\n  \"odd key\":\n    - 1\n    - - 2\n      - true\n");
	first = inode(bed, "status/service.prod_web.v1.yaml");
	o = write_status(bed, WEFT_IPPOOL, "front", "{\"capacity\":9,\"used\":1}");
	assert_int_equal(o.code, 0);
	expect_file(bed, "status/ippool.front.yaml",
	            HEAD "apiVersion: weft.dev/v1alpha1\nkind: IPPoolStatus\nmetadata:\n  name: \"front\"\n"
	                 "status:\n  capacity: 9\n  used: 1\n");
	o = write_status(bed, WEFT_IPPOOL, "front", "{}");
	assert_int_equal(o.code, 0);
	expect_file(bed, "status/ippool.front.yaml",
	            HEAD "apiVersion: weft.dev/v1alpha1\nkind: IPPoolStatus\nmetadata:\n  name: \"front\"\n"
	                 "status: {}\n");
	o = write_status(bed, WEFT_SERVICE, "prod/web.v1", NULL);
	assert_int_equal(o.code, 0);
	assert_int_equal(inode(bed, "status/service.prod_web.v1.yaml"), 0);
	o = write_status(bed, WEFT_SERVICE, "prod/web.v1", NULL); /* gone already: as wanted */
	assert_int_equal(o.code, 0);
	assert_true(first);
}

/* It is read like any manifest; that of a pool is nobody's. */
static void a_status_comes_back_as_an_event(void **state)
{
	struct bed *bed = *state;

	start(bed);
	expect(bed, "synced\n");
	write_status(bed, WEFT_IPPOOL, "front", "{\"capacity\":9,\"used\":1}");
	expect_silence(bed);
	write_status(bed, WEFT_SERVICE, "a/b", "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.1.0.1\"}]}}");
	expect(bed, "+ServiceStatus/a/b\n");
	write_status(bed, WEFT_SERVICE, "a/b", NULL);
	expect(bed, "-ServiceStatus/a/b\n");
	expect_silence(bed);
}

static void what_is_unchanged_is_not_written(void **state)
{
	struct bed *bed = *state;
	ino_t first;

	start(bed);
	expect(bed, "synced\n");
	write_status(bed, WEFT_IPPOOL, "front", "{\"used\":1}");
	first = inode(bed, "status/ippool.front.yaml");
	write_status(bed, WEFT_IPPOOL, "front", "{\"used\":1}");
	assert_int_equal(inode(bed, "status/ippool.front.yaml"), first);
	put(bed, "status/ippool.front.yaml", "edited by hand");
	write_status(bed, WEFT_IPPOOL, "front", "{\"used\":1}");
	expect_file(bed, "status/ippool.front.yaml",
	            HEAD "apiVersion: weft.dev/v1alpha1\nkind: IPPoolStatus\nmetadata:\n  name: \"front\"\n"
	                 "status:\n  used: 1\n");
}

/* Dots are in names; no two objects have one file. */
static void names_do_not_collide(void **state)
{
	struct bed *bed = *state;

	start(bed);
	expect(bed, "synced\n");
	write_status(bed, WEFT_SERVICE, "a.b/c", "{\"n\":1}");
	write_status(bed, WEFT_SERVICE, "a/b.c", "{\"n\":2}");
	assert_true(inode(bed, "status/service.a.b_c.yaml"));
	assert_true(inode(bed, "status/service.a_b.c.yaml"));
}

static void the_last_one_wins(void **state)
{
	struct bed *bed = *state;
	struct outcome o[101];
	char json[32];

	start(bed);
	expect(bed, "synced\n");
	for (int i = 0; i <= 100; i++) {
		snprintf(json, sizeof(json), "{\"n\":%d}", i);
		begin(bed, WEFT_IPPOOL, "front", i == 50 ? NULL : json, &o[i]);
	}
	for (int i = 0; i <= 100; i++) {
		wait_for(bed, &o[i]);
		assert_int_equal(o[i].code, 0);
	}
	expect_file(bed, "status/ippool.front.yaml",
	            HEAD "apiVersion: weft.dev/v1alpha1\nkind: IPPoolStatus\nmetadata:\n  name: \"front\"\n"
	                 "status:\n  n: 100\n");
	begin(bed, WEFT_IPPOOL, "front", "{\"n\":1}", &o[0]);
	begin(bed, WEFT_IPPOOL, "front", "{\"n\":2}", &o[1]);
	begin(bed, WEFT_IPPOOL, "front", NULL, &o[2]);
	wait_for(bed, &o[2]);
	assert_int_equal(inode(bed, "status/ippool.front.yaml"), 0);
}

static void errors_arrive_and_name_the_file(void **state)
{
	static const struct {
		enum weft_kind kind;
		const char *key;
	} bad[] = {
	        {WEFT_SERVICE, "web"},    {WEFT_SERVICE, "a/../../x"}, {WEFT_SERVICE, "../x"},
	        {WEFT_SERVICE, "/x"},     {WEFT_SERVICE, "a/b_c"},     {WEFT_IPPOOL, "a/b"},
	        {WEFT_IPPOOL, "../../x"}, {WEFT_IPPOOL, ""},           {WEFT_NODE, "a"},
	};
	struct bed *bed = *state;
	struct outcome o;
	char name[WEFT_NAME_MAX + 1];

	start(bed);
	expect(bed, "synced\n");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++) {
		o = write_status(bed, bad[i].kind, bad[i].key, "{}");
		assert_int_equal(o.code, -EINVAL);
		assert_int_equal(write_status(bed, bad[i].kind, bad[i].key, NULL).code, -EINVAL);
	}
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(write_status(bed, WEFT_IPPOOL, name, "{}").code, -ENAMETOOLONG);
	put(bed, "other", "");
	assert_int_equal(inode(bed, "status/ippool.x.yaml"), 0);
	make_folder(bed, "status/ippool.front.yaml"); /* in the way, as a full disk is */
	o = write_status(bed, WEFT_IPPOOL, "front", "{}");
	assert_true(o.code < 0);
	assert_non_null(strstr(o.text, "status/ippool.front.yaml"));
	remove_name(bed, "status/ippool.front.yaml");
	assert_int_equal(write_status(bed, WEFT_IPPOOL, "front", "{}").code, 0); /* and goes on */
}

static void a_full_disk_is_reported(void **state)
{
	struct bed *bed = *state;
	struct outcome o;

	start(bed);
	expect(bed, "synced\n");
	write_status(bed, WEFT_IPPOOL, "front", "{\"n\":1}");
	remove_name(bed, "status/ippool.front.yaml");
	remove_name(bed, "status");
	put(bed, "status", "a file where the folder should be");
	o = write_status(bed, WEFT_IPPOOL, "front", "{\"n\":1}");
	assert_int_equal(o.code, -ENOTDIR);
	assert_non_null(strstr(o.text, bed->dir));
}

static void a_lost_folder_is_not_made_by_a_status(void **state)
{
	struct bed *bed = *state;

	start(bed);
	expect(bed, "synced\n");
	assert_int_equal(rmdir(bed->dir), 0);
	assert_int_equal(write_status(bed, WEFT_IPPOOL, "front", "{}").code, -ENOENT);
	assert_int_equal(access(bed->dir, F_OK), -1);
}

static void a_source_is_freed_with_writes_under_way(void **state)
{
	struct bed *bed = *state;
	struct weft_source *other;
	struct bed unheard = {0};
	struct outcome o[3];
	cJSON *status = cJSON_CreateObject();

	assert_int_equal(weft_directory_new(&bed->loop, bed->dir, &other, NULL), 0);
	assert_int_equal(other->ops->start(other, on_event, &unheard, NULL), 0);
	for (int i = 0; i < 3; i++) {
		o[i] = (struct outcome){.done = 0};
		other->ops->put_status(other, WEFT_IPPOOL, i ? "front" : "back", status, on_done, &o[i]);
	}
	cJSON_Delete(status);
	other->ops->free(other);
	start(bed);
	run_for(bed, 300);
	for (int i = 0; i < 3; i++)
		assert_int_equal(o[i].done, 0);
	weft_buf_free(&unheard.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_status_is_a_file),
	        TEST(a_status_comes_back_as_an_event),
	        TEST(what_is_unchanged_is_not_written),
	        TEST(names_do_not_collide),
	        TEST(the_last_one_wins),
	        TEST(errors_arrive_and_name_the_file),
	        TEST(a_full_disk_is_reported),
	        TEST(a_lost_folder_is_not_made_by_a_status),
	        TEST(a_source_is_freed_with_writes_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
