// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The socket file outlives a killed daemon, so its presence says nothing: connect(2) does. Probe, removal
 * and bind happen under a lock on the folder, or two daemons that start together would each remove the
 * other's socket as dead. The lock belongs to the open folder, so nothing is left behind.
 */
#include "agent/serve/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/file.h"

#define BACKLOG 64

static int fill_address(const char *path, struct sockaddr_un *sa, struct weft_err *err)
{
	size_t len = strlen(path);

	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path[0] != '/')
		return weft_err_set(err, EINVAL, "socket path %s is not absolute", path);
	if (len >= sizeof(sa->sun_path))
		return weft_err_set(err, ENAMETOOLONG, "socket path %.40s... has %zu bytes, the limit is %zu",
		                    path, len, sizeof(sa->sun_path) - 1);
	memcpy(sa->sun_path, path, len + 1);
	return 0;
}

/* Open the folder of path, made when absent, and lock it. Returns the descriptor or a negative errno. */
static int lock_folder(const struct sockaddr_un *sa, struct weft_err *err)
{
	char folder[sizeof(sa->sun_path)];
	weft_autoclose int fd = -1;
	int ret;

	memcpy(folder, sa->sun_path, sizeof(folder));
	*strrchr(folder, '/') = '\0';
	if (!folder[0])
		memcpy(folder, "/", 2);
	ret = weft_mkdirs(folder, 0750, err);
	if (ret < 0)
		return ret;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return weft_err_errno(err, errno, "open folder %s", folder);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return weft_err_errno(err, errno == EWOULDBLOCK ? EADDRINUSE : errno,
		                      "lock folder %s: is another weftd starting?", folder);
	return WEFT_TAKE_FD(fd);
}

/* 0: nobody listens there. */
static int probe(const struct sockaddr_un *sa, struct weft_err *err)
{
	weft_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return weft_err_errno(err, errno, "create a socket");
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0) {
		/* The credentials of a listening socket are those of who called listen(2). */
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
			peer.pid = 0;
		return weft_err_set(err, EADDRINUSE, "weftd runs already with pid %d: it listens on %s",
		                    (int)peer.pid, sa->sun_path);
	}
	if (errno == ECONNREFUSED || errno == ENOENT)
		return 0;
	if (errno == EAGAIN) /* its backlog is full: alive, only busy */
		return weft_err_set(err, EADDRINUSE, "weftd runs already: it listens on %s", sa->sun_path);
	return weft_err_errno(err, errno, "see whether a daemon listens on %s", sa->sun_path);
}

static int remove_dead(const struct sockaddr_un *sa, struct weft_err *err)
{
	struct stat st;
	int ret;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : weft_err_errno(err, errno, "look at %s", sa->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return weft_err_set(err, EEXIST, "%s exists and is no socket: remove it or change runDir",
		                    sa->sun_path);
	ret = probe(sa, err);
	if (ret < 0)
		return ret;
	if (unlink(sa->sun_path) < 0 && errno != ENOENT)
		return weft_err_errno(err, errno, "remove the dead socket %s", sa->sun_path);
	return 0;
}

int serve_listen(const char *path, struct stat *made, struct weft_err *err)
{
	struct sockaddr_un sa;
	weft_autoclose int folder = -1;
	weft_autoclose int fd = -1;
	int ret = fill_address(path, &sa, err);

	if (ret < 0)
		return ret;
	folder = lock_folder(&sa, err);
	if (folder < 0)
		return folder;
	ret = remove_dead(&sa, err);
	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return weft_err_errno(err, errno, "create a socket");
	/* unix_bind() takes the file's mode from the socket's inode: never a moment with a wider mode. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return weft_err_errno(err, errno, "bind %s", path);
	if (listen(fd, BACKLOG) < 0 || lstat(path, made) < 0) {
		ret = weft_err_errno(err, errno, "listen on %s", path);
		unlink(path);
		return ret;
	}
	return WEFT_TAKE_FD(fd);
}

void serve_unlink(const char *path, const struct stat *made)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_ino == made->st_ino && st.st_dev == made->st_dev)
		unlink(path);
}

bool serve_peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}
