// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealed values: what opens them, what does not, and `weftctl seal` end to end into a folder's Secret. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "tests/unit/ctl_program.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/seal.h"

#define PLACE "kube-system/weft-bgp/tor1"

static char folder[] = "/tmp/weft-seal-XXXXXX";

static const char *path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s", folder, name);
	return text;
}

struct pair {
	char secret[WEFT_SEAL_TEXT], public[WEFT_SEAL_TEXT];
	uint8_t key[WEFT_SEAL_PUBLIC];
	struct weft_seal_keys *keys;
};

static struct pair make_pair(void)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct pair p;

	assert_int_equal(weft_seal_new(p.secret, p.public, &err), 0);
	assert_int_equal(weft_seal_keys_parse(p.secret, strlen(p.secret), &p.keys, &err), 0);
	p.public[strcspn(p.public, "\n")] = '\0';
	assert_int_equal(weft_seal_public_parse(p.public, p.key, &err), 0);
	return p;
}

static void seal_text(const struct pair *p, const char *place, const char *value, struct weft_buf *out)
{
	assert_int_equal(weft_seal(p->key, place, value, strlen(value), out, NULL), 0);
	assert_true(weft_sealed(out->data, out->len));
	assert_null(strstr(out->data, value));
}

/* 0: it opened to `value`. */
static int open_text(const struct weft_seal_keys *keys, const char *place, const struct weft_buf *sealed,
                     const char *value, struct weft_err *err)
{
	void *got = NULL;
	size_t len = 0;
	int r = weft_seal_open(keys, place, sealed->data, sealed->len, &got, &len, err);

	if (r == 0) {
		assert_int_equal(len, strlen(value));
		assert_memory_equal(got, value, len);
	} else {
		assert_null(got);
		assert_null(strstr(err->text, value));
	}
	sodium_free(got);
	return r;
}

static void what_is_sealed_opens(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf sealed = {0}, again = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct pair p = make_pair();

	(void)state;
	seal_text(&p, PLACE, "hunter2", &sealed);
	seal_text(&p, PLACE, "hunter2", &again);
	assert_string_not_equal(sealed.data, again.data); /* equal passwords can't be told */
	assert_int_equal(open_text(p.keys, PLACE, &sealed, "hunter2", &err), 0);
	assert_int_equal(open_text(p.keys, PLACE, &again, "hunter2", &err), 0);
	assert_int_equal(weft_seal(p.key, PLACE, "", 0, &again, &err), -EINVAL);
	assert_int_equal(weft_seal(p.key, PLACE, folder, WEFT_SEAL_VALUE_MAX + 1, &again, &err), -EINVAL);
	weft_seal_keys_free(p.keys);
}

static void another_place_or_key_does_not_open(void **state)
{
	static const char *const places[] = {"kube-system/weft-bgp/tor2", "kube-system/weft-bgp/tor",
	                                     "kube-system/weft-bgq/tor1", "other/weft-bgp/tor1",
	                                     "kube-system/weft-bgp/tor1x"};
	weft_auto(weft_buf_free) struct weft_buf sealed = {0};
	struct pair p = make_pair(), q = make_pair();
	struct weft_err err = WEFT_ERR_INIT;

	(void)state;
	seal_text(&p, PLACE, "hunter2", &sealed);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(places); i++) {
		assert_int_equal(open_text(p.keys, places[i], &sealed, "hunter2", &err), -EPERM);
		assert_string_equal(err.text, "is sealed for another Secret or key");
	}
	assert_int_equal(open_text(q.keys, PLACE, &sealed, "hunter2", &err), -EPERM);
	assert_string_equal(err.text, "can't be opened: it is sealed for another key, or was changed");
	assert_int_equal(open_text(NULL, PLACE, &sealed, "hunter2", &err), -ENOKEY);
	weft_seal_keys_free(p.keys);
	weft_seal_keys_free(q.keys);
}

static void every_changed_character_is_noticed(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf sealed = {0};
	struct weft_err err = WEFT_ERR_INIT;
	struct pair p = make_pair();

	(void)state;
	seal_text(&p, PLACE, "hunter2", &sealed);
	for (size_t i = strlen("weft.dev/sealed:v1:"); i < sealed.len; i++) {
		char was = sealed.data[i];

		sealed.data[i] = was == 'A' ? 'B' : 'A';
		assert_true(open_text(p.keys, PLACE, &sealed, "hunter2", &err) < 0);
		sealed.data[i] = was;
	}
	for (size_t len = strlen("weft.dev/sealed:v1:"); sealed.len > len;) {
		weft_buf_truncate(&sealed, sealed.len - 1);
		assert_true(open_text(p.keys, PLACE, &sealed, "hunter2", &err) < 0);
	}
	weft_seal_keys_free(p.keys);
}

