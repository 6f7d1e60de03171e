// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/store.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#define MAX_REPORTS 50 /* of one file; the rest would say the same */

struct report {
	enum weft_kind kind; /* with a key */
	char key[WEFT_KEY_MAX];
	char *where, *text;
};

struct reading {
	struct weft_store *store;
	struct weft_file *file;
	struct weft_yaml_doc *doc;
	struct report reports[MAX_REPORTS];
	size_t n_reports;
	bool anonymous; /* a document could not be told apart */
};

struct weft_file *weft_store_file(struct weft_store *store, const char *name, bool make)
{
	struct weft_file *file = NULL;

	HASH_FIND_STR(store->files, name, file);
	if (file || !make)
		return file;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->name = strdup(name);
	if (!file->name) {
		free(file);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, store->files, file->name, strlen(file->name), file);
	return file;
}

struct weft_entry *weft_store_entry(struct weft_store *store, enum weft_kind kind, const char *key, bool make)
{
	struct weft_entry *entry = NULL;
	char id[WEFT_KEY_MAX + 1];

	snprintf(id, sizeof(id), "%c%s", 'a' + (int)kind, key);
	HASH_FIND_STR(store->entries, id, entry);
	if (entry || !make)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->kind = kind;
	entry->id = strdup(id);
	if (!entry->id) {
		free(entry);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, store->entries, entry->id, strlen(entry->id), entry);
	return entry;
}

static void tell(struct weft_store *store, const struct weft_event *ev)
{
	if (store->sink)
		store->sink(store->ctx, ev);
	else
		weft_object_free(ev->obj);
}

/* got: what is known of the object, NULL = it is about the file. */
__attribute__((format(printf, 4, 5))) static void report(struct reading *rd, const struct weft_decoded *got,
                                                         unsigned line, const char *fmt, ...)
{
	struct report *rep = &rd->reports[rd->n_reports];
	weft_auto(weft_buf_free) struct weft_buf where = {0}, text = {0};
	char sentence[WEFT_ERR_TEXT];
	va_list ap;

	if (rd->n_reports == MAX_REPORTS)
		return;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	weft_text_clean(sentence);
	weft_buf_printf(&where, line ? "%s:%u" : "%s", rd->file->name, line);
	weft_buf_str(&text, sentence);
	rep->where = weft_buf_take(&where);
	rep->text = weft_buf_take(&text);
	rep->kind = got ? got->kind : WEFT_KIND_COUNT;
	snprintf(rep->key, sizeof(rep->key), "%s", got && got->kind != WEFT_KIND_COUNT ? got->key : "");
	if (rep->where && rep->text) {
		weft_text_clean(rep->where); /* a file name can hold anything */
		rd->n_reports++;
		return;
	}
	free(rep->where);
	free(rep->text);
}

static void free_reports(struct reading *rd)
{
	for (size_t i = 0; i < rd->n_reports; i++) {
		free(rd->reports[i].where);
		free(rd->reports[i].text);
	}
}

static struct weft_item *find_item(const struct weft_file *file, const struct weft_entry *entry)
{
	struct weft_item *item = entry->items;

	while (item && item->file != file)
		item = item->next_in_entry;
	return item;
}

/* Into the entry's list by file name. A file that is first from now on pushes another one aside. */
static struct weft_item *add_item(struct weft_store *store, struct weft_file *file, struct weft_entry *entry)
{
	struct weft_item *item = calloc(1, sizeof(*item)), **at = &entry->items;

	if (!item)
		return NULL;
	*item = (struct weft_item){.entry = entry, .file = file, .next_in_file = file->items};
	file->items = item;
	while (*at && strcmp((*at)->file->name, file->name) < 0)
		at = &(*at)->next_in_entry;
	item->next_in_entry = *at;
	*at = item;
	if (item == entry->items && item->next_in_entry)
		store->reread(store->owner, item->next_in_entry->file);
	return item;
}

/* The next file in line is read again, since its object is not kept; until then the entry stays as it is. */
static void remove_item(struct weft_store *store, struct weft_item *item)
{
	struct weft_entry *entry = item->entry;
	struct weft_item **at = &entry->items;
	bool first = entry->items == item;

	while (*at != item)
		at = &(*at)->next_in_entry;
	*at = item->next_in_entry;
	free(item);
	if (entry->items) {
		if (first)
			store->reread(store->owner, entry->items->file);
		return;
	}
	if (entry->delivered)
		tell(store,
		     &(struct weft_event){.type = WEFT_EV_DELETE, .kind = entry->kind, .key = entry->id + 1});
	HASH_DEL(store->entries, entry);
	free(entry->id);
	free(entry);
}

