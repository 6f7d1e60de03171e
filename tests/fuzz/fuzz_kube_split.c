// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz the splitter of the API server's answers. Input: one byte, of which the lowest bit is the shape and
 * the others are the size of the pieces, then what the server says.
 *
 * What must hold besides memory safety: pieces change nothing, neither what is handed over nor the outcome;
 * texts have no NUL, an event's parts lie in it; and where cJSON can read the whole too, it sees the same
 * objects, but for managedFields.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "agent/kube/split.h"
#include "weft/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	struct kube_split *split;
	struct weft_buf texts; /* each with its NUL */
};

static void require(bool what)
{
	if (!what)
		abort();
}

static void check_event(const struct kube_split *s, const char *text, size_t len)
{
	struct kube_split_event ev;

	kube_split_event(s, &ev);
	if (ev.type)
		require(ev.type > text && ev.type + ev.type_len < text + len && ev.type[-1] == '"' &&
		        ev.type[ev.type_len] == '"');
	if (ev.object)
		require(ev.object > text && ev.object + ev.object_len < text + len && ev.object[0] == '{' &&
		        ev.object[ev.object_len - 1] == '}');
}

static int hear(void *ctx, char *text, size_t len)
{
	struct heard *h = ctx;

	require(strlen(text) == len && len >= 2 && text[0] == '{' && text[len - 1] == '}');
	check_event(h->split, text, len);
	weft_buf_add(&h->texts, text, len + 1);
	memset(text, 0xff, len);
	return 0;
}

static int feed(struct kube_split *s, const char *data, size_t len, size_t piece)
{
	int ret = 0;

	for (size_t n; len && !ret; data += n, len -= n) {
		char *copy;

		n = piece < len ? piece : len;
		copy = malloc(n);
		require(copy != NULL);
		memcpy(copy, data, n);
		ret = kube_split_feed(s, copy, n, NULL);
		free(copy);
	}
	return ret ? ret : kube_split_end(s, NULL);
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Of all members with these names: JSON may have several. */
static void each_named(cJSON *object, const char *name, void (*fn)(cJSON *value, void *ctx), void *ctx)
{
	if (!cJSON_IsObject(object))
		return;
	for (cJSON *m = object->child, *next; m; m = next) {
		next = m->next;
		if (!strcmp(m->string, name))
			fn(m, ctx);
	}
}

static void drop(cJSON *value, void *object)
{
	cJSON_Delete(cJSON_DetachItemViaPointer(object, value));
}

static void strip_metadata(cJSON *metadata, void *ctx)
{
	(void)ctx;
	each_named(metadata, "managedFields", drop, metadata);
}

static void strip(cJSON *object, void *ctx)
{
	(void)ctx;
	each_named(object, "metadata", strip_metadata, NULL);
}

static void print(struct weft_buf *to, const cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);

	require(text != NULL);
	weft_buf_str(to, text);
	weft_buf_char(to, '\n');
	free(text);
}

static void expect_items(cJSON *items, void *want)
{
	cJSON *item;

	cJSON_ArrayForEach (item, items) {
		strip(item, NULL);
		print(want, item);
	}
}

/* false: cJSON can't read it. */
static bool expect(enum kube_shape shape, const char *text, struct weft_buf *want)
{
	const char *end = text;
	cJSON *json;

	for (; end[strspn(end, " \t\r\n")]; text = end) {
		json = cJSON_ParseWithOpts(text, &end, 0);
		if (!json)
			return false;
		if (shape == KUBE_LIST) {
			each_named(json, "items", expect_items, want);
		} else {
			each_named(json, "object", strip, NULL);
			print(want, json);
		}
		cJSON_Delete(json);
	}
	return true;
}

/* cJSON decodes escapes in names, the splitter takes names as they stand. */
static void compare(enum kube_shape shape, const char *text, const struct heard *h)
{
	const char *end = weft_buf_text(&h->texts) + h->texts.len;
	struct weft_buf want = {0}, got = {0};

	if (!strchr(text, '\\') && expect(shape, text, &want)) {
		for (const char *t = weft_buf_text(&h->texts); t < end; t += strlen(t) + 1) {
			cJSON *json = cJSON_ParseWithOpts(t, NULL, 1);

			require(json != NULL);
			print(&got, json);
			cJSON_Delete(json);
		}
		require(!strcmp(weft_buf_text(&want), weft_buf_text(&got)));
	}
	weft_buf_free(&want);
	weft_buf_free(&got);
}

static char *text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard a = {0}, b = {0};
	enum kube_shape shape;
	char *text;
	int ret;

	if (!size)
		return 0;
	shape = *data & 1 ? KUBE_WATCH : KUBE_LIST;
	a.split = kube_split_new(shape, hear, &a);
	b.split = kube_split_new(shape, hear, &b);
	text = text_of(data + 1, size - 1);
	ret = feed(a.split, text, size - 1, size);
	require(ret == feed(b.split, text, size - 1, (*data >> 1) + 1));
	require(a.texts.len == b.texts.len && a.texts.len <= 2 * size &&
	        (!a.texts.len || !memcmp(a.texts.data, b.texts.data, a.texts.len)));
	if (!ret) {
		require(same(kube_split_version(a.split), kube_split_version(b.split)));
		require(same(kube_split_continue(a.split), kube_split_continue(b.split)));
		compare(shape, text, &a);
	}
	kube_split_free(a.split);
	kube_split_free(b.split);
	weft_buf_free(&a.texts);
	weft_buf_free(&b.texts);
	free(text);
	return 0;
}