/* Anybody can seal: what is in the box need not have a place, or a value. */
static void a_box_may_hold_anything(void **state)
{
	static const char *const insides[] = {"", "x", PLACE, PLACE "\0", "kube-system/weft-bgp/tor1hunter2"};
	static const size_t lengths[] = {0, 1, sizeof(PLACE) - 1, sizeof(PLACE), 32};
	struct pair p = make_pair();

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(insides); i++) {
		weft_auto(weft_buf_free) struct weft_buf sealed = {0};
		struct weft_err err = WEFT_ERR_INIT;
		uint8_t box[128];
		char text[256];

		crypto_box_seal(box, (const uint8_t *)insides[i], lengths[i], p.key);
		sodium_bin2base64(text, sizeof(text), box, lengths[i] + crypto_box_SEALBYTES,
		                  sodium_base64_VARIANT_ORIGINAL);
		weft_buf_printf(&sealed, "weft.dev/sealed:v1:%s", text);
		assert_true(open_text(p.keys, PLACE, &sealed, "hunter2", &err) < 0);
	}
	weft_seal_keys_free(p.keys);
}

static void a_key_file_has_one_key_a_line(void **state)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0}, sealed = {0};
	struct pair old = make_pair(), new = make_pair();
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_seal_keys *keys = NULL;

	(void)state;
	weft_buf_printf(&text, "# since May\n%s\n%.*s", new.secret, (int)strlen(old.secret) - 1, old.secret);
	assert_int_equal(weft_seal_keys_parse(text.data, text.len, &keys, &err), 0);
	seal_text(&old, PLACE, "hunter2", &sealed);
	assert_int_equal(open_text(keys, PLACE, &sealed, "hunter2", &err), 0);
	weft_seal_keys_free(keys);
	weft_buf_str(&text, "x\n");
	assert_int_equal(weft_seal_keys_parse(text.data, text.len, &keys, &err), -EINVAL);
	assert_string_equal(err.text, "line 4 is no secret key: weft.dev/seal-secret:v1:...");
	assert_int_equal(weft_seal_keys_parse("\n#\n", 3, &keys, &err), -EINVAL);
	assert_int_equal(weft_seal_keys_parse(old.public, strlen(old.public), &keys, &err), -EINVAL);
	weft_buf_truncate(&text, 0);
	for (int i = 0; i <= WEFT_SEAL_KEYS_MAX; i++)
		weft_buf_str(&text, old.secret);
	assert_int_equal(weft_seal_keys_parse(text.data, text.len, &keys, &err), -E2BIG);
	assert_int_equal(weft_seal_public_parse(old.secret, old.key, &err), -EINVAL);
	assert_non_null(strstr(err.text, "this is a secret key"));
	assert_null(strstr(err.text, old.secret));
	assert_int_equal(weft_seal_public_parse("weft.dev/seal-public:v1:AAAA", old.key, &err), -EINVAL);
	weft_seal_keys_free(old.keys);
	weft_seal_keys_free(new.keys);
}

static void a_key_file_is_ours_alone(void **state)
{
	struct weft_seal_keys *keys = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	struct pair p = make_pair();

	(void)state;
	assert_int_equal(weft_file_create(path("key"), p.secret, strlen(p.secret), 0600, &err), 0);
	assert_int_equal(weft_seal_keys_load(path("key"), &keys, &err), 0);
	weft_seal_keys_free(keys);
	for (mode_t bit = 1; bit <= 040; bit <<= 1) {
		assert_int_equal(chmod(path("key"), 0600 | bit), 0);
		assert_int_equal(weft_seal_keys_load(path("key"), &keys, &err), -EPERM);
	}
	assert_non_null(strstr(err.text, "can be read or written by others: chmod 600"));
	assert_int_equal(chmod(path("key"), 0400), 0);
	assert_int_equal(weft_seal_keys_load(path("key"), &keys, &err), 0);
	weft_seal_keys_free(keys);
	if (geteuid() == 0) { /* else nothing can be given away */
		assert_int_equal(chown(path("key"), 12345, 0), 0);
		assert_int_equal(weft_seal_keys_load(path("key"), &keys, &err), -EPERM);
		assert_non_null(strstr(err.text, "belongs to user 12345"));
	}
	assert_int_equal(weft_seal_keys_load(path("none"), &keys, &err), -ENOENT);
	assert_int_equal(weft_seal_keys_load("/dev/null", &keys, &err), -EINVAL);
	assert_int_equal(unlink(path("key")), 0);
	weft_seal_keys_free(p.keys);
}