static void deliver(struct weft_store *store, struct weft_entry *entry, struct weft_object *obj)
{
	uint8_t digest[WEFT_DIGEST];

	weft_object_digest(obj, store->key, digest);
	if (entry->delivered && !memcmp(digest, entry->digest, sizeof(digest))) {
		weft_object_free(obj);
		return;
	}
	memcpy(entry->digest, digest, sizeof(digest));
	entry->delivered = true;
	tell(store, &(struct weft_event){
	                    .type = WEFT_EV_UPSERT, .kind = entry->kind, .key = entry->id + 1, .obj = obj});
}

static void take_object(struct reading *rd, struct weft_decoded *got, unsigned line)
{
	struct weft_entry *entry = weft_store_entry(rd->store, got->kind, got->key, true);
	struct weft_item *item = entry ? find_item(rd->file, entry) : NULL;

	if (entry && !item)
		item = add_item(rd->store, rd->file, entry);
	if (!item) {
		report(rd, got, line, "out of memory");
		rd->anonymous = true;
	} else if (item->generation == rd->file->generation) {
		report(rd, got, line, "%s/%s appears twice in this file; the first one counts",
		       weft_kind_name(got->kind), got->key);
	} else {
		item->generation = rd->file->generation;
		if (item == entry->items) {
			deliver(rd->store, entry, WEFT_TAKE_PTR(got->obj));
			return;
		}
		report(rd, got, line, "%s/%s is in %s too, and that one counts", weft_kind_name(got->kind),
		       got->key, entry->items->file->name);
	}
	weft_object_free(got->obj);
}

/* An invalid object keeps its place, and so its last valid version. */
static void keep_former(struct reading *rd, const struct weft_decoded *got)
{
	struct weft_entry *entry = NULL;
	struct weft_item *item;

	if (got->kind != WEFT_KIND_COUNT && *got->key)
		entry = weft_store_entry(rd->store, got->kind, got->key, false);
	else
		rd->anonymous = true;
	item = entry ? find_item(rd->file, entry) : NULL;
	if (item)
		item->generation = rd->file->generation;
}

/* As weft_decode(), with what is sealed opened. */
static int decode(struct reading *rd, const cJSON *json, struct weft_decoded *got, struct weft_err *err)
{
	int r = weft_decode(json, got, err);

	if (r < 0 || !got->obj || got->kind != WEFT_SECRET)
		return r;
	r = weft_seal_open_secret(rd->store->seal_keys, got->obj, err);
	if (r < 0) {
		weft_object_free(got->obj);
		got->obj = NULL;
	}
	return r;
}

static void read_object(struct reading *rd, const cJSON *json)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;
	unsigned line;

	if (decode(rd, json, &got, &err) < 0) {
		line = weft_yaml_line(rd->doc, got.at ? got.at : json);
		report(rd, &got, line, "%s", err.text);
		keep_former(rd, &got);
		return;
	}
	if (!got.obj) {
		log_debug("%s: an object of a kind that weft does not use", rd->file->name);
		return;
	}
	take_object(rd, &got, weft_yaml_line(rd->doc, json));
}

/* `kubectl get -o yaml` prints several objects as one List. */
static void read_doc(struct reading *rd)
{
	const cJSON *root = rd->doc->root, *item;
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(root, "kind");
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(root, "items");

	if (rd->doc->err.code) {
		report(rd, NULL, rd->doc->line, "%s", rd->doc->err.text);
		rd->anonymous = true;
	} else if (cJSON_IsString(kind) && !strcmp(kind->valuestring, "List") && cJSON_IsArray(items)) {
		cJSON_ArrayForEach (item, items)
			read_object(rd, item);
	} else {
		read_object(rd, root);
	}
}

static void remove_unseen(struct weft_store *store, struct weft_file *file)
{
	struct weft_item **at = &file->items;

	while (*at) {
		struct weft_item *item = *at;

		if (item->generation == file->generation) {
			at = &item->next_in_file;
			continue;
		}
		*at = item->next_in_file;
		remove_item(store, item);
	}
}

