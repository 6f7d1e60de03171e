// SPDX-License-Identifier: GPL-2.0-or-later
#include "weft/file.h"
#include "weft/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int weft_file_read(const char *path, size_t max, char **data, size_t *len, struct weft_err *err)
{
	weft_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	weft_autofree char *text = NULL;
	struct stat st;
	size_t got = 0;

	if (fd < 0)
		return weft_err_errno(err, errno, "can't open %s", path);
	if (fstat(fd, &st) < 0)
		return weft_err_errno(err, errno, "can't stat %s", path);
	if (!S_ISREG(st.st_mode))
		return weft_err_set(err, EINVAL, "%s is not a regular file", path);
	if ((size_t)st.st_size > max)
		return weft_err_set(err, EFBIG, "%s has %lld bytes, more than the %zu allowed", path,
		                    (long long)st.st_size, max);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return weft_err_errno(err, ENOMEM, "reading %s", path);
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, text + got, (size_t)st.st_size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return weft_err_errno(err, errno, "can't read %s", path);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	text[got] = '\0';
	*data = WEFT_TAKE_PTR(text);
	if (len)
		*len = got;
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The folder part of path, for its fsync: "." when there is none. */
static void folder_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(out, ".");
	else if (slash == path)
		strcpy(out, "/");
	else
		snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

static int sync_folder(const char *path, struct weft_err *err)
{
	char folder[PATH_MAX];

	folder_of(path, folder);
	weft_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return weft_err_errno(err, errno, "can't sync the folder %s", folder);
	return 0;
}

/* A finished, synced temp file beside path; its name begins with '.' so that readers of the folder skip it.
 */
static int write_temp(const char *path, const void *data, size_t len, mode_t mode, char temp[PATH_MAX],
                      struct weft_err *err)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
	int r;

	if ((size_t)snprintf(temp, PATH_MAX, "%.*s.%s.XXXXXX", (int)dir, path, path + dir) >= PATH_MAX)
		return weft_err_set(err, ENAMETOOLONG, "the path %s is too long", path);
	weft_autoclose int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return weft_err_errno(err, errno, "can't create a temporary file beside %s", path);
	r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temp);
		return weft_err_errno(err, r, "can't write %s", path);
	}
	return 0;
}

int weft_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct weft_err *err)
{
	char temp[PATH_MAX];
	int r = write_temp(path, data, len, mode, temp, err);

	if (r < 0)
		return r;
	if (rename(temp, path) < 0) {
		r = weft_err_errno(err, errno, "can't replace %s", path);
		unlink(temp);
		return r;
	}
	return sync_folder(path, err);
}

int weft_file_create(const char *path, const void *data, size_t len, mode_t mode, struct weft_err *err)
{
	char temp[PATH_MAX];
	int r = write_temp(path, data, len, mode, temp, err);

	if (r < 0)
		return r;
	if (link(temp, path) < 0)
		r = weft_err_errno(err, errno, "can't create %s", path);
	unlink(temp);
	return r < 0 ? r : sync_folder(path, err);
}

int weft_mkdirs(const char *path, mode_t mode, struct weft_err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return weft_err_set(err, EINVAL, "\"%.100s\" is not a usable folder path", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		char was = part[i];
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return weft_err_errno(err, errno, "can't create the folder %s", part);
		part[i] = was;
	}
	return 0;
}
