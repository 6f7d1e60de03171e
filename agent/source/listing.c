// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/listing.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "weft/cleanup.h"

bool weft_is_manifest(const char *name)
{
	const char *dot = strrchr(name, '.');

	return *name != '.' && dot &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json"));
}

/* FOLDER/NAME relative to the root; false when it is too long. */
bool weft_join(const char *folder, const char *name, char out[PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s%s%s", folder, *folder ? "/" : "", name) < PATH_MAX;
}

bool weft_full_path(const struct weft_store *store, const char *name, char out[PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s%s%s", store->path, *name ? "/" : "", name) < PATH_MAX;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void weft_names_sort(struct weft_names *names)
{
	if (names->n)
		qsort(names->list, names->n, sizeof(*names->list), by_name);
}

void weft_names_free(struct weft_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

static bool add_name(struct weft_names *names, const char *name)
{
	if (names->n == names->cap) {
		size_t cap = names->cap ? 2 * names->cap : 64;
		char **list = realloc(names->list, cap * sizeof(*list));
		if (!list)
			return false;
		names->list = list;
		names->cap = cap;
	}
	names->list[names->n] = strdup(name);
	return names->list[names->n] && ++names->n;
}

bool weft_is_folder(const struct weft_store *store, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return *name != '.' && weft_full_path(store, name, path) && stat(path, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* Manifests of one folder as relative names; of the root, the subfolders' names too. */
int weft_list_folder(const struct weft_store *store, const char *folder, struct weft_names *files,
                     struct weft_names *folders)
{
	char path[PATH_MAX], name[PATH_MAX];
	struct dirent *e;
	bool ok = true;

	if (!weft_full_path(store, folder, path))
		return -ENAMETOOLONG;
	weft_autoclosedir DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	while (ok && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || !weft_join(folder, e->d_name, name))
			continue;
		if (!*folder && e->d_type != DT_REG && weft_is_folder(store, e->d_name))
			ok = add_name(folders, e->d_name);
		else if (weft_is_manifest(e->d_name))
			ok = add_name(files, name);
	}
	return ok ? 0 : -ENOMEM;
}

static bool in_folder(const char *name, const char *folder)
{
	size_t len = strlen(folder);

	return len ? !strncmp(name, folder, len) && name[len] == '/' : !strchr(name, '/');
}

/* Every known file of a folder, whether it is there or not: the reading finds out. */
bool weft_known_names(const struct weft_store *store, const char *folder, struct weft_names *out)
{
	struct weft_file *file, *next;

	HASH_ITER (hh, store->files, file, next)
		if (in_folder(file->name, folder) && !add_name(out, file->name))
			return false;
	return true;
}

bool weft_any_manifest(const struct weft_store *store)
{
	weft_auto(weft_names_free) struct weft_names files = {0}, folders = {0}, none = {0};

	weft_list_folder(store, "", &files, &folders);
	for (size_t i = 0; i < folders.n && !files.n; i++)
		weft_list_folder(store, folders.list[i], &files, &none);
	return files.n > 0;
}

bool weft_stamp_changed(const struct weft_store *store, struct weft_file *file)
{
	struct weft_stamp now, before = file->stamp;
	char path[PATH_MAX];
	struct stat st;

	memset(&now, 0, sizeof(now));
	if (weft_full_path(store, file->name, path) && stat(path, &st) == 0)
		now = (struct weft_stamp){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
	file->stamp = now;
	return now.dev != before.dev || now.ino != before.ino || now.size != before.size ||
	       now.changed.tv_sec != before.changed.tv_sec || now.changed.tv_nsec != before.changed.tv_nsec;
}

bool weft_on_network(const struct weft_store *store)
{
	static const unsigned long network[] = {NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,
	                                        SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC, V9FS_MAGIC,
	                                        FUSE_SUPER_MAGIC};
	struct statfs fs;

	if (statfs(store->path, &fs) < 0)
		return false;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(network); i++)
		if ((unsigned long)fs.f_type == network[i])
			return true;
	return false;
}