static void set_stdin(const char *text)
{
	struct weft_err err = WEFT_ERR_INIT;

	assert_int_equal(weft_file_replace(path("stdin"), text, strlen(text), 0600, &err), 0);
	assert_non_null(freopen(path("stdin"), "r", stdin));
}

/* Into the Secret of a manifest, and opened as a source does. */
static void weftctl_seals_for_a_manifest(void **state)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct outcome made = RUN("seal", "--new-key", path("seal.key")), sealed;
	struct weft_seal_keys *keys = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;
	struct stat st;

	(void)state;
	assert_string_equal(made.err, "");
	assert_int_equal(made.code, 0);
	assert_int_equal(stat(path("seal.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	made.out[strcspn(made.out, "\n")] = '\0';
	set_stdin("hunter2\n");
	sealed = RUN("seal", "--key", made.out, "--secret", "weft-bgp", "--item", "tor1");
	assert_string_equal(sealed.err, "weftctl: the newline at the end is not sealed\n");
	assert_int_equal(sealed.code, 0);
	weft_buf_printf(&text,
	                "apiVersion: v1\nkind: Secret\nmetadata: {name: weft-bgp}\n"
	                "stringData: {plain: open, tor1: \"%.*s\"}\n",
	                (int)strlen(sealed.out) - 1, sealed.out);
	assert_int_equal(weft_yaml_parse(text.data, text.len, false, &yaml, NULL), 0);
	assert_int_equal(weft_decode(yaml.docs[0].root, &got, &err), 0);
	assert_int_equal(weft_seal_open_secret(NULL, got.obj, &err), -ENOKEY);
	assert_string_equal(err.text,
	                    "Secret/kube-system/weft-bgp: tor1: is sealed, and datastore.sealKey of "
	                    "weft.yaml names no key");
	assert_int_equal(weft_seal_keys_load(path("seal.key"), &keys, &err), 0);
	assert_int_equal(weft_seal_open_secret(keys, got.obj, &err), 0);
	assert_int_equal(got.obj->secret.items[1].len, 7);
	assert_memory_equal(got.obj->secret.items[1].value, "hunter2", 7);
	assert_memory_equal(got.obj->secret.items[0].value, "open", 4);
	weft_object_free(got.obj);
	weft_seal_keys_free(keys);
	unlink(path("seal.key"));
}

static void weftctl_says_what_is_wrong(void **state)
{
	struct pair p = make_pair();
	char longest[600] = "";
	struct outcome o;

	(void)state;
	set_stdin("");
	o = RUN("seal", "--key", p.public, "--secret", "s", "--item", "i");
	assert_says(&o, 1, "1 to 32768 bytes");
	o = RUN("seal");
	assert_says(&o, 2, "needs --new-key FILE, or --key, --secret and --item");
	o = RUN("seal", "--key", p.public, "--secret", "s");
	assert_says(&o, 2, "needs --new-key FILE, or --key, --secret and --item");
	o = RUN("seal", "--key", p.secret, "--secret", "s", "--item", "i");
	assert_says(&o, 2, "this is a secret key");
	o = RUN("seal", "--key", "hunter2", "--secret", "s", "--item", "i");
	assert_says(&o, 2, "this is no public key");
	o = RUN("seal", "--key", p.public, "--secret", "A", "--item", "i");
	assert_says(&o, 2, "is no Secret's name");
	memset(longest, 'a', 300);
	strcat(longest, "/s");
	o = RUN("seal", "--key", p.public, "--secret", longest, "--item", "i");
	assert_says(&o, 2, "is no Secret's name");
	o = RUN("seal", "--key", p.public, "--secret", "a/b/c", "--item", "i");
	assert_says(&o, 2, "is no Secret's name");
	o = RUN("seal", "--key", p.public, "--secret", "s", "--item", "a/b");
	assert_says(&o, 2, "is not a key of a Secret");
	set_stdin("not overwritten");
	o = RUN("seal", "--new-key", path("stdin"));
	assert_says(&o, 1, "exists, and is not overwritten");
	weft_seal_keys_free(p.keys);
}

static int cleanup(void **state)
{
	(void)state;
	unlink(path("stdin"));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_sealed_opens),
	        cmocka_unit_test(another_place_or_key_does_not_open),
	        cmocka_unit_test(every_changed_character_is_noticed),
	        cmocka_unit_test(a_box_may_hold_anything),
	        cmocka_unit_test(a_key_file_has_one_key_a_line),
	        cmocka_unit_test(a_key_file_is_ours_alone),
	        cmocka_unit_test(weftctl_seals_for_a_manifest),
	        cmocka_unit_test(weftctl_says_what_is_wrong),
	};

	if (find_build() < 0 || !mkdtemp(folder))
		return 1;
	return cmocka_run_group_tests_name("seal", tests, NULL, cleanup);
}
