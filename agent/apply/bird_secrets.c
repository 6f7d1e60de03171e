// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/bird_secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#define HEAD     "password \""
#define TAIL     "\";\n"
#define TEXT_MAX (sizeof(HEAD) + BGP_PASSWORD_MAX + sizeof(TAIL))

static void free_sodium(char **p)
{
	sodium_free(*p);
}

static size_t compose(char *text, const struct bgp_peer *peer)
{
	size_t n = strlen(HEAD);

	memcpy(text, HEAD, n);
	memcpy(text + n, peer->password, peer->password_len);
	n += peer->password_len;
	memcpy(text + n, TAIL, strlen(TAIL));
	return n + strlen(TAIL);
}

static bool file_is(const char *path, const char *text, size_t len, char *scratch)
{
	weft_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, scratch, TEXT_MAX + 1);

	return n == (ssize_t)len && sodium_memcmp(scratch, text, len) == 0;
}

/* Not weft_file_replace(): that keeps no secret, but a reader needs the whole file or none here too. */
static int write_file(const char *path, const char *text, size_t len, gid_t gid, struct weft_err *err)
{
	char temp[PATH_MAX];
	ssize_t written;
	int r = 0;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.tmp", path) >= sizeof(temp))
		return weft_err_set(err, ENAMETOOLONG, "the path %s is too long", path);
	unlink(temp);
	weft_autoclose int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return weft_err_errno(err, errno, "can't create %s", temp);
	if (fchmod(fd, 0640) < 0) /* whatever the umask is */
		r = -errno;
	if (r == 0 && gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) < 0)
		r = -errno;
	if (r == 0 && (written = write(fd, text, len)) != (ssize_t)len)
		r = written < 0 ? -errno : -ENOSPC; /* a part of so few bytes: the disk ended there */
	if (r == 0 && (fsync(fd) < 0 || rename(temp, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(temp);
		return weft_err_errno(err, r, "can't write %s", path);
	}
	return 0;
}

int bird_secret_put(const char *dir, const struct bgp_peer *peer, const char *current, gid_t gid,
                    char path[PATH_MAX], struct weft_err *err)
{
	weft_auto(free_sodium) char *text = sodium_malloc(TEXT_MAX + 1);
	weft_auto(free_sodium) char *scratch = sodium_malloc(TEXT_MAX + 1);
	char spare[PATH_MAX] = "";
	size_t len;

	if (!text || !scratch || peer->password_len > BGP_PASSWORD_MAX)
		return weft_err_set(err, ENOMEM, "no guarded memory for the password of peer %s", peer->name);
	len = compose(text, peer);
	for (const char *side = "ab"; *side; side++) {
		if (snprintf(path, PATH_MAX, "%s/%s-%c.conf", dir, peer->protocol, *side) >= PATH_MAX)
			return weft_err_set(err, ENAMETOOLONG, "the path %s is too long", dir);
		if (file_is(path, text, len, scratch))
			return 0;
		if (!spare[0] && !strstr(current, path))
			memcpy(spare, path, PATH_MAX);
	}
	if (spare[0])
		memcpy(path, spare, PATH_MAX);
	return write_file(path, text, len, gid, err);
}

void bird_secrets_sweep(const char *dir, const char *current)
{
	weft_autoclosedir DIR *d = opendir(dir);
	char path[PATH_MAX];

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!strstr(current, path) && unlink(path) < 0)
			log_warning("can't remove the unused password file %s: %s", path, strerror(errno));
	}
}

/* The user's own folder keeps the group that the user gave it. */
static bool made_by_root(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 && st.st_gid == 0;
}

int bird_folders(const char *config_dir, const char *secrets, const char *custom, gid_t gid,
                 struct weft_err *err)
{
	const char *const dirs[] = {config_dir, secrets, custom};

	for (size_t i = 0; i < WEFT_ARRAY_LEN(dirs); i++) {
		int r = weft_mkdirs(dirs[i], 0750, err);
		if (r < 0)
			return weft_err_wrap(err, "bird.configDir");
		if (gid != (gid_t)-1 && (i < 2 || made_by_root(dirs[i])) &&
		    chown(dirs[i], (uid_t)-1, gid) < 0)
			log_warning("can't give %s to BIRD's group: %s", dirs[i], strerror(errno));
	}
	return 0;
}