static void digest_reports(const struct reading *rd, uint8_t out[WEFT_DIGEST])
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, NULL, 0, WEFT_DIGEST);
	for (size_t i = 0; i < rd->n_reports; i++) {
		crypto_generichash_update(&h, (const void *)rd->reports[i].where,
		                          strlen(rd->reports[i].where) + 1);
		crypto_generichash_update(&h, (const void *)rd->reports[i].text,
		                          strlen(rd->reports[i].text) + 1);
	}
	crypto_generichash_final(&h, out, WEFT_DIGEST);
}

static void take_back(struct weft_store *store, struct weft_file *file)
{
	if (!file->reported)
		return;
	file->reported = false;
	tell(store, &(struct weft_event){
	                    .type = WEFT_EV_INVALID, .scope = file->name, .where = file->name, .text = ""});
}

static void send_reports(struct reading *rd)
{
	struct weft_file *file = rd->file;
	uint8_t digest[WEFT_DIGEST];

	digest_reports(rd, digest);
	if (file->reported && !memcmp(digest, file->reports, sizeof(digest)))
		return;
	take_back(rd->store, file);
	for (size_t i = 0; i < rd->n_reports; i++)
		tell(rd->store, &(struct weft_event){.type = WEFT_EV_INVALID,
		                                     .kind = rd->reports[i].kind,
		                                     .key = *rd->reports[i].key ? rd->reports[i].key : NULL,
		                                     .scope = file->name,
		                                     .where = rd->reports[i].where,
		                                     .text = rd->reports[i].text});
	file->reported = true;
	memcpy(file->reports, digest, sizeof(digest));
}

/* 0, or the error of a file that can't be read at all. */
static int read_docs(struct reading *rd, bool settled, struct weft_err *err)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	weft_autofree char *text = NULL;
	char path[PATH_MAX];
	size_t len = 0, suffix = strlen(rd->file->name);
	bool json = suffix > 5 && !strcmp(rd->file->name + suffix - 5, ".json");
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", rd->store->path, rd->file->name) >= sizeof(path))
		return weft_err_set(err, ENAMETOOLONG, "the path of %s is too long", rd->file->name);
	r = weft_file_read(path, WEFT_YAML_MAX_FILE, &text, &len, err);
	if (r < 0)
		return r;
	r = weft_yaml_parse(text, len, json, &yaml, err);
	sodium_memzero(text, len);
	if (r < 0)
		return r;
	/* A file that was just emptied is about to be filled. */
	if (yaml.n_docs == 0 && rd->file->items && !settled)
		return weft_err_set(err, ENODATA, "the file is empty");
	for (size_t i = 0; i < yaml.n_docs; i++) {
		rd->doc = &yaml.docs[i];
		read_doc(rd);
		weft_yaml_doc_free(rd->doc);
	}
	return 0;
}

enum weft_read_result weft_store_read(struct weft_store *store, struct weft_file *file, bool settled)
{
	weft_auto(free_reports) struct reading rd = {.store = store, .file = file};
	struct weft_err err = WEFT_ERR_INIT;
	int r;

	file->generation++;
	r = read_docs(&rd, settled, &err);
	if (r == -ENOENT || r == -ENOTDIR)
		return WEFT_READ_ABSENT;
	if (r < 0) {
		report(&rd, NULL, 0, "%s", err.text);
		rd.anonymous = true;
	}
	if (!rd.anonymous)
		remove_unseen(store, file);
	if (!rd.n_reports)
		take_back(store, file);
	else if (settled)
		send_reports(&rd);
	return rd.n_reports ? WEFT_READ_BAD : WEFT_READ_GOOD;
}

void weft_store_drop(struct weft_store *store, struct weft_file *file)
{
	file->generation++;
	remove_unseen(store, file);
	take_back(store, file);
	HASH_DEL(store->files, file);
	free(file->name);
	free(file);
}

/* Without a word to the sink. */
void weft_store_free(struct weft_store *store)
{
	struct weft_file *file, *next_file;
	struct weft_entry *entry, *next_entry;

	HASH_ITER (hh, store->files, file, next_file) {
		while (file->items) {
			struct weft_item *item = file->items;
			file->items = item->next_in_file;
			free(item);
		}
		HASH_DEL(store->files, file);
		free(file->name);
		free(file);
	}
	HASH_ITER (hh, store->entries, entry, next_entry) {
		HASH_DEL(store->entries, entry);
		free(entry->id);
		free(entry);
	}
}
